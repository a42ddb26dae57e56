"""A design under limited money and over the years: what is served with how much, and in which year which street is dug.

Written by design.budget and design.phases, judged by check.money. Yen are of the first year's prices, tax excluded, as in the Problem.
"""

from __future__ import annotations

from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.design import Certificate
from kiban.records.rules import Record, check_range, check_unique


class Weight(Record, frozen=True, kw_only=True, array_like=True):
    """How much it counts that a site gets a use case; a whole number above 0."""

    site: str
    usecase: str
    weight: int

    def __post_init__(self) -> None:
        if self.weight < 1:
            raise RecordError(f"weight of {self.site}/{self.usecase}", str(self.weight), "a whole number from 1 on", "leave the need out instead")


class Multiplied(Record, frozen=True, kw_only=True):
    """A proof by multipliers: share × cost + Σ multiplier × what a ceiling counts ≥ total, for every design, those that give needs up included.

    share        0 or 1: whether the cost counts
    multipliers  (id of the ceiling, multiplier ≥ 0): initial_yen, kwh_year, unserved
    total        floor of the sum of the certificate's duals; the certificate is of the graph in which each need may also be given up
    """

    share: int
    multipliers: tuple[tuple[Literal["initial_yen", "kwh_year", "unserved"], float], ...]
    total: int
    certificate: Certificate

    def __post_init__(self) -> None:
        check_range("multiplied, share", self.share, 0, 1)
        for id, value in self.multipliers:
            check_range(f"multiplier of {id}", value, 0)


class Stage(Record, frozen=True, kw_only=True):
    """The best that a sum of money buys: first the greatest weight of needs served, then the least cost over the horizon.

    most           yen that may be paid in the first year for what is built
    arcs, served, steps, grown   as in a Design; served is -1 for a need that is given up
    initial, cost  yen of the first year for what is built; yen over the horizon
    unserved       (site, use case) given up; lost: their weight; least_lost: no design for that money loses less, by `proof` (None: nothing is lost)
    least_cost     no design for that money that loses at most `lost` costs less, by `cost_proof` (None: by the proof of the full design)
    """

    most: int
    arcs: tuple[int, ...]
    served: tuple[int, ...]
    steps: tuple[tuple[int, int, int], ...]
    grown: tuple[tuple[int, int, int, int], ...] = ()
    initial: int
    cost: int
    unserved: tuple[tuple[str, str], ...] = ()
    lost: int = 0
    least_lost: int = 0
    proof: Multiplied | None = None
    least_cost: int = 0
    cost_proof: Multiplied | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.least_lost <= self.lost or not 0 <= self.least_cost <= self.cost:
            raise RecordError(
                f"stage {self.most}",
                f"lost {self.lost} (≥ {self.least_lost}), cost {self.cost} (≥ {self.least_cost})",
                "no bound above what was found",
                "the bound is wrong: report it",
            )


class Waiting(Record, frozen=True, kw_only=True):
    """A need that the money does not reach, and why.

    reason  budget: joining it to what is built would pay `joining` yen more in the first year than the money allows · no_way: nothing priced reaches it
            limit: joining it breaks a limit of a technology or of the whole design
    from_   the least sum of money among the stages from which on it is served; None: none of them
    """

    site: str
    usecase: str
    reason: Literal["budget", "no_way", "limit"]
    joining: int | None = None
    from_: int | None = None


class Frontier(Record, frozen=True, kw_only=True):
    """What more money buys 費用と範囲の関係: stages by rising money, and for one of them what waits and what comes next.

    asked     index of the stage that was asked for; waiting and next belong to it
    million   needs that one million yen more bring in (or take out, when other needs then count more)
    next_yen  the least money found for which less weight is lost than at the asked stage; no such design needs less than `next_least`
    """

    problem: str
    weights: tuple[Weight, ...]
    stages: tuple[Stage, ...]
    asked: int
    waiting: tuple[Waiting, ...] = ()
    million_in: tuple[tuple[str, str], ...] = ()
    million_out: tuple[tuple[str, str], ...] = ()
    next_yen: int | None = None
    next_least: int | None = None
    next_in: tuple[tuple[str, str], ...] = ()
    next_proof: Multiplied | None = None

    def __post_init__(self) -> None:
        check_unique("weights", (f"{one.site}/{one.usecase}" for one in self.weights))


class Work(Record, frozen=True, kw_only=True):
    """What is built together: all lines of one street, all gear of one place, one terminal of a site, or what a system costs once.

    arcs    of the design; initial: yen of the first year's prices; before: indices of works that must be built in the same year or earlier
    metres  of line that is dug or strung
    """

    kind: Literal["exchange", "street", "place", "terminal", "system"]
    ref: str
    arcs: tuple[int, ...]
    initial: int
    before: tuple[int, ...] = ()
    metres: float = 0.0


class Phases(Record, frozen=True, kw_only=True):
    """Works in order of fiscal years 年度ごとの工事: no year costs more than its money, each street is dug once, nothing hangs in the air.

    money     yen per year, one entry per year of building; what is left of a year is not carried over
    year      of each work, counted from 0; -1: not within these years
    steps     per year (index of the step, node, units) bought in it
    initial   yen of each year
    joined    per need its year, -1: not within these years
    waited    Σ weight × year of being joined (as many years as there are when it is not); no order of works waits less than `least_waited`
    digging_again  yen that the streets would cost more if each year's sites were wired by a cable of their own; metres_again: metres dug again
    """

    problem: str
    money: tuple[int, ...]
    weights: tuple[Weight, ...]
    works: tuple[Work, ...]
    year: tuple[int, ...]
    steps: tuple[tuple[tuple[int, int, int], ...], ...]
    initial: tuple[int, ...]
    joined: tuple[int, ...]
    waited: int
    least_waited: int
    present: int
    digging_again: int = 0
    metres_again: float = 0.0

    def __post_init__(self) -> None:
        if self.least_waited > self.waited:
            raise RecordError("phases", f"bound {self.least_waited} above {self.waited}", "bound ≤ what was found", "the bound is wrong: report it")
