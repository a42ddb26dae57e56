"""The estimate 積算内訳書(設計書) as a workbook that computes: whoever changes a quantity, a unit price or the tax rate sees every total follow.

In: a dossier. Out: bytes of an .xlsx. The formulas follow finance.estimate and finance.budget: a line is exact (quantity × unit price × purchases or
months ÷ 12), a section of a year is rounded half up once with tax inside, a total is the sum of its sections. No total is a typed number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiban.base.jdate import era_year
from kiban.base.money import to_yen
from kiban.documents.dossier import Dossier
from kiban.documents.money_words import SHEETS, basis_note, basis_text, by_source, header, notes, unit_name
from kiban.documents.office.desk import Desk
from kiban.documents.workbook import MARK, Book, Cell, Formula, Look, Page, column
from kiban.records.funding import Budget, Line

GIVEN, LINES, PRICES, YEARS, SOURCE, LEGEND = "前提", "内訳", "単価推移", "年度別", "財源", "凡例"
TAX, START, HORIZON, MONTHS = "税率", "初年度", "評価期間", "初年度運用月数"  # names of cells
ID, QUANTITY, PRICE = "id", "数量" + MARK, "単価(円・税抜)" + MARK  # heads by which the sheet is read again
HEADS = (ID, "名称", "節", "区分", QUANTITY, "単位", PRICE, "金額(円・税抜) 数量×単価", "根拠", "確度", "出典", "耐用年数", "初回", "幅(倍)")
WIDTHS = (17, 28, 14, 6, 9, 8, 14, 14, 15, 5, 28, 7, 5, 10)
PHASES = {"initial": "初期", "yearly": "毎年"}
LEGENDS = ("input", "import", "basis", "quotes", "confidence", "range", "phase", "rounding", "debt", "planned-price")
ONE_PAGE = 25  # so many assumed values fit on the first page with the assumptions
NOISE = 4  # decimals of a yen, as finance.budget: what half a yen is must not hang on the last bit of a product
BEFORE = 4  # columns before the years on the sheet of years


@dataclass(frozen=True)
class _Rows:
    """First and last row, counted from 1."""

    first: int
    last: int


def estimate_xlsx(dossier: Dossier) -> bytes:
    """The workbook with its sheets: assumptions, lines, unit prices by year where they change, years, sources of money, legend."""
    desk = Desk(dossier, SHEETS)
    plan = desk.view.plan
    book = Book("積算内訳書(設計書)", desk.town, header(desk), dossier.today, desk.say("footer", plan=plan.id))
    _given(book, desk)
    lines = _lines(book, desk)
    series = _prices(book, desk)
    total = _years(book, desk, lines, series)
    _sources(book, desk, total)
    _legend(book, desk)
    return book.close()


def _given(book: Book, desk: Desk) -> None:
    """The sheet of assumptions: four inputs with names, and everything that is assumed."""
    funding, say = desk.funding, desk.say
    assumed = desk.assumed()
    page = book.page(GIVEN, (26, 16, 56, 40), notes=notes(desk), high=1 if len(assumed) <= ONE_PAGE else 0)
    page.block(say("h.given"))
    page.heads(("項目", "値" + MARK, "説明", "変えたとき"))
    share: Look = "input_share"
    whole: Look = "input_number"
    year: Look = "input_year"
    for name, key, value, look, low, high in (
        (TAX, "tax", funding.tax_rate, share, 0.0, 0.5),
        (START, "start", funding.start, year, 2019, 2100),
        (HORIZON, "horizon", funding.horizon, whole, 1, funding.horizon),
        (MONTHS, "months", funding.adopted.running_months, whole, 1, 12),
    ):
        row = page.row((Cell(name), Cell(value, look), Cell(say(f"given.{key}", years=funding.horizon)), Cell(say(f"given.{key}.effect"))))
        book.name(name, f"'{GIVEN}'!$B${row + 1}")
        kind = "decimal" if look == share else "integer"
        fits = f"{low:g}から{high:g}まで" + ("の割合(10 %は 0.1 又は 10%)" if look == share else "")
        between = {"validate": kind, "criteria": "between", "minimum": low, "maximum": high, "error_title": name, "error_message": fits}
        page.sheet.data_validation(row, 1, row, 1, between)
    page.at += 1
    page.block(say("h.assumed", count=len(assumed)))
    page.heads(("項目", "値", "理由", "確認先"))
    for name, shown, reason, confirm in assumed or ((say("none"), "", "", ""),):
        page.row((Cell(name), Cell(shown), Cell(reason), Cell(confirm)))
    page.area(page.at - 1, 3)


def _called(desk: Desk, line: Line) -> str:
    return f"{desk.view.name('technologies/' + line.technology)}: {line.name.ja}"


def _first(line: Line) -> int:
    """The year of the horizon, from 0, in which a line is first bought."""
    paid = [year for year, amount in enumerate(line.yearly) if amount]
    return paid[0] if paid and line.phase == "initial" else 0


def _lines(book: Book, desk: Desk) -> _Rows:
    """The sheet of lines: quantities and unit prices are inputs."""
    say, waits = desk.say, desk.say("waiting")
    page = book.page(LINES, WIDTHS, notes=[*notes(desk), basis_note(desk), say("lines.note")])
    head = page.heads(HEADS, repeat=True, freeze=2)
    first = page.at + 1
    for line in desk.funding.lines:
        row, price = page.at + 1, line.unit_yen
        worth: float | str = waits if price is None or line.quantity is None else line.quantity * price
        page.row(
            (
                Cell(line.id, "id"),
                Cell(_called(desk, line)),
                Cell(desk.section(line.section)),
                Cell(PHASES[line.phase], "mark"),
                Cell(line.quantity, "input_number"),
                Cell(unit_name(desk.view, line.per, line.phase)),
                Cell(price, "input_yen" if price is None or price == int(price) else "input_price"),
                Cell(Formula(f'=IF(OR(E{row}="",G{row}=""),"{waits}",E{row}*G{row})', worth), "yen"),
                Cell(basis_text(line)),
                Cell(str(line.confidence or ""), "mark"),
                Cell(line.source or ""),
                Cell(line.life, "number"),
                Cell(_first(line), "number"),
                Cell(f"{line.low:.2f}〜{line.high:.2f}" if (line.low, line.high) != (1.0, 1.0) else "", "mark"),
            )
        )
    rows = _Rows(first, max(page.at, first))
    page.at = rows.last
    for index, name in ((4, QUANTITY), (6, PRICE)):
        page.sheet.data_validation(first - 1, index, rows.last - 1, index, {"validate": "decimal", "criteria": ">=", "value": 0, "error_title": name,
                                   "error_message": "0以上の数。分からないときは空欄(見積待ち)"})  # fmt: skip
    page.sheet.autofilter(head, 0, rows.last - 1, len(HEADS) - 1)
    page.at += 1
    left = sum(line.unit_yen is None or line.quantity is None for line in desk.funding.lines)
    count = f'SUMPRODUCT((A{first}:A{rows.last}<>"")*(((E{first}:E{rows.last}="")+(G{first}:G{rows.last}=""))>0))'
    before, after = say("lines.waiting", count="|").split("|")
    said = say("lines.waiting", count=left) if left else say("lines.none")
    page.sheet.write_formula(page.at, 0, f'=IF({count}=0,"{say("lines.none")}","{before}"&{count}&"{after}")', book.look("strong"), said)
    page.area(page.at, len(HEADS) - 1)
    return rows


def _series(line: Line) -> list[float] | None:
    """The unit price by year where it changes, else None."""
    if line.phase != "yearly" or not line.yearly or not line.quantity or line.unit_yen is None:
        return None
    prices = [amount / line.quantity for amount in line.yearly]
    return prices if any(abs(price - line.unit_yen) > 1e-9 * max(price, line.unit_yen) for price in prices) else None


def _prices(book: Book, desk: Desk) -> _Rows | None:
    """The sheet of unit prices that change by year, where there are any."""
    found = [(line, prices) for line in desk.funding.lines if (prices := _series(line)) is not None]
    if not found:
        return None
    horizon = desk.funding.horizon
    page = book.page(PRICES, (17, 28, *(10 for _ in range(horizon))), notes=[desk.say("prices.note")])
    page.heads(("id", "名称", *("" for _ in range(horizon))), repeat=True, freeze=2)
    _year_heads(page, page.at - 1, 2, desk.funding.start, horizon)
    first = page.at + 1
    for line, prices in found:
        page.row((Cell(line.id, "id"), Cell(_called(desk, line)), *(Cell(price, "price") for price in prices)))
    page.area(page.at - 1, horizon + 1)
    return _Rows(first, page.at)


def _year_heads(page: Page, row: int, first: int, start: int, horizon: int) -> None:
    """Fiscal years as heads that follow the first year."""
    for year in range(horizon):
        page.sheet.write_formula(row, first + year, f'="R"&({START}+{year}-2018)', page.owner.look("head"), era_year(start + year, short=True))


def _amount(line: Line, year: int, months: int) -> float:
    """What a line costs in a year, tax excluded, exact."""
    if not line.yearly:
        return 0.0
    return line.yearly[year] * (months / 12 if line.phase == "yearly" and year == 0 else 1)


def _years(book: Book, desk: Desk, lines: _Rows, series: _Rows | None) -> int:
    """The sheet of years: months, lines, sections with tax, totals. Returns the row of the totals, from 1."""
    funding, say, dossier_lines = desk.funding, desk.say, desk.funding.lines
    horizon, months, budget = funding.horizon, funding.adopted.running_months, funding.adopted
    page = book.page(YEARS, (17, 26, 14, 6, *(11.5 for _ in range(horizon)), 13), notes=[*notes(desk), say("years.note")], wide=2, kept=2)
    top = page.heads(("id", "名称", "節", "区分", *("" for _ in range(horizon)), say("sum")), repeat=True, freeze=BEFORE)
    _year_heads(page, page.at - 1, BEFORE, funding.start, horizon)
    end = column(BEFORE + horizon - 1)

    def summed(row: int, values: Sequence[float], look: Look) -> Cell:
        return Cell(Formula(f"=SUM({column(BEFORE)}{row}:{end}{row})", sum(values)), look)

    month_row = page.at + 1
    used = [months if year == 0 else 12 for year in range(horizon)]
    counts = [Formula(f"=IF({year}>={HORIZON},0,{MONTHS if year == 0 else 12})", used[year]) for year in range(horizon)]
    page.row((Cell(""), Cell("運用する月数"), Cell(""), Cell(""), *(Cell(count, "number") for count in counts), Cell("")))
    first = page.at + 1
    for index, line in enumerate(dossier_lines):
        row, source = page.at + 1, lines.first + index
        shown = (("A", line.id, "id"), ("B", _called(desk, line), "text"), ("C", desk.section(line.section), "text"), ("D", PHASES[line.phase], "mark"))
        cells = [Cell(Formula(f"='{LINES}'!{letter}{source}", value), look) for letter, value, look in shown]  # type: ignore[arg-type]  # looks
        amounts = [_amount(line, year, months) for year in range(horizon)]
        shown_amounts: list[float | str] = [amount if line.yearly else "—" for amount in amounts]
        cells += [Cell(Formula(_line_formula(source, year, month_row, series), shown_amounts[year]), "yen") for year in range(horizon)]
        across = f"{column(BEFORE)}{row}:{end}{row}"
        sum_of_line = Formula(f'=IF(COUNT({across})=0,"{say("waiting")}",SUM({across}))', sum(amounts) if line.yearly else say("waiting"))
        page.row((*cells, Cell(sum_of_line, "yen")), height=page.height([_called(desk, line)], [26]))
    last = max(page.at, first)
    page.at = last + 1
    page.block("節別(円・税込)")
    section_first = page.at + 1
    for section in budget.sections:
        row = page.at + 1
        cells = [Cell(""), Cell(desk.section(section.id)), Cell(desk.section(section.id)), Cell("税込", "mark")]
        for year in range(horizon):
            letter = column(BEFORE + year)
            amount = f"SUMIF($C${first}:$C${last},$C{row},{letter}${first}:{letter}${last})"
            cells.append(Cell(Formula(f"=ROUND(ROUND({amount}*(1+{TAX}),{NOISE}),0)", section.years[year]), "yen"))
        page.row((*cells, summed(row, section.years, "yen")))
    section_last = max(page.at, section_first)
    page.at = section_last
    net = [to_yen(round(sum(_amount(line, year, months) for line in dossier_lines), NOISE)) for year in range(horizon)]
    net_row, total_row = page.at + 1, page.at + 3
    tax = [with_tax - without for with_tax, without in zip(budget.total, net, strict=True)]
    letters = [column(BEFORE + year) for year in range(horizon)]
    for name, formulas, values in (
        ("合計(税抜)", [f"=ROUND(ROUND(SUM({letter}{first}:{letter}{last}),{NOISE}),0)" for letter in letters], net),
        ("消費税及び地方消費税", [f"={letter}{total_row}-{letter}{net_row}" for letter in letters], tax),
        (f"合計(税込) {desk.mark}", [f"=SUM({letter}{section_first}:{letter}{section_last})" for letter in letters], list(budget.total)),
    ):
        row = page.at + 1
        cells = [Cell(Formula(formula, value), "total") for formula, value in zip(formulas, values, strict=True)]
        page.row((Cell("", "total_text"), Cell(name, "total_text"), Cell("", "total_text"), Cell("", "total_text"), *cells, summed(row, values, "total")))
    page.at += 1
    if awaited := [_called(desk, line) for line in dossier_lines if not line.yearly]:
        page.line(say("years.waiting", list=say("comma").join(awaited)), strong=True)
    page.area(page.at - 1, BEFORE + horizon, top)
    return total_row


def _line_formula(source: int, year: int, month_row: int, series: _Rows | None) -> str:
    """What the line in a row of the sheet of lines costs in a year; a dash while it awaits a price.

    Purchases of a year are those moments first, first + life, first + 2 life … that fall into it, as finance.present.purchases counts them.
    """
    cell = f"'{LINES}'!"
    quantity, price, life, first = (f"{cell}{letter}{source}" for letter in "EGLM")
    unit = price
    if series is not None:
        row = f"MATCH({cell}A{source},'{PRICES}'!$A${series.first}:$A${series.last},0)"

        def at(letter: str) -> str:
            return f"INDEX('{PRICES}'!${letter}${series.first}:${letter}${series.last},{row})"

        unit = f"IF(ISNA({row}),{price},IF(ABS({price}-{at('C')})<=0.000000001*ABS({price}),{at(column(2 + year))},{price}))"
    again = f"ROUNDUP(({year + 1}-{first})/{life},0)-ROUNDUP(({year}-{first})/{life},0)"
    bought = f'IF({year}<{first},0,IF({life}="",IF({year}={first},1,0),{again}))'
    paid = f'IF({cell}D{source}="{PHASES["initial"]}",IF({year}>={HORIZON},0,{bought}),{column(BEFORE + year)}${month_row}/12)'
    return f'=IF(OR({quantity}="",{price}=""),"—",{quantity}*{unit}*{paid})'


def _sources(book: Book, desk: Desk, total_row: int) -> None:
    """The sheet of sources: the yearly totals by reference, money from outside as the plan computed it, the general fund as the rest."""
    horizon, say = desk.funding.horizon, desk.say
    page = book.page(SOURCE, (24, *(10.5 for _ in range(horizon)), 12), notes=[*notes(desk), say("sources.note")])
    for budget in (desk.funding.adopted, desk.funding.refused):
        page.block(say(f"sources.{budget.case}"))
        if budget.supports:
            page.line(say("sources.supports", list=desk.supports_of(budget)))
        _case(page, desk, budget, total_row)
        page.at += 1
    page.line(say("sources.negative"))
    page.area(page.at - 1, horizon + 1)


def _case(page: Page, desk: Desk, budget: Budget, total_row: int) -> None:
    """One table of sources in yen."""
    horizon, say = desk.funding.horizon, desk.say
    page.heads(("財源(円)", *("" for _ in range(horizon)), say("sum")))
    _year_heads(page, page.at - 1, 1, budget.years[0], horizon)
    letters = [column(1 + year) for year in range(horizon + 1)]
    end, total, first = letters[-2], page.at + 1, page.at + 2

    def row_of(name: str, cells: Sequence[Cell], values: Sequence[int], look: Look, text: Look) -> None:
        row = page.at + 1
        page.row((Cell(name, text), *cells, Cell(Formula(f"=SUM(B{row}:{end}{row})", sum(values)), look)))

    costs = [Cell(Formula(f"='{YEARS}'!{column(BEFORE + year)}{total_row}", budget.total[year]), "total") for year in range(horizon)]
    row_of(f"事業費(税込) {desk.mark}", costs, budget.total, "total", "total_text")
    for source, years in by_source(budget.sources, budget).items():
        rest = [Formula(f"={letter}{total}-SUM({letter}{first}:{letter}{page.at})", years[year]) for year, letter in enumerate(letters[:-1])]
        row_of(say(f"source.{source}"), [Cell(part, "yen") for part in (rest if source == "general" else years)], years, "yen", "text")
    checks = [Cell(Formula(f"={letter}{total}-SUM({letter}{first}:{letter}{page.at})", 0), "check") for letter in letters]
    page.row((Cell(say("sources.check")), *checks))


def _legend(book: Book, desk: Desk) -> None:
    """The sheet that explains the others."""
    say, needed = desk.say, desk.funding.quotes_required
    guide = say("l.quotes.guide") if desk.taken("quotes_required") else ""
    page = book.page(LEGEND, (26, 100))
    page.heads(("項目", "意味"))
    for key in LEGENDS:
        blanks = {"needed": f"{needed} 者{guide}" if needed is not None else say("ask"), "mark": say("mark.rough")}
        page.row((Cell(say(f"l.{key}")), Cell(say(f"l.{key}.text", **blanks))))
    page.area(page.at - 1, 1)
