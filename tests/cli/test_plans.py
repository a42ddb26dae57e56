"""`kiban plans`: a frozen table of many plans, what supports refuse, and voices; broken folders are named and nothing is lost."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.cli import main
from kiban.loop.plans import Row, as_csv, export_row, find, keep_voice, read_kept, refusals, schema
from kiban.records.funding import Budget, Funding, Inputs, Line, Viability
from kiban.records.funding import Row as Amounts
from kiban.records.source import Tax, Text
from kiban.records.support import Finding, SupportAnswer

SCHEMA = Path(__file__).parents[2] / "docs" / "explanation" / "plans-export-1.schema.json"
# Version 1 is frozen: whoever reads these columns today reads them tomorrow.
COLUMNS = [
    "schema", "folder", "plan", "made_on", "lg_code", "town", "label", "issue", "model", "status", "verdict", "decisive", "first_year",
    "cost_first_year_yen", "cost_horizon_yen", "estimate", "awaiting_lines", "general_peak_yen", "general_peak_year", "general_peak_refused_yen",
    "supports_counted", "of_past_years", "support_ends", "payer_after_support", "payer_named", "unserved", "missing_facts", "voices",
]  # fmt: skip
NAME = Text(ja="試験", en="test")
SEEN = date(2026, 11, 23)


def budget(case: str, national: tuple[int, int], end_year: int | None) -> Budget:
    """9,000 and 3,000 yen; what the nation does not pay, the general fund does."""
    total = (9_000, 3_000)
    general = tuple(a - b for a, b in zip(total, national, strict=True))
    sources = (Amounts(id="national", years=national), Amounts(id="general", years=general))
    thousand = (Amounts(id="national", years=tuple(one // 1000 for one in national)), Amounts(id="general", years=tuple(one // 1000 for one in general)))
    return Budget(
        case=case,
        years=(2027, 2028),
        sections=(Amounts(id="service", years=total),),
        total=total,
        sources=sources,
        thousand_sections=(Amounts(id="service", years=(9, 3)),),
        thousand_total=(9, 3),
        thousand_sources=thousand,
        low=total,
        high=total,
        months=(9_000, *(0,) * 11),
        running_months=12,
        cash=general,
        payer_after="general",
        end_year=end_year,
    )


def line(id: str, price: float | None) -> Line:
    return Line(
        id=id, technology="radio", cost="fee", name=NAME, phase="yearly", per="site", section="service", category="service", quantity=1,
        unit_yen=price, tax=Tax.excluded, basis="awaiting" if price is None else "published",
    )  # fmt: skip


def finding(fact: str, state: str, ja: str) -> Finding:
    return Finding(fact=fact, state=state, text=Text(ja=ja, en=ja))


def answers(index: float) -> tuple[SupportAnswer, ...]:
    """Broadband refuses a rich town and asks a poor one for its kind of area; the fund has no text for the year yet."""
    rich = index >= 0.5
    broadband = SupportAnswer(
        support="broadband",
        answer="excluded" if rich else "missing",
        year=2027,
        edition=2027,
        findings=(finding("fiscal_index", "fails", "財政力指数0.5未満") if rich else finding("remote_area", "unknown", "辺地"),),
        missing=() if rich else ("remote_area",),
        source="page",
        read_on=SEEN,
    )
    fund = SupportAnswer(
        support="fund", answer="unpublished", example="missing", year=2027, edition=2026, missing=("operator_named",), source="page", read_on=SEEN
    )
    return broadband, fund


def funding(index: float) -> Funding:
    return Funding(
        plan="p",
        inputs="h",
        start=2027,
        horizon=2,
        tax_rate=0.1,
        lines=(line("radio.fee", 10.0), line("radio.gear", None)),
        answers=answers(index),
        adopted=budget("adopted", (8_000, 0), 2028),
        refused=budget("refused", (0, 0), None),
        viability=Viability(track="unknown", track_text=NAME, missing=("track",)),
        missing=("remote_area",),
    )


@pytest.fixture
def plans(example_folder: Path, tmp_path: Path) -> Path:
    """A folder of plans: rich and poor with money, plain without, and beside them a folder that is no plan's and one that is broken."""
    folder = tmp_path / "plans"
    for name, index in (("rich", 0.7), ("poor", 0.2), ("plain", None)):
        shutil.copytree(example_folder, folder / name)
        (folder / name / "funding.json").unlink()
        if index is not None:
            (folder / name / "funding.json").write_bytes(msgspec.json.encode(funding(index)))
    (folder / "notes").mkdir()
    (folder / "notes" / "memo.txt").write_text("no plan")
    return folder


def break_one(plans: Path) -> None:
    shutil.copytree(plans / "plain", plans / "broken")
    (plans / "broken" / "region.json").write_text("{")


def read(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_the_columns_of_version_1_are_frozen_and_documented() -> None:
    assert list(Row.__struct_fields__) == COLUMNS
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema()
    for page in ("plans-export.md", "plans-export.ja.md"):
        text = (SCHEMA.parent / page).read_text(encoding="utf-8")
        assert [name for name in COLUMNS if f"| {name} |" not in text] == []


def test_an_export_has_one_row_per_plan_with_money_and_model(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plans", "export", str(plans)]) == 0
    rows = read(capsys.readouterr().out)
    assert [Path(row["folder"]).name for row in rows] == ["plain", "poor", "rich"]
    poor, plain = rows[1], rows[0]
    assert (poor["schema"], poor["lg_code"], poor["model"], poor["verdict"]) == ("1", "174637", "shelter-comms@1", "hold")
    assert (poor["cost_first_year_yen"], poor["cost_horizon_yen"], poor["estimate"], poor["awaiting_lines"]) == ("9000", "12000", "true", "1")
    assert (poor["general_peak_yen"], poor["general_peak_year"], poor["general_peak_refused_yen"]) == ("3000", "2028", "9000")
    assert (poor["payer_after_support"], poor["support_ends"], poor["first_year"]) == ("general", "2028", "2027")
    assert {"remote_area", "track"} <= set(poor["missing_facts"].split("; "))
    assert poor["label"].startswith("公表値による例示")
    assert poor["decisive"]
    assert (plain["cost_horizon_yen"], plain["payer_after_support"]) == ("", "")


def test_a_json_export_holds_the_same_rows_as_the_csv(plans: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.json"
    assert main(["plans", "export", str(plans / "rich"), str(plans), "-o", str(out)]) == 0
    body = json.loads(out.read_text(encoding="utf-8"))
    assert (body["schema"], body["broken"]) == (1, [])
    assert [Path(row["folder"]).name for row in body["rows"]] == ["rich", "plain", "poor"]
    assert all(list(row) == COLUMNS for row in body["rows"])
    assert msgspec.json.decode(json.dumps(body["rows"]), type=list[Row])[0].cost_horizon_yen == 12_000


def test_a_broken_plan_is_named_and_the_others_come_out(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_one(plans)
    assert main(["plans", "export", str(plans)]) == 1
    captured = capsys.readouterr()
    assert len(read(captured.out)) == 3
    assert "region.json" in captured.err
    assert "broken" in captured.err


def test_a_folder_without_a_plan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plans", "export", str(tmp_path), str(tmp_path / "none")]) == 1
    err = capsys.readouterr().err
    assert "no plan in it" in err
    assert "no such folder" in err


def test_a_cell_that_begins_like_a_formula_is_no_formula(plans: Path) -> None:
    kept = read_kept(plans / "poor")
    nasty = replace(kept.plan, sentence="=HYPERLINK(1)", label="＠SUM(A1)")
    row = export_row(replace_kept(kept, nasty))
    cells = read(as_csv([row], Row))[0]
    assert (cells["issue"], cells["label"]) == ("'=HYPERLINK(1)", "'＠SUM(A1)")


def replace_kept(kept, plan):
    from dataclasses import replace as changed

    return changed(kept, plan=plan)


def test_refusals_count_conditions_and_missing_facts_per_support(plans: Path) -> None:
    rows = refusals(find([plans]).plans)
    assert [(row.support, row.kind, row.fact, row.plans, row.of_plans, row.examples) for row in rows] == [
        ("broadband", "condition", "fiscal_index", 1, 2, 0),
        ("broadband", "missing", "remote_area", 1, 2, 0),
        ("fund", "missing", "operator_named", 2, 2, 2),
    ]
    assert rows[0].text == "財政力指数0.5未満"


def test_refusals_are_printed_as_csv(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plans", "refusals", str(plans)]) == 0
    assert [row["support"] for row in read(capsys.readouterr().out)] == ["broadband", "broadband", "fund"]


def test_a_voice_is_kept_beside_all_else_and_both_tables_show_it(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    poor = plans / "poor"
    (poor / "inputs.json").write_bytes(msgspec.json.encode(Inputs(facts={"users_now": 40}, words={"purpose": "私の言葉"})))
    keep_voice(poor, "supports/fund", "要綱の公表が予算要求に間に合わない")
    assert main(["plans", "voice", str(poor), "--about", "models/shelter-comms", "--text", "集落ごとの様式がほしい"]) == 0
    kept = read_kept(poor).inputs
    assert kept.facts == {"users_now": 40}
    assert kept.words == {"purpose": "私の言葉"}
    assert kept.voices == {"models/shelter-comms": "集落ごとの様式がほしい", "supports/fund": "要綱の公表が予算要求に間に合わない"}
    capsys.readouterr()
    assert main(["plans", "export", str(poor)]) == 0
    assert "集落ごとの様式がほしい" in read(capsys.readouterr().out)[0]["voices"]
    assert {row.voices for row in refusals(find([plans]).plans) if row.support == "fund"} == {("要綱の公表が予算要求に間に合わない",)}
    keep_voice(poor, "supports/fund", " ")
    assert list(read_kept(poor).inputs.voices) == ["models/shelter-comms"]


def test_a_voice_about_nothing_known_or_in_no_plan_is_refused(plans: Path, tmp_path: Path) -> None:
    before = (plans / "poor" / "inputs.json").read_bytes()
    for about in ("models/nothing-like-it", "cases/2009-annaka-signage", "fund"):
        assert main(["plans", "voice", str(plans / "poor"), "--about", about, "--text", "声"]) == 2
    assert (plans / "poor" / "inputs.json").read_bytes() == before
    with pytest.raises(KibanError, match=r"no plan\.json"):
        keep_voice(tmp_path, "supports/fund", "声")
