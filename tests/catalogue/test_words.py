"""The interface has a word for everything that it shows, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kiban
from kiban.base import errors
from kiban.base.settings import LANGUAGES, read_settings
from kiban.catalogue import KINDS, PACKAGE_DATA
from kiban.catalogue.describe import catalogue_records, choice_word, choices, rows
from kiban.catalogue.tree import read_tree

SOURCE = Path(kiban.__file__).parent


def texts(lang: str) -> dict[str, str]:
    """The words of a language, read without the rest of the catalogue."""
    tree = read_tree((PACKAGE_DATA / "words" / f"{lang}.yaml").read_text(encoding="utf-8"), f"{lang}.yaml", [])
    return {key: node.text for key, node in tree.items.items()}


@pytest.fixture(scope="module")
def both() -> dict[str, dict[str, str]]:
    return {lang: texts(lang) for lang in LANGUAGES}


def test_both_languages_have_every_key(both: dict[str, dict[str, str]]) -> None:
    assert sorted(both["ja"]) == sorted(both["en"])
    assert [key for texts in both.values() for key, text in texts.items() if not text.strip()] == []


def test_every_field_and_every_choice_of_a_data_file_has_a_word(both: dict[str, dict[str, str]]) -> None:
    wanted = {f"kind.{name}" for name in KINDS} | {f"kind_about.{name}" for name in KINDS}
    for record in catalogue_records():
        for row in rows(record):
            wanted.add(f"field.{row.name}")
            wanted.update(f"value.{choice_word(row.name, row.type)}.{choice}" for choice in choices(row.type))
    assert sorted(wanted - set(both["ja"])) == []


def test_no_word_of_a_choice_is_left_over(both: dict[str, dict[str, str]]) -> None:
    used = [(row, choice) for record in catalogue_records() for row in rows(record) for choice in choices(row.type)]
    wanted = {f"value.{choice_word(row.name, row.type)}.{choice}" for row, choice in used}
    assert sorted(key for key in both["ja"] if key.startswith("value.") and key not in wanted) == []


def test_every_setting_and_every_error_has_its_words(both: dict[str, dict[str, str]], tmp_path: Path) -> None:
    settings = {f"settings.KIBAN_{name.upper()}" for name in vars(read_settings({}, tmp_path))}
    family = {f"error.{name}" for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, errors.KibanError)}
    assert sorted((settings | family) - set(both["ja"])) == []


def test_every_key_that_the_code_names_is_there(both: dict[str, dict[str, str]]) -> None:
    named = re.compile(r"""\b(?:word|w)\(\s*f?["']([a-z_]+(?:\.[A-Za-z_]+)*)["']""")
    missing = {
        f"{path.relative_to(SOURCE)}: {key}"
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".html", ".jinja")
        for key in named.findall(path.read_text(encoding="utf-8"))
        if key not in both["ja"]
    }
    assert sorted(missing) == []
