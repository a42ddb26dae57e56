"""What people put into a plan is kept in versions: nothing is lost between two of them, the folder, the store and a server that goes down."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kiban.base.errors import ConflictError
from kiban.catalogue import Catalogue
from kiban.loop.files import read_folder, read_inputs, write_folder
from kiban.loop.inputs import write_inputs
from kiban.loop.kept import Draft, Kept, assembled, differences, entries, merged, remake, stale
from kiban.records.funding import Inputs, Quote
from kiban.store import open_store

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
PAPER = "庁内限り/想定問答.docx"


@pytest.fixture
def kept(example_folder: Path, tmp_path: Path) -> Iterator[Kept]:
    path = Path(shutil.copytree(example_folder, tmp_path / "okunoto"))
    store = open_store("", tmp_path / "kiban.db")
    yield Kept(store, path, read_folder(path).plan.id, lambda: NOW)
    store.close()


def word(key: str, text: str) -> Callable[[Inputs], Inputs]:
    return lambda inputs: replace(inputs, words={**inputs.words, key: text}, made={**inputs.made, key: "generated"})


def edit(path: Path, key: str, text: str) -> None:
    """Change a passage as somebody does who opens the file in Word."""
    book = docx.Document(str(path))
    for table in book.tables:
        cells = [cell for row in table.rows for cell in row.cells]
        place = next((at for at, cell in enumerate(cells) if f"鍵 {key}〕" in cell.text), None)
        if place is not None:
            cells[place + 1].text = text
            book.save(str(path))
            return
    raise AssertionError(key)


def test_a_plan_into_which_nobody_put_anything_has_no_version(kept: Kept) -> None:
    assert kept.current() == (0, Inputs())
    assert kept.history() == ()


def test_a_change_is_a_version_with_who_when_and_why_and_stands_in_the_folder(kept: Kept) -> None:
    assert kept.save(word("qa.why-now", "今だから"), who="佐藤", why="課長の指示", expected=0).version == 1
    (one,) = kept.history()
    assert (one.author, one.reason, one.at) == ("佐藤", "課長の指示", NOW)
    assert read_inputs(kept.path).words == {"qa.why-now": "今だから"}
    assert kept.current()[0] == 1
    assert stale(kept.path)


def test_what_was_put_in_before_there_was_a_store_is_the_first_version(kept: Kept) -> None:
    write_inputs(kept.path, Inputs(facts={"population": 8000.0}))
    assert kept.current() == (1, Inputs(facts={"population": 8000.0}))
    assert kept.history()[0].author == "files"


def test_two_who_change_different_passages_from_one_version_are_joined(kept: Kept) -> None:
    kept.save(word("a", "佐藤の文"), who="佐藤", why="書き直し", expected=0)
    outcome = kept.save(word("b", "鈴木の文"), who="鈴木", why="書き直し", expected=0)
    assert (outcome.version, outcome.clashes) == (2, ())
    assert kept.current()[1].words == {"a": "佐藤の文", "b": "鈴木の文"}


def test_two_who_change_the_same_passage_lose_nothing(kept: Kept) -> None:
    kept.save(word("a", "もと"), who="佐藤", why="初め", expected=0)
    kept.save(word("a", "佐藤の文"), who="佐藤", why="書き直し", expected=1)
    outcome = kept.save(word("a", "鈴木の文"), who="鈴木", why="書き直し", expected=1)
    (clash,) = outcome.clashes
    assert (clash.base[0], clash.theirs[0], clash.mine[0]) == ("もと", "佐藤の文", "鈴木の文")
    assert kept.current()[1].words == {"a": "佐藤の文"}, "the first text stands"
    assert outcome.draft == 1
    assert kept.draft(1).inputs.words == {"a": "鈴木の文"}, "the second one is kept"
    assert kept.drafts()[0].author == "鈴木"


def test_the_same_change_twice_is_one_version(kept: Kept) -> None:
    kept.save(word("a", "文"), who="佐藤", why="初め", expected=0)
    assert kept.save(word("a", "文"), who="鈴木", why="同じ", expected=0).version == 1


def test_an_older_version_becomes_the_newest_and_the_others_stay(kept: Kept) -> None:
    kept.save(word("a", "一"), who="佐藤", why="初め", expected=0)
    kept.save(word("a", "二"), who="佐藤", why="次", expected=1)
    assert kept.restore(1, who="鈴木", why="戻す", expected=2) == 3
    assert kept.current()[1].words == {"a": "一"} == read_inputs(kept.path).words
    assert kept.read(2).words == {"a": "二"}
    with pytest.raises(ConflictError, match="鈴木"):
        kept.restore(2, who="佐藤", why="戻す", expected=2)


def test_a_paper_edited_in_the_folder_comes_in_as_a_version_and_a_later_change_in_the_browser_wins(kept: Kept, shipped_catalogue: Catalogue) -> None:
    edit(kept.path / PAPER, "qa.why-now", "Wordで書いた")
    number, inputs = kept.current()
    assert (number, inputs.words) == (1, {"qa.why-now": "Wordで書いた"})
    assert kept.history()[0].author == "files"
    kept.save(word("qa.why-now", "画面で書いた"), who="佐藤", why="直し", expected=1)
    assert kept.current()[1].words == {"qa.why-now": "画面で書いた"}, "the paper that still shows the older text does not come back"
    remake(kept.path, shipped_catalogue, "ja", NOW)
    assert not stale(kept.path)
    assert kept.current() == (2, read_inputs(kept.path))
    assert next(path.name for path in (kept.path / "庁内限り" / "旧版").iterdir()).startswith("想定問答-")
    shown = "\n".join(cell.text for table in docx.Document(str(kept.path / PAPER)).tables for row in table.rows for cell in row.cells)
    assert "画面で書いた" in shown


def test_what_the_command_put_in_meanwhile_is_joined_with_a_change_of_the_browser(kept: Kept) -> None:
    kept.save(word("a", "文"), who="佐藤", why="初め", expected=0)
    write_inputs(kept.path, replace(read_inputs(kept.path), facts={"population": 8000.0}))
    outcome = kept.save(word("b", "文"), who="佐藤", why="次", expected=1)
    assert outcome.version == 3
    assert kept.current()[1].facts == {"population": 8000.0}
    assert [one.author for one in kept.history()] == ["佐藤", "files", "佐藤"]


def test_a_version_that_did_not_reach_the_folder_before_the_server_went_down_gets_there(kept: Kept) -> None:
    kept.save(word("a", "一"), who="佐藤", why="初め", expected=0)
    kept.store.save("inputs", kept.id, word("a", "二")(Inputs()), author="佐藤", reason="次", expected_version=1, now=NOW)
    assert kept.current()[1].words == {"a": "二"} == read_inputs(kept.path).words
    assert len(kept.history()) == 2


def test_a_draft_of_an_upload_is_kept_too(kept: Kept) -> None:
    draft = Draft(kind="upload", base=0, inputs=Inputs(prices={"a.b": 1.0}), notes=("甲.xlsx",))
    assert kept.put_aside(draft, who="佐藤", why="見積") == 1
    assert kept.draft(1) == draft


TEXTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["一", "二", ""]), max_size=3)
QUOTES = st.lists(st.sampled_from("甲乙"), unique=True).map(lambda names: tuple(Quote(supplier=name, received=date(2026, 12, 1), file="x") for name in names))
INPUTS = st.builds(
    Inputs, words=TEXTS, facts=st.dictionaries(st.sampled_from("xy"), st.sampled_from([1.0, True, "z"])), quotes=QUOTES, prices=st.just({"l.c": 3.0})
)


@given(INPUTS, INPUTS, INPUTS)
def test_whatever_two_people_change_each_change_is_in_the_result_or_named(base: Inputs, theirs: Inputs, mine: Inputs) -> None:
    joined, clashes = merged(base, theirs, mine)
    named = {(clash.part, clash.key) for clash in clashes}
    result = entries(joined)
    for one in differences(base, theirs):
        assert result.get((one.part, one.key)) == one.after
    for one in differences(base, mine):
        assert (one.part, one.key) in named or result.get((one.part, one.key)) == one.after
    assert entries(assembled(entries(mine))) == entries(mine)
    assert merged(base, base, mine) == (assembled({key: entries(mine)[key] for key in [*entries(base), *entries(mine)] if key in entries(mine)}), ())


def test_what_was_put_in_while_the_plan_was_designed_again_stands_in_the_new_one(kept: Kept, shipped_catalogue: Catalogue) -> None:
    kept.save(word("qa.why-now", "前から"), who="佐藤", why="初め", expected=0)
    began, folder = read_inputs(kept.path), read_folder(kept.path)
    made: Any = SimpleNamespace(plan=folder.plan, designed=folder, funding=folder.funding, inputs=replace(began, facts={"population": 8000.0}))
    kept.save(word("qa.share", "設計の間に"), who="佐藤", why="次", expected=1)
    write_folder(made, folder.region, shipped_catalogue, "ja", kept.path, lambda there: merged(began, there, made.inputs)[0])
    number, inputs = kept.current()
    assert inputs.words == {"qa.why-now": "前から", "qa.share": "設計の間に"}
    assert inputs.facts == {"population": 8000.0}
    assert [one.author for one in kept.history()] == ["佐藤", "佐藤", "files"]
    assert number == 3
    shown = "\n".join(cell.text for table in docx.Document(str(kept.path / PAPER)).tables for row in table.rows for cell in row.cells)
    assert "設計の間に" in shown
    assert not stale(kept.path)


def test_a_change_that_finds_no_room_in_the_folder_is_a_version_and_gets_there_later(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("kiban.loop.kept.write_inputs", full)
        assert kept.save(word("a", "一"), who="佐藤", why="初め", expected=0).version == 1
        with pytest.raises(OSError, match="No space"):
            kept.current()
    assert kept.current()[1].words == {"a": "一"} == read_inputs(kept.path).words
    assert [one.author for one in kept.history()] == ["佐藤"]
