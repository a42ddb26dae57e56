"""An issue 地域課題 and the needs 要件 that follow from it."""

from __future__ import annotations

from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range
from kiban.records.source import Text


class Match(Record, frozen=True, kw_only=True):
    """A use case or model that the sentence may mean, with the words that matched and a score that only ranks."""

    id: str
    kind: Literal["usecase", "model"]
    words: tuple[str, ...]
    score: float


class Question(Record, frozen=True, kw_only=True):
    """A question whose answer changes the result; always skippable, 「わからない」 is an answer.

    changes  what the answer changes, in one sentence
    choices  (id, text) pairs; `default` is what is used when it is skipped, None: the design goes on without it
    """

    id: str
    text: Text
    changes: Text
    choices: tuple[tuple[str, Text], ...]
    default: str | None = None
    ask: Text | None = None  # who may know


class NearCase(Record, frozen=True, kw_only=True):
    """A case near to the sentence, and why."""

    id: str
    words: tuple[str, ...]
    score: float
    stopped: bool


class Issue(Record, frozen=True, kw_only=True):
    """A sentence, understood as far as the words go.

    status  matched: at least one use case, `model` names the best standard model and version
            no_model: it is about a region's service but no standard model fits; cases and whom to ask instead
            not_an_issue: no word of the field was found; asks for another sentence
    """

    sentence: str
    status: Literal["matched", "no_model", "not_an_issue"]
    usecases: tuple[Match, ...] = ()
    models: tuple[Match, ...] = ()
    cases: tuple[NearCase, ...] = ()
    questions: tuple[Question, ...] = ()
    answers: dict[str, str] = {}
    ask: tuple[Text, ...] = ()
    why: Text | None = None

    def __post_init__(self) -> None:
        if not self.sentence.strip() or len(self.sentence) > 2000:
            raise RecordError("issue", f"a sentence of {len(self.sentence)} characters", "1 to 2,000 characters", "write one sentence about the issue")
        for match in (*self.usecases, *self.models):
            check_range(f"match {match.id}", match.score, 0)
        if len(self.questions) > 5:
            raise RecordError("issue", f"{len(self.questions)} questions", "at most five", "keep those that change the answer")
