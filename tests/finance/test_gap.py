"""What public fibre leaves to be paid each year, with the published figures of one city, with ranges and with unknowns.

The minutes of the city's assembly of 2018-06-18 say: upkeep of the transmission plant about 132 M yen, income from lending it about 129 M yen.
"""

from __future__ import annotations

from datetime import date

import pytest

from kiban.base.errors import FinanceError
from kiban.finance.gap import Gap, enter_gap, yearly_gap
from kiban.finance.ledger import Ledger, recompute_all
from kiban.records.source import Confidence, Quantity, Source, Tax

MINUTES = Source(
    title="京丹後市議会 平成30年第3回定例会 2018-06-18(ブロードバンドネットワーク運営事業のIRU契約の収支)",
    url="https://chiholog.net/kyotolog/search.html?meeting_text=%22%EF%BC%A9%EF%BC%B2%EF%BC%B5%E5%A5%91%E7%B4%84%22",
    seen_on=date(2026, 11, 27),
)
UPKEEP, INCOME = 132_000_000, 129_000_000  # "about": whole millions, so each may be half a million off
HALF = 500_000


def yearly(value: float | None, *, half: float = 0.0, unit: str = "JPY/year", tax: Tax = Tax.unknown) -> Quantity:
    if value is None:
        return Quantity(unit=unit, needs_source=True, tax=tax)
    return Quantity(unit=unit, value=value, low=value - half, high=value + half, year=2018, tax=tax, source=MINUTES.title, confidence=Confidence.B)


def test_the_published_upkeep_and_income_come_out_as_the_gap_they_are():
    assert yearly_gap(yearly(UPKEEP), yearly(INCOME)) == Gap(3_000_000, 3_000_000, 3_000_000)


def test_amounts_told_in_whole_millions_leave_a_gap_of_two_to_four():
    assert yearly_gap(yearly(UPKEEP, half=HALF), yearly(INCOME, half=HALF)) == Gap(3_000_000, 2_000_000, 4_000_000)


def test_income_above_upkeep_is_a_surplus():
    assert yearly_gap(yearly(INCOME), yearly(UPKEEP)).value == -3_000_000


@pytest.mark.parametrize(("upkeep", "income"), [(None, INCOME), (UPKEEP, None), (None, None)])
def test_with_one_unknown_amount_the_gap_and_its_range_are_unknown(upkeep, income):
    assert yearly_gap(yearly(upkeep), yearly(income)) == Gap(None, None, None)


def test_another_unit_or_another_state_of_tax_is_refused():
    with pytest.raises(FinanceError, match="JPY/month"):
        yearly_gap(yearly(UPKEEP, unit="JPY/month"), yearly(INCOME))
    with pytest.raises(FinanceError, match="one amount with tax"):
        yearly_gap(yearly(UPKEEP, tax=Tax.included), yearly(INCOME, tax=Tax.excluded))


def test_in_the_ledger_the_gap_follows_its_leaves():
    ledger = Ledger()
    paid = ledger.source("upkeep", UPKEEP, "JPY/year", MINUTES.title, Confidence.B)
    got = ledger.source("income", INCOME, "JPY/year", MINUTES.title, Confidence.C)
    gap = ledger.figures[enter_gap(ledger, "gap", paid, got)]
    assert (gap.value, gap.low, gap.high, gap.formula, gap.confidence) == (3_000_000, 3_000_000, 3_000_000, "finance.yearly_gap", Confidence.C)
    assert recompute_all(ledger.figures, {"income": INCOME * 1.1}, {})["gap"] == pytest.approx(UPKEEP - 1.1 * INCOME)


def test_in_the_ledger_an_unknown_amount_leaves_the_gap_unknown():
    ledger = Ledger()
    paid, got = ledger.source("upkeep", UPKEEP, "JPY/year", MINUTES.title, Confidence.B), ledger.source("income", None, "JPY/year", "not told")
    assert ledger.figures[enter_gap(ledger, "gap", paid, got)].value is None
