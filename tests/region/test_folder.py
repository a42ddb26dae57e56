"""A region folder: what fits is read, what does not is said all at once, and nothing is lost on the way back."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.base.errors import RegionError
from kiban.records.source import Source
from kiban.region import Detour, read, write
from kiban.region import missing as say

HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
SITES = "id,kind,name,lat,lon,households,source\noffice,office,役場,37.3,137.1,,survey\nhall,shelter,館,37.3,137.12,3,survey\n"
DETOUR = Detour(value=1.3, source=Source(title="海山町の道", seen_on=date(2026, 11, 23)))
SITES_HEAD = "id,kind,name,lat,lon,households,source,assumed,reason,confirm\n"


def lines(error):
    return str(error.value).split("\n")


def test_a_folder_without_streets_gets_candidate_links_and_says_so(folder):
    region = read(folder(), detour=DETOUR)
    assert region.links_are_candidates
    assert (region.detour, region.sources[region.detour_source].title) == (1.3, "海山町の道")
    assert {street.kind for street in region.streets} == {"candidate"}
    assert len(region.streets) == 4  # the square of four points, without its diagonals
    assert [one.what for one in region.missing] == [say.NO_STREETS, say.NO_EXCHANGE]
    straight = read(folder())
    assert straight.detour is None
    assert say.NO_DETOUR in [one.what for one in straight.missing]
    assert sum(s.length_m for s in region.streets) == pytest.approx(1.3 * sum(s.length_m for s in straight.streets), abs=0.1)


def test_a_factor_of_the_folder_wins_over_the_rule(folder):
    head = (folder() / "region.yaml").read_text() + "detour: {value: 1.5, source: survey}\n"
    region = read(folder(region_yaml=head), detour=DETOUR)
    assert (region.detour, region.detour_source) == (1.5, "survey")


def test_excel_files_in_cp932_and_with_bom_read_the_same(folder):
    text = (folder() / "sites.csv").read_text()
    assert read(folder(sites_csv=text.encode("cp932"))) == read(folder(sites_csv=b"\xef\xbb\xbf" + text.encode())) == read(folder(sites_csv=text))


def test_all_problems_come_at_once_with_line_column_and_what_fits(folder):
    sites = (
        SITES_HEAD
        + "a,castle,城,37.3,137.1,,survey,,,\n"
        + "b,shelter,,37.3,137.1,,survey,,,\n"
        + "c,shelter,逆,137.1,37.3,,survey,,,\n"
        + "d,shelter,負,37.3,137.1,-5,survey,,,\n"
        + "d,shelter,字,37.3,北緯,,survey,,,\n"
        + "e,shelter,無,37.3,137.1,,nobody,,,\n"
        + "f,shelter,仮,37.3,137.1,,,yes,,\n"
        + "g,shelter,欠,,137.1,,survey,,,\n"
    )
    with pytest.raises(RegionError) as error:
        read(folder(sites_csv=sites))
    said = lines(error)
    assert [line.split(": ")[0] for line in said] == [f"sites.csv:{number}" for number in (2, 3, 4, 5, 6, 6, 7, 8, 9)]
    for line, part in zip(
        said,
        [
            "column kind: 'castle'; expected one of shelter, hamlet",
            "column name: ''; expected a value",
            "columns lat, lon: 137.1, 37.3; expected lat from -90 to 90, lon from -180 to 180. Next: latitude and longitude look swapped: exchange them",
            "column households: '-5'; expected a number from 0 to",
            "column id: 'd'; expected each id once (it is also in line 5)",
            "column lon: '北緯'; expected a number",
            "column source: 'nobody'; expected one of survey",
            "assumed row: reason None, confirm None; expected both",
            "column lat: ''; expected a number. Next: fill it in",
        ],
        strict=True,
    ):
        assert part in line


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [("35.0", "15.0", "a place in Japan. Next: correct the coordinates"), ("137.1", "37.3", "look swapped"), ("37.3", "nan", "a number")],
)
def test_a_japanese_region_has_its_places_in_japan(folder, lat, lon, message):
    with pytest.raises(RegionError, match=message):
        read(folder(sites_csv=SITES_HEAD + f"a,shelter,館,{lat},{lon},,survey,,,\n"))


def test_a_site_in_the_sea_is_refused_by_name_with_its_distance(folder, land):
    sites = SITES_HEAD + "a,shelter,陸の館,37.3,137.1,,survey,,,\nb,shelter,海の館,37.3,137.3,,survey,,,\n"
    boundary = json.loads(land.read_text())
    boundary["features"] = boundary["features"][:1]
    with pytest.raises(RegionError) as error:
        read(folder(sites_csv=sites, boundary_geojson=json.dumps(boundary)))
    assert lines(error) == [
        "sites.csv: found b 海の館: 8.9 km outside the region (in the sea or in another municipality); "
        "expected at most 300 m outside boundary.geojson. Next: correct the coordinates, or leave the row out"
    ]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("id: umiyama\nname: 海山町\n", "region.yaml:1: found Object missing required field `sources`"),
        ("id: umiyama\nname: 海山町\nsources:\n  survey:\n    title: 調べ\n    seen_on: きのう\n", "region.yaml:3: found Invalid RFC3339 encoded date"),
        ("id: 海山\nname: 海山町\nsources: {}\n", "id '海山'; expected lower-case letters"),
        ("id: umiyama\nname: [\n", "region.yaml:3: found"),
        ('id: umiyama\nname: 海山町\nsources: {}\nlg_code: "174638"\n', "region.yaml:4: found '174638'; expected check digit 7. Next: did you mean 174637?"),
        ("id: umiyama\nname: 海山町\nsources: {}\ndetour: {value: 1.3, source: x}\n", "region.yaml:4: found source 'x'"),
        ("id: umiyama\nname: 海山町\nsources: {}\nstreet: 1\n", "unknown field `street`"),
    ],
)
def test_a_bad_head_is_named_with_its_line(folder, head, message):
    with pytest.raises(RegionError, match=message):
        read(folder(region_yaml=head))


def test_columns_that_the_folder_does_not_know_are_refused(folder):
    with pytest.raises(RegionError, match=r"sites.csv:1: found no column lat; column latitude; expected id, kind, name, lat"):
        read(folder(sites_csv="id,kind,name,latitude,lon\na,shelter,館,37.3,137.1\n"))


BAY = {
    "type": "Polygon",
    "coordinates": [
        [
            [137.09, 37.29],
            [137.13, 37.29],
            [137.13, 37.305],
            [137.105, 37.305],
            [137.105, 37.315],
            [137.13, 37.315],
            [137.13, 37.33],
            [137.09, 37.33],
            [137.09, 37.29],
        ]
    ],
}
ISLANDS = {
    "type": "MultiPolygon",
    "coordinates": [[[[137.09, south], [137.13, south], [137.13, south + 0.01], [137.09, south + 0.01], [137.09, south]]] for south in (37.295, 37.315)],
}


def kinds(region):
    return sorted((*sorted((end(region, street.a), end(region, street.b))), street.kind) for street in region.streets)


def end(region, junction):
    return next(id for id, (joined, _) in sorted(region.attach.items()) if joined == junction)


def boundary(shape):
    return json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": shape}]})


def test_no_candidate_link_crosses_a_bay_that_a_longer_way_goes_around(folder):
    region = read(folder(boundary_geojson=boundary(BAY)))
    assert kinds(region) == [("hall-east", "office", "candidate"), ("hall-north", "hamlet", "candidate"), ("hall-north", "office", "candidate")]
    note = next(one for one in region.missing if one.what == say.LINKS_OUTSIDE)
    assert (note.count, note.examples) == (1, ())


def test_a_link_that_alone_connects_two_islands_is_a_sea_link_and_is_named(folder):
    region = read(folder(boundary_geojson=boundary(ISLANDS)))
    assert [row for row in kinds(region) if row[2] == "sea"] in ([("hall-east", "hamlet", "sea")], [("hall-north", "office", "sea")])
    note = next(one for one in region.missing if one.what == say.LINKS_OUTSIDE)
    assert note.count == 2
    assert note.examples[0].endswith("2220 m (sea)")


def test_a_link_that_the_folder_bars_is_not_drawn(folder):
    head = (folder() / "region.yaml").read_text() + "no_links: [[office, hall-east]]\n"
    assert ("hall-east", "office", "candidate") not in kinds(read(folder(region_yaml=head)))
    with pytest.raises(RegionError, match=r"no_links: 'nowhere'; expected ids of sites.csv"):
        read(folder(region_yaml=head.replace("office", "nowhere")))


STREETS = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": line}}
        for line in ([[137.10, 37.300], [137.11, 37.301], [137.12, 37.300]], [[137.099, 37.320], [137.121, 37.320]])
    ],
}
PLACES = "id,kind,name,lat,lon,assumed,reason,confirm\nexchange,exchange,収容局,37.300,137.100,yes,公表なし,通信事業者\n"


def test_a_street_graph_in_pieces_stays_in_pieces_and_is_said(folder):
    region = read(folder(streets_geojson=json.dumps(STREETS), places_csv=PLACES))
    assert not region.links_are_candidates
    notes = {one.what: one for one in region.missing}
    assert notes[say.PIECES].count == 2
    assert notes[say.NO_EXCHANGE].examples == ("北公民館", "山集落")
    assert len(region.attach) == 5


def test_points_far_from_any_street_are_named_with_their_distance(folder):
    streets = {**STREETS, "features": STREETS["features"][:1]}
    region = read(folder(streets_geojson=json.dumps(streets), places_csv=PLACES))
    note = next(one for one in region.missing if one.what == say.TOO_FAR)
    assert note.examples == ("北公民館 2202 m", "山集落 2202 m")
    assert set(region.attach) == {"office", "hall-east", "exchange"}


PLANTS = "id,name,technology,year_built,restricted_until,route,assumed,reason,confirm\nfibre,公設光,public-fibre,2010,2027-03-31,{route},yes,公表なし,町\n"


def test_plant_lies_on_the_shortest_way_of_its_route(folder):
    region = read(folder(streets_geojson=json.dumps(STREETS), places_csv=PLACES, plants_csv=PLANTS.format(route="exchange > hall-east")))
    assert sum(street.length_m for street in region.streets if street.plant == "fibre") == pytest.approx(1787, abs=2)
    assert region.plants[0].restricted_until == date(2027, 3, 31)


def test_a_route_over_a_gap_is_refused(folder):
    with pytest.raises(RegionError, match=r"plants.csv:2: found column route: 'exchange > hall-north'; expected ids of sites or places that streets connect"):
        read(folder(streets_geojson=json.dumps(STREETS), places_csv=PLACES, plants_csv=PLANTS.format(route="exchange > hall-north")))


FACTS = "id,value,unit,year,source\npopulation,15687,persons,2020,survey\nisland,false,,,survey\nnote,一部,,,survey\nempty,,,,survey\n"


@pytest.mark.parametrize("streets", [None, json.dumps(STREETS)], ids=["candidate links", "streets"])
def test_a_region_that_is_written_reads_as_the_same_region(folder, tmp_path, streets):
    files = {"places_csv": PLACES, "plants_csv": PLANTS.format(route="exchange > hall-east"), "facts_csv": FACTS}
    region = read(folder(**files, **({"streets_geojson": streets} if streets else {})), detour=DETOUR)
    assert [fact.value for fact in region.facts] == [15687, False, "一部", None]
    write(region, tmp_path / "again")
    assert read(tmp_path / "again") == region
    write(read(tmp_path / "again"), tmp_path / "third")
    assert [path.read_bytes() for path in sorted((tmp_path / "again").iterdir())] == [path.read_bytes() for path in sorted((tmp_path / "third").iterdir())]


def test_a_row_moved_in_excel_is_joined_anew(folder, tmp_path):
    region = read(folder(streets_geojson=json.dumps(STREETS), places_csv=PLACES))
    write(region, tmp_path / "again")
    path = tmp_path / "again" / "sites.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("東公民館,37.3,137.12", "東公民館,37.3201,137.11"), encoding="utf-8")
    moved = read(tmp_path / "again")
    assert moved.attach["hall-east"][1] == pytest.approx(11.1, abs=0.1)
    assert moved.attach["hall-north"] == region.attach["hall-north"]


def test_names_that_look_like_formulas_are_kept_but_not_run(folder, tmp_path):
    sites = SITES_HEAD + 'a,shelter,"=HYPERLINK(""x"")",37.3,137.1,,survey,,,\n'
    write(read(folder(sites_csv=sites)), tmp_path / "again")
    cells = list(csv.reader(io.StringIO((tmp_path / "again" / "sites.csv").read_text(encoding="utf-8-sig"))))
    assert cells[1][2].startswith("'=")
    assert read(tmp_path / "again").sites[0].name == '=HYPERLINK("x")'


def test_a_full_disk_leaves_the_file_as_it_was(folder, tmp_path, monkeypatch):
    region = read(folder())
    write(region, tmp_path / "again")
    before = (tmp_path / "again" / "sites.csv").read_bytes()

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(RegionError, match=r"No space left on device; expected a folder with space"):
        write(region, tmp_path / "again")
    monkeypatch.undo()
    assert (tmp_path / "again" / "sites.csv").read_bytes() == before
    assert not list((tmp_path / "again").glob("*.part"))
    assert read(tmp_path / "again") == region


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (
            {"type": "LineString", "coordinates": [[37.30, 137.10], [37.30, 137.12]]},
            r"streets.geojson#1: found a line at lat 137.1, lon 37.3; .*look swapped: exchange them",
        ),
        (
            {"type": "LineString", "coordinates": [[-3000.0, 34000.0], [-2000.0, 34000.0]]},
            r"a LineString without a place on Earth; .*Next: convert the file to WGS84",
        ),
        ({"type": "LineString"}, r"streets.geojson#1: found a broken LineString"),
        ({"type": "LineString", "coordinates": [[137.1, "x"], [137.2, 37.3]]}, r"streets.geojson#1: found a broken LineString"),
        (None, r"streets.geojson: found no line"),
    ],
    ids=["swapped", "metres", "no coordinates", "text", "null"],
)
def test_streets_that_lie_nowhere_are_refused(folder, geometry, message):
    content = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": geometry}]}
    with pytest.raises(RegionError, match=message):
        read(folder(streets_geojson=json.dumps(content)))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_stands_in_a_file_the_answer_is_a_region_or_a_message(folder, data):
    """Cells, lines and punctuation exchanged at random never end in anything but a RegionError."""
    files = {"sites_csv": SITES, "region_yaml": HEAD, "boundary_geojson": boundary(BAY), "facts_csv": FACTS}
    name = data.draw(st.sampled_from(sorted(files)))
    text = files[name].encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.sampled_from([0, 1, 5, 40]))
        text = (
            text[:start]
            + data.draw(st.sampled_from([b"", b"\0", b'"', b"null", b"[", b"-1", b"1e999", b"nan", b"\xff", b",", b"\n", b":", b"9" * 400, "能".encode()]))
            + text[end:]
        )
    with contextlib.suppress(RegionError):
        read(folder(**{**files, name: text}))
