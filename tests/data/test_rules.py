"""The lists of data/rules as the engines read them: each cost has its section, each kind of body its thresholds, each kind of place its answer."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import get_args

import pytest
from tests.finance.money_town import facts

from kiban.catalogue import Catalogue, load
from kiban.finance.calendar import calendar
from kiban.finance.contracts import limit
from kiban.finance.estimate import section_of
from kiban.finance.social import social_capital
from kiban.records.rule import DatedList
from kiban.records.support import Category
from kiban.records.usecase import SiteKind

TODAY = date(2026, 11, 27)
MUNICIPAL = ("prefecture", "designated_city", "city", "town", "village")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def form(catalogue: Catalogue) -> DatedList:
    return catalogue.list_at("budget-form", TODAY)


def costs(catalogue: Catalogue) -> list:
    return [(f"{id}.{cost.id}", cost) for id, technology in sorted(catalogue.technologies.items()) for cost in technology.costs]


def test_every_tag_of_a_cost_stands_in_exactly_one_entry_of_the_budget_form(catalogue):
    listed = Counter(tag for entry in form(catalogue).entries for tag in entry.tags)
    used = {tag for _, cost in costs(catalogue) for tag in cost.scope}
    assert (sorted(used - set(listed)), sorted(set(listed) - used)) == ([], [])
    assert [tag for tag, times in listed.items() if times > 1] == []


def test_every_cost_has_a_section_of_its_own_phase_without_a_fallback(catalogue):
    entries = form(catalogue).entries
    assert [id for id, cost in costs(catalogue) if not any(entry.when["phase"] == cost.phase and set(entry.tags) & set(cost.scope) for entry in entries)] == []
    assert {entry.when["category"] for entry in entries} <= set(get_args(Category))


@pytest.mark.parametrize(
    ("cost", "section", "category"),
    [
        ("fibre-aerial.cable", "works", "works"),
        ("leo-satellite.terminal", "equipment", "equipment"),
        ("leo-satellite.service", "communication", "service"),
        ("pon-ftth.equipment-upkeep", "commission", "upkeep"),
        ("fibre-aerial.pole-rent", "usage", "rent"),
        ("local-5g.radio-fee", "duties", "rent"),
        ("trap-sensor.sensor", "equipment", "equipment"),
    ],
)
def test_a_cost_falls_under_the_section_that_an_officer_expects(catalogue, cost, section, category):
    found = dict(costs(catalogue))[cost]
    assert section_of(found.scope, found.phase, form(catalogue)) == (section, category)


@pytest.mark.parametrize("kind", ["works", "purchase", "lease", "other"])
@pytest.mark.parametrize("body", MUNICIPAL)
def test_each_kind_of_body_has_one_ceiling_of_small_contracts(catalogue, body, kind):
    found = limit(catalogue.list_at("small-contract", TODAY), kind, f"small_contract_{kind}", facts(body_kind=body))
    assert found.least == found.most
    assert found.least
    assert found.clause


def test_the_ceilings_of_a_town_rose_in_april_2025(catalogue):
    yen = [
        [limit(catalogue.list_at("small-contract", day), kind, "own", facts(body_kind="town")).least for kind in ("works", "purchase", "lease", "other")]
        for day in (date(2025, 3, 31), date(2025, 4, 1))
    ]
    assert yen == [[1_300_000, 800_000, 400_000, 500_000], [2_000_000, 1_500_000, 800_000, 1_000_000]]


@pytest.mark.parametrize("kind", ["works", "purchase"])
def test_the_assembly_decides_from_an_amount_that_rises_with_the_body(catalogue, kind):
    table = catalogue.list_at("assembly-decision", TODAY)
    yen = [limit(table, kind, f"assembly_{kind}", facts(body_kind=body)).least for body in ("village", "town", "city", "designated_city", "prefecture")]
    assert yen[0] == yen[1]
    assert yen[1:] == sorted(set(yen[1:]))


def test_the_towns_own_ceiling_wins_over_the_law(catalogue):
    own = limit(catalogue.list_at("small-contract", TODAY), "works", "small_contract_works", facts(body_kind="town", small_contract_works=1_300_000.0))
    assert (own.least, own.most, own.own) == (1_300_000, 1_300_000, True)


def test_terms_of_contracts_speak_of_categories_of_cost(catalogue):
    entries = {entry.id: entry for entry in catalogue.list_at("contract-term", TODAY).entries}
    assert {tag for entry in entries.values() for tag in entry.tags} <= set(get_args(Category))
    assert set(entries["longterm"].tags) == {"service", "energy"}
    assert not set(entries["ordinance"].tags) & set(entries["longterm"].tags)


def test_disadvantaged_areas_are_facts_that_a_town_can_answer(catalogue):
    entries = catalogue.list_at("disadvantaged-areas", TODAY).entries
    assert [tag for entry in entries for tag in entry.tags if catalogue.facts[tag].kind != "flag"] == []
    assert len(entries) == 7


def test_social_capital_names_kinds_of_place_and_use_cases_only(catalogue):
    for edition in catalogue.rules["social-capital"].lists:
        assert [tag for entry in edition.entries for tag in entry.tags if tag not in get_args(SiteKind) and tag not in catalogue.usecases] == []


@pytest.mark.parametrize(
    ("place", "answer"), [("school", "yes"), ("office", "yes"), ("clinic", "judge"), ("household", "judge"), ("bus", "judge"), ("factory", "no")]
)
def test_a_hospital_and_private_housing_are_judged_a_school_is_not(catalogue, place, answer):
    said = facts(blocked_by_connectivity=True, running_cost_unbudgeted=False)
    assert social_capital([place], said, catalogue.list_at("social-capital", TODAY))[0] == answer


def test_public_offices_came_and_post_went_with_the_newer_stock_estimate(catalogue):
    old, new = ({entry.id for entry in edition.entries} for edition in catalogue.rules["social-capital"].lists)
    assert ("post" in old, "post" in new, "offices" in old, "offices" in new) == (True, False, False, True)


def test_the_year_runs_from_policy_to_contract(catalogue):
    steps = calendar(catalogue.list_at("budget-calendar", TODAY), start=2027, start_month=15, today=TODAY)
    assert [step.id for step in steps] == ["policy", "request", "assessment", "assembly", "supplementary", "contract", "purchase", "service", "year-end"]
    assert all(step.source for step in steps[:6])


def test_bonds_are_rounded_to_a_unit_that_is_marked_as_observed(catalogue):
    unit = catalogue.rule_at("bond-rounding", TODAY).quantity
    assert (unit.unit, unit.value, unit.derived, unit.confidence) == ("JPY", 100_000, True, "C")


def test_every_threshold_names_its_clause(catalogue):
    for rule in ("small-contract", "assembly-decision", "contract-term"):
        assert [entry.id for edition in catalogue.rules[rule].lists for entry in edition.entries if not entry.clause] == []
