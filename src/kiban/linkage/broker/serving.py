"""The broker under its HTTP server: one process, or one worker of several."""

from __future__ import annotations

import asyncio
import functools
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from kiban.linkage.access import is_loopback
from kiban.linkage.broker.broker import Broker, Options
from kiban.linkage.broker.routes import routes
from kiban.linkage.broker.server import Answered, App, Call

HEAD_LIMIT = 64 * 1024  # bytes of the first line and the headers of a request
HANDY = 64 * 1024  # bytes of a body that may be waited for before the request is begun with
HEAD_SECONDS = 20.0  # in which they must have come, once one byte has


class Nobody:
    """Who waits for more of a request that is here in one piece."""

    def set(self) -> None:
        """Nothing."""


class Piece:
    """A request that is handed over in one piece, as far as the protocol of the HTTP server asks about it."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self) -> None:
        self.disconnected, self.response_complete, self.keep_alive = False, False, True
        self.body, self.more_body, self.message_event = b"", False, NOBODY


NOBODY = Nobody()
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits on what a client may send before the body, and how slowly: the parser itself gathers and waits without end.

    A request that comes in one piece, as nearly all do, is handed to the app without the events and the messages of ASGI, and a GET that it answers at
    once without a task of its own: they would cost more than the answer. All others, and what waits behind another on its connection, go by ASGI.
    """

    head = 0
    patience: asyncio.TimerHandle | None = None
    done = False  # the request that is being read has its answer
    held: bytearray | None = None  # the body so far of a request that may be handed over in one piece
    quiet = 0.0  # of the loop's clock, since when nothing came

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection on which nothing comes is as good as one that is kept alive."""
        super().connection_made(transport)
        self.quiet = self.loop.time()
        self.idle = self.loop.call_later(self.timeout_keep_alive, self.look_at_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing has to be waited for any more."""
        self.idle.cancel()
        self.enough()
        super().connection_lost(exc)

    def look_at_idle(self) -> None:
        """End a connection on which there was nothing for so long. One timer goes on for all requests, as setting it for each costs a part of an answer."""
        left = self.quiet + self.timeout_keep_alive - self.loop.time()
        if left <= 0 and self.patience is None and (self.cycle is None or self.cycle.response_complete):
            self.timeout_keep_alive_handler()
        else:
            self.idle = self.loop.call_later(max(left, 1.0), self.look_at_idle)

    def on_response_complete(self) -> None:
        """The next request that came already, if there is one."""
        self.server_state.total_requests += 1
        self.quiet = self.loop.time()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    def data_received(self, data: bytes) -> None:
        """Bytes of the connection; it ends where they are too many for headers."""
        self.head += len(data)
        super().data_received(data)
        if self.held is not None and not self.transport.is_closing():
            self.let_go(self.held)
        if self.head and self.patience is None:
            self.patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        if self.head > HEAD_LIMIT and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins: what ASGI wants to know beside it is made where it is asked."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """What comes from here on is body."""
        self.enough()
        parser, cycle = self.parser, self.cycle
        self.done = False
        self.known = headers = dict(self.headers)
        # Without a header that says otherwise only HTTP/1.1 keeps a connection, and nothing is upgraded.
        if (
            not (cycle is None or cycle.response_complete)
            or not parser.should_keep_alive()
            or ((b"connection" in headers or b"proxy-connection" in headers) and (parser.get_http_version() != "1.1" or parser.should_upgrade()))
            or b"transfer-encoding" in headers
            or self.flow.write_paused
            or self.transport.is_closing()
            or self.url[:1] != b"/"
            or b"#" in self.url
        ):
            self.by_asgi()
            return
        length = headers.get(b"content-length", b"0")
        if length == b"0":
            if parser.get_method() == b"GET":
                path, _, query = self.url.partition(b"?")
                answered = self.app.at_once(path, query, headers)
                if answered is not None:
                    self.put(answered)
                    self.done = True
                    self.server_state.total_requests += 1
                    self.quiet = self.loop.time()
                    return
        elif not length.isdigit() or int(length) > HANDY:
            self.by_asgi()
            return
        self.held = bytearray()

    def by_asgi(self) -> None:
        """The request that has begun goes by ASGI."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.enough()
        if self.held is None:
            super().on_body(body)
        else:
            self.held += body

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self.held is not None:
            path, _, query = self.url.partition(b"?")
            call = self.app.call(self.parser.get_method().decode("ascii"), path, query, self.known)
            call.body, self.held = bytes(self.held), None
            self.cycle = cycle = Piece()  # type: ignore[assignment]
            task = self.loop.create_task(self.answer(call, cycle))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        elif not self.done:
            super().on_message_complete()

    def let_go(self, held: bytearray) -> None:
        """The rest of a body is still on its way: it goes by ASGI, which waits for it."""
        self.held = None
        self.by_asgi()
        if held:
            super().on_body(bytes(held))

    async def answer(self, call: Call, cycle: Piece) -> None:
        """Answer a request of which all is here."""
        try:
            answered = await self.app.whole(call, None)
            if self.flow.write_paused and not cycle.disconnected:
                await self.flow.drain()
            if cycle.disconnected:
                return
            self.put(answered, last=not cycle.keep_alive)
            cycle.response_complete = True
        except Exception as error:  # the last net: what the app itself did not catch
            self.logger.error("Exception in the answer to a request\n", exc_info=error)
            self.transport.write(FAILED)
        finally:  # a task that was cancelled, as the time to stop was over, ends here as well
            if not cycle.response_complete:
                cycle.response_complete, cycle.keep_alive = True, False
            if not cycle.keep_alive:
                self.transport.close()
        self.on_response_complete()

    def put(self, answered: Answered, *, last: bool = False) -> None:
        """Send an answer."""
        status, sent, body = answered
        lines = [b"%b: %b\r\n" % header for header in sent]
        head = b"".join([STATUS_LINE[status], *lines, b"connection: close\r\n\r\n" if last else b"\r\n"])
        if head.count(b"\r") != len(sent) + last + 2 or head.count(b"\n") != len(sent) + last + 2:
            raise RuntimeError("a header of an answer has a line break in it")
        self.transport.write(head + body)

    def enough(self) -> None:
        """What was waited for has come."""
        self.head = 0
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None


def make_app(options: Options) -> App:
    """The ASGI callable of a broker with these options."""
    broker = Broker(options)
    app = App(broker, routes())
    app.body_limit = options.body_limit
    app.cors = options.cors.encode() or None
    if options.policy is None:
        app.hosts = functools.partial(is_own_name, options)
    broker.attach(app)
    return app


def is_own_name(options: Options, host: str) -> bool:
    """Whether a Host header names a broker that anybody on this machine may use: an address or name of this machine, or that of --public-url.

    >>> [is_own_name(Options(public_url="https://data.town.example/x"), host) for host in ("127.0.0.1:1026", "[::1]:80", "data.town.example", "evil.example")]
    [True, True, True, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name.endswith(".localhost") or name in (options.host.lower(), urlsplit(options.public_url).hostname)


def config(options: Options) -> uvicorn.Config:
    """How the HTTP server runs; the app is made in the process that serves."""
    return uvicorn.Config(
        functools.partial(make_app, options),
        factory=True,
        workers=options.workers,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        log_config=None,  # operate.carry_over takes what there is to tell
        access_log=False,
        proxy_headers=False,  # nobody asks who the client is: a policy goes by tokens
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_worker_healthcheck=20,  # a worker answers only when all is loaded, which a busy machine takes long for
        timeout_graceful_shutdown=int(options.stop_seconds),
    )
