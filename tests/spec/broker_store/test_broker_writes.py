"""What is written together, what is undone, who sees what; on both databases."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.linkage.strategies import BASE, BORN, TERMS

from kiban.linkage.broker import times
from kiban.linkage.broker.overwrite import overwrite
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.store import Message, Selection, open_store
from kiban.linkage.errors import Problem

MINUTE = 60_000_000


def well(number: int, level: Any = 0, **more: Any) -> dict[str, Any]:
    made = {"id": f"urn:ngsi-ld:Well:{number}", "type": [BASE + "Well"], "createdAt": BORN, "modifiedAt": BORN}
    return {**made, BASE + "level": [{"type": "Property", "value": level, "createdAt": BORN, "modifiedAt": BORN}], **more}


def create(number: int, level: Any = 0, tenant: str = "") -> Any:
    def op(tx: Any) -> int:
        key = tx.open_tenant(tenant)
        if tx.entity(key, well(number)["id"]) is not None:
            raise Problem("AlreadyExists", "there", well(number)["id"])
        tx.put(key, well(number, level), None)
        return number

    return op


def add(number: int) -> Any:
    """Add one to the level of a well."""

    def op(tx: Any) -> int:
        key = tx.open_tenant("")
        old = tx.entity(key, well(number)["id"])
        level: int = old[BASE + "level"][0]["value"] + 1
        tx.put(key, well(number, level), old)
        return level

    return op


def levels(bench: Any, tenant: str = "") -> dict[int, Any]:
    reader = bench.store.reader
    key = reader.tenant(tenant)
    if key is None:
        return {}
    ids = reader.ids(key, Selection())
    return {int(id.rsplit(":", 1)[1]): reader.entity(key, id)[BASE + "level"][0]["value"] for id in ids}


class Wrong(Exception):
    """What an operation of these tests raises."""


# ------------------------------------------------------------------------------------------------------------------------ group commit


def test_a_write_that_fails_takes_back_itself_alone(bench: Any) -> None:
    def fails_late(tx: Any) -> None:
        tx.put(tx.open_tenant(""), well(50), None)
        raise Wrong

    def fails_early(_: Any) -> None:
        raise Wrong

    results = bench.write(create(1), fails_late, create(2), fails_early, create(1), create(3))
    assert [type(result) for result in results] == [int, Wrong, int, Wrong, Problem, int]
    assert sorted(levels(bench)) == [1, 2, 3]


def test_names_of_a_write_that_was_undone_are_given_anew(bench: Any) -> None:
    def undone(tx: Any) -> None:
        tx.put(tx.open_tenant("new"), {**well(1), "type": ["urn:type:undone"], "urn:attr:undone": well(1)[BASE + "level"]}, None)
        raise Wrong

    def kept(number: int) -> Any:
        def op(tx: Any) -> None:
            made = {**well(number), "type": [f"urn:type:{number}"], f"urn:attr:{number}": well(1)[BASE + "level"]}
            tx.put(tx.open_tenant(f"tenant{number}"), made, None)

        return op

    bench.write(undone, kept(2))
    bench.write(kept(3), undone, kept(4))
    reader = bench.store.reader
    assert reader.tenant("new") is None
    for number in (2, 3, 4):
        key = reader.tenant(f"tenant{number}")
        assert reader.types(key) == [(f"urn:type:{number}", 1)]
        assert dict(reader.attributes(key)) == {BASE + "level": 1, f"urn:attr:{number}": 1}


def test_what_must_be_new_is_refused_where_something_stands_but_not_where_that_has_expired(bench: Any) -> None:
    def new(number: int, level: int) -> Any:
        return lambda tx: tx.put(tx.open_tenant(""), well(number, level), None, new=True)

    assert bench.write(new(1, 5)) == [None]
    again, other = bench.write(new(1, 6), new(2, 7))
    assert isinstance(again, Problem)
    assert again.kind == "AlreadyExists"
    assert other is None
    assert levels(bench) == {1: 5, 2: 7}
    bench.write(lambda tx: tx.put(tx.open_tenant(""), well(3, 1, expiresAt="2001-01-01T00:00:00.000Z"), None))
    assert bench.write(new(3, 8)) == [None]
    assert levels(bench) == {1: 5, 2: 7, 3: 8}


def test_a_short_overwrite_keeps_the_index_also_after_the_names_were_forgotten(bench: Any) -> None:
    bench.store.declare([BASE + "level"])
    bench.write(create(1, 5))

    def op(tx: Any) -> None:
        tx.names.forget()
        key = tx.open_tenant("")
        lean, sys, number = tx.stored(key, well(1)["id"])
        tx.overwrite(key, number, overwrite(lean, sys, well(1, 9), now=BORN))

    bench.do(op)
    reader = bench.store.reader
    assert reader.ids(reader.tenant(""), Selection(q=parse_q("level==9", TERMS))) == [well(1)["id"]]


def test_hundreds_of_writes_at_once_lose_nothing(bench: Any) -> None:
    bench.write(*(create(number) for number in range(5)))
    results = bench.write(*(add(number % 5) for number in range(600)))
    assert sorted(results) == sorted(itertools.chain.from_iterable([level] * 5 for level in range(1, 121)))
    assert levels(bench) == dict.fromkeys(range(5), 120)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["create", "add", "delete", "fail"])), max_size=12))
def test_a_group_of_writes_ends_as_one_write_after_another_would(shared: Any, steps: list[tuple[int, str]]) -> None:
    name = f"group{next(TURNS)}"

    def op(number: int, deed: str) -> Any:
        def run(tx: Any) -> str:
            key = tx.open_tenant(name)
            old = tx.entity(key, well(number)["id"])
            if (old is None) is not (deed in ("create", "fail")):
                raise Wrong
            if deed == "delete":
                tx.delete(key, old)
            else:
                tx.put(key, well(number, 0 if old is None else old[BASE + "level"][0]["value"] + 1), old)
            if deed == "fail":
                raise Wrong
            return deed

        return run

    model: dict[int, int] = {}
    expected: list[str | None] = []
    for number, deed in steps:
        fits = (number not in model) is (deed == "create") and deed != "fail"
        expected.append(deed if fits else None)
        if fits:
            if deed == "delete":
                del model[number]
            else:
                model[number] = model.get(number, -1) + 1
    results = shared.write(*(op(*step) for step in steps))
    assert [None if isinstance(result, Wrong) else result for result in results] == expected
    assert levels(shared, name) == model


TURNS = itertools.count()


def test_what_is_written_is_there_when_the_store_is_opened_again(bench: Any) -> None:
    bench.write(create(1, 7), create(2, 8, "town"))
    bench.again()
    assert levels(bench) == {1: 7}
    assert levels(bench, "town") == {2: 8}


def test_one_tenant_sees_nothing_of_another(bench: Any) -> None:
    bench.write(create(1, 7, "a"), create(1, 8, "b"), create(2, 9, "b"))
    reader = bench.store.reader
    a, b = reader.tenant("a"), reader.tenant("b")
    assert (levels(bench, "a"), levels(bench, "b")) == ({1: 7}, {1: 8, 2: 9})
    assert reader.ids(a, Selection(q=parse_q("level>7", TERMS))) == []
    assert reader.types(a) == [(BASE + "Well", 1)]
    assert reader.types(b) == [(BASE + "Well", 2)]
    assert reader.tenant("c") is None


def test_after_close_a_write_is_refused(bench: Any) -> None:
    store = bench.another()
    bench.run(store.close())
    (result,) = bench.write(create(1), store=store)
    assert isinstance(result, Problem)
    assert result.status == 503
    bench.opened.remove(store)


# ---------------------------------------------------------------------------------------------------------------------------- expiry


def test_what_has_expired_is_not_there_even_before_it_is_removed(bench: Any) -> None:
    gone, later = times.text(times.now_us() - MINUTE), times.text(times.now_us() + MINUTE)
    bench.do(
        lambda tx: [tx.put(tx.open_tenant(""), well(number, 0, **more), None) for number, more in enumerate(({}, {"expiresAt": gone}, {"expiresAt": later}))]
    )
    reader = bench.store.reader
    key = reader.tenant("")
    assert sorted(levels(bench)) == [0, 2]
    assert reader.count(key, Selection()) == 2
    assert reader.lean(key, well(1)["id"]) is None
    assert [entity["id"] for _, entity in reader.expired(times.now_us())] == [well(1)["id"]]
    bench.do(lambda tx: tx.put(key, well(1, 5, expiresAt=later), None))  # a new one takes the place of one that has expired
    assert levels(bench) == {0: 0, 2: 0, 1: 5}
    assert reader.types(key) == [(BASE + "Well", 3)]


def test_a_new_entity_takes_the_place_of_an_expired_one_that_will_not_expire_itself(bench: Any) -> None:
    gone = times.text(times.now_us() - MINUTE)
    bench.do(lambda tx: tx.put(tx.open_tenant(""), well(1, 0, expiresAt=gone), None))
    bench.write(create(1, 5))
    assert levels(bench) == {1: 5}


def test_an_attribute_that_has_expired_is_not_shown(bench: Any) -> None:
    past = times.text(times.now_us() - MINUTE)
    depth = {BASE + "depth": [{"type": "Property", "value": 3, "createdAt": BORN, "modifiedAt": BORN, "expiresAt": past}]}
    bench.do(lambda tx: tx.put(tx.open_tenant(""), well(1, 0, **depth), None))
    reader = bench.store.reader
    key = reader.tenant("")
    assert BASE + "depth" not in reader.entity(key, well(1)["id"])
    assert b"depth" not in reader.lean(key, well(1)["id"])[0]
    assert b"depth" not in reader.find(key, Selection(), 9)[0][0]
    assert reader.ripened(times.now_us()) == [(key, well(1)["id"])]
    assert BASE + "depth" in reader.whole(key, well(1)["id"])


@pytest.mark.parametrize("again", [True, False])
def test_an_attribute_that_has_expired_can_be_written_again_and_leaves_nothing_in_an_index(bench: Any, again: bool) -> None:
    past = times.text(times.now_us() - MINUTE)
    depth = {BASE + "depth": [{"type": "Property", "value": 3, "createdAt": BORN, "modifiedAt": BORN, "expiresAt": past}]}
    bench.do(lambda tx: tx.put(tx.open_tenant(""), well(1, 0, **depth), None))
    reader = bench.store.reader
    key = reader.tenant("")

    def write(tx: Any) -> None:
        old = tx.entity(key, well(1)["id"])
        tx.put(key, {**old, **({BASE + "depth": [{**depth[BASE + "depth"][0], "expiresAt": "2100-01-01T00:00:00Z"}]} if again else {})}, old)

    bench.do(write)
    assert (BASE + "depth" in dict(reader.attributes(key))) is again
    bench.do(lambda tx: tx.delete(key, tx.entity(key, well(1)["id"])))
    assert reader.attributes(key) == []


def test_an_entity_whose_attribute_has_expired_is_deleted_with_it(bench: Any) -> None:
    past = times.text(times.now_us() - MINUTE)
    depth = {BASE + "depth": [{"type": "Property", "value": 3, "createdAt": BORN, "modifiedAt": BORN, "expiresAt": past}]}
    bench.do(lambda tx: tx.put(tx.open_tenant(""), well(1, 0, **depth), None))
    key = bench.store.reader.tenant("")
    bench.do(lambda tx: tx.delete(key, tx.entity(key, well(1)["id"])))
    assert bench.store.reader.attributes(key) == []


# ---------------------------------------------------------------------------------------------------------------------------- things


def test_documents_are_kept_in_the_order_of_their_making_page_by_page(bench: Any) -> None:
    def op(tx: Any) -> int:
        key = tx.open_tenant("")
        assert [tx.put_thing(key, "subscription", f"urn:s:{number}", {"n": number}) for number in (3, 1, 2)] == [True] * 3
        assert tx.put_thing(key, "subscription", "urn:s:1", {"n": 10}) is False
        tx.put_thing(key, "other", "urn:s:1", {"n": 0})
        return int(key)

    key = bench.do(op)
    reader = bench.store.reader
    assert [(id, doc) for _, id, doc, *_ in reader.things(key, "subscription")] == [("urn:s:3", {"n": 3}), ("urn:s:1", {"n": 10}), ("urn:s:2", {"n": 2})]
    assert [id for _, id, *_ in reader.things(key, "subscription", 1, 1)] == ["urn:s:1"]
    assert reader.count_things(key, "subscription") == 3
    assert reader.thing(key, "subscription", "urn:s:9") is None
    before = reader.changes("subscription")
    bench.do(lambda tx: tx.set_state(key, "subscription", "urn:s:3", {"timesSent": 4}))
    assert reader.thing(key, "subscription", "urn:s:3")[:2] == ({"n": 3}, {"timesSent": 4})
    assert reader.changes("subscription") == before  # counters are no change of the document
    assert bench.write(lambda tx: tx.delete_thing(key, "subscription", "urn:s:3"), lambda tx: tx.delete_thing(key, "subscription", "urn:s:3")) == [True, False]
    assert reader.changes("subscription") > before
    assert reader.count_things(key, "subscription") == 2


def test_documents_expire_and_are_removed_by_kind(bench: Any) -> None:
    now = times.now_us()

    def op(tx: Any) -> int:
        key = tx.open_tenant("")
        for kind, id, expires in (("map", "a", now - 1), ("map", "b", now + MINUTE), ("map", "c", None), ("other", "d", now - 1)):
            tx.put_thing(key, kind, id, {}, expires=expires)
        return int(key)

    key = bench.do(op)
    reader = bench.store.reader
    assert [id for _, id, *_ in reader.things(key, "map")] == ["b", "c"]
    assert reader.thing(key, "map", "a") is None
    assert reader.outdated(("map",), now)
    assert bench.do(lambda tx: tx.drop_outdated(("map",), now)) == 1
    assert not reader.outdated(("map",), now)
    assert reader.outdated(("map", "other"), now)
    assert reader.thing_expiry(key, "map", "b") == now + MINUTE


def test_a_tenant_that_is_cleared_leaves_nothing_behind_and_others_alone(bench: Any) -> None:
    place = {BASE + "stands": [{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137, 37]}, "createdAt": BORN, "modifiedAt": BORN}]}
    bench.do(lambda tx: [tx.put(tx.open_tenant(name), well(number, 1, **place), None) for name in "ab" for number in range(5)])
    reader = bench.store.reader
    a, b = reader.tenant("a"), reader.tenant("b")
    assert [bench.do(lambda tx: tx.clear(a, 3)) for _ in range(3)] == [3, 2, 0]
    bench.do(lambda tx: tx.drop_tenant(a))
    assert [name for _, name in reader.tenants()] == ["b"]
    assert len(levels(bench, "b")) == 5
    for table in ("etype", "eattr"):
        assert reader.one(f"SELECT count(*) FROM {table} WHERE tenant <> ?", (b,))[0] == 0
    assert reader.one("SELECT count(*) FROM place")[0] == 5


# ---------------------------------------------------------------------------------------------------------------------------- outbox


def message(endpoint: str, word: str, text: str = "", subscription: str = "urn:s:1") -> Message:
    return Message(endpoint, 1, subscription, word, text.encode())


def test_messages_of_one_word_leave_in_order_and_wait_for_the_one_before(bench: Any) -> None:
    bench.do(
        lambda tx: tx.enqueue(
            [message("http://a", "w1", "1"), message("http://a", "w2", "2"), message("http://a", "w1", "3"), message("http://b", "w", "4")], 10
        )
    )
    assert sorted(bench.do(lambda tx: tx.lanes(10))) == ["http://a", "http://b"]
    one, two = (bench.do(lambda tx: tx.hand_out("me", "http://a", 2, 10, 1000)) for _ in range(2))
    assert [part.request for part in one] == [b"1", b"2"]
    assert [part.request for part in two] == [b"3"]  # the same worker keeps the order itself
    bench.do(lambda tx: tx.settle("me", 20, [two[0].seq], [(one[0].seq, 5000, "refused")], [], [one[1].seq]))
    assert bench.do(lambda tx: tx.hand_out("other", "http://a", 9, 100, 9000))[0].request == b"2"  # released, at once free again
    assert bench.do(lambda tx: tx.hand_out("other", "http://a", 9, 100, 1000)) == []
    (again,) = bench.do(lambda tx: tx.hand_out("other", "http://a", 9, 5000, 1000))
    assert (again.request, again.attempt) == (b"1", 2)


def waiting(bench: Any) -> tuple[int, int]:
    """How many messages wait, and how many were given up."""
    (row,) = bench.store.reader.all("SELECT count(*), count(dead) FROM outbox")
    return row[0] - row[1], row[1]


def test_another_worker_waits_behind_what_this_one_holds(bench: Any) -> None:
    bench.do(lambda tx: tx.enqueue([message("http://a", "w1", "1"), message("http://a", "w1", "2"), message("http://a", "w2", "3")], 10))
    assert [part.request for part in bench.do(lambda tx: tx.hand_out("me", "http://a", 1, 10, 1000))] == [b"1"]
    assert [part.request for part in bench.do(lambda tx: tx.hand_out("you", "http://a", 9, 10, 1000))] == [b"3"]
    late = bench.do(lambda tx: tx.hand_out("you", "http://a", 9, 2000, 1000))  # the lease of the first worker is over
    assert [part.request for part in late] == [b"1", b"2", b"3"]
    bench.do(lambda tx: tx.settle("me", 2000, [late[0].seq], [], [], []))  # who lost the lease settles nothing
    assert waiting(bench) == (3, 0)


def test_what_was_handed_out_and_never_came_waits_again_and_what_is_in_hand_does_not(bench: Any) -> None:
    bench.do(lambda tx: tx.enqueue([Message("http://a", 1, "urn:s", f"urn:e:{number}", str(number).encode()) for number in range(5)], 1))
    came = bench.do(lambda tx: tx.hand_out("me", "http://a", 2, 10, 1000))
    bench.do(lambda tx: tx.hand_out("me", "http://a", 2, 10, 1000))  # the answer to this one is lost
    (others,) = bench.do(lambda tx: tx.hand_out("you", "http://a", 2, 10, 1000))
    bench.do(lambda tx: tx.let_go("me", 11, [part.seq for part in came]))
    again = bench.do(lambda tx: tx.hand_out("me", "http://a", 9, 12, 1000))
    assert [(part.request, part.attempt) for part in again] == [(b"2", 1), (b"3", 1)]
    assert others.request == b"4"


def test_messages_that_were_given_up_are_listed_and_sent_again(bench: Any) -> None:
    bench.do(lambda tx: tx.enqueue([message("http://a", "w", str(number), f"urn:s:{number % 2}") for number in range(6)], 10))
    held = bench.do(lambda tx: tx.hand_out("me", "http://a", 9, 10, 1000))
    bench.do(lambda tx: tx.settle("me", 20, [], [], [(part.seq, f"no {part.request.decode()}") for part in held[:5]], [held[5].seq]))
    reader = bench.store.reader
    assert waiting(bench) == (1, 5)
    first = reader.dead_letters(1, None, 0, 2)
    assert [(part.request, at, why) for part, at, why in first] == [(b"0", 20, "no 0"), (b"1", 20, "no 1")]
    assert [part.request for part, *_ in reader.dead_letters(1, None, first[-1][0].seq, 9)] == [b"2", b"3", b"4"]
    assert [part.request for part, *_ in reader.dead_letters(1, "urn:s:1", 0, 9)] == [b"1", b"3"]
    assert reader.dead_letters(2, None, 0, 9) == []
    assert bench.do(lambda tx: tx.replay(1, "urn:s:1", None, 30)) == {"http://a": 2}
    assert bench.do(lambda tx: tx.replay(1, None, [held[0].seq], 30)) == {"http://a": 1}
    assert [part.request for part in bench.do(lambda tx: tx.hand_out("me", "http://a", 9, 30, 1000))] == [b"0", b"1", b"3", b"5"]


def test_a_name_beyond_the_limit_undoes_its_write_and_no_other(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.do(create(1))
    monkeypatch.setattr("kiban.linkage.broker.store.sql.MOST_NAMES", 3)
    attribute = [{"type": "Property", "value": 1, "createdAt": BORN, "modifiedAt": BORN}]
    bench.do(lambda tx: tx.put(tx.open_tenant(""), well(2, **{BASE + "depth": attribute}), None))
    for _ in range(2):
        with pytest.raises(Problem, match="keeps 3 names"):
            bench.do(lambda tx: tx.put(tx.open_tenant(""), well(3, **{BASE + "width": attribute}), None))
    bench.do(create(4))
    assert sorted(levels(bench)) == [1, 2, 4]
    assert bench.store.reader.unused([BASE + "level", BASE + "width"]) == [BASE + "width"]


def test_a_commit_tells_which_endpoints_have_something_new_and_an_undone_write_does_not(bench: Any) -> None:
    told: list[set[str]] = []
    bench.store.after = told.append

    def undone(tx: Any) -> None:
        tx.enqueue([message("http://never", "w")], 10)
        raise Wrong

    bench.write(undone, lambda tx: tx.enqueue([message("http://a", "w")], 10))
    bench.do(lambda _: None)
    assert set().union(*told) == {"http://a"}


# ------------------------------------------------------------------------------------------------------- indexes, versions, time limits


def test_declaring_an_attribute_indexes_what_is_stored_already(bench: Any) -> None:
    bench.write(*(create(number, level) for number, level in enumerate([1, "high", [2, 3], True, 2.5])))
    store = bench.store
    for declared in ([BASE + "level"], [BASE + "level", BASE + "depth"], [], [BASE + "level"]):
        store.declare(declared)
        key = store.reader.tenant("")
        for question in ("level==2", "level>1.5", "level==1..2", 'level=="high"', "level==true"):
            expected = [well(number)["id"] for number, level in levels(bench).items() if parse_q(question, TERMS).matches(well(number, level))]
            assert store.reader.ids(key, Selection(q=parse_q(question, TERMS))) == expected
    indexed = store.reader.all("SELECT num, text FROM eindex ORDER BY num, text")
    assert sorted(map(str, map(tuple, indexed))) == sorted(map(str, [(1.0, None), (2.0, None), (3.0, None), (2.5, None), (None, "high")]))
    bench.write(create(9, 2))
    assert well(9)["id"] in store.reader.ids(store.reader.tenant(""), Selection(q=parse_q("level==2", TERMS)))
    bench.again()
    assert well(9)["id"] in bench.store.reader.ids(bench.store.reader.tenant(""), Selection(q=parse_q("level==2", TERMS)))


def test_a_database_of_a_newer_program_is_refused(bench: Any) -> None:
    bench.run(bench.store.close())
    bench.opened.remove(bench.store)
    if bench.store.kind == "sqlite":
        connection = sqlite3.connect(bench.address)
        connection.execute("PRAGMA user_version = 999")
        connection.close()
    else:
        import psycopg

        with psycopg.connect(bench.address) as other:
            other.execute("INSERT INTO version (n) VALUES (999)")
    with pytest.raises(Problem, match="999"):
        open_store(bench.address)


def test_a_query_that_takes_too_long_is_ended_and_the_next_one_is_answered(bench: Any) -> None:
    endless = {"sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", "postgres": "SELECT pg_sleep(60)"}
    began = time.monotonic()
    with pytest.raises(Problem) as caught:
        bench.slow(lambda session: session.all(endless[bench.store.kind]), 0.3)
    assert caught.value.kind == "TooComplexQuery"
    assert time.monotonic() - began < 30
    assert bench.slow(lambda session: session.one("SELECT 1")[0]) == 1


def test_a_slow_reader_sees_one_moment(bench: Any) -> None:
    bench.write(create(1))
    store = bench.store

    async def both() -> tuple[int, int]:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def read(session: Any) -> tuple[int, int]:
            key = session.tenant("")
            first = session.count(key, Selection())
            loop.call_soon_threadsafe(begun.set)
            end = time.monotonic() + 20
            while not written.done() and time.monotonic() < end:
                time.sleep(0.005)
            return first, session.count(key, Selection())

        written: asyncio.Future[None] = loop.create_future()
        reading = asyncio.ensure_future(store.slow(read, 30))
        await begun.wait()
        await store.write(create(2))
        written.set_result(None)
        return await reading

    assert bench.run(both()) == (1, 1)
    assert sorted(levels(bench)) == [1, 2]


# ----------------------------------------------------------------------------------------------------------------------- two workers


def test_two_workers_on_one_postgresql_lose_no_update_and_make_nothing_twice(bench: Any) -> None:
    if bench.store.kind == "sqlite":
        pytest.skip("one file has one worker")
    other = bench.another()
    bench.write(*(create(number) for number in range(6)))

    async def both() -> list[Any]:
        ops = []
        for turn in range(150):
            for store, way in ((bench.store, 1), (other, -1)):  # in each other's way, again and again
                ops += [store.write(add(way * number % 6)) for number in (turn, turn + 2)]
                ops.append(store.write(create(100 + turn)))
        return await asyncio.gather(*ops, return_exceptions=True)

    results = bench.run(both())
    problems = [result for result in results if isinstance(result, Problem)]
    assert all(problem.kind == "AlreadyExists" for problem in problems)
    assert len(problems) == 150
    found = levels(bench)
    assert sum(found[number] for number in range(6)) == 150 * 2 * 2
    assert {number for number in found if number >= 100} == {100 + turn for turn in range(150)}


def test_workers_that_write_the_same_entities_in_opposite_order_both_come_through(bench: Any) -> None:
    if bench.store.kind == "sqlite":
        pytest.skip("one file has one worker")
    other = bench.another()
    bench.write(create(1), create(2))

    def both_wells(order: tuple[int, int]) -> Any:
        def op(tx: Any) -> None:
            for number in order:
                add(number)(tx)
                time.sleep(0.01)

        return op

    async def crossed() -> None:
        await asyncio.gather(*(store.write(both_wells(order)) for _ in range(10) for store, order in ((bench.store, (1, 2)), (other, (2, 1)))))

    bench.run(crossed())
    assert levels(bench) == {1: 20, 2: 20}


def test_workers_learn_of_names_that_another_one_made(bench: Any) -> None:
    if bench.store.kind == "sqlite":
        pytest.skip("one file has one worker")
    other = bench.another()
    assert other.reader.tenant("town") is None
    bench.write(create(1, 5, "town"))
    key = other.reader.tenant("town")
    assert other.reader.ids(key, Selection(q=parse_q("level==5", TERMS), attrs=(BASE + "level",))) == [well(1)["id"]]
    bench.write(create(2, 5, "town"), store=other)
    assert len(levels(bench, "town")) == 2
