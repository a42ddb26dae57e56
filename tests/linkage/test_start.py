"""What `kiban broker` says before it starts."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.linkage.conftest import Client

from kiban.cli import main
from kiban.cli.broker import _alone
from kiban.linkage.broker.openapi import OPERATIONS, UNTOLD
from kiban.linkage.broker.routes import routes
from kiban.linkage.broker.server import decode_json
from kiban.linkage.errors import Problem


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "99999"], "--port: found 99999; expected 0 to 65535"),
        (["--db", "mysql://me:geheim@db/x"], "--db: found mysql://…; expected a SQLite file or postgresql://"),
        (["--workers", "2"], "--workers: found 2; expected 1 with a SQLite file"),
        (["--keep-months", "-1"], "--keep-months: found -1"),
        (["--cors", "town.example"], "--cors: found 'town.example'; expected an address that begins with http:// or https://"),
        (["--public-url", "town.example"], "--public-url: found 'town.example'"),
        (["--v2-context", "names"], "--v2-context: found 'names'"),
        (["--host", "0.0.0.0"], "--host: found '0.0.0.0' without --policy"),
        (["--instances", "0"], "--instances: found 0; expected 1 to 10000"),
        (["--index", "level,room"], "--index: found 'level,room'; expected one name of an attribute"),
        (["--index", "water level"], "--index: found 'water level'"),
        (["--index", ""], "--index: found ''"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    given = ["broker", *(() if "--db" in words else ("--db", str(tmp_path / "x.db"))), *words]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"kiban: {told}")
    assert said.count("\n") == 1
    assert "geheim" not in said
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_not_of_this_machine_is_no_matter_of_the_port(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: []\n")
    assert main(["broker", "--host", "192.0.2.1", "--policy", str(policy), "--db", str(tmp_path / "x.db")]) == 2
    assert "--host: found '192.0.2.1'; expected an address of this machine" in capsys.readouterr().err


def test_a_database_that_is_away_is_told_without_its_password(capsys: pytest.CaptureFixture[str]):
    assert main(["broker", "--port", "0", "--workers", "2", "--db", "postgresql://kiban:geheim@127.0.0.1:9/broker"]) == 1
    said = capsys.readouterr().err
    assert "--db: found " in said
    assert "refused" in said
    assert "geheim" not in said


def test_a_second_broker_on_the_same_file_does_not_start(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    db = str(tmp_path / "town.db")
    with _alone(db):
        assert main(["broker", "--port", "0", "--db", db]) == 2
    assert "another broker runs on it" in capsys.readouterr().err
    with _alone(db):
        pass
    assert Path(db).stat().st_mode & 0o777 == 0o600  # nobody else on the machine reads it


def test_a_file_that_is_not_there_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["broker", "import", "http://127.0.0.1:9", str(tmp_path / "none.ndjson")]) == 2
    said = capsys.readouterr().err
    assert "none.ndjson: found No such file or directory" in said
    assert "Next: name the right one" in said
    assert not list(tmp_path.iterdir())


def test_every_route_is_told_in_both_languages():
    found = {f"{method} {path}" for method, path, _ in routes().listed}
    assert found - set(OPERATIONS) == UNTOLD


def test_a_body_in_another_encoding_is_told_as_that():
    with pytest.raises(Problem, match="not UTF-8: found the byte 0x93"):
        decode_json('{"name": "日本"}'.encode("cp932"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--prot", "1026"], "unrecognized arguments: --prot"),
        (["--prot=1026"], "unrecognized arguments: --prot=1026"),
        (["--port", "1026", "lod", "--seconds", "3"], "argument TOOL: invalid choice: 'lod'"),
        (["load", "--secs", "3", "http://127.0.0.1"], "unrecognized arguments: --secs"),
    ],
)
def test_an_option_that_does_not_exist_is_what_the_complaint_is_about(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["broker", *words])
    assert f"error: {told}" in capsys.readouterr().err


def run_until(folder: Path, *words: str) -> tuple[str, str, int]:
    """The command, interrupted as soon as it has said where it is, if it does: what it printed and logged, and its exit code."""
    command = [sys.executable, "-m", "kiban", "broker", "--db", str(folder / "town.db"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        if first:
            process.send_signal(signal.SIGINT)
        rest, log = process.communicate(timeout=60)
    return first + rest, log, process.returncode


def test_the_broker_says_where_it_is_once_it_listens_there_and_which_index_has_nothing_yet(tmp_path: Path):
    said, log, code = run_until(tmp_path, "--port", "0", "--index", "level", "--index", "https://data.town.example/room")
    found = re.match(r"kiban: http://127\.0\.0\.1:(\d+)  .*:\1/docs\n", said)
    assert found is not None
    assert int(found[1]) > 0
    assert code == 0
    idle = [json.loads(line)["attribute"] for line in log.splitlines() if "--index" in line]
    assert idle == ["https://uri.etsi.org/ngsi-ld/default-context/level", "https://data.town.example/room"]


def test_a_broker_that_cannot_start_does_not_say_where_it_is(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said, log, code = run_until(tmp_path, "--port", str(taken.getsockname()[1]))
    assert (said, code) == ("", 2)
    assert "expected a free port" in log
    (tmp_path / "town.db").write_bytes(b"This is no database" * 100)
    said, log, code = run_until(tmp_path, "--port", "0")
    assert said == ""
    assert code != 0


def test_an_index_is_told_to_be_idle_only_while_no_entity_of_any_tenant_has_its_attribute(brokers: Callable[..., Client]):
    town = brokers(index=("level", "depth"))
    core = town.app.broker.contexts.core
    both = [core.expand("level"), core.expand("depth")]
    assert town.app.broker.store.reader.unused(both) == both
    assert town("POST", "/ngsi-ld/v1/entities", {"id": "urn:w:1", "type": "Well", "level": 3}, NGSILD_Tenant="river").status == 201
    assert town.app.broker.store.reader.unused(both) == both[1:]


def test_names_are_limited_and_what_has_no_new_one_goes_on(brokers: Callable[..., Client], monkeypatch: pytest.MonkeyPatch):
    town = brokers()
    assert town("POST", "/ngsi-ld/v1/entities", {"id": "urn:w:1", "type": "Well", "level": 3}).status == 201
    monkeypatch.setattr("kiban.linkage.broker.store.sql.MOST_NAMES", 3)
    assert town("POST", "/ngsi-ld/v1/entities", {"id": "urn:w:2", "type": "Well", "level": 3, "depth": 3}).status == 201
    for _ in range(2):
        said = town("POST", "/ngsi-ld/v1/entities", {"id": "urn:w:3", "type": "Well", "width": 3})
        assert said.status == 403
        assert "keeps 3 names" in said.body["title"]
        assert "default-context/width" in said.body["detail"]
    said = town("POST", "/ngsi-ld/v1/entityOperations/create", [{"id": "urn:w:4", "type": "Tank"}, {"id": "urn:w:5", "type": "Well", "depth": 1}])
    assert (said.status, said.body["success"]) == (207, ["urn:w:5"])
    assert town("POST", "/v2/entities", {"id": "urn:w:6", "type": "Tower"}).status == 403
    assert [entity["id"] for entity in town("GET", "/ngsi-ld/v1/entities?type=Well").body] == ["urn:w:1", "urn:w:2", "urn:w:5"]
