"""Sums, shares and rounding that join figures into totals.

In: numbers of the ledger. Out: one number. Which figures go in is said by the engine that calls; nothing here knows a technology or a place.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.base.formula import formula
from kiban.base.money import to_yen


@formula("finance.sum", "JPY")
def total(values: Sequence[float]) -> float:
    """Sum of amounts.

    >>> total([1, 2, 3])
    6
    """
    return sum(values)


@formula("finance.products", "JPY")
def sum_of_products(values: Sequence[float]) -> float:
    """Σ aᵢ × bᵢ of pairs a₁ b₁ a₂ b₂ …, rounded half up to whole yen.

    >>> sum_of_products([2, 10.25, 1, 0.1])
    21
    """
    return to_yen(sum(values[i] * values[i + 1] for i in range(0, len(values), 2)))


@formula("finance.gap", "share", flat=True)
def gap(values: Sequence[float]) -> float:
    """(cost − bound) ÷ cost; 0 when the cost is 0.

    >>> gap([200, 150])
    0.25
    """
    cost, bound = values
    return (cost - bound) / cost if cost else 0.0


@formula("finance.difference", "JPY")
def difference(values: Sequence[float]) -> float:
    """The first amount less all others.

    >>> difference([10, 3, 2])
    5
    """
    return values[0] - sum(values[1:])


@formula("finance.taxed", "JPY")
def taxed(values: Sequence[float]) -> float:
    """An amount with 消費税 at a rate, rounded half up to whole yen.

    >>> taxed([1000, 0.1])
    1100
    """
    amount, rate = values
    return to_yen(amount * (1 + rate))
