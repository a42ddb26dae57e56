"""Integer yen, and rounding that a finance section can repeat.

Money is an int of yen everywhere. Fractions exist only inside a formula and are rounded once, half up, at its end.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

Yen = int


def to_yen(amount: float | Fraction) -> Yen:
    """Round an amount to whole yen, half away from zero.

    >>> to_yen(0.5), to_yen(1.5), to_yen(-0.5), to_yen(Fraction(7, 2))
    (1, 2, -1, 4)
    """
    if not isinstance(amount, Fraction) and abs(amount) < 2.0**53:  # what is behind the point is exact, so this rounds as the decimal digits do
        size = abs(float(amount))
        whole = math.floor(size)
        whole += size - whole >= 0.5
        return whole if amount >= 0 else -whole
    exact = Decimal(amount.numerator) / Decimal(amount.denominator) if isinstance(amount, Fraction) else Decimal(repr(float(amount)))
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def thousands(amount: Yen) -> str:
    """Print yen as 千円, the unit of a Japanese budget table, rounded half up.

    >>> thousands(12_345_678)
    '12,346'
    """
    return f"{to_yen(Fraction(amount, 1000)):,}"
