"""Typed cells of a row, with every problem kept for one message.

In: a row of text. Out: numbers, days, yes / no, choices; a cell that does not fit becomes a problem with file:line, column, what was
found and what fits, and reads as None.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date

from kiban.base.errors import KibanError, ManyErrors, RegionError
from kiban.region.text import Row, Table

EMPTY = frozenset({"", "-", "*", "－", "―", "…", "...", "***", "X", "x", "不明", "null", "NULL", "None"})
_YES = frozenset({"yes", "true", "1", "○", "〇", "◯", "有", "はい", "全部"})
_NO = frozenset({"no", "false", "0", "×", "無", "いいえ", ""})


class RegionFilesError(ManyErrors, RegionError):
    """All problems of the files of a region in one message."""


def number_of(text: str) -> float | None:
    """A number as offices write it: full-width digits, thousands commas; None where the cell says that there is none.

    Raises ValueError when it is no number.

    >>> number_of("１,２３４"), number_of("-"), number_of("▲5")
    (1234.0, None, -5.0)
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain in EMPTY or text.strip() in EMPTY:
        return None
    plain = re.sub(r"^[▲△−]", "-", plain)
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


class Cells:
    """The cells of one row; problems are added to a list that the caller owns."""

    def __init__(self, table: Table, row: Row, problems: list[KibanError]) -> None:
        self.where, self.cells, self.problems = table.where(row), row.cells, problems

    def problem(self, column: str, fits: str, step: str) -> None:
        """Note that a cell does not fit."""
        self.problems.append(RegionError(self.where, f"column {column}: {self.cells.get(column, '')!r}", fits, step))

    def text(self, column: str, *, needed: bool = False) -> str | None:
        """Text, or None when the cell is empty."""
        value = self.cells.get(column, "")
        if value[:2] in ("'=", "'+", "'-", "'@"):  # written so that a spreadsheet does not take it for a formula
            value = value[1:]
        if not value and needed:
            self.problem(column, "a value", "fill it in")
        return value or None

    def number(self, column: str, low: float = -math.inf, high: float = math.inf, *, needed: bool = False) -> float | None:
        """A number within a range, or None."""
        try:
            value = number_of(self.cells.get(column, ""))
        except ValueError:
            self.problem(column, "a number", "correct it, or leave it empty if it is unknown")
            return None
        if value is None:
            if needed:
                self.problem(column, "a number", "fill it in")
            return None
        if not low <= value <= high:
            self.problem(column, f"a number from {low:g} to {high:g}", "correct it, or leave it empty if it is unknown")
            return None
        return value

    def whole(self, column: str, low: int = 0, high: int = 10**9) -> int | None:
        """A whole number within a range, or None."""
        value = self.number(column, low, high)
        if value is not None and value != int(value):
            self.problem(column, "a whole number", "correct it, or leave it empty if it is unknown")
            return None
        return None if value is None else int(value)

    def flag(self, column: str) -> bool:
        """Yes or no; an empty cell is no."""
        value = unicodedata.normalize("NFKC", self.cells.get(column, "")).strip().lower()
        if value not in _YES | _NO:
            self.problem(column, "yes, no or empty", "write yes or no")
        return value in _YES

    def day(self, column: str) -> date | None:
        """A day as YYYY-MM-DD or YYYY/MM/DD, or None."""
        value = self.text(column)
        if value is None:
            return None
        try:
            year, month, day = (int(part) for part in re.split(r"[-/]", value))
            return date(year, month, day)
        except ValueError:
            self.problem(column, "a day such as 2027-03-31", "write it so")
            return None

    def choice(self, column: str, choices: Sequence[str]) -> str | None:
        """One of some words."""
        value = self.cells.get(column, "")
        if value not in choices:
            self.problem(column, f"one of {', '.join(choices)}", "choose one")
            return None
        return value
