"""What leaves for other programs is the design: every yen once, every id once, valid by the words of each standard, whatever the names are."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from msgspec.structs import replace
from tests.documents.town import HOSTILE, TECHNOLOGIES, Town, town

from kiban.catalogue import Catalogue, words
from kiban.documents.bom_xlsx import bom_xlsx, pieces
from kiban.documents.features import FIELDS, draw
from kiban.documents.geojson import design_geojson
from kiban.documents.geopackage import design_geopackage
from kiban.documents.ofds import SCHEMA, design_ofds
from kiban.finance.estimate import line_id
from kiban.records.funding import Line
from kiban.records.source import Tax, Text

DAY = date(2026, 11, 27)
SCHEMAS = Path(__file__).parents[1] / "samples" / "ofds-0.3"
TOWNS = {
    "all": town(),
    "without streets": town(streets=False),
    "nobody wants anything": town(wanted=()),
    "only the sky": town(wanted=("s4",)),
}


@pytest.fixture(params=TOWNS, ids=list(TOWNS))
def one(request: pytest.FixtureRequest) -> Town:
    return TOWNS[request.param]


def database(content: bytes) -> sqlite3.Connection:
    book = sqlite3.connect(":memory:")
    book.deserialize(content)
    return book


def packed(one: Town) -> sqlite3.Connection:
    return database(design_geopackage(one.region, one.problem, one.design, {}, DAY))


# What is drawn


def test_the_town_of_these_tests_has_all_that_a_map_can_show() -> None:
    arcs = [TOWNS["all"].problem.arcs[index].kind for index in TOWNS["all"].design.arcs]
    assert {"exchange", "line", "plant", "drop", "feed", "hop", "open", "link", "direct", "serve"} <= set(arcs)


def test_every_yen_of_the_design_stands_at_one_feature(one: Town) -> None:
    drawing = draw(one.region, one.problem, one.design, {})
    at_lines = sum(feature.properties["npv_yen"] for layer in ("lines", "facilities", "hops") for feature in drawing.of(layer))  # type: ignore[arg-type]
    assert at_lines + sum(feature.properties["equipment_npv_yen"] for feature in drawing.of("sites")) + drawing.system_npv_yen == one.design.cost


def test_every_id_stands_once_and_every_field_is_named_in_the_list(one: Town) -> None:
    features = draw(one.region, one.problem, one.design, {}).features
    assert len({feature.id for feature in features}) == len(features)
    assert all(list(feature.properties) == list(FIELDS[feature.layer]) for feature in features)


# GeoJSON


def test_geojson_has_longitude_first_and_the_points_of_a_street_in_order() -> None:
    data = json.loads(design_geojson(TOWNS["all"].region, TOWNS["all"].problem, TOWNS["all"].design, {}))
    (line,) = [feature for feature in data["features"] if feature["id"] == "lines/line/cable/b"]
    assert line["geometry"]["coordinates"] == [[137.0, 37.04], [137.002, 37.03], [137.0, 37.02]]
    names = {feature["properties"]["name"] for feature in data["features"] if feature["properties"]["part"] == "site"}
    assert names == set(HOSTILE)


def test_a_design_that_the_check_rejected_has_no_total_in_its_file() -> None:
    one = TOWNS["all"]
    assert json.loads(design_geojson(one.region, one.problem, one.design, {}))["npv_yen"] == one.design.cost
    assert json.loads(design_geojson(one.region, one.problem, one.design, {}, "rejected"))["npv_yen"] is None


# GeoPackage


def geometry(blob: bytes) -> list[tuple[float, float]]:
    """The points of a geometry, read by clause 2.1.3 of the standard."""
    magic, version, flags, srs = struct.unpack_from("<2sBBi", blob)
    assert (magic, version, flags & 1, srs) == (b"GP", 0, 1, 4326)
    at = 8 + {0: 0, 1: 32}[(flags >> 1) & 7]
    order, kind = struct.unpack_from("<BI", blob, at)
    assert order == 1
    count, at = (1, at + 5) if kind == 1 else (struct.unpack_from("<I", blob, at + 5)[0], at + 9)
    numbers = struct.unpack_from(f"<{2 * count}d", blob, at)
    assert len(blob) == at + 16 * count
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_geopackage_says_what_it_is_and_is_whole(one: Town) -> None:
    content = design_geopackage(one.region, one.problem, one.design, {}, DAY)
    assert content[68:72] == b"GPKG"
    book = database(content)
    assert book.execute("PRAGMA user_version").fetchone() == (10300,)
    assert book.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert book.execute("PRAGMA foreign_key_check").fetchall() == []
    assert {id for (id,) in book.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")} == {-1, 0, 4326}
    assert [name for (name,) in book.execute("SELECT table_name FROM gpkg_contents ORDER BY rowid")] == list(FIELDS)


def test_the_rows_of_a_geopackage_are_the_features(one: Town) -> None:
    book = packed(one)
    drawing = draw(one.region, one.problem, one.design, {})
    for layer, fields in FIELDS.items():
        columns = ", ".join(f'"{name}"' for name in fields)
        rows = book.execute(f"SELECT feature_id, geom, {columns} FROM {layer} ORDER BY fid").fetchall()
        assert [(row[0], tuple(geometry(row[1]))) for row in rows] == [(feature.id, feature.points) for feature in drawing.of(layer)]
        for row, feature in zip(rows, drawing.of(layer), strict=True):
            given = dict(zip(fields, row[2:], strict=True))
            assert {name: given[name] for name, kind in fields.items() if kind != "list"} == {
                name: feature.properties[name] for name, kind in fields.items() if kind != "list"
            }


def test_the_same_design_gives_the_same_bytes() -> None:
    first, second = (design_geopackage(one.region, one.problem, one.design, {}, DAY) for one in (town(), town()))
    assert first == second


def test_gdal_reads_the_geopackage_where_it_is_installed(one: Town, tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio", reason="needs pyogrio (GDAL)")
    path = tmp_path / "design.gpkg"
    path.write_bytes(design_geopackage(one.region, one.problem, one.design, {}, DAY))
    assert [name for name, _ in pyogrio.list_layers(path)] == list(FIELDS)
    for layer in FIELDS:
        found = pyogrio.read_info(path, layer=layer)
        assert (found["features"], found["crs"]) == (len(draw(one.region, one.problem, one.design, {}).of(layer)), "EPSG:4326")


# Open Fibre Data Standard


def network(one: Town) -> dict[str, Any]:
    (found,) = json.loads(design_ofds(one.region, one.problem, one.design, TECHNOLOGIES, "ja"))["networks"]
    return dict(found)


def test_the_network_package_is_valid_by_the_schema_of_the_standard(one: Town) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    referencing = pytest.importorskip("referencing")
    schema, package = (json.loads((SCHEMAS / f"{name}.json").read_text()) for name in ("network-schema", "network-package-schema"))
    known = referencing.Registry().with_resources([(schema["$id"], referencing.Resource.from_contents(schema))])
    judge = jsonschema.Draft202012Validator(package, registry=known, format_checker=jsonschema.FormatChecker())
    assert [error.message[:300] for error in judge.iter_errors(json.loads(design_ofds(one.region, one.problem, one.design, TECHNOLOGIES, "ja")))] == []
    assert [error.message[:40] for error in judge.iter_errors({"networks": [{"id": "no uuid"}]})] != []
    assert schema["$id"] == SCHEMA


def test_spans_join_nodes_that_exist_and_routes_begin_and_end_at_them(one: Town) -> None:
    found = network(one)
    nodes = {node["id"]: node["location"]["coordinates"] for node in found.get("nodes", ())}
    spans = found.get("spans", [])
    assert len(nodes) == len(found.get("nodes", ()))
    assert len({span["id"] for span in spans}) == len(spans)
    assert {end for span in spans for end in (span["start"], span["end"])} == set(nodes)
    for span in spans:
        route = span["route"]["coordinates"]
        assert (route[0], route[-1]) == (nodes[span["start"]], nodes[span["end"]])
        assert all(136 < lon < 140 and 36 < lat < 40 for lon, lat in route)
    organisations = {one["id"] for one in found.get("organisations", ())}
    assert {span["physicalInfrastructureProvider"]["id"] for span in spans if "physicalInfrastructureProvider" in span} == organisations
    assert {span["phase"]["id"] for span in spans} == {phase["id"] for phase in found.get("phases", ())}


def test_the_fibre_of_the_design_reaches_every_site_that_it_serves_from_an_exchange() -> None:
    found = network(TOWNS["all"])
    joined: dict[str, set[str]] = {}
    for span in found["spans"]:
        joined.setdefault(span["start"], set()).add(span["end"])
        joined.setdefault(span["end"], set()).add(span["start"])
    seen, left = {"facilities/ex"}, ["facilities/ex"]
    while left:
        for other in joined[left.pop()] - seen:
            seen.add(other)
            left.append(other)
    assert seen == {node["id"] for node in found["nodes"]}


def test_plant_is_operational_and_what_is_designed_is_proposed() -> None:
    spans = {span["id"]: span for span in network(TOWNS["all"])["spans"]}
    assert spans["lines/plant/old/a"]["status"] == "operational"
    assert spans["lines/plant/old/a"]["physicalInfrastructureProvider"]["name"] == "町; --"
    assert spans["lines/line/cable/b"]["status"] == "proposed"
    assert spans["lines/line/cable/b"]["fibreLength"] == 2.2


def test_without_a_line_the_network_has_no_nodes_and_no_spans() -> None:
    assert {"nodes", "spans", "phases", "organisations"} & set(network(TOWNS["only the sky"])) == set()


# Bill of materials


def lines_of(one: Town) -> list[Line]:
    """Every price of the problem as a line, the price of a satellite kit unknown."""
    found = []
    for price in one.problem.prices:
        id = line_id(price.technology, price.cost, price.id.partition("@")[2] or None)
        unit, basis = (None, "awaiting") if price.technology == "leo" else (price.unit_yen[0], "published")
        found.append(
            Line(id=id, technology=price.technology, cost=price.cost, name=Text(ja="=cmd()", en="=cmd()"), phase=price.phase, per=price.per, section="x",
                 category="equipment", quantity=None, unit_yen=unit, life=price.life, tax=Tax.excluded, basis=basis, source="@source")
        )  # fmt: skip
    return found


def bill(one: Town, catalogue: Catalogue, lang: str = "ja") -> openpyxl.Workbook:
    content = bom_xlsx(one.region, one.problem, one.design, lines_of(one), TECHNOLOGIES, word=words(catalogue, lang), lang=lang, day=DAY)
    return openpyxl.load_workbook(io.BytesIO(content))


def rows_of(book: openpyxl.Workbook, sheet: int) -> list[list[Any]]:
    return [list(row) for row in book.worksheets[sheet].iter_rows(values_only=True)]


def test_pieces_add_up_to_what_the_design_pays() -> None:
    one = TOWNS["all"]
    price = {line_id(p.technology, p.cost, p.id.partition("@")[2] or None): p.npv for p in one.problem.prices}
    assert round(sum(piece.units * price[piece.line] for piece in pieces(one.region, one.problem, one.design))) == one.design.cost


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_quantities_amounts_and_totals_are_formulas_and_a_name_is_none(one: Town, lang: str, shipped_catalogue: Catalogue) -> None:
    book = bill(one, shipped_catalogue, lang)
    word = words(shipped_catalogue, lang)
    assert book.sheetnames == [word("bom.items"), word("bom.places")]
    formulas = [cell for page in book.worksheets for row in page.iter_rows() for cell in row if cell.data_type == "f"]
    assert {str(cell.value).partition("(")[0] for cell in formulas} <= {"=SUMIF", "=IF", "=SUMIFS", "=COUNTIFS", "=SUM"}
    for cell in formulas:
        assert "cmd" not in str(cell.value)
    ids = [row[12] for row in rows_of(book, 0) if row[12] and row[12] != word("bom.id")]
    assert set(ids) >= {piece.line for piece in pieces(one.region, one.problem, one.design)}


def test_a_price_that_nobody_knows_is_blank_and_undecided(shipped_catalogue: Catalogue) -> None:
    one = TOWNS["only the sky"]
    content = bom_xlsx(one.region, one.problem, one.design, lines_of(one), TECHNOLOGIES, word=words(shipped_catalogue, "ja"), lang="ja", day=DAY)
    rows = [list(row) for row in openpyxl.load_workbook(io.BytesIO(content), data_only=True).worksheets[0].iter_rows(values_only=True)]
    (kit,) = [row for row in rows if row[12] == "leo.kit"]
    assert (kit[4], kit[6], kit[8]) == (1, None, "未定")
    (total,) = [row for row in rows if row[0] == "合計"]
    assert total[1:4] == [0, 0, 1]


def test_an_unserved_site_is_said_on_the_bill(shipped_catalogue: Catalogue) -> None:
    one = TOWNS["all"]
    partial = replace(one.design, status="incomplete")
    content = bom_xlsx(one.region, one.problem, partial, lines_of(one), TECHNOLOGIES, word=words(shipped_catalogue, "ja"), lang="ja", day=DAY)
    assert any("全体の数量ではない" in str(row[0]) for row in openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].iter_rows(values_only=True))
