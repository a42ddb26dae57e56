"""A region or a plan across an air gap エアギャップ: out as csv, xlsx and pdf with a manifest, in again after every cell was compared.

Gateways between networks refuse other types and rebuild office files. So records travel as csv (kiban.loop.carried), papers as xlsx and pdf beside them to
be read, and `manifest.csv` has a sum of what each file says, not of its bytes; `checks.csv` finds the cell that changed. The sums find what
was changed by mistake or by a program; they are no signature.

In: a region or plan folder. Out: files, in one flat folder or a zip. In again: a folder, after a preview of what it changes.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml

from kiban.base.errors import ConflictError, KibanError, ManyErrors
from kiban.catalogue import Catalogue
from kiban.loop import carried as cells
from kiban.loop.carried import STEP, Rows
from kiban.loop.files import editing, put_folder, read_inputs
from kiban.loop.folder import OLD, Folder, Manifest, paper_names
from kiban.loop.given import TOKYO
from kiban.loop.sheets import DAMAGED, open_workbook
from kiban.records.design import Design, Problem
from kiban.records.funding import Funding, Inputs
from kiban.records.plan import Plan
from kiban.records.region import Region
from kiban.records.rules import ID
from kiban.region import Detour, read
from kiban.region.versions import Version, enter, exchange

MANIFEST, CHECKS, VERSION = "manifest.csv", "checks.csv", "1"
HEAD = ["file", "kind", "path", "form", "rows", "sha256"]
TYPES = (".csv", ".xlsx", ".pdf")
RECORDS = {"plan.json": Plan, "region.json": Region, "problem.json": Problem, "design.json": Design, "funding.json": Funding, "inputs.json": Inputs}
PAPERS = "papers.json"
REGION_TYPES = {".csv": "table", ".geojson": "json", ".yaml": "text", ".md": "text"}
MOST_FILES, MOST_BYTES, MOST_OF_ONE = 500, 300_000_000, 100_000_000


class CarryError(KibanError):
    """What does not fit of what was carried; `code` names the sentence that the pages have for it, `more` what stands in its blanks."""

    def __init__(self, code: str, where: str, found: str, fits: str = "", step: str = "", **more: str) -> None:
        self.code, self.more = code, {"file": where, **more}
        super().__init__(where, found, fits, step)


@dataclass(frozen=True)
class Part:
    """One file of the manifest: its kind, the path it comes from, how that was written, rows and sum of what it says."""

    file: str
    kind: str
    path: str
    form: str
    rows: int
    sum: str

    def cells(self) -> list[str]:
        """Its row of the manifest."""
        return [self.file, self.kind, self.path, self.form, str(self.rows), self.sum]


@dataclass(frozen=True)
class Packed:
    """What goes out: files by name, and the paths that stay here, for no csv, xlsx or pdf can hold them."""

    files: dict[str, bytes]
    left: tuple[str, ...]


@dataclass(frozen=True)
class Carried:
    """What came in and was compared: the files that it restores, by path; papers that are no longer as they were written, by name."""

    kind: str
    id: str
    originals: dict[str, bytes]
    notes: tuple[KibanError, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What one value of a file becomes; None: it was not there, or will not be there."""

    file: str
    what: str
    before: str | None
    after: str | None


@dataclass
class _Bag:
    """Files, parts and checks while they are collected."""

    files: dict[str, bytes] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    checks: Rows = field(default_factory=lambda: [["file", "sheet", "row", "check"]])

    def add(self, kind: str, path: str, form: str, rows: Rows) -> None:
        """A record or table as csv."""
        name = self._name(f"{path}.csv" if not path.endswith(".csv") else path)
        content = cells.to_csv(rows)
        self.files[name] = content
        said = cells.from_csv(content, name)
        self.parts.append(Part(name, kind, path, form, len(said), cells.digest(said)))
        self.checks += [[name, "", str(number), cells.check(row)] for number, row in enumerate(said, 1)]

    def paper(self, path: str, source: Path) -> None:
        """A paper to be read."""
        name = self._name(path)
        content = source.read_bytes()
        self.files[name] = content
        if name.endswith(".pdf"):
            self.parts.append(Part(name, "pdf", path, "", 0, cells.digest([[content.hex()]])))
            return
        sheets = {sheet: cells.sheet_rows(rows) for sheet, rows in open_workbook(source).sheets.items()}
        self.parts.append(Part(name, "xlsx", path, "", sum(map(len, sheets.values())), _workbook_sum(sheets)))
        self.checks += [[name, sheet, str(number), cells.check(row)] for sheet, rows in sheets.items() for number, row in enumerate(rows, 1)]

    def packed(self, kind: str, id: str, left: list[str]) -> Packed:
        """All files with the manifest."""
        self.files[CHECKS] = cells.to_csv(self.checks)
        self.parts.append(Part(CHECKS, "checks", "", "", len(self.checks), cells.digest(self.checks)))
        rows = [part.cells() for part in self.parts]
        whole = Part("", kind, id, VERSION, len(rows), cells.digest(cells.trimmed(rows)))
        return Packed({MANIFEST: cells.to_csv([HEAD, whole.cells(), *rows]), **self.files}, tuple(sorted(left)))

    def _name(self, path: str) -> str:
        name = path.replace("/", "_")
        if name in self.files or name in (MANIFEST, CHECKS):
            raise KibanError(path, f"two files that would be {name}", "one file of each name", "rename one of them")
        return name


def carry_out(folder: Path, detour: Detour | None = None) -> Packed:
    """The files that carry a region folder or a plan folder.

    Raises
    ------
    KibanError  it is neither, or a file in it cannot be read
    """
    if (folder / "plan.json").is_file():
        return _plan_out(folder)
    if (folder / "region.yaml").is_file():
        return _region_out(folder, detour)
    raise KibanError(str(folder), "neither region.yaml nor plan.json", "a region folder or a plan folder", "name one of them")


def _region_out(folder: Path, detour: Detour | None) -> Packed:
    region = read(folder, detour=detour)  # a broken region is named here, not on the other side
    bag, left = _Bag(), []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(folder).as_posix()
        if OLD in path.relative_to(folder).parts:
            continue
        kind = REGION_TYPES.get(path.suffix)
        if kind is None or not _restorable(name):
            left.append(name)
            continue
        content = path.read_bytes()
        if kind == "json":
            value = cells.parse_json(content, name)
            bag.add("json", name, _indent(value, content), cells.json_rows(value))
            continue
        text, form = _text(content, name)
        bag.add(kind, name, form, cells.table_rows(text) if kind == "table" else cells.text_rows(text))
    return bag.packed("region", region.id, left)


def _plan_out(folder: Path) -> Packed:
    bag = _Bag()
    with editing(folder):
        inputs = msgspec.json.format(msgspec.json.encode(read_inputs(folder)), indent=1)  # with what was written into the papers
        for name in (*RECORDS, PAPERS):
            path = folder / name
            if not path.is_file():
                raise KibanError(str(path), "no such file", "a folder written by kiban plan", f"run kiban plan … -o {folder} again")
            content = inputs if name == "inputs.json" else path.read_bytes()
            value = cells.parse_json(content, name)
            bag.add("json", name, _indent(value, content), cells.json_rows(value))
        names = ["plan.pdf", "sites.xlsx", *paper_names(folder)]
        for name in names:
            if name.endswith((".xlsx", ".pdf")) and (folder / name).is_file():
                bag.paper(name, folder / name)
        plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
    left = [name for name in ("design.geojson", *names) if not name.endswith((".xlsx", ".pdf"))]
    return bag.packed("plan", plan.id, left)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files as a zip, the same bytes for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)  # 1980, as zips have no other day that says nothing
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(member, content)
    return out.getvalue()


# --- in


def opened(path: Path) -> dict[str, bytes]:
    """The files of a carried folder or zip, by name; nothing is unpacked onto the disk.

    Raises
    ------
    ManyErrors  files of other types, in folders, too many or too large, each by name
    """
    if path.is_dir():
        members = [(one.name, one.is_dir() or one.is_symlink(), _reader(one)) for one in sorted(path.iterdir())]
        return _taken(str(path), members)
    if not path.is_file():
        raise KibanError(str(path), "no such file or folder", "a folder or a zip that kiban carry out wrote", "check the name")
    return opened_zip(path.read_bytes(), path.name)


def opened_files(files: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """Carried files as they were sent, each with its name. Raises like `opened`."""

    def reader(content: bytes) -> Callable[[int], bytes]:
        return lambda most: content[:most]

    return _taken("carry", [(unicodedata.normalize("NFC", name), False, reader(content)) for name, content in files])


def opened_zip(content: bytes, name: str, most: int | None = None) -> dict[str, bytes]:
    """The files of a carried zip; most: bytes of all of them together, where fewer than usual may come. Raises like `opened`."""
    most = MOST_BYTES if most is None else min(most, MOST_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > most:
                raise _too_much(name, most)
            names = [_zip_name(info) for info in infos]
            tops = {PurePosixPath(one).parts[:1] for one in names}
            if len(tops) == 1 and all(len(PurePosixPath(one).parts) == 2 and ".." not in PurePosixPath(one).parts for one in names):
                names = [PurePosixPath(one).name for one in names]  # packed with the folder around it
            linked = [info.external_attr >> 16 & 0o170000 == 0o120000 or bool(info.flag_bits & 1) for info in infos]
            return _taken(name, [(one, odd, _zip_reader(archive, info)) for one, odd, info in zip(names, linked, infos, strict=True)])
    except DAMAGED as error:
        raise CarryError("no_zip", name, f"a zip that cannot be read ({error})", "a zip that kiban carry out wrote", STEP) from error


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Windows writes Japanese names in CP932 without saying so; the reader takes them for CP437."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("cp932")
    return unicodedata.normalize("NFC", name)


def _reader(path: Path) -> Callable[[int], bytes]:
    def content(most: int) -> bytes:
        with path.open("rb") as file:
            return file.read(most)

    return content


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def content(most: int) -> bytes:
        with archive.open(info) as file:
            return file.read(most)

    return content


def _too_much(name: str, most: int | None = None) -> KibanError:
    mb = (MOST_BYTES if most is None else most) // 1_000_000
    return CarryError(
        "too_much", name, "too much", f"at most {MOST_FILES} files and {mb} MB", "carry regions and plans one by one", count=f"{MOST_FILES}", mb=f"{mb}"
    )


def _taken(where: str, members: list[tuple[str, bool, Callable[[int], bytes]]]) -> dict[str, bytes]:
    """Files by name, read up to the limits. odd: a folder, a link, or locked."""
    problems: list[KibanError] = []
    files: dict[str, bytes] = {}
    total = 0
    if len(members) > MOST_FILES:
        raise _too_much(where)
    for name, odd, content in members:
        label = name.encode("utf-8", "replace").decode()[:120]
        if odd or name.startswith(".") or any(sign in name for sign in "/\\:\0"):
            problems.append(CarryError("odd", label, "a folder, a link, a locked file or a name with a path", "plain files beside manifest.csv", "take it out"))
        elif not name.lower().endswith(TYPES):
            problems.append(CarryError("type", label, "another type of file", "csv, xlsx and pdf", "take it out"))
        elif name in files:
            problems.append(CarryError("twice", label, "two files of this name", "each once", STEP))
        else:
            files[name] = content(MOST_OF_ONE + 1)
            total += len(files[name])
            if len(files[name]) > MOST_OF_ONE or total > MOST_BYTES:
                raise _too_much(label)
    if problems:
        raise ManyErrors(where, problems)
    return files


def compared(files: Mapping[str, bytes]) -> Carried:
    """What the files restore, after each was compared with the manifest.

    Raises
    ------
    ManyErrors  what is missing, what nobody listed, and each cell of a record that is not as it was written
    """
    if MANIFEST not in files:
        raise CarryError("no_manifest", MANIFEST, "no such file", "the manifest that kiban carry out wrote", STEP)
    whole, parts = _manifest(files[MANIFEST])
    problems: list[KibanError] = [
        CarryError("missing", part.file, "no such file", "every file of the manifest", "have it carried again") for part in parts if part.file not in files
    ]
    problems += [
        CarryError("extra", name, "a file that the manifest does not list", "the files of the manifest", "take it out")
        for name in sorted(set(files) - {part.file for part in parts} - {MANIFEST})
    ]
    checks = _checks(files, parts, problems)
    notes: list[KibanError] = []
    originals: dict[str, bytes] = {}
    for part in parts:
        if part.file not in files or part.kind == "checks":
            continue
        try:
            if part.kind in ("pdf", "xlsx"):
                notes += _paper_changes(part, files[part.file], checks)
                continue
            rows = cells.from_csv(files[part.file], part.file)
            found = (
                []
                if cells.digest(rows) == part.sum
                else list(_differences(part.file, "", rows, checks)) or [CarryError("other", part.file, "other cells", "", STEP)]
            )
            problems += found
            if not found:
                originals[part.path] = _original(whole.kind, part, rows)
        except KibanError as error:
            (notes if part.kind in ("pdf", "xlsx") else problems).append(error)
    if problems:
        raise ManyErrors("carry", problems)
    return Carried(whole.kind, whole.path, originals, tuple(notes), tuple(part.file for part in parts))


def _manifest(content: bytes) -> tuple[Part, list[Part]]:
    rows = cells.from_csv(content, MANIFEST)
    try:
        if rows[0] != HEAD:
            raise ValueError(", ".join(rows[0]))
        whole, *rest = (Part(file, kind, path, form, int(count), sum) for file, kind, path, form, count, sum in rows[1:])
    except (ValueError, IndexError) as error:
        raise CarryError("manifest", MANIFEST, f"other columns or cells ({error})", ", ".join(HEAD), STEP) from error
    if whole.form != VERSION or whole.kind not in ("region", "plan"):
        raise CarryError(
            "version", MANIFEST, f"{whole.kind} of version {whole.form}", f"a region or a plan of version {VERSION}", "carry it with the same version of kiban"
        )
    if whole.sum != cells.digest(cells.trimmed([part.cells() for part in rest])) or whole.rows != len(rest):
        raise CarryError("manifest", MANIFEST, "rows that are not as they were written", "the manifest that kiban carry out wrote", STEP)
    if len({part.file for part in rest}) != len(rest) or len({part.path for part in rest}) != len(rest):
        raise CarryError("manifest", MANIFEST, "a file or path twice", "each once", STEP)
    return whole, rest


Checks = Mapping[tuple[str, str], list[str]]


def _checks(files: Mapping[str, bytes], parts: list[Part], problems: list[KibanError]) -> Checks:
    """File and sheet → the check of each row; empty where checks.csv itself was changed."""
    part = next((part for part in parts if part.kind == "checks"), None)
    if part is None or part.file not in files:
        return {}
    rows = cells.from_csv(files[part.file], part.file)
    if cells.digest(rows) != part.sum or any(len(row) < 4 for row in rows):
        problems.append(CarryError("other", part.file, "rows that are not as they were written", "the file that kiban carry out wrote", STEP))
        return {}
    out: dict[tuple[str, str], list[str]] = {}
    for row in rows[1:]:
        out.setdefault((row[0], row[1]), []).append(row[3])
    return out


def _differences(file: str, sheet: str, rows: Rows, checks: Checks) -> Iterator[KibanError]:
    """The cells that are not as they were written; where rows were put in or taken out, the first of them."""
    wanted, have = checks.get((file, sheet), []), [cells.check(row) for row in rows]
    place = f"{file} {sheet}".strip()
    if len(wanted) != len(have):
        first = next((at for at, (a, b) in enumerate(zip(wanted, have, strict=False)) if a != b), min(len(wanted), len(have)))
        told = {"sheet": sheet, "row": f"{first + 1}", "now": f"{len(have)}", "then": f"{len(wanted)}"}
        yield CarryError("rows", f"{place}, row {first + 1}", f"{len(have)} rows", f"{len(wanted)} rows", STEP, **{**told, "file": file})
        return
    for number, (known, row) in enumerate(zip(wanted, rows, strict=True), 1):
        said = cells.check(row)
        if said == known:
            continue
        for at in range(max(len(said), len(known)) // 4):
            if said[1 + 4 * at : 5 + 4 * at] != known[1 + 4 * at : 5 + 4 * at]:
                head = rows[0][at] if not sheet and at < len(rows[0]) else f"column {at + 1}"
                name = "" if sheet or at == 0 else f" ({row[0][:60]})"
                said_now = row[at] if at < len(row) else ""
                told = {"sheet": sheet, "row": f"{number}", "column": head, "name": "" if sheet or at == 0 else row[0][:60], "now": said_now[:80]}
                found = repr(said_now)[:80] if at < len(row) else "nothing"
                yield CarryError("cell", f"{place}, row {number}, {head}{name}", found, "the cell as it was written", STEP, **{**told, "file": file})


def _paper_changes(part: Part, content: bytes, checks: Checks) -> list[KibanError]:
    """What of a paper is not as it was written; nothing is read from it, so it is a note only."""
    step = "read it with care; the papers are made again from the records"
    if part.kind == "pdf":
        same = cells.digest([[content.hex()]]) == part.sum
        return [] if same else [CarryError("pdf", part.file, "a pdf that was built again on the way", "the same bytes", step)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paper.xlsx"
        path.write_bytes(content)
        sheets = {sheet: cells.sheet_rows(rows) for sheet, rows in open_workbook(path).sheets.items()}
    if _workbook_sum(sheets) == part.sum:
        return []
    known = [sheet for file, sheet in checks if file == part.file]
    found = [one for sheet in known for one in _differences(part.file, sheet, sheets.get(sheet, []), checks)]
    return found or [CarryError("sheets", part.file, "other sheets", ", ".join(known), step)]


def _workbook_sum(sheets: Mapping[str, Rows]) -> str:
    return cells.digest([[name, cells.digest(rows)] for name, rows in sheets.items() if rows])


def _restorable(path: str) -> bool:
    """Whether a file of a region may be written at this path: no way out of the folder, no hidden file, no other type."""
    parts = PurePosixPath(path).parts
    plain = all(part and not part.startswith((".", "~")) and not any(sign in part for sign in '\\:*?"<>|\0\n') for part in parts)
    return plain and "/".join(parts) == path and len(parts) <= 2 and OLD not in parts and PurePosixPath(path).suffix in REGION_TYPES


def _original(whole: str, part: Part, rows: Rows) -> bytes:
    """The bytes of the file that a part carries."""
    fits = part.path in (*RECORDS, PAPERS) if whole == "plan" else _restorable(part.path) and REGION_TYPES[PurePosixPath(part.path).suffix] == part.kind
    if not fits:
        raise CarryError("path", f"{MANIFEST}, {part.file}", repr(part.path), "the path of a file of a region or plan", STEP)
    if part.kind == "json":
        return cells.emit_json(cells.rows_json(rows, part.file), int(part.form) if part.form in ("1", "2") else 0)
    text = cells.rows_table(rows) if part.kind == "table" else cells.rows_text(rows, part.file)
    encoding, _, ends = part.form.partition(" ")
    if encoding not in ("utf-8", "utf-8-sig", "cp932"):
        raise CarryError("path", f"{MANIFEST}, {part.file}", repr(part.form), "an encoding that kiban writes", STEP)
    return (text.replace("\n", "\r\n") if ends == "crlf" else text).encode(encoding)


def _text(content: bytes, name: str) -> tuple[str, str]:
    """The text of a file and its form: encoding and line ends."""
    for encoding in ("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "utf-8", "cp932"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        ends = "crlf" if "\r\n" in text else "lf"
        return text.replace("\r\n", "\n"), f"{encoding} {ends}"
    raise KibanError(name, "no text in UTF-8 or CP932", "a file of a region", "save it again as UTF-8")


def _indent(value: Any, content: bytes) -> str:
    return next((str(indent) for indent in (0, 1, 2) if cells.emit_json(value, indent) == content), "0")


# --- preview and writing


def changes(carried: Carried, target: Path) -> list[Change]:
    """What writing would change in a folder that is there already; all of it is new where there is none."""
    out: list[Change] = []
    for path, content in carried.originals.items():
        if path == PAPERS:
            continue
        before = _flat(path, (target / path).read_bytes()) if (target / path).is_file() else None
        after = _flat(path, content)
        if before is None:
            out.append(Change(path, "", None, f"{len(after)}"))
            continue
        out += [Change(path, what, before.get(what), after.get(what)) for what in dict.fromkeys((*after, *before)) if before.get(what) != after.get(what)]
    if carried.kind == "region" and target.is_dir():
        there = [path for path in target.rglob("*") if path.is_file() and OLD not in path.relative_to(target).parts]
        gone = sorted(path.relative_to(target).as_posix() for path in there if path.relative_to(target).as_posix() not in carried.originals)
        out += [Change(path, "", "", None) for path in gone]
    return out


def _flat(path: str, content: bytes) -> dict[str, str]:
    """Values of a file by what they are: row and column of a table, the way to a value of a record, the line of a text."""
    if path.endswith((".json", ".geojson")):
        rows = cells.json_rows(cells.parse_json(content, path))[1:]
        return {row[0]: _said(row) for row in rows}
    text, _ = _text(content, path)
    if path.endswith(".yaml"):
        try:
            tree = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise KibanError(path, str(error), "YAML", "correct the file") from error
        rows = cells.json_rows(cells.parse_json(msgspec.json.encode(tree), path))[1:]
        return {row[0]: _said(row) for row in rows}
    rows = cells.table_rows(text)
    if not path.endswith(".csv") or not rows:
        return {str(number): line for number, line in enumerate(text.split("\n"), 1)}
    head = rows[0]
    names = head.index("name") if "name" in head else None
    out: dict[str, str] = {}
    for row in rows[1:]:
        label = f"{row[names]} ({row[0]})" if names is not None and names < len(row) else row[0]
        out |= {f"{label} {column}": cell for column, cell in zip(head[1:], row[1:], strict=False) if cell}
    return out


def _said(row: list[str]) -> str:
    return row[2] if len(row) > 2 else row[1]


def carry_in(carried: Carried, target: Path, catalogue: Catalogue, lang: str, detour: Detour | None = None) -> list[Path]:
    """Write a region folder, or a plan folder whose papers are made again from its records. What stood there goes to `旧版`.

    Raises
    ------
    KibanError  what came in is no region or plan that this version can read; nothing is written then
    OSError     the folder cannot be written
    """
    stamp = datetime.now(TOKYO).strftime("%Y%m%d-%H%M%S")
    if carried.kind == "region":
        return _region_in(carried, target, stamp, detour)
    folder, day = plan_of(carried)
    if (target / "region.yaml").exists():
        raise KibanError(str(target), "a region folder", "a plan folder or a new one", "choose another folder")
    keep_older(target, carried, stamp)
    return put_folder(folder, catalogue, lang, target, day, {name: carried.originals[name] for name in RECORDS})


def plan_of(carried: Carried) -> tuple[Folder, date]:
    """The records of a carried plan, and the day on which its papers were made.

    Raises
    ------
    KibanError  a record is missing, is none that this version can read, or is that of another plan than the manifest says
    """
    folder = Folder(**{name.removesuffix(".json"): _record(carried, name, kind) for name, kind in RECORDS.items()})
    manifest: Manifest = _record(carried, PAPERS, Manifest)
    if folder.plan.id != carried.id or not ID.match(carried.id):
        raise CarryError("id", MANIFEST, repr(carried.id), f"the id of the plan, {folder.plan.id!r}", STEP)
    return folder, manifest.made_on or folder.plan.made_on.astimezone(TOKYO).date()


def keep_older(target: Path, carried: Carried, stamp: str) -> None:
    """Copy the records of a plan folder to `旧版`, where others are about to take their place."""
    old = {name: (target / name).read_bytes() for name in RECORDS if (target / name).is_file()}
    if any(content != carried.originals[name] for name, content in old.items()):
        kept = target / OLD / stamp
        kept.mkdir(parents=True, exist_ok=True)
        for name, content in old.items():
            (kept / name).write_bytes(content)


def region_of(carried: Carried, detour: Detour | None = None) -> Region:
    """A carried region, read as it would stand in its folder.

    Raises
    ------
    KibanError  its files are no region, or one of another id than the manifest says
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "region"
        folder.mkdir()
        _pour(carried, folder)
        region = read(folder, detour=detour)
    if region.id != carried.id or not ID.match(carried.id):
        raise CarryError("id", MANIFEST, repr(carried.id), f"the id of the region, {region.id!r}", STEP)
    return region


def region_into(carried: Carried, regions: Path, name: str, done: Version, state: str, detour: Detour | None = None) -> Version | None:
    """Write a carried region among the region folders of a server. What stood there is a version that can be brought back; files that no csv, xlsx or pdf
    can hold, such as heights, stay. None: the folder is new.

    state: what `state_of` said of the folder when the change was shown

    Raises
    ------
    ConflictError  somebody changed the folder since
    RegionError    the folder would not be whole, or cannot be written; it is as it was
    """

    def edit(fresh: Path) -> None:
        if state_of(fresh) != state:
            raise ConflictError(name, "a change that somebody else made meanwhile", "the state of the preview", "look at the preview again")
        for path in _carriable(fresh):
            path.unlink()
        _pour(carried, fresh)

    if (regions / name).exists():
        return exchange(regions, name, edit, done)
    enter(regions, name, lambda fresh: _pour(carried, fresh), detour)
    return None


def state_of(folder: Path) -> str:
    """A word that changes when what a region or plan folder says changes."""
    digest = hashlib.sha256()
    names = [path for path in map(folder.joinpath, RECORDS) if path.is_file()] if (folder / "plan.json").is_file() else _carriable(folder)
    for path in names:
        digest.update(path.relative_to(folder).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _carriable(folder: Path) -> list[Path]:
    """The files of a region folder that travel."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) if folder.is_dir() else []
    return [path for path in found if _restorable(path.relative_to(folder).as_posix())]


def _pour(carried: Carried, folder: Path) -> None:
    for path, content in carried.originals.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)


def _record(carried: Carried, name: str, kind: Any) -> Any:
    if name not in carried.originals:
        raise CarryError("record", name, "no such record", "every record of a plan", STEP)
    try:
        return msgspec.json.decode(carried.originals[name], type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, KibanError) as error:
        raise CarryError("record", name, str(error), "a record of this version of kiban", "carry it with the same version of kiban on both sides") from error


def _region_in(carried: Carried, target: Path, stamp: str, detour: Detour | None) -> list[Path]:
    if (target / "plan.json").exists():
        raise KibanError(str(target), "a plan folder", "a region folder or a new one", "choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".carry-", dir=target.parent))
    try:
        _pour(carried, draft)
        read(draft, detour=detour)
        draft.chmod(0o755)
        if target.is_dir():
            earlier = target / OLD
            if earlier.is_dir():
                earlier.rename(draft / OLD)
            kept = draft / OLD / stamp
            kept.parent.mkdir(exist_ok=True)
            target.rename(kept)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [target / path for path in carried.originals]
