"""For every sentence about limited money and works by year: an answer that is wrong in just that respect, and check says just that."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from msgspec.structs import replace
from tests.cross.test_full_problem import mix

from kiban.check import FRONTIER, PHASES, check_frontier, check_phases
from kiban.design import solve
from kiban.design.budget import frontier
from kiban.design.growth import grow
from kiban.design.limits import Effort
from kiban.design.phases import phases
from kiban.records.design import Cut, Design, Problem
from kiban.records.horizon import Frontier, Phases

SEED = 5  # of a mix in which half of the money leaves somebody waiting, and two years are needed


WAITS = mix(SEED).base.demands[0].node


@cache
def answers() -> tuple[Problem, Design, Frontier, Phases]:
    given = mix(SEED)
    problem = grow(given.base, given.growth)
    design = solve(problem, seed=1, work=20)
    whole = frontier(problem, design, given.weights, None, Effort(1, 20), trials=2).stages[-1].initial
    front = frontier(problem, design, given.weights, whole // 2, Effort(1, 20), stages=(whole // 2, whole), trials=4)
    return problem, design, front, phases(problem, design, given.weights, [whole * 2 // 3, whole * 2 // 3])


def staged(**changes: object) -> Frontier:
    front = answers()[2]
    return replace(front, stages=(replace(front.stages[0], **changes), *front.stages[1:]))


def first() -> object:
    return answers()[2].stages[0]


def weighted(more: int) -> Frontier:
    proof = first().proof
    cuts = (replace(proof.certificate.cuts[0], dual=proof.certificate.cuts[0].dual + more), *proof.certificate.cuts[1:])
    return staged(proof=replace(proof, certificate=replace(proof.certificate, cuts=cuts)))


MONEY: dict[str, dict[str, Callable[[], Frontier]]] = {
    "stages_built": {"a cheaper total": lambda: staged(cost=first().cost - 1, least_cost=0)},
    "stages_paid": {"less is paid than it costs": lambda: staged(initial=first().initial - 1_000), "less money": lambda: staged(most=first().initial - 1)},
    "needs_lost": {"one who waits is not named": lambda: replace(answers()[2], waiting=answers()[2].waiting[1:])},
    "bounds_hold": {
        "a bound above its certificate": lambda: staged(least_lost=first().lost) if first().least_lost < first().lost else weighted(10**9),
        "a dual raised": lambda: weighted(10**9),
        "a cost that nothing proves": lambda: staged(least_cost=first().cost, cost_proof=None),
        "a whole that is proved more than it is": lambda: replace(
            answers()[2], stages=(*answers()[2].stages[:-1], replace(answers()[2].stages[-1], least_cost=answers()[1].bound + 1, cost=answers()[1].cost))
        ),
        "a cut with the root inside": lambda: staged(
            proof=replace(
                first().proof,
                certificate=replace(first().proof.certificate, cuts=(*first().proof.certificate.cuts, Cut(terminal=WAITS, base=-1, added=(0, WAITS), dual=0))),
            )
        ),
    },
}


def order(**changes: object) -> Phases:
    return replace(answers()[3], **changes)


YEARS: dict[str, dict[str, Callable[[], Phases]]] = {
    "works_whole": {"an arc forgotten": lambda: order(works=(replace(answers()[3].works[0], arcs=()), *answers()[3].works[1:]))},
    "years_paid": {
        "less is paid than the works cost": lambda: order(initial=(answers()[3].initial[0] - 1_000, *answers()[3].initial[1:])),
        "less money than is paid": lambda: order(money=(max(answers()[3].initial) - 1,) * 2),
    },
    "waiting_true": {
        "joined before its works": lambda: order(joined=tuple(0 for _ in answers()[3].joined)),
        "a shorter wait": lambda: order(waited=answers()[3].waited - 1, least_waited=0),
    },
    "again_true": {"a saving that is not there": lambda: order(digging_again=answers()[3].digging_again + 1_000_000)},
}


def test_the_answers_themselves_pass():
    problem, design, front, works = answers()
    assert check_frontier(problem, design, front).holds
    assert check_phases(problem, design, works).holds
    assert first().lost > 0
    assert set(works.year) == {0, 1}


def test_every_sentence_has_a_mutant():
    assert set(MONEY) == set(FRONTIER)
    assert set(YEARS) == set(PHASES)


@pytest.mark.parametrize(("sentence", "name"), [(sentence, name) for sentence, rows in MONEY.items() for name in rows])
def test_a_wrong_frontier_is_rejected_for_its_own_reason(sentence, name):
    report = check_frontier(*answers()[:2], MONEY[sentence][name]())
    assert [finding.constraint for finding in report.findings if not finding.holds] == [sentence]


@pytest.mark.parametrize(("sentence", "name"), [(sentence, name) for sentence, rows in YEARS.items() for name in rows])
def test_a_wrong_order_of_works_is_rejected(sentence, name):
    problem, design, _, _ = answers()
    report = check_phases(problem, design, YEARS[sentence][name]())
    assert sentence in [finding.constraint for finding in report.findings if not finding.holds]


def test_a_site_built_before_its_street_hangs_in_the_air():
    problem, design, _, works = answers()
    later = [number for number, work in enumerate(works.works) if work.before and works.year[number] == 1]
    year = list(works.year)
    for number in later:
        year[number] = 0
    for number in {before for place in later for before in works.works[place].before}:
        year[number] = 1
    report = check_phases(problem, design, replace(works, year=tuple(year)))
    assert "works_whole" in [finding.constraint for finding in report.findings if not finding.holds]
