"""What the service is good for, before and after, each thing in its own unit (効果).

In: the named facts, the indicators of the standard model, the files of the facts. Out: records.funding.Benefit rows. Hours stay hours and what a
resident bears stays what a resident bears: nothing is turned into yen, and what nobody has said is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.finance.revenue import number, yearly_revenue
from kiban.finance.viability import text_of
from kiban.records.fact import NamedFact
from kiban.records.funding import Benefit
from kiban.records.model import Kpi
from kiban.records.region import Fact
from kiban.records.source import Text

# What is compared before and after: id, unit; the facts are <id>_before and <id>_after.
PAIRS = (("service_cost", "JPY/year"), ("staff_hours", "h/year"), ("resident_fee", "JPY/month"))
MEASURE = "kpi_measure_cost"  # JPY/year, of all indicators together


def benefits(
    facts: Mapping[str, Fact], kpis: Sequence[Kpi], named: Mapping[str, NamedFact], *, texts: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[Benefit, ...]:
    """The benefit side of a plan.

    Parameters
    ----------
    facts  named facts by id: service_cost_before and _after (JPY/year), staff_hours_… (h/year), resident_fee_… (JPY/month), kpi_measure_cost (JPY/year)
    kpis   indicators of the standard model, each with how it is measured
    named  the files of the facts: where one is there, its unit stands
    texts  the words of each language, catalogue.words; without them the names are the ids

    Returns
    -------
    cost of the service, hours of staff, what residents bear, then the service that the old way cannot carry (only where its cost today is known to
    exceed its revenue), then one row per indicator. `ask` names the facts that are unknown; measure_yen is the cost of measuring all indicators.

    >>> [(row.id, row.ask) for row in benefits({}, (), {})][0]
    ('service_cost', ('service_cost_before', 'service_cost_after'))
    """
    rows = []
    for id, unit in PAIRS:
        ids = (f"{id}_before", f"{id}_after")
        before, after = (number(facts, one) for one in ids)
        stated = named[ids[0]].unit if ids[0] in named else None
        ask = tuple(one for one, value in zip(ids, (before, after), strict=True) if value is None)
        rows.append(Benefit(id=id, name=text_of(texts, f"benefit.{id}", id), unit=stated or unit, before=before, after=after, ask=ask))
    kept = _kept_alive(facts, texts)
    return (*rows, *((kept,) if kept else ()), *(_indicator(kpi, number(facts, MEASURE), len(kpis), texts) for kpi in kpis))


def _kept_alive(facts: Mapping[str, Fact], texts: Mapping[str, Mapping[str, str]] | None) -> Benefit | None:
    """A service that the old way cannot carry (従来の方法では採算が取れない): what its revenue lacks a year, today and afterwards."""
    before, after = (number(facts, f"service_cost_{when}") for when in ("before", "after"))
    revenue, _ = yearly_revenue(facts)
    if before is None or revenue is None or before <= revenue:
        return None
    return Benefit(
        id="kept_alive",
        name=text_of(texts, "benefit.kept_alive", "kept_alive"),
        unit="JPY/year",
        before=before - revenue,
        after=None if after is None else max(0.0, after - revenue),
        ask=("service_cost_after",) if after is None else (),
        note=text_of(texts, "benefit.kept_alive.note", "kept_alive"),
    )


def _indicator(kpi: Kpi, yen: float | None, count: int, texts: Mapping[str, Mapping[str, str]] | None) -> Benefit:
    """An indicator of the model: the town measures it; nobody knows its values before it is measured."""
    measure = Text(ja=f"{kpi.measure.ja} ({kpi.every.ja})", en=f"{kpi.measure.en} ({kpi.every.en})")
    note = text_of(texts, "benefit.measured_together", MEASURE) if yen is not None and count > 1 else kpi.note
    return Benefit(
        id=f"kpi-{kpi.id}",
        name=kpi.name,
        unit=kpi.unit,
        ask=() if yen is not None else (MEASURE,),
        measure=measure,
        measure_yen=None if yen is None else round(yen),
        note=note,
    )
