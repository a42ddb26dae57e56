"""Shortest paths, spanning trees and bottlenecks on a packed graph.

In: rows of a graph (`Compact`). Out: distances to the nearest terminals, the least spanning tree with the edge that would replace each of its edges, and
the bottlenecks between terminals.

Sources: K. Mehlhorn, "A faster approximation algorithm for the Steiner problem in graphs", Inf. Proc. Letters 27 (1988), for the terminals' spanning tree.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import no_type_check

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
@no_type_check
def nearest(start, arcs, head, cost, terminal, many, flag):  # noqa: ANN001, ANN201
    """Up to `many` nearest terminals of each vertex: their numbers (−1: none) and distances, shape (many, n). Paths do not lead over other terminals."""
    n = len(start) - 1
    base = np.full((many, n), -1, np.int64)
    far = np.full((many, n), -1, np.int64)
    known = np.zeros(n, np.int64)
    heap = [(np.int64(0), np.int64(v), np.int64(v)) for v in range(n) if terminal[v]]
    if len(heap) == 0:
        return base, far
    heapify(heap)
    steps = 0
    while len(heap) > 0:
        steps += 1
        if steps & 4095 == 0 and flag[0]:
            break
        d, v, b = heappop(heap)
        k = known[v]
        if k == many:
            continue
        new = True
        for i in range(k):
            if base[i, v] == b:
                new = False
        if not new:
            continue
        base[k, v] = b
        far[k, v] = d
        known[v] = k + 1
        if terminal[v] and v != b:
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            if known[w] < many:
                heappush(heap, (d + cost[a >> 1], w, b))
    return base, far


@numba.njit(cache=True, nogil=True)
@no_type_check
def find(up, v):  # noqa: ANN001, ANN201
    """The representative of v, paths halved."""
    while up[v] != v:
        up[v] = up[up[v]]
        v = up[v]
    return v


@numba.njit(cache=True, nogil=True)
@no_type_check
def terminal_bottlenecks(base, far, head, cost):  # noqa: ANN001, ANN201
    """Kruskal's forest over the terminals' distance graph, unions by size: (parent, length at which the union took place) per vertex."""
    n = len(base)
    m = len(cost)
    up = np.arange(n)
    size = np.ones(n, np.int64)
    parent = np.full(n, -1, np.int64)
    length = np.full(n, np.iinfo(np.int64).max, np.int64)
    between = np.empty(m, np.int64)
    edge = np.empty(m, np.int64)
    many = 0
    for e in range(m):
        u, v = head[2 * e + 1], head[2 * e]
        if base[u] >= 0 and base[v] >= 0 and base[u] != base[v]:
            between[many] = far[u] + cost[e] + far[v]
            edge[many] = e
            many += 1
    order = np.argsort(between[:many])
    for i in order:
        e = edge[i]
        s, t = base[head[2 * e + 1]], base[head[2 * e]]
        while up[s] != s:
            s = up[s]
        while up[t] != t:
            t = up[t]
        if s == t:
            continue
        if size[s] > size[t]:
            s, t = t, s
        up[s] = t
        size[t] += size[s]
        parent[s] = t
        length[s] = between[i]
    return parent, length


@numba.njit(cache=True, nogil=True)
@no_type_check
def bottleneck(parent, length, s, t):  # noqa: ANN001, ANN201
    """The longest hop on the terminals' spanning tree between two terminals."""
    worst = np.int64(0)
    while s != t:
        if length[s] <= length[t]:
            if parent[s] < 0:
                return np.iinfo(np.int64).max
            worst = max(worst, length[s])
            s = parent[s]
        else:
            worst = max(worst, length[t])
            t = parent[t]
    return worst


@numba.njit(cache=True, nogil=True)
@no_type_check
def spanning_tree(start, arcs, head, cost):  # noqa: ANN001, ANN201
    """A least spanning forest (flag per edge) and for each of its edges the cost of the cheapest other edge over its cut (largest int64: none)."""
    n, m = len(start) - 1, len(cost)
    order = np.argsort(cost, kind="mergesort")
    up = np.arange(n)
    inside = np.zeros(m, np.bool_)
    for e in order:
        s, t = find(up, head[2 * e + 1]), find(up, head[2 * e])
        if s != t:
            up[s] = t
            inside[e] = True
    arc_to = np.full(n, -1, np.int64)
    depth = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    for r in range(n):
        if depth[r] >= 0:
            continue
        depth[r] = 0
        stack[0] = r
        size = 1
        while size > 0:
            size -= 1
            v = stack[size]
            for p in range(start[v], start[v + 1]):
                a = arcs[p]
                w = head[a]
                if inside[a >> 1] and depth[w] < 0:
                    depth[w] = depth[v] + 1
                    arc_to[w] = a
                    stack[size] = w
                    size += 1
    instead = np.full(m, np.iinfo(np.int64).max, np.int64)
    up = np.arange(n)
    for e in order:
        if inside[e]:
            continue
        s, t = find(up, head[2 * e + 1]), find(up, head[2 * e])
        while s != t:
            if depth[s] < depth[t]:
                s, t = t, s
            instead[arc_to[s] >> 1] = cost[e]
            up[s] = head[arc_to[s] ^ 1]
            s = find(up, s)
    return inside, instead
