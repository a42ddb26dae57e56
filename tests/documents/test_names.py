"""Every number of a plan has a name that people say, in both languages; its id stands beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.catalogue import load
from kiban.catalogue.words import words
from kiban.documents.names import figure_name
from kiban.documents.view import View
from kiban.loop.files import read_folder


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_figures_have_names_and_not_ids(example_folder: Path, lang: str) -> None:
    folder, catalogue = read_folder(example_folder), load()
    view = View(folder.plan, catalogue, words(catalogue, lang), lang, folder.region.name, folder.region.sources)
    names = {key: figure_name(view, key) for key in folder.plan.figures}
    raw = sorted(key for key, name in names.items() if name == key)
    assert len(raw) < len(names) / 50, raw
    assert not [name for name in names.values() if "_yen" in name or "kwh_" in name or ("#" in name and name not in raw)]


def test_a_figure_says_what_it_is_of_whom(example_folder: Path) -> None:
    folder, catalogue = read_folder(example_folder), load()
    view = View(folder.plan, catalogue, words(catalogue, "en"), "en", folder.region.name, folder.region.sources)
    said = {
        "drill/exchange:exchange-yanagida/back": "drill: 収容局(仮) 柳田 · cost to restore",
        "drill/kits/leo-satellite/kits": "drill: satellite kits · LEO satellite terminal (fixed) · satellite kits",
        "plants/plant-ushitsu-yanagida/without/more": "公設光ファイバ(仮) 宇出津―柳田: what the design without it costs more",
        "energy/leo-satellite": "LEO satellite terminal (fixed): electricity a year",
        "gap/down_mbps/all/before": "Downlink (all): share met today",
        "traffic/growth-20/factor/14": "plus 20 % a year, FY2041: factor",
        "tornado/number/rules/detour/rests": "the part of the total that rests on: detour factor",
        "region/okunoto#hamlet-goroku/population": "字合鹿: people",
    }
    assert {key: figure_name(view, key) for key in said} == said
