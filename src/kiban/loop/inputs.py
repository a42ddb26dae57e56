"""What people put into a plan by hand: workbooks that they filled in, facts that they named; kept in inputs.json.

In: files. Out: Inputs and Quotes. A file that cannot be read changes nothing: every problem is named by its cell, and inputs.json is replaced as a whole
or not at all.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kiban.base.errors import KibanError, RecordError
from kiban.catalogue import Catalogue
from kiban.catalogue.convert import near
from kiban.documents import estimate_xlsx as sheet
from kiban.documents import quote_form as form
from kiban.documents import requirements_xlsx as wishes
from kiban.loop.sheets import Workbook, head_of, number_of, open_workbook
from kiban.records.fact import NamedFact
from kiban.records.funding import Answered, Funding, Inputs, Quote

INPUTS = "inputs.json"
Value = float | bool | str
YES, NO = {"yes", "true", "1", "はい", "有", "該当"}, {"no", "false", "0", "いいえ", "無", "非該当"}
CLOSE = 1e-9  # workbooks keep 15 to 16 digits


@dataclass(frozen=True)
class Estimate:
    """What stands in the input cells of an estimate; None in `prices` or `quantities`: the cell is empty. `rows`: ids of the sheet in its order."""

    quantities: dict[str, float | None] = field(default_factory=dict)
    prices: dict[str, float | None] = field(default_factory=dict)
    tax_rate: float | None = None
    months: int | None = None
    start: int | None = None
    horizon: int | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """The line ids."""
        return tuple(self.prices)


def read_estimate(path: Path) -> Estimate:
    """Read an estimate back: rows may be sorted otherwise, digits may be full-width, with 円 and commas.

    Raises
    ------
    KibanError  the file is no estimate; ManyErrors: cells that cannot be understood, each with its place
    """
    book = open_workbook(path)
    columns, rows = book.table(sheet.LINES, (sheet.ID, sheet.QUANTITY, sheet.PRICE))
    quantities: dict[str, float | None] = {}
    prices: dict[str, float | None] = {}
    for row in rows:
        id = book.text(sheet.LINES, row, columns[sheet.ID])
        quantity, price = (book.number(sheet.LINES, row, columns[head]) if id and "." in id else None for head in (sheet.QUANTITY, sheet.PRICE))
        if not id or " " in id or "." not in id:
            blank = all(str(book.cell(sheet.LINES, row, columns[head])).strip() == "" for head in (sheet.QUANTITY, sheet.PRICE))
            if not blank:
                where = book.where(sheet.LINES, row, columns[sheet.ID])
                book.problem(where, repr(id), "the id of a line", "leave the ids as they are; new lines come from the plan")
            continue
        if id in prices:
            book.problem(book.where(sheet.LINES, row, columns[sheet.ID]), f"{id} twice", "each line once", "delete one of the rows")
            continue
        quantities[id], prices[id] = quantity, price
    found: dict[str, float | None] = {}
    for name in (sheet.TAX, sheet.MONTHS, sheet.START, sheet.HORIZON):
        place = book.labelled(sheet.GIVEN, name)
        found[name] = book.number(sheet.GIVEN, *place, share=name == sheet.TAX) if place else None
        low, high = {sheet.TAX: (0.0, 0.5), sheet.MONTHS: (1, 12)}.get(name, (0, 9999))
        value = found[name]
        if value is not None and place and not (low <= value <= high and (name == sheet.TAX or value == int(value))):
            book.problem(book.where(sheet.GIVEN, *place), f"{name} {value:g}", f"{low:g} to {high:g}", "correct the cell (10 % is 0.1 or 10%)")
    book.raise_problems()
    months, start, horizon = (None if (value := found[name]) is None else int(value) for name in (sheet.MONTHS, sheet.START, sheet.HORIZON))
    return Estimate(quantities, prices, found[sheet.TAX], months, start, horizon)


def _same(a: float | None, b: float | None) -> bool:
    return a is b or (a is not None and b is not None and math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE))


def merge_estimate(inputs: Inputs, funding: Funding, estimate: Estimate) -> tuple[Inputs, tuple[str, ...]]:
    """Inputs with what an estimate says otherwise than the plan's money; and sentences on what was not taken over.

    Only cells that differ become people's own values: a price that nobody touched keeps its source. An emptied cell takes the own value back.

    Raises
    ------
    ManyErrors  lines that the plan does not have
    """
    lines = {line.id: line for line in funding.lines}
    if strange := [id for id in estimate.rows if id not in lines]:
        known = ", ".join(list(lines)[:5])
        raise KibanError("estimate", f"line(s) {', '.join(strange)}", f"lines of this plan such as {known}", "take the estimate of this plan folder")
    quantities, prices, notes = dict(inputs.quantities), dict(inputs.prices), []
    replaced = dict(inputs.replaced)
    for id in estimate.rows:
        line, quantity, price = lines[id], estimate.quantities[id], estimate.prices[id]
        for own, value, before, name in ((quantities, quantity, line.quantity, "数量"), (prices, price, line.unit_yen, "単価")):
            if _same(value, before):
                continue
            if value is not None:
                if own is quantities:
                    replaced[id] = line.designed if id in own else line.quantity
                own[id] = value
            elif id in own:
                del own[id]
                if own is quantities:
                    replaced.pop(id, None)
                notes.append(f"{id}: {name}の自団体の値を取り消した / the town's own value was taken back")
            else:
                notes.append(f"{id}: 空欄の{name}は取り込まない（計画の値のまま） / an empty cell is not taken over")
    notes += [f"{id}: 行がない（計画の値のまま） / the row is missing, the plan's values stay" for id in lines if id not in estimate.prices]
    for name, stated, stays in ((sheet.START, estimate.start, funding.start), (sheet.HORIZON, estimate.horizon, funding.horizon)):
        if stated is not None and stated != stays:
            notes.append(f"{name} {stated} は取り込まない（計画では {stays}） / is not taken over; make the plan again to change it")
    facts = dict(inputs.facts)
    if estimate.months is not None and estimate.months != funding.adopted.running_months:
        facts["service_start_month"] = float(16 - estimate.months)
    rate = inputs.tax_rate if _same(estimate.tax_rate, funding.tax_rate) or estimate.tax_rate is None else estimate.tax_rate
    return replace(inputs, quantities=quantities, replaced=replaced, prices=prices, tax_rate=rate, facts=facts), tuple(notes)


def read_answers(path: Path, received: date) -> tuple[Quote, str | None]:
    """A supplier's answer: the form of quotations or the list of requirements, whichever the file is. Also the plan that the file names.

    Raises
    ------
    KibanError  the file is neither; ManyErrors: the supplier's name is missing, or cells cannot be understood
    """
    book = open_workbook(path)
    if form.SHEET in book.sheets:
        quote = _prices(book, received)
        name = form.SHEET
    elif wishes.SHEET in book.sheets:
        quote = _requirements(book, received)
        name = wishes.SHEET
    else:
        fits = f"a sheet {form.SHEET} or {wishes.SHEET}"
        raise KibanError(str(path), f"sheets {', '.join(book.sheets)}", fits, "import the workbooks that suppliers were sent")
    place = book.labelled(name, form.PLAN)
    plan = book.text(name, *place) if place else None
    book.raise_problems()
    return quote, plan or None


def _supplier(book: Workbook, name: str) -> str:
    place = book.labelled(name, form.SUPPLIER)
    supplier = book.text(name, *place) if place else ""
    if not supplier:
        row, column = place or (0, 0)
        book.problem(book.where(name, row, column), f"no {form.SUPPLIER}", "the name of the supplier", "write it into the cell")
    return supplier or "?"


def _prices(book: Workbook, received: date) -> Quote:
    name = form.SHEET
    supplier = _supplier(book, name)
    place = book.labelled(name, form.VALID)
    valid = book.day(name, *place) if place else None
    columns, rows = book.table(name, (form.ID, form.PRICE), (form.LEASE, form.RENEWAL, form.REMOVAL, form.NOTE))
    answers: dict[str, Answered] = {}
    for row in rows:
        id = book.text(name, row, columns[form.ID])
        if not id or "." not in id or " " in id:
            continue
        amounts = {head: book.number(name, row, columns[head]) if head in columns else None for head in (form.PRICE, form.LEASE, form.RENEWAL, form.REMOVAL)}
        if id in answers:
            book.problem(book.where(name, row, columns[form.ID]), f"{id} twice", "each line once", "delete one of the rows")
            continue
        answers[id] = Answered(
            line=id,
            unit_yen=amounts[form.PRICE],
            lease_yen_month=amounts[form.LEASE],
            renewal_yen=amounts[form.RENEWAL],
            removal_yen=amounts[form.REMOVAL],
            note=(book.text(name, row, columns[form.NOTE]) or None) if form.NOTE in columns else None,
        )
    return Quote(supplier=supplier, received=received, file=book.path.name, valid_until=valid, answers=tuple(answers.values()))


def _requirements(book: Workbook, received: date) -> Quote:
    name = wishes.SHEET
    supplier = _supplier(book, name)
    columns, rows = book.table(name, (wishes.ID, wishes.ANSWER), (wishes.INSTEAD, wishes.PROOF))
    found: dict[str, str] = {}
    for row in rows:
        id = book.text(name, row, columns[wishes.ID])
        if not id or "." not in id or " " in id:
            continue
        said = book.text(name, row, columns[wishes.ANSWER])
        mark = wishes.MARKS.get(said, wishes.MARKS.get(head_of(said), said))
        more = [f"{head_of(head)}: {text}" for head in (wishes.INSTEAD, wishes.PROOF) if head in columns and (text := book.text(name, row, columns[head]))]
        if mark or more:
            found[id] = "\n".join([mark or "?", *more])
    return Quote(supplier=supplier, received=received, file=book.path.name, requirements=found)


def add_quote(inputs: Inputs, quote: Quote) -> Inputs:
    """Inputs with a supplier's answer: prices or requirements of the same supplier are replaced, the other part of its answer stays.

    >>> first = Quote(supplier="A", received=date(2026, 12, 1), file="a.xlsx", answers=(Answered(line="radio.gear", unit_yen=5.0),))
    >>> second = Quote(supplier="A", received=date(2026, 12, 2), file="b.xlsx", requirements={"standing.exit": "〇"})
    >>> (both,) = add_quote(add_quote(Inputs(), first), second).quotes
    >>> both.answers[0].unit_yen, both.requirements
    (5.0, {'standing.exit': '〇'})
    """
    before = next((one for one in inputs.quotes if one.supplier == quote.supplier), None)
    if before is not None:
        quote = replace(
            quote,
            answers=quote.answers or before.answers,
            requirements=quote.requirements or before.requirements,
            valid_until=quote.valid_until if quote.answers else before.valid_until,
        )
        return replace(inputs, quotes=tuple(quote if one.supplier == quote.supplier else one for one in inputs.quotes))
    return replace(inputs, quotes=(*inputs.quotes, quote))


def read_inputs(folder: Path) -> Inputs:
    """inputs.json of a plan folder; empty where there is none.

    Raises
    ------
    KibanError  the file is damaged; it stays as it is
    """
    path = folder / INPUTS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Inputs)
    except FileNotFoundError:
        return Inputs()
    except (msgspec.DecodeError, RecordError) as error:
        raise KibanError(str(path), str(error), "the inputs that kiban wrote", "put back a good copy; the file was left as it is") from error


def write_inputs(folder: Path, inputs: Inputs) -> Path:
    """Write inputs.json in one step: whoever reads it sees the old or the new one.

    Raises
    ------
    OSError  the disk is full or the folder cannot be written; the older file stays
    """
    path = folder / INPUTS
    handle, draft = tempfile.mkstemp(prefix=".inputs-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(inputs), indent=1))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(draft).unlink()
    return path


def with_facts(inputs: Inputs, texts: Sequence[str], catalogue: Catalogue) -> Inputs:
    """Inputs with the facts of `--fact ID=VALUE`; an empty value takes a fact back."""
    facts = dict(inputs.facts)
    for text in texts:
        id, value = fact_of(text, catalogue)
        if value is None:
            facts.pop(id, None)
        else:
            facts[id] = value
    return replace(inputs, facts=facts)


def fact_of(text: str, catalogue: Catalogue) -> tuple[str, Value | None]:
    """ID=VALUE as a fact; None for an empty value, which takes the fact back.

    Raises
    ------
    KibanError  no such fact, or a value that does not fit it
    """
    id, sign, value = text.partition("=")
    if not sign:
        raise KibanError("--fact", repr(text), "ID=VALUE", "write the id of the fact, =, and its value")
    if id not in catalogue.facts:
        raise KibanError("--fact", f"fact {id!r}", "a fact of `kiban catalogue list facts`", near(id, catalogue.facts) or "choose one of the list")
    return id, None if not value.strip() else _value(id, value.strip(), catalogue.facts[id])


def _value(id: str, text: str, fact: NamedFact) -> Value:
    where = f"--fact {id}"
    if fact.kind == "flag":
        if text.lower() not in YES | NO:
            raise KibanError(where, repr(text), "yes or no", f"answer: {fact.question.ja}")
        return text.lower() in YES
    if fact.kind == "choice":
        if text not in fact.choices:
            raise KibanError(where, repr(text), f"one of {', '.join(fact.choices)}", f"answer: {fact.question.ja}")
        return text
    if fact.kind == "day":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise KibanError(where, repr(text), "a day such as 2027-03-31", f"answer: {fact.question.ja}") from error
    if fact.kind == "text":
        return text
    try:
        number = number_of(text)
    except ValueError as error:
        raise KibanError(where, repr(text), f"{error}, in {fact.unit}", f"answer: {fact.question.ja}") from error
    low, high = fact.low if fact.low is not None else 0.0, fact.high if fact.high is not None else float("inf")
    if number is None or not low <= number <= high:
        raise KibanError(where, repr(text), f"a number from {low:g} to {high:g} in {fact.unit}", f"answer: {fact.question.ja}")
    return number
