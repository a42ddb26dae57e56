"""The directed cut relaxation as a linear programme, on what the reductions left.

In: a packed graph, first cuts. Out: the cuts with whole duals that prove its bound, the reduced costs, the value of each arc.

Rows are added when a maximum flow finds a terminal cut off. The duals of the programme are floating-point numbers: they are rounded down to whole numbers
of 1 / scale and lowered until no arc is overloaded, so that the bound holds whatever the solver's tolerance was; an ascent picks up what is left.

Sources: T. Koch, A. Martin, "Solving Steiner tree problems in graphs to optimality", Networks 32 (1998) 207–232 (nested cuts, back cuts, creep flow).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import no_type_check

import highspy
import numba
import numpy as np
from numpy.typing import NDArray

from kiban.design.cuts import quiet
from kiban.design.steiner.ascent import Cuts
from kiban.design.steiner.exchange import improve
from kiban.design.steiner.growing import grow, spans
from kiban.design.steiner.network import Compact, Flags, Floats, Ints

UNIT = 1 << 20  # capacity of an arc of value 1
MOST_CUTS = 600  # cuts of one round
SHORT = UNIT - UNIT // 4096  # a flow below it is a violated cut


@numba.njit(cache=True, nogil=True)
@no_type_check
def separate(start, arcs, head, capacity, order, root, most, nested, flag):  # noqa: ANN001, ANN201
    """Node sets that hold a terminal, not the root, and are entered by arcs of less than one unit; at most `most` rows of flags.

    capacity: per arc, changed: the arcs of a cut found count as full for the terminals after it, so that the cuts of one round differ.
    """
    n, m2 = len(start) - 1, len(head)
    found = np.zeros((most, n), np.bool_)
    whose = np.empty(most, np.int64)
    many = 0
    left = np.empty(m2, np.int64)
    via = np.empty(n, np.int64)
    mark = np.zeros(n, np.int64)
    queue = np.empty(n, np.int64)
    stamp = 0
    for t in order:
        if flag[0]:
            break
        for _ in range(nested):
            if many + 1 >= most:
                return many, found, whose
            left[:] = capacity
            flow = 0
            while flow < UNIT:  # shortest augmenting paths, searched from the terminal backwards
                stamp += 1
                mark[t] = stamp
                queue[0] = t
                size, at = 1, 0
                while at < size and mark[root] != stamp:
                    v = queue[at]
                    at += 1
                    for p in range(start[v], start[v + 1]):
                        a = arcs[p] ^ 1
                        u = head[a ^ 1]
                        if mark[u] != stamp and left[a] > 0:
                            mark[u] = stamp
                            via[u] = a
                            queue[size] = u
                            size += 1
                if mark[root] != stamp:
                    break
                least = UNIT - flow
                v = root
                while v != t:
                    least = min(least, left[via[v]])
                    v = head[via[v]]
                v = root
                while v != t:
                    left[via[v]] -= least
                    left[via[v] ^ 1] += least
                    v = head[via[v]]
                flow += least
            if flow >= SHORT:
                break
            for i in range(size):
                found[many, queue[i]] = True  # the set nearest to the terminal
            whose[many] = t
            many += 1
            stamp += 1
            mark[root] = stamp
            queue[0] = root
            size, at = 1, 0
            while at < size:
                v = queue[at]
                at += 1
                for p in range(start[v], start[v + 1]):
                    a = arcs[p]
                    w = head[a]
                    if mark[w] != stamp and left[a] > 0:
                        mark[w] = stamp
                        queue[size] = w
                        size += 1
            outside = stamp  # of the rest only what is joined to the terminal: more would make the row longer
            stamp += 1
            mark[t] = stamp
            found[many, t] = True
            queue[0] = t
            size, at = 1, 0
            same = True
            while at < size:
                v = queue[at]
                at += 1
                same = same and found[many - 1, v]
                for p in range(start[v], start[v + 1]):
                    u = head[arcs[p]]
                    if mark[u] != stamp and mark[u] != outside:
                        mark[u] = stamp
                        found[many, u] = True
                        queue[size] = u
                        size += 1
            for row in range(many - 1, many + 1):
                for v in range(n):
                    if found[row, v]:
                        for p in range(start[v], start[v + 1]):
                            a = arcs[p] ^ 1
                            if not found[row, head[a ^ 1]]:
                                capacity[a] = UNIT
            if same:
                found[many, :] = False
            else:
                whose[many] = t
                many += 1
    return many, found, whose


@numba.njit(cache=True, nogil=True)
@no_type_check
def _entering(start, arcs, head, inside):  # noqa: ANN001, ANN202
    """The arcs into a set of vertices."""
    found = np.empty(len(head), np.int64)
    many = 0
    for v in range(len(start) - 1):
        if inside[v]:
            for p in range(start[v], start[v + 1]):
                a = arcs[p] ^ 1
                if not inside[head[a ^ 1]]:
                    found[many] = a
                    many += 1
    return found[:many].copy()


@numba.njit(cache=True, nogil=True)
@no_type_check
def whole_duals(row_start, row_arcs, dual, cost):  # noqa: ANN001, ANN201
    """Duals as whole numbers, lowered until no arc is overloaded: (duals, what is left of the cost of each arc)."""
    rows = len(dual)
    whole = np.empty(rows, np.int64)
    left = cost.copy()
    for i in range(rows):
        whole[i] = max(0, np.int64(np.floor(dual[i])))
        if whole[i] > 0:
            for p in range(row_start[i], row_start[i + 1]):
                left[row_arcs[p]] -= whole[i]
    for i in range(rows):
        if whole[i] > 0:
            over = np.int64(0)
            for p in range(row_start[i], row_start[i + 1]):
                over = min(over, left[row_arcs[p]])
            lower = min(whole[i], -over)
            if lower > 0:
                whole[i] -= lower
                for p in range(row_start[i], row_start[i + 1]):
                    left[row_arcs[p]] += lower
    return whole, left


class Programme:
    """The linear programme over the arcs of a packed graph; cuts come in as flags over its vertices."""

    def __init__(self, graph: Compact, cost: Ints, root: int, stop: Callable[[], bool]) -> None:
        self.graph, self.root, self.whole = graph, root, cost
        self.solver: highspy.Highs = quiet(stop)
        size = len(cost)
        cost = cost.astype(np.float64)
        self.unit = max(1.0, float(cost.max(initial=1.0)))  # the solver's tolerances are absolute
        upper = np.ones(size)
        upper[graph.head == root] = 0.0
        self.solver.addVars(size, np.zeros(size), upper)
        self.solver.changeColsCost(size, np.arange(size, dtype=np.int32), cost / self.unit)
        self.terminals: list[int] = []
        self.inside: list[Ints] = []
        self.rows: list[Ints] = []
        self.seen: set[bytes] = set()
        self.value: Floats = np.zeros(size)
        self.dual: Floats = np.zeros(0)
        self.objective = 0.0

    def add(self, terminals: Ints, sets: Flags) -> int:
        """Add cuts that are not there yet; returns how many."""
        graph = self.graph
        fresh = []
        for terminal, inside in zip(terminals.tolist(), sets, strict=True):
            row = np.sort(_entering(graph.start, graph.arcs, graph.head, inside))
            key = row.tobytes()
            if key in self.seen:
                continue
            self.seen.add(key)
            self.terminals.append(terminal)
            self.inside.append(np.flatnonzero(inside))
            self.rows.append(row)
            fresh.append(row)
        if fresh:
            starts = np.zeros(len(fresh), np.int32)
            starts[1:] = np.cumsum([len(row) for row in fresh[:-1]])
            columns = np.concatenate(fresh).astype(np.int32)
            self.solver.addRows(len(fresh), np.ones(len(fresh)), np.full(len(fresh), highspy.kHighsInf), len(columns), starts, columns, np.ones(len(columns)))
        return len(fresh)

    def solve(self, iterations: int) -> tuple[bool, int]:
        """Solve within some simplex iterations: (solved, iterations used). If not, value and dual are those of before, and the next call goes on."""
        self.solver.setOptionValue("simplex_iteration_limit", iterations)
        self.solver.run()
        used = int(self.solver.getInfo().simplex_iteration_count)
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return False, used
        solution = self.solver.getSolution()
        self.value = np.array(solution.col_value)
        self.dual = np.array(solution.row_dual) * self.unit
        self.objective = self.solver.getInfo().objective_function_value * self.unit
        return True, used

    def slack(self) -> None:
        """Forget the rows that are slack at the present solution."""
        if not len(self.dual):
            return
        activity = np.array(self.solver.getSolution().row_value)
        gone = np.flatnonzero((activity > 1.0 + 1e-6) & (self.dual[: len(activity)] == 0))
        if not len(gone):
            return
        self.solver.deleteRows(len(gone), gone.astype(np.int32))
        keep = np.ones(len(self.rows), np.bool_)
        keep[gone] = False
        for index in gone.tolist():
            self.seen.discard(self.rows[index].tobytes())
        self.terminals = [self.terminals[i] for i in np.flatnonzero(keep)]
        self.inside = [self.inside[i] for i in np.flatnonzero(keep)]
        self.rows = [self.rows[i] for i in np.flatnonzero(keep)]
        self.dual = self.dual[keep]


def proven(programme: Programme) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The present duals of a programme as whole numbers: (what is left of the cost of each arc, terminal, dual, start, vertices of each cut used)."""
    rows = programme.rows[: len(programme.dual)]
    if not rows:
        none = np.zeros(0, np.int64)
        return programme.whole.copy(), none, none, np.zeros(1, np.int64), none
    start = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=start[1:])
    whole, left = whole_duals(start, np.concatenate(rows), programme.dual, programme.whole)
    used = np.flatnonzero(whole)
    places = np.zeros(len(used) + 1, np.int64)
    np.cumsum([len(programme.inside[i]) for i in used], out=places[1:])
    nodes = np.concatenate([programme.inside[i] for i in used]) if len(used) else np.zeros(0, np.int64)
    return left, np.array([programme.terminals[i] for i in used], np.int64), whole[used], places, nodes


class Relaxation:
    """The relaxation of a graph, solved in portions: cuts are added and the programme is solved again until no violated cut is left.

    cost: per edge, in the unit of the duals; cuts: to begin with; tree: edge numbers of a tree over the terminals, or none.
    """

    def __init__(self, graph: Compact, cost: Ints, root: int, cuts: Cuts, tree: Ints, stop: Callable[[], bool], flag: NDArray[np.uint8]) -> None:
        self.graph, self.root, self.tree, self.stop, self.flag = graph, root, tree, stop, flag
        self.programme = Programme(graph, np.repeat(cost, 2), root, stop)
        self.programme.add(*_sets(cuts, graph.size))
        others = np.flatnonzero(graph.terminal)
        self.others = others[others != root]
        self.random = np.random.default_rng(0)
        self.length = graph.cost.astype(np.float64)
        self.height = -np.inf  # the objective above which slack rows leave again
        self.closed = False  # no violated cut is left

    def go_on(self, iterations: int, rounds: int) -> bool:
        """Go on for some simplex iterations and rounds of cuts; returns whether there is more to do."""
        graph, programme = self.graph, self.programme
        solved = False
        for _ in range(rounds):
            if self.stop() or iterations <= 0:
                break
            ready, used = programme.solve(iterations)
            iterations -= max(1, used)
            if not ready:
                break
            solved = True
            capacity = np.maximum(0, np.round(programme.value * UNIT)).astype(np.int64) + 1
            order = self.random.permutation(self.others)
            many, sets, whose = separate(graph.start, graph.arcs, graph.head, capacity, order, self.root, MOST_CUTS, 3, self.flag)
            if self.stop():
                break
            if programme.objective > self.height:  # else rows that leave now may come back for ever
                self.height = programme.objective + 1e-7 * abs(programme.objective)
                programme.slack()
            if not many or not programme.add(whose[:many], sets[:many]):
                self.closed = True
                break
        if solved and not self.stop():
            self.tree = _along(graph, self.length, np.maximum(programme.value[0::2], programme.value[1::2]), self.root, self.tree, self.flag)
        return not self.closed

    def cuts(self) -> Cuts:
        """The cuts of the last solution with whole duals."""
        _, terminal, dual, start, nodes = proven(self.programme)
        return Cuts(terminal, np.full(len(terminal), -1, np.int64), dual, start, nodes)


def _along(graph: Compact, length: Floats, value: Floats, root: int, tree: Ints, flag: NDArray[np.uint8]) -> Ints:
    """The better of a tree and one grown along the arcs of great value."""
    other = grow(graph.start, graph.arcs, graph.head, length * np.maximum(0.001, 1.0 - value), graph.terminal, root, flag)
    if not spans(graph.head, graph.terminal, other):
        return tree
    other = improve(graph.size, graph.start, graph.arcs, graph.head, length, graph.terminal, other, 40, flag)
    return other if not len(tree) or graph.cost[other].sum() < graph.cost[tree].sum() else tree


def _sets(cuts: Cuts, count: int) -> tuple[Ints, Flags]:
    """The cuts of a dual as flags over vertices, the greatest duals first, at most 3,000."""
    chosen = np.argsort(-cuts.dual, kind="stable")[:3000]
    chosen = chosen[cuts.dual[chosen] > 0]
    sets = np.zeros((len(chosen), count), np.bool_)
    for row, index in enumerate(chosen.tolist()):
        at = index
        while at >= 0:
            sets[row, cuts.nodes[cuts.start[at] : cuts.start[at + 1]]] = True
            at = int(cuts.base[at])
    return cuts.terminal[chosen], sets
