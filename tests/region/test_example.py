"""The example of Oku-Noto: at most 60 rows, each cited or assumed with a reason, and each where its source says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import shapely

from kiban.region import read
from kiban.region.geodesy import distance_m

FOLDER = Path(__file__).parents[2] / "examples" / "okunoto"
LABEL = "公表値による例示。当該団体の計画・意思決定とは無関係"
LIMIT_M = 50


@pytest.fixture(scope="module")
def okunoto():
    return read(FOLDER)


def rows(region):
    return [*region.sites, *region.places, *region.plants, *region.facts]


def test_it_has_at_most_sixty_rows_of_the_kinds_that_a_plan_needs(okunoto):
    assert len(rows(okunoto)) <= 60
    assert okunoto.lg_code == "174637"
    kinds = {site.kind: sum(other.kind == site.kind for other in okunoto.sites) for site in okunoto.sites}
    assert kinds == {"shelter": 20, "school": 4, "clinic": 1, "office": 2, "hamlet": 12, "river": 3}
    assert {place.kind for place in okunoto.places} == {"exchange", "tower"}


def test_everything_carries_the_label(okunoto):
    assert okunoto.label == LABEL
    assert LABEL in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_row_is_cited_or_assumed_with_a_reason_and_who_can_confirm_it(okunoto):
    for row in rows(okunoto):
        if row.evidence.assumed:
            assert len(row.evidence.reason) > 10, row.id
            assert row.evidence.confirm, row.id
        else:
            assert row.evidence.original, row.id
            assert okunoto.sources[row.evidence.source].licence, row.id


def test_what_nobody_publishes_is_assumed(okunoto):
    assert all(row.evidence.assumed for row in (*okunoto.places, *okunoto.plants))
    assert all(site.covered == {} for site in okunoto.sites)


def test_every_source_names_its_origin(okunoto):
    for key, source in okunoto.sources.items():
        assert source.url, key
        assert source.publisher or source.published, key
        assert source.url.startswith("https://"), key


def test_critical_sites_say_why(okunoto):
    critical = [site for site in okunoto.sites if site.critical]
    assert len(critical) == next(fact.value for fact in okunoto.facts if fact.id == "critical_choice") == 6
    assert all("重要拠点" in site.note for site in critical)


def test_all_sites_hang_on_one_graph_with_an_exchange(okunoto):
    assert okunoto.links_are_candidates
    assert set(okunoto.attach) == {row.id for row in (*okunoto.sites, *okunoto.places)}
    assert not any("分かれている" in one.what or "収容局のない" in one.what for one in okunoto.missing)


@pytest.fixture(scope="module")
def cited(test_data):
    """Source key → original id → (latitude, longitude) or polygon, out of the files that were cited."""

    def features(name):
        return json.loads((test_data / "noto" / name).read_text(encoding="utf-8"))["features"]

    with (test_data / "noto" / "town_points.csv").open(encoding="utf-8") as stream:
        towns = {row["town"]: (float(row["lat"]), float(row["lng"])) for row in csv.DictReader(stream) if row["code5"] == "17463"}
    with (test_data / "municipality" / "localgovjp.csv").open(encoding="utf-8") as stream:
        offices = {row["lgcode6"]: (float(row["lat"]), float(row["lng"])) for row in csv.DictReader(stream)}
    return {
        "gsi-shelters": {f["properties"]["共通ID"]: f["geometry"]["coordinates"][::-1] for f in features("shelters.geojson")},
        "doctor-heli": {f["properties"]["名称"]: f["geometry"]["coordinates"][::-1] for f in features("doctor_heli_rendezvous.geojson")},
        "geolonia-towns": towns,
        "localgovjp": offices,
        "small-areas-2020": {f["properties"]["KEY_CODE"]: f for f in features("noto_town_small_areas_population.geojson")},
    }


def test_every_coordinate_lies_within_fifty_metres_of_its_cited_row(okunoto, cited):
    for row in (*okunoto.sites, *okunoto.places):
        spot = cited[row.evidence.source][row.evidence.original]
        if isinstance(spot, dict):
            polygon = shapely.geometry.shape(spot["geometry"])
            assert polygon.contains(shapely.Point(row.lon, row.lat)), row.id
            spot = (polygon.centroid.y, polygon.centroid.x)
        assert distance_m((row.lat, row.lon), tuple(spot)) <= LIMIT_M, row.id


def test_names_and_counts_are_those_of_the_cited_rows(okunoto, cited, test_data):
    shelters = json.loads((test_data / "noto" / "shelters.geojson").read_text(encoding="utf-8"))["features"]
    names = {f["properties"]["共通ID"]: f["properties"]["施設・場所名"] for f in shelters}
    for site in okunoto.sites:
        if site.evidence.source == "gsi-shelters":
            assert site.name == names[site.evidence.original]
        if site.kind == "hamlet":
            properties = cited["small-areas-2020"][site.evidence.original]["properties"]
            assert (site.name, site.population, site.households) == (properties["S_NAME"], properties["JINKO"], properties["SETAI"])


def test_the_facts_are_those_of_the_cited_files(okunoto, test_data):
    facts = {fact.id: fact.value for fact in okunoto.facts}
    areas = [f["properties"] for f in json.loads((test_data / "noto" / "noto_town_small_areas_population.geojson").read_text(encoding="utf-8"))["features"]]
    assert (len(areas), facts["population"], facts["households"]) == (202, sum(a["JINKO"] for a in areas), sum(a["SETAI"] for a in areas))
    with (test_data / "municipality" / "ssdse2018.csv").open(encoding="utf-8") as stream:
        assert facts["population_65plus"] == next(int(row["A1303"]) for row in csv.DictReader(stream) if row["code"] == "R17463")
    with (test_data / "municipality" / "fiscal_indices_2005_2021.csv").open(encoding="utf-8") as stream:
        index = {row["fiscal_year"]: row["fiscal_capability_index"] for row in csv.DictReader(stream) if row["code6"] == "174637"}
    assert facts["fiscal_index"] == float(index["2021"])
