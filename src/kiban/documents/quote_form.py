"""The form of quotations 見積様式: the lines of the estimate with their ids, units and quantities, for suppliers to put prices in.

In: a public dossier, which knows no amount, and the catalogue for its sentences. Out: bytes of an .xlsx. Cells other than the answers are protected
without a password: the protection is against slips, not against people.
"""

from __future__ import annotations

from collections.abc import Mapping

from kiban.catalogue import Catalogue
from kiban.documents.dossier import Asked, PublicDossier
from kiban.documents.office.desk import Counter, day_text
from kiban.documents.workbook import MARK, Book, Cell, Formula, Page
from kiban.records.funding import COMPONENT, Funding
from kiban.records.source import Text
from kiban.records.technology import Technology

PAPER = "quote-form-xlsx"
SHEET, LEGEND = "見積様式", "記入の手引"
OPTION = "(入力・任意)"
SUPPLIER, PLAN, VALID, RATE = "事業者名", "計画番号", "有効期限", "消費税率"  # labels by which the sheet is read again
ID, PRICE, LEASE, RENEWAL, REMOVAL, NOTE = (
    "id", "単価(円・税抜)" + MARK, "リース月額(円・税抜)" + OPTION, "更新時の単価(円・税抜)" + OPTION, "撤去の単価(円・税抜)" + OPTION, "備考" + OPTION,
)  # fmt: skip
HEADS = (ID, "名称", "区分", "数量", "単位", PRICE, "金額(円・税抜)", "税込", LEASE, RENEWAL, REMOVAL, NOTE)
WIDTHS = (18, 30, 7, 9, 9, 14, 13, 13, 13, 13, 13, 20)
KINDS = ("upkeep", "service", "lease", "rent", "energy")
LEGENDS = ("kind", "lease", "renewal", "removal", "tax", "valid", "id")


def asked_lines(funding: Funding, technologies: Mapping[str, Technology], of_model: Text | None = None) -> tuple[Asked, ...]:
    """The lines of the estimate as suppliers see them, in its order.

    Lines of existing plant are one line per technology and cost, "<technology>.<cost>", with the sum of their quantities: where the town's plant lies is
    not told, and the price of a unit is the same. `answered_lines` gives the answer back to each of them. of_model: what a part of the standard model is
    called that no technology of the design stands for.
    """
    rows: dict[str, Asked] = {}
    for line in funding.lines:
        technology = technologies.get(line.technology)
        if technology is None:
            if line.technology == COMPONENT:
                rows[line.id] = Asked(line.id, line.name, line.per, line.phase, line.quantity, of_model or line.name, line.category)
            continue
        id = f"{line.technology}.{line.cost}"
        name = next((cost.name for cost in technology.costs if cost.id == line.cost), line.name)
        before = rows.get(id)
        quantity = line.quantity
        if before is not None:
            quantity = None if before.quantity is None or quantity is None else before.quantity + quantity
        rows[id] = Asked(id, name if id != line.id else line.name, line.per, line.phase, quantity, technology.name, line.category)
    return tuple(rows.values())


def answered_lines(id: str, funding: Funding) -> tuple[str, ...]:
    """The lines of the estimate that an answer to a line of the form is about; () where there is none."""
    own = tuple(line.id for line in funding.lines if line.id == id)
    return own or tuple(line.id for line in funding.lines if f"{line.technology}.{line.cost}" == id)


def kind_of(line: Asked) -> str:
    """The key of a line's kind: initial, or what a yearly line pays for."""
    if line.phase == "initial":
        return "initial"
    return line.category if line.category in KINDS else "yearly"


def public_header(counter: Counter) -> tuple[str, ...]:
    """The lines on top of each sheet of a workbook that may leave the office."""
    dossier, say = counter.dossier, counter.say
    days = (say("header.made", day=day_text(say, dossier.today)), say("header.data", day=day_text(say, dossier.data_day)))
    return tuple(line for line in (f"【{say('header.outside')}】　{'　'.join(days)}", dossier.label or "") if line)


def supplier_block(page: Page, counter: Counter, rows: tuple[tuple[str, str, bool], ...]) -> dict[str, int]:
    """The cells that say who answers: (label, value, is an input). Returns the row of each label, from 1."""
    page.block(counter.say("h.supplier"))
    places = {}
    for label, value, given in rows:
        row = page.row((Cell(label), Cell(value, "input_text" if given else "text")))
        places[label] = row + 1
    page.at += 1
    return places


def quote_form(dossier: PublicDossier, catalogue: Catalogue) -> bytes:
    """The workbook: one sheet to fill in, one that explains it."""
    counter = Counter(dossier, catalogue, PAPER)
    say = counter.say
    book = Book(SHEET, dossier.town, public_header(counter), dossier.today, say("footer", plan=dossier.plan))
    key = "note.required" if dossier.quotes_rule else "note.required.guide"
    required = [say(key, count=dossier.quotes_required)] if dossier.quotes_required else []
    page = book.page(SHEET, WIDTHS, notes=[say("note.colour"), say("note.price"), say("note.promise"), *required])
    places = supplier_block(page, counter, ((SUPPLIER, "", True), (PLAN, dossier.plan, False), (VALID, "", True), (RATE, "", True)))
    valid, rate = places[VALID], places[RATE]
    page.put(valid - 1, 1, Cell(None, "day"))
    page.put(rate - 1, 1, Cell(None, "input_share"))
    page.sheet.data_validation(rate - 1, 1, rate - 1, 1, {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 0.5,
                               "error_title": RATE, "error_message": "割合(10 %は 0.1 又は 10%)"})  # fmt: skip
    page.block(say("h.lines"))
    page.heads(HEADS, repeat=True, freeze=2)
    first = page.at + 1
    for line in dossier.lines:
        row, initial = page.at + 1, line.phase == "initial"
        optional = Cell(None, "input_yen") if initial else Cell(None, "text")
        texts = catalogue.words["ja"]
        unit = texts.get(f"unit.{line.per}", line.per)
        page.row(
            (
                Cell(line.id, "id"),
                Cell(f"{line.technology.ja}: {line.name.ja}"),
                Cell(say(f"kind.{kind_of(line)}"), "mark"),
                Cell(line.quantity if line.quantity is not None else say("uncounted"), "number"),
                Cell(say(f"unit.{line.phase}", unit=unit)),
                Cell(None, "input_yen"),
                Cell(Formula(f'=IF(OR(F{row}="",NOT(ISNUMBER(D{row}))),"",D{row}*F{row})', ""), "yen"),
                Cell(Formula(f'=IF(OR(G{row}="",$B${rate}=""),"",ROUND(G{row}*(1+$B${rate}),0))', ""), "yen"),
                optional,
                optional,
                optional,
                Cell(None, "input_text"),
            )
        )
    last = max(page.at, first)
    page.at = last
    for index in (5, 8, 9, 10):
        page.sheet.data_validation(first - 1, index, last - 1, index, {"validate": "decimal", "criteria": ">=", "value": 0,
                                   "error_title": HEADS[index], "error_message": "0以上の数(円)。分からないときは空欄"})  # fmt: skip
    page.at += 1
    page.block(say("h.sum"))
    for key, test in (("initial", "="), ("yearly", "<>")):
        sums = [f'=SUMIF($C${first}:$C${last},"{test}{say("kind.initial")}",{letter}{first}:{letter}{last})' for letter in "GH"]
        named = (Cell("", "total_text"), Cell(say(f"sum.{key}"), "total_text"), *(Cell("", "total_text") for _ in range(4)))
        page.row((*named, *(Cell(Formula(text, 0), "total") for text in sums)))
    page.area(page.at - 1, len(HEADS) - 1)
    protect(page)
    told = book.page(LEGEND, (26, 100))
    told.heads(("項目", "説明"))
    for key in LEGENDS:
        told.row((Cell(say(f"l.{key}")), Cell(say(f"l.{key}.text"))))
    told.area(told.at - 1, 1)
    return book.close()


def protect(page: Page) -> None:
    """Protect what is not an answer, without a password; columns and rows may still be made wider, sorted and filtered."""
    page.sheet.protect("", {"format_columns": True, "format_rows": True, "sort": True, "autofilter": True, "select_locked_cells": True})
