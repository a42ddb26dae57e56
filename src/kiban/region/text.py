"""Text and CSV files of Japanese offices: UTF-8 with or without BOM, CP932; broken characters are named, not read.

In: a path. Out: text, or a table whose rows know their line. What the columns mean is decided elsewhere.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kiban.base.errors import RegionError

SAVE_AGAIN = "save it again as 「CSV UTF-8(コンマ区切り)」 / as CSV UTF-8"
_JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龯]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HALF_KANA = re.compile(r"[｡-ﾟ]")
# How text gets broken: written in the first encoding, read in the second and saved again.
_BREAKS = (("utf-8", "cp932"), ("utf-8", "cp1252"), ("utf-8", "latin-1"), ("cp932", "cp1252"), ("cp932", "latin-1"))
_MARKS = re.compile("[‚ƒ„†‡ˆ‰Š‹ŒŽ˜š›œžŸ\x80-\x9f]")  # what no Western text holds twice in a line, and broken Japanese does


@dataclass(frozen=True)
class Row:
    """One row of a table: the line where it ends, and its cells by header, stripped."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file: name, headers and rows."""

    name: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]

    def where(self, row: Row) -> str:
        """file:line of a row."""
        return f"{self.name}:{row.line}"


def decode(path: Path) -> str:
    """The text of a file in UTF-8 (BOM or not) or CP932.

    Raises
    ------
    RegionError  the file does not exist, is in another encoding, or its characters are broken (mojibake 文字化け)
    """
    if not path.is_file():
        raise RegionError(path.name, "no such file", "a file that exists", "check the path")
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RegionError(path.name, "UTF-16 text", "UTF-8 or CP932 (Shift_JIS)", SAVE_AGAIN)
    return text_of(raw, path.name)


def text_of(raw: bytes, name: str) -> str:
    """The text of some bytes in UTF-8 (BOM or not), CP932, or UTF-16 with its mark; `name` stands in messages.

    Raises
    ------
    RegionError  another encoding, or broken characters

    >>> text_of("名称,緯度".encode("cp932"), "list.csv"), text_of("名称".encode("utf-16"), "list.csv")
    ('名称,緯度', '名称')
    """
    encodings = ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp932")
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = broken(line)
            if found:
                raise RegionError(f"{name}:{number}", f"broken characters 文字化け {line[:30]!r}", "Japanese text", f"{found}; {SAVE_AGAIN}")
        return text
    try:
        raw.decode("euc_jp")
        found = "EUC-JP text"
    except UnicodeDecodeError:
        found = "bytes that are neither UTF-8 nor CP932"
    raise RegionError(name, found, "UTF-8 or CP932 (Shift_JIS)", SAVE_AGAIN)


def broken(line: str) -> str | None:
    r"""How a line got broken, or None when it looks whole.

    >>> broken("能登町"), broken("能登\ufffd")
    (None, 'it holds the replacement character U+FFFD: the original bytes are lost')
    >>> broken("災害".encode().decode("latin-1"))
    'it was utf-8 and was read as latin-1'
    """
    if "\ufffd" in line:
        return "it holds the replacement character U+FFFD: the original bytes are lost"
    if line.isascii():
        return None
    marks = len(_MARKS.findall(line))
    for written, read in _BREAKS[: 1 if marks == 0 else 3 if marks == 1 else 5]:
        try:
            repaired = line.encode(read).decode(written)
        except UnicodeError:
            continue
        if _JAPANESE.search(repaired) and len(repaired) < len(line) and not _HALF_KANA.search(repaired):
            return f"it was {written} and was read as {read}"
    half = _HALF_KANA.findall(line)
    if len(half) >= 4:
        try:
            repaired = line.encode("cp932").decode("euc_jp")
        except UnicodeError:
            return None
        if _JAPANESE.search(repaired):
            return "it is EUC-JP"
    return None


def read_table(path: Path) -> Table:
    """A CSV or TSV file with one header line.

    Raises
    ------
    RegionError  no header, a header twice, or a row with more cells than headers
    """
    text = decode(path)
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if head.count("\t") > head.count(",") else ",")
    headers = tuple(cell.strip() for cell in next(_lines(reader, path.name), []))
    if not any(headers):
        raise RegionError(f"{path.name}:1", "no header line", "the names of the columns", "write them into the first line")
    twice = sorted({header for header in headers if header and headers.count(header) > 1})
    if twice:
        raise RegionError(f"{path.name}:1", f"column {', '.join(twice)} twice", "each column once", "rename or delete one")
    rows = []
    for cells in _lines(reader, path.name):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(headers) and any(cell.strip() for cell in cells[len(headers) :]):
            raise RegionError(f"{path.name}:{reader.line_num}", f"{len(cells)} cells", f"{len(headers)}, as in the header", 'put text with commas in "…"')
        if control := _CONTROL.search("".join(cells)):
            found, step = f"the control character U+{ord(control.group()):04X}", "delete it in the cell: it cannot be printed in a paper"
            raise RegionError(f"{path.name}:{reader.line_num}", found, "printable characters", step)
        rows.append(Row(reader.line_num, {header: (cell or "").strip() for header, cell in zip_longest(headers, cells) if header}))
    return Table(path.name, headers, tuple(rows))


def _lines(reader: Any, name: str) -> Iterator[list[str]]:
    """The rows of a CSV reader; what it cannot split is named with its line."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RegionError(f"{name}:{reader.line_num}", str(error), "comma-separated text", "delete the broken cell") from error
