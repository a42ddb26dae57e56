"""A paper as blocks: headings, sentences, tables, pictures and passages that an officer may rewrite. How it looks is left to its renderers.

In: text. Out: a Paper whose tables are numbered in their order and can be cited cell by cell; a citation of a cell that is not there is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date
from typing import Any, Literal

from kiban.base.cells import writable
from kiban.base.errors import KibanError

INSIDE, OUTSIDE = "庁内限り", "公表・提供用"  # the two folders of the papers of a plan: what stays in the office, what may leave it
MANY_COLUMNS = 12
LETTERS = 54  # Japanese letters across a page in portrait, in the size of a cell
LINES = 24  # lines of a table that is kept on one page


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the first below the title."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several; `look` strong: what must not be overlooked · small: a remark · right: such as an addressee or a date."""

    text: str
    look: Literal["body", "strong", "small", "right", "left"] = "body"


@dataclass(frozen=True)
class Note:
    """A remark in a box: what a reader must know before using what follows."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list, with points or numbered."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Table:
    """A table with one header row, repeated on every page; rows are never split.

    id        its name in this program, for citations; number: its place in the paper, given by `numbered`
    align     one letter a column: l left, r right, c centred
    widths    shares of the width of the page, one a column
    strong    places of the rows that are totals
    remarks   lines below the table
    """

    id: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str
    widths: tuple[float, ...]
    strong: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    number: int = 0

    def __post_init__(self) -> None:
        columns = len(self.head)
        if any(len(row) != columns for row in self.rows) or len(self.align) != columns or len(self.widths) != columns:
            found = f"{columns} heads, rows of {sorted({len(row) for row in self.rows})}, {len(self.align)} alignments, {len(self.widths)} widths"
            raise KibanError(f"table {self.id}", found, "the same number of each", "report this")

    @property
    def title(self) -> str:
        """The caption with its number, as it is printed and cited."""
        return f"表{self.number} {self.caption}"

    @property
    def fine(self) -> bool:
        """Whether it has so many columns that letters and margins must be small."""
        return len(self.head) > MANY_COLUMNS

    @property
    def whole(self) -> bool:
        """Whether it is short enough to be kept on one page: about so many lines in print."""
        lines = 1
        for row in self.rows:
            letters = (LETTERS * share / sum(self.widths) for share in self.widths)
            lines += max(sum(1 + int(len(line) // max(room, 1)) for line in cell.split("\n")) for cell, room in zip(row, letters, strict=True))
        return lines <= LINES


@dataclass(frozen=True)
class Picture:
    """A drawing as SVG text, with the words for those who do not see it; width: share of the page."""

    svg: str
    alt: str
    caption: str = ""
    width: float = 1.0


@dataclass(frozen=True)
class Passage:
    """A text that the officer may rewrite; it is found again by its key, which is printed.

    text  what is printed; made: what was generated, where the officer's own words stand instead of an older generated text
    """

    key: str
    label: str
    text: str
    made: str = ""


@dataclass(frozen=True)
class Passages:
    """Short passages as rows of one table: what each is about, its key, and the text beside them."""

    head: tuple[str, str]
    rows: tuple[Passage, ...]


@dataclass(frozen=True)
class Break:
    """What follows begins on a new page."""


@dataclass(frozen=True)
class Wide:
    """Blocks on pages in landscape."""

    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Note | Bullets | Table | Picture | Passage | Passages | Break | Wide


@dataclass(frozen=True)
class Paper:
    """One paper.

    header     what stands on every page: town, day of making, day of the data, label of the region if it has one
    footer     beside the page number: what made it, and of which plan
    inside     True: stays in the office, False: may leave it
    """

    id: str
    title: str
    town: str
    header: tuple[str, ...]
    footer: str
    day: date
    inside: bool
    blocks: tuple[Block, ...]
    subtitle: str = ""
    label: str = ""
    tables: dict[str, Table] = field(default_factory=dict)

    def cite(self, table: str, row: str, column: str = "") -> str:
        """Where a cell stands: "予算要求説明書 表1 R9 一般財源".

        Raises
        ------
        KibanError  no such table, row or column in this paper
        """
        found = self.tables.get(table)
        if found is None:
            raise KibanError(f"paper {self.id}", f"table {table!r}", f"one of {', '.join(self.tables)}", "report this")
        if not any(row == line[0] for line in found.rows):
            raise KibanError(f"paper {self.id}, table {table}", f"row {row!r}", f"one of {', '.join(line[0] for line in found.rows)}", "report this")
        if column and column not in found.head:
            raise KibanError(f"paper {self.id}, table {table}", f"column {column!r}", f"one of {', '.join(found.head)}", "report this")
        return " ".join(part for part in (self.title, f"表{found.number}", column, row.replace("\n", "")) if part)

    def cell(self, table: str, row: str, column: str) -> str:
        """What stands in a cell. Raises KibanError as `cite` does."""
        self.cite(table, row, column)
        found = self.tables[table]
        place = found.head.index(column)
        return next(line[place] for line in found.rows if line[0] == row)

    def passages(self) -> dict[str, Passage]:
        """All passages by key."""
        found = [block for block in flat(self.blocks) if isinstance(block, Passage)]
        found += [row for block in flat(self.blocks) if isinstance(block, Passages) for row in block.rows]
        return {passage.key: passage for passage in found}


def flat(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """All blocks in order, those on wide pages too."""
    for block in blocks:
        if isinstance(block, Wide):
            yield from flat(block.blocks)
        else:
            yield block


def numbered(blocks: tuple[Block, ...], first: int = 1) -> tuple[tuple[Block, ...], dict[str, Table]]:
    """The blocks with their tables numbered from `first`, and the tables by id.

    >>> table = Table("a", "caption", ("x",), (("1",),), "l", (1.0,))
    >>> numbered((Heading("h"), table))[1]["a"].title
    '表1 caption'
    """
    made: list[Block] = []
    tables: dict[str, Table] = {}
    for block in blocks:
        if isinstance(block, Wide):
            inner, found = numbered(block.blocks, first + len(tables))
            made.append(Wide(inner))
            tables |= found
        elif isinstance(block, Table):
            if block.id in tables:
                raise KibanError(f"table {block.id}", "the id twice in one paper", "each id once", "report this")
            one = Table(block.id, block.caption, block.head, block.rows, block.align, block.widths, block.strong, block.remarks, first + len(tables))
            tables[block.id] = one
            made.append(one)
        else:
            made.append(block)
    return tuple(made), tables


def writable_paper(paper: Paper) -> Paper:
    """The paper without letters that no file may hold: one of them, pasted into a sentence, would keep all papers from being made."""
    cleaned: Paper = _writable(paper)
    return cleaned


def _writable(thing: Any) -> Any:
    if isinstance(thing, str):
        return writable(thing)
    if isinstance(thing, tuple):
        return tuple(_writable(part) for part in thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{one.name: _writable(getattr(thing, one.name)) for one in fields(thing) if one.init})
    return thing
