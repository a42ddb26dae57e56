"""Directed cuts of a graph in a linear programme: a stronger dual than the ascent's where the graph is small.

In: a Graph and first cuts. Out: cuts with their LP duals and the LP solution. Rounding to whole numbers is left to design.bound.
Columns are added when the duals overload an arc, rows when a maximum flow finds a demand cut off.

Source: directed cut relaxation; nested cuts as in T. Koch, A. Martin, "Solving Steiner tree problems in graphs to optimality", Networks 32 (1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from kiban.design.graph import Flags, Floats, Graph, Ints

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


def quiet() -> highspy.Highs:
    """A HiGHS that prints nothing and runs on one thread, so that runs repeat."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("parallel", "off")):
        solver.setOptionValue(name, value)
    return solver


def separate(graph: Graph, value: Floats, demands: Iterable[int], cuts: CutSet) -> int:
    """Add cuts that the arc values violate, nearest to the demand and nearest to the root; returns their number."""
    live = np.flatnonzero(value > 1e-7)
    found = 0
    capacity = np.minimum(np.round(value[live] * UNIT), UNIT).astype(np.int32)
    live, capacity = live[capacity > 0], capacity[capacity > 0]
    matrix = csr_matrix((capacity, (graph.tail[live], graph.head[live])), shape=(graph.count, graph.count), dtype=np.int32)
    matrix.sum_duplicates()
    out, into = _lists(graph, live)
    for demand in demands:
        inside = _closure(into, graph.tail, int(demand), graph.count)
        if inside[0]:
            result = maximum_flow(matrix, 0, int(demand))
            if result.flow_value >= UNIT - 50:
                continue
            rest = (matrix - result.flow).tocoo()
            left = rest.data > 0
            near = _closure_pairs(rest.col[left], rest.row[left], int(demand), graph.count)
            far = ~_closure_pairs(rest.row[left], rest.col[left], 0, graph.count)
            found += cuts.add(int(demand), near)
            found += cuts.add(int(demand), far & _closure_all(graph, far, int(demand)))
        else:
            found += cuts.add(int(demand), inside)
            far = ~_closure(out, graph.head, 0, graph.count)
            found += cuts.add(int(demand), far & _closure_all(graph, far, int(demand)))
    return found


def _lists(graph: Graph, live: Ints) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    out: dict[int, list[int]] = {}
    into: dict[int, list[int]] = {}
    for arc in live.tolist():
        out.setdefault(int(graph.tail[arc]), []).append(arc)
        into.setdefault(int(graph.head[arc]), []).append(arc)
    return out, into


def _closure(lists: dict[int, list[int]], end: Ints, start: int, count: int) -> Flags:
    seen = np.zeros(count, np.bool_)
    seen[start] = True
    stack = [start]
    while stack:
        for arc in lists.get(stack.pop(), ()):
            node = int(end[arc])
            if not seen[node]:
                seen[node] = True
                stack.append(node)
    return seen


def _closure_pairs(start: Ints, end: Ints, first: int, count: int) -> Flags:
    """Nodes that `first` reaches over the pairs start → end."""
    lists: dict[int, list[int]] = {}
    for index, node in enumerate(start.tolist()):
        lists.setdefault(node, []).append(index)
    return _closure(lists, end, first, count)


def _closure_all(graph: Graph, allowed: Flags, demand: int) -> Flags:
    """Nodes of `allowed` from which the demand can be reached inside `allowed`: the others would only lengthen the cut."""
    arcs = np.flatnonzero(allowed[graph.tail] & allowed[graph.head])
    return _closure_pairs(graph.head[arcs], graph.tail[arcs], demand, graph.count)


def relax(graph: Graph, cuts: CutSet, columns: Ints, rounds: int, stop: Callable[[], bool]) -> Relaxed:
    """Solve the directed cut relaxation from given cuts and columns, at most `rounds` times; costs are in yen inside."""
    cost = graph.cost / graph.scale
    unit = max(1.0, float(cost.mean()))
    solver = quiet()
    place = np.full(graph.size, -1, np.int64)
    rows = 0
    demands = graph.demands.tolist()
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
        over = cuts.load(dual) - cost
        fresh_columns = np.flatnonzero((over > 1e-6 * unit) & (place < 0))
        if stop():
            break
        new = separate(graph, value, demands, cuts)
        if not new and not len(fresh_columns):
            closed = True
            break
    return Relaxed(cuts, np.concatenate([dual, np.zeros(len(cuts.arcs) - len(dual))]), value, closed)
