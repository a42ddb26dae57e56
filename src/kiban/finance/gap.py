"""What plant leaves to be paid each year: its upkeep less what its users or tenants pay for it.

In: yearly amounts of one body, each with its range or unknown. Out: the gap with its range, for the reader or as a figure of the ledger. Positive: the
town pays it; negative: a surplus. Nothing is guessed: with one unknown amount the gap is unknown, and so is its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiban.base.errors import FinanceError
from kiban.base.formula import formula
from kiban.finance.ledger import Ledger
from kiban.records.plan import Figure
from kiban.records.source import Quantity, Tax

UNIT = "JPY/year"


@dataclass(frozen=True)
class Gap:
    """Yen a year; None: unknown. low is the least upkeep with the greatest income, high the reverse."""

    value: float | None
    low: float | None
    high: float | None


@formula("finance.yearly_gap", UNIT)
def gap_of_a_year(values: Sequence[float]) -> float:
    """(upkeep, income) → what is left to be paid.

    >>> gap_of_a_year([120, 100])
    20
    """
    upkeep, income = values
    return upkeep - income


def yearly_gap(upkeep: Quantity | Figure, income: Quantity | Figure) -> Gap:
    """The gap of one year between two amounts in JPY/year.

    Raises
    ------
    FinanceError  an amount in another unit, or one with 消費税 inside and one without

    >>> from kiban.records.source import Confidence
    >>> paid = Quantity(unit="JPY/year", value=120, low=110, high=130, source="page", confidence=Confidence.B)
    >>> got = Quantity(unit="JPY/year", value=100, source="page", confidence=Confidence.B)
    >>> yearly_gap(paid, got)
    Gap(value=20, low=10, high=30)
    >>> yearly_gap(paid, Quantity(unit="JPY/year", needs_source=True))
    Gap(value=None, low=None, high=None)
    """
    for name, amount in (("upkeep", upkeep), ("income", income)):
        if amount.unit != UNIT:
            raise FinanceError(f"yearly gap, {name}", f"unit {amount.unit!r}", UNIT, "convert the amount")
    taxes = {amount.tax for amount in (upkeep, income) if isinstance(amount, Quantity)} & {Tax.included, Tax.excluded}
    if len(taxes) > 1:
        raise FinanceError("yearly gap", "one amount with tax, one without", "both alike", "take the tax out of one of them")
    (value, low, high), (against, least, most) = (_ends(amount) for amount in (upkeep, income))
    if value is None or low is None or high is None or against is None or least is None or most is None:
        return Gap(None, None, None)
    return Gap(gap_of_a_year([value, against]), gap_of_a_year([low, most]), gap_of_a_year([high, least]))


def enter_gap(ledger: Ledger, key: str, upkeep: str, income: str) -> str:
    """Enter the gap between two figures of the ledger, with its range, and return its id. Raises FinanceError as `yearly_gap` does."""
    gap = yearly_gap(ledger.figures[upkeep], ledger.figures[income])
    return ledger.formula(key, "finance.yearly_gap", UNIT, [upkeep, income], low=gap.low, high=gap.high)


def _ends(amount: Quantity | Figure) -> tuple[float | None, float | None, float | None]:
    """Value, least and greatest; an end that nobody gives is the value."""
    return amount.value, amount.value if amount.low is None else amount.low, amount.value if amount.high is None else amount.high
