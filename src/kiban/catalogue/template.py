"""A commented new data file of any kind (make new KIND ID), made from the record itself.

In: a kind, an id, the words and today. Out: YAML text in which every field is explained, required ones are blank, optional ones are commented out.
The blanks are what `kiban catalogue check` then asks for, line by line.
"""

from __future__ import annotations

from datetime import date
from typing import Any, get_args, get_origin

from kiban.catalogue.catalogue import Catalogue
from kiban.catalogue.convert import fixed_unit
from kiban.catalogue.describe import FieldRow, choices, parts, rows
from kiban.catalogue.kinds import Kind
from kiban.catalogue.words import Words, words
from kiban.records.rules import Record
from kiban.records.source import Quantity, Text


def template(catalogue: Catalogue, kind: Kind, id: str, replaces: str | None, today: date) -> str:
    """The text of a new file; `replaces` names the version before it, where there is one."""
    both = [words(catalogue, lang) for lang in ("ja", "en")]
    name = " / ".join(word(f"kind.{kind.name}") for word in both)
    lines = [f"# {name}: {id.rpartition('/')[2]}.yaml", *(f"# {word(f'kind_about.{kind.name}')}" for word in both)]
    for key in ("new.how", "new.unknown") if kind.name != "words" else ("new.how",):
        lines += [f"# {word(key)}" for word in both]
    lines.append("")
    if not (isinstance(kind.record, type) and issubclass(kind.record, Record)):
        known = [catalogue.words.get(lang, {}) for lang in ("ja", "en")]
        for key in sorted(set().union(*known)):
            told = " / ".join(texts[key] for texts in known if key in texts)
            lines += [*(f"# {line}".rstrip() for line in told.splitlines()), f"{key}:"]  # a letter has several lines
        return "\n".join(lines) + "\n"
    given: dict[str, str] = {"checked_on": today.isoformat(), "seen_on": today.isoformat()}
    if replaces is not None:
        given["replaces"] = replaces
    writer = _Writer(both, given)
    writer.record(kind.record, 0, off=False)
    return "\n".join(lines + writer.lines) + "\n"


class _Writer:
    def __init__(self, both: list[Words], given: dict[str, str]) -> None:
        self.both, self.given = both, given
        self.lines: list[str] = []
        self.explained: set[type[Record]] = set()
        self.unit: str | None = None  # the unit that the field being written fixes

    def put(self, depth: int, text: str, off: bool) -> None:
        self.lines.append(("# " if off else "") + "  " * depth + text)

    def record(self, record: type[Record], depth: int, off: bool, first: str = "") -> None:
        """The fields of a record; `first` is what its first line begins with ("- " in a list)."""
        brief = record in self.explained
        self.explained.add(record)
        # A record that must stand there but requires nothing begins with its first field.
        must = None if off or brief or any(row.required for row in rows(record)) else rows(record)[0].name
        for row in rows(record):
            if brief and not (row.required or (record is Quantity and row.name in ("value", "needs_source"))):
                continue
            if not brief and record is not Text:
                self.explain(row, depth, off)
            self.field(row, depth, off or (self.left_out(record, row) and row.name != must), first)
            first = "  " if first else ""

    def left_out(self, record: type[Record], row: FieldRow) -> bool:
        """Optional fields are commented out, but a null value stands with its needs_source."""
        return not row.required and row.name not in self.given and not (record is Quantity and row.name in ("value", "needs_source"))

    def explain(self, row: FieldRow, depth: int, off: bool) -> None:
        labels = " / ".join(word(f"field.{row.name}") for word in self.both)
        need = " / ".join(word("new.required" if row.required else "new.optional") for word in self.both)
        # A comment inside a commented-out block keeps a second #, so that uncommenting the block once leaves it a comment.
        self.put(depth, f"# {labels} ({need}): {row.fits}" + (f". {row.note}" if row.note else ""), off)

    def field(self, row: FieldRow, depth: int, off: bool, first: str) -> None:
        name = first + row.name
        self.unit = fixed_unit(row.name) if row.name != "unit" else self.unit
        extra = 1 if first else 0
        inner = [part for part in parts(row.type) if isinstance(part, type) and issubclass(part, Record)]
        shape = next((arg for arg in (row.type, *get_args(row.type)) if get_origin(arg) in (tuple, dict)), None)
        if row.name in self.given:
            self.put(depth, f"{name}: {self.given[row.name]}", off)
        elif not inner:
            self.put(depth, f"{name}: {self.plain(row, shape)}".rstrip(), off)
        else:
            self.put(depth, f"{name}:", off)
            deeper = depth + 1 + extra
            if shape is not None and get_origin(shape) is dict:
                self.put(deeper, "my-key:", off)
                self.record(inner[0], deeper + 1, off)
            elif shape is not None:
                self.record(inner[0], deeper, off, first="- ")
            else:
                self.record(inner[0], deeper, off)

    def plain(self, row: FieldRow, shape: Any) -> str:
        """The blank of a field without records: nothing, an empty list, the unit, the only word that fits, or null with needs_source."""
        if row.name == "needs_source":
            return "true"
        if row.name == "unit" and self.unit:
            return f"'{self.unit}'" if self.unit.isdigit() else self.unit
        if row.name == "value" and not row.required:
            return "null"
        options = choices(row.type)
        if shape is not None:
            return "{}" if get_origin(shape) is dict else "[]"
        return options[0] if len(options) == 1 else ""
