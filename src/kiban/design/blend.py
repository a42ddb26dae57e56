"""Trees that look at the whole path from the root, and the best part of each.

In: a Ground, and for each demand what it would cost without lines. Out: arcs of trees of exchange, line and plant arcs with the drops that pay off.

A tree is grown between Prim's and Dijkstra's: key(head) = alpha · key(tail) + guiding cost; 0 builds the cheapest tree, 1 the cheapest paths.
Metres from the root are kept along the path, so no drop of a tree is beyond its reach. Which branches stay is then decided by one pass from the
leaves: a branch stays when what its sites save exceeds what its lines cost. With metres as cost and alpha 1 each site is as near as it can be.

Source: C. J. Alpert, T. C. Hu, J. H. Huang, A. B. Kahng, D. Karger, "Prim-Dijkstra tradeoffs for improved performance-driven routing tree
design", IEEE Trans. CAD 14 (1995) 890–896.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.graph import Flags, Floats, Ints
from kiban.design.trees import Ground
from kiban.records.design import Problem

LINES = ("exchange", "line", "plant")
BUDGET = 20_000_000  # line arcs looked at over all trees of one run
ENUMERATED = 8  # terminals of a site of which every subset is tried


@numba.njit(cache=True)
@no_type_check
def _blend(start_out, arcs_out, head, guide, length, reach, usable, alpha, key, along, via, order):  # noqa: ANN001, ANN202
    """Grow from the nodes of finite `key`; fills key, metres, arc into each node and the order in which nodes came in; returns how many did."""
    done = np.zeros(len(key), np.bool_)
    heap = [(key[0], 0)]
    heappop(heap)
    for v in range(len(key)):
        if key[v] < np.inf:
            heappush(heap, (key[v], v))
    many = 0
    while len(heap) > 0:
        far, v = heappop(heap)
        if done[v]:
            continue
        done[v] = True
        order[many] = v
        many += 1
        for p in range(start_out[v], start_out[v + 1]):
            a = arcs_out[p]
            w = head[a]
            if not usable[a] or done[w] or not guide[a] < np.inf:
                continue
            metres = along[v] + length[a]
            if metres > reach[a] + 1e-9:
                continue
            new = alpha * far + guide[a]
            if new < key[w]:
                key[w] = new
                along[w] = metres
                via[w] = a
                heappush(heap, (new, w))
    return many


@numba.njit(cache=True)
@no_type_check
def _prune(start_out, arcs_out, tail, cost, length, reach, gain, site, along, via, order, many, chosen):  # noqa: ANN001, ANN202
    """Mark in `chosen` the arcs of the best part of a tree; returns what it saves. `gain`: yen that taking an arc out of the tree saves, ≤ 0: none."""
    total = np.zeros(len(via))  # yen of the path from the root
    own = np.zeros(len(via))
    best = np.full(len(gain), -1, np.int64)  # per site the arc that is counted
    value = np.full(len(gain), -np.inf)
    for p in range(many):
        v = order[p]
        if via[v] >= 0:
            total[v] = total[tail[via[v]]] + cost[via[v]]
        for q in range(start_out[v], start_out[v + 1]):
            a = arcs_out[q]
            if gain[a] > 0.0 and along[v] + length[a] <= reach[a] + 1e-9:
                s = site[a]
                if gain[a] - total[v] > value[s]:
                    value[s] = gain[a] - total[v]
                    best[s] = a
    for s in range(len(best)):
        if best[s] >= 0:
            own[tail[best[s]]] += gain[best[s]]
    for p in range(many - 1, -1, -1):
        v = order[p]
        a = via[v]
        if a >= 0:
            net = own[v] - cost[a]
            if net > 0.0:
                own[tail[a]] += net
                chosen[a] = True
    kept = np.zeros(len(via), np.bool_)
    for p in range(many):
        v = order[p]
        a = via[v]
        kept[v] = a < 0 or (chosen[a] and kept[tail[a]])
        if a >= 0 and not kept[v]:
            chosen[a] = False
    for s in range(len(best)):
        if best[s] >= 0 and kept[tail[best[s]]]:
            chosen[best[s]] = True
    return own[order[0]]


@dataclass(frozen=True)
class Prizes:
    """What lines can save. Per drop or feed arc: yen saved by it, and the site that it serves; `beside`: arcs of open cells, by the feed they hang from."""

    gain: Floats
    site: Ints
    beside: dict[int, tuple[int, ...]]


class Blend:
    """The trees of one problem."""

    def __init__(self, problem: Problem, ground: Ground, spread: Floats) -> None:
        graph = ground.graph
        self.problem, self.ground = problem, ground
        kind = np.array([arc.kind for arc in problem.arcs])
        self.lines: Flags = np.isin(kind, LINES)
        self.drops: list[int] = np.flatnonzero(kind == "drop").tolist()
        on_line = np.array([problem.nodes[arc.tail].kind == "junction" for arc in problem.arcs], np.bool_)
        self.beside: Flags = np.isin(kind, ("direct", "feed", "hop", "open", "link")) & ~on_line
        self.cost = ground.cost + spread
        self.dear = float(self.cost.sum()) + 1.0  # more than any design: what a demand without another way is worth
        metres = float(ground.length[self.lines].sum())
        self.per_metre = float(ground.cost[self.lines].sum()) / metres if metres else 0.0
        self.node_site: dict[str, list[int]] = defaultdict(list)
        for node, record in enumerate(problem.nodes):
            if record.kind == "terminal":
                self.node_site[record.ref].append(node)
        self.number = {ref: index for index, ref in enumerate(sorted(self.node_site))}
        self.serves: dict[int, frozenset[int]] = {}
        wanted = set(graph.demands.tolist())
        for nodes in self.node_site.values():
            for node in nodes:
                out = graph.arcs_out[graph.start_out[node] : graph.start_out[node + 1]]
                self.serves[node] = frozenset(graph.head[out].tolist()) & wanted

    @property
    def useful(self) -> bool:
        """There are lines and drops to choose from."""
        return bool(self.drops) and bool(self.lines.any())

    @property
    def trees(self) -> int:
        """How many trees are within the budget."""
        return BUDGET // max(1, int(self.lines.sum()))

    def prizes(self, arcs: Iterable[int]) -> Prizes:
        """What each drop saves against the cheapest ways without lines, where the cells of the design `arcs` stand open."""
        problem, graph = self.problem, self.ground.graph
        parent = {problem.arcs[arc].head: arc for arc in arcs}
        alone = self._ways({0})
        cells = {node for node in parent if problem.nodes[node].kind in ("mast", "facility")}
        ways = self._ways({0} | cells) if cells else alone
        gain, site = np.full(graph.size, -1.0), np.zeros(graph.size, np.int64)
        covers: dict[tuple[int, int], float] = {}
        for arc in self.drops:
            terminal = int(graph.head[arc])
            ref = problem.nodes[terminal].ref
            site[arc] = self.number[ref]
            others = [(float(ways[node]), self.serves[node]) for node in self.node_site[ref] if np.isfinite(ways[node]) and node != terminal]
            for with_drop in (-1, terminal):
                if (site[arc], with_drop) not in covers:
                    covers[int(site[arc]), with_drop] = self._cover(ref, others, frozenset() if with_drop < 0 else self.serves[terminal])
            gain[arc] = covers[int(site[arc]), -1] - covers[int(site[arc]), terminal] - self.cost[arc]
        return Prizes(gain, site, self._cells(parent, alone, gain, site))

    def _ways(self, sources: set[int]) -> Floats:
        """Yen to each node without lines, from the root and what stands."""
        graph, ground = self.ground.graph, self.ground
        key, along = np.full(graph.count, np.inf), np.zeros(graph.count)
        key[sorted(sources)] = 0.0
        far = np.full(graph.size, np.inf)
        _blend(graph.start_out, graph.arcs_out, graph.head, self.cost, ground.length, far, self.beside, 1.0, key, along, *self._empty())
        return key

    def _empty(self) -> tuple[Ints, Ints]:
        return np.full(self.ground.graph.count, -1, np.int64), np.empty(self.ground.graph.count, np.int64)

    def _cover(self, ref: str, others: list[tuple[float, frozenset[int]]], served: frozenset[int]) -> float:
        """The least yen at which terminals beside the lines serve the rest of a site; each demand that none of them can serve is dear."""
        rest = frozenset().union(*(self.serves[node] for node in self.node_site[ref])) - served
        others = sorted(((cost, can & rest) for cost, can in others if can & rest), key=lambda other: (other[0], sorted(other[1])))[:ENUMERATED]
        least = self.dear * len(rest)
        for many in range(1, len(others) + 1):
            for some in itertools.combinations(others, many):
                left = rest.difference(*(can for _, can in some))
                least = min(least, sum(cost for cost, _ in some) + self.dear * len(left))
        return least

    def _cells(self, parent: dict[int, int], alone: Floats, gain: Floats, site: Ints) -> dict[int, tuple[int, ...]]:
        """Cells of a design by the feed from a line that they hang from (-1: no line), and in `gain` what keeping that feed saves."""
        arcs, nodes = self.problem.arcs, self.problem.nodes
        held: dict[int, list[int]] = defaultdict(list)
        for node, arc in sorted(parent.items()):
            if nodes[node].kind not in ("mast", "facility", "terminal") or arcs[arc].kind in ("drop", "direct"):
                continue
            first = arc
            while arcs[first].tail in parent and nodes[arcs[first].tail].kind in ("mast", "facility"):
                first = parent[arcs[first].tail]
            held[first if nodes[arcs[first].tail].kind == "junction" else -1].append(arc)
        for place, feed in enumerate(sorted(feed for feed in held if feed >= 0)):
            instead = sum(min(self.dear, float(alone[arcs[arc].head])) for arc in held[feed] if nodes[arcs[arc].head].kind == "terminal")
            gain[feed] = instead - float(self.cost[held[feed]].sum())
            site[feed] = len(self.number) + place
        return {feed: tuple(found) for feed, found in held.items()}

    def tree(self, prizes: Prizes, guide: Floats, alpha: float) -> tuple[float, Flags]:
        """What the best part of a tree saves, and its arcs."""
        graph, ground = self.ground.graph, self.ground
        key, along, chosen = np.full(graph.count, np.inf), np.zeros(graph.count), np.zeros(graph.size, np.bool_)
        key[0] = 0.0
        via, order = self._empty()
        many = _blend(graph.start_out, graph.arcs_out, graph.head, guide, ground.length, ground.reach, self.lines, alpha, key, along, via, order)
        saved = _prune(
            graph.start_out, graph.arcs_out, graph.tail, self.cost, ground.length, ground.reach, prizes.gain, prizes.site,
            along, via, order, many, chosen,
        )  # fmt: skip
        return float(saved), chosen

    def parents(self, prizes: Prizes, chosen: Flags) -> Ints:
        """The arc into each node of the tree and of the open cells; sites of a drop leave their cells."""
        head = self.ground.graph.head
        parent = np.full(self.ground.graph.count, -1, np.int64)
        marked = np.flatnonzero(chosen)
        parent[head[marked]] = marked
        joined = {self.problem.nodes[head[arc]].ref for arc in marked if self.problem.arcs[arc].kind == "drop"}
        for feed, arcs in prizes.beside.items():
            for arc in arcs if feed < 0 or chosen[feed] else ():
                if self.problem.arcs[arc].kind != "link" or self.problem.nodes[head[arc]].ref not in joined:
                    parent[head[arc]] = arc
        return parent

    def nearest(self, prizes: Prizes, every: bool) -> Ints:
        """The tree of the shortest metres, so that whoever can be served within reach is; `every`: to all drops, whether they pay off or not."""
        if every:
            gain = np.full(len(prizes.gain), -1.0)
            gain[self.drops] = self.dear
            prizes = Prizes(gain, np.arange(len(gain)), prizes.beside)
        return self.parents(prizes, self.tree(prizes, self.ground.length, 1.0)[1])

    def search(self, prizes: Prizes, trees: int, random: np.random.Generator) -> Iterator[Flags | None]:
        """The arcs of each tree that is the best so far, None for each that is not: from Prim to Dijkstra, then shaken, then the best changed."""
        size = len(self.cost)
        best, kept = -np.inf, (np.ones(size), 0.0, 0.0)
        fixed = [(alpha, metre) for metre in (0.0, 0.3, 1.0) for alpha in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
        for turn in range(len(fixed) + trees):
            factor, alpha, metre = kept
            if turn < len(fixed):
                factor, (alpha, metre) = np.ones(size), fixed[turn]
            elif turn % 16 == 0:
                factor = random.uniform(0.7, 1.3, size)
                alpha, metre = random.uniform(0.0, 1.0), float(random.choice([0.0, 0.1, 0.3]))
            else:
                share = float(random.choice([0.005, 0.02, 0.1]))
                factor = np.where(random.random(size) < share, random.uniform(0.2, 2.0, size), factor)
                alpha = min(1.0, max(0.0, alpha + random.uniform(-0.05, 0.05))) if turn % 4 == 0 else alpha
            saved, chosen = self.tree(prizes, factor * (self.ground.cost + metre * self.per_metre * self.ground.length), alpha)
            if saved >= best:
                kept = (factor, alpha, metre)
            if saved > best:
                best = saved
                yield chosen
            else:
                yield None
