"""Workbooks of the office: sums that live, inputs that come back, forms that tell nothing to suppliers, a map without anybody's house."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import msgspec
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.documents.money import HORIZON, ROWS, START, TODAY, Row, funded

from kiban.base.errors import KibanError, ManyErrors
from kiban.catalogue import Catalogue, words
from kiban.documents import quote_form as form
from kiban.documents.budget_xlsx import budget_xlsx
from kiban.documents.dossier import Dossier, PublicDossier
from kiban.documents.estimate_xlsx import GIVEN, LINES, PRICES, SOURCE, YEARS, estimate_xlsx
from kiban.documents.papers import INSIDE, OUTSIDE, papers, public, workbooks
from kiban.documents.public_geojson import LIVED_IN, PUBLIC, public_geojson
from kiban.documents.quote_form import quote_form
from kiban.documents.requirements_xlsx import SHEET, requirements, requirements_xlsx
from kiban.documents.view import View
from kiban.loop.files import read_folder
from kiban.loop.inputs import add_quote, merge_estimate, read_answers, read_estimate, read_inputs, write_inputs
from kiban.loop.sheets import MAX_BYTES, number_of
from kiban.records.funding import Contract, Debt, Funding, Inputs, Way
from kiban.records.region import Evidence, Site
from kiban.records.source import Text
from kiban.region.mesh import code_at, corner

WORD = Text(ja="手で作った例", en="made by hand")


class Desk:
    """The example plan with money made by hand."""

    def __init__(self, dossier: Dossier, catalogue: Catalogue) -> None:
        self.dossier, self.catalogue = dossier, catalogue

    def __repr__(self) -> str:
        return "the example"

    def with_funding(self, funding: Funding) -> Dossier:
        one = self.dossier
        return Dossier(one.view, one.region, one.problem, one.design, funding, one.inputs, one.today)

    @property
    def outside(self) -> PublicDossier:
        return public(self.dossier)


@pytest.fixture(scope="module")
def desk(example_folder: Path, shipped_catalogue: Catalogue) -> Desk:
    one = read_folder(example_folder)
    view = View(one.plan, shipped_catalogue, words(shipped_catalogue, "ja"), "ja", one.region.name, one.region.sources)
    return Desk(Dossier(view, one.region, one.problem, one.design, funded(), Inputs(), TODAY), shipped_catalogue)


def rich(funding: Funding) -> Funding:
    """The same with a bond, two ways and a contract."""
    debt = Debt(support="example", year=START, amount=9_000_000, first=START + 1, principal=(0, 4_500_000, 4_500_000), interest=(90_000, 90_000, 45_000),
                memo=(63_000, 3_213_000, 3_181_500))  # fmt: skip
    ways = (
        Way(id="purchase", years=funding.refused.total, bondable="yes", restricted="yes", renewal=WORD, removal=WORD),
        Way(id="lease", years=None, bondable="no", restricted="no", renewal=WORD, removal=WORD, needs=("lease_rate_month",)),
    )
    contract = Contract(id="works", lines=("pon-ftth.cable",), section="works", amount=43_000_000, method="tender", method_text=WORD, assembly="ask",
                        assembly_text=WORD, term="single", term_text=WORD, warnings=(WORD,))  # fmt: skip
    return replace(funding, adopted=replace(funding.adopted, debt=(debt,)), ways=ways, contracts=(contract,))


def opened(content: bytes, *, values: bool = False) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(content), data_only=values)


def cells(book: openpyxl.Workbook) -> Iterable[tuple[str, object]]:
    for page in book:
        for row in page.iter_rows():
            for cell in row:
                if cell.value is not None:
                    yield page.title, cell


# Totals


def test_on_the_sheet_of_years_every_number_is_a_formula(desk: Desk) -> None:
    typed = [cell.coordinate for title, cell in cells(opened(estimate_xlsx(desk.dossier))) if title == YEARS and isinstance(cell.value, int | float)]
    assert typed == []


def test_on_the_sheet_of_sources_only_money_from_outside_is_typed(desk: Desk) -> None:
    page = opened(estimate_xlsx(desk.dossier))[SOURCE]
    typed = {row[0].value for row in page.iter_rows() for cell in row[1:] if isinstance(cell.value, int | float)}
    assert typed == {"国庫支出金", "県支出金", "地方債", "その他特定財源"}


@pytest.mark.parametrize("funding", [funded(), rich(funded())], ids=["plain", "rich"])
def test_every_sum_of_the_budget_tables_is_a_formula_and_holds_its_value(desk: Desk, funding: Funding) -> None:
    content = budget_xlsx(desk.with_funding(funding))
    live, stored = opened(content), opened(content, values=True)
    for budget, title in ((funding.adopted, "採択された場合"), (funding.refused, "不採択の場合")):
        rows = {str(row[0].value): row for row in live[title].iter_rows()}
        (total,) = [row for label, row in rows.items() if label.startswith("事業費 計")]
        (paid,) = [row for label, row in rows.items() if label.startswith("財源 計")]
        assert all(str(cell.value).startswith("=SUM(") for cell in (*total[1 : 2 + HORIZON], *paid[1 : 2 + HORIZON]))
        for row in (total, paid):
            assert [stored[title][cell.coordinate].value for cell in row[1 : 1 + HORIZON]] == list(budget.thousand_total)
    (year,) = [row for row in live["初年度月別"].iter_rows() if str(row[0].value).startswith("事業費")]
    assert sum(cell.value for cell in year[1:13]) == funding.adopted.total[0]
    assert str(year[13].value).startswith("=SUM(")


def test_debt_stands_apart_and_the_tax_grant_is_a_memo_below_the_cash(desk: Desk) -> None:
    page = opened(budget_xlsx(desk.with_funding(rich(funded()))), values=True)["公債費"]
    labels = [str(row[0].value) for row in page.iter_rows() if row[0].value]
    places = [next(place for place, label in enumerate(labels) if label.startswith(start)) for start in ("公債費 計", "参考:元利償還金のうち", "実質負担")]
    assert places == sorted(places)
    rows = {str(row[0].value)[:4]: [cell.value for cell in row[1:5]] for row in page.iter_rows() if row[0].value}
    assert rows["公債費 "] == [0, 90, 4_590, 4_545]
    assert rows["実質負担"] == [0, 27, 1_377, 1_363]


def test_every_table_with_a_total_carries_the_mark_of_an_estimate(desk: Desk) -> None:
    for content in (estimate_xlsx(desk.dossier), budget_xlsx(desk.dossier)):
        for page in opened(content, values=True):
            texts = [str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None]
            if any("事業費 計" in text or "合計(税込)" in text or "事業費(税込)" in text for text in texts):
                assert any("概算(見積未取得)" in text for text in texts), page.title
                assert any(re.search("見積待ち[12]件を除く", text) for text in texts), page.title


def test_a_line_without_a_price_awaits_it_and_stands_in_no_total(desk: Desk) -> None:
    page = opened(estimate_xlsx(desk.dossier), values=True)
    (row,) = [row for row in page[LINES].iter_rows() if row[0].value == "leo-satellite.battery"]
    assert (row[6].value, row[7].value, row[8].value) == (None, "見積待ち", "見積待ち")
    (years,) = [row for row in page[YEARS].iter_rows() if row[0].value == "leo-satellite.battery"]
    assert [cell.value for cell in years[4 : 4 + HORIZON]] == ["—"] * HORIZON


def test_prices_that_change_by_year_have_a_sheet_of_their_own(desk: Desk) -> None:
    page = opened(estimate_xlsx(desk.dossier))[PRICES]
    (row,) = [row for row in page.iter_rows() if row[0].value == "pon-ftth.rent"]
    assert [cell.value for cell in row[2:5]] == [61_005, 60_005, 59_005]
    flat = desk.with_funding(funded(rows=[row for row in ROWS if row[0] != "pon-ftth.rent"]))
    assert PRICES not in opened(estimate_xlsx(flat)).sheetnames


def test_a_plan_without_any_line_has_workbooks_all_the_same(desk: Desk) -> None:
    empty = desk.with_funding(funded(rows=[]))
    for content in (estimate_xlsx(empty), budget_xlsx(empty), quote_form(public(empty), desk.catalogue)):
        assert opened(content).sheetnames


def test_the_same_plan_gives_the_same_bytes(desk: Desk) -> None:
    assert workbooks(desk.dossier, desk.outside) == workbooks(desk.dossier, desk.outside)


def test_a_name_that_begins_like_a_formula_is_text(desk: Desk) -> None:
    line = replace(desk.dossier.funding.lines[0], name=Text(ja='=HYPERLINK("http://a","b")', en="x"), source="=1+1")
    book = opened(estimate_xlsx(desk.with_funding(replace(desk.dossier.funding, lines=(line, *desk.dossier.funding.lines[1:])))))
    (cell,) = [cell for _, cell in cells(book) if cell.value == "=1+1"]
    assert cell.data_type == "s"


def test_all_sheets_are_a4_with_a_title_and_fit_the_width(desk: Desk) -> None:
    for name, content in workbooks(desk.dossier, desk.outside).items():
        if not name.endswith(".xlsx"):
            continue
        book = opened(content)
        assert book.properties.title
        for page in book:
            assert page.page_setup.paperSize == "9" or page.page_setup.paperSize == 9
            assert page.sheet_properties.pageSetUpPr.fitToPage
            assert page.print_area
            top = [str(page.cell(row, 1).value) for row in range(1, 6)]
            assert any("作成日" in text for text in top), (name, page.title)
            assert any("データ基準日" in text for text in top)
            assert any("公表値による例示" in text for text in top)


def test_papers_stand_in_the_folder_that_they_are_for(desk: Desk) -> None:
    assert sorted(workbooks(desk.dossier, desk.outside)) == sorted(
        [f"{INSIDE}/積算内訳書.xlsx", f"{INSIDE}/予算表.xlsx", f"{OUTSIDE}/見積様式.xlsx", f"{OUTSIDE}/要件一覧.xlsx", f"{OUTSIDE}/公表版.geojson"]
    )


# An estimate read back


def edited(desk: Desk, path: Path, change: Callable[[openpyxl.Workbook], None]) -> Path:
    """An estimate after somebody worked in it."""
    book = opened(estimate_xlsx(desk.dossier))
    change(book)
    book.save(path / "estimate.xlsx")
    return path / "estimate.xlsx"


def row_of(book: openpyxl.Workbook, id: str) -> tuple[object, ...]:
    return next(row for row in book[LINES].iter_rows() if row[0].value == id)


def test_an_untouched_estimate_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "estimate.xlsx"
    path.write_bytes(estimate_xlsx(desk.dossier))
    inputs, notes = merge_estimate(Inputs(), desk.dossier.funding, read_estimate(path))
    assert (inputs, notes) == (Inputs(), ())


def test_changed_cells_become_the_towns_own_values_and_no_others(desk: Desk, tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        row_of(book, "pon-ftth.cable")[4].value = "１５．５"
        row_of(book, "leo-satellite.fee")[6].value = " ９９，９９９ 円"
        row_of(book, "leo-satellite.battery")[6].value = "¥180,000"
        page = book[GIVEN]
        for row in page.iter_rows():
            if row[0].value == "税率":
                row[1].value = "８％"
            if row[0].value == "初年度運用月数":
                row[1].value = 3

    inputs, notes = merge_estimate(Inputs(), desk.dossier.funding, read_estimate(edited(desk, tmp_path, change)))
    assert inputs.quantities == {"pon-ftth.cable": 15.5}
    assert inputs.prices == {"leo-satellite.fee": 99_999.0, "leo-satellite.battery": 180_000.0}
    assert (inputs.tax_rate, inputs.facts) == (0.08, {"service_start_month": 13.0})
    assert notes == ()


def test_rows_and_columns_may_have_moved(desk: Desk, tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        page = book[LINES]
        row_of(book, "pon-ftth.onu")[4].value = 40
        page.insert_rows(1, 3)
        page.insert_cols(1, 1)
        rows = [[cell.value for cell in row] for row in page.iter_rows() if row[1].value in {one[0] for one in ROWS}]
        first = next(row[0].row for row in page.iter_rows() if row[1].value == ROWS[0][0])
        for place, values in enumerate(reversed(rows)):
            for column, value in enumerate(values, start=1):
                page.cell(first + place, column).value = value

    inputs, notes = merge_estimate(Inputs(), desk.dossier.funding, read_estimate(edited(desk, tmp_path, change)))
    assert (inputs.quantities, inputs.prices, notes) == ({"pon-ftth.onu": 40.0}, {}, ())


def test_a_deleted_row_and_an_emptied_cell_are_said_and_leave_the_plan_as_it_is(desk: Desk, tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        row_of(book, "pon-ftth.onu")[6].value = None
        book[LINES].delete_rows(row_of(book, "pon-ftth.rent")[0].row)
        for row in book[GIVEN].iter_rows():
            if row[0].value == "初年度":
                row[1].value = 2030

    inputs, notes = merge_estimate(Inputs(), desk.dossier.funding, read_estimate(edited(desk, tmp_path, change)))
    assert inputs == Inputs()
    assert [note.partition(":")[0].partition(" ")[0] for note in notes] == ["pon-ftth.onu", "pon-ftth.rent", "初年度"]


def test_an_emptied_cell_takes_the_towns_own_price_back(desk: Desk, tmp_path: Path) -> None:
    before = Inputs(prices={"pon-ftth.onu": 30_000.0}, words={"k": "町の文"})
    own = Desk(desk.with_funding(funded(before)), desk.catalogue)

    def change(book: openpyxl.Workbook) -> None:
        row_of(book, "pon-ftth.onu")[6].value = None

    inputs, notes = merge_estimate(before, own.dossier.funding, read_estimate(edited(own, tmp_path, change)))
    assert inputs.prices == {}
    assert inputs.words == {"k": "町の文"}
    assert len(notes) == 1


def test_cells_that_cannot_be_understood_are_all_named_at_once(desk: Desk, tmp_path: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        for id, column, value in (("pon-ftth.cable", 4, "約12"), ("pon-ftth.onu", 6, "110万円"), ("pon-ftth.rent", 6, "50,000円(税込)"),
                                  ("leo-satellite.fee", 6, -1), ("leo-satellite.battery", 4, True), ("pon-ftth.tower", 4, date(2027, 4, 1))):  # fmt: skip
            row_of(book, id)[column].value = value

    with pytest.raises(ManyErrors) as found:
        read_estimate(edited(desk, tmp_path, change))
    text = str(found.value)
    assert len(found.value.problems) == 6
    for row in ROWS:
        if row[0] != "leo-satellite.survey":
            line = next(cells[0].row for cells in opened(estimate_xlsx(desk.dossier))[LINES].iter_rows() if cells[0].value == row[0])
            assert re.search(rf"内訳![EG]{line}\b", text), row[0]
    assert "yen in full" in text
    assert "without tax" in text


def test_a_cell_whose_formula_ended_in_an_error_is_refused(desk: Desk, tmp_path: Path) -> None:
    """LibreOffice and Excel store the error as the value of the cell; a reader of values sees it as empty."""
    path = tmp_path / "estimate.xlsx"
    content = estimate_xlsx(desk.dossier)
    names = {name: zipfile.ZipFile(io.BytesIO(content)).read(name) for name in zipfile.ZipFile(io.BytesIO(content)).namelist()}
    sheet = f"xl/worksheets/sheet{opened(content).sheetnames.index(LINES) + 1}.xml"
    line = row_of(opened(content), "pon-ftth.cable")[0].row
    old = re.search(rf'<c r="E{line}"[^>]*>.*?</c>'.encode(), names[sheet])
    assert old is not None
    names[sheet] = names[sheet].replace(old[0], f'<c r="E{line}" t="e"><f>1/0</f><v>#DIV/0!</v></c>'.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    with pytest.raises(ManyErrors, match=rf"内訳!E{line}: found a formula that ended in an error"):
        read_estimate(path)


def test_a_line_of_another_plan_and_a_line_twice_are_refused(desk: Desk, tmp_path: Path) -> None:
    def strange(book: openpyxl.Workbook) -> None:
        row_of(book, "pon-ftth.cable")[0].value = "moon.base"

    with pytest.raises(KibanError, match=r"moon\.base"):
        merge_estimate(Inputs(), desk.dossier.funding, read_estimate(edited(desk, tmp_path, strange)))

    def twice(book: openpyxl.Workbook) -> None:
        row_of(book, "pon-ftth.cable")[0].value = "pon-ftth.onu"

    with pytest.raises(ManyErrors, match=r"pon-ftth\.onu twice"):
        read_estimate(edited(desk, tmp_path, twice))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 broken", "名称,数量\n".encode("cp932"), b"\xd0\xcf\x11\xe0" + b"\0" * 600], ids=["empty", "zip", "csv", "old"]
)
def test_a_file_that_is_no_workbook_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "estimate.xlsx"
    path.write_bytes(content)
    with pytest.raises(KibanError, match="save it as"):
        read_estimate(path)


def test_a_file_that_is_too_large_packed_or_unpacked_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.xlsx"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(KibanError, match="at most"):
        read_estimate(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w", force_zip64=True) as member:
        for _ in range(210):
            member.write(b" " * 1_000_000)
    with pytest.raises(KibanError, match="bytes unpacked"):
        read_estimate(path)


def test_a_workbook_of_something_else_names_the_sheet_that_is_missing(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(KibanError, match="a sheet 内訳"):
        read_estimate(tmp_path / "other.xlsx")


@given(st.one_of(st.text(max_size=20), st.floats(), st.booleans(), st.dates(), st.none()), st.booleans())
def test_any_cell_is_a_number_from_0_on_or_nothing_or_refused(value: object, share: bool) -> None:
    try:
        found = number_of("" if value is None else value, share=share)
    except ValueError:
        return
    assert found is None or (math.isfinite(found) and found >= 0)


# inputs.json


def test_inputs_come_back_as_they_were_written(tmp_path: Path) -> None:
    inputs = Inputs(prices={"a.b": 1.5}, words={"k": "文"}, facts={"island": True, "fiscal_index": 0.2})
    write_inputs(tmp_path, Inputs())
    write_inputs(tmp_path, inputs)
    assert read_inputs(tmp_path) == inputs
    assert [path.name for path in tmp_path.iterdir()] == ["inputs.json"]


def test_a_folder_without_inputs_has_empty_ones(tmp_path: Path) -> None:
    assert read_inputs(tmp_path) == Inputs()


@pytest.mark.parametrize("content", [b"", b"{", b'{"prices": {"a.b": -1}}', b'{"tax_rate": 5}', b'{"price": {}}', b"\xff"])
def test_damaged_inputs_are_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "inputs.json").write_bytes(content)
    with pytest.raises(KibanError, match="put back a good copy"):
        read_inputs(tmp_path)
    assert (tmp_path / "inputs.json").read_bytes() == content


# The form of quotations


def test_the_form_has_the_lines_of_the_estimate_with_units_and_quantities_and_no_price(desk: Desk) -> None:
    page = opened(quote_form(desk.outside, desk.catalogue))[form.SHEET]
    rows = {row[0].value: row for row in page.iter_rows() if row[0].value in {line.id for line in desk.dossier.funding.lines}}
    assert list(rows) == [line.id for line in desk.dossier.funding.lines]
    for line in desk.dossier.funding.lines:
        row = rows[line.id]
        assert row[3].value == (line.quantity if line.quantity is not None else "未定")
        assert [cell.value for cell in (row[5], *row[8:12])] == [None] * 5
    assert {rows[id][2].value for id in rows} == {"初期", "通信", "使用料"}


def test_only_the_answers_can_be_written_and_no_password_is_asked(desk: Desk) -> None:
    for content, sheet in ((quote_form(desk.outside, desk.catalogue), form.SHEET), (requirements_xlsx(desk.outside, desk.catalogue), SHEET)):
        page = opened(content)[sheet]
        assert page.protection.sheet
        assert page.protection.password in (None, "0000", "")
        free = [cell for row in page.iter_rows() for cell in row if not cell.protection.locked]
        assert free
        assert all(cell.value is None for cell in free), "what may be written is empty"
        assert page.data_validations.dataValidation


def answered(content: bytes, path: Path, supplier: str | None = "甲通信", **prices: object) -> Path:
    """A form that a supplier filled in: prices by line id with _ for the dots and hyphens."""
    book = opened(content)
    page = book[form.SHEET]
    for row in page.iter_rows():
        if row[0].value == form.SUPPLIER:
            row[1].value = supplier
        if row[0].value == form.VALID:
            row[1].value = "令和９年３月31日"
        key = re.sub(r"[-.]", "_", str(row[0].value))
        if key in prices:
            row[5].value = prices[key]
            row[8].value, row[10].value, row[11].value = "１，２００", 3000, "工期2か月"
    book.save(path)
    return path


def test_an_answer_comes_back_with_all_that_the_supplier_wrote(desk: Desk, tmp_path: Path) -> None:
    path = answered(quote_form(desk.outside, desk.catalogue), tmp_path / "a.xlsx", pon_ftth_cable="３，１００，０００円", leo_satellite_battery=150_000)
    quote, plan = read_answers(path, TODAY)
    assert (quote.supplier, quote.received, quote.valid_until, quote.file) == ("甲通信", TODAY, date(2027, 3, 31), "a.xlsx")
    assert plan == desk.dossier.view.plan.id
    found = {answer.line: answer for answer in quote.answers}
    assert set(found) == {line.id for line in desk.dossier.funding.lines}
    cable = found["pon-ftth.cable"]
    assert (cable.unit_yen, cable.lease_yen_month, cable.renewal_yen, cable.removal_yen, cable.note) == (3_100_000.0, 1_200.0, None, 3_000.0, "工期2か月")
    assert found["pon-ftth.onu"].unit_yen is None


def test_an_answer_without_a_name_or_with_an_amount_in_words_is_refused_by_cell(desk: Desk, tmp_path: Path) -> None:
    path = answered(quote_form(desk.outside, desk.catalogue), tmp_path / "a.xlsx", supplier=None, pon_ftth_cable="別途協議")
    with pytest.raises(ManyErrors) as found:
        read_answers(path, TODAY)
    assert re.search("no 事業者名", str(found.value))
    assert re.search("見積様式!F[0-9]+: found '別途協議'", str(found.value))


def test_requirements_have_ids_that_do_not_change_with_the_version(desk: Desk) -> None:
    outside = desk.outside
    ids = [row.id for row in requirements(outside, desk.catalogue)]
    assert len(set(ids)) == len(ids)
    assert {f"shelter-comms.{clause.id}" for clause in outside.model.clauses} <= set(ids)
    assert "standing.personal-data" in ids
    newer = PublicDossier(**{**vars(outside), "model_id": outside.model_id.partition("/")[0] + "/9"})
    assert [row.id for row in requirements(newer, desk.catalogue)] == ids


def test_answers_to_requirements_come_back_by_id(desk: Desk, tmp_path: Path) -> None:
    book = opened(requirements_xlsx(desk.outside, desk.catalogue))
    page = book[SHEET]
    said = {"shelter-comms.main-rate": ("○", None, None), "standing.logs": ("△", "外部の保管を使う", "試験成績書"), "standing.removal": ("ｘ", "", "")}
    for row in page.iter_rows():
        if row[0].value == form.SUPPLIER:
            row[1].value = "乙電気"
        if row[0].value in said:
            row[7].value, row[8].value, row[9].value = said[row[0].value]
    book.save(tmp_path / "b.xlsx")
    quote, _ = read_answers(tmp_path / "b.xlsx", TODAY)
    assert quote.requirements == {
        "shelter-comms.main-rate": "〇",
        "standing.logs": "△\n代替案: 外部の保管を使う\n証跡: 試験成績書",
        "standing.removal": "×",
    }


def test_prices_and_requirements_of_one_supplier_are_one_answer(desk: Desk, tmp_path: Path) -> None:
    path = answered(quote_form(desk.outside, desk.catalogue), tmp_path / "a.xlsx", pon_ftth_cable=3_000_000)
    first, _ = read_answers(path, TODAY)
    again, _ = read_answers(answered(quote_form(desk.outside, desk.catalogue), tmp_path / "a2.xlsx", pon_ftth_cable=2_900_000), TODAY)
    wishes = replace(first, answers=(), requirements={"standing.logs": "〇"}, file="b.xlsx")
    (one,) = add_quote(add_quote(add_quote(Inputs(), first), wishes), again).quotes
    assert next(answer.unit_yen for answer in one.answers if answer.line == "pon-ftth.cable") == 2_900_000
    assert one.requirements == {"standing.logs": "〇"}


# What may leave the office


NUMBER = re.compile(r"(?<![\d.,])\d[\d,]*(?:\.\d+)?")


def numbers_of(name: str, content: bytes) -> set[str]:
    """Every number in a file: in cells, texts, attributes and properties of each member of a package, in the text of a PDF, or in plain text."""
    if name.endswith((".xlsx", ".docx")):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = [archive.read(member).decode("utf-8", "replace") for member in archive.namelist()]
        texts += [re.sub(r"<[^>]*>", "", text) for text in texts]  # an amount may be cut by tags
    elif name.endswith(".pdf"):
        import pypdfium2

        document = pypdfium2.PdfDocument(content)
        texts = [page.get_textpage().get_text_range() for page in document] + [" ".join(document.get_metadata_dict().values())]
    else:
        texts = [content.decode("utf-8")]
    return {found for text in texts for found in NUMBER.findall(text)}


def amounts_of(funding: Funding) -> set[str]:
    """Every amount of the estimate and the budgets as it may be written: plain, with commas, in 千円; short ones left out, they are dates and counts too."""
    yen: set[float] = set()
    for line in funding.lines:
        yen |= {line.unit_yen or 0, (line.unit_yen or 0) * (line.quantity or 0), *line.yearly, sum(line.yearly)}
    for budget in (funding.adopted, funding.refused):
        yen |= {*budget.total, sum(budget.total), *budget.months}
        yen |= {amount for row in (*budget.sections, *budget.sources) for amount in row.years}
    written: set[str] = set()
    for amount in yen:
        for number in {round(amount), math.floor(amount), math.ceil(amount), round(amount / 1000), math.floor(amount / 1000), math.ceil(amount / 1000)}:
            if number >= 10_000:
                written |= {f"{number}", f"{number:,}"}
        if amount != int(amount):
            written |= {f"{amount:.2f}", f"{amount:,.2f}", repr(float(amount)), f"{amount:.16g}"}
    return written


@st.composite
def random_rows(draw: st.DrawFn) -> list[Row]:
    rows = []
    for id, phase, section, category, *_, per in ROWS:
        price = draw(st.one_of(st.none(), st.integers(1_234_567, 98_765_432), st.floats(12_345.5, 9_876_543.25)))
        quantity = draw(st.one_of(st.none(), st.integers(1, 400), st.floats(0.5, 99.5)))
        life = draw(st.sampled_from([5, 7.5, 10, 20])) if phase == "initial" else None
        rows.append((id, phase, section, category, quantity, price, life, draw(st.integers(0, 5)) if phase == "initial" else 0, per))
    return rows


def leaving(desk: Desk, outside: PublicDossier) -> dict[str, bytes]:
    """The workbooks and the map that may leave the office."""
    return {
        "見積様式.xlsx": quote_form(outside, desk.catalogue),
        "要件一覧.xlsx": requirements_xlsx(outside, desk.catalogue),
        "公表版.geojson": public_geojson(outside),
    }


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=random_rows(), tax_rate=st.sampled_from([0.08, 0.1]), national=st.floats(0, 0.9))
def test_no_amount_of_any_plan_stands_in_what_may_leave_the_office(desk: Desk, rows: list[Row], tax_rate: float, national: float) -> None:
    """Neither as a number, nor in any other way: the same plan without a single price gives the same bytes."""
    funding = funded(rows=rows, tax_rate=tax_rate, national=national)
    without = public(desk.with_funding(funded(rows=[(*row[:5], None, *row[6:]) for row in rows])))
    outside, bare, secret = public(desk.with_funding(funding)), leaving(desk, without), amounts_of(funding)
    assert outside == without, "every paper that leaves is made from this alone"
    for name, content in leaving(desk, outside).items():
        assert numbers_of(name, content) & secret <= numbers_of(name, bare[name]), name
        assert content == bare[name], name


def test_the_search_for_amounts_finds_those_of_the_estimate(desk: Desk) -> None:
    secret = amounts_of(desk.dossier.funding)
    found = workbooks(desk.dossier, desk.outside)
    assert {f"{OUTSIDE}/{name}": content for name, content in leaving(desk, desk.outside).items()} == {
        name: content for name, content in found.items() if name.startswith(OUTSIDE)
    }
    for name, content in found.items():
        assert bool(numbers_of(name, content) & secret) == name.startswith(INSIDE), name


def place(id: str, kind: str, lat: float, lon: float, households: int | None = None) -> Site:
    evidence = Evidence(assumed=True, reason="例", confirm="町")
    return Site(id=id, name=f"名前{id}", kind=kind, lat=lat, lon=lon, households=households, evidence=evidence)


House = tuple[float, float, int | None, str]
HOUSES = st.tuples(st.floats(37.2, 37.24), st.floats(137.1, 137.16), st.one_of(st.none(), st.integers(0, 30)), st.sampled_from(LIVED_IN))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(houses=st.lists(HOUSES, max_size=30), limit=st.integers(0, 25))
def test_no_cell_below_the_limit_or_uncounted_is_published_and_no_hamlet_is_a_point(desk: Desk, houses: list[House], limit: int) -> None:
    sites = tuple(place(f"h{number}", kind, lat, lon, households) for number, (lat, lon, households, kind) in enumerate(houses))
    school = place("school", "school", 37.21, 137.12)
    body = msgspec.json.decode(public_geojson(PublicDossier(**{**vars(desk.outside), "sites": (*sites, school), "household_limit": limit})))
    cells: dict[str, list[int | None]] = {}
    for lat, lon, households, _ in houses:
        cells.setdefault(code_at(lat + 1e-9, lon + 1e-9, 8), []).append(households)
    edges = {code: corner(code) for code in cells}
    names = {code: f"{round(south * 120)}/{round(west * 80)}" for code, (south, west, _, _) in edges.items()}
    fit = {names[code]: sum(counts) for code, counts in cells.items() if None not in counts and sum(counts) >= limit}
    shown = {one["properties"]["cell"]: one["properties"]["households"] for one in body["features"] if one["properties"]["part"] == "cell"}
    assert shown == fit
    assert body["cells_left_out"] == len(cells) - len(fit)
    points = [one for one in body["features"] if one["geometry"]["type"] == "Point"]
    assert [one["properties"]["name"] for one in points] == ["名前school"]


def test_the_public_map_has_no_plant_no_link_and_no_private_place(desk: Desk) -> None:
    sites = tuple(place(kind, kind, 37.2, 137.1) for kind in ("trap", "paddy", "factory", "forest", "pond", "tourism"))
    body = msgspec.json.decode(public_geojson(PublicDossier(**{**vars(desk.outside), "sites": (*desk.outside.sites, *sites)})))
    assert body["places_left_out"] == len(sites)
    assert {one["geometry"]["type"] for one in body["features"]} <= {"Point", "Polygon"}
    assert {one["properties"]["part"] for one in body["features"]} <= {"facility", "cell"}
    assert all(one["properties"]["kind"] in PUBLIC for one in body["features"] if one["properties"]["part"] == "facility")
    assert all(set(one["properties"]) <= {"part", "name", "kind", "cell", "households"} for one in body["features"])


def test_no_small_hamlet_and_no_household_is_named_in_any_file_for_outside(desk: Desk) -> None:
    raised = desk.dossier
    view = View(raised.view.plan, desk.catalogue, words(desk.catalogue, "ja"), "ja", raised.region.name, raised.region.sources)
    inputs = Inputs(facts={"publish_household_limit": 100_000.0})
    dossier = Dossier(view, raised.region, raised.problem, raised.design, raised.funding, inputs, raised.today)
    small = {part for site in raised.region.sites if site.kind in LIVED_IN for part in site.name.split(" / ")}
    others = [site.name for site in (*raised.region.sites, *raised.region.places) if site.kind not in LIVED_IN]
    unmistakable = {name for name in small if not any(name in other for other in (*others, raised.region.name))}
    assert len(unmistakable) > 10
    letters_before = " ".join(letter["body"] for letter in desk.outside.inquiries)
    assert any(name in letters_before for name in unmistakable), "the letters of the example name hamlets"
    made = {name: content for name, content in papers(dossier).items() if name.startswith(OUTSIDE)}
    for name, content in made.items():
        if name.endswith(".geojson"):
            text = content.decode()
        elif name.endswith(".pdf"):
            continue  # printed from the same paper as its .docx
        else:
            with zipfile.ZipFile(io.BytesIO(content)) as package:
                text = "".join(re.sub(r"<[^>]*>", "", package.read(part).decode()) for part in package.namelist() if part.endswith(".xml"))
        assert [small for small in unmistakable if small in text] == [], name
    for letter in public(dossier).inquiries:
        assert all(line.count("集落(名称は別途)") <= 1 for line in re.split("[。\n]", letter["body"]))
