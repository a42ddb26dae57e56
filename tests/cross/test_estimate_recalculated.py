"""The estimate's workbook against the program: the same inputs changed in cells and in Inputs give the same yen in every year.

The workbook is recalculated by LibreOffice; the program computes with finance.budget. Neither knows the other's numbers.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest
from tests.documents.money import HORIZON, ROWS, TODAY, funded

from kiban.catalogue import Catalogue, words
from kiban.cli import main
from kiban.documents.dossier import Dossier
from kiban.documents.estimate_xlsx import GIVEN, LINES, MONTHS, SOURCE, TAX, YEARS, estimate_xlsx
from kiban.documents.office.desk import Desk
from kiban.documents.view import View
from kiban.loop.files import read_folder
from kiban.records.funding import Funding, Inputs

Changes = dict[str, dict[str, float]]

# What is changed: quantities and unit prices by line, tax rate, months of the first year.
CASES: dict[str, Inputs] = {
    "nothing": Inputs(),
    "three cells": Inputs(quantities={"pon-ftth.cable": 15.5}, prices={"leo-satellite.fee": 99_999.0}, tax_rate=0.08),
    "a price that was awaited": Inputs(prices={"leo-satellite.battery": 187_655.0}),
    "a quantity that was not counted": Inputs(quantities={"leo-satellite.survey": 3}),
    "a series at one price": Inputs(prices={"pon-ftth.rent": 60_000.0}, quantities={"pon-ftth.rent": 7}),
    "a series that keeps its prices": Inputs(quantities={"pon-ftth.rent": 11}),
    "nothing at all": Inputs(quantities={"pon-ftth.tower": 0, "pon-ftth.onu": 0}, tax_rate=0.0),
    "other months": Inputs(facts={"service_start_month": 15.0}, prices={"pon-ftth.onu": 24_999.5}),
}
ANY = random.Random(20261127)
for number in range(6):
    CASES[f"any {number}"] = Inputs(
        quantities={row[0]: round(ANY.uniform(0, 60), ANY.choice((0, 1, 3))) for row in ROWS if ANY.random() < 0.6},
        prices={row[0]: round(ANY.uniform(0, 9e6), ANY.choice((0, 0, 1, 3))) for row in ROWS if ANY.random() < 0.6},
        tax_rate=ANY.choice((0.03, 0.05, 0.08, 0.1, 0.12)),
        facts={"service_start_month": float(ANY.randint(4, 15))},
    )


@dataclass(frozen=True)
class Sheets:
    """A workbook after recalculation."""

    book: openpyxl.Workbook

    def row(self, sheet: str, label: str, column: int, first: int) -> list[float]:
        """The numbers of a row of the horizon; the row is the one whose label begins so."""
        page = self.book[sheet]
        (found,) = [row for row in page.iter_rows() if str(row[column].value or "").startswith(label)][:1]
        return [cell.value for cell in found[first : first + HORIZON]]


@pytest.fixture(scope="module")
def dossier(example_folder: Path, shipped_catalogue: Catalogue) -> Dossier:
    one = read_folder(example_folder)
    view = View(one.plan, shipped_catalogue, words(shipped_catalogue, "ja"), "ja", one.region.name, one.region.sources)
    return Dossier(view, one.region, one.problem, one.design, funded(), Inputs(), TODAY)


def changed(content: Path, inputs: Inputs, target: Path, turn: bool) -> None:
    """The workbook with the inputs typed into its cells, found by line id as a person would; turn: with its rows sorted the other way round."""
    book = openpyxl.load_workbook(content)
    page = book[LINES]
    rows = [row for row in page.iter_rows() if re.fullmatch(r"[a-z0-9-]+\.[a-z0-9_.-]+", str(row[0].value))]
    if turn:  # what sorting does: whole rows change places, formulas that point into their own row move with it
        values = [[cell.value for cell in row] for row in rows][::-1]
        for row, line in zip(rows, values, strict=True):
            for cell, value in zip(row, line, strict=True):
                cell.value = f'=IF(OR(E{cell.row}="",G{cell.row}=""),"見積待ち",E{cell.row}*G{cell.row})' if str(value).startswith("=") else value
    for row in rows:
        id = row[0].value
        if id in inputs.quantities:
            row[4].value = inputs.quantities[id]
        if id in inputs.prices:
            row[6].value = inputs.prices[id]
    for row in book[GIVEN].iter_rows():
        if row[0].value == TAX and inputs.tax_rate is not None:
            row[1].value = inputs.tax_rate
        if row[0].value == MONTHS and "service_start_month" in inputs.facts:
            row[1].value = 16 - int(inputs.facts["service_start_month"])
    book.save(target)


@pytest.fixture(scope="module")
def recalculated(dossier: Dossier, office: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sheets]:
    """Every case after LibreOffice, in one run of it."""
    folder = tmp_path_factory.mktemp("estimates")
    (folder / "in").mkdir()
    original = folder / "estimate.xlsx"
    original.write_bytes(estimate_xlsx(dossier))
    names = {}
    for place, (name, inputs) in enumerate(CASES.items()):
        names[name] = f"case{place}.xlsx"
        changed(original, inputs, folder / "in" / names[name], turn=place % 2 == 1)
    command = [str(office), "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
    command += ["--outdir", str(folder / "out")]
    done = subprocess.run([*command, *(str(folder / "in" / name) for name in names.values())], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return {name: Sheets(openpyxl.load_workbook(folder / "out" / file, data_only=True)) for name, file in names.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_totals_of_the_workbook_are_those_of_the_program_in_every_year(dossier: Dossier, recalculated: dict[str, Sheets], name: str) -> None:
    budget = funded(CASES[name]).adopted
    sheets = recalculated[name]
    assert sheets.row(YEARS, "合計(税込)", 1, 4) == list(budget.total)
    found = {row[2].value: [cell.value for cell in row[4 : 4 + HORIZON]] for row in sheets.book[YEARS].iter_rows() if row[3].value == "税込"}
    assert found == {Desk(dossier, "common").section(section.id): list(section.years) for section in budget.sections}


@pytest.mark.parametrize("name", CASES)
def test_the_sheet_of_sources_pays_the_same_total(recalculated: dict[str, Sheets], name: str) -> None:
    budget = funded(CASES[name]).adopted
    page = recalculated[name].book[SOURCE]
    totals = [[cell.value for cell in row[1 : 1 + HORIZON]] for row in page.iter_rows() if str(row[0].value or "").startswith("事業費(税込)")]
    assert totals == [list(budget.total)] * 2
    sources = ("国庫支出金", "県支出金", "地方債", "その他特定財源", "一般財源")
    rows = [[cell.value for cell in row[1 : 1 + HORIZON]] for row in page.iter_rows() if row[0].value in sources]
    for case in (rows[:5], rows[5:]):
        assert [sum(years) for years in zip(*case, strict=True)] == list(budget.total)


def test_the_values_that_are_stored_with_the_formulas_are_those_of_a_recalculation(dossier: Dossier, recalculated: dict[str, Sheets], tmp_path: Path) -> None:
    path = tmp_path / "estimate.xlsx"
    path.write_bytes(estimate_xlsx(dossier))
    stored, again = openpyxl.load_workbook(path, data_only=True), recalculated["nothing"].book
    differing = []
    for page in stored:
        for row in page.iter_rows():
            for cell in row:
                other = again[page.title][cell.coordinate].value
                numbers = isinstance(cell.value, int | float) and isinstance(other, int | float)
                if abs(cell.value - other) > 1e-9 * abs(other) if numbers else (cell.value or "") != (other or ""):
                    differing.append((page.title, cell.coordinate, cell.value, other))
    assert differing == []


def test_the_table_holds_what_can_go_wrong() -> None:
    money: Funding = funded()
    assert {line.basis for line in money.lines} >= {"awaiting", "published"}
    assert any(line.phase == "yearly" and len(set(line.yearly)) > 1 for line in money.lines), "a price that changes by year"
    assert len(money.adopted.renewals) >= 2
    assert money.adopted.running_months == 6


def test_three_cells_of_the_examples_own_estimate_give_the_yen_of_the_plan_made_again(example_folder: Path, office: Path, tmp_path: Path) -> None:
    """The whole way: the workbook of a plan is changed and recalculated; the same workbook is taken into the plan, which computes anew."""
    plan = Path(shutil.copytree(example_folder, tmp_path / "plan"))
    before = read_folder(plan).funding
    lines = [line for line in before.lines if line.unit_yen is not None and line.quantity]
    bought, paid = (next(line for line in lines if line.phase == phase) for phase in ("initial", "yearly"))
    inputs = Inputs(quantities={bought.id: 17.25}, prices={paid.id: 123_457.0}, tax_rate=0.08)
    changed(plan / "庁内限り" / "積算内訳書.xlsx", inputs, tmp_path / "estimate.xlsx", turn=False)
    command = [str(office), "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
    done = subprocess.run([*command, "--outdir", str(tmp_path / "out"), str(tmp_path / "estimate.xlsx")], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0
    assert main(["papers", str(plan), "--estimate", str(tmp_path / "out" / "estimate.xlsx"), "--today", "2026-11-23"]) == 0
    after = read_folder(plan).funding
    sheets = Sheets(openpyxl.load_workbook(tmp_path / "out" / "estimate.xlsx", data_only=True))
    assert sheets.row(YEARS, "合計(税込)", 1, 4) == list(after.adopted.total)
    assert after.adopted.total != before.adopted.total
    assert (after.tax_rate, {line.id: line.unit_yen for line in after.lines}[paid.id]) == (0.08, 123_457.0)
