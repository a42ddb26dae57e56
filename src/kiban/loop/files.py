"""A plan as files, and read again.

Every file is made in a hidden folder inside the target; when all are there, that folder is renamed to `.ready` in one step, and its files are
moved out. Before the renaming the older plan is whole, after it the newer one: whoever comes next, to read or to write, moves what a killed
process left. Two writers so come one after the other, and the files are always those of one plan.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kiban.base.errors import KibanError
from kiban.catalogue import Catalogue, words
from kiban.documents.geojson import design_geojson
from kiban.documents.plan_pdf import plan_pdf
from kiban.documents.sites_xlsx import sites_xlsx
from kiban.documents.view import View
from kiban.loop.plan import Made
from kiban.records.design import Design, Problem
from kiban.records.plan import Plan
from kiban.records.region import Region

# The files of a plan folder with their media types, plan.json last: it is written when all others are there.
FILES = {
    "plan.pdf": "application/pdf",
    "sites.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "design.geojson": "application/geo+json",
    "problem.json": "application/json",
    "design.json": "application/json",
    "region.json": "application/json",
    "plan.json": "application/json",
}
DRAFT, READY = ".plan-", ".ready"


@dataclass(frozen=True)
class Folder:
    """A plan folder, read."""

    plan: Plan
    region: Region
    problem: Problem
    design: Design


def write_folder(made: Made, region: Region, catalogue: Catalogue, lang: str, target: Path) -> list[Path]:
    """Write all files of a plan; returns their paths.

    Raises
    ------
    OSError  the disk is full or the folder cannot be written; what stood there before stays as it was
    """
    assert made.plan is not None
    assert made.designed is not None
    problem, design = made.designed.problem, made.designed.design
    view = View(made.plan, catalogue, words(catalogue, lang), lang, region.name, region.sources)
    names = {id: catalogue.headline("technologies", id, lang) for id in catalogue.technologies}
    contents = {
        "plan.pdf": plan_pdf(view, region, problem, design),
        "sites.xlsx": sites_xlsx(view),
        "design.geojson": design_geojson(region, problem, design, names),
        "problem.json": msgspec.json.encode(problem),
        "design.json": msgspec.json.encode(design),
        "region.json": msgspec.json.encode(region),
        "plan.json": msgspec.json.format(msgspec.json.encode(made.plan), indent=1),
    }
    target.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=target))
    try:
        for name in FILES:
            with (draft / name).open("wb") as file:
                file.write(contents[name])
                file.flush()
                os.fsync(file.fileno())
        while True:
            _move_out(target)
            try:
                draft.rename(target / READY)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        _move_out(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [target / name for name in FILES]


def _move_out(target: Path) -> None:
    """Move the files of a finished plan to their places; another process may be doing the same."""
    ready = target / READY
    if not ready.is_dir():
        return
    for name in FILES:
        with suppress(FileNotFoundError):
            (ready / name).replace(target / name)
    with suppress(OSError):  # gone already, or filled again by another writer
        ready.rmdir()


def _sweep(target: Path) -> None:
    """Take away what writers left that were killed more than an hour ago."""
    for old in target.glob(f"{DRAFT}*"):
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > 3600:
                shutil.rmtree(old, ignore_errors=True)


def read_folder(path: Path) -> Folder:
    """Read a plan folder again.

    Raises
    ------
    KibanError  a file is missing or is not what this version writes; the message names it
    """
    kinds: dict[str, Any] = {"plan.json": Plan, "region.json": Region, "problem.json": Problem, "design.json": Design}
    found = {}
    _move_out(path)
    for name, kind in kinds.items():
        try:
            found[name] = msgspec.json.decode((path / name).read_bytes(), type=kind)
        except FileNotFoundError as error:
            raise KibanError(str(path / name), "no such file", "a folder written by kiban plan", f"run kiban plan … -o {path} again") from error
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise KibanError(str(path / name), str(error), "a file written by this version of kiban", f"run kiban plan … -o {path} again") from error
    return Folder(found["plan.json"], found["region.json"], found["problem.json"], found["design.json"])
