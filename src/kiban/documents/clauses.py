"""A specification file as clauses: paragraphs and table rows of .docx, rows of .xlsx and .csv, lines of .txt and .md.

In: a path. Out: clauses with ids that tell the place (p3, t1.2, l5, s:Sheet.4). Nothing of the file is run, fetched or expanded; sizes are limited.
A row of a table is one clause, as 同等品可 often stands in the cell beside the name; a line that begins with ただし or ※ belongs to the one before it.
"""

from __future__ import annotations

import csv
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.documents.areas import check_areas
from kiban.records.lock import MAX_CLAUSE, SpecClause

MAX_BYTES = 20_000_000  # of the file
MAX_UNPACKED = 100_000_000  # of what is packed in it
MAX_CLAUSES = 20_000
KINDS = (".docx", ".xlsx", ".csv", ".txt", ".md")
_GOES_ON = re.compile(r"\s{0,9}(?:[(（]?(?:ただし|但し|なお)|※|＊|注[)）])")
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def read_clauses(path: Path) -> tuple[SpecClause, ...]:
    """The clauses of a file, in its order.

    Raises KibanError: no such file, too large, another kind of file, damaged, with a password, or without text.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spec.txt"
    >>> _ = path.write_text("1 機器は屋外に置けること。\\nただし、庁舎を除く。\\n", encoding="utf-8")
    >>> [(clause.id, clause.text) for clause in read_clauses(path)]
    [('l1', '1 機器は屋外に置けること。\\nただし、庁舎を除く。')]
    """
    content = _content(path)
    kind = path.suffix.lower()
    if kind in (".docx", ".xlsx"):
        _check_packed(path, content)
    readers = {".docx": _docx, ".xlsx": _xlsx, ".csv": _csv, ".txt": _lines, ".md": _lines}
    if kind not in readers:
        step = "save it as .docx (Word) or .xlsx (Excel)" if kind in (".doc", ".xls", ".jtd", ".pdf", ".rtf") else "give a specification"
        raise KibanError(path.name, f"a file ending {kind or 'nothing'}", ", ".join(KINDS), step)
    clauses = tuple(_divided(_joined(readers[kind](path, content))))
    if not clauses:
        raise KibanError(path.name, "no text", "paragraphs, table rows or lines with text", "a scan holds pictures only: give the file that was typed")
    if len(clauses) > MAX_CLAUSES:
        raise KibanError(path.name, f"{len(clauses):,} clauses", f"at most {MAX_CLAUSES:,}", "divide the file")
    return clauses


def read_text(path: Path) -> str:
    """The text of a file of any kind that clauses are read from, such as a datasheet. Raises KibanError like read_clauses."""
    return "\n".join(clause.text for clause in read_clauses(path))


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise KibanError(str(path), "no such file", "a file that exists", "check the path")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise KibanError(path.name, f"{size:,} bytes", f"at most {MAX_BYTES:,} bytes", "take the pictures out, or divide the file")
    return path.read_bytes()


def _check_packed(path: Path, content: bytes) -> None:
    """Nothing is opened that unpacks to far more than it is, or that defines entities of its own."""
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise KibanError(path.name, "a file with a password, or of the older kind", path.suffix, "take the password off and save it as .docx or .xlsx")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            if sum(info.file_size for info in package.infolist()) > MAX_UNPACKED:
                raise KibanError(path.name, "a file that unpacks to too much", f"at most {MAX_UNPACKED:,} bytes unpacked", "take the pictures out")
            for info in package.infolist():
                # What the headers promise is not yet true: the reading itself stops at the promised size.
                if not info.filename.lower().endswith((".xml", ".rels")):
                    continue
                text = package.read(info)
                if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                    found = f"a document type definition in {info.filename}"
                    raise KibanError(path.name, found, "a file as Word or Excel writes it", "save it again in Word or Excel")
                if b"\x00" in text:  # UTF-16 or UTF-32: the search above would not see a definition there
                    raise KibanError(path.name, f"{info.filename} that is not UTF-8", "a file as Word or Excel writes it", "save it again in Word or Excel")
        if path.suffix.lower() == ".xlsx":
            check_areas(content, path.name)
    except (lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        raise KibanError(path.name, f"a damaged file ({error})", f"a {path.suffix} file", "open it in its program and save it again") from error


def _docx(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    import docx  # here, as it takes a while and other kinds of files do without it
    from docx.opc.exceptions import OpcError

    try:
        body = docx.Document(io.BytesIO(content)).element.body
    except (OpcError, KeyError, ValueError, AttributeError, SyntaxError, zipfile.BadZipFile) as error:  # a fault of the XML is a SyntaxError there
        raise KibanError(path.name, f"a file that cannot be read as Word ({error})", "a .docx file", "open it in Word and save it again") from error
    counts = {"p": 0, "t": 0}
    yield from _blocks(body, counts)


def _blocks(parent: Any, counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Paragraphs and table rows below an element, in order; also inside content controls and tracked insertions."""
    for child in parent:
        if child.tag == f"{_WORD}p":
            counts["p"] += 1
            yield f"p{counts['p']}", _words(child)
        elif child.tag == f"{_WORD}tbl":
            counts["t"] += 1
            for number, row in enumerate(child.iter(f"{_WORD}tr"), start=1):
                cells = [_words(cell) for cell in row.iter(f"{_WORD}tc")]
                yield f"t{counts['t']}.{number}", " | ".join(cell.strip() for cell in cells if cell.strip())
        elif child.tag not in (f"{_WORD}del", f"{_WORD}sectPr"):
            yield from _blocks(child, counts)


def _words(element: Any) -> str:
    """The text below an element; deleted text (w:delText) is none of it."""
    parts = []
    for node in element.iter(f"{_WORD}t", f"{_WORD}tab", f"{_WORD}br", f"{_WORD}p"):
        if node.tag == f"{_WORD}t":
            parts.append(node.text or "")
        elif node is not element:
            parts.append("\n" if node.tag in (f"{_WORD}br", f"{_WORD}p") and parts else " " if node.tag == f"{_WORD}tab" else "")
    return "".join(parts)


def _xlsx(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for name in book.sheet_names:
            for number, row in enumerate(book.get_sheet_by_name(name).to_python(skip_empty_area=False), start=1):
                yield f"s:{name}.{number}", _row(str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell) for cell in row)
    except (CalamineError, ValueError, OSError) as error:
        raise KibanError(path.name, f"a file that cannot be read as Excel ({error})", "an .xlsx file", "open it in Excel and save it again") from error


def _csv(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    reader = csv.reader(io.StringIO(_decoded(path, content), newline=""))
    try:
        for row in reader:
            yield f"l{reader.line_num}", _row(row)
    except csv.Error as error:
        raise KibanError(f"{path.name}:{reader.line_num}", str(error), "a CSV file", "save it again as CSV UTF-8") from error


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_decoded(path, content).splitlines(), start=1):
        yield f"l{number}", line


def _decoded(path: Path, content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise KibanError(path.name, "bytes that are neither UTF-8 nor CP932 (Shift_JIS)", "a text file", "save it as UTF-8")


def _row(cells: Iterable[str]) -> str:
    return " | ".join(cell.strip() for cell in cells if cell.strip())


def _joined(pieces: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pieces with text; one that goes on with the one before it (ただし, なお, ※) is joined to it."""
    held: tuple[str, str] | None = None
    for id, text in pieces:
        text = text.strip()
        if not text:
            continue
        if held is not None and _GOES_ON.match(text) and len(held[1]) + len(text) < MAX_CLAUSE:
            held = held[0], f"{held[1]}\n{text}"
            continue
        if held is not None:
            yield held
        held = id, text
    if held is not None:
        yield held


def _divided(pieces: Iterable[tuple[str, str]]) -> Iterator[SpecClause]:
    """Clauses; a piece that is too long is divided after a sentence where it can be."""
    for id, text in pieces:
        part = 0
        while text:
            cut = len(text) if len(text) <= MAX_CLAUSE else text.rfind("。", 0, MAX_CLAUSE) + 1 or MAX_CLAUSE
            part += 1
            yield SpecClause(id=id if part == 1 else f"{id}+{part}", text=text[:cut])
            text = text[cut:]
