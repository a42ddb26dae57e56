"""Texts on their way into a spreadsheet."""

from __future__ import annotations

# What a spreadsheet takes for a formula at the beginning of a cell, also in full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(text: str) -> str:
    """A text that a spreadsheet does not take for a formula.

    >>> safe("=1+1"), safe("避難所")
    ("'=1+1", '避難所')
    """
    return f"'{text}" if text.startswith(FORMULA) else text
