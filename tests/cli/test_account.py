"""`kiban account` and `kiban audit`: accounts by command, and a log that tells of it."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from pathlib import Path

import pytest

from kiban.cli import main

PASSWORD = "山と海のまち 8000"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KIBAN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))


def test_an_account_is_made_listed_and_logged(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["account", "add", "sato", "--name", "佐藤", "--role", "approver"]) == 0
    assert main(["account", "extend", "sato"]) == 0
    capsys.readouterr()
    assert main(["account", "list", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["login"], row["name"], row["role"], row["disabled"]) == ("sato", "佐藤", "approver", False)
    assert row["until"].endswith("-03-31")
    assert main(["audit", "list", "--did", "change"]) == 0
    told = capsys.readouterr().out
    assert told.count("account sato") == 2
    assert PASSWORD not in told
    assert "argon2" not in told
    assert state.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.glob("audit.db*"))


def test_the_last_approver_is_not_disabled_and_a_short_password_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["account", "add", "sato", "--role", "approver"]) == 0
    assert main(["account", "disable", "sato"]) == 2
    assert "the last approver" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert main(["account", "password", "sato"]) == 2
    assert main(["account", "role", "nobody", "--role", "viewer"]) == 2


def test_a_log_is_verified_against_digests_that_were_carried_away(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["account", "add", "sato", "--role", "approver"]) == 0
    carried = tmp_path / "carried.csv"
    assert main(["audit", "digest", "-o", str(carried)]) == 0
    assert main(["audit", "verify", "--digests", str(carried)]) == 0
    with sqlite3.connect(state / "audit.db") as connection:
        connection.execute("DROP TRIGGER keep_update")
        connection.execute("UPDATE entry SET who = 'nobody'")
    connection.close()
    capsys.readouterr()
    assert main(["audit", "verify", "--digests", str(carried)]) == 1
    assert "row 1 was changed" in capsys.readouterr().err
