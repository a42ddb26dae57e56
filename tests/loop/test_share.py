"""Use cases and towns that build together: the split beside the designs it is made from, on the example and on its two halves."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from kiban.base.progress import never, silent
from kiban.catalogue import load
from kiban.cli import main
from kiban.design.share import by_layer, groups_of
from kiban.documents.reasons import point_text, row_names, whom
from kiban.documents.view import View
from kiban.documents.weak_points import objections
from kiban.finance.ledger import Ledger
from kiban.loop.design import design_step
from kiban.loop.given import Given
from kiban.loop.plan import make_plan
from kiban.loop.share import share_towns
from kiban.region import Detour, read

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
SAMPLE = Path(__file__).parents[1] / "samples" / "regions" / "three-hamlets"
NOW = datetime.fromisoformat("2026-11-23T12:00:00+09:00")


@cache
def catalogue():
    return load()


def detour():
    rule = catalogue().rule_at("detour-factor", NOW.date()).quantity
    return Detour(value=rule.value, source=catalogue().rules["detour-factor"].sources[rule.source])


@cache
def made_region():
    return read(EXAMPLE, detour=detour())


@cache
def school():
    made = make_plan(Given(sentence="学校の回線が遅くて授業が止まる", region=made_region(), catalogue=catalogue(), now=NOW))
    body = made.designed.step.body
    return made, body["shared"], {key: figure.value for key, figure in made.plan.figures.items()}


def test_the_use_cases_of_the_example_pay_the_joint_cost_to_the_yen_and_none_pays_more_than_alone():
    made, shared, value = school()
    split = shared["split"]
    assert sum(value[row["share"]] for row in split["rows"]) == value[shared["together"]] == made.designed.design.cost
    for row in split["rows"]:
        assert value[row["share"]] == sum(value[part["figure"]] for part in row["layers"])
        assert value[row["saving"]] == value[row["alone"]] - value[row["share"]] >= 0
    assert (split["core"]["state"], split["core"]["objections"], split["unproved"]) == ("holds", [], [])


def test_what_a_use_case_pays_alone_in_the_split_is_what_the_plan_says_of_it_alone():
    _, shared, value = school()
    assert {row["player"]: value[row["alone"]] for row in shared["split"]["rows"]} == {row["usecase"]: value[row["figure"]] for row in shared["alone"]}
    assert sum(value[row["saving"]] for row in shared["split"]["rows"]) == value[shared["saving"]]


def test_the_tornado_of_the_example_falls_in_width_and_holds_todays_total():
    made, _, value = school()
    rows = made.designed.step.body["tornado"]
    figures = made.plan.figures
    widths = [figures[row["total"]].high - figures[row["total"]].low for row in rows if row["total"]]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) > 5
    assert all(figures[row["total"]].low <= value["total/priced"] <= figures[row["total"]].high for row in rows if row["total"])


def test_the_gap_of_the_example_says_that_nobody_knows_what_reaches_the_places_or_which_of_them_are_urban():
    made, _, value = school()
    gap = made.designed.step.body["urban_gap"]
    assert gap["reason"] == "unknown"
    assert {value[row["before"]] for row in gap["rows"]} == {None}
    assert {value[row["after"]] for row in gap["rows"]} == {1.0}


def test_schools_whose_pupils_nobody_counted_are_an_open_point_before_the_plan_says_build():
    made, _, _ = school()
    body = {step.id: step.body for step in made.plan.steps}
    silent = {site.id for site in made_region().sites if site.kind == "school" and site.pupils is None}
    assert len(silent) == 4
    assert {one.down_mbps for one in made.designed.problem.demands if one.usecase == "school_giga"} == {0.0}
    assert body["design"]["untested"] == [{"usecase": "school_giga", "need": "down_mbps", "by": "pupils", "sites": sorted(silent)}]
    (point,) = (point for point in body["verdict"]["points"] if point["kind"] == "count")
    words = catalogue().words["ja"]
    view = View(made.plan, catalogue(), lambda key, **parts: words[key].format(**parts), "ja", "能登町")
    said = point_text(view, point, row_names(view)) + whom(view, point)
    assert all(part in said for part in ("児童生徒数", "下り速度", "松波中学校", "確かめておらず", "sites.csv"))
    assert any("児童生徒数" in letter["body"]["ja"] for letter in body["verdict"]["inquiries"])


def test_six_use_cases_of_a_small_town_are_split_exactly_and_to_the_yen():
    names = ("household_broadband", "public_facility_line", "river_gauge", "school_giga", "telemedicine", "video_session")
    wanted = tuple((site.id, id) for site in made_region().sites for id in names if site.kind in catalogue().usecases[id].sites)
    ledger = Ledger()
    made = design_step(Given(sentence="", region=made_region(), catalogue=catalogue(), now=NOW), wanted, ledger, silent, never)
    split = made.step.body["shared"]["split"]
    value = {key: figure.value for key, figure in ledger.figures.items()}
    assert (split["exact"], split["pairs"], value[split["groups"]], split["core"]["all"]) == (True, None, 2 ** len(split["rows"]) - 1, True)
    assert [row["player"] for row in split["rows"]] == sorted({usecase for _, usecase in wanted})
    assert sum(value[row["share"]] for row in split["rows"]) == made.design.cost


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """能登町 cut in two along a meridian, each half a region folder of its own."""
    out = tmp_path_factory.mktemp("halves")
    for name, west in (("west", True), ("east", False)):
        folder = out / name
        folder.mkdir()
        ids = set()
        for file in ("sites.csv", "places.csv"):
            rows = list(csv.DictReader((EXAMPLE / file).read_text(encoding="utf-8-sig").splitlines()))
            kept = [row for row in rows if (float(row["lon"]) < 137.1) == west]
            ids |= {row["id"] for row in kept}
            with (folder / file).open("w", encoding="utf-8", newline="") as handle:
                writer = csv.DictWriter(handle, list(rows[0]))
                writer.writeheader()
                writer.writerows(kept)
        head = yaml.safe_load((EXAMPLE / "region.yaml").read_text(encoding="utf-8")) | {"id": name, "name": name}
        head["no_links"] = [pair for pair in head["no_links"] if set(pair) <= ids]
        (folder / "region.yaml").write_text(yaml.safe_dump(head, allow_unicode=True), encoding="utf-8")
    return out


def test_two_halves_of_a_town_save_by_building_together_and_share_it_fairly(halves):
    regions = [read(halves / name, detour=detour()) for name in ("west", "east")]
    given = Given(sentence="", region=regions[0], catalogue=catalogue(), now=NOW, work=20)
    towns = share_towns(given, regions, ["shelter"])
    split = towns.divided.split
    assert towns.holds
    assert split.total == split.share(["west", "east"]) < split.cost(["west"]) + split.cost(["east"])
    saved = [split.cost([town]) - split.share(town) for town in ("west", "east")]
    assert abs(saved[0] - saved[1]) <= 1  # two players halve what they save
    for group, (problem, design) in towns.divided.designs.items():
        assert split.cost(group) == sum(by_layer(problem, design, catalogue().technologies).values()) == design.cost
    assert set(towns.divided.designs) == set(groups_of(["west", "east"]))
    assert [(row.town, row.sites) for row in towns.demand] == [("west", 13), ("east", 22)]


def test_the_command_prints_the_split_the_core_and_the_demand_added_up(halves, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KIBAN_STATE", str(tmp_path))
    folders = [str(halves / name) for name in ("west", "east")]
    code = main(["share", *folders, "--usecase", "river_gauge", "--usecase", "shelter", "--json", "--work", "10", "--today", "2026-11-23"])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["check"], told["split"]["exact"], told["split"]["designs"]) == (0, True, True, 3)
    assert sum(told["split"]["shares_yen"].values()) == told["split"]["together_yen"]
    assert {town: sum(parts.values()) for town, parts in told["split"]["by_layer_yen"].items()} == told["split"]["shares_yen"]
    assert {row["usecase"]: (row["sites"], row["devices"]) for row in told["demand_total"]} == {"river_gauge": (3, 3.0), "shelter": (35, 35.0)}
    assert next(row for row in told["demand_total"] if row["usecase"] == "shelter")["down_mbps"] == 1750.0
    assert main(["share", *folders, "--usecase", "river_gauge", "--today", "2026-11-23"]) == 0
    assert "nobody pays more than alone" in capsys.readouterr().out


def test_a_town_that_has_none_of_the_places_is_named(halves, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KIBAN_STATE", str(tmp_path))
    assert main(["share", str(halves / "west"), str(SAMPLE), "--usecase", "river_gauge"]) != 0
    assert "leave the town out" in capsys.readouterr().err


def test_the_page_names_the_group_that_would_pay_less_alone_with_the_yen():
    made, shared, _ = school()
    rows = {row["player"]: row for row in shared["split"]["rows"]}
    names = ["school_giga", "video_session"]
    core = {"state": "broken", "all": True, "open": [["school_giga"]]}
    core["objections"] = [
        {"players": names, "pays": rows["school_giga"]["alone"], "alone": rows["school_giga"]["share"], "more": rows["school_giga"]["saving"]}
    ]
    split = shared["split"] | {"core": core, "unproved": [names]}
    steps = tuple(replace(step, body=step.body | {"shared": shared | {"split": split}}) if step.id == "design" else step for step in made.plan.steps)
    words = catalogue().words["ja"]
    view = View(replace(made.plan, steps=steps), catalogue(), lambda key, **parts: words[key].format(**parts), "ja", "能登町")
    broken, who, unknown, unproved = objections(view)
    assert "単独のほうが安い用途がある" in broken
    assert who.startswith("学校の1人1台端末(GIGAスクール)＋ビデオ会議・遠隔授業: この分け方では")
    assert all(amount in who for amount in ("約1,800万円", "約840万円", "約950万円"))
    assert ("まだ分からない組" in unknown, "証明されていない" in unproved) == (True, True)
