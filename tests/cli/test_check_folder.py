"""`kiban check` on a whole plan folder: what was changed after it was written is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from kiban.cli import main
from kiban.documents.papers import INSIDE, OUTSIDE
from kiban.loop.plans import keep_voice, read_kept

Check = Callable[[], tuple[int, dict[str, Any]]]


@pytest.fixture
def plan(example_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example_folder, tmp_path / "plan"))


@pytest.fixture
def check(plan: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def call() -> tuple[int, dict[str, Any]]:
        code = main(["check", str(plan), "--json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        return code, {finding["constraint"]: finding for finding in findings}

    return call


def failed(findings: dict[str, Any]) -> list[str]:
    return [name for name, finding in findings.items() if not finding["holds"]]


def change(path: Path, edit: Callable[[Any], object]) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    edit(body)
    path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")


def step(id: str) -> Callable[[Any], Any]:
    return lambda plan: next(one for one in plan["steps"] if one["id"] == id)["body"]


def test_a_folder_as_written_holds_also_after_somebody_left_a_voice(plan: Path, check: Check) -> None:
    code, findings = check()
    assert (code, failed(findings)) == (0, [])
    assert {"money", "step_funding", "step_verdict", "made_on", "papers"} <= set(findings)
    keep_voice(plan, "models/shelter-comms", "声")
    assert check()[0] == 0


SPOILED = {
    "another verdict": ("plan.json", lambda body: step("verdict")(body).update(status="build"), "step_verdict", "status"),
    "a verdict without its points": ("plan.json", lambda body: step("verdict")(body).update(points=[]), "step_verdict", "points"),
    "another answer of a support": ("plan.json", lambda body: step("funding")(body).update(missing=[]), "step_funding", "missing"),
    "no verdict": ("plan.json", lambda body: body.update(steps=[one for one in body["steps"] if one["id"] != "verdict"]), "step_verdict", "missing"),
    "money of an earlier day": ("funding.json", lambda body: body.update(made_on="2026-04-01"), "made_on", "2026-04-01"),
    "papers of another day": ("papers.json", lambda body: body.update(made_on="2026-12-24"), "made_on", "2026-12-24"),
    "a drill that leaves a site out": ("plan.json", lambda body: step("design")(body)["drill"]["events"][0]["off"].pop(), "drills", "off, not listed"),
    "a drill with fewer sites off": (
        "plan.json",
        lambda body: body["figures"][step("design")(body)["drill"]["events"][0]["sites"]].update(value=1),
        "drills",
        "sites",
    ),
    "a drill of a street that is not there": (
        "plan.json",
        lambda body: step("design")(body)["drill"]["events"][0].update(event="street:none"),
        "drills",
        "none",
    ),
    "papers without sums": ("papers.json", lambda body: body.update(sums={}), "papers", "names no paper"),
}


@pytest.mark.parametrize(("name", "edit", "constraint", "said"), SPOILED.values(), ids=SPOILED)
def test_what_was_changed_in_a_record_is_named(plan: Path, check: Check, name: str, edit: Callable[[Any], object], constraint: str, said: str) -> None:
    change(plan / name, edit)
    code, findings = check()
    assert (code, constraint in failed(findings)) == (1, True)
    assert said in findings[constraint]["found"]


@pytest.mark.parametrize(("gone", "constraint"), [("funding.json", "money"), ("papers.json", "papers"), ("region.json", "files"), ("plan.json", "files")])
def test_a_record_that_is_missing_fails(plan: Path, check: Check, gone: str, constraint: str) -> None:
    (plan / gone).unlink()
    code, findings = check()
    assert (code, constraint in failed(findings)) == (1, True)
    assert "missing" in findings[constraint]["found"]


def test_a_paper_that_is_missing_or_garbage_fails_and_is_named(plan: Path, check: Check) -> None:
    (plan / INSIDE / "予算表.xlsx").unlink()
    (plan / OUTSIDE / "見積様式.xlsx").write_bytes(b"PK garbage")
    code, findings = check()
    assert (code, failed(findings)) == (1, ["papers"])
    assert findings["papers"]["found"] == f"damaged: {OUTSIDE}/見積様式.xlsx; missing: {INSIDE}/予算表.xlsx"


def test_a_workbook_that_somebody_saved_again_is_told_and_holds(plan: Path, check: Check) -> None:
    path = plan / INSIDE / "積算内訳書.xlsx"
    book = openpyxl.load_workbook(path)
    book.active["A60"] = "課内メモ"
    book.save(path)
    code, findings = check()
    assert (code, findings["papers"]["found"]) == (0, f"edited: {INSIDE}/積算内訳書.xlsx")


def test_a_folder_that_a_killed_writer_left_half_moved_is_completed_first(plan: Path, check: Check) -> None:
    (plan / ".ready").mkdir()
    for name in ("plan.json", "papers.json"):
        (plan / name).rename(plan / ".ready" / name)
    assert read_kept(Path(shutil.copytree(plan, plan.parent / "other"))).plan.id
    assert check()[0] == 0
    assert not (plan / ".ready").exists()
