"""Which cases a reader is shown, and in which order.

In: the cases of the catalogue, the words of its use cases, words, a number of people. Out: the cases that fit, those that were stopped first, then the nearest.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kiban.cases.people import size_in
from kiban.cases.search import Hit, Search
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
SIZE = 6.0  # score of a town exactly as large as the words say: as much as two rare words
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

    def __init__(self, cases: Mapping[str, Case], subjects: Mapping[str, Iterable[str]] | None = None) -> None:
        """subjects: id of a use case → the words that people use for it; a case is found by those of its use cases, too."""
        self.cases = dict(cases)
        self._search = Search({id: list(fields(case)) for id, case in cases.items()}, {id: case.usecases for id, case in cases.items()})
        self._subjects = {id: frozenset(_plain(word) for word in words) for id, words in (subjects or {}).items()}

    def __call__(self, words: str = "", people: int | None = None) -> list[Found]:
        """The cases that hold the words, of towns about as large; without either all. Stopped ones first, then the best, then the nearest in size."""
        if words.strip():
            hits = self.ranked(words)
            found = [Found(hit.id, self.cases[hit.id], self._times(hit.id, people)) for hit in hits if hit.score >= ENOUGH * hits[0].score]
        else:
            found = [Found(id, case, self._times(id, people)) for id, case in sorted(self.cases.items())]
        if people is not None:
            found = [one for one in found if one.times is not None and 1 / LIKE <= one.times <= LIKE]
            if not words.strip():
                found.sort(key=lambda one: abs(math.log(one.times or 1.0)))
        return sorted(found, key=lambda one: not one.case.stopped)

    def ranked(self, words: str) -> list[Hit]:
        """The cases that hold something of the words or are about the same, best first, whether stopped or not.

        Words may state the size of a town (人口8千人): towns about as large go up.
        """
        rest, people = size_in(words)
        plain = _plain(rest)
        hits = self._search(rest, marks=[id for id, subject in self._subjects.items() if any(word in plain for word in subject)])
        if people is None:
            return hits
        score = {hit.id: hit.score for hit in hits}
        for id in self.cases:
            times = self._times(id, people)
            if times and 1 / LIKE < times < LIKE:
                score[id] = score.get(id, 0.0) + SIZE * (1.0 - abs(math.log(times, LIKE)))
        return [Hit(id, score[id]) for id in sorted(score, key=lambda id: (-score[id], id))]

    def _times(self, id: str, people: int | None) -> float | None:
        there = self.cases[id].population_2015
        return None if not people or not there else there / people


def _plain(text: str) -> str:
    """Without differences of width and case.

    >>> _plain("ＬＰＷＡ Ｗｉ－Ｆｉ")
    'lpwa wi-fi'
    """
    return unicodedata.normalize("NFKC", text).casefold()


def fields(case: Case) -> Iterable[tuple[float, str]]:
    """The weighted texts of a case."""
    for name, weight in WEIGHTS:
        yield weight, getattr(case, name) or ""
    yield 2.0, " ".join(case.tags)
    yield 1.0, " ".join(part for part in (case.tech.device, case.tech.network, case.tech.middleware, case.tech.app) if part)
    yield 1.0, " ".join(text for one in case.outcomes for text in (one.indicator, one.note) if text)
    yield 1.0, case.note or ""
