"""What one client may cost the others: long headers and queries, slow bodies, searches and deletions of very many entities."""

from __future__ import annotations

import asyncio
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

from kiban.linkage.broker import server, serving
from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.negotiate import link_context
from kiban.linkage.broker.ngsiv2_subs import _MACRO
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.broker.store.sqlite import SqliteStore
from kiban.linkage.errors import Problem

LD = "/ngsi-ld/v1"
Make = Callable[..., Any]


def test_a_long_link_header_that_never_ends_an_address_is_read_at_once() -> None:
    # Minutes, if every `<` looked for its end.
    assert link_context(b"<" * 400_000) is None
    assert link_context(b"<" * 9 + b'<https://a.jp/c>; rel="http://www.w3.org/ns/json-ld#context"') == "https://a.jp/c"


def test_a_long_template_that_never_ends_a_macro_is_read_at_once() -> None:
    assert _MACRO.sub("x", "${" * 400_000) == "${" * 400_000
    assert _MACRO.sub("x", "a ${b} ${c d}") == "a x x"


def test_long_queries_are_not_remembered() -> None:
    server.QUERIES.clear()
    for number in range(20):
        server.read_query(b"q=level==" + b"1" * 2000 + str(number).encode())
        server.read_query(b"q=level==" + str(number).encode())
    assert len(server.QUERIES) == 20


def test_an_answer_does_not_put_a_context_without_an_address_into_its_headers(brokers: Make) -> None:
    broker = brokers()
    body = [{"id": "urn:a:1", "type": "Well", "@context": {"level": "https://e.jp/level"}}, {"id": "no uri", "type": "Well", "@context": {"x": "ex:\r\nx"}}]
    said = broker("POST", f"{LD}/entityOperations/create", body, content_type="application/ld+json")
    assert said.status == 207
    assert said.body["success"] == ["urn:a:1"]
    assert "level" not in said.headers.get("link", "")


def test_a_context_that_changes_is_not_remembered_as_it_was(brokers: Make) -> None:
    """The same query under the same address of a @context means what the address says now."""
    broker = brokers()
    contexts = broker.app.broker.contexts
    for name in ("old", "new"):
        entity = {"id": f"urn:a:{name}", "type": "Well", "level": 1, "@context": {"level": f"https://e.jp/{name}"}}
        assert broker("POST", f"{LD}/entities", entity, content_type="application/ld+json").status == 201
    url = "https://e.jp/context"
    link = f'<{url}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    found = []
    for name in ("old", "new"):
        contexts.hosted = lambda asked, tenant, name=name: type(hosted(asked, tenant))({"level": f"https://e.jp/{name}"}, False, url) if asked == url else None
        contexts.clear()
        found.append([each["id"] for each in broker("GET", f"{LD}/entities?q=level==1", link=link).body])
    assert found == [["urn:a:old"], ["urn:a:new"]]


def hosted(url: str, tenant: str) -> Any:  # noqa: ARG001 - as Contexts asks
    from kiban.linkage.broker.contexts import Document

    return Document({}, False, url)


def test_a_body_that_comes_too_slowly_is_given_up(brokers: Make) -> None:
    broker = brokers()
    broker.app.seconds = 0.1
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        first = True

        async def receive() -> dict[str, Any]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"{", "more_body": True}
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        headers = [(b"content-type", b"application/json"), (b"content-length", b"100000")]
        scope = {"type": "http", "method": "POST", "raw_path": f"{LD}/entities".encode(), "query_string": b"", "headers": headers}
        await broker.app(scope, receive, send)

    broker.runner.run(run())
    assert sent[0]["status"] == 408


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A broker under its HTTP server."""
    found = free_port()
    options = Options(port=found, db=str(tmp_path / "broker.db"), history=False)
    config = serving.config(options)
    config.port = found
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield found
    running.should_exit = True
    thread.join(15)


def talk(port: int, *parts: bytes) -> bytes:
    """What a server answers until it closes the connection, or has answered once."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            return connection.recv(65_536)
        except ConnectionError:
            return b""


def test_headers_without_end_end_the_connection(port: int) -> None:
    body = json.dumps({"id": "urn:a:1", "type": "Well", "level": "x" * 200_000}).encode()
    head = b"POST /ngsi-ld/v1/entities HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    assert talk(port, head, body[:100_000], body[100_000:]).startswith(b"HTTP/1.1 201"), "a large body is no header"
    answers = [talk(port, b"GET /health HTTP/1.1\r\nhost: localhost\r\n", *[b"x-%d: " % n + b"y" * 8000 + b"\r\n" for n in range(20)])]
    answers.append(talk(port, b"GET /health HTTP/1.1\r\nx: ", *[b"y" * 8000] * 20))
    assert all(answer == b"" or answer.startswith(b"HTTP/1.1 431") for answer in answers)
    assert talk(port, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_headers_that_do_not_come_end_the_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    assert talk(port, b"GET /health HT") == b""
    assert talk(port, b"GET /health HT", b"TP/1.1\r\nhost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200")


def entity(number: int, kind: str) -> dict[str, Any]:
    at = "2026-01-01T00:00:00.000Z"
    return {
        "id": f"urn:e:{number}",
        "type": [kind],
        "createdAt": at,
        "modifiedAt": at,
        "ex:a": [{"type": "Property", "value": number, "createdAt": at, "modifiedAt": at}],
    }


def test_a_read_that_would_hold_up_the_event_loop_is_ended_there(tmp_path: Path) -> None:
    """Two indexes that have nothing in common give no entity, however many each of them has."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "broker.db")

        def fill(tx: Any) -> int:
            tenant = tx.open_tenant("")
            for number in range(3000):
                tx.put(tenant, entity(number, "ex:T"), None)
            return int(tenant)

        tenant = await store.write(fill)
        assert store.brief(lambda session: session.find(tenant, Selection(who=(Who(ids=("urn:e:7",)),)), 2)) is not None
        assert store.brief(lambda session: session.all("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n")) is None
        assert len(store.reader.find(tenant, Selection(attrs=("ex:a",)), 5000)) == 3000, "and reads go on"
        await store.close()

    asyncio.run(run())


def test_writes_that_take_long_leave_the_event_loop_to_others(tmp_path: Path) -> None:
    """A group of writes takes in no more than it has time for; those behind it keep their order."""

    async def run() -> list[tuple[str, int]]:
        store = SqliteStore(tmp_path / "broker.db")
        seen: list[tuple[str, int]] = []

        def op(number: int) -> Callable[[Any], int]:
            def work(tx: Any) -> int:
                tx.open_tenant(f"t{number}")
                seen.append(("write", number))
                time.sleep(0.03)
                if number == 3:
                    raise Problem("BadRequestData", "no")
                return number

            return work

        async def other() -> None:
            while len([each for each in seen if each[0] == "write"]) < 6:
                await asyncio.sleep(0)
                if seen and seen[-1][0] == "write":
                    seen.append(("other", 0))

        answers = await asyncio.gather(*(store.write(op(number)) for number in range(6)), other(), return_exceptions=True)
        await store.close()
        assert [each for each in answers[:6] if isinstance(each, int)] == [0, 1, 2, 4, 5]
        assert isinstance(answers[3], Problem)
        return seen

    seen = asyncio.run(run())
    assert len([each for each in seen if each[0] == "other"]) >= 2


def test_a_purge_goes_in_portions_and_leaves_what_it_was_not_about(brokers: Make) -> None:
    broker = brokers(history=False)
    for kind in ("Well", "Tank"):
        for start in range(0, 500, 250):
            body = [{"id": f"urn:{kind}:{number}", "type": kind, "level": number, "name": "n"} for number in range(start, start + 250)]
            assert broker("POST", f"{LD}/entityOperations/create", body).status == 201
    assert broker("DELETE", f"{LD}/entities?type=Well&q=level%3C450&drop=name").status == 204
    assert broker("GET", f"{LD}/entities?type=Well&attrs=name&limit=0&count=true").headers["ngsild-results-count"] == "50"
    assert broker("DELETE", f"{LD}/entities?type=Well").status == 204
    assert broker("GET", f"{LD}/entities?type=Well,Tank&limit=0&count=true").headers["ngsild-results-count"] == "500"
    assert broker("DELETE", f"{LD}/entities?type=Tank", ngsild_tenant="other").status == 404


def test_an_entity_with_too_many_places_leaves_nothing_behind(brokers: Make) -> None:
    broker = brokers(history=False)
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.0, 37.5]}}
    many = {"id": "urn:a:many", "type": "Well", "at": [{**place, "datasetId": f"urn:d:{number}"} for number in range(300)]}
    said = broker("POST", f"{LD}/entityOperations/create", [many, {"id": "urn:a:few", "type": "Well", "at": place}])
    assert said.status == 207
    assert said.body["success"] == ["urn:a:few"]
    assert broker("GET", f"{LD}/entities/urn:a:many").status == 404
    assert [each["id"] for each in broker("GET", f"{LD}/entities?type=Well").body] == ["urn:a:few"]


def test_a_page_elsewhere_cannot_call_the_broker_by_a_name_of_its_own(brokers: Make, tmp_path: Path) -> None:
    """Without a policy whoever reaches the broker may do everything; a browser would reach it for any page whose name leads to this machine."""
    open_broker = brokers(public_url="https://data.town.example")
    for host, status in (("127.0.0.1:1026", 200), ("localhost", 200), ("[::1]:1026", 200), ("data.town.example", 200), ("evil.example:1026", 403), ("[", 403)):
        assert open_broker("GET", f"{LD}/types", host=host).status == status, host
        assert open_broker("GET", "/v2/types", host=host).status == status, host
    (tmp_path / "policy.yaml").write_text('version: 1\nrules:\n  - {who: anyone, operations: ["*"], allow: true}\n')
    assert brokers(policy=tmp_path / "policy.yaml")("GET", f"{LD}/types", host="any.example").status == 200


def test_a_value_that_makes_no_address_stops_a_notification_and_not_the_write(brokers: Make) -> None:
    broker = brokers(history=False)
    for target in ({"httpCustom": {"url": "http://town.example${port}/n"}}, {"mqttCustom": {"url": "mqtt://town.example${port}", "topic": "a"}}):
        subscription = {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": target}
        assert broker("POST", "/v2/subscriptions", subscription).status == 201
    for port in (":99999", ":x", ":0", "[", ":", None):
        assert broker("POST", "/v2/entities", {"id": f"R{len(str(port))}", "type": "Room", "port": {"value": port}}).status in (201, 422), port
    assert broker("POST", "/v2/entities", {"id": "R9", "type": "Room", "port": {"value": ":9"}}).status == 201


def test_a_batch_has_a_length_in_both_interfaces(brokers: Make) -> None:
    broker = brokers(history=False)
    many = [{"id": f"urn:a:{number}", "type": "Room"} for number in range(5001)]
    assert broker("POST", "/v2/op/update", {"actionType": "append", "entities": many}).status == 413
    assert broker("POST", f"{LD}/entityOperations/create", many).status == 413
    assert broker("GET", "/v2/entities").body == []


def test_a_subscriber_cannot_set_the_headers_that_belong_to_the_connection(brokers: Make) -> None:
    from kiban.linkage.broker import outgoing

    broker = brokers(history=False)
    headers = {"X-Town": "Suzu", "Content-Length": "3", "transfer-encoding": "chunked", "Host": "inner"}
    subscription = {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": {"httpCustom": {"url": "http://127.0.0.1:9/n", "headers": headers}}}
    assert broker("POST", "/v2/subscriptions", subscription).status == 201
    assert broker("POST", "/v2/entities", {"id": "R1", "type": "Room"}).status == 201
    (row,) = broker.app.broker.store.reader.all("SELECT request FROM outbox")
    sent = {name.lower(): value for name, value in outgoing.decode(row[0]).headers}
    assert sent["x-town"] == "Suzu"
    assert not {"content-length", "transfer-encoding", "host"}.intersection(sent)


def test_throttling_of_a_change_that_was_rolled_back_holds_nobody_up(brokers: Make) -> None:
    """Two writes in one group: the second fails after it has written, so both are run again; the first still tells its subscriber, once."""
    broker = brokers(history=False)
    subscription = {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": {"http": {"url": "http://127.0.0.1:9/n"}}, "throttling": 3600}
    assert broker("POST", "/v2/subscriptions", subscription).status == 201
    store = broker.app.broker.store

    def failing(tx: Any) -> None:
        tx.open_tenant("nobody")
        raise Problem("BadRequestData", "no")

    async def both() -> list[Any]:
        writing = asyncio.ensure_future(broker.send("POST", "/v2/entities", {"id": "R1", "type": "Room"}, {"content-length": "2"}))
        while not store.waiting:
            await asyncio.sleep(0)
        return await asyncio.gather(writing, store.write(failing), return_exceptions=True)

    made, failed = broker.runner.run(both())
    assert made.status == 201
    assert isinstance(failed, Problem)
    assert broker("POST", "/v2/entities", {"id": "R2", "type": "Room"}).status == 201
    assert store.reader.one("SELECT count(*) FROM outbox")[0] == 1
