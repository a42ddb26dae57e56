"""The bill of materials 数量表 of a design: what is bought and paid, how much of it, at which price, for which place.

In: a region, its problem and design, the lines of the estimate as designed (finance.estimate without anybody's own values). Out: bytes of an .xlsx.
Quantities add up the sheet of places, amounts are quantity × unit price, totals add up amounts: all of them are formulas. A price that nobody
publishes stays blank and says so; it is not counted as zero, and the totals say how many items they leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from kiban.base.jdate import era_year
from kiban.documents.workbook import Book, Cell, Formula, Page
from kiban.finance.estimate import line_id
from kiban.records.design import Arc, Design, Problem
from kiban.records.funding import Line
from kiban.records.region import Place, Region, Site
from kiban.records.technology import Technology

Word = Callable[..., str]
WIDTHS = (12, 27, 34, 10, 10, 11, 14, 8, 17, 11, 10, 46, 24)
PLACES = (40, 13, 11, 28, 34, 11, 13, 26)
LONGEST = 32_000  # letters that a cell of a workbook can hold, with room to spare


@dataclass(frozen=True)
class Piece:
    """Units of one line at one place: an arc of the design, or a capacity step."""

    place: str
    kind: str
    technology: str
    line: str
    units: float


def pieces(region: Region, problem: Problem, design: Design) -> list[Piece]:
    """What the design pays for, place by place; the units of a line over all pieces are its quantity."""
    rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
    names = {row.id: row.name for row in rows}
    at: dict[str, str] = {}
    for id, (junction, metres) in sorted(region.attach.items(), reverse=True):
        if metres == 0:
            at[junction] = names[id]
    streets = {street.id: street for street in region.streets}

    def place(arc: Arc) -> str:
        if arc.kind in ("line", "plant"):
            street = streets[arc.ref]
            ends = [at[end] for end in (street.a, street.b) if end in at]
            return f"{street.id} ({' – '.join(ends)})" if ends else street.id
        tail, head = (problem.nodes[end].ref for end in (arc.tail, arc.head))
        return f"{names.get(tail, tail)} – {names.get(head, head)}" if arc.kind == "hop" else names.get(head, head)

    def line(price: int) -> str:
        one = problem.prices[price]
        return line_id(one.technology, one.cost, one.id.partition("@")[2] or None)

    found = [
        Piece(place(arc), arc.kind, problem.prices[price].technology, line(price), units)
        for arc in (problem.arcs[index] for index in sorted(design.arcs))
        for price, units in arc.items
    ]
    for index, group, units in design.steps:
        step, ref = problem.steps[index], problem.nodes[group].ref
        where = names.get(ref, at.get(ref, ref))
        found += [Piece(where, "step", problem.prices[price].technology, line(price), number * units) for price, number in step.items if number * units]
    return found


def bom_xlsx(
    region: Region,
    problem: Problem,
    design: Design,
    lines: Sequence[Line],
    technologies: Mapping[str, Technology],
    *,
    word: Word,
    lang: str,
    day: date,
    engine: str = "",
) -> bytes:
    """The workbook: items with totals by layer, and the places where they stand.

    Parameters
    ----------
    lines  those of the design: id, quantity, unit_yen (None: nobody publishes it), phase, confidence, source
    word   sentences by key in the language of the workbook; lang: "ja" or "en"
    day    of making
    """
    parts = pieces(region, problem, design)
    used = {part.line for part in parts}
    kept = [line for line in lines if line.id in used or line.unit_yen is None]
    header = [f"【{word('bom.inside')}】 {word('bom.made', day=day.isoformat())}", *([region.label] if region.label else [])]
    book = Book(word("bom.title"), region.name, tuple(header), day, engine)
    order: dict[str, int] = {
        id: place for place, id in enumerate(sorted({technologies[line.technology].layer for line in kept if line.technology in technologies}))
    }
    kept.sort(key=lambda line: (_layer_order(order, technologies, line), line.technology, line.phase, line.id))
    notes = [word("bom.note")]
    if design.status in ("incomplete", "infeasible"):
        notes.append(word("bom.incomplete"))
    if design.grown:
        first = min(year for _, _, year, _ in design.grown)
        notes.append(word("bom.grown", units=sum(units for *_, units in design.grown), year=problem.start + first))
    page = book.page(word("bom.items"), WIDTHS, notes=notes)
    spread = _places(book, parts, {line.id: line for line in lines}, technologies, word, lang)
    first, last = _items(page, kept, parts, technologies, problem, word, lang, spread)
    _totals(page, kept, technologies, word, first, last)
    return book.close()


def _layer_order(order: Mapping[str, int], technologies: Mapping[str, Technology], line: Line) -> int:
    one = technologies.get(line.technology)
    return len(order) if one is None else order[one.layer]


def _named(technologies: Mapping[str, Technology], id: str, lang: str) -> str:
    return str(getattr(technologies[id].name, lang))[:LONGEST] if id in technologies else id


def _unit(line: Line, word: Word) -> str:
    return word(f"bom.unit.{line.per}") + (word("bom.per_year") if line.phase == "yearly" else "")


def _layer(technologies: Mapping[str, Technology], line: Line, word: Word) -> str:
    return word(f"value.layer.{technologies[line.technology].layer}") if line.technology in technologies else ""


def _items(
    page: Page,
    lines: Sequence[Line],
    parts: Sequence[Piece],
    technologies: Mapping[str, Technology],
    problem: Problem,
    word: Word,
    lang: str,
    spread: tuple[int, int],
) -> tuple[int, int]:
    """The table of items. Returns its first and last row, from 1."""
    heads = ("layer", "technology", "item", "phase", "quantity", "unit", "price", "confidence", "amount", "life", "first", "source", "id")
    at = page.heads([word(f"bom.{name}") for name in heads], repeat=True, freeze=3)
    first = page.at + 1
    units: dict[str, float] = {}
    for part in parts:
        units[part.line] = units.get(part.line, 0.0) + part.units
    begins = {line_id(one.technology, one.cost, one.id.partition("@")[2] or None): one.first for one in problem.prices}
    keys, counts = (f"'{word('bom.places')}'!${letter}${spread[0]}:${letter}${spread[1]}" for letter in "HF")
    undecided = word("bom.undecided")
    for line in lines:
        row = page.at + 1
        counted = line.id in units
        quantity = Formula(f"=SUMIF({keys},M{row},{counts})", units[line.id]) if counted else line.quantity
        number = units[line.id] if counted else line.quantity
        known = number is not None and line.unit_yen is not None
        amount: float | str = number * line.unit_yen if number is not None and line.unit_yen is not None else undecided
        page.row(
            (
                Cell(_layer(technologies, line, word)),
                Cell(_named(technologies, line.technology, lang)),
                Cell(str(getattr(line.name, lang))),
                Cell(word(f"value.phase.{line.phase}"), "mark"),
                Cell(quantity, "number"),
                Cell(_unit(line, word), "mark"),
                Cell(line.unit_yen, "yen" if line.unit_yen is None or line.unit_yen == int(line.unit_yen) else "price"),
                Cell(str(line.confidence or ""), "mark"),
                Cell(Formula(f'=IF(OR(E{row}="",G{row}=""),"{undecided}",E{row}*G{row})', amount), "yen"),
                Cell(line.life, "number"),
                Cell(_year(problem.start + begins.get(line.id, 0), lang), "mark"),
                Cell((line.source or (undecided if not known else ""))[:LONGEST]),
                Cell(line.id, "id"),
            )
        )
    last = max(page.at, first)
    page.at = last
    page.sheet.autofilter(at, 0, last - 1, len(heads) - 1)
    return first, last


def _year(year: int, lang: str) -> str:
    return era_year(year, short=True) if lang == "ja" else f"FY{year}"


def _totals(page: Page, lines: Sequence[Line], technologies: Mapping[str, Technology], word: Word, first: int, last: int) -> None:
    """Sums by layer and altogether, what is bought apart from what is paid every year, and how many items have no price."""
    page.at += 1
    page.block(word("bom.by_layer"))
    head, top = page.at, page.at + 2
    page.sheet.set_row(head, 30)
    for index, name in ((0, "layer"), (1, "initial_sum"), (2, "yearly_sum"), (3, "left_out")):
        page.sheet.write_string(head, index, word(f"bom.{name}"), page.owner.look("head"))
    page.at += 1
    worth = {phase: word(f"value.phase.{phase}") for phase in ("initial", "yearly")}

    def known(line: Line) -> float:
        return line.quantity * line.unit_yen if line.quantity is not None and line.unit_yen is not None else 0.0

    def of(layer: str) -> list[Line]:
        return [line for line in lines if _layer(technologies, line, word) == layer]

    for layer in dict.fromkeys(_layer(technologies, line, word) for line in lines):
        row = page.at + 1
        page.put(page.at, 0, Cell(layer))
        for column, phase in ((1, "initial"), (2, "yearly")):
            formula = f'=SUMIFS(I{first}:I{last},A{first}:A{last},A{row},D{first}:D{last},"{worth[phase]}")'
            page.put(page.at, column, Cell(Formula(formula, sum(known(line) for line in of(layer) if line.phase == phase)), "yen"))
        left = sum(line.unit_yen is None or line.quantity is None for line in of(layer))
        page.put(page.at, 3, Cell(Formula(f'=COUNTIFS(A{first}:A{last},A{row},I{first}:I{last},"{word("bom.undecided")}")', left), "number"))
        page.at += 1
    end = max(page.at, top)
    page.at = end
    page.put(page.at, 0, Cell(word("plan.total"), "total_text"))
    for column, letter, values in (
        (1, "B", sum(known(line) for line in lines if line.phase == "initial")),
        (2, "C", sum(known(line) for line in lines if line.phase == "yearly")),
        (3, "D", sum(line.unit_yen is None or line.quantity is None for line in lines)),
    ):
        page.put(page.at, column, Cell(Formula(f"=SUM({letter}{top}:{letter}{end})", values), "total"))
    page.at += 1
    page.area(page.at - 1, len(WIDTHS) - 1)


def _places(book: Book, parts: Sequence[Piece], lines: Mapping[str, Line], technologies: Mapping[str, Technology], word: Word, lang: str) -> tuple[int, int]:
    """The sheet of places: one row for each item at each street, site, mast or exchange. Returns its first and last row, from 1."""
    page = book.page(word("bom.places"), PLACES)
    at = page.heads([word(f"bom.{name}") for name in ("place", "kind", "layer", "technology", "item", "quantity", "unit", "id")], repeat=True, freeze=1)
    first = page.at
    for part in parts:
        line = lines.get(part.line)
        page.row(
            (
                Cell(part.place[:LONGEST]),
                Cell(word(f"bom.kind.{part.kind}")),
                Cell(_layer(technologies, line, word) if line else ""),
                Cell(_named(technologies, part.technology, lang)),
                Cell(str(getattr(line.name, lang)) if line else part.line),
                Cell(part.units, "number"),
                Cell(_unit(line, word) if line else "", "mark"),
                Cell(part.line, "id"),
            )
        )
    if page.at > first:
        page.sheet.autofilter(at, 0, page.at - 1, len(PLACES) - 1)
    page.area(max(page.at - 1, at), len(PLACES) - 1)

    return first + 1, max(page.at, first + 1)
