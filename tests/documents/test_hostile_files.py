"""Files that were damaged or made to do harm are refused with a name and a next step, before they cost memory."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from kiban.base.errors import KibanError
from kiban.documents.areas import check_areas
from kiban.documents.clauses import read_clauses
from kiban.documents.own_words import read_words
from kiban.loop.sheets import open_workbook

NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
BODY = f'<w:document xmlns:w="{NAMESPACE}"><w:body/></w:document>'


def workbook(**cells: object) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for place, value in cells.items():
        book.active[place] = value
    book.save(file)
    return file.getvalue()


def changed(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    """The same package with another text in one part."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            text = before.read(name)
            assert name != part or old in text
            after.writestr(name, text.replace(old, new) if name == part else text)
    return file.getvalue()


def document(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", text)
    return file.getvalue()


def damaged(content: bytes) -> bytes:
    """The same package with the first part's packed bytes overwritten; its directory stays whole."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        first = package.infolist()[0]
    start = first.header_offset + 30 + len(first.filename.encode())
    return content[:start] + b"\xff" * 12 + content[start + 12 :]


SHEET = "xl/worksheets/sheet1.xml"
FAR = {
    "a cell in the last corner": workbook(A1=1, XFD1048576=1),
    "a dimension that claims the last corner": changed(workbook(A1=1, B2=1), SHEET, b'ref="A1:B2"', b'ref="A1:XFD1048576"'),
    "a cell that stands where its row says": changed(workbook(A1=1, ZZ1=1, A2=1), SHEET, b'<row r="2"><c r="A2"', b'<row r="1048576"><c'),
}


@pytest.mark.parametrize("content", FAR.values(), ids=FAR)
def test_a_sheet_that_spans_more_cells_than_a_table_is_refused_before_it_is_opened(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "far.xlsx"
    path.write_bytes(content)
    assert len(content) < 10_000
    for read in (open_workbook, read_clauses):
        with pytest.raises(KibanError, match=r"far\.xlsx.*1,048,576 rows"):
            read(path)


def test_an_ordinary_workbook_with_a_formatted_last_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "near.xlsx"
    path.write_bytes(changed(workbook(A1="行", C40=3), SHEET, b"</sheetData>", b'<row r="1048576" ht="20"/></sheetData>'))
    assert open_workbook(path).sheets["Sheet"][39][2] == 3.0
    assert [clause.text for clause in read_clauses(path)] == ["行", "3"]


def test_a_workbook_in_another_encoding_or_of_another_program_is_refused() -> None:
    wide = changed(workbook(A1=1), SHEET, b"<worksheet", b"<worksheet")
    with zipfile.ZipFile(io.BytesIO(wide)) as package:
        text = package.read(SHEET)
    with pytest.raises(KibanError, match="not UTF-8"):
        check_areas(changed(wide, SHEET, text, text.decode().encode("utf-16")), "wide.xlsx")
    with pytest.raises(KibanError, match="no workbook"):
        check_areas(document(b"<x/>"), "other.xlsx")


def test_a_damaged_package_is_named_with_a_next_step(tmp_path: Path) -> None:
    sheet, text = tmp_path / "damaged.xlsx", tmp_path / "damaged.docx"
    sheet.write_bytes(damaged(workbook(A1=1)))
    text.write_bytes(damaged(document(BODY.encode() * 1)))
    for read, path in ((open_workbook, sheet), (read_clauses, sheet), (read_clauses, text)):
        with pytest.raises(KibanError, match=r"damaged\.(xlsx|docx).*Next: "):
            read(path)
    with pytest.raises(KibanError, match=r"庁内限り/damaged\.docx.*Next: "):
        read_words(text.read_bytes(), "庁内限り/damaged.docx")


HARMFUL = {
    "UTF-16": ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]>' + BODY).encode("utf-16"),
    "UTF-16 without a mark": ("<!DOCTYPE a []>" + BODY).encode("utf-16-le"),
    "UTF-7 in its first line": b'<?xml version="1.0" encoding="UTF-7"?>' + BODY.encode(),
    "a document type": b"<!DOCTYPE a []>" + BODY.encode(),
    "an entity": b'<!ENTITY b "c">' + BODY.encode(),
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_a_paper_that_defines_entities_or_hides_them_in_another_encoding_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(KibanError, match=r"paper\.docx: found a text that"):
        read_words(document(text), "paper.docx")
    path = tmp_path / "spec.docx"
    path.write_bytes(document(text))
    with pytest.raises(KibanError, match=r"spec\.docx"):
        read_clauses(path)


def test_a_whole_paper_in_utf_8_is_read() -> None:
    assert read_words(document(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + BODY.encode()), "paper.docx") == {}


def test_a_paper_that_unpacks_to_more_than_any_paper_holds_is_not_unpacked() -> None:
    bomb = document(b"<x>" + b" " * 60_000_000 + b"</x>")
    assert len(bomb) < 100_000
    with pytest.raises(KibanError, match=r"bomb\.docx: found a text of 60,000,007 bytes"):
        read_words(bomb, "bomb.docx")


def test_a_paper_that_lies_about_its_size_is_damaged_and_not_unpacked_further() -> None:
    size = 60_000_000
    content = document(b" " * size).replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    with pytest.raises(KibanError, match=r"small\.docx: found a damaged \.docx file"):
        read_words(content, "small.docx")
