"""Suppliers' answers into a plan, and what they say together; the command and the pages do the same.

In: files of suppliers, a plan folder as it was read. Out: Inputs with the answers, notes in both languages, and one summary. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.catalogue import Catalogue
from kiban.documents.quote_form import answered_lines
from kiban.finance.quotes import enough, short, statistics
from kiban.loop.files import Folder
from kiban.loop.inputs import add_quote, read_answers
from kiban.records.funding import Answered, Inputs, Quote

RULE = "quote-outlier"


def imported(files: Sequence[Path], folder: Folder, inputs: Inputs, day: date) -> tuple[Inputs, list[str]]:
    """Inputs with all answers, and what must be said about them.

    Raises
    ------
    KibanError  a file cannot be understood, names lines of another plan, or is the second one of a supplier; nothing was taken in then
    """
    notes: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for path in files:
        quote, plan = read_answers(path, day)
        kind = "prices" if quote.answers else "requirements"
        if (quote.supplier, kind) in seen:
            other = seen[quote.supplier, kind]
            raise KibanError(str(path), f"a second answer of {quote.supplier} beside {other}", "one answer of each supplier", "leave one of the files out")
        seen[quote.supplier, kind] = path.name
        answers: list[Answered] = []
        strange = []
        for answer in quote.answers:
            lines = answered_lines(answer.line, folder.funding)
            strange += [] if lines else [answer.line]
            answers += [replace(answer, line=line) for line in lines]
        if strange:
            fits = "ids of this plan's estimate"
            raise KibanError(str(path), f"line(s) {', '.join(strange[:5])}", fits, "check that the answer belongs to this plan, and that no id was changed")
        quote = replace(quote, answers=tuple(answers))
        if plan is not None and plan != folder.plan.id:
            notes.append(f"{path.name}: 計画番号 {plan} はこの計画 {folder.plan.id} と違う / was made for another plan")
        if any(one.supplier == quote.supplier for one in inputs.quotes):
            notes.append(f"{quote.supplier}: 前の回答を置き換えた / the earlier answer was replaced")
        if quote.answers and all(answer.unit_yen is None for answer in quote.answers):
            notes.append(f"{quote.supplier}: 単価が一つも入っていない / no price is filled in")
        inputs = add_quote(inputs, quote)
    return inputs, notes


def _row(quote: Quote) -> dict[str, Any]:
    return {
        "supplier": quote.supplier,
        "received": quote.received.isoformat(),
        "valid_until": quote.valid_until.isoformat() if quote.valid_until else None,
        "file": quote.file,
        "priced_lines": sum(answer.unit_yen is not None for answer in quote.answers),
        "requirements": {mark: sum(text.startswith(mark) for text in quote.requirements.values()) for mark in ("〇", "△", "×")},
    }


def summary(folder: Folder, inputs: Inputs, catalogue: Catalogue, day: date) -> dict[str, Any]:
    """Suppliers, statistics per line, what to ask, which lines still await a price."""
    factor = catalogue.rule_at(RULE, day).quantity.value
    assert factor is not None
    lines = {line.id: line for line in folder.funding.lines}
    found = statistics(inputs.quotes, lines, factor, day)
    required = folder.funding.quotes_required
    asked = [line.id for line in lines.values() if line.basis != "town"]
    return {
        "ok": True,
        "suppliers": [_row(quote) for quote in inputs.quotes],
        "required": required,
        "enough": None if required is None else enough(inputs.quotes, required, asked),
        "short": {} if required is None else short(inputs.quotes, required, asked),
        "factor": factor,
        "statistics": [{**asdict(row), "name": lines[row.line].name.ja} for row in found],
        "ask": [{"line": row.line, "supplier": supplier, "median": row.median} for row in found for supplier in row.ask],
        "expired": [{"line": row.line, "supplier": supplier} for row in found for supplier in row.expired],
        "awaiting": [line.id for line in lines.values() if line.unit_yen is None],
    }
