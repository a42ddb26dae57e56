"""What an operator sees: whether the broker is well, what it does, and what its log says and never says."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sqlite3
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kiban.linkage.access import Access
from kiban.linkage.broker import operate
from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.operate import BUCKETS, Meter, Operation, add_routes, cumulated, iso_duration, trace_of
from kiban.linkage.broker.server import App, Call, Reply, Routes
from kiban.linkage.broker.store import open_store
from kiban.linkage.errors import Problem


class Town:
    """As much of a broker as the operator's side needs."""

    def __init__(self, folder, **how) -> None:
        self.store = open_store(str(folder / "town.db"))
        self.access = Access()
        self.contexts = Contexts({})
        self.dispatcher = SimpleNamespace(delivered=3, failed=2, dead=1)
        self.state = "running"
        self.log = io.StringIO()
        self.operation = Operation(self, stream=self.log, **how)
        self.unexpected = self.operation.unexpected

    def v2_problem(self, problem: Problem) -> Reply:
        return Reply(problem.status, [], json.dumps({"error": problem.kind, "description": problem.detail}).encode(), b"application/json")

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@asynccontextmanager
async def running(folder, **how):
    town = Town(folder, **how)
    routes = Routes()
    add_routes(routes.add)

    async def echo(call: Call) -> Reply:
        return Reply(200, [], call.body or b"{}", b"application/json")

    async def fall(_: Call) -> Reply:
        raise ValueError("with Bearer abc.def.ghi in it")

    async def wait(_: Call) -> Reply:
        await asyncio.sleep(0.03)
        return Reply(204)

    routes.add("GET", "/ngsi-ld/v1/entities/{id}", echo)
    routes.add("POST", "/ngsi-ld/v1/entities", echo)
    routes.add("GET", "/ngsi-ld/v1/types", fall)
    routes.add("GET", "/v2/types", fall)
    routes.add("GET", "/slow", wait)
    app = App(town, routes)
    town.operation.attach(app)
    tasks = await town.operation.start()

    async def ask(path: str, method: str = "GET", body: bytes = b"", **headers: str) -> SimpleNamespace:
        sent = []
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.split("?")[0].encode(),
            "query_string": path.partition("?")[2].encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }

        async def receive() -> dict:
            return {"type": "http.request", "body": body}

        async def send(event: dict) -> None:
            sent.append(event)

        await app(scope, receive, send)
        return SimpleNamespace(status=sent[0]["status"], headers=dict(sent[0]["headers"]), text=sent[1]["body"].decode())

    try:
        yield town, ask
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await town.store.close()


def figures(text: str) -> dict[tuple, float]:
    return {(sample.name, *sorted(sample.labels.values())): sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


# --------------------------------------------------------------------------------------------------------------------------- is it well


def test_a_running_broker_is_alive_and_ready(tmp_path):
    async def walk():
        async with running(tmp_path) as (_, ask):
            assert json.loads((await ask("/health")).text) == {"status": "alive"}
            answer = await ask("/ready")
            assert answer.status == 200
            assert json.loads(answer.text) == {"status": "ready", "eventLoopLagSeconds": 0.0, "outboxLateSeconds": 0}

    asyncio.run(walk())


@pytest.mark.parametrize("state", ["starting", "stopping"])
def test_a_broker_that_starts_or_stops_is_alive_but_not_ready(tmp_path, state):
    async def walk():
        async with running(tmp_path) as (town, ask):
            town.state = state
            answer = await ask("/ready")
            assert (answer.status, json.loads(answer.text)["reasons"]) == (503, [f"the broker is {state}"])
            assert (await ask("/health")).status == 200

    asyncio.run(walk())


def test_a_broker_whose_disk_is_full_is_not_ready_and_is_again_when_there_is_room(tmp_path):
    async def walk():
        async with running(tmp_path) as (town, ask):
            connection = town.store.writer.connection
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(Problem, match="disk is full"):
                await town.store.write(lambda tx: tx.put_thing(tx.open_tenant(""), "subscription", "urn:s", {"fill": "x" * 1_000_000}))
            # Whatever the database says to a write, /ready says it too.
            real = town.store.write

            def full(_):
                future = asyncio.get_running_loop().create_future()
                future.set_exception(Problem("InternalError", "the disk is full", "make room", status=507))
                return future

            town.store.write = full
            answer = await ask("/ready")
            assert (answer.status, json.loads(answer.text)["reasons"]) == (503, ["the disk is full: make room"])
            town.store.write = real
            town.operation.probed = (-10.0, "")
            assert (await ask("/ready")).status == 200
            counted = figures((await ask("/metrics")).text)
            assert counted["kiban_store_errors_total",] == 1
            assert "disk is full" in next(line["problem"] for line in town.lines() if line["event"] == "writes not kept")

    asyncio.run(walk())


def test_a_database_that_hangs_is_told_instead_of_hanging_too(tmp_path, monkeypatch):
    monkeypatch.setattr(operate, "PROBE", 0.05)

    async def walk():
        async with running(tmp_path) as (town, ask):
            real, town.store.write = town.store.write, lambda _: asyncio.get_running_loop().create_future()
            answer = await ask("/ready")
            assert (answer.status, json.loads(answer.text)["reasons"]) == (503, ["a write took longer than 0.05 s"])
            town.store.write = real

    asyncio.run(walk())


def test_asking_often_whether_it_is_ready_writes_at_most_once_a_second(tmp_path):
    async def walk():
        async with running(tmp_path) as (town, ask):
            for _ in range(30):
                assert (await ask("/ready")).status == 200
            assert town.store.reader.changes("ready") <= 3

    asyncio.run(walk())


# --------------------------------------------------------------------------------------------------------------------------- what it does


def test_requests_are_counted_by_the_route_and_never_by_the_id_or_the_invented_method(tmp_path):
    async def walk():
        async with running(tmp_path) as (_, ask):
            for number in range(5):
                await ask(f"/ngsi-ld/v1/entities/urn:person:{number}")
                await ask(f"/nowhere/{number}")
                await ask("/ngsi-ld/v1/entities", method=f"BREW{number}")
            await ask("/ngsi-ld/v1/entities", "POST", b"{}")
            answer = await ask("/metrics")
            assert answer.headers[b"content-type"].startswith(b"text/plain")
            counted = figures(answer.text)
            assert counted["kiban_requests_total", "/ngsi-ld/v1/entities/{id}", "200", "GET"] == 5
            assert counted["kiban_requests_total", "404", "GET", "none"] == 5
            assert counted["kiban_requests_total", "/ngsi-ld/v1/entities", "405", "OTHER"] == 5
            assert counted["kiban_request_seconds_count", "/ngsi-ld/v1/entities", "POST"] == 1
            assert "urn:person" not in answer.text
            assert "BREW" not in answer.text

    asyncio.run(walk())


def test_writes_notifications_and_what_is_kept_have_their_figures(tmp_path):
    from kiban.linkage.broker.store.contract import Message

    async def walk():
        async with running(tmp_path, count_entities=True) as (town, ask):

            def op(tx) -> None:
                tenant = tx.open_tenant("")
                tx.put_thing(tenant, "subscription", "urn:s:1", {"id": "urn:s:1"})
                tx.enqueue([Message("http://a", tenant, "urn:s:1", "x", b"{}"), Message("http://b", tenant, "urn:s:1", "x", b"{}")], 1_000_000)
                tx.do("UPDATE outbox SET dead = 2000000 WHERE endpoint = 'http://b'")

            await asyncio.gather(town.store.write(op), *(town.store.write(lambda tx: tx.touch("x")) for _ in range(9)))
            town.operation.meter.add("forwarded", 3)
            town.operation.looked = -10.0
            counted = figures((await ask("/metrics")).text)
            assert counted["kiban_outbox", "waiting"] == 1
            assert counted["kiban_outbox", "dead"] == 1
            assert counted["kiban_outbox_late_seconds",] > 1_000_000
            assert counted["kiban_kept", "subscription"] == 1
            assert [counted[f"kiban_notifications_{name}_total",] for name in ("delivered", "failed", "dead")] == [3, 2, 1]
            assert counted["kiban_forwarded_total",] == 3
            assert counted["kiban_writes_total",] == counted["kiban_write_group_sum",] == 11, "ten here, and the alias at the start"
            assert counted["kiban_commit_seconds_count",] == counted["kiban_write_group_count",]
            assert counted["kiban_entities",] == 0
            assert counted["kiban_store_bytes",] > 0
            assert counted["process_open_fds",] > 0

    asyncio.run(walk())


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST"]), st.sampled_from(["/a", "/b"]), st.sampled_from([200, 404]), st.floats(0, 20)), max_size=40))
def test_buckets_hold_what_a_count_by_hand_finds(seen):
    meter = Meter()
    for one in seen:
        meter.observe(*one)
    for key, cell in meter.requests.items():
        spans = [seconds for *rest, seconds in seen if tuple(rest) == key]
        buckets, total = cumulated(cell, BUCKETS)
        assert [count for _, count in buckets] == [*(sum(span <= bound for span in spans) for bound in BUCKETS), len(spans)]
        assert total == pytest.approx(sum(spans))
    assert sum(sum(cell[:-1]) for cell in meter.requests.values()) == len(seen)


def test_an_event_loop_that_was_held_up_is_seen():
    import time

    async def walk() -> float:
        meter = Meter()
        task = asyncio.create_task(meter.watch())
        await asyncio.sleep(0.01)
        time.sleep(0.5)
        await asyncio.sleep(0.01)
        task.cancel()
        return meter.lag

    assert asyncio.run(walk()) > 0.2


def test_figures_need_the_right_to_see_them(tmp_path):
    (tmp_path / "p.yaml").write_text("version: 1\nrules: [{who: anyone, operations: info.read, allow: true}]\n", "utf-8")

    async def walk():
        async with running(tmp_path) as (town, ask):
            town.access.path = tmp_path / "p.yaml"
            town.access.reload()
            answer = await ask("/metrics")
            assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b"Bearer")
            assert (await ask("/version")).status == 200
            assert (await ask("/health")).status == 200
            assert (await ask("/ngsi-ld/v1/entities/a", authorization="Bearer nobody")).status == 401

    asyncio.run(walk())


# --------------------------------------------------------------------------------------------------------------------------- its log


def test_an_unexpected_error_is_told_to_the_log_in_full_and_to_the_client_by_its_id(tmp_path):
    async def walk():
        async with running(tmp_path) as (town, ask):
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            answer = await ask("/ngsi-ld/v1/types", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
            body = json.loads(answer.text)
            assert (answer.status, body["type"], body["traceId"]) == (500, "https://uri.etsi.org/ngsi-ld/errors/InternalError", trace)
            assert "ValueError" not in answer.text
            line = town.lines()[-1]
            assert (line["level"], line["trace"], line["route"]) == ("error", trace, "/ngsi-ld/v1/types")
            assert "in fall" in line["traceback"]
            assert "abc.def" not in line["traceback"]
            second = json.loads((await ask("/v2/types")).text)
            assert second["error"] == "InternalError"
            assert re.search(r"under [0-9a-f]{32}$", second["description"])

    asyncio.run(walk())


def test_slow_requests_are_always_in_the_log_and_quick_ones_only_if_asked(tmp_path):
    async def walk(**how):
        async with running(tmp_path, **how) as (town, ask):
            await ask("/ngsi-ld/v1/entities/urn:a?q=secretName==%22Taro%22&type=T", authorization="Bearer abc")
            await ask("/ngsi-ld/v1/entities", "POST", b'{"name": "Hanako"}', NGSILD_Tenant="river")
            await ask("/slow")
            text = town.log.getvalue()
            assert "Taro" not in text
            assert "Hanako" not in text
            assert "abc" not in text.replace(town.operation.alias, "")
            return [(line["event"], line.get("path"), line.get("asked")) for line in town.lines()[1:]]

    assert asyncio.run(walk(slow=0.02)) == [("slow request", "/slow", None)]
    told = asyncio.run(walk(slow=0.02, access_log=True))
    assert told == [("request", "/ngsi-ld/v1/entities/urn:a", ["q", "type"]), ("request", "/ngsi-ld/v1/entities", None), ("slow request", "/slow", None)]


def test_warnings_of_other_parts_are_lines_of_the_same_log_and_told_once(tmp_path):
    async def walk():
        for _ in range(2):
            async with running(tmp_path) as (town, _):
                try:
                    raise ValueError("with Bearer abc.def")
                except ValueError:
                    logging.getLogger("kiban.linkage.broker.delivery").exception("endpoint %s", "postgresql://a:geheim@b/c")
                logging.getLogger("kiban.linkage.broker.delivery").info("not this")
                found = [line for line in town.lines() if line.get("logger")]
                assert [(line["level"], line["event"]) for line in found] == [("error", "endpoint postgresql://a:…@b/c")]
                assert "abc" not in found[0]["traceback"]

    asyncio.run(walk())


@given(st.text(), st.text())
def test_every_line_of_the_log_is_one_json_object_whatever_it_tells(name, value):
    stream = io.StringIO()
    operate.open_log(stream).info("told", **{"x" + name: value})
    line, rest = stream.getvalue().split("\n")
    assert rest == ""
    assert json.loads(line)["event"] == "told"


@given(st.binary(max_size=80))
def test_a_trace_id_is_32_hexadecimal_digits_whatever_the_client_sends(header):
    call = Call()
    call.headers, call.trace = {b"traceparent": header}, ""
    assert re.fullmatch(r"[0-9a-f]{32}", trace_of(call))
    assert trace_of(call) == trace_of(call)


# ------------------------------------------------------------------------------------------------------------------------- who it is


def test_a_context_source_tells_an_identity_of_each_tenant_that_outlives_a_restart(tmp_path):
    async def walk() -> list[dict]:
        async with running(tmp_path) as (_, ask):
            told = [json.loads((await ask("/ngsi-ld/v1/info/sourceIdentity", ngsild_tenant=tenant)).text) for tenant in ("", "river", "school")]
            linked = await ask("/ngsi-ld/v1/info/sourceIdentity", accept="application/ld+json")
            assert "@context" in json.loads(linked.text)
            return told

    before, after = asyncio.run(walk()), asyncio.run(walk())
    aliases = [one["contextSourceAlias"] for one in before]
    assert len(set(aliases)) == 3
    assert aliases == [one["contextSourceAlias"] for one in after]
    for one in before:
        assert one["type"] == "ContextSourceIdentity"
        assert re.fullmatch(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?", one["contextSourceUptime"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["contextSourceTimeAt"])


@given(st.integers(0, 10_000_000))
def test_a_duration_says_the_seconds_that_went_in(seconds):
    found = re.fullmatch(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", iso_duration(seconds))
    day, hour, minute, second = (int(part or 0) for part in found.groups())
    assert ((day * 24 + hour) * 60 + minute) * 60 + second == seconds


def test_two_brokers_have_two_names(tmp_path):
    async def walk(name: str) -> str:
        (tmp_path / name).mkdir()
        async with running(tmp_path / name) as (town, _):
            return town.operation.alias

    assert asyncio.run(walk("a")) != asyncio.run(walk("b"))
    with sqlite3.connect(tmp_path / "a" / "town.db") as connection:
        assert connection.execute("SELECT count(*) FROM thing WHERE kind = 'identity'").fetchone() == (1,)
    connection.close()
