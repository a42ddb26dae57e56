"""Workbooks that people have filled in, read with patience: full-width digits, 円, commas, moved rows and columns; every doubt is named by its cell.

In: an .xlsx file of anybody. Out: tables of cells by their heads. Nothing in the file is run; a file that is too large, unpacked too, is refused,
and so is a cell whose formula ended in an error.
"""

from __future__ import annotations

import html
import io
import lzma
import math
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from kiban.base.errors import KibanError, ManyErrors
from kiban.documents.areas import check_areas
from kiban.region.xlsx import letters

MAX_BYTES = 20_000_000  # of the file
MAX_UNPACKED = 200_000_000  # of everything in it
MAX_ROWS = 20_000
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError)
NOTHING = {"", "-", "－", "—", "―", "ー", "なし", "無し", "未定", "不明", "見積待ち", "n/a", "対象外"}
ERROR_CELL = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]{1,3}[0-9]{1,7})"')
SHEET = re.compile(rb"<sheet\b[^>]*>")
RELATION = re.compile(rb"<Relationship\b[^>]*>")


def _attribute(tag: bytes, name: str) -> str:
    found = re.search(rb"\b" + name.encode() + rb'="([^"]*)"', tag)
    return html.unescape(found[1].decode("utf-8", "replace")) if found else ""


@dataclass
class Workbook:
    """A workbook as it was read, and the problems found so far; `raise_problems` ends with all of them at once."""

    path: Path
    sheets: dict[str, list[list[Any]]]
    errors: dict[str, frozenset[str]]
    problems: list[KibanError] = field(default_factory=list)

    def where(self, sheet: str, row: int, index: int) -> str:
        """The name of a cell in messages."""
        return f"{self.path.name} {sheet}!{letters(index)}{row + 1}"

    def problem(self, where: str, found: str, fits: str, step: str) -> None:
        """Note a problem."""
        self.problems.append(KibanError(where, found, fits, step))

    def raise_problems(self) -> None:
        """Raises ManyErrors when a problem was noted."""
        if self.problems:
            raise ManyErrors(str(self.path), self.problems)

    def sheet(self, name: str) -> list[list[Any]]:
        """The rows of a sheet. Raises KibanError when there is none of that name."""
        if name not in self.sheets:
            step = "fill in the workbook that kiban wrote; do not rename its sheets"
            raise KibanError(str(self.path), f"sheets {', '.join(self.sheets)}", f"a sheet {name}", step)
        return self.sheets[name]

    def cell(self, sheet: str, row: int, index: int) -> Any:
        """A cell, "" where the sheet ends before it; a cell that shows an error is a problem."""
        if f"{letters(index)}{row + 1}" in self.errors.get(sheet, frozenset()):
            self.problem(self.where(sheet, row, index), "a formula that ended in an error", "a number or nothing", "type the number into the cell")
            return ""
        rows = self.sheets[sheet]
        return rows[row][index] if row < len(rows) and index < len(rows[row]) else ""

    def text(self, sheet: str, row: int, index: int) -> str:
        """A cell as text, trimmed."""
        value = self.cell(sheet, row, index)
        if isinstance(value, float) and value == int(value):
            return str(int(value))
        return str(value).strip()

    def number(self, sheet: str, row: int, index: int, *, share: bool = False) -> float | None:
        """A number from 0 on, None for an empty cell; what is no number is noted as a problem. share: 10% and 0.1 are the same."""
        value = self.cell(sheet, row, index)
        try:
            return number_of(value, share=share)
        except ValueError as error:
            self.problem(self.where(sheet, row, index), repr(value), str(error), "correct the cell")
            return None

    def day(self, sheet: str, row: int, index: int) -> date | None:
        """A day, None for an empty cell."""
        value = self.cell(sheet, row, index)
        try:
            return day_of(value)
        except ValueError as error:
            self.problem(self.where(sheet, row, index), repr(value), str(error), "correct the cell")
            return None

    def labelled(self, sheet: str, label: str) -> tuple[int, int] | None:
        """Row and column of the cell to the right of a label in the first column."""
        for row, cells in enumerate(self.sheets.get(sheet, ())):
            if cells and head_of(cells[0]) == head_of(label):
                return row, 1
        return None

    def table(self, sheet: str, heads: Sequence[str], optional: Sequence[str] = ()) -> tuple[dict[str, int], range]:
        """Columns of a table by head, and its rows: from below the heads to the end of the sheet.

        Raises
        ------
        KibanError  no row holds all heads
        """
        rows = self.sheet(sheet)
        for row, cells in enumerate(rows):
            found: dict[str, int] = {}
            for index, cell in enumerate(cells):
                found.setdefault(head_of(cell), index)
            if all(head_of(head) in found for head in heads):
                places = {head: found[head_of(head)] for head in (*heads, *optional) if head_of(head) in found}
                return places, range(row + 1, len(rows))
        raise KibanError(f"{self.path.name} {sheet}", "no row with these heads", " · ".join(heads), "do not change the heads of the columns")


def head_of(cell: Any) -> str:
    """A head without what people and programs change in it: width of letters, spaces, line ends, the mark of inputs.

    >>> head_of("数量（入力）"), head_of("単価 （円・税抜）")
    ('数量', '単価(円・税抜)')
    """
    return re.sub(r"\s|\(入力\)|\(入力・任意\)", "", unicodedata.normalize("NFKC", str(cell)))


def number_of(value: Any, *, share: bool = False) -> float | None:
    """The number that somebody meant; None where nothing was said.

    Raises
    ------
    ValueError  with what fits: a number from 0 on, in yen, tax excluded

    >>> number_of("１２，３４５ 円"), number_of("見積待ち"), number_of("¥1,200.5"), number_of("10%", share=True)
    (12345.0, None, 1200.5, 0.1)
    """
    if isinstance(value, bool | date | datetime):
        raise ValueError("a number; the cell holds a date or a yes")
    if isinstance(value, int | float):
        number = float(value)
    else:
        text = unicodedata.normalize("NFKC", str(value)).strip()
        if text.lower() in NOTHING or text in NOTHING:
            return None
        text = re.sub(r"\s", "", text)
        if "税込" in text:
            raise ValueError("an amount without tax (税抜)")
        if re.search(r"[千万億]", text):
            raise ValueError("yen in full, such as 12,000,000")
        text = re.sub(r"^[¥\\]|円$|\(税抜\)|税抜", "", text).removesuffix("円")
        percent = text.endswith("%")
        if percent and not share:
            raise ValueError("an amount, no per cent")
        text = text.removesuffix("%")
        if not re.fullmatch(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?", text):
            raise ValueError("a number such as 12,345")
        number = float(text.replace(",", "")) / (100 if percent else 1)
    if not math.isfinite(number) or number < 0:
        raise ValueError("a number from 0 on")
    return number


def day_of(value: Any) -> date | None:
    """The day that somebody meant: a date, 2027-03-31, 2027/3/31, 2027年3月31日 or 令和9年3月31日.

    >>> day_of("令和９年３月31日"), day_of("2027/3/31"), day_of(" ")
    (datetime.date(2027, 3, 31), datetime.date(2027, 3, 31), None)
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = re.sub(r"\s", "", unicodedata.normalize("NFKC", str(value)))
    if text in NOTHING:
        return None
    found = re.fullmatch(r"(令和|R)?(\d{1,4}|元)[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:まで)?", text)
    if found is None or not (found[1] or len(found[2]) == 4):
        raise ValueError("a day such as 2027-03-31 or 令和9年3月31日")
    year = (1 if found[2] == "元" else int(found[2])) + (2018 if found[1] else 0)
    return date(year, int(found[3]), int(found[4]))


def open_workbook(path: Path) -> Workbook:
    """Read all sheets of an .xlsx file.

    Raises
    ------
    KibanError  no such file, no .xlsx, locked by a password, or larger than a workbook of this kind can be
    """
    fits, step = "an .xlsx workbook", "save it as .xlsx (Excel ブック) without a password"
    if not path.is_file():
        raise KibanError(str(path), "no such file", fits, "check the name")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise KibanError(str(path), f"{size:,} bytes", f"at most {MAX_BYTES:,} bytes", "take pictures and other sheets out")
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MAX_UNPACKED:
                raise KibanError(str(path), f"{unpacked:,} bytes unpacked", f"at most {MAX_UNPACKED:,} bytes", "take pictures and other sheets out")
            errors = _error_cells({name: archive.read(name) for name in archive.namelist() if name.startswith("xl/") and name.endswith((".xml", ".rels"))})
        check_areas(content, path.name)
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except (*DAMAGED, KeyError, CalamineError) as error:
        raise KibanError(str(path), f"a file that cannot be read ({error})", fits, step) from error
    for name, rows in sheets.items():
        if len(rows) > MAX_ROWS:
            raise KibanError(f"{path.name} {name}", f"{len(rows):,} rows", f"at most {MAX_ROWS:,}", "delete the empty rows below the table")
    return Workbook(path, sheets, errors)


def _error_cells(parts: Mapping[str, bytes]) -> dict[str, frozenset[str]]:
    """Sheet → cells that show an error; the reader of values gives them as empty."""
    relations = parts.get("xl/_rels/workbook.xml.rels", b"")
    targets = {_attribute(tag, "Id"): _attribute(tag, "Target") for tag in RELATION.findall(relations)}
    found = {}
    for tag in SHEET.findall(parts.get("xl/workbook.xml", b"")):
        target = targets.get(_attribute(tag, "r:id"), "").removeprefix("/xl/").removeprefix("xl/")
        cells = ERROR_CELL.findall(parts.get(f"xl/{target}", b""))
        found[_attribute(tag, "name")] = frozenset(cell.decode() for cell in cells)
    return found
