"""A problem as arrays, as the kernels want it.

In: a Problem. Out: a Graph with whole-number relaxed costs, sorted lists of arcs in and out, and demands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiban.records.design import Problem

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LARGEST = 1 << 59  # half of steiner.ascent.FAR: the sum of all costs, and so of all duals, stays below what an arc that is not there costs
FINE = 720_720  # divisible by 1 … 16: LP duals are mostly fractions with such denominators


@dataclass(frozen=True)
class Graph:
    """nodes 0 … count − 1, 0 the root; `cost` in 1/`scale` yen; arcs into node v: `arcs_in[start_in[v]:start_in[v + 1]]`."""

    count: int
    tail: Ints
    head: Ints
    cost: Ints
    scale: int
    demands: Ints
    start_in: Ints
    arcs_in: Ints
    start_out: Ints
    arcs_out: Ints

    @property
    def size(self) -> int:
        """Number of arcs."""
        return len(self.tail)


def make_graph(count: int, tail: Ints, head: Ints, cost: Ints, demands: Ints, scale: int = 1) -> Graph:
    """Sort the arcs by head and by tail."""
    arcs_in, arcs_out = np.argsort(head, kind="stable"), np.argsort(tail, kind="stable")
    start_in, start_out = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(head, minlength=count), out=start_in[1:])
    np.cumsum(np.bincount(tail, minlength=count), out=start_out[1:])
    return Graph(count, tail, head, cost, scale, demands, start_in, arcs_in.astype(np.int64), start_out, arcs_out.astype(np.int64))


def scale_of(costs: Sequence[int]) -> int:
    """The finest whole scale that keeps the sum of all scaled costs within 64 bits.

    >>> scale_of([10**6]), scale_of([10**16])
    (720720, 57)
    """
    return max(1, min(FINE, LARGEST // max(1, sum(costs))))


def graph_of(problem: Problem) -> Graph:
    """The relaxed problem: arc costs plus the shares of exchange steps, in 1/scale yen, and the demands that can be reached at all."""
    total = [arc.cost for arc in problem.arcs]
    shares = step_shares(problem)
    scale = scale_of([*total, *(int(share) + 1 for share in shares.values())])
    cost = np.array([amount * scale for amount in total], np.int64)
    for arc, share in shares.items():
        cost[arc] += int(share * scale)  # rounded down: the bound stays a bound
    columns: list[Any] = [[arc.tail for arc in problem.arcs], [arc.head for arc in problem.arcs]]
    tail, head = (np.array(column, np.int64) for column in columns)
    graph = make_graph(len(problem.nodes), tail, head, cost, np.zeros(0, np.int64), scale)
    reached, queue = np.zeros(graph.count, np.bool_), [0]
    while queue:
        at = queue.pop()
        if not reached[at]:
            reached[at] = True
            queue += head[graph.arcs_out[graph.start_out[at] : graph.start_out[at + 1]]].tolist()
    return replace(graph, demands=np.array(sorted({demand.node for demand in problem.demands if reached[demand.node]}), np.int64))


def step_shares(problem: Problem) -> dict[int, Fraction]:
    """Yen that an exchange step with a capacity in sites, all units paid, puts on each arc into a terminal of its technology.

    Only where a site has one terminal of the technology at most: ⌈sites ÷ capacity⌉ is then never below the sum of the shares.
    """
    terminals = [(node.technology, node.ref) for node in problem.nodes if node.kind == "terminal"]
    doubled = {technology for (technology, _), many in Counter(terminals).items() if many > 1}
    shares: dict[int, Fraction] = {}
    each = {
        step.technology: Fraction(step.cost) / Fraction(step.capacity)
        for step in problem.steps
        if step.level == "exchange" and step.load == "sites" and step.capacity is not None and step.free == 0 and step.technology not in doubled
    }
    if each:
        for index, arc in enumerate(problem.arcs):
            if arc.technology in each and arc.kind == "drop":
                shares[index] = shares.get(index, Fraction(0)) + each[arc.technology]
    return shares
