"""Two regions from real files, from the sentence to the plan folder by the command: 能登町 without streets, Andorra with streets and terrain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from kiban.documents.papers import INSIDE, OUTSIDE
from kiban.loop.files import FILES, read_folder
from kiban.loop.recompute import recompute_plan
from kiban.records.source import Source
from kiban.region import Detour, Given, build

DAY = date(2026, 11, 23)
DETOUR = Detour(value=1.3, source=Source(title="a factor for this test", seen_on=DAY))
SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"
WORK = 10  # enough for a plan with a proof, little enough for a test
KIBAN = Path(sys.executable).parent / "kiban"
NOTO = (
    "municipality/localgovjp.csv",
    "municipality/ssdse2018.csv",
    "municipality/fiscal_indices_2005_2021.csv",
    "boundaries/ishikawa_s0010.geojson",
    "noto/noto_town_small_areas_population.geojson",
    "noto/shelters.geojson",
)
ANDORRA = ("andorra/andorra.osm.pbf", "andorra/N42E001.hgt.zip")


@pytest.fixture(scope="module", params=["noto", "andorra"])
def planned(request, test_data, tmp_path_factory):
    """The region's id, what the command said with --json, its exit code, and the plan folder."""
    id = request.param
    folder = tmp_path_factory.mktemp(id)
    files = [Given(test_data / path) for path in (NOTO if id == "noto" else ANDORRA)]
    named = {"lg_code": "174637", "detour": DETOUR} if id == "noto" else {"name": "Andorra"}
    build(folder / "region", files, id=id, today=DAY, assume_exchange=True, **named)
    command = [KIBAN, "plan", folder / "region", "--issue", SENTENCE, "-o", folder / "out", "--json", "--work", str(WORK), "--today", str(DAY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "KIBAN_STATE": str(folder / "state")})
    assert done.stderr == ""
    return id, json.loads(done.stdout), done.returncode, folder / "out"


def test_the_command_ends_in_a_whole_plan_that_the_independent_checker_accepts(planned):
    _, told, code, out = planned
    assert code == 0
    assert (told["check"], told["unserved"]) == (True, [])
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, INSIDE, OUTSIDE])
    again = subprocess.run([KIBAN, "check", out, "--json"], capture_output=True, text=True, check=False)
    assert again.stderr == ""
    assert (again.returncode, json.loads(again.stdout)["ok"]) == (0, True)


def test_what_was_missing_is_listed_with_whom_to_ask(planned):
    id, _, _, out = planned
    plan = read_folder(out).plan
    rows = next(step.body["missing"] for step in plan.steps if step.id == "design")
    expected = {
        "noto": {"街路データがない", "既存設備", "公共携帯の屋内外カバレッジ", "標高"},
        "andorra": {"行政区域", "既存設備", "公共携帯の屋内外カバレッジ", "街路から遠い地点", "街路網が分かれている"},
    }
    assert expected[id] <= {row["what"].partition(" / ")[0] for row in rows}
    assert all(row["ask"] and row["why"] and plan.figures[row["count"]].value >= 1 for row in rows)


def test_cost_and_bound_are_of_one_size_and_the_gap_says_which_constraints_it_leaves_out(planned):
    id, told, _, out = planned
    design = read_folder(out).design
    assert 0 < told["lower_bound_yen"] == design.bound <= design.cost
    assert told["gap"] == pytest.approx((design.cost - design.bound) / design.cost)
    assert told["gap"] < 0.08
    assert "reach" in told["relaxed"]
    # the cost per place lies between a rented line and a satellite terminal with its power for 15 years
    places = {"noto": 228, "andorra": 67}[id]
    assert 1_000_000 < design.cost / places < 10_000_000


def test_every_figure_of_the_plan_comes_out_again_from_its_leaves(planned):
    *_, out = planned
    folder = read_folder(out)
    values = recompute_plan(folder.plan, folder.problem, folder.design)
    assert {key: value for key, value in values.items() if value != folder.plan.figures[key].value} == {}
    assert len(values) > 1000


def test_the_streets_drawn_follow_their_shapes(planned):
    id, _, _, out = planned
    drawn = json.loads((out / "design.geojson").read_text())
    lines = [feature["geometry"]["coordinates"] for feature in drawn["features"] if feature["geometry"]["type"] == "LineString"]
    bent = [line for line in lines if len(line) > 2]
    assert lines
    assert bool(bent) == (id == "andorra")  # candidate links are straight
