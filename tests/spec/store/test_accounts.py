"""Accounts on every kind of database that the store runs on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher

from kiban.accounts import Accounts, Sessions
from kiban.store import Store

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_accounts_are_made_changed_and_found_again(database: str, opened: Callable[..., Store], tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions.db")
    accounts = Accounts(opened(database), sessions, hasher=QUICK)
    accounts.first("sato", "佐藤", "山と海のまち 8000")
    accounts.add("tanaka", "田中", "viewer", "川と里のまち 8000", by="sato")
    token = sessions.begin("tanaka")
    accounts.set_role("tanaka", "editor", by="sato")
    again = Accounts(opened(database), sessions, hasher=QUICK)
    assert [(one.login, one.role) for one in again.all()] == [("sato", "approver"), ("tanaka", "editor")]
    assert again.check("tanaka", "川と里のまち 8000") is not None
    assert again.check("tanaka", "山と海のまち 8000") is None
    assert sessions.find(token) is None
    sessions.close()
