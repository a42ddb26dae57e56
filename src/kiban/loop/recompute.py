"""A plan computed again from its leaves, with other values for some of them if asked.

In: a plan and its problem. Out: every figure's value. The bound is computed again by the same dual ascent on the changed costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.design.bound import certified_bound
from kiban.design.figures import BOUND, with_costs
from kiban.finance.ledger import recompute_all
from kiban.records.design import Design, Problem
from kiban.records.plan import Plan


def recompute_plan(plan: Plan, problem: Problem, design: Design, leaves: Mapping[str, float] | None = None) -> dict[str, float | None]:
    """Every number of a plan computed again; `leaves` puts other values on source, assumed or choice figures."""

    def bound(values: Sequence[float]) -> float:
        bound, _ = certified_bound(with_costs(problem, values), work=design.work, seed=design.seed)
        return bound

    return recompute_all(plan.figures, leaves or {}, {BOUND: bound})
