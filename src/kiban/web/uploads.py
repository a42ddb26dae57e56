"""Files that people send: a form in several parts, counted while it comes in.

In: a request. Out: its fields and its files. What is larger than the limit is refused while it comes, not when it is all there; nothing is written
under a name that somebody sent.
"""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from kiban.base.errors import KibanError
from kiban.web.frame import Frame
from kiban.web.refused import Refused, refused

MOST_UPLOAD = 65_000_000  # bytes of one request: three tables of the largest size
MOST_FILES = 20
MOST_FIELDS = 100
LONGEST_NAME = 120
PREFIX = "kiban-upload-"
PLACE = re.compile(rf"\S*/{PREFIX}[^/\s]*/\d+/")


@dataclass(frozen=True)
class Upload:
    """A file as it was sent; the name is only ever shown."""

    name: str
    content: bytes


async def uploaded(frame: Frame, request: Request, most: int = MOST_UPLOAD, count: int = MOST_FILES) -> tuple[dict[str, str], list[Upload]]:
    """The fields and the files of a form that a page of this server sent, at most `count` files; files without a name are none.

    Raises
    ------
    HTTPException  400: not as forms are sent; 403: sent by another site's page; 413: larger than `most` bytes; 415: no form in parts
    """
    frame.own(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "multipart/form-data":
        raise HTTPException(415)
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413, frame.words(request)("town.too_large", most=most // 1_000_000))
        return message

    try:
        return await _read(Request(request.scope, counted), count)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        many = "Too many" in str(error.detail)  # the reader's own words
        raise HTTPException(413 if many else 400, frame.words(request)("upload.many" if many else "upload.broken", most=count)) from error


async def _read(request: Request, count: int) -> tuple[dict[str, str], list[Upload]]:
    async with request.form(max_files=count, max_fields=MOST_FIELDS, max_part_size=64 * 1024) as form:
        fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        files = [Upload(value.filename, await value.read()) for _, value in form.multi_items() if isinstance(value, UploadFile) and value.filename]
    return fields, files


async def uploads(frame: Frame, request: Request, most: int = 20 * 1024 * 1024) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """Like `uploaded`; the files as (plain name, content), those without content left out."""
    fields, files = await uploaded(frame, request, most)
    return fields, [(plain_name(file.name), file.content) for file in files if file.content]


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


def told(error: KibanError, lang: str) -> list[Refused]:
    """The problems of such a file, without where it lay for a moment."""
    return [replace(one, where=PLACE.sub("", one.where)) for one in refused(error, lang)]
