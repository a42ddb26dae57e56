"""What the ground takes out of a design: hops without line of sight, links whose power does not arrive; and that the checker follows."""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np
import pytest

from kiban.check import check_problem
from kiban.design.program import build
from kiban.finance import price_technology
from kiban.records.region import Evidence, Place, Region, Site
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Cost, Radio, Technology, Wiring
from kiban.records.terrain import Terrain
from kiban.records.usecase import Needs, UseCase

SEEN = date(2026, 11, 23)
SOURCES = {"drawn": Source(title="drawn for a test", seen_on=SEEN)}
HERE = Evidence(source="drawn")
YEARS = {"start": 2026, "horizon": 10, "discount": 0.04}


def q(value, unit="1"):
    return Quantity(unit=unit, value=value, source="drawn", confidence=Confidence.B)


def text(word):
    return Text(ja=word, en=word)


def technology(wiring, per, yen, radio=None, **can):
    cost = Cost(id="fee", name=text("fee"), phase="yearly", per=per, scope=("fee",), evidence=(q(yen, f"JPY/{per}/year"),))
    capability = Capability(**{name: q(value) for name, value in {"down_mbps": 10.0, **can}.items()})
    return Technology(
        name=text("t"), summary=text("t"), layer="access", medium="wireless", wiring=wiring, sources=SOURCES, checked_on=SEEN, capability=capability,
        costs=(cost,), radio=radio,
    )  # fmt: skip


RADIO = Radio(frequency_mhz=q(920, "MHz"), eirp_dbm=q(16, "dBm"), gain_dbi=q(3, "dBi"), sensitivity_dbm=q(-120, "dBm"), site_height_m=q(1.5, "m"))
TECHNOLOGIES = {
    "hop": technology(Wiring(pattern="hop", risk="air"), "hop", 500_000, Radio(frequency_mhz=q(7500, "MHz")), reach_km=20.0),
    "cell": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "hop")), "facility", 300_000, RADIO, radius_km=6.0),
}
# An exchange in the west, a tower in the east, sites on the plain; a ridge from north to south may stand between.
REGION = Region(
    id="plain", name="原", lg_code=None, sources=SOURCES,
    sites=tuple(Site(id=id, name=id, kind="school", lat=37.20, lon=lon, evidence=HERE) for id, lon in (("east", 137.20), ("west", 137.13))),
    places=(
        Place(id="x", name="x", kind="exchange", lat=37.20, lon=137.10, height_m=30.0, evidence=HERE),
        Place(id="t", name="t", kind="tower", lat=37.20, lon=137.18, height_m=30.0, evidence=HERE),
    ),
)  # fmt: skip
USECASES = {
    "class": UseCase(
        name=text("c"), summary=text("c"), field=text("教育"), words=("c",), sites=("school",), needs=Needs(down_mbps=q(1, "Mbps")), sources=SOURCES,
        checked_on=SEEN,
    )
}  # fmt: skip
PAIRS = [("east", "class"), ("west", "class")]
MONEY = {"start": 2026, "horizon": 10, "discount": 0.04, "discount_figure": "r", "tax_rate": 0.1, "tax_figure": "t"}
PRICED = {id: price_technology(one, technology_id=id, **MONEY) for id, one in TECHNOLOGIES.items()}


def ground(ridge=None, column=150, spacing=100.0, north=37.4):
    heights = np.full((401, 401), 50.0)
    if ridge is not None:
        heights[:, column : column + 4] = ridge
    return Terrain(heights, 37.0, 137.0, north, 137.4, spacing)


def problem(terrain=None, region=REGION, technologies=TECHNOLOGIES):
    return build(region, PAIRS, USECASES, technologies, PRICED, terrain=terrain, **YEARS)


def links(made):
    return sorted({(made.nodes[arc.tail].ref, arc.ref) for arc in made.arcs if arc.kind == "link"})


def hops(made):
    return [arc for arc in made.arcs if arc.kind == "hop"]


def broken(made, region=REGION, technologies=TECHNOLOGIES):
    return {f.constraint: f.found for f in check_problem(made, region, USECASES, technologies).findings if not f.holds}


def test_without_terrain_radio_carries_as_far_as_its_radius():
    made = problem()
    assert made.terrain is None
    assert links(made) == [("t", "east"), ("t", "west"), ("x", "west")]
    assert hops(made)
    assert broken(made) == {}


def test_on_a_plain_the_ground_takes_nothing_and_the_plan_says_that_it_was_looked_at():
    made = problem(ground())
    assert links(made) == links(problem())
    assert len(hops(made)) == len(hops(problem()))
    assert (made.terrain.hops, made.terrain.links, made.terrain.hops_unknown, made.terrain.links_unknown, made.terrain.obstructed) == (1, 3, 0, 0, ())
    assert broken(made) == {}


def test_a_ridge_takes_the_hop_and_the_site_behind_it_names_the_need():
    made = problem(ground(ridge=500.0))
    assert hops(made) == []
    rows = {(row.technology, row.a, row.b): row for row in made.terrain.obstructed}
    assert rows["hop", "t", "x"].need == "line_of_sight" or rows["hop", "x", "t"].need == "line_of_sight"
    assert rows["cell", "t", "west"].need == "link_budget"
    assert rows["cell", "t", "west"].required == -120
    east = [row for row in made.exclusions if row.site == "east"]
    assert [(row.technology, row.need, row.state) for row in east] == [("cell", "line_of_sight", "fails")]
    assert east[0].available < -300
    assert links(made) == [("x", "west")]
    assert broken(made) == {}


def test_a_site_behind_a_ridge_is_out_of_the_budget_of_every_cell():
    region = msgspec.structs.replace(REGION, sites=(REGION.sites[0], msgspec.structs.replace(REGION.sites[1], lon=137.14)), places=REGION.places[:1])
    made = problem(ground(ridge=600.0, column=120), region)
    out = {row.site: row for row in made.exclusions}
    assert (out["west"].need, out["west"].required) == ("link_budget", -120)
    assert out["west"].available < -120
    assert out["east"].need == "place"  # beyond the radius: no ground needed to say so
    assert broken(made, region) == {}


def test_without_a_complete_radio_block_the_radius_stays_and_the_links_count_as_unknown():
    plain = TECHNOLOGIES | {"cell": msgspec.structs.replace(TECHNOLOGIES["cell"], radio=None)}
    made = problem(ground(ridge=500.0, column=125), technologies=plain)
    assert ("x", "west") in links(made)
    assert (made.terrain.links, made.terrain.links_unknown) == (0, 3)


def test_a_place_of_unknown_height_is_not_judged():
    region = msgspec.structs.replace(REGION, places=tuple(msgspec.structs.replace(place, height_m=None) for place in REGION.places))
    made = problem(ground(ridge=500.0), region)
    assert links(made) == links(problem())
    assert (made.terrain.hops, made.terrain.hops_unknown, made.terrain.links_unknown) == (0, 1, 3)


@pytest.mark.parametrize("terrain", [ground(ridge=500.0, spacing=1107.0), None], ids=["coarse", "none"])
def test_a_grid_that_is_too_coarse_is_like_none(terrain):
    assert problem(terrain) == problem()


def test_the_checker_finds_a_link_that_vanished_without_a_reason_and_a_reason_that_is_not_there():
    made = problem(ground(ridge=500.0))
    bare = msgspec.structs.replace(made, terrain=msgspec.structs.replace(made.terrain, obstructed=()))
    assert set(broken(bare)) >= {"exclusions"}
