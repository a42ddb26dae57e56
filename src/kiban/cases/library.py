"""Which cases a reader is shown, and in which order.

In: the cases of the catalogue, words, a number of people. Out: the cases that fit, those that were stopped first, then the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kiban.cases.search import Search
from kiban.records.case import Case

WEIGHTS = (
    ("title", 3.0),
    ("issue", 2.0),
    ("solution", 2.0),
    ("field", 2.0),
    ("prefecture", 2.0),
    ("municipality", 2.0),
    ("failed", 1.5),
    ("lessons", 1.5),
    ("subsidy", 1.0),
)
ENOUGH = 0.3  # share of the best score that a case must have: with less it shares a common word at most
LIKE = 2.0  # a town like ours has between half and twice as many people


@dataclass(frozen=True)
class Found:
    """A case, and how many times as many people its town has; None where nobody knows or asked."""

    id: str
    case: Case
    times: float | None = None


class Library:
    """All cases of a catalogue.

    >>> Library({})("防災")
    []
    """

    def __init__(self, cases: Mapping[str, Case]) -> None:
        self.cases = dict(cases)
        self._search = Search({id: list(_fields(case)) for id, case in cases.items()})

    def __call__(self, words: str = "", people: int | None = None) -> list[Found]:
        """The cases that hold the words, of towns about as large; without either all. Stopped ones first, then the best, then the nearest in size."""
        if words.strip():
            hits = self._search(words)
            found = [Found(hit.id, self.cases[hit.id], self._times(hit.id, people)) for hit in hits if hit.score >= ENOUGH * hits[0].score]
        else:
            found = [Found(id, case, self._times(id, people)) for id, case in sorted(self.cases.items())]
        if people is not None:
            found = [one for one in found if one.times is not None and 1 / LIKE <= one.times <= LIKE]
            if not words.strip():
                found.sort(key=lambda one: abs(math.log(one.times or 1.0)))
        return sorted(found, key=lambda one: not one.case.stopped)

    def _times(self, id: str, people: int | None) -> float | None:
        there = self.cases[id].population_2015
        return None if not people or not there else there / people


def _fields(case: Case) -> Iterable[tuple[float, str]]:
    """The weighted texts of a case."""
    for name, weight in WEIGHTS:
        yield weight, getattr(case, name) or ""
    yield 2.0, " ".join(case.tags)
    yield 1.0, " ".join(part for part in (case.tech.device, case.tech.network, case.tech.middleware, case.tech.app) if part)
    yield 1.0, " ".join(text for one in case.outcomes for text in (one.indicator, one.note) if text)
