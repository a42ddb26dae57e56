"""The HTTP handlers of batches (clauses 5.6.7–5.6.10, 5.6.20): one transaction, each member for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiban.linkage.broker import entities, model, times
from kiban.linkage.broker.asked import instant, options
from kiban.linkage.broker.entities import Entity, alter_in, create_in, within, write_tenant
from kiban.linkage.broker.negotiate import answer, member_terms, open_body
from kiban.linkage.broker.overwrite import overwrite
from kiban.linkage.broker.server import JSON, Call, Reply
from kiban.linkage.broker.store import Selection
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request

MOST = 1000  # members of one batch
Parsed = list[tuple[str, Any, Any]]  # id, raw member, what it was parsed to
Failures = list[dict[str, Any]]


async def members(call: Call, parse: Callable[[Any, Any], Entity]) -> tuple[Parsed, Failures]:
    """The members of a batch, parsed each for itself, and those that could not be."""
    raw = await open_body(call, many=True)
    if not isinstance(raw, list) or not raw:
        raise bad_request("a batch is a list with one member or more")
    if len(raw) > MOST:
        raise Problem("BadRequestData", "the batch is too long", f"found {len(raw)} members; expected at most {MOST}", status=413)
    if any(member is None for member in raw):
        raise bad_request("found null; expected entities")
    found: Parsed = []
    failed: Failures = []
    own = call.content_type.split(b";", 1)[0].strip().lower() == b"application/ld+json"
    for member in raw:
        id = member.get("id", member.get("@id")) if isinstance(member, dict) else None
        try:
            if not isinstance(member, dict):
                raise bad_request(f"found {type(member).__name__}; expected an entity")
            terms = await member_terms(call, member) if own or "@context" in member else call.terms
            found.append((str(id), member, parse(member, terms)))
        except Problem as problem:
            failed.append(failure(id, problem))
    return found, failed


def failure(id: Any, problem: Problem) -> dict[str, Any]:
    """One member that was refused, as the answer tells it."""
    return {"entityId": id if isinstance(id, str) else "", "error": problem.body()}


def outcome(call: Call, success: list[str], failed: Failures, *, created: list[str] | None = None) -> Reply:
    """201 with what was created, 204 if all was well, else 207 with both lists."""
    if failed:
        return answer(call, {"success": success, "errors": failed}, status=207, media=JSON)
    if created:
        return answer(call, created, status=201, media=JSON)
    return Reply(204)


async def each(call: Call, found: Parsed, failed: Failures, work: Callable[[Any, int, str, Any], bool], *, make: bool) -> tuple[list[str], list[str]]:
    """Run a function for each member inside one transaction; ids that went well, and those of them that are new."""

    def op(tx: Any) -> tuple[list[str], list[str], Failures]:
        tenant = write_tenant(call, tx, make=make)
        well: list[str] = []
        new: list[str] = []
        refused: Failures = []
        for id, _, parsed in found:
            try:
                if work(tx, tenant, id, parsed):
                    new.append(id)
                well.append(id)
            except Problem as problem:
                refused.append(failure(id, problem))
        return well, new, refused

    well, new, refused = await call.broker.store.write(op)
    failed += refused
    return well, new


async def create(call: Call) -> Reply:
    """POST /entityOperations/create"""
    now = times.now()
    reach = entities.allowed(call, "entities.create")
    found, failed = await members(call, lambda raw, terms: model.parse_entity(raw, terms, now=now))

    def work(tx: Any, tenant: int, _: str, entity: Entity) -> bool:
        create_in(tx, call, tenant, entity, reach)
        return True

    if call.broker.forward.concerned(call):
        return await call.broker.forward.batch(call, "create", found, failed, work, make=True)  # type: ignore[no-any-return]
    well, new = await each(call, found, failed, work, make=True)
    return outcome(call, well, failed, created=new)


def upsert_in(tx: Any, call: Call, tenant: int, entity: Entity, reach: Selection | None, update: bool, now: str) -> bool:
    """Create, replace or update one entity inside a transaction; True if it is new."""
    if not update and reach is None and (row := tx.stored(tenant, entity["id"])) is not None:
        same = overwrite(row[0], row[1], entity, now=now)
        if same is not None:
            entities.keep_over(tx, call, tenant, row[2], same)
            return False
    old = tx.entity(tenant, entity["id"])
    if old is None:
        create_in(tx, call, tenant, entity, reach, new=False)
        return True
    change = model.append(old, entity, now=now) if update else model.replace(old, entity, now=now)
    if not within(reach, old) or not within(reach, change.entity or old):
        raise Problem("Forbidden", "this entity is outside of what you may write", entity["id"])
    entities.keep(tx, call, tenant, old, change)
    return False


async def upsert(call: Call) -> Reply:
    """POST /entityOperations/upsert"""
    now = times.now()
    reach = entities.allowed(call, "entities.update")
    update = "update" in options(call.params)
    found, failed = await members(call, lambda raw, terms: model.parse_entity(raw, terms, now=now))

    def work(tx: Any, tenant: int, _: str, entity: Entity) -> bool:
        return upsert_in(tx, call, tenant, entity, reach, update, now)

    if call.broker.forward.concerned(call):
        return await call.broker.forward.batch(call, "upsert", found, failed, work, make=True)  # type: ignore[no-any-return]
    well, new = await each(call, found, failed, work, make=True)
    return outcome(call, well, failed, created=new)


def fragments(now: str, nulls: Any) -> Callable[[Any, Any], Any]:
    """A parser of batch members that are fragments: each with its id."""

    def parse(raw: Any, terms: Any) -> Any:
        id = raw.get("id", raw.get("@id"))
        if not isinstance(id, str) or not is_uri(id):
            raise bad_request(f"id: found {str(id)[:200]!r}; expected a URI")
        return model.parse_fragment(raw, terms, now=now, nulls=nulls, id=id), terms

    return parse


async def update(call: Call) -> Reply:
    """POST /entityOperations/update"""
    now = times.now()
    reach = entities.allowed(call, "entities.update")
    overwrite = "noOverwrite" not in options(call.params)
    found, failed = await members(call, fragments(now, "none"))

    def work(tx: Any, tenant: int, id: str, parsed: Any) -> bool:
        change = alter_in(tx, call, tenant, id, lambda old: model.append(old, parsed[0], now=now, overwrite=overwrite), reach)
        if change.refused:
            raise bad_request("; ".join(f"{part['attributeName']}: {part['reason']}" for part in change.refused))
        return False

    if call.broker.forward.concerned(call):
        return await call.broker.forward.batch(call, "update", found, failed, work, make=False)  # type: ignore[no-any-return]
    well, _ = await each(call, found, failed, work, make=False)
    return outcome(call, well, failed)


async def merge(call: Call) -> Reply:
    """POST /entityOperations/merge"""
    now = times.now()
    reach = entities.allowed(call, "entities.update")
    observed, lang = instant(call.params, "observedAt"), call.params.get("lang")
    found, failed = await members(call, fragments(now, "deep"))

    def work(tx: Any, tenant: int, id: str, parsed: Any) -> bool:
        fragment, terms = parsed
        alter_in(tx, call, tenant, id, lambda old: model.merge(old, fragment, now=now, observedAt=observed, lang=lang, terms=terms), reach)
        return False

    if call.broker.forward.concerned(call):
        return await call.broker.forward.batch(call, "merge", found, failed, work, make=False)  # type: ignore[no-any-return]
    well, _ = await each(call, found, failed, work, make=False)
    return outcome(call, well, failed)


async def delete(call: Call) -> Reply:
    """POST /entityOperations/delete"""
    reach = entities.allowed(call, "entities.delete")
    raw = await open_body(call, many=True)
    if not isinstance(raw, list) or not raw:
        raise bad_request("a list of entity ids is expected")
    if len(raw) > MOST:
        raise Problem("BadRequestData", "the batch is too long", f"found {len(raw)} members; expected at most {MOST}", status=413)
    if any(id is None for id in raw):
        raise bad_request("found null; expected entity ids")
    failed: Failures = []
    found: Parsed = []
    for id in raw:
        if isinstance(id, str) and is_uri(id):
            found.append((id, id, id))
        else:
            failed.append(failure(id, bad_request(f"entity id: found {str(id)[:200]!r}; expected a URI")))

    def work(tx: Any, tenant: int, id: str, _: Any) -> bool:
        alter_in(tx, call, tenant, id, entities.gone, reach)
        return False

    if call.broker.forward.concerned(call):
        return await call.broker.forward.batch(call, "delete", found, failed, work, make=False)  # type: ignore[no-any-return]
    well, _ = await each(call, found, failed, work, make=False)
    return outcome(call, well, failed)
