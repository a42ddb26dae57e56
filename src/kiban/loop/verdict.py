"""Step 5, verdict 判定: what may be decided today, and what must be asked first.

In: the steps above. Out: hold 保留 with each open point and whom to ask, or build. No option is recommended while a fact that could flip it is
unknown: an option that no record prices, a technology whose coverage nobody states, an assumed row, an offer of the prefecture not yet asked for.
"""

from __future__ import annotations

from typing import Any

from kiban.loop.given import Given, pins, step
from kiban.records.design import Design, Problem
from kiban.records.plan import PlanStep


def verdict_step(given: Given, usecases: list[str], options: PlanStep, design_body: dict[str, Any], problem: Problem, design: Design) -> PlanStep:
    """The open points, each with its kind, what it is about and who knows, and the three priority tests of the seed."""
    points: list[dict[str, Any]] = []
    for row in options.body["rows"]:
        if row["kind"] in ("share", "join") and not row["records"]:
            points.append({"kind": f"offer.{row['kind']}", "about": [], "ask": "ask.prefecture"})
    unknown: dict[str, set[str]] = {}
    for exclusion in problem.exclusions:
        if exclusion.state == "unknown" and exclusion.need == "coverage":
            unknown.setdefault(exclusion.technology, set()).add(exclusion.site)
    for technology in sorted(unknown):
        points.append({"kind": "coverage", "about": [f"technologies/{technology}"], "sites": sorted(unknown[technology]), "ask": "ask.carrier"})
    for row in design_body["unpriced"]:
        if row["enters"]:
            points.append({"kind": "quotation", "about": [f"technologies/{row['technology']}"], "figure": row["break_even"], "ask": "ask.quotation"})
    excluded: dict[str, list[str]] = {}
    for row in design_body["excludes"]:
        excluded.setdefault(row["technology"], []).append(row["cost"])
    for technology, costs in sorted(excluded.items()):
        points.append({"kind": "excluded", "about": [f"technologies/{technology}"], "costs": costs, "ask": "ask.quotation"})
    for assumed in design_body["assumed"]:
        points.append({"kind": "assumed", "about": [assumed["id"]], "ask_whom": assumed["confirm"], "ask": "ask.confirm"})
    if design.unserved:
        points.append({"kind": "unserved", "about": sorted({site for site, _ in design.unserved}), "ask": "ask.unserved"})
    tests = [
        {"usecase": usecase, "test": priority.test, "answer": priority.answer, "reason": {"ja": priority.reason.ja, "en": priority.reason.en}}
        for usecase in usecases
        for priority in given.catalogue.usecases[usecase].priority
    ]
    body = {"status": "hold" if points else "build", "points": points, "priority": tests}
    return step("verdict", [options.inputs, design.problem, points], body, pins(given, *(f"usecases/{usecase}" for usecase in usecases)))
