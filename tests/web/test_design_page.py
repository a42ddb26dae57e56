"""The page of the design says of a cut what the drill says, shows long tables in parts, and puts hazards and plant on the map."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.web.test_pages import Get, getter

from kiban.loop.files import read_folder
from kiban.records.region import Evidence, Hazard
from kiban.web.map_data import areas


@pytest.fixture(scope="module")
def get(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> Get:
    """The example; and the example with a site table long enough for two parts."""
    plans = tmp_path_factory.mktemp("designs")
    for name in ("okunoto", "long"):
        shutil.copytree(example_folder, plans / name)
    plan = read_folder(plans / "long").plan
    steps = tuple(replace(step, body={**step.body, "sites": step.body["sites"] * 5}) if step.id == "design" else step for step in plan.steps)
    (plans / "long" / "plan.json").write_bytes(msgspec.json.encode(replace(plan, steps=steps)))
    return getter(serve(plans))


def test_every_stretch_that_the_design_uses_stands_in_the_table_once(get: Get, example_folder: Path) -> None:
    folder = read_folder(example_folder)
    used = {folder.problem.arcs[index].ref for index in folder.design.arcs if folder.problem.arcs[index].kind in ("line", "plant")}
    shown = re.findall(r'data-street="([^"]+)"', get("/plans/okunoto/design").text)
    assert sorted(shown) == sorted(used)


def test_a_cut_names_the_places_that_the_drill_of_the_plan_names(get: Get, example_folder: Path) -> None:
    folder = read_folder(example_folder)
    names = {site.id: site.name for site in folder.region.sites}
    events = next(step for step in folder.plan.steps if step.id == "design").body["drill"]["events"]
    assert len(events) >= 3
    for event in events:
        text = unescape(get(f"/plans/okunoto/design?cut={event['event']}").text)
        part = text.split('id="cut"')[1].split("</section>")[0]
        assert f"{len(event['off'])}地点が不通になります。" in part
        assert [row["site"] for row in event["off"] if names[row["site"]] not in part] == []
        assert folder.plan.figures[event["sites"]].value == len(event["off"])


def test_what_is_not_there_cannot_be_cut(get: Get) -> None:
    for asked in ("street:none", "exchange:none", "none", "street:", ":"):
        assert get(f"/plans/okunoto/design?cut={asked}").status == 404


def test_a_long_table_is_shown_in_parts_and_a_place_is_found_in_its_part(get: Get) -> None:
    first, second = (get(f"/plans/long/design?sites={part}").text for part in (1, 2))
    assert (first.count("<tr data-site="), second.count("<tr data-site=")) == (100, 75)
    assert 'aria-current="page">101–175</a>' in second
    for odd in ("0", "99", "x", "-1", "%EF%BC%99"):
        assert get(f"/plans/long/design?sites={odd}").status == 200
    assert 'data-site="clinic-ushitsu"' in get("/plans/long/design?site=clinic-ushitsu").text


def test_hazards_and_plant_are_on_the_map_with_longitude_first(example_folder: Path) -> None:
    region = read_folder(example_folder).region
    ring = ((37.0, 137.0), (37.1, 137.0), (37.1, 137.1), (37.0, 137.0))
    evidence = Evidence(assumed=True, reason="drawn for this test", confirm="nobody")
    drawn = areas(replace(region, hazards=(Hazard(id="h", name="区域", kind="slide", polygons=((ring,),), evidence=evidence),)))
    hazard, *plants = drawn["features"]
    assert hazard["geometry"]["coordinates"][0][0][1] == [137.0, 37.1]
    assert {row["properties"]["name"] for row in plants} == {street.plant for street in region.streets if street.plant}
    assert all(130 < lon < 140 and 30 < lat < 40 for row in plants for lon, lat in row["geometry"]["coordinates"])
