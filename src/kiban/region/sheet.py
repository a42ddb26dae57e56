"""Tables as people send them 読み込むファイル: CSV, Excel, GeoJSON, with the address of every cell.

In: the bytes of a file and its name. Out: sheets, each a header, rows of text and where each cell stands. Title lines above the header are passed over,
a header over several lines is joined (「位置 緯度」). What a column means is decided in match, whether a value can be used in examine.
Nothing in a file is run, followed or unpacked onto the disk; a file that is too large is refused before it is read.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from kiban.base.errors import RegionError
from kiban.records.rules import Record
from kiban.region.columns import plain, table
from kiban.region.text import text_of
from kiban.region.xlsx import Grid, TableError, grids, letters

MOST_BYTES = 20_000_000
MOST_ROWS = 50_000
MOST_COLUMNS = 500
MOST_CELLS = 2_000_000
MOST_LINE_ENDS = 20  # in one cell; more, and a quotation mark was not closed
HEAD_ROWS = 30  # rows from the top in which a header is looked for
HEAD_LINES = 4  # lines that a header may have
OLE = b"\xd0\xcf\x11\xe0"  # how .xls begins, and .xlsx behind a password
PLACE = ("geometry lat", "geometry lon")  # columns that a GeoJSON gets for its points
PLACE_SAID = dict(zip(PLACE, (("座標の緯度", "latitude of the point"), ("座標の経度", "longitude of the point")), strict=True))
Kind = Literal["xlsx", "csv", "geojson"]


class Line(Record, frozen=True, kw_only=True, array_like=True):
    """One row. number: as the program that opens the file counts it (GeoJSON: the feature); cells: by column; note: what the reader saw."""

    number: int
    cells: tuple[str, ...]
    note: str = ""


class Sheet(Record, frozen=True, kw_only=True):
    """A table. headers: one for each column, several lines joined; at: the number of each column in the file, counted from 0.

    above: the lines over the header, which are no rows; title: the name of the sheet in Excel; footer: how many of the first headers are the file's own
    """

    file: str
    kind: Kind
    title: str
    headers: tuple[str, ...]
    at: tuple[int, ...]
    rows: tuple[Line, ...]
    above: tuple[str, ...] = ()
    hidden: bool = False

    def address(self, row: int, column: int | None, lang: str = "ja") -> str:
        """Where a cell stands, as the program that opens the file names it; column None: the row.

        >>> sheet = sheets_of("名称,緯度\\n公民館,37.3\\n".encode(), "list.csv")[0]
        >>> sheet.address(0, 1), sheet.address(0, 1, "en"), sheet.address(0, None)
        ('2行目 B列「緯度」', 'row 2, column B「緯度」', '2行目')
        """
        number, japanese = self.rows[row].number, lang == "ja"
        header = "" if column is None else self.heading(column, lang)
        if self.kind == "geojson":
            where = f"{number}番目の地物" if japanese else f"feature {number}"
            if column is None:
                return where
            return f"{where}「{header}」" if japanese else f"{where}, property 「{header}」"
        if self.kind == "xlsx":
            return f"{self.title}!{number}" if column is None else f"{self.title}!{letters(self.at[column])}{number}"
        if column is None:
            return f"{number}行目" if japanese else f"row {number}"
        letter = letters(self.at[column])
        return f"{number}行目 {letter}列「{header}」" if japanese else f"row {number}, column {letter}「{header}」"

    def heading(self, column: int, lang: str = "ja") -> str:
        """The header of a column as people read it; "" where it has none."""
        header = self.headers[column]
        return PLACE_SAID[header][0 if lang == "ja" else 1] if self.kind == "geojson" and header in PLACE_SAID else header

    def values(self, column: int) -> list[str]:
        """The filled cells of a column, from top to bottom."""
        return [row.cells[column] for row in self.rows if row.cells[column]]


def sheets_of(raw: bytes, name: str) -> tuple[Sheet, ...]:
    """The tables of a file, told from its content and not from its name.

    Raises
    ------
    TableError  larger than can be read, of a kind that is not read (.xls, a password, PDF, …), damaged, or with no table in it
    """
    name = re.sub(r"[\x00-\x1f\x7f]", "", name.replace("\\", "/").rsplit("/", 1)[-1])[:120] or "file"
    if len(raw) > MOST_BYTES:
        raise TableError(
            "too_large", name, f"{len(raw):,} bytes", f"at most {MOST_BYTES:,} bytes", "delete the rows of other towns and what is no table, or split the file"
        )
    if raw.startswith(OLE):
        raise TableError(
            "old_excel",
            name,
            "an old Excel file (.xls), or a workbook with a password",
            "an .xlsx workbook without a password, CSV or GeoJSON",
            "save it as Excel ブック (.xlsx)",
        )
    if raw.startswith(b"PK"):
        found = tuple(_of_grid(grid, name) for grid in grids(raw, name, MOST_ROWS, MOST_COLUMNS, MOST_CELLS))
    elif raw.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"SQLite")):
        raise TableError("no_table_kind", name, "no table: a PDF, a picture or a packed file", "Excel (.xlsx), CSV or GeoJSON", "ask for the table behind it")
    else:
        try:
            text = text_of(raw, name)
        except RegionError as error:
            raise TableError("encoding", error.where, error.found, error.fits, error.step) from error
        if "\x00" in text:
            raise TableError("no_table_kind", name, "a file of another program", "Excel (.xlsx), CSV or GeoJSON", "save it as CSV UTF-8")
        found = (_of_geojson(text, name),) if text.lstrip()[:1] in ("{", "[") else (_of_csv(text, name),)
    whole = tuple(sheet for sheet in found if sheet is not None)
    if not whole:
        raise TableError("no_table", name, "no table with a header and a row below it", "a line with the names of the columns, and rows", "check the file")
    return whole


# --- CSV


def _of_csv(text: str, name: str) -> Sheet | None:
    head = "\n".join(text.split("\n", 6)[:6])
    delimiter = max(",\t;", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    cells: list[list[str]] = []
    count = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            found = f"text that cannot be split into cells ({error})"
            raise TableError(
                "quotes", f"{name}:{len(cells) + 1}", found, "cells with a closing quotation mark", "correct the row in the file, or save it again"
            ) from error
        long = next((cell for cell in row if cell.count("\n") > MOST_LINE_ENDS), None)
        if long is not None:
            found = f"a cell over {long.count(chr(10)) + 1} lines, beginning {long[:20]!r}"
            raise TableError("quotes", f"{name}:{len(cells) + 1}", found, "a quotation mark that is closed in its cell", 'close or delete the " in the row')
        cells.append([_clean(cell) for cell in row])
        count += len(row)
        if len(cells) > MOST_ROWS + HEAD_ROWS or count > MOST_CELLS or len(row) > MOST_COLUMNS:
            raise _too_much(name)
    return _of_grid(Grid(title="", rows=dict(enumerate(cells)), merged=[], hidden=False), name, "csv")


def _clean(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell[:2] in ("'=", "'+", "'-", "'@") else cell  # written so by us, lest a spreadsheet take it for a formula


def _too_much(name: str) -> TableError:
    fits = f"at most {MOST_ROWS:,} rows, {MOST_COLUMNS} columns and {MOST_CELLS:,} cells"
    return TableError("too_much", name, "more than can be read at once", fits, "keep the rows of the town and the columns that are needed, or split the file")


# --- a grid: the header and the rows below it


def _of_grid(grid: Grid, name: str, kind: Kind = "xlsx") -> Sheet | None:
    """The table in a grid of cells; None where there is no header with a row below it."""
    numbers = sorted(number for number, cells in grid.rows.items() if any(cells))
    if not numbers:
        return None
    width = max(len(grid.rows[number]) for number in numbers)
    filled = {number: _full(grid.rows[number], width) for number in numbers[: HEAD_ROWS + HEAD_LINES]}
    across: set[int] = set()  # rows over which a merged cell lies beside others, or that it joins with the next
    joined: dict[int, int] = {}
    for top, left, bottom, right in grid.merged:
        if top not in filled or top > numbers[min(HEAD_ROWS, len(numbers) - 1)] or bottom - top >= HEAD_LINES:
            continue
        value = filled[top][left] if left < width else ""
        for row in range(top, bottom + 1):
            for column in range(left, min(right, width - 1) + 1):
                if row in filled and value:
                    filled[row][column] = value
        across.add(top)
        if bottom > top and value:
            joined[top] = max(joined.get(top, top), bottom)
    bottom_row = _header_row(filled, numbers, joined)
    if bottom_row is None:
        return None
    first = bottom = bottom_row
    while bottom - first + 1 < HEAD_LINES and first - 1 in filled and _is_upper(filled, first - 1, first, across, grid.rows):
        first -= 1
    heads = _joined([filled[row] for row in range(first, bottom + 1) if row in filled])
    last = max((index for index, head in enumerate(heads) if head), default=-1)
    rows = [Line(number=number + 1, cells=tuple(_full(grid.rows[number], width))) for number in numbers if number > bottom]
    if len(rows) > MOST_ROWS:
        raise _too_much(name)
    used = [index for index in range(width) if heads[index] or (index <= last and any(row.cells[index] for row in rows))]
    beyond = [index for index in range(last + 1, width) if any(row.cells[index] for row in rows)]
    if not rows or not used:
        return None
    keep = [*used, *beyond]
    return Sheet(
        file=name,
        kind=kind,
        title=grid.title,
        headers=tuple(heads[index] for index in keep),
        at=tuple(keep),
        rows=tuple(Line(number=row.number, cells=tuple(row.cells[index] for index in keep)) for row in rows),
        above=tuple(" ".join(dict.fromkeys(cell for cell in filled[number] if cell))[:200] for number in numbers if number < first and number in filled),
        hidden=grid.hidden,
    )


def _full(cells: Sequence[str], width: int) -> list[str]:
    return [*cells, *([""] * (width - len(cells)))]


def known_names() -> frozenset[str]:
    """Every name of a column that columns.yaml lists, widths and case aside."""
    words = table()
    lists = [*words["fields"].values(), *words["import"]["fields"].values(), words["import"]["hazards"], *words["flags"].values()]
    lists += [fact["columns"] for fact in words["facts"].values()]
    return frozenset(plain(name) for names in lists for name in names)


def _header_row(filled: Mapping[int, list[str]], numbers: Sequence[int], joined: Mapping[int, int]) -> int | None:
    """The last line of the header: the row with the most names that are known; where there is none, the first row with two texts and no number."""
    names = known_names()
    best: tuple[int, int] | None = None
    for number in numbers[:HEAD_ROWS]:
        score = len({plain(cell) for cell in filled[number] if cell} & names)
        if score and (best is None or score > best[0]):
            best = (score, number)
    if best is not None and (best[0] > 1 or sum(map(bool, filled[best[1]])) <= 2):
        return best[1]
    for number in numbers[:HEAD_ROWS]:
        texts = {cell for cell in filled[number] if cell}
        if len(texts) >= 2 and not any(re.fullmatch(r"[-+]?[\d.,]+", cell) for cell in texts):
            return max(number, joined.get(number, number))
    return best[1] if best else None


def _is_upper(filled: Mapping[int, list[str]], upper: int, lower: int, across: set[int], raw: Mapping[int, Sequence[str]]) -> bool:
    """Whether a row above is a line of the header: it names two columns or more, and either merged cells or gaps tie it to the line below."""
    above, below = filled[upper], filled[lower]
    texts = {cell for cell in above if cell}
    if len(texts) < 2 or any(re.fullmatch(r"[-+]?[\d.,]+", cell) for cell in texts):
        return False
    gaps = any(one and not other for one, other in zip(above, _full(list(raw.get(lower, ())), len(above)), strict=True))
    return upper in across or (gaps and any(other and not one for one, other in zip(above, below, strict=True)))


def _joined(lines: list[list[str]]) -> list[str]:
    """The lines of a header as one: a gap in an upper line belongs to what stands left of it, where the line below has a name."""
    for upper, lower in pairwise(lines):
        before = ""
        for index, cell in enumerate(upper):
            if cell:
                before = cell
            elif before and lower[index]:
                upper[index] = before
            elif not lower[index]:
                before = ""
    return [re.sub(r"\s+", " ", " ".join(dict.fromkeys(cell for cell in column if cell)))[:200] for column in zip(*lines, strict=True)]


# --- GeoJSON


def _of_geojson(text: str, name: str) -> Sheet | None:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise TableError("json", f"{name}:{error.lineno}", error.msg, "GeoJSON", "fetch the file again") from error
    except (RecursionError, ValueError) as error:
        raise TableError("json", name, "JSON too deep or with numbers too long", "GeoJSON", "fetch the file again") from error
    listed = content.get("features") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise TableError("no_points", name, "JSON without a list of features", "a GeoJSON FeatureCollection of points", "save it as GeoJSON in a GIS")
    if len(listed) > MOST_ROWS:
        raise _too_much(name)
    crs = re.search(r"EPSG:+(?:[\d.]*:)?(\d+)", json.dumps(content.get("crs"), ensure_ascii=False, default=str))
    if crs and crs[1] not in ("4326", "6668", "4612"):
        raise TableError("crs", name, f"coordinates of EPSG:{crs[1]}", "longitude and latitude in degrees (EPSG:4326 or 6668)", "convert it in a GIS")
    names: Counter[str] = Counter()
    whole = []
    for feature in listed:
        parts = [feature.get(key) for key in ("properties", "geometry")] if isinstance(feature, dict) else [None, None]
        cells, geometry = (part if isinstance(part, dict) else {} for part in parts)
        names.update(dict.fromkeys(cells, 1))
        whole.append((cells, geometry, isinstance(feature, dict)))
    if len(names) > MOST_COLUMNS or len(names) * len(whole) > MOST_CELLS:
        raise _too_much(name)
    rows = []
    for number, (cells, geometry, is_feature) in enumerate(whole, 1):
        spot = geometry.get("coordinates") if geometry.get("type") == "Point" else None
        lon, lat = spot[:2] if isinstance(spot, list) and len(spot) >= 2 else ("", "")
        note = "" if spot is not None else "broken" if not is_feature else str(geometry.get("type") or "no geometry")[:40]
        rows.append(Line(number=number, cells=(*(_text(cells.get(key)) for key in names), _text(lat), _text(lon)), note=note))
    if not rows:
        return None
    headers = (*(str(key)[:200] for key in names), *PLACE)
    return Sheet(file=name, kind="geojson", title="", headers=headers, at=tuple(range(len(headers))), rows=tuple(rows))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else repr(value)
    return text.encode("utf-8", "replace").decode().strip()
