"""The HTTP side: one ASGI callable, its routes, and what every request goes through.

A handler gets a `Call` and gives a `Reply`; errors are raised as `Problem`. Everything here runs for each request, so it is written for microseconds:
headers are read once, paths are walked in a tree, what a query string means is remembered.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.errors import Problem

if TYPE_CHECKING:
    from kiban.linkage.broker.contexts import TermMap

JSON, LD, GEO = b"application/json", b"application/ld+json", b"application/geo+json"
LINK_REL = b'>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
EXPOSED = b"Link, Location, NGSILD-EntityMap, NGSILD-Results-Count, NGSILD-Snapshot, NGSILD-Tenant, NGSILD-Warning, Fiware-Total-Count"
BODY_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 64
QUERY_LIMIT = 32 * 1024
REMEMBERED = 8192
LONG = 1024  # bytes of what was asked from which on it is not remembered: a memory of many long ones would be large

Headers = list[tuple[bytes, bytes]]
Answered = tuple[int, Headers, bytes]  # status, headers and body on their way to the client


class Spelled(bytes):
    """The name of a header that is sent as it is written here; the HTTP server makes the others small. Some clients look for `Location` to the letter.

    >>> Spelled(b"Location").lower()
    b'Location'
    """

    def lower(self) -> bytes:
        """Itself."""
        return bytes(self)


LOCATION = Spelled(b"Location")


class Reply(NamedTuple):
    """What goes back: status, further headers, body bytes, and the media type (None: no body)."""

    status: int
    headers: Headers = []
    body: bytes = b""
    media: bytes | None = None


class Call:
    """One request on its way: what was asked, by whom, in which tenant, with which @context.

    params   of the query string, percent-decoded; the last of equal names counts
    path     the variable parts of the path, percent-decoded
    route    the path as it was added to the routes, "" until one was found
    trace    the id of this request in the log, "" until one is needed (`operate.trace_of`)
    """

    __slots__ = (
        "accept", "body", "broker", "content_type", "headers", "link", "method", "params", "path", "query", "raw_path", "route", "subject", "tenant", "terms",
        "trace",
    )  # fmt: skip

    broker: Any
    method: str
    raw_path: bytes
    path: tuple[str, ...]
    query: bytes
    params: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes
    accept: bytes
    content_type: bytes
    link: bytes
    tenant: str
    subject: str
    terms: TermMap
    route: str
    trace: str

    def header(self, name: bytes) -> str:
        """A header as text, "" if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def json(self) -> Any:
        """The body as JSON; 400 InvalidRequest if it is none."""
        return decode_json(self.body)


SAFE = re.compile(r"[A-Za-z0-9:@!$&*+,;=~._()-]*").fullmatch


def in_path(id: str) -> str:
    """An id as a part of a path.

    >>> in_path("urn:a:川/1")
    'urn:a:%E5%B7%9D%2F1'
    """
    return id if SAFE(id) else quote(id, safe=":@!$&*+,;=~-._()")


loads = msgspec.json.Decoder().decode


def decode_json(body: bytes) -> Any:
    """JSON of a request body with a limit on its depth.

    >>> decode_json(b'{"a": [1]}')
    {'a': [1]}
    """
    if not body:
        raise Problem("InvalidRequest", "the body is empty", "JSON is expected")
    try:
        value = loads(body)
    except UnicodeDecodeError as error:
        found = f"the byte 0x{error.object[error.start]:02x}"
        raise Problem("InvalidRequest", "the body is not UTF-8", f"found {found} in a text; expected UTF-8, not Shift_JIS or another encoding") from None
    except msgspec.DecodeError as error:
        raise Problem("InvalidRequest", "the body is not JSON", str(error)) from None
    except RecursionError:
        raise Problem("InvalidRequest", "the body is nested too deeply", f"at most {DEPTH_LIMIT} levels") from None
    if may_be_deep(body) and depth(value) > DEPTH_LIMIT:
        raise Problem("InvalidRequest", "the body is nested too deeply", f"at most {DEPTH_LIMIT} levels")
    return value


NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def may_be_deep(body: bytes) -> bool:
    """False if a JSON text is surely not nested deeper than the limit: its brackets, taken away pair by pair, level by level, come to nothing.

    >>> may_be_deep(b'[{"a": []}, {"b": {}}]'), may_be_deep(b"[" * 99 + b"]" * 99)
    (False, True)
    """
    brackets = body.translate(None, NO_BRACKETS)
    for _ in range(DEPTH_LIMIT):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return bool(brackets)


def depth(value: Any) -> int:
    """How deeply lists and objects are nested; an iterative walk.

    >>> depth({"a": [[1]]})
    3
    """
    deepest, stack = 0, [(value, 1)]
    while stack:
        part, level = stack.pop()
        if isinstance(part, dict):
            stack.extend((item, level + 1) for item in part.values())
        elif isinstance(part, list):
            stack.extend((item, level + 1) for item in part)
        else:
            continue
        deepest = max(deepest, level)
    return deepest


dumps = msgspec.json.Encoder().encode

Handler = Callable[[Call], Awaitable[Reply]]
Quick = Callable[[Call], Reply | None]
Route = tuple[Handler, frozenset[str] | None]


class Methods(dict[str, Route]):
    """The handlers of one path by method, the path as it was added, and what answers a GET without waiting, if it can."""

    route = ""
    quick: Quick | None = None


class Routes:
    """A tree of path segments; `{name}` stands for any segment.

    >>> routes = Routes()
    >>> async def show(call): ...
    >>> routes.add("GET", "/a/{id}", show)
    >>> routes.find(b"/a/x%2Fy")[1]
    ('x/y',)
    """

    def __init__(self) -> None:
        self.root: dict[bytes, Any] = {}
        self.listed: list[tuple[str, str, Handler]] = []

    def add(self, method: str, path: str, handler: Handler, params: frozenset[str] | None = None, quick: Quick | None = None) -> None:
        """A handler for a method and a path.

        params  the names that its query string may have, None for any
        quick   gives the same reply to a GET as the handler, but at once; None where that would have to wait for something
        """
        node = self.root
        for part in path.rstrip("/").encode().split(b"/")[1:]:  # "/" itself is the root
            node = node.setdefault(b"{}" if part.startswith(b"{") else part, {})
        methods = node.setdefault(b"/methods", Methods())
        methods[method], methods.route = (handler, params), path
        if quick is not None:
            methods.quick = quick
        self.listed.append((method, path, handler))

    def find(self, path: bytes) -> tuple[Methods, tuple[str, ...]] | None:
        """The handlers by method and the variable parts of a raw path; None if nothing lives there. A slash at the end says nothing."""
        node = self.root
        found: tuple[str, ...] = ()
        for part in (path[:-1] if path[-1:] == b"/" else path).split(b"/")[1:]:
            below = node.get(part)
            if below is None:
                below = node.get(b"{}")
                if below is None:
                    return None
                text = part.decode("ascii", "replace")
                found += (unquote(text) if "%" in text else text,)
            node = below
        methods = node.get(b"/methods")
        return None if methods is None else (methods, found)


class Remembered(dict[Any, Any]):
    """A bounded memory: when it is full it starts anew, and what is long is not kept.

    >>> memory = Remembered()
    >>> memory.keep(b"q=a==1", "read", 6), memory.keep(b"q=" + b"x" * 2000, "read", 2002), len(memory)
    ('read', 'read', 1)
    """

    def keep(self, key: Any, value: Any, size: int) -> Any:
        """Remember and give back; size: bytes of what was asked."""
        if size < LONG:
            if len(self) >= REMEMBERED:
                self.clear()
            self[key] = value
        return value


QUERIES: Remembered = Remembered()


def read_query(query: bytes) -> dict[str, str]:
    """The parameters of a query string.

    >>> read_query(b"type=A%2CB&q=a==1")
    {'type': 'A,B', 'q': 'a==1'}
    """
    known = QUERIES.get(query)
    if known is not None:
        return known  # type: ignore[no-any-return]
    if len(query) > QUERY_LIMIT:
        raise Problem("InvalidRequest", "the query string is too long", f"at most {QUERY_LIMIT} bytes", status=414)
    try:
        text = query.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Problem("InvalidRequest", "the query string cannot be read", str(error)) from None
    return QUERIES.keep(query, dict(pairs), len(query))  # type: ignore[no-any-return]


class Bare(Exception):
    """An answer that is a status and nothing more."""

    def __init__(self, status: int) -> None:
        self.status = status


class App:
    """The ASGI callable of one broker."""

    def __init__(self, broker: Any, routes: Routes) -> None:
        self.broker, self.routes = broker, routes
        self.observe: Callable[[str, str, int, float], None] | None = None  # method, route group, status, seconds
        self.log: Callable[[Call, Reply, float], None] | None = None
        self.cors: bytes | None = None
        self.hosts: Callable[[str], bool] | None = None  # which names clients may call the broker by; None: any
        self.known_hosts = Remembered()
        self.body_limit = BODY_LIMIT
        self.seconds = 60.0
        self.running = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One connection's event, as ASGI wants it."""
        if scope["type"] == "http":
            await self.http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def lifespan(self, receive: Any, send: Any) -> None:
        """Start and stop of the broker's own tasks."""
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                try:
                    await self.broker.start()
                except KibanError as error:
                    await send({"type": "lifespan.startup.failed", "message": f"kiban: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.broker.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def call(self, method: str, path: bytes, query: bytes, headers: dict[bytes, bytes]) -> Call:
        """A request as the handlers want it."""
        call = Call()
        call.broker, call.method, call.raw_path, call.query = self.broker, method, path, query
        call.headers = headers
        call.path, call.params, call.body, call.subject, call.route, call.trace = (), {}, b"", "", "", ""
        get = headers.get
        call.accept, call.content_type, call.link = get(b"accept", b""), get(b"content-type", b""), get(b"link", b"")
        call.tenant = get(b"ngsild-tenant", b"").decode("latin-1")
        return call

    def sent(self, call: Call, reply: Reply) -> Headers:
        """The headers that go back."""
        headers, sent = call.headers, [*reply.headers]
        if reply.media is not None:
            sent.append((b"content-type", reply.media))
        if reply.status != 204 or reply.body:
            sent.append((b"content-length", str(len(reply.body)).encode()))
        if self.cors is not None and b"origin" in headers:
            sent.append((b"access-control-allow-origin", self.cors))
            sent.append((b"access-control-expose-headers", EXPOSED))
        if b"ngsild-snapshot" in headers and reply.status < 400:
            sent.append((b"ngsild-snapshot", headers[b"ngsild-snapshot"]))
        if call.tenant and not call.raw_path.startswith(b"/v2"):
            sent.append((b"ngsild-tenant", call.tenant.encode("latin-1")))
        return sent

    def answered(self, call: Call, reply: Reply, began: float) -> None:
        """Tell those who count and those who write a log."""
        seconds = time.perf_counter() - began
        if self.observe is not None:
            self.observe(call.method, call.route, reply.status, seconds)
        if self.log is not None:
            self.log(call, reply, seconds)

    async def http(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request: route, read, decide, answer."""
        call = self.call(scope["method"], scope["raw_path"], scope["query_string"], dict(scope["headers"]))
        status, headers, body = await self.whole(call, receive)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def whole(self, call: Call, receive: Any) -> Answered:
        """Status, headers and body for a request. receive: gives the events of its body; None where `call.body` has all of it."""
        began = time.perf_counter()
        self.running += 1
        try:
            try:
                reply = await self.answer(call, receive)
            except Problem as problem:
                reply = self.problem(call, problem)
            except Bare as bare:
                reply = Reply(bare.status)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the last net: the client gets a proper answer, the log the whole story
                reply = self.broker.unexpected(call, error)
        finally:
            self.running -= 1
        sent = self.sent(call, reply)
        self.answered(call, reply, began)
        return reply.status, sent, b"" if call.method == "HEAD" else reply.body

    def at_once(self, path: bytes, query: bytes, headers: dict[bytes, bytes]) -> Answered | None:
        """Status, headers and body for a GET that needs not wait for anything, the same as `http` gives; None for all others."""
        found = self.routes.find(path)
        if found is None or found[0].quick is None:
            return None
        began = time.perf_counter()
        call = self.call("GET", path, query, headers)
        try:
            admitted = self.admit(call, found)
            reply = admitted if isinstance(admitted, Reply) else found[0].quick(call)
        except Problem as problem:
            reply = self.problem(call, problem)
        except Exception as error:  # noqa: BLE001 - as above
            reply = self.broker.unexpected(call, error)
        if reply is None:
            return None
        sent = self.sent(call, reply)
        self.answered(call, reply, began)
        return reply.status, sent, reply.body

    async def answer(self, call: Call, receive: Any) -> Reply:
        """The reply of the handler that the path names."""
        handler = self.admit(call, self.routes.find(call.raw_path))
        if isinstance(handler, Reply):
            return handler
        if call.method in ("POST", "PUT", "PATCH", "DELETE"):
            call.body = await self.read_body(call, receive)
        return await handler(call)

    def admit(self, call: Call, found: tuple[Methods, tuple[str, ...]] | None) -> Handler | Reply:
        """All that comes before the body is read: the handler, or the reply where there is none. found: what `Routes.find` says."""
        if self.hosts is not None and (host := call.headers.get(b"host")) is not None and not self.is_called(host):
            raise Problem("Forbidden", "this broker has another name", f"found Host: {host[:100].decode('latin-1')}; --public-url tells it its name")
        if found is None:
            raise Problem("ResourceNotFound", "nothing lives at this address", call.raw_path.decode("latin-1"), status=404)
        methods, call.path = found
        call.route = methods.route
        route = methods.get(call.method)
        if route is None:
            if call.method == "OPTIONS":
                return self.options(call, methods)
            if call.method == "HEAD" and "GET" in methods:
                route = methods["GET"]
            else:
                allowed = ", ".join(sorted(methods))
                reply = self.problem(call, Problem("MethodNotAllowed", f"{call.method} is not offered here", f"offered: {allowed}"))
                return reply._replace(headers=[*reply.headers, (b"allow", allowed.encode())])
        call.subject = self.broker.access.subject_of(call.headers)
        handler, known = route
        if call.query:
            call.params = params = read_query(call.query)
            if known is not None and not params.keys() <= known:
                wrong = ", ".join(sorted(params.keys() - known))
                raise Problem("InvalidRequest", "unknown parameter", f"{wrong[:200]}; this address knows {', '.join(sorted(known))}")
        return handler

    def is_called(self, host: bytes) -> bool:
        """Whether a Host header is a name of this broker; without a policy a page elsewhere could lead its own name to this machine (DNS rebinding)."""
        known = self.known_hosts.get(host)
        if known is None:
            assert self.hosts is not None
            known = self.known_hosts.keep(host, self.hosts(host.decode("latin-1")), len(host))
        return known  # type: ignore[no-any-return]

    def options(self, call: Call, methods: Methods) -> Reply:
        """What may be done here; the answer to a browser's question before it sends."""
        allowed = ", ".join(sorted({*methods, "OPTIONS"})).encode()
        headers: Headers = [(b"allow", allowed)]
        if b"PATCH" in allowed:
            headers.append((b"accept-patch", b"application/json, application/ld+json, application/merge-patch+json"))
        if self.cors is not None and b"access-control-request-method" in call.headers:
            headers += [
                (b"access-control-allow-methods", allowed),
                (
                    b"access-control-allow-headers",
                    b"Content-Type, Accept, Link, Authorization, NGSILD-Tenant, Fiware-Service, Fiware-ServicePath, X-Auth-Token",
                ),
                (b"access-control-max-age", b"86400"),
            ]
        return Reply(204, headers)

    async def read_body(self, call: Call, receive: Any) -> bytes:
        """The whole body; 413 if it is larger than allowed."""
        length = call.headers.get(b"content-length")
        if length is None and b"transfer-encoding" in call.headers and call.method != "DELETE":
            raise Bare(411)
        if length is not None and int(length) > self.body_limit:
            raise Problem("BadRequestData", "the body is too large", f"at most {self.body_limit} bytes", status=413)
        if receive is None:
            return call.body
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.seconds):  # of the whole body: one byte now and then does not keep a connection
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise Problem("InvalidRequest", "the connection ended before the body did", "send it again")
                    part = event.get("body", b"")
                    if not parts and not event.get("more_body"):
                        return part  # type: ignore[no-any-return]
                    parts.append(part)
                    size += len(part)
                    if size > self.body_limit:
                        raise Problem("BadRequestData", "the body is too large", f"at most {self.body_limit} bytes", status=413)
                    if not event.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Problem("InvalidRequest", "the body did not come in time", f"it was waited for {self.seconds:g} s", status=408) from None

    def problem(self, call: Call, problem: Problem) -> Reply:
        """An error as the API in use says it."""
        if call.raw_path.startswith(b"/v2"):
            return self.broker.v2_problem(problem)  # type: ignore[no-any-return]
        return Reply(problem.status, [(b"www-authenticate", b"Bearer")] if problem.status == 401 else [], dumps(problem.body()), JSON)
