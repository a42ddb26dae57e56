"""The budget tables 予算表 as a workbook: with the supports and without them, the first year by month, debt apart, ways and contracts.

In: a dossier. Out: bytes of an .xlsx in 千円. Rows are those of the plan's budget; every sum is a formula, and a row of checks says that cost and sources
agree in every year.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.documents.dossier import Dossier
from kiban.documents.money_words import by_source, header, notes
from kiban.documents.office.desk import Desk
from kiban.documents.workbook import Book, Cell, Formula, Page, column
from kiban.records.funding import Budget, Debt

PAPER = "budget-xlsx"
REQUESTED = 6  # years of the first sheet: the first one and five of running cost
WAY_TEXTS = ("bondable", "restricted", "renewal", "removal", "needs")
NAME, YEAR, SUM = 26, 8.5, 10  # widths


def budget_xlsx(dossier: Dossier) -> bytes:
    """The workbook."""
    desk = Desk(dossier, PAPER)
    book = Book("予算表", desk.town, header(desk), dossier.today, desk.say("footer", plan=desk.view.plan.id))
    told = [*notes(desk), desk.say("note.unit"), desk.say("n.rounding")]
    request = book.page(desk.say("s.request"), (NAME, *(YEAR + 3 for _ in range(REQUESTED))), notes=told, landscape=False, high=1)
    places: dict[str, dict[str, int]] = {budget.case: _whole(book, desk, budget) for budget in (desk.funding.adopted, desk.funding.refused)}
    _request(request, desk, places)
    _months(book, desk)
    _debt(book, desk)
    _ways(book, desk)
    _contracts(book, desk)
    return book.close()


def _rounded(yen: int) -> int:
    """千円, rounded half away from zero."""
    return (yen + 500) // 1000 if yen >= 0 else -((-yen + 500) // 1000)


def _years(desk: Desk, years: Sequence[int]) -> list[str]:
    return [desk.year(year) for year in years]


def _row(page: Page, name: str, cells: Sequence[Cell], total: bool = False, across: bool = True) -> int:
    """A row of amounts with its sum; returns its row from 1."""
    row = page.at + 1
    values = [cell.value.value if isinstance(cell.value, Formula) else cell.value for cell in cells]
    whole = sum(value for value in values if isinstance(value, int | float))
    look, text = ("total", "total_text") if total else ("yen", "text")
    last = [Cell(Formula(f"=SUM(B{row}:{column(len(cells))}{row})", whole), look)] if across else []  # type: ignore[arg-type]  # looks
    page.row((Cell(name, text), *cells, *last))  # type: ignore[arg-type]
    return row


def _whole(book: Book, desk: Desk, budget: Budget) -> dict[str, int]:
    """The sheet of one case over the whole horizon. Returns the row of each part, from 1, by its id."""
    say, count = desk.say, len(budget.years)
    told = [*notes(desk), say("note.unit"), say("n.rounding"), say(f"note.{budget.case}")]
    page = book.page(say(f"s.{budget.case}"), (NAME, *(YEAR for _ in budget.years), SUM), notes=told)
    if budget.supports:
        page.line(say("supports", list=desk.supports_of(budget)))
    if budget.renewals:
        page.line(say("renewals", list=say("comma").join(_years(desk, budget.renewals))))
    if budget.end_year is not None:
        page.line(say("end", year=desk.fiscal(budget.end_year), payer=desk.payer(budget)), strong=True)
    letters = [column(1 + year) for year in range(count)]
    places: dict[str, int] = {}
    page.heads((say("c.section"), *_years(desk, budget.years), say("sum")), repeat=True, freeze=1)
    first = page.at + 1
    for row in budget.thousand_sections:
        places[f"section.{row.id}"] = _row(page, desk.section(row.id), [Cell(amount, "yen") for amount in row.years])
    last = max(page.at, first)
    page.at = last
    totals = [Cell(Formula(f"=SUM({letter}{first}:{letter}{last})", budget.thousand_total[year]), "total") for year, letter in enumerate(letters)]
    total = places["total"] = _row(page, f"{say('total')} {desk.mark}", totals, total=True)
    page.heads((say("c.source"), *_years(desk, budget.years), say("sum")))
    first = page.at + 1
    for source, years in by_source(budget.thousand_sources, budget).items():
        places[f"source.{source}"] = _row(page, say(f"source.{source}"), [Cell(amount, "yen") for amount in years])
    last = page.at
    sums = [Cell(Formula(f"=SUM({letter}{first}:{letter}{last})", budget.thousand_total[year]), "total") for year, letter in enumerate(letters)]
    places["sources"] = _row(page, say("total.sources"), sums, total=True)
    checks = [Cell(Formula(f"={letter}{total}-{letter}{places['sources']}", 0), "check") for letter in (*letters, column(1 + count))]
    page.row((Cell(say("check")), *checks))
    page.area(page.at - 1, count + 1)
    return places


def _request(page: Page, desk: Desk, places: dict[str, dict[str, int]]) -> None:
    """The first sheet: the first year and five more, by reference to the sheets of both cases."""
    say = desk.say
    page.line(say("note.request"))
    page.at += 1
    for budget in (desk.funding.adopted, desk.funding.refused):
        years = budget.years[:REQUESTED]
        page.block(say(f"s.{budget.case}"))
        page.line(say(f"note.{budget.case}"))
        for head, prefix, rows, last in (
            ("c.section", "section.", [(row.id, desk.section(row.id), row.years) for row in budget.thousand_sections], "total"),
            ("c.source", "source.", [(id, say(f"source.{id}"), amounts) for id, amounts in by_source(budget.thousand_sources, budget).items()], "sources"),
        ):
            page.heads((say(head), *_years(desk, years)))
            first = page.at + 1
            for id, name, amounts in rows:
                row = places[budget.case][prefix + id]
                cells = [Cell(Formula(f"='{say('s.' + budget.case)}'!{column(1 + year)}{row}", amounts[year]), "yen") for year in range(len(years))]
                _row(page, name, cells, across=False)
            end = max(page.at, first)
            page.at = end
            letters = [column(1 + year) for year in range(len(years))]
            sums = [Cell(Formula(f"=SUM({letter}{first}:{letter}{end})", budget.thousand_total[year]), "total") for year, letter in enumerate(letters)]
            _row(page, f"{say('total')} {desk.mark}" if last == "total" else say("total.sources"), sums, total=True, across=False)
        page.at += 1
    page.area(page.at - 1, REQUESTED)


def _months(book: Book, desk: Desk) -> None:
    """The first year by month, in yen, for both cases alike: what is paid does not depend on the supports."""
    budget, say = desk.funding.adopted, desk.say
    widths = (NAME, *(YEAR + 2.5 for _ in range(12)), SUM + 2)
    page = book.page(say("s.months"), widths, notes=[*notes(desk), say("note.months", count=budget.running_months)])
    page.heads((desk.fiscal(budget.years[0]), *say("months.names").split("|"), say("sum")))
    _row(page, f"{say('months.total')} {desk.mark}", [Cell(amount, "yen") for amount in budget.months])
    page.area(page.at - 1, 13)


def _debt(book: Book, desk: Desk) -> None:
    """Redemption by year, apart from the budget, and the tax grant as a memo below it."""
    say, debts, start = desk.say, desk.funding.adopted.debt, desk.funding.start
    last = max([start + desk.funding.horizon, *(debt.first + len(debt.principal) for debt in debts)])
    years = list(range(start, last))
    page = book.page(say("s.debt"), (NAME + 8, *(YEAR - 1 for _ in years), SUM), notes=[say("note.debt"), say("n.rounding")])
    page.heads((say("c.debt"), *_years(desk, years), say("sum")), repeat=True, freeze=1)
    if not debts:
        page.row((Cell(say("debt.none")),))
        page.area(page.at - 1, len(years) + 1)
        return

    def spread(debt: Debt, amounts: Sequence[int] | None) -> list[int]:
        found = dict(zip(range(debt.first, debt.first + len(debt.principal)), amounts or (), strict=False))
        return [_rounded(found.get(year, 0)) for year in years]

    letters = [column(1 + index) for index in range(len(years))]
    first = page.at + 1
    paid = [0] * len(years)
    for debt in debts:
        name = desk.support(debt.support)
        page.line(say("debt.raised", name=name, year=desk.fiscal(debt.year)) + f": {_rounded(debt.amount):,}")
        for key, amounts in (("debt.principal", debt.principal), ("debt.interest", debt.interest)):
            if amounts is None:
                repaid = range(debt.first, debt.first + len(debt.principal))
                _row(page, say("debt.interest.unknown", name=name), [Cell(say("debt.open") if year in repaid else 0, "yen") for year in years])
                continue
            row = spread(debt, amounts)
            paid = [before + amount for before, amount in zip(paid, row, strict=True)]
            _row(page, say(key, name=name), [Cell(amount, "yen") for amount in row])
    end = page.at
    cash = [Cell(Formula(f"=SUM({letter}{first}:{letter}{end})", paid[index]), "total") for index, letter in enumerate(letters)]
    without = say("debt.without") if any(debt.interest is None for debt in debts) else ""
    cash_row = _row(page, say("debt.cash") + without, cash, total=True)
    memo = [0] * len(years)
    memo_first = page.at + 1
    for debt in debts:
        if debt.memo is not None:
            row = spread(debt, debt.memo)
            memo = [before + amount for before, amount in zip(memo, row, strict=True)]
            _row(page, f"{say('debt.memo')} {desk.support(debt.support)}", [Cell(amount, "yen") for amount in row])
    if page.at >= memo_first:
        left = [before - amount for before, amount in zip(paid, memo, strict=True)]
        rest = [f"={letter}{cash_row}-SUM({letter}{memo_first}:{letter}{page.at})" for letter in letters]
        real = [Cell(Formula(text, amount), "yen") for text, amount in zip(rest, left, strict=True)]
        _row(page, say("debt.real") + without, real)
    page.area(page.at - 1, len(years) + 1)


def _needs(desk: Desk, needs: Sequence[str]) -> str:
    return desk.say("comma").join(desk.thing(id) for id in needs)


def _ways(book: Book, desk: Desk) -> None:
    """Purchase, lease and service side by side: what is paid each year, and below it what comes with each."""
    say, years, ways = desk.say, desk.funding.adopted.years, desk.funding.ways
    page = book.page(say("s.ways"), (NAME, *(YEAR for _ in years), SUM), notes=[*notes(desk), say("note.ways"), say("n.rounding")])
    if not ways:
        page.row((Cell(say("none.ways")),))
    else:
        page.heads((say("c.way"), *_years(desk, years), say("sum")), freeze=1)
        for way in ways:
            if way.years is None:
                page.row((Cell(say(f"way.{way.id}")), Cell(say("waiting"), "mark"), *(Cell("", "mark") for _ in years)))
            else:
                _row(page, say(f"way.{way.id}"), [Cell(_rounded(amount), "yen") for amount in way.years])
        page.at += 1
        span = max(1, (len(years) + 1) // len(WAY_TEXTS))
        page.spread("head", say("c.way"), [say(f"c.{key}") for key in WAY_TEXTS], span)
        for way in ways:
            needs = " ".join(part for part in (_needs(desk, way.needs), way.note.ja if way.note else "") if part)
            texts = [say(f"bondable.{way.bondable}"), say(f"restricted.{way.restricted}"), way.renewal.ja, way.removal.ja, needs]
            page.spread("text", say(f"way.{way.id}"), texts, span)
    page.area(page.at - 1, len(years) + 1)


def _contracts(book: Book, desk: Desk) -> None:
    """How each part is to be contracted."""
    say = desk.say
    page = book.page(say("s.contracts"), (12, 22, 12, 10, 30, 28, 34, 24), notes=[*notes(desk), say("note.contracts"), say("n.rounding")])
    heads = ("c.contract", "c.lines", "c.section", "c.amount", "c.method", "c.assembly", "c.term", "c.warning")
    page.heads([say(key) for key in heads], repeat=True, freeze=1)
    for contract in desk.funding.contracts:
        texts = (
            f"{say('method.' + contract.method)}。{contract.method_text.ja}",
            f"{say(contract.assembly)}。{contract.assembly_text.ja}",
            f"{say('term.' + contract.term)}。{contract.term_text.ja}",
            "\n".join(warning.ja for warning in contract.warnings),
        )
        amount = Cell(say("waiting"), "mark") if contract.amount is None else Cell(_rounded(contract.amount), "yen")
        kind, _, year = contract.id.rpartition(".") if contract.id.rpartition(".")[2].isdigit() else (contract.id, "", "")
        bought = say("contract.running" if kind.endswith(".running") else "contract.purchase") + (f" {desk.year(int(year))}" if year else "")
        where = (Cell(bought), Cell(say("comma").join(dict.fromkeys(desk.thing(id) for id in contract.lines))), Cell(desk.section(contract.section)))
        page.row((*where, amount, *(Cell(text) for text in texts)))
    if not desk.funding.contracts:
        page.row((Cell(say("none.contracts")),))
    page.area(page.at - 1, len(heads) - 1)
