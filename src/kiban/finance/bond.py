"""A bond 地方債: how much may be raised, how it is paid back, and what the tax grant counts of it in theory.

In: yen of the project, of what is deducted, and the terms of the bond. Out: whole yen by fiscal year.
    raised = ⌊(project − deducted) × share⌋ down to a multiple of the rounding unit        対象事業費 − 控除財源, × 充当率
    one payment a year from the year after, interest only during the years of grace; interest on what is still owed, rounded down to the yen
    memo   = counted share × (principal + interest) of each year: theoretical, never a source of money
Which bond fits a project is said by finance.support; how it stands in the budget, by finance.budget.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from kiban.base.errors import FinanceError
from kiban.base.money import Yen
from kiban.records.funding import Debt

Equal = Literal["principal", "payment"]  # 元金均等 · 元利均等


def exact(share: float) -> Fraction:
    """A share as it is written: 0.9 means nine tenths, not the nearest binary number, and 0.6666666667 two thirds.

    >>> exact(0.9), exact(0.6666666667)
    (Fraction(9, 10), Fraction(2, 3))
    """
    return Fraction(share).limit_denominator(1_000_000)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a bond says of itself.

    share     of the local share that may be raised, 0…1; years: in all, None: unknown; grace: years without principal, among them
    interest  1/year, None: unknown; counted: share of principal and interest that the tax grant counts, None: unknown
    unit      JPY: raised down to a multiple of it; None: no rule gives it, and the yen is taken
    """

    share: float
    years: int | None = None
    grace: int = 0
    interest: float | None = None
    counted: float | None = None
    unit: int | None = None


def raised(project: Yen, deducted: Yen, share: float, unit: int = 1) -> Yen:
    """The bond that may be raised: the project less what is deducted, times the share, down to a multiple of the unit; never below 0.

    Raises
    ------
    FinanceError  a share outside 0…1 or a unit below 1

    >>> raised(40_000_000, 20_000_000, 1.0, 100_000), raised(12_345_678, 0, 0.9, 100_000), raised(12_345_678, 0, 0.9)
    (20000000, 11100000, 11111110)
    """
    if not 0 <= share <= 1 or unit < 1:
        raise FinanceError("bond", f"share {share:g}, rounding unit {unit}", "a share from 0 to 1 and a unit of 1 yen or more", "correct the rule")
    return math.floor(max(0, project - deducted) * exact(share) / unit) * unit


def redeem(support: str, amount: Yen, year: int, terms: Terms, *, equal: Equal = "principal", no_tax_grant: bool = False, life: float | None = None) -> Debt:
    """The redemption of a bond that is raised in fiscal year `year`.

    Parameters
    ----------
    equal         principal: the same principal each year after grace, rounded down, the last year takes the rest ·
                  payment: the same payment each year after grace; where the interest is unknown or 0 as by principal
    no_tax_grant  True: a town without tax grant is counted nothing
    life          years that what is bought lasts; a longer redemption is cut to it, rounded down, at least one year of principal

    Returns
    -------
    Debt; years unknown: without payments (principal ()), interest unknown: interest None, memo of the principal only

    >>> debt = redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=5, grace=1, interest=0.01, counted=0.7))
    >>> debt.first, debt.principal, debt.interest
    (2028, (0, 250000, 250000, 250000, 250000), (10000, 10000, 7500, 5000, 2500))
    >>> debt.memo
    (7000, 182000, 180250, 178500, 176750)
    >>> redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=3)).principal
    (333333, 333333, 333334)
    """
    if amount < 0:
        raise FinanceError(f"bond {support}", f"{amount} yen", "0 yen or more", "report this")
    if terms.years is None:
        return Debt(support=support, year=year, amount=amount, first=year + 1, principal=(), unit=terms.unit)
    years = terms.years if life is None else min(terms.years, max(1, math.floor(life)))
    grace = min(terms.grace, years - 1)
    count = years - grace
    if equal == "payment" and terms.interest is not None and exact(terms.interest):
        principal = _equal_payment(amount, count, exact(terms.interest))
    else:
        principal = [amount // count] * (count - 1)
        principal.append(amount - sum(principal))
    principal = [0] * grace + principal
    interest = None
    if terms.interest is not None:
        owed, interest = amount, []
        for part in principal:
            interest.append(math.floor(owed * exact(terms.interest)))
            owed -= part
    memo = None
    if no_tax_grant:
        memo = tuple(0 for _ in principal)
    elif terms.counted is not None:
        memo = tuple(math.floor((part + rest) * exact(terms.counted)) for part, rest in zip(principal, interest or [0] * years, strict=True))
    return Debt(
        support=support,
        year=year,
        amount=amount,
        first=year + 1,
        principal=tuple(principal),
        interest=None if interest is None else tuple(interest),
        memo=memo,
        life=life if life is not None and years < terms.years else None,
        unit=terms.unit,
    )


def _equal_payment(amount: Yen, count: int, rate: Fraction) -> list[Yen]:
    """Principal by year where principal and interest add up to the same payment, rounded down to the yen; the last year takes the rest."""
    growth = (1 + rate) ** count
    payment = math.floor(amount * rate * growth / (growth - 1))
    owed, parts = amount, []
    for _ in range(count - 1):
        part = payment - math.floor(owed * rate)
        parts.append(part)
        owed -= part
    return [*parts, owed]


def service(debt: Debt, year: int) -> Yen:
    """What a bond costs in a fiscal year: principal, and interest where it is known.

    >>> debt = redeem("bond", 1_000_000, 2027, Terms(share=1.0, years=5, grace=1, interest=0.01))
    >>> service(debt, 2027), service(debt, 2029), service(debt, 2033)
    (0, 260000, 0)
    """
    place = year - debt.first
    if not 0 <= place < len(debt.principal):
        return 0
    return debt.principal[place] + (debt.interest[place] if debt.interest is not None else 0)
