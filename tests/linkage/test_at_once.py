"""A GET of an entity that is answered at once gets the answer that it would get by the long way, and in its turn."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.linkage.brokers import free_port
from tests.linkage.conftest import Client

from kiban.linkage.broker import serving
from kiban.linkage.broker.broker import Options

LD = "/ngsi-ld/v1"
WELL = {
    "id": "urn:ngsi-ld:Well:1",
    "type": "Well",
    "level": {"type": "Property", "value": 5, "unitCode": "MTR", "accuracy": {"type": "Property", "value": 1}},
    "name": {"type": "LanguageProperty", "languageMap": {"ja": "井戸", "en": "well"}},
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.0, 37.5]}},
    "near": {"type": "Relationship", "object": "urn:ngsi-ld:Well:2"},
}
PATHS = [
    f"{LD}/entities/{id}"
    for id in ("urn:ngsi-ld:Well:1", "urn:ngsi-ld:Well:1/", "urn:ngsi-ld:Well:9", "no%20uri", "urn:ngsi-ld:Well:1/attrs", "urn:%E4%BA%95", "")
]
QUERIES = [
    "", "options=keyValues", "options=sysAttrs", "format=concise", "attrs=level", "attrs=none", "pick=id,level", "omit=level", "lang=ja", "join=inline",
    "join=flat",    "type=Well", "type=Other", "local=true", "geometryProperty=location", "wrong=1", "options=wrong", "entityMap=true", "pick=",
    "datasetId=@none",    "a=%zz", "a=%ff",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {"accept": "application/ld+json"}, {"accept": "application/geo+json"}, {"accept": "text/plain"}, {"ngsild-tenant": "none"}, {"origin": "https://a.jp"},
    {"link": '<https://e.jp/c>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'}, {"link": "<https://e.jp/next>; rel=next"},
    {"prefer": "ngsi-ld=1.5"}, {"host": "evil.example"}, {"ngsild-snapshot": "urn:ngsi-ld:Snapshot:1"}, {"x-auth-token": "wrong"},
]  # fmt: skip


def plain(headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """What a client sees, without what differs from request to request."""
    told = json.loads(body) if body else None
    if isinstance(told, dict):
        told.pop("traceId", None)
    return sorted((bytes(name), value) for name, value in headers if name != b"content-length"), told


@pytest.mark.parametrize("cors", ["", "*"])
def test_what_is_answered_at_once_is_the_answer_of_the_long_way(brokers: Callable[..., Client], cors: str) -> None:
    broker = brokers(cors=cors)
    for entity in (WELL, {"id": "urn:ngsi-ld:Well:2", "type": "Well"}):
        assert broker("POST", f"{LD}/entities", entity).status == 201
    app = broker.app

    async def by_the_long_way(path: str, query: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, Any]:
        sent: list[Any] = []

        async def send(event: Any) -> None:
            sent.append(event)

        scope = {"type": "http", "method": "GET", "raw_path": path.encode(), "query_string": query.encode(), "headers": headers}
        await app(scope, None, send)
        return sent[0]["status"], plain(sent[0]["headers"], sent[1]["body"])

    async def look() -> dict[int, int]:
        seen: dict[int, int] = {}
        for path in PATHS:
            for query in QUERIES:
                for chosen in HEADERS:
                    headers = [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in chosen.items() if name != "host")]
                    if "host" in chosen:
                        headers[0] = (b"host", chosen["host"].encode())
                    found = app.at_once(path.encode(), query.encode(), dict(headers))
                    if found is None:
                        continue
                    status, sent, body = found
                    assert (status, plain(sent, body)) == await by_the_long_way(path, query, headers), (path, query, chosen)
                    seen[status] = seen.get(status, 0) + 1
        return seen

    seen = broker.runner.run(look())
    assert seen[200] > 50
    assert {400, 403, 404, 406} <= seen.keys()


def test_what_has_to_be_waited_for_is_not_answered_at_once(brokers: Callable[..., Client]) -> None:
    broker = brokers()
    assert broker("POST", f"{LD}/entities", WELL).status == 201
    path, host = f"{LD}/entities/{WELL['id']}".encode(), {b"host": b"localhost"}
    link = b'<https://e.jp/never-seen>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'

    async def ask(path: bytes, query: bytes, headers: dict[bytes, bytes]) -> Any:
        return broker.app.at_once(path, query, headers)

    assert broker.runner.run(ask(path, b"", host))[0] == 200
    assert broker.runner.run(ask(path, b"", host | {b"link": link})) is None
    assert broker.runner.run(ask(path, b"entityMap=true", host)) is None
    assert broker.runner.run(ask(f"{LD}/types".encode(), b"", host)) is None
    source = {"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "Well"}]}], "endpoint": "http://127.0.0.1:9", "mode": "inclusive"}
    assert broker("POST", f"{LD}/csourceRegistrations", source).status == 201
    assert broker.runner.run(ask(path, b"", host)) is None
    assert broker.runner.run(ask(f"{LD}/entities".encode(), b"type=Well", host)) is None
    assert broker.runner.run(ask(path, b"local=true", host))[0] == 200


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A broker under its HTTP server, with one well; a connection may be idle for a second."""
    found = free_port()
    config = serving.config(Options(port=found, db=str(tmp_path / "broker.db"), history=False))
    config.port, config.timeout_keep_alive = found, 1
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        assert talk(found, request("POST", "", json.dumps(WELL)))[0].startswith("HTTP/1.1 201")
        yield found
    finally:
        running.should_exit = True
        thread.join(20)


def request(method: str, id: str, body: str = "", *more: str, version: str = "1.1") -> bytes:
    """The bytes of a request for an entity."""
    lines = [f"{method} {LD}/entities{'/' if id else ''}{id} HTTP/{version}", "Host: localhost", *more]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"] if body else []
    return "\r\n".join([*lines, "", body]).encode()


def talk(port: int, *parts: bytes, pause: float = 0.0) -> list[str]:
    """Send parts on one connection and end it: the answers, each from its status line to the end of its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        text, quiet = b"", 0
        connection.settimeout(0.3)
        while quiet < 2:
            try:
                more = connection.recv(65536)
            except TimeoutError:
                quiet += 1
                continue
            if not more:
                break
            text += more
        return [f"HTTP/1.1 {answer}" for answer in text.decode().split("HTTP/1.1 ")[1:]]


def test_answers_come_in_the_order_of_their_requests(port: int) -> None:
    made = [json.dumps({"id": f"urn:ngsi-ld:Well:{n}", "type": "Well"}) for n in (5, 6)]
    asked = [
        request("GET", WELL["id"]), request("POST", "", made[0]), request("GET", "urn:ngsi-ld:Well:5"), request("GET", "urn:ngsi-ld:Well:6"),
        request("POST", "", made[1]), request("GET", "urn:ngsi-ld:Well:6"), request("HEAD", WELL["id"]), request("GET", "urn:ngsi-ld:Well:5"),
    ]  # fmt: skip
    for parts in ((b"".join(asked),), tuple(asked), tuple(bytes([byte]) for byte in b"".join(asked[:1]))):
        answers = talk(port, *parts)
        expected = [200, 201, 200, 404, 201, 200, 200, 200] if parts == (b"".join(asked),) else [200, 409, 200, 200, 409, 200, 200, 200]
        assert [int(answer[9:12]) for answer in answers] == expected[: len(answers)]
        assert len(answers) == (8 if len(parts) < 9 else 1)
        assert f'"id":"{WELL["id"]}"' in answers[0]


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        (request("GET", WELL["id"]), False),
        (request("GET", WELL["id"], "", "Connection: close"), True),
        (request("GET", WELL["id"], version="1.0"), True),
        (request("GET", WELL["id"], "", "Connection: keep-alive", version="1.0"), True),
        (request("GET", WELL["id"], '{"a": 1}'), False),
        (request("GET", WELL["id"], "", "Expect: 100-continue"), False),
        (request("GET", WELL["id"], "", "Proxy-Connection: keep-alive", version="1.0"), True),
        (request("GET", WELL["id"], "", "Transfer-Encoding: chunked") + b"0\r\n\r\n", False),
        (request("GET", WELL["id"], "", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", False),
        (request("GET", WELL["id"]).replace(f" {LD}".encode(), f" http://localhost{LD}".encode()), False),
        (request("GET", WELL["id"]).replace(b" HTTP", b"#part HTTP"), False),
    ],
)
def test_every_form_of_a_request_is_answered_and_the_next_one_too(port: int, asked: bytes, ends: bool) -> None:
    answers = [answer for answer in talk(port, asked, request("GET", WELL["id"]), pause=0.1) if not answer.startswith("HTTP/1.1 100")]
    assert [answer[9:12] for answer in answers] == (["200"] if ends else ["200", "200"])
    assert len({answer.partition("\r\n\r\n")[2] for answer in answers}) == 1


def test_a_connection_on_which_nothing_comes_is_ended_and_one_in_use_is_not(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as idle, socket.create_connection(("127.0.0.1", port), timeout=10) as used:
        began = time.monotonic()
        for _ in range(8):
            used.sendall(request("GET", WELL["id"]))
            assert used.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.3)
        assert time.monotonic() - began > 2
        assert idle.recv(1) == b""
        used.sendall(request("GET", WELL["id"]))
        assert used.recv(65536).startswith(b"HTTP/1.1 200")
        assert used.recv(65536) == b""


def test_an_answer_that_fails_is_told_as_500_and_ends_its_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise OSError("the log cannot be written")

    monkeypatch.setattr(serving.App, "answered", fails)
    [answer] = talk(port, request("DELETE", "urn:ngsi-ld:Well:1"), request("GET", "urn:ngsi-ld:Well:1"), pause=0.2)
    assert answer.startswith("HTTP/1.1 500")
    assert "connection: close" in answer
    monkeypatch.undo()
    assert talk(port, request("GET", "urn:ngsi-ld:Well:1"))[0].startswith("HTTP/1.1 404")
    assert talk(port, request("POST", "", json.dumps(WELL)))[0].startswith("HTTP/1.1 201")


def test_a_body_in_two_parts_is_one_body(port: int) -> None:
    whole = request("POST", "", json.dumps({**WELL, "id": "urn:ngsi-ld:Well:2"}))
    assert talk(port, whole[:-40], whole[-40:], request("GET", "urn:ngsi-ld:Well:2"), pause=0.2)[0].startswith("HTTP/1.1 201")


def test_a_body_that_is_asked_for_first_is_asked_for(port: int) -> None:
    whole = request("POST", "", json.dumps({**WELL, "id": "urn:ngsi-ld:Well:3"}), "Expect: 100-continue")
    cut = whole.index(b"\r\n\r\n") + 4
    answers = talk(port, whole[:cut], whole[cut:], request("GET", "urn:ngsi-ld:Well:3"), pause=0.2)
    assert [answer[9:12] for answer in answers] == ["100", "201", "200"]
