"""What was acknowledged is on disk: SQLite files as a loss of power at a random moment leaves them, opened again.

Each moment is one of a recorded run: concurrent writes through the store as in production, with groups, rollbacks, checkpoints and history. The suite
looks at 500 moments, DURABILITY=5000 at as many as it says.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.linkage.lossy import Disk, Note, noted

from kiban.linkage.broker import history
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.model import create as create_change
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.store.contract import Message
from kiban.linkage.broker.store.sqlite import SqliteStore

POINTS = int(os.environ.get("DURABILITY", "500"))
RUNS = max(2, POINTS // 25)
TOWN = "https://town.example/terms#"
PLACES = 24


class Refused(Exception):
    """What a write raises that must leave nothing behind."""


def entity(place: int, serial: int, dice: random.Random) -> dict[str, Any]:
    at = f"2026-{1 + serial % 3:02}-27T{serial // 60 % 24:02}:{serial % 60:02}:00.000Z"
    return {
        "id": f"urn:place:{place}", "type": [f"{TOWN}Place"], "createdAt": at, "modifiedAt": at,
        f"{TOWN}level": [{"type": "Property", "value": serial, "createdAt": at, "modifiedAt": at}],
        f"{TOWN}note": [{"type": "Property", "value": "x" * dice.randrange(0, 12_000), "createdAt": at, "modifiedAt": at}],
        "https://uri.etsi.org/ngsi-ld/location": [
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137 + serial / 1e4, 37.0]}, "createdAt": at, "modifiedAt": at}
        ],
    }  # fmt: skip


def plan(serial: int, dice: random.Random) -> tuple[str, int, dict[str, Any]]:
    """What write number `serial` does: put or remove a place, or fail in the middle."""
    place = dice.randrange(PLACES)
    what = dice.choices(("put", "remove", "refuse"), (8, 1, 1))[0]
    return what, place, entity(place, serial, dice)


def write_one(tx: Any, serial: int, what: str, new: dict[str, Any]) -> int:
    """One write as the broker does it: the entity, its history, its notification."""
    tenant = tx.open_tenant("")
    old = tx.entity(tenant, new["id"])
    if what == "remove":
        if old is not None:
            tx.delete(tenant, old)
            history.record(tx, tenant, "", Change(None, old, []))
    else:
        tx.put(tenant, new, old)
        history.record(tx, tenant, "", create_change(new) if old is None else Change(new, old, [(f"{TOWN}level", None, "updated")]))
    tx.enqueue([Message("http://town.example/in", tenant, "urn:sub", new["id"], str(serial).encode())], serial)
    if what == "refuse":
        raise Refused
    return serial


def run_of(seed: int, folder: Path, writes: int, synchronous: str = "") -> tuple[list[Note], list[tuple[str, int, dict[str, Any]]]]:
    """A recorded run: what was written to the files and when each write was acknowledged; and what each write does."""
    dice = random.Random(seed)
    plans = [plan(serial, dice) for serial in range(writes)]
    name = f"noted-{seed}"
    with noted(name) as notes:

        async def drive() -> None:
            store = SqliteStore(folder / "broker.db", vfs=name)
            checkpoint = dice.choice((8, 40, 200))
            store.writer.connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint}")
            if synchronous:
                store.writer.connection.execute(f"PRAGMA synchronous = {synchronous}")

            async def one(serial: int) -> None:
                what, _, new = plans[serial]
                try:
                    await store.write(lambda tx: write_one(tx, serial, what, new))
                except Refused:
                    return
                notes.append(Note("told", at=serial + 1))

            serial = 0
            while serial < writes:
                many = min(dice.choice((1, 1, 2, 5, 20)), writes - serial)
                await asyncio.gather(*(one(number) for number in range(serial, serial + many)))
                serial += many
                if dice.random() < 0.2:
                    await store.slow(lambda tx: tx.count_things(1, "subscription"))
            await store.close()

        asyncio.run(drive())
    return notes, plans


def look_at(folder: Path, plans: list[tuple[str, int, dict[str, Any]]], told: int) -> None:
    """The file must be whole and hold exactly the first writes of the run, with all that were acknowledged (serial < told)."""
    path = folder / "broker.db"
    if not path.exists():
        assert told == 0
        return
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if not connection.execute("PRAGMA user_version").fetchone()[0]:  # not even the first tables
        assert told == 0
        connection.close()
        return
    assert connection.execute("SELECT rtreecheck('place')").fetchone() == ("ok",)
    found = [int(row[0]) for row in connection.execute("SELECT request FROM outbox ORDER BY seq")]
    last = found[-1] + 1 if found else 0
    kept = [serial for serial, (what, *_) in enumerate(plans[:last]) if what != "refuse"]
    assert found == kept, "a write is missing in the middle, or one that failed is there"
    assert not [serial for serial, (what, *_) in enumerate(plans[last:told], last) if what != "refuse"], "a write that was acknowledged is lost"
    state: dict[int, dict[str, Any]] = {}
    events: dict[int, int] = {}
    for serial in kept:
        what, place, new = plans[serial]
        if what == "remove":
            state.pop(place, None)
            events.pop(place, None)
        else:
            events[place] = events.get(place, 2) + 1
            state[place] = new
    stored = {row[0]: decode(row[1], row[2]) for row in connection.execute("SELECT id, lean, sys FROM entity")}
    assert stored == {new["id"]: new for new in state.values()}
    assert connection.execute("SELECT count(*) FROM place").fetchone() == (len(state),)
    months = [row[0] for row in connection.execute("SELECT month FROM partition")]
    assert sum(connection.execute(f"SELECT count(*) FROM history_{month}").fetchone()[0] for month in months) == sum(events.values())
    connection.close()


def go_on(folder: Path) -> None:
    """The store opens what was left and takes the next write."""

    async def drive() -> None:
        store = SqliteStore(folder / "broker.db")
        await store.write(lambda tx: write_one(tx, 10**6, "put", entity(99, 1, random.Random(1))))
        assert store.reader.entity(store.reader.tenant(""), "urn:place:99") is not None
        await store.close()

    asyncio.run(drive())


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("run", range(RUNS))
def test_a_loss_of_power_at_a_random_moment_loses_nothing_that_was_acknowledged(run: int, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    notes, plans = run_of(run, tmp_path / "run", writes=150)
    dice = random.Random(f"moments {run}")
    points = POINTS // RUNS + (run < POINTS % RUNS)
    disk = Disk(notes)
    for moment in sorted(dice.randrange(len(notes) + 1) for _ in range(points)):
        disk.go_to(moment)
        left = tmp_path / "left"
        left.mkdir()
        disk.lose_power(dice, left)
        try:
            look_at(left, plans, disk.told)
            go_on(left)
        except (AssertionError, sqlite3.Error) as error:
            error.add_note(f"run {run}, note {moment} of {len(notes)}, {disk.told} acknowledged")
            raise
        shutil.rmtree(left)


def test_the_same_look_finds_what_a_store_without_syncs_loses(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    notes, plans = run_of(7, tmp_path / "run", writes=60, synchronous="OFF")
    dice = random.Random(7)
    disk = Disk(notes)
    wrong = 0
    for moment in sorted(dice.randrange(len(notes) // 2, len(notes)) for _ in range(10)):
        disk.go_to(moment)
        left = tmp_path / f"left-{moment}-{wrong}"
        left.mkdir()
        disk.lose_power(dice, left)
        try:
            look_at(left, plans, disk.told)
        except (AssertionError, sqlite3.Error):
            wrong += 1
    assert wrong >= 5
