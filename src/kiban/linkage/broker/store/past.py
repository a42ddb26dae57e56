"""The history of entities in SQL: one table per month, in each the instances of an attribute of an entity side by side in time.

A row keeps what queries and aggregates look at in columns of its own; `doc` is the rest of the instance. Times are µs since 1970:
at        observedAt, or when the instance was deleted or changed; decides about the month and is the order of the primary key
seen      1 if the instance has an observedAt
created, modified, deleted, expires  system times; deleted is NULL for all but the marks of deletion
num       the value if it is a number

An entity's types, and when its history began, are in `tentity`; scopes are instances of an attribute called "scope".
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from random import SystemRandom
from typing import Any, NamedTuple

import msgspec

from kiban.linkage.broker import times
from kiban.linkage.broker.store.contract import Event, Selection, as_number
from kiban.linkage.errors import Problem

FIRST, LAST = "201001", 1  # what is older than this month, or younger than next year, shares one table: clocks that are wrong do not make tables
EARLY, LATE = "000000", "999999"
INSTANCE = "urn:ngsi-ld:Instance:"
_INSTANCE = re.compile(INSTANCE + r"([0-9a-f]{16})\Z")
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
_numbers = count((time.time_ns() // 1000 << 12) + SystemRandom().randrange(4096))
COLUMNS = "attr, at, instance, seen, created, modified, deleted, dataset, doc"
HEADS = 100_000  # histories of which the writer knows the key by heart


def instance_number(instance: str) -> int | None:
    """The number behind an instanceId, None if it is none of this broker.

    >>> instance_number("urn:ngsi-ld:Instance:00000000000000ff"), instance_number("urn:x:1")
    (255, None)
    """
    found = _INSTANCE.match(instance)
    return int(found[1], 16) if found else None


@lru_cache(maxsize=1024)
def _parse(text: str) -> int:
    """`times.parse`; the same times come again and again, from one write and from many sensors."""
    return times.parse(text)


@lru_cache(maxsize=1024)
def month_of(at: int) -> str:
    """The table for a time: its month as six digits, or that of all early or all late ones.

    >>> month_of(times.parse("2026-11-27T20:10:00Z")), month_of(0)
    ('202611', '000000')
    """
    month = times.text(at)[:7].replace("-", "")
    return EARLY if month < FIRST else LATE if int(month[:4]) > time.gmtime().tm_year + LAST else month


class Head(NamedTuple):
    """What is kept of an entity beside its instances."""

    key: int
    id: str
    types: list[str]
    created: int
    modified: int


class Row(NamedTuple):
    """One instance as it is stored; `time` is that of the property in question."""

    attr: int
    at: int
    instance: int
    seen: int
    created: int
    modified: int
    deleted: int | None
    dataset: str | None
    doc: bytes

    def read(self) -> dict[str, Any]:
        """The instance in the internal form."""
        found: dict[str, Any] = _decode(self.doc)
        if self.dataset is not None:
            found["datasetId"] = self.dataset
        found["createdAt"], found["modifiedAt"] = times.text(self.created), times.text(self.modified)
        if self.deleted is not None:
            found["deletedAt"] = times.text(self.deleted)
        found["instanceId"] = f"{INSTANCE}{self.instance:016x}"
        return found


@dataclass(frozen=True, slots=True)
class Span:
    """Which instances of a history.

    column    at, created, modified or deleted: the time in question
    ranges    (low, high) of that time, low within and high outside, None: open; any of them
    only      only instances that have the time: for `at` those with an observedAt, for created and modified none that tell of a deletion
    datasets  datasetIds, None in it for the default; None: all
    present   no marks of deletion
    """

    column: str = "at"
    ranges: tuple[tuple[int | None, int | None], ...] = ((None, None),)
    only: bool = False
    datasets: frozenset[str | None] | None = None
    present: bool = False

    def within(self, low: int | None, high: int | None) -> Span:
        """The same within one range more."""
        return replace(self, ranges=tuple(both for one in self.ranges if (both := meet(one, (low, high))) is not None))

    def condition(self, now: int) -> tuple[str, list[Any]]:
        """The same as SQL on one table of history."""
        parts: list[str] = []
        values: list[Any] = []
        ranges = []
        for low, high in self.ranges:
            ends = [f"{self.column} {sign} ?" for sign, end in ((">=", low), ("<", high)) if end is not None]
            values += [end for end in (low, high) if end is not None]
            ranges.append(" AND ".join(ends))
        if not ranges:
            parts.append("1 = 0")
        elif all(ranges):
            parts.append(ranges[0] if len(ranges) == 1 else "(" + " OR ".join(ranges) + ")")
        else:
            values.clear()
        if self.only:
            parts.append({"at": "seen = 1", "deleted": "deleted IS NOT NULL"}.get(self.column, "deleted IS NULL"))
        if self.present:
            parts.append("deleted IS NULL")
        if self.datasets is not None:
            named = [name for name in self.datasets if name is not None]
            choices = ["dataset IS NULL"] if None in self.datasets else []
            if named:
                choices.append(f"dataset IN ({', '.join('?' * len(named))})")
                values += named
            parts.append(f"({' OR '.join(choices)})")
        parts.append("(expires IS NULL OR expires > ?)")
        values.append(now)
        return " AND ".join(parts), values


def meet(one: tuple[int | None, int | None], other: tuple[int | None, int | None]) -> tuple[int | None, int | None] | None:
    """What two ranges have in common, None if nothing.

    >>> meet((1, 5), (3, None)), meet((1, 3), (3, 4))
    ((3, 5), None)
    """
    lows = [low for low in (one[0], other[0]) if low is not None]
    highs = [high for high in (one[1], other[1]) if high is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    return None if low is not None and high is not None and low >= high else (low, high)


class Total(NamedTuple):
    """One period of one attribute and dataset: how many instances, how many of them numbers of a usual size, and what SQL makes of the numbers by method."""

    dataset: str | None
    period: int
    every: int
    numbers: int
    found: dict[str, float]


# Numbers that are much larger than any measurement are left to Python, squares of those that are much smaller are nothing: a double has no place for them.
USUAL = "CASE WHEN abs(num) <= 1e100 THEN num END"
SQUARES = "sum(CASE WHEN abs({0}) >= 1e-100 THEN {0} * {0} ELSE 0 END)"
SQL = {
    "totalCount": "count(num)", "distinctCount": "count(DISTINCT num)", "sum": "sum(num)", "avg": "avg(num)", "min": "min(num)", "max": "max(num)",
    "sumsq": SQUARES.format("num"),
}  # fmt: skip


class Past:
    """The statements of one transaction about history; `sql.Statements` gives the rest."""

    names: Any
    lock = ""  # what a reading statement ends with when its row is to be changed
    alone = False  # True for the only session that ever writes to its database: what it knows needs not be asked again

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        raise NotImplementedError

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row or None."""
        raise NotImplementedError

    def do(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change rows; how many."""
        raise NotImplementedError

    def many(self, sql: str, rows: list[Any]) -> None:
        """The same statement for many rows."""
        raise NotImplementedError

    def insert_new(self, sql: str, values: Sequence[Any]) -> int | None:
        """Insert a row with ON CONFLICT DO NOTHING; its key, None if it was there."""
        raise NotImplementedError

    def number(self, iri: str) -> int | None:
        """The number of a name, None if it was never used."""
        raise NotImplementedError

    def new_number(self, iri: str) -> int:
        """The number of a name, given now if it is new. 403 if there are too many."""
        raise NotImplementedError

    def make_partition(self, month: str) -> None:
        """A table of history for one month."""
        raise NotImplementedError

    def condition(self, tenant: int, selection: Selection) -> Any:
        """A selection of entities as SQL (`sql.Condition`)."""
        raise NotImplementedError

    # --- tables
    def months(self) -> list[str]:
        """The months that have a table, oldest first."""
        if self.alone and self.names.partitions:
            return self.names.partitions  # type: ignore[no-any-return]
        self.names.partitions = [row[0] for row in self.all("SELECT month FROM partition ORDER BY month")]
        return self.names.partitions  # type: ignore[no-any-return]

    def table(self, at: int) -> str:
        """The table for a time, made if it is new."""
        month = month_of(at)
        if month not in self.names.partitions and month not in self.months():
            self.make_partition(month)
            self.do("INSERT INTO partition (month) VALUES (?) ON CONFLICT (month) DO NOTHING", (month,))
            self.names.partitions = []
        return f"history_{month}"

    def tables(self, span: Span, *, newest: bool = False) -> list[str]:
        """The tables that may have instances of a span, in the order of time."""
        found = self.months()
        if span.column == "at" and span.ranges:
            lows, highs = [low for low, _ in span.ranges], [high for _, high in span.ranges]
            low = month_of(min(lows)) if None not in lows else EARLY  # type: ignore[type-var]
            high = month_of(max(highs)) if None not in highs else LATE  # type: ignore[type-var]
            found = [month for month in found if low <= month <= high]
        return [f"history_{month}" for month in (reversed(found) if newest else found)]

    # --- heads
    def head(self, tenant: int, id: str) -> Head | None:
        """The head of an entity's history, None if there is none."""
        row = self.one(f"SELECT key, id, types, created, modified FROM tentity WHERE tenant = ? AND id = ?{self.lock}", (tenant, id))  # noqa: S608
        return None if row is None else Head(row[0], row[1], _decode(row[2]), row[3], row[4])

    def keep_head(self, tenant: int, id: str, types: list[str], now: int, *, fresh: bool = False) -> int:
        """The key of an entity's history, begun now if there was none; its types are those given. fresh: there probably was none."""
        known = self.names.heads.get((tenant, id)) if self.alone else None
        if known is not None and known[1] == tuple(types):
            return known[0]  # type: ignore[no-any-return]
        before: list[str] = []
        key = None
        head = None if fresh and known is None else self.head(tenant, id)
        if head is None:
            key = self.insert_new(
                "INSERT INTO tentity (tenant, id, types, created, modified) VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant, id) DO NOTHING",
                (tenant, id, _encode(types), now, now),
            )
        if key is None:
            head = head or self.head(tenant, id)
            if head is None:
                raise Problem("InternalError", "the history was deleted at the same time", "send it again", status=503)
            key, before = head.key, head.types
            if before != types:
                self.do("UPDATE tentity SET types = ?, modified = ? WHERE key = ?", (_encode(types), now, key))
            if len(self.names.heads) >= HEADS:
                self.names.heads.clear()
            self.names.heads[(tenant, id)] = (key, tuple(types))
        for iri in types if not before else set(types).difference(before):
            self.do("INSERT INTO ttype (tenant, type, entity) VALUES (?, ?, ?)", (tenant, self.new_number(iri), key))
        for iri in before:
            if iri not in types:
                self.do("DELETE FROM ttype WHERE tenant = ? AND type = ? AND entity = ?", (tenant, self.new_number(iri), key))
        return key

    def touch_head(self, key: int, now: int) -> None:
        """A history was changed by hand."""
        self.do("UPDATE tentity SET modified = ? WHERE key = ?", (now, key))

    def forget(self, tenant: int, id: str) -> bool:
        """Remove an entity's history; False if there was none."""
        head = self.head(tenant, id)
        self.names.heads.pop((tenant, id), None)
        if head is None:
            return False
        for month in self.months():
            self.do(f"DELETE FROM history_{month} WHERE entity = ?", (head.key,))  # noqa: S608 - digits
        for iri in head.types:
            self.do("DELETE FROM ttype WHERE tenant = ? AND type = ? AND entity = ?", (tenant, self.new_number(iri), head.key))
        self.do("DELETE FROM tentity WHERE key = ?", (head.key,))
        return True

    def heads(
        self,
        tenant: int,
        *,
        types: Iterable[str] | None = None,
        ids: Sequence[str] = (),
        span: Span | None = None,
        attrs: Sequence[str] = (),
        reach: Any = None,
        order: str = "key",
        after: Any = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[Head]:
        """Heads of histories in the order of their beginning, or of their ids ("id", "-id"): those behind `after`.

        types  of any of these types; ids  any of these; span  with an instance within it, of one of attrs if some are named
        reach  a selection: leave out entities that stand there and are not selected
        """
        where, values = self._heads(tenant, types, ids, span, attrs, reach)
        column, sign, way = ("t.id", "<", "DESC") if order == "-id" else (f"t.{order}", ">", "ASC")
        if after is not None:
            where += f" AND {column} {sign} ?"
            values.append(after)
        page = "" if limit < 0 else f" LIMIT {int(limit)} OFFSET {int(offset)}"
        sql = f"SELECT t.key, t.id, t.types, t.created, t.modified FROM tentity t WHERE {where} ORDER BY {column} {way}{page}"  # noqa: S608 - own text
        return [Head(row[0], row[1], _decode(row[2]), row[3], row[4]) for row in self.all(sql, values)]

    def count_heads(
        self, tenant: int, *, types: Iterable[str] | None = None, ids: Sequence[str] = (), span: Span | None = None, attrs: Sequence[str] = ()
    ) -> int:
        """How many histories `heads` finds in all."""
        where, values = self._heads(tenant, types, ids, span, attrs, None)
        return int(self.one(f"SELECT count(*) FROM tentity t WHERE {where}", values)[0])  # noqa: S608 - own text

    def _heads(
        self, tenant: int, types: Iterable[str] | None, ids: Sequence[str], span: Span | None, attrs: Sequence[str], reach: Any
    ) -> tuple[str, list[Any]]:
        where, values = ["t.tenant = ?"], [tenant, *ids]
        if ids:
            where.append(f"t.id IN ({', '.join('?' * len(ids))})")
        if types is not None:
            numbers = [number for name in types if (number := self.number(name)) is not None]
            where.append(f"t.key IN (SELECT entity FROM ttype WHERE tenant = ? AND type IN ({', '.join('?' * len(numbers)) or 'NULL'}))")  # noqa: S608
            values += [tenant, *numbers]
        if span is not None:
            text, found = span.condition(times.now_us())
            numbers = [number for name in attrs if (number := self.number(name)) is not None]
            if attrs:
                text = f"attr IN ({', '.join('?' * len(numbers)) or 'NULL'}) AND {text}"
            tables = self.tables(span)
            parts = [f"EXISTS (SELECT 1 FROM {table} h WHERE h.entity = t.key AND {text})" for table in tables]  # noqa: S608 - own text
            where.append(f"({' OR '.join(parts) or '1 = 0'})")
            values += [*numbers, *found] * len(tables)
        if reach is not None:
            selected = self.condition(tenant, reach)
            there = "SELECT 1 FROM entity x WHERE x.tenant = t.tenant AND x.id = t.id"
            where.append(f"(t.id IN (SELECT e.id FROM {selected.text}) OR NOT EXISTS ({there}))")  # noqa: S608 - own text
            values += selected.values
        return " AND ".join(where), values

    # --- instances
    def record(self, key: int, events: Iterable[Event], number: int | None = None) -> None:
        """Add instances to a history; number: that of the only one, else each gets the next."""
        tables: dict[str, list[tuple[Any, ...]]] = {}
        place: dict[int, str] = {}  # time → table; most instances have the same
        numbers = self.names.known
        read: dict[str, int] = {}
        for name, instance, deleted in events:
            attr = numbers.get(name)
            if attr is None:
                attr = self.new_number(name)
            about = instance.copy()
            text = about.pop("createdAt")
            created = read.get(text) or read.setdefault(text, _parse(text))
            text = about.pop("modifiedAt")
            modified = read.get(text) or read.setdefault(text, _parse(text))
            dataset = about.pop("datasetId", None)
            about.pop("deletedAt", None)
            about.pop("instanceId", None)
            observed, expires, value = about.get("observedAt"), about.get("expiresAt"), about.get("value")
            at = _parse(observed) if observed is not None else modified if deleted is None else deleted
            row = (
                key, attr, at, next(_numbers) if number is None else number, 0 if observed is None else 1, created, modified, deleted,
                None if expires is None else _parse(expires), as_number(value),
                dataset, _encode(about),
            )  # fmt: skip
            table = place.get(at) or place.setdefault(at, self.table(at))
            if table in tables:
                tables[table].append(row)
            else:
                tables[table] = [row]
        for table, rows in tables.items():
            self.many(
                f"INSERT INTO {table} (entity, attr, at, instance, seen, created, modified, deleted, expires, num, dataset, doc) "  # noqa: S608 - digits
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def attrs_of(self, key: int, span: Span) -> list[int]:
        """The attributes (numbers) that a history may have within a span, by jumping from one to the next in the primary key."""
        found: set[int] = set()
        for table in self.tables(span):
            rows = self.all(
                f"WITH RECURSIVE a (n) AS (SELECT min(attr) FROM {table} WHERE entity = ? UNION ALL "  # noqa: S608 - digits
                f"SELECT (SELECT min(attr) FROM {table} WHERE entity = ? AND attr > a.n) FROM a WHERE a.n IS NOT NULL) SELECT n FROM a WHERE n IS NOT NULL",
                (key, key),
            )
            found.update(row[0] for row in rows)
        return sorted(found)

    def instances(self, key: int, attr: int, span: Span, *, limit: int = -1, newest: bool = False) -> list[Row]:
        """Instances of one attribute in the order of the span's time, or the newest first; at most `limit`."""
        if limit == 0:
            return []
        text, values = span.condition(times.now_us())
        way = "DESC" if newest else "ASC"
        tables = self.tables(span, newest=newest)
        found: list[Row] = []
        page = "" if limit < 0 else f" LIMIT {int(limit)}"
        if span.column != "at":
            parts = [f"SELECT {COLUMNS} FROM {table} WHERE entity = ? AND attr = ? AND {text}" for table in tables]  # noqa: S608 - own text
            if not parts:
                return []
            sql = f"SELECT {COLUMNS} FROM ({' UNION ALL '.join(parts)}) AS h ORDER BY {span.column} {way}, instance {way}{page}"  # noqa: S608 - own text
            return [Row(*row) for row in self.all(sql, [key, attr, *values] * len(parts))]
        for table in tables:
            if limit >= 0:
                page = f" LIMIT {limit - len(found)}"
            sql = f"SELECT {COLUMNS} FROM {table} WHERE entity = ? AND attr = ? AND {text} ORDER BY at {way}, instance {way}{page}"  # noqa: S608 - own text
            found += [Row(*row) for row in self.all(sql, [key, attr, *values])]
            if limit >= 0 and len(found) >= limit:
                break
        return found

    def instance(self, key: int, attr: int, instance: str) -> tuple[str, Row] | None:
        """One instance by its id, with its table."""
        number = instance_number(instance)
        if number is not None:
            for month in reversed(self.months()):
                row = self.one(f"SELECT {COLUMNS} FROM history_{month} WHERE entity = ? AND attr = ? AND instance = ?", (key, attr, number))  # noqa: S608
                if row is not None:
                    return f"history_{month}", Row(*row)
        return None

    def remove_instance(self, key: int, table: str, row: Row) -> None:
        """Remove one instance."""
        self.do(f"DELETE FROM {table} WHERE entity = ? AND attr = ? AND at = ? AND instance = ?", (key, row.attr, row.at, row.instance))  # noqa: S608

    def change_instance(self, key: int, table: str, row: Row, event: Event) -> None:
        """Put an instance in the place of another; it keeps its id."""
        self.remove_instance(key, table, row)
        self.record(key, [event], row.instance)

    def remove_same(self, key: int, attr: str, dataset: str | None, at: int) -> None:
        """Remove what was observed at the same time for the same dataset: it comes again."""
        number = self.number(attr)
        month = month_of(at)
        if number is not None and month in self.months():
            text, values = ("dataset IS NULL", []) if dataset is None else ("dataset = ?", [dataset])
            self.do(f"DELETE FROM history_{month} WHERE entity = ? AND attr = ? AND at = ? AND seen = 1 AND {text}", (key, number, at, *values))  # noqa: S608

    def remove_attr(self, key: int, attr: str, datasets: frozenset[str | None] | None) -> int:
        """Remove the instances of an attribute, of some datasets or of all (None); how many."""
        number = self.number(attr)
        if number is None:
            return 0
        text, values = Span(datasets=datasets).condition(0)
        return sum(
            self.do(f"DELETE FROM history_{month} WHERE entity = ? AND attr = ? AND {text}", (key, number, *values))  # noqa: S608 - own text
            for month in self.months()
        )

    def totals(self, key: int, attr: int, span: Span, start: int, step: int, methods: Sequence[str]) -> list[Total]:
        """Aggregates of one attribute by dataset and period of `step` µs from `start` on (0: one period), in the order of time.

        They are the whole truth about a period where `numbers` equals `count`; stddev is that of a population.
        """
        text, values = span.condition(times.now_us())
        tables = self.tables(span)
        if not tables:
            return []
        shift = 0.0
        columns = [SQL[method] for method in methods if method != "stddev"]
        names = [method for method in methods if method != "stddev"]
        if "stddev" in methods:  # squares of distances from a value nearby: nothing is lost where the values are large and close to each other
            for table in tables:
                row = self.one(f"SELECT num FROM {table} WHERE entity = ? AND attr = ? AND abs(num) <= 1e100 LIMIT 1", (key, attr))  # noqa: S608 - own text
                if row is not None:
                    shift = float(row[0])
                    break
            columns += ["sum(near)", SQUARES.format("near")]
        period = f"({span.column} - ?) / ?" if step else "0"
        near_text = f", {USUAL} - ? AS near" if "stddev" in methods else ""
        parts = [
            f"SELECT dataset, {period} AS period, {USUAL} AS num{near_text} FROM {table} WHERE entity = ? AND attr = ? AND {text}"  # noqa: S608 - own text
            for table in tables
        ]
        rows = self.all(
            f"SELECT {', '.join(['dataset', 'period', 'count(*)', 'count(num)', *columns])} "  # noqa: S608 - own text
            f"FROM ({' UNION ALL '.join(parts)}) AS h GROUP BY dataset, period ORDER BY period",
            [*((start, step) if step else ()), *((shift,) if near_text else ()), key, attr, *values] * len(tables),
        )
        totals = []
        for dataset, place, every, numbers, *rest in rows:
            found = dict(zip(names, rest, strict=False))
            if near_text and numbers == every:
                mean = rest[-2] / numbers
                found["stddev"] = max(0.0, rest[-1] / numbers - mean * mean) ** 0.5
            totals.append(Total(dataset, place, every, numbers, found))
        return totals

    # --- an end
    def drop_before(self, month: str) -> list[str]:
        """Drop the tables older than a month (six digits), and the heads of histories that have nothing left; the months dropped."""
        old = [found for found in self.months() if found < month]
        for found in old:
            self.do(f"DROP TABLE IF EXISTS history_{int(found):06d}")
            self.do("DELETE FROM partition WHERE month = ?", (found,))
        self.names.partitions = []
        if old:
            self.names.heads.clear()
            empty = "".join(f" AND NOT EXISTS (SELECT 1 FROM history_{found} h WHERE h.entity = t.key)" for found in self.months())  # noqa: S608 - digits
            self.do(f"DELETE FROM tentity AS t WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.tenant = t.tenant AND e.id = t.id){empty}")  # noqa: S608
            self.do("DELETE FROM ttype WHERE entity NOT IN (SELECT key FROM tentity)")
        return old

    def drop_expired(self, now: int) -> int:
        """Remove the instances whose time has passed; how many."""
        return sum(
            self.do(f"DELETE FROM history_{month} WHERE expires IS NOT NULL AND expires <= ?", (now,))  # noqa: S608 - digits
            for month in self.months()
        )
