"""A plan as an Excel workbook: a summary, what each site gets and why, cost by layer and year in 千円, sources, assumed rows.

In: a view. Out: bytes of an .xlsx. Every sheet carries the label of the region in its first row.
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kiban.documents.amounts import Yen
from kiban.documents.reasons import (
    assumed_name,
    bottlenecks_by_site,
    break_even,
    left_out,
    missing_costs,
    point_text,
    reason,
    row_names,
    town_bottleneck_texts,
    whom,
)
from kiban.documents.summary_sheet import WIDTHS, Cell, cell, summary
from kiban.documents.view import View

if TYPE_CHECKING:
    import xlsxwriter


def _lines(text: str, width: int) -> int:
    """How many lines a text takes in a column so many narrow letters wide.

    >>> _lines("abc", 10), _lines("避難所避難所", 10)
    (1, 2)
    """
    letters = sum(2 if unicodedata.east_asian_width(letter) in "WFA" else 1 for letter in text)
    return max(1, math.ceil(letters / max(width - 1, 1)))


def _diagnosis(view: View, sheet: Callable[..., None]) -> None:
    """What stands in the way today, of the town first, then by site: one row each."""
    rows = [(view.word("diagnose.town"), line) for line in town_bottleneck_texts(view)]
    sites, texts = {row["site"]: row for row in view.step("design")["sites"]}, bottlenecks_by_site(view)
    for id, row in sites.items():
        rows += [(view.local(row["name"]), line) for line in texts.get(id, [view.word("diagnose.none")])]
    sheet(view.word("diagnose.title"), view.plan.sentence, [view.word("plan.site"), view.word("diagnose.title")], rows, (30, 110))


def sites_xlsx(view: View) -> bytes:
    """The workbook. Texts are written as texts: a name that begins with = is no formula."""
    buffer = io.BytesIO()
    import xlsxwriter  # not before a paper is written: it takes a while to load

    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "default_date_format": "yyyy-mm-dd"})
    font = {"font_name": "Meiryo UI" if view.lang == "ja" else "Calibri", "font_size": 10, "valign": "top"}
    formats = {
        "label": book.add_format({**font, "bold": True, "font_color": "#7a4a00"}),
        "title": book.add_format({**font, "bold": True, "font_size": 14}),
        "block": book.add_format({**font, "bold": True, "font_size": 12}),
        "note": book.add_format({**font, "font_color": "#4d4d4d"}),
        "head": book.add_format({**font, "bold": True, "bg_color": "#e8f1fe", "border": 1, "text_wrap": True}),
        "text": book.add_format({**font, "border": 1, "text_wrap": True}),
        "number": book.add_format({**font, "border": 1}),
        "yen": book.add_format({**font, "border": 1, "num_format": "#,##0"}),
    }
    design, word = view.step("design"), view.word

    def started(name: str, title: str) -> xlsxwriter.worksheet.Worksheet:
        page = book.add_worksheet(name[:31])
        page.hide_gridlines(2)
        page.set_landscape()
        page.set_paper(9)
        page.fit_to_pages(1, 0)
        page.set_row(0, 21)
        page.write_string(0, 0, title, formats["title"])
        page.write_string(1, 0, view.label() or "", formats["label"])
        page.write_string(2, 0, word("xlsx.money_note"), formats["note"])
        page.set_footer(f"&L{view.plan.engine} · {view.plan.made_on:%Y-%m-%d} · {view.plan.id}&R&P / &N")
        return page

    def write(page: xlsxwriter.worksheet.Worksheet, index: int, row: Sequence[Cell], widths: Sequence[int]) -> None:
        page.set_row(index, 15 * max(_lines(part, width) if isinstance(part, str) else 1 for part, width in zip(row, widths, strict=True)))
        for column, part in enumerate(row):
            if part is None:
                page.write_blank(index, column, None, formats["text"])
            elif isinstance(part, str):
                page.write_string(index, column, part, formats["text"])
            else:
                page.write_number(index, column, part, formats["yen" if isinstance(part, Yen) else "number"])

    def sheet(name: str, title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int]) -> None:
        page = started(name, title)
        page.set_row(3, 15 * max(_lines(head, width) for head, width in zip(heads, widths, strict=True)))
        for column, (head, width) in enumerate(zip(heads, widths, strict=True)):
            page.set_column(column, column, width)
            page.write_string(3, column, head, formats["head"])
        for index, row in enumerate(rows, start=4):
            write(page, index, row, widths)
        page.freeze_panes(4, 1)
        page.repeat_rows(3)
        if rows:
            page.autofilter(3, 0, 3 + len(rows), len(heads) - 1)

    def value(id: str | None) -> Cell:
        return cell(view, id)

    page, at = started(word("xlsx.summary"), word("xlsx.summary")), 3
    for column, width in enumerate(WIDTHS):
        page.set_column(column, column, width)
    for block in summary(view):
        page.write_string(at, 0, block.heading, formats["block"])
        widths = WIDTHS[: len(block.heads)] if len(block.heads) > 2 else (WIDTHS[0], sum(WIDTHS[1:]))
        for column, head in enumerate(block.heads):
            page.write_string(at + 1, column, head, formats["head"])
        if len(block.heads) == 2:
            page.merge_range(at + 1, 1, at + 1, len(WIDTHS) - 1, block.heads[1], formats["head"])
        at += 2
        for row in block.rows:
            write(page, at, row, (WIDTHS[0], sum(WIDTHS[1:])) if len(row) == 2 else widths)
            if len(row) == 2:
                page.merge_range(at, 1, at, len(WIDTHS) - 1, "", formats["text"])
                page.write_string(at, 1, str(row[1]), formats["text"])
            at += 1
        at += 1
    names = row_names(view)
    sheet(
        word("xlsx.sites"),
        view.plan.sentence,
        [
            word(key)
            for key in (
                "plan.site",
                "field.kind",
                "page.chosen",
                "xlsx.own_yen",
                "plan.next_best",
                "xlsx.difference_yen",
                "plan.reason",
                "page.assumed",
                "page.critical",
            )
        ],
        [
            (
                view.local(row["name"]),
                word("value.sites." + row["kind"]),
                "＋".join(view.name("technologies/" + id) for id in row["technologies"]),
                value(row["own"]),
                view.name("technologies/" + row["next_best"]["technology"]) if row["next_best"] else "",
                value(row["next_best"]["difference"]) if row["next_best"] else None,
                reason(view, row),
                word("show.yes") if row["assumed"] else "",
                word("show.yes") if row["critical"] else "",
            )
            for row in design["sites"]
        ],
        (24, 12, 28, 16, 24, 16, 48, 10, 10),
    )
    years = view.years()
    thousands: Any = lambda id: None if value(id) is None else Yen(round(value(id) / 1000))  # type: ignore[operator]  # noqa: E731  value is a number here
    sheet(
        word("xlsx.years"),
        word("plan.by_layer_and_year"),
        [word("plan.layer"), *years],
        [
            *((word("value.layer." + row["layer"]), *(thousands(id) for id in row["years"])) for row in design["layers"]),
            (word("plan.total"), *(thousands(id) for id in design["years"])),
        ],
        (20, *(9 for _ in years)),
    )
    verdict = view.step("verdict")
    sheet(
        word("xlsx.unknown"),
        word("plan.unknown"),
        [word("page.points"), word("xlsx.whom")],
        [
            *((point_text(view, point, names), whom(view, point)) for point in verdict["points"] if point["kind"] != "assumed"),
            *((f"{word('page.excludes')}: {item}", word("ask.quotation")) for item in left_out(view, design.get("excludes", ()))),
            *(
                (f"{view.name('technologies/' + row['technology'])}: {missing_costs(view, row)} ({break_even(view, row)})", word("ask.quotation"))
                for row in design["unpriced"]
                if not row["enters"]
            ),
            *((f"{view.local(row['what'])}: {view.local(row['why'])}", f"→ {view.local(row['ask'])}") for row in design["missing"]),
        ],
        (90, 44),
    )
    sheet(
        word("xlsx.assumed"),
        word("plan.assumed"),
        [word("page.row"), word("plan.assumed_reason"), word("plan.assumed_confirm")],
        [(assumed_name(view, row), view.local(row["reason"]), view.local(row["confirm"])) for row in design["assumed"]],
        (30, 60, 40),
    )
    leaves = [(key, figure) for key, figure in view.plan.figures.items() if figure.kind in ("source", "assumed") and not key.startswith("region/")]
    rows = []
    for key, figure in leaves:
        place, source = view.origin(figure)
        rows.append(
            (
                key,
                value(key),
                view.unit(figure.unit),
                str(figure.confidence or ""),
                source.title if source else place,
                (source.url or "") if source else "",
                str(source.seen_on) if source else "",
            )
        )
    sheet(
        word("xlsx.sources"),
        word("xlsx.sources"),
        [word(key) for key in ("page.figure", "field.value", "field.unit", "field.confidence", "field.source", "field.url", "field.seen_on")],
        rows,
        (44, 16, 18, 12, 50, 60, 12),
    )
    _diagnosis(view, sheet)
    book.close()
    return buffer.getvalue()
