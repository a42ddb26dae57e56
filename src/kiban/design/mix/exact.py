"""A mix as an integer programme in HiGHS, for what is left when it is small: with modules as whole numbers and cuts added until all is joined.

In: a Ground. Out: chosen vertices of a design, and a bound. An integer solution that leaves something cut off is answered with the cuts it violates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from kiban.design.cuts import quiet
from kiban.design.exact import run_twice
from kiban.design.mix.graph import HOP, OPEN, RADIO, Flags, Floats, Ground, Ints
from kiban.design.steiner.ascent import FAR
from kiban.design.steiner.cuts import UNIT, separate

MOST_CUTS = 300  # of one round
ROUNDS = 60
LOOSE = 1e-6  # of the bound: what the solver's tolerances may hide


class Programme:
    """One column per arc that is there, and one per facility with a capacity for its modules."""

    def __init__(self, ground: Ground, terminal: Flags, opening: Ints, demand: Floats, capacity: Floats, stop: Callable[[], bool]) -> None:
        self.ground, self.terminal = ground, terminal
        self.arcs = np.flatnonzero(ground.cost < FAR)
        self.arcs = self.arcs[ground.head[self.arcs] != ground.root]
        cost = ground.cost[self.arcs].astype(np.float64)
        base = ground.streets
        kind, head = ground.kind[self.arcs >> 1], ground.head[self.arcs]
        facility = np.where((head >= base) & (head < base + ground.facilities), head - base, -1)
        opens = (facility >= 0) & ((kind == OPEN) | (kind == HOP))
        limited = np.flatnonzero(opens)
        limited = limited[np.isfinite(capacity[facility[limited]])]
        cost[limited] -= opening[facility[limited]]  # paid by the modules
        self.unit = max(1.0, float(cost.max(initial=1.0)), float(opening.max(initial=1)))
        self.solver: highspy.Highs = quiet(stop)
        many = len(self.arcs)
        self.solver.addVars(many, np.zeros(many), np.ones(many))
        places = np.arange(many, dtype=np.int32)
        self.solver.changeColsCost(many, places, cost / self.unit)
        self.solver.changeColsIntegrality(many, places, np.full(many, highspy.HighsVarType.kInteger))
        self.rows(ground, opening, demand, capacity)
        self.seen: set[bytes] = set()
        self.cost: Floats = np.array(self.solver.getLp().col_cost_)

    def rows(self, ground: Ground, opening: Ints, demand: Floats, capacity: Floats) -> None:
        """One way into each site, at most one into anything else, none out of what has none in; modules carry what is served."""
        solver, base = self.solver, ground.streets
        tail, head = ground.head[self.arcs ^ 1], ground.head[self.arcs]
        into = np.argsort(head, kind="stable")
        from_ = np.searchsorted(head[into], np.arange(ground.size + 1))
        out = np.argsort(tail, kind="stable")
        until = np.searchsorted(tail[out], np.arange(ground.size + 1))
        infinity = highspy.kHighsInf

        def row(low: float, high: float, columns: Ints, values: Floats) -> None:
            solver.addRow(low, high, len(columns), columns.astype(np.int32), values)

        for v in range(ground.size):
            ins, outs = into[from_[v] : from_[v + 1]], out[until[v] : until[v + 1]]
            if v == ground.root:
                continue
            if self.terminal[v]:
                row(1.0, 1.0, ins, np.ones(len(ins)))
                continue
            if not len(ins):
                for column in outs.tolist():
                    solver.changeColBounds(column, 0.0, 0.0)
                continue
            row(0.0, 1.0, ins, np.ones(len(ins)))
            row(-infinity, 0.0, np.concatenate((ins, outs)), np.concatenate((np.ones(len(ins)), -np.ones(len(outs)))))
            for column in outs.tolist():
                others = ins[tail[ins] != head[column]]
                row(-infinity, 0.0, np.append(others, column), np.append(-np.ones(len(others)), 1.0))
        for f in np.flatnonzero(np.isfinite(capacity)).tolist():
            v = base + f
            ins, outs = into[from_[v] : from_[v + 1]], out[until[v] : until[v + 1]]
            outs = outs[ground.kind[self.arcs[outs] >> 1] == RADIO]
            if not len(ins):
                continue
            load = demand[head[outs] - base - ground.facilities]
            solver.addVar(0.0, float(np.ceil(load.sum() / capacity[f]) + 1))
            modules = solver.getNumCol() - 1
            solver.changeColCost(modules, float(opening[f]) / self.unit)
            solver.changeColIntegrality(modules, highspy.HighsVarType.kInteger)
            row(-infinity, 0.0, np.append(ins, modules), np.append(np.ones(len(ins)), -1.0))
            if len(outs):
                row(-infinity, 0.0, np.append(outs, modules), np.append(load, -capacity[f]))

    def solve(self, served: Ints, parent: Ints, looks: int, flag: NDArray[np.uint8]) -> tuple[Flags | None, Ints, float]:
        """From a known design: (vertices of the best connected solution or None, serving edge per site, bound in the ground's cost unit).

        looks: how often HiGHS may ask whether to go on; the bound holds whatever is cut short.
        """
        ground, solver = self.ground, self.solver
        start = np.zeros(len(ground.head), np.float64)
        start[parent[parent >= 0]] = 1.0
        start[2 * served[served >= 0]] = 1.0
        columns = np.arange(len(self.arcs), dtype=np.int32)
        solver.setOptionValue("mip_rel_gap", 0.0)
        solver.setOptionValue("mip_abs_gap", 0.4 / self.unit)
        seen = 0

        def enough(event: Any) -> None:  # HiGHS asks at the same points of every run, so this limit repeats where seconds would not
            nonlocal seen
            seen += 1
            if seen > looks:
                event.interrupt()

        solver.cbMipInterrupt.subscribe(enough)
        bound = 0.0
        order = np.flatnonzero(self.terminal)
        for _ in range(ROUNDS):
            solver.setSolution(len(columns), columns, start[self.arcs])
            seen = 0
            run_twice(solver, self.cost)
            info = solver.getInfo()
            if flag[0] or not np.isfinite(info.mip_dual_bound):
                break
            bound = max(bound, info.mip_dual_bound * self.unit * (1.0 - LOOSE if info.mip_dual_bound * self.unit > 1e5 else 1.0))
            if not solver.getSolution().value_valid:
                break
            optimal = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
            value = np.zeros(len(ground.head))
            value[self.arcs] = np.round(np.array(solver.getSolution().col_value)[: len(self.arcs)])
            capacity = np.where(value > 0.5, UNIT, 0).astype(np.int64)
            many, sets, _ = separate(ground.start, ground.arcs, ground.head, capacity, order, ground.root, MOST_CUTS, 2, flag)
            if not self.add(sets[:many]):
                chosen = np.flatnonzero(value > 0.5)
                found = np.zeros(ground.size, np.bool_)
                found[ground.head[chosen]] = True
                serving = chosen[self.terminal[ground.head[chosen]]]
                how = np.full(ground.sites, -1, np.int64)
                how[ground.head[serving] - ground.streets - ground.facilities] = serving >> 1
                found[ground.streets + ground.facilities :] = False
                return found, how, bound
            if not optimal:
                break
        return None, served, bound

    def add(self, sets: Flags) -> int:
        """Cuts that are not there yet; returns how many."""
        ground, fresh = self.ground, 0
        tail, head = ground.head[self.arcs ^ 1], ground.head[self.arcs]
        for inside in sets:
            row = np.flatnonzero(inside[head] & ~inside[tail]).astype(np.int32)
            key = row.tobytes()
            if not len(row) or key in self.seen:
                continue
            self.seen.add(key)
            self.solver.addRow(1.0, highspy.kHighsInf, len(row), row, np.ones(len(row)))
            fresh += 1
        return fresh
