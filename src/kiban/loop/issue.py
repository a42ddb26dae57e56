"""The first step of a plan: what a sentence means. Whoever only reads sentences needs no solver.

In: a Given. Out: the issue as understood, and its step.
"""

from __future__ import annotations

from typing import Any

from kiban.base.errors import IssueError
from kiban.catalogue import Catalogue
from kiban.issue import understand
from kiban.issue.understanding import NEITHER, WHICH
from kiban.loop.given import Given, digest, pins, step
from kiban.records.issue import Issue
from kiban.records.plan import PlanStep

LONGEST = 2000  # characters of a sentence; records.issue refuses more


def issue_step(given: Given) -> tuple[Issue, PlanStep]:
    """Step 1, issue 課題: the sentence, the words that matched, the nearest cases, the questions."""
    catalogue, region = given.catalogue, given.region
    if not given.sentence.strip() or len(given.sentence) > LONGEST:
        raise IssueError("--issue", f"a sentence of {len(given.sentence)} characters", f"1 to {LONGEST:,} characters", "write the issue in one sentence")
    facts = {fact.id: fact.value for fact in region.facts if isinstance(fact.value, int | float)}
    issue = understand(
        given.sentence,
        usecases=catalogue.usecases,
        models=catalogue.models,
        cases=catalogue.cases,
        form=catalogue.forms["issue"],
        answers=given.answers,
        facts=facts,
        offers=catalogue.offers,
    )
    body: dict[str, Any] = {
        "sentence": issue.sentence,
        "status": issue.status,
        "usecases": [{"id": match.id, "words": list(match.words)} for match in issue.usecases],
        "models": [{"id": match.id, "words": list(match.words)} for match in issue.models],
        "cases": [{"id": case.id, "words": list(case.words), "stopped": case.stopped} for case in issue.cases],
        "questions": [
            {
                "id": question.id,
                "text": {"ja": question.text.ja, "en": question.text.en},
                "changes": {"ja": question.changes.ja, "en": question.changes.en},
                "choices": [{"id": key, "text": {"ja": words.ja, "en": words.en}} for key, words in question.choices],
                "default": question.default,
            }
            for question in issue.questions
        ],
        "answers": dict(given.answers),
        "ask": [{"ja": line.ja, "en": line.en} for line in issue.ask],
    }
    used = [f"cases/{case.id}" for case in issue.cases] + [f"models/{match.id}" for match in issue.models]
    return issue, step("issue", [given.sentence, given.answers, region.id], body, pins(given, *used))


def answers_known(catalogue: Catalogue) -> dict[str, list[str]]:
    """The questions that a sentence may raise: id → ids of the choices."""
    known = {question.id: [choice.id for choice in question.choices] for question in catalogue.forms["issue"].questions}
    return known | {WHICH: [*catalogue.models, NEITHER]}


def plan_id(sentence: str, region: str) -> str:
    """The id of the plan of a sentence in a region: the same from run to run."""
    return digest([sentence, region])[:12]
