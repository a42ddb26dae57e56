"""The read catalogue, kept on disk until a file or the code that reads files changes.

In: the files as read, and a folder. Out: the Catalogue that they gave before, or nothing. A damaged cache is as good as none.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

import kiban
from kiban.catalogue.catalogue import Catalogue

KEEP = 4  # caches of other data folders and earlier states
# Rooms whose code decides what a good data file is: a change there makes every cache old.
_READERS = ("base", "records", "catalogue")


def cache_key(files: Iterable[tuple[str, Path, bytes]]) -> str:
    """One hash over every file (name, place, content) and over the code that reads them."""
    digest = hashlib.sha256(f"kiban {kiban.__version__} msgspec {msgspec.__version__}".encode())
    for room in _READERS:
        for code in sorted((Path(kiban.__file__).parent / room).glob("*.py")):
            digest.update(hashlib.sha256(code.read_bytes()).digest())
    for name, path, content in files:
        digest.update(f"\n{name} {path}\n".encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()


def read_cache(folder: Path, key: str) -> Catalogue | None:
    """The cached catalogue, or None when there is none or it is damaged."""
    try:
        content = (folder / f"catalogue-{key[:32]}.msgpack").read_bytes()
    except OSError:
        return None
    head, body = content[:64], content[64:]
    if head != hashlib.sha256(key.encode() + body).hexdigest().encode():
        return None
    return msgspec.msgpack.decode(body, type=Catalogue)


def write_cache(folder: Path, key: str, catalogue: Catalogue) -> None:
    """Write the cache beside the old ones, whole or not at all; a full or read-only disk costs only the time of the next reading."""
    body = msgspec.msgpack.encode(catalogue)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".catalogue-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.sha256(key.encode() + body).hexdigest().encode() + body)
            Path(name).replace(folder / f"catalogue-{key[:32]}.msgpack")
        finally:
            Path(name).unlink(missing_ok=True)
        for old in sorted(folder.glob("catalogue-*.msgpack"), key=lambda path: path.stat().st_mtime, reverse=True)[KEEP:]:
            old.unlink(missing_ok=True)
    except OSError:
        return
