"""What makes a record good: small checks that every record calls when it is built."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import msgspec

from kiban.base.errors import RecordError

ID = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*\Z")  # \Z: no line end after it


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every record: frozen, keyword-built, no unknown fields.

    msgspec does not pass kw_only on to subclasses and type checkers do not pass frozen on, so each record repeats both.
    """


def check_id(where: str, value: str) -> None:
    """Ids are lower-case ASCII words joined by - _ or a dot."""
    if not ID.match(value):
        raise RecordError(where, f"id {value!r}", "lower-case letters and digits joined by '-', '_' or '.'", "rename it")


def check_range(where: str, value: float | None, low: float = -math.inf, high: float = math.inf) -> None:
    """A number, if there is one, is finite and within [low, high]."""
    if value is None:
        return
    if not math.isfinite(value) or not low <= value <= high:
        raise RecordError(where, f"{value!r}", f"a finite number from {low:g} to {high:g}", "correct the value, or write null if it is unknown")


def check_unique(where: str, ids: Iterable[str]) -> None:
    """No id twice."""
    seen: set[str] = set()
    for value in ids:
        if value in seen:
            raise RecordError(where, f"{value!r} twice", "each id once", "rename or delete one of them")
        seen.add(value)


def check_latlon(where: str, lat: float, lon: float) -> None:
    """Degrees on the WGS84 ellipsoid; says so when they look swapped."""
    if not math.isfinite(lat) or not math.isfinite(lon) or not -90 <= lat <= 90 or not -180 <= lon <= 180:
        hint = "latitude and longitude look swapped: exchange them" if -180 <= lat <= 180 and -90 <= lon <= 90 else "correct the coordinates"
        raise RecordError(where, f"lat {lat}, lon {lon}", "lat from -90 to 90, lon from -180 to 180", hint)
