"""One case per data file of the package: it reads, its sources are complete, its level is computed, and it shows in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kiban.base.settings import LANGUAGES
from kiban.catalogue import KINDS, PACKAGE_DATA, Catalogue, load
from kiban.catalogue.catalogue import quantities
from kiban.catalogue.view import view
from kiban.records.rules import Record
from kiban.records.source import Source, Text

FILES = sorted(path.relative_to(PACKAGE_DATA).with_suffix("").as_posix() for path in PACKAGE_DATA.rglob("*.yaml"))
KANA = re.compile(r"[\u3041-\u30ff]")
ADDRESS = re.compile(r"https?://[^\s/]+\.[^\s/]+(/\S*)?$")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def parts(thing: object, wanted: type) -> list:
    """Every part of one type inside a record."""
    if isinstance(thing, wanted):
        return [thing]
    if isinstance(thing, Record):
        thing = [getattr(thing, name) for name in thing.__struct_fields__]
    if isinstance(thing, dict):
        thing = list(thing.values())
    return [found for part in thing for found in parts(part, wanted)] if isinstance(thing, list | tuple) else []


@pytest.mark.parametrize("name", FILES)
def test_file(catalogue: Catalogue, name: str) -> None:
    kind, _, id = name.partition("/")
    record = catalogue.get(kind, id)

    assert Path(catalogue.paths[name]) == PACKAGE_DATA / f"{name}.yaml"
    assert catalogue.level(name) in ("draft", "checked", "tried", "proven")
    assert [quantity for quantity in quantities(record) if quantity.value is not None and quantity.source not in record.sources] == []
    assert [source for source in parts(record, Source) if not (source.url or source.publisher or source.published)] == []
    addresses = [source.url for source in parts(record, Source) if source.url] + list(getattr(record, "urls", ()))
    assert [address for address in addresses if not all(ADDRESS.match(each) for each in address.split())] == []
    assert [text.en for text in parts(record, Text) if KANA.search(text.en)] == []
    for lang in LANGUAGES:
        assert catalogue.headline(kind, id, lang).strip()
        assert view(catalogue, kind, id, lang)


def test_every_kind_has_files() -> None:
    assert sorted({name.partition("/")[0] for name in FILES}) == sorted(KINDS)


def test_nothing_mentions_an_entry_that_is_not_there(catalogue: Catalogue) -> None:
    assert [str(link) for link in catalogue.dangling] == []


def test_the_files_are_as_many_as_promised(catalogue: Catalogue) -> None:
    counts = {kind: len(catalogue.of(kind)) for kind in KINDS}
    projects = [case for case in catalogue.cases.values() if case.kind == "project"]
    assert counts["technologies"] >= 18
    assert counts["usecases"] >= 14
    assert len({key.partition("/")[0] for key in catalogue.models}) >= 4
    assert len(projects) >= 79


def test_no_file_of_the_package_assumes_a_value() -> None:
    # Assumed rows are legal in a region or a scenario only.
    assert [name for name in FILES if re.search(r"(?m)^\s*-?\s*assumed\s*:", (PACKAGE_DATA / f"{name}.yaml").read_text(encoding="utf-8"))] == []
