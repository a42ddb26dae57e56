"""One more file in a KIBAN_DATA folder changes the plan, with no other edit: one test per kind that a plan reads.

The samples are fictional. The plan is made by the command, so that the folder is found as users have it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kiban.catalogue import KINDS, PACKAGE_DATA
from kiban.cli import main

SAMPLES = Path(__file__).parents[1] / "samples" / "data"
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
SITES = """id,kind,name,lat,lon,population,source
hall-east,shelter,東公民館,37.300,137.120,300,survey
hall-north,shelter,北公民館,37.320,137.100,200,survey
"""
TESTED = {
    "technologies", "usecases", "models", "offers", "cases", "rules", "traffic", "forms", "words", "supports", "facts", "clauses", "papers", "locks",
}  # fmt: skip


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("KIBAN_DATA", str(folder))
    return folder


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, Any, Any]]:
    """Plans for a town of two shelters; exit code, --json, plan.json."""
    town = tmp_path / "umiyama"
    town.mkdir()
    (town / "region.yaml").write_text(HEAD, encoding="utf-8")
    (town / "sites.csv").write_text(SITES, encoding="utf-8")

    def make(sentence: str = SHELTER) -> tuple[int, Any, Any]:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        code = main(["plan", str(town), "--issue", sentence, "-o", str(out), "--today", "2026-11-23", "--json"])
        written = json.loads((out / "plan.json").read_text(encoding="utf-8")) if (out / "plan.json").is_file() else None
        return code, json.loads(capsys.readouterr().out), written

    return make


def put(kind: str, own: Path, change: Callable[[Any], None] = lambda _: None, name: str | None = None) -> None:
    """A sample in the own folder, perhaps changed."""
    source = next(path for path in sorted((SAMPLES / kind).rglob("*.yaml")))
    target = own / kind / (name or str(source.relative_to(SAMPLES / kind)))
    content = yaml.safe_load(source.read_text(encoding="utf-8"))
    change(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def technologies(written: Any) -> set[str]:
    return {row["technology"] for row in written["steps"][3]["body"]["technologies"]}


def test_every_kind_that_a_plan_reads_is_tested_here():
    assert set(KINDS) == TESTED


def test_a_cheaper_technology_enters_the_design(own, plan):
    _, before, written = plan()
    assert technologies(written) == {"leo-satellite"}

    def quick(content: Any) -> None:
        content["capability"]["one_way_ms"] = {"unit": "ms", "value": 20, "source": "t", "confidence": "A"}

    put("technologies", own, quick)
    _, after, written = plan()
    assert "test-radio" in technologies(written)
    assert after["priced_part_npv_yen"] < before["priced_part_npv_yen"]
    assert any(key.startswith("technologies/test-radio#") for key in written["figures"])


def test_a_use_case_with_a_model_answers_a_sentence_that_nobody_understood(own, plan):
    sentence = "試験見守りと試験巡回を始めたい"
    assert plan(sentence)[0] == 4

    def words(content: Any) -> None:
        content["words"] = ["試験見守り", "試験巡回"]

    put("usecases", own, words)
    put("models", own, words)
    put("technologies", own)
    put("cases", own)
    code, result, written = plan(sentence)
    assert (code, result["model"]) == (0, "test-model/1")
    assert written["steps"][1]["body"]["usecases"] == ["test-watch"]


def test_a_case_that_says_the_same_is_the_nearest(own, plan):
    def say(content: Any) -> None:
        content.update(issue=SHELTER, title=SHELTER, models=["shelter-comms"], usecases=["shelter"])

    assert "test-town" not in [row["id"] for row in plan()[2]["steps"][0]["body"]["cases"]]
    put("cases", own, say)
    assert "test-town" in [row["id"] for row in plan()[2]["steps"][0]["body"]["cases"]]


def test_an_offer_is_among_the_options(own, plan):
    put("offers", own, lambda content: content.update(usecases=["shelter"]))
    share = next(row for row in plan()[1]["options"] if row["kind"] == "share")
    assert "offers/test-offer" in share["records"]


def test_another_discount_rate_gives_another_total(own, plan):
    before = plan()[1]["priced_part_npv_yen"]

    def rates(content: Any) -> None:
        content["values"] = [content["values"][0] | {"quantity": content["values"][0]["quantity"] | {"value": 0.01}}]

    put("rules", own, rates, "discount-rate.yaml")
    _, result, written = plan()
    assert result["priced_part_npv_yen"] > before
    assert written["figures"]["rules/discount-rate@2020-04-01"]["value"] == 0.01


def test_a_traffic_scenario_is_listed_as_not_applied(own, plan):
    before = plan()[1]["priced_part_npv_yen"]
    put("traffic", own)
    _, result, written = plan()
    row = next(row for row in written["steps"][3]["body"]["traffic"] if row["id"] == "test-growth")
    assert (row["applied"], written["figures"][row["yearly_growth"]]["value"]) == (False, 0.1)
    assert result["priced_part_npv_yen"] == before
    assert "traffic/test-growth" in written["steps"][3]["pinned"]


def test_a_form_of_the_region_asks_its_own_question(own, plan):
    def text(written: Any) -> str:
        return written["steps"][0]["body"]["questions"][0]["text"]["ja"]

    first = text(plan()[2])
    (own / "forms").mkdir()
    form = (PACKAGE_DATA / "forms" / "issue.yaml").read_text(encoding="utf-8")
    assert first in form
    (own / "forms" / "issue.yaml").write_text(form.replace(first, "海山町の問い"), encoding="utf-8")
    assert text(plan()[2]) == "海山町の問い"


def test_a_word_of_the_region_stands_in_the_papers(own, plan, tmp_path):
    import openpyxl

    def texts() -> str:
        book = openpyxl.load_workbook(tmp_path / "out" / "sites.xlsx")
        return "\n".join(str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row if cell is not None)

    plan()
    assert "海山町のまとめ" not in texts()
    (own / "words").mkdir()
    (own / "words" / "ja.yaml").write_text("page.points: 海山町のまとめ\n", encoding="utf-8")
    plan()
    assert "海山町のまとめ" in texts()


def docx_text(path: Path) -> str:
    import docx

    document = docx.Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def test_a_support_is_answered_and_its_answer_stands_in_the_papers(own, plan, tmp_path):
    plan()
    assert "試験補助" not in docx_text(tmp_path / "out" / "庁内限り" / "事業計画書.docx")
    put("supports", own)
    written = plan()[2]
    step = next(step for step in written["steps"] if step["id"] == "funding")
    assert "test-support" in [row["support"] for row in step["body"]["answers"]]
    assert "supports/test-support" in step["pinned"]
    assert "試験補助" in docx_text(tmp_path / "out" / "庁内限り" / "事業計画書.docx")


def test_a_fact_with_a_default_is_taken_and_listed_as_assumed_on_every_paper(own, plan, tmp_path):
    plan()
    before = json.loads((tmp_path / "out" / "funding.json").read_text(encoding="utf-8"))["assumed"]
    put("facts", own)
    plan()
    after = json.loads((tmp_path / "out" / "funding.json").read_text(encoding="utf-8"))["assumed"]
    assert {row["id"] for row in after} - {row["id"] for row in before} == {"test-fact"}
    assert "試験の事実" in docx_text(tmp_path / "out" / "庁内限り" / "予算要求説明書.docx")


def test_a_standing_clause_stands_in_the_specification(own, plan, tmp_path):
    put("clauses", own)
    plan()
    assert "試験だけに使う架空の条項。" in docx_text(tmp_path / "out" / "公表・提供用" / "仕様書案.docx")


def test_a_sentence_of_a_paper_of_the_region_stands_in_it(own, plan, tmp_path):
    (own / "papers").mkdir()
    form = yaml.safe_load((PACKAGE_DATA / "papers" / "rfi.yaml").read_text(encoding="utf-8"))
    key = next(key for key, text in form["texts"].items() if len(text) > 30 and "{" not in text)
    form["texts"][key] = "海山町の書き出しの文です。"
    (own / "papers" / "rfi.yaml").write_text(yaml.safe_dump(form, allow_unicode=True), encoding="utf-8")
    plan()
    assert "海山町の書き出しの文です。" in docx_text(tmp_path / "out" / "公表・提供用" / "情報提供依頼書.docx")


def test_a_sign_of_narrowing_of_the_region_is_found(own, tmp_path, capsys):
    put("locks", own)
    (tmp_path / "specification.txt").write_text("試験専用の12号機を納入すること。\n", encoding="utf-8")
    assert main(["lock", str(tmp_path / "specification.txt"), "--json"]) == 0
    assert "test-lock" in capsys.readouterr().out
