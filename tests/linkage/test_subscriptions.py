"""Subscriptions: which change is told to whom, what is told, and that nothing is told that did not happen."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.linkage.broker import outgoing, times
from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.delivery import Settled
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.outbox import StoreOutbox
from kiban.linkage.broker.serving import make_app
from kiban.linkage.broker.store.contract import Message
from kiban.linkage.broker.subscriptions import Index, Ready, events, make_ready, picture, read_subscription, show_subscription, status
from kiban.linkage.errors import Problem

CORE = Contexts().core
VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"
NOW = "2026-11-27T20:00:00.000Z"
LD = "/ngsi-ld/v1"


# --- a broker, asked without a socket ---------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class Town:
    """A broker with a clock of its own; `sent` is what its subscribers got, (path, headers, body), in order."""

    def __init__(self, runner: asyncio.Runner, db: Path | str, **options: Any) -> None:
        self.runner, self.sent = runner, []
        self.app = make_app(Options(db=str(db), **options))
        self.broker = self.app.broker
        self.answer = 200
        runner.run(self.open())

    async def open(self) -> None:
        self.server = await asyncio.start_server(self.receive, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        await self.broker.start()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                self.sent.append((lines[0].split()[1], headers, json.loads(body)))
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % self.answer)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        await self.broker.stop()
        self.server.close()

    async def send_one(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Answer:
        path, _, query = target.partition("?")
        raw = b"" if body is None else json.dumps(body).encode()
        told = {"content-type": "application/json"} if raw else {}
        told |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw}

        async def send(event: dict[str, Any]) -> None:
            answered.append(event)

        scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode()}
        await self.app({**scope, "headers": [(name.encode(), value.encode()) for name, value in told.items()]}, receive, send)
        content = answered[1]["body"]
        return Answer(
            answered[0]["status"], {name.decode(): value.decode() for name, value in answered[0]["headers"]}, json.loads(content) if content else None
        )

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        return self.runner.run(self.send_one(method, LD + target if target[:1] == "/" and not target.startswith("/kiban") else target, body, headers))

    def subscribe(self, id: str = "urn:s:1", path: str = "/n", notification: dict[str, Any] | None = None, endpoint: dict[str, Any] | None = None, **more: Any):
        """A subscription to wells; its id."""
        told = {"endpoint": {"uri": f"http://127.0.0.1:{self.port}{path}", **(endpoint or {})}, **(notification or {})}
        answer = self.ask("POST", "/subscriptions", {"id": id, "type": "Subscription", "entities": [{"type": "Well"}], "notification": told} | more)
        assert answer.status == 201, answer.body
        return id

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """Subscription and notification of every row of the outbox."""
        rows = self.broker.store.reader.all("SELECT subscription, request FROM outbox ORDER BY seq")
        return [(row[0], json.loads(outgoing.decode(row[1]).body)) for row in rows]

    def told(self, number: int, seconds: float = 5.0) -> list[dict[str, Any]]:
        """The bodies of the notifications so far, once there are that many."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while len(self.sent) < number:
                    await asyncio.sleep(0.005)

        self.runner.run(wait())
        return [body for _, _, body in self.sent]

    def quiet(self) -> None:
        """Nothing is sent from now on: rows stay in the outbox."""
        self.runner.run(self.broker.dispatcher.stop(1.0))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A broker that delivers to a receiver of this test."""
    with asyncio.Runner() as runner:
        found = Town(runner, tmp_path / "town.db")
        yield found
        runner.run(found.close())


def well(number: int = 1, **attributes: Any) -> dict[str, Any]:
    return {"id": f"urn:w:{number}", "type": "Well", **{name: {"type": "Property", "value": value} for name, value in attributes.items()}}


# --- reading and showing ----------------------------------------------------------------------------------------------------------------

GIVEN: dict[str, Any] = {
    "type": "Subscription",
    "description": "low water",
    "entities": [{"type": "(Well;Public),Spring", "idPattern": "^urn:w:"}],
    "watchedAttributes": ["level"],
    "q": "level<1",
    "geoQ": {"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": [137.2, 37.4], "geoproperty": "place"},
    "scopeQ": "/noto/#",
    "notification": {
        "format": "concise",
        "pick": ["id", "level", "owner{name}"],
        "join": "inline",
        "endpoint": {"uri": "https://town.example/n", "accept": "application/json", "receiverInfo": [{"key": "X-Key", "value": "7"}]},
    },
}


def test_a_subscription_is_shown_as_it_was_given() -> None:
    members = read_subscription(GIVEN, CORE, NOW)
    shown = show_subscription("urn:s:1", members, {}, CORE, times.parse(NOW))
    assert shown == GIVEN | {"id": "urn:s:1", "status": "active", "notificationTrigger": ["attributeCreated", "attributeUpdated"]}
    assert members["watchedAttributes"] == [VOCAB + "level"]
    assert members["notification"]["pick"] == ["id", VOCAB + "level", VOCAB + "owner{" + VOCAB + "name}"]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Subscribtion"},
        {"entities": []},
        {"entities": [{"id": "urn:w:1"}]},
        {"entities": [{"type": "Well", "id": "no uri"}]},
        {"notificationTrigger": ["entityRenamed"]},
        {"q": "level<<1"},
        {"csf": "a=="},
        {"geoQ": {"georel": "close", "geometry": "Point", "coordinates": [1, 2]}},
        {"throttling": -1},
        {"throttling": 5, "timeInterval": 5},
        {"timeInterval": 0},
        {"expiresAt": "2020-01-01T00:00:00Z"},
        {"expiresAt": "soon"},
        {"isActive": "yes"},
        {"watchedAttributes": []},
        {"datasetId": ["no uri"]},
        {"jsonldContext": "no uri"},
        {"notification": None},
        {"notification": {"endpoint": None}},
        {"notification": {"format": "keyValues"}},
        {"notification": {"endpoint": {"uri": "ftp://town.example/n"}}},
        {"notification": {"endpoint": {"uri": "http://town.example/n", "receiverInfo": [{"key": "a", "value": 1}]}}},
        {"notification": {"endpoint": {"uri": "http://town.example/n", "notifierInfo": [{"key": "a"}]}}},
        {"notification": {"endpoint": {"uri": "http://town.example/n"}, "format": "keyValues", "showChanges": True}},
        {"notification": {"endpoint": {"uri": "http://town.example/n"}, "attributes": []}},
        {"notification": {"endpoint": {"uri": "http://town.example/n"}, "pick": ["level"], "attributes": ["level"]}},
        {"notification": {"endpoint": {"uri": "http://town.example/n"}, "pick": ["level"], "omit": ["level"]}},
        {"notification": {"endpoint": {"uri": "http://town.example/n"}, "join": "left"}},
    ],
)  # fmt: skip
def test_what_the_standard_forbids_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        read_subscription(GIVEN | change, CORE, NOW)
    assert (refused.value.kind, refused.value.status) == ("BadRequestData", 400)


def test_a_fragment_changes_what_it_names_and_null_removes() -> None:
    old = read_subscription(GIVEN | {"isActive": False}, CORE, NOW)
    new = read_subscription({"q": None, "description": "urn:ngsi-ld:null", "isActive": True}, CORE, NOW, old=old)
    assert new == {name: value for name, value in old.items() if name not in ("q", "description")} | {"isActive": True}
    for needed in ({"notification": None}, {"entities": None, "watchedAttributes": None}):
        with pytest.raises(Problem, match="BadRequestData"):
            read_subscription(needed, CORE, NOW, old=old)


def test_the_status_follows_from_the_time_and_the_wish() -> None:
    assert [status({"isActive": wish, "expiresAt": NOW}, times.parse(NOW) + later) for wish in (True, False) for later in (-1, 0)] == [
        "active",
        "expired",
        "paused",
        "expired",
    ]


# --- matching: the index gives the same as asking every subscription --------------------------------------------------------------------

TYPES, ATTRS, IDS = ["Well", "Spring", "Public"], ["level", "name", "owner"], ["urn:w:1", "urn:w:2", "urn:x:1"]
selector = st.fixed_dictionaries(
    {"type": st.sampled_from(["Well", "Spring", "(Well;Public)", "Well,Spring", "*"])},
    optional={"id": st.sampled_from([*IDS, IDS[:2]]), "idPattern": st.sampled_from(["^urn:w", "1$", "nothing"])},
)
subscription = st.fixed_dictionaries(
    {"entities": st.lists(selector, min_size=1, max_size=2)},
    optional={
        "watchedAttributes": st.lists(st.sampled_from(ATTRS), min_size=1, max_size=2, unique=True),
        "notificationTrigger": st.lists(
            st.sampled_from(["entityCreated", "entityUpdated", "entityDeleted", "attributeCreated", "attributeUpdated", "attributeDeleted"]),
            min_size=1,
            unique=True,
        ),
        "q": st.sampled_from(["level>1", "name", "!owner"]),
        "scopeQ": st.just("/a/#"),
    },
).map(lambda drawn: {key: value for key, value in drawn.items() if key != "entities" or "watchedAttributes" not in drawn or len(value) < 2})
attribute = st.integers(0, 2).map(lambda value: [{"type": "Property", "value": value}])
entity = st.builds(
    lambda id, types, attrs, scope: (
        {"id": id, "type": [VOCAB + name for name in types], **({"scope": ["/a/b"]} if scope else {})} | {VOCAB + name: value for name, value in attrs.items()}
    ),
    st.sampled_from(IDS),
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True),
    st.dictionaries(st.sampled_from(ATTRS), attribute),
    st.booleans(),
)


def ready(raw: dict[str, Any], id: str = "urn:s:1") -> Ready:
    raw = {"type": "Subscription", "notification": {"endpoint": {"uri": "http://town.example/n"}}} | raw
    return make_ready(id, read_subscription(raw, CORE, NOW), CORE, CORE, CORE.source, "", "")


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A creation, deletion or update of an entity."""
    new = draw(entity)
    how = draw(st.sampled_from(["create", "delete", "update"]))
    names = [name for name in new if name.startswith(VOCAB)]
    if how == "create":
        return Change(new, None, [(name, None, "created") for name in names])
    if how == "delete":
        return Change(None, new, [(name, None, "deleted") for name in names])
    old = {**new, **{VOCAB + name: value for name, value in draw(st.dictionaries(st.sampled_from(ATTRS), attribute)).items()}}
    kept = [name for name in old if name.startswith(VOCAB) and name not in draw(st.sets(st.sampled_from(names or ["x"])))]
    start = {name: value for name, value in old.items() if not name.startswith(VOCAB) or name in kept}
    done: list[tuple[str, str | None, str]] = [(name, None, "created") for name in names if name not in start]
    done += [(name, None, "updated") for name in names if name in start and draw(st.booleans())]
    done += [(name, None, "deleted") for name in kept if name not in new]
    return Change(new, start, done)


@settings(max_examples=120, deadline=None)
@given(st.lists(subscription, max_size=12), st.lists(changes(), min_size=1, max_size=6), st.sets(st.integers(0, 11)))
def test_the_index_finds_what_asking_every_subscription_finds(raws: list[dict[str, Any]], made: list[Change], dropped: set[int]) -> None:
    index = Index()
    for number, raw in enumerate(raws):
        index.put(ready(raw, f"urn:s:{number}"))
    for number in dropped:
        index.drop(f"urn:s:{number}")
    for change in made:
        shown = change.entity or change.previous or {}
        bits, total = events(change)
        found = {one.id for one in index.near(shown, bits) if one.wants(bits, total) and one.concerns(shown)}
        expected = {f"urn:s:{number}" for number, raw in enumerate(raws) if number not in dropped and concerned(raw, change)}
        assert found == expected
    for number in range(len(raws)):
        index.drop(f"urn:s:{number}")
    assert (index.by_id, index.by_type, index.all) == ({}, {}, {})


def concerned(raw: dict[str, Any], change: Change) -> bool:
    """Whether a subscription is told of a change, by the words of the standard, without masks and maps."""
    one = ready(raw)
    shown = change.entity or change.previous or {}
    triggers = set(raw.get("notificationTrigger", ["attributeCreated", "attributeUpdated"]))
    watched = {VOCAB + name for name in raw["watchedAttributes"]} if "watchedAttributes" in raw else None
    whole = "entityCreated" if change.previous is None else "entityDeleted" if change.entity is None else "entityUpdated"
    due = whole in triggers and (watched is None or any(name in watched for name, _, _ in change.changed))
    due = due or any("attribute" + kind.capitalize() in triggers and (watched is None or name in watched) for name, _, kind in change.changed)
    return (
        due
        and (not one.who or any(who.matches(shown) for who in one.who))
        and (one.q is None or one.q.matches(shown))
        and (one.scope is None or one.scope.matches(shown))
    )  # fmt: skip


def test_a_deletion_is_told_as_null_of_what_is_watched() -> None:
    level, name = VOCAB + "level", VOCAB + "name"
    times_of = {"createdAt": NOW, "modifiedAt": NOW}
    instances = [{"type": "Property", "value": 1, **times_of}, {"type": "Property", "value": 2, "datasetId": "urn:d:1", **times_of}]
    old = {
        "id": "urn:w:1",
        "type": [VOCAB + "Well"],
        **times_of,
        level: instances,
        name: [{"type": "LanguageProperty", "languageMap": {"ja": "井戸"}, **times_of}],
    }
    one = Change({**old, level: instances[:1]}, old, [(level, "urn:d:1", "deleted")])
    whole = Change({key: value for key, value in old.items() if key != level}, old, [(level, None, "deleted"), (level, "urn:d:1", "deleted")])
    gone = Change(None, old, [(level, None, "deleted"), (level, "urn:d:1", "deleted"), (name, None, "deleted")])
    null = {"type": "Property", "value": "urn:ngsi-ld:null"}
    for triggers, watched, change, expected in [
        (["attributeDeleted"], None, one, {level: [instances[0], {**null, "datasetId": "urn:d:1"}], name: old[name]}),
        (["attributeUpdated"], None, one, {level: instances[:1], name: old[name]}),
        (["attributeDeleted"], ["name"], one, {level: instances[:1], name: old[name]}),
        (["entityUpdated"], None, whole, {level: [null], name: old[name]}),
        (["attributeDeleted"], ["name"], gone, {name: [{"type": "LanguageProperty", "languageMap": {"@none": "urn:ngsi-ld:null"}}]}),
        (["entityDeleted"], None, gone, {}),
    ]:
        raw = {"entities": [{"type": "Well"}], "notificationTrigger": triggers} | ({"watchedAttributes": watched} if watched else {})
        shown = picture(change, ready(raw), NOW)
        assert {key: value for key, value in shown.items() if key.startswith(VOCAB)} == expected


# --- with a broker ----------------------------------------------------------------------------------------------------------------------


def test_a_change_is_told_and_counted(town: Town) -> None:
    town.subscribe(notification={"attributes": ["level"]}, watchedAttributes=["level"])
    town.ask("POST", "/entities", well(1, level=3, name="old"))
    (body,) = town.told(1)
    assert body == {
        "id": body["id"],
        "type": "Notification",
        "subscriptionId": "urn:s:1",
        "notifiedAt": body["notifiedAt"],
        "data": [well(1, level=3)],
    }
    assert body["id"].startswith("urn:ngsi-ld:Notification:")
    told = town.ask("GET", "/subscriptions/urn:s:1").body["notification"]
    assert (told["status"], told["timesSent"], told["lastNotification"]) == ("ok", 1, told["lastSuccess"])
    town.ask("PATCH", "/entities/urn:w:1/attrs", {"name": {"type": "Property", "value": "new"}})  # not watched
    town.ask("PATCH", "/entities/urn:w:1/attrs", {"level": {"type": "Property", "value": 4}})
    assert town.told(2)[1]["data"] == [well(1, level=4)]
    path, headers, _ = town.sent[0]
    assert (path, headers["content-type"]) == ("/n", "application/json")
    assert "ngsi-ld-core-context" in headers["link"]


def test_an_acknowledged_write_has_its_notification_on_disk_and_a_refused_one_has_none(town: Town) -> None:
    town.subscribe()
    town.quiet()
    assert town.ask("POST", "/entities", well(1, level=1)).status == 201
    assert [(id, body["data"][0]["id"]) for id, body in town.waiting()] == [("urn:s:1", "urn:w:1")]
    assert town.ask("POST", "/entities", well(1, level=2)).status == 409

    def fails(tx: Any) -> None:
        new = {"id": "urn:w:2", "type": [VOCAB + "Well"], "createdAt": NOW, "modifiedAt": NOW}
        change = Change(new, None)
        tx.put(tx.tenant(""), new, None)
        for effect in town.broker.effects:
            effect(tx, tx.tenant(""), "", change)
        raise ValueError("something behind the change went wrong")

    async def both() -> list[Any]:
        return await asyncio.gather(town.broker.store.write(fails), town.send_one("POST", f"{LD}/entities", well(3, level=3), {}), return_exceptions=True)

    failed, answer = town.runner.run(both())
    assert isinstance(failed, ValueError)
    assert answer.status == 201
    assert [body["data"][0]["id"] for _, body in town.waiting()] == ["urn:w:1", "urn:w:3"]


def test_a_subscription_that_was_rolled_back_is_not_told_and_one_that_was_kept_is(town: Town) -> None:
    town.quiet()
    town.ask("POST", "/entities", well(9))
    real = town.broker.store.write
    endpoint = {"endpoint": {"uri": f"http://127.0.0.1:{town.port}/n"}}
    raw = {"type": "Subscription", "entities": [{"type": "Well"}], "notification": endpoint}

    def fails(tx: Any) -> None:
        tx.put_thing(tx.tenant(""), "other", "x", {})
        raise ValueError("the group is rolled back and runs again")

    async def group() -> list[Any]:
        made = [town.send_one("POST", f"{LD}/subscriptions", raw | {"id": f"urn:s:{number}"}, {}) for number in (1, 2, 1)]
        return await asyncio.gather(*made, real(fails), town.send_one("POST", f"{LD}/entities", well(1, level=1), {}), return_exceptions=True)

    answers = town.runner.run(group())
    assert sorted(answer.status for answer in answers if isinstance(answer, Answer)) == [201, 201, 201, 409]
    town.ask("POST", "/entities", well(2, level=1))
    assert sorted(id for id, body in town.waiting() if body["data"][0]["id"] == "urn:w:2") == ["urn:s:1", "urn:s:2"]


def test_notifications_of_one_entity_keep_their_order(town: Town) -> None:
    town.subscribe()
    for value in range(40):
        town.ask("POST", "/entityOperations/upsert", [well(1, level=value), well(2, level=value)])
    data = [body["data"][0] for body in town.told(80)]
    for id in ("urn:w:1", "urn:w:2"):
        assert [one["level"]["value"] for one in data if one["id"] == id] == list(range(40))


def test_throttling_leaves_out_what_comes_too_soon_even_after_a_restart(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        town = Town(runner, tmp_path / "town.db")
        town.quiet()
        town.subscribe(throttling=60)
        for value in range(3):
            town.ask("POST", "/entityOperations/upsert", [well(1, level=value)])
        assert len(town.waiting()) == 1
        assert town.broker.operation.meter.counts["throttled"] == 2
        runner.run(town.close())
        again = Town(runner, tmp_path / "town.db")
        again.quiet()
        again.ask("POST", "/entityOperations/upsert", [well(1, level=9)])
        assert again.broker.operation.meter.counts["throttled"] == 1
        runner.run(again.close())


def test_a_paused_subscription_is_silent_until_it_goes_on(town: Town) -> None:
    town.quiet()
    town.subscribe(isActive=False)
    town.ask("POST", "/entities", well(1, level=1))
    assert town.waiting() == []
    assert town.ask("GET", "/subscriptions/urn:s:1").body["status"] == "paused"
    assert town.ask("PATCH", "/subscriptions/urn:s:1", {"isActive": True}).status == 204
    town.ask("POST", "/entities", well(2, level=1))
    assert [body["data"][0]["id"] for _, body in town.waiting()] == ["urn:w:2"]
    assert town.ask("DELETE", "/subscriptions/urn:s:1").status == 204
    town.ask("POST", "/entities", well(3, level=1))
    assert town.waiting() == []  # what waited goes with the subscription


def test_formats_and_views(town: Town) -> None:
    town.quiet()
    town.ask("POST", "/entities", {"id": "urn:t:1", "type": "Town", "name": {"type": "Property", "value": "Suzu"}})
    town.subscribe("urn:s:1", notification={"format": "keyValues"})
    town.subscribe("urn:s:2", notification={"format": "concise", "omit": ["owner"]})
    town.subscribe("urn:s:3", notification={"pick": ["id", "level"]})
    town.subscribe("urn:s:4", notification={"format": "simplified", "join": "inline", "attributes": ["owner"]})
    town.subscribe("urn:s:5", notification={"format": "simplified", "join": "flat"})
    town.subscribe("urn:s:6", endpoint={"accept": "application/ld+json"}, notification={"pick": ["id"]})
    town.subscribe("urn:s:7", notification={"pick": ["nothing"]})
    town.subscribe("urn:s:8", notification={"sysAttrs": True, "pick": ["id", "createdAt"]})
    town.ask("POST", "/entities", well(1, level=3) | {"owner": {"type": "Relationship", "object": "urn:t:1"}})
    told = {id: body["data"] for id, body in town.waiting()}
    flat = {"id": "urn:w:1", "type": "Well", "level": 3, "owner": "urn:t:1"}
    suzu = {"id": "urn:t:1", "type": "Town", "name": "Suzu"}
    assert told["urn:s:1"] == [flat]
    assert told["urn:s:2"] == [{"id": "urn:w:1", "type": "Well", "level": 3}]
    assert told["urn:s:3"] == [{"id": "urn:w:1", "level": {"type": "Property", "value": 3}}]
    assert told["urn:s:4"] == [{"id": "urn:w:1", "type": "Well", "owner": suzu}]
    assert told["urn:s:5"] == [flat, suzu]
    assert told["urn:s:6"] == [{"id": "urn:w:1", "@context": CORE.source}]
    assert "urn:s:7" not in told
    assert told["urn:s:8"][0].keys() == {"id", "createdAt"}


def test_former_values_and_deletions(town: Town) -> None:
    town.quiet()
    everything = ["entityDeleted", "attributeUpdated", "attributeDeleted"]
    town.ask("POST", "/entities", well(1, level=1, name="a"))
    town.subscribe("urn:s:1", notification={"showChanges": True}, notificationTrigger=everything)
    town.subscribe("urn:s:2", notification={"format": "keyValues"}, notificationTrigger=["entityDeleted"])
    town.ask("PATCH", "/entities/urn:w:1/attrs", {"level": {"type": "Property", "value": 2}})
    town.ask("DELETE", "/entities/urn:w:1/attrs/name")
    town.ask("DELETE", "/entities/urn:w:1")
    updated, dropped, gone, short = ((id, body["data"][0]) for id, body in town.waiting())
    null = {"type": "Property", "value": "urn:ngsi-ld:null"}
    assert updated == ("urn:s:1", well(1, level=2, name="a") | {"level": {"type": "Property", "value": 2, "previousValue": 1}})
    assert dropped == ("urn:s:1", well(1, level=2) | {"name": {**null, "previousValue": "a"}})
    assert gone[1] == {"id": "urn:w:1", "type": "Well", "deletedAt": gone[1]["deletedAt"], "level": {**null, "previousValue": 2}}
    assert short == ("urn:s:2", {"id": "urn:w:1", "type": "Well", "deletedAt": short[1]["deletedAt"]})


def test_what_expires_and_what_is_purged_is_told_as_deleted(town: Town) -> None:
    town.subscribe(notificationTrigger=["entityDeleted"])
    soon = times.text(times.now_us() + 300_000)
    town.ask("POST", "/entities", well(1, level=1) | {"expiresAt": soon})
    town.ask("POST", "/entities", well(2, level=1))
    assert town.ask("DELETE", "/entities?type=Well&q=level==1&id=urn:w:2").status == 204
    assert sorted(body["data"][0]["id"] for body in town.told(2)) == ["urn:w:1", "urn:w:2"]


def test_a_subscription_with_an_interval_tells_all_that_it_selects_each_time(town: Town) -> None:
    for number in (1, 2, 3):
        town.ask("POST", "/entities", well(number, level=number))
    town.subscribe(timeInterval=0.5, q="level>1")
    first, second = town.told(2, 8.0)[:2]
    assert [[one["id"] for one in body["data"]] for body in (first, second)] == [["urn:w:2", "urn:w:3"]] * 2
    assert town.ask("PATCH", "/subscriptions/urn:s:1", {"isActive": False}).status == 204


def test_a_query_over_linked_entities_looks_at_what_is_there(town: Town) -> None:
    town.quiet()
    for id, level in (("urn:p:1", 0.2), ("urn:p:2", 0.9)):
        town.ask("POST", "/entities", {"id": id, "type": "Pump", "level": {"type": "Property", "value": level}})
    town.subscribe(q="pump{level}<0.5")
    for number, pump in ((1, "urn:p:2"), (2, "urn:p:1"), (3, "urn:p:9")):
        town.ask("POST", "/entities", well(number) | {"pump": {"type": "Relationship", "object": pump}})
    assert [body["data"][0]["id"] for _, body in town.waiting()] == ["urn:w:2"]


def test_subscriptions_of_a_tenant_hear_of_that_tenant_alone(town: Town) -> None:
    town.quiet()
    town.subscribe()
    assert town.ask("POST", "/entities", well(1, level=1), NGSILD_Tenant="suzu").status == 201
    assert town.ask("GET", "/subscriptions", NGSILD_Tenant="suzu").body == []
    assert town.ask("GET", "/subscriptions/urn:s:1", NGSILD_Tenant="suzu").status == 404
    assert town.waiting() == []


def test_pages_of_subscriptions(town: Town) -> None:
    for number in range(3):
        town.subscribe(f"urn:s:{number}")
    page = town.ask("GET", "/subscriptions?limit=1&offset=1&count=true")
    assert [one["id"] for one in page.body] == ["urn:s:1"]
    assert page.headers["ngsild-results-count"] == "3"


def test_rights_cut_what_a_subscriber_hears(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"""version: 1
names: {{Well: "{VOCAB}Well", level: "{VOCAB}level"}}
tokens:
  - {{subject: gauge, sha256: {"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}}}
  - {{subject: boss, sha256: {"fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"}}}
rules:
  - {{who: boss, operations: ["*"], allow: true}}
  - {{who: gauge, operations: [entities.read], only: {{idPattern: "^urn:w:1", attrs: [level]}}}}
  - {{who: gauge, operations: [subscriptions.read, subscriptions.create], allow: true}}
""",
        "utf-8",
    )
    boss, gauge = {"authorization": "Bearer bar"}, {"authorization": "Bearer foo"}
    with asyncio.Runner() as runner:
        town = Town(runner, tmp_path / "town.db", policy=policy)
        town.quiet()
        endpoint = {"endpoint": {"uri": f"http://127.0.0.1:{town.port}/n"}}
        for id, more in (("urn:s:1", {}), ("urn:s:2", {"q": 'secret=="x"'}), ("urn:s:3", {"watchedAttributes": ["secret"]})):
            raw = {"id": id, "type": "Subscription", "entities": [{"type": "Well"}], "notification": endpoint} | more
            assert town.ask("POST", "/subscriptions", raw, **gauge).status == 201
        for number in (1, 2):
            assert town.ask("POST", "/entities", well(number, level=number, secret="x"), **boss).status == 201
        town.ask("PATCH", "/entities/urn:w:1/attrs", {"secret": {"type": "Property", "value": "y"}}, **boss)
        assert [(id, body["data"]) for id, body in town.waiting()] == [("urn:s:1", [well(1, level=1)])]
        runner.run(town.close())


def test_a_context_written_inside_goes_with_its_subscription(town: Town) -> None:
    town.quiet()
    body = {
        "id": "urn:s:1",
        "type": "Subscription",
        "entities": [{"type": "Well"}],
        "q": "height>1",
        "notification": {"endpoint": {"uri": f"http://127.0.0.1:{town.port}/n"}},
        "@context": {"height": VOCAB + "level"},
    }
    assert town.ask("POST", "/subscriptions", body, content_type="application/ld+json").status == 201
    (url,) = town.ask("GET", "/jsonldContexts?kind=ImplicitlyCreated").body
    assert town.ask("GET", "/subscriptions/urn:s:1").body["jsonldContext"] == url
    town.ask("POST", "/entities", well(1, level=3))
    ((_, told),) = town.waiting()
    assert told["data"] == [well(1, height=3)]
    assert town.ask("PATCH", "/subscriptions/urn:s:1", {"jsonldContext": CORE.source, "q": "level>3"}).status == 204
    assert town.ask("PATCH", "/subscriptions/urn:s:1", {"jsonldContext": {"a": "urn:a"}}).body["type"].endswith("BadRequestData")
    town.ask("POST", "/entities", well(2, level=3))
    town.ask("POST", "/entities", well(3, level=4))
    assert [body["data"] for _, body in town.waiting()][1:] == [[well(3, level=4)]]
    assert town.ask("PATCH", "/subscriptions/urn:s:1", {"jsonldContext": None}).status == 204
    town.ask("POST", "/entities", well(4, level=4))
    assert town.waiting()[-1][1]["data"] == [well(4, height=4)]
    assert town.ask("DELETE", "/subscriptions/urn:s:1").status == 204
    assert town.ask("GET", "/jsonldContexts?kind=ImplicitlyCreated").body == []


def mapped(tmp_path: Path, **terms: str) -> Path:
    """A context map of one @context, https://names.example/c, with these terms."""
    (tmp_path / "c.jsonld").write_text(json.dumps({"@context": {name: VOCAB + iri for name, iri in terms.items()}}))
    (tmp_path / "map.yaml").write_text("https://names.example/c: c.jsonld\n")
    return tmp_path / "map.yaml"


@pytest.mark.parametrize("how", ["?reload=true", ""])
def test_a_context_that_is_loaded_anew_reaches_the_subscriptions_that_are_there(how: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        town = Town(runner, tmp_path / "town.db", context_map=mapped(tmp_path, height="level", depth="depth"))
        town.quiet()
        uri = f"http://127.0.0.1:{town.port}/n"
        plain = {"type": "Subscription", "entities": [{"type": "Well"}], "notification": {"endpoint": {"uri": uri}}, "jsonldContext": "https://names.example/c"}
        assert town.ask("POST", "/subscriptions", plain | {"id": "urn:s:plain"}).status == 201
        asking = {**plain, "id": "urn:s:asking", "q": "height>2", "@context": ["https://names.example/c", {"more": "urn:more"}]}
        assert town.ask("POST", "/subscriptions", asking, content_type="application/ld+json").status == 201
        town.ask("POST", "/entities", well(1, level=3, depth=1))
        assert [body["data"] for _, body in town.waiting()] == [[well(1, height=3, depth=1)]] * 2
        mapped(tmp_path, pegel="level", height="depth")
        assert town.ask("DELETE", f"/jsonldContexts/{quote('https://names.example/c', safe='')}{how}").status == 204
        town.ask("POST", "/entities", well(2, level=3, depth=1))
        assert [(id, body["data"]) for id, body in town.waiting()][2:] == [("urn:s:plain", [well(2, pegel=3, height=1)])]
        town.ask("POST", "/entities", well(3, level=1, depth=3))
        assert [(id, body["data"]) for id, body in town.waiting()][3:] == [(id, [well(3, pegel=1, height=3)]) for id in ("urn:s:plain", "urn:s:asking")]
        runner.run(town.close())


def test_a_context_that_cannot_be_had_any_more_leaves_subscriptions_their_names(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        town = Town(runner, tmp_path / "town.db", context_map=mapped(tmp_path, height="level"))
        town.quiet()
        town.subscribe(jsonldContext="https://names.example/c")
        (tmp_path / "c.jsonld").unlink()
        assert town.ask("DELETE", f"/jsonldContexts/{quote('https://names.example/c', safe='')}").status == 204
        town.ask("POST", "/entities", well(1, level=3))
        assert [body["data"] for _, body in town.waiting()] == [[well(1, height=3)]]
        runner.run(town.close())


def test_names_of_subscriptions_that_are_gone_are_not_kept(town: Town) -> None:
    town.quiet()
    town.broker.notices.enough = 10

    def subscribe(id: str, name: str) -> None:
        endpoint = {"uri": f"http://127.0.0.1:{town.port}/n"}
        body = {"id": id, "type": "Subscription", "entities": [{"type": "Well"}], "notification": {"endpoint": endpoint}, "@context": {name: VOCAB + "level"}}
        assert town.ask("POST", "/subscriptions", body, content_type="application/ld+json").status == 201

    subscribe("urn:s:stays", "pegel")
    for number in range(40):
        subscribe("urn:s:goes", f"name{number}")
        assert town.ask("DELETE", "/subscriptions/urn:s:goes").status == 204
        town.broker.notices.enough = min(town.broker.notices.enough, 10)
    assert len(town.broker.notices.maps) < 20
    subscribe("urn:s:late", "height")
    town.ask("POST", "/entities", well(1, level=3))
    assert {id: body["data"] for id, body in town.waiting()} == {"urn:s:stays": [well(1, pegel=3)], "urn:s:late": [well(1, height=3)]}


def test_a_subscription_to_registrations_is_told_in_its_own_names_also_after_a_restart(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        town = Town(runner, tmp_path / "town.db")
        town.quiet()
        body = {
            "type": "Subscription",
            "entities": [{"type": "Brunnen"}],
            "notification": {"endpoint": {"uri": f"http://127.0.0.1:{town.port}/n"}},
            "@context": {"Brunnen": VOCAB + "Well"},
        }
        assert town.ask("POST", "/csourceSubscriptions", body, content_type="application/ld+json").status == 201
        runner.run(town.close())
        town = Town(runner, tmp_path / "town.db")
        town.quiet()
        source = {"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "Well"}]}], "endpoint": "http://127.0.0.1:9"}
        assert town.ask("POST", "/csourceRegistrations", source).status == 201
        ((_, told),) = town.waiting()
        assert told["data"][0]["information"] == [{"entities": [{"type": ["Brunnen"]}]}]
        runner.run(town.close())


def test_a_context_of_a_query_that_a_subscription_names_is_kept_where_others_go(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiban.linkage.broker.hosting.MAX_PASSING", 5)
    town.quiet()

    def query(iri: str) -> str:
        """The address that the @context of a query gets."""
        body = {"type": "Query", "entities": [{"type": "Well"}], "@context": {"height": iri}}
        said = town.ask("POST", "/entityOperations/query", body, content_type="application/ld+json")
        assert said.status == 200
        return said.headers["link"][1:].partition(">")[0]

    town.ask("POST", "/entities", well(1))
    url = query(VOCAB + "level")
    town.subscribe(jsonldContext=url)
    urls = [query(f"urn:a:{number}") for number in range(30)]
    kept = town.ask("GET", "/jsonldContexts?kind=ImplicitlyCreated").body
    assert {url, urls[-1]} <= set(kept)
    assert len(kept) <= 6
    town.ask("POST", "/entities", well(2, level=3))
    assert [body["data"] for _, body in town.waiting()] == [[well(2, height=3)]]


def test_what_could_not_be_delivered_is_listed_and_sent_again(town: Town) -> None:
    town.answer = 410
    town.subscribe()
    town.ask("POST", "/entities", well(1, level=1))
    town.told(1)
    end = time.monotonic() + 5
    while not (letters := town.ask("GET", "/kiban/v1/deadLetters?subscription=urn:s:1").body) and time.monotonic() < end:
        pass
    assert [(letter["entity"], letter["attempts"], letter["error"]) for letter in letters] == [("urn:w:1", 1, "HTTP 410")]
    assert town.ask("GET", "/kiban/v1/deadLetters?subscription=urn:s:2").body == []
    town.answer = 200
    assert town.ask("POST", "/kiban/v1/deadLetters/replay", {"numbers": [letters[0]["number"]]}).body == {"endpoints": 1, "messages": 1}
    assert town.told(2)[1]["id"] == town.told(2)[0]["id"]
    shown = town.ask("GET", "/subscriptions/urn:s:1").body["notification"]
    assert (shown["timesSent"], shown["timesFailed"], shown["status"]) == (2, 1, "ok")
    assert town.ask("GET", "/kiban/v1/deadLetters").body == []


# --- several workers on PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(postgis_bin: Path) -> Iterator[Callable[[str], str]]:
    """A server of its own; makes a database and gives its address."""
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))
    owner: list[str] = []
    if os.geteuid() == 0:
        owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")

    def run(*words: str) -> None:
        subprocess.run([*owner, str(postgis_bin / words[0]), *words[1:]], check=True, capture_output=True, timeout=100, cwd=folder)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "clerk", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-c listen_addresses='' -c unix_socket_directories={folder}", "start")

    def make(name: str) -> str:
        whole = f"postgresql://clerk@/postgres?host={folder}"
        with psycopg.connect(whole, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return whole.replace("/postgres?", f"/{name}?")

    yield make
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def test_workers_hear_of_each_others_subscriptions_before_the_next_write(database: Callable[[str], str]) -> None:
    db = database("workers")
    with asyncio.Runner() as runner:
        one, other = Town(runner, db), Town(runner, db)
        for town in (one, other):
            town.quiet()
        other.ask("POST", "/entities", well(0))
        one.subscribe("urn:s:1")
        one.subscribe("urn:s:2", throttling=60)
        other.ask("POST", "/entities", well(1, level=1))
        assert sorted(id for id, _ in one.waiting()) == ["urn:s:1", "urn:s:2"]
        one.ask("POST", "/entities", well(2, level=1))  # too soon for the second one, whichever worker told it last
        assert other.ask("PATCH", "/subscriptions/urn:s:1", {"isActive": False}).status == 204
        one.ask("POST", "/entities", well(3, level=1))
        assert [body["data"][0]["id"] for id, body in one.waiting() if id == "urn:s:1"] == ["urn:w:1", "urn:w:2"]
        assert other.ask("DELETE", "/subscriptions/urn:s:1").status == 204
        assert one.ask("GET", "/subscriptions/urn:s:1").status == 404
        for town in (one, other):
            runner.run(town.close())


def test_workers_hear_of_a_context_that_another_has_loaded_anew(database: Callable[[str], str], tmp_path: Path) -> None:
    db = database("anew")
    with asyncio.Runner() as runner:
        one, other = (Town(runner, db, context_map=mapped(tmp_path, height="level")) for _ in range(2))
        for town in (one, other):
            town.quiet()
        one.subscribe(jsonldContext="https://names.example/c")
        other.ask("POST", "/entities", well(1, level=1))
        assert [body["data"] for _, body in one.waiting()] == [[well(1, height=1)]]
        mapped(tmp_path, pegel="level")
        assert one.ask("DELETE", f"/jsonldContexts/{quote('https://names.example/c', safe='')}?reload=true").status == 204

        async def until_known() -> None:
            async with asyncio.timeout(10):
                while not any(terms.expand("pegel") == VOCAB + "level" for terms in other.broker.notices.maps.values()):
                    await asyncio.sleep(0.02)

        runner.run(until_known())
        other.ask("POST", "/entities", well(2, level=1))
        assert [body["data"] for _, body in one.waiting()][1:] == [[well(2, pegel=1)]]
        for town in (one, other):
            runner.run(town.close())


def test_one_of_the_workers_sends_what_comes_at_intervals(database: Callable[[str], str]) -> None:
    db = database("intervals")
    with asyncio.Runner() as runner:
        one, other = Town(runner, db), Town(runner, db)
        for town in (one, other):
            town.quiet()
        one.ask("POST", "/entities", well(1, level=1))
        one.subscribe(timeInterval=30)
        timed, later = ready({"entities": [{"type": "Well"}], "timeInterval": 30}), times.now_us() + 31_000_000

        async def claims() -> list[bool]:
            asked = [town.broker.store.write(lambda tx: one.broker.notices.claim(tx, 1, timed, later)) for town in (one, other, one)]
            return [mine for mine, _ in await asyncio.gather(*asked)]

        assert sorted(runner.run(claims())) == [False, False, True]
        for town in (one, other):
            runner.run(town.close())


def test_a_message_does_not_overtake_another_that_a_worker_is_just_taking(database: Callable[[str], str]) -> None:
    from kiban.linkage.broker.store.postgres import PostgresStore, Session
    from kiban.linkage.broker.store.sql import Names

    store = PostgresStore(database("order"))
    first, second = (Session(store.connect(), Names(), writes=True) for _ in range(2))
    lane, now = "http://town.example:80/n", 1_000_000
    first.enqueue([Message(lane, 1, "urn:s:1", "urn:w:1", b"%d" % number) for number in range(4)], now)
    first.do("BEGIN")
    assert first.take_lane(lane)
    assert [message.request for message in first.hand_out("first", lane, 2, now, 60)] == [b"0", b"1"]
    second.do("BEGIN")
    assert not second.take_lane(lane)
    assert second.take_lane("http://town.example:80/other")
    assert [message.request for message in second.hand_out("second", lane, 2, now, 60)] == [b"2", b"3"]  # what the lock is for
    second.do("ROLLBACK")
    first.do("COMMIT")
    second.do("BEGIN")
    assert second.take_lane(lane)
    assert second.hand_out("second", lane, 2, now, 60) == []  # behind those that the first holds
    second.do("COMMIT")

    first.do("BEGIN")
    assert first.take_lane(lane)
    told: list[list[str]] = []

    async def ask() -> None:
        outbox = StoreOutbox(store)
        outbox.again = told.append
        assert list(await outbox.exchange(Settled(), {lane: 8}, now, 60)) == []
        await asyncio.sleep(0.05)
        first.do("COMMIT")
        await store.close()

    asyncio.run(ask())
    assert told == [[lane]]
    for session in (first, second):
        session.connection.close()
