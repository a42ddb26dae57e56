"""Limited money 予算: who is served first, what more money buys, and who waits for which sum.

In: a problem, its full design, weights of needs, sums of money. Out: a Frontier. The money is what is paid in the first year for what is built; what
is paid every year stands in the cost over the horizon, which is made least after as much weight as possible is served.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace as _replace
from fractions import Fraction

from msgspec.structs import replace

from kiban.base.errors import DesignError
from kiban.base.progress import Progress, silent
from kiban.design.judge import Judge, Judged
from kiban.design.limits import CeilingId, Effort, amount, given_up_ceiling, initial_ceiling, least, solve_within, trial, with_giving_up
from kiban.records.design import Ceiling, Design, Problem, problem_hash
from kiban.records.horizon import Frontier, Multiplied, Stage, Waiting, Weight
from kiban.records.region import Site

MILLION = 1_000_000
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the full design's money: the stages that are always shown


def default_weights(problem: Problem, sites: Mapping[str, Site], given: Mapping[str, int] | None = None) -> tuple[Weight, ...]:
    """Weights of all needs that something priced reaches: the user's own per site; else its households (at least 1), a critical site before all others.

    A critical site counts its households and the sum of all that are not critical, so that no number of others outweighs it.

    Raises
    ------
    DesignError  a weight for a site that has no such need, or below 1
    """
    given = given or {}
    lost = {entry[:2] for entry in problem.no_way}
    needs = sorted({(demand.site, demand.usecase) for demand in problem.demands} - lost)
    strange = sorted(set(given) - {site for site, _ in needs})
    if strange or any(value < 1 for value in given.values()):
        bad = strange[0] if strange else min(given, key=lambda site: given[site])
        raise DesignError("weights", f"{bad}={given[bad]}", "a site with a need, and a whole number from 1 on", "correct the weight")
    plain = {site: max(1, round(row.households)) if (row := sites.get(site)) is not None and row.households else 1 for site, _ in needs}
    critical = {site for site in plain if (row := sites.get(site)) is not None and row.critical}
    rest = sum(plain[site] for site, _ in needs if site not in critical)
    return tuple(Weight(site=s, usecase=u, weight=given.get(s, plain[s] + (rest if s in critical else 0))) for s, u in needs)


class _Money:
    """The problem with needs that may be given up, and what is known of it."""

    def __init__(self, problem: Problem, design: Design, weights: Sequence[Weight], effort: Effort) -> None:
        self.base, self.full, self.weights, self.effort = problem, design, tuple(weights), effort
        self.judge = Judge(replace(problem, ceilings=()))
        self.problem = with_giving_up(problem, weights)
        self.money = initial_ceiling(self.problem, 0.0)
        self.lost = given_up_ceiling(self.problem, weights, 0.0)
        self.give_up = {index: one for (index, _), one in zip(self.lost.arcs, sorted(weights, key=lambda w: (w.site, w.usecase)), strict=True)}
        self.whole = sum(one.weight for one in weights)
        self.known: list[tuple[float, float, tuple[int, ...]]] = []  # weight lost, money, arcs
        self.bounds: list[Multiplied] = []

    def initial(self, arcs: Sequence[int], steps: Sequence[tuple[int, int, int]]) -> int:
        """Yen of the first year for what is built."""
        return round(amount(self.money, arcs, steps))

    def kept(self, arcs: Sequence[int]) -> Judged:
        """A design of the wider graph as one of the problem: what is given up is not served at all."""
        out = {(one.site, one.usecase) for index, one in self.give_up.items() if index in set(arcs)}
        gone = {demand.node for demand in self.base.demands if (demand.site, demand.usecase) in out}
        size = len(self.base.arcs)
        return self.judge.judge(arc for arc in arcs if arc < size and not (self.base.arcs[arc].kind == "serve" and self.base.arcs[arc].head in gone))

    def unserved(self, judged: Judged) -> tuple[tuple[str, str], ...]:
        """The weighted needs of which a demand that has a way is not served."""
        listed = {entry[:3] for entry in self.base.no_way}
        missing = {
            (d.site, d.usecase) for d, arc in zip(self.base.demands, judged.served, strict=True) if arc < 0 and (d.site, d.usecase, d.without) not in listed
        }
        return tuple(sorted(missing & {(one.site, one.usecase) for one in self.weights}))

    def weight_of(self, needs: Sequence[tuple[str, str]]) -> int:
        """The weight of needs together."""
        chosen = set(needs)
        return sum(one.weight for one in self.weights if (one.site, one.usecase) in chosen)

    def look(self, multiplier: float) -> tuple[float, float]:
        """Solve money + multiplier × weight lost; keep design and bound; the point (weight lost, money)."""
        multipliers: dict[CeilingId, float] = {"initial_yen": 1.0, "unserved": multiplier}
        found, bound = trial(self.problem, 0, multipliers, (self.money, self.lost), self.effort)
        self.bounds.append(bound)
        lost = float(self.weight_of(self.unserved(self.kept(found.arcs))))
        money = amount(self.money, found.arcs, found.steps)
        self.known.append((lost, money, found.arcs))
        return lost, money

    def sweep(self, trials: int) -> None:
        """Points of the frontier between everything and nothing, each between the two neighbours that leave most room."""
        top = float(sum(value for _, value in self.money.arcs) + sum(value for _, value in self.money.steps) * max(1, len(self.base.demands)) + 1)
        ends = [self.look(top), (float(self.whole), 0.0)]
        gaps = [(0.0, ends[0], ends[1])]
        for _ in range(trials):
            if not gaps or self.effort.cancel():
                return
            _, left, right = heapq.heappop(gaps)
            if right[0] - left[0] < 1 or left[1] - right[1] < 1:
                continue
            slope = (left[1] - right[1]) / (right[0] - left[0])
            point = self.look(slope)
            if left[0] < point[0] < right[0] and point[1] + slope * point[0] < left[1] + slope * left[0] - 0.5:
                for a, b in ((left, point), (point, right)):
                    heapq.heappush(gaps, (-(b[0] - a[0]) * (a[1] - b[1]), a, b))

    def least_lost(self, most: float) -> tuple[int, Multiplied | None]:
        """The weight that every design for this money loses, and the bound that says so."""
        best, proof = 0, None
        for bound in self.bounds:
            multiplier = dict(bound.multipliers).get("unserved", 0.0)
            if multiplier:
                value = math.ceil((Fraction(bound.total) - Fraction(most)) / Fraction(multiplier))
                if value > best:
                    best, proof = value, bound
        return best, proof

    def stage(self, most: int) -> Stage:
        """The best that this money buys."""
        full, f = self.initial(self.full.arcs, self.full.steps), self.full
        if full <= most and not self.unserved(self.judge.judge(f.arcs)):
            return Stage(
                most=most, arcs=f.arcs, served=f.served, steps=f.steps, grown=f.grown, initial=full, cost=f.cost, least_cost=f.bound,
            )  # fmt: skip
        problem, effort = self.problem, self.effort
        limit = replace(self.money, most=float(most))
        starts = [arcs for _, money, arcs in sorted(self.known) if money <= most]
        starts.append(tuple(sorted([*self.give_up, *(i for i, arc in enumerate(problem.arcs) if arc.tail in {problem.arcs[g].head for g in self.give_up})])))
        weighed = [0] * len(problem.arcs)
        for index, one in self.give_up.items():
            weighed[index] = one.weight
        first = replace(
            problem,
            arcs=tuple(replace(arc, cost=weight) for arc, weight in zip(problem.arcs, weighed, strict=True)),
            steps=tuple(replace(step, cost=0, growth=(), later=()) for step in problem.steps),
            ceilings=(*problem.ceilings, limit),
        )
        served = effort.solve(first, starts=starts)
        lost = round(amount(self.lost, served.arcs, ()))
        second = replace(problem, ceilings=(*problem.ceilings, limit, replace(self.lost, most=float(lost))))
        again, money = self._same(served.arcs, limit)
        cheapest = effort.solve(second, starts=[served.arcs, again])
        judged = self.kept(cheapest.arcs)
        unserved = self.unserved(judged)
        lost = self.weight_of(unserved)
        least_lost, proof = self.least_lost(most)
        least_cost, cost_proof = self._least_cost(most, lost, judged.cost, money)
        return Stage(
            most=most, arcs=judged.arcs, served=judged.served, steps=judged.steps, grown=judged.grown,
            initial=self.initial(judged.arcs, judged.steps), cost=judged.cost, unserved=unserved, lost=lost, least_lost=min(least_lost, lost),
            proof=proof, least_cost=least_cost, cost_proof=cost_proof,
        )  # fmt: skip

    def _same(self, arcs: Sequence[int], limit: Ceiling) -> tuple[tuple[int, ...], float]:
        """The needs that a design of the wider graph serves, served for the least cost within the money: arcs, and the multiplier of money that led there."""
        out, base = self.unserved(self.kept(arcs)), self.base
        demands = tuple(demand for demand in base.demands if (demand.site, demand.usecase) not in set(out))
        if not demands:
            return tuple(arcs), 0.0
        gone = {demand.node for demand in base.demands} - {demand.node for demand in demands}
        left = [index for index, arc in enumerate(base.arcs) if arc.head not in gone]
        now = {index: number for number, index in enumerate(left)}
        ceilings = tuple(replace(one, arcs=tuple((now[index], used) for index, used in one.arcs if index in now)) for one in (*base.ceilings, limit))
        problem = replace(base, arcs=tuple(base.arcs[index] for index in left), demands=demands, ceilings=ceilings)
        found, bound = solve_within(problem, _replace(self.effort, rounds=6))
        return _given_up(self, [left[number] for number in found.arcs], out), dict(bound.multipliers).get("initial_yen", 0.0) if bound is not None else 0.0

    def _least_cost(self, most: float, lost: float, cost: int, money: float) -> tuple[int, Multiplied | None]:
        """What no design for this money that loses at most so much undercuts: a few steps up the multipliers, `money` the first of money.

        The first of a lost need is what the needs that are lost would cost each; where none may be lost, more than any need costs.
        """
        limits: dict[CeilingId, float] = {"initial_yen": most, "unserved": lost}
        size: dict[CeilingId, float] = {"initial_yen": max(1.0, most), "unserved": max(1.0, lost)}  # yen and weights are put on one scale
        each = max(1.0, self.full.cost / max(1.0, self.whole))
        dear = max(each, (self.full.cost - cost) / lost) if lost else float(self.full.cost)
        judge = Judge(replace(self.problem, ceilings=()))
        best, proof = 0, None
        for start in dict.fromkeys(((0.0, each), (money, dear))):
            multipliers: dict[CeilingId, float] = {"initial_yen": start[0], "unserved": start[1]}
            for _ in range(min(4, self.effort.rounds)):
                if self.effort.cancel() or best >= cost:
                    break
                found, bound = trial(self.problem, 1, multipliers, (self.money, self.lost), self.effort)
                value = least(bound, limits)
                if math.ceil(value) > best:
                    best, proof = math.ceil(value), bound
                judged = judge.judge(found.arcs)
                over: dict[CeilingId, float] = {
                    "initial_yen": (amount(self.money, judged.arcs, judged.steps) - most) / size["initial_yen"],
                    "unserved": (amount(self.lost, judged.arcs, ()) - lost) / size["unserved"],
                }
                room, norm = cost - float(value), sum(value * value for value in over.values())
                if room < 1 or norm == 0:
                    break
                multipliers = {id: max(0.0, multipliers[id] + room / norm * excess / size[id]) for id, excess in over.items()}
        return min(best, cost), proof

    def next(self, stage: Stage) -> tuple[int, int, tuple[tuple[str, str], ...], Multiplied | None] | None:
        """The least money found that loses less weight than a stage: yen, bound, needs that come in, proof."""
        if not stage.lost:
            return None
        lost = replace(self.lost, most=float(stage.lost - 1))
        money = dict(self.money.arcs)
        by_step = dict(self.money.steps)
        problem = replace(
            self.problem,
            arcs=tuple(replace(arc, cost=round(money.get(index, 0.0))) for index, arc in enumerate(self.problem.arcs)),
            steps=tuple(replace(step, cost=round(by_step.get(index, 0.0)), growth=(), later=()) for index, step in enumerate(self.problem.steps)),
            ceilings=(*self.problem.ceilings, lost),
        )
        effort = self.effort
        starts = [arcs for _, _, arcs in sorted(self.known, key=lambda one: one[1])]
        found = effort.solve(problem, starts=starts)
        if amount(lost, found.arcs, ()) > lost.most:
            return None
        judged = self.kept(found.arcs)
        yen = self.initial(judged.arcs, judged.steps)
        values = [(math.ceil(Fraction(b.total) - Fraction(dict(b.multipliers).get("unserved", 0.0)) * Fraction(lost.most)), b) for b in self.bounds]
        bound, proof = max(values, key=lambda pair: pair[0])
        came = tuple(sorted(set(stage.unserved) - set(self.unserved(judged))))
        return yen, max(0, min(bound, yen)), came, proof if bound > 0 else None

    def joining(self, stage: Stage, need: tuple[str, str]) -> int | None:
        """What it would pay more in the first year to join one need to a stage by the ways of least money; None where that breaks a limit."""
        built = {self.base.arcs[index].head for index in stage.arcs} | {0}
        by_arc, chosen = dict(self.money.arcs), list(stage.arcs)
        out: dict[int, list[int]] = {}
        for index, arc in enumerate(self.base.arcs):
            out.setdefault(arc.tail, []).append(index)
        for demand, arc_in in zip(self.base.demands, stage.served, strict=True):
            if (demand.site, demand.usecase) != need or arc_in >= 0:
                continue
            far: dict[int, float] = {}
            into: dict[int, int] = {}
            queue: list[tuple[float, int, int]] = [(0.0, node, -1) for node in sorted(built)]
            heapq.heapify(queue)
            while queue and demand.node not in far:
                cost, node, by = heapq.heappop(queue)
                if node in far:
                    continue
                far[node], into[node] = cost, by
                for index in out.get(node, ()):
                    if self.base.arcs[index].head not in far:
                        heapq.heappush(queue, (cost + by_arc.get(index, 0.0), self.base.arcs[index].head, index))
            node = demand.node
            if node not in far:
                return None
            while into[node] >= 0:
                chosen.append(into[node])
                built.add(node)
                node = self.base.arcs[into[node]].tail
        judged = Judge(self.base).judge(chosen)
        if judged.broken or need in self.unserved(judged):
            return None
        return self.initial(judged.arcs, judged.steps) - stage.initial


def frontier(
    problem: Problem,
    design: Design,
    weights: Sequence[Weight],
    most: int | None,
    effort: Effort,
    *,
    stages: Sequence[int] | None = None,
    trials: int = 8,
    ahead: bool = True,
    progress: Progress = silent,
) -> Frontier:
    """What more money buys, and what a sum of money leaves waiting.

    Parameters
    ----------
    design   that serves everything that can be served
    most     yen that may be paid in the first year for what is built, tax excluded; None: no stage is asked for, the dearest is shown
    stages   other sums to show; None: quarters of what the full design pays
    trials   multipliers tried for the bound; more of them raise it
    ahead    also look for what a million more buys, and for the next sum that brings something in

    Returns
    -------
    Frontier with stages by rising money. `lost` is the least found; `least_lost` is what no design undercuts.
    """
    book = _Money(problem, design, weights, effort)
    full = book.initial(design.arcs, design.steps)
    sums = sorted({*(stages if stages is not None else [math.ceil(full * share) for share in SHARES]), *([] if most is None else [most])})
    progress(0.1, "予算ごとの範囲 / what each sum of money buys")
    book.sweep(trials)
    rows: list[Stage] = []
    for place, money in enumerate(sums):
        row = book.stage(money)
        if rows and (row.lost, row.cost) > (rows[-1].lost, rows[-1].cost):
            row = _carried(rows[-1], row)  # what less money bought is still to be had
        rows.append(row)
        book.known.append((float(row.lost), float(row.initial), _wide(book, row)))
        progress(0.1 + 0.7 * (place + 1) / len(sums), "予算ごとの範囲 / what each sum of money buys")
    asked = sums.index(most) if most is not None else len(sums) - 1
    stage = rows[asked]
    more = book.stage(stage.most + MILLION) if stage.lost and ahead else stage
    if more.lost > stage.lost:
        more = stage
    after = book.next(stage) if ahead else None
    listed = [(site, usecase) for site, usecase, _, _ in problem.no_way]
    waiting = [_waiting(book, rows, stage, need) for need in stage.unserved]
    waiting += [Waiting(site=site, usecase=usecase, reason="no_way") for site, usecase in sorted(set(listed) - set(stage.unserved))]
    return Frontier(
        problem=problem_hash(problem),
        weights=tuple(weights),
        stages=tuple(rows),
        asked=asked,
        waiting=tuple(waiting),
        million_in=tuple(sorted(set(stage.unserved) - set(more.unserved))),
        million_out=tuple(sorted(set(more.unserved) - set(stage.unserved))),
        next_yen=after[0] if after else None,
        next_least=after[1] if after else None,
        next_in=after[2] if after else (),
        next_proof=after[3] if after else None,
    )


def _wide(book: _Money, stage: Stage) -> tuple[int, ...]:
    """A stage as a design of the wider graph."""
    return _given_up(book, stage.arcs, stage.unserved)


def _given_up(book: _Money, arcs: Sequence[int], unserved: Sequence[tuple[str, str]]) -> tuple[int, ...]:
    """A design of the problem in the wider graph, where some needs are given up."""
    out = set(unserved)
    given = [index for index, one in book.give_up.items() if (one.site, one.usecase) in out]
    heads = {book.problem.arcs[index].head for index in given}
    serving = [index for index, arc in enumerate(book.problem.arcs) if arc.tail in heads]
    return tuple(sorted([*arcs, *given, *serving]))


def _carried(before: Stage, now: Stage) -> Stage:
    """The stage before, for more money; its bounds are those of the money now."""
    return replace(
        before,
        most=now.most,
        least_lost=min(now.least_lost, before.lost),
        proof=now.proof,
        least_cost=min(now.least_cost, before.cost),
        cost_proof=now.cost_proof,
    )


def _waiting(book: _Money, rows: Sequence[Stage], stage: Stage, need: tuple[str, str]) -> Waiting:
    joining = book.joining(stage, need)
    later = [row.most for row in rows if row.most > stage.most and need not in row.unserved]
    reason = "limit" if joining is None else "budget"
    return Waiting(site=need[0], usecase=need[1], reason=reason, joining=joining, from_=min(later, default=None))  # type: ignore[arg-type]
