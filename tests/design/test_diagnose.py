"""What stands in the way of a site today is what its rows say; where they are silent it is unknown, and somebody is named to ask."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.design import valley
from tests.documents import town

from kiban.design.diagnose import Bottleneck, bottlenecks, town_bottlenecks
from kiban.records.region import Evidence, Fact, Region, Site
from kiban.records.source import Confidence, Quantity
from kiban.records.technology import Technology, Wiring
from kiban.records.usecase import Needs, UseCase


def quantity(value: float) -> Quantity:
    return Quantity(unit="1", value=value, source="drawn", confidence=Confidence.B)


def known(**limits: float) -> dict[str, Technology]:
    """A mobile network that needs coverage, a satellite, a LAN and a battery of 24 hours."""
    lan, battery = (valley.technology(Wiring(pattern="site"), autonomy_h=hours) for hours in (0.0, 24.0))
    return {
        "lte": valley.technology(Wiring(pattern="direct", risk="air", needs_coverage=True), **{"down_mbps": 40.0, "up_mbps": 10.0, **limits}),
        "leo": valley.technology(Wiring(pattern="direct", risk="sky", backhaul=True)),
        "lan": replace(lan, layer="indoor"),
        "battery": replace(battery, layer="power"),
        "old": replace(valley.technology(Wiring(pattern="plant", risk="road", network="fibre")), lifetime_years=quantity(20.0)),
    }


def found(covered: dict[str, bool], *needs: Needs, technologies: dict[str, Technology] | None = None) -> list[tuple[str, str, str | None]]:
    site = Site(id="s", name="公民館", kind="shelter", lat=37.0, lon=137.0, evidence=valley.HERE, covered=covered)
    region = Region(id="r", name="町", lg_code=None, sources=valley.SOURCES, sites=(site,))
    usecases: dict[str, UseCase] = {f"u{index}": valley.usecase(f"u{index}", need) for index, need in enumerate(needs)}
    rows = bottlenecks(region, [("s", usecase) for usecase in usecases], usecases, technologies or known(), 2026)
    return [(row.kind, row.state, row.need) for row in rows]


def test_a_site_whose_rows_say_nothing_of_coverage_is_unknown_not_uncovered() -> None:
    assert found({}, Needs(down_mbps=quantity(10.0))) == [("coverage", "unknown", None)]


def test_a_site_that_no_line_on_the_ground_reaches_lacks_coverage_although_the_sky_is_open() -> None:
    assert found({"lte": False}, Needs(down_mbps=quantity(10.0))) == [("coverage", "found", None)]


def test_a_site_whose_service_meets_the_need_has_no_bottleneck() -> None:
    assert found({"lte": True}, Needs(down_mbps=quantity(10.0))) == []


def test_a_service_that_is_too_slow_for_all_use_cases_together_lacks_capacity() -> None:
    assert found({"lte": True}, Needs(down_mbps=quantity(30.0))) == []
    assert found({"lte": True}, Needs(down_mbps=quantity(30.0)), Needs(down_mbps=quantity(30.0))) == [("capacity", "found", "down_mbps")]


def test_a_station_that_could_carry_more_than_the_terminal_leaves_the_terminal_as_the_bottleneck() -> None:
    assert found({"lte": True}, Needs(down_mbps=quantity(50.0)), technologies=known(mbps_per_facility=500.0)) == [("inside", "found", "down_mbps")]


def test_a_service_whose_delay_is_too_long_does_not_cover_the_need() -> None:
    assert found({"lte": True}, Needs(one_way_ms=quantity(5.0))) == [("coverage", "found", "one_way_ms")]


def test_many_devices_need_a_lan_that_somebody_knows_of() -> None:
    needs = Needs(down_mbps=quantity(10.0), devices=quantity(30.0))
    assert found({"lte": True}, needs) == [("inside", "unknown", "devices")]
    assert found({"lte": True, "lan": False}, needs) == [("inside", "found", "devices")]
    assert found({"lte": True, "lan": True}, needs) == []


@pytest.mark.parametrize(("hours", "state"), [(24.0, []), (72.0, [("inside", "found", "autonomy_h")])])
def test_a_battery_is_enough_when_it_lasts_as_long_as_the_need(hours: float, state: list[tuple[str, str, str]]) -> None:
    assert found({"lte": True, "battery": True}, Needs(autonomy_h=quantity(hours))) == state


def aged(built: int | None, year: int) -> list[Bottleneck]:
    here = town.region()
    here = replace(here, plants=(replace(here.plants[0], year_built=built),))
    technologies = {**town.TECHNOLOGIES, "old": known()["old"]}
    rows = bottlenecks(here, [("s0", "talk"), ("s4", "talk")], {"talk": town.USE}, technologies, year)
    return [row for row in rows if row.kind == "age"]


@pytest.mark.parametrize(("built", "year", "state"), [(2001, 2020, []), (2001, 2021, ["found"]), (None, 2026, ["unknown"])])
def test_plant_on_the_street_of_a_site_is_old_from_the_year_its_life_ends(built: int | None, year: int, state: list[str]) -> None:
    rows = aged(built, year)
    assert [row.state for row in rows] == state
    assert {(row.site, row.row, row.field) for row in rows} <= {("s0", "p1", "year_built")}


def test_plant_on_the_way_that_the_design_chose_counts_for_a_site_further_on() -> None:
    one = town.town()
    technologies = {**town.TECHNOLOGIES, "old": known()["old"]}
    wanted = [(site.id, "talk") for site in one.region.sites]
    rows = bottlenecks(one.region, wanted, {"talk": town.USE}, technologies, 2026, one.problem, one.design)
    assert {row.site for row in rows if row.kind == "age"} == {"s0", "s1", "s2"}


def fact(id: str, value: str | bool) -> Fact:
    return Fact(id=id, value=value, unit=None, evidence=Evidence(source="typed", confidence=Confidence.A))


def test_answers_tell_of_money_organisation_and_skill_and_no_answer_is_unknown() -> None:
    said = {"running_cost_unbudgeted": True, "payer_after_support": "なし", "operator_named": False, "operator_skill": True}
    rows = town_bottlenecks({id: fact(id, value) for id, value in said.items()}, frozenset({"なし"}))
    assert [(row.kind, row.state) for row in rows] == [("money", "found"), ("money", "found"), ("organisation", "found")]
    good = {"running_cost_unbudgeted": False, "payer_after_support": "一般財源", "operator_named": True, "operator_skill": True}
    assert town_bottlenecks({id: fact(id, value) for id, value in good.items()}, frozenset({"なし"})) == []
    assert {row.state for row in town_bottlenecks({}, frozenset({"なし"}))} == {"unknown"}
