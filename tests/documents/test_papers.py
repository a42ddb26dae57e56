"""Papers say what the plan says: every cell, every feature, one page, and the label on each of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pypdfium2
import pytest
from msgspec.structs import replace

from kiban.catalogue import Catalogue, words
from kiban.documents.amounts import in_thousands, spoken
from kiban.documents.evidence import facts, others, quantity_of
from kiban.documents.geojson import design_geojson
from kiban.documents.map_svg import design_svg
from kiban.documents.names import figure_name
from kiban.documents.plan_pdf import plan_pdf
from kiban.documents.reasons import answers, cases_heading, left_out, near_cases, point_text, row_names, sites_or_km, to_confirm, whom
from kiban.documents.references import phrase
from kiban.documents.sites_xlsx import sites_xlsx
from kiban.documents.view import JAPANESE, View
from kiban.loop.files import Folder, read_folder
from kiban.records.plan import Figure, Plan
from kiban.records.source import Confidence

LABEL = "公表値による例示。当該団体の計画・意思決定とは無関係"


@dataclass(frozen=True)
class Example:
    """The example plan and its papers in any language."""

    folder: Folder
    catalogue: Catalogue

    def view(self, lang: str = "ja", plan: Plan | None = None) -> View:
        one = self.folder
        return View(plan or one.plan, self.catalogue, words(self.catalogue, lang), lang, one.region.name, one.region.sources)

    def pdf(self, view: View) -> pypdfium2.PdfDocument:
        return pypdfium2.PdfDocument(plan_pdf(view, self.folder.region, self.folder.problem, self.folder.design))


@pytest.fixture(scope="module")
def example(example_folder: Path, shipped_catalogue: Catalogue) -> Example:
    return Example(read_folder(example_folder), shipped_catalogue)


def text_of(document: pypdfium2.PdfDocument) -> str:
    pages = [page.get_textpage().get_text_range() for page in document]
    return "".join(pages).replace("\r", "").replace("\n", "").replace(" ", "")


def changed(plan: Plan, step: str, change: Any, **more: Any) -> Plan:
    """The plan with the body of one step changed."""
    steps = []
    for one in plan.steps:
        body = msgspec.json.decode(msgspec.json.encode(one.body))
        if one.id == step:
            change(body)
        steps.append(replace(one, body=body))
    return replace(plan, steps=tuple(steps), **more)


# Amounts


def test_an_amount_of_confidence_c_has_two_digits_and_its_range() -> None:
    figure = Figure(value=12_345_678, low=9_000_000, high=20_000_000, unit="JPY", kind="choice", ref="x", confidence=Confidence.C)
    assert spoken(figure, "ja") == "約1,200万円（900万円〜2,000万円）"
    assert spoken(figure, "en") == "about ¥12 million (¥9 million to ¥20 million)"
    assert in_thousands(figure) == "12,000"


def test_an_amount_of_confidence_a_has_four_digits_and_no_about() -> None:
    assert spoken(Figure(value=12_345_678, unit="JPY", kind="choice", ref="x", confidence=Confidence.A), "ja") == "1,235万円"


def test_an_unknown_amount_is_unknown_and_not_zero() -> None:
    figure = Figure(value=None, unit="JPY", kind="choice", ref="x")
    assert (spoken(figure, "ja"), spoken(figure, "en"), in_thousands(figure)) == ("不明", "unknown", "—")


# The view


@pytest.mark.parametrize(
    ("text", "ja", "en"),
    [
        ("児童生徒数 / pupils", "児童生徒数", "pupils"),
        ("標高", "標高", "標高"),
        ("国土地理院 / 基盤地図情報", "国土地理院 / 基盤地図情報", "国土地理院 / 基盤地図情報"),
        ("roads / paths", "roads / paths", "roads / paths"),
    ],
)
def test_a_text_in_two_languages_shows_the_part_of_the_page(example: Example, text: str, ja: str, en: str) -> None:
    assert (example.view("ja").local(text), example.view("en").local(text)) == (ja, en)


def test_an_english_view_keeps_the_label_and_adds_what_it_means(example: Example) -> None:
    assert example.view("ja").label() == LABEL
    assert str(example.view("en").label()).startswith(LABEL + " — An example")


def test_every_open_point_is_a_sentence_with_whom_to_ask(example: Example) -> None:
    for lang in ("ja", "en"):
        view = example.view(lang)
        for point in view.step("verdict")["points"]:
            text = point_text(view, point, row_names(view))
            assert "{" not in text
            assert "technologies/" not in text
            assert whom(view, point).startswith("→ ")


def test_the_uplink_of_a_satellite_below_the_need_is_an_open_point(example: Example) -> None:
    plan = example.folder.plan
    (point,) = [point for point in example.view().step("verdict")["points"] if point["kind"] == "capability"]
    assert (point["about"], point["need"]) == (["technologies/leo-satellite"], "up_mbps")
    low, required = plan.figures[point["figure"]], plan.figures[point["required"]]
    assert (low.value, low.kind, required.value, required.kind) == (16.91, "source", 25, "source")
    served = {result.site for result in example.folder.design.sites if "leo-satellite" in result.technologies}
    assert set(point["sites"]) == served
    assert "16.91 Mbps" in point_text(example.view(), point, {})


def test_every_figure_has_a_name_in_both_languages(example: Example) -> None:
    assert figure_name(example.view("ja"), "total/priced") == "総費用（現在価値・税抜）"
    for lang in ("ja", "en"):
        for key in example.folder.plan.figures:
            assert figure_name(example.view(lang), key)


# GeoJSON


def test_the_map_data_is_geojson_within_the_ranges_of_rfc_7946(example: Example) -> None:
    one = example.folder
    data = msgspec.json.decode(design_geojson(one.region, one.problem, one.design, {}))
    assert data["type"] == "FeatureCollection"
    assert data["label"] == LABEL
    for feature in data["features"]:
        geometry = feature["geometry"]
        points = [geometry["coordinates"]] if geometry["type"] == "Point" else geometry["coordinates"]
        assert geometry["type"] in ("Point", "LineString")
        assert geometry["type"] == "Point" or len(points) >= 2
        for lon, lat in points:
            assert -180 <= lon <= 180
            assert -90 <= lat <= 90
            assert 136 < lon < 138, "Noto lies at 137 degrees east: longitude comes first"


def test_the_map_has_each_wanted_site_each_place_and_each_street_once(example: Example) -> None:
    one = example.folder
    data = msgspec.json.decode(design_geojson(one.region, one.problem, one.design, {}))
    count: dict[str, int] = {}
    for feature in data["features"]:
        count[feature["properties"]["part"]] = count.get(feature["properties"]["part"], 0) + 1
    chosen = [one.problem.arcs[index] for index in one.design.arcs]
    built = {arc.ref for arc in chosen if arc.kind in ("line", "plant")}
    assert count["site"] == len({demand.site for demand in one.problem.demands})
    assert count["place"] == len(one.region.places)
    assert count["candidate"] == len(one.region.streets) - len(built)


def test_the_still_picture_has_each_site_and_escapes_its_name(example: Example) -> None:
    one = example.folder
    region = replace(one.region, sites=(replace(one.region.sites[0], name="<b>&"), *one.region.sites[1:]))
    svg = design_svg(region, one.problem, one.design, ["pon-ftth"], "北")
    assert svg.count("<circle") == len({demand.site for demand in one.problem.demands})
    assert "&lt;b&gt;&amp;" in svg
    assert "<b>" not in svg


# What the data files say of a figure


def test_every_price_of_the_ledger_finds_its_place_in_the_data_files(example: Example) -> None:
    view = example.view()
    for key, figure in view.plan.figures.items():
        if figure.kind == "source" and (figure.ref or "").startswith(("technologies/", "usecases/", "rules/")):
            quantity = quantity_of(view, figure)
            if quantity is None:  # a need that grows with a count is no quantity
                assert "#needs." in str(figure.ref)
            else:
                assert figure.value in (quantity.value, quantity.low, quantity.high), key


def test_a_price_says_its_year_its_tax_state_and_what_is_included(example: Example) -> None:
    view = example.view()
    told = dict(facts(view, view.plan.figures["technologies/pon-ftth#drop/0"]))
    assert told["消費税"] in ("税抜", "税込", "税の扱い不明", "対象外")
    assert "引込線" in told["含むもの"]


def test_the_other_evidence_of_a_price_is_listed_with_its_use(example: Example) -> None:
    view = example.view()
    cost = next(one for one in example.catalogue.technologies["pon-ftth"].costs if one.id == "drop")
    rows = others(view, "technologies/pon-ftth#drop/0")
    assert [row["state"] for row in rows if row["key"]] == ["計算に使った"] * 2
    assert len(rows) == len(cost.evidence) - 1
    (upkeep,) = [row for row in others(view, "technologies/fibre-aerial#upkeep/1") if row["state"] != "計算に使った"][:1]
    assert upkeep["state"] in ("海外の値のため使っていない", "値なし（要出典）", "計算に使っていない")


def test_a_figure_without_a_place_in_a_data_file_says_nothing_of_one(example: Example) -> None:
    view = example.view()
    broken = replace(view.plan.figures["technologies/pon-ftth#drop/0"], ref="technologies/gone#costs.drop.evidence.0 x")
    assert (quantity_of(view, broken), facts(view, broken)) == (None, [])


def test_choices_of_the_optimiser_are_named_in_the_language_of_the_page(example: Example) -> None:
    for figure in example.folder.plan.figures.values():
        if figure.kind == "choice":
            assert JAPANESE.search(phrase(example.view("ja"), str(figure.ref))), figure.ref
            assert not JAPANESE.search(phrase(example.view("en"), str(figure.ref)))


def test_lines_are_told_by_their_kilometres_and_all_others_by_their_places(example: Example) -> None:
    view, streets = example.view(), {street.id: street for street in example.folder.region.streets}
    for row in view.step("design")["technologies"]:
        arcs = [example.folder.problem.arcs[index] for index in example.folder.design.arcs]
        laid = {arc.ref for arc in arcs if arc.technology == row["technology"] and arc.kind in ("line", "plant")}
        if laid:
            assert view.plan.figures[row["km"]].value == pytest.approx(sum(streets[id].length_m for id in laid) / 1000)
            assert sites_or_km(view, row).endswith(" km")
        else:
            assert row["km"] is None
            assert sites_or_km(view, row) != "0"


def test_answers_are_shown_as_question_and_choice_and_an_unknown_question_by_its_id(example: Example) -> None:
    plan = changed(example.folder.plan, "issue", lambda body: body.update(answers={"shelter-places": "shelters", "gone": "x"}))
    assert answers(example.view(plan=plan)) == [("通信を確保する場所はどこですか。", "避難所だけ"), ("gone", "x")]
    assert "与えた回答" in text_of(example.pdf(example.view(plan=plan)))


def test_stopped_cases_are_promised_only_where_there_are_some(example: Example) -> None:
    stopped = {id for id, case in example.catalogue.cases.items() if case.stopped}
    none = next(id for id in example.catalogue.cases if id not in stopped)
    for ids, promised in (([none], False), ([none, min(stopped)], True)):
        view = example.view(plan=changed(example.folder.plan, "issue", lambda body, ids=ids: body.update(cases=[{"id": id} for id in ids])))
        assert ("先に" in cases_heading(view)[1]) == promised
        assert ("中止・廃止の記録はない" in cases_heading(view)[1]) != promised


def test_places_that_hang_on_a_weak_capability_are_counted_once(example: Example) -> None:
    points = [{"kind": "capability", "sites": ["a", "b"]}, {"kind": "capability", "sites": ["b"]}, {"kind": "coverage", "sites": ["c"]}]
    assert to_confirm(example.view(plan=changed(example.folder.plan, "verdict", lambda body: body.update(points=points)))) == "うち2地点は要確認"
    assert to_confirm(example.view(plan=changed(example.folder.plan, "verdict", lambda body: body.update(points=points[2:])))) == ""


def test_amounts_on_pages_are_whole_yen_and_small_numbers_keep_their_decimals(example: Example) -> None:
    assert [example.view().digits(value, unit) for value, unit in ((1234.56, "JPY/km"), (0.04, "1"), (30.57, "JPY/kWh"))] == ["1,235", "0.04", "30.57"]


# The workbook


def book_of(view: View) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(sites_xlsx(view)))


def test_the_cells_of_the_workbook_are_the_figures_of_the_ledger(example: Example) -> None:
    view = example.view()
    book, design, figures = book_of(view), view.step("design"), view.plan.figures
    sites = book.worksheets[1]
    for index, row in enumerate(design["sites"], start=5):
        assert sites.cell(index, 1).value == row["name"]
        assert sites.cell(index, 4).value == pytest.approx(figures[row["own"]].value)
        difference = row["next_best"] and row["next_best"]["difference"]
        assert sites.cell(index, 6).value == (pytest.approx(figures[difference].value) if difference else None)
    years = book.worksheets[2]
    totals = [cell.value for cell in years[5 + len(design["layers"])]][1:]
    assert totals == [round((figures[id].value or 0) / 1000) for id in design["years"]]
    sources = {row[0]: row[1] for row in book.worksheets[5].iter_rows(min_row=5, values_only=True)}
    assert sources["usecases/shelter#up_mbps"] == 25


def test_the_first_sheet_has_the_totals_exactly_as_in_the_ledger(example: Example) -> None:
    for lang, name in (("ja", "概要"), ("en", "Summary")):
        view = example.view(lang)
        book, design, figures = book_of(view), view.step("design"), view.plan.figures
        page = book.worksheets[0]
        assert page.title == name
        rows = {str(row[3].value).partition(" · ")[0]: row for row in page.iter_rows(min_row=4, max_col=4)}
        for key in ("cost_npv", "cost_5y", "cost_5y_taxed", "lower_bound", "gap", "served_sites"):
            assert rows[design[key]][1].value == pytest.approx(figures[design[key]].value, rel=1e-12)
        assert rows[design["years"][0]][1].value == pytest.approx(figures[design["years"][0]].value)
        texts = {str(cell.value) for row in page.iter_rows() for cell in row}
        assert {view.plan.sentence, *(case.title for case in near_cases(view)), *left_out(view, design["excludes"])} <= texts


def test_only_amounts_are_printed_without_decimals(example: Example) -> None:
    view = example.view()
    for sheet in book_of(view).worksheets:
        for cell in (cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, int | float)):
            assert cell.number_format in ("#,##0", "General")
            assert cell.number_format == "General" or cell.value == 0 or abs(cell.value) >= 1
    sources = {row[0].value: row[1] for row in book_of(view).worksheets[5].iter_rows(min_row=5)}
    rate = next(id for id in sources if str(id).startswith("rules/discount-rate@"))
    assert (sources[rate].value, sources[rate].number_format) == (0.04, "General")
    assert sources["technologies/pon-ftth#drop/0"].number_format == "#,##0"


def test_every_sheet_carries_the_label(example: Example) -> None:
    for lang in ("ja", "en"):
        for sheet in book_of(example.view(lang)).worksheets:
            assert LABEL in sheet["A2"].value


def test_a_name_that_begins_with_an_equals_sign_stays_a_text(example: Example) -> None:
    def rename(body: dict[str, Any]) -> None:
        body["sites"][0]["name"] = "=1+1"
        body["sites"][1]["name"] = "@SUM(A1)"
        body["assumed"][0]["name"] = "https://example.jp/?a=1"

    book = book_of(example.view(plan=changed(example.folder.plan, "design", rename, sentence='=HYPERLINK("x")')))
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {"=1+1", "@SUM(A1)", '=HYPERLINK("x")'} <= {cell.value for cell in cells}
    assert [cell.coordinate for cell in cells if cell.data_type == "f" or cell.hyperlink] == []


# The PDF


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_pdf_is_one_page_with_label_and_sentence_as_text(example: Example, lang: str) -> None:
    document = example.pdf(example.view(lang))
    assert len(document) == 1
    assert LABEL in text_of(document)
    assert example.folder.plan.sentence in text_of(document)


def test_rare_characters_come_out_of_the_pdf_as_they_went_in(example: Example) -> None:
    sentence = "髙﨑さんの𠮷野集落が孤立した"
    assert sentence in text_of(example.pdf(example.view(plan=replace(example.folder.plan, sentence=sentence))))


def test_a_plan_with_very_much_to_say_still_fits_one_page(example: Example) -> None:
    def many(body: dict[str, Any]) -> None:
        body["assumed"] = body["assumed"] * 40
        body["technologies"] = body["technologies"] * 8
        body["layers"] = body["layers"] * 6

    def open_points(body: dict[str, Any]) -> None:
        body["points"] = body["points"] * 30

    plan = changed(changed(example.folder.plan, "design", many, sentence="孤立した集落の通信を確保したい。" * 60), "verdict", open_points)
    document = example.pdf(example.view(plan=plan))
    assert len(document) == 1
    text = text_of(document)
    assert LABEL in text
    assert "ほか" in text
    assert "確認すること" in text


def test_markup_in_a_sentence_is_printed_and_not_obeyed(example: Example) -> None:
    sentence = '#panic("x") *太字* $x$ <a> @b'
    assert sentence.replace(" ", "") in text_of(example.pdf(example.view(plan=replace(example.folder.plan, sentence=sentence))))


def test_the_headline_says_that_it_is_an_estimate_and_whether_tax_is_in_it(example: Example) -> None:
    text = text_of(example.pdf(example.view()))
    for part in ("概算（見積未取得）", "5年間の費用（税込）", "現在価値での総費用（税抜）", "千円・税抜・割引前", "背景地図なし"):
        assert part in text
