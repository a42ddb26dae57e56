"""Files that people send: a form in several parts, counted while it comes in.

In: a request. Out: its fields and its files. What is larger than the limit is refused while it comes, not when it is all there; nothing is written
under a name that somebody sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from kiban.web.frame import Frame

MOST_UPLOAD = 65_000_000  # bytes of one request: three tables of the largest size
MOST_FILES = 20
MOST_FIELDS = 40


@dataclass(frozen=True)
class Upload:
    """A file as it was sent; the name is only ever shown."""

    name: str
    content: bytes


async def uploaded(frame: Frame, request: Request, most: int = MOST_UPLOAD) -> tuple[dict[str, str], list[Upload]]:
    """The fields and the files of a form that a page of this server sent; files without a name are none.

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

    async with Request(request.scope, counted).form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=64 * 1024) as form:
        fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        files = [Upload(value.filename, await value.read()) for _, value in form.multi_items() if isinstance(value, UploadFile) and value.filename]
    return fields, files
