"""Buying, leasing, a service: three rows on one table of fiscal years."""

from __future__ import annotations

from datetime import date

from tests.finance.money_town import HORIZON, START, line

from kiban.finance.budget import costs
from kiban.finance.ways import ways
from kiban.records.funding import Answered, Quote, Way

LINES = (
    line("a.line", "initial", "works", 1_000_000),
    line("a.gear", "initial", "equipment", 1_000_000, yearly=(1_000_000.0, 0.0, 0.0, 1_000_000.0, 0.0, 0.0)),
    line("a.fee", "yearly", "service", 120_000),
)


def told(*lines, start_month: int = 4, **more) -> dict[str, Way]:
    side = costs(lines, start=START, horizon=HORIZON, tax_rate=0.1, start_month=start_month)
    return {way.id: way for way in ways(lines, side, tax_rate=0.1, **more)}


def leased(yen: float | None) -> tuple[Quote, ...]:
    return (Quote(supplier="A", received=date(2026, 12, 1), file="a.xlsx", answers=(Answered(line="a.gear", unit_yen=None, lease_yen_month=yen),)),)


def test_buying_is_the_budget():
    way = told(*LINES)["purchase"]
    assert way.years == (2_332_000, 132_000, 132_000, 1_232_000, 132_000, 132_000)
    assert (way.bondable, way.restricted) == ("yes", "no")


def test_what_a_subsidy_buys_may_not_be_disposed_of_freely():
    assert told(*LINES, subsidised=True)["purchase"].restricted == "yes"


def test_a_lease_by_its_rate_pays_every_month_and_never_a_renewal():
    # 1,000,000 × 0.02 × 12 = 240,000 a year and 120,000 of fees; works are bought: 1,000,000 in the first year
    way = told(*LINES, lease_rate=0.02)["lease"]
    assert way.years == (1_496_000, *[396_000] * 5)
    assert way.bondable == "no"


def test_a_lease_counts_the_months_of_the_first_year():
    way = told(*LINES, lease_rate=0.02, start_month=10)["lease"]
    assert way.years is not None
    assert way.years[0] == 1_298_000  # works 1,000,000, lease 120,000, fees 60,000, with tax


def test_a_quoted_lease_wins_over_the_rate():
    way = told(*LINES, lease_rate=0.02, quotes=leased(10_000.0))["lease"]
    assert way.years is not None
    assert way.years[1] == 264_000


def test_without_a_rate_or_a_quote_a_lease_is_not_computed_and_says_what_is_missing():
    way = told(*LINES)["lease"]
    assert (way.years, way.needs) == (None, ("a.gear", "lease_rate_month"))


def test_a_design_without_equipment_has_no_lease():
    way = told(line("a.line", "initial", "works", 1_000_000), lease_rate=0.02)["lease"]
    assert way.years is None
    assert way.note is not None


def test_a_service_awaits_its_yearly_price_and_says_what_it_leaves_unserved():
    assert told(*LINES)["service"].years is None
    way = told(*LINES, buy={"unserved": [{"site": "x", "usecase": "y"}], "unpriced": ["sat"]})["service"]
    assert way.needs == ("quotation", "technologies/sat")
    assert way.note is not None
    assert "1件" in way.note.ja


def test_awaiting_lines_are_named():
    way = told(*LINES, line("b.gear", "initial", "works", None))["purchase"]
    assert way.needs == ("b.gear",)
