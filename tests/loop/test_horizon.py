"""Traffic, plant, electricity, money and years in the design step of a tiny region: what is asked for is in the body, and the design obeys it."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from msgspec.structs import replace
from tests.loop.test_ledger import NOW, catalogue, quantity, tiny, tiny_region, tiny_technologies, usecase

from kiban.base.progress import never, silent
from kiban.catalogue import words
from kiban.check import check_design
from kiban.documents.bom_xlsx import bom_xlsx
from kiban.documents.features import draw
from kiban.finance.ledger import Ledger
from kiban.loop.design import design_step
from kiban.loop.given import Given
from kiban.loop.horizon import _net
from kiban.records.usecase import Needs, Scaled


def test_traffic_that_grows_buys_units_later_and_says_when():
    plan, problem, design, body = tiny("grown")
    chosen = next(row for row in body["growth"] if row["id"] == "growth-20")
    due = {row["technology"]: plan.figures[row["year"]].value for row in chosen["breaks"] if row["kind"] == "units"}
    assert [row["id"] for row in body["growth"] if row["applied"]] == ["growth-20"]
    assert design.grown
    assert min(due.values()) == min(year for _, _, year, _ in design.grown)
    assert body["cost_npv"] == "total/priced"
    assert plan.figures["total/priced"].value == design.cost
    assert sum(problem.steps[index].later[year] * units for index, _, year, units in design.grown) > 0


def test_other_scenarios_say_what_they_would_change():
    plan, _, design, body = tiny("grown")
    rows = {row["id"]: row for row in body["growth"]}
    assert not rows["measured"]["says"]
    assert plan.figures[rows["flat"]["difference"]].value < 0
    assert plan.figures[rows["flat"]["cost"]].value + -plan.figures[rows["flat"]["difference"]].value == design.cost
    assert plan.figures[rows["explosive"]["difference"]].value > 0


def test_little_money_serves_the_weightiest_needs_and_names_those_who_wait():
    plan, _, _, body = tiny("years")
    money = body["money"]
    assert money["check"]
    stages = [{key: plan.figures[row[key]].value for key in ("most", "initial", "sites")} for row in money["stages"]]
    assert stages[0]["most"] == 0
    assert stages[0]["sites"] == 0
    assert stages[-1]["sites"] == 6
    assert all(row["initial"] <= row["most"] for row in stages)
    assert {row["site"] for row in money["waiting"]} == {f"s{k}" for k in range(1, 7)}
    assert all(row["reason"] == "budget" and plan.figures[row["joining"]].value > 0 and row["from"] for row in money["waiting"])
    assert plan.figures[money["next"]["yen"]].value > 0
    assert money["own_weights"] == ["s3"]


def test_works_by_year_keep_each_year_s_money_and_dig_each_street_once():
    plan, _, _, body = tiny("years")
    years = body["phases"]["years"]
    assert body["phases"]["check"]
    assert all(plan.figures[row["paid"]].value <= plan.figures[row["money"]].value for row in years)
    dug = [street for row in years for street in row["streets"]]
    assert len(dug) == len(set(dug))


def test_a_number_of_years_is_enough_money_for_all_of_it():
    _, _, design, body = tiny("money")
    years = body["phases"]["years"]
    assert len(years) == 2
    assert body["phases"]["left"] == []
    assert {site for row in years for site in row["sites"]} == {site.site for site in design.sites}


def test_a_limit_of_electricity_is_kept_and_its_price_told():
    plan, problem, design, body = tiny("money")
    _, _, free, _ = tiny("years")
    energy = body["energy"]
    assert plan.figures[energy["known"]].value <= 1_000
    assert energy["kept"]
    assert "ceilings" in design.relaxed
    assert design.cost >= free.cost
    assert check_design(problem, design).holds


def test_units_that_growth_makes_necessary_are_shared_between_the_use_cases_and_stand_on_the_map():
    plan, problem, design, body = tiny("grown")
    rows = body["shared"]["split"]["rows"]
    assert sum(plan.figures[row["share"]].value for row in rows) == design.cost
    alone = {row["usecase"]: plan.figures[row["figure"]].value for row in body["shared"]["alone"]}
    assert {row["player"]: plan.figures[row["alone"]].value for row in rows} == alone
    drawing = draw(tiny_region(), problem, design, {})
    yen = sum((one.properties.get("npv_yen") or 0) + (one.properties.get("equipment_npv_yen") or 0) for one in drawing.features)
    assert yen + drawing.system_npv_yen == design.cost


def test_the_bill_of_materials_says_that_units_of_later_years_are_not_in_it():
    _, problem, design, _ = tiny("grown")
    data = tiny_technologies(dish=1)
    for one, said in ((design, True), (replace(design, grown=()), False)):
        book = bom_xlsx(tiny_region(), problem, one, [], data, word=words(catalogue(), "ja"), lang="ja", day=date(2026, 11, 27))
        with ZipFile(BytesIO(book)) as parts:
            assert ("後の年度に増設する" in parts.read("xl/sharedStrings.xml").decode()) == said


def test_no_figure_of_growing_traffic_lies_outside_its_own_range():
    plan, _, design, _ = tiny("grown")
    rounding = len(design.arcs) + len(design.grown)  # each is rounded to a yen by itself
    given = [figure for figure in plan.figures.values() if figure.low is not None and figure.value is not None]
    assert [figure for figure in given if not figure.low - rounding <= figure.value <= figure.high + rounding] == []
    assert len(given) > 15


@pytest.mark.parametrize(("gross", "net"), [(143_000_000, 130_000_000), (11, 10), (1, 0), (0, 0), (12, 10), (528_000_000_000, 480_000_000_000)])
def test_money_with_tax_loses_no_yen_to_the_floats_of_the_rate(gross, net):
    ledger = Ledger()
    rules = {"consumption-tax": (ledger.choice("rate", 0.1, "share", "rule"), 0.1)}
    found, _, figure = _net(SimpleNamespace(ledger=ledger, rules=rules), gross, "asked")
    assert found == net
    assert ledger.figures[figure].value == pytest.approx(gross / 1.1)


def lessons_in_growing_traffic(dish: float | None, traffic: str):
    """Six schools, ports and cells that fill up, a dish that may have no price; the designs for comparison are those of the growing traffic too."""
    technologies = tiny_technologies(dish=dish)
    for id, most in (("drop", 90), ("cell", 60)):
        capability = replace(technologies[id].capability, sites_per_facility=None, devices_per_facility=None, mbps_per_facility=quantity("Mbps", most))
        technologies[id] = replace(technologies[id], capability=capability)
    needs = Needs(down_mbps=Scaled(by="pupils", unit="Mbps", points=((1, 2), (100, 200)), source="sheet"), devices=quantity("devices", 2))
    data = replace(catalogue(), technologies=technologies, usecases={"lessons": usecase("lessons", needs)})
    ledger, region = Ledger(), tiny_region()
    given = Given(sentence="", region=region, catalogue=data, now=NOW, traffic=traffic)
    made = design_step(given, tuple((site.id, "lessons") for site in region.sites), ledger, silent, never)
    assert made.report.holds
    return made, ledger


@pytest.mark.parametrize("traffic", ["growth-20", "explosive"])
def test_below_its_break_even_price_a_technology_enters_a_design_of_growing_traffic_and_above_it_does_not(traffic):
    without, ledger = lessons_in_growing_traffic(None, traffic)
    (row,) = without.step.body["unpriced"]
    price = ledger.figures[row["break_even"]].value
    million, _ = lessons_in_growing_traffic(1_000_000, traffic)
    per_yen = next(one.npv for one in million.problem.prices if one.technology == "dish") / 1_000_000
    for share, enters in ((0.98, True), (1.02, False)):
        priced, _ = lessons_in_growing_traffic(price / per_yen * share, traffic)
        assert any("dish" in site.technologies for site in priced.design.sites) == enters
        assert (priced.design.cost < without.design.cost) == enters
