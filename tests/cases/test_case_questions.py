"""Sixty questions of an officer over the cases (bench/case_questions.csv): the right cases come first, and more of them than plain indexes find."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kiban.cases import Library
from kiban.cases.library import fields
from kiban.catalogue import Catalogue

BENCH = Path(__file__).parents[2] / "bench" / "search.py"
SHORT = {
    "防災": ["2017-takamatsu-iot-platform", "2012-minakami-weather", "2017-masuda-lpwa-water", "2018-masuda-wifi", "mlit2025-flood-sensor", "audit2018-wifi"],
    "農業": ["2020-iwamizawa-l5g-tractor", "2017-yamanashi-lpwa", "2020-tsunan-lpwa", "2017-fukuroi-paddy", "2024-usa-water"],
    "漁業": ["2011-rumoi-seacucumber", "2021-fukui-buoy"],
    "除雪": ["2021-iwamizawa-snow", "2012-minakami-weather"],
    "学校": ["2009-sennan-school-mail", "2022-matsue-lbo"],
}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_search", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def library(shipped_catalogue: Catalogue) -> Library:
    return Library(shipped_catalogue.cases, {id: usecase.words for id, usecase in shipped_catalogue.usecases.items()})


def test_every_right_answer_is_a_case_and_both_halves_are_equally_large(bench: ModuleType, library: Library):
    questions = bench.case_questions()
    assert len(questions) == 60
    assert {id for question in questions for id in question.right} <= set(library.cases)
    assert [question.half for question in questions].count("A") == 30


@pytest.mark.parametrize(("half", "floor"), [("A", 0.78), ("B", 0.70)])
def test_right_cases_come_first_and_plain_indexes_do_worse(bench: ModuleType, library: Library, half: str, floor: float):
    questions = [question for question in bench.case_questions() if question.half == half]
    texts = {id: [text for _, text in fields(case)] for id, case in library.cases.items()}

    def mean(ranked) -> tuple[float, float]:
        answers = [(ranked(question.text), question.right) for question in questions]
        return sum(bench.gain(*one) for one in answers) / len(answers), sum(bench.found(*one) for one in answers) / len(answers)

    gain, recall = mean(lambda text: [hit.id for hit in library.ranked(text)])
    assert gain >= floor
    assert recall >= 0.78
    for other in (bench.trigrams(texts), bench.bigrams(texts)):
        assert (gain, recall) > mean(other)


@pytest.mark.parametrize("word", SHORT)
def test_a_word_of_two_characters_finds_what_it_should(library: Library, word: str):
    first = [hit.id for hit in library.ranked(word)][:10]
    assert set(SHORT[word]) <= set(first)


def test_a_size_in_the_words_brings_towns_about_as_large_up(library: Library):
    first = [library.cases[hit.id].population_2015 or 0 for hit in library.ranked("人口８千人の町")][:4]
    assert all(4000 < people < 16000 for people in first)
    assert abs(first[0] - 8000) < 1000


def test_what_is_not_said_with_the_words_of_the_case_is_found_through_its_use_case(library: Library):
    assert "出漁" in (library.cases["2021-fukui-buoy"].title)
    assert not any("漁業" in text for _, text in fields(library.cases["2021-fukui-buoy"]))
    assert "2021-fukui-buoy" in [hit.id for hit in library.ranked("漁業")]
