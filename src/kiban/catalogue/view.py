"""An entry as lines of text: every value with unit, year, tax state, confidence and source, in one language.

In: an entry and the words. Out: lines with depth, label and text; the command prints them, the reference pages set them as lists.
"""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any, NamedTuple

from kiban.catalogue.catalogue import Catalogue
from kiban.catalogue.convert import YES_NO, fields_of
from kiban.catalogue.describe import choice_word, choices
from kiban.catalogue.kinds import KINDS
from kiban.catalogue.words import Words, words
from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Tax, Text
from kiban.records.technology import Capability
from kiban.records.usecase import Needs, Scaled


class Line(NamedTuple):
    """One line: how deep it stands, what it is, what it says ("" for a heading)."""

    depth: int
    label: str
    text: str


def view(catalogue: Catalogue, kind: str, id: str, lang: str, *, markdown: bool = False) -> list[Line]:
    """The lines of one entry; addresses become links when `markdown`."""
    return record_lines(catalogue, kind, catalogue.get(kind, id), lang, markdown=markdown)


def record_lines(catalogue: Catalogue, kind: str, record: Any, lang: str, *, markdown: bool = False) -> list[Line]:
    """The lines of a record of a kind that need not be the one of the catalogue, such as the package's own behind a region's."""
    viewer = _Viewer(words(catalogue, lang), lang, getattr(record, "sources", {}), markdown)
    # The headline stands above the lines.
    return viewer.record(record, 0, skip=(KINDS[kind].headline,)) if isinstance(record, Record) else [Line(0, key, text) for key, text in record.items()]


def number(value: float) -> str:
    """A number as people write it, without digits that it does not have.

    >>> number(1200000.0), number(0.997)
    ('1,200,000', '0.997')
    """
    return f"{value:,.12g}"


class _Viewer:
    def __init__(self, word: Words, lang: str, sources: dict[str, Source], markdown: bool) -> None:
        self.word, self.lang, self.sources, self.markdown = word, lang, sources, markdown
        self.comma = "、" if lang == "ja" else ", "

    def record(self, record: Record, depth: int, skip: tuple[str, ...] = ()) -> list[Line]:
        lines: list[Line] = []
        silent: list[str] = []
        for name, info in fields_of(type(record)).items():
            value = getattr(record, info.name)
            if value is None:
                silent.append(self.word(f"field.{name}"))
            elif name not in skip and value not in ((), {}):
                lines += self.field(name, value, info.type, depth)
        if isinstance(record, Needs | Capability) and silent:
            lines.append(Line(depth, self.word("show.silent"), self.comma.join(silent)))
        return lines

    def field(self, name: str, value: Any, wanted: Any, depth: int) -> list[Line]:
        label = self.word(f"field.{name}")
        if name in ("source", "source_keys"):
            keys = (value,) if isinstance(value, str) else value
            return [Line(depth, label, self.comma.join(self.source(key) for key in keys))]
        text = self.one(value, name, wanted)
        if text is not None:
            return [Line(depth, label, text)]
        if isinstance(value, Record):
            inner = self.record(value, depth + 1)
            return [Line(depth, label, ""), *inner] if inner else []
        if isinstance(value, dict):
            lines = [Line(depth, label, "")]
            for key, part in value.items():
                lines += self.item(key, part, name, wanted, depth + 1)
            return lines
        texts = [self.one(part, name, wanted) for part in value]
        if all(text is not None for text in texts) and not any(isinstance(part, Quantity | Text) for part in value):
            return [Line(depth, label, self.comma.join(text or "" for text in texts))]
        lines = [Line(depth, label, "")]
        for index, part in enumerate(value, start=1):
            lines += self.item(getattr(part, "id", str(index)), part, name, wanted, depth + 1)
        return lines

    def item(self, key: str, part: Any, name: str, wanted: Any, depth: int) -> list[Line]:
        """One entry of a list or mapping; a source says itself in one line."""
        if isinstance(part, Source):
            return [Line(depth, key, self.source(key))]
        text = self.one(part, name, wanted)
        if text is None and isinstance(part, tuple):
            text = self.comma.join(str(self.one(each, name, wanted)) for each in part)
        if text is not None:
            return [Line(depth, key, text)]
        title = getattr(part, "name", None)
        label = f"{getattr(title, self.lang)} ({key})" if isinstance(title, Text) else key
        return [Line(depth, label, ""), *self.record(part, depth + 1, skip=("id", "name"))]

    def one(self, value: Any, name: str, wanted: Any) -> str | None:
        """What fits on one line, or None."""
        if isinstance(value, Text):
            return str(getattr(value, self.lang))
        if isinstance(value, Quantity):
            return self.quantity(value, name in YES_NO)
        if isinstance(value, Scaled):
            points = self.comma.join(f"{number(count)} → {number(amount)} {value.unit}" for count, amount in value.points)
            return f"{self.word(f'value.by.{value.by}')}: {points} · {self.word('show.source', text=self.source(value.source))}"
        if isinstance(value, bool):
            return self.word("show.yes" if value else "show.no")
        if isinstance(value, str | Enum):
            return self.word(f"value.{choice_word(name, wanted)}.{value}") if choices(wanted) else self.address(str(value))
        if isinstance(value, int | float):
            # A year or a count of six digits reads differently: 2026, but 120,000.
            return str(value) if ("year" in name or name == "valid_to") and isinstance(value, int) and abs(value) < 10_000 else number(value)
        return value.isoformat() if isinstance(value, date) else None

    def quantity(self, quantity: Quantity, yes_no: bool) -> str:
        """One line for one figure, with all that qualifies it."""
        word = self.word
        unit = "" if quantity.unit == "1" else quantity.unit
        if quantity.value is None:
            told = [f"{word('show.unknown')} [{unit}]" if unit else word("show.unknown")]
        else:
            told = [word("show.yes" if quantity.value else "show.no") if yes_no else f"{number(quantity.value)} {unit}".rstrip()]
        if quantity.low is not None or quantity.high is not None:
            ends = ["…" if end is None else number(end) for end in (quantity.low, quantity.high)]
            told[0] += f" ({word('show.range', low=ends[0], high=ends[1])})"
        if quantity.fiscal_year is not None:
            told.append(word("show.fiscal_year", year=quantity.fiscal_year))
        if quantity.year is not None:
            told.append(word("show.price_year", year=quantity.year))
        if quantity.tax is not Tax.none:
            told.append(word(f"value.tax.{quantity.tax}"))
        if quantity.scope:
            told.append(word("show.scope", text=self.comma.join(quantity.scope)))
        if quantity.confidence is not None:
            told.append(word("show.confidence", letter=quantity.confidence))
        told += [word(f"show.{flag}") for flag in ("derived", "foreign") if getattr(quantity, flag)]
        if quantity.source is not None:
            told.append(word("show.source", text=self.source(quantity.source)))
        if quantity.note:
            told.append(quantity.note)
        return " · ".join(told)

    def source(self, key: str) -> str:
        """A source with title, publisher, date, address and the day it was seen."""
        source = self.sources.get(key)
        if source is None:
            return key
        title = f"[{_safe(source.title)}]({source.url})" if self.markdown and source.url else source.title
        address = None if self.markdown else source.url
        told = [source.publisher, source.published, address, source.licence, self.word("show.seen_on", day=source.seen_on.isoformat())]
        return f"{title} ({', '.join(part for part in told if part)})"

    def address(self, text: str) -> str:
        return f"<{text}>" if self.markdown and text.startswith(("http://", "https://")) and " " not in text else text


def _safe(text: str) -> str:
    """A title that does not end a Markdown link early."""
    return text.replace("[", "(").replace("]", ")")
