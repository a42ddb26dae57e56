"""Files of Steiner instances and certificates, for `kiban steiner` and `kiban check`: read with a limit, judged, written whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kiban.base.errors import KibanError, RecordError
from kiban.records.design import CheckReport
from kiban.records.steiner import SteinerCertificate

if TYPE_CHECKING:  # loads the kernels
    from kiban.design.steiner.instance import Instance

MOST_INSTANCE = 2**31  # bytes of text, unpacked
MOST_CERTIFICATE = 2**30


def read_instance(path: Path) -> Instance:
    """An instance out of a `.stp` or `.gr` file, gzipped or not. Raises KibanError when there is no such file, it is too large or no instance."""
    from kiban.design.steiner.instance import parse

    return parse(content(path, "a SteinLib .stp or PACE .gr file, gzipped or not", MOST_INSTANCE), path.name, MOST_INSTANCE)


def read_certificate(path: Path) -> SteinerCertificate:
    """A certificate out of a JSON file, gzipped or not. Raises KibanError when there is no such file, it is too large or damaged."""
    data = content(path, "a certificate of kiban steiner, .json or .json.gz", MOST_CERTIFICATE)
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MOST_CERTIFICATE + 1)
            if len(data) > MOST_CERTIFICATE:
                raise _too_large(path, MOST_CERTIFICATE)
        return msgspec.json.decode(data, type=SteinerCertificate)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.DecodeError, RecordError, UnicodeDecodeError, RecursionError) as error:
        raise KibanError(
            str(path), f"a damaged certificate ({error})", "the JSON that kiban steiner --certificate wrote", "write it again; it was changed or cut off"
        ) from error


def judge(certificate: Path, instance: Path) -> CheckReport:
    """What the independent check says of a certificate on its instance."""
    from kiban.check.steiner import check_steiner

    made, given = read_certificate(certificate), read_instance(instance)
    return check_steiner(given.count, given.edges, given.terminals, made)


def writable(path: Path) -> None:
    """Raise KibanError when a file cannot come to stand here: better told before the work than after it."""
    if path.is_dir() or not path.parent.is_dir():
        found = "a folder" if path.is_dir() else f"no folder {path.parent}"
        raise KibanError(str(path), found, "a file name in a folder that exists", "make the folder, or choose another name")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that its name holds the older content or all of the new one; gzipped when the name ends in `.gz`."""
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=6, mtime=0)
    number, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_mask())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _mask() -> int:
    """What the user takes away from the rights of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def content(path: Path, fits: str, most: int) -> bytes:
    if not path.is_file():
        raise KibanError(str(path), "no such file", fits, "check the path")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(path, most)
    return data


def _too_large(path: Path, most: int) -> KibanError:
    return KibanError(str(path), f"more than {most:,} bytes", f"at most {most:,}", "check that this is the file you mean")
