"""The HTTP handlers of NGSIv2: entities, attributes, values, types, batches, subscriptions, registrations.

The same store, the same transactions and the same access as the NGSI-LD handlers; what differs is how a request is read (`ngsiv2`, `ngsiv2_query`,
`ngsiv2_subs`) and how refusals are told.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from kiban.linkage.broker import entities, ngsiv2, ngsiv2_query, ngsiv2_subs, times
from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.guard import GuardError
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.model import create as created
from kiban.linkage.broker.negotiate import accepted
from kiban.linkage.broker.ngsiv2 import Entity, Names, Refused, Shape, Written, bad
from kiban.linkage.broker.ngsiv2_notify import SUBSCRIPTION, Cause, Notices
from kiban.linkage.broker.ngsiv2_query import Asked
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.selection import TypeQ
from kiban.linkage.broker.server import JSON, Call, Reply, Routes, dumps
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.errors import Problem

TEXT = b"text/plain"
TOGETHER = 5000  # entities in one batch: others wait meanwhile
SORTED = 20_000  # entities that one ordered query may put in order, or whose attribute types one answer may list
FRESH = 1.0  # seconds after which types that other workers made are looked for again
REGISTRATION = "v2registration"
EARTH = 6_371_008.8  # m, mean radius

# Kind of an NGSI-LD problem → (status, error) of NGSIv2.
ERRORS = {
    "InvalidRequest": (400, "BadRequest"),
    "BadRequestData": (400, "BadRequest"),
    "AlreadyExists": (422, "Unprocessable"),
    "Conflict": (422, "Unprocessable"),
    "OperationNotSupported": (422, "Unprocessable"),
    "ResourceNotFound": (404, "NotFound"),
    "NonexistentTenant": (404, "NotFound"),
    "TooComplexQuery": (403, "TooComplexQuery"),
    "TooManyResults": (403, "TooManyResults"),
    "Unauthorized": (401, "Unauthorized"),
    "Forbidden": (403, "Forbidden"),
    "MethodNotAllowed": (405, "MethodNotAlowed"),  # spelled so by the API
    "NotAcceptable": (406, "NotAcceptable"),
    "LengthRequired": (411, "ContentLengthRequired"),
    "RequestEntityTooLarge": (413, "RequestEntityTooLarge"),
    "UnsupportedMediaType": (415, "UnsupportedMediaType"),
}

Handler = Callable[[Call], Awaitable[Reply]]


class Around:
    """What the requests of NGSIv2 share in one broker: names, and the types that the tenants have.

    Types only grow here: one that no entity has any more costs a look-up, never a wrong answer.
    """

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.names: Names | None = None
        self.types: dict[int, set[str]] = {}
        self.read: dict[int, float] = {}
        self.notices = Notices(broker)
        broker.effects += [self.remember, self.notices.effect]

    async def open(self) -> Names:
        """Names under the @context that the operator chose for NGSIv2, or the core context."""
        if self.names is None:
            contexts, url = self.broker.contexts, self.broker.options.v2_context
            self.names = self.notices.names = Names(contexts.core if url is None else contexts.known(url) or await contexts.term_map(url))
        return self.names

    def remember(self, tx: Any, tenant: int, name: str, change: Change) -> None:
        """An effect of every write: types that come new."""
        del tx, name
        if change.entity is not None and tenant in self.types:
            self.types[tenant].update(change.entity["type"])

    def type_names(self, reader: Any, tenant: int, names: Names, *, again: bool = False) -> list[str]:
        """The names of the types of a tenant."""
        now = time.monotonic()
        if tenant not in self.types or (again and now - self.read[tenant] > FRESH):
            self.read[tenant] = now
            self.types[tenant] = {iri for iri, _ in reader.types(tenant)} | self.types.get(tenant, set())
        return [names.type_name(iri) for iri in tuple(self.types[tenant])]  # a copy: a writing thread may add one meanwhile


class Asking(NamedTuple):
    """What every handler needs of a call."""

    call: Call
    names: Names
    shared: Around
    options: frozenset[str]
    correlator: str

    @property
    def paths(self) -> list[str] | None:
        """Service paths of a query, or of an update of what exists: everything without a header."""
        return ngsiv2.service_paths(self.call.header(b"fiware-servicepath") or None)

    @property
    def path(self) -> str:
        """The one service path of what is made."""
        return (ngsiv2.service_paths(self.call.header(b"fiware-servicepath") or None, update=True) or ["/"])[0]

    def tenant(self, reader: Any) -> int:
        """The key of the tenant for reading; -1 where nothing was ever written: NGSIv2 shows an unknown service as empty."""
        key = reader.tenant(self.call.tenant)
        return -1 if key is None else key


def keep(ask: Asking, tx: Any, tenant: int, old: Entity | None, change: Change) -> None:
    """Store a change with all that follows from it; the notifications know the request that caused it."""
    call, notices = ask.call, ask.shared.notices
    notices.cause = Cause("forcedUpdate" in ask.options, ask.correlator, call.header(b"x-auth-token"))
    try:
        entities.keep(tx, call, tenant, old, change)
    finally:
        notices.cause = Cause()


def told(problem: Problem) -> Reply:
    """A problem of the shared machinery as NGSIv2 says it."""
    status, error = ERRORS.get(problem.kind, (problem.status, "InternalServerError"))
    if problem.status in (411, 413, 415):
        status, error = problem.status, {411: "ContentLengthRequired", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType"}[problem.status]
    description = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
    return Reply(status, [(b"www-authenticate", b"Bearer")] if status == 401 else [], dumps({"error": error, "description": description}), JSON)


def handler(work: Callable[[Asking], Awaitable[Reply]]) -> Handler:
    """A handler with what is common to all: service, correlator, options, refusals."""

    async def answer(call: Call) -> Reply:
        correlator = call.headers.get(b"fiware-correlator", b"")[:256] or str(uuid.uuid4()).encode()
        try:
            call.tenant = ""
            call.tenant = ngsiv2.tenant(call.header(b"fiware-service") or None)
            shared = call.broker.v2
            names = await shared.open()
            call.terms = names.terms
            reply = await work(Asking(call, names, shared, ngsiv2_query.options(call.params.get("options")), correlator.decode("latin-1")))
        except Refused as refused:
            reply = Reply(refused.status, [], dumps(refused.body()), JSON)
        except Problem as problem:
            reply = told(problem)
        return reply._replace(headers=[*reply.headers, (b"fiware-correlator", correlator)])

    answer.__doc__ = work.__doc__
    return answer


def body(call: Call) -> Any:
    """The JSON of a request. Raises Refused with 411, 415 or ParseError."""
    if not call.body:
        raise Refused(411, "ContentLengthRequired", "Zero/No Content-Length in PUT/POST/PATCH request")
    if call.content_type.partition(b";")[0].strip().lower() != JSON:
        raise Refused(415, "UnsupportedMediaType", "not supported content type: expected application/json")
    try:
        return call.json()
    except Problem as problem:
        raise Refused(400, "ParseError", f"Errors found in incoming JSON buffer: {problem.title}") from None


def json(value: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """An answer in JSON."""
    return Reply(status, [*headers], dumps(value), JSON)


def total(count: int) -> tuple[bytes, bytes]:
    """The header with the number of all."""
    return b"fiware-total-count", str(count).encode()


# --- finding ----------------------------------------------------------------------------------------------------------------------


def locate(ask: Asking, reader: Any, tenant: int, id: str, types: tuple[str, ...], reach: Selection | None, paths: list[str] | None) -> Entity:
    """The one entity of an NGSIv2 id (and type). Raises Refused with 404 or 409."""
    found = _located(ask, reader, tenant, id, types, reach, paths, again=False)
    if not found and not types:
        found = _located(ask, reader, tenant, id, types, reach, paths, again=True)
    if not found:
        raise ngsiv2.entity_not_found()
    if len(found) > 1:
        raise ngsiv2.ambiguous()
    return found[0]


def _located(ask: Asking, reader: Any, tenant: int, id: str, types: tuple[str, ...], reach: Selection | None, paths: Any, *, again: bool) -> list[Entity]:
    if tenant < 0:
        return []
    names = ask.names
    around_here = types or ask.shared.type_names(reader, tenant, names, again=again)
    found = []
    for ld in ngsiv2.candidates(id, around_here):
        entity = reader.entity(tenant, ld)
        if entity is None or not ngsiv2.in_paths(entity, paths) or not entities.within(reach, entity):
            continue
        kinds = [names.type_name(iri) for iri in entity["type"]]
        if ngsiv2.v2_id(ld, kinds)[0] == id and (not types or not set(types).isdisjoint(kinds)):
            found.append(entity)
    return found


def _types(params: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(ngsiv2.check_address(part, "entity type") for part in params["type"].split(",")) if "type" in params else ()


def read_one(ask: Asking, operation: str = "entities.read") -> Entity:
    """The entity that the path of a reading call names."""
    call = ask.call
    id = ngsiv2.check_address(call.path[0], "entity id")
    types, paths = _types(call.params), ask.paths
    reach = entities.allowed(call, operation)
    reader = call.broker.store.reader
    return locate(ask, reader, ask.tenant(reader), id, types, reach, paths)


async def alter(ask: Asking, operation: str, change: Callable[[Entity, str], Change]) -> Change:
    """Change the entity that the path names; on disk when this returns."""
    call = ask.call
    id = ngsiv2.check_address(call.path[0], "entity id")
    types, paths = _types(call.params), ask.paths
    reach = entities.allowed(call, operation)
    now = times.now()

    def op(tx: Any) -> Change:
        tenant = ask.tenant(tx)
        old = locate(ask, tx, tenant, id, types, reach, paths)
        return _kept(ask, tx, tenant, old, change(old, now), reach)

    return await call.broker.store.write(op)  # type: ignore[no-any-return]


def _kept(ask: Asking, tx: Any, tenant: int, old: Entity, change: Change, reach: Selection | None) -> Change:
    if change.entity is not None and not entities.within(reach, change.entity):
        raise Problem("Forbidden", "this change would lead outside of what you may write")
    keep(ask, tx, tenant, old, change)
    return change


# --- changing ---------------------------------------------------------------------------------------------------------------------


def _noted(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], iri: str) -> list[tuple[str, str | None, str]]:
    before = {instance.get("datasetId"): instance for instance in old}
    return [
        (iri, instance.get("datasetId"), "updated" if instance.get("datasetId") in before else "created")
        for instance in new
        if before.get(instance.get("datasetId")) is not instance
    ]


def with_attributes(ask: Asking, old: Entity, written: Written, now: str, *, only: Iterable[str] | None = None) -> Change:
    """The entity with attributes written over it; only: names of those that are taken."""
    entity, changed = dict(old), []
    override = "overrideMetadata" in ask.options
    for name in written.attrs if only is None else only:
        iri = ask.names.attr(name)
        before = old.get(iri, [])
        entity[iri] = ngsiv2.write_attribute(written.attrs[name], ask.names, now, before, override=override)
        changed += _noted(before, entity[iri], iri)
    changed += _expiry(entity, written)
    if changed:
        entity["modifiedAt"] = now
    return Change(entity, old, changed)


def _expiry(entity: Entity, written: Written) -> list[tuple[str, str | None, str]]:
    if written.expires is ...:
        return []
    had = entity.pop("expiresAt", None) is not None
    if written.expires is None:
        return [("expiresAt", None, "deleted")] if had else []
    entity["expiresAt"] = written.expires
    return [("expiresAt", None, "updated" if had else "created")]


def with_all_replaced(ask: Asking, old: Entity, written: Written, now: str) -> Change:
    """The entity with these attributes alone."""
    entity = {key: value for key, value in old.items() if key in ngsiv2.ENTITY_WORDS and key != "expiresAt"}
    changed: list[tuple[str, str | None, str]] = []
    for name, given in written.attrs.items():
        iri = ask.names.attr(name)
        entity[iri] = ngsiv2.write_attribute(given, ask.names, now)
        changed += _noted(old.get(iri, []), entity[iri], iri)
    gone = [iri for iri in ngsiv2.attributes(old) if iri not in entity]
    changed += [(iri, instance.get("datasetId"), "deleted") for iri in gone for instance in old[iri]]
    changed += _expiry(entity, written)
    entity["modifiedAt"] = now
    return Change(entity, old, changed or [("type", None, "updated")])


def without(old: Entity, iris: Iterable[str], now: str) -> Change:
    """The entity without some attributes."""
    taken = set(iris)
    entity = {key: value for key, value in old.items() if key not in taken}
    entity["modifiedAt"] = now
    return Change(entity, old, [(iri, instance.get("datasetId"), "deleted") for iri in old if iri in taken for instance in old[iri]])


class Split(NamedTuple):
    """Names of the attributes of a body, by whether the entity has them."""

    there: list[str]
    missing: list[str]


def split(ask: Asking, old: Entity, written: Written) -> Split:
    """Which attributes of a body the entity has, and which it has not."""
    there = [name for name in written.attrs if ask.names.attr(name) in old]
    return Split(there, [name for name in written.attrs if ask.names.attr(name) not in old])


def _partial(what: str, id: str, type: str | None, names: Sequence[str], *, some: bool) -> Refused:
    who = id if type is None else f"{id}/{type}"
    return Refused(422, "PartialUpdate" if some else "Unprocessable", f"{what}: {who} - [ {', '.join(names)} ]")


EXIST = "one or more of the attributes in the request already exist"
NOT_EXIST = "do not exist"

# --- entities ---------------------------------------------------------------------------------------------------------------------


async def create(ask: Asking) -> Reply:
    """POST /v2/entities"""
    call = ask.call
    written = ngsiv2.read_entity(body(call), key_values="keyValues" in ask.options)
    now, path = times.now(), ask.path
    entity = ngsiv2.build_entity(written, ask.names, now, path)
    upsert = "upsert" in ask.options
    reach = entities.allowed(call, "entities.create")
    change_reach = entities.allowed(call, "entities.update") if upsert else None

    def op(tx: Any) -> bool:
        tenant = tx.open_tenant(call.tenant)
        old = tx.entity(tenant, entity["id"])
        if old is not None:
            if not upsert or entity["type"][0] not in old["type"] or not entities.within(change_reach, old):
                raise ngsiv2.unprocessable("Already Exists")
            _kept(ask, tx, tenant, old, with_attributes(ask, old, written, now), change_reach)
            return False
        if not entities.within(reach, entity):
            raise Problem("Forbidden", "this entity is outside of what you may write")
        keep(ask, tx, tenant, None, created(entity))
        return True

    new = await call.broker.store.write(op)
    type = "Thing" if written.type is None else written.type
    return Reply(201 if new else 204, [(b"location", f"/v2/entities/{quote(written.id, safe=':')}?type={quote(type, safe=':')}".encode())])


def shape_of(ask: Asking, params: Mapping[str, Any]) -> Shape:
    """How the answer shows its entities."""
    attrs = ngsiv2_query.name_list(params["attrs"], "attrs") if params.get("attrs") else None
    metadata = ngsiv2_query.name_list(params["metadata"], "metadata") if params.get("metadata") else None
    for option in ("dateCreated", "dateModified"):
        if option in ask.options:
            attrs = (*(attrs or ("*",)), option)
    return Shape(ngsiv2_query.form(ask.options), attrs, frozenset(), metadata)


async def retrieve(ask: Asking) -> Reply:
    """GET /v2/entities/{id}"""
    accepted(ask.call, (JSON,))
    shape = shape_of(ask, ask.call.params)
    return json(ngsiv2.show_entity(read_one(ask), ask.names, shape))


async def retrieve_attributes(ask: Asking) -> Reply:
    """GET /v2/entities/{id}/attrs"""
    accepted(ask.call, (JSON,))
    shape = shape_of(ask, ask.call.params)
    entity = read_one(ask)
    if shape.form in ("values", "unique"):
        return json(ngsiv2.show_entity(entity, ask.names, shape))
    shown = ngsiv2.show_attributes(entity, ask.names, shape)
    return json(shown if shape.form == "normalized" else {name: item["value"] for name, item in shown.items()})


async def delete(ask: Asking) -> Reply:
    """DELETE /v2/entities/{id}"""
    await alter(ask, "entities.delete", lambda old, _now: entities.gone(old))
    return Reply(204)


async def append(ask: Asking) -> Reply:
    """POST /v2/entities/{id}/attrs"""
    written = ngsiv2.read_entity(body(ask.call), key_values="keyValues" in ask.options, attrs_only=True)
    strict = "append" in ask.options
    refused: list[Refused] = []

    def change(old: Entity, now: str) -> Change:
        refused.clear()
        parts = split(ask, old, written)
        if strict and parts.there:
            refused.append(_partial(EXIST, ask.call.path[0], ask.call.params.get("type"), parts.there, some=bool(parts.missing)))
            return with_attributes(ask, old, written, now, only=parts.missing)
        return with_attributes(ask, old, written, now)

    await alter(ask, "entities.update", change)
    if refused:
        raise refused[0]
    return Reply(204)


async def update(ask: Asking) -> Reply:
    """PATCH /v2/entities/{id}/attrs"""
    written = ngsiv2.read_entity(body(ask.call), key_values="keyValues" in ask.options, attrs_only=True)
    refused: list[Refused] = []

    def change(old: Entity, now: str) -> Change:
        refused.clear()
        parts = split(ask, old, written)
        if parts.missing:
            refused.append(_partial(NOT_EXIST, ask.call.path[0], ask.call.params.get("type"), parts.missing, some=bool(parts.there)))
        return with_attributes(ask, old, written, now, only=parts.there)

    await alter(ask, "entities.update", change)
    if refused:
        raise refused[0]
    return Reply(204)


async def replace(ask: Asking) -> Reply:
    """PUT /v2/entities/{id}/attrs"""
    written = ngsiv2.read_entity(body(ask.call), key_values="keyValues" in ask.options, attrs_only=True)
    await alter(ask, "entities.update", lambda old, now: with_all_replaced(ask, old, written, now))
    return Reply(204)


# --- attributes -------------------------------------------------------------------------------------------------------------------


def _instances(ask: Asking, entity: Entity) -> tuple[str, list[dict[str, Any]]]:
    iri = ask.names.attr(ngsiv2.check_address(ask.call.path[1], "attribute name"))
    if iri not in entity:
        raise ngsiv2.attribute_not_found()
    return iri, entity[iri]


async def retrieve_attribute(ask: Asking) -> Reply:
    """GET /v2/entities/{id}/attrs/{name}"""
    accepted(ask.call, (JSON,))
    _, instances = _instances(ask, read_one(ask))
    return json(ngsiv2.show_attribute(instances, ask.names, shape_of(ask, ask.call.params).metadata))


async def update_attribute(ask: Asking) -> Reply:
    """PUT /v2/entities/{id}/attrs/{name}"""
    name = ngsiv2.check_address(ask.call.path[1], "attribute name")
    written = Written("", None, {name: ngsiv2.read_attribute(name, body(ask.call))})

    def change(old: Entity, now: str) -> Change:
        _instances(ask, old)
        return with_attributes(ask, old, written, now)

    await alter(ask, "entities.update", change)
    return Reply(204)


async def delete_attribute(ask: Asking) -> Reply:
    """DELETE /v2/entities/{id}/attrs/{name}"""
    await alter(ask, "entities.update", lambda old, now: without(old, [_instances(ask, old)[0]], now))
    return Reply(204)


async def retrieve_value(ask: Asking) -> Reply:
    """GET /v2/entities/{id}/attrs/{name}/value"""
    entity = read_one(ask)
    _, value = ngsiv2.shown(ngsiv2.pick(_instances(ask, entity)[1]), ask.names)
    if isinstance(value, dict | list):
        return Reply(200, [], dumps(value), accepted(ask.call, (JSON, TEXT)))
    # JSON is tolerated for a simple value too: clients send Accept: application/json everywhere.
    return Reply(200, [], dumps(value), accepted(ask.call, (TEXT, JSON)))


async def update_value(ask: Asking) -> Reply:
    """PUT /v2/entities/{id}/attrs/{name}/value"""
    call = ask.call
    media = call.content_type.partition(b";")[0].strip().lower()
    if media == TEXT:
        value = plain_value(call.body)
    else:
        value = body(call)
        if not isinstance(value, dict | list):
            raise bad("a JSON object or array is expected; a simple value is sent as text/plain")
    checked = ngsiv2.read_attribute(call.path[1], value, key_values=True).value

    def change(old: Entity, now: str) -> Change:
        iri, instances = _instances(ask, old)
        entity = {**old, iri: ngsiv2.write_value(checked, ask.names, now, instances), "modifiedAt": now}
        return Change(entity, old, _noted(instances, entity[iri], iri))

    await alter(ask, "entities.update", change)
    return Reply(204)


def plain_value(raw: bytes) -> Any:
    """A value in text/plain: a text within ", true, false, null or a number.

    >>> plain_value(b'"a"'), plain_value(b"21.5"), plain_value(b"null")
    ('a', 21.5, None)
    """
    if not raw:
        raise Refused(411, "ContentLengthRequired", "Zero/No Content-Length in PUT/POST/PATCH request")
    try:
        text = raw.decode("utf-8").strip()
        if len(text) > 1 and text.startswith('"') and text.endswith('"'):
            return text[1:-1]
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        value = ...
    if value is None or isinstance(value, bool | int | float):
        return value
    raise bad("attribute value type not recognized")


# --- queries ----------------------------------------------------------------------------------------------------------------------


def who(ask: Asking, reader: Any, tenant: int, asked: Asked) -> Who | None:
    """A selector of the store; None where nothing can fit it."""
    names = ask.names
    around_here = ask.shared.type_names(reader, tenant, names, again=True) if tenant >= 0 else []
    types: tuple[str, ...] | None = None
    if asked.types:
        types = tuple(names.type(name) for name in asked.types)
    elif asked.type_pattern not in (None, ".*"):
        pattern = ngsiv2_query.regular(asked.type_pattern, "typePattern")
        types = tuple(names.type(name) for name in around_here if pattern.search(name))
        if not types:
            return None
    ids = asked.ld_ids(around_here)
    if asked.ids and not ids:
        return None
    kind = TypeQ(",".join(types), tuple((iri,) for iri in types)) if types else None
    return Who(kind, ids, None if asked.id_pattern in (None, ".*") else ngsiv2_query.IdPattern(str(asked.id_pattern)))


async def run_query(ask: Asking, asked: Sequence[Asked], q: Any, geo: dict[str, str] | None, shape: Shape) -> Reply:
    """The entities that are asked for, as one page."""
    call, broker, names = ask.call, ask.call.broker, ask.names
    accepted(call, (JSON,))
    page = ngsiv2_query.page(call.params, ask.options)
    near = bool(geo and geo["georel"].startswith("near"))
    order = ngsiv2_query.order(call.params.get("orderBy"), names, near=near)
    reach = entities.allowed(call, "entities.read")
    reader = broker.store.reader
    tenant = ask.tenant(reader)
    selectors = [one for one in (who(ask, reader, tenant, each) for each in asked) if one is not None]
    if tenant < 0 or (asked and not selectors):
        return json([], headers=[total(0)] if page.total else [])
    q, scope = ngsiv2_query.paths_condition(ask.paths, q)
    chosen = Selection(
        tuple(selectors) if not any(one == Who() for one in selectors) else (),
        (),
        q,
        scope,
        parse_geo(geo, names.terms) if geo else None,
        (reach,) if reach is not None else (),
    )

    def read(session: Any) -> tuple[list[Any], int]:
        if order:
            rows = session.find(tenant, chosen, SORTED + 1)
            if len(rows) > SORTED:
                raise Problem("TooManyResults", "too many entities to put in order", f"more than {SORTED}: narrow the query")
            found = [decode(row[0], row[1]) for row in rows]
            for term in reversed(order):
                found.sort(key=_key(term, names, geo), reverse=term.descending)
            found = found[page.offset : page.offset + page.limit]
        else:
            found = [decode(row[0], row[1]) for row in session.find(tenant, chosen, page.limit, page.offset)]
        return found, session.count(tenant, chosen) if page.total else 0

    brief = broker.store.brief(read) if not order and not page.total and reader.indexed(tenant, chosen) else None
    found, count = brief or await broker.store.slow(read, broker.options.query_seconds)
    return json([ngsiv2.show_entity(entity, names, shape) for entity in found], headers=[total(count)] if page.total else [])


def _key(term: ngsiv2_query.Order, names: Names, geo: dict[str, str] | None) -> Callable[[Entity], Any]:
    if term.sort == "distance":
        lon, lat = msgspec.json.decode((geo or {})["coordinates"])
        return lambda entity: _distance(entity, lon, lat)
    if term.sort == "member":
        return lambda entity: entity.get(term.name, "")
    if term.sort in ("id", "type"):
        place = 0 if term.sort == "id" else 1
        return lambda entity: ngsiv2.v2_id(entity["id"], [names.type_name(iri) for iri in entity["type"]])[place]

    def value(entity: Entity) -> Any:
        instances = entity.get(term.name)
        return ngsiv2_query.order_key(ngsiv2.shown(ngsiv2.pick(instances), names)[1] if instances else None)

    return value


LOCATION = "https://uri.etsi.org/ngsi-ld/location"


def _distance(entity: Entity, lon: float, lat: float) -> float:
    """Metres on the sphere from a point to the nearest corner of the entity's location; infinite without one."""
    found = math.inf
    stack = [instance.get("value", {}).get("coordinates") for instance in entity.get(LOCATION, ())]
    while stack:
        part = stack.pop()
        if isinstance(part, list) and part and isinstance(part[0], int | float):
            one, other = math.radians(lat), math.radians(part[1])
            half = math.sin((other - one) / 2) ** 2 + math.cos(one) * math.cos(other) * math.sin(math.radians(part[0] - lon) / 2) ** 2
            found = min(found, 2 * EARTH * math.asin(min(1.0, math.sqrt(half))))
        elif isinstance(part, list):
            stack += part
    return found


async def query(ask: Asking) -> Reply:
    """GET /v2/entities"""
    params = ask.call.params
    for name in ("id", "type", "idPattern", "typePattern", "q", "mq", "georel", "geometry", "coords", "attrs", "metadata", "options", "orderBy"):
        if params.get(name) == "":
            raise bad(f"Empty right-hand-side for URI param /{name}/")
    asked = ngsiv2_query.asked_of_params(params)
    q = ngsiv2_query.condition(params.get("q"), params.get("mq"), ask.names)
    geo = ngsiv2_query.geo_params(params.get("georel"), params.get("geometry"), params.get("coords"))
    return await run_query(ask, (asked,) if asked != Asked() else (), q, geo, shape_of(ask, params))


async def query_batch(ask: Asking) -> Reply:
    """POST /v2/op/query"""
    raw = body(ask.call)
    if not isinstance(raw, dict) or not raw:
        raise bad("empty payload")
    if not raw.keys() <= {"entities", "attrs", "expression", "metadata"}:
        raise bad("unknown field in the query")
    asked = []
    if "entities" in raw:
        if not isinstance(raw["entities"], list) or not raw["entities"]:
            raise bad("entities must be a list that is not empty")
        asked = [ngsiv2_query.asked_of_entity(one) for one in raw["entities"]]
    q, geo = ngsiv2_subs.read_expression(raw["expression"], ask.names) if "expression" in raw else (None, None)
    return await run_query(ask, asked, q, geo, shape_of(ask, raw))


# --- types ------------------------------------------------------------------------------------------------------------------------


def _type_rows(ask: Asking, session: Any, tenant: int, rows: Sequence[tuple[str, int]], detail: bool) -> list[dict[str, Any]]:
    found = []
    for iri, count in rows:
        attrs: dict[str, dict[str, list[str]]] = {ask.names.attr_name(attr): {"types": []} for attr, _ in session.attributes_of(tenant, iri)}
        if detail:
            entities_of = session.find(tenant, Selection((Who(TypeQ(iri, ((iri,),))),)), SORTED + 1)
            if len(entities_of) > SORTED:
                raise Problem("TooComplexQuery", "too many entities to list the types of their attributes", "use options=noAttrDetail")
            for row in entities_of:
                entity = decode(row[0], row[1])
                for attr in ngsiv2.attributes(entity):
                    kinds = attrs[ask.names.attr_name(attr)]["types"]
                    kind = ngsiv2.shown(ngsiv2.pick(entity[attr]), ask.names)[0]
                    if kind not in kinds:
                        kinds.append(kind)
        found.append({"type": ask.names.type_name(iri), "attrs": attrs, "count": count})
    return found


async def types(ask: Asking) -> Reply:
    """GET /v2/types"""
    call, broker = ask.call, ask.call.broker
    accepted(call, (JSON,))
    page = ngsiv2_query.page(call.params, ask.options)
    _unrestricted(ask)
    tenant = ask.tenant(broker.store.reader)

    def read(session: Any) -> tuple[list[Any], int]:
        rows = sorted(session.types(tenant) if tenant >= 0 else [], key=lambda row: ask.names.type_name(row[0]))
        chosen = rows[page.offset : page.offset + page.limit]
        if "values" in ask.options:
            return [ask.names.type_name(iri) for iri, _ in chosen], len(rows)
        return _type_rows(ask, session, tenant, chosen, "noAttrDetail" not in ask.options), len(rows)

    found, count = await broker.store.slow(read, broker.options.query_seconds)
    return json(found, headers=[total(count)] if page.total else [])


def _unrestricted(ask: Asking) -> None:
    """Counts over everything are for those who may read everything."""
    if entities.allowed(ask.call, "entities.read") is not None:
        raise Problem("Forbidden", "types are listed only for who may read all entities")


async def type_information(ask: Asking) -> Reply:
    """GET /v2/types/{type}"""
    call, broker = ask.call, ask.call.broker
    accepted(call, (JSON,))
    iri = ask.names.type(ngsiv2.check_address(call.path[0], "entity type"))
    _unrestricted(ask)
    tenant = ask.tenant(broker.store.reader)

    def read(session: Any) -> list[dict[str, Any]]:
        rows = [row for row in (session.types(tenant) if tenant >= 0 else []) if row[0] == iri]
        return _type_rows(ask, session, tenant, rows, "noAttrDetail" not in ask.options)

    found = await broker.store.slow(read, broker.options.query_seconds)
    if not found:
        raise Refused(404, "NotFound", "Entity type not found")
    return json({"attrs": found[0]["attrs"], "count": found[0]["count"]})


# --- batches ----------------------------------------------------------------------------------------------------------------------


async def update_batch(ask: Asking) -> Reply:
    """POST /v2/op/update"""
    action, raw = ngsiv2_subs.read_batch(body(ask.call))
    await run_batch(ask, action, raw)
    return Reply(204)


async def notify(ask: Asking) -> Reply:
    """POST /v2/op/notify"""
    if ask.options & {"keyValues"}:
        raise bad("keyValues is not offered for notifications")
    await run_batch(ask, "append", ngsiv2_subs.read_notify(body(ask.call)))
    return Reply(200)


async def run_batch(ask: Asking, action: str, raw: Sequence[Any]) -> None:
    """One action on many entities, each in turn, all in one transaction. Raises Refused where some could not be changed; the others are."""
    call = ask.call
    if len(raw) > TOGETHER:
        raise Refused(413, "RequestEntityTooLarge", f"{len(raw)} entities; at most {TOGETHER} are changed together")
    key_values = "keyValues" in ask.options
    # Deleting names attributes; their values do not matter and may be left out.
    written = [ngsiv2.read_entity(one, key_values=key_values, free=action == "delete") for one in raw]
    path, paths, now = ask.path, ask.paths, times.now()
    operation = "entities.delete" if action == "delete" else "entities.update"
    reach = entities.allowed(call, operation)
    make_reach = entities.allowed(call, "entities.create") if action in ("append", "appendStrict") else None

    def op(tx: Any) -> list[Outcome]:
        tenant = tx.open_tenant(call.tenant) if action in ("append", "appendStrict") else ask.tenant(tx)
        return [_one_of_batch(ask, tx, tenant, action, one, reach, make_reach, path, paths, now) for one in written]

    outcomes = await call.broker.store.write(op)
    _tell(action, outcomes)


class Outcome(NamedTuple):
    """What became of one entity of a batch: names that stood in the way, whether anything was done, whether the entity was there."""

    who: str
    names: list[str]
    done: bool
    there: bool = True


def _one_of_batch(
    ask: Asking, tx: Any, tenant: int, action: str, one: Written, reach: Any, make_reach: Any, path: str, paths: Any, now: str
) -> Outcome:  # each argument is one part of the request
    title = one.id if one.type is None else f"{one.id}/{one.type}"
    make = action in ("append", "appendStrict")
    try:
        old = locate(ask, tx, tenant, one.id, () if one.type is None else (one.type,), reach, paths)
    except Refused as refused:
        if refused.status != 404:
            raise
        if not make:
            return Outcome(title, [], False, there=False)
        entity = ngsiv2.build_entity(one, ask.names, now, path)
        if tx.lean(tenant, entity["id"]) is not None:
            raise ngsiv2.unprocessable(f"Already Exists: {title}, with another type or service path") from None
        if not entities.within(make_reach, entity):
            raise Problem("Forbidden", "this entity is outside of what you may write") from None
        keep(ask, tx, tenant, None, created(entity))
        return Outcome(title, [], True)
    parts, stopped = split(ask, old, one), list[str]()
    if action == "replace":
        change = with_all_replaced(ask, old, one, now)
    elif action == "append":
        change = with_attributes(ask, old, one, now)
    elif action == "appendStrict":
        change, stopped = with_attributes(ask, old, one, now, only=parts.missing), parts.there
    elif action == "update":
        change, stopped = with_attributes(ask, old, one, now, only=parts.there), parts.missing
    elif one.attrs:
        change, stopped = without(old, [ask.names.attr(name) for name in parts.there], now), parts.missing
    else:
        change = entities.gone(old)
    done = not stopped or (len(stopped) < len(one.attrs))
    if done:
        _kept(ask, tx, tenant, old, change, reach)
    return Outcome(title, stopped, done)


def _tell(action: str, outcomes: Sequence[Outcome]) -> None:
    failed = [one for one in outcomes if one.names or not one.there]
    if not failed:
        return
    what = EXIST if action == "appendStrict" else NOT_EXIST
    text = ", ".join(f"{one.who} - [ {', '.join(one.names)} ]" if one.there else f"{one.who} - [entity itself]" for one in failed)
    if not any(one.there for one in outcomes):
        raise Refused(404, "NotFound", f"{what}: {text}")
    some = any(one.done for one in outcomes)
    raise Refused(422, "PartialUpdate" if some else "Unprocessable", f"{what}: {text}")


# --- subscriptions and registrations ----------------------------------------------------------------------------------------------


def _fresh_id() -> str:
    """24 hexadecimal digits, as clients of NGSIv2 know ids."""
    return uuid.uuid4().hex[:24]


def _kept_document(ask: Asking, doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "servicePath": ask.call.header(b"fiware-servicepath"), "by": ask.call.subject}


def reachable(ask: Asking, doc: dict[str, Any]) -> None:
    """400 for a target that the guard would refuse later; one with a template in it is seen only then."""
    for transport in ("http", "httpCustom", "mqtt", "mqttCustom"):
        url = doc["notification"].get(transport, {}).get("url", "")
        if url and "${" not in url:
            try:
                ask.call.broker.guard.check_url(url)
            except GuardError as error:
                raise bad(f"notification {transport} url: {error}") from None


async def create_subscription(ask: Asking) -> Reply:
    """POST /v2/subscriptions"""
    doc = ngsiv2_subs.read_subscription(body(ask.call), ask.names)
    reachable(ask, doc)
    return await _create(ask, SUBSCRIPTION, "subscriptions.create", doc, "/v2/subscriptions")


async def create_registration(ask: Asking) -> Reply:
    """POST /v2/registrations"""
    return await _create(ask, REGISTRATION, "registrations.create", ngsiv2_subs.read_registration(body(ask.call)), "/v2/registrations")


async def _create(ask: Asking, kind: str, operation: str, doc: dict[str, Any], base: str) -> Reply:
    entities.allowed(ask.call, operation)
    _ = ask.paths  # refused here if it cannot be read
    id = _fresh_id()

    def op(tx: Any) -> None:
        tx.put_thing(tx.open_tenant(ask.call.tenant), kind, id, _kept_document(ask, doc))

    await ask.call.broker.store.write(op)
    return Reply(201, [(b"location", f"{base}/{id}".encode())])


async def _list(ask: Asking, kind: str, operation: str, show: Callable[..., dict[str, Any]]) -> Reply:
    accepted(ask.call, (JSON,))
    page = ngsiv2_query.page(ask.call.params, ask.options)
    entities.allowed(ask.call, operation)
    header, reader, now = ask.call.header(b"fiware-servicepath"), ask.call.broker.store.reader, times.now()
    _ = ask.paths
    tenant = ask.tenant(reader)
    if tenant < 0:
        return json([], headers=[total(0)] if page.total else [])
    rows = [row for row in reader.things(tenant, kind) if header in ("", "/#") or row[2].get("servicePath", "") == header]
    shown = [show(id, _clean(doc), state, now) for _, id, doc, state, _, _ in rows[page.offset : page.offset + page.limit]]
    return json(shown, headers=[total(len(rows))] if page.total else [])


def _clean(doc: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in doc.items() if key not in ("servicePath", "by")}


def _thing(ask: Asking, reader: Any, kind: str) -> tuple[int, Any, Any]:
    tenant = ask.tenant(reader)
    found = None if tenant < 0 else reader.thing(tenant, kind, ask.call.path[0])
    if found is None:
        word = "subscription" if kind == SUBSCRIPTION else "registration"
        raise Refused(404, "NotFound", f"The requested {word} has not been found. Check id")
    return tenant, found[0], found[1]


async def list_subscriptions(ask: Asking) -> Reply:
    """GET /v2/subscriptions"""
    return await _list(ask, SUBSCRIPTION, "subscriptions.read", ngsiv2_subs.show_subscription)


async def list_registrations(ask: Asking) -> Reply:
    """GET /v2/registrations"""
    return await _list(ask, REGISTRATION, "registrations.read", ngsiv2_subs.show_registration)


async def retrieve_subscription(ask: Asking) -> Reply:
    """GET /v2/subscriptions/{id}"""
    accepted(ask.call, (JSON,))
    entities.allowed(ask.call, "subscriptions.read")
    _, doc, state = _thing(ask, ask.call.broker.store.reader, SUBSCRIPTION)
    return json(ngsiv2_subs.show_subscription(ask.call.path[0], _clean(doc), state, times.now()))


async def retrieve_registration(ask: Asking) -> Reply:
    """GET /v2/registrations/{id}"""
    accepted(ask.call, (JSON,))
    entities.allowed(ask.call, "registrations.read")
    _, doc, state = _thing(ask, ask.call.broker.store.reader, REGISTRATION)
    return json(ngsiv2_subs.show_registration(ask.call.path[0], _clean(doc), state, times.now()))


async def update_subscription(ask: Asking) -> Reply:
    """PATCH /v2/subscriptions/{id}"""
    raw = body(ask.call)
    entities.allowed(ask.call, "subscriptions.update")

    def op(tx: Any) -> None:
        tenant, doc, _ = _thing(ask, tx, SUBSCRIPTION)
        new = ngsiv2_subs.read_subscription(raw, ask.names, old=_clean(doc))
        reachable(ask, new)
        tx.put_thing(tenant, SUBSCRIPTION, ask.call.path[0], {**new, "servicePath": doc["servicePath"], "by": doc["by"]})

    await ask.call.broker.store.write(op)
    return Reply(204)


async def _delete(ask: Asking, kind: str, operation: str) -> Reply:
    entities.allowed(ask.call, operation)

    def op(tx: Any) -> None:
        tenant, _, _ = _thing(ask, tx, kind)
        tx.delete_thing(tenant, kind, ask.call.path[0])

    await ask.call.broker.store.write(op)
    return Reply(204)


async def delete_subscription(ask: Asking) -> Reply:
    """DELETE /v2/subscriptions/{id}"""
    return await _delete(ask, SUBSCRIPTION, "subscriptions.delete")


async def delete_registration(ask: Asking) -> Reply:
    """DELETE /v2/registrations/{id}"""
    return await _delete(ask, REGISTRATION, "registrations.delete")


# --- entry points -----------------------------------------------------------------------------------------------------------------


async def entry_points(ask: Asking) -> Reply:
    """GET /v2"""
    accepted(ask.call, (JSON,))
    return json({f"{name}_url": f"/v2/{name}" for name in ("entities", "types", "subscriptions", "registrations")})


def add_routes(routes: Routes) -> None:
    """The addresses of NGSIv2."""
    entity, attr, attrs = "/v2/entities/{id}", "/v2/entities/{id}/attrs/{attr}", "/v2/entities/{id}/attrs"
    for method, path, work in (
        ("GET", "/v2", entry_points),
        ("POST", "/v2/entities", create),
        ("GET", "/v2/entities", query),
        ("GET", entity, retrieve),
        ("DELETE", entity, delete),
        ("GET", attrs, retrieve_attributes),
        ("POST", attrs, append),
        ("PATCH", attrs, update),
        ("PUT", attrs, replace),
        ("GET", attr, retrieve_attribute),
        ("PUT", attr, update_attribute),
        ("DELETE", attr, delete_attribute),
        ("GET", f"{attr}/value", retrieve_value),
        ("PUT", f"{attr}/value", update_value),
        ("GET", "/v2/types", types),
        ("GET", "/v2/types/{type}", type_information),
        ("POST", "/v2/op/update", update_batch),
        ("POST", "/v2/op/query", query_batch),
        ("POST", "/v2/op/notify", notify),
        ("POST", "/v2/subscriptions", create_subscription),
        ("GET", "/v2/subscriptions", list_subscriptions),
        ("GET", "/v2/subscriptions/{id}", retrieve_subscription),
        ("PATCH", "/v2/subscriptions/{id}", update_subscription),
        ("DELETE", "/v2/subscriptions/{id}", delete_subscription),
        ("POST", "/v2/registrations", create_registration),
        ("GET", "/v2/registrations", list_registrations),
        ("GET", "/v2/registrations/{id}", retrieve_registration),
        ("DELETE", "/v2/registrations/{id}", delete_registration),
    ):
        routes.add(method, path, handler(work))
