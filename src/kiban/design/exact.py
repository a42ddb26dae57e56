"""The restricted problem with its side constraints, as an integer programme in HiGHS.

In: a Problem, the arcs that may be used, known cuts, an incumbent. Out: arcs of a better design, or none. Connectivity is added as cuts and
the programme solved again until the answer is connected. The answer is judged by design.judge; no bound is taken from here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import highspy
import numpy as np

from kiban.design.cuts import CutSet, quiet, separate
from kiban.design.graph import Floats, Graph, Ints
from kiban.design.judge import WIRED, Judge, Judged
from kiban.records.design import Problem, Step


class Programme:
    """Rows and columns of the restricted integer programme."""

    def __init__(self, problem: Problem, arcs: Ints, demands: Ints) -> None:
        self.problem, self.arcs, self.demands = problem, [int(arc) for arc in arcs], demands.tolist()
        self.column = {arc: index for index, arc in enumerate(self.arcs)}
        self.cost = [float(problem.arcs[arc].cost) for arc in self.arcs]
        self.low, self.high = [0.0] * len(self.arcs), [1.0] * len(self.arcs)
        self.whole = [True] * len(self.arcs)
        self.rows: list[tuple[float, float, dict[int, float]]] = []
        self.into: dict[int, list[int]] = defaultdict(list)
        self.out: dict[int, list[int]] = defaultdict(list)
        for arc in self.arcs:
            self.into[problem.arcs[arc].head].append(arc)
            self.out[problem.arcs[arc].tail].append(arc)
        self._tree()
        self._steps()
        self._reach()
        self._rates()
        for ceiling in problem.ceilings:
            terms = [(self.column[arc], amount) for arc, amount in ceiling.arcs if arc in self.column]
            terms += [(column, amount) for step, amount in ceiling.steps for column in self.units.get(step, ())]
            unit = max([1.0, *(value for _, value in terms)])  # yen beside ones and zeros would lose themselves in tolerances
            self.row(-highspy.kHighsInf, ceiling.most / unit, *((column, value / unit) for column, value in terms))

    def variable(self, cost: float, high: float, whole: bool) -> int:
        """A new column from 0 to `high`."""
        self.cost.append(cost)
        self.low.append(0.0)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.cost) - 1

    def row(self, low: float, high: float, *terms: tuple[int, float]) -> None:
        """low ≤ Σ coefficient × column ≤ high."""
        held: dict[int, float] = defaultdict(float)
        for column, coefficient in terms:
            held[column] += coefficient
        self.rows.append((low, high, dict(held)))

    def _tree(self) -> None:
        demands = set(self.demands)
        for node, into in self.into.items():
            terms = [(self.column[arc], 1.0) for arc in into]
            self.row(1 if node in demands else 0, 1, *terms)
            if node not in demands:
                self.row(-highspy.kHighsInf, 0, *terms, *((self.column[arc], -1.0) for arc in self.out[node]))
        for node, out in self.out.items():
            for arc in out if node else ():
                back = [(self.column[a], -1.0) for a in self.into[node] if self.problem.arcs[a].tail != self.problem.arcs[arc].head]
                self.row(-highspy.kHighsInf, 0, (self.column[arc], 1.0), *back)

    def _steps(self) -> None:
        self.units: dict[int, list[int]] = defaultdict(list)  # step → columns of the units that its groups pay in the first year
        counted = {index for ceiling in self.problem.ceilings for index, _ in ceiling.steps}
        for index, step in enumerate(self.problem.steps):
            if step.cost == 0 and index not in counted:
                continue
            if step.level == "system":
                used = self.variable(step.cost, 1, True)
                self.units[index].append(used)
                for arc in self.arcs:
                    if self.problem.arcs[arc].technology == step.technology:
                        self.row(0, 1, (used, 1.0), (self.column[arc], -1.0))
            else:
                for terminals in (self._facilities if step.level == "facility" else self._exchanges)(step.technology):
                    many = self.variable(step.cost - (step.later[1] if len(step.later) > 1 else 0), 1e5, True)
                    self.units[index].append(many)
                    if step.capacity is None:
                        for _, in_group in terminals:
                            self.row(0, highspy.kHighsInf, (many, 1.0), (in_group, -1.0))
                        continue
                    terms = [(column, amount) for terminal, in_group in terminals for column, amount in self._loads(terminal, in_group, step.load)]
                    self.row(-highspy.kHighsInf, step.free * step.capacity, *terms, (many, -step.capacity))
                    self.high[many] = most = 1 + math.ceil(sum(amount for _, amount in terms) / step.capacity)
                    self._grow(step, many, most, terms)
                    if step.free == 0:
                        for _, in_group in terminals:
                            self.row(0, highspy.kHighsInf, (many, 1.0), (in_group, -1.0))

    def _grow(self, step: Step, many: int, most: int, terms: list[tuple[int, float]]) -> None:
        """Units had in each later year; one had in a year but not yet in the year before costs what buying it then costs (Abel's summation)."""
        before = many
        for year in range(1, len(step.growth)):
            factor, following = step.growth[year], step.later[year + 1] if year + 1 < len(step.later) else 0
            had = self.variable(step.later[year] - following, math.ceil(most * max(step.growth[: year + 1])) + 1, True)
            self.row(0, highspy.kHighsInf, (had, 1.0), (before, -1.0))
            capacity = step.capacity or 1.0
            self.row(-highspy.kHighsInf, step.free * capacity, *((column, amount * factor) for column, amount in terms), (had, -capacity))
            before = had

    def _facilities(self, technology: str) -> list[list[tuple[int, int]]]:
        """Per facility its possible terminals: (terminal node, column that is 1 when it hangs there)."""
        groups: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for arc in self.arcs:
            record = self.problem.arcs[arc]
            if record.kind == "link" and record.technology == technology:
                groups[record.tail].append((record.head, self.column[arc]))
        return [groups[node] for node in sorted(groups)]

    def _exchanges(self, technology: str) -> list[list[tuple[int, int]]]:
        """Per exchange the terminals of the technology, with the column that is 1 when the terminal lies below it."""
        starts = sorted({self.problem.arcs[arc].head for arc in self.arcs if self.problem.arcs[arc].kind == "exchange"})
        drops = [arc for arc in self.arcs if self.problem.arcs[arc].kind == "drop" and self.problem.arcs[arc].technology == technology]
        if not drops:
            return []
        if len(starts) == 1:
            return [[(self.problem.arcs[arc].head, self.column[arc]) for arc in drops]]
        below = self._labels(starts)
        found = []
        for start in starts:
            group = []
            for arc in drops:
                record = self.problem.arcs[arc]
                label = self.variable(0.0, 1, False)
                self.row(-1, highspy.kHighsInf, (label, 1.0), (below[record.tail, start], -1.0), (self.column[arc], -1.0))
                group.append((record.head, label))
            found.append(group)
        return found

    def _labels(self, starts: list[int]) -> dict[tuple[int, int], int]:
        """Columns that are 1 when a junction lies below an exchange; made once."""
        if not hasattr(self, "_below"):
            nodes = sorted({n for a in self.arcs for n in (self.problem.arcs[a].tail, self.problem.arcs[a].head) if self.problem.nodes[n].kind == "junction"})
            self._below = {(node, start): self.variable(0.0, 1, False) for node in nodes for start in starts}
            for arc in self.arcs:
                record = self.problem.arcs[arc]
                if record.kind == "exchange":
                    self.row(0, highspy.kHighsInf, (self._below[record.head, record.head], 1.0), (self.column[arc], -1.0))
                elif record.kind in ("line", "plant"):
                    for start in starts:
                        terms = ((self._below[record.head, start], 1.0), (self._below[record.tail, start], -1.0), (self.column[arc], -1.0))
                        self.row(-1, highspy.kHighsInf, *terms)
        return self._below

    def _loads(self, terminal: int, in_group: int, load: str) -> list[tuple[int, float]]:
        """Terms whose sum is at least the load that a terminal puts on its group."""
        if load == "sites":
            return [(in_group, 1.0)]
        terms = []
        for _, (amount, serving) in sorted(self._uses(terminal, load).items()):
            if amount:
                both = self.variable(0.0, 1, False)
                for column in serving:
                    self.row(-1, highspy.kHighsInf, (both, 1.0), (in_group, -1.0), (column, -1.0))
                terms.append((both, amount))
        return terms

    def _uses(self, terminal: int, load: str) -> dict[tuple[str, str], tuple[float, list[int]]]:
        """Per (site, use case) that a terminal may serve: its load and the columns of the serve arcs."""
        if not hasattr(self, "_demand_at"):
            self._demand_at = {demand.node: demand for demand in self.problem.demands}
        uses: dict[tuple[str, str], tuple[float, list[int]]] = {}
        for arc in self.out[terminal]:
            demand = self._demand_at[self.problem.arcs[arc].head]
            amount = {"devices": demand.devices, "mbps": demand.down_mbps, "up": demand.up_mbps}[load]
            uses.setdefault((demand.site, demand.usecase), (amount, []))[1].append(self.column[arc])
        return uses

    def _reach(self) -> None:
        limits = {limit.technology: limit.reach_m for limit in self.problem.limits if limit.reach_m is not None}
        wired = [arc for arc in self.arcs if self.problem.arcs[arc].kind in ("exchange", "line", "plant", "drop")]
        metre = {arc: self.problem.arcs[arc].length_m if self.problem.arcs[arc].kind in WIRED else 0.0 for arc in wired}
        total = sum(metre.values())
        bound = [arc for arc in wired if self.problem.arcs[arc].kind in WIRED and limits.get(self.problem.arcs[arc].technology or "", np.inf) < total]
        if not bound:
            return
        metres: dict[int, int] = {}
        held = set(bound)
        for arc in wired:
            record = self.problem.arcs[arc]
            for node in (record.tail, record.head):
                if node and self.problem.nodes[node].kind == "junction" and node not in metres:
                    metres[node] = self.variable(0.0, total, False)
        for arc in wired:
            record, x = self.problem.arcs[arc], self.column[arc]
            start = [(metres[record.tail], -1.0)] if record.tail else []
            big = total + metre[arc]
            if record.kind != "drop":
                self.row(metre[arc] - big, highspy.kHighsInf, (metres[record.head], 1.0), *start, (x, -big))
            if arc in held:
                reach = limits[record.technology or ""]
                self.row(-highspy.kHighsInf, total, *((column, 1.0) for column, _ in start), (x, total - reach + metre[arc]))

    def _rates(self) -> None:
        limits = {limit.technology: limit for limit in self.problem.limits}
        for terminal in sorted({self.problem.arcs[arc].tail for arc in self.arcs if self.problem.arcs[arc].kind == "serve"}):
            limit = limits.get(self.problem.nodes[terminal].technology or "")
            for load, most in (("mbps", limit.down_mbps), ("up", limit.up_mbps)) if limit else ():
                uses = self._uses(terminal, load)
                if most is None or sum(amount for amount, _ in uses.values()) <= most:
                    continue
                terms = []
                for amount, serving in uses.values():
                    if len(serving) == 1:
                        terms.append((serving[0], amount))
                    else:
                        any_of = self.variable(0.0, 1, False)
                        for column in serving:
                            self.row(0, highspy.kHighsInf, (any_of, 1.0), (column, -1.0))
                        terms.append((any_of, amount))
                self.row(-highspy.kHighsInf, most, *terms)


def improve(
    problem: Problem,
    graph: Graph,
    judge: Judge,
    arcs: Ints,
    known: Sequence[tuple[int, Ints]],
    incumbent: Judged,
    looks: int,
    nodes: int,
    rounds: int,
    stop: Callable[[], bool],
    seconds: float,
    tell: Callable[[Judged], None] = lambda _: None,
) -> tuple[Judged, bool]:
    """The best design over the given arcs, or the incumbent when none is better; and whether the limits allowed to solve to the end.

    Parameters
    ----------
    known    cuts to start with: demand node, nodes inside
    looks    limit on how often HiGHS asks whether to go on, over all solves
    nodes    limit on branch-and-bound nodes of each solve
    rounds   limit on solves
    seconds  limit on time, inf for none (a deterministic run)
    tell     called with each better design
    """
    programme = Programme(problem, arcs, graph.demands)
    unit = max(1.0, float(np.mean(programme.cost)))
    solver = quiet(stop)
    for cost, low, high, whole in zip(programme.cost, programme.low, programme.high, programme.whole, strict=True):
        solver.addCol(cost / unit, low, high, 0, np.array([], np.int32), np.array([], np.float64))
        if whole:
            solver.changeColIntegrality(solver.getNumCol() - 1, highspy.HighsVarType.kInteger)
    for low, high, terms in programme.rows:
        solver.addRow(low, high, len(terms), np.array(list(terms), np.int32), np.array(list(terms.values()), np.float64))
    place = np.full(graph.size, -1, np.int64)
    place[arcs] = np.arange(len(arcs))
    cuts = CutSet(graph)
    for terminal, members in known:
        inside = np.zeros(graph.count, np.bool_)
        inside[members] = True
        cuts.add(terminal, inside)
    seen = 0

    def enough(event: Any) -> None:  # HiGHS asks at the same points of every run, so this limit repeats where seconds would not
        nonlocal seen
        seen += 1
        if seen > looks:
            event.interrupt()

    solver.cbMipInterrupt.subscribe(enough)
    solver.setOptionValue("mip_max_nodes", nodes)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", 0.4 / unit)
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", seconds)
    best, rows, optimal = incumbent, 0, False
    for _ in range(rounds):
        for row in range(rows, len(cuts.arcs)):
            index = place[cuts.arcs[row]]
            index = index[index >= 0].astype(np.int32)
            solver.addRow(1.0, highspy.kHighsInf, len(index), index, np.ones(len(index)))
        rows = len(cuts.arcs)
        _start_from(solver, best, arcs, programme)
        values = run_twice(solver, np.array(programme.cost) / unit)
        if len(values) < len(arcs) or not solver.getSolution().value_valid:
            break
        chosen = np.zeros(graph.size)
        chosen[arcs] = np.round(values[: len(arcs)])
        found = judge.judge(np.flatnonzero(chosen > 0.5).tolist())
        if found.rank < best.rank:
            best = found
            tell(best)
        if stop() or not separate(graph, chosen, cuts):
            optimal = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal and not found.broken
            break
    return best, optimal


def run_twice(solver: highspy.Highs, cost: Floats) -> Floats:
    """Solve, and once more where the first answer cannot be right; the values of the columns.

    The presolve of HiGHS 1.16 may improve a solution that was handed over, prove the better objective and yet return the values that were handed over
    (https://github.com/ERGO-Code/HiGHS/issues/1570), or call a programme infeasible that is not; then it is solved again without presolve and without
    that solution. To be taken out once a version returns what it proves.
    """
    solver.run()
    values = np.array(solver.getSolution().col_value)
    proved = solver.getInfo().objective_function_value
    wrong = len(values) == len(cost) and solver.getSolution().value_valid and float(cost @ values) > proved + 1e-6 * max(1.0, abs(proved))
    if wrong or solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        solver.clearSolver()
        solver.setOptionValue("presolve", "off")
        solver.run()
        solver.setOptionValue("presolve", "choose")
        values = np.array(solver.getSolution().col_value)
    return values


def _start_from(solver: highspy.Highs, best: Judged, arcs: Ints, programme: Programme) -> None:
    """Hand the arcs of the incumbent over, if all of them are columns; HiGHS fills in the rest."""
    held = set(best.arcs)
    if best.broken or not held <= set(programme.column):
        return
    index = np.arange(len(arcs), dtype=np.int32)
    solver.setSolution(len(arcs), index, np.array([float(arc in held) for arc in arcs.tolist()]))
