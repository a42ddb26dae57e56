"""Step 5, funding 費用と支援: lines, budget, supports, contracts, calendar, ways, plant, energy, benefit and viability of one plan.

In: a plan with its problem, the region, the catalogue, what people put in by hand, the day. Out: a Funding, which holds every amount that the papers of
the office show, and a step that holds none. The same arguments give the same Funding; the design is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from kiban.base.errors import FinanceError, KibanError
from kiban.base.money import to_yen
from kiban.catalogue import Catalogue
from kiban.finance.benefit import benefits
from kiban.finance.budget import Costs, budget, costs, revenue_years
from kiban.finance.calendar import calendar
from kiban.finance.contracts import contracts, flag, number
from kiban.finance.energy import energy
from kiban.finance.estimate import estimate
from kiban.finance.plants import plant_options
from kiban.finance.revenue import yearly_revenue
from kiban.finance.social import social_capital
from kiban.finance.stacking import money
from kiban.finance.support import Project, answers
from kiban.finance.viability import viability
from kiban.finance.ways import ways
from kiban.loop.given import Given, digest, pins, step
from kiban.records.design import Problem
from kiban.records.fact import NamedFact
from kiban.records.funding import COMPONENT, Funding, Inputs, Line
from kiban.records.model import Component
from kiban.records.plan import Plan, PlanStep
from kiban.records.region import Evidence, Fact, Region
from kiban.records.rule import DatedList
from kiban.records.source import Confidence, Text
from kiban.records.support import Category, SupportAnswer

TYPED = "inputs.json"  # where a fact comes from that somebody typed in
APRIL = 4
WORDS = {"yes": True, "no": False, "true": True, "false": False, "はい": True, "いいえ": False, "有": True, "無": False}


def facts_of(region: Region, inputs: Inputs, catalogue: Catalogue) -> tuple[dict[str, Fact], tuple[dict[str, str], ...]]:
    """The named facts of a plan: the region's rows, people's own values above them, and defaults below; and the defaults that were taken.

    Raises
    ------
    KibanError  a value does not fit the kind or the range of its fact; the message names the fact and where it was typed
    """
    found: dict[str, Fact] = {}
    for row in region.facts:
        if row.value is not None:
            found[row.id] = _fitting(row, catalogue.facts.get(row.id), f"region {region.id}, facts.csv, {row.id}")
    for id, value in sorted(inputs.facts.items()):
        named = catalogue.facts.get(id)
        typed = Fact(id=id, value=value, unit=named.unit if named else None, evidence=Evidence(source=TYPED, confidence=Confidence.A))
        found[id] = _fitting(typed, named, f"{TYPED}, facts, {id}")
    taken = []
    for id, named in sorted(catalogue.facts.items()):
        if id in found or named.default is None or named.default_why is None:
            continue
        why = Evidence(assumed=True, reason=named.default_why.ja, confirm=named.desk.ja, confidence=Confidence.D)
        found[id] = Fact(id=id, value=named.default, unit=named.unit, evidence=why)
        taken.append({"id": id, "name": named.name.ja, "value": _shown(named), "reason": named.default_why.ja, "confirm": named.desk.ja})
    return found, tuple(taken)


def _shown(named: NamedFact) -> str:
    """A default as it is read: はい, the name of a choice, a number with its unit."""
    value = named.default
    if isinstance(value, bool):
        return "はい" if value else "いいえ"
    if isinstance(value, int | float):
        return f"{value:,.10g}{'' if named.unit in (None, '1') else ' ' + str(named.unit)}"
    return named.choices[str(value)].ja if str(value) in named.choices else str(value)


def _fitting(fact: Fact, named: NamedFact | None, where: str) -> Fact:
    """The fact with a value of the kind that its file asks for."""
    if named is None:
        return fact
    value: Any = fact.value
    fits = {
        "number": f"a number in {named.unit}",
        "flag": "yes or no",
        "text": "a text",
        "day": "a day as YYYY-MM-DD",
        "choice": f"one of {', '.join(named.choices)}",
    }[named.kind]
    bad = KibanError(where, repr(value), fits, "correct it")
    if named.kind == "flag" and not isinstance(value, bool):
        value = WORDS.get(str(value).strip().lower(), {1.0: True, 0.0: False}.get(value) if isinstance(value, int | float) else None)
        if value is None:
            raise bad
    elif named.kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad
        if named.whole and value != int(value):
            raise KibanError(where, f"{value:g}", f"a whole number in {named.unit}", "correct it")
        if not (named.low is None or named.low <= value) or not (named.high is None or value <= named.high):
            ends = ["" if end is None else f"{end:g}" for end in (named.low, named.high)]
            raise KibanError(where, f"{value:g}", f"{'…'.join(ends)} {named.unit}", "correct it")
    elif named.kind == "day":
        try:
            date.fromisoformat(str(value))
        except ValueError as error:
            raise bad from error
    elif named.kind == "choice" and value not in named.choices:
        raise bad
    return Fact(id=fact.id, value=value, unit=fact.unit or named.unit, evidence=fact.evidence, year=fact.year)


def _list(catalogue: Catalogue, rule: str, day: date) -> DatedList | None:
    """The edition of a list that holds; None where there is no such file."""
    return catalogue.list_at(rule, day) if rule in catalogue.rules else None


def _step(plan: Plan, id: str) -> Mapping[str, Any]:
    """The body of a step of the plan; empty where it has none."""
    return next((one.body for one in plan.steps if one.id == id), {})


def _parts(plan: Plan, catalogue: Catalogue) -> tuple[Component, ...]:
    """The components of the plan's standard model that its specification asks for."""
    model = catalogue.models.get(str(_step(plan, "options").get("model")))
    named = {clause.component for clause in model.clauses} if model else set()
    return tuple(part for part in model.components if part.id in named) if model else ()


def _project(plan: Plan, lines: Iterable[Line], side: Costs, facts: Mapping[str, Fact], catalogue: Catalogue, tax_rate: float) -> Project:
    """What the supports are asked about."""
    usecases = tuple(_step(plan, "needs").get("usecases", ()))
    lines = tuple(lines)
    yearly: dict[Category, float] = {}
    for line in lines:
        if line.phase == "yearly" and line.yearly:
            yearly[line.category] = yearly.get(line.category, 0.0) + line.yearly[0]
    applicant = facts["applicant"].value if "applicant" in facts else None
    return Project(
        usecases=usecases,
        fields=tuple(dict.fromkeys(catalogue.usecases[id].field.ja for id in usecases if id in catalogue.usecases)),
        technologies=tuple(sorted({line.technology for line in lines} - {COMPONENT})),
        categories=tuple(sorted({line.category for line in lines})),
        stage="build",
        applicant=applicant if isinstance(applicant, str) else "municipality",
        initial=side.initial,
        yearly={category: to_yen(amount * (1 + tax_rate)) for category, amount in yearly.items()},
        unpriced=tuple(sorted({line.category for line in lines if line.basis == "awaiting" or line.quantity is None})),
    )


def _unit(catalogue: Catalogue, day: date) -> int | None:
    """The unit to which bonds are rounded down, JPY; None where no rule gives it."""
    if "bond-rounding" not in catalogue.rules:
        return None
    if catalogue.rules["bond-rounding"].values:
        value = catalogue.rule_at("bond-rounding", day).quantity.value
    else:
        value = next((entry.quantity.value for entry in catalogue.list_at("bond-rounding", day).entries if entry.quantity is not None), None)
    return int(value) if value else None


def _day(facts: Mapping[str, Fact], id: str) -> date | None:
    fact = facts.get(id)
    return date.fromisoformat(str(fact.value)) if fact is not None and fact.value is not None else None


def fund(plan: Plan, region: Region, problem: Problem, catalogue: Catalogue, inputs: Inputs, today: date) -> Funding:
    """All money of a plan.

    Parameters
    ----------
    plan      with its steps up to the design and its ledger
    problem   that its design was found in
    inputs    facts, own quantities and prices, quotes, the rate of tax
    today     fixes the rules and lists in force; supports are asked for the first fiscal year of the problem

    Raises
    ------
    FinanceError  no list of budget sections, or an amount that cannot be: nothing is published
    KibanError    a fact that does not fit its file
    """
    body = _step(plan, "design")
    facts, taken = facts_of(region, inputs, catalogue)
    form = _list(catalogue, "budget-form", today)
    if form is None:
        raise FinanceError("rules/budget-form.yaml", "no such file", "the list of budget sections", "add it, with tags of cost scopes and when.category")
    lines = estimate(
        problem,
        plan.figures,
        catalogue.technologies,
        form,
        excludes=[(row["technology"], row["cost"]) for row in body.get("excludes", ())],
        plants=region.plants,
        parts=_parts(plan, catalogue),
        inputs=inputs,
    )
    tax_rate = inputs.tax_rate
    if tax_rate is None:
        tax_rate = catalogue.rule_at("consumption-tax", today).quantity.value or 0.0
    start, horizon = problem.start, problem.horizon
    start_month = int(number(facts, "service_start_month") or APRIL)
    side = costs(lines, start=start, horizon=horizon, tax_rate=tax_rate, start_month=start_month)
    said = answers(catalogue.supports, facts, _project(plan, lines, side, facts, catalogue, tax_rate), start)
    no_tax_grant = bool(flag(facts, "no_tax_grant"))
    aid = money(
        said, catalogue.supports, side, lines, interest=number(facts, "bond_interest"), unit=_unit(catalogue, today), no_tax_grant=no_tax_grant, facts=facts
    )
    revenue = revenue_years(yearly_revenue(facts)[0], horizon, side.running_months)
    nobody = {word.strip() for texts in catalogue.words.values() for word in texts.get("verdict.nobody", "").split("|")}
    payer = "payer_after_support" in facts and str(facts["payer_after_support"].value or "").strip() not in nobody | {""}
    adopted = budget("adopted", side, aid, revenue, payer_known=payer)
    refused = budget("refused", side, (), revenue, payer_known=payer)
    sections = {entry.id: entry.name for entry in form.entries}
    made = contracts(
        lines,
        facts,
        start=start,
        tax_rate=tax_rate,
        small=_list(catalogue, "small-contract", today),
        assembly=_list(catalogue, "assembly-decision", today),
        terms=_list(catalogue, "contract-term", today),
        sections=sections,
        years=int(number(facts, "contract_years") or horizon),
    )
    months = calendar(
        _list(catalogue, "budget-calendar", today),
        start=start,
        start_month=start_month,
        today=today,
        answers=said,
        supports=catalogue.supports,
        counted=adopted.supports,
        assembly=any(one.assembly != "no" for one in made),
        current_contract_end=_day(facts, "current_contract_end"),
        sources={key: source.title for key, source in catalogue.rules["budget-calendar"].sources.items()} if "budget-calendar" in catalogue.rules else {},
    )
    offered = ways(
        lines,
        side,
        tax_rate=tax_rate,
        lease_rate=number(facts, "lease_rate_month"),
        quotes=inputs.quotes,
        buy=body.get("buy"),
        subsidised=any(part.column != "bond" for part in aid),
    )
    texts = catalogue.words
    kpis = catalogue.models[model].kpis if (model := str(_step(plan, "options").get("model"))) in catalogue.models else ()
    gains = benefits(facts, kpis, catalogue.facts, texts=texts)
    living = viability(adopted, refused, lines, facts, texts=texts)
    plants = plant_options(region, problem, facts, tax_rate=tax_rate, today=today)
    wanted = {row["site"] for row in _step(plan, "needs").get("wanted", ())}
    places = {site.kind for site in region.sites if site.id in wanted}
    social, social_text, social_ask = social_capital(
        [*sorted(places), *_step(plan, "needs").get("usecases", ())], facts, _list(catalogue, "social-capital", today)
    )
    required = number(facts, "quotes_required")
    asked: list[str] = [*(id for answer in said for id in _open(answer)), *_contract_facts(made, facts)]
    asked += [id for way in offered for id in way.needs] + [id for row in gains for id in row.ask] + [*living.missing, *social_ask]
    asked += [id for option in plants for id in option.ask]
    asked += ["payer_after_support"] * (not payer) + ["bond_interest"] * any(debt.interest is None for debt in adopted.debt)
    electricity = number(facts, "electricity_price")
    if electricity is None:
        if "electricity-price" not in catalogue.rules:
            asked.append("electricity_price")
        else:
            guide, named = catalogue.rule_at("electricity-price", today).quantity, catalogue.facts.get("electricity_price")
            electricity = guide.value
            if electricity is not None and named is not None:
                value, reason = f"{electricity:g} {guide.unit}", f"{catalogue.rules['electricity-price'].name.ja}（確度{guide.confidence}）"
                taken = (*taken, {"id": "electricity_price", "name": named.name.ja, "value": value, "reason": reason, "confirm": named.desk.ja})
    return Funding(
        plan=plan.id,
        inputs=digest([plan.id, {key: figure.value for key, figure in plan.figures.items()}, inputs, region.facts, region.plants, catalogue.hashes, today]),
        made_on=today,
        start=start,
        horizon=horizon,
        tax_rate=tax_rate,
        lines=lines,
        answers=said,
        adopted=adopted,
        refused=refused,
        ways=offered,
        contracts=made,
        calendar=months,
        benefits=gains,
        viability=living,
        plants=plants,
        energy=energy(lines, catalogue.technologies, electricity),
        social_capital=social,
        social_capital_text=social_text,
        assumed=taken,
        missing=tuple(id for id in dict.fromkeys(asked) if id not in facts and (id in catalogue.facts or not catalogue.facts)),
        quotes_required=None if required is None else int(required),
    )


def _open(answer: SupportAnswer) -> tuple[str, ...]:
    """The facts that an answer waits for; of an excluded support none."""
    return answer.missing if "missing" in (answer.answer, answer.example) else ()


def _contract_facts(made: Iterable[Any], facts: Mapping[str, Fact]) -> list[str]:
    """Facts that would decide how a part is contracted."""
    asked = []
    if any(contract.method == "ask" or contract.assembly == "ask" for contract in made):
        asked.append("body_kind")
    if flag(facts, "longterm_ordinance") is None and any(contract.term == "commitment" for contract in made):
        asked.append("longterm_ordinance")
    return asked


def funding_step(given: Given, funding: Funding) -> PlanStep:
    """The step of the plan: what the supports answer, what is missing, the lines; every amount stands in funding.json."""
    body = {
        "file": "funding.json",
        "answers": [
            {"support": one.support, "answer": one.answer, "example": one.example, "missing": list(one.missing), "judge": _plain(one.judge)}
            for one in funding.answers
        ],
        "counted": list(funding.adopted.supports),
        "past": list(funding.adopted.past),
        "lines": [{"id": line.id, "basis": line.basis, "figure": line.ref} for line in funding.lines],
        "awaiting": [line.id for line in funding.lines if line.basis == "awaiting"],
        "payer_after": funding.adopted.payer_after,
        "contracts": [{"id": one.id, "method": one.method, "assembly": one.assembly, "term": one.term} for one in funding.contracts],
        "ways": [{"id": way.id, "needs": list(way.needs)} for way in funding.ways],
        "social_capital": funding.social_capital,
        "missing": list(funding.missing),
        "assumed": [row["id"] for row in funding.assumed],
    }
    rules = ("budget-form", "small-contract", "assembly-decision", "contract-term", "budget-calendar", "bond-rounding", "social-capital", "consumption-tax")
    entries = [f"rules/{rule}" for rule in rules] + [f"supports/{one.support}" for one in funding.answers] + [f"facts/{id}" for id in given.catalogue.facts]
    return step("funding", funding.inputs, body, pins(given, *entries))


def _plain(said: Text | None) -> dict[str, str] | None:
    return None if said is None else {"ja": said.ja, "en": said.en}
