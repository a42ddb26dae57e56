"""A fictional town's lines, supports and facts for the tests of its money; all amounts are made up and easy to add."""

from __future__ import annotations

from datetime import date

from kiban.records.funding import Line
from kiban.records.region import Evidence, Fact
from kiban.records.rule import DatedList, Entry
from kiban.records.source import Confidence, Quantity, Source, Tax, Text
from kiban.records.support import Edition, Rate, Redemption, Stacking, Support

SEEN = date(2026, 11, 23)
START, HORIZON = 2027, 6


def word(ja: str, en: str | None = None) -> Text:
    return Text(ja=ja, en=en or ja)


def number(value: float | None, unit: str) -> Quantity:
    if value is None:
        return Quantity(unit=unit, needs_source=True)
    return Quantity(unit=unit, value=value, source="page", confidence=Confidence.A)


def line(id: str, phase: str, category: str, yen: float | None, *, section: str | None = None, yearly: tuple[float, ...] | None = None, **more) -> Line:
    """A line of one unit; initial: bought in the first year, unless `yearly` says otherwise."""
    if yearly is None:
        yearly = () if yen is None else (float(yen), *[0.0] * (HORIZON - 1)) if phase == "initial" else (float(yen),) * HORIZON
    return Line(
        id=id,
        technology=id.partition(".")[0],
        cost=id.partition(".")[2],
        name=word(id),
        phase=phase,
        per="site",
        section=section or category,
        category=category,
        quantity=1.0,
        unit_yen=None if yen is None else float(yen),
        yearly=yearly,
        tax=Tax.excluded,
        basis="awaiting" if yen is None else "town",
        **more,
    )


def support(
    column: str,
    share: float | None,
    *,
    counts: tuple[str, ...] = ("works", "equipment"),
    stage: tuple[str, ...] = ("build",),
    year: int = START,
    valid_to: int | None = None,
    months: float | None = None,
    ceiling: float | None = None,
    floor: float | None = None,
    order: int = 1,
    years: float | None = 12,
    grace: float = 3,
    interest: float | None = None,
    counted: float | None = 0.7,
    rounding: float | None = None,
    **stacking,
) -> Support:
    """A support of one edition without conditions."""
    redemption = None
    if column == "bond":
        redemption = Redemption(
            years=number(years, "years"),
            grace=number(grace, "years"),
            interest=number(interest, "1/year"),
            counted=number(counted, "1"),
            rounding=None if rounding is None else number(rounding, "JPY"),
        )
    edition = Edition(
        fiscal_year=year,
        valid_to=valid_to or year,
        stage=stage,
        counts=counts,
        counts_text=word("経費"),
        rates=(Rate(text=word("率"), share=number(share, "1")),),
        floor=None if floor is None else number(floor, "JPY"),
        ceiling=None if ceiling is None else number(ceiling, "JPY"),
        months=None if months is None else number(months, "months"),
        redemption=redemption,
        source="page",
        confidence=Confidence.A,
    )
    kind = "bond" if column == "bond" else "tax_grant" if column == "memo" else "levy" if column == "operator" else "subsidy"
    return Support(
        name=word("支援"),
        summary=word("支援"),
        kind=kind,
        column=column,
        body=word("国"),
        desk=word("窓口"),
        editions=(edition,),
        stacking=Stacking(order=order, **stacking),
        sources={"page": Source(title="要綱", seen_on=SEEN)},
        checked_on=SEEN,
    )


def facts(**values: float | bool | str) -> dict[str, Fact]:
    return {id: Fact(id=id, value=value, unit=None, evidence=Evidence(source="town")) for id, value in values.items()}


def rows(*entries: tuple[str, float | None, dict[str, str], tuple[str, ...]], unit: str = "JPY") -> DatedList:
    """A list: (id, number, when, tags) each."""
    return DatedList(
        since=date(2020, 4, 1),
        source="page",
        entries=tuple(
            Entry(id=id, name=word(id), quantity=None if value is None else number(value, unit), when=when, tags=tags, clause="第1条")
            for id, value, when, tags in entries
        ),
    )
