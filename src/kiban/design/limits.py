"""Limits on the whole design: money of the first year, kWh a year, needs that may be given up.

In: a problem with ceilings. Out: a design that keeps them, and bounds by multipliers that hold for every design. The ceilings are priced into the
arcs (Lagrangian multipliers), the priced problem is solved as any other, and a small integer programme closes in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from msgspec.structs import replace

from kiban.base.money import to_yen
from kiban.base.progress import Cancel, Progress, never, silent
from kiban.design.judge import Judge
from kiban.design.resume import Memory, remembered
from kiban.records.design import Arc, Ceiling, Design, Node, Problem
from kiban.records.horizon import Multiplied, Weight

CeilingId = Literal["initial_yen", "kwh_year", "unserved"]
GIVEN_UP = "unserved"  # the technology of the arcs by which a need is given up
ROUNDS = 12  # trials of a multiplier
LARGEST = 2**50  # priced costs add up to less, which leaves the bound 13 bits of fractions
FINE_AMOUNT = 1000  # the least amount is looked for in thousandths


def initial_ceiling(problem: Problem, most: float) -> Ceiling:
    """A limit on what is paid in the first year for what is built; each arc and step is rounded half up to whole yen.

    Renewals of existing plant in later years, and what is paid every year, do not count.
    """

    def paid(items: Sequence[tuple[int, float]]) -> float:
        first = [(problem.prices[price], units) for price, units in items]
        return float(to_yen(sum(price.unit_yen[0] * units for price, units in first if price.phase == "initial" and price.first == 0)))

    arcs = tuple((index, yen) for index, arc in enumerate(problem.arcs) if (yen := paid(arc.items)))
    return Ceiling(id="initial_yen", most=most, arcs=arcs, steps=tuple((index, yen) for index, step in enumerate(problem.steps) if (yen := paid(step.items))))


def amount(ceiling: Ceiling, arcs: Sequence[int], steps: Sequence[tuple[int, int, int]]) -> float:
    """What arcs and paid step units use up of a ceiling."""
    by_arc, by_step = dict(ceiling.arcs), dict(ceiling.steps)
    return math.fsum([*(by_arc.get(arc, 0.0) for arc in arcs), *(by_step.get(index, 0.0) * units for index, _, units in steps)])


def with_giving_up(problem: Problem, weights: Sequence[Weight]) -> Problem:
    """The problem in which each weighted need may also be given up at no cost: one terminal more per need, which serves all demands of it.

    The arc into that terminal stands for the need; arcs and nodes of the problem keep their numbers.
    """
    listed = {entry[:3] for entry in problem.no_way}
    nodes, arcs = list(problem.nodes), list(problem.arcs)
    demands: dict[tuple[str, str], list[int]] = {}
    for demand in problem.demands:
        if (demand.site, demand.usecase, demand.without) not in listed:
            demands.setdefault((demand.site, demand.usecase), []).append(demand.node)
    for one in sorted(weights, key=lambda weight: (weight.site, weight.usecase)):
        nodes.append(Node(kind="terminal", ref=one.site, technology=GIVEN_UP))
        arcs.append(Arc(tail=0, head=len(nodes) - 1, kind="direct", technology=GIVEN_UP, ref=one.site, length_m=0.0, items=(), cost=0))
        for node in demands.get((one.site, one.usecase), []):
            arcs.append(Arc(tail=len(nodes) - 1, head=node, kind="serve", technology=GIVEN_UP, ref=one.usecase, length_m=0.0, items=(), cost=0))
    return replace(problem, nodes=tuple(nodes), arcs=tuple(arcs))


def given_up_ceiling(problem: Problem, weights: Sequence[Weight], most: float) -> Ceiling:
    """A limit on the weight that is given up, in a problem `with_giving_up`."""
    into = [index for index, arc in enumerate(problem.arcs) if arc.technology == GIVEN_UP and arc.kind == "direct"]
    ordered = sorted(weights, key=lambda weight: (weight.site, weight.usecase))
    return Ceiling(id="unserved", most=most, arcs=tuple((index, float(one.weight)) for index, one in zip(into, ordered, strict=True)))


def priced(problem: Problem, share: int, multipliers: Mapping[CeilingId, float], ceilings: Sequence[Ceiling]) -> Problem:
    """The problem without ceilings whose arcs and steps cost share × cost + Σ multiplier × amount, rounded down so that a bound stays one."""
    arcs = [Fraction(arc.cost * share) for arc in problem.arcs]
    steps = [Fraction(step.cost * share) for step in problem.steps]
    for ceiling in ceilings:
        multiplier = Fraction(multipliers.get(ceiling.id, 0.0))
        for costs, amounts in ((arcs, ceiling.arcs), (steps, ceiling.steps)) if multiplier else ():
            for index, used in amounts:
                costs[index] += multiplier * Fraction(used)
    later = [tuple(value * share for value in step.later) for step in problem.steps]
    return replace(
        problem,
        arcs=tuple(replace(arc, cost=math.floor(cost)) for arc, cost in zip(problem.arcs, arcs, strict=True)),
        steps=tuple(
            replace(step, cost=math.floor(cost), growth=step.growth if share else (), later=(math.floor(cost), *value[1:]) if share and value else ())
            for step, cost, value in zip(problem.steps, steps, later, strict=True)
        ),
        ceilings=(),
    )


@dataclass(frozen=True)
class Effort:
    """What a search may spend: seed and work as of `solve`; when to stop; trials of a multiplier; memory: of searches that an earlier run began."""

    seed: int
    work: int
    time_limit: float | None = None
    cancel: Cancel = never
    rounds: int = ROUNDS
    memory: Memory | None = None

    def solve(self, problem: Problem, *, work: int | None = None, starts: Sequence[Sequence[int]] = (), progress: Progress = silent) -> Design:
        """A design of a problem with this effort, or with other work."""
        return remembered(
            self.memory, problem, seed=self.seed, work=self.work if work is None else work, time_limit=self.time_limit, progress=progress,
            cancel=self.cancel, starts=starts,
        )  # fmt: skip


def trial(problem: Problem, share: int, multipliers: Mapping[CeilingId, float], ceilings: Sequence[Ceiling], effort: Effort) -> tuple[Design, Multiplied]:
    """The priced problem solved: a design (of the priced problem), and the bound by these multipliers."""
    design = effort.solve(priced(problem, share, multipliers, ceilings), work=max(1, effort.work // 5))
    held = tuple((ceiling.id, float(multipliers[ceiling.id])) for ceiling in ceilings if multipliers.get(ceiling.id))
    return design, Multiplied(share=share, multipliers=held, total=design.bound, certificate=design.certificate)


def greatest(problem: Problem, ceiling: Ceiling, beside: int = 1) -> float:
    """The multiplier up to which all priced costs, beside those of as many ceilings in all, add up to less than `LARGEST`; at least 0."""
    costs = sum(arc.cost for arc in problem.arcs) + sum(step.cost for step in problem.steps)
    amounts = math.fsum([*(used for _, used in ceiling.arcs), *(used for _, used in ceiling.steps)])
    return max(0.0, (LARGEST - costs) / 2 / beside / max(amounts, 1.0))


def least_amount(problem: Problem, ceiling: Ceiling, effort: Effort) -> tuple[Design, float]:
    """A design that uses up little of a ceiling, whatever it costs, and what none that serves as much can undercut."""
    multiplier = min(float(FINE_AMOUNT), greatest(problem, ceiling))
    if multiplier <= 0:
        return effort.solve(replace(problem, ceilings=())), 0.0
    design, bound = trial(problem, 0, {ceiling.id: multiplier}, (ceiling,), effort)
    return design, bound.total / multiplier


def least(bound: Multiplied, most: Mapping[CeilingId, float]) -> Fraction:
    """What share × cost cannot undercut when no ceiling counts more than `most`: total − Σ multiplier × most."""
    return Fraction(bound.total) - sum((Fraction(value) * Fraction(most[id]) for id, value in bound.multipliers), Fraction(0))


def solve_within(problem: Problem, effort: Effort, progress: Progress = silent, starts: Sequence[Sequence[int]] = ()) -> tuple[Design, Multiplied | None]:
    """A design that serves everything and keeps the ceilings of the problem; and the best bound by one multiplier, None where none was needed.

    The design's own bound leaves the ceilings out and names them. Where no design keeps them, the design serves as much as they allow.
    """
    free = replace(problem, ceilings=())
    first = effort.solve(free, progress=progress)
    if not problem.ceilings:
        return first, None
    starts, best = [*starts, first.arcs], None
    if not Judge(problem).judge(first.arcs).broken:
        return effort.solve(problem, starts=starts), None
    broken = [ceiling for ceiling in problem.ceilings if amount(ceiling, first.arcs, first.steps) > ceiling.most]
    multipliers: dict[CeilingId, float] = {}
    for ceiling in broken:
        most: dict[CeilingId, float] = {one.id: one.most for one in broken}
        top = greatest(free, ceiling, len(broken))
        low, high, held = 0.0, min(top, max(1.0, first.cost / max(ceiling.most, 1e-9))), False
        for turn in range(effort.rounds):
            if effort.cancel():
                break
            multipliers[ceiling.id] = high if turn == 0 else (low + high) / 2
            design, bound = trial(problem, 1, multipliers, broken, effort)
            starts.append(design.arcs)
            if best is None or least(bound, most) > least(best, most):
                best = bound
            if amount(ceiling, design.arcs, Judge(free).judge(design.arcs).steps) > ceiling.most:
                low = multipliers[ceiling.id]
                high = min(top, high * 8) if turn == 0 else high
            else:
                high, held = multipliers[ceiling.id], True
        if not held and not effort.cancel():  # cheap and small enough was not found: small enough at any cost
            starts.append(least_amount(problem, ceiling, effort)[0].arcs)
    final = effort.solve(problem, starts=starts)
    return final, best
