"""The store in one SQLite file: WAL, one group-commit writer, R*Tree for places.

Functions that write run in the event loop, one after the other, in one transaction; only COMMIT, which waits for the disk, runs in a thread.
What comes in meanwhile forms the next group. Reads go on on other connections and never see what is not on disk yet.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from kiban.linkage.broker import times
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.store.contract import Entity, Selection
from kiban.linkage.broker.store.looking import Look, looking
from kiban.linkage.broker.store.rows import Row, Rows
from kiban.linkage.broker.store.sql import FOREVER, Names, Plan, Statements, Way, fresh, ordered, places
from kiban.linkage.errors import Problem

T = TypeVar("T")
PLACES = 256  # geometries of one entity at most
NEW_PLACE = "INSERT INTO place (id, west, east, south, north) VALUES (?, ?, ?, ?, ?)"
OTHER_PLACE = "INSERT OR REPLACE INTO place (id, west, east, south, north) VALUES (?, ?, ?, ?, ?)"
GROUP = 256  # writes in one transaction at most
FEW = 8  # writes that wait for more,
GATHER = 0.008  # seconds long,
BUSY = 0.0003  # where the event loop comes to them only after so many: a commit costs as much as two reads, for however many writes
SHARE = 0.05  # seconds after which a group takes in no more: its functions run in the event loop, where others want their turn
QUEUE = 20_000  # writes that may wait
OWN = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
BRIEF = 0.02  # seconds that a read may keep the event loop
BRIEF_STEPS = 2_000  # the same as STEPS, for those
STEPS = 20_000  # virtual machine steps between two looks at the clock
MANY = 20_000  # entities up to which an index is worth to be gone through; where it gives more, going through all of a type fills a page as soon
LOOK = 4  # entities of one more index that cost as much as to ask it for a single one
LASTING = 10_000_000  # µs after which the choice of an index is made anew
STEP = 256  # entities that an index is counted up to at first
DEAR_STEP = 16384  # the same where an index costs much to be asked for one entity
CHEAP, DEAR = 2, 64  # what share of that is gone through beside it
WIDER = 4  # how many times as far each next time
FEWER = 512  # entities of an index that are put in the order of their keys at first
DEEP = 1000  # entities before a page from which on the whole selection is planned, and its first entities skipped by the database
PATIENCE = 16384  # entities that an index is counted up to in the event loop
LOG = 24_000  # pages in the log at which the commit that comes upon them copies them into the file: fewer times, and each page once for many writes of it
CACHE_KIB = 28 * 1024  # of the connection that writes
READ_KIB = 4 * 1024  # of each that reads: SQLite throws its pages away at each commit, and entities are in `rows`
ROWS = 176 * 1024 * 1024  # bytes of entities in memory
LOOKED = 0.1  # seconds after which entities in memory are shown only after a look whether another process has written to the file
SHARED = 60.0  # seconds after such a write in which every read asks the file


def box(geometry: Any) -> tuple[float, float, float, float] | None:
    """West, east, south, north of a GeoJSON geometry in degrees; None if it has no coordinates.

    >>> box({"type": "LineString", "coordinates": [[137.0, 37.5], [136.9, 37.4]]})
    (136.9, 137.0, 37.4, 37.5)
    """
    if geometry.get("type") == "Point" and geometry.get("coordinates"):
        x, y = geometry["coordinates"][:2]
        return x, x, y, y
    points: list[Any] = []
    stack = [part.get("coordinates") for part in geometry.get("geometries", [])] or [geometry.get("coordinates")]
    while stack:
        part = stack.pop()
        if isinstance(part, (list, tuple)) and part:
            if isinstance(part[0], (int, float)):
                points.append(part)
            else:
                stack.extend(part)
    if not points:
        return None
    return min(p[0] for p in points), max(p[0] for p in points), min(p[1] for p in points), max(p[1] for p in points)


def gathered(leading: list[Way], after: int = 0, end: int = FOREVER) -> tuple[str, list[Any]]:
    """The entities e that all of these ways give, with keys after one up to another and in their order, as the source of a statement with its values."""
    found = " INTERSECT ".join(f"SELECT * FROM ({way.found})" for way in leading)  # noqa: S608 - own text
    some = "SELECT DISTINCT key FROM f WHERE key > ? AND key <= ? ORDER BY key LIMIT -1"
    return f"(WITH f(key) AS ({found}) {some}) c CROSS JOIN entity e ON e.key = c.key", [*(value for way in leading for value in way.values), after, end]


def others(plan: Plan, leading: Sequence[Way], key: str) -> tuple[list[str], list[Any]]:
    """The conditions that the leading ways of a plan do not answer, with their values: what indexes tell of one entity, then the look at it.

    key  where the key of an entity is known first
    """
    asked = [way for way in plan.ways if way.has and not any(way is one for one in leading)]
    tests = [way.has.replace("e.key", key) for way in asked]
    values = [value for way in asked for value in way.values]
    if key == "e.key" and tests and plan.rest:
        # What indexes tell comes first: SQLite itself would look at the entity before it asks another table.
        return [f"CASE WHEN {' AND '.join(tests)} THEN fits(e.lean, e.sys, ?) END"], values
    return ([*tests, "fits(e.lean, e.sys, ?)"] if plan.rest else tests), values


class Late(Exception):
    """A read in the event loop was ended, as it took too long there."""


class Session(Statements):
    """Statements on one SQLite connection."""

    aside = "+"

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self.connection, self.names = connection, names
        self.rung = set()
        self.rest: dict[int, Look] = {}  # conditions that no index answers, while their query runs
        self.turn = 0
        self.most = FOREVER  # entities that a page may be looked for in
        connection.create_function("fits", 3, self.fits)

    def fits(self, lean: bytes, sys: bytes, number: int) -> bool:
        """Called by SQLite for each row that the indexes left over."""
        return self.rest[number](lean, sys)

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row or None."""
        return self.connection.execute(sql, values).fetchone()

    def do(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change rows; how many."""
        return self.connection.execute(sql, values).rowcount

    def many(self, sql: str, rows: list[Any]) -> None:
        """The same statement for many rows."""
        self.connection.executemany(sql, rows)

    def insert(self, sql: str, values: Sequence[Any]) -> int:
        """Insert one row and return its key, 0 if ON CONFLICT DO NOTHING did so; the statement ends before RETURNING."""
        cursor = self.connection.execute(sql, values)
        return cursor.lastrowid or 0 if cursor.rowcount else 0

    def look(self, plan: Plan) -> list[Any]:
        """The number under which `fits` finds the conditions."""
        if not plan.rest:
            return []
        if plan.look is None:
            plan.look = looking(plan.rest)
        self.turn += 1
        self.rest[self.turn] = plan.look
        self.rest.pop(self.turn - 8, None)
        return [self.turn]

    def lead(self, plan: Plan) -> None:
        """The narrowest indexes give the keys in their order; the others are asked for one entity."""
        leading = [] if plan.ids else self.narrowest(plan)
        tests, asked, key = list(plan.where), list(plan.values), "e.key"
        if len(leading) == 1 and leading[0].walk:
            plan.source, plan.leading = leading[0].walk, leading[0].values
            key = plan.key = "t.entity"
        else:
            if leading:
                plan.source, plan.leading = gathered(leading)
                key, plan.key = "c.key", ""
            tests.append("e.tenant = ?" if plan.ids else "+e.tenant = ?")  # in the order of the keys, not of the ids
            asked.append(plan.tenant)
        more, values = others(plan, leading, key)
        plan.tests, plan.asked = [*tests, *more], [*asked, *values]

    def some(self, tenant: int, selection: Selection, limit: int, offset: int) -> list[Any]:
        """Rows of selected entities in the order of their keys: a page is full early where many match, and few are gathered where an index is narrow.

        Nobody knows before which of both it is. So by turns the indexes are counted a little way, and the entities of the type, or of all, are gone through
        a little way, each time farther: that costs no more than a few times what the better of both would have cost.
        """
        plan = self.plan(tenant, selection)
        if len(plan.ways) == 1 and plan.ways[0].border and not (plan.rest or plan.where):
            return self.stretch(plan, plan.ways[0], 0, FOREVER, limit, offset)
        if plan.ids or offset > DEEP or not (plan.ways or plan.rest or plan.where):
            if offset > DEEP and plan.rest and self.most < FOREVER:
                raise Late
            return super().some(tenant, selection, limit, offset)
        now, need = times.now_us(), limit + offset
        walked = next((way for way in plan.ways if way.border), next((way for way in plan.ways if way.stretch), None))
        counted = sorted((way for way in plan.ways if way is not walked), key=lambda way: not way.dear)
        share, far = (DEAR, DEAR_STEP) if any(way.dear for way in counted) else (CHEAP, STEP)
        found: list[Any] = []
        far, done, after = max(far, 2 * need), 0, 0
        steps, sure = far // share, plan.filled > now
        while True:
            if (CHEAP * steps if sure else far) > self.most:
                raise Late
            if counted and not sure:
                small = self.small(counted, far)
                if small is not None:
                    first = self.border(walked, after, 0) if small[1] else None  # the entities of one type often follow one another
                    if first is not None:
                        found += self.gather(plan, *small, max(after, first - 1), need - len(found))
                    break
            end = None if sure and not done else self.border(walked, after, steps)
            found += self.stretch(plan, walked, after, FOREVER if end is None else end, need - len(found))
            if len(found) >= need or end is None:
                if not done and not sure:
                    plan.filled = now + LASTING
                break
            after, done = end, done + steps
            far *= WIDER
            # At this rate, with some to spare, it takes so many more; if they are few, counting on would cost more.
            more = 2 * done * (need - len(found)) // len(found) if len(found) > LOOK else FOREVER
            steps, sure = min(more, far // share), more <= far // share
        return found[offset:]

    def small(self, ways: list[Way], far: int) -> tuple[list[Way], int] | None:
        """The way that gives the fewest entities, with those beside it that had better be gone through than asked for one, and how many it gives.

        None if each gives too many. One that gives more than half as many as another one is as good.
        """
        sized: list[tuple[int, Way]] = []
        least = far
        for way in ways:
            size = self.one(f"SELECT count(*) FROM ({way.found} LIMIT ?)", (*way.values, least))[0]  # noqa: S608 - own text
            if size < least or not size:
                sized.append((size, way))
                least = size // 2 + 1
        if not sized:
            return None
        size, narrow = sized[-1]
        return [way for many, way in sized if way is narrow or (way.dear and many <= LOOK * size)], size

    def indexed(self, tenant: int, selection: Selection) -> bool:  # noqa: ARG002 - a page of any selection is begun there
        """True: `brief` gives up where it takes too long."""
        return True

    def border(self, way: Way | None, after: int, steps: int) -> int | None:
        """The key that is so many entities behind another one, or that lies about there; None if there are no more."""
        if way is not None and way.border:
            row = self.one(way.border, (*way.values, after, steps))
            return None if row is None else int(row[0])
        return after + steps if after + steps < (self.one("SELECT max(key) FROM entity")[0] or 0) else None

    def stretch(self, plan: Plan, way: Way | None, after: int, end: int, limit: int, offset: int = 0) -> list[Any]:
        """Rows of the selected entities with keys after one up to another."""
        if way is None:
            source, key, tenant = "entity e WHERE e.key > ? AND e.key <= ? AND +e.tenant = ?", "e.key", [plan.tenant]
        else:
            source, key, tenant = way.stretch, "t.entity", []
        more, values = others(plan, [way] if way else [], key)
        where = " AND ".join([source, "(e.expires IS NULL OR e.expires > ?)", *plan.where, *more])
        order = ordered(key) if way is None or way.border else ""
        return self.all(
            f"SELECT e.lean, e.sys, e.flat, e.ripe, e.key, e.id, e.expires FROM {where}{order} LIMIT ? OFFSET ?",  # noqa: S608 - own text
            [*(way.values if way else ()), after, end, *tenant, times.now_us(), *plan.values, *values, *self.look(plan), limit, offset],
        )

    def gather(self, plan: Plan, leading: list[Way], size: int, after: int, limit: int) -> list[Any]:
        """Rows of the selected entities with keys after one, by indexes that give all of their keys, about so many.

        They come in the order of the index. To put all of them in the order of their keys costs more than to go through the index again, so the first
        of them are looked at before the others.
        """
        found: list[Any] = []
        part = FEWER
        last = self.one("SELECT max(key) FROM entity")[0] or 0 if size > 2 * part else 0
        while size > 2 * part and len(found) < limit:
            end = after + (last - after) * part // size
            found += self.gather_some(plan, leading, after, end, limit - len(found))
            after, part = end, part * WIDER
        return found if len(found) >= limit else found + self.gather_some(plan, leading, after, FOREVER, limit - len(found))

    def gather_some(self, plan: Plan, leading: list[Way], after: int, end: int, limit: int) -> list[Any]:
        """The same for keys after one up to another."""
        source, first = gathered(leading, after, end)
        more, values = others(plan, leading, "c.key")
        where = " AND ".join(["WHERE (e.expires IS NULL OR e.expires > ?) AND +e.tenant = ?", *plan.where, *more])
        return self.all(
            f"SELECT e.lean, e.sys, e.flat, e.ripe FROM {source} {where} LIMIT ?",  # noqa: S608 - own text
            [*first, times.now_us(), plan.tenant, *plan.values, *values, *self.look(plan), limit],
        )

    def narrowest(self, plan: Plan) -> list[Way]:
        """What leads to the entities of a plan; nothing: all are gone through. Each index is counted a little way, so the plan lasts a little while."""
        if len(plan.ways) == 1 and plan.ways[0].walk:
            return plan.ways
        if plan.ways:
            plan.until = min(plan.until, times.now_us() + LASTING)
        sized = [(self.one(f"SELECT count(*) FROM ({way.found} LIMIT ?)", (*way.values, MANY))[0], way) for way in plan.ways]  # noqa: S608 - own text
        small = sorted((pair for pair in sized if pair[0] < MANY), key=lambda pair: pair[0])
        if not small:
            return next(([way] for way in plan.ways if way.walk), [])
        if not plan.rest and small[0][1].walk:
            return [small[0][1]]  # asking the others for one entity is cheap
        return [way for size, way in small if size <= LOOK * small[0][0] or way is small[0][1]]

    def document(self, entity: Entity) -> tuple[str, ...]:
        """Nothing, as it is here; but 400 before anything is written for more places than can be kept."""
        if sum(map(len, entity.values())) > PLACES and (many := len(places(entity))) > PLACES:
            raise Problem("BadRequestData", "an entity with too many places", f"found {many}; expected at most {PLACES}")
        return ()

    def place(self, tenant: int, key: int, entity: Entity, old: Entity | None) -> None:  # noqa: ARG002 - the other database needs it
        """The number of a place is made of the entity's key and its turn there: nobody has to look it up."""
        rows = places(entity)
        before = places(old) if old is not None else []
        if rows == before:
            return
        insert = NEW_PLACE if old is None else OTHER_PLACE
        for turn, (_, geometry) in enumerate(rows):
            if (corners := box(geometry)) is not None:
                self.connection.execute(insert, (key * PLACES + turn, *corners))
        for turn in range(len(rows), len(before)):
            self.connection.execute("DELETE FROM place WHERE id = ?", (key * PLACES + turn,))

    def unplace(self, key: int, there: list[tuple[str, Any]]) -> None:
        """Forget where the entity is."""
        for turn in range(len(there)):
            self.connection.execute("DELETE FROM place WHERE id = ?", (key * PLACES + turn,))

    def insert_new(self, sql: str, values: Sequence[Any]) -> int | None:
        """Insert a row with ON CONFLICT DO NOTHING; its key, None if it was there."""
        cursor = self.connection.execute(sql, values)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def make_partition(self, month: str) -> None:
        """A table of history for one month."""
        self.do(
            f"CREATE TABLE IF NOT EXISTS history_{int(month):06d} (entity INTEGER NOT NULL, attr INTEGER NOT NULL, at INTEGER NOT NULL, "
            "instance INTEGER NOT NULL, seen INTEGER NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, deleted INTEGER, expires INTEGER, "
            "num REAL, dataset TEXT, doc BLOB NOT NULL, PRIMARY KEY (entity, attr, at, instance)) STRICT, WITHOUT ROWID"
        )
        self.do(f"CREATE INDEX IF NOT EXISTS history_{int(month):06d}_expires ON history_{int(month):06d} (expires) WHERE expires IS NOT NULL")

    def by_place(self, geo: Any, plan: Plan) -> None:
        """A window on the map goes to the R*Tree; what is inside is looked at exactly by the same statement."""
        plan.rest.append(geo)
        window = geo.window()
        if window is not None:
            west, south, east, north = window
            # The tree alone tells the entity; its other columns, each in another place of the file, would cost ten times as much.
            found = f"SELECT id / {PLACES} FROM place WHERE west <= ? AND east >= ? AND south <= ? AND north >= ?"  # noqa: S608 - a number
            # Of one entity its first place is asked, if it has no other.
            has = (
                f"(NOT EXISTS (SELECT 1 FROM place p WHERE p.id = e.key * {PLACES} AND NOT (p.west <= ? AND p.east >= ? AND p.south <= ? AND p.north >= ?)) "  # noqa: S608
                f"OR EXISTS (SELECT 1 FROM place p WHERE p.id = e.key * {PLACES} + 1))"
            )
            plan.ways.append(Way(found, (east, west, north, south), has, dear=True))


class Writer(Session):
    """The only connection that writes."""

    alone = True

    def __init__(self, connection: sqlite3.Connection, names: Names, rows: Rows) -> None:
        super().__init__(connection, names)
        self.rows = rows

    def row(self, tenant: int, id: str) -> Any:
        """What is kept of an entity: in memory, after `compare`, it is as on disk, and not there once this transaction has touched it."""
        return self.rows.find((tenant, id)) or super().row(tenant, id)

    def written(self, tenant: int, id: str, row: Row) -> None:
        """An entity is being written."""
        self.rows.touch((tenant, id), row)

    def remove(self, tenant: int, key: int, entity: Entity) -> None:
        """Remove one entity by its key with everything that points to it."""
        self.rows.touch((tenant, entity["id"]), None)
        self.rows.forget(key)
        super().remove(tenant, key, entity)


class Reader(Session):
    """Indexed reads in the event loop; what goes wrong is told as a problem."""

    def __init__(self, connection: sqlite3.Connection, names: Names, rows: Rows, look_at_others: Callable[[], float]) -> None:
        super().__init__(connection, names)
        self.rows, self.look_at_others = rows, look_at_others
        self.again = 0.0  # of the clock, when that is done next
        self.until = float("inf")  # of the clock, when a read is ended
        connection.set_progress_handler(lambda: time.monotonic() > self.until, BRIEF_STEPS)

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self.ended(error) from error

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row or None."""
        try:
            return self.connection.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise self.ended(error) from error

    def row(self, tenant: int, id: str) -> Any:
        """What is kept of an entity, out of memory if it is there."""
        if time.monotonic() > self.again:
            self.again = self.look_at_others()
        row = self.rows.find((tenant, id))
        if row is None:
            row = super().row(tenant, id)
            if row is not None:
                self.rows.keep((tenant, id), row)
        return row

    def entity(self, tenant: int, id: str) -> Entity | None:
        """An entity in the internal form, None if it is not there or has expired."""
        row = self.row(tenant, id)
        if row is None or (row[2] is not None and row[2] <= times.now_us()):
            return None
        return decode(row[0], row[4]) if row[3] is None or row[3] > times.now_us() else fresh(row[0], row[4])

    def stretch(self, plan: Plan, way: Way | None, after: int, end: int, limit: int, offset: int = 0) -> list[Any]:
        """Rows of the selected entities with keys after one up to another; where indexes alone tell which, the entities themselves mostly out of memory."""
        if way is None or not way.border or plan.rest or plan.where:
            return super().stretch(plan, way, after, end, limit, offset)
        if offset and self.one("SELECT 1 FROM entity WHERE expires IS NOT NULL AND expires <= ? LIMIT 1", (times.now_us(),)) is not None:
            return super().stretch(plan, way, after, end, limit, offset)  # what has expired and is not swept yet must not be counted among the skipped ones
        if time.monotonic() > self.again:
            self.again = self.look_at_others()
        tests, values = others(plan, [way], "t.entity")
        where = " AND ".join([way.found, "t.entity > ? AND t.entity <= ?", *tests])
        keys = self.all(f"{where} ORDER BY t.entity LIMIT ? OFFSET ?", (*way.values, after, end, *values, limit, offset))
        known = self.rows.page([key for (key,) in keys])
        if known is not None and all(row[2] is None for row in known):
            return [(row[0], row[4], row[1], row[3]) for row in known]
        rows = super().stretch(plan, way, after, end, limit, offset)
        for lean, sys, flat, ripe, key, id, expires in rows:
            self.rows.learn(key, (plan.tenant, id), (lean, flat, expires, ripe, sys, key))
        return rows

    def ended(self, error: sqlite3.Error) -> Exception:
        """What ended a read: `brief`, or something that the client is told of."""
        return Late() if "interrupted" in str(error) else trouble(error)


class SqliteStore:
    """The contract on one SQLite file; `:memory:` is not offered, tests use a file."""

    kind = "sqlite"

    def __init__(self, path: Path, *, readers: int = 2, page_limit: int = 0, vfs: str = "") -> None:
        self.path, self.vfs = path, vfs
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # what is wrong with the place is said when the file is opened
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # registrations may hold tokens of others
        self.names = Names()
        connection = self.connect()
        migrate(connection)
        if page_limit:
            connection.execute(f"PRAGMA max_page_count = {int(page_limit)}")
        self.rows = Rows(ROWS)
        self.writer = Writer(connection, self.names, self.rows)
        self.reader = Reader(self.connect(READ_KIB), Names(), self.rows, self.look_at_others)
        self.shared = 0.0  # of the clock, until when nothing is kept in memory, as another process writes too
        for session in (self.writer, self.reader):
            declared = frozenset(row[0] for row in session.all("SELECT attr FROM declared"))
            session.names.declared = declared
            for number in declared:
                session.iri(number)
                session.names.known[session.names.iris[number]] = number
        self.version = self.written_by_others()
        self.waiting: deque[tuple[Callable[[Any], Any], asyncio.Future[Any]]] = deque()
        self.busy = False
        self.asked = 0.0  # of the clock, when the next group was asked for
        self.gathered = False  # it has waited for more
        self.closing = False
        self.committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self.slower = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self.spare: deque[Session] = deque()
        self.after: Callable[[set[str]], None] | None = None  # called after a commit with the endpoints that have new messages
        self.observe: Callable[[int, float, str], None] | None = None  # writes of a group, seconds of its commit, "" or why it is not on disk

    def connect(self, cache: int = CACHE_KIB) -> sqlite3.Connection:
        """One more connection with the settings of the broker."""
        uri = f"file:{quote(str(self.path))}" + (f"?vfs={self.vfs}" if self.vfs else "")
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=512)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {LOG}", f"cache_size = -{cache}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    # --- writing
    def write(self, op: Callable[[Any], T]) -> asyncio.Future[T]:
        """Run `op(session)` in the next group; the future is done when it is on disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self.closing:
            future.set_exception(Problem("InternalError", "the broker is stopping", "send it again to the next one", status=503))
            return future
        if len(self.waiting) >= QUEUE:
            future.set_exception(Problem("InternalError", "too many writes wait", "nothing of this request was kept; send it again later", status=503))
            return future
        self.waiting.append((op, future))
        if not self.busy:
            self.busy = True
            self.next_group()
        return future

    def group(self) -> None:
        """One transaction of what waits; its commit goes to the thread. Few wait a moment for more while the loop is busy with others' requests."""
        if len(self.waiting) < FEW and not self.gathered and time.monotonic() - self.asked > BUSY:
            self.gathered = True
            asyncio.get_running_loop().call_later(GATHER, self.group)
            return
        self.gathered = False
        batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), GROUP))]
        batch = [(op, future) for op, future in batch if not future.cancelled()]
        if not batch:
            self.next_group()
            return
        loop = asyncio.get_running_loop()
        try:
            self.writer.connection.execute("BEGIN IMMEDIATE")
            self.compare()
            results = self.run_all(batch)
        except sqlite3.Error as error:
            self.fail(batch, error)
            return
        self.waiting.extendleft(reversed(batch[len(results) :]))
        del batch[len(results) :]
        began = time.perf_counter()
        job = loop.run_in_executor(self.committer, self.writer.connection.execute, "COMMIT")
        job.add_done_callback(lambda done: self.committed(done, batch, results, began))

    def run_all(self, batch: list[tuple[Callable[[Any], Any], asyncio.Future[Any]]]) -> list[tuple[bool, Any]]:
        """The results of the functions, as far as there was time; if one fails after it has written, all are rolled back and run again apart."""
        connection = self.writer.connection
        results: list[tuple[bool, Any]] = []
        end = time.monotonic() + SHARE
        for op, _ in batch:
            before = connection.total_changes
            try:
                results.append((True, op(self.writer)))
            except sqlite3.Error as error:
                if not of_one(error):
                    raise
                return self.run_apart(batch)
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                if connection.total_changes != before:
                    return self.run_apart(batch)
                results.append((False, error))
            if time.monotonic() > end:
                break
        return results

    def run_apart(self, batch: list[tuple[Callable[[Any], Any], asyncio.Future[Any]]]) -> list[tuple[bool, Any]]:
        """Every function behind its own savepoint."""
        connection = self.writer.connection
        connection.execute("ROLLBACK")
        self.rows.doubt()
        self.names.forget()
        self.writer.rung = set()
        connection.execute("BEGIN IMMEDIATE")
        self.compare()
        results: list[tuple[bool, Any]] = []
        end = time.monotonic() + SHARE
        for op, _ in batch:
            rung = set(self.writer.rung)
            connection.execute("SAVEPOINT one")
            try:
                results.append((True, op(self.writer)))
            except Exception as error:  # handed to the one who asked
                if isinstance(error, sqlite3.Error) and not of_one(error):
                    raise
                connection.execute("ROLLBACK TO one")
                self.rows.doubt()
                self.names.forget()
                self.writer.rung = rung
                results.append((False, error))
            connection.execute("RELEASE one")
            if time.monotonic() > end:
                break
        return results

    def committed(self, done: asyncio.Future[Any], batch: list[Any], results: list[tuple[bool, Any]], began: float) -> None:
        """Everybody learns what became of their write."""
        error = done.exception()
        if error is not None:
            self.fail(batch, error)
            return
        self.rows.settle()
        if self.observe is not None:
            self.observe(len(batch), time.perf_counter() - began, "")
        for (_, future), (well, result) in zip(batch, results, strict=True):
            if not future.done():
                if well:
                    future.set_result(result)
                else:
                    future.set_exception(result)
        if self.writer.rung:
            rung, self.writer.rung = self.writer.rung, set()
            if self.after is not None:
                self.after(rung)
        self.next_group()

    def fail(self, batch: list[Any], error: BaseException) -> None:
        """The group is not on disk: all of it is told so, and the next group starts anew."""
        if self.writer.connection.in_transaction:
            self.writer.connection.execute("ROLLBACK")
        self.rows.doubt()
        self.rows.settle()
        self.names.forget()
        problem = trouble(error)
        if self.observe is not None:
            self.observe(len(batch), 0.0, str(problem))
        for _, future in batch:
            if not future.done():
                future.set_exception(problem)
        self.next_group()

    def next_group(self) -> None:
        """Go on if something waits."""
        if self.waiting:
            self.asked = time.monotonic()
            asyncio.get_running_loop().call_soon(self.group)
        else:
            self.busy = False

    # --- other processes
    def written_by_others(self) -> int:
        """A number that changes when another connection than the writer's has written to the file; not to be asked during a commit."""
        return int(self.writer.one("PRAGMA data_version")[0])

    def compare(self) -> None:
        """Forget the entities in memory if another process has written to the file, which nothing here does, and keep none for a while.

        A transaction that writes does this first: it takes entities out of memory, and changes those.
        """
        version = self.written_by_others()
        if version != self.version:
            self.version, self.shared, self.rows.limit = version, time.monotonic() + SHARED, 0
            self.rows.clear()
        elif self.rows.limit != ROWS and time.monotonic() > self.shared:
            self.rows.limit = ROWS

    def look_at_others(self) -> float:
        """Before entities in memory are shown: has somebody else written? Each group of writes looks too. When to ask again."""
        if not self.busy:  # else it may be committing in its thread
            try:
                self.compare()
            except sqlite3.Error as error:
                raise trouble(error) from error
        return time.monotonic() + LOOKED

    # --- reading
    def brief(self, fn: Callable[[Any], T]) -> T | None:
        """A read by indexes in the event loop; None if it is not over soon, which is then a case for `slow`."""
        self.reader.until, self.reader.most = time.monotonic() + BRIEF, PATIENCE
        try:
            return fn(self.reader)
        except Late:
            return None
        finally:
            self.reader.until, self.reader.most = float("inf"), FOREVER

    async def slow(self, fn: Callable[[Any], T], seconds: float = 10.0) -> T:
        """Reads that may scan: in a thread, on a connection of its own, ended after `seconds`."""
        return await asyncio.get_running_loop().run_in_executor(self.slower, self.timed, fn, seconds)

    def timed(self, fn: Callable[[Any], T], seconds: float) -> T:
        """One reading function with a time limit, in its thread."""
        session = self.spare.popleft() if self.spare else Session(self.connect(READ_KIB), Names())
        session.names.declared = self.reader.names.declared
        end = time.monotonic() + seconds
        session.connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        try:
            session.connection.execute("BEGIN")
            return fn(session)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise Problem(
                    "TooComplexQuery", "the query takes too long", f"it was ended after {seconds:g} s: name a type, ids or an indexed attribute"
                ) from error
            raise trouble(error) from error
        finally:
            session.connection.set_progress_handler(None, 0)
            if session.connection.in_transaction:
                session.connection.execute("ROLLBACK")
            self.spare.append(session)

    def declare(self, iris: Sequence[str]) -> None:
        """From now on these attributes have an index; what is stored already is indexed now. Only at start."""
        session = self.writer
        numbers = frozenset(session.new_number(iri) for iri in iris)
        known = frozenset(row[0] for row in session.all("SELECT attr FROM declared"))
        if numbers != known:
            session.do("BEGIN IMMEDIATE")
            session.do("DELETE FROM eindex")
            session.do("DELETE FROM declared")
            session.many("INSERT INTO declared (attr) VALUES (?)", [(number,) for number in numbers])
            session.names.declared = numbers
            marks = ", ".join(str(number) for number in numbers) or "NULL"
            rows = session.connection.execute(
                f"SELECT key, tenant, lean, sys FROM entity WHERE key IN (SELECT entity FROM eattr WHERE attr IN ({marks}))"  # noqa: S608 - numbers
            )
            for key, tenant, lean, sys in rows:
                session.index(tenant, key, decode(lean, sys), {})
            session.do("COMMIT")
        for one in (self.writer, self.reader):
            one.names.declared = numbers
            for iri in iris:
                one.number(iri)

    def backup(self, target: Path) -> None:
        """A consistent copy of the running database, in a thread of its own."""
        source, copy = self.connect(), sqlite3.connect(target)
        try:
            source.backup(copy, pages=2000)
        finally:
            copy.close()
            source.close()

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        self.closing = True
        while self.busy:
            await asyncio.sleep(0.005)
        self.committer.shutdown()
        self.slower.shutdown()
        for session in (self.writer, self.reader, *self.spare):
            session.connection.close()


def of_one(error: sqlite3.Error) -> bool:
    """Whether an error is that of one function and its values, not of the database.

    >>> of_one(sqlite3.IntegrityError("UNIQUE constraint failed")), of_one(sqlite3.OperationalError("database or disk is full"))
    (True, False)
    """
    return isinstance(error, OWN) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR


def trouble(error: BaseException) -> Problem:
    """What an operator can do about an error of the database.

    >>> trouble(sqlite3.OperationalError("database or disk is full")).status
    507
    """
    text = str(error)
    if "full" in text:
        return Problem("InternalError", "the disk is full", "nothing of this request was kept; make room, then send it again", status=507)
    if "readonly" in text or "read-only" in text:
        return Problem("InternalError", "the disk is read-only", "nothing of this request was kept; mount it for writing, then send it again", status=503)
    return Problem("InternalError", "the database cannot be used now", f"{text}; nothing of this request was kept, send it again", status=503)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to the newest version; a newer one than this program knows is refused."""
    versions = files("kiban.linkage.broker.store").joinpath("sqlite.sql").read_text("utf-8").split("-- version ")[1:]
    have = connection.execute("PRAGMA user_version").fetchone()[0]
    if have > len(versions):
        raise Problem("InternalError", f"the database has version {have}, this program knows {len(versions)}", "use the newer program", status=500)
    for number, text in enumerate(versions[have:], have + 1):
        body = text.split("\n", 1)[1]
        connection.executescript(f"BEGIN IMMEDIATE;\n{body}\nPRAGMA user_version = {number};\nCOMMIT;")
