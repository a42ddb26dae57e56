"""The checker of Steiner proofs: small proofs that hold, each with a sibling that does not; and against brute force, that no step loses the best tree."""

from __future__ import annotations

import hashlib
import json
import random
import time
from itertools import combinations, permutations

import msgspec
import numba
import numpy as np
import pytest
from msgspec.structs import replace

from kiban.check.steiner import Broken, State, check_steiner, instance_hash
from kiban.records.design import Cut
from kiban.records.steiner import Branch, Dual, Elimination, Leaf, Proof, SteinerCertificate, Step

INF = 10**30
Edges = list[tuple[int, int, int]]


def certificate(count: int, edges: Edges, terminals: list[int], tree: tuple[int, ...], proof: Proof, bound: int | None = None) -> SteinerCertificate:
    cost = sum(edges[edge][2] for edge in tree)
    return SteinerCertificate(instance=instance_hash(count, edges, terminals), edges=tree, cost=cost, bound=cost if bound is None else bound, proof=proof)


def failing(count: int, edges: Edges, terminals: list[int], made: SteinerCertificate) -> list[str]:
    report = check_steiner(count, edges, terminals, made)
    assert report.holds == all(finding.holds for finding in report.findings)
    assert [finding.constraint for finding in report.findings] == ["instance", "tree", "cost", "steps", "dual", "bound"]
    return [finding.constraint for finding in report.findings if not finding.holds]


def found(count: int, edges: Edges, terminals: list[int], made: SteinerCertificate) -> str:
    return " | ".join(finding.found for finding in check_steiner(count, edges, terminals, made).findings if not finding.holds)


def cut(terminal: int, added: tuple[int, ...], dual: int, base: int = -1) -> Cut:
    return Cut(terminal=terminal, base=base, added=added, dual=dual)


# Small proofs by hand

STAR: Edges = [(0, 3, 2), (1, 3, 2), (2, 3, 2), (0, 1, 3), (1, 2, 3), (0, 2, 3)]  # terminals 0 1 2, centre 3; both the star and two sides cost 6
PATH: Edges = [(0, 1, 4), (1, 2, 4), (0, 2, 8), (2, 3, 1), (3, 3, 0)]  # terminals 0 2; 1 in between; 3 hangs on 2 with a loop
CASES = [
    # name, instance and tree, steps that hold, steps of which the last does not, what is said of it
    (
        "drop: the way through a terminal is in pieces of at most the cost",
        (4, [(0, 3, 3), (3, 1, 3), (0, 1, 3), (1, 2, 9)], [0, 1, 3], (0, 1)),
        (Step(kind="drop", of=(2,)), Step(kind="take", of=(0, 0, 0, 3)), Step(kind="take", of=(1, 3, 3, 1))),
        (Step(kind="drop", of=(3,)),),
        "no way as short",
    ),
    (
        "drop: a way through other vertices must be short as a whole",
        (4, [(0, 3, 3), (3, 1, 3), (0, 1, 6), (1, 2, 9)], [0, 1], (2,)),
        (Step(kind="drop", of=(2,)), Step(kind="take", of=(0, 0, 0, 1)), Step(kind="take", of=(1, 1, 3, 1))),
        (Step(kind="drop", of=(1,)),),
        "no way as short",
    ),
    (
        "drop: a loop and the dearer of two parallel edges",
        (2, [(0, 1, 3), (1, 1, 0), (0, 1, 4)], [0, 1], (0,)),
        (Step(kind="drop", of=(1,)), Step(kind="drop", of=(2,)), Step(kind="take", of=(0, 1, 1, 0))),
        (Step(kind="drop", of=(0,)),),
        "no way as short",
    ),
    (
        "leaf: only with one edge",
        (4, PATH, [0, 2], (0, 1)),
        (
            Step(kind="drop", of=(4,)),
            Step(kind="leaf", of=(3,)),
            Step(kind="drop", of=(2,)),
            Step(kind="take", of=(0, 1, 0, 2)),
            Step(kind="take", of=(1, 0, 0, 2)),
        ),
        (Step(kind="leaf", of=(3,)),),
        "3 ends of edges",
    ),
    (
        "leaf: no terminal",
        (3, [(0, 1, 1), (1, 2, 1)], [0, 1], (0,)),
        (Step(kind="leaf", of=(2,)), Step(kind="take", of=(0, 0, 1, 0))),
        (Step(kind="leaf", of=(0,)),),
        "is a terminal",
    ),
    (
        "take: the walk is no longer than the bottleneck without it",
        (3, [(0, 1, 2), (1, 2, 3), (0, 2, 5)], [0, 2], (0, 1)),
        (Step(kind="drop", of=(2,)), Step(kind="take", of=(1, 2, 2, 0)), Step(kind="take", of=(0, 1, 1, 0))),
        (Step(kind="take", of=(2, 0, 2, 0)),),
        "edges cheaper than 5 join",
    ),
    (
        "split: degree two",
        (4, PATH, [0, 2], (0, 1)),
        (Step(kind="split", of=(1,)), Step(kind="drop", of=(2,)), Step(kind="drop", of=(4,)), Step(kind="split", of=(3,)), Step(kind="take", of=(5, 2, 0, 2))),
        (Step(kind="split", of=(3,)),),
        "loop",
    ),
    (
        "split: degree three, as the sides cost no more than the star",
        (4, STAR, [0, 1, 2], (0, 1, 2)),
        (
            Step(kind="split", of=(3,)),
            *(Step(kind="drop", of=(edge,)) for edge in (6, 7, 8, 5)),
            Step(kind="take", of=(3, 0, 0, 1)),
            Step(kind="take", of=(4, 1, 1, 2)),
        ),
        (Step(kind="drop", of=(3,)), Step(kind="drop", of=(4,))),
        "no way as short",
    ),
]


@pytest.mark.parametrize(("instance", "steps", "wrong", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_proof_by_hand_holds_and_its_sibling_does_not(instance, steps, wrong, says):
    *plain, tree = instance
    assert failing(*plain, certificate(*plain, tree, Proof(steps=steps, end=Leaf()))) == []
    sibling = certificate(*plain, tree, Proof(steps=wrong, end=Leaf()))
    assert failing(*plain, sibling) == ["steps", "bound"]
    assert f"proof.steps[{len(wrong) - 1}]: " in found(*plain, sibling)
    assert says in found(*plain, sibling)
    # The bound is exact in each: one more is refused.
    assert failing(*plain, replace(certificate(*plain, tree, Proof(steps=steps, end=Leaf())), bound=10**6)) == ["bound"]


def test_a_cheap_star_may_not_be_split():
    edges = [(0, 3, 1), (1, 3, 1), (2, 3, 1), (0, 1, 3), (1, 2, 3), (0, 2, 3)]
    made = certificate(4, edges, [0, 1, 2], (0, 1, 2), Proof(steps=(Step(kind="split", of=(3,)),), end=Leaf()))
    assert "its edges to [0, 1, 2] cost 3, less than links" in found(4, edges, [0, 1, 2], made)


def test_the_special_distance_of_a_split_is_taken_without_the_vertex():
    # Through vertex 3 itself the neighbours would be 2 apart, and the star of 3 would look dear enough for two links.
    edges = [(0, 3, 1), (1, 3, 1), (2, 3, 1), (0, 1, 2), (1, 2, 9)]
    made = certificate(4, edges, [0, 1, 2], (0, 1, 2), Proof(steps=(Step(kind="split", of=(3,)),), end=Leaf()))
    assert failing(4, edges, [0, 1, 2], made) == ["steps", "bound"]


DIAMOND: Edges = [(0, 1, 2), (1, 2, 2), (0, 3, 3), (3, 2, 3), (1, 3, 5)]  # terminals 0 and 2
FULL = Dual(root=0, cuts=(cut(2, (2,), 2), cut(2, (1, 3), 2, 0)))


def test_a_dual_proves_its_sum_and_no_more():
    made = certificate(4, DIAMOND, [0, 2], (0, 1), Proof(end=Leaf(dual=FULL)))
    assert failing(4, DIAMOND, [0, 2], made) == []
    weaker = replace(FULL, cuts=(FULL.cuts[0], replace(FULL.cuts[1], dual=1)))
    assert failing(4, DIAMOND, [0, 2], replace(made, proof=Proof(end=Leaf(dual=weaker)))) == ["bound"]
    # In halves the sum is rounded up: 7 / 2 proves 4.
    halves = Dual(root=0, scale=2, cuts=(cut(2, (2,), 4), cut(2, (1, 3), 3, 0)))
    assert failing(4, DIAMOND, [0, 2], replace(made, proof=Proof(end=Leaf(dual=halves)))) == []


DUALS = [
    (replace(FULL, scale=0), "scale 0"),
    (replace(FULL, scale=-1), "scale -1"),
    (replace(FULL, scale=10**18), "above 4000000000000000000"),
    (replace(FULL, root=1), "root 1 is no terminal"),
    (replace(FULL, root=9), "root 9 is no terminal"),
    (replace(FULL, root=2), "holds the root 2"),
    (replace(FULL, cuts=(cut(2, (2,), -1),)), "dual -1"),
    (replace(FULL, cuts=(cut(2, (2,), 2, 0),)), "base 0 is no earlier cut"),
    (replace(FULL, cuts=(cut(2, (2,), 1, 1), cut(2, (1,), 1, 0))), "base 1 is no earlier cut"),
    (replace(FULL, cuts=(cut(2, (2,), 1, -2),)), "base -2 is no earlier cut"),
    (replace(FULL, cuts=(cut(1, (1,), 1),)), "1 is no terminal"),
    (replace(FULL, cuts=(cut(99, (1,), 1),)), "99 is no terminal"),
    (replace(FULL, cuts=(cut(2, (1,), 1),)), "its terminal 2 is outside"),
    (replace(FULL, cuts=(cut(2, (2,), 1), cut(2, (1,), 1))), "cut 1: its terminal 2 is outside"),
    (replace(FULL, cuts=(cut(2, (2, 0), 1),)), "holds the root 0"),
    (replace(FULL, cuts=(cut(2, (2, 4), 1),)), "a vertex that does not exist"),
    (replace(FULL, cuts=(cut(2, (2, -1), 1),)), "a vertex that does not exist"),
    (replace(FULL, cuts=(cut(2, (2,), 3),)), "duals 3 above cost 2 × 1"),
    (replace(FULL, cuts=(cut(2, (2, 1), 2), cut(2, (3,), 1, 0))), "edge 0 (0→1): duals 3 above cost 2 × 1"),
    (replace(FULL, cuts=(cut(2, (2, 3, 1), 5 * 10**18),)), "0 to 4000000000000000000"),
    (replace(FULL, cuts=(cut(2, (2, 3, 1), 3 * 10**18),) * 2), "above 4000000000000000000"),
]


@pytest.mark.parametrize(("dual", "says"), DUALS, ids=lambda value: str(value)[:40])
def test_a_dual_that_is_not_sound_is_refused(dual, says):
    for proof, place in ((Proof(end=Leaf(dual=dual)), "proof.end"), (Proof(steps=(Elimination(dual=dual),), end=Leaf()), "proof.steps[0]")):
        made = certificate(4, DIAMOND, [0, 2], (0, 1), proof, bound=0)
        assert failing(4, DIAMOND, [0, 2], made) == ["dual", "bound"]
        assert place in found(4, DIAMOND, [0, 2], made)
        assert says in found(4, DIAMOND, [0, 2], made)


def test_an_elimination_takes_what_no_cheaper_tree_holds_and_not_what_one_may():
    worse = (2, 3)  # the known tree costs 6; the best costs 4
    edges, plain = DIAMOND, (4, DIAMOND, [0, 2])
    # Bound 4 and reduced cost 5 of edge 4 exceed 6 − 1; edge 2 is left with 1 in front of 1 on edge 3: 6 exceeds 5 too.
    step = Elimination(dual=FULL, edges=(4,), vertices=(3,))
    assert failing(*plain, certificate(*plain, worse, Proof(steps=(step,), end=Leaf(dual=FULL)), bound=4)) == []
    for wrong in (
        replace(step, edges=(0,)),
        replace(step, vertices=(1,)),
        replace(step, vertices=(0,)),
        replace(step, edges=(4, 4)),
        replace(step, vertices=(3, 3)),
        replace(step, edges=(7,)),
        replace(step, edges=(-1,)),
        replace(step, vertices=(7,)),
        replace(step, splits=(3,)),
        replace(step, splits=(0,)),
    ):
        assert failing(*plain, certificate(*plain, worse, Proof(steps=(wrong,), end=Leaf(dual=FULL)), bound=4)) == ["steps", "bound"]
    # Exactly one below the known cost may still be there: at 3 + 3 it may not go when the known tree costs 7.
    dearer: Edges = [*edges, (0, 2, 7)]
    seven = certificate(4, dearer, [0, 2], (5,), Proof(steps=(Elimination(dual=FULL, vertices=(3,)),), end=Leaf(dual=FULL)), bound=4)
    assert failing(4, dearer, [0, 2], seven) == ["steps", "bound"]


def test_an_elimination_splits_a_vertex_that_no_cheaper_tree_branches_at():
    # Terminals 0 1 2 on a triangle of 2s; the centre 3 costs 3 to each: a tree through it costs 9, two sides 4.
    edges = [(0, 1, 2), (1, 2, 2), (0, 2, 2), (0, 3, 3), (1, 3, 3), (2, 3, 3)]
    dual = Dual(root=0, cuts=(cut(1, (1,), 2), cut(2, (2,), 2)))
    plain = (4, edges, [0, 1, 2])
    proof = Proof(steps=(Elimination(dual=dual, splits=(3,)),), end=Leaf(dual=dual))
    # 4, 3 to the centre, 1 and 1 on from it: 9 exceeds 9 − 1, but not 10 − 1.
    for known in ((0, 1), (3, 4, 5)):
        assert failing(*plain, certificate(*plain, known, proof, bound=4)) == []
    heavy = [*edges, (3, 4, 1)]
    made = certificate(5, heavy, [0, 1, 2], (3, 4, 5, 6), proof, bound=4)
    assert failing(5, heavy, [0, 1, 2], made) == ["steps", "bound"]


def test_a_branch_is_proven_when_both_of_its_cases_are():
    inside, outside = (
        Proof(end=Leaf(dual=Dual(root=0, cuts=(cut(2, (2, 3), 2), cut(1, (1, 2, 3), 1))))),
        Proof(end=Leaf(dual=Dual(root=0, cuts=(cut(2, (2,), 3),)))),
    )
    plain = (4, DIAMOND, [0, 2])
    made = certificate(*plain, (0, 1), Proof(end=Branch(vertex=1, inside=inside, outside=outside)), bound=3)
    assert failing(*plain, made) == []
    assert failing(*plain, replace(made, bound=4)) == ["bound"]
    for vertex in (0, 4, -1):
        assert failing(*plain, replace(made, proof=Proof(end=Branch(vertex=vertex, inside=inside, outside=outside)))) == ["steps", "bound"]
    # The cut around 1 is only sound where 1 is a terminal.
    twice = replace(made, proof=Proof(end=Branch(vertex=1, inside=inside, outside=inside)))
    assert failing(*plain, twice) == ["dual", "bound"]
    assert "proof.end.outside.end: " in found(*plain, twice)


def test_where_the_terminals_are_apart_there_is_nothing_cheaper():
    plain = (3, [(0, 1, 2), (1, 2, 2)], [0, 2])
    proof = Proof(
        end=Branch(
            vertex=1, inside=Proof(steps=(Step(kind="take", of=(0, 0, 0, 1)), Step(kind="take", of=(1, 2, 2, 1))), end=Leaf()), outside=Proof(end=Leaf())
        )
    )
    assert failing(*plain, certificate(*plain, (0, 1), proof)) == []
    assert failing(*plain, certificate(*plain, (0, 1), Proof(end=Leaf()))) == ["steps", "bound"]


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ((0,), "does not join"),
        ((0, 0), "twice"),
        ((0, 1, 2, 3), "circle"),
        ((9,), "does not exist"),
        ((-1,), "does not"),
        ((), "does not join"),
        ((4,), "does not join"),
        ((6,), "circle"),
    ],
)
def test_a_tree_that_is_none_is_named_and_nothing_else_is_judged(tree, says):
    edges = [*DIAMOND, (2, 3, 1), (0, 0, 1)]
    made = replace(certificate(4, edges, [0, 2], (0, 1), Proof(end=Leaf(dual=FULL))), edges=tree)
    assert failing(4, edges, [0, 2], made) == ["tree", "cost", "steps", "dual", "bound"]
    assert says in found(4, edges, [0, 2], made)


def test_a_tree_for_one_terminal_or_none_is_empty():
    for terminals in ([], [2]):
        assert failing(4, DIAMOND, terminals, certificate(4, DIAMOND, terminals, (), Proof(end=Leaf()))) == []
    assert failing(0, [], [], certificate(0, [], [], (), Proof(end=Leaf()))) == []


def test_another_instance_another_cost_or_a_bound_above_the_cost_is_refused():
    plain = (4, DIAMOND, [0, 2])
    made = certificate(*plain, (0, 1), Proof(end=Leaf(dual=FULL)))
    assert failing(*plain, replace(made, instance="0" * 64)) == ["instance"]
    assert failing(*plain, replace(made, cost=5)) == ["cost"]
    assert failing(*plain, replace(made, cost=3)) == ["cost", "bound"]
    assert failing(*plain, replace(made, bound=5)) == ["bound"]


def test_the_hash_is_that_of_the_numbers_as_told():
    numbers = [4, 2, 2, 0, 3, 7, 1, 2, 5, 1, 3]
    told = hashlib.sha256(b"".join(number.to_bytes(8, "little", signed=True) for number in numbers)).hexdigest()
    assert instance_hash(4, [(3, 0, 7), (1, 2, 5)], [3, 1, 3]) == told
    assert instance_hash(4, [(1, 2, 5), (3, 0, 7)], [3, 1]) != told


@pytest.mark.parametrize(
    "broken",
    [
        (2, [(0, 2, 1)], [0]),
        (2, [(0, -1, 1)], [0]),
        (2, [(0, 1, -1)], [0]),
        (2, [(0, 1, 1)], [2]),
        (2, [(0, 1, 0.5)], [0]),
        (2, [(0, 1, 3 * 10**18), (0, 1, 3 * 10**18)], [0]),
    ],
    ids=str,
)
def test_an_instance_that_is_none_is_a_finding(broken):
    made = SteinerCertificate(instance="", edges=(), cost=0, bound=0, proof=Proof(end=Leaf()))
    assert failing(*broken, made) == ["instance", "tree", "cost", "steps", "dual", "bound"]


def test_costs_that_grow_too_large_by_splits_are_refused():
    large = 13 * 10**17
    edges = [(0, 1, large), (0, 2, large), (0, 3, large), (1, 2, 0), (2, 3, 0)]
    made = certificate(4, edges, [3], (), Proof(steps=(Step(kind="split", of=(0,)), Step(kind="split", of=(1,))), end=Leaf()))
    assert failing(4, edges, [3], made) == ["steps", "bound"]
    assert "proof.steps[1]: " in found(4, edges, [3], made)
    assert "a new edge would cost 5200000000000000000" in found(4, edges, [3], made)


# Against brute force


@numba.njit(cache=True)
def _best(count, table, terminals):
    """The cheapest tree that holds all terminals: the best spanning tree of each set of vertices. table: sorted by cost."""
    best = INF_64
    top = np.zeros(count, np.int64)
    for chosen in range(1 << count):
        if chosen & terminals != terminals:
            continue
        parts, cost = 0, 0
        for v in range(count):
            top[v] = v
            parts += chosen >> v & 1
        for i in range(len(table)):
            u, v = table[i, 0], table[i, 1]
            if chosen >> u & 1 and chosen >> v & 1:
                while top[u] != u:
                    u = top[u]
                while top[v] != v:
                    v = top[v]
                if u != v:
                    top[u] = v
                    cost += table[i, 2]
                    parts -= 1
        if parts <= 1:
            best = min(best, cost)
    return best


INF_64 = 2**60


def optimum(count: int, edges, terminals) -> int:
    table = np.array(sorted(((u, v, cost) for u, v, cost in edges), key=lambda row: row[2]), np.int64).reshape(-1, 3)
    return int(_best(count, table, sum(1 << int(t) for t in terminals)))


def value(state: State) -> int:
    edges = [(u, v, cost) for _, u, v, cost in state.edges()]
    return min(INF_64, state.offset + optimum(len(state.first), edges, np.flatnonzero(state.terminal)))


def random_instance(rng: random.Random, most: int = 9) -> tuple[int, Edges, list[int]]:
    count = rng.choice([3, 4, 5, 5, 6, 6, 7, 7, 8, 9])
    count = min(count, most)
    costs = rng.choice([(0, 2), (1, 1), (1, 3), (1, 10), (3, 5), (0, 10)])
    edges = [(rng.randrange(v), v, rng.randint(*costs)) for v in range(1, count)]
    for _ in range(rng.randint(0, 2 * count)):
        edges.append((rng.randrange(count), rng.randrange(count), rng.randint(*costs)))
    rng.shuffle(edges)
    return count, edges, sorted(rng.sample(range(count), min(count, rng.choice([1, 2, 2, 3, 3, 3, 4, 5]))))


def shortest(count: int, arcs) -> list[list[int]]:
    """All distances over arcs (tail, head, length)."""
    far = [[0 if u == v else INF for v in range(count)] for u in range(count)]
    for u, v, length in arcs:
        far[u][v] = min(far[u][v], length)
    for m in range(count):
        for u in range(count):
            for v in range(count):
                far[u][v] = min(far[u][v], far[u][m] + far[m][v])
    return far


def special(count: int, edges, terminals) -> list[list[int]]:
    """All special distances, from their definition: the least longest piece over sequences of stops."""
    plain = shortest(count, [arc for u, v, cost in edges for arc in ((u, v, cost), (v, u, cost))])
    far = [row[:] for row in plain]
    for m in terminals:
        for u in range(count):
            for v in range(count):
                far[u][v] = min(far[u][v], max(far[u][m], far[m][v]))
    return far


def minimax(count: int, edges) -> list[list[int]]:
    far = [[0 if u == v else INF for v in range(count)] for u in range(count)]
    for u, v, cost in edges:
        far[u][v] = far[v][u] = min(far[u][v], cost)
    for m in range(count):
        for u in range(count):
            for v in range(count):
                far[u][v] = min(far[u][v], max(far[u][m], far[m][v]))
    return far


def spanning(vertices: tuple[int, ...], far) -> int:
    inside, outside, total = [vertices[0]], list(vertices[1:]), 0
    while outside:
        length, best = min((far[a][b], b) for a in inside for b in outside)
        total, inside = total + length, [*inside, best]
        outside.remove(best)
    return total


def candidates(state: State) -> list[tuple[Step, bool]]:
    """Every step of every kind on a state, with whether it should hold, from definitions."""
    count, numbered = len(state.first), state.edges()
    points = [int(t) for t in np.flatnonzero(state.terminal)]
    steps: list[tuple[Step, bool]] = []
    for number, u, v, cost in numbered:
        others = [(a, b, c) for n, a, b, c in numbered if n != number]
        steps.append((Step(kind="drop", of=(number,)), u == v or special(count, others, points)[u][v] <= cost))
        plain, bottle = shortest(count, [arc for a, b, c in others for arc in ((a, b, c), (b, a, c))]), minimax(count, others)
        for near, far in permutations(points, 2):
            length = cost + min(plain[near][u] + plain[v][far], plain[near][v] + plain[u][far])
            for gone in (u, v):
                steps.append((Step(kind="take", of=(number, gone, near, far)), u != v and length < INF and bottle[near][far] >= length))
    for vertex in range(count):
        star = [(n, b if a == vertex else a, c) for n, a, b, c in numbered if vertex in (a, b)]
        loops = any(b == vertex for _, b, _ in star)
        free = bool(state.present[vertex]) and not state.terminal[vertex]
        steps.append((Step(kind="leaf", of=(vertex,)), free and len(star) <= 1 and not loops))
        holds = free and 1 <= len(star) <= 4 and not loops
        if holds and len(star) > 2:
            far = special(count, [(a, b, c) for _, a, b, c in numbered if vertex not in (a, b)], points)
            for size in range(3, len(star) + 1):
                for chosen in combinations(star, size):
                    if len({b for _, b, _ in chosen}) == size:
                        holds = holds and sum(c for _, _, c in chosen) >= spanning(tuple(b for _, b, _ in chosen), far)
        steps.append((Step(kind="split", of=(vertex,)), holds))
    return steps


def outcome(state: State, step: Step | Elimination, known: int = INF) -> State | None:
    after = state.copy()
    try:
        after.apply(step, known)
    except Broken:
        return None
    return after


def consistent(state: State) -> None:
    """Lists and degrees are those of the edges."""
    for v in range(len(state.first)):
        listed, at = [], int(state.first[v])
        while at >= 0:
            listed.append(at)
            at = int(state.following[at])
        assert sorted(listed) == [2 * n + side for n, *ends, _ in state.edges() for side in (0, 1) if ends[side] == v]
        assert state.degree[v] == len(listed)
        assert state.present[v] or not listed


def test_each_step_that_is_accepted_keeps_the_best_tree_and_exactly_those_that_should_be_are():
    rng, accepted = random.Random(1), {"drop": 0, "leaf": 0, "take": 0, "split": 0}
    for _ in range(250):
        count, edges, terminals = random_instance(rng)
        state = State.of(count, np.array(edges, np.int64), terminals)
        for _ in range(rng.randint(1, 6)):
            before, chosen = value(state), None
            after = []
            for step, should in candidates(state):
                new = outcome(state, step)
                assert (new is not None) == should, (edges, terminals, step)
                if new is not None:
                    accepted[step.kind] += 1
                    assert value(new) == before, (edges, terminals, step)
                    after.append(new)
            if not after:
                break
            chosen = rng.choice(after)
            consistent(chosen)
            state = chosen
    assert min(accepted.values()) > 300, accepted


def random_dual(rng: random.Random, state: State) -> Dual:
    """A part of an ascent, over random terminals and by random amounts."""
    points = [int(t) for t in np.flatnonzero(state.terminal)]
    root, scale = rng.choice(points), rng.choice([1, 1, 2, 3])
    arcs = [[u, v, scale * cost] for _, a, b, cost in state.edges() for u, v in ((a, b), (b, a))]
    cuts: list[Cut] = []
    last: dict[int, tuple[int, set[int]]] = {}
    greedy = rng.random() < 0.7
    for _ in range(rng.choice([0, 2, 5, 15, 30])):
        terminal = rng.choice(points)
        inside, size = {terminal}, 0
        while size < len(inside):
            size = len(inside)
            inside |= {u for u, v, left in arcs if v in inside and not left}
        if root in inside:
            continue
        entering = [arc for arc in arcs if arc[1] in inside and arc[0] not in inside]
        amount = min((arc[2] for arc in entering), default=rng.choice([3, 10**17]))
        amount = amount if greedy else rng.randint(0, amount)
        for arc in entering:
            arc[2] -= amount
        base, known = last.get(terminal, (-1, set()))
        cuts.append(Cut(terminal=terminal, base=base, added=tuple(inside - known), dual=amount))
        last[terminal] = (len(cuts) - 1, inside)
    return Dual(root=root, scale=scale, cuts=tuple(cuts))


def reference_elimination(state: State, dual: Dual, known: int):
    """What may go, from definitions: sets of edges, vertices and splits."""
    sets: list[set[int]] = []
    for one in dual.cuts:
        sets.append(set(one.added) | (sets[one.base] if one.base >= 0 else set()))
    count, arcs = len(state.first), {}
    for n, a, b, cost in state.edges():
        for u, v, side in ((a, b, 0), (b, a, 1)):
            arcs[n, side] = (u, v, dual.scale * cost - sum(one.dual for one, inside in zip(dual.cuts, sets, strict=True) if v in inside and u not in inside))
    assert all(left >= 0 for _, _, left in arcs.values())
    far = shortest(count, arcs.values())
    points = [int(t) for t in np.flatnonzero(state.terminal) if t != dual.root]
    near = [[*sorted(far[v][t] for t in points), INF, INF] for v in range(count)]
    total, most = sum(one.dual for one in dual.cuts), (known - 1 - state.offset) * dual.scale
    free = [v for v in range(count) if state.present[v] and not state.terminal[v]]
    edges = {n for n, *_ in state.edges() if all(total + far[dual.root][arcs[n, s][0]] + arcs[n, s][2] + near[arcs[n, s][1]][0] > most for s in (0, 1))}
    vertices = {v for v in free if total + far[dual.root][v] + near[v][0] > most}
    splits = {v for v in free if total + far[dual.root][v] + near[v][0] + near[v][1] > most}
    return edges, vertices, splits


def test_an_elimination_that_is_accepted_keeps_every_cheaper_tree_and_exactly_those_that_should_be_are():
    rng, accepted = random.Random(2), [0, 0, 0, 0]
    for _ in range(250):
        count, edges, terminals = random_instance(rng)
        state = State.of(count, np.array(edges, np.int64), terminals)
        for _ in range(rng.randint(0, 3)):  # some steps first, so that there are parallel edges, loops, an offset
            after = [new for step, should in candidates(state) if should and (new := outcome(state, step)) is not None]
            state = rng.choice(after) if after else state
        if rng.random() < 0.2 and (free := [v for v in range(count) if state.present[v] and not state.terminal[v]]):
            state = state.branch(rng.choice(free))
        best = value(state)
        for _ in range(3):
            known = min(best, 10**6) + rng.choice([0, 0, 1, 1, 2, 5])
            dual = random_dual(rng, state)
            should = reference_elimination(state, dual, known)
            single = [[(n,) for n, *_ in state.edges()], [(v,) for v in range(count)], [(v,) for v in range(count)]]
            went: list[list[int]] = [[], [], []]
            for kind, name in enumerate(("edges", "vertices", "splits")):
                for chosen in single[kind]:
                    new = outcome(state, Elimination(dual=dual, **{name: chosen}), known)
                    if new is None:
                        unfit = kind == 2 and (state.degree[chosen[0]] > 6 or any(u == v == chosen[0] for _, u, v, _ in state.edges()))
                        assert unfit or chosen[0] not in should[kind]
                    else:
                        accepted[kind] += 1
                        few = kind == 2 and state.degree[chosen[0]] <= 2
                        assert chosen[0] in should[kind] or few
                        assert min(known, value(new)) == min(known, best), (edges, terminals, dual, name, chosen, known)
                        went[kind].append(chosen[0])
            for some in went:
                rng.shuffle(some)
            apart = [v for v in went[2] if v not in went[1]]
            several = Elimination(dual=dual, edges=tuple(went[0]), vertices=tuple(went[1]), splits=tuple(apart[: rng.randint(0, 3)]))
            new = outcome(state, several, known)
            if new is not None:
                accepted[3] += 1
                consistent(new)
                assert min(known, value(new)) == min(known, best), (edges, terminals, several, known)
            state = new if new is not None and rng.random() < 0.3 else state
            best = value(state)
            if best >= INF_64:
                break
    assert min(accepted) > 200, accepted


def random_tree(rng: random.Random, count: int, edges: Edges, terminals: list[int]) -> tuple[int, ...]:
    order, top, tree = list(range(len(edges))), list(range(count)), []
    rng.shuffle(order)
    for number in order:
        u, v = edges[number][:2]
        while top[u] != u:
            u = top[u]
        while top[v] != v:
            v = top[v]
        if u != v:
            top[u] = v
            tree.append(number)
    while True:
        ends = [end for number in tree for end in edges[number][:2]]
        loose = [number for number in tree if any(ends.count(end) == 1 and end not in terminals for end in edges[number][:2])]
        if not loose:
            return tuple(tree)
        tree = [number for number in tree if number not in loose[:1]]


def random_proof(rng: random.Random, state: State, known: int, depth: int) -> Proof:
    steps: list[Step | Elimination] = []
    for _ in range(rng.randint(0, 5)):
        if rng.random() < 0.5 and state.terminal.any():
            dual = random_dual(rng, state)
            edges, vertices, splits = reference_elimination(state, dual, known)
            step: Step | Elimination = Elimination(dual=dual, edges=tuple(edges), vertices=tuple(vertices), splits=tuple(sorted(splits - vertices)[:1]))
        else:
            step = rng.choice([step for step, should in candidates(state) if should] or [Step(kind="drop", of=(0,))])
        new = outcome(state, step, known)
        if new is not None:
            state = new
            steps.append(step)
    free = [v for v in range(len(state.first)) if state.present[v] and not state.terminal[v]]
    if depth > 0 and free and rng.random() < 0.8:
        vertex = rng.choice(free)
        outside = state.branch(vertex)
        return Proof(
            steps=tuple(steps),
            end=Branch(vertex=vertex, inside=random_proof(rng, state, known, depth - 1), outside=random_proof(rng, outside, known, depth - 1)),
        )
    apart = value(state) >= INF_64 or not state.terminal.any()
    return Proof(steps=tuple(steps), end=Leaf() if apart or state.terminal.sum() == 1 else Leaf(dual=random_dual(rng, state)))


@pytest.fixture(scope="module")
def proofs():
    rng, made = random.Random(3), []
    for _ in range(120):
        count, edges, terminals = random_instance(rng, 7)
        tree = random_tree(rng, count, edges, terminals)
        known = sum(edges[number][2] for number in tree)
        state = State.of(count, np.array(edges, np.int64), terminals)
        proof = random_proof(rng, state, known, 3)
        made.append(((count, edges, terminals), certificate(count, edges, terminals, tree, proof, bound=-1), optimum(count, edges, terminals)))
    return made


def test_no_proof_reaches_beyond_the_best_tree(proofs):
    tight = 0
    for plain, made, best in proofs:
        assert failing(*plain, made) == []
        proven = [bound for bound in range(best + 2) if failing(*plain, replace(made, bound=bound)) == []]
        assert proven == list(range(len(proven)))
        assert max(proven) <= best
        tight += max(proven) == best < made.cost
    assert tight > 10


def test_a_certificate_with_any_number_altered_never_raises_and_never_proves_too_much(proofs):
    rng = random.Random(4)

    def places(thing, path=()):
        for key, below in thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ():
            if isinstance(below, int):
                yield (*path, key)
            yield from places(below, (*path, key))

    held = 0
    for plain, made, best in proofs:
        for _ in range(12):
            thing = json.loads(msgspec.json.encode(replace(made, bound=best)))
            for place in rng.sample(options := list(places(thing)), min(len(options), rng.choice([1, 1, 2]))):
                inner = thing
                for key in place[:-1]:
                    inner = inner[key]
                old = inner[place[-1]]
                inner[place[-1]] = rng.choice(
                    [old + 1, old - 1, old + 1, old - 1, -old, 0, rng.randrange(10), 10**6, 2**31, 2**62, 2**63 - 1, -(2**63), 2**64 - 1]
                )
            altered = msgspec.convert(thing, SteinerCertificate)
            report = check_steiner(*plain, altered)
            held += report.holds
            assert not report.holds or altered.bound <= best
    assert held > 20


@pytest.mark.parametrize(
    "strange",
    [
        {"cost": 10**40},
        {"bound": 10**40},
        {"bound": 10**5000},
        {"cost": 10**4299},
        {"proof": Proof(end=Leaf(dual=Dual(root=0, cuts=(cut(2, (2,), 9 * 10**4298), cut(2, (2,), 9 * 10**4298)))))},
        {"proof": Proof(end=Leaf(dual=Dual(root=0, scale=10**4299)))},
        {"edges": (10**40,)},
        {"edges": (0.5, 1)},
        {"edges": ("a",)},
        {"edges": None},
        {"proof": None},
        {"proof": Proof(end=Leaf(dual=Dual(root=0, cuts=(cut(2, (10**30,), 1),))))},
        {"proof": Proof(end=Leaf(dual=Dual(root=0, scale=10**30)))},
        {"proof": Proof(steps=(Step(kind="drop", of=(10**30,)),), end=Leaf())},
        {"proof": Proof(steps=(Step(kind="fly", of=(1,)),), end=Leaf())},
        {"proof": Proof(steps=(None,), end=Leaf())},
        {"proof": Proof(end=None)},
        {"instance": object()},
    ],
    ids=lambda strange: "".join(strange),
)
def test_a_record_built_by_hand_of_anything_is_a_finding(strange):
    made = certificate(4, DIAMOND, [0, 2], (0, 1), Proof(end=Leaf(dual=FULL)))
    assert failing(4, DIAMOND, [0, 2], replace(made, **strange)) != []


@pytest.mark.parametrize(
    "numbers",
    [(), (1, 2), (1, 2, 3), (-1,), (2**63,), (2**64 - 1,), (1, 2, 3, 4, 5), (0, 0, 2**63, 0), (0, 2**63, 0, 2), (0, 0, 0, 0), (0, 2, 0, 2), (0, 0, 0, 1)],
)
@pytest.mark.parametrize("kind", ["drop", "leaf", "take", "split"])
def test_a_step_of_strange_numbers_is_a_finding(kind, numbers):
    made = certificate(4, DIAMOND, [0, 2], (0, 1), Proof(steps=(Step(kind=kind, of=numbers),), end=Leaf()))
    assert failing(4, DIAMOND, [0, 2], made) == ["steps", "bound"]


def test_a_deep_tree_of_branches_is_judged_or_refused_but_never_raises():
    proof = Proof(end=Leaf())
    for _ in range(5000):
        proof = Proof(end=Branch(vertex=1, inside=proof, outside=Proof(end=Leaf())))
    made = certificate(4, DIAMOND, [0, 2], (0, 1), proof)
    assert failing(4, DIAMOND, [0, 2], made) != []
    while isinstance(proof.end, Branch):  # taken apart from the outside, so that nothing falls in one deep heap
        proof = proof.end.inside


def test_a_large_proof_is_checked_in_seconds():
    rng, side = random.Random(5), 70
    count = side * side
    edges = [(v, v + step, rng.randint(1, 1000)) for v in range(count) for step in (1, side) if (step == side or (v + 1) % side) and v + step < count]
    terminals = sorted(rng.sample(range(count), 1500))
    state = State.of(count, np.array(edges, np.int64), terminals)
    steps: list[Step] = []
    for v in range(count):
        for kind in ("leaf", "split"):
            if len(steps) < 8000 and state.present[v] and not state.terminal[v] and state.degree[v] <= 4 and (new := outcome(state, Step(kind=kind, of=(v,)))):
                state = new
                steps.append(Step(kind=kind, of=(v,)))
    tree = random_tree_fast(count, edges)
    made = certificate(count, edges, terminals, tree, Proof(steps=tuple(steps), end=Leaf()), bound=0)
    begun = time.perf_counter()
    check_steiner(count, edges, terminals, made)
    assert time.perf_counter() - begun < 15


def random_tree_fast(count: int, edges: Edges) -> tuple[int, ...]:
    top, tree = list(range(count)), []
    for number, (u, v, _) in enumerate(edges):
        while top[u] != u:
            top[u] = u = top[top[u]]
        while top[v] != v:
            top[v] = v = top[top[v]]
        if u != v:
            top[u] = v
            tree.append(number)
    return tuple(tree)
