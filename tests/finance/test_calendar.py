"""The year of a project: months of the rule, windows of supports, and what does not meet."""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace
from tests.finance.money_town import START, facts, rows, support

from kiban.finance.calendar import calendar
from kiban.finance.support import Project, answers
from kiban.records.funding import Milestone
from kiban.records.support import Window

NOVEMBER = date(2026, 11, 23)
RULE = rows(
    ("request", 11, {"year": "before"}, ("request",)),
    ("assembly", 3, {"year": "before"}, ()),
    ("call", 2, {"year": "before"}, ("support",)),
    ("decision", 6, {"year": "first"}, ("decision",)),
    ("contract", 8, {"year": "first"}, ("contract",)),
    unit="month",
)


def steps(**more) -> dict[str, Milestone]:
    given = {"start": START, "start_month": 15, "today": NOVEMBER} | more
    return {step.id: step for step in calendar(RULE, **given)}


def granted(year: int = START, opens: date | None = None, closes: date | None = None):
    given = support("national", 0.5, year=year)
    edition = replace(given.editions[0], windows=(Window(opens=opens, closes=closes, source="page"),))
    supports = {"grant": replace(given, editions=(edition,))}
    return {"supports": supports, "counted": ("grant",), "answers": answers(supports, facts(), Project(initial={"works": 10}), START)}


def test_steps_come_in_the_order_of_the_fiscal_year():
    found = [(step.id, step.year, step.month) for step in calendar(RULE, start=START, start_month=15, today=NOVEMBER)]
    assert found == [
        ("request", 2026, 11),
        ("assembly", 2026, 3),
        ("contract", 2027, 8),
        ("purchase", 2027, 2),
        ("service", 2027, 3),
        ("year-end", 2027, 3),
    ]


def test_the_months_of_running_cost_in_the_first_year_are_told():
    assert "3か月分" in steps(start_month=13)["service"].name.ja


def test_the_call_and_the_decision_stand_there_only_where_a_support_is_counted_on():
    assert "decision" not in steps()
    assert "decision" in steps(**granted())


def test_a_start_before_the_decision_of_the_grant_is_warned_of():
    early = steps(start_month=6, **granted())
    assert "交付決定前着手不可" in early["purchase"].warning.ja
    assert steps(start_month=15, **granted())["purchase"].warning is None


def test_without_a_grant_there_is_nothing_to_wait_for():
    assert steps(start_month=6)["purchase"].warning is None


def test_a_contract_after_delivery_is_warned_of():
    assert "納品" in steps(start_month=8)["contract"].warning.ja


def test_a_passed_request_points_to_a_supplementary_budget():
    assert "補正" in steps(today=date(2027, 1, 10))["request"].warning.ja
    assert steps(today=NOVEMBER)["request"].warning is None


def test_a_delivery_close_to_the_end_of_the_year_asks_for_a_carry_over():
    assert "繰越明許費" in steps(start_month=15)["year-end"].warning.ja
    assert steps(start_month=10)["year-end"].warning is None


def test_a_gap_between_the_present_contract_and_the_start_is_warned_of():
    assert "空白" in steps(start_month=10, current_contract_end=date(2027, 3, 31))["service"].warning.ja
    assert steps(start_month=10, current_contract_end=date(2027, 9, 30))["service"].warning is None


def test_a_window_of_an_earlier_year_is_an_example_a_year_later():
    found = steps(**granted(2026, closes=date(2026, 2, 27)))["window.grant.0"]
    assert (found.year, found.month) == (2026, 2)
    assert "令和8年度の例" in found.name.ja


def test_a_closed_window_of_the_year_itself_is_said_to_be_closed():
    found = steps(**granted(2027, closes=date(2026, 10, 1)))["window.grant.0"]
    assert found.warning.ja == "募集は終わっている"


def test_entries_without_a_month_are_left_out():
    assert [step.id for step in calendar(rows(("talk", None, {}, ())), start=START, start_month=10, today=NOVEMBER)] == ["purchase", "service", "year-end"]
