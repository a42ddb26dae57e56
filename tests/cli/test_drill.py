"""`kiban drill`: the table and the JSON on the example, the exit codes, and the real slides and tsunami of Noto."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from tests.loop.test_ledger import NOW, catalogue, tiny_region, tiny_technologies, usecase

from kiban.cli import main
from kiban.loop.drill import make_drill
from kiban.loop.given import Given as PlanGiven
from kiban.records.source import Source
from kiban.records.terrain import Terrain
from kiban.records.usecase import Needs
from kiban.region import Detour, Given, build, read
from kiban.region.head import read_head

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
DETOUR = Detour(value=1.3, source=Source(title="a factor for this test", seen_on=date(2026, 11, 23)))
ISOLATED = {"字北河内", "字桐畑", "字田代", "字十郎原"}  # reported as cut off on 5 January 2024 (examples/okunoto)


def drill(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict:
    assert main(["drill", *args, "--usecase", "shelter", "--today", "2026-11-23", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def row(result: dict, event: str) -> dict:
    return next(row for row in result["events"] if row["event"] == event)


def test_the_example_without_a_word_is_drilled_for_its_worst_stretch_and_its_exchanges(capsys):
    result = drill(capsys, str(EXAMPLE))
    assert [row["kind"] for row in result["events"]] == ["street", "exchange", "exchange", "exchange"]
    assert (result["status"], result["check"]) == ("proved", True)
    assert all(row["critical"] == 0 for row in result["events"])  # each critical site has a second way
    worst = result["events"][0]
    assert worst["sites"] == result["links"][0]["sites"] == len({one["site"] for one in worst["off"]})
    assert max(result["links"], key=lambda link: link["sites"]) == result["links"][0]
    (kits,) = result["kits"]
    assert kits["kits"] == max(row["sites"] for row in result["events"])
    assert kits["yen"] == pytest.approx(kits["kits"] * kits["unit"], abs=1)
    assert kits["unit"] == pytest.approx(sum(item["yen"] for item in kits["items"]), abs=1)


def test_backup_costs_what_the_two_designs_differ_by_and_the_drill_shows_what_it_is_for(capsys):
    on, off = drill(capsys, str(EXAMPLE)), drill(capsys, str(EXAMPLE), "--backup", "off")
    backup = on["backup"]
    assert backup == off["backup"]
    assert (backup["with"], backup["without"]) == (on["cost_npv_yen"], off["cost_npv_yen"])
    assert backup["difference"] == backup["with"] - backup["without"] == sum(site["yen"] for site in backup["sites"]) + backup["rest"]
    critical = {site.id for site in read(EXAMPLE, detour=DETOUR).sites if site.critical}
    assert {site["site"] for site in backup["sites"]} == critical
    assert max(row["critical"] for row in on["events"]) == 0 < max(link["critical"] for link in off["links"])


def test_named_events_are_drilled_and_nothing_else(capsys, tmp_path):
    ring = [[137.0, 37.2], [137.2, 37.2], [137.2, 37.36], [137.0, 37.36], [137.0, 37.2]]
    path = tmp_path / "all.geojson"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}]})
    )
    cuts = ("exchange:exchange-yanagida", "place:tower-tome", "power:72", "technology:leo-satellite", f"area:{path}", "road:c60+c53")
    result = drill(capsys, str(EXAMPLE), *(word for cut in cuts for word in ("--cut", cut)))
    assert [row["kind"] for row in result["events"]] == ["exchange", "place", "power", "technology", "area", "road"]
    whole = row(result, "hazard:area")
    assert {one["reason"] for one in whole["off"]} == {"inside", "path"}
    assert whole["kits"]["leo-satellite"] < whole["sites"]
    power = row(result, "power:72")
    assert {one["reason"] for one in power["off"]} == {"unstated"}  # the example states no hours for anything
    assert power["power"]["points"] == power["power"]["unstated"] > 0
    assert any(tool["yen"] for tool in power["power"]["technologies"])
    assert "leo-satellite" not in row(result, "technology:leo-satellite")["kits"]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_table_says_who_is_off_and_that_links_are_a_guess(capsys, monkeypatch, lang):
    monkeypatch.setenv("KIBAN_LANG", lang)
    assert main(["drill", str(EXAMPLE), "--usecase", "shelter", "--all", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ("失われるもの" if lang == "ja" else "What is lost") in lines[0]
    assert sum(line.startswith("- c") for line in lines) == 2
    assert any("候補ルート" in line or "candidate links" in line for line in lines)


@pytest.mark.parametrize(
    ("cut", "found"),
    [
        ("street:nowhere", "nowhere"),
        ("exchange:tower", "tower"),
        ("power:soon", "power:soon"),
        ("power:-1", "-1"),
        ("hazard:flood", "no hazards"),
        ("moon:full", "moon:full"),
        ("area:none.geojson", "none.geojson"),
        ("street", "street"),
    ],
)
def test_what_cannot_be_cut_is_told_before_any_work(capsys, cut, found):
    assert main(["drill", str(EXAMPLE), "--usecase", "shelter", "--cut", cut]) == 2
    assert found in capsys.readouterr().err


@pytest.fixture(scope="module")
def noto(test_data, tmp_path_factory):
    """能登町 from real files, with the slides that GSI read from the air on 6 January 2024; the hamlets reported as cut off are critical."""
    folder = tmp_path_factory.mktemp("regions") / "noto"
    files = ("municipality/localgovjp.csv", "boundaries/ishikawa_s0010.geojson", "noto/noto_town_small_areas_population.geojson", "noto/shelters.geojson")
    build(folder, [Given(test_data / file) for file in files], id="noto", lg_code="17463", today=date(2026, 11, 23), detour=DETOUR, assume_exchange=True)
    (folder / "hazards").mkdir()
    shutil.copy(test_data / "noto/landslides_gsi_20240106.geojson", folder / "hazards" / "slides.geojson")
    source = next(iter(read_head(folder / "region.yaml").sources))
    with (folder / "region.yaml").open("a", encoding="utf-8") as file:
        file.write(f"hazards:\n  slides: {{name: 斜面崩壊, kind: slide, source: {source}}}\n")
    return folder


def test_the_real_slides_of_noto_put_hamlets_off_that_were_really_cut_off(noto, capsys):
    region = read(noto, detour=DETOUR)
    assert len(region.hazards[0].polygons) == 1474
    result = drill(capsys, str(noto), "--cut", "hazard:slides", "--work", "1")
    names = {site.id: site for site in region.sites}
    (slides,) = result["events"]
    off = {names[one["site"]].name for one in slides["off"]}
    assert len(off & ISOLATED) >= 2
    assert slides["sites"] == len(off) < 30
    people = [names[one["site"]].population for one in slides["off"]]
    assert slides["people"] == sum(count for count in people if count is not None)
    assert slides["uncounted"] == people.count(None)
    assert all(one["technology"] for one in slides["restored"])


def test_the_design_that_is_drilled_has_looked_at_the_terrain_as_that_of_the_plan_has():
    terrain = Terrain(np.zeros((60, 60)), 36.95, 136.95, 37.05, 137.05, 190.0)
    data = replace(catalogue(), technologies=tiny_technologies(dish=2_500_000), usecases={"alarm": usecase("alarm", Needs())})
    given = PlanGiven(sentence="", region=tiny_region(), catalogue=data, now=NOW, terrain=terrain)
    made = make_drill(given, tuple((site.id, "alarm") for site in given.region.sites), lambda *_: None, lambda: False)
    assert made.report.holds
    assert made.full.problem.terrain is not None
