"""Reading data files: what is good, what wins, what is kept."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import msgspec
import pytest

from kiban.base.errors import DataFileError, DataFilesError
from kiban.catalogue import KINDS, Catalogue, load, words

SAMPLES = Path(__file__).parents[1] / "samples" / "data"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the sample data folder that a test may change."""
    shutil.copytree(SAMPLES, tmp_path / "data")
    return tmp_path / "data"


def read(data: Path) -> Catalogue:
    return load(None, None, package=data)


def change(data: Path, file: str, old: str, new: str) -> None:
    path = data / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_sample_is_read_under_its_file_name(data: Path) -> None:
    catalogue = read(data)
    found = {kind: list(catalogue.of(kind)) for kind in KINDS if kind != "forms"}
    assert found == {
        "technologies": ["test-radio"],
        "usecases": ["test-watch"],
        "models": ["test-model/1"],
        "offers": ["test-offer"],
        "supports": ["test-support"],
        "cases": ["test-town"],
        "rules": ["test-rate"],
        "locks": ["test-lock"],
        "facts": ["test-fact"],
        "traffic": ["test-growth"],
        "clauses": ["test-clause"],
        "papers": ["test-paper"],
        "words": ["en", "ja"],
    }
    assert catalogue.dangling == ()


def test_a_whole_number_where_text_would_do_too_stays_a_number(data: Path) -> None:
    assert repr(read(data).facts["test-fact"].default) == "1200.0"
    assert repr(read(data).supports["test-support"].editions[0].conditions[1].value) == "2000.0"


def test_a_support_that_reads_an_unknown_fact_or_support_is_told(data: Path) -> None:
    (data / "facts" / "test-fact.yaml").unlink()
    change(data, "supports/test-support.yaml", "stacking: {order: 1}", "stacking: {order: 1, not_with: [moon-grant]}")
    assert [str(link) for link in read(data).dangling] == [
        "supports/test-support.yaml stacking: supports/moon-grant",
        "supports/test-support.yaml editions › 2026 › conditions: facts/test-fact",
    ]


def test_a_need_that_grows_with_people_is_read_as_one(data: Path) -> None:
    need = read(data).usecases["test-watch"].needs.down_mbps
    assert type(need).__name__ == "Scaled"
    assert need.points == ((100.0, 10.0), (1000.0, 50.0))


def test_a_regions_own_file_wins_by_id(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "rules").mkdir(parents=True)
    text = (data / "rules" / "test-rate.yaml").read_text(encoding="utf-8")
    (own / "rules" / "test-rate.yaml").write_text(text.replace("0.03", "0.01"), encoding="utf-8")
    catalogue = load(own, None, package=data)
    assert catalogue.rule_at("test-rate", date(2026, 11, 23)).quantity.value == 0.01
    assert catalogue.path("rules", "test-rate") == own / "rules" / "test-rate.yaml"
    assert catalogue.hashes["rules/test-rate"] != read(data).hashes["rules/test-rate"]


def test_a_regions_word_wins_and_the_others_stay(data: Path, tmp_path: Path) -> None:
    for lang in ("ja", "en"):
        with (data / "words" / f"{lang}.yaml").open("a", encoding="utf-8") as stream:
            stream.write("test.other: x\n")
    own = tmp_path / "own" / "words"
    own.mkdir(parents=True)
    (own / "ja.yaml").write_text("test.greeting: やあ\n", encoding="utf-8")
    catalogue = load(own.parent, None, package=data)
    assert catalogue.words["ja"] == {"test.greeting": "やあ", "test.other": "x"}


def test_a_rule_holds_from_its_day(data: Path) -> None:
    catalogue = read(data)
    assert catalogue.rule_at("test-rate", date(2026, 3, 31)).quantity.value == 0.04
    assert catalogue.rule_at("test-rate", date(2026, 4, 1)).quantity.value == 0.03
    with pytest.raises(DataFileError, match="no value for 2020-03-31"):
        catalogue.rule_at("test-rate", date(2020, 3, 31))
    with pytest.raises(DataFileError, match="did you mean 'test-rate'"):
        catalogue.rule_at("test-rates", date(2026, 4, 1))


def test_a_deleted_technology_leaves_a_dangling_mention_and_the_rest_loads(data: Path) -> None:
    (data / "technologies" / "test-radio.yaml").unlink()
    catalogue = read(data)
    assert catalogue.technologies == {}
    assert [str(link) for link in catalogue.dangling] == ["models/test-model/1.yaml components › access › technologies: technologies/test-radio"]


def test_levels_are_computed(data: Path) -> None:
    catalogue = read(data)
    levels = {name: catalogue.level(name) for name in ("technologies/test-radio", "usecases/test-watch", "offers/test-offer", "models/test-model/1")}
    assert levels == {"technologies/test-radio": "checked", "usecases/test-watch": "draft", "offers/test-offer": "draft", "models/test-model/1": "checked"}


def test_a_model_is_tried_by_one_region_and_proven_by_three_with_a_failure_read(data: Path) -> None:
    change(data, "cases/test-town.yaml", "[test-model]", "[test-model/1]")
    assert read(data).level("models/test-model/1") == "tried"
    text = (data / "cases" / "test-town.yaml").read_text(encoding="utf-8")
    for number in (2, 3):
        (data / "cases" / f"town-{number}.yaml").write_text(text.replace("試験町", f"第{number}町"), encoding="utf-8")
    assert read(data).level("models/test-model/1") == "proven"
    for path in (data / "cases").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("stopped: true\nfailed: 架空の理由\n", ""), encoding="utf-8")
    assert read(data).level("models/test-model/1") == "tried"


def test_a_model_past_its_review_day_is_stale(data: Path) -> None:
    catalogue = read(data)
    assert catalogue.stale(date(2027, 1, 1)) == ()
    assert any("models/test-model/1.yaml: review_by 2027-11-23 has passed" in line for line in catalogue.stale(date(2027, 11, 24)))
    assert any("lies in the future" in line for line in catalogue.stale(date(2026, 1, 1)))
    assert any("more than 730 days ago" in line for line in catalogue.stale(date(2029, 1, 1)))


def test_a_second_version_names_the_one_it_replaces(data: Path) -> None:
    text = (data / "models" / "test-model" / "1.yaml").read_text(encoding="utf-8")
    second = data / "models" / "test-model" / "2.yaml"
    second.write_text(text, encoding="utf-8")
    with pytest.raises(DataFilesError, match=r"models/test-model/2\.yaml:1 replaces: found None; expected test-model/1"):
        read(data)
    second.write_text(text + "replaces: test-model/1\n", encoding="utf-8")
    catalogue = read(data)
    assert catalogue.key("models", "test-model") == "test-model/2"


def test_the_tenth_version_comes_after_the_ninth(data: Path) -> None:
    text = (data / "models" / "test-model" / "1.yaml").read_text(encoding="utf-8")
    for number in range(2, 11):
        (data / "models" / "test-model" / f"{number}.yaml").write_text(f"{text}replaces: test-model/{number - 1}\n", encoding="utf-8")
    catalogue = read(data)
    assert list(catalogue.models)[-1] == catalogue.key("models", "test-model") == "test-model/10"


def test_the_cache_gives_the_same_catalogue(data: Path, tmp_path: Path) -> None:
    cold = load(None, tmp_path / "cache", package=data)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    warm = load(None, tmp_path / "cache", package=data)
    assert warm == cold == read(data)


def test_a_damaged_cache_is_ignored_and_mended(data: Path, tmp_path: Path) -> None:
    cold = load(None, tmp_path / "cache", package=data)
    file = next((tmp_path / "cache").iterdir())
    good = file.read_bytes()
    for damage in (b"", good[:100], good[:-1], good[:200] + b"\xff" + good[201:], b"x" * len(good)):
        file.write_bytes(damage)
        assert load(None, tmp_path / "cache", package=data) == cold
        assert file.read_bytes() == good


def test_a_changed_file_is_read_anew(data: Path, tmp_path: Path) -> None:
    load(None, tmp_path / "cache", package=data)
    change(data, "rules/test-rate.yaml", "0.03", "0.05")
    assert load(None, tmp_path / "cache", package=data).rule_at("test-rate", date(2026, 4, 1)).quantity.value == 0.05


def test_a_folder_that_cannot_be_written_costs_only_time(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    assert load(None, tmp_path / "cache", package=data) == read(data)


def test_old_caches_are_cleared_away(data: Path, tmp_path: Path) -> None:
    for rate in range(8):
        text = (SAMPLES / "rules" / "test-rate.yaml").read_text(encoding="utf-8")
        (data / "rules" / "test-rate.yaml").write_text(text.replace("0.03", f"0.0{rate + 1}"), encoding="utf-8")
        load(None, tmp_path / "cache", package=data)
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_record_survives_being_stored(data: Path) -> None:
    catalogue = read(data)
    assert msgspec.json.decode(msgspec.json.encode(catalogue), type=Catalogue) == catalogue


def test_a_missing_word_is_an_error(data: Path) -> None:
    word = words(read(data), "ja")
    assert word("test.greeting") == "試験の言葉"
    with pytest.raises(DataFileError, match=r"no key test\.greetings.*did you mean 'test\.greeting'"):
        word("test.greetings")
    with pytest.raises(DataFileError, match="no such language"):
        words(read(data), "fr")
