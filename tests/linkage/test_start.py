"""What `kiban broker` says before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_every_route_is_told_in_both_languages():
    found = {f"{method} {path}" for method, path, _ in routes().listed}
    assert found - set(OPERATIONS) == UNTOLD


def test_a_body_in_another_encoding_is_told_as_that():
    with pytest.raises(Problem, match="not UTF-8: found the byte 0x93"):
        decode_json('{"name": "日本"}'.encode("cp932"))
