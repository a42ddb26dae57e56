"""Entities as answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyld import jsonld
from tests.linkage.strategies import BASE, BORN, CONTEXT, LATER, TERMS, datasets, entities, iris, uris, without_times

from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.model import OWN, Entity, parse_entity
from kiban.linkage.broker.render import (
    LOCATION,
    Projection,
    View,
    decode,
    earlier,
    encode_lean,
    language_of,
    languages,
    links,
    render,
    render_all,
    render_lean,
    render_lean_all,
)
from kiban.linkage.broker.values import NULL


def tree(**members: Projection | None) -> Projection:
    """A projection as the query language makes it."""
    return {name if name in OWN else TERMS.expand(name): below for name, below in members.items()}


WELL: Entity = {
    "id": "urn:ngsi-ld:Well:1",
    "type": [BASE + "Well"],
    "scope": ["/Noto"],
    "createdAt": BORN,
    "modifiedAt": LATER,
    BASE + "level": [
        {
            "type": "Property",
            "value": 3,
            "unitCode": "MTR",
            BASE + "accuracy": [{"type": "Property", "value": 0.1, "createdAt": BORN, "modifiedAt": BORN}],
            "createdAt": BORN,
            "modifiedAt": LATER,
        },
        {"type": "Property", "value": 4, "datasetId": "urn:ngsi-ld:Dataset:0", "createdAt": BORN, "modifiedAt": BORN},
    ],
    BASE + "owner": [{"type": "Relationship", "object": "urn:ngsi-ld:Town:1", "createdAt": BORN, "modifiedAt": BORN}],
    BASE + "name": [{"type": "LanguageProperty", "languageMap": {"ja": "井戸", "en": "well"}, "createdAt": BORN, "modifiedAt": BORN}],
    LOCATION: [{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.9, 37.4]}, "createdAt": BORN, "modifiedAt": BORN}],
}
TOWN: Entity = {
    "id": "urn:ngsi-ld:Town:1",
    "type": [BASE + "Shelter"],
    "createdAt": BORN,
    "modifiedAt": BORN,
    BASE + "name": [{"type": "Property", "value": "Wajima", "createdAt": BORN, "modifiedAt": BORN}],
    BASE + "owner": [{"type": "Relationship", "object": "urn:ngsi-ld:Well:1", "createdAt": BORN, "modifiedAt": BORN}],
}
LINKED = {TOWN["id"]: TOWN, WELL["id"]: WELL}


def normal(**view: Any) -> Any:
    return render(WELL, TERMS, View(**view))


def test_the_normalized_form_has_every_member_but_the_times() -> None:
    assert normal() == {
        "id": "urn:ngsi-ld:Well:1",
        "type": "Well",
        "scope": "/Noto",
        "level": [
            {"type": "Property", "value": 3, "unitCode": "MTR", "accuracy": {"type": "Property", "value": 0.1}},
            {"type": "Property", "value": 4, "datasetId": "urn:ngsi-ld:Dataset:0"},
        ],
        "owner": {"type": "Relationship", "object": "urn:ngsi-ld:Town:1"},
        "name": {"type": "LanguageProperty", "languageMap": {"ja": "井戸", "en": "well"}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.9, 37.4]}},
    }


def test_the_concise_form_leaves_out_what_can_be_inferred() -> None:
    shown = normal(format="concise")
    assert shown["level"] == [{"value": 3, "unitCode": "MTR", "accuracy": 0.1}, {"value": 4, "datasetId": "urn:ngsi-ld:Dataset:0"}]
    assert shown["owner"] == {"object": "urn:ngsi-ld:Town:1"}
    assert shown["location"] == {"type": "Point", "coordinates": [136.9, 37.4]}


def test_the_simplified_form_has_values_alone_and_a_map_where_there_are_datasets() -> None:
    shown = normal(format="simplified")
    assert shown["level"] == {"dataset": {"@none": 3, "urn:ngsi-ld:Dataset:0": 4}}
    assert shown["owner"] == "urn:ngsi-ld:Town:1"
    assert shown["name"] == {"languageMap": {"ja": "井戸", "en": "well"}}


def test_times_of_the_system_are_shown_when_asked_for_at_every_level() -> None:
    shown = normal(sys=True)
    assert (shown["createdAt"], shown["modifiedAt"]) == (BORN, LATER)
    assert shown["level"][0]["accuracy"]["createdAt"] == BORN


def test_a_language_filter_makes_a_text_of_a_language_map() -> None:
    assert normal(languages=languages("en"))["name"] == {"type": "Property", "value": "well", "lang": "en"}
    assert normal(languages=languages("en"), format="simplified")["name"] == "well"


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("fr;q=0.2,nl;q=0.9", "nl"),
        ("FR", "fr"),
        ("nl-BE", "nl"),
        ("en", "en-US"),
        ("pt", "fr"),
        ("*", "fr"),
        ("pt,*", "fr"),
        ("nl;q=0,fr", "fr"),
        ("nl;q=x,fr;q=0.1", "fr"),
    ],
)
def test_the_best_language_that_is_there_is_taken(wanted: str, got: str) -> None:
    assert language_of(["fr", "nl", "en-US"], languages(wanted)) == got


def test_pick_shows_what_it_names_and_omit_the_rest() -> None:
    assert normal(pick=tree(id=None, owner=None)) == {"id": "urn:ngsi-ld:Well:1", "owner": {"type": "Relationship", "object": "urn:ngsi-ld:Town:1"}}
    assert set(normal(omit=tree(type=None, level=None, name=None))) == {"id", "scope", "owner", "location"}
    assert normal(pick=tree(createdAt=None)) == {"createdAt": BORN}


def test_attrs_keep_id_type_and_scope() -> None:
    assert set(normal(attrs=frozenset({BASE + "owner"}))) == {"id", "type", "scope", "owner"}


def test_a_dataset_filter_shows_its_instances_only() -> None:
    assert normal(datasets=frozenset({"urn:ngsi-ld:Dataset:0"})) == {
        "id": "urn:ngsi-ld:Well:1",
        "type": "Well",
        "scope": "/Noto",
        "level": {"type": "Property", "value": 4, "datasetId": "urn:ngsi-ld:Dataset:0"},
    }
    assert normal(datasets=frozenset({None}))["level"]["value"] == 3


def test_entities_that_a_projection_leaves_nothing_of_are_not_listed() -> None:
    view = View(pick=tree(level=None), context="c")
    assert [set(one) for one in render_all([TOWN, WELL], TERMS, view)] == [{"level", "@context"}]
    rows = [encode_lean(TOWN), encode_lean(WELL)]
    assert json.loads(render_lean_all(rows, TERMS, view)) == render_all([TOWN, WELL], TERMS, view)


def test_linked_entities_come_in_place_of_their_object_but_not_inside_themselves() -> None:
    view = View(join="inline", depth=3, linked=LINKED)
    owner = render(WELL, TERMS, view)["owner"]
    assert (owner["object"], owner["entity"]["name"]) == ("urn:ngsi-ld:Town:1", {"type": "Property", "value": "Wajima"})
    assert owner["entity"]["owner"] == {"type": "Relationship", "object": "urn:ngsi-ld:Well:1"}
    assert render(WELL, TERMS, View(join="inline", linked=LINKED, format="simplified"))["owner"]["name"] == "Wajima"
    assert "entity" not in render(WELL, TERMS, View(join="inline", linked={}))["owner"]


def test_linked_entities_come_beside_once_with_the_projection_of_their_link() -> None:
    view = View(join="flat", depth=3, linked=LINKED, pick=tree(id=None, owner=tree(id=None, name=None)))
    assert render_all([WELL], TERMS, view) == [
        {"id": "urn:ngsi-ld:Well:1", "owner": {"type": "Relationship", "object": "urn:ngsi-ld:Town:1"}},
        {"id": "urn:ngsi-ld:Town:1", "name": {"type": "Property", "value": "Wajima"}},
    ]
    assert list(links(WELL, view, view.pick)) == [(BASE + "owner", "urn:ngsi-ld:Town:1")]
    assert len(render_all([WELL], TERMS, View(join="flat", linked=LINKED, pick=tree(id=None, name=None)))) == 1
    assert len(render_all([WELL], TERMS, View(join="flat", linked=LINKED, omit=tree(owner=None)))) == 1
    assert len(render_all([WELL], TERMS, View(join="flat", linked=LINKED, attrs=frozenset({BASE + "name"})))) == 1


def test_several_objects_become_a_list_of_entities() -> None:
    route = {**WELL, BASE + "owner": [{"type": "ListRelationship", "objectList": ["urn:ngsi-ld:Town:1", "urn:ngsi-ld:Town:2"]}]}
    shown = render(route, TERMS, View(join="inline", linked=LINKED))["owner"]
    assert shown["objectList"] == [{"object": "urn:ngsi-ld:Town:1"}, {"object": "urn:ngsi-ld:Town:2"}]
    assert [one["id"] for one in shown["entityList"]] == ["urn:ngsi-ld:Town:1"]
    assert render(route, TERMS, View(join="inline", linked=LINKED, format="simplified"))["owner"][1] == "urn:ngsi-ld:Town:2"


def test_a_feature_has_the_default_geometry_and_null_where_there_is_none() -> None:
    feature = normal(geometry=LOCATION, context="c")
    assert list(feature) == ["id", "type", "geometry", "properties", "@context"]
    assert (feature["type"], feature["geometry"]) == ("Feature", {"type": "Point", "coordinates": [136.9, 37.4]})
    assert list(feature["properties"])[:2] == ["type", "scope"]
    assert normal(geometry=BASE + "level")["geometry"] is None
    assert normal(geometry=BASE + "depth")["geometry"] is None


def test_features_are_collected_with_one_context() -> None:
    found = render_all([WELL, TOWN], TERMS, View(geometry=LOCATION, context="c", format="simplified"))
    assert (found["type"], found["@context"], [set(one) for one in found["features"]]) == (
        "FeatureCollection",
        "c",
        [{"id", "type", "geometry", "properties"}] * 2,
    )
    assert found["features"][0]["properties"]["owner"] == "urn:ngsi-ld:Town:1"


def test_a_geometry_of_a_dataset_is_taken_when_the_dataset_is_asked_for() -> None:
    here, there = {"type": "Point", "coordinates": [1, 2]}, {"type": "Point", "coordinates": [3, 4]}
    entity = {**TOWN, LOCATION: [{"type": "GeoProperty", "value": here, "datasetId": "urn:d:1"}, {"type": "GeoProperty", "value": there}]}
    assert render(entity, TERMS, View(geometry=LOCATION))["geometry"] == there
    assert render(entity, TERMS, View(geometry=LOCATION, datasets=frozenset({"urn:d:1"})))["geometry"] == here


def test_a_context_that_changed_under_the_same_key_gives_the_new_names() -> None:
    class Old:
        key = "https://town.example/changing.jsonld"

        def __init__(self, name: str) -> None:
            self.terms = {BASE + "Well": "Well", BASE + "depth": name}

    lean = encode_lean(
        {
            "id": "urn:a",
            "type": [BASE + "Well"],
            "createdAt": BORN,
            "modifiedAt": BORN,
            BASE + "depth": [{"type": "Property", "value": 1, "createdAt": BORN, "modifiedAt": BORN}],
        }
    )[0]
    assert [list(json.loads(render_lean(lean, Old(name))))[-1] for name in ("deep", "tief")] == ["deep", "tief"]


projections = st.lists(iris | st.sampled_from(["id", "type", "scope", "createdAt"]), min_size=1, max_size=4).map(lambda names: tree(**dict.fromkeys(names)))
views = st.builds(
    View,
    format=st.sampled_from(["normalized", "normalized", "concise", "simplified"]),
    sys=st.booleans(),
    languages=st.sampled_from([(), (), ("ja",), ("*",)]),
    attrs=st.none() | st.frozensets(iris, min_size=1, max_size=3),
    pick=st.none() | projections,
    omit=st.none() | projections,
    datasets=st.none() | st.frozensets(st.none() | datasets, min_size=1),
    geometry=st.sampled_from([None, None, None, LOCATION]),
    context=st.sampled_from([None, "https://town.example/context.jsonld", ["a", {"b": "c"}]]),
)
plain_views = st.builds(
    View, attrs=st.none() | st.frozensets(iris, max_size=3), pick=st.none() | projections, omit=st.none() | projections, context=st.none() | st.just("c")
)


@given(entities())
def test_the_lean_form_is_the_whole_entity(entity: Entity) -> None:
    lean, sys, _ = encode_lean(entity)
    assert decode(lean, sys) == entity
    assert not any(word in lean for word in (b'"createdAt"', b'"modifiedAt"'))


@given(entities(), views | plain_views)
def test_bytes_of_the_store_and_the_entity_give_the_same_answer(entity: Entity, view: View) -> None:
    lean, sys, flat = encode_lean(entity)
    answer = render(decode(lean, sys), TERMS, view)
    for known in (flat, None):
        told = render_lean(lean, TERMS, view, flat=known, sys=sys)
        assert json.loads(told) == answer
        assert list(json.loads(told)) == list(answer)


@given(st.lists(entities(), max_size=3), views)
def test_lists_from_the_store_and_from_entities_are_the_same(several: list[Entity], view: View) -> None:
    assert json.loads(render_lean_all([encode_lean(entity) for entity in several], TERMS, view)) == render_all(several, TERMS, view)


@given(entities(times=False), st.sampled_from(["normalized", "concise"]))
def test_what_is_answered_can_be_posted_again(entity: Entity, form: Any) -> None:
    assert parse_entity(json.loads(json.dumps(render(entity, TERMS, View(format=form)))), TERMS, now=BORN) == entity


@given(entities(), st.sampled_from(["normalized", "concise"]))
def test_what_is_answered_with_times_is_read_back_with_them_by_those_who_trust_it(entity: Entity, form: Any) -> None:
    assert parse_entity(render(entity, TERMS, View(format=form, sys=True)), TERMS, now=LATER, trusted=True) == entity


REAL = asyncio.run(Contexts().term_map({name: iri for name, iri in CONTEXT.items() if name != "@vocab"}))


@given(entities(times=False), st.sampled_from(["normalized", "concise"]))
def test_what_is_answered_with_a_compiled_context_can_be_posted_again(entity: Entity, form: Any) -> None:
    lean, sys, flat = encode_lean(entity)
    told = json.loads(render_lean(lean, REAL, View(format=form), flat=flat, sys=sys))
    assert parse_entity(told, REAL, now=BORN) == entity


@given(entities(kinds=("Property", "Relationship", "LanguageProperty", "VocabProperty")), st.sampled_from([TERMS, REAL]))
def test_a_json_ld_processor_finds_the_same_attributes_and_types(entity: Entity, terms: Any) -> None:
    document = render(entity, terms, View(context=[CONTEXT, {"@version": 1.1, "id": "@id", "type": "@type", "location": LOCATION}]))
    # Values are no business of names: a processor would look into them.
    for name, attribute in document.items():
        if name not in ("id", "type", "scope", "@context"):
            document[name] = [{"type": part["type"]} for part in (attribute if isinstance(attribute, list) else [attribute])]
    document.pop("scope", None)
    expanded = jsonld.expand(document)[0]
    assert set(expanded) - {"@id", "@type"} == set(entity) - OWN
    assert expanded["@type"] == entity["type"]


@given(entities(), uris)
def test_rendering_leaves_the_entity_as_it_is(entity: Entity, id: str) -> None:
    before = json.dumps(entity)
    for form in ("normalized", "concise", "simplified"):
        render(entity, TERMS, View(format=form, join="inline", depth=2, linked={id: entity}, languages=("ja",)))  # type: ignore[arg-type]
    encode_lean(entity)
    assert json.dumps(entity) == before
    assert without_times(entity)["id"] == entity["id"]


def test_marks_of_removal_are_told_as_they_are() -> None:
    gone: Entity = {
        "id": "urn:a:1",
        "type": [BASE + "Well"],
        BASE + "owner": [{"type": "ListRelationship", "objectList": NULL}],
        BASE + "name": [{"type": "LanguageProperty", "languageMap": NULL, "previousLanguageMap": {"ja": "井戸"}}],
        BASE + "stands": [{"type": "VocabProperty", "vocab": NULL}],
    }
    for format in ("normalized", "concise", "simplified"):
        shown = render(gone, TERMS, View(format=format, languages=("ja",)))  # type: ignore[arg-type]
        assert json.dumps(shown).count(NULL) == 3


def test_a_client_of_an_earlier_version_gets_kinds_that_it_knows() -> None:
    level = {"type": "ListProperty", "valueList": [1], "word": {"type": "VocabProperty", "vocab": "deep"}}
    route = {"type": "ListRelationship", "objectList": [{"object": "urn:a:2"}]}
    entity = {"id": "urn:a:1", "type": "Well", "level": [level], "route": route, "plain": {"type": "Property", "value": {"type": "VocabProperty"}}}
    assert earlier(entity, (1, 5)) == (
        {
            "id": "urn:a:1",
            "type": "Well",
            "level": [{"type": "Property", "value": [1], "word": {"type": "Property", "value": "deep"}}],
            "route": {"type": "Relationship", "object": ["urn:a:2"]},
            "plain": {"type": "Property", "value": {"type": "VocabProperty"}},
        },
        True,
    )
    assert earlier([entity], (1, 9)) == ([entity], False)
