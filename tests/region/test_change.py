"""What a table changes in a region folder: previewed, written all or nothing, taken back byte for byte; what people wrote stays."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from kiban.base.errors import ConflictError, RegionError
from kiban.records.source import Source
from kiban.region import read
from kiban.region.change import apply, change_of, left_csv
from kiban.region.examine import Place, examine
from kiban.region.imports import place_of
from kiban.region.match import match
from kiban.region.sheet import sheets_of
from kiban.region.versions import mend, undo, versions

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
SOURCE = Source(title="避難所一覧", publisher="海山町", licence="CC BY 4.0", seen_on=date(2026, 11, 27))
HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources: {survey: {title: 海山町の調べ, seen_on: 2026-11-23}}
missing:
  - {what: 既存設備 / existing plant, why: 更改を比べられない, ask: 町の情報担当課}
"""
SITES = """id,kind,name,lat,lon,population,critical,covered,note,source,original_id
hall-east,shelter,東公民館,37.300,137.120,300,yes,leo-satellite=yes,夜間は無人,survey,E1
hall-west,shelter,西公民館,37.310,137.130,,,,,survey,E2
school,school,海山小学校,37.320,137.140,,,,,survey,S1
"""
NEW = """共通ID,施設名,種別,緯度,経度,人口,住所
E1,東公民館,避難所,37.300,137.121,約310,東1番地
E3,北公民館,避難所,37.330,137.150,50,=HYPERLINK("x")
E4,南公民館,避難所,137.150,37.330,50,南
E2,西公民館,避難所,37.310,たぶん,,
"""


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    folder = tmp_path / "regions" / "umiyama"
    folder.mkdir(parents=True)
    (folder / "region.yaml").write_text(HEAD, encoding="utf-8")
    (folder / "sites.csv").write_text(SITES, encoding="utf-8")
    return tmp_path / "regions"


def looked(regions: Path, text: str = NEW, technologies: dict[str, str] | None = None, name: str = "避難所.csv"):
    (sheet,) = sheets_of(text.encode(), name)
    matching = match(sheet)
    checked = examine(sheet, matching, place_of(regions / "umiyama", technologies or {}))
    return sheet, checked, change_of(regions / "umiyama", sheet, matching, checked)


def written(regions: Path, text: str = NEW, remove: tuple[str, ...] = (), **more):
    sheet, checked, change = looked(regions, text, **more)
    return apply(regions, "umiyama", change, sheet, checked, source=SOURCE, remove=remove, who="係", reason="年度更新", now=NOW)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_preview_says_new_changed_field_by_field_and_what_the_table_lacks(regions):
    _, checked, change = looked(regions)
    assert [item.name for item in change.new] == ["北公民館"]
    (changed,) = change.changed
    assert changed.id == "hall-east"
    assert {column: (before, after) for column, before, after in changed.fields} == {
        "lon": ("137.120", "137.121"),
        "population": ("300", "310"),
        "note": ("夜間は無人", "夜間は無人 〔住所 東1番地〕"),
    }
    assert change.gone == ()  # 西公民館 is in the table, with a mistake, and a school is of another kind
    assert checked.left == (2, 3)


def test_a_written_change_keeps_what_the_table_does_not_speak_of(regions):
    done = written(regions)
    assert (done.number, done.new, done.changed, done.removed, done.left) == (1, 1, 1, 0, 2)
    region = read(regions / "umiyama")
    sites = {site.id: site for site in region.sites}
    east = sites["hall-east"]
    assert (east.lon, east.population, east.critical, east.covered) == (137.121, 310, True, {"leo-satellite": True})
    assert region.sources[east.evidence.source or ""] == SOURCE
    assert sites["hall-west"].evidence.source == "survey"
    assert sites["shelter-e3"].note == '〔住所 =HYPERLINK("x")〕'
    (left,) = [one for one in region.missing if "取り込めなかった行" in one.what]
    assert left.count == 2
    assert left.examples[0].startswith("避難所.csv 4行目 D列「緯度」")


def test_the_same_table_again_changes_nothing_and_its_second_note_replaces_the_first(regions):
    written(regions)
    _, _, change = looked(regions)
    assert (change.new, change.changed, change.same) == ((), (), 2)
    written(regions, NEW.replace("東1番地", "東2番地"))
    region = read(regions / "umiyama")
    assert next(site.note for site in region.sites) == "夜間は無人 〔住所 東2番地〕"
    assert sum("取り込めなかった行" in one.what for one in region.missing) == 1


def test_rows_that_were_left_out_go_in_once_they_are_corrected(regions):
    written(regions)
    sheet, checked, _ = looked(regions)
    table = left_csv(sheet, checked, lambda _: "緯度と経度が逆").removeprefix("\ufeff")
    mended = table.replace("137.150,37.330", "37.330,137.150").replace("たぶん", "137.130")
    written(regions, mended, name="避難所-left.csv")
    region = read(regions / "umiyama")
    assert "南公民館" in {site.name for site in region.sites}
    assert not any("取り込めなかった行" in one.what for one in region.missing)


def test_taking_back_brings_every_byte_back_and_can_be_taken_back(regions):
    before = bytes_of(regions / "umiyama")
    written(regions)
    after = bytes_of(regions / "umiyama")
    undo(regions, "umiyama", 1, who="係", reason="", now=NOW)
    assert bytes_of(regions / "umiyama") == before
    undo(regions, "umiyama", 2, who="係", reason="", now=NOW)
    assert bytes_of(regions / "umiyama") == after
    assert [(one.number, one.what) for one in versions(regions, "umiyama")] == [(3, "undo"), (2, "undo"), (1, "import")]
    with pytest.raises(KeyError):
        undo(regions, "umiyama", 9, who="係", reason="", now=NOW)


def test_only_ticked_rows_of_the_preview_are_removed(regions):
    text = "\n".join(line for line in NEW.splitlines() if "西" not in line) + "\n"
    _, _, change = looked(regions, text)
    assert [item.id for item in change.gone] == ["hall-west"]
    done = written(regions, text, remove=("hall-west", "school"))
    assert done.removed == 1
    assert {site.id for site in read(regions / "umiyama").sites} == {"hall-east", "shelter-e3", "school"}


def test_a_change_made_meanwhile_is_seen_and_nothing_is_written(regions):
    sheet, checked, change = looked(regions)
    path = regions / "umiyama" / "sites.csv"
    path.write_text(SITES.replace("300,yes", "333,yes"), encoding="utf-8")
    before = bytes_of(regions / "umiyama")
    with pytest.raises(ConflictError):
        apply(regions, "umiyama", change, sheet, checked, source=SOURCE, remove=(), who="係", reason="", now=NOW)
    assert bytes_of(regions / "umiyama") == before


def test_a_change_after_which_the_folder_would_not_be_whole_is_not_written(regions):
    (regions / "umiyama" / "region.yaml").write_text(HEAD + "no_links: [[hall-west, school]]\n", encoding="utf-8")
    before = bytes_of(regions / "umiyama")
    text = "\n".join(line for line in NEW.splitlines() if "西" not in line) + "\n"
    with pytest.raises(RegionError, match="no_links"):
        written(regions, text, remove=("hall-west",))
    assert bytes_of(regions / "umiyama") == before
    assert versions(regions, "umiyama") == []


def test_an_exchange_that_was_cut_off_between_its_steps_is_mended(regions):
    written(regions)
    whole = bytes_of(regions / "umiyama")
    kept = regions / ".kiban" / "umiyama" / "2"
    kept.mkdir()
    (regions / "umiyama").rename(kept / "folder")
    mend(regions)
    assert bytes_of(regions / "umiyama") == whole


def test_plant_answers_what_was_missing_and_an_older_fact_changes_nothing(regions):
    written(regions, "名称,設備種別,整備年度\n幹線,公設光ファイバ,平成22年度\n", technologies={"公設光ファイバ": "public-fibre"}, name="光.csv")
    region = read(regions / "umiyama")
    assert [(plant.id, plant.technology, plant.year_built) for plant in region.plants] == [("plant", "public-fibre", 2010)]
    assert not any(one.what.startswith("既存設備") for one in region.missing)
    written(regions, "団体コード,人口総数_2020\n174637,15687\n", name="国調.csv")
    _, _, change = looked(regions, "団体コード,人口総数_2015\n174637,17568\n", name="古い国調.csv")
    assert [(item.id, item.fields[0]) for item in change.older] == [("population", ("value", "15687", "17568"))]
    assert (change.new, change.changed) == ((), ())


def test_the_example_takes_the_published_shelters_and_stays_a_region(tmp_path, test_data):
    shutil.copytree(Path(__file__).parents[2] / "examples" / "okunoto", tmp_path / "regions" / "umiyama")
    raw = (test_data / "noto" / "shelters.geojson").read_bytes()
    (sheet,) = sheets_of(raw, "shelters.geojson")
    matching = match(sheet)
    checked = examine(sheet, matching, Place(code="17463"))
    change = change_of(tmp_path / "regions" / "umiyama", sheet, matching, checked)
    assert (len(sheet.rows), len(checked.good), len(change.new), len(change.changed)) == (891, 36, 16, 20)
    apply(tmp_path / "regions", "umiyama", change, sheet, checked, source=SOURCE, remove=(), who="係", reason="", now=NOW)
    region = read(tmp_path / "regions" / "umiyama")
    assert sum(site.kind == "shelter" for site in region.sites) == 36
    assert yaml.safe_load((tmp_path / "regions" / "umiyama" / "region.yaml").read_text(encoding="utf-8"))["sources"]["shelters"]["publisher"] == "海山町"
