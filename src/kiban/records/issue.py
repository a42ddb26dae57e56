"""An issue 地域課題 and the needs 要件 that follow from it."""

from __future__ import annotations

from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range, check_unique
from kiban.records.source import Text
from kiban.records.usecase import SiteKind


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


class Concept(Record, frozen=True, kw_only=True):
    """Words of one meaning in a sentence about an issue, and the part they play in it.

    role  place: where, or what is affected · need: what does not work, or has to be done · setting: circumstances; they only rank
    """

    role: Literal["place", "need", "setting"]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(word.strip() for word in self.words) or not self.words:
            raise RecordError("concept", f"words {self.words}", "at least one word, none empty", "write the words that people use")


class IssueLimits(Record, frozen=True, kw_only=True):
    """Where understanding draws its lines; `bench` names the program whose figures set them.

    cover      share of the sentence's meaning (by weight) that a model must share, 0 to 1
    keep       a use case or model is kept when its score is at least this share of the best
    setting    weight of a circumstance beside a place or a need
    exact      weight of a word that stands in the sentence just as the use case writes it, beside a meaning
    near       the least likeness of a case that is shown, 0 to 1
    alike      cases with at least this share of the best likeness count as comparably near: among them the stopped ones come first
    town       the most that a like town can add to the likeness of a case
    """

    cover: float
    keep: float
    setting: float
    near: float
    alike: float
    town: float
    exact: float
    usecases: int
    models: int
    cases: int
    bench: str

    def __post_init__(self) -> None:
        for name in ("cover", "keep", "setting", "near", "alike", "town"):
            check_range(f"limits, {name}", getattr(self, name), 0, 1)
        check_range("limits, exact", self.exact, 0, 10)


class FormChoice(Record, frozen=True, kw_only=True):
    """One answer and what it changes.

    without        use cases that it takes out
    without_sites  kinds of place that it takes out of the design
    because        with this answer the model is the wrong one, and this is why
    """

    id: str
    text: Text
    without: tuple[str, ...] = ()
    without_sites: tuple[SiteKind, ...] = ()
    because: Text | None = None


class FormQuestion(Record, frozen=True, kw_only=True):
    """A question of the form: asked when one of `models` (ids without version) is the first model, not when `fact` is known already."""

    id: str
    text: Text
    changes: Text
    choices: tuple[FormChoice, ...]
    models: tuple[str, ...]
    default: str | None = None
    ask: Text | None = None
    fact: str | None = None

    def __post_init__(self) -> None:
        check_unique(f"question {self.id}, choices", (choice.id for choice in self.choices))
        if self.default is not None and self.default not in [choice.id for choice in self.choices]:
            raise RecordError(f"question {self.id}", f"default {self.default!r}", "the id of one of its choices, or nothing", "correct it")


class IssueForm(Record, frozen=True, kw_only=True):
    """The file `data/forms/issue.yaml`: the words of issues, the lines drawn, the questions, whom to ask, and what is said.

    ignore   names that hold a word of a concept without its meaning (川崎, 学校法人)
    talk     words of private talk: a place beside them is no issue
    which    the question between several models; its choices are the models themselves and `neither`
    ask      whom to ask where no model fits; `ask_town` names the town of a near case as {town} and its title as {title}
    """

    concepts: dict[str, Concept]
    ignore: tuple[str, ...]
    talk: tuple[str, ...]
    limits: IssueLimits
    which: Text
    which_changes: Text
    neither: Text
    questions: tuple[FormQuestion, ...]
    ask: tuple[Text, ...]
    ask_town: Text
    no_model: Text
    not_an_issue: Text

    def __post_init__(self) -> None:
        check_unique("questions", (question.id for question in self.questions))
