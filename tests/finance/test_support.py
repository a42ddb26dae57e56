"""Supports: worked cases of every shipped file, and what holds for any support, fact and year.

`support_cases.csv` was worked by hand, one line a case: facts and project as name=value, the answer, the example where the year has no text, the share and
the yen, what is asked (facts, or who judges), and why.
"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import FinanceError
from kiban.catalogue import load
from kiban.catalogue.links import conditions, facts_of
from kiban.finance.budget import Costs
from kiban.finance.stacking import money
from kiban.finance.support import Project, answer, answers
from kiban.records.region import Evidence, Fact
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.support import Condition, Edition, Rate, Stacking, Support

CASES = list(csv.DictReader((Path(__file__).parent / "support_cases.csv").read_text(encoding="utf-8").splitlines()))
CATALOGUE = load()
SUPPORTS = CATALOGUE.supports
WORD = Text(ja="試験", en="test")
LISTED = {"usecases", "fields", "technologies", "unpriced"}


def value(text: str) -> float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    return float(text) if text.replace(".", "", 1).isdigit() else text


def facts(said: str | dict) -> dict[str, Fact]:
    pairs = said if isinstance(said, dict) else {name: value(text) for name, text in (pair.split("=") for pair in said.split())}
    return {name: Fact(id=name, value=each, unit=None, evidence=Evidence(source="case")) for name, each in pairs.items()}


def project(said: str) -> Project:
    parts: dict = {"initial": {}, "yearly": {}}
    for name, text in (pair.split("=") for pair in said.split()):
        head, _, category = name.partition(".")
        if category:
            parts[head][category] = int(text)
        else:
            parts[name] = (text,) if name in LISTED else text
    return Project(**parts)


@pytest.mark.parametrize("case", CASES, ids=[f"{case['support']}: {case['why']}" for case in CASES])
def test_a_worked_case(case):
    found = answer(case["support"], SUPPORTS[case["support"]], facts(case["facts"]), project(case["project"]), int(case["year"]))
    assert (found.answer, found.example or "") == (case["answer"], case["example"]), [(each.fact, each.state) for each in found.findings]
    assert found.share == (pytest.approx(float(Fraction(case["share"]))) if case["share"] else None)
    assert found.amount_yen == (int(case["amount"]) if case["amount"] else None)
    assert " ".join(found.missing) or (found.judge.ja if found.judge else "") == case["asked"]


def test_every_support_has_five_cases_with_a_past_year_and_one_that_asks():
    counts = Counter(case["support"] for case in CASES)
    assert sorted(counts) == sorted(SUPPORTS)
    assert min(counts.values()) >= 5
    ended = {id for id, support in SUPPORTS.items() if support.editions[-1].ended}
    assert {case["support"] for case in CASES if case["answer"] == "unpublished"} >= set(SUPPORTS) - ended
    asking = {
        id
        for id, support in SUPPORTS.items()
        if any(not fact.startswith("project.") for edition in support.editions for each in conditions(edition) for fact in facts_of(each))
    }
    only_for_firms = {"mic-subsidy"}
    assert {case["support"] for case in CASES if case["asked"]} >= asking - only_for_firms


# -- what is shipped


def test_nothing_of_a_past_year_is_current_for_a_plan_of_next_year():
    # Plans of today are for fiscal year 2027; a text speaks for it only where a law or a scheme of several years says so itself.
    current = {id for id, support in SUPPORTS.items() if any(edition.fiscal_year <= 2027 <= edition.valid_to for edition in support.editions)}
    assert current == {"kaso-bond", "mic-digital-bond"}


def test_history_never_answers_possible():
    for id in ("cao-digiden", "cao-sousei"):
        whole = Project(initial={"equipment": 50_000_000, "software": 50_000_000})
        assert [answer(id, SUPPORTS[id], facts("digiden_type=type3"), whole, year).answer for year in (2026, 2027, 2030)] == ["excluded"] * 3


def test_money_of_the_tax_grant_and_of_carriers_is_no_money_of_the_town():
    assert {id: support.column for id, support in SUPPORTS.items() if support.column in ("memo", "operator", "in_kind")} == {
        "cao-mirai": "in_kind", "mic-org-support": "in_kind", "mic-plan-support": "in_kind",
        "mic-sa5g": "operator", "special-tax-grant-telecom": "memo", "universal-service-2": "operator",
    }  # fmt: skip


def test_no_bond_counts_running_costs():
    for support in SUPPORTS.values():
        if support.column == "bond":
            assert not {"lease", "service", "upkeep", "energy", "rent"} & {category for edition in support.editions for category in edition.counts}


def test_grants_come_before_bonds_and_the_memo_after_both():
    order = {column: [s.stacking.order for s in SUPPORTS.values() if s.column == column] for column in ("national", "bond", "memo", "operator", "in_kind")}
    assert max(order["national"]) < min(order["bond"])
    assert max(order["bond"]) < min(order["memo"])
    found = [reply.support for reply in answers(SUPPORTS, {}, Project(), 2027)]
    assert sorted(found) == sorted(SUPPORTS)
    assert found.index("mic-subsidy") < found.index("kaso-bond") < found.index("special-tax-grant-telecom")


# -- supports together (the worked examples)


def side(yen: int, **yearly: int) -> Costs:
    total = (yen + sum(yearly.values()), *[sum(yearly.values())] * 5)
    months = (total[0], *[0] * 11)
    running = {category: (each,) * 6 for category, each in yearly.items()}
    years = tuple(range(2026, 2032))
    return Costs(
        years=years, sections=(), total=total, low=total, high=total, months=months, running_months=12, renewals=(), initial={"works": yen}, running=running
    )


def together(yen: int, said: str, *ids: str, year: int = 2026, **yearly: int) -> dict:
    chosen = {id: SUPPORTS[id] for id in ids}
    plan = Project(technologies=("pon-ftth",), initial={"works": yen}, yearly=yearly)
    return {part.support: part for part in money(answers(chosen, facts(said), plan, year), chosen, side(yen, **yearly))}


def test_a_bond_pays_what_the_subsidy_leaves_and_the_tax_grant_counts_seven_tenths_of_it():
    # 40 million yen: the state 1/2 = 20, the bond for depopulated areas 20, 70 % of its principal counted in theory = 14, so 6 million net.
    parts = together(40_000_000, "depopulated=true", "mic-subsidy", "kaso-bond")
    assert (parts["mic-subsidy"].years[0], parts["kaso-bond"].years[0]) == (20_000_000, 20_000_000)
    debt = parts["kaso-bond"].debt
    assert sum(debt.principal) == 20_000_000
    assert SUPPORTS["kaso-bond"].editions[0].redemption.counted.value * sum(debt.principal) == 14_000_000


def test_the_digital_bond_alone_leaves_55_percent_to_the_town():
    parts = together(40_000_000, "digital_bond_object=true", "mic-digital-bond")
    bond = parts["mic-digital-bond"].years[0]
    assert bond == 36_000_000
    counted = SUPPORTS["mic-digital-bond"].editions[0].redemption.counted.value * bond
    assert (40_000_000 - counted) / 40_000_000 == 0.55


def test_the_digital_bond_does_not_stand_beside_a_subsidy():
    parts = together(40_000_000, "digital_bond_object=true", "mic-subsidy", "mic-digital-bond")
    assert {id: part.years[0] for id, part in parts.items()} == {"mic-subsidy": 20_000_000}


def test_two_grants_never_pay_the_same_cost():
    said = "competitive_tender=true payer_after_support=一般財源 mirai_kofu_type=a"
    assert len(together(40_000_000, said, "mic-subsidy", "cao-mirai-kofu")) == 1


def test_one_bond_is_raised_for_one_cost():
    parts = together(40_000_000, "depopulated=true remote_area=true remote_area_plan=true", "mic-subsidy", "henchi-bond", "kaso-bond")
    assert {id: part.years[0] for id, part in parts.items()} == {"mic-subsidy": 20_000_000, "henchi-bond": 20_000_000}


# -- what holds for any support


def source(**more) -> Quantity:
    return Quantity(unit="1", source="s", confidence=Confidence.A, **more)


def support(*asked: Condition, share: float | None = 0.5, rates: tuple[Rate, ...] | None = None, **edition) -> Support:
    given_share = source(value=share) if share is not None else Quantity(unit="1", needs_source=True)
    rates = (Rate(text=WORD, share=given_share),) if rates is None else rates
    whole = {"fiscal_year": 2026, "valid_to": 2026, "stage": ("build",), "counts": ("works",), **edition}
    text = Edition(conditions=asked, counts_text=WORD, rates=rates, source="s", confidence=Confidence.A, **whole)
    return Support(
        name=WORD, summary=WORD, kind="subsidy", column="national", body=WORD, desk=Text(ja="窓口", en="desk"), editions=(text,), stacking=Stacking(order=1),
        sources={"s": Source(title="試験の要綱", seen_on=date(2026, 11, 23))}, checked_on=date(2026, 11, 23),
    )  # fmt: skip


def asks(fact: str, test: str = "is", wanted=True, **more) -> Condition:
    key = {"values": wanted} if isinstance(wanted, tuple) else {"value": wanted}
    return Condition(fact=fact, test=test, text=WORD, source="s", **key, **more)


WORKS = Project(initial={"works": 1_000_001})


def test_failing_wins_over_unknown_and_unknown_over_judging():
    rules = support(asks("a"), asks("b"), asks("c", judge=Text(ja="県", en="prefecture")))
    assert answer("x", rules, facts({"a": False}), WORKS, 2026).answer == "excluded"
    assert answer("x", rules, facts({"a": True}), WORKS, 2026).missing == ("b",)
    found = answer("x", rules, facts({"a": True, "b": True}), WORKS, 2026)
    assert (found.answer, found.judge.ja) == ("judge", "県")


def test_a_fact_that_waits_for_a_person_is_judged_by_the_desk():
    found = answer("x", support(asks("a")), facts({"a": "judge"}), WORKS, 2026)
    assert (found.answer, found.judge.ja, found.findings[0].state) == ("judge", "窓口", "judge")


def test_an_excluded_answer_says_by_which_clause_and_what_was_found():
    found = answer("x", support(asks("a", "below", 0.5, clause="第3条")), facts({"a": 0.7}), WORKS, 2026)
    failing = [each for each in found.findings if each.state == "fails"]
    assert [(each.fact, each.clause, each.found) for each in failing] == [("a", "第3条", "0.7")]
    assert found.amount_yen is None


@pytest.mark.parametrize(("test", "wanted", "holding", "failing"), [
    ("is", "town", "town", "city"), ("is_not", "town", "city", "town"), ("at_least", 5, 5.0, 4.9), ("at_most", 5, 5.0, 5.1), ("below", 5, 4.9, 5.0),
    ("above", 5, 5.1, 5.0), ("any_of", ("town", "city"), "city", "village"), ("none_of", ("town", "city"), "village", "city"),
])  # fmt: skip
def test_each_test_of_a_condition(test, wanted, holding, failing):
    rules = support(asks("a", test, wanted))
    assert [answer("x", rules, facts({"a": each}), WORKS, 2026).answer for each in (holding, failing)] == ["possible", "excluded"]


@pytest.mark.parametrize(("test", "wanted", "said"), [("below", 0.5, "low"), ("below", 0.5, True), ("is", True, "yes"), ("is", "town", 1.0)])
def test_a_fact_of_another_kind_is_refused_with_its_name(test, wanted, said):
    with pytest.raises(FinanceError, match="fact a"):
        answer("x", support(asks("a", test, wanted)), facts({"a": said}), WORKS, 2026)


def test_a_fact_that_no_project_has_is_refused():
    with pytest.raises(FinanceError, match=r"project\.colour"):
        answer("x", support(asks("project.colour", "is", "red")), {}, WORKS, 2026)


def test_one_true_flag_of_a_list_is_enough_and_only_the_unknown_ones_are_asked_for():
    rules = support(asks("project.areas", "any_true", ("island", "remote_area")))
    assert answer("x", rules, facts({"island": True}), WORKS, 2026).answer == "possible"
    assert answer("x", rules, facts({"island": False}), WORKS, 2026).missing == ("remote_area",)
    assert answer("x", rules, facts({"island": False, "remote_area": False}), WORKS, 2026).answer == "excluded"
    assert answer("x", rules, facts({"island": False, "remote_area": "judge"}), WORKS, 2026).answer == "judge"
    with pytest.raises(FinanceError, match="fact island"):
        answer("x", rules, facts({"island": "some of it"}), WORKS, 2026)


def test_a_condition_for_some_is_no_condition_for_the_others():
    rules = support(asks("a", only_if=(asks("firm"),)))
    assert answer("x", rules, facts({"firm": False}), WORKS, 2026).answer == "possible"
    assert answer("x", rules, facts({"firm": True, "a": False}), WORKS, 2026).answer == "excluded"
    assert answer("x", rules, facts({"a": True}), WORKS, 2026).answer == "possible"
    assert answer("x", rules, facts({"a": False}), WORKS, 2026).missing == ("firm",)


def test_the_first_rate_that_holds_is_used_and_none_while_one_before_it_is_open():
    rates = (Rate(text=WORD, share=source(value=0.75), when=(asks("poor"),)), Rate(text=WORD, share=source(value=0.25)))
    rules = support(rates=rates)
    assert [answer("x", rules, facts({"poor": each}), WORKS, 2026).share for each in (True, False)] == [0.75, 0.25]
    open_ = answer("x", rules, {}, WORKS, 2026)
    assert (open_.answer, open_.missing, open_.share, open_.amount_yen) == ("missing", ("poor",), None, None)


def test_no_rate_that_fits_is_no_share():
    found = answer("x", support(rates=(Rate(text=WORD, share=source(value=0.75), when=(asks("poor"),)),)), facts({"poor": False}), WORKS, 2026)
    assert (found.answer, found.share, found.amount_yen) == ("possible", None, None)


def test_thirds_are_exact_and_rounded_down_to_the_yen():
    third = support(share=0.3333333333333333)
    assert answer("x", third, {}, Project(initial={"works": 3_000_000_000}), 2026).amount_yen == 1_000_000_000
    assert answer("x", third, {}, Project(initial={"works": 2}), 2026).amount_yen == 0


def test_the_ceiling_of_a_rate_stands_in_the_place_of_the_editions():
    yen = Quantity(unit="JPY", value=100_000, source="s", confidence=Confidence.A)
    rate = Rate(text=WORD, share=source(value=0.5), ceiling=Quantity(unit="JPY", value=200_000, source="s", confidence=Confidence.A))
    assert answer("x", support(ceiling=yen), {}, WORKS, 2026).amount_yen == 100_000
    assert answer("x", support(ceiling=yen, rates=(rate,)), {}, WORKS, 2026).amount_yen == 200_000
    assert answer("x", support(ceiling=Quantity(unit="JPY", needs_source=True)), {}, WORKS, 2026).amount_yen is None


def test_running_costs_count_for_the_months_of_the_first_year():
    yearly = Project(yearly={"works": 1_200_000})
    months = Quantity(unit="months", value=3, source="s", confidence=Confidence.A)
    assert answer("x", support(stage=("run",)), {}, yearly, 2026).counted_yen == 1_200_000
    assert answer("x", support(stage=("run",), months=months), {}, yearly, 2026).counted_yen == 300_000


def test_a_project_that_only_plans_gets_nothing_for_building():
    assert answer("x", support(), {}, Project(stage="plan", initial={"works": 1}), 2026).answer == "excluded"


def test_an_income_in_words_is_refused():
    with pytest.raises(FinanceError, match="fact income"):
        answer("x", support(less=("income",)), facts({"income": "little"}), WORKS, 2026)


YEARS = st.integers(2005, 2040)
VALUES = st.one_of(st.none(), st.booleans(), st.floats(0, 2), st.just("judge"))
ASKED = sorted({fact for each in SUPPORTS.values() for edition in each.editions for one in conditions(edition) for fact in facts_of(one)})
KINDS = {id: CATALOGUE.facts[id].kind for id in ASKED if id in CATALOGUE.facts and id != "project.cost_yen"}


@st.composite
def towns(draw) -> dict[str, Fact]:
    of = {"flag": st.booleans(), "number": st.floats(0, 1000), "text": st.sampled_from(["一般財源", ""])}
    said = {}
    for id, kind in KINDS.items():
        known = st.sampled_from(sorted(CATALOGUE.facts[id].choices)) if kind == "choice" else of[kind]
        each = draw(st.one_of(st.none(), known, st.just("judge")))
        if each is not None:
            said[id] = each
    return facts(said)


@st.composite
def plans(draw) -> Project:
    amounts = st.dictionaries(st.sampled_from(["equipment", "works", "design", "software", "service", "upkeep"]), st.integers(0, 10**9))
    return Project(
        usecases=tuple(draw(st.sets(st.sampled_from(["av4_bus_remote", "school_giga", "shelter"])))),
        fields=tuple(draw(st.sets(st.sampled_from(["防災", "教育"])))),
        technologies=tuple(draw(st.sets(st.sampled_from(["pon-ftth", "public-fibre", "wifi-halow", "mobile-base-station"])))),
        stage=draw(st.sampled_from(["plan", "trial", "build", "run"])),
        applicant=draw(st.sampled_from(["municipality", "company", "consortium"])),
        initial=draw(amounts), yearly=draw(amounts), unpriced=tuple(draw(st.sets(st.sampled_from(["works", "software"])))),
    )  # fmt: skip


@given(st.sampled_from(sorted(SUPPORTS)), towns(), plans(), YEARS)
def test_no_answer_promises_and_none_outlives_its_text(id, town, plan, year):
    found = answer(id, SUPPORTS[id], town, plan, year)
    assert "採択" not in msgspec.json.encode(found).decode()
    if not any(edition.fiscal_year <= year <= edition.valid_to for edition in SUPPORTS[id].editions):
        assert found.answer in ("unpublished", "excluded")
    if found.amount_yen is not None:
        assert 0 <= found.amount_yen <= found.counted_yen
        assert SUPPORTS[id].column in ("national", "prefecture", "bond", "other")
    if "excluded" in (found.answer, found.example):
        assert (found.amount_yen, found.missing, found.judge) == (None, (), None)
        assert any(finding.state == "fails" for finding in found.findings)
    assert ("missing" in (found.answer, found.example)) == bool(found.missing)
    assert ("judge" in (found.answer, found.example)) == (found.judge is not None)


@given(st.sampled_from(sorted(SUPPORTS)), towns(), plans(), YEARS)
def test_what_is_asked_for_can_be_asked(id, town, plan, year):
    assert set(answer(id, SUPPORTS[id], town, plan, year).missing) <= set(CATALOGUE.facts)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=4), st.dictionaries(st.sampled_from("abcd"), VALUES), st.sampled_from("abcd"))
def test_a_failing_fact_never_makes_an_answer_possible(asked, said, failing):
    said = {name: each for name, each in said.items() if each is not None and not isinstance(each, float)}
    rules = [asks(name, judge=WORD if judged else None) for name, judged in asked]
    before = answer("x", support(*rules), facts(said), WORKS, 2026).answer
    after = answer("x", support(*rules), facts(said | {failing: False}), WORKS, 2026).answer
    if failing in {name for name, _ in asked}:
        assert after == "excluded"
    else:
        assert after == before


@given(st.integers(0, 10**12), st.integers(0, 10_000))
def test_an_amount_is_the_share_of_what_counts_rounded_down(yen, tenthousandths):
    share = tenthousandths / 10_000
    found = answer("x", support(share=share), {}, Project(initial={"works": yen}), 2026)
    assert found.amount_yen == (yen * tenthousandths // 10_000 if yen else None)
