"""Local search on a Steiner tree: exchange key paths, eliminate key vertices, insert Steiner vertices.

In: a graph by arcs, costs, terminals and the edges of a tree over all terminals. Out: the edges of a tree over all terminals, never costlier, in
which no exchange of one key path and no elimination of one key vertex pays (unless rounds ran out or the flag was raised). A key vertex is a
vertex of the tree that is no terminal and has three or more edges; key paths run between key vertices and terminals.

Each round costs O(m log n): one Voronoi diagram around all vertices of the tree; the edges between regions wait in mergeable heaps that are
melded upwards; only the regions of the vertices a move takes away are mended, by a local Dijkstra. Moves of one round must not disturb each other:
the tree paths that a new connection closes to a cycle are pinned until the next round.

Source: E. Uchoa, R. F. Werneck, "Fast local search for the Steiner problem in graphs", ACM Journal of Experimental Algorithmics 17 (2012);
both moves in one pass as in Pajor, Uchoa, Werneck, "A robust and scalable algorithm for the Steiner problem in graphs" (2018).
"""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

from kiban.design.steiner.paths import find

Ints = NDArray[np.int64]

FINE = 1e-12  # of a tree's cost; a smaller gain is rounding
POLL = 2047  # look at the flag once in so many steps; a power of two less one
REACH = 4000  # longest walk along the tree when a vertex is inserted
EFFORT = 40  # steps per edge of the graph that one pass of insertions may take


# A heap of vertices with four children per place: keys, nodes, and the place of each vertex (-1: outside).


@numba.njit(cache=True, nogil=True)
@no_type_check
def _push(keys, nodes, place, size, v, key):  # noqa: ANN001, ANN202
    """Put v into the heap, or lower its key; the new size."""
    i = place[v]
    if i < 0:
        i = size
        size += 1
    while i > 0:
        p = (i - 1) >> 2
        if keys[p] <= key:
            break
        keys[i] = keys[p]
        nodes[i] = nodes[p]
        place[nodes[i]] = i
        i = p
    keys[i] = key
    nodes[i] = v
    place[v] = i
    return size


@numba.njit(cache=True, nogil=True)
@no_type_check
def _drop(keys, nodes, place, size):  # noqa: ANN001, ANN202
    """Take the first vertex out of the heap; the new size."""
    size -= 1
    place[nodes[0]] = -1
    if size == 0:
        return size
    key = keys[size]
    v = nodes[size]
    i = 0
    while True:
        c = 4 * i + 1
        if c >= size:
            break
        least = c
        for j in range(c + 1, min(c + 4, size)):
            if keys[j] < keys[least]:
                least = j
        if keys[least] >= key:
            break
        keys[i] = keys[least]
        nodes[i] = nodes[least]
        place[nodes[i]] = i
        i = least
    keys[i] = key
    nodes[i] = v
    place[v] = i
    return size


# Pairing heaps of boundary edges: node h stands for the end of edge h >> 1 that arc h leaves; -1 is the empty heap.


@numba.njit(cache=True, nogil=True)
@no_type_check
def _meld(a, b, key, child, sibling):  # noqa: ANN001, ANN202
    """One heap out of two."""
    if a < 0:
        return b
    if b < 0:
        return a
    if key[b >> 1] < key[a >> 1]:
        a, b = b, a
    sibling[b] = child[a]
    child[a] = b
    return a


@numba.njit(cache=True, nogil=True)
@no_type_check
def _behead(root, key, child, sibling):  # noqa: ANN001, ANN202
    """The heap without its least node."""
    c = child[root]
    paired = np.int64(-1)
    while c >= 0:
        d = np.int64(sibling[c])
        if d < 0:
            sibling[c] = paired
            paired = np.int64(c)
            break
        after = sibling[d]
        r = _meld(np.int64(c), d, key, child, sibling)
        sibling[r] = paired
        paired = r
        c = after
    if paired < 0:
        return paired
    top = paired
    c = sibling[top]
    while c >= 0:
        after = sibling[c]
        top = _meld(top, np.int64(c), key, child, sibling)
        c = after
    return top


@numba.njit(cache=True, nogil=True)
@no_type_check
def _rebuilt(start, arcs, head, cost, terminal, chosen, group, degree, lone):  # noqa: ANN001, ANN202
    """Minimum spanning tree over the chosen vertices without its barren leaves; `chosen` becomes the vertices of that tree."""
    n = len(chosen)
    many = 0
    for v in range(n):
        if chosen[v]:
            group[v] = v
            degree[v] = 0
            lone[v] = 0
            for p in range(start[v], start[v + 1]):
                w = head[arcs[p]]
                if v < w and chosen[w]:
                    many += 1
    edges, price = np.empty(many, np.int64), np.empty(many, np.float64)
    many = 0
    for v in range(n):
        if chosen[v]:
            for p in range(start[v], start[v + 1]):
                w = head[arcs[p]]
                if v < w and chosen[w]:
                    edges[many] = arcs[p] >> 1
                    price[many] = cost[arcs[p] >> 1]
                    many += 1
    tree = np.empty(n, np.int64)
    size = 0
    for i in np.argsort(price, kind="mergesort"):
        e = edges[i]
        a, b = head[2 * e + 1], head[2 * e]
        ra, rb = find(group, a), find(group, b)
        if ra != rb:
            group[rb] = ra
            tree[size] = e
            size += 1
            degree[a] += 1
            degree[b] += 1
            lone[a] ^= e  # the one edge that is left once the degree is one
            lone[b] ^= e
    for i in range(n):
        v = np.int64(i)
        while chosen[v] and not terminal[v] and degree[v] <= 1:
            chosen[v] = False
            if degree[v] == 1:
                degree[v] = 0
                e = lone[v]
                v = head[2 * e] if head[2 * e] != v else head[2 * e + 1]
                degree[v] -= 1
                lone[v] ^= e
    kept = 0
    total = 0.0
    for i in range(size):
        e = tree[i]
        if degree[head[2 * e]] > 0 and degree[head[2 * e + 1]] > 0:
            tree[kept] = e
            kept += 1
            total += cost[e]
    return tree[:kept].copy(), total


@numba.njit(cache=True, nogil=True)
@no_type_check
def _preorder(head, tree, root, first):  # noqa: ANN001, ANN202
    """Arcs into the vertices of the tree in preorder from the root (-1 for the root itself)."""
    many = len(tree)
    after = np.empty(2 * many, np.int64)
    for e in tree:
        first[head[2 * e]] = -1
        first[head[2 * e + 1]] = -1
    first[root] = -1
    for i in range(many):
        for side in range(2):
            v = head[2 * tree[i] + 1 - side]
            after[2 * i + side] = first[v]
            first[v] = 2 * i + side
    into, stack = np.empty(many + 1, np.int64), np.empty(many + 1, np.int64)
    stack[0] = -1
    waiting, size = 1, 0
    while waiting > 0:
        waiting -= 1
        a = stack[waiting]
        into[size] = a
        size += 1
        link = np.int64(first[root if a < 0 else head[a]])
        while link >= 0:
            b = 2 * tree[link >> 1] + (link & 1)
            if a < 0 or b != a ^ 1:
                stack[waiting] = b
                waiting += 1
            link = after[link]
    return into


@numba.njit(cache=True, nogil=True)
@no_type_check
def _insert(start, arcs, head, cost, tree, root, chosen, first, seen, up, price, fine, flag):  # noqa: ANN001, ANN202
    """Choose further vertices whose edges shorten the spanning tree; how many. The caller rebuilds the tree."""
    into = _preorder(head, tree, root, first)
    longest = 0.0
    up[root] = -1
    for i in range(1, len(into)):
        a = into[i]
        v = head[a]
        up[v] = head[a ^ 1]
        price[v] = cost[a >> 1]
        longest = max(longest, price[v])
    n = len(chosen)
    seen[:] = 0
    for v in range(n):
        if chosen[v]:
            for p in range(start[v], start[v + 1]):
                w = head[arcs[p]]
                if not chosen[w] and cost[arcs[p] >> 1] < longest:
                    seen[w] += 1
    many = 0
    for v in range(n):
        if seen[v] >= 2:
            many += 1
    candidates = np.empty(many, np.int64)
    many = 0
    for v in range(n):
        if seen[v] >= 2:
            candidates[many] = v
            many += 1
    seen[:] = 0
    capacity = 8 * REACH
    log_vertex, log_up, log_price = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.float64)
    stamp = 0
    inserted = 0
    left = EFFORT * (len(cost) + n)
    for i in range(many):
        if i & 63 == 0 and flag[0] != 0:
            break
        if left <= 0:
            break
        v = candidates[i]
        nearest = np.int64(-1)
        for p in range(start[v], start[v + 1]):
            if chosen[head[arcs[p]]] and (nearest < 0 or cost[arcs[p] >> 1] < cost[nearest >> 1]):
                nearest = arcs[p]
        hope = -cost[nearest >> 1]
        for p in range(start[v], start[v + 1]):
            if chosen[head[arcs[p]]] and arcs[p] != nearest and cost[arcs[p] >> 1] < longest:
                hope += longest - cost[arcs[p] >> 1]
        if hope <= fine:
            continue
        up[v] = head[nearest]
        price[v] = cost[nearest >> 1]
        net = price[v]
        logged = 0
        for p in range(start[v], start[v + 1]):
            t = head[arcs[p]]
            extra = cost[arcs[p] >> 1]
            if not chosen[t] or arcs[p] == nearest or extra >= longest:
                continue
            # Climb from both ends by turns until one steps on the way of the other.
            stamp += 2
            x, y = np.int64(t), np.int64(v)
            seen[x] = stamp
            seen[y] = stamp + 1
            meet = np.int64(-1)
            for _ in range(REACH):
                left -= 1
                if up[x] >= 0:
                    x = np.int64(up[x])
                    if seen[x] == stamp + 1:
                        meet = x
                        break
                    seen[x] = stamp
                if up[y] >= 0:
                    y = np.int64(up[y])
                    if seen[y] == stamp:
                        meet = y
                        break
                    seen[y] = stamp + 1
            if meet < 0:
                continue
            worst, cut, below = extra, np.int64(-1), np.int64(t)
            x = np.int64(t)
            steps = 0
            while x != meet:
                steps += 1
                if price[x] > worst:
                    worst, cut, below = price[x], x, np.int64(t)
                x = np.int64(up[x])
            x = np.int64(v)
            while x != meet:
                steps += 1
                if price[x] > worst:
                    worst, cut, below = price[x], x, np.int64(v)
                x = np.int64(up[x])
            if cut < 0 or logged + steps > capacity:
                continue
            # The part below the cut is hung up anew at its end of the new edge.
            net += extra - worst
            x, over, fee = below, (np.int64(v) if below == t else np.int64(t)), extra
            while True:
                log_vertex[logged], log_up[logged], log_price[logged] = x, up[x], price[x]
                logged += 1
                next_over, next_fee = np.int64(up[x]), price[x]
                up[x] = over
                price[x] = fee
                if x == cut:
                    break
                over, fee, x = x, next_fee, next_over
        if net < -fine:
            chosen[v] = True
            inserted += 1
        else:
            for j in range(logged - 1, -1, -1):
                up[log_vertex[j]] = log_up[j]
                price[log_vertex[j]] = log_price[j]
    return inserted


@numba.njit(cache=True, nogil=True)
@no_type_check
def _part(top, end, slot, owner, low, b):  # noqa: ANN001, ANN202
    """Which part of the split tree holds b: 0 outside the subtree of `top`, else the slot of the highest crucial vertex over b."""
    if b < top or b >= end[top]:
        return np.int64(0)
    return np.int64(slot[find(owner, low[b])])


@numba.njit(cache=True, nogil=True)
@no_type_check
def _mend(  # noqa: ANN202
    start, arcs, head, cost,  # noqa: ANN001
    dist, base, new_dist, new_base, new_via, new_part, mark, stamp, loose, many,  # noqa: ANN001
    keys, nodes, place, gone, top, end, slot, owner, low,  # noqa: ANN001
    ceiling, radius, offer_edge, offer_cost, offer_a, offer_b, offers, flag,  # noqa: ANN001
):  # fmt: skip
    """Give the loose vertices to the regions that stay, and offer the edges at them that join two parts for less than the ceiling.

    Only distances within the radius count: each vertex of a path of length l is within l / 2 of one of its ends.
    """
    size = np.int64(0)
    for i in range(many):
        x = loose[i]
        nearest, arc = np.inf, np.int64(-1)
        for p in range(start[x], start[x + 1]):
            a = arcs[p]
            y = head[a]
            if mark[y] != stamp and base[y] >= 0:
                d = dist[y] + cost[a >> 1]
                if d < nearest and d <= radius and not gone[base[y]]:
                    nearest, arc = d, np.int64(a)
        new_dist[x] = nearest
        if arc >= 0:
            new_via[x] = arc ^ 1
            b = base[head[arc]]
            new_base[x] = b
            new_part[x] = _part(top, end, slot, owner, low, b)
            size = _push(keys, nodes, place, size, x, nearest)
    steps = 0
    while size > 0:
        x = nodes[0]
        size = _drop(keys, nodes, place, size)
        steps += 1
        if steps & POLL == 0 and flag[0] != 0:
            for i in range(size):
                place[nodes[i]] = -1
            return 0
        for p in range(start[x], start[x + 1]):
            a = arcs[p]
            y = head[a]
            if mark[y] == stamp:
                d = new_dist[x] + cost[a >> 1]
                if d < new_dist[y] and d <= radius:
                    new_dist[y] = d
                    new_via[y] = a
                    new_base[y] = new_base[x]
                    new_part[y] = new_part[x]
                    size = _push(keys, nodes, place, size, y, d)
    for i in range(many):
        x = loose[i]
        if new_dist[x] == np.inf:
            continue
        for p in range(start[x], start[x + 1]):
            a = arcs[p]
            y = head[a]
            w = new_dist[x] + cost[a >> 1]
            if w >= ceiling:
                continue
            if mark[y] == stamp:
                if x > y:  # each edge once
                    continue
                w += new_dist[y]
                if w >= ceiling:
                    continue
                other = np.int64(new_part[y])
            else:
                if base[y] < 0 or gone[base[y]]:
                    continue
                w += dist[y]
                if w >= ceiling:
                    continue
                other = _part(top, end, slot, owner, low, base[y])
            if other != new_part[x]:
                offer_edge[offers] = a >> 1
                offer_cost[offers] = w
                offer_a[offers] = new_part[x]
                offer_b[offers] = other
                offers += 1
    return offers


@numba.njit(cache=True, nogil=True)
@no_type_check
def _join(offer_edge, offer_cost, offer_a, offer_b, offers, parts, ceiling, union, best, picked):  # noqa: ANN001, ANN202
    """Join all parts by the cheapest offers (Borůvka): how many were picked, 0 if that cannot be had for less than the ceiling."""
    for c in range(parts):
        union[c] = c
    count = 0
    spent = 0.0
    while count < parts - 1:
        for c in range(parts):
            best[c] = -1
        kept = 0
        for i in range(offers):
            a, b = find(union, offer_a[i]), find(union, offer_b[i])
            if a == b:
                continue
            offer_edge[kept], offer_cost[kept], offer_a[kept], offer_b[kept] = offer_edge[i], offer_cost[i], a, b
            if best[a] < 0 or offer_cost[kept] < offer_cost[best[a]]:  # the earlier of equals: no cycle
                best[a] = kept
            if best[b] < 0 or offer_cost[kept] < offer_cost[best[b]]:
                best[b] = kept
            kept += 1
        offers = kept
        if offers == 0:
            return 0
        for c in range(parts):
            i = best[c]
            if i >= 0:
                a, b = find(union, offer_a[i]), find(union, offer_b[i])
                if a != b:
                    union[b] = a
                    picked[count] = offer_edge[i]
                    count += 1
                    spent += offer_cost[i]
                    if spent >= ceiling:
                        return 0
    return count


@numba.njit(cache=True, nogil=True)
@no_type_check
def _pin(jump, above, end, a, b, low):  # noqa: ANN001, ANN202
    """Pin the key paths between a and b, those that are only touched included."""
    for _ in range(2):
        u = find(jump, low[a])
        while not (u <= b < end[u]):
            jump[u] = above[u]
            u = find(jump, u)
        a, b = b, a


@numba.njit(cache=True, nogil=True)
@no_type_check
def _take(head, via, base, new_via, new_base, mark, stamp, chosen, v):  # noqa: ANN001, ANN202
    """Choose the vertices from v to its base; the base."""
    b = new_base[v] if mark[v] == stamp else base[v]
    while True:
        chosen[v] = True
        a = new_via[v] if mark[v] == stamp else via[v]
        if a < 0:
            return b
        v = head[a ^ 1]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _exchange(  # noqa: ANN202
    start, arcs, head, cost, terminal, tree, root, chosen, fine,  # noqa: ANN001
    dist, base, via, next_in_region, new_dist, new_base, new_via, new_part, mark, loose, keys, nodes, place, first,  # noqa: ANN001
    key, child, sibling, next_across, offer_edge, offer_cost, offer_a, offer_b, flag,  # noqa: ANN001
):  # fmt: skip
    """One pass over all key vertices and key paths: choose and unchoose vertices; how many moves. The caller rebuilds the tree."""
    into = _preorder(head, tree, root, first)
    size = len(into)
    # Vertices of the tree go by their number in preorder from here on: a subtree is a range, children come after parents.
    base[:] = -1
    dist[:] = np.inf
    node, above_one = np.empty(size, np.int32), np.empty(size, np.int32)
    along, end, crucial = np.empty(size, np.float64), np.empty(size, np.int32), np.zeros(size, np.bool_)
    degree, heavy, chain = np.zeros(size, np.int32), np.full(size, -1, np.int32), np.empty(size, np.int32)
    for i in range(size):
        v = root if i == 0 else head[into[i]]
        node[i] = v
        base[v] = i
        dist[v] = 0.0
        via[v] = -1
        end[i] = i + 1
        above_one[i] = -1
        crucial[i] = terminal[v]
        if i > 0:
            above_one[i] = base[head[into[i] ^ 1]]
            degree[i] += 1
            degree[above_one[i]] += 1
    for i in range(size - 1, 0, -1):
        p = above_one[i]
        end[p] = max(end[p], end[i])
        if heavy[p] < 0 or end[i] - i > end[heavy[p]] - heavy[p]:
            heavy[p] = i
        if degree[i] >= 3:
            crucial[i] = True
    # above: the next crucial vertex upwards; low: the crucial vertex under a path's inner vertex; along: cost up to the next crucial vertex.
    above, low = np.full(size, -1, np.int32), np.empty(size, np.int32)
    child_first, child_next, children = np.full(size, -1, np.int32), np.full(size, -1, np.int32), np.zeros(size, np.int32)
    along[0] = 0.0
    chain[0] = 0
    star = np.zeros(size, np.float64)
    ceiling = 0.0
    most = 1
    for i in range(1, size):
        p = above_one[i]
        chain[i] = chain[p] if heavy[p] == i else i
        along[i] = cost[into[i] >> 1]
        above[i] = p
        if not crucial[p]:
            along[i] += along[p]
            above[i] = above[p]
        if crucial[i]:
            u = above[i]
            child_next[i] = child_first[u]
            child_first[u] = i
            children[u] += 1
            star[i] += along[i]
            star[u] += along[i]
            most = max(most, children[u])
            ceiling = max(ceiling, along[i])
    for i in range(size - 1, -1, -1):
        low[i] = i if crucial[i] else low[i + 1]
        if crucial[i] and not terminal[node[i]]:
            ceiling = max(ceiling, star[i])
    # Voronoi regions. No useful connection is as long as what the greatest move takes away, so half of that is far enough.
    region = np.full(size, -1, np.int32)
    far = 0.5 * ceiling
    waiting = np.int64(0)
    for i in range(size):
        v = node[i]
        next_in_region[v] = -1
        region[i] = v
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            d = cost[a >> 1]
            if d < dist[w] and d <= far:
                dist[w] = d
                base[w] = i
                via[w] = a
                waiting = _push(keys, nodes, place, waiting, w, d)
    steps = 0
    while waiting > 0:
        v = nodes[0]
        waiting = _drop(keys, nodes, place, waiting)
        steps += 1
        if steps & POLL == 0 and flag[0] != 0:
            for i in range(waiting):
                place[nodes[i]] = -1
            return 0
        next_in_region[v] = region[base[v]]
        region[base[v]] = v
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            d = dist[v] + cost[a >> 1]
            if d < dist[w] and d <= far:
                dist[w] = d
                base[w] = base[v]
                via[w] = a
                waiting = _push(keys, nodes, place, waiting, w, d)
    # Edges between regions: in the heap of either end's crucial vertex, and in the list of the key vertex where their ends' ways up meet.
    heap, across = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    for e in range(len(cost)):
        x, y = base[head[2 * e + 1]], base[head[2 * e]]
        if x < 0 or y < 0 or x == y:
            continue
        w = dist[head[2 * e + 1]] + cost[e] + dist[head[2 * e]]
        if w >= ceiling or into[x] >> 1 == e or into[y] >> 1 == e:
            continue
        key[e] = w
        for side in range(2):
            h = np.int64(2 * e + side)
            b, other = (x, y) if side == 0 else (y, x)
            g = b if crucial[b] else above[b]
            if g <= other < end[g] or low[other] == g:  # would be thrown out at its first use
                continue
            child[h] = -1
            sibling[h] = -1
            heap[g] = _meld(heap[g], h, key, child, sibling)
        a, b = x, y
        while chain[a] != chain[b]:
            if chain[a] > chain[b]:
                a = above_one[chain[a]]
            else:
                b = above_one[chain[b]]
        meet = min(a, b)
        if meet != x and meet != y and not terminal[node[meet]]:
            if w >= star[meet]:
                continue
            if (not crucial[x] and above[x] == meet) or (not crucial[y] and above[y] == meet):
                continue
            next_across[e] = across[meet]
            across[meet] = e
    # Bottom up: eliminate the key vertex, else exchange the key path over it.
    gone = np.zeros(size, np.bool_)
    owner, jump, slot = np.arange(size).astype(np.int32), np.arange(size).astype(np.int32), np.zeros(size, np.int32)
    union, best, picked = np.empty(most + 2, np.int32), np.empty(most + 2, np.int64), np.empty(most + 2, np.int64)
    mark[:] = 0
    stamp = 0
    moves = 0
    for v in range(size - 1, 0, -1):
        if not crucial[v]:
            continue
        if flag[0] != 0:
            break
        for turn in range(2):
            if turn == 0:
                if terminal[node[v]] or jump[v] != v:
                    continue
                free = True
                u = child_first[v]
                while u >= 0:
                    free = free and jump[u] == u
                    u = child_next[u]
                if not free:
                    continue
            else:
                u = child_first[v]
                while u >= 0:
                    heap[v] = _meld(heap[v], heap[u], key, child, sibling)
                    owner[u] = v
                    u = child_next[u]
                if jump[v] != v:
                    continue
            # What the move takes away, and the regions that become loose.
            limit = (star[v] if turn == 0 else along[v]) - fine
            if limit <= 0.0:
                continue
            stamp += 1
            many = 0
            u = v if turn == 1 else child_first[v]
            taken = np.int64(v)
            while True:
                if u < 0:
                    u = v
                    if turn == 0:
                        x = region[v]
                        while x >= 0:
                            loose[many] = x
                            mark[x] = stamp
                            many += 1
                            x = next_in_region[x]
                taken = above_one[u]
                while not crucial[taken]:
                    x = region[taken]
                    while x >= 0:
                        loose[many] = x
                        mark[x] = stamp
                        many += 1
                        x = next_in_region[x]
                    taken = above_one[taken]
                if u == v:
                    break
                u = child_next[u]
            # The cheapest edge out of each part, then the edges between the parts below v, then those at loose vertices.
            offers = 0
            parts = 1
            roof = limit
            u = v if turn == 1 else child_first[v]
            while u >= 0:
                slot[u] = parts
                while heap[u] >= 0:
                    h = heap[u]
                    own, other = base[head[h ^ 1]], base[head[h]]
                    if gone[own] or gone[other] or v <= other < end[v] or mark[node[other]] == stamp:
                        heap[u] = _behead(h, key, child, sibling)
                        continue
                    if key[h >> 1] < limit:
                        offer_edge[offers], offer_cost[offers], offer_a[offers], offer_b[offers] = h >> 1, key[h >> 1], parts, 0
                        offers += 1
                        if turn == 1:
                            roof = key[h >> 1]
                    break
                parts += 1
                if turn == 1:
                    break
                u = child_next[u]
            if turn == 0:
                e = across[v]
                while e >= 0:
                    x, y = base[head[2 * e + 1]], base[head[2 * e]]
                    if not gone[x] and not gone[y]:
                        offer_edge[offers], offer_cost[offers] = e, key[e]
                        offer_a[offers], offer_b[offers] = slot[find(owner, low[x])], slot[find(owner, low[y])]
                        offers += 1
                    e = next_across[e]
            if many > 0:
                offers = _mend(
                    start, arcs, head, cost,
                    dist, base, new_dist, new_base, new_via, new_part, mark, stamp, loose, many,
                    keys, nodes, place, gone, v, end, slot, owner, low,
                    roof, 0.5 * roof, offer_edge, offer_cost, offer_a, offer_b, offers, flag,
                )  # fmt: skip
            if offers < parts - 1:
                continue
            count = _join(offer_edge, offer_cost, offer_a, offer_b, offers, parts, limit, union, best, picked)
            if count == 0:
                continue
            moves += 1
            for i in range(many):
                x = loose[i]
                if via[x] < 0:  # a vertex of the tree
                    gone[base[x]] = True
                    chosen[x] = False
            for i in range(count):
                e = picked[i]
                x = _take(head, via, base, new_via, new_base, mark, stamp, chosen, head[2 * e + 1])
                y = _take(head, via, base, new_via, new_base, mark, stamp, chosen, head[2 * e])
                _pin(jump, above, end, x, y, low)
    return moves


@numba.njit(cache=True, nogil=True)
@no_type_check
def improved_tree(n, start, arcs, head, cost, terminal, edges_of_tree, rounds, flag):  # noqa: ANN001, ANN201
    """Rounds of insertions and exchanges until neither pays; see improve."""
    m = len(cost)
    chosen = np.zeros(n, np.bool_)
    root = np.int64(-1)
    for v in range(n):
        if terminal[v]:
            chosen[v] = True
            if root < 0:
                root = np.int64(v)
    for e in edges_of_tree:
        chosen[head[2 * e]] = True
        chosen[head[2 * e + 1]] = True
    group, degree, lone = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64)
    tree, total = _rebuilt(start, arcs, head, cost, terminal, chosen, group, degree, lone)
    if rounds <= 0 or len(tree) == 0 or flag[0] != 0:
        return tree
    dist, new_dist, keys = np.empty(n, np.float64), np.empty(n, np.float64), np.empty(n, np.float64)
    base, via, region, mark = np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(n, np.int32)
    new_base, new_via, new_part, loose = np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32)
    nodes, place, first = np.empty(n, np.int32), np.full(n, -1, np.int32), np.empty(n, np.int32)
    key, child, sibling, across = np.empty(m, np.float64), np.empty(2 * m, np.int32), np.empty(2 * m, np.int32), np.empty(m, np.int32)
    offer_edge, offer_cost, offer_a, offer_b = np.empty(m, np.int64), np.empty(m, np.float64), np.empty(m, np.int32), np.empty(m, np.int32)
    settled = False  # whether the last pass of exchanges found nothing and the tree is still the same
    for _ in range(rounds):
        if flag[0] != 0:
            break
        gained = False
        if _insert(start, arcs, head, cost, tree, root, chosen, first, lone, group, dist, FINE * total, flag) > 0:
            other, price = _rebuilt(start, arcs, head, cost, terminal, chosen, group, degree, lone)
            if price < total:
                tree, total, gained, settled = other, price, True, False
            else:
                break
        if settled or flag[0] != 0:
            break
        moves = _exchange(
            start, arcs, head, cost, terminal, tree, root, chosen, FINE * total,
            dist, base, via, region, new_dist, new_base, new_via, new_part, mark, loose, keys, nodes, place, first,
            key, child, sibling, across, offer_edge, offer_cost, offer_a, offer_b, flag,
        )  # fmt: skip
        settled = moves == 0
        if moves > 0:
            other, price = _rebuilt(start, arcs, head, cost, terminal, chosen, group, degree, lone)
            if price < total:
                tree, total, gained = other, price, True
            else:
                break
        if not gained:
            break
    return tree


def improve(
    n: int, start: Ints, arcs: Ints, head: NDArray[np.integer], cost: NDArray[np.float64], terminal: NDArray[np.bool_],
    edges_of_tree: Ints, rounds: int, flag: NDArray[np.uint8],
) -> Ints:  # fmt: skip
    """A tree over all terminals, never costlier than the given one and without leaves that are no terminals.

    Edge e has the arcs 2e and 2e + 1, head[a] is where arc a leads, arcs[start[v]:start[v + 1]] leave v. The search ends soon after flag[0] is
    set to another number than 0, with the best tree so far. Kernels call improved_tree with the same arguments.
    """
    tree: Ints = improved_tree(n, start, arcs, head, cost, terminal, np.asarray(edges_of_tree, dtype=np.int64), rounds, flag)
    return tree


@numba.njit(cache=True, nogil=True)
@no_type_check
def wander(n, start, arcs, head, cost, terminal, here, best, steps, seed, patience, flag):  # noqa: ANN001, ANN201
    """Iterated local search from one tree: improve at shaken costs, then at the true ones; returns where it stands, the best tree met, the last one.

    A step shakes the costs of all edges, or of some edges of the tree, by a random spread, and goes to the tree it finds unless that is costlier than the
    one here and than (1 + patience) times the best. Both trees are edge numbers; `cost` holds floats. Ends soon after flag[0] is set.
    """
    np.random.seed(seed)
    price, least = 0.0, 0.0
    for e in here:
        price += cost[e]
    for e in best:
        least += cost[e]
    tree = best
    for _ in range(steps):
        shaken = cost.copy()
        wide = 20.0 ** np.random.random()
        if np.random.random() < 0.75:
            for e in range(len(cost)):
                shaken[e] *= 1.0 + 0.05 * wide * np.random.random()
        else:
            for e in here:
                if np.random.random() < 0.02 * wide:
                    shaken[e] *= 1.0 + np.random.random()
        tree = improved_tree(n, start, arcs, head, shaken, terminal, here, 3, flag)
        tree = improved_tree(n, start, arcs, head, cost, terminal, tree, 40, flag)
        total = 0.0
        for e in tree:
            total += cost[e]
        if total <= price or total <= (1.0 + patience) * least:
            here, price = tree, total
        if total < least:
            best, least = tree, total
        if flag[0] != 0:
            break
    return here, best, tree
