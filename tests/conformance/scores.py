"""Results of one run of the suite: counted by area, kept in a file, compared with the run before.

In: one `Result` for each test. Out: a record (a plain dict, written as JSON), and lines of text for people.
A record keeps counts and the failing tests alone; a test that is not in it passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """One test that ran."""

    area: str
    file: str
    """name of its file without ending"""
    id: str
    passed: bool
    clauses: tuple[str, ...] = ()
    message: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """Names the test in a record; a few ids stand in two files."""
        return self.id if self.id.startswith(self.file) else f"{self.file}:{self.id}"


def clauses(tags: Iterable[str]) -> tuple[str, ...]:
    """The clauses of the standard among the tags of a test.

    >>> clauses(["5_6_1", "e-create", "since_v1.6.1", "6_3_4"])
    ('5.6.1', '6.3.4')
    """
    return tuple(tag.replace("_", ".") for tag in tags if re.fullmatch(r"\d+(_\d+)+", tag))


def first_line(message: str) -> str:
    r"""What a message says first, without the frame that several failures or a teardown put around it.

    >>> first_line("Several failures occurred:\n\n1) 201 != 404\n\n2) more")
    '201 != 404'
    """
    for line in message.splitlines():
        said = re.sub(r"^\d+\) ", "", line.strip())
        if said and not re.fullmatch(r"(Several failures occurred|(Parent suite )?(setup|teardown) failed):", said, re.IGNORECASE):
            return said[:240]
    return ""


def record(results: list[Result], about: dict[str, Any]) -> Record:
    """The record of a run; `about` says which suite, store and day."""
    areas: dict[str, dict[str, int]] = {}
    for one in results:
        area = areas.setdefault(one.area, {"tests": 0, "passed": 0})
        area["tests"] += 1
        area["passed"] += one.passed
    failing = {one.key: {"area": one.area, "clauses": list(one.clauses), "reason": first_line(one.message)} for one in results if not one.passed}
    totals = {"tests": len(results), "passed": sum(one.passed for one in results)}
    return {**about, **totals, "areas": areas, "failing": dict(sorted(failing.items()))}


@dataclass(frozen=True)
class Comparison:
    """A run beside the recorded one; only tests that ran now are compared."""

    newly_failing: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    areas: dict[str, tuple[int, int, int | None]] = field(default_factory=dict)
    """area → tests now, passed now, passed in the record (None where the record has no such area, or another number of tests)"""


def compare(results: list[Result], before: Record | None) -> Comparison:
    """What changed since the record; without one every failure is new.

    >>> old = record([Result("A", "001", "001_01", True), Result("A", "001", "001_02", False)], {})
    >>> found = compare([Result("A", "001", "001_01", False), Result("A", "001", "001_02", True)], old)
    >>> found.newly_failing, found.mended, found.areas
    (['001_01'], ['001_02'], {'A': (2, 1, 1)})
    """
    known = before["failing"] if before else {}
    failing = {one.key for one in results if not one.passed}
    now = record(results, {})["areas"]
    then = before["areas"] if before else {}
    areas = {}
    for area, count in now.items():
        old = then.get(area)
        areas[area] = (count["tests"], count["passed"], old["passed"] if old and old["tests"] == count["tests"] else None)
    ran = {one.key for one in results}
    return Comparison(sorted(failing - set(known)), sorted((ran & set(known)) - failing), areas)


def table(comparison: Comparison) -> list[str]:
    """Passes by area against the record, as lines."""
    lines = [f"{'area':<34}{'tests':>7}{'passed':>8}{'share':>9}{'recorded':>10}{'change':>8}"]
    for area, (tests, passed, before) in comparison.areas.items():
        change = "" if before is None else f"{passed - before:+d}"
        lines.append(f"{area:<34}{tests:>7}{passed:>8}{passed / tests:>8.1%} {'-' if before is None else before:>10}{change:>8}")
    return lines


def share(results: list[Result]) -> str:
    """Passed of all, in numbers and per cent."""
    passed = sum(one.passed for one in results)
    return f"{passed} of {len(results)}" + (f" ({passed / len(results):.2%})" if results else "")


def load(file: Path) -> Record | None:
    """The record in a file; None where there is none yet."""
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def save(file: Path, kept: Record) -> None:
    """Write a record."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", "utf-8")
