"""The states of a region folder 版: an edit replaces the folder whole, the one before it is kept and can be brought back.

In: the folder of regions, and what edits a copy. Out: the folder exchanged, and a Version beside it: `.kiban/<folder>/<number>` holds the earlier folder and
what replaced it. Nothing is ever edited in place, so that a folder is either as it was or as it was meant to be.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kiban.base.errors import ConflictError, RegionError
from kiban.records.rules import Record
from kiban.region.folder import read
from kiban.region.head import Detour
from kiban.region.write import save

KEPT = ".kiban"  # beside the region folders; no region has such a name
HEAVY = (".tif", ".tiff", ".hgt", ".zip")  # heights, which nobody edits: kept as links
_LOCK = threading.Lock()


class Version(Record, frozen=True, kw_only=True):
    """One change of a region folder, kept with the folder before it."""

    number: int
    at: str
    who: str
    reason: str
    what: str
    file: str = ""
    new: int = 0
    changed: int = 0
    removed: int = 0
    left: int = 0


def _copy(a: str, b: str) -> str:
    if a.lower().endswith(HEAVY):
        try:
            os.link(a, b)
            return b
        except OSError:
            pass  # another file system, or one without links
    return shutil.copy2(a, b)


def exchange(regions: Path, name: str, edit: Callable[[Path], None], done: Version) -> Version:
    """Copy a folder, edit the copy, and exchange the two; the older one is kept with what replaced it."""
    kept = regions / KEPT / name
    with _LOCK:
        mend(regions)
        numbers = [int(path.name) for path in kept.iterdir() if path.name.isdigit()] if kept.is_dir() else []
        done = replace(done, number=max(numbers, default=0) + 1)
        fresh, place = kept / "fresh", kept / str(done.number)
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copytree(regions / name, fresh, copy_function=_copy)
            edit(fresh)
            read(fresh)
            place.mkdir()
            save(place / "change.json", msgspec.json.encode(done).decode())
            (regions / name).rename(place / "folder")
            fresh.rename(regions / name)
        except OSError as error:
            mend(regions)
            raise RegionError(name, f"{error.strerror}", "a folder with space that may be written", "free some space, then try again") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return done


def enter(regions: Path, name: str, fill: Callable[[Path], None], detour: Detour | None = None) -> None:
    """Fill a new region folder beside the others, and put it among them when it can be read.

    Raises
    ------
    ConflictError  somebody made a folder of this name meanwhile
    RegionError    what was filled in is no region, or cannot be written
    """
    kept = regions / KEPT / name
    fresh = kept / "fresh"
    with _LOCK:
        mend(regions)
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            fill(fresh)
            read(fresh, detour=detour)
            if (regions / name).exists():
                raise ConflictError(name, "a folder of this name", "a new one", "look at the preview again")
            fresh.rename(regions / name)
        except OSError as error:
            raise RegionError(name, f"{error.strerror}", "a folder with space that may be written", "free some space, then try again") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def mend(regions: Path) -> None:
    """Bring back a folder whose exchange was cut off between its two steps."""
    for kept in (regions / KEPT).iterdir() if (regions / KEPT).is_dir() else ():
        if (regions / kept.name).exists():
            continue
        numbers = sorted((int(path.name) for path in kept.iterdir() if path.name.isdigit() and (path / "folder").is_dir()), reverse=True)
        if numbers:
            (kept / str(numbers[0]) / "folder").rename(regions / kept.name)
            shutil.rmtree(kept / str(numbers[0]))


def versions(regions: Path, name: str) -> list[Version]:
    """The changes of a region folder, newest first."""
    kept = regions / KEPT / name
    found = []
    for path in kept.glob("*/change.json") if kept.is_dir() else ():
        if path.parent.name.isdigit() and (path.parent / "folder").is_dir():
            found.append(msgspec.json.decode(path.read_bytes(), type=Version))
    return sorted(found, key=lambda one: -one.number)


def undo(regions: Path, name: str, number: int, *, who: str, reason: str, now: datetime) -> Version:
    """Bring back the folder as it was before a change; this is a change too, and can be taken back.

    Raises
    ------
    KeyError  no change of this number
    """
    place = regions / KEPT / name / str(number) / "folder"
    if not any(one.number == number for one in versions(regions, name)):
        raise KeyError(number)

    def edit(fresh: Path) -> None:
        shutil.rmtree(fresh)
        shutil.copytree(place, fresh, copy_function=_copy)

    return exchange(regions, name, edit, Version(number=0, at=now.isoformat(timespec="seconds"), who=who, reason=reason, what="undo", file=str(number)))
