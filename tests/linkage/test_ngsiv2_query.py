"""Queries, subscriptions and registrations of NGSIv2."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.linkage.broker import ngsiv2 as v2
from kiban.linkage.broker import ngsiv2_query as query
from kiban.linkage.broker import ngsiv2_subs as subs
from kiban.linkage.broker.contexts import Contexts

NOW, LATER = "2026-11-27T20:10:00.000Z", "2026-11-27T21:00:00.000Z"
NAMES = v2.Names(Contexts().core)


def room(id: str = "Room1", type: str = "Room", path: str = "/", **attrs: Any) -> dict[str, Any]:
    raw = {name: value if isinstance(value, dict) and "value" in value else {"value": value} for name, value in attrs.items()}
    return v2.build_entity(v2.read_entity({"id": id, "type": type, **raw}), NAMES, NOW, path)


ROOM = room(
    temperature={"value": 21.5, "metadata": {"accuracy": {"value": 0.5}, "unitCode": {"value": "CEL"}}},
    name="North hall",
    open=True,
    tags=["old", "big"],
    address={"city": "Suzu", "zip": 927, "a.b": 1},
    checked={"value": "2026-11-01", "type": "DateTime"},
    twenty="20",
)


def matches(text: str, *, metadata: bool = False) -> bool:
    found = query.condition(None, text, NAMES) if metadata else query.condition(text, None, NAMES)
    assert found is not None
    return found.matches(ROOM)


# --- q and mq ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "temperature==21.5",
        "temperature:21.5",
        "temperature==1,21.5",
        "temperature==20..22",
        "temperature!=1..3",
        "temperature>21;temperature<22",
        "temperature>=21.5;temperature<=21.5",
        "temperature!=5",
        "name==North hall",
        "name=='North hall','South, hall'",
        "name~=hall$",
        "open==true",
        "tags==old",
        "tags!=new",
        "address.city==Suzu",
        "address.zip>900",
        "'address'.'a.b'==1",
        "checked>2026-10-31",
        "checked==2026-11-01T09:00:00+09:00",
        "checked==2026-01-01..2026-12-31",
        "twenty=='20'",
        "temperature",
        "!humidity",
        "!address.country",
        "dateCreated>2026-01-01",
        "dateModified<2100-01-01",
    ],
)
def test_a_query_that_fits_the_room(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "temperature==21",
        "temperature>21.5",
        "temperature!=21.5",
        "humidity!=5",
        "twenty==20",
        "name~=^hall",
        "open==false",
        "tags==new",
        "address.city==Wajima",
        "checked<2026-10-31",
        "humidity",
        "!temperature",
        "temperature>20;humidity",
    ],
)
def test_a_query_that_does_not_fit_the_room(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("temperature.accuracy<0.6", True),
        ("temperature.accuracy>0.6", False),
        ("temperature.unitCode==CEL", True),
        ("temperature.color", False),
        ("!temperature.color", True),
    ],
)
def test_a_query_of_metadata(text: str, fits: bool) -> None:
    assert fits is matches(text, metadata=True)


@pytest.mark.parametrize(
    "text", ["", ";", "a==", "a>1,2", "a>1..2", "a==1..x", "a=='x", "a==<b>", "=1", "a==1;;b", "a~=(", "a>true", "!", "a..b", "'a'b'==1", "a=='b'c"]
)
def test_a_query_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(v2.Refused) as refused:
        query.condition(text, None, NAMES)
    assert refused.value.status == 400


@given(st.text("ab.'=!<>~:;,0 1T-\"()", max_size=15))
def test_no_text_of_a_query_breaks_the_reader(text: str) -> None:
    found = None
    with contextlib.suppress(v2.Refused):
        found = query.condition(text, text, NAMES)
    if found is not None:
        found.matches(ROOM)


@given(st.integers(-30, 30), st.integers(-30, 30), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_comparisons_of_numbers_are_those_of_python(have: int, wanted: int, sign: str) -> None:
    found = query.condition(f"t{sign}{wanted}", None, NAMES)
    assert found is not None
    assert (
        found.matches(room(t=have))
        is {"==": have == wanted, "!=": have != wanted, "<": have < wanted, "<=": have <= wanted, ">": have > wanted, ">=": have >= wanted}[sign]
    )


# --- places, selectors, the rest of a URL -----------------------------------------------------------------------------------------


def test_places_are_turned_to_longitude_first() -> None:
    told = query.geo_params("coveredBy", "box", "35,139;36,140")
    assert told is not None
    assert (told["georel"], told["geometry"]) == ("within", "Polygon")
    assert json.loads(told["coordinates"])[0] == [[139, 35], [140, 35], [140, 36], [139, 36], [139, 35]]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        (("near", "point", "35,139"), 400),
        (("near;maxDistance:x", "point", "35,139"), 400),
        (("near;maxDistance:1", "line", "35,139;36,140"), 422),
        (("near;maxDistance:5;minDistance:1", "point", "35,139"), 422),
        (("around", "point", "35,139"), 400),
        (("coveredBy", "point", "35,139"), 400),
        (("intersects", "circle", "35,139"), 400),
        (("intersects", "polygon", "35,139;36,139;36,140"), 400),
        (("intersects", "point", "139,35"), 400),
        (("intersects", "point", None), 400),
    ],
)
def test_a_place_that_is_none_is_refused(params: tuple[str, str, str | None], status: int) -> None:
    with pytest.raises(v2.Refused) as refused:
        query.geo_params(*params)
    assert status == refused.value.status


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (query.Asked(), True),
        (query.Asked(("Room1",), None, ("Room",)), True),
        (query.Asked(("Room1",)), True),
        (query.Asked(("Room1",), None, ("Car",)), False),
        (query.Asked((), "^Room[0-9]$", (), "^R"), True),
        (query.Asked((), "^urn"), False),
        (query.Asked((), None, (), "om$"), True),
    ],
)
def test_selectors_speak_of_ngsiv2_ids_and_types(asked: query.Asked, fits: bool) -> None:
    assert fits is asked.picker(NAMES).matches(ROOM)


def test_a_pattern_of_ids_is_asked_of_the_ngsiv2_id_in_the_store_too() -> None:
    assert (
        query.IdPattern("^Room").search("urn:ngsi-ld:Room:v2:Room1"),
        query.IdPattern("^urn").search("urn:ngsi-ld:Room:v2:Room1"),
        query.IdPattern("^urn").search("urn:ngsi-ld:Room:1"),
    ) == (True, False, True)


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"offset": "x"}, {"limit": ""}, {"limit": "１"}])
def test_pages_that_are_none_are_refused(params: dict[str, str]) -> None:
    with pytest.raises(v2.Refused):
        query.page(params, frozenset())


def test_the_order_of_values_of_all_sorts() -> None:
    assert sorted([True, [1], "b", {"a": 1}, 2.5, False, None, "a", 1], key=query.order_key) == [None, 1, 2.5, "a", "b", {"a": 1}, [1], False, True]


@pytest.mark.parametrize("text", ["a,a", "a,!a", "", "a,,b", "geo:distance"])
def test_an_order_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(v2.Refused):
        query.order(text, NAMES)


@pytest.mark.parametrize("text", ["keyvalues", "keyValues,values", "count,,values"])
def test_unknown_options_are_refused(text: str) -> None:
    with pytest.raises(v2.Refused):
        query.options(text)


# --- subscriptions ----------------------------------------------------------------------------------------------------------------

HTTP = {"http": {"url": "http://town.example/notify"}}


def subscription(condition: dict[str, Any] | None = None, **notification: Any) -> dict[str, Any]:
    subject: dict[str, Any] = {"entities": [{"idPattern": ".*", "type": "Room"}]}
    if condition:
        subject["condition"] = condition
    target = {} if {"httpCustom", "mqtt", "mqttCustom"} & notification.keys() else HTTP
    return subs.read_subscription({"subject": subject, "notification": {**target, **notification}}, NAMES)


def change(before: dict[str, Any] | None, kind: str = "entityChange", **actions: str) -> v2.Moment:
    return v2.Moment(kind, before, {NAMES.attr(name): action for name, action in actions.items()})


@pytest.mark.parametrize(
    ("condition", "moment", "after", "due"),
    [
        ({}, change(room(t=1), t="update"), room(t=2), True),
        ({}, change(room(t=1), t="update"), room(t=1), False),
        ({"attrs": ["t"]}, change(room(t=1, u=1), u="update"), room(t=1, u=2), False),
        ({"attrs": ["t"]}, change(room(t=1, u=1), t="update"), room(t=2, u=1), True),
        ({"attrs": ["t"]}, change(room(t=1), t="delete"), room(), True),
        ({"alterationTypes": ["entityUpdate"]}, change(room(t=1), t="update"), room(t=1), True),
        ({"alterationTypes": ["entityDelete"]}, change(room(t=1), "entityDelete"), room(t=1), True),
        ({"alterationTypes": ["entityDelete"]}, change(room(t=1), t="update"), room(t=2), False),
        ({}, change(None, "entityCreate", t="append"), room(t=1), True),
        ({"alterationTypes": ["entityChange"]}, change(None, "entityCreate"), room(t=1), False),
        ({"notifyOnMetadataChange": False}, change(room(t=1)), room(t={"value": 1, "metadata": {"m": {"value": 1}}}), False),
        ({"notifyOnMetadataChange": True}, change(room(t=1)), room(t={"value": 1, "metadata": {"m": {"value": 1}}}), True),
    ],
)
def test_when_a_subscription_is_due(condition: dict[str, Any], moment: v2.Moment, after: dict[str, Any], due: bool) -> None:
    assert due is subs.wants(subscription(condition), NAMES, moment, after)


def test_a_forced_update_is_told_although_nothing_changed() -> None:
    assert subs.wants(subscription(), NAMES, change(room(t=1), t="update"), room(t=1), forced=True)


def test_a_subscription_holds_in_its_service_path() -> None:
    moment = change(room(t=1, path="/a/b"), t="update")
    assert [subs.wants(subscription(), NAMES, moment, room(t=2, path="/a/b"), path) for path in ("/a/#", "/a/b", "/a", "/")] == [True, True, False, False]


def tell(doc: dict[str, Any], entity: dict[str, Any], moment: v2.Moment | None = None) -> subs.Request:
    request = subs.notification("s1", doc, NAMES, entity, moment or change(None, "entityCreate"), service="town", correlator="c1")
    assert request is not None
    return request


def body(doc: dict[str, Any], entity: dict[str, Any], moment: v2.Moment | None = None) -> Any:
    return json.loads(tell(doc, entity, moment).body)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("normalized", {"subscriptionId": "s1", "data": [{"id": "Room1", "type": "Room", "t": {"type": "Number", "value": 2, "metadata": {}}}]}),
        ("keyValues", {"subscriptionId": "s1", "data": [{"id": "Room1", "type": "Room", "t": 2}]}),
        ("values", {"subscriptionId": "s1", "data": [[2]]}),
        ("simplifiedNormalized", {"id": "Room1", "type": "Room", "t": {"type": "Number", "value": 2, "metadata": {}}}),
        ("simplifiedKeyValues", {"id": "Room1", "type": "Room", "t": 2}),
    ],
)
def test_forms_of_a_notification(form: str, told: Any) -> None:
    request = tell(subscription(attrsFormat=form), room(t=2))
    assert told == json.loads(request.body)
    assert form == request.headers["Ngsiv2-AttrsFormat"]
    assert (
        request.method,
        request.url,
        request.headers["Fiware-Service"],
        request.headers["Fiware-Correlator"],
        request.headers["Fiware-ServicePath"],
    ) == ("POST", "http://town.example/notify", "town", "c1", "/")


def test_a_notification_tells_what_the_subscription_chose() -> None:
    entity, moment = room(t=2, u=3), change(room(t=1, u=3), t="update")
    assert {"t"} == body(subscription(attrsFormat="keyValues", onlyChangedAttrs=True), entity, moment)["data"][0].keys() - {"id", "type"}
    assert {"u"} == body(subscription(attrsFormat="keyValues", exceptAttrs=["t"]), entity)["data"][0].keys() - {"id", "type"}
    assert body(subscription(attrsFormat="keyValues", attrs=["u", "no"], covered=True), entity)["data"][0] == {
        "id": "Room1",
        "type": "Room",
        "u": 3,
        "no": None,
    }
    told = body(subscription(attrs=["t", "alterationType"], metadata=["previousValue", "actionType"]), entity, moment)["data"][0]
    assert told["alterationType"]["value"] == "entityChange"
    assert told["t"]["metadata"] == {"previousValue": {"type": "Number", "value": 1}, "actionType": {"type": "Text", "value": "update"}}


def test_a_template_fills_address_headers_and_body() -> None:
    custom = {
        "url": "http://town.example/${id}/x",
        "method": "PUT",
        "qs": {"kind": "${type}"},
        "headers": {"X-${type}": "Basic a%3D%3D", "Content-Type": "application/x-own", "Fiware-Service": "", "Fiware-Correlator": "other"},
        "json": {"t": "${t}", "text": "t is ${t}", "list": ["${tags}"], "none": "${no}", "n": 1},
    }
    request = tell(subscription(httpCustom=custom), room("Room%1", t=2, tags=["a"]))
    assert (request.method, request.url) == ("PUT", "http://town.example/Room%251/x?kind=Room")
    assert json.loads(request.body) == {"t": 2, "text": "t is 2", "list": [["a"]], "none": None, "n": 1}
    assert (request.headers) == {
        "Content-Type": "application/x-own",
        "Fiware-Correlator": "c1",
        "Fiware-ServicePath": "/",
        "Ngsiv2-AttrsFormat": "custom",
        "X-Room": "Basic a==",
    }


def test_a_text_template_is_decoded_and_null_is_no_body() -> None:
    url = "http://town.example/"
    text = tell(subscription(httpCustom={"url": url, "payload": "the %22t%22 is ${t}"}), room(t=2))
    assert (text.body, text.headers["Content-Type"]) == (b'the "t" is 2', "text/plain")
    assert tell(subscription(httpCustom={"url": url, "payload": None}), room(t=2)).body == b""
    assert b"subscriptionId" in tell(subscription(httpCustom={"url": url, "payload": ""}), room(t=2)).body


def test_an_ngsi_template_patches_the_entity() -> None:
    custom = {"url": "http://town.example/", "ngsi": {"id": "p:${id}", "type": "Other", "sum": {"value": "${t}"}, "t": {"value": "${t} C", "type": "Text"}}}
    assert body(subscription(httpCustom=custom), room(t=2))["data"][0] == {
        "id": "p:Room1",
        "type": "Other",
        "t": {"type": "Text", "value": "2 C", "metadata": {}},
        "sum": {"type": "Number", "value": 2, "metadata": {}},
    }


def test_what_a_value_says_is_not_read_as_a_template_again() -> None:
    custom = {"url": "http://town.example/", "json": {"x": "a ${t}", "y": "${t}"}}
    assert body(subscription(httpCustom=custom), room(t="${service}", service="secret")) == {"x": "a ${service}", "y": "${service}"}


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"subject": {"entities": []}, "notification": HTTP},
        {"subject": {"entities": [{"type": "Room"}]}, "notification": HTTP},
        {"subject": {"entities": [{"id": "a", "idPattern": ".*"}]}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": "("}]}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": ".*"}], "condition": {}}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": ".*"}], "condition": {"expression": {}}}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": ".*"}], "condition": {"expression": {"q": "a=="}}}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": ".*"}], "condition": {"expression": {"georel": "near"}}}, "notification": HTTP},
        {"subject": {"entities": [{"idPattern": ".*"}], "condition": {"alterationTypes": ["moved"]}}, "notification": HTTP},
        *(
            {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": notification}
            for notification in (
                {},
                {"http": {}},
                {"http": {"url": "ftp://a/b"}},
                {"http": {"url": "http://a b/"}},
                {"http": {"url": "http://a/", "timeout": -1}},
                {**HTTP, "mqtt": {"url": "mqtt://a", "topic": "t"}},
                {"mqtt": {"url": "mqtt://a"}},
                {"mqtt": {"url": "mqtt://a", "topic": "t", "qos": 3}},
                {**HTTP, "attrs": ["a"], "exceptAttrs": ["b"]},
                {**HTTP, "exceptAttrs": []},
                {**HTTP, "covered": True},
                {**HTTP, "attrsFormat": "legacy"},
                {**HTTP, "onlyChangedAttrs": "yes"},
                {"httpCustom": {"url": "http://a/", "payload": "x", "json": {}}},
                {"httpCustom": {"url": "http://a/", "method": "STEAL"}},
                {"httpCustom": {"url": "http://a/", "headers": {}}},
                {"httpCustom": {"url": "http://a/", "headers": {"a\n": "b"}}},
                {"httpCustom": {"url": "${u}"}},
                {"httpCustom": {"url": "http://a/", "json": "text"}},
                {"httpCustom": {"url": "http://a/", "ngsi": {"a": {"value": 1, "metadata": {}}}}},
            )
        ),
        {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": HTTP, "status": "asleep"},
        {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": HTTP, "expires": "soon"},
        {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": HTTP, "throttling": -1},
        {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": HTTP, "description": "x" * 1025},
        {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": HTTP, "wish": 1},
    ],
)
def test_a_subscription_that_is_none_is_refused(raw: Any) -> None:
    with pytest.raises(v2.Refused) as refused:
        subs.read_subscription(raw, NAMES)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "notification",
    [
        {"kafka": {"url": "kafka://a", "topic": "t"}},
        {"httpCustom": {"url": "http://a/${t|len}"}},
        {"httpCustom": {"url": "http://a/", "json": {"x": "${t+1}"}}},
    ],
)
def test_what_is_not_offered_is_said_so(notification: dict[str, Any]) -> None:
    with pytest.raises(v2.Refused) as refused:
        subs.read_subscription({"subject": {"entities": [{"idPattern": ".*"}]}, "notification": notification}, NAMES)
    assert refused.value.status == 501


def test_an_update_operator_is_not_stored_as_a_value() -> None:
    with pytest.raises(v2.Refused) as refused:
        room(t={"value": {"$inc": 1}})
    assert refused.value.status == 501


def test_a_subscription_is_shown_with_its_counters_and_without_its_password() -> None:
    doc = subscription(mqtt={"url": "mqtt://town.example", "topic": "t", "user": "u", "passwd": "secret"}) | {"expires": "2026-11-27T20:00:00.000Z"}
    shown = subs.show_subscription("s1", doc, {"timesSent": 3, "lastNotification": NOW}, NOW)
    assert (shown["status"], shown["notification"]["timesSent"], shown["notification"]["lastNotification"]) == ("expired", 3, NOW)
    assert "secret" not in json.dumps(shown)


def test_a_patch_of_a_subscription_changes_only_what_it_names() -> None:
    doc = subscription(attrs=["t"])
    new = subs.read_subscription({"status": "oneshot", "throttling": 5}, NAMES, old=doc)
    assert {**doc, "status": "oneshot", "throttling": 5} == new


# --- registrations and batches ----------------------------------------------------------------------------------------------------


def test_a_registration_is_read_and_shown() -> None:
    raw = {"dataProvided": {"entities": [{"id": "Room1", "type": "Room"}], "attrs": ["t"]}, "provider": {"http": {"url": "http://town.example/v2"}}}
    shown = subs.show_registration("r1", subs.read_registration(raw), {}, NOW)
    assert {"id": "r1", **raw, "provider": {**raw["provider"], "supportedForwardingMode": "all"}, "status": "active"} == shown


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ({}, 400),
        ({"dataProvided": {"entities": []}, "provider": {"http": {"url": "http://a/"}}}, 400),
        ({"dataProvided": {"entities": [{"id": "a"}]}, "provider": {"http": {"url": "a"}}}, 400),
        ({"dataProvided": {"entities": [{"id": "a"}]}, "provider": {"http": {"url": "http://a/"}, "supportedForwardingMode": "some"}}, 400),
        ({"dataProvided": {"entities": [{"idPattern": "a.*"}]}, "provider": {"http": {"url": "http://a/"}}}, 501),
    ],
)
def test_a_registration_that_is_none_is_refused(raw: Any, status: int) -> None:
    with pytest.raises(v2.Refused) as refused:
        subs.read_registration(raw)
    assert status == refused.value.status


@pytest.mark.parametrize(
    "raw", [[], {}, {"actionType": "put", "entities": [{}]}, {"actionType": "append", "entities": []}, {"actionType": ["append"], "entities": [{}]}]
)
def test_a_batch_that_is_none_is_refused(raw: Any) -> None:
    with pytest.raises(v2.Refused):
        subs.read_batch(raw)
