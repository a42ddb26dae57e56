"""Real files end to end: 能登町 without streets, Andorra with streets and terrain, and others kind by kind."""

from __future__ import annotations

from datetime import date

import pytest

from kiban.records.source import Source
from kiban.region import Detour, Given, build, read, write
from kiban.region import missing as say
from kiban.region.boundary import areas
from kiban.region.detect import kind_of, load_json
from kiban.region.elevation import grid
from kiban.region.streets import pieces

DAY = date(2026, 11, 23)
DETOUR = Detour(value=1.3, source=Source(title="a factor for this test", seen_on=DAY))
NOTO = (
    "municipality/localgovjp.csv",
    "municipality/ssdse2018.csv",
    "municipality/fiscal_indices_2005_2021.csv",
    "boundaries/ishikawa_s0010.geojson",
    "noto/noto_town_small_areas_population.geojson",
    "noto/shelters.geojson",
)


def counts(region):
    return {kind: sum(site.kind == kind for site in region.sites) for kind in sorted({site.kind for site in region.sites})}


def said(region, word):
    return next(one for one in region.missing if word in one.what)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *zip(NOTO, ("municipality", "municipality", "fiscal", "boundary", "small_areas", "shelters"), strict=True),
        ("municipality/municipalities_master.csv", "municipality"),
        ("boundaries/municipalities_s0001.topojson", "boundary"),
        ("shelters_japan/shelters_japan.parquet", "shelters"),
        ("hokuto/hokuto_mesh_1km.csv", "mesh"),
        ("hokkaido/population_mesh_500m_2010.csv", "mesh"),
        ("hokkaido/elevation_mesh_1km.csv", "elevation"),
        ("hokkaido/hospitals.csv", "facilities"),
        ("andorra/andorra.osm.pbf", "streets"),
        ("andorra/N42E001.hgt.zip", "elevation"),
    ],
)
def test_the_kind_of_every_real_file_is_told(test_data, path, kind):
    assert kind_of(test_data / path) == kind


def test_noto_town_is_built_from_real_files_with_the_list_of_what_was_missing(test_data, tmp_path):
    region = build(tmp_path / "noto", [Given(test_data / path) for path in NOTO], id="noto", lg_code="17463", today=DAY, detour=DETOUR, assume_exchange=True)
    assert (region.name, region.lg_code) == ("能登町", "174637")
    assert counts(region) == {"hamlet": 191, "office": 1, "shelter": 36}
    assert sum(site.population or 0 for site in region.sites) == 15687
    assert sum(site.households or 0 for site in region.sites) == 6458
    assert next(fact.value for fact in region.facts if fact.id == "fiscal_index") == 0.2
    assert region.links_are_candidates
    assert set(pieces((j.id for j in region.junctions), ((s.a, s.b) for s in region.streets)).values()) == {0}
    assert said(region, "指定緊急避難場所").count == 135
    assert said(region, "他の市区町村").count == 719
    assert said(region, "重複").count == 1
    assert said(region, "人の住まない").count == 4
    assert {one.what for one in region.missing} >= {say.NO_STREETS, "標高 / elevation", "既存設備 / existing plant"}
    assert said(region, say.LINKS_OUTSIDE).count == 1
    assert not any("区域外または海上の行" in one.what for one in region.missing)
    assert read(tmp_path / "noto") == region


def test_andorra_is_built_from_streets_and_terrain_with_the_list_of_what_was_missing(test_data, tmp_path):
    files = [Given(test_data / "andorra" / name) for name in ("andorra.osm.pbf", "N42E001.hgt.zip")]
    region = build(tmp_path / "andorra", files, id="andorra", name="Andorra", today=DAY, assume_exchange=True)
    assert region.lg_code is None
    assert counts(region) == {"clinic": 7, "hamlet": 59, "office": 1, "school": 1, "tourism": 12}
    assert not region.links_are_candidates
    assert 500_000 < sum(street.length_m for street in region.streets) < 560_000
    assert len(region.junctions) < 2_000
    assert region.elevation.spacing_m == pytest.approx(92.6, abs=0.1)
    assert said(region, "街路網が分かれている").count == 17
    assert said(region, "街路から遠い地点").count == 13
    assert said(region, "収容局のない街路網").count == 2
    assert {site.id for site in region.sites} - set(region.attach)
    assert read(tmp_path / "andorra") == region
    write(region, tmp_path / "again")
    assert read(tmp_path / "again") == region


def test_grid_squares_and_shelters_of_hokuto_fall_into_its_boundary(test_data, tmp_path):
    files = [Given(test_data / path) for path in ("boundaries/yamanashi_s0010.geojson", "hokuto/hokuto_mesh_1km.csv", "shelters_japan/shelters_japan.parquet")]
    region = build(tmp_path / "hokuto", files, id="hokuto", lg_code="192091", today=DAY, detour=DETOUR)
    assert counts(region)["hamlet"] > 250
    assert counts(region)["shelter"] > 30
    assert said(region, "収容局の位置")


def test_hospitals_and_half_kilometre_squares_of_a_hokkaido_town_are_taken(test_data, tmp_path):
    files = [
        Given(test_data / path) for path in ("boundaries/municipalities_s0010.topojson", "hokkaido/population_mesh_500m_2010.csv", "hokkaido/hospitals.csv")
    ]
    region = build(tmp_path / "hakodate", files, id="hakodate", lg_code="012025", today=DAY, detour=DETOUR)
    assert counts(region)["clinic"] > 20
    assert counts(region)["hamlet"] > 300
    assert 240_000 < sum(site.population or 0 for site in region.sites) < 290_000  # 279,127 in the census of 2010


def test_coarse_elevation_is_stated(test_data):
    found = grid(test_data / "hokkaido" / "elevation_mesh_1km.csv")
    assert found.spacing_m == pytest.approx(1026, abs=30)
    assert found.skipped[0] == "elevation_mesh_1km.csv:55 G04a_001"


def test_a_topology_gives_the_same_polygon_as_its_geojson(test_data):
    folder = test_data / "boundaries"
    ours = [
        next(area for area in areas(load_json(folder / name), name) if area.code() == "17463")
        for name in ("municipalities_s0001.geojson", "municipalities_s0001.topojson")
    ]
    assert ours[0].shape.symmetric_difference(ours[1].shape).area < 5e-3 * ours[0].shape.area
