"""A case 事例: what a town tried, what it cost, what came of it and why; and what auditors and patterns say."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.records.rules import Record, check_range
from kiban.records.source import Text

State = Literal["自走", "継続", "実証中", "計画", "縮小", "停止", "廃止", "不明"]


class CaseCost(Record, frozen=True, kw_only=True):
    """What it cost, in whole yen, as far as a page says."""

    initial_yen: int | None = None
    yearly_yen: int | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        check_range("case cost, initial_yen", self.initial_yen, 0)
        check_range("case cost, yearly_yen", self.yearly_yen, 0)


class CaseOutcome(Record, frozen=True, kw_only=True):
    """An indicator before and after, in the words and units of the source."""

    indicator: str
    target: str | None = None
    before: str | None = None
    after: str | None = None
    note: str | None = None


class CaseTech(Record, frozen=True, kw_only=True):
    """What was used, layer by layer."""

    device: str | None = None
    network: str | None = None
    middleware: str | None = None
    app: str | None = None


class Case(Record, frozen=True, kw_only=True):
    """One file of `data/cases/`: facts in our own words, unknown is null.

    kind      project: one town's undertaking · audit: an auditor's finding over many · pattern: what several cases have in common, with its count
    stopped   true when it ended, was abolished or never came into use; such cases are shown first
    count     (patterns) cases that show it, out of `out_of`; caveat says why the count is no rate
    cases     (patterns) the ids of those cases
    """

    kind: Literal["project", "audit", "pattern"]
    title: str
    issue: str | None = None
    municipality: str | None = None
    prefecture: str | None = None
    lg_code: str | None = None
    population_2015: int | None = None
    fiscal_index: float | None = None
    field: str | None = None
    solution: str | None = None
    tech: CaseTech = CaseTech()
    partners: dict[str, tuple[str, ...]] = {}
    period: str | None = None
    state: str = "不明"
    stopped: bool = False
    below_target: bool | None = None
    cost: CaseCost = CaseCost()
    subsidy: str | None = None
    outcomes: tuple[CaseOutcome, ...] = ()
    failed: str | None = None  # what was hard or failed, and why
    lessons: str | None = None
    models: tuple[str, ...] = ()
    usecases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    count: int | None = None
    out_of: int | None = None
    caveat: Text | None = None
    cases: tuple[str, ...] = ()
    confidence: Literal["A", "B", "C", "D"]
    urls: tuple[str, ...] = ()
    seen_on: date
    note: str | None = None

    def __post_init__(self) -> None:
        check_range("population_2015", self.population_2015, 0)
        check_range("fiscal_index", self.fiscal_index, 0, 10)
