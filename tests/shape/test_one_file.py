"""One more thing is one more file: put into a KIBAN_DATA folder, it appears in list, show and the reference pages with no other edit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kiban.catalogue import KINDS, PACKAGE_DATA
from kiban.catalogue.docs import anchor
from kiban.cli import main

SAMPLES = Path(__file__).parents[1] / "samples" / "data"
# kind → (id, its headline in Japanese and in English, something that only its page shows)
NEW = {
    "technologies": ("test-radio", "試験無線", "test radio", "1,000 JPY/site"),
    "usecases": ("test-watch", "試験見守り", "test watch", "1,000 → 50 Mbps"),
    "models": ("test-model/1", "試験モデル", "test model", "test-watch"),
    "offers": ("test-offer", "試験の共同利用", "test offer", "[JPY/year]"),
    "cases": ("test-town", "試験町の見守り", "試験町の見守り", "https://example.org/test-town"),
    "locks": ("test-lock", "試験の疑い", "test suspicion", "試験専用の[0-9]{1,3}号機"),
    "clauses": ("test-clause", "試験条項", "test clause", "試験規格第1条"),
    "papers": ("test-paper", "試験書", "test paper", "試験の書き出しの文。"),
    "rules": ("test-rate", "試験率", "test rate", "0.03 1/year"),
    "supports": ("test-support", "試験補助", "test subsidy", "https://example.org/test-support"),
    "facts": ("test-fact", "試験の事実", "test fact", "https://example.org/test-fact"),
    "traffic": ("test-growth", "試験の伸び", "test growth", "0.1 1/year"),
    "forms": ("test-issue", "test-issue", "test-issue", "forms/test-issue.yaml"),
    "words": ("ja", "ja", "ja", "試験の言葉"),
}


def put(kind: str, own: Path) -> None:
    """The one new file (words: one in each language) in a folder of its own."""
    if kind == "forms":
        (own / "forms").mkdir(parents=True)
        shutil.copy(PACKAGE_DATA / "forms" / "issue.yaml", own / "forms" / "test-issue.yaml")
    else:
        shutil.copytree(SAMPLES / kind, own / kind)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("KIBAN_DATA", str(own))
    monkeypatch.setenv("KIBAN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("kiban.cli.command_names", lambda: ["catalogue", "docs"])  # the other groups have their own tests
    return own


def test_every_kind_has_its_new_file() -> None:
    assert sorted(NEW) == sorted(KINDS)


@pytest.mark.parametrize("kind", NEW)
def test_a_new_file_appears_in_list_show_and_docs(
    kind: str, environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    id, japanese, english, detail = NEW[kind]
    put(kind, environment)

    for lang, name in (("ja", japanese), ("en", english)):
        monkeypatch.setenv("KIBAN_LANG", lang)
        assert main(["catalogue", "list", kind, "--json"]) == 0
        entries = {entry["id"]: entry["name"] for entry in json.loads(capsys.readouterr().out)["entries"]}
        assert entries[id] == name
        assert main(["catalogue", "show", kind, id]) == 0
        assert capsys.readouterr().out.startswith(f"{name}\n{kind}/{id} · ")

    assert main(["docs", "-o", str(tmp_path / "reference")]) == 0
    for lang, name in (("ja", japanese), ("en", english)):
        page = (tmp_path / "reference" / lang / f"{kind}.md").read_text(encoding="utf-8")
        assert detail in page
        if kind != "words":
            assert f"- [{name}](#{anchor(id)})" in page
            assert f"## {name}\n" in page
