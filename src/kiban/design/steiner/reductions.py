"""Reductions: what no optimal tree needs goes, what some optimal tree holds is taken.

In: a Net. Out: the same net, smaller; each step is written down for the certificate. Every test keeps at least one optimal tree (with a known tree: at
least one that is cheaper, if there is any).

- `trim`      degree tests: dead ends, vertices of two edges, terminals of one edge, terminals that are each other's nearest
- `shorten`   special distance (bottleneck Steiner distance) against nearest terminals and the terminals' spanning tree: long edges, paths with many terminals
- `bypass`    the same by a search around each edge, which also sees ties
- `merge`     nearest special vertex: an edge of the least spanning tree that every cut at hand asks for is taken
- `dissolve`  a vertex of three or four edges of which no optimal tree needs more than two
- `exclude`   bound-based: by the reduced costs of an ascent and a known tree

Sources: C. W. Duin, A. Volgenant, "Reduction tests for the Steiner problem in graphs", Networks 19 (1989) 549–567; T. Polzin, S. Vahdati Daneshmand,
"Improved algorithms for the Steiner problem in networks", Discrete Applied Mathematics 112 (2001) 263–300.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.steiner.network import TERMINALS, USED, clear, drop, leaf, now, split, take, unlink
from kiban.design.steiner.paths import bottleneck

ENDLESS = np.iinfo(np.int64).max
AROUND = 64  # vertices that one search around an edge may look at


@numba.njit(cache=True, nogil=True)
@no_type_check
def _some_terminal(net, v, avoid, mark, queue):  # noqa: ANN001, ANN202
    """Any terminal that v reaches without the vertex `avoid`; -1 when there is none."""
    queue[0] = v
    mark[v] = True
    size, at, found = 1, 0, -1
    while at < size:
        w = queue[at]
        at += 1
        if net.terminal[w]:
            found = w
            break
        a = net.first[w]
        while a >= 0:
            x = net.head[a]
            if not mark[x] and x != avoid:
                mark[x] = True
                queue[size] = x
                size += 1
            a = net.after[a]
    for i in range(size):
        mark[queue[i]] = False
    return found


@numba.njit(cache=True, nogil=True)
@no_type_check
def trim(net, flag):  # noqa: ANN001, ANN201
    """Degree tests until none applies. Returns False when there was no room for the edges of a split."""
    n = len(net.first)
    waiting = np.ones(n, np.bool_)
    stack = np.empty(n, np.int64)
    size = 0
    for v in range(n - 1, -1, -1):
        stack[size] = v
        size += 1
    mark = np.zeros(n, np.bool_)
    queue = np.empty(n, np.int64)
    logging = len(net.log) > 0
    steps = 0
    while size > 0:
        steps += 1
        if steps & 4095 == 0 and flag[0]:
            break
        size -= 1
        v = stack[size]
        waiting[v] = False
        if net.gone[v]:
            continue
        many = net.degree[v]
        if many == 0:
            continue
        a = net.first[v]
        if not net.terminal[v]:
            if many == 1:
                w = net.head[a]
                leaf(net, v)
                if not waiting[w]:
                    waiting[w] = True
                    stack[size] = w
                    size += 1
            elif many == 2:
                b = net.after[a]
                u, w = net.head[a], net.head[b]
                if not split(net, v, True):
                    return False
                for x in (u, w):
                    if not waiting[x]:
                        waiting[x] = True
                        stack[size] = x
                        size += 1
        elif net.tally[TERMINALS] > 1:
            least = a
            while a >= 0:
                if net.cost[a >> 1] < net.cost[least >> 1] or (net.cost[a >> 1] == net.cost[least >> 1] and net.terminal[net.head[a]]):
                    least = a
                a = net.after[a]
            w = net.head[least]
            if net.terminal[w] or many == 1:
                far = w
                if not net.terminal[w] and logging:
                    far = _some_terminal(net, w, v, mark, queue)
                    if far < 0:
                        continue  # the terminals are apart: whoever asks for the whole will see it
                kept = take(net, least >> 1, v, far)
                if not waiting[kept]:
                    waiting[kept] = True
                    stack[size] = kept
                    size += 1
                a = net.first[kept]
                while a >= 0 and many < 20:
                    x = net.head[a]
                    if not waiting[x]:
                        waiting[x] = True
                        stack[size] = x
                        size += 1
                    a = net.after[a]
    return True


@numba.njit(cache=True, nogil=True)
@no_type_check
def drop_parallels(net):  # noqa: ANN001, ANN201
    """Of several edges between two vertices the cheapest stays. Returns how many went."""
    n = len(net.first)
    best = np.full(n, -1, np.int64)
    gone = 0
    for v in range(n):
        a = net.first[v]
        while a >= 0:
            following = net.after[a]
            w = net.head[a]
            if w == v:
                if following >= 0 and following >> 1 == a >> 1:
                    following = net.after[following]
                drop(net, a >> 1)
                gone += 1
            elif best[w] < 0:
                best[w] = a >> 1
            else:
                worse = a >> 1
                if net.cost[worse] < net.cost[best[w]]:
                    worse, best[w] = best[w], worse
                if following >= 0 and following >> 1 == worse:
                    following = net.after[following]
                drop(net, worse)
                gone += 1
            a = following
        a = net.first[v]
        while a >= 0:
            best[net.head[a]] = -1
            a = net.after[a]
    return gone


@numba.njit(cache=True, nogil=True)
@no_type_check
def shorten(head, cost, base, far, parent, length):  # noqa: ANN001, ANN201
    """Edges dearer than a special distance between their ends, by up to k nearest terminals of either end; all may go at once."""
    m, k = len(cost), len(base)
    found = np.zeros(m, np.bool_)
    for e in range(m):
        u, v = head[2 * e + 1], head[2 * e]
        c = cost[e]
        for i in range(k):
            if base[i, u] < 0 or far[i, u] >= c:
                break
            for j in range(k):
                if base[j, v] < 0 or far[j, v] >= c:
                    break
                if bottleneck(parent, length, base[i, u], base[j, v]) < c:
                    found[e] = True
                    break
            if found[e]:
                break
    return found


@numba.njit(cache=True, nogil=True)
@no_type_check
def _bypassed(net, e, label, touched, limit):  # noqa: ANN001, ANN202
    """Whether the ends of an edge are joined without it by a special distance of at most its cost, as far as a short search sees."""
    u, goal = net.head[2 * e + 1], net.head[2 * e]
    if net.degree[u] > net.degree[goal]:
        u, goal = goal, u
    most = net.cost[e]
    heap = [(np.int64(0), np.int64(u))]
    label[u] = 0
    touched[0] = u
    size = 1
    pops = 0
    found = False
    while len(heap) > 0 and pops < limit and not found:
        d, v = heappop(heap)
        if d > label[v]:
            continue
        pops += 1
        a = net.first[v]
        looked = 0
        while a >= 0 and looked < limit:
            looked += 1
            if a >> 1 != e:
                w = net.head[a]
                far = d + net.cost[a >> 1]
                if far <= most:
                    if w == goal:
                        found = True
                        break
                    if net.terminal[w]:
                        far = np.int64(0)
                    if label[w] < 0 or far < label[w]:
                        if label[w] < 0:
                            touched[size] = w
                            size += 1
                        label[w] = far
                        heappush(heap, (far, np.int64(w)))
            a = net.after[a]
    for i in range(size):
        label[touched[i]] = -1
    return found


@numba.njit(cache=True, nogil=True)
@no_type_check
def bypass(net, limit, flag):  # noqa: ANN001, ANN201
    """Drop every edge, the dearest first, that a short search can do without. Returns how many went."""
    used = net.tally[USED]
    alive = np.flatnonzero(net.alive[:used])
    order = alive[np.argsort(-net.cost[alive], kind="mergesort")]
    label = np.full(len(net.first), -1, np.int64)
    touched = np.empty(len(net.first), np.int64)
    gone = 0
    for i in range(len(order)):
        if i & 255 == 0 and flag[0]:
            break
        if _bypassed(net, order[i], label, touched, limit):
            drop(net, order[i])
            gone += 1
    return gone


@numba.njit(cache=True, nogil=True)
@no_type_check
def mergeable(head, cost, inside, instead, base, far):  # noqa: ANN001, ANN201
    """Edges of the least spanning tree whose way from terminal to terminal is no longer than the cheapest edge instead: edge, near, far."""
    m = len(cost)
    found = np.empty((m, 3), np.int64)
    many = 0
    for e in range(m):
        if inside[e]:
            u, v = head[2 * e + 1], head[2 * e]
            if base[u] >= 0 and base[v] >= 0 and base[u] != base[v] and far[u] + cost[e] + far[v] <= instead[e]:
                found[many, 0] = e
                found[many, 1] = base[u]
                found[many, 2] = base[v]
                many += 1
    return found[:many]


@numba.njit(cache=True, nogil=True)
@no_type_check
def merge(net, edges, nears, fars):  # noqa: ANN001, ANN201
    """Take the given edges. Returns how many were taken."""
    many = 0
    for i in range(len(edges)):
        e = edges[i]
        if not net.alive[e]:
            continue
        near, far = now(net, nears[i]), now(net, fars[i])
        if near == far:
            continue
        take(net, e, near, far)
        many += 1
    return many


@numba.njit(cache=True, nogil=True)
@no_type_check
def _ring(net, v, u, most, limit, label, touched, stops, lengths):  # noqa: ANN001, ANN202
    """Distances up to `most` from u without v, left in `label`; the terminals met, nearest first, in `stops` and `lengths`. Returns (terminals, touched)."""
    heap = [(np.int64(0), np.int64(u))]
    label[u] = 0
    touched[0] = u
    size, many, pops = 1, 0, 0
    while len(heap) > 0 and pops < limit:
        d, x = heappop(heap)
        if d > label[x]:
            continue
        pops += 1
        if net.terminal[x]:
            if many < len(stops):
                stops[many] = x
                lengths[many] = d
                many += 1
            if x != u:
                continue
        a = net.first[x]
        looked = 0
        while a >= 0 and looked < limit:
            looked += 1
            w = net.head[a]
            far = d + net.cost[a >> 1]
            if w != v and far <= most and (label[w] < 0 or far < label[w]):
                if label[w] < 0:
                    touched[size] = w
                    size += 1
                label[w] = far
                heappush(heap, (far, np.int64(w)))
            a = net.after[a]
    return many, size


@numba.njit(cache=True, nogil=True)
@no_type_check
def dissolve(net, most_edges, parent, length, limit, flag):  # noqa: ANN001, ANN201
    """Split vertices of three to `most_edges` edges that no optimal tree needs more than two of; edges that would be bypassed are dropped at once.

    parent, length: bottlenecks between terminals, by vertex. Returns how many went, −1 − how many when room ran out.
    """
    n = len(net.first)
    label = np.full(n, -1, np.int64)
    touched = np.empty(n, np.int64)
    near = np.empty(most_edges, np.int64)
    price = np.empty(most_edges, np.int64)
    arc = np.empty(most_edges, np.int64)
    stops = np.empty((most_edges, 6), np.int64)
    lengths = np.empty((most_edges, 6), np.int64)
    counted = np.empty(most_edges, np.int64)
    special = np.empty((most_edges, most_edges), np.int64)
    joined = np.empty(most_edges, np.bool_)
    reach = np.empty(most_edges, np.int64)
    gone = 0
    for v in range(n):
        if v & 255 == 0 and flag[0]:
            break
        many = net.degree[v]
        if net.gone[v] or net.terminal[v] or many < 3 or many > most_edges:
            continue
        a = net.first[v]
        for i in range(many):
            arc[i] = a
            a = net.after[a]
        order = np.argsort(arc[:many])
        arc[:many] = arc[:many][order]
        total = np.int64(0)
        least, second = ENDLESS, ENDLESS
        for i in range(many):
            near[i] = net.head[arc[i]]
            price[i] = net.cost[arc[i] >> 1]
            total += price[i]
            if price[i] < least:
                least, second = price[i], least
            elif price[i] < second:
                second = price[i]
        for i in range(many):
            for j in range(many):
                special[i, j] = ENDLESS // 8
        for i in range(many):
            counted[i], size = _ring(net, v, near[i], total, limit, label, touched, stops[i], lengths[i])
            for j in range(many):
                if j != i and label[near[j]] >= 0:
                    special[i, j] = min(special[i, j], label[near[j]])
                    special[j, i] = special[i, j]
            for q in range(size):
                label[touched[q]] = -1
        for i in range(many):
            for j in range(i + 1, many):
                best = special[i, j]
                for p in range(counted[i]):
                    for q in range(counted[j]):
                        s = max(lengths[i, p], lengths[j, q])
                        if s < best and stops[i, p] != stops[j, q]:
                            b = bottleneck(parent, length, stops[i, p], stops[j, q])
                            s = max(s, b) if b < least + second else best
                        best = min(best, s)
                special[i, j] = best
                special[j, i] = best
        fits = True
        for chosen in range(7, 1 << many):  # every set of three or more edges
            bits = 0
            paid = np.int64(0)
            head = -1
            for i in range(many):
                if chosen >> i & 1:
                    bits += 1
                    paid += price[i]
                    head = i
            if bits < 3:
                continue
            joined[:] = False
            joined[head] = True
            for i in range(many):
                reach[i] = special[head, i]
            tree = np.int64(0)
            for _ in range(bits - 1):
                pick = -1
                for i in range(many):
                    if chosen >> i & 1 and not joined[i] and (pick < 0 or reach[i] < reach[pick]):
                        pick = i
                tree += reach[pick]
                joined[pick] = True
                for i in range(many):
                    reach[i] = min(reach[i], special[pick, i])
            if tree > paid:
                fits = False
                break
        if not fits:
            continue
        stay = 0
        for i in range(many):
            for j in range(i + 1, many):
                if special[i, j] > price[i] + price[j]:
                    stay += 1
        if stay > many:
            continue
        e = net.tally[USED]
        if not split(net, v, True):
            return -1 - gone
        for i in range(many):
            for j in range(i + 1, many):
                if net.alive[e] and special[i, j] <= price[i] + price[j]:
                    drop(net, e)
                e += 1
        gone += 1
    return gone


@numba.njit(cache=True, nogil=True)
@no_type_check
def exclusions(start, arcs, head, reduced, terminal, root, slack, flag):  # noqa: ANN001, ANN201
    """Edges, vertices and vertices of degree above two that no tree holds whose cost exceeds the bound by less than `slack`.

    reduced: reduced cost per arc. Returns (edge flags, vertex flags, split flags).
    """
    n, m = len(start) - 1, len(head) // 2
    huge = ENDLESS // 8
    from_root = np.full(n, huge, np.int64)
    from_root[root] = 0
    heap = [(np.int64(0), np.int64(root))]
    while len(heap) > 0:
        d, v = heappop(heap)
        if d > from_root[v] or d >= slack:
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            far = d + reduced[a]
            if far < from_root[w]:
                from_root[w] = far
                heappush(heap, (far, np.int64(w)))
    first = np.full(n, huge, np.int64)
    second = np.full(n, huge, np.int64)
    whose = np.full(n, -1, np.int64)
    known = np.zeros(n, np.int64)
    queue = [(np.int64(0), np.int64(v), np.int64(v)) for v in range(n) if terminal[v] and v != root]
    heapify(queue)
    while len(queue) > 0:
        d, v, b = heappop(queue)
        if d >= slack:
            break
        if known[v] == 0:
            first[v] = d
            whose[v] = b
            known[v] = 1
        elif known[v] == 1 and whose[v] != b:
            second[v] = d
            known[v] = 2
        else:
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p] ^ 1
            w = head[a ^ 1]
            if known[w] < 2 and whose[w] != b:
                heappush(queue, (d + reduced[a], np.int64(w), b))
    edges = np.zeros(m, np.bool_)
    vertices = np.zeros(n, np.bool_)
    splits = np.zeros(n, np.bool_)
    if flag[0]:
        return edges, vertices, splits
    for e in range(m):
        u, v = head[2 * e + 1], head[2 * e]
        edges[e] = from_root[u] + reduced[2 * e] + first[v] >= slack and from_root[v] + reduced[2 * e + 1] + first[u] >= slack
    for v in range(n):
        if not terminal[v]:
            vertices[v] = from_root[v] + first[v] >= slack
            splits[v] = not vertices[v] and from_root[v] + first[v] + second[v] >= slack
    return edges, vertices, splits


@numba.njit(cache=True, nogil=True)
@no_type_check
def exclude(net, edges, vertices, splits, most_edges):  # noqa: ANN001, ANN201
    """Take out what `exclusions` found, in the net's numbers: edges, vertices, then splits while they have 3 … most_edges edges and there is room.

    Nothing is written down but how many of the splits were made: flags in the order of `splits`.
    """
    for e in edges:
        if net.alive[e]:
            unlink(net, e)
    for v in vertices:
        clear(net, v)
    made = np.zeros(len(splits), np.bool_)
    for i in range(len(splits)):
        v = splits[i]
        if net.gone[v] or not 3 <= net.degree[v] <= most_edges:
            continue
        twice = False  # two edges to one neighbour would leave a loop in the middle of this step
        a = net.first[v]
        while a >= 0:
            b = net.after[a]
            while b >= 0:
                twice = twice or net.head[a] == net.head[b]
                b = net.after[b]
            a = net.after[a]
        if not twice:
            made[i] = split(net, v, False)
    return made
