"""The store in PostgreSQL with PostGIS: several workers on one database, each with one writer that commits in groups.

A group runs in a thread of its worker. Rows that are read in order to be changed are locked; groups of two workers that wait for each other
are told so by the database and run again. Queries are answered by the database itself: jsonpath over the internal form, PostGIS for places.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any, TypeVar

import psycopg
import shapely

from kiban.linkage.broker.geo import shape
from kiban.linkage.broker.jsonpath import scope_jsonpath, to_jsonpath, types_jsonpath
from kiban.linkage.broker.query import Q
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.selection import TypeQ
from kiban.linkage.broker.store.contract import Entity, Selection, Uncertain, Who
from kiban.linkage.broker.store.sql import Names, Plan, Statements, marks, places
from kiban.linkage.errors import Problem

T = TypeVar("T")
GROUP = 256  # writes in one transaction at most
BRIEF = 1.0  # seconds that a read may keep the event loop
QUEUE = 20_000  # writes that may wait
AGAIN = 5  # times that a group is run anew after another worker was in its way
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
KEYS = {"outbox": "seq", "thing": "seq"}
PAUSE = 0.5  # seconds between two attempts of the event loop's own connection
PATIENCE = 0.2  # seconds that the event loop waits for a new one
LOCK = 5_718_014  # of the migrations
AGAIN_STATES = ("40001", "40P01", "23505", "42P01")  # serialization, deadlock, the same id at the same time, a month that was dropped
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # in JSON, where a text may well have a backslash before u0000
RELATIONS = {
    "within": "ST_Within(p.shape, g)", "contains": "ST_Contains(p.shape, g)", "intersects": "ST_Intersects(p.shape, g)",
    "equals": "ST_Equals(p.shape, g)", "disjoint": "ST_Disjoint(p.shape, g)", "overlaps": "ST_Overlaps(p.shape, g)",
}  # fmt: skip


@lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """Statements say `?` for a value; PostgreSQL's driver wants `%s`."""
    return sql.replace("%", "%%").replace("?", "%s")


class Session(Statements):
    """Statements on one PostgreSQL connection."""

    def __init__(self, connection: psycopg.Connection[Any], names: Names, *, writes: bool = False) -> None:
        self.connection, self.names = connection, names
        self.lock = " FOR UPDATE" if writes else ""
        self.cursor = connection.cursor(binary=True)
        self.rung = set()
        self.skip = " FOR UPDATE OF o SKIP LOCKED" if writes else ""
        self.wrote = False
        self.alive: set[str] = set()  # workers that were there at the last look
        self.seen: dict[str, int] | None = {} if writes else None  # what `changes` said in this transaction

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        return self.cursor.execute(translated(sql), values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row or None."""
        return self.cursor.execute(translated(sql), values).fetchone()

    def do(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change rows; how many."""
        self.wrote = True
        return self.cursor.execute(translated(sql), values).rowcount

    def many(self, sql: str, rows: list[Any]) -> None:
        """The same statement for many rows."""
        self.wrote = True
        self.cursor.executemany(translated(sql), rows)

    def insert(self, sql: str, values: Sequence[Any]) -> int:
        """Insert one row and return its key, 0 if ON CONFLICT DO NOTHING did so; the statement ends before RETURNING."""
        wrote, self.wrote = self.wrote, True
        key = KEYS.get(sql.split(maxsplit=3)[2], "key")
        row = self.cursor.execute(translated(f"{sql} RETURNING {key}"), values).fetchone()
        if row is None:
            self.wrote = wrote
            return 0
        return int(row[0])

    def changes(self, kind: str) -> int:
        """A number that grows with every change of a document of this kind; asked once in a transaction that writes.

        That is enough: what another worker acknowledged before a request came in was there before the request's transaction began.
        """
        if self.seen is None:
            return super().changes(kind)
        number = self.seen.get(kind)
        if number is None:
            number = self.seen[kind] = super().changes(kind)
        return number

    def touch(self, kind: str) -> None:
        """Tell other workers that documents of this kind have changed."""
        super().touch(kind)
        if self.seen is not None:
            self.seen.pop(kind, None)

    def take_lane(self, endpoint: str) -> bool:
        """Be the only one who hands out messages of an endpoint until the transaction ends.

        Without it, a message could overtake an earlier one of the same word that another worker has taken in a transaction not yet ended.
        """
        key = int.from_bytes(blake2b(endpoint.encode(), digest_size=8, person=b"lane").digest(), signed=True)
        return bool(self.one("SELECT pg_try_advisory_xact_lock(?::bigint)", (key,))[0])

    def lanes(self, now: int) -> list[str]:
        """The endpoints that have a message which may be sent now; those of workers that are gone first wait again. A worker is known by its connection."""
        rows = self.all("SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kiban-%'")
        alive = {row[0] for row in rows}
        if not self.alive or self.alive - alive:
            self.do("UPDATE outbox SET owner = '', due = ? WHERE owner <> '' AND dead IS NULL AND NOT owner = ANY(?)", (now, list(alive)))
        self.alive = alive
        return super().lanes(now)

    def document(self, entity: Entity) -> tuple[str, ...]:
        """Keep where the entity is."""
        text = json.dumps(entity, ensure_ascii=False)
        if "\\u0000" in text and NUL.search(text):
            raise Problem("BadRequestData", "the character NUL cannot be kept", entity["id"])
        return (text,)

    def place(self, tenant: int, key: int, entity: Entity, old: Entity | None) -> None:  # noqa: ARG002 - the key is enough here
        """Keep where the entity is, for PostGIS."""
        rows = places(entity)
        if old is not None:
            if rows == places(old):
                return
            self.unplace(key, rows)
        shapes = [(key, self.new_number(attr), found.wkb) for attr, geometry in rows if (found := shape(geometry)) is not None]
        if shapes:
            self.many("INSERT INTO place (entity, attr, shape) VALUES (?, ?, ST_GeomFromWKB(?))", shapes)

    def unplace(self, key: int, there: list[tuple[str, Any]]) -> None:  # noqa: ARG002 - the key is enough here
        """Forget where the entity is; there: its places."""
        self.do("DELETE FROM place WHERE entity = ?", (key,))

    def by_place(self, geo: Any, plan: Plan) -> None:
        """The whole geo-query by PostGIS; distances on the ellipsoid."""
        number = (plan.numbers(self, [geo.attr]) or [-1])[0]
        reference = geo.geometry.wkb
        if geo.relation == "near":
            metres, inside = (geo.most, "<=") if geo.most is not None else (geo.least, ">")
            window = geo.window() or ()
            box = " AND p.shape && ST_MakeEnvelope(?, ?, ?, ?)" if window else ""
            # Lines are straight in degrees (RFC 7946), those of the ellipsoid are not: where both ends are near, they are the same.
            straight = "CASE WHEN ST_GeometryType(p.shape) = 'ST_Point' THEN p.shape ELSE ST_Segmentize(p.shape, 1) END"
            reference = shapely.segmentize(geo.geometry, 1).wkb
            away = f"ST_Distance(ST_SetSRID({straight}, 4326)::geography, ST_SetSRID(ST_GeomFromWKB(?), 4326)::geography)"
            plan.hold(f"e.key IN (SELECT p.entity FROM place p WHERE p.attr = ?{box} AND {away} {inside} ?)", (number, *window, reference, metres))  # noqa: S608
        else:
            plan.hold(f"e.key IN (SELECT p.entity FROM place p, ST_GeomFromWKB(?) g WHERE p.attr = ? AND {RELATIONS[geo.relation]})", (reference, number))  # noqa: S608

    def lead(self, plan: Plan) -> None:
        """The database knows best where to begin."""
        plan.hold("e.tenant = ?", (plan.tenant,))
        for way in plan.ways:
            plan.hold(way.has or f"e.key IN ({way.found})", way.values)
        for part in plan.rest:
            plan.hold(*self.part(part))
        plan.tests, plan.asked = plan.where, plan.values

    def part(self, part: Any) -> tuple[str, list[Any]]:
        """One condition that no index answers, as SQL."""
        if isinstance(part, Selection):
            texts, values = [], []
            for who in part.who:
                text, found = self.who(who)
                texts.append(text)
                values += found
            return f"({' OR '.join(texts)})", values
        if isinstance(part, Who):
            return self.who(part)
        if isinstance(part, Q):
            path = to_jsonpath(part)
            if path is None:
                raise Problem("OperationNotSupported", "queries over linked entities", "are not offered on PostgreSQL", status=422)
        else:
            path = types_jsonpath(part) if isinstance(part, TypeQ) else scope_jsonpath(part)
        return "jsonb_path_match(e.doc, ?::jsonpath, ?::jsonb, true)", [path[0], json.dumps(path[1], ensure_ascii=False)]

    def who(self, who: Who) -> tuple[str, list[Any]]:
        """One selector as SQL."""
        texts: list[str] = []
        values: list[Any] = []
        if who.ids:
            texts.append(f"e.id IN ({marks(who.ids)})")
            values += who.ids
        if who.types is not None:
            text, found = self.part(who.types)
            texts.append(text)
            values += found
        if who.pattern is not None:
            texts.append("e.id ~ ?")
            values.append(who.pattern.sql)
        return f"({' AND '.join(texts) or 'true'})", values

    def insert_new(self, sql: str, values: Sequence[Any]) -> int | None:
        """Insert a row with ON CONFLICT DO NOTHING; its key, None if it was there."""
        self.wrote = True
        row = self.cursor.execute(translated(f"{sql} RETURNING key"), values).fetchone()
        return None if row is None else int(row[0])

    def make_partition(self, month: str) -> None:
        """A table of history for one month."""
        self.do("SELECT pg_advisory_xact_lock(?)", (LOCK + 1,))
        self.do(
            f"CREATE TABLE IF NOT EXISTS history_{int(month):06d} (entity BIGINT NOT NULL, attr INTEGER NOT NULL, at BIGINT NOT NULL, "
            "instance BIGINT NOT NULL, seen INTEGER NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL, deleted BIGINT, expires BIGINT, "
            "num DOUBLE PRECISION, dataset TEXT, "
            "doc BYTEA NOT NULL, PRIMARY KEY (entity, attr, at, instance))"
        )
        self.do(f"CREATE INDEX IF NOT EXISTS history_{int(month):06d}_expires ON history_{int(month):06d} (expires) WHERE expires IS NOT NULL")


class PostgresStore:
    """The contract on PostgreSQL; one of these in each worker."""

    kind = "postgres"

    def __init__(self, address: str, *, readers: int = 2) -> None:
        self.address = address
        self.owner = f"kiban-{os.getpid()}-{uuid.uuid4().hex[:8]}"  # of what is handed out here, and of the connection that does it
        self.names = Names()
        prepare(address)
        self.declared: frozenset[int] = frozenset()
        self.reader = Reader(self)
        self.waiting: deque[tuple[Callable[[Any], Any], asyncio.Future[Any]]] = deque()
        self.wake = threading.Condition()
        self.closing = False
        self.idle = True
        self.loop: asyncio.AbstractEventLoop | None = None
        self.slower = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self.spare: deque[Session] = deque()
        self.after: Callable[[set[str]], None] | None = None
        self.observe: Callable[[int, float, str], None] | None = None  # writes of a group, seconds it took, "" or why it is not on disk
        self.thread = threading.Thread(target=self.writing, name="writer", daemon=True)
        self.thread.start()

    def connect(self, *, seconds: float = 0.0, name: str = "kiban") -> psycopg.Connection[Any]:
        """One more connection; seconds: the longest a statement may take; name: how the database knows it."""
        return connect(self.address, seconds=seconds, name=name)

    # --- writing
    def write(self, op: Callable[[Any], T]) -> asyncio.Future[T]:
        """Run `op(session)` in the next group; the future is done when it is on disk."""
        self.loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self.loop.create_future()
        if self.closing:
            future.set_exception(Problem("InternalError", "the broker is stopping", "send it again to the next one", status=503))
            return future
        with self.wake:
            full = len(self.waiting) >= QUEUE
            if not full:
                self.waiting.append((op, future))
                self.wake.notify()
        if full:
            future.set_exception(Problem("InternalError", "too many writes wait", "nothing of this request was kept; send it again later", status=503))
        return future

    def writing(self) -> None:
        """The thread: group after group until the store is closed."""
        session: Session | None = None
        while True:
            with self.wake:
                self.idle = not self.waiting
                while not self.waiting:
                    if self.closing:
                        if session is not None:
                            session.connection.close()
                        return
                    self.wake.wait(1.0)
                self.idle = False
                batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), GROUP))]
            batch = [(op, future) for op, future in batch if not future.cancelled()]
            began, why = time.perf_counter(), ""
            try:
                if session is None or session.connection.closed:
                    self.names.forget()
                    session = Session(check_settings(self.connect(name=self.owner)), self.names, writes=True)
                    session.names.declared = self.declared
                results = self.group(session, batch)
            except (psycopg.Error, Problem) as error:
                self.names.forget()
                problem = error if isinstance(error, Problem) else trouble(error)
                results, why = [(False, problem)] * len(batch), str(problem)
                if session is not None and not isinstance(error, Problem):
                    session.connection.close()
                    session = None
            if self.loop is not None:
                rung = session.rung if session is not None else set()
                if session is not None:
                    session.rung = set()
                self.loop.call_soon_threadsafe(self.told, batch, results, rung, time.perf_counter() - began, why)

    def group(self, session: Session, batch: list[Any]) -> list[tuple[bool, Any]]:
        """One transaction of all functions; again, each behind its own savepoint, if one of them fails or another worker is in the way."""
        for attempt in range(AGAIN + 1):
            finished = False
            try:
                session.seen = {}
                session.connection.execute("BEGIN")
                results = self.together(session, batch) if attempt == 0 else None
                if results is None:
                    session.connection.execute("ROLLBACK")
                    self.names.forget()
                    session.seen, session.rung = {}, set()
                    session.connection.execute("BEGIN")
                    results = self.apart(session, batch, last=attempt == AGAIN)
                finished = True
                session.connection.execute("COMMIT")
            except psycopg.Error as error:
                if session.connection.closed or session.connection.broken:
                    if finished:
                        raise Uncertain(
                            "InternalError",
                            "the database went away while it committed",
                            "this request may have been kept or not: read before sending it again",
                            status=503,
                        ) from error
                    raise
                session.connection.execute("ROLLBACK")
                self.names.forget()
                if error.sqlstate not in AGAIN_STATES or attempt == AGAIN:
                    raise
                time.sleep(0.002 * attempt)
            else:
                return results
        raise AssertionError

    @staticmethod
    def together(session: Session, batch: list[Any]) -> list[tuple[bool, Any]] | None:
        """All functions in a row; None if one failed after it had written."""
        results: list[tuple[bool, Any]] = []
        for op, _ in batch:
            session.wrote = False
            try:
                results.append((True, op(session)))
            except psycopg.Error as error:
                if not of_one(error):
                    raise
                return None
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                if session.wrote:
                    return None
                results.append((False, error))
        return results

    def apart(self, session: Session, batch: list[Any], *, last: bool) -> list[tuple[bool, Any]]:
        """Every function behind its own savepoint. last: what still looks like another worker in the way is the function's own error."""
        results: list[tuple[bool, Any]] = []
        for op, _ in batch:
            rung = set(session.rung)
            session.connection.execute("SAVEPOINT one")
            try:
                results.append((True, op(session)))
            except Exception as error:  # handed to the one who asked
                if isinstance(error, psycopg.Error) and not of_one(error, last=last):
                    raise
                session.connection.execute("ROLLBACK TO one")
                self.names.forget()
                session.seen, session.rung = {}, rung
                results.append((False, trouble(error) if isinstance(error, psycopg.DataError) else error))
            session.connection.execute("RELEASE one")
        return results

    def told(self, batch: list[Any], results: list[tuple[bool, Any]], rung: set[str], seconds: float, why: str) -> None:
        """In the event loop: everybody learns what became of their write."""
        if self.observe is not None and batch:
            self.observe(len(batch), seconds, why)
        for (_, future), (well, result) in zip(batch, results, strict=True):
            if not future.done():
                if well:
                    future.set_result(result)
                else:
                    future.set_exception(result)
        if rung and self.after is not None:
            self.after(rung)

    # --- reading
    def brief(self, fn: Callable[[Any], T]) -> T | None:
        """A read by indexes in the event loop; None if it is not over soon, which is then a case for `slow`."""
        try:
            return fn(self.reader)
        except Problem as problem:
            if problem.kind != "TooComplexQuery":
                raise
            return None

    async def slow(self, fn: Callable[[Any], T], seconds: float = 10.0) -> T:
        """Reads that may scan: in a thread, on a connection of its own, ended after `seconds`."""
        return await asyncio.get_running_loop().run_in_executor(self.slower, self.timed, fn, seconds)

    def timed(self, fn: Callable[[Any], T], seconds: float) -> T:
        """One reading function with a time limit, in its thread."""
        session = self.spare.popleft() if self.spare else None
        if session is None or session.connection.closed:
            session = Session(self.connect(), Names())
            session.names.declared = self.declared
        try:
            session.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            session.connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            return fn(session)
        except psycopg.errors.QueryCanceled as error:
            raise Problem(
                "TooComplexQuery", "the query takes too long", f"it was ended after {seconds:g} s: name a type, ids or an indexed attribute"
            ) from error
        except psycopg.Error as error:
            raise trouble(error) from error
        finally:
            if not session.connection.closed and not session.connection.broken:
                session.connection.execute("ROLLBACK")
                self.spare.append(session)
            else:
                session.connection.close()

    def declare(self, iris: Sequence[str]) -> None:
        """From now on these attributes have an index; what is stored already is indexed now. Only at start."""
        connection = self.connect()
        session = Session(connection, self.names, writes=True)
        session.do("BEGIN")
        session.do("SELECT pg_advisory_xact_lock(?)", (LOCK,))
        numbers = frozenset(session.new_number(iri) for iri in iris)
        if numbers != frozenset(row[0] for row in session.all("SELECT attr FROM declared")):
            session.do("DELETE FROM eindex")
            session.do("DELETE FROM declared")
            session.many("INSERT INTO declared (attr) VALUES (?)", [(number,) for number in numbers])
            session.names.declared = numbers
            for tenant, key, lean, sys in session.all(
                f"SELECT tenant, key, lean, sys FROM entity WHERE key IN (SELECT entity FROM eattr WHERE attr IN ({marks(list(numbers))}))",  # noqa: S608
                list(numbers),
            ):
                session.index(tenant, key, decode(lean, sys), {})
        session.do("COMMIT")
        connection.close()
        self.declared = self.names.declared = numbers
        self.reader.names.declared = numbers
        for iri in iris:
            self.reader.number(iri)

    async def close(self) -> None:
        """Finish what waits and let go of the database."""
        with self.wake:
            self.closing = True
            self.wake.notify()
        while self.thread.is_alive():
            await asyncio.sleep(0.005)
        self.slower.shutdown()
        self.reader.close()
        for session in self.spare:
            session.connection.close()


class Reader(Session):
    """Indexed reads in the event loop; connects anew when the database has been away."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.mender = ThreadPoolExecutor(1, thread_name_prefix="mender")
        self.mending: Future[psycopg.Connection[Any]] | None = None
        self.failed = -PAUSE
        super().__init__(store.connect(seconds=BRIEF), Names())

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows."""
        return self.again(super().all, sql, values)  # type: ignore[no-any-return]

    def one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row or None."""
        return self.again(super().one, sql, values)

    def again(self, read: Callable[[str, Sequence[Any]], Any], sql: str, values: Sequence[Any]) -> Any:
        """Read, once more on a new connection if the old one has gone."""
        try:
            if self.connection.closed:
                self.anew()
            return read(sql, values)
        except psycopg.errors.QueryCanceled as error:
            raise Problem("TooComplexQuery", "the query takes too long", f"it was ended after {BRIEF:g} s") from error
        except psycopg.DataError as error:
            raise trouble(error) from error
        except psycopg.OperationalError as error:
            if not self.connection.broken and not self.connection.closed:
                raise trouble(error) from error
        self.anew()
        try:
            return read(sql, values)
        except psycopg.Error as error:
            raise trouble(error) from error

    def anew(self) -> None:
        """A new connection; names are read again. It is made in a thread: a database that does not answer must not hold up the event loop."""
        self.connection.close()
        patience = 0.0
        if self.mending is None:
            if time.monotonic() - self.failed < PAUSE:
                raise away()
            self.mending, patience = self.mender.submit(self.store.connect, seconds=BRIEF), PATIENCE
        try:
            self.connection = self.mending.result(patience)
        except TimeoutError:
            raise away() from None
        except Problem:
            self.mending, self.failed = None, time.monotonic()
            raise
        self.mending = None
        self.cursor = self.connection.cursor(binary=True)
        self.names.forget()

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()
        self.mender.shutdown(cancel_futures=True)


def away() -> Problem:
    """There is no connection now."""
    return Problem("InternalError", "the database cannot be used now", "no connection to the database; send it again", status=503)


def of_one(error: psycopg.Error, *, last: bool = False) -> bool:
    """Whether an error is that of one function and its values, not of the database or (unless that was tried often enough) of another worker in the way."""
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.ProgrammingError) and (last or error.sqlstate not in AGAIN_STATES)


def trouble(error: psycopg.Error) -> Problem:
    """What an operator, or the one who asked, can do about an error of the database."""
    if isinstance(error, psycopg.DataError) and (error.sqlstate is None or error.sqlstate == "22P05"):
        return Problem("BadRequestData", "the character NUL cannot be kept", "leave it out")
    text = (error.diag.message_primary if error.diag else None) or "no connection to the database"
    if error.sqlstate == "53100":
        return Problem("InternalError", "the disk of the database is full", "nothing of this request was kept; make room, then send it again", status=507)
    return Problem("InternalError", "the database cannot be used now", f"{text}; nothing of this request was kept, send it again", status=503)


def check_settings(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The connection, if its database does not acknowledge what is not on disk; else a problem."""
    for name, wanted in SAFE.items():
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
        found = row[0] if row else ""
        if found not in (wanted, "remote_apply", "remote_write", "local"):
            connection.close()
            raise Problem("InternalError", f"PostgreSQL runs with {name} = {found}", f"set {name} = {wanted}: what is acknowledged must be on disk", status=503)
    return connection


def connect(address: str, *, seconds: float = 0.0, name: str = "kiban") -> psycopg.Connection[Any]:
    """A connection that notices within seconds that the other side has vanished; seconds: the longest a statement may take."""
    try:
        connection = psycopg.connect(
            address,
            autocommit=True,
            application_name=name,
            connect_timeout=5,
            prepare_threshold=2,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
        connection.execute(f"SET statement_timeout = {int(seconds * 1000)}")
    except psycopg.Error as error:
        raise trouble(error) from error
    return connection


def prepare(address: str) -> None:
    """Bring a database to the newest version; one that would lose what is acknowledged is refused."""
    connection = check_settings(connect(address))
    try:
        migrate(connection)
    finally:
        connection.close()


def migrate(connection: psycopg.Connection[Any]) -> None:
    """Bring a database to the newest version; workers that start together wait for one another."""
    versions = files("kiban.linkage.broker.store").joinpath("postgres.sql").read_text("utf-8").split("-- version ")[1:]
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    connection.execute("CREATE TABLE IF NOT EXISTS version (n INTEGER NOT NULL)")
    row = connection.execute("SELECT coalesce(max(n), 0) FROM version").fetchone()
    have = int(row[0]) if row else 0
    if have > len(versions):
        raise Problem("InternalError", f"the database has version {have}, this program knows {len(versions)}", "use the newer program")
    for number, text in enumerate(versions[have:], have + 1):
        connection.execute(text.split("\n", 1)[1].encode())
        connection.execute("INSERT INTO version (n) VALUES (%s)", (number,))
    connection.execute("COMMIT")
