"""Open the store that an address names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.linkage.errors import Problem


def prepare(address: str) -> None:
    """Bring the PostgreSQL database of an address to the newest version, before several workers start; errors are told once."""
    from kiban.linkage.broker.store.postgres import prepare

    with _told_to_the_operator():
        prepare(address)


def open_store(address: str) -> Any:
    """A PostgreSQL store for `postgresql://…`, else a SQLite store in the file of that name."""
    if address.startswith(("postgresql://", "postgres://")):
        from kiban.linkage.broker.store.postgres import PostgresStore

        with _told_to_the_operator():
            return PostgresStore(address)
    from kiban.linkage.broker.store.sqlite import SqliteStore

    try:
        return SqliteStore(Path(address))
    except sqlite3.Error as error:
        raise KibanError("--db", f"{address}: {error}", "a SQLite file that can be written, with room on its disk", "name another file") from error


class Unreachable(KibanError):
    """The database says no; nothing is lost."""

    exit_code = 1


@contextmanager
def _told_to_the_operator() -> Iterator[None]:
    """A PostgreSQL that says no at the start, as the one who starts the broker needs it; never with the address, which may hold a password."""
    import psycopg

    try:
        yield
    except Problem as problem:
        cause = problem.__cause__
        if not isinstance(cause, psycopg.Error):
            raise
        if isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate is None:  # its text quotes the address
            found = "an address that cannot be read"
        else:
            found = (str(cause).strip().splitlines() or ["no connection"])[0]
        step = "look at the address and the password, and whether the server runs"
        raise Unreachable("--db", found, "a PostgreSQL 15 with PostGIS that can be reached", step) from problem
