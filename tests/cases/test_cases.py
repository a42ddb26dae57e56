"""The search finds what holds the words, whatever their width and length, and shows stopped cases first."""

from __future__ import annotations

import pytest

from kiban.cases import Library, Search
from kiban.cases.library import fields
from kiban.catalogue import Catalogue

WORDS = ("防災", "農業", "議会", "避難", "衛星", "予算", "学校", "バス", "補助")


@pytest.fixture(scope="module")
def library(shipped_catalogue: Catalogue) -> Library:
    return Library(shipped_catalogue.cases)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_two_characters_finds_every_case_that_holds_it_and_no_other(library: Library, word: str):
    holds = {id for id, case in library.cases.items() if any(word in text for _, text in fields(case))}
    assert holds
    assert {hit.id for hit in library._search(word)} == holds


def test_width_and_case_of_letters_do_not_matter():
    search = Search({"a": [(1.0, "ＩｏＴセンサー")], "b": [(1.0, "無線LAN")]})
    assert [hit.id for hit in search("iot")] == ["a"]
    assert [hit.id for hit in search("ｾﾝｻｰ")] == ["a"]
    assert [hit.id for hit in search("lan")] == ["b"]
    assert search("la") == []


def test_a_single_character_is_found_inside_words():
    search = Search({"a": [(1.0, "河川の水位")], "b": [(1.0, "山の道")]})
    assert [hit.id for hit in search("川")] == ["a"]


def test_a_rare_word_weighs_more_than_a_common_one_and_a_title_more_than_the_rest():
    documents = {str(number): [(1.0, "防災の計画")] for number in range(20)} | {"x": [(1.0, "断水")], "y": [(1.0, "防災 断水")], "z": [(3.0, "断水")]}
    best = [hit.id for hit in Search(documents)("防災 断水")][:3]
    assert sorted(best) == ["x", "y", "z"]
    assert best.index("z") < best.index("x")


def test_stopped_cases_come_first_and_then_the_best(library: Library):
    found = library("バス")
    stopped = [one.case.stopped for one in found]
    assert True in stopped
    assert stopped == sorted(stopped, reverse=True)
    best = {hit.id: hit.score for hit in library._search("バス")}
    for part in (True, False):
        scores = [best[one.id] for one in found if one.case.stopped is part]
        assert scores == sorted(scores, reverse=True)


def test_towns_like_ours_have_half_to_twice_as_many_people_nearest_first(library: Library):
    found = library(people=8000)
    assert found
    assert all(4000 <= (one.case.population_2015 or 0) <= 16000 for one in found)
    assert {one.id for one in found} == {id for id, case in library.cases.items() if case.population_2015 and 4000 <= case.population_2015 <= 16000}
    rest = [max(one.times or 0, 1 / (one.times or 1)) for one in found if not one.case.stopped]
    assert rest == sorted(rest)


@pytest.mark.parametrize("words", ["", "  ", "・・・", "🙂"])
def test_words_that_say_nothing_find_all_or_nothing(library: Library, words: str):
    assert len(library(words)) in (0, len(library.cases))
