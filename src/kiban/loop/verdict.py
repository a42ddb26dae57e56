"""Step 5, verdict 判定: what may be decided today, and what must be asked first.

In: the steps above, the money, the named facts. Out: each open point and whom to ask, the seven options side by side, and hold 保留 or one of them.
No option is recommended while a fact that could flip it is unknown: a question whose answer makes the model wrong, a region without an exchange, an
option that no record prices, a count that a need goes by, a technology whose coverage nobody states, a capability whose evidence ranges below the
need, an assumed row, an offer of the prefecture not yet asked for, a named fact. The choice itself is made in the verdict room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from kiban.design.admit import TESTED, ask
from kiban.design.figures import Sheet
from kiban.finance.ledger import Ledger
from kiban.finance.revenue import number
from kiban.loop.given import Given, pins, step, strange_technologies, text
from kiban.records.design import Design, Problem
from kiban.records.funding import Funding
from kiban.records.plan import PlanStep
from kiban.records.region import Fact
from kiban.records.technology import Technology
from kiban.verdict import Grounds, choose, fact_points, option_points, priority_rows

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


def open_points(
    given: Given, questions: list[dict[str, Any]], options: PlanStep, design_body: dict[str, Any], problem: Problem, design: Design, ledger: Ledger
) -> list[dict[str, Any]]:
    """What is open in the region, the catalogue and the design, each with its kind, what it is about and whom to ask."""
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
    for row in design_body.get("untested", ()):  # a plan that was made before has no such rows
        about = [f"usecases/{row['usecase']}"]
        points.append({"kind": "count", "about": about, "need": row["need"], "by": row["by"], "sites": row["sites"], "ask": "ask.count"})
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
    return points


def option_costs(given: Given, facts: Mapping[str, Fact], options: PlanStep, ledger: Ledger) -> dict[str, str]:
    """What leaving it costs and what offers charge, as present values over the horizon; option → id of a figure, only where facts or records give it."""
    day = given.now.date()
    discount = f"rules/discount-rate@{given.catalogue.rule_at('discount-rate', day).since}"
    years = int(given.catalogue.rule_at("horizon", day).quantity.value or 0)
    costs = {}
    running = [_fact_figure(given, facts, "service_cost_before", ledger)]
    outages = [_fact_figure(given, facts, id, ledger) for id in ("failures_per_year", "outage_cost")]
    if None not in outages:
        running.append(ledger.formula("verdict/leave/outages", "finance.products", "JPY/year", [id for id in outages if id is not None]))
    if running[0] is not None:
        yearly = ledger.formula("verdict/leave/year", "finance.sum", "JPY/year", [id for id in running if id is not None])
        costs["leave"] = ledger.formula("verdict/leave/cost", "finance.npv_yearly", "JPY", [discount, *[yearly] * years])
    for row in options.body["rows"]:
        for record in row["records"] if row["kind"] in ("share", "buy") else ():
            price = given.catalogue.offers[record.partition("/")[2]].price
            if price is not None and price.value is not None and price.unit == "JPY/year":
                fee = ledger.source(f"{record}#price", price.value, price.unit, f"{record}#price {price.source}", price.confidence)
                costs[row["kind"]] = ledger.formula(f"verdict/{row['kind']}/cost", "finance.npv_yearly", "JPY", [discount, *[fee] * years])
                break
    return costs


def _fact_figure(given: Given, facts: Mapping[str, Fact], id: str, ledger: Ledger) -> str | None:
    """A named fact as a figure: of the region's row, the default of its file, or typed in by somebody; None where nobody has said it."""
    value = number(facts, id)
    if value is None:
        return None
    fact, region = facts[id], given.region
    row = next((one for one in region.facts if one.id == id), None)
    if row is not None and row.evidence == fact.evidence:
        key = f"region/{region.id}#{id}"
        ref = f"{key} {fact.evidence.source or ''}".rstrip()
        return ledger.source(key, value, fact.unit or "1", ref, fact.evidence.confidence, assumed=fact.evidence.assumed)
    if fact.evidence.assumed:  # the default of its file
        return ledger.source(f"facts/{id}#default", value, fact.unit or "1", f"facts/{id}#default", fact.evidence.confidence, assumed=True)
    return ledger.choice(f"inputs#{id}", value, fact.unit or "1", f"inputs.json#facts.{id}")


def verdict_step(
    given: Given,
    questions: list[dict[str, Any]],
    usecases: list[str],
    options: PlanStep,
    design_body: dict[str, Any],
    problem: Problem,
    design: Design,
    ledger: Ledger,
    funding: Funding | None = None,
    *,
    cases: Sequence[Mapping[str, Any]] = (),
    facts: Mapping[str, Fact] | None = None,
) -> PlanStep:
    """The open points, the three priority tests of the seed, and the verdict over all options with its letters.

    Parameters
    ----------
    funding  the money of the plan; without it nothing is said of payer, approvals and social capital
    cases    the near cases of the issue step
    facts    named facts by id: the region's rows with what people typed in; without them the region's rows alone
    """
    known = {fact.id: fact for fact in given.region.facts} if facts is None else facts
    grounds = Grounds(
        catalogue=given.catalogue,
        region=given.region,
        sentence=given.sentence,
        model=options.body["model"],
        usecases=usecases,
        options=options.body["rows"],
        cases=cases,
        design=design_body,
        points=open_points(given, questions, options, design_body, problem, design, ledger),
        figures=ledger.figures,
        costs=option_costs(given, known, options, ledger),
        today=given.now.date(),
        start=given.start,
        facts=known,
        funding=funding,
    )
    if grounds.flag("share_offer_asked"):  # asked and answered: the absence of a record is then an answer
        grounds = replace(grounds, points=[point for point in grounds.points if point["kind"] != "offer.share"])
    grounds = replace(grounds, points=[*grounds.points, *fact_points(grounds)])
    grounds = replace(grounds, points=[*grounds.points, *option_points(grounds)])
    verdict = choose(grounds)
    plain = msgspec.json.decode(msgspec.json.encode(verdict))
    social = funding.social_capital if funding else "unknown"
    said = funding.social_capital_text if funding else None
    body = {
        "status": verdict.conclusion.status,
        "points": list(grounds.points),
        "priority": priority_rows(grounds),
        "options": plain["options"],
        "conclusion": plain["conclusion"],
        "inquiries": plain["inquiries"],
        "fast_lane": {"open": verdict.fast_lane, "text": plain["fast_lane_text"]},
        "social_capital": {"state": social, "text": text(said.ja, said.en) if said else None},
    }
    used = pins(given, f"models/{grounds.model}", *(f"usecases/{usecase}" for usecase in usecases))
    inputs = [options.inputs, design.problem, grounds.points, known, grounds.costs, funding.inputs if funding else None]
    return step("verdict", inputs, body, used)
