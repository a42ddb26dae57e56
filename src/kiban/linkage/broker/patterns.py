r"""Regular expressions of strangers, answered in time proportional to the text.

A pattern of a request (`q`'s ~=, idPattern, entityIdPattern) is read by this module's own parser into a small tree: characters, classes,
groups, alternatives, quantifiers, ^ and $. From the tree come

- a lazy automaton (`Pattern.search`), which looks at each character once, whatever the pattern: no pattern can stop the process;
- the source for Python's `re`, used instead where the pattern cannot run away and the text is short;
- the source for PostgreSQL (`Pattern.sql`), with the same meaning in `~` and in jsonpath's like_regex with flag "s".

The language is that of IEEE 1003.2 extended expressions and of RE2 without look-around, back references and word borders, which raise
ValueError. \d, \w, \s and the [:classes:] are ASCII; . is anything but a line feed; a pattern is searched, so ^ and $ pin it to the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_LENGTH: Final = 1024
MAX_NODES: Final = 4000  # of the automaton, after {m,n} was written out
MAX_STATES: Final = 512  # kept at a time
_SHORT: Final = 256  # up to here `re` may be used: at most one long quantifier, so at most 256² steps
_LAST: Final = 0x10FFFF

_DIGIT: Final = ((48, 57),)
_WORD: Final = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final = ((9, 13), (32, 32))
_NAMED: Final = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "blank": ((9, 9), (32, 32)),
    "digit": _DIGIT,
    "lower": ((97, 122),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": _SPACE,
    "upper": ((65, 90),),
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_SETS: Final = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CONTROLS: Final = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11}

_TIMES: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_QUANTIFIER: Final = re.compile(r"([*+?]|\{([0-9]+)(?:(,)([0-9]*))?\})\??")

Ranges = tuple[tuple[int, int], ...]


def _inverse(ranges: Ranges) -> Ranges:
    out, next_free = [], 0
    for low, high in sorted(ranges):
        if low > next_free:
            out.append((next_free, low - 1))
        next_free = max(next_free, high + 1)
    if next_free <= _LAST:
        out.append((next_free, _LAST))
    return tuple(out)


@dataclass(frozen=True)
class _Chars:
    ranges: Ranges
    negated: bool = False

    def source(self) -> str:
        def char(code: int) -> str:
            text = chr(code)
            return text if code > 127 or text.isalnum() or code < 33 else "\\" + text

        if not self.negated and len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return char(self.ranges[0][0])
        inside = "".join(char(low) if low == high else f"{char(low)}-{char(high)}" for low, high in self.ranges)
        return f"[{'^' if self.negated else ''}{inside}]"

    def takes(self, char: str, ignore_case: bool) -> bool:
        forms = {char, char.lower(), char.upper()} if ignore_case else {char}
        found = any(low <= ord(form) <= high for form in forms if len(form) == 1 for low, high in self.ranges)
        return found is not self.negated


@dataclass(frozen=True)
class _Anchor:
    end: bool


@dataclass(frozen=True)
class _Repeat:
    part: _Part
    low: int
    high: int | None


@dataclass(frozen=True)
class _Choice:
    """Alternatives, each a sequence of parts."""

    branches: tuple[tuple[_Part, ...], ...]


_Part = _Chars | _Anchor | _Repeat | _Choice


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"pattern {self.text[:80]!r}: {what} at character {self.at + 1}")

    def choice(self) -> _Choice:
        self.depth += 1
        if self.depth > 50:
            raise self.wrong("groups more than 50 deep")
        branches: list[tuple[_Part, ...]] = []
        parts: list[_Part] = []
        while self.at < len(self.text) and self.text[self.at] != ")":
            if self.text[self.at] == "|":
                branches.append(tuple(parts))
                parts = []
                self.at += 1
            else:
                parts.append(self.quantified(self.atom()))
        branches.append(tuple(parts))
        self.depth -= 1
        return _Choice(tuple(branches))

    def atom(self) -> _Part:
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            if self.text.startswith("?", self.at):
                if not self.text.startswith("?:", self.at):
                    raise self.wrong("found (?…; expected a plain group or (?:…)")
                self.at += 2
            inside = self.choice()
            if not self.text.startswith(")", self.at):
                raise self.wrong("expected )")
            self.at += 1
            return inside
        if char == "[":
            return self.bracket()
        if char == "\\":
            return self.escape()
        if char in "^$":
            return _Anchor(char == "$")
        if char == ".":
            return _Chars(((10, 10),), negated=True)
        if char in "*+?" or (char == "{" and re.match(r"\d+(,\d*)?\}", self.text[self.at :], re.ASCII)):
            raise self.wrong(f"found {char!r} with nothing to repeat")
        return _Chars(((ord(char), ord(char)),))

    def escape(self) -> _Chars:
        if self.at == len(self.text):
            raise self.wrong("found a \\ at the end")
        char = self.text[self.at]
        self.at += 1
        if char.lower() in _SETS:
            return _Chars(_SETS[char.lower()], negated=char.isupper())
        if char in _CONTROLS:
            return _Chars(((_CONTROLS[char],) * 2,))
        if char.isalnum():
            raise self.wrong(f"found \\{char}; expected \\d, \\w, \\s, \\n, \\t or an escaped sign")
        return _Chars(((ord(char), ord(char)),))

    def bracket(self) -> _Chars:
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while True:
            if self.at >= len(self.text):
                raise self.wrong("expected ]")
            char = self.text[self.at]
            if char == "]" and not first:
                self.at += 1
                return _Chars(tuple(ranges), negated)
            first = False
            if found := re.compile(r"\[:(\w+):\]").match(self.text, self.at):
                if found[1] not in _NAMED:
                    raise self.wrong(f"found [:{found[1]}:]")
                ranges += _NAMED[found[1]]
                self.at = found.end()
                continue
            low = self.member()
            if isinstance(low, tuple):
                ranges += low
                continue
            high: int | Ranges = low
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                if self.at >= len(self.text):
                    raise self.wrong("expected ]")
                high = self.member()
            if isinstance(high, tuple) or high < low:
                raise self.wrong("found a range that ends before it starts")
            ranges.append((low, high))

    def member(self) -> int | Ranges:
        """One character of a bracket expression, or the set that an escape stands for."""
        char = self.text[self.at]
        self.at += 1
        if char != "\\":
            return ord(char)
        found = self.escape()
        if found.negated:
            return _inverse(found.ranges)
        return found.ranges[0][0] if len(found.ranges) == 1 and found.ranges[0][0] == found.ranges[0][1] else found.ranges

    def quantified(self, part: _Part) -> _Part:
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return part
        sign, first, comma, last = found.groups()
        if sign in _TIMES:
            low, high = _TIMES[sign]
        else:
            low = int(first)
            high = low if not comma else int(last) if last else None
            if (high is not None and high < low) or max(low, high or 0) > 1000:
                raise self.wrong(f"found {sign}")
        if isinstance(part, _Anchor):
            raise self.wrong("found a quantifier behind ^ or $")
        self.at = found.end()  # with the ? of a lazy quantifier: the same texts are found
        if self.text.startswith("+", self.at) or _QUANTIFIER.match(self.text, self.at):
            raise self.wrong("found two quantifiers in a row")
        return _Repeat(part, low, high)


def _source(part: _Part, end: str, start: str) -> str:
    """The pattern in the notation that Python and PostgreSQL share; only the anchors differ."""
    match part:
        case _Chars():
            return part.source()
        case _Anchor():
            return end if part.end else start
        case _Choice():
            return "(?:" + "|".join("".join(_source(each, end, start) for each in branch) for branch in part.branches) + ")"
        case _Repeat():
            times = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((part.low, part.high))
            if times is None:
                times = f"{{{part.low}}}" if part.low == part.high else f"{{{part.low},{'' if part.high is None else part.high}}}"
            return f"(?:{_source(part.part, end, start)}){times}"


def _tame(part: _Part) -> tuple[bool, int]:
    """Whether no quantifier stands over anything but one character, and how many of them are long."""
    match part:
        case _Repeat():
            short = part.high is not None and part.high - part.low <= 1 and part.high <= 4
            return isinstance(part.part, _Chars), 0 if short else 1
        case _Choice():
            found = [_tame(each) for branch in part.branches for each in branch]
            return all(tame for tame, _ in found), sum(long for _, long in found)
        case _:
            return True, 0


def _options(part: _Part) -> int:
    match part:
        case _Repeat():
            return 1
        case _Choice():
            return len(part.branches) - 1 + sum(_options(each) for branch in part.branches for each in branch)
        case _:
            return 0


class _State:
    """Where the automaton can be: what each character leads to, and whether the pattern is found here, or would be at the end."""

    __slots__ = ("at_end", "found", "kernel", "steps")

    def __init__(self, kernel: frozenset[int], found: bool, at_end: bool) -> None:
        self.kernel, self.found, self.at_end = kernel, found, at_end
        self.steps: dict[str, _State] = {}


class _Automaton:
    """Thompson's construction, made deterministic while it runs."""

    def __init__(self, tree: _Choice, ignore_case: bool) -> None:
        self.ignore_case = ignore_case
        # Per node: ("char", chars, next) | ("split", nexts) | ("start"|"end", next) | ("found",)
        self.nodes: list[tuple[str, _Chars | None, tuple[int, ...]]] = [("found", None, ())]
        self.first = self.build(tree, 0)
        self.states: dict[tuple[frozenset[int], bool], _State] = {}
        self.steps = 0
        self.initial = self.state(frozenset([self.first]), True)

    def add(self, kind: str, chars: _Chars | None, *nexts: int) -> int:
        if len(self.nodes) >= MAX_NODES:
            raise ValueError("the pattern is too large once its repetitions are written out")
        self.nodes.append((kind, chars, nexts))
        return len(self.nodes) - 1

    def build(self, part: _Part, then: int) -> int:
        match part:
            case _Chars():
                return self.add("char", part, then)
            case _Anchor():
                return self.add("end" if part.end else "start", None, then)
            case _Choice():
                heads = []
                for branch in part.branches:
                    head = then
                    for each in reversed(branch):
                        head = self.build(each, head)
                    heads.append(head)
                return heads[0] if len(heads) == 1 else self.add("split", None, *heads)
            case _Repeat():
                if part.high is None:
                    loop = self.add("split", None)
                    self.nodes[loop] = ("split", None, (self.build(part.part, loop), then))
                    head = loop
                else:
                    head = then
                    for _ in range(part.high - part.low):
                        head = self.add("split", None, self.build(part.part, head), then)
                for _ in range(part.low):
                    head = self.build(part.part, head)
                return head

    def closure(self, kernel: frozenset[int], start: bool, end: bool) -> set[int]:
        seen: set[int] = set()
        waiting = list(kernel)
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            kind, _, nexts = self.nodes[node]
            if kind == "split" or (kind == "start" and start) or (kind == "end" and end):
                waiting.extend(nexts)
        return seen

    def state(self, kernel: frozenset[int], start: bool) -> _State:
        found = self.states.get((kernel, start))
        if found is None:
            reach = self.closure(kernel, start, False)
            found = _State(frozenset(reach), 0 in reach, 0 in self.closure(kernel, start, True))
            if len(self.states) < MAX_STATES:
                self.states[kernel, start] = found
        return found

    def step(self, state: _State, char: str) -> _State:
        nexts = {self.first}  # a pattern may begin anywhere
        for node in state.kernel:
            kind, chars, after = self.nodes[node]
            if kind == "char" and chars is not None and chars.takes(char, self.ignore_case):
                nexts.add(after[0])
        after_state = self.state(frozenset(nexts), False)
        self.steps += 1
        if self.steps > 64 * MAX_STATES:
            # Begin anew rather than grow without end; whoever runs on an old state goes on with it.
            self.states.clear()
            self.steps = 0
            self.initial = self.state(frozenset([self.first]), True)
        else:
            state.steps[char] = after_state
        return after_state

    def search(self, text: str) -> bool:
        state = self.initial
        if state.found:
            return True
        for char in text:
            state = state.steps.get(char) or self.step(state, char)
            if state.found:
                return True
        return state.at_end


_START = re.compile(r"\^((?:[A-Za-z0-9:/_#~%-]|\\[.:/-])+)")


@dataclass(frozen=True)
class Pattern:
    """A regular expression; make it with `compile_pattern`.

    `source` is what was given, `sql` the same for PostgreSQL.
    """

    source: str
    ignore_case: bool
    sql: str
    _automaton: _Automaton = field(repr=False, compare=False)
    _quick: re.Pattern[str] | None = field(repr=False, compare=False)

    @property
    def start(self) -> str:
        """What every text begins with in which the pattern is found, as far as its source tells at a glance.

        >>> compile_pattern("^urn:a:[0-9]+").start, compile_pattern("^urn:ab?").start, compile_pattern("a|^b").start
        ('urn:a:', 'urn:a', '')
        """
        found = _START.match(self.source)
        if found is None or self.ignore_case or "|" in self.source:
            return ""
        text = found[1].replace("\\", "")
        return text[:-1] if self.source[found.end() : found.end() + 1] in ("?", "*", "{") else text

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text, in time proportional to its length."""
        if self._quick is not None and len(text) <= _SHORT:
            return self._quick.search(text) is not None
        return self._automaton.search(text)


def compile_pattern(source: str, ignore_case: bool = False) -> Pattern:
    r"""A pattern to search with.

    Raises ValueError for what is no regular expression, what the language leaves out (look-around, back references, word borders), and
    what is longer than MAX_LENGTH or needs more than MAX_NODES places.

    >>> compile_pattern(r"^urn:.*:[0-9]{2,}$").search("urn:ngsi-ld:Vehicle:47")
    True
    >>> compile_pattern("(a*)*b").search("a" * 100_000)
    False
    """
    if len(source) > MAX_LENGTH:
        raise ValueError(f"the pattern has {len(source)} characters; at most {MAX_LENGTH} are taken")
    if "\0" in source:
        raise ValueError("the pattern has a character NUL")
    reader = _Reader(source)
    tree = reader.choice()
    if reader.at < len(source):
        raise reader.wrong("found a ) without (")
    automaton = _Automaton(tree, ignore_case)
    tame, long = _tame(tree)
    quick = tame and long <= 1 and _options(tree) <= 8
    python = re.compile(_source(tree, r"\Z", r"\A"), re.IGNORECASE if ignore_case else 0) if quick else None
    return Pattern(source, ignore_case, _source(tree, "$", "^"), automaton, python)
