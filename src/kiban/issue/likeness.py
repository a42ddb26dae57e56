"""How near a case is to a sentence: TF-IDF of letters and concepts, learned from the cases themselves.

In: the sentence, the cases, the concepts, and what is known of the town. Out: near cases, stopped ones first among those comparably near.
A case is found by its words; a like town (population, 財政力指数) only adds a little.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from kiban.base.kept import last_kept
from kiban.issue.words import Lexicon, bigrams, common_runs
from kiban.records.case import Case
from kiban.records.issue import IssueForm, NearCase

# A concept counts like this many pairs of letters: a meaning says more than its spelling.
CONCEPT_PAIRS = 4.0


def text_of(case: Case) -> str:
    """What a case is about, the issue twice because it is what a sentence is compared with."""
    parts = (case.title, case.issue, case.issue, case.solution, case.failed, case.tech.app, case.note if case.kind == "audit" else None)
    return "。".join(part for part in parts if part)


def features(text: str, lexicon: Lexicon, setting: float) -> Counter[str]:
    """Counts of letter pairs and concepts; circumstances weigh `setting` of a concept."""
    counts: Counter[str] = Counter()
    for pair in bigrams(text):
        counts[pair] += 1
    for hit in lexicon.find(text):
        counts[f"#{hit.concept}"] += CONCEPT_PAIRS * (setting if lexicon.roles.get(hit.concept) == "setting" else 1.0)  # type: ignore[assignment]
    return counts


@last_kept  # the catalogue is the same from sentence to sentence
def _documents(cases: Mapping[str, Case], lexicon: Lexicon, form: IssueForm) -> tuple[dict[str, Counter[str]], dict[str, float]]:
    """The features of each case, and how rare each is."""
    documents = {id: features(text_of(case), lexicon, form.limits.setting) for id, case in cases.items() if case.kind != "pattern"}
    return documents, rarity(documents)


def rarity(documents: Mapping[str, Counter[str]]) -> dict[str, float]:
    """Inverse document frequency ln((1 + N) / (1 + n)) + 1 of every feature (smoothed as in Salton & Buckley 1988)."""
    seen = Counter(feature for document in documents.values() for feature in document)
    return {feature: math.log((1 + len(documents)) / (1 + count)) + 1 for feature, count in seen.items()}


def cosine(one: Counter[str], other: Counter[str], weight: Mapping[str, float]) -> float:
    """Cosine of two weighted counts with log-damped frequencies; 0 when they share nothing.

    >>> cosine(Counter("ab"), Counter("ab"), {"a": 1.0, "b": 2.0})
    1.0
    """

    def vector(counts: Counter[str]) -> dict[str, float]:
        return {feature: math.log1p(count) * weight.get(feature, 1.0) for feature, count in counts.items()}

    left, right = vector(one), vector(other)
    length = math.sqrt(sum(x * x for x in left.values()) * sum(x * x for x in right.values()))
    return min(1.0, sum(x * right[feature] for feature, x in left.items() if feature in right) / length) if length else 0.0


def town_likeness(case: Case, facts: Mapping[str, str | float]) -> float:
    """How alike two towns are, 0 to 1: half for the population on a log scale (tenfold apart: 0), half for 財政力指数 (0.5 apart: 0).

    A value that is unknown on either side counts as not alike.

    >>> from datetime import date
    >>> case = Case(kind="project", title="x", population_2015=8000, fiscal_index=0.2, confidence="A", seen_on=date(2026, 11, 23))
    >>> town_likeness(case, {"population": "8000", "fiscal_index": "0.2"}), town_likeness(case, {})
    (1.0, 0.0)
    """
    likeness = 0.0
    population, fiscal = _number(facts.get("population")), _number(facts.get("fiscal_index"))
    if population and case.population_2015:
        likeness += max(0.0, 1 - abs(math.log10(population / case.population_2015))) / 2
    if fiscal is not None and case.fiscal_index is not None:
        likeness += max(0.0, 1 - abs(fiscal - case.fiscal_index) / 0.5) / 2
    return likeness


def _number(text: str | float | None) -> float | None:
    try:
        value = None if text is None or text == "" else float(text)
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def near_cases(
    sentence: str,
    cases: Mapping[str, Case],
    *,
    form: IssueForm,
    facts: Mapping[str, str | float] | None = None,
    models: tuple[str, ...] = (),
    lexicon: Lexicon | None = None,
) -> tuple[NearCase, ...]:
    """Cases near to a sentence, nearest first, but stopped ones before others that are comparably near.

    Parameters
    ----------
    sentence  Japanese, one or more sentences
    cases     by id; patterns are left out, they are no cases
    form      words and limits
    facts     what is known of the town: "population" (people) and "fiscal_index" (財政力指数) are used
    models    ids without version of the models that fit: their cases are near even where the words differ
    lexicon   the concepts, where they are at hand already

    >>> from kiban.issue.example import form, cases
    >>> [near.id for near in near_cases("バスが減って病院に行けない", cases, form=form)]
    ['taxi-stopped', 'taxi']
    """
    facts, limits, lexicon = facts or {}, form.limits, lexicon or Lexicon(form)
    real = {id: case for id, case in sorted(cases.items()) if case.kind != "pattern"}
    documents, weight = _documents(cases, lexicon, form)
    wanted = features(sentence, lexicon, limits.setting)
    spoken = {hit.concept: hit.words for hit in reversed(lexicon.find(sentence))}

    found: list[tuple[float, NearCase]] = []
    for id, case in real.items():
        shared = [concept for concept in spoken if f"#{concept}" in documents[id] and lexicon.roles.get(concept) != "setting"]
        words = tuple(dict.fromkeys((*(spoken[concept] for concept in shared), *common_runs(sentence, text_of(case)))))
        likeness = cosine(wanted, documents[id], weight)
        linked = any(model in models for model in case.models)
        if (not shared or likeness < limits.near) and not linked:
            continue
        likeness += limits.town * town_likeness(case, facts) + (limits.near if linked else 0)
        found.append((likeness, NearCase(id=id, words=words, score=round(likeness, 4), stopped=case.stopped)))
    found.sort(key=lambda item: (-item[0], item[1].id))
    kept = found[: limits.cases * 2]
    if not kept:
        return ()
    level = limits.alike * kept[0][0]
    kept.sort(key=lambda item: (not (item[1].stopped and item[0] >= level), -item[0], item[1].id))
    return tuple(near for _, near in kept[: limits.cases])
