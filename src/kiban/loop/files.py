"""A plan as files, and read again.

Every file is made in a folder beside the target and moved into place at the end, plan.json last: a full disk or an interrupted run leaves
the older plan whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
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
    draft = Path(tempfile.mkdtemp(prefix=".plan-", dir=target))
    try:
        for name in FILES:
            with (draft / name).open("wb") as file:
                file.write(contents[name])
                file.flush()
                os.fsync(file.fileno())
        for name in FILES:
            (draft / name).replace(target / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [target / name for name in FILES]


def read_folder(path: Path) -> Folder:
    """Read a plan folder again.

    Raises
    ------
    KibanError  a file is missing or is not what this version writes; the message names it
    """
    kinds: dict[str, Any] = {"plan.json": Plan, "region.json": Region, "problem.json": Problem, "design.json": Design}
    found = {}
    for name, kind in kinds.items():
        try:
            found[name] = msgspec.json.decode((path / name).read_bytes(), type=kind)
        except FileNotFoundError as error:
            raise KibanError(str(path / name), "no such file", "a folder written by kiban plan", f"run kiban plan … -o {path} again") from error
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise KibanError(str(path / name), str(error), "a file written by this version of kiban", f"run kiban plan … -o {path} again") from error
    return Folder(found["plan.json"], found["region.json"], found["problem.json"], found["design.json"])
