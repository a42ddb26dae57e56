"""Distributed operations: two or three brokers, and small servers that play context sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.linkage.brokers import Heard, Node, Played, path_of

from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.remote import renamed

WELL = {"id": "urn:w:1", "type": "Well", "level": {"type": "Property", "value": 3}, "depth": {"type": "Property", "value": 40}}
WRITES = ["redirectionOps", "createBatch", "upsertBatch", "updateBatch", "deleteBatch", "mergeBatch"]


def information(attrs: list[str] | None = None, **entity: Any) -> list[dict[str, Any]]:
    return [{"entities": [{"type": "Well", **entity}], **({"propertyNames": attrs} if attrs else {})}]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    folder = tmp_path_factory.mktemp("pair")
    front, back = Node(folder, "front"), Node(folder, "back")
    yield front, back
    front.stop()
    back.stop()


class City:
    """Two brokers in tenants that no other test uses; `front` knows nothing of `back` until it registers it."""

    def __init__(self, pair: tuple[Node, Node], tenant: str) -> None:
        self.nodes, self.tenant = pair, tenant

    def front(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.nodes[0](method, path, body, NGSILD_Tenant=self.tenant, **headers)

    def back(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.nodes[1](method, path, body, NGSILD_Tenant=self.tenant, **headers)

    def register(self, mode: str, attrs: list[str] | None = None, *, url: str = "", entity: dict[str, Any] | None = None, **members: Any) -> str:
        members.setdefault("operations", ["retrieveOps"] if mode == "auxiliary" else WRITES)
        if not url:
            members.setdefault("tenant", self.tenant)
        doc = {
            "type": "ContextSourceRegistration",
            "information": information(attrs, **(entity or {})),
            "endpoint": url or self.nodes[1].url,
            "mode": mode,
            **members,
        }
        said = self.front("POST", "/csourceRegistrations", doc)
        assert said.status == 201, said
        return str(said.headers["location"][0].rpartition("/")[2])


@pytest.fixture
def city(pair: tuple[Node, Node], request: pytest.FixtureRequest) -> City:
    found = City(pair, "t" + "".join(c for c in request.node.name if c.isalnum())[-40:].lower())
    assert found.back("POST", "/entities", {"id": "urn:x:1", "type": "Other"}).status == 201
    return found


@pytest.fixture
def played() -> Iterator[Callable[..., Played]]:
    made: list[Played] = []

    def play(*answering: Callable[[Heard], tuple[int, Any]]) -> Played:
        made.append(Played(*answering))
        return made[-1]

    yield play
    for each in made:
        each.close()


def values(entity: Any) -> dict[str, Any]:
    return {name: value["value"] if isinstance(value, dict) else value for name, value in entity.items() if name not in ("id", "type")}


# --- reading


@pytest.mark.parametrize(
    ("mode", "attrs", "entity", "shown"),
    [
        ("inclusive", None, {}, {"level": 9, "depth": 40, "rate": 7}),
        ("inclusive", ["rate"], {}, {"level": 3, "depth": 40, "rate": 7}),
        ("redirect", None, {}, {"level": 9, "rate": 7}),
        ("redirect", ["level"], {}, {"level": 9, "depth": 40}),
        ("exclusive", ["level"], {"id": "urn:w:1"}, {"level": 9, "depth": 40}),
        ("auxiliary", None, {}, {"level": 3, "depth": 40, "rate": 7}),
    ],
)
def test_the_mode_says_whose_word_counts(city: City, mode: str, attrs: list[str] | None, entity: dict[str, Any], shown: dict[str, Any]) -> None:
    city.register(mode, attrs, entity=entity)
    assert city.front("POST", "/entities?local=true", WELL).status == 201
    assert city.back("POST", "/entities", {"id": "urn:w:1", "type": "Well", "level": 9, "rate": 7}).status == 201
    assert values(city.front("GET", path_of("urn:w:1")).value) == shown
    assert values(city.front("GET", "/entities?type=Well").value[0]) == shown
    assert values(city.front("GET", path_of("urn:w:1") + "?local=true").value) == {"level": 3, "depth": 40}
    assert city.front("GET", path_of("urn:w:1") + "?attrs=rate").status == (200 if "rate" in shown else 404)
    found = city.front("POST", "/entityOperations/query", {"type": "Query", "entities": [{"type": "Well", "id": "urn:w:1"}]})
    assert values(found.value[0]) == shown


def test_of_two_values_the_one_observed_last_is_shown(city: City) -> None:
    def well(value: int, at: str) -> dict[str, Any]:
        return {"id": "urn:w:1", "type": "Well", "level": {"type": "Property", "value": value, "observedAt": f"2026-01-0{at}T00:00:00Z"}}

    city.register("inclusive")
    assert city.back("POST", "/entities", well(1, "1")).status == 201
    assert city.front("POST", "/entities?local=true", well(2, "2")).status == 201
    assert values(city.front("GET", path_of("urn:w:1")).value) == {"level": 2}
    assert city.back("PATCH", path_of("urn:w:1") + "/attrs", {"level": well(3, "3")["level"]}).status == 204
    assert values(city.front("GET", path_of("urn:w:1")).value) == {"level": 3}


def test_every_dataset_of_an_attribute_is_shown(city: City) -> None:
    city.register("inclusive")
    one = {"type": "Property", "value": 1, "datasetId": "urn:d:1"}
    two = {"type": "Property", "value": 2, "datasetId": "urn:d:2"}
    assert city.front("POST", "/entities?local=true", {"id": "urn:w:1", "type": "Well", "level": one}).status == 201
    assert city.back("POST", "/entities", {"id": "urn:w:1", "type": "Well", "level": two}).status == 201
    assert sorted(part["value"] for part in city.front("GET", path_of("urn:w:1")).value["level"]) == [1, 2]


def test_an_entity_that_nobody_has_is_not_found_without_a_warning(city: City) -> None:
    city.register("inclusive")
    said = city.front("GET", path_of("urn:w:9"))
    assert (said.status, said.warnings) == (404, [])


def test_pages_of_a_distributed_query_follow_one_another(city: City) -> None:
    city.register("inclusive")
    for number in range(7):
        where, path = (city.front, "/entities?local=true") if number % 2 else (city.back, "/entities")
        assert where("POST", path, {"id": f"urn:w:{number}", "type": "Well", "level": number}).status == 201
    seen = []
    for offset in range(0, 9, 3):
        said = city.front("GET", f"/entities?type=Well&limit=3&offset={offset}&count=true")
        assert said.headers["ngsild-results-count"] == ["7"]
        seen += [entity["id"] for entity in said.value]
        assert any('rel="next"' in link for link in said.headers.get("link", [])) == (offset + 3 < 7)
    assert sorted(seen) == [f"urn:w:{number}" for number in range(7)]


def test_ordering_is_refused_where_sources_have_a_part(city: City) -> None:
    city.register("inclusive")
    assert city.front("GET", "/entities?type=Well&orderBy=level").status == 400
    assert city.front("GET", "/entities?type=Well&orderBy=level&local=true").status == 200
    assert city.front("GET", "/entities?type=Other&orderBy=level").status == 200


def test_a_context_source_filter_chooses_who_is_asked(city: City) -> None:
    city.register("inclusive", owner="Suzu")
    assert city.back("POST", "/entities", WELL).status == 201
    assert len(city.front("GET", "/entities?type=Well&csf=owner==%22Suzu%22").value) == 1
    assert city.front("GET", "/entities?type=Well&csf=owner==%22Wajima%22").value == []


def test_types_and_attributes_of_sources_are_discovered(city: City) -> None:
    city.register("inclusive")
    assert city.front("POST", "/entities?local=true", {"id": "urn:t:1", "type": "Tank", "volume": 1}).status == 201
    assert city.back("POST", "/entities", WELL).status == 201
    assert city.front("GET", "/types").value["typeList"] == ["Other", "Tank", "Well"]
    assert city.front("GET", "/types?local=true").value["typeList"] == ["Tank"]
    assert city.front("GET", "/attributes").value["attributeList"] == ["depth", "level", "volume"]
    details = {part["typeName"]: part["attributeNames"] for part in city.front("GET", "/types?details=true").value}
    assert details == {"Tank": ["volume"], "Well": ["depth", "level"], "Other": []}
    assert city.front("POST", "/entities?local=true", {"id": "urn:w:2", "type": "Well", "rate": 1}).status == 201
    well = city.front("GET", "/types/Well").value
    assert (well["entityCount"], [part["attributeName"] for part in well["attributeDetails"]]) == (2, ["depth", "level", "rate"])
    assert city.front("GET", "/attributes/level").value["typeNames"] == ["Well"]
    assert [city.front("GET", path).status for path in ("/types/Nothing", "/attributes/nothing", "/attributes/level?local=true")] == [404, 404, 404]


# A small world of wells, parts of which lie in one place or the other: what is found must not depend on where.
PARTS = st.dictionaries(st.sampled_from(["level", "depth", "rate"]), st.tuples(st.integers(0, 4), st.sampled_from("fbx")), max_size=3)
QUESTIONS = ["level>1", "level==2;depth<3", "level==0|rate==1", "!rate", "depth!=2", "level;!depth", "(level>2|depth>2);rate>=0"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=st.lists(PARTS, max_size=5), question=st.sampled_from(QUESTIONS))
def test_a_query_over_split_entities_finds_what_the_same_query_finds_over_whole_ones(pair: tuple[Node, Node], world: list[Any], question: str) -> None:
    city, whole = City(pair, "split"), City(pair, "whole")
    for there in (city.front, city.back, whole.front):
        there("POST", "/entities?local=true", {"id": "urn:x:1", "type": "Other"})
    if not city.front("GET", "/csourceRegistrations?type=Well").value:
        city.register("inclusive")
    for there in (city.front, city.back, whole.front):
        there("DELETE", "/entities?type=Well&local=true")
    for number, parts in enumerate(world):
        head = {"id": f"urn:w:{number}", "type": "Well"}
        for there, letters in ((city.front, "fx"), (city.back, "bx"), (whole.front, "fbx")):
            mine = {name: value for name, (value, place) in parts.items() if place in letters}
            if mine or letters == "fbx":
                assert there("POST", "/entities?local=true", {**head, **mine}).status == 201
    path = f"/entities?type=Well&q={question}"
    expected = {entity["id"]: values(entity) for entity in whole.front("GET", path).value if values(entity)}
    found = {entity["id"]: values(entity) for entity in city.front("GET", path + "&splitEntities=true").value}
    assert found == expected


# --- what a source hears


def test_a_source_hears_only_what_it_is_registered_for(city: City, played: Callable[..., Played]) -> None:
    source = played(lambda _: (200, []))
    city.register("inclusive", ["level"], url=source.url + "/town", operations=["queryEntity"], tenant="wells", management={"localOnly": True})
    assert city.front("GET", "/entities?type=Well,Tank&q=level>2&scopeQ=/noto").status == 200
    (heard,) = source.of("GET")
    for part in ("/town/ngsi-ld/v1/entities?", "type=Well&", "attrs=level", "q=level%3E2", "scopeQ=/noto", "local=true"):
        assert part in heard.path
    assert heard.headers["ngsild-tenant"] == "wells"
    assert heard.headers["via"].startswith("1.1 kiban-")
    assert city.front("GET", "/entities?type=Well&attrs=depth").value == []
    assert city.front("GET", "/entities?type=Well&q=level>2&splitEntities=true").status == 200
    assert len(source.heard) == 2
    assert "q=" not in source.heard[1].path


def test_what_the_registration_says_of_headers_is_conveyed(city: City, played: Callable[..., Played]) -> None:
    source = played(lambda _: (200, []))
    pairs = {"Authorization": "Bearer x", "X-User": "urn:ngsi-ld:request", "Via": "1.1 evil", "NGSILD-Tenant": "evil", "accept": "application/ld+json"}
    city.register("inclusive", url=source.url, contextSourceInfo=[{"key": key, "value": value} for key, value in pairs.items()])
    city.front("GET", "/entities?type=Well", X_User="tanaka")
    city.front("GET", "/entities?type=Well")
    first, second = (heard.headers for heard in source.heard)
    assert (first["authorization"], first["x-user"], first["accept"]) == ("Bearer x", "tanaka", "application/ld+json")
    assert "x-user" not in second
    assert "ngsild-tenant" not in second
    assert "evil" not in second["via"]


def test_a_request_that_came_through_others_names_them_before_itself(city: City, played: Callable[..., Played]) -> None:
    source = played(lambda heard: (200, {"contextSourceAlias": "other"} if "sourceIdentity" in heard.path else []))
    city.register("inclusive", url=source.url)
    city.front("GET", "/entities?type=Well", Via="1.1 first, 1.0 second")
    assert source.heard[-1].headers["via"].startswith("1.1 first, 1.0 second, 1.1 kiban-")
    # A source that the request came through is not asked again.
    before = len(source.of("GET"))
    city.front("GET", "/entities?type=Well", Via="1.1 first, 1.1 other")
    assert len(source.of("GET")) == before


class Names:
    """A @context of a few names."""

    def __init__(self, names: dict[str, str]) -> None:
        self.terms = {**{iri: name for name, iri in names.items()}}
        self.names = names

    def expand(self, name: str) -> str:
        return self.names.get(name, name)

    expand_type = expand


@given(
    st.recursive(
        st.sampled_from([1, "level", None, {"type": "Property", "value": "level"}]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["level", "unitCode", "value"]), inner),
        max_leaves=8,
    )
)
def test_names_of_another_context_and_back_are_the_same_request(value: Any) -> None:
    one = Names({"Well": "ex:Well", "level": "ex:level", "unitCode": "ex:unit"})
    other = Names({"Brunnen": "ex:Well", "pegel": "ex:level", "einheit": "ex:unit"})
    raw = {"id": "urn:w:1", "type": "Well", "level": {"type": "Property", "value": value, "level": {"type": "VocabProperty", "vocab": "Well"}}}
    there = renamed(raw, one, other)
    assert renamed(there, other, one) == raw
    assert (there["type"], there["pegel"]["value"], there["pegel"]["pegel"]["vocab"]) == ("Brunnen", value, "Brunnen")


def test_names_keep_their_meaning_on_the_way(city: City) -> None:
    context = {"@context": {"pegel": "https://example.org/level", "Brunnen": "https://example.org/Well"}}
    core = Contexts().core
    assert core.expand("level") != "https://example.org/level"
    wells = [{"entities": [{"type": "Brunnen"}], "propertyNames": ["pegel"]}]
    doc = {"type": "ContextSourceRegistration", "information": wells, "endpoint": city.nodes[1].url, "mode": "redirect", "operations": WRITES, **context}
    assert city.front("POST", "/csourceRegistrations", {**doc, "tenant": city.tenant}, Content_Type="application/ld+json").status == 201
    body = {"id": "urn:b:1", "type": "Brunnen", "pegel": 3, **context}
    assert city.front("POST", "/entities", body, Content_Type="application/ld+json").status == 201
    assert city.back("GET", path_of("urn:b:1")).value["https://example.org/level"]["value"] == 3
    assert city.front("GET", path_of("urn:b:1")).value["https://example.org/level"]["value"] == 3
    assert city.front("GET", path_of("urn:b:1") + "?local=true").status == 404


# --- changing


def test_a_new_entity_goes_where_its_parts_belong(city: City) -> None:
    city.register("exclusive", ["level"], entity={"id": "urn:w:1"})
    assert city.front("POST", "/entities", WELL).status == 201
    assert values(city.front("GET", path_of("urn:w:1") + "?local=true").value) == {"depth": 40}
    assert values(city.back("GET", path_of("urn:w:1")).value) == {"level": 3}
    assert values(city.front("GET", path_of("urn:w:1")).value) == {"level": 3, "depth": 40}


@pytest.mark.parametrize(
    ("method", "path", "body", "here", "there"),
    [
        ("POST", "/attrs", {"level": 5, "depth": 50}, {"depth": 50}, {"level": 5}),
        ("PATCH", "/attrs", {"level": 5, "depth": 50}, {"depth": 50}, {"level": 5}),
        # The address says which entity is meant, whatever id the fragment has.
        ("POST", "/attrs", {"id": "urn:w:9", "level": 5, "depth": 50}, {"depth": 50}, {"level": 5}),
        ("PATCH", "/attrs", {"id": "urn:w:9", "level": 5, "depth": 50}, {"depth": 50}, {"level": 5}),
        ("PATCH", "", {"level": {"value": 5}}, {"depth": 40}, {"level": 5}),
        ("PUT", "", {"type": "Well", "level": 5, "rate": 1}, {"rate": 1}, {"level": 5}),
        ("PATCH", "/attrs/level", {"value": 5}, {"depth": 40}, {"level": 5}),
        ("PUT", "/attrs/level", {"type": "Property", "value": 5}, {"depth": 40}, {"level": 5}),
        ("PUT", "/attrs/depth", {"type": "Property", "value": 5}, {"depth": 5}, {"level": 3}),
        ("DELETE", "/attrs/level", None, {"depth": 40}, {}),
        ("DELETE", "", None, None, None),
    ],
)
def test_every_change_goes_where_the_attributes_belong(
    city: City, method: str, path: str, body: Any, here: dict[str, Any] | None, there: dict[str, Any] | None
) -> None:
    city.register("exclusive", ["level"], entity={"id": "urn:w:1"})
    assert city.front("POST", "/entities", WELL).status == 201
    assert city.front(method, path_of("urn:w:1") + path, body).status == 204
    for ask, query, expected in ((city.front, "?local=true", here), (city.back, "", there)):
        said = ask("GET", path_of("urn:w:1") + query)
        assert (said.status, values(said.value) if said.status == 200 else None) == ((404, None) if expected is None else (200, expected))


def test_a_batch_is_one_request_to_each_source(city: City, played: Callable[..., Played]) -> None:
    source = played(
        lambda heard: (201 if heard.path.endswith("create") else 204, [part["id"] for part in heard.body] if heard.path.endswith("create") else None)
    )
    city.register("inclusive", ["level"], url=source.url)
    wells = [{**WELL, "id": f"urn:w:{number}"} for number in range(5)] + [{"id": "urn:t:1", "type": "Tank", "level": 1}]
    made = city.front("POST", "/entityOperations/create", wells)
    assert (made.status, sorted(made.value)) == (201, sorted(part["id"] for part in wells))
    (heard,) = source.of("POST")
    assert heard.path == "/ngsi-ld/v1/entityOperations/create"
    assert heard.body == [{"id": f"urn:w:{number}", "type": "Well", "level": WELL["level"]} for number in range(5)]
    assert city.front("POST", "/entityOperations/upsert?options=update", wells[:2]).status == 204
    assert "options=update" in source.heard[-1].path
    assert city.front("POST", "/entityOperations/delete", [part["id"] for part in wells]).status == 204
    assert source.heard[-1].body == [f"urn:w:{number}" for number in range(5)]


def test_a_source_without_batches_gets_each_member_alone(city: City) -> None:
    city.register("redirect", operations=["redirectionOps"])
    wells = [{**WELL, "id": f"urn:w:{number}"} for number in range(3)]
    assert city.front("POST", "/entityOperations/create", wells).status == 201
    assert len(city.back("GET", "/entities?type=Well").value) == 3
    assert city.front("POST", "/entityOperations/upsert", [{**WELL, "id": "urn:w:1", "level": 8}]).status in (201, 204)
    assert city.back("GET", path_of("urn:w:1")).value["level"]["value"] == 8
    said = city.front("POST", "/entityOperations/delete", ["urn:w:0", "urn:w:7"])
    assert (said.status, said.value["success"], [part["entityId"] for part in said.value["errors"]]) == (207, ["urn:w:0"], ["urn:w:7"])


def test_purging_reaches_the_sources(city: City) -> None:
    city.register("inclusive")
    assert city.front("POST", "/entities", WELL).status == 201
    assert city.front("DELETE", "/entities?type=Well").status == 204
    assert [ask("GET", path_of("urn:w:1")).status for ask in (city.front, city.back)] == [404, 404]


def test_what_a_source_is_not_registered_for_conflicts_or_stays_here(city: City) -> None:
    city.register("redirect", entity={"idPattern": "^urn:w:"}, operations=["retrieveOps"])
    city.register("inclusive", entity={"idPattern": "^urn:v:"}, operations=["retrieveOps"])
    refused = city.front("POST", "/entities", WELL)
    assert (refused.status, refused.value["type"].rpartition("/")[2]) == (409, "Conflict")
    assert city.front("POST", "/entities", {**WELL, "id": "urn:v:1"}).status == 201
    assert [city.back("GET", path_of(id)).status for id in ("urn:w:1", "urn:v:1")] == [404, 404]


def test_partial_success_says_which_part_failed(city: City) -> None:
    registration = city.register("inclusive")
    assert city.back("POST", "/entities", WELL).status == 201
    said = city.front("POST", "/entities", WELL)
    assert said.status == 207
    assert said.value["success"] == ["urn:w:1"]
    (error,) = said.value["errors"]
    assert (error["entityId"], error["registrationId"], error["error"]["status"]) == ("urn:w:1", registration, 409)
    said = city.front("PATCH", path_of("urn:w:9") + "/attrs", {"level": 1})
    assert said.status == 404
    assert city.back("DELETE", path_of("urn:w:1")).status == 204
    said = city.front("PATCH", path_of("urn:w:1") + "/attrs", {"level": 1})
    assert (said.status, said.value["updated"]) == (207, ["level"])
    assert [(part["attributeName"], part["registrationId"]) for part in said.value["notUpdated"]] == [("level", registration)]


# --- what goes wrong


def test_a_dead_source_is_named_and_the_rest_is_answered(city: City, played: Callable[..., Played]) -> None:
    dead = played()
    dead.close()
    registration = city.register("inclusive", url=dead.url)
    assert city.front("POST", "/entities?local=true", WELL).status == 201
    for path in (path_of("urn:w:1"), "/entities?type=Well", "/types"):
        said = city.front("GET", path)
        assert said.status == 200, path
        assert path == "/types" or [registration in text and text.startswith("199 ") for text in said.warnings] == [True]
    said = city.front("PATCH", path_of("urn:w:1") + "/attrs", {"level": 5})
    assert said.status == 207
    assert said.value["notUpdated"][0]["registrationId"] == registration


@pytest.mark.parametrize(
    ("answer", "code"),
    [((500, {"type": "x", "title": "y"}), "299"), ((403, None), "299"), ((200, b"<html>"), "111"), ((200, {"no": "entity"}), "111"), ((404, None), None)],
)
def test_the_warning_says_what_was_wrong(city: City, played: Callable[..., Played], answer: tuple[int, Any], code: str | None) -> None:
    source = played(lambda _: answer)
    city.register("inclusive", url=source.url)
    said = city.front("GET", path_of("urn:w:1"))
    assert said.status == 404
    assert [text[:3] for text in said.warnings] == ([code] if code else [])


def test_what_a_source_itself_lacks_is_said_in_every_answer_that_it_has_a_part_in(city: City, played: Callable[..., Played]) -> None:
    dead = played()
    dead.close()
    near = city.register("inclusive")
    doc = {"type": "ContextSourceRegistration", "information": information(), "endpoint": dead.url, "operations": WRITES}
    said = city.back("POST", "/csourceRegistrations", doc)
    assert said.status == 201
    far = said.headers["location"][0].rpartition("/")[2]
    assert city.back("POST", "/entities?local=true", WELL).status == 201
    question = {"type": "Query", "entities": [{"type": "Well"}]}
    for method, path, body in (
        ("GET", path_of("urn:w:1"), None),
        ("GET", "/entities?type=Well", None),
        ("POST", "/entityOperations/query", question),
        ("GET", "/types", None),
        ("GET", "/types/Well", None),
        ("GET", "/attributes", None),
        ("GET", "/entityMaps?type=Well", None),
    ):
        said = city.front(method, path, body)
        assert said.status in (200, 201), (path, said)
        assert [text.split()[1] for text in said.warnings] == [far], (path, said)
    said = city.front("GET", path_of("urn:w:9"))
    assert (said.status, [text.split()[1] for text in said.warnings]) == (404, [far])
    said = city.front("POST", "/snapshots", {"type": "Snapshot", "snapshotQueries": [question]})
    assert said.status == 201
    path = said.headers["location"][0].removeprefix("/ngsi-ld/v1")
    shown = until(lambda: (found := city.front("GET", path).value)["snapshotStatus"] != "preparing" and found)
    assert shown["snapshotStatus"] == "partial"
    assert far in shown["snapshotQueriesDetails"][0]["problemDetails"]["detail"]
    assert near not in shown["snapshotQueriesDetails"][0]["problemDetails"]["detail"]


def test_an_answer_that_was_cut_at_the_limit_of_what_is_brought_together_says_so(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    registration = city.register("inclusive", operations=["federationOps"])
    alias = city.nodes[0].app.broker.forward.remote.alias(city.tenant)
    for number in range(6):
        assert city.back("POST", "/entities", {**WELL, "id": f"urn:b:{number}"}).status == 201
        assert city.front("POST", "/entities?local=true", {**WELL, "id": f"urn:f:{number}"}).status == 201
    monkeypatch.setattr("kiban.linkage.broker.forward.FOUND", 5)
    monkeypatch.setattr("kiban.linkage.broker.forward.PAGE", 3)
    said = city.front("GET", "/entities?type=Well&count=true")
    assert {text.split()[1] for text in said.warnings} == {registration, alias}
    assert all("narrow" in text for text in said.warnings)
    monkeypatch.setattr("kiban.linkage.broker.forward.FOUND", 50)
    said = city.front("GET", "/entities?type=Well&count=true")
    assert (said.warnings, said.headers["ngsild-results-count"]) == ([], ["12"])


def test_an_entity_by_a_map_says_which_sources_were_not_asked(city: City) -> None:
    registration = city.register("inclusive")
    assert city.back("POST", "/entities", WELL).status == 201
    assert city.front("POST", "/entities?local=true", {**WELL, "id": "urn:w:2"}).status == 201
    made = city.front("GET", "/entities?type=Well&entityMap=true&local=true").headers["ngsild-entitymap"][0]
    for id, status in (("urn:w:1", 404), ("urn:w:2", 200)):
        said = city.front("GET", path_of(id), NGSILD_EntityMap=made)
        assert (said.status, [text.split()[1] for text in said.warnings]) == (status, [registration])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/entities?type=Well", None),
        ("GET", path_of("urn:w:1"), None),
        ("POST", "/entityOperations/query", {"type": "Query", "entities": [{"type": "Well"}]}),
    ],
)
def test_a_silent_source_costs_its_time_limit_once_and_then_rests(city: City, played: Callable[..., Played], method: str, path: str, body: Any) -> None:
    wake = threading.Event()
    source = played(lambda _: (wake.wait(10), (200, []))[1])
    city.register("inclusive", url=source.url, management={"timeout": 200, "cooldown": 60_000})
    try:
        texts = [city.front(method, path, body).warnings[0] for _ in range(3)]
        assert ["in time" in text for text in texts] == [True, False, False]
        assert ["in peace" in text for text in texts] == [False, True, True]
        assert len(source.heard) == 1
    finally:
        wake.set()


def test_a_request_that_came_through_this_broker_before_is_a_loop_only_where_others_hold_everything(city: City, played: Callable[..., Played]) -> None:
    source = played(lambda _: (201, None))
    city.register("redirect", url=source.url, entity={"idPattern": "^urn:r:"})
    city.register("inclusive", url=source.url, entity={"idPattern": "^urn:i:"})
    assert city.front("POST", "/entities", {**WELL, "id": "urn:r:1"}).status == 201
    via = source.heard[0].headers["via"]
    assert city.front("POST", "/entities", {**WELL, "id": "urn:r:2"}, Via=via).status == 508
    assert city.front("GET", path_of("urn:r:2"), Via=via).status == 508
    assert city.front("POST", "/entities", {**WELL, "id": "urn:i:2"}, Via=via).status == 201
    assert len(source.of("POST")) == 1


def test_two_brokers_that_point_at_each_other_come_to_an_end(city: City) -> None:
    city.register("inclusive")
    doc = {"type": "ContextSourceRegistration", "information": information(), "endpoint": city.nodes[0].url, "tenant": city.tenant, "operations": WRITES}
    assert city.back("POST", "/csourceRegistrations", doc).status == 201
    assert city.front("POST", "/entities", WELL).status == 201
    assert [ask("GET", path_of("urn:w:1") + "?local=true").status for ask in (city.front, city.back)] == [200, 200]
    assert len(city.front("GET", "/entities?type=Well").value) == 1
    assert city.back("DELETE", path_of("urn:w:1")).status == 204
    assert city.front("GET", path_of("urn:w:1")).status == 404


def test_two_brokers_that_redirect_to_each_other_do_not_send_a_request_around(city: City) -> None:
    city.register("redirect")
    doc = {"type": "ContextSourceRegistration", "information": information(), "endpoint": city.nodes[0].url, "tenant": city.tenant, "operations": WRITES}
    assert city.back("POST", "/csourceRegistrations", {**doc, "mode": "redirect"}).status == 201
    # The second broker does not send it to where it came from: it stays there.
    assert city.front("POST", "/entities", WELL).status == 201
    assert [ask("GET", path_of("urn:w:1") + "?local=true").status for ask in (city.front, city.back)] == [404, 200]
    assert values(city.front("GET", path_of("urn:w:1")).value) == {"level": 3, "depth": 40}


def test_answers_say_what_was_missing_while_a_broker_is_killed_and_started_again_under_load(city: City) -> None:
    registration = city.register("inclusive", management={"timeout": 1000})
    assert city.front("POST", "/entities?local=true", {**WELL, "id": "urn:w:here"}).status == 201
    assert city.back("POST", "/entities", {**WELL, "id": "urn:w:there"}).status == 201
    answers: list[tuple[frozenset[str], int]] = []
    wrong: list[Any] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            said = city.front("GET", "/entities?type=Well")
            if said.status != 200 or any(registration not in text for text in said.warnings):
                wrong.append(said)
            answers.append((frozenset(entity["id"] for entity in said.value), len(said.warnings)))

    def wait(full: bool) -> None:
        deadline, seen = time.monotonic() + 15, len(answers)
        while not any((len(ids) == 2) is full for ids, _ in answers[seen:]):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait(full=True)
        city.nodes[1].stop()
        wait(full=False)
        city.nodes[1].start()
        wait(full=True)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        if not city.nodes[1].thread.is_alive():
            city.nodes[1].start()
    assert wrong == []
    # Never an answer that lacks something and does not say so, nor one that complains without need.
    assert {(len(ids), warned) for ids, warned in answers} == {(2, 0), (1, 1)}
    assert all("urn:w:here" in ids for ids, _ in answers)


def test_a_tenant_without_registrations_is_not_concerned(pair: tuple[Node, Node]) -> None:
    front = pair[0]
    forward = front.app.broker.forward

    class Call:
        tenant = "nobody"
        params: dict[str, str] = {}
        headers: dict[bytes, bytes] = {}

    assert forward.concerned(Call()) is False


# --- subscriptions that reach further


def until(done: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := done()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
    return found


SUBSCRIBED = {"id": "urn:s:1", "type": "Subscription", "entities": [{"type": "Well"}]}
FEDERATED = ["federationOps"]


def test_a_subscriber_learns_what_changes_at_a_source(city: City, played: Callable[..., Played]) -> None:
    listener = played(lambda _: (200, None))
    city.register("inclusive", operations=FEDERATED)
    doc = {**SUBSCRIBED, "q": "level>5", "notification": {"endpoint": {"uri": listener.url + "/n"}}}
    assert city.front("POST", "/subscriptions", doc).status == 201
    (copy,) = until(lambda: city.back("GET", "/subscriptions").value)
    assert copy["q"] == "level>5"
    assert listener.url not in copy["notification"]["endpoint"]["uri"]
    assert len(city.front("GET", "/csourceSubscriptions").value) == 1
    assert city.back("POST", "/entities", {**WELL, "level": 3}).status == 201
    assert city.back("PATCH", path_of("urn:w:1") + "/attrs", {"level": {"type": "Property", "value": 7}}).status == 204
    (heard,) = until(lambda: listener.heard)
    assert (heard.path, heard.body["subscriptionId"], heard.body["data"][0]["level"]["value"]) == ("/n", "urn:s:1", 7)
    assert city.front("DELETE", "/subscriptions/urn:s:1").status == 204
    until(lambda: city.back("GET", "/subscriptions").value == [])
    assert city.front("GET", "/csourceSubscriptions").value == []


def test_parts_of_split_entities_are_looked_at_as_a_whole(city: City, played: Callable[..., Played]) -> None:
    listener = played(lambda _: (200, None))
    city.register("inclusive", operations=FEDERATED)
    doc = {**SUBSCRIBED, "q": "level>5;depth==40", "splitEntities": True, "notification": {"endpoint": {"uri": listener.url + "/n"}}}
    assert city.front("POST", "/entities?local=true", {"id": "urn:w:1", "type": "Well", "depth": 40}).status == 201
    assert city.front("POST", "/subscriptions", doc).status == 201
    (copy,) = until(lambda: city.back("GET", "/subscriptions").value)
    assert "q" not in copy
    assert city.back("POST", "/entities", {"id": "urn:w:1", "type": "Well", "level": 3}).status == 201
    assert city.back("PATCH", path_of("urn:w:1") + "/attrs", {"level": {"type": "Property", "value": 7}}).status == 204
    (heard,) = until(lambda: listener.heard)
    assert values(heard.body["data"][0]) == {"level": 7, "depth": 40}


def test_a_source_that_is_registered_later_gets_a_copy_and_loses_it_with_its_registration(city: City, played: Callable[..., Played]) -> None:
    listener = played(lambda _: (200, None))
    doc = {**SUBSCRIBED, "notification": {"endpoint": {"uri": listener.url + "/n"}}}
    assert city.front("POST", "/subscriptions", doc).status == 201
    assert city.front("POST", "/subscriptions", {**doc, "id": "urn:s:2", "localOnly": True}).status == 201
    registration = city.register("inclusive", operations=FEDERATED)
    until(lambda: len(city.back("GET", "/subscriptions").value) == 1)
    assert city.front("DELETE", f"/csourceRegistrations/{registration}").status == 204
    until(lambda: city.back("GET", "/subscriptions").value == [])


def test_nobody_who_does_not_know_a_copy_can_notify(city: City) -> None:
    city.register("inclusive", operations=FEDERATED)
    said = city.nodes[0]("POST", "/../ex/remote-notify", {"type": "Notification", "subscriptionId": "urn:s:1", "data": []})
    assert said.status == 404


def test_a_subscription_does_not_run_in_circles(city: City, played: Callable[..., Played]) -> None:
    listener = played(lambda _: (200, None))
    city.register("inclusive", operations=FEDERATED)
    doc = {"type": "ContextSourceRegistration", "information": information(), "endpoint": city.nodes[0].url, "tenant": city.tenant}
    assert city.back("POST", "/csourceRegistrations", doc).status == 201
    assert city.front("POST", "/subscriptions", {**SUBSCRIBED, "notification": {"endpoint": {"uri": listener.url + "/n"}}}).status == 201
    until(lambda: city.back("GET", "/subscriptions").value)
    assert city.back("POST", "/entities?local=true", WELL).status == 201
    until(lambda: listener.heard)
    assert [len(ask("GET", "/subscriptions").value) for ask in (city.front, city.back)] == [1, 1]
    assert len(listener.heard) == 1


# --- access


def test_what_a_subject_may_reach_holds_for_what_sources_have_too(tmp_path: Path, pair: tuple[Node, Node]) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        """version: 1
rules:
  - {who: anyone, operations: registrations.*, allow: true}
  - {who: anyone, operations: [entities.read, entities.update], only: {types: Well, q: "level<5"}}
""",
        encoding="utf-8",
    )
    back = City(pair, "kept").back
    for id, kind, level in (("urn:w:1", "Well", 3), ("urn:w:2", "Well", 9), ("urn:t:1", "Tank", 1)):
        back("DELETE", path_of(id))
        assert back("POST", "/entities", {"id": id, "type": kind, "level": level}).status == 201
    front = Node(tmp_path, "guarded", policy=policy)
    try:
        endpoint, info = pair[1].url, [{"entities": [{"type": "Well"}, {"type": "Tank"}]}]
        front.register(endpoint, information=info, tenant="kept", operations=WRITES)
        assert [front("GET", path_of(id)).status for id in ("urn:w:1", "urn:w:2", "urn:t:1")] == [200, 404, 404]
        assert [entity["id"] for entity in front("GET", "/entities?type=Well,Tank").value] == ["urn:w:1"]
        change = {"level": {"type": "Property", "value": 4}}
        assert [front("PATCH", path_of(id) + "/attrs", change).status for id in ("urn:w:2", "urn:t:1")] == [404, 404]
        assert front("POST", "/entities", {"id": "urn:w:3", "type": "Well", "level": 1}).status in (401, 403)
        assert front("DELETE", path_of("urn:w:1")).status in (401, 403)
        assert [back("GET", path_of(id)).value["level"]["value"] for id in ("urn:w:1", "urn:w:2", "urn:t:1")] == [3, 9, 1]
    finally:
        front.stop()
