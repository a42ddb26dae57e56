"""The first sheet of the workbook: what was asked, what comes out and what it rests on, in blocks of rows.

In: a view. Out: blocks with heads and rows; amounts exactly as in the ledger. How a cell looks is left to the workbook.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiban.documents.amounts import Yen
from kiban.documents.reasons import answers, case_cost, cases_heading, left_out, near_cases, option_known, to_confirm
from kiban.documents.view import View

Cell = str | float | None
WIDTHS = (44, 30, 34, 64)


@dataclass(frozen=True)
class Block:
    """A heading, the heads of its columns and its rows; a row of two cells has its second across all other columns."""

    heading: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def cell(view: View, id: str | None) -> Cell:
    """The value of a figure, not rounded; amounts are told from other numbers."""
    figure = view.figure(id)
    if figure is None or figure.value is None:
        return None
    return Yen(figure.value) if figure.unit.startswith("JPY") else figure.value


def summary(view: View) -> list[Block]:
    """Sentence, answers, model and verdict; totals; options; near cases."""
    word, issue, design, verdict = view.word, view.step("issue"), view.step("design"), view.step("verdict")
    assumed = sum(point["kind"] == "assumed" for point in verdict["points"])
    why = word(f"verdict.{verdict['status']}.why", count=len(verdict["points"]), assumed=assumed)
    asked = [
        (word("plan.issue"), view.plan.sentence),
        *((word("page.answers"), f"{question} → {choice}") for question, choice in answers(view)),
        *((word("plan.model"), f"{view.name('models/' + match['id'])}{view.aside(word('page.proposal'))}") for match in issue["models"][:1]),
        (word("xlsx.verdict"), f"{word('verdict.' + verdict['status'])} {why}"),
    ]
    if not answers(view):
        asked.insert(1, (word("page.answers"), word("page.answers.none")))
    options = [(word("option." + row["kind"]), word("option.state." + row["state"]), option_known(view, row)) for row in view.step("options")["rows"]]
    cases = [
        (
            case.title,
            word("plan.stopped") if case.stopped else word("case.state." + case.state),
            view.joined(case_cost(view, case)) or word("view.unknown"),
            case.failed or "",
        )
        for case in near_cases(view)
    ]
    totals = (word("xlsx.item"), word("field.value"), word("field.unit"), word("page.figure"))
    return [
        Block(word("xlsx.asked"), (word("xlsx.item"), word("xlsx.content")), tuple(asked)),
        Block(word("plan.cost"), totals, (*_totals(view), *((word("page.excludes"), item) for item in left_out(view, design.get("excludes", ()))))),
        Block(word("plan.options"), (word("page.option"), word("page.state"), word("page.known")), tuple(options)),
        Block(cases_heading(view)[0], (word("xlsx.case"), word("page.state"), word("plan.cost"), word("field.failed")), tuple(cases)),
    ]


def _totals(view: View) -> list[tuple[Cell, ...]]:
    """The totals with their units and the ids of their figures."""
    word, design, years, period = view.word, view.step("design"), view.years(), view.period()
    without, within, part = word("plan.tax_excluded"), word("plan.tax_included"), word("plan.priced_part")
    least = design.get("lower_bound_only", False)

    def total(name: str, id: str, *, at_least: bool = False, note: str = "") -> tuple[Cell, ...]:
        unit = view.unit(view.plan.figures[id].unit)
        sure = [word("page.confidence_is", letter=shown)] if (shown := view.plan.figures[id].confidence) else []
        return name, cell(view, id), word("page.at_least", amount=unit) if at_least else unit, " · ".join([id, *sure, *([note] if note else [])])

    whole = design["cost_npv"] or design["priced_part"]
    partly = "" if design["cost_npv"] else f" {part}"  # without a total of the plan, what follows is a part of it
    rows = [
        total(
            f"{word('plan.cost_npv')}{view.aside(without)}{partly}",
            whole,
            at_least=least,
            note=word("page.cost_npv.note", count=period["count"], first=period["first"], last=period["end"]),
        ),
        total(f"{word('plan.cost_5y')}{view.aside(within)}{partly}", design["cost_5y_taxed"] or design["priced_part_5y_taxed"], at_least=least),
        total(f"{word('plan.cost_5y')}{view.aside(without)}{partly}", design["cost_5y"] or design["priced_part_5y"], at_least=least),
    ]
    rows.append(total(word("xlsx.first_year", year=years[0]), design["years"][0], at_least=least))
    following = sorted(range(1, len(years)), key=lambda year: view.plan.figures[design["years"][year]].value or 0)
    for key, year in (("xlsx.following_least", following[0]), ("xlsx.following_most", following[-1])) if following else ():
        rows.append(total(word(key, year=years[year]), design["years"][year], at_least=least))
    rows += [total(f"{word('plan.lower_bound')}{view.aside(without)}", design["lower_bound"]), total(word("plan.gap"), design["gap"])]
    rows += [total(word("page.served"), design["served_sites"], note=to_confirm(view)), total(word("xlsx.wanted"), design["wanted_sites"])]
    return rows
