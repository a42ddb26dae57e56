"""All reductions in turn until little goes, and what each of them removed.

In: a Net. Out: the net, smaller; `Tally` says which reduction took how much and how long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kiban.design.steiner import reductions as tests
from kiban.design.steiner.network import LEFT, TERMINALS, Compact, Ints, Net, compact, drop, grown
from kiban.design.steiner.paths import nearest, spanning_tree, terminal_bottlenecks

REDUCTIONS = ("degree", "parallel", "long_edges", "bypass", "nearest_vertex", "split", "bound")
NEAR = 4  # nearest terminals looked at from each end of an edge
MOST_SPLIT = 4  # edges of a vertex that may be split
RINGS = 48  # vertices looked at around each neighbour of a vertex that may be split


@dataclass(frozen=True)
class Removal:
    """What one reduction removed: edges and vertices net of those it made, seconds, how often it ran."""

    name: str
    edges: int
    vertices: int
    seconds: float
    runs: int


@dataclass
class Ledger:
    """Sums over all runs."""

    rows: dict[str, list[float]] = field(default_factory=lambda: {name: [0, 0, 0.0, 0] for name in REDUCTIONS})

    def told(self) -> tuple[Removal, ...]:
        """One row per reduction."""
        return tuple(Removal(name, int(row[0]), int(row[1]), row[2], int(row[3])) for name, row in self.rows.items())

    def run(self, name: str, net: Net, work: Callable[[], Net]) -> Net:
        """Do it and write it down."""
        row, begin = self.rows[name], time.perf_counter()
        edges, vertices = int(net.tally[LEFT]), int(np.count_nonzero(net.degree))
        after = work()
        row[0] += edges - int(after.tally[LEFT])
        row[1] += vertices - int(np.count_nonzero(after.degree))
        row[2] += time.perf_counter() - begin
        row[3] += 1
        return after


def shrink(net: Net, flag: NDArray[np.uint8], skip: frozenset[str], ledger: Ledger, rounds: int = 12, least: float = 0.02) -> Net:
    """Reduce until a round removes less than the share `least` of the edges. Returns the net, which may have grown arrays."""

    def apply(net: Net, name: str, work: Callable[[Net], Net]) -> Net:
        if name in skip or flag[0] or net.tally[TERMINALS] < 2:
            return net
        return ledger.run(name, net, lambda: work(net))

    for _ in range(rounds):
        before = int(net.tally[LEFT])
        net = apply(net, "degree", lambda net: _trim(net, flag))
        net = apply(net, "parallel", _parallel)
        net = apply(net, "long_edges", lambda net: _long_edges(net, flag))
        net = apply(net, "bypass", lambda net: _bypass(net, flag))
        net = apply(net, "degree", lambda net: _trim(net, flag))
        net = apply(net, "parallel", _parallel)
        net = apply(net, "nearest_vertex", lambda net: _nearest_vertex(net, flag))
        net = apply(net, "degree", lambda net: _trim(net, flag))
        net = apply(net, "parallel", _parallel)
        net = apply(net, "split", lambda net: _split(net, flag))
        net = apply(net, "degree", lambda net: _trim(net, flag))
        net = apply(net, "parallel", _parallel)
        if flag[0] or net.tally[LEFT] >= (1.0 - least) * before:
            break
    return net


def _more(net: Net) -> Net:
    return grown(net, len(net.cost) // 4 + 1024)


def _trim(net: Net, flag: NDArray[np.uint8]) -> Net:
    while not tests.trim(net, flag):
        net = _more(net)
    return net


def _parallel(net: Net) -> Net:
    tests.drop_parallels(net)
    return net


def _long_edges(net: Net, flag: NDArray[np.uint8]) -> Net:
    graph = compact(net)
    base, far = nearest(graph.start, graph.arcs, graph.head, graph.cost, graph.terminal, NEAR, flag)
    if flag[0]:
        return net
    parent, length = terminal_bottlenecks(base[0], far[0], graph.head, graph.cost)
    for edge in graph.edge[tests.shorten(graph.head, graph.cost, base, far, parent, length)].tolist():
        drop(net, edge)
    return net


def _bypass(net: Net, flag: NDArray[np.uint8]) -> Net:
    tests.bypass(net, tests.AROUND, flag)
    return net


def _nearest_vertex(net: Net, flag: NDArray[np.uint8]) -> Net:
    graph = compact(net)
    base, far = nearest(graph.start, graph.arcs, graph.head, graph.cost, graph.terminal, 1, flag)
    if flag[0]:
        return net
    inside, instead = spanning_tree(graph.start, graph.arcs, graph.head, graph.cost)
    found = tests.mergeable(graph.head, graph.cost, inside, instead, base[0], far[0])
    tests.merge(net, graph.edge[found[:, 0]], graph.vertex[found[:, 1]], graph.vertex[found[:, 2]])
    return net


def _split(net: Net, flag: NDArray[np.uint8]) -> Net:
    graph = compact(net)
    base, far = nearest(graph.start, graph.arcs, graph.head, graph.cost, graph.terminal, 1, flag)
    if flag[0]:
        return net
    parent, length = terminal_bottlenecks(base[0], far[0], graph.head, graph.cost)
    parent, length = _by_vertex(graph, parent, length, len(net.first))
    while tests.dissolve(net, MOST_SPLIT, parent, length, RINGS, flag) < 0:
        net = _more(net)
    return net


def _by_vertex(graph: Compact, parent: Ints, length: Ints, count: int) -> tuple[Ints, Ints]:
    """The terminals' forest in the numbers of the net."""
    above, hop = np.full(count, -1, np.int64), np.full(count, tests.ENDLESS, np.int64)
    above[graph.vertex] = np.where(parent >= 0, graph.vertex[parent], -1)
    hop[graph.vertex] = length
    return above, hop
