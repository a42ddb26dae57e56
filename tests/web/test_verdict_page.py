"""The plan page shows the seven options, the one point to confirm and the letters; a plan of an earlier version is still shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

NEW = ("options", "conclusion", "inquiries", "fast_lane", "social_capital")


@pytest.fixture(scope="module")
def address(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """The example, and the same as an earlier version wrote it: a verdict without options."""
    plans = tmp_path_factory.mktemp("verdicts") / "plans"
    for name in ("now", "earlier"):
        shutil.copytree(example_folder, plans / name)
    path = plans / "earlier" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    for step in plan["steps"]:
        if step["id"] == "verdict":
            step["body"] = {key: value for key, value in step["body"].items() if key not in NEW}
    path.write_text(json.dumps(plan), encoding="utf-8")
    return serve(plans)


def page(address: str, name: str, lang: str) -> str:
    read = []
    for tab in ("", "/options"):
        with urlopen(f"{address}/plans/{name}{tab}?lang={lang}", timeout=20) as answer:
            read.append(answer.read().decode())
    return "".join(read)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "ja",
            (
                "保留：この1点を確認してください",
                "期間中の費用",
                "結論を変えるもの",
                "ご教示くださいますようお願いいたします",
                "現状のままでも費用はゼロではない",
            ),
        ),
        ("en", ("On hold: confirm this one point", "Cost over the horizon", "What would change it", "It promises neither a project nor a contract")),
    ],
)
def test_the_page_shows_options_the_one_point_and_the_letters(address: str, lang: str, words: tuple[str, ...]) -> None:
    text = page(address, "now", lang)
    assert [word for word in words if word not in text] == []
    assert text.count("<details") > 3


def test_a_plan_of_an_earlier_version_shows_what_it_knows(address: str) -> None:
    text = page(address, "earlier", "ja")
    assert "既存設備の見直し・譲渡（民設移行）" in text
    assert "期間中の費用" not in text
