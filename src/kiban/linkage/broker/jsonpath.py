"""Queries as SQL/JSON paths, so that PostgreSQL answers them where the entities are.

`to_jsonpath(q)` gives a predicate for entities in the internal form, stored as jsonb, with the same answers as `q.matches`:

    WHERE jsonb_path_match(doc, %s::jsonpath, %s::jsonb, true)

A document that the predicate cannot be decided for gives NULL, which WHERE takes as no. The paths are strict: a lax one would look into
arrays where the standard does not. Values come as variables, names and patterns are written into the path with the escapes of JSON.
"""

from __future__ import annotations

import json
from typing import Any, Final

from kiban.linkage.broker.query import FORMS, OBJECTS, VALUES, And, Between, Compare, Exists, Linked, Literal, Node, Or, Path, Points, Q, ScopeQ, TypeQ
from kiban.linkage.broker.selection import scope_pattern

Jsonpath = tuple[str, dict[str, Any]]
_TRUE: Final = "(1 == 1)"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _not(predicate: str, here: str = "@") -> str:
    """True where the predicate is false or cannot be decided (there is no such member, another type): a filter lets neither through."""
    return f"!exists({here} ? ({predicate}))"


def _like(pattern: str, ignore_case: bool = False) -> str:
    return f'@ like_regex {_quoted(pattern)} flag "{"is" if ignore_case else "s"}"'


class _Writer:
    def __init__(self, weaken: bool, lean: bool) -> None:
        self.weaken, self.lean = weaken, lean
        self.variables: dict[str, Any] = {}

    def variable(self, value: Any) -> str:
        name = f"v{len(self.variables)}"
        self.variables[name] = value
        return "$" + name

    def node(self, node: Node) -> str:
        match node:
            case And() | Or():
                return "(" + (" && " if isinstance(node, And) else " || ").join(self.node(part) for part in node.parts) + ")"
            case Linked():
                # Asked for only where a weaker condition is welcome.
                return _TRUE if node.negated else self.instances("$", (node.name,), "")
            case Points():
                one = f"@ == {self.variable(list(node.ids))}[*]"
                points = self.instances("$", (node.name,), self.some([f"@.{member}" for member in OBJECTS], f"({one}) || exists(@[*] ? ({one}))"))
                return _not(points, "$") if node.negated else points
            case Exists():
                there = self.instances("$", node.path.names, self.target(node.path) if node.path.member is not None or node.path.trail else "")
                return _not(there, "$") if node.negated else there
            case _:
                return self.instances("$", node.path.names, self.member(node, node.path.member) if node.path.member is not None else self.value(node))

    def instances(self, holder: str, names: tuple[str, ...], condition: str) -> str:
        """Some instance at the end of the names meets the condition, which speaks of @; an empty condition is met by any."""
        if not names:
            return f"exists({holder} ? ({condition}))"
        condition = self.instances("@", names[1:], condition) if len(names) > 1 else condition
        test = f" ? ({condition})" if condition else ""
        listed = f"exists({holder}.{_quoted(names[0])}[*]{test})"
        return (
            f'({listed} || exists({holder}.{_quoted(names[0])} ? (@.type() == "object"{f" && ({condition})" if condition else ""})))' if self.lean else listed
        )

    def places(self, path: Path, objects: bool) -> list[str]:
        """Where an instance @ may keep its target."""
        trail = "".join("." + _quoted(step) for step in path.trail)
        found = [f"@.{member}{trail}" for member in VALUES]
        if not path.trail or path.trail == ("*",):
            found.append("@.languageMap.*")
        elif len(path.trail) == 1:
            found.append(f"@.languageMap{trail}")
        if objects and not path.trail:
            found += [f"@.{member}" for member in OBJECTS]
        return found

    def target(self, path: Path) -> str:
        if path.member is not None:
            return f"exists(@.{path.member})"
        return self.some(self.places(path, False))

    @staticmethod
    def some(places: list[str], condition: str = "") -> str:
        return "(" + " || ".join(f"exists({place}{f' ? ({condition})' if condition else ''})" for place in places) + ")"

    def single(self, literal: Literal, op: str) -> str:
        """@ stands in the relation to the literal."""
        if literal.kind == "bool":
            return f"@ == {'true' if literal.value else 'false'}"
        if literal.kind in ("number", "string"):
            return f"@ {op} {self.variable(literal.value)}"
        # The form last: a regular expression costs more than a comparison.
        return f"({self.moment(str(literal.value), op)} && {_like(f'^{FORMS[literal.kind]}$')})"

    def moment(self, key: str, op: str) -> str:
        """@, a text of the form of a time, stands in the relation to a key (a time without Z and without zeros at the end).

        Such texts order like times, but for the signs behind a shorter fraction: 05Z and 05.1Z come before 05.12Z.
        """
        second, _, fraction = key.partition(".")
        body = second.replace("-", r"\-").replace(":", r"\:")
        same = _like(rf"^{body}\.{fraction}0*Z?$" if fraction else rf"^{body}(\.0+)?Z?$")
        equal = f"(@ starts with {_quoted(second)} && {same})"
        before = f"@ < {self.variable(key)}"
        if fraction:
            shorter = "".join(f"({digit}" for digit in fraction[:-1]) + ")?" * (len(fraction) - 1)
            earlier = _like(rf"^{body}(\.{shorter}0*)?Z?$")
            before = f"({before} || (@ starts with {_quoted(second)} && {earlier}))"
        return {
            "==": equal,
            "<": f"({before} && !({equal}))",
            "<=": f"({before} || {equal})",
            ">": f"(!({before}) && !({equal}))",
            ">=": f"(!({before}) || {equal})",
        }[op]

    @staticmethod
    def typed(condition: str) -> str:
        """@ meets the condition, or what a typed value @ holds does."""
        return f'({condition} || exists(@."@value" ? ({condition})))'

    def equals(self, values: tuple[Literal, ...]) -> str:
        one = self.typed("(" + " || ".join(self.single(value, "==") for value in values) + ")")
        return f'({one} || exists(@[*] ? ({one})) || exists(@."@value"[*] ? ({one})))'

    def value(self, term: Compare | Between) -> str:
        """@, an instance, meets the term."""
        everywhere, values = self.places(term.path, True), self.places(term.path, False)
        if isinstance(term, Between):
            within = self.some(values, self.typed(f"({self.single(term.low, '>=')} && {self.single(term.high, '<=')})"))
            return f"{self.some(everywhere)} && {_not(within)}" if term.negated else within
        if term.pattern is not None:
            like = self.some(values, self.typed(_like(term.pattern.sql, term.pattern.ignore_case)))
            texts = self.some(values, self.typed('@.type() == "string"'))
            return like if term.op == "~=" else f"{texts} && {_not(like)}"
        if term.op in ("==", "!="):
            equal = self.some(everywhere, self.equals(term.values))
            return equal if term.op == "==" else f"{self.some(everywhere)} && {_not(equal)}"
        return self.some(values, self.typed(self.single(term.values[0], term.op)))

    def member(self, term: Compare | Between, member: str) -> str:
        """@, an instance or the entity, meets the term about one of its system members."""
        if isinstance(term, Between):
            within = f"exists(@.{member} ? ({self.single(term.low, '>=')} && {self.single(term.high, '<=')}))"
            return f"exists(@.{member}) && {_not(within)}" if term.negated else within
        if term.pattern is not None:
            like = _like(term.pattern.sql, term.pattern.ignore_case)
            return f"exists(@.{member} ? ({like if term.op == '~=' else f'!({like})'}))"
        if term.op in ("==", "!="):
            equal = f"exists(@.{member} ? ({self.equals(term.values)}))"
            return equal if term.op == "==" else f"exists(@.{member}) && {_not(equal)}"
        return f"exists(@.{member} ? ({self.single(term.values[0], term.op)}))"


def _linked(node: Node) -> bool:
    return any(_linked(part) for part in node.parts) if isinstance(node, And | Or) else isinstance(node, Linked)


def to_jsonpath(q: Q, weaken: bool = False, lean: bool = False) -> Jsonpath | None:
    """A query as the text of a jsonpath predicate and its variables; None if it follows links to other entities (see
    `query.unlink`).

    With `weaken`, links are replaced by conditions that each match meets (the Relationship is there), so that a candidate still needs
    `q.matches`. With `lean`, an attribute may also be one instance instead of a list of them.

    >>> from kiban.linkage.broker.query import parse_q
    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> to_jsonpath(parse_q("speed", Plain()))
    ('strict exists($."ex:speed"[*])', {})
    """
    if _linked(q.node) and not weaken:
        return None
    writer = _Writer(weaken, lean)
    return "strict " + writer.node(q.node), writer.variables


def types_jsonpath(types: TypeQ) -> Jsonpath:
    """A selection of types as a jsonpath predicate over entities (or over any document with a list `type`).

    >>> from kiban.linkage.broker.query import parse_types
    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> types_jsonpath(parse_types("A;B", Plain()))
    ('strict (exists($.type[*] ? (@ == $v0)) && exists($.type[*] ? (@ == $v1)))', {'v0': 'ex:A', 'v1': 'ex:B'})
    """
    if types.wildcard:
        return f"strict {_TRUE}", {}
    writer = _Writer(False, False)
    found = ["(" + " && ".join(f"exists($.type[*] ? (@ == {writer.variable(name)}))" for name in each) + ")" for each in types.alternatives]
    return "strict " + " || ".join(found), writer.variables


def scope_jsonpath(scopes: ScopeQ) -> Jsonpath:
    """A selection by scope as a jsonpath predicate over entities.

    >>> from kiban.linkage.broker.query import parse_scope
    >>> scope_jsonpath(parse_scope("/a/#"))[0]
    'strict (exists($.scope[*] ? (@ like_regex "^/a(/.*)?$" flag "s")))'
    """
    found = ["(" + " && ".join(f"exists($.scope[*] ? ({_like(scope_pattern(scope))}))" for scope in each) + ")" for each in scopes.alternatives]
    return "strict " + " || ".join(found), {}
