"""The cells of an .xlsx workbook of anybody, with its merged cells and the cells that show an error.

In: the bytes of a file. Out: a Grid for each sheet. The parts are read as a stream of tags, up to a size; a part that defines entities is refused,
nothing in the file is run or followed, and nothing is unpacked onto the disk. Cells far apart cost nothing, for only filled rows are kept.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.parsers import expat

from kiban.base.errors import RegionError

MOST_UNPACKED = 120_000_000  # bytes of the parts that are read
MOST_PARTS = 2_000
LONGEST_TAG = 2_000_000  # bytes
MOST_SHEETS = 60
MOST_MERGED = 20_000
MOST_TEXT = 32_767  # characters of a cell: Excel's own limit
CHUNK = 1 << 18
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, expat.ExpatError, ValueError)
DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))  # numbers of formats that are dates and times, Japanese ones too
CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})\Z")


class TableError(RegionError):
    """A file that is not read as a table; `code` names the sentence that the pages have for it."""

    def __init__(self, code: str, where: str, found: str, fits: str, step: str) -> None:
        self.code = code
        super().__init__(where, found, fits, step)


@dataclass
class Grid:
    """The filled rows of a sheet, counted from 0; merged: top, left, bottom, right of each merged block, counted from 0."""

    title: str
    rows: dict[int, list[str]]
    merged: list[tuple[int, int, int, int]]
    hidden: bool


def letters(index: int) -> str:
    """The letters of a column counted from 0.

    >>> letters(0), letters(27)
    ('A', 'AB')
    """
    name, index = "", index + 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def spot_of(reference: str) -> tuple[int, int]:
    """Row and column, counted from 0, of a reference such as B7. Raises ValueError when it is none."""
    found = CELL.match(reference)
    if found is None:
        raise ValueError(f"no cell {reference[:20]!r}")
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1


def grids(raw: bytes, name: str, most_rows: int, most_columns: int, most_cells: int) -> list[Grid]:
    """The sheets of a workbook in their order.

    Raises
    ------
    TableError  no workbook, damaged, with entities or odd names in it, or more than can be read
    """
    fits, step = "an .xlsx workbook", "save it as .xlsx (Excel ブック) without a password"
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = archive.namelist()
            if len(names) > MOST_PARTS or len(set(names)) < len(names):
                raise TableError("odd_zip", name, f"{len(names):,} parts, or one twice", fits, step)
            if any(part.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", part) for part in names):
                raise TableError("odd_zip", name, "a part whose name leads out of the file", fits, step)
            if "xl/workbook.xml" not in names:
                raise TableError("no_workbook", name, "a packed file (zip) without a workbook", fits, "unpack it and bring the table in it; " + step)
            return _Reader(archive, name, most_rows, most_columns, most_cells).all()
    except DAMAGED as error:
        raise TableError("damaged", name, f"a file that cannot be read ({str(error)[:80]})", fits, step) from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, name: str, most_rows: int, most_columns: int, most_cells: int) -> None:
        self.archive, self.name = archive, name
        self.most_rows, self.most_columns, self.cells_left = most_rows, most_columns, most_cells
        self.bytes_left = MOST_UNPACKED
        self.names = frozenset(archive.namelist())

    def parse(self, part: str, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None], text: Callable[[str], None]) -> None:
        """Run over a part; what is not there is empty."""
        if part not in self.names:
            return
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True

        def refuse(*_: object) -> None:
            raise TableError(
                "entities", f"{self.name} {part}", "a document type or entities", "a workbook as Excel writes it", "save it again as .xlsx (Excel ブック)"
            )

        parser.StartDoctypeDeclHandler = refuse
        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        parser.EndElementHandler = lambda tag: end(tag.rpartition(" ")[2])
        parser.CharacterDataHandler = text
        fed = 0
        with self.archive.open(part) as stream:
            while chunk := stream.read(CHUNK):
                self.bytes_left -= len(chunk)
                if self.bytes_left < 0:
                    raise TableError("unpacked", self.name, f"more than {MOST_UNPACKED:,} bytes unpacked", "a table", "take pictures and other sheets out")
                parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - parser.CurrentByteIndex > LONGEST_TAG:  # the parser begins it anew with each chunk: half a minute for 60 MB without an end
                    raise TableError("damaged", self.name, f"a tag of more than {LONGEST_TAG:,} bytes", "an .xlsx workbook", "save it again as .xlsx")
        parser.Parse(b"", True)

    def tags(self, part: str) -> list[tuple[str, dict[str, str]]]:
        """The tags of a small part, in order."""
        out: list[tuple[str, dict[str, str]]] = []

        def start(tag: str, attributes: dict[str, str]) -> None:
            out.append((tag, attributes))
            if len(out) > 500_000:
                raise TableError("unpacked", f"{self.name} {part}", "too many tags", "a workbook as Excel writes it", "save it again")

        self.parse(part, start, lambda _: None, lambda _: None)
        return out

    def all(self) -> list[Grid]:
        targets = {a.get("Id", ""): a.get("Target", "") for tag, a in self.tags("xl/_rels/workbook.xml.rels") if tag == "Relationship"}
        book = self.tags("xl/workbook.xml")
        old_mac = any(tag == "workbookPr" and a.get("date1904") in ("1", "true") for tag, a in book)
        texts, dates = self.shared(), self.date_styles()
        out: list[Grid] = []
        for tag, attributes in book:
            if tag == "sheet" and len(out) < MOST_SHEETS:
                target = targets.get(attributes.get("id", ""), "")
                part = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
                out.append(self.grid(part, attributes.get("name", ""), attributes.get("state", "visible") != "visible", texts, dates, old_mac))
        return out

    def shared(self) -> list[str]:
        """The texts that cells point at; readings 振り仮名 are no part of them."""
        out: list[str] = []
        now: list[str] = []
        state = {"in": False, "ruby": False}

        def start(tag: str, _: dict[str, str]) -> None:
            if tag == "si":
                now.clear()
            elif tag == "rPh":
                state["ruby"] = True
            elif tag == "t":
                state["in"] = not state["ruby"]

        def end(tag: str) -> None:
            if tag == "si":
                out.append("".join(now)[:MOST_TEXT])
            elif tag == "rPh":
                state["ruby"] = False
            elif tag == "t":
                state["in"] = False

        self.parse("xl/sharedStrings.xml", start, end, lambda text: now.append(text) if state["in"] else None)
        return out

    def date_styles(self) -> frozenset[int]:
        """The numbers of the styles that show a date."""
        tags = self.tags("xl/styles.xml")
        own = {a.get("numFmtId"): a.get("formatCode", "") for tag, a in tags if tag == "numFmt"}
        out: set[int] = set()
        inside, number = False, 0
        for tag, attributes in tags:
            if tag in ("cellXfs", "cellStyles", "dxfs"):
                inside = tag == "cellXfs"
            elif tag == "xf" and inside:
                id = attributes.get("numFmtId", "0")
                code = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", own.get(id, ""))
                if (id.isdigit() and int(id) in DATES) or (code.lower() != "general" and re.search(r"[yd]|ggg|m.?月", code, re.IGNORECASE)):
                    out.add(number)
                number += 1
        return frozenset(out)

    def grid(self, part: str, title: str, hidden: bool, texts: list[str], dates: frozenset[int], old_mac: bool) -> Grid:
        rows: dict[int, dict[int, str]] = {}
        merged: list[tuple[int, int, int, int]] = []
        state: dict[str, str | int | bool] = {"row": -1, "column": -1, "type": "", "style": 0, "in": False, "ruby": False}
        now: list[str] = []

        def start(tag: str, a: dict[str, str]) -> None:
            if tag == "row":
                state["row"] = int(a["r"]) - 1 if "r" in a else int(state["row"]) + 1
                state["column"] = -1
            elif tag == "c":
                row, column = spot_of(a["r"]) if "r" in a else (int(state["row"]), int(state["column"]) + 1)
                state.update(row=row, column=column, type=a.get("t", "n"), style=int(a.get("s", "0")))
                now.clear()
            elif tag in ("v", "t"):
                state["in"] = not state["ruby"]
            elif tag == "rPh":
                state["ruby"] = True
            elif tag == "mergeCell" and ":" in a.get("ref", ""):
                first, _, last = a["ref"].partition(":")
                merged.append((*spot_of(first), *spot_of(last)))
                if len(merged) > MOST_MERGED:
                    raise self.too_much(title)

        def end(tag: str) -> None:
            if tag in ("v", "t"):
                state["in"] = False
            elif tag == "rPh":
                state["ruby"] = False
            elif tag == "c" and now:
                value = _value("".join(now), str(state["type"]), int(state["style"]), texts, dates, old_mac)
                if value:
                    row, column = int(state["row"]), int(state["column"])
                    self.cells_left -= 1
                    if column >= self.most_columns or self.cells_left < 0 or (row not in rows and len(rows) > self.most_rows + 100) or column < 0 or row < 0:
                        raise self.too_much(title)
                    rows.setdefault(row, {})[column] = value

        self.parse(part, start, end, lambda text: now.append(text) if state["in"] else None)
        return Grid(title, {row: _listed(cells) for row, cells in sorted(rows.items())}, merged, hidden)

    def too_much(self, title: str) -> TableError:
        fits = f"at most {self.most_rows:,} rows and {self.most_columns} columns"
        return TableError(
            "too_much",
            f"{self.name} {title}",
            "more cells than can be read at once",
            fits,
            "delete what stands far below or beside the table, or split the file",
        )


def _listed(cells: Mapping[int, str]) -> list[str]:
    return [cells.get(column, "") for column in range(max(cells) + 1)]


def _value(text: str, type: str, style: int, texts: list[str], dates: frozenset[int], old_mac: bool) -> str:
    """The text of a cell as a person reads it; a day as 2024-04-01."""
    if type == "s":
        return texts[int(text)].strip() if 0 <= int(text) < len(texts) else ""
    if type == "b":
        return "TRUE" if text == "1" else "FALSE"
    if type in ("str", "inlineStr", "e", "d"):
        return text[:MOST_TEXT].strip()
    try:
        number = float(text)
    except ValueError:
        return text[:MOST_TEXT].strip()
    if style in dates and 0 < number < 2_958_466:
        day = (datetime(1904, 1, 1) if old_mac else datetime(1899, 12, 30)) + timedelta(days=number)
        return day.strftime("%Y-%m-%d") if day.hour == day.minute == 0 else day.strftime("%Y-%m-%d %H:%M")
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
