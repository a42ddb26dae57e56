"""Notifications leave the outbox at least once, in order per entity, whatever their endpoints do."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from kiban.linkage.broker.delivery import Count, DeadLetter, Dispatcher, OutboxAway, OutboxUncertain, Policy, Settled, dead_letters
from kiban.linkage.broker.outgoing import Request, Target, decode, encode, lane_of, mqtt_broker
from kiban.linkage.broker.posting import HttpSender
from kiban.linkage.broker.store.contract import Message
from kiban.linkage.errors import Problem

SECOND = 1_000_000
QUICK = Policy(first=0.01, longest=0.05, timeout=3.0, poll=0.05, attempts=1000, gather=0.001)


class Anywhere:
    """A guard that lets all pass."""

    def named(self, _: str) -> bool:
        return True

    def allows(self, _: str) -> bool:
        return True


class Nowhere:
    """A guard that lets nothing pass."""

    def named(self, _: str) -> bool:
        return False

    def allows(self, _: str) -> bool:
        return False


class Rows:
    """The rows of an outbox, in memory; each worker has a Door to them."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute(
            "CREATE TABLE outbox (seq INTEGER PRIMARY KEY, endpoint, tenant, subscription, word, request, attempt DEFAULT 0, first, due, owner, dead, error)"
        )
        self.db.execute("CREATE INDEX lane ON outbox (endpoint, seq) WHERE dead IS NULL")
        self.db.execute("CREATE INDEX word ON outbox (endpoint, tenant, subscription, word, seq) WHERE dead IS NULL")
        self.counts: dict[tuple[int, str], Count] = {}

    def close(self) -> None:
        self.db.close()

    def put(self, request: Request, order: str, *, subscription: str = "urn:sub:1", now: int | None = None) -> str:
        at = time.time_ns() // 1000 if now is None else now
        lane = lane_of(request.url)
        self.db.execute(
            "INSERT INTO outbox (endpoint, tenant, subscription, word, request, first, due) VALUES (?, 0, ?, ?, ?, ?, ?)",
            (lane, subscription, order, encode(request), at, at),
        )
        return lane

    def left(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM outbox WHERE dead IS NULL").fetchone()[0])

    def one(self, sql: str) -> Any:
        return self.db.execute(sql).fetchone()


class Door:
    """The outbox as one worker sees it."""

    def __init__(self, rows: Rows, owner: str = "a", pause: float = 0.001) -> None:
        self.rows, self.owner, self.pause = rows, owner, pause
        self.away = False
        self.silent = 0  # so many exchanges that hand something out are written, and break before this worker learns of it

    async def _enter(self) -> sqlite3.Connection:
        await asyncio.sleep(self.pause)
        if self.away:
            raise OutboxAway("outbox", "no database")
        return self.rows.db

    async def lanes(self, now: int) -> Sequence[str]:
        db = await self._enter()
        return [row[0] for row in db.execute("SELECT DISTINCT endpoint FROM outbox WHERE dead IS NULL AND due <= ?", (now,))]

    async def exchange(self, settled: Settled, wanted: Mapping[str, int], now: int, lease: int, kept: Collection[int] | None = None) -> Sequence[Message]:
        held = None if kept is None else set(kept)
        db, me = await self._enter(), self.owner
        db.execute("BEGIN")
        db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in settled.delivered])
        db.executemany("UPDATE outbox SET due = ?, error = ?, owner = NULL WHERE seq = ? AND owner = ?", [(r.at, r.error, r.seq, me) for r in settled.retried])
        db.executemany("UPDATE outbox SET dead = ?, error = ?, owner = NULL WHERE seq = ? AND owner = ?", [(now, d.error, d.seq, me) for d in settled.dead])
        db.executemany(
            "UPDATE outbox SET due = ?, attempt = attempt - 1, owner = NULL WHERE seq = ? AND owner = ?", [(now, seq, me) for seq in settled.released]
        )
        if held is not None:
            mine = [row[0] for row in db.execute("SELECT seq FROM outbox WHERE owner = ? AND dead IS NULL", (me,))]
            lost = [(now, seq) for seq in mine if seq not in held]
            db.executemany("UPDATE outbox SET due = ?, attempt = attempt - 1, owner = NULL WHERE seq = ?", lost)
        for who, count in settled.counts.items():
            self.rows.counts.setdefault(who, Count()).add(count)
        given = []
        for endpoint, limit in wanted.items():
            found = db.execute(
                "SELECT seq, tenant, subscription, word, request, attempt + 1, first, error FROM outbox o"
                " WHERE endpoint = ?1 AND dead IS NULL AND due <= ?2 AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.endpoint = o.endpoint"
                " AND e.tenant = o.tenant AND e.subscription = o.subscription AND e.word = o.word AND e.seq < o.seq AND e.dead IS NULL"
                " AND e.due > ?2 AND e.owner IS NOT ?3) ORDER BY seq LIMIT ?4",
                (endpoint, now, me, limit),
            ).fetchall()
            for seq, tenant, subscription, word, request, attempt, first, error in found:
                given.append(Message(endpoint, tenant, subscription, word, request, seq, attempt, first, bool(error)))
        db.executemany("UPDATE outbox SET attempt = attempt + 1, due = ?, owner = ? WHERE seq = ?", [(now + lease, me, message.seq) for message in given])
        db.execute("COMMIT")
        if given and self.silent:
            self.silent -= 1
            raise OutboxUncertain("outbox", "no answer to COMMIT")
        return given

    async def dead_letters(self, tenant: int, subscription: str | None, after: int, limit: int) -> Sequence[DeadLetter]:
        db = await self._enter()
        return [
            DeadLetter(Message(row[0], tenant, row[1], row[2], row[3], row[4], row[5], row[6]), row[7], row[8])
            for row in db.execute(
                "SELECT endpoint, subscription, word, request, seq, attempt, first, dead, error FROM outbox"
                " WHERE dead IS NOT NULL AND tenant = ? AND subscription = coalesce(?, subscription) AND seq > ? ORDER BY seq LIMIT ?",
                (tenant, subscription, after, limit),
            )
        ]

    async def replay(self, tenant: int, subscription: str | None, seqs: Sequence[int] | None, now: int) -> dict[str, int]:
        db = await self._enter()
        lanes: dict[str, int] = {}
        for letter in await self.dead_letters(tenant, subscription, 0, 1_000_000):
            if seqs is None or letter.message.seq in seqs:
                db.execute("UPDATE outbox SET dead = NULL, due = ?, first = ? WHERE seq = ?", (now, now, letter.message.seq))
                lanes[letter.message.endpoint] = lanes.get(letter.message.endpoint, 0) + 1
        return lanes


class Got(msgspec.Struct):
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def attempt(self) -> int:
        return int(self.headers["kiban-delivery-attempt"])

    @property
    def said(self) -> Any:
        return msgspec.json.decode(self.body)


Reply = bytes | None  # what is written; None: hang until the other side goes; nothing: close


class Receiver:
    """An HTTP server on the loopback address; `answer` decides what each request gets."""

    def __init__(self, answer: Callable[[Got], Reply | Awaitable[Reply]]) -> None:
        self.answer, self.got = answer, list[Got]()
        self.connections = 0
        self.tasks: set[asyncio.Task[Any]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                got = Got(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))
                self.got.append(got)
                answered = self.answer(got)
                reply = answered if answered is None or isinstance(answered, bytes) else await answered
                if reply is None:
                    await reader.read()
                if not reply:
                    return
                writer.write(reply)
                await writer.drain()
                if reply.endswith(b"#close"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def __aenter__(self) -> Receiver:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.wait_closed()


def reply(status: int, body: bytes = b"", *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


OK = reply(200)


def post(url: str, said: object = None, **more: Any) -> Request:
    return Request("POST", url, (("Content-Type", "application/json"),), msgspec.json.encode(said), **more)


async def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.003)


@asynccontextmanager
async def sending(door: Door, policy: Policy = QUICK, guard: Any = None, **more: Any) -> Any:
    sender = HttpSender(guard or Anywhere())
    dispatcher = Dispatcher(door, {"http": sender, "https": sender}, policy, **more)
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        await dispatcher.stop(2.0)


@pytest.fixture
def rows() -> Any:
    kept = Rows()
    yield kept
    kept.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


# --- order and loss


def fickle(seed: int, accepted: dict[str, list[int]], faults: list[str]) -> Callable[[Got], Reply | Awaitable[Reply]]:
    """Fails at random in each way there is; notes what it accepted and each message that overtook another."""
    chance = random.Random(seed)

    async def slowly(data: bytes) -> bytes:
        await asyncio.sleep(chance.uniform(0, 0.01))
        return data

    def answer(got: Got) -> Reply | Awaitable[Reply]:
        entity, number = got.said
        done = accepted[entity]
        if number > len(done):
            faults.append(f"{entity}: {number} came although {len(done)} was not accepted")
        match chance.randrange(10):
            case 0:
                return reply(500, b"broken")
            case 1:
                return reply(503)
            case 2:
                return b""
            case 3:
                if number == len(done):
                    done.append(number)
                return reply(200, b"accepted, then gone", "Connection: close") + b"#close"
        if number == len(done):
            done.append(number)
        return slowly(OK)

    return answer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("workers", [1, 2])
def test_messages_of_an_entity_arrive_in_order_however_the_endpoint_fails(rows: Rows, seed: int, workers: int) -> None:
    async def main() -> None:
        accepted: dict[str, list[int]] = defaultdict(list)
        faults: list[str] = []
        async with Receiver(fickle(seed, accepted, faults)) as receiver:
            doors = [Door(rows, str(number)) for number in range(workers)]
            async with sending(doors[0]) as first:
                second = Dispatcher(doors[-1], first.senders, QUICK)
                if workers == 2:
                    await second.start()
                chance = random.Random(seed)
                next_of: Counter[str] = Counter()
                for _ in range(300):
                    entity = f"urn:e:{chance.randrange(12)}"
                    lane = rows.put(post(f"{receiver.url}/{entity[-1]}", [entity, next_of[entity]]), entity)
                    next_of[entity] += 1
                    chance.choice([first, second]).wake([lane])
                    if chance.random() < 0.1:
                        await asyncio.sleep(0.005)
                await until(lambda: rows.left() == 0)
                if workers == 2:
                    await second.stop(1.0)
        assert faults == []
        assert accepted == {entity: list(range(number)) for entity, number in next_of.items()}

    run(main())


def test_a_killed_worker_loses_nothing_and_what_may_come_twice_is_marked(rows: Rows) -> None:
    async def main() -> None:
        skew = 0

        def clock() -> int:
            return time.time_ns() // 1000 + skew

        async def some_time(_: Got) -> bytes:
            await asyncio.sleep(0.002)
            return OK

        async with Receiver(some_time) as receiver:
            for number in range(400):
                rows.put(post(receiver.url, number), f"urn:e:{number % 40}")
            for life in range(6):
                sender = HttpSender(Anywhere())
                dispatcher = Dispatcher(Door(rows, f"life {life}"), {"http": sender}, QUICK, clock)
                await dispatcher.start()
                came = len(receiver.got)
                await until(lambda came=came: len(receiver.got) >= came + 40)
                dispatcher._open = False  # as kill -9 does: nothing is sent or written any more
                tasks = [task for task in (dispatcher._turning, *dispatcher._workers) if task is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await sender.close()
                skew += 61 * SECOND  # the lease is over
            async with sending(Door(rows, "heir"), now=clock):
                await until(lambda: rows.left() == 0)

        came_at: dict[int, list[int]] = defaultdict(list)
        for got in receiver.got:
            came_at[got.said].append(got.attempt)
        assert sorted(came_at) == list(range(400))
        assert all(attempts[0] >= 1 and attempts == sorted(set(attempts)) for attempts in came_at.values())
        assert any(len(attempts) > 1 for attempts in came_at.values())

    run(main())


def test_while_the_database_is_away_nothing_is_lost_and_nothing_is_written_twice(rows: Rows) -> None:
    async def main() -> None:
        door = Door(rows)

        def answer(got: Got) -> bytes:
            if got.said == 20:
                door.away = True  # the outcome of this one cannot be written
            return OK

        async with Receiver(answer) as receiver:
            for number in range(50):
                rows.put(post(receiver.url, number), "urn:e")
            async with sending(door):
                await until(lambda: door.away)
                await asyncio.sleep(0.3)
                door.away = False
                receiver.answer = lambda _: OK
                await until(lambda: rows.left() == 0)
        assert [got.said for got in receiver.got] == list(range(50))
        assert rows.counts[0, "urn:sub:1"].sent == 50

    run(main())


def test_rows_that_were_handed_out_in_an_exchange_whose_answer_was_lost_are_sent_before_their_lease_ends(rows: Rows) -> None:
    async def main() -> None:
        door = Door(rows)
        async with Receiver(lambda _: OK) as receiver, sending(door, replace(QUICK, streams=2, window=8)):
            for number in range(40):
                rows.put(post(receiver.url, number), f"urn:e:{number % 5}")
            await until(lambda: len(receiver.got) > 4)  # some are in hand by now, and may not be given back
            door.silent = 2
            await until(lambda: rows.left() == 0)
        assert door.silent == 0
        assert sorted(got.said for got in receiver.got) == list(range(40))  # none twice
        for word in range(5):
            assert [got.said for got in receiver.got if got.said % 5 == word] == list(range(word, 40, 5))
        assert {got.attempt for got in receiver.got} == {1}  # nobody had tried them

    run(main())


def test_who_reads_the_counters_waits_for_a_message_under_way_and_not_for_one_that_hangs(rows: Rows) -> None:
    async def main() -> None:
        async def late(_: Got) -> bytes | None:
            await asyncio.sleep(0.03)
            return OK if len(receiver.got) == 1 else None

        async with Receiver(late) as receiver, sending(Door(rows)) as dispatcher:
            rows.put(post(receiver.url, 1), "urn:e")
            await until(lambda: receiver.got)
            await dispatcher.written(0, "urn:sub:1", 20.0)
            assert rows.counts[0, "urn:sub:1"].sent == 1
            rows.put(post(receiver.url, 2), "urn:e")
            await until(lambda: len(receiver.got) == 2)
            await asyncio.sleep(0.06)
            begun = time.monotonic()
            await dispatcher.written(0, "urn:sub:1", 0.05)
            assert time.monotonic() - begun < 0.05  # older than anybody would wait

    run(main())


# --- lanes


def test_a_dead_endpoint_and_a_hanging_one_delay_nobody_else(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as gone:
            pass
        async with Receiver(lambda _: None) as hanging, Receiver(lambda _: OK) as live:
            for number in range(1000):
                rows.put(post(f"{gone.url}/n", number), f"urn:e:{number}")
                rows.put(post(f"{hanging.url}/n", number), f"urn:e:{number}")
            for number in range(300):
                rows.put(post(f"{live.url}/n/{number % 10}", number), f"urn:e:{number % 7}")
            async with sending(Door(rows), Policy(first=5.0, poll=0.05, timeout=10.0)) as dispatcher:
                await until(lambda: len(live.got) == 300)
                await until(lambda: dispatcher.figures()["resting"] == 1)
                # The dead one rests with nothing in memory; the hanging one still waits for its first answers.
                assert dispatcher.figures()["held"] <= 64
                assert len(hanging.got) == 4
                await until(lambda: rows.left() == 2000)
            assert rows.one("SELECT count(*) FROM outbox WHERE attempt > 1") == (0,)

    run(main())


def test_a_hundred_endpoints_get_all_of_theirs_over_few_connections(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as receiver:
            for number in range(3000):
                rows.put(post(f"{receiver.url}/p{number % 100}", number), f"urn:e:{number % 33}", subscription=f"urn:sub:{number % 100}")
            async with sending(Door(rows), Policy(poll=0.05, parallel=20)):
                await until(lambda: rows.left() == 0)
        assert sorted(got.said for got in receiver.got) == list(range(3000))
        assert receiver.connections <= 20
        assert {count.sent for count in rows.counts.values()} == {30}

    run(main())


def test_an_endpoint_that_comes_back_is_tried_with_one_message_first(rows: Rows) -> None:
    async def main() -> None:
        down, at_once, most = True, 0, 0

        async def answer(_: Got) -> bytes:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            return reply(503) if down else OK

        async with Receiver(answer) as receiver:
            for number in range(60):
                rows.put(post(receiver.url, number), f"urn:e:{number}")
            async with sending(Door(rows)):
                await until(lambda: len(receiver.got) >= 12)
                most_before, most = most, 0
                await until(lambda: len(receiver.got) >= 15)
                assert (most_before, most) == (4, 1)
                down = False
                await until(lambda: rows.left() == 0)

    run(main())


def test_one_message_that_hangs_does_not_hold_back_other_entities_for_good(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda got: None if got.said == "poison" else OK) as receiver:
            rows.put(post(receiver.url, "poison", timeout=0.05), "urn:bad")
            rows.put(post(receiver.url, "behind"), "urn:bad")
            for number in range(40):
                rows.put(post(receiver.url, number), f"urn:e:{number}")
            policy = Policy(first=0.01, longest=0.05, poll=0.05, attempts=4)
            async with sending(Door(rows), policy):
                await until(lambda: rows.left() == 0)
        assert rows.one("SELECT attempt, error FROM outbox") == (4, "no answer within 0.05 s")
        assert [got.said for got in receiver.got].count("poison") == 4
        assert [got.said for got in receiver.got][-1] == "behind"

    run(main())


# --- what answers mean


@pytest.mark.parametrize(
    ("answer", "attempts", "error"),
    [
        (reply(400, b"no such field"), 3, "HTTP 400: no such field"),
        (reply(410), 1, "HTTP 410"),
        (reply(302, b"", "Location: /elsewhere"), 3, "HTTP 302"),
        (reply(500, b"\xff broken"), 5, "HTTP 500: � broken"),
        (b"no http at all\r\n\r\n", 0, ""),
        (None, 0, ""),
        (reply(408), 0, ""),
        (reply(429), 0, ""),
    ],
)
def test_a_message_is_given_up_by_what_its_answers_mean(rows: Rows, answer: Reply, attempts: int, error: str) -> None:
    async def main() -> None:
        async with Receiver(lambda _: answer) as receiver:
            rows.put(post(f"{receiver.url}/n", 1, timeout=0.05), "urn:e")
            async with sending(Door(rows), Policy(first=0.01, longest=0.02, poll=0.05, attempts=5)):
                # An endpoint in trouble keeps its messages, beyond the number of attempts; 0 stands for that.
                await until(lambda: rows.left() == 0 if attempts else rows.one("SELECT attempt FROM outbox")[0] > 7)
        assert {got.path for got in receiver.got} == {"/n"}
        if attempts:
            assert [got.attempt for got in receiver.got] == list(range(1, attempts + 1))
            assert rows.one("SELECT attempt, error FROM outbox") == (attempts, error)
            assert (rows.counts[0, "urn:sub:1"].sent, rows.counts[0, "urn:sub:1"].failed) == (1, 1)  # notifications, not attempts

    run(main())


def test_messages_of_an_endpoint_in_trouble_die_of_age(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: reply(503)) as receiver:
            yesterday = time.time_ns() // 1000 - 86_401 * SECOND
            for number in range(100):
                rows.put(post(receiver.url, number), f"urn:e:{number}", now=yesterday)
            rows.put(post(receiver.url, "new"), "urn:e:new")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 1)
                await until(lambda: receiver.got[-1].said == "new")
        assert len(receiver.got) < 40

    run(main())


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(rows: Rows, status: int) -> None:
    async def main() -> None:
        async with Receiver(lambda _: reply(status, b"", "Retry-After: 600")) as busy, Receiver(lambda _: OK) as live:
            for number in range(5):
                rows.put(post(busy.url, number), "urn:e")
                rows.put(post(live.url, number), "urn:e")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 5 and rows.one("SELECT max(due - first) FROM outbox")[0] > 500 * SECOND)
                await asyncio.sleep(0.2)
            assert len(busy.got) == 1
            assert rows.one("SELECT count(*) FROM outbox WHERE due - first >= 600000000") == (1,)

    run(main())


def test_a_cooldown_rests_the_endpoint_after_a_failure_and_loses_nothing(rows: Rows) -> None:
    async def main() -> None:
        seen: list[float] = []

        def answer(_: Got) -> bytes:
            seen.append(time.monotonic())
            return reply(500) if len(seen) == 1 else OK

        async with Receiver(answer) as receiver:
            for number in range(4):
                rows.put(post(receiver.url, number, cooldown=0.3), "urn:e")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 0)
        assert seen[1] - seen[0] >= 0.3
        assert [got.said for got in receiver.got] == [0, 0, 1, 2, 3]

    run(main())


def test_an_endpoint_that_does_not_read_is_left_after_its_time(rows: Rows) -> None:
    async def main() -> None:
        async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _reader._transport.pause_reading()  # type: ignore[attr-defined]
            await leave.wait()
            writer.close()

        leave = asyncio.Event()
        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
        port = server.sockets[0].getsockname()[1]
        async with Receiver(lambda _: OK) as live:
            rows.put(post(f"http://127.0.0.1:{port}/n", "x" * 20_000_000, timeout=0.2), "urn:e")
            rows.put(post(live.url, 1), "urn:e")
            async with sending(Door(rows), Policy(poll=0.05, first=9.0)):
                await until(lambda: rows.left() == 1 and rows.one("SELECT error FROM outbox")[0] == "no answer within 0.2 s")
        leave.set()
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\nuntil the end#close",
    ],
    ids=["longer than is read", "chunked", "until the connection ends"],
)
def test_the_body_of_a_success_does_not_matter(rows: Rows, body: bytes) -> None:
    async def main() -> None:
        async with Receiver(lambda _: b"HTTP/1.1 201 Created\r\n" + body) as receiver:
            for number in range(20):
                rows.put(post(receiver.url, number), "urn:e")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 0)
        assert [(got.said, got.attempt) for got in receiver.got] == [(number, 1) for number in range(20)]

    run(main())


def test_a_kept_connection_that_the_other_side_closed_costs_no_failure(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as receiver, sending(Door(rows)) as dispatcher:
            dispatcher.wake([rows.put(post(receiver.url, 1), "urn:e")])
            await until(lambda: rows.left() == 0)
            receiver.answer = lambda got: b"" if got.attempt == 1 else OK
            dispatcher.wake([rows.put(post(receiver.url, 2), "urn:e")])
            await until(lambda: rows.left() == 0)
        assert [(got.said, got.attempt) for got in receiver.got] == [(1, 1), (2, 1), (2, 2)]
        assert rows.counts[0, "urn:sub:1"].failed == 0

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_an_address_that_the_guard_refuses_is_never_dialled(rows: Rows, host: str) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as receiver:
            rows.put(post(receiver.url.replace("127.0.0.1", host), 1), "urn:e")
            async with sending(Door(rows), guard=Nowhere()):
                await until(lambda: rows.left() == 0)
        assert receiver.connections == 0
        assert rows.one("SELECT attempt FROM outbox") == (3,)

    run(main())


# --- stop, replay, counts


def test_stopping_waits_for_answers_and_gives_the_rest_back_unmarked(rows: Rows) -> None:
    async def main() -> None:
        async def some_time(_: Got) -> bytes:
            await asyncio.sleep(0.2)
            return OK

        async with Receiver(some_time) as receiver:
            for number in range(50):
                rows.put(post(receiver.url, number), f"urn:e:{number % 25}")
            async with sending(Door(rows)):
                await until(lambda: len(receiver.got) == 4)
            assert (len(receiver.got), rows.left()) == (4, 46)
            assert rows.one("SELECT max(attempt), count(owner) FROM outbox") == (0, 0)

    run(main())


def test_what_is_on_its_way_at_the_end_of_a_stop_is_sent_again_marked(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: None) as receiver:
            rows.put(post(receiver.url, 1), "urn:e")
            dispatcher = Dispatcher(Door(rows), {"http": HttpSender(Anywhere())}, QUICK)
            await dispatcher.start()
            await until(lambda: receiver.got)
            await dispatcher.stop(0.1)
            assert rows.one("SELECT attempt, owner FROM outbox") == (1, None)
            receiver.answer = lambda _: OK
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 0)
        assert [got.attempt for got in receiver.got] == [1, 2]

    run(main())


def test_dead_letters_are_listed_and_replayed(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: reply(410, b"moved out")) as receiver:
            door = Door(rows)
            for number in range(7):
                rows.put(post(receiver.url, number), "urn:e", subscription=f"urn:sub:{number % 2}")
            async with sending(door) as dispatcher:
                await until(lambda: rows.left() == 0)
                letters = [letter async for letter in dead_letters(door, 0, "urn:sub:1", page=2)]
                assert [(msgspec.json.decode(decode(letter.message.request).body), letter.error) for letter in letters] == [
                    (number, "HTTP 410: moved out") for number in (1, 3, 5)
                ]
                receiver.answer = lambda _: OK
                receiver.got.clear()
                assert list((await dispatcher.replay(0, "urn:sub:1")).values()) == [3]
                await until(lambda: rows.one("SELECT count(*) FROM outbox") == (4,))
        assert [(got.said, got.attempt) for got in receiver.got] == [(1, 2), (3, 2), (5, 2)]

    run(main())


def test_a_notification_counts_once_however_often_it_is_tried(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda got: OK if got.attempt == 3 else reply(500)) as receiver:
            for number in range(4):
                rows.put(post(receiver.url, number), f"urn:e:{number}")
            async with sending(Door(rows), Policy(first=0.001, longest=0.01, poll=0.05)):
                await until(lambda: rows.left() == 0)
        count = rows.counts[0, "urn:sub:1"]
        assert len(receiver.got) == 12
        assert (count.sent, count.failed, count.ok) == (4, 4, True)
        assert count.success > count.failure > 0

    run(main())


def test_counts_tell_of_each_subscription_what_was_sent_and_when(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda got: reply(500) if got.said == "bad" else OK) as receiver:
            rows.put(post(receiver.url, "good"), "urn:e:1", subscription="urn:sub:1")
            rows.put(post(receiver.url, "bad"), "urn:e:2", subscription="urn:sub:2")
            async with sending(Door(rows), Policy(first=0.001, attempts=2, poll=0.05)):
                await until(lambda: rows.left() == 0)
        good, bad = rows.counts[0, "urn:sub:1"], rows.counts[0, "urn:sub:2"]
        assert (good.sent, good.failed, good.ok, good.success == good.last, good.failure) == (1, 0, True, True, 0)
        assert (bad.sent, bad.failed, bad.ok, bad.failure == bad.last, bad.success) == (1, 1, False, True, 0)

    run(main())


def test_bytes_that_are_no_request_are_given_up_at_once(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as receiver:
            rows.put(post(receiver.url, 1), "urn:e")
            rows.db.execute("UPDATE outbox SET request = x'00'")
            rows.put(post(receiver.url, 2), "urn:e")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 0)
        assert [got.said for got in receiver.got] == [2]
        assert rows.one("SELECT error FROM outbox")[0].startswith("the request cannot be read")

    run(main())


def test_a_custom_request_arrives_as_it_is(rows: Rows) -> None:
    async def main() -> None:
        async with Receiver(lambda _: OK) as receiver:
            request = Request(
                "PUT", f"{receiver.url}/a%2Fb/%E6%B0%B4?x=a%20b&y=c+d", (("X-Key", "7"), ("Content-Type", "text/plain; charset=utf-8")), "水位".encode()
            )
            rows.put(request, "urn:e")
            async with sending(Door(rows)):
                await until(lambda: rows.left() == 0)
        got = receiver.got[0]
        assert (got.method, got.path, got.body.decode()) == ("PUT", "/a%2Fb/%E6%B0%B4?x=a%20b&y=c+d", "水位")
        assert (got.headers["x-key"], got.headers["content-type"], got.headers["content-length"]) == ("7", "text/plain; charset=utf-8", "6")
        assert set(got.headers) == {"host", "accept", "user-agent", "x-key", "content-type", "content-length", "kiban-delivery-attempt"}

    run(main())


# --- requests


@pytest.mark.parametrize(
    ("accept", "body", "link"),
    [
        (None, {"id": "urn:n"}, True),
        ("application/json", {"id": "urn:n"}, True),
        ("application/geo+json", {"id": "urn:n"}, True),
        ("application/ld+json", {"id": "urn:n", "@context": "https://town.example/c.jsonld"}, False),
    ],
)
def test_the_context_goes_into_the_link_header_or_into_the_body(accept: str | None, body: object, link: bool) -> None:
    endpoint = {"uri": "http://town.example/n", "receiverInfo": [{"key": "Authorization", "value": "Bearer 7"}, {"key": "Link", "value": "<x>"}]}
    target = Target(endpoint | ({"accept": accept} if accept else {}), "suzu", "https://town.example/c.jsonld")
    request = target.request(b'{"id":"urn:n"}', "urn:n")
    headers = dict(request.headers)
    assert msgspec.json.decode(request.body) == body
    assert headers["Content-Type"] == accept or "application/json"
    assert (headers["NGSILD-Tenant"], headers["Authorization"], headers["Kiban-Notification-Id"]) == ("suzu", "Bearer 7", "urn:n")
    assert headers.get("Link") == ('<https://town.example/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"' if link else None)


@pytest.mark.parametrize(
    "endpoint",
    [
        {"uri": "ftp://town.example/n"},
        {"uri": "http:///n"},
        {"uri": "http://h:99999/n"},
        {"uri": "http://h/n", "accept": "text/html"},
        {"uri": "http://h/n", "timeout": 0},
        {"uri": "http://h/n", "cooldown": True},
        {"uri": "http://h/n", "receiverInfo": {"key": "a", "value": "b"}},
        {"uri": "http://h/n", "receiverInfo": [{"key": "X-A", "value": "1\r\nX-B: 2"}]},
        {"uri": "http://h/n", "receiverInfo": [{"key": "X A", "value": "1"}]},
        {"uri": "http://h/n", "receiverInfo": [{"key": "Content-length", "value": "1"}]},
        {"uri": "mqtt://h"},
        {"uri": "mqtt://h/a/#"},
        {"uri": "mqtt://h/a", "notifierInfo": [{"key": "MQTT-QoS", "value": 3}]},
        {"uri": "mqtt://h/a", "notifierInfo": [{"key": "MQTT-Version", "value": "mqtt4"}]},
    ],
)
def test_an_endpoint_that_cannot_be_sent_to_is_refused(endpoint: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        Target(endpoint)
    assert refused.value.status == 400


def test_an_mqtt_endpoint_names_broker_user_and_topic() -> None:
    broker = mqtt_broker("mqtt://a%40b:p%3Aw@river.example:1884/town/%E6%B0%B4")
    assert (broker.user, broker.password, broker.port, broker.topic) == ("a@b", "p:w", 1884, "town/水")
    assert lane_of("mqtt://ann:secret@h/a") == lane_of("mqtt://ann:secret@h/b") == "mqtt://ann@h:1883"
