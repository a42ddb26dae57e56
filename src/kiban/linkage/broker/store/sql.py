"""What both databases have in common: the statements of one transaction.

A database gives `all`, `one`, `do` and `many` with `?` for every value, and says in a few methods where it differs: places on the map, conditions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from kiban.linkage.broker import times
from kiban.linkage.broker.model import OWN, expire, soonest
from kiban.linkage.broker.overwrite import Overwritten
from kiban.linkage.broker.query import unlink
from kiban.linkage.broker.render import decode, encode_lean
from kiban.linkage.broker.selection import TypeQ
from kiban.linkage.broker.store.contract import Entity, Message, Selection, Who, as_number
from kiban.linkage.broker.store.indexing import comparisons
from kiban.linkage.broker.store.past import Past
from kiban.linkage.broker.store.rows import Row
from kiban.linkage.errors import Problem, already_exists

FOREVER = 1 << 62  # µs
PLANS = 1_000  # selections of which the SQL is remembered
MOST_NAMES = 100_000  # different names of types and attributes in a database: each is remembered in memory and never forgotten
FOUND = 10_000  # entities that a sub-query over linked entities may find


def members(entity: Entity) -> list[str]:
    """The attributes (IRIs) of an entity in the internal form.

    >>> members({"id": "urn:a", "type": ["https://e.jp/T"], "https://e.jp/level": []})
    ['https://e.jp/level']
    """
    return [name for name in entity if name not in OWN]


def places(entity: Entity) -> list[tuple[str, Any]]:
    """The geometries of an entity, each with the IRI of its GeoProperty.

    >>> places({"id": "urn:a", "type": ["https://e.jp/T"], "https://e.jp/at": [{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}]})
    [('https://e.jp/at', {'type': 'Point', 'coordinates': [1, 2]})]
    """
    return [(name, part["value"]) for name, parts in entity.items() if name not in OWN for part in parts if part["type"] == "GeoProperty"]


def of_types(types: tuple[str, ...], q: Any) -> Selection:
    """The entities of some types (any, if none is named) that match a query."""
    who = (Who(TypeQ(",".join(types), tuple((name,) for name in types))),) if types else ()
    return Selection(who, q=q)


def fresh(lean: bytes, sys: bytes) -> Entity:
    """An entity without the attributes that have expired."""
    return expire(decode(lean, sys), now=times.now()).entity or {}


def first_expiry(entity: Entity) -> int | None:
    """When the first attribute of an entity expires, in µs; None if none does."""
    first = soonest(entity)
    return None if first is None else times.parse(first)


def marks(values: Sequence[Any]) -> str:
    """A `?` for each value of a list in SQL; NULL for an empty one.

    >>> marks([1, 2]), marks([])
    ('?, ?', 'NULL')
    """
    return ", ".join("?" * len(values)) or "NULL"


class Names:
    """IRIs of types and attributes as small numbers, remembered; numbers of a transaction that did not come through are forgotten."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.iris: dict[int, str] = {}
        self.tenants: dict[str, int] = {}
        self.declared: frozenset[int] = frozenset()
        self.partitions: list[str] = []
        self.plans: dict[tuple[int, int], Plan] = {}
        self.heads: dict[tuple[int, str], tuple[int, tuple[str, ...]]] = {}  # tenant and id → key and types of a history
        self.counts: dict[str, int] = {}  # kind of documents → number of its changes, where nobody else writes
        self.made: dict[Any, tuple[int, Any]] = {}  # what others have made of kept documents, with the number of their changes

    def forget(self) -> None:
        """Everything is read again."""
        self.known.clear()
        self.iris.clear()
        self.tenants.clear()
        self.heads.clear()
        self.plans.clear()
        self.made.clear()
        self.counts.clear()
        self.partitions = []


KINDS = ("Property", "Relationship", "GeoProperty", "LanguageProperty", "VocabProperty", "JsonProperty", "ListProperty", "ListRelationship")
BITS = {kind: 1 << bit for bit, kind in enumerate(KINDS)}
GEO = BITS["GeoProperty"]


def kinds(entity: Entity) -> dict[str, int]:
    """The attributes of an entity, each with the kinds of its instances as bits.

    >>> kinds({"id": "urn:a", "type": ["https://e.jp/T"], "https://e.jp/at": [{"type": "GeoProperty"}]})
    {'https://e.jp/at': 4}
    """
    found = {}
    for name, instances in entity.items():
        if name not in OWN:
            mask = 0
            for instance in instances:
                mask |= BITS[instance["type"]]
            found[name] = mask
    return found


class Encoded(NamedTuple):
    """An entity as the store keeps it; times in µs.

    lean, sys, flat    see `encode_lean`
    created, modified  of the entity; expires, ripe: when it expires, and the first of its attributes; None if nothing does
    """

    lean: bytes
    sys: bytes
    flat: bool
    created: int
    modified: int
    expires: int | None
    ripe: int | None


def encoded(entity: Entity) -> Encoded:
    """What can be made of an entity before its transaction begins.

    >>> now = {"createdAt": "2026-01-01T00:00:00.000Z", "modifiedAt": "2026-01-01T00:00:00.000Z"}
    >>> made = encoded({"id": "urn:a", "type": ["https://e.jp/T"], "https://e.jp/level": [{"type": "Property", "value": 1, **now}], **now})
    >>> made.created, made.expires, made.ripe
    (1767225600000000, None, None)
    """
    lean, sys, flat = encode_lean(entity)
    expires = times.parse(entity["expiresAt"]) if "expiresAt" in entity else None
    ripe = first_expiry(entity) if sys.count(b",") > 1 else None  # two times: none of its attributes has one of its own
    return Encoded(lean, sys, flat, times.parse_own(entity["createdAt"]), times.parse_own(entity["modifiedAt"]), expires, ripe)


def ordered(key: str) -> str:
    """ORDER BY, unless the rows come in their order."""
    return f" ORDER BY {key}" if key else ""


class Way(NamedTuple):
    """How one index answers a condition.

    found   SELECT that gives the keys of the entities, each at least once; with its values
    has     expression that is true for an entity e that fulfils it, with the same values; "" if a look at the entity tells anyway
    walk    source that gives the entities in the order of their keys, with the same values; "" if there is none
    stretch  the same for keys after one up to another, which follow the values, as far as WHERE; "" if there is none
    border  SELECT of the key so many entities behind another one, both of which follow the values; "" if there is none
    dear    whether `has` costs many times as much as to go on by one in `found`
    """

    found: str
    values: Sequence[Any]
    has: str = ""
    walk: str = ""
    stretch: str = ""
    border: str = ""
    dear: bool = False


class Plan:
    """A selection on its way to SQL, and then the SQL: `text` is source and WHERE.

    where, values    conditions that hold for every entity
    ways             conditions that an index answers
    rest             conditions that need a look at the entity
    until            when it is to be made anew (µs)
    filled           until when the first entities of the walk are taken to fill a page, as they did a moment ago (µs)

    and once it is led, as an answer that is not a page needs it:

    source, leading  what the entities e are taken from, with its values
    tests            `where` and all other conditions, with `asked`, their values
    key              what to order by; "" if the source is in order
    """

    def __init__(self, session: Statements, tenant: int, selection: Selection) -> None:
        self.selection, self.tenant, self.declared = selection, tenant, session.names.declared
        self.where: list[str] = []
        self.values: list[Any] = []
        self.ways: list[Way] = []
        self.rest: list[Any] = []
        self.look: Any = None  # all of the rest as one function, for a database that calls it
        self.ids, self.until, self.filled = False, FOREVER, 0
        self.text, self.key = "", "e.key"
        for part in selection.flat:
            if len(part.who) == 1:
                self.who(session, part.who[0])
            elif part.who:
                self.whos(session, part.who)
            if part.attrs:
                self.member(session, "eattr", "attr", part.attrs)
            if part.q is not None:
                self.question(session, part.q)
            if part.scope is not None:
                self.rest.append(part.scope)
            if part.geo is not None:
                session.by_place(part.geo, self)
        self.quick = not self.rest and (self.ids or bool(self.ways))

    leading: Sequence[Any] = ()
    source: str = "entity e"
    tests: Sequence[str]
    asked: Sequence[Any]

    def hold(self, text: str, values: Sequence[Any]) -> None:
        """A condition of every entity."""
        self.where.append(text)
        self.values += values

    def numbers(self, session: Statements, names: Iterable[str]) -> list[int]:
        """The numbers of names. While one is not in use yet, nothing is remembered."""
        found = [session.number(name) for name in names]
        if None in found:
            self.until = 0
        return sorted(number for number in found if number is not None)

    def member(self, session: Statements, table: str, column: str, names: Iterable[str]) -> None:
        """Entities with one of these types, or attributes."""
        numbers = self.numbers(session, names)
        test = f"tenant = ? AND {column} IN ({marks(numbers)})"
        values = (self.tenant, *numbers)
        has = f"EXISTS (SELECT 1 FROM {table} m WHERE m.tenant = ? AND m.{column} IN ({marks(numbers)}) AND m.entity = e.key)"  # noqa: S608 - own names
        walk = border = ""
        if len(numbers) == 1:
            walk = f"{table} t CROSS JOIN entity e ON e.key = t.entity AND t.tenant = ? AND t.{column} = ?"
            stretch = f"{walk} WHERE t.entity > ? AND t.entity <= ?"
            border = f"SELECT entity FROM {table} WHERE {test} AND entity > ? ORDER BY entity LIMIT 1 OFFSET ?"  # noqa: S608 - own names
        else:
            several = f"SELECT DISTINCT entity FROM {table} WHERE {test} AND entity > ? AND entity <= ? ORDER BY entity LIMIT -1"  # noqa: S608 - own names
            stretch = f"({several}) t CROSS JOIN entity e WHERE e.key = t.entity"
        found = f"SELECT t.entity FROM {table} t WHERE t.tenant = ? AND t.{column} IN ({marks(numbers)})"  # noqa: S608 - own names
        self.ways.append(Way(found, values, has, walk, stretch, border))

    def who(self, session: Statements, who: Who) -> None:
        """A single selector."""
        if who.ids:
            self.hold(f"e.id IN ({marks(who.ids)})", who.ids)
            self.ids = True
        if who.types is not None and who.types.alternatives:
            self.member(session, "etype", "type", who.types.names)
            if any(len(each) > 1 for each in who.types.alternatives):
                self.rest.append(who.types)
        if who.pattern is not None:
            if start := who.pattern.start:
                end = start[:-1] + chr(ord(start[-1]) + 1)
                self.hold("e.id >= ? AND e.id < ?", (start, end))
                self.ways.append(Way("SELECT key FROM entity WHERE tenant = ? AND id >= ? AND id < ?", (self.tenant, start, end)))
            self.rest.append(Who(pattern=who.pattern))

    def whos(self, session: Statements, who: tuple[Who, ...]) -> None:
        """Several selectors: what any of them needs, as far as ids and types say it, and a look at the entity."""
        self.rest.append(Selection(who=who))
        found: list[str] = []
        values: list[Any] = []
        for one in who:
            if one.ids:
                found.append(f"SELECT key FROM entity WHERE tenant = ? AND id IN ({marks(one.ids)})")  # noqa: S608 - marks only
                values += [self.tenant, *one.ids]
            elif one.types is not None and one.types.names:
                numbers = self.numbers(session, one.types.names)
                found.append(f"SELECT entity FROM etype WHERE tenant = ? AND type IN ({marks(numbers)})")  # noqa: S608 - marks only
                values += [self.tenant, *numbers]
            else:
                return
        self.ways.append(Way(" UNION ALL ".join(found), values))

    def question(self, session: Statements, q: Any) -> None:
        """A query: comparisons on declared attributes go to their index, all of it is looked at exactly."""
        if q.depth:
            q, self.until = unlink(q, lambda types, inner: session.some_ids(self.tenant, of_types(types, inner))), 0
        self.rest.append(q)
        for attr, column, operator, operand in comparisons(q):
            number = session.number(attr)
            if number is None or number not in session.names.declared:
                continue
            test, operands = ("BETWEEN ? AND ?", operand) if operator == "range" else (f"{operator} ?", (operand,))
            found = f"SELECT entity FROM eindex WHERE attr = ? AND tenant = ? AND {column} {test}"  # noqa: S608 - own names
            # What is asked of one entity goes by the index of entities.
            has = f"EXISTS (SELECT 1 FROM eindex i WHERE {session.aside}i.attr = ? AND {session.aside}i.tenant = ? AND {session.aside}i.{column} {test} AND i.entity = e.key)"  # noqa: E501, S608
            self.ways.append(Way(found, (number, self.tenant, *operands), has))


class Condition(NamedTuple):
    """A selection as SQL: source and WHERE with its values, and the column to order by."""

    text: str
    values: list[Any]
    key: str


class Statements(Past):
    """Reads and writes of one transaction, the same for both databases."""

    names: Names
    # Tenant, id and key of the entity that was read last, and all of it if something in it has expired that was not swept yet.
    last: tuple[int, str, int, Entity | None] | None = None
    rung: set[str]  # endpoints of messages that this transaction put into the outbox
    skip = ""  # what a statement ends with that takes rows which others may be taking too
    aside = ""  # before a column of which an index is not to be used

    # --- what a database gives
    def insert(self, sql: str, values: Sequence[Any]) -> int:
        """Insert one row and return its key, 0 if ON CONFLICT DO NOTHING did so; the statement ends before RETURNING."""
        raise NotImplementedError

    def document(self, entity: Entity) -> tuple[str, ...]:  # noqa: ARG002 - what only one database needs
        """The entity as one JSON text, for a database that queries it there; nothing by default."""
        return ()

    def place(self, tenant: int, key: int, entity: Entity, old: Entity | None) -> None:
        """Keep where the entity is."""
        raise NotImplementedError

    def unplace(self, key: int, there: list[tuple[str, Any]]) -> None:
        """Forget where the entity is; there: its places."""
        raise NotImplementedError

    def look(self, plan: Plan) -> list[Any]:  # noqa: ARG002 - what only one database needs
        """What belongs at the end of the values of a statement so that the database can look at what no index answers."""
        return []

    def by_place(self, geo: Any, plan: Plan) -> None:
        """Put a geo-query into a plan."""
        raise NotImplementedError

    def lead(self, plan: Plan) -> None:
        """Choose the source of a plan, and make conditions of its ways and its rest."""
        raise NotImplementedError

    def written(self, tenant: int, id: str, row: Row) -> None:
        """Told of each entity that is put, for a database of which somebody remembers them; nothing by default."""

    # --- selections
    def plan(self, tenant: int, selection: Selection) -> Plan:
        """The plan of a selection; made once for each selection object as long as the names that it has are known."""
        plan = self.names.plans.get((tenant, id(selection)))
        if plan is None or plan.selection is not selection or plan.declared is not self.names.declared or plan.until < times.now_us():
            plan = Plan(self, tenant, selection)
            if len(self.names.plans) >= PLANS:
                self.names.plans.clear()
            self.names.plans[(tenant, id(selection))] = plan
        return plan

    def condition(self, tenant: int, selection: Selection) -> Condition:
        """A selection as SQL."""
        plan = self.plan(tenant, selection)
        if not plan.text:
            self.lead(plan)
            plan.text = " AND ".join([f"{plan.source} WHERE (e.expires IS NULL OR e.expires > ?)", *plan.tests])
        return Condition(plan.text, [*plan.leading, times.now_us(), *plan.asked, *self.look(plan)], plan.key)

    # --- names
    def tenant(self, name: str) -> int | None:
        """The key of a tenant, None if nothing was ever written to it."""
        key = self.names.tenants.get(name)
        if key is None:
            row = self.one("SELECT key FROM tenant WHERE name = ?", (name,))
            if row is not None:
                key = self.names.tenants[name] = row[0]
        return key

    def open_tenant(self, name: str) -> int:
        """The key of a tenant, made if it is new."""
        key = self.tenant(name)
        if key is None:
            self.do("INSERT INTO tenant (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (name,))
            key = self.names.tenants[name] = self.one("SELECT key FROM tenant WHERE name = ?", (name,))[0]
        return key

    def tenants(self) -> list[tuple[int, str]]:
        """Key and name of every tenant."""
        return [(row[0], row[1]) for row in self.all("SELECT key, name FROM tenant ORDER BY key")]

    def tenants_like(self, beginning: str) -> list[int]:
        """The keys of the tenants whose names begin so."""
        return [row[0] for row in self.all("SELECT key FROM tenant WHERE name LIKE ?", (beginning + "%",))]

    def clear(self, tenant: int, limit: int) -> int:
        """Remove up to so many entities of a tenant; how many there were."""
        rows = self.all("SELECT key, lean, sys FROM entity WHERE tenant = ? LIMIT ?", (tenant, limit))
        for key, lean, sys in rows:
            self.remove(tenant, key, decode(lean, sys))
        histories = self.all("SELECT id FROM tentity WHERE tenant = ? LIMIT ?", (tenant, limit))
        for (id,) in histories:
            self.forget(tenant, id)
        return len(rows) + len(histories)

    def drop_tenant(self, tenant: int) -> None:
        """Remove an empty tenant with the documents that it has."""
        self.do("DELETE FROM thing WHERE tenant = ?", (tenant,))
        self.do("DELETE FROM tenant WHERE key = ?", (tenant,))
        self.names.tenants.clear()

    def number(self, iri: str) -> int | None:
        """The number of a name, None if it was never used."""
        key = self.names.known.get(iri)
        if key is None:
            row = self.one("SELECT key FROM name WHERE iri = ?", (iri,))
            if row is not None:
                key = self.names.known[iri] = row[0]
                self.names.iris[row[0]] = iri
        return key

    def new_number(self, iri: str) -> int:
        """The number of a name, given now if it is new. 403 if there are too many."""
        key = self.number(iri)
        if key is None:
            self.do("INSERT INTO name (iri) VALUES (?) ON CONFLICT (iri) DO NOTHING", (iri,))
            key = self.one("SELECT key FROM name WHERE iri = ?", (iri,))[0]
            # Numbers only grow, but PostgreSQL leaves some out: below the limit there is nothing to count.
            if key > MOST_NAMES and self.one("SELECT count(*) FROM name")[0] > MOST_NAMES:
                told = f"a database keeps {MOST_NAMES} names of types and attributes, no further one is taken"
                raise Problem("Forbidden", told, f"{iri[:200]}: use names that are there, or another database")
            self.names.known[iri] = key
            self.names.iris[key] = iri
        return key

    def unused(self, iris: Iterable[str]) -> list[str]:
        """Those of some attributes that no entity has, of whatever tenant."""
        found = "SELECT 1 FROM tenant t WHERE EXISTS (SELECT 1 FROM eattr a WHERE a.tenant = t.key AND a.attr = ?) LIMIT 1"
        return [iri for iri in iris if (number := self.number(iri)) is None or self.one(found, (number,)) is None]

    def iri(self, number: int) -> str:
        """The name behind a number."""
        iri = self.names.iris.get(number)
        if iri is None:
            iri = self.names.iris[number] = str(self.one("SELECT iri FROM name WHERE key = ?", (number,))[0])
        return iri

    # --- entities
    def row(self, tenant: int, id: str) -> Any:
        """What is kept of an entity, a `Row`, which nobody else may change until the transaction ends; None if it is not there."""
        return self.one(f"SELECT lean, flat, expires, ripe, sys, key FROM entity WHERE tenant = ? AND id = ?{self.lock}", (tenant, id))  # noqa: S608 - own text

    def lean(self, tenant: int, id: str) -> tuple[bytes, bool] | None:
        """An entity as compact JSON without system times, and whether only its top names need a context."""
        row = self.row(tenant, id)
        if row is None or (row[2] is not None and row[2] <= times.now_us()):
            return None
        if row[3] is not None and row[3] <= times.now_us():
            return encode_lean(fresh(row[0], row[4]))[::2]
        return row[0], bool(row[1])

    def entity(self, tenant: int, id: str) -> Entity | None:
        """An entity in the internal form, None if it is not there or has expired."""
        row = self.row(tenant, id)
        if row is None:
            self.last = None
            return None
        lean, _, expires, ripe, sys, key = row
        ripened = ripe is not None and ripe <= times.now_us()
        self.last = tenant, id, key, decode(lean, sys) if ripened else None
        if expires is not None and expires <= times.now_us():
            return None
        return fresh(lean, sys) if ripened else decode(lean, sys)

    def stored(self, tenant: int, id: str) -> tuple[bytes, bytes, int] | None:
        """An entity as it is kept, lean and times, to be changed, with its key; None if it is not there, or something of it has expired."""
        row = self.row(tenant, id)
        return None if row is None or row[2] is not None or row[3] is not None else (row[0], row[4], row[5])

    def find(self, tenant: int, selection: Selection, limit: int, offset: int = 0) -> list[tuple[bytes, bytes, bool]]:
        """Selected entities (lean, system times, flat) in the order of their creation."""
        rows = self.some(tenant, selection, limit, offset)
        now = times.now_us()
        return [(*encode_lean(fresh(row[0], row[1])),) if row[3] is not None and row[3] <= now else row for row in rows]

    def some(self, tenant: int, selection: Selection, limit: int, offset: int) -> list[Any]:
        """Rows of selected entities (lean, system times, flat, when the first attribute expires) in the order of their keys."""
        where, values, key = self.condition(tenant, selection)
        return self.all(f"SELECT e.lean, e.sys, e.flat, e.ripe FROM {where}{ordered(key)} LIMIT ? OFFSET ?", [*values, limit, offset])  # noqa: S608

    def count(self, tenant: int, selection: Selection) -> int:
        """How many entities are selected."""
        where, values, _ = self.condition(tenant, selection)
        return int(self.one(f"SELECT count(*) FROM {where}", values)[0])  # noqa: S608 - own text

    def ids(self, tenant: int, selection: Selection, limit: int = -1) -> list[str]:
        """The ids of the selected entities in the order of their creation; a negative limit: of all."""
        where, values, key = self.condition(tenant, selection)
        return [row[0] for row in self.all(f"SELECT e.id FROM {where}{ordered(key)}{self.page(limit, 0)}", values)]  # noqa: S608 - own text

    def some_ids(self, tenant: int, selection: Selection) -> list[str]:
        """The ids of the entities that a sub-query finds; 403 if they are too many."""
        found = self.ids(tenant, selection)
        if len(found) > FOUND:
            raise Problem("TooComplexQuery", "a sub-query finds too much", f"{len(found)} entities; expected at most {FOUND}")
        return found

    def indexed(self, tenant: int, selection: Selection) -> bool:
        """True if a page of the selection may be asked for in the event loop: `brief` gives up where it takes too long."""
        return self.plan(tenant, selection).quick

    def put(self, tenant: int, entity: Entity, old: Entity | None, *, new: bool = False, made: Encoded | None = None) -> None:
        """Keep an entity; old: what stands there now, None if nothing does. new: 409 if something does. made: what was made of it already."""
        lean, sys, flat, created, modified, expires, ripe = made or encoded(entity)
        document = self.document(entity)
        if old is None:
            columns = "tenant, id, lean, flat, sys, created, modified, expires, ripe" + (", doc" if document else "")
            insert = f"INSERT INTO entity ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?{', ?::jsonb' if document else ''})"  # noqa: S608 - own text
            row = (tenant, entity["id"], lean, int(flat), sys, created, modified, expires, ripe, *document)
            key = self.insert(f"{insert} ON CONFLICT (tenant, id) DO NOTHING", row)
            if not key:  # one stands there that has expired and was not swept yet, or another worker was quicker: then this fails and is run again
                stale = self.one("SELECT key, lean, sys FROM entity WHERE tenant = ? AND id = ? AND expires <= ?", (tenant, entity["id"], times.now_us()))
                if stale is not None:
                    self.remove(tenant, stale[0], decode(stale[1], stale[2]))
                elif new:
                    raise already_exists(entity["id"])
                key = self.insert(insert, row)
            self.last = tenant, entity["id"], key, None
            now, then, before_types = entity, {}, set[str]()
        else:
            if self.last is None or self.last[:2] != (tenant, entity["id"]):
                self.entity(tenant, entity["id"])
            assert self.last is not None  # it is there, as `old` says
            _, _, key, whole = self.last
            old = whole or old
            self.last = None if whole else self.last
            self.do(
                "UPDATE entity SET lean = ?, flat = ?, sys = ?, created = ?, modified = ?, expires = ?, ripe = ?"  # noqa: S608 - own text
                + (", doc = ?::jsonb WHERE key = ?" if document else " WHERE key = ?"),
                (lean, int(flat), sys, created, modified, expires, ripe, *document, key),
            )
            # What stays is shared between the two.
            now = {name: value for name, value in entity.items() if old.get(name) is not value}
            then = {name: value for name, value in old.items() if entity.get(name) is not value}
            before_types = set(old["type"])
        self.written(tenant, entity["id"], (lean, int(flat), expires, ripe, sys, key))
        number = self.new_number
        types, attrs, before = (
            set(entity["type"]),
            kinds(now),
            kinds(then) if then else {},
        )
        for iri in types - before_types:
            self.do("INSERT INTO etype (tenant, type, entity) VALUES (?, ?, ?)", (tenant, number(iri), key))
        for iri in before_types - types:
            self.do("DELETE FROM etype WHERE tenant = ? AND type = ? AND entity = ?", (tenant, number(iri), key))
        if attrs != before:
            if added := [(tenant, number(iri), key, mask) for iri, mask in attrs.items() if iri not in before]:
                self.many("INSERT INTO eattr (tenant, attr, entity, kinds) VALUES (?, ?, ?, ?)", added)
            for iri, mask in before.items():
                if iri not in attrs:
                    self.do("DELETE FROM eattr WHERE tenant = ? AND attr = ? AND entity = ?", (tenant, number(iri), key))
                elif attrs[iri] != mask:
                    self.do("UPDATE eattr SET kinds = ? WHERE tenant = ? AND attr = ? AND entity = ?", (attrs[iri], tenant, number(iri), key))
        if self.names.declared:
            self.index(tenant, key, now, then)
        if GEO & (reduce(or_, attrs.values(), 0) | reduce(or_, before.values(), 0)):
            self.place(tenant, key, entity, old)

    def overwrite(self, tenant: int, key: int, change: Overwritten) -> None:
        """Keep an entity of the shape of the one that stands there."""
        entity = change.entity
        document = self.document(entity)
        self.do(
            "UPDATE entity SET lean = ?, flat = 1, sys = ?, modified = ?" + (", doc = ?::jsonb WHERE key = ?" if document else " WHERE key = ?"),  # noqa: S608
            (change.lean, change.sys, times.parse_own(entity["modifiedAt"]), *document, key),
        )
        self.written(tenant, entity["id"], (change.lean, 1, None, None, change.sys, key))
        declared = self.names.declared
        for name in change.touched if declared else ():
            if (attr := self.number(name)) in declared and attr is not None:
                self.reindex(tenant, attr, key, list(index_values(change.earlier(name))), list(index_values(entity[name])))
        if any(entity[name][0]["type"] == "GeoProperty" for name in change.touched):
            self.place(tenant, key, entity, change.previous)

    def index(self, tenant: int, key: int, now: Entity, then: Entity) -> None:
        """Values of the declared ones among the attributes of one entity; then: as they were before."""
        for attr in self.names.declared:
            iri = self.iri(attr)
            if iri in now or iri in then:
                self.reindex(tenant, attr, key, list(index_values(then.get(iri, []))), list(index_values(now.get(iri, []))))

    def reindex(self, tenant: int, attr: int, key: int, before: list[Any], after: list[Any]) -> None:
        """Values of one declared attribute of one entity: (number, text) each."""
        if before == after:
            return
        if len(before) == 1 == len(after):
            self.do("UPDATE eindex SET num = ?, text = ? WHERE entity = ? AND attr = ?", (*after[0], key, attr))
            return
        if before:
            self.do("DELETE FROM eindex WHERE entity = ? AND attr = ?", (key, attr))
        if len(after) == 1:
            self.do("INSERT INTO eindex (tenant, attr, num, text, entity) VALUES (?, ?, ?, ?, ?)", (tenant, attr, *after[0], key))
        elif after:
            self.many("INSERT INTO eindex (tenant, attr, num, text, entity) VALUES (?, ?, ?, ?, ?)", [(tenant, attr, *value, key) for value in after])

    def delete(self, tenant: int, entity: Entity) -> None:
        """Remove an entity that stands there."""
        row = self.one("SELECT key, lean, sys FROM entity WHERE tenant = ? AND id = ?", (tenant, entity["id"]))
        self.last = None
        if row is not None:
            self.remove(tenant, row[0], decode(row[1], row[2]))  # with what has expired in it

    def remove(self, tenant: int, key: int, entity: Entity) -> None:
        """Remove one entity by its key with everything that points to it."""
        self.do("DELETE FROM entity WHERE key = ?", (key,))
        for iri in entity["type"]:
            self.do("DELETE FROM etype WHERE tenant = ? AND type = ? AND entity = ?", (tenant, self.new_number(iri), key))
        for iri in members(entity):
            self.do("DELETE FROM eattr WHERE tenant = ? AND attr = ? AND entity = ?", (tenant, self.new_number(iri), key))
        if self.names.declared:
            self.do("DELETE FROM eindex WHERE entity = ?", (key,))
        self.unplace(key, places(entity))

    def ripened(self, now: int, limit: int = 500) -> list[tuple[int, str]]:
        """Tenant and id of the entities of which an attribute has expired."""
        return [(row[0], row[1]) for row in self.all("SELECT tenant, id FROM entity WHERE ripe IS NOT NULL AND ripe <= ? LIMIT ?", (now, limit))]

    def whole(self, tenant: int, id: str) -> Entity | None:
        """An entity with what has expired in it."""
        row = self.one("SELECT lean, sys, key FROM entity WHERE tenant = ? AND id = ?", (tenant, id))
        self.last = None if row is None else (tenant, id, row[2], None)
        return None if row is None else decode(row[0], row[1])

    def expired(self, now: int, limit: int = 500) -> list[tuple[int, Entity]]:
        """Tenant and entity of what has expired."""
        rows = self.all("SELECT tenant, lean, sys FROM entity WHERE expires IS NOT NULL AND expires <= ? LIMIT ?", (now, limit))
        return [(row[0], decode(row[1], row[2])) for row in rows]

    def types(self, tenant: int) -> list[tuple[str, int]]:
        """Every type in use with the number of its entities."""
        rows = self.all("SELECT type, count(*) FROM etype WHERE tenant = ? GROUP BY type ORDER BY type", (tenant,))
        return [(self.iri(row[0]), row[1]) for row in rows]

    def attributes(self, tenant: int) -> list[tuple[str, int]]:
        """Every attribute in use with the number of its entities."""
        rows = self.all("SELECT attr, count(*) FROM eattr WHERE tenant = ? GROUP BY attr ORDER BY attr", (tenant,))
        return [(self.iri(row[0]), row[1]) for row in rows]

    def attributes_of(self, tenant: int, type: str) -> list[tuple[str, int]]:
        """The attributes of the entities of one type, each with the number of entities."""
        rows = self.all(
            "SELECT a.attr, count(*) FROM etype t JOIN eattr a ON a.tenant = t.tenant AND a.entity = t.entity WHERE t.tenant = ? AND t.type = ? "
            "GROUP BY a.attr ORDER BY a.attr",
            (tenant, self.number(type)),
        )
        return [(self.iri(row[0]), row[1]) for row in rows]

    def types_with(self, tenant: int, attr: str) -> list[tuple[str, int]]:
        """The types of the entities that have an attribute, each with the number of entities."""
        rows = self.all(
            "SELECT t.type, count(*) FROM eattr a JOIN etype t ON t.tenant = a.tenant AND t.entity = a.entity WHERE a.tenant = ? AND a.attr = ? "
            "GROUP BY t.type ORDER BY t.type",
            (tenant, self.number(attr)),
        )
        return [(self.iri(row[0]), row[1]) for row in rows]

    def kinds_of(self, tenant: int, attr: str, type: str | None) -> list[str]:
        """The kinds (Property, Relationship …) that an attribute has in the entities of a type, or of all types."""
        number = self.number(attr)
        if type is None:
            rows = self.all("SELECT DISTINCT kinds FROM eattr WHERE tenant = ? AND attr = ?", (tenant, number))
        else:
            rows = self.all(
                "SELECT DISTINCT a.kinds FROM etype t JOIN eattr a ON a.tenant = t.tenant AND a.entity = t.entity "
                "WHERE t.tenant = ? AND t.type = ? AND a.attr = ?",
                (tenant, self.number(type), number),
            )
        return [kind for bit, kind in enumerate(KINDS) if any(row[0] >> bit & 1 for row in rows)]

    # --- kept documents: subscriptions, registrations, contexts, maps, snapshots
    def put_thing(self, tenant: int, kind: str, id: str, doc: Any, *, expires: int | None = None) -> bool:
        """Keep a document under its id; True if it is new."""
        now, text = times.now_us(), json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode()
        self.touch(kind)
        if self.do("UPDATE thing SET doc = ?, modified = ?, expires = ? WHERE tenant = ? AND kind = ? AND id = ?", (text, now, expires, tenant, kind, id)):
            return False
        self.do(
            "INSERT INTO thing (tenant, kind, id, doc, created, modified, expires) VALUES (?, ?, ?, ?, ?, ?, ?)", (tenant, kind, id, text, now, now, expires)
        )
        return True

    def thing(self, tenant: int, kind: str, id: str) -> tuple[Any, Any, int, int] | None:
        """A document, its state, and when it was made and changed (µs); None if it is not there or has expired."""
        row = self.one("SELECT doc, state, created, modified, expires FROM thing WHERE tenant = ? AND kind = ? AND id = ?", (tenant, kind, id))
        if row is None or (row[4] is not None and row[4] <= times.now_us()):
            return None
        return json.loads(row[0]), json.loads(row[1]) if row[1] else {}, row[2], row[3]

    def thing_expiry(self, tenant: int, kind: str, id: str) -> int | None:
        """When a document expires (µs), None if never or if there is none."""
        row = self.one("SELECT expires FROM thing WHERE tenant = ? AND kind = ? AND id = ?", (tenant, kind, id))
        return None if row is None else row[0]

    def outdated(self, kinds: Sequence[str], now: int) -> bool:
        """True if a document of these kinds has expired."""
        return self.one(f"SELECT 1 FROM thing WHERE kind IN ({marks(kinds)}) AND expires <= ? LIMIT 1", (*kinds, now)) is not None  # noqa: S608 - marks only

    def drop_outdated(self, kinds: Sequence[str], now: int) -> int:
        """Remove the documents of these kinds that have expired; how many."""
        return self.do(f"DELETE FROM thing WHERE kind IN ({marks(kinds)}) AND expires <= ?", (*kinds, now))  # noqa: S608 - marks only

    def things(self, tenant: int | None, kind: str, limit: int = -1, offset: int = 0) -> list[tuple[int, str, Any, Any, int, int]]:
        """Documents of a kind in the order of their creation: tenant, id, document, state, made, changed; tenant None: of all tenants."""
        where, values = ("", []) if tenant is None else (" AND tenant = ?", [tenant])
        rows = self.all(
            f"SELECT tenant, id, doc, state, created, modified FROM thing WHERE kind = ?{where} AND (expires IS NULL OR expires > ?) "  # noqa: S608 - own text
            "ORDER BY seq" + self.page(limit, offset),
            [kind, *values, times.now_us()],
        )
        return [(row[0], row[1], json.loads(row[2]), json.loads(row[3]) if row[3] else {}, row[4], row[5]) for row in rows]

    def stamps(self, kind: str) -> list[tuple[int, str, int]]:
        """Tenant, id and time of the last change (µs) of every document of a kind, without reading the documents."""
        return [(row[0], row[1], row[2]) for row in self.all("SELECT tenant, id, modified FROM thing WHERE kind = ?", (kind,))]

    @staticmethod
    def page(limit: int, offset: int) -> str:
        """LIMIT and OFFSET, both numbers; a negative limit: all."""
        return "" if limit < 0 else f" LIMIT {int(limit)} OFFSET {int(offset)}"

    def count_things(self, tenant: int, kind: str) -> int:
        """How many documents of a kind a tenant has."""
        return int(self.one("SELECT count(*) FROM thing WHERE tenant = ? AND kind = ? AND (expires IS NULL OR expires > ?)", (tenant, kind, times.now_us()))[0])

    def state(self, tenant: int, kind: str, id: str) -> dict[str, Any] | None:
        """The counters of a document, to be changed with `set_state` in this transaction; None if it is not there."""
        row = self.one(f"SELECT state FROM thing WHERE tenant = ? AND kind = ? AND id = ?{self.lock}", (tenant, kind, id))  # noqa: S608 - own text
        return None if row is None else json.loads(row[0]) if row[0] else {}

    def set_state(self, tenant: int, kind: str, id: str, state: Any) -> None:
        """The counters of a document; no change of the document itself."""
        self.do("UPDATE thing SET state = ? WHERE tenant = ? AND kind = ? AND id = ?", (json.dumps(state, ensure_ascii=False).encode(), tenant, kind, id))

    def delete_thing(self, tenant: int, kind: str, id: str) -> bool:
        """Remove a document; False if it was not there."""
        self.touch(kind)
        return self.do("DELETE FROM thing WHERE tenant = ? AND kind = ? AND id = ?", (tenant, kind, id)) > 0

    def touch(self, kind: str) -> None:
        """Tell other workers that documents of this kind have changed."""
        self.names.counts.pop(kind, None)
        self.do("INSERT INTO changed (kind, n) VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET n = changed.n + 1", (kind,))

    def changes(self, kind: str) -> int:
        """A number that grows with every change of a document of this kind."""
        known = self.names.counts.get(kind)
        if known is not None:
            return known
        row = self.one("SELECT n FROM changed WHERE kind = ?", (kind,))
        found = int(row[0]) if row else 0
        if self.alone:
            self.names.counts[kind] = found
        return found

    # --- outbox
    def enqueue(self, messages: Sequence[Message], now: int) -> None:
        """Put notifications into the outbox; their endpoints are told to the store, which tells them after the commit."""
        self.many(
            "INSERT INTO outbox (endpoint, tenant, subscription, word, request, first, due) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(part.endpoint, part.tenant, part.subscription, part.order, part.request, now, now) for part in messages],
        )
        self.rung.update(part.endpoint for part in messages)

    def withdraw(self, tenant: int, subscription: str) -> None:
        """Drop the messages of a subscription that is gone."""
        self.do("DELETE FROM outbox WHERE dead IS NULL AND subscription = ? AND tenant = ?", (subscription, tenant))
        self.do("DELETE FROM outbox WHERE dead IS NOT NULL AND tenant = ? AND subscription = ?", (tenant, subscription))

    def lanes(self, now: int) -> list[str]:
        """The endpoints that have a message which may be sent now; one step of the index for each endpoint."""
        rows = self.all(
            "WITH RECURSIVE lane(name) AS (SELECT min(endpoint) FROM outbox WHERE dead IS NULL UNION ALL "
            "SELECT (SELECT min(endpoint) FROM outbox WHERE dead IS NULL AND endpoint > lane.name) FROM lane WHERE lane.name IS NOT NULL) "
            "SELECT name FROM lane WHERE name IS NOT NULL AND EXISTS (SELECT 1 FROM outbox WHERE dead IS NULL AND endpoint = lane.name AND due <= ?)",
            (now,),
        )
        return [row[0] for row in rows]

    def settle(self, owner: str, now: int, delivered: Sequence[int], retried: Sequence[Any], dead: Sequence[Any], released: Sequence[int]) -> None:
        """What became of messages that this worker holds; retried are (number, time, error), dead (number, error)."""
        if delivered:
            self.many("DELETE FROM outbox WHERE seq = ? AND owner = ?", [(seq, owner) for seq in delivered])
        if retried:
            self.many("UPDATE outbox SET due = ?, error = ?, owner = '' WHERE seq = ? AND owner = ?", [(at, error, seq, owner) for seq, at, error in retried])
        if dead:
            self.many("UPDATE outbox SET dead = ?, error = ?, owner = '' WHERE seq = ? AND owner = ?", [(now, error, seq, owner) for seq, error in dead])
        if released:
            self.many("UPDATE outbox SET due = ?, owner = '', attempt = attempt - 1 WHERE seq = ? AND owner = ?", [(now, seq, owner) for seq in released])

    def take_lane(self, endpoint: str) -> bool:  # noqa: ARG002 - a database of one process has nothing to ask
        """Be the only one who hands out messages of an endpoint until the transaction ends; False if another worker is at it."""
        return True

    def hand_out(self, owner: str, endpoint: str, limit: int, now: int, lease: int) -> list[Message]:
        """The oldest free messages of an endpoint, leased; one waits behind an earlier one of the same word that is not to be sent yet."""
        rows = self.all(
            "SELECT o.seq, o.tenant, o.subscription, o.word, o.request, o.attempt, o.first, o.error FROM outbox o "  # noqa: S608 - own text
            "WHERE o.dead IS NULL AND o.endpoint = ? AND o.due <= ? "
            "AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.dead IS NULL AND p.endpoint = o.endpoint AND p.subscription = o.subscription AND p.word = o.word "
            f"AND p.tenant = o.tenant AND p.seq < o.seq AND p.due > ? AND p.owner <> ?) ORDER BY o.seq LIMIT ?{self.skip}",
            (endpoint, now, now, owner, limit),
        )
        if rows:
            self.many("UPDATE outbox SET attempt = attempt + 1, due = ?, owner = ? WHERE seq = ?", [(now + lease, owner, row[0]) for row in rows])
        return [Message(endpoint, row[1], row[2], row[3], row[4], seq=row[0], attempt=row[5] + 1, first=row[6], counted=bool(row[7])) for row in rows]

    def take_back(self, owner: str, now: int) -> int:
        """Messages that others than this owner hold wait again: it is the only one that sends, the others have gone. The count of attempts stays."""
        return self.do("UPDATE outbox SET owner = '', due = ? WHERE owner <> '' AND owner <> ? AND dead IS NULL", (now, owner))

    def let_go(self, owner: str, now: int, held: Sequence[int]) -> None:
        """Messages that were handed out to this owner without its having got them wait again; it has got those in `held`. Nobody tried to send them."""
        known = set(held)
        lost = [row[0] for row in self.all("SELECT seq FROM outbox WHERE owner = ? AND dead IS NULL", (owner,)) if row[0] not in known]
        if lost:
            self.many("UPDATE outbox SET due = ?, owner = '', attempt = attempt - 1 WHERE seq = ? AND owner = ?", [(now, seq, owner) for seq in lost])

    def clock_back(self, now: int, lease: int) -> None:
        """The clock was set back: what waits for a time that is far ahead now waits no longer; what is handed out is so for a lease from now at most."""
        self.do("UPDATE outbox SET due = ? WHERE due > ? AND owner = '' AND dead IS NULL", (now, now))
        self.do("UPDATE outbox SET due = ? WHERE due > ? AND owner <> '' AND dead IS NULL", (now + lease, now + lease))
        self.do("UPDATE outbox SET first = ? WHERE first > ? AND dead IS NULL", (now, now))

    def dead_letters(self, tenant: int, subscription: str | None, after: int, limit: int) -> list[tuple[Message, int, str]]:
        """Messages that were given up: each with when and why."""
        where, values = ("", []) if subscription is None else (" AND subscription = ?", [subscription])
        rows = self.all(
            f"SELECT endpoint, subscription, word, request, seq, attempt, first, dead, error FROM outbox WHERE dead IS NOT NULL AND tenant = ?{where} "  # noqa: S608
            "AND seq > ? ORDER BY seq LIMIT ?",
            (tenant, *values, after, limit),
        )
        return [(Message(row[0], tenant, row[1], row[2], row[3], seq=row[4], attempt=row[5], first=row[6]), row[7], row[8] or "") for row in rows]

    def replay(self, tenant: int, subscription: str | None, seqs: Sequence[int] | None, now: int) -> dict[str, int]:
        """Bring messages back that were given up; how many of each endpoint."""
        where, values = "dead IS NOT NULL AND tenant = ?", [tenant]
        if subscription is not None:
            where, values = where + " AND subscription = ?", [*values, subscription]  # type: ignore[list-item]
        if seqs is not None:
            where, values = where + f" AND seq IN ({marks(seqs)})", [*values, *seqs]
        found = {row[0]: row[1] for row in self.all(f"SELECT endpoint, count(*) FROM outbox WHERE {where} GROUP BY endpoint", values)}  # noqa: S608
        self.do(f"UPDATE outbox SET dead = NULL, error = NULL, due = ?, first = ?, owner = '' WHERE {where}", [now, now, *values])  # noqa: S608
        return found


def index_values(instances: list[dict[str, Any]]) -> Iterator[tuple[float | None, str | None]]:
    """The numbers and texts of an attribute that an index can find.

    >>> list(index_values([{"type": "Property", "value": [3, "three"]}, {"type": "Relationship", "object": "urn:a"}]))
    [(3.0, None), (None, 'three'), (None, 'urn:a')]
    """
    for instance in instances:
        value = instance.get("value", instance.get("object", instance.get("vocab")))
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, bool) or item is None:
                continue
            if isinstance(item, (int, float)):
                if (num := as_number(item)) is not None:
                    yield num, None
            elif isinstance(item, str):
                yield None, item
