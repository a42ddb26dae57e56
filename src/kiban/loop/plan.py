"""A plan, made step by step: issue → needs → options → design → verdict.

In: a Given. Out: a Plan with its problem, design and check, or the questions that must be answered first (then there is no plan).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiban.base.errors import Cancelled, IssueError
from kiban.base.progress import Cancel, Progress, never, silent
from kiban.finance.ledger import Ledger
from kiban.issue import understand
from kiban.loop.design import Designed, assumed_rows, design_step
from kiban.loop.given import ENGINE, Given, digest, pins, step
from kiban.loop.needs import needs_step
from kiban.loop.options import options_step
from kiban.loop.verdict import verdict_step
from kiban.records.issue import Issue
from kiban.records.plan import Plan, PlanStep

LONGEST = 2000  # characters of a sentence; records.issue refuses more


@dataclass(frozen=True)
class Made:
    """What came of a sentence: the issue as understood, and a plan unless more must be asked."""

    issue: Issue
    plan: Plan | None = None
    designed: Designed | None = None


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


def make_plan(given: Given, progress: Progress = silent, cancel: Cancel = never) -> Made:
    """Carry one sentence through the story.

    Raises
    ------
    KibanError  bad input; Cancelled when the user stops before a design was found
    """
    progress(0.0, "課題を読む / reading the issue")
    ledger = Ledger()
    issue, first = issue_step(given)
    if issue.status != "matched" or not issue.models:
        return Made(issue)
    needs, wanted = needs_step(issue, given, ledger)
    if not wanted:
        return Made(issue)
    options = options_step(issue, needs.body["usecases"], given)
    if cancel():
        raise Cancelled("plan", "stopped before the design", "", "run it again")
    designed = design_step(given, wanted, ledger, progress, cancel)
    verdict = verdict_step(given, first.body["questions"], needs.body["usecases"], options, designed.step.body, designed.problem, designed.design, ledger)
    said = designed.step.body["status"]
    status = "unserved" if said == "infeasible" else "incomplete" if said in ("incomplete", "rejected") else "plan"
    made = Plan(
        id=digest([given.sentence, given.region.id])[:12],
        region=given.region.id,
        sentence=given.sentence,
        status=status,  # type: ignore[arg-type]  # one of the three words above
        made_on=given.now,
        engine=ENGINE,
        label=given.region.label,
        steps=(first, needs, options, designed.step, verdict),
        figures=ledger.figures,
        assumed=tuple(assumed_rows(given.region, {site for site, _ in wanted})),
    )
    progress(1.0, "完了 / done")
    return Made(issue, made, designed)
