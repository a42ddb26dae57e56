"""Notifications over HTTP: one pool of kept connections, no redirects, no cookies, addresses chosen by a guard.

In: a Request and how long its answer may take. Out: an Answer.
Measured on one core: 65–70 µs of CPU per POST here, 100–130 µs with all of delivery, 155–180 µs with the rows of SQLite; a client of our own is not needed.
"""

from __future__ import annotations

import asyncio
import email.utils
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kiban.base.errors import KibanError
from kiban.linkage.broker.delivery import Answer
from kiban.linkage.broker.outgoing import OversizedAnswer, Request

ANSWER_BYTES = 65_536  # read of an answer, so that its connection can be used again; a longer one costs the connection
LARGE = 1_048_576  # bytes of a body from which on it is written in parts, so that the loop goes on
TOLD = 200  # characters of an answer that an error repeats


Headers = Mapping[str, str]


class Guard(Protocol):
    """Says where the broker may send."""

    def named(self, host: str) -> bool:
        """Whether a host name is allowed, whatever its addresses are."""

    def allows(self, address: str) -> bool:
        """Whether an IP address is allowed."""


class Refused(KibanError):
    """A host that the guard does not allow."""


class Unreachable(KibanError):
    """A server that cannot be reached, or breaks off."""


async def addresses(guard: Guard, host: str, port: int) -> list[str]:
    """The allowed IP addresses of a host name or literal address, to be dialled as they are: a name cannot change its address in between.

    Raises Refused where the guard allows none, OSError where the name cannot be looked up now.

    >>> class Anywhere:
    ...     named = allows = lambda self, asked: True
    >>> asyncio.run(addresses(Anywhere(), "127.0.0.1", 80))
    ['127.0.0.1']
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    told = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = told if guard.named(host) else [address for address in told if guard.allows(address)]
    if not allowed:
        raise Refused(f"the host {host}", "an address of an inner network", "another host", "--allow-endpoint lets the operator allow it")
    return allowed


class Resolver(AbstractResolver):
    """Asks the guard for the names that aiohttp connects to."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002 - both families
        """The allowed addresses of a name. Raises as `addresses`."""
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET6 if ":" in address else socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in await addresses(self.guard, host, port)
        ]

    async def close(self) -> None:
        """Nothing to close."""


@lru_cache(maxsize=8192)
def _url(text: str) -> tuple[URL, str | None]:
    """The URL, as it stands, and its host if that is a literal address, which no resolver is asked about."""
    url = URL(text, encoded=True)
    try:
        ipaddress.ip_address(url.host or "")
    except ValueError:
        return url, None
    return url, url.host


def retry_after(value: str | None, now: float) -> float:
    """Seconds that a Retry-After header asks for, in seconds or as a date; 0 if it is not there or cannot be read. now: s since 1970.

    >>> retry_after("120", 0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 45.0), retry_after("soon", 0)
    (120.0, 15.0, 0.0)
    """
    if not value:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return 0.0


class HttpSender:
    """Sends requests with http and https URLs.

    Parameters
    ----------
    guard        asked for the addresses of each new connection, and of each literal address
    connections  open at a time
    idle         s, how long a connection is kept for the next request
    tls          None: certificates are checked against those of the system
    """

    def __init__(self, guard: Guard, connections: int = 512, idle: float = 15.0, tls: ssl.SSLContext | None = None) -> None:
        self.guard, self.connections, self.idle, self.tls = guard, connections, idle, tls
        self._session: aiohttp.ClientSession | None = None
        self._allowed: set[str] = set()  # hosts that need no question: literal addresses that were asked about, names of `exchange`

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self.connections,
            resolver=Resolver(self.guard),
            ttl_dns_cache=10,
            keepalive_timeout=self.idle,
            ssl=True if self.tls is None else self.tls,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Content-Type", "Accept-Encoding"),
            headers={"User-Agent": "kiban"},
            auto_decompress=False,
        )
        return self._session

    async def send(self, request: Request, attempt: int, seconds: float) -> Answer:
        """Send and wait for the answer.

        A kept connection that the other side closed meanwhile is replaced once, at once; that second sending counts as one attempt more in its header.
        """
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self._send(request, attempt)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if isinstance(error, aiohttp.ClientConnectorError):
                        raise
                    return await self._send(request, attempt + 1)
        except TimeoutError:
            return Answer(0, f"no answer within {seconds:g} s")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            return Answer(0, f"the URL cannot be used: {error}"[:TOLD], refused=True)
        except KibanError as error:
            return Answer(0, str(error)[:TOLD], refused=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, f"{type(error).__name__}: {error}"[:TOLD])

    async def _send(self, request: Request, attempt: int) -> Answer:
        session = self._session or self._open()
        url, literal = _url(request.url)
        if literal is not None and literal not in self._allowed:
            await addresses(self.guard, literal, url.port or 0)
            self._allowed.add(literal)
        headers = [*request.headers, ("Kiban-Delivery-Attempt", str(attempt))]
        body = request.body if len(request.body) < LARGE else io.BytesIO(request.body)
        async with session.request(request.method, url, data=body, headers=headers, allow_redirects=False) as response:
            told = b""
            content = response.content
            if not content.at_eof():
                told = await content.read(ANSWER_BYTES)
                while len(told) < ANSWER_BYTES and (more := await content.read(ANSWER_BYTES)):
                    told += more
                if not content.at_eof():
                    response.close()
            status = response.status
            if 200 <= status < 300:
                return Answer(status)
            text = told[:TOLD].decode(errors="replace").strip()
            return Answer(status, f"HTTP {status}: {text}" if text else f"HTTP {status}", retry_after(response.headers.get("Retry-After"), time.time()))

    async def exchange(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, seconds: float, limit: int) -> tuple[int, Headers, bytes]:
        """Ask another server and read its whole answer: status, headers, body.

        seconds  for all of it; limit: bytes of the answer

        Raises TimeoutError, Refused (the guard), OversizedAnswer, and Unreachable for everything else that went wrong on the way.
        """
        try:
            async with asyncio.timeout(seconds):
                try:
                    return await self._exchange(method, url, headers, body, limit)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    # A kept connection may have been closed meanwhile; a POST could be carried out twice.
                    if isinstance(error, aiohttp.ClientConnectorError) or method == "POST":
                        raise
                    return await self._exchange(method, url, headers, body, limit)
        except (TimeoutError, KibanError):
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(url, f"{type(error).__name__}: {error}"[:TOLD], "a server that answers") from error

    async def _exchange(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, limit: int) -> tuple[int, Headers, bytes]:
        session = self._session or self._open()
        address = URL(url, encoded=True)
        host = address.host or ""
        if host not in self._allowed:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                pass  # a name: the resolver asks the guard whenever a connection is made
            else:
                await addresses(self.guard, host, address.port or 0)
            self._allowed.add(host)
        async with session.request(method, address, data=body or None, headers=list(headers), allow_redirects=False) as response:
            parts, size = [], 0
            async for part in response.content.iter_chunked(ANSWER_BYTES):
                size += len(part)
                if size > limit:
                    response.close()
                    raise OversizedAnswer(url, f"an answer of more than {limit} bytes", "a smaller one")
                parts.append(part)
            return response.status, response.headers, b"".join(parts)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
