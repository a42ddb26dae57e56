"""Ageing plant 老朽設備: what a design does with each existing line, and what keeping, renewing, handing over or abolishing it would cost.

In: a problem, its design, the region's plant, and a way to solve variants. Out: one row per plant. What a hand-over pays or costs, and what taking
down costs, stays unknown until somebody says it: those choices then have the cost of doing without the plant, and no total.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from kiban.records.design import Design, Problem
from kiban.records.region import Plant

Solve = Callable[[Problem], Design]


@dataclass(frozen=True)
class Ageing:
    """One plant in a design.

    age            years at the start of the horizon; None: nobody knows when it was built
    renewal        year of the horizon in which its life ends (0: over already); None: unknown, as age or life is
    streets, used  ids of the streets on which it can be used, and on which the design uses it
    chosen         keep: used, its life lasts beyond the horizon · renew: used, renewed in `renewal` · run_on: used, but nobody can price its renewal ·
                   leave: not used, so it may be handed over or abolished
    upkeep, renewing   (index of the price, …) of its yearly and initial items per km
    without        the problem and best design that do without it; None where it is not used, or was not asked for
    """

    plant: str
    technology: str
    age: int | None
    renewal: int | None
    streets: tuple[str, ...]
    used: tuple[str, ...]
    chosen: Literal["keep", "renew", "run_on", "leave"]
    upkeep: tuple[int, ...]
    renewing: tuple[int, ...]
    without: tuple[Problem, Design] | None = None


def without_plant(problem: Problem, plant: str) -> Problem:
    """The problem in which nothing can be carried on one plant; demands that no arc reaches any more stay unserved."""
    gone = {index for index, price in enumerate(problem.prices) if price.id.endswith(f"@{plant}")}
    kept = [index for index, arc in enumerate(problem.arcs) if not any(item in gone for item, _ in arc.items)]
    now = {index: number for number, index in enumerate(kept)}
    ceilings = tuple(replace(one, arcs=tuple((now[index], used) for index, used in one.arcs if index in now)) for one in problem.ceilings)
    return replace(problem, arcs=tuple(problem.arcs[index] for index in kept), ceilings=ceilings)


def ageing(problem: Problem, design: Design, plants: Sequence[Plant], solve: Solve | None = None) -> tuple[Ageing, ...]:
    """What the design does with each plant that has a price, in the order of the region's rows.

    Parameters
    ----------
    solve  finds the best design without a plant that is used; None: not asked for
    """
    rows = []
    for plant in plants:
        mine = [index for index, price in enumerate(problem.prices) if price.id.endswith(f"@{plant.id}")]
        if not mine:
            continue
        held = set(mine)
        arcs = [index for index, arc in enumerate(problem.arcs) if arc.kind == "plant" and any(item in held for item, _ in arc.items)]
        chosen = set(design.arcs)
        used = tuple(sorted({problem.arcs[index].ref for index in arcs if index in chosen}))
        initial = [index for index in mine if problem.prices[index].phase == "initial"]
        firsts = [problem.prices[index].first for index in initial]
        renewal = min(firsts, default=None)
        choice: Literal["keep", "renew", "run_on", "leave"] = "leave"
        if used:
            choice = "run_on" if renewal is None else "renew" if renewal < problem.horizon else "keep"
        variant = None
        if used and solve is not None:
            other = without_plant(problem, plant.id)
            variant = (other, solve(other))
        rows.append(
            Ageing(
                plant=plant.id,
                technology=plant.technology,
                age=None if plant.year_built is None else problem.start - plant.year_built,
                renewal=renewal,
                streets=tuple(sorted({problem.arcs[index].ref for index in arcs})),
                used=used,
                chosen=choice,
                upkeep=tuple(index for index in mine if problem.prices[index].phase == "yearly"),
                renewing=tuple(initial),
                without=variant,
            )
        )
    return tuple(rows)
