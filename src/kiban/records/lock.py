"""A reason to suspect that a clause fits one product alone; a clause to look at; a suspicion with the words that raised it.

Patterns are data and stay simple: every repeat has an upper limit and none stands inside another, so that no text can hold them up.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range, check_unique
from kiban.records.source import Source, Text

MAX_CLAUSE = 4_000  # characters of one clause
MAX_PATTERN = 2_000  # characters of one pattern
MAX_WAYS = 20_000  # how many ways a pattern may try from one place of a text

_QUANTIFIER = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_GROUP = re.compile(r"\((?:\?(?::|=|!|<=|<!))?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to search; the same one for the same text."""
    return re.compile(pattern)


def check_pattern(where: str, pattern: str) -> None:
    """A pattern compiles, matches something, and cannot hold a search up.

    Raises RecordError that quotes the pattern.

    >>> check_pattern("patterns", "[0-9]{1,3}(Mbps|Gbps)")
    >>> check_pattern("patterns", "([a-z]{1,9}){1,9}")
    Traceback (most recent call last):
    kiban.base.errors.RecordError: patterns: found '([a-z]{1,9}){1,9}'; expected no repeat or choice inside a repeat. Next: write the inner part out
    """
    found = f"'{pattern}'" if len(pattern) <= 200 else f"'{pattern[:200]}…'"
    if not pattern.strip() or len(pattern) > MAX_PATTERN:
        raise RecordError(where, found, f"1 to {MAX_PATTERN:,} characters", "divide it into several patterns")
    try:
        if compiled(pattern).match(""):
            raise RecordError(where, found, "a pattern that does not match an empty text", "write what must stand there")
    except re.error as error:
        raise RecordError(where, f"{found} ({error})", "a regular expression", "mend it; where ( [ ? are text, put \\ before them") from error
    problem = _trouble(pattern)
    if problem:
        raise RecordError(where, found, *problem)


def _trouble(pattern: str) -> tuple[str, str] | None:
    """What fits and what to do, where a pattern could hold a search up; None when it cannot.

    Each open group keeps the ways of its widest finished branch, of its present branch without the last atom, of that atom, and whether
    anything in it varies. Words that stand as branches are taken as one way: they differ at their first letters.
    """
    stack: list[list[int]] = [[0, 1, 1, 0]]
    place = 0
    last_varies = 0
    while place < len(pattern):
        top, sign = stack[-1], pattern[place]
        quantifier = _QUANTIFIER.match(pattern, place)
        if quantifier or sign in "*+?":
            low, high = (int(quantifier[1]), quantifier[2]) if quantifier else (0, "1" if sign == "?" else "")
            if quantifier and quantifier[2] is None:
                high = quantifier[1]
            if not high:
                return "every repeat with an upper limit, such as {0,20}", "write {0,20} in the place of * + or {n,}"
            if int(high) > 1 and (last_varies or top[2] > 1):
                return "no repeat or choice inside a repeat", "write the inner part out"
            width = int(high) - low + 1
            top[2] *= width if int(high) > 1 else 1
            top[2] += 1 if int(high) == 1 and low == 0 else 0
            top[3] |= int(width > 1 and int(high) > 1)
            last_varies = 0
            place += len(quantifier[0]) if quantifier else 1
            continue
        top[1], top[2], last_varies = top[1] * top[2], 1, 0
        if sign == "(":
            opening = _GROUP.match(pattern, place)
            text = opening[0] if opening else "("
            if text == "(" and pattern.startswith("(?", place):
                return "groups ( ) (?: ) (?= ) (?! ) (?<= ) (?<! ) only", "write it with one of these"
            stack.append([0, 1, 1, 0])
            place += len(text)
        elif sign == ")":
            done = stack.pop()
            top = stack[-1]
            top[2], last_varies = max(done[0], done[1] * done[2]), done[3]
            top[3] |= done[3]
            place += 1
        elif sign == "|":
            top[0], top[1], top[3] = max(top[0], top[1]), 1, 1
            place += 1
        elif sign == "[":
            match = _CLASS.match(pattern, place)
            place += len(match[0]) if match else 1
        elif sign == "\\":
            if pattern[place + 1 : place + 2].isdigit():
                return "no reference to an earlier group", "write the words out"
            place += 2
        else:
            place += 1
        if stack[-1][1] > MAX_WAYS or stack[-1][2] > MAX_WAYS:
            break
    ways = max(stack[-1][0], stack[-1][1] * stack[-1][2])
    return None if ways <= MAX_WAYS else (f"at most {MAX_WAYS:,} ways to match from one place", "shorten its gaps, or divide it into several patterns")


class Measure(Record, frozen=True, kw_only=True):
    """A number that a clause may demand, and the needs that it is compared with.

    needs    names of needs, with their unit at the end of the name, such as down_mbps
    beside   words that stand beside the number in a clause
    better   more: a higher number is the harder demand; less: a lower one
    unit     the unit of the needs' values, as kiban's names of needs have it
    only_beside  true: the number counts only beside one of the words
    """

    id: str
    needs: tuple[str, ...]
    beside: tuple[str, ...]
    better: Literal["more", "less"]
    unit: str
    only_beside: bool = False


class Lock(Record, frozen=True, kw_only=True):
    """One file of `data/locks/`: one reason to suspect that a clause fits one product or one supplier alone.

    Patterns are regular expressions over the text in its half-width form (NFKC; every dash is -, every wave ~). A repeat has an upper
    limit, and none stands inside another.

    looks_at       clause: its words; number: its numbers against the need; origin: where it comes from; datasheet: what it shares
                   with a datasheet; document: what no clause of the document says
    patterns       what raises the suspicion; of a document: what one clause must say, or it is raised
    product_names  names of products, makers and services; in Latin letters of up to four they count as written, longer ones in any case
    exceptions     what clears a clause in which it stands
    harmless       passages in which a hit does not count: standards, materials, public names
    everywhere     what clears every clause of the document, wherever it stands
    measures       numbers, and the needs that they are compared with
    advice         what to write instead
    """

    name: Text
    why: Text
    advice: Text
    looks_at: Literal["clause", "number", "origin", "datasheet", "document"]
    patterns: tuple[str, ...] = ()
    product_names: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    sources: dict[str, Source]
    checked_on: date

    def __post_init__(self) -> None:
        for field in ("patterns", "exceptions", "harmless", "everywhere"):
            for pattern in getattr(self, field):
                check_pattern(field, pattern)
        if self.looks_at in ("clause", "document") and not (self.patterns or self.product_names):
            raise RecordError("patterns", "none", f"patterns for what looks at a {self.looks_at}", "write at least one")
        if self.looks_at == "number" and not self.measures:
            raise RecordError("measures", "none", "measures for what looks at numbers", "write at least one")
        if any(not name.strip() for name in self.product_names):
            raise RecordError("product_names", "a blank name", "a name", "delete it")
        check_unique("measures", (measure.id for measure in self.measures))
        check_unique("product_names", self.product_names)


class SpecClause(Record, frozen=True, kw_only=True):
    """One clause of a specification, as the lock check reads it.

    origin   model: out of a standard model (`version` says which); own: the municipality's; rfi: out of answers to a request for information
    answers  how many suppliers answered so; None: nobody counted
    needs    values of needs that this clause is about, by name (down_mbps in Mbps, autonomy_h in hours, availability as a share)
    """

    id: str
    text: str
    origin: Literal["model", "own", "rfi"] = "own"
    version: str | None = None
    answers: int | None = None
    needs: dict[str, float] = {}

    def __post_init__(self) -> None:
        if len(self.text) > MAX_CLAUSE:
            raise RecordError(f"clause {self.id}", f"{len(self.text):,} characters", f"at most {MAX_CLAUSE:,}", "divide the clause")
        check_range(f"clause {self.id}, answers", self.answers, 0)
        for name, value in self.needs.items():
            check_range(f"clause {self.id}, {name}", value)


class Hit(Record, frozen=True, kw_only=True):
    """The words that raised a suspicion, and where they stand in the clause: from character `start` to before `end`.

    against  the need or datasheet that a number was compared with, such as down_mbps=50
    """

    text: str
    start: int
    end: int
    against: str | None = None


class Suspicion(Record, frozen=True, kw_only=True):
    """One suspicion: the clause (None: the whole document), the reason's id, the words that raised it, what to write instead."""

    clause: str | None
    reason: str
    hits: tuple[Hit, ...]
    advice: Text
