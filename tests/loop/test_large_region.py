"""The rules of a large region, tried on the example with the border put low: what is left out is said, and the same work gives the same plan."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec import json
from tests.loop.test_share import NOW, catalogue, made_region

from kiban.base.progress import never, silent
from kiban.check import check_design
from kiban.design import solve
from kiban.design.near import near
from kiban.finance.ledger import Ledger
from kiban.loop import design as loop
from kiban.loop.given import Given

USECASES = ("public_facility_line", "school_giga", "video_session")


@cache
def made(border: int):
    region, data = made_region(), catalogue()
    wanted = tuple((site.id, id) for site in region.sites for id in USECASES if site.kind in data.usecases[id].sites)
    ledger = Ledger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LARGE", border)
        return loop.design_step(Given(sentence="", region=region, catalogue=data, now=NOW), wanted, ledger, silent, never), ledger


def test_a_large_region_gives_the_same_plan_twice():
    first, ledger = made(0)
    made.cache_clear()
    second, again = made(0)
    assert json.encode(first.step) == json.encode(second.step)
    assert first.design == second.design
    assert ledger.figures == again.figures


def test_the_design_of_a_large_region_is_the_same_and_only_what_stands_beside_it_is_brief():
    large, small = made(0)[0], made(loop.LARGE)[0]
    assert (large.design.arcs, large.design.cost, large.design.bound) == (small.design.arcs, small.design.cost, small.design.bound)
    assert large.report.holds
    assert large.step.body["warnings"][:-1] == small.step.body["warnings"]
    assert large.step.body["warnings"][-1] == loop.LEFT_OUT
    assert (large.step.body["shared"]["split"], small.step.body["shared"]["split"]["exact"]) == (None, True)
    assert not any(row["exact"] for row in large.step.body["flips"])


def test_a_brief_comparison_never_shows_less_than_a_thorough_one_proved():
    (large, brief), (small, full) = made(0), made(loop.LARGE)
    thorough = {row["usecase"]: full.figures[row["figure"]].value for row in small.step.body["shared"]["alone"]}
    for row in large.step.body["shared"]["alone"]:
        assert brief.figures[row["figure"]].value >= thorough[row["usecase"]]
    without = {row["technology"]: row["difference"] for row in small.step.body["flips"]}
    for row in large.step.body["flips"]:
        if row["difference"] is not None and without[row["technology"]] is not None:
            assert brief.figures[row["difference"]].value >= full.figures[without[row["technology"]]].value


def test_what_is_near_a_design_holds_it_and_a_way_without_each_technology():
    large, _ = made(0)
    problem, design, region = large.problem, large.design, made_region()
    kept = near(problem, design, 0)
    assert kept == near(problem, design, 0)
    assert {problem.arcs[index].ref for index in design.arcs} <= kept
    assert {problem.nodes[problem.arcs[index].head].ref for index in design.arcs} <= kept
    assert kept & {street.id for street in region.streets} < {street.id for street in region.streets}
    given, ledger = Given(sentence="", region=region, catalogue=catalogue(), now=NOW), Ledger()
    priced = loop.price_all(given, ledger, loop.rules_of(given, ledger))
    wanted = tuple((demand.site, demand.usecase) for demand in problem.demands)
    variants = loop._Variants(given, wanted, {id: catalogue().usecases[id] for id in USECASES}, priced, problem.horizon, problem.discount)
    among = loop._near(variants, problem, design)
    small = among.build()
    again = solve(small, seed=0, work=20)
    assert len(small.arcs) < len(problem.arcs)
    assert again.cost == design.cost
    assert check_design(small, again).holds
    for technology in sorted({arc.technology for index, arc in enumerate(problem.arcs) if index in design.arcs and arc.technology}):
        whole, part = (solve(one.without(technology), seed=0, work=5) for one in (variants, among))
        assert part.unserved == whole.unserved
        assert part.cost >= whole.bound
