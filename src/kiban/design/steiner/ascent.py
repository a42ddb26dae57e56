"""Wong's dual ascent on the two arcs of every edge, and its improvement neighbourhood by neighbourhood.

In: a packed graph with whole costs. Out: a bound, the reduced cost of every arc, and the cuts that prove it, as nested chains.

A cut is raised around a terminal that no other active terminal reaches over arcs of reduced cost 0; among these the one with the fewest arcs into its cut
goes first. A tree may guide: cuts that two of its arcs enter are put off, as no dual of that kind can prove that tree optimal. `renew` takes the cuts of
some neighbouring terminals back and raises cuts anew in another order; what is not worse stays. All its steps look at the neighbourhood only.

Sources: R. T. Wong, "A dual ascent approach for Steiner tree problems on a directed graph", Math. Programming 28 (1984) 271–287; order and guiding:
T. Pajor, E. Uchoa, R. F. Werneck, "A robust and scalable algorithm for the Steiner problem in graphs", Math. Programming Computation 10 (2018) 69–118.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

PARK = 400  # vertices of a cut from which it waits for another of the same place
# The kernels unpack a Desk before they write into it: numba 0.68 lost writes made through the attribute of a tuple built in
# the same kernel.
FAR = 1 << 60  # an arc that is not there costs this or more: twice as much at first, so that sums of duals leave it above
STAMP, TURN, ARCS_SAVED, NODES_SAVED, STEPS = 0, 1, 2, 3, 4  # places in Desk.tally


class Cuts(NamedTuple):
    """Cut i holds `nodes[start[i]:start[i + 1]]` and all of cut base[i] (−1: none), belongs to `terminal[i]` and has the dual value `dual[i]`."""

    terminal: Ints
    base: Ints
    dual: Ints
    start: Ints
    nodes: Ints


class Desk(NamedTuple):
    """Working arrays of an ascent: per vertex whether the root reaches it over arcs of reduced cost 0 (`rooted`), by which arc (`via`, −1: none), and whether
    its cut is still to be raised (`active`); what was changed in this turn, to take it back."""

    reduced: Ints
    rooted: Flags
    via: Ints
    active: Flags
    mark: Ints
    inside: Ints
    border: Ints
    queue: Ints
    arc_turn: Ints
    arc_saved: Ints
    arc_value: Ints
    node_turn: Ints
    node_saved: Ints
    node_via: Ints
    tally: Ints


@numba.njit(cache=True, nogil=True)
@no_type_check
def _desk(n, reduced, root):  # noqa: ANN001, ANN202
    size = len(reduced)
    desk = Desk(
        reduced,
        np.zeros(n, np.bool_),
        np.full(n, -1, np.int64),
        np.zeros(n, np.bool_),
        np.zeros(n, np.int64),
        np.empty(n, np.int64),
        np.empty(max(1, size), np.int64),
        np.empty(n, np.int64),
        np.zeros(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.zeros(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.zeros(5, np.int64),
    )
    rooted, tally = desk.rooted, desk.tally
    rooted[root] = True
    tally[TURN] = 1
    return desk


@numba.njit(cache=True, nogil=True)
@no_type_check
def _save_arc(desk, a):  # noqa: ANN001, ANN202
    arc_saved, arc_turn, arc_value, reduced, tally = desk.arc_saved, desk.arc_turn, desk.arc_value, desk.reduced, desk.tally
    if arc_turn[a] != tally[TURN]:
        arc_turn[a] = tally[TURN]
        i = tally[ARCS_SAVED]
        arc_saved[i] = a
        arc_value[i] = reduced[a]
        tally[ARCS_SAVED] = i + 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _save_node(desk, v):  # noqa: ANN001, ANN202
    node_saved, node_turn, node_via, rooted, tally, via = desk.node_saved, desk.node_turn, desk.node_via, desk.rooted, desk.tally, desk.via
    if node_turn[v] != tally[TURN]:
        node_turn[v] = tally[TURN]
        i = tally[NODES_SAVED]
        node_saved[i] = v
        node_via[i] = via[v] if rooted[v] else -2
        tally[NODES_SAVED] = i + 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _next_turn(desk):  # noqa: ANN001, ANN202
    tally = desk.tally
    tally[TURN] += 1
    tally[ARCS_SAVED] = 0
    tally[NODES_SAVED] = 0


@numba.njit(cache=True, nogil=True)
@no_type_check
def _take_back(desk):  # noqa: ANN001, ANN202
    """Everything as it was at the beginning of this turn."""
    arc_saved, arc_value, node_saved, node_via, reduced, rooted, tally, via = (
        desk.arc_saved,
        desk.arc_value,
        desk.node_saved,
        desk.node_via,
        desk.reduced,
        desk.rooted,
        desk.tally,
        desk.via,
    )
    for i in range(tally[ARCS_SAVED]):
        reduced[arc_saved[i]] = arc_value[i]
    for i in range(tally[NODES_SAVED]):
        v = node_saved[i]
        rooted[v] = node_via[i] != -2
        via[v] = node_via[i] if node_via[i] != -2 else -1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _spread(start, arcs, head, desk, first):  # noqa: ANN001, ANN202
    """Root all that the rooted vertex `first` reaches over arcs of reduced cost 0."""
    queue, reduced, rooted, via = desk.queue, desk.reduced, desk.rooted, desk.via
    queue[0] = first
    size = 1
    while size > 0:
        size -= 1
        v = queue[size]
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            if reduced[a] == 0 and not rooted[w]:
                _save_node(desk, w)
                rooted[w] = True
                via[w] = a
                queue[size] = w
                size += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def _raise(start, arcs, head, desk, waiting, guide, record, last, cuts, filled, cut_terminal, cut_base, cut_dual, cut_start, pool, sinks, flag):  # noqa: ANN001, ANN202
    """Raise cuts until every waiting terminal is joined to the root over arcs of reduced cost 0.

    waiting: heap of (arcs into the cut, order among equals, terminal); last: per vertex the cut that the next one of this terminal contains.
    sinks: no arcs leave terminals, so that no cut of one meets another: a large cut that shares a vertex with another terminal's waits until that is done.
    Returns what was gained, and the cuts.
    """
    active, border, inside, mark, reduced, rooted, tally, via = (
        desk.active,
        desk.border,
        desk.inside,
        desk.mark,
        desk.reduced,
        desk.rooted,
        desk.tally,
        desk.via,
    )
    guided = len(guide) > 0
    n = len(start) - 1
    bound = np.int64(0)
    for entry in waiting:
        active[entry[2]] = True
    holder = np.full(n if sinks else 1, -1, np.int32)  # whose cut was last seen to hold a vertex
    guest = np.full(n if sinks else 1, -1, np.int32)  # first terminal that waits for this one
    beside = np.full(n if sinks else 1, -1, np.int32)  # the next one that waits for the same
    parked = np.zeros(n if sinks else 1, np.bool_)
    done = np.int64(-1)
    while True:
        if sinks and done >= 0 and not active[done]:
            w = guest[done]
            guest[done] = -1
            while w >= 0:
                parked[w] = False
                heappush(waiting, (np.int64(1), np.int64(0), np.int64(w)))
                w = beside[w]
        if len(waiting) == 0:
            break
        key, tie, t = heappop(waiting)
        done = t
        if rooted[t]:
            active[t] = False
            continue
        if flag[0]:
            active[t] = False
            continue
        tally[STAMP] += 1
        stamp = tally[STAMP]
        inside[0] = t
        mark[t] = stamp
        size, at, crossing, known = 1, 0, 0, 0
        met = False
        while True:  # raise this cut again and again while it stays among the smallest
            while at < size:
                v = inside[at]
                at += 1
                if v != t and active[v]:
                    met = True
                    break
                if sinks and at > PARK:
                    h = holder[v]
                    if h >= 0 and h != t and active[h] and not parked[h]:
                        met = True
                        parked[t] = True
                        beside[t] = guest[h]
                        guest[h] = t
                        break
                    holder[v] = t
                for p in range(start[v], start[v + 1]):
                    a = arcs[p] ^ 1  # into v
                    u = head[a ^ 1]
                    if mark[u] != stamp and reduced[a] < FAR:
                        if reduced[a] > 0:
                            border[crossing] = a
                            crossing += 1
                        else:
                            mark[u] = stamp
                            inside[size] = u
                            size += 1
            if met:
                active[t] = sinks and parked[t]  # whoever is inside goes on for both
                break
            kept = 0
            entered = 0
            least = np.int64(-1)
            tally[STEPS] += crossing + size
            for p in range(crossing):
                a = border[p]
                if mark[head[a ^ 1]] != stamp:
                    border[kept] = a
                    kept += 1
                    if guided and guide[a]:
                        entered += 1
                    if least < 0 or reduced[a] < least:
                        least = reduced[a]
            crossing = kept
            if crossing == 0:
                active[t] = False  # no way to it at all
                break
            score = np.int64(crossing)
            if entered > 1:
                score = 2 * score + n
            if len(waiting) > 0 and score > key and 4 * score > 5 * waiting[0][0]:
                heappush(waiting, (score, tie, t))
                break
            if record:
                if cuts + 1 >= len(cut_terminal):
                    cut_terminal = np.concatenate((cut_terminal, np.empty(len(cut_terminal) + 64, np.int64)))
                    cut_base = np.concatenate((cut_base, np.empty(len(cut_base) + 64, np.int64)))
                    cut_dual = np.concatenate((cut_dual, np.empty(len(cut_dual) + 64, np.int64)))
                    cut_start = np.concatenate((cut_start, np.empty(len(cut_start) + 64, np.int64)))
                if known == 0 and last[t] >= 0:  # what the last cut of this terminal holds is known
                    tally[STAMP] += 1
                    stamp = tally[STAMP]
                    c = last[t]
                    while c >= 0:
                        for p in range(cut_start[c], cut_start[c + 1]):
                            mark[pool[p]] = stamp
                        c = cut_base[c]
                    for p in range(size):
                        v = inside[p]
                        if mark[v] == stamp:
                            inside[p], inside[known] = inside[known], v
                            known += 1
                    for p in range(size):
                        mark[inside[p]] = stamp
                if size > known or last[t] < 0:
                    while filled + size - known > len(pool):
                        pool = np.concatenate((pool, np.empty(len(pool) + 1024, np.int64)))
                    cut_terminal[cuts] = t
                    cut_base[cuts] = last[t]
                    cut_dual[cuts] = 0
                    cut_start[cuts] = filled
                    for p in range(known, size):
                        pool[filled] = inside[p]
                        filled += 1
                    known = size
                    last[t] = cuts
                    cuts += 1
                    cut_start[cuts] = filled
                cut_dual[last[t]] += least
            bound += least
            joined = False
            kept = 0
            for p in range(crossing):
                a = border[p]
                _save_arc(desk, a)
                reduced[a] -= least
                if reduced[a] > 0:
                    border[kept] = a
                    kept += 1
                else:
                    u = head[a ^ 1]
                    if rooted[u]:
                        joined = True
                        v = head[a]
                        if not rooted[v]:
                            _save_node(desk, v)
                            rooted[v] = True
                            via[v] = a
                            _spread(start, arcs, head, desk, v)
                    elif mark[u] != stamp:
                        mark[u] = stamp
                        inside[size] = u
                        size += 1
            crossing = kept
            if joined:
                active[t] = False
                break
    return bound, cuts, filled, cut_terminal, cut_base, cut_dual, cut_start, pool


@numba.njit(cache=True, nogil=True)
@no_type_check
def lift(start, arcs, head, reduced, terminal, root, jitter, guide, record, cuts, sinks, flag):  # noqa: ANN001, ANN201
    """Raise cuts from given reduced costs (changed) until every terminal is joined to the root; new cuts stand behind the given ones.

    jitter  order among terminals of equally many arcs, one number per vertex
    guide   flag per arc of an arborescence from the root, or no element
    record  keep the cuts
    sinks   no arcs leave terminals (see `_raise`)

    Returns (gain, cuts). Stopped by the flag, what was gained holds all the same.
    """
    n = len(start) - 1
    desk = _desk(n, reduced, root)
    rooted = desk.rooted
    _spread(start, arcs, head, desk, root)
    waiting = [(np.int64(start[v + 1] - start[v]), np.int64(jitter[v]), np.int64(v)) for v in range(n) if terminal[v] and not rooted[v]]
    if len(waiting) == 0:
        return np.int64(0), cuts
    heapify(waiting)
    last = np.full(n if record else 1, -1, np.int64)
    gain, many, filled, terminals, base, dual, places, nodes = _raise(
        start, arcs, head, desk, waiting, guide, record, last, len(cuts.terminal), len(cuts.nodes),
        cuts.terminal, cuts.base, cuts.dual, cuts.start, cuts.nodes, sinks, flag,
    )  # fmt: skip
    if not record:
        return gain, cuts
    return gain, Cuts(terminals[:many].copy(), base[:many].copy(), dual[:many].copy(), places[: many + 1].copy(), nodes[:filled].copy())


def no_cuts() -> Cuts:
    """The empty set of cuts."""
    none = np.zeros(0, np.int64)
    return Cuts(none, none.copy(), none.copy(), np.zeros(1, np.int64), none.copy())


@numba.njit(cache=True, nogil=True)
@no_type_check
def _chains(n, cut_terminal, cut_base):  # noqa: ANN001, ANN202
    """Per terminal the last cut of its newest chain, per cut that ends a chain the end of an older chain of its terminal."""
    cuts = len(cut_terminal)
    tail = np.full(n, -1, np.int64)
    older = np.full(cuts + 64, -1, np.int64)
    has_next = np.zeros(cuts + 1, np.bool_)
    for c in range(cuts):
        if cut_base[c] >= 0:
            has_next[cut_base[c]] = True
    for c in range(cuts):
        if not has_next[c]:
            older[c] = tail[cut_terminal[c]]
            tail[cut_terminal[c]] = c
    return tail, older


@numba.njit(cache=True, nogil=True)
@no_type_check
def _give_back(start, arcs, head, desk, cut, cut_base, cut_dual, cut_start, pool, before, chain):  # noqa: ANN001, ANN202
    """Take the duals of a chain of cuts, from its last one down, off the arcs. Returns their sum.

    Vertices that the root now no longer reaches by their arc `via` stand in border from place 0; queue is used.
    """
    border, mark, reduced, tally, via = desk.border, desk.mark, desk.reduced, desk.tally, desk.via
    tally[STAMP] += 1
    stamp = tally[STAMP]
    size = 0
    c = cut
    while c >= 0:
        chain[size] = c
        size += 1
        c = cut_base[c]
    total = np.int64(0)
    for i in range(size - 1, -1, -1):
        c = chain[i]
        for p in range(cut_start[c], cut_start[c + 1]):
            before[pool[p]] = total
            mark[pool[p]] = stamp
        total += cut_dual[c]
    lost = 0
    for i in range(size):
        c = chain[i]
        for p in range(cut_start[c], cut_start[c + 1]):
            v = pool[p]
            for q in range(start[v], start[v + 1]):
                a = arcs[q] ^ 1
                u = head[a ^ 1]
                until = before[u] if mark[u] == stamp else total
                if until > before[v]:
                    _save_arc(desk, a)
                    reduced[a] += until - before[v]
                    if via[v] == a:
                        border[lost] = v
                        lost += 1
    return total, lost


@numba.njit(cache=True, nogil=True)
@no_type_check
def _uproot(start, arcs, head, desk, lost, fallen, many):  # noqa: ANN001, ANN202
    """The vertices border[:lost] and all that hangs on them are no longer rooted; they join fallen[:many]. Returns how many stand there."""
    border, queue, rooted, via = desk.border, desk.queue, desk.rooted, desk.via
    size = 0
    for i in range(lost):
        v = border[i]
        if rooted[v]:
            _save_node(desk, v)
            rooted[v] = False
            queue[size] = v
            size += 1
    while size > 0:
        size -= 1
        v = queue[size]
        via[v] = -1
        fallen[many] = v
        many += 1
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            if via[w] == a and rooted[w]:
                _save_node(desk, w)
                rooted[w] = False
                queue[size] = w
                size += 1
    return many


@numba.njit(cache=True, nogil=True)
@no_type_check
def renew(start, arcs, head, reduced, terminal, root, guide, cuts, effort, most, seed, flag):  # noqa: ANN001, ANN201
    """Take the cuts of some neighbouring terminals back and raise cuts anew in another order; what is not worse stays. Changes `reduced`.

    effort: steps to take, a step being an arc or vertex looked at; most: terminals a turn takes at most.
    guide: as in `lift`, for about two turns of three. Returns (gain, cuts).
    """
    np.random.seed(seed)
    n = len(start) - 1
    cut_terminal, cut_base, cut_dual, cut_start, pool = cuts
    many_cuts, filled = len(cut_terminal), len(pool)
    tail, older = _chains(n, cut_terminal, cut_base)
    everyone = np.flatnonzero(terminal)
    others = everyone[everyone != root]
    desk = _desk(n, reduced, root)
    mark, queue, rooted, tally, via = desk.mark, desk.queue, desk.rooted, desk.tally, desk.via
    _spread(start, arcs, head, desk, root)
    gain = np.int64(0)
    before = np.zeros(n, np.int64)
    chain = np.empty(n + 1, np.int64)
    fallen = np.empty(n, np.int64)
    chosen = np.empty(most, np.int64)
    old_tail = np.empty(most, np.int64)
    last = np.full(n, -1, np.int64)
    nothing = np.zeros(0, np.bool_)
    while tally[STEPS] < effort and len(others) > 0 and flag[0] == 0:
        _next_turn(desk)
        tally[STEPS] += 50
        first_cut, first_node = many_cuts, filled
        goal = 1 + np.random.randint(most)
        tally[STAMP] += 1
        stamp = tally[STAMP]
        queue[0] = others[np.random.randint(len(others))]
        mark[queue[0]] = stamp
        size, at, many = 1, 0, 0
        while at < size and many < goal:
            v = queue[at]
            at += 1
            if v == root:  # where all ways to the sky meet, all are neighbours
                continue
            if terminal[v]:
                chosen[many] = v
                many += 1
            for p in range(start[v], start[v + 1]):
                w = head[arcs[p]]
                if mark[w] != stamp:
                    mark[w] = stamp
                    queue[size] = w
                    size += 1
        lost = np.int64(0)
        down = 0
        for i in range(many):
            t = chosen[i]
            old_tail[i] = tail[t]
            c = tail[t]
            while c >= 0:
                amount, off = _give_back(start, arcs, head, desk, c, cut_base, cut_dual, cut_start, pool, before, chain)
                lost += amount
                down = _uproot(start, arcs, head, desk, off, fallen, down)
                c = older[c]
            tail[t] = -1
        for i in range(down):
            v = fallen[i]
            if rooted[v]:
                continue
            for p in range(start[v], start[v + 1]):
                a = arcs[p] ^ 1
                if reduced[a] == 0 and rooted[head[a ^ 1]]:
                    rooted[v] = True
                    via[v] = a
                    _spread(start, arcs, head, desk, v)
                    break
        tally[STEPS] += 8 * down
        waiting = [(np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
        for i in range(down):
            v = fallen[i]
            if terminal[v] and not rooted[v]:
                late = 0 if tail[v] < 0 else n  # those whose cuts stand need no new ones when the others are joined again
                waiting.append((np.int64(late + start[v + 1] - start[v]), np.int64(np.random.randint(1 << 30)), np.int64(v)))
        for i in range(down):
            last[fallen[i]] = -1
        if len(waiting) > 1:
            heapify(waiting)
        won, many_cuts, filled, cut_terminal, cut_base, cut_dual, cut_start, pool = _raise(
            start, arcs, head, desk, waiting, guide if np.random.random() < 0.67 else nothing, True, last, many_cuts, filled,
            cut_terminal, cut_base, cut_dual, cut_start, pool, False, flag,
        )  # fmt: skip
        if won < lost:
            _take_back(desk)
            for i in range(many):
                tail[chosen[i]] = old_tail[i]
            many_cuts, filled = first_cut, first_node
            continue
        gain += won - lost
        if len(older) < len(cut_terminal):
            longer = np.full(len(cut_terminal), -1, np.int64)
            longer[: len(older)] = older
            older = longer
        for c in range(first_cut, many_cuts):
            t = cut_terminal[c]
            if last[t] == c:
                older[c] = tail[t]
                tail[t] = c
    keep = np.zeros(many_cuts, np.bool_)
    for t in others:
        c = tail[t]
        while c >= 0:
            d = c
            while d >= 0:
                keep[d] = True
                d = cut_base[d]
            c = older[c]
    return gain, tidied(keep, Cuts(cut_terminal, cut_base, cut_dual, cut_start, pool))


@numba.njit(cache=True, nogil=True)
@no_type_check
def tidied(keep, cuts):  # noqa: ANN001, ANN201
    """The cuts with a raised flag, which are whole chains."""
    place = np.full(len(keep), -1, np.int64)
    many, length = 0, 0
    for c in range(len(keep)):
        if keep[c]:
            place[c] = many
            many += 1
            length += cuts.start[c + 1] - cuts.start[c]
    terminal, base, dual = np.empty(many, np.int64), np.empty(many, np.int64), np.empty(many, np.int64)
    start, nodes = np.zeros(many + 1, np.int64), np.empty(length, np.int64)
    at = 0
    for c in range(len(keep)):
        if keep[c]:
            i = place[c]
            terminal[i], dual[i] = cuts.terminal[c], cuts.dual[c]
            base[i] = place[cuts.base[c]] if cuts.base[c] >= 0 else -1
            for p in range(cuts.start[c], cuts.start[c + 1]):
                nodes[at] = cuts.nodes[p]
                at += 1
            start[i + 1] = at
    return Cuts(terminal, base, dual, start, nodes)


@numba.njit(cache=True, nogil=True)
@no_type_check
def charged(start, arcs, head, reduced, cuts):  # noqa: ANN001, ANN201
    """Take the duals of cuts off the arcs they are entered by: changes `reduced`. Returns the sum of the duals."""
    n = len(start) - 1
    tail, older = _chains(n, cuts.terminal, cuts.base)
    before, mark = np.zeros(n, np.int64), np.zeros(n, np.int64)
    chain = np.empty(len(cuts.terminal) + 1, np.int64)
    stamp = 0
    bound = np.int64(0)
    for t in range(n):
        last = tail[t]
        while last >= 0:
            stamp += 1
            size = 0
            c = last
            while c >= 0:
                chain[size] = c
                size += 1
                c = cuts.base[c]
            total = np.int64(0)
            for i in range(size - 1, -1, -1):
                c = chain[i]
                for p in range(cuts.start[c], cuts.start[c + 1]):
                    before[cuts.nodes[p]] = total
                    mark[cuts.nodes[p]] = stamp
                total += cuts.dual[c]
            for i in range(size):
                c = chain[i]
                for p in range(cuts.start[c], cuts.start[c + 1]):
                    v = cuts.nodes[p]
                    for q in range(start[v], start[v + 1]):
                        a = arcs[q] ^ 1
                        u = head[a ^ 1]
                        until = before[u] if mark[u] == stamp else total
                        if until > before[v]:
                            reduced[a] -= until - before[v]
            bound += total
            last = older[last]
    return bound


@numba.njit(cache=True, nogil=True)
@no_type_check
def carried(n, cuts, place):  # noqa: ANN001, ANN201
    """The cuts on a graph whose vertex v became place[v] of n (−1: gone); a cut between vertices that became one is lost."""
    members = np.zeros(n, np.int64)
    for v in range(len(place)):
        if place[v] >= 0:
            members[place[v]] += 1
    old = len(place)
    tail, older = _chains(old, cuts.terminal, cuts.base)
    count = np.zeros(n, np.int64)
    chain = np.empty(len(cuts.terminal) + 1, np.int64)
    terminal, base, dual = np.empty(len(cuts.terminal), np.int64), np.empty(len(cuts.terminal), np.int64), np.empty(len(cuts.terminal), np.int64)
    start, nodes = np.zeros(len(cuts.terminal) + 1, np.int64), np.empty(len(cuts.nodes), np.int64)
    many, filled = 0, 0
    for t in range(old):
        last = tail[t]
        while last >= 0:
            size = 0
            c = last
            while c >= 0:
                chain[size] = c
                size += 1
                c = cuts.base[c]
            partial = 0
            previous = -1
            for i in range(size - 1, -1, -1):
                c = chain[i]
                for p in range(cuts.start[c], cuts.start[c + 1]):
                    v = place[cuts.nodes[p]]
                    if v < 0:
                        continue
                    count[v] += 1
                    if members[v] > 1 and count[v] == 1:
                        partial += 1
                    if count[v] == members[v]:
                        if members[v] > 1:
                            partial -= 1
                        nodes[filled] = v
                        filled += 1
                if partial == 0 and previous >= 0 and filled == start[many] and cuts.dual[c] > 0:
                    dual[previous] += cuts.dual[c]  # its further vertices are gone
                elif partial == 0 and cuts.dual[c] > 0:
                    terminal[many], base[many], dual[many] = place[t], previous, cuts.dual[c]
                    start[many + 1] = filled
                    previous = many
                    many += 1
            filled = start[many]  # what no cut holds any more
            for i in range(size):
                c = chain[i]
                for p in range(cuts.start[c], cuts.start[c + 1]):
                    v = place[cuts.nodes[p]]
                    if v >= 0:
                        count[v] = 0
            last = older[last]
    return Cuts(terminal[:many].copy(), base[:many].copy(), dual[:many].copy(), start[: many + 1].copy(), nodes[:filled].copy())


@numba.njit(cache=True, nogil=True)
@no_type_check
def rooted_arcs(start, arcs, head, tree, root):  # noqa: ANN001, ANN201
    """Flag per arc of a tree (edge numbers) directed away from the root."""
    n, m = len(start) - 1, len(head) // 2
    inside = np.zeros(m, np.bool_)
    for e in tree:
        inside[e] = True
    guide = np.zeros(2 * m, np.bool_)
    seen = np.zeros(n, np.bool_)
    stack = np.empty(n, np.int64)
    stack[0] = root
    seen[root] = True
    size = 1
    while size > 0:
        size -= 1
        v = stack[size]
        for p in range(start[v], start[v + 1]):
            a = arcs[p]
            w = head[a]
            if inside[a >> 1] and not seen[w]:
                seen[w] = True
                guide[a] = True
                stack[size] = w
                size += 1
    return guide
