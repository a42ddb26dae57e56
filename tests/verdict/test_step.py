"""The verdict's step: what leaving it costs stands in the ledger, facts that people typed in are told from rows, and no number stands in the body."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from kiban.catalogue import Catalogue
from kiban.finance.ledger import Ledger
from kiban.loop.given import Given
from kiban.loop.plan import Made, make_plan
from kiban.loop.recompute import recompute_plan
from kiban.loop.verdict import option_costs
from kiban.records.region import Evidence, Fact
from kiban.region import read

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
# What the town says of the present service: 1,000,000 yen a year, two outages of 50,000 yen each.
SAID = (("service_cost_before", 1_000_000, "JPY/year"), ("failures_per_year", 2, "events/year"), ("outage_cost", 50_000, "JPY/event"))


@pytest.fixture(scope="module")
def given(shipped_catalogue: Catalogue) -> Given:
    region = read(EXAMPLE)
    source = next(iter(region.sources))
    rows = tuple(Fact(id=id, value=value, unit=unit, evidence=Evidence(source=source)) for id, value, unit in SAID)
    region = replace(region, facts=(*region.facts, *rows))
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return Given(sentence="地震で孤立した集落と避難所の通信を確保したい", region=region, catalogue=shipped_catalogue, now=now)


@pytest.fixture(scope="module")
def made(given: Given) -> Made:
    return make_plan(given)


def numbers(thing: Any) -> Iterator[float]:
    """All bare numbers of a body."""
    if isinstance(thing, int | float) and not isinstance(thing, bool):
        yield thing
    for part in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ():
        yield from numbers(part)


def test_leaving_it_costs_its_years_at_present_value(made: Made, given: Given) -> None:
    assert made.plan is not None
    figures = made.plan.figures
    discount = given.catalogue.rule_at("discount-rate", given.now.date()).quantity.value
    years = given.catalogue.rule_at("horizon", given.now.date()).quantity.value
    assert discount is not None
    assert years is not None
    expected = sum(1_100_000 / (1 + discount) ** year for year in range(int(years)))
    assert figures["verdict/leave/cost"].value == pytest.approx(expected)
    body = made.plan.steps[-1].body
    leave = next(row for row in body["options"] if row["kind"] == "leave")
    assert leave["cost"] == "verdict/leave/cost"
    assert figures[f"region/{made.plan.region}#service_cost_before"].kind == "source"


def test_the_costs_of_the_verdict_are_computed_again_from_their_leaves(made: Made) -> None:
    assert made.plan is not None
    assert made.designed is not None
    again = recompute_plan(made.plan, made.designed.problem, made.designed.design)
    assert {key: again[key] for key in made.plan.figures} == {key: figure.value for key, figure in made.plan.figures.items()}


def test_the_body_holds_figure_ids_and_words_and_no_number(made: Made) -> None:
    assert made.plan is not None
    body = msgspec.json.decode(msgspec.json.encode(made.plan.steps[-1].body))
    assert list(numbers(body)) == []
    assert list(body) == ["status", "points", "priority", "options", "conclusion", "inquiries", "fast_lane", "social_capital", "bottlenecks"]
    assert [set(row) for row in body["options"]] == [{"kind", "state", "cost", "cost_text", "for", "against", "cases", "flips", "ask"}] * 7
    named = [row["cost"] for row in body["options"]] + [flip["price"] for row in body["options"] for flip in row["flips"]]
    assert {id for id in named if id is not None} <= set(made.plan.figures)


def test_a_fact_that_somebody_typed_in_is_a_choice_of_theirs(made: Made, given: Given) -> None:
    assert made.plan is not None
    ledger = Ledger()
    ledger.figures.update({key: figure for key, figure in made.plan.figures.items() if key.startswith("rules/")})
    typed = {"service_cost_before": Fact(id="service_cost_before", value=5.0, unit="JPY/year", evidence=Evidence(source="inputs.json"))}
    option_costs(given, typed, made.plan.steps[2], ledger)
    assert (ledger.figures["inputs#service_cost_before"].kind, ledger.figures["inputs#service_cost_before"].value) == ("choice", 5.0)
