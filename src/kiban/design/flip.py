"""How much dearer a technology of the design may get before a design without it is cheaper.

In: a problem with its design, a way to build the problem without a technology and with its prices multiplied, and a way to solve. Out: the design
without it, and the factor on all its prices at which it leaves. The numbers are entered into the ledger by design.figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kiban.base.money import to_yen
from kiban.design.explain import ROUNDS, Solve
from kiban.records.design import Design, Problem
from kiban.records.technology import UNITS, Per, Technology

COMPLETE = ("proved", "bounded")
Reason = Literal["priced", "only", "unpriced", "unsettled", "free"]


@dataclass(frozen=True)
class Flip:
    """A technology of the design and what would take its place.

    reason   priced: there is a flip price · only: nothing else can serve all that it serves · unpriced: only something without a price could ·
             unsettled: the search found a design without it that is not dearer, so the design is not proved far enough · free: it costs nothing
    without  the problem without it and its design
    at       problem and design that holds it and costs the same as `without` at `factor`: the last one with it while its prices rise
    cost     the cost item whose units the price is stated per, `per` their unit; None where there is no price
    factor   what all its prices may be multiplied by until `without` is the cheaper one
    mixed    on the way there designs that hold less of it are the cheapest
    first    the first of those, whose factor is where the design as it is stops being the cheapest; None: not mixed, or not found
    exact    every design on the way is proved, and at `factor` none is cheaper; else the factor is what was found
    """

    technology: str
    reason: Reason
    without: tuple[Problem, Design] | None = None
    at: tuple[Problem, Design] | None = None
    cost: str | None = None
    per: Per | None = None
    factor: float | None = None
    mixed: bool = False
    first: tuple[Problem, Design] | None = None
    exact: bool = False


def flip_price(
    technology: str,
    kind: Technology,
    problem: Problem,
    design: Design,
    forbid: Callable[[str], Problem],
    dearer: Callable[[str, float], Problem],
    solve: Solve,
    attempt: Solve,
) -> Flip:
    """Find the factor on all prices of a technology at which the best design holds none of it any more.

    Parameters
    ----------
    problem, design  as they are, the design complete
    forbid           the problem without a technology; dearer: the problem with all prices of one multiplied
    solve            finds the design without it · attempt: finds those on the way, of which there may be many

    Source: W. Dinkelbach, "On nonlinear fractional programming", Management Science 13 (1967) 492–498, as for the break-even price: at factor f
    the last design found costs as much as the one without; when none is cheaper there, f is the greatest (cost − rest) ÷ own of all designs.
    """
    search = _Search(technology, problem, design, dearer, attempt)
    if search.today.own <= 0:
        return Flip(technology, "free")
    empty = forbid(technology)
    if empty.no_way:  # no need to solve: some demand has no priced way left
        return Flip(technology, "unpriced" if all(left for *_, left in empty.no_way) else "only")
    other = solve(empty)
    if other.status not in COMPLETE:
        return Flip(technology, "only")
    if other.cost < design.cost:
        return Flip(technology, "unsettled", without=(empty, other))
    search.exact = design.status == other.status == "proved"
    ways = [search.today]
    while len(ways) <= ROUNDS:
        way = search.at((other.cost - ways[-1].rest) / ways[-1].own)
        if way is None or way.own <= 0 or way.cost >= other.cost - way.slack:
            break
        ways.append(way)
    last = ways[-1]
    cost, per = _unit(last.problem, last.design, technology, kind)
    factor = (other.cost - last.rest) / last.own
    first = search.first(ways[1]) if len(ways) > 1 else None
    exact = search.exact and len(ways) <= ROUNDS
    return Flip(technology, "priced", (empty, other), (last.problem, last.design), cost, per, factor, len(ways) > 1, first, exact)


@dataclass(frozen=True)
class _Way:
    """A design on the way: what it costs without the technology and for it at today's prices, in all at the factor, and what rounding may change."""

    problem: Problem
    design: Design
    rest: int
    own: int
    cost: float
    slack: float


class _Search:
    """Designs found while the prices of one technology rise."""

    def __init__(self, technology: str, problem: Problem, design: Design, dearer: Callable[[str, float], Problem], attempt: Solve) -> None:
        self.technology, self.dearer, self.attempt = technology, dearer, attempt
        self.npv = {price.id: price.npv for price in problem.prices}
        self.today = _Way(problem, design, *split(problem, design, technology, self.npv), design.cost, 0.0)
        self.exact = True

    def at(self, factor: float) -> _Way | None:
        """The best design at a factor; None when it is not complete."""
        problem = self.dearer(self.technology, factor)
        design = self.attempt(problem)
        self.exact = self.exact and design.status == "proved"
        if design.status not in COMPLETE:
            return None
        npv = {price.id: price.npv / factor if price.technology == self.technology else price.npv for price in problem.prices} | self.npv
        slack = factor * len(design.arcs)  # each arc is rounded to whole yen before it is multiplied
        return _Way(problem, design, *split(problem, design, self.technology, npv, factor), design.cost, slack)

    def first(self, way: _Way) -> tuple[Problem, Design] | None:
        """Of the designs that are cheaper than today's at some factor, the one that is so first."""
        today = self.today
        for _ in range(ROUNDS):
            if way.own >= today.own:
                return None  # today's design is not the cheapest at today's prices
            factor = (way.rest - today.rest) / (today.own - way.own)
            if factor < 1:
                return None  # nor is it here: that way is cheaper already
            found = self.at(factor)
            if found is None or found.cost >= today.rest + factor * today.own - found.slack:
                return way.problem, way.design
            way = found
        return None


def split(problem: Problem, design: Design, technology: str, npv: Mapping[str, float], factor: float = 1.0) -> tuple[int, int]:
    """Yen of a design for everything else, and for one technology, at the present values of one unit by price id; its prices in it are × `factor`."""
    rest = own = 0
    parts = [(problem.arcs[index].items, 1) for index in design.arcs] + [(problem.steps[index].items, units) for index, _, units in design.steps]
    for items, units in parts:
        mine = [(item, number) for item, number in items if problem.prices[item].technology == technology]
        others = [(item, number) for item, number in items if problem.prices[item].technology != technology]
        own += to_yen(sum(npv[problem.prices[item].id] * number for item, number in mine)) * units
        rest += to_yen(sum(npv[problem.prices[item].id] * number for item, number in others)) * units
    for index, _, year, units in design.grown:  # units that growth makes necessary later
        step = problem.steps[index]
        own += to_yen(step.later[year] / factor) * units if step.technology == technology else 0
        rest += step.later[year] * units if step.technology != technology else 0
    return rest, own


def _unit(problem: Problem, design: Design, technology: str, kind: Technology) -> tuple[str, Per]:
    """The cost item by whose units a price is stated: of the first unit of the pattern that is bought, the one bought most."""
    bought: dict[tuple[Per, str], float] = defaultdict(float)
    items: list[tuple[Sequence[tuple[int, float]], int]] = [(problem.arcs[index].items, 1) for index in design.arcs]
    items += [(problem.steps[index].items, units) for index, _, units in design.steps]
    for part, units in items:
        for item, number in part:
            price = problem.prices[item]
            if price.technology == technology:
                bought[price.per, price.cost] += number * units
    order = UNITS[kind.wiring.pattern]
    per, cost = min(bought, key=lambda key: (order.index(key[0]), -bought[key], key[1]))
    return cost, per
