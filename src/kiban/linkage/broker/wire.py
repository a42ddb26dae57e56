"""The wire of the load tool: keep-alive connections that work off requests, and a receiver of notifications.

In: requests as bytes. Out: for each its status, body and time. Written for speed: no pipelining, no headers kept, one callback per answer.
What is sent and whether an answer is right is decided in load.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httptools
import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker.population import SERIAL

Answer = TypeVar("Answer")


class Histogram:
    """Durations in buckets that are at most 1/256 wide of their value: bounded memory however long a run is.

    >>> times = Histogram()
    >>> for us in range(1, 1001): times.add(us)
    >>> times.at(0.5), times.at(0.99), times.longest
    (500, 990, 1000)
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.many = 0
        self.longest = 0

    def add(self, us: int) -> None:
        """One duration in microseconds."""
        shift = us.bit_length() - 9
        self.counts[us if shift <= 0 else (shift << 40) | (us >> shift)] += 1
        self.many += 1
        if us > self.longest:
            self.longest = us

    def at(self, share: float) -> int:
        """The smallest duration (µs) that so large a share of all does not exceed; 0 when there are none."""
        wanted, seen = share * self.many, 0
        for bucket in sorted(self.counts, key=_low):
            seen += self.counts[bucket]
            if seen >= wanted - 1e-9:
                return _low(bucket)
        return 0


def _low(bucket: int) -> int:
    return (bucket & (1 << 40) - 1) << (bucket >> 40)


class Job:
    """One request on its way."""

    __slots__ = ("began", "kind", "known", "mark", "request", "wants", "what", "written")

    def __init__(self, kind: str, request: bytes, what: Any = None, wants: bool = False, written: Any = None, known: Any = None) -> None:
        self.kind, self.request, self.what, self.wants, self.written, self.known = kind, request, what, wants, written, known
        self.began = 0.0
        self.mark = 0


class _Connection(asyncio.Protocol):
    """One keep-alive connection: sends a job, waits for its answer, takes the next."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.job: Job | None = None
        self.body: list[bytes] = []
        self.size = 0
        self.transport: asyncio.Transport
        self.parser: httptools.HttpResponseParser

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpResponseParser(self)
        self.send()

    def send(self) -> None:
        job = self.job = self.drive.take()
        if job is None:
            self.transport.close()
            return
        job.began = time.perf_counter()
        self.transport.write(job.request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Exception) and not isinstance(error.__context__, httptools.HttpParserError):
                self.drive.fail(error.__context__)
            self.transport.abort()

    def on_body(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.job is not None and self.job.wants:
            self.body.append(chunk)

    def on_message_complete(self) -> None:
        job, now = self.job, time.perf_counter()
        if job is None:
            return
        self.job = None
        size, body = self.size, b"".join(self.body) if self.body else b""
        self.size = 0
        self.body.clear()
        self.drive.done(job, self.parser.get_status_code(), body, size, now)
        if self.parser.should_keep_alive():
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        job, self.job = self.job, None
        if job is not None:
            self.drive.lost(job)
        self.drive.closed(self)


class Drive:
    """Connections that work off what `take` gives out until it gives None."""

    def __init__(
        self,
        url: str,
        limit: float,
        take: Callable[[], Job | None],
        done: Callable[[Job, int, bytes, int, float], None],
        lost: Callable[[Job], None],
        connections: int,
    ) -> None:
        self.url, self.limit, self.source, self.done, self.lost = url, limit, take, done, lost
        self.wanted = connections
        self.open: set[_Connection] = set()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dry = False
        self.again: set[asyncio.Task[None]] = set()

    def take(self) -> Job | None:
        """The next job; None: there is none any more, and there will be none."""
        if self.dry:
            return None
        job = self.source()
        self.dry = job is None
        return job

    def fail(self, error: Exception) -> None:
        """Something that the judge of answers raised ends the run."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def closed(self, connection: _Connection) -> None:
        """A connection is gone: open another, unless the work is done."""
        self.open.discard(connection)
        if self.dry:
            self.end()
        elif not self.ended.done():
            task = asyncio.get_running_loop().create_task(self.reconnect())
            self.again.add(task)
            task.add_done_callback(self.again.discard)

    def end(self) -> None:
        """The work is done when the last connection is gone."""
        if not self.open and not self.ended.done():
            self.ended.set_result(None)

    async def connect(self) -> None:
        """One more connection, which begins to work."""
        split = urlsplit(self.url)
        secure = split.scheme == "https"
        _, protocol = await asyncio.wait_for(
            asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), split.hostname or "", split.port or (443 if secure else 80), ssl=True if secure else None
            ),
            self.limit,
        )
        if protocol.transport.is_closing():
            self.end()
        else:
            self.open.add(protocol)

    async def reconnect(self) -> None:
        """Try again until the server is back, or was away for too long."""
        until = time.monotonic() + self.limit
        while not self.dry and not self.ended.done():
            try:
                await self.connect()
                return
            except OSError:  # TimeoutError is one
                if time.monotonic() > until:
                    self.fail(unreachable(self.url, "no connection any more"))
                    return
                await asyncio.sleep(0.2)
        self.end()

    async def run(self) -> None:
        """Work until there is nothing left; a request that takes longer than the limit loses its connection."""
        try:
            for _ in range(self.wanted):
                if self.dry:
                    break
                await self.connect()
        except OSError as error:
            raise unreachable(self.url, str(error) or "no answer") from error
        if self.dry:
            self.end()
        while not self.ended.done():
            await asyncio.wait([self.ended], timeout=0.5)
            late = time.perf_counter() - self.limit
            for connection in list(self.open):
                if connection.job is not None and connection.job.began < late:
                    connection.transport.abort()
        for connection in list(self.open):
            connection.transport.abort()
        self.ended.result()


def unreachable(url: str, why: str) -> KibanError:
    """The error of a broker that does not answer."""
    return KibanError(url, why, "a broker that answers", "start one with kiban broker, or correct the URL")


class Receiver:
    """Takes notifications in and counts, by the serial number of the write that caused them."""

    def __init__(self) -> None:
        self.many = 0
        self.requests = 0
        self.first = self.last = 0.0
        self.by_serial: Counter[int] = Counter()
        self.sent: dict[int, float] = {}  # serial → when its write left
        self.times = Histogram()
        self.server: asyncio.Server

    async def open(self, host: str) -> int:
        """Listen at a free port; the port."""
        self.server = await asyncio.get_running_loop().create_server(lambda: _Received(self), host, 0)
        return int(self.server.sockets[0].getsockname()[1])

    def take(self, body: bytes) -> None:
        """Count the entities of one notification."""
        now = time.perf_counter()
        self.requests += 1
        for entity in msgspec.json.decode(body).get("data", ()):
            value = entity.get(SERIAL)
            serial = value.get("value") if isinstance(value, dict) else value
            if isinstance(serial, int) and (began := self.sent.get(serial)) is not None:
                self.by_serial[serial] += 1
                self.times.add(int((now - began) * 1e6))
                self.many += 1
                self.first = self.first or now
                self.last = now


class _Received(asyncio.Protocol):
    """A connection on which notifications come in."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_body(self, chunk: bytes) -> None:
        self.body.append(chunk)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        self.body.clear()
        self.receiver.take(body)
        self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def each(url: str, limit: float, requests: Iterable[Job], connections: int) -> list[tuple[Job, int, bytes]]:
    """Send requests that were made before; the answers in the order in which they came. A lost connection has status 0."""
    source = iter(requests)
    answers: list[tuple[Job, int, bytes]] = []
    await Drive(
        url,
        limit,
        lambda: next(source, None),
        lambda job, status, body, _size, _now: answers.append((job, status, body)),
        lambda job: answers.append((job, 0, b"")),
        connections,
    ).run()
    return answers


def in_loop(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run on the fast event loop when it is there."""
    with suppress(ImportError):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    return asyncio.run(work)
