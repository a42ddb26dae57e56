"""Designs of a mix: grown along guiding costs, and settled: spanned anew, every site at its cheapest, whatever does not pay taken off.

In: a Ground and chosen vertices or guiding costs. Out: chosen vertices, and the service of each site, with the cost of all modules.

Kernels see vertices and edges as the Ground numbers them. `served` holds per site the edge by which it is served, −1: not at all.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np

from kiban.design.mix.graph import HOP, OPEN, RADIO, STREET
from kiban.design.steiner.ascent import FAR
from kiban.design.steiner.paths import find

NO_OTHER = 1 << 52  # what a site loses that has no other way: more than all costs together
MOST = 1 << 58  # sums of such losses stop here


@numba.njit(cache=True, nogil=True)
@no_type_check
def grown(start, arcs, head, length, terminal, root, inside, flag):  # noqa: ANN001, ANN201
    """Join the terminals one after another, each by the shortest way to what stands; length per arc, inf: not to be used.

    inside: flags per vertex of what stands at first, changed.
    """
    n = len(start) - 1
    far = np.full(n, np.inf)
    via = np.full(n, -1, np.int64)
    heap = [(0.0, np.int64(root))]
    inside[root] = True
    left = 0
    for v in range(n):
        if inside[v]:
            far[v] = 0.0
            heappush(heap, (0.0, np.int64(v)))
        elif terminal[v]:
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
            while not inside[w]:
                inside[w] = True
                far[w] = 0.0
                heappush(heap, (0.0, w))
                w = head[via[w] ^ 1]
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            e = d + length[a]
            if e < far[w]:
                far[w] = e
                via[w] = a
                heappush(heap, (e, w))


@numba.njit(cache=True, nogil=True)
@no_type_check
def settled(start, arcs, head, cost, kind, streets, facilities, root, inside, order, opening):  # noqa: ANN001, ANN201
    """Span the chosen streets and facilities, serve every site at its cheapest and take off what does not pay, again and again.

    cost, opening  guiding cost per arc, and of opening each facility (part of the arcs into it)
    inside         flags per vertex, changed to those of the design
    order          edges of kinds STREET and HOP by cost

    Returns (cost of streets and hops, parent arc per street and facility vertex, served).
    """
    n = len(start) - 1
    base = streets + facilities
    sites = n - base
    up = np.arange(base)
    parent = np.full(base, -1, np.int64)
    tree_first = np.full(base, -1, np.int64)
    follow = np.empty(4 * base + 4, np.int64)
    tree_arc = np.empty(4 * base + 4, np.int64)
    served = np.full(sites, -1, np.int64)
    queue = np.empty(base, np.int64)
    worth = np.empty(base, np.int64)
    depth = np.empty(base, np.int64)
    widest = 0
    for v in range(base, n):
        widest = max(widest, start[v + 1] - start[v])
    ways = np.empty(widest + 1, np.int64)
    while True:
        inside[root] = True
        # the least spanning tree of what is chosen; a facility and its street vertex are one
        for v in range(base):
            up[v] = v
            tree_first[v] = -1
            parent[v] = -1
        many = 0
        for v in range(streets, base):
            if inside[v]:
                for p in range(start[v], start[v + 1]):
                    a = arcs[p]
                    w = head[a]
                    if kind[a >> 1] == OPEN and inside[w]:
                        up[find(up, v)] = find(up, w)
                        tree_arc[many], follow[many] = a, tree_first[v]
                        tree_first[v] = many
                        tree_arc[many + 1], follow[many + 1] = a ^ 1, tree_first[w]
                        tree_first[w] = many + 1
                        many += 2
        for e in order:
            u, w = head[2 * e + 1], head[2 * e]
            if inside[u] and inside[w]:
                s, t = find(up, u), find(up, w)
                if s != t:
                    up[s] = t
                    tree_arc[many], follow[many] = 2 * e, tree_first[u]
                    tree_first[u] = many
                    tree_arc[many + 1], follow[many + 1] = 2 * e + 1, tree_first[w]
                    tree_first[w] = many + 1
                    many += 2
        for v in range(base):
            inside[v] = False
        queue[0] = root
        inside[root] = True
        size, at = 1, 0
        while at < size:
            v = queue[at]
            at += 1
            p = tree_first[v]
            while p >= 0:
                w = head[tree_arc[p]]
                if not inside[w]:
                    inside[w] = True
                    parent[w] = tree_arc[p]
                    queue[size] = w
                    size += 1
                p = follow[p]
        # every site at its cheapest; what it would lose without its supply, and without all that hangs on a vertex further up
        for v in range(base):
            worth[v] = 0
        depth[root] = 0
        for i in range(1, size):
            depth[queue[i]] = depth[head[parent[queue[i]] ^ 1]] + 1
        for s in range(sites):
            v = base + s
            many = 0
            for p in range(start[v], start[v + 1]):
                a = arcs[p] ^ 1
                u = head[a ^ 1]
                if u < base and inside[u] and cost[a] < FAR:
                    i = many
                    while i > 0 and cost[ways[i - 1]] > cost[a]:
                        ways[i] = ways[i - 1]
                        i -= 1
                    ways[i] = a
                    many += 1
            if many == 0:
                served[s] = -1
                continue
            served[s] = ways[0] >> 1
            x = head[ways[0] ^ 1]
            now = cost[ways[0]]
            for i in range(1, many + 1):
                if x == root:
                    break
                y = root
                c = NO_OTHER
                if i < many:
                    c = cost[ways[i]]
                    u, w = x, head[ways[i] ^ 1]
                    while u != w:
                        if depth[u] >= depth[w]:
                            u = head[parent[u] ^ 1]
                        else:
                            w = head[parent[w] ^ 1]
                    y = u
                    if y == x:
                        continue  # lost together with the one before
                worth[x] = min(MOST, worth[x] + c - now)
                x, now = y, c
        for f in range(facilities):
            if inside[streets + f]:
                worth[streets + f] -= opening[f]
        gone = False
        total = np.int64(0)
        for i in range(size - 1, 0, -1):
            v = queue[i]
            a = parent[v]
            e = a >> 1
            price = np.int64(0)
            if kind[e] == STREET:
                price = min(cost[a], cost[a ^ 1])
            elif kind[e] == HOP:  # its cost alone: the opening is counted with the facility
                price = min(cost[a] - opening[head[a] - streets], cost[a ^ 1] - opening[head[a ^ 1] - streets])
            total += price
            if worth[v] <= price:
                inside[v] = False
                gone = True
            else:
                worth[head[a ^ 1]] = min(MOST, worth[head[a ^ 1]] + worth[v] - price)
        if not gone:
            return total, parent, served
        for i in range(1, size):  # what hangs on a vertex that went goes as well
            v = queue[i]
            if not inside[head[parent[v] ^ 1]]:
                inside[v] = False


@numba.njit(cache=True, nogil=True)
@no_type_check
def fitted(start, arcs, head, cost, kind, streets, facilities, inside, served, opening, demand, capacity, closing):  # noqa: ANN001, ANN201
    """Mend what a design serves by radio until no change of one site or of the last module of one facility pays; true costs.

    served, closing: changed; closing flags the facilities that would better be closed. Returns the cost of services and modules.
    """
    base = streets + facilities
    sites = len(start) - 1 - base
    load = np.zeros(facilities, np.float64)
    modules = np.zeros(facilities, np.int64)
    for s in range(sites):
        if served[s] >= 0 and kind[served[s]] == RADIO:
            load[head[2 * served[s] + 1] - streets] += demand[s]
    for f in range(facilities):
        closing[f] = False
        if inside[streets + f]:
            modules[f] = max(1, np.int64(np.ceil(load[f] / capacity[f]))) if capacity[f] < np.inf else 1
    for _ in range(20):
        moved = False
        # single sites: to where there is room, or a module more still pays
        for s in range(sites):
            if served[s] < 0:
                continue
            v = base + s
            now = served[s]
            here = head[2 * now + 1] - streets if kind[now] == RADIO else -1
            freed = np.int64(0)
            if here >= 0 and modules[here] > 1 and load[here] - demand[s] <= capacity[here] * (modules[here] - 1):
                freed = opening[here]
            least = cost[2 * now] - freed
            how = now
            for p in range(start[v], start[v + 1]):
                a = arcs[p] ^ 1
                u = head[a ^ 1]
                e = a >> 1
                if e == now or not inside[u] or cost[a] >= FAR:
                    continue
                c = cost[a]
                if kind[e] == RADIO:
                    f = u - streets
                    if load[f] + demand[s] > capacity[f] * modules[f]:
                        c += opening[f] * max(1, np.int64(np.ceil((load[f] + demand[s]) / capacity[f])) - modules[f])
                if c < least:
                    least = c
                    how = e
            if how != now:
                moved = True
                if here >= 0:
                    load[here] -= demand[s]
                    if freed > 0:
                        modules[here] -= 1
                if kind[how] == RADIO:
                    f = head[2 * how + 1] - streets
                    load[f] += demand[s]
                    if capacity[f] < np.inf:
                        modules[f] = max(modules[f], np.int64(np.ceil(load[f] / capacity[f])))
                served[s] = how
        # the last module of each facility: the sites that leave it with least regret
        for f in range(facilities):
            v = streets + f
            if not inside[v] or modules[f] < 1 or (modules[f] < 2 and closing[f]):
                continue
            over = load[f] - capacity[f] * (modules[f] - 1) if modules[f] > 1 else load[f]
            many = 0
            for p in range(start[v], start[v + 1]):
                a = arcs[p]
                if kind[a >> 1] == RADIO and served[head[a] - base] == a >> 1:
                    many += 1
            keys = np.empty(many, np.float64)
            who = np.empty(many, np.int64)
            where = np.empty(many, np.int64)
            regrets = np.empty(many, np.int64)
            many = 0
            for p in range(start[v], start[v + 1]):
                a = arcs[p]
                if kind[a >> 1] != RADIO or served[head[a] - base] != a >> 1:
                    continue
                s = head[a] - base
                least, how = NO_OTHER, np.int64(-1)
                w = base + s
                for q in range(start[w], start[w + 1]):
                    b = arcs[q] ^ 1
                    u = head[b ^ 1]
                    e = b >> 1
                    if e == a >> 1 or not inside[u] or cost[b] >= least:
                        continue
                    if kind[e] == RADIO and load[u - streets] + demand[s] > capacity[u - streets] * modules[u - streets]:
                        continue
                    least, how = cost[b], e
                who[many], where[many], regrets[many] = s, how, least - cost[a]
                keys[many] = (least - cost[a]) / max(demand[s], 1e-9)
                many += 1
            ranking = np.argsort(keys)
            left, regret, last = over, np.int64(0), 0
            for i in range(many):
                if left <= 0 and modules[f] > 1:
                    break
                left -= demand[who[ranking[i]]]
                regret = min(MOST, regret + regrets[ranking[i]])
                last = i + 1
            if left > 0 or regret >= opening[f]:
                continue
            if modules[f] == 1:
                closing[f] = True
                continue
            for i in range(last):
                s, how = who[ranking[i]], where[ranking[i]]
                if kind[how] == RADIO:
                    g = head[2 * how + 1] - streets
                    if load[g] + demand[s] > capacity[g] * modules[g]:
                        continue  # filled by one before it
                    load[g] += demand[s]
                load[f] -= demand[s]
                served[s] = how
                moved = True
            modules[f] = max(1, np.int64(np.ceil(load[f] / capacity[f])))
        if not moved:
            break
    total = np.int64(0)
    for s in range(sites):
        if served[s] >= 0:
            total += cost[2 * served[s]]
    for f in range(facilities):
        if inside[streets + f]:
            if capacity[f] < np.inf:
                modules[f] = max(1, np.int64(np.ceil(load[f] / capacity[f])))
            total += modules[f] * opening[f]
    return total, modules


@numba.njit(cache=True, nogil=True)
@no_type_check
def symmetric(head, cost, kind, first, streets, opening, forced, extra):  # noqa: ANN001, ANN201
    """One cost per edge for the search that knows no directions: `forced` facilities stand, a hop opens what does not; a site's edges cost `extra` more,
    so that no way leads through a site."""
    m = len(kind)
    found = np.empty(m)
    for e in range(m):
        k = kind[e]
        if k == STREET:
            found[e] = min(cost[2 * e], cost[2 * e + 1])
        elif k == OPEN:
            found[e] = 0.0 if forced[first[e]] else opening[first[e]]
        elif k == HOP:
            i, j = head[2 * e + 1] - streets, head[2 * e] - streets
            found[e] = min(cost[2 * e] - opening[j], cost[2 * e + 1] - opening[i]) + (0.0 if forced[i] else opening[i]) + (0.0 if forced[j] else opening[j])
        else:
            found[e] = cost[2 * e] + extra
    return found
