"""Official files become a region folder; bad files stop the build, bad rows are left out by name."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from datetime import date

import pytest

from kiban.base.errors import RegionError
from kiban.region import Given, build, read
from kiban.region.detect import kind_of
from kiban.region.elevation import grid
from kiban.region.mesh import code_at

DAY = date(2026, 11, 23)


@pytest.fixture
def make(tmp_path, land):
    """Builds a region of 海山町 from texts by file name, with the boundary unless told otherwise."""

    def run(files, *, boundary=True, code="174637", kinds=None, **options):
        given = [Given(land)] if boundary else []
        for name, text in files.items():
            path = tmp_path / name
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            given.append(Given(path, (kinds or {}).get(name, "")))
        return build(tmp_path / "out", given, id="umiyama", today=DAY, lg_code=code, **options)

    return run


def note(region, word):
    return next(one for one in region.missing if word in one.what)


FACILITIES = "全国地方公共団体コード,ID,名称,緯度,経度\n174637,F1,海山小学校,37.30,137.10\n174637,F2,中央公民館,37.31,137.11\n174637,F3,謎の建物,37.31,137.12\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_standard_open_data_file_becomes_sites(make, encoding):
    region = make({"public.csv": FACILITIES.encode(encoding)})
    assert [(site.id, site.kind, site.name, site.evidence.original) for site in region.sites] == [
        ("school-f1", "school", "海山小学校", "F1"),
        ("hall-f2", "hall", "中央公民館", "F2"),
    ]
    assert note(region, "種別のわからない施設").examples == ("public.csv:4 謎の建物",)


def test_a_kind_that_is_named_is_used_for_the_whole_file(make):
    assert {site.kind for site in make({"public.csv": FACILITIES}, kinds={"public.csv": "facilities:tourism"}).sites} == {"tourism"}


def test_rows_in_the_sea_outside_or_swapped_are_left_out_by_name_with_distance(make):
    rows = (
        "ID,名称,緯度,経度\n"
        "1,陸の公民館,37.30,137.10\n"
        "2,海の公民館,37.30,137.30\n"
        "3,隣の公民館,37.30,136.90\n"
        "4,逆の公民館,137.10,37.30\n"
        "5,空の公民館,,\n"
        "6,欧州の公民館,48.8,2.3\n"
    )
    region = make({"halls.csv": rows})
    assert [site.name for site in region.sites] == ["陸の公民館"]
    assert note(region, "海上").examples == ("halls.csv:3 海の公民館: 8.9 km", "halls.csv:7 欧州の公民館 (48.8, 2.3)")
    assert note(region, "他の市区町村").examples == ("halls.csv:4 隣の公民館",)
    assert note(region, "緯度と経度が逆").examples == ("halls.csv:5 逆の公民館 (137.1, 37.3)",)
    assert note(region, "座標のない行").examples == ("halls.csv:6 空の公民館",)


def test_a_file_with_both_columns_exchanged_stops_the_build(make, tmp_path):
    with pytest.raises(RegionError, match=r"halls: found latitude and longitude swapped in all 2 rows.*exchange the two columns"):
        make({"halls.csv": "ID,名称,緯度,経度\n1,東公民館,137.10,37.30\n2,西公民館,137.11,37.31\n"})
    assert not (tmp_path / "out").exists()


def test_an_unknown_code_is_refused_with_near_ones(make):
    table = "団体コード,市区町村名,人口総数\n174611,隣町,8786\n174645,山町,100\n"
    with pytest.raises(RegionError, match=r"towns.csv: found no row with 団体コード 174637; expected a code of the table. Next: near codes: 174645, 174611"):
        make({"towns.csv": table})


@pytest.mark.parametrize(
    ("code", "message"), [("174638", "did you mean 174637?"), ("99", "five or six digits"), ("172014", "no polygon with 団体コード 17201")]
)
def test_a_code_that_cannot_be_is_refused(make, code, message):
    with pytest.raises(RegionError, match=message):
        make({"public.csv": FACILITIES}, code=code)


def test_a_municipality_table_gives_facts_and_the_office(make):
    towns = "lgcode6,city,lat,lng,population_2015,population_2020\n174611,隣町,37.2,136.9,1,1\n174637,海山町,37.30,137.10,17568,15687\n"
    fiscal = "fiscal_year,code6,fiscal_capability_index\n2020,174637,0.21\n2021,174637,0.20\n2021,174611,0.3\n"
    flags = "団体コード,過疎地域,半島地域,離島地域,豪雪地帯\n174637,○,○,,一部\n"
    region = make({"towns.csv": towns, "fiscal.csv": fiscal, "flags.csv": flags})
    assert region.name == "海山町"
    assert [(site.name, site.kind) for site in region.sites] == [("海山町役場", "office")]
    assert {fact.id: (fact.value, fact.year) for fact in region.facts} == {
        "population": (15687, 2020),
        "fiscal_index": (0.2, 2021),
        "depopulated": (True, None),
        "peninsula": (True, None),
        "island": (False, None),
        "heavy_snow": ("一部", None),
    }


def squares(
    digits, *, header="KEY_CODE,人口総数,世帯総数", points=((37.30, 137.10, "120,50"), (37.31, 137.12, "0,0"), (37.32, 137.14, "*,*"), (37.3, 137.5, "9,9"))
):
    return header + "\n" + "".join(f"{code_at(lat, lon, digits)},{counts}\n" for lat, lon, counts in points)


@pytest.mark.parametrize("digits", [8, 9, 10])
def test_grid_squares_with_people_become_hamlets(make, digits):
    region = make({"mesh.csv": squares(digits)})
    assert [(site.kind, site.population, site.households) for site in region.sites] == [("hamlet", 120, 50), ("hamlet", None, None)]
    assert note(region, "人の住まない").count == 1
    assert note(region, "空欄").count == 1
    assert note(region, "他の市区町村").count == 1


def test_the_two_header_lines_of_an_estat_file_are_understood(make):
    code = code_at(37.30, 137.10, 8)
    region = make({"tblT001100S.txt.csv": f"KEY_CODE,HTKSYORI,T001100001,T001100034\n,,　人口（総数）,　世帯総数\n{code},0,120,50\n"})
    assert [(site.population, site.households) for site in region.sites] == [(120, 50)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (squares(6), r"mesh.csv:2: found mesh codes of 6 digits \(10 km\); expected 8 \(1 km\), 9 \(500 m\) or 10 digits"),
        (squares(8) + squares(9).split("\n", 1)[1], r"found mesh codes of 8 digits \(1 km\), 9 digits \(500 m\)"),
        ("KEY_CODE,人口総数\n53398611,5\n", "mesh.csv:2: found '53398611'; expected fifth and sixth digit from 0 to 7"),
        ("KEY_CODE,男\n53394611,5\n", "mesh.csv:1: found columns KEY_CODE, 男; expected a column of 人口"),
    ],
)
def test_mesh_codes_of_a_wrong_level_are_refused(make, text, message):
    with pytest.raises(RegionError, match=message):
        make({"mesh.csv": text})


def test_negative_and_unreadable_counts_are_emptied_and_said(make):
    region = make({"mesh.csv": squares(8, points=((37.30, 137.10, "-12,50"), (37.32, 137.14, "たくさん,7")))})
    assert [(site.population, site.households) for site in region.sites] == [(None, 50), (None, 7)]
    assert note(region, "負または読めない").count == 2


def area(code, name, people, homes, west, south=37.30, size=0.01):
    ring = [[west, south], [west + size, south], [west + size, south + size], [west, south + size], [west, south]]
    return {
        "type": "Feature",
        "properties": {"KEY_CODE": code, "S_NAME": name, "JINKO": people, "SETAI": homes},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def test_small_areas_become_hamlets_with_their_parts_added_up(make):
    features = [
        area("174630010", "字山", 30, 12, 137.05),
        area("174630010", "字山", 5, 2, 137.10, size=0.001),
        area("174630020", "字森", 0, 0, 137.15),
        area("174610010", "隣", 9, 3, 136.9),
    ]
    region = make({"areas.geojson": json.dumps({"type": "FeatureCollection", "features": features})})
    assert [(site.id, site.population, site.households, site.lat, site.lon) for site in region.sites] == [("hamlet-174630010", 35, 14, 37.305, 137.055)]
    assert note(region, "飛び地").examples == ("字山 174630010: 2",)
    assert note(region, "人の住まない").examples == ("字森 174630020",)


def test_an_area_that_bends_around_its_centroid_stands_at_a_point_inside(make):
    horseshoe = area("174630010", "字湾", 30, 12, 137.05)
    horseshoe["geometry"]["coordinates"] = [
        [
            [137.05, 37.30],
            [137.06, 37.30],
            [137.06, 37.301],
            [137.051, 37.301],
            [137.051, 37.309],
            [137.06, 37.309],
            [137.06, 37.31],
            [137.05, 37.31],
            [137.05, 37.30],
        ]
    ]
    site = make({"areas.geojson": json.dumps({"type": "FeatureCollection", "features": [horseshoe]})}).sites[0]
    assert site.lon < 137.051 or not 37.301 < site.lat < 37.309


def test_people_are_not_counted_twice(make):
    features = json.dumps({"type": "FeatureCollection", "features": [area("174630010", "字山", 30, 12, 137.05)]})
    with pytest.raises(RegionError, match=r"grid squares and small areas; expected one of them: both count the same people"):
        make({"areas.geojson": features, "mesh.csv": squares(8)})


def shelter(key, name, kind, lon, lat):
    return {"type": "Feature", "properties": {"共通ID": key, "施設・場所名": name, "kind": kind}, "geometry": {"type": "Point", "coordinates": [lon, lat]}}


SHELTERS = {
    "type": "FeatureCollection",
    "features": [
        shelter("E1746300001111", "東公民館", "evacuation", 137.10, 37.30),
        shelter("E1746300001112", "東 公民館", "evacuation", 137.1005, 37.30),
        shelter("E1746300002111", "東公民館", "evacuation", 137.15, 37.30),
        shelter("E1746300003201", "山の広場", "emergency", 137.12, 37.30),
        shelter("E1746100001111", "隣の館", "evacuation", 136.90, 37.30),
    ],
}


def test_shelters_are_where_people_stay_and_duplicates_merge_by_rule(make):
    region = make({"shelters.geojson": json.dumps(SHELTERS)})
    assert [site.evidence.original for site in region.sites] == ["E1746300001111", "E1746300002111"]
    assert note(region, "重複").examples == ("東 公民館 E1746300001112 → E1746300001111",)
    assert note(region, "指定緊急避難場所").examples == ("山の広場 E1746300003201",)
    assert note(region, "他の市区町村").count == 1


def test_places_to_flee_to_are_taken_when_asked_for(make):
    assert len(make({"shelters.geojson": json.dumps(SHELTERS)}, emergency=True).sites) == 3


def test_shelters_come_from_parquet_too(make, tmp_path):
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rows = [
        {"code6": "174637", "kind": "evacuation", "name": "東公民館", "lat": 37.3, "lon": 137.1, "hazards": "4"},
        {"code6": "174611", "kind": "evacuation", "name": "隣の館", "lat": 37.3, "lon": 136.9, "hazards": "4"},
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "raw.parquet")
    assert [site.name for site in make({"shelters.parquet": (tmp_path / "raw.parquet").read_bytes()}).sites] == ["東公民館"]


def test_existing_plant_keeps_its_age_owner_funding_and_limits(make):
    plants = "ID,名称,設備種別,整備年度,所有者,財源,処分制限期限,経路\n"
    plants += "P1,幹線,public-fibre,2010,海山町,交付金,2027-03-31,school-f1 > hall-f2\nP2,支線,public-fibre,,海山町,,,\n"
    region = make({"public.csv": FACILITIES, "plants.csv": plants})
    first, second = region.plants
    assert (first.year_built, first.owner, first.funding, first.restricted_until) == (2010, "海山町", "交付金", date(2027, 3, 31))
    assert second.year_built is None
    assert [street.plant for street in region.streets] == ["plant-p1"]
    assert note(region, "経路のない既存設備").examples == ("P2",)


def test_plant_without_a_technology_is_refused(make):
    with pytest.raises(RegionError, match=r"plants.csv:2: found no technology.*plants:TECHNOLOGY=plants.csv"):
        make({"public.csv": FACILITIES, "plants.csv": "ID,名称,整備年度\nP1,幹線,2010\n"})


ROADS = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": [[137.09, 37.30], [137.10, 37.301], [137.30, 37.301]]}}
    ],
}


def test_streets_keep_their_shape_and_are_cut_at_the_region(make, tmp_path):
    region = make({"public.csv": FACILITIES, "roads.geojson": json.dumps(ROADS)})
    assert (tmp_path / "out" / "streets.geojson").exists()
    assert not region.links_are_candidates
    assert sum(street.length_m for street in region.streets) == pytest.approx(893, abs=2)
    assert region.attach["school-f1"][1] == pytest.approx(110.6, abs=1)


def hgt(side):
    return struct.pack(f">{side * side}h", *([100] * side * side))


@pytest.mark.parametrize(("side", "spacing"), [(1201, 92.5), (3601, 30.8)])
def test_srtm_tiles_say_how_coarse_they_are(tmp_path, side, spacing):
    path = tmp_path / "N37E137.hgt.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("N37E137.hgt", hgt(side))
    found = grid(path)
    assert found.spacing_m == pytest.approx(spacing, abs=0.1)
    assert (found.south, found.west, found.north, found.east) == (37, 137, 38, 138)


def test_a_geotiff_says_how_coarse_it_is(tmp_path):
    import numpy
    import rasterio
    from affine import Affine

    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=20, width=30, count=1, dtype="float32", crs="EPSG:6675", transform=Affine(100, 0, -3000, 0, -100, 30000)
    ) as raster:
        raster.write(numpy.zeros((1, 20, 30), "float32"))
    assert grid(path).spacing_m == pytest.approx(100, rel=0.05)


def test_sites_outside_the_elevation_are_named_and_coarse_elevation_is_said(make):
    mesh = "mesh1km,mean_elev_m\n" + "".join(f"{code_at(37.30 + row / 120, 137.10 + column / 80, 8)},5\n" for row in range(2) for column in range(2))
    far = "全国地方公共団体コード,ID,名称,緯度,経度\n174637,F9,山公民館,37.39,137.19\n"
    region = make({"public.csv": FACILITIES, "far.csv": far, "height.csv": mesh})
    assert region.elevation.spacing_m == pytest.approx(1107, abs=5)
    assert note(region, "標高の範囲外").examples == ("山公民館",)
    assert "見通し・回折の判定に使えない" in note(region, "標高が粗い").why


def test_all_files_that_cannot_be_used_are_named_at_once_and_nothing_is_written(make, tmp_path):
    with pytest.raises(RegionError) as error:
        make({"strange.csv": "a,b\n1,2\n", "broken.geojson": '{"type":\n', "N37E137.hgt": b"123", "public.csv": FACILITIES.encode("cp932").decode("latin-1")})
    text = str(error.value)
    assert all(
        name in text for name in ("strange.csv: found a file of no kind", "broken.geojson:2: found Expecting value", "public.csv:1: found broken characters")
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_never_overwritten(make, tmp_path):
    make({"public.csv": FACILITIES})
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(RegionError, match=r"a folder that is not empty"):
        make({"public.csv": FACILITIES})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_an_interrupted_build_leaves_nothing_behind(make, tmp_path, monkeypatch):
    def stop(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["kiban.region.build"], "read", stop)
    with pytest.raises(KeyboardInterrupt):
        make({"public.csv": FACILITIES})
    assert not list(tmp_path.glob("out*"))


def test_what_was_built_reads_the_same_and_an_exchange_is_assumed_only_when_asked(make, tmp_path):
    towns = "lgcode6,city,lat,lng\n174637,海山町,37.30,137.10\n"
    region = make({"towns.csv": towns, "public.csv": FACILITIES}, assume_exchange=True, label="例")
    assert read(tmp_path / "out") == region
    assert region.label == "例"
    assert [(place.kind, place.evidence.assumed, place.evidence.confirm) for place in region.places] == [("exchange", True, "通信事業者 / the carrier")]


def test_without_an_exchange_the_gap_is_said(make):
    assert note(make({"public.csv": FACILITIES}), "収容局の位置").ask == "通信事業者 / the carrier"


@pytest.mark.parametrize(("module", "name"), [("osmium", "x.osm.pbf"), ("rasterio", "x.tif"), ("pyarrow.parquet", "x.parquet")])
def test_an_extra_that_is_not_installed_is_named(make, monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RegionError, match=r"installed. Next: pip install 'kiban\[geo\]'"):
        make({name: b"", "public.csv": FACILITIES})


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.csv", "code,A1101\nR17463,1\n", "municipality"),
        ("a.csv", "fiscal_year,code6,fiscal_capability_index\n", "fiscal"),
        ("a.csv", "団体コード,過疎\n", "flags"),
        ("a.csv", "KEY_CODE,人口総数\n", "mesh"),
        ("a.csv", "mesh1km,平均標高\n", "elevation"),
        ("a.csv", "全国地方公共団体コード,名称,緯度,経度,災害種別_洪水\n", "shelters"),
        ("a.csv", "全国地方公共団体コード,名称,緯度,経度\n", "facilities"),
        ("a.csv", "名称,整備年度\n", "plants"),
        ("a.json", json.dumps(ROADS), "streets"),
        ("a.json", json.dumps(SHELTERS), "shelters"),
        ("a.json", json.dumps({"type": "FeatureCollection", "features": [area("1", "a", 1, 1, 137)]}), "small_areas"),
        ("a.json", '{"type": "Topology", "arcs": [], "objects": {}}', "boundary"),
    ],
)
def test_the_kind_of_a_file_is_told_from_its_content(tmp_path, name, text, kind):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert kind_of(tmp_path / name) == kind


def test_a_row_with_too_few_cells_and_a_null_geometry_are_rows_without_a_place(make):
    content = {"type": "FeatureCollection", "features": [{**shelter("E1746300009111", "無い館", "evacuation", 0, 0), "geometry": None}]}
    region = make({"public.csv": FACILITIES + "174637,F4,東公民館\n", "shelters.geojson": json.dumps(content)}, kinds={"shelters.geojson": "shelters"})
    assert [one.examples for one in region.missing if "座標のない行" in one.what] == [("public.csv:5 東公民館",), ("shelters.geojson#1 無い館",)]
