"""Words that the workbooks of money share: the ground of a price, what one unit is, the lines on top of each sheet.

In: records, a desk. Out: Japanese text. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.base.jdate import era_year
from kiban.documents.office.desk import SOURCES, Desk, data_day, day_text
from kiban.documents.view import View
from kiban.records.funding import Budget, Funding, Line, Row
from kiban.records.source import Confidence

SHEETS = "estimate-xlsx"  # the sentences of both workbooks of money


def basis_text(line: Line) -> str:
    """The ground 根拠 of a price."""
    if line.basis == "published":
        year = f"{era_year(line.basis_year)}度" if line.basis_year is not None else "年度不明"
        return f"公表実績({year})" if firm(line) else f"公表資料({year}・確度{line.confidence or '不明'}、要見積)"
    return {"quotes": f"参考見積 {line.quotes} 者", "town": "町の単価", "awaiting": "見積待ち"}[line.basis]


def firm(line: Line) -> bool:
    """Whether a published price was seen on a page of a public body or in a secondary source that can be trusted."""
    return line.confidence in (Confidence.A, Confidence.B)


def weak_lines(funding: Funding) -> tuple[Line, ...]:
    """Lines whose published price is of confidence C or D, or of none: they need a quotation."""
    return tuple(line for line in funding.lines if line.basis == "published" and not firm(line))


def weak_share(funding: Funding) -> float | None:
    """The share of the first year's priced cost, tax excluded, that rests on weak lines; None where nothing is priced in it."""

    def first(lines: Sequence[Line]) -> float:
        months = funding.adopted.running_months / 12
        return sum(line.yearly[0] * (months if line.phase == "yearly" else 1) for line in lines if line.yearly)

    whole = first(funding.lines)
    return first(weak_lines(funding)) / whole if whole else None


def basis_note(desk: Desk) -> str:
    """How many lines rest on what, and how much of the first year on what a quotation must confirm."""
    funding, weak = desk.funding, weak_share(desk.funding)
    counts = {basis: sum(line.basis == basis for line in funding.lines) for basis in ("published", "quotes", "town", "awaiting")}
    unsure = len(weak_lines(funding))
    share = desk.say("unknown") if weak is None else f"{weak * 100:.0f}%"
    blanks = {"quotes": counts["quotes"], "town": counts["town"], "waiting": counts["awaiting"], "share": share}
    return desk.say("lines.basis", firm=counts["published"] - unsure, weak=unsure, **blanks)


def unit_name(view: View, per: str, phase: str) -> str:
    """What one unit of a line is."""
    return view.unit(per) + ("・年" if phase == "yearly" else "")


def notes(desk: Desk) -> list[str]:
    """What stands above every table with a total: how far it can be trusted, and supports that are counted by the text of an earlier year."""
    budget = desk.funding.adopted
    past = [desk.say("past", list=desk.supports_of(budget))] if budget.past else []
    return [desk.say("mark", mark=desk.mark), *past]


def header(desk: Desk) -> tuple[str, ...]:
    """The lines on top of each sheet of a workbook that stays in the office."""
    say, plan = desk.say, desk.view.plan
    days = say("header.made", day=day_text(say, desk.dossier.today)), say("header.data", day=day_text(say, data_day(desk.dossier.region, desk.view)))
    lines = (f"【{say('header.inside')}】　{'　'.join(days)}", say("p.issue", sentence=plan.sentence), plan.label or "")
    return tuple(line for line in lines if line)


def by_source(rows: tuple[Row, ...], budget: Budget) -> dict[str, tuple[int, ...]]:
    """Amounts by source of money and year, all five sources in their order, 0 where there is none."""
    found = {source: [0] * len(budget.years) for source in SOURCES}
    for row in rows:
        found[row.id] = [before + amount for before, amount in zip(found[row.id], row.years, strict=True)]
    return {source: tuple(years) for source, years in found.items()}
