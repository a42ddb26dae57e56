"""Oku-Noto under every condition of docs/explanation/scenarios.md: each design holds, one fact follows from another, and the page says what comes out now.

Numbers that moved for a good reason are told in `changes`; then `python bench/scenarios.py --only okunoto` writes the page anew,
and its sentences are read again.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from kiban.check import check_design, check_problem
from kiban.records.design import Design

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
TRAFFIC = ("flat", "growth-20", "explosive")


def silent(_: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """bench/scenarios.py, whose folder is no package."""
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_scenarios", BENCH / "scenarios.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def ran(bench, shipped_catalogue) -> tuple[Any, dict[str, Any]]:
    """The place with its problems and designs, and the result as it is stored."""
    place = bench.okunoto(shipped_catalogue)
    return place, json.loads(json.dumps(bench.run(place, silent)))


@pytest.fixture(scope="module")
def rows(ran) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in ran[1]["rows"]}


def test_every_design_of_okunoto_holds_in_the_independent_check(ran, shipped_catalogue):
    place, _ = ran
    designs = {id: design for id, design in place.designs.items() if isinstance(design, Design)}
    assert len(designs) == 11
    assert [id for id, design in designs.items() if not check_design(place.problems[id], design).holds] == []
    usecases = {id: shipped_catalogue.usecases[id] for _, id in place.wanted}
    for id, region in (("base", place.given.region), ("plant-none", place.plain)):
        assert check_problem(place.problems[id], region, usecases, shipped_catalogue.technologies).holds


def test_a_design_that_the_check_refuses_ends_the_run(bench, ran, shipped_catalogue, monkeypatch):
    place, _ = ran
    problem, design = place.problems["alone-river_gauge"], place.designs["alone-river_gauge"]
    wrong = replace(design, cost=design.cost + 1)
    assert not check_design(problem, wrong).holds
    monkeypatch.setattr(bench, "solve", lambda _problem, **_: wrong)
    with pytest.raises(bench.Refused, match="base"):
        bench.run(bench.okunoto(shipped_catalogue), silent)


def test_no_bound_is_above_its_cost(rows):
    assert [id for id, row in rows.items() if row["cost"] is not None and not 0 < row["bound"] <= row["cost"]] == []


def test_without_backup_no_plan_is_dearer(rows):
    assert rows["no-backup"]["bound"] <= rows["base"]["cost"]
    assert (rows["base"]["status"], rows["no-backup"]["status"]) == ("proved", "proved")
    assert rows["no-backup"]["cost"] <= rows["base"]["cost"]


def test_younger_plant_never_makes_a_plan_dearer_and_plant_at_all_never_does(rows):
    assert rows["plant-new"]["cost"] <= rows["base"]["cost"] <= rows["plant-none"]["cost"]


def test_heavier_traffic_is_never_cheaper_and_breaks_no_fewer_links(rows):
    cases = [rows[f"traffic-{id}"] for id in TRAFFIC]
    assert {case["status"] for case in cases} == {"proved"}
    assert [case["cost"] for case in cases] == sorted(case["cost"] for case in cases)
    assert [case["breaks"]["broken"] for case in cases] == sorted(case["breaks"]["broken"] for case in cases)


def test_what_was_measured_says_nothing_of_the_years_of_the_plan_and_has_no_number(rows):
    row = rows["traffic-measured"]
    assert (row["status"], row["cost"], row["bound"], row["gap"], row["more"]) == ("refused", None, None, None, None)


def test_together_costs_no_more_than_each_alone_and_no_less_than_any(rows):
    alone = [row for id, row in rows.items() if id.startswith("alone-") and id != "alone-sum"]
    assert sum(row["cost"] for row in alone) == rows["alone-sum"]["cost"]
    assert max(row["cost"] for row in alone) <= rows["base"]["cost"] <= rows["alone-sum"]["cost"]


def test_more_money_never_serves_less_priority_and_no_stage_pays_more_than_it_has(rows):
    stages = [rows[f"budget-{number}"] for number in (1, 2, 3)]
    assert [stage["weight"] for stage in stages] == sorted(stage["weight"] for stage in stages)
    assert all(stage["weight"] <= stage["most_weight"] <= stage["all_weight"] for stage in stages)
    assert all(stage["initial"] <= stage["budget"] / 1.1 < stage["initial_full"] for stage in stages)


def test_a_limit_on_the_first_year_never_makes_the_same_needs_cheaper_and_the_last_quarter_is_nearly_proved(rows):
    stages = [rows[f"budget-{number}"] for number in (1, 2, 3)]
    assert all(stage["unlimited"] <= stage["cost"] for stage in stages)
    assert stages[2]["gap"] < 0.02


def test_the_page_says_what_comes_out_now_in_both_languages(bench, ran, shipped_catalogue):
    _, result = ran
    stored = json.loads((BENCH / "scenarios.json").read_text(encoding="utf-8"))
    assert result == stored["okunoto"], "run `python bench/scenarios.py --only okunoto`, read its sentences again, and tell the change"
    texts = yaml.safe_load((BENCH / "scenarios.yaml").read_text(encoding="utf-8"))
    for lang, name in (("en", "scenarios.md"), ("ja", "scenarios.ja.md")):
        assert (ROOT / "docs" / "explanation" / name).read_text(encoding="utf-8") == bench.page(stored, texts, shipped_catalogue, lang)


def test_every_scenario_has_its_words_and_no_picture_is_heavy(rows):
    texts = yaml.safe_load((BENCH / "scenarios.yaml").read_text(encoding="utf-8"))
    assert rows.keys() <= texts["labels"].keys()
    pictures = sorted((ROOT / "docs" / "pictures").glob("scenarios-*.svg"))
    assert [path.name for path in pictures] == [f"scenarios-{id}-{kind}.svg" for id in ("andorra", "okunoto") for kind in ("cost", "map")]
    assert max(path.stat().st_size for path in pictures) < 150_000
