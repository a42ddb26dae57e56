"""YAML text as a tree that knows its lines.

In: the text of one data file. Out: nodes with value and line, or every problem of the text. What a value means is `convert`'s matter.
Safe by construction: no tags, no anchors or aliases, no duplicate keys, one document, bounded depth. Plain scalars follow the core schema of
YAML 1.2, so that `no` is a word and 2026-11-23 stays as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from kiban.base.errors import DataFileError

MAX_DEPTH = 40
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,24}$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]{0,24}(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?$")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it

Value = str | int | float | bool | None


@dataclass(slots=True)
class Node:
    """One value with its line (from 1): a scalar (`text` as written), a mapping (`items`) or a list (`parts`)."""

    line: int
    value: Value = None
    text: str = ""
    items: dict[str, Node] | None = None
    parts: list[Node] | None = None
    lines: dict[str, int] = field(default_factory=dict)  # line of each key


def scalar(text: str, plain: bool) -> Value:
    """What a scalar says; quoted ones are always text.

    >>> scalar("1_000", True), scalar("1e6", True), scalar("no", True), scalar("~", True), scalar("1", False)
    (1000, 1000000.0, 'no', None, '1')
    """
    if not plain:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if _INTEGER.match(text):
        return int(text.replace("_", ""))
    if _FLOAT.match(text):
        return float(text.replace("_", ""))
    return text


class _Builder:
    """Puts parse events together without recursion."""

    def __init__(self, label: str, problems: list[DataFileError]) -> None:
        self.label, self.problems = label, problems
        self.stack: list[tuple[Node, str | None]] = []
        self.root: Node | None = None

    def problem(self, line: int, found: str, fits: str, step: str) -> None:
        self.problems.append(DataFileError(f"{self.label}:{line}", found, fits, step))

    def put(self, node: Node) -> None:
        """Hang a finished or opened node under the open collection."""
        if not self.stack:
            self.root = node
            return
        parent, key = self.stack[-1]
        if parent.parts is not None:
            parent.parts.append(node)
        elif key is None:
            self.put_key(parent, node)
        else:
            if parent.items is not None and key not in parent.items:
                parent.items[key] = node
            self.stack[-1] = (parent, None)

    def put_key(self, parent: Node, node: Node) -> None:
        if node.items is not None or node.parts is not None:
            self.problem(node.line, "a list or mapping as a key", "a word", "write the key as a plain word; quote texts that begin with { or [")
            key = f"\0{node.line}"
        else:
            key = node.text
        if key in parent.lines:
            self.problem(node.line, f"key {key!r} twice (first in line {parent.lines[key]})", "each key once", "delete or rename one of them")
        else:
            parent.lines[key] = node.line
        self.stack[-1] = (parent, key)


def read_tree(text: str, label: str, problems: list[DataFileError]) -> Node | None:
    """The tree of one file; problems are appended, and None is returned when there is no tree to go on with.

    >>> problems = []
    >>> read_tree("name: {ja: 光, en: fibre}", "x.yaml", problems).items["name"].items["ja"].value
    '光'
    >>> read_tree("a: 1\\na: 2", "x.yaml", problems) and str(problems[0])
    "x.yaml:2: found key 'a' twice (first in line 1); expected each key once. Next: delete or rename one of them"
    """
    builder = _Builder(label, problems)
    documents = 0
    line = 1
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark is not None else line
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                builder.problem(line, "an anchor or alias (& or *)", "values written out", "write the value again, or quote a text that begins with & or *")
                return None
            tag = getattr(event, "tag", None)
            if tag is not None:
                builder.problem(line, f"the tag {tag}", "no tags", "remove it, or quote a text that begins with !")
                return None
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    builder.problem(line, "a second document", "one document", "remove the line '---', or make a file of its own")
                    return None
            elif isinstance(event, yaml.ScalarEvent):
                plain = event.style in (None, "")
                builder.put(Node(line, scalar(event.value, plain), event.value))
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(builder.stack) >= MAX_DEPTH:
                    builder.problem(line, f"more than {MAX_DEPTH} levels", "a flat file", "close the brackets")
                    return None
                node = Node(line, items={}) if isinstance(event, yaml.MappingStartEvent) else Node(line, parts=[])
                builder.put(node)
                builder.stack.append((node, None))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                builder.stack.pop()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = mark.line + 1 if mark is not None else line
        found = getattr(error, "problem", None) or str(error).splitlines()[0]
        step = "indent with spaces, and put texts that hold ': ' or ' #' or begin with a sign into quotes"
        builder.problem(where, f"text that is not YAML ({found})", "key: value lines", step)
        return None
    if builder.root is None:
        builder.problem(1, "an empty file", "the fields of its kind", "`kiban catalogue new KIND ID` writes a commented one")
    return builder.root
