"""The arcs of a graph two by two, as the kernels of design.steiner want them.

In: a Graph. Out: Pairs, by which values of arcs are put on directions and read back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiban.design.graph import Flags, Graph, Ints
from kiban.design.mix.graph import rows
from kiban.design.steiner.ascent import FAR


@dataclass(frozen=True)
class Pairs:
    """The arcs of a graph as the kernels of design.steiner want them: pair e has the directions 2e and 2e + 1, the tail of direction a is head[a ^ 1].

    arcs[start[v]:start[v + 1]]: the directions out of node v, there or not · place: the direction that each arc of the graph is
    """

    start: Ints
    arcs: Ints
    head: Ints
    place: Ints

    def spread(self, values: Ints) -> Ints:
        """Values of arcs on directions; where there is no arc, twice what makes it absent."""
        found = np.full(len(self.head), 2 * FAR, np.int64)
        found[self.place] = values
        return found


def pairs_of(graph: Graph) -> Pairs:
    """Arcs that lead back and forth between the same nodes share a pair; an arc without its reverse has one alone.

    >>> from kiban.design.graph import make_graph
    >>> arcs = np.array([[0, 1, 5], [1, 2, 3], [2, 1, 4], [1, 2, 6]])
    >>> pairs = pairs_of(make_graph(3, arcs[:, 0], arcs[:, 1], arcs[:, 2], np.array([2])))
    >>> pairs.place.tolist(), pairs.head.tolist()
    ([0, 2, 3, 4], [1, 0, 2, 1, 2, 1])
    """
    low, high, back = np.minimum(graph.tail, graph.head), np.maximum(graph.tail, graph.head), graph.tail > graph.head
    order, first = _grouped(low, high, back)
    rank = np.empty(graph.size, np.int64)
    rank[order] = np.arange(graph.size) - np.flatnonzero(first)[np.cumsum(first) - 1]
    order, first = _grouped(low, high, rank)
    pair = np.empty(graph.size, np.int64)
    pair[order] = np.cumsum(first) - 1
    head = np.empty(2 * int(first.sum()), np.int64)
    head[2 * pair], head[2 * pair + 1] = high, low
    return Pairs(*rows(graph.count, head), head, 2 * pair + back)


def _grouped(*keys: NDArray[Any]) -> tuple[Ints, Flags]:
    """An order in which equal keys stand side by side, and a flag at the first of each."""
    order = np.lexsort(keys[::-1])
    first = np.ones(len(order), np.bool_)
    first[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    return order.astype(np.int64), first
