"""Files that a page of this server sends: so many, so large, with names that are names and no paths.

In: a request with a multipart form. Out: its fields and its files. Nothing is unpacked or run here.
"""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from kiban.web.frame import Frame

MOST = 20 * 1024 * 1024  # bytes of one request with files: more than any paper or answer has
MOST_FILES = 20
LONGEST_NAME = 120
PREFIX = "kiban-upload-"
PLACE = re.compile(rf"\S*/{PREFIX}[^/\s]*/\d+/")


async def uploads(frame: Frame, request: Request, most: int = MOST) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """The fields of a form, and its files as (name, content); those without content are left out.

    Raises
    ------
    HTTPException  403: sent by another site's page; 413: too large, or too many files; 415: no such form
    """
    frame.own(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "multipart/form-data":
        raise HTTPException(415)

    async def limited() -> AsyncGenerator[bytes, None]:
        count = 0
        async for part in request.stream():
            count += len(part)
            if count > most:
                raise HTTPException(413)
            yield part

    try:
        form = await MultiPartParser(request.headers, limited(), max_files=MOST_FILES, max_fields=100).parse()
    except MultiPartException as error:
        raise HTTPException(413 if "Too many" in error.message else 415) from error
    fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    files = []
    for _, value in form.multi_items():
        if not isinstance(value, str):
            content = await value.read()
            await value.close()
            if content:
                files.append((plain_name(value.filename or ""), content))
    return fields, files


def plain_name(name: str) -> str:
    """The last part of a file name, without what no name holds.

    >>> plain_name("../../etc/回答　甲.xlsx"), plain_name("C:\\\\x\\\\<b>.docx"), plain_name("..")
    ('回答 甲.xlsx', 'b.docx', 'file')
    """
    last = re.split(r"[/\\\\]", unicodedata.normalize("NFKC", name))[-1]
    clean = "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*').strip(" .")
    stem, dot, ending = clean.rpartition(".")
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}{dot}{ending}"[:LONGEST_NAME] or "file"


@contextmanager
def as_files(files: Sequence[tuple[str, bytes]]) -> Iterator[list[Path]]:
    """The files under their own names in a folder that lasts as long as they are read."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        paths = []
        for place, (name, content) in enumerate(files):
            path = Path(folder) / str(place) / name
            path.parent.mkdir()
            path.write_bytes(content)
            paths.append(path)
        yield paths


def told(error: Exception) -> list[str]:
    """The lines of a message about such a file, without where it lay for a moment."""
    return PLACE.sub("", str(error)).split("\n")
