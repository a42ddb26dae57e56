"""Save, read, list and restore records; the same on SQLite and PostgreSQL.

In: frozen records, and who saves them, when and why. Out: version numbers, records, and what is known about each version.
A record is kept as JSON with its sha256 and is decoded strictly to the type that the reader asks for.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import URL, Connection, Engine, Row, func, select
from sqlalchemy.exc import IntegrityError

from kiban.base.errors import ConflictError, NotFoundError, RecordError, StoreError
from kiban.records.rules import ID, Record
from kiban.store.engine import WRITES, connect, read_url, show
from kiban.store.schema import is_current, migrate, version
from kiban.store.trouble import explained

R = TypeVar("R", bound=Record)
_ABOUT = (version.c.kind, version.c.id, version.c.version, version.c.author, version.c.reason, version.c.saved_at, version.c.sha256)


class Saved(Record, frozen=True, kw_only=True):
    """What is known about one version, without its content; `at` is in UTC."""

    kind: str
    id: str
    version: int
    author: str
    reason: str
    at: datetime
    sha256: str


class Store:
    """All versions of all records of one database. May be used by several threads; each process opens its own."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self.where = where

    def save(self, kind: str, id: str, record: Record, *, author: str, reason: str, expected_version: int, now: datetime) -> int:
        """Keep a record as the next version and return its number.

        Parameters
        ----------
        kind, id          "plan", "okunoto-1"; a kind is a lower-case word, an id up to 200 printable characters
        author, reason    who saves it and why; neither may be empty
        expected_version  the version that the change starts from; 0 for a new record
        now               the time of saving, with its time zone

        Raises
        ------
        ConflictError  somebody else saved in between; the message says who, when and why, and nothing is saved
        StoreError     an argument does not fit, or the database cannot keep it; every version saved before stands
        """
        body = msgspec.json.encode(record)
        if _decode(f"{kind} {id}", body, type(record)) != record and not _is_finite(msgspec.to_builtins(record)):
            # JSON has no NaN and no infinity; they would come back as null, which means unknown.
            raise StoreError(f"{kind} {id}", "a number that is not finite", "finite numbers, or null where unknown", "report it; nothing was saved")
        return self._append(kind, id, body, author, reason, expected_version, now)

    def restore(self, kind: str, id: str, number: int, *, author: str, reason: str, expected_version: int, now: datetime) -> int:
        """Save the content of an older version as the next one: undo, with nothing lost. Raises as `save` and `read` do."""
        body = self._body(kind, id, number)
        return self._append(kind, id, body, author, reason, expected_version, now)

    def read(self, kind: str, id: str, type: type[R], number: int | None = None) -> R:
        """The newest version of a record, or version `number`.

        Raises
        ------
        NotFoundError  there is no such record or version
        StoreError     its bytes changed since they were saved, or they are no record of that type
        """
        return _decode(f"{kind} {id}", self._body(kind, id, number), type)

    def history(self, kind: str, id: str) -> tuple[Saved, ...]:
        """Every version of a record, oldest first; empty when there is none."""
        query = select(*_ABOUT).where(version.c.kind == kind, version.c.id == id).order_by(version.c.version)
        with explained(self.where), self._engine.connect() as connection:
            return tuple(_about(row) for row in connection.execute(query))

    def list(self, kind: str) -> tuple[Saved, ...]:
        """The newest version of each record of a kind, by id."""
        last = select(version.c.id, func.max(version.c.version).label("version")).where(version.c.kind == kind).group_by(version.c.id).subquery()
        query = select(*_ABOUT).join(last, (version.c.id == last.c.id) & (version.c.version == last.c.version)).where(version.c.kind == kind)
        with explained(self.where), self._engine.connect() as connection:
            return tuple(sorted((_about(row) for row in connection.execute(query)), key=lambda saved: saved.id))

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _append(self, kind: str, id: str, body: bytes, author: str, reason: str, expected_version: int, now: datetime) -> int:
        _check_names(kind, id, author, reason)
        if now.tzinfo is None:
            raise StoreError(f"{kind} {id}", f"a time without its zone, {now}", "a time with its zone", "give datetime.now(UTC)")
        row = {
            "kind": kind,
            "id": id,
            "version": expected_version + 1,
            "author": author,
            "reason": reason,
            "saved_at": now.astimezone(UTC).isoformat(timespec="microseconds"),
            "sha256": hashlib.sha256(body).hexdigest(),
            "body": body,
        }
        with explained(self.where):
            try:
                with self._writer.begin() as connection:
                    self._refuse_conflict(connection, kind, id, expected_version)
                    connection.execute(version.insert(), row)
            except IntegrityError:
                # On PostgreSQL two writers may both pass the check; the primary key lets one of them in.
                with self._engine.connect() as connection:
                    self._refuse_conflict(connection, kind, id, expected_version)
                raise
        return expected_version + 1

    def _refuse_conflict(self, connection: Connection, kind: str, id: str, expected: int) -> None:
        query = select(*_ABOUT).where(version.c.kind == kind, version.c.id == id).order_by(version.c.version.desc()).limit(1)
        row = connection.execute(query).first()
        if (row.version if row else 0) == expected:
            return
        if row is None:
            raise ConflictError(f"{kind} {id}", "no version yet", f"version {expected}, which you started from", "save it as a new record (version 0)")
        last = _about(row)
        raise ConflictError(
            f"{kind} {id}",
            f"version {last.version}, saved by {last.author} at {last.at:%Y-%m-%d %H:%M} UTC ({last.reason})",
            f"version {expected}, which you started from",
            f"read version {last.version}, bring your change into it and save again; nothing was lost, and yours is not saved yet",
        )

    def _body(self, kind: str, id: str, number: int | None) -> bytes:
        query = select(version.c.version, version.c.sha256, version.c.body).where(version.c.kind == kind, version.c.id == id)
        query = query.order_by(version.c.version.desc()).limit(1) if number is None else query.where(version.c.version == number)
        with explained(self.where), self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"{kind} {id}", "nothing" if number is None else f"no version {number}", "a saved record", f"list the records of kind {kind}")
        body = bytes(row.body)
        if hashlib.sha256(body).hexdigest() != row.sha256:
            raise StoreError(
                f"{kind} {id}, version {row.version}", "content that changed since it was saved", "its sha256", "read an older version, or the last backup"
            )
        return body


def open_store(url: str, file: Path | None = None) -> Store:
    """The store at a database address, its tables brought to this kiban's form; with an empty address the SQLite file `file`.

    Raises StoreError when the database cannot be reached or used; the message holds no password.

    >>> open_store("mysql://root@db/kiban")
    Traceback (most recent call last):
    kiban.base.errors.StoreError: KIBAN_DB: found a database of kind 'mysql'; expected postgresql://user@host/database, or empty for a SQLite file. Next: \
correct KIBAN_DB
    """
    address = read_url(url, file)
    where = show(address)
    if address.get_backend_name() == "sqlite":
        _make_folder(address)
    engine = connect(address)
    store = Store(engine, where)
    try:
        with explained(where):
            with engine.connect() as connection:
                current = is_current(connection, where)
            if not current:
                with store._writer.begin() as connection:
                    migrate(connection, where)
    except StoreError:
        store.close()
        raise
    return store


def _make_folder(address: URL) -> None:
    file = Path(str(address.database))
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            str(file.parent), f"a folder that cannot be made ({error.strerror})", "", "set KIBAN_STATE to a folder that you may write to"
        ) from error
    if file.name != ":memory:" and not file.exists():
        with suppress(OSError):  # SQLite says what is wrong
            file.touch(mode=0o600)  # the accounts stand in it, and the folder may be one that others look into


def _check_names(kind: str, id: str, author: str, reason: str) -> None:
    where = f"{kind!r} {id!r}"
    if not ID.match(kind) or len(kind) > 60:
        raise StoreError(where, f"kind {kind!r}", "a lower-case word of at most 60 letters", "correct the kind")
    for name, value, most in (("id", id, 200), ("author", author, 200), ("reason", reason, 2000)):
        if not value.strip() or len(value) > most or not value.isprintable():
            raise StoreError(where, f"{name} of {len(value)} characters", f"1 to {most} printable characters", f"give the {name}")


def _decode(where: str, body: bytes, type: type[R]) -> R:
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, RecordError) as error:
        raise StoreError(where, f"content that is no {type.__name__} ({error})", f"a {type.__name__}", "read it as the type it was saved as") from error


def _is_finite(thing: object) -> bool:
    if isinstance(thing, float):
        return math.isfinite(thing)
    if isinstance(thing, dict):
        return all(_is_finite(value) for value in thing.values())
    return all(_is_finite(value) for value in thing) if isinstance(thing, list | tuple) else True


def _about(row: Row[*tuple[Any, ...]]) -> Saved:
    return Saved(
        kind=row.kind, id=row.id, version=row.version, author=row.author, reason=row.reason, at=datetime.fromisoformat(row.saved_at), sha256=row.sha256
    )
