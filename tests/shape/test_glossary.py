"""Every Japanese term of the records has its English word in the glossary, in order and once."""

from __future__ import annotations

import re
from pathlib import Path

from kiban.catalogue import load

ROOT = Path(__file__).parents[2]
ROWS = [line.strip("| \n").split(" | ") for line in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
TERM = re.compile(r"[一-龯々ァ-ヶー]{2,}")
# Names of places and institutions, and words of an example, are no terms.
NO_TERMS = {"以上", "川崎", "学校法人", "総務省", "全国地方公共団体", "令和", "平成", "昭和", "元年"}


def test_the_glossary_is_in_order_and_each_english_word_stands_once() -> None:
    english = [row[0].lower() for row in ROWS]
    assert english == sorted(set(english))
    assert [row for row in ROWS if len(row) != 3] == []


def test_every_japanese_term_of_the_records_is_explained() -> None:
    japanese = " ".join(row[1] for row in ROWS)
    used = {term for path in (ROOT / "src" / "kiban" / "records").glob("*.py") for term in TERM.findall(path.read_text(encoding="utf-8"))}
    assert sorted(term for term in used if term not in japanese and term not in NO_TERMS) == []


def test_every_kind_and_heading_of_the_plan_is_explained() -> None:
    words = load().words["ja"]
    japanese = " ".join(row[1] for row in ROWS)
    headings = ("issue", "needs", "options", "design", "verdict", "cases", "sources", "lower_bound", "gap", "sharing", "break_even", "existing_plant")
    wanted = {TERM.findall(words[key])[0] for key in words if key.startswith("kind.") or key in {f"plan.{name}" for name in headings}}
    assert sorted(term for term in wanted if term not in japanese) == []
