r"""The NGSI-LD query language q (ETSI GS CIM 009 v1.9.1, 4.9): read once, then asked of many entities.

`parse_q(text, terms)` gives a `Q`: a tree of frozen nodes for the stores to compile (see `conjuncts` here, `jsonpath.to_jsonpath`), and
`q.matches(entity, linked)`, which answers for an entity in the internal form. The same answer holds for a temporal entity, whose attributes
are lists of instances just as well: any instance of the history may match.

How this module reads the standard
- An attribute with several instances matches if any of them does. `a.b` is met by any instance of the sub-attribute b of any instance of a.
- `==` and `!=` look at the value, and where it is an array at each of its elements. The other operators, ranges and patterns look at single
  values only: an array is of another data type than a number or a string.
- `!=` and `!~=` need the target to exist. A value of another type is unequal (`!=` matches), but nothing else matches across types:
  `!~=` needs a string. Booleans are no numbers.
- A LanguageProperty without a language, or with [*], offers all its texts: `==` wants any, `!=` wants none of them.
  [en] is the text of that very key. Of a Relationship only `==` and `!=` can match.
- Strings compare by code point. An unquoted DateTime, Date or Time compares as such with strings of that form (UTC with Z; 12:00Z and
  12:00.000Z are equal) and with {"@type", "@value"}; a quoted one is a string. The system times, and observedAt, take both spellings, and a
  Date for its first instant.
- A quoted text and an unquoted URI are alike. Values of a VocabProperty are stored as full names, so a short one matches only for
  attributes that `expand_values` lists. A trailing path [a.b] walks through objects only, by the names of the JSON as it was given: the
  values of JsonProperties and of Properties are kept unexpanded, so the parameter jsonKeys changes nothing.
- Beyond the grammar: `!attr` (there is no such attribute), parentheses in each other, full names as attribute names (their dots up to the
  last / or # belong to the name), URIs in a list of values, several pairs of brackets ([a][b] is [a.b]), unquoted patterns.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kiban.linkage.broker import times
from kiban.linkage.broker.patterns import Pattern, compile_pattern
from kiban.linkage.broker.selection import (
    MEMBERS,
    SYSTEM_TIMES,
    TIME_MEMBERS,
    Entity,
    OrderTerm,
    Projection,
    ScopeQ,
    TemporalQ,
    Terms,
    TypeQ,
    limited,
    parse_aggregates,
    parse_id_pattern,
    parse_ids,
    parse_names,
    parse_order,
    parse_projection,
    parse_scope,
    parse_temporal,
    parse_types,
    split_path,
    wrong,
)
from kiban.linkage.errors import bad_request, too_complex

__all__ = [
    "And", "Between", "Compare", "Exists", "Linked", "Literal", "Match", "Node", "Or", "OrderTerm", "Path", "Points", "Projection", "Q", "ScopeQ", "TemporalQ",
    "Terms", "TypeQ", "conjuncts", "parse_aggregates", "parse_id_pattern", "parse_ids", "parse_names", "parse_order", "parse_projection", "parse_q",
    "parse_scope", "parse_temporal", "parse_types", "plain_record", "unlink",
]  # fmt: skip

Lookup = Callable[[str], Entity | None]
Match = Callable[..., bool]  # (entity, linked: Lookup | None = None) -> bool
Test = Callable[[Any], bool]

MAX_TERMS: Final = 500
MAX_DEPTH: Final = 40
# Where an instance keeps its value: single values or arrays in the first three, arrays in valueList, texts by language in languageMap.
VALUES: Final = ("value", "json", "vocab", "valueList")
OBJECTS: Final = ("object", "objectList")
DATETIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z"
DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME: Final = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z?"
FORMS: Final = {"datetime": DATETIME, "date": DATE, "time": TIME}
_FORMS: Final = {kind: re.compile(form + r"\Z") for kind, form in FORMS.items()}
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq}


# ------------------------------------------------------------------------------------------------------------------------------ the tree


@dataclass(frozen=True)
class Literal:
    """A value of a query term. `kind`: number, bool, string, datetime, date or time.

    A datetime or time is kept without Z and without zeros at the end of its fraction, so that `value`s of one kind compare as strings.
    """

    kind: str
    value: str | int | float | bool

    def test(self, op: str) -> Test:
        """A function that says whether a single value stands in the relation `op` (==, >, >=, <, <=) to this one."""
        wanted, compare = self.value, _ORDER[op]
        if self.kind == "number":
            return lambda value: (type(value) is int or type(value) is float) and compare(value, wanted)
        if self.kind == "string":
            return lambda value: type(value) is str and compare(value, wanted)
        if self.kind == "bool":
            return lambda value: type(value) is bool and compare(value, wanted)
        form = _FORMS[self.kind].match
        return lambda value: type(value) is str and form(value) is not None and compare(_key(value), wanted)


def _key(text: str) -> str:
    """A date, time or date-time of one of FORMS so that keys of one form compare in time."""
    bare = text[:-1] if text[-1] == "Z" else text
    return bare.rstrip("0").rstrip(".") if "." in bare else bare


@dataclass(frozen=True)
class Path:
    """Where the target is: attribute IRIs from the entity inwards, then a system member of the last instance or of the entity itself
    (names empty), or a trail of member names into the value; the trail ("*",) is any language."""

    names: tuple[str, ...]
    member: str | None = None
    trail: tuple[str, ...] = ()

    @property
    def simple(self) -> bool:
        """Whether this is one attribute and nothing more."""
        return len(self.names) == 1 and self.member is None and not self.trail


@dataclass(frozen=True)
class Exists:
    """The target is there; or is not, if `negated`."""

    path: Path
    negated: bool = False


@dataclass(frozen=True)
class Compare:
    """`op`: == or != with one or more values (a list: any, or none of them), > >= < <= with one, ~= !~= with a pattern."""

    path: Path
    op: str
    values: tuple[Literal, ...] = ()
    pattern: Pattern | None = None


@dataclass(frozen=True)
class Between:
    """The target is within low and high, both included; or exists and is not, if `negated`."""

    path: Path
    low: Literal
    high: Literal
    negated: bool = False


@dataclass(frozen=True)
class Linked:
    """An entity that the Relationship `name` points to has one of `types` (any, if empty) and matches `inner`; or none does, if `negated`."""

    name: str
    types: tuple[str, ...]
    inner: Term
    negated: bool = False


@dataclass(frozen=True)
class Points:
    """The Relationship `name` points to one of these ids; or to none of them, if `negated`. What `unlink` makes of a Linked term."""

    name: str
    ids: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True)
class And:
    """All parts match."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """Any part matches."""

    parts: tuple[Node, ...]


Term = Exists | Compare | Between | Linked | Points
Node = Term | And | Or


def _terms(node: Node) -> Iterator[Term]:
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from _terms(part)
    else:
        yield node


def _links(term: Term) -> int:
    return 1 + _links(term.inner) if isinstance(term, Linked) else 0


@dataclass(frozen=True)
class Q:
    """A query: its text, its tree, and `matches(entity, linked=None)`.

    `linked(id)` gives the entity that a Relationship points to, or None; without it no linked entity is found.
    """

    text: str
    node: Node
    matches: Match = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", _compile(self.node))

    @property
    def depth(self) -> int:
        """How many links are followed at most: 0 without sub-queries; a request whose joinLevel is less is too deep."""
        return max(_links(term) for term in _terms(self.node))

    @property
    def attributes(self) -> frozenset[str]:
        """The IRIs of the entity's own attributes that are asked for; empty if only system members are (which is too wide a query)."""
        return frozenset(
            term.name if isinstance(term, Linked | Points) else term.path.names[0]
            for term in _terms(self.node)
            if isinstance(term, Linked | Points) or term.path.names
        )

    @property
    def bare(self) -> bool:
        """Whether the instances of its attributes alone decide: no sub-attributes, times of the system or linked entities."""
        return all(
            isinstance(term, Points) or (not isinstance(term, Linked) and len(term.path.names) == 1 and term.path.member not in SYSTEM_TIMES)
            for term in _terms(self.node)
        )


def conjuncts(q: Q) -> list[Exists | Compare | Between]:
    """The terms that every matching entity meets, each about one attribute or one system time of the entity, for a store's indexes.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> [term.path.names for term in conjuncts(parse_q("speed>50;(brand|wheels==4);a.b==1;brand", Plain()))]
    [('ex:speed',), ('ex:brand',)]
    """

    def found(node: Node) -> Iterator[Exists | Compare | Between]:
        if isinstance(node, And):
            for part in node.parts:
                yield from found(part)
        elif isinstance(node, Exists | Compare | Between) and (node.path.simple or not node.path.names):
            yield node

    return list(found(q.node))


def unlink(q: Q, find: Callable[[tuple[str, ...], Q], Collection[str]]) -> Q:
    """The query with each sub-query replaced by the ids of the entities that match it, so that a store needs no links to answer it.

    `find(types, q)` gives the ids of the entities that have one of the types (any, if there are none) and match q, which has no links itself:
    sub-queries are replaced from the innermost outwards. The new query matches what `q` matches with a look-up of the same entities.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> unlink(parse_q("owner{Person:age}>40;wheels", Plain()), lambda types, inner: ["urn:p:1"]).node.parts[0]
    Points(name='ex:owner', ids=('urn:p:1',), negated=False)
    """

    def settled(node: Node) -> Node:
        match node:
            case And() | Or():
                return type(node)(tuple(settled(part) for part in node.parts))
            case Linked():
                return Points(node.name, tuple(find(node.types, Q(q.text, settled(node.inner)))), node.negated)
            case _:
                return node

    return Q(q.text, settled(q.node)) if q.depth else q


# ----------------------------------------------------------------------------------------------------------------------------- evaluation


def _single(value: Any) -> Any:
    """The value itself, or what a typed value {"@type": …, "@value": …} holds."""
    return value["@value"] if type(value) is dict and "@value" in value else value


def _offered(instance: Entity, trail: tuple[str, ...], objects: bool) -> list[Any]:
    """What an instance offers to a comparison: its value (or what the trail leads to), or the texts of its languages. Empty: no target."""
    if "languageMap" in instance:
        texts = instance["languageMap"]
        if not isinstance(texts, dict):
            return []
        if not trail or trail == ("*",):
            return list(texts.values())
        return [texts[trail[0]]] if len(trail) == 1 and trail[0] in texts else []
    for member in VALUES:
        if member in instance:
            value = instance[member]
            for step in trail:
                if type(value) is not dict or step not in value:
                    return []
                value = value[step]
            return [value]
    if objects and not trail:
        for member in OBJECTS:
            if member in instance:
                return [instance[member]]
    return []


def _equal(value: Any, one: Test) -> bool:
    """Whether a value, or one of its elements, passes; typed values are unpacked at either place."""
    value = _single(value)
    if type(value) is list:
        return any(one(_single(each)) for each in value)
    return one(value)


def _any_of(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _value_test(term: Compare | Between) -> Test:
    """A function that says whether an instance meets the term."""
    trail = term.path.trail
    if isinstance(term, Compare) and term.op in ("==", "!="):
        one = _equal_test(term.values)

        def equals(instance: Entity) -> bool:
            return any(_equal(value, one) for value in _offered(instance, trail, True))

        if term.op == "==":
            if trail:
                return equals

            def quick(instance: Entity) -> bool:
                value = instance.get("value")
                return one(value) or ((value is None or type(value) in (list, dict)) and equals(instance))

            return quick
        return lambda instance: bool(_offered(instance, trail, True)) and not equals(instance)

    if isinstance(term, Compare) and term.pattern is not None:
        search = term.pattern.search
        if term.op == "~=":
            return lambda instance: any(type(text := _single(value)) is str and search(text) for value in _offered(instance, trail, False))

        def unlike(instance: Entity) -> bool:
            texts = [text for value in _offered(instance, trail, False) if type(text := _single(value)) is str]
            return bool(texts) and not any(search(text) for text in texts)

        return unlike

    if isinstance(term, Between):
        above, below = term.low.test(">="), term.high.test("<=")

        def within(instance: Entity) -> bool:
            return any(above(found := _single(value)) and below(found) for value in _offered(instance, trail, False))

        return (lambda instance: bool(_offered(instance, trail, True)) and not within(instance)) if term.negated else within

    (wanted,) = term.values
    one = wanted.test(term.op)

    def ordered(instance: Entity) -> bool:
        return any(one(_single(value)) for value in _offered(instance, trail, False))

    if trail:
        return ordered

    def quick_ordered(instance: Entity) -> bool:
        value = instance.get("value")
        return one(value) or ((value is None or type(value) is dict) and ordered(instance))

    return quick_ordered


def _equal_test(values: tuple[Literal, ...]) -> Test:
    if len(values) > 1 and all(value.kind == "string" for value in values):
        wanted = frozenset(value.value for value in values)
        return lambda value: type(value) is str and value in wanted
    return _any_of([value.test("==") for value in values])


def _member_test(term: Compare | Between, member: str) -> Test:
    """A function that says whether an instance (or the entity) meets a term about one of its system members."""
    if isinstance(term, Compare) and term.op in ("==", "!="):
        one = _equal_test(term.values)
        if term.op == "==":
            return lambda holder: member in holder and _equal(holder[member], one)
        return lambda holder: member in holder and not _equal(holder[member], one)
    if isinstance(term, Compare) and term.pattern is not None:
        search, wanted = term.pattern.search, term.op == "~="
        return lambda holder: type(holder.get(member)) is str and search(holder[member]) is wanted
    if isinstance(term, Between):
        above, below, negated = term.low.test(">="), term.high.test("<="), term.negated
        return lambda holder: member in holder and (above(holder[member]) and below(holder[member])) is not negated
    (literal,) = term.values
    one = literal.test(term.op)
    return lambda holder: one(holder.get(member))


def _holds(path: Path) -> Test:
    """A function that says whether an instance has what the path ends in."""
    member, trail = path.member, path.trail
    if member is not None:
        return lambda holder: member in holder
    if trail:
        return lambda instance: bool(_offered(instance, trail, False))
    return lambda _instance: True


def _any_instance(names: tuple[str, ...], test: Test) -> Match:
    """Whether any instance at the end of the path passes."""
    if not names:
        return lambda entity, _linked=None: test(entity)
    first, rest = names[0], names[1:]
    if not rest:

        def one(entity: Entity, _linked: Lookup | None = None) -> bool:
            for instance in entity.get(first, ()):  # noqa: SIM110 — a loop is three times as fast as any() here
                if test(instance):
                    return True
            return False

        return one
    inner = _any_instance(rest, test)
    return lambda entity, _linked=None: any(inner(instance) for instance in entity.get(first, ()))


def _compile(node: Node) -> Match:
    match node:
        case And():
            return _all([_compile(part) for part in node.parts])
        case Or():
            return _some([_compile(part) for part in node.parts])
        case Linked():
            return _compile_linked(node)
        case Points():
            return _compile_points(node)
        case Exists():
            if node.path.simple:
                (name,) = node.path.names
                return (lambda entity, _linked=None: not entity.get(name)) if node.negated else (lambda entity, _linked=None: bool(entity.get(name)))
            there = _any_instance(node.path.names, _holds(node.path))
            return (lambda entity, _linked=None: not there(entity)) if node.negated else there
        case _:
            test = _member_test(node, node.path.member) if node.path.member is not None else _value_test(node)
            return _any_instance(node.path.names, test)


def _all(parts: list[Match]) -> Match:
    if len(parts) == 2:
        first, second = parts
        return lambda entity, linked=None: first(entity, linked) and second(entity, linked)
    return lambda entity, linked=None: all(part(entity, linked) for part in parts)


def _some(parts: list[Match]) -> Match:
    if len(parts) == 2:
        first, second = parts
        return lambda entity, linked=None: first(entity, linked) or second(entity, linked)
    return lambda entity, linked=None: any(part(entity, linked) for part in parts)


def _compile_linked(node: Linked) -> Match:
    inner, types, name = _compile(node.inner), frozenset(node.types), node.name

    def found(entity: Entity, linked: Lookup | None = None) -> bool:
        if linked is None:
            return False
        for instance in entity.get(name, ()):
            for member in OBJECTS:
                ids = instance.get(member, ())
                for id in (ids,) if isinstance(ids, str) else ids:
                    target = linked(id) if isinstance(id, str) else None
                    if target is not None and (not types or not types.isdisjoint(target["type"])) and inner(target, linked):
                        return True
        return False

    return (lambda entity, linked=None: not found(entity, linked)) if node.negated else found


def _compile_points(node: Points) -> Match:
    wanted, name, negated = frozenset(node.ids), node.name, node.negated

    def points(entity: Entity, _linked: Lookup | None = None) -> bool:
        for instance in entity.get(name, ()):
            for member in OBJECTS:
                ids = instance.get(member, ())
                if ids in wanted if isinstance(ids, str) else not wanted.isdisjoint(ids):
                    return not negated
        return negated

    return points


def plain_record(record: dict[str, Any]) -> Entity:
    """Members of a plain JSON object as Properties of an entity, for csf (context source filter) and for queries over snapshots.

    >>> class Names:
    ...     expand = expand_type = expand_vocab = staticmethod(str)
    >>> parse_q('endpoint=="http://a.example"', Names()).matches(plain_record({"endpoint": "http://a.example"}))
    True
    """
    return {name: [{"type": "Property", "value": value}] for name, value in record.items() if value is not None}


# -------------------------------------------------------------------------------------------------------------------------------- reading

_NAME: Final = re.compile(r"[^\s;|()\[\]{}<>=!~\",]+")
_OPERATOR: Final = re.compile(r"==|!=|>=|<=|!~=|~=|>|<")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE: Final = re.compile(r"[^\s;|()<>\",]+")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_TERM: Final = re.compile(r"[^\W\d]|@")
_SURROGATE: Final = re.compile("[\ud800-\udfff\0]")


class _Parser:
    def __init__(self, text: str, terms: Terms, expand_values: Collection[str], where: str) -> None:
        self.text, self.terms, self.where = text, terms, where
        self.expanded = frozenset(terms.expand(name) for name in expand_values)
        self.at = self.count = self.depth = 0

    def wrong(self, expected: str, at: int | None = None) -> Exception:
        return wrong(self.where, self.text, self.at if at is None else at, expected)

    def ahead(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def take(self, sign: str) -> bool:
        found = self.ahead(sign)
        self.at += len(sign) * found
        return found

    def either(self) -> Node:
        parts = [self.both()]
        while self.take("|"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self) -> Node:
        parts = [self.one()]
        while self.take(";"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self) -> Node:
        if not self.take("("):
            return self.term()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise too_complex(f"{self.where}: more than {MAX_DEPTH} parentheses in each other")
        found = self.either()
        if not self.take(")"):
            raise self.wrong("an operator, ; | or )")
        self.depth -= 1
        return found

    def term(self) -> Term:
        self.count += 1
        if self.count > MAX_TERMS:
            raise too_complex(f"{self.where}: more than {MAX_TERMS} terms")
        negated = self.take("!")
        links, path = self.target()
        found: Term = (
            Exists(path, negated and not links) if negated or not (operation := _OPERATOR.match(self.text, self.at)) else self.comparison(path, operation)
        )
        for at, (name, types) in reversed(list(enumerate(links))):
            found = Linked(name, types, found, negated and at == 0)
        return found

    def name(self) -> tuple[str, int]:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self.wrong("the name of an attribute")
        start, self.at = self.at, found.end()
        return found[0], start

    def target(self) -> tuple[list[tuple[str, tuple[str, ...]]], Path]:
        """The Relationships to follow, each with the types of what it points to, and the path in the last entity."""
        links: list[tuple[str, tuple[str, ...]]] = []
        name, start = self.name()
        while self.take("{"):
            if len(links) >= MAX_DEPTH:
                raise too_complex(f"{self.where}: more than {MAX_DEPTH} links in each other")
            relation = self.terms.expand(self.checked(name, start))
            words = [self.name()]
            while self.take(","):
                words.append(self.name())
            types, (name, start) = self.hint(words)
            links.append((relation, types))
        path = self.path(name, start)
        for _ in links:
            if not self.take("}"):
                raise self.wrong("}")
        return links, path

    def hint(self, words: list[tuple[str, int]]) -> tuple[tuple[str, ...], tuple[str, int]]:
        """The types before the colon in {A,B:name}. A colon of a full name or of a prefix the @context knows belongs to the name."""
        last, start = words[-1]
        cut = last.find(":")
        whole = self.terms.expand(last)
        if len(words) == 1 and (cut < 0 or last[cut + 1 : cut + 3] == "//" or (whole != last and not whole.endswith(last))):
            return (), words[0]
        if cut < 1 or cut == len(last) - 1:
            raise self.wrong("entity types, a colon and the name of an attribute", start)
        types = [*words[:-1], (last[:cut], start)]
        return tuple(self.terms.expand_type(self.checked(word, at)) for word, at in types), (last[cut + 1 :], start + cut + 1)

    def checked(self, name: str, at: int) -> str:
        if not _TERM.match(name):
            raise self.wrong("a name that starts with a letter", at)
        return name

    def path(self, text: str, start: int) -> Path:
        *names, last = split_path(text)
        member = None
        if last in MEMBERS if names else last in SYSTEM_TIMES:
            member = last
        else:
            names.append(last)
        for name in names:
            if not name:
                raise self.wrong("names with one dot between them", start)
            self.checked(name, start)
        trail: list[str] = []
        while self.take("["):
            found = re.compile(r"[^\[\]\"]+").match(self.text, self.at)
            if found is None or member is not None:
                raise self.wrong("a path into the value, such as [city], behind an attribute")
            trail += found[0].split(".")
            self.at = found.end()
            if not self.take("]"):
                raise self.wrong("]")
        if not all(trail):
            raise self.wrong("a path into the value such as [city.name]", start)
        return Path(tuple(self.terms.expand(name) for name in names), member, tuple(trail))

    def comparison(self, path: Path, operation: re.Match[str]) -> Compare | Between:
        op, self.at = operation[0], operation.end()
        if op in ("~=", "!~="):
            return Compare(path, op, pattern=self.pattern())
        start = self.at
        first, quoted = self.value()
        if self.take(".."):
            low, high = first, self.value()[0]
            if op not in ("==", "!="):
                raise self.wrong(f"one value behind {op}", start)
            low, high = (self.fitted(each, path) for each in (low, high))
            if low.kind != high.kind or low.kind == "bool":
                raise self.wrong("two numbers, texts, dates or times of one kind", start)
            return Between(path, low, high, op == "!=")
        values = [first]
        while self.take(","):
            values.append(self.value()[0])
            if len(values) > MAX_TERMS:
                raise too_complex(f"{self.where}: more than {MAX_TERMS} values in a list")
        if op not in ("==", "!=") and (len(values) > 1 or first.kind == "bool" or (first.kind == "string" and not quoted)):
            raise self.wrong(f"a number, a quoted text, a date or a time behind {op}", start)
        return Compare(path, op, tuple(self.fitted(each, path) for each in values))

    def value(self) -> tuple[Literal, bool]:
        """The next value, and whether it was quoted."""
        if found := _QUOTED.match(self.text, self.at):
            try:
                text = json.loads(found[0], strict=False)
            except ValueError:
                raise self.wrong("a text with the escapes of JSON") from None
            if _SURROGATE.search(text):
                raise self.wrong("a text without NUL and half characters")
            self.at = found.end()
            return Literal("string", text), True
        found = _BARE.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value: a number, true, false, a quoted text, a date, a time or a URI")
        text = found[0]
        low, dots, _ = text.partition("..")
        if dots and (literal := self.literal(low)).kind != "string":
            self.at += len(low)
            return literal, False
        if text.startswith(".") or "==" in text or "~=" in text or "!=" in text:
            raise self.wrong("one value")
        self.at = found.end()
        return self.literal(text), False

    def literal(self, text: str) -> Literal:
        if text in ("true", "false"):
            return Literal("bool", text == "true")
        if _NUMBER.match(text):
            number: int | float = float(text) if re.search("[.eE]", text) else int(text) if len(text) < 309 else float("inf")
            if number in (float("inf"), float("-inf")):
                raise self.wrong("a number that can be kept")
            return Literal("number", number)
        if times.is_datetime(text):
            return Literal("datetime", times.border(times.parse(text))[:-1])
        if times.is_date(text):
            return Literal("date", text)
        if _FORMS["time"].match(text) and times.is_time(text):
            return Literal("time", _key(text))
        return Literal("string", text)

    def fitted(self, literal: Literal, path: Path) -> Literal:
        """The value as the target has it: times for time members, full names for types and where the request asks for it."""
        text = literal.value
        if path.member in TIME_MEMBERS:
            if literal.kind == "string" and isinstance(text, str):
                literal = self.literal(text)
            return Literal("datetime", f"{literal.value}T00:00:00") if literal.kind == "date" else literal
        if literal.kind == "string" and isinstance(text, str):
            if path.member == "objectType":
                return Literal("string", self.terms.expand_type(text))
            if path.names and path.names[0] in self.expanded:
                return Literal("string", self.terms.expand_vocab(text))
        return literal

    def pattern(self) -> Pattern:
        start = self.at
        if found := _QUOTED.match(self.text, self.at):
            # Only \" is undone: a pattern has backslashes of its own.
            source, self.at = found[0][1:-1].replace('\\"', '"'), found.end()
        else:
            depth = 0
            while self.at < len(self.text) and not (self.text[self.at] in ";" or (depth == 0 and self.text[self.at] in "|)")):
                depth += {"(": 1, ")": -1}.get(self.text[self.at], 0)
                self.at += 1
            source = self.text[start : self.at]
            if not source:
                raise self.wrong("a regular expression", start)
        try:
            return compile_pattern(source)
        except ValueError as error:
            raise bad_request(f"{self.where}: {error}") from error


def parse_q(text: str, terms: Terms, expand_values: Collection[str] = (), where: str = "q") -> Q:
    """A query, read with the names of an @context.

    Parameters
    ----------
    text           the query, URL-decoded
    terms          the @context
    expand_values  short names of attributes whose values are full names for short ones (parameter expandValues)
    where          how messages call the parameter: q, csf …

    Raises Problem: BadRequestData for what is not well formed, with the place and what was expected there; TooComplexQuery for more than
    MAX_TERMS terms, MAX_DEPTH parentheses or links in each other, or a text that is longer than anything a person writes.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> q = parse_q('(speed>50|rpm>3000);brand=="Mercedes";speed.unitCode=="KMH"', Plain())
    >>> car = {"ex:speed": [{"type": "Property", "value": 55, "unitCode": "KMH"}], "ex:brand": [{"type": "Property", "value": "Mercedes"}]}
    >>> q.matches(car), q.depth, sorted(q.attributes)
    (True, 0, ['ex:brand', 'ex:rpm', 'ex:speed'])
    """
    if half := _SURROGATE.search(limited(text, where)):
        raise wrong(where, text, half.start(), "a text without NUL and half characters")
    parser = _Parser(text, terms, expand_values, where)
    node = parser.either()
    if parser.at < len(text):
        raise parser.wrong("an operator, ; or |, or the end")
    return Q(text, node)
