"""Wong's dual ascent on whole numbers, with the cuts that prove the bound.

In: a Graph. Out: reduced costs and nested directed cuts; the bound is the sum of their duals, and each arc's duals fit into its cost.
Making cuts stronger by linear programming is left to design.cuts, the certificate of a problem to design.bound.

Source: R. T. Wong, "A dual ascent approach for Steiner tree problems on a directed graph", Math. Programming 28 (1984) 271–287; order by the
number of arcs into the cut as in Pajor, Uchoa, Werneck, "A robust and scalable algorithm for the Steiner problem in graphs" (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.graph import Flags, Graph, Ints


@dataclass(frozen=True)
class Ascent:
    """What one ascent leaves: reduced costs, and the cuts; cut i adds nodes[start[i]:start[i + 1]] to cut base[i] of the same terminal."""

    bound: int
    reduced: Ints
    terminal: Ints
    base: Ints
    dual: Ints
    start: Ints
    nodes: Ints


@numba.njit(cache=True)
@no_type_check
def _ascend(count, start_in, arcs_in, start_out, arcs_out, tail, head, reduced, terminals, jitter, gather, anchor, root):  # noqa: ANN001, ANN202
    """Raise cuts around terminals until each is joined to the root by arcs of reduced cost 0. Changes `reduced`.

    gather: a terminal whose cut meets another active terminal, or the node behind that one's anchor arc, waits until that one is done: far
    fewer and smaller cuts on large graphs.
    """
    many = len(terminals)
    mark = np.zeros(count, np.int64)
    owner = np.full(count, -1, np.int64)
    last = np.full(many, -1, np.int64)
    leader = np.full(many, -1, np.int64)  # whom a terminal waits for
    first_waiting = np.full(many, -1, np.int64)
    next_waiting = np.full(many, -1, np.int64)
    done, hopeless = np.zeros(many, np.bool_), np.zeros(many, np.bool_)
    cut_terminal, cut_base, cut_dual = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.int64)
    cut_start = np.zeros(1025, np.int64)
    pool = np.empty(16384, np.int64)
    cuts = 0
    filled = 0
    bound = 0
    inside = np.empty(count, np.int64)
    border = np.empty(max(1, len(tail)), np.int64)
    heap = [(np.int64(0), np.int64(0), np.int64(0)) for _ in range(many)]
    for i in range(many):
        heap[i] = (np.int64(start_in[terminals[i] + 1] - start_in[terminals[i]]), np.int64(jitter[i]), np.int64(i))
        owner[terminals[i]] = i
    heapify(heap)
    stamp = 0
    rooted = np.zeros(count, np.bool_)  # reached from the root over arcs of reduced cost 0
    queue = np.empty(count, np.int64)
    rooted[root] = True
    queue[0] = root
    queued = 1
    while len(heap) > 0:
        while queued > 0:
            queued -= 1
            v = queue[queued]
            for p in range(start_out[v], start_out[v + 1]):
                a = arcs_out[p]
                if reduced[a] == 0 and not rooted[head[a]]:
                    rooted[head[a]] = True
                    queue[queued] = head[a]
                    queued += 1
        key, tie, i = heappop(heap)
        if rooted[terminals[i]] or hopeless[i]:
            done[i] = True
            w = first_waiting[i]
            while w >= 0:
                leader[w] = -1
                heappush(heap, (np.int64(0), np.int64(jitter[w]), np.int64(w)))
                w = next_waiting[w]
            first_waiting[i] = -1
            continue
        stamp += 1
        size = 0
        c = last[i]
        if c < 0:
            inside[0] = terminals[i]
            mark[terminals[i]] = stamp
            size = 1
        while c >= 0:
            for p in range(cut_start[c], cut_start[c + 1]):
                inside[size] = pool[p]
                mark[pool[p]] = stamp
                size += 1
            c = cut_base[c]
        known = 0 if last[i] < 0 else size
        at = 0
        crossing = 0
        while True:  # raise this cut again and again while it stays among the smallest
            met = -1
            while at < size:
                v = inside[at]
                at += 1
                if gather and owner[v] != i:
                    o = owner[v]
                    while o >= 0 and leader[o] >= 0:
                        o = leader[o]
                    if o >= 0 and o != i and not done[o]:
                        met = o
                        break
                for p in range(start_in[v], start_in[v + 1]):
                    a = arcs_in[p]
                    u = tail[a]
                    if mark[u] != stamp:
                        if reduced[a] > 0:
                            border[crossing] = a
                            crossing += 1
                        else:
                            mark[u] = stamp
                            inside[size] = u
                            size += 1
                            if anchor[a] and (owner[u] < 0 or done[owner[u]]):
                                owner[u] = i
            if met >= 0:
                leader[i] = met
                next_waiting[i] = first_waiting[met]
                first_waiting[met] = i
                break
            kept = 0
            least = np.int64(-1)
            for p in range(crossing):
                a = border[p]
                if mark[tail[a]] != stamp:
                    border[kept] = a
                    kept += 1
                    if least < 0 or reduced[a] < least:
                        least = reduced[a]
            crossing = kept
            if crossing == 0:
                hopeless[i] = True  # no way to it at all
                heappush(heap, (np.int64(0), tie, i))
                break
            if size > known:
                if cuts + 1 >= len(cut_terminal):
                    cut_terminal = np.concatenate((cut_terminal, np.empty(len(cut_terminal), np.int64)))
                    cut_base = np.concatenate((cut_base, np.empty(len(cut_base), np.int64)))
                    cut_dual = np.concatenate((cut_dual, np.empty(len(cut_dual), np.int64)))
                    cut_start = np.concatenate((cut_start, np.empty(len(cut_start), np.int64)))
                while filled + size - known > len(pool):
                    pool = np.concatenate((pool, np.empty(len(pool), np.int64)))
                cut_terminal[cuts] = i
                cut_base[cuts] = last[i]
                cut_dual[cuts] = 0
                for p in range(known, size):
                    pool[filled] = inside[p]
                    filled += 1
                known = size
                last[i] = cuts
                cuts += 1
                cut_start[cuts] = filled
            if len(heap) > 0 and crossing > key and 4 * crossing > 5 * heap[0][0]:
                heappush(heap, (np.int64(crossing), tie, i))
                break
            joined = False
            kept = 0
            for p in range(crossing):
                a = border[p]
                reduced[a] -= least
                if reduced[a] > 0:
                    border[kept] = a
                    kept += 1
                elif rooted[tail[a]]:
                    joined = True
                    if not rooted[head[a]]:
                        rooted[head[a]] = True
                        queue[queued] = head[a]
                        queued += 1
                elif mark[tail[a]] != stamp:
                    u = tail[a]
                    mark[u] = stamp
                    inside[size] = u
                    size += 1
                    if anchor[a] and (owner[u] < 0 or done[owner[u]]):
                        owner[u] = i
            crossing = kept
            cut_dual[last[i]] += least
            bound += least
            if joined:
                heappush(heap, (np.int64(0), tie, i))
                break
    return bound, cut_terminal[:cuts].copy(), cut_base[:cuts].copy(), cut_dual[:cuts].copy(), cut_start[: cuts + 1].copy(), pool[:filled].copy()


def ascend(graph: Graph, seed: int, *, gather: bool = False, reduced: Ints | None = None, anchor: Flags | None = None, root: int = 0) -> Ascent:
    """One ascent; ties between terminals are broken by `seed`, `reduced` are costs to start from (default: those of the graph).

    gather  let cuts that meet wait for each other, at terminals and at the tails of `anchor` arcs: faster, and better on large street graphs

    >>> from kiban.design.graph import make_graph
    >>> arcs = np.array([[0, 1, 5], [1, 2, 3], [1, 3, 3], [0, 2, 7]])
    >>> ascend(make_graph(4, arcs[:, 0], arcs[:, 1], arcs[:, 2], np.array([2, 3])), seed=0).bound
    11
    """
    left = (graph.cost if reduced is None else reduced).copy()
    terminals = graph.demands[graph.demands != root]
    jitter = np.random.default_rng(seed).permutation(len(terminals)).astype(np.int64)
    bound, terminal, base, dual, start, nodes = _ascend(
        graph.count,
        graph.start_in,
        graph.arcs_in,
        graph.start_out,
        graph.arcs_out,
        graph.tail,
        graph.head,
        left,
        terminals,
        jitter,
        gather,
        np.zeros(graph.size, np.bool_) if anchor is None else anchor,
        root,
    )
    return Ascent(int(bound), left, terminals[terminal] if len(terminal) else terminal, base, dual, start, nodes)
