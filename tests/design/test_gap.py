"""Town and country: which grid squares are urban, and whose need is met before and after."""

from __future__ import annotations

from datetime import date

from kiban.design.figures import Sheet
from kiban.design.gap import Parts, enter_gap, needs_met, split_urban
from kiban.finance.ledger import Ledger
from kiban.records.design import Certificate, Demand, Design, Node, Problem
from kiban.records.region import Evidence, Fact, Region, Site
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Technology, Wiring
from kiban.records.usecase import Needs, UseCase
from kiban.region import Detour, Given, build
from kiban.region.mesh import centre

DAY = date(2026, 11, 27)
SOURCES = {"s": Source(title="made up", seen_on=DAY)}
WORD = Text(ja="試験", en="test")


def site(id, lat=37.0, lon=137.0, **more):
    return Site(id=id, name=id, kind="hamlet", lat=lat, lon=lon, evidence=Evidence(source="s", original=id.removeprefix("mesh-")), **more)


def region(*sites, facts=()):
    return Region(id="r", name="r", lg_code=None, sources=SOURCES, sites=tuple(sites), facts=facts)


def cell(code, people):
    lat, lon = centre(code)
    return site(f"mesh-{code}", lat, lon, population=people)


def fact(id, value):
    return Fact(id=id, value=value, unit=None, evidence=Evidence(source="s"))


def test_adjoining_dense_squares_with_enough_people_are_urban_and_a_lone_one_is_not():
    # 1 km squares at 37° north hold about 1.03 km²: 4,200 people are dense, 4,000 are not; 53384395 and …96 are neighbours, 53384310 lies apart
    here = region(cell("53384395", 4600), cell("53384396", 4500), cell("53384310", 4800), cell("53384397", 90), site("far", 36.0, 137.0))
    parts = split_urban(here, 4000, 5000)
    assert parts.basis == "cells"
    assert [id for id, urban in parts.urban.items() if urban] == ["mesh-53384395", "mesh-53384396"]


def test_without_squares_a_region_may_say_that_it_has_no_such_district_else_nobody_knows():
    assert split_urban(region(site("a"), facts=(fact("did_population", 0.0),)), 4000, 5000) == Parts({"a": False}, "fact")
    assert split_urban(region(site("a")), 4000, 5000) == Parts({}, "unknown")
    assert split_urban(region(cell("53384395", None)), 4000, 5000).basis == "unknown"


def test_the_grid_of_a_real_mountain_town_has_no_urban_square(test_data, tmp_path):
    factor = Detour(value=1.3, source=Source(title="a factor for this test", seen_on=DAY))
    here = build(tmp_path / "hokuto", [Given(test_data / "hokuto" / "hokuto_mesh_1km.csv")], id="hokuto", name="北杜市", today=DAY, detour=factor)
    parts = split_urban(here, 4000, 5000)
    assert (parts.basis, len(parts.urban), any(parts.urban.values())) == ("cells", 272, False)


def rate(value):
    return Quantity(unit="Mbps", value=value, source="s", confidence=Confidence.B)


def kind(down):
    return Technology(
        name=WORD, summary=WORD, layer="access", medium="ntn", wiring=Wiring(pattern="direct"), sources=SOURCES, checked_on=DAY,
        capability=Capability(down_mbps=rate(down)),
    )  # fmt: skip


def entered(sites, parts, facts=(), unserved=()):
    """The gap for one use case of 25 Mbps where "fast" gives 100 and "slow" gives 5."""
    use = UseCase(name=WORD, summary=WORD, field=WORD, words=("x",), sites=("hamlet",), needs=Needs(down_mbps=rate(25)), sources=SOURCES, checked_on=DAY)
    here = region(*sites, facts=facts)
    nodes = (Node(kind="root", ref=""), *(Node(kind="demand", ref=one.id) for one in sites))
    demands = tuple(Demand(node=index, site=one.id, usecase="u", down_mbps=25.0) for index, one in enumerate(sites, 1))
    problem = Problem(region="r", start=2027, horizon=15, discount=0.04, prices=(), nodes=nodes, arcs=(), demands=demands)
    pairs = tuple((id, "u") for id in unserved)
    design = Design(
        problem="", arcs=(), served=(-1,) * len(sites), steps=(), cost=0, bound=0, gap=0.0, status="bounded", relaxed=(), certificate=Certificate(cuts=()),
        unserved=pairs,
    )  # fmt: skip
    ledger = Ledger()
    technologies = {"fast": kind(100), "slow": kind(5)}
    rows = needs_met(problem, design, here, {"u": use}, technologies, parts)
    body = enter_gap(Sheet(ledger, problem, design, here, {"u": use}), rows, parts)
    return body, {(row["need"], row["area"]): [ledger.figures[row[key]] for key in ("before", "after")] for row in body["rows"]}, ledger


def test_households_are_weighed_and_the_gap_is_the_difference_of_the_shares():
    sites = [
        site("a", households=90, covered={"fast": True}),
        site("b", households=10, covered={"slow": True}),
        site("c", households=30, covered={"slow": True}),
    ]
    body, shares, ledger = entered(sites, Parts({"a": True, "b": True, "c": False}, "cells"), unserved=("c",))
    assert body["by"] == "households"
    assert [figure.value for figure in shares["down_mbps", "urban"]] == [0.9, 1.0]
    assert [figure.value for figure in shares["down_mbps", "rural"]] == [0.0, 0.0]
    assert [figure.value for figure in shares["coverage", "rural"]] == [1.0, 1.0]
    gap = next(row for row in body["needs"] if row["need"] == "down_mbps")
    assert [ledger.figures[gap[when]].value for when in ("before", "after")] == [0.9, 1.0]


def test_a_site_of_which_nobody_says_what_reaches_it_leaves_the_share_open_between_two_ends():
    body, shares, _ = entered([site("a", covered={"fast": True}), site("b"), site("c"), site("d", covered={"slow": True})], Parts({}, "unknown"))
    before, after = shares["down_mbps", "all"]
    assert (body["by"], body["reason"]) == ("sites", "unknown")
    assert (before.value, before.low, before.high, after.value) == (None, 0.25, 0.75, 1.0)
    assert all(row["before"] is None and row["after"] is None for row in body["needs"])


def test_a_survey_stands_beside_the_computed_gap_where_the_region_gives_both_areas():
    sites = [site("a", covered={"fast": True}), site("b", covered={"slow": True})]
    facts = (fact("felt_urban_down_mbps", 0.8), fact("felt_rural_down_mbps", 0.5), fact("felt_urban_coverage", 0.9))
    body, _, ledger = entered(sites, Parts({"a": True, "b": False}, "cells"), facts)
    felt = {row["need"]: row["felt"] and round(ledger.figures[row["felt"]["gap"]].value, 9) for row in body["needs"]}
    assert felt == {"coverage": None, "down_mbps": 0.3}
