"""First trees: shortest paths from terminal to terminal, and what makes a proper tree of any connected set of edges.

In: a packed graph, lengths that guide. Out: edge numbers of a tree over the terminals without dead ends.

Source: H. Takahashi, A. Matsuyama, "An approximate solution for the Steiner problem in graphs", Math. Japonica 24 (1980) 573–577.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.steiner.paths import find


@numba.njit(cache=True, nogil=True)
@no_type_check
def grow(start, arcs, head, length, terminal, root, flag):  # noqa: ANN001, ANN201
    """Join the terminals to the root one after another, each by the shortest path to what already stands; edges of infinite length are not used.

    Returns edge numbers: a tree over the terminals that can be reached; when the flag is raised or some cannot be reached it misses terminals.
    """
    n = len(start) - 1
    far = np.full(n, np.inf)
    via = np.full(n, -1, np.int64)
    inside = np.zeros(n, np.bool_)
    found = np.empty(n, np.int64)
    many = 0
    far[root] = 0.0
    inside[root] = True
    heap = [(0.0, np.int64(root))]
    left = 0
    for v in range(n):
        if terminal[v] and v != root:
            left += 1
    steps = 0
    while len(heap) > 0 and left > 0:
        steps += 1
        if steps & 4095 == 0 and flag[0]:
            break
        d, v = heappop(heap)
        if d > far[v]:
            continue
        if terminal[v] and not inside[v]:
            left -= 1
            w = v
            while not inside[w]:  # its path joins the tree, from where the search goes on at distance 0
                a = via[w]
                found[many] = a >> 1
                many += 1
                inside[w] = True
                far[w] = 0.0
                heappush(heap, (0.0, w))
                w = head[a ^ 1]
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            e = d + length[a >> 1]
            if e < far[w]:
                far[w] = e
                via[w] = a
                heappush(heap, (e, w))
    return found[:many]


@numba.njit(cache=True, nogil=True)
@no_type_check
def proper(start, arcs, head, cost, terminal, edges, induced):  # noqa: ANN001, ANN201
    """A least spanning tree of the given edges (`induced`: of all edges between their ends) without dead ends; edge numbers, sorted."""
    n, m = len(start) - 1, len(cost)
    present = np.zeros(n, np.bool_)
    for e in edges:
        present[head[2 * e]] = True
        present[head[2 * e + 1]] = True
    if induced:
        many = 0
        offered = np.empty(m, np.int64)
        seen = np.zeros(n, np.bool_)
        for e in edges:
            for v in (head[2 * e], head[2 * e + 1]):
                if not seen[v]:
                    seen[v] = True
                    for p in range(start[v], start[v + 1]):
                        a = arcs[p]
                        w = head[a]
                        if present[w] and (v < w or (v == w and a & 1 == 0)):
                            offered[many] = a >> 1
                            many += 1
        offered = np.sort(offered[:many])
    else:
        offered = np.sort(edges)
    order = offered[np.argsort(cost[offered], kind="mergesort")]
    up = np.arange(n)
    degree = np.zeros(n, np.int64)
    cross = np.zeros(n, np.int64)  # exclusive or of the tree edges at a vertex: at a dead end just its edge
    inside = np.zeros(m, np.bool_)
    for e in order:
        u, v = head[2 * e + 1], head[2 * e]
        s, t = find(up, u), find(up, v)
        if s != t:
            up[s] = t
            inside[e] = True
            degree[u] += 1
            degree[v] += 1
            cross[u] ^= e
            cross[v] ^= e
    for e in order:
        for v in (head[2 * e], head[2 * e + 1]):
            while degree[v] == 1 and not terminal[v]:
                d = cross[v]
                inside[d] = False
                degree[v] = 0
                w = head[2 * d] if head[2 * d] != v else head[2 * d + 1]
                degree[w] -= 1
                cross[w] ^= d
                v = w
    many = 0
    result = np.empty(len(order), np.int64)
    for e in offered:
        if inside[e]:
            result[many] = e
            many += 1
    return result[:many]


@numba.njit(cache=True, nogil=True)
@no_type_check
def spans(head, terminal, edges):  # noqa: ANN001, ANN201
    """Whether the edges join all terminals."""
    n = len(terminal)
    up = np.arange(n)
    for e in edges:
        s, t = find(up, head[2 * e + 1]), find(up, head[2 * e])
        if s != t:
            up[s] = t
    first = -1
    for v in range(n):
        if terminal[v]:
            if first < 0:
                first = find(up, v)
            elif find(up, v) != first:
                return False
    return True
