"""Texts on their way into a file."""

from __future__ import annotations

import unicodedata

# What a spreadsheet takes for a formula at the beginning of a cell, also in full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(text: str) -> str:
    """A text that a spreadsheet does not take for a formula.

    >>> safe("=1+1"), safe("避難所")
    ("'=1+1", '避難所')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


# They turn the order of what is read around: a figure could be shown as another one.
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def writable(text: str) -> str:
    """A text without the letters that no XML file (control characters, halves of pairs) and no tagged PDF (U+FEFF, U+FFFE) may hold, and without those
    that turn the direction of writing; tabs and line ends stay.

    >>> writable("\\ufeff一\\n二\\x0b\\x00三\\u202e\\uffff")
    '一\\n二三'
    """
    return text if text.isprintable() else "".join(letter for letter in text if _fits(letter))


def _fits(letter: str) -> bool:
    if letter in "\t\n\r":
        return True
    return not (unicodedata.category(letter) in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE or letter == "\ufeff" or letter in TURNING)
