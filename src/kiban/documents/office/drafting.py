"""起案文 and 議会説明資料(概要): the draft for decision, and one or two pages for the assembly.

In: a dossier. Out: Papers.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.documents.office.budget_request import after_years, contract_lines, debt_by_year, model_name, payer, places
from kiban.documents.office.cases import cost, population, stopped
from kiban.documents.office.desk import Desk, day_text, ja, owed, plain_thousand
from kiban.documents.office.project_plan import conclusion_text, points
from kiban.documents.paper import Block, Bullets, Heading, Note, Paper, Paragraph, Table
from kiban.records.funding import Budget

BUDGET = "budget-request"
POINTS_SHOWN = 5
CASES_SHOWN = 2
KPIS_SHOWN = 3


def verdict_word(desk: Desk) -> str:
    """What the verdict says, in its own words."""
    return desk.view.word("verdict." + desk.view.step("verdict")["status"])


def title(desk: Desk) -> str:
    """What the draft is about."""
    hold = desk.view.step("verdict")["status"] == "hold"
    return desk.say("title.hold" if hold else "title", sentence=desk.view.plan.sentence, year=desk.fiscal(desk.funding.start))


def general(budget: Budget) -> tuple[int, ...]:
    """The general fund by year in 千円."""
    return next((row.years for row in budget.thousand_sources if row.id == "general"), (0,) * len(budget.years))


def drafting(desk: Desk, attachments: Sequence[str]) -> Paper:
    """The draft for decision; `attachments` are the titles of the papers that go with it."""
    say, funding, view = desk.say, desk.funding, desk.view
    budget, outline = funding.adopted, Desk(desk.dossier, BUDGET)
    write = say("v.write")
    head = (
        (say("r.number"), write),
        (say("r.drafted"), day_text(say, desk.dossier.today)),
        (say("r.decided"), write),
        (say("r.keep"), write),
        (say("r.decider"), write),
        (say("r.drafter"), write),
    )
    hold = view.step("verdict")["status"] == "hold"
    blanks = {"year": desk.fiscal(funding.start), "mark": desk.mark, "pending": say("pending")}
    asked = say("p.ask.hold", verdict=verdict_word(desk), **blanks) if hold else say("p.ask", **blanks)
    aim = say("p.purpose", town=desk.town, sentence=view.plan.sentence, places=places(outline))
    sections = say("comma").join(desk.section(row.id) for row in budget.thousand_sections if any(row.years))
    kinds = {answer.support for answer in funding.answers}
    others = dict.fromkeys(view.catalogue.supports[id].desk.ja for id in funding.adopted.supports if id in kinds and id in view.catalogue.supports)
    blocks: list[Block] = [
        Table("head", say("t.head"), (say("c.item"), say("c.content")), head, "ll", (3, 7)),
        desk.assumed_note(),
        Heading(say("h.ask")),
        desk.passage("draft.ask", say("f.ask"), asked),
        Heading(say("h.purpose")),
        desk.passage("draft.purpose", say("f.purpose"), aim),
        Heading(say("h.basis")),
        desk.passage("draft.basis", say("f.basis"), say("p.basis")),
        Heading(say("h.money")),
        Paragraph(say("n.money", supports=desk.supports_of(budget), pending=say("pending")) if budget.supports else say("n.money.none")),
        _money(desk),
        Heading(say("h.item")),
        desk.passage("draft.item", say("f.item"), say("p.item", sections=sections)),
        Heading(say("h.contract")),
        Bullets(_contracts(desk)),
        Paragraph(say("n.price"), "small"),
        Heading(say("h.state")),
        Note(conclusion_text(desk)),
    ]
    listed = points(Desk(desk.dossier, "project-plan"))
    if listed:
        blocks += [Paragraph(say("n.state", count=len(listed))), Bullets(tuple(listed[:POINTS_SHOWN]), numbered=True)]
    consult = say("p.consult", others="\n".join(others))
    blocks += [Heading(say("h.files")), Bullets(tuple(attachments), numbered=True), Heading(say("h.consult"))]
    blocks.append(desk.passage("draft.consult", say("f.consult"), consult))
    return desk.made(blocks, say("subtitle", title=title(desk)))


def _money(desk: Desk) -> Table:
    say, funding = desk.say, desk.funding
    adopted, refused = funding.adopted, funding.refused
    without = {row.id: row.years for row in refused.thousand_sources}
    rows = [(say("total"), *(plain_thousand(one) for one in (adopted.thousand_total[0], refused.thousand_total[0], sum(adopted.thousand_total))))]
    for row in adopted.thousand_sources:
        other = without.get(row.id, (0,))
        rows.append((desk.source(row.id), plain_thousand(row.years[0]), plain_thousand(other[0]), plain_thousand(sum(row.years))))
    years = adopted.years
    heads = (
        say("c.row"),
        say("c.first", year=desk.year(years[0])),
        say("c.refused"),
        say("c.whole", first=desk.year(years[0]), last=desk.year(years[-1])),
    )
    return Table("money", say("t.money", unit=desk.units), heads, tuple(rows), "lrrr", (3, 2.2, 2.4, 2.6), (0,), (say("n.rounding"),))


def _contracts(desk: Desk) -> tuple[str, ...]:
    say = desk.say
    made = []
    for contract in desk.funding.contracts:
        name = f"{desk.section(contract.section)}({contract_lines(desk, contract)})"
        assembly = {"yes": say("yes"), "no": say("no"), "ask": say("ask")}[contract.assembly]
        made.append(say("v.contract", name=name, method=say("method." + contract.method), assembly=assembly, term=say("term." + contract.term)))
    return tuple(made) or (say("contracts.none"),)


def assembly(desk: Desk) -> Paper:
    """The outline for the assembly."""
    say, funding, view = desk.say, desk.funding, desk.view
    adopted, refused, outline = funding.adopted, funding.refused, Desk(desk.dossier, BUDGET)
    _, after = after_years(adopted)
    debts = [debt_by_year(budget)[after] for budget in (adopted, refused)]
    both = (general(adopted), general(refused))
    rows = (
        (say("r.first"), plain_thousand(adopted.thousand_total[0]), plain_thousand(refused.thousand_total[0])),
        (say("r.first-general"), *(plain_thousand(years[0]) for years in both)),
        (say("r.after", year=desk.year(adopted.years[after])), *(plain_thousand(years[after]) for years in both)),
        (say("r.debt"), *(owed(say, int((yen + 500) // 1000), state) for yen, state in debts)),
        (say("r.whole-general"), *(plain_thousand(sum(years)) for years in both)),
    )
    heads = (say("c.row"), say("c.adopted"), say("c.refused"))
    why = say("p.why", sentence=view.plan.sentence, places=places(outline), verdict=verdict_word(desk))
    technologies = say("comma").join(view.name("technologies/" + row["technology"]) for row in view.step("design")["technologies"])
    what = say("p.what", technologies=technologies or model_name(outline))
    cases = stopped(view, population(desk), CASES_SHOWN)
    told = say("comma").join(
        say("v.case", name=case.municipality or case.prefecture or "", title=case.title, cost=cost(say, view, case), cause=case.failed or "") for case in cases
    )
    model = view.catalogue.get("models", view.step("options")["model"])
    kpis = []
    for kpi in model.kpis[:KPIS_SHOWN]:
        target = say("v.kpi.none") if kpi.target is None else say("v.kpi.target", target=f"{kpi.target:g} {view.unit(kpi.unit)}")
        kpis.append(say("v.kpi", name=kpi.name.ja, target=target, every=kpi.every.ja))
    when = []
    for one in funding.calendar:
        warning = say("v.warning", text=ja(one.warning)) if one.warning is not None else ""
        when.append(say("v.when", when=desk.month(one), what=one.name.ja, warning=warning))
    blocks: list[Block] = [
        desk.assumed_note(),
        Heading(say("h.why")),
        desk.passage("assembly.why", say("f.why"), why),
        Heading(say("h.what")),
        desk.passage("assembly.what", say("f.what"), what),
        Heading(say("h.cost")),
        Paragraph(say("n.cost", pending=say("pending"), mark=desk.mark) + say("n.payer", payer=payer(outline))),
        Table("cost", say("t.cost", unit=desk.units), heads, rows, "lrr", (4.6, 2.6, 2.6), (), (say("n.rounding"),)),
        Heading(say("h.effect")),
        Bullets(tuple(kpis) or (say("none"),)),
        Heading(say("h.risk")),
        Paragraph(say("p.risk", cases=told) if told else say("p.risk.none")),
        Heading(say("h.when")),
        Bullets(tuple(when) or (say("none"),)),
    ]
    return desk.made(blocks, say("subtitle", year=desk.fiscal(funding.start)))
