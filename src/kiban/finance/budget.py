"""The budget 予算ベース: nominal cash with consumption tax inside, by fiscal year, by section and by source of money, balanced to the yen.

In: lines of the estimate, the rate of tax, the month in which the service starts, and the money from outside. Out: a Budget. Rules of rounding:
    section of a year     Σ of its lines, tax excluded and exact, × (1 + tax), rounded half up to the yen once
    first year            purchases in full; running costs for the months from the start of the service to March
    money from outside    each part rounded down to the yen, never more than what is left to pay; the general fund is the rest
    thousand yen          rows of cost rounded up, money from outside rounded down, the general fund the rest: it balances too
A tax grant counts in a memo of a bond only; what a carrier is paid, or what comes in kind, is no source either. Which money may be counted on is
said by finance.stacking, bonds by finance.bond.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kiban.base.errors import FinanceError
from kiban.base.money import Yen, to_yen
from kiban.finance.bond import service
from kiban.records.funding import COLUMNS, Budget, Debt, Line, Row
from kiban.records.support import Category

NOISE = 4  # decimals of a yen: what half a yen is must not hang on the last bit of a product; the estimate's workbook rounds so too
YEAR = 12
APRIL = 4
GENERAL = "general"


@dataclass(frozen=True, kw_only=True)
class Money:
    """What one support puts into a table, by fiscal year; `debt` where it is a bond; past: its text is of an earlier year."""

    support: str
    column: str
    years: tuple[Yen, ...]
    debt: Debt | None = None
    past: bool = False


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The cost side of a budget, the same in both tables; whole yen, tax included."""

    years: tuple[int, ...]
    sections: tuple[Row, ...]
    total: tuple[Yen, ...]
    low: tuple[Yen, ...]
    high: tuple[Yen, ...]
    months: tuple[Yen, ...]
    running_months: int
    renewals: tuple[int, ...]
    initial: Mapping[Category, Yen] = field(default_factory=dict)  # purchases of the first year
    running: Mapping[Category, tuple[Yen, ...]] = field(default_factory=dict)  # running costs by year


def running_months(start_month: int) -> int:
    """Months of running cost in the first fiscal year; 4 is April of it, 15 the March after.

    Raises
    ------
    FinanceError  a month outside 4…15

    >>> running_months(4), running_months(10), running_months(15)
    (12, 6, 1)
    """
    if not APRIL <= start_month < APRIL + YEAR:
        raise FinanceError("service_start_month", str(start_month), "4 (April of the first year) to 15 (March)", "correct the fact")
    return APRIL + YEAR - start_month


def amounts(lines: Iterable[Line], year: int, months: int, factor: str | None = None) -> float:
    """What lines cost in a year of the horizon, tax excluded and exact; factor: "low" or "high" for the ends of the evidence."""
    return sum(
        line.yearly[year] * (months / YEAR if year == 0 and line.phase == "yearly" else 1) * (getattr(line, factor) if factor else 1)
        for line in lines
        if line.yearly
    )


def costs(lines: Sequence[Line], *, start: int, horizon: int, tax_rate: float, start_month: int) -> Costs:
    """The cost side: by section and year, at both ends of the evidence, the first year by month, the years of renewal.

    Parameters
    ----------
    start, horizon  first fiscal year, number of fiscal years ≥ 1
    tax_rate        consumption tax, 0.1 means 10 %
    start_month     4…15; purchases are paid in the month before it, in April where it is April; running costs from it on, the same each month

    Lines that await a price are not in it.

    >>> from kiban.records.source import Tax, Text
    >>> word = Text(ja="無線機", en="radio")
    >>> def line(id, phase, section, yearly):
    ...     return Line(id=id, technology="radio", cost=id, name=word, phase=phase, per="site", section=section, category="equipment", quantity=1,
    ...                 unit_yen=yearly[0], yearly=yearly, tax=Tax.excluded, basis="town")
    >>> side = costs([line("radio.gear", "initial", "goods", (1000.0, 0.0)), line("radio.fee", "yearly", "fees", (120.0, 120.0))],
    ...              start=2027, horizon=2, tax_rate=0.1, start_month=10)
    >>> [(row.id, row.years) for row in side.sections], side.months
    ([('fees', (66, 132)), ('goods', (1100, 0))], (0, 0, 0, 0, 0, 1100, 11, 11, 11, 11, 11, 11))
    """
    months = running_months(start_month)
    by_section: dict[str, list[Line]] = {}
    for line in lines:
        by_section.setdefault(line.section, []).append(line)

    def taxed(part: Iterable[Line], year: int, factor: str | None = None) -> Yen:
        return to_yen(round(amounts(part, year, months, factor) * (1 + tax_rate), NOISE))

    sections = tuple(Row(id=id, years=tuple(taxed(part, year) for year in range(horizon))) for id, part in sorted(by_section.items()))
    total = tuple(sum(row.years[year] for row in sections) for year in range(horizon))
    low, high = (tuple(sum(taxed(part, year, side) for part in by_section.values()) for year in range(horizon)) for side in ("low", "high"))
    bought = [line for line in lines if line.phase == "initial"]
    run = [line for line in lines if line.phase == "yearly"]
    initial: dict[Category, Yen] = {}
    running: dict[Category, tuple[Yen, ...]] = {}
    for category in dict.fromkeys(line.category for line in lines):
        initial[category] = taxed([line for line in bought if line.category == category], 0)
        running[category] = tuple(taxed([line for line in run if line.category == category], year) for year in range(horizon))
    return Costs(
        years=tuple(range(start, start + horizon)),
        sections=sections,
        total=total,
        low=tuple(min(a, b) for a, b in zip(low, total, strict=True)),
        high=tuple(max(a, b) for a, b in zip(high, total, strict=True)),
        months=_months(total[0], min(total[0], taxed(run, 0)), start_month),
        running_months=months,
        renewals=tuple(start + year for year in range(1, horizon) if any(line.yearly and line.yearly[year] > 0 for line in bought)),
        initial=initial,
        running=running,
    )


def _months(total: Yen, running: Yen, start_month: int) -> tuple[Yen, ...]:
    """The first year by month from April: purchases in the month before the start, running costs in equal parts from it."""
    first, count = start_month - APRIL, running_months(start_month)
    months = [0] * YEAR
    for place in range(count):
        months[first + place] = running * (place + 1) // count - running * place // count
    months[max(0, first - 1)] += total - running
    return tuple(months)


def revenue_years(yearly: float | None, horizon: int, months: int) -> tuple[Yen, ...]:
    """A full year's revenue by fiscal year, down to the yen; the first year by its months of service.

    >>> revenue_years(1000.0, 3, 6), revenue_years(None, 2, 12)
    ((500, 1000, 1000), (0, 0))
    """
    full = yearly or 0.0
    return tuple(math.floor(full * months / YEAR) if year == 0 else math.floor(full) for year in range(horizon))


def budget(
    case: Literal["adopted", "refused"],
    side: Costs,
    money: Sequence[Money] = (),
    revenue: Sequence[Yen] | None = None,
    *,
    payer_known: bool = False,
) -> Budget:
    """One budget table.

    Parameters
    ----------
    money        in order of application; each part is cut to what is left to pay in its year. A bond is cut only by finance.stacking, which knows its terms
    revenue      yen by year: counts as `other`, last, up to what is left
    payer_known  somebody has said who pays after the support

    Raises
    ------
    FinanceError  a column that is none of a budget, or a bond above what is left to pay

    >>> side = Costs(years=(2027, 2028), sections=(Row(id="works", years=(1500, 200)),), total=(1500, 200), low=(1500, 200), high=(1500, 200),
    ...              months=(1500, *[0] * 11), running_months=12, renewals=())
    >>> table = budget("adopted", side, [Money(support="grant", column="national", years=(750, 0))], (0, 50))
    >>> [(row.id, row.years) for row in table.sources]
    [('national', (750, 0)), ('prefecture', (0, 0)), ('bond', (0, 0)), ('other', (0, 50)), ('general', (750, 150))]
    >>> [(row.id, row.years) for row in table.thousand_sources], table.end_year
    ([('national', (0, 0)), ('prefecture', (0, 0)), ('bond', (0, 0)), ('other', (0, 0)), ('general', (2, 1))], 2028)
    """
    horizon = len(side.years)
    left = list(side.total)
    columns: dict[str, list[Yen]] = {column: [0] * horizon for column in COLUMNS}
    helped = [0] * horizon
    for part in money:
        if part.column not in columns or len(part.years) != horizon:
            raise FinanceError(
                f"support {part.support}", f"column {part.column}, {len(part.years)} years", f"{', '.join(COLUMNS)}, {horizon} years", "report this"
            )
        for year, offered in enumerate(part.years):
            paid = min(offered, left[year])
            if paid < offered and part.debt is not None:
                raise FinanceError(f"bond {part.support}", f"{offered} yen", f"at most the {left[year]} yen left to pay", "report this")
            columns[part.column][year] += paid
            left[year] -= paid
            helped[year] += paid
    income = [0] * horizon
    for year, offered in enumerate(revenue or ()):
        income[year] = min(offered, left[year])
        columns["other"][year] += income[year]
        left[year] -= income[year]
    sources = (*(Row(id=column, years=tuple(columns[column])) for column in COLUMNS), Row(id=GENERAL, years=tuple(left)))
    debt = tuple(part.debt for part in money if part.debt is not None and part.debt.amount)
    last = max((year for year in range(horizon) if helped[year]), default=None)
    end = side.years[0] + last + 1 if last is not None and last + 1 < horizon else None
    after = income[last + 1 if last is not None and last + 1 < horizon else horizon - 1]
    used = [part for part in money if any(part.years)]
    thousand_sections = tuple(Row(id=row.id, years=tuple(-(-yen // 1000) for yen in row.years)) for row in side.sections)
    thousand_total = tuple(sum(row.years[year] for row in thousand_sections) for year in range(horizon))
    outside = tuple(Row(id=row.id, years=tuple(yen // 1000 for yen in row.years)) for row in sources[:-1])
    rest = Row(id=GENERAL, years=tuple(thousand_total[year] - sum(row.years[year] for row in outside) for year in range(horizon)))
    return Budget(
        case=case,
        years=side.years,
        supports=tuple(part.support for part in used),
        past=tuple(part.support for part in used if part.past),
        sections=side.sections,
        total=side.total,
        sources=sources,
        thousand_sections=thousand_sections,
        thousand_total=thousand_total,
        thousand_sources=(*outside, rest),
        debt=debt,
        low=side.low,
        high=side.high,
        months=side.months,
        running_months=side.running_months,
        renewals=side.renewals,
        cash=tuple(left[year] + sum(service(one, side.years[year]) for one in debt) for year in range(horizon)),
        payer_after="other" if after else "general" if payer_known else "unknown",
        end_year=end,
    )
