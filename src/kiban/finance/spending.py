"""What is paid in which year: cash, not present value.

In: prices. Out: yen per unit and fiscal year, and sums of the first years, tax excluded and included. Residual values are no cash and stay out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from kiban.base.errors import FinanceError
from kiban.base.formula import formula
from kiban.base.money import Yen, to_yen
from kiban.finance.present import purchases
from kiban.finance.totals import sum_of_products, taxed
from kiban.records.design import Price


def spending(price: Price, horizon: int) -> list[float]:
    """What one unit costs in each fiscal year.

    Returns
    -------
    (horizon,)  JPY per unit, tax excluded, of the source's year; purchases in the year in which they fall

    Raises
    ------
    FinanceError  the price knows fewer years than asked for

    >>> from kiban.records.source import Confidence
    >>> radio = Price(
    ...     id="r#gear", technology="r", cost="gear", phase="initial", per="site", unit_yen=(900.0,), life=2, npv=0, low=0, high=0, confidence=Confidence.B
    ... )
    >>> spending(radio, 5)
    [900.0, 0.0, 900.0, 0.0, 900.0]
    """
    if price.phase == "yearly":
        if len(price.unit_yen) < horizon:
            raise FinanceError(f"price {price.id}", f"{len(price.unit_yen)} years", f"at least {horizon}", "price it over a longer horizon")
        return list(price.unit_yen[:horizon])
    years = [0.0] * horizon
    for moment in purchases(price.life or math.inf, price.first, horizon):
        years[math.floor(moment)] += price.unit_yen[0]
    return years


@formula("finance.spent_in_year", "JPY", flat=True)
def spent_in_year(values: Sequence[float]) -> float:
    """(unit yen, life, first, year) → what is paid for purchases that fall in one year of the horizon, not discounted.

    >>> spent_in_year([900, 2, 0, 2]), spent_in_year([900, 2, 0, 3])
    (900, 0)
    """
    unit, life, first, year = values
    return unit * sum(math.floor(moment) == year for moment in purchases(life, int(first), int(year) + 1))


def arc_cost(items: Iterable[tuple[Price, float]]) -> Yen:
    """Σ present value × units, rounded half up once; the cost of an arc or a step, and formula finance.products over the same numbers.

    >>> from kiban.records.source import Confidence
    >>> line = Price(id="l#y", technology="l", cost="y", phase="yearly", per="km", unit_yen=(1.0,), npv=10.5, low=10, high=11, confidence=Confidence.B)
    >>> arc_cost([(line, 3.0)])
    32
    """
    return int(sum_of_products([number for price, units in items for number in (price.npv, units)]))


def first_years(items: Iterable[tuple[Price, float]], years: int, tax_rate: float) -> tuple[Yen, Yen]:
    """What is paid in the first years, not discounted: (tax excluded, tax included), each rounded half up once from the exact amount without tax.

    >>> from kiban.records.source import Confidence
    >>> line = Price(id="l#y", technology="l", cost="y", phase="yearly", per="km", unit_yen=(5.0, 5.0), npv=10, low=10, high=10, confidence=Confidence.B)
    >>> first_years([(line, 2.0)], 2, 0.1)
    (20, 22)
    """
    amount = sum(sum(spending(price, years)) * units for price, units in items)
    return to_yen(amount), int(taxed([amount, tax_rate]))
