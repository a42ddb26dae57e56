"""Drills on a valley small enough to see who is off; random valleys are in tests/cross/test_drills.py.

The valley: an exchange x at j0, a road j0 – j1 – j2 of 1 km each, a tower t at j1, site a at j1 and site b at j2, both 30 m off the road.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.design.valley import HERE, PRICED, SOURCES, TECHNOLOGIES, price, technology, usecase

from kiban.base.errors import DesignError
from kiban.check import check_problem
from kiban.design import solve
from kiban.design.backup import asks_backup, second_ways
from kiban.design.drill import Drill
from kiban.design.events import Ground, cut, lose_place, lose_power, lose_technology
from kiban.design.program import build
from kiban.records.design import Design, Problem
from kiban.records.region import Hazard, Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity
from kiban.records.technology import Wiring
from kiban.records.usecase import Needs

YEARS = {"start": 2027, "horizon": 15, "discount": 0.04}
WIRED = {id: one for id, one in TECHNOLOGIES.items() if id in ("cable", "pon", "leo")}


def q(value: float) -> Quantity:
    return Quantity(unit="1", value=value, source="drawn", confidence=Confidence.B)


def site(id: str, lon: float, **more) -> Site:
    return Site(**{"id": id, "name": id, "kind": "shelter", "lat": 37.3003, "lon": lon, "evidence": HERE, **more})


def valley(a: dict | None = None, b: dict | None = None, hours: float | None = None) -> Region:
    junctions = tuple(Junction(id=f"j{k}", lat=37.3, lon=137.1 + k / 100) for k in range(3))
    return Region(
        id="valley",
        name="谷",
        lg_code=None,
        sources=SOURCES,
        sites=(site("a", 137.11, **(a or {})), site("b", 137.12, **(b or {}))),
        places=(
            Place(id="x", name="局", kind="exchange", lat=37.3, lon=137.1, evidence=HERE, autonomy_h=hours),
            Place(id="t", name="塔", kind="tower", lat=37.3, lon=137.11, evidence=HERE),
        ),
        junctions=junctions,
        streets=(Street(id="s1", a="j0", b="j1", length_m=1000.0), Street(id="s2", a="j1", b="j2", length_m=1000.0)),
        attach={"x": ("j0", 0.0), "t": ("j1", 0.0), "a": ("j1", 30.0), "b": ("j2", 30.0)},
    )


def made(region: Region, technologies=WIRED, needs: Needs | None = None, priced=PRICED) -> tuple[Problem, Design]:
    usecases = {"talk": usecase("talk", needs or Needs())}
    problem = build(region, [("a", "talk"), ("b", "talk")], usecases, technologies, {id: priced[id] for id in technologies}, **YEARS)
    return problem, solve(problem, seed=0, work=20)


CHEAP = {**PRICED, "cable": (price("cable", "lay", "km", 300_000),)}


def test_cutting_the_far_stretch_puts_the_far_site_off_and_the_near_one_not():
    region = valley(b={"population": 40})
    drill = Drill(region, *made(region, priced=CHEAP), WIRED)
    far, near = (drill.run(cut(region, [street]), restore=True) for street in ("s2", "s1"))
    assert [row.site for row in far.off] == ["b"]
    assert [row.site for row in near.off] == ["a", "b"]
    assert (far.people.people, far.people.unknown) == (40, 0)
    assert (near.people.people, near.people.unknown) == (40, 1)
    assert (far.lost_m, near.lost_m) == (1000.0, 1000.0)
    assert far.kits == {"leo": (1, 0)}
    (back,) = far.restored
    assert (back.technology, back.yen, back.line_m) == ("leo", 1_500_000, None)  # no other street leads there
    assert [(link.street, link.sites, link.detour) for link in drill.links()] == [("s1", 2, False), ("s2", 1, False)]


def test_the_way_back_is_a_line_where_another_street_is_cheaper_than_the_satellite():
    region = valley()
    region = replace(region, streets=(*region.streets, Street(id="s3", a="j0", b="j2", length_m=2500.0)))
    drill = Drill(region, *made(region, priced=CHEAP), WIRED)
    (back,) = drill.run(cut(region, ["s2"]), restore=True).restored
    assert (back.technology, back.yen, back.metres, back.line_m) == ("pon", 750_000, 2500.0, 2500.0)
    assert all(link.detour for link in drill.links())


def test_a_line_beyond_its_reach_does_not_bring_anybody_back():
    region = valley()
    region = replace(region, streets=(*region.streets, Street(id="s3", a="j0", b="j2", length_m=2500.0)))
    short = WIRED | {"pon": technology(Wiring(pattern="drop", risk="road", network="fibre"), reach_km=2.4)}
    (back,) = Drill(region, *made(region, short, priced=CHEAP), short).run(cut(region, ["s2"]), restore=True).restored
    assert back.technology == "leo"


def test_a_backed_up_site_keeps_service_over_its_other_way_and_says_which():
    region = valley(b={"critical": True})
    problem, design = made(region, priced=CHEAP, needs=Needs(backup=q(1)))
    drill = Drill(region, problem, design, WIRED)
    outcome = drill.run(cut(region, ["s1"]))
    assert [row.site for row in outcome.off] == ["a"]
    assert [(row.site, row.technologies) for row in outcome.kept] == [("b", ("leo",))]
    assert [row.site for row in drill.run(lose_technology(WIRED, "leo")).kept] == ["b"]
    assert asks_backup(problem)
    (second,) = second_ways(problem, design)
    assert (second.site, second.technology, second.instead, second.yen) == ("b", "leo", ("pon",), 1_500_000)


def test_a_site_inside_an_area_is_off_and_no_kit_is_set_up_there():
    region = valley()
    ring = ((37.29, 137.115), (37.29, 137.125), (37.31, 137.125), (37.31, 137.115), (37.29, 137.115))
    hazard = Hazard(id="flood", name="浸水", kind="flood", polygons=((ring,),), evidence=HERE)
    outcome = Drill(region, *made(region, priced=CHEAP), WIRED).run(Ground(region).area(hazard), restore=True)
    assert [(row.site, row.reason) for row in outcome.off] == [("b", "inside")]
    assert (outcome.kits, outcome.restored) == ({"leo": (0, 0)}, ())


def test_an_area_between_a_site_and_its_street_cuts_the_spur_alone():
    region = valley()
    ring = ((37.3001, 137.119), (37.3001, 137.121), (37.3002, 137.121), (37.3002, 137.119), (37.3001, 137.119))
    hazard = Hazard(id="slide", name="崩れ", kind="slide", polygons=((ring,),), evidence=HERE)
    event = Ground(region).area(hazard)
    assert (event.streets, event.spurs, event.sites) == (frozenset(), {"b"}, frozenset())
    outcome = Drill(region, *made(region, priced=CHEAP), WIRED).run(event, restore=True)
    assert [row.site for row in outcome.off] == ["b"]
    assert outcome.lost_m == 30.0


@pytest.mark.parametrize(
    ("exchange", "own", "off"),
    [
        (24.0, 24.0, []),
        (24.0, 4.0, [("b", "power")]),
        (4.0, 24.0, [("a", "power"), ("b", "power")]),
        (None, 24.0, [("a", "unstated"), ("b", "unstated")]),
        (None, 4.0, [("a", "unstated"), ("b", "power")]),
    ],
)
def test_without_the_grid_who_has_too_few_hours_on_the_way_is_off_and_who_states_none_too(exchange, own, off):
    region = valley(a={"autonomy_h": 48.0}, b={"autonomy_h": own}, hours=exchange)
    outcome = Drill(region, *made(region, priced=CHEAP), WIRED).run(lose_power(8))
    assert [(row.site, row.reason) for row in outcome.off] == off


def test_a_battery_bought_with_the_terminal_carries_it_through_a_power_cut():
    region = valley(hours=24.0)
    tools = WIRED | {"battery": technology(Wiring(pattern="site"), autonomy_h=10.0)}
    problem, design = made(region, tools, needs=Needs(autonomy_h=q(6)), priced={**CHEAP, "battery": (price("battery", "cell", "site", 70_000),)})
    drill = Drill(region, problem, design, tools)
    assert drill.run(lose_power(8)).off == ()
    assert {row.reason for row in drill.run(lose_power(12)).off} == {"power"}


def test_a_site_with_power_of_its_own_buys_no_battery_and_still_lasts():
    region = valley(a={"autonomy_h": 10.0}, hours=24.0)
    tools = WIRED | {"battery": technology(Wiring(pattern="site"), autonomy_h=10.0)}
    prices = {**CHEAP, "battery": (price("battery", "cell", "site", 70_000),)}
    usecases = {"talk": usecase("talk", Needs(autonomy_h=q(6)))}
    problem, design = made(region, tools, needs=usecases["talk"].needs, priced=prices)
    bought = {arc.ref for index in design.arcs for arc in [problem.arcs[index]] for item, _ in arc.items if problem.prices[item].technology == "battery"}
    assert bought == {"b"}
    assert Drill(region, problem, design, tools).run(lose_power(8)).off == ()
    assert check_problem(problem, region, usecases, tools).holds
    alone, none = made(region, WIRED, needs=usecases["talk"].needs, priced=CHEAP)  # without any battery to buy, only the site with its own is served
    assert none.unserved == (("b", "talk"),)
    assert check_problem(alone, region, usecases, WIRED).holds


def test_a_carriers_line_is_unsure_after_a_slide_and_sure_when_the_own_satellite_fails():
    retail = {"leo": WIRED["leo"], "retail": technology(Wiring(pattern="direct", risk="road", needs_coverage=True))}
    region = valley(a={"covered": {"retail": True}}, b={"covered": {"retail": False}})
    priced = {**CHEAP, "retail": (price("retail", "line", "site", 100),)}
    drill = Drill(region, *made(region, retail, priced=priced), retail)
    slide = drill.run(cut(region, ["s1"]))
    assert ([row.site for row in slide.unsure], slide.off) == (["a"], ())
    assert [row.site for row in drill.run(lose_technology(retail, "leo")).off] == ["b"]


def test_kits_are_sized_for_the_worst_of_all_events_and_of_all_single_stretches():
    region = valley(a={"critical": True})
    drill = Drill(region, *made(region, priced=CHEAP), WIRED)
    (kits,) = drill.kits([drill.run(lose_place(region, "t"))], drill.links())
    assert (kits.technology, kits.kits, kits.event, kits.critical_kits) == ("leo", 2, "street:s1", 1)


def test_an_unpriced_satellite_is_a_kit_and_named_as_a_way_back_without_a_price():
    region = valley()
    drill = Drill(region, *made(region, priced=CHEAP | {"leo": ()}), WIRED)
    outcome = drill.run(cut(region, ["s2"]), restore=True)
    assert outcome.kits == {"leo": (1, 0)}
    (back,) = outcome.restored
    assert (back.technology, back.yen, back.unpriced) == (None, None, ("leo",))


def test_places_that_matter_are_listed_worst_first():
    region = valley()
    rows = Drill(region, *made(region, priced=CHEAP), WIRED).single_points()
    assert [(row.event.id, len(row.sites)) for row in rows] == [("exchange:x", 2)]


def test_an_unknown_thing_to_cut_is_refused_with_what_there_is():
    region = valley()
    for wrong in (
        lambda: cut(region, ["s9"]),
        lambda: cut(region, []),
        lambda: lose_place(region, "a"),
        lambda: lose_power(0),
        lambda: lose_power(float("nan")),
        lambda: lose_technology(WIRED, "pon"),
    ):
        with pytest.raises(DesignError, match="event"):
            wrong()


def test_a_design_without_anything_has_nobody_to_put_off():
    region = again_without(valley())
    problem = build(region, [], {}, WIRED, {id: CHEAP[id] for id in WIRED}, **YEARS)
    drill = Drill(region, problem, solve(problem, seed=0, work=1), WIRED)
    assert drill.links() == []
    assert drill.single_points() == []
    assert drill.run(lose_power(8), restore=True).off == ()
    assert Ground(region).area(Hazard(id="h", name="h", kind="other", polygons=((((0, 0), (0, 1), (1, 1), (0, 0)),),), evidence=HERE)).streets == frozenset()


def again_without(region: Region) -> Region:
    return replace(region, sites=(), places=(), streets=(), junctions=(), attach={})
