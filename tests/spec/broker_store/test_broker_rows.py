"""Entities that the SQLite store remembers are those of its file: at every moment, whatever becomes of the writes."""

from __future__ import annotations

import ast
import asyncio
import random
import re
import sqlite3
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linkage.strategies import BASE, BORN

from kiban.linkage.broker import times
from kiban.linkage.broker.overwrite import overwrite
from kiban.linkage.broker.store import sql, sqlite
from kiban.linkage.broker.store.rows import Rows, weight
from kiban.linkage.broker.store.sqlite import SqliteStore
from kiban.linkage.errors import Problem

NUMBERS = range(6)


def well(number: int, level: Any = 0, **more: Any) -> dict[str, Any]:
    made = {"id": f"urn:ngsi-ld:Well:{number}", "type": [BASE + "Well"], "createdAt": BORN, "modifiedAt": BORN}
    return {**made, BASE + "level": [{"type": "Property", "value": level, "createdAt": BORN, "modifiedAt": BORN}], **more}


class Wrong(Exception):
    """What an operation of these tests raises."""


class Watched:
    """The connection that writes. It notes which entities change, and a commit may go wrong: before it happened, or after."""

    def __init__(self, store: SqliteStore) -> None:
        self.connection, self.rows, self.fault = store.writer.connection, store.rows, ""
        self.changed: set[tuple[int, str]] = set()
        self.missed: set[tuple[int, str]] = set()
        self.connection.create_function("note", 2, lambda tenant, id: self.changed.add((tenant, id)))
        for event, name in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            self.connection.execute(f"CREATE TEMP TRIGGER on_{event} AFTER {event} ON main.entity BEGIN SELECT note({name}.tenant, {name}.id); END")
        store.writer.connection = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql != "COMMIT":
            return self.connection.execute(sql, *values)
        self.missed |= self.changed - self.rows.touched.keys()
        self.changed.clear()
        if self.fault == "before":
            raise sqlite3.OperationalError("disk I/O error")
        time.sleep(0.001)  # so that there are reads while it runs
        done = self.connection.execute(sql)
        if self.fault == "after":
            raise sqlite3.OperationalError("disk I/O error")
        return done


def step(what: str, number: int, level: int, soon: str) -> Any:
    """One function that writes; `soon` is when what it keeps expires."""

    def op(tx: Any) -> None:
        tenant = tx.open_tenant("")
        id = well(number)["id"]
        assert tx.row(tenant, id) == sql.Statements.row(tx, tenant, id)  # what is in memory, and what is in the file
        old = tx.entity(tenant, id)
        if what == "delete":
            if old is not None:
                tx.delete(tenant, old)
        elif what == "clear":
            tx.clear(tenant, 3)
        elif what == "over":
            if (stored := tx.stored(tenant, id)) is not None:
                change = overwrite(*stored[:2], well(number, level), now=BORN)
                if change is not None:
                    tx.overwrite(tenant, stored[2], change)
        else:
            more: dict[str, Any] = {"expiresAt": soon} if what == "passing" else {}
            entity = well(number, level, **more)
            if what == "attribute passing":
                entity[BASE + "state"] = [{"type": "Property", "value": level, "createdAt": BORN, "modifiedAt": BORN, "expiresAt": soon}]
            tx.put(tenant, entity, old)
            if what == "wrong":
                raise Wrong
            if what == "twice":
                tx.put(tenant, well(number, level + 1), entity)
            if what == "broken":
                tx.do("INSERT INTO tenant (name) VALUES ('')")  # there is one: this write alone fails

    return op


KINDS = ("put", "put", "over", "twice", "delete", "passing", "attribute passing", "clear", "wrong", "broken")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("", "", "", "before", "after")),  # what becomes of the commit
        st.integers(0, 40),  # seconds of the clock that pass before
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(NUMBERS), st.integers(0, 9)), min_size=1, max_size=6),
    ),
    max_size=8,
)


@given(steps=STEPS, limit=st.sampled_from((0, 30_000, 1_000_000)))
@settings(deadline=None, max_examples=30)
def test_every_read_at_every_moment_is_what_the_file_has(steps: list[Any], limit: int) -> None:
    clock = times.parse("2026-11-27T12:00:00Z")

    async def story(store: SqliteStore) -> None:
        nonlocal clock
        watched = Watched(store)
        plain = sqlite.Session(store.connect(), sqlite.Names())
        looks = 0

        def look() -> None:
            nonlocal looks
            for number in NUMBERS:
                id = well(number)["id"]
                for ask in ("lean", "entity"):
                    before = getattr(plain, ask)(1, id)
                    found = getattr(store.reader, ask)(1, id)
                    if before == getattr(plain, ask)(1, id):  # else it was committed in this very moment
                        assert found == before
                        looks += 1

        async def keep_looking() -> None:
            while True:
                look()
                await asyncio.sleep(0)

        await store.write(lambda tx: tx.open_tenant(""))
        for fault, seconds, ops in steps:
            clock += seconds * times.SECOND
            look()
            soon = times.text(clock + 30 * times.SECOND)
            watched.fault = fault
            looking = asyncio.create_task(keep_looking())
            results = await asyncio.gather(*(store.write(step(what, number, level, soon)) for what, number, level in ops), return_exceptions=True)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            assert looking.cancelled()
            assert not [result for result in results if isinstance(result, AssertionError)]
            assert not fault or all(isinstance(result, (Problem, Wrong)) for result in results)
            look()
            assert not store.rows.touched
            assert store.rows.size == sum(weight(key, row) for key, row in store.rows.known.items()) <= limit
        assert watched.missed == set()
        assert looks or not steps
        plain.connection.close()
        store.writer.connection = watched.connection
        await store.close()

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(sqlite, "ROWS", limit)
        patch.setattr(times, "now_us", lambda: clock)
        patch.setattr(times, "now", lambda: times.text(clock))
        asyncio.run(story(SqliteStore(Path(folder) / "b.db")))


def test_every_statement_that_changes_an_entity_is_told_to_the_memory() -> None:
    found = {}
    for module in sorted(Path(sql.__file__).parents[1].rglob("*.py")):
        for function in (node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)):
            texts = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
            if any(re.search(r"\b(INTO|UPDATE|DELETE FROM) entity\b", text) for text in texts):
                called = {node.func.attr for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
                found[f"{module.stem}.{function.name}"] = "written" in called
    # `Writer` itself tells of what is removed.
    assert found == {"sql.put": True, "sql.overwrite": True, "sql.remove": False}


def test_what_was_written_or_read_is_not_looked_for_in_the_file_again(tmp_path: Path) -> None:
    async def story() -> None:
        store = SqliteStore(tmp_path / "b.db")
        await store.write(step("put", 1, 5, ""))
        asked: list[str] = []
        store.reader.connection.set_trace_callback(asked.append)
        assert store.reader.lean(1, well(1)["id"]) is not None
        assert store.reader.entity(1, well(1)["id"]) == well(1, 5)
        assert store.reader.lean(1, well(2)["id"]) is None
        assert len([sql for sql in asked if "FROM entity" in sql]) == 1
        await store.close()
        again = SqliteStore(tmp_path / "b.db")
        assert not again.rows.known
        assert again.reader.entity(1, well(1)["id"]) == well(1, 5)
        assert len(again.rows.known) == 1
        await again.close()

    asyncio.run(story())


def test_a_write_takes_what_is_in_memory_and_does_not_look_for_it_in_the_file(tmp_path: Path) -> None:
    async def story() -> None:
        store = SqliteStore(tmp_path / "b.db")
        await store.write(step("put", 1, 5, ""))
        asked: list[str] = []
        store.writer.connection.set_trace_callback(asked.append)

        def op(tx: Any) -> None:
            for level in (6, 7):  # the second time it is this transaction alone that knows it
                old = tx.entity(1, well(1)["id"])
                assert old == well(1, level - 1)
                tx.put(1, well(1, level), old)

        await store.write(op)
        assert len([sql for sql in asked if "FROM entity" in sql]) == 1
        await store.close()

    asyncio.run(story())


def test_a_group_that_is_run_again_sees_what_another_process_wrote_in_between(tmp_path: Path) -> None:
    async def story() -> None:
        store, other = SqliteStore(tmp_path / "b.db"), SqliteStore(tmp_path / "b.db")
        await store.write(step("put", 1, 1, ""))
        await store.write(step("put", 2, 2, ""))
        ids = [well(number)["id"] for number in range(4)]
        assert store.reader.entity(1, ids[2]) == well(2, 2)
        assert (1, ids[2]) in store.rows.known
        plain = store.writer.connection

        class Between:
            def __getattr__(self, name: str) -> Any:
                return getattr(plain, name)

            def execute(self, sql: str, *values: Any) -> Any:
                done = plain.execute(sql, *values)
                if sql == "ROLLBACK":  # another process is quicker: the key of the second well is that of the third from now on
                    other.writer.connection.execute("BEGIN IMMEDIATE")
                    other.writer.delete(1, other.writer.entity(1, ids[2]))
                    other.writer.put(1, well(3, 3), None)
                    other.writer.connection.execute("COMMIT")
                return done

        store.writer.connection = Between()  # type: ignore[assignment]
        wrong, late = await asyncio.gather(store.write(step("wrong", 0, 0, "")), store.write(lambda tx: tx.stored(1, ids[2])), return_exceptions=True)
        assert isinstance(wrong, Wrong)
        assert late is None
        store.writer.connection = plain
        await store.close()
        await other.close()

    asyncio.run(story())


def test_what_another_process_writes_is_seen_and_nothing_is_remembered_from_then_on(tmp_path: Path) -> None:
    async def story() -> None:
        store = SqliteStore(tmp_path / "b.db")
        await store.write(step("put", 1, 5, ""))
        id = well(1)["id"]
        assert store.reader.entity(1, id) == well(1, 5)
        assert store.rows.known
        other = SqliteStore(tmp_path / "b.db")
        await other.write(step("delete", 1, 0, ""))
        time.sleep(sqlite.LOOKED + 0.01)
        assert store.reader.lean(1, id) is None
        await store.write(step("put", 2, 7, ""))
        assert store.reader.entity(1, well(2)["id"]) == well(2, 7)
        assert not store.rows.known
        store.shared = 0.0  # the while is over
        await store.write(step("put", 4, 8, ""))  # who only writes is told so, too
        assert store.rows.limit == sqlite.ROWS
        store.rows.clear()
        store.reader.again = 0.0
        assert store.reader.entity(1, well(2)["id"]) == well(2, 7)
        assert len(store.rows.known) == 1
        await other.write(step("delete", 2, 0, ""))
        await store.write(step("put", 3, 8, ""))  # a group of writes looks, too
        assert store.reader.lean(1, well(2)["id"]) is None
        await other.close()
        await store.close()

    asyncio.run(story())


@pytest.mark.parametrize("length", [10, 500, 3000])
def test_a_memory_of_so_many_bytes_takes_no_more(length: int) -> None:
    chance = random.Random(length)
    tracemalloc.start()
    try:
        rows = Rows(4 << 20)
        empty = tracemalloc.get_traced_memory()[0]
        for number in range(3 * (4 << 20) // (520 + length)):
            row = (chance.randbytes(length), 1, None, None, chance.randbytes(40), 10_000 + number)
            rows.keep((1, f"urn:ngsi-ld:Well:{chance.randrange(10**6)}:{number}"), row)
        taken = tracemalloc.get_traced_memory()[0] - empty
    finally:
        tracemalloc.stop()
    assert 0.7 * rows.limit < taken <= rows.limit


def test_the_entity_that_was_asked_for_longest_ago_gives_way() -> None:
    row = (b"{}", 1, None, None, b"[]", 1)
    rows = Rows(20 * weight((1, "urn:01"), row))
    for number in range(20):
        rows.keep((1, f"urn:{number:02d}"), row)
    assert rows.find((1, "urn:00")) == row
    rows.keep((1, "urn:20"), row)
    assert (rows.find((1, "urn:00")), rows.find((1, "urn:01"))) == (row, None)
    rows.keep((1, "urn:21"), (bytes(rows.limit // 4), 1, None, None, b"[]", 1))  # one that would drive out many
    assert rows.find((1, "urn:21")) is None
    assert len(rows.known) == 20


def test_what_is_written_without_having_been_asked_for_takes_no_room_from_what_was() -> None:
    rows = Rows(100_000)
    for n in range(20):
        rows.keep((1, f"urn:asked:{n}"), (b"x" * 4_200, 1, None, None, b"[1]", 1))
    known = dict(rows.known)
    assert len(known) == 20
    assert rows.size > 0.9 * rows.limit
    for n in range(50):
        rows.touch((1, f"urn:new:{n}"), (b"x" * 1_000, 1, None, None, b"[1]", 1))
    rows.touch((1, "urn:asked:3"), (b"y" * 4_200, 1, None, None, b"[2]", 1))
    rows.touch((1, "urn:asked:3"), (b"z" * 4_200, 1, None, None, b"[2]", 1))
    rows.settle()
    assert rows.known.keys() == known.keys()
    assert rows.known[(1, "urn:asked:3")][0] == b"z" * 4_200
