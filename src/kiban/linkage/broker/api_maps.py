"""The HTTP handlers of entity maps and snapshots (clauses 5.14 and 5.16; resources 6.32, 6.34, 6.36–6.38)."""

from __future__ import annotations

import copy
import functools
from typing import Any, Final

from kiban.linkage.broker import entities, maps, times
from kiban.linkage.broker.api_query import make_view, query_params, query_selection
from kiban.linkage.broker.asked import selected
from kiban.linkage.broker.maps import MAP, SNAPSHOT, Given, Maps, Wanted, checked_id
from kiban.linkage.broker.negotiate import accepted, answer, open_body, open_call
from kiban.linkage.broker.query import parse_q, plain_record
from kiban.linkage.broker.render import View
from kiban.linkage.broker.selection import FULL
from kiban.linkage.broker.server import JSON, Call, Headers, Reply, dumps
from kiban.linkage.broker.store import Selection
from kiban.linkage.errors import Problem, bad_request, not_found

GIVEN: Final = frozenset({"id", "type", "snapshotQueries", "snapshotPriority", "snapshotLifetime"})  # what a client may say of a new one
RESULTS: Final = frozenset({"snapshotStatus", "snapshotQueriesDetails", "createdAt", "modifiedAt", "lastUsedAt", "expiresAt"})
MEMBERS: Final = GIVEN | RESULTS
CHANGED: Final = frozenset({"snapshotPriority", "snapshotLifetime"})
PRIORITY: Final = 5


# --- entity maps


async def create_map(call: Call) -> Reply:
    """GET /entityMaps"""
    await open_call(call)
    media = accepted(call)
    entities.allowed(call, "maps.create", hides=True)
    chosen = entities.narrow(call, "entities.read", selected(call))
    store = call.broker.store
    tenant = entities.read_tenant(call, store.reader)
    made = Given(tenant, call.subject, lifetime=call.params.get("entityMapLifetime"))
    warnings: Headers = []
    if call.broker.forward.concerned(call):
        _, made.found, warnings = await call.broker.forward.everything(call, chosen, View())
    else:
        await store.slow(lambda session: made.take(session, chosen), call.broker.options.query_seconds)
    header = await made.settle(store, prune=False)
    return answer(call, maps.map_doc(made.id, {"entityMap": made.found}, made.expires), status=201, media=media, headers=[header, *warnings])


def known_map(call: Call, session: Any, tenant: int) -> dict[str, Any]:
    """The map of the path; 400 for an id that is no URI, 404 if there is none of this subject."""
    id = checked_id(call.path[0])
    found = maps.read_map(session, tenant, call.subject, id)
    if found is None:
        raise not_found(id, "Entity map")
    return found


async def show_map(call: Call) -> Reply:
    """GET /entityMaps/{id}"""
    await open_call(call)
    media = accepted(call)
    entities.allowed(call, "maps.read", hides=True)
    reader = call.broker.store.reader
    tenant = entities.read_tenant(call, reader)
    found = known_map(call, reader, tenant)
    return answer(call, maps.map_doc(call.path[0], found, reader.thing_expiry(tenant, MAP, call.path[0])), media=media)


async def update_map(call: Call) -> Reply:
    """PATCH /entityMaps/{id}: only when it expires; what the broker alone writes is passed over."""
    raw = await open_body(call, patch=True)
    entities.allowed(call, "maps.update", hides=True)
    wanted = raw.get("expiresAt")
    expires: int | None = None
    if wanted is not None:
        try:
            expires = min(times.parse(wanted), times.now_us() + maps.MOST_SECONDS * maps.SECOND)
        except (ValueError, TypeError):
            raise bad_request(f"expiresAt: found {str(wanted)[:60]!r}; expected a DateTime such as 2026-11-27T20:10:00Z") from None

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        found = known_map(call, tx, tenant)
        if expires is not None:
            tx.put_thing(tenant, MAP, call.path[0], found, expires=expires)

    await call.broker.store.write(op)
    return Reply(204)


async def delete_map(call: Call) -> Reply:
    """DELETE /entityMaps/{id}"""
    await open_call(call)
    entities.allowed(call, "maps.delete")

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        known_map(call, tx, tenant)
        tx.delete_thing(tenant, MAP, call.path[0])

    await call.broker.store.write(op)
    return Reply(204)


# --- snapshots


def settings(raw: dict[str, Any], usual: int) -> dict[str, Any]:
    """What a client may say of a snapshot beside its queries, checked: priority, lifetime and so when it expires."""
    priority, lifetime = raw.get("snapshotPriority", usual), raw.get("snapshotLifetime")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 1_000_000:
        raise bad_request(f"snapshotPriority: found {str(priority)[:40]}; expected a whole number from 0")
    if lifetime is not None and not isinstance(lifetime, str):
        raise bad_request(f"snapshotLifetime: found {str(lifetime)[:40]}; expected a duration such as PT1H")
    expires = times.text(maps.expiry(lifetime, "snapshotLifetime", maps.SNAPSHOT_SECONDS))
    return {"snapshotPriority": priority, **({} if lifetime is None else {"snapshotLifetime": lifetime}), "expiresAt": expires}


def head(raw: dict[str, Any], known: frozenset[str]) -> str:
    """The id of a new snapshot, made if there is none; 400 if the body has what does not belong there."""
    if raw.get("type", "Snapshot") != "Snapshot":
        raise bad_request(f"type: found {str(raw['type'])[:60]!r}; expected 'Snapshot'")
    if wrong := raw.keys() - known:
        raise bad_request(f"found {', '.join(sorted(wrong))[:200]}; expected {', '.join(sorted(known))}")
    id = raw.get("id")
    if id is None:
        return maps.fresh_urn("Snapshot")
    if not isinstance(id, str):
        raise bad_request(f"id: found {str(id)[:60]}; expected a URI")
    return checked_id(id)


def wanted(raw: Any, call: Call) -> Wanted:
    """One query of a snapshot."""
    if not isinstance(raw, dict) or raw.get("type") != "Query":
        raise bad_request("snapshotQueries: expected objects with type 'Query'")
    if "temporalQ" in raw:
        raise bad_request("temporalQ: found in snapshotQueries; expected queries of entities there")
    params = query_params(raw, {})
    chosen = query_selection(raw, params, call)
    return Wanted(entities.narrow(call, "entities.read", chosen), keeps(make_view(params, call, JSON)))


def keeps(view: View) -> Any:
    """Which attributes a view shows, as a function of their names; None if all."""
    if view.attrs is None and view.pick is None and not view.omit:
        return None
    omitted = {name for name, below in (view.omit or {}).items() if not below}
    return lambda name: (view.attrs is None or name in view.attrs) and (view.pick is None or name in view.pick) and name not in omitted


async def create_snapshot(call: Call) -> Reply:
    """POST /snapshots"""
    raw = await open_body(call)
    entities.allowed(call, "maps.create", hides=True)
    entities.allowed(call, "entities.read", hides=True)
    queries = raw.get("snapshotQueries")
    if "snapshotTemporalQueries" in raw:
        raise Problem("OperationNotSupported", "snapshots of the history are not offered", "leave snapshotTemporalQueries out")
    if not isinstance(queries, list) or not queries:
        raise bad_request("snapshotQueries: expected a list of queries")
    if raw.get("type") != "Snapshot":
        raise bad_request(f"type: found {str(raw.get('type'))[:60]!r}; expected 'Snapshot'")
    id = head(raw, GIVEN)
    chosen = [wanted(each, call) for each in queries]
    doc = {"id": id, "type": "Snapshot", "snapshotQueries": queries, **settings(raw, PRIORITY)}
    running: Maps = call.broker.maps
    tenant, key = await call.broker.store.write(lambda tx: new_snapshot(call, tx, doc))
    source = entities.read_tenant(call, call.broker.store.reader)
    read = functools.partial(everywhere, call, queries, chosen) if call.broker.forward.concerned(call) else functools.partial(running.read, source, chosen)
    running.fill(tenant, id, key, read)
    return Reply(201, [(b"location", maps.location(SNAPSHOT, id).encode())])


async def everywhere(call: Call, queries: list[dict[str, Any]], chosen: list[Wanted]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the queries of a snapshot find here and at other context sources, and how each of them went."""
    found: dict[str, dict[str, Any]] = {}
    details: list[dict[str, Any]] = []
    for raw, one in zip(queries, chosen, strict=True):
        each = copy.copy(call)
        each.method, each.body, each.params, each.query = "POST", dumps(raw), {}, b""
        some, _, warnings = await call.broker.forward.everything(each, one.chosen, View())
        for entity in some:
            found[entity["id"]] = {**found.get(entity["id"], {}), **one.cut(entity)}
        if len(found) > maps.SNAPSHOT_ENTITIES:
            raise Problem("TooManyResults", "too many entities for a snapshot", f"more than {maps.SNAPSHOT_ENTITIES}: narrow its queries")
        detail: dict[str, Any] = {"resultStatus": "success" if some else "empty"}
        if warnings:
            missing = "; ".join(text.decode("latin-1") for _, text in warnings)
            problem = Problem("InternalError", "context sources did not answer", missing, status=502)
            detail = {"resultStatus": "partial" if some else "failure", "problemDetails": problem.body()}
        details.append(detail)
    return list(found.values()), details


def new_snapshot(call: Call, tx: Any, doc: dict[str, Any]) -> tuple[int, int]:
    """The tenant of a new snapshot, and the one that will hold its entities; both on disk after the write."""
    tenant = owner(call, tx, make=True)
    return tenant, maps.keep_snapshot(tx, tenant, doc)


def owner(call: Call, session: Any, *, make: bool = False) -> int:
    """The tenant whose snapshots a call is about, never a snapshot itself."""
    key = session.tenant(call.tenant)
    if key is None and call.tenant and not make:
        raise Problem("NonexistentTenant", "there is no such tenant", call.tenant)
    return int(session.open_tenant(call.tenant) if key is None and make else -1 if key is None else key)


def known_snapshot(call: Call, session: Any, tenant: int) -> tuple[dict[str, Any], dict[str, Any], int, int]:
    """The snapshot of the path; 400 for an id that is no URI, 404 if there is none."""
    id = checked_id(call.path[0])
    found = session.thing(tenant, SNAPSHOT, id)
    if found is None:
        raise not_found(id, "Snapshot")
    return found  # type: ignore[no-any-return]


async def show_snapshot(call: Call) -> Reply:
    """GET /snapshots/{id}"""
    await open_call(call)
    media = accepted(call)
    entities.allowed(call, "maps.read", hides=True)
    reader = call.broker.store.reader
    return answer(call, maps.shown(*known_snapshot(call, reader, owner(call, reader))), media=media)


async def update_snapshot(call: Call) -> Reply:
    """PATCH /snapshots/{id}"""
    raw = await open_body(call, patch=True)
    media = accepted(call)
    entities.allowed(call, "maps.update", hides=True)
    if not raw or raw.keys() - CHANGED - {"id", "type"}:
        raise bad_request(f"found {', '.join(sorted(raw)) or 'nothing'}; of a snapshot only {', '.join(sorted(CHANGED))} can be changed")
    if raw.get("id", call.path[0]) != call.path[0] or raw.get("type", "Snapshot") != "Snapshot":
        raise bad_request("id, type: found others than those of the snapshot")

    def op(tx: Any) -> dict[str, Any]:
        tenant = owner(call, tx)
        doc, state, created, _ = known_snapshot(call, tx, tenant)
        asked = settings(raw, doc["snapshotPriority"])
        doc = {**doc, **(asked if "snapshotLifetime" in raw else {"snapshotPriority": asked["snapshotPriority"]})}
        tx.put_thing(tenant, SNAPSHOT, doc["id"], doc, expires=times.parse(doc["expiresAt"]))
        return maps.shown(doc, state, created, times.now_us())

    return answer(call, await call.broker.store.write(op), media=media)


async def delete_snapshot(call: Call) -> Reply:
    """DELETE /snapshots/{id}"""
    await open_call(call)
    entities.allowed(call, "maps.delete")
    id = checked_id(call.path[0])
    await call.broker.store.write(lambda tx: maps.drop_snapshot(tx, owner(call, tx), id))
    return Reply(204)


async def clone_snapshot(call: Call) -> Reply:
    """POST /snapshots/{id}/clone"""
    raw = await open_body(call)
    entities.allowed(call, "maps.create", hides=True)
    id = head(raw, GIVEN - {"snapshotQueries"})

    def op(tx: Any) -> tuple[int, int, int, list[dict[str, Any]]]:
        tenant = owner(call, tx)
        doc, state, _, _ = known_snapshot(call, tx, tenant)
        if state["snapshotStatus"] == "preparing":
            raise Problem("Conflict", "the snapshot is still being filled", f"{doc['id']}: ask for it until its snapshotStatus is another")
        copy = {**doc, "id": id, **settings(raw, doc["snapshotPriority"])}
        return tenant, int(state["tenant"]), maps.keep_snapshot(tx, tenant, copy), state["snapshotQueriesDetails"]

    tenant, source, key, details = await call.broker.store.write(op)
    running: Maps = call.broker.maps

    async def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        found, _ = await running.read(source, [Wanted(Selection())])
        return found, details

    running.fill(tenant, id, key, read)
    return Reply(201, [(b"location", maps.location(SNAPSHOT, id).encode())])


async def purge_snapshots(call: Call) -> Reply:
    """DELETE /snapshots?q=…: those whose members fit."""
    await open_call(call)
    entities.allowed(call, "maps.delete")
    text = call.params.get("q")
    if not text:
        raise bad_request("q: found nothing; expected a condition on members of snapshots such as snapshotPriority<3")
    condition = parse_q(text, FULL)
    if wrong := condition.attributes - MEMBERS:
        raise bad_request(f"q: found {', '.join(sorted(wrong))[:200]}; expected members of snapshots: {', '.join(sorted(MEMBERS))}")

    def op(tx: Any) -> None:
        tenant = owner(call, tx)
        for _, id, *found in tx.things(tenant, SNAPSHOT):
            record = maps.shown(*found)
            if condition.matches({**plain_record(record), **{name: record[name] for name in ("createdAt", "modifiedAt", "expiresAt")}}):
                maps.drop_snapshot(tx, tenant, id)

    await call.broker.store.write(op)
    return Reply(204)
