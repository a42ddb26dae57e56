"""NGSIv2 over HTTP, in one process with NGSI-LD: what one writes, the other reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.linkage.broker import outgoing
from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.serving import make_app


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


Ask = Callable[..., Answer]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Sends one request to a broker of its own and gives the answer; a body that is bytes is text/plain."""
    with asyncio.Runner() as runner:
        app = make_app(Options(db=str(tmp_path / "broker.db")))
        runner.run(app.broker.start())

        async def send_one(method: str, target: str, body: Any, headers: dict[str, str]) -> Answer:
            path, _, query = target.partition("?")
            raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            told = {"content-type": "text/plain" if isinstance(body, bytes) else "application/json"} if raw else {}
            told |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": raw}

            async def send(event: dict[str, Any]) -> None:
                sent.append(event)

            scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode()}
            await app({**scope, "headers": [(name.encode(), value.encode()) for name, value in told.items()]}, receive, send)
            answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
            content = sent[1]["body"]
            return Answer(sent[0]["status"], answered, json.loads(content) if content else None)

        def ask(method: str, target: str, body: Any = None, **headers: str) -> Answer:
            return runner.run(send_one(method, target, body, headers))

        ask.broker = app.broker  # type: ignore[attr-defined]
        yield ask
        runner.run(app.broker.stop())


ROOM = {
    "id": "Room1",
    "type": "Room",
    "temperature": {"type": "Celsius", "value": 21.5, "metadata": {"accuracy": {"type": "Percent", "value": 0.5}}},
    "location": {"type": "geo:point", "value": "37.4, 137.2", "metadata": {}},
    "checked": {"type": "DateTime", "value": "2026-11-27T00:00:00.000Z", "metadata": {}},
}
LD_ROOM = "urn:ngsi-ld:Room:v2:Room1"


def test_an_entity_is_made_read_and_removed(ask: Ask) -> None:
    made = ask("POST", "/v2/entities", ROOM)
    assert (made.status, made.headers["location"]) == (201, "/v2/entities/Room1?type=Room")
    assert ask("GET", "/v2/entities/Room1").body == ROOM
    assert ask("GET", "/v2/entities").body == [ROOM]
    assert ask("DELETE", "/v2/entities/Room1").status == 204
    assert ask("GET", "/v2/entities/Room1").body == {"error": "NotFound", "description": "The requested entity has not been found. Check type and id"}


def test_ngsi_ld_reads_what_ngsiv2_wrote_with_nothing_of_ngsiv2_in_it(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM, Fiware_ServicePath="/noto/suzu")
    seen = {
        "id": LD_ROOM,
        "type": "Room",
        "scope": "/noto/suzu",
        "temperature": {"type": "Property", "value": 21.5, "accuracy": {"type": "Property", "value": 0.5}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.2, 37.4]}},
        "checked": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-11-27T00:00:00.000Z"}},
    }
    assert ask("GET", f"/ngsi-ld/v1/entities/{LD_ROOM}").body == seen
    assert ask("GET", "/ngsi-ld/v1/entities?type=Room").body == [seen]
    concise = ask("GET", f"/ngsi-ld/v1/entities/{LD_ROOM}?format=concise").body
    assert concise["temperature"] == {"value": 21.5, "accuracy": 0.5}
    assert b"@v2" not in json.dumps(concise).encode()


def test_ngsiv2_reads_and_changes_what_ngsi_ld_wrote(ask: Ask) -> None:
    id = "urn:ngsi-ld:Shelter:1"
    ask(
        "POST",
        "/ngsi-ld/v1/entities",
        {
            "id": id,
            "type": "Shelter",
            "scope": "/noto",
            "people": {"type": "Property", "value": 12, "unitCode": "C62", "observedAt": "2026-11-27T20:00:00Z"},
            "town": {"type": "Relationship", "object": "urn:ngsi-ld:Town:suzu"},
            "name": {"type": "LanguageProperty", "languageMap": {"ja": "公民館", "en": "Hall"}},
        },
    )
    shown = ask("GET", f"/v2/entities/{id}?attrs=people,town,name,servicePath").body
    assert shown == {
        "id": id,
        "type": "Shelter",
        "people": {
            "type": "Number",
            "value": 12,
            "metadata": {"unitCode": {"type": "Text", "value": "C62"}, "TimeInstant": {"type": "DateTime", "value": "2026-11-27T20:00:00.000Z"}},
        },
        "town": {"type": "Relationship", "value": "urn:ngsi-ld:Town:suzu", "metadata": {}},
        "name": {"type": "LanguageProperty", "value": {"ja": "公民館", "en": "Hall"}, "metadata": {}},
        "servicePath": {"type": "Text", "value": "/noto", "metadata": {}},
    }
    assert ask("PATCH", f"/v2/entities/{id}/attrs?options=keyValues", {"people": 30, "town": "urn:ngsi-ld:Town:wajima"}).status == 204
    after = ask("GET", f"/ngsi-ld/v1/entities/{id}").body
    assert (after["people"]["value"], after["people"]["unitCode"]) == (30, "C62")
    assert after["town"] == {"type": "Relationship", "object": "urn:ngsi-ld:Town:wajima"}
    assert after["name"]["languageMap"]["ja"] == "公民館"


def test_a_write_of_ngsi_ld_makes_ngsiv2_forget_the_type_it_had(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM)
    assert ask("PATCH", f"/ngsi-ld/v1/entities/{LD_ROOM}/attrs", {"temperature": {"type": "Property", "value": "hot"}}).status == 204
    assert ask("GET", "/v2/entities/Room1/attrs/temperature").body == {"type": "Text", "value": "hot", "metadata": {}}


def test_the_same_id_may_stand_for_entities_of_several_types(ask: Ask) -> None:
    for type in ("Room", "Hall"):
        assert ask("POST", "/v2/entities", {"id": "A", "type": type, "kind": {"value": type}}).status == 201
    assert ask("POST", "/v2/entities", {"id": "A", "type": "Hall"}).body == {"error": "Unprocessable", "description": "Already Exists"}
    assert (ask("GET", "/v2/entities/A").status, ask("GET", "/v2/entities/A").body["error"]) == (409, "TooManyResults")
    assert ask("GET", "/v2/entities/A?type=Hall").body["kind"]["value"] == "Hall"
    assert ask("DELETE", "/v2/entities/A").status == 409
    assert {one["type"] for one in ask("GET", "/v2/entities?id=A").body} == {"Room", "Hall"}


def test_an_upsert_adds_to_what_is_there(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM)
    assert ask("POST", "/v2/entities?options=upsert,keyValues", {"id": "Room1", "type": "Room", "humidity": 40}).status == 204
    assert set(ask("GET", "/v2/entities/Room1?options=keyValues").body) == {*ROOM, "humidity"}


def test_services_do_not_see_each_other(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM, Fiware_Service="Suzu")
    assert ask("GET", "/v2/entities").body == []
    assert len(ask("GET", "/v2/entities", Fiware_Service="suzu").body) == 1
    assert ask("GET", f"/ngsi-ld/v1/entities/{LD_ROOM}", NGSILD_Tenant="suzu").status == 200
    assert ask("GET", "/v2/entities", Fiware_Service="nobody").body == []
    assert ask("GET", "/v2/entities/Room1", Fiware_Service="nobody").status == 404


def test_service_paths_narrow_queries_and_changes(ask: Ask) -> None:
    for id, path in (("a", "/noto"), ("b", "/noto/suzu"), ("c", "/kaga"), ("d", "")):
        ask("POST", "/v2/entities", {"id": id, "type": "T"}, Fiware_ServicePath=path)
    seen = {
        path: "".join(one["id"] for one in ask("GET", "/v2/entities", Fiware_ServicePath=path).body)
        for path in ("", "/#", "/", "/noto", "/noto/#", "/kaga,/noto/suzu", "/,/noto")
    }
    assert seen == {"": "abcd", "/#": "abcd", "/": "d", "/noto": "a", "/noto/#": "ab", "/kaga,/noto/suzu": "bc", "/,/noto": "ad"}
    assert ask("DELETE", "/v2/entities/a", Fiware_ServicePath="/kaga").status == 404
    assert ask("GET", "/v2/entities", Fiware_ServicePath="noto").status == 400


def test_attributes_are_added_changed_replaced_and_removed(ask: Ask) -> None:
    ask("POST", "/v2/entities?options=keyValues", {"id": "E", "type": "T", "A": 1, "B": 1})

    def seen() -> Any:
        return ask("GET", "/v2/entities/E/attrs?options=keyValues").body

    assert ask("POST", "/v2/entities/E/attrs?options=keyValues", {"A": 2, "C": 2}).status == 204
    assert seen() == {"A": 2, "B": 1, "C": 2}
    strict = ask("POST", "/v2/entities/E/attrs?options=append,keyValues&type=T", {"A": 3, "D": 3})
    assert (strict.status, strict.body["error"], "E/T - [ A ]" in strict.body["description"]) == (422, "PartialUpdate", True)
    assert seen() == {"A": 2, "B": 1, "C": 2, "D": 3}
    assert ask("POST", "/v2/entities/E/attrs?options=append,keyValues", {"A": 3}).body["error"] == "Unprocessable"
    patched = ask("PATCH", "/v2/entities/E/attrs?options=keyValues", {"A": 4, "X": 4})
    assert (patched.status, patched.body["error"]) == (422, "PartialUpdate")
    assert ask("PATCH", "/v2/entities/E/attrs?options=keyValues", {"X": 4}).body["error"] == "Unprocessable"
    assert seen()["A"] == 4
    assert ask("PUT", "/v2/entities/E/attrs", {"Z": {"value": 1}}).status == 204
    assert seen() == {"Z": 1}
    assert (ask("DELETE", "/v2/entities/E/attrs/Z").status, ask("DELETE", "/v2/entities/E/attrs/Z").status) == (204, 404)
    assert ask("GET", "/v2/entities/E").body == {"id": "E", "type": "T"}


def test_a_single_attribute_and_its_value(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM)
    base = "/v2/entities/Room1/attrs/temperature"
    assert ask("GET", base).body == ROOM["temperature"]
    assert ask("PUT", base, {"value": 20, "type": "Celsius"}).status == 204
    assert ask("GET", base).body == {**ROOM["temperature"], "value": 20}
    assert ask("PUT", f"{base}?options=overrideMetadata", {"value": 20}).status == 204
    assert ask("GET", base).body == {"type": "Number", "value": 20, "metadata": {}}
    for sent, told in ((b'"x y"', "x y"), (b"true", True), (b"null", None), (b"-1.5", -1.5)):
        assert ask("PUT", f"{base}/value", sent).status == 204
        assert (ask("GET", f"{base}/value").body, ask("GET", f"{base}/value").headers["content-type"]) == (told, "text/plain")
    assert ask("PUT", f"{base}/value", {"a": [1]}).status == 204
    assert (ask("GET", f"{base}/value").body, ask("GET", f"{base}/value").headers["content-type"]) == ({"a": [1]}, "application/json")
    assert ask("PUT", f"{base}/value", b"x y").status == 400
    assert ask("GET", "/v2/entities/Room1/attrs/none").body == {"error": "NotFound", "description": "The entity does not have such an attribute"}
    assert ask("PUT", "/v2/entities/Room1/attrs/none", {"value": 1}).status == 404


def test_an_entity_that_expires_says_when(ask: Ask) -> None:
    ask("POST", "/v2/entities", {"id": "E", "type": "T", "dateExpires": {"type": "DateTime", "value": "2090-01-01"}})
    assert ask("GET", "/v2/entities/E?attrs=dateExpires&options=keyValues").body == {"id": "E", "type": "T", "dateExpires": "2090-01-01T00:00:00.000Z"}
    assert ask("GET", "/ngsi-ld/v1/entities/urn:ngsi-ld:T:v2:E?options=sysAttrs").body["expiresAt"] == "2090-01-01T00:00:00.000Z"


def test_queries_choose_order_and_count(ask: Ask) -> None:
    for number in range(5):
        raw = {"id": f"R{number}", "type": "Room" if number % 2 else "Hall", "level": number, "far": -number}
        ask("POST", "/v2/entities?options=keyValues", raw)

    def ids(query: str) -> str:
        return "".join(one["id"][1:] for one in ask("GET", f"/v2/entities?{query}").body)

    assert ids("") == "01234"
    assert ids("type=Room") == "13"
    assert ids("type=Room,Hall") == "01234"
    assert ids("id=R1,R2") == "12"
    assert ids("idPattern=^R[34]$") == "34"
    assert ids("typePattern=^Ha") == "024"
    assert ids("typePattern=nothing") == ""
    assert ids("q=level%3E1;level!=3") == "24"
    assert ids("orderBy=!level&limit=2&offset=1") == "32"
    assert ids("orderBy=type,!level") == "42031"
    counted = ask("GET", "/v2/entities?limit=1&options=count")
    assert (len(counted.body), counted.headers["fiware-total-count"]) == (1, "5")
    asked = {"entities": [{"idPattern": ".*", "type": "Room"}, {"id": "R0"}], "attrs": ["level"], "expression": {"q": "level<3"}}
    assert ask("POST", "/v2/op/query?options=keyValues", asked).body == [{"id": "R0", "type": "Hall", "level": 0}, {"id": "R1", "type": "Room", "level": 1}]


def test_a_query_by_distance_gives_the_nearest_first(ask: Ask) -> None:
    for id, place in (("far", "37.5, 137.0"), ("near", "37.41, 137.2"), ("away", "36.0, 137.2")):
        ask("POST", "/v2/entities", {"id": id, "type": "T", "location": {"type": "geo:point", "value": place}})
    near = "georel=near;maxDistance:40000&geometry=point&coords=37.4,137.2"
    assert [one["id"] for one in ask("GET", f"/v2/entities?{near}&orderBy=geo:distance").body] == ["near", "far"]
    assert [one["id"] for one in ask("GET", "/v2/entities?georel=coveredBy&geometry=box&coords=35,137;37,138").body] == ["away"]


def test_types_are_listed(ask: Ask) -> None:
    ask("POST", "/v2/entities", ROOM)
    attrs = {"temperature": {"types": ["Celsius"]}, "location": {"types": ["geo:point"]}, "checked": {"types": ["DateTime"]}}
    assert ask("GET", "/v2/types").body == [{"type": "Room", "attrs": attrs, "count": 1}]
    assert ask("GET", "/v2/types?options=values").body == ["Room"]
    assert ask("GET", "/v2/types/Room").body == {"attrs": attrs, "count": 1}
    assert ask("GET", "/v2/types/Room?options=noAttrDetail").body["attrs"]["location"] == {"types": []}
    assert ask("GET", "/v2/types/Car").status == 404


def test_a_batch_does_what_it_can_and_says_what_it_could_not(ask: Ask) -> None:
    def batch(action: str, *entities: dict[str, Any]) -> Answer:
        return ask("POST", "/v2/op/update?options=keyValues", {"actionType": action, "entities": list(entities)})

    assert batch("append", {"id": "A", "type": "T", "a": 1}, {"id": "B", "type": "T", "a": 1}).status == 204
    strict = batch("appendStrict", {"id": "A", "type": "T", "a": 2, "b": 2}, {"id": "B", "type": "T", "a": 2})
    assert (strict.status, strict.body["error"]) == (422, "PartialUpdate")
    assert strict.body["description"].endswith("A/T - [ a ], B/T - [ a ]")
    assert ask("GET", "/v2/entities/A?options=keyValues").body == {"id": "A", "type": "T", "a": 1, "b": 2}
    updated = batch("update", {"id": "A", "a": 5}, {"id": "C", "a": 5})
    assert (updated.status, updated.body) == (422, {"error": "PartialUpdate", "description": "do not exist: C - [entity itself]"})
    assert batch("update", {"id": "C", "a": 5}).status == 404
    assert batch("replace", {"id": "A", "c": 1}).status == 204
    assert batch("delete", {"id": "A", "c": 0}, {"id": "B"}).status == 204
    assert ask("GET", "/v2/entities?options=keyValues").body == [{"id": "A", "type": "T"}]


def test_a_notification_of_another_broker_is_taken_in(ask: Ask) -> None:
    assert ask("POST", "/v2/op/notify", {"subscriptionId": "s", "data": [ROOM]}).status == 200
    assert ask("GET", "/v2/entities/Room1").body == ROOM


def test_subscriptions_are_kept_changed_and_removed(ask: Ask) -> None:
    raw = {"subject": {"entities": [{"idPattern": ".*"}]}, "notification": {"http": {"url": "http://127.0.0.1:9/n"}, "attrs": ["a"]}}
    made = ask("POST", "/v2/subscriptions", raw, Fiware_ServicePath="/noto")
    where = made.headers["location"]
    assert (made.status, where.rpartition("/")[0]) == (201, "/v2/subscriptions")
    assert ask("GET", where).body["status"] == "active"
    assert ask("PATCH", where, {"status": "inactive"}).status == 204
    assert ask("GET", where).body["status"] == "inactive"
    assert (len(ask("GET", "/v2/subscriptions").body), len(ask("GET", "/v2/subscriptions", Fiware_ServicePath="/kaga").body)) == (1, 0)
    assert ask("GET", "/v2/subscriptions?options=count").headers["fiware-total-count"] == "1"
    assert (ask("DELETE", where).status, ask("DELETE", where).status, ask("GET", where).status) == (204, 404, 404)


def waiting(ask: Any) -> list[Any]:
    """The bodies of the notifications that wait in the outbox, oldest first."""
    rows = ask.broker.store.reader.all("SELECT request FROM outbox ORDER BY seq")
    return [json.loads(outgoing.decode(row[0]).body) for row in rows]


def subscribe(ask: Ask, condition: dict[str, Any] | None = None, **more: Any) -> str:
    subject: dict[str, Any] = {"entities": [{"idPattern": "^R", "type": "Room"}]} | ({"condition": condition} if condition else {})
    notification = {"http": {"url": "http://127.0.0.1:9/n"}, "attrsFormat": "simplifiedKeyValues", "attrs": ["t", "alterationType"]}
    made = ask("POST", "/v2/subscriptions", {"subject": subject, "notification": notification, **more})
    assert made.status == 201
    return made.headers["location"]


def test_a_change_that_either_api_makes_is_told_once(ask: Ask) -> None:
    subscribe(ask, {"attrs": ["t"], "expression": {"q": "t>5"}})
    ask("POST", "/v2/entities?options=keyValues", {"id": "R1", "type": "Room", "t": 1})
    ask("POST", "/v2/entities?options=keyValues", {"id": "H1", "type": "Hall", "t": 9})
    ask("PATCH", "/v2/entities/R1/attrs?options=keyValues", {"t": 6})
    ask("PATCH", "/v2/entities/R1/attrs?options=keyValues", {"t": 6})
    ask("POST", "/v2/entities/R1/attrs?options=keyValues", {"u": 1})
    assert ask("PATCH", "/ngsi-ld/v1/entities/urn:ngsi-ld:Room:v2:R1/attrs", {"t": {"type": "Property", "value": 7}}).status == 204
    assert waiting(ask) == [{"id": "R1", "type": "Room", "t": t, "alterationType": "entityChange"} for t in (6, 7)]


def test_making_and_removing_are_told_to_who_asked_for_them(ask: Ask) -> None:
    subscribe(ask, {"alterationTypes": ["entityCreate", "entityDelete"]})
    ask("POST", "/v2/entities?options=keyValues", {"id": "R1", "type": "Room", "t": 1})
    ask("PATCH", "/v2/entities/R1/attrs?options=keyValues", {"t": 6})
    ask("DELETE", "/v2/entities/R1")
    assert [told["alterationType"] for told in waiting(ask)] == ["entityCreate", "entityDelete"]


def test_a_oneshot_subscription_speaks_once_and_a_resting_one_not_at_all(ask: Ask) -> None:
    once, resting = subscribe(ask, status="oneshot"), subscribe(ask, status="inactive")
    for value in (1, 2, 3):
        ask("POST", "/v2/entities?options=upsert,keyValues", {"id": "R1", "type": "Room", "t": value})
    assert [told["t"] for told in waiting(ask)] == [1]
    assert (ask("GET", once).body["status"], ask("GET", resting).body["status"]) == ("inactive", "inactive")
    assert ask("PATCH", once, {"status": "oneshot"}).status == 204
    ask("PATCH", "/v2/entities/R1/attrs?options=keyValues,forcedUpdate", {"t": 3})
    assert [told["t"] for told in waiting(ask)] == [1, 3]


def test_throttling_drops_what_comes_too_soon_and_an_expired_subscription_is_silent(ask: Ask) -> None:
    subscribe(ask, throttling=3600)
    late = subscribe(ask, expires="2020-01-01T00:00:00Z")
    for value in (1, 2, 3):
        ask("POST", "/v2/entities?options=upsert,keyValues", {"id": "R1", "type": "Room", "t": value})
    assert [told["t"] for told in waiting(ask)] == [1]
    assert ask("GET", late).body["status"] == "expired"


def test_a_refused_change_tells_nobody(ask: Ask) -> None:
    subscribe(ask)
    ask("POST", "/v2/entities?options=keyValues", {"id": "R1", "type": "Room", "t": 1})
    assert ask("POST", "/v2/entities?options=keyValues", {"id": "R1", "type": "Room", "t": 2}).status == 422
    assert len(waiting(ask)) == 1


def test_registrations_are_kept_and_removed(ask: Ask) -> None:
    raw = {"dataProvided": {"entities": [{"id": "R", "type": "Room"}], "attrs": ["a"]}, "provider": {"http": {"url": "http://127.0.0.1:9/v2"}}}
    where = ask("POST", "/v2/registrations", raw).headers["location"]
    assert ask("GET", where).body["dataProvided"] == raw["dataProvided"]
    assert (ask("DELETE", where).status, ask("GET", where).status) == (204, 404)


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status", "error"),
    [
        ("POST", "/v2/entities", b"{", {"Content_Type": "application/json"}, 400, "ParseError"),
        ("POST", "/v2/entities", None, {}, 411, "ContentLengthRequired"),
        ("POST", "/v2/entities", b"<a/>", {"Content_Type": "application/xml"}, 415, "UnsupportedMediaType"),
        ("POST", "/v2/entities", [], {}, 400, "BadRequest"),
        ("POST", "/v2/entities?options=wish", {"id": "a"}, {}, 400, "BadRequest"),
        ("GET", "/v2/entities?limit=0", None, {}, 400, "BadRequest"),
        ("GET", "/v2/entities?id=a&idPattern=b", None, {}, 400, "BadRequest"),
        ("GET", "/v2/entities?q=", None, {}, 400, "BadRequest"),
        ("GET", "/v2/entities?q=%3E1", None, {}, 400, "BadRequest"),
        ("GET", "/v2/entities/a%3Cb", None, {}, 400, "BadRequest"),
        ("GET", "/v2/entities", None, {"Accept": "text/html"}, 406, "NotAcceptable"),
        ("GET", "/v2/entities", None, {"Fiware_Service": "a-b"}, 400, "BadRequest"),
        ("PUT", "/v2/entities", {"id": "a"}, {}, 405, "MethodNotAlowed"),
        ("GET", "/v2/nowhere", None, {}, 404, "NotFound"),
    ],
)
def test_refusals_speak_ngsiv2(ask: Ask, method: str, target: str, body: Any, headers: dict[str, str], status: int, error: str) -> None:
    answer = ask(method, target, body, **headers)
    assert (answer.status, answer.body["error"]) == (status, error)
    assert answer.body.keys() == {"error", "description"}


def test_the_correlator_of_a_request_comes_back(ask: Ask) -> None:
    assert ask("GET", "/v2/entities", Fiware_Correlator="c-1").headers["fiware-correlator"] == "c-1"
    assert len(ask("GET", "/v2/entities").headers["fiware-correlator"]) == 36
    assert ask("GET", "/v2").body["entities_url"] == "/v2/entities"


words = st.sampled_from(
    [
        *(
            "id",
            "type",
            "value",
            "metadata",
            "actionType",
            "entities",
            "subject",
            "notification",
            "http",
            "httpCustom",
            "url",
            "method",
            "headers",
            "condition",
        ),
        *(
            "attrs",
            "expression",
            "q",
            "provider",
            "dataProvided",
            "idPattern",
            "subscriptionId",
            "data",
            "Room1",
            "Room",
            "append",
            "http://a/",
            "geo:json",
            ".*",
        ),
        *("datasetId", "unitCode", "DateTime", "dateExpires", "a==1", "coordinates", "Point", "LanguageProperty", "2026-01-01", "condition", ".*"),
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    raw=anything,
    query=st.sampled_from(["", "?options=keyValues", "?options=upsert", "?type=Room"]),
    target=st.sampled_from(
        [
            *(("POST", f"/v2/{name}") for name in ("entities", "subscriptions", "registrations", "op/update", "op/query", "op/notify", "entities/R/attrs")),
            *(("PUT", f"/v2/entities/R/{name}") for name in ("attrs", "attrs/a", "attrs/a/value")),
            ("PATCH", "/v2/entities/R/attrs"),
        ]
    ),
)
def test_no_body_is_an_error_of_the_broker(ask: Ask, raw: Any, query: str, target: tuple[str, str]) -> None:
    ask("POST", "/v2/entities?options=upsert", {"id": "R", "type": "Room", "a": {"value": 1}})
    assert ask(target[0], target[1] + query, raw).status < 500 or "NotImplemented" in str(ask(target[0], target[1] + query, raw).body)
