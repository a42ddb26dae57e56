"""`kiban quote` and `kiban papers`: answers and changed estimates flow into the plan, and nothing that somebody wrote is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from kiban.cli import main
from kiban.documents import quote_form as form
from kiban.documents import requirements_xlsx as wishes
from kiban.documents.estimate_xlsx import GIVEN, LINES, TAX
from kiban.documents.papers import INSIDE, OUTSIDE
from kiban.loop.files import read_folder
from kiban.records.funding import Funding

Run = Callable[..., tuple[int, Any, str]]
DAY = ("--today", "2026-12-01")


@pytest.fixture
def plan(example_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example_folder, tmp_path / "plan"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, Any, str]:
        code = main([*map(str, words), "--json"])
        shown = capsys.readouterr()
        return code, json.loads(shown.out), shown.err

    return call


def filled(plan: Path, supplier: str, prices: Callable[[str], object]) -> Path:
    """The form of the plan as a supplier sends it back; prices: line id → what is typed into the cell of its price."""
    book = openpyxl.load_workbook(plan / OUTSIDE / "見積様式.xlsx")
    page, lines = book[form.SHEET], False
    for row in page.iter_rows():
        if row[0].value == form.SUPPLIER:
            row[1].value = supplier
        if row[0].value == form.VALID:
            row[1].value = "令和9年3月31日"
        if lines and row[0].value:
            row[5].value = prices(str(row[0].value))
        lines = lines or row[0].value == form.ID
    path = plan.parent / f"{supplier}.xlsx"
    book.save(path)
    return path


def money(plan: Path) -> Funding:
    return read_folder(plan).funding


def test_three_answers_make_every_line_a_median_and_take_the_mark_of_an_estimate_away(plan: Path, run: Run) -> None:
    assert run("quote", "list", plan, *DAY)[1]["awaiting"], "the example has a line that nobody prices"
    files = [filled(plan, name, lambda _, factor=factor: f"{100_000 * factor:,.0f}円") for name, factor in (("甲", 1), ("乙", 1.1), ("丙", 1.5))]
    code, result, _ = run("quote", "import", plan, *files, *DAY)
    assert code == 0
    assert [(row["supplier"], row["valid_until"]) for row in result["suppliers"]] == [("甲", "2027-03-31"), ("乙", "2027-03-31"), ("丙", "2027-03-31")]
    assert (result["awaiting"], result["ask"], result["enough"], result["notes"]) == ([], [], True, [])
    assert {(row["n"], row["median"], row["spread"]) for row in result["statistics"]} == {(3, 110_000.0, 1.5)}
    assert {(line.basis, line.quotes, line.unit_yen) for line in money(plan).lines} == {("quotes", 3, 110_000.0)}
    page = openpyxl.load_workbook(plan / INSIDE / "積算内訳書.xlsx", data_only=True)[LINES]
    texts = {str(cell.value) for row in page.iter_rows() for cell in row}
    assert "参考見積 3 者" in texts
    assert not any("概算(見積未取得)" in text for text in texts)


def test_lines_of_existing_plant_are_one_line_of_the_form_and_all_get_its_price(plan: Path, run: Run) -> None:
    plants = [line.id for line in money(plan).lines if line.id != f"{line.technology}.{line.cost}"]
    assert len(plants) > 1
    run("quote", "import", plan, filled(plan, "甲", lambda id: 40_000 if id.endswith(".upkeep") else None), *DAY)
    prices = {line.id: line.unit_yen for line in money(plan).lines if line.cost == "upkeep" and line.id in plants}
    assert set(prices.values()) == {40_000.0}
    assert len(prices) > 1


def test_a_far_answer_is_asked_about_and_stays(plan: Path, run: Run) -> None:
    files = [filled(plan, name, lambda _, yen=yen: yen) for name, yen in (("甲", 100), ("乙", 110), ("丙", 900))]
    _, result, _ = run("quote", "import", plan, *files, *DAY)
    assert {row["supplier"] for row in result["ask"]} == {"丙"}
    assert {row["n"] for row in result["statistics"]} == {3}


def test_a_second_answer_of_a_supplier_takes_the_place_of_the_first(plan: Path, run: Run) -> None:
    run("quote", "import", plan, filled(plan, "甲", lambda _: 100), *DAY)
    _, result, _ = run("quote", "import", plan, filled(plan, "甲", lambda _: 200), *DAY)
    assert len(result["suppliers"]) == 1
    assert {row["median"] for row in result["statistics"]} == {200.0}
    assert [note.partition(":")[0] for note in result["notes"]] == ["甲"]


def test_answers_to_requirements_are_counted(plan: Path, run: Run) -> None:
    book = openpyxl.load_workbook(plan / OUTSIDE / "要件一覧.xlsx")
    for row in book[wishes.SHEET].iter_rows():
        if row[0].value == form.SUPPLIER:
            row[1].value = "乙"
        if str(row[0].value).startswith("standing."):
            row[7].value = "○"
    book.save(plan.parent / "wishes.xlsx")
    _, result, _ = run("quote", "import", plan, plan.parent / "wishes.xlsx", *DAY)
    (row,) = result["suppliers"]
    assert row["priced_lines"] == 0
    assert row["requirements"]["〇"] > 5
    assert result["statistics"] == []


def test_when_one_file_cannot_be_understood_nothing_is_taken(plan: Path, run: Run) -> None:
    before = {path: path.read_bytes() for path in plan.rglob("*") if path.is_file()}
    good, bad = filled(plan, "甲", lambda _: 100), filled(plan, "乙", lambda _: "応相談")
    code, result, error = run("quote", "import", plan, good, bad, *DAY)
    assert code == 2
    assert all("乙.xlsx 見積様式!F" in problem for problem in result["errors"])
    assert "応相談" in error
    assert {path: path.read_bytes() for path in plan.rglob("*") if path.is_file()} == before


def test_an_answer_with_a_line_of_another_plan_is_refused(plan: Path, run: Run) -> None:
    path = filled(plan, "甲", lambda _: 100)
    book = openpyxl.load_workbook(path)
    cell = next(row[0] for row in book[form.SHEET].iter_rows() if "." in str(row[0].value) and row[5].value == 100)
    cell.value = "moon.base"
    book.save(path)
    code, result, _ = run("quote", "import", plan, path, *DAY)
    assert code == 2
    assert "moon.base" in result["error"]


# papers


def test_changed_cells_of_the_estimate_change_the_plan_to_the_yen(plan: Path, run: Run) -> None:
    before = money(plan)
    path = plan / INSIDE / "積算内訳書.xlsx"
    book = openpyxl.load_workbook(path)
    first, second, third, *_ = (line for line in before.lines if line.unit_yen is not None and line.quantity)
    for row in book[LINES].iter_rows():
        if row[0].value == first.id:
            row[4].value = 12
        if row[0].value == second.id:
            row[6].value = 123_456
    for row in book[GIVEN].iter_rows():
        if row[0].value == TAX:
            row[1].value = "8%"
    copy = plan.parent / "estimate.xlsx"
    book.save(copy)
    code, result, _ = run("papers", plan, "--estimate", copy, *DAY)
    after = money(plan)
    lines = {line.id: line for line in after.lines}
    assert code == 0
    assert (result["quantities"], result["prices"], result["tax_rate"]) == ([first.id], [second.id], 0.08)
    assert (lines[first.id].quantity, lines[first.id].basis) == (12, "published")
    assert (lines[second.id].unit_yen, lines[second.id].basis) == (123_456, "town")
    assert lines[third.id] == third
    assert result["cost_horizon_yen"] == [sum(before.adopted.total), sum(after.adopted.total)]


def test_facts_are_kept_over_a_further_run_and_can_be_taken_back(plan: Path, run: Run) -> None:
    run("papers", plan, "--fact", "depopulated=はい", "--fact", "service_start_month=10", *DAY)
    _, result, _ = run("papers", plan, *DAY)
    assert result["facts"] == {"depopulated": True, "service_start_month": 10.0}
    assert money(plan).adopted.running_months == 6
    _, result, _ = run("papers", plan, "--fact", "depopulated=", *DAY)
    assert result["facts"] == {"service_start_month": 10.0}


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        ("depopulated", "ID=VALUE"),
        ("depopulatedd=yes", "did you mean 'depopulated'"),
        ("depopulated=maybe", "yes or no"),
        ("service_start_month=20", "a number from 4 to 15"),
        ("body_kind=village-people", "one of"),
        ("maintenance_end=someday", "a day such as"),
    ],
)
def test_a_fact_that_does_not_fit_is_refused_and_nothing_is_written(plan: Path, run: Run, fact: str, told: str) -> None:
    before = (plan / "inputs.json").read_bytes()
    code, result, _ = run("papers", plan, "--fact", fact, *DAY)
    assert code == 2
    assert told in result["error"]
    assert (plan / "inputs.json").read_bytes() == before


def test_an_estimate_that_somebody_changed_and_did_not_import_is_kept(plan: Path, run: Run) -> None:
    path = plan / INSIDE / "積算内訳書.xlsx"
    book = openpyxl.load_workbook(path)
    book[LINES]["A1"].value = "手を入れた"
    book.save(path)
    run("papers", plan, *DAY)
    kept = [openpyxl.load_workbook(old)[LINES]["A1"].value for old in path.parent.rglob("積算内訳書-*.xlsx")]
    assert kept == ["手を入れた"]


def test_a_folder_without_a_plan_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    for words in (("papers", tmp_path), ("quote", "list", tmp_path)):
        code, result, _ = run(*words)
        assert code == 2
        assert "plan.json" in result["error"]
