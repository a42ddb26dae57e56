"""Distributed operations: what of a request other context sources do or answer (ETSI GS CIM 009 v1.9.1, 4.3.6, 5.6, 5.7, 6.3.17, 6.3.18).

In: a request that its handler has read already. Out: the answer of this broker and its sources together. What of an entity a source is registered for
decides who is asked: exclusive sources have their attributes to themselves, redirect sources stand in for this broker, inclusive ones take part beside
it, auxiliary ones only fill what nobody else knows. A tenant without registrations costs every request one look into a dict.

A source that fails never spoils the rest: what was there is answered, NGSILD-Warning or the 207 answer say what was missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from kiban.linkage.broker import api_batch, api_entities, api_query, entities, model, times
from kiban.linkage.broker.asked import Page, truth
from kiban.linkage.broker.entities import Entity
from kiban.linkage.broker.model import OWN
from kiban.linkage.broker.negotiate import answer
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.remote import FAILED, INVALID, SEARCH, SILENT, Got, Remote, renamed
from kiban.linkage.broker.render import View, decode, render_all, with_links
from kiban.linkage.broker.selection import parse_types
from kiban.linkage.broker.server import JSON, LOCATION, Call, Headers, Reply, Spelled, dumps, in_path
from kiban.linkage.broker.sources import EVERY, Every, Info, Kind, Share, Source, both, either
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.errors import Problem, bad_request, not_found

FOUND: Final = 10_000  # entities that one distributed query may bring together
PAGE: Final = 1000  # entities that a source is asked for at a time
WARNING: Final = Spelled(b"NGSILD-Warning")
READS: Final = ("retrieveEntity", "queryEntity", "queryBatch")
# Operation on one entity → its name in registrations.
SINGLE: Final = {
    "create": "createEntity",
    "append": "appendAttrs",
    "update": "updateEntity",
    "merge": "mergeEntity",
    "replace": "replaceEntity",
    "partial": "updateAttrs",
    "replace_attribute": "replaceAttrs",
    "delete_attribute": "deleteAttrs",
    "delete": "deleteEntity",
}
# Batch → its name, and the operation on one entity that does the same where a source has no batches.
BATCH: Final = {
    "create": ("createBatch", "createEntity"),
    "upsert": ("upsertBatch", "createEntity"),
    "update": ("updateBatch", "appendAttrs"),
    "merge": ("mergeBatch", "mergeEntity"),
    "delete": ("deleteBatch", "deleteEntity"),
}
CONVEYED: Final = ("options", "format", "observedAt", "lang", "datasetId", "deleteAll", "type")  # parameters that go on to the sources


class Part(NamedTuple):
    """What one source has of a request: the attributes, and whether it is registered for the operation."""

    source: Source
    names: Share
    able: bool


class Plan(NamedTuple):
    """Who does what: the parts of the sources, and the attributes that are no business of this broker any more.

    here  whether anything is left to do here
    """

    parts: list[Part]
    taken: Share
    here: bool


class Failed(NamedTuple):
    """One part that did not go well: where (None: here), why, and for which attributes."""

    source: Source | None
    problem: dict[str, Any]
    names: Share


def attributes_of(fragment: Entity) -> list[str]:
    """The attributes of an entity or a fragment."""
    return [name for name in fragment if name not in OWN]


class Forward:
    """What other brokers add to this one."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.sources = broker.sources
        self.remote = Remote(broker)

    def concerned(self, call: Call) -> bool:
        """True if a registration of the tenant may have a part in this request; the cheap question of every request."""
        found = self.sources
        if not found.shared and not found.by_tenant:
            return False
        return bool(found.of(call.tenant)) and call.params.get("local") != "true" and b"ngsild-snapshot" not in call.headers

    # --- who is asked

    async def live(self, call: Call) -> tuple[list[Source], bool]:
        """The sources that have not expired, without those that the request came through; and whether it came through this broker before."""
        now = times.now_us()
        found = [source for source in self.sources.of(call.tenant) if source.alive(now)]
        filter = call.params.get("csf")
        if filter:
            wanted = parse_q(filter, call.terms, where="csf")
            found = [source for source in found if wanted.matches(source.properties)]
        passed = self.remote.passed(call)
        if not passed:
            return found, False
        if self.remote.alias(call.tenant) in passed:
            return found, True
        names = await asyncio.gather(*(self.remote.names(call, source) for source in found))
        return [source for source, name in zip(found, names, strict=True) if name not in passed], False

    async def plan(self, call: Call, id: str, types: Iterable[str] | None, names: list[str] | None, operations: tuple[str, ...]) -> Plan:
        """Who has which part in a change of one entity. names: the attributes it is about, None: the whole entity; types None: not known."""
        found, looped = await self.live(call)
        return self.split(found, looped, id, types, names, operations)

    def split(self, found: list[Source], looped: bool, id: str, types: Iterable[str] | None, names: list[str] | None, operations: tuple[str, ...]) -> Plan:
        """The plan for one entity among these sources."""
        kinds = None if types is None else frozenset(types)
        parts: list[Part] = []
        taken: Share = frozenset()
        for mode in ("exclusive", "redirect", "inclusive"):
            claimed: Share = frozenset()
            for source in found:
                if source.mode != mode:
                    continue
                share = source.share(id, kinds)
                if share is None:
                    continue
                mine: Share = share if names is None else frozenset(name for name in names if name in share and name not in taken)
                if not mine and not (not names and isinstance(share, Every) and not isinstance(taken, Every)):
                    continue
                if looped:
                    if mode == "inclusive":
                        continue
                    raise Problem("LoopDetected", "the request came through this broker before", f"{source.id} leads back to it")
                able = not source.operations.isdisjoint(operations)
                if able or mode != "inclusive":
                    parts.append(Part(source, mine, able))
                if mode != "inclusive":
                    claimed = either(claimed, share)
            taken = either(taken, claimed)
        here = any(name not in taken for name in names) if names else not isinstance(taken, Every)
        return Plan(parts, taken, here)

    def kept(self, call: Call, id: str) -> Entity | None:
        """The entity as it is kept here."""
        reader = self.broker.store.reader
        tenant = reader.tenant(call.tenant)
        return None if tenant is None else reader.entity(tenant, id)

    def types_of(self, call: Call, id: str, named: Iterable[str] = ()) -> list[str] | None:
        """The types of an entity as far as they are known here: those of a fragment, of what is kept here, of the query string."""
        found = list(named)
        known = self.kept(call, id)
        if known is not None:
            found += known["type"]
        wanted = call.params.get("type")
        if wanted and wanted != "*":
            found += parse_types(wanted, call.terms).names
        return found or None

    async def permit(self, call: Call, operation: str, entity: Entity | None, id: str, names: Iterable[str]) -> None:
        """403 or 404 unless the subject may do this with the entity wherever it is kept. entity: it, if it is new."""
        found = self.broker.access.demand(call.subject, operation, call.tenant)
        if found is None:
            return
        whole = entity or await self.whole(call, id)
        if whole is None or not found.matches(whole):
            raise Problem("Forbidden", "this entity is outside of what you may write", id) if entity else not_found(id)
        found.check(names)

    # --- changing one entity

    def params(self, call: Call) -> list[tuple[str, str]]:
        """The parameters that go on to the sources."""
        return [(name, call.params[name]) for name in CONVEYED if name in call.params]

    async def tell(self, call: Call, source: Source, method: str, path: str, params: Iterable[tuple[str, str]], raw: Any = None, base: Any = None) -> Got:
        """One request with a body that has the names of `base`."""
        terms = await self.remote.terms(call, source, base)
        if raw is not None and terms is not (base or call.terms):
            raw = renamed(raw, base or call.terms, terms)
        return await self.remote.send(call, source, method, path, params, raw, terms=terms)

    async def do(
        self, plan: Plan, here: Callable[[], Awaitable[Any]] | None, there: Callable[[Part], Awaitable[Got]]
    ) -> tuple[Any, int, list[Failed], list[Got]]:
        """Run the part of this broker and those of the sources side by side: what came of ours, how many went well, what failed, what was answered."""

        async def ours() -> Any:
            try:
                return await here() if here is not None else None
            except Problem as problem:
                if problem.kind in ("Unauthorized", "Forbidden"):
                    raise
                return problem

        able = [part for part in plan.parts if part.able]
        result, *answers = await asyncio.gather(ours(), *(there(part) for part in able))
        failed = [Failed(part.source, self.unable(part), part.names) for part in plan.parts if not part.able]
        well = 0
        if isinstance(result, Problem):
            failed.insert(0, Failed(None, result.body(), EVERY))
        elif here is not None:
            well += 1
        for part, got in zip(able, answers, strict=True):
            if got.well:
                well += 1
            elif got.status == 207:
                well += 1
                failed.append(Failed(part.source, self.inner(got), part.names))
            else:
                failed.append(Failed(part.source, got.problem(), part.names))
        return result, well, failed, answers

    @staticmethod
    def unable(part: Part) -> dict[str, Any]:
        """The problem of a source that has attributes for itself and is not registered for the operation."""
        return Problem("Conflict", "a context source is not registered for this operation", part.source.id).body()

    @staticmethod
    def inner(got: Got) -> dict[str, Any]:
        """The problem inside of an answer of partial success."""
        errors = got.value.get("errors") if isinstance(got.value, dict) else None
        if isinstance(errors, list) and errors and isinstance(errors[0], dict) and isinstance(errors[0].get("error"), dict):
            return errors[0]["error"]  # type: ignore[no-any-return]
        return Problem("InternalError", "a context source did this in part only", got.source.id, status=207).body()

    def outcome(self, call: Call, id: str, well: int, failed: list[Failed], success: Reply) -> Reply:
        """The answer to a change of one entity: success, the one problem, or both lists (BatchOperationResult)."""
        if not failed:
            return success
        statuses = [part.problem.get("status") for part in failed]
        if not well and (len(failed) == 1 or set(statuses) == {404}):
            return Reply(statuses[0] or 500, [], dumps(failed[0].problem), JSON)
        return answer(call, {"success": [id] if well else [], "errors": [self.error(id, part) for part in failed]}, status=207, media=JSON)

    @staticmethod
    def error(id: str, part: Failed) -> dict[str, Any]:
        """A BatchEntityError (5.2.17)."""
        return {"entityId": id, **({"registrationId": part.source.id} if part.source else {}), "error": part.problem}

    def updated(self, call: Call, change: Any, plan: Plan, well: int, failed: list[Failed], answers: list[Got]) -> Reply:
        """The answer to a change of several attributes: an UpdateResult if not everything went well."""
        refused = change.refused if isinstance(change, model.Change) else []
        if not failed and not refused:
            return Reply(204)
        statuses = [part.problem.get("status") for part in failed]
        if not well and failed and (len(failed) == 1 or set(statuses) == {404}):
            return Reply(statuses[0] or 500, [], dumps(failed[0].problem), JSON)
        names = call.terms.terms
        done = [names[name] for name in change.updated] if isinstance(change, model.Change) else []
        missed = [{"attributeName": names[part["attributeName"]], "reason": part["reason"]} for part in refused]
        able = [part for part in plan.parts if part.able]
        for part, got in zip(able, answers, strict=True):
            told = got.value if got.status == 207 and isinstance(got.value, dict) else {}
            if got.well:
                done += [names[name] for name in self.listed(part.names)]
            elif told.get("notUpdated"):
                done += [str(name) for name in told.get("updated", [])]
                missed += [{**entry, "registrationId": got.source.id} for entry in told["notUpdated"] if isinstance(entry, dict)]
                failed = [each for each in failed if each.source is not got.source]
        for each in failed:
            reason = str(each.problem.get("detail") or each.problem.get("title"))
            where = {"registrationId": each.source.id} if each.source else {}
            missed += [{"attributeName": names[name], "reason": reason, **where} for name in self.listed(each.names, plan)]
        return answer(call, {"updated": list(dict.fromkeys(done)), "notUpdated": missed}, status=207, media=JSON)

    @staticmethod
    def listed(names: Share, plan: Plan | None = None) -> list[str]:
        """Names of a share; those of all parts where it is every attribute."""
        if not isinstance(names, Every):
            return sorted(names)
        return sorted({name for part in plan.parts if not isinstance(part.names, Every) for name in part.names}) if plan else []

    @staticmethod
    def cut(raw: dict[str, Any], names: Share, terms: Any) -> dict[str, Any]:
        """What a client wrote of an entity, with these attributes only."""
        if isinstance(names, Every):
            return raw
        return {key: value for key, value in raw.items() if key in OWN or key[:1] == "@" or terms.expand(key)[:1] == "@" or terms.expand(key) in names}

    @staticmethod
    def left(fragment: Entity, taken: Share) -> Entity:
        """What is left of an entity for this broker."""
        return {name: value for name, value in fragment.items() if name in OWN or name not in taken} if taken else fragment

    async def create(self, call: Call, raw: dict[str, Any], entity: Entity) -> Reply:
        """POST /entities"""
        id = entity["id"]
        plan = await self.plan(call, id, entity["type"], attributes_of(entity), ("createEntity",))
        success = Reply(201, [(LOCATION, f"{api_entities.BASE}/entities/{in_path(id)}".encode())])
        if not plan.parts:
            await entities.create(call, entity)
            return success
        entities.allowed(call, "entities.create")
        await self.permit(call, "entities.create", entity, id, attributes_of(entity))

        def here() -> Awaitable[None]:
            return entities.create(call, self.left(entity, plan.taken))

        def there(part: Part) -> Awaitable[Got]:
            return self.tell(call, part.source, "POST", "/entities", self.params(call), self.cut(raw, part.names, call.terms))

        _, well, failed, _ = await self.do(plan, here if plan.here else None, there)
        return self.outcome(call, id, well, failed, success)

    async def several(self, call: Call, kind: str, id: str, raw: Any, fragment: Entity, change: Callable[[Entity, Entity], model.Change]) -> Reply:
        """A change of several attributes of one entity; change: of an entity by a fragment."""
        plan = await self.plan(call, id, self.types_of(call, id, fragment.get("type", ())), attributes_of(fragment), (SINGLE[kind],))
        own = self.left(fragment, plan.taken)

        def here() -> Awaitable[model.Change]:
            return entities.alter(call, "entities.update", id, lambda old: change(old, own))

        if not plan.parts:
            return self.changed(call, kind, await here())
        entities.allowed(call, "entities.update")
        await self.permit(call, "entities.update", None, id, attributes_of(fragment))
        method, path = {
            "append": ("POST", f"{self.path(id)}/attrs/"),
            "update": ("PATCH", f"{self.path(id)}/attrs/"),
            "merge": ("PATCH", self.path(id)),
            "replace": ("PUT", self.path(id)),
        }[kind]

        def there(part: Part) -> Awaitable[Got]:
            return self.tell(call, part.source, method, path, self.params(call), self.cut(raw, part.names, call.terms))

        # A replacement of which all was taken still takes the old attributes here.
        ours = plan.here or (kind == "replace" and not isinstance(plan.taken, Every) and self.kept(call, id) is not None)
        result, well, failed, answers = await self.do(plan, here if ours else None, there)
        if kind in ("merge", "replace"):
            return self.outcome(call, id, well, failed, Reply(204))
        return self.updated(call, result, plan, well, failed, answers)

    @staticmethod
    def changed(call: Call, kind: str, change: model.Change) -> Reply:
        """The answer where no source is concerned."""
        return Reply(204) if kind in ("merge", "replace") else api_entities.changed(call, change)

    @staticmethod
    def path(id: str) -> str:
        """The path of an entity."""
        return f"/entities/{in_path(id)}"

    async def append(self, call: Call, id: str, raw: Any, fragment: Entity, overwrite: bool) -> Reply:
        """POST /entities/{id}/attrs"""
        now = times.now()
        return await self.several(call, "append", id, raw, fragment, lambda old, part: model.append(old, part, now=now, overwrite=overwrite))

    async def update(self, call: Call, id: str, raw: Any, fragment: Entity) -> Reply:
        """PATCH /entities/{id}/attrs"""
        now = times.now()
        return await self.several(call, "update", id, raw, fragment, lambda old, part: model.update(old, part, now=now))

    async def merge(self, call: Call, id: str, raw: Any, fragment: Entity, observed: str | None, lang: str | None) -> Reply:
        """PATCH /entities/{id}"""
        now = times.now()
        return await self.several(
            call, "merge", id, raw, fragment, lambda old, part: model.merge(old, part, now=now, observedAt=observed, lang=lang, terms=call.terms)
        )

    async def replace(self, call: Call, id: str, raw: Any, new: Entity) -> Reply:
        """PUT /entities/{id}"""
        now = times.now()
        return await self.several(call, "replace", id, raw, new, lambda old, part: model.replace(old, part, now=now))

    async def one(self, call: Call, kind: str, id: str, name: str, raw: Any, change: Callable[[Entity], model.Change]) -> Reply:
        """A change of one attribute of one entity."""
        plan = await self.plan(call, id, self.types_of(call, id), [name], (SINGLE[kind],))

        def here() -> Awaitable[model.Change]:
            return entities.alter(call, "entities.update", id, change)

        if not plan.parts:
            await here()
            return Reply(204)
        entities.allowed(call, "entities.update")
        await self.permit(call, "entities.update", None, id, [name])
        method = {"partial": "PATCH", "replace_attribute": "PUT", "delete_attribute": "DELETE"}[kind]

        async def there(part: Part) -> Got:
            terms = await self.remote.terms(call, part.source)
            body = raw if raw is None or terms is call.terms else renamed(raw, call.terms, terms, top=False)
            path = f"{self.path(id)}/attrs/{quote(terms.terms[name] if name != 'scope' else name, safe='')}"
            return await self.remote.send(call, part.source, method, path, self.params(call), body, terms=terms)

        _, well, failed, _ = await self.do(plan, here if plan.here else None, there)
        return self.outcome(call, id, well, failed, Reply(204))

    async def partial(self, call: Call, id: str, name: str, raw: Any, fragment: Any) -> Reply:
        """PATCH /entities/{id}/attrs/{attr}"""
        now = times.now()
        return await self.one(call, "partial", id, name, raw, lambda old: model.partial(old, name, fragment, now=now))

    async def replace_attribute(self, call: Call, id: str, name: str, raw: Any, instances: Any) -> Reply:
        """PUT /entities/{id}/attrs/{attr}"""
        now = times.now()
        return await self.one(call, "replace_attribute", id, name, raw, lambda old: model.replace_attr(old, name, instances, now=now))

    async def delete_attribute(self, call: Call, id: str, name: str, dataset: str | None, every: bool) -> Reply:
        """DELETE /entities/{id}/attrs/{attr}"""
        now = times.now()
        return await self.one(call, "delete_attribute", id, name, None, lambda old: model.delete_attr(old, name, now=now, datasetId=dataset, delete_all=every))

    async def delete(self, call: Call, id: str) -> Reply:
        """DELETE /entities/{id}"""
        plan = await self.plan(call, id, self.types_of(call, id), None, ("deleteEntity",))

        def here() -> Awaitable[None]:
            return entities.delete(call, id)

        if not plan.parts:
            await here()
            return Reply(204)
        entities.allowed(call, "entities.delete")
        await self.permit(call, "entities.delete", None, id, ())

        def there(part: Part) -> Awaitable[Got]:
            return self.tell(call, part.source, "DELETE", self.path(id), self.params(call))

        # Where a source has the entity, or a part of it, for itself there may well be nothing here.
        alone = any(part.source.mode != "inclusive" for part in plan.parts)
        ours = not alone or self.kept(call, id) is not None
        _, well, failed, _ = await self.do(plan, here if ours else None, there)
        return self.outcome(call, id, well, failed, Reply(204))

    # --- changing many entities

    async def purge(self, call: Call, chosen: Selection) -> Reply:
        """DELETE /entities"""
        found, looped = await self.live(call)
        jobs = []
        for source in found:
            if source.mode == "auxiliary" or "purgeEntity" not in source.operations or not self.meets(source, chosen):
                continue
            if looped:
                if source.mode == "inclusive":
                    continue
                raise Problem("LoopDetected", "the request came through this broker before", f"{source.id} leads back to it")
            params = [(name, value) for name, value in call.params.items() if name not in ("local", "via", "csf")]
            jobs.append(self.remote.send(call, source, "DELETE", "/entities", params, terms=call.terms))
        if jobs and chosen.also:
            raise Problem("Forbidden", "entities of other context sources can be purged without conditions on access only")
        _, *answers = await asyncio.gather(api_query.purge_here(call, chosen), *jobs)
        failed = [Failed(got.source, got.problem(), EVERY) for got in answers if not got.well and got.status != 404]
        if not failed:
            return Reply(204)
        return answer(call, {"success": [], "errors": [self.error("", part) for part in failed]}, status=207, media=JSON)

    @staticmethod
    def meets(source: Source, chosen: Selection) -> bool:
        """Whether a source may have entities of a selection."""
        wanted: Share = frozenset(chosen.attrs) if chosen.attrs else EVERY
        return any((not chosen.who or any(info.meets(who) for who in chosen.who)) and both(info.attrs, wanted) for info in source.infos)

    async def batch(
        self,
        call: Call,
        kind: str,
        found: api_batch.Parsed,
        failed: api_batch.Failures,
        work: Callable[[Any, int, str, Any], bool],
        *,
        make: bool,
    ) -> Reply:
        """POST /entityOperations/{kind}; work: what is done here with one member, inside a transaction."""
        live, looped = await self.live(call)
        bases = await self.bases(call, found)
        there: dict[str, tuple[Source, list[tuple[str, Any, Any]]]] = {}
        here: api_batch.Parsed = []
        good: dict[str, None] = {}
        operation = {"create": "entities.create", "delete": "entities.delete"}.get(kind, "entities.update")
        for (id, raw, parsed), base in zip(found, bases, strict=True):
            fragment: Entity = {} if kind == "delete" else parsed[0] if isinstance(parsed, tuple) else parsed
            names = None if kind == "delete" else attributes_of(fragment)
            types = self.types_of(call, id, fragment.get("type", ()))
            try:
                plan = self.split(live, looped, id, types, names, BATCH[kind])
                if plan.parts:
                    await self.permit(call, operation, fragment if kind == "create" else None, id, names or ())
            except Problem as problem:
                failed.append(api_batch.failure(id, problem))
                continue
            for part in plan.parts:
                if part.able:
                    there.setdefault(part.source.id, (part.source, []))[1].append((id, raw if kind == "delete" else self.cut(raw, part.names, base), base))
                else:
                    failed.append(self.error(id, Failed(part.source, self.unable(part), part.names)))
            if kind == "delete":
                alone = any(part.source.mode != "inclusive" for part in plan.parts)
                ours = not alone or self.kept(call, id) is not None
            else:
                ours = plan.here
            if ours:
                own = self.left(fragment, plan.taken)
                here.append((id, raw, parsed if kind == "delete" else (own, parsed[1]) if isinstance(parsed, tuple) else own))

        async def ours_done() -> tuple[list[str], list[str]]:
            return await api_batch.each(call, here, failed, work, make=make) if here else ([], [])

        (well, new), *answers = await asyncio.gather(ours_done(), *(self.batch_to(call, kind, *part) for part in there.values()))
        created = dict.fromkeys(new)
        good |= dict.fromkeys(well)
        for done, made, wrong in answers:
            good |= dict.fromkeys(done)
            created |= dict.fromkeys(made)
            failed += wrong
        bad = {part["entityId"] for part in failed}
        order = [id for id, _, _ in found]
        if kind == "create":
            created = good
        return api_batch.outcome(
            call,
            [id for id in dict.fromkeys(order) if id in good and id not in bad],
            failed,
            created=[id for id in dict.fromkeys(order) if id in created] if kind in ("create", "upsert") else None,
        )

    async def bases(self, call: Call, found: api_batch.Parsed) -> list[Any]:
        """The @context of each member of a batch, as its body or the Link header says."""
        if call.content_type.split(b";", 1)[0].strip().lower() != b"application/ld+json":
            return [call.terms] * len(found)
        bases, at = [], 0
        for member in call.json():
            if at < len(found) and isinstance(member, dict) and member.get("id", member.get("@id")) == found[at][0]:
                bases.append(await self.broker.contexts.term_map(member.get("@context"), call.tenant))
                at += 1
        return bases + [call.terms] * (len(found) - len(bases))

    async def batch_to(self, call: Call, kind: str, source: Source, members: list[tuple[str, Any, Any]]) -> tuple[list[str], list[str], list[dict[str, Any]]]:
        """The part of a batch that one source does: ids that went well, ids that are new, what failed."""
        ids = [id for id, _, _ in members]
        if BATCH[kind][0] not in source.operations:
            answers = await asyncio.gather(*(self.batch_one(call, kind, source, *member) for member in members))
            wrong = [self.error(id, Failed(source, got.problem(), EVERY)) for id, got in zip(ids, answers, strict=True) if not got.well]
            well = [id for id, got in zip(ids, answers, strict=True) if got.well]
            return well, [id for id, got in zip(ids, answers, strict=True) if got.status == 201], wrong
        base = members[0][2]
        body = [raw if kind == "delete" or own.key == base.key else renamed(raw, own, base) for _, raw, own in members]
        if kind == "delete":
            got = await self.remote.send(call, source, "POST", "/entityOperations/delete", self.params(call), body)
        else:
            got = await self.tell(call, source, "POST", f"/entityOperations/{kind}", self.params(call), body, base)
        if got.well:
            new = got.value if isinstance(got.value, list) else ids if got.status == 201 else []
            return ids, [id for id in ids if id in new], []
        told = got.value if got.status == 207 and isinstance(got.value, dict) else {}
        errors = {
            part["entityId"]: part["error"]
            for part in told.get("errors", [])
            if isinstance(part, dict) and isinstance(part.get("entityId"), str) and isinstance(part.get("error"), dict)
        }
        if not errors:
            problem = self.inner(got) if got.status == 207 else got.problem()
            return [], [], [self.error(id, Failed(source, problem, EVERY)) for id in ids]
        wrong = [self.error(id, Failed(source, errors[id], EVERY)) for id in ids if id in errors]
        return [id for id in ids if id not in errors], [id for id in ids if id in told.get("success", ()) and kind == "create"], wrong

    async def batch_one(self, call: Call, kind: str, source: Source, id: str, raw: Any, base: Any) -> Got:
        """One member of a batch for a source that has no batches."""
        params = self.params(call)
        match kind:
            case "delete":
                return await self.tell(call, source, "DELETE", self.path(id), params)
            case "update":
                return await self.tell(call, source, "POST", f"{self.path(id)}/attrs/", params, raw, base)
            case "merge":
                return await self.tell(call, source, "PATCH", self.path(id), params, raw, base)
        got = await self.tell(call, source, "POST", "/entities", [pair for pair in params if pair[0] != "options"], raw, base)
        if kind == "upsert" and got.status == 409:
            if call.params.get("options") == "update":
                return await self.tell(call, source, "POST", f"{self.path(id)}/attrs/", (), raw, base)
            return await self.tell(call, source, "PUT", self.path(id), (), raw, base)
        return got

    # --- reading

    def readers(self, found: list[Source], looped: bool) -> list[Source]:
        """The sources in the order in which they are heard: exclusive, redirect, inclusive, auxiliary."""
        able = [source for source in found if not source.operations.isdisjoint(READS) or source.mode in ("exclusive", "redirect")]
        if looped:
            able = [source for source in able if source.mode in ("exclusive", "redirect")]
        return sorted(able, key=lambda source: ("exclusive", "redirect", "inclusive", "auxiliary").index(source.mode))

    async def whole(self, call: Call, id: str) -> Entity | None:
        """An entity with everything that this broker and its sources know of it; None if nobody knows it."""
        entity, _ = await self.gather(call, id, EVERY)
        return entity

    async def retrieve(self, call: Call, id: str, view: View, media: bytes, reach: Selection | None) -> Reply:
        """GET /entities/{id}"""
        if self.mapped(call):
            found, looped = await self.live(call)
            kinds = self.types_of(call, id)
            others = [each for each in self.readers(found, looped) if each.share(id, None if kinds is None else frozenset(kinds)) is not None]
            try:
                reply = await api_query.retrieve_here(call, id, view, media, reach)
            except Problem as problem:
                if problem.status != 404:
                    raise
                reply = Reply(404, [], dumps(problem.body()), JSON)
            return reply._replace(headers=[*reply.headers, *map(self.unmapped, others)])
        entity, warnings = await self.gather(call, id, self.wanted(view))
        if warnings is None:
            return await api_query.retrieve_here(call, id, view, media, reach)
        if entity is None or not entities.within(reach, entity) or not api_query.of_type(call, entity):
            return Reply(404, warnings, dumps(not_found(id).body()), JSON)
        reader = self.broker.store.reader
        tenant = reader.tenant(call.tenant)
        known = api_query.linked(reader, tenant, [entity], view, reach) if view.join and tenant is not None else {}
        try:
            reply = api_query.one(call, entity, view, media, known)
        except Problem as problem:
            return Reply(problem.status, warnings, dumps(problem.body()), JSON)
        return reply._replace(headers=[*reply.headers, *warnings])

    @staticmethod
    def mapped(call: Call) -> bool:
        """Whether an entity map is asked for or given."""
        return "entityMap" in call.params or b"ngsild-entitymap" in call.headers

    @staticmethod
    def unmapped(source: Source) -> tuple[bytes, bytes]:
        """The warning of an answer by an entity map: maps hold what is kept here."""
        return WARNING, Got(source, 0, code=SILENT, reason="not asked: entity maps hold entities of this broker").warning().encode("latin-1", "replace")

    @staticmethod
    def wanted(view: View) -> Share:
        """The attributes that an answer shows."""
        if view.attrs is not None:
            return view.attrs | ({view.geometry} if view.geometry else set())
        if view.pick is not None:
            return frozenset(name for name in view.pick if name not in OWN)
        return EVERY

    async def gather(self, call: Call, id: str, wanted: Share) -> tuple[Entity | None, Headers | None]:
        """One entity from here and from the sources, and warnings; None for these where no source is concerned."""
        found, looped = await self.live(call)
        local = self.kept(call, id)
        kinds = self.types_of(call, id)
        taken: Share = frozenset()
        claimed: Share = frozenset()
        asked: list[tuple[Source, Share, Share]] = []  # source, what it may add, what is another's
        mode = "exclusive"
        touched = False
        for source in self.readers(found, looped):
            if source.mode != mode:
                taken, claimed, mode = either(taken, claimed), frozenset(), source.mode
            share = source.share(id, frozenset(kinds) if kinds is not None else None)
            if share is None or isinstance(taken, Every):
                continue
            touched = True
            if source.mode in ("exclusive", "redirect"):
                if looped:
                    raise Problem("LoopDetected", "the request came through this broker before", f"{source.id} leads back to it")
                claimed = either(claimed, share)
            mine = both(share, wanted)
            if mine and (isinstance(mine, Every) or any(name not in taken for name in mine)) and not source.operations.isdisjoint(READS):
                asked.append((source, mine, taken))
        taken = either(taken, claimed) if mode in ("exclusive", "redirect") else taken
        if not touched:
            return local, None
        stamp = times.now()
        answers = await asyncio.gather(*(self.ask_for(call, source, id, mine, kinds, stamp) for source, mine, _ in asked))
        pieces: list[tuple[Entity, bool]] = []
        if local is not None and not isinstance(taken, Every):
            pieces.append((self.left(local, taken), False))
        warnings: Headers = []
        for (source, mine, others), (entity, got) in zip(asked, answers, strict=True):
            warnings += lacking([got])
            if entity is not None:
                cut = {name: value for name, value in entity.items() if name in OWN or (name in mine and name not in others)}
                pieces.append((cut, source.mode == "auxiliary"))
        return self.joined(pieces, stamp), warnings

    async def ask_for(self, call: Call, source: Source, id: str, mine: Share, kinds: list[str] | None, stamp: str) -> tuple[Entity | None, Got]:
        """One entity from one source, by the operation that it is registered for."""
        terms = await self.remote.terms(call, source)
        attrs = [("attrs", ",".join(terms.terms[name] for name in sorted(mine)))] if not isinstance(mine, Every) else []
        if "retrieveEntity" in source.operations:
            got = await self.remote.send(call, source, "GET", self.path(id), [*attrs, ("options", "sysAttrs")], terms=terms)
        else:
            types = sorted(kinds or {kind for info in source.infos for each in info.kinds for kind in each.types})
            got = await self.search(call, source, [(types, [id], None)], mine, {}, terms, 2)
        found, got = self.parsed(got, stamp)
        return next((entity for entity in found if entity["id"] == id), None), got

    async def search(
        self, call: Call, source: Source, selectors: list[Any], mine: Share, filters: dict[str, str], terms: Any, limit: int, offset: int = 0
    ) -> Got:
        """A query of one source, by the operation that it is registered for. selectors: (types or a type query, ids, idPattern)."""
        names = terms.terms
        attrs = [names[name] for name in sorted(mine)] if not isinstance(mine, Every) else []
        paged = [("limit", str(limit)), *([("offset", str(offset))] if offset else []), ("options", "sysAttrs")]
        batch = call.method == "POST" or len(selectors) > 1
        if "queryBatch" in source.operations and (batch or "queryEntity" not in source.operations):
            body: dict[str, Any] = {"type": "Query"}
            parts: list[dict[str, Any]] = []
            for types, ids, pattern in selectors:
                for kind in [types] if isinstance(types, str) else [names[each] for each in types] or ["*"]:
                    part = {"type": kind, **({"idPattern": pattern} if pattern else {})}
                    parts += [{**part, "id": each} for each in ids] or [part]
            if any(part != {"type": "*"} for part in parts):
                body["entities"] = parts
            if attrs:
                body["attrs"] = attrs
            body |= {name: filters[name] for name in ("q", "scopeQ") if name in filters}
            if "georel" in filters:
                body["geoQ"] = {name: filters[name] for name in ("georel", "geometry", "coordinates", "geoproperty") if name in filters}
            return await self.remote.send(call, source, "POST", SEARCH, paged, body, terms=terms)
        (types, ids, pattern), *_ = selectors
        params = [("id", ",".join(ids))] if ids else []
        text = types if isinstance(types, str) else ",".join(names[each] for each in types)
        params += [("type", text)] if text else []
        params += [("idPattern", pattern)] if pattern and not ids else []
        params += [("attrs", ",".join(attrs))] if attrs else []
        return await self.remote.send(call, source, "GET", "/entities", [*params, *filters.items(), *paged], terms=terms)

    def parsed(self, got: Got, stamp: str) -> tuple[list[Entity], Got]:
        """The entities of an answer; none, and why, if one cannot be read."""
        if not got.well or got.value is None:
            if got.well and got.status == 200 and not got.code:
                got = got._replace(code=INVALID, reason="an answer without content")
            return [], got
        # Some sources answer a query with the only entity that they found rather than with a list of it.
        raw = got.value if isinstance(got.value, list) else [got.value]
        try:
            found = []
            for each in raw:
                if not isinstance(each, dict):
                    raise bad_request(f"found {type(each).__name__}; expected an entity")
                each.pop("@context", None)
                found.append(model.parse_entity(each, got.terms, now=stamp, trusted=True))
        except Problem as problem:
            return [], got._replace(code=INVALID, reason=f"an answer that is no entity: {problem.detail}")
        return found, got

    @staticmethod
    def joined(pieces: list[tuple[Entity, bool]], stamp: str) -> Entity | None:
        """One entity out of its pieces, the first ones first among equals; a piece that is marked only adds what nobody else has."""
        if not pieces:
            return None
        found: Entity = {}
        for piece, filler in pieces:
            for name, value in piece.items():
                old = found.get(name)
                if old is None:
                    found[name] = list(value) if isinstance(value, list) else value
                elif name in ("type", "scope"):
                    if not filler:
                        found[name] = [*old, *(each for each in value if each not in old)]
                elif name == "createdAt":
                    found[name] = min(old, value)
                elif name == "modifiedAt":
                    found[name] = max(old, value) if value != stamp else old
                elif name not in OWN:
                    found[name] = combined(old, value, filler, stamp)
        return found

    async def query(self, call: Call, chosen: Selection, view: View, media: bytes, asked: Page, order: Any, reach: Selection | None) -> Reply:
        """GET /entities and POST /entityOperations/query"""
        found, looped = await self.live(call)
        readers = [source for source in self.readers(found, looped) if self.meets(source, replace(chosen, attrs=()))]
        if not readers:
            return await api_query.query_here(call, chosen, view, media, asked, order, reach)
        if looped:
            raise Problem("LoopDetected", "the request came through this broker before", f"{readers[0].id} leads back to it")
        if self.mapped(call):
            reply = await api_query.query_here(call, chosen, view, media, asked, order, reach)
            return reply._replace(headers=[*reply.headers, *map(self.unmapped, readers)])
        if order:
            raise bad_request("orderBy: found in a query that other context sources have a part in; expected with local=true only")
        reader = self.broker.store.reader
        mapped = api_query.given_map(call, reader, entities.read_tenant(call, reader))
        split = truth(call.params, "splitEntities")
        need = FOUND if split or asked.counted or mapped is not None else min(asked.offset + asked.limit + 1, FOUND)
        merged, tellers, warnings = await self.found(call, chosen, view, readers, split, need)
        if mapped is not None and mapped.new:
            mapped.found = {entity["id"]: tellers[entity["id"]] for entity in merged}
        elif mapped is not None:
            there = {entity["id"]: entity for entity in merged}
            merged = [there[id] for id in mapped.ids or () if id in there]
            mapped.gone = [id for id in mapped.ids or () if id not in there]
        shown = merged[asked.offset : asked.offset + asked.limit]
        headers = [*api_query.page_links(call, asked, len(merged) > asked.offset + asked.limit, media), *warnings]
        if asked.counted:
            headers.append((b"ngsild-results-count", str(len(merged)).encode()))
        if mapped is not None:
            headers.append(await mapped.settle(self.broker.store, prune=reach is None and not warnings))
        tenant = reader.tenant(call.tenant)
        if view.join and tenant is not None:
            known = api_query.linked(reader, tenant, shown, view, reach)
            view = with_links(view, known) if known else view
        reply = api_query.finish(call, render_all(shown, call.terms, view), media, headers)
        return reply._replace(status=201) if mapped is not None and mapped.new and reply.status == 200 else reply

    async def everything(self, call: Call, chosen: Selection, view: View) -> tuple[list[Entity], dict[str, list[str]], Headers]:
        """All entities of a selection, here and at the context sources, who has them ("@none": this broker, else ids of registrations), and warnings."""
        found, looped = await self.live(call)
        readers = [source for source in self.readers(found, looped) if self.meets(source, replace(chosen, attrs=()))]
        return await self.found(call, chosen, view, [] if looped else readers, truth(call.params, "splitEntities"), FOUND)

    async def found(
        self, call: Call, chosen: Selection, view: View, readers: list[Source], split: bool, need: int
    ) -> tuple[list[Entity], dict[str, list[str]], Headers]:
        """The entities of a selection, who has them, and what went wrong."""
        stamp = times.now()
        wanted = self.wanted(view)
        if chosen.attrs:
            wanted = either(wanted, frozenset(chosen.attrs)) if not isinstance(wanted, Every) else frozenset(chosen.attrs)
        if split and not isinstance(wanted, Every):
            wanted = either(wanted, chosen.q.attributes if chosen.q is not None else frozenset())
            wanted = either(wanted, frozenset({chosen.geo.attr}) if chosen.geo is not None else frozenset())
        here = Selection(chosen.who) if split else replace(chosen, attrs=()) if wanted is EVERY else chosen
        local, answers = await asyncio.gather(
            self.local_rows(call, here, need),
            asyncio.gather(*(self.collect(call, source, chosen, wanted, split, need, stamp) for source in readers if not source.operations.isdisjoint(READS))),
        )
        able = [source for source in readers if not source.operations.isdisjoint(READS)]
        pieces: dict[str, list[tuple[Entity, bool]]] = {}
        tellers: dict[str, list[str]] = {}
        warnings: Headers = []
        if len(local) >= need == FOUND:
            text = f'{FAILED} {self.remote.alias(call.tenant)} "there may be more than {FOUND} entities that fit: narrow the query"'
            warnings.append((WARNING, text.encode()))
        for entity in local:
            rest = self.unclaimed(entity, readers, None)
            if rest is not None:
                pieces[entity["id"]], tellers[entity["id"]] = [(rest, False)], ["@none"]
        for source, (entities_found, problems) in zip(able, answers, strict=True):
            warnings += lacking(problems)
            for entity in entities_found:
                mine = self.unclaimed(entity, readers, source)
                if mine is None:
                    continue
                if entity["id"] not in pieces:
                    kept = self.kept(call, entity["id"])
                    rest = self.unclaimed(kept, readers, None) if kept is not None else None
                    pieces[entity["id"]] = [(rest, False)] if rest is not None else []
                    tellers[entity["id"]] = ["@none"] if rest is not None else []
                pieces[entity["id"]].append((mine, source.mode == "auxiliary"))
                tellers[entity["id"]].append(source.id)
        merged = [entity for parts in pieces.values() if (entity := self.joined(parts, stamp)) is not None]
        # What a source was asked with is what it answers for; all that it was not asked with is looked at here.
        last = chosen if split else Selection(attrs=chosen.attrs, also=chosen.also)
        return [entity for entity in merged if last.matches(entity)], tellers, warnings

    async def local_rows(self, call: Call, chosen: Selection, need: int) -> list[Entity]:
        """The entities of a selection that are kept here."""
        tenant = self.broker.store.reader.tenant(call.tenant)
        if tenant is None:
            return []
        rows = await self.broker.store.slow(lambda session: session.find(tenant, chosen, need), self.broker.options.query_seconds)
        return [decode(row[0], row[1]) for row in rows]

    @staticmethod
    def unclaimed(entity: Entity, readers: list[Source], teller: Source | None) -> Entity | None:
        """What counts of an entity as one teller (None: this broker) has it: not what is another's; None if nothing is left.

        readers  those that are heard before others come first
        """
        id, types = entity["id"], entity["type"]
        taken: Share = frozenset()
        own: Share = EVERY
        rank = ("exclusive", "redirect", "inclusive", "auxiliary").index(teller.mode) if teller is not None else 2
        for source in readers:
            if source is teller:
                own = source.share(id, types) or frozenset()
            elif source.mode in ("exclusive", "redirect") and ("exclusive", "redirect").index(source.mode) < rank:
                share = source.share(id, types)
                if share is not None:
                    taken = either(taken, share)
        if isinstance(taken, Every) or not own:
            return None
        if not taken and isinstance(own, Every):
            return entity
        return {name: value for name, value in entity.items() if name in OWN or (name in own and name not in taken)}

    async def collect(self, call: Call, source: Source, chosen: Selection, wanted: Share, split: bool, need: int, stamp: str) -> tuple[list[Entity], list[Got]]:
        """The entities that one source has of a selection, page by page, and what went wrong."""
        terms = await self.remote.terms(call, source)
        # A query cannot be written with the names of another @context: then all is asked for, and looked at here.
        plain = terms is call.terms
        filters = self.filters(call) if not split and plain else {}
        found: dict[str, Entity] = {}
        problems: list[Got] = []
        for info in source.infos:
            mine = both(info.attrs, wanted)
            if not mine:
                continue
            for selectors in self.selectors(call, chosen, info, terms, source):
                offset = 0
                while len(found) < need:
                    limit = min(PAGE, need)
                    got = await self.search(call, source, selectors, mine, filters, terms, limit, offset)
                    page, got = self.parsed(got, stamp)
                    if got.warnings():
                        problems.append(got)
                    if got.code and got.status != 404:
                        break
                    before = len(found)
                    for entity in page:
                        old = found.get(entity["id"])
                        found[entity["id"]] = entity if old is None else {**old, **entity}
                    offset += limit
                    if len(page) < limit or len(found) == before:
                        break
                    if len(found) >= need == FOUND:
                        problems.append(got._replace(headers={}, code=FAILED, reason=f"there may be more than {FOUND} entities that fit: narrow the query"))
        kept = [entity for entity in found.values() if not chosen.who or any(who.matches(entity) for who in chosen.who)]
        if not plain and not split:
            kept = [entity for entity in kept if replace(chosen, also=()).matches(entity)]
        return kept, problems

    @staticmethod
    def filters(call: Call) -> dict[str, str]:
        """The conditions of a query that a source looks at itself."""
        names = ("q", "scopeQ", "georel", "geometry", "coordinates", "geoproperty")
        if call.method != "POST":
            return {name: call.params[name] for name in names if name in call.params}
        raw = call.json()
        geo = raw.get("geoQ") if isinstance(raw.get("geoQ"), dict) else {}
        return {name: raw[name] for name in ("q", "scopeQ") if name in raw} | {name: geo[name] for name in names[2:] if name in geo}

    def selectors(self, call: Call, chosen: Selection, info: Info, terms: Any, source: Source) -> list[list[Any]]:
        """The entities of a registration that a selection wants, as selectors of requests: one list per request."""
        found: list[Any] = []
        texts = self.type_texts(call)
        for at, who in enumerate(chosen.who or (Who(),)):
            text = texts[at] if at < len(texts) else ""
            for kind in info.kinds or (Kind(frozenset(), None, None, None),):
                if not kind.meets(who):
                    continue
                ids = [id for id in who.ids if kind.takes(id, None)] if who.ids else [kind.id] if kind.id is not None else []
                pattern = (self.pattern(call, at) if who.pattern is not None else None) or kind.regex if not ids else None
                types: Any
                singles = who.types is None or all(len(each) == 1 for each in who.types.alternatives)
                if kind.types and singles:
                    types = sorted(kind.types if who.types is None or not who.types.alternatives else kind.types & who.types.names)
                elif terms is call.terms and text and text != "*":
                    types = text
                else:
                    types = sorted(who.types.names) if who.types is not None else []
                same = next((each for each in found if each[0] == types and each[2] is None and pattern is None and bool(each[1]) and bool(ids)), None)
                if same is not None:
                    same[1] += [id for id in ids if id not in same[1]]
                elif [types, ids, pattern] not in found:
                    found.append([types, ids, pattern])
        if "queryBatch" in source.operations and (call.method == "POST" or "queryEntity" not in source.operations):
            return [found] if found else []
        return [[each] for each in found]

    @staticmethod
    def type_texts(call: Call) -> list[str]:
        """The type queries of a request as they were written, selector by selector."""
        if call.method != "POST":
            return [call.params.get("type", "")]
        return [part.get("type", "") for part in call.json().get("entities") or ()]

    @staticmethod
    def pattern(call: Call, at: int) -> str | None:
        """The idPattern of a selector as it was written."""
        if call.method != "POST":
            return call.params.get("idPattern")
        found = call.json()["entities"][at].get("idPattern")
        return str(found) if found else None

    async def types(self, call: Call, detailed: bool) -> Reply:
        """GET /types"""
        return await self.discover(call, "/types", "retrieveEntityTypeDetails" if detailed else "retrieveEntityTypes", detailed)

    async def attributes(self, call: Call, detailed: bool) -> Reply:
        """GET /attributes"""
        return await self.discover(call, "/attributes", "retrieveAttrTypeDetails" if detailed else "retrieveAttrTypes", detailed)

    async def discover(self, call: Call, path: str, operation: str, detailed: bool) -> Reply:
        """A list of types or attributes from here and from the sources."""
        here = api_query.types_here if path == "/types" else api_query.attributes_here
        found, looped = await self.live(call)
        own: Any = await here(call, detailed)
        asked = [source for source in found if operation in source.operations and source.mode != "auxiliary"] if not looped else []
        if not asked:
            return answer(call, own)
        params = [("details", "true")] if detailed else []
        answers = await asyncio.gather(*(self.remote.send(call, source, "GET", path, params, terms=call.terms) for source in asked))
        warnings = lacking(answers)
        if detailed:
            lists = ("attributeNames", "typeNames")
            rows = {part["id"]: part for part in own}
            for got in answers:
                for part in got.value if isinstance(got.value, list) and got.well else ():
                    if not isinstance(part, dict) or not isinstance(part.get("id"), str):
                        continue
                    part.pop("@context", None)
                    known = rows.setdefault(part["id"], part)
                    for name in lists:
                        if name in known or name in part:
                            known[name] = sorted({*known.get(name, ()), *(each for each in part.get(name, ()) if isinstance(each, str))})
            own = list(rows.values())
        else:
            name = "typeList" if path == "/types" else "attributeList"
            told = {each for got in answers if got.well and isinstance(got.value, dict) for each in got.value.get(name, ()) if isinstance(each, str)}
            own[name] = sorted({*own[name], *told})
        return answer(call, own, headers=warnings)

    async def information(self, call: Call, kind: str, iri: str, here: Callable[[Call, str], Awaitable[dict[str, Any]]]) -> Reply:
        """GET /types/{type} and /attributes/{attr}; here: what is known here, 404 if nothing is."""
        operation = "retrieveEntityTypeInfo" if kind == "types" else "retrieveAttrTypeInfo"
        found, looped = await self.live(call)
        asked = [source for source in found if operation in source.operations and source.mode != "auxiliary"] if not looped else []
        missing: Problem | None = None
        told: dict[str, Any] = {}
        try:
            told = await here(call, iri)
        except Problem as problem:
            if problem.status != 404 or not asked:
                raise
            missing = problem
        path = f"/{kind}/{quote(call.terms.terms[iri], safe='')}"
        answers = await asyncio.gather(*(self.remote.send(call, source, "GET", path, terms=call.terms) for source in asked))
        warnings = lacking(answers)
        for got in answers:
            if got.well and isinstance(got.value, dict) and got.value.get("id") == iri:
                told = informed(told, got.value) if told else {name: value for name, value in got.value.items() if name != "@context"}
        if not told and missing is not None:
            return Reply(404, warnings, dumps(missing.body()), JSON)
        return answer(call, told, headers=warnings)


def lacking(answers: Iterable[Got]) -> Headers:
    """The warnings of an answer that these have a part in, each once."""
    return [(WARNING, text.encode("latin-1", "replace")) for text in dict.fromkeys(text for got in answers for text in got.warnings())]


def informed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What two sources know of one type or attribute: counts are added, lists united, attributes by their ids.

    >>> informed({"id": "ex:a", "attributeCount": 1, "typeNames": ["Well"]}, {"id": "ex:a", "attributeCount": 2, "typeNames": ["Tank", "Well"]})
    {'id': 'ex:a', 'attributeCount': 3, 'typeNames': ['Tank', 'Well']}
    """
    found = dict(one)
    for name in ("entityCount", "attributeCount"):
        if name in one and isinstance(other.get(name), int):
            found[name] = one[name] + other[name]
    for name in ("attributeTypes", "typeNames"):
        if name in one and isinstance(other.get(name), list):
            found[name] = sorted({*one[name], *(each for each in other[name] if isinstance(each, str))})
    if "attributeDetails" in one and isinstance(other.get("attributeDetails"), list):
        details = {part["id"]: part for part in one["attributeDetails"]}
        for part in other["attributeDetails"]:
            if isinstance(part, dict) and isinstance(part.get("id"), str):
                details[part["id"]] = informed(details[part["id"]], part) if part["id"] in details else part
        found["attributeDetails"] = sorted(details.values(), key=lambda part: str(part.get("attributeName")))
    return found


def combined(old: list[Any], new: list[Any], filler: bool, stamp: str) -> list[Any]:
    """The instances of one attribute from two sources, one per datasetId: the one observed last, else the one changed last, else the first (4.5.5).

    stamp  the time of modification of instances whose source did not tell it: they are the oldest

    >>> combined([{"value": 1, "modifiedAt": "2026-01-01T00:00:00Z"}], [{"value": 2, "modifiedAt": "2026-01-02T00:00:00Z"}], False, "")
    [{'value': 2, 'modifiedAt': '2026-01-02T00:00:00Z'}]
    """
    found = {part.get("datasetId"): part for part in old}
    for part in new:
        known = found.get(part.get("datasetId"))
        if known is None or (not filler and later(part, known, stamp)):
            found[part.get("datasetId")] = part
    return list(found.values())


def later(one: Entity, other: Entity, stamp: str) -> bool:
    """Whether an instance is later than another."""
    if "observedAt" in one and "observedAt" in other:
        first, second = times.parse(one["observedAt"]), times.parse(other["observedAt"])
        if first != second:
            return first > second
    if one.get("modifiedAt", stamp) == stamp:
        return False
    return other.get("modifiedAt", stamp) == stamp or times.parse(one["modifiedAt"]) > times.parse(other["modifiedAt"])
