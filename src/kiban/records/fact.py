"""A named fact: what a town, a service or a plan must know of itself, in which unit, and which desk knows it."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record
from kiban.records.source import Source, Text
from kiban.records.technology import check_sources


class NamedFact(Record, frozen=True, kw_only=True):
    """One file of `data/facts/`; a region's facts.csv, a plan's inputs or `--fact ID=VALUE` give its value.

    kind     number (in `unit`), flag (yes or no), text, day (YYYY-MM-DD), or choice (one of `choices`)
    group    town: finance and area of the municipality · rules: its own regulations · service: what the service costs and needs today ·
             plan: how this project is to be run · plant: existing plant · revenue: money that comes in, one fact per source of money
    desk     who knows it; question: what to ask that desk, ready to send; why: what the answer decides
    default  what is taken while nobody has said (a choice of this program, shown as assumed with `default_why`); None: nothing is taken
    low, high  what is plausible; outside it is refused; whole: only whole numbers
    """

    name: Text
    question: Text
    why: Text
    desk: Text
    kind: Literal["number", "flag", "text", "day", "choice"]
    group: Literal["town", "rules", "service", "plan", "plant", "revenue"]
    unit: str | None = None
    choices: dict[str, Text] = {}
    default: float | bool | str | None = None
    default_why: Text | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = False
    sources: dict[str, Source] = {}
    source_keys: tuple[str, ...] = ()
    checked_on: date

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RecordError("fact", f"low {self.low:g} above high {self.high:g}", "low ≤ high", "exchange them")
        if (self.kind == "choice") != bool(self.choices):
            raise RecordError("fact", f"kind {self.kind} with {len(self.choices)} choices", "choices exactly when kind is choice", "correct it")
        if (self.kind == "number") != (self.unit is not None):
            raise RecordError("fact", f"kind {self.kind}, unit {self.unit}", "a unit exactly when kind is number", "correct it")
        if (self.default is None) != (self.default_why is None):
            raise RecordError("fact", "default without default_why, or the reverse", "both or neither", "say why it is taken")
        check_sources("fact", self.sources, self)
