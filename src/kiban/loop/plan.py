"""A plan, made step by step: issue → needs → options → design → funding → verdict.

In: a Given. Out: a Plan with its problem, design, check and money, or the questions that must be answered first (then there is no plan).
Money and verdict can be made again alone, from a plan that stands and other inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from msgspec.structs import replace

from kiban.base.errors import Cancelled
from kiban.base.progress import Cancel, Progress, never, silent
from kiban.catalogue import Catalogue
from kiban.design.resume import Memory
from kiban.finance.ledger import Ledger
from kiban.loop.design import Designed, assumed_rows, design_step
from kiban.loop.diagnosis import town_rows
from kiban.loop.funding import facts_of, fund, funding_step
from kiban.loop.given import ENGINE, Given
from kiban.loop.issue import issue_step, plan_id
from kiban.loop.needs import needs_step
from kiban.loop.options import options_step
from kiban.loop.verdict import verdict_step
from kiban.records.design import Design, Problem
from kiban.records.funding import Funding, Inputs
from kiban.records.issue import Issue
from kiban.records.plan import Plan
from kiban.records.region import Region


@dataclass(frozen=True)
class Made:
    """What came of a sentence: the issue as understood, and a plan unless more must be asked."""

    issue: Issue
    plan: Plan | None = None
    designed: Designed | None = None
    funding: Funding | None = None
    inputs: Inputs = field(default_factory=Inputs)


def make_plan(given: Given, progress: Progress = silent, cancel: Cancel = never, memory: Memory | None = None) -> Made:
    """Carry one sentence through the story; memory: of the designs that an earlier run of the same plan began and finished (loop.checkpoint).

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
    designed = design_step(given, wanted, ledger, progress, cancel, memory)
    said = designed.step.body["status"]
    status = "unserved" if said == "infeasible" else "incomplete" if said in ("incomplete", "rejected") else "plan"
    draft = Plan(
        id=plan_id(given.sentence, given.region.id),
        region=given.region.id,
        sentence=given.sentence,
        status=status,  # type: ignore[arg-type]  # one of the three words above
        made_on=given.now,
        engine=ENGINE,
        label=given.region.label,
        steps=(first, needs, options, designed.step),
        figures=ledger.figures,
        assumed=tuple(assumed_rows(given.region, {site for site, _ in wanted})),
    )
    progress(0.94, "予算表と支援を計算 / budget and supports")
    plan, funding = _decide(given, draft, designed.problem, designed.design, ledger, given.today)
    progress(1.0, "完了 / done")
    return Made(issue, plan, designed, funding, given.inputs)


def fund_again(plan: Plan, region: Region, problem: Problem, design: Design, catalogue: Catalogue, inputs: Inputs, today: date) -> tuple[Plan, Funding]:
    """Money and verdict of a plan from other inputs, on another day; all other steps stay as they are."""
    kept = tuple(step for step in plan.steps if step.id not in ("funding", "verdict"))
    answers = next(step.body.get("answers", {}) for step in kept if step.id == "issue")
    given = Given(sentence=plan.sentence, region=region, catalogue=catalogue, now=plan.made_on, answers=answers, inputs=inputs)
    ledger = Ledger()
    ledger.update(plan.figures)
    return _decide(given, replace(plan, steps=kept), problem, design, ledger, today)


def _decide(given: Given, draft: Plan, problem: Problem, design: Design, ledger: Ledger, today: date) -> tuple[Plan, Funding]:
    """The last two steps: who pays, and what may be decided."""
    steps = {step.id: step for step in draft.steps}
    funding = fund(draft, given.region, problem, given.catalogue, given.inputs, today)
    paid = funding_step(given, funding)
    issue = steps["issue"].body
    facts, _ = facts_of(given.region, given.inputs, given.catalogue)
    verdict = verdict_step(
        given,
        issue["questions"],
        steps["needs"].body["usecases"],
        steps["options"],
        steps["design"].body,
        problem,
        design,
        ledger,
        funding,
        cases=issue["cases"],
        facts=facts,
    )
    verdict.body["bottlenecks"] = town_rows(facts, given.catalogue)
    return replace(draft, steps=(*draft.steps, paid, verdict), figures=ledger.figures), funding
