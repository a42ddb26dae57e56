"""What a sentence is taken to mean, on the real data files and on a tiny made-up catalogue."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kiban.base.errors import RecordError
from kiban.issue import example as tiny
from kiban.issue import left_out, near_cases, understand
from kiban.issue.understanding import NEITHER, WHICH
from kiban.issue.words import Lexicon
from kiban.records.case import Case
from kiban.records.issue import Issue, IssueForm
from kiban.records.offer import Offer
from kiban.records.source import Source
from kiban.records.usecase import UseCase

DATA = Path(__file__).parents[2] / "src" / "kiban" / "data"


def read(kind: str, type_: Any) -> dict[str, Any]:
    folder = DATA / kind
    files = sorted(folder.rglob("*.yaml"))
    return {str(path.relative_to(folder).with_suffix("")): msgspec.convert(plain(path), type_, strict=False) for path in files}


def plain(path: Path) -> Any:
    """A use case or model without its figures and sources: its words are what is tested here."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.parts[-2] == "usecases":
        found |= {"needs": {}, "priority": [], "sources": {}}
    return found


@cache
def real() -> dict[str, Any]:
    models = {
        key: tiny.model(words["name"]["ja"], tuple(words["words"]), *words["usecases"])
        for key, words in ((f"{path.parent.name}/{path.stem}", plain(path)) for path in sorted((DATA / "models").rglob("*.yaml")))
    }
    return {"usecases": read("usecases", UseCase), "models": models, "cases": read("cases", Case), "form": read("forms", IssueForm)["issue"]}


def ask(sentence: str, **more: Any) -> Issue:
    return understand(sentence, **(real() | more))


def in_tiny(sentence: str, **more: Any) -> Issue:
    given = {"usecases": tiny.usecases, "models": tiny.models, "cases": tiny.cases, "form": tiny.form}
    return understand(sentence, **(given | more))


@pytest.mark.parametrize(
    ("sentence", "model"),
    [
        ("地震で孤立した集落と避難所の通信を確保したい", "shelter-comms"),
        ("大雨のたびに川の水位を見に行くのが危険", "water-level"),
        ("田んぼの見回りが高齢でつらい", "farm-lpwa"),
        ("学校の回線が遅くて授業が止まる", "school-last-mile"),
        ("ひなんじょで けいたいが つながらない", "shelter-comms"),
        ("いのししが畑を荒らすのに、わなを見て回る人がいない", "farm-lpwa"),
    ],
)
def test_an_everyday_sentence_names_its_model_first(sentence: str, model: str) -> None:
    issue = ask(sentence)
    assert (issue.status, issue.models[0].id.partition("/")[0]) == ("matched", model)
    assert issue.ask == ()


def test_the_bus_and_clinic_sentence_ends_honestly() -> None:
    issue = ask("路線バスが来年減便、通院が困難")
    assert (issue.status, issue.models) == ("no_model", ())
    assert "demand_transport" in [match.id for match in issue.usecases]
    assert issue.why == real()["form"].no_model
    assert issue.cases[0].stopped
    assert set(real()["form"].ask) <= set(issue.ask)


@pytest.mark.parametrize(
    "sentence",
    [
        "避難所の毛布が足りない",
        "川で釣った魚がくさい",
        "学校のエアコンが壊れた",
        "米の値段が安くて農家がやめていく",
        "高齢者が孤立し連絡が取れない",
        "猟友会の会員が減っている",
        "川崎市の人口が増えた",
    ],
)
def test_a_place_of_a_model_without_its_need_gets_no_plan(sentence: str) -> None:
    assert ask(sentence).models == ()


@pytest.mark.parametrize("sentence", ["カレーの作り方を教えて", "今日はいい天気ですね", "友だちの誕生日に川へ行きたい"])
def test_small_talk_is_not_an_issue_and_shows_no_cases(sentence: str) -> None:
    issue = ask(sentence)
    assert (issue.status, issue.models, issue.cases, issue.why) == ("not_an_issue", (), (), real()["form"].not_an_issue)


def test_every_question_of_the_form_can_be_skipped_and_changes_something() -> None:
    for question in real()["form"].questions:
        assert question.default is not None
        assert any(choice.without or choice.without_sites or choice.because for choice in question.choices)


def test_a_result_comes_before_any_question_and_at_most_five_are_asked() -> None:
    issue = ask("地震で孤立した集落と避難所の通信を確保したい")
    assert issue.models
    assert 0 < len(issue.questions) <= 5


def test_the_words_that_matched_stand_in_the_sentence() -> None:
    issue = ask("大雨のたびに川の水位を見に行くのが危険")
    for match in (*issue.usecases, *issue.models):
        assert match.words
        for word in match.words:
            assert all(part in issue.sentence for part in word.split("…"))


def test_full_width_letters_spaces_and_half_width_kana_change_nothing() -> None:
    one, other = ask("避難所のWi-Fiがつながらない"), ask("避難所の Ｗｉ－Ｆｉ が つながらない")
    assert [match.id for match in one.models] == [match.id for match in other.models] != []


def test_the_order_of_the_files_changes_nothing() -> None:
    turned = {name: dict(reversed(list(value.items()))) if isinstance(value, dict) else value for name, value in real().items()}
    sentence = "台風のたびに田んぼとため池を見に行く"
    assert understand(sentence, **turned) == ask(sentence)


def test_an_answer_that_makes_the_model_wrong_takes_it_away_and_says_why() -> None:
    issue = ask("地震で孤立した集落と避難所の通信を確保したい", answers={"shelter-usual": "always"})
    assert (issue.status, issue.models) == ("no_model", ())
    assert issue.why is not None
    assert "エリア整備" in issue.why.ja
    assert issue.ask


def test_an_answer_takes_use_cases_and_places_out_and_is_not_asked_again() -> None:
    assert left_out(real()["form"], {"farm-both": "paddies"}, "farm-lpwa/1") == (frozenset({"trap_sensor"}), frozenset({"trap"}))
    issue = ask("田んぼの見回りとわなの見回りがつらい", answers={"farm-both": "paddies"})
    assert "trap_sensor" not in [match.id for match in issue.usecases]
    assert "farm-both" not in [question.id for question in issue.questions]


def test_dont_know_changes_nothing() -> None:
    sentence = "避難所の電話がつながらない"
    assert ask(sentence, answers={"shelter-usual": "unknown", "what-is-this": "x"}).models == ask(sentence).models


def test_between_two_models_it_asks_which_and_the_answer_decides() -> None:
    sentence = "避難所の電話がつながらないし、川の水位も見たい"
    issue = in_tiny(sentence)
    assert {match.id for match in issue.models} == {"river/1", "shelter/1"}
    assert issue.questions[0].id == WHICH
    for key in ("river/1", "shelter/1"):
        assert in_tiny(sentence, answers={WHICH: key}).models[0].id == key
    assert in_tiny(sentence, answers={WHICH: NEITHER}).status == "no_model"


def test_a_fact_of_the_region_makes_its_question_needless() -> None:
    sentence = "避難所の電話がつながらない"
    assert [question.id for question in in_tiny(sentence).questions] == ["which-places"]
    assert in_tiny(sentence, facts={"shelters": "3"}).questions == ()


def test_only_the_newest_version_of_a_model_is_offered() -> None:
    models = tiny.models | {"shelter/2": tiny.models["shelter/1"], "shelter/10": tiny.models["shelter/1"]}
    assert [match.id for match in in_tiny("避難所の電話がつながらない", models=models).models] == ["shelter/10"]


def test_a_model_of_a_new_file_is_found_by_two_words_that_nobody_knew_before() -> None:
    models = tiny.models | {"hot-spring/1": tiny.model("源泉の管理", ("源泉", "湯量"), "onsen")}
    assert [match.id for match in in_tiny("源泉の湯量が読めない", models=models).models] == ["hot-spring/1"]
    assert in_tiny("源泉が好き", models=models).models == ()


def test_who_offers_something_for_the_use_case_is_asked_first() -> None:
    offer = Offer(
        name=tiny.text("共同運行"),
        summary=tiny.text("共同運行"),
        kind="join",
        by=tiny.text("県"),
        to=tiny.text("町"),
        usecases=("bus",),
        ask=tiny.text("県の交通課"),
        sources={"page": Source(title="例", seen_on=date(2026, 1, 1))},
        source_keys=("page",),
        checked_on=date(2026, 1, 1),
    )
    issue = in_tiny("バスが減って病院に行けない", offers={"offer": offer})
    assert [text.ja for text in issue.ask] == ["県の交通課", "例の町の担当課(乗合の車)", "県の担当課"]


def test_stopped_cases_come_first_among_comparably_near_ones_but_far_ones_do_not() -> None:
    far = Case(kind="project", title="病院", issue="病院の建物", stopped=True, confidence="C", seen_on=date(2026, 1, 1))
    near = near_cases("バスが減って病院に行けない", tiny.cases | {"far-stopped": far}, form=tiny.form)
    assert [case.id for case in near][:2] == ["taxi-stopped", "taxi"]


def test_of_two_like_cases_the_one_from_a_like_town_is_nearer() -> None:
    def case(people: int) -> Case:
        return Case(kind="project", title="乗合", issue="バスが減った", population_2015=people, fiscal_index=0.2, confidence="C", seen_on=date(2026, 1, 1))

    cases = {"a-city": case(900_000), "b-town": case(8_000)}
    assert [near.id for near in near_cases("バスが減った", cases, form=tiny.form)] == ["a-city", "b-town"]
    facts = {"population": "7500", "fiscal_index": "0.25"}
    assert [near.id for near in near_cases("バスが減った", cases, form=tiny.form, facts=facts)] == ["b-town", "a-city"]


def test_patterns_are_never_shown_as_cases() -> None:
    for sentence in ("需要の確認不足で利用が低い", "国費への依存で採算が合わない", "避難所の通信"):
        assert all(real()["cases"][near.id].kind != "pattern" for near in ask(sentence).cases)


def test_a_longer_word_takes_away_a_shorter_one_inside_it() -> None:
    lexicon = Lexicon(real()["form"])

    def concepts(text: str) -> set[str]:
        return {hit.concept for hit in lexicon.find(text)}

    assert "river" not in concepts("川崎で会議")
    assert "trap" not in concepts("行わない")
    assert "line" not in concepts("island plan")
    assert concepts("お年寄りの孤立") & {"isolated", "elderly-watch"} == {"elderly-watch"}
    assert {"animal", "crop-damage"} <= concepts("鹿による被害")


@pytest.mark.parametrize("sentence", ["", "   ", "あ" * 2001])
def test_an_empty_or_endless_sentence_is_refused(sentence: str) -> None:
    with pytest.raises(RecordError):
        ask(sentence)


@pytest.mark.parametrize("sentence", ["\x00\x01", "避難所" * 600, "😀" * 50, "a" * 2000, "~~~~", "(((((", "、。、。"])
def test_odd_text_neither_fails_nor_gets_a_plan(sentence: str) -> None:
    assert ask(sentence).models == ()
