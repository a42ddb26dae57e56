"""Every save is a new version; the same sentences hold on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kiban.base.errors import ConflictError, NotFoundError, StoreError
from kiban.records.plan import Figure, Plan, PlanStep
from kiban.records.source import Quantity, Text
from kiban.store import Saved

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BRIDGE = Text(ja="橋", en="bridge")
ROAD = Text(ja="道", en="road")


def save(store, record, expected, *, id="noto", author="田中", reason="first draft", now=NOON):
    return store.save("note", id, record, author=author, reason=reason, expected_version=expected, now=now)


def test_what_is_saved_is_read_back(store):
    assert save(store, BRIDGE, 0) == 1
    assert store.read("note", "noto", Text) == BRIDGE


def test_a_second_save_leaves_the_first_version_readable(store):
    save(store, BRIDGE, 0)
    assert save(store, ROAD, 1) == 2
    assert store.read("note", "noto", Text) == ROAD
    assert store.read("note", "noto", Text, 1) == BRIDGE


def test_history_says_who_saved_what_when_and_why(store):
    save(store, BRIDGE, 0)
    save(store, ROAD, 1, author="Sato", reason="the bridge is gone", now=NOON.astimezone(timezone(timedelta(hours=9))) + timedelta(minutes=1))
    first, second = store.history("note", "noto")
    assert (first.version, first.author, first.reason, first.at) == (1, "田中", "first draft", NOON)
    assert (second.version, second.author, second.reason, second.at) == (2, "Sato", "the bridge is gone", NOON + timedelta(minutes=1))
    assert isinstance(first, Saved)
    assert len(first.sha256) == 64


def test_a_list_shows_the_newest_version_of_each_record_of_the_kind(store):
    save(store, BRIDGE, 0, id="b")
    save(store, BRIDGE, 0, id="a")
    save(store, ROAD, 1, id="a")
    store.save("other", "c", ROAD, author="Sato", reason="another kind", expected_version=0, now=NOON)
    assert [(saved.id, saved.version) for saved in store.list("note")] == [("a", 2), ("b", 1)]
    assert store.list("nothing") == ()


def test_a_writer_who_started_from_an_older_version_is_told_who_came_first_and_nothing_is_lost(store):
    save(store, BRIDGE, 0)
    save(store, ROAD, 1, author="Sato", reason="the bridge is gone")
    with pytest.raises(ConflictError) as error:
        save(store, BRIDGE, 1)
    assert str(error.value) == (
        "note noto: found version 2, saved by Sato at 2026-11-23 12:00 UTC (the bridge is gone); expected version 1, which you started from."
        " Next: read version 2, bring your change into it and save again; nothing was lost, and yours is not saved yet"
    )
    assert error.value.status == 409
    assert store.read("note", "noto", Text) == ROAD
    assert len(store.history("note", "noto")) == 2


def test_a_new_record_does_not_replace_one_of_the_same_id(store):
    save(store, BRIDGE, 0)
    with pytest.raises(ConflictError, match="version 1, saved by 田中"):
        save(store, ROAD, 0)


def test_a_change_of_a_record_that_was_never_saved_is_refused(store):
    with pytest.raises(ConflictError, match="found no version yet; expected version 3"):
        save(store, BRIDGE, 3)
    assert store.history("note", "noto") == ()


def test_undo_saves_the_older_content_as_a_new_version(store):
    save(store, BRIDGE, 0)
    save(store, ROAD, 1)
    assert store.restore("note", "noto", 1, author="田中", reason="it still stands", expected_version=2, now=NOON) == 3
    assert store.read("note", "noto", Text) == BRIDGE
    assert [saved.reason for saved in store.history("note", "noto")] == ["first draft", "first draft", "it still stands"]


def test_undo_to_a_version_that_never_was_is_refused(store):
    save(store, BRIDGE, 0)
    with pytest.raises(NotFoundError, match="note noto: found no version 7"):
        store.restore("note", "noto", 7, author="田中", reason="undo", expected_version=1, now=NOON)


def test_reading_what_was_never_saved_says_so(store):
    with pytest.raises(NotFoundError, match="plan x: found nothing"):
        store.read("plan", "x", Text)


def test_reading_as_another_type_is_refused(store):
    save(store, BRIDGE, 0)
    with pytest.raises(StoreError, match="content that is no Quantity"):
        store.read("note", "noto", Quantity)


@pytest.mark.parametrize("statement", ["UPDATE kiban_version SET author = 'x'", "DELETE FROM kiban_version"])
def test_the_database_itself_refuses_to_change_or_delete_a_version(store, statement):
    save(store, BRIDGE, 0)
    with pytest.raises(DBAPIError, match="kiban keeps every version"), store._writer.begin() as connection:
        connection.execute(text(statement))
    assert store.read("note", "noto", Text) == BRIDGE


def test_content_that_was_tampered_with_is_not_read(store):
    save(store, BRIDGE, 0)
    with store._writer.begin() as connection:
        off = "DROP TRIGGER kiban_keep_update" if connection.dialect.name == "sqlite" else "ALTER TABLE kiban_version DISABLE TRIGGER kiban_keep"
        connection.execute(text(off))
        connection.execute(text("UPDATE kiban_version SET body = :body"), {"body": b'{"ja":"x","en":"x"}'})
    with pytest.raises(StoreError, match="note noto, version 1: found content that changed since it was saved"):
        store.read("note", "noto", Text)


@pytest.mark.parametrize("kind", ["", "Plan", "plan x", "plan/../x", "計画", "plan\n", "p" * 61])
def test_a_kind_that_is_no_plain_word_is_refused(store, kind):
    with pytest.raises(StoreError, match="a lower-case word"):
        store.save(kind, "x", BRIDGE, author="田中", reason="r", expected_version=0, now=NOON)


@pytest.mark.parametrize("wrong", [{"id": ""}, {"id": "a\x00b"}, {"id": "x" * 201}, {"author": " "}, {"author": "a\nb"}, {"reason": ""}])
def test_an_empty_or_unprintable_name_author_or_reason_is_refused(store, wrong):
    with pytest.raises(StoreError, match="printable characters"):
        save(store, BRIDGE, 0, **wrong)


def test_a_time_without_its_zone_is_refused(store):
    with pytest.raises(StoreError, match="a time without its zone"):
        save(store, BRIDGE, 0, now=datetime(2026, 11, 23, 12, 0))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_not_turned_into_unknown(store, number):
    with pytest.raises(StoreError, match="found a number that is not finite"):
        save(store, Figure(value=number, unit="JPY", kind="choice", ref="test"), 0)
    assert store.history("note", "noto") == ()


def test_a_plan_whose_steps_hold_any_shape_is_kept(store):
    plan = Plan(
        id="p",
        region="noto",
        sentence="橋",
        status="plan",
        made_on=NOON,
        engine="0.1.0",
        label=None,
        steps=(PlanStep(id="issue", inputs="", engine="0.1.0", pinned={}, body={"pairs": [["a", 1.5], ["b", None]]}),),
        figures={"x": Figure(value=None, unit="JPY", kind="assumed", ref="row 1")},
    )
    save(store, plan, 0)
    assert store.read("note", "noto", Plan) == plan


def test_an_id_may_be_japanese_and_a_record_large(store):
    large = Text(ja="津波" * 500_000, en="tsunami\x00 \U0001f30a")
    save(store, large, 0, id="珠洲市-避難所")
    assert store.read("note", "珠洲市-避難所", Text) == large


def test_a_store_opened_again_has_everything(store, database, opened):
    save(store, BRIDGE, 0)
    store.close()
    assert opened(database).read("note", "noto", Text) == BRIDGE


def test_of_eight_threads_that_save_the_same_change_one_succeeds(store):
    results = []

    def write(name):
        try:
            results.append(save(store, BRIDGE, 0, author=name))
        except ConflictError:
            results.append("conflict")

    threads = [threading.Thread(target=write, args=(f"writer {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["1"] + ["conflict"] * 7
    assert len(store.history("note", "noto")) == 1
