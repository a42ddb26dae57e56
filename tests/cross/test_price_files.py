"""Taking a price away never makes a plan look cheaper: the total becomes null, stays at least as large, or is not said to be proved.

The example is planned with each technology file deleted in turn, and with each cost of the technologies in use emptied, as it stands and as an
optional one. One process, one region; a technology that no design can place (pattern none) only has to be gone from what is priced.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.catalogue import PACKAGE_DATA, Catalogue, load
from kiban.design.tree import technologies_used
from kiban.loop.given import Given
from kiban.loop.plan import Made, make_plan
from kiban.records.region import Region
from kiban.records.source import Confidence, Quantity
from kiban.records.technology import Technology
from kiban.region import Detour, read

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
NOW = datetime.fromisoformat("2026-11-23T12:00:00+09:00")
SHELTER, RIVER, SCHOOL = "地震で孤立した集落と避難所の通信を確保したい", "大雨のたびに川の水位を見に行くのが危険", "学校の回線が遅くて授業が止まる"
FILES = sorted(path.stem for path in (PACKAGE_DATA / "technologies").glob("*.yaml"))


@cache
def catalogue() -> Catalogue:
    return load()


@cache
def region() -> Region:
    rule = catalogue().rule_at("detour-factor", NOW.date()).quantity
    return read(EXAMPLE, detour=Detour(value=rule.value, source=catalogue().rules["detour-factor"].sources[rule.source]))


def plan_with(data: Catalogue, sentence: str = SHELTER) -> Made:
    return make_plan(Given(sentence=sentence, region=region(), catalogue=data, now=NOW))


@cache
def whole(sentence: str) -> Made:
    """The plan with every file."""
    return plan_with(catalogue(), sentence)


@cache
def complete() -> Catalogue:
    """The files, with a figure for each optional cost that lacks one (a made-up yen), so that the plan has a total to compare with."""
    return replace(catalogue(), technologies={id: filled(technology) for id, technology in catalogue().technologies.items()})


def filled(technology: Technology) -> Technology:
    source = next(iter(technology.sources), None)
    made_up = [
        replace(
            cost,
            evidence=tuple(replace(q, value=1.0, low=None, high=None, source=source, confidence=Confidence.D, needs_source=False) for q in cost.evidence[:1]),
            pick="only",
        )
        if cost.optional and all(quantity.value is None for quantity in cost.evidence)
        else cost
        for cost in technology.costs
    ]
    return replace(technology, costs=tuple(made_up))


@cache
def with_total(sentence: str) -> Made:
    return plan_with(complete(), sentence)


def emptied(technology: Technology, cost_id: str, optional: bool) -> Technology:
    """The technology with one cost that nobody knows."""

    def empty(quantity: Quantity) -> Quantity:
        return Quantity(unit=quantity.unit, needs_source=True)

    costs = tuple(
        replace(cost, evidence=(empty(cost.evidence[0]),), pick="only", optional=optional) if cost.id == cost_id else cost for cost in technology.costs
    )
    return replace(technology, costs=costs)


def total_and_status(made: Made) -> tuple[float | None, str]:
    assert made.plan is not None
    body = made.plan.steps[3].body
    return (None if body["cost_npv"] is None else made.plan.figures[body["cost_npv"]].value), body["status"]


def looks_cheaper(made: Made, full: Made) -> bool:
    """A smaller total that is called proved: what must never be."""
    total, status = total_and_status(made)
    before, _ = total_and_status(full)
    assert before is not None
    return total is not None and total < before and status == "proved"


def without_file(id: str) -> Catalogue:
    data = complete()
    return replace(data, technologies={key: value for key, value in data.technologies.items() if key != id})


@pytest.mark.parametrize("sentence", [SHELTER, RIVER, SCHOOL], ids=["shelter", "river", "school"])
def test_with_every_cost_known_the_example_has_a_proved_total(sentence):
    total, status = total_and_status(with_total(sentence))
    assert (total is not None and total > 0, status) == (True, "proved")


@pytest.mark.parametrize("id", FILES)
def test_a_technology_file_deleted_never_makes_the_plan_cheaper_and_proved(id):
    data = without_file(id)
    if catalogue().technologies[id].wiring.pattern == "none":
        assert id not in {price.technology for price in with_total(SHELTER).designed.problem.prices}
        return
    made = plan_with(data)
    assert not looks_cheaper(made, with_total(SHELTER))
    assert id not in technologies_used(made.designed.problem, made.designed.design)


@pytest.mark.parametrize("sentence", [RIVER, SCHOOL], ids=["river", "school"])
def test_a_technology_in_use_deleted_never_makes_the_other_plans_cheaper_and_proved(sentence):
    full = with_total(sentence)
    for id in sorted(technologies_used(full.designed.problem, full.designed.design)):
        assert not looks_cheaper(plan_with(without_file(id), sentence), full), id


def test_a_file_deleted_on_disk_is_a_file_not_in_the_catalogue(tmp_path):
    package = tmp_path / "data"
    shutil.copytree(PACKAGE_DATA, package)
    (package / "technologies" / "leo-satellite.yaml").unlink()
    data = load(package=package)
    assert set(catalogue().technologies) - set(data.technologies) == {"leo-satellite"}
    made = plan_with(data)
    assert total_and_status(made)[0] is None
    assert made.plan.status in ("incomplete", "unserved")


@pytest.mark.parametrize(
    ("sentence", "optional"),
    [(SHELTER, False), (SHELTER, True), (RIVER, False), (RIVER, True), (SCHOOL, True)],
    ids=["shelter", "shelter-optional", "river", "river-optional", "school-optional"],
)
def test_a_cost_in_use_that_loses_its_figure_never_makes_the_plan_cheaper_and_proved(sentence, optional):
    """Also when the cost is marked optional: then the technology stays in the design, and the plan names the cost and is not called proved."""
    full = with_total(sentence)
    tried = 0
    for id in sorted(technologies_used(full.designed.problem, full.designed.design)):
        technology = complete().technologies[id]
        for cost in technology.costs:
            data = replace(complete(), technologies=complete().technologies | {id: emptied(technology, cost.id, optional)})
            made = plan_with(data, sentence)
            body = made.plan.steps[3].body
            assert not looks_cheaper(made, full), (id, cost.id)
            used = id in technologies_used(made.designed.problem, made.designed.design)
            assert used == ({"technology": id, "cost": cost.id} in body["excludes"]), (id, cost.id)
            if used:
                assert optional or cost.optional or technology.wiring.pattern == "plant", (id, cost.id)
                assert body["cost_npv"] is None or body["status"] != "proved", (id, cost.id)
                assert made.plan.figures[body["priced_part"]].value > 0
            tried += 1
    assert tried > 0


def test_the_shipped_example_names_what_its_total_would_leave_out():
    body, verdict = whole(SHELTER).plan.steps[3].body, whole(SHELTER).plan.steps[-1].body
    assert body["excludes"] == [{"technology": "pon-ftth", "cost": "equipment-upkeep"}]
    assert body["cost_npv"] is None or body["status"] != "proved"
    assert [point["costs"] for point in verdict["points"] if point["about"] == ["technologies/pon-ftth"] and point["kind"] == "excluded"] == [
        ["equipment-upkeep"]
    ]


@pytest.mark.parametrize("rule", ["discount-rate", "consumption-tax", "horizon"])
def test_without_a_rule_there_is_no_plan_and_the_message_names_it(rule):
    rules = {id: value for id, value in catalogue().rules.items() if id != rule}
    with pytest.raises(KibanError, match=rule):
        plan_with(replace(catalogue(), rules=rules))


@pytest.mark.parametrize("rule", ["discount-rate", "consumption-tax", "horizon"])
def test_with_an_empty_rule_there_is_no_plan_and_the_message_names_it(rule):
    one = catalogue().rules[rule]
    emptied_values = tuple(replace(value, quantity=Quantity(unit=value.quantity.unit, needs_source=True)) for value in one.values)
    with pytest.raises(KibanError, match=rule):
        plan_with(replace(catalogue(), rules=catalogue().rules | {rule: replace(one, values=emptied_values)}))
