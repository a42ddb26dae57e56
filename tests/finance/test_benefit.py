"""The benefit side: before and after in their own units, unknown asked for, never yen out of nothing."""

from __future__ import annotations

from kiban.catalogue import load
from kiban.finance.benefit import benefits
from kiban.records.funding import Benefit
from kiban.records.model import Kpi
from kiban.records.region import Evidence, Fact
from kiban.records.source import Text

KPIS = tuple(
    Kpi(id=id, name=Text(ja=id, en=id), unit="%", measure=Text(ja="利用記録を数える", en="count the log"), every=Text(ja="毎月", en="monthly"))
    for id in ("reach", "use")
)


def facts(**values: float) -> dict[str, Fact]:
    return {id: Fact(id=id, value=value, unit=None, evidence=Evidence(source="town")) for id, value in values.items()}


def by_id(rows: tuple[Benefit, ...]) -> dict[str, Benefit]:
    return {row.id: row for row in rows}


def test_nothing_known_asks_for_everything_and_claims_nothing() -> None:
    rows = benefits({}, KPIS, {})
    assert [row.id for row in rows] == ["service_cost", "staff_hours", "resident_fee", "kpi-reach", "kpi-use"]
    assert all(row.before is None and row.after is None and row.measure_yen is None for row in rows)
    assert [row.ask for row in rows[:3]] == [(f"{id}_before", f"{id}_after") for id in ("service_cost", "staff_hours", "resident_fee")]
    assert all(row.ask == ("kpi_measure_cost",) for row in rows[3:])


def test_hours_stay_hours() -> None:
    row = by_id(benefits(facts(staff_hours_before=1_200, staff_hours_after=300), (), {}))["staff_hours"]
    assert (row.before, row.after, row.unit, row.ask, row.measure_yen) == (1_200, 300, "h/year", (), None)


def test_an_indicator_says_how_it_is_measured_and_what_measuring_costs_together() -> None:
    words = load(None, None).words
    row = by_id(benefits(facts(kpi_measure_cost=50_000), KPIS, {}, texts=words))["kpi-use"]
    assert row.measure == Text(ja="利用記録を数える (毎月)", en="count the log (monthly)")
    assert (row.measure_yen, row.ask) == (50_000, ())
    assert row.note is not None
    assert "合計" in row.note.ja


def test_a_service_that_the_old_way_cannot_carry_is_shown_as_kept_alive() -> None:
    words = load(None, None).words
    known = facts(service_cost_before=900_000, service_cost_after=400_000, users_now=50, revenue_user_fee=1_000)
    row = by_id(benefits(known, (), {}, texts=words))["kept_alive"]
    assert (row.before, row.after, row.unit) == (300_000, 0, "JPY/year")
    assert "従来の方法では採算が取れない" in row.name.ja


def test_a_service_that_earns_its_living_or_of_which_nothing_is_known_is_not_called_kept_alive() -> None:
    assert "kept_alive" not in by_id(benefits(facts(service_cost_before=500, revenue_iru=500), (), {}))
    assert "kept_alive" not in by_id(benefits(facts(service_cost_before=500), (), {}))
