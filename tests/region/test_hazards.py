"""Hazards of a region folder: read as published, cited like any row, refused with the file and the feature, and written back the same."""

from __future__ import annotations

import json

import pytest

from kiban.base.errors import RegionError
from kiban.region import hazards, read, write

HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
hazards:
  slide-2024: {name: 崩れた所, kind: slide, source: survey, original: sheet 3, confidence: A}
"""
OUTER = [[137.1, 37.3], [137.13, 37.3], [137.13, 37.33], [137.1, 37.33], [137.1, 37.3]]
HOLE = [[137.11, 37.31], [137.12, 37.31], [137.12, 37.32], [137.11, 37.32], [137.11, 37.31]]


def feature(kind="Polygon", coordinates=None):
    return {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": [OUTER, HOLE] if coordinates is None else coordinates}}


def with_hazard(folder, *features, head=HEAD, name="slide-2024"):
    out = folder(region_yaml=head)
    (out / "hazards").mkdir(exist_ok=True)
    content = features[0] if features and isinstance(features[0], str) else json.dumps({"type": "FeatureCollection", "features": list(features)})
    (out / "hazards" / f"{name}.geojson").write_text(content)
    return out


def test_an_area_is_read_with_its_rings_its_kind_and_its_source(folder):
    (hazard,) = read(with_hazard(folder, feature(), feature("MultiPolygon", [[OUTER], [OUTER, HOLE]]))).hazards
    assert (hazard.id, hazard.name, hazard.kind) == ("slide-2024", "崩れた所", "slide")
    assert (hazard.evidence.source, hazard.evidence.original, str(hazard.evidence.confidence)) == ("survey", "sheet 3", "A")
    assert [len(polygon) for polygon in hazard.polygons] == [2, 1, 2]
    assert hazard.polygons[0][0][:2] == ((37.3, 137.1), (37.3, 137.13))


def test_a_region_with_areas_and_hours_of_power_is_written_and_read_the_same(folder, tmp_path):
    out = with_hazard(folder, feature())
    sites = (out / "sites.csv").read_text().splitlines()
    (out / "sites.csv").write_text("\n".join([sites[0] + ",autonomy_h", sites[1] + ",72", *(line + "," for line in sites[2:])]) + "\n")
    places = "id,kind,name,lat,lon,autonomy_h,source\nexchange,exchange,局,37.30,137.10,6.5,survey\n"
    (out / "places.csv").write_text(places)
    region = read(out)
    assert [site.autonomy_h for site in region.sites] == [72.0, None, None, None]
    assert region.places[0].autonomy_h == 6.5
    write(region, tmp_path / "again")
    assert read(tmp_path / "again") == region


def test_points_and_lines_of_the_file_are_passed_over(folder):
    (hazard,) = read(with_hazard(folder, feature("Point", [137.1, 37.3]), feature())).hazards
    assert len(hazard.polygons) == 1


@pytest.mark.parametrize(
    ("features", "found"),
    [
        ([feature("Point", [137.1, 37.3])], "hazards/slide-2024.geojson: found no polygon"),
        ([feature(), feature(coordinates=[[[137.1, "x"]]])], "hazards/slide-2024.geojson#2: found a broken Polygon"),
        ([feature(coordinates=[[[y, x] for x, y in OUTER]])], "hazards/slide-2024.geojson#1: found an area at lat 137.1"),
        ([feature(coordinates=[[[x * 1e5, y * 1e5] for x, y in OUTER]])], "hazards/slide-2024.geojson#1: found a Polygon without a place"),
        (["{"], "slide-2024.geojson:1: found"),
        (["[]"], "slide-2024.geojson: found JSON that is no object"),
        (['{"features": 3}'], "hazards/slide-2024.geojson: found no list of features"),
    ],
)
def test_a_broken_area_is_refused_by_file_and_feature(folder, features, found):
    with pytest.raises(RegionError) as error:
        read(with_hazard(folder, *features))
    assert found in str(error.value)


def test_an_area_without_an_entry_has_no_source_and_an_entry_needs_its_file(folder):
    with pytest.raises(RegionError) as error:
        read(with_hazard(folder, feature(), name="other"))
    assert "hazards/other.geojson: found no entry in region.yaml" in str(error.value)
    assert "region.yaml: found hazards: 'slide-2024'" in str(error.value)


def test_a_source_that_the_region_does_not_cite_is_refused_with_its_line(folder):
    with pytest.raises(RegionError, match=r"region.yaml:7: found source 'rumour'"):
        read(with_hazard(folder, feature(), head=HEAD.replace("source: survey", "source: rumour")))


def test_a_file_or_a_folder_too_large_is_refused(folder, monkeypatch):
    monkeypatch.setattr(hazards, "MOST_POINTS", 9)
    with pytest.raises(RegionError, match="more than 9 points"):
        read(with_hazard(folder, feature()))
    monkeypatch.setattr(hazards, "MOST_MB", 0)
    with pytest.raises(RegionError, match="at most 0 MB"):
        read(with_hazard(folder, feature()))
    monkeypatch.setattr(hazards, "MOST_FILES", 0)
    with pytest.raises(RegionError, match="1 files"):
        read(with_hazard(folder, feature()))
