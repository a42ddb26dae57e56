"""Where a number comes from, and how far it can be trusted."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range


class Text(Record, frozen=True, kw_only=True):
    """One name or sentence in Japanese and English."""

    ja: str
    en: str

    def __post_init__(self) -> None:
        if not self.ja.strip() or not self.en.strip():
            raise RecordError("text", f"ja {self.ja!r}, en {self.en!r}", "both languages filled", "write the missing one")


class Confidence(StrEnum):
    """A official page seen · B press or reliable secondary · C blog, vendor, old or foreign · D derived by us or not confirmed."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Tax(StrEnum):
    """Whether 消費税 is inside a price; `none` where no tax applies or the figure is no price."""

    none = "none"
    excluded = "excluded"
    included = "included"
    unknown = "unknown"


DECIBELS = ("dB", "dBm", "dBi")  # units in which less than nothing is an everyday value


class Source(Record, frozen=True, kw_only=True):
    """A page or document that says something, and when it was seen."""

    title: str
    seen_on: date
    url: str | None = None
    publisher: str | None = None
    published: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise RecordError("source", "an empty title", "a title", "write what the page calls itself")


class Quantity(Record, frozen=True, kw_only=True, tag="quantity"):
    """One figure from one place: value or null, range, unit, year, tax state, scope, source, confidence.

    `value: null` needs `needs_source: true`; a value needs a source key of the same file and a confidence.
    `fiscal_year` makes it one step of a time series. `low` and `high` are the range that the source itself gives.
    """

    unit: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    year: int | None = None
    fiscal_year: int | None = None
    tax: Tax = Tax.none
    scope: tuple[str, ...] = ()
    source: str | None = None
    confidence: Confidence | None = None
    derived: bool = False
    foreign: bool = False
    needs_source: bool = False
    note: str | None = None

    def __post_init__(self) -> None:
        where = f"quantity in {self.unit}"
        low = -300.0 if self.unit in DECIBELS else 0.0
        if not self.unit.strip():
            raise RecordError(where, "no unit", "a unit such as JPY/km or Mbps", "write it under unit:")
        for name, number in (("value", self.value), ("low", self.low), ("high", self.high)):
            check_range(f"{where}, {name}", number, low)
        if self.value is None and not self.needs_source:
            raise RecordError(where, "value null", "needs_source: true beside a null", "find the figure, or add needs_source: true")
        if self.value is not None and (self.source is None or self.confidence is None or self.needs_source):
            raise RecordError(where, f"value {self.value:g} without source or confidence", "source, confidence and no needs_source", "cite it, or write null")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RecordError(where, f"low {self.low:g} above high {self.high:g}", "low ≤ high", "exchange them")
        if self.value is not None and not (low if self.low is None else self.low) <= self.value <= (self.high if self.high is not None else self.value):
            raise RecordError(where, f"value {self.value:g} outside {self.low}…{self.high}", "low ≤ value ≤ high", "correct one of them")
