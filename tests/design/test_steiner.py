"""The Steiner solver as a whole: against brute force, each reduction by itself, what must not change or only one way, certificates that were tampered with,
odd instances, and the same answer twice."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from kiban.base.errors import DesignError
from kiban.check.steiner import check_steiner, instance_hash
from kiban.design import watched
from kiban.design.steiner import REDUCTIONS, Incumbent, Instance, Result, parse, search, solve
from kiban.records.steiner import Branch, Dual, Elimination, Leaf, Proof, SteinerCertificate, Step

INF = 10**15
Edges = list[tuple[int, int, int]]


def made(count: int, edges: Edges, terminals: list[int]) -> Instance:
    return Instance(count, np.array(edges, np.int64).reshape(-1, 3), np.unique(np.array(terminals, np.int64)))


def small(seed: int) -> Instance:
    """4 to 12 vertices in one piece, sparse to dense, 2 to 6 terminals; with loops, parallel edges, costs of 0 and ties."""
    draw = random.Random(seed)
    count = draw.randint(4, 12)
    price = draw.choice([lambda: draw.randint(0, 3), lambda: draw.randint(1, 20), lambda: draw.randint(1, 10**6), lambda: 5, lambda: draw.choice([0, 7, 8])])
    edges = [(draw.randrange(v), v, price()) for v in range(1, count)]
    edges += [(draw.randrange(count), draw.randrange(count), price()) for _ in range(draw.choice([0, 2, count, 2 * count, count * (count - 1) // 2]))]
    edges += [(u, v, price()) for u, v, _ in draw.sample(edges, min(len(edges), draw.choice([0, 0, 2])))]
    edges = [edge if draw.random() < 0.5 else (edge[1], edge[0], edge[2]) for edge in edges]
    draw.shuffle(edges)
    return made(count, edges, draw.sample(range(count), min(count, draw.randint(2, 6))))


def medium(seed: int, count: int = 40, links: int = 75, terminals: int = 9, dearest: int = 100) -> Instance:
    draw = random.Random(seed)
    edges = [(draw.randrange(max(0, v - 6), v), v, draw.randint(1, dearest)) for v in range(1, count)]
    edges += [(draw.randrange(count), draw.randrange(count), draw.randint(1, dearest)) for _ in range(links - len(edges))]
    return made(count, edges, draw.sample(range(count), terminals))


def grid(seed: int, side: int, terminals: int) -> Instance:
    """A grid with prices of few values: hard to close in one round."""
    draw = random.Random(seed)
    edges = [(v, v + 1, draw.randint(8, 10)) for v in range(side * side) if (v + 1) % side]
    edges += [(v, v + side, draw.randint(8, 10)) for v in range(side * side - side)]
    return made(side * side, edges, draw.sample(range(side * side), terminals))


def optimum(instance: Instance) -> int:
    """Cost of the best tree, by Dreyfus and Wagner: over sets of terminals, two parts joined at a vertex, or a way from another vertex."""
    count, terminals = instance.count, instance.terminals.tolist()
    far = np.full((count, count), INF, np.int64)
    np.fill_diagonal(far, 0)
    for u, v, cost in instance.edges.tolist():
        if u != v:
            far[u, v] = far[v, u] = min(far[u, v], cost)
    for k in range(count):
        far = np.minimum(far, far[:, k, None] + far[None, k])
    best = {1 << i: far[terminal] for i, terminal in enumerate(terminals)}
    for part in range(1, 1 << len(terminals)):
        if part in best:
            continue
        joined = np.full(count, INF, np.int64)
        one = (part - 1) & part
        while one > part ^ one:
            joined = np.minimum(joined, best[one] + best[part ^ one])
            one = (one - 1) & part
        while one:
            joined = np.minimum(joined, best[one] + best[part ^ one])
            one = (one - 1) & part
        best[part] = (joined[:, None] + far).min(axis=0)
    return int(best[(1 << len(terminals)) - 1][terminals[0]])


def assert_fits(instance: Instance, result: Result) -> None:
    """The edges are a tree over all terminals of the cost told; bound, gap and status agree."""
    above = list(range(instance.count))

    def find(v: int) -> int:
        while above[v] != v:
            above[v] = above[above[v]]
            v = above[v]
        return v

    assert len(set(result.edges)) == len(result.edges)
    for u, v, _ in instance.edges[list(result.edges)].tolist():
        assert find(u) != find(v), "a circle"
        above[find(u)] = find(v)
    touched = {find(v) for v in instance.edges[list(result.edges), :2].ravel().tolist()} | {find(v) for v in instance.terminals.tolist()}
    assert len(touched) <= 1, "pieces"
    assert result.cost == sum(instance.edges[list(result.edges), 2].tolist())
    assert 0 <= result.lower_bound <= result.cost
    assert result.gap == ((result.cost - result.lower_bound) / result.cost if result.cost else 0.0)
    assert result.status == ("proved" if result.lower_bound == result.cost else "bounded")


def broken(instance: Instance, certificate: SteinerCertificate | None) -> list[str]:
    """What the independent check finds wrong."""
    assert certificate is not None
    report = check_steiner(instance.count, instance.edges, instance.terminals, certificate)
    return [f"{finding.constraint}: {finding.found}" for finding in report.findings if not finding.holds]


# ------------------------------------------------------------------------------------------------ against brute force


@pytest.mark.parametrize("part", range(4))
def test_small_instances_are_solved_to_the_optimum_and_the_bound_is_never_above_it(part):
    exact, worst = 0, 0.0
    seeds = range(250 * part, 250 * (part + 1))
    for seed in seeds:
        instance = small(seed)
        result = solve(instance, seed=seed, work=3, certify=seed % 5 == 0)
        best = optimum(instance)
        assert_fits(instance, result)
        assert result.lower_bound <= best <= result.cost, seed
        exact += result.cost == best
        worst = max(worst, (result.cost - best) / max(1, best))
        if seed % 5 == 0:
            assert broken(instance, result.certificate) == [], seed
            assert result.certificate is not None
            assert (result.certificate.edges, result.certificate.cost, result.certificate.bound) == (
                tuple(sorted(result.edges)),
                result.cost,
                result.lower_bound,
            )
    assert exact >= 0.99 * len(seeds)
    assert worst <= 0.01


@cache
def known(seed: int) -> tuple[Instance, int]:
    instance = small(seed)
    return instance, optimum(instance)


@pytest.mark.parametrize("name", [*REDUCTIONS, "none"])
def test_each_reduction_by_itself_keeps_the_optimum(name):
    exact, removed = 0, 0
    seeds = range(5000, 5300)
    for seed in seeds:
        instance, best = known(seed)
        result = solve(instance, seed=seed, work=2, skip=frozenset(REDUCTIONS) - {name}, certify=seed % 10 == 0)
        assert_fits(instance, result)
        assert result.lower_bound <= best <= result.cost, seed
        exact += result.cost == best
        removed += sum(row.edges > 0 for row in result.reductions if row.name == name)
        assert not [row for row in result.reductions if row.name != name and row.runs], seed
        if seed % 10 == 0:
            assert broken(instance, result.certificate) == [], seed
    assert exact >= 0.99 * len(seeds)
    # On larger ones, where the optimum is not known from elsewhere: a proof that holds, and no bound above the other's cost.
    for seed in range(3):
        instance = grid(seed, 20, 50)
        whole, alone = solve(instance, work=3), solve(instance, work=3, skip=frozenset(REDUCTIONS) - {name}, certify=True)
        assert_fits(instance, alone)
        assert broken(instance, alone.certificate) == [], seed
        assert alone.lower_bound <= whole.cost
        assert whole.lower_bound <= alone.cost
        removed += sum(row.edges > 0 for row in alone.reductions if row.name == name)
    assert removed > 0 or name == "none"


# ------------------------------------------------------------------------------------------------ what must not change, or only one way


def relabelled(instance: Instance, draw: random.Random) -> Instance:
    name = list(range(instance.count))
    draw.shuffle(name)
    edges = [(name[u], name[v], cost) for u, v, cost in instance.edges.tolist()]
    draw.shuffle(edges)
    return made(instance.count, edges, [name[v] for v in instance.terminals.tolist()])


def scaled(instance: Instance, _: random.Random) -> Instance:
    return made(instance.count, [(u, v, 7919 * cost) for u, v, cost in instance.edges.tolist()], instance.terminals.tolist())


def dangling(instance: Instance, draw: random.Random) -> Instance:
    more = [(draw.randrange(instance.count + i), instance.count + i, draw.randint(0, 50)) for i in range(10)]
    return made(instance.count + 10, [*map(tuple, instance.edges.tolist()), *more], instance.terminals.tolist())


def with_one_more(instance: Instance, draw: random.Random) -> Instance:
    edge = (draw.randrange(instance.count), draw.randrange(instance.count), draw.randint(0, 20))
    return made(instance.count, [*map(tuple, instance.edges.tolist()), edge], instance.terminals.tolist())


RISE = 13


def dearer(instance: Instance, draw: random.Random) -> Instance:
    edges = instance.edges.copy()
    edges[draw.randrange(len(edges)), 2] += RISE
    return Instance(instance.count, edges, instance.terminals)


# change, factor of the cost, least and most that the optimum may move by
CHANGES = [(relabelled, 1, 0, 0), (scaled, 7919, 0, 0), (dangling, 1, 0, 0), (with_one_more, 1, -INF, 0), (dearer, 1, 0, RISE)]


@pytest.mark.parametrize(("change", "factor", "least", "most"), CHANGES, ids=[row[0].__name__ for row in CHANGES])
def test_a_changed_instance_moves_the_optimum_only_as_it_must(change, factor, least, most):
    proved = 0
    for seed in range(30):
        draw = random.Random(seed)
        instance = medium(seed, 40 + 2 * seed, 75 + 4 * seed, 5 + seed // 2, 20 if seed % 2 else 1000)
        other = change(instance, draw)
        before, after = solve(instance, seed=1, work=6), solve(other, seed=1, work=6)
        assert_fits(instance, before)
        assert_fits(other, after)
        # Cost and bound hold the optimum between them, before and after.
        assert factor * before.lower_bound + least <= after.cost, seed
        assert after.lower_bound <= factor * before.cost + most, seed
        if (before.status, after.status) == ("proved", "proved"):
            proved += 1
            assert factor * before.cost + least <= after.cost <= factor * before.cost + most, seed
    assert proved >= 20


@pytest.mark.parametrize("change", [row[0] for row in CHANGES], ids=[row[0].__name__ for row in CHANGES])
def test_a_bound_is_below_every_cost_also_where_nothing_is_proved(change):
    factor, least, most = next(row[1:] for row in CHANGES if row[0] is change)
    for seed in range(3):
        draw = random.Random(seed)
        instance = grid(seed, 40, 120)
        other = change(instance, draw)
        before, after = solve(instance, seed=seed, work=1), solve(other, seed=seed, work=1)
        for one, result in ((instance, before), (other, after)):
            assert_fits(one, result)
        assert factor * before.lower_bound + least <= after.cost
        assert after.lower_bound <= factor * before.cost + most


# ------------------------------------------------------------------------------------------------ tampered certificates


def with_dual(proof: Proof, change) -> Proof:
    assert isinstance(proof.end, Leaf)
    assert proof.end.dual is not None
    return replace(proof, end=Leaf(dual=change(proof.end.dual)))


def with_cut(dual: Dual, change) -> Dual:
    """One cut changed: the one of the greatest value that adds more than one vertex."""
    index = max((i for i, cut in enumerate(dual.cuts) if len(cut.added) > 1), key=lambda i: dual.cuts[i].dual)
    return replace(dual, cuts=(*dual.cuts[:index], change(dual.cuts[index]), *dual.cuts[index + 1 :]))


def other_edge(certificate: SteinerCertificate, instance: Instance) -> SteinerCertificate:
    """An edge of the tree swapped for one outside."""
    outside = next(edge for edge in range(len(instance.edges)) if edge not in certificate.edges)
    return replace(certificate, edges=tuple(sorted((*certificate.edges[1:], outside))))


def tampered(instance: Instance, certificate: SteinerCertificate) -> dict[str, SteinerCertificate]:
    """The certificate altered, each time so that it proves nothing any more."""
    proof = certificate.proof
    steps = proof.steps
    takes = [i for i, step in enumerate(steps) if isinstance(step, Step) and step.kind == "take"]
    changed: dict[str, SteinerCertificate] = {
        "a bound one higher": replace(certificate, bound=certificate.bound + 1),
        "bound and cost one higher": replace(certificate, bound=certificate.bound + 1, cost=certificate.cost + 1),
        "a lower cost": replace(certificate, cost=certificate.cost - 1),
        "an edge of the tree swapped": other_edge(certificate, instance),
        "an edge of the tree left out": replace(certificate, edges=certificate.edges[1:]),
        "an edge of the tree twice": replace(certificate, edges=(*certificate.edges, certificate.edges[0])),
        "another instance": replace(certificate, instance=instance_hash(instance.count, instance.edges, instance.terminals[1:])),
        "no proof": replace(certificate, proof=Proof(end=Leaf())),
        "the same edge dropped at the end": replace(certificate, proof=replace(proof, steps=(*steps, Step(kind="drop", of=(certificate.edges[0],))))),
        "all edges at a terminal dropped": replace(
            certificate,
            proof=replace(
                proof,
                steps=(
                    *(Step(kind="drop", of=(edge,)) for edge in np.flatnonzero((instance.edges[:, :2] == instance.terminals[0]).any(axis=1)).tolist()),
                    *steps,
                ),
            ),
        ),
        "a terminal removed as a leaf": replace(certificate, proof=replace(proof, steps=(Step(kind="leaf", of=(int(instance.terminals[0]),)), *steps))),
    }
    if takes:
        i = takes[-1]
        edge, gone, near, _ = steps[i].of
        changed["a step left out"] = replace(certificate, proof=replace(proof, steps=(*steps[:i], *steps[i + 1 :])))
        changed["a step edited"] = replace(
            certificate, proof=replace(proof, steps=(*steps[:i], Step(kind="take", of=(edge, gone, near, near)), *steps[i + 1 :]))
        )
        changed["a step twice"] = replace(certificate, proof=replace(proof, steps=(*steps[: i + 1], *steps[i:])))
    if isinstance(proof.end, Leaf) and proof.end.dual is not None:
        scale = proof.end.dual.scale
        for name, change in {
            "a dual raised": lambda cut: replace(cut, dual=cut.dual + 10**6 * scale),
            "a dual below 0": lambda cut: replace(cut, dual=-1),
            "the terminal's own vertex taken out of a cut": lambda cut: replace(cut, added=tuple(v for v in cut.added if v != cut.terminal), base=-1),
            "a cut of a vertex that is none": lambda cut: replace(cut, added=(*cut.added, instance.count)),
        }.items():
            changed[name] = replace(certificate, proof=with_dual(proof, lambda dual, change=change: with_cut(dual, change)))
        changed["another root"] = replace(certificate, proof=with_dual(proof, lambda dual: replace(dual, root=dual.cuts[0].terminal)))
        changed["a finer scale told as coarse"] = replace(certificate, proof=with_dual(proof, lambda dual: replace(dual, scale=0)))
        changed["no dual"] = replace(certificate, proof=replace(proof, end=Leaf()))
    for i, step in enumerate(steps):
        if isinstance(step, Elimination):
            safe = [edge for edge in certificate.edges if edge not in step.edges][:1]
            changed["an elimination of an edge of the tree"] = replace(
                certificate, proof=replace(proof, steps=(*steps[:i], replace(step, edges=(*step.edges, *safe)), *steps[i + 1 :]))
            )
            break
    return changed


def assert_rejected(instance: Instance, certificate: SteinerCertificate, kinds: int) -> None:
    assert broken(instance, certificate) == []
    changed = tampered(instance, certificate)
    assert len(changed) >= kinds
    assert [name for name, other in changed.items() if not broken(instance, other)] == []
    # And the certificate of one instance is none of another.
    edges = instance.edges.copy()
    edges[certificate.edges[0], 2] += 1
    assert broken(Instance(instance.count, edges, instance.terminals), certificate)


def test_a_tampered_certificate_is_rejected():
    instance = grid(3, 11, 25)  # 220 edges
    result = solve(instance, work=4, certify=True)
    assert result.certificate is not None
    assert_rejected(instance, result.certificate, 15)


def test_a_tampered_certificate_of_a_benchmark_is_rejected(bench_data):
    instance = parse((bench_data / "steiner" / "instance016.gr.gz").read_bytes(), "instance016")
    result = solve(instance, work=4, certify=True)
    assert result.cost == 14_171_206
    assert result.certificate is not None
    assert_rejected(instance, result.certificate, 10)


def test_certificates_of_larger_instances_hold_proved_or_not():
    for instance, work in ((grid(4, 25, 60), 1), (grid(5, 25, 60), 4), (medium(6, 1500, 2600, 80), 2)):
        result = solve(instance, work=work, certify=True)
        assert_fits(instance, result)
        assert broken(instance, result.certificate) == []
        assert result.certificate is not None
        assert result.certificate.bound == result.lower_bound


def test_the_example_of_the_page_says_what_it_prints(capsys):
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "steiner.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    exec(code, {})
    assert capsys.readouterr().out.splitlines() == [line.split("  # ")[1] for line in code.splitlines() if line.startswith("print")]


# ------------------------------------------------------------------------------------------------ branching


def cube(dimension: int, seed: int | None) -> Instance:
    """A hypercube, half of its corners terminals: the relaxation leaves a gap. Prices 100 to 110, or 1 without a seed."""
    draw = random.Random(seed)
    corners = range(1 << dimension)
    edges = [(v, v ^ (1 << bit), 1 if seed is None else draw.randint(100, 110)) for v in corners for bit in range(dimension) if not v >> bit & 1]
    return made(len(corners), edges, [v for v in corners if v.bit_count() % 2 == 0])


def ends_of(proof: Proof) -> list[Leaf]:
    return ends_of(proof.end.inside) + ends_of(proof.end.outside) if isinstance(proof.end, Branch) else [proof.end]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_relaxation_leaves_open_is_closed_by_cases(seed, threads):
    instance = cube(4, seed)
    result = solve(instance, work=30, threads=threads, certify=True, skip=frozenset(REDUCTIONS))
    assert result.cost == result.lower_bound == optimum(instance)
    assert broken(instance, result.certificate) == []


def test_a_proof_by_cases_holds_and_a_tampered_one_does_not():
    instance = cube(5, None)
    result = solve(instance, work=30, certify=True)
    assert (result.cost, result.status) == (20, "proved")
    assert result.certificate is not None
    ends = ends_of(result.certificate.proof)
    assert len(ends) > 4
    assert broken(instance, result.certificate) == []
    path: list[Branch] = []
    proof = result.certificate.proof
    while isinstance(proof.end, Branch):
        path.append(proof.end)
        proof = proof.end.inside
    for lost in ("inside", "outside"):  # one case replaced by the other
        wrong = replace(path[0], **{lost: getattr(path[0], "outside" if lost == "inside" else "inside")})
        forged = replace(result.certificate, proof=replace(result.certificate.proof, end=wrong))
        assert broken(instance, forged)
    forged = replace(result.certificate, proof=replace(result.certificate.proof, end=replace(path[0], vertex=int(instance.terminals[0]))))
    assert broken(instance, forged)


def cover(seed: int) -> Instance:
    """A root, sets that it reaches, elements that sets hold, all for 1: weak duals, and eliminations that cut elements off."""
    draw = random.Random(seed)
    elements, sets = draw.randint(6, 13), draw.randint(10, 30)
    edges = [(0, elements + 1 + j, 1) for j in range(sets)]
    edges += [(1 + element, elements + 1 + j, 1) for j in range(sets) for element in draw.sample(range(elements), min(elements, draw.randint(2, 4)))]
    edges += [(1 + element, elements + 1 + draw.randrange(sets), 1) for element in range(elements)]
    return made(elements + sets + 1, edges, list(range(elements + 1)))


@pytest.mark.parametrize("seed", range(40))
def test_certificates_of_covers_hold(seed):
    instance = cover(seed)
    result = solve(instance, seed=seed, work=14, certify=True)
    assert broken(instance, result.certificate) == []


@pytest.mark.parametrize("instance", [cube(5, 1), cube(5, 2), cover(3)], ids=["cube 1", "cube 2", "cover"])
def test_no_bound_is_told_above_the_last_cost_when_cases_alone_find_trees(monkeypatch, instance):
    monkeypatch.setattr(search._Search, "_trees", lambda *_: [])
    told: list[Incumbent] = []
    result = solve(instance, work=40, tell=told.append)
    assert max(now.lower_bound for now in told) <= result.cost


def test_cases_left_open_still_prove_their_bound():
    instance = cube(6, 3)
    bounds = []
    for work in (6, 8, 10):
        result = solve(instance, work=work, certify=True)
        bounds.append(result.lower_bound)
        assert broken(instance, result.certificate) == []
        assert result.certificate is not None
        assert result.certificate.bound == result.lower_bound
    assert bounds == sorted(bounds)
    assert len(ends_of(result.certificate.proof)) > 1


# ------------------------------------------------------------------------------------------------ odd instances

LINE: Edges = [(0, 1, 4), (1, 2, 5), (2, 3, 6)]
ODD = [
    ("no vertex at all", made(0, [], []), 0),
    ("no terminals", made(4, LINE, []), 0),
    ("one terminal", made(4, LINE, [2]), 0),
    ("one vertex", made(1, [], [0]), 0),
    ("two vertices", made(2, [(0, 1, 7)], [0, 1]), 7),
    ("all vertices are terminals", made(4, [*LINE, (0, 3, 1)], [0, 1, 2, 3]), 10),
    ("everything for nothing", made(5, [(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0), (0, 4, 0)], [0, 2, 4]), 0),
    ("everything for nothing, dense", made(9, [(u, v, 0) for v in range(9) for u in range(v)], [0, 2, 4, 8]), 0),
    ("parallel edges", made(3, [(0, 1, 9), (1, 0, 3), (0, 1, 3), (1, 2, 2), (2, 1, 8)], [0, 2]), 5),
    ("loops", made(3, [(0, 0, 0), (0, 1, 3), (1, 1, 1), (1, 2, 2), (2, 2, 5), (2, 2, 5)], [0, 2]), 5),
    ("loops at all terminals", made(4, [(v, v, 1) for v in range(4)] + [(0, 1, 2), (1, 2, 2), (2, 3, 2), (3, 0, 2)], [0, 1, 2, 3]), 6),
    ("vertices apart that nobody wants", made(8, [*LINE, (5, 6, 1), (6, 7, 1), (7, 5, 1)], [0, 3]), 15),
    ("costs as large as they may be", made(4, [(0, 1, 10**18), (1, 2, 10**18), (0, 2, 19 * 10**17), (2, 3, 10**17)], [0, 1, 2]), 2 * 10**18),
]


@pytest.mark.parametrize(("instance", "cost"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_odd_instance_is_solved_and_certified(instance, cost, threads):
    result = solve(instance, work=3, threads=threads, certify=True)
    assert_fits(instance, result)
    assert (result.cost, result.lower_bound, result.gap, result.status) == (cost, cost, 0.0, "proved")
    assert broken(instance, result.certificate) == []


@pytest.mark.parametrize(
    ("count", "edges", "terminals"), [(2, [], [0, 1]), (5, [(0, 1, 1), (2, 3, 1), (3, 4, 1)], [0, 4]), (3, [(0, 0, 1), (1, 2, 0)], [0, 1])]
)
def test_terminals_apart_are_told(count, edges, terminals):
    with pytest.raises(DesignError, match="terminals"):
        solve(made(count, edges, terminals), work=1)


ROWS = [[0, 1, 4], [1, 2, 5], [2, 3, 6]]
NOT_ONE = {
    "costs with a fraction": (4, np.array(ROWS) + 0.5, [0, 3], "whole numbers"),
    "not a number": (4, np.array(ROWS) * np.nan, [0, 3], "whole numbers"),
    "two columns": (4, np.array(ROWS)[:, :2], [0, 3], "shape"),
    "on its side": (4, np.array([ROWS[0], ROWS[1]]).T, [0, 3], "shape"),
    "a cost below 0": (4, [[0, 1, 4], [1, 2, -5], [2, 3, 6]], [0, 3], "row 1: found cost -5"),
    "an end that is no vertex": (4, [[0, 7, 4]], [0, 3], "0 … 3"),
    "an end below 0": (4, [[0, -1, 4]], [0, 3], "0 … 3"),
    "a terminal that is no vertex": (4, ROWS, [0, 4], "0 … 3"),
    "a terminal below 0": (4, ROWS, [-1, 2], "0 … 3"),
    "flags for terminals": (4, ROWS, np.array([True, True, False, False]), "whole numbers"),
    "floats for terminals": (4, ROWS, [0.0, 3.0], "whole numbers"),
    "costs that are too large": (4, np.array([[0, 1, 2**62], [1, 2, 2**62]]), [0, 2], "add up to"),
    "unsigned costs that are too large": (4, np.array([[0, 1, 2**63], [1, 2, 2**63]], np.uint64), [0, 2], "add up to"),
    "a count that is no number": ("4", ROWS, [0, 3], "whole number"),
}


@pytest.mark.parametrize(("count", "edges", "terminals", "says"), NOT_ONE.values(), ids=NOT_ONE)
def test_what_is_no_instance_is_told(count, edges, terminals, says):
    with pytest.raises(DesignError, match=says):
        solve(Instance(count, edges, terminals), work=1)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint64])
def test_any_whole_numbers_and_plain_lists_are_an_instance(kind):
    table = np.array(ROWS, kind)
    for edges, terminals in ((table, np.array([3, 0, 3], kind)), (table.tolist(), [3, 0]), (np.asfortranarray(table), (0, 3))):
        assert solve(Instance(4, edges, terminals), work=1).cost == 15


def test_too_little_memory_is_told_before_the_work():
    with pytest.raises(DesignError, match=r"memory: .*GiB"):
        solve(grid(0, 40, 100), work=1, memory_gib=0.01)


def test_near_the_memory_limit_the_search_ends_with_its_answer(monkeypatch):
    held = iter([0.5, 0.5, 0.6])
    monkeypatch.setattr(watched, "held_gib", lambda: next(held, 1.45))
    result = solve(grid(0, 60, 300), time_limit=30, memory_gib=1.0)
    assert result.ended == "memory"
    assert result.seconds < 10
    assert_fits(grid(0, 60, 300), result)


def test_what_this_process_holds_grows_with_what_it_keeps():
    before = watched.held_gib()
    kept = np.ones(40_000_000)  # 0.3 GiB
    assert watched.held_gib() - before > 0.25
    assert len(kept)


def test_a_cancel_is_answered_with_a_tree_or_told():
    instance = grid(1, 60, 300)
    told: list[Incumbent] = []
    result = solve(instance, time_limit=30, cancel=lambda: bool(told), tell=told.append)
    assert_fits(instance, result)
    assert result.seconds < 5
    assert (result.cost, result.lower_bound) <= (told[-1].cost, result.cost)


# ------------------------------------------------------------------------------------------------ the same answer


def followed(instance: Instance, **options) -> tuple[Result, list[tuple[int, int]]]:
    told: list[Incumbent] = []
    result = solve(instance, tell=told.append, **options)
    costs, bounds = [now.cost for now in told], [now.lower_bound for now in told]
    assert costs == sorted(costs, reverse=True)
    assert bounds == sorted(bounds)
    assert (costs[-1], bounds[-1]) == (result.cost, result.lower_bound)
    return result, list(zip(costs, bounds, strict=True))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_and_work_give_the_same_answer_with_one_thread_or_two(seed):
    instance = grid(seed, 45, 150)
    one, other, alone = (followed(instance, seed=seed, work=3, threads=threads) for threads in (2, 2, 1))
    assert (one[0].edges, one[0].cost, one[0].lower_bound, one[0].rounds) == (other[0].edges, other[0].cost, other[0].lower_bound, other[0].rounds)
    assert (one[0].edges, one[0].cost, one[0].lower_bound, one[0].rounds) == (alone[0].edges, alone[0].cost, alone[0].lower_bound, alone[0].rounds)
    assert one[1] == other[1]


def test_more_work_is_never_worse():
    instance = grid(9, 45, 150)
    results = [solve(instance, seed=2, work=work) for work in (1, 2, 4)]
    for before, after in pairwise(results):
        assert after.cost <= before.cost
        assert after.lower_bound >= before.lower_bound
