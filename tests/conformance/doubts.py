"""The tests that a copy of the suite itself holds to be doubtful: which ids does its `testsuite-doubts.md` name?

In: the text of that file. Out: patterns of test ids, each with the first line that names it and whether a heading does.
An id is letters and digits in groups, such as 019_11_01 or D011_02_exc_01. Names of several tests are understood:
a range (020_17_0[1-3], 019_11_01..08), a family (D011_01_*, 059_01_xx, or the id of a test file, which stands for the tests in it),
and further last groups behind a slash (051_04_02/03, D012_01_inc / _red).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAIL = r"(?:\d\d|inc|exc|red|aux|xx|\*|\d\[\d-\d\])"
_ID = re.compile(rf"(?<![\w.-])(?P<id>D?\d{{3,4}}(?:_{_TAIL})+)(?P<to>\.\.(?P<last>\d\d))?(?P<more>(?:\s*/\s*_?{_TAIL}(?:_{_TAIL})*(?![\w.*]))*)")


@dataclass(frozen=True)
class Named:
    """One id or family of ids that the file names."""

    pattern: str
    """a regular expression that the whole id of a test must match"""
    written: str
    """how the file writes it"""
    line: int
    """the first line that names it, from 1"""
    heading: bool
    """whether a heading names it"""


def _expression(written: str, last: str | None) -> str:
    """The regular expression of one id as written; a shorter id stands for all longer ones that begin with it."""
    groups = written.split("_")
    if last is not None:
        first = int(groups.pop())
        numbers = "|".join(f"{number:02d}" for number in range(first, int(last) + 1))
        return "_".join(groups) + f"_(?:{numbers})(?:_\\w+)?"
    while groups[-1] in ("*", "xx"):
        groups.pop()
    return "_".join(groups) + r"(?:_\w+)?"


def named(text: str) -> list[Named]:
    r"""Every id or family of ids in the text, each once, in the order of the lines.

    A family of a whole chapter (021_*) is passed over: it says nothing about one test.

    >>> [(one.written, one.heading) for one in named("## 1. `020_17_0[1-3]`\nand 051_04_02/03, 021_*")]
    [('020_17_0[1-3]', True), ('051_04_02', False), ('051_04_03', False)]
    """
    found: dict[str, Named] = {}
    for number, line in enumerate(text.splitlines(), 1):
        heading = line.startswith("#")
        for hit in _ID.finditer(line):
            written = hit["id"]
            for whole in [written, *_further(written, hit["more"])]:
                if len([group for group in whole.split("_") if group not in ("*", "xx")]) < 2:
                    continue
                last = hit["last"] if whole == written else None
                expression = _expression(whole, last)
                known = found.get(expression)
                if known is None or (heading and not known.heading):
                    shown = whole + (hit["to"] or "" if last else "")
                    found[expression] = Named(expression, shown, known.line if known else number, heading)
    return list(found.values())


def _further(written: str, more: str) -> list[str]:
    """The ids behind slashes, whose last groups stand in place of the last ones of the first id."""
    groups = written.split("_")
    tails = [tail for tail in (part.strip().strip("_") for part in more.split("/")) if tail]
    return ["_".join([*groups[: max(1, len(groups) - len(tail.split("_")))], tail]) for tail in tails]


def reason(test: str, names: list[Named], *, headings: bool) -> Named | None:
    """What names this test; with `headings` only what stands in a heading.

    >>> reason("020_17_02", named("## `020_17_0[1-3]`"), headings=True).line
    1
    >>> reason("020_17_04", named("## `020_17_0[1-3]`"), headings=True) is None
    True
    """
    for name in names:
        if (name.heading or not headings) and re.fullmatch(name.pattern, test):
            return name
    return None
