"""The rule of the seed on social capital: in the list, blocked, and blocked for want of connectivity."""

from __future__ import annotations

from tests.finance.money_town import facts, rows

from kiban.finance.social import social_capital

LIST = rows(("education", None, {}, ("school", "hall")), ("hospital", None, {"answer": "judge"}, ("clinic",)))


def test_a_school_that_fails_for_want_of_connectivity_opens_the_question_of_support():
    answer, text, missing = social_capital(["school"], facts(blocked_by_connectivity=True, running_cost_unbudgeted=True), LIST)
    assert (answer, missing) == ("yes", ())
    assert "期間を限った運用費" in text.ja


def test_whether_it_is_blocked_must_be_known():
    assert social_capital(["school"], facts(), LIST)[::2] == ("unknown", ("blocked_by_connectivity",))


def test_what_works_today_needs_no_state():
    assert social_capital(["school"], facts(blocked_by_connectivity=False), LIST)[0] == "no"


def test_a_hospital_is_to_be_judged_and_a_school_beside_it_decides():
    assert social_capital(["clinic"], facts(blocked_by_connectivity=True), LIST)[0] == "judge"
    answer, text, _ = social_capital(["clinic", "school"], facts(blocked_by_connectivity=True), LIST)
    assert answer == "yes"
    assert "hospitalは要判断" in text.ja


def test_whether_running_costs_can_be_budgeted_is_asked_for():
    assert social_capital(["school"], facts(blocked_by_connectivity=True), LIST)[2] == ("running_cost_unbudgeted",)


def test_what_no_list_names_is_no_social_capital():
    assert social_capital(["factory"], facts(), LIST)[0] == "no"
