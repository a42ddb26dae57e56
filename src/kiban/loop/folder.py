"""A plan folder, read: its records and which papers there are. Those that look at plans need nothing that writes them.

In: a folder that `kiban.loop.files` wrote. Out: a Folder. What a killed writer left half moved is moved first.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from kiban.base.errors import KibanError
from kiban.documents.paper import INSIDE, OUTSIDE
from kiban.records.design import Design, Problem
from kiban.records.funding import Funding, Inputs
from kiban.records.plan import Plan
from kiban.records.region import Region

# The records of a plan folder and their pictures, with their media types; plan.json last: it is written when all others are there.
FILES = {
    "plan.pdf": "application/pdf",
    "sites.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "design.geojson": "application/geo+json",
    "problem.json": "application/json",
    "design.json": "application/json",
    "region.json": "application/json",
    "funding.json": "application/json",
    "inputs.json": "application/json",
    "papers.json": "application/json",
    "plan.json": "application/json",
}
KINDS = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pdf": "application/pdf",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".json": "application/json",
}
READY, OLD = ".ready", "旧版"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file papers.json: what each paper was when it was written.

    sums  relative path → sha256; printed: relative path → key of a passage → its text in that paper
    """

    made_on: date | None = None
    sums: dict[str, str] = {}
    printed: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Folder:
    """A plan folder, read."""

    plan: Plan
    region: Region
    problem: Problem
    design: Design
    funding: Funding
    inputs: Inputs


def paper_names(target: Path) -> list[str]:
    """The papers of a plan folder, as relative paths: those for the office first, then those for outside."""
    return [f"{folder}/{path.name}" for folder in (INSIDE, OUTSIDE) for path in sorted((target / folder).glob("*.*")) if path.suffix in KINDS]


def read_manifest(target: Path) -> Manifest:
    """What the papers of a plan folder were when they were written; empty where there is no papers.json.

    Raises
    ------
    KibanError  the file is damaged
    """
    return decoded(target, "papers.json", Manifest) if (target / "papers.json").is_file() else Manifest()


def complete(target: Path) -> None:
    """Move the files of a finished plan to their places, the records last; another process may be doing the same."""
    ready = target / READY
    if not ready.is_dir():
        return
    with suppress(FileNotFoundError):  # another process moved them
        for folder in sorted(path for path in ready.iterdir() if path.is_dir()):
            (target / folder.name).mkdir(exist_ok=True)
            for path in sorted(folder.iterdir()):
                with suppress(FileNotFoundError):
                    path.replace(target / folder.name / path.name)
            with suppress(OSError):
                folder.rmdir()
    for name in FILES:
        with suppress(FileNotFoundError):
            (ready / name).replace(target / name)
    with suppress(OSError):  # gone already, or filled again by another writer
        ready.rmdir()


def decoded(path: Path, name: str, kind: Any) -> Any:
    """A record of a plan folder. Raises KibanError when it is missing or is not what this version writes."""
    try:
        return msgspec.json.decode((path / name).read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise KibanError(str(path / name), "no such file", "a folder written by kiban plan", f"run kiban plan … -o {path} again") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KibanError(str(path / name), str(error), "a file written by this version of kiban", f"run kiban plan … -o {path} again") from error


def read_folder(path: Path) -> Folder:
    """Read a plan folder again.

    Raises
    ------
    KibanError  a file is missing or is not what this version writes; the message names it
    """
    complete(path)
    kinds = {"plan": Plan, "region": Region, "problem": Problem, "design": Design, "funding": Funding, "inputs": Inputs}
    return Folder(**{name: decoded(path, f"{name}.json", kind) for name, kind in kinds.items()})
