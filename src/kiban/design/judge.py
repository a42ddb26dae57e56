"""What a set of arcs costs in full, and which side constraints it breaks.

In: a Problem and arcs. Out: the arcs that are really needed, the units of every step, the full cost, and what is broken.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kiban.records.design import Problem, Step

WIRED = ("line", "plant", "drop")  # arcs whose metres count for reach
TOLERANCE = 1e-9  # of a load or a length, against sums of decimal fractions


@dataclass(frozen=True)
class Judged:
    """The needed arcs, sorted; per demand its serve arc or -1; (step, node of the group, units paid); yen; what is broken: (constraint, node).

    grown: (step, node of the group, year, units) that a growing load makes necessary later. The node of a broken ceiling is 0.
    """

    arcs: tuple[int, ...]
    served: tuple[int, ...]
    steps: tuple[tuple[int, int, int], ...]
    cost: int
    broken: tuple[tuple[str, int], ...]
    grown: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def unserved(self) -> int:
        """Number of demands without service."""
        return sum(arc < 0 for arc in self.served)

    @property
    def rank(self) -> tuple[int, int, int]:
        """Less is better: side constraints are kept first of all, then comes service, then cost."""
        return (len(self.broken), self.unserved, self.cost)


@dataclass(frozen=True)
class _Ceiling:
    """A ceiling, ready to be asked often; `most` has its tolerance inside."""

    arcs: dict[int, float]
    steps: dict[int, float]
    most: float

    def used(self, arcs: Iterable[int], steps: Iterable[tuple[int, int, int]]) -> float:
        """What a design uses up."""
        return math.fsum([*(self.arcs.get(arc, 0.0) for arc in arcs), *(self.steps.get(index, 0.0) * units for index, _, units in steps)])


def bought_later(step: Step, load: float, had: int) -> list[tuple[int, int]]:
    """(year of the horizon, units) that the growth of a group's load makes necessary beyond the `had` units of the first year.

    >>> step = Step(technology="r", level="facility", load="mbps", capacity=100, free=1, cost=9, growth=(1.0, 1.5, 1.4, 3.0), later=(9, 7, 5, 3))
    >>> bought_later(step, 80.0, 1)
    [(1, 1), (3, 1)]
    """
    found = []
    for year, factor in enumerate(step.growth):
        need = math.ceil(load * factor / (step.capacity or math.inf) - TOLERANCE)
        if need > had:
            found.append((year, need - had))
            had = need
    return found


class Judge:
    """Judges many sets of arcs of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.tail = [arc.tail for arc in problem.arcs]
        self.head = [arc.head for arc in problem.arcs]
        self.kind = [arc.kind for arc in problem.arcs]
        self.cost = [arc.cost for arc in problem.arcs]
        self.length = [arc.length_m for arc in problem.arcs]
        self.technology = [arc.technology for arc in problem.arcs]
        self.limits = {limit.technology: limit for limit in problem.limits}
        self.system = [index for index, step in enumerate(problem.steps) if step.level == "system"]
        self.grouped = [index for index, step in enumerate(problem.steps) if step.level != "system"]
        self.ceilings = [_Ceiling(dict(one.arcs), dict(one.steps), one.most + TOLERANCE * max(1.0, one.most)) for one in problem.ceilings]

    def judge(self, chosen: Iterable[int]) -> Judged:
        """Judge arcs of which at most one enters each node (a later one replaces an earlier one)."""
        parent = {self.head[arc]: arc for arc in chosen}
        reached: dict[int, bool] = {0: True}
        used: set[int] = set()
        served = []
        for demand in self.problem.demands:
            path: list[int] = []
            node = demand.node
            while node not in reached and node in parent and len(path) <= len(parent):
                path.append(parent[node])
                node = self.tail[parent[node]]
            good = reached.get(node, False)
            for arc in path:
                reached[self.head[arc]] = good
            if good:
                used.update(path)
            served.append(parent[demand.node] if good else -1)
        return self._account(parent, used, served)

    def _account(self, parent: dict[int, int], used: set[int], served: list[int]) -> Judged:
        problem = self.problem
        rates: dict[int, dict[tuple[str, str], tuple[float, float, float]]] = defaultdict(dict)
        for demand, arc in zip(problem.demands, served, strict=True):
            if arc >= 0:
                rates[self.tail[arc]][demand.site, demand.usecase] = (demand.down_mbps, demand.up_mbps, demand.devices)
        broken: list[tuple[str, int]] = []
        groups: dict[tuple[str, str, int], list[int]] = defaultdict(list)  # (technology, level, node) → terminals
        for terminal in sorted(rates):
            into = parent[terminal]
            technology = self.technology[into] or ""
            limit = self.limits.get(technology)
            down, up = (math.fsum(value[i] for value in rates[terminal].values()) for i in (0, 1))
            if limit and (
                (limit.down_mbps is not None and down > limit.down_mbps + TOLERANCE) or (limit.up_mbps is not None and up > limit.up_mbps + TOLERANCE)
            ):
                broken.append(("terminal_rate", terminal))
            if self.kind[into] == "link":
                groups[technology, "facility", self.tail[into]].append(terminal)
            elif self.kind[into] == "drop":
                node = terminal
                while self.tail[parent[node]]:
                    node = self.tail[parent[node]]
                groups[technology, "exchange", node].append(terminal)
        broken += self._beyond_reach(parent, used)
        steps, grown, total = [], [], sum(self.cost[arc] for arc in used)
        technologies = {self.technology[arc] for arc in used}
        for index in self.system:
            if problem.steps[index].technology in technologies:
                steps.append((index, 0, 1))
        for index in self.grouped:
            step = problem.steps[index]
            for (technology, level, node), terminals in sorted(groups.items()):
                if technology == step.technology and level == step.level:
                    values = [value for t in terminals for value in rates[t].values()]
                    load = {"sites": float(len({problem.nodes[t].ref for t in terminals})), "devices": math.fsum(v[2] for v in values),
                            "mbps": math.fsum(v[0] for v in values), "none": 0.0}[step.load]  # fmt: skip
                    units = 1 if step.capacity is None else max(1, math.ceil(load / step.capacity - TOLERANCE))
                    if units > step.free:
                        steps.append((index, node, units - step.free))
                    grown += [(index, node, year, more) for year, more in bought_later(step, load, max(units, step.free))]
        total += sum(problem.steps[index].cost * units for index, _, units in steps)
        total += sum(problem.steps[index].later[year] * units for index, _, year, units in grown)
        broken += [("ceiling", 0) for ceiling in self.ceilings if ceiling.used(used, steps) > ceiling.most]
        return Judged(tuple(sorted(used)), tuple(served), tuple(sorted(steps)), total, tuple(broken), tuple(sorted(grown)))

    def _beyond_reach(self, parent: dict[int, int], used: set[int]) -> list[tuple[str, int]]:
        """Heads of used line, plant and drop arcs that lie more metres of line from the root than their technology reaches."""
        along: dict[int, float] = {0: 0.0}
        found = []
        for arc in sorted(used):
            limit = self.limits.get(self.technology[arc] or "")
            if limit is None or limit.reach_m is None or self.kind[arc] not in WIRED:
                continue
            path, node = [], self.head[arc]
            while node not in along:
                path.append(node)
                node = self.tail[parent[node]]
            for node in reversed(path):
                into = parent[node]
                along[node] = along[self.tail[into]] + (self.length[into] if self.kind[into] in WIRED else 0.0)
            if along[self.head[arc]] > limit.reach_m + TOLERANCE:
                found.append(("reach", self.head[arc]))
        return found
