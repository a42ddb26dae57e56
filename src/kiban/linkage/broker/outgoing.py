"""What leaves the broker: one notification as a request that can wait in the outbox, over HTTP or MQTT.

In: the endpoint of a subscription (ETSI GS CIM 009 5.2.15, 5.2.22) and the notification as JSON bytes. Out: a Request, or its bytes.
When and how often it is sent is decided in delivery; what is in the notification, in subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.errors import bad_request

JSON, LD_JSON, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
VERSIONS = ("mqtt3.1.1", "mqtt5.0")
PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# They belong to the connection or are set by the sender itself; a subscriber who names them could split or misdirect requests.
RESERVED = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "kiban-notification-id", "kiban-delivery-attempt"),
    }
)


class OversizedAnswer(KibanError):
    """An answer that is larger than what is read."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One request, complete but for the marks of delivery.

    method    HTTP method; PUBLISH for MQTT
    url       http, https, mqtt or mqtts
    headers   name and value; over MQTT the members of `metadata`
    body      bytes of the body; over MQTT the notification as JSON
    timeout   s, how long an answer may take; 0: what the dispatcher allows
    cooldown  s, rest of the endpoint after a failure
    version   of MQTT, one of VERSIONS; empty over HTTP
    qos       of MQTT, 0–2

    >>> decode(encode(Request("POST", "http://127.0.0.1:9/n", (("Accept", "*/*"),), b"{}"))).url
    'http://127.0.0.1:9/n'
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: float = 0.0
    cooldown: float = 0.0
    version: str = ""
    qos: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Request)
_json = msgspec.json.Encoder()


def encode(request: Request) -> bytes:
    """A request as the bytes of an outbox row."""
    return _encoder.encode(request)


def decode(body: bytes) -> Request:
    """The request of an outbox row. Raises msgspec.DecodeError for bytes that `encode` did not make."""
    return _decoder.decode(body)


class Broker(NamedTuple):
    """Where an MQTT notification goes; the password is never part of a log line."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    topic: str


@lru_cache(maxsize=4096)
def mqtt_broker(url: str) -> Broker:
    """The parts of mqtt[s]://[user[:password]@]host[:port]/topic (ETSI GS CIM 009 7.2).

    Raises Problem (400) where host or topic is missing, or the topic holds a wildcard.

    >>> mqtt_broker("mqtt://reader@river.example/town/level")[:4], mqtt_broker("mqtts://h/a/b").port
    (('river.example', 1883, False, 'reader'), 8883)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise bad_request(f"endpoint.uri: {error}") from error
    topic = unquote(parts.path[1:] + ("?" + parts.query if parts.query else ""))
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise bad_request("endpoint.uri: expected mqtt[s]://[user[:password]@]host[:port]/topic")
    if not topic or "#" in url or "+" in topic or "#" in topic or "\0" in topic or len(topic.encode()) > 65_535:
        raise bad_request("endpoint.uri: expected a topic after the host, without + and #")
    name = unquote(parts.username) if parts.username is not None else None
    word = unquote(parts.password) if parts.password is not None else None
    return Broker(parts.hostname, port or PORTS[parts.scheme], parts.scheme == "mqtts", name, word, topic)


@lru_cache(maxsize=4096)
def lane_of(url: str) -> str:
    """The endpoint that shares a queue: host, port and path over HTTP; the broker and its user over MQTT. Never a password or a query.

    Raises Problem (400) for a URL of another scheme, or without a host.

    >>> lane_of("http://user:word@Town.example/notify?key=1"), lane_of("mqtts://ann:word@h/a/b")
    ('http://town.example:80/notify', 'mqtts://ann@h:8883')
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError as error:
        raise bad_request(f"endpoint.uri: {error}") from error
    if port is None or not parts.hostname:
        raise bad_request("endpoint.uri: expected http, https, mqtt or mqtts, and a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme.startswith("mqtt"):
        return f"{parts.scheme}://{parts.username + '@' if parts.username else ''}{host}:{port}"
    return f"{parts.scheme}://{host}:{port}{parts.path or '/'}"


def checked_header(name: str, value: str) -> tuple[str, str]:
    """A header that a subscriber may set, as it is sent. Raises Problem (400): no name of a header, a control character, a reserved name.

    >>> checked_header("X-Town", "Suzu")
    ('X-Town', 'Suzu')
    """
    if not _TOKEN.match(name) or name.lower() in RESERVED:
        raise bad_request(f"receiverInfo: {name[:60]!r} cannot be a header of a notification")
    if _CONTROL.search(value):
        raise bad_request(f"receiverInfo: the value of {name} holds a control character")
    return name, value


def _pairs(endpoint: Mapping[str, Any], member: str) -> list[tuple[str, str]]:
    """The key–value list of receiverInfo or notifierInfo."""
    listed = endpoint.get(member) or []
    if not isinstance(listed, list) or not all(isinstance(pair, dict) and isinstance(pair.get("key"), str) and "value" in pair for pair in listed):
        raise bad_request(f'{member}: expected a list of {{"key": …, "value": …}}')
    return [(pair["key"], pair["value"] if isinstance(pair["value"], str) else _json.encode(pair["value"]).decode()) for pair in listed]


def _seconds(endpoint: Mapping[str, Any], member: str) -> float:
    value = endpoint.get(member)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise bad_request(f"endpoint.{member}: expected milliseconds above 0")
    return value / 1000


class Target:
    """An endpoint, read and checked once, that turns notifications into requests.

    Parameters
    ----------
    endpoint  {"uri", "accept"?, "receiverInfo"?, "notifierInfo"?, "timeout"? ms, "cooldown"? ms}
    tenant    empty for the default tenant
    context   what `data` is to be read with: the URL of a @context for the Link header; a URL, a list or an object in application/ld+json

    Raises Problem (400): a scheme that is none of http, https, mqtt, mqtts; a header that cannot be sent; MQTT-Version or MQTT-QoS out of range.

    >>> target = Target({"uri": "http://town.example/n", "receiverInfo": [{"key": "X-Key", "value": "7"}]}, context="https://c.example/c.jsonld")
    >>> [name for name, value in target.request(b"{}", "urn:n:1").headers]
    ['Content-Type', 'Link', 'X-Key', 'Kiban-Notification-Id']
    """

    __slots__ = ("_context", "_headers", "accept", "cooldown", "lane", "qos", "timeout", "uri", "version")

    def __init__(self, endpoint: Mapping[str, Any], tenant: str = "", context: str | list[Any] | dict[str, Any] = "") -> None:
        uri, accept = endpoint.get("uri"), endpoint.get("accept") or JSON
        if not isinstance(uri, str):
            raise bad_request("endpoint.uri: expected a URI")
        if accept not in (JSON, LD_JSON, GEO_JSON):
            raise bad_request(f"endpoint.accept: expected {JSON}, {LD_JSON} or {GEO_JSON}")
        self.uri, self.accept, self.lane = uri, accept, lane_of(uri)
        self.timeout, self.cooldown = _seconds(endpoint, "timeout"), _seconds(endpoint, "cooldown")
        headers = [("Content-Type", accept)]
        if tenant:
            headers.append(("NGSILD-Tenant", tenant))
        if accept != LD_JSON and isinstance(context, str) and context:
            if _CONTROL.search(context) or ">" in context:
                raise bad_request("@context: found a character that no URL has")
            headers.append(("Link", f'<{context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'))
        told = [checked_header(name, value) for name, value in _pairs(endpoint, "receiverInfo")]
        further = {name.lower() for name, value in told} - {"content-type", "link", "ngsild-tenant"}
        self._headers = (*headers, *(pair for pair in told if pair[0].lower() in further))
        self._context = b',"@context":' + _json.encode(context) + b"}" if accept == LD_JSON and context else b""
        self.version, self.qos = "", 0
        if uri.startswith("mqtt"):
            mqtt_broker(uri)
            settings = dict(_pairs(endpoint, "notifierInfo"))
            self.version = settings.get("MQTT-Version", VERSIONS[1])
            if self.version not in VERSIONS:
                raise bad_request(f"notifierInfo: MQTT-Version is one of {', '.join(VERSIONS)}")
            if settings.get("MQTT-QoS", "0") not in ("0", "1", "2"):
                raise bad_request("notifierInfo: MQTT-QoS is 0, 1 or 2")
            self.qos = int(settings.get("MQTT-QoS", "0"))

    def request(self, notification: bytes, id: str) -> Request:
        """The request that carries a notification (a JSON object without @context, as bytes) under an id that stays the same however often it is sent."""
        if self._context:
            cut = notification.rstrip()[:-1]
            notification = cut + (self._context if len(cut) > 1 else self._context[1:])
        headers = (*self._headers, ("Kiban-Notification-Id", id))
        return Request("PUBLISH" if self.version else "POST", self.uri, headers, notification, self.timeout, self.cooldown, self.version, self.qos)
