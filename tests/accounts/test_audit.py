"""The audit log: rows that nobody changes unnoticed, a digest for each day, and a spreadsheet that runs nothing."""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.accounts import AuditLog
from kiban.accounts.audit import Digest, as_csv, as_digests, read_digests
from kiban.base.errors import StoreError


class Log:
    """A log with a clock that tests turn."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
        self.log = AuditLog(folder / "audit.db", folder / "audit-digests.csv", now=lambda: self.now)

    def days(self, days: int, rows: int = 3) -> None:
        for _ in range(days):
            for number in range(rows):
                self.log.write("tanaka", "view", f"/plans/{number}")
            self.now += timedelta(days=1)

    def tamper(self, statement: str) -> None:
        with sqlite3.connect(self.folder / "audit.db") as connection:
            connection.execute("DROP TRIGGER keep_update")
            connection.execute("DROP TRIGGER keep_delete")
            connection.execute(statement)
        connection.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    made.log.close()


def test_rows_come_back_newest_first_and_by_day_person_and_action(kept: Log) -> None:
    kept.log.write("tanaka", "view", "/plans/a")
    kept.log.write("", "refused", "/accounts", "403")
    kept.now += timedelta(hours=13)  # the next day in Japan
    kept.log.write("tanaka", "search", "/cases", "防災")
    assert [(one.n, one.who, one.action) for one in kept.log.rows()] == [(3, "tanaka", "search"), (2, "", "refused"), (1, "tanaka", "view")]
    assert [one.n for one in kept.log.rows(day="2026-11-27")] == [2, 1]
    assert [one.n for one in kept.log.rows(who="tanaka", action="view")] == [1]
    assert [one.n for one in kept.log.rows(before=3, most=1)] == [2]
    assert kept.log.rows(who="' OR 1=1 --") == []
    assert kept.log.people() == ["", "tanaka"]
    assert kept.log.rows()[0].at == "2026-11-28T01:00:00.000+09:00"


def test_an_action_outside_the_list_is_a_mistake_of_the_program(kept: Log) -> None:
    with pytest.raises(ValueError, match="peek"):
        kept.log.write("tanaka", "peek", "/")


def test_a_log_that_nobody_touched_is_unchanged_also_after_a_restart(kept: Log) -> None:
    kept.days(3)
    again = AuditLog(kept.folder / "audit.db", kept.folder / "audit-digests.csv", now=lambda: kept.now)
    again.write("sato", "change", "/")
    assert again.verify(again.kept_digests()) == (10, "")
    assert [(one.day, one.rows, one.last) for one in again.kept_digests()] == [("2026-11-27", 3, 3), ("2026-11-28", 3, 6), ("2026-11-29", 3, 9)]
    again.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET who = 'sato'",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT 1, at, 'x', action, target, detail, sha256 FROM entry WHERE n = 1",
    ],
)
def test_the_file_itself_refuses_changes(kept: Log, statement: str) -> None:
    kept.days(1)
    with sqlite3.connect(kept.folder / "audit.db") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()
    assert kept.log.verify() == (3, "")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entry SET who = 'sato' WHERE n = 2", "row 2 was changed"),
        ("UPDATE entry SET detail = 'x' WHERE n = 5", "row 5 was changed"),
        ("UPDATE entry SET at = '2026-11-27T09:00:00.000+09:00' WHERE n = 1", "row 1 was changed"),
        ("DELETE FROM entry WHERE n = 4", "row 4 is missing"),
        ("DELETE FROM entry WHERE n = 1", "row 1 is missing"),
    ],
)
def test_a_changed_or_missing_row_is_found(kept: Log, statement: str, said: str) -> None:
    kept.days(2)
    kept.tamper(statement)
    assert said in kept.log.verify()[1]


def test_a_chain_written_anew_shows_against_a_digest_that_was_carried_away(kept: Log, tmp_path: Path) -> None:
    kept.days(3)
    carried = kept.log.all_digests()
    kept.log.close()
    for path in tmp_path.glob("audit*"):
        path.unlink()
    forged = Log(tmp_path)
    forged.days(3)
    assert forged.log.verify(carried) == (9, "")  # the same rows give the same chain
    forged.log.close()
    for path in tmp_path.glob("audit*"):
        path.unlink()
    forged = Log(tmp_path)
    forged.days(2)
    forged.log.write("tanaka", "view", "/nothing-happened")
    assert forged.log.verify() == (7, "")
    assert forged.log.verify(carried) == (7, "the rows up to 2026-11-29 are not those of its digest")
    forged.log.close()
    kept.log = AuditLog(tmp_path / "other.db", tmp_path / "other.csv")


def test_rows_cut_off_at_the_end_show_against_the_digest(kept: Log) -> None:
    kept.days(2)
    carried = kept.log.all_digests()
    kept.tamper("DELETE FROM entry WHERE n > 4")
    assert kept.log.verify() == (4, "")
    assert "2026-11-28" in kept.log.verify(carried)[1]


def test_the_digest_of_a_day_that_goes_on_stays_true(kept: Log) -> None:
    kept.log.write("tanaka", "view", "/")
    carried = kept.log.all_digests()
    kept.log.write("tanaka", "view", "/")
    assert kept.log.verify(carried) == (2, "")


def test_digests_go_through_their_file(kept: Log, tmp_path: Path) -> None:
    kept.days(2)
    file = tmp_path / "carried.csv"
    file.write_text(as_digests(kept.log.all_digests()), encoding="utf-8", newline="")
    assert read_digests(file) == kept.log.all_digests()
    assert file.read_text(encoding="utf-8").startswith("day,rows,last,sha256\n")
    assert read_digests(file) == [*kept.log.kept_digests(), Digest("2026-11-28", 3, 6, kept.log.digest().sha256)]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "a,b\r\n", "day,rows,last,sha256\r\n2026-11-27,x,3,ab\r\n"])
def test_a_file_that_holds_no_digests_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "digests.csv"
    file.write_text(text)
    with pytest.raises(StoreError, match=r"digests\.csv"):
        read_digests(file)


def test_two_processes_write_one_chain(kept: Log) -> None:
    other = AuditLog(kept.folder / "audit.db", kept.folder / "audit-digests.csv", now=lambda: kept.now)

    def fill(log: AuditLog, who: str) -> None:
        for number in range(100):
            log.write(who, "view", f"/{number}")

    threads = [threading.Thread(target=fill, args=given) for given in ((kept.log, "a"), (other, "b"), (kept.log, "c"), (other, "d"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert kept.log.verify() == (400, "")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3))
def test_any_text_is_kept_and_no_cell_of_the_export_begins_like_a_formula(kept: Log, texts: list[str]) -> None:
    kept.log.write(texts[0], "search", texts[1], texts[2])
    row = kept.log.rows(most=1)[0]
    assert [row.who, row.target, row.detail] == [text[:1000] for text in texts]
    assert kept.log.verify()[1] == ""
    cells = list(csv.reader(io.StringIO(as_csv([row]).removeprefix("\ufeff"), newline="")))[1]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")) for cell in cells)


def test_a_log_that_takes_no_rows_says_so(kept: Log) -> None:
    with sqlite3.connect(kept.folder / "audit.db") as connection:
        connection.execute("DROP TABLE entry")
    connection.close()
    with pytest.raises(StoreError, match="nothing is shown that cannot be logged"):
        kept.log.write("tanaka", "change", "/")


def test_a_log_is_asked_before_something_is_changed(kept: Log) -> None:
    kept.log.check()
    kept.log.close()
    with pytest.raises(StoreError):
        kept.log.check()
