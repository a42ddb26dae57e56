"""The certificate of a Steiner tree, replayed and verified in whole numbers.

In: an instance as plain numbers, and a certificate. Out: a report: is it of this instance, is the tree a tree, does each step of the proof hold on the
graph that the steps before it left, and does the proof reach the bound.
Left alone: how the tree and the proof were found; nothing of the solver is used here.

What is kept true from step to step: with U the cost of the certificate's tree and `offset` the cost of the edges taken so far, the best tree of the
instance costs at least min(U, offset + the best tree of the graph at hand). Why each step keeps it is told where the step is checked.

Sources: C. W. Duin, A. Volgenant, "Reduction tests for the Steiner problem in graphs", Networks 19 (1989) 549–567 (special distances); T. Polzin,
S. Vahdati Daneshmand, "Improved algorithms for the Steiner problem in networks", Discrete Applied Mathematics 112 (2001) 263–300 (reduced costs); R. T.
Wong, Math. Programming 28 (1984) 271–287 (dual of the directed cuts).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, combinations
from typing import no_type_check

import msgspec
import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kiban.records.design import CheckReport, Finding
from kiban.records.steiner import Branch, Dual, Elimination, Leaf, Proof, SteinerCertificate, Step

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LARGEST = 4 * 10**18  # most that costs (or scaled costs, or duals) may add up to: two such numbers still add up below 2**63
FAR = 2**63 - 1  # no way at all
SPLIT, SPLIT_BY_BOUND = 4, 6  # most edges of a vertex that a step, or an elimination, may split
NONE = np.zeros(0, np.int64)


class Broken(Exception):
    """A step, a dual or an end that does not hold. constraint: the finding that it belongs to; why, in Japanese and English."""

    def __init__(self, ja: str, en: str, constraint: str = "steps") -> None:
        super().__init__(f"{ja} / {en}")
        self.constraint = constraint


def instance_hash(count: int, edges: ArrayLike, terminals: ArrayLike) -> str:
    """The SHA-256 of an instance in hex: whoever has the same numbers gets the same.

    Hashed are whole numbers of 64 bits, signed, little-endian, one behind the other: the number of vertices, of edges and of different terminals;
    for each edge, in the order of the instance, its smaller end, its larger end and its cost; the different terminals from the smallest on.

    Parameters
    ----------
    count      number of vertices, named 0 … count − 1
    edges      whole numbers [edges, 3]: end, end, cost
    terminals  vertices in any order

    >>> instance_hash(2, [[1, 0, 7]], [1, 0, 1]) == instance_hash(2, [[0, 1, 7]], [0, 1])
    True
    >>> instance_hash(2, [[0, 1, 7]], [0, 1])[:16]
    '64d3d6285021da52'
    """
    table, points = np.asarray(edges, np.int64).reshape(-1, 3), np.unique(np.asarray(terminals, np.int64))
    ends = np.sort(table[:, :2], axis=1)
    numbers = (np.array([count, len(table), len(points)], np.int64), np.column_stack((ends, table[:, 2])).ravel(), points)
    return hashlib.sha256(np.concatenate(numbers).astype("<i8").tobytes()).hexdigest()


def check_steiner(count: int, edges: ArrayLike, terminals: ArrayLike, certificate: SteinerCertificate) -> CheckReport:
    """Judge a certificate on its instance. Whatever stands in the certificate, nothing is raised: what does not fit is a finding that does not hold.

    Findings: instance (the certificate names this one), tree, cost, steps, dual, bound. The replay ends at the first step or dual that does not hold;
    the finding says its place in the certificate (as a path of fields) and why; nothing counts as proven then.

    Parameters
    ----------
    count      number of vertices, named 0 … count − 1
    edges      whole numbers [edges, 3]: end, end, cost (0 or more, together at most LARGEST); loops and parallel edges are allowed
    terminals  vertices in any order

    >>> from kiban.records.design import Cut
    >>> tree = {"edges": (0,), "cost": 7, "bound": 7, "instance": instance_hash(2, [[0, 1, 7]], [0, 1])}
    >>> dual = Dual(root=0, cuts=(Cut(terminal=1, base=-1, added=(1,), dual=7),))
    >>> check_steiner(2, [[0, 1, 7]], [0, 1], SteinerCertificate(**tree, proof=Proof(end=Leaf(dual=dual)))).holds
    True
    >>> report = check_steiner(2, [[0, 1, 7]], [0, 1], SteinerCertificate(**tree, proof=Proof(end=Leaf())))
    >>> print(*(finding.found for finding in report.findings if not finding.holds), sep="; ")  # doctest: +ELLIPSIS
    proof.end: ... / 2 terminals are left and joined: a dual is needed; ... / bound 7 is not proven
    """
    findings: dict[str, Finding] = {}

    def say(name: str, holds: bool, ja: str, en: str, place: str = "") -> bool:
        findings[name] = Finding(constraint=name, holds=holds, found=f"{place}{': ' if place else ''}{ja}{f' / {en}' if en else ''}")
        return holds

    def report() -> CheckReport:
        listed = tuple(findings[name] for name in ("instance", "tree", "cost", "steps", "dual", "bound") if name in findings)
        return CheckReport(holds=len(listed) == 6 and all(finding.holds for finding in listed), findings=listed)

    def nothing(names: Iterable[str]) -> CheckReport:
        for name in names:
            say(name, False, "確かめられない", "cannot be checked")
        return report()

    table, points = np.asarray(edges), np.asarray(terminals)
    table, points = table.reshape(-1, 3) if table.size else NONE.reshape(0, 3), points if points.size else NONE
    fault = _instance_fault(count, table, points)
    if fault:
        say("instance", False, "問題の数が使えない", fault)
        return nothing(("tree", "cost", "steps", "dual", "bound"))
    try:  # a record that was built by hand may hold anything: only one that can be written and read again is judged
        certificate = msgspec.json.decode(msgspec.json.encode(certificate), type=SteinerCertificate)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        say("instance", False, "証明書を読めない", f"the certificate cannot be read: {error}"[:300])
        return nothing(("tree", "cost", "steps", "dual", "bound"))
    own = instance_hash(count, table, points)
    same = certificate.instance == own
    say("instance", same, f"問題の指紋 {own[:16]}", f"instance {own[:16]}" + ("" if same else f", the certificate is of {certificate.instance[:16]}"))
    points = np.unique(points.astype(np.int64))
    try:
        known = _tree_cost(table, points, certificate.edges)
    except Broken as broken:
        say("tree", False, str(broken), "")
        return nothing(("cost", "steps", "dual", "bound"))
    say("tree", True, f"枝 {len(certificate.edges)} 本の木がすべての端点を結ぶ", f"a tree of {len(certificate.edges)} edges spans {len(points)} terminals")
    say("cost", certificate.cost == known, f"費用 {certificate.cost}、枝の和 {known}", f"cost {certificate.cost}, the edges add up to {known}")
    counts = {"steps": 0, "dual": 0, "leaves": 0}
    proven, place, broken_by = known, "", None
    state = State.of(count, table.astype(np.int64), points)
    waiting: list[tuple[Proof, State, str]] = [(certificate.proof, state, "proof")]
    while waiting and broken_by is None:
        proof, state, path = waiting.pop()
        try:
            for number, step in enumerate(proof.steps):
                place = f"{path}.steps[{number}]"
                counts["dual"] += isinstance(step, Elimination)
                state.apply(step, known)
                counts["steps"] += 1
            place = f"{path}.end"
            if isinstance(proof.end, Branch):
                outside = state.branch(proof.end.vertex)
                waiting.append((proof.end.outside, outside, f"{place}.outside"))
                waiting.append((proof.end.inside, state, f"{place}.inside"))
            else:
                counts["dual"] += proof.end.dual is not None
                counts["leaves"] += 1
                bound = state.leaf_bound(proof.end)
                proven = proven if bound is None else min(proven, bound)
        except Broken as broken:
            broken_by = broken
    for name, ja, en in (("steps", f"{counts['steps']} 手順が成り立つ", f"{counts['steps']} steps hold"), ("dual", "双対値が成り立つ", "the duals hold")):
        failed = broken_by is not None and broken_by.constraint == name
        say(name, not failed, str(broken_by) if failed else ja, "" if failed else en, place if failed else "")
    if broken_by is not None:
        say("bound", False, f"下界 {certificate.bound} は示されていない", f"bound {certificate.bound} is not proven")
        return report()
    held = certificate.bound <= proven and certificate.bound <= certificate.cost
    ends = f"{counts['leaves']} leaves, {counts['dual']} duals"
    say("bound", held, f"下界 {certificate.bound}、示された値 {proven}", f"bound {certificate.bound}, {proven} is proven ({ends})")
    return report()


def _instance_fault(count: int, table: NDArray[np.generic], points: NDArray[np.generic]) -> str:
    """What makes an instance unusable; empty if nothing."""
    if table.dtype.kind not in "iu" or points.dtype.kind not in "iu" or not 0 <= count < 2**31:
        return "whole numbers expected, and fewer than 2**31 vertices"
    ends = table[:, :2]
    if ends.size and not (int(ends.min()) >= 0 and int(ends.max()) < count):
        return f"an edge leaves the {count} vertices"
    if points.size and not (int(points.min()) >= 0 and int(points.max()) < count):
        return f"a terminal is none of the {count} vertices"
    if table.size and int(table[:, 2].min()) < 0:
        return "an edge of negative cost"
    total = sum(table[:, 2].tolist())
    return f"costs add up to {total}, above {LARGEST}" if total > LARGEST else ""


def _tree_cost(table: NDArray[np.generic], points: Ints, listed: tuple[int, ...]) -> int:
    """The cost of a tree, after checking that it is one and spans all terminals."""
    many, cost = len(table), 0
    above: dict[int, int] = {}

    def top(vertex: int) -> int:
        while above.setdefault(vertex, vertex) != vertex:
            above[vertex] = above[above[vertex]]
            vertex = above[vertex]
        return vertex

    for edge in listed:
        if not 0 <= edge < many:
            raise Broken(f"枝 {edge} は存在しない", f"edge {edge} does not exist", "tree")
        u, v, price = (int(number) for number in table[edge])
        first, second = top(u), top(v)
        if first == second:
            raise Broken(f"枝 {edge} は輪を作るか、二度目である", f"edge {edge} closes a circle or is listed twice", "tree")
        above[first] = second
        cost += price
    spanned = set(points.tolist()) | set(above)
    if spanned and len(spanned) - len(listed) != 1:
        raise Broken("木がすべての端点を結んでいない", f"{len(spanned) - len(listed)} parts: the tree does not join all terminals", "tree")
    return cost


@dataclass
class State:
    """The graph at hand while a proof is replayed.

    Half-edge 2e is edge e at its one end, 2e + 1 at its other: `node[h]` is the vertex there, `node[h ^ 1]` the vertex across; as an arc, h leads from
    the former to the latter. The half-edges at vertex v are a list: first[v], following[first[v]], … until −1. Arrays of half-edges and edges have room
    for more: `many` edges have a number. `offset`: cost of the edges taken.
    """

    first: Ints  # [count]
    degree: Ints  # [count], half-edges: a loop counts twice
    terminal: Flags  # [count]
    present: Flags  # [count]
    node: Ints  # [2 × room]
    following: Ints
    before: Ints
    cost: Ints  # [room]
    alive: Flags  # [room]
    many: int
    offset: int
    scratch: tuple[Ints, Ints, Ints, Ints]  # label (FAR), place (−1), heap, touched: [count], left as they were found

    @staticmethod
    def of(count: int, table: Ints, terminals: ArrayLike) -> State:
        """The state before the first step."""
        many = len(table)
        room = many + 16
        terminal = np.zeros(count, np.bool_)
        terminal[np.asarray(terminals, np.int64)] = True
        scratch = (np.full(count, FAR, np.int64), np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64))
        halves = tuple(np.full(2 * room, -1, np.int64) for _ in range(3))
        state = State(
            first=np.full(count, -1, np.int64),
            degree=np.zeros(count, np.int64),
            terminal=terminal,
            present=np.ones(count, np.bool_),
            node=halves[0],
            following=halves[1],
            before=halves[2],
            cost=np.zeros(room, np.int64),
            alive=np.zeros(room, np.bool_),
            many=0,
            offset=0,
            scratch=scratch,
        )
        state._link(np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1]), np.ascontiguousarray(table[:, 2]))
        return state

    def copy(self) -> State:
        """An independent copy (the scratch is shared)."""
        arrays = ("first", "degree", "terminal", "present", "node", "following", "before", "cost", "alive")
        return replace(self, **{name: getattr(self, name).copy() for name in arrays})

    def edges(self) -> list[tuple[int, int, int, int]]:
        """The edges at hand: number, end, end, cost."""
        left = np.flatnonzero(self.alive[: self.many])
        return list(zip(left.tolist(), self.node[2 * left].tolist(), self.node[2 * left + 1].tolist(), self.cost[left].tolist(), strict=True))

    def apply(self, step: Step | Elimination, known: int) -> None:
        """Verify one step and carry it out. known: cost of the known tree.

        Raises
        ------
        Broken  the step does not hold; the state is of no use any more
        """
        if isinstance(step, Elimination):
            self._eliminate(step, known)
            return
        name, numbers = step.kind, step.of
        if len(numbers) != {"drop": 1, "leaf": 1, "take": 4, "split": 1}[name]:
            raise Broken(f"{name} の数が {len(numbers)} 個ある", f"{name} of {len(numbers)} numbers")
        if name == "drop":
            self._drop(numbers[0])
        elif name == "leaf":
            self._leaf(numbers[0])
        elif name == "take":
            self._take(*numbers)
        else:
            self._split_checked(numbers[0])

    def branch(self, vertex: int) -> State:
        """The case that a vertex is out of the tree, as a new state; this one becomes the case that it is in. Each tree belongs to one of the two."""
        self._free_vertex(vertex)
        outside = self.copy()
        outside._remove(vertex)
        self.terminal[vertex] = True
        return outside

    def leaf_bound(self, leaf: Leaf) -> int | None:
        """What every tree of this state costs at least, the offset included; None: there is no tree."""
        if leaf.dual is not None:
            total, _ = self._verify(leaf.dual)
            return self.offset - (-total // leaf.dual.scale)
        points = np.flatnonzero(self.terminal)
        if len(points) <= 1:
            return self.offset
        label, _, queue, _ = self.scratch
        if _terminals_beside(self.first, self.following, self.node, self.terminal, label, queue, points[0]) == len(points):
            raise Broken(f"端点が {len(points)} 個残り、つながっている: 双対値が要る", f"{len(points)} terminals are left and joined: a dual is needed")
        return None

    # Steps. Each says why the best tree stays as cheap as it was.

    def _drop(self, edge: int) -> None:
        """Without the edge, a tree that holds it falls into two parts. On a walk between its ends, consecutive stops (the ends, and terminals, all of them
        in the tree) lie in different parts somewhere; the piece between them joins the parts again and is no longer than the edge is dear.
        """
        u, v = self._ends(edge)
        cost = int(self.cost[edge])
        if u != v and self._distance(u, v, cost, edge, through=False) > cost and self._distance(u, v, cost, edge, through=True) > cost:
            raise Broken(f"枝 {edge}（{u}–{v}、費用 {cost}）を除くと近道がない", f"edge {edge} ({u}–{v}, cost {cost}): no way as short without it")
        self._cut_off(edge)

    def _leaf(self, vertex: int) -> None:
        """No cheapest tree needs an end that is no terminal."""
        self._free_vertex(vertex)
        halves = self._halves(vertex)
        if len(halves) > 1:
            raise Broken(f"頂点 {vertex} に枝端が {len(halves)} ある", f"vertex {vertex} has {len(halves)} ends of edges")
        self._remove(vertex)

    def _take(self, edge: int, gone: int, near: int, far: int) -> None:
        """A tree without the edge joins `near` and `far` by a path that holds an edge at least as dear as the walk is long. The walk in its place joins
        the two parts again: a connected graph that holds the edge and costs no more. So an optimal tree with the edge, hence with both its ends, exists.
        """
        u, v = self._ends(edge)
        if u == v:
            raise Broken(f"枝 {edge} は輪", f"edge {edge} is a loop")
        if gone not in (u, v):
            raise Broken(f"頂点 {gone} は枝 {edge} の端でない", f"vertex {gone} is no end of edge {edge} ({u}–{v})")
        for vertex in (near, far):
            if not 0 <= vertex < len(self.first) or not self.terminal[vertex]:
                raise Broken(f"頂点 {vertex} は端点でない", f"vertex {vertex} is no terminal")
        if near == far:
            raise Broken(f"近い端点と遠い端点が同じ {near}", f"near and far are both {near}")
        cost, ends = int(self.cost[edge]), np.array([u, v], np.int64)
        (near_u, near_v), (far_u, far_v) = (self._special(vertex, ends, LARGEST, edge, -1, False) for vertex in (near, far))
        walks = [a + cost + b for a, b in ((near_u, far_v), (near_v, far_u)) if FAR not in (a, b)]
        if not walks:
            raise Broken(f"枝 {edge} を通って {near} と {far} を結べない", f"no walk from {near} to {far} through edge {edge}")
        length = min(walks)
        label, _, queue, _ = self.scratch
        if _reaches(self.first, self.following, self.node, self.cost, label, queue, near, far, min(length, FAR), edge):
            raise Broken(
                f"枝 {edge} を通る長さ {length}、費用 {length} 未満の枝だけで {near} と {far} が結ばれる",
                f"edge {edge}: the walk is {length} long, and edges cheaper than {length} join {near} and {far} without it",
            )
        kept = v if gone == u else u
        self.offset += cost
        self._cut_off(edge)
        _melt(self.first, self.following, self.before, self.node, self.degree, gone, kept)
        self.present[gone] = self.terminal[gone] = False
        self.terminal[kept] = True

    def _split_checked(self, vertex: int) -> None:
        """A tree in which the vertex has three or more edges falls into as many parts without it; links of special distance between the neighbours join
        them again (at each length, parts that short links join are joined by pieces as short), and cost no more than the edges that went.
        Neighbours that stand twice need no look: no tree holds two edges between the same vertices.
        """
        self._free_vertex(vertex)
        edges, ends = self._star(vertex, 1, SPLIT)
        costs = [int(self.cost[edge]) for edge in edges]
        around = sorted(set(ends))
        cap = min(sum(costs), LARGEST)
        link: dict[tuple[int, int], int] = {}
        for place, end in enumerate(around[:-1] if len(around) > 2 else []):
            others = np.array(around[place + 1 :], np.int64)
            for other, length in zip(others.tolist(), self._special(end, others, cap, -1, vertex, True), strict=True):
                link[end, other] = length
        for size in range(3, len(around) + 1):
            for chosen in combinations(range(len(edges)), size):
                met = [ends[i] for i in chosen]
                if len(set(met)) == size and _spanning(met, link) > (spent := sum(costs[i] for i in chosen)):
                    raise Broken(
                        f"頂点 {vertex}: 隣 {met} への枝の和 {spent} は、隣どうしを結ぶ費用より小さい",
                        f"vertex {vertex}: its edges to {met} cost {spent}, less than links between these",
                    )
        self._split(vertex, edges, ends)

    def _eliminate(self, step: Elimination, known: int) -> None:
        """A tree of this graph, seen as arcs away from the root, costs (scaled) the duals and the reduced costs of its arcs at least. All its ends are
        terminals once it is pruned: an arc u → v of it stands behind a path root → u and before a path v → some terminal, a vertex with two arcs out
        before two such paths to different terminals. What exceeds U − 1 − offset that way is in no pruned tree cheaper than U. A split later in the list
        sees that same tree, in which an earlier one only shortened a path: degrees of other vertices stay.
        """
        dual = step.dual
        total, reduced = self._verify(dual)
        slack = (known - 1 - self.offset) * dual.scale - total
        label, place, heap, _ = self.scratch
        lists = (self.first, self.following, self.node)
        from_root = _from_root(*lists, reduced, label, place, heap, dual.root)
        nearest, second = _to_terminals(*lists, reduced, self.terminal, label, place, heap, dual.root, len(step.splits) > 0)

        def beyond(*parts: int) -> bool:
            return FAR in parts or sum(parts) > slack

        for edge in step.edges:
            u, v = self._ends(edge)
            if not (
                beyond(int(from_root[u]), int(reduced[2 * edge]), int(nearest[v])) and beyond(int(from_root[v]), int(reduced[2 * edge + 1]), int(nearest[u]))
            ):
                raise Broken(f"枝 {edge}（{u}–{v}）は除けない", f"edge {edge} ({u}–{v}) may be in a tree cheaper than {known}")
            self._cut_off(edge)
        for vertex in step.vertices:
            self._free_vertex(vertex)
            if not beyond(int(from_root[vertex]), int(nearest[vertex])):
                raise Broken(f"頂点 {vertex} は除けない", f"vertex {vertex} may be in a tree cheaper than {known}")
            self._remove(vertex)
        for vertex in step.splits:
            self._free_vertex(vertex)
            edges, ends = self._star(vertex, 0, SPLIT_BY_BOUND)
            if len(edges) > 2 and not beyond(int(from_root[vertex]), int(nearest[vertex]), int(second[vertex])):
                raise Broken(f"頂点 {vertex} は分けられない", f"vertex {vertex} may have three edges in a tree cheaper than {known}")
            self._split(vertex, edges, ends)

    # Duals

    def _verify(self, dual: Dual) -> tuple[int, Ints]:
        """Check a dual on the graph at hand. Returns the sum of the duals, and per arc (half-edge) scale × cost less what the cuts take."""
        count, cuts = len(self.first), dual.cuts

        def broken(ja: str, en: str) -> Broken:
            return Broken(ja, en, "dual")

        if not 1 <= dual.scale <= LARGEST:
            raise broken(f"尺度 {dual.scale}、1 以上 {LARGEST} 以下のはず", f"scale {dual.scale}, 1 to {LARGEST} expected")
        if not 0 <= dual.root < count or not self.terminal[dual.root]:
            raise broken(f"根 {dual.root} は端点でない", f"root {dual.root} is no terminal")
        added = list(chain.from_iterable(cut.added for cut in cuts))
        for index, cut in enumerate(cuts):
            if not 0 <= cut.dual <= LARGEST:
                raise broken(f"カット {index}: 双対値 {cut.dual}", f"cut {index}: dual {cut.dual}, 0 to {LARGEST} expected")
            if not -1 <= cut.base < index:
                raise broken(f"カット {index}: 元のカット {cut.base} は前にない", f"cut {index}: base {cut.base} is no earlier cut")
            if not 0 <= cut.terminal < count or not self.terminal[cut.terminal]:
                raise broken(f"カット {index}: {cut.terminal} は端点でない", f"cut {index}: {cut.terminal} is no terminal")
        total = sum(cut.dual for cut in cuts)
        spent = dual.scale * sum(self.cost[: self.many][self.alive[: self.many]].tolist())
        if max(total, spent) > LARGEST:
            raise broken("数が大きすぎる", f"duals of {total}, scaled costs of {spent}: above {LARGEST}")
        try:
            nodes = np.array(added, np.int64)
        except OverflowError:
            nodes = np.array([-1], np.int64)
        if nodes.size and not (nodes.min() >= 0 and nodes.max() < count):
            raise broken("存在しない頂点を含むカットがある", "a cut holds a vertex that does not exist")
        starts = np.zeros(len(cuts) + 1, np.int64)
        np.cumsum([len(cut.added) for cut in cuts], out=starts[1:])
        base, amounts, ends = (np.array(column, np.int64) for column in ([c.base for c in cuts], [c.dual for c in cuts], [c.terminal for c in cuts]))
        enter, running, spans, begin, end = _forest(base, amounts, starts, nodes, count)
        outside = _outside(enter, ends, spans, begin, end)
        if outside >= 0:
            raise broken(f"カット {outside}: 自分の端点 {ends[outside]} を含まない", f"cut {outside}: its terminal {ends[outside]} is outside")
        if spans[dual.root + 1] > spans[dual.root] and begin[spans[dual.root]] >= 0:
            raise broken(f"根 {dual.root} を含むカットがある", f"a cut holds the root {dual.root}")
        reduced = np.zeros(len(self.node), np.int64)
        over = _reduce(self.node, self.cost, self.alive, self.many, dual.scale, running, spans, begin, end, reduced)
        if over >= 0:
            u, v = int(self.node[over]), int(self.node[over ^ 1])
            took = dual.scale * int(self.cost[over >> 1]) - int(reduced[over])
            raise broken(
                f"枝 {over >> 1}（{u}→{v}）: 双対値の和 {took} > 費用 {self.cost[over >> 1]} × {dual.scale}",
                f"edge {over >> 1} ({u}→{v}): duals {took} above cost {self.cost[over >> 1]} × {dual.scale}",
            )
        return total, reduced

    # What is there, and changes

    def _ends(self, edge: int) -> tuple[int, int]:
        if not 0 <= edge < self.many or not self.alive[edge]:
            raise Broken(f"枝 {edge} はない", f"edge {edge} is not there")
        return int(self.node[2 * edge]), int(self.node[2 * edge + 1])

    def _free_vertex(self, vertex: int) -> None:
        if not 0 <= vertex < len(self.first) or not self.present[vertex]:
            raise Broken(f"頂点 {vertex} はない", f"vertex {vertex} is not there")
        if self.terminal[vertex]:
            raise Broken(f"頂点 {vertex} は端点", f"vertex {vertex} is a terminal")

    def _halves(self, vertex: int) -> list[int]:
        """The half-edges at a vertex, at most a few."""
        found: list[int] = []
        at = int(self.first[vertex])
        while at >= 0 and len(found) <= 2 * SPLIT_BY_BOUND:
            found.append(at)
            at = int(self.following[at])
        return found

    def _star(self, vertex: int, least: int, most: int) -> tuple[list[int], list[int]]:
        """The edges at a vertex in the order of their numbers, and the ends across."""
        halves = sorted(self._halves(vertex))
        if not least <= len(halves) <= most:
            raise Broken(f"頂点 {vertex} に枝が {self.degree[vertex]} 本", f"vertex {vertex} has {self.degree[vertex]} edges, {least} to {most} expected")
        ends = [int(self.node[half ^ 1]) for half in halves]
        if vertex in ends:
            raise Broken(f"頂点 {vertex} に輪がある", f"vertex {vertex} has a loop")
        return [half >> 1 for half in halves], ends

    def _split(self, vertex: int, edges: list[int], ends: list[int]) -> None:
        pairs = list(combinations(range(len(edges)), 2))
        sums = [int(self.cost[edges[i]]) + int(self.cost[edges[j]]) for i, j in pairs]
        if max(sums, default=0) > LARGEST:
            raise Broken(f"頂点 {vertex}: 費用が大きすぎる", f"vertex {vertex}: a new edge would cost {max(sums)}, above {LARGEST}")
        self._remove(vertex)
        self._link(*(np.array(column, np.int64) for column in ([ends[i] for i, _ in pairs], [ends[j] for _, j in pairs], sums)))

    def _link(self, tails: Ints, heads: Ints, costs: Ints) -> None:
        """New edges, numbered next."""
        room = len(self.cost)
        if self.many + len(costs) > room:
            more = max(room, len(costs))
            for name in ("node", "following", "before"):
                setattr(self, name, np.concatenate((getattr(self, name), np.full(2 * more, -1, np.int64))))
            self.cost, self.alive = np.concatenate((self.cost, np.zeros(more, np.int64))), np.concatenate((self.alive, np.zeros(more, np.bool_)))
        _link(self.first, self.following, self.before, self.node, self.degree, self.cost, self.alive, self.many, tails, heads, costs)
        self.many += len(costs)

    def _cut_off(self, edge: int) -> None:
        _cut_off(self.first, self.following, self.before, self.node, self.degree, self.alive, edge)

    def _remove(self, vertex: int) -> None:
        while (half := int(self.first[vertex])) >= 0:
            self._cut_off(half >> 1)
        self.present[vertex] = False

    def _distance(self, u: int, v: int, cap: int, edge: int, through: bool) -> int:
        """FAR, or a number of at most cap when such a (special, if through) distance joins u and v without an edge."""
        found = np.full(1, FAR, np.int64)
        lists = (self.first, self.following, self.node, self.cost, self.terminal)
        _search(*lists, *self.scratch, u, np.array([v], np.int64), cap, edge, -1, through, True, found)
        return int(found[0])

    def _special(self, source: int, targets: Ints, cap: int, no_edge: int, no_vertex: int, through: bool) -> list[int]:
        """The distances (special ones, if through) from a vertex to others, FAR above cap."""
        found = np.full(len(targets), FAR, np.int64)
        lists = (self.first, self.following, self.node, self.cost, self.terminal)
        _search(*lists, *self.scratch, source, targets, cap, no_edge, no_vertex, through, False, found)
        distances: list[int] = found.tolist()
        return distances


def _spanning(vertices: list[int], link: dict[tuple[int, int], int]) -> int:
    """The cheapest way to link a few vertices to each other."""
    inside, outside, total = vertices[:1], vertices[1:], 0
    while outside:
        length, best = min((link[min(a, b), max(a, b)], b) for a in inside for b in outside)
        total += length
        inside.append(best)
        outside.remove(best)
    return total


# Kernels. A heap holds slots ordered by key[slot]; place[slot] is where it stands, −1 when it does not.


@numba.njit(cache=True)
@no_type_check
def _push(heap, place, key, size, slot):  # noqa: ANN001, ANN202
    """Put a slot in, or move it up after its key fell. Returns the new size."""
    at = place[slot]
    if at < 0:
        at = size
        size += 1
    while at > 0:
        above = (at - 1) >> 1
        if key[heap[above]] <= key[slot]:
            break
        heap[at] = heap[above]
        place[heap[at]] = at
        at = above
    heap[at] = slot
    place[slot] = at
    return size


@numba.njit(cache=True)
@no_type_check
def _pop(heap, place, key, size):  # noqa: ANN001, ANN202
    """Take out the slot of the smallest key, heap[0]; the size is then one less. Returns the slot."""
    top = heap[0]
    place[top] = -1
    size -= 1
    if size > 0:
        slot = heap[size]
        at = 0
        while True:
            below = 2 * at + 1
            if below >= size:
                break
            if below + 1 < size and key[heap[below + 1]] < key[heap[below]]:
                below += 1
            if key[slot] <= key[heap[below]]:
                break
            heap[at] = heap[below]
            place[heap[at]] = at
            at = below
        heap[at] = slot
        place[slot] = at
    return top


@numba.njit(cache=True)
@no_type_check
def _search(first, following, node, cost, terminal, label, place, heap, touched, source, targets, cap, no_edge, no_vertex, through, soon, found):  # noqa: ANN001, ANN202
    """Distances from source to targets, into `found`, without an edge and a vertex; no piece longer than cap.

    through: special distances. The vertex nearest to any stop reached so far comes next; a terminal becomes a stop itself. `longest`, the longest piece
    so far, then is the least that can be had: when it grew, no target still to come was nearer to a stop. soon: the first target need only be met.
    """
    size, marked, longest, missing = 0, 0, 0, len(targets)
    label[source] = 0
    touched[0] = source
    marked = 1
    size = _push(heap, place, label, size, source)
    while size > 0 and missing > 0:
        v = _pop(heap, place, label, size)
        size -= 1
        length = label[v]
        for i in range(len(targets)):
            if targets[i] == v and found[i] == FAR:
                found[i] = max(longest, length)
                missing -= 1
        if through and terminal[v]:
            longest = max(longest, length)
            label[v] = 0
            length = 0
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            reach = length + cost[h >> 1]
            if reach <= cap and reach < label[w] and h >> 1 != no_edge and w != no_vertex:
                if label[w] == FAR:
                    touched[marked] = w
                    marked += 1
                label[w] = reach
                size = _push(heap, place, label, size, w)
                if soon and w == targets[0]:
                    found[0] = cap
                    missing = 0
            h = following[h]
    for i in range(marked):
        label[touched[i]] = FAR
        place[touched[i]] = -1


@numba.njit(cache=True)
@no_type_check
def _reaches(first, following, node, cost, label, queue, source, target, below, no_edge):  # noqa: ANN001, ANN202
    """True when edges cheaper than `below`, without one edge, join source and target."""
    label[source] = 0
    queue[0] = source
    size, at = 1, 0
    while at < size and label[target] == FAR:
        h = first[queue[at]]
        at += 1
        while h >= 0:
            w = node[h ^ 1]
            if label[w] == FAR and cost[h >> 1] < below and h >> 1 != no_edge:
                label[w] = 0
                queue[size] = w
                size += 1
            h = following[h]
    met = label[target] != FAR
    for i in range(size):
        label[queue[i]] = FAR
    return met


@numba.njit(cache=True)
@no_type_check
def _terminals_beside(first, following, node, terminal, label, queue, source):  # noqa: ANN001, ANN202
    """How many terminals are in the component of a vertex."""
    label[source] = 0
    queue[0] = source
    size, at, met = 1, 0, 0
    while at < size:
        v = queue[at]
        at += 1
        if terminal[v]:
            met += 1
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            if label[w] == FAR:
                label[w] = 0
                queue[size] = w
                size += 1
            h = following[h]
    for i in range(size):
        label[queue[i]] = FAR
    return met


@numba.njit(cache=True)
@no_type_check
def _link(first, following, before, node, degree, cost, alive, many, tails, heads, costs):  # noqa: ANN001, ANN202
    """Add edges many, many + 1, …"""
    for i in range(len(costs)):
        e = many + i
        cost[e] = costs[i]
        alive[e] = True
        for h in range(2 * e, 2 * e + 2):
            v = tails[i] if h == 2 * e else heads[i]
            node[h] = v
            degree[v] += 1
            before[h] = -1
            following[h] = first[v]
            if first[v] >= 0:
                before[first[v]] = h
            first[v] = h


@numba.njit(cache=True)
@no_type_check
def _cut_off(first, following, before, node, degree, alive, edge):  # noqa: ANN001, ANN202
    """Take an edge out of the lists of its ends."""
    alive[edge] = False
    for h in range(2 * edge, 2 * edge + 2):
        v = node[h]
        degree[v] -= 1
        if before[h] >= 0:
            following[before[h]] = following[h]
        else:
            first[v] = following[h]
        if following[h] >= 0:
            before[following[h]] = before[h]


@numba.njit(cache=True)
@no_type_check
def _melt(first, following, before, node, degree, gone, kept):  # noqa: ANN001, ANN202
    """All edges at one vertex move to another."""
    h = first[gone]
    if h < 0:
        return
    while True:
        node[h] = kept
        if following[h] < 0:
            break
        h = following[h]
    following[h] = first[kept]
    if first[kept] >= 0:
        before[first[kept]] = h
    first[kept] = first[gone]
    first[gone] = -1
    degree[kept] += degree[gone]
    degree[gone] = 0


@numba.njit(cache=True)
@no_type_check
def _forest(base, dual, starts, added, count):  # noqa: ANN001, ANN202
    """The cuts as a forest, each on its base: the cuts that hold a vertex are intervals of its depth-first order.

    Returns enter (per cut its place), running (running sum of the duals in that order, from 0), and the intervals of vertex v in ascending order,
    begin[i], end[i] for spans[v] ≤ i < spans[v + 1] as far as begin[i] ≥ 0.
    """
    many = len(base)
    size = np.ones(many, np.int64)
    for i in range(many - 1, -1, -1):
        if base[i] >= 0:
            size[base[i]] += size[i]
    enter, free, order = np.empty(many, np.int64), np.empty(many, np.int64), np.empty(many, np.int64)
    top = 0
    for i in range(many):
        if base[i] >= 0:
            enter[i] = free[base[i]]
            free[base[i]] += size[i]
        else:
            enter[i] = top
            top += size[i]
        free[i] = enter[i] + 1
        order[enter[i]] = i
    running = np.zeros(many + 1, np.int64)
    for i in range(many):
        running[i + 1] = running[i] + dual[order[i]]
    spans = np.zeros(count + 1, np.int64)
    for v in added:
        spans[v + 1] += 1
    for v in range(count):
        spans[v + 1] += spans[v]
    begin, end, filled = np.full(len(added), -1, np.int64), np.full(len(added), -1, np.int64), spans[:-1].copy()
    for place in range(many):
        cut = order[place]
        for p in range(starts[cut], starts[cut + 1]):
            v = added[p]
            at = filled[v]
            if at == spans[v] or end[at - 1] <= place:
                begin[at] = place
                end[at] = place + size[cut]
                filled[v] = at + 1
    return enter, running, spans, begin, end


@numba.njit(cache=True)
@no_type_check
def _outside(enter, ends, spans, begin, end):  # noqa: ANN001, ANN202
    """The first cut that does not hold its own terminal, −1 if none."""
    for cut in range(len(enter)):
        low, high = spans[ends[cut]], spans[ends[cut] + 1]
        while low < high:  # the last interval that begins at or before the cut
            middle = (low + high) >> 1
            if begin[middle] >= 0 and begin[middle] <= enter[cut]:
                low = middle + 1
            else:
                high = middle
        low -= 1
        if low < spans[ends[cut]] or end[low] <= enter[cut]:
            return cut
    return -1


@numba.njit(cache=True)
@no_type_check
def _reduce(node, cost, alive, many, scale, running, spans, begin, end, reduced):  # noqa: ANN001, ANN202
    """Per arc: scale × cost less the duals of the cuts that it enters, into `reduced`. Returns the first arc where that is negative, −1 if none."""
    count = len(spans) - 1
    total = np.zeros(count, np.int64)  # the duals of all cuts that hold a vertex
    stop = spans[1:].copy()
    for v in range(count):
        for i in range(spans[v], spans[v + 1]):
            if begin[i] < 0:
                stop[v] = i
                break
            total[v] += running[end[i]] - running[begin[i]]
    for e in range(many):
        if not alive[e]:
            continue
        u, v = node[2 * e], node[2 * e + 1]
        both, i, j = 0, spans[u], spans[v]
        while i < stop[u] and j < stop[v]:
            low, high = max(begin[i], begin[j]), min(end[i], end[j])
            if low < high:
                both += running[high] - running[low]
            if end[i] <= end[j]:
                i += 1
            else:
                j += 1
        reduced[2 * e] = scale * cost[e] - (total[v] - both)
        reduced[2 * e + 1] = scale * cost[e] - (total[u] - both)
        for h in range(2 * e, 2 * e + 2):
            if reduced[h] < 0:
                return h
    return -1


@numba.njit(cache=True)
@no_type_check
def _from_root(first, following, node, reduced, label, place, heap, root):  # noqa: ANN001, ANN202
    """Shortest reduced distance from the root to each vertex."""
    distance = label.copy()  # FAR everywhere
    distance[root] = 0
    size = _push(heap, place, distance, 0, root)
    while size > 0:
        v = _pop(heap, place, distance, size)
        size -= 1
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            reach = distance[v] + reduced[h]
            if reach < distance[w]:
                distance[w] = reach
                size = _push(heap, place, distance, size, w)
            h = following[h]
    return distance


@numba.njit(cache=True)
@no_type_check
def _to_terminals(first, following, node, reduced, terminal, label, place, heap, root, both):  # noqa: ANN001, ANN202
    """Shortest reduced distance from each vertex to its nearest terminal and (if both) to the second nearest one; the root counts as none."""
    count = len(first)
    nearest, second, whose = label.copy(), label.copy(), np.full(count, -1, np.int64)
    size = 0
    for v in range(count):
        if terminal[v] and v != root:
            nearest[v] = 0
            whose[v] = v
            size = _push(heap, place, nearest, size, v)
    while size > 0:
        v = _pop(heap, place, nearest, size)
        size -= 1
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            reach = nearest[v] + reduced[h ^ 1]  # the arc w → v
            if reach < nearest[w]:
                nearest[w] = reach
                whose[w] = whose[v]
                size = _push(heap, place, nearest, size, w)
            h = following[h]
    if not both:
        return nearest, second
    # The way to a terminal other than the nearest one steps to a neighbour, and from there to that one's nearest if it is another, else second.
    for v in range(count):
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            if whose[w] >= 0 and whose[w] != whose[v]:
                second[v] = min(second[v], reduced[h] + nearest[w])
            h = following[h]
        if second[v] != FAR:
            size = _push(heap, place, second, size, v)
    while size > 0:
        v = _pop(heap, place, second, size)
        size -= 1
        h = first[v]
        while h >= 0:
            w = node[h ^ 1]
            reach = second[v] + reduced[h ^ 1]
            if whose[w] == whose[v] and reach < second[w]:
                second[w] = reach
                size = _push(heap, place, second, size, w)
            h = following[h]
    return nearest, second
