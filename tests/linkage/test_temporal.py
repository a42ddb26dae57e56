"""The history of entities: what is kept, what a window, the last ones and a page show of it, and what is made of many values."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.linkage.broker import temporal, times
from kiban.linkage.broker.selection import parse_scope
from kiban.linkage.broker.store import Event
from kiban.linkage.broker.store.past import Span, instance_number
from kiban.linkage.broker.store.sqlite import SqliteStore
from kiban.linkage.broker.temporal import Border, Evolution, Wanted, aggregate, border, borders, valid

SPEED, LEVEL = "https://town.example/speed", "https://town.example/level"
NOW = "2026-11-27T20:10:00.000Z"
START = times.parse("2026-01-31T23:59:50Z")  # two months within a few seconds
SECOND = 1_000_000
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# --- stores ----------------------------------------------------------------------------------------------------------------------------

numbers = itertools.count()


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The writing session of a SQLite store."""
    store = SqliteStore(tmp_path_factory.mktemp("past") / "town.db")
    yield store.writer
    for session in (store.writer, store.reader):
        session.connection.close()
    store.committer.shutdown()
    store.slower.shutdown()


@pytest.fixture(scope="module")
def postgresql(postgres: Callable[[str], str]) -> Iterator[Any]:
    """A writing session on PostgreSQL."""
    from kiban.linkage.broker.store.postgres import PostgresStore, Session
    from kiban.linkage.broker.store.sql import Names

    store = PostgresStore(postgres("past"))
    connection = store.connect()
    yield Session(connection, Names(), writes=True)
    connection.close()
    store.reader.close()
    with store.wake:
        store.closing = True
        store.wake.notify()
    store.thread.join()
    store.slower.shutdown()


class Point(NamedTuple):
    """One instance of a small history; at: seconds after START, None without observedAt."""

    at: int | None
    value: Any
    dataset: str | None = None

    def event(self, name: str = SPEED) -> Event:
        instance: dict[str, Any] = {"type": "Property", "value": self.value, "createdAt": NOW, "modifiedAt": NOW}
        if self.at is not None:
            instance["observedAt"] = times.text(START + self.at * SECOND)
        if self.dataset is not None:
            instance["datasetId"] = self.dataset
        return Event(name, instance)


def kept(session: Any, points: list[Point], name: str = SPEED) -> int:
    """The key of a new history with these points."""
    key: int = session.keep_head(1, f"urn:car:{next(numbers)}", ["https://town.example/Car"], times.parse(NOW))
    session.record(key, [point.event(name) for point in points])
    return key


seconds = st.integers(0, 20)
datasets = st.sampled_from([None, "urn:d:1", "urn:d:2"])
points = st.lists(st.builds(Point, seconds, st.integers(-9, 9), datasets), max_size=12)
ends = st.tuples(st.none() | seconds, st.none() | seconds)


def shifted(end: int | None) -> int | None:
    return None if end is None else START + end * SECOND


def told(session: Any, key: int, span: Span, **page: Any) -> list[tuple[int, Any, str | None]]:
    found = [row.read() for row in session.instances(key, session.new_number(SPEED), span, **page)]
    return [((times.parse(one["observedAt"]) - START) // SECOND, one["value"], one.get("datasetId")) for one in found]


def window_and_last_are_those_of_a_list(session: Any, history: list[Point], window: tuple[int | None, int | None], last: int, sets: Any) -> None:
    key = kept(session, history)
    low, high = window
    inside = sorted(
        (point for point in history if (low is None or point.at >= low) and (high is None or point.at < high) and (sets is None or point.dataset in sets)),
        key=lambda point: point.at,
    )
    span = Span("at", ((shifted(low), shifted(high)),), only=True, datasets=sets)
    assert [found[0] for found in told(session, key, span)] == [point.at for point in inside]
    assert sorted(told(session, key, span), key=repr) == sorted(map(tuple, inside), key=repr)
    newest = told(session, key, span, limit=last, newest=True)
    assert [found[0] for found in newest] == [point.at for point in reversed(inside)][:last]
    assert all(map(told(session, key, span).__contains__, newest))


@given(points, ends, st.integers(1, 5), st.none() | st.frozensets(datasets, min_size=1))
@SLOW
def test_a_window_and_the_last_ones_are_those_of_a_list(sqlite, history, window, last, sets):
    window_and_last_are_those_of_a_list(sqlite, history, window, last, sets)


@given(points, ends, st.integers(1, 5), st.none() | st.frozensets(datasets, min_size=1))
@settings(SLOW, max_examples=25)
def test_postgresql_gives_the_same_windows(postgresql, history, window, last, sets):
    window_and_last_are_those_of_a_list(postgresql, history, window, last, sets)


def test_what_was_not_observed_is_in_no_window_of_observation_but_in_those_of_changes(sqlite):
    key = kept(sqlite, [Point(None, 1), Point(3, 2)])
    everything = Span()
    observed = Span("at", ((None, None),), only=True)
    changed = Span("modified", ((times.parse(NOW), None),), only=True)
    number = sqlite.new_number(SPEED)
    assert [[row.read()["value"] for row in sqlite.instances(key, number, span)] for span in (observed, changed)] == [[2], [1, 2]]
    assert {row.read()["value"] for row in sqlite.instances(key, number, everything)} == {1, 2}


def test_clocks_that_are_wrong_share_two_tables_and_their_instances_are_found_in_order(sqlite):
    strange = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2009-12-31T23:59:59Z", "2026-03-01T00:00:00Z", "2400-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    key = sqlite.keep_head(1, "urn:car:strange", ["https://town.example/Car"], times.parse(NOW))
    sqlite.record(key, [Event(LEVEL, {"type": "Property", "value": at, "observedAt": at, "createdAt": NOW, "modifiedAt": NOW}) for at in reversed(strange)])
    assert [row.read()["value"] for row in sqlite.instances(key, sqlite.new_number(LEVEL), Span())] == strange
    assert {month for month in sqlite.months() if month < "2010" or month > "2100"} == {"000000", "999999"}


def test_a_history_that_is_written_again_and_again_keeps_its_key_and_its_types(sqlite):
    keys = {sqlite.keep_head(1, "urn:car:again", types, 0) for types in (["https://a.example/A"], ["https://a.example/A"], ["https://a.example/B"])}
    assert len(keys) == 1
    by_type = {name: [head.id for head in sqlite.heads(1, types=[f"https://a.example/{name}"])] for name in "AB"}
    assert by_type == {"A": [], "B": ["urn:car:again"]}
    assert sqlite.forget(1, "urn:car:again")
    assert not sqlite.forget(1, "urn:car:again")
    assert sqlite.heads(1, types=["https://a.example/B"]) == []


# --- aggregation -----------------------------------------------------------------------------------------------------------------------

values = st.integers(-1000, 1000) | st.floats(-1000, 1000, allow_nan=False)
steps = st.sampled_from(["PT1S", "PT3S", "PT7S", "PT0S"])


def same(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


def database_and_list_agree(session: Any, history: list[Point], step: str, low: int) -> None:
    key = kept(session, history)
    duration, start = times.duration(step), START + low * SECOND
    span = Span("at", ((start, None),), only=True, present=True)
    found = {(total.dataset, total.period): total for total in session.totals(key, session.new_number(SPEED), span, start, duration.us, list(temporal.METHODS))}
    inside = [point for point in history if point.at >= low]
    periods = borders(start, duration, START + max((point.at for point in inside), default=low) * SECOND)
    expected = {
        (dataset, place): one
        for dataset in {point.dataset for point in inside}
        for place, one in enumerate(
            aggregate([(START + point.at * SECOND, point.value) for point in inside if point.dataset == dataset], periods, temporal.METHODS)
        )
        if one
    }
    assert found.keys() == expected.keys()
    for group, one in expected.items():
        assert found[group].every == found[group].numbers == one["totalCount"]
        assert all(same(found[group].found[method], one[method]) for method in temporal.METHODS), (found[group], one)


numeric = st.lists(st.builds(Point, seconds, values, datasets), min_size=1, max_size=15)


@given(numeric, steps, st.integers(0, 9))
@SLOW
def test_the_database_aggregates_as_a_list_does(sqlite, history, step, low):
    database_and_list_agree(sqlite, history, step, low)


@given(numeric, steps, st.integers(0, 9))
@settings(SLOW, max_examples=25)
def test_postgresql_aggregates_as_a_list_does(postgresql, history, step, low):
    database_and_list_agree(postgresql, history, step, low)


def test_large_values_close_to_each_other_have_the_right_spread(sqlite):
    key = kept(sqlite, [Point(at, 1e9 + at % 2) for at in range(10)])
    (total,) = sqlite.totals(key, sqlite.new_number(SPEED), Span(), START, 0, ["stddev"])
    assert total.found["stddev"] == pytest.approx(0.5)


def test_numbers_of_absurd_size_are_left_to_a_list_and_never_stop_a_database(sqlite, postgresql):
    for session in (sqlite, postgresql):
        for value, numbers in ((1e200, 1), (1e-200, 2), (10**400, 1)):
            key = kept(session, [Point(0, value), Point(1, 2)])
            (total,) = session.totals(key, session.new_number(SPEED), Span(), START, 0, list(temporal.METHODS))
            assert (total.every, total.numbers) == (2, numbers)
    assert aggregate([(0, 1e308), (1, 1e308)], [0], ["sum", "max", "sumsq", "stddev"]) == [{"max": 1e308}]


def test_values_of_every_kind_are_counted_and_compared_as_far_as_they_can_be():
    made = {
        name: aggregate(list(enumerate(kind)), [0], temporal.METHODS)[0]
        for name, kind in {
            "numbers": [1, 1.0, 4], "texts": ["b", "a", "b"], "truths": [True, False, True], "lists": [[1, 2], [], [1, 2]],
            "objects": [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
            "times": [{"@type": "DateTime", "@value": "2026-01-02T00:00:00Z"}, {"@type": "DateTime", "@value": "2026-01-01T00:00:00Z"}],
        }.items()
    }  # fmt: skip
    assert made["numbers"] == {
        "totalCount": 3, "distinctCount": 2, "sum": 6, "avg": 2, "min": 1, "max": 4, "stddev": pytest.approx(math.sqrt(2)), "sumsq": 18,
    }  # fmt: skip
    assert made["texts"] == {"totalCount": 3, "distinctCount": 2, "min": "a", "max": "b"}
    assert (made["truths"]["sum"], made["truths"]["distinctCount"]) == (2, 2)
    assert (made["lists"]["max"], made["lists"]["distinctCount"]) == (2, 2)
    assert made["objects"] == {"totalCount": 2, "distinctCount": 1}
    assert (made["times"]["min"], made["times"]["max"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")


def test_months_are_as_long_as_the_calendar_has_them():
    found = borders(times.parse("2023-12-31T12:00:00Z"), times.duration("P1M"), times.parse("2024-03-31T12:00:00Z"))
    assert [times.border(one) for one in found] == ["2023-12-31T12:00:00Z", "2024-01-31T12:00:00Z", "2024-02-29T12:00:00Z", "2024-03-31T12:00:00Z"]


# --- pages and scopes ------------------------------------------------------------------------------------------------------------------


class Dot(NamedTuple):
    """An instance of which only the time counts."""

    at: int


tracks = st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=3)


@given(st.lists(tracks, min_size=1, max_size=3), st.integers(1, 6), st.booleans())
def test_a_page_tells_every_entity_up_to_the_same_moment_and_none_more_than_fits(histories, size, newest):
    made = [Evolution("urn:car", [], 0, 0, {str(n): sorted(map(Dot, track), reverse=newest) for n, track in enumerate(history)}) for history in histories]
    end = border(made, "at", size, newest=newest)
    everything = [[dot.at for rows in evolution.tracks.values() for dot in rows] for evolution in made]
    if end is None:
        assert all(len(one) <= size for one in everything)
        return
    pages = [[at for at in one if end.keeps(at, newest)] for one in everything]
    assert any(len(one) > size for one in everything)
    assert any(pages), "a page is never empty"
    assert all(len(page) <= size or len(set(page)) == 1 for page in pages), "only instances of one moment exceed the size"
    further = Border(end.time, True)  # the next moment that could have been told too
    assert end.included or any(sum(further.keeps(at, newest) for at in one) > size for one in everything), "it could not have gone on"


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([[], ["/A"], ["/A/B"], ["/C"], ["/A", "/C"]])), max_size=5),
    st.sampled_from(["/A", "/A/#", "/#", "/C"]),
)
def test_a_scope_holds_from_when_it_is_set_until_it_is_set_anew(changes, text):
    query = parse_scope(text)
    changes = sorted(changes, key=lambda change: change[0])
    ranges = valid(changes, query)
    for moment in range(11):
        now = [scope for at, scope in changes if at <= moment]
        holds = any((low is None or low <= moment) and (high is None or moment < high) for low, high in ranges)
        assert holds is (bool(now) and query.matches({"scope": now[-1]}))


# --- over HTTP -------------------------------------------------------------------------------------------------------------------------

ENTITIES, PAST = "/ngsi-ld/v1/entities", "/ngsi-ld/v1/temporal/entities"


def reading(at: int, value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, "observedAt": f"2026-02-01T00:{at // 60:02}:{at % 60:02}Z", **more}


def values_of(answer: Any, name: str = "speed") -> list[Any]:
    return [instance["value"] for instance in answer.body[name]]


@pytest.fixture
def ask(brokers: Callable[..., Any]) -> Any:
    return brokers()


def car(ask: Any, number: int, **attrs: Any) -> str:
    id = f"urn:car:{number}"
    assert ask("POST", PAST, {"id": id, "type": "Car", **attrs}).status in (201, 204)
    return id


def test_what_a_sensor_said_over_time_is_what_its_history_tells(ask):
    assert ask("POST", ENTITIES, {"id": "urn:car:1", "type": "Car", "speed": {"type": "Property", "value": 1}}).status == 201
    for value in (2, 3):
        assert ask("PATCH", f"{ENTITIES}/urn:car:1/attrs", {"speed": {"type": "Property", "value": value}}).status == 204
    assert values_of(ask("GET", f"{PAST}/urn:car:1")) == [1, 2, 3]
    assert values_of(ask("GET", f"{PAST}/urn:car:1?lastN=2")) == [3, 2]
    assert ask("DELETE", f"{ENTITIES}/urn:car:1/attrs/speed").status == 204
    gone = ask("GET", f"{PAST}/urn:car:1?timeproperty=deletedAt").body["speed"]
    assert [(one["value"], "deletedAt" in one) for one in gone] == [("urn:ngsi-ld:null", True)]
    assert ask("DELETE", f"{ENTITIES}/urn:car:1").status == 204
    assert ask("GET", f"{PAST}/urn:car:1").status == 404


def test_an_entity_that_expires_leaves_its_history_and_an_attribute_takes_its_own_along(ask):
    soon = times.text(times.now_us() + 150_000)
    note = {"type": "Property", "value": "soon gone", "expiresAt": soon}
    ask("POST", ENTITIES, {"id": "urn:car:1", "type": "Car", "expiresAt": soon, "speed": {"type": "Property", "value": 5}, "note": note})
    assert ask("GET", f"{PAST}/urn:car:1").body.keys() == {"id", "type", "speed", "note"}
    while times.now_us() <= times.parse(soon):
        pass
    assert ask("GET", f"{ENTITIES}/urn:car:1").status == 404
    assert ask("GET", f"{PAST}/urn:car:1").body.keys() == {"id", "type", "speed"}


def test_what_was_observed_at_the_same_time_replaces_what_is_there(ask):
    id = car(ask, 1, speed=[reading(0, 1), reading(10, 2)])
    assert ask("POST", PAST, {"id": id, "type": "Bus", "speed": [reading(10, 3), reading(10, 4, datasetId="urn:d:1"), reading(20, 5)]}).status == 204
    answer = ask("GET", f"{PAST}/{id}")
    assert sorted(values_of(answer)) == [1, 3, 4, 5]
    assert sorted(answer.body["type"]) == ["Bus", "Car"]


def test_one_instance_is_changed_and_deleted_by_its_id(ask):
    id = car(ask, 1, speed=[reading(0, 1), reading(10, 2)])
    first, second = (instance["instanceId"] for instance in ask("GET", f"{PAST}/{id}").body["speed"])
    assert instance_number(first) is not None
    assert ask("PATCH", f"{PAST}/{id}/attrs/speed/{first}", {"value": 7, "observedAt": "2026-03-01T00:00:00Z"}).status == 204
    after = ask("GET", f"{PAST}/{id}").body["speed"]
    assert [(one["instanceId"], one["value"]) for one in after] == [(second, 2), (first, 7)]
    assert ask("DELETE", f"{PAST}/{id}/attrs/speed/{second}").status == 204
    assert [one["instanceId"] for one in ask("GET", f"{PAST}/{id}").body["speed"]] == [first]
    for target in (f"{id}/attrs/speed/{second}", f"{id}/attrs/level/{first}", f"urn:car:9/attrs/speed/{first}", f"{id}/attrs/speed/urn:x:y"):
        assert ask("DELETE", f"{PAST}/{target}").status == 404
    assert ask("DELETE", f"{PAST}/{id}/attrs/..%2f/{first}").status == 400


def test_pages_of_a_history_tell_all_of_it_and_nothing_twice(brokers):
    ask = brokers(instances=7)
    speed = [reading(n * 3, n) for n in range(20)]
    level = [reading(n * 5, 100 + n) for n in range(11)]
    id = car(ask, 1, speed=speed, level=level)
    everything = sorted(one["value"] for one in speed + level)
    for last in ("", "&lastN=50"):
        found: list[Any] = []
        window = ""
        for _ in range(20):
            answer = ask("GET", f"{PAST}/{id}?{window}{last}")
            found += [one["value"] for name in ("speed", "level") for one in answer.body.get(name, [])]
            if answer.status == 200:
                break
            end = answer.headers["content-range"].removeprefix("date-time ").split("/")[0][21:]
            after = times.text(times.parse(end) + SECOND)
            window = f"timerel=before&timeAt={end}" if last else f"timerel=after&timeAt={after}"
        assert sorted(found) == everything


def test_many_instances_of_one_moment_are_told_together(brokers):
    ask = brokers(instances=3)
    attrs = {f"part{n}": {"type": "Property", "value": n} for n in range(9)}
    ask("POST", ENTITIES, {"id": "urn:car:1", "type": "Car", **attrs})
    answer = ask("GET", f"{PAST}/urn:car:1")
    assert (answer.status, len(answer.body)) == (200, 11)


def test_a_query_asks_only_what_happened_within_its_window(ask):
    for number, times_and_values in enumerate([[(0, 80), (100, 10)], [(0, 10), (100, 30)], [(300, 99)]]):
        car(ask, number, speed=[reading(*pair) for pair in times_and_values])
    window = "timerel=between&timeAt=2026-02-01T00:01:00Z&endTimeAt=2026-02-01T00:03:00Z"
    assert [one["id"] for one in ask("GET", f"{PAST}?type=Car&{window}").body] == ["urn:car:0", "urn:car:1"]
    found = ask("GET", f"{PAST}?type=Car&q=speed%3E20&count=true&{window}")
    assert [one["id"] for one in found.body] == ["urn:car:1"]
    assert (found.headers["ngsild-results-count"], values_of(found._replace(body=found.body[0]))) == ("1", [30])
    assert [one["id"] for one in ask("GET", f"{PAST}?type=Car&orderBy=id;desc").body] == ["urn:car:2", "urn:car:1", "urn:car:0"]


def test_pages_of_a_query_partition_what_matches(ask):
    for number in range(7):
        car(ask, number, speed=[reading(number, number)])
    found = [ask("GET", f"{PAST}?type=Car&q=speed%3E1&limit=2&offset={offset}") for offset in range(0, 8, 2)]
    assert [[one["id"][-1] for one in page.body] for page in found] == [["2", "3"], ["4", "5"], ["6"], []]
    assert ['rel="next"' in page.headers.get("link", "") for page in found] == [True, True, False, False]


def test_aggregates_over_months_and_of_texts_are_made_too(ask):
    speed = [{"type": "Property", "value": value, "observedAt": f"2026-0{month}-15T00:00:00Z"} for month, value in ((1, 2), (1, 4), (3, 9))]
    speed[1]["observedAt"] = "2026-01-16T00:00:00Z"
    id = car(ask, 1, speed=speed, name=[reading(0, "b"), reading(1, "a")])
    asked = "timerel=after&timeAt=2026-01-01T00:00:00Z&aggrMethods=avg,max&aggrPeriodDuration=P1M&format=aggregatedValues"
    body = ask("GET", f"{PAST}/{id}?{asked}").body
    assert body["speed"]["avg"] == [[3, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"], [9, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"]]
    assert body["name"] == {"type": "Property", "max": [["b", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]]}


def test_the_history_of_the_scope_goes_with_that_of_the_entity(ask):
    ask("POST", ENTITIES, {"id": "urn:car:1", "type": "Car", "scope": "/Town/North"})
    ask("PATCH", f"{ENTITIES}/urn:car:1", {"scope": ["/Town/South"]})
    scopes = ask("GET", f"{PAST}/urn:car:1").body["scope"]
    assert [(one["type"], one["value"]) for one in scopes] == [("Property", "/Town/North"), ("Property", "/Town/South")]
    assert ask("GET", f"{PAST}?type=Car&scopeQ=/Town/%23").status == 200


def test_a_mark_of_deletion_is_taken_as_history_and_a_removed_member_is_not(ask):
    id = car(ask, 1, speed=[reading(0, 1), reading(5, "urn:ngsi-ld:null")])
    assert [("deletedAt" in one) for one in ask("GET", f"{PAST}/{id}").body["speed"]] == [False, True]
    assert ask("GET", f"{PAST}/{id}?aggrMethods=totalCount&format=aggregatedValues").body["speed"]["totalCount"][0][0] == 1
    for wrong in ({"expiresAt": "urn:ngsi-ld:null"}, {"speed": [reading(0, 1) | {"observedAt": "2026-02-01T00:00:00+03:00"}]}, {"scope": [{"value": 3}]}):
        assert ask("POST", PAST, {"id": "urn:car:2", "type": "Car", **wrong}).status == 400
    assert ask("GET", f"{PAST}/urn:car:2").status == 404


def test_times_are_told_in_the_spelling_in_which_they_came(ask):
    id = car(ask, 1, speed=[{"type": "Property", "value": 1, "observedAt": "2026-02-01T00:00:00.1230Z"}])
    assert ask("GET", f"{PAST}/{id}?options=temporalValues").body["speed"] == {"type": "Property", "values": [[1, "2026-02-01T00:00:00.1230Z"]]}


def test_one_language_is_told_where_one_is_asked_for(ask):
    texts = [{"type": "LanguageProperty", "languageMap": {"ja": "川", "en": "river"}, "observedAt": "2026-02-01T00:00:00Z"}]
    id = car(ask, 1, name=texts)
    assert ask("GET", f"{PAST}/{id}?lang=ja").body["name"][0]["value"] == "川"
    assert ask("GET", f"{PAST}/{id}?lang=ja&options=temporalValues").body["name"] == {"type": "Property", "values": [["川", "2026-02-01T00:00:00Z"]]}
    assert ask("GET", f"{PAST}/{id}?options=temporalValues").body["name"]["languageMaps"][0][0] == {"languageMap": texts[0]["languageMap"]}


def test_a_filter_that_would_have_to_look_at_too_many_instances_is_refused(ask, monkeypatch):
    monkeypatch.setattr("kiban.linkage.broker.api_temporal.READ", 3)
    id = car(ask, 1, speed=[reading(at, "slow") for at in range(4)])
    assert ask("GET", f"{PAST}?type=Car&q=speed==%22slow%22").status == 403
    assert ask("GET", f"{PAST}/{id}?aggrMethods=totalCount&format=aggregatedValues").status == 403
    window = "timerel=before&timeAt=2026-02-01T00:00:02Z"
    assert ask("GET", f"{PAST}/{id}?aggrMethods=totalCount&format=aggregatedValues&{window}").body["speed"]["totalCount"][0][0] == 2


@pytest.mark.parametrize(
    "asked",
    [
        "timerel=after", "timerel=during&timeAt=2026-01-01T00:00:00Z", "lastN=0", "lastN=x", "timeproperty=seenAt", "format=aggregatedValues",
        "aggrMethods=mean", "aggrMethods=avg&aggrPeriodDuration=1h", "pick=a{b}", "pick=a&omit=a", "attrs=a&pick=a",
        "datasetId=x", "orderBy=speed", "format=pictures",
        "options=temporalValues,aggregatedValues&aggrMethods=avg",
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(ask, asked):
    assert ask("GET", f"{PAST}?type=Car&{asked}").status == 400


def test_a_wanted_window_says_where_it_begins_and_ends():
    class Plain:
        expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)

    found = temporal.wanted({"timerel": "before", "timeAt": "2026-01-01T00:00:00Z", "attrs": "speed"}, Plain())
    assert (found.low, found.high, found.only, found.named) == (None, times.parse("2026-01-01T00:00:00Z"), True, ("ex:speed",))
    assert isinstance(found, Wanted)


POLICY = """
version: 1
tokens: [{{subject: chief, sha256: {chief}}}, {{subject: river, sha256: {river}}}]
rules:
  - {{who: chief, operations: "*", allow: true}}
  - {{who: river, operations: ["temporal.*"], only: {{types: Car, q: "level<3", attrs: [level]}}}}
"""


def test_a_subject_reads_the_history_of_what_it_may_reach_now_and_no_more(brokers, tmp_path):
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("chief", "river")}
    (tmp_path / "policy.yaml").write_text(POLICY.format(**hashes), "utf-8")
    ask = brokers(policy=tmp_path / "policy.yaml")
    chief, river = {"authorization": "Bearer chief"}, {"authorization": "Bearer river"}
    for number in range(6):
        rising = [reading(at, number + at - 1) for at in range(2)]
        body = {"id": f"urn:car:{number}", "type": "Car" if number else "Bus", "level": rising, "owner": [reading(0, "secret")]}
        assert ask("POST", PAST, body, **chief).status == 201
    answer = ask("GET", f"{PAST}?local=true&count=true&limit=1&offset=1", **river)
    assert ([one["id"] for one in answer.body], answer.headers["ngsild-results-count"]) == (["urn:car:2"], "2"), "the last level counts, 3 is too much"
    assert answer.body[0].keys() == {"id", "type", "level"}
    assert ask("GET", f"{PAST}/urn:car:1?pick=owner", **river).status == 404
    assert ask("GET", f"{PAST}/urn:car:1?aggrMethods=distinctCount&format=aggregatedValues", **river).body.keys() == {"id", "type", "level"}
    for hidden in ("q=owner==%22secret%22", "attrs=owner"):
        assert ask("GET", f"{PAST}?type=Car&{hidden}", **river).status == 403
    for beyond in ("urn:car:0", "urn:car:3", "urn:car:9"):
        assert ask("GET", f"{PAST}/{beyond}", **river).status == 404
        assert ask("POST", f"{PAST}/{beyond}/attrs", {"level": [reading(9, 1)]}, **river).status == 404
        assert ask("DELETE", f"{PAST}/{beyond}", **river).status == 404
    assert ask("POST", f"{PAST}/urn:car:1/attrs", {"owner": [reading(9, "me")]}, **river).status == 403
    assert ask("POST", PAST, {"id": "urn:car:7", "type": "Bus", "level": [reading(0, 1)]}, **river).status in (403, 404)
    assert ask("GET", f"{PAST}/urn:car:7", **chief).status == 404


def test_the_end_of_an_attribute_is_kept_for_entities_that_are_nowhere_but_in_the_history(ask):
    id = car(ask, 1, speed=[reading(0, 1)], level=[reading(0, 2)])
    assert ask("DELETE", f"{ENTITIES}/{id}/attrs/speed").status == 204
    assert ask("DELETE", f"{ENTITIES}/{id}/attrs/speed").status == 404, "it is gone already"
    assert ask("GET", f"{PAST}/{id}?timeproperty=deletedAt").body.keys() == {"id", "type", "speed"}
    assert ask("DELETE", f"{ENTITIES}/urn:car:9/attrs/speed").status == 404
