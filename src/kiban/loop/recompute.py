"""A plan computed again from its leaves, with other values for some of them if asked.

In: a plan and its problem. Out: every figure's value. The bound is computed again by the same dual ascent on the changed costs,
with all of the design's work: where a time limit or Ctrl-C had cut the work short, it may come out higher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.design import gap, share  # noqa: F401  their formulas are registered
from kiban.design.bound import bound_of
from kiban.design.figures import BOUND, with_costs
from kiban.finance.ledger import recompute_all
from kiban.records.design import Design, Problem
from kiban.records.plan import Plan


def recompute_plan(plan: Plan, problem: Problem, design: Design, leaves: Mapping[str, float] | None = None) -> dict[str, float | None]:
    """Every number of a plan computed again; `leaves` puts other values on source, assumed or choice figures."""
    served = [demand.node for demand, arc in zip(problem.demands, design.served, strict=True) if arc >= 0]  # the bound counts no other demand

    def bound(values: Sequence[float]) -> float:
        return bound_of(with_costs(problem, values), design.work, design.seed, served=served).bound

    return recompute_all(plan.figures, leaves or {}, {BOUND: bound})
