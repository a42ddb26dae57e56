"""Dated values of the world that formulas need: discount rate, 消費税, horizon, detour factor, traffic growth."""

from __future__ import annotations

from datetime import date

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id
from kiban.records.source import Quantity, Source, Text
from kiban.records.technology import check_sources


class DatedValue(Record, frozen=True, kw_only=True):
    """A value that holds from a day on, with the clause or page that says so."""

    since: date
    quantity: Quantity


class Entry(Record, frozen=True, kw_only=True):
    """One row of a list that a rule holds: a threshold, a section of the budget, a kind of area, a sector of social capital, a month of the calendar.

    id        what code and other files call it
    quantity  its number, if it has one
    when      for whom it holds, as named values: {"body": "town"}; empty: for everybody
    tags      what falls under it (tags of cost scopes, kinds of place, use cases), as the rule's own name says
    """

    id: str
    name: Text
    quantity: Quantity | None = None
    when: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    text: Text | None = None
    clause: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        check_id("entry", self.id)


class DatedList(Record, frozen=True, kw_only=True):
    """A list that holds from a day on, as one edition of a law, a table or a form."""

    since: date
    until: date | None = None  # the last day on which it is known to hold
    entries: tuple[Entry, ...]
    title: Text | None = None
    source: str

    def __post_init__(self) -> None:
        if self.until is not None and self.until < self.since:
            raise RecordError(f"list since {self.since}", f"until {self.until}", f"{self.since} or later", "exchange them")
        keys = [(entry.id, tuple(sorted(entry.when.items()))) for entry in self.entries]
        if not keys or len(set(keys)) < len(keys):
            raise RecordError(f"list since {self.since}", f"{len(keys)} entries, {len(set(keys))} different", "each id once for whom it holds", "rename one")


class Rule(Record, frozen=True, kw_only=True):
    """One file of `data/rules/`: a named value, or a named list, over time. The newest entry on or before the day of use holds."""

    name: Text
    values: tuple[DatedValue, ...] = ()
    lists: tuple[DatedList, ...] = ()
    sources: dict[str, Source]
    checked_on: date
    note: Text | None = None

    def __post_init__(self) -> None:
        if bool(self.values) == bool(self.lists):
            raise RecordError("rule", f"{len(self.values)} values, {len(self.lists)} lists", "values or lists, one of the two", "keep one kind")
        dated: tuple[DatedValue | DatedList, ...] = self.values or self.lists
        days = [value.since for value in dated]
        if days != sorted(set(days)):
            raise RecordError("rule", f"dates {[str(day) for day in days]}", "rising order of since", "sort them")
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
