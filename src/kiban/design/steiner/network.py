"""A shrinking multigraph: the reductions take edges and vertices out of it, and a found tree is carried back through them.

In: an instance. Out: arrays in doubly linked lists, a history of every edge, and the steps taken so far for the certificate.
What may be taken out is decided in `reductions`; nothing here judges.

Edge e is arc 2e (u → v) and arc 2e + 1 (v → u); `head[a]` is where arc a leads, `head[a ^ 1]` where it starts.
"""

from __future__ import annotations

from typing import Any, NamedTuple, no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Small = NDArray[np.int32]

USED, LOGGED, TERMINALS, LEFT, OFFSET, CONTRACTED = 0, 1, 2, 3, 4, 5  # places in Net.tally
DROP, LEAF, TAKE, SPLIT = 0, 1, 2, 3  # kinds in Net.log
SLOW = 4096  # steps between two looks at the flag that stops a kernel


class Net(NamedTuple):
    """Arrays over arcs, edges (capacity `len(cost)`) and vertices; `tally` holds the counters named above."""

    head: Small
    after: Small  # next arc that leaves the same vertex, -1: none
    before: Small
    cost: Ints
    alive: Flags  # per edge
    kid: Ints  # [edge, 2]: the edges it stands for, -1: an edge of the instance
    first: Small  # per vertex
    degree: Small
    terminal: Flags
    gone: Flags  # vertices that were removed or melted into another
    into: Small  # the vertex that a melted one became
    taken: Ints  # edges that belong to the tree, tally[CONTRACTED] of them
    log: Ints  # rows: kind and up to 4 numbers
    tally: Ints


def make_net(count: int, edges: Ints, terminals: Ints, *, logging: bool) -> Net:
    """The whole instance as a Net; edges (m, 3) hold tail, head and cost."""
    many = len(edges)
    room = many + count // 2 + 64
    head = np.empty(2 * room, np.int32)
    head[0 : 2 * many : 2], head[1 : 2 * many : 2] = edges[:, 1], edges[:, 0]
    cost = np.zeros(room, np.int64)
    cost[:many] = edges[:, 2]
    terminal = np.zeros(count, np.bool_)
    terminal[terminals] = True
    net = Net(
        head=head,
        after=np.full(2 * room, -1, np.int32),
        before=np.full(2 * room, -1, np.int32),
        cost=cost,
        alive=np.zeros(room, np.bool_),
        kid=np.full((room, 2), -1, np.int64),
        first=np.full(count, -1, np.int32),
        degree=np.zeros(count, np.int32),
        terminal=terminal,
        gone=np.zeros(count, np.bool_),
        into=np.arange(count, dtype=np.int32),
        taken=np.empty(count + 1, np.int64),
        log=np.empty((room + count if logging else 0, 5), np.int64),
        tally=np.array([many, 0, len(terminals), many, 0, 0], np.int64),
    )
    _thread(net, many)
    return net


def grown(net: Net, more: int) -> Net:
    """The same net with room for `more` further edges."""
    room = len(net.cost) + more
    log = net.log
    if len(log):
        log = _longer(log, len(log) + more)
    return net._replace(
        head=_longer(net.head, 2 * room),
        after=_longer(net.after, 2 * room),
        before=_longer(net.before, 2 * room),
        cost=_longer(net.cost, room),
        alive=_longer(net.alive, room),
        kid=_longer(net.kid, room),
        log=log,
    )


def _longer(array: Any, size: int) -> Any:
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


@numba.njit(cache=True, nogil=True)
@no_type_check
def _thread(net, many):  # noqa: ANN001, ANN202
    for e in range(many):
        if net.head[2 * e] == net.head[2 * e + 1]:  # a loop is of no use
            net.tally[LEFT] -= 1
            note(net, DROP, e, 0, 0, 0)
        else:
            link(net, e)


@numba.njit(cache=True, nogil=True)
@no_type_check
def link(net, e):  # noqa: ANN001, ANN201
    """Put an edge into the lists of its ends."""
    net.alive[e] = True
    for a in (2 * e, 2 * e + 1):
        v = net.head[a ^ 1]
        f = net.first[v]
        net.after[a] = f
        net.before[a] = -1
        if f >= 0:
            net.before[f] = a
        net.first[v] = a
        net.degree[v] += 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def unlink(net, e):  # noqa: ANN001, ANN201
    """Take an edge out of the lists of its ends."""
    net.alive[e] = False
    net.tally[LEFT] -= 1
    for a in (2 * e, 2 * e + 1):
        v = net.head[a ^ 1]
        b, f = net.before[a], net.after[a]
        if b >= 0:
            net.after[b] = f
        else:
            net.first[v] = f
        if f >= 0:
            net.before[f] = b
        net.degree[v] -= 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def note(net, kind, a, b, c, d):  # noqa: ANN001, ANN201
    """Write a step down, if steps are written down."""
    if len(net.log) > 0:
        row = net.tally[LOGGED]
        net.log[row, 0] = kind
        net.log[row, 1] = a
        net.log[row, 2] = b
        net.log[row, 3] = c
        net.log[row, 4] = d
        net.tally[LOGGED] = row + 1


@numba.njit(cache=True, nogil=True)
@no_type_check
def drop(net, e):  # noqa: ANN001, ANN201
    """An edge goes, by a special distance."""
    unlink(net, e)
    note(net, DROP, e, 0, 0, 0)


@numba.njit(cache=True, nogil=True)
@no_type_check
def clear(net, v):  # noqa: ANN001, ANN201
    """A vertex goes with all its edges; nothing is written down."""
    while net.first[v] >= 0:
        unlink(net, net.first[v] >> 1)
    net.gone[v] = True


@numba.njit(cache=True, nogil=True)
@no_type_check
def leaf(net, v):  # noqa: ANN001, ANN201
    """A vertex that leads nowhere goes."""
    clear(net, v)
    note(net, LEAF, v, 0, 0, 0)


@numba.njit(cache=True, nogil=True)
@no_type_check
def take(net, e, near, far):  # noqa: ANN001, ANN201
    """An edge joins the tree: the end with fewer edges melts into the other, which becomes a terminal. Loops go at once, parallels stay."""
    u, v = net.head[2 * e + 1], net.head[2 * e]
    kept, lost = (u, v) if net.degree[u] >= net.degree[v] else (v, u)
    note(net, TAKE, e, lost, near, far)
    unlink(net, e)
    net.taken[net.tally[CONTRACTED]] = e
    net.tally[CONTRACTED] += 1
    net.tally[OFFSET] += net.cost[e]
    if net.terminal[u] and net.terminal[v]:
        net.tally[TERMINALS] -= 1
    elif not net.terminal[u] and not net.terminal[v]:
        net.tally[TERMINALS] += 1
    net.terminal[kept] = True
    net.terminal[lost] = False
    net.gone[lost] = True
    net.into[lost] = kept
    a = net.first[lost]
    last = -1
    while a >= 0:
        net.head[a ^ 1] = kept
        last = a
        a = net.after[a]
    if last >= 0:
        f = net.first[kept]
        net.after[last] = f
        if f >= 0:
            net.before[f] = last
        net.first[kept] = net.first[lost]
        net.degree[kept] += net.degree[lost]
        a = net.first[lost]
        while a >= 0:
            following = net.after[a]
            if net.head[a] == kept and net.alive[a >> 1]:
                if following >= 0 and following >> 1 == a >> 1:
                    following = net.after[following]
                drop(net, a >> 1)
            if a == last:
                break
            a = following
        net.first[lost] = -1
        net.degree[lost] = 0
    return kept


@numba.njit(cache=True, nogil=True)
@no_type_check
def split(net, v, told):  # noqa: ANN001, ANN201
    """A vertex goes, each pair of its edges becomes one edge; `told`: write the step down. Returns False when there is no room for the new edges."""
    many = net.degree[v]
    used = net.tally[USED]
    if used + many * (many - 1) // 2 > len(net.cost):
        return False
    mine = np.empty(many, np.int64)
    a = net.first[v]
    for i in range(many):
        mine[i] = a
        a = net.after[a]
    mine = mine[np.argsort(mine)]  # arcs in the order of their edges
    if told:
        note(net, SPLIT, v, 0, 0, 0)
    for i in range(many):
        unlink(net, mine[i] >> 1)
    net.gone[v] = True
    for i in range(many):
        for j in range(i + 1, many):
            e = used
            used += 1
            net.head[2 * e] = net.head[mine[j]]
            net.head[2 * e + 1] = net.head[mine[i]]
            net.cost[e] = net.cost[mine[i] >> 1] + net.cost[mine[j] >> 1]
            net.kid[e, 0] = mine[i] >> 1
            net.kid[e, 1] = mine[j] >> 1
            net.tally[LEFT] += 1
            link(net, e)
            if net.head[2 * e] == net.head[2 * e + 1]:
                drop(net, e)
    net.tally[USED] = used
    return True


@numba.njit(cache=True, nogil=True)
@no_type_check
def now(net, v):  # noqa: ANN001, ANN201
    """The vertex that v has melted into."""
    while net.into[v] != v:
        net.into[v] = net.into[net.into[v]]
        v = net.into[v]
    return v


@numba.njit(cache=True, nogil=True)
@no_type_check
def spelled_out(kid, edges):  # noqa: ANN001, ANN201
    """The edges of the instance that the given edges stand for, each once."""
    seen = np.zeros(len(kid), np.bool_)
    found = np.empty(16, np.int64)
    many = 0
    stack = np.empty(len(edges) + 2 * len(kid), np.int64)
    size = 0
    for e in edges:
        stack[size] = e
        size += 1
    while size > 0:
        size -= 1
        e = stack[size]
        if seen[e]:
            continue
        seen[e] = True
        if kid[e, 0] < 0:
            if many == len(found):
                found = np.concatenate((found, np.empty(len(found), np.int64)))
            found[many] = e
            many += 1
        else:
            stack[size] = kid[e, 0]
            stack[size + 1] = kid[e, 1]
            size += 2
    return np.sort(found[:many])


class Compact(NamedTuple):
    """The living part of a net in rows: arcs that leave vertex v are `arcs[start[v]:start[v + 1]]`; `edge` and `vertex` give the numbers in the net."""

    start: Ints
    arcs: Ints
    head: Ints
    cost: Ints
    terminal: Flags
    edge: Ints
    vertex: Ints

    @property
    def size(self) -> int:
        """Number of vertices."""
        return len(self.vertex)

    @property
    def many(self) -> int:
        """Number of edges."""
        return len(self.edge)


def compact(net: Net) -> Compact:
    """The living edges and their ends, and every terminal."""
    used = int(net.tally[USED])
    edge = np.flatnonzero(net.alive[:used])
    present = np.flatnonzero((net.degree > 0) | (net.terminal & ~net.gone))
    place = np.zeros(len(net.first), np.int64)
    place[present] = np.arange(len(present))
    head = np.empty(2 * len(edge), np.int64)
    head[0::2], head[1::2] = place[net.head[2 * edge]], place[net.head[2 * edge + 1]]
    return packed(len(present), head, net.cost[edge], net.terminal[present], edge, present)


def packed(count: int, head: Ints, cost: Ints, terminal: Flags, edge: Ints, vertex: Ints) -> Compact:
    """Rows out of the heads of arcs."""
    tail = np.empty(len(head), np.int64)
    tail[0::2], tail[1::2] = head[1::2], head[0::2]
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(tail, minlength=count), out=start[1:])
    return Compact(start, np.argsort(tail, kind="stable"), head, cost, terminal, edge, vertex)


@numba.njit(cache=True, nogil=True)
@no_type_check
def spelled_rows(kid, edges):  # noqa: ANN001, ANN201
    """The edges of the instance that each given edge stands for, in rows: (start, edges)."""
    start = np.zeros(len(edges) + 1, np.int64)
    found = np.empty(2 * len(edges) + 16, np.int64)
    many = 0
    stack = np.empty(64, np.int64)
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
                if size + 2 > len(stack):
                    stack = np.concatenate((stack, np.empty(len(stack), np.int64)))
                stack[size] = kid[e, 0]
                stack[size + 1] = kid[e, 1]
                size += 2
        start[i + 1] = many
    return start, found[:many].copy()
