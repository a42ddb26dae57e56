"""Static files with their hash in the address, so that a browser asks for each once and after an update for none that is stale.

In: the folder of the package. Out: an ASGI application for `/static`, the addresses of its files, and answers that were packed once for all who ask.
Files refer to each other by relative addresses, so one hash of all of them stands before the name: `/static/3f2a…/plan.mjs`.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

STAMP = re.compile(r"^[0-9a-f]{12}/")
LASTING = "public, max-age=31536000, immutable"
ASK = "no-cache"  # keep it, and ask each time whether it is still the same
MEDIA = {".mjs": "text/javascript", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Packed:
    """An answer as it is sent: plain, packed, and what tells one content from another."""

    content: bytes
    packed: bytes
    media: str
    etag: str

    def answer(self, request: Request, cache: str = "") -> Response:
        """The answer to a request: packed where the browser unpacks, nothing where it has the same already."""
        unpacks = "gzip" in request.headers.get("accept-encoding", "") and len(self.packed) < len(self.content)
        tag = f'"{self.etag}{"-gz" if unpacks else ""}"'
        headers = {"etag": tag, "vary": "Accept-Encoding", **({"cache-control": cache} if cache else {})}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if unpacks:
            headers["content-encoding"] = "gzip"
        return Response(self.packed if unpacks else self.content, headers=headers, media_type=self.media)


def packed(content: bytes, media: str, level: int = 9) -> Packed:
    """Pack an answer that will be sent many times.

    >>> one = packed(b"a" * 5000, "text/plain")
    >>> len(one.packed) < 100, gzip.decompress(one.packed) == one.content, one.etag == packed(one.content, "").etag
    (True, True, True)
    """
    return Packed(content, gzip.compress(content, level, mtime=0), media, sha256(content).hexdigest()[:12])


class Assets:
    """The files below a folder, each read and packed when it is first asked for; a file that is not there at the start is not served."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        self._kept: dict[str, Packed] = {}
        self._stamp = ""
        self._lock = threading.Lock()

    @property
    def stamp(self) -> str:
        """What the files are: another one as soon as a byte or a name of one of them is another."""
        if not self._stamp:
            whole = sha256()
            for name, path in self._files.items():
                whole.update(f"{name}\0".encode() + sha256(path.read_bytes()).digest())
            self._stamp = whole.hexdigest()[:12]
        return self._stamp

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"/static/{self.stamp}/{name}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file. A page from before an update still finds its scripts, under an address that is not kept. Raises HTTPException 404, 405."""
        request = Request(scope, receive)
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(405)
        asked = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        name = STAMP.sub("", asked)
        if name not in self._files:
            raise HTTPException(404)
        found = self._kept.get(name)
        if found is None:
            found = await run_in_threadpool(self._read, name)
        cache = "" if name == asked else LASTING if asked.startswith(self.stamp) else ASK
        await found.answer(request, cache)(scope, receive, send)

    def _read(self, name: str) -> Packed:
        with self._lock:  # several ask for a large file at once: one packs it
            if name not in self._kept:
                path = self._files[name]
                media = MEDIA.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
                self._kept[name] = packed(path.read_bytes(), media)
            return self._kept[name]
