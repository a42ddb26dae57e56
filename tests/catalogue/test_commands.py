"""kiban catalogue and kiban docs, as a person types them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from kiban.base.errors import DataFileError
from kiban.catalogue import KINDS, PACKAGE_DATA
from kiban.catalogue.reader import DataFile, read_file
from kiban.cli import main

SAMPLES = Path(__file__).parents[1] / "samples" / "data"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A region's own data folder with the samples in it, over a package that has its words alone."""
    shutil.copytree(PACKAGE_DATA / "words", tmp_path / "package" / "words")
    monkeypatch.setattr("kiban.catalogue.reader.PACKAGE_DATA", tmp_path / "package")
    shutil.copytree(SAMPLES, tmp_path / "own")
    monkeypatch.setenv("KIBAN_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("KIBAN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("kiban.cli.command_names", lambda: ["catalogue", "docs"])  # the other groups have their own tests
    return tmp_path / "own"


@pytest.mark.usefixtures("own")
def test_check_counts_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert set(answer["kinds"]) == set(KINDS)
    assert "usecases/test-watch" in answer["needs_source"]


def test_check_tells_a_dangling_mention_with_its_line(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own / "models" / "test-model" / "1.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("[test-radio]", "[test-radios]"), encoding="utf-8")
    assert main(["catalogue", "check"]) == 2
    told = capsys.readouterr().err.strip()
    assert told == (
        "kiban: models/test-model/1.yaml:13 components › access › technologies: found 'test-radios'; expected an entry of technologies. "
        "Next: did you mean 'test-radio'?"
    )


def test_a_broken_file_stops_every_command_and_names_itself(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "rules" / "bad.yaml").write_text("name: x\n", encoding="utf-8")
    assert main(["catalogue", "list", "rules", "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert len(answer["errors"]) == 3
    assert all(error.startswith("own/rules/bad.yaml:1") for error in answer["errors"])


@pytest.mark.usefixtures("own")
def test_list_shows_name_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "list", "technologies"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "test-radio" in line)
    assert line.split() == ["test-radio", "形式確認済（出典・単位が揃う）", "試験無線"]


@pytest.mark.usefixtures("own")
def test_show_prints_every_value_with_unit_year_tax_confidence_and_source(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = "試験の約束 (https://example.org/test-radio, {})"
    assert main(["catalogue", "show", "technologies", "test-radio"]) == 0
    shown = capsys.readouterr().out
    assert f"1: 1,000 JPY/site · 2026年の値 · 税抜 · 確度A · 出典: {source.format('2026-11-23閲覧')}" in shown
    monkeypatch.setenv("KIBAN_LANG", "en")
    assert main(["catalogue", "show", "technologies", "test-radio"]) == 0
    shown = capsys.readouterr().out
    assert f"1: 1,000 JPY/site · as of 2026 · tax excluded · confidence A · source: {source.format('seen 2026-11-23')}" in shown


@pytest.mark.usefixtures("own")
def test_show_says_that_a_value_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "show", "usecases", "test-watch"]) == 0
    assert "片道遅延: 不明（要出典） [ms]" in capsys.readouterr().out


@pytest.mark.usefixtures("own")
def test_show_takes_the_newest_version_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "show", "models", "test-model", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["id"], answer["file"], answer["level"]) == ("test-model/1", "models/test-model/1.yaml", "checked")
    assert len(answer["hash"]) == 64


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["show", "technologies", "test-radoi"], "did you mean 'test-radio'?"),
        (["show", "technology", "test-radio"], "did you mean 'technologies'?"),
        (["list", "case"], "did you mean 'cases' or 'clauses' or 'usecases'?"),
        (["new", "rule", "x"], "did you mean 'rules'?"),
        (["new", "rules", "My Rule"], "for example"),
        (["new", "rules", "../x"], "for example"),
        (["new", "rules", "test-rate"], "choose another id, or edit the file"),
    ],
)
def test_a_slip_of_the_keyboard_gets_a_hint(capsys: pytest.CaptureFixture[str], typed: list[str], hint: str) -> None:
    assert main(["catalogue", *typed]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_file_lacks_nothing_but_its_blanks(kind: str, tmp_path: Path) -> None:
    assert main(["catalogue", "new", kind, "my-own", "-o", str(tmp_path / "new")]) == 0
    path = tmp_path / "new" / kind / ("my-own/1.yaml" if KINDS[kind].versions else "my-own.yaml")
    problems: list[DataFileError] = []
    read_file(DataFile(KINDS[kind], "my-own", path.name, path, path.read_bytes()), problems)
    assert [problem for problem in problems if problem.found != "a blank"] == []
    assert problems or kind == "forms"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "words"])
def test_every_commented_line_of_a_new_file_is_a_field_once_uncommented(kind: str, tmp_path: Path) -> None:
    assert main(["catalogue", "new", kind, "my-own", "-o", str(tmp_path / "new")]) == 0
    path = tmp_path / "new" / kind / ("my-own/1.yaml" if KINDS[kind].versions else "my-own.yaml")
    text = re.sub(r"(?m)^# ( *(?:- )?[a-z_][\w-]*:.*)$", r"\1", path.read_text(encoding="utf-8"))
    problems: list[DataFileError] = []
    read_file(DataFile(KINDS[kind], "my-own", path.name, path, text.encode()), problems)
    assert [problem for problem in problems if "unknown field" in problem.found or "not YAML" in problem.found or "twice" in problem.found] == []


def test_a_second_file_can_be_begun_while_the_first_has_blanks(own: Path) -> None:
    assert main(["catalogue", "new", "technologies", "first"]) == 0
    assert main(["catalogue", "new", "technologies", "second"]) == 0
    assert (own / "technologies" / "second.yaml").is_file()


def test_the_next_version_of_a_model_names_the_one_before(own: Path) -> None:
    assert main(["catalogue", "new", "models", "test-model"]) == 0
    assert "\nreplaces: test-model/1\n" in (own / "models" / "test-model" / "2.yaml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("own")
def test_docs_are_written_once_and_then_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "reference"
    assert main(["docs", "-o", str(folder), "--check"]) == 2
    assert main(["docs", "-o", str(folder)]) == 0
    assert main(["docs", "-o", str(folder), "--check"]) == 0
    (folder / "ja" / "left-over.md").write_text("x", encoding="utf-8")
    (folder / "en" / "cli.md").write_text("x", encoding="utf-8")
    capsys.readouterr()
    assert main(["docs", "-o", str(folder), "--check"]) == 2
    assert "2 page(s) out of date (en/cli.md, ja/left-over.md)" in capsys.readouterr().err
    assert main(["docs", "-o", str(folder)]) == 0
    assert not (folder / "ja" / "left-over.md").exists()
