"""Every way in which a data file can be wrong has its message: file:line, place, found, fits, next step; and no message hides another."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from kiban.base.errors import DataFilesError
from kiban.catalogue import load

SAMPLES = Path(__file__).parents[1] / "samples" / "data"
RADIO = "technologies/test-radio.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "data")
    return tmp_path / "data"


def messages(data: Path) -> list[str]:
    """All problems of a data folder, one line each."""
    with pytest.raises(DataFilesError) as caught:
        load(None, None, package=data)
    return str(caught.value).splitlines()


def change(data: Path, file: str, old: str, new: str) -> None:
    path = data / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


ONE_MISTAKE = {
    "a number with its unit": (
        RADIO,
        "value: 1000,",
        "value: 千円,",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0 › value: found '千円'; expected a number. "
        "Next: write the bare number (1200000), and put the unit under unit:",
    ),
    "an amount in 千円": (
        RADIO,
        "value: 1000,",
        "value: '1,200千円',",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0 › value: found '1,200千円'; expected a number. "
        "Next: write 1200000, and put the unit under unit:",
    ),
    "a wrong unit of a price": (
        RADIO,
        "unit: JPY/site,",
        "unit: JPY/km,",
        "technologies/test-radio.yaml:22 costs › kit: found unit 'JPY/km' (cost kit); expected 'JPY/site' (phase initial, per site). "
        "Next: convert the figure, and keep the original in note:",
    ),
    "a wrong unit of a rate": (
        RADIO,
        "unit: Mbps, value: 200",
        "unit: Gbps, value: 0.2",
        "technologies/test-radio.yaml:13 capability › down_mbps › unit: found unit 'Gbps'; expected 'Mbps'. "
        "Next: convert the figure to Mbps, and keep the original in note:",
    ),
    "a percentage where a share belongs": (
        RADIO,
        "  up_mbps: {unit: Mbps, value: 50,",
        "  availability: {unit: '1', value: 99.9,",
        "technologies/test-radio.yaml:14 capability › availability › value: found 99.9; expected a share from 0 to 1. Next: divide a percentage by 100",
    ),
    "two prices that include the same": (
        RADIO,
        "phase: yearly\n    per: site\n    scope: [service]\n    evidence:\n      - {unit: JPY/site/year",
        "phase: initial\n    per: site\n    scope: [service, hardware]\n    evidence:\n      - {unit: JPY/site",
        "technologies/test-radio.yaml:20: found both include 'hardware' (costs kit and fee); expected scopes that do not overlap (initial). "
        "Next: keep one of the two prices, or narrow its scope",
    ),
    "a key twice": (
        RADIO,
        "layer: access",
        "layer: access\nlayer: access",
        "technologies/test-radio.yaml:5: found key 'layer' twice (first in line 4); expected each key once. Next: delete or rename one of them",
    ),
    "null without needs_source": (
        RADIO,
        "value: 1000, year: 2026, tax: excluded, source: t, confidence: A",
        "value: null",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0: found value null (quantity in JPY/site); expected needs_source: true beside a null. "
        "Next: find the figure, or add needs_source: true",
    ),
    "an unknown field": (
        RADIO,
        "summary:",
        "sumary:",
        "technologies/test-radio.yaml:3 sumary: found the unknown field 'sumary'; expected a field of Technology. Next: did you mean 'summary'?",
    ),
    "a comma in a text inside braces": (
        RADIO,
        "value: 1000,",
        "note: 月2,254円, value: 1000,",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0 › 254円: found the unknown field '254円'; expected a field of Quantity. "
        "Next: a comma inside { } begins a new field: put the text before it into quotes",
    ),
    "a word outside the list": (
        RADIO,
        "medium: wireless",
        "medium: wirelss",
        "technologies/test-radio.yaml:5 medium: found 'wirelss'; expected wired or wireless or ntn or none. Next: did you mean 'wireless' or 'wired'?",
    ),
    "one language only": (
        RADIO,
        "name: {ja: 試験無線, en: test radio}",
        "name: {ja: 試験無線}",
        "technologies/test-radio.yaml:2 name: found no en; expected en: text. Next: add en:",
    ),
    "a source that is not defined": (
        RADIO,
        "value: 200, source: t",
        "value: 200, source: u",
        "technologies/test-radio.yaml:2: found source key(s) u (technology); expected one of t. Next: add it under sources:",
    ),
    "a day that does not exist": (
        RADIO,
        "checked_on: 2026-11-23",
        "checked_on: 2026-02-30",
        "technologies/test-radio.yaml:11 checked_on: found '2026-02-30'; expected a day as YYYY-MM-DD. Next: write 2026-04-01 for 1 April 2026",
    ),
    "a negative price": (
        RADIO,
        "value: 1000,",
        "value: -1000,",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0: found -1000.0 (quantity in JPY/site, value); expected a finite number from 0 to inf. "
        "Next: correct the value, or write null if it is unknown",
    ),
    "a list where a mapping belongs": (
        RADIO,
        "wiring:\n  pattern: direct\n  risk: sky",
        "wiring: [direct]",
        "technologies/test-radio.yaml:6 wiring: found a list of 1; expected the fields pattern, risk, network, feeds, backhaul, needs_coverage. "
        "Next: write `field: value` lines, indented",
    ),
    "an unsafe tag": (
        RADIO,
        "layer: access",
        "layer: !!python/object/apply:os.system ['true']",
        "technologies/test-radio.yaml:4: found the tag tag:yaml.org,2002:python/object/apply:os.system; expected no tags. "
        "Next: remove it, or quote a text that begins with !",
    ),
    "an alias": (
        RADIO,
        "layer: access",
        "layer: &a access",
        "technologies/test-radio.yaml:4: found an anchor or alias (& or *); expected values written out. "
        "Next: write the value again, or quote a text that begins with & or *",
    ),
    "a second document": (
        RADIO,
        "layer: access",
        "---\nlayer: access",
        "technologies/test-radio.yaml:4: found a second document; expected one document. Next: remove the line '---', or make a file of its own",
    ),
    "a model with a clause for no component": (
        "models/test-model/1.yaml",
        "component: access",
        "component: core",
        "models/test-model/1.yaml:16: found component 'core' (clause c1); expected one of access. Next: name a component of this model",
    ),
    "a word without its English": (
        "words/ja.yaml",
        "test.greeting:",
        "test.bye: さよなら\ntest.greeting:",
        "words/en.yaml:1: found no key test.bye; expected every key of words/ja.yaml. Next: add test.bye: (there: 'さよなら')",
    ),
    "words whose blanks differ": (
        "words/ja.yaml",
        "試験の言葉",
        "'{count}の言葉'",
        "words/ja.yaml:1 test.greeting: found the blanks ['count']; expected those of words/en.yaml: []. Next: name them alike",
    ),
}


@pytest.mark.parametrize("mistake", ONE_MISTAKE)
def test_one_mistake_gives_one_message_with_its_line(data: Path, mistake: str) -> None:
    file, old, new, message = ONE_MISTAKE[mistake]
    change(data, file, old, new)
    assert messages(data) == [message]


def test_the_how_to_page_quotes_these_messages() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "mend-a-data-file.md").read_text(encoding="utf-8")
    quoted = re.findall(r"(?m)^`(technologies/.*)`$", page)
    assert len(quoted) == 4
    assert [message for message in quoted if message not in {mistake[3] for mistake in ONE_MISTAKE.values()}] == []


def test_all_problems_of_all_files_come_in_one_message(data: Path) -> None:
    change(data, RADIO, "value: 200", "value: fast")
    change(data, RADIO, "value: 1000", "value: cheap")
    change(data, RADIO, "medium: wireless", "medium: radio")
    change(data, "usecases/test-watch.yaml", "[shelter, hall]", "[shelter, castle]")
    change(data, "rules/test-rate.yaml", "2020-04-01", "令和2年4月1日")
    places = [message.split(": found")[0] for message in messages(data)]
    assert places == [
        "rules/test-rate.yaml:3 values › 0 › since",
        "technologies/test-radio.yaml:5 medium",
        "technologies/test-radio.yaml:13 capability › down_mbps › value",
        "technologies/test-radio.yaml:22 costs › kit › evidence › 0 › value",
        "usecases/test-watch.yaml:5 sites › 1",
    ]


def test_broken_yaml_names_the_line(data: Path) -> None:
    change(data, RADIO, "layer: access", "layer: access: wireless")
    (message,) = messages(data)
    assert message.startswith("technologies/test-radio.yaml:4: found text that is not YAML (mapping values are not allowed in this context)")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_says_so(data: Path, text: str) -> None:
    (data / RADIO).write_text(text, encoding="utf-8")
    (message,) = messages(data)
    assert message.startswith(f"technologies/test-radio.yaml:{text.count('---') + 1}: found")


def test_a_file_in_another_encoding_names_the_line(data: Path) -> None:
    text = (data / RADIO).read_text(encoding="utf-8")
    (data / RADIO).write_bytes(text.encode("cp932"))
    (message,) = messages(data)
    assert message == "technologies/test-radio.yaml:1: found the byte 0x8e; expected UTF-8. Next: save it as UTF-8 (is it Shift_JIS?)"


def test_a_byte_order_mark_is_no_mistake(data: Path) -> None:
    (data / RADIO).write_bytes(b"\xef\xbb\xbf" + (data / RADIO).read_bytes())
    assert "test-radio" in load(None, None, package=data).technologies


def test_a_huge_file_is_refused_unread(data: Path) -> None:
    (data / RADIO).write_text("#" * 1_000_001, encoding="utf-8")
    assert messages(data) == [
        "technologies/test-radio.yaml:1: found 1,000,001 bytes; expected at most 1,000,000 bytes a file. Next: one file per thing: divide it",
    ]


def test_a_yaml_bomb_does_no_harm(data: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (data / RADIO).write_text("\n".join(rows), encoding="utf-8")
    started = time.perf_counter()
    assert messages(data)[0].startswith("technologies/test-radio.yaml:1: found an anchor or alias")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "{a: " * 50_000, "- " * 40_000 + "x"])
def test_a_deep_file_does_no_harm(data: Path, text: str) -> None:
    (data / RADIO).write_text(text, encoding="utf-8")
    assert "more than 40 levels" in messages(data)[0]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("technologies/My Radio.yaml", "the name 'My Radio'"),
        ("technologies/光.yaml", "the name '光'"),
        ("technologies/radio.yml", "a file ending .yml"),
        ("technologies/deep/radio.yaml", "a file at a place that no kind has"),
        ("technology/radio.yaml", "a file at a place that no kind has"),
        ("models/radio.yaml", "a file at a place that no kind has"),
        ("models/radio/first.yaml", "the name 'first'"),
    ],
)
def test_a_file_with_a_bad_name_or_place_is_refused(data: Path, name: str, found: str) -> None:
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(data / RADIO, data / name)
    (message,) = messages(data)
    assert message.startswith(f"{name}:1: found {found}; expected ")


def test_notes_and_hidden_files_are_passed_over(data: Path) -> None:
    for name in ("README.md", ".DS_Store", "technologies/notes.md", "technologies/.swap"):
        (data / name).write_text("x", encoding="utf-8")
    assert load(None, None, package=data).technologies.keys() == {"test-radio"}


def test_an_own_file_is_told_with_its_folder(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "mytown"
    (own / "rules").mkdir(parents=True)
    (own / "rules" / "rate.yaml").write_text("name: x\n", encoding="utf-8")
    with pytest.raises(DataFilesError, match=r"(?m)^mytown/rules/rate\.yaml:1 name: found 'x'"):
        load(own, None, package=data)


def test_numbers_beyond_what_a_computer_counts_are_refused(data: Path) -> None:
    for big in ("1" * 30, "9" * 20, "1e400", ".inf", ".nan"):
        shutil.copy(SAMPLES / RADIO, data / RADIO)
        change(data, RADIO, "year: 2026", f"year: {big}")
        (message,) = messages(data)
        assert "a whole number" in message
    for big in ("1e400", ".inf", ".nan"):
        shutil.copy(SAMPLES / RADIO, data / RADIO)
        change(data, RADIO, "value: 1000,", f"value: {big},")
        (message,) = messages(data)
        assert "a number" in message
