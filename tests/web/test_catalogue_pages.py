"""Every entry of the data files has its page with every source; versions and own files say what differs; help lists every page, the glossary every word."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from kiban.catalogue import KINDS, PACKAGE_DATA, Catalogue, load
from kiban.catalogue.differences import differences
from kiban.catalogue.links import dangling, mentions, used_by
from kiban.catalogue.reader import overridden
from kiban.catalogue.view import record_lines
from kiban.web.plans import ORDER
from kiban.web.terms import terms

Get = Callable[[str], Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def get(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str], asking: Callable[[str], Get]) -> Get:
    plans = tmp_path_factory.mktemp("catalogue") / "plans"
    shutil.copytree(example_folder, plans / "okunoto")
    return asking(serve(plans))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cases"])
def test_every_entry_shows_every_source(get: Get, shipped_catalogue: Catalogue, kind: str) -> None:
    for id, record in shipped_catalogue.of(kind).items():
        answer = get(f"/catalogue/{kind}/{quote(id)}?lang=ja")
        text = html.unescape(answer.text)
        assert answer.status == 200
        for source in getattr(record, "sources", {}).values():
            assert source.title in text
            if source.url and source.url.startswith("http"):
                assert f'href="{source.url.split(" ")[0]}"' in text
            assert source.seen_on.isoformat() in text


def test_the_list_of_kinds_counts_all_files_and_leads_to_them(get: Get, shipped_catalogue: Catalogue) -> None:
    page = get("/catalogue?lang=en").text
    for kind in KINDS:
        assert f'href="/{"cases" if kind == "cases" else f"catalogue/{kind}"}?lang=en"' in page
        assert f">{len(shipped_catalogue.of(kind))}</td>" in page
    assert get("/catalogue/nothing").status == 404
    assert get("/catalogue/models/nothing").status == 404
    assert "shelter-comms/1" in get("/catalogue/models/shelter-comms").text  # the id alone means the newest version


def test_entries_are_found_by_japanese_words_in_any_width_and_filtered(get: Get, shipped_catalogue: Catalogue) -> None:
    assert "leo-satellite" in get("/catalogue/technologies?q=" + quote("衛星　ＬＥＯ")).text
    none = get("/catalogue/technologies?q=" + quote("<script>")).text
    assert "当てはまるものはありません" in none
    assert "<script>" not in none.replace("<script ", "")
    drafts = get("/catalogue/technologies?level=draft").text
    found = set(re.findall(r'<code class="key">([^<]*)</code>', drafts))
    assert found == {id for id in shipped_catalogue.technologies if shipped_catalogue.level(f"technologies/{id}") == "draft"}


def test_an_entry_names_what_uses_it_and_the_plans_made_with_it(get: Get, shipped_catalogue: Catalogue) -> None:
    page = get("/catalogue/usecases/shelter?lang=en").text
    for link in used_by(shipped_catalogue, "usecases", "shelter"):
        kind, _, file = link.file.partition("/")
        path = f"/cases/{file[:-5]}" if kind == "cases" else f"/catalogue/{kind}/{file[:-5]}"
        assert f'href="{path}?lang=en"' in page
    assert "地震で孤立した集落と避難所の通信を確保したい" in page


def test_mentions_hold_the_dangling_ones_and_all_others(shipped_catalogue: Catalogue) -> None:
    every = mentions(shipped_catalogue)
    assert set(dangling(shipped_catalogue)) <= set(every)
    assert any(link.kind == "technologies" and link.file.startswith("models/") for link in every)


def test_two_versions_of_a_model_are_compared_in_words(tmp_path: Path, example_folder: Path, serve: Callable[..., str], asking: Callable[[str], Get]) -> None:
    (id, *_) = sorted(path.name for path in (PACKAGE_DATA / "models").iterdir())
    folder = tmp_path / "data" / "models" / id
    folder.mkdir(parents=True)
    second = yaml.safe_load((PACKAGE_DATA / "models" / id / "1.yaml").read_text(encoding="utf-8"))
    second |= {"replaces": f"{id}/1", "name": {"ja": "二番目の案", "en": "A second proposal"}, "review_by": date(2030, 3, 31)}
    (folder / "2.yaml").write_text(yaml.safe_dump(second, allow_unicode=True), encoding="utf-8")
    catalogue = load(tmp_path / "data")
    lines = [record_lines(catalogue, "models", catalogue.models[f"{id}/{version}"], "ja") for version in (1, 2)]
    before = catalogue.models[f"{id}/1"].review_by.isoformat()
    assert differences(*lines) == [("見直し期限", before, "2030-03-31"), ("置き換える版", "", f"{id}/1")]
    page = asking(serve(example_folder.parent, catalogue))(f"/catalogue/models/{id}/2?against={id}/1&lang=ja").text
    assert "第1版との違い" in page
    assert page.count("2030-03-31") == 2  # in the difference and among the values
    assert "二番目の案</td>" in page
    assert "版は一つだけです" in asking(serve(example_folder.parent, load()))(f"/catalogue/models/{id}/1").text


def test_a_file_of_the_town_s_own_is_marked_and_held_against_the_package_s(
    tmp_path: Path, example_folder: Path, serve: Callable[..., str], asking: Callable[[str], Get]
) -> None:
    folder = tmp_path / "data" / "facts"
    folder.mkdir(parents=True)
    own = yaml.safe_load((PACKAGE_DATA / "facts" / "bond_interest.yaml").read_text(encoding="utf-8"))
    own["desk"] = {"ja": "能登町 財政係", "en": "finance desk of Noto"}
    (folder / "bond_interest.yaml").write_text(yaml.safe_dump(own, allow_unicode=True), encoding="utf-8")
    catalogue = load(tmp_path / "data")
    assert overridden(catalogue, "facts", "bond_interest") == load().facts["bond_interest"]
    assert overridden(catalogue, "facts", "depopulated") is None
    get = asking(serve(example_folder.parent, catalogue))
    page = get("/catalogue/facts/bond_interest?lang=ja").text
    assert "元の値との違い" in page
    assert "能登町 財政係" in page
    assert load().facts["bond_interest"].desk.ja in page
    assert "町の値" in get("/catalogue/facts?lang=ja").text
    assert "元の値との違い" not in get("/catalogue/facts/depopulated?lang=ja").text


def test_a_figure_leads_to_the_entry_that_it_was_read_from(get: Get) -> None:
    page = get("/plans/okunoto/figures?lang=en&id=" + quote("technologies/leo-satellite#service/0", safe="")).text
    assert 'href="/catalogue/technologies/leo-satellite?lang=en"' in page


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_help_lists_every_page_of_a_plan_and_eight_steps(get: Get, shipped_catalogue: Catalogue, lang: str) -> None:
    texts = shipped_catalogue.words[lang]
    page, plan = (html.unescape(get(f"{path}?lang={lang}").text) for path in ("/help", "/plans/okunoto"))
    tabs = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', plan[plan.index('class="tabs"') : plan.index("</nav>", plan.index('class="tabs"'))])
    assert len(tabs) > 4
    for link, name in tabs:
        assert f">{name}</a>" in page
        assert get(link).status == 200
    assert page.count("<li><h3>") == 8
    assert all(f"help.tab.{tab or 'summary'}" in texts for tab in ORDER)


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_glossary_has_every_word_with_its_anchor(get: Get, shipped_catalogue: Catalogue, lang: str) -> None:
    page = get(f"/help/words?lang={lang}").text
    ids = terms(shipped_catalogue.words[lang])
    assert sorted(re.findall(r'<div id="([^"]*)"', page)) == sorted(ids)
    for path in ("/plans/okunoto/money", "/plans/okunoto/supports", "/compare?a=okunoto&b=okunoto", "/help", "/catalogue"):
        shown = get(path + ("&" if "?" in path else "?") + f"lang={lang}").text
        linked = re.findall(r'href="/help/words\?lang=\w+#([^"]*)"', shown)
        assert set(linked) <= set(ids)
        assert len(re.findall("popovertarget=", shown)) == len(linked) == len(set(re.findall(r'popover id="([^"]*)"', shown)))
    assert "節" in get("/help/words?q=" + quote("節")).text


def test_glossary_and_words_say_the_same(shipped_catalogue: Catalogue) -> None:
    rows = [line.strip("| \n").split(" | ") for line in (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    ja, en = shipped_catalogue.words["ja"], shipped_catalogue.words["en"]
    shown = {en[f"term.{id}"]: (ja[f"term.{id}"], en[f"term.{id}.is"]) for id in terms(en)}
    assert shown == {row[0]: (row[1], row[2]) for row in rows}, (
        "a row of GLOSSARY.md is four words: term.<id> and term.<id>.is in words/ja.yaml and words/en.yaml"
    )
