"""Solving a mix: a bound on the whole arborescence, designs grown along what it left, local search, and what cannot matter any more taken out.

In: a Mix, a seed, an amount of work or time. Out: a Result: a way to serve every site, its cost, a bound that no way undercuts.

Each round does two things side by side. One raises the bound: dual ascent, then the cuts of neighbouring sites taken back and raised anew, guided by a good
design. The other looks for designs: grown along reduced costs, perhaps within what some good designs hold, or the best one shaken; then improved as a Steiner
tree without directions, in which a site's ways cost so much more that none leads through a site, and facilities at the end of a hop are taken as open; then
settled with true costs. What no better design can hold, by the reduced costs, is taken out of the graph.

Capacities are side constraints. A facility needs at least one module, and at least load ÷ capacity of them: any share between 0 and 1 of a module's cost may
be put on the load and the rest on the opening, and the graph with these costs bounds the whole; the shares are multipliers, moved from round to round. What
this bound leaves out is the rounding up of modules: `relaxed` names it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order

from kiban.base.errors import DesignError
from kiban.base.progress import Cancel, never
from kiban.design.mix.exact import Programme
from kiban.design.mix.graph import FIBRE, HOP, NONE, OPEN, RADIO, SKY, STREET, Flags, Floats, Ground, Ints, count_in, make_ground, needless, shrunk
from kiban.design.mix.grow import fitted, grown, settled, symmetric
from kiban.design.mix.instance import Arrays, arrays
from kiban.design.steiner.ascent import FAR, Cuts, carried, charged, lift, no_cuts, renew
from kiban.design.steiner.exchange import improve
from kiban.design.watched import Cut, Limits, watched
from kiban.records.mix import Mix, MixSolution

EFFORT = 40_000_000  # most steps of one call of `renew`, of which a round has four: about as long as looking for designs takes
MOST = (5, 20, 40, 80)  # sites whose cuts are taken back at once, in turn
PATIENCE = 0.003  # a walk goes on from a design that much dearer than the best
SHARES = 40  # rounds in which the shares of modules move, on small graphs; a quarter on large ones
LARGE = 60_000  # edges from which a graph is large
SMALL = 3_000  # edges up to which an integer programme is tried
TINY = 300  # edges up to which it is tried at once
LOOKS = 100  # how often it may ask whether to go on
IDLE = 6  # rounds in a row without gain before it
POOL = 8  # good designs kept
GROWN = 0.3  # share of the looks that grow a design anew; the others shake a good one
CROSSED = 0.5  # share of those that grow it within what some good designs hold
ROUNDING = 1e-9  # of a cost: what sums of floating-point numbers may differ by
UNGUIDED: Flags = np.zeros(0, np.bool_)
View = tuple[Ints, Ints]  # cost per arc, and the part of it that opens each facility


@dataclass(frozen=True)
class Incumbent:
    """The best design and bound at one moment."""

    cost: float
    lower_bound: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """A design, its cost, a bound that no design undercuts, and (cost − bound) ÷ cost.

    status    proved: no design is cheaper; bounded: the gap is open; partial: some sites have no way at all (`unserved`), cost and bound are the others'
    relaxed   side constraints that the bound does not use in full
    """

    solution: MixSolution
    cost: float
    lower_bound: float
    gap: float
    status: Literal["proved", "bounded", "partial"]
    relaxed: tuple[str, ...]
    unserved: tuple[int, ...]
    seconds: float
    rounds: int
    ended: Literal["proved", "work", "time", "cancelled", "memory"]


def solve(
    mix: Mix,
    *,
    seed: int = 0,
    work: int | None = None,
    time_limit: float | None = None,
    threads: int = 2,
    memory_gib: float = 4.0,
    cancel: Cancel = never,
    tell: Callable[[Incumbent], None] | None = None,
) -> Result:
    """The cheapest way to serve every site that is found, with a proven bound.

    Parameters
    ----------
    seed        of all random choices
    work        most rounds; with neither this nor a time limit 20
    time_limit  seconds; the first design is always finished
    threads     1 or 2; one thread does the same work, later
    memory_gib  the search ends with the best so far when the process has come to hold nearly so much more than at the beginning
    cancel      asked every 50 ms: True ends the search with the best so far, within 2 s
    tell        called for each better design or bound, in this thread

    Raises
    ------
    DesignError  costs that add up to more than can be counted; more memory than allowed

    >>> mix = Mix(nodes=2, root=0, links=((0, 1, 5.0),), sites=((1, 1),), fibre_terminal=(1.0,), sky=(7.0,))
    >>> found = solve(mix, work=1)
    >>> found.cost, found.lower_bound, found.status, found.solution.serve
    (6.0, 6.0, 'proved', (('fibre',),))
    """
    limits = Limits(time_limit, memory_gib, cancel)
    need = (3e8 + 150 * mix.nodes + 900 * (len(mix.links) + len(mix.serves) + 2 * len(mix.sites))) / 2**30
    if need > memory_gib:
        raise DesignError("memory", f"a mix that needs about {need:.1f} GiB", f"at most {memory_gib:g} GiB", "allow more memory, or make the mix smaller")
    if work is None and time_limit is None:
        work = 20
    search = _Search(arrays(mix), seed, threads, limits.begin)

    def report() -> None:
        while search.news:
            now = search.news.popleft()
            if tell is not None:
                tell(now)

    done, ended = watched(lambda: search.run(work), search.flag, limits, lambda: search.best.solution is not None, report)
    return search.result(not done, ended)


@dataclass(frozen=True)
class _Best:
    """The answer so far, replaced as a whole. Whole numbers of 1 / scale."""

    solution: MixSolution | None
    cost: int
    bound: int


@dataclass(frozen=True)
class _Design:
    """A design on a ground: its vertices, the tree arcs into them, the edge that serves each site, modules, true cost."""

    inside: Flags
    parent: Ints
    served: Ints
    modules: Ints
    cost: int


@dataclass
class _Search:
    given: Arrays
    seed: int
    threads: int
    begin: float
    flag: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1, np.uint8))
    best: _Best = _Best(None, NONE, 0)
    rounds: int = 0
    finished: bool = False

    def __post_init__(self) -> None:
        self.news: deque[Incumbent] = deque()
        self.cuts: Cuts = no_cuts()
        self.reduced: Ints = np.zeros(0, np.int64)
        self.bound = 0  # of the cuts at hand
        self.fixed_at = (0, 0)  # cost and bound when arcs were last taken out
        self.pool: list[_Design] = []
        self.here: _Design | None = None  # where the walk stands
        self.relaxed: _Design | None = None  # a good one by the costs that the bound is raised on, where capacities make these others than the true ones
        self.idle = 0
        self.original = self.given
        self.unserved: tuple[int, ...] = ()
        self.scale = 1.0
        self.limited = np.isfinite(self.given.capacity)
        self.tried = (-1, 0)  # edges of the graph, and the best cost, that the integer programme was last tried with
        self.exact = True
        self.seed &= 0xFFFFFFFF

    # --- running

    def stop(self) -> bool:
        return bool(self.flag[0])

    def run(self, work: int | None) -> None:
        """Everything."""
        given = self.given
        early = at_once(given)
        if early is not None:
            given = self.given = within(given, total(given, early))
        self.scale, self.exact = count_in(given)
        if early is not None:
            self._tell(_Best(early, self._whole(total(self.original, early)), 0))  # so that there is an answer at once
        whole = make_ground(given, self.flag)
        self.opening = np.floor(given.module_cost * self.scale + (0.5 if self.exact else 0.0)).astype(np.int64)
        self.share = np.where(self.limited, 1.0, 0.0)
        self.moving = self.share
        self._stand_on(whole)
        self.unserved = tuple(np.flatnonzero(~self._reached()).tolist())
        self.terminal[whole.streets + whole.facilities + np.array(self.unserved, np.int64)] = False
        self._offer(self._settle(np.zeros(whole.size, np.bool_)))
        self._raise_anew(self.share)
        self.sight = self.reduced.copy(), self.guide[0]
        with ThreadPoolExecutor(max(1, min(2, self.threads))) as crew:
            for length in self._first_guides():
                self._offer(self._improved(self._grow(length)))
                if self.stop() or self._settled():
                    return
            while not (self.finished or self.stop() or (work is not None and self.rounds >= work)):
                self._round(crew)
                self.rounds += 1

    def _whole(self, cost: float) -> int:
        return round(cost * self.scale) if self.exact else int(np.ceil(cost * self.scale))

    def _round(self, crew: ThreadPoolExecutor) -> None:
        moving = bool(self.limited.any()) and self.rounds < (SHARES // 4 if self.ground.many > LARGE else SHARES)
        before = self.best.cost, self.best.bound
        self.sight = self.reduced.copy(), self.guide[0]
        raising = crew.submit(self._move_shares if moving else self._renew)
        looking = crew.submit(self._look)
        raising.result()
        for design in looking.result():
            self._offer(design)
            if design.cost <= (1.0 + PATIENCE) * self.best.cost:
                self.here = design
        if not self._settled():
            self._take_out()
        self.idle = 0 if before != (self.best.cost, self.best.bound) and self.ground.many > TINY else self.idle + 1
        patience = 1 if self.ground.many <= TINY else IDLE
        fresh = self.ground.many <= SMALL and self.tried != (self.ground.many, self.best.cost)
        if fresh and self.idle >= patience and not (self._settled() or self.stop()):
            self.tried = (self.ground.many, self.best.cost)
            self._close()

    def _close(self) -> None:
        """The integer programme over what is left."""
        ground, given, best = self.ground, self.given, self.pool[0]
        programme = Programme(ground, self.terminal, self.opening, given.demand, given.capacity, self.stop)
        found, served, bound = programme.solve(best.served, best.parent, LOOKS if ground.many > TINY else 20 * LOOKS, self.flag)
        if self.stop():
            return
        if found is not None:
            self._offer(self._as_served(found, served))
            self._offer(self._improved(self._settle(found)))
        self._prove(int(np.ceil(bound - 0.5)) if bound < 1e5 else int(bound))

    def _as_served(self, inside: Flags, served: Ints) -> _Design:
        """The design of chosen vertices and services, as they are."""
        ground, given = self.ground, self.given
        kept = inside.copy()
        dear = np.where((ground.kind == FIBRE) | (ground.kind == SKY) | (ground.kind == RADIO), NONE, 0)
        dear[served[served >= 0]] = 0
        guide = ground.cost + np.repeat(dear, 2)
        tree, parent, how = settled(
            ground.start, ground.arcs, ground.head, guide, ground.kind, ground.streets, ground.facilities, ground.root, kept, self.order, self.opening
        )
        closing = np.zeros(ground.facilities, np.bool_)
        rest, modules = fitted(
            ground.start, ground.arcs, ground.head, ground.cost, ground.kind, ground.streets, ground.facilities, kept, how, self.opening,
            given.demand, given.capacity, closing,
        )  # fmt: skip
        return _Design(kept, parent, how, modules, int(tree) + int(rest))

    def _settled(self) -> bool:
        """Nothing is left to gain."""
        self.finished = self.finished or (self.best.solution is not None and self.best.bound >= self.best.cost)
        return self.finished

    # --- the ground at hand

    def _stand_on(self, ground: Ground) -> None:
        self.ground = ground
        self.terminal = ground.terminal
        if self.unserved:
            self.terminal[ground.streets + ground.facilities + np.array(self.unserved, np.int64)] = False
        self.ends = self.terminal.copy()
        self.ends[ground.root] = True
        order = np.flatnonzero((ground.kind == STREET) | (ground.kind == HOP))
        price = np.minimum(ground.cost[0::2], ground.cost[1::2])
        hop = np.flatnonzero(ground.kind == HOP)
        there = ground.cost[2 * hop] - self.opening[ground.head[2 * hop] - ground.streets]
        back = ground.cost[2 * hop + 1] - self.opening[ground.head[2 * hop + 1] - ground.streets]
        price[hop] = np.minimum(there, back)
        self.order = order[np.argsort(price[order], kind="stable")]
        self._price(self.share)

    def _price(self, share: Floats) -> None:
        """Costs that guide, and that the bound is raised on: shares of modules on the load, the rest on the opening; both rounded down."""
        self.guide, self.share = self._shared(self.ground, share), share

    def _shared(self, ground: Ground, share: Floats) -> View:
        opening = np.floor(self.opening * (1.0 - share)).astype(np.int64)
        cost = ground.cost.copy()
        base = ground.streets
        at = np.flatnonzero(ground.kind == OPEN)
        cost[2 * at] = np.where(cost[2 * at] >= FAR, cost[2 * at], opening[ground.head[2 * at] - base])
        for side in (0, 1):
            at = np.flatnonzero(ground.kind == HOP)
            to = ground.head[2 * at + side] - base
            cost[2 * at + side] = np.where(cost[2 * at + side] >= FAR, cost[2 * at + side], cost[2 * at + side] - self.opening[to] + opening[to])
        at = np.flatnonzero(ground.kind == RADIO)
        facility, site = ground.head[2 * at + 1] - base, ground.head[2 * at] - base - ground.facilities
        room = np.where(self.limited, self.given.capacity, 1.0)
        load = np.where(self.limited[facility], share[facility] * self.opening[facility] * self.given.demand[site] / room[facility], 0.0)
        cost[2 * at] += np.floor(load).astype(np.int64)
        return cost, opening

    def _reached(self) -> Flags:
        """Flag per site: some way leads to it."""
        ground = self.ground
        inside = np.zeros(ground.size, np.bool_)
        length = np.where(ground.cost >= FAR, np.inf, 0.0)
        grown(ground.start, ground.arcs, ground.head, length, ground.terminal, ground.root, inside, np.zeros(1, np.uint8))
        return inside[ground.streets + ground.facilities :]

    # --- the bound

    def _prove(self, bound: int) -> None:
        bound = min(bound, self.best.cost)
        if bound > self.best.bound:
            self._tell(_Best(self.best.solution, self.best.cost, bound))

    def _raise_anew(self, share: Floats) -> tuple[Ints, View]:
        """Dual ascent from nothing at given shares, kept when its bound is the best of all: what it left of the costs, and these."""
        ground = self.ground
        view = self._shared(ground, share)
        reduced = view[0].copy()
        jitter = np.random.default_rng(self.seed + self.rounds).permutation(ground.size)
        gain, cuts = lift(ground.start, ground.arcs, ground.head, reduced, self.terminal, ground.root, jitter, UNGUIDED, True, no_cuts(), True, self.flag)
        if gain >= self.bound or not len(self.reduced):
            self.guide, self.share = view, share
            self.reduced, self.cuts, self.bound = reduced, cuts, int(gain)
            self._prove(self.bound)
        return reduced, view

    def _move_shares(self) -> None:
        """Move the share of each facility that the relaxed design opens towards its load: a subgradient of the Lagrangian dual."""
        share = self.moving
        reduced, view = self._raise_anew(share)
        ground = self.ground
        inside = np.zeros(ground.size, np.bool_)
        length = np.where(reduced == 0, view[0].astype(np.float64), np.inf)
        grown(ground.start, ground.arcs, ground.head, length, self.terminal, ground.root, inside, self.flag)
        design = self._improved(self._settle(inside, view, relaxed=True), view=view, relaxed=True)
        if self.stop():
            return
        if self.share is share:  # the bound at hand is of these shares
            self.relaxed = design
        full = self._load(design) / np.where(self.limited, self.given.capacity, 1.0)
        open_ = design.inside[ground.streets : ground.streets + ground.facilities]
        step = 0.5 / (1 + self.rounds / 8)
        share = np.clip(share + step * np.where(open_, np.clip(full - 1.0, -1.0, 1.0), 0.0), 0.0, 1.0)
        self.moving = np.where(self.limited, share, 0.0)

    def _renew(self) -> None:
        """Take cuts back and raise them anew, guided by a design that is good by the costs that the bound is raised on."""
        ground, guide = self.ground, UNGUIDED
        if self.limited.any() and self.relaxed is not None and self.rounds % 8 == 0:
            random = np.random.default_rng([self.seed, self.rounds, 1])
            other = self._improved(self.relaxed, self._shake(random, self.relaxed), self.guide, relaxed=True)
            self.relaxed = other if other.cost < self.relaxed.cost else self.relaxed
        design = self.relaxed if self.limited.any() else self.pool[0]
        if design is not None:
            guide = np.zeros(2 * ground.many, np.bool_)
            guide[design.parent[design.parent >= 0]] = True
            guide[2 * design.served[design.served >= 0]] = True
        for part, most in enumerate(MOST):
            gain, self.cuts = renew(
                ground.start, ground.arcs, ground.head, self.reduced, self.terminal, ground.root, guide, self.cuts, min(EFFORT, 3_000 * ground.many),
                most, (self.seed * 1_000_003 + len(MOST) * self.rounds + part) % 2**31, self.flag,
            )  # fmt: skip
            self.bound += int(gain)
            self._prove(self.bound)

    def _take_out(self) -> None:
        """Take out what no better design can hold, when there is enough of it."""
        slack = self.best.cost - self.bound
        last = self.fixed_at[0] - self.fixed_at[1]
        if self.stop() or self.best.solution is None or slack < 0 or (last and slack > 0.95 * last):
            return
        self.fixed_at = (self.best.cost, self.bound)
        ground = self.ground
        gone = needless(ground.start, ground.arcs, ground.head, self.reduced, self.terminal, ground.root, np.int64(slack))
        absent = ground.cost >= FAR
        if np.count_nonzero(gone & ~absent) < 0.02 * np.count_nonzero(~absent):
            return
        smaller, place, moved = shrunk(ground, gone | absent)
        cuts = carried(smaller.size, self.cuts, place)
        designs, relaxed = self.pool, self.relaxed
        self._stand_on(smaller)
        reduced = self.guide[0].copy()
        bound = int(charged(smaller.start, smaller.arcs, smaller.head, reduced, cuts))
        if (reduced < 0).any():  # never: the duals of a chain's arcs are within the sum of their costs
            raise DesignError("mix", "a dual that does not hold on the smaller graph", "one that does", "report it")
        jitter = np.random.default_rng(self.seed + self.rounds).permutation(smaller.size)
        more, self.cuts = lift(smaller.start, smaller.arcs, smaller.head, reduced, self.terminal, smaller.root, jitter, UNGUIDED, True, cuts, True, self.flag)
        self.reduced, self.bound = reduced, bound + int(more)
        self._prove(self.bound)
        self.pool, self.here = [], None

        def there(design: _Design) -> Flags:
            inside = np.zeros(smaller.size, np.bool_)
            at = place[np.flatnonzero(design.inside)]
            inside[at[at >= 0]] = True
            return inside

        self.relaxed = None if relaxed is None else self._settle(there(relaxed), relaxed=True)
        for design in designs:
            inside = there(design)
            served = np.where(design.served >= 0, moved[design.served], -1)
            if not ((served < 0) & (design.served >= 0)).any():
                self._keep(self._as_served(inside, served))
            self._keep(self._settle(inside))

    # --- designs

    def _first_guides(self) -> list[Floats]:
        cost = np.where(self.guide[0] >= FAR, np.inf, self.guide[0].astype(np.float64))
        return [np.where(self.reduced == 0, cost, np.inf), self._left(0.001), self._left(0.1)]

    def _left(self, share: float) -> Floats:
        """What the dual left of the costs, and a share of the costs."""
        reduced, cost = self.sight  # as it was at the beginning of the round: the bound moves meanwhile
        left: Floats = np.where(cost >= FAR, np.inf, reduced + share * cost)
        return left

    def _grow(self, length: Floats, view: View | None = None) -> _Design:
        ground = self.ground
        inside = np.zeros(ground.size, np.bool_)
        grown(ground.start, ground.arcs, ground.head, length, self.terminal, ground.root, inside, self.flag)
        return self._settle(inside, view)

    def _settle(self, inside: Flags, view: View | None = None, *, relaxed: bool = False) -> _Design:
        """The design of chosen vertices, by guiding costs, then with true costs; facilities that do not pay are closed. relaxed: guiding costs are all."""
        ground, given = self.ground, self.given
        found: _Design | None = None
        guide, opening = self.guide if view is None else view
        while True:
            tree, parent, served = settled(
                ground.start, ground.arcs, ground.head, guide, ground.kind, ground.streets, ground.facilities, ground.root, inside, self.order, opening
            )
            if relaxed:
                opened = inside[ground.streets : ground.streets + ground.facilities]
                rest = guide[2 * served[served >= 0]].sum() + opening[opened].sum()
                return _Design(inside, parent, served, opened.astype(np.int64), int(tree) + int(rest))
            closing = np.zeros(ground.facilities, np.bool_)
            rest, modules = fitted(
                ground.start, ground.arcs, ground.head, ground.cost, ground.kind, ground.streets, ground.facilities, inside, served, self.opening,
                given.demand, given.capacity, closing,
            )  # fmt: skip
            design = _Design(inside.copy(), parent, served, modules, int(tree) + int(rest))
            if found is None or design.cost < found.cost:
                found = design
            else:
                return found
            if not closing.any():
                return found
            inside[ground.streets + np.flatnonzero(closing)] = False

    def _improved(self, design: _Design, shaken: Floats | None = None, view: View | None = None, relaxed: bool = False) -> _Design:
        """Local search as on a Steiner tree without directions, as long as it pays; with costs shaken, at first by these factors per edge."""
        ground = self.ground
        while not self.stop():
            tree = np.concatenate((design.parent[design.parent >= 0] >> 1, design.served[design.served >= 0]))
            forced = np.zeros(ground.facilities, np.bool_)
            hops = tree[ground.kind[tree] == HOP]
            forced[ground.head[2 * hops] - ground.streets] = True
            forced[ground.head[2 * hops + 1] - ground.streets] = True
            guide, opening = self.guide if view is None else view
            extra = float(max(design.cost, 1))
            plain = symmetric(ground.head, guide, ground.kind, ground.first, ground.streets, opening, forced, 0.0)
            at_site = (ground.kind != STREET) & (ground.kind != OPEN) & (ground.kind != HOP)
            cost = plain if shaken is None else plain * shaken
            cost = np.where(at_site, cost + extra, cost)
            ends = self.ends.copy()
            ends[ground.streets : ground.streets + ground.facilities] = forced
            edges = improve(ground.size, ground.start, ground.arcs, ground.head, cost, ends, tree, 4 if shaken is not None else 40, self.flag)
            inside = np.zeros(ground.size, np.bool_)
            inside[ground.head[2 * edges]] = True
            inside[ground.head[2 * edges + 1]] = True
            found = self._settle(inside, view, relaxed=relaxed)
            if shaken is None and found.cost >= design.cost:
                break
            design, shaken = found, None
        return design

    def _look(self) -> list[_Design]:
        """New designs of one round."""
        random = np.random.default_rng([self.seed, self.rounds])
        found: list[_Design] = []
        turns = int(np.clip(200_000 // max(1, self.ground.many), 1, 6))
        for _ in range(turns):
            if self.stop():
                break
            start = self.pool[int(random.integers(min(len(self.pool), 3)))] if self.here is None or random.random() < 0.5 else self.here
            view = self._view(random, start) if self.limited.any() else None
            if random.random() < GROWN:
                length = self._left(10.0 ** -random.uniform(0.3, 3.0)) * np.repeat(random.uniform(0.8, 1.25, self.ground.many), 2)
                if random.random() < CROSSED and len(self.pool) > 1:
                    length[~self._union(random)] = np.inf
                start = self._grow(length, view)
                found.append(self._improved(start, view=view))
            else:
                found.append(self._improved(start, self._shake(random, start), view))
        return found

    def _union(self, random: np.random.Generator) -> Flags:
        """Flag per arc: some of the good designs hold both of its ends."""
        many = len(self.pool)
        some = random.choice(many, min(many, int(random.integers(2, 5))), replace=False).tolist()
        ends = self.ground.head
        held: Flags = np.zeros(len(ends), np.bool_)
        for number in some:
            inside = self.pool[number].inside
            held |= inside[ends] & inside[ends[np.arange(len(ends)) ^ 1]]
        return held

    def _view(self, random: np.random.Generator, design: _Design) -> View:
        """Costs with other shares of the modules on the load: alike for all, or less where a design's facility has room to spare."""
        share: Floats = np.full(self.ground.facilities, random.uniform(0.2, 1.0))
        if random.random() < 0.5:
            ground = self.ground
            spare = design.modules - self._load(design) / np.where(self.limited, self.given.capacity, 1.0)
            open_ = design.inside[ground.streets : ground.streets + ground.facilities]
            share = np.where(open_ & (spare > 0.25), random.uniform(0.0, 0.4, len(share)), random.uniform(0.6, 1.0, len(share)))
        return self._shared(self.ground, np.where(self.limited, share, 0.0))

    def _load(self, design: _Design) -> Floats:
        """Demand that each facility carries."""
        ground = self.ground
        radio = design.served[design.served >= 0]
        radio = radio[ground.kind[radio] == RADIO]
        site = ground.head[2 * radio] - ground.streets - ground.facilities
        load: Floats = np.bincount(ground.head[2 * radio + 1] - ground.streets, self.given.demand[site], ground.facilities).astype(np.float64)
        return load

    def _shake(self, random: np.random.Generator, design: _Design) -> Floats:
        """Factors on the costs of all edges, or of some of a design's."""
        ground = self.ground
        wide = 20.0 ** random.random()
        factors: Floats = np.ones(ground.many)
        if random.random() < 0.5:
            factors += 0.05 * wide * random.random(ground.many)
            return factors
        tree = np.concatenate((design.parent[design.parent >= 0] >> 1, design.served[design.served >= 0]))
        struck = tree[random.random(len(tree)) < 0.02 * wide]
        factors[struck] = 1.0 + 2.0 * random.random(len(struck))
        return factors

    # --- the answer

    def _keep(self, design: _Design) -> None:
        if all(design.cost != known.cost for known in self.pool):
            self.pool = sorted([*self.pool, design], key=lambda one: one.cost)[:POOL]

    def _offer(self, design: _Design) -> None:
        """Keep a design, as the best one if it is."""
        self._keep(design)
        if self.best.solution is None or design.cost < self.best.cost:
            if self._missing(design):
                return
            self._tell(_Best(self._written(design), design.cost, min(design.cost, self.best.bound)))

    def _missing(self, design: _Design) -> bool:
        return int(np.count_nonzero(design.served < 0)) > len(self.unserved)

    def _written(self, design: _Design) -> MixSolution:
        ground = self.ground
        tree = design.parent[design.parent >= 0] >> 1
        streets = ground.first[tree[ground.kind[tree] == STREET]]
        links = [ground.links[ground.chains[row] : ground.chains[row + 1]] for row in streets.tolist()]
        hops = ground.first[tree[ground.kind[tree] == HOP]]
        open_ = np.flatnonzero(design.inside[ground.streets : ground.streets + ground.facilities])
        serve: list[tuple[str | int, ...]] = []
        for edge in design.served.tolist():
            kind = -1 if edge < 0 else int(ground.kind[edge])
            serve.append(
                ("none",) if kind < 0 else ("radio", int(ground.head[2 * edge + 1]) - ground.streets) if kind == RADIO else (("", "fibre", "sky")[kind],)
            )
        carried: dict[int, float] = {}
        for site, how in enumerate(serve):
            if len(how) == 2:
                carried[int(how[1])] = carried.get(int(how[1]), 0.0) + float(self.given.demand[site])
        return MixSolution(
            links=tuple(np.unique(np.concatenate(links)).tolist()) if links else (),
            hops=tuple(sorted(hops.tolist())),
            open=tuple((int(f), self._modules(int(f), carried.get(int(f), 0.0))) for f in open_),
            serve=tuple(serve),
        )

    def _modules(self, facility: int, load: float) -> int:
        """Modules that carry what a facility serves, to the last digit of the sum."""
        room = float(self.given.capacity[facility])
        many = 1 if room == np.inf else max(1, int(np.ceil(load / room)))
        return many + 1 if room < np.inf and load > room * many else many

    def _tell(self, best: _Best) -> None:
        self.best = best
        if best.solution is None:
            return
        self.news.append(Incumbent(best.cost / self.scale, best.bound / self.scale, time.monotonic() - self.begin))

    def result(self, alone: bool, ended: Cut | None) -> Result:
        """What was found; alone: the search still runs, and what it holds is not looked at."""
        best = self.best
        if best.solution is None:
            raise DesignError("mix", "no design before the end of time", "a design", "give more time")
        cost = total(self.original, best.solution)
        bound = best.bound / self.scale
        proved = best.bound >= best.cost if self.exact else cost - bound <= ROUNDING * cost
        proved = proved and cost <= best.cost / self.scale * (1.0 + ROUNDING)  # modules may have been added for the last digits of a load
        bound = cost if proved else min(cost, bound)
        status: Literal["proved", "bounded", "partial"] = "partial" if self.unserved else "proved" if proved else "bounded"
        return Result(
            best.solution, cost, bound, (cost - bound) / cost if cost else 0.0, status,
            ("modules",) if self.limited.any() and not proved else (), self.unserved, time.monotonic() - self.begin, self.rounds,
            "proved" if proved and ended is None and not alone else ended or "work",
        )  # fmt: skip


def within(given: Arrays, most: float) -> Arrays:
    """The same with every cost above `most`, the cost of a known design, put at twice that: no better design pays it either way."""

    def cut(values: Floats) -> Floats:
        return np.where(np.isfinite(values), np.minimum(values, 2.0 * most), values)

    need = np.ceil(given.demand[given.serve_site] / given.capacity[given.serve_facility]) * given.module_cost[given.serve_facility]
    kept = ~(np.isfinite(need) & (need > most))  # a site that alone needs dearer modules
    return replace(
        given, link_cost=cut(given.link_cost), fibre_terminal=cut(given.fibre_terminal), sky=cut(given.sky), module_cost=cut(given.module_cost),
        hop_cost=cut(given.hop_cost), serve_facility=given.serve_facility[kept], serve_site=given.serve_site[kept], serve_cost=cut(given.serve_cost)[kept],
    )  # fmt: skip


def at_once(given: Arrays) -> MixSolution | None:
    """A design that needs no search, the cheaper of two: all from the sky, or all by fibre along a tree of fewest links; each with the other where it must.

    None when neither serves all.
    """
    ends = given.link_ends
    near = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(given.nodes, given.nodes)).tocsr()
    order, before = breadth_first_order(near, given.root, directed=False)
    reached = np.zeros(given.nodes, np.bool_)
    reached[order] = True
    by_fibre = np.isfinite(given.fibre_terminal) & reached[given.site_node]
    by_sky = np.isfinite(given.sky)
    if not (by_fibre | by_sky).all():
        return None
    cheapest: dict[tuple[int, int], int] = {}
    for index in np.argsort(-given.link_cost, kind="stable").tolist():
        a, b = ends[index].tolist()
        cheapest[min(a, b), max(a, b)] = index
    found = []
    for fibre in (by_fibre & ~by_sky, by_fibre):
        links: set[int] = set()
        seen = {given.root}
        for node in given.site_node[fibre].tolist():
            while node not in seen:
                seen.add(node)
                up = int(before[node])
                links.add(cheapest[min(node, up), max(node, up)])
                node = up
        serve: tuple[tuple[str | int, ...], ...] = tuple(("fibre",) if one else ("sky",) for one in fibre.tolist())
        found.append(MixSolution(links=tuple(sorted(links)), hops=(), open=(), serve=serve))
    return min(found, key=lambda solution: total(given, solution))


def total(given: Arrays, solution: MixSolution) -> float:
    """What a solution costs."""
    radio = {(int(f), int(s)): float(c) for f, s, c in zip(given.serve_facility, given.serve_site, given.serve_cost, strict=True)}
    cost = float(given.link_cost[list(solution.links)].sum()) + float(given.hop_cost[list(solution.hops)].sum())
    cost += sum(float(given.module_cost[f]) * modules for f, modules in solution.open)
    for site, how in enumerate(solution.serve):
        if how[0] == "fibre":
            cost += float(given.fibre_terminal[site])
        elif how[0] == "sky":
            cost += float(given.sky[site])
        elif len(how) == 2:
            cost += radio[int(how[1]), site]
    return round(cost, 9)
