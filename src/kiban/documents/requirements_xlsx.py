"""The list of requirements 要件一覧: every clause of the model and every standing clause, with columns for a supplier's answer.

In: a public dossier and the standing clauses. Out: rows with ids that stay the same from version to version, and bytes of an .xlsx.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiban.catalogue import Catalogue
from kiban.documents.dossier import PublicDossier
from kiban.documents.office.desk import Counter
from kiban.documents.office.outside import requirement, standing
from kiban.documents.quote_form import OPTION, PLAN, SUPPLIER, protect, public_header, supplier_block
from kiban.documents.workbook import MARK, Book, Cell

PAPER = "requirements-xlsx"
SHEET = "要件一覧"
ID, ANSWER, INSTEAD, PROOF = "id", "回答" + MARK, "代替案" + OPTION, "証跡" + OPTION  # heads by which the sheet is read again
HEADS = (ID, "領域", "対象", "要件", "準拠規格", "検証方法", "出所", ANSWER, INSTEAD, PROOF)
WIDTHS = (18, 11, 14, 44, 18, 30, 14, 7, 20, 18)
ANSWERS = ("〇", "△", "×")
MARKS = {"〇": "〇", "○": "〇", "◯": "〇", "●": "〇", "o": "〇", "O": "〇", "△": "△", "▲": "△", "×": "×", "✕": "×", "✖": "×", "x": "×", "X": "×"}


@dataclass(frozen=True)
class Requirement:
    """One clause as suppliers answer it.

    id    "<model without its version>.<clause>" or "standing.<clause>": the same in every version and in the specification
    area  cooperative: a requirement · competitive: subject of the criteria of evaluation
    """

    id: str
    area: str
    part: str
    text: str
    standard: str
    verify: str
    origin: str


def requirements(dossier: PublicDossier, catalogue: Catalogue) -> tuple[Requirement, ...]:
    """All requirements: those of the model in its order, then the standing clauses that apply to it in theirs."""
    say = Counter(dossier, catalogue, PAPER).say
    components = {component.id: component for component in dossier.model.components}
    rows = [
        Requirement(
            requirement(dossier.model_id, clause.id),
            components[clause.component].area,
            components[clause.component].name.ja,
            clause.text.ja,
            clause.standard or "",
            clause.verify.ja,
            say("origin.model", model=dossier.model_id),
        )
        for clause in dossier.model.clauses
    ]
    for id, clause in standing(catalogue, dossier.model).items():
        texts = (say("part.standing"), f"{clause.name.ja}。{clause.text.ja}", clause.standard or "", clause.verify.ja, say("origin.standing"))
        rows.append(Requirement(f"standing.{id}", "cooperative", *texts))
    return tuple(rows)


def requirements_xlsx(dossier: PublicDossier, catalogue: Catalogue) -> bytes:
    """The workbook with one sheet, protected without a password except for the answers."""
    counter = Counter(dossier, catalogue, PAPER)
    say = counter.say
    book = Book(SHEET, dossier.town, public_header(counter), dossier.today, say("footer", plan=dossier.plan))
    page = book.page(SHEET, WIDTHS, notes=[say("note.draft"), say("note.colour"), say("note.neutral")])
    supplier_block(page, counter, ((SUPPLIER, "", True), (PLAN, dossier.plan, False)))
    page.block(say("h.lines"))
    head = page.heads(HEADS, repeat=True, freeze=1)
    first = page.at
    for row in requirements(dossier, catalogue):
        texts = (row.part, row.text, row.standard, row.verify, row.origin)
        answers = (Cell(None, "input_mark"), Cell(None, "input_text"), Cell(None, "input_text"))
        page.row((Cell(row.id, "id"), Cell(say(f"area.{row.area}")), *(Cell(text) for text in texts), *answers))
    last = max(page.at - 1, first)
    page.sheet.data_validation(first, 7, last, 7, {"validate": "list", "source": list(ANSWERS), "error_title": ANSWER, "error_message": "〇・△・× のいずれか"})
    page.sheet.autofilter(head, 0, last, len(HEADS) - 1)
    page.area(last, len(HEADS) - 1)
    protect(page)
    return book.close()
