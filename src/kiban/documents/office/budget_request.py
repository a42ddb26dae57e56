"""予算要求説明書: cost by section, source and year in 千円, with and without support, ways, contracts and calendar.

In: a dossier. Out: a Paper whose tables other papers cite by id and row.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Sequence
from fractions import Fraction

from kiban.documents.office.desk import SOURCES, Desk, Open, day_text, ja, owed, plain_thousand, thousand
from kiban.documents.paper import Block, Heading, Note, Paper, Paragraph, Table, Wide
from kiban.records.funding import Budget, Contract, Row
from kiban.records.support import SupportAnswer

PAPER = "budget-request"
FIRST_YEARS = 6  # the first year and five of running
SCOPE = ("project.technologies", "project.usecases", "project.fields", "project.categories", "project.stage")  # what a support is not about
PARTS = 20  # greatest denominator of a share that is said as a fraction
MONTHS = (4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3)


def budget_request(desk: Desk) -> Paper:
    """The paper."""
    say, funding = desk.say, desk.funding
    adopted, refused = funding.adopted, funding.refused
    count = min(FIRST_YEARS, len(adopted.years))
    blocks: list[Block] = [desk.assumed_note(), Paragraph(say("lead", mark=desk.mark), "small")]
    if desk.waiting:
        blocks.append(Note(say("lead.waiting", list=say("comma").join(line.name.ja for line in desk.waiting))))
    body = desk.view.step("design")
    if body.get("phases") or body.get("money"):
        blocks.append(Note(say("lead.by-year")))
    blocks += [Heading(say("h.outline")), _outline(desk)]
    blocks += [
        desk.passage("budget.purpose", say("f.purpose"), purpose(desk)),
        desk.passage("budget.basis", say("f.basis"), say("p.basis")),
        desk.passage("budget.office", say("f.office"), say("p.office")),
        Heading(say("h.years")),
        Paragraph(support_sentence(desk)),
        years_table(desk, "years", say("t.years", unit=desk.units), adopted, count),
        Heading(say("h.refused")),
        Paragraph(say("n.refused")),
        years_table(desk, "refused", say("t.refused", unit=desk.units), refused, count),
        Heading(say("h.after")),
        Paragraph(_after_sentence(desk)),
        _after(desk),
        Heading(say("h.months")),
        Paragraph(say("n.months", count=adopted.running_months)),
        _months(desk),
    ]
    every = len(adopted.years)
    whole = years_table(desk, "whole", say("t.whole", unit=desk.units), adopted, every, (_renewals(desk), _range(desk, adopted)))
    without = years_table(desk, "whole-refused", say("t.whole-refused", unit=desk.units), refused, every, (_range(desk, refused),))
    wide: list[Block] = [Heading(say("h.whole")), whole, without, Heading(say("h.debt")), *_debt(desk), Heading(say("h.ways")), *_ways(desk)]
    wide += [Heading(say("h.contracts")), *_contracts(desk), Heading(say("h.calendar")), *_calendar(desk)]
    blocks.append(Wide(tuple(wide)))
    blocks += [Heading(say("h.supports")), supports_table(desk), Heading(say("h.assumed")), desk.assumed_table()]
    return desk.made(blocks, say("subtitle", year=desk.fiscal(funding.start)))


def places(desk: Desk) -> str:
    """How many places of which kinds the plan is about."""
    say, view = desk.say, desk.view
    kinds = Count(row["kind"] for row in view.step("design")["sites"])
    listed = say("comma").join(say("v.kind", name=view.word("value.sites." + kind), count=count) for kind, count in kinds.most_common())
    return say("v.places", count=sum(kinds.values()), kinds=listed)


def model_name(desk: Desk) -> str:
    """The name of the standard model of the plan."""
    return desk.view.name("models/" + desk.view.step("options")["model"])


def purpose(desk: Desk) -> str:
    """Why, for whom, by what."""
    view = desk.view
    verdict = view.word("verdict." + view.step("verdict")["status"])
    return desk.say("p.purpose", town=desk.town, sentence=view.plan.sentence, places=places(desk), model=model_name(desk), verdict=verdict)


def support_sentence(desk: Desk) -> str:
    """Which supports the table counts, and that nothing of it is settled."""
    say, adopted = desk.say, desk.funding.adopted
    if not adopted.supports:
        return say("n.supports.none")
    text = say("n.supports", supports=desk.supports_of(adopted), pending=say("pending"))
    if adopted.past:
        listed = say("comma").join(desk.support(id) for id in adopted.past)
        text += say("n.past", list=listed, year=desk.fiscal(desk.funding.start))
    return text


def payer(desk: Desk) -> str:
    """Who pays once the supports have ended."""
    return desk.payer(desk.funding.adopted)


def _outline(desk: Desk) -> Table:
    say, funding, view = desk.say, desk.funding, desk.view
    adopted, refused = funding.adopted, funding.refused
    first = {row.id: row.years[0] for row in adopted.thousand_sources}
    first_refused = {row.id: row.years[0] for row in refused.thousand_sources}
    end = desk.fiscal(adopted.end_year) if adopted.end_year is not None else say("v.end.none")
    rows = (
        (say("r.issue"), view.plan.sentence),
        (say("r.places"), places(desk)),
        (say("r.model"), say("v.model", name=model_name(desk))),
        (say("r.period"), say("v.period", first=desk.fiscal(adopted.years[0]), last=desk.fiscal(adopted.years[-1]), count=len(adopted.years))),
        (say("r.running"), say("v.running", count=adopted.running_months)),
        (say("r.first"), desk.money(adopted.thousand_total[0])),
        (say("r.first-general"), desk.money(first.get("general", 0))),
        (say("r.first-refused"), desk.money(first_refused.get("general", 0))),
        (say("r.total"), desk.money(sum(adopted.thousand_total))),
        (say("r.supports"), desk.supports_of(adopted)),
        (say("r.end"), end),
        (say("r.payer"), payer(desk)),
    )
    return Table("outline", say("t.outline"), (say("c.item"), say("c.content")), rows, "ll", (2.4, 7.6))


def years_table(desk: Desk, id: str, caption: str, budget: Budget, count: int, remarks: Sequence[str] = ()) -> Table:
    """Sections, total and sources by year, and their sum."""
    say = desk.say

    def line(name: str, amounts: Sequence[int]) -> tuple[str, ...]:
        shown = amounts[:count]
        return (name, *(plain_thousand(amount) for amount in shown), plain_thousand(sum(shown)))

    sections = [line(desk.section(row.id), row.years) for row in budget.thousand_sections if any(row.years)]
    given: dict[str, Row] = {row.id: row for row in budget.thousand_sources}
    nothing = (0,) * len(budget.years)
    sources = [line(desk.source(id), given[id].years if id in given else nothing) for id in SOURCES]
    rows = (*sections, line(say("total"), budget.thousand_total), *sources)
    heads = (say("c.row"), *(desk.year(year) for year in budget.years[:count]), say("sum"))
    widths = (3.4, *(1.2 for _ in range(count)), 1.4) if count <= FIRST_YEARS else (3.0, *(1.14 for _ in range(count)), 1.35)
    return Table(id, caption, heads, rows, "l" + "r" * (count + 1), widths, (len(sections),), (*(remark for remark in remarks if remark), say("n.rounding")))


def debt_by_year(budget: Budget) -> list[tuple[int, Open]]:
    """Principal and known interest of every bond by year of the horizon, yen, with what of it nobody knows."""
    found: list[tuple[int, Open]] = []
    for year in budget.years:
        yen: int = 0
        state: Open = ""
        for bond in budget.debt:
            step = year - bond.first
            if not bond.principal and step >= 0:
                state = "all"
            if 0 <= step < len(bond.principal):
                yen += bond.principal[step] + (bond.interest[step] if bond.interest is not None else 0)
                state = state or ("interest" if bond.interest is None else "")
        found.append((yen, state))
    return found


def after_years(budget: Budget) -> tuple[int, int]:
    """Places in the horizon of the last year with support and of the year after it; first and second year where no support ends."""
    if budget.end_year is None or budget.end_year not in budget.years or budget.end_year == budget.years[0]:
        return 0, min(1, len(budget.years) - 1)
    place = budget.years.index(budget.end_year)
    return place - 1, place


def after_heads(desk: Desk) -> tuple[str, str]:
    """The heads of the two years that are compared; without any support that ends, they are the first two."""
    budget, say = desk.funding.adopted, desk.say
    last, following = (desk.year(budget.years[place]) for place in after_years(budget))
    if budget.end_year is None:
        return say("c.first-year", year=last), say("c.second-year", year=following)
    return say("c.last", year=last), say("c.next", year=following)


def _after_sentence(desk: Desk) -> str:
    budget = desk.funding.adopted
    if budget.end_year is None:
        return desk.say("n.after.none", payer=payer(desk))
    return desk.say("n.after", year=desk.fiscal(budget.end_year - 1), payer=payer(desk))


def _after(desk: Desk) -> Table:
    say, budget = desk.say, desk.funding.adopted
    last, following = after_years(budget)
    sources = {row.id: row.years for row in budget.thousand_sources}
    debt = debt_by_year(budget)

    def line(name: str, a: int, b: int) -> tuple[str, ...]:
        return (name, plain_thousand(a), plain_thousand(b), plain_thousand(b - a))

    rows = [line(say("r.cost"), budget.thousand_total[last], budget.thousand_total[following])]
    rows += [line(desk.source(id), sources[id][last], sources[id][following]) for id in SOURCES if id in sources]
    paid = [(int((debt[place][0] + 500) // 1000), debt[place][1]) for place in (last, following)]
    own = [sources["general"][place] if "general" in sources else 0 for place in (last, following)]
    states = [state for _, state in paid]
    both: Open = "all" if "all" in states else "interest" if "interest" in states else ""
    rows.append((say("r.debt"), *(owed(say, *one) for one in paid), owed(say, paid[1][0] - paid[0][0], both)))
    cash = [amount + general for (amount, _), general in zip(paid, own, strict=True)]
    told = [say("cash.least", amount=plain_thousand(one)) if state else plain_thousand(one) for one, state in zip(cash, states, strict=True)]
    change = plain_thousand(cash[1] - cash[0])
    rows.append((say("r.cash"), *told, say("cash.less", amount=change) if both else change))
    remarks = (say("n.cash"), *((say("n.cash.open"),) if both else ()), say("n.rounding"))
    heads = (say("c.row"), *after_heads(desk), say("c.difference"))
    return Table("after", say("t.after", unit=desk.units), heads, tuple(rows), "lrrr", (3, 2.4, 2.4, 2.2), (0, len(rows) - 1), remarks)


def by_month(total: int, months: Sequence[int]) -> list[int]:
    """Months of a year in 千円 that add up to the year's amount as the form prints it.

    >>> by_month(10, [3333, 3333, 3333])
    [3, 4, 3]
    """
    whole, running, before, made = sum(months), 0, 0, []
    for amount in months:
        running += amount
        until = round(total * running / whole) if whole else 0
        made.append(until - before)
        before = until
    return made


def _months(desk: Desk) -> Table:
    say, budget = desk.say, desk.funding.adopted
    amounts, running, rows = by_month(budget.thousand_total[0], budget.months), 0, []
    for month, amount in zip(MONTHS, amounts, strict=True):
        running += amount
        events = [milestone.name.ja for milestone in desk.funding.calendar if (milestone.year, milestone.month) == (budget.years[0], month)]
        rows.append((f"{month}{say('c.month')}", plain_thousand(amount), plain_thousand(running), say("comma").join(events)))
    rows.append((say("sum"), plain_thousand(budget.thousand_total[0]), "", ""))
    heads = (say("c.month"), say("c.cost"), say("c.cumulated"), say("c.events"))
    caption = say("t.months", year=desk.fiscal(budget.years[0]), unit=desk.units)
    return Table("months", caption, heads, tuple(rows), "lrrl", (1.2, 2, 2, 6), (12,))


def _renewals(desk: Desk) -> str:
    years = desk.funding.adopted.renewals
    return desk.say("n.renewal", list=desk.say("comma").join(desk.year(year) for year in years)) if years else desk.say("n.renewal.none")


def _range(desk: Desk, budget: Budget) -> str:
    low, high = sum(budget.low), sum(budget.high)
    return "" if low == high else desk.say("n.range", low=thousand(low), high=thousand(high), mark=desk.mark)


def _debt(desk: Desk) -> list[Block]:
    """Redemption by year of the horizon and what comes later; the tax grant as a memo."""
    say, budget = desk.say, desk.funding.adopted
    if not budget.debt:
        return [Paragraph(say("n.debt.none"))]
    years = budget.years

    def spread(amounts: Sequence[int], first: int) -> list[int]:
        by_year = dict(enumerate(amounts, start=first))
        return [*(by_year.get(year, 0) for year in years), sum(amount for year, amount in by_year.items() if year > years[-1])]

    def line(name: str, amounts: Sequence[int]) -> tuple[str, ...]:
        return (name, *(thousand(amount) for amount in amounts))

    def added(a: Sequence[int], b: Sequence[int]) -> list[int]:
        return [x + y for x, y in zip(a, b, strict=True)]

    zero = [0] * (len(years) + 1)
    principal, interest, memo = zero, zero, zero
    without = [False] * (len(years) + 1)  # years in which a bond is paid back whose rate nobody knows
    rows = []
    for bond in budget.debt:
        repaid = spread(bond.principal, bond.first)
        principal = added(principal, repaid)
        if bond.interest is None:
            without = [before or bool(amount) for before, amount in zip(without, repaid, strict=True)]
        else:
            interest = added(interest, spread(bond.interest, bond.first))
        if bond.memo is not None:
            memo = added(memo, spread(bond.memo, bond.first))
        name = f"{desk.support(bond.support)} {say('r.principal')}"
        rows.append(line(name, repaid) if bond.principal else (name, *(say("debt.unknown") for _ in repaid)))
    states: list[Open] = ["interest" if one else "" for one in without]
    rows.append((say("r.interest"), *(owed(say, int((yen + 500) // 1000), state, wide=True) for yen, state in zip(interest, states, strict=True))))
    totals = [owed(say, int((yen + 500) // 1000), state, wide=True) for yen, state in zip(added(principal, interest), states, strict=True)]
    rows.append((say("r.debt-total"), *totals))
    strong = len(rows) - 1
    if any(bond.memo is not None for bond in budget.debt):
        rows.append(line(say("r.memo"), memo))
    heads = (say("c.row"), *(desk.year(year) for year in years), say("c.later"))
    remarks = [say("n.debt"), say("n.rounding")]
    if any(bond.interest is None for bond in budget.debt):
        remarks.append(say("n.interest", desk=desk.desk_of_fact("bond_interest") or say("ask")))
    widths = (3.0, *(1.14 for _ in years), 1.35)
    return [Table("debt", say("t.debt", mark=desk.mark), heads, tuple(rows), "l" + "r" * (len(years) + 1), widths, (strong,), tuple(remarks))]


def _ways(desk: Desk) -> list[Block]:
    say, ways = desk.say, desk.funding.ways
    if not ways:
        return [Paragraph(say("n.ways.none"))]
    years = desk.funding.adopted.years
    count = min(FIRST_YEARS, len(years))
    amounts = [(desk.year(years[place]), *(say("waiting") if way.years is None else thousand(way.years[place]) for way in ways)) for place in range(count)]
    amounts.append((say("r.whole"), *(say("waiting") if way.years is None else thousand(sum(way.years)) for way in ways)))
    heads, columns = (say("c.row"), *(say(f"way.{way.id}") for way in ways)), len(ways)
    terms = (
        (say("r.bondable"), *(say(f"v.bond.{way.bondable}") for way in ways)),
        (say("r.restricted"), *(say(f"v.restricted.{way.restricted}") for way in ways)),
        (say("r.renewal"), *(way.renewal.ja for way in ways)),
        (say("r.removal"), *(way.removal.ja for way in ways)),
        (say("r.open"), *(_needs(desk, way.needs, ja(way.note)) for way in ways)),
    )
    widths = (1.8, *(2.6 for _ in ways))
    return [
        Table("ways", say("t.ways", unit=desk.units), heads, tuple(amounts), "l" + "r" * columns, widths, (count,), (say("n.ways"), say("n.rounding"))),
        Table("ways-terms", say("t.ways-terms"), heads, terms, "l" * (columns + 1), widths),
    ]


def _needs(desk: Desk, needs: Sequence[str], note: str) -> str:
    """Missing facts and lines by their names, and what is said of them."""
    listed = [desk.thing(id) for id in needs]
    return "\n".join(part for part in (desk.say("comma").join(listed), note) if part) or desk.say("none")


def contract_lines(desk: Desk, contract: Contract) -> str:
    """What a contract is about: the technologies of its lines."""
    names = {line.id: desk.view.name("technologies/" + line.technology) for line in desk.funding.lines}
    return desk.say("comma").join(dict.fromkeys(names[id] for id in contract.lines if id in names)) or contract.id


def _contracts(desk: Desk) -> list[Block]:
    say, contracts = desk.say, desk.funding.contracts
    if not contracts:
        return [Paragraph(say("n.contracts.none"))]
    rows, remarks = [], [say("n.contracts"), say("n.rounding")]
    for number, contract in enumerate(contracts, start=1):
        assembly = {"yes": say("yes"), "no": say("no"), "ask": say("ask")}[contract.assembly]
        name = f"{number} {desk.section(contract.section)}"
        rows.append(
            (
                f"{name}\n{contract_lines(desk, contract)}",
                say("waiting") if contract.amount is None else thousand(contract.amount),
                _titled(say("method." + contract.method), contract.method_text.ja),
                _titled(assembly, contract.assembly_text.ja),
                _titled(say("term." + contract.term), contract.term_text.ja),
            )
        )
        remarks += [say("n.warnings", name=name, text=text.ja) for text in contract.warnings]
    heads = tuple(say(key) for key in ("c.contract", "c.amount", "c.method", "c.assembly", "c.term"))
    return [Table("contracts", say("t.contracts", unit=desk.units), heads, tuple(rows), "lrlll", (2.4, 1, 3.2, 2.6, 3.6), (), tuple(remarks))]


def _titled(title: str, text: str) -> str:
    """A text below its title; a text that begins with the title needs none."""
    return text if text.startswith(title) else f"{title}\n{text}"


def _calendar(desk: Desk) -> list[Block]:
    say = desk.say
    rows = [(desk.month(one), one.name.ja, ja(one.warning)) for one in desk.funding.calendar] or [(say("none"), "", "")]
    heads = (say("c.when"), say("c.what"), say("c.warning"))
    return [Table("calendar", say("t.calendar"), heads, tuple(rows), "lll", (1.4, 4.5, 5.5), (), (say("n.calendar"),))]


def excluded(answer: SupportAnswer) -> bool:
    """Whether a support is shut, by its text or by that of the last year that is known."""
    return "excluded" in (answer.answer, answer.example)


def out_of_scope(answer: SupportAnswer) -> bool:
    """Whether a support is shut because it is about other technologies, uses, costs or stages: no fact of the town would open it."""
    return excluded(answer) and any(finding.state == "fails" and finding.fact in SCOPE for finding in answer.findings)


def rate_text(share: float, percent: bool) -> str:
    """A share as papers write it.

    >>> rate_text(0.5, False), rate_text(2 / 3, False), rate_text(1.0, False), rate_text(0.75, True)
    ('1/2', '2/3', '10/10', '75%')
    """
    part = Fraction(share).limit_denominator(PARTS)
    if percent or abs(float(part) - share) > 1e-6:
        return f"{share * 100:g}%"
    return "10/10" if part == 1 else f"{part.numerator}/{part.denominator}"


def supports_table(desk: Desk) -> Table:
    """What every support answers that may concern this project, with its share, what counts and what comes of it."""
    say = desk.say
    kept = [answer for answer in desk.funding.answers if not out_of_scope(answer)]
    rows = []
    for answer in kept:
        support = desk.view.catalogue.supports.get(answer.support)
        rate, counted, amount = "—", "—", "—"
        if answer.share is not None:
            edition = next((one for one in support.editions if one.fiscal_year == answer.edition), None) if support else None
            lump = edition is not None and answer.share == 1 and any(one.fixed for one in edition.rates)
            rate = say("v.lump") if lump else rate_text(answer.share, support is not None and support.kind == "bond")
            if answer.answer == "unpublished" or answer.edition < answer.year:
                rate += "\n" + say("v.example", year=desk.fiscal(answer.edition))
            counted, amount = thousand(answer.counted_yen), thousand(answer.amount_yen)
        read = say("v.read", clause=answer.clause or say("unknown"), day=day_text(say, answer.read_on))
        rows.append((desk.support(answer.support), desk.answer(answer), rate, counted, amount, read, support.desk.ja if support else ""))
    heads = tuple(say(key) for key in ("c.support", "c.answer", "c.rate", "c.counted", "c.trial", "c.clause", "c.desk"))
    made = tuple(rows) or ((say("none"), "", "", "", "", "", ""),)
    left = len(desk.funding.answers) - len(kept)
    remarks = (say("n.supports.table"), say("n.trial", mark=desk.mark), *((say("n.supports.left", count=left),) if left else ()))
    return Table("supports", say("t.supports"), heads, made, "lllrrll", (2.3, 2.0, 1.5, 1.2, 1.2, 2.3, 1.8), (), remarks)


def all_supports_table(desk: Desk) -> Table:
    """What every support answers, with clause, day and desk."""
    say, view = desk.say, desk.view
    rows = []
    for answer in desk.funding.answers:
        support = view.catalogue.supports.get(answer.support)
        kind = say("kind." + support.kind.replace("_", "-")) if support else ""
        read = say("v.read", clause=answer.clause or say("unknown"), day=day_text(say, answer.read_on))
        rows.append((desk.support(answer.support), kind, desk.answer(answer), read, support.desk.ja if support else ""))
    heads = tuple(say(key) for key in ("c.support", "c.kind", "c.answer", "c.clause", "c.desk"))
    made = tuple(rows) or ((say("none"), "", "", "", ""),)
    return Table("supports", say("t.supports"), heads, made, "lllll", (2.6, 1.1, 2.6, 2.8, 2.2), (), (say("n.supports.table"),))
