"""The small checks of NGSI-LD: URIs, names, scopes, language tags, geometries (ETSI GS CIM 009 v1.9.1, 4.6, 4.7, 4.18).

Each function answers with True or False, or with a reason ("" = none): what to do about it is the caller's business.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

NULL = "urn:ngsi-ld:null"
CORE = "https://uri.etsi.org/ngsi-ld/"
FINITE = 1.7e308

_ASCII_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+")
_URI_HEAD = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
# Letters and marks that show nothing: an id with one of them looks like another id.
_INVISIBLE = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))))
_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def is_uri(text: str) -> bool:
    """Whether text is an absolute URI, or an IRI without characters that nobody can see (4.5.1; RFC 3986, 3987).

    >>> is_uri("urn:ngsi-ld:Vehicle:1"), is_uri("urn:city:東京"), is_uri("vehicle 1"), is_uri("urn:a\\u200bb")
    (True, True, False, False)
    """
    # The cache keeps texts that come again and again; a huge one would only take its memory. What is ASCII is looked at sooner than looked up.
    return _ASCII_URI.fullmatch(text) is not None or (_uri(text) if len(text) <= 256 else _uri.__wrapped__(text))


@lru_cache(maxsize=16_384)
def _uri(text: str) -> bool:
    head = _URI_HEAD.match(text)
    if head is None or text.isascii():
        return False
    return all(_ASCII_URI.fullmatch("a:" + c) if c.isascii() else _visible(c) for c in text[head.end() :])


def _visible(c: str) -> bool:
    """Whether a character outside ASCII may stand in an IRI and shows."""
    code = ord(c)
    if c in _INVISIBLE or 0xE0100 <= code <= 0xE01EF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE:
        return False
    return unicodedata.category(c) not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"}


def is_name(text: str) -> bool:
    """Whether text may name a type or an attribute: letters, digits and _, after a prefix perhaps, or a whole URI (4.6.2).

    >>> is_name("výška_1"), is_name("schema:name"), is_name("https://example.org/a#b"), is_name("my attr"), is_name("9Vehicle")
    (True, True, True, False, False)
    """
    return _name(text) if len(text) <= 256 else _name.__wrapped__(text)


@lru_cache(maxsize=16_384)
def _name(text: str) -> bool:
    prefix, colon, rest = text.partition(":")
    if not colon:
        return _simple(text)
    if _simple(prefix) and _simple(rest):
        return True
    return is_uri(text) and not any(part in {".", ".."} for part in rest.split("/"))


def _simple(text: str) -> bool:
    return bool(text) and text[0].isalpha() and all(c == "_" or c.isalnum() for c in text)


def is_scope(text: str) -> bool:
    """Whether text is a scope: levels of letters, digits and _ with / between them (4.18).

    >>> is_scope("/Madrid/Gardens"), is_scope("Madrid"), is_scope("/a//b"), is_scope("9bad"), is_scope("a-b")
    (True, True, False, False, False)
    """
    return all(map(_simple, text.removeprefix("/").split("/")))


def is_language(text: str) -> bool:
    """Whether text is a language tag (RFC 5646) or "@none".

    >>> is_language("en-US"), is_language("@none"), is_language("")
    (True, True, False)
    """
    return text == "@none" or _LANGUAGE.fullmatch(text) is not None


def looks_like_geometry(value: object) -> bool:
    """Whether value is meant as a GeoJSON geometry: its type and its coordinates say so, right or wrong.

    >>> looks_like_geometry({"type": "Point", "coordinates": []}), looks_like_geometry({"type": "Point"})
    (True, False)
    """
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind == "GeometryCollection":
        return "geometries" in value
    return isinstance(kind, str) and kind in _DEPTH and "coordinates" in value


def geometry_fault(value: object) -> str:
    """What is wrong with a GeoJSON geometry (4.7, RFC 7946), "" if nothing: degrees, longitude first, rings closed.

    >>> geometry_fault({"type": "Point", "coordinates": [136.9, 37.4]})
    ''
    >>> geometry_fault({"type": "Point", "coordinates": [37.4, 136.9]})
    'found the position [37.4, 136.9]; expected a longitude of -180 to 180, then a latitude of -90 to 90'
    """
    if not isinstance(value, dict):
        return f"found {_short(value)}; expected a GeoJSON geometry"
    kind = value.get("type")
    depth = _DEPTH.get(kind) if isinstance(kind, str) else None
    if depth is None:
        return f"found the geometry type {_short(kind)}; expected one of {', '.join(_DEPTH)}"
    return _shape_fault(value.get("coordinates"), depth, kind)


def _shape_fault(coordinates: object, depth: int, kind: object) -> str:
    if depth == 0:
        return _position_fault(coordinates)
    if not isinstance(coordinates, list) or not coordinates:
        return f"found {_short(coordinates)}; expected an array of coordinates of a {kind}"
    fault = next(filter(None, (_shape_fault(part, depth - 1, kind) for part in coordinates)), "")
    if fault or depth != 1 or kind == "MultiPoint":
        return fault
    if kind in {"Polygon", "MultiPolygon"}:
        if len(coordinates) < 4 or coordinates[0] != coordinates[-1]:
            return "a ring of a polygon needs at least four positions, the last one equal to the first"
    elif len(coordinates) < 2:
        return "a line needs at least two positions"
    return ""


def _position_fault(position: object) -> str:
    if not isinstance(position, list) or len(position) < 2 or len(position) > 4:
        return f"found {_short(position)}; expected a position: [longitude, latitude] or [longitude, latitude, height]"
    for number in position:
        if type(number) is not float and type(number) is not int:
            return f"found {_short(number)} in a position; expected a number"
        if not -FINITE < number < FINITE:  # also an integer that no float can hold
            return "a position holds finite numbers"
    if not (-180 <= position[0] <= 180 and -90 <= position[1] <= 90):
        return f"found the position {_short(position)}; expected a longitude of -180 to 180, then a latitude of -90 to 90"
    return ""


def has_null(value: Any) -> bool:
    """Whether a value holds the null marker of NGSI-LD, at any depth.

    >>> has_null({"a": [{"b": "urn:ngsi-ld:null"}]}), has_null({"a": [1, None]})
    (True, False)
    """
    if isinstance(value, str):
        return value == NULL
    waiting = [value]
    while waiting:
        part = waiting.pop()
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            if inner == NULL:
                return True
            if isinstance(inner, dict | list):
                waiting.append(inner)
    return False


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 60 else told[:57] + "..."
