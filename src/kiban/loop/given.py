"""What a plan is made from: the sentence, the region, the catalogue and the choices of the person who asks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from kiban import __version__
from kiban.base.jdate import fiscal_year
from kiban.catalogue import Catalogue
from kiban.finance.ledger import Ledger
from kiban.records.funding import Inputs
from kiban.records.plan import PlanStep
from kiban.records.region import Region
from kiban.region import Detour

if TYPE_CHECKING:  # numpy comes with it, and whoever reads sentences needs none
    from kiban.records.terrain import Terrain

ENGINE = f"kiban {__version__}"
DETOUR_RULE = "detour-factor"
TOKYO = timezone(timedelta(hours=9))


@dataclass(frozen=True, kw_only=True)
class Given:
    """Everything that a plan depends on; the same Given makes the same plan.

    now      the moment of the making: fixes the rules in force and the first fiscal year, the one after the running 年度 (its budget is being asked for)
    inputs   what people put in by hand: facts, own prices, quotations, own words
    foreign  also use figures from abroad (confidence C)
    work     units of the solver's work, for a repeatable answer; time_limit cuts the same sequence short
    traffic  id of a traffic scenario by which shared links grow; None: they stay as they are
    kwh      limit on kWh a year · budget: yen, tax included, that may be paid in the first year for what is built; None: none
    phases   () none · a number of years up to the horizon · yen a year, tax included · yen of each year; weights: site → how much it counts
    """

    sentence: str
    region: Region
    catalogue: Catalogue
    now: datetime
    answers: dict[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)
    foreign: bool = False
    seed: int = 0
    work: int = 100
    time_limit: float | None = None
    terrain: Terrain | None = None  # heights of the region's ground (region.heights); None: not looked at
    traffic: str | None = None
    kwh: float | None = None
    budget: int | None = None
    phases: tuple[int, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """The first fiscal year of the plan."""
        return fiscal_year(self.today) + 1

    @property
    def today(self) -> date:
        """The day of the making in Japan."""
        return self.now.astimezone(TOKYO).date()


def strange_technologies(given: Given) -> list[tuple[str, str, str]]:
    """Technologies that the region's rows name and the catalogue does not know: (row, id, nearest ids).

    A slip of the pen would otherwise vanish; a data file that was taken away must not stop the run, so they become open points.
    """
    known = given.catalogue.technologies
    named = [(site.name, id) for site in given.region.sites for id in site.covered]
    named += [(plant.name, plant.technology) for plant in given.region.plants]
    return [(row, id, ", ".join(get_close_matches(id, known))) for row, id in named if id not in known]


def digest(thing: Any) -> str:
    """The sha256 of a record or of plain data.

    >>> digest({"a": 1})[:8]
    '015abd7f'
    """
    return hashlib.sha256(msgspec.json.encode(thing, order="deterministic")).hexdigest()


def pins(given: Given, *entries: str) -> dict[str, str]:
    """The versions, as file hashes, of the data files that a step was made with: "kind/id" → hash."""
    return {entry: given.catalogue.hashes[entry] for entry in entries if entry in given.catalogue.hashes}


def step(id: Any, inputs: Any, body: dict[str, Any], pinned: dict[str, str]) -> PlanStep:
    """A step with the hash of what it was made from."""
    return PlanStep(id=id, inputs=digest(inputs), engine=ENGINE, pinned=pinned, body=body)


def text(ja: str, en: str) -> dict[str, str]:
    """A sentence of a step's body in both languages."""
    return {"ja": ja, "en": en}


__all__ = ["ENGINE", "Given", "Ledger", "digest", "pins", "step", "text"]


def rule_detour(catalogue: Catalogue, day: date) -> Detour | None:
    """The detour factor that the rules know on a day, with its source; None when they know none."""
    if DETOUR_RULE not in catalogue.rules:
        return None
    quantity = catalogue.rule_at(DETOUR_RULE, day).quantity
    if quantity.value is None or quantity.source is None:
        return None
    return Detour(value=quantity.value, source=catalogue.rules[DETOUR_RULE].sources[quantity.source])
