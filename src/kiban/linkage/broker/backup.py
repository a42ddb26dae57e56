"""A copy of the broker's database while it runs, and the way back (バックアップと復元).

In: the database (a SQLite file or postgresql://…) and a file. Out: a file that was checked after it was written. Nothing that stands somewhere is
overwritten unless that was asked for, and what is asked for only happens when the new one is complete.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from kiban.base.errors import KibanError

PAGES: Final = 4096  # copied between two breaths
HOURS: Final = 6.0  # the longest that pg_dump or pg_restore may take
TABLES: Final = frozenset({"tenant", "entity", "tentity", "thing", "outbox", "partition"})
MAGIC: Final = b"SQLite format 3\x00"
DUMP: Final = b"PGDMP"


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What was copied: where it is now, its size, the version of its tables, how many entities (None: not counted), and what was put aside for it."""

    path: str
    bytes: int
    version: int | None
    entities: int | None
    aside: Path | None = None


def is_postgres(db: str) -> bool:
    """True if this names a PostgreSQL database."""
    return db.startswith(("postgresql://", "postgres://"))


def backup(db: str, target: Path, *, replace: bool = False) -> Copied:
    """Copy a database into a file while a broker writes to it; the copy shows one moment.

    Parameters
    ----------
    db       a SQLite file, or postgresql://… (a dump made by pg_dump)
    target   a file that is not there yet, or may be replaced

    Raises KibanError: no such database, not one of a broker, the target is there, no room, no pg_dump.
    """
    if target.exists() and not replace:
        raise KibanError(str(target), "a file that is there already", "a new name", "give another name, or --replace to overwrite it")
    if not target.parent.is_dir():
        raise KibanError(str(target.parent), "no such folder", "an existing folder", "make the folder first")
    if is_postgres(db):
        with part_of(target) as part:
            run_tool("pg_dump", db, ["--format=custom", "--no-owner", "--no-privileges", f"--file={part}"])
            check_dump(part)
            settle(part, target)
        return Copied(path=str(target), bytes=target.stat().st_size, version=None, entities=None)
    source = Path(db)
    if not source.is_file():
        raise KibanError(db, "no such file", "the database of a broker", "give the same name as after --db")
    with part_of(target) as part:
        copy_sqlite(source, part)
        version, entities = check_sqlite(part, str(source))
        settle(part, target)
    return Copied(path=str(target), bytes=target.stat().st_size, version=version, entities=entities)


def restore(source: Path, db: str, *, replace: bool = False) -> Copied:
    """Make a database from a backup. A SQLite database that is replaced is put aside, not deleted.

    Raises KibanError: the file is damaged, not a backup of a broker, from a newer program; the database is there, or in use by a broker.
    """
    if not source.is_file():
        raise KibanError(str(source), "no such file", "a file that kiban broker backup made", "give the name of the backup")
    with source.open("rb") as file:
        head = file.read(16)
    if is_postgres(db):
        if not head.startswith(DUMP):
            raise KibanError(
                str(source), "no dump of PostgreSQL", "a file that kiban broker backup made from a PostgreSQL database", "name a SQLite file as DB"
            )
        check_dump(source)
        if not replace and occupied(db):
            raise KibanError(
                without_password(db), "a database with tables of a broker", "an empty database", "make a new database, or give --replace to overwrite it"
            )
        run_tool(
            "pg_restore",
            db,
            ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", *(["--clean", "--if-exists"] if replace else []), str(source)],
        )
        return Copied(path=without_password(db), bytes=source.stat().st_size, version=None, entities=None)
    if head.startswith(DUMP):
        raise KibanError(str(source), "a dump of PostgreSQL", "a copy of a SQLite database", "give postgresql://… as DB")
    if head != MAGIC:
        raise KibanError(str(source), "no database", "a file that kiban broker backup made", "look whether the file is complete")
    target = Path(db)
    if target.exists() and not replace:
        raise KibanError(db, "a database that is there already", "a new name", "give another name, or --replace: the one that is there is put aside")
    if not target.parent.is_dir():
        raise KibanError(str(target.parent), "no such folder", "an existing folder", "make the folder first")
    with part_of(target) as part:
        check_sqlite(source, str(source))  # before its pages are read for the copy
        copy_sqlite(source, part)
        version, entities = check_sqlite(part, str(source))
        aside = put_aside(target) if target.exists() else None
        settle(part, target)
    return Copied(path=db, bytes=target.stat().st_size, version=version, entities=entities, aside=aside)


# --- SQLite
def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; not opened read-only, for only then does it take its files away at the end."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10.0)
    connection.execute("PRAGMA query_only = ON")
    return connection


def copy_sqlite(source: Path, target: Path) -> None:
    """All pages of one moment, whatever is written meanwhile: a read transaction holds the moment, writers do not wait for it."""
    try:
        with contextlib.closing(open_to_read(source)) as reading, contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reading.backup(writing, pages=PAGES, sleep=0.001)
            writing.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise KibanError(str(source), str(error), "a database that can be read", "look at the disk of the database and the room on that of the copy") from error


def newest_version() -> int:
    """The version of the tables that this program knows."""
    return files("kiban.linkage.broker.store").joinpath("sqlite.sql").read_text("utf-8").count("-- version ")


def check_sqlite(path: Path, told: str) -> tuple[int, int]:
    """Version and number of entities of a whole database of a broker. Raises KibanError that names `told`."""
    step = "take another backup"
    try:
        with contextlib.closing(open_to_read(path)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a damaged file is told by texts that may be damaged, too
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
            if found != ["ok"]:
                raise KibanError(told, f"a damaged database: {found[0]}", "a whole database", step)
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if not tables >= TABLES:
                raise KibanError(told, "a database without the tables of a broker", "the database of a kiban broker", "give the same name as after --db")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > newest_version():
                raise KibanError(told, f"version {version} of the tables", f"at most {newest_version()}", "use the newer program")
            return version, int(connection.execute("SELECT count(*) FROM entity").fetchone()[0])
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise KibanError(told, f"a damaged database: {error}", "a whole database", step) from error


def put_aside(path: Path) -> Path:
    """Rename a database, with what lies beside it. Raises KibanError if a broker has it open."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0.5)) as connection:
            # Leaving the write-ahead log needs the file alone: whoever else has it open makes this fail.
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
            if mode != "delete":
                raise KibanError(str(path), "a database in use", "a database that no broker has open", "stop the broker first")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise KibanError(str(path), "a database in use", "a database that no broker has open", "stop the broker first") from error
    except sqlite3.DatabaseError:
        pass  # damaged: a reason to restore, and it is kept as it is
    aside = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for suffix in ("", "-wal", "-shm"):
        beside = Path(f"{path}{suffix}")
        if beside.exists():
            beside.rename(f"{aside}{suffix}")
    return aside


@contextlib.contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A file beside the target that is gone at the end, unless it became the target."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{part}{suffix}").unlink(missing_ok=True)


def settle(part: Path, target: Path) -> None:
    """Make a finished file the target, for good: on disk before and after the renaming."""
    for path in (part, part.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path is part:
            os.chmod(part, 0o600)  # noqa: PTH101 - entities may be personal
            part.replace(target)


# --- PostgreSQL
def without_password(address: str) -> str:
    """The address as it may be shown.

    >>> without_password("postgresql://kiban:geheim@db:5432/broker")
    'postgresql://kiban@db:5432/broker'
    """
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':', 1)[0]}@{host}" if user else host))


def find_tool(name: str) -> str:
    """The path of a program of PostgreSQL. Raises KibanError if there is none."""
    found = shutil.which(name)
    if found is None:
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0)
        found = str(versions[-1]) if versions else None
    if found is None:
        raise KibanError(name, "not installed", "the client programs of PostgreSQL", "install them (apt-get install postgresql-client), then try again")
    return found


def run_tool(name: str, db: str, options: list[str]) -> str:
    """Run pg_dump or pg_restore on a database; the password goes through the environment, where no list of processes shows it."""
    password = urlsplit(db).password
    environment = os.environ | ({"PGPASSWORD": unquote(password)} if password else {}) | {"PGCONNECT_TIMEOUT": "10"}
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, without a shell
            [find_tool(name), f"--dbname={without_password(db)}", "--no-password", *options],
            env=environment,
            capture_output=True,
            text=True,
            timeout=HOURS * 3600,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KibanError(without_password(db), f"{name} still running after {HOURS:g} hours", "an end", "look at the server and try again") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise KibanError(without_password(db), f"{name}: {last}", "a database that can be reached", "look at the address, the password and the rights")
    return done.stdout


def check_dump(path: Path) -> None:
    """Raises KibanError for a dump that cannot be read or is not of a broker."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, without a shell
            [find_tool("pg_restore"), "--list", str(path)], capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise KibanError(str(path), "a dump that takes ten minutes to list", "a dump", "take another backup") from error
    if done.returncode:
        raise KibanError(str(path), "a damaged dump", "a whole dump", "take another backup")
    tables = {line.split()[5] for line in done.stdout.splitlines() if " TABLE public " in line and " TABLE DATA " not in line}
    if not tables >= TABLES:
        raise KibanError(str(path), "a dump without the tables of a broker", "the database of a kiban broker", "give the same address as after --db")


def occupied(db: str) -> bool:
    """True if the database has tables of a broker."""
    import psycopg  # only with PostgreSQL

    try:
        with psycopg.connect(db, connect_timeout=10) as connection:
            row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)", (sorted(TABLES),)).fetchone()
    except psycopg.OperationalError as error:
        raise KibanError(without_password(db), str(error).splitlines()[0], "a database that can be reached", "look at the address and the password") from error
    return bool(row and row[0])


# --- commands
def add_backup(parsers: Any) -> None:
    """Arguments of `kiban broker backup DB FILE`."""
    parser = parsers.add_parser("backup", help="動いたままデータベースを写す / copy the database while the broker runs")
    parser.add_argument("db", metavar="DB", help="SQLite のファイル、または postgresql://… / a SQLite file or postgresql://…")
    parser.add_argument("file", metavar="FILE", type=Path, help="写し先のファイル / file to write")
    parser.add_argument("--replace", action="store_true", help="写し先があれば上書きする / overwrite FILE if it is there")


def run_backup(args: argparse.Namespace) -> int:
    """Copy, and say what was copied."""
    began = time.monotonic()
    say(backup(args.db, args.file, replace=args.replace), time.monotonic() - began)
    return 0


def add_restore(parsers: Any) -> None:
    """Arguments of `kiban broker restore FILE DB`."""
    parser = parsers.add_parser("restore", help="写しからデータベースを作る / make a database from a backup")
    parser.add_argument("file", metavar="FILE", type=Path, help="backup が作ったファイル / file that backup made")
    parser.add_argument("db", metavar="DB", help="SQLite のファイル、または postgresql://… / a SQLite file or postgresql://…")
    parser.add_argument("--replace", action="store_true", help="今あるデータベースと入れ替える / replace the database that is there")


def run_restore(args: argparse.Namespace) -> int:
    """Restore, and say what was restored."""
    began = time.monotonic()
    say(restore(args.file, args.db, replace=args.replace), time.monotonic() - began)
    return 0


def say(copied: Copied, seconds: float) -> None:
    """One line, or two, for the one who waits."""
    counted = "" if copied.entities is None else f", {copied.entities} エンティティ / entities"
    print(f"kiban: {copied.path} ({copied.bytes} bytes{counted}, {seconds:.1f} s)")
    if copied.aside is not None:
        print(f"kiban: 前のデータベース / the one before: {copied.aside}")
