"""Steiner trees in undirected graphs, by the same ascent and growing as designs: for benchmark instances.

In: edges with whole costs and terminals. Out: a tree, its cost and a lower bound. Thin: no reductions and no key-path exchange yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from kiban.base.errors import DesignError
from kiban.base.progress import Cancel, never
from kiban.design.ascent import ascend
from kiban.design.graph import Floats, Graph, Ints, make_graph
from kiban.design.trees import Ground, grow


@dataclass(frozen=True)
class Instance:
    """Nodes 0 … count − 1; edges (tail, head, cost) as columns; terminals."""

    count: int
    edges: Ints
    terminals: Ints


@dataclass(frozen=True)
class Tree:
    """Edge indices of the tree found, its cost, the proven bound, (cost − bound) ÷ cost, and the seconds it took."""

    edges: tuple[int, ...]
    cost: int
    lower_bound: int
    gap: float
    status: Literal["proved", "bounded"]
    seconds: float


def read_gr(lines: Iterable[str], where: str = "instance") -> Instance:
    """Read the text of a PACE 2018 `.gr` instance (sections Graph and Terminals, nodes from 1).

    Raises
    ------
    DesignError  a line that does not fit, or counts that do not agree; names the line

    >>> read_gr(["SECTION Graph", "Nodes 2", "Edges 1", "E 1 2 7", "END", "SECTION Terminals", "Terminals 1", "T 2", "END", "EOF"]).edges.tolist()
    [[0, 1, 7]]
    """
    count, many = 0, 0
    edges: list[tuple[int, int, int]] = []
    terminals: list[int] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            if words[:1] == ["Nodes"]:
                count = int(words[1])
            elif words[:1] == ["Edges"]:
                many = int(words[1])
            elif words[:1] == ["E"]:
                edges.append((int(words[1]) - 1, int(words[2]) - 1, int(words[3])))
            elif words[:1] == ["T"]:
                terminals.append(int(words[1]) - 1)
        except (ValueError, IndexError) as error:
            raise DesignError(f"{where}:{number}", repr(line.strip()), "E tail head cost, or T node", "correct the line") from error
    inside = all(0 <= a < count and 0 <= b < count and cost >= 0 for a, b, cost in edges) and all(0 <= t < count for t in terminals)
    if len(edges) != many or not inside or not terminals:
        raise DesignError(
            where, f"{count} nodes, {len(edges)} edges of {many}, {len(terminals)} terminals", "edges and terminals among the nodes", "fetch it again"
        )
    return Instance(count, np.array(edges, np.int64).reshape(-1, 3), np.unique(np.array(terminals, np.int64)))


def solve_steiner(instance: Instance, *, seed: int = 0, work: int = 100, time_limit: float | None = None, cancel: Cancel = never) -> Tree:
    """A tree over the terminals with a proven bound.

    Parameters
    ----------
    work        roots of the ascent (one per 50) and trials of the local search (2 per unit)
    time_limit  seconds; the first ascent and tree are always finished
    """
    begin = time.monotonic()

    def stop() -> bool:
        return cancel() or (time_limit is not None and time.monotonic() - begin > time_limit)

    edges, terminals = instance.edges, instance.terminals
    if len(terminals) < 2:
        return Tree((), 0, 0, 0.0, "proved", time.monotonic() - begin)
    tail, head = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    cost = np.concatenate([edges[:, 2], edges[:, 2]])
    graph = make_graph(instance.count, tail, head, cost, terminals)
    degree = np.bincount(head, minlength=instance.count)
    leaf = np.zeros(instance.count, np.bool_)
    leaf[terminals] = degree[terminals] == 1
    random = np.random.default_rng(seed)
    full = cost.astype(np.float64)
    best, bound = _mended(graph, grow(_ground(graph, int(terminals[0])), full, root=int(terminals[0])), terminals, int(terminals[0])), 0
    for turn, root in enumerate(random.permutation(terminals)[: max(1, work // 50)].tolist()):
        found = ascend(graph, seed + turn, gather=True, anchor=leaf[head], root=root)
        bound = max(bound, found.bound)
        ground = _ground(graph, root)
        for guide in (np.where(found.reduced == 0, full, np.inf), full + found.reduced):
            best = min(best, _mended(graph, grow(ground, guide, root=root), terminals, root), key=lambda pair: pair[0])
        if stop() or best[0] == bound:
            break
    best = _shaken(graph, best, terminals, random, 2 * work, bound, stop)
    half = len(edges)
    chosen = tuple(sorted({int(arc) % half for arc in best[1][best[1] >= 0]}))
    gap = (best[0] - bound) / best[0] if best[0] else 0.0
    return Tree(chosen, best[0], bound, gap, "proved" if best[0] == bound else "bounded", time.monotonic() - begin)


def _ground(graph: Graph, root: int) -> Ground:
    nothing = np.zeros(0)
    others = graph.demands[graph.demands != root]
    free = np.zeros(len(others))
    wide = np.full(graph.count, np.inf)
    return Ground(
        graph=graph, cost=nothing, length=np.zeros(graph.size), reach=np.full(graph.size, np.inf), demand_at=others,
        group=np.arange(len(others)), down=free, up=free, most_down=wide, most_up=wide, order=np.arange(len(others)),
    )  # fmt: skip


def _mended(graph: Graph, parent: Ints, terminals: Ints, root: int) -> tuple[int, Ints]:
    """The least spanning tree of the nodes of a tree, without leaves that are no terminals, again as arcs from the root."""
    inside = parent >= 0
    inside[root] = True
    if not inside[terminals].all():
        raise DesignError("instance", "terminals in different pieces", "a connected graph", "leave the unreachable terminals out")
    arcs = np.flatnonzero(inside[graph.tail] & inside[graph.head])
    order = arcs[np.lexsort((arcs, graph.cost[arcs]))]
    pair = np.minimum(graph.tail[order], graph.head[order]) * graph.count + np.maximum(graph.tail[order], graph.head[order])
    order = order[np.unique(pair, return_index=True)[1]]
    weight = graph.cost[order].astype(np.float64) + 1.0  # zero would mean no edge
    tree = minimum_spanning_tree(coo_matrix((weight, (graph.tail[order], graph.head[order])), shape=(graph.count, graph.count)).tocsr()).tocoo()
    held = dict(zip(zip(graph.tail[order].tolist(), graph.head[order].tolist(), strict=True), order.tolist(), strict=True))
    beside: dict[int, dict[int, int]] = {}
    for a, b in zip(tree.row.tolist(), tree.col.tolist(), strict=True):
        arc = held[a, b]
        beside.setdefault(a, {})[b] = arc
        beside.setdefault(b, {})[a] = arc
    keep = set(terminals.tolist())
    stack = [node for node, near in beside.items() if len(near) == 1 and node not in keep]
    while stack:
        node = stack.pop()
        other = next(iter(beside.pop(node)))
        del beside[other][node]
        if len(beside[other]) == 1 and other not in keep:
            stack.append(other)
    half = graph.size // 2
    result, total, queue = np.full(graph.count, -1, np.int64), 0, [root]
    while queue:
        node = queue.pop()
        for other, arc in beside.get(node, {}).items():
            if other != root and result[other] < 0:
                result[other] = arc if int(graph.head[arc]) == other else (arc + half) % graph.size
                total += int(graph.cost[arc])
                queue.append(other)
    return total, result


def _shaken(graph: Graph, best: tuple[int, Ints], terminals: Ints, random: np.random.Generator, turns: int, bound: int, stop: Cancel) -> tuple[int, Ints]:
    """Take a piece of the tree out, make its edges dearer and grow it again; keep what is cheaper."""
    full = graph.cost.astype(np.float64)
    root = int(next(t for t in terminals if best[1][t] < 0))
    ground = _ground(graph, root)
    for _ in range(turns):
        if stop() or best[0] == bound:
            break
        cost: Floats = full * random.uniform(0.95, 1.05, len(full))
        used = best[1][best[1] >= 0]
        cost[used] *= 0.97
        dear = random.choice(used, max(1, len(used) // 200))
        cost[dear] *= 3
        parent = best[1].copy()
        parent[graph.head[dear]] = -1
        found = _mended(graph, grow(ground, cost, parent, root=root), terminals, root)
        if found[0] < best[0]:
            best = found
    return best
