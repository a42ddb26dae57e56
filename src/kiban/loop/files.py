"""A plan as files, and read again.

Every file is made in a hidden folder inside the target; when all are there, that folder is renamed to `.ready` in one step, and its files are
moved out. Before the renaming the older plan is whole, after it the newer one: whoever comes next, to read or to write, moves what a killed
process left. Writers hold the folder while they do so: they come one after the other, and the files are always those of one plan.

Papers stand in two folders, for the office and for outside. What somebody changed in them is kept: passages with a key go into inputs.json and
into the new paper, and a paper that is no longer what was written is copied to `旧版` before it is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.catalogue import Catalogue, words
from kiban.documents.dossier import Dossier
from kiban.documents.leaks import leaks
from kiban.documents.own_words import read_words
from kiban.documents.paper import INSIDE, OUTSIDE
from kiban.documents.papers import papers
from kiban.documents.plan_pdf import plan_pdf
from kiban.documents.sites_xlsx import sites_xlsx
from kiban.documents.view import View
from kiban.loop.exports import BOM, GEOJSON, GEOPACKAGE, OFDS, exports
from kiban.loop.folder import FILES, KINDS, OLD, READY, Folder, Manifest, complete, decoded, paper_names, read_folder, read_manifest
from kiban.loop.given import TOKYO
from kiban.loop.inputs import read_inputs as inputs_alone
from kiban.loop.sheets import open_workbook
from kiban.records.funding import Funding, Inputs
from kiban.records.plan import Plan
from kiban.records.region import Region

if TYPE_CHECKING:
    from kiban.loop.plan import Made

# The files of the design for other programs, by their names among the papers that stay in the office.
INSIDE_EXPORTS = {BOM: f"{INSIDE}/数量表.xlsx", GEOPACKAGE: f"{INSIDE}/設計図.gpkg", OFDS: f"{INSIDE}/設計図_OFDS.json"}
DRAFT = ".plan-"
__all__ = [
    "FILES",
    "KINDS",
    "OLD",
    "Folder",
    "Manifest",
    "complete",
    "copies",
    "editing",
    "inputs_of",
    "paper_names",
    "paper_state",
    "put_folder",
    "read_folder",
    "read_inputs",
    "read_manifest",
    "refresh_folder",
    "warnings",
    "write_folder",
]
PATIENCE = 120  # seconds that a writer waits for others: each of them computes its papers while it holds the folder


def write_folder(made: Made, region: Region, catalogue: Catalogue, lang: str, target: Path, join: Callable[[Inputs], Inputs] | None = None) -> list[Path]:
    """Write all files of a plan; returns their paths.

    join: from what stands in the folder now to what the plan is to have: a design takes minutes, and people go on writing.

    Raises
    ------
    OSError  the disk is full or the folder cannot be written; what stood there before stays as it was
    """
    assert made.plan is not None
    assert made.designed is not None
    assert made.funding is not None
    day = made.plan.made_on.astimezone(TOKYO).date()
    folder = Folder(made.plan, region, made.designed.problem, made.designed.design, made.funding, made.inputs)
    if join is None or not target.is_dir():
        return put_folder(folder, catalogue, lang, target, day)
    with editing(target):
        return _write(_with_inputs(folder, catalogue, day, join(inputs_of(target, folder.plan.id))), catalogue, lang, target, day)


def _with_inputs(folder: Folder, catalogue: Catalogue, day: date, inputs: Inputs) -> Folder:
    """The plan with other inputs: money and verdict are those of them."""
    if inputs == folder.inputs:
        return folder
    from kiban.loop.plan import fund_again  # as below

    plan, funding = fund_again(folder.plan, folder.region, folder.problem, folder.design, catalogue, inputs, day)
    return Folder(plan, folder.region, folder.problem, folder.design, funding, inputs)


def put_folder(folder: Folder, catalogue: Catalogue, lang: str, target: Path, day: date, exact: Mapping[str, bytes] | None = None) -> list[Path]:
    """Write a plan folder out of its records, its papers as made on that day; exact: file name → the bytes of a record that is to stay as it was written.

    Raises
    ------
    OSError  the disk is full or the folder cannot be written; what stood there before stays as it was
    """
    target.mkdir(parents=True, exist_ok=True)
    with _alone(target):
        return _write(folder, catalogue, lang, target, day, exact or {})


def refresh_folder(path: Path, catalogue: Catalogue, lang: str, inputs: Inputs, now: datetime | None = None) -> list[Path]:
    """Compute money, verdict and papers of a plan folder again from its design and from other inputs; the design stays as it is.

    Raises
    ------
    KibanError  the folder is no plan folder; OSError: it cannot be written, and what stood there stays
    """
    with editing(path) as edit:
        return edit.refresh(catalogue, lang, inputs, now)


@dataclass(frozen=True)
class Editing:
    """A plan folder that is held: what is read of it stays true until it is written."""

    path: Path

    def refresh(self, catalogue: Catalogue, lang: str, inputs: Inputs, now: datetime | None = None) -> list[Path]:
        """Like `refresh_folder`, in a folder that is held already."""
        folder = read_folder(self.path)
        day = (now or datetime.now(UTC)).astimezone(TOKYO).date()
        from kiban.loop.plan import fund_again  # the engines come with it: whoever looks at papers needs none

        plan, funding = fund_again(folder.plan, folder.region, folder.problem, folder.design, catalogue, inputs, day)
        return _write(Folder(plan, folder.region, folder.problem, folder.design, funding, inputs), catalogue, lang, self.path, day)

    def put(self, folder: Folder, catalogue: Catalogue, lang: str, day: date, exact: Mapping[str, bytes]) -> list[Path]:
        """Like `put_folder`, in a folder that is held already."""
        return _write(folder, catalogue, lang, self.path, day, exact)


@contextmanager
def editing(path: Path) -> Iterator[Editing]:
    """Hold a plan folder from reading what people have put in to writing it: two commands at once come one after the other, and both are kept.

    Raises
    ------
    KibanError  there is no such folder, or another process has held it for too long
    """
    if not path.is_dir():
        raise KibanError(str(path), "no such folder", "a plan folder", "name a folder that kiban plan wrote")
    with _alone(path):
        complete(path)
        yield Editing(path)


def warnings(target: Path) -> list[str]:
    """What must be taken out of the papers for outside before they are sent: amounts of the estimate, and prices that stay secret."""
    funding = decoded(target, "funding.json", Funding)
    outside = [target / name for name in paper_names(target) if name.startswith(OUTSIDE)]
    return leaks(funding, {f"{OUTSIDE}/{path.name}": path.read_bytes() for path in outside})


def copies(folder: Path) -> set[str]:
    """Names below the folder of the papers set aside in `旧版`, each a copy of what somebody had changed."""
    return {path.relative_to(folder).as_posix() for path in folder.glob(f"**/{OLD}/*")}


def read_inputs(target: Path) -> Inputs:
    """What people have put into a plan by hand, with the passages that they changed in its papers; empty where there is no plan yet.

    Raises
    ------
    KibanError  inputs.json or a paper cannot be read; nothing is lost, for nothing is written
    """
    complete(target)
    inputs = inputs_alone(target)
    manifest = read_manifest(target)
    own, made = dict(inputs.words), dict(inputs.made)
    for name, printed in manifest.printed.items():
        path = target / name
        if not path.is_file() or _sum(path.read_bytes()) == manifest.sums.get(name):
            continue
        for key, text in read_words(path.read_bytes(), str(path)).items():
            if key in printed and text.strip() != printed[key].strip():
                made.setdefault(key, printed[key])
                own[key] = text
                if text.strip() == made[key].strip():  # put back to what had been generated
                    del own[key], made[key]
    return replace(inputs, words=own, made=made)


def settle(target: Path) -> None:
    """Note that the passages which now stand in the papers were read, so that they are not read again over what people write elsewhere afterwards.

    The papers still count as edited: they are set aside when they are made anew. The caller holds the folder and has kept what `read_inputs` said.
    """
    manifest = read_manifest(target)
    printed = {name: dict(texts) for name, texts in manifest.printed.items()}
    for name, texts in printed.items():
        path = target / name
        if path.is_file() and _sum(path.read_bytes()) != manifest.sums.get(name):
            texts |= {key: text for key, text in read_words(path.read_bytes(), str(path)).items() if key in texts}
    if printed != manifest.printed:
        fresh = target / ".papers.new"
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(replace(manifest, printed=printed)), indent=1))
        fresh.replace(target / "papers.json")


def inputs_of(target: Path, plan: str) -> Inputs:
    """What people have put in by hand, where the folder holds this plan; of another plan nothing: what was put into that one goes to `旧版`."""
    if not (target / "plan.json").is_file():
        return Inputs()
    return read_inputs(target) if decoded(target, "plan.json", Plan).id == plan else Inputs()


def _write(folder: Folder, catalogue: Catalogue, lang: str, target: Path, day: date, exact: Mapping[str, bytes] = MappingProxyType({})) -> list[Path]:
    """Write all files into a folder that exists and that the caller holds."""
    plan, region, problem, design = folder.plan, folder.region, folder.problem, folder.design
    view = View(plan, catalogue, words(catalogue, lang), lang, region.name, region.sources)
    office = View(plan, catalogue, words(catalogue, "ja"), "ja", region.name, region.sources)  # papers are Japanese
    made = papers(Dossier(office, region, problem, design, folder.funding, folder.inputs, day))
    body = view.step("design")
    excludes = [(row["technology"], row["cost"]) for row in body.get("excludes", ())]
    maps = exports(region, problem, design, catalogue, plan.figures, excludes=excludes, status=body["status"], lang=lang, day=day)
    made |= {path: maps[name] for name, path in INSIDE_EXPORTS.items()}
    printed = {name: read_words(content, name) for name, content in made.items() if name.endswith(".docx")}
    manifest = Manifest(made_on=day, sums={name: _sum(content) for name, content in made.items()}, printed=printed)
    contents = {
        "plan.pdf": plan_pdf(view, region, problem, design),
        "sites.xlsx": sites_xlsx(view),
        "design.geojson": maps[GEOJSON],
        "problem.json": msgspec.json.encode(problem),
        "design.json": msgspec.json.encode(design),
        "region.json": msgspec.json.encode(region),
        "funding.json": msgspec.json.format(msgspec.json.encode(folder.funding), indent=1),
        "inputs.json": msgspec.json.format(msgspec.json.encode(folder.inputs), indent=1),
        "papers.json": msgspec.json.format(msgspec.json.encode(manifest), indent=1),
        "plan.json": msgspec.json.format(msgspec.json.encode(plan), indent=1),
        **exact,
    }
    _sweep(target)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=target))
    try:
        for name, content in (made | contents).items():
            (draft / name).parent.mkdir(exist_ok=True)
            with (draft / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        complete(target)
        _keep_edited(target, plan.id)
        draft.rename(target / READY)
        complete(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [target / name for name in (*made, *FILES)]


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold a folder against other writers; the system lets go of it when this process ends, however it ends.

    Raises
    ------
    KibanError  another process has held the folder for longer than a plan takes to be moved
    """
    handle = os.open(target, os.O_RDONLY)
    try:
        for _ in range(PATIENCE * 20):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        else:
            raise KibanError(str(target), "another process is writing this plan", "a folder that nobody else writes", "wait for it, or write to another folder")
        yield
    finally:
        os.close(handle)


def paper_state(target: Path, name: str, known: str) -> str:
    """What has become of a paper since it was written: "as written", "edited" (and still to be read), "missing" or "damaged"."""
    path = target / name
    if Path(name).parent.as_posix() not in (INSIDE, OUTSIDE) or not path.is_file():
        return "missing"
    content = path.read_bytes()
    if _sum(content) == known:
        return "as written"
    try:
        if path.suffix == ".docx":
            read_words(content, name)
        elif path.suffix == ".xlsx":
            open_workbook(path)
        elif path.suffix == ".gpkg" and content.startswith(b"SQLite format 3\0"):
            return "edited"  # a GIS writes styles into it
        else:
            return "damaged"  # nobody writes on in a PDF or a map
    except KibanError:
        return "damaged"
    return "edited"


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep_edited(target: Path, plan: str) -> None:
    """Copy every paper that somebody has changed since it was written, so that what stands outside the passages is not lost either; and what was
    put by hand into another plan that stood here."""
    sums: Mapping[str, str] = read_manifest(target).sums
    stamp = datetime.now(TOKYO).strftime("%Y%m%d-%H%M%S")
    with suppress(FileNotFoundError, KibanError):
        before = decoded(target, "plan.json", Plan)
        if before.id != plan and inputs_alone(target) != Inputs():
            (target / OLD).mkdir(exist_ok=True)
            shutil.copy2(target / "inputs.json", target / OLD / f"inputs-{before.id}-{stamp}.json")
    for name, known in sums.items():
        path = target / name
        with suppress(FileNotFoundError):
            if _sum(path.read_bytes()) != known:
                (path.parent / OLD).mkdir(exist_ok=True)
                shutil.copy2(path, path.parent / OLD / f"{path.stem}-{stamp}{path.suffix}")


def _sweep(target: Path) -> None:
    """Take away what writers left that were killed more than an hour ago."""
    for old in target.glob(f"{DRAFT}*"):
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > 3600:
                shutil.rmtree(old, ignore_errors=True)
