"""The page of money: the budget by section and source with and without the supports, months, the year after, debt, estimate, ways, contracts, calendar.

In: a plan folder. Out: a route. All amounts are those of funding.json, the same that the papers print; nothing is computed here but sums of shown rows
and the rounding of print. The unit, 千円 or 円, stands in the address.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.jdate import era_year
from kiban.documents.amounts import plain
from kiban.documents.money_words import by_source, firm, weak_lines, weak_share
from kiban.documents.office.budget_request import MONTHS, after_years, by_month, debt_by_year
from kiban.documents.office.desk import APRIL, SOURCES, thousand
from kiban.documents.view import View
from kiban.loop.folder import Folder
from kiban.records.funding import Budget, Contract, Funding, Line, Swing
from kiban.web.frame import Frame
from kiban.web.pages import cost_chart
from kiban.web.plans import Plans

WIDE = 160  # units that the longest bar of the tornado takes


@dataclass(frozen=True)
class Scale:
    """The unit of a page: 千円 as the form of a budget prints it, or yen."""

    id: Literal["thousand", "yen"]

    def __call__(self, yen: int | float | None) -> str:
        """An amount of yen in this unit; a dash for what is unknown.

        >>> Scale("thousand")(1_234_500), Scale("yen")(1_234_500), Scale("yen")(None)
        ('1,235', '1,234,500', '—')
        """
        if self.id == "thousand" or yen is None:
            return thousand(yen)
        return f"{round(yen):,}"

    def budget(self, budget: Budget) -> tuple[Any, tuple[int, ...], Any]:
        """Sections, total and sources of a budget as whole numbers of this unit. In 千円 they are the rows of the form, rounded so that they add up."""
        if self.id == "yen":
            return budget.sections, budget.total, budget.sources
        return budget.thousand_sections, budget.thousand_total, budget.thousand_sources


def scale_of(request: Request) -> Scale:
    """The unit that `?unit=` asks for; 千円 otherwise."""
    return Scale("yen" if request.query_params.get("unit") == "yen" else "thousand")


def scales(frame: Frame, request: Request, path: str) -> list[dict[str, Any]]:
    """The two units as links to the same page, with all else that stands in the address."""
    shown = scale_of(request).id
    rest = {key: value for key, value in request.query_params.items() if key not in ("lang", "unit")}
    return [{"id": id, "url": frame.url(request, path, **rest, unit=id), "here": id == shown} for id in ("thousand", "yen")]


@dataclass(frozen=True)
class Row:
    """One row of amounts by year: what it is, its cells, their sum, how it looks ("sum", "part", "range")."""

    name: str
    cells: list[str]
    sum: str
    look: str = ""


@dataclass(frozen=True)
class Said:
    """What the money of a plan says, in the words of one language."""

    view: View
    funding: Funding

    def text(self, text: Any) -> str:
        """A text of a record in this language; empty where there is none."""
        return "" if text is None else str(getattr(text, self.view.lang))

    def year(self, year: int) -> str:
        """A fiscal year as the head of a column: R9, FY2027."""
        return era_year(year, short=True) if self.view.lang == "ja" else f"FY{year}"

    def fiscal(self, year: int) -> str:
        """A fiscal year in a sentence: 令和9年度, fiscal 2027."""
        return f"{era_year(year)}度" if self.view.lang == "ja" else f"fiscal {year}"

    def month(self, year: int, month: int) -> str:
        """A calendar month of a fiscal year."""
        calendar_year = year + (month < APRIL)
        return f"{era_year(calendar_year)}{month}月" if self.view.lang == "ja" else f"{calendar_year}-{month:02d}"

    def day(self, day: date) -> str:
        """A day in 和暦, or as a standard date."""
        return f"{era_year(day.year)}{day.month}月{day.day}日" if self.view.lang == "ja" else day.isoformat()

    @property
    def today(self) -> date:
        """The day whose rules are in the money."""
        return self.funding.made_on or self.view.plan.made_on.date()

    def section(self, id: str) -> str:
        """The name of a section of the budget; its id where no file names it."""
        catalogue = self.view.catalogue
        if "budget-form" in catalogue.rules:
            for entry in catalogue.list_at("budget-form", self.today).entries:
                if entry.id == id:
                    return self.text(entry.name)
        return id

    def source(self, id: str) -> str:
        """The name of a source of money."""
        return self.view.word(f"money.source.{id}")

    def thing(self, id: str) -> str:
        """The name of what is missing: a line of the estimate, a quotation, a field of existing plant, or a named fact."""
        for line in self.funding.lines:
            if line.id == id:
                return self.text(line.name)
        head, _, field = id.partition(".")
        if head == "plant" and field:
            return self.view.word("money.plant.of", field=self.view.word(f"money.plant.field.{field}"))
        return self.view.word("money.quotation") if id == "quotation" else self.view.name(f"facts/{id}")

    def whom(self, id: str) -> str:
        """Who knows a named fact; the suppliers where it is a line or a quotation."""
        found = self.view.catalogue.facts.get(id)
        return self.text(found.desk) if found else self.view.word("money.ask.plant" if id.startswith("plant.") else "money.ask.supplier")

    def things(self, ids: Iterable[str]) -> list[dict[str, str]]:
        """Names of what is missing, each once, with whom to ask."""
        return [{"id": id, "name": self.thing(id), "whom": self.whom(id), "fact": id if id in self.view.catalogue.facts else ""} for id in dict.fromkeys(ids)]

    def mark(self) -> str:
        """How far the totals can be trusted: quotations behind them, and lines that wait for one. The papers say the same beside every total."""
        word, required = self.view.word, self.funding.quotes_required
        priced = [line for line in self.funding.lines if line.basis not in ("awaiting", "town")]
        least = min((line.quotes if line.basis == "quotes" else 0 for line in priced), default=0)
        if not priced or not least:
            first = word("money.mark.rough")
        elif required is None or least < required:
            first = word("money.mark.some", count=least, required=required or word("view.unknown"))
        else:
            first = word("money.mark.quoted")
        waiting = sum(line.basis == "awaiting" for line in self.funding.lines)
        return self.view.joined([first, *([word("money.mark.waiting", count=waiting)] if waiting else [])])

    def basis(self, line: Line) -> str:
        """The ground of a price."""
        word = self.view.word
        if line.basis == "published":
            year = word("view.unknown") if line.basis_year is None else self.fiscal(line.basis_year)
            return word("money.basis.firm" if firm(line) else "money.basis.weak", year=year, letter=line.confidence or word("view.unknown"))
        return word(f"money.basis.{line.basis}", count=line.quotes)


def budget_rows(said: Said, budget: Budget, scale: Scale) -> list[Row]:
    """Sections, total, its range, and the five sources by year."""
    sections, total, sources = scale.budget(budget)

    def row(name: str, amounts: Sequence[int], look: str = "") -> Row:
        return Row(name, [f"{amount:,}" for amount in amounts], f"{sum(amounts):,}", look)

    rows = [row(said.section(one.id), one.years) for one in sections if any(one.years)]
    rows.append(row(said.view.word("money.total"), total, "sum"))
    if budget.low != budget.high:
        ends = [(low, high) for low, high in zip(budget.low, budget.high, strict=True)]
        told = ["" if low == high else f"{scale(low)}〜{scale(high)}" for low, high in ends]
        rows.append(Row(said.view.word("money.range"), told, f"{scale(sum(budget.low))}〜{scale(sum(budget.high))}", "range"))
    rows += [row(said.source(id), amounts, "part") for id, amounts in by_source(sources, budget).items()]
    return rows


def both_cases(said: Said, scale: Scale) -> list[Row]:
    """The cost, money from outside, the general fund with the supports and without them, and what refusal adds, by year."""
    adopted, refused, word = said.funding.adopted, said.funding.refused, said.view.word
    _, total, sources = scale.budget(adopted)
    own, alone = by_source(sources, adopted)["general"], by_source(scale.budget(refused)[2], refused)["general"]
    outside = [cost - general for cost, general in zip(total, own, strict=True)]
    more = [without - general for without, general in zip(alone, own, strict=True)]
    rows: list[tuple[str, Sequence[int], str]] = [
        ("cost", total, ""),
        ("outside", outside, ""),
        ("general_if", own, ""),
        ("general_else", alone, ""),
        ("refusal", more, "sum"),
    ]
    return [Row(word(f"money.{key}"), [f"{amount:,}" for amount in amounts], f"{sum(amounts):,}", look) for key, amounts, look in rows]


def after(said: Said, scale: Scale) -> dict[str, Any]:
    """The last year with support and the year after it, row by row, with the difference and who pays."""
    budget, view = said.funding.adopted, said.view
    places = after_years(budget)
    _, total, sources = scale.budget(budget)
    debt = [debt_by_year(budget)[place] for place in places]
    open_ = any(state for _, state in debt)

    def row(name: str, amounts: Sequence[int], look: str = "") -> Row:
        a, b = (amounts[place] for place in places)
        return Row(name, [f"{a:,}", f"{b:,}"], f"{b - a:+,}", look)

    given = by_source(sources, budget)
    rows = [row(view.word("money.cost"), total, "sum")]
    rows += [row(said.source(id), given[id]) for id in SOURCES if any(given[id]) or id == "general"]
    paid, known = [yen for yen, _ in debt], {"all": "money.debt.open", "interest": "money.debt.plus", "": ""}
    marks = [view.word(known[state]) if state else "" for _, state in debt]
    shown = [" ".join(part for part in (scale(yen), mark) if part) for yen, mark in zip(paid, marks, strict=True)]
    rows.append(Row(view.word("money.debt"), shown, f"{'+' if paid[1] > paid[0] else ''}{scale(paid[1] - paid[0])}", ""))
    return {
        "rows": rows,
        "years": [said.year(budget.years[place]) for place in places],
        "ends": None if budget.end_year is None else said.fiscal(budget.end_year - 1),
        "payer": view.word(f"money.payer.{budget.payer_after}"),
        "open": open_,
        "cliff": said.funding.viability.cliff,
    }


def months(said: Said, scale: Scale) -> list[dict[str, Any]]:
    """The first year by month from April, cumulated, with the steps of the calendar that fall into it."""
    budget = said.funding.adopted
    amounts = list(budget.months) if scale.id == "yen" else by_month(budget.thousand_total[0], budget.months)
    rows, running = [], 0
    for month, amount in zip(MONTHS, amounts, strict=True):
        running += amount
        steps = [said.text(one.name) for one in said.funding.calendar if (one.year, one.month) == (budget.years[0], month)]
        rows.append({"name": said.month(budget.years[0], month), "amount": f"{amount:,}", "running": f"{running:,}", "steps": steps})
    return rows


def debts(said: Said, scale: Scale) -> list[dict[str, Any]]:
    """Each bond: raised when, paid back when, with what interest, and the memo of the tax grant, which is never a source."""
    view, rows = said.view, []
    for debt in said.funding.adopted.debt:
        last = debt.first + len(debt.principal) - 1
        rows.append(
            {
                "support": debt.support,
                "name": view.name(f"supports/{debt.support}"),
                "raised": said.fiscal(debt.year),
                "amount": scale(debt.amount),
                "years": f"{said.year(debt.first)}〜{said.year(last)}" if debt.principal else view.word("money.debt.open"),
                "principal": scale(sum(debt.principal)) if debt.principal else view.word("money.debt.open"),
                "interest": view.word("money.debt.no_rate") if debt.interest is None else scale(sum(debt.interest)),
                "memo": "—" if debt.memo is None else scale(sum(debt.memo)),
            }
        )
    return rows


def debt_rows(said: Said, scale: Scale) -> list[Row]:
    """Principal, interest and memo by year of the horizon and after it."""
    budget, view = said.funding.adopted, said.view
    count = len(budget.years) + 1
    found = {name: [0] * count for name in ("principal", "interest", "memo")}
    for debt in budget.debt:
        for name, amounts in (("principal", debt.principal), ("interest", debt.interest or ()), ("memo", debt.memo or ())):
            for step, amount in enumerate(amounts):
                found[name][min(debt.first + step - budget.years[0], count - 1)] += amount
    return [Row(view.word(f"money.debt.{name}"), [scale(amount) for amount in row], scale(sum(row))) for name, row in found.items() if any(row)]


def lines(said: Said, scale: Scale) -> list[dict[str, Any]]:
    """The estimate line by line: quantity, price, sum over the horizon with its range, ground, confidence; those that await a price last."""
    view, figures, rows = said.view, said.view.plan.figures, []
    for line in sorted(said.funding.lines, key=lambda line: line.basis == "awaiting"):
        whole = sum(line.yearly)
        weak = line.confidence is not None and not firm(line) and (line.low, line.high) != (1.0, 1.0)
        rows.append(
            {
                "name": said.text(line.name),
                "technology": view.name(f"technologies/{line.technology}"),
                "entry": line.technology if line.technology in view.catalogue.technologies else "",
                "section": said.section(line.section),
                "phase": view.word(f"value.phase.{line.phase}"),
                "quantity": "—" if line.quantity is None else plain(round(line.quantity, 2)),
                "unit": view.unit(line.per),
                "price": "" if line.unit_yen is None else f"{line.unit_yen:,.0f}",
                "ref": line.ref if line.ref in figures else "",
                "whole": scale(whole) if line.yearly else "",
                "range": f"{scale(whole * line.low)}〜{scale(whole * line.high)}" if weak and line.yearly else "",
                "basis": said.basis(line),
                "awaiting": line.basis == "awaiting",
                "tax": view.word(f"value.tax.{line.tax}"),
                "confidence": line.confidence or "",
                "source": line.source or "",
                "stale": line.stale,
            }
        )
    return rows


def contracts(said: Said, scale: Scale) -> list[dict[str, Any]]:
    """How each part is to be contracted."""
    view = said.view

    def name(one: Contract) -> str:
        kind, _, year = one.id.rpartition(".") if one.id.rpartition(".")[2].isdigit() else (one.id, "", "")
        word = view.word("money.contract.running" if kind.endswith(".running") else "money.contract.purchase")
        return f"{word} {said.year(int(year))}" if year else word

    return [
        {
            "name": f"{said.section(one.section)} {view.aside(name(one))}".replace(" （", "（"),
            "lines": list(dict.fromkeys(said.thing(id) for id in one.lines)),
            "amount": None if one.amount is None else scale(one.amount),
            "method": (view.word(f"money.method.{one.method}"), said.text(one.method_text)),
            "assembly": (view.word(f"money.assembly.{one.assembly}"), said.text(one.assembly_text)),
            "term": (view.word(f"money.term.{one.term}"), said.text(one.term_text)),
            "warnings": [said.text(text) for text in one.warnings],
            "clauses": list(one.clauses),
        }
        for one in said.funding.contracts
    ]


def ways(said: Said, scale: Scale) -> list[dict[str, Any]]:
    """Purchase, lease and service beside one another."""
    view = said.view
    return [
        {
            "name": view.word(f"money.way.{one.id}"),
            "first": None if one.years is None else scale(one.years[0]),
            "second": None if one.years is None else scale(one.years[1]) if len(one.years) > 1 else "—",
            "whole": None if one.years is None else scale(sum(one.years)),
            "bondable": view.word(f"money.{'may' if one.bondable == 'yes' else 'not' if one.bondable == 'no' else 'ask'}"),
            "restricted": view.word(f"money.{'has' if one.restricted == 'yes' else 'none' if one.restricted == 'no' else 'ask'}"),
            "texts": [said.text(one.renewal), said.text(one.removal), said.text(one.note)],
            "needs": said.things(one.needs),
        }
        for one in said.funding.ways
    ]


def tornado(swings: Sequence[Swing], scale: Scale, text: Any) -> list[dict[str, Any]]:
    """The bars of the tornado with the place of each between the least and the greatest result.

    Returns
    -------
    rows with name, low and high in the unit of the page, and `bar`: (left, width) in units from 0 to WIDE
    """
    ends = [end for swing in swings for end in (swing.low, swing.high)]
    least, spread = (min(ends), (max(ends) - min(ends)) or 1) if ends else (0, 1)
    rows = []
    for swing in sorted(swings, key=lambda swing: -abs(swing.high - swing.low)):
        left, right = sorted((swing.low, swing.high))
        bar = (round((left - least) / spread * WIDE, 1), round(max((right - left) / spread * WIDE, 1), 1))
        rows.append({"name": text(swing.name), "low": scale(swing.low), "high": scale(swing.high), "bar": bar})
    return rows


def viability(said: Said, scale: Scale) -> dict[str, Any]:
    """Whether the service lives on after the support, and what of that nobody has said yet."""
    found, view = said.funding.viability, said.view
    names = {swing.input: said.text(swing.name) for swing in found.tornado}
    return {
        "track": view.word(f"money.track.{found.track}"),
        "track_text": said.text(found.track_text),
        "revenue": None if found.revenue is None else scale(sum(found.revenue)),
        "cliff": None if found.cliff is None else scale(found.cliff),
        "break_even": None if found.break_even is None else said.fiscal(found.break_even),
        "runs": None if found.runs is None else [scale(one) for one in found.runs],
        "positive": None if found.share_ends_positive is None else f"{found.share_ends_positive * 100:.0f} %",
        "draws": f"{found.draws:,}",
        "varied": [names.get(id) or said.thing(id) for id in found.varied],
        "gap": None if found.gap is None else scale(found.gap),
        "tornado": tornado(found.tornado, scale, said.text),
        "missing": said.things(found.missing),
    }


def money_context(view: View, one: Folder, scale: Scale) -> dict[str, Any]:
    """All that the page shows, as texts in one language and one unit."""
    funding = one.funding
    said = Said(view, funding)
    word, adopted, refused = view.word, funding.adopted, funding.refused
    answers = {answer.support: answer for answer in funding.answers}
    names = {plant.id: view.local(plant.name) for plant in one.region.plants}

    def first(budget: Budget, id: str) -> str:
        return f"{by_source(scale.budget(budget)[2], budget)[id][0]:,}"

    weak = weak_share(funding)
    return {
        "said": said,
        "scale": scale,
        "unit_word": word(f"money.unit.{scale.id}"),
        "mark_text": said.mark(),
        "first_year": said.fiscal(adopted.years[0]),
        "last_year": said.fiscal(adopted.years[-1]),
        "count_years": len(adopted.years),
        "heads": [said.year(year) for year in adopted.years],
        "cards": {
            "first": f"{scale.budget(adopted)[1][0]:,}",
            "first_general": first(adopted, "general"),
            "first_refused": first(refused, "general"),
            "whole": f"{sum(scale.budget(adopted)[1]):,}",
            "whole_range": f"{scale(sum(adopted.low))}〜{scale(sum(adopted.high))}" if adopted.low != adopted.high else "",
        },
        "supports": [
            {"id": id, "name": view.name(f"supports/{id}"), "year": said.fiscal(answers[id].edition) if id in adopted.past and id in answers else ""}
            for id in adopted.supports
        ],
        "adopted": budget_rows(said, adopted, scale),
        "refused": budget_rows(said, refused, scale),
        "both": both_cases(said, scale),
        "renewals": [said.year(year) for year in adopted.renewals],
        "after": after(said, scale),
        "months": months(said, scale),
        "running_months": adopted.running_months,
        "month_sum": f"{scale.budget(adopted)[1][0]:,}",
        "debts": debts(said, scale),
        "debt_rows": debt_rows(said, scale),
        "lines": lines(said, scale),
        "basis": {
            **{basis: sum(line.basis == basis for line in funding.lines) for basis in ("quotes", "town", "awaiting")},
            "weak": len(weak_lines(funding)),
            "firm": sum(line.basis == "published" for line in funding.lines) - len(weak_lines(funding)),
            "share": word("view.unknown") if weak is None else f"{weak * 100:.0f} %",
        },
        "tax_rate": f"{funding.tax_rate * 100:g} %",
        "ways": ways(said, scale),
        "contracts": contracts(said, scale),
        "calendar": [
            {"when": said.month(step.year, step.month), "what": said.text(step.name), "warning": said.text(step.warning), "source": step.source or ""}
            for step in funding.calendar
        ],
        "viability": viability(said, scale),
        "plants": [
            {
                "plant": names.get(row.plant, row.plant),
                "choice": word(f"money.plant.{row.id}"),
                "yen": None if row.yen is None else scale(row.yen),
                "approval": word(f"money.approval.{row.approval}"),
                "text": said.text(row.text),
                "ask": said.things(row.ask),
            }
            for row in funding.plants
        ],
        "energy": [
            {
                "name": view.name(f"technologies/{row.technology}"),
                "units": f"{row.units:,.0f}",
                "kwh": None if row.kwh is None else f"{row.kwh:,.0f}",
                "yen": None if row.yen is None else scale(row.yen),
            }
            for row in funding.energy
            if row.units or row.kwh is not None  # a line along the street takes no power of its own
        ],
        "benefits": [
            {
                "name": said.text(row.name),
                "unit": view.unit(row.unit),
                "before": None if row.before is None else plain(row.before),
                "after": None if row.after is None else plain(row.after),
                "measure": said.text(row.measure),
                "measure_yen": None if row.measure_yen is None else scale(row.measure_yen),
                "note": said.text(row.note),
                "ask": said.things(row.ask),
            }
            for row in funding.benefits
        ],
        "social": (word(f"money.social.{funding.social_capital}"), said.text(funding.social_capital_text)),
        "assumed": [_assumed(view, row) for row in funding.assumed],
        "missing": said.things(funding.missing),
        "design": view.step("design"),
        "chart_json": cost_chart(view),
        "bars_json": json.dumps(_chart(said, scale), ensure_ascii=False),
    }


def _assumed(view: View, row: Mapping[str, str]) -> dict[str, str]:
    """A fact that was taken by default: its name, value and reason as the data file says them in this language, else as the plan does."""
    fact = view.catalogue.facts.get(row["id"])
    if fact is None:
        return dict(row)
    known = {"name": view.name(f"facts/{row['id']}"), "confirm": str(getattr(fact.desk, view.lang))}
    if fact.default is not None and fact.default_why is not None:
        known |= {"value": fact_value(view, row["id"], fact.default), "reason": str(getattr(fact.default_why, view.lang))}
    return {**row, **known}


def fact_value(view: View, id: str, value: float | bool | str) -> str:
    """A value of a named fact in words: with its unit, as yes or no, or as its choice."""
    fact = view.catalogue.facts.get(id)
    if isinstance(value, bool):
        return view.word("show.yes" if value else "show.no")
    if isinstance(value, int | float):
        return f"{plain(value)} {view.unit(fact.unit)}".strip() if fact and fact.unit and fact.unit != "1" else plain(value)
    return str(getattr(fact.choices[value], view.lang)) if fact and value in fact.choices else str(value)


def _chart(said: Said, scale: Scale) -> dict[str, Any]:
    """Who pays, year by year; the table of the adopted case is its twin."""
    budget = said.funding.adopted
    rows = by_source(scale.budget(budget)[2], budget)
    return {
        "years": [said.year(year) for year in budget.years],
        "unit": said.view.word(f"money.unit.{scale.id}"),
        "series": [{"name": said.source(id), "data": list(rows[id])} for id in SOURCES if any(rows[id])],
    }


@dataclass(frozen=True)
class MoneyPages:
    """The page of money of a plan."""

    plans: Plans
    frame: Frame

    def routes(self) -> list[Route]:
        """Only one."""
        self.plans.add("money")
        return [Route("/plans/{plan}/money", self.money)]

    async def money(self, request: Request) -> Response:
        """What it costs, who pays, and what of it nobody knows."""
        return await run_in_threadpool(self._money, request)

    def _money(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        view = self.plans.view(request, one)
        self.frame.note(request, "view", f"plans/{name}", "money")
        context = money_context(view, one, scale_of(request))
        context["scales"] = scales(self.frame, request, f"/plans/{quote(name)}/money")
        return self.plans.page(request, "money", "money.html", name, one, context)
