"""The reference pages are those of the present code and data, and everything that a user meets has its heading there."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kiban.base import errors
from kiban.base.settings import LANGUAGES, read_settings
from kiban.catalogue import KINDS, load
from kiban.catalogue.docs import changed, pages
from kiban.cli import build_parser

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages(load(), build_parser())


def headings(made: dict[str, str], name: str) -> list[set[str]]:
    """The second-level headings of a page, in each language."""
    return [{line[3:] for line in made[f"{lang}/{name}.md"].splitlines() if line.startswith("## ")} for lang in LANGUAGES]


def test_the_written_pages_are_current(made: dict[str, str]) -> None:
    assert changed(made, REFERENCE) == [], "run `make docs` and commit docs/reference"


def test_the_same_input_gives_the_same_pages(made: dict[str, str]) -> None:
    assert pages(load(), build_parser()) == made


def test_every_command_has_a_heading(made: dict[str, str]) -> None:
    def names(parser: argparse.ArgumentParser) -> set[str]:
        below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        return {parser.prog}.union(*(names(sub) for choices in below for sub in choices.values()))

    assert all(names(build_parser()) <= found for found in headings(made, "cli"))


def test_every_setting_has_a_heading(made: dict[str, str], tmp_path: Path) -> None:
    wanted = {f"KIBAN_{name.upper()}" for name in vars(read_settings({}, tmp_path))} | {"KIBAN_TEST_DATA", "KIBAN_BENCH_DATA", "KIBAN_REQUIRE"}
    assert all(wanted == found for found in headings(made, "settings"))


def test_every_error_has_a_heading(made: dict[str, str]) -> None:
    wanted = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, errors.KibanError)}
    assert all(wanted == found for found in headings(made, "errors"))


def test_every_entry_has_a_place_on_its_page(made: dict[str, str]) -> None:
    catalogue = load()
    missing = [
        f"{kind}/{id}"
        for kind in KINDS
        if kind != "words"
        for id in catalogue.of(kind)
        if any(f'<a id="{id.replace("/", "-").replace(".", "-")}"></a>' not in made[f"{lang}/{kind}.md"] for lang in LANGUAGES)
    ]
    assert missing == []


def test_every_link_of_the_reference_pages_leads_somewhere(made: dict[str, str]) -> None:
    for lang in LANGUAGES:
        index = made[f"{lang}/README.md"]
        assert all(f"({name.removeprefix(f'{lang}/')})" in index for name in made if name.startswith(f"{lang}/") and "README" not in name)
