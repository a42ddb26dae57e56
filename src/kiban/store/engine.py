"""From a database URL to a connection pool that waits a bounded time and loses nothing when the power goes.

In: `postgresql://…`, `sqlite:///…` or a file. Out: a SQLAlchemy engine. What the tables are is left to `schema`.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from kiban.base.errors import StoreError

CONNECT_SECONDS = 5
WAIT_SECONDS = 15  # for another writer
WRITES = "kiban_writes"  # execution option of a connection that will write
_FITS = "postgresql://user@host/database, or empty for a SQLite file"


def read_url(url: str, file: Path | None) -> URL:
    """The database meant by a setting; an empty one means `file`.

    Raises StoreError without repeating the text, which may hold a password.

    >>> str(read_url("", Path("/srv/kiban.db")))
    'sqlite:////srv/kiban.db'
    >>> str(read_url("postgresql://clerk:secret@db/kiban", None))
    'postgresql+psycopg://clerk:***@db/kiban'
    """
    if not url:
        if file is None:
            raise StoreError("KIBAN_DB", "neither an address nor a file", _FITS, "set KIBAN_DB or name a file")
        return URL.create("sqlite", database=str(file))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("KIBAN_DB", "a text that is no database address", _FITS, "encode special characters of the password as %XX") from None
    kind = parsed.get_backend_name() if "+" not in parsed.drivername else parsed.drivername
    if kind == "sqlite" and parsed.database and not parsed.query:
        return parsed
    if kind in ("postgresql", "postgres", "postgresql+psycopg"):
        if importlib.util.find_spec("psycopg") is None:
            raise StoreError("KIBAN_DB", "no PostgreSQL driver", "the package psycopg", "pip install 'kiban[postgres]'")
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError("KIBAN_DB", f"a database of kind {parsed.drivername!r}", _FITS, "correct KIBAN_DB")


def show(url: URL) -> str:
    """The address as a message may show it: no password, no parameters.

    >>> show(make_url("postgresql://clerk:secret@db:5433/kiban?sslpassword=secret"))
    'postgresql://clerk@db:5433/kiban'
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return str(URL.create("postgresql", username=url.username, host=url.host, port=url.port, database=url.database))


def connect(url: URL) -> Engine:
    """A pool of connections; nothing is contacted yet.

    SQLite: write-ahead log, a full sync at each commit, foreign keys, one writer at a time. PostgreSQL: limits on connecting, waiting for
    a lock and running a statement, and a connection that went away while idle is replaced. Errors never show the values of a statement.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": WAIT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    limits = f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout={2 * WAIT_SECONDS}s -c idle_in_transaction_session_timeout=60s"
    given: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "options": limits, "application_name": "kiban", "tcp_user_timeout": 1000 * 2 * WAIT_SECONDS}
    return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_timeout=WAIT_SECONDS, connect_args={**given, **url.query})


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that will write takes the write lock at once: one that reads first and writes later cannot wait for another writer.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")
