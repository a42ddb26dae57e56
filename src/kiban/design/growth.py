"""Traffic that grows 通信量の伸び: what a scenario does to shared links, and when capacity breaks.

In: a scenario of the catalogue, a problem, a design. Out: factors per fiscal year, the problem with steps that grow, and per group the year in which
another unit is due. Only the busy-hour volume of shared links grows (steps with a load in mbps); what one use case at one site needs, and how fast it
must be answered, stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from msgspec.structs import replace

from kiban.base.errors import DesignError
from kiban.base.money import to_yen
from kiban.design.judge import TOLERANCE
from kiban.design.tree import Tree
from kiban.design.units import traffic_between, traffic_factor
from kiban.finance.present import npv_renewal, npv_yearly
from kiban.records.design import Design, Price, Problem, Step
from kiban.records.rule import TrafficScenario


@dataclass(frozen=True)
class Growth:
    """factors: per fiscal year of the horizon, the first is 1; held_from: from this fiscal year on the scenario says nothing and the last point is held."""

    factors: tuple[float, ...]
    held_from: int | None = None


def factors(scenario: TrafficScenario, start: int, horizon: int) -> Growth | None:
    """The factors of a scenario for the years of a plan, against its first fiscal year.

    Parameters
    ----------
    start, horizon  first fiscal year, number of fiscal years

    Returns
    -------
    Growth, or None where the scenario says nothing of the first fiscal year (measured values of the past are no forecast) or has a point without a value

    Source: even growth between two points (geometric), as the ministry's "two tenths a year"; after the last point nothing is claimed, so the last
    value is held and the year from which it is held is told.

    >>> from datetime import date
    >>> from kiban.records.source import Confidence, Quantity, Source, Text
    >>> word, seen = Text(ja="年2割", en="plus 20 %"), date(2026, 11, 23)
    >>> rate = Quantity(unit="1/year", value=0.2, source="s", confidence=Confidence.A)
    >>> plus = TrafficScenario(
    ...     name=word, summary=word, base_year=2024, points=(), yearly_growth=rate, checked_on=seen, sources={"s": Source(title="t", seen_on=seen)}
    ... )
    >>> [round(factor, 3) for factor in factors(plus, 2027, 3).factors]
    [1.0, 1.2, 1.44]
    """
    years = range(start, start + horizon)
    if scenario.yearly_growth is not None:
        yearly = scenario.yearly_growth.value
        return None if yearly is None else Growth(tuple(traffic_factor([yearly, year - start]) for year in years))
    points = [(point.year, point.factor.value) for point in scenario.points]
    if any(value is None or value <= 0 for _, value in points) or not points[0][0] <= start < points[-1][0]:
        return None
    found = []
    for year in years:
        held = min(year, points[-1][0])
        (first, low), (last, high) = next(pair for pair in pairwise(points) if pair[0][0] <= held <= pair[1][0])
        found.append(traffic_between([held, first, low or 0.0, last, high or 0.0]))
    last_year = points[-1][0]
    return Growth(tuple(value / found[0] if year else 1.0 for year, value in enumerate(found)), last_year + 1 if last_year < years[-1] else None)


def since(price: Price, year: int, horizon: int, discount: float) -> float:
    """Present value of one unit that is bought first, and runs from, a later year of the horizon."""
    if price.phase == "yearly":
        return npv_yearly([discount, *(amount if at >= year else 0.0 for at, amount in enumerate(price.unit_yen))])
    return npv_renewal([price.unit_yen[0], price.life or math.inf, max(price.first, year), horizon, discount])


def worth_later(problem: Problem, price: int, year: int) -> float:
    """The present value of one unit that is bought in a year of the horizon, as a share of that of a unit bought first."""
    one = problem.prices[price]
    return since(one, year, problem.horizon, problem.discount) / one.npv if one.npv else 0.0


def grow(problem: Problem, growth: Sequence[float]) -> Problem:
    """The problem with steps of a load in mbps growing; later units are bought in the year in which they are needed.

    Parameters
    ----------
    growth  (horizon,) factors against the first year; growth[0] is 1

    Raises
    ------
    DesignError  another number of years, a first factor other than 1, or a factor that is no positive number
    """
    if len(growth) != problem.horizon or growth[0] != 1.0 or not all(math.isfinite(factor) and factor > 0 for factor in growth):
        raise DesignError("growth", f"{list(growth)[:3]} … of {len(growth)} years", f"{problem.horizon} factors above 0, the first 1", "use growth.factors")
    if all(factor <= 1.0 for factor in growth):
        return problem
    return replace(problem, steps=tuple(_growing(problem, step, tuple(growth)) for step in problem.steps))


def _growing(problem: Problem, step: Step, growth: tuple[float, ...]) -> Step:
    if step.load != "mbps" or step.cost == 0:
        return step
    later = [step.cost]
    for year in range(1, problem.horizon):
        value = sum(since(problem.prices[price], year, problem.horizon, problem.discount) * units for price, units in step.items)
        later.append(to_yen(value))
    return replace(step, growth=growth, later=tuple(later))


@dataclass(frozen=True)
class Break:
    """A shared link and the year of the horizon in which its capacity breaks.

    kind       "units": another unit is due, and bought · "unpriced": another unit is due, and no step of the problem buys it · "rate": one terminal
               needs more than it can carry, and no second one is wired
    node       of the group: facility, first junction below the exchange, terminal; sites and needs (site, use case) that it carries
    load, capacity   Mbps of the first year, Mbps of one unit; units: per year, at least one
    year       of the horizon; None: it lasts
    """

    kind: str
    technology: str
    node: int
    sites: tuple[str, ...]
    needs: tuple[tuple[str, str], ...]
    load: float
    capacity: float
    units: tuple[int, ...]
    year: int | None


def breaks(problem: Problem, design: Design, growth: Sequence[float], capacities: Mapping[str, float] | None = None) -> tuple[Break, ...]:
    """Every shared link of a design, with the year in which growth breaks it; the earliest first.

    Parameters
    ----------
    growth      (horizon,) factors against the first year; the design may have been found under others
    capacities  technology → Mbps of one cell, or of one port of an exchange, as its file says it, priced or not
    """
    tree, found = Tree(problem, design), []
    priced = {step.technology for step in problem.steps if step.load == "mbps" and step.cost > 0}
    known = dict(capacities or {}) | {step.technology: step.capacity for step in problem.steps if step.load == "mbps" and step.capacity is not None}
    carried: dict[tuple[str, int], list[int]] = {}
    for number, path in tree.paths.items():
        last = problem.arcs[path[-2]]
        if last.technology in known and last.kind in ("link", "drop"):
            node = last.tail if last.kind == "link" else problem.arcs[path[0]].head
            carried.setdefault((last.technology, node), []).append(number)
    for (technology, node), demands in carried.items():
        found.append(_group(problem, "units" if technology in priced else "unpriced", technology, node, demands, known[technology], growth))
    limits = {limit.technology: limit.down_mbps for limit in problem.limits if limit.down_mbps is not None}
    terminals: dict[int, list[int]] = {}
    for number in tree.paths:
        arc = problem.arcs[tree.terminal(number)]
        if arc.kind == "direct" and arc.technology in limits:
            terminals.setdefault(arc.head, []).append(number)
    for node, demands in terminals.items():
        technology = str(problem.nodes[node].technology)
        found.append(_group(problem, "rate", technology, node, demands, limits[technology], growth))
    return tuple(sorted(found, key=lambda one: (one.year is None, one.year or 0, one.technology, one.node)))


def _group(problem: Problem, kind: str, technology: str, node: int, demands: Sequence[int], capacity: float, growth: Sequence[float]) -> Break:
    once = {(d.site, d.usecase): d.down_mbps for d in (problem.demands[number] for number in demands)}
    load = math.fsum(once.values())
    units = [max(1, math.ceil(load * factor / capacity - TOLERANCE)) for factor in growth]
    most = tuple(max(units[: year + 1]) for year in range(len(units)))
    first = 1 if kind == "rate" else most[0]
    year = next((year for year, many in enumerate(most) if many > first), None)
    return Break(kind, technology, node, tuple(sorted({site for site, _ in once})), tuple(sorted(once)), load, capacity, most, year)
