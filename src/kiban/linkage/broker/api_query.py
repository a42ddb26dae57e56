"""The HTTP handlers that read entities: retrieve, query, discovery of types and attributes (clauses 5.7.1, 5.7.2, 5.7.5–5.7.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from kiban.linkage.broker import entities, maps
from kiban.linkage.broker.api_entities import entity_id
from kiban.linkage.broker.asked import Page, joined, options, ordering, page, picked, question, selected, truth, whole_number
from kiban.linkage.broker.geo import Ordering, parse_geo, parse_ordering
from kiban.linkage.broker.negotiate import accepted, answer, context_header, name_context, open_body, open_call, opened
from kiban.linkage.broker.render import LOCATION, View, decode, earlier, follow, languages, render, render_all, render_lean, render_lean_all, with_links
from kiban.linkage.broker.selection import Projection, parse_id_pattern, parse_names, parse_projection, parse_scope, parse_types
from kiban.linkage.broker.server import GEO, JSON, LD, Call, Headers, Remembered, Reply, dumps
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request, not_found

VIEWS: Remembered = Remembered()
SORTED = 20_000  # entities that one ordered query may put in order
JOINED = 5000  # linked entities in one answer
LEVELS = 20
FORMATS = {"normalized": "normalized", "concise": "concise", "simplified": "simplified", "keyValues": "simplified"}


def view_of(call: Call, media: bytes) -> View:
    """The view that a call's query string asks for, remembered."""
    key = (call.query, call.terms.serial, media)
    if media == GEO:
        return make_view(call.params, call, media)
    found = VIEWS.get(key)
    return found if found is not None else VIEWS.keep(key, make_view(call.params, call, media), len(call.query))  # type: ignore[no-any-return]


def form_of(params: Mapping[str, str]) -> str:
    """normalized, concise or simplified: `format` before `options`."""
    chosen = params.get("format")
    if chosen is not None:
        if chosen not in FORMATS:
            raise Problem("InvalidRequest", "unknown format", f"found {chosen[:40]!r}; expected normalized, concise or simplified")
        return FORMATS[chosen]
    asked = [FORMATS[name] for name in ("normalized", "concise", "simplified", "keyValues") if name in options(params)]
    return asked[0] if asked else "normalized"


def make_view(params: Mapping[str, str], call: Call, media: bytes) -> View:
    """A View out of parameters."""
    terms = call.terms
    attrs, pick, omit, lang = params.get("attrs"), params.get("pick"), params.get("omit"), params.get("lang")
    if (pick or omit) and attrs:
        raise bad_request("attrs: found beside pick or omit; expected one or the other")
    for name, text in (("pick", pick), ("omit", omit), ("attrs", attrs), ("lang", lang)):
        if text == "":
            raise bad_request(f"{name}: found nothing; expected names, or leave it out")
    chosen = parse_projection(pick, terms, "pick") if pick else None
    omitted = parse_projection(omit, terms, "omit") if omit else None
    if chosen and omitted and (both := chosen.members.keys() & omitted.members.keys() - {name for name, below in omitted.members.items() if below}):
        raise bad_request(f"omit: found {terms.terms[min(both)]!r}, which pick names too")
    if max((part.depth for part in (chosen, omitted) if part), default=0) > joined(params):
        raise bad_request("pick, omit: found a choice of members of linked entities; expected join with a joinLevel as deep")
    datasets = params.get("datasetId")
    sets: frozenset[str | None] | None = None
    if datasets is not None:
        for name in datasets.split(","):
            if name != "@none" and not is_uri(name):
                raise bad_request(f"datasetId: found {name[:100]!r}; expected a URI or @none")
        sets = frozenset(None if name == "@none" else name for name in datasets.split(","))
    join = params.get("join")
    if join is not None and join not in ("inline", "flat", "@none"):
        raise bad_request(f"join: found {join[:40]!r}; expected inline, flat or @none")
    geometry = params.get("geometryProperty")
    if geometry is not None and media != GEO:
        raise bad_request("geometryProperty: found without Accept: application/geo+json")
    context: Any = None
    if media == LD or (media == GEO and "body=json" not in call.header(b"prefer").replace(" ", "")):
        context = terms.source
    return View(
        format=form_of(params),  # type: ignore[arg-type]
        sys="sysAttrs" in options(params) or truth(params, "sysAttrs"),
        languages=languages(lang) if lang else (),
        attrs=frozenset(parse_names(attrs, terms)) if attrs else None,
        pick=tree(chosen),
        omit=tree(omitted),
        datasets=sets,
        geometry=(terms.expand(geometry) if geometry else LOCATION) if media == GEO else None,
        context=context,
        join=join if join in ("inline", "flat") else None,  # type: ignore[arg-type]
        depth=whole_number(params, "joinLevel", 1, 1, LEVELS),
    )


def tree(projection: Projection | None) -> Any:
    """A projection as the plain mapping that a view wants."""
    return None if projection is None else {name: tree(below) for name, below in projection.members.items()}


def linked(reader: Any, tenant: int, found: list[dict[str, Any]], view: View, reach: Selection | None) -> dict[str, dict[str, Any]]:
    """The entities that relationships of these lead to, as far as the subject may reach them."""

    def get(id: str) -> dict[str, Any] | None:
        other = reader.entity(tenant, id)
        return other if other is not None and entities.within(reach, other) else None

    return follow(found, view, get, JOINED)


async def retrieve(call: Call) -> Reply:
    """GET /entities/{id}"""
    await open_call(call)
    id, view, media, reach = asked_of(call)
    if call.broker.forward.concerned(call):
        return await call.broker.forward.retrieve(call, id, view, media, reach)  # type: ignore[no-any-return]
    return await retrieve_here(call, id, view, media, reach)


def retrieve_at_once(call: Call) -> Reply | None:
    """`retrieve` where nothing has to be waited for: no @context, no other source, no entity map; else None."""
    if not opened(call) or call.broker.forward.concerned(call) or asks_map(call):
        return None
    return kept_here(call, *asked_of(call))


def asked_of(call: Call) -> tuple[str, View, bytes, Selection | None]:
    """The id of the entity that is asked for, how it is to be shown, in which media type, and what the subject may reach."""
    media = accepted(call, (JSON, LD, GEO))
    id = entity_id(call)
    view = view_of(call, media)
    reach = entities.allowed(call, "entities.read", hides=True)
    return id, entities.hide(call, view), media, reach


async def retrieve_here(call: Call, id: str, view: View, media: bytes, reach: Selection | None) -> Reply:
    """One entity as it is kept here."""
    if not asks_map(call):
        return kept_here(call, id, view, media, reach)
    reader = call.broker.store.reader
    found = given_map(call, reader, entities.read_tenant(call, reader))
    reply = kept_here(call, id, view, media, reach)
    if found is None:
        return reply
    found.keep([id])
    return reply._replace(headers=[*reply.headers, await found.settle(call.broker.store, prune=False)])


def kept_here(call: Call, id: str, view: View, media: bytes, reach: Selection | None) -> Reply:
    """One entity as it is kept here, whatever map it belongs to."""
    reader = call.broker.store.reader
    tenant = entities.read_tenant(call, reader)
    if reach is None and view.plain and view.whole and "type" not in call.params and b"prefer" not in call.headers:
        found = reader.lean(tenant, id)
        if found is None:
            raise not_found(id)
        body = render_lean(found[0], call.terms, view, flat=found[1])
        return Reply(200, [context_header(call.terms)] if media == JSON else [], body, media)
    entity = reader.entity(tenant, id)
    if entity is None or not entities.within(reach, entity) or not of_type(call, entity):
        raise not_found(id)
    return one(call, entity, view, media, linked(reader, tenant, [entity], view, reach) if view.join else {})


def asks_map(call: Call) -> bool:
    """Whether a request has to do with an entity map."""
    return b"ngsild-entitymap" in call.headers or "entityMap" in call.params


def given_map(call: Call, reader: Any, tenant: int) -> maps.Given | None:
    """What a request has to do with an entity map, mostly nothing."""
    if not asks_map(call):
        return None
    found = maps.given(call, reader, tenant)
    if found is not None:
        entities.allowed(call, "maps.create" if found.new else "maps.read", hides=True)
    return found


def of_type(call: Call, entity: dict[str, Any]) -> bool:
    """True if the entity has the type that the query string wants, if any."""
    wanted = call.params.get("type")
    return wanted is None or parse_types(wanted, call.terms).matches(entity)


def one(call: Call, entity: dict[str, Any], view: View, media: bytes, known: dict[str, dict[str, Any]]) -> Reply:
    """The answer with a single entity; 404 if none of the attributes that were asked for is there."""
    if view.attrs is not None and not any(name in view.attrs for name in entity):
        raise not_found(f"{entity['id']} with one of these attributes")
    if (view.pick is not None and not any(name in view.pick for name in entity)) or (
        view.omit is not None and all(name in view.omit and not view.omit[name] for name in entity if name not in ("createdAt", "modifiedAt", "expiresAt"))
    ):
        raise not_found(f"{entity['id']} with one of these members")
    if known:
        view = with_links(view, known)
    shown = render_all([entity], call.terms, view) if view.join == "flat" and known else render(entity, call.terms, view)
    return finish(call, shown, media, [])


PREFERENCE = re.compile(r'(?:^|,)\s*ngsi-ld\s*=\s*"?(\d+)\.(\d+)"?\s*(?:[;,]|$)', re.IGNORECASE)


def preferred(call: Call) -> tuple[int, int] | None:
    """The version of the standard that a client prefers (Prefer: ngsi-ld=1.5), None if it does not say."""
    if b"prefer" not in call.headers:
        return None
    found = PREFERENCE.search(call.header(b"prefer"))
    return (int(found[1]), int(found[2])) if found else None


def finish(call: Call, shown: Any, media: bytes, headers: Headers) -> Reply:
    """An answer whose @context, if it has one, is in the body already; in the form of an earlier version of the standard, if that is preferred."""
    version = preferred(call)
    if version is not None:
        shown, altered = earlier(shown, version)
        applied = (b"preference-applied", f"ngsi-ld={version[0]}.{version[1]}".encode())
        return Reply(203 if altered else 200, [*headers, applied, *([context_header(call.terms)] if media != LD else [])], dumps(shown), media)
    return Reply(200, [*headers, context_header(call.terms)] if media != LD else headers, dumps(shown), media)


def page_links(call: Call, asked: Page, more: bool, media: bytes = JSON) -> Headers:
    """Link headers to the next and the previous page."""
    found: Headers = []
    if asked.limit == 0:
        return found
    path = call.raw_path.decode("ascii", "replace").rstrip("/")
    for name, offset in (("prev", max(0, asked.offset - asked.limit)), ("next", asked.offset + asked.limit)):
        if (name == "prev" and asked.offset > 0) or (name == "next" and more):
            query = urlencode(sorted({**call.params, "limit": str(asked.limit), "offset": str(offset)}.items()), safe=":,/*")
            found.append((b"link", f'<{path}?{query}>;rel="{name}";type="{media.decode()}"'.encode()))
    return found


async def query(call: Call) -> Reply:
    """GET /entities"""
    await open_call(call)
    media = accepted(call, (JSON, LD, GEO))
    return await run_query(call, selected(call), view_of(call, media), media, page(call.params), ordering(call.params, call.terms))


async def run_query(call: Call, chosen: Selection, view: View, media: bytes, asked: Page, order: Any) -> Reply:
    """The entities of a selection as one page."""
    broker = call.broker
    reach = entities.allowed(call, "entities.read", hides=True)
    view = entities.hide(call, view, order)
    if reach is not None:
        chosen = entities.narrow(call, "entities.read", chosen)
    if broker.forward.concerned(call):
        return await broker.forward.query(call, chosen, view, media, asked, order, reach)  # type: ignore[no-any-return]
    return await query_here(call, chosen, view, media, asked, order, reach)


async def query_here(call: Call, chosen: Selection, view: View, media: bytes, asked: Page, order: Any, reach: Selection | None) -> Reply:
    """The entities of a selection that are kept here, as one page."""
    broker = call.broker
    reach = entities.allowed(call, "entities.read", hides=True)
    reader = broker.store.reader
    tenant = entities.read_tenant(call, reader)
    mapped = given_map(call, reader, tenant)

    def read(session: Any) -> tuple[list[Any], int, bool, dict[str, Any]]:
        if mapped is not None and mapped.new:
            mapped.take(session, chosen)
        elif mapped is not None:
            fitting = mapped.matching(session, chosen, None if order or asked.counted else asked.offset + asked.limit + 1)
            rows = mapped.rows(session, chosen, fitting if order else fitting[asked.offset : asked.offset + asked.limit + 1])
            if order:
                rows = [row for _, row in order.sorted([(decode(row[0], row[1]), row) for row in rows], lambda pair: pair[0])]
                rows = rows[asked.offset : asked.offset + asked.limit + 1]
            shown = rows[: asked.limit]
            known = linked(session, tenant, [decode(row[0], row[1]) for row in shown], view, reach) if view.join else {}
            return shown, len(fitting), len(rows) > asked.limit, known
        if order:
            rows = session.find(tenant, chosen, SORTED + 1)
            if len(rows) > SORTED:
                raise Problem("TooManyResults", "too many entities to put in order", f"more than {SORTED}: narrow the query")
            found = order.sorted([(decode(row[0], row[1]), row) for row in rows], lambda pair: pair[0])
            rows = [row for _, row in found[asked.offset : asked.offset + asked.limit + 1]]
        else:
            rows = session.find(tenant, chosen, asked.limit + 1, asked.offset)
        total = session.count(tenant, chosen) if asked.counted else 0
        shown = rows[: asked.limit]
        known = linked(session, tenant, [decode(row[0], row[1]) for row in shown], view, reach) if view.join else {}
        return shown, total, len(rows) > asked.limit, known

    found = broker.store.brief(read) if not order and not asked.counted and reader.indexed(tenant, chosen) else None
    rows, total, more, known = found or await broker.store.slow(read, broker.options.query_seconds)
    headers = page_links(call, asked, more, media)
    if asked.counted:
        headers.append((b"ngsild-results-count", str(total).encode()))
    status = 200
    if mapped is not None:
        status = 201 if mapped.new else 200
        headers.append(await mapped.settle(broker.store, prune=reach is None))
    version = preferred(call)
    if not view.join and not view.geometry and version is None:
        terms = call.terms
        body = render_lean_all(rows, terms, view)
        return Reply(status, [*headers, context_header(terms)] if media == JSON else headers, body, media)
    shown = render_all([decode(row[0], row[1]) for row in rows], call.terms, with_links(view, known) if known else view)
    reply = finish(call, shown, media, headers)
    return reply if status == 200 else reply._replace(status=status)


async def query_batch(call: Call) -> Reply:
    """POST /entityOperations/query"""
    raw = await open_body(call)
    media = accepted(call, (JSON, LD, GEO))
    if media != LD:
        await name_context(call)
    if raw.get("type") != "Query":
        raise bad_request(f"type: found {raw.get('type')!r}; expected 'Query'")
    if "temporalQ" in raw:
        raise bad_request("temporalQ: found in a query of entities; expected in /temporal/entityOperations/query only")
    params = query_params(raw, call.params)
    return await run_query(call, query_selection(raw, params, call), make_view(params, call, media), media, page(params), query_order(raw, call))


def query_order(raw: dict[str, Any], call: Call) -> Ordering | None:
    """The ordering of a query document: `ordering` with orderBy, coordinates, geometry, collation; or orderBy of the query string."""
    found = raw.get("ordering")
    if found is None:
        return ordering(call.params, call.terms)
    if not isinstance(found, dict) or not isinstance(found.get("orderBy"), (list, str)):
        raise bad_request("ordering: expected an object with orderBy")
    if found.get("coordinates") is not None and not isinstance(found["coordinates"], list):
        raise bad_request("ordering: expected coordinates as an array")
    return parse_ordering(found["orderBy"], call.terms, found.get("coordinates"), found.get("geometry"), found.get("collation"))


def query_params(raw: dict[str, Any], params: Mapping[str, str]) -> dict[str, str]:
    """The parts of a query document that a query string can say too, as its parameters."""
    found = dict(params)
    for name in ("attrs", "pick", "omit", "datasetId", "orderBy", "expandValues"):
        value = raw.get(name)
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            found[name] = ",".join(value)
        elif isinstance(value, str) and value:
            found[name] = value
        elif value is not None:
            raise bad_request(f"{name}: found {str(value)[:100]}; expected a list of names")
    for name in ("lang", "join", "q", "scopeQ"):
        value = raw.get(name)
        if value is not None:
            if not isinstance(value, str) or not value:
                raise bad_request(f"{name}: found {str(value)[:100]}; expected text")
            found[name] = value
    if raw.get("joinLevel") is not None:
        found["joinLevel"] = str(raw["joinLevel"])
    return found


def query_selection(raw: dict[str, Any], params: Mapping[str, str], call: Call) -> Selection:
    """The entities that a query document selects."""
    terms = call.terms
    selectors = raw.get("entities")
    if selectors is not None and (not isinstance(selectors, list) or not selectors):
        raise bad_request("entities: expected a list of entity selectors")
    who = tuple(selector(part, terms) for part in selectors or ())
    geo_text = raw.get("geoQ")
    if geo_text is not None and not isinstance(geo_text, dict):
        raise bad_request("geoQ: expected an object with georel, geometry and coordinates")
    geo = parse_geo(geo_text, terms) if geo_text else None
    q, scope, attrs = question(params, terms), params.get("scopeQ"), params.get("attrs")
    if not (who or (q and q.attributes) or attrs or geo is not None or params.get("local") == "true"):
        raise bad_request("the query is too wide: expected one of entities, attrs, q, geoQ, or local=true")
    return Selection(who, parse_names(attrs, terms) if attrs else picked(params, terms), q, parse_scope(scope) if scope else None, geo)


def selector(part: Any, terms: Any) -> Who:
    """One entity selector of a document: type, id (one or several), idPattern."""
    if not isinstance(part, dict) or not isinstance(part.get("type"), str) or not part["type"]:
        raise bad_request("entities: each selector is an object with a type")
    ids = part.get("id")
    ids = [ids] if isinstance(ids, str) else ids or []
    if not isinstance(ids, list) or not all(isinstance(id, str) and is_uri(id) for id in ids):
        raise bad_request(f"entities: found id {str(ids)[:100]}; expected a URI")
    pattern = part.get("idPattern")
    if pattern is not None and not isinstance(pattern, str):
        raise bad_request("entities: idPattern is text")
    kind = None if part["type"] == "*" else parse_types(part["type"], terms)
    return Who(kind, tuple(ids), parse_id_pattern(pattern) if pattern and not ids else None)


async def purge(call: Call) -> Reply:
    """DELETE /entities"""
    await open_call(call)
    chosen = selected(call)
    reach = entities.allowed(call, "entities.delete")
    if reach is not None:
        chosen = entities.narrow(call, "entities.delete", chosen)
    drop, keep = call.params.get("drop"), call.params.get("keep")
    if drop and keep:
        raise bad_request("drop: found beside keep; expected one or the other")
    broker = call.broker
    if broker.forward.concerned(call):
        return await broker.forward.purge(call, chosen)  # type: ignore[no-any-return]
    return await purge_here(call, chosen)


async def purge_here(call: Call, chosen: Selection) -> Reply:
    """Delete the selected entities that are kept here, or attributes of them."""
    drop, keep = call.params.get("drop"), call.params.get("keep")
    from kiban.linkage.broker.purging import purge

    dropped = parse_names(drop, call.terms, "drop") if drop else ()
    kept = parse_names(keep, call.terms, "keep") if keep else ()
    await purge(call, chosen, dropped, kept)
    return Reply(204)


# --- discovery


def wants_details(call: Call) -> bool:
    """details=true"""
    return truth(call.params, "details")


async def types(call: Call) -> Reply:
    """GET /types"""
    await open_call(call)
    accepted(call)
    entities.entirely(call, "types.read")
    detailed = wants_details(call)
    if call.broker.forward.concerned(call):
        return await call.broker.forward.types(call, detailed)  # type: ignore[no-any-return]
    return answer(call, await types_here(call, detailed))


async def types_here(call: Call, detailed: bool) -> Any:
    """The types of the entities that are kept here."""
    names = call.terms.terms

    def read(session: Any) -> Any:
        tenant = entities.read_tenant(call, session)
        found = session.types(tenant)
        if not detailed:
            return type_list([names[iri] for iri, _ in found])
        return [
            {"id": iri, "type": "EntityType", "typeName": names[iri], "attributeNames": sorted(names[attr] for attr, _ in session.attributes_of(tenant, iri))}
            for iri, _ in found
        ]

    return await call.broker.store.slow(read)


def type_list(found: list[str]) -> dict[str, Any]:
    """The short answer of type discovery."""
    return {"id": maps.fresh_urn("EntityTypeList"), "type": "EntityTypeList", "typeList": sorted(found)}


async def type_information(call: Call) -> Reply:
    """GET /types/{type}"""
    await open_call(call)
    accepted(call)
    entities.entirely(call, "types.read")
    iri = call.terms.expand_type(call.path[0])
    if call.broker.forward.concerned(call):
        return await call.broker.forward.information(call, "types", iri, type_here)  # type: ignore[no-any-return]
    return answer(call, await type_here(call, iri))


async def type_here(call: Call, iri: str) -> dict[str, Any]:
    """What is known here of a type; 404 if no entity has it."""
    names = call.terms.terms

    def read(session: Any) -> Any:
        tenant = entities.read_tenant(call, session)
        count = dict(session.types(tenant)).get(iri, 0)
        if not count:
            raise not_found(call.path[0], "Entity type")
        details = []
        for attr, _ in session.attributes_of(tenant, iri):
            kinds = session.kinds_of(tenant, attr, iri)
            details.append({"id": attr, "type": "Attribute", "attributeName": names[attr], "attributeTypes": kinds})
        details.sort(key=lambda part: str(part["attributeName"]))
        return {"id": iri, "type": "EntityTypeInfo", "typeName": names[iri], "entityCount": count, "attributeDetails": details}

    return await call.broker.store.slow(read)  # type: ignore[no-any-return]


async def attributes(call: Call) -> Reply:
    """GET /attributes"""
    await open_call(call)
    accepted(call)
    entities.entirely(call, "types.read")
    detailed = wants_details(call)
    if call.broker.forward.concerned(call):
        return await call.broker.forward.attributes(call, detailed)  # type: ignore[no-any-return]
    return answer(call, await attributes_here(call, detailed))


async def attributes_here(call: Call, detailed: bool) -> Any:
    """The attributes of the entities that are kept here."""
    names = call.terms.terms

    def read(session: Any) -> Any:
        tenant = entities.read_tenant(call, session)
        found = session.attributes(tenant)
        if not detailed:
            return {"id": maps.fresh_urn("AttributeList"), "type": "AttributeList", "attributeList": sorted(names[iri] for iri, _ in found)}
        return [
            {"id": iri, "type": "Attribute", "attributeName": names[iri], "typeNames": sorted(names[kind] for kind, _ in session.types_with(tenant, iri))}
            for iri, _ in found
        ]

    return await call.broker.store.slow(read)


async def attribute_information(call: Call) -> Reply:
    """GET /attributes/{attr}"""
    await open_call(call)
    accepted(call)
    entities.entirely(call, "types.read")
    iri = call.terms.expand(call.path[0])
    if call.broker.forward.concerned(call):
        return await call.broker.forward.information(call, "attributes", iri, attribute_here)  # type: ignore[no-any-return]
    return answer(call, await attribute_here(call, iri))


async def attribute_here(call: Call, iri: str) -> dict[str, Any]:
    """What is known here of an attribute; 404 if no entity has it."""
    names = call.terms.terms

    def read(session: Any) -> Any:
        tenant = entities.read_tenant(call, session)
        count = dict(session.attributes(tenant)).get(iri, 0)
        if not count:
            raise not_found(call.path[0], "Attribute")
        return {
            "id": iri,
            "type": "Attribute",
            "attributeName": names[iri],
            "attributeCount": count,
            "attributeTypes": session.kinds_of(tenant, iri, None),
            "typeNames": sorted(names[kind] for kind, _ in session.types_with(tenant, iri)),
        }

    return await call.broker.store.slow(read)  # type: ignore[no-any-return]
