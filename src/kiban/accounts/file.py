"""A small SQLite file of this room: readable by its owner alone, written ahead, shared by the server and the commands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kiban.base.errors import StoreError

WAIT_SECONDS = 10  # for another process that writes


def open_file(path: Path, *statements: str) -> sqlite3.Connection:
    """A connection that threads may share under a lock; the statements make what is missing.

    Raises StoreError when the file cannot be made or is no database.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=WAIT_SECONDS, check_same_thread=False)
        # A commit survives the end of the process at once, and a power failure after the next checkpoint: a page must not wait for a disk.
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", *statements):
            connection.execute(statement)
        connection.commit()
    except (OSError, sqlite3.Error) as error:
        raise StoreError(str(path), f"a file that cannot be used ({error})", "a file that may be written", "check the folder and the free space") from error
    return connection
