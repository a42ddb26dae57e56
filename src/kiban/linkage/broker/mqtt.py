"""Notifications over MQTT 3.1.1 and 5.0, TCP or TLS (ETSI GS CIM 009 clause 7): one kept connection per broker and user, messages in flight side by side.

In: a Request whose headers become `metadata` and whose body becomes `body`. Out: an Answer; with QoS 1 only after PUBACK, with QoS 2 after PUBCOMP.
A client of its own, that publishes and nothing else: the guard chooses the address that is dialled, and nothing blocks a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker.delivery import Answer
from kiban.linkage.broker.outgoing import Broker, Request, mqtt_broker
from kiban.linkage.broker.posting import Guard, addresses

KEEPALIVE: Final = 60  # s
IN_FLIGHT: Final = 16  # messages without an answer on one connection; brokers of MQTT 3.1.1 cannot say that they take fewer, and some lose what is above 20
PACKET_BYTES: Final = 1_048_576  # a broker answers publishers with small packets
CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, PINGRESP, DISCONNECT = 0x20, 0x40, 0x50, 0x62, 0x70, 0xD0, 0xE0
REFUSED = {4: "bad user name or password", 5: "not authorized", 0x86: "bad user name or password", 0x87: "not authorized", 0x8A: "banned"}
_json = msgspec.json.Encoder()


class MqttError(KibanError):
    """The broker said no, or nothing.  refused: asking again soon is no use."""

    def __init__(self, found: str, refused: bool = False) -> None:
        self.refused = refused
        super().__init__("mqtt", found)


def message(request: Request, attempt: int) -> bytes:
    """What is published: {"metadata": {the headers}, "body": the notification}; the body alone where there are no headers, as NGSIv2 wants it.

    >>> message(Request("PUBLISH", "mqtt://h/t", (("Content-Type", "application/json"),), b'{"type":"Notification"}'), 2)
    b'{"metadata":{"Content-Type":"application/json","Kiban-Delivery-Attempt":"2"},"body":{"type":"Notification"}}'
    """
    if not request.headers:
        return request.body
    metadata = dict(request.headers) | {"Kiban-Delivery-Attempt": str(attempt)}
    return _json.encode({"metadata": metadata, "body": msgspec.Raw(request.body)})


def _number(value: int) -> bytes:
    """A length as MQTT writes it: seven bits a byte, the lowest first."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | 128 if value else low)
        if not value:
            return bytes(out)


def _packet(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((kind,)) + _number(len(body)) + body


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


class _Connection(asyncio.Protocol):
    """One connection that publishes."""

    def __init__(self, version5: bool) -> None:
        loop = asyncio.get_running_loop()
        self.version5 = version5
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()  # the socket is closed
        self.waiting: dict[int, asyncio.Future[None]] = {}
        self.places = asyncio.Semaphore(IN_FLIGHT)
        self._ids = itertools.cycle(range(1, 65_536))
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ping: asyncio.TimerHandle | None = None
        self._pinged = False

    # --- called by the loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # as create_connection makes it; that of uvloop is no asyncio.Transport by its class

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length, shift, at = 0, 0, 1
            while True:
                if at >= len(self._buffer):
                    return
                byte = self._buffer[at]
                length |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
                if shift > 21:
                    self.end(MqttError("a packet without an end"))
                    return
            if length > PACKET_BYTES:
                self.end(MqttError("a packet that no publisher expects"))
                return
            if len(self._buffer) < at + length:
                return
            kind, body = self._buffer[0], bytes(self._buffer[at : at + length])
            del self._buffer[: at + length]
            self._packet(kind, body)

    def connection_lost(self, error: Exception | None) -> None:
        self.end(MqttError(f"connection lost: {error}" if error else "connection closed by the broker"))
        self.gone.set_result(None)

    # --- packets
    def _packet(self, kind: int, body: bytes) -> None:
        if kind == CONNACK and len(body) >= 2:
            code = body[1]
            if code == 0:
                self._limits(body)
                if not self.ready.done():
                    self.ready.set_result(None)
                self._ping = asyncio.get_running_loop().call_later(KEEPALIVE / 2, self._keep)
            else:
                self.end(MqttError(f"CONNECT refused: {REFUSED.get(code, f'code {code}')}", refused=code in REFUSED))
        elif kind in (PUBACK, PUBREC, PUBCOMP) and len(body) >= 2:
            number = int.from_bytes(body[:2], "big")
            waiting = self.waiting.get(number)
            code = body[2] if len(body) > 2 else 0
            if waiting is None or waiting.done():
                if kind == PUBREC and code < 0x80:  # given up meanwhile: let the broker forget it
                    self.write(_packet(PUBREL, body[:2]))
            elif code >= 0x80:
                waiting.set_exception(MqttError(f"PUBLISH refused: {REFUSED.get(code, f'code {code:#x}')}", refused=code in REFUSED))
            elif kind == PUBREC:
                self.write(_packet(PUBREL, body[:2]))
            else:
                waiting.set_result(None)
        elif kind == PINGRESP:
            self._pinged = False
        elif kind == DISCONNECT:
            self.end(MqttError(f"DISCONNECT from the broker, code {body[0] if body else 0:#x}"))

    def _limits(self, body: bytes) -> None:
        """Receive Maximum of an MQTT 5 broker: fewer places, if it says so. A property that is not known ends the look."""
        if not self.version5 or len(body) < 3:
            return
        sizes = {0x11: 4, 0x21: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x22: 2, 0x28: 1, 0x29: 1, 0x2A: 1, 0x13: 2}
        at = 3 if body[2] < 128 else 4
        while at < len(body):
            kind = body[at]
            if kind == 0x21:
                most = int.from_bytes(body[at + 1 : at + 3], "big")
                self.places = asyncio.Semaphore(max(1, min(IN_FLIGHT, most)))
                return
            if kind in (0x12, 0x1A, 0x1C, 0x1F, 0x15, 0x16):
                at += 3 + int.from_bytes(body[at + 1 : at + 3], "big")
            elif kind in sizes:
                at += 1 + sizes[kind]
            else:
                return

    def _keep(self) -> None:
        if self._pinged:
            self.end(MqttError("the broker no longer answers"))
            return
        self._pinged = True
        self.write(b"\xc0\x00")
        self._ping = asyncio.get_running_loop().call_later(KEEPALIVE / 2, self._keep)

    # --- for the sender
    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def connect(self, broker: Broker) -> None:
        flags = 0x02 | (0x80 if broker.user is not None else 0) | (0x40 if broker.password is not None and broker.user is not None else 0)
        parts = [_text("MQTT"), bytes((5 if self.version5 else 4, flags)), KEEPALIVE.to_bytes(2, "big")]
        if self.version5:
            parts.append(b"\x00")
        parts.append(_text(""))  # the broker gives a client id
        if broker.user is not None:
            parts.append(_text(broker.user))
            if broker.password is not None:
                parts.append(_text(broker.password))
        self.write(_packet(0x10, *parts))

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Publish; returns when the broker has it as surely as the QoS says. Raises MqttError."""
        properties = b"\x00" if self.version5 else b""
        if qos == 0:
            await self._writable.wait()
            if self.lost.done():
                raise MqttError("connection lost")
            self.write(_packet(0x30, _text(topic), properties, payload))
            return
        async with self.places:
            if self.lost.done():
                raise MqttError("connection lost")
            number = next(self._ids)
            while number in self.waiting:
                number = next(self._ids)
            waiting = self.waiting[number] = asyncio.get_running_loop().create_future()
            try:
                self.write(_packet(0x30 | qos << 1, _text(topic), number.to_bytes(2, "big"), properties, payload))
                await waiting
            finally:
                del self.waiting[number]

    def end(self, error: MqttError | None) -> None:
        """Close; whoever waits gets the error."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._ping is not None:
            self._ping.cancel()
        self._writable.set()
        told = error or MqttError("closed")
        for waiting in [self.ready, *self.waiting.values()]:
            if not waiting.done():
                waiting.set_exception(told)
        if self.ready.done() and not self.ready.cancelled():
            self.ready.exception()  # whoever opened it may have stopped waiting
        if self._transport is not None:
            if error is None:
                self._transport.write(b"\xe0\x00")
            self._transport.close()

    async def closed(self, seconds: float) -> None:
        """Wait until the socket is closed; a broker that does not take its part is left."""
        await asyncio.wait([self.gone], timeout=seconds)
        if not self.gone.done() and self._transport is not None:
            self._transport.abort()
            await asyncio.wait([self.gone], timeout=seconds)


class MqttSender:
    """Sends requests with mqtt and mqtts URLs.

    Parameters
    ----------
    guard  asked for the addresses of each new connection
    idle   s, a connection without messages is closed after it
    tls    None: certificates are checked against those of the system
    """

    def __init__(self, guard: Guard, idle: float = 300.0, tls: ssl.SSLContext | None = None) -> None:
        self.guard, self.idle, self.tls = guard, idle, tls
        self._alive: set[_Connection] = set()
        self._open: dict[tuple[Broker, str], tuple[_Connection, Callable[[], None]]] = {}
        self._locks: dict[tuple[Broker, str], asyncio.Lock] = {}

    async def send(self, request: Request, attempt: int, seconds: float) -> Answer:
        """Publish; with QoS 0 it is delivered when it is written to a connection that the broker accepted."""
        try:
            broker = mqtt_broker(request.url)
            async with asyncio.timeout(seconds):
                connection = await self._connection(broker, request.version)
                await connection.publish(broker.topic, message(request, attempt), request.qos)
        except TimeoutError:
            return Answer(0, f"no answer within {seconds:g} s")
        except MqttError as error:
            return Answer(0, error.found, refused=error.refused)
        except KibanError as error:
            return Answer(0, str(error)[:200], refused=True)
        except OSError as error:
            return Answer(0, f"{type(error).__name__}: {error}"[:200])
        return Answer(200)

    async def _connection(self, broker: Broker, version: str) -> _Connection:
        """The connection to a broker; topics share it."""
        key = (broker._replace(topic=""), version)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            known = self._open.get(key)
            if known is not None and not known[0].lost.done():
                known[1]()
                return known[0]
            loop = asyncio.get_running_loop()
            tls = (self.tls or ssl.create_default_context()) if broker.tls else None
            failed: OSError | None = None
            for address in await addresses(self.guard, broker.host, broker.port):
                try:
                    _, connection = await loop.create_connection(
                        lambda: _Connection(version == "mqtt5.0"), address, broker.port, ssl=tls, server_hostname=broker.host if tls else None
                    )
                except OSError as error:
                    failed = error
                    continue
                self._alive.add(connection)
                connection.gone.add_done_callback(partial(self._buried, connection))
                try:
                    connection.connect(broker)
                    await connection.ready
                except BaseException:
                    connection.end(MqttError("given up"))
                    raise
                self._open[key] = (connection, self._watch(key, connection))
                return connection
            raise failed or OSError(f"{broker.host} has no address")

    def _watch(self, key: tuple[Broker, str], connection: _Connection) -> Callable[[], None]:
        """Close a connection that has been idle; the function that is given back tells of use."""
        loop = asyncio.get_running_loop()
        used = loop.time()

        def use() -> None:
            nonlocal used
            used = loop.time()

        def look() -> None:
            if connection.lost.done():
                return
            rest = used + self.idle - loop.time()
            if rest > 0 or connection.waiting:
                timers[0] = loop.call_later(max(rest, 1.0), look)
            else:
                connection.end(None)

        def gone(_: asyncio.Future[None]) -> None:
            timers[0].cancel()
            if self._open.get(key, (None,))[0] is connection:
                del self._open[key]

        timers = [loop.call_later(self.idle, look)]
        connection.lost.add_done_callback(gone)
        return use

    def _buried(self, connection: _Connection, _: asyncio.Future[None]) -> None:
        self._alive.discard(connection)

    async def close(self) -> None:
        """Say goodbye to all brokers."""
        alive = list(self._alive)
        for connection in alive:
            connection.end(None)
        await asyncio.gather(*(connection.closed(1.0) for connection in alive))
        self._open.clear()
