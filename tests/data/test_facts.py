"""Named facts: each can be asked as it stands, nothing is taken in silence, and every fact that an engine reads has its file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kiban
from kiban.catalogue import Catalogue, load

CODE = Path(kiban.__file__).parent
READ = re.compile(r"(?:number|flag|_day|_fact_figure)\((?:given, )?(?:given\.|self\.)?facts, \"(\w+)\"|facts(?:\.get\(|\[)\"(\w+)\"|\"(\w+)\" in facts")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def test_every_fact_that_an_engine_reads_has_its_file(catalogue):
    read = {name for path in CODE.rglob("*.py") for found in READ.findall(path.read_text(encoding="utf-8")) for name in found if name}
    assert {"bond_interest", "service_start_month", "quotes_required"} <= read
    assert sorted(read - set(catalogue.facts)) == []


def test_a_question_can_be_sent_as_it_stands(catalogue):
    assert [id for id, fact in catalogue.facts.items() if not re.search(r"(か|ください|構いません)(（[^）]*）)?。$", fact.question.ja)] == []
    assert [id for id, fact in catalogue.facts.items() if not fact.question.en.endswith(("?", ".", ")"))] == []
    assert [id for id, fact in catalogue.facts.items() if not fact.why.ja.endswith("。")] == []


def test_only_choices_of_this_program_are_taken_without_an_answer(catalogue):
    taken = {id: fact.default for id, fact in catalogue.facts.items() if fact.default is not None}
    assert taken == {"applicant": "municipality", "publish_household_limit": 10, "quotes_required": 3, "service_start_month": 15, "contract_years": 5}
    assert all("優先" in catalogue.facts[id].default_why.ja for id in ("quotes_required", "publish_household_limit"))


def test_every_source_of_income_is_a_fact_of_its_own(catalogue):
    assert sorted(id for id, fact in catalogue.facts.items() if fact.group == "revenue") == [
        "revenue_advertising", "revenue_iru", "revenue_local_asset", "revenue_rental", "revenue_user_fee",
    ]  # fmt: skip


def test_the_towns_own_ceilings_are_asked_for_each_kind_of_contract(catalogue):
    rules = {id for id, fact in catalogue.facts.items() if fact.group == "rules"}
    assert {f"small_contract_{kind}" for kind in ("works", "purchase", "lease", "other")} <= rules
    assert {"assembly_works", "assembly_purchase", "longterm_ordinance", "quotes_required"} <= rules
