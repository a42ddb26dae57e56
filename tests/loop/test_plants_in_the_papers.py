"""A plant whose record has a source, as a town's own has: the plan, its papers and its page call it by its name."""

from __future__ import annotations

import json

import pytest

from kiban.catalogue import words
from kiban.cli import main
from kiban.documents.reasons import option_known
from kiban.documents.view import View
from kiban.loop.files import read_folder

HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
SITES = """id,kind,name,lat,lon,population,source
hall-east,shelter,東公民館,37.300,137.120,300,survey
"""
PLANTS = """id,name,technology,year_built,source
old-line,海山町光ケーブル,public-fibre,2009,survey
bare-mast,名前だけの鉄塔,fwa-relay,,survey
"""


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_plants_that_somebody_recorded_are_named_where_handing_over_is_an_option(tmp_path, shipped_catalogue, capsys, lang):
    town, out = tmp_path / "umiyama", tmp_path / "out"
    town.mkdir()
    for name, text in (("region.yaml", HEAD), ("sites.csv", SITES), ("plants.csv", PLANTS)):
        (town / name).write_text(text, encoding="utf-8")
    assert main(["plan", str(town), "--issue", "地震で孤立した集落と避難所の通信を確保したい", "-o", str(out), "--today", "2026-11-23", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["check"] is True
    folder = read_folder(out)
    view = View(folder.plan, shipped_catalogue, words(shipped_catalogue, lang), lang, folder.region.name, folder.region.sources)
    row = next(row for row in view.step("options")["rows"] if row["kind"] == "revise")
    known = option_known(view, row)
    assert "海山町光ケーブル" in known
    assert "名前だけの鉄塔" in known
