"""Delivery of notifications: from the outbox to the endpoints of subscriptions, at least once, in order per entity.

In: an Outbox, whose rows are on disk before the change that caused them is acknowledged. Out: requests over HTTP and MQTT, and what became of them.

Each endpoint (host, port and path; an MQTT broker and its user) has a lane of its own. A lane holds a window of rows in memory, the rest stays in the
store. Messages of one subscription with the same order word (the entity) leave one after another: while one of them waits for its next attempt, only
those behind it wait. What an answer means:

| answer | what happens |
|---|---|
| 2xx, PUBACK (QoS 1), PUBCOMP (QoS 2) | delivered |
| no connection, no answer in time, 408, 429, 502, 503, 504 | endpoint in trouble: its lane rests (doubling, with jitter), then one at a time is tried |
| 500 and other 5xx | the message is in trouble: it and those behind it wait (doubling, with jitter), dead after `attempts` |
| 3xx, 4xx, an address that the guard refuses, a refused log-in | what is wrong does not go away soon: dead after `refusals` attempts; 410 at once |

What failed because the endpoint was in trouble dies of age, or after `attempts` if the endpoint took others since. Redirects are never followed.
Retry-After is kept (up to `longest_after`). endpoint.cooldown is the least rest of the lane after a failure; messages of that time are sent afterwards,
not dropped. A message that was handed out before bears a higher Kiban-Delivery-Attempt; its Kiban-Notification-Id stays the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker.outgoing import Request, decode
from kiban.linkage.broker.store.contract import Message

SECOND = 1_000_000
TROUBLE = frozenset((0, 408, 429, 502, 503, 504))
PROBE = 16  # rows read for a lane in trouble
LEAST_WINDOW = 32  # a hundred slow endpoints must leave room for the others
log = logging.getLogger("kiban.broker.delivery")

Who = tuple[int, str]  # tenant's key, subscription id
Key = tuple[int, str, str]  # the same and the order word


class OutboxAway(KibanError):
    """The database of the outbox cannot be reached now; nothing was settled, ask again."""


class OutboxUncertain(OutboxAway):
    """The connection to the database broke while it committed: it may have done all or nothing."""


class Retry(NamedTuple):
    """A message that is tried again: from when (µs since 1970), and what went wrong."""

    seq: int
    at: int
    error: str


class Dead(NamedTuple):
    """A message that is given up, and why."""

    seq: int
    error: str


@dataclass(slots=True)
class Count:
    """What was sent for one subscription since the last time it was told.

    sent, failed            notifications (5.2.14), not attempts: one that is tried again counts once, and once as failed
    last, success, failure  times in µs since 1970, 0: not at all
    ok                      the last answer was a success
    """

    sent: int = 0
    failed: int = 0
    last: int = 0
    success: int = 0
    failure: int = 0
    ok: bool = True

    def add(self, later: Count) -> None:
        """Take in what happened after this count.

        >>> count = Count(sent=1, last=5, success=5)
        >>> count.add(Count(sent=2, failed=1, last=9, failure=9, ok=False)); count
        Count(sent=3, failed=1, last=9, success=5, failure=9, ok=False)
        """
        self.sent, self.failed = self.sent + later.sent, self.failed + later.failed
        self.last, self.success, self.failure, self.ok = (
            max(self.last, later.last),
            max(self.success, later.success),
            max(self.failure, later.failure),
            later.ok,
        )


@dataclass(slots=True)
class Settled:
    """What became of messages. released: handed out but not sent, so their attempt is taken back."""

    delivered: list[int] = field(default_factory=list)
    retried: list[Retry] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    counts: dict[Who, Count] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.delivered or self.retried or self.dead or self.released or self.counts)

    def add(self, later: Settled) -> None:
        """Take in what happened afterwards."""
        self.delivered += later.delivered
        self.retried += later.retried
        self.dead += later.dead
        self.released += later.released
        for who, count in later.counts.items():
            if (known := self.counts.get(who)) is None:
                self.counts[who] = count
            else:
                known.add(count)


class DeadLetter(NamedTuple):
    """A message that was given up: the message, when (µs since 1970) and why."""

    message: Message
    at: int
    error: str


class Outbox(Protocol):
    """The waiting rows. A row is free if it is not dead and its time `due` has come; handing it out moves `due` to the end of the lease.

    Each method is one transaction and raises OutboxAway, having changed nothing, while the database cannot be reached; OutboxUncertain where the
    connection broke in its commit, and what became of it is not known. What was settled is settled again then, so it may be counted twice.
    """

    async def lanes(self, now: int) -> Sequence[str]:
        """The endpoints that have a free row."""

    async def exchange(self, settled: Settled, wanted: Mapping[str, int], now: int, lease: int, kept: Collection[int] | None = None) -> Sequence[Message]:
        """Settle, then hand out: at most wanted[endpoint] free rows of each endpoint, oldest first, for `lease` µs.

        settle    delivered: remove · retried: due = at, nobody's, error · dead: dead = now, error · released: due = now, nobody's, attempt − 1 ·
                  counts: to the subscriptions. Rows that are gone already, or are another worker's by now, are passed over without an error.
        kept      the numbers of all rows that this worker knows to be in its hands, after an exchange of which it did not learn what became:
                  those that were handed out then, and never came, are free again at once
        hand out  attempt + 1 and due = now + lease, this worker's. A row is passed over while an earlier row of its endpoint, tenant, subscription
                  and order word waits for its time or is another worker's; one that this worker holds does not hinder.
        """

    async def dead_letters(self, tenant: int, subscription: str | None, after: int, limit: int) -> Sequence[DeadLetter]:
        """Dead rows with a number above `after`, in the order of their numbers."""

    async def replay(self, tenant: int, subscription: str | None, seqs: Sequence[int] | None, now: int) -> Mapping[str, int]:
        """Bring dead rows (those numbers, or all) back: due = now, first = now; attempt stays, so that they are marked. How many of each endpoint."""


class Answer(NamedTuple):
    """What an endpoint answered.

    status   of HTTP, 200 for an acknowledged MQTT message, 0: no answer
    error    empty after a success
    after    s, from Retry-After; 0: none
    refused  the address or the log-in is refused: trying again soon is no use
    """

    status: int
    error: str = ""
    after: float = 0.0
    refused: bool = False


class Sender(Protocol):
    """One way to send: HTTP or MQTT."""

    async def send(self, request: Request, attempt: int, seconds: float) -> Answer:
        """Send and wait at most that long for the answer; no exception for what the other side does."""

    async def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard it is tried; times in s.

    streams        messages on their way to one endpoint at a time, of different entities
    parallel       the same over all endpoints
    window         rows of one endpoint in memory
    held, bytes    rows and bytes of requests in memory over all endpoints
    timeout        an answer may take this long, unless the endpoint says otherwise, up to longest_timeout
    lease          rows are handed out for this long; more than longest_timeout
    first, longest the rest after the first failure and the longest one; doubling in between, times a random 0.5–1
    attempts, refusals, age  see the head of the module; age counts from the change that caused the message
    poll           rows that nobody told of (of a worker that died) are looked for this often
    gather         outcomes are gathered this long before they are written
    """

    streams: int = 4
    parallel: int = 512
    window: int = 512
    held: int = 20_000
    bytes: int = 64 * 1024 * 1024
    timeout: float = 5.0
    longest_timeout: float = 30.0
    lease: float = 60.0
    first: float = 1.0
    longest: float = 300.0
    longest_after: float = 3600.0
    attempts: int = 12
    refusals: int = 3
    age: float = 86_400.0
    poll: float = 2.0
    gather: float = 0.004
    seed: int = 0


class _Held(NamedTuple):
    message: Message
    until: float  # the clock of the loop, by which its answer must be in


class _Lane:
    """The messages of one endpoint that are in memory."""

    __slots__ = ("asked", "busy", "failures", "held", "keys", "more", "name", "ready", "resting", "since", "success", "timer", "trouble", "waiting", "window")

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[_Held] = deque()  # the first of its key, and the key has nothing on its way
        self.keys: dict[Key, deque[_Held] | None] = {}  # keys in ready or on their way, and what stands behind
        self.held = 0
        self.busy = 0  # workers
        self.more = True  # the store may have rows that are not here
        self.waiting: dict[int, int] = {}  # number → time of rows that wait in the store for their next attempt
        self.window = LEAST_WINDOW  # rows that it may hold; grows while it empties them fast
        self.asked = 0.0  # clock of the loop: rows were last read
        self.failures = 0  # of the endpoint, in a row
        self.trouble = 0  # µs since 1970 of the last of them
        self.resting = 0.0  # clock of the loop until which nothing is sent
        self.success = 0  # µs since 1970
        self.timer: asyncio.TimerHandle | None = None
        self.since = 0.0  # clock of the loop: last used


class Dispatcher:
    """Sends what is in the outbox.

    Parameters
    ----------
    outbox   the store's side
    senders  scheme of the URL → sender, such as {"http": HttpSender(guard), …}
    policy   how hard it is tried
    now      µs since 1970

    `start`, then `wake` after each commit that put messages into the outbox, at the end `stop`.
    """

    def __init__(
        self, outbox: Outbox, senders: Mapping[str, Sender], policy: Policy | None = None, now: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self.outbox, self.senders, self.policy, self.now = outbox, senders, policy or Policy(), now
        if self.policy.lease <= self.policy.longest_timeout:
            raise ValueError(f"lease of {self.policy.lease} s: expected more than the longest time limit, {self.policy.longest_timeout} s")
        self.delivered = self.failed = self.dead = 0
        self._lanes: dict[str, _Lane] = {}
        self._hungry: dict[_Lane, None] = {}
        self._starved: dict[_Lane, None] = {}  # lanes that found all of `parallel` in use
        self._touched: set[tuple[str, Key]] = set()  # keys given back to the store since outcomes were last written
        self._flying = 0
        self._settled = Settled()
        self._writing: Settled | None = None  # what is on its way to the store
        self._wrote = asyncio.Event()  # set when it has got there; a new one each time
        self._bell = asyncio.Event()
        self._random = random.Random(self.policy.seed)  # noqa: S311 - spreads retries
        self._workers: set[asyncio.Task[None]] = set()
        self._turning: asyncio.Task[None] | None = None
        self._open = False
        self._held = self._bytes = 0
        self._out: dict[int, tuple[Who, float]] = {}  # rows on their way: of which subscription, and since when (clock of the loop)
        self._mine: set[int] = set()  # numbers of the rows in memory
        self._unsure = False  # the last exchange may have handed out rows that did not come

    # --- from outside
    async def start(self) -> None:
        """Begin; rows that were left in the outbox are found by themselves."""
        self._open = True
        self._turning = asyncio.create_task(self._turns(), name="kiban delivery")

    def wake(self, endpoints: Iterable[str]) -> None:
        """Tell of new rows on disk. From the loop's thread; costs a microsecond for each endpoint."""
        for name in endpoints:
            lane = self._lanes.get(name) or self._lane(name)
            lane.more = True
            if lane.resting == 0.0:
                self._hungry[lane] = None
        self._bell.set()

    async def stop(self, seconds: float) -> None:
        """Send nothing new, wait for answers at most that long, give the rest back to the outbox and close the connections."""
        self._open = False
        self._bell.set()
        end = time.monotonic() + seconds
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
            self._give_back(lane)
        if self._workers:
            await asyncio.wait(self._workers, timeout=seconds)
        late = list(self._workers)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for lane in self._lanes.values():  # what stood behind the messages that were on their way
            self._give_back(lane)
        if self._turning is not None:  # not in the middle of a transaction, if it can be had
            self._bell.set()
            await asyncio.wait([self._turning], timeout=max(end - time.monotonic(), 1.0))
            self._turning.cancel()
            await asyncio.gather(self._turning, return_exceptions=True)
        try:
            if self._settled:
                async with asyncio.timeout(max(seconds, 1.0)):
                    await self.outbox.exchange(self._settled, {}, self.now(), 0)
        except (OutboxAway, TimeoutError) as error:
            log.warning("outcomes of the last messages are not written, they are sent again later: %s", error)
        for sender in set(self.senders.values()):
            await sender.close()

    def figures(self) -> dict[str, int]:
        """For metrics: delivered, failed and dead since the start; rows in memory; lanes, and how many of them rest.

        >>> sorted(Dispatcher(None, {}).figures())
        ['dead', 'delivered', 'failed', 'held', 'lanes', 'resting']
        """
        resting = sum(1 for lane in self._lanes.values() if lane.resting)
        return {
            "delivered": self.delivered, "failed": self.failed, "dead": self.dead, "held": self._held, "lanes": len(self._lanes), "resting": resting
        }  # fmt: skip

    async def replay(self, tenant: int, subscription: str | None = None, seqs: Sequence[int] | None = None) -> Mapping[str, int]:
        """Send dead letters again (all of a tenant, of a subscription, or those numbers); how many to each endpoint."""
        found = await self.outbox.replay(tenant, subscription, seqs, self.now())
        self.wake(found)
        return found

    async def written(self, tenant: int, subscription: str, seconds: float = 0.2) -> None:
        """Wait until the store knows what this worker has sent for a subscription by now, at most that long; not for an endpoint that takes longer."""
        who, since = (tenant, subscription), asyncio.get_running_loop().time() - seconds
        under_way = {seq for seq, (whose, at) in self._out.items() if whose == who and at > since}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not under_way.isdisjoint(self._out):
                    await asyncio.sleep(0.002)
                for _ in range(2):  # what is on its way to the store, and what goes there next
                    if who not in self._settled.counts and (self._writing is None or who not in self._writing.counts):
                        return
                    self._bell.set()
                    await self._wrote.wait()

    # --- lanes
    def _lane(self, name: str) -> _Lane:
        lane = self._lanes[name] = _Lane(name)
        return lane

    def _take(self, message: Message, until: float) -> None:
        """Put a row that was handed out into its lane."""
        lane = self._lanes.get(message.endpoint) or self._lane(message.endpoint)
        lane.waiting.pop(message.seq, None)
        key = (message.tenant, message.subscription, message.order)
        if (lane.name, key) in self._touched:  # something older of this key went back to the store while this one was read
            self._settled.released.append(message.seq)
            return
        if lane.failures and self.now() - message.first > self.policy.age * SECOND:
            self._bury(lane, message, f"not delivered within {self.policy.age:g} s, and the endpoint still fails")
            return
        lane.held += 1
        self._held += 1
        self._mine.add(message.seq)
        self._bytes += len(message.request)
        held = _Held(message, until)
        if key in lane.keys:
            behind = lane.keys[key]
            if behind is None:
                lane.keys[key] = deque((held,))
            else:
                behind.append(held)
        else:
            lane.keys[key] = None
            lane.ready.append(held)

    def _drop(self, lane: _Lane, message: Message) -> None:
        lane.held -= 1
        self._held -= 1
        self._mine.discard(message.seq)
        self._bytes -= len(message.request)

    def _give_back_behind(self, lane: _Lane, key: Key) -> None:
        """Give the rows behind the first of a key back to the store, and forget the key."""
        for held in lane.keys.pop(key) or ():
            self._drop(lane, held.message)
            self._settled.released.append(held.message.seq)
        self._touched.add((lane.name, key))
        lane.more = True

    def _give_back(self, lane: _Lane) -> None:
        """Give all rows that are not on their way back to the store."""
        for held in lane.ready:
            message = held.message
            self._drop(lane, message)
            self._settled.released.append(message.seq)
            self._give_back_behind(lane, (message.tenant, message.subscription, message.order))
        lane.ready.clear()

    def _pump(self, lane: _Lane) -> None:
        """Set as many workers on a lane as it may have."""
        if lane.resting or not self._open:
            return
        streams = 1 if lane.failures else self.policy.streams
        while lane.ready and lane.busy < streams:
            if self._flying >= self.policy.parallel:
                self._starved[lane] = None
                return
            lane.busy += 1
            self._flying += 1
            worker = asyncio.create_task(self._work(lane, lane.ready.popleft()))
            self._workers.add(worker)
            worker.add_done_callback(self._done)

    def _done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            log.error("a worker of the delivery ended with an error; its message is tried again", exc_info=error)

    async def _work(self, lane: _Lane, held: _Held) -> None:
        """Send one message after another, as long as there are some."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._deliver(lane, held)
                if not lane.ready or lane.resting or not self._open or self._starved or (lane.failures and lane.busy > 1):
                    return
                held = lane.ready.popleft()
        finally:
            lane.busy -= 1
            self._flying -= 1
            lane.since = loop.time()
            if self._starved:
                self._feed()
            self._pump(lane)

    def _feed(self) -> None:
        """Let the lanes that found no free place have one, in turn."""
        waiting, self._starved = self._starved, {}
        for lane in waiting:
            if self._flying < self.policy.parallel:
                self._pump(lane)
            else:
                self._starved[lane] = None

    async def _deliver(self, lane: _Lane, held: _Held) -> None:
        message, policy = held.message, self.policy
        key = (message.tenant, message.subscription, message.order)
        try:
            request = decode(message.request)
        except msgspec.DecodeError as error:
            self._drop(lane, message)
            self._bury(lane, message, f"the request cannot be read: {error}")
            self._next(lane, key)
            return
        seconds = min(request.timeout or policy.timeout, policy.longest_timeout)
        if asyncio.get_running_loop().time() + seconds > held.until:  # another worker may have it before the answer is in
            self._drop(lane, message)
            self._settled.released.append(message.seq)
            self._give_back_behind(lane, key)
            self._ask(lane)
            return
        begun = self.now()
        self._out[message.seq] = (key[:2], asyncio.get_running_loop().time())
        try:
            sender = self.senders.get(request.url.partition(":")[0].lower())
            if sender is None:
                answer = Answer(0, "no sender for this scheme", refused=True)
            else:
                answer = await sender.send(request, message.attempt, seconds)
        except BaseException:  # stopping, mostly; whether it arrived is not known, so its attempt counts
            self._drop(lane, message)
            # Without words unless it is counted already: what has an error is in the counters of its subscription.
            words = "ended while waiting for an answer" if message.counted else ""
            self._settled.retried.append(Retry(message.seq, self.now() + (SECOND if self._open else 0), words))
            self._give_back_behind(lane, key)
            self._ask(lane)
            raise
        finally:
            del self._out[message.seq]

        now = self.now()
        self._drop(lane, message)
        count = self._settled.counts.get(key[:2])
        if count is None:
            count = self._settled.counts[key[:2]] = Count()
        count.sent += not message.counted
        count.last = begun
        if 200 <= answer.status < 300:
            count.success, count.ok = begun, True
            self.delivered += 1
            self._settled.delivered.append(message.seq)
            self._next(lane, key)
            lane.success = now
            if lane.failures:
                log.warning("%s takes notifications again", lane.name)
                lane.failures = 0
                self._pump(lane)
        else:
            count.failed += not message.counted
            count.failure, count.ok = begun, False
            self.failed += 1
            self._failed(lane, message, request, answer, begun, now)
        self._ask(lane)

    def _ask(self, lane: _Lane) -> None:
        """Let outcomes be written, and rows be read if the lane has room."""
        if lane.more and not lane.resting and lane.held * 2 <= lane.window:
            self._hungry[lane] = None
        self._bell.set()

    def _bury(self, lane: _Lane, message: Message, error: str) -> None:
        self._settled.dead.append(Dead(message.seq, error))
        self.dead += 1
        log.warning("dead letter %d of subscription %s to %s after %d attempts: %s", message.seq, message.subscription, lane.name, message.attempt, error)

    def _next(self, lane: _Lane, key: Key) -> None:
        """The message on its way is done: the one behind it may go."""
        behind = lane.keys[key]
        if behind:
            lane.ready.append(behind.popleft())
        else:
            del lane.keys[key]

    def _failed(self, lane: _Lane, message: Message, request: Request, answer: Answer, begun: int, now: int) -> None:
        policy, attempt = self.policy, message.attempt
        key = (message.tenant, message.subscription, message.order)
        refused = answer.refused or (300 <= answer.status < 500 and answer.status not in TROUBLE)
        trouble = not refused and answer.status in TROUBLE
        tired = attempt >= policy.attempts and (not trouble or lane.success > message.first)
        dead = tired or (refused and (attempt >= policy.refusals or answer.status == 410)) or now - message.first > policy.age * SECOND
        after = min(answer.after, policy.longest_after)
        if dead:
            self._bury(lane, message, answer.error)
            self._next(lane, key)
        else:
            at = now + int(max(self._rest(attempt), after, request.cooldown) * SECOND)
            self._settled.retried.append(Retry(message.seq, at, answer.error))
            lane.waiting[message.seq] = at
            self._give_back_behind(lane, key)
        pause = request.cooldown
        if trouble:
            if begun > lane.trouble:  # what was on its way together failed together: one failure of the endpoint
                if not lane.failures and not dead:
                    log.warning("%s takes no notifications, they wait and are sent again (subscription %s): %s", lane.name, message.subscription, answer.error)
                lane.failures += 1
                lane.trouble = now
            pause = max(pause, after, self._rest(lane.failures))
        if pause:
            self._rest_lane(lane, pause)
        elif not dead:
            self._alarm(lane)

    def _rest(self, failures: int) -> float:
        """How long to wait after so many failures in a row, s."""
        doubled = self.policy.first * 2.0 ** min(failures - 1, 30)
        return min(doubled, self.policy.longest) * self._random.uniform(0.5, 1.0)

    def _rest_lane(self, lane: _Lane, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        lane.resting = max(lane.resting, until)
        self._hungry.pop(lane, None)
        self._give_back(lane)
        self._alarm(lane)

    def _alarm(self, lane: _Lane) -> None:
        """Wake the lane when its rest is over, or when the first of its waiting rows is due."""
        loop = asyncio.get_running_loop()
        if lane.resting:
            at = lane.resting
        elif lane.waiting:
            at = loop.time() + max((min(lane.waiting.values()) - self.now()) / SECOND, 0.02)
        else:
            return
        if lane.timer is not None:
            lane.timer.cancel()
        lane.timer = loop.call_at(at, self._rise, lane)

    def _rise(self, lane: _Lane) -> None:
        lane.timer = None
        lane.resting = 0.0
        lane.more = True
        self._hungry[lane] = None
        self._bell.set()
        self._pump(lane)

    # --- the store
    async def _turns(self) -> None:
        """Write outcomes and read rows, forever."""
        loop = asyncio.get_running_loop()
        looked, away = 0.0, 0
        while self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(looked + self.policy.poll - loop.time(), 0.0)):
                    await self._bell.wait()
            self._bell.clear()
            try:
                if loop.time() >= looked + self.policy.poll:
                    self.wake(await self.outbox.lanes(self.now()))
                    self._bell.clear()
                    looked = loop.time()
                    self._forget(looked)
                await self._turn()
                away = 0
            except OutboxAway as error:
                away += 1
                log.warning("the outbox cannot be reached: %s", error)
                self._bell.set()
                await asyncio.sleep(min(0.1 * 2.0 ** min(away, 10), 5.0))
            await asyncio.sleep(self.policy.gather)

    async def _turn(self) -> None:
        policy, clock = self.policy, asyncio.get_running_loop().time()
        wanted: dict[str, int] = {}
        room = policy.held - self._held if self._open and self._bytes < policy.bytes else 0
        for lane in list(self._hungry):
            if room <= 0:
                break
            part = min((PROBE if lane.failures else lane.window) - lane.held, room)
            if part > 0:
                wanted[lane.name] = part
                room -= part
                lane.more = False
                lane.window = min(lane.window * 2, policy.window) if clock - lane.asked < 0.25 else max(lane.window // 2, LEAST_WINDOW)
                lane.asked = clock
            del self._hungry[lane]
        if not self._settled and not wanted:
            return
        settled, self._settled = self._settled, Settled()
        self._writing = settled
        self._touched = set()
        until = clock + policy.lease
        try:
            messages = await self.outbox.exchange(settled, wanted, self.now(), int(policy.lease * SECOND), self._mine if self._unsure else None)
        except OutboxAway as error:
            self._unsure |= isinstance(error, OutboxUncertain)
            settled.add(self._settled)
            self._settled, self._writing = settled, None
            for name in wanted:
                self._lanes[name].more = True
                self._hungry[self._lanes[name]] = None
            raise

        self._writing, self._unsure = None, False
        self._wrote.set()
        self._wrote = asyncio.Event()
        got = dict.fromkeys(wanted, 0)
        for message in messages:
            got[message.endpoint] = got.get(message.endpoint, 0) + 1
            self._take(message, until)
        now = self.now()
        for name, number in got.items():
            lane = self._lanes[name]
            if number >= wanted.get(name, 0):
                lane.more = True
            elif lane.waiting:
                for seq in [seq for seq, at in lane.waiting.items() if at <= now - SECOND]:
                    del lane.waiting[seq]  # due, yet not handed out: another worker's, or gone
            if lane.resting or not self._open:
                self._give_back(lane)
                continue
            if lane.more:
                self._ask(lane)
            self._pump(lane)
            self._alarm(lane)
        if self._settled:
            self._bell.set()

    def _forget(self, clock: float) -> None:
        """Let go of lanes that nothing happens in."""
        for lane in list(self._lanes.values()):
            if not (lane.held or lane.more or lane.busy or lane.resting or lane.waiting or lane.failures or lane in self._hungry) and clock - lane.since > 60.0:
                del self._lanes[lane.name]


async def dead_letters(outbox: Outbox, tenant: int, subscription: str | None = None, page: int = 500) -> AsyncIterator[DeadLetter]:
    """All dead letters of a tenant or of one subscription, oldest first; read a page at a time."""
    after = 0
    while letters := await outbox.dead_letters(tenant, subscription, after, page):
        for letter in letters:
            yield letter
        after = letters[-1].message.seq
