"""Why a design is as it is: per site, per unpriced technology, and by sharing.

In: a problem with its design, and a way to build and solve its variants. Out: arcs and amounts, to be entered as figures by design.figures.
The words are left to pages and papers; here are only codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from kiban.base.money import to_yen
from kiban.design.growth import since
from kiban.design.tree import Tree
from kiban.records.design import Alternative, BreakEven, Design, Problem, Shared, SiteResult
from kiban.records.technology import UNITS, Per, Technology

Build = Callable[[Mapping[str, float]], Problem]
Solve = Callable[[Problem], Design]
ROUNDS = 8  # of the search for a break-even price; each one ends or raises the price
NOT_NEEDS = ("coverage", "place", "price")


@dataclass(frozen=True)
class Other:
    """Another technology for what one technology serves at a site: the arcs that would come and go while the rest stays."""

    technology: str
    instead_of: str
    added: tuple[int, ...]
    removed: tuple[int, ...]
    difference: int


@dataclass(frozen=True)
class Why:
    """What a site gets and why.

    own      arcs that it alone uses · binding: the need that rules out most technologies here
    reason   two_classes: a critical site over two risk classes · cheaper: the next best costs more · only: no other priced way ·
             unserved: a use case has no way
    """

    site: str
    technologies: tuple[str, ...]
    usecases: tuple[str, ...]
    unserved: tuple[str, ...]
    own: tuple[int, ...]
    next_best: Other | None
    binding: str | None
    reason: str


@dataclass(frozen=True)
class Entering:
    """An unpriced technology at its break-even price: the design in which it enters, the units bought, and yen per unit; None: it never enters."""

    technology: str
    per: Per
    price: float | None
    units: float
    problem: Problem | None
    design: Design | None


def why_each_site(problem: Problem, design: Design) -> list[Why]:
    """One row per site with a demand, by id."""
    tree, ways = Tree(problem, design), _Ways(problem)
    needs: dict[str, Counter[str]] = {}
    for exclusion in problem.exclusions:
        if exclusion.state == "fails" and exclusion.need not in NOT_NEEDS:
            needs.setdefault(exclusion.site, Counter())[exclusion.need] += 1
    usecases: dict[str, set[str]] = {}
    for site, usecase in [(demand.site, demand.usecase) for demand in problem.demands] + [(site, usecase) for site, usecase, _, _ in problem.no_way]:
        usecases.setdefault(site, set()).add(usecase)
    rows = []
    for site in sorted(usecases):
        own, technologies = tree.own(site), tree.technologies(site)
        unserved = tuple(usecase for other, usecase in design.unserved if other == site)
        best = min(ways.others(tree, site, own), key=lambda other: (other.difference, other.technology), default=None)
        reason = "unserved" if unserved else "two_classes" if len(technologies) > 1 else "cheaper" if best else "only"
        counts = needs.get(site)
        binding = min(counts, key=lambda name: (-counts[name], name)) if counts else None
        rows.append(Why(site, tuple(technologies), tuple(sorted(usecases[site])), unserved, tuple(own), best, binding, reason))
    return rows


def site_results(problem: Problem, reasons: Sequence[Why]) -> tuple[SiteResult, ...]:
    """The reasons as records of the design, with yen over the horizon; own_yen: the arcs that only this site uses."""
    return tuple(
        SiteResult(
            site=why.site,
            technologies=why.technologies,
            usecases=why.usecases,
            unserved=why.unserved,
            own_yen=sum(problem.arcs[index].cost for index in why.own),
            next_best=Alternative(technology=why.next_best.technology, difference_yen=why.next_best.difference) if why.next_best else None,
            binding=why.binding,
            reason=why.reason,
        )
        for why in reasons
    )


class _Ways:
    """Cheapest ways from what stands to a terminal."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        count = len(problem.nodes)
        cheapest: dict[tuple[int, int], int] = {}
        for index, arc in enumerate(problem.arcs):
            known = cheapest.get((arc.tail, arc.head))
            if arc.kind != "serve" and (known is None or arc.cost < problem.arcs[known].cost):
                cheapest[arc.tail, arc.head] = index
        self.arc = cheapest
        ends = np.array(list(cheapest), np.int64).reshape(-1, 2)
        weight = np.array([problem.arcs[index].cost for index in cheapest.values()], np.float64)
        self.graph = csr_matrix((weight, (ends[:, 0], ends[:, 1])), shape=(count, count))
        self.serve: dict[int, dict[int, int]] = {}  # terminal → demand node → arc
        for index, arc in enumerate(problem.arcs):
            if arc.kind == "serve":
                self.serve.setdefault(arc.tail, {})[arc.head] = index
        self.known: tuple[Tree, NDArray[np.float64], NDArray[np.int32]] | None = None
        self.at: dict[str, list[int]] = {}
        for terminal in self.serve:
            self.at.setdefault(problem.nodes[terminal].ref, []).append(terminal)

    def others(self, tree: Tree, site: str, own: Sequence[int]) -> list[Other]:
        """For each technology that serves the site, each other one that could serve the same demands."""
        mine = [number for number in tree.paths if self.problem.demands[number].site == site]
        used = {
            self.problem.arcs[path[-1]].tail: [n for n in mine if tree.paths[n][-1] in self.serve[self.problem.arcs[path[-1]].tail].values()]
            for path in (tree.paths[n] for n in mine)
        }
        free = [terminal for terminal in sorted(self.at.get(site, ())) if terminal not in used]
        if not free or not used:
            return []
        found = []
        for terminal, numbers in sorted(used.items()):
            wanted = [self.problem.demands[number].node for number in numbers]
            able = [other for other in free if all(node in self.serve[other] for node in wanted)]
            if not able:
                continue
            removed = [index for index in own if tree.below[index] <= set(numbers)]
            gone = {self.problem.arcs[index].head for index in removed}
            far, came = self._from_all(tree)
            if any(self._start(came, other) in gone for other in able):  # elsewhere taking nodes away makes no way longer or shorter
                far, came = self._from([0, *sorted(node for node in tree.arc_into if node not in gone)])
            for other in able:
                if not np.isfinite(far[other]):
                    continue
                path = self._path(came, other)
                added = [*path, *(self.serve[other][node] for node in wanted)]
                difference = sum(self.problem.arcs[index].cost for index in added) - sum(self.problem.arcs[index].cost for index in removed)
                into, before = self.problem.nodes[other].technology, self.problem.nodes[terminal].technology
                found.append(Other(str(into), str(before), tuple(added), tuple(removed), difference))
        return found

    def _from_all(self, tree: Tree) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Ways from everything that stands, looked for once per tree."""
        if self.known is None or self.known[0] is not tree:
            self.known = (tree, *self._from([0, *sorted(tree.arc_into)]))
        return self.known[1:]

    def _start(self, came: NDArray[np.int32], node: int) -> int:
        """Where the way to a node begins."""
        while came[node] >= 0:
            node = int(came[node])
        return node

    def _from(self, sources: list[int]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        far, came, _ = dijkstra(self.graph, indices=sources, min_only=True, return_predecessors=True)
        return far, came

    def _path(self, came: NDArray[np.int32], node: int) -> list[int]:
        path = []
        while came[node] >= 0:
            path.append(self.arc[int(came[node]), node])
            node = int(came[node])
        return path[::-1]


def break_even(technology: str, kind: Technology, cost: int, build: Build, solve: Solve) -> Entering:
    """The highest present value per unit at which an unpriced technology enters.

    Parameters
    ----------
    cost   yen of the design without it
    build  the problem with the technology at a given price per unit; solve: its design

    Source: W. Dinkelbach, "On nonlinear fractional programming", Management Science 13 (1967) 492–498: with the price p at which the last
    design found is worth `cost`, solve again; when no design is cheaper than `cost`, p is the greatest (cost − rest) ÷ units of all designs.
    """
    per = UNITS[kind.wiring.pattern][0]
    entering, price = Entering(technology, per, None, 0.0, None, None), 0.0
    for _ in range(ROUNDS):
        problem = build({technology: price})
        design = solve(problem)
        units = units_bought(problem, design)
        if units == 0 or design.status not in ("proved", "bounded") or (entering.price is not None and design.cost >= cost):
            break
        rest = rest_of(problem, design)
        if rest >= cost:
            break
        price = (cost - rest) / units
        entering = Entering(technology, per, price, units, problem, design)
    return entering


def priced_in(entering: Entering, cost: int) -> BreakEven:
    """A break-even price as a record of the design; `cost`: yen of the design without the technology."""
    rest = rest_of(entering.problem, entering.design) if entering.problem is not None and entering.design is not None else 0
    return BreakEven(
        technology=entering.technology, per=entering.per, price_yen=entering.price, units=entering.units, cost_without_yen=cost, cost_rest_yen=rest
    )


def shared(cost: int, alone: Mapping[str, tuple[Problem, Design]]) -> Shared | None:
    """What sharing between use cases saves; None where there is only one."""
    if not alone:
        return None
    each = {usecase: design.cost for usecase, (_, design) in alone.items()}
    return Shared(alone_yen=each, together_yen=cost, saving_yen=sum(each.values()) - cost)


def is_free(problem: Problem, item: int) -> bool:
    """Whether a price is the one put on an unpriced technology."""
    return problem.prices[item].cost == "break-even"


def is_free_step(problem: Problem, step: int) -> bool:
    """Whether a step buys units of an unpriced technology; a step is of one technology, so all of its items are."""
    return any(is_free(problem, item) for item, _ in problem.steps[step].items)


def units_bought(problem: Problem, design: Design) -> float:
    """Units of the unpriced technology in a design; one that growing traffic makes necessary later counts as much as its share of the present value."""
    in_arcs = sum(number for index in design.arcs for item, number in problem.arcs[index].items if is_free(problem, item))
    in_steps = sum(number * units for index, _, units in design.steps for item, number in problem.steps[index].items if is_free(problem, item))
    later = 0.0
    for index, _, year, units in design.grown:
        for item, number in problem.steps[index].items:
            one = replace(problem.prices[item], unit_yen=(1.0,))
            later += number * units * since(one, year, problem.horizon, problem.discount) if is_free(problem, item) else 0.0
    return in_arcs + in_steps + later


def rest_of(problem: Problem, design: Design) -> int:
    """Yen of a design without what is paid for the unpriced technology."""

    def rest(items: Sequence[tuple[int, float]]) -> int:
        return to_yen(sum(problem.prices[item].npv * number for item, number in items if not is_free(problem, item)))

    steps = sum(rest(problem.steps[index].items) * units for index, _, units in design.steps)
    later = sum(problem.steps[index].later[year] * units for index, _, year, units in design.grown if not is_free_step(problem, index))
    return sum(rest(problem.arcs[index].items) for index in design.arcs) + steps + later
