"""The officer's own words, read back out of a .docx: each passage stands below (or beside) its printed key.

In: the bytes of a file that Word or LibreOffice may have written since. Out: key → text. Nothing hidden is needed: only what is printed is read.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from typing import Any
from xml.etree import ElementTree

from kiban.base.errors import KibanError

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
KEY = re.compile(r"〔\s*鍵[\s:：]*([a-z0-9]+(?:[-_.][a-z0-9]+)*)\s*〕")
GONE = (f"{W}del", f"{W}moveFrom", f"{W}txbxContent")
MARKS = {f"{W}br": "\n", f"{W}cr": "\n", f"{W}tab": "\t"}
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
LARGEST = 50_000_000  # bytes of the text part, unpacked


def read_words(content: bytes, name: str = "docx") -> dict[str, str]:
    """The text of every passage of a .docx by its key; lines are parted by a line feed.

    Raises
    ------
    KibanError  the file is no .docx, or one key stands there twice with different texts
    """
    found: dict[str, str] = {}
    for table in _body(content, name).iter(f"{W}tbl"):
        rows = [list(row.iter(f"{W}tc")) for row in table.iter(f"{W}tr")]
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                key = KEY.search(_text(cell))
                if key is None:
                    continue
                beside = row[place + 1 : place + 2] or (rows[number + 1][place : place + 1] if number + 1 < len(rows) else [])
                text = _text(beside[0]) if beside else ""
                if found.setdefault(key[1], text) != text:
                    raise KibanError(f"{name}, passage {key[1]}", "the key twice, with different texts", "each key once", "delete one of the two")
    return found


def _body(content: bytes, name: str) -> ElementTree.Element:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            part = packed.getinfo("word/document.xml")
            if part.file_size > LARGEST:
                raise KibanError(name, f"a text of {part.file_size:,} bytes", f"at most {LARGEST:,}", "is this the right file?")
            text = packed.read(part)
    except KeyError as error:
        raise KibanError(
            name, "no .docx file", "a paper written by kiban, saved as .docx", "save it as Word (.docx), or take it out of the folder: it is then made anew"
        ) from error
    except DAMAGED as error:
        step = "open it in Word and save it again as .docx, or put a good copy in its place"
        raise KibanError(name, f"a damaged .docx file ({error})", "a paper written by kiban, saved as .docx", step) from error
    try:  # the search for entities below reads bytes: in another encoding they would pass it
        text.decode("utf-8")
        other = b"\x00" in text or re.search(rb"""^[^>]{0,200}encoding\s*=\s*["'](?!utf-?8["'])""", text, re.IGNORECASE) is not None
    except UnicodeDecodeError:
        other = True
    if other:
        raise KibanError(name, "a text that is not UTF-8", "a paper written by kiban, saved as .docx", "save it again as Word (.docx)")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise KibanError(
            name,
            "a text that defines entities",
            "a paper written by kiban, saved as .docx",
            "save it as Word (.docx), or take it out of the folder: it is then made anew",
        )
    try:
        return ElementTree.fromstring(text)  # noqa: S314  entities were refused above
    except ElementTree.ParseError as error:
        raise KibanError(
            name, f"a text part that cannot be read ({error})", "a .docx file", "save it as Word (.docx), or take it out of the folder: it is then made anew"
        ) from error


def _text(cell: Any) -> str:
    """What is printed in a cell: inserted text counts, deleted text of a tracked change does not."""
    lines = ["".join(_pieces(paragraph)) for paragraph in cell.iter(f"{W}p")]
    return "\n".join(line.strip() for line in lines).strip()


def _pieces(paragraph: Any) -> list[str]:
    """Texts, breaks and tabs in their order, without what a tracked change takes out; a stack, for files may nest deeper than Python calls may."""
    pieces, stack = [], [paragraph]
    while stack:
        element = stack.pop()
        if element.tag in GONE:
            continue
        if element.tag == f"{W}t":
            pieces.append(element.text or "")
        elif element.tag in MARKS:
            pieces.append(MARKS[element.tag])
        else:
            stack.extend(reversed(element))
    return pieces
