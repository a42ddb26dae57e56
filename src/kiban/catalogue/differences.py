"""What two records of one kind say otherwise, in words: two versions of a model, or a region's own file and the package's.

In: two records as lines of text. Out: rows of place, before and after, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kiban.catalogue.view import Line


class Difference(NamedTuple):
    """One place that differs; "" where a side says nothing there."""

    place: str
    before: str
    after: str


def differences(before: Sequence[Line], after: Sequence[Line]) -> list[Difference]:
    """What differs between two lists of lines of one kind.

    >>> differences([Line(0, "prices", ""), Line(1, "mast", "900,000 yen")], [Line(0, "prices", ""), Line(1, "mast", "800,000 yen"), Line(0, "note", "new")])
    [Difference(place='prices › mast', before='900,000 yen', after='800,000 yen'), Difference(place='note', before='', after='new')]
    """
    one, other = _by_place(before), _by_place(after)
    return [Difference(place, one.get(place, ""), other.get(place, "")) for place in dict.fromkeys((*one, *other)) if one.get(place) != other.get(place)]


def _by_place(lines: Sequence[Line]) -> dict[str, str]:
    """Texts by the labels above them; texts of one place, such as unnamed rows of a list, one below the other."""
    path: list[str] = []
    found: dict[str, str] = {}
    for line in lines:
        path = [*path[: line.depth], line.label]
        if line.text:
            place = " › ".join(path)
            found[place] = f"{found[place]}\n{line.text}" if place in found else line.text
    return found
