"""A tree as a record, or every reason why not.

In: a tree with lines and the record type. Out: the record, or None with one problem per wrong place, all of them in one pass: what is wrong in one
part does not hide what is wrong in the next. Ranges and rules are the record's own; here are types, names and the units that a field's name fixes.
"""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
import unicodedata
from collections.abc import Iterable
from datetime import date
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from kiban.base.errors import DataFileError, RecordError
from kiban.catalogue.tree import Node
from kiban.records.rules import Record
from kiban.records.source import Quantity
from kiban.records.usecase import Scaled

FAILED = object()  # a part that could not be converted; its problem has been told
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
_WHOLE_LIMIT = 2**53  # beyond it a float no longer counts in ones
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(千|万|百万|億)?円?$")
_FACTOR = {"": 1, "千": 10**3, "万": 10**4, "百万": 10**6, "億": 10**8}

# The unit that the name of a field promises, by the end of the name.
UNITS: tuple[tuple[str, str], ...] = (
    ("_mbps", "Mbps"),
    ("mbps_per_facility", "Mbps"),
    ("_ms", "ms"),
    ("_km", "km"),
    ("autonomy_h", "h"),
    ("_bytes", "bytes"),
    ("mb_per_day", "MB/day"),
    ("kwh_per_year", "kWh/year"),
    ("lifetime_years", "years"),
    ("availability", "1"),
    ("mobility", "1"),
    ("iot", "1"),
    ("broadband", "1"),
    ("backup", "1"),
)

# Fields whose quantity answers yes (1) or no (0); the other fields in unit 1 are shares.
YES_NO = ("mobility", "iot", "broadband", "backup")


def fixed_unit(name: str) -> str | None:
    """The unit that a field of this name is written in, None where the file chooses.

    >>> fixed_unit("down_mbps"), fixed_unit("price")
    ('Mbps', None)
    """
    return next((unit for end, unit in UNITS if name.endswith(end)), None)


@cache
def fields_of(record: type[Record]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a record by the name that stands in the file."""
    return {info.encode_name: info for info in msgspec.structs.fields(record)}


def near(word: str, known: Iterable[str]) -> str:
    """A hint at the known words nearest to this one.

    >>> near("sumary", ["name", "summary"])
    "did you mean 'summary'?"
    """
    close = difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(item) for item in close)}?" if close else ""


def shown(node: Node) -> str:
    """How a node is told in a message."""
    if node.items is not None:
        return f"a mapping with {', '.join(node.items) or 'nothing'}" if len(node.items) < 6 else f"a mapping with {len(node.items)} keys"
    if node.parts is not None:
        return f"a list of {len(node.parts)}"
    if node.value is None:
        return "a blank"
    return repr(node.text) if len(node.text) <= 60 else repr(node.text[:57] + "…")


def number_step(text: str) -> str:
    """The next step for a number that is not one: the bare number where the text tells it.

    >>> number_step("1,200千円")
    'write 1200000, and put the unit under unit:'
    """
    bare = unicodedata.normalize("NFKC", text).replace(",", "").replace(" ", "").strip("¥\\約")
    match = _AMOUNT.match(bare)
    amount = f"{float(match[1]) * _FACTOR[match[2] or '']:.15g}" if match else "the bare number (1200000)"
    return f"write {amount}, and put the unit under unit:"


class Converter:
    """Converts the tree of one file; `problems` grows."""

    def __init__(self, label: str, problems: list[DataFileError]) -> None:
        self.label, self.problems = label, problems

    def fail(self, node_line: int, path: tuple[str, ...], found: str, fits: str, step: str) -> Any:
        """Note a problem; the result stands for the part that failed."""
        where = f"{self.label}:{node_line}" + (" " + " › ".join(path) if path else "")
        self.problems.append(DataFileError(where, found, fits, step))
        return FAILED

    def convert(self, node: Node, wanted: Any, path: tuple[str, ...] = ()) -> Any:
        """A value of the wanted type, or FAILED."""
        origin = get_origin(wanted)
        if origin in (Union, types.UnionType):
            return self.union(node, get_args(wanted), path)
        if origin is Literal:
            return self.choice(node, {option: option for option in get_args(wanted)}, path)
        if origin is tuple:
            return self.list(node, get_args(wanted), path)
        if origin is dict:
            return self.mapping(node, get_args(wanted)[1], path)
        if isinstance(wanted, type) and issubclass(wanted, Record):
            return self.record(node, wanted, path)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            return self.choice(node, {member.value: member for member in wanted}, path)
        return self.scalar(node, wanted, path)

    def union(self, node: Node, options: tuple[Any, ...], path: tuple[str, ...]) -> Any:
        """One of several types: null where allowed; of several records the one whose fields fit best."""
        if node.value is None and node.items is None and node.parts is None and types.NoneType in options:
            return None
        rest = [option for option in options if option is not types.NoneType]
        if len(rest) == 1:
            return self.convert(node, rest[0], path)
        records = [option for option in rest if isinstance(option, type) and issubclass(option, Record)]
        if records and (node.items is not None or len(records) == len(rest)):
            names = set(node.items or ())
            return self.record(node, min(records, key=lambda record: (len(names - set(fields_of(record))), -len(names & _required(record)))), path)
        for option in rest:
            if isinstance(option, type) and type(node.value) is option:
                return node.value
        if type(node.value) is int and float in rest:
            return self.convert(node, float, path)  # 10 is a number too, not the text "10"
        return self.convert(node, str if str in rest else rest[0], path)

    def choice(self, node: Node, options: dict[Any, Any], path: tuple[str, ...]) -> Any:
        """One of the listed words."""
        key = node.text if node.items is None and node.parts is None else None
        if key in options:
            return options[key]
        listed = " or ".join(map(str, options))
        return self.fail(node.line, path, shown(node), listed, near(str(key), map(str, options)) or f"write one of them: {listed}")

    def list(self, node: Node, args: tuple[Any, ...], path: tuple[str, ...]) -> Any:
        """A list of any length, or of a fixed one."""
        if node.parts is None:
            return self.fail(node.line, path, shown(node), "a list", "write each entry on a line of its own that begins with '- '")
        endless = len(args) == 2 and args[1] is Ellipsis
        if not endless and len(node.parts) != len(args):
            return self.fail(node.line, path, f"{len(node.parts)} entries", f"exactly {len(args)}", "add or remove some")
        wanted = [args[0]] * len(node.parts) if endless else list(args)
        result = [self.convert(part, kind, (*path, _item_name(part, index))) for index, (part, kind) in enumerate(zip(node.parts, wanted, strict=True))]
        return FAILED if any(item is FAILED for item in result) else tuple(result)

    def mapping(self, node: Node, wanted: Any, path: tuple[str, ...]) -> Any:
        """Keys chosen by the file."""
        if node.items is None:
            return self.fail(node.line, path, shown(node), "keys with values", "write `key: value` lines, indented")
        result = {key: self.convert(part, wanted, (*path, key)) for key, part in node.items.items()}
        return FAILED if any(item is FAILED for item in result.values()) else result

    def record(self, node: Node, wanted: type[Record], path: tuple[str, ...]) -> Any:
        """A record: known fields, all required ones, then the record's own rules."""
        fields = fields_of(wanted)
        if node.items is None:
            return self.fail(node.line, path, shown(node), f"the fields {', '.join(list(fields)[:6])}", "write `field: value` lines, indented")
        tag = wanted.__struct_config__.tag
        failed = False
        misspelt: set[str] = set()
        values: dict[str, Any] = {}
        for name, part in node.items.items():
            here = (*path, name)
            if name not in fields:
                if name == "type" and tag is not None and part.text == tag:
                    continue
                misspelt.update(difflib.get_close_matches(name, fields, n=1))
                step = near(name, fields) or f"remove it; known are {', '.join(fields)}"
                if part.value is None and not part.text and part.items is None and part.parts is None:
                    # {note: 2,254円} reads as note "2" and a field "254円" without a value.
                    step = "a comma inside { } begins a new field: put the text before it into quotes"
                self.fail(node.lines[name], here, f"the unknown field {name!r}", f"a field of {wanted.__name__}", step)
                failed = True
                continue
            values[fields[name].name] = value = self.convert(part, fields[name].type, here)
            failed = failed or value is FAILED or not self.unit_fits(part, name, value, here)
        for name in sorted(_required(wanted) - set(node.items) - misspelt):
            failed = True
            self.fail(node.line, path, f"no {name}", f"{name}: {type_words(fields[name].type)}", f"add {name}:")
        if failed:
            return FAILED
        try:
            return wanted(**values)
        except RecordError as error:
            return self.fail(line_of(node, error), path, f"{error.found} ({error.where})", error.fits, error.step)

    def unit_fits(self, node: Node, name: str, value: Any, path: tuple[str, ...]) -> bool:
        """The unit of a quantity is the one that the field's name promises."""
        wanted = fixed_unit(name)
        if wanted is None or not isinstance(value, Quantity | Scaled):
            return True
        if value.unit == wanted:
            return self.share_fits(node, name, value, path)
        step = f"convert the figure to {wanted}, and keep the original in note:"
        self.fail((node.lines or {}).get("unit", node.line), (*path, "unit"), f"unit {value.unit!r}", repr(wanted), step)
        return False

    def share_fits(self, node: Node, name: str, value: Quantity | Scaled, path: tuple[str, ...]) -> bool:
        """A share lies between 0 and 1, a yes or no is 1 or 0: 99.9 would be a percentage."""
        if fixed_unit(name) != "1" or not isinstance(value, Quantity) or value.value is None:
            return True
        if value.value in (0, 1) or (name not in YES_NO and 0 <= value.value <= 1):
            return True
        fits = "1 (yes) or 0 (no)" if name in YES_NO else "a share from 0 to 1"
        line = (node.items or {}).get("value", node).line
        self.fail(line, (*path, "value"), f"{value.value:g}", fits, "write 1 or 0" if name in YES_NO else "divide a percentage by 100")
        return False

    def scalar(self, node: Node, wanted: Any, path: tuple[str, ...]) -> Any:
        """Text, a number, yes or no, a day."""
        single = node.items is None and node.parts is None
        if wanted is Any and single:
            return node.value
        if wanted is str:
            if single and node.value is not None:
                return node.text  # a number where text is wanted is kept as it was written
            return self.fail(node.line, path, shown(node), "text", "write it, in quotes if it holds ': ' or ' #'")
        if wanted is bool:
            return node.value if isinstance(node.value, bool) else self.fail(node.line, path, shown(node), "true or false", "write true or false")
        if wanted is int:
            if single and isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) <= _WHOLE_LIMIT:
                return node.value
            return self.fail(node.line, path, shown(node), "a whole number", number_step(node.text))
        if wanted is float:
            if single and isinstance(node.value, int | float) and not isinstance(node.value, bool) and math.isfinite(node.value):
                return float(node.value)
            return self.fail(node.line, path, shown(node), "a number", number_step(node.text))
        if wanted is date:
            try:
                if single and _ISO_DAY.match(node.text):
                    return date.fromisoformat(node.text)
            except ValueError:
                pass  # the 30th of February: told below like any other wrong day
            return self.fail(node.line, path, shown(node), "a day as YYYY-MM-DD", "write 2026-04-01 for 1 April 2026")
        raise TypeError(f"no data file holds {wanted!r}; teach convert.py the type of {'.'.join(path)}")


@cache
def _required(record: type[Record]) -> frozenset[str]:
    return frozenset(name for name, info in fields_of(record).items() if info.required)


def line_of(node: Node, error: RecordError) -> int:
    """The line that a record means, which names the thing and not the line: of the value that it quotes, of a field that it mentions, else its first."""
    for quoted in re.findall(r"'([^']+)'", error.found):
        line = next((part.line for part in _scalars(node) if part.text == quoted), None)
        if line is not None:
            return line
    said = re.findall(r"[a-z_0-9]+", f"{error.where} {error.found}")
    return next((node.lines[word] for word in said if word in node.lines), node.line)


def _scalars(node: Node) -> Iterable[Node]:
    for part in [*(node.items or {}).values(), *(node.parts or [])]:
        yield from _scalars(part)
    if node.items is None and node.parts is None:
        yield node


def _item_name(node: Node, index: int) -> str:
    name = (node.items or {}).get("id")
    return name.text if name is not None and name.text else str(index)


def type_words(wanted: Any) -> str:
    """A type in words for messages and for commented templates.

    >>> type_words(str | None), type_words(tuple[str, ...]), type_words(Literal["a", "b"])
    ('text', 'list of text', 'a or b')
    """
    origin, args = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return " / ".join(type_words(arg) for arg in args if arg is not types.NoneType)
    if origin is Literal:
        return " or ".join(map(str, args))
    if origin is tuple:
        return f"list of {type_words(args[0])}" if len(args) == 2 and args[1] is Ellipsis else f"[{', '.join(type_words(arg) for arg in args)}]"
    if origin is dict:
        return f"keys with {type_words(args[1])}"
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return " or ".join(str(member.value) for member in wanted)
    words: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", date: "YYYY-MM-DD", typing.Any: "any value"}
    return words.get(wanted) or str(getattr(wanted, "__name__", wanted))
