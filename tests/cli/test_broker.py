"""`kiban broker` and its tools, as a person starts them: a broker in a process of its own, files in and out, a copy, a load."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.cli import main

SHELTERS = [
    {"id": f"urn:ngsi-ld:Shelter:{n}", "type": "Shelter", "name": {"type": "Property", "value": f"避難所{n}"}, "room": {"type": "Property", "value": 10 * n}}
    for n in range(1, 4)
]
KIBAN = [sys.executable, "-c", "import sys; from kiban.cli import main; sys.exit(main())", "broker"]


class Running:
    """A broker on a free port of this machine."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url, self.db = f"http://127.0.0.1:{port}", folder / "broker.db"
        self.log = folder / "broker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*KIBAN, "--port", str(port), "--db", str(self.db), *options], stderr=log)
        until = time.monotonic() + 60
        while b'"started"' not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert time.monotonic() < until, "the broker does not start"
            time.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("broker"))
    yield running
    running.stop()


def get(url: str, token: str = "") -> list[dict]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def written(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_goes_in_and_comes_out_the_same_and_what_is_refused_is_told(broker: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "shelters.ndjson", [*SHELTERS, {"id": "urn:ngsi-ld:Shelter:9"}])
    assert main(["broker", "import", broker.url, str(file), "--tenant", "inout"]) == 1
    assert "3 件を書いた / written, 1 件を受け付けなかった / refused" in capsys.readouterr().out
    [refused] = [json.loads(line) for line in (tmp_path / "shelters.ndjson.rejects").read_text("utf-8").splitlines()]
    assert refused["line"] == 4

    out = tmp_path / "out.ndjson"
    assert main(["broker", "export", broker.url, "-o", str(out), "--tenant", "inout"]) == 0
    assert sorted((json.loads(line) for line in out.read_text("utf-8").splitlines()), key=lambda row: row["id"]) == SHELTERS
    capsys.readouterr()
    assert main(["broker", "export", broker.url, "--tenant", "inout", "--query", "type=Shelter&q=room>15", "--format", "geojson"]) == 0
    assert {one["id"] for one in json.loads(capsys.readouterr().out)["features"]} == {SHELTERS[1]["id"], SHELTERS[2]["id"]}


def test_a_copy_of_a_running_broker_starts_as_another_broker(broker: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "import", broker.url, str(written(tmp_path / "s.ndjson", SHELTERS)), "--tenant", "copied"]) == 0
    assert main(["broker", "backup", str(broker.db), str(tmp_path / "copy.db")]) == 0
    assert main(["broker", "restore", str(tmp_path / "copy.db"), str(tmp_path / "broker.db")]) == 0
    assert main(["broker", "restore", str(tmp_path / "copy.db"), str(tmp_path / "broker.db")]) == 2
    assert "--replace" in capsys.readouterr().err
    other = Running(tmp_path)
    try:
        assert main(["broker", "export", other.url, "--tenant", "copied"]) == 0
        assert sorted((json.loads(line) for line in capsys.readouterr().out.splitlines()), key=lambda row: row["id"]) == SHELTERS
    finally:
        assert other.stop() == 0


def test_a_small_load_is_measured_and_its_answers_are_compared(broker: Running, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--entities", "200", "--requests", "300", "--connections", "4", "--tenant", "load", "--context", "none", "--json"]
    assert main(["broker", "load", broker.url, *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["requests"] >= 300
    assert (report["errors"], report["different"]) == ({}, 0)
    assert report["compared"] > 0


def test_a_token_is_read_from_a_file_and_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = hashlib.sha256(b"river-and-shelter").hexdigest()
    policy = f"version: 1\ntokens: [{{subject: town, sha256: {digest}}}]\nrules:\n  - {{who: town, operations: ['*'], allow: true}}\n"
    (tmp_path / "policy.yaml").write_text(policy, "utf-8")
    file = written(tmp_path / "s.ndjson", SHELTERS)
    running = Running(tmp_path, "--policy", str(tmp_path / "policy.yaml"))
    try:
        assert main(["broker", "import", running.url, str(file)]) == 2
        assert "give --token-file" in capsys.readouterr().err
        (tmp_path / "token").write_text("river-and-shelter\n", "utf-8")
        assert main(["broker", "import", running.url, str(file), "--token-file", str(tmp_path / "token")]) == 0
        assert len(get(f"{running.url}/ngsi-ld/v1/entities?type=Shelter", "river-and-shelter")) == 3
    finally:
        running.stop()
    assert "river-and-shelter" not in running.log.read_text("utf-8")


@pytest.mark.parametrize(("content", "word"), [(None, "No such file"), (b"two words\n", "no single word"), (b"", "no single word"), (b"\xff", "not text")])
def test_a_token_file_that_holds_no_token_is_told(content: bytes | None, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    assert main(["broker", "export", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]) == 2
    assert word in capsys.readouterr().err


def test_a_tool_does_not_start_a_broker_and_a_broker_needs_no_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "--db", str(tmp_path / "b.db"), "--workers", "0"]) == 2
    assert "--workers" in capsys.readouterr().err
    assert main(["broker", "backup", str(tmp_path / "none.db"), str(tmp_path / "copy.db")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
