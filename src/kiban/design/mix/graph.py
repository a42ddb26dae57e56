"""The mix as one graph of edges with a cost for each direction, its streets contracted.

In: the arrays of a Mix. Out: a Ground, on which the bound is raised and designs are grown, and the way back to links and hops.

    street vertices ── streets ── street vertices          the same cost both ways
    street vertex of a site ──▶ site                       fibre's terminal
    root ──▶ site                                          sky
    facility ──▶ site                                      radio
    street vertex of a facility ──▶ facility               opening its first module; the way back costs nothing: what is lit lights its vertex
    facility ──▶ facility                                  a hop, and opening the one it leads to

Edge e has the arcs 2e (from its first to its second end) and 2e + 1; a direction that is not there costs 2 × FAR. Costs are whole numbers of 1 / scale.

Source: the transformation of connected facility location into a Steiner arborescence is that of S. Gollowitzer, I. Ljubić, "MIP models for connected
facility location", Computers & Operations Research 38 (2011) 435–449.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import DesignError
from kiban.design.mix.instance import Arrays
from kiban.design.steiner.ascent import FAR

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

NONE = 2 * FAR
STREET, FIBRE, SKY, RADIO, OPEN, HOP = 0, 1, 2, 3, 4, 5
LOOKS = 60  # vertices settled while another way beside a street is looked for
MANY, FEW_LOOKS = 300_000, 12  # on so many streets it is so many


@dataclass(frozen=True)
class Ground:
    """The graph of a mix. Vertices: streets 0 … streets − 1, then facilities, then sites.

    head, cost   per arc; cost in 1 / scale
    kind, first  per edge: what it stands for, and the number of its street row, site, serves row, facility or hop
    chains       links of each contracted street, in rows: links[chains[i]:chains[i + 1]]
    """

    mix: Arrays
    scale: float
    root: int
    streets: int
    facilities: int
    sites: int
    start: Ints
    arcs: Ints
    head: Ints
    cost: Ints
    kind: NDArray[np.int8]
    first: Ints
    chains: Ints
    links: Ints
    at_site: Ints  # street vertex of each site
    at_facility: Ints
    exact: bool

    @property
    def size(self) -> int:
        """Number of vertices."""
        return self.streets + self.facilities + self.sites

    @property
    def many(self) -> int:
        """Number of edges."""
        return len(self.kind)

    @property
    def terminal(self) -> Flags:
        """Flag per vertex: a site."""
        flags = np.zeros(self.size, np.bool_)
        flags[self.streets + self.facilities :] = True
        return flags


def rows(count: int, head: Ints) -> tuple[Ints, Ints]:
    """(start, arcs): the arcs that leave vertex v are arcs[start[v]:start[v + 1]]."""
    tail = head.reshape(-1, 2)[:, ::-1].reshape(-1)
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(tail, minlength=count), out=start[1:])
    return start, np.argsort(tail, kind="stable").astype(np.int64)


@numba.njit(cache=True, nogil=True)
@no_type_check
def _joined(given, cost, street, fixed, far):  # noqa: ANN001, ANN202
    """Dead ends of streets dropped, chains of them joined, of parallel ones the cheaper kept: (alive, ends, cost, children) per edge.

    given   (edges, 2): the vertices that an edge joins
    cost    (edges, 2): from the first to the second, and back; `far` where there is no way
    street  flag per edge: it may be joined or dropped; the ends of others stay
    fixed   flag per vertex: it stays whatever its degree

    New edges stand behind the given ones and have two children.
    """
    many, count = len(cost), len(fixed)
    top = 2 * many + 1
    end = np.empty((top, 2), np.int64)
    price = np.empty((top, 2), np.int64)
    kid = np.full((top, 2), -1, np.int64)
    alive = np.zeros(top, np.bool_)
    kept = fixed.copy()
    # rows of edges per vertex as linked places, two per edge
    first = np.full(count, -1, np.int64)
    follow = np.full(2 * top, -1, np.int64)
    degree = np.zeros(count, np.int64)
    for e in range(many):
        for side in range(2):
            end[e, side], price[e, side] = given[e, side], cost[e, side]
        alive[e] = end[e, 0] != end[e, 1] and min(price[e, 0], price[e, 1]) < far
        if alive[e]:
            for side in range(2):
                v = end[e, side]
                if street[e]:
                    follow[2 * e + side] = first[v]
                    first[v] = 2 * e + side
                    degree[v] += 1
                else:
                    kept[v] = True
    used = many
    stack = np.empty(count + 3 * top, np.int64)
    size = 0
    for v in range(count):
        if not kept[v] and degree[v] <= 2:
            stack[size] = v
            size += 1
    near = np.empty(2, np.int64)
    while size > 0:
        size -= 1
        v = stack[size]
        if kept[v] or degree[v] == 0 or degree[v] > 2:
            continue
        found = 0
        p = first[v]
        while p >= 0 and found < 2:
            if alive[p >> 1]:
                near[found] = p
                found += 1
            p = follow[p]
        degree[v] = 0
        a = near[0] >> 1
        u = end[a, 1 - (near[0] & 1)]
        alive[a] = False
        if found == 1:
            degree[u] -= 1
            if not kept[u] and degree[u] <= 2:
                stack[size] = u
                size += 1
            continue
        b = near[1] >> 1
        w = end[b, 1 - (near[1] & 1)]
        alive[b] = False
        there = min(far, price[a, near[0] & 1 ^ 1] + price[b, near[1] & 1])
        back = min(far, price[b, near[1] & 1 ^ 1] + price[a, near[0] & 1])
        fresh = u != w and min(there, back) < far
        # a parallel of it, if there is one: of two, one that is nowhere dearer is enough
        p = first[u] if fresh else -1
        while p >= 0:
            q, side = p >> 1, p & 1
            if alive[q] and end[q, 1 - side] == w:
                if price[q, side] <= there and price[q, 1 - side] <= back:
                    fresh = False
                    break
                if price[q, side] >= there and price[q, 1 - side] >= back:
                    alive[q] = False
                    degree[u] -= 1
                    degree[w] -= 1
                    break
            p = follow[p]
        if fresh:
            e = used
            used += 1
            end[e, 0], end[e, 1] = u, w
            price[e, 0], price[e, 1] = there, back
            kid[e, 0], kid[e, 1] = a, b
            alive[e] = True
            for side in range(2):
                x = end[e, side]
                follow[2 * e + side] = first[x]
                first[x] = 2 * e + side
        else:
            degree[u] -= 1
            degree[w] -= 1
        for x in (u, w):
            if not kept[x] and degree[x] <= 2:
                stack[size] = x
                size += 1
    return alive[:used], end[:used], price[:used], kid[:used]


@numba.njit(cache=True, nogil=True)
@no_type_check
def _bypassed(count, start, arcs, head, cost, looks, flag):  # noqa: ANN001, ANN202
    """Flag per edge: another way between its ends is not longer (of equal ways one edge stays)."""
    from_ = np.full(count, -1, np.int64)
    far = np.empty(count, np.int64)
    gone = np.zeros(len(cost), np.bool_)
    order = np.argsort(-cost, kind="mergesort")
    stamp = 0
    for e in order:
        if flag[0]:
            break
        u, w = head[2 * e + 1], head[2 * e]
        stamp += 1
        from_[u] = stamp
        far[u] = 0
        heap = [(np.int64(0), np.int64(u))]
        seen = 0
        while len(heap) > 0 and seen < looks:
            d, v = heappop(heap)
            if d > far[v]:
                continue
            if v == w:
                gone[e] = True
                break
            seen += 1
            for p in range(start[v], start[v + 1]):
                a = arcs[p]
                if a >> 1 == e or gone[a >> 1]:
                    continue
                x = head[a]
                f = d + cost[a >> 1]
                if f <= cost[e] and (from_[x] != stamp or f < far[x]):
                    from_[x] = stamp
                    far[x] = f
                    heappush(heap, (f, np.int64(x)))
    return gone


@numba.njit(cache=True, nogil=True)
@no_type_check
def _spelled(kid, edges):  # noqa: ANN001, ANN202
    """The given edges' original ones in rows."""
    start = np.zeros(len(edges) + 1, np.int64)
    found = np.empty(2 * len(edges) + 16, np.int64)
    stack = np.empty(len(kid) + 2, np.int64)
    many = 0
    for i in range(len(edges)):
        stack[0] = edges[i]
        size = 1
        while size > 0:
            size -= 1
            e = stack[size]
            if kid[e, 0] < 0:
                if many == len(found):
                    found = np.concatenate((found, np.empty(len(found), np.int64)))
                found[many] = e
                many += 1
            else:
                stack[size] = kid[e, 0]
                stack[size + 1] = kid[e, 1]
                size += 2
        start[i + 1] = many
    return start, found[:many].copy()


def make_ground(mix: Arrays, flag: NDArray[np.uint8]) -> Ground:
    """Contract the streets, the sooner done the sooner the flag is raised, and add everything else."""
    scale, exact = count_in(mix)

    def whole(values: Floats) -> Ints:
        return np.round(values * scale).astype(np.int64) if exact else np.floor(values * scale).astype(np.int64)

    count = mix.nodes
    kept = np.zeros(count, np.bool_)
    kept[mix.root] = True
    kept[mix.site_node] = True
    kept[mix.facility_node] = True
    far, links_cost = np.int64(NONE), whole(mix.link_cost)
    alive, end, both, kid = _joined(mix.link_ends, np.column_stack((links_cost, links_cost)), np.ones(len(links_cost), np.bool_), kept, far)
    price = both[:, 0]
    edge = np.flatnonzero(alive)
    head = end[edge][:, ::-1].reshape(-1).copy()
    start, arcs = rows(count, head)
    edge = edge[~_bypassed(count, start, arcs, head, price[edge], LOOKS if len(edge) < MANY else FEW_LOOKS, flag)]
    chains, links = _spelled(kid, edge)
    ends, cost = end[edge], price[edge]
    place = np.full(count, -1, np.int64)
    present = np.unique(np.concatenate((ends.reshape(-1), [mix.root], mix.site_node, mix.facility_node)))
    place[present] = np.arange(len(present))
    n, f, s = len(present), len(mix.facility_node), len(mix.site_node)
    at_site, at_facility = place[mix.site_node], place[mix.facility_node]
    site, facility = n + f + np.arange(s), n + np.arange(f)
    opening = whole(mix.module_cost)
    sky, fibre, radio = whole(_finite(mix.sky)), whole(_finite(mix.fibre_terminal)), whole(mix.serve_cost)
    sky = np.where(np.isfinite(mix.sky), sky, far)
    fibre = np.where(np.isfinite(mix.fibre_terminal), fibre, far)
    by_fibre = np.flatnonzero(fibre < sky)
    by_sky = np.flatnonzero(np.isfinite(mix.sky))
    by_radio = np.flatnonzero(radio < sky[mix.serve_site])
    hop = whole(mix.hop_cost)
    parts = [
        (STREET, place[ends[:, 0]], place[ends[:, 1]], cost, cost, np.arange(len(edge))),
        (FIBRE, at_site[by_fibre], site[by_fibre], fibre[by_fibre], np.full(len(by_fibre), far), by_fibre),
        (SKY, np.full(len(by_sky), place[mix.root]), site[by_sky], sky[by_sky], np.full(len(by_sky), far), by_sky),
        (RADIO, facility[mix.serve_facility[by_radio]], site[mix.serve_site[by_radio]], radio[by_radio], np.full(len(by_radio), far), by_radio),
        (OPEN, at_facility, facility, opening, np.zeros(f, np.int64), np.arange(f)),
        (
            HOP,
            facility[mix.hop_ends[:, 0]],
            facility[mix.hop_ends[:, 1]],
            hop + opening[mix.hop_ends[:, 1]],
            hop + opening[mix.hop_ends[:, 0]],
            np.arange(len(hop)),
        ),
    ]
    heads = np.concatenate([np.column_stack((b, a)).reshape(-1) for _, a, b, _, _, _ in parts]).astype(np.int64)
    costs = np.concatenate([np.column_stack((there, back)).reshape(-1) for _, _, _, there, back, _ in parts]).astype(np.int64)
    start, arcs = rows(n + f + s, heads)
    return Ground(
        mix, scale, int(place[mix.root]), n, f, s, start, arcs, heads, costs,
        np.concatenate([np.full(len(a), kind, np.int8) for kind, a, *_ in parts]), np.concatenate([number for *_, number in parts]).astype(np.int64),
        chains, links, at_site, at_facility, exact,
    )  # fmt: skip


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)


def count_in(mix: Arrays) -> tuple[float, bool]:
    """Whole units per unit of cost, and whether every cost is whole in them; else costs are floored, which keeps bounds valid.

    Raises
    ------
    DesignError  costs that add up to more than can be counted
    """
    values = np.concatenate((mix.link_cost, _finite(mix.fibre_terminal), _finite(mix.sky), mix.serve_cost, mix.module_cost, mix.hop_cost))
    with np.errstate(over="ignore"):
        sum_ = float(values.sum())
    if not np.isfinite(sum_):
        raise DesignError("mix", "costs that add up to more than a number can hold", "costs in one sensible unit", "divide all costs by the same number")
    for digits in range(13):
        scale = 10.0**digits
        if sum_ * scale >= 2.0**50:
            break
        if np.all(np.abs(values * scale - np.round(values * scale)) <= 1e-9 * values * scale):
            return scale, True
    return (2.0**50 / sum_ if sum_ > 0 else 1.0), False


def shrunk(ground: Ground, gone: Flags) -> tuple[Ground, Ints, Ints]:
    """The ground without some arcs, and the place of each of its vertices and edges there (-1: none, or melted into another)."""
    base = ground.streets
    fixed = np.zeros(ground.size, np.bool_)
    fixed[base:] = True
    fixed[ground.root] = True
    ends = ground.head.reshape(-1, 2)[:, ::-1].copy()
    cost = np.where(gone, NONE, ground.cost).reshape(-1, 2)
    alive, end, price, kid = _joined(ends, cost, ground.kind == STREET, fixed, np.int64(NONE))
    edge = np.flatnonzero(alive)
    used = np.zeros(ground.size, np.bool_)
    used[base:] = True
    used[ground.root] = True
    used[end[edge].reshape(-1)] = True
    place = np.where(used, np.cumsum(used) - 1, -1)
    streets = int(np.count_nonzero(used[:base]))
    count = len(ground.kind)
    parts, pieces = _spelled(kid, edge)
    kind = np.where(edge < count, ground.kind[np.minimum(edge, count - 1)], STREET).astype(np.int8)
    number = ground.first[np.minimum(edge, count - 1)].copy()
    chains, links = [0], []
    for row in np.flatnonzero(kind == STREET).tolist():
        number[row] = len(chains) - 1
        for piece in pieces[parts[row] : parts[row + 1]].tolist():
            at = ground.first[piece]
            links.append(ground.links[ground.chains[at] : ground.chains[at + 1]])
        chains.append(chains[-1] + sum(len(part) for part in links[len(links) - int(parts[row + 1] - parts[row]) :]))
    head = place[end[edge][:, ::-1].reshape(-1)]
    start, arcs = rows(streets + ground.facilities + ground.sites, head)
    smaller = Ground(
        ground.mix, ground.scale, int(place[ground.root]), streets, ground.facilities, ground.sites, start, arcs, head, price[edge].reshape(-1).copy(),
        kind, number, np.array(chains, np.int64), np.concatenate(links) if links else np.zeros(0, np.int64),
        place[ground.at_site], place[ground.at_facility], ground.exact,
    )  # fmt: skip
    moved = np.full(count, -1, np.int64)
    moved[edge[edge < count]] = np.flatnonzero(edge < count)
    return smaller, place, moved


@numba.njit(cache=True, nogil=True)
@no_type_check
def needless(start, arcs, head, reduced, terminal, root, slack):  # noqa: ANN001, ANN201
    """Flag per arc: no arborescence holds it whose cost exceeds the bound by at most `slack`; reduced: what the dual left of the cost of each arc."""
    n = len(start) - 1
    huge = np.int64(FAR)
    near = np.full(n, huge, np.int64)
    near[root] = 0
    heap = [(np.int64(0), np.int64(root))]
    while len(heap) > 0:
        d, v = heappop(heap)
        if d > near[v] or d > slack:
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            f = d + reduced[a]
            if f < near[head[a]]:
                near[head[a]] = f
                heappush(heap, (f, np.int64(head[a])))
    far = np.full(n, huge, np.int64)
    heap.clear()
    for v in range(n):
        if terminal[v]:
            far[v] = 0
            heappush(heap, (np.int64(0), np.int64(v)))
    while len(heap) > 0:
        d, v = heappop(heap)
        if d > far[v] or d > slack:
            continue
        for p in range(start[v], start[v + 1]):
            a = arcs[p] ^ 1
            u = head[a ^ 1]
            f = d + reduced[a]
            if f < far[u]:
                far[u] = f
                heappush(heap, (f, np.int64(u)))
    gone = np.zeros(len(head), np.bool_)
    for a in range(len(head)):
        gone[a] = near[head[a ^ 1]] + min(huge, reduced[a]) + far[head[a]] > slack
    return gone
