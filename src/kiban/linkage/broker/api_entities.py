"""The HTTP handlers of entities: provision one by one (clauses 5.6.1–5.6.5, 5.6.17–5.6.19, 5.6.21)."""

from __future__ import annotations

from kiban.linkage.broker import entities, model, times
from kiban.linkage.broker.asked import instant, options, truth
from kiban.linkage.broker.negotiate import answer, open_body, open_call
from kiban.linkage.broker.server import JSON, Call, Reply, in_path
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request

BASE = "/ngsi-ld/v1"


def entity_id(call: Call) -> str:
    """The entity id of the path; 400 if it is no URI."""
    id = call.path[0]
    if not is_uri(id):
        raise bad_request(f"entity id: found {id[:200]!r}; expected a URI such as urn:ngsi-ld:Vehicle:A4567")
    return id


def attribute(call: Call) -> str:
    """The attribute IRI of the path."""
    name = call.path[1]
    return "scope" if name == "scope" else model.attribute_iri(name, call.terms)


def dataset(call: Call) -> str | None:
    """datasetId of the query string; "@none" and nothing are the default instance."""
    text = call.params.get("datasetId")
    if text is None or text == "@none":
        return None
    if not is_uri(text):
        raise bad_request(f"datasetId: found {text[:200]!r}; expected a URI")
    return text


async def create(call: Call) -> Reply:
    """POST /entities"""
    raw = await open_body(call)
    if not raw:
        raise Problem("InvalidRequest", "the body is an empty object", "an entity is expected")
    entity = model.parse_entity(raw, call.terms, now=times.now())
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.create(call, raw, entity)  # type: ignore[no-any-return]
    await entities.create(call, entity)
    return Reply(201, [(b"location", f"{BASE}/entities/{in_path(entity['id'])}".encode())])


def changed(call: Call, change: model.Change) -> Reply:
    """204 if everything was taken, 207 with what was and what was not."""
    if not change.refused:
        return Reply(204)
    names = call.terms.terms
    told = {
        "updated": [names[name] for name in change.updated],
        "notUpdated": [{"attributeName": names[part["attributeName"]], "reason": part["reason"]} for part in change.refused],
    }
    return answer(call, told, status=207, media=JSON)


async def append(call: Call) -> Reply:
    """POST /entities/{id}/attrs"""
    id = entity_id(call)
    raw = await open_body(call)
    now = times.now()
    overwrite = "noOverwrite" not in options(call.params)
    fragment = model.parse_fragment(raw, call.terms, now=now, nulls="none", id=id)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.append(call, id, raw, fragment, overwrite)  # type: ignore[no-any-return]
    return changed(call, await entities.alter(call, "entities.update", id, lambda old: model.append(old, fragment, now=now, overwrite=overwrite)))


async def update(call: Call) -> Reply:
    """PATCH /entities/{id}/attrs"""
    id = entity_id(call)
    raw = await open_body(call, patch=True)
    now = times.now()
    fragment = model.parse_fragment(raw, call.terms, now=now, id=id)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.update(call, id, raw, fragment)  # type: ignore[no-any-return]
    return changed(call, await entities.alter(call, "entities.update", id, lambda old: model.update(old, fragment, now=now)))


async def merge(call: Call) -> Reply:
    """PATCH /entities/{id}"""
    id = entity_id(call)
    raw = await open_body(call, patch=True)
    now = times.now()
    observed, lang = instant(call.params, "observedAt"), call.params.get("lang")
    fragment = model.parse_fragment(raw, call.terms, now=now, nulls="deep", id=id)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.merge(call, id, raw, fragment, observed, lang)  # type: ignore[no-any-return]
    await entities.alter(call, "entities.update", id, lambda old: model.merge(old, fragment, now=now, observedAt=observed, lang=lang, terms=call.terms))
    return Reply(204)


async def replace(call: Call) -> Reply:
    """PUT /entities/{id}"""
    id = entity_id(call)
    raw = await open_body(call)
    now = times.now()
    if "id" not in raw and "@id" not in raw:
        raw = {"id": id, **raw}
    new = model.parse_entity(raw, call.terms, now=now)
    if new["id"] != id:
        raise bad_request(f"id: found {new['id'][:200]!r}; expected that of the address, {id!r}")
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.replace(call, id, raw, new)  # type: ignore[no-any-return]
    await entities.alter(call, "entities.update", id, lambda old: model.replace(old, new, now=now))
    return Reply(204)


async def partial(call: Call) -> Reply:
    """PATCH /entities/{id}/attrs/{attr}"""
    id = entity_id(call)
    raw = await open_body(call, patch=True)
    name, now = attribute(call), times.now()
    fragment = model.parse_attribute(call.path[1], raw, call.terms, now=now, partial=True)[0]
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.partial(call, id, name, raw, fragment)  # type: ignore[no-any-return]
    await entities.alter(call, "entities.update", id, lambda old: model.partial(old, name, fragment, now=now))
    return Reply(204)


async def replace_attribute(call: Call) -> Reply:
    """PUT /entities/{id}/attrs/{attr}"""
    id = entity_id(call)
    raw = await open_body(call)
    name, now = attribute(call), times.now()
    instances = model.parse_attribute(call.path[1], raw, call.terms, now=now)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.replace_attribute(call, id, name, raw, instances)  # type: ignore[no-any-return]
    await entities.alter(call, "entities.update", id, lambda old: model.replace_attr(old, name, instances, now=now))
    return Reply(204)


async def delete_attribute(call: Call) -> Reply:
    """DELETE /entities/{id}/attrs/{attr}"""
    await open_call(call)
    id, name, now = entity_id(call), attribute(call), times.now()
    every, one = truth(call.params, "deleteAll"), dataset(call)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.delete_attribute(call, id, name, one, every)  # type: ignore[no-any-return]
    try:
        await entities.alter(call, "entities.update", id, lambda old: model.delete_attr(old, name, now=now, datasetId=one, delete_all=every))
    except Problem as problem:
        if problem.kind != "ResourceNotFound" or not await entities.end_history(call, id, name, one, every, now):
            raise
    return Reply(204)


async def without_id(_: Call) -> Reply:
    """PATCH and PUT /entities: the id is missing"""
    raise bad_request("entity id: found nothing; expected /entities/{id}")


async def delete(call: Call) -> Reply:
    """DELETE /entities/{id}"""
    await open_call(call)
    id = entity_id(call)
    forward = call.broker.forward
    if forward.concerned(call):
        return await forward.delete(call, id)  # type: ignore[no-any-return]
    await entities.delete(call, id)
    return Reply(204)
