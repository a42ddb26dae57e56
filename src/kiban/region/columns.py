"""Header names of official files (columns.yaml), and the field that a header stands for.

In: the headers of a table. Out: the header that carries a field, or None.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import yaml

from kiban.base.errors import RegionError


@cache
def table() -> dict[str, Any]:
    """The whole of columns.yaml."""
    text = resources.files("kiban.region").joinpath("columns.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@lru_cache(maxsize=16_384)  # the same few headers and words, for each row
def plain(text: str) -> str:
    """A header or name without width differences, spaces and letter case.

    >>> plain(" ＬＡＴ ")
    'lat'
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).lower()


def find(headers: Iterable[str], field: str) -> str | None:
    """The header that carries a field, the first name of columns.yaml that is there.

    >>> find(["名称", "緯度", "経度"], "lat")
    '緯度'
    """
    names: Sequence[str] = table()["fields"][field]
    return first(headers, names)


def first(headers: Iterable[str], names: Sequence[str]) -> str | None:
    """The header equal to the earliest of some names, widths and case aside."""
    return _first(tuple(headers), tuple(names))


@cache
def _first(headers: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """`first`, kept: a file asks the same for each of its rows."""
    by_plain = {plain(header): header for header in reversed(headers)}
    return next((by_plain[plain(name)] for name in names if plain(name) in by_plain), None)


def with_year(headers: Iterable[str], names: Sequence[str]) -> tuple[str, int | None] | None:
    """The header equal to one of some names, or to one with _YYYY behind it (then the latest year), and that year.

    >>> with_year(["code", "pop_2015", "pop_2020"], ["population", "pop"])
    ('pop_2020', 2020)
    """
    known = list(headers)
    exact = first(known, names)
    dated = []
    for header in known:
        match = re.fullmatch(r"(.+)_(\d{4})", plain(header))
        if match and match[1] in {plain(name) for name in names}:
            dated.append((int(match[2]), header))
    if dated:
        year, header = max(dated)
        return header, year
    return (exact, None) if exact else None


def in_japan(lat: float, lon: float) -> bool:
    """Whether a point lies in the box around Japan."""
    box = table()["japan"]
    return bool(box["south"] <= lat <= box["north"] and box["west"] <= lon <= box["east"])


def check_in_japan(lat: float, lon: float, lg_code: str | None) -> None:
    """Refuse a point of a Japanese region that lies outside Japan; says when the two numbers look exchanged.

    >>> check_in_japan(137.1, 37.3, "174637")
    Traceback (most recent call last):
    kiban.base.errors.RegionError: lat, lon: found 137.1, 37.3; expected a place in Japan. Next: latitude and longitude look swapped: exchange them
    """
    if lg_code is not None and not in_japan(lat, lon):
        step = "latitude and longitude look swapped: exchange them" if in_japan(lon, lat) else "correct the coordinates"
        raise RegionError("lat, lon", f"{lat:g}, {lon:g}", "a place in Japan", step)
