"""The money of a plan from end to end: the example region, facts and defaults, the town's own values, the step that holds no amount."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.finance.money_town import support

from kiban.base.errors import FinanceError, KibanError
from kiban.catalogue import Catalogue
from kiban.loop.files import read_folder
from kiban.loop.funding import facts_of, fund, funding_step
from kiban.loop.given import Given
from kiban.records.design import Problem
from kiban.records.fact import NamedFact
from kiban.records.funding import Answered, Funding, Inputs, Quote
from kiban.records.plan import Plan
from kiban.records.region import Region
from kiban.records.source import Text

TODAY = date(2026, 11, 23)


@dataclass(frozen=True)
class Example:
    """A plan with what its money is made from."""

    plan: Plan
    region: Region
    problem: Problem
    catalogue: Catalogue

    def fund(self, catalogue: Catalogue | None = None, **inputs: Any) -> Funding:
        """Its money, with what somebody typed in."""
        return fund(self.plan, self.region, self.problem, catalogue or self.catalogue, Inputs(**inputs), TODAY)


@pytest.fixture(scope="module")
def example(example_folder, shipped_catalogue) -> Example:
    read = read_folder(example_folder)
    return Example(read.plan, read.region, read.problem, shipped_catalogue)


@pytest.fixture(scope="module")
def funding(example) -> Funding:
    return example.fund()


def test_every_priced_cost_of_the_design_is_a_line_and_every_unpriced_one_awaits(example, funding):
    paid = {id.removeprefix("units/").replace("#", ".").replace("@", ".") for id in example.plan.figures if id.startswith("units/")}
    excludes = {f"{row['technology']}.{row['cost']}" for step in example.plan.steps if step.id == "design" for row in step.body["excludes"]}
    assert {line.id for line in funding.lines if line.basis != "awaiting"} == paid
    awaiting = {line.id for line in funding.lines if line.basis == "awaiting"}
    assert {id for id in awaiting if not id.startswith("component.")} == excludes


def test_what_the_specification_asks_for_and_no_line_pays_for_awaits_a_price(example, funding):
    paid = {line.technology for line in funding.lines if line.basis != "awaiting"} | {"pon-ftth"}
    model = example.catalogue.models["shelter-comms/1"]
    asked = {part.id for part in model.components if {clause.component for clause in model.clauses} & {part.id} and not paid & set(part.technologies)}
    assert {line.cost for line in funding.lines if line.technology == "component"} == asked
    assert {"shelter-wifi", "power", "path-control"} <= asked
    assert "second-path" not in asked  # a satellite terminal stands for it


def test_the_lines_add_up_to_the_years_of_the_ledger(example, funding):
    body = next(step.body for step in example.plan.steps if step.id == "design")
    for year, id in enumerate(body["years"]):
        found = sum(line.yearly[year] for line in funding.lines if line.yearly)
        assert found == pytest.approx(example.plan.figures[id].value, abs=10)  # the ledger rounds each layer to the yen


def test_both_tables_balance_and_the_first_year_is_that_of_the_problem(example, funding):
    for table in (funding.adopted, funding.refused):
        assert table.years == tuple(range(example.problem.start, example.problem.start + example.problem.horizon))
        assert all(sum(row.years[year] for row in table.sources) == table.total[year] for year in range(len(table.years)))
        assert sum(table.months) == table.total[0]
    assert funding.refused.supports == ()


def test_no_table_counts_on_a_support_whose_answer_is_not_possible(example, funding):
    answers = {answer.support: answer for answer in funding.answers}
    for id in funding.adopted.supports:
        assert "possible" in (answers[id].answer, answers[id].example)
        assert (answers[id].answer == "unpublished") == (id in funding.adopted.past)
        assert example.catalogue.supports[id].column in ("national", "prefecture", "bond", "other")


def test_every_way_plant_and_contract_is_there(example, funding):
    assert [way.id for way in funding.ways] == ["purchase", "lease", "service"]
    assert funding.ways[0].years == funding.adopted.total
    assert {option.plant for option in funding.plants} == {plant.id for plant in example.region.plants}
    assert {id for contract in funding.contracts for id in contract.lines} == {line.id for line in funding.lines}
    assert {row.technology for row in funding.energy} == {line.technology for line in funding.lines} - {"component"}


def test_defaults_are_listed_as_assumed_with_their_reason_and_who_confirms(example, funding):
    assert {row["id"] for row in funding.assumed} == {id for id, fact in example.catalogue.facts.items() if fact.default is not None} | {"electricity_price"}
    assert all(row["name"] and row["value"] and row["reason"] and row["confirm"] for row in funding.assumed)
    assert not {row["id"] for row in funding.assumed} & set(funding.missing)


def test_what_is_missing_has_a_file_that_says_whom_to_ask(example, funding):
    assert set(funding.missing) <= set(example.catalogue.facts)
    assert len(set(funding.missing)) == len(funding.missing)


def test_a_fact_that_somebody_typed_in_wins_over_the_region_and_is_not_assumed(example):
    known, taken = facts_of(example.region, Inputs(facts={"fiscal_index": 0.9, "service_start_month": 10.0}), example.catalogue)
    assert known["fiscal_index"].value == 0.9
    assert "service_start_month" not in {row["id"] for row in taken}
    assert facts_of(example.region, Inputs(), example.catalogue)[0]["fiscal_index"].value == 0.2


def test_the_month_of_the_start_moves_the_first_year_only(example, funding):
    early = example.fund(facts={"service_start_month": 4.0})
    assert (early.adopted.running_months, early.adopted.total[1:]) == (12, funding.adopted.total[1:])
    assert early.adopted.total[0] > funding.adopted.total[0]


def test_an_own_price_a_quantity_and_the_rate_of_tax_change_the_budget_to_the_yen(example):
    line = next(line for line in example.fund().lines if line.phase == "initial" and line.yearly and line.yearly[0])
    before = example.fund(tax_rate=0.0)
    after = example.fund(tax_rate=0.0, quantities={line.id: 2.0}, prices={line.id: 1_234_567.0})
    assert after.adopted.total[0] - before.adopted.total[0] == pytest.approx(2 * 1_234_567 - line.yearly[0], abs=1)
    assert next(one for one in after.lines if one.id == line.id).basis == "town"


def test_quotes_give_an_awaiting_line_its_price(example, funding):
    awaited = next(line for line in funding.lines if line.basis == "awaiting")
    quotes = tuple(
        Quote(supplier=str(yen), received=TODAY, file="a.xlsx", answers=(Answered(line=awaited.id, unit_yen=yen),)) for yen in (1_000.0, 3_000.0, 2_000.0)
    )
    line = next(line for line in example.fund(quotes=quotes).lines if line.id == awaited.id)
    assert (line.basis, line.unit_yen, line.quotes) == ("quotes", 2_000.0, 3)


def test_a_grant_and_a_bond_fill_the_first_year_and_the_memo_stands_apart(example):
    counts = ("works", "equipment", "design", "software")
    supports = {
        "grant": support("national", 0.5, year=example.problem.start, counts=counts),
        "bond": support("bond", 1.0, year=example.problem.start, counts=counts, order=2, interest=0.01, rounding=100_000, local_share_of=("grant",)),
    }
    made = example.fund(replace(example.catalogue, supports=supports), facts={"no_tax_grant": False})
    columns = {row.id: row.years for row in made.adopted.sources}
    bought = sum(line.yearly[0] for line in made.lines if line.phase == "initial" and line.yearly) * 1.1
    assert columns["national"][0] == pytest.approx(bought / 2, abs=1)
    assert columns["bond"][0] == int(bought / 2 // 100_000) * 100_000
    assert made.adopted.end_year == example.problem.start + 1
    (debt,) = made.adopted.debt
    assert sum(debt.principal) == debt.amount == columns["bond"][0]
    assert debt.memo is not None
    assert debt.memo[0] == int(debt.amount * 0.01 * 0.7)
    assert example.fund(replace(example.catalogue, supports=supports), facts={"no_tax_grant": True}).adopted.debt[0].memo == (0,) * len(debt.principal)


def test_the_same_arguments_give_the_same_money_and_other_inputs_another_hash(example, funding):
    assert example.fund() == funding
    assert example.fund(tax_rate=0.08).inputs != funding.inputs


def test_funding_survives_its_file(funding):
    assert msgspec.json.decode(msgspec.json.encode(funding), type=Funding) == funding


def numbers(thing: Any) -> Iterator[float]:
    """Every number inside plain data."""
    if isinstance(thing, dict):
        for part in thing.values():
            yield from numbers(part)
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from numbers(part)
    elif isinstance(thing, int | float) and not isinstance(thing, bool):
        yield thing


def test_the_step_of_the_plan_holds_no_number(example, funding):
    given = Given(sentence=example.plan.sentence, region=example.region, catalogue=example.catalogue, now=datetime(2026, 11, 23, tzinfo=UTC))
    step = funding_step(given, funding)
    assert step.id == "funding"
    assert list(numbers(step.body)) == []
    assert {row["figure"] for row in step.body["lines"] if row["figure"]} <= set(example.plan.figures)
    assert "rules/budget-form" in step.pinned


def test_without_a_list_of_sections_nothing_is_published(example):
    rules = {id: rule for id, rule in example.catalogue.rules.items() if id != "budget-form"}
    with pytest.raises(FinanceError, match="budget-form"):
        example.fund(replace(example.catalogue, rules=rules))


def named(kind: str, **more: Any) -> NamedFact:
    word = Text(ja="事実", en="fact")
    return NamedFact(name=word, question=word, why=word, desk=word, kind=kind, group="town", checked_on=TODAY, **more)


@pytest.mark.parametrize(
    ("fact", "value", "expected"),
    [
        (named("flag"), "yes", True),
        (named("flag"), "いいえ", False),
        (named("flag"), 1.0, True),
        (named("number", unit="JPY"), 5.0, 5.0),
        (named("day"), "2027-03-31", "2027-03-31"),
        (named("choice", choices={"town": Text(ja="町", en="town")}), "town", "town"),
    ],
)
def test_a_value_is_read_as_the_kind_of_its_fact(example, fact, value, expected):
    catalogue = replace(example.catalogue, facts={"x": fact})
    assert facts_of(example.region, Inputs(facts={"x": value}), catalogue)[0]["x"].value == expected


@pytest.mark.parametrize(
    ("fact", "value", "fits"),
    [
        (named("flag"), "perhaps", "yes or no"),
        (named("number", unit="JPY"), "many", "a number in JPY"),
        (named("number", unit="JPY", low=0, high=10), 11.0, "0…10 JPY"),
        (named("day"), "31 March", "YYYY-MM-DD"),
        (named("choice", choices={"town": Text(ja="町", en="town")}), "moon", "one of town"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(example, fact, value, fits):
    catalogue = replace(example.catalogue, facts={"x": fact})
    with pytest.raises(KibanError, match=rf"facts, x: found .*{fits}"):
        facts_of(example.region, Inputs(facts={"x": value}), catalogue)
