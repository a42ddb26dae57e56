"""What the records say about themselves: fields with type, unit, need and meaning, read from the classes and their notes.

In: a record class. Out: one row per field. Reference pages and commented templates are made from these rows, so that neither can fall behind.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from kiban.catalogue.convert import fields_of, fixed_unit, type_words
from kiban.catalogue.kinds import KINDS
from kiban.records.rules import Record

_DOC_ROW = re.compile(r"^\s*(\w+(?:, \w+)*)(?: {2,}|: )(\S.*)$")
_COMMENT = re.compile(r"^ {4}(\w+):[^#]*#\s*(.+)$")


@dataclass(frozen=True)
class FieldRow:
    """One field: name in the file, type, whether it must stand there, the note of the record about it ("" if the name says all)."""

    name: str
    type: Any
    required: bool
    note: str

    @property
    def fits(self) -> str:
        """What may stand there, in words, with the unit where the name fixes it."""
        unit = fixed_unit(self.name)
        return type_words(self.type) + (f", unit {unit}" if unit else "")


@cache
def rows(record: type[Record]) -> tuple[FieldRow, ...]:
    """The fields of a record, in its order."""
    notes = _notes(record)
    return tuple(FieldRow(name, info.type, info.required, notes.get(name, "")) for name, info in fields_of(record).items())


def _notes(record: type[Record]) -> dict[str, str]:
    names = set(fields_of(record))
    notes: dict[str, str] = {}
    open_names: list[str] = []
    indent = 0
    for line in inspect.cleandoc(record.__doc__ or "").splitlines():
        match = _DOC_ROW.match(line)
        told = match[1].split(", ") if match else []
        if match and names.issuperset(told):
            open_names, indent = told, len(line) - len(line.lstrip())
            notes.update(dict.fromkeys(told, match[2]))
        elif open_names and len(line) - len(line.lstrip()) > indent + 2:
            notes.update({name: f"{notes[name]} {line.strip()}" for name in open_names})
        else:
            open_names = []
    for line in inspect.getsource(record).splitlines():
        comment = _COMMENT.match(line)
        if comment and comment[1] in names:
            notes[comment[1]] = comment[2]
    return notes


def promise(record: type[Record]) -> str:
    """The first sentence of a record's note."""
    return inspect.cleandoc(record.__doc__ or "").split("\n\n", 1)[0].replace("\n", " ")


def parts(wanted: Any) -> Iterator[Any]:
    """A type and the types inside it, without those of the fields of records.

    >>> list(parts(tuple[str, ...] | None))
    [<class 'str'>, <class 'NoneType'>]
    """
    if get_origin(wanted) in (Union, types.UnionType, tuple, dict):
        for arg in get_args(wanted):
            if arg is not Ellipsis:
                yield from parts(arg)
    else:
        yield wanted


def choices(wanted: Any) -> tuple[str, ...]:
    """The words that a field may hold, where it is one of a list."""
    found: list[str] = []
    for part in parts(wanted):
        if get_origin(part) is Literal:
            found.extend(str(option) for option in get_args(part))
        elif isinstance(part, type) and issubclass(part, Enum):
            found.extend(str(member.value) for member in part)
    return tuple(found)


@cache
def choice_word(name: str, wanted: Any) -> str:
    """The name under which the words of a field's choices stand: `value.<name>.<choice>`; fields with the same choices share the shortest name."""
    options = choices(wanted)
    names = {row.name for record in catalogue_records() for row in rows(record) if choices(row.type) == options}
    return min(names or {name}, key=lambda each: (len(each), each))


@cache
def catalogue_records() -> tuple[type[Record], ...]:
    """Every record that a data file may hold, the kinds' own first."""
    found: dict[type[Record], None] = {}

    def visit(wanted: Any) -> None:
        for part in parts(wanted):
            if isinstance(part, type) and issubclass(part, Record) and part not in found:
                found[part] = None
                for info in fields_of(part).values():
                    visit(info.type)

    for kind in KINDS.values():
        visit(kind.record)
    return tuple(found)
