"""One sentence → the use cases and standard models that it may mean, with the words that matched.

In: the sentence, the catalogue's use cases, models, cases and offers, the form, answers and known facts. Out: an Issue, before any question is answered.
A model is named only when the sentence says both a place and a need that the model knows, and when that is most of what the sentence says.
Everything else ends with `no_model` or `not_an_issue`: a wrong plan costs a town more than no plan.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from kiban.base.kept import last_kept
from kiban.issue.likeness import near_cases, text_of
from kiban.issue.words import Hit, Lexicon, normal
from kiban.records.case import Case
from kiban.records.issue import FormChoice, Issue, IssueForm, Match, NearCase, Question
from kiban.records.model import StandardModel
from kiban.records.offer import Offer
from kiban.records.source import Text
from kiban.records.usecase import UseCase

WHICH = "which-model"  # the id of the question between models
NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class _Table:
    """What the catalogue's words mean, and how much each meaning tells."""

    lexicon: Lexicon
    usecases: dict[str, frozenset[str]]
    models: dict[str, frozenset[str]]
    weight: dict[str, float]
    spoken: dict[str, dict[str, float]]  # by use case: its words as written, with their weight


def newest(models: Mapping[str, StandardModel]) -> dict[str, StandardModel]:
    """The newest version of each model, by its key "id/version".

    >>> sorted(newest({"a/1": None, "a/10": None, "a/9": None, "b/1": None}))
    ['a/10', 'b/1']
    """
    last: dict[str, str] = {}
    for key in sorted(models, key=_version):
        last[key.partition("/")[0]] = key
    return {key: models[key] for key in sorted(last.values())}


def _version(key: str) -> tuple[int, str]:
    version = key.partition("/")[2]
    return (int(version) if version.isdigit() else 0, version)


@last_kept  # the catalogue is the same from sentence to sentence
def _table(form: IssueForm, usecases: Mapping[str, UseCase], models: Mapping[str, StandardModel], cases: Mapping[str, Case]) -> _Table:
    """Meanings of every use case and model, and their weights: rare meanings tell more (IDF over use cases, models and cases)."""
    models = newest(models)
    of_usecase = {id: (usecase.name.ja, *usecase.words) for id, usecase in usecases.items()}
    of_model = {key: (model.name.ja, *model.words) for key, model in models.items()}
    lexicon = Lexicon(form)
    lexicon.learn(word for words in (*of_model.values(), *of_usecase.values()) for word in words[1:])

    def told(words: Iterable[str]) -> frozenset[str]:
        """What words mean, of those that are explained at least by half: 老朽化した配線 is not about ageing as such."""
        meanings: set[str] = set()
        for word in words:
            hits = lexicon.find(word)
            if 2 * len({i for hit in hits for i in hit.letters}) >= len(normal(word)):
                meanings.update(hit.concept for hit in hits)
        return frozenset(meanings)

    usecase_meanings = {id: told(words) for id, words in of_usecase.items()}
    # A model serves every place of its use cases, and their special words are not foreign to it; what it does is in its own words only.
    places = {id: frozenset(concept for concept in found if lexicon.roles.get(concept, "place") == "place") for id, found in usecase_meanings.items()}
    model_meanings = {key: told(of_model[key]).union(*(places[id] for id in model.usecases if id in places)) for key, model in models.items()}
    documents = [
        *usecase_meanings.values(),
        *model_meanings.values(),
        *(frozenset(hit.concept for hit in lexicon.find(text_of(case))) for case in cases.values() if case.kind == "project"),
    ]
    weight = {concept: value * _factor(lexicon, concept, form) for concept, value in _rarity(documents, lexicon.roles).items()}

    spoken = {id: frozenset(normal(word) for word in usecase.words) for id, usecase in usecases.items()}
    exact = _rarity(list(spoken.values()), ())
    return _Table(lexicon, usecase_meanings, model_meanings, weight, {id: {word: exact[word] for word in words} for id, words in spoken.items()})


def _rarity(documents: list[frozenset[str]], known: Iterable[str]) -> dict[str, float]:
    """Inverse document frequency ln((1 + N) / (1 + n)) + 1, of what is known and what occurs."""
    seen = Counter(feature for document in documents for feature in document)
    return {feature: math.log((1 + len(documents)) / (1 + seen[feature])) + 1 for feature in {*known, *seen}}


def _factor(lexicon: Lexicon, concept: str, form: IssueForm) -> float:
    return form.limits.setting if lexicon.roles.get(concept) == "setting" else 1.0


def _models(hits: tuple[Hit, ...], usecases: dict[str, float], served: Mapping[str, StandardModel], table: _Table, form: IssueForm) -> list[Match]:
    """The models that fit, by the weight of the meanings that they share with the sentence and the score of their best use case, the best first.

    Together they must share most of what is said: a sentence may speak of two issues, but not mostly of something else.
    """
    said = frozenset(hit.concept for hit in hits)
    weight = {concept: table.weight[concept] for concept in said if _role(table, concept) != "setting"}
    shared = {id: said & meanings for id, meanings in table.models.items() if _says_place_and_need(table, meanings, said & meanings)}
    together = frozenset(concept for common in shared.values() for concept in common)
    if sum(weight.get(concept, 0.0) for concept in together) < form.limits.cover * sum(weight.values()):
        return []

    total = sum(table.weight[concept] for concept in said)
    found = []
    for id, common in shared.items():
        amount = sum(table.weight[concept] for concept in common)
        score = amount * amount / total + max((usecases.get(usecase, 0.0) for usecase in served[id].usecases), default=0.0)
        found.append(Match(id=id, kind="model", words=_words(hits, common), score=round(score, 4)))
    return _best(found, form.limits.keep)


def _usecases(sentence: str, hits: tuple[Hit, ...], table: _Table, form: IssueForm) -> list[Match]:
    """Use cases by their own words as written, and by the meanings that they share with the sentence, the best first."""
    text = normal(sentence)
    said = {hit.concept for hit in hits if _role(table, hit.concept) != "setting"}
    found = []
    for id, meanings in table.usecases.items():
        shared = said & meanings
        exact = [word for word in table.spoken[id] if word in text]
        exact = sorted(word for word in exact if not any(word in other for other in exact if other != word))
        if not shared and not exact:
            continue
        amount = sum(table.weight[concept] for concept in shared) + form.limits.exact * sum(table.spoken[id][word] for word in exact)
        # Of two that share the same meanings, the one with fewer others is the more exact.
        score = amount + 1 / (1 + len(meanings))
        found.append(Match(id=id, kind="usecase", words=tuple(dict.fromkeys((*exact, *_words(hits, shared)))), score=round(score, 4)))
    return _best(found, form.limits.keep)


def _words(hits: tuple[Hit, ...], shared: Set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.words for hit in hits if hit.concept in shared))


def _best(found: list[Match], keep: float) -> list[Match]:
    found.sort(key=lambda match: (-match.score, match.id))
    return [match for match in found if match.score >= keep * found[0].score]


def _role(table: _Table, concept: str) -> str | None:
    return table.lexicon.roles.get(concept)


def _says_place_and_need(table: _Table, meanings: frozenset[str], shared: frozenset[str]) -> bool:
    """A place and a need of the model are said.

    A word that only a data file knows stands for either, where the model has no place or no need of a known kind; then two such are needed.
    """
    roles = {role: {concept for concept in meanings if _role(table, concept) == role} for role in ("place", "need")}
    if roles["place"] and roles["need"]:
        return bool(roles["place"] & shared and roles["need"] & shared)
    return sum(_role(table, concept) != "setting" for concept in shared) > 1


def _questions(
    form: IssueForm, models: list[Match], choices: Mapping[str, StandardModel], answers: Mapping[str, str], facts: Mapping[str, str | float]
) -> list[Question]:
    """What would change the answer and is not known yet; between models first."""
    asked: list[Question] = []
    if len(models) > 1 and WHICH not in answers:
        options = [(match.id, choices[match.id].name) for match in models]
        asked.append(Question(id=WHICH, text=form.which, changes=form.which_changes, choices=(*options, (NEITHER, form.neither)), default=models[0].id))
    first = models[0].id.partition("/")[0] if models else ""
    for question in form.questions:
        if first in question.models and question.id not in answers and not (question.fact and question.fact in facts):
            options = [(choice.id, choice.text) for choice in question.choices]
            asked.append(
                Question(id=question.id, text=question.text, changes=question.changes, choices=tuple(options), default=question.default, ask=question.ask)
            )
    return asked[:5]


def _given(form: IssueForm, answers: Mapping[str, str], model: str) -> list[FormChoice]:
    """The choices that were made in questions about a model (its id without version)."""
    return [choice for question in form.questions if model in question.models for choice in question.choices if answers.get(question.id) == choice.id]


def left_out(form: IssueForm, answers: Mapping[str, str], model: str) -> tuple[frozenset[str], frozenset[str]]:
    """Use cases and kinds of place that the answers take out of a design after this model ("id" or "id/version").

    >>> from kiban.issue.example import form
    >>> left_out(form, {"which-places": "no-shelter"}, "shelter/1")
    (frozenset({'shelter'}), frozenset({'shelter'}))
    """
    choices = _given(form, answers, model.partition("/")[0])
    return frozenset(id for choice in choices for id in choice.without), frozenset(kind for choice in choices for kind in choice.without_sites)


def _ask(form: IssueForm, usecases: list[Match], near: tuple[NearCase, ...], cases: Mapping[str, Case], offers: Mapping[str, Offer]) -> tuple[Text, ...]:
    """Whom to ask: those who offer something for these use cases, the town of the nearest running case, and who always knows."""
    wanted = {match.id for match in usecases}
    asks = [offer.ask for _, offer in sorted(offers.items()) if wanted & set(offer.usecases)]
    for found in near:
        case = cases[found.id]
        town = case.municipality or case.prefecture
        if town and not found.stopped:
            names = {"town": town, "title": case.title}
            asks.append(Text(ja=form.ask_town.ja.format(**names), en=form.ask_town.en.format(**names)))
            break
    return tuple(dict.fromkeys((*asks, *form.ask)))


def understand(
    sentence: str,
    *,
    usecases: Mapping[str, UseCase],
    models: Mapping[str, StandardModel],
    cases: Mapping[str, Case],
    form: IssueForm,
    answers: Mapping[str, str] | None = None,
    facts: Mapping[str, str | float] | None = None,
    offers: Mapping[str, Offer] | None = None,
) -> Issue:
    """What a sentence about a local issue may mean.

    Parameters
    ----------
    sentence  Japanese, 1 to 2,000 characters
    usecases  by id
    models    by "id/version"; only the newest version of each is offered
    cases     by id
    form      `data/forms/issue.yaml`: words, limits, questions, whom to ask
    answers   choice by question id; unknown ids and 「わからない」 change nothing
    facts     what the region's files tell, by name; "population" and "fiscal_index" help to find like towns
    offers    by id; they name whom to ask

    Returns
    -------
    Issue: `matched` with at least one model, the best first · `no_model` with near cases and whom to ask · `not_an_issue`

    Raises
    ------
    RecordError  the sentence is empty or too long

    >>> from kiban.issue.example import form, usecases, models, cases
    >>> issue = understand("避難所の電話がつながらない", usecases=usecases, models=models, cases=cases, form=form)
    >>> issue.status, issue.models[0].id, issue.models[0].words
    ('matched', 'shelter/1', ('避難所', '電話…つなが'))
    >>> understand("カレーの作り方", usecases=usecases, models=models, cases=cases, form=form).status
    'not_an_issue'
    """
    answers, facts, limits = answers or {}, facts or {}, form.limits
    table = _table(form, usecases, models, cases)
    current = newest(models)
    hits = table.lexicon.find(sentence)

    meant = _usecases(sentence, hits, table, form)
    fitting = _models(hits, {match.id: match.score for match in meant}, current, table, form)[: limits.models]
    chosen = answers.get(WHICH)
    if chosen == NEITHER:
        fitting = []
    elif chosen in [match.id for match in fitting]:
        fitting.sort(key=lambda match: match.id != chosen)
    first = fitting[0].id.partition("/")[0] if fitting else ""
    refused = next((choice.because for choice in _given(form, answers, first) if choice.because), None)
    out, _ = left_out(form, answers, first)
    meant = [match for match in meant if match.id not in out][: limits.usecases]
    about = bool(fitting) or _is_about_a_region(sentence, hits, table, form)
    if refused is not None:
        fitting = []

    near = near_cases(sentence, cases, form=form, facts=facts, models=(first,), lexicon=table.lexicon) if about else ()
    if not about:
        return Issue(sentence=sentence, status="not_an_issue", answers=dict(answers), why=form.not_an_issue)
    return Issue(
        sentence=sentence,
        status="matched" if fitting else "no_model",
        usecases=tuple(meant),
        models=tuple(fitting),
        cases=near,
        questions=tuple(_questions(form, fitting, current, answers, facts)),
        answers=dict(answers),
        ask=() if fitting else _ask(form, meant, near, cases, offers or {}),
        why=None if fitting else refused or form.no_model,
    )


def _is_about_a_region(sentence: str, hits: tuple[Hit, ...], table: _Table, form: IssueForm) -> bool:
    """A need is said, or a place that is not merely the scene of private talk."""
    firm = [hit for hit in hits if _role(table, hit.concept) != "setting"]
    private = any(normal(word) in normal(sentence) for word in form.talk)
    return any(_role(table, hit.concept) != "place" for hit in firm) or (bool(firm) and not private)
