"""Entities: what may be written, and what the changes of the standard make of them."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.linkage.strategies import BASE, BORN, CORE, DEFAULT, LATER, TERMS, FakeTerms, attributes, entities, iris, json_values, without_times

from kiban.linkage.broker import model
from kiban.linkage.broker.model import OWN, RESERVED, Change, Entity, Nulls
from kiban.linkage.broker.render import LOCATION, View, render
from kiban.linkage.broker.values import NULL, geometry_fault, has_null, is_name, is_uri
from kiban.linkage.errors import Problem

LEVEL, NAME, OWNER, DEPTH = BASE + "level", BASE + "name", BASE + "owner", BASE + "depth"


def made(**members: Any) -> Entity:
    """The entity that a client creates at BORN."""
    return model.parse_entity({"id": "urn:ngsi-ld:Well:1", "type": "Well"} | members, TERMS, now=BORN)


def said(entity: Entity) -> Any:
    """An entity in normalized form, without id and type."""
    shown = render(entity, TERMS)
    return {name: value for name, value in shown.items() if name not in ("id", "type")}


def refusal(function: Any, *values: Any, **named: Any) -> str:
    with pytest.raises(Problem) as caught:
        function(*values, **named)
    return str(caught.value.kind)


# --- Reading


def test_normalized_concise_and_simplified_forms_of_an_attribute_are_one() -> None:
    for level in (3, {"value": 3}, {"type": "Property", "value": 3}, {"@type": "Property", "value": 3}, [{"value": 3}], {"dataset": {"@none": 3}}):
        assert said(made(level=level)) == {"level": {"type": "Property", "value": 3}}


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ({"object": "urn:a:1"}, {"type": "Relationship", "object": "urn:a:1"}),
        ({"object": ["urn:a:1", "urn:a:2"]}, {"type": "Relationship", "object": ["urn:a:1", "urn:a:2"]}),
        ({"languageMap": {"ja": "井戸"}}, {"type": "LanguageProperty", "languageMap": {"ja": "井戸"}}),
        ({"vocab": "word"}, {"type": "VocabProperty", "vocab": "word"}),
        ({"json": {"type": "Property", "value": None}}, {"type": "JsonProperty", "json": {"type": "Property", "value": None}}),
        ({"valueList": [1, [2]]}, {"type": "ListProperty", "valueList": [1, [2]]}),
        ({"objectList": ["urn:a:1", {"object": "urn:a:2"}]}, {"type": "ListRelationship", "objectList": [{"object": "urn:a:1"}, {"object": "urn:a:2"}]}),
        ({"type": "Point", "coordinates": [1, 2]}, {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}),
        ({"value": {"type": "Point", "coordinates": [1, 2]}}, {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}),
        (
            {"type": "GeoProperty", "value": '{"type": "Point", "coordinates": [1, 2]}'},
            {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        ),
        ({"street": "Straße", "no": 17}, {"type": "Property", "value": {"street": "Straße", "no": 17}}),
        ([1, {"a": None}], {"type": "Property", "value": [1, {"a": None}]}),
        ([], {"type": "Property", "value": []}),
        (False, {"type": "Property", "value": False}),
        ({"value": {"@type": "Date", "@value": "2026-11-27"}}, {"type": "Property", "value": {"@type": "Date", "@value": "2026-11-27"}}),
        ({"value": 1, "valueType": "xsd:double"}, {"type": "Property", "value": 1, "valueType": "xsd:double"}),
        ({"object": "urn:a:1", "objectType": "Well"}, {"type": "Relationship", "object": "urn:a:1", "objectType": "Well"}),
        ({"value": 1, "accuracy": 0.5}, {"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 0.5}}),
        ({"value": 1, "datasetId": "@none"}, {"type": "Property", "value": 1}),
        ({"value": 1, "createdAt": "whenever", "instanceId": "any"}, {"type": "Property", "value": 1}),
    ],
)
def test_the_kind_of_an_attribute_is_inferred(raw: Any, read: Any) -> None:
    assert said(made(stands=raw)) == {"stands": read}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        NULL,
        {},
        {"type": "Property"},
        {"type": "Property", "value": None},
        {"type": "Property", "value": NULL},
        {"type": "Property", "value": {"a": [{"b": NULL}]}},
        {"type": "Property", "value": 1, "object": "urn:a:1"},
        {"type": "Property", "value": 1, "previousValue": 0},
        {"type": "Property", "value": 1, "entityIdSealed": "urn:a:1"},
        {"type": "Property", "value": 1, "@context": {}},
        {"type": "Property", "value": 1, "observedAt": "yesterday"},
        {"type": "Property", "value": 1, "observedAt": "2026-11-27T00:00:00+09:00"},
        {"type": "Property", "value": 1, "observedAt": {"type": "Property", "value": "2026-11-27T00:00:00Z"}},
        {"type": "Property", "value": 1, "unitCode": 5},
        {"type": "Property", "value": 1, "datasetId": "no uri"},
        {"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": NULL}},
        {"type": "Property", "value": 1, "my accuracy": 2},
        {"type": "Property", "value": 1, "accuracy": 2, BASE + "accuracy": 3},
        {"type": "Property", "value": {"@type": "DateTime", "@value": "soon"}},
        {"type": "Properly", "value": 1},
        {"value": 1, "object": "urn:a:1"},
        {"observedAt": "2026-11-27T00:00:00Z"},
        {"type": "Relationship"},
        {"type": "Relationship", "object": "no uri"},
        {"type": "Relationship", "object": []},
        {"type": "Relationship", "object": NULL},
        {"type": "Relationship", "object": "urn:a:1", "unitCode": "MTR"},
        {"type": "Relationship", "object": "urn:a:1", "value": 42},
        {"type": "LanguageProperty"},
        {"type": "LanguageProperty", "languageMap": {"en": 5}},
        {"type": "LanguageProperty", "languageMap": {"en": ["a", 5]}},
        {"type": "LanguageProperty", "languageMap": {"": "a"}},
        {"type": "LanguageProperty", "languageMap": {"@none": NULL}},
        {"type": "LanguageProperty", "languageMap": {"en": "a"}, "valueType": "xsd:string"},
        {"type": "JsonProperty", "json": 5},
        {"type": "JsonProperty", "json": {"a": 1}, "unitCode": "MTR"},
        {"type": "ListProperty", "valueList": 1},
        {"type": "ListProperty", "valueList": [1], "value": 1},
        {"type": "ListRelationship", "objectList": ["no uri"]},
        {"type": "VocabProperty", "vocab": 1},
        {"type": "GeoProperty", "value": {"type": "GeometryCollection", "geometries": []}},
        {"type": "GeometryCollection", "geometries": []},
        {"type": "GeoProperty", "value": "no geometry"},
        {"type": "GeoProperty", "value": "[" * 100_000},
        {"type": "GeoProperty", "value": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}},
        [{"value": 1}, {"value": 2}],
        [{"value": 1}, {"value": 2, "datasetId": "@none"}],
        [{"value": 1, "datasetId": "urn:d:1"}, {"value": 2, "datasetId": "urn:d:1"}],
        [{"type": "Property", "value": 1}, 2],
        {"dataset": {"no uri": 1}},
    ],
)
def test_an_attribute_that_breaks_the_rules_is_bad_request_data(raw: Any) -> None:
    assert refusal(made, level=raw) == "BadRequestData"


@pytest.mark.parametrize(
    "name",
    [
        "datasetId",
        "instanceId",
        "observedAt",
        "value",
        "@graph",
        "my attr",
        "9lives",
        "a-b",
        "https://a.example/../b",
        "",
        CORE + "observedAt",
        CORE + "hasValue",
    ],
)
def test_an_attribute_cannot_have_the_name_of_something_else(name: str) -> None:
    assert refusal(made, **{name: {"type": "Property", "value": 1}}) == "BadRequestData"


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "Well"},
        {"id": "urn:a:1"},
        {"id": "no uri", "type": "Well"},
        {"id": NULL, "type": "Well"},
        {"id": 5, "type": "Well"},
        {"id": "urn:a:\u202e1", "type": "Well"},
        {"id": "urn:a:1", "type": "type"},
        {"id": "urn:a:1", "type": "9Well"},
        {"id": "urn:a:1", "type": []},
        {"id": "urn:a:1", "type": ["Well", 5]},
        {"id": "urn:a:1", "type": "Well", "scope": NULL},
        {"id": "urn:a:1", "type": "Well", "scope": ["/ok", "9bad"]},
        {"id": "urn:a:1", "type": "Well", "scope": "/a//b"},
        {"id": "urn:a:1", "type": "Well", "expiresAt": "soon"},
        {"id": "urn:a:1", "type": "Well", "level": 1, BASE + "level": 2},
        {"id": "urn:a:1", "type": "Well", "location": 7},
        {"id": "urn:a:1", "type": "Well", "location": {"type": "Property", "value": 7}},
        {"id": "urn:a:1", "type": "Well", "ngsildproof": {"type": "Property", "value": "no object"}},
        {"id": "urn:a:1", "type": "Well", "ngsildproof": {"type": "Property", "value": {}, "entityTypeSealed": 42}},
    ],
)
def test_an_entity_that_breaks_the_rules_is_bad_request_data(raw: Any) -> None:
    assert refusal(model.parse_entity, raw, TERMS, now=BORN) == "BadRequestData"


@pytest.mark.parametrize("raw", [[], None, "text", 5])
def test_what_is_no_object_is_an_invalid_request(raw: Any) -> None:
    assert refusal(model.parse_entity, raw, TERMS, now=BORN) == "InvalidRequest"


def test_keywords_of_json_ld_are_read_as_id_and_type_and_types_are_not_told_twice() -> None:
    entity = model.parse_entity({"@id": "urn:a:1", "@type": ["Well", "Well", "Bus"], "@context": "c", "createdAt": "x"}, TERMS, now=BORN)
    assert entity == {"id": "urn:a:1", "type": [BASE + "Well", DEFAULT + "Bus"], "createdAt": BORN, "modifiedAt": BORN}


def test_an_attribute_of_an_entity_may_be_called_like_a_member_that_only_instances_have() -> None:
    assert said(made(vocab={"vocab": "word"})) == {"vocab": {"type": "VocabProperty", "vocab": "word"}}
    assert refusal(made, level={"value": 1, CORE + "hasVocab": 2}) == "BadRequestData"


def test_other_words_of_a_context_for_id_and_type_are_read_as_such() -> None:
    class Aliases(FakeTerms):
        def expand(self, term: str) -> str:
            return {"key": "@id", "kind": "@type"}.get(term) or super().expand(term)

    assert model.parse_entity({"key": "urn:a:1", "kind": "Well"}, Aliases(), now=BORN)["type"] == [BASE + "Well"]


def test_a_proof_keeps_what_it_seals() -> None:
    proof = {"type": "Property", "entityIdSealed": "urn:ngsi-ld:Well:1", "entityTypeSealed": "Well", "value": {"type": "DataIntegrityProof"}}
    entity = made(ngsildproof=proof)
    assert said(entity) == {"ngsildproof": proof}
    assert model.attributes(entity).__next__()[1][0]["entityTypeSealed"] == BASE + "Well"


def test_attributes_of_attributes_go_only_so_deep() -> None:
    deep: Any = 1
    for _ in range(model.MAX_DEPTH):
        deep = {"value": 1, "accuracy": deep}
    made(level=deep)
    assert refusal(made, level={"value": 1, "accuracy": deep}) == "BadRequestData"


def test_a_history_may_have_many_instances_of_one_dataset() -> None:
    raw = {"id": "urn:a:1", "type": "Well", "level": [{"value": 1, "observedAt": "2026-11-27T00:00:00Z"}, {"value": 2, "observedAt": "2026-11-27T01:00:00Z"}]}
    assert [found["value"] for found in model.parse_entity(raw, TERMS, now=BORN, temporal=True)[LEVEL]] == [1, 2]


@pytest.mark.parametrize(
    ("nulls", "taken", "refused"),
    [
        ("none", [], [NULL, {"value": NULL}, {"value": {"a": NULL}}, {"languageMap": {"en": NULL}}]),
        (
            "attribute",
            [NULL, {"value": NULL}, {"languageMap": {"@none": NULL}}, {"valueList": [NULL]}, {"objectList": [NULL]}],
            [{"value": {"a": NULL}}, {"languageMap": {"en": NULL}}],
        ),
        (
            "deep",
            [NULL, {"value": {"a": NULL}}, {"languageMap": {"en": NULL, "ja": "x"}}, {"json": {"a": NULL}}, {"unitCode": NULL}],
            [{"datasetId": NULL}, None],
        ),
    ],
)
def test_null_may_stand_where_an_operation_takes_it(nulls: Nulls, taken: list[Any], refused: list[Any]) -> None:
    for raw in taken:
        assert has_null(model.parse_fragment({"level": raw}, TERMS, now=BORN, nulls=nulls)[LEVEL])
    for raw in refused:
        assert refusal(model.parse_fragment, {"level": raw}, TERMS, now=BORN, nulls=nulls) == "BadRequestData"


def test_a_fragment_says_something_about_its_target() -> None:
    assert refusal(model.parse_fragment, {}, TERMS, now=BORN) == "BadRequestData"
    assert refusal(model.parse_fragment, {"id": "urn:a:2", "level": 1}, TERMS, now=BORN, id="urn:a:1") == "BadRequestData"
    assert set(model.parse_fragment({"id": "urn:a:1", "level": 1}, TERMS, now=BORN, id="urn:a:1")) == {LEVEL}
    assert refusal(model.parse_attribute, "level", {"@context": "c"}, TERMS, now=BORN, partial=True) == "BadRequestData"
    assert refusal(model.parse_attribute, "scope", {"value": "/a"}, TERMS, now=BORN) == "BadRequestData"
    assert refusal(model.parse_attribute, "@invalid", {"value": 1}, TERMS, now=BORN) == "BadRequestData"
    assert refusal(model.parse_attribute, "level", "text", TERMS, now=BORN) == "InvalidRequest"


@given(st.text(max_size=30))
def test_no_text_makes_the_checks_fail(text: str) -> None:
    assert isinstance(is_uri(text), bool)
    assert isinstance(is_name(text), bool)
    assert not is_name(text) or not any(c.isspace() for c in text)


@given(
    st.dictionaries(
        st.sampled_from([*sorted(RESERVED), "id", "scope", "level", "accuracy", "@context", "dataset", "my attr"]), json_values | attributes(), max_size=5
    )
)
def test_whatever_is_posted_is_read_or_refused(raw: dict[str, Any]) -> None:
    nulls: tuple[Nulls, ...] = ("none", "attribute", "deep")
    for mode in nulls:
        with contextlib.suppress(Problem):
            fragment = model.parse_fragment({"level": raw, "id": "urn:a:1", **raw}, TERMS, now=LATER, nulls=mode)
            assert set(fragment) - OWN <= {BASE + "level", BASE + "accuracy", DEFAULT + "dataset"}


@given(json_values)
def test_any_value_is_a_geometry_or_is_told_why_not(value: Any) -> None:
    assert geometry_fault(value)
    assert geometry_fault({"type": "Polygon", "coordinates": value})


# --- Changing


def fragment(nulls: Nulls = "attribute", /, **members: Any) -> Entity:
    return model.parse_fragment(members, TERMS, now=LATER, nulls=nulls)


def one(name: str, **members: Any) -> Any:
    return model.parse_attribute(name, members, TERMS, now=LATER, partial=True)[0]


def test_create_tells_of_each_instance() -> None:
    change = model.create(made(level=[{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}]))
    assert (change.previous, change.changed) == (None, [(LEVEL, None, "created"), (LEVEL, "urn:d:1", "created")])


def test_append_overwrites_unless_told_not_to() -> None:
    old = made(level=1, scope="/Noto")
    new = fragment("none", level=2, name="a", scope="/Suzu", type="Bus")
    change = model.append(old, new, now=LATER)
    assert said(change.entity) == {"scope": "/Suzu", "level": {"type": "Property", "value": 2}, "name": {"type": "Property", "value": "a"}}
    assert change.changed == [("type", None, "updated"), ("scope", None, "updated"), (LEVEL, None, "updated"), (NAME, None, "created")]
    assert (change.entity[LEVEL][0]["createdAt"], change.entity[LEVEL][0]["modifiedAt"], change.entity["modifiedAt"]) == (BORN, LATER, LATER)
    kept = model.append(old, new, now=LATER, overwrite=False)
    assert said(kept.entity) == {"scope": ["/Noto", "/Suzu"], "level": {"type": "Property", "value": 1}, "name": {"type": "Property", "value": "a"}}
    assert [refused["attributeName"] for refused in kept.refused] == [LEVEL]


def test_update_replaces_whole_instances_adds_new_ones_and_removes_nulls() -> None:
    old = made(level={"value": 25, "unitCode": "CEL"}, name="a")
    change = model.update(old, fragment(level=[{"value": 100}, {"value": 7, "datasetId": "urn:d:1"}], name=NULL, depth=NULL, scope="/Noto"), now=LATER)
    assert said(change.entity) == {"level": [{"type": "Property", "value": 100}, {"type": "Property", "value": 7, "datasetId": "urn:d:1"}]}
    assert change.changed == [(LEVEL, None, "updated"), (LEVEL, "urn:d:1", "created"), (NAME, None, "deleted")]
    assert [refused["attributeName"] for refused in change.refused] == ["scope", DEPTH]
    assert change.updated == [LEVEL, NAME]


def test_partial_update_overwrites_members_only() -> None:
    old = made(level={"value": 25, "unitCode": "CEL", "accuracy": 1, "stands": 2})
    change = model.partial(old, LEVEL, one("level", value=100, observedAt="2026-11-27T00:00:00Z", accuracy=NULL, stands=3), now=LATER)
    assert said(change.entity) == {
        "level": {"type": "Property", "value": 100, "unitCode": "CEL", "observedAt": "2026-11-27T00:00:00Z", "stands": {"type": "Property", "value": 3}}
    }
    assert said(model.partial(old, LEVEL, one("level", unitCode=NULL), now=LATER).entity)["level"].keys() == {"type", "value", "accuracy", "stands"}
    assert LEVEL not in model.partial(old, LEVEL, one("level", type="Property", value=NULL), now=LATER).entity
    assert refusal(model.partial, old, LEVEL, one("level", object="urn:a:1"), now=LATER) == "BadRequestData"
    assert refusal(model.partial, old, LEVEL, one("level", value=1, datasetId="urn:d:1"), now=LATER) == "ResourceNotFound"
    assert refusal(model.partial, old, NAME, one("name", value=1), now=LATER) == "ResourceNotFound"
    assert refusal(one, "level", datasetId=NULL) == "BadRequestData"
    assert refusal(one, "level", value={"a": NULL}) == "BadRequestData"


def test_partial_update_of_a_geometry_takes_geometries_only() -> None:
    old = made(location={"type": "Point", "coordinates": [1, 2]})
    moved = model.partial(old, LOCATION, one("location", value={"type": "Point", "coordinates": [3, 4]}), now=LATER).entity
    assert moved[LOCATION][0]["value"]["coordinates"] == [3, 4]
    assert refusal(model.partial, old, LOCATION, one("location", value=7), now=LATER) == "BadRequestData"


def test_replacing_an_attribute_may_change_its_kind_and_keeps_its_place_and_birth() -> None:
    old = made(level=[{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}])
    new = model.parse_attribute("level", {"object": "urn:a:1"}, TERMS, now=LATER)
    change = model.replace_attr(old, LEVEL, new, now=LATER)
    assert said(change.entity)["level"] == [{"type": "Relationship", "object": "urn:a:1"}, {"type": "Property", "value": 2, "datasetId": "urn:d:1"}]
    assert change.entity[LEVEL][0]["createdAt"] == BORN
    assert refusal(model.replace_attr, old, NAME, new, now=LATER) == "ResourceNotFound"


def test_deleting_takes_the_default_a_dataset_or_all() -> None:
    old = made(level=[{"value": 1}, {"value": 2, "datasetId": "urn:d:1"}], scope="/Noto")
    values = {
        "default": model.delete_attr(old, LEVEL, now=LATER),
        "dataset": model.delete_attr(old, LEVEL, now=LATER, datasetId="urn:d:1"),
        "all": model.delete_attr(old, LEVEL, now=LATER, delete_all=True),
    }
    assert {name: [found["value"] for found in change.entity.get(LEVEL, ())] for name, change in values.items()} == {"default": [2], "dataset": [1], "all": []}
    assert values["all"].changed == [(LEVEL, None, "deleted"), (LEVEL, "urn:d:1", "deleted")]
    without = model.delete_attr(old, "scope", now=LATER).entity
    assert "scope" not in without
    for name, named in (("scope", {}), (NAME, {}), (NAME, {"delete_all": True}), (LEVEL, {"datasetId": "urn:d:2"})):
        assert refusal(model.delete_attr, without, name, now=LATER, **named) == "ResourceNotFound"


def test_merge_goes_into_compound_values_language_maps_and_sub_attributes() -> None:
    old = made(
        stands={"value": {"street": "Straße des 17. Juni", "city": "Berlin", "country": "Germany"}, "observedAt": "2026-11-27T00:00:00Z"},
        name={"languageMap": {"ja": "井戸", "en": "well"}},
        level={"value": 1, "unitCode": "MTR", "accuracy": {"value": 1, "unitCode": "CEL"}},
        owner={"json": {"a": 1, "b": 2}},
        scope="/Noto",
        expiresAt="2026-12-01T00:00:00Z",
    )
    change = model.merge(
        old,
        fragment(
            "deep",
            stands={"type": "Property", "value": {"street": "Pariser Platz", "country": NULL}},
            name={"languageMap": {"en": NULL, "fr": "puits"}},
            level={"unitCode": NULL, "accuracy": {"value": 2}},
            owner={"json": {"a": NULL}},
            depth={"value": {"new": 1, "gone": NULL}},
            scope=NULL,
            expiresAt=NULL,
        ),
        now=LATER,
    )
    assert said(change.entity) == {
        "stands": {"type": "Property", "value": {"street": "Pariser Platz", "city": "Berlin"}, "observedAt": "2026-11-27T00:00:00Z"},
        "name": {"type": "LanguageProperty", "languageMap": {"ja": "井戸", "fr": "puits"}},
        "level": {"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 2, "unitCode": "CEL"}},
        "owner": {"type": "JsonProperty", "json": {"b": 2}},
        "depth": {"type": "Property", "value": {"new": 1}},
    }
    assert "expiresAt" not in change.entity


def test_merge_gives_the_time_of_the_request_to_attributes_that_had_one() -> None:
    old = made(level={"value": 1, "observedAt": "2026-11-27T00:00:00Z"}, depth=1, name={"value": 1, "observedAt": "2026-11-27T00:00:00Z"})
    at = "2026-11-27T05:00:00Z"
    new = model.merge(old, fragment("deep", level=2, depth=2, name={"value": 2, "observedAt": "2026-11-27T03:00:00Z"}), now=LATER, observedAt=at).entity
    assert [new[name][0].get("observedAt") for name in (LEVEL, DEPTH, NAME)] == [at, None, "2026-11-27T03:00:00Z"]


def test_a_bare_value_that_is_merged_becomes_of_the_kind_that_is_there() -> None:
    old = made(
        name={"languageMap": {"ja": "井戸"}}, owner={"object": "urn:a:1"}, stands={"vocab": "word"}, depth={"valueList": [1]}, level={"object": "urn:a:1"}
    )
    new = fragment("deep", name="well", owner="urn:a:2", stands="accuracy", depth=[2, 3], level=5)
    assert said(model.merge(old, new, now=LATER, lang="en", terms=TERMS).entity) == {
        "name": {"type": "LanguageProperty", "languageMap": {"ja": "井戸", "en": "well"}},
        "owner": {"type": "Relationship", "object": "urn:a:2"},
        "stands": {"type": "VocabProperty", "vocab": "accuracy"},
        "depth": {"type": "ListProperty", "valueList": [2, 3]},
        "level": {"type": "Property", "value": 5},
    }


def test_merge_refuses_what_would_be_no_attribute() -> None:
    old = made(location={"type": "Point", "coordinates": [1, 2]}, name={"languageMap": {"ja": "井戸"}})
    for members in ({"location": 7}, {"level": {"unitCode": "MTR"}}, {"name": {"languageMap": {"ja": NULL}}}):
        assert refusal(lambda members=members: model.merge(old, fragment("deep", **members), now=LATER)) == "BadRequestData"


def test_replace_keeps_the_birth_of_the_entity_alone() -> None:
    old = made(level=1, name="a", scope="/Noto")
    new = model.parse_entity({"id": "urn:ngsi-ld:Well:1", "type": "Bus", "level": 2, "depth": 3}, TERMS, now=LATER)
    change = model.replace(old, new, now=LATER)
    assert (change.entity["createdAt"], change.entity["modifiedAt"], change.entity["type"]) == (BORN, LATER, [DEFAULT + "Bus"])
    assert without_times(change.entity) == without_times(new)
    assert change.changed == [
        ("type", None, "updated"),
        ("scope", None, "deleted"),
        (LEVEL, None, "updated"),
        (DEPTH, None, "created"),
        (NAME, None, "deleted"),
    ]


def test_instances_whose_time_has_come_are_taken_out() -> None:
    old = made(level=[{"value": 1, "expiresAt": BORN}, {"value": 2, "datasetId": "urn:d:1"}], name={"value": 1, "expiresAt": "2027-01-01T00:00:00Z"})
    assert model.soonest(old) == BORN
    change = model.expire(old, now=LATER)
    assert change.changed == [(LEVEL, None, "deleted")]
    assert model.soonest(change.entity) == "2027-01-01T00:00:00Z"
    deep = made(level={"value": 1, "accuracy": {"value": 1, "stands": {"value": 2, "expiresAt": BORN}}})
    assert said(model.expire(deep, now=LATER).entity)["level"] == {"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 1}}
    assert model.expire(change.entity, now=LATER).entity == change.entity


# --- Laws


def as_fragment(entity: Entity) -> Entity:
    return {name: value for name, value in entity.items() if name not in ("id", "createdAt", "modifiedAt", "expiresAt")}


def by_dataset(entity: Entity) -> dict[tuple[str, Any], Any]:
    return {(name, found.get("datasetId")): without_times(found) for name, instances in model.attributes(entity) for found in instances}


@given(entities("urn:a:1"), entities("urn:a:1"))
def test_appending_and_updating_are_a_union_of_instances(old: Entity, new: Entity) -> None:
    for change in (model.append(old, as_fragment(new), now=LATER), model.update({**old, "scope": ["/a"]}, as_fragment(new), now=LATER)):
        assert by_dataset(change.entity) == by_dataset(old) | by_dataset(new)
        assert set(change.entity["type"]) == {*old["type"], *new["type"]}
    gentle = model.append(old, as_fragment(new), now=LATER, overwrite=False)
    assert by_dataset(gentle.entity) == by_dataset(new) | by_dataset(old)
    assert len(gentle.refused) == len(by_dataset(old).keys() & by_dataset(new).keys())


@given(entities("urn:a:1"), entities("urn:a:1"))
def test_a_replaced_entity_is_the_new_one(old: Entity, new: Entity) -> None:
    change = model.replace(old, new, now=LATER)
    assert by_dataset(change.entity) == by_dataset(new)
    kinds = {(name, dataset): kind for name, dataset, kind in change.changed if name not in OWN}
    before, after = by_dataset(old).keys(), by_dataset(new).keys()
    assert kinds == {key: "deleted" if key not in after else "updated" if key in before else "created" for key in before | after}


@given(entities("urn:a:1"), entities("urn:a:1"))
def test_merging_the_same_again_or_merging_what_is_there_changes_nothing(old: Entity, new: Entity) -> None:
    merged = model.merge(old, as_fragment(new), now=LATER).entity
    assert without_times(model.merge(merged, as_fragment(new), now=LATER).entity) == without_times(merged)
    assert without_times(model.merge(old, as_fragment(old), now=LATER).entity) == without_times(old)


def patched(old: Any, new: Any) -> Any:
    """RFC 7396, as it is written there, with the null marker."""
    if not isinstance(new, dict):
        return new
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value == NULL:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


objects = st.recursive(
    st.integers(0, 3) | st.just(NULL), lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, min_size=1, max_size=3), max_leaves=6
)
compound = st.dictionaries(st.sampled_from(["a", "b", "c"]), objects, min_size=1, max_size=3)


@given(compound, compound)
def test_values_merge_as_json_merge_patch_says(old: Any, new: Any) -> None:
    before = made(level={"type": "Property", "value": patched({}, old)})
    after = model.merge(before, fragment("deep", level={"type": "Property", "value": new}), now=LATER).entity
    assert after[LEVEL][0]["value"] == patched(patched({}, old), new)


@given(entities("urn:a:1"), entities("urn:a:1"), iris)
def test_a_change_leaves_what_it_was_given_as_it_was(old: Entity, new: Entity, name: str) -> None:
    kept, given_ = copy.deepcopy(old), copy.deepcopy(new)
    changes: list[Change] = [
        model.append(old, as_fragment(new), now=LATER),
        model.append(old, as_fragment(new), now=LATER, overwrite=False),
        model.update(old, as_fragment(new), now=LATER),
        model.merge(old, as_fragment(new), now=LATER, observedAt=BORN),
        model.replace(old, new, now=LATER),
    ]
    if name in old:
        changes.append(model.delete_attr(old, name, now=LATER, delete_all=True))
        changes.append(model.replace_attr(old, name, old[name], now=LATER))
    if name in old and "datasetId" not in old[name][0]:
        changes.append(model.partial(old, name, {"type": "", "observedAt": BORN, "createdAt": LATER, "modifiedAt": LATER}, now=LATER))
    assert (old, new) == (kept, given_)
    for change in changes:
        assert change.entity["createdAt"] == old["createdAt"]
        assert change.previous is old
        assert all(instances for _, instances in model.attributes(change.entity))
        # What a change makes can be told and read again.
        json.dumps(render(change.entity, TERMS, View(sys=True)))
