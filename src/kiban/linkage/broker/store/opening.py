"""Open the store that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_store(address: str) -> Any:
    """A PostgreSQL store for `postgresql://…`, else a SQLite store in the file of that name."""
    if address.startswith(("postgresql://", "postgres://")):
        from kiban.linkage.broker.store.postgres import PostgresStore

        return PostgresStore(address)
    from kiban.linkage.broker.store.sqlite import SqliteStore

    return SqliteStore(Path(address))
