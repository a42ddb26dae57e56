"""kiban region: build and check on the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from kiban.base.errors import RegionError
from kiban.base.settings import Settings
from kiban.cli import region as command

FACILITIES = "全国地方公共団体コード,ID,名称,緯度,経度\n174637,F1,海山小学校,37.30,137.10\n174637,F2,中央公民館,37.31,137.11\n"


@pytest.fixture
def run(tmp_path):
    def call(*words):
        parser = argparse.ArgumentParser()
        command.add(parser.add_subparsers(dest="command", required=True))
        return command.run(parser.parse_args(["region", *map(str, words)]), Settings(state=tmp_path / "state"))

    return call


def test_build_and_check_say_what_was_placed_and_what_is_missing(run, tmp_path, land, capsys):
    (tmp_path / "public.csv").write_text(FACILITIES, encoding="utf-8")
    (tmp_path / "sources.yaml").write_text("public.csv: {title: 公共施設一覧, publisher: 海山町, licence: CC BY 4.0, seen_on: 2026-11-23}\n", encoding="utf-8")
    words = ("--id", "umiyama", "--code", "17463", "--name", "海山町", "--sources", tmp_path / "sources.yaml")
    assert run("build", tmp_path / "out", tmp_path / "public.csv", f"boundary={land}", *words) == 0
    text = capsys.readouterr().out
    assert "海山町 (umiyama, 174637)" in text
    assert "地点 / sites: hall 1, school 1" in text
    assert "出典の書かれていないファイル / files without a stated source: 1" in text
    assert run("check", tmp_path / "out", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["ok"]
    assert content["sites"] == {"hall": 1, "school": 1}
    assert "public:\n    title: 公共施設一覧" in (tmp_path / "out" / "region.yaml").read_text(encoding="utf-8")


def test_the_example_checks(run, capsys):
    assert run("check", Path(__file__).parents[2] / "examples" / "okunoto") == 0
    assert "公表値による例示。当該団体の計画・意思決定とは無関係" in capsys.readouterr().out


def test_a_source_for_a_file_that_was_not_given_is_refused(run, tmp_path):
    (tmp_path / "public.csv").write_text(FACILITIES, encoding="utf-8")
    (tmp_path / "sources.yaml").write_text("pubic.csv: {title: 一覧, seen_on: 2026-11-23}\n", encoding="utf-8")
    with pytest.raises(RegionError, match=r"pubic\.csv; expected names of the files that are given"):
        run("build", tmp_path / "out", tmp_path / "public.csv", "--id", "umiyama", "--sources", tmp_path / "sources.yaml")
