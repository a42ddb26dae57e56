"""Accounts, sessions and the audit log of one installation, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kiban.accounts.audit import AuditLog, open_log
from kiban.accounts.people import Accounts
from kiban.accounts.sessions import Sessions

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Store


@dataclass(frozen=True)
class Room:
    """Everything that signing in needs; `close` gives the files back."""

    store: Store
    sessions: Sessions
    accounts: Accounts
    audit: AuditLog

    def close(self) -> None:
        """Give the files and connections back."""
        self.store.close()
        self.sessions.close()
        self.audit.close()


def open_accounts(db: str, state: Path) -> Room:
    """The accounts in the database of `KIBAN_DB` (empty: the file in `state`), sessions and audit log in `state`. Raises StoreError."""
    from kiban.store import open_store

    store = open_store(db, state / "kiban.db")
    sessions = Sessions(state / "sessions.db")
    return Room(store, sessions, Accounts(store, sessions), open_log(state))
