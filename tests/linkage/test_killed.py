"""Two `kiban broker` processes of which one asks the other, the other killed again and again under load: nothing is missing in silence, nothing is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from tests.linkage.brokers import LD, Said, ask, path_of
from tests.linkage.fuzz import free_port, start

WHOLE = 20.0  # s within which answers are whole again after a start
GONE = (502, 503, 504)


class Town:
    """The broker that is asked (`front`) and the one behind it (`back`), which dies and comes again on its file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "front").mkdir()
        (folder / "back").mkdir()
        self.front_port, self.back_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.begin("front", self.front_port)
        self.begin("back", self.back_port)

    def begin(self, name: str, port: int) -> None:
        self.processes[name] = start(self.folder / name, port, "--history", "off")

    def kill(self) -> None:
        """As a loss of power ends it: without a word to anybody."""
        self.processes["back"].kill()
        self.processes["back"].wait(10)

    def freeze(self) -> None:
        """It takes connections and never answers."""
        self.processes["back"].send_signal(signal.SIGSTOP)

    def again(self) -> None:
        self.begin("back", self.back_port)

    def front(self, method: str, path: str, body: Any = None) -> Said:
        return ask(f"http://127.0.0.1:{self.front_port}{LD}", method, path, body)

    def back(self, method: str, path: str, body: Any = None) -> Said:
        return ask(f"http://127.0.0.1:{self.back_port}{LD}", method, path, body)

    def register(self, name: str, mode: str, operations: list[str], entity: dict[str, str], attrs: list[str] | None = None) -> str:
        id = f"urn:ngsi-ld:ContextSourceRegistration:{name}"
        doc = {
            "id": id,
            "type": "ContextSourceRegistration",
            "information": [{"entities": [entity], **({"propertyNames": attrs} if attrs else {})}],
            "endpoint": f"http://127.0.0.1:{self.back_port}",
            "mode": mode,
            "operations": operations,
            "management": {"timeout": 2000},
        }
        assert self.front("POST", "/csourceRegistrations", doc).status == 201
        return id

    def end(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    try:
        yield made
    finally:
        made.end()


class Asking(threading.Thread):
    """One client: asks the same thing again and again. `judge` says of an answer whether it was whole, and complains with AssertionError."""

    def __init__(self, send: Callable[[int], bool], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.send, self.stop = send, stop
        self.whole = self.lacking = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        serial = 0
        while not self.stop.is_set():
            serial += 1
            try:
                whole = self.send(serial)
            except (AssertionError, OSError, HTTPException) as error:  # the broker that is asked has no reason to break off
                self.wrong.append(f"{type(error).__name__}: {error}"[:600])
                self.stop.wait(0.05)
                continue
            if whole:
                self.whole += 1
            else:
                self.lacking += 1
                self.stop.wait(0.01)


@pytest.mark.timeout(240)
def test_nothing_is_missing_in_silence_and_no_acknowledged_write_is_lost_while_the_broker_behind_is_killed(town: Town) -> None:
    beside = town.register("beside", "inclusive", ["federationOps"], {"type": "Well"})
    own = town.register("own", "exclusive", ["redirectionOps"], {"id": "urn:p:1", "type": "Pump"}, ["rate"])
    away = town.register("away", "redirect", ["redirectionOps", "createBatch", "upsertBatch"], {"type": "Tank"})
    assert town.front("POST", "/entities?local=true", {"id": "urn:w:here", "type": "Well", "level": 1}).status == 201
    assert town.back("POST", "/entities", {"id": "urn:w:there", "type": "Well", "level": 2}).status == 201
    assert town.front("POST", "/entities", {"id": "urn:p:1", "type": "Pump", "name": "old", "rate": 0}).status == 201
    tanks: list[str] = []
    rates: list[int] = []

    def named(said: Said, *registrations: str) -> bool:
        """Whether the answer says that something of these sources is missing, once of each; of others it must not."""
        missing = [text.split()[1] for text in said.warnings]
        assert set(missing) <= set(registrations), said
        assert len(missing) == len(set(missing)), said
        return bool(missing)

    def query(_: int) -> bool:
        said = town.front("GET", "/entities?type=Well&count=true")
        lacks = named(said, beside)
        assert said.status == 200, said
        assert {entity["id"] for entity in said.value} == ({"urn:w:here"} if lacks else {"urn:w:here", "urn:w:there"}), said
        assert said.headers["ngsild-results-count"] == [str(len(said.value))]
        return not lacks

    def batch_query(_: int) -> bool:
        said = town.front("POST", "/entityOperations/query", {"type": "Query", "entities": [{"type": "Well"}], "q": "level>=1"})
        lacks = named(said, beside)
        assert said.status == 200, said
        assert len(said.value) == 2 - lacks, said
        return not lacks

    def retrieve(_: int) -> bool:
        said = town.front("GET", path_of("urn:w:there") + "?type=Well")  # without the type, any source could have it
        lacks = named(said, beside)
        assert said.status == (404 if lacks else 200), said
        return not lacks

    def retrieve_part(_: int) -> bool:
        said = town.front("GET", path_of("urn:p:1"))
        lacks = named(said, own)
        assert said.status == 200, said
        assert ("name" in said.value, "rate" in said.value) == (True, not lacks), said
        return not lacks

    def types(_: int) -> bool:
        said = town.front("GET", "/types")
        lacks = named(said, beside, own, away)
        assert said.status == 200, said
        assert "Well" in said.value["typeList"]
        return not lacks

    def create(serial: int) -> bool:
        id = f"urn:t:one:{serial}"
        said = town.front("POST", "/entities", {"id": id, "type": "Tank", "level": serial})
        if said.status == 201:
            tanks.append(id)
            return True
        assert said.status in GONE, said
        assert away in said.value["detail"], said
        return False

    def batch(serial: int) -> bool:
        ids = [f"urn:t:{part}:{serial}" for part in ("a", "b")]
        said = town.front("POST", "/entityOperations/upsert", [{"id": id, "type": "Tank", "level": serial} for id in ids])
        if said.status == 201:
            assert said.value == ids, said
            tanks.extend(ids)
            return True
        assert said.status == 207, said
        assert [(part["entityId"], part["registrationId"]) for part in said.value["errors"]] == [(id, away) for id in ids], said
        assert said.value["success"] == [], said
        return False

    def change(serial: int) -> bool:
        said = town.front("PATCH", path_of("urn:p:1") + "/attrs", {"name": f"n{serial}", "rate": serial})
        if said.status == 204:
            rates.append(serial)
            return True
        assert said.status == 207, said
        assert said.value["updated"] == ["name"], said
        assert [(part["attributeName"], part["registrationId"]) for part in said.value["notUpdated"]] == [("rate", own)], said
        return False

    stop = threading.Event()
    clients = [Asking(send, stop) for send in (query, batch_query, retrieve, retrieve_part, types, create, batch, change)]

    def wait(which: str) -> None:
        """Until every client has seen another answer of this kind that was asked for from now on."""
        before = [getattr(client, which) + 1 for client in clients]  # one of them may be on its way
        until = time.monotonic() + WHOLE
        while not all(getattr(client, which) > seen for client, seen in zip(clients, before, strict=True)):
            wrong = [client.wrong[0] for client in clients if client.wrong]
            assert not wrong, wrong
            assert time.monotonic() < until, [(client.send.__name__, client.whole, client.lacking) for client in clients]
            time.sleep(0.01)

    for client in clients:
        client.start()
    try:
        wait("whole")
        for how in (town.kill, town.freeze, town.kill):
            how()
            wait("lacking")
            town.kill()
            town.again()
            wait("whole")
    finally:
        stop.set()
        for client in clients:
            client.join(30)
    assert [client.wrong for client in clients if client.wrong] == []
    kept = {}
    for begin in range(0, len(tanks), 500):
        entities = [{"type": "Tank", "id": id} for id in tanks[begin : begin + 500]]
        some = town.back("POST", "/entityOperations/query?limit=1000", {"type": "Query", "entities": entities})
        kept |= {entity["id"]: entity["level"]["value"] for entity in some.value}
    assert {id: int(id.rpartition(":")[2]) for id in tanks} == kept, "a write that was acknowledged is lost"
    assert town.back("GET", path_of("urn:p:1")).value["rate"]["value"] >= rates[-1]
    # What nobody killed has no fault in its log, and what was killed came up each time without one.
    for name in ("front", "back"):
        for line in (town.folder / name / "broker.log").read_text().splitlines():
            assert not line.startswith("{") or json.loads(line).get("level") not in ("error", "critical"), line
            assert "Traceback" not in line, line
