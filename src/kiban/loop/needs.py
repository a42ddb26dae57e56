"""Step 2, needs 要件: which places of the region have which use case, and what each needs.

In: the understood issue and the region. Out: the wanted (site, use case) pairs, and the needs as figures. Unknown needs are listed, not guessed.
"""

from __future__ import annotations

from typing import Any

from kiban.finance.ledger import Ledger
from kiban.issue import left_out
from kiban.loop.given import Given, pins, step
from kiban.records.issue import Issue
from kiban.records.plan import PlanStep
from kiban.records.source import Quantity
from kiban.records.usecase import Needs, Scaled

Wanted = tuple[tuple[str, str], ...]


def usecases_of(issue: Issue, given: Given) -> tuple[str, ...]:
    """The use cases that the plan is made for: those of the best model that the sentence speaks of, else all of the model, less what the answers took out."""
    model = given.catalogue.models[issue.models[0].id]
    without, _ = left_out(given.catalogue.forms["issue"], given.answers, issue.models[0].id)
    known = tuple(usecase for usecase in model.usecases if usecase in given.catalogue.usecases and usecase not in without)
    spoken = {match.id for match in issue.usecases}
    return tuple(usecase for usecase in known if usecase in spoken) or known


def needs_step(issue: Issue, given: Given, ledger: Ledger) -> tuple[PlanStep, Wanted]:
    """The needs of each use case and the places that have it."""
    usecases = usecases_of(issue, given)
    _, kinds = left_out(given.catalogue.forms["issue"], given.answers, issue.models[0].id)
    wanted = tuple(
        (site.id, usecase)
        for site in given.region.sites
        for usecase in usecases
        if site.kind in given.catalogue.usecases[usecase].sites and site.kind not in kinds
    )
    rows: list[dict[str, Any]] = []
    unknown: list[dict[str, str]] = []
    for usecase in usecases:
        needs = given.catalogue.usecases[usecase].needs
        for name in Needs.__struct_fields__:
            need = getattr(needs, name)
            if need is None or (isinstance(need, Quantity) and need.value is None):
                unknown.append({"usecase": usecase, "need": name})
            else:
                rows.append(
                    {
                        "usecase": usecase,
                        "need": name,
                        "unit": need.unit,
                        "figures": need_figures(ledger, usecase, name, need),
                        "scaled_by": getattr(need, "by", None),
                    }
                )
    body = {"usecases": list(usecases), "wanted": [{"site": site, "usecase": usecase} for site, usecase in wanted], "needs": rows, "unknown": unknown}
    pinned = pins(given, *(f"usecases/{usecase}" for usecase in usecases))
    return step("needs", [issue, given.region.id, usecases, pinned], body, pinned), wanted


def need_figures(ledger: Ledger, usecase: str, name: str, need: Quantity | Scaled) -> list[str]:
    """The leaves of one need: one figure, or one per published point."""
    base = f"usecases/{usecase}#{name}"
    if isinstance(need, Quantity):
        return [ledger.source(base, need.value, need.unit, f"usecases/{usecase}#needs.{name} {need.source}", need.confidence)]
    ids = []
    for count, value in need.points:
        ids.append(ledger.source(f"{base}/{count:g}/{need.by}", count, need.by, f"usecases/{usecase}#needs.{name} {need.source}"))
        ids.append(ledger.source(f"{base}/{count:g}", value, need.unit, f"usecases/{usecase}#needs.{name} {need.source}"))
    return ids
