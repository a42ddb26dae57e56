"""Present values 現在価値: the formulas by which one unit of a cost item becomes one amount.

In: amounts of the source, tax taken out, in yen of the source (no escalation). Out: one number each. A fiscal year t of the horizon counts
from 0 and is discounted by δᵗ, δ = 1 ÷ (1 + discount); what stands at the horizon's end is worth its unused share, straight line, discounted δᴴ.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from kiban.base.formula import formula


@formula("finance.net_of_tax", "JPY")
def net_of_tax(values: Sequence[float]) -> float:
    """An amount with 消費税 inside, at a rate → without it.

    >>> net_of_tax([3, 0.5])
    2.0
    """
    amount, rate = values
    return amount / (1 + rate)


@formula("finance.as_given", "JPY")
def as_given(values: Sequence[float]) -> float:
    """The only figure, or the one of the latest year.

    >>> as_given([5])
    5
    """
    (amount,) = values
    return amount


@formula("finance.median", "JPY", flat=True)
def median(values: Sequence[float]) -> float:
    """The middle figure; of an even number the mean of the two in the middle.

    >>> median([3, 1, 2]), median([1, 2])
    (2, 1.5)
    """
    return statistics.median(values)


@formula("finance.renewal_year", "year of the horizon", flat=True)
def renewal_year(values: Sequence[float]) -> float:
    """(year built, life, first fiscal year) → year of the horizon in which plant is renewed; 0 when its life is over.

    >>> renewal_year([2010, 20, 2026]), renewal_year([1999, 20, 2026])
    (4, 0)
    """
    built, life, start = values
    return max(0, math.floor(built + life - start))


def purchases(life: float, first: int, horizon: int) -> list[float]:
    """The moments, in years from the start, at which something is bought: at `first`, and at each end of life before the horizon's end.

    >>> purchases(7.5, 0, 15), purchases(10, 12, 15), purchases(10, 15, 15)
    ([0.0, 7.5], [12], [])
    """
    count = max(0, math.ceil((horizon - first) / life))
    return [first + life * index for index in range(count) if first + life * index < horizon]


@formula("finance.npv_initial", "JPY", flat=True)
def npv_initial(values: Sequence[float]) -> float:
    """(unit yen, life, horizon, discount) → present value of buying now and again at each end of life, less the residual.

    >>> npv_initial([1000, 10, 15, 0.0])  # twice, and half of the second is left
    1500.0
    """
    unit, life, horizon, discount = values
    return npv_renewal([unit, life, 0, horizon, discount])


@formula("finance.npv_renewal", "JPY", flat=True)
def npv_renewal(values: Sequence[float]) -> float:
    """(unit yen, life, first, horizon, discount) → the same, bought for the first time in year `first`; a purchase is paid in the year it falls in.

    >>> npv_renewal([1000, 8, 9, 15, 0.0]), npv_renewal([1000, 10, 15, 15, 0.0])
    (750.0, 0.0)
    """
    unit, life, first, horizon, discount = values
    moments = purchases(life, int(first), int(horizon))
    if not moments:
        return 0.0
    left = (moments[-1] + life - horizon) / life
    return unit * (sum(math.pow(1 + discount, -math.floor(moment)) for moment in moments) - left * math.pow(1 + discount, -horizon))


@formula("finance.npv_yearly", "JPY")
def npv_yearly(values: Sequence[float]) -> float:
    """(discount, yen of year 0, yen of year 1, …) → present value of paying every year of the horizon.

    >>> npv_yearly([0.25, 100, 100])
    180.0
    """
    discount, *amounts = values
    return sum(amount * math.pow(1 + discount, -year) for year, amount in enumerate(amounts))
