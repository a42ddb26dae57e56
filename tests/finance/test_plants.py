"""Existing plant and electricity: kilometres by price, the town's own upkeep, and what is asked for."""

from __future__ import annotations

from datetime import date

from tests.finance.money_town import SEEN, facts, line, word

from kiban.finance.energy import energy
from kiban.finance.plants import plant_options
from kiban.records.design import Node, Price, Problem
from kiban.records.funding import PlantOption
from kiban.records.region import Evidence, Junction, Plant, Region, Street
from kiban.records.source import Confidence, Quantity, Source
from kiban.records.technology import Technology, Wiring

TODAY = date(2026, 11, 23)


def town(restricted: date | None = None, priced: bool = True) -> tuple[Region, Problem]:
    """Two kilometres of old fibre with upkeep of 1,000 a year and km, renewed in the second year for 50,000 a km; horizon of 3 years."""
    plant = Plant(id="old", name="旧線", technology="fibre", evidence=Evidence(source="page"), year_built=2010, restricted_until=restricted)
    region = Region(
        id="r",
        name="町",
        lg_code=None,
        sources={"page": Source(title="台帳", seen_on=SEEN)},
        sites=(),
        junctions=(Junction(id="a", lat=35.0, lon=135.0), Junction(id="b", lat=35.1, lon=135.0)),
        streets=(Street(id="s", a="a", b="b", length_m=2_000.0, plant="old"), Street(id="t", a="a", b="b", length_m=500.0)),
        plants=(plant,),
    )
    ends = {"technology": "fibre", "per": "km", "npv": 0, "low": 0, "high": 0, "confidence": Confidence.B}
    prices = (
        Price(id="fibre#upkeep@old", cost="upkeep", phase="yearly", unit_yen=(1_000.0,) * 3, **ends),
        Price(id="fibre#renewal@old", cost="renewal", phase="initial", unit_yen=(50_000.0,), first=1, life=20.0, **ends),
    )
    nodes = (Node(kind="root", ref="world"),)
    return region, Problem(region="r", start=2027, horizon=3, discount=0.0, prices=prices if priced else (), nodes=nodes, arcs=(), demands=())


def options(restricted: date | None = None, priced: bool = True, **known) -> dict[str, PlantOption]:
    return {one.id: one for one in plant_options(*town(restricted, priced), facts(**known), tax_rate=0.1, today=TODAY)}


def test_keeping_costs_the_upkeep_and_renewing_the_cable_too():
    found = options()
    assert found["keep"].yen == 6_600  # 2 km × 1,000 × 3 years, with tax
    assert found["renew"].yen == 116_600  # and 2 km × 50,000


def test_the_towns_own_upkeep_wins_and_already_holds_its_tax():
    assert options(fibre_upkeep=10_000.0)["keep"].yen == 30_000


def test_nothing_is_computed_without_a_price():
    found = options(priced=False)
    assert (found["keep"].yen, found["renew"].yen) == (None, None)
    assert "fibre_upkeep" in found["keep"].ask


def test_handing_over_another_lease_and_taking_down_stay_unknown():
    found = options()
    assert [found[id].yen for id in ("handover", "iru", "abolish")] == [None, None, None]
    assert "handover_partner" in found["handover"].ask
    assert "quotation" in found["abolish"].ask


def test_a_restriction_that_runs_or_is_unknown_asks_for_approval_and_a_past_one_does_not():
    assert options(None)["handover"].approval == "ask"
    assert "plant.restricted_until" in options(None)["handover"].ask
    assert options(date(2030, 3, 31))["handover"].approval == "ask"
    assert options(date(2020, 3, 31))["handover"].approval == "no"
    assert options(None)["keep"].approval == "no"


def test_what_users_pay_is_told_where_known_and_asked_for_where_not():
    known = options(resident_fee_before=3_000.0, resident_fee_after=5_500.0)["handover"]
    assert "現在 月3,000円、移行後 月5,500円" in known.text.ja
    assert "resident_fee_after" in options()["handover"].ask


def technology(kwh: float | None) -> Technology:
    quantity = None if kwh is None else Quantity(unit="kWh/year", value=kwh, source="page", confidence=Confidence.B)
    return Technology(
        name=word("無線"), summary=word("無線"), layer="access", medium="ntn", wiring=Wiring(pattern="direct"), checked_on=SEEN,
        sources={"page": Source(title="仕様", seen_on=SEEN)}, kwh_per_year=quantity,
    )  # fmt: skip


def test_electricity_is_kwh_by_site_and_yen_only_at_a_known_price():
    lines = (line("a.gear", "initial", "equipment", 10), line("b.gear", "initial", "equipment", 10))
    found = energy(lines, {"a": technology(766.5), "b": technology(None)}, 30.0)
    assert [(row.technology, row.units, row.kwh, row.yen) for row in found] == [("a", 1.0, 766.5, 22_995), ("b", 1.0, None, None)]
    assert energy(lines[:1], {"a": technology(766.5)})[0].yen is None
