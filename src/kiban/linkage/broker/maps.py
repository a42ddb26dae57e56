"""Entity maps and snapshots (clauses 5.5.9.3, 5.5.14, 5.14–5.16): what a query found, kept for a while.

An entity map keeps which entities a query found and who has them, so that a client walks through pages of a set that does not grow meanwhile.
A snapshot keeps the entities themselves, in rows of their own that no other request sees: the header NGSILD-Snapshot leads there.
Both are kept with an expiry and only so large; `tidy` removes what has expired.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from kiban.linkage.broker import times
from kiban.linkage.broker.model import OWN
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request, not_found

MAP, SNAPSHOT = "entityMap", "snapshot"
MAP_IDS: Final = 20_000  # entities in one map
MAPS: Final = 1_000  # maps of one tenant
SNAPSHOT_ENTITIES: Final = 20_000  # entities in one snapshot
SNAPSHOTS: Final = 100  # snapshots of one tenant
MAP_SECONDS, SNAPSHOT_SECONDS, MOST_SECONDS = 3_600, 86_400, 30 * 86_400  # how long they live, unless asked otherwise; and at most
SECOND: Final = 1_000_000
CHUNK: Final = 500  # ids in one look at the store
PORTION: Final = 200  # entities of a snapshot in one write, so that others are not held up
STUCK: Final = 600 * SECOND  # a snapshot that is filled for longer was left by a process that ended
NOBODY: Final = ("",)  # an id that no entity has
LOCAL: Final = ["@none"]
HIDDEN: Final = "\u2192snapshot:"  # begins the names of tenants that hold snapshots; no header can say it
Entity = dict[str, Any]
Row = tuple[bytes, bytes, bool]


def fresh_urn(kind: str) -> str:
    """A new id.

    >>> fresh_urn("AttributeList")[:26]
    'urn:ngsi-ld:AttributeList:'
    """
    return f"urn:ngsi-ld:{kind}:{uuid.uuid4()}"


def referred(header: str) -> str:
    """The id that a header names, by itself or as the last part of a location.

    >>> referred("/ngsi-ld/v1/entityMaps/urn:x:1"), referred("urn:x:1")
    ('urn:x:1', 'urn:x:1')
    """
    return header.rsplit("/", 1)[-1]


def expiry(lifetime: str | None, name: str, usual: int) -> int:
    """When something made now expires, in µs: after the ISO 8601 duration that was asked for, MOST_SECONDS at most; 400 if it is none."""
    now = times.now_us()
    if lifetime is None:
        return now + usual * SECOND
    try:
        asked = times.add(now, times.duration(lifetime))
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from None
    if asked <= now:
        raise bad_request(f"{name}: found {lifetime[:60]!r}; expected a time longer than nothing")
    return min(asked, now + MOST_SECONDS * SECOND)


# --- entity maps


class Given:
    """What a request has to do with entity maps: the one that it names, if that is alive, or a new one that it is to make.

    ids   the ids that the map has, None for a new one
    gone  ids of the map that were looked at and fit no more
    """

    def __init__(self, tenant: int, subject: str, id: str = "", ids: list[str] | None = None, echo: str = "", lifetime: str | None = None) -> None:
        self.tenant, self.subject, self.id, self.ids, self.echo = tenant, subject, id, ids, echo
        self.gone: list[str] = []
        self.found: dict[str, list[str]] = {}
        self.expires = expiry(lifetime, "entityMapLifetime", MAP_SECONDS)

    @property
    def new(self) -> bool:
        """True if the request makes a map."""
        return self.ids is None

    def take(self, session: Any, chosen: Selection) -> None:
        """Find what belongs in a new map: all that the query selects here. 403 if it is too much."""
        self.keep(session.ids(self.tenant, chosen, MAP_IDS + 1))

    def keep(self, found: list[str]) -> None:
        """What belongs in a new map, all of it kept here. 403 if it is too much."""
        if len(found) > MAP_IDS:
            raise Problem("TooManyResults", "too many entities for an entity map", f"more than {MAP_IDS}: narrow the query")
        self.found = dict.fromkeys(found, LOCAL)

    def within(self, chosen: Selection) -> Selection:
        """What is selected of the entities of a known map; the same selectors, each with ids."""
        ids = self.ids or []
        known = set(ids)
        return replace(chosen, who=tuple(replace(who, ids=tuple(id for id in who.ids or ids if id in known) or NOBODY) for who in chosen.who or (Who(),)))

    def matching(self, session: Any, chosen: Selection, enough: int | None) -> list[str]:
        """The ids of a known map that fit the query still, in the order of the map; `enough` of them, None for all."""
        fitting: list[str] = []
        ids = self.ids or []
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            there = set(session.ids(self.tenant, among(chosen, part)))
            fitting += [id for id in part if id in there]
            self.gone += [id for id in part if id not in there]
            if enough is not None and len(fitting) >= enough:
                break
        return fitting

    def rows(self, session: Any, chosen: Selection, ids: list[str]) -> list[Row]:
        """The rows of some entities of the map, in the order of the ids."""
        found: dict[str, Row] = {}
        for start in range(0, len(ids), CHUNK):
            for row in session.find(self.tenant, among(chosen, ids[start : start + CHUNK]), CHUNK):
                found[decode(row[0], row[1])["id"]] = row
        return [found[id] for id in ids if id in found]

    async def settle(self, store: Any, *, prune: bool) -> tuple[bytes, bytes]:
        """Keep the new map, or take out of the known one what is gone; the header of the answer."""
        if self.new:
            self.id = fresh_urn("EntityMap")
            doc = {"entityMap": self.found, "subject": self.subject}
            await store.write(lambda tx: keep_map(tx, self.tenant, self.id, doc, self.expires))
            self.echo = location(MAP, self.id)
        elif prune and self.gone:
            await store.write(lambda tx: prune_map(tx, self.tenant, self.id, self.gone))
        return b"ngsild-entitymap", self.echo.encode("latin-1")


def among(chosen: Selection, ids: Iterable[str]) -> Selection:
    """What is selected among some ids."""
    return chosen.and_also(Selection(who=(Who(ids=tuple(ids)),)))


def location(kind: str, id: str) -> str:
    """Where a map or a snapshot is found."""
    return f"/ngsi-ld/v1/{'entityMaps' if kind == MAP else 'snapshots'}/{id}"


def keep_map(tx: Any, tenant: int, id: str, doc: dict[str, Any], expires: int) -> None:
    """Keep a new map; 403 if the tenant has too many."""
    if tenant < 0:
        tenant = tx.open_tenant("")  # nothing was written yet, and sources may have something all the same
    if tx.count_things(tenant, MAP) >= MAPS:
        raise Problem("TooManyResults", "too many entity maps", f"a tenant may have {MAPS}: delete some, or let them expire")
    tx.put_thing(tenant, MAP, id, doc, expires=expires)


def prune_map(tx: Any, tenant: int, id: str, gone: list[str]) -> None:
    """Take entities out of a map."""
    known = tx.thing(tenant, MAP, id)
    if known is not None:
        kept = {name: sources for name, sources in known[0]["entityMap"].items() if name not in set(gone)}
        tx.put_thing(tenant, MAP, id, {**known[0], "entityMap": kept}, expires=tx.thing_expiry(tenant, MAP, id))


def read_map(session: Any, tenant: int, subject: str, id: str) -> dict[str, Any] | None:
    """A map that this subject has made, None if there is none: its ids may tell more than others may know."""
    known = session.thing(tenant, MAP, id)
    return known[0] if known is not None and known[0]["subject"] == subject else None


def given(call: Any, session: Any, tenant: int) -> Given | None:
    """What a request wants of entity maps: None if nothing.

    A header NGSILD-EntityMap that names no map of this subject asks for a new one, as entityMap=true does.
    """
    header, wanted = call.header(b"ngsild-entitymap"), call.params.get("entityMap")
    if wanted not in (None, "true", "false"):
        raise bad_request(f"entityMap: found {wanted[:40]!r}; expected true or false")
    if not header and wanted != "true":
        return None
    if header:
        id = referred(header)
        known = read_map(session, tenant, call.subject, id)
        if known is not None:
            return Given(tenant, call.subject, id, list(known["entityMap"]), header)
    return Given(tenant, call.subject, lifetime=call.params.get("entityMapLifetime"))


# --- snapshots


def inside(call: Any, session: Any, tenant: int) -> int:
    """The tenant that holds the entities of the snapshot that a request names; 404 if there is none, 409 while it is being filled."""
    id = referred(call.header(b"ngsild-snapshot"))
    known = session.thing(tenant, SNAPSHOT, id)
    if known is None:
        raise not_found(id, "Snapshot")
    if known[1]["snapshotStatus"] == "preparing":
        raise Problem("Conflict", "the snapshot is still being filled", f"{id}: ask for it until its snapshotStatus is another")
    call.broker.maps.used[(tenant, id)] = times.now()
    return int(known[1]["tenant"])


def shown(doc: dict[str, Any], state: dict[str, Any], created: int, modified: int) -> dict[str, Any]:
    """A snapshot as it is answered."""
    told = {**doc, **{name: value for name, value in state.items() if name != "tenant"}}
    return {**told, "createdAt": times.text(created), "modifiedAt": times.text(modified)}


def keep_snapshot(tx: Any, tenant: int, doc: dict[str, Any]) -> int:
    """Keep a new snapshot that is still empty; the tenant that will hold its entities. 409 if the id is in use."""
    id = doc["id"]
    if tx.thing(tenant, SNAPSHOT, id) is not None:
        raise Problem("AlreadyExists", "Snapshot already exists", id)
    if tx.count_things(tenant, SNAPSHOT) >= SNAPSHOTS:
        raise Problem("TooManyResults", "too many snapshots", f"a tenant may have {SNAPSHOTS}: delete some, or let them expire")
    tx.put_thing(tenant, SNAPSHOT, id, doc, expires=times.parse(doc["expiresAt"]))
    key = tx.open_tenant(f"{HIDDEN}{tenant}:{uuid.uuid4()}")
    tx.set_state(tenant, SNAPSHOT, id, {"tenant": key, "snapshotStatus": "preparing", "lastUsedAt": times.now()})
    return int(key)


def drop_snapshot(tx: Any, tenant: int, id: str) -> None:
    """Delete a snapshot; 404 if there is none. Its rows go bit by bit with `tidy`."""
    if tx.thing(tenant, SNAPSHOT, id) is None:
        raise not_found(id, "Snapshot")
    tx.delete_thing(tenant, SNAPSHOT, id)


class Wanted:
    """One query of a snapshot: which entities, and which of their attributes are kept (all if `keeps` is None)."""

    def __init__(self, chosen: Selection, keeps: Callable[[str], bool] | None = None) -> None:
        self.chosen, self.keeps = chosen, keeps

    def cut(self, entity: Entity) -> Entity:
        """The entity with what is kept of it."""
        keeps = self.keeps
        return entity if keeps is None else {name: value for name, value in entity.items() if name in OWN or keeps(name)}


class Maps:
    """What runs beside the requests: snapshots being filled, and the removal of what has expired."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.used: dict[tuple[int, str], str] = {}  # snapshots that were read, and when
        self.filling: set[asyncio.Task[None]] = set()

    def fill(self, tenant: int, id: str, key: int, read: Callable[[], Any]) -> None:
        """Begin to fill a snapshot with what `await read()` gives: entities, and the details of each query."""
        task = asyncio.create_task(self.run(tenant, id, key, read))
        self.filling.add(task)
        task.add_done_callback(self.filling.discard)

    async def run(self, tenant: int, id: str, key: int, read: Callable[[], Any]) -> None:
        """Read, then write in portions; a snapshot that was deleted meanwhile gets no more."""
        store = self.broker.store
        try:
            entities, details = await read()
            for start in range(0, len(entities), PORTION):
                part = entities[start : start + PORTION]
                if not await store.write(lambda tx, part=part: put_portion(tx, tenant, id, key, part)):
                    return
        except Problem as problem:
            details = [{"resultStatus": "failure", "problemDetails": problem.body()}]
        results = {detail["resultStatus"] for detail in details}
        status = next(iter(results)) if len(results) == 1 else "partial" if results & {"success", "partial"} else "failure"  # 5.16.1.4
        await store.write(lambda tx: set_status(tx, tenant, id, {"snapshotStatus": status, "snapshotQueriesDetails": details}))

    async def read(self, tenant: int, wanted: list[Wanted]) -> tuple[list[Entity], list[dict[str, Any]]]:
        """What the queries of a snapshot find here, all seen at the same moment."""

        def find(session: Any) -> tuple[list[Entity], list[dict[str, Any]]]:
            found: dict[str, Entity] = {}
            details = []
            for one in wanted:
                rows = session.find(tenant, one.chosen, SNAPSHOT_ENTITIES + 1)
                for row in rows:
                    entity = one.cut(decode(row[0], row[1]))
                    found[entity["id"]] = {**found.get(entity["id"], {}), **entity}
                if len(found) > SNAPSHOT_ENTITIES:
                    raise Problem("TooManyResults", "too many entities for a snapshot", f"more than {SNAPSHOT_ENTITIES}: narrow its queries")
                details.append({"resultStatus": "success" if rows else "empty"})
            return list(found.values()), details

        return await self.broker.store.slow(find, self.broker.options.query_seconds)  # type: ignore[no-any-return]

    async def tidy(self) -> None:
        """Remove what has expired, remember what was used; little at a time."""
        used, self.used = self.used, {}
        now = times.now_us()
        reader = self.broker.store.reader
        if used or reader.outdated((MAP, SNAPSHOT), now) or reader.tenants_like(HIDDEN):
            await self.broker.store.write(lambda tx: tidy_in(tx, used, now))

    async def stop(self) -> None:
        """No more filling; what is not full will be called a failure."""
        for task in self.filling:
            task.cancel()
        await asyncio.gather(*self.filling, return_exceptions=True)


def put_portion(tx: Any, tenant: int, id: str, key: int, entities: list[Entity]) -> bool:
    """Put entities into a snapshot; False if it is not there any more."""
    if tx.thing(tenant, SNAPSHOT, id) is None:
        return False
    for entity in entities:
        tx.put(key, entity, None)
    return True


def set_status(tx: Any, tenant: int, id: str, told: dict[str, Any]) -> None:
    """Note what became of a snapshot."""
    known = tx.thing(tenant, SNAPSHOT, id)
    if known is not None:
        tx.set_state(tenant, SNAPSHOT, id, {**known[1], **told})


def tidy_in(tx: Any, used: dict[tuple[int, str], str], now: int) -> None:
    """One round of removal inside a transaction."""
    for (tenant, id), at in used.items():
        set_status(tx, tenant, id, {"lastUsedAt": at})
    tx.drop_outdated((MAP, SNAPSHOT), now)
    snapshots = tx.things(None, SNAPSHOT)
    for key in set(tx.tenants_like(HIDDEN)) - {state["tenant"] for _, _, _, state, _, _ in snapshots}:
        if tx.clear(key, PORTION):
            continue
        histories = tx.heads(key, limit=PORTION)
        for history in histories:
            tx.forget(key, history.id)
        if not histories:
            tx.drop_tenant(key)
    for tenant, id, _, state, created, _ in snapshots:
        if state["snapshotStatus"] == "preparing" and created < now - STUCK:
            set_status(tx, tenant, id, {"snapshotStatus": "failure"})


def map_doc(id: str, doc: dict[str, Any], expires: int) -> dict[str, Any]:
    """An entity map as it is answered (5.2.39)."""
    told = {"id": id, "type": "EntityMap", "expiresAt": times.text(expires), "entityMap": doc["entityMap"]}
    return {**told, "linkedMaps": doc["linkedMaps"]} if doc.get("linkedMaps") else told


def checked_id(id: str) -> str:
    """The id of a map or snapshot; 400 if it is no URI."""
    if not is_uri(id):
        raise bad_request(f"id: found {id[:200]!r}; expected a URI")
    return id
