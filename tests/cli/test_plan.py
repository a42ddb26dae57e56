"""`kiban plan` and `kiban design`: the keys of --json and the exit codes, each with a real run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
# design.md 7: these stay; others may come.
PLAN_KEYS = {
    "status", "options", "verdict", "model", "cost_5y_yen", "cost_npv_yen", "lower_bound_yen", "gap", "unpriced", "assumed", "unserved", "files", "seconds",
}  # fmt: skip
DESIGN_KEYS = {"cost_npv_yen", "lower_bound_yen", "gap", "status", "relaxed", "seconds", "check", "sites_by_technology"}
FILES = {"plan.json", "plan.pdf", "sites.xlsx", "design.geojson", "problem.json", "design.json", "region.json", "funding.json", "inputs.json", "papers.json"}
INSIDE = {"起案文", "予算要求説明書", "事業計画書", "議会説明資料", "想定問答", "庁内照会文"}
OUTSIDE = {"仕様書案", "情報提供依頼書", "参考見積依頼書", "照会文"}
PAPERS = {f"庁内限り/{name}.{kind}" for name in INSIDE for kind in ("docx", "pdf")} | {"庁内限り/積算内訳書.xlsx", "庁内限り/予算表.xlsx"}
PAPERS |= {"庁内限り/数量表.xlsx", "庁内限り/設計図.gpkg", "庁内限り/設計図_OFDS.json"}
PAPERS |= {f"公表・提供用/{name}.{kind}" for name in OUTSIDE for kind in ("docx", "pdf")}
PAPERS |= {"公表・提供用/見積様式.xlsx", "公表・提供用/要件一覧.xlsx", "公表・提供用/公表版.geojson"}
HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
# A critical shelter needs ways over two risk classes: here is only the sky.
SITES = """id,kind,name,lat,lon,critical,source
hall-east,shelter,東公民館,37.300,137.120,yes,survey
hall-north,shelter,北公民館,37.320,137.100,,survey
"""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    folder = tmp_path / "umiyama"
    folder.mkdir()
    (folder / "region.yaml").write_text(HEAD, encoding="utf-8")
    (folder / "sites.csv").write_text(SITES, encoding="utf-8")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Runs a command; its exit code, what --json printed, and the error stream."""

    def call(*words: object) -> tuple[int, Any, str]:
        code = main([*map(str, words), "--json", "--today", "2026-11-23"])
        shown = capsys.readouterr()
        return code, json.loads(shown.out), shown.err

    return call


def test_a_plan_has_the_keys_and_files_that_are_fixed_and_ends_with_0(run, tmp_path):
    out = tmp_path / "out"
    code, result, _ = run("plan", EXAMPLE, "--issue", SHELTER, "-o", out)
    assert code == 0
    assert PLAN_KEYS - set(result) == set()
    assert {str(Path(name).relative_to(out)) for name in result["files"]} == FILES | PAPERS
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == FILES | PAPERS
    assert result["check"] is True
    assert result["verdict"]["status"] == "hold"
    assert {option["kind"] for option in result["options"]} == {"leave", "nondigital", "revise", "share", "join", "buy", "build"}
    for row in result["unpriced"]:
        assert set(row) >= {"technology", "missing", "break_even_yen"}
    for name in FILES | PAPERS:
        assert (out / name).stat().st_size > 0
    assert json.loads((out / "plan.json").read_text(encoding="utf-8"))["sentence"] == SHELTER


def test_a_design_alone_has_the_keys_that_are_fixed(run):
    code, result, _ = run("design", EXAMPLE, "--usecase", "shelter")
    assert code == 0
    assert DESIGN_KEYS - set(result) == set()
    assert sum(result["sites_by_technology"].values()) >= 24


def test_a_site_that_no_technology_may_serve_ends_with_3_and_a_partial_design(run, town, tmp_path):
    code, result, _ = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out")
    assert (code, result["status"], result["cost_npv_yen"], result["cost_5y_yen"]) == (3, "unserved", None, None)
    assert result["unserved"] == [{"site": "hall-east", "usecase": "shelter"}]
    assert result["priced_part_npv_yen"] > 0
    plan = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    sites = {row["site"]: row for row in plan["steps"][3]["body"]["sites"]}
    assert (sites["hall-east"]["reason"], sites["hall-east"]["unserved"], sites["hall-north"]["unserved"]) == ("unserved", ["shelter"], [])
    assert sites["hall-north"]["technologies"] == ["leo-satellite"]


def test_an_unserved_site_may_be_allowed(run, town, tmp_path):
    code, result, _ = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out", "--allow-unserved")
    assert (code, result["status"]) == (0, "unserved")
    assert run("design", town, "--usecase", "shelter")[0] == 3
    assert run("design", town, "--usecase", "shelter", "--allow-unserved")[0] == 0
    assert run("drill", town, "--usecase", "shelter")[0] == 3
    assert run("drill", town, "--usecase", "shelter", "--allow-unserved")[0] == 0


def test_the_bus_and_clinic_sentence_ends_honestly_with_4(run, tmp_path):
    out = tmp_path / "out"
    code, result, _ = run("plan", EXAMPLE, "--issue", "路線バスが来年減便、通院が困難", "-o", out)
    assert (code, result["status"], result["models"], result["files"]) == (4, "questions", [], [])
    assert not out.exists()
    assert len(result["cases"]) >= 3
    stopped = [case["stopped"] for case in result["cases"]]
    assert stopped == sorted(stopped, reverse=True)  # stopped ones first
    assert result["ask"]
    assert result["why"]["ja"]


def test_a_sentence_about_something_else_ends_with_4_and_no_plan(run, tmp_path):
    code, result, _ = run("plan", EXAMPLE, "--issue", "カレーの作り方", "-o", tmp_path / "out")
    assert (code, result["status"], result["issue"], result["models"]) == (4, "questions", "not_an_issue", [])
    assert not (tmp_path / "out").exists()
    assert result["why"]["ja"]


def test_questions_leave_an_older_plan_as_it_is(run, town, tmp_path):
    out = tmp_path / "out"
    run("plan", town, "--issue", SHELTER, "-o", out)
    before = (out / "plan.json").read_bytes()
    assert run("plan", town, "--issue", "カレーの作り方", "-o", out)[0] == 4
    assert (out / "plan.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--answer", "shelter-places"], "QUESTION=CHOICE"),
        (["--answer", "no-such=all"], "no-such"),
        (["--answer", "shelter-places=no-such"], "no-such"),
        (["--seed", "-1"], "--seed"),
        (["--work", "0"], "--work"),
        (["--time", "nan"], "--time"),
    ],
)
def test_a_bad_argument_ends_with_2_and_names_itself(run, town, tmp_path, words, message):
    code, result, err = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out", *words)
    assert (code, result["ok"], result["status"]) == (2, False, 400)
    assert message in result["error"]
    assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("day", ["2026-13-01", "tomorrow", "1890-01-01"])
def test_a_bad_day_ends_with_2(town, tmp_path, day, capsys):
    assert main(["plan", str(town), "--issue", SHELTER, "-o", str(tmp_path / "out"), "--today", day]) == 2
    assert day in capsys.readouterr().err


def test_an_unknown_region_and_an_empty_sentence_end_with_2(run, town, tmp_path):
    code, result, _ = run("plan", tmp_path / "nowhere", "--issue", SHELTER, "-o", tmp_path / "out")
    assert (code, "kiban region build" in result["error"]) == (2, True)
    code, result, _ = run("plan", town, "--issue", "", "-o", tmp_path / "out")
    assert (code, result["ok"]) == (2, False)


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work(run, town, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, result, _ = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out")
    assert (code, result["ok"]) == (2, False)
    assert (tmp_path / "out").read_text() == "mine"


def test_missing_fonts_are_told_before_the_work(run, town, tmp_path, monkeypatch):
    monkeypatch.setattr("kiban.documents.fonts.FONTS", tmp_path / "none")
    monkeypatch.setattr("kiban.loop.plan.make_plan", None)  # not reached
    code, _, error = run("plan", str(town), "--issue", SHELTER, "-o", str(tmp_path / "out"))
    assert code == 2
    assert "make setup" in error


def test_an_unknown_use_case_ends_with_2_and_a_hint(run, town):
    code, result, _ = run("design", town, "--usecase", "sheltr")
    assert code == 2
    assert "shelter" in result["error"]


def test_a_broken_data_file_ends_with_2_and_its_line(run, town, tmp_path, monkeypatch):
    own = tmp_path / "own" / "rules"
    own.mkdir(parents=True)
    (own / "discount-rate.yaml").write_text("name: {ja: 率, en: rate}\nvalues: [\n", encoding="utf-8")
    monkeypatch.setenv("KIBAN_DATA", str(own.parent))
    code, result, _ = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out")
    assert code == 2
    assert "rules/discount-rate.yaml:" in result["error"]
    assert not (tmp_path / "out").exists()


def test_an_answer_takes_its_places_out_of_the_plan(run, tmp_path):
    _, all_, _ = run("plan", EXAMPLE, "--issue", SHELTER, "-o", tmp_path / "all")
    _, some, _ = run("plan", EXAMPLE, "--issue", SHELTER, "-o", tmp_path / "some", "--answer", "shelter-places=hamlets")
    assert some["priced_part_npv_yen"] < all_["priced_part_npv_yen"]
    plan = json.loads((tmp_path / "some" / "plan.json").read_text(encoding="utf-8"))
    kinds = {row["kind"] for row in plan["steps"][3]["body"]["sites"]}
    assert ("hamlet" in kinds, "shelter" in kinds) == (True, False)


def test_a_street_graph_in_pieces_is_planned_and_said(run, town, tmp_path):
    """Two streets that do not meet: the exchange reaches one shelter by line; the other, not critical, gets the sky."""
    town.joinpath("sites.csv").write_text(SITES.replace("yes", ""), encoding="utf-8")
    town.joinpath("places.csv").write_text("id,kind,name,lat,lon,source\nexchange,exchange,収容局,37.300,137.119,survey\n", encoding="utf-8")
    lines = [[[137.1185, 37.3], [137.1205, 37.3]], [[137.0995, 37.32], [137.1005, 37.32]]]
    features = [{"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": line}} for line in lines]
    town.joinpath("streets.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    code, result, _ = run("plan", town, "--issue", SHELTER, "-o", tmp_path / "out")
    assert (code, result["unserved"], result["check"]) == (0, [], True)
    body = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))["steps"][3]["body"]
    assert {row["site"]: row["technologies"] for row in body["sites"]} == {"hall-east": ["pon-ftth"], "hall-north": ["leo-satellite"]}
    assert any("piece" in f"{row['what']} {row['why']}" or "つなが" in f"{row['what']} {row['why']}" for row in body["missing"]), body["missing"]
