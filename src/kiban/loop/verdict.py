"""Step 5, verdict 判定: what may be decided today, and what must be asked first.

In: the steps above. Out: hold 保留 with each open point and whom to ask, or build. No option is recommended while a fact that could flip it is
unknown: a question whose answer makes the model wrong, a region without an exchange, an option that no record prices, a technology whose coverage
nobody states, a capability whose evidence ranges below the need, an assumed row, an offer of the prefecture not yet asked for.
"""

from __future__ import annotations

from typing import Any

from kiban.design.admit import TESTED, ask
from kiban.design.figures import Sheet
from kiban.finance.ledger import Ledger
from kiban.loop.given import Given, pins, step, strange_technologies, text
from kiban.records.design import Design, Problem
from kiban.records.plan import PlanStep
from kiban.records.technology import Technology

DELAY = "one_way_ms"  # the only need where more is worse


def weak_capabilities(given: Given, problem: Problem, design: Design, ledger: Ledger) -> list[dict[str, Any]]:
    """Technologies of the design whose evidence ranges below a need that they serve (for the delay: above it), one point per technology and need."""
    catalogue = given.catalogue
    sheet = Sheet(ledger, problem, design, given.region, catalogue.usecases)
    found: dict[tuple[str, str], list[tuple[float, str, str]]] = {}
    for result in design.sites:
        site = next(row for row in given.region.sites if row.id == result.site)
        for usecase in result.usecases:
            asked = ask(site, usecase, catalogue.usecases[usecase]).values
            for technology in result.technologies:
                for need in TESTED:
                    worst = _worst(catalogue.technologies[technology], need)
                    if need in asked and worst is not None and (worst > asked[need] if need == DELAY else worst < asked[need]):
                        found.setdefault((technology, need), []).append((asked[need], site.id, sheet.need(site.id, usecase, need)))
    points = []
    for (technology, need), rows in sorted(found.items()):
        quantity = getattr(catalogue.technologies[technology].capability, need)
        side = "high" if need == DELAY else "low"
        figure = ledger.source(
            f"technologies/{technology}#{need}/{side}",
            getattr(quantity, side),
            quantity.unit,
            f"technologies/{technology}#capability.{need}.{side} {quantity.source}",
            quantity.confidence,
        )
        hardest = (min if need == DELAY else max)(rows)
        sites = sorted({site for _, site, _ in rows})
        about = [f"technologies/{technology}"]
        points.append({"kind": "capability", "about": about, "need": need, "figure": figure, "required": hardest[2], "sites": sites, "ask": "ask.measure"})
    return points


def _worst(technology: Technology, need: str) -> float | None:
    """The unfavourable end of the range that the evidence of a capability gives; None where it gives no range."""
    quantity = getattr(technology.capability, need)
    end = None if quantity is None else quantity.high if need == DELAY else quantity.low
    return None if end is None else float(end)


def flipping_questions(given: Given, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Questions not answered yet with an answer that makes the model the wrong one."""
    form = {question.id: question for question in given.catalogue.forms["issue"].questions}
    return [
        {"kind": "question", "about": [], "text": dict(row["text"]), "question": row["id"], "ask": "ask.answer"}
        for row in listed
        if row["id"] not in given.answers and row["id"] in form and any(choice.because for choice in form[row["id"]].choices)
    ]


def verdict_step(
    given: Given,
    questions: list[dict[str, Any]],
    usecases: list[str],
    options: PlanStep,
    design_body: dict[str, Any],
    problem: Problem,
    design: Design,
    ledger: Ledger,
) -> PlanStep:
    """The open points, each with its kind, what it is about and who knows, and the three priority tests of the seed."""
    points = flipping_questions(given, questions)
    for row, id, near in strange_technologies(given):
        ja = f"「{row}」の行にある技術「{id}」がデータファイルにありません" + (f"（近いID: {near}）" if near else "")
        points.append(
            {
                "kind": "strange",
                "about": [],
                "text": text(ja, f"{row} names the technology {id!r}, which no data file describes ({near or 'none near'})"),
                "ask": "ask.row",
            }
        )
    if not any(place.kind == "exchange" for place in given.region.places):
        points.append({"kind": "no_exchange", "about": [], "ask": "ask.carrier_exchange"})
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
    points += weak_capabilities(given, problem, design, ledger)
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
