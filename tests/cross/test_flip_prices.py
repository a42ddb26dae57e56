"""Flip prices on drawn regions, against the enumeration of every arborescence: below the price the technology stays, above it leaves."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from msgspec.structs import replace
from tests.cross.test_brute_force import optimum, region

from kiban.design import solve
from kiban.design.flip import Flip, flip_price
from kiban.design.program import build
from kiban.design.tree import technologies_used
from kiban.finance import price_technology
from kiban.records.design import Problem

SEEDS = range(60)
YEARS = {"start": 2026, "horizon": 10, "discount": 0.04}
NEAR = 1e-3


class Valley:
    """A drawn region with ways to forbid a technology and to multiply its prices."""

    def __init__(self, seed: int) -> None:
        self.region, self.usecases, self.technologies, self.problem = region(seed)
        self.wanted = sorted({(d.site, d.usecase) for d in self.problem.demands} | {(site, usecase) for site, usecase, *_ in self.problem.no_way})
        self.prices = {}
        for id, technology in self.technologies.items():
            for plant in self.region.plants if technology.wiring.pattern == "plant" else (None,):
                priced = price_technology(
                    technology, technology_id=id, **YEARS, discount_figure="rules/discount", tax_rate=0.1, tax_figure="rules/tax", plant=plant
                )
                self.prices[id] = priced.prices

    def dearer(self, technology: str, factor: float) -> Problem:
        prices = dict(self.prices)
        prices[technology] = [
            replace(p, unit_yen=tuple(a * factor for a in p.unit_yen), npv=p.npv * factor, low=p.low * factor, high=p.high * factor)
            for p in self.prices[technology]
        ]
        return build(self.region, self.wanted, self.usecases, self.technologies, prices, **YEARS)

    def without(self, technology: str) -> Problem:
        known = {id: one for id, one in self.technologies.items() if id != technology}
        return build(self.region, self.wanted, self.usecases, known, {id: one for id, one in self.prices.items() if id in known}, **YEARS)


def best(problem: Problem) -> int | None:
    tree = None if problem.no_way else optimum(problem)
    return None if tree is None else tree[0]


@cache
def found() -> list[tuple[Valley, Flip, int]]:
    """Every technology of every design that is the optimum, with its flip and the cost of the design."""
    rows = []
    for seed in SEEDS:
        valley = Valley(seed)
        design = solve(valley.problem, seed=1, work=30)
        if design.status not in ("proved", "bounded") or design.cost != best(valley.problem):
            continue
        for id in sorted(technologies_used(valley.problem, design)):
            again = lambda problem: solve(problem, seed=1, work=30)  # noqa: E731
            rows.append((valley, flip_price(id, valley.technologies[id], valley.problem, design, valley.without, valley.dearer, again, again), design.cost))
    return rows


def test_there_are_flips_of_every_reason_that_a_proved_design_can_have():
    counts = Counter(flip.reason for _, flip, _ in found())
    assert counts["priced"] >= 20
    assert counts["only"] >= 5
    assert sum(flip.mixed for _, flip, _ in found()) >= 3


def test_only_means_that_no_design_without_it_serves_all():
    assert [flip.technology for valley, flip, _ in found() if flip.reason == "only" and best(valley.without(flip.technology)) is not None] == []


def priced() -> list[tuple[Valley, Flip, int]]:
    return [row for row in found() if row[1].reason == "priced"]


def test_the_design_without_it_is_the_cheapest_of_those():
    wrong = [flip.technology for valley, flip, cost in priced() if not flip.without[1].cost == best(valley.without(flip.technology)) >= cost]
    assert len(wrong) <= 0.02 * len(priced())


def test_below_the_flip_price_it_stays_and_above_it_leaves():
    wrong, proved = [], 0
    for valley, flip, _ in priced():
        without = flip.without[1].cost
        stays = best(valley.dearer(flip.technology, flip.factor * (1 - NEAR))) < without or flip.factor == pytest.approx(1, abs=NEAR)
        leaves = best(valley.dearer(flip.technology, flip.factor * (1 + NEAR))) == without
        proved += flip.exact
        if not (stays and leaves):
            wrong.append(flip)
    assert [flip for flip in wrong if flip.exact] == []
    assert len(wrong) <= 0.05 * len(priced())
    assert proved >= 5


def test_until_the_first_flip_the_design_stays_the_cheapest():
    wrong, checked = [], 0
    for valley, flip, cost in priced():
        if flip.first is None:
            continue
        npv = {price.id: price.npv for one in valley.prices.values() for price in one}

        def parts(problem, design, technology=flip.technology, npv=npv):
            items = [item for index in design.arcs for item in problem.arcs[index].items]
            items += [(price, units * number) for index, _, units in design.steps for price, number in problem.steps[index].items]
            own = sum(npv[problem.prices[p].id] * n for p, n in items if problem.prices[p].technology == technology)
            return sum(npv[problem.prices[p].id] * n for p, n in items) - own, own

        rest, own = parts(*flip.first)
        design = solve(valley.problem, seed=1, work=30)
        today_rest, today_own = parts(valley.problem, design)
        factor = (rest - today_rest) / (today_own - own)
        assert cost == design.cost
        assert 1 - NEAR <= factor <= flip.factor * (1 + NEAR)
        below, above = (best(valley.dearer(flip.technology, factor * (1 + sign * NEAR))) for sign in (-1, 1))
        stays = below == pytest.approx(today_rest + factor * (1 - NEAR) * today_own, abs=20) or factor < 1 + NEAR
        if not (stays and above < today_rest + factor * (1 + NEAR) * today_own):
            wrong.append(flip.technology)
        checked += 1
    assert checked >= 3
    assert len(wrong) <= 0.05 * checked, wrong
