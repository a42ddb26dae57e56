"""Dated values of the world that formulas need: discount rate, 消費税, horizon, detour factor, traffic growth."""

from __future__ import annotations

from datetime import date

from kiban.base.errors import RecordError
from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Text
from kiban.records.technology import check_sources


class DatedValue(Record, frozen=True, kw_only=True):
    """A value that holds from a day on, with the clause or page that says so."""

    since: date
    quantity: Quantity


class Rule(Record, frozen=True, kw_only=True):
    """One file of `data/rules/`: a named value over time. The newest entry on or before the day of use holds."""

    name: Text
    values: tuple[DatedValue, ...]
    sources: dict[str, Source]
    checked_on: date
    note: Text | None = None

    def __post_init__(self) -> None:
        days = [value.since for value in self.values]
        if not days or days != sorted(set(days)):
            raise RecordError("rule", f"dates {[str(day) for day in days]}", "at least one value, in rising order of since", "sort them")
        check_sources("rule", self.sources, self)


class Growth(Record, frozen=True, kw_only=True):
    """Growth factor of busy-hour traffic against `base_year`, at one year."""

    year: int
    factor: Quantity


class TrafficScenario(Record, frozen=True, kw_only=True):
    """One file of `data/traffic/`: how the volume on shared links grows."""

    name: Text
    summary: Text
    base_year: int
    points: tuple[Growth, ...]
    sources: dict[str, Source]
    checked_on: date
    yearly_growth: Quantity | None = None  # 0.2 means +20 % a year

    def __post_init__(self) -> None:
        if not self.points and self.yearly_growth is None:
            raise RecordError("traffic scenario", "neither points nor yearly_growth", "one of them", "add it")
        years = [point.year for point in self.points]
        if years != sorted(set(years)):
            raise RecordError("traffic scenario", f"years {years}", "rising years", "sort them")
        check_sources("traffic scenario", self.sources, self)
