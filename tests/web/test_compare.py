"""Two plans side by side: a plan is the same as itself, a changed fact is named with what it does, and the workbook holds no formula of anybody's."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from msgspec.structs import replace

from kiban.catalogue import Catalogue, words
from kiban.documents.view import View
from kiban.loop.files import read_folder, refresh_folder
from kiban.loop.kept import Kept
from kiban.records.funding import Inputs
from kiban.store import Store, open_store
from kiban.web.compare import comparison_xlsx
from kiban.web.comparing import Side, compare
from kiban.web.money import Scale

Get = Callable[[str], Any]


@pytest.fixture(scope="module")
def plans(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, shipped_catalogue: Catalogue) -> Path:
    plans = tmp_path_factory.mktemp("compare") / "plans"
    for name in ("before", "after"):
        shutil.copytree(example_folder, plans / name)
    refresh_folder(plans / "after", shipped_catalogue, "ja", Inputs(facts={"depopulated": True, "bond_interest": 0.01}, words={"budget.purpose": "=1+1"}))
    return plans


@pytest.fixture(scope="module")
def store(plans: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one earlier version of the plan."""
    store = open_store("", tmp_path_factory.mktemp("store") / "kiban.db")
    plan = read_folder(plans / "before").plan
    earlier = replace(plan, engine="kiban 0.0.9")
    kept = Kept(store, plans / "after", plan.id, lambda: datetime(2026, 11, 1, tzinfo=UTC))
    kept.current()  # what was put into the folder comes in as the first version
    store.save("plan", f"{plan.region}-{plan.id}", earlier, author="係長", reason="予算要求", expected_version=0, now=datetime(2026, 10, 1, tzinfo=UTC))
    return store


@pytest.fixture(scope="module")
def get(plans: Path, store: Store, serve: Callable[..., str], asking: Callable[[str], Get]) -> Get:
    return asking(serve(plans, store=store))


def side(path: Path, catalogue: Catalogue, lang: str = "ja") -> Side:
    one = read_folder(path)
    return Side(
        path.name, View(one.plan, catalogue, words(catalogue, lang), lang, one.region.name, one.region.sources), one.funding, one.inputs, one.region, path.name
    )


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_a_plan_is_the_same_as_itself(plans: Path, shipped_catalogue: Catalogue, get: Get, lang: str) -> None:
    one = side(plans / "before", shipped_catalogue, lang)
    found = compare(one, one, Scale("yen"))
    assert (found.same, found.topics, found.sections) == (True, {}, [])
    assert shipped_catalogue.words[lang]["compare.same"] in get(f"/compare?a=before&b=before&lang={lang}").text


def test_a_changed_fact_is_named_with_what_it_does(plans: Path, shipped_catalogue: Catalogue, get: Get) -> None:
    found = compare(side(plans / "before", shipped_catalogue), side(plans / "after", shipped_catalogue), Scale("thousand"))
    assert not found.same
    assert next((row.name, row.before, row.after) for row in found.topics["typed"]) == ("事実: 過疎地域に当たるか", "入力なし", "はい")
    assert "過疎対策事業債" in [row.name for row in found.topics["supports"]]
    general = next(row for row in found.amounts if row.id == "general")
    assert general.difference is not None
    assert general.difference < 0
    assert "「事実: 過疎地域に当たるか」（入力なし → はい）" in found.sentence
    assert f"初年度の一般財源（採択された場合）が{-general.difference:,}千円の減" in found.sentence
    page = get("/plans/after/compare?a=before&b=after").text
    assert not re.search(r"<option[^>]*>[^<]*\d{4}-\d\d-\d\d", page)  # a plan is told by its sentence, conditions and day, as people write it
    assert "「事実: 過疎地域に当たるか」（入力なし → はい）" in page
    assert f"{general.difference:,}" in page


@pytest.mark.parametrize("unit", ["thousand", "yen"])
def test_differences_are_those_of_the_two_budgets_and_turn_their_sign(plans: Path, shipped_catalogue: Catalogue, unit: str) -> None:
    scale = Scale("yen" if unit == "yen" else "thousand")
    a, b = (side(plans / name, shipped_catalogue) for name in ("before", "after"))
    there, back = compare(a, b, scale), compare(b, a, scale)
    assert [row.difference for row in there.amounts] == [-row.difference if row.difference is not None else None for row in back.amounts]
    assert a.funding is not None
    assert b.funding is not None
    totals = [scale.budget(one.funding.adopted)[1] for one in (a, b) if one.funding]
    by_row = {name: [cell.difference or 0 for cell in row] for name, row in there.sections}
    sources = [sum(column) for column in zip(*(row for name, row in by_row.items() if name in ("地方債", "一般財源", "国庫支出金")), strict=True)]
    assert sources == [after - before for before, after in zip(*totals, strict=True)]


def test_a_stored_version_is_compared_by_what_it_holds(get: Get) -> None:
    page = get("/compare?a=before@1&b=before&lang=ja").text
    assert "第1版（R8.10.1 " in page
    assert "係長: 予算要求" in page
    assert "kiban 0.0.9" in page
    assert "保存した版には予算の表がない" in page
    assert get("/compare?a=before@2&b=before").status == 404
    assert get("/compare?a=nobody&b=before").status == 404
    assert get("/compare?a=../../etc&b=before").status == 404


def test_two_versions_of_what_was_put_into_one_plan_are_compared_with_their_money(plans: Path, store: Store, get: Get) -> None:
    kept = Kept(store, plans / "after", read_folder(plans / "after").plan.id, lambda: datetime(2026, 11, 2, tzinfo=UTC))
    first = kept.history()[0].version
    page = get(f"/compare?a=before&b=after@i{first}&lang=ja").text
    assert "「事実: 過疎地域に当たるか」（入力なし → はい）" in page
    assert "保存した版には予算の表がない" not in page
    assert f" · 入力の第{first}版（" in page
    assert "二つは同じです" in get(f"/compare?a=after&b=after@i{first}").text
    assert get("/compare?a=after@i99&b=after").status == 404
    assert get("/compare?a=after@ix&b=after").status == 404


def test_the_workbook_has_the_same_numbers_and_no_formula(plans: Path, shipped_catalogue: Catalogue, get: Get) -> None:
    a, b = (side(plans / name, shipped_catalogue) for name in ("before", "after"))
    made = compare(a, b, Scale("yen"))
    book = openpyxl.load_workbook(io.BytesIO(comparison_xlsx(a, b, made, Scale("yen"))))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
    assert "=1+1" in [cell.value for cell in cells]  # the officer's own words, as a text
    rows = {row[0].value: [cell.value for cell in row[1:4]] for row in book.worksheets[1].iter_rows() if row[0].value}
    assert {amount.name: rows[amount.name] for amount in made.amounts} == {row.name: [row.before, row.after, row.difference] for row in made.amounts}
    for lang in ("ja", "en"):
        answer = get(f"/compare.xlsx?a=before&b=after&lang={lang}")
        assert (answer.status, answer.body[:2]) == (200, b"PK")
        assert "attachment" in answer.headers["content-disposition"]
