"""The server, and then the process that designs, are killed in the midst of a real design: the job goes on from where it stood, and the plan holds.

One town, drawn large enough that its design takes half a minute and more; it is stopped when everything has been seen, so that the test takes less.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from tests.jobs.town import write_town

from kiban.catalogue import load
from kiban.check import check_design
from kiban.jobs import Jobs
from kiban.loop.checkpoint import Keeper, keeper_for, read_checkpoint
from kiban.loop.files import read_folder
from kiban.loop.given import Given
from kiban.records.checkpoint import Checkpoint, Snapshot
from kiban.records.job import Job
from kiban.region import read

SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"
SERVER = """
import sys, time
from pathlib import Path
from kiban.jobs import Jobs
folder = Path(sys.argv[1])
jobs = Jobs(folder / "jobs", [sys.executable, "-m", "kiban"], folder / "regions", folder / "plans", lambda name: "drawn-town")
jobs.start()
if not jobs.all():
    jobs.submit("town", sys.argv[2], {}, "ja")
time.sleep(600)
"""
OLDEST = 10.0  # seconds


def until(what: Callable[[], Any], seconds: float = 90.0) -> Any:
    """What a function says, once it says something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it took too long")


def kept(path: Path) -> Checkpoint | None:
    """The checkpoint, when it says what a search has found."""
    if not path.exists():
        return None
    found = read_checkpoint(path)
    return found if found.snapshot is not None and found.snapshot.bound else None


def children(folder: Path) -> list[int]:
    """The processes that work on a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if b"--attached" in words and str(folder).encode() in words:
            found.append(int(entry.parent.name))
    return found


def better(later: Snapshot, earlier: Snapshot) -> bool:
    """Neither the design nor the bound is worse."""
    if earlier.arcs is None:
        return later.bound >= earlier.bound
    return (
        later.arcs is not None
        and later.bound >= earlier.bound
        and (later.broken, later.unserved, later.cost) <= (earlier.broken, earlier.unserved, earlier.cost)
    )


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_a_design_goes_on_after_the_server_and_after_its_process_were_killed(tmp_path: Path):
    write_town(tmp_path / "regions" / "town", 120, 2500)

    def serve() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path), SENTENCE], env={**os.environ, "KIBAN_STATE": str(tmp_path / "state")})

    def job() -> Job:
        path = next((tmp_path / "jobs").glob("*.json"))
        return msgspec.json.decode(path.read_bytes(), type=Job)

    server = serve()
    place = until(lambda: next((tmp_path / "jobs").glob("*.checkpoint"), None))
    until(lambda: kept(place))
    time.sleep(3)
    server.kill()
    moment = time.time()
    server.wait()
    first = kept(place)
    assert first is not None
    assert first.snapshot is not None
    assert moment - place.stat().st_mtime <= OLDEST
    until(lambda: not children(tmp_path), 10)  # the process does not outlive whoever asked for it
    assert job().status == "running"

    jobs = Jobs(tmp_path / "jobs", [sys.executable, "-m", "kiban"], tmp_path / "regions", tmp_path / "plans", lambda _: "drawn-town")
    jobs.start()
    try:
        (one,) = jobs.all()
        second = until(lambda: (now := kept(place)) and now.snapshot.seconds > first.snapshot.seconds and now)
        assert second.running == first.running
        assert better(second.snapshot, first.snapshot)
        (child,) = children(tmp_path)
        os.kill(child, signal.SIGKILL)
        until(lambda: jobs.get(one.id).tries == 3)
        last = kept(place)
        assert last is not None
        assert better(last.snapshot, second.snapshot)
        until(lambda: (now := kept(place)) and now.snapshot.seconds > last.snapshot.seconds)
        jobs.cancel(one.id)
        asked = time.monotonic()
        until(lambda: jobs.get(one.id).over)
        assert time.monotonic() - asked < 60
        done = jobs.get(one.id)
        assert (done.status, done.tries, done.error) == ("done", 3, None)
    finally:
        jobs.close()
    plan = read_folder(tmp_path / "plans" / str(done.plan))
    assert check_design(plan.problem, plan.design).holds
    assert plan.design.bound >= last.snapshot.bound >= first.snapshot.bound
    if last.snapshot.arcs is not None and not last.snapshot.unserved and not last.snapshot.broken:
        assert plan.design.cost <= last.snapshot.cost
    assert not place.exists()


def town(tmp_path: Path) -> Given:
    write_town(tmp_path / "town", 8, 36)
    return Given(sentence=SENTENCE, region=read(tmp_path / "town"), catalogue=load(), now=datetime(2026, 11, 23, 3, tzinfo=UTC))


def test_a_checkpoint_that_is_damaged_is_not_used_and_that_is_said(tmp_path: Path):
    path, said = tmp_path / "checkpoint", []
    keeper = Keeper(path, "inputs", said.append)
    keeper.begin("a")
    keeper.note(lambda: Snapshot(bound=5))
    keeper.write()
    whole = path.read_bytes()
    assert Keeper(path, "inputs", said.append).resumed
    for torn in (whole[:-1], whole[:30], b"", whole[:-9] + b"x" + whole[-8:], b"{}"):
        path.write_bytes(torn)
        before = len(said)
        assert not Keeper(path, "inputs", said.append).resumed
        assert len(said) == before + 1
    assert "damaged" in said[-1]


@pytest.mark.parametrize("change", ["sentence", "seed", "work", "region", "year", "budget"])
def test_a_checkpoint_of_other_inputs_is_not_used(tmp_path: Path, change: str):
    given, path, said = town(tmp_path), tmp_path / "checkpoint", []
    keeper = keeper_for(path, given, said.append)
    keeper.begin("a")
    keeper.note(lambda: Snapshot(bound=5))
    keeper.write()
    assert keeper_for(path, town_again(given), said.append).resumed
    other: dict[str, Any] = {
        "sentence": {"sentence": SENTENCE + "。"},
        "seed": {"seed": 1},
        "work": {"work": 99},
        "region": {"region": structs.replace(given.region, sites=(structs.replace(given.region.sites[0], population=301), *given.region.sites[1:]))},
        "year": {"now": datetime(2027, 11, 23, 3, tzinfo=UTC)},
        "budget": {"budget": 10_000_000},
    }[change]
    assert said == []
    assert not keeper_for(path, replace(given, **other), said.append).resumed
    assert "other inputs" in said[0]


def town_again(given: Given) -> Given:
    """The same, an hour later."""
    return replace(given, now=given.now + timedelta(hours=1))


def test_a_disk_that_is_full_is_told_once_and_stops_nothing(tmp_path: Path):
    said: list[str] = []
    keeper = Keeper(tmp_path / "nowhere" / "checkpoint", "inputs", said.append)
    for _ in range(3):
        keeper.write()
    assert len(said) == 1
    keeper.remove()
