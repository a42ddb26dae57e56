"""Works by fiscal year 年度ごとの工事: which street is dug and which site is joined in which year, with the money of each year.

In: a problem, its design, weights of needs, money per year. Out: Phases. All lines of a street are laid in one year (dig once); nothing is built before
what it hangs on; no year costs more than its money, and what is left of a year is not carried over. First as much weight as possible waits as short as
possible, then what is paid later counts less. Small ones are solved exactly, larger ones by what gives most weight per yen; a bound stands beside both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from kiban.base.errors import DesignError
from kiban.base.money import Yen, to_yen
from kiban.base.progress import Cancel, never
from kiban.design.cuts import quiet
from kiban.design.exact import run_twice
from kiban.design.limits import initial_ceiling
from kiban.design.tree import Tree
from kiban.records.design import Design, Problem, problem_hash
from kiban.records.horizon import Phases, Weight, Work

LARGEST = 4_000  # works × years up to which the integer programme is tried
LOOKS = 400  # how often HiGHS may ask whether to go on
SURE = 1e-6  # of a bound out of floats
HAIR = 1e-5  # of a unit: a load a hair above a whole number of units would need one more


@dataclass(frozen=True)
class _Group:
    """A step's group: its cost per unit, and which terminals put which load on it."""

    step: int
    node: int
    cost: int
    load: dict[int, float]  # terminal's work → load
    capacity: float
    free: int


class _Plan:
    """Works, needs and groups of a design."""

    def __init__(self, problem: Problem, design: Design, weights: Sequence[Weight]) -> None:
        self.problem, self.design, self.tree = problem, design, Tree(problem, design)
        money = initial_ceiling(problem, 0.0)
        self.by_arc = {index: round(yen) for index, yen in money.arcs}
        self.by_step = {index: round(yen) for index, yen in money.steps}
        self._works()
        terminal = {arc: work for work, one in enumerate(self.works) if one.kind == "terminal" for arc in one.arcs}
        needs: dict[tuple[str, str], set[int]] = defaultdict(set)
        for number in self.tree.paths:
            demand = problem.demands[number]
            needs[demand.site, demand.usecase].add(terminal[self.tree.terminal(number)])
        self.weights = tuple(one for one in weights if needs.get((one.site, one.usecase)))
        self.needs = [(one.weight, frozenset(needs[one.site, one.usecase])) for one in self.weights]
        self._groups(terminal)
        self.above = [self._closure(work) for work in range(len(self.works))]

    def _works(self) -> None:
        problem, chosen = self.problem, list(self.design.arcs)
        of: dict[int, tuple[str, str]] = {}
        for index in chosen:
            arc = problem.arcs[index]
            if arc.kind in ("line", "plant"):
                of[index] = ("street", arc.ref)
            elif arc.kind == "exchange":
                of[index] = ("exchange", arc.ref)
            elif arc.kind in ("feed", "open", "hop"):
                of[index] = ("place", problem.nodes[arc.head].ref)
            else:
                node = arc.tail if arc.kind == "serve" else arc.head
                of[index] = ("terminal", f"{problem.nodes[node].ref}/{node}")
        systems = sorted({problem.steps[index].technology for index, _, _ in self.design.steps if problem.steps[index].level == "system"})
        keys = list(dict.fromkeys(of.values())) + [("system", name) for name in systems]
        place = {key: number for number, key in enumerate(keys)}
        before: list[set[int]] = [set() for _ in keys]
        for index in chosen:
            tail, number = problem.arcs[index].tail, place[of[index]]
            if tail:
                before[number].add(place[of[self.tree.arc_into[tail]]])
            if problem.arcs[index].technology in systems:
                before[number].add(place["system", str(problem.arcs[index].technology)])
        joined = _knots(before)
        arcs: dict[int, list[int]] = defaultdict(list)
        for index in chosen:
            arcs[joined[place[of[index]]]].append(index)
        heads = sorted(set(joined))
        number_of = {head: number for number, head in enumerate(heads)}
        self.work_of = {index: number_of[joined[place[key]]] for index, key in of.items()}
        works = []
        for head in heads:
            yen = sum(self.by_arc.get(index, 0) for index in arcs[head])
            if keys[head][0] == "system":
                yen += sum(
                    self.by_step.get(s, 0)
                    for s, _, _ in self.design.steps
                    if problem.steps[s].level == "system" and problem.steps[s].technology == keys[head][1]
                )
            needs = {number_of[joined[b]] for member, into in enumerate(joined) if into == head for b in before[member]} - {number_of[head]}
            lengths = {problem.arcs[index].ref: problem.arcs[index].length_m for index in arcs[head] if problem.arcs[index].kind == "line"}
            kind, ref = keys[head]
            works.append(
                Work(
                    kind=kind,  # type: ignore[arg-type]
                    ref=ref.partition("/")[0] if kind == "terminal" else ref,
                    arcs=tuple(sorted(arcs[head])),
                    initial=yen,
                    before=tuple(sorted(needs)),
                    metres=math.fsum(lengths.values()),
                )
            )
        self.works: tuple[Work, ...] = tuple(works)

    def _groups(self, terminal: Mapping[int, int]) -> None:
        problem, found = self.problem, []
        for step in sorted({index for index, *_ in self.design.steps}):
            one = problem.steps[step]
            if one.level == "system" or not self.by_step.get(step):
                continue
            for node, numbers in self.tree.carried(step).items():
                once: dict[int, dict[tuple[str, str], float]] = defaultdict(dict)
                for number in numbers:
                    demand = problem.demands[number]
                    value = {"devices": demand.devices, "mbps": demand.down_mbps}.get(one.load, 0.0)
                    key = (demand.site, demand.usecase) if one.load in ("devices", "mbps") else (demand.site, "")
                    once[terminal[self.tree.terminal(number)]][key] = value if one.load in ("devices", "mbps") else 1.0
                load = {work: math.fsum(values.values()) for work, values in once.items()}
                found.append(_Group(step, node, self.by_step[step], load, one.capacity or math.inf, one.free))
        self.groups = tuple(found)

    def _closure(self, work: int) -> frozenset[int]:
        seen, stack = set(), [work]
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                stack += self.works[at].before
        return frozenset(seen)

    def units(self, group: _Group, built: set[int] | frozenset[int]) -> int:
        """Units that a group pays once these works stand."""
        load = math.fsum(value for work, value in group.load.items() if work in built)
        if not any(work in built for work in group.load):
            return 0
        units = 1 if math.isinf(group.capacity) else max(1, math.ceil(load / group.capacity - SURE / 1000))
        return max(0, units - group.free)

    def cost(self, new: set[int] | frozenset[int], built: set[int]) -> int:
        """Yen of the first year's prices for new works, and for the units that they make necessary."""
        after = built | new
        return sum(self.works[w].initial for w in new - built) + sum((self.units(g, after) - self.units(g, built)) * g.cost for g in self.groups)


def _knots(before: Sequence[set[int]]) -> list[int]:
    """Works that hang on each other in a circle are one: per work the least number of its knot."""
    tails = [work for work, earlier in enumerate(before) for _ in earlier]
    heads = [other for earlier in before for other in earlier]
    shape = (len(before), len(before))
    _, label = connected_components(csr_array((np.ones(len(tails)), (tails, heads)), shape=shape), connection="strong")
    first: dict[int, int] = {}
    return [first.setdefault(knot, work) for work, knot in enumerate(label.tolist())]


def phases(problem: Problem, design: Design, weights: Sequence[Weight], money: Sequence[int], *, looks: int = LOOKS, cancel: Cancel = never) -> Phases:
    """The order of works of a design.

    Parameters
    ----------
    weights  needs that count, as of design.budget.default_weights; those that the design does not serve are left out
    money    yen of each fiscal year from the first one on, tax excluded
    looks    limit on the search of the integer programme, 0: none is tried

    Raises
    ------
    DesignError  no year, or money below 0
    """
    if not money or any(yen < 0 for yen in money):
        raise DesignError("phases", f"{list(money)}", "at least one year, 0 yen or more each", "give the money of each fiscal year")
    plan = _Plan(problem, design, weights)
    bound = _shared_out(plan, money)
    best = _greedy(plan, money)
    if looks and len(plan.works) * len(money) <= LARGEST and not cancel() and plan.needs:
        exact, least = _exact(plan, money, best, looks, cancel)
        bound = max(bound, least)
        if _rank(plan, exact, money) < _rank(plan, best, money):
            best = exact
    waited, present = _rank(plan, best, money)
    return _written(plan, money, best, waited, min(bound, waited), present)


def for_years(problem: Problem, design: Design, weights: Sequence[Weight], years: int, *, looks: int = LOOKS, cancel: Cancel = never) -> Phases:
    """The order of works in so many years of equal money, the least money (to a thousandth of the whole) with which all of it is found to fit.

    Raises
    ------
    DesignError  fewer than one year
    """
    if years < 1:
        raise DesignError("phases", f"{years} years", "a number of years from 1 on", "correct it")
    plan = _Plan(problem, design, weights)
    whole = plan.cost(frozenset(range(len(plan.works))), set())
    low, high = math.ceil(whole / years), whole
    while high - low > max(1, whole // 1000):
        middle = (low + high) // 2
        if all(year >= 0 for work, year in enumerate(_greedy(plan, [middle] * years)) if _wanted(plan, work)):
            high = middle
        else:
            low = middle
    if all(year >= 0 for work, year in enumerate(_greedy(plan, [low] * years)) if _wanted(plan, work)):
        high = low
    return phases(problem, design, weights, [high] * years, looks=looks, cancel=cancel)


def _wanted(plan: _Plan, work: int) -> bool:
    return any(work in plan.above[terminal] for _, terminals in plan.needs for terminal in terminals)


def _rank(plan: _Plan, year: Sequence[int], money: Sequence[int]) -> tuple[int, int]:
    """(weight × years waited, present value of what is paid): less is better."""
    last = len(money)
    waited = sum(weight * max((year[t] if year[t] >= 0 else last) for t in terminals) for weight, terminals in plan.needs)
    present = sum(yen / (1 + plan.problem.discount) ** at for at, yen in enumerate(_yearly(plan, year, last)))
    return waited, to_yen(present)


def _yearly(plan: _Plan, year: Sequence[int], years: int) -> list[int]:
    """Yen of each year."""
    built: set[int] = set()
    found = []
    for at in range(years):
        new = {work for work, when in enumerate(year) if when == at}
        found.append(plan.cost(new, built))
        built |= new
    return found


def _greedy(plan: _Plan, money: Sequence[int]) -> list[int]:
    """Year by year: the need that gives most weight per yen among those that fit; then parts of the next ones, so that the money works."""
    year, built = [-1] * len(plan.works), set[int]()
    closures = [frozenset().union(*(plan.above[t] for t in terminals)) for _, terminals in plan.needs]
    users: dict[int, list[int]] = defaultdict(list)
    for number, works in enumerate(closures):
        for work in works:
            users[work].append(number)
    weight = np.array([value for value, _ in plan.needs], np.float64)
    rest = np.array([sum(plan.works[work].initial for work in works) for works in closures], np.float64)  # yen of what is not built yet
    waiting = np.ones(len(closures), np.bool_)

    def take(works: frozenset[int] | set[int], at: int) -> int:
        cost = plan.cost(works, built)
        for work in works - built:
            year[work] = at
            rest[users[work]] -= plan.works[work].initial
        built.update(works)
        return cost

    for at, yen in enumerate(money):
        left, fits = yen, waiting.copy()
        while True:
            value = np.where(fits & (rest <= left), weight / np.maximum(rest, 1.0), -1.0)
            if not len(value) or value.max() < 0:
                break
            number = int(np.argmax(value))
            if plan.cost(closures[number], built) > left:  # the units that its load makes necessary do not fit
                fits[number] = False
                continue
            left -= take(closures[number], at)
            waiting[number] = fits[number] = False
        if at + 1 < len(money):
            for number in np.argsort(-np.where(waiting, weight / np.maximum(rest, 1.0), -1.0), kind="stable").tolist():
                for work in sorted(closures[number] - built, key=lambda w: (len(plan.above[w]), w)) if waiting[number] else ():
                    if plan.works[work].kind != "terminal" and plan.above[work] - {work} <= built and plan.cost({work}, built) <= left:
                        left -= take({work}, at)
    return year


def _shared_out(plan: _Plan, money: Sequence[int]) -> int:
    """A bound without order of works: each work's yen are shared out among the needs that use it, and each year's money so far fills the best of them.

    A set of needs pays a work wholly as soon as one of them uses it, never less than the shares of those in the set.
    """
    users: dict[int, int] = defaultdict(int)
    above = [frozenset().union(*(plan.above[t] for t in terminals)) for _, terminals in plan.needs]
    for works in above:
        for work in works:
            users[work] += 1
    needs = [(sum(plan.works[work].initial / users[work] for work in works), weight) for works, (weight, _) in zip(above, plan.needs, strict=True)]
    needs.sort(key=lambda pair: -pair[1] / max(pair[0], 1e-9))
    whole, so_far, waited = sum(weight for _, weight in needs), 0, 0.0
    for yen in money:
        so_far += yen
        left, served = float(so_far), 0.0
        for cost, weight in needs:
            part = 1.0 if cost <= left else left / cost
            served, left = served + weight * part, left - cost * part
            if part < 1.0:
                break
        waited += whole - served
    return max(0, math.ceil(waited - SURE * max(1.0, waited)))


def _exact(plan: _Plan, money: Sequence[int], start: Sequence[int], looks: int, cancel: Cancel) -> tuple[list[int], int]:
    """The order of works as an integer programme: least waiting, then least present value; and the bound on waiting that HiGHS gives.

    Columns: work or need stands by the end of a year; units had by the end of a year.
    """
    years, works, needs = len(money), len(plan.works), len(plan.needs)
    many = works * years + needs * years + len(plan.groups) * years
    rows: list[tuple[float, float, list[int], list[float]]] = []

    def stands(work: int, at: int) -> int:
        return work * years + at

    def joined(need: int, at: int) -> int:
        return (works + need) * years + at

    def had(group: int, at: int) -> int:
        return (works + needs + group) * years + at

    free = -highspy.kHighsInf
    for at in range(years):
        for work, one in enumerate(plan.works):
            if at:
                rows.append((free, 0.0, [stands(work, at - 1), stands(work, at)], [1.0, -1.0]))
            for earlier in one.before:
                rows.append((free, 0.0, [stands(work, at), stands(earlier, at)], [1.0, -1.0]))
        for need, (_, terminals) in enumerate(plan.needs):
            for terminal in terminals:
                rows.append((free, 0.0, [joined(need, at), stands(terminal, at)], [1.0, -1.0]))
        for number, group in enumerate(plan.groups):
            if at:
                rows.append((free, 0.0, [had(number, at - 1), had(number, at)], [1.0, -1.0]))
            if not math.isinf(group.capacity):
                columns = [stands(work, at) for work in group.load]
                rows.append((free, group.free * group.capacity, [*columns, had(number, at)], [*group.load.values(), -group.capacity]))
            if group.free == 0:
                for work in group.load:
                    rows.append((free, 0.0, [stands(work, at), had(number, at)], [1.0, -1.0]))
            rows += _no_more(group, had(number, at), [stands(work, at) for work in group.load])
        columns, values = [], []
        for work, one in enumerate(plan.works):
            columns.append(stands(work, at))
            values.append(float(one.initial))
            if at:
                columns.append(stands(work, at - 1))
                values.append(-float(one.initial))
        for number, group in enumerate(plan.groups):
            columns.append(had(number, at))
            values.append(float(group.cost))
            if at:
                columns.append(had(number, at - 1))
                values.append(-float(group.cost))
        unit = max(1.0, max((abs(value) for value in values), default=1.0))
        rows.append((free, money[at] / unit, columns, [value / unit for value in values]))

    cost = np.zeros(many)
    whole = sum(weight for weight, _ in plan.needs)
    for need, (weight, _) in enumerate(plan.needs):
        for at in range(years):
            cost[joined(need, at)] = -weight
    scale = max(1.0, float(max(weight for weight, _ in plan.needs)))
    found, bound = _run(plan, rows, cost / scale, years, None, looks, cancel)
    least = max(0, math.ceil(whole * years + bound * scale - 1e-4)) if math.isfinite(bound) else 0
    best = list(start)
    if found is not None and _keeps(plan, found, money) and _rank(plan, found, money) < _rank(plan, start, money):
        best = found
    if not cancel():
        # the same waiting, paid as late as possible
        waited = _rank(plan, best, money)[0]
        columns = [joined(need, at) for need in range(needs) for at in range(years)]
        values = [plan.needs[need][0] / scale for need in range(needs) for _ in range(years)]
        rows.append(((whole * years - waited) / scale - 1e-7, highspy.kHighsInf, columns, values))
        rate = 1 + plan.problem.discount
        cost = np.zeros(many)
        for at in range(years):
            factor = rate**-at - (rate ** -(at + 1) if at + 1 < years else 0.0)
            for work, one in enumerate(plan.works):
                cost[stands(work, at)] = one.initial * factor
            for number, group in enumerate(plan.groups):
                cost[had(number, at)] = group.cost * factor
        unit = max(1.0, float(cost.max(initial=0.0)))
        later, _ = _run(plan, rows, cost / unit, years, best, looks, cancel)
        if later is not None and _keeps(plan, later, money) and _rank(plan, later, money) < _rank(plan, best, money):
            best = later
    return best, least


def _no_more(group: _Group, had: int, stands: list[int]) -> list[tuple[float, float, list[int], list[float]]]:
    """Units are bought when they are due, not before: at most the load over the capacity, rounded up, less those that come with the facility."""
    free = -highspy.kHighsInf
    if math.isinf(group.capacity):
        return [(free, 0.0, [had, *stands], [1.0] + [-1.0] * len(stands))]
    share = [-value / group.capacity for value in group.load.values()]
    if group.free == 1:
        return [(free, 0.0, [had, *stands], [1.0, *(value * (1 - HAIR) for value in share)])]
    return [(free, 1.0 - (HAIR if all(share) else 0.0), [had, *stands], [1.0, *share])] if group.free == 0 else []


def _keeps(plan: _Plan, year: Sequence[int], money: Sequence[int]) -> bool:
    """True when no year costs more than its money and nothing hangs in the air."""
    order = all(when < 0 or all(0 <= year[earlier] <= when for earlier in plan.works[work].before) for work, when in enumerate(year))
    return order and all(cost <= yen for cost, yen in zip(_yearly(plan, year, len(money)), money, strict=True))


def _run(
    plan: _Plan, rows: Sequence[tuple[float, float, list[int], list[float]]], cost: Any, years: int, start: Sequence[int] | None, looks: int, cancel: Cancel
) -> tuple[list[int] | None, float]:
    """One integer programme: the years of the works (None: none found), and its bound."""
    solver = quiet(cancel)
    works, needs = len(plan.works), len(plan.needs)
    for column, value in enumerate(cost.tolist()):
        high = 1.0 if column < (works + needs) * years else highspy.kHighsInf
        solver.addCol(value, 0.0, high, 0, np.array([], np.int32), np.array([], np.float64))
        if column < works * years or column >= (works + needs) * years:
            solver.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    for low, high, columns, values in rows:
        solver.addRow(low, high, len(columns), np.array(columns, np.int32), np.array(values))
    if start is not None:
        index = np.arange(works * years, dtype=np.int32)
        solver.setSolution(len(index), index, np.array([float(0 <= start[work] <= at) for work in range(works) for at in range(years)]))
    seen = 0

    def enough(event: Any) -> None:
        nonlocal seen
        seen += 1
        if seen > looks:
            event.interrupt()

    solver.cbMipInterrupt.subscribe(enough)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", 1e-9)
    solution = run_twice(solver, cost)
    bound = float(solver.getInfo().mip_dual_bound)
    if len(solution) < len(cost) or not solver.getSolution().value_valid:
        return None, bound
    found = []
    for work in range(works):
        standing = np.flatnonzero(solution[work * years : (work + 1) * years] > 0.5)
        found.append(int(standing[0]) if len(standing) else -1)
    return found, bound


def _written(plan: _Plan, money: Sequence[int], year: list[int], waited: int, bound: int, present: Yen) -> Phases:
    years, built = len(money), set[int]()
    steps: list[tuple[tuple[int, int, int], ...]] = []
    for at in range(years):
        before = {g: plan.units(group, built) for g, group in enumerate(plan.groups)}
        built |= {work for work, when in enumerate(year) if when == at}
        bought = [(group.step, group.node, plan.units(group, built) - before[g]) for g, group in enumerate(plan.groups)]
        steps.append(tuple(sorted(row for row in bought if row[2])))
    joined = [max(year[t] for t in terminals) if all(year[t] >= 0 for t in terminals) else -1 for _, terminals in plan.needs]
    again_yen, again_metres = _again(plan, joined)
    return Phases(
        problem=problem_hash(plan.problem),
        money=tuple(money),
        weights=plan.weights,
        works=plan.works,
        year=tuple(year),
        steps=tuple(steps),
        initial=tuple(_yearly(plan, year, years)),
        joined=tuple(joined),
        waited=waited,
        least_waited=bound,
        present=present,
        digging_again=again_yen,
        metres_again=again_metres,
    )


def _again(plan: _Plan, joined: Sequence[int]) -> tuple[Yen, float]:
    """What streets would cost more if they were dug again in each later year in which somebody behind them is joined."""
    used: dict[int, set[int]] = defaultdict(set)
    for (_, terminals), year in zip(plan.needs, joined, strict=True):
        for terminal in terminals if year >= 0 else ():
            for work in plan.above[terminal]:
                used[work].add(year)
    again = [(plan.works[work], len(years) - 1) for work, years in used.items() if plan.works[work].kind == "street"]
    return sum(work.initial * times for work, times in again), math.fsum(work.metres * times for work, times in again)
