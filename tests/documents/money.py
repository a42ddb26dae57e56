"""A plan's money made by hand, for tests of workbooks: lines of every kind, and the budget that finance makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kiban.finance.budget import Money, budget, costs
from kiban.finance.present import purchases
from kiban.finance.quotes import unit_price
from kiban.records.funding import Funding, Inputs, Line, Viability
from kiban.records.source import Confidence, Tax, Text
from kiban.records.support import Category

START, HORIZON, TODAY = 2027, 15, date(2026, 11, 27)
NAMES = {
    "cable": "光ケーブル（材料・架設）",
    "onu": "回線終端装置",
    "fee": "利用料",
    "rent": "芯線の借料",
    "tower": "基地局",
    "battery": "蓄電池",
    "survey": "現地調査",
}

# id, phase, section, category, quantity, unit price (None: awaiting; a list: one a year), life, first year, per
Row = tuple[str, str, str, Category, float | None, float | list[float] | None, float | None, int, str]
ROWS: tuple[Row, ...] = (
    ("leo-satellite.battery", "initial", "equipment", "equipment", 11, None, 8, 0, "site"),
    ("leo-satellite.fee", "yearly", "service", "service", 11, 118_181.81818181818, None, 0, "site"),
    ("leo-satellite.survey", "initial", "works", "design", None, 45_210.0, None, 0, "system"),
    ("pon-ftth.cable", "initial", "works", "works", 12.345, 3_217_455.5, 20, 0, "km"),
    ("pon-ftth.onu", "initial", "equipment", "equipment", 37, 24_815.0, 7.5, 0, "site"),
    ("pon-ftth.rent", "yearly", "rent", "rent", 3, [61_005.0, 60_005.0, *[59_005.0] * 13], None, 0, "site"),
    ("pon-ftth.tower", "initial", "works", "works", 2, 7_700_005.0, 12, 4, "facility"),
)


def line(row: Row, inputs: Inputs | None = None) -> Line:
    """A line of the table, with people's own quantity and price as finance.estimate takes them over."""
    id, phase, section, category, quantity, price, life, first, per = row
    given = inputs or Inputs()
    quantity = given.quantities.get(id, quantity)
    found = unit_price(given.quotes, id)
    basis = "awaiting" if price is None else "published"
    if id in given.prices:
        price, basis = given.prices[id], "town"
    elif found is not None:
        price, basis = found.unit_yen, "quotes"
    yearly: tuple[float, ...] = ()
    if price is not None and quantity is not None:
        if phase == "initial":
            moments = [int(moment) for moment in purchases(life or HORIZON, first, HORIZON)]
            yearly = tuple(quantity * (float(price) * moments.count(year)) for year in range(HORIZON))
        else:
            yearly = tuple(quantity * amount for amount in (price if isinstance(price, list) else [price] * HORIZON))
    technology, _, cost = id.partition(".")
    return Line(
        id=id,
        technology=technology,
        cost=cost,
        name=Text(ja=NAMES.get(cost, cost), en=cost),
        phase=phase,
        per=per,
        section=section,
        category=category,
        quantity=quantity,
        unit_yen=price[0] if isinstance(price, list) else price,
        life=life,
        yearly=yearly,
        low=0.8 if basis == "published" else 1.0,
        high=1.3 if basis == "published" else 1.0,
        tax=Tax.unknown if price is None else Tax.excluded,
        basis=basis,
        basis_year=2024 if basis == "published" else None,
        quotes=found.count if basis == "quotes" and found else 0,
        confidence=Confidence.B if price is not None else None,
        source="他団体の公表値" if basis == "published" else None,
    )


def funding(lines: Sequence[Line], *, tax_rate: float = 0.1, start_month: int = 10, national: float = 0.5, required: int | None = 3) -> Funding:
    """The money of these lines: a grant pays a share of the first year, the town pays the rest."""
    side = costs(lines, start=START, horizon=HORIZON, tax_rate=tax_rate, start_month=start_month)
    grant = Money(support="example", column="national", years=(int(side.total[0] * national), *[0] * (HORIZON - 1)), past=True)
    return Funding(
        plan="plan",
        inputs="0" * 12,
        start=START,
        horizon=HORIZON,
        tax_rate=tax_rate,
        lines=tuple(lines),
        answers=(),
        adopted=budget("adopted", side, [grant]),
        refused=budget("refused", side),
        viability=Viability(track="unknown", track_text=Text(ja="未定", en="unknown")),
        quotes_required=required,
    )


def funded(inputs: Inputs | None = None, rows: Sequence[Row] = ROWS, **how: float) -> Funding:
    """The money of the table under some inputs."""
    given = inputs or Inputs()
    if given.tax_rate is not None:
        how["tax_rate"] = given.tax_rate
    month = given.facts.get("service_start_month")
    if month is not None:
        how["start_month"] = int(month)
    return funding([line(row, given) for row in rows], **how)  # type: ignore[arg-type]
