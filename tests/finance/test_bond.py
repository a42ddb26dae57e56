"""Bonds: what may be raised, how it is paid back, what the tax grant counts. Every amount here was worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import FinanceError
from kiban.finance.bond import Terms, raised, redeem, service


def test_a_half_paid_project_leaves_its_other_half_to_a_bond_of_the_whole_local_share():
    # 40,000,000 − 20,000,000 = 20,000,000, all of it
    assert raised(40_000_000, 20_000_000, 1.0, 100_000) == 20_000_000


def test_nine_tenths_of_a_stand_alone_project_are_rounded_down_to_the_unit():
    # 12,345,678 × 0.9 = 11,111,110.2
    assert raised(12_345_678, 0, 0.9) == 11_111_110
    assert raised(12_345_678, 0, 0.9, 100_000) == 11_100_000


def test_a_project_that_is_paid_already_raises_nothing():
    assert raised(1_000_000, 1_200_000, 1.0, 100_000) == 0


def test_a_share_that_is_no_binary_number_is_taken_as_it_is_written():
    assert raised(10, 0, 0.7) == 7
    assert raised(3_000_000, 0, 0.6666666667) == 2_000_000


def test_a_share_above_one_is_refused():
    with pytest.raises(FinanceError, match=r"share 1\.1"):
        raised(1_000, 0, 1.1)


def test_twelve_years_with_three_of_grace_pay_interest_first_and_the_principal_in_nine_parts():
    debt = redeem("kaso", 20_000_000, 2027, Terms(share=1.0, years=12, grace=3, interest=0.01, counted=0.7))
    assert debt.first == 2028
    # 20,000,000 ÷ 9 = 2,222,222.2; the last year takes 20,000,000 − 8 × 2,222,222
    assert debt.principal == (0, 0, 0, *[2_222_222] * 8, 2_222_224)
    # 1 % of 20,000,000 three times and in the first year of principal; then 1 % of 17,777,778 and so on
    assert debt.interest is not None
    assert debt.interest[:6] == (200_000, 200_000, 200_000, 200_000, 177_777, 155_555)
    assert debt.interest[-1] == 22_222
    assert debt.memo is not None
    assert debt.memo[0] == 140_000  # 70 % of 200,000
    assert debt.memo[3] == 1_695_555  # 70 % of 2,422,222 = 1,695,555.4


def test_five_years_of_a_digital_bond_without_a_known_rate_pay_principal_only_and_say_no_interest():
    debt = redeem("digital", 9_000_000, 2027, Terms(share=0.9, years=5, counted=0.5))
    assert debt.principal == (1_800_000,) * 5
    assert debt.interest is None
    assert debt.memo == (900_000,) * 5


def test_a_town_without_tax_grant_is_counted_nothing():
    debt = redeem("kaso", 9_000_000, 2027, Terms(share=1.0, years=3, interest=0.02, counted=0.7), no_tax_grant=True)
    assert debt.memo == (0, 0, 0)


def test_without_a_known_share_of_the_tax_grant_there_is_no_memo():
    assert redeem("other", 9_000_000, 2027, Terms(share=1.0, years=3, interest=0.02)).memo is None


def test_unknown_years_leave_the_redemption_open():
    debt = redeem("kaso", 9_000_000, 2027, Terms(share=1.0, interest=0.02, counted=0.7))
    assert (debt.principal, debt.interest, debt.memo) == ((), None, None)
    assert service(debt, 2030) == 0


def test_the_redemption_is_not_longer_than_the_life_of_what_it_bought():
    debt = redeem("kaso", 6_000_000, 2027, Terms(share=1.0, years=12, grace=3), life=6.9)
    assert debt.principal == (0, 0, 0, 2_000_000, 2_000_000, 2_000_000)
    assert debt.life == 6.9


def test_a_life_shorter_than_the_grace_still_leaves_one_payment():
    assert redeem("kaso", 6_000_000, 2027, Terms(share=1.0, years=12, grace=3), life=2.0).principal == (0, 6_000_000)


def test_equal_payments_of_one_million_at_two_percent_over_three_years():
    # 1,000,000 × 0.02 × 1.02³ ÷ (1.02³ − 1) = 346,754.67
    debt = redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=3, interest=0.02), equal="payment")
    assert debt.interest == (20_000, 13_464, 6_799)  # 2 % of 1,000,000, 673,246, 339,956
    assert debt.principal == (326_754, 333_290, 339_956)


def test_the_unit_is_told_only_where_a_rule_gives_it():
    assert redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=3)).unit is None
    assert redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=3, unit=100_000)).unit == 100_000


@given(
    st.integers(0, 10**10),
    st.integers(1, 30),
    st.integers(0, 10),
    st.one_of(st.none(), st.floats(0, 0.1)),
    st.sampled_from(["principal", "payment"]),
    st.one_of(st.none(), st.floats(0.5, 40)),
)
def test_every_redemption_pays_back_what_was_raised(amount, years, grace, interest, equal, life):
    debt = redeem("bond", amount, 2027, Terms(share=1.0, years=years, grace=grace, interest=interest, counted=0.7), equal=equal, life=life)
    assert sum(debt.principal) == amount
    assert all(part >= 0 for part in debt.principal)
    assert len(debt.principal) <= years
    assert sum(service(debt, year) for year in range(2027, 2027 + 60)) == amount + sum(debt.interest or ())


def test_of_forty_million_half_paid_and_the_rest_a_depopulation_bond_six_million_stay_with_the_town_in_theory():
    bond = raised(40_000_000, 20_000_000, 1.0)
    debt = redeem("kaso", bond, 2027, Terms(share=1.0, years=12, grace=3, interest=0.0, counted=0.7))
    assert debt.memo is not None
    assert 40_000_000 - 20_000_000 - sum(debt.memo) == pytest.approx(6_000_000, abs=12)  # each year rounds down to the yen


def test_of_a_stand_alone_project_under_the_digital_bond_fifty_five_percent_stay_with_the_town_in_theory():
    bond = raised(10_000_000, 0, 0.9)
    debt = redeem("digital", bond, 2027, Terms(share=0.9, years=5, interest=0.0, counted=0.5))
    assert debt.memo is not None
    assert 10_000_000 - sum(debt.memo) == 5_500_000
