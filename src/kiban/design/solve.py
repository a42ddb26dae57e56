"""Solving a design problem: bound, first designs, an exact look at what is left, and local search.

In: a Problem, a seed, an amount of work. Out: a Design with cost, bound, certificate and status. Reasons are left to design.explain.
The same (problem, seed, work) gives the same design; a time limit or a cancel cuts the same sequence of designs short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec.structs import replace

from kiban.base.progress import Cancel, Progress, never, silent
from kiban.design.blend import Blend
from kiban.design.bound import Bounded, BoundState, bound_of, packed
from kiban.design.exact import improve
from kiban.design.graph import Floats, Ints
from kiban.design.judge import Judge, Judged
from kiban.design.trees import Ground, grow, make_ground
from kiban.design.undirected import Undirected
from kiban.records.checkpoint import Snapshot
from kiban.records.design import Design, Problem, problem_hash

LARGE = 20_000  # arcs from which a unit of work does less: as much less as there are more arcs
SMALL = 150  # arcs up to which the integer programme comes first
WHOLE = 400  # arcs up to which the integer programme takes the whole problem at once
RESTRICTED = 2_500  # arcs of a restricted integer programme
IDLE = 8  # neighbourhoods in a row without gain that end the search
TREES, ROUNDS = 40, 2  # trees per unit of work that look at the whole path, and how often what lines can save is counted anew
WALKS, STRIDE = 10, 2  # walks with shaken costs, and their length, each so much longer than the one before
STAGES = ("guides", "small", "exchanges", "blends", "exact", "local", "neighbourhoods", "end")  # of the search, in this order
AROUND, BACKBONE = 80, 800  # sites and backbone arcs that one neighbourhood frees


@dataclass
class _Search:
    """The state of one run."""

    problem: Problem
    bounded: Bounded
    ground: Ground
    judge: Judge
    seed: int
    work: int
    stop: Callable[[], bool]
    best: Judged
    blend: Blend
    seen: list[Judged] = field(default_factory=list)
    finished: bool = False  # the integer programme has seen every arc that could still matter, and solved it
    within: Judged | None = None  # the best design of an integer programme that is still running
    stage: int = 0  # place in STAGES
    turn: int = 0  # of the stage; begins at 0, or where an earlier run was
    told: Snapshot | None = None

    def offer(self, chosen: Judged) -> bool:
        """Keep a design when it is the best so far; one that breaks a limit is mended first."""
        if chosen.broken:
            chosen = self.mended(chosen)
        self.seen = sorted([*self.seen, chosen], key=lambda judged: judged.rank)[:12]
        if chosen.rank < self.best.rank:
            self.best = chosen
            return True
        return False

    def try_tree(self, cost: Floats, parent: Ints | None = None) -> Judged:
        """Grow a tree by guiding costs and judge it."""
        tree = grow(self.ground, cost, parent)
        return self.judge.judge(tree[tree >= 0].tolist())

    def mended(self, broken: Judged) -> Judged:
        """Take what breaks a limit out of a design and join those demands by ways that keep it."""
        parent = np.full(len(self.problem.nodes), -1, np.int64)
        arcs = np.array(broken.arcs, np.int64)
        parent[self.bounded.graph.head[arcs]] = arcs
        parent[[node for _, node in broken.broken]] = -1
        return self.try_tree(self.blend.cost, parent)

    @property
    def units(self) -> int:
        """The work that is done, in units of a problem that is not large."""
        return max(1, min(self.work, self.work * LARGE // max(1, len(self.problem.arcs))))

    @property
    def whole(self) -> bool:
        """Every demand that can be reached is served, and nothing is broken."""
        return self.best.unserved == len(self.problem.demands) - len(self.bounded.graph.demands) and not self.best.broken

    def enter(self, stage: str) -> bool:
        """Whether a stage is still to be gone through: not when nothing is left to gain, somebody stopped, or an earlier run was beyond it."""
        number = STAGES.index(stage)
        if number < self.stage or self.proved or self.stop():
            return False
        if number > self.stage:
            self.stage, self.turn = number, 0
        return True

    def look(self, judged: Judged) -> None:
        """A design that an integer programme came across."""
        self.within = judged

    def snapshot(self, seconds: float) -> Snapshot:
        """Where the search stands."""
        best = min(self.best, self.within or self.best, key=lambda judged: judged.rank)
        if self.told is None:
            self.told = Snapshot(**packed(self.bounded), bounded=True)
        return replace(
            self.told, arcs=best.arcs, cost=best.cost, unserved=best.unserved, broken=len(best.broken),
            stage=len(STAGES) - 1 if self.proved else self.stage, turn=self.turn, seconds=seconds,
        )  # fmt: skip

    @property
    def proved(self) -> bool:
        """Nothing is left to gain."""
        return self.finished or (self.whole and self.best.cost == self.bounded.bound)


def solve(
    problem: Problem,
    *,
    seed: int,
    work: int,
    time_limit: float | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    starts: Sequence[Sequence[int]] = (),
    resume: Snapshot | None = None,
    note: Callable[[Callable[[], Snapshot]], None] = lambda _: None,
) -> Design:
    """Solve a design problem.

    Parameters
    ----------
    seed        breaks ties, chooses the order of trials
    work        ≥ 1, deterministic units, 100 is usual: rounds of cuts, branch-and-bound nodes, trials of the local search; beyond LARGE arcs a unit
                stands for fewer of them, in inverse proportion to the arcs, so that 100 units take some ten seconds however large the problem is
    time_limit  seconds, None: none; the first design is always finished
    progress    told of the share done and what is being done
    cancel      asked between steps; the best design so far is returned
    starts      arcs of designs that are known already
    resume      where an earlier run of the same search stood: its design and its bound are where this one begins, so that neither gets worse
    note        told between steps how to find out where the search stands

    Returns
    -------
    Design; sites, break-even prices and sharing are empty until design.explain fills them
    """
    before = 0.0 if resume is None else resume.seconds
    begin = time.monotonic() - before
    stopped = False
    on_way = BoundState()
    search: _Search | None = None

    def state() -> Snapshot:
        seconds = time.monotonic() - begin
        if search is not None:
            return search.snapshot(seconds)
        bounded = None if on_way.now is None else on_way.now()
        first = Snapshot() if resume is None else resume
        if bounded is None:
            return replace(first, seconds=seconds)
        return replace(first, **packed(bounded), renewals=on_way.renewals, rounds=on_way.rounds, seconds=seconds)

    def stop() -> bool:
        nonlocal stopped
        note(state)
        stopped = stopped or cancel() or (time_limit is not None and time.monotonic() - begin > time_limit)
        return stopped

    work = max(1, work)
    progress(0.05, "下界を計算 / proving a bound")
    bounded = bound_of(problem, work, seed, stop, resume=resume, state=on_way)
    judge, ground = Judge(problem), make_ground(problem, bounded.graph)
    search = _Search(problem, bounded, ground, judge, seed, work, stop, judge.judge([]), Blend(problem, ground, _spread(problem)))
    progress(0.3, "初期案を作成 / first designs")
    for known in starts:
        search.offer(judge.judge(known))
    if resume is not None and resume.arcs is not None:
        search.offer(judge.judge(arc for arc in resume.arcs if 0 <= arc < len(problem.arcs)))
        search.stage, search.turn = min(resume.stage, len(STAGES) - 1), resume.turn
    _stages(search, progress, begin, time_limit)
    if not search.whole:
        _repair(search)
    progress(1.0, "設計完了 / designed")
    return _design(search)


def _stages(search: _Search, progress: Progress, begin: float, time_limit: float | None) -> None:
    """One way of looking for a better design after the other; those that an earlier run went through are left out."""
    if search.stage == 0:
        for turn, cost in enumerate(_guides(search)):
            search.offer(search.try_tree(cost))
            if turn == 0 and not search.whole:
                _repair(search)
            if search.proved or (search.stop() and search.whole):
                break
    if len(search.problem.arcs) <= SMALL and search.enter("small"):
        _exact(search, begin, time_limit)  # mostly the end of it
    if search.enter("exchanges"):
        _exchanges(search, progress)
    if search.enter("blends"):
        progress(0.45, "線路を選ぶ / choosing lines")
        _blends(search)
    if search.enter("exact"):
        progress(0.5, "厳密に探索 / exact search")
        _exact(search, begin, time_limit)
    if search.enter("local"):
        progress(0.6, "局所探索 / local search")
        _local(search, progress)
    if search.enter("neighbourhoods"):
        _neighbourhoods(search, progress, begin, time_limit)


def _guides(search: _Search) -> Iterator[Floats]:
    """Costs to grow trees by: as they are, saturated arcs only, the LP's arcs cheap, steps spread over what uses them, shaken."""
    ground, bounded = search.ground, search.bounded
    full = ground.cost
    reduced = bounded.reduced / bounded.graph.scale
    spread = search.blend.cost - full
    if bounded.value is not None:
        yield full * (1.0 - 0.999 * np.minimum(bounded.value, 1.0)) + 1e-6
    yield np.where(bounded.reduced == 0, full, np.inf)
    yield np.where(bounded.reduced == 0, full + spread, (full + spread) * 1e3)
    yield full + spread
    yield reduced + 1e-3 * full
    yield reduced + spread + 1e-3 * full
    yield full
    for technologies in _system_choices(search):
        yield _without(search, full + spread, technologies)
    random = np.random.default_rng(search.seed)
    for metre in (0.0, 1.0, 1e3, 1e6):
        if not search.whole:
            yield full + metre * ground.length
    for _ in range(4 + search.units // 25):
        yield (full + spread) * random.uniform(0.8, 1.25, len(full)) + reduced


def _system_choices(search: _Search) -> list[frozenset[str]]:
    """Technologies to do without: each one with a cost per system or exchange alone, and all but one of them."""
    names = sorted({step.technology for step in search.problem.steps if step.level != "facility"})
    return (
        [frozenset({name}) for name in names] + [frozenset(names) - {name} for name in names if len(names) > 2] + ([frozenset(names)] if len(names) > 1 else [])
    )


def _without(search: _Search, cost: Floats, technologies: frozenset[str]) -> Floats:
    barred = np.array([arc.technology in technologies for arc in search.problem.arcs], np.bool_)
    return np.where(barred, cost + 1e12, cost)


def _repair(search: _Search) -> None:
    """Join what the best design leaves out: by metres, on the nearest lines that pay off, on the nearest lines to everyone within reach."""
    blend, head = search.blend, search.bounded.graph.head
    parent = np.full(len(search.problem.nodes), -1, np.int64)
    arcs = np.array(search.best.arcs, np.int64)
    parent[head[arcs]] = arcs
    search.offer(search.try_tree(search.ground.length, parent))
    for every in (False, True):
        if blend.useful and not search.whole:
            search.offer(search.try_tree(blend.cost, blend.nearest(blend.prizes(search.best.arcs), every)))


def _exchanges(search: _Search, progress: Progress) -> None:
    """The best design improved as a Steiner tree without directions, at first as it is, then after walks with shaken costs."""
    if not search.blend.useful:
        return
    tree, idle = Undirected(search.problem, search.ground, search.bounded.pairs, search.blend.cost), 0
    for turn in range(1 + min(WALKS, search.units // 4)):
        if search.stop() or search.proved or idle > 1 or not search.best.arcs:
            return
        progress(0.4 + 0.01 * turn, "木を改良 / improving trees")
        parent = tree.improved(search.best.arcs, STRIDE * turn, search.seed + turn)
        idle = 0 if search.offer(search.try_tree(search.blend.cost, parent)) else idle + 1


def _blends(search: _Search) -> None:
    """Trees that look at the whole path from the root, and the best part of each; again where that opened other cells."""
    blend, random = search.blend, np.random.default_rng(search.seed + 3)
    trees = min(blend.trees, TREES * (5 + search.units))
    before: dict[int, tuple[int, ...]] | None = None
    for _ in range(ROUNDS if blend.useful else 0):
        prizes = blend.prizes(search.best.arcs)
        if prizes.beside == before:
            return
        before = prizes.beside
        for chosen in blend.search(prizes, trees // ROUNDS if before else trees, random):
            if search.stop() or search.proved:
                return
            if chosen is not None:
                search.offer(search.try_tree(blend.cost, blend.parents(prizes, chosen)))


def _spread(problem: Problem) -> Floats:
    """Costs of steps per unit of load, put on the arcs into the terminals (and once over all of them for a whole system)."""
    spread = np.zeros(len(problem.arcs))
    each: dict[str, float] = {}
    for step in problem.steps:
        if step.capacity is not None and step.free == 0:
            each[step.technology] = each.get(step.technology, 0.0) + step.cost / step.capacity * (1.0 if step.load == "sites" else 0.0)
    for index, arc in enumerate(problem.arcs):
        if arc.kind == "drop":
            spread[index] = each.get(arc.technology or "", 0.0)
    return spread


def _candidates(search: _Search, most: int) -> Ints:
    """Arcs of known designs and LP, then those of least reduced cost; arcs that no better design can hold are left out."""
    bounded = search.bounded
    keep = np.zeros(bounded.graph.size, np.bool_)
    for judged in search.seen:
        keep[list(judged.arcs)] = True
    if bounded.value is not None:
        keep |= bounded.value > 1e-6
    open_to = bounded.open_to(search.best.cost) if search.whole else np.ones(bounded.graph.size, np.bool_)
    keep &= open_to
    order = np.argsort(bounded.reduced, kind="stable")
    more = order[(open_to & ~keep)[order]][: max(0, most - int(keep.sum()))]
    keep[more] = True
    return np.flatnonzero(keep)


def _exact(search: _Search, begin: float, time_limit: float | None) -> None:
    """The integer programme over what may still be better."""
    seconds = float("inf") if time_limit is None else max(0.1, time_limit - (time.monotonic() - begin))
    for most in (WHOLE, RESTRICTED):
        arcs = _candidates(search, most)
        if len(arcs) > 2 * RESTRICTED:
            return
        found, optimal = improve(
            search.problem, search.bounded.graph, search.judge, arcs, search.bounded.tight, search.best,
            looks=100 + 10 * search.units,
            nodes=(500 if most == WHOLE else 50) + 5 * search.units, rounds=20, stop=search.stop, seconds=seconds, tell=search.look,
        )  # fmt: skip
        search.offer(found)
        search.finished = optimal and len(arcs) < most
        if len(arcs) < most or search.proved or search.stop():
            return


def _local(search: _Search, progress: Progress) -> None:
    """Take out a part of the best design, bar one of its arcs, and grow it again; keep what is not worse."""
    problem, ground = search.problem, search.ground
    random = _random(search, 1)
    spread = search.blend.cost
    turns = 50 + (5 if len(problem.arcs) > 5_000 else 2) * search.units
    for turn in range(search.turn, turns):
        search.turn = turn
        if search.stop() or search.proved or not search.best.arcs:
            return
        arcs = np.array(search.best.arcs, np.int64)
        parent = np.full(len(problem.nodes), -1, np.int64)
        parent[search.bounded.graph.head[arcs]] = arcs
        first = int(arcs[random.integers(len(arcs))])
        cost = spread.copy()
        kind = problem.arcs[first].kind
        if kind in ("open", "hop", "feed", "exchange", "drop", "link", "direct", "serve") or turn % 2:
            cost[first] = cost[first] * 2 + 1e9
        if turn % 5 == 0:
            cost *= random.uniform(0.9, 1.1, len(cost))
        removed = _below(search, parent, int(search.bounded.graph.head[first]))
        parent[removed] = -1
        tree = grow(ground, cost, parent)
        search.offer(search.judge.judge(tree[tree >= 0].tolist()))
        if turn % 20 == 0:
            progress(0.6 + 0.1 * turn / turns, "局所探索 / local search")


def _neighbourhoods(search: _Search, progress: Progress, begin: float, time_limit: float | None) -> None:
    """Free everything around one facility or demand after another, keep the rest of the best design, and solve that exactly."""
    problem, graph, reduced = search.problem, search.bounded.graph, search.bounded.reduced
    random = _random(search, 2)
    kind = np.array([arc.kind for arc in problem.arcs])
    backbone = np.flatnonzero(np.isin(kind, ("exchange", "line", "plant", "feed", "hop")))
    backbone = backbone[np.argsort(reduced[backbone], kind="stable")[:BACKBONE]]
    links = np.flatnonzero(kind == "link")
    sites = {ref: index for index, ref in enumerate(sorted({node.ref for node in problem.nodes}), start=1)}
    site_of = np.array([sites[node.ref] if node.kind in ("terminal", "demand") else 0 for node in problem.nodes], np.int64)
    turns, idle = max(2, search.units // 5), 0
    for turn in range(search.turn, turns):
        search.turn = turn
        if search.stop() or idle > IDLE:
            return
        progress(0.7 + 0.3 * turn / turns, "近傍を厳密に探索 / exact search around one place after another")
        if len(links):
            centre = graph.tail[links[random.integers(len(links))]]
            near = site_of[graph.head[links[graph.tail[links] == centre]]]
        else:
            near = site_of[graph.demands[random.integers(len(graph.demands))]][None]
        near = random.permutation(np.unique(near))[:AROUND]
        around = np.isin(site_of, near)
        free = np.isin(kind, ("serve", "link", "direct", "drop")) & around[graph.head]
        facilities = np.unique(graph.tail[links[around[graph.head[links]]]])
        free |= (kind == "open") & np.isin(graph.head, facilities)
        keep = np.zeros(graph.size, np.bool_)
        keep[backbone] = True
        keep[list(search.best.arcs)] = True
        seconds = float("inf") if time_limit is None else max(0.1, time_limit - (time.monotonic() - begin))
        found, _ = improve(
            problem, graph, search.judge, np.flatnonzero(keep | free), search.bounded.tight, search.best,
            looks=25, nodes=5, rounds=2, stop=search.stop, seconds=seconds, tell=search.look,
        )  # fmt: skip
        idle = 0 if search.offer(found) else idle + 1


def _random(search: _Search, stage: int) -> np.random.Generator:
    """The chance of a stage; where an earlier run was in it, another one, so that its trials are not repeated."""
    return np.random.default_rng(search.seed + stage if search.turn == 0 else [search.seed, stage, search.turn])


def _below(search: _Search, parent: Ints, node: int) -> Ints:
    """The nodes of the tree below a node, and the chain above it up to the next fork."""
    graph = search.bounded.graph
    inside = np.flatnonzero(parent >= 0)
    children: dict[int, list[int]] = {}
    for child in inside.tolist():
        children.setdefault(int(graph.tail[parent[child]]), []).append(child)
    above = node
    while above and parent[above] >= 0 and len(children.get(int(graph.tail[parent[above]]), [])) == 1:
        above = int(graph.tail[parent[above]])
    found, stack = [], [above]
    while stack:
        at = stack.pop()
        found.append(at)
        stack += children.get(at, [])
    if len(found) > 400:
        found = [above]
    return np.array(found, np.int64)


def _design(search: _Search) -> Design:
    """Write the record."""
    problem, best, bounded = search.problem, search.best, search.bounded
    if best.unserved > len(problem.demands) - len(bounded.graph.demands):
        # side constraints leave some demand out: the bound must not count it
        bounded = bound_of(problem, search.work, search.seed, search.stop, [d.node for d, arc in zip(problem.demands, best.served, strict=True) if arc >= 0])
    unserved = sorted({(d.site, d.usecase) for d, arc in zip(problem.demands, best.served, strict=True) if arc < 0} | {(s, u) for s, u, _, _ in problem.no_way})
    listed = {entry[:3] for entry in problem.no_way}
    lost = any(arc < 0 and (d.site, d.usecase, d.without) not in listed for d, arc in zip(problem.demands, best.served, strict=True))
    status: Literal["proved", "bounded", "incomplete", "infeasible"] = "bounded"
    if lost or best.broken or any(not technologies for *_, technologies in problem.no_way):
        status = "infeasible"
    elif problem.no_way:
        status = "incomplete"
    elif bounded.bound == best.cost:
        status = "proved"
    return Design(
        problem=problem_hash(problem),
        arcs=best.arcs,
        served=best.served,
        steps=best.steps,
        grown=best.grown,
        cost=best.cost,
        bound=bounded.bound,
        gap=0.0 if best.cost == 0 else (best.cost - bounded.bound) / best.cost,
        status=status,
        relaxed=bounded.certificate.relaxed,
        certificate=bounded.certificate,
        unserved=tuple(unserved),
        seed=search.seed,
        work=search.work,
    )
