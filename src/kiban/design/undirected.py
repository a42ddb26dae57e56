"""A design improved as a Steiner tree without directions: streets, drops and bought lines exchanged while its radio part stays; then lines shortened.

In: a problem's pairs, costs that guide, the arcs of a design. Out: the arc into each node of another tree; judging it is left to design.judge.

An arc whose reverse is missing could be walked the wrong way. So masts, cells and their links stay as the design has them; what leads one way only along
a street is used only where the design uses it; and the arcs into demands cost so much more that no way leads through one. Such a tree knows no reach:
where a line has become too long, the branch that it leads through is joined at the place where that costs least.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.graph import Floats, Ints
from kiban.design.pairs import Pairs
from kiban.design.steiner.ascent import rooted_arcs
from kiban.design.steiner.exchange import improve, wander
from kiban.design.trees import Ground
from kiban.records.design import Problem

STANDING = ("feed", "hop", "open", "link")
ALONG = ("line", "plant")
ROUNDS = 40  # of insertions and exchanges
PATIENCE = 0.003  # a walk goes on from a tree that much dearer than the best


MOVES = 400  # branches that are joined elsewhere, at most


@numba.njit(cache=True)
@no_type_check
def _shortened(count, start_in, arcs_in, tail, head, cost, length, reach, line, parent, demands, most):  # noqa: ANN001, ANN202
    """Join branches elsewhere until every line is within its reach, or nothing helps. Changes `parent`, the arc into each node."""
    used, below, hopeless = np.zeros(count, np.bool_), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    along, excess = np.zeros(count), np.empty(count)
    kids, order, stack = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    price, metres, via = np.empty(count), np.empty(count), np.empty(count, np.int64)
    stamp, seen = 0, np.zeros(count, np.int64)
    best_via = np.empty(count, np.int64)
    for _ in range(most):
        used[:] = False
        used[0] = True
        along[0] = 0.0
        kids[:] = 0
        many = 0
        for d in demands:
            size, v = 0, d
            while not used[v] and parent[v] >= 0 and size < count:
                stack[size] = v
                size += 1
                v = tail[parent[v]]
            if not used[v]:
                continue
            for p in range(size - 1, -1, -1):
                v = stack[p]
                u = tail[parent[v]]
                used[v] = True
                along[v] = along[u] + length[parent[v]]
                excess[v] = along[v] - reach[parent[v]]
                kids[u] += 1
                order[many] = v
                many += 1
        worst, most_over = -1, 1e-9
        for p in range(many):
            v = order[p]
            if not hopeless[v] and excess[v] > most_over:
                worst, most_over = v, excess[v]
        if worst < 0:
            return
        for p in range(many - 1, -1, -1):
            v = order[p]
            u = tail[parent[v]]
            if u != 0 and excess[v] > excess[u]:
                excess[u] = excess[v]
        gain, where, goal = np.inf, -1, -1
        v = worst
        while v != 0:
            limit = along[v] - excess[v]
            if line[parent[v]] and limit >= 0.0:
                saved = cost[parent[v]]
                x = tail[parent[v]]
                while x != 0 and kids[x] == 1 and line[parent[x]]:
                    saved += cost[parent[x]]
                    x = tail[parent[x]]
                for p in range(many):
                    w = order[p]
                    below[w] = w == v or (tail[parent[w]] != 0 and below[tail[parent[w]]])
                stamp += 1
                seen[v] = stamp
                price[v] = 0.0
                metres[v] = 0.0
                via[v] = -1
                heap = [(0.0, v)]
                while len(heap) > 0:
                    g, u = heappop(heap)
                    if g > price[u]:
                        continue
                    if g - saved >= gain:
                        break
                    if used[u] and u != v and not (u != 0 and below[u]) and along[u] + metres[u] <= limit + 1e-9:
                        gain, where, goal = g - saved, v, u
                        w = u
                        while w != v:  # the way is remembered from there
                            best_via[w] = via[w]
                            w = head[via[w]]
                        break
                    for p in range(start_in[u], start_in[u + 1]):
                        a = arcs_in[p]
                        t = tail[a]
                        if not line[a]:
                            continue
                        f = g + cost[a]
                        m = metres[u] + length[a]
                        if m <= limit + 1e-9 and (seen[t] != stamp or f < price[t]):
                            seen[t] = stamp
                            price[t] = f
                            metres[t] = m
                            via[t] = a
                            heappush(heap, (f, t))
            v = tail[parent[v]]
        if where < 0:
            hopeless[worst] = True
            continue
        u = goal
        while u != where:
            a = best_via[u]
            u = head[a]
            parent[u] = a


class Undirected:
    """The pairs of one problem with one cost for both directions."""

    def __init__(self, problem: Problem, ground: Ground, pairs: Pairs, cost: Floats) -> None:
        graph = ground.graph
        self.graph, self.ground, self.pairs, self.cost = graph, ground, pairs, cost
        many = len(pairs.head) // 2
        self.arc = np.full(len(pairs.head), -1, np.int64)  # of each direction
        self.arc[pairs.place] = np.arange(graph.size)
        self.edge = pairs.place >> 1
        kind = np.array([arc.kind for arc in problem.arcs])
        self.plain = np.full(many, np.inf)
        np.minimum.at(self.plain, self.edge, cost)
        both = np.bincount(self.edge, minlength=many) == 2
        self.line = np.isin(kind, ("exchange", *ALONG))
        shut = np.isin(kind, STANDING) | (np.isin(kind, ALONG) & ~both[self.edge])
        self.shut = np.zeros(many, np.bool_)
        self.shut[self.edge[shut]] = True
        self.last = np.zeros(many, np.bool_)
        self.last[self.edge[kind == "serve"]] = True
        self.ends = np.zeros(graph.count, np.bool_)
        self.ends[graph.demands] = True
        self.ends[0] = True
        self.never = np.zeros(1, np.uint8)

    def improved(self, arcs: Sequence[int], steps: int = 0, seed: int = 0) -> Ints:
        """The arc into each node of a tree that is not dearer without its steps and limits; after so many walks with shaken costs, 0: none."""
        tree = self.edge[np.array(arcs, np.int64)]
        extra = float(self.plain[tree].sum()) + 1.0
        cost = self.plain + np.where(self.last, extra, 0.0)
        shut = self.shut.copy()
        shut[tree] = False
        cost[shut] += extra * 10.0
        pairs, count = self.pairs, self.graph.count
        tree = improve(count, pairs.start, pairs.arcs, pairs.head, cost, self.ends, tree, ROUNDS, self.never)
        if steps:
            _, tree, _ = wander(count, pairs.start, pairs.arcs, pairs.head, cost, self.ends, tree, tree, steps, seed, PATIENCE, self.never)
        used = np.flatnonzero(rooted_arcs(pairs.start, pairs.arcs, pairs.head, tree, 0))
        found = self.arc[used]
        found = found[found >= 0]
        parent = np.full(count, -1, np.int64)
        parent[self.graph.head[found]] = found
        self.shorten(parent)
        return parent

    def shorten(self, parent: Ints) -> None:
        """Join branches of too long lines elsewhere, in place."""
        graph, ground = self.graph, self.ground
        _shortened(
            graph.count, graph.start_in, graph.arcs_in, graph.tail, graph.head, self.cost, ground.length, ground.reach, self.line, parent,
            ground.demand_at, MOVES,
        )  # fmt: skip
