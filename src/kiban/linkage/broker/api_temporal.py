"""The HTTP handlers of the history of entities (clauses 5.6.11–5.6.16, 5.7.3, 5.7.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kiban.linkage.broker import entities, history, maps, model, times
from kiban.linkage.broker.api_entities import BASE, attribute, dataset, entity_id
from kiban.linkage.broker.api_query import given_map, page_links, query_params, query_selection
from kiban.linkage.broker.asked import Page, page, selection, truth
from kiban.linkage.broker.negotiate import accepted, answer, open_body, open_call
from kiban.linkage.broker.server import Call, Headers, Reply, in_path
from kiban.linkage.broker.store import Event, Selection
from kiban.linkage.broker.store.past import Head, Row, Span, meet
from kiban.linkage.broker.temporal import (
    COLUMN,
    Border,
    Evolution,
    Wanted,
    aggregate,
    aggregated,
    behind,
    border,
    borders,
    content_range,
    members,
    represent,
    scopes_of,
    valid,
)
from kiban.linkage.broker.temporal import wanted as parse_wanted
from kiban.linkage.broker.values import NULL, is_uri
from kiban.linkage.errors import Problem, bad_request, not_found
from kiban.linkage.policy import Predicate

CHUNK = 200  # histories that are looked at together while a query looks for those that match
READ = 200_000  # instances of one attribute of an entity that a filter or an aggregation looks at one by one
STATE = 50  # instances of an attribute in which its present state is looked for


# --- what comes in


def instances(name: str, raw: Any, terms: Any, now: str) -> list[Event]:
    """The instances of one attribute of a history, marks of deletion among them."""
    parts = raw if isinstance(raw, list) and raw and all(isinstance(part, dict) for part in raw) else [raw]
    events: list[Event] = []
    for part in parts:
        if not isinstance(part, dict) or not (deletes(part) or "deletedAt" in part):
            found = model.parse_fragment({name: part}, terms, now=now, nulls="none", temporal=True)
            events += [Event(iri, instance) for iri, listed in model.attributes(found) for instance in listed]
            continue
        at = part.get("deletedAt")
        plain = {key: value for key, value in part.items() if key != "deletedAt"}
        iri = model.attribute_iri(name, terms)
        gone = model.parse_attribute(name, plain, terms, now=now)[0]
        if not model.is_null(gone):
            raise bad_request(f"{name}: found deletedAt beside a value; the mark of a deletion has {NULL}")
        mark = history.mark(gone, now)
        for key in ("observedAt", "deletedAt"):
            if part.get(key) is not None:
                mark[key] = moment(f"{name}.{key}", part[key])
        events.append(Event(iri, mark, times.parse(at or mark.get("observedAt") or now)))
    return events


def deletes(part: dict[str, Any]) -> bool:
    """True if an instance has the null of NGSI-LD as its value."""
    return any(value in (NULL, [NULL], {"@none": NULL}) for key, value in part.items() if key in model.MEMBER.values())


def moment(where: str, value: Any) -> str:
    """A DateTime in UTC as it was given; 400 for anything else."""
    if not isinstance(value, str) or not value.endswith("Z") or not times.is_datetime(value):
        raise bad_request(f"{where}: found {str(value)[:80]!r}; expected a date and time in UTC, such as 2026-11-27T20:10:00Z")
    return value


def scopes(raw: Any, terms: Any, now: str) -> list[Event]:
    """The scope of a history: scopes that hold from now on, or instances of a Property."""
    parts = raw if isinstance(raw, list) else [raw]
    if not any(isinstance(part, dict) for part in parts):
        found = model.parse_fragment({"scope": raw}, terms, now=now, nulls="none", id="urn:x:x") if raw != [] else {}
        return [Event(history.SCOPE, history.scope_instance(found["scope"], now))] if "scope" in found else []
    events = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type", "Property") != "Property" or "value" not in part:
            raise bad_request("scope: expected scopes, or Properties whose values are scopes")
        gone = part.get("deletedAt")
        value = [] if part["value"] in ([], NULL) else model.parse_fragment({"scope": part["value"]}, terms, now=now, nulls="none")["scope"]
        instance = history.scope_instance(value, now, deleted=True)
        if "observedAt" in part:
            instance["observedAt"] = moment("scope.observedAt", part["observedAt"])
        elif gone is None:
            instance["observedAt"] = now
        events.append(Event(history.SCOPE, instance, times.parse(moment("scope.deletedAt", gone)) if gone is not None else None))
    return events


def read_history(raw: dict[str, Any], terms: Any, now: str) -> list[Event]:
    """All instances of the body of a request; its other members are looked at elsewhere."""
    events: list[Event] = []
    for name, value in raw.items():
        if name in ("id", "type", "@id", "@type", "createdAt", "modifiedAt", "deletedAt", "expiresAt"):
            continue
        events += scopes(value, terms, now) if name == "scope" else instances(name, value, terms, now)
    return events


def keep(tx: Any, tenant: int, id: str, types: list[str], events: list[Event], now: str) -> None:
    """Add instances to a history; what was observed at the same time comes in the place of what is there."""
    known = tx.head(tenant, id)
    every = list(dict.fromkeys([*known.types, *types])) if known is not None else types
    key = tx.keep_head(tenant, id, every, times.parse(now))
    if known is not None:
        for event in events:
            if "observedAt" in event.instance:
                tx.remove_same(key, event.attr, event.instance.get("datasetId"), times.parse(event.instance["observedAt"]))
        tx.touch_head(key, times.parse(now))
    tx.record(key, events)


# --- who may


def state(reader: Any, tenant: int, head: Head) -> dict[str, Any]:
    """An entity as it is now: as it stands, or the newest instances of a history without one."""
    entity = reader.entity(tenant, head.id)
    if entity is not None:
        return entity  # type: ignore[no-any-return]
    found: dict[str, Any] = {"id": head.id, "type": head.types, "createdAt": times.text(head.created), "modifiedAt": times.text(head.modified)}
    for number in reader.attrs_of(head.key, Span()):
        name = reader.iri(number)
        newest: dict[str | None, Row] = {}
        for row in reader.instances(head.key, number, Span(), limit=STATE, newest=True):
            newest.setdefault(row.dataset, row)
        there = [row.read() for row in newest.values() if row.deleted is None]
        if there:
            found[name] = scopes_of(there[0]) if name == history.SCOPE else there
    return found


def may(call: Call, operation: str) -> Predicate | None:
    """What the subject of a request may touch, None for everything; 401 or 403 if that is nothing."""
    found: Predicate | None = call.broker.access.demand(call.subject, operation, call.tenant)
    return found


def touches(reach: Predicate | None, *attrs: str) -> None:
    """403 if one of these attributes may not be changed."""
    if reach is not None:
        reach.check(attr for attr in attrs if attr != history.SCOPE)


def visible(reach: Predicate | None) -> frozenset[str] | None:
    """The attributes that may be seen and changed, None for all."""
    return None if reach is None else reach.attrs


def reachable(reader: Any, tenant: int, id: str, reach: Predicate | None) -> Head:
    """The head of a history; 404 if there is none, or the subject may not reach the entity as it is now."""
    head: Head | None = reader.head(tenant, id)
    if head is None or (reach is not None and not reach.matches(state(reader, tenant, head))):
        raise not_found(id)
    return head


# --- provision


async def create(call: Call) -> Reply:
    """POST /temporal/entities"""
    raw = await open_body(call)
    now = times.now()
    attrs = {name: value for name, value in raw.items() if name in ("id", "type", "@id", "@type", "expiresAt")}
    entity = model.parse_entity(attrs, call.terms, now=now)
    events = read_history(raw, call.terms, now)
    reach = may(call, "temporal.create")
    touches(reach, *(event.attr for event in events))

    def op(tx: Any) -> bool:
        tenant = entities.write_tenant(call, tx, make=True)
        new = tx.head(tenant, entity["id"]) is None
        if not new:
            reachable(tx, tenant, entity["id"], reach)
        keep(tx, tenant, entity["id"], entity["type"], events, now)
        if reach is not None:
            reachable(tx, tenant, entity["id"], reach)
        return new

    if await call.broker.store.write(op):
        return Reply(201, [(b"location", f"{BASE}/temporal/entities/{in_path(entity['id'])}".encode())])
    return Reply(204)


async def append(call: Call) -> Reply:
    """POST /temporal/entities/{id}/attrs"""
    id = entity_id(call)
    raw = await open_body(call)
    now = times.now()
    head = model.parse_fragment({"id": id, **{name: raw[name] for name in ("id", "type") if name in raw}}, call.terms, now=now, nulls="none", id=id)
    events = read_history(raw, call.terms, now)
    if not events:
        raise bad_request("the fragment is empty")
    reach = may(call, "temporal.update")
    touches(reach, *(event.attr for event in events))

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        reachable(tx, tenant, id, reach)
        keep(tx, tenant, id, head.get("type", []), events, now)

    await call.broker.store.write(op)
    return Reply(204)


async def delete(call: Call) -> Reply:
    """DELETE /temporal/entities/{id}"""
    await open_call(call)
    id = entity_id(call)
    reach = may(call, "temporal.delete")

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        reachable(tx, tenant, id, reach)
        tx.forget(tenant, id)

    await call.broker.store.write(op)
    return Reply(204)


async def delete_attribute(call: Call) -> Reply:
    """DELETE /temporal/entities/{id}/attrs/{attr}"""
    await open_call(call)
    id, name = entity_id(call), attribute(call)
    sets = None if truth(call.params, "deleteAll") else frozenset({dataset(call)})
    reach = may(call, "temporal.update")
    touches(reach, name)
    now = times.now_us()

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        head = reachable(tx, tenant, id, reach)
        if not tx.remove_attr(head.key, name, sets):
            raise not_found(f"{call.path[1]} in {id}", "Attribute")
        tx.touch_head(head.key, now)

    await call.broker.store.write(op)
    return Reply(204)


def one_instance(tx: Any, head: Head, name: str, instance: str) -> tuple[str, Row]:
    """One instance by its id, with its table; 404 if it is not there."""
    number = tx.number(name)
    found: tuple[str, Row] | None = None if number is None else tx.instance(head.key, number, instance)
    if found is None:
        raise not_found(f"{instance} of {name} in {head.id}", "Instance")
    return found


def instance_id(call: Call) -> str:
    """The instanceId of the path; 400 if it is no URI."""
    if not is_uri(call.path[2]):
        raise bad_request(f"instanceId: found {call.path[2][:200]!r}; expected a URI")
    return call.path[2]


async def change_instance(call: Call) -> Reply:
    """PATCH /temporal/entities/{id}/attrs/{attr}/{instanceId}"""
    if not call.path[1]:
        raise Problem("MethodNotAllowed", "PATCH is not offered here", "the address names no attribute", status=405)
    id = entity_id(call)
    raw = await open_body(call, patch=True)
    name, instance, now = attribute(call), instance_id(call), times.now()
    fragment = model.parse_attribute(call.path[1], raw, call.terms, now=now, partial=True)[0]
    reach = may(call, "temporal.update")
    touches(reach, name)

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        head = reachable(tx, tenant, id, reach)
        table, row = one_instance(tx, head, name, instance)
        old = row.read()
        sets = old.pop("datasetId", None)
        if fragment.get("datasetId", sets) != sets:
            raise bad_request(f"datasetId: found {fragment['datasetId']!r}; that of the instance does not change")
        plain = {key: value for key, value in fragment.items() if key != "datasetId"}
        change = model.partial({"id": id, "type": head.types, "createdAt": now, "modifiedAt": now, name: [old]}, name, plain, now=now)
        tx.touch_head(head.key, times.parse(now))
        if name not in change.entity:
            tx.remove_instance(head.key, table, row)
            return
        new = {**change.entity[name][0], **({"datasetId": sets} if sets is not None else {})}
        tx.change_instance(head.key, table, row, Event(name, new, row.deleted))

    await call.broker.store.write(op)
    return Reply(204)


async def delete_instance(call: Call) -> Reply:
    """DELETE /temporal/entities/{id}/attrs/{attr}/{instanceId}"""
    await open_call(call)
    id, name, instance = entity_id(call), attribute(call), instance_id(call)
    reach = may(call, "temporal.update")
    touches(reach, name)
    now = times.now_us()

    def op(tx: Any) -> None:
        tenant = entities.write_tenant(call, tx, make=False)
        head = reachable(tx, tenant, id, reach)
        table, row = one_instance(tx, head, name, instance)
        tx.remove_instance(head.key, table, row)
        tx.touch_head(head.key, now)

    await call.broker.store.write(op)
    return Reply(204)


# --- consumption


def span_of(asked: Wanted) -> Span:
    """The instances that a request is about."""
    return Span(COLUMN[asked.about], ((asked.low, asked.high),), asked.only, asked.datasets)


class Asking:
    """One request while it reads: the session, what is wanted, and within which span."""

    def __init__(self, session: Any, tenant: int, asked: Wanted, size: int) -> None:
        self.session, self.tenant, self.asked, self.size = session, tenant, asked, size
        self.span = span_of(asked)
        self.newest = asked.last is not None
        self.limit = size + 1 if asked.last is None else min(asked.last, size + 1)
        self.scope = session.number(history.SCOPE)

    # which entities
    def fits(self, head: Head, chosen: Selection, reach: Predicate | None) -> Span | None:
        """The span of a history in which it is selected, None if it is not."""
        span = self.span
        shell: dict[str, Any] = {"id": head.id, "type": head.types}
        if chosen.who and not any(who.matches(shell) for who in chosen.who):
            return None
        if reach is not None and not reach.matches(state(self.session, self.tenant, head)):
            return None
        if chosen.scope is not None:
            held = valid(self.scope_changes(head), chosen.scope)
            ranges = tuple(both for one in held for old in span.ranges if (both := meet(one, old)) is not None)
            span = Span(span.column, ranges, span.only, span.datasets)
            if not ranges or not any(self.session.instances(head.key, number, span, limit=1) for number in self.numbers(head, span)):
                return None
        if chosen.q is not None or chosen.geo is not None:
            needed = set(chosen.q.attributes if chosen.q is not None else ()) | ({chosen.geo.attr} if chosen.geo is not None else set())
            seen = Span(span.column, span.ranges, span.only, span.datasets, present=True)
            shell |= {"createdAt": times.text(head.created), "modifiedAt": times.text(head.modified)}
            for name in needed:
                number = self.session.number(name)
                if number is not None and (rows := self.few(head, number, seen)):
                    shell[name] = [row.read() for row in rows]
            if (chosen.q is not None and not chosen.q.matches(shell)) or (chosen.geo is not None and not chosen.geo.matches(shell)):
                return None
        return span

    def scope_changes(self, head: Head) -> list[tuple[int, list[str]]]:
        """When the scope of an entity became what."""
        if self.scope is None:
            return []
        rows = self.session.instances(head.key, self.scope, Span(self.span.column, ((None, self.asked.high),)))
        return [(getattr(row, self.span.column) or row.at, [] if row.deleted is not None else scopes_of(row.read())) for row in rows]

    def find(self, chosen: Selection, reach: Predicate | None, order: str, asked: Page) -> tuple[list[tuple[Head, Span]], int, bool]:
        """One page of the histories that are selected, how many there are in all (if asked for), and whether more follow."""
        who = chosen.who[0] if len(chosen.who) == 1 else None
        types: frozenset[str] | None = None
        simple = reach is None and chosen.scope is None and chosen.q is None and chosen.geo is None
        if who is not None:
            types = who.types.names if who.types is not None and who.types.alternatives else None
            simple = simple and who.pattern is None and (who.types is None or all(len(each) == 1 for each in who.types.alternatives))
        elif chosen.who:
            simple = False
            if all(part.types is not None and part.types.alternatives for part in chosen.who):
                types = frozenset(name for part in chosen.who for name in part.types.names)
        attrs = chosen.attrs or self.asked.named
        told = self.span if self.asked.window is not None or self.asked.only or attrs or self.asked.datasets is not None else None
        parts: dict[str, Any] = {"types": types, "ids": who.ids if who is not None else (), "span": told, "attrs": attrs}
        if simple:
            heads = self.session.heads(self.tenant, **parts, order=order, limit=asked.limit + 1, offset=asked.offset)
            total = self.session.count_heads(self.tenant, **parts) if asked.counted else 0
            return [(head, self.span) for head in heads[: asked.limit]], total, len(heads) > asked.limit
        found: list[tuple[Head, Span]] = []
        seen = 0
        for head in self.candidates(parts | {"reach": None if reach is None else reach.selection}, order):
            span = self.fits(head, chosen, reach)
            if span is None:
                continue
            seen += 1
            if asked.offset < seen <= asked.offset + asked.limit:
                found.append((head, span))
            elif seen > asked.offset + asked.limit and not asked.counted:
                break
        return found, seen, seen > asked.offset + asked.limit

    def all_ids(self, chosen: Selection, reach: Predicate | None) -> list[str]:
        """The ids of all histories that are selected, one more at most than an entity map may have."""
        return [head.id for head, _ in self.find(chosen, reach, "key", Page(maps.MAP_IDS + 1, 0, False))[0]]

    def candidates(self, parts: dict[str, Any], order: str) -> Iterator[Head]:
        """All histories that may be selected, chunk by chunk."""
        after = None
        while True:
            heads = self.session.heads(self.tenant, **parts, order=order, after=after, limit=CHUNK)
            yield from heads
            if len(heads) < CHUNK:
                return
            after = heads[-1].key if order == "key" else heads[-1].id

    def few(self, head: Head, number: int, span: Span) -> list[Row]:
        """The instances of one attribute; 403 TooComplexQuery if there are too many to look at each of them."""
        rows: list[Row] = self.session.instances(head.key, number, span, limit=READ + 1)
        if len(rows) > READ:
            raise Problem("TooComplexQuery", "too many instances to look at", f"more than {READ} of one attribute of {head.id}: take a smaller window")
        return rows

    # what of them
    def numbers(self, head: Head, span: Span) -> list[int]:
        """The attributes of a history that are shown, without the scope."""
        if self.asked.named:
            return [number for name in self.asked.named if (number := self.session.number(name)) is not None]
        if self.asked.pick is not None:
            return []
        return [number for number in self.session.attrs_of(head.key, span) if number != self.scope and self.asked.shows(self.session.iri(number))]

    def evolution(self, head: Head, span: Span) -> Evolution:
        """One history, of each attribute as much as can be told at once."""
        found = Evolution(head.id, head.types, head.created, head.modified)
        if self.asked.sys:
            row = self.session.one("SELECT modified FROM entity WHERE tenant = ? AND id = ?", (self.tenant, head.id))
            found.modified = max(found.modified, row[0] if row is not None else 0)
        for number in self.numbers(head, span):
            rows = self.session.instances(head.key, number, span, limit=self.limit, newest=self.newest)
            if rows:
                found.tracks[self.session.iri(number)] = rows
        if self.scope is not None and self.asked.shows("scope"):
            plain = Span(span.column, span.ranges, span.only)
            found.scope = self.session.instances(head.key, self.scope, plain, limit=self.limit, newest=self.newest)
            low = plain.ranges[0][0] if plain.ranges else None
            if low is not None and span.column == "at" and not (found.scope and found.scope[-1 if self.newest else 0].at == low):
                before = self.session.instances(head.key, self.scope, Span("at", ((None, low),)), limit=1, newest=True)
                found.carried = before[0] if before and before[0].deleted is None else None
        return found

    def cut(self, found: list[tuple[Head, Span, Evolution]]) -> bool:
        """Shorten histories so that they can be told at once, all at the same time; True if something was left out."""
        column = self.span.column
        end = border((evolution for _, _, evolution in found), column, self.size, newest=self.newest)
        if end is None:
            return False
        left = False
        for head, span, evolution in found:
            for name, rows in [*evolution.tracks.items(), (history.SCOPE, evolution.scope)]:
                if not rows:
                    continue
                kept = [row for row in rows if end.keeps(getattr(row, column), self.newest)]
                if end.included and len(kept) == len(rows) == self.limit and getattr(rows[-1], column) == end.time:
                    kept, more = self.moment(head, name, span, rows, end)
                    left = left or more
                left = left or len(kept) < len(rows)
                rows[:] = kept
        return left

    def moment(self, head: Head, name: str, span: Span, rows: list[Any], end: Border) -> tuple[list[Any], bool]:
        """All instances of a track up to and including one moment of which there are very many; True if there are more behind it."""
        number, column = self.session.number(name), self.span.column
        before = [row for row in rows if getattr(row, column) != end.time]
        most = -1 if self.asked.last is None else self.asked.last - len(before)
        same = self.session.instances(head.key, number, span.within(end.time, end.time + 1), limit=most, newest=self.newest)
        if len(same) == most:
            return before + same, False
        beyond = span.within(None, end.time) if self.newest else span.within(end.time + 1, None)
        return before + same, bool(self.session.instances(head.key, number, beyond, limit=1))

    # aggregated
    def totals(self, head: Head, span: Span, terms: Any) -> dict[str, Any]:
        """One history as aggregatedValues."""
        asked, session, column = self.asked, self.session, self.span.column
        span = Span(span.column, span.ranges, span.only, span.datasets, present=True)
        shown = members(Evolution(head.id, head.types, head.created, head.modified), terms, asked)
        numbers = self.numbers(head, span)
        start = asked.low
        ends = [rows[0] for number in numbers if (rows := session.instances(head.key, number, span, limit=1))]
        if not ends:
            return shown
        if start is None:
            start = min(getattr(row, column) for row in ends)
        last = max(getattr(rows[0], column) for number in numbers if (rows := session.instances(head.key, number, span, limit=1, newest=True)))
        periods = borders(start, asked.step, last)
        stop = (asked.high if asked.high is not None else last) if asked.step.empty else 0

        def period(place: int) -> tuple[int, int]:
            return periods[place], stop if asked.step.empty else behind(start, asked.step, place + 1)

        for number in numbers:
            parts = self.in_sql(head, number, span, periods) if asked.last is None else None
            if parts is None:
                rows = self.few(head, number, span) if asked.last is None else session.instances(head.key, number, span, limit=asked.last, newest=True)
                parts = by_hand(rows, column, periods, asked.methods)
            found = [aggregated(kind, sets, ((*period(place), one) for place, one in totals if one), asked.methods) for (kind, sets), totals in parts.items()]
            found = [one for one in found if any(method in one for method in asked.methods)]
            if found:
                shown[terms.terms[session.iri(number)]] = found[0] if len(found) == 1 else found
        return shown

    def in_sql(self, head: Head, number: int, span: Span, periods: list[int]) -> dict[tuple[str, str | None], list[tuple[int, Mapping[str, Any]]]] | None:
        """The aggregates of an attribute by kind and dataset, each with its period, from the database; None if it is not all numbers."""
        found: dict[tuple[str, str | None], list[tuple[int, Mapping[str, Any]]]] = {}
        if self.asked.step.months:
            every = [
                (place, total)
                for place, low in enumerate(periods)
                for total in self.session.totals(
                    head.key, number, span.within(low, periods[place + 1] if place + 1 < len(periods) else None), low, 0, self.asked.methods
                )
            ]
        else:
            every = [(total.period, total) for total in self.session.totals(head.key, number, span, periods[0], self.asked.step.us, self.asked.methods)]
        for place, total in every:
            if total.numbers != total.every:
                return None
            found.setdefault(("Property", total.dataset), []).append((place, total.found))
        return found


def by_hand(rows: list[Row], column: str, periods: list[int], methods: tuple[str, ...]) -> dict[tuple[str, str | None], list[tuple[int, Mapping[str, Any]]]]:
    """The aggregates of an attribute by kind and dataset, each with its period, from its instances."""
    groups: dict[tuple[str, str | None], list[tuple[int, Any]]] = {}
    for row in rows:
        instance = row.read()
        groups.setdefault((instance["type"], row.dataset), []).append((getattr(row, column), model.value_of(instance)))
    return {
        group: list(enumerate(aggregate(values, periods, methods, counted=group[0] not in ("Property", "ListProperty")))) for group, values in groups.items()
    }


def tell(call: Call, asking: Asking, found: list[tuple[Head, Span]]) -> tuple[list[dict[str, Any]], str]:
    """The histories as they are shown, and the Content-Range if they are not told in full ("" if they are)."""
    asked, terms = asking.asked, call.terms
    if asked.format == "aggregatedValues":
        return [asking.totals(head, span, terms) for head, span in found], ""
    read = [(head, span, asking.evolution(head, span)) for head, span in found]
    partial = asking.cut(read)
    shown = [represent(evolution, terms, asked) for _, _, evolution in read]
    if not partial:
        return shown, ""
    column = asking.span.column
    return shown, content_range([getattr(row, column) for _, _, evolution in read for rows in evolution.lists() for row in rows], asked)


async def retrieve(call: Call) -> Reply:
    """GET /temporal/entities/{id}"""
    await open_call(call)
    media = accepted(call)
    reach = may(call, "temporal.read")
    id, asked = entity_id(call), parse_wanted(call.params, call.terms, visible(reach))
    options = call.broker.options

    def read(session: Any) -> tuple[dict[str, Any], str, maps.Given | None]:
        tenant = entities.read_tenant(call, session)
        mapped = given_map(call, session, tenant)
        if mapped is not None:
            mapped.keep([id])
        head = reachable(session, tenant, id, reach)
        asking = Asking(session, tenant, asked, options.instances)
        if asked.attrs is not None and not asked.named:
            raise not_found(f"{id} with one of these attributes")
        if asked.named and not session.heads(tenant, ids=[id], span=Span(datasets=asked.datasets), attrs=asked.named):
            raise not_found(f"{id} with one of these attributes")
        shown, part = tell(call, asking, [(head, asking.span)])
        if not shown[0]:
            raise not_found(f"{id} with one of these members")
        return shown[0], part, mapped

    shown, part, mapped = await call.broker.store.slow(read, options.query_seconds)
    return reply(call, shown, part, media, [] if mapped is None else [await mapped.settle(call.broker.store, prune=False)])


def reply(call: Call, shown: Any, part: str, media: bytes, headers: Headers) -> Reply:
    """200, or 206 with the range that is told."""
    if part:
        return answer(call, shown, status=206, media=media, headers=[*headers, (b"content-range", part.encode())])
    return answer(call, shown, media=media, headers=headers)


def order_of(text: str | None) -> str:
    """The order of entities: that of their beginning, or by id; 400 for any other."""
    known = {None: "key", "id": "id", "id;asc": "id", "id;desc": "-id"}
    if text not in known:
        raise bad_request(f"orderBy: found {str(text)[:80]!r}; histories are ordered by id only")
    return known[text]


async def query(call: Call) -> Reply:
    """GET /temporal/entities"""
    await open_call(call)
    media = accepted(call)
    return await run(call, selection(call.params, call.terms), call.params, media)


async def run(call: Call, chosen: Selection, params: Mapping[str, str], media: bytes) -> Reply:
    """The histories of a selection as one page."""
    reach = may(call, "temporal.read")
    asked, order, pages = parse_wanted(params, call.terms, visible(reach)), order_of(params.get("orderBy")), page(params)
    if chosen.q is not None and chosen.q.depth:
        raise bad_request("q: found a query over linked entities; the history follows no links")
    if reach is not None:
        reach.narrow(chosen)
    options = call.broker.options

    def read(session: Any) -> tuple[list[dict[str, Any]], str, int, bool, maps.Given | None]:
        tenant = entities.read_tenant(call, session)
        asking = Asking(session, tenant, asked, options.instances)
        mapped = given_map(call, session, tenant)
        if mapped is not None and mapped.new:
            mapped.keep(asking.all_ids(chosen, reach))
        found, total, more = asking.find(chosen if mapped is None or mapped.new else mapped.within(chosen), reach, order, pages)
        shown, part = tell(call, asking, found)
        return [one for one in shown if one], part, total, more, mapped

    shown, part, total, more, mapped = await call.broker.store.slow(read, options.query_seconds)
    headers = page_links(call, pages, more, media)
    if mapped is not None:
        headers.append(await mapped.settle(call.broker.store, prune=False))
    if pages.counted:
        headers.append((b"ngsild-results-count", str(total).encode()))
    told = reply(call, shown, part, media, headers)
    return told._replace(status=201) if mapped is not None and mapped.new and told.status == 200 else told


async def create_map(call: Call) -> Reply:
    """GET /temporal/entityMaps"""
    await open_call(call)
    media = accepted(call)
    reach = may(call, "temporal.read")
    asked, chosen = parse_wanted(call.params, call.terms, visible(reach)), selection(call.params, call.terms)
    if reach is not None:
        reach.narrow(chosen)
    if asked.window is None:
        raise bad_request("timerel: found nothing; an entity map of the history needs a temporal query")
    entities.allowed(call, "maps.create", hides=True)

    def read(session: Any) -> maps.Given:
        tenant = entities.read_tenant(call, session)
        made = maps.Given(tenant, call.subject, lifetime=call.params.get("entityMapLifetime"))
        made.keep(Asking(session, tenant, asked, call.broker.options.instances).all_ids(chosen, reach))
        return made

    made = await call.broker.store.slow(read, call.broker.options.query_seconds)
    header = await made.settle(call.broker.store, prune=False)
    return answer(call, maps.map_doc(made.id, {"entityMap": made.found}, made.expires), status=201, media=media, headers=[header])


async def query_document(call: Call) -> Reply:
    """POST /temporal/entityOperations/query"""
    raw = await open_body(call)
    media = accepted(call)
    if raw.get("type") != "Query":
        raise bad_request(f"type: found {raw.get('type')!r}; expected 'Query'")
    params = {**query_params(raw, call.params), **temporal_params(raw)}
    return await run(call, query_selection(raw, params, call), params, media)


def temporal_params(raw: Mapping[str, Any]) -> dict[str, str]:
    """temporalQ and aggrParams of a query document as parameters of a query string."""
    found: dict[str, str] = {}
    for part, names in (("temporalQ", ("timerel", "timeAt", "endTimeAt", "timeproperty")), ("aggrParams", ())):
        said = raw.get(part)
        if said is None:
            continue
        if not isinstance(said, dict):
            raise bad_request(f"{part}: expected an object")
        for name in (*names, "aggrPeriodDuration"):
            if name in said:
                if not isinstance(said[name], str):
                    raise bad_request(f"{part}.{name}: found {str(said[name])[:80]}; expected text")
                found[name] = said[name]
        methods = said.get("aggrMethods")
        if isinstance(methods, list) and methods and all(isinstance(name, str) for name in methods):
            found["aggrMethods"] = ",".join(methods)
        elif isinstance(methods, str):
            found["aggrMethods"] = methods
        elif methods is not None:
            raise bad_request(f"{part}.aggrMethods: found {str(methods)[:80]}; expected a list of names")
        if "lastN" in said and part == "temporalQ":
            if type(said["lastN"]) is not int or said["lastN"] < 1:
                raise bad_request(f"temporalQ.lastN: found {str(said['lastN'])[:80]}; expected a whole number from 1")
            found["lastN"] = str(said["lastN"])
    return found
