"""Copies of a broker's database, the way back, and history that is dropped by the month."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.base.errors import KibanError
from kiban.linkage.broker import backup as module
from kiban.linkage.broker import times
from kiban.linkage.broker.backup import Copied, add_backup, add_restore, backup, newest_version, restore, run_backup, run_restore
from kiban.linkage.broker.maintain import drop_history, keep_history, oldest_month
from kiban.linkage.broker.store import open_store
from kiban.linkage.broker.store.contract import Event
from kiban.linkage.errors import Problem

LEVEL = "https://data.town.example/level"


def entity(number: int, level: int = 0) -> dict:
    now = "2026-11-27T20:10:00.000Z"
    attribute = {"type": "Property", "value": level, "createdAt": now, "modifiedAt": now}
    return {"id": f"urn:gauge:{number}", "type": ["https://data.town.example/Gauge"], "createdAt": now, "modifiedAt": now, LEVEL: [attribute]}


def filled(address: str, count: int = 3) -> None:
    async def fill() -> None:
        store = open_store(address)
        await store.write(lambda tx: [tx.put(tx.open_tenant(""), entity(number, number), None) for number in range(count)])
        await store.close()

    asyncio.run(fill())


def levels(address: str) -> dict[str, int]:
    async def read() -> dict[str, int]:
        store = open_store(address)
        tenant = store.reader.tenant("")
        ids = [f"urn:gauge:{number}" for number in range(2000)]
        found = {id: one[LEVEL][0]["value"] for id in ids if (one := store.reader.entity(tenant, id)) is not None}
        await store.close()
        return found

    return asyncio.run(read())


# ------------------------------------------------------------------------------------------------------------------------- SQLite


def test_a_backup_brings_back_what_was_there(tmp_path):
    filled(str(tmp_path / "town.db"), 5)
    copied = backup(str(tmp_path / "town.db"), tmp_path / "copy.db")
    assert (copied.version, copied.entities, copied.bytes) == (newest_version(), 5, (tmp_path / "copy.db").stat().st_size)
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0, "entities may be personal"
    restored = restore(tmp_path / "copy.db", str(tmp_path / "new.db"))
    assert (restored.entities, restored.aside) == (5, None)
    assert levels(str(tmp_path / "new.db")) == {f"urn:gauge:{number}": number for number in range(5)}
    assert sorted(path.name for path in tmp_path.iterdir() if ".part" in path.name or "-" in path.name) == []


WRITER = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from test_backup import entity
from kiban.linkage.broker.store import open_store

async def write():
    store = open_store(sys.argv[1])
    pair = [entity(0, 0), entity(1, 0)]
    await store.write(lambda tx: [tx.put(tx.open_tenant(""), one, None) for one in pair])
    print("ready", flush=True)
    for level in range(1, 100_000):
        new = [entity(0, level), entity(1, level), entity(level + 1, level)]
        await store.write(lambda tx: [tx.put(tx.tenant(""), one, tx.entity(tx.tenant(""), one["id"])) for one in new])

asyncio.run(write())
"""


def test_a_backup_under_steady_writes_from_another_process_ends_and_shows_one_moment(tmp_path):
    db = tmp_path / "town.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        counts = []
        for turn in range(3):
            time.sleep(0.2)
            target = tmp_path / f"copy{turn}.db"
            copied = backup(str(db), target)
            assert writer.poll() is None
            # Each write changes two entities to the same level and adds one: a copy in between would show it.
            with sqlite3.connect(target) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
            found = levels(str(target))
            assert found["urn:gauge:0"] == found["urn:gauge:1"] == (copied.entities or 0) - 2
            counts.append(copied.entities)
        assert counts == sorted(set(counts)), "writes went on meanwhile"
        with pytest.raises(KibanError, match="in use"):
            restore(tmp_path / "copy0.db", str(db), replace=True)
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


def test_nothing_is_overwritten_unless_asked_and_what_is_replaced_is_put_aside(tmp_path):
    old, new = str(tmp_path / "old.db"), str(tmp_path / "new.db")
    filled(old, 2)
    filled(new, 7)
    backup(new, tmp_path / "copy.db")
    with pytest.raises(KibanError, match="--replace"):
        backup(old, tmp_path / "copy.db")
    with pytest.raises(KibanError, match="--replace"):
        restore(tmp_path / "copy.db", old)
    assert len(levels(old)) == 2
    restored = restore(tmp_path / "copy.db", old, replace=True)
    assert len(levels(old)) == 7
    assert restored.aside is not None
    assert len(levels(str(restored.aside))) == 2
    assert backup(old, tmp_path / "copy.db", replace=True).entities == 7


def test_a_damaged_database_is_put_aside_with_all_that_lies_beside_it(tmp_path):
    filled(str(tmp_path / "good.db"))
    backup(str(tmp_path / "good.db"), tmp_path / "copy.db")
    (tmp_path / "bad.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    (tmp_path / "bad.db-wal").write_bytes(b"rest")
    restored = restore(tmp_path / "copy.db", str(tmp_path / "bad.db"), replace=True)
    assert restored.aside is not None
    assert Path(f"{restored.aside}").read_bytes()[-1:] == b"\xff"
    assert not (tmp_path / "bad.db-wal").exists(), "the log of another database would be taken for its own"
    assert len(levels(str(tmp_path / "bad.db"))) == 3


@settings(max_examples=60)
@given(st.integers(0, 200_000), st.integers(1, 255))
def test_a_backup_with_a_flipped_byte_is_refused_or_still_whole(tmp_path_factory, place, change):
    folder = tmp_path_factory.mktemp("flip")
    shutil.copy(made(tmp_path_factory), folder / "copy.db")
    content = bytearray((folder / "copy.db").read_bytes())
    content[place % len(content)] ^= change
    (folder / "copy.db").write_bytes(content)
    try:
        restore(folder / "copy.db", str(folder / "new.db"))
    except KibanError:
        assert [path.name for path in folder.iterdir()] == ["copy.db"]
    else:
        with sqlite3.connect(folder / "new.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


MADE: list[Path] = []


def made(factory: pytest.TempPathFactory) -> Path:
    if not MADE:
        folder = factory.mktemp("made")
        filled(str(folder / "town.db"), 40)
        backup(str(folder / "town.db"), folder / "copy.db")
        MADE.append(folder / "copy.db")
    return MADE[0]


def test_what_is_no_backup_of_a_broker_is_refused_with_the_reason(tmp_path):
    filled(str(tmp_path / "town.db"))
    backup(str(tmp_path / "town.db"), tmp_path / "copy.db")
    (tmp_path / "text.db").write_text("hello")
    (tmp_path / "cut.db").write_bytes((tmp_path / "copy.db").read_bytes()[:-8192])
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE plans (id TEXT)")
    other.close()
    shutil.copy(tmp_path / "copy.db", tmp_path / "future.db")
    with sqlite3.connect(tmp_path / "future.db") as future:
        future.execute(f"PRAGMA user_version = {newest_version() + 1}")
    future.close()
    (tmp_path / "dump.db").write_bytes(b"PGDMP\x01")
    for name, reason in {
        "none.db": "no such file",
        "text.db": "no database",
        "cut.db": "damaged",
        "other.db": "without the tables",
        "future.db": "use the newer program",
        "dump.db": "a dump of PostgreSQL",
    }.items():
        with pytest.raises(KibanError, match=reason):
            restore(tmp_path / name, str(tmp_path / "new.db"))
        assert not (tmp_path / "new.db").exists()
    with pytest.raises(KibanError, match="without the tables"):
        backup(str(tmp_path / "other.db"), tmp_path / "b.db")
    with pytest.raises(KibanError, match="no such file"):
        backup(str(tmp_path / "none.db"), tmp_path / "b.db")
    with pytest.raises(KibanError, match="no such folder"):
        backup(str(tmp_path / "town.db"), tmp_path / "no" / "b.db")
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part*"))


def test_the_commands_copy_and_restore_and_say_so(tmp_path, capsys):
    filled(str(tmp_path / "town.db"), 4)
    parser = argparse.ArgumentParser()
    parsers = parser.add_subparsers()
    add_backup(parsers)
    add_restore(parsers)
    assert run_backup(parser.parse_args(["backup", str(tmp_path / "town.db"), str(tmp_path / "c.db")])) == 0
    assert "4 エンティティ / entities" in capsys.readouterr().out
    assert run_restore(parser.parse_args(["restore", str(tmp_path / "c.db"), str(tmp_path / "town.db"), "--replace"])) == 0
    assert "town.db.before-" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------------- PostgreSQL


def test_a_dump_of_postgresql_brings_back_what_was_there(tmp_path, postgres):
    first, second = postgres("first"), postgres("second")
    filled(first, 6)
    copied = backup(first, tmp_path / "town.dump")
    assert copied == Copied(path=str(tmp_path / "town.dump"), bytes=copied.bytes, version=None, entities=None)
    told = restore(tmp_path / "town.dump", second)
    assert "heim" not in told.path
    assert levels(second) == {f"urn:gauge:{number}": number for number in range(6)}
    filled(postgres("third"), 1)
    with pytest.raises(KibanError, match="--replace") as error:
        restore(tmp_path / "town.dump", second)
    assert "heim" not in str(error.value)
    third = second.replace("/second", "/third")
    restore(tmp_path / "town.dump", third, replace=True)
    assert len(levels(third)) == 6
    with pytest.raises(KibanError, match="a dump of PostgreSQL"):
        restore(tmp_path / "town.dump", str(tmp_path / "x.db"))
    (tmp_path / "cut.dump").write_bytes((tmp_path / "town.dump").read_bytes()[:400])
    with pytest.raises(KibanError, match="damaged dump"):
        restore(tmp_path / "cut.dump", postgres("fourth"))


def test_old_history_is_dropped_in_postgresql_too(postgres):
    assert asyncio.run(dropped_by_hand(postgres("history"))) == (["202508", "202509"], ["202510", "202511", "202512"])


def test_without_the_programs_of_postgresql_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    monkeypatch.setattr(module.Path, "glob", lambda _self, _pattern: iter(()))
    with pytest.raises(KibanError, match="postgresql-client"):
        backup("postgresql://clerk:geheim@127.0.0.1:1/town", tmp_path / "b.dump")


@pytest.mark.usefixtures("postgres_bin")
def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path):
    with pytest.raises(KibanError, match="pg_dump") as error:
        backup("postgresql://clerk:geheim@127.0.0.1:1/town", tmp_path / "b.dump")
    assert "geheim" not in str(error.value)
    assert not (tmp_path / "b.dump").exists()


# ------------------------------------------------------------------------------------------------------------------------ history


def event(at: str, number: int) -> Event:
    return Event(LEVEL, {"type": "Property", "value": number, "observedAt": at, "createdAt": at, "modifiedAt": at})


async def dropped_by_hand(address: str) -> tuple[list[str], list[str]]:
    store = open_store(address)
    types, now = ["https://data.town.example/Gauge"], times.parse("2025-08-01T00:00:00Z")

    def fill(tx) -> None:
        tenant = tx.open_tenant("")
        tx.record(tx.keep_head(tenant, "urn:gauge:1", types, now), [event(f"2025-{month:02}-15T00:00:00Z", month) for month in range(8, 13)])
        tx.record(tx.keep_head(tenant, "urn:gauge:gone", types, now), [event("2025-09-30T23:59:59Z", 99)])

    await store.write(fill)
    assert await store.slow(lambda tx: tx.months()) == ["202508", "202509", "202510", "202511", "202512"]
    dropped = await store.write(lambda tx: drop_history(tx, 2, times.parse("2025-12-20T00:00:00Z")))
    assert await store.write(lambda tx: drop_history(tx, 2, times.parse("2025-12-20T00:00:00Z"))) == []
    tenant = store.reader.tenant("")
    assert [store.reader.head(tenant, f"urn:gauge:{name}") is not None for name in ("1", "gone")] == [True, False]
    kept = await store.slow(lambda tx: tx.months())
    rows = await store.slow(lambda tx: [tx.one(f"SELECT count(*) FROM history_{month}")[0] for month in kept])
    assert rows == [1, 1, 1]
    await store.write(lambda tx: tx.record(tx.head(tenant, "urn:gauge:1").key, [event("2025-08-02T00:00:00Z", 77)]))
    assert (await store.slow(lambda tx: tx.months()))[0] == "202508", "a month that was dropped can come back"
    await store.close()
    return dropped, kept


def test_months_before_those_that_are_kept_are_dropped_with_what_was_deleted_then(tmp_path):
    assert asyncio.run(dropped_by_hand(str(tmp_path / "town.db"))) == (["202508", "202509"], ["202510", "202511", "202512"])


def test_keeping_no_month_at_all_is_refused(tmp_path):
    async def walk() -> None:
        store = open_store(str(tmp_path / "town.db"))
        with pytest.raises(ValueError, match="1 or more"):
            await store.write(lambda tx: drop_history(tx, 0, times.now_us()))
        await store.close()

    asyncio.run(walk())


@given(st.dates(), st.integers(1, 400))
def test_the_first_month_kept_is_counted_back_from_this_one(day, months):
    if day.year * 12 + day.month - 1 - months < 12:
        return
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    assert oldest_month(times.parse(f"{day.isoformat()}T12:00:00Z"), months) == f"{year:04}{month:02}"


def test_dropping_goes_on_after_a_disk_that_was_full_for_an_hour(monkeypatch):
    monkeypatch.setattr("kiban.linkage.broker.maintain.EVERY", 0.01)
    answers = [Problem("InternalError", "the disk is full"), [], ["202401"]]

    class Store:
        def write(self, _op) -> asyncio.Future:
            future = asyncio.get_running_loop().create_future()
            answer = answers.pop(0) if answers else []
            future.set_exception(answer) if isinstance(answer, Problem) else future.set_result(answer)
            return future

    async def walk() -> list:
        told = []
        task = asyncio.create_task(keep_history(Store(), 3, lambda months, problem: told.append((months, problem is None))))
        while len(told) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        return told

    assert asyncio.run(walk()) == [([], False), (["202401"], True)]
