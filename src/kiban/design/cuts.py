"""Directed cuts of a graph in a linear programme: a stronger dual than the ascent's where the graph is small.

In: a Graph and first cuts. Out: cuts with their LP duals and the LP solution. Rounding to whole numbers is left to design.bound.
Columns are added when the duals overload an arc, rows when a maximum flow finds a demand cut off.

Source: directed cut relaxation; nested cuts as in T. Koch, A. Martin, "Solving Steiner tree problems in graphs to optimality", Networks 32 (1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, no_type_check

import highspy
import numba
import numpy as np

from kiban.design.graph import Flags, Floats, Graph, Ints, make_graph

UNIT = 1_000_000  # capacity of an arc with value 1 in the maximum flows


@dataclass
class CutSet:
    """Distinct cuts: the demand node, the nodes inside, the arcs into it."""

    graph: Graph
    terminals: list[int] = field(default_factory=list)
    nodes: list[Ints] = field(default_factory=list)
    arcs: list[Ints] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)

    def add(self, terminal: int, inside: Flags) -> bool:
        """Add the cut of a node set; False when it is known already."""
        arcs = np.flatnonzero(inside[self.graph.head] & ~inside[self.graph.tail])
        key = arcs.tobytes()
        if key in self._seen:
            return False
        self._seen.add(key)
        self.terminals.append(terminal)
        self.nodes.append(np.flatnonzero(inside))
        self.arcs.append(arcs)
        return True

    def load(self, dual: Floats | Ints) -> Any:
        """Sum of the duals over the cuts that each arc enters, in the type of the duals."""
        total = np.zeros(self.graph.size, dual.dtype)
        for arcs, value in zip(self.arcs, dual, strict=True):
            if value:
                total[arcs] += value
        return total


@dataclass(frozen=True)
class Relaxed:
    """Solution of the linear programme: duals of the cuts, values of the arcs, and whether nothing violated is left."""

    cuts: CutSet
    dual: Floats
    value: Floats
    closed: bool


class _Quiet(highspy.Highs):
    """A HiGHS that never prints: its output is off before enabling callbacks would write the banner."""

    def enableCallbacks(self) -> None:  # noqa: N802  the name is HiGHS's
        """Silence first."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


def quiet(stop: Callable[[], bool]) -> highspy.Highs:
    """A silent HiGHS on one thread, so that runs repeat; asked to end as soon as `stop` says so."""
    solver = _Quiet()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("parallel", "off")):
        solver.setOptionValue(name, value)
    for event in (solver.cbMipInterrupt, solver.cbSimplexInterrupt):
        event.subscribe(lambda called: called.interrupt() if stop() else None)
    return solver


@numba.njit(cache=True)
@no_type_check
def _flows(count, start_in, arcs_in, start_out, arcs_out, tail, head, capacity, demands, unit, all_start, all_arcs, all_tail):  # noqa: ANN001, ANN202
    """Maximum flows from node 0 to each demand, up to `unit`; for each that falls short the node sets nearest to the demand and to the root."""
    found = np.zeros((2 * len(demands), count), np.bool_)
    whose = np.empty(2 * len(demands), np.int64)
    many = 0
    left = np.empty(len(capacity), np.int64)
    via = np.empty(count, np.int64)
    queue = np.empty(count, np.int64)
    for d in range(len(demands)):
        goal = demands[d]
        left[:] = capacity
        flow = 0
        near = np.zeros(count, np.bool_)
        while flow < unit:
            near[:] = False  # nodes that still reach the demand
            near[goal] = True
            queue[0] = goal
            size, at = 1, 0
            while at < size and not near[0]:
                v = queue[at]
                at += 1
                for p in range(start_in[v], start_in[v + 1]):
                    a = arcs_in[p]
                    if left[a] > 0 and not near[tail[a]]:
                        near[tail[a]] = True
                        via[tail[a]] = a
                        queue[size] = tail[a]
                        size += 1
                for p in range(start_out[v], start_out[v + 1]):
                    a = arcs_out[p]
                    if left[a] < capacity[a] and not near[head[a]]:
                        near[head[a]] = True
                        via[head[a]] = a
                        queue[size] = head[a]
                        size += 1
            if not near[0]:
                break
            least = unit - flow
            v = 0
            while v != goal:
                a = via[v]
                if tail[a] == v:
                    least = min(least, left[a])
                    v = head[a]
                else:
                    least = min(least, capacity[a] - left[a])
                    v = tail[a]
            v = 0
            while v != goal:
                a = via[v]
                if tail[a] == v:
                    left[a] -= least
                    v = head[a]
                else:
                    left[a] += least
                    v = tail[a]
            flow += least
        if flow >= unit - unit // 10000:
            continue
        found[many] = near
        whose[many] = goal
        many += 1
        reached = np.zeros(count, np.bool_)  # nodes that the root still reaches
        reached[0] = True
        queue[0] = 0
        size, at = 1, 0
        while at < size:
            v = queue[at]
            at += 1
            for p in range(start_out[v], start_out[v + 1]):
                a = arcs_out[p]
                if left[a] > 0 and not reached[head[a]]:
                    reached[head[a]] = True
                    queue[size] = head[a]
                    size += 1
            for p in range(start_in[v], start_in[v + 1]):
                a = arcs_in[p]
                if left[a] < capacity[a] and not reached[tail[a]]:
                    reached[tail[a]] = True
                    queue[size] = tail[a]
                    size += 1
        found[many, goal] = True  # of the others only those from which the demand can be reached: more would only lengthen the cut
        queue[0] = goal
        size, at = 1, 0
        while at < size:
            v = queue[at]
            at += 1
            for p in range(all_start[v], all_start[v + 1]):
                u = all_tail[all_arcs[p]]
                if not reached[u] and not found[many, u]:
                    found[many, u] = True
                    queue[size] = u
                    size += 1
        whose[many] = goal
        many += 1
    return found[:many], whose[:many]


def separate(graph: Graph, value: Floats, cuts: CutSet) -> int:
    """Add cuts that the arc values violate, nearest to the demand and nearest to the root; returns their number."""
    live = np.flatnonzero(value * UNIT >= 0.5)
    capacity = np.minimum(np.round(value[live] * UNIT), UNIT).astype(np.int64)
    part = make_graph(graph.count, graph.tail[live], graph.head[live], capacity, graph.demands)
    many = 0
    for first in range(0, len(graph.demands), 64):
        found, whose = _flows(
            graph.count, part.start_in, part.arcs_in, part.start_out, part.arcs_out, part.tail, part.head, capacity,
            graph.demands[first : first + 64], UNIT, graph.start_in, graph.arcs_in, graph.tail,
        )  # fmt: skip
        many += sum(cuts.add(int(demand), inside) for inside, demand in zip(found, whose, strict=True))
    return many


def relax(
    graph: Graph, cuts: CutSet, columns: Ints, rounds: int, stop: Callable[[], bool], tell: Callable[[Floats, Floats], None] = lambda *_: None
) -> Relaxed:
    """Solve the directed cut relaxation from given cuts and columns, at most `rounds` times; costs are in yen inside.

    tell  called after each round with the values of the arcs and the duals of the cuts so far
    """
    cost = graph.cost / graph.scale
    unit = max(1.0, float(cost.mean()))
    solver = quiet(stop)
    place = np.full(graph.size, -1, np.int64)
    rows = 0
    fresh_columns = columns
    value, dual = np.zeros(graph.size), np.zeros(len(cuts.arcs))
    closed = False
    for _ in range(rounds):
        if len(fresh_columns):
            begin = int((place >= 0).sum())
            place[fresh_columns] = begin + np.arange(len(fresh_columns))
            entries: list[list[int]] = [[] for _ in fresh_columns]
            for row in range(rows):
                for position in (place[cuts.arcs[row]] - begin).tolist():
                    if position >= 0:
                        entries[position].append(row)
            for position, arc in enumerate(fresh_columns.tolist()):
                found = np.array(entries[position], np.int32)
                solver.addCol(float(cost[arc] / unit), 0.0, highspy.kHighsInf, len(found), found, np.ones(len(found)))
        for row in range(rows, len(cuts.arcs)):
            index = place[cuts.arcs[row]]
            index = index[index >= 0].astype(np.int32)
            solver.addRow(1.0, highspy.kHighsInf, len(index), index, np.ones(len(index)))
        rows = len(cuts.arcs)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        solution = solver.getSolution()
        held = np.flatnonzero(place >= 0)
        value = np.zeros(graph.size)
        value[held] = np.array(solution.col_value)[place[held]]
        dual = np.maximum(np.array(solution.row_dual), 0.0) * unit
        tell(value, dual)
        over = cuts.load(dual) - cost
        fresh_columns = np.flatnonzero((over > 1e-6 * unit) & (place < 0))
        if stop():
            break
        new = separate(graph, value, cuts)
        if not new and not len(fresh_columns):
            closed = True
            break
    return Relaxed(cuts, np.concatenate([dual, np.zeros(len(cuts.arcs) - len(dual))]), value, closed)
