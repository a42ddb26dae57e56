"""The viability of a service: worked by hand, counted out on a toy, and true for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import FinanceError
from kiban.catalogue import load
from kiban.finance.viability import Spread, triangular, viability
from kiban.records.funding import Budget, Line, Row, Viability
from kiban.records.region import Evidence, Fact
from kiban.records.source import Tax, Text

START = 2027
NAME = Text(ja="試験", en="test")
UNITS = {"users_now": "persons", "users_low": "persons", "users_high": "persons", "revenue_user_fee": "JPY/user/month", "outage_cost": "JPY/event"}


def facts(**values: float | str) -> dict[str, Fact]:
    return {id: Fact(id=id, value=value, unit=UNITS.get(id), evidence=Evidence(source="town")) for id, value in values.items()}


def budget(total: tuple[int, ...], *, general: tuple[int, ...] | None = None, end_year: int | None = None, months: int = 12, case: str = "refused") -> Budget:
    """A budget of one section; what the general fund does not pay, the nation does."""
    years = tuple(START + index for index in range(len(total)))
    general = general or total
    national = tuple(all_ - own for all_, own in zip(total, general, strict=True))

    def thousand(row: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(amount // 1000 for amount in row)

    sources = (Row(id="national", years=national), Row(id="general", years=general))
    return Budget(
        case=case,
        years=years,
        sections=(Row(id="service", years=total),),
        total=total,
        sources=sources,
        thousand_sections=(Row(id="service", years=thousand(total)),),
        thousand_total=thousand(total),
        thousand_sources=(
            Row(id="national", years=tuple(a - b for a, b in zip(thousand(total), thousand(general), strict=True))),
            Row(id="general", years=thousand(general)),
        ),
        low=total,
        high=total,
        months=(total[0], *(0,) * 11),
        running_months=months,
        cash=general,
        payer_after="general",
        end_year=end_year,
    )


def yearly_line(amount: float, years: int, low: float = 1.0, high: float = 1.0) -> Line:
    return Line(
        id="radio.fee", technology="radio", cost="fee", name=NAME, phase="yearly", per="site", section="service", category="service", quantity=1,
        unit_yen=amount, yearly=(amount,) * years, low=low, high=high, tax=Tax.excluded, basis="published",
    )  # fmt: skip


def bought_line(amount: float, life: float, low: float | None, high: float | None, years: int) -> Line:
    moments = [int(life * index) for index in range(int(np.ceil(years / life)))]
    yearly = tuple(amount if year in moments else 0.0 for year in range(years))
    return Line(
        id="radio.gear", technology="radio", cost="gear", name=NAME, phase="initial", per="site", section="equipment", category="equipment", quantity=1,
        unit_yen=amount, yearly=yearly, life=life, life_low=low, life_high=high, tax=Tax.excluded, basis="published",
    )  # fmt: skip


def judge(plan: Budget, lines: tuple[Line, ...] = (), adopted: Budget | None = None, **more: object) -> Viability:
    return viability(adopted or plan, plan, lines, **{"facts": {}, **more})


def test_two_sources_of_money_are_added_by_hand_and_the_first_year_counts_its_months() -> None:
    """100 users × 500 yen × 12 = 600,000; rental 200,000; together 800,000 a year and a quarter of it in the first, of three months."""
    known = facts(users_now=100, revenue_user_fee=500, revenue_rental=200_000)
    found = judge(budget((1_000_000, 300_000, 300_000, 300_000), months=3), facts=known)
    assert found.revenue == (200_000, 800_000, 800_000, 800_000)
    # after year 1: -800,000; year 2: -300,000; year 3: +200,000
    assert found.break_even == START + 2
    assert found.runs == (700_000, 700_000, 700_000)
    assert found.share_ends_positive == 1.0
    assert (found.varied, found.fixed) == ((), ("users", "price", "renewal", "outage"))


def test_the_cliff_is_what_the_general_fund_pays_more_in_the_year_after_support() -> None:
    adopted = budget((900, 900, 900), general=(100, 100, 900), end_year=START + 2, case="adopted")
    assert judge(budget((900, 900, 900)), adopted=adopted).cliff == 800
    assert judge(budget((900, 900, 900))).cliff is None


def test_nobody_who_named_a_revenue_gets_no_balance_but_the_facts_to_ask_for() -> None:
    found = judge(budget((10, 10)))
    assert (found.revenue, found.runs, found.share_ends_positive, found.break_even, found.tornado, found.draws) == (None, None, None, None, (), 0)
    assert found.missing[:5] == ("revenue_user_fee", "revenue_iru", "revenue_rental", "revenue_advertising", "revenue_local_asset")
    assert {"failures_per_year", "outage_cost", "track"} <= set(found.missing)


def test_a_fee_without_users_asks_for_the_users_and_counts_what_else_is_known() -> None:
    found = judge(budget((10, 10)), facts=facts(revenue_user_fee=500, revenue_iru=7))
    assert found.revenue == (7, 7)
    assert "users_now" in found.missing


def test_outages_cost_what_they_cost() -> None:
    """1,000 a year comes in, nothing is budgeted, two outages a year cost 300 each: 400 a year are left, over two years 800."""
    found = judge(budget((0, 0)), facts=facts(revenue_iru=1_000, failures_per_year=2, outage_cost=300))
    assert found.runs == (800, 800, 800)


def test_each_bar_of_the_tornado_is_the_balance_at_the_ends_of_one_input_and_the_widest_stands_first() -> None:
    """Two years: users 10…40 pay 100 a month; the fee of 6,000 a year without tax may be 0.5 to 2 times as much; 10 % tax is in the budget."""
    known = facts(users_now=20, users_low=10, users_high=40, revenue_user_fee=100)
    found = judge(budget((6_600, 6_600)), (yearly_line(6_000, 2, 0.5, 2.0),), facts=known)
    assert [(bar.input, bar.low, bar.high) for bar in found.tornado] == [
        ("users", 2_400 * 10 - 13_200, 2_400 * 40 - 13_200),
        ("price", 2_400 * 20 - 6_600, 2_400 * 20 - 26_400),
    ]
    assert found.varied == ("users", "price")
    assert found.fixed == ("renewal", "outage")


def test_draws_over_one_input_have_the_quantiles_of_its_triangle() -> None:
    """The balance rises with the users, so its quantiles are the balance at the users' quantiles."""
    known = facts(users_now=20, users_low=10, users_high=40, revenue_user_fee=100)
    found = judge(budget((6_600, 6_600)), facts=known, draws=4000)
    exact = 2_400 * triangular(Spread(10, 20, 40), np.array([0.1, 0.5, 0.9])) - 13_200
    assert found.runs == pytest.approx(exact.tolist(), abs=60)


def test_renewals_counted_out_one_by_one_give_the_same_shares() -> None:
    """Ten years, a life of 4 to 6 years, likeliest 5: two purchases where it lasts 5 years or more, three where less. Half of the triangle lies below 5."""
    life = (4.0, 5.0, 6.0)
    line = bought_line(1_000, life[1], life[0], life[2], 10)
    found = judge(budget((1_000, 0, 0, 0, 0, 1_000, 0, 0, 0, 0)), (line,), facts=facts(revenue_iru=250), draws=5000)
    positions = (np.arange(20_000) + 0.5) / 20_000
    counted = [2_500 - 1_000 * np.ceil(10 / one) for one in triangular(Spread(*life), positions)]
    assert sorted(set(counted)) == [-500, 500]
    assert found.share_ends_positive == pytest.approx(np.mean(np.array(counted) >= 0), abs=0.001)
    assert found.runs == (-500, pytest.approx(0, abs=500), 500)
    assert [(bar.low, bar.high) for bar in found.tornado] == [(-500, 500)]


def test_the_same_seed_gives_the_same_runs_and_another_seed_nearly_the_same() -> None:
    known = facts(users_now=20, users_low=10, users_high=40, revenue_user_fee=100, failures_per_year=2, failures_low=0, failures_high=9, outage_cost=500)
    one, again, other = (judge(budget((6_600, 6_600)), (yearly_line(6_000, 2, 0.5, 2),), facts=known, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.runs != other.runs
    assert one.runs == pytest.approx(other.runs, rel=0.05)


def test_ends_that_do_not_hold_the_likeliest_value_are_refused() -> None:
    with pytest.raises(FinanceError, match="users_low ≤ users_now ≤ users_high"):
        judge(budget((1, 1)), facts=facts(users_now=5, users_low=6, users_high=9, revenue_user_fee=1))


def test_the_track_and_the_gap_of_existing_plant_are_told() -> None:
    words = load(None, None).words
    known = facts(track="private", fibre_upkeep=900.0, iru_income=400.0)
    found = viability(budget((1, 1)), budget((1, 1)), (), known, texts=words)
    assert (found.track, found.gap) == ("private", 500)
    assert "自走" in found.track_text.ja
    assert "iru_income" in judge(budget((1, 1)), facts=facts(fibre_upkeep=900.0)).missing


AMOUNTS = st.integers(0, 10**9)


@given(
    total=st.lists(AMOUNTS, min_size=2, max_size=15),
    more=AMOUNTS,
    iru=AMOUNTS,
    users=st.integers(0, 5000),
    fee=st.integers(0, 10_000),
    months=st.integers(0, 12),
)
def test_more_revenue_never_lowers_the_balance(total: list[int], more: int, iru: int, users: int, fee: int, months: int) -> None:
    plan = budget(tuple(total), months=months)
    known = {"users_now": users, "users_low": users // 2, "users_high": users * 2, "revenue_user_fee": fee}
    less, greater = (judge(plan, facts=facts(**known, revenue_iru=amount), draws=50) for amount in (iru, iru + more))
    assert less.runs is not None
    assert greater.runs is not None
    assert all(a <= b for a, b in zip(less.runs, greater.runs, strict=True))
    assert less.runs[0] <= less.runs[1] <= less.runs[2]
    assert (greater.share_ends_positive or 0) >= (less.share_ends_positive or 0)


@given(total=st.lists(AMOUNTS, min_size=2, max_size=15), iru=AMOUNTS, seed=st.integers(0, 99))
def test_without_any_range_all_runs_are_equal(total: list[int], iru: int, seed: int) -> None:
    plan = budget(tuple(total))
    found = judge(plan, facts=facts(revenue_iru=iru), seed=seed, draws=20)
    assert found.runs == (iru * len(total) - sum(total),) * 3
    assert found.tornado == ()
