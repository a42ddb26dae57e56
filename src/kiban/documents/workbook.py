"""The look that all workbooks of the office share: font, input cells, heads that repeat, A4 pages, and one header on every sheet.

In: texts, numbers and formulas. Out: bytes of an .xlsx. A formula always comes with the value that it has now, for readers that do not recalculate.
Texts are written as texts: a name that begins with = is no formula.
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Literal

from kiban.base.jdate import era_year

Look = Literal["text", "number", "yen", "price", "share", "input_text", "input_number", "input_year", "input_yen", "input_price", "input_share",
               "input_mark", "total", "total_text", "day", "id", "check", "mark"]  # fmt: skip

FONT = "Meiryo UI"
HEADER = 240  # letters that the head of a printed page can hold
LONGEST = 130  # narrow letters in a line of text across a sheet
MARK = "(入力)"  # beside the colour: nobody has to tell colours apart


@dataclass(frozen=True)
class Formula:
    """A formula and its value now."""

    text: str
    value: float | str


@dataclass(frozen=True)
class Cell:
    """What stands in a cell and how it looks."""

    value: str | float | Formula | date | None
    look: Look = "text"


def lines_of(text: str, width: float) -> int:
    """How many lines a text takes in a column so many narrow letters wide.

    >>> lines_of("abc", 10), lines_of("避難所避難所", 10), lines_of("a" + chr(10) + "b", 10)
    (1, 2, 2)
    """
    room = max(width - 1.5, 1)
    return sum(max(1, math.ceil(sum(2 if unicodedata.east_asian_width(letter) in "WFA" else 1 for letter in part) / room)) for part in text.split("\n"))


def long_day(day: date) -> str:
    """A day in 和暦.

    >>> long_day(date(2026, 11, 27))
    '令和8年11月27日'
    """
    return f"{era_year(day.year)}{day.month}月{day.day}日"


def column(index: int) -> str:
    """The letters of a column counted from 0.

    >>> column(0), column(26)
    ('A', 'AA')
    """
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


@dataclass
class Book:
    """A workbook under construction.

    title, town, header  what stands on top of every sheet: the paper's title, whose it is, and further lines (days, label of the region, remarks)
    day                  the day of making; also in the properties of the file, so that the same input gives the same bytes
    """

    title: str
    town: str
    header: tuple[str, ...]
    day: date
    footer: str = ""
    _buffer: io.BytesIO = field(default_factory=io.BytesIO)
    _looks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import xlsxwriter  # not before a paper is written: it takes a while to load

        self.book = xlsxwriter.Workbook(
            self._buffer,
            {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "default_date_format": "yyyy-mm-dd"},
        )
        self.book.set_properties({"title": self.title, "author": self.town, "created": datetime.combine(self.day, time())})
        self.book.set_calc_mode("auto")
        base = {"font_name": FONT, "font_size": 10, "valign": "vcenter"}
        boxed = {**base, "border": 1, "text_wrap": True}
        given = {"bg_color": "#fff8d6", "font_color": "#0017c1", "locked": False}  # colour and MARK in the head: inputs
        sums = {"bold": True, "bg_color": "#f1f1f4"}
        self._looks = {
            name: self.book.add_format(shape)
            for name, shape in {
                "title": {**base, "bold": True, "font_size": 14},
                "town": {**base, "bold": True},
                "note": {**base, "font_color": "#4d4d4d"},
                "strong": {**base, "bold": True, "font_color": "#7a4a00"},
                "block": {**base, "bold": True, "font_size": 12},
                "head": {**boxed, "bold": True, "bg_color": "#e8f1fe", "align": "center"},
                "text": boxed,
                "mark": {**boxed, "align": "center"},
                "id": {**boxed, "font_size": 8, "font_color": "#4d4d4d"},
                "number": {**boxed, "num_format": "#,##0.###"},
                "yen": {**boxed, "num_format": "#,##0"},
                "price": {**boxed, "num_format": "#,##0.00"},
                "share": {**boxed, "num_format": "0.0%"},
                "day": {**boxed, "num_format": "yyyy-mm-dd", **given},
                "input_text": {**boxed, **given},
                "input_mark": {**boxed, **given, "align": "center"},
                "input_number": {**boxed, "num_format": "#,##0.###", **given},
                "input_year": {**boxed, "num_format": "0", **given},
                "input_yen": {**boxed, "num_format": "#,##0", **given},
                "input_price": {**boxed, "num_format": "#,##0.00", **given},
                "input_share": {**boxed, "num_format": "0.0%", **given},
                "total": {**boxed, "num_format": "#,##0", **sums},
                "total_text": {**boxed, **sums},
                "check": {**boxed, "num_format": '"不一致";"不一致";"一致"', "align": "center"},
            }.items()
        }

    def page(
        self, name: str, widths: Sequence[float], *, landscape: bool = True, notes: Sequence[str] = (), wide: int = 1, high: int = 0, kept: int = 0
    ) -> Page:
        """A new sheet with the header on top.

        notes  what must be known before reading it; wide, high: how many A4 pages it may take (0: as many as needed); kept: columns that every page has
        """
        sheet = self.book.add_worksheet(name)
        sheet.hide_gridlines(2)
        if landscape:
            sheet.set_landscape()
        sheet.set_paper(9)
        sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
        sheet.fit_to_pages(wide, high)
        if kept:  # what stands above the table would be cut on the second page beside the columns that are kept: there it is the head of each page
            sheet.repeat_columns(0, kept - 1)
            sheet.set_margins(left=0.4, right=0.4, top=1.3, bottom=0.6)
            told = [f"{self.title}　{name}　{self.town}", *self.header, *notes]
            sheet.set_header("&L&8" + "\n".join(told).replace("&", "&&")[:HEADER])
        sheet.set_footer(f"&L&8{self.footer}&R&8&A　&P / &N")
        for index, width in enumerate(widths):
            sheet.set_column(index, index, width)
        page = Page(self, sheet, name, tuple(widths))
        sheet.set_row(0, 21)
        sheet.write_string(0, 0, f"{self.title}　{name}" if name != self.title else name, self._looks["title"])
        sheet.write_string(1, 0, self.town, self._looks["town"])
        page.at = 2
        for line in self.header:
            page.line(line)
        for line in notes:
            page.line(line, strong=True)
        page.at += 1
        return page

    def look(self, look: str) -> Any:
        """The format of a look."""
        return self._looks[look]

    def name(self, name: str, target: str) -> None:
        """Give a cell a name for formulas."""
        self.book.define_name(name, f"={target}")

    def close(self) -> bytes:
        """The bytes of the finished workbook."""
        self.book.close()
        return self._buffer.getvalue()


@dataclass
class Page:
    """One sheet, written from top to bottom; `at` is the next row, from 0."""

    owner: Book
    sheet: Any
    name: str
    widths: tuple[float, ...]
    at: int = 0

    def line(self, text: str, *, strong: bool = False) -> None:
        """A line of text across the sheet, broken into rows that the width holds."""
        room = min(sum(self.widths), LONGEST)
        for part in broken(text, room):
            self.sheet.write_string(self.at, 0, part, self.owner.look("strong" if strong else "note"))
            self.at += 1

    def block(self, heading: str) -> None:
        """A heading inside the sheet."""
        self.sheet.set_row(self.at, 20)
        self.sheet.write_string(self.at, 0, heading, self.owner.look("block"))
        self.at += 1

    def heads(self, heads: Sequence[str], *, repeat: bool = False, freeze: int | None = None, first: int = 0) -> int:
        """A row of column heads; repeat: on every printed page; freeze: so many columns stay in sight. Returns its row."""
        row = self.at
        self.sheet.set_row(row, 15 * max(lines_of(head, width) for head, width in zip(heads, self.widths[first:], strict=False)) + 3)
        for index, head in enumerate(heads, start=first):
            self.sheet.write_string(row, index, head, self.owner.look("head"))
        if repeat:
            self.sheet.repeat_rows(row)
        if freeze is not None:
            self.sheet.freeze_panes(row + 1, freeze)
        self.at += 1
        return row

    def row(self, cells: Sequence[Cell], *, height: float | None = None) -> int:
        """A row of cells, as high as its texts need. Returns its row."""
        row = self.at
        texts = [(cell.value, width) for cell, width in zip(cells, self.widths, strict=False) if isinstance(cell.value, str)]
        self.sheet.set_row(row, height or self.height([text for text, _ in texts], [width for _, width in texts]))
        for index, cell in enumerate(cells):
            self.put(row, index, cell)
        self.at += 1
        return row

    def spread(self, look: Look | Literal["head"], name: str, texts: Sequence[str], span: int) -> None:
        """A row with a name in the first column and texts that take `span` columns each."""
        widths = [sum(self.widths[1 + place * span : 1 + (place + 1) * span]) for place in range(len(texts))]
        self.sheet.set_row(self.at, self.height([name, *texts], [self.widths[0], *widths]))
        shape = self.owner.look(look)
        self.sheet.write_string(self.at, 0, name, shape)
        for place, text in enumerate(texts):
            first = 1 + place * span
            if span > 1:
                self.sheet.merge_range(self.at, first, self.at, first + span - 1, text, shape)
            else:
                self.sheet.write_string(self.at, first, text, shape)
        self.at += 1

    def height(self, texts: Sequence[str], widths: Sequence[float]) -> float:
        """The height of a row, in points, that holds these texts in columns of these widths."""
        return 15.0 * max((lines_of(text, width) for text, width in zip(texts, widths, strict=True)), default=1) + 2

    def put(self, row: int, index: int, cell: Cell) -> None:
        """One cell."""
        look, value = self.owner.look(cell.look), cell.value
        if value is None or value == "":
            self.sheet.write_blank(row, index, None, look)
        elif isinstance(value, Formula):
            self.sheet.write_formula(row, index, value.text, look, value.value)
        elif isinstance(value, str):
            self.sheet.write_string(row, index, value, look)
        elif isinstance(value, date):
            self.sheet.write_datetime(row, index, datetime.combine(value, time()), look)
        else:
            self.sheet.write_number(row, index, value, look)

    def area(self, last_row: int, last_column: int, first_row: int = 0) -> None:
        """What is printed."""
        self.sheet.print_area(first_row, 0, last_row, last_column)


def broken(text: str, room: float) -> list[str]:
    """A text as lines no wider than so many narrow letters; a word of narrow letters stays whole where a line can hold it.

    >>> broken("あいうえお", 6), broken("abc", 6), broken("one two", 5)
    (['あいう', 'えお'], ['abc'], ['one', 'two'])
    """
    lines, line, used = [], "", 0.0
    for letter in text:
        wide = 2 if unicodedata.east_asian_width(letter) in "WFA" else 1
        if used + wide > room and letter not in "。、）」)":
            start, space, word = line.rpartition(" ")
            if letter != " " and space and start and word.isascii() and letter.isascii():
                lines.append(start)
                line, used = word, float(len(word))
            else:
                lines.append(line.rstrip())
                line, used = "", 0.0
                if letter == " ":
                    continue
        line += letter
        used += wide
    return [*lines, line]
