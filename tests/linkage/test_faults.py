"""What a broker does when it is killed, when its disk is full or read-only, when its database goes away and when its clock jumps."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.linkage.conftest import Client
from tests.linkage.fuzz import free_port, start

from kiban.linkage.broker import times
from kiban.linkage.broker.delivery import OutboxAway, OutboxUncertain, Settled
from kiban.linkage.broker.outbox import StoreOutbox
from kiban.linkage.broker.store import Message, open_store
from kiban.linkage.broker.store.contract import Uncertain
from kiban.linkage.errors import Problem

KILLS = int(os.environ.get("KILLS", "5"))  # 100 for the whole proof
LD = "/ngsi-ld/v1"
WRITERS, EACH = 3, 8


class Received:
    """A receiver of notifications: who was told what, and how it was marked."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str, Any], list[tuple[str, int]]] = {}  # (path, entity, value) → (notification id, attempt)
        received = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for entity in body["data"]:
                    marks = received.told.setdefault((self.path, entity["id"], entity["level"]["value"]), [])
                    marks.append((self.headers["Kiban-Notification-Id"], int(self.headers["Kiban-Delivery-Attempt"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A broker that was killed has left its connections behind."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Received]:
    received = Received()
    yield received
    received.close()


def ask(port: int, method: str, path: str, body: Any = None, timeout: float = 10.0) -> tuple[int, Any]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {} if body is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        connection.close()


def until(true: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError, http.client.HTTPException):
            if true():
                return True
        time.sleep(0.02)
    return False


class Writer(threading.Thread):
    """Writes rising numbers into entities of its own, until the broker is gone or it is told to stop; knows what was acknowledged."""

    def __init__(self, port: int, number: int, begin: int, *, stubborn: bool = False) -> None:
        super().__init__(daemon=True)
        self.port, self.number, self.serial, self.stubborn = port, number, begin, stubborn
        self.acknowledged: list[tuple[str, int]] = []
        self.refused: list[tuple[int, Any]] = []
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                while not self.ended:
                    self.serial += 1
                    id = f"urn:ngsi-ld:Gauge:{self.number}-{self.serial % EACH}"
                    body = json.dumps({"level": {"type": "Property", "value": self.serial}})
                    connection.request("PATCH", f"{LD}/entities/{id}/attrs", body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    content = answer.read()
                    if answer.status == 204:
                        self.acknowledged.append((id, self.serial))
                    else:
                        self.refused.append((answer.status, json.loads(content)))
                        time.sleep(0.02)
            except (OSError, http.client.HTTPException):
                if not self.stubborn:
                    return
                time.sleep(0.05)
            finally:
                connection.close()


def fill(port: int) -> None:
    """The entities of all writers."""
    ids = [f"urn:ngsi-ld:Gauge:{number}-{place}" for number in range(WRITERS) for place in range(EACH)]
    entities = [{"id": id, "type": "Gauge", "level": {"type": "Property", "value": 0}} for id in ids]
    assert ask(port, "POST", f"{LD}/entityOperations/create", entities)[0] == 201


def subscribe(port: int, url: str) -> None:
    """One subscription of each API to every change of a gauge."""
    endpoint = {"uri": f"{url}/ld", "accept": "application/json"}
    new = {"type": "Subscription", "entities": [{"type": "Gauge"}], "watchedAttributes": ["level"], "notification": {"endpoint": endpoint}}
    assert ask(port, "POST", f"{LD}/subscriptions", new)[0] == 201
    old = {
        "subject": {"entities": [{"idPattern": ".*", "type": "Gauge"}], "condition": {"attrs": ["level"]}},
        "notification": {"http": {"url": f"{url}/v2"}, "attrs": ["level"]},
    }
    assert ask(port, "POST", "/v2/subscriptions", old)[0] == 201


def value_of(port: int, id: str) -> Any:
    return ask(port, "GET", f"{LD}/entities/{id}")[1]["level"]["value"]


@pytest.mark.timeout(1200)
def test_a_broker_that_is_killed_under_load_loses_no_write_and_no_notification(tmp_path: Path, receiver: Received) -> None:
    port, dice = free_port(), random.Random(4711)
    process = start(tmp_path, port)
    acknowledged: list[tuple[str, int]] = []
    begin = [0] * WRITERS
    ready: list[float] = []
    try:
        fill(port)
        subscribe(port, receiver.url)
        for _ in range(KILLS):
            writers = [Writer(port, number, begin[number]) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(dice.uniform(0.05, 0.5))
            process.kill()
            process.wait()
            for writer in writers:
                writer.join()
            begin = [writer.serial for writer in writers]
            acknowledged += [pair for writer in writers for pair in writer.acknowledged]
            assert sqlite3.connect(f"file:{tmp_path / 'broker.db'}?mode=ro", uri=True).execute("PRAGMA quick_check").fetchone() == ("ok",)
            began = time.perf_counter()
            process = start(tmp_path, port)
            assert until(lambda: ask(port, "GET", "/ready")[0] == 200)
            ready.append(time.perf_counter() - began)
            newest = dict(acknowledged)  # the last one of an entity counts
            for id, serial in newest.items():
                assert serial <= value_of(port, id) <= max(begin), f"{id}: a write that was acknowledged is lost"
        assert len(acknowledged) > KILLS * WRITERS
        missing = {(path, *pair) for pair in acknowledged for path in ("/ld", "/v2")}
        until(lambda: not missing - receiver.told.keys())
        assert missing <= receiver.told.keys(), "a notification is lost"
    finally:
        process.kill()
        process.wait()
    for marks in receiver.told.values():
        assert len({id for id, _ in marks}) == 1, "the same notification under two ids"
        assert [attempt for _, attempt in marks].count(1) <= 1, "a duplicate without a mark"
    ready.sort()
    print(f"{KILLS} kills, {len(acknowledged)} writes acknowledged; ready after {ready[0]:.2f} to {ready[-1]:.2f} s, median {ready[len(ready) // 2]:.2f} s")


ENTITY = {"id": "urn:ngsi-ld:Note:1", "type": "Note", "text": {"type": "Property", "value": "x"}}


def big(number: int) -> dict[str, Any]:
    return {**ENTITY, "id": f"urn:ngsi-ld:Note:{number}", "text": {"type": "Property", "value": "x" * 40_000}}


def fill_up(client: Client) -> int:
    """Create until it is refused; how many were created."""
    for number in range(10_000):
        answer = client("POST", f"{LD}/entities", big(number))
        if answer.status != 201:
            assert (answer.status, answer.body["title"]) == (507, "the disk is full"), answer
            return number
    raise AssertionError("never full")


def test_on_a_full_disk_writes_are_refused_reads_go_on_and_space_ends_it(brokers: Callable[..., Client]) -> None:
    client = brokers()
    connection = client.app.broker.store.writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 60}")
    kept = fill_up(client)
    assert kept > 3
    assert client("POST", f"{LD}/entityOperations/create", [big(10_001), big(10_002)]).status in (400, 507)
    assert client("GET", f"{LD}/entities/urn:ngsi-ld:Note:0").status == 200
    assert len(client("GET", f"{LD}/entities?type=Note&limit=1000&pick=id").body) == kept
    assert client("GET", f"{LD}/entities/urn:ngsi-ld:Note:{kept}").status == 404
    connection.execute("PRAGMA max_page_count = 1000000")
    assert client("POST", f"{LD}/entities", big(kept)).status == 201
    assert client("GET", "/ready").status == 200
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own; skips where none may be mounted."""
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_small_disk_the_same_holds_and_a_read_only_one_is_refused_at_the_start(tmp_path: Path, brokers: Callable[..., Client]) -> None:
    with small_disk(tmp_path / "disk", "6m") as disk:
        client = brokers(db=str(disk / "broker.db"))
        kept = fill_up(client)
        assert client("GET", f"{LD}/entities/urn:ngsi-ld:Note:0").status == 200
        assert len(client("GET", f"{LD}/entities?type=Note&limit=1000&pick=id").body) == kept
        assert client("POST", f"{LD}/entities", big(9999)).status == 507
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        assert client("POST", f"{LD}/entities", big(9999)).status == 201
        client.runner.run(client.app.broker.stop())  # before the disk goes; a second stop does nothing
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = broker_run(["--db", str(disk / "broker.db")])
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert "expected a SQLite file that can be written" in done.stderr


def test_on_a_read_only_database_writes_are_refused_reads_go_on_and_it_ends_by_itself(brokers: Callable[..., Client]) -> None:
    client = brokers()
    assert client("POST", f"{LD}/entities", ENTITY).status == 201
    connection = client.app.broker.store.writer.connection
    connection.execute("PRAGMA query_only = ON")
    answer = client("POST", f"{LD}/entities", {**ENTITY, "id": "urn:ngsi-ld:Note:2"})
    assert (answer.status, answer.body["title"]) == (503, "the disk is read-only")
    v2 = client("POST", "/v2/entities", {"id": "R", "type": "Room"})
    assert (v2.status, set(v2.body)) == (503, {"error", "description"})
    assert client("GET", f"{LD}/entities/urn:ngsi-ld:Note:1").status == 200
    assert client("GET", "/ready").status == 503
    client.runner.run(asyncio.sleep(1.2))  # what sweeps beside the requests meets it, too
    connection.execute("PRAGMA query_only = OFF")
    assert client("POST", f"{LD}/entities", {**ENTITY, "id": "urn:ngsi-ld:Note:2"}).status == 201
    client.runner.run(asyncio.sleep(1.2))
    assert client("GET", "/ready").status == 200


def test_work_beside_the_requests_goes_on_after_the_database_refused_it(brokers: Callable[..., Client]) -> None:
    client = brokers()
    connection = client.app.broker.store.writer.connection
    soon = times.text(times.now_us() + times.SECOND)
    assert client("POST", f"{LD}/entities", {**ENTITY, "expiresAt": soon}).status == 201
    connection.execute("PRAGMA query_only = ON")
    client.runner.run(asyncio.sleep(2.5))  # it has expired, and cannot be removed
    assert client("GET", f"{LD}/entities/{ENTITY['id']}").status == 404
    connection.execute("PRAGMA query_only = OFF")
    client.runner.run(asyncio.sleep(2.5))
    assert client.app.broker.store.reader.one("SELECT count(*) FROM entity")[0] == 0


@pytest.mark.parametrize("sent", [0, 1])
def test_a_body_that_never_ends_is_given_up(sent: int, brokers: Callable[..., Client]) -> None:
    client = brokers()
    client.app.seconds = 0.05
    events = [{"type": "http.request", "body": b'{"id": ', "more_body": True}] * sent
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(event: dict[str, Any]) -> None:
        answered.append(event)

    head = [(b"content-type", b"application/json"), (b"content-length", b"500")]
    scope = {"type": "http", "method": "POST", "raw_path": f"{LD}/entities".encode(), "query_string": b"", "headers": head}
    client.runner.run(client.app(scope, receive, send))
    assert (answered[0]["status"], json.loads(answered[1]["body"])["title"]) == (408, "the body did not come in time")


def test_a_file_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broker.db").write_bytes(b"This is no database" * 100)
    done = broker_run(["--db", str(tmp_path / "broker.db")])
    assert done.returncode == 2
    assert "file is not a database" in done.stderr
    assert "Traceback" not in done.stderr


def broker_run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself."""
    command = [sys.executable, "-m", "kiban", "broker", "--port", str(free_port()), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# --- clocks


def test_a_clock_that_jumps_stops_neither_writes_nor_notifications(brokers: Callable[..., Client], receiver: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    jump = 0
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + jump * 1_000_000_000)
    client = brokers()
    endpoint = {"uri": f"{receiver.url}/every"}
    for path, more in (("/every", {}), ("/throttled", {"throttling": 1})):
        body = {"type": "Subscription", "entities": [{"type": "Gauge"}], "notification": {"endpoint": {**endpoint, "uri": receiver.url + path}}, **more}
        assert client("POST", f"{LD}/subscriptions", body).status == 201
    gauge = {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 0}}
    assert client("POST", f"{LD}/entities", gauge).status == 201
    for number, at in enumerate((40 * 86_400, -86_400, 0), 1):
        jump = at
        client.runner.run(asyncio.sleep(1.2))
        assert client("PATCH", f"{LD}/entities/urn:ngsi-ld:Gauge:1/attrs", {"level": {"type": "Property", "value": number}}).status == 204
        shown = client("GET", f"{LD}/entities/urn:ngsi-ld:Gauge:1?sysAttrs=true").body
        assert shown["level"]["value"] == number
        assert abs(times.parse(shown["level"]["modifiedAt"]) - times.now_us()) < 5 * times.SECOND
        client.runner.run(asyncio.sleep(1.2))
        for path in ("/every", "/throttled"):
            assert (path, "urn:ngsi-ld:Gauge:1", number) in receiver.told, f"{path} after a jump to {at} s"
        history = client("GET", f"{LD}/temporal/entities/urn:ngsi-ld:Gauge:1?attrs=level&timeproperty=modifiedAt&timerel=after&timeAt=2000-01-01T00:00:00Z")
        assert history.status in (200, 206)


def test_messages_that_wait_for_a_clock_that_was_set_back_are_sent(brokers: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    jump = 7200
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + jump * 1_000_000_000)
    client = brokers()
    port = free_port()
    body = {"type": "Subscription", "entities": [{"type": "Gauge"}], "notification": {"endpoint": {"uri": f"http://127.0.0.1:{port}/late"}}}
    assert client("POST", f"{LD}/subscriptions", body).status == 201
    gauge = {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 7}}
    assert client("POST", f"{LD}/entities", gauge).status == 201
    client.runner.run(asyncio.sleep(0.5))  # nobody listens yet: it waits for its next attempt
    jump = 0
    client.runner.run(asyncio.sleep(1.5))
    due = client.app.broker.store.reader.one("SELECT max(due) FROM outbox")[0]
    assert due is not None
    assert due < times.now_us() + 65 * times.SECOND


# --- PostgreSQL


@contextmanager
def cluster(binaries: Path, *settings: str) -> Iterator[tuple[str, Callable[..., None]]]:
    """A server of its own without a password: its address, and pg_ctl for it."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))  # pytest's own folders are root's alone
    owner = []
    if os.geteuid() == 0:
        owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(["chown", "postgres:postgres", str(folder)], check=True)

    def run(*words: str) -> None:
        done = subprocess.run([*owner, str(binaries / words[0]), *words[1:]], capture_output=True, timeout=100, cwd="/", text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "clerk", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    options = " ".join(f"-c {text}" for text in (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *settings))

    def control(word: str, *more: str) -> None:
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), *(("-o", options) if word == "start" else ()), *more, word)

    control("start")
    try:
        with psycopg.connect(f"postgresql://clerk@127.0.0.1:{port}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE town")
        yield f"postgresql://clerk@127.0.0.1:{port}/town", control
    finally:
        with suppress(AssertionError):  # stopped already
            control("stop", "-m", "immediate")
        shutil.rmtree(folder)


@pytest.mark.parametrize(("setting", "workers"), [("fsync=off", "1"), ("full_page_writes=off", "2"), ("synchronous_commit=off", "1")])
def test_a_database_that_may_lose_what_it_acknowledged_is_refused(setting: str, workers: str, postgis_bin: Path) -> None:
    with cluster(postgis_bin, setting) as (address, _):
        done = broker_run(["--db", address, "--workers", workers])
    name = setting.partition("=")[0]
    assert done.returncode == 1
    assert f"PostgreSQL runs with {name} = off" in done.stderr
    assert f"set {name} = on" in done.stderr
    assert "Traceback" not in done.stderr


def workers_of(pid: int) -> list[int]:
    """The processes that serve, of the one that looks after them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


@pytest.mark.timeout(300)
def test_a_database_that_goes_and_a_worker_that_is_killed_cost_errors_but_no_acknowledged_write(tmp_path: Path, postgis_bin: Path, receiver: Received) -> None:
    with cluster(postgis_bin) as (address, control):
        port = free_port()
        process = start(tmp_path, port, "--db", address, "--workers", "2")
        writers = []
        try:
            assert until(lambda: ask(port, "GET", "/ready")[0] == 200 and len(workers_of(process.pid)) == 2)
            fill(port)
            subscribe(port, receiver.url)
            writers = [Writer(port, number, 0, stubborn=True) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(0.5)
            control("stop", "-m", "immediate")
            time.sleep(0.5)
            status, body = ask(port, "GET", f"{LD}/entities/urn:ngsi-ld:Gauge:0-0")
            assert (status, body["title"]) == (503, "the database cannot be used now")
            status, body = ask(port, "GET", f"{LD}/entities?type=Gauge")
            assert (status, body["title"]) == (503, "the database cannot be used now")
            assert ask(port, "GET", "/ready")[0] == 503
            assert ask(port, "GET", "/health")[0] == 200
            control("start")
            assert until(lambda: ask(port, "GET", "/ready")[0] == 200)
            before = [len(writer.acknowledged) for writer in writers]
            assert until(lambda: all(len(writer.acknowledged) > many + 5 for writer, many in zip(writers, before, strict=True)))

            assert until(lambda: len(workers_of(process.pid)) == 2)
            first, second = workers_of(process.pid)
            os.kill(first, signal.SIGKILL)
            assert ask(port, "GET", "/health")[0] == 200  # the other one answers
            assert until(lambda: len(found := workers_of(process.pid)) == 2 and first not in found and second in found)
            before = [len(writer.acknowledged) for writer in writers]
            assert until(lambda: all(len(writer.acknowledged) > many + 5 for writer, many in zip(writers, before, strict=True)))
            for writer in writers:
                writer.ended = True
            for writer in writers:
                writer.join(30)
            refused = {status for writer in writers for status, _ in writer.refused}
            assert refused <= {503}
            assert refused, "nobody noticed"
            for id, serial in dict(pair for writer in writers for pair in writer.acknowledged).items():
                assert value_of(port, id) >= serial, f"{id}: a write that was acknowledged is lost"
            missing = {(path, *pair) for writer in writers for pair in writer.acknowledged for path in ("/ld", "/v2")}
            until(lambda: not missing - receiver.told.keys())
            assert missing <= receiver.told.keys(), "a notification is lost"
        finally:
            for writer in writers:
                writer.ended = True
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        assert process.returncode == 0


def test_what_a_worker_that_is_gone_had_in_hand_is_taken_over_at_once(postgres: Callable[[str], str]) -> None:
    address = postgres("gone")

    async def run() -> tuple[list[Any], list[Any], list[Any]]:
        one, other = open_store(address), open_store(address)
        first, second = StoreOutbox(one), StoreOutbox(other)
        now = times.now_us()
        try:
            await one.write(lambda tx: tx.enqueue([Message("http://town.example/in", 1, "urn:s", "urn:e", b"x")], now))
            held = await first.exchange(Settled(), {"http://town.example/in": 5}, now, 60 * times.SECOND)
            there = await second.lanes(now)  # the first one is alive: nothing is free
        finally:
            await one.close()
        try:
            for _ in range(100):  # until the database has seen the connection off
                if gone := await second.lanes(now):
                    break
                await asyncio.sleep(0.05)
            taken = await second.exchange(Settled(), dict.fromkeys(gone, 5), now, 60 * times.SECOND)
        finally:
            await other.close()
        return held, there, taken

    with asyncio.Runner() as runner:
        held, there, taken = runner.run(run())
    assert [message.attempt for message in held] == [1]
    assert there == []
    assert [(message.seq, message.attempt) for message in taken] == [(held[0].seq, 2)]


@pytest.mark.parametrize(("problem", "uncertain"), [(Uncertain, True), (Problem, False)])
def test_only_a_commit_of_unknown_end_leaves_the_outbox_uncertain(problem: type[Problem], uncertain: bool) -> None:
    class Broken:
        async def write(self, _: Any) -> None:
            raise problem("InternalError", "the database went away", "read before sending it again", status=503)

    with asyncio.Runner() as runner, pytest.raises(OutboxAway) as caught:
        runner.run(StoreOutbox(Broken()).exchange(Settled(), {}, 0, 0))
    assert isinstance(caught.value, OutboxUncertain) is uncertain


def test_messages_whose_handing_out_was_committed_without_an_answer_are_handed_out_again_at_once(postgres: Callable[[str], str]) -> None:
    address = postgres("unsure")

    async def run() -> tuple[list[Any], list[Any]]:
        store = open_store(address)
        outbox, now = StoreOutbox(store), times.now_us()
        lane, lease = "http://town.example/in", 60 * times.SECOND
        try:
            await store.write(lambda tx: tx.enqueue([Message(lane, 1, "urn:s", f"urn:e:{number}", b"x") for number in range(3)], now))
            came = list(await outbox.exchange(Settled(), {lane: 1}, now, lease))
            await outbox.exchange(Settled(), {lane: 9}, now, lease)  # as if nothing had come of it
            assert list(await outbox.exchange(Settled(), {lane: 9}, now, lease)) == []
            return came, list(await outbox.exchange(Settled(), {lane: 9}, now, lease, {message.seq for message in came}))
        finally:
            await store.close()

    with asyncio.Runner() as runner:
        came, again = runner.run(run())
    assert [(message.order, message.attempt) for message in came + again] == [(f"urn:e:{number}", 1) for number in range(3)]


# --- one write that the database cannot take


async def together(store: Any, *ops: Callable[[Any], Any]) -> list[Any]:
    """The results of writes of one group, errors as they are."""
    return await asyncio.gather(*(store.write(op) for op in ops), return_exceptions=True)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_write_that_the_database_cannot_take_fails_alone(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    address = str(tmp_path / "broker.db") if kind == "sqlite" else request.getfixturevalue("postgres")("alone")

    async def run() -> tuple[list[Any], list[Any]]:
        store = open_store(address)
        try:
            found = await together(
                store,
                lambda tx: tx.open_tenant("before"),
                lambda tx: (
                    tx.do("INSERT INTO tenant (key, name) VALUES (?, ?)", (1, "twice")) and tx.do("INSERT INTO tenant (key, name) VALUES (?, ?)", (1, "x"))
                ),
                lambda tx: tx.do("INSERT INTO nothing (key) VALUES (?)", (1,)),
                lambda tx: tx.do("INSERT INTO tenant (name) VALUES (?)", ("\x00" if kind == "postgres" else object(),)),
                lambda tx: tx.open_tenant("behind"),
            )
            return found, await store.slow(lambda tx: [name for _, name in tx.tenants()])
        finally:
            await store.close()

    with asyncio.Runner() as runner:
        found, names = runner.run(run())
    assert [isinstance(one, Exception) for one in found] == [False, True, True, True, False]
    assert names == ["before", "behind"]
    assert kind == "sqlite" or (found[3].status, found[3].title) == (400, "the character NUL cannot be kept")
