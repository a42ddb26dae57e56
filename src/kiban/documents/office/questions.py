"""想定問答: what a finance section and an assembly ask, answered from cells of tables that are cited, or with who must be asked.

In: a dossier, the papers that are cited. Out: a Paper. A citation of a cell that is not there is an error, so no answer points at nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiban.documents.money_words import weak_lines, weak_share
from kiban.documents.office.budget_request import after_heads, after_years, contract_lines, debt_by_year, payer, places
from kiban.documents.office.cases import cost, population, stopped, town
from kiban.documents.office.desk import Desk, day_text, ja, thousand, with_unit
from kiban.documents.office.drafting import verdict_word
from kiban.documents.office.project_plan import option_rows, points
from kiban.documents.paper import Block, Heading, Paper, Paragraph, Table
from kiban.documents.reasons import option_known

BUDGET, PLAN = "budget-request", "project-plan"
KPIS_SHOWN = 3


@dataclass(frozen=True)
class Answer:
    """An answer with the cells that it rests on, and what is not settled with who knows it."""

    text: str
    grounds: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Book:
    """What answers are made from: the desk and the papers that they cite."""

    desk: Desk
    budget: Paper
    plan: Paper
    specification: Paper

    def ask(self, fact: str) -> str:
        """A fact that nobody has said, with who knows it."""
        return self.desk.say("ask.item", what=self.desk.fact(fact), desk=self.desk.desk_of_fact(fact) or self.desk.say("ask.office"))

    def missing(self, *facts: str) -> tuple[str, ...]:
        """Those of the facts that nobody has said."""
        return tuple(self.ask(fact) for fact in facts if self.desk.value(fact) is None)

    @property
    def general(self) -> str:
        """The heading of the row of the general fund."""
        return self.desk.source("general")

    def state(self, kind: str) -> str:
        """The state of an option, in words."""
        row = next((row for row in option_rows(self.desk) if row["kind"] == kind), None)
        return self.desk.view.word("option.state." + row["state"]) if row else self.desk.say("v.unknown")

    def option(self, kind: str, column: str) -> str:
        """Where an option stands in the plan."""
        return self.plan.cite("options", self.desk.view.word("option." + kind), Desk(self.desk.dossier, PLAN).say(column))


def questions(desk: Desk, budget: Paper, plan: Paper, specification: Paper) -> Paper:
    """The paper."""
    book = Book(desk, budget, plan, specification)
    say = desk.say
    answers = [(key, make(book)) for key, make in ANSWERS]
    rows = []
    for number, (key, answer) in enumerate(answers, start=1):
        state = say("state.answered" if not answer.asks else "state.part" if answer.grounds else "state.open")
        rows.append((say("number", number=number), say(f"q.{key}"), state))
    heads = (say("c.number"), say("c.question"), say("c.state"))
    blocks: list[Block] = [
        desk.assumed_note(),
        Paragraph(say("lead"), "small"),
        Heading(say("h.list")),
        Table("list", say("t.list"), heads, tuple(rows), "lll", (1, 7, 2)),
    ]
    for number, (key, answer) in enumerate(answers, start=1):
        blocks.append(Heading(say("head", number=number, question=say(f"q.{key}"))))
        blocks.append(desk.passage(f"qa.{key}", say("label", number=number), answer.text))
        if answer.grounds:
            blocks.append(Paragraph(say("grounds", list=say("comma").join(answer.grounds)), "small"))
        if answer.asks:
            blocks.append(Paragraph(say("asks", list=say("comma").join(answer.asks)), "small"))
    return desk.made(blocks, say("subtitle"))


def _why_now(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    contract, maintenance = desk.value("current_contract_end"), desk.value("maintenance_end")
    told = [say("a.why-now.contract", day=contract) if contract else "", say("a.why-now.maintenance", day=maintenance) if maintenance else ""]
    if not any(told):
        told[0] = say("a.why-now.window")
    months = desk.funding.adopted.running_months
    text = say("a.why-now", year=desk.fiscal(desk.funding.start), months=months, contract=told[0], maintenance=told[1])
    outline = Desk(desk.dossier, BUDGET)
    return Answer(text, (book.budget.cite("outline", outline.say("r.running")),), book.missing("current_contract_end", "maintenance_end"))


def _why_here(book: Book) -> Answer:
    desk = book.desk
    outline = Desk(desk.dossier, BUDGET)
    text = desk.say("a.why-here", sentence=desk.view.plan.sentence, places=places(outline), verdict=verdict_word(desk))
    return Answer(text, (book.budget.cite("outline", outline.say("r.places")), book.option("share", "c.state")))


def _not_doing(book: Book) -> Answer:
    desk = book.desk
    row = next((row for row in option_rows(desk) if row["kind"] == "leave"), {})
    reasons = "".join(ja(one) for one in (*row.get("against", ()), *row.get("for", ())))
    missing = book.missing("current_contract_end", "maintenance_end", "failures_per_year", "outage_cost", "resident_fee_before")
    return Answer(desk.say("a.not-doing", state=book.state("leave"), leave=reasons), (book.option("leave", "c.state"),), missing)


def _share(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    rows = [row for row in desk.view.step("options")["rows"] if row["kind"] in ("share", "join") and row["records"]]
    known = say("a.share.known", list=say("comma").join(option_known(desk.view, row) for row in rows)) if rows else ""
    text = say("a.share", share=book.state("share"), join=book.state("join"), known=known)
    asks = tuple(say("ask.item", what=desk.view.word(f"option.{kind}"), desk=desk.view.word("ask.prefecture").lstrip("→ ")) for kind in ("share", "join")
                 if not any(row["kind"] == kind for row in rows))  # fmt: skip
    return Answer(text, (book.option("share", "c.state"), book.option("join", "c.state")), asks)


def _refused(book: Book) -> Answer:
    desk = book.desk
    first = desk.year(desk.funding.start)
    amounts = [book.budget.cell(table, book.general, first) for table in ("refused", "years")]
    key = "a.refused" if desk.funding.adopted.supports else "a.refused.same"
    text = desk.say(key, amount=amounts[0], other=amounts[1], mark=desk.mark)
    return Answer(text, tuple(book.budget.cite(table, book.general, first) for table in ("refused", "years")))


def _after(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    budget, outline = desk.funding.adopted, Desk(desk.dossier, BUDGET)
    last, following = after_years(budget)
    column = after_heads(outline)[1]
    cash_row = outline.say("r.cash")
    amount, cash = (book.budget.cell("after", row, column) for row in (book.general, cash_row))
    blanks = {"year": desk.fiscal(budget.years[following]), "amount": amount, "cash": with_unit(cash), "mark": desk.mark, "payer": payer(outline)}
    text = say("a.after.none", **blanks) if budget.end_year is None else say("a.after", last=desk.fiscal(budget.years[last]), **blanks)
    grounds = tuple(book.budget.cite("after", row, column) for row in (book.general, cash_row))
    return Answer(text, grounds, book.missing("payer_after_support"))


def _failures(book: Book) -> Answer:
    desk, say, view = book.desk, book.desk.say, book.desk.view
    plan = Desk(desk.dossier, PLAN)
    cases = stopped(view, population(desk))
    if not cases:
        return Answer(say("a.failures.none"), (book.plan.title,))
    lines = [say("a.failures.case", town=town(plan.say, case), title=case.title, cost=cost(say, view, case), cause=case.failed) for case in cases]
    where = tuple(book.plan.cite("cases", f"[{view.word('plan.stopped')}] {case.title}", plan.say("c.cause")) for case in cases[:1])
    return Answer(say("a.failures", list="\n".join(lines)), where)


def _exit(book: Book) -> Answer:
    plan = Desk(book.desk.dossier, PLAN)
    rows = [row[0] for row in book.specification.tables["standing"].rows]
    clause = next((row for row in rows if row.endswith("handover")), rows[0])
    return Answer(book.desk.say("a.exit"), (f"{book.plan.title} {plan.say('h.exit')}", book.specification.cite("standing", clause)))


def _estimate(book: Book) -> Answer:
    desk, say, funding = book.desk, book.desk.say, book.desk.funding
    counts = {basis: sum(line.basis == basis for line in funding.lines) for basis in ("published", "quotes", "awaiting", "town")}
    weak, unsure = weak_share(funding), len(weak_lines(funding))
    required = say("v.quotes.unknown")
    if funding.quotes_required is not None:
        required = say("v.quotes.guide" if desk.taken("quotes_required") else "v.quotes", count=funding.quotes_required)
    text = say(
        "a.estimate", count=len(funding.lines), published=counts["published"], firm=counts["published"] - unsure, weak=unsure,
        share=say("v.unknown") if weak is None else f"{weak * 100:.0f}%", quotes=counts["quotes"], waiting=counts["awaiting"], required=required,
        mark=desk.mark, low=thousand(sum(funding.adopted.low)), high=thousand(sum(funding.adopted.high)),
    )  # fmt: skip
    if funding.quotes_by is not None:
        text += say("a.estimate.by", day=day_text(say, funding.quotes_by))
    outline = Desk(desk.dossier, BUDGET)
    asks = tuple(say("ask.item", what=line.name.ja, desk=desk.view.word("ask.quotation").lstrip("→ ")) for line in desk.waiting)
    return Answer(text, (book.budget.cite("outline", outline.say("r.total")), book.budget.cite("whole", say("total"), say("sum"))), asks)


def _neutral(book: Book) -> Answer:
    desk = book.desk
    tables = book.specification.tables
    counts = [len(tables[id].rows) if id in tables else 0 for id in ("cooperative", "competitive")]
    text = desk.say("a.neutral", cooperative=counts[0], competitive=counts[1])
    return Answer(text, tuple(f"{book.specification.title} 表{tables[id].number}" for id in ("cooperative", "competitive") if id in tables))


def _renewal(book: Book) -> Answer:
    desk, say, budget = book.desk, book.desk.say, book.desk.funding.adopted
    grounds = []
    if not budget.debt:
        debt = say("a.renewal.no-debt")
    else:
        outline = Desk(desk.dossier, BUDGET)
        amounts = debt_by_year(budget)
        year = next((place for place, (amount, state) in enumerate(amounts) if amount or state), 0)
        column = desk.year(budget.years[year])
        due = with_unit(book.budget.cell("debt", outline.say("r.debt-total"), column))
        debt = say("a.renewal.debt", year=desk.fiscal(budget.years[year]), amount=due)
        grounds.append(book.budget.cite("debt", outline.say("r.debt-total"), column))
    row = say("total")
    if not budget.renewals:
        grounds.insert(0, book.budget.cite("whole", row, say("sum")))
        return Answer(say("a.renewal.none", amount=book.budget.cell("whole", row, say("sum")), mark=desk.mark, debt=debt), tuple(grounds))
    column = desk.year(budget.renewals[0])
    grounds.insert(0, book.budget.cite("whole", row, column))
    amounts_by_year = [say("a.renewal.year", year=desk.fiscal(year), amount=book.budget.cell("whole", row, desk.year(year))) for year in budget.renewals]
    return Answer(say("a.renewal", years=say("comma").join(amounts_by_year), mark=desk.mark, debt=debt), tuple(grounds))


def _security(book: Book) -> Answer:
    table = book.specification.tables["standing"]
    return Answer(book.desk.say("a.security", count=len(table.rows)), (book.specification.cite("standing", table.rows[0][0]),))


def _effect(book: Book) -> Answer:
    desk, say, view = book.desk, book.desk.say, book.desk.view
    kpis = view.catalogue.get("models", view.step("options")["model"]).kpis
    text = say("a.effect", list=say("comma").join(kpi.name.ja for kpi in kpis[:KPIS_SHOWN]), count=len(kpis))
    asks = [book.ask(fact) for benefit in desk.funding.benefits for fact in benefit.ask]
    asks += list(book.missing("kpi_measure_cost"))
    grounds = (book.plan.cite("kpis", kpis[0].name.ja, Desk(desk.dossier, PLAN).say("c.how")),) if kpis else ()
    return Answer(text, grounds, tuple(dict.fromkeys(asks)))


def _other(book: Book) -> Answer:
    desk, body = book.desk, book.desk.view.step("design")
    used = [row["technology"] for row in body["technologies"]]
    problem = desk.dossier.problem
    looked_at = {arc.technology for arc in problem.arcs} | {one.technology for one in problem.exclusions} | {row["technology"] for row in body["unpriced"]}
    count = len((looked_at | set(used)) - {None, ""})
    text = desk.say("a.other", count=count, unpriced=len(body["unpriced"]), state=book.state("nondigital"))
    name = desk.view.name("technologies/" + used[0]) if used else ""
    grounds = [book.option("nondigital", "c.state")]
    if used:
        grounds.insert(0, book.plan.cite("technologies", name, Desk(desk.dossier, PLAN).say("c.npv")))
    return Answer(text, tuple(grounds))


def _uncertain(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    verdict = desk.view.step("verdict")
    decisive = (verdict.get("conclusion") or {}).get("decisive") if isinstance(verdict.get("conclusion"), dict) else None
    first = say("a.uncertain.first", text=ja(decisive["text"])) if decisive else ""
    listed = points(Desk(desk.dossier, PLAN))
    text = say("a.uncertain", assumed=len(desk.assumed()), waiting=len(desk.waiting), facts=len(desk.funding.missing), points=len(listed), first=first)
    tables = book.plan.tables
    grounds = tuple(f"{book.plan.title} 表{tables[id].number}" for id in ("assumed", "unknown"))
    return Answer(text, grounds, tuple(book.ask(fact) for fact in desk.funding.missing))


def _staff(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    before, after = desk.value("staff_hours_before"), desk.value("staff_hours_after")
    text = say("a.staff", before=before or say("v.unknown"), after=after or say("v.unknown"))
    where = f"{book.plan.title} 表{book.plan.tables['effect'].number}"
    return Answer(text, (where,), book.missing("staff_hours_before", "staff_hours_after", "operator_named"))


def _contract(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    contracts = desk.funding.contracts
    if not contracts:
        return Answer(say("a.contract.none"), (), (say("ask.office"),))
    answers = {"yes": say("yes"), "no": say("no"), "ask": say("ask")}
    items = [
        say("a.contract.item", name=f"{desk.section(one.section)}({contract_lines(desk, one)})", method=say("method." + one.method),
            assembly=answers[one.assembly], term=say("term." + one.term)) for one in contracts
    ]  # fmt: skip
    text = say("a.contract", count=len(contracts), list="\n".join(items))
    table = book.budget.tables["contracts"]
    return Answer(text, (f"{book.budget.title} 表{table.number}",))


def _schedule(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    warnings = "".join(f"{one.name.ja}: {ja(one.warning)}。" for one in desk.funding.calendar if one.warning is not None)
    return Answer(say("a.schedule", warnings=warnings or say("a.schedule.none")), (f"{book.budget.title} 表{book.budget.tables['calendar'].number}",))


def _tax_grant(book: Book) -> Answer:
    desk, say = book.desk, book.desk.say
    outline = Desk(desk.dossier, BUDGET)
    memo = [sum(bond.memo) for bond in desk.funding.adopted.debt if bond.memo is not None]
    if not memo:
        return Answer(say("a.tax-grant.none"), (book.budget.cite("years", book.general),))
    return Answer(say("a.tax-grant", memo=thousand(sum(memo)), mark=desk.mark), (book.budget.cite("debt", outline.say("r.memo")),))


ANSWERS: Sequence[tuple[str, Callable[[Book], Answer]]] = (
    ("why-now", _why_now),
    ("why-here", _why_here),
    ("not-doing", _not_doing),
    ("share", _share),
    ("refused", _refused),
    ("after", _after),
    ("renewal", _renewal),
    ("tax-grant", _tax_grant),
    ("estimate", _estimate),
    ("neutral", _neutral),
    ("contract", _contract),
    ("schedule", _schedule),
    ("failures", _failures),
    ("exit", _exit),
    ("security", _security),
    ("effect", _effect),
    ("staff", _staff),
    ("other", _other),
    ("uncertain", _uncertain),
)
