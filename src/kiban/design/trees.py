"""Growing a tree of paths: each demand is joined by the cheapest way to what already stands.

In: arrays of a graph, costs to be guided by, a tree to start from. Out: the arc into each node. Reach and terminal rates are kept while growing;
capacity steps are only seen through the costs given. Judging is left to design.judge.

Source: H. Takahashi, A. Matsuyama, "An approximate solution for the Steiner problem in graphs", Math. Japonica 24 (1980) 573–577.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.graph import Floats, Graph, Ints
from kiban.design.judge import WIRED
from kiban.records.design import Problem


@numba.njit(cache=True)
@no_type_check
def _grow(count, start_out, arcs_out, tail, head, cost, length, reach, parent, demand_at, group, down, up, most_down, most_up, root):  # noqa: ANN001, ANN202
    """Join every demand to the tree in `parent` (arc into each node, -1: not in the tree); returns how many could not be joined."""
    distance = np.full(count, np.inf)
    along = np.zeros(count)  # metres from the root
    via = np.full(count, -1, np.int64)
    inside = np.zeros(count, np.bool_)
    load_down, load_up = np.zeros(count), np.zeros(count)
    order = np.empty(count, np.int64)
    order[0] = root
    inside[root] = True
    many = 1
    at = 0
    while at < many:  # the given tree, from the root
        v = order[at]
        at += 1
        for p in range(start_out[v], start_out[v + 1]):
            a = arcs_out[p]
            w = head[a]
            if parent[w] == a and not inside[w]:
                inside[w] = True
                along[w] = along[v] + length[a]
                order[many] = w
                many += 1
    server = np.full(len(group), -1, np.int64)
    for d in range(len(group)):
        v = demand_at[d]
        if inside[v]:
            t = tail[parent[v]]
            new = True
            e = d - 1
            while e >= 0 and group[e] == group[d]:
                if server[e] == t:
                    new = False
                e -= 1
            server[d] = t
            if new:
                load_down[t] += down[d]
                load_up[t] += up[d]
    demand_of = np.full(count, -1, np.int64)
    left = 0
    for d in range(len(group)):
        demand_of[demand_at[d]] = d
        if not inside[demand_at[d]]:
            parent[demand_at[d]] = -1
            left += 1
    for v in range(count):
        if not inside[v]:
            parent[v] = -1
    while left > 0:
        before = left
        for v in range(count):
            distance[v] = 0.0 if inside[v] else np.inf
        heap = [(0.0, order[p]) for p in range(many)]
        heapify(heap)
        while left > 0 and len(heap) > 0:
            far, v = heappop(heap)
            if far > distance[v]:
                continue
            d = demand_of[v]
            if d >= 0 and not inside[v]:
                t = tail[via[v]]
                new = True
                e = d - 1
                while e >= 0 and group[e] == group[d]:
                    if server[e] == t:
                        new = False
                    e -= 1
                e = d + 1
                while e < len(group) and group[e] == group[d]:
                    if server[e] == t:
                        new = False
                    e += 1
                if new and (load_down[t] + down[d] > most_down[t] + 1e-9 or load_up[t] + up[d] > most_up[t] + 1e-9):
                    distance[v] = np.inf
                    continue
                first = many
                u = v
                while not inside[u]:
                    order[many] = u
                    many += 1
                    u = tail[via[u]]
                # a part of the path may have been overtaken by the tree, or come in over a longer way since: the metres are counted again
                fits = True
                for p in range(many - 1, first - 1, -1):
                    u = order[p]
                    along[u] = along[tail[via[u]]] + length[via[u]]
                    fits = fits and along[u] <= reach[via[u]] + 1e-9
                if not fits:
                    many = first
                    distance[v] = np.inf
                    continue
                server[d] = t
                if new:
                    load_down[t] += down[d]
                    load_up[t] += up[d]
                for p in range(many - 1, first - 1, -1):
                    u = order[p]
                    inside[u] = True
                    parent[u] = via[u]
                    distance[u] = 0.0
                    heappush(heap, (0.0, u))
                left -= 1
                continue
            for p in range(start_out[v], start_out[v + 1]):
                a = arcs_out[p]
                w = head[a]
                if inside[w] or not far + cost[a] < distance[w]:
                    continue
                metres = along[v] + length[a]
                if metres > reach[a] + 1e-9:
                    continue
                e = demand_of[w]
                if e >= 0 and (down[e] > most_down[v] + 1e-9 or up[e] > most_up[v] + 1e-9):
                    continue
                distance[w] = far + cost[a]
                along[w] = metres
                via[w] = a
                heappush(heap, (distance[w], w))
        if left == before:
            break
    return left


@dataclass(frozen=True)
class Ground:
    """The arrays that growing needs beside the graph."""

    graph: Graph
    cost: Floats  # yen
    length: Floats
    reach: Floats
    demand_at: Ints
    group: Ints
    down: Floats
    up: Floats
    most_down: Floats
    most_up: Floats
    order: Ints  # sorted position → index of the demand in the problem


def make_ground(problem: Problem, graph: Graph) -> Ground:
    """Arrays of a problem; demands of one (site, use case) stand side by side."""
    limits = {limit.technology: limit for limit in problem.limits}
    reach, down, up = np.full(graph.size, np.inf), np.full(graph.count, np.inf), np.full(graph.count, np.inf)
    for index, arc in enumerate(problem.arcs):
        limit = limits.get(arc.technology or "")
        if limit is not None and limit.reach_m is not None and arc.kind in WIRED:
            reach[index] = limit.reach_m
        if limit is not None and arc.kind in ("drop", "link", "direct"):
            down[arc.head] = np.inf if limit.down_mbps is None else limit.down_mbps
            up[arc.head] = np.inf if limit.up_mbps is None else limit.up_mbps
    order = sorted(range(len(problem.demands)), key=lambda i: (problem.demands[i].site, problem.demands[i].usecase, i))
    number: dict[tuple[str, str], int] = {}
    demands = [problem.demands[i] for i in order]
    return Ground(
        graph=graph,
        cost=np.array([arc.cost for arc in problem.arcs], np.float64),
        length=np.array([arc.length_m if arc.kind in WIRED else 0.0 for arc in problem.arcs], np.float64),
        reach=reach,
        demand_at=np.array([demand.node for demand in demands], np.int64),
        group=np.array([number.setdefault((demand.site, demand.usecase), len(number)) for demand in demands], np.int64),
        down=np.array([demand.down_mbps for demand in demands], np.float64),
        up=np.array([demand.up_mbps for demand in demands], np.float64),
        most_down=down,
        most_up=up,
        order=np.array(order, np.int64),
    )


def grow(ground: Ground, cost: Floats, parent: Ints | None = None, root: int = 0) -> Ints:
    """Arc into each node of a tree that joins the demands, -1 elsewhere; guided by `cost` (arcs of infinite cost are not used)."""
    graph = ground.graph
    tree = np.full(graph.count, -1, np.int64) if parent is None else parent.copy()
    _grow(
        graph.count, graph.start_out, graph.arcs_out, graph.tail, graph.head, cost, ground.length, ground.reach, tree,
        ground.demand_at, ground.group, ground.down, ground.up, ground.most_down, ground.most_up, root,
    )  # fmt: skip
    return tree
