"""The load tool against a broker of a few lines: a right one is found right, and each way of being wrong is found."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import KibanError
from kiban.cli import main
from kiban.linkage.broker import load as tool
from kiban.linkage.broker.load import Histogram, Load, parse_mix, run
from kiban.linkage.broker.population import CONTEXT, DEFAULT, KINDS, OTHER_KINDS, Population, questions

NAMES = CONTEXT["@context"]
KEPT = {"id", "type", "location"}


class Small(asyncio.Protocol):
    """A broker that keeps entities with full names in a dict, and does what `fault` says wrong."""

    def __init__(self, state: State) -> None:
        self.state = state

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.state.open.add(transport)
        self.begin()

    def connection_lost(self, _: Exception | None) -> None:
        self.state.open.discard(self.transport)

    def begin(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.url, self.body, self.headers = b"", b"", dict[str, str]()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        method, url = self.parser.get_method().decode(), self.url.decode()
        state = self.state
        state.requests.append(f"{method} {url} {'link' if 'link' in self.headers else ''} {self.body.decode()}")
        state.count += 1
        if state.fault == "hangs up" and state.count % 50 == 0:
            self.transport.close()
            return
        status, answer = state.answer(method, url, json.loads(self.body) if self.body else None, "link" in self.headers)
        data = b"" if answer is None else json.dumps(answer).encode()
        place = b"Location: /ngsi-ld/v1/jsonldContexts/1\r\n" if method == "POST" and url.endswith("/jsonldContexts") else b""
        self.transport.write(b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, place, len(data), data))
        self.url, self.body, self.headers = b"", b"", {}


class State:
    """What the broker holds."""

    def __init__(self, fault: str) -> None:
        self.fault, self.count = fault, 0
        self.entities: dict[str, dict[str, Any]] = {}
        self.subscriptions: list[tuple[dict[str, Any], bool]] = []
        self.requests: list[str] = []
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.more = threading.Event()
        self.over = False
        self.open: set[asyncio.BaseTransport] = set()

    async def close(self, server: asyncio.Server) -> None:
        await asyncio.sleep(0.02)  # what was just accepted is not in `open` yet, and a server that is closed under it leaves it open
        server.close()
        while self.open:
            for transport in list(self.open):
                transport.close()
            await asyncio.sleep(0)

    def long(self, name: str, link: bool) -> str:
        return name if name in KEPT else NAMES.get(name, DEFAULT + name) if link else DEFAULT + name

    def inward(self, body: dict[str, Any], link: bool) -> dict[str, Any]:
        found = {self.long(name, link): value for name, value in body.items()}
        return {**found, "type": self.long(body["type"], link)} if "type" in body else found

    def outward(self, entity: dict[str, Any], link: bool) -> dict[str, Any]:
        short = {iri: name for name, iri in NAMES.items()} if link else {}

        def name(iri: str) -> str:
            plain = iri.removeprefix(DEFAULT)
            return short.get(iri, f"ngsi-ld:default-context/{plain}" if link and plain in NAMES and iri != plain else plain)

        return {name(key): name(value) if key == "type" else value for key, value in entity.items()}

    def write(self, id: str, attrs: dict[str, Any]) -> None:
        self.entities[id] = {**self.entities.get(id, {}), **attrs}
        for subscription, link in self.subscriptions:
            [who] = subscription["entities"]
            entity = self.entities[id]
            if entity["type"] == self.long(who["type"], link) and who.get("id", id) == id:
                self.notes.append((subscription["notification"]["endpoint"]["uri"], {"type": "Notification", "data": [self.outward(entity, link)]}))
                if self.fault == "forgets a notification" and len(self.notes) == 5:
                    self.notes.pop()
                    self.fault = ""
                self.more.set()

    def answer(self, method: str, url: str, body: Any, link: bool) -> tuple[int, Any]:
        path, asked = urlsplit(url).path, parse_qs(urlsplit(url).query)
        rest = unquote(path).removeprefix("/ngsi-ld/v1/").split("/")
        if rest[0] == "jsonldContexts":
            return (201, None) if method == "POST" else (200, {"URL": "http://here/context"})
        if method == "DELETE":
            self.subscriptions = [one for one in self.subscriptions if one[0]["id"] != rest[1]]
            return 204, None
        if rest[0] == "subscriptions":
            self.subscriptions.append((body, link))
            return 201, None
        if rest[-1] == "delete":
            for id in body:
                del self.entities[id]
            return 204, None
        if rest[0] == "entityOperations":
            for one in body:
                self.write(one["id"], self.inward(one, link))
            return 204, None
        if method == "POST":
            self.write(body["id"], self.inward(body, link))
            return 201, None
        if method == "PATCH":
            if self.fault == "refuses" and self.count % 7 == 0:
                return 503, None
            if not (self.fault == "forgets a write" and self.count % 5 == 0):
                self.write(rest[1], self.inward(body, link))
            return 204, None
        if len(rest) == 2:
            found = self.entities.get(rest[1])
            if found and self.fault == "mixes up" and self.count % 3 == 0:
                found = {**found, "location": None}
            return (200, self.outward(found, link)) if found else (404, None)
        return 200, self.query(asked, link)

    def query(self, asked: dict[str, list[str]], link: bool) -> list[Any]:
        rows = [entity for entity in self.entities.values() if entity["type"] == self.long(asked["type"][0], link)]
        for term in asked.get("q", [""])[0].split(";"):
            if match := re.match(r"(\w+)(==|>)(.*)", term):
                iri, sign, wanted = self.long(match[1], link), match[2], match[3]
                value = [(entity, entity[iri]["value"]) for entity in rows if iri in entity]
                if ".." in wanted:
                    low, high = map(float, wanted.split(".."))
                    rows = [entity for entity, one in value if low <= one <= high]
                elif self.fault != "ignores q":
                    rows = [entity for entity, one in value if (one > float(wanted) if sign == ">" else one == json.loads(wanted))]
        if "georel" in asked:
            shape = json.loads(asked["coordinates"][0])
            places = [(entity, entity["location"]["value"]["coordinates"]) for entity in rows]
            if asked["georel"][0] == "within":
                (west, south), _, (east, north), *_ = shape[0]
                rows = [entity for entity, (x, y) in places if west <= x <= east and south <= y <= north]
            else:
                far = float(asked["georel"][0].rpartition("=")[2])
                rows = [entity for entity, place in places if metres(shape, place) <= far]
        if "idPattern" in asked:
            rows = [entity for entity in rows if re.search(asked["idPattern"][0], entity["id"])]
        if "attrs" in asked:
            keep = {self.long(name, link) for name in asked["attrs"][0].split(",")} | {"id", "type"}
            rows = [{name: value for name, value in entity.items() if name in keep} for entity in rows]
        skip, limit = int(asked.get("offset", ["0"])[0]), int(asked["limit"][0])
        if self.fault == "gives too few":
            limit -= 1
        return [self.outward(entity, link) for entity in rows[skip : skip + limit]]

    def deliver(self) -> None:
        while not self.over:
            self.more.wait(0.05)
            self.more.clear()
            while self.notes:
                uri, body = self.notes.pop(0)
                try:
                    urlopen(Request(uri, json.dumps(body).encode(), {"Content-Type": "application/json"}), timeout=5).close()
                except OSError:
                    return


def metres(a: list[float], b: list[float]) -> float:
    x, y = math.radians(b[0] - a[0]) * math.cos(math.radians((a[1] + b[1]) / 2)), math.radians(b[1] - a[1])
    return 6_371_008.8 * math.hypot(x, y)


@contextmanager
def small(fault: str = "") -> Iterator[tuple[str, State]]:
    state = State(fault)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: Small(state), "127.0.0.1", 0))
    threads = [threading.Thread(target=loop.run_forever), threading.Thread(target=state.deliver)]
    for thread in threads:
        thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", state
    finally:
        state.over = True
        loop.call_soon_threadsafe(loop.stop)
        for thread in threads:
            thread.join()
        loop.run_until_complete(asyncio.wait_for(state.close(server), 10))
        loop.close()


def a_load(url: str, mix: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"requests": 600, "entities": 500, "connections": 8, "wait": 5.0, "limit": 5.0} | more
    return run(Load(url=url, mix=parse_mix(mix), **given))


@pytest.fixture(autouse=True)
def every_body_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "EVERY", {"read": 0.0, "query": 0.0})


@pytest.mark.parametrize("context", ["host", "http://here/context", "none"])
def test_a_right_broker_is_found_right(context: str):
    with small() as (url, state):
        report = a_load(url, "read=40,query=30,write=25,batch=5", context=context, queries=(*KINDS, *OTHER_KINDS))
        linked = sum(" link " in one for one in state.requests)
    assert (report["errors"], report["differences"], report["requests"]) == ({}, [], 600)
    assert report["compared"] > 300
    assert set(report["work"]) == {"read", "query", "create", "patch", "batch"}
    assert linked == 0 if context == "none" else 0.35 < linked / len(state.requests) < 0.65
    assert sum("jsonldContexts" in request for request in state.requests) == (3 if context == "host" else 0)  # and it is removed


@pytest.mark.parametrize(
    ("fault", "mix"),
    [("forgets a write", "read=50,write=50"), ("mixes up", "read=1"), ("ignores q", "query=1"), ("gives too few", "query=90,write=10")],
)
def test_a_wrong_body_is_found(fault: str, mix: str):
    with small(fault) as (url, _):
        report = a_load(url, mix)
    assert report["different"] > 0
    assert report["differences"]


def test_a_refusal_is_counted_by_status_and_a_write_that_nobody_confirmed_may_or_may_not_be_there():
    with small("refuses") as (url, _):
        report = a_load(url, "read=50,patch=50")
    assert set(report["errors"]) == {"patch 503"}
    assert report["different"] == 0


def test_a_connection_that_breaks_is_counted_and_opened_again():
    with small("hangs up") as (url, _):
        report = a_load(url, "subscribe=1", requests=400, fill=False)
    assert set(report["errors"]) <= {"subscribe connection lost"}
    assert report["errors"]["subscribe connection lost"] >= 5
    assert report["requests"] + sum(report["errors"].values()) == 400


def test_the_same_seed_sends_the_same_requests():
    def sent(seed: int) -> list[str]:
        with small() as (url, state):
            run(Load(url=url, mix=parse_mix("read=50,query=30,patch=20"), requests=200, entities=100, connections=1, seed=seed, context="none"))
            return [re.sub(r"^(GET|POST|PATCH) ", "", one) for one in state.requests if "load-" not in one]

    assert sent(5) == sent(5) != sent(6)


def test_notifications_are_counted_and_waited_for():
    with small() as (url, state):
        report = a_load(url, "patch=80,create=10,subscribe=10", requests=100, subscriptions=3, matching=2)
        assert (state.subscriptions, len(state.entities)) == ([], 0)  # it takes away what it made
    told = report["notifications"]
    assert told["missing"] == 0
    assert told["delivered"] >= told["expected"] > 20
    assert report["errors"] == {}


def test_a_notification_that_never_comes_is_missed():
    with small("forgets a notification") as (url, _):
        report = a_load(url, "patch=1", requests=100, matching=2, wait=1.0)
    assert report["notifications"]["missing"] == 1


def test_a_second_run_goes_on_with_what_the_first_one_left():
    with small() as (url, _):
        town = Population(200, 1, "x")
        first = Load(url=url, mix=parse_mix("read=50,write=50"), requests=300, entities=200, connections=4, keep=True)
        assert run(first, town)["different"] == 0
        again = run(Load(url=url, mix=parse_mix("read=50,query=20,write=30"), requests=300, entities=200, connections=4, fill=False, seed=2), town)
    assert (again["different"], again["errors"]) == (0, {})


def test_what_was_there_before_stays_there():
    with small() as (url, state):
        a_load(url, "read=50,write=50", keep=True)
        kept = len(state.entities)
        a_load(url, "read=1", fill=False, entities=8)
        assert len(state.entities) == kept >= 500


def test_an_address_without_http_is_told_as_such(capsys: pytest.CaptureFixture[str]):
    assert main(["broker", "load", "127.0.0.1:1026"]) == 2
    assert "begins with http:// or https://" in capsys.readouterr().err


def test_no_broker_is_told_at_once():
    with pytest.raises(KibanError, match="a broker that answers"):
        run(Load(url="http://127.0.0.1:9", fill=False, context="none"))


@pytest.mark.parametrize("text", ["", "reed=1", "read=x", "read=-1", "read=0", "read=nan"])
def test_a_mix_that_is_none_is_refused(text: str):
    with pytest.raises(KibanError, match="--mix"):
        parse_mix(text)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=300), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_a_256th_of_the_true_one(times: list[int], share: float):
    histogram = Histogram()
    for us in times:
        histogram.add(us)
    true = sorted(times)[max(0, math.ceil(share * len(times) - 1e-9) - 1)]
    assert histogram.at(share) <= true <= histogram.at(share) * (1 + 1 / 256) + 1


def test_the_kinds_of_queries_differ_and_repeat_by_seed():
    town = Population(1000, 3)
    made = questions(town, (*KINDS, *OTHER_KINDS), seed=4, many=900)
    assert [one.text for one in made] == [one.text for one in questions(town, (*KINDS, *OTHER_KINDS), seed=4, many=900)]
    assert len({one.text for one in made}) > 600
    assert 0.4 < sum(one.linked for one in made) / 900 < 0.6


def test_the_command_ends_with_one_when_an_answer_was_wrong(capsys: pytest.CaptureFixture[str]):
    parser = argparse.ArgumentParser()
    tool.add_load(parser)
    with small() as (url, _):
        words = [url, "--mix", "read=9,write=1", "--requests", "200", "--entities", "200", "--json"]
        assert tool.run_load(parser.parse_args(words)) == 0
        assert json.loads(capsys.readouterr().out)["requests"] == 200
        assert tool.run_load(parser.parse_args(words[:-1])) == 0
        assert "p99" in capsys.readouterr().out
    with small("mixes up") as (url, _):
        assert tool.run_load(parser.parse_args([url, *words[1:]])) == 1
