"""Registrations of context sources: what is taken, what is refused, what is found, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.linkage.brokers import Node, Played

from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.selection import parse_types
from kiban.linkage.broker.sources import EVERY, Asked, Source, both, either, merged, parse, render
from kiban.linkage.broker.store import Who
from kiban.linkage.errors import Problem

TERMS = Contexts().core
WELLS: dict[str, Any] = {"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "Well"}]}], "endpoint": "http://wells.example.org"}
LONG_AGO = "2001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    found = Node(tmp_path_factory.mktemp("sources"), "node")
    yield found
    found.stop()


@pytest.fixture
def city(node: Node, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The node in a tenant that no other test uses."""

    def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return node(method, path, body, NGSILD_Tenant=f"t{abs(hash(request.node.name)) % 10**9}", **headers)

    return ask


def test_a_registration_comes_back_as_it_was_written() -> None:
    raw = {
        **WELLS,
        "information": [{"entities": [{"type": ["Well", "Tank"], "idPattern": "^urn:w:"}], "propertyNames": ["level"], "relationshipNames": ["ownedBy"]}],
        "mode": "redirect",
        "operations": ["retrieveOps"],
        "scope": "/noto/suzu",
        "location": {"type": "Point", "coordinates": [137.2, 37.4]},
        "management": {"timeout": 500, "cooldown": 1000, "localOnly": True, "cacheDuration": "PT1M"},
        "contextSourceInfo": [{"key": "Authorization", "value": "Bearer x"}],
        "owner": "the city",
    }
    doc = parse(raw, TERMS)
    assert render(doc, "urn:r:1", TERMS) == {"id": "urn:r:1", **raw}
    assert doc["information"][0]["propertyNames"] == [TERMS.expand("level")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Registration"},
        {"information": []},
        {"information": [{}]},
        {"information": [{"entities": []}]},
        {"information": [{"entities": [{"type": "Well", "colour": "red"}]}]},
        {"information": [{"entities": [{"id": "no uri", "type": "Well"}]}]},
        {"information": [{"propertyNames": "level"}]},
        {"endpoint": "nowhere"},
        {"expiresAt": LONG_AGO},
        {"mode": "sometimes"},
        {"operations": ["flyToTheMoon"]},
        {"operations": []},
        {"mode": "auxiliary", "operations": ["redirectionOps"]},
        {"mode": "exclusive"},
        {"mode": "exclusive", "information": [{"entities": [{"type": "Well"}], "propertyNames": ["level"]}]},
        {"mode": "exclusive", "information": [{"entities": [{"id": "urn:w:1", "type": "Well"}]}]},
        {"contextSourceInfo": [{"key": "A", "value": 1}]},
        {"contextSourceInfo": [{"key": "A", "value": "b\r\nHost: c"}]},
        {"management": {"timeout": 0}},
        {"management": {"cooldown": -1}},
        {"management": {"cacheDuration": "soon"}},
        {"management": 5},
        {"localOnly": "yes"},
        {"observationInterval": {"endAt": LONG_AGO}},
        {"observationInterval": {"startAt": "2020-01-01T00:00:00Z", "endAt": LONG_AGO}},
        {"location": {"type": "Point", "coordinates": "here"}},
        {"scope": "//"},
        {"an owner": "x"},
    ],
    ids=str,
)
def test_what_is_no_registration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        parse({**WELLS, **wrong}, TERMS)
    assert caught.value.kind == "BadRequestData"


@pytest.mark.parametrize("member", ["type", "information", "endpoint"])
def test_a_registration_needs_its_three_members(member: str) -> None:
    with pytest.raises(Problem):
        parse({name: value for name, value in WELLS.items() if name != member}, TERMS)


def test_an_update_changes_what_it_names_and_removes_what_it_says_is_null() -> None:
    old = parse({**WELLS, "expiresAt": "2100-01-01T00:00:00Z", "owner": "x"}, TERMS)
    new = merged(old, parse({"endpoint": "http://other.example.org", "expiresAt": None, "owner": "urn:ngsi-ld:null"}, TERMS, partial=True))
    assert render(new, "urn:r:1", TERMS) == {"id": "urn:r:1", **WELLS, "endpoint": "http://other.example.org"}


def test_an_update_cannot_make_a_registration_what_it_could_not_be_at_first() -> None:
    with pytest.raises(Problem):
        merged(parse(WELLS, TERMS), parse({"mode": "exclusive"}, TERMS, partial=True))
    with pytest.raises(Problem):
        parse({"information": None}, TERMS, partial=True)


WELL = TERMS.expand_type("Well")
LEVEL = TERMS.expand("level")


@pytest.mark.parametrize(
    ("entity", "attrs", "id", "types", "share"),
    [
        ({"type": "Well"}, None, "urn:w:1", {WELL}, EVERY),
        ({"type": "Well"}, None, "urn:w:1", None, EVERY),
        ({"type": "Well"}, None, "urn:w:1", {"https://x.example/Tank"}, None),
        ({"type": "Well"}, ["level"], "urn:w:1", {WELL, "https://x.example/Tank"}, frozenset({LEVEL})),
        ({"id": "urn:w:2", "type": "Well"}, None, "urn:w:1", {WELL}, None),
        ({"idPattern": "^urn:w:[0-9]$", "type": "Well"}, None, "urn:w:1", {WELL}, EVERY),
        ({"idPattern": "^urn:w:[0-9]$", "type": "Well"}, None, "urn:w:10", {WELL}, None),
    ],
)
def test_what_a_source_is_registered_for(entity: dict[str, Any], attrs: list[str] | None, id: str, types: set[str] | None, share: Any) -> None:
    info = {"entities": [entity], **({"propertyNames": attrs} if attrs else {})}
    assert Source("urn:r:1", parse({**WELLS, "information": [info]}, TERMS), TERMS).share(id, types) == share


def test_every_attribute_is_neutral_and_absorbing() -> None:
    some = frozenset({"a", "b"})
    assert both(EVERY, some) == some == both(some, EVERY)
    assert either(EVERY, some) is EVERY is either(some, EVERY)


def test_discovery_names_the_matching_elements_of_information() -> None:
    doc = parse({**WELLS, "information": [{"entities": [{"type": "Well"}]}, {"entities": [{"type": "Tank"}], "propertyNames": ["level"]}]}, TERMS)
    source = Source("urn:r:1", doc, TERMS)
    assert Asked((Who(parse_types("Tank", TERMS)),)).matches(source) == [1]
    assert Asked(attrs=frozenset({LEVEL})).matches(source) == [0, 1]
    assert Asked(attrs=frozenset({"https://x.example/other"})).matches(source) == [0]


def test_registrations_are_made_read_changed_and_removed(city: Callable[..., Any]) -> None:
    assert city("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:1"}).status == 201
    assert city("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:1"}).status == 409
    assert city("GET", "/csourceRegistrations/urn:r:1").value == {**WELLS, "id": "urn:r:1"}
    assert city("PATCH", "/csourceRegistrations/urn:r:1", {"registrationName": "wells"}).status == 204
    shown = city("GET", "/csourceRegistrations/urn:r:1?options=sysAttrs").value
    assert shown["registrationName"] == "wells"
    assert shown["modifiedAt"] >= shown["createdAt"]
    assert city("DELETE", "/csourceRegistrations/urn:r:1").status == 204
    assert [city(method, "/csourceRegistrations/urn:r:1", {"scope": "/a"} if method == "PATCH" else None).status for method in ("GET", "PATCH", "DELETE")] == [
        404, 404, 404,
    ]  # fmt: skip
    assert city("GET", "/csourceRegistrations/nothing").status == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=Well", ["a", "b"]),
        ("type=Tank", ["c"]),
        ("type=Well,Tank", ["a", "b", "c"]),
        ("type=Well&id=urn:w:1", ["a", "b"]),
        ("type=Well&id=urn:w:7", ["a"]),
        ("attrs=level", ["a", "c"]),
        ('q=owner=="Suzu"', ["b"]),
        ('type=Well&csf=endpoint=="http://a.example.org"', ["a"]),
        ("type=Well&scopeQ=/noto/%23", ["a"]),
        ("type=Well&georel=near;maxDistance==1000&geometry=Point&coordinates=[137,37]", ["b"]),
        ("type=Pump&timerel=before&timeAt=2021-01-01T00:00:00Z", ["d"]),
        ("type=Pump&timerel=after&timeAt=2023-01-01T00:00:00Z", []),
        ("type=Pump", []),
        ("type=Well&limit=1&offset=1", ["b"]),
    ],
)
def test_registrations_are_found_by_what_they_are_about(node: Node, query: str, found: list[str]) -> None:
    tenant = {"NGSILD_Tenant": "discovery"}
    docs: dict[str, dict[str, Any]] = {
        "a": {"information": [{"entities": [{"type": "Well"}], "propertyNames": ["level"]}], "endpoint": "http://a.example.org", "scope": "/noto/suzu"},
        "b": {
            "information": [{"entities": [{"type": "Well", "id": "urn:w:1"}], "propertyNames": ["depth"]}],
            "owner": "Suzu",
            "location": {"type": "Point", "coordinates": [137, 37]},
        },
        "c": {"information": [{"entities": [{"type": "Tank"}]}]},
        "d": {
            "information": [{"entities": [{"type": "Pump"}], "propertyNames": ["rate"]}],
            "observationInterval": {"startAt": "2020-01-01T00:00:00Z", "endAt": "2022-01-01T00:00:00Z"},
        },
    }
    for name, doc in docs.items():
        assert node("POST", "/csourceRegistrations", {**WELLS, "id": f"urn:r:{name}", **doc}, **tenant).status in (201, 409)
    said = node("GET", f"/csourceRegistrations?{query}", **tenant)
    assert said.status == 200
    assert [part["id"][-1] for part in said.value] == found


@pytest.mark.parametrize("query", ["", "limit=1", "id=nothing", "type=Well&q=(a", "type=Well&georel=near", "type=Well&timerel=before"])
def test_a_question_that_says_too_little_or_nonsense_is_refused(node: Node, query: str) -> None:
    said = node("GET", f"/csourceRegistrations?{query}")
    assert (said.status, said.value["type"].rpartition("/")[2]) == (400, "BadRequestData")


def test_nobody_else_may_register_what_a_source_has_for_itself(city: Callable[..., Any]) -> None:
    def post(id: str, mode: str, entity: dict[str, Any], attrs: list[str] | None) -> int:
        info = {"entities": [entity], **({"propertyNames": attrs} if attrs else {})}
        return int(city("POST", "/csourceRegistrations", {**WELLS, "id": id, "mode": mode, "information": [info]}).status)

    assert post("urn:r:1", "exclusive", {"id": "urn:w:1", "type": "Well"}, ["level"]) == 201
    assert post("urn:r:2", "exclusive", {"id": "urn:w:1", "type": "Well"}, ["level", "depth"]) == 409
    assert post("urn:r:3", "redirect", {"type": "Well"}, None) == 409
    assert post("urn:r:4", "redirect", {"type": "Well"}, ["depth"]) == 201
    assert post("urn:r:5", "redirect", {"type": "Well"}, ["depth"]) == 201
    assert post("urn:r:6", "exclusive", {"id": "urn:w:1", "type": "Well"}, ["rate"]) == 201
    assert post("urn:r:7", "inclusive", {"type": "Well"}, None) == 201
    assert city("PATCH", "/csourceRegistrations/urn:r:7", {"mode": "redirect"}).status == 409


def test_a_source_cannot_take_over_what_is_kept_here(city: Callable[..., Any]) -> None:
    assert city("POST", "/entities", {"id": "urn:w:1", "type": "Well", "level": 3}).status == 201
    info = [{"entities": [{"id": "urn:w:1", "type": "Well"}], "propertyNames": ["level"]}]
    assert city("POST", "/csourceRegistrations", {**WELLS, "mode": "exclusive", "information": info}).status == 409
    assert city("POST", "/csourceRegistrations", {**WELLS, "mode": "redirect"}).status == 409
    assert city("POST", "/csourceRegistrations", {**WELLS, "mode": "redirect", "information": [{"entities": [{"type": "Tank"}]}]}).status == 201
    assert city("POST", "/csourceRegistrations", WELLS).status == 201
    info[0]["propertyNames"] = ["depth"]
    assert city("POST", "/csourceRegistrations", {**WELLS, "mode": "exclusive", "information": info}).status == 201


def until(done: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
    return found


def test_subscribers_are_told_what_matches_newly_changes_and_matches_no_longer(city: Callable[..., Any]) -> None:
    listener = Played(lambda _: (200, None))
    try:
        assert city("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:0"}).status == 201
        doc = {"type": "Subscription", "entities": [{"type": "Well"}], "notification": {"endpoint": {"uri": listener.url + "/n"}}}
        made = city("POST", "/csourceSubscriptions", {**doc, "id": "urn:s:1"})
        assert made.status == 201
        two = [{"entities": [{"type": "Tank"}]}, {"entities": [{"type": "Well"}]}]
        steps = [
            ("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:1", "information": two}),
            ("PATCH", "/csourceRegistrations/urn:r:1", {"endpoint": "http://b.example.org"}),
            ("PATCH", "/csourceRegistrations/urn:r:1", {"information": two[:1]}),
            ("PATCH", "/csourceRegistrations/urn:r:1", {"information": two}),
            ("DELETE", "/csourceRegistrations/urn:r:1", None),
        ]
        for at, step in enumerate(steps, 1):
            until(lambda at=at: len(listener.heard) >= at)
            assert city(*step).status in (201, 204)
        until(lambda: len(listener.heard) >= len(steps) + 1)
        told = [heard.body for heard in listener.heard]
        assert [(body["triggerReason"], body["data"][0]["id"]) for body in told] == [
            ("newlyMatching", "urn:r:0"),
            ("newlyMatching", "urn:r:1"),
            ("updated", "urn:r:1"),
            ("noLongerMatching", "urn:r:1"),
            ("newlyMatching", "urn:r:1"),
            ("noLongerMatching", "urn:r:1"),
        ]
        assert all(body["type"] == "ContextSourceNotification" and body["subscriptionId"] == "urn:s:1" for body in told)
        assert told[1]["data"][0]["information"] == [{"entities": [{"type": ["Well"]}]}]
        shown = until(lambda: (value := city("GET", "/csourceSubscriptions/urn:s:1").value)["notification"].get("timesSent") == 6 and value)
        assert (shown["status"], shown["notification"]["status"]) == ("active", "ok")
        assert city("PATCH", "/csourceSubscriptions/urn:s:1", {"isActive": False}).status == 204
        assert city("GET", "/csourceSubscriptions").value[0]["status"] == "paused"
        assert city("DELETE", "/csourceSubscriptions/urn:s:1").status == 204
        assert city("GET", "/csourceSubscriptions/urn:s:1").status == 404
    finally:
        listener.close()


def test_a_time_interval_tells_all_that_match_again_and_again(city: Callable[..., Any]) -> None:
    listener = Played(lambda _: (200, None))
    try:
        assert city("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:1"}).status == 201
        doc = {"type": "Subscription", "entities": [{"type": "Well"}], "timeInterval": 0.1, "notification": {"endpoint": {"uri": listener.url + "/n"}}}
        assert city("POST", "/csourceSubscriptions", doc).status == 201
        until(lambda: len(listener.heard) >= 3)
        assert {part["id"] for heard in listener.heard for part in heard.body["data"]} == {"urn:r:1"}
    finally:
        listener.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Abo"},
        {"notification": None},
        {"notification": {}},
        {"notification": {"endpoint": {"uri": "gopher://x"}}},
        {"entities": []},
        {"entities": [{"id": "urn:w:1"}]},
        {"watchedAttributes": []},
        {"q": "level>"},
        {"geoQ": {"georel": "near"}},
        {"temporalQ": {"timerel": "soon"}},
        {"timeInterval": -1},
        {"expiresAt": LONG_AGO},
        {"isActive": "yes"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_what_is_no_subscription_to_registrations_is_refused(node: Node, wrong: dict[str, Any]) -> None:
    doc = {"type": "Subscription", "entities": [{"type": "Well"}], "notification": {"endpoint": {"uri": "http://127.0.0.1:9/n"}}, **wrong}
    said = node("POST", "/csourceSubscriptions", {name: value for name, value in doc.items() if value is not None})
    assert (said.status, said.value["type"].rpartition("/")[2]) == (400, "BadRequestData")


def test_counters_of_sources_survive_and_are_shown(node: Node) -> None:
    source = Played(lambda _: (200, []))
    try:
        id = node.register(source.url, information=[{"entities": [{"type": "Counted"}]}])
        assert node("GET", "/entities?type=Counted").value == []
        shown = until(lambda: (value := node("GET", f"/csourceRegistrations/{id}").value).get("timesSent") and value)
        assert (shown["timesSent"], shown["timesFailed"], shown["status"], "lastSuccess" in shown) == (1, 0, "ok", True)
    finally:
        source.close()


def test_registrations_of_one_tenant_are_nothing_to_another(node: Node) -> None:
    assert node("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:t"}, NGSILD_Tenant="one").status == 201
    assert node("POST", "/csourceRegistrations", {**WELLS, "id": "urn:r:other"}, NGSILD_Tenant="two").status == 201
    assert node("GET", "/csourceRegistrations/urn:r:t", NGSILD_Tenant="two").status == 404
    assert [part["id"] for part in node("GET", "/csourceRegistrations?type=Well", NGSILD_Tenant="two").value] == ["urn:r:other"]
