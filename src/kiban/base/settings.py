"""The settings of one run, read from the environment once, in cli."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kiban.base.errors import KibanError

LANGUAGES = ("ja", "en")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\Z")  # of a machine, as a browser sends it


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where things are and how kiban talks; every field is one environment variable."""

    db: str = ""  # KIBAN_DB: postgresql://… ; empty: a SQLite file in `state`
    data: Path | None = None  # KIBAN_DATA: a folder of own data files, read after the package's and winning by id
    state: Path = field(default_factory=Path)  # KIBAN_STATE: caches and the default database
    lang: str = "ja"  # KIBAN_LANG
    host: str = "127.0.0.1"  # KIBAN_HOST
    port: int = 8000  # KIBAN_PORT
    names: tuple[str, ...] = ()  # KIBAN_NAMES: further names and addresses under which others reach the server
    outgoing: str = "none"  # KIBAN_OUTGOING: no connection leaves this machine


def read_settings(environ: Mapping[str, str], home: Path) -> Settings:
    """Settings out of environment variables.

    >>> read_settings({"KIBAN_PORT": "8080"}, Path("/home/clerk")).port
    8080
    """
    lang = environ.get("KIBAN_LANG", "ja")
    if lang not in LANGUAGES:
        raise KibanError("KIBAN_LANG", repr(lang), "ja or en", "export KIBAN_LANG=ja")
    port = environ.get("KIBAN_PORT", "8000")
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise KibanError("KIBAN_PORT", repr(port), "a port from 1 to 65535", "export KIBAN_PORT=8000")
    data = environ.get("KIBAN_DATA")
    if data and not Path(data).is_dir():
        raise KibanError("KIBAN_DATA", repr(data), "a folder that exists", "create it, or unset KIBAN_DATA")
    names = [name.strip().lower() for name in environ.get("KIBAN_NAMES", "").split(",") if name.strip()]
    if wrong := [name for name in names if not NAME.match(name)]:
        raise KibanError("KIBAN_NAMES", repr(wrong[0]), "names or addresses without http:// and port, joined by commas", "export KIBAN_NAMES=kiban.town.lan")
    outgoing = environ.get("KIBAN_OUTGOING", "none")
    if outgoing != "none":
        raise KibanError("KIBAN_OUTGOING", repr(outgoing), "none (nothing in this version connects to the outside)", "unset KIBAN_OUTGOING")
    state = environ.get("KIBAN_STATE") or environ.get("XDG_DATA_HOME", str(home / ".local" / "share")) + "/kiban"
    return Settings(
        db=environ.get("KIBAN_DB", ""),
        data=Path(data) if data else None,
        state=Path(state),
        lang=lang,
        host=environ.get("KIBAN_HOST", "127.0.0.1"),
        port=int(port),
        names=tuple(names),
        outgoing=outgoing,
    )
