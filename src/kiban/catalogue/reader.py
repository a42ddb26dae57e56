"""Read the data files into a Catalogue (データファイルの読み込み).

In: the package's data folder and, after it, a region's own, which wins by id. Out: the Catalogue, or one message with every problem of every file.
Read once: the result is cached under the hash of all files and of the code that reads them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import kiban
from kiban.base.errors import DataFileError, DataFilesError
from kiban.catalogue.cache import cache_key, read_cache, write_cache
from kiban.catalogue.catalogue import Catalogue
from kiban.catalogue.convert import FAILED, Converter, near
from kiban.catalogue.kinds import KINDS, Kind
from kiban.catalogue.links import check_versions, check_words, dangling
from kiban.catalogue.tree import read_tree
from kiban.records.rules import ID

PACKAGE_DATA = Path(kiban.__file__).parent / "data"
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class DataFile:
    """One file as bytes: kind, id (with version), the name in messages, the place on this machine."""

    kind: Kind
    id: str
    label: str
    path: Path
    content: bytes


def load(data: Path | None = None, cache: Path | None = None, *, package: Path | None = None) -> Catalogue:
    """All data files as one Catalogue.

    Parameters
    ----------
    data     a region's own data folder (KIBAN_DATA), read after the package's; its files win by id, its words by key
    cache    the folder of the cache; None: read everything anew
    package  another folder in the place of the package's own, for tests

    Raises
    ------
    DataFilesError  with one line per problem: file:line, place in the file, what was found, what fits, next step
    """
    problems: list[DataFileError] = []
    files = [file for folder, own in ((package or PACKAGE_DATA, False), (data, True)) if folder is not None for file in find_files(folder, own, problems)]
    key = cache_key((f"{file.kind.name}/{file.id}", file.path, file.content) for file in files)
    known = read_cache(cache, key) if cache is not None and not problems else None
    if known is not None:
        return known
    catalogue = _build(files, problems)
    if problems:
        raise DataFilesError(str(data or "data"), [*sorted(problems, key=_place)])
    if cache is not None:
        write_cache(cache, key, catalogue)
    return catalogue


def overridden(catalogue: Catalogue, kind: str, id: str) -> Any | None:
    """The package's own record behind an entry that a region's folder has put in its place; None where the entry is not put over one.

    Raises
    ------
    DataFilesError  the package's file is broken
    """
    own = PACKAGE_DATA / kind / f"{id}.yaml"
    if Path(catalogue.paths.get(f"{kind}/{id}", own)) == own or not own.is_file():
        return None
    problems: list[DataFileError] = []
    record = read_file(DataFile(KINDS[kind], id, f"{kind}/{id}.yaml", own, own.read_bytes()), problems)
    if problems:
        raise DataFilesError(str(own), [*problems])
    return record


def words_and_ids(data: Path | None = None) -> tuple[Catalogue, dict[str, list[str]]]:
    """The words alone, and the ids of all files by kind without reading them: enough to begin a new file while another is not good yet.

    Raises DataFilesError when the words themselves are not good.
    """
    ignored: list[DataFileError] = []
    files = [file for folder, own in ((PACKAGE_DATA, False), (data, True)) if folder is not None for file in find_files(folder, own, ignored)]
    problems: list[DataFileError] = []
    catalogue = _build([file for file in files if file.kind.name == "words"], problems)
    if problems:
        raise DataFilesError("words", [*sorted(problems, key=_place)])
    return catalogue, {kind: sorted({file.id for file in files if file.kind.name == kind}, key=_natural) for kind in KINDS}


def find_files(folder: Path, own: bool, problems: list[DataFileError]) -> list[DataFile]:
    """Every data file of a folder, with the problems of names and sizes. Hidden files, texts (.md) and term tables (.jsonld) are passed over."""
    found: list[DataFile] = []
    prefix = f"{folder.name}/" if own else ""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        label = prefix + "/".join(parts)
        if path.is_dir() or path.suffix in (".md", ".jsonld") or any(part.startswith((".", "__")) for part in parts):
            continue
        kind = KINDS.get(parts[0])
        if kind is None or len(parts) != (3 if kind.versions else 2):
            fits = f"{parts[0]}/<id>{'/<version>' if kind and kind.versions else ''}.yaml" if kind else f"a folder of {', '.join(KINDS)}"
            problems.append(DataFileError(f"{label}:1", "a file at a place that no kind has", fits, near(parts[0], KINDS) or "move it or delete it"))
            continue
        if path.suffix != ".yaml":
            problems.append(DataFileError(f"{label}:1", f"a file ending {path.suffix or 'nothing'}", ".yaml", "rename it"))
            continue
        id = "/".join((*parts[1:-1], path.stem))
        bad = [part for part in (*parts[1:-1], path.stem) if not ID.match(part)]
        if bad or (kind.versions and not path.stem.isdigit()):
            fits = "lower-case letters and digits joined by - _ or ." if bad else "a whole number as version, such as 1.yaml"
            problems.append(DataFileError(f"{label}:1", f"the name {bad[0] if bad else path.stem!r}", fits, "rename the file: its name is its id"))
            continue
        size = path.stat().st_size
        if size > MAX_BYTES:
            problems.append(DataFileError(f"{label}:1", f"{size:,} bytes", f"at most {MAX_BYTES:,} bytes a file", "one file per thing: divide it"))
            continue
        found.append(DataFile(kind, id, label, path, path.read_bytes()))
    return found


def read_file(file: DataFile, problems: list[DataFileError]) -> Any:
    """The record of one file, or FAILED with its problems told."""
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content[: error.start].count(b"\n") + 1
        problems.append(DataFileError(f"{file.label}:{line}", f"the byte 0x{file.content[error.start]:02x}", "UTF-8", "save it as UTF-8 (is it Shift_JIS?)"))
        return FAILED
    before = len(problems)
    tree = read_tree(text, file.label, problems)
    if tree is None:
        return FAILED
    record = Converter(file.label, problems).convert(tree, file.kind.record)
    return FAILED if len(problems) > before else record


def _build(files: list[DataFile], problems: list[DataFileError]) -> Catalogue:
    entries: dict[str, dict[str, Any]] = {name: {} for name in KINDS}
    hashes: dict[str, str] = {}
    paths: dict[str, str] = {}
    labels: dict[str, str] = {}
    for file in files:
        record = read_file(file, problems)
        if record is FAILED:
            continue
        name = f"{file.kind.name}/{file.id}"
        if file.kind.name == "words":
            # A region changes a word or two; the rest stays the package's.
            record = entries["words"].get(file.id, {}) | record
        entries[file.kind.name][file.id] = record
        hashes[name], paths[name], labels[name] = hashlib.sha256(file.content).hexdigest(), str(file.path), file.label
    check_words(entries["words"], labels, problems)
    check_versions(entries["models"], labels, problems)
    for kind in entries:
        entries[kind] = dict(sorted(entries[kind].items(), key=lambda item: _natural(item[0])))
    catalogue = msgspec.structs.replace(Catalogue(hashes=hashes, paths=paths), **entries)
    return msgspec.structs.replace(catalogue, dangling=dangling(catalogue))


def _natural(id: str) -> tuple[str, int]:
    head, _, tail = id.rpartition("/")
    return (head, int(tail)) if head and tail.isdigit() else (id, 0)


def _place(problem: DataFileError) -> tuple[str, int, str]:
    file, _, rest = problem.where.partition(":")
    line = rest.split(" ", 1)[0]
    return file, int(line) if line.isdigit() else 0, problem.where
