"""Limits on the whole design, and loads that grow: checked again from the records.

In: a problem and a design. Out: what does not hold, line by line.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from kiban.check.recompute import RELATIVE, price_npv, rounds_to
from kiban.check.view import View, load
from kiban.records.design import Ceiling, Problem


def growth_costs(view: View) -> Iterator[str]:
    """A unit bought in a later year costs what its prices come to when it is bought then, and the first factor of a growing load is 1."""
    problem = view.problem
    for index, step in enumerate(problem.steps):
        if not step.growth:
            continue
        if len(step.growth) != problem.horizon or step.growth[0] != 1.0:
            yield f"段階 {index}: 伸びは {len(step.growth)} か年・初年度 {step.growth[0]:g} / step {index}: growth of {len(step.growth)} years"
            continue
        for year, yen in enumerate(step.later):
            exact = math.fsum(price_npv(problem.prices[price], problem.discount, problem.horizon, year) * units for price, units in step.items)
            if not rounds_to(Fraction(exact), yen):
                yield f"段階 {index}: {year} 年目の1台 {yen:,} 円、計算では {exact:,.1f} / step {index}: a unit of year {year}"


def grown(view: View) -> Iterator[str]:
    """Each group buys in each year exactly the units by which its grown load exceeds what it has."""
    listed: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for index, node, year, units in view.design.grown:
        if year in listed[index, node] or units < 1:
            yield f"段階 ({index}, {node}, {year}, {units}): 重複または 0 台以下 / step: twice, or below 1"
        listed[index, node][year] = units
    wanted: dict[tuple[int, int], dict[int, int]] = {}
    for index, step in enumerate(view.problem.steps):
        for node, carried in view.groups(step).items() if step.growth and step.capacity else ():
            amount = load(step, carried)
            years = [max(1, step.free, math.ceil(amount * factor / (step.capacity or math.inf) - RELATIVE)) for factor in step.growth]
            most = [max(years[: year + 1]) for year in range(len(years))]
            found = {year: most[year] - most[year - 1] for year in range(1, len(most)) if most[year] > most[year - 1]}
            if found:
                wanted[index, node] = found
    for key in sorted(wanted.keys() | listed.keys()):
        if wanted.get(key, {}) != listed.get(key, {}):
            yield f"段階 {key}: 増設 {listed.get(key, {})}、必要 {wanted.get(key, {})} / step {key}: bought later, and needed"


def energy_units(problem: Problem) -> tuple[dict[int, float], dict[int, float]]:
    """kWh a year of each arc and of each paid step unit, as far as they are known."""
    known: dict[tuple[str, str], float] = {(use.technology, use.per): use.kwh for use in problem.energy if use.kwh is not None}
    devices = {demand.node: demand.devices for demand in problem.demands}
    arcs: dict[int, float] = {}
    for index, arc in enumerate(problem.arcs):
        counts: dict[str, float] = {
            "site": 1.0 if arc.kind in ("drop", "link", "direct") or (arc.kind == "feed" and arc.tail == 0) else 0.0,
            "facility": {"open": 1.0, "hop": 2.0}.get(arc.kind, 0.0),
            "hop": 1.0 if arc.kind == "hop" else 0.0,
            "km": arc.length_m / 1000 if arc.kind in ("line", "plant") else 0.0,
            "device": devices.get(arc.head, 0.0) if arc.kind == "serve" else 0.0,
        }
        kwh = sum(known.get((arc.technology or "", per), 0.0) * many for per, many in counts.items())
        if kwh:
            arcs[index] = kwh
    steps = {}
    for index, step in enumerate(problem.steps):
        each = known.get((step.technology, "system" if step.level == "system" else "facility"), 0.0)
        if each:
            steps[index] = each
    return arcs, steps


def initial_units(problem: Problem) -> tuple[dict[int, float], dict[int, float]]:
    """Yen that each arc and each paid step unit costs in the first year for what is built, each rounded half up."""

    def paid(items: tuple[tuple[int, float], ...]) -> float:
        first = [(problem.prices[price], units) for price, units in items]
        return float(math.floor(math.fsum(p.unit_yen[0] * units for p, units in first if p.phase == "initial" and p.first == 0) + 0.5))

    arcs = {index: yen for index, arc in enumerate(problem.arcs) if (yen := paid(arc.items))}
    return arcs, {index: yen for index, step in enumerate(problem.steps) if (yen := paid(step.items))}


def ceilings(view: View) -> Iterator[str]:
    """What each ceiling counts follows from prices and energy, and the design stays below it."""
    for ceiling in view.problem.ceilings:
        if ceiling.id != "unserved":
            units = energy_units if ceiling.id == "kwh_year" else initial_units
            near = 1e-6 if ceiling.id == "kwh_year" else 1.0  # yen are rounded, and a sum of floats may lie on either side of a half
            for listed, exact in zip((dict(ceiling.arcs), dict(ceiling.steps)), units(view.problem), strict=True):
                wrong = [key for key in sorted(listed.keys() | exact.keys()) if abs(listed.get(key, 0.0) - exact.get(key, 0.0)) > near]
                if wrong:
                    yield f"上限 {ceiling.id}: {wrong[:3]} の量が計算と合わない / what {wrong[:3]} use differs"
        used = amount(ceiling, view)
        if used > ceiling.most * (1 + RELATIVE) + RELATIVE:
            yield f"上限 {ceiling.id}: {used:,.1f} > {ceiling.most:,.1f} / above the ceiling"


def amount(ceiling: Ceiling, view: View) -> float:
    """What a design uses up of a ceiling."""
    arcs, steps = dict(ceiling.arcs), dict(ceiling.steps)
    return math.fsum([*(arcs.get(index, 0.0) for index in view.chosen), *(steps.get(index, 0.0) * units for index, _, units in view.design.steps)])
