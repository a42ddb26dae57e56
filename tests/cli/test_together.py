"""Two commands on one folder lose nothing of each other; amounts that slip into papers for outside are told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from kiban.base.errors import KibanError
from kiban.catalogue import Catalogue
from kiban.cli import main
from kiban.documents.leaks import leaks
from kiban.documents.papers import OUTSIDE
from kiban.loop.files import editing, read_folder, read_inputs, refresh_folder, warnings
from kiban.loop.inputs import write_inputs
from kiban.loop.plans import keep_voice

DAY = ("--today", "2026-12-01")


@pytest.fixture
def plan(example_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example_folder, tmp_path / "plan"))


def test_two_commands_at_once_keep_the_facts_of_both(plan: Path) -> None:
    facts = ("fiscal_index=0.3", "quotes_required=3")
    words = [[sys.executable, "-m", "kiban", "papers", str(plan), "--fact", fact, *DAY, "--json"] for fact in facts]
    running = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for line in words]
    errors = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    assert read_inputs(plan).facts == {"fiscal_index": 0.3, "quotes_required": 3.0}


def test_a_voice_waits_for_whoever_holds_the_folder(plan: Path) -> None:
    voice = threading.Thread(target=keep_voice, args=(plan, "models/shelter-comms", "声"))
    with editing(plan) as held:
        inputs = read_inputs(held.path)
        voice.start()
        voice.join(0.5)
        assert voice.is_alive()
        write_inputs(plan, replace(inputs, facts={"fiscal_index": 0.3}))
    voice.join(20)
    kept = read_inputs(plan)
    assert (kept.facts, kept.voices) == ({"fiscal_index": 0.3}, {"models/shelter-comms": "声"})


def test_a_folder_that_is_none_cannot_be_edited(tmp_path: Path) -> None:
    with pytest.raises(KibanError, match="no such folder"), editing(tmp_path / "none"):
        pass


def test_the_papers_for_outside_of_the_example_hold_no_amount(example_folder: Path) -> None:
    assert warnings(example_folder) == []


def test_an_amount_in_a_passage_for_outside_is_told_by_the_command(plan: Path, shipped_catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    folder = read_folder(plan)
    total = sum(folder.funding.adopted.total)
    write_inputs(plan, replace(folder.inputs, words={"out.spec.purpose": f"予算は{total:,}円以内。"}, made={"out.spec.purpose": "x"}))
    assert main(["papers", str(plan), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["warnings"]
    assert told.startswith(f"{OUTSIDE}/")
    assert told.endswith(f": 積算の金額 {total:,} が書かれています。送る前に消してください")
    refresh_folder(plan, shipped_catalogue, "ja", replace(folder.inputs, words={}, made={}))
    assert warnings(plan) == []


FULL = str.maketrans("0123456789,", "０１２３４５６７８９，")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda yen: str(yen), 1),
        (lambda yen: f"{yen:,}円".translate(FULL), 1),
        (lambda yen: f"{yen // 1000:,}千円", 1),
        (lambda yen: f"約{yen // 10_000 // 10_000}億{yen // 10_000 % 10_000}万円" if yen >= 10**8 else f"約{yen // 10_000}万円", 1),
        (lambda yen: f"1{yen}", 0),
        (lambda _: "予定価格 180,302 千円", 1),
        (lambda _: "最低制限価格は九百万円とする。", 1),
        (lambda _: "予定価格は公表しない。入札は令和9年4月1日", 0),
    ],
)
def test_an_amount_is_found_however_it_is_written(example_folder: Path, write, told: int) -> None:
    funding = read_folder(example_folder).funding
    text = write(funding.adopted.total[0])
    assert len(leaks(funding, {f"{OUTSIDE}/公表版.geojson": text.encode()})) == told, text
