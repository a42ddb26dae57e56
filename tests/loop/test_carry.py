"""Regions and plans across an air gap: the same comes in that went out, also when a gateway rebuilt the files; what changed is named, what may not
pass is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import KibanError, ManyErrors
from kiban.catalogue import Catalogue
from kiban.documents.own_words import W, read_words
from kiban.loop import carry
from kiban.loop.carried import emit_json, from_csv, json_rows, mark, parse_json, rows_json, to_csv, trimmed
from kiban.loop.carry import carry_in, carry_out, changes, compared, opened, opened_zip, zipped
from kiban.loop.files import FILES, read_inputs
from kiban.region import read

ROOT = Path(__file__).parents[2]
OKUNOTO = ROOT / "examples" / "okunoto"
HAMLETS = ROOT / "tests" / "samples" / "regions" / "three-hamlets"
RECORDS = [name for name in FILES if name.endswith(".json") and name != "papers.json"]


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def problems(files: dict[str, bytes]) -> str:
    with pytest.raises(KibanError) as caught:
        compared(files)
    return str(caught.value)


@pytest.fixture(scope="module")
def region_files() -> dict[str, bytes]:
    return carry_out(OKUNOTO).files


@pytest.fixture(scope="module")
def plan_files(example_folder: Path) -> dict[str, bytes]:
    return carry_out(example_folder).files


# --- the same comes in


@pytest.mark.parametrize("folder", [OKUNOTO, HAMLETS], ids=lambda folder: folder.name)
def test_a_region_comes_in_byte_for_byte(folder: Path, tmp_path: Path, shipped_catalogue: Catalogue):
    carried = compared(opened(unpacked(carry_out(folder).files, tmp_path / "disk")))
    carry_in(carried, tmp_path / "in", shipped_catalogue, "ja")
    sent = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path / "in"): path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()} == sent
    assert read(tmp_path / "in") == read(folder)


def test_a_plan_comes_in_with_the_same_records_and_its_papers_made_again(
    plan_files: dict[str, bytes], example_folder: Path, tmp_path: Path, shipped_catalogue: Catalogue
):
    carried = compared(opened_zip(zipped(plan_files), "plan.zip"))
    assert carried.notes == ()
    carry_in(carried, tmp_path / "plan", shipped_catalogue, "ja")
    for name in RECORDS:
        assert (tmp_path / "plan" / name).read_bytes() == (example_folder / name).read_bytes(), name
    assert {path.name for path in tmp_path.rglob("*.*")} == {path.name for path in example_folder.rglob("*.*")}


def test_only_csv_xlsx_and_pdf_go_out_and_what_stays_is_told(plan_files: dict[str, bytes], example_folder: Path):
    assert {Path(name).suffix for name in plan_files} == {".csv", ".xlsx", ".pdf"}
    assert "庁内限り/起案文.docx" in carry_out(example_folder).left
    assert plan_files == carry_out(example_folder).files


def test_what_was_written_into_a_paper_travels_with_the_records(example_folder: Path, tmp_path: Path):
    copy = tmp_path / "plan"
    shutil.copytree(example_folder, copy)
    path = copy / "庁内限り" / "起案文.docx"
    first = next(iter(read_words(path.read_bytes()).values())).splitlines()[0]
    document = docx.Document(str(path))
    for text in document.element.body.iter(f"{W}t"):
        text.text = (text.text or "").replace(first, "町長の方針により")
    document.save(str(path))
    assert read_inputs(copy).words
    carried = compared(carry_out(copy).files)
    assert "町長の方針により" in carried.originals["inputs.json"].decode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_record_comes_back_from_its_rows(value):
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    rows = json_rows(parse_json(content, "x"))
    again = from_csv(to_csv(rows), "x.csv")
    assert again == trimmed(rows)
    assert emit_json(rows_json(again, "x.csv")) == content


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=20))
def test_no_cell_begins_like_a_formula_a_number_or_a_day(cell: str):
    marked = mark(cell)
    assert marked == "" or marked[0] == "'" or marked[0] == "/" or marked[0].isalpha()
    assert from_csv(to_csv([["x", cell, "y"]]), "x.csv") == [["x", cell, "y"]]


# --- a gateway rebuilds files


def rebuilt(office: Path, folder: Path, target: Path) -> Path:
    """Every csv and xlsx opened by LibreOffice and saved again."""
    target.mkdir()
    profile = f"-env:UserInstallation=file://{target.parent}/profile"
    for kind, to in (("csv", "csv:Text - txt - csv (StarCalc):44,34,76"), ("xlsx", "xlsx")):
        names = sorted(str(path) for path in folder.glob(f"*.{kind}"))
        reader = ["--infilter=CSV:44,34,76,1"] if kind == "csv" else []
        command = [str(office), profile, "--headless", *reader, "--convert-to", to, "--outdir", str(target), *names]
        if names:
            subprocess.run(command, check=True, capture_output=True, timeout=200)
    for path in folder.glob("*.pdf"):
        shutil.copy(path, target)
    return target


def test_a_region_rebuilt_by_libreoffice_still_comes_in_byte_for_byte(
    office: Path, region_files: dict[str, bytes], tmp_path: Path, shipped_catalogue: Catalogue
):
    disk = rebuilt(office, unpacked(region_files, tmp_path / "disk"), tmp_path / "rebuilt")
    assert all((disk / name).read_bytes() != content for name, content in region_files.items())
    carry_in(compared(opened(disk)), tmp_path / "in", shipped_catalogue, "ja")
    for path in OKUNOTO.iterdir():
        assert (tmp_path / "in" / path.name).read_bytes() == path.read_bytes()


def test_a_plan_rebuilt_by_libreoffice_still_has_the_same_records(office: Path, plan_files: dict[str, bytes], example_folder: Path, tmp_path: Path):
    disk = rebuilt(office, unpacked(plan_files, tmp_path / "disk"), tmp_path / "rebuilt")
    carried = compared(opened(disk))
    for name in RECORDS:
        assert carried.originals[name] == (example_folder / name).read_bytes(), name
    assert [str(note) for note in carried.notes] == []


def saved_again(content: bytes, encoding: str, delimiter: str) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([[*row, "", ""] for row in rows] + [["", ""]])
    try:
        return out.getvalue().encode(encoding)
    except UnicodeEncodeError:  # nobody can save this file so
        return out.getvalue().encode()


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ";"), ("utf-8-sig", "\t"), ("cp932", ",")])
def test_quotes_encoding_and_empty_cells_do_not_matter(region_files: dict[str, bytes], encoding: str, delimiter: str):
    again = {name: saved_again(content, encoding, delimiter) for name, content in region_files.items()}
    assert compared(again).originals == compared(region_files).originals


# --- what changed is named


def test_a_changed_cell_is_named_by_file_row_column_and_name(region_files: dict[str, bytes]):
    text = region_files["sites.csv"].decode("utf-8-sig")
    changed = text.replace("'37.308762", "'37.308763", 1)
    told = problems({**region_files, "sites.csv": changed.encode("utf-8-sig")})
    assert "sites.csv, row 2, lat (shelter-kodomo-mirai): found '37.308763'" in told
    assert len(told.splitlines()) == 1


def test_every_problem_is_told_at_once(region_files: dict[str, bytes]):
    files = dict(region_files)
    del files["places.csv"]
    files["facts.csv"] = files["facts.csv"].replace(b"\r\n", b"\r\nextra,row\r\n", 1)
    files["more.csv"] = b"a"
    told = problems(files)
    assert "places.csv: found no such file" in told
    assert "facts.csv, row 2" in told
    assert "more.csv: found a file that the manifest does not list" in told


@pytest.mark.parametrize("name", ["manifest.csv", "checks.csv", "region.yaml.csv"])
def test_no_part_can_be_changed_unseen(region_files: dict[str, bytes], name: str):
    content = region_files[name].decode("utf-8-sig")
    at = len(content) // 2
    while not content[at].isalnum() or content[at] == "x":
        at += 1
    assert name in problems({**region_files, name: (content[:at] + "x" + content[at + 1 :]).encode("utf-8-sig")})


def test_a_part_taken_out_of_the_manifest_is_seen(region_files: dict[str, bytes]):
    rows = from_csv(region_files["manifest.csv"], "m")
    files = {name: content for name, content in region_files.items() if name != "plants.csv"}
    assert "manifest.csv" in problems({**files, "manifest.csv": to_csv([row for row in rows if row[0] != "plants.csv"])})
    assert "manifest.csv: found no such file" in problems({name: content for name, content in region_files.items() if name != "manifest.csv"})


def test_a_changed_cell_of_a_workbook_is_a_note_for_it_is_only_read(plan_files: dict[str, bytes]):
    name = "庁内限り_予算表.xlsx"
    book = openpyxl.load_workbook(io.BytesIO(plan_files[name]))
    sheet = book.worksheets[0]
    sheet["A1"] = "別の題"
    out = io.BytesIO()
    book.save(out)
    notes = [str(note) for note in compared({**plan_files, name: out.getvalue()}).notes]
    assert any(f"{name} {sheet.title}, row 1, column 1: found '別の題'" in note for note in notes)


# --- the preview


def test_the_preview_says_what_changes_by_name_and_column(region_files: dict[str, bytes], tmp_path: Path):
    here = tmp_path / "okunoto"
    shutil.copytree(OKUNOTO, here)
    table = (here / "sites.csv").read_text("utf-8-sig")
    (here / "sites.csv").write_text(table.replace("こどもみらいセンター,37.308762", "こどもみらいセンター,37.308700"), encoding="utf-8-sig")
    (here / "region.yaml").write_text((here / "region.yaml").read_text("utf-8").replace("label: 公表値", "label: 町の公表値"), encoding="utf-8")
    (here / "streets.geojson").write_text("{}", encoding="utf-8")
    found = [(one.file, one.what, one.before, one.after) for one in changes(compared(region_files), here)]
    assert found == [
        ("region.yaml", "/label", "町の公表値による例示。当該団体の計画・意思決定とは無関係", "公表値による例示。当該団体の計画・意思決定とは無関係"),
        ("sites.csv", "こどもみらいセンター (shelter-kodomo-mirai) lat", "37.308700", "37.308762"),
        ("streets.geojson", "", "", None),
    ]
    assert changes(compared(region_files), OKUNOTO) == []
    assert all(one.before is None for one in changes(compared(region_files), tmp_path / "new"))


def test_what_stood_there_is_kept_and_a_later_carry_leaves_it_here(region_files: dict[str, bytes], tmp_path: Path, shipped_catalogue: Catalogue):
    here = tmp_path / "okunoto"
    shutil.copytree(OKUNOTO, here)
    (here / "README.md").write_text("町の覚え書き", encoding="utf-8")
    carry_in(compared(region_files), here, shipped_catalogue, "ja")
    assert (here / "README.md").read_bytes() == (OKUNOTO / "README.md").read_bytes()
    (kept,) = (here / "旧版").glob("*/README.md")
    assert kept.read_text("utf-8") == "町の覚え書き"
    assert carry_out(here).files == region_files
    assert [path.name for path in tmp_path.iterdir()] == ["okunoto"]


def test_a_region_does_not_go_over_a_plan_nor_a_plan_over_a_region(
    region_files: dict[str, bytes], plan_files: dict[str, bytes], tmp_path: Path, shipped_catalogue: Catalogue
):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text("{}")
    shutil.copytree(OKUNOTO, tmp_path / "region")
    with pytest.raises(KibanError, match="a plan folder"):
        carry_in(compared(region_files), tmp_path / "plan", shipped_catalogue, "ja")
    with pytest.raises(KibanError, match="a region folder"):
        carry_in(compared(plan_files), tmp_path / "region", shipped_catalogue, "ja")


# --- what may not pass


def zip_of(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["macro.xlsm", "run.exe", "paper.docx", "../sites.csv", "/etc/passwd.csv", "a/b/c.csv", "C:\\x.csv", "..\\x.csv", ".hidden.csv"]
)
def test_other_types_and_paths_are_refused_by_name(region_files: dict[str, bytes], name: str):
    with pytest.raises(ManyErrors) as caught:
        opened_zip(zip_of(**region_files, **{name: b"x"}), "r.zip")
    assert name.replace("\\", "/").split("/")[-1] in str(caught.value).replace("\\", "/")


def test_a_folder_with_folders_or_links_is_refused(region_files: dict[str, bytes], tmp_path: Path):
    disk = unpacked(region_files, tmp_path / "disk")
    (disk / "more").mkdir()
    (disk / "link.csv").symlink_to(disk / "sites.csv")
    with pytest.raises(ManyErrors) as caught:
        opened(disk)
    assert "more: found a folder" in str(caught.value)
    assert "link.csv: found a folder, a link" in str(caught.value)


def test_a_zip_with_the_folder_around_it_is_read(region_files: dict[str, bytes]):
    assert opened_zip(zip_of(**{f"okunoto/{name}": content for name, content in region_files.items()}), "r.zip") == region_files


def test_a_zip_that_unpacks_to_far_more_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carry, "MOST_BYTES", 3_000_000)
    monkeypatch.setattr(carry, "MOST_OF_ONE", 1_000_000)
    for bomb in (zip_of(**{"a.csv": b"0" * 4_000_000}), zip_of(**{"a.csv": b"0" * 2_000_000}), zip_of(**{f"{n}.csv": b"" for n in range(600)})):
        assert len(bomb) < 100_000
        with pytest.raises(KibanError, match="too much"):
            opened_zip(bomb, "bomb.zip")


def forged(files: dict[str, bytes], change: Callable[[list[list[str]]], None]) -> dict[str, bytes]:
    """A manifest by somebody who knows how its sums are made."""
    from kiban.loop.carried import digest

    rows = from_csv(files["manifest.csv"], "m")
    rows = [row + [""] * (6 - len(row)) for row in rows]
    change(rows)
    rows[1][5] = digest(trimmed(rows[2:]))
    return {**files, "manifest.csv": to_csv(rows)}


@pytest.mark.parametrize(
    "path",
    ["../okunoto/sites.csv", "/tmp/sites.csv", "a/b/sites.csv", ".ssh/sites.csv", "旧版/sites.csv", "sites.exe", "sites.yaml", "sites\0.csv", "./sites.csv"],
)
def test_a_manifest_cannot_write_outside_the_folder(region_files: dict[str, bytes], path: str):
    def change(rows: list[list[str]]) -> None:
        next(row for row in rows if row[0] == "sites.csv")[2] = path

    assert "the path of a file of a region or plan" in problems(forged(region_files, change))


def test_what_is_no_zip_is_refused(tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(KibanError, match="a zip that cannot be read"):
        opened(tmp_path / "x.zip")


@pytest.mark.parametrize(
    "rows",
    [
        [["/a/#1", "number", "1"]],
        [["/a", "number", "1"], ["/a", "number", "1"]],
        [["/a", "number", "NaN1"]],
        [["/a", "what", "1"]],
        [["/" + "/".join("a" * 200), "null"]],
        [["/a/#0", "null"], ["/a/b", "null"]],
        [["a", "null"]],
        [],
        [["/a/#999999999999", "null"]],
        [["/a/#x", "null"]],
        [["/a", "more", "x"]],
    ],
)
def test_rows_that_make_no_record_are_refused_by_row(rows: list[list[str]]):
    with pytest.raises(KibanError):
        rows_json([["path", "type", "value"], *rows], "plan.json.csv")
