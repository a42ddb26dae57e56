"""The solver: reductions, duals, trees and cuts in rounds until bound and tree meet, the work is used up, or it is stopped.

In: an Instance. Out: a Result: the best tree, a bound that no tree undercuts, on request the certificate of that bound.

One round: one thread makes trees (shortest paths inside the arcs that an ascent saturated, or at shaken costs; local search; the union of good trees
solved as a small instance of its own), the other raises the bound (`ascent.renew`, guided by the best tree). Then what no better tree can hold goes, the
graph shrinks, the dual is carried over. What is small enough is closed by the directed cut relaxation; where that leaves a gap, the search branches: one
case with a vertex in the tree, one without it, the case of the least bound first, the deepest when many are open.

A round depends on the round before and the seed alone, never on the clock or on which thread was first: a limit of time only cuts the sequence off.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import DesignError
from kiban.base.progress import Cancel, never
from kiban.design.steiner.ascent import Cuts, carried, charged, lift, no_cuts, renew, rooted_arcs
from kiban.design.steiner.cuts import Relaxation
from kiban.design.steiner.exchange import improve, wander
from kiban.design.steiner.growing import grow, proper, spans
from kiban.design.steiner.instance import Instance, checked
from kiban.design.steiner.network import (
    CONTRACTED,
    LOGGED,
    OFFSET,
    TERMINALS,
    Compact,
    Flags,
    Ints,
    Net,
    clear,
    compact,
    make_net,
    packed,
    spelled_out,
    spelled_rows,
)  # fmt: skip
from kiban.design.steiner.proof import Trail, certificate_of
from kiban.design.steiner.reductions import exclude, exclusions
from kiban.design.steiner.shrink import Ledger, Removal, shrink
from kiban.design.watched import Cut, Limits, watched
from kiban.records.steiner import Dual, Elimination, Leaf, SteinerCertificate

SCALE = 720_720  # duals are whole numbers of 1 / SCALE where costs leave room: divisible by 1 … 16, as the duals of a relaxation often ask
ROOM = 10**17  # most that scaled costs may add up to
CLOSING = 3_000  # edges up to which the cut relaxation of the whole rest is solved
UNION = 3_000  # edges up to which the relaxation of a union of trees is solved
TINY = 400  # edges up to which every round looks at cases
OPEN = 200_000_000  # bytes of open cases after which the deepest goes first; up to DEEPEST more may then be opened
DEEPEST = 60  # decisions that lead to one case
PORTIONS = 40  # portions of the relaxation of one case
POOL = 16  # trees kept
EFFORT = 5_000_000  # most steps of one call of `renew`, of which a round has four or ten; 1,000 an edge on small graphs
PORTION = 3_000  # simplex iterations of one round
STRIDE = 600_000  # steps of one walk times edges
PATIENCE = 0.002  # a walk goes on from a tree that much costlier than the best
SLOW = 0.003  # share of the gap that a round must close for the bound of a dense graph to count as moving; duals are weak there
EMPTY: Ints = np.zeros(0, np.int64)
UNGUIDED: Flags = np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Incumbent:
    """The best tree and bound at one moment."""

    cost: int
    lower_bound: int
    seconds: float


@dataclass(frozen=True)
class Result:
    """A tree over the terminals (`edges`: rows of the instance's edges), its cost, a bound that no tree undercuts, and (cost − bound) ÷ cost.

    status        proved: no tree is cheaper; bounded: the gap is open
    certificate   the proof of the bound for `check`, when asked for
    reductions    what each reduction removed, in edges and vertices, and its seconds
    ended         why the search went no further; memory: the limit was near
    """

    edges: tuple[int, ...]
    cost: int
    lower_bound: int
    gap: float
    status: Literal["proved", "bounded"]
    seconds: float
    certificate: SteinerCertificate | None
    reductions: tuple[Removal, ...]
    rounds: int
    ended: Literal["proved", "work", "time", "cancelled", "memory"]


@dataclass
class State:
    """A feasible dual of a packed graph, in 1 / scale of a cost unit: root, bound, reduced cost per arc, cuts."""

    root: int
    bound: int
    reduced: Ints
    cuts: Cuts


def solve(
    instance: Instance,
    *,
    seed: int = 0,
    work: int | None = None,
    time_limit: float | None = None,
    threads: int = 2,
    memory_gib: float = 4.0,
    certify: bool = False,
    skip: frozenset[str] = frozenset(),
    cancel: Cancel = never,
    tell: Callable[[Incumbent], None] | None = None,
) -> Result:
    """A Steiner tree with a proven bound.

    Parameters
    ----------
    seed        of all random choices
    work        most rounds; with neither this nor a time limit 20
    time_limit  seconds; the first tree is always finished
    threads     1 or 2; one thread does the same work, later
    memory_gib  most memory the process may come to hold beyond what it holds now: an instance expected to need more is refused before the work begins,
                and a search that comes near it ends with the best so far
    certify     keep every step for the certificate
    skip        reductions to leave out, of `REDUCTIONS`
    cancel      asked every 50 ms: True ends the search with the best so far, within 2 s
    tell        called for each better tree or bound, in this thread

    Raises
    ------
    DesignError  what is no instance (`checked`); terminals that no edges join; more memory than allowed

    >>> edges = np.array([[0, 3, 1], [1, 3, 1], [2, 3, 1], [0, 1, 2], [1, 2, 2]])
    >>> result = solve(Instance(4, edges, np.array([0, 1, 2])), work=1)
    >>> result.edges, result.cost, result.lower_bound, result.status
    ((0, 1, 2), 3, 3, 'proved')
    """
    limits = Limits(time_limit, memory_gib, cancel)
    instance = checked(instance)
    need = estimate_gib(instance, certify)
    if need > memory_gib:
        raise DesignError(
            "memory", f"an instance that needs about {need:.1f} GiB", f"at most {memory_gib:g} GiB", "allow more memory, or make the instance smaller"
        )
    if work is None and time_limit is None:
        work = 20
    search = _Search(instance, seed, threads, certify, skip, limits.begin)

    def report() -> None:
        while search.news:
            incumbent = search.news.popleft()
            if tell is not None:
                tell(incumbent)

    done, ended = watched(lambda: search.run(work), search.flag, limits, lambda: search.best.edges is not None, report)
    return search.result(not done, ended)


def estimate_gib(instance: Instance, certify: bool = False) -> float:
    """GiB that a search is expected to need: 300 MB for the program, 1,100 bytes an edge, 500 bytes a vertex, and 600 bytes an edge for a certificate."""
    return (3e8 + (1_700 if certify else 1_100) * len(instance.edges) + 500 * instance.count) / 2**30


@dataclass(frozen=True)
class _Best:
    """The answer so far; replaced as a whole, so that another thread always sees one that fits together."""

    edges: Ints | None
    cost: int
    bound: int


@dataclass
class _Search:
    instance: Instance
    seed: int
    threads: int
    certify: bool
    skip: frozenset[str]
    begin: float
    flag: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1, np.uint8))
    best: _Best = _Best(None, 0, 0)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger()
        self.trail: Trail | None = Trail() if self.certify else None
        self.news: deque[Incumbent] = deque()  # every better tree or bound, in order, until it is told
        self.pool: list[tuple[int, Ints]] = []
        self.walks: dict[int, Ints] = {}  # where each walk stands, by its parity, in the packed graph
        self.local: Ints = EMPTY  # best tree known in the packed graph, by its edge numbers
        self.state: State | None = None
        self.idle = 0  # rounds in which the bound hardly moved
        self.barren = 0  # rounds since a union of trees gave a better one
        self.closing: Relaxation | None = None
        self.cases: _Cases | None = None
        self.finished = False

    # --- running

    def stop(self) -> bool:
        """Whether to end now."""
        return bool(self.flag[0])

    def run(self, work: int | None) -> None:
        """Everything. Raises DesignError when no edges join the terminals."""
        instance = self.instance
        head = np.empty(2 * len(instance.edges), np.int64)
        head[0::2], head[1::2] = instance.edges[:, 1], instance.edges[:, 0]
        terminal = np.zeros(instance.count, np.bool_)
        terminal[instance.terminals] = True
        self.whole = packed(
            instance.count, head, np.ascontiguousarray(instance.edges[:, 2]), terminal, np.arange(len(instance.edges)), np.arange(instance.count)
        )
        self.scale = int(max(1, min(SCALE, ROOM // max(1, int(instance.edges[:, 2].sum())))))
        if len(instance.terminals) < 2:
            self._better(EMPTY, 0, 0)
            self.finished = True
            return
        first = grow(self.whole.start, self.whole.arcs, head, self.whole.cost.astype(np.float64), terminal, int(instance.terminals[0]), np.zeros(1, np.uint8))
        if not spans(head, terminal, first):
            raise DesignError("terminals", "terminals that no edges join", "all terminals in one piece", "solve each piece by itself, or add the missing edges")
        self.offer(first)
        if self.trail is not None:
            self.trail.end = Leaf(dual=Dual(root=int(instance.terminals[0])))
        self.net = make_net(instance.count, instance.edges, instance.terminals, logging=self.certify)
        self.net = shrink(self.net, self.flag, self.skip, self.ledger)
        self._repack()
        if self.stop() or self._settled():
            return
        self._begin()
        with ThreadPoolExecutor(max(1, min(2, self.threads))) as crew:
            while not (self.finished or self.stop() or (work is not None and self.rounds >= work)):
                self._round(crew)
                self.rounds += 1

    def _better(self, edges: Ints | None, cost: int, bound: int) -> None:
        self.best = _Best(edges, cost, bound)
        self.news.append(Incumbent(cost, bound, time.monotonic() - self.begin))

    def offer(self, edges: Ints) -> bool:
        """A connected set of the instance's edges over all terminals: made a proper tree and kept if it is better than the best."""
        whole = self.whole
        tree = proper(whole.start, whole.arcs, whole.head, whole.cost, whole.terminal, edges, False)
        cost = int(whole.cost[tree].sum())
        if all(cost != known for known, _ in self.pool):
            self.pool = sorted([*self.pool, (cost, tree)], key=lambda pair: pair[0])[:POOL]
        if self.best.edges is None or cost < self.best.cost:
            self._better(tree, cost, min(cost, self.best.bound))
            return True
        return False

    def prove(self, bound: int) -> None:
        """A bound that holds for every tree cheaper than the best."""
        bound = min(bound, self.best.cost)
        if bound > self.best.bound:
            if bound - self.best.bound > (SLOW if self._dense() else 0.0) * (self.best.cost - self.best.bound):
                self.idle = 0
            self._better(self.best.edges, self.best.cost, bound)
            if self.trail is not None:
                self.trail.mark(int(self.net.tally[LOGGED]), self.graph, self.state, self.scale)

    # --- the packed graph

    def _repack(self) -> None:
        """Pack what is left of the net; carry the dual over."""
        before = self.graph if self.state is not None else None
        self.graph: Compact = compact(self.net)
        self.rows, self.spelled = spelled_rows(self.net.kid, self.graph.edge)
        self.taken = spelled_out(self.net.kid, self.net.taken[: self.net.tally[CONTRACTED]])
        self.offset = int(self.net.tally[OFFSET])
        self.length = self.graph.cost.astype(np.float64)
        self.walks = {}
        if before is not None and self.state is not None and self.net.tally[TERMINALS] > 1:
            at = before.vertex.copy()
            while (self.net.into[at] != at).any():
                at = self.net.into[at].astype(np.int64)
            place_of = np.full(len(self.net.first), -1, np.int64)
            place_of[self.graph.vertex] = np.arange(self.graph.size)
            place = np.where(self.net.gone[at], -1, place_of[at])
            self.state = self._state(int(place[self.state.root]), carried(self.graph.size, self.state.cuts, place), self.seed + self.rounds)

    def _state(self, root: int, cuts: Cuts, seed: int, guide: Flags = UNGUIDED) -> State:
        """The dual of given cuts, topped up."""
        graph = self.graph
        reduced = np.repeat(graph.cost * self.scale, 2)
        bound = int(charged(graph.start, graph.arcs, graph.head, reduced, cuts))
        jitter = np.random.default_rng(seed).permutation(graph.size)
        gain, cuts = lift(graph.start, graph.arcs, graph.head, reduced, graph.terminal, root, jitter, guide, True, cuts, False, self.flag)
        return State(root, bound + int(gain), reduced, Cuts(*cuts))

    def spell(self, tree: Ints) -> Ints:
        """The instance's edges of a tree of the packed graph, with those taken already."""
        pieces = [self.spelled[self.rows[edge] : self.rows[edge + 1]] for edge in tree.tolist()]
        return np.unique(np.concatenate([*pieces, self.taken]))

    def _mapped(self, edges: Ints) -> Ints:
        """A tree of the packed graph that uses the given edges of the instance wherever they are still there, locally improved."""
        graph = self.graph
        length = np.where(self._there(edges), self.length * 1e-3, self.length)
        root = int(np.flatnonzero(graph.terminal)[0])
        return self._polished(grow(graph.start, graph.arcs, graph.head, length, graph.terminal, root, self.flag))

    def _there(self, edges: Ints) -> Flags:
        """Which edges of the packed graph lie wholly within some edges of the instance."""
        held = np.zeros(len(self.whole.cost), np.bool_)
        held[edges] = True
        counts = np.add.reduceat(held[self.spelled].astype(np.int64), self.rows[:-1]) if self.graph.many else EMPTY
        there: Flags = counts == np.diff(self.rows)
        return there

    def _polished(self, tree: Ints) -> Ints:
        """Proper and locally optimal; empty when it does not join the terminals."""
        graph = self.graph
        if not spans(graph.head, graph.terminal, tree):
            return EMPTY
        tree = proper(graph.start, graph.arcs, graph.head, graph.cost, graph.terminal, tree, True)
        return improve(graph.size, graph.start, graph.arcs, graph.head, self.length, graph.terminal, tree, 40, self.flag)

    def _cost(self, tree: Ints) -> int:
        return int(self.graph.cost[tree].sum())

    def _settled(self) -> bool:
        """Whether nothing is left to decide: at most one terminal, or bound and tree meet."""
        if self.net.tally[TERMINALS] < 2:
            self.offer(self.taken)
            self.state = None
            self.prove(self.offset)
            self.finished = True
        elif not self._joined():
            self.state = None
            self.prove(self.best.cost)  # what was taken out is in no better tree, and the rest holds none
            self.finished = True
        return self.finished

    def _joined(self) -> bool:
        graph = self.graph
        return bool(spans(graph.head, graph.terminal, np.arange(graph.many)))

    # --- rounds

    def _begin(self) -> None:
        """The first dual, the first trees."""
        graph = self.graph
        terminals = np.flatnonzero(graph.terminal)
        random = np.random.default_rng(self.seed)
        root = int(random.choice(terminals))
        self.state = self._state(root, no_cuts(), self.seed)
        self.prove(self.offset - (-self.state.bound // self.scale))
        tree = self._saturated(self.state.reduced, root)
        if len(tree) and not self.stop():
            self.local = tree
            self.offer(self.spell(tree))
        if self.stop():
            return
        guided = self._state(root, no_cuts(), self.seed + 1, self._guide(root))
        if guided.bound > self.state.bound:
            self.state = guided
            self.prove(self.offset - (-self.state.bound // self.scale))

    def _guide(self, root: int) -> Flags:
        if not len(self.local):
            return UNGUIDED
        guide: Flags = rooted_arcs(self.graph.start, self.graph.arcs, self.graph.head, self.local, root)
        return guide

    def _saturated(self, reduced: Ints, root: int) -> Ints:
        """A tree inside the edges that a dual saturated."""
        graph = self.graph
        free = np.minimum(reduced[0::2], reduced[1::2]) == 0
        tree = grow(graph.start, graph.arcs, graph.head, np.where(free, self.length, np.inf), graph.terminal, root, self.flag)
        return self._polished(tree)

    def _round(self, crew: ThreadPoolExecutor) -> None:
        assert self.state is not None
        reduced = self.state.reduced.copy()
        small = self.graph.many <= CLOSING
        first = crew.submit(self._trees, 2 * self.rounds, reduced)
        if self.cases is not None and (self.rounds % 2 or self.graph.many <= TINY):
            second = crew.submit(self.cases.go_on)
        elif self._shut() or (self.idle > 4 and self.rounds % 4):  # the bound stands still: look for trees twice
            second = crew.submit(self._trees, 2 * self.rounds + 1, reduced)
        else:
            second = crew.submit(self._close if small and (self.rounds % 2 or self.idle > 4) else self._raise)
        found = first.result()
        found += second.result()
        self.idle += 1
        if self.cases is None:
            self.prove(self.offset - (-self.state.bound // self.scale))
        self.barren += 1
        for local, edges in found:
            if not len(local) and int(self.whole.cost[edges].sum()) < self.best.cost:
                self.barren = 0
            if len(local) and (not len(self.local) or self._cost(local) < self._cost(self.local)):
                self.local = local
            if self.offer(edges) and not len(local):
                mapped = self._mapped(edges)
                if len(mapped) and (not len(self.local) or self._cost(mapped) < self._cost(self.local)):
                    self.local = mapped
                    self.offer(self.spell(mapped))
        if self.cases is not None and self.cases.bound() > self.best.bound:  # only now: cases may have been closed by a tree that was just offered
            self._better(self.best.edges, self.best.cost, min(self.best.cost, self.cases.bound()))
        if self.best.bound >= self.best.cost:
            self.finished = True
        if self.finished or self.stop() or self.cases is not None:
            return
        self._exclude()
        if not self.finished and self._shut() and self.idle > 1:
            self.cases = _Cases(self)

    def _dense(self) -> bool:
        return self.graph.many > 2 * self.graph.size

    def _shut(self) -> bool:
        """Whether the relaxation of this graph is solved."""
        return self.closing is not None and self.closing.graph is self.graph and self.closing.closed

    def _trees(self, number: int, reduced: Ints) -> list[tuple[Ints, Ints]]:
        """Some trees, each as (edges of the packed graph or none, edges of the instance); the last ones come from unions of the pool and these."""
        graph = self.graph
        terminals = np.flatnonzero(graph.terminal)
        random = np.random.default_rng([self.seed, number])
        found: list[tuple[Ints, Ints]] = []
        small = graph.many <= STRIDE // 20
        if self.barren >= 4 and len(self.local) and small:
            here = self.walks.get(number % 2, self.local)
            self.walks[number % 2], best, _ = self._walked(here, STRIDE // graph.many, random)
            found.append((best, self.spell(best)))
        for turn in range(max(3, min(40 if self.barren < 4 else 8, 100_000 // (graph.many + 1)))):
            root = int(random.choice(terminals))
            lively, dull = ((0, 1, 2, 3), (3, 1, 3, 2, 3, 0, 3, 3)) if small else ((0, 1, 4, 2, 3, 4), (4, 3, 4, 1, 4, 2, 4, 0))
            kind = lively[(number + turn) % len(lively)] if self.barren < 4 else dull[(number + turn) % 8]
            if kind == 0:
                rest = np.repeat(graph.cost, 2)
                guide = self._guide(root) if random.random() < 0.5 else UNGUIDED
                lift(graph.start, graph.arcs, graph.head, rest, graph.terminal, root, random.permutation(graph.size), guide, False, no_cuts(), False, self.flag)
                tree = self._saturated(rest, root)
            elif kind == 4:
                tree = self._walked(self.local, 1, random)[2] if len(self.local) else EMPTY
            else:
                spread = (0.0, 0.15, 0.5, 0.5)[kind]
                length = self.length * (1.0 + spread * random.random(graph.many))
                if kind == 2:
                    length += np.minimum(reduced[0::2], reduced[1::2]) / self.scale
                elif kind == 3:  # along two of the best trees
                    for _ in range(2):
                        length *= np.where(self._there(self.pool[int(random.integers(len(self.pool)))][1]), 0.3, 1.0)
                tree = grow(graph.start, graph.arcs, graph.head, length, graph.terminal, root, self.flag)
                if len(tree) and spans(graph.head, graph.terminal, tree):
                    if kind == 1:
                        tree = improve(graph.size, graph.start, graph.arcs, graph.head, length, graph.terminal, tree, 2, self.flag)
                    tree = self._polished(tree)
                else:
                    tree = EMPTY
            if self.stop():
                return found
            if len(tree):
                found.append((tree, self.spell(tree)))
        if found and (self.barren < 4 or number % 16 < 2 or graph.many > CLOSING):
            elder = [edges for _, edges in self.pool]
            for pieces in ([*elder, *(edges for _, edges in found)], [elder[i] for i in random.permutation(len(elder))[: max(2, len(elder) // 2)]]):
                united = self._united(np.unique(np.concatenate(pieces)), random)
                if self.stop():
                    return found
                if len(united):
                    found.append((EMPTY, united))
        return found

    def _walked(self, here: Ints, steps: int, random: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """Where a walk ends, the best tree it met, and the last one, some of whose parts may be better."""
        graph = self.graph
        here, best, last = wander(
            graph.size, graph.start, graph.arcs, graph.head, self.length, graph.terminal, here, self.local, min(200, steps), int(random.integers(2**31)),
            PATIENCE, self.flag,
        )  # fmt: skip
        return here, best, last

    def _united(self, edges: Ints, random: np.random.Generator) -> Ints:
        """The best tree found inside some edges of the instance, by reducing them and solving the cut relaxation of what is left."""
        ends = np.unique(self.instance.edges[edges, :2])
        place = np.zeros(self.instance.count, np.int64)
        place[ends] = np.arange(len(ends))
        inner = np.column_stack([place[self.instance.edges[edges, 0]], place[self.instance.edges[edges, 1]], self.instance.edges[edges, 2]])
        net = make_net(len(ends), inner, place[self.instance.terminals], logging=False)
        net = shrink(net, self.flag, frozenset(), Ledger())
        taken = net.taken[: net.tally[CONTRACTED]]
        if self.stop():
            return EMPTY
        if net.tally[TERMINALS] < 2:
            alone: Ints = edges[spelled_out(net.kid, taken)]
            return alone
        graph = compact(net)
        length = graph.cost.astype(np.float64)
        best: Ints = EMPTY
        terminals = np.flatnonzero(graph.terminal)
        cuts, root = no_cuts(), int(terminals[0])
        for turn in range(4):
            root = int(random.choice(terminals))
            rest = np.repeat(graph.cost, 2)
            guide = rooted_arcs(graph.start, graph.arcs, graph.head, best, root) if len(best) else UNGUIDED
            _, cuts = lift(
                graph.start, graph.arcs, graph.head, rest, graph.terminal, root, random.permutation(graph.size), guide, turn == 3, no_cuts(), False, self.flag
            )
            free = np.minimum(rest[0::2], rest[1::2]) == 0
            tree = grow(graph.start, graph.arcs, graph.head, np.where(free, length, np.inf), graph.terminal, root, self.flag)
            if not spans(graph.head, graph.terminal, tree):
                break
            tree = improve(graph.size, graph.start, graph.arcs, graph.head, length, graph.terminal, tree, 40, self.flag)
            if not len(best) or graph.cost[tree].sum() < graph.cost[best].sum():
                best = tree
        if self.stop() or not len(best):
            return EMPTY
        if graph.many <= UNION:
            relaxation = Relaxation(graph, graph.cost, root, Cuts(*cuts), best, self.stop, self.flag)
            relaxation.go_on(1_500, 15)
            if self.stop():
                return EMPTY
            best = relaxation.tree
        united: Ints = edges[spelled_out(net.kid, np.concatenate([graph.edge[best], taken]))]
        return united

    def _raise(self) -> list[tuple[Ints, Ints]]:
        """Raise the bound."""
        graph, state = self.graph, self.state
        assert state is not None
        guide = self._guide(state.root)
        effort = min(EFFORT, 1_000 * graph.many)
        parts = 10 if self.barren >= 4 and not self._dense() else 4  # walks take the other thread as long
        for part in range(parts):
            if self.offset - (-state.bound // self.scale) >= self.best.cost:
                break
            most = (5, 10, 20, 40)[(self.rounds + part) % 4]
            gain, cuts = renew(
                graph.start, graph.arcs, graph.head, state.reduced, graph.terminal, state.root, guide, state.cuts, effort, most,
                (self.seed * 1_000_003 + 16 * self.rounds + part) % 2**31, self.flag,
            )  # fmt: skip
            state.bound, state.cuts = state.bound + int(gain), Cuts(*cuts)
        return []

    def _exclude(self) -> None:
        """Take out what no better tree holds; shrink when enough went."""
        graph, state = self.graph, self.state
        assert state is not None
        if "bound" in self.skip:
            return
        gone: list[tuple[State, Any]] = []
        root = int(np.random.default_rng([self.seed, self.rounds, 1]).choice(np.flatnonzero(graph.terminal)))
        rest = self._state(root, no_cuts(), self.seed + 7 * self.rounds, self._guide(root))
        edges, vertices = np.zeros(graph.many, np.bool_), np.zeros(graph.size, np.bool_)
        for one in (state, rest):
            slack = (self.best.cost - self.offset) * self.scale - self.scale + 1 - one.bound
            if slack <= 0:
                self.state = one
                self.prove(self.best.cost)
                self.finished = True
                return
            flags = exclusions(graph.start, graph.arcs, graph.head, one.reduced, graph.terminal, one.root, slack, self.flag)
            gone.append((one, flags))
            edges |= flags[0]
            vertices |= flags[1]
        if self.stop() or (edges.sum() < 0.01 * graph.many + 1 and (self.idle < 2 or not edges.any())):
            return

        def work() -> Net:
            for one, flags in gone:
                self._apply(one, *flags)
            return self.net

        self.net = self.ledger.run("bound", self.net, work)
        self.net = shrink(self.net, self.flag, self.skip, self.ledger, rounds=4)
        if self.stop():
            self.finished = True
            return
        self._repack()
        if self._settled():
            return
        self.local = self._mapped(self.best.edges if self.best.edges is not None else EMPTY)
        if len(self.local):
            self.offer(self.spell(self.local))
        assert self.state is not None
        self.prove(self.offset - (-self.state.bound // self.scale))

    def _apply(self, one: State, edges: Flags, vertices: Flags, splits: Flags) -> None:
        """Take out what one dual excludes and is still there."""
        graph, net = self.graph, self.net
        lost = graph.edge[edges]
        lost = lost[net.alive[lost]]
        left = graph.vertex[vertices]
        left = left[~net.gone[left]]
        divided = graph.vertex[splits]
        divided = divided[~net.gone[divided]]
        made = exclude(net, lost, left, divided, 3)
        if self.trail is not None:
            elimination = Elimination(
                dual=self.trail.dual(graph, one, self.scale), edges=tuple(lost.tolist()), vertices=tuple(left.tolist()), splits=tuple(divided[made].tolist())
            )
            self.trail.eliminations.append((int(net.tally[LOGGED]), elimination))

    # --- closing

    def _close(self) -> list[tuple[Ints, Ints]]:
        """Go on with the relaxation of all that is left; a tree that was met on the way."""
        graph, state = self.graph, self.state
        assert state is not None
        if self.closing is None or self.closing.graph is not graph:
            self.closing = Relaxation(graph, graph.cost * self.scale, state.root, state.cuts, self.local, self.stop, self.flag)
        before = self.closing.tree
        self.closing.go_on(PORTION, 30)
        if self.stop():
            return []
        better = self._state(state.root, self.closing.cuts(), self.seed)
        if better.bound > state.bound:
            self.state = better
        tree = self.closing.tree
        return [(tree, self.spell(tree))] if tree is not before and len(tree) else []

    # --- cases

    def case(self, vertex: int, inside: bool, best: _Best) -> _Search:
        """This search from here on, with a vertex of the net in the tree or without it."""
        case = _Search(self.instance, self.seed, 1, self.certify, self.skip, self.begin, self.flag, _Best(best.edges, best.cost, 0))
        case.whole, case.scale, case.graph, case.state = self.whole, self.scale, self.graph, self.state
        case.net = Net._make(array.copy() for array in self.net)
        if case.trail is not None:
            case.trail.first = case.trail.at = int(case.net.tally[LOGGED])
        if inside:
            case.net.terminal[vertex] = True
            case.net.tally[TERMINALS] += 1
        else:
            clear(case.net, vertex)
        return case

    def conclude(self) -> int:
        """Reduce, solve the relaxation, exclude, until nothing changes; returns the vertex of the net to branch on, -1: none."""
        self.net = shrink(self.net, self.flag, self.skip, self.ledger, rounds=4)
        self._repack()
        if self.stop() or self._settled():
            return -1
        self.local = self._mapped(self.best.edges if self.best.edges is not None else EMPTY)
        for _ in range(PORTIONS):
            for tree, edges in self._close():
                self.offer(edges)
                self.local = tree
            if self.stop() or self.state is None:
                return -1
            self.prove(self.offset - (-self.state.bound // self.scale))
            if self.best.bound >= self.best.cost:
                return -1
            if self._shut():
                before, self.idle = self.graph, 2  # so that even few edges go
                self._exclude()
                if self.finished or self.stop():
                    return -1
                if self.graph is before:
                    return self.doubtful()
        return -1

    def sealed(self) -> Trail:
        """The proof of this case."""
        assert self.trail is not None
        self.trail.seal(self.net)
        return self.trail

    def doubtful(self) -> int:
        """The vertex of the net that the solved relaxation has most nearly half in the tree; -1: none is entered by a fraction."""
        assert self.closing is not None
        graph = self.graph
        share = np.bincount(graph.head, self.closing.programme.value, graph.size)
        doubt = np.where(graph.terminal, 1.0, np.abs(share - 0.5))
        vertex = int(np.argmin(doubt))
        if doubt[vertex] >= 0.499:  # whole vertices: one that is entered by a fraction
            part = np.abs(self.closing.programme.value - 0.5) < 0.499
            part &= ~graph.terminal[graph.head]
            return int(graph.vertex[graph.head[np.argmax(part)]]) if part.any() else -1
        return int(graph.vertex[vertex])

    # --- the answer

    def result(self, running: bool, ended: Cut | None) -> Result:
        """The answer so far."""
        best = self.best
        if best.edges is None:
            raise DesignError("time", "no tree was found before the end", "time for a first tree", "give more time")
        gap = (best.cost - best.bound) / best.cost if best.cost else 0.0
        certificate = None
        if self.trail is not None and not running:
            if hasattr(self, "net"):
                self.trail.seal(self.net)
            certificate = certificate_of(self.instance, best.edges, best.cost, best.bound, self.trail)
        status: Literal["proved", "bounded"] = "proved" if best.bound >= best.cost else "bounded"
        seconds = time.monotonic() - self.begin
        return Result(
            tuple(best.edges.tolist()), best.cost, best.bound, gap, status, seconds, certificate, self.ledger.told(), self.rounds,
            "proved" if status == "proved" else ended or "work",
        )  # fmt: skip


@dataclass
class _Case:
    """A case that is not closed: its search, the vertex to branch on next, how many decisions led to it."""

    search: _Search
    vertex: int
    depth: int


class _Cases:
    """The open cases of a search whose relaxation is solved and leaves a gap.

    Two cases of one vertex replace their parent together, once both are concluded and neither bound is below the parent's: so the least bound of all
    open cases never falls, and the proof of each is complete at any moment.
    """

    def __init__(self, search: _Search) -> None:
        self.search = search
        self.open = [_Case(search, search.doubtful(), 0)]
        most = sum(array.nbytes for array in search.net) + 1
        self.room = max(2, min(500, OPEN // most))

    def bound(self) -> int:
        """What every tree costs at least."""
        return min((case.search.best.bound for case in self.open), default=self.search.best.cost)

    def go_on(self) -> list[tuple[Ints, Ints]]:
        """Divide some cases; better trees that were met."""
        best = self.search.best
        found: list[tuple[Ints, Ints]] = []
        for _ in range(max(1, min(50, 20_000 // (self.search.graph.many + 1)))):
            self.open = [case for case in self.open if case.search.best.bound < best.cost]
            ready = [case for case in self.open if case.vertex >= 0]
            if not ready or self.search.stop():
                break
            if len(self.open) < self.room:
                chosen = min(ready, key=lambda case: (case.search.best.bound, -case.depth))
            else:  # no room for more: finish what is nearly finished
                chosen = max(ready, key=lambda case: (case.depth, case.search.best.bound))
            pair = []
            for inside in (True, False):
                case = chosen.search.case(chosen.vertex, inside, best)
                vertex = case.conclude()
                case.closing = None
                if case.best.edges is not None and case.best.cost < best.cost:
                    best = case.best
                    found.append((EMPTY, case.best.edges))
                if self.search.stop():
                    return found
                pair.append(_Case(case, vertex if chosen.depth < DEEPEST else -1, chosen.depth + 1))
            if min(case.search.best.bound for case in pair) < min(best.cost, chosen.search.best.bound):
                chosen.vertex = -1  # stays as it is
                continue
            if chosen.search.trail is not None:
                chosen.search.trail.fork = (chosen.vertex, pair[0].search.sealed(), pair[1].search.sealed())
            self.open = [case for case in self.open if case is not chosen] + pair
        return found
