"""Who is signed in: a random token in the browser, its hash here, so that a copy of the file lets nobody in.

In: a file, the time. Out: tokens, and the login name that one belongs to. Sessions survive a restart of the server; they end after a while without a
request, at the latest after a day's work, at sign-out, and when the password or the role changes. A token is made at sign-in and never taken from outside.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kiban.accounts.file import open_file

IDLE = 2 * 3600.0  # seconds without a request: a meeting, not a night
LONGEST = 12 * 3600.0  # a long day in the office
TOUCH = 60.0  # seconds between two notes that a session is in use: a page should not wait for a disk

_TABLE = "CREATE TABLE IF NOT EXISTS session (token TEXT PRIMARY KEY, login TEXT NOT NULL, begun REAL NOT NULL, used REAL NOT NULL) WITHOUT ROWID"


class Sessions:
    """The sessions of one file. May be used by several threads and processes."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._connection = open_file(path, _TABLE)
        self._lock = threading.Lock()
        self._now = now

    def begin(self, login: str) -> str:
        """A new token for somebody who just showed who he is."""
        token, now = secrets.token_urlsafe(32), self._now().timestamp()
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM session WHERE used < ? OR begun < ?", (now - IDLE, now - LONGEST))
            self._connection.execute("INSERT INTO session VALUES (?, ?, ?, ?)", (_kept(token), login, now, now))
        return token

    def find(self, token: str) -> str | None:
        """The login name that a token belongs to; None when its session is over or never was."""
        now = self._now().timestamp()
        with self._lock:
            row = self._connection.execute("SELECT login, begun, used FROM session WHERE token = ?", (_kept(token),)).fetchone()
            if row is None or now - row[2] > IDLE or now - row[1] > LONGEST:
                return None
            if now - row[2] > TOUCH:
                with self._connection:
                    self._connection.execute("UPDATE session SET used = ? WHERE token = ?", (now, _kept(token)))
        return str(row[0])

    def end(self, token: str) -> None:
        """Sign out."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM session WHERE token = ?", (_kept(token),))

    def end_all(self, login: str) -> None:
        """End every session of an account."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM session WHERE login = ?", (login,))

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()


def _kept(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
