"""The HTTP handlers of context source registrations and of subscriptions to them (clauses 5.9, 5.10, 5.11)."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from kiban.linkage.broker import source_subscriptions as watching
from kiban.linkage.broker import sources, times
from kiban.linkage.broker.asked import Page, options, page, truth
from kiban.linkage.broker.entities import allowed, read_tenant, write_tenant
from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.negotiate import accepted, answer, open_body, open_call
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.selection import parse_id_pattern, parse_ids, parse_names, parse_scope, parse_temporal, parse_types
from kiban.linkage.broker.server import LOCATION, Call, Headers, Reply, in_path
from kiban.linkage.broker.sources import EVERY, KIND, Asked
from kiban.linkage.broker.store import Who
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, already_exists, bad_request, conflict, not_found

BASE = "/ngsi-ld/v1/csourceRegistrations"


def path_id(call: Call, what: str) -> str:
    """The id of the path; 400 if it is no URI."""
    id = call.path[0]
    if not is_uri(id):
        raise bad_request(f"{what} id: found {id[:200]!r}; expected a URI")
    return id


def document_id(raw: dict[str, Any], kind: str) -> str:
    """The id of a new document, made if it brings none."""
    id = raw.get("id", raw.get("@id"))
    if id is None:
        return f"urn:ngsi-ld:{kind}:{uuid.uuid4()}"
    if not isinstance(id, str) or not is_uri(id):
        raise bad_request(f"id: found {str(id)[:200]!r}; expected a URI")
    return id


def demand_all(call: Call, operation: str) -> None:
    """403 unless the subject may do this with everything: a registration has no entity that a condition could look at."""
    if allowed(call, operation) is not None:
        raise Problem("Forbidden", "this is not allowed", f"{operation} without conditions is needed")


def location(base: str, id: str) -> Headers:
    """The Location header of something new."""
    return [(LOCATION, f"{base}/{in_path(id)}".encode())]


async def create(call: Call) -> Reply:
    """POST /csourceRegistrations"""
    raw = await open_body(call)
    demand_all(call, "registrations.create")
    broker = call.broker
    id = document_id(raw, "ContextSourceRegistration")
    doc = sources.parse(raw, call.terms, guard=broker.guard)

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=True)
        if tx.thing(tenant, KIND, id) is not None:
            raise already_exists(id, "Context source registration")
        sources.check_conflicts(tx, tenant, id, doc, broker.contexts.core)
        keep(tx, call, tenant, id, None, doc)

    await broker.store.write(op)
    await broker.sources.changed()
    return Reply(201, location(BASE, id))


def keep(tx: Any, call: Call, tenant: int, id: str, old: sources.Doc | None, doc: sources.Doc | None) -> None:
    """Store a registration (None: remove it) and tell those who subscribed to registrations."""
    if doc is None:
        tx.delete_thing(tenant, KIND, id)
    else:
        tx.put_thing(tenant, KIND, id, doc, expires=times.parse(doc["expiresAt"]) if "expiresAt" in doc else None)
    call.broker.source_notices.changed(tx, tenant, call.tenant, id, old, doc)
    call.broker.relay.source_changed(tx, call.tenant, tenant, id, doc)


async def update(call: Call) -> Reply:
    """PATCH /csourceRegistrations/{id}"""
    id = path_id(call, "registration")
    raw = await open_body(call, patch=True)
    demand_all(call, "registrations.update")
    if not raw:
        raise bad_request("the fragment is empty")
    if "id" in raw and raw["id"] != id:
        raise bad_request(f"id: found {str(raw['id'])[:200]!r}; expected that of the address, {id!r}")
    broker = call.broker
    fragment = sources.parse(raw, call.terms, partial=True, guard=broker.guard)

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=False)
        found = tx.thing(tenant, KIND, id)
        if found is None:
            raise not_found(id, "Context source registration")
        doc = sources.merged(found[0], fragment)
        sources.check_conflicts(tx, tenant, id, doc, broker.contexts.core)
        keep(tx, call, tenant, id, found[0], doc)

    await broker.store.write(op)
    await broker.sources.changed()
    return Reply(204)


async def delete(call: Call) -> Reply:
    """DELETE /csourceRegistrations/{id}"""
    await open_call(call)
    id = path_id(call, "registration")
    demand_all(call, "registrations.delete")

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=False)
        found = tx.thing(tenant, KIND, id)
        if found is None:
            raise not_found(id, "Context source registration")
        keep(tx, call, tenant, id, found[0], None)

    await call.broker.store.write(op)
    await call.broker.sources.changed()
    return Reply(204)


def with_times(call: Call) -> bool:
    """Whether system times are to be shown."""
    return "sysAttrs" in options(call.params) or truth(call.params, "sysAttrs")


async def retrieve(call: Call) -> Reply:
    """GET /csourceRegistrations/{id}"""
    await open_call(call)
    media = accepted(call)
    id = path_id(call, "registration")
    demand_all(call, "registrations.read")
    reader = call.broker.store.reader
    found = reader.thing(read_tenant(call, reader), KIND, id)
    if found is None:
        raise not_found(id, "Context source registration")
    return answer(call, sources.render(found[0], id, call.terms, state=found[1], sys=found[2:] if with_times(call) else None), media=media)


def asked(call: Call) -> Asked:
    """The registrations that a query string looks for; 400 if it says too little."""
    params, terms = call.params, call.terms
    get = params.get
    for name in ("type", "id", "idPattern", "q", "csf", "scopeQ"):
        if get(name) == "":
            raise bad_request(f"{name}: found nothing; expected a value, or leave it out")
    types, ids, pattern, attrs = get("type"), get("id"), get("idPattern"), get("attrs")
    # An empty choice of a time or place is that of the default.
    kinds = parse_types(types, terms) if types and types != "*" else None
    who = (Who(kinds, parse_ids(ids) if ids else (), parse_id_pattern(pattern) if pattern else None),) if types or ids or pattern else ()
    given = {name: value for name, value in params.items() if value or name not in ("geoproperty", "timeproperty")}
    geo = parse_geo(given, terms)
    q = get("q")
    found = Asked(
        who,
        frozenset(parse_names(attrs, terms)) if attrs else EVERY,
        parse_q(q, terms) if q else None,
        parse_q(get("csf", ""), terms, where="csf") if get("csf") else None,
        parse_scope(get("scopeQ", "")) if get("scopeQ") else None,
        geo,
        parse_temporal(given),
    )
    if not (who or attrs or q or geo is not None):
        raise bad_request("the query is too wide: expected one of type, attrs, q, id or a geo-query")
    return found


async def query(call: Call) -> Reply:
    """GET /csourceRegistrations"""
    await open_call(call)
    media = accepted(call)
    demand_all(call, "registrations.read")
    wanted, shown = asked(call), page(call.params)
    broker = call.broker
    reader = broker.store.reader
    tenant = read_tenant(call, reader)
    now = times.now_us()
    found = [source for source in broker.sources.of(call.tenant) if source.alive(now) and wanted.matches(source)]
    answers = []
    for source in found[shown.offset : shown.offset + shown.limit]:
        kept = reader.thing(tenant, KIND, source.id)
        if kept is not None:
            answers.append(sources.render(kept[0], source.id, call.terms, state=kept[1], sys=kept[2:] if with_times(call) else None))
    return listed(call, answers, shown, len(found), media)


def listed(call: Call, shown: list[Any], one: Page, total: int, media: bytes) -> Reply:
    """One page of a list with the links to those around it."""
    headers: Headers = []
    # The reserved signs of a query may stand in it as they are; what the client sent comes back in its order.
    rest = "".join(f"{name}={quote(value, safe=':,/*')}&" for name, value in call.params.items() if name not in ("limit", "offset"))
    path = call.raw_path.decode("ascii", "replace").rstrip("/")
    for name, offset in (("prev", max(0, one.offset - one.limit)), ("next", one.offset + one.limit)):
        if one.limit and ((name == "prev" and one.offset > 0) or (name == "next" and total > offset)):
            link = f'<{path}?{rest}limit={one.limit}&offset={offset}>; rel="{name}"; type="application/ld+json"'
            headers.append((b"link", link.encode()))
    if one.counted:
        headers.append((b"ngsild-results-count", str(total).encode()))
    return answer(call, shown, media=media, headers=headers)


# --- subscriptions to registrations

SUBSCRIPTIONS = "/ngsi-ld/v1/csourceSubscriptions"


async def subscribe(call: Call) -> Reply:
    """POST /csourceSubscriptions"""
    raw = await open_body(call)
    demand_all(call, "registrations.create")
    broker = call.broker
    id = document_id(raw, "Subscription")
    doc = watching.parse(raw, call.terms, guard=broker.guard) | {"context": call.terms.source}

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=True)
        if tx.thing(tenant, watching.KIND, id) is not None:
            raise already_exists(id, "Subscription")
        keep_subscription(tx, call, tenant, id, doc)

    await broker.store.write(op)
    return Reply(201, location(SUBSCRIPTIONS, id))


def keep_subscription(tx: Any, call: Call, tenant: int, id: str, doc: sources.Doc) -> None:
    """Store a subscription and tell its endpoint of all that match now."""
    tx.put_thing(tenant, watching.KIND, id, doc)
    call.broker.source_notices.start(tx, tenant, call.tenant, id, doc)


async def update_subscription(call: Call) -> Reply:
    """PATCH /csourceSubscriptions/{id}"""
    id = path_id(call, "subscription")
    if not call.content_type:
        call.json()  # what is no JSON at all is told as such
    raw = await open_body(call, patch=True)
    demand_all(call, "registrations.update")
    if not raw:
        raise bad_request("the fragment is empty")
    if "id" in raw and raw["id"] != id:
        raise bad_request(f"id: found {str(raw['id'])[:200]!r}; expected that of the address, {id!r}")
    fragment = watching.parse(raw, call.terms, partial=True, guard=call.broker.guard)

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=False)
        keep_subscription(tx, call, tenant, id, watching.merged(own_subscription(tx, tenant, id), fragment))

    await call.broker.store.write(op)
    return Reply(204)


def own_subscription(tx: Any, tenant: int, id: str) -> sources.Doc:
    """A subscription that clients may change; 409 for one that the broker keeps for a subscription to entities."""
    found = tx.thing(tenant, watching.KIND, id)
    if found is None:
        raise not_found(id, "Subscription")
    if "internal" in found[0]:
        raise conflict(f"{id} belongs to the subscription {found[0]['internal']}")
    return found[0]  # type: ignore[no-any-return]


async def unsubscribe(call: Call) -> Reply:
    """DELETE /csourceSubscriptions/{id}"""
    await open_call(call)
    id = path_id(call, "subscription")
    demand_all(call, "registrations.delete")

    def op(tx: Any) -> None:
        tenant = write_tenant(call, tx, make=False)
        own_subscription(tx, tenant, id)
        tx.delete_thing(tenant, watching.KIND, id)
        tx.withdraw(tenant, id)

    await call.broker.store.write(op)
    return Reply(204)


async def retrieve_subscription(call: Call) -> Reply:
    """GET /csourceSubscriptions/{id}"""
    await open_call(call)
    media = accepted(call)
    id = path_id(call, "subscription")
    demand_all(call, "registrations.read")
    reader = call.broker.store.reader
    tenant = read_tenant(call, reader)
    await call.broker.dispatcher.written(tenant, id)
    found = reader.thing(tenant, watching.KIND, id)
    if found is None:
        raise not_found(id, "Subscription")
    return answer(call, watching.render(found[0], id, call.terms, found[1], sys=found[2:] if with_times(call) else None), media=media)


async def query_subscriptions(call: Call) -> Reply:
    """GET /csourceSubscriptions"""
    await open_call(call)
    media = accepted(call)
    demand_all(call, "registrations.read")
    shown = page(call.params)
    reader = call.broker.store.reader
    tenant = read_tenant(call, reader)
    sys = with_times(call)
    found = [
        watching.render(doc, id, call.terms, state, sys=(created, modified) if sys else None)
        for _, id, doc, state, created, modified in reader.things(tenant, watching.KIND, shown.limit, shown.offset)
    ]
    return listed(call, found, shown, reader.count_things(tenant, watching.KIND), media)
