"""Statistics over suppliers' answers, each case worked by hand."""

from __future__ import annotations

from datetime import date

import pytest

from kiban.base.errors import FinanceError
from kiban.catalogue import Catalogue
from kiban.finance.quotes import LEAST_FOR_OUTLIERS, enough, statistics, unit_price
from kiban.records.funding import Answered, Quote

DAY = date(2026, 12, 20)
GEAR, FEE, POWER = "radio.gear", "radio.fee", "radio.power"

# supplier: gear, fee, power (None: left open), valid until
TABLE = {
    "甲": (100_000.0, 1_200.0, None, date(2027, 3, 31)),
    "乙": (120_000.0, 1_500.0, None, None),
    "丙": (260_000.0, None, None, date(2026, 12, 19)),
    "丁": (110_000.0, 500.0, 0.0, date(2026, 12, 20)),
}


def quotes(*suppliers: str) -> list[Quote]:
    return [
        Quote(
            supplier=name,
            received=DAY,
            file=f"{name}.xlsx",
            valid_until=TABLE[name][3],
            answers=tuple(Answered(line=line, unit_yen=yen) for line, yen in zip((GEAR, FEE, POWER), TABLE[name][:3], strict=True)),
        )
        for name in suppliers or TABLE
    ]


@pytest.mark.parametrize(
    ("suppliers", "line", "middle", "count"),
    [
        (("甲",), GEAR, 100_000.0, 1),
        (("甲", "乙"), GEAR, 110_000.0, 2),
        (("甲", "乙", "丙"), GEAR, 120_000.0, 3),
        (("甲", "乙", "丙", "丁"), GEAR, 115_000.0, 4),
        (("甲", "乙", "丙"), FEE, 1_350.0, 2),
        (("甲", "乙", "丁"), FEE, 1_200.0, 3),
        (("丁",), POWER, 0.0, 1),
    ],
)
def test_the_median_is_that_of_the_answers_that_were_given(suppliers, line, middle, count):
    found = unit_price(quotes(*suppliers), line)
    assert found is not None
    assert (found.unit_yen, found.count) == (middle, count)


def test_a_line_that_nobody_priced_has_no_price():
    assert unit_price(quotes("甲", "乙"), POWER) is None
    assert unit_price([], GEAR) is None


def test_the_statistics_of_a_line_are_least_median_greatest_and_spread():
    gear, fee, power = statistics(quotes(), [GEAR, FEE, POWER], 2.0, DAY)
    assert (gear.n, gear.least, gear.median, gear.greatest, gear.spread) == (4, 100_000.0, 115_000.0, 260_000.0, 2.6)
    assert (fee.n, fee.least, fee.median, fee.greatest, fee.spread) == (3, 500.0, 1_200.0, 1_500.0, 3.0)
    assert (power.n, power.spread) == (1, None), "nothing is divided by 0"


def test_an_answer_far_above_or_below_is_asked_about_and_stays_in_the_median():
    gear, fee, power = statistics(quotes(), [GEAR, FEE, POWER], 2.0, DAY)
    assert gear.ask == ("丙",), "260,000 is more than 2 × 115,000"
    assert fee.ask == ("丁",), "500 is less than 1,200 ÷ 2"
    assert power.ask == ()
    assert gear.median == unit_price(quotes(), GEAR).unit_yen, "with the far answer in it"


def test_an_answer_at_the_factor_itself_is_not_far():
    def told(*yen: float) -> list[Quote]:
        return [Quote(supplier=str(place), received=DAY, file="x", answers=(Answered(line=GEAR, unit_yen=one),)) for place, one in enumerate(yen)]

    assert statistics(told(50.0, 100.0, 200.0), [GEAR], 2.0)[0].ask == ()
    assert statistics(told(49.9, 100.0, 200.1), [GEAR], 2.0)[0].ask == ("0", "2")


def test_of_two_answers_none_is_called_far():
    assert LEAST_FOR_OUTLIERS == 3
    assert statistics(quotes("甲", "丙"), [GEAR], 2.0)[0].ask == ()


def test_an_answer_whose_validity_is_over_is_named_and_still_counted():
    (gear,) = statistics(quotes(), [GEAR], 2.0, DAY)
    assert (gear.expired, gear.n) == (("丙",), 4)


def test_lines_that_nobody_priced_are_left_out_and_the_order_is_that_of_the_lines():
    assert [row.line for row in statistics(quotes("甲", "乙"), [FEE, POWER, GEAR], 2.0)] == [FEE, GEAR]


@pytest.mark.parametrize("factor", [1.0, 0.5, float("nan")])
def test_a_factor_that_is_not_above_one_is_refused(factor):
    with pytest.raises(FinanceError, match="a factor above 1"):
        statistics(quotes(), [GEAR], factor)


def test_enough_means_so_many_suppliers_on_every_line():
    assert enough(quotes(), 3)
    assert not enough(quotes("甲", "乙"), 3)
    assert enough(quotes(), 3, [GEAR, FEE])
    assert not enough(quotes(), 3, [GEAR, FEE, POWER])
    blank = Quote(supplier="戊", received=DAY, file="e.xlsx", answers=(Answered(line=GEAR, unit_yen=None),))
    assert not enough([*quotes("甲", "乙"), blank], 3), "a supplier that priced nothing is no quotation"


def test_the_factor_is_data_with_a_source_and_a_reason(shipped_catalogue: Catalogue):
    value = shipped_catalogue.rule_at("quote-outlier", DAY).quantity
    assert value.value is not None
    assert value.value > 1
    assert value.source in shipped_catalogue.rules["quote-outlier"].sources
    assert value.note
