"""Every relative link of a page leads to a file or folder of the project, and every page in one language to the same page in the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", ROOT / "GLOSSARY.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/README.md")]
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """The relative links of a page, without what stands behind `#`; nothing out of code."""
    found = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    return [link.partition("#")[0] for link in found if not re.match(r"[a-z]+:|#", link)]


@pytest.mark.parametrize("page", [page for page in PAGES if "reference" not in page.parts], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_every_relative_link_of_the_reference_leads_somewhere() -> None:
    pages = [page for page in PAGES if "reference" in page.parts]
    assert [f"{page.name}: {link}" for page in pages for link in set(links(page)) if not (page.parent / link).exists()] == []


def test_every_page_of_the_docs_stands_in_the_map() -> None:
    folders = ("tutorials", "how-to", "explanation")
    listed = set(links(ROOT / "docs" / "README.md"))
    assert {f"{folder}/{page.name}" for folder in folders for page in (ROOT / "docs" / folder).glob("*.md")} - listed == set()


def test_a_page_in_two_languages_has_the_same_headings_and_code_in_both() -> None:
    def shape(page: Path) -> tuple[int, list[str]]:
        text = page.read_text(encoding="utf-8")
        return text.count("\n## "), re.findall(r"^```(?:sh|yaml|python)$.*?^```$", text, re.MULTILINE | re.DOTALL)

    differing = []
    for page in (ROOT / "docs").rglob("*.ja.md"):
        (count, code), (other_count, other_code) = shape(page), shape(page.with_name(page.name.replace(".ja.md", ".md")))
        # A command that prints one language names it: ["text"]["ja"].
        if count != other_count or [block.replace('["ja"]', '["en"]') for block in code] != other_code:
            differing.append(page.name)
    assert differing == []
