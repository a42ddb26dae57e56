"""Traffic, plant, electricity, money and years in the design step of a tiny region: what is asked for is in the body, and the design obeys it."""

from __future__ import annotations

from tests.loop.test_ledger import tiny

from kiban.check import check_design


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
