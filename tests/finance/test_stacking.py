"""Money from outside: which supports are counted on together, and on which year their money falls."""

from __future__ import annotations

from msgspec.structs import replace
from tests.finance.money_town import HORIZON, START, facts, line, support

from kiban.finance.budget import Costs, costs
from kiban.finance.stacking import money
from kiban.finance.support import Project, answers

LINES = (
    line("a.gear", "initial", "works", 10_000_000, life=20.0),
    line("b.gear", "initial", "equipment", 5_000_000, life=5.0),
    line("a.fee", "yearly", "upkeep", 1_200_000),
)


def side_of(start_month: int = 4) -> Costs:
    return costs(LINES, start=START, horizon=HORIZON, tax_rate=0.0, start_month=start_month)


def counted(supports, start_month: int = 4, **more):
    side = side_of(start_month)
    project = Project(initial=side.initial, yearly={"upkeep": 1_200_000})
    return {part.support: part for part in money(answers(supports, facts(), project, START), supports, side, LINES, **more)}


def test_a_support_for_purchases_pays_in_the_first_year_only():
    assert counted({"grant": support("national", 0.5)})["grant"].years == (7_500_000, 0, 0, 0, 0, 0)


def test_only_the_categories_that_count_are_paid():
    assert counted({"grant": support("national", 0.5, counts=("works",))})["grant"].years[0] == 5_000_000


def test_the_ceiling_holds():
    assert counted({"grant": support("national", 0.5, ceiling=1_000_000)})["grant"].years[0] == 1_000_000


def test_a_support_below_its_floor_is_not_counted_on():
    assert counted({"grant": support("national", 0.5, floor=20_000_000)}) == {}


def test_an_unknown_share_is_not_counted_on():
    assert counted({"grant": support("national", None)}) == {}


def test_memo_operator_and_goods_are_no_money():
    assert counted({column: support(column, 0.5) for column in ("memo", "operator", "in_kind")}) == {}


def test_a_text_of_an_earlier_year_is_counted_as_past():
    part = counted({"grant": support("national", 0.5, year=2026)})["grant"]
    assert (part.past, part.years[0]) == (True, 7_500_000)


def test_two_grants_never_pay_for_the_same_cost_and_the_greater_is_taken():
    assert list(counted({"a": support("national", 0.5), "b": support("prefecture", 0.75)})) == ["b"]


def test_a_current_text_is_taken_before_a_greater_example():
    assert list(counted({"a": support("national", 0.5), "b": support("prefecture", 0.75, year=2026)})) == ["a"]


def test_two_grants_for_different_costs_are_both_taken():
    found = counted({"a": support("national", 0.5, counts=("works",)), "b": support("prefecture", 0.5, counts=("equipment",))})
    assert {id: part.years[0] for id, part in found.items()} == {"a": 5_000_000, "b": 2_500_000}


def test_a_grant_on_the_local_share_of_another_pays_its_share_of_the_rest():
    found = counted({"a": support("national", 0.5), "b": support("prefecture", 0.5, order=2, local_share_of=("a",))})
    assert {id: part.years[0] for id, part in found.items()} == {"a": 7_500_000, "b": 3_750_000}


def test_grants_that_rule_each_other_out_are_not_taken_together():
    found = counted({"a": support("national", 0.5, counts=("works",), not_with=("b",)), "b": support("prefecture", 0.5, counts=("equipment",))})
    assert list(found) == ["a"]


def test_running_costs_are_paid_for_the_months_that_the_text_names():
    # service from October: 6 months in the first year, 600,000 of running cost; 18 months are the first six and the year after
    part = counted({"run": support("national", 0.5, counts=("upkeep",), stage=("run",), months=18)}, start_month=10)["run"]
    assert part.years == (300_000, 600_000, 0, 0, 0, 0)


def test_without_months_running_costs_are_paid_as_long_as_the_text_holds():
    part = counted({"run": support("national", 0.5, counts=("upkeep",), stage=("run",), valid_to=2029)})["run"]
    assert part.years == (600_000, 600_000, 600_000, 0, 0, 0)


def test_a_running_support_of_an_earlier_year_is_an_example_for_the_first_year_alone():
    part = counted({"run": support("national", 0.5, counts=("upkeep",), stage=("run",), year=2026)})["run"]
    assert (part.past, part.years) == (True, (600_000, 0, 0, 0, 0, 0))


def test_purchase_and_running_supports_stand_together():
    found = counted({"buy": support("national", 0.5), "run": support("prefecture", 0.5, counts=("upkeep",), stage=("run",))})
    assert set(found) == {"buy", "run"}


def test_a_bond_is_raised_on_what_the_grant_leaves_rounded_down():
    found = counted({"grant": support("national", 0.5), "bond": support("bond", 0.95, order=2, rounding=100_000, local_share_of=("grant",))})
    assert found["bond"].years[0] == 7_100_000  # 7,500,000 × 0.95 = 7,125,000


def test_the_rule_of_rounding_holds_where_the_text_names_none():
    bond = support("bond", 0.95, local_share_of=("grant",))
    assert counted({"bond": bond}, unit=100_000)["bond"].years[0] == 14_200_000
    assert counted({"bond": bond})["bond"].years[0] == 14_250_000


def test_a_bond_that_stands_alone_is_not_raised_beside_a_grant():
    grant, bond = support("national", 0.5), support("bond", 0.9, order=2, alone=True)
    assert list(counted({"grant": grant, "bond": bond})) == ["grant"]
    assert list(counted({"bond": bond})) == ["bond"]


def test_a_bond_may_not_pay_the_local_share_of_a_grant_that_it_does_not_name():
    found = counted({"grant": support("national", 0.5), "bond": support("bond", 1.0, order=2, local_share_of=("other",))})
    assert list(found) == ["grant"]


def test_only_one_bond_is_raised_the_first_in_order():
    found = counted({"a": support("bond", 0.9, order=3, local_share_of=("x",)), "b": support("bond", 0.7, order=2, local_share_of=("x",))})
    assert list(found) == ["b"]


def test_the_towns_own_rate_of_interest_wins():
    found = counted({"bond": support("bond", 1.0, interest=0.05, local_share_of=("x",))}, interest=0.01)
    debt = found["bond"].debt
    assert debt is not None
    assert debt.interest is not None
    assert debt.interest[0] == 150_000


def test_the_redemption_ends_with_the_mean_life_of_what_was_bought():
    # (10,000,000 × 20 + 5,000,000 × 5) ÷ 15,000,000 = 15 years: twelve fit; of the equipment alone five
    whole = counted({"bond": support("bond", 1.0, local_share_of=("x",))})["bond"].debt
    goods = counted({"bond": support("bond", 1.0, counts=("equipment",), local_share_of=("x",))})["bond"].debt
    assert whole is not None
    assert goods is not None
    assert (len(whole.principal), len(goods.principal)) == (12, 5)


def test_income_is_taken_off_the_months_that_are_run_before_the_share():
    kept = support("national", 0.5, counts=("upkeep",), stage=("run",), valid_to=START + 2)
    kept = replace(kept, editions=(replace(kept.editions[0], less=("iru_income",)),))
    side, known = side_of(10), facts(iru_income=400_000.0)  # six months of 1,200,000 in the first year
    project = Project(initial=side.initial, yearly={"upkeep": 1_200_000})
    (part,) = money(answers({"upkeep": kept}, known, project, START), {"upkeep": kept}, side, LINES, facts=known)
    assert part.years == (200_000, 400_000, 400_000, 0, 0, 0)
