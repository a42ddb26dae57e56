"""Open the store that an address names."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError


def prepare(address: str) -> None:
    """Bring the PostgreSQL database of an address to the newest version, before several workers start; errors are told once."""
    from kiban.linkage.broker.store.postgres import prepare

    prepare(address)


def open_store(address: str) -> Any:
    """A PostgreSQL store for `postgresql://…`, else a SQLite store in the file of that name."""
    if address.startswith(("postgresql://", "postgres://")):
        from kiban.linkage.broker.store.postgres import PostgresStore

        return PostgresStore(address)
    from kiban.linkage.broker.store.sqlite import SqliteStore

    try:
        return SqliteStore(Path(address))
    except sqlite3.Error as error:
        raise KibanError("--db", f"{address}: {error}", "a SQLite file that can be written, with room on its disk", "name another file") from error
