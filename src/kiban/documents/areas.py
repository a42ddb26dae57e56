"""How large an area the sheets of a workbook span, before any reader makes room for it: two cells in opposite corners ask for hundreds of gigabytes.

In: the bytes of an .xlsx file. Out: nothing, or an error. The sheets are read as a stream of bytes, never as a whole, and every part of the file that
looks like a sheet counts, whatever the workbook calls it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

from kiban.base.errors import KibanError

MAX_CELLS = 5_000_000  # rows x columns from A1 to the last cell
MAX_PART = 200_000_000  # bytes of one sheet, unpacked
CHUNK = 1 << 20
TAIL = 200  # bytes that are looked at again with the next chunk, for a cell may be cut in two
CELL = re.compile(rb"""\sr\s*=\s*["']\s*([A-Z]{1,7})([0-9]{1,10})""", re.IGNORECASE)
DIMENSION = re.compile(rb"""<(?:\w+:)?dimension\b[^>]*?\sref\s*=\s*["'](?:[A-Z]{1,7}[0-9]{1,10}:)?([A-Z]{1,7})([0-9]{1,10})""", re.IGNORECASE)
BARE = re.compile(rb"""<(?:\w+:)?c(?:\s+(?!r\s*=)[\w:]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")  # a cell that stands where its row says
ROW = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\sr\s*=\s*["']([0-9]{1,10})""")
WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<", b"\x00\x00")  # beginnings of UTF-16 and UTF-32, in which nothing of the above would be found


def check_areas(content: bytes, name: str) -> None:
    """Look at the last row and column of every sheet of a workbook.

    Raises
    ------
    KibanError  a sheet spans more than MAX_CELLS cells or unpacks to more than MAX_PART bytes; zipfile and zlib errors: the file is damaged
    """
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        if "xl/workbook.xml" not in {member.lower() for member in package.namelist()}:
            raise KibanError(name, "no workbook in it", "an .xlsx workbook", "save it as .xlsx (Excel ブック) without a password")
        for member in package.infolist():
            rows, columns, last, bare = 0, 0, 0, False
            for piece in _pieces(package, member, name):
                for letters, digits in CELL.findall(piece) + DIMENSION.findall(piece):
                    rows, columns = max(rows, int(digits)), max(columns, _column(letters))
                last = max([last, *map(int, ROW.findall(piece))])
                bare = bare or BARE.search(piece) is not None
            rows = max(rows, last if bare else 0)
            if rows * max(columns, 1) > MAX_CELLS:
                found = f"cells over {rows:,} rows and {columns:,} columns"
                raise KibanError(f"{name} {member.filename}", found, f"at most {MAX_CELLS:,} cells", "delete what stands far below or beside the table")


def _pieces(package: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    size, tail = 0, b""
    with package.open(member) as stream:
        while chunk := stream.read(CHUNK):
            if size == 0 and chunk.startswith(WIDE) and member.filename.lower().endswith((".xml", ".rels")):
                raise KibanError(f"{name} {member.filename}", "a text that is not UTF-8", "an .xlsx workbook", "save it again as .xlsx (Excel ブック)")
            size += len(chunk)
            if size > MAX_PART:
                raise KibanError(f"{name} {member.filename}", f"more than {MAX_PART:,} bytes unpacked", f"at most {MAX_PART:,}", "take other sheets out")
            piece = tail + chunk
            tail = piece[-TAIL:]
            yield piece


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
