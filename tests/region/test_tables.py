"""Tables of towns: read with the address of each cell, matched, judged; mistakes that were planted in real files are named by their cell, none is lost."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiban.region.change import left_csv
from kiban.region.examine import Place, examine
from kiban.region.imports import Imports
from kiban.region.match import key_of, match, without_persons
from kiban.region.sheet import sheets_of
from kiban.region.xlsx import TableError

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
NANAO = Place(code="17202")


def only(raw: bytes, name: str = "list.csv"):
    (sheet,) = sheets_of(raw, name)
    return sheet


def table(*rows: list[object], encoding: str = "utf-8") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().replace("吞", "呑").encode(encoding)  # the one character of the file that CP932 does not have


def judged(raw: bytes, name: str = "list.csv", place: Place = NANAO):
    """The sheet, what came out, and the findings that leave rows out as (code, address)."""
    sheet = only(raw, name)
    checked = examine(sheet, match(sheet), place)
    assert sorted([one.row for one in checked.good] + list(checked.left)) == list(range(len(sheet.rows)))  # every row is in one of the two
    return sheet, checked, {(one.code, sheet.address(one.row, one.column)) for one in checked.findings if not one.note}


@pytest.fixture(scope="module")
def shelters(test_data: Path) -> list[list[str]]:
    """Header and first 33 rows of the open shelters of 七尾市, as published."""
    with (test_data / "nanao_open_shelters" / "open_shelters_history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    seen: dict[str, list[str]] = {}
    for row in rows[1:]:
        seen.setdefault(row[0], row)
    return [rows[0], *list(seen.values())[:33]]


# --- reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_every_encoding_of_an_office_gives_the_same_table(shelters, encoding):
    sheet = only(table(*shelters, encoding=encoding))
    assert (len(sheet.rows), sheet.headers[2], sheet.rows[0].cells[2]) == (33, "名称", "山王小学校")


def test_tabs_and_semicolons_part_cells_too():
    assert only("名称\t緯度\n公民館\t37.3\n".encode()).headers == only("名称;緯度\n公民館;37.3\n".encode()).headers == ("名称", "緯度")


def test_titles_above_and_a_header_over_merged_cells_are_understood_and_cells_keep_the_names_of_excel(shelters):
    book = openpyxl.Workbook()
    page = book.active
    page.title = "指定避難所"
    page["A1"] = "指定避難所一覧"
    page.merge_cells("A1:F1")
    page["A2"] = "令和6年1月9日現在"
    for cell, text in {
        "A3": "番号",
        "B3": "施設",
        "D3": "位置",
        "F3": "災害種別",
        "B4": "名称",
        "C4": "住所",
        "D4": "緯度",
        "E4": "経度",
        "F4": "洪水",
    }.items():
        page[cell] = text
    for block in ("A3:A4", "B3:C3", "D3:E3"):
        page.merge_cells(block)
    for number, row in enumerate(shelters[1:], 1):
        page.append([number, row[2], row[7], float(row[13]), float(row[14]), "○" if row[17] else None])
    page["E9"] = "=1/0"
    page["D12"] = page["E12"].value
    page["D14"].value, page["D14"].data_type = "#REF!", "e"
    out = io.BytesIO()
    book.save(out)
    sheet, checked, found = judged(out.getvalue(), "hinanjo.xlsx")
    assert sheet.headers == ("番号", "施設 名称", "施設 住所", "位置 緯度", "位置 経度", "災害種別 洪水")
    assert sheet.above == ("指定避難所一覧", "令和6年1月9日現在")
    assert match(sheet).fields == ("id", "name", "address", "lat", "lon", "hazard")
    assert found == {("no_place", "指定避難所!E9"), ("not_japan", "指定避難所!D12"), ("degrees", "指定避難所!D14")}
    assert len(checked.good) == 30


def test_a_header_of_two_lines_in_csv_is_joined():
    assert only("題名,,,\n名称,位置,,災害種別\n,緯度,経度,洪水\n公民館,37.3,137.1,○\n".encode()).headers == ("名称", "位置 緯度", "位置 経度", "災害種別 洪水")


@pytest.mark.parametrize(
    ("raw", "name", "code"),
    [
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "old.xls", "old_excel"),
        (b"%PDF-1.7", "list.xlsx", "no_table_kind"),
        ("名称,緯度\n".encode(), "empty.csv", "no_table"),
        (b"", "nothing.csv", "no_table"),
        ('名称,緯度\n"公民館,37.3\n' .encode(), "quote.csv", "quotes"),
        (b'{"type": "Feature"}', "one.geojson", "no_points"),
        (b'{"features": [', "cut.geojson", "json"),
        (b'{"features":' + b"[" * 200_000, "deep.geojson", "json"),
        (b'{"crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::6675"}}, "features": []}', "plane.geojson", "crs"),
        ("名称,緯度\n能登\ufffd町,37\n".encode(), "broken.csv", "encoding"),
        (b"PK\x03\x04damaged", "damaged.xlsx", "damaged"),
        (b"a,b\n" * 60_000, "long.csv", "too_much"),
        (b"x," * 3_000 + b"\n1\n", "wide.csv", "too_much"),
        (b"a,b\n" * 6_000_000, "huge.csv", "too_large"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_by_a_reason(raw, name, code):
    with pytest.raises(TableError) as refused:
        sheets_of(raw, name)
    assert refused.value.code == code
    assert refused.value.where.startswith(name)


def parts(**texts: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return out.getvalue()


BOOK = {
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="s" r:id="i"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="i" Target="worksheets/s.xml"/></Relationships>',
}
CELLS = '<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>名称</t></is></c></row></sheetData></worksheet>'
BOMB = "<worksheet>" + " " * 130_000_000 + "</worksheet>"
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet><c r="A1"><v>&a;</v></c></worksheet>'


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({**BOOK, "xl/worksheets/s.xml": BOMB}, "unpacked"),
        ({**BOOK, "xl/worksheets/s.xml": LAUGHS}, "entities"),
        ({**BOOK, "xl/worksheets/s.xml": OUTSIDE}, "entities"),
        ({**BOOK, "xl/sharedStrings.xml": LAUGHS, "xl/worksheets/s.xml": CELLS}, "entities"),
        ({**BOOK, "xl/worksheets/s.xml": CELLS, "../../evil.txt": "x"}, "odd_zip"),
        ({**BOOK, "xl/worksheets/s.xml": CELLS, "/etc/evil": "x"}, "odd_zip"),
        ({**BOOK, "xl/worksheets/s.xml": CELLS.replace("A1", "XFD1048576")}, "too_much"),
        ({"list.csv": "名称,緯度"}, "no_workbook"),
        ({**BOOK, "xl/worksheets/s.xml": "<worksheet><row"}, "damaged"),
    ],
)
def test_a_workbook_made_to_harm_is_refused(content, code):
    with pytest.raises(TableError) as refused:
        sheets_of(parts(**content), "hostile.xlsx")
    assert refused.value.code == code


def test_two_cells_in_opposite_corners_ask_for_no_memory():
    cells = '<c r="A1" t="inlineStr"><is><t>名称</t></is></c><c r="B1" t="inlineStr"><is><t>緯度</t></is></c>'
    far = f'<worksheet><row r="1">{cells}</row><row r="1048576"><c r="A1048576"><v>5</v></c></row></worksheet>'
    (sheet,) = sheets_of(parts(**BOOK, **{"xl/worksheets/s.xml": far}), "far.xlsx")
    assert sheet.address(0, 0) == "s!A1048576"


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@example(b"PK\x05\x06" + b"\0" * 18)
@example(b'{"features": [1, null, {"geometry": {"type": "Point", "coordinates": [null]}}]}')
@example("名称,緯度\n計,\n,,,,\n".encode())
@example(b"\xff\xfea")
def test_no_bytes_at_all_break_the_reader(raw):
    try:
        sheets = sheets_of(raw, "any.bin")
    except TableError:
        return
    for sheet in sheets:
        kept, _ = without_persons(sheet)
        checked = examine(kept, match(kept), Place(code="17463"))
        assert sorted([one.row for one in checked.good] + list(checked.left)) == list(range(len(kept.rows)))


@given(
    st.lists(st.lists(st.sampled_from(["名称", "緯度", "37.3", "137.1", "", "=1+1", "公民館", "○", '"', "\t"]), min_size=1, max_size=5), min_size=1, max_size=8)
)
def test_rows_that_were_left_out_come_back_as_they_were(rows):
    try:
        sheet = only(table(["名称", "緯度", "経度", "備考", "メモ"], *rows))
    except TableError:
        return
    checked = examine(sheet, match(sheet), Place(code="17463"))
    if not checked.left:
        return
    again = only(left_csv(sheet, checked, lambda _: "理由").encode())
    assert [row.cells[:5] for row in again.rows] == [sheet.rows[index].cells[:5] for index in checked.left]
    assert key_of(again) == key_of(sheet)


# --- mistakes planted in real files


def test_planted_mistakes_in_a_list_of_shelters_are_named_by_cell_and_the_others_go_in(shelters):
    rows = [list(row) for row in shelters]
    rows[4][13], rows[4][14] = rows[4][14], rows[4][13]
    rows[6][2] = ""
    rows[8][13] = "三七．一"
    rows[10][14] = ""
    rows[12][17] = "たぶん"
    rows[14][13] = "57.04185"
    rows[16][0] = rows[3][0]
    rows[18].append("余り")
    rows[20][13] = "３７．０４"  # full-width digits are no mistake
    rows[22][13], rows[22][14] = "37度2分30秒", "136°58′25″"
    rows.append(["合計", *[""] * 20])
    rows.append(["※令和6年1月9日現在", *[""] * 20])
    for encoding in ("utf-8", "cp932"):
        sheet, checked, found = judged(table(*rows, encoding=encoding))
        assert found == {
            ("swapped", "5行目 N列「緯度」"),
            ("no_name", "7行目 C列「名称」"),
            ("degrees", "9行目 N列「緯度」"),
            ("no_place", "11行目 O列「経度」"),
            ("mark", "13行目 R列「災害種別_洪水」"),
            ("not_japan", "15行目 N列「緯度」"),
            ("twice_id", "17行目"),
            ("too_many_cells", "19行目 AF列「」"),
            ("sum", "35行目 C列「名称」"),
            ("remark", "36行目"),
        }
        assert (len(sheet.rows), len(checked.good), len(checked.left)) == (35, 25, 10)
        assert [(one.code, one.row) for one in checked.findings if one.note] == [("read_dms", 21), ("read_dms", 21)]
        assert next(one.values["lat"] for one in checked.good if one.row == 19) == 37.04


def test_planted_mistakes_in_geojson_are_named_by_feature_and_property(test_data):
    content = json.loads((test_data / "noto" / "shelters.geojson").read_text(encoding="utf-8"))
    ours = [one for one in content["features"] if one["properties"]["code5"] == "17463" and one["properties"]["kind"] == "evacuation"][:12]
    ours[1]["geometry"]["coordinates"].reverse()
    ours[3]["properties"]["施設・場所名"] = None
    ours[5]["geometry"] = {"type": "Polygon", "coordinates": []}
    ours[7]["properties"]["kind"] = "謎の種別"
    ours[9]["geometry"] = None
    strangers = [one for one in content["features"] if one["properties"]["code5"] != "17463"][:2]
    _, checked, found = judged(json.dumps({"features": [*ours, *strangers]}).encode(), "shelters.geojson", Place(code="17463"))
    assert found == {
        ("swapped", "2番目の地物「座標の緯度」"),
        ("no_name", "4番目の地物「施設・場所名」"),
        ("not_point", "6番目の地物"),
        ("unknown_kind", "8番目の地物「kind」"),
        ("not_point", "10番目の地物"),
        ("elsewhere", "13番目の地物「code5」"),
        ("elsewhere", "14番目の地物「code5」"),
    }
    assert len(checked.good) == 7


def test_a_wide_table_of_municipalities_gives_the_facts_of_the_town_with_the_year_of_each_column(test_data):
    raw = (test_data / "municipality" / "municipalities_master.csv").read_bytes()
    _, checked, found = judged(raw, "master.csv", Place(code="17463"))
    (one,) = checked.good
    assert one.values["facts"]["population"] == (17568.0, "persons", 2015)
    assert {code for code, _ in found} == {"elsewhere"}
    assert len(found) == 1740
    broken = raw.decode().replace(",17568,", ",約一万,").encode()
    _, checked, found = judged(broken, "master.csv", Place(code="17463"))
    assert checked.good == ()
    assert ("number", "787行目 K列「population_2015」") in found


def test_of_several_years_the_latest_column_and_the_latest_row_are_taken(test_data):
    mesh = only((test_data / "hokuto" / "hokuto_mesh_1km.csv").read_bytes())
    assert mesh.headers[match(mesh).column("population") or 0] == "pop_2020"
    fiscal = (test_data / "municipality" / "fiscal_indices_2005_2021.csv").read_bytes()
    _, checked, found = judged(fiscal, "fiscal.csv", Place(code="17463"))
    (one,) = checked.good
    assert one.values["facts"]["fiscal_index"] == (0.2, "ratio", 2021)
    assert "older" in {code for code, _ in found}


def test_old_plant_is_read_with_era_years_and_each_doubt_named():
    raw = table(
        ["名称", "設備種別", "整備年度", "所有者", "処分制限期限"],
        ["幹線", "公設光ファイバ", "平成２２年度", "能登町", "令和９年３月３１日"],
        ["支線", "公設光ファイバ", "いつか", "能登町", ""],
        ["塔", "謎", "2001", "", "R9.13.1"],
    )
    sheet = only(raw)
    checked = examine(sheet, match(sheet), Place(code="17463", technologies={"公設光ファイバ": "public-fibre"}))
    (one,) = checked.good
    assert (one.values["year_built"], one.values["restricted_until"], one.values["technology"]) == (2010, date(2027, 3, 31), "public-fibre")
    assert [(f.code, sheet.address(f.row, f.column, "en")) for f in checked.findings if not f.note] == [
        ("year", "row 3, column C「整備年度」"),
        ("no_technology", "row 4, column B「設備種別」"),
        ("day", "row 4, column E「処分制限期限」"),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("約300", None), ("300人", None), ("２，３４０", None), ("たくさん", "number"), ("-5", "negative"), ("3.5", "whole"), ("10〜20", "two_numbers")],
)
def test_counts_are_read_as_people_write_them(text, code):
    _, checked, found = judged(table(["名称", "種別", "緯度", "経度", "人口"], ["東集落", "集落", "37.04", "136.97", text]))
    assert {one for one, _ in found} == ({code} if code else set())
    assert len(checked.good) == (0 if code else 1)


# --- personal numbers, and matchings that are remembered


def test_personal_numbers_are_dropped_before_anything_is_kept(tmp_path):
    raw = table(
        ["名称", "緯度", "経度", "個人番号", "整理番号"],
        ["集落", "37.1", "136.9", "111111111111", "123456789018"],
        *[["集落", "37.1", "136.9", "", "123456789018"]] * 4,
    )
    draft = Imports(tmp_path).start("noto", raw, "list.csv", "係", NOW)
    assert draft.dropped == (("個人番号", "整理番号"),)
    assert not any(b"123456789018" in path.read_bytes() or b"111111111111" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    figures, gone = without_persons(only(table(["団体コード", "マイナンバーカードの保有率"], ["174637", "78.5"])))
    assert gone == ()
    assert len(figures.headers) == 2


def test_a_confirmed_matching_is_used_for_the_next_table_with_the_same_header_and_drafts_expire(tmp_path):
    imports = Imports(tmp_path)
    first = imports.start("noto", table(["建物", "北", "東"], ["a1", "37.1", "136.9"], ["b2", "37.2", "136.8"]), "r6.csv", "係", NOW)
    _, (sheet,) = imports.open(first.token)
    wanted = type(first.matching)(table="sites", fields=("name", "lat", "lon"), sure=(1.0, 1.0, 1.0), kind="hall")
    imports.remember(sheet, wanted)
    again = imports.start("noto", table(["建物", "北", "東"], ["c3", "37.3", "136.7"]), "r7.csv", "係", NOW)
    assert (again.matching.fields, again.matching.kind, again.matching.remembered) == (wanted.fields, "hall", True)
    imports.sweep(NOW + timedelta(hours=25))
    assert imports.all() == []
    with pytest.raises(KeyError):
        imports.open("../../etc/passwd000000")
