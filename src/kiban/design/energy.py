"""Electricity of a design 電力量: kWh a year, and a limit on it where somebody wants one.

In: a problem whose technologies say what one unit uses, and a design. Out: kWh a year per technology; unknown stays unknown, then the total is a lower
bound and says what is missing. The limit itself is kept by design.limits.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from msgspec.structs import replace

from kiban.records.design import Ceiling, Design, EnergyUse, Problem


@dataclass(frozen=True)
class EnergyRow:
    """One technology of a design: its units in the unit of its kWh, kWh of one, kWh of all (None: nobody says it)."""

    technology: str
    per: str
    units: float
    each: float | None
    kwh: float | None


@dataclass(frozen=True)
class Energy:
    """rows by technology; known: kWh a year of those that are known; missing: technologies without a figure, then `known` is a lower bound."""

    rows: tuple[EnergyRow, ...]
    known: float
    missing: tuple[str, ...]


def units_of_arcs(problem: Problem, use: EnergyUse) -> dict[int, float]:
    """Arc → units of a technology that it puts into service.

    site: a terminal, or the dish that feeds a mast · facility: a cell, each end of a hop · hop, km of line, devices served
    """
    devices = {demand.node: demand.devices for demand in problem.demands}
    found = {}
    for index, arc in enumerate(problem.arcs):
        if arc.technology != use.technology:
            continue
        if use.per == "site":
            units = 1.0 if arc.kind in ("drop", "link", "direct") or (arc.kind == "feed" and arc.tail == 0) else 0.0
        elif use.per == "facility":
            units = {"open": 1.0, "hop": 2.0}.get(arc.kind, 0.0)
        elif use.per == "hop":
            units = 1.0 if arc.kind == "hop" else 0.0
        elif use.per == "km":
            units = arc.length_m / 1000 if arc.kind in ("line", "plant") else 0.0
        elif use.per == "device":
            units = devices[arc.head] if arc.kind == "serve" else 0.0
        else:
            units = 0.0
        if units:
            found[index] = units
    return found


def units_of_steps(problem: Problem, use: EnergyUse) -> dict[int, float]:
    """Step → units of a technology that each paid unit of it puts into service."""
    wanted = "system" if use.per == "system" else "facility"
    return {
        index: 1.0
        for index, step in enumerate(problem.steps)
        if step.technology == use.technology and use.per == wanted and (step.level == "system") == (wanted == "system")
    }


def with_ceiling(problem: Problem, most: float) -> Problem:
    """The problem with a limit on kWh a year; technologies without a figure count nothing."""
    arcs: dict[int, float] = defaultdict(float)
    steps: dict[int, float] = defaultdict(float)
    for use in problem.energy:
        if use.kwh:
            for index, units in units_of_arcs(problem, use).items():
                arcs[index] += units * use.kwh
            for index, units in units_of_steps(problem, use).items():
                steps[index] += units * use.kwh
    kept = tuple(ceiling for ceiling in problem.ceilings if ceiling.id != "kwh_year")
    one = Ceiling(id="kwh_year", most=most, arcs=tuple(sorted(arcs.items())), steps=tuple(sorted(steps.items())))
    return replace(problem, ceilings=(*kept, one))


def energy(problem: Problem, design: Design) -> Energy:
    """kWh a year of a design, by technology; a year in which everything is built, before traffic grows."""
    used, rows = set(design.arcs), []
    for use in problem.energy:
        if not any(problem.arcs[index].technology == use.technology for index in design.arcs):
            continue
        steps = units_of_steps(problem, use)
        units = math.fsum(
            [
                *(many for index, many in units_of_arcs(problem, use).items() if index in used),
                *(steps.get(index, 0.0) * bought for index, _, bought in design.steps),
            ]
        )
        rows.append(EnergyRow(use.technology, use.per, units, use.kwh, None if use.kwh is None else units * use.kwh))
    known = math.fsum(row.kwh for row in rows if row.kwh is not None)
    return Energy(tuple(rows), known, tuple(row.technology for row in rows if row.kwh is None))
