"""How records look while they cross an air gap: csv that a spreadsheet may open and save again without changing what it says.

In: texts, tables and JSON. Out: rows of cells, and back; a sum and a check of what the cells say, however a file is quoted, encoded or packed.

A spreadsheet takes 0012 for twelve, 2026-11-23 for a day, true for TRUE and =A1 for a formula. So every cell that does not begin with a letter or a
Chinese or Japanese character gets an apostrophe before it, and loses it on the way in.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import msgspec

from kiban.base.errors import KibanError

Rows = list[list[str]]
DEEPEST = 100  # levels of a record
ROOT = "."  # the path of a record that is one value alone
LONGEST = 30_000  # characters of a cell: a spreadsheet cuts a longer one
WORDS = {"true", "false", "yes", "no", "null", "inf", "nan"}
DAY = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*\b|[mtshr]\s?\d|[令平昭大明]|[一二三四五六七八九十]", re.IGNORECASE
)
STEP = "have it carried again; do not change it on the way"


class Number(str):
    """A number of JSON, as it is written there."""


def mark(cell: str) -> str:
    """A cell that a spreadsheet leaves alone.

    >>> [mark(cell) for cell in ("東公民館", "0012", "=A1", "true", "'", "")]
    ['東公民館', "'0012", "'=A1", "'true", "''", '']
    """
    plain = (cell[:1].isalpha() or cell.startswith("/")) and cell.lower() not in WORDS and not DAY.match(cell) and cell == cell.strip()
    return cell if plain or not cell else f"'{cell}"


def unmark(cell: str) -> str:
    """What was marked.

    >>> unmark(mark("'0012"))
    "'0012"
    """
    return cell[1:] if cell.startswith("'") else cell


def to_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as csv that Excel opens in Japanese, every cell marked."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([[mark(cell) for cell in row] for row in rows])
    return out.getvalue().encode("utf-8-sig")


def from_csv(content: bytes, name: str) -> Rows:
    """Rows of csv, however it was saved: UTF-8 or CP932, with commas, semicolons or tabs, and with empty rows and cells at the ends.

    Raises
    ------
    KibanError  it is no csv
    """
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise KibanError(name, "no text in UTF-8 or CP932", "csv", STEP)
    head = text.partition("\n")[0]
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count)))
    except csv.Error as error:
        raise KibanError(name, f"no csv ({error})", "csv", STEP) from error
    return trimmed([[unmark(cell.replace("\r\n", "\n").replace("\r", "\n")) for cell in row] for row in rows])


def trimmed(rows: Sequence[Sequence[str]]) -> Rows:
    """Without empty cells at the end of a row and without empty rows.

    >>> trimmed([["a", ""], ["", ""], ["b"]])
    [['a'], ['b']]
    """
    out = []
    for row in rows:
        end = len(row)
        while end and row[end - 1] == "":
            end -= 1
        if end:
            out.append(list(row[:end]))
    return out


def digest(rows: Sequence[Sequence[str]]) -> str:
    """sha256 of what the cells say."""
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check(row: Sequence[str]) -> str:
    """Four hexadecimal characters for each cell, enough to find the one that changed.

    >>> check(["a", "b"]) == check(["a", "c"]), check(["a", "b"])[:5] == check(["a", "c"])[:5]
    (False, True)
    """
    return "#" + "".join(hashlib.sha256(cell.encode("utf-8", "surrogatepass")).hexdigest()[:4] for cell in row)


def sheet_rows(rows: Sequence[Sequence[Any]]) -> Rows:
    """Values of a worksheet as text, alike whichever program computed them: twelve digits of a number, days and times by ISO 8601.

    >>> sheet_rows([["a", 1.0, 0.1 + 0.2, True, None]])
    [['a', '1', '0.3', 'TRUE']]
    """
    return trimmed([[_value(cell) for cell in row] for row in rows])


def _value(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, int | float):
        return f"{cell:.12g}"
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return f"{cell.total_seconds():.0f} s"
    return "" if cell is None else str(cell).replace("\r\n", "\n").replace("_x000D_", "")


# --- texts, line by line


def text_rows(text: str) -> Rows:
    """Lines with their numbers, so that an empty one is a row, too.

    >>> text_rows("a\\n\\nb\\n")
    [['number', 'line'], ['1', 'a'], ['2'], ['3', 'b'], ['4']]
    """
    return trimmed([["number", "line"], *([str(number), line] for number, line in enumerate(text.split("\n"), 1))])


def rows_text(rows: Rows, name: str) -> str:
    """The text of such rows. Raises KibanError when a line is missing."""
    lines = [row[1] if len(row) > 1 else "" for row in rows[1:]]
    if [row[0] for row in rows[1:]] != [str(number) for number in range(1, len(lines) + 1)]:
        raise KibanError(name, "lines that do not follow each other", "every line once, in order", STEP)
    return "\n".join(lines)


# --- tables


def table_rows(text: str) -> Rows:
    """Cells of a csv file of a region."""
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def rows_table(rows: Rows) -> str:
    """Such cells as csv again, as wide as the head."""
    out = io.StringIO()
    width = len(rows[0]) if rows else 0
    csv.writer(out, lineterminator="\n").writerows([row + [""] * (width - len(row)) for row in rows])
    return out.getvalue()


# --- JSON


def parse_json(content: bytes, name: str) -> Any:
    """JSON whose numbers keep their digits. Raises KibanError when it is none."""
    try:
        return json.loads(content, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError) as error:
        raise KibanError(name, f"no JSON ({error})", "a record that kiban wrote", "make the plan again") from error


def emit_json(value: Any, indent: int = 0) -> bytes:
    """The same as bytes: compact, or as msgspec indents it.

    >>> emit_json(parse_json(b'{"a": [1.50, "x"], "b": {}}', "a.json"))
    b'{"a":[1.50,"x"],"b":{}}'
    """
    text = "".join(_tokens(value)).encode("utf-8", "surrogatepass")
    return msgspec.json.format(text, indent=indent) if indent else text


def _tokens(value: Any) -> Iterator[str]:
    if isinstance(value, Number):
        yield str(value)
    elif isinstance(value, dict):
        yield "{"
        for index, (key, inner) in enumerate(value.items()):
            yield f"{',' if index else ''}{json.dumps(key, ensure_ascii=False)}:"
            yield from _tokens(inner)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for index, inner in enumerate(value):
            yield "," if index else ""
            yield from _tokens(inner)
        yield "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def json_rows(value: Any) -> Rows:
    """One row for each value: where it stands, of which type it is, what it says. Members of lists are counted (#0), long texts go on in rows `more`.

    >>> json_rows(parse_json(b'{"a": [1.50, "x"], "b": {}}', "a.json"))
    [['path', 'type', 'value'], ['/a/#0', 'number', '1.50'], ['/a/#1', 'text', 'x'], ['/b', 'object']]
    """
    return [["path", "type", "value"], *_leaves("", value)]


def _leaves(path: str, value: Any) -> Iterator[list[str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}/{_escaped(key)}", inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(f"{path}/#{index}", inner)
    elif isinstance(value, Number):
        yield [path or ROOT, "number", str(value)]
    elif isinstance(value, str):
        pieces = [value[at : at + LONGEST] for at in range(0, len(value), LONGEST)] or [""]
        for number, piece in enumerate(pieces):
            said = json.dumps(piece, ensure_ascii=False)[1:-1]
            yield [path or ROOT, "more" if number else "text", said] if said else [path or ROOT, "text"]
    else:
        yield [path or ROOT, {None: "null", True: "true", False: "false"}[value] if not isinstance(value, dict | list) else "object" if value == {} else "list"]


def _escaped(key: str) -> str:
    return json.dumps(key.replace("~", "~0").replace("/", "~1").replace("#", "~2"), ensure_ascii=False)[1:-1]


def rows_json(rows: Rows, name: str) -> Any:
    """The JSON of such rows. Raises KibanError where a row does not fit to those before it."""
    root: list[Any] = []
    for number, row in enumerate(rows[1:], 2):
        path, kind, said = (*row, "", "")[:3]
        try:
            steps = [] if path == ROOT else [_step(part) for part in path.split("/")[1:]]
            if len(steps) > DEEPEST or not (path == ROOT or path.startswith("/")):
                raise ValueError(f"a path from the root, of at most {DEEPEST} levels")
            _put(root, [0, *steps], kind, said)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise KibanError(f"{name}, row {number}", repr(path), f"a row that fits to those before it ({error})", STEP) from error
    if len(root) != 1:
        raise KibanError(name, "no value", "at least one row", STEP)
    return root[0]


def _step(part: str) -> str | int:
    if part.startswith("#"):
        return int(part[1:])
    key: str = json.loads(f'"{part}"')
    return key.replace("~2", "#").replace("~1", "/").replace("~0", "~")


def _put(root: list[Any], steps: Sequence[str | int], kind: str, said: str) -> None:
    """Put a value where the steps lead; containers on the way are made when they are first entered."""
    here: Any = root
    for step, following in pairwise(steps):
        fresh: Any = [] if isinstance(following, int) else {}
        here = _member(here, step, fresh)
        if type(here) is not type(fresh):
            raise TypeError("a list and an object are not mixed")
    if kind == "more":
        here[steps[-1]] += json.loads(f'"{said}"')
        return
    value = _leaf(kind, said)
    if _member(here, steps[-1], value) is not value:
        raise ValueError("each path once")


def _member(here: Any, step: str | int, fresh: Any) -> Any:
    """The member of a container, made when it is the next one."""
    if isinstance(here, list):
        if not isinstance(step, int) or not 0 <= step <= len(here):
            raise IndexError("members of a list follow each other")
        if step == len(here):
            here.append(fresh)
        return here[step]
    if not isinstance(step, str):
        raise TypeError("a list and an object are not mixed")
    return here.setdefault(step, fresh)


def _leaf(kind: str, said: str) -> Any:
    if kind == "number":
        if isinstance(json.loads(said), bool | str | list | dict | None):
            raise ValueError("a number")
        return Number(said)
    if kind == "text":
        return str(json.loads(f'"{said}"'))
    return {"null": None, "true": True, "false": False, "list": [], "object": {}}[kind]
