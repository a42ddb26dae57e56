"""Electricity of a design: kWh a year, and yen a year where somebody knows the price of a kWh.

In: lines, technologies, the price. Out: one row per technology with lines. The yen stand beside the budget and are not in it: who pays the
electricity of a site differs, and some upkeep prices hold it already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.base.money import to_yen
from kiban.records.funding import Energy, Line
from kiban.records.technology import Technology


def energy(lines: Sequence[Line], technologies: Mapping[str, Technology], price: float | None = None) -> tuple[Energy, ...]:
    """kWh a year by technology.

    Parameters
    ----------
    price  JPY/kWh, tax included; None: nobody has said it, the yen stay unknown

    Units are the greatest quantity of a line of the technology that counts in the unit of its kWh; a technology without such a line has 0 units,
    and its kWh are unknown, as are those of one whose file does not say what it uses.

    >>> energy((), {}, 30.0)
    ()
    """
    rows = []
    for id in sorted({line.technology for line in lines} & set(technologies)):
        technology = technologies[id]
        counted = [line.quantity for line in lines if line.technology == id and line.per == technology.energy_per and line.quantity is not None]
        units = max(counted, default=0.0)
        each = technology.kwh_per_year.value if technology.kwh_per_year is not None else None
        kwh = None if each is None or not counted else each * units
        rows.append(Energy(technology=id, units=units, kwh=kwh, yen=None if kwh is None or price is None else to_yen(kwh * price)))
    return tuple(rows)
