"""Budgets: every year balances to the yen, in both tables and in both units; money from outside never exceeds what is left to pay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finance.money_town import HORIZON, START, line, support

from kiban.base.errors import FinanceError, RecordError
from kiban.finance.budget import Costs, Money, budget, costs, revenue_years, running_months
from kiban.finance.stacking import money
from kiban.finance.support import Project, answers
from kiban.records.funding import Budget


def side_of(*lines, start_month=4, tax_rate=0.1) -> Costs:
    return costs(lines, start=START, horizon=HORIZON, tax_rate=tax_rate, start_month=start_month)


def column(table: Budget, id: str, *, thousand: bool = False) -> tuple[int, ...]:
    return next(row.years for row in (table.thousand_sources if thousand else table.sources) if row.id == id)


def test_tax_is_added_to_the_sum_of_a_section_and_rounded_once():
    # 0.5 + 0.5 tax excluded are 1.1 with tax: one yen, where two rounded lines would be two
    side = side_of(line("a.x", "initial", "works", 0.5), line("b.x", "initial", "works", 0.5))
    assert side.total[0] == 1


def test_half_a_yen_is_rounded_up():
    assert side_of(line("a.x", "initial", "works", 5.0), tax_rate=0.1).total[0] == 6  # 5.5


def test_the_first_year_pays_running_costs_only_from_the_month_of_the_start():
    side = side_of(line("a.fee", "yearly", "service", 1_200_000), start_month=13)  # January: three months
    assert side.total == (330_000, *[1_320_000] * 5)
    assert side.months == (0,) * 9 + (110_000,) * 3


def test_purchases_are_paid_in_the_month_before_the_start():
    side = side_of(line("a.gear", "initial", "equipment", 1_000_000), line("a.fee", "yearly", "service", 120), start_month=15)
    assert side.months == (0,) * 10 + (1_100_000, 11)


def test_a_start_in_april_buys_in_april():
    side = side_of(line("a.gear", "initial", "equipment", 1_000), start_month=4)
    assert side.months == (1_100, *[0] * 11)


def test_a_start_outside_the_first_year_is_refused():
    with pytest.raises(FinanceError, match="16"):
        running_months(16)


def test_renewals_are_named_by_their_fiscal_year():
    side = side_of(line("a.gear", "initial", "equipment", 100, yearly=(100.0, 0.0, 0.0, 100.0, 0.0, 0.0)))
    assert side.renewals == (2030,)


def test_the_ends_of_the_evidence_stand_beside_the_total():
    side = side_of(line("a.gear", "initial", "equipment", 1_000, low=0.5, high=2.0))
    assert (side.low[0], side.total[0], side.high[0]) == (550, 1_100, 2_200)


def test_an_awaiting_line_adds_nothing():
    assert side_of(line("a.gear", "initial", "equipment", None)).total == (0,) * HORIZON


def test_half_paid_by_the_state_and_the_rest_by_a_bond_leaves_the_town_its_running_costs():
    lines = (line("a.gear", "initial", "works", 40_000_000), line("a.fee", "yearly", "upkeep", 1_000_000))
    supports = {
        "grant": support("national", 0.5, order=1),
        "bond": support("bond", 1.0, order=2, rounding=100_000, interest=0.01, local_share_of=("grant",)),
    }
    side = side_of(*lines, start_month=10)
    aid = money(answers(supports, {}, Project(initial=side.initial), START), supports, side, lines)
    table = budget("adopted", side, aid)
    # 44,000,000 of works, half from the state; the other half a bond; six months of running cost from the general fund
    assert column(table, "national") == (22_000_000, 0, 0, 0, 0, 0)
    assert column(table, "bond") == (22_000_000, 0, 0, 0, 0, 0)
    assert column(table, "general") == (550_000, *[1_100_000] * 5)
    # cash: three years of interest 220,000 after the first
    assert table.cash == (550_000, 1_320_000, 1_320_000, 1_320_000, 1_100_000 + 220_000 + 2_444_444, 1_100_000 + 195_555 + 2_444_444)
    assert table.end_year == 2028
    assert table.debt[0].memo is not None


def test_a_memo_is_no_source():
    side = side_of(line("a.gear", "initial", "works", 1_000))
    with pytest.raises(FinanceError, match="column memo"):
        budget("adopted", side, [Money(support="grant", column="memo", years=(1_100, 0, 0, 0, 0, 0))])


def test_a_budget_that_does_not_balance_cannot_be_built():
    side = side_of(line("a.gear", "initial", "works", 1_000))
    table = budget("refused", side)
    with pytest.raises(RecordError, match="parts add up to"):
        Budget(**{name: getattr(table, name) for name in table.__struct_fields__} | {"total": (1, *table.total[1:])})


def test_thousand_yen_round_costs_up_money_from_outside_down_and_leave_the_rest_to_the_town():
    side = side_of(line("a.gear", "initial", "works", 910_001), tax_rate=0.0)
    table = budget("adopted", side, [Money(support="grant", column="national", years=(455_999, 0, 0, 0, 0, 0))])
    assert table.thousand_total[0] == 911
    assert column(table, "national", thousand=True)[0] == 455
    assert column(table, "general", thousand=True)[0] == 456
    assert column(table, "general")[0] == 454_002


def test_income_pays_what_is_left_and_never_more():
    side = side_of(line("a.fee", "yearly", "service", 1_000), start_month=10)
    table = budget("refused", side, (), revenue_years(2_000.0, HORIZON, side.running_months))
    assert column(table, "other") == (550, *[1_100] * 5)
    assert column(table, "general") == (0,) * HORIZON
    assert table.payer_after == "other"


def test_nobody_is_said_to_pay_while_nobody_has_said_it():
    side = side_of(line("a.fee", "yearly", "service", 1_000))
    assert budget("refused", side).payer_after == "unknown"
    assert budget("refused", side, payer_known=True).payer_after == "general"


CATEGORIES = ("works", "equipment", "service", "upkeep", "rent")


@st.composite
def some_lines(draw):
    found = []
    for index in range(draw(st.integers(1, 6))):
        phase = draw(st.sampled_from(["initial", "yearly"]))
        amount = draw(st.one_of(st.none(), st.floats(0, 5e8), st.integers(0, 500_000_000)))
        low, high = draw(st.floats(0, 1)), draw(st.floats(1, 5))
        life = draw(st.sampled_from([None, 3.0, 10.0, 20.3]))
        found.append(line(f"t{index}.x", phase, draw(st.sampled_from(CATEGORIES)), amount, low=low, high=high, life=life))
    return tuple(found)


@st.composite
def some_supports(draw):
    ids = [f"s{index}" for index in range(draw(st.integers(0, 6)))]
    found = {}
    for id in ids:
        others = st.lists(st.sampled_from(ids), unique=True, max_size=3).map(tuple)
        found[id] = support(
            draw(st.sampled_from(["national", "prefecture", "bond", "other", "memo", "operator"])),
            draw(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.6666666667, 0.75, 0.9, 1.0]), st.floats(0, 1))),
            counts=draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True).map(tuple)),
            stage=draw(st.sampled_from([("build",), ("run",), ("build", "run")])),
            year=draw(st.sampled_from([2024, 2026, 2027])),
            valid_to=draw(st.sampled_from([2027, 2029, 2040])),
            months=draw(st.sampled_from([None, 3, 12, 36])),
            ceiling=draw(st.one_of(st.none(), st.integers(0, 100_000_000))),
            order=draw(st.integers(1, 3)),
            rounding=draw(st.sampled_from([None, 1, 100_000])),
            years=draw(st.sampled_from([None, 5, 12])),
            interest=draw(st.sampled_from([None, 0.0, 0.013])),
            local_share_of=draw(others),
            not_with=draw(others),
            alone=draw(st.booleans()),
        )
    return found


@settings(max_examples=1000)
@given(
    lines=some_lines(),
    supports=some_supports(),
    start_month=st.integers(4, 15),
    tax_rate=st.sampled_from([0.0, 0.08, 0.1]),
    yearly=st.one_of(st.none(), st.floats(0, 1e8)),
    unit=st.sampled_from([None, 100_000]),
    no_grant=st.booleans(),
)
def test_every_year_of_both_tables_balances_over_any_mix_of_money(lines, supports, start_month, tax_rate, yearly, unit, no_grant):
    side = side_of(*lines, start_month=start_month, tax_rate=tax_rate)
    told = answers(supports, {}, Project(initial=side.initial, yearly={key: years[-1] for key, years in side.running.items()}), START)
    revenue = revenue_years(yearly, HORIZON, side.running_months)

    def made():
        aid = money(told, supports, side, lines, unit=unit, no_tax_grant=no_grant)
        return budget("adopted", side, aid, revenue), budget("refused", side, (), revenue)

    adopted, refused = made()
    assert (adopted, refused) == made()
    for table in (adopted, refused):
        for year in range(HORIZON):
            assert sum(row.years[year] for row in table.sections) == table.total[year] == sum(row.years[year] for row in table.sources)
            rows = (table.thousand_sections, table.thousand_sources)
            assert all(sum(row.years[year] for row in part) == table.thousand_total[year] for part in rows)
            assert table.low[year] <= table.total[year] <= table.high[year]
            assert table.cash[year] >= column(table, "general")[year]
        assert all(amount >= 0 for part in (*rows, table.sections, table.sources) for row in part for amount in row.years)
        assert [row.id for row in table.sources] == ["national", "prefecture", "bond", "other", "general"]
        assert sum(table.months) == table.total[0]
        assert 0 <= table.thousand_total[0] * 1000 - table.total[0] < 1000 * max(1, len(table.sections))
    assert column(adopted, "general")[0] <= column(refused, "general")[0]
    assert refused.supports == refused.debt == ()
    counted = {id for id in adopted.supports if supports[id].column in ("memo", "operator", "in_kind")}
    assert not counted
    assert column(adopted, "bond")[0] == sum(debt.amount for debt in adopted.debt)
    assert all(debt.memo is None or not no_grant or not any(debt.memo) for debt in adopted.debt)
