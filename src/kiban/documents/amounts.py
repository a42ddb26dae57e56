"""Amounts as they are printed: no more digits than the inputs bear, and a range where the confidence is C or D.

In: a figure of the ledger. Out: text in Japanese or English. Rounding is for print only; the ledger keeps the exact number.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from kiban.records.plan import Figure
from kiban.records.source import Confidence

# Significant digits that a figure of each confidence bears in print; a rule of this house, so that nobody reads 12,345,678 out of a blog's 12 million.
DIGITS = {Confidence.A: 4, Confidence.B: 3, Confidence.C: 2, Confidence.D: 2}


class Yen(float):
    """An amount of yen in a cell of a workbook, told from all other numbers."""


def rounded(value: float, digits: int) -> float:
    """A number rounded half up to significant digits.

    >>> rounded(123_456, 2), rounded(0.1254, 3), rounded(0, 2)
    (120000.0, 0.125, 0.0)
    """
    if value == 0:
        return 0.0
    exact = Decimal(repr(float(value)))
    place = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float((exact / place).quantize(Decimal(1), rounding=ROUND_HALF_UP) * place)


def plain(value: float) -> str:
    """A number with thousands separators and no needless decimals.

    >>> plain(1234567.0), plain(0.25), plain(12.5)
    ('1,234,567', '0.25', '12.5')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def yen(value: float, lang: str) -> str:
    """An amount of yen in the unit people say: 億円, 万円, 円; in English million yen or yen.

    >>> yen(12_340_000, "ja"), yen(250_000_000, "ja"), yen(12_340_000, "en"), yen(980, "ja")
    ('1,234万円', '2.5億円', '¥12.34 million', '980円')
    """
    if lang == "en":
        return f"¥{plain(value / 1e6)} million" if abs(value) >= 1e6 else f"¥{plain(value)}"
    if abs(value) >= 1e8:
        return f"{plain(value / 1e8)}億円"
    return f"{plain(value / 1e4)}万円" if abs(value) >= 1e4 else f"{plain(value)}円"


def is_weak(figure: Figure) -> bool:
    """Whether a figure must be printed with its range."""
    return figure.confidence in (Confidence.C, Confidence.D)


def amount(figure: Figure, lang: str) -> str:
    """A yen figure for a headline: rounded to the digits that it bears.

    >>> amount(Figure(value=12_345_678, unit="JPY", kind="choice", ref="x", confidence=Confidence.B), "ja")
    '約1,230万円'
    """
    if figure.value is None:
        return "不明" if lang == "ja" else "unknown"
    digits = DIGITS[figure.confidence] if figure.confidence else 3
    text = yen(rounded(figure.value, digits), lang)
    if is_weak(figure) or digits < 4:
        return f"約{text}" if lang == "ja" else f"about {text}"
    return text


def range_of(figure: Figure, lang: str) -> str:
    """The range of a yen figure whose confidence is C or D; empty where it has none.

    >>> range_of(Figure(value=12_345_678, low=9e6, high=2e7, unit="JPY", kind="choice", ref="x", confidence=Confidence.C), "ja")
    '900万円〜2,000万円'
    """
    if not is_weak(figure) or figure.confidence is None or figure.low is None or figure.high is None:
        return ""
    low, high = (yen(rounded(end, DIGITS[figure.confidence]), lang) for end in (figure.low, figure.high))
    return f"{low}〜{high}" if lang == "ja" else f"{low} to {high}"


def spoken(figure: Figure, lang: str) -> str:
    """A yen figure for a sentence: rounded, with its range where the confidence is C or D.

    >>> spoken(Figure(value=12_345_678, low=9e6, high=2e7, unit="JPY", kind="choice", ref="x", confidence=Confidence.C), "ja")
    '約1,200万円（900万円〜2,000万円）'
    """
    text, between = amount(figure, lang), range_of(figure, lang)
    if not between:
        return text
    return f"{text}（{between}）" if lang == "ja" else f"{text} ({between})"


def printed_yen(value: float, lang: str) -> str:
    """An amount that a page of a source states, at most four digits of it.

    >>> printed_yen(13_431_908, "ja"), printed_yen(7_700_000, "ja")
    ('約1,343万円', '770万円')
    """
    short = rounded(value, 4)
    text = yen(short, lang)
    return text if short == value else f"約{text}" if lang == "ja" else f"about {text}"


def in_thousands(figure: Figure) -> str:
    """A yen figure for a budget table in 千円, rounded to the digits that it bears.

    >>> in_thousands(Figure(value=12_345_678, unit="JPY", kind="choice", ref="x", confidence=Confidence.B))
    '12,300'
    """
    if figure.value is None:
        return "—"
    digits = DIGITS[figure.confidence] if figure.confidence else 3
    return plain(round(rounded(figure.value, digits) / 1000)) if figure.value else "0"
