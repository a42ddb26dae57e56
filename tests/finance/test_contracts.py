"""Contracts: method, assembly, term and split, by dated tables and by the town's own regulation."""

from __future__ import annotations

from tests.finance.money_town import HORIZON, START, facts, line, rows

from kiban.finance.contracts import contracts, limit
from kiban.records.funding import Contract

SMALL = rows(
    ("works", 2_000_000, {"body": "city town village"}, ()),
    ("works", 4_000_000, {"body": "prefecture"}, ()),
    ("purchase", 1_500_000, {"body": "city town village"}, ()),
    ("purchase", 3_000_000, {"body": "prefecture"}, ()),
    ("lease", 800_000, {"body": "city town village"}, ()),
    ("other", 1_000_000, {"body": "city town village"}, ()),
)
ASSEMBLY = rows(
    ("works", 50_000_000, {"body": "town village"}, ()), ("works", 150_000_000, {"body": "city"}, ()), ("purchase", 7_000_000, {"body": "town"}, ())
)
TERMS = rows(("longterm", None, {}, ("service", "energy")), ("ordinance", None, {}, ("lease", "upkeep")))


def made(*lines, **more) -> dict[str, Contract]:
    given = {"start": START, "tax_rate": 0.1, "years": 5, "small": SMALL, "assembly": ASSEMBLY, "terms": TERMS} | more
    known = given.pop("facts", facts(body_kind="town"))
    return {one.id: one for one in contracts(lines, known, **given)}


def test_a_purchase_within_the_limit_may_be_negotiated():
    one = made(line("a.gear", "initial", "equipment", 1_300_000))["equipment.equipment.purchase"]
    assert (one.amount, one.method, one.assembly, one.term) == (1_430_000, "negotiated", "no", "single")


def test_the_tax_counts_a_purchase_just_below_the_limit_without_it_is_tendered():
    assert made(line("a.gear", "initial", "equipment", 1_400_000))["equipment.equipment.purchase"].method == "tender"  # 1,540,000


def test_the_towns_own_regulation_wins_over_the_table():
    known = facts(body_kind="town", small_contract_purchase=800_000.0)
    one = made(line("a.gear", "initial", "equipment", 1_000_000), facts=known)["equipment.equipment.purchase"]
    assert one.method == "tender"
    assert "団体の規則" in one.method_text.ja


def test_an_unknown_kind_of_body_is_asked_for_only_where_it_matters():
    between = made(line("a.gear", "initial", "works", 3_000_000), facts=facts())["works.works.purchase"]
    above = made(line("a.gear", "initial", "works", 5_000_000), facts=facts())["works.works.purchase"]
    below = made(line("a.gear", "initial", "works", 1_000_000), facts=facts())["works.works.purchase"]
    assert (between.method, above.method, below.method) == ("ask", "tender", "negotiated")


def test_without_a_table_the_method_is_asked_for():
    one = made(line("a.gear", "initial", "works", 3_000_000), small=None, assembly=None)["works.works.purchase"]
    assert (one.method, one.assembly) == ("ask", "ask")


def test_an_awaited_price_leaves_the_method_open_unless_the_rest_is_above_the_limit_already():
    awaited = line("b.gear", "initial", "equipment", None)
    assert made(line("a.gear", "initial", "equipment", 100_000), awaited)["equipment.equipment.purchase"].method == "ask"
    one = made(line("a.gear", "initial", "equipment", 2_000_000), awaited)["equipment.equipment.purchase"]
    assert (one.method, one.amount) == ("tender", None)
    assert any("見積待ち 1件" in warning.ja for warning in one.warnings)


def test_the_assembly_decides_on_works_from_the_amount_of_its_kind_of_body():
    works = line("a.line", "initial", "works", 60_000_000)
    assert made(works)["works.works.purchase"].assembly == "yes"
    assert made(works, facts=facts(body_kind="city"))["works.works.purchase"].assembly == "no"
    assert made(works, facts=facts())["works.works.purchase"].assembly == "ask"
    assert made(works, facts=facts(body_kind="town", assembly_works=90_000_000.0))["works.works.purchase"].assembly == "no"


def test_the_assembly_does_not_decide_on_services():
    assert made(line("a.fee", "yearly", "service", 90_000_000))["service.service.running"].assembly == "no"


def test_lines_that_are_small_each_and_large_together_are_flagged():
    one = made(*(line(f"{id}.gear", "initial", "equipment", 1_000_000) for id in "abc"))["equipment.equipment.purchase"]
    assert one.method == "tender"
    assert any(warning.ja.startswith("3件に分ければ") for warning in one.warnings)


def test_one_line_alone_is_not_called_split():
    assert made(line("a.gear", "initial", "equipment", 2_000_000))["equipment.equipment.purchase"].warnings == ()


def test_a_telecom_service_is_a_long_term_contract_without_an_ordinance():
    one = made(line("a.fee", "yearly", "service", 500_000))["service.service.running"]
    assert (one.term, one.clauses[-1]) == ("longterm", "第1条")


def test_upkeep_is_long_term_only_where_the_town_has_an_ordinance():
    upkeep = line("a.repair", "yearly", "upkeep", 500_000)
    assert made(upkeep, facts=facts(body_kind="town", longterm_ordinance=True))["upkeep.upkeep.running"].term == "longterm"
    assert made(upkeep, facts=facts(body_kind="town", longterm_ordinance=False))["upkeep.upkeep.running"].term == "commitment"


def test_a_commitment_says_what_for_how_long_and_up_to_how_much():
    one = made(line("a.repair", "yearly", "upkeep", 1_000_000), years=5)["upkeep.upkeep.running"]
    # 1,100,000 a year, half of it in the first year: 4,950,000
    assert one.term == "commitment"
    assert "期間: 令和10年度から令和13年度まで、限度額: 4,400千円" in one.term_text.ja
    assert "要確認" in one.term_text.ja  # nobody has said whether there is an ordinance


def test_the_limit_of_a_commitment_stays_open_while_a_price_is_awaited():
    assert "調整中" in made(line("a.repair", "yearly", "upkeep", None))["upkeep.upkeep.running"].term_text.ja


def test_what_is_bought_in_a_later_year_is_a_contract_of_that_year():
    later = line("a.renewal", "initial", "works", 1_000_000, yearly=(0.0, 0.0, 0.0, 1_000_000.0, *[0.0] * (HORIZON - 4)))
    assert list(made(later, line("b.line", "initial", "works", 1_000_000))) == ["works.works.purchase", "works.works.purchase.2030"]


def test_a_table_with_a_row_without_a_number_is_no_limit():
    assert limit(rows(("works", None, {}, ())), "works", "small_contract_works", {}).least is None


def test_rent_paid_to_an_owner_is_no_competition_and_its_ground_is_asked_for():
    one = made(line("pole.rent", "yearly", "rent", 5_000_000))["rent.rent.running"]
    assert one.method == "ask"
    assert "所有者に限られる" in one.method_text.ja
