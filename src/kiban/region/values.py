"""Values of official files that come in several spellings: municipality codes, counts, degrees.

In: what a cell holds. Out: a plain value; what cannot be read is noted in the Draft and reads as None.
"""

from __future__ import annotations

import re
from typing import Any

from kiban.region.cells import number_of
from kiban.region.draft import Draft


def five(code: Any) -> str | None:
    """The first five digits of a municipality code however it is written: 174637, 17463, R17463, 1100, E1746300187111.

    >>> five("R17463"), five("01100"), five("174637"), five("E1746300187111"), five("")
    ('17463', '01100', '17463', '17463', None)
    """
    digits = re.sub(r"\D", "", str(code))
    return None if not digits else digits.zfill(5)[:5]


def count_of(draft: Draft, source: str, where: str, text: Any) -> int | None:
    """A count, rounded; what is no number is noted and reads as unknown."""
    try:
        value = number_of("" if text is None else str(text))
    except ValueError:
        draft.leave("bad_number", source, f"{where}: {text!r}")
        return None
    return None if value is None else round(value)


def degrees_of(draft: Draft, source: str, where: str, value: Any) -> float | None:
    """A latitude or longitude; what is no number is noted and reads as unknown."""
    try:
        return None if value is None else number_of(str(value))
    except ValueError:
        draft.leave("bad_number", source, f"{where}: {value!r}")
        return None
