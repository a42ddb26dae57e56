"""NGSIv2 on the data of the broker: names, ids, values and entities, both ways."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kiban.linkage.broker import ngsiv2 as v2
from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.render import View, decode, encode_lean, render, render_lean

NOW, LATER = "2026-11-27T20:10:00.000Z", "2026-11-27T21:00:00.000Z"
CORE = "https://uri.etsi.org/ngsi-ld/"


class Plain:
    """A small @context: the core terms that tests need, three terms and a prefix of a user, everything else in the default context."""

    known = {
        "location": CORE + "location",
        "scope": CORE + "scope",
        "createdAt": CORE + "createdAt",
        "unitCode": CORE + "unitCode",
        "observedAt": CORE + "observedAt",
        "speed": "https://example.org/car#speed",
        "Vehicle": "https://example.org/car#Vehicle",
    }
    back = {iri: term for term, iri in known.items()}

    def expand(self, term: str) -> str:
        if term in self.known:
            return self.known[term]
        prefix, colon, rest = term.partition(":")
        if colon:
            return "https://example.org/ns/" + rest if prefix == "ns" else term
        return v2.DEFAULT + term

    expand_type = expand_vocab = expand

    def compact(self, iri: str) -> str:
        if iri in self.back:
            return self.back[iri]
        if iri.startswith("https://example.org/ns/"):
            return "ns:" + iri.removeprefix("https://example.org/ns/")
        rest = iri.removeprefix(v2.DEFAULT)
        return rest if rest != iri and rest and rest not in self.known and ":" not in rest else iri


NAMES = v2.Names(Plain())
CORE_TERMS = Contexts().core
CORE_NAMES = v2.Names(CORE_TERMS)

# --- strategies: what NGSIv2 allows ---------------------------------------------------------------------------------------------

letters = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&?/#<>\"'=;()")
identifiers = st.one_of(
    st.text(letters, min_size=1, max_size=12),
    st.sampled_from(
        ["Room", "Room1", "speed", "location", "scope", "createdAt", "@type", "@x", "ns:a", "a:b", "urn:ngsi-ld:Room:1", "value", "unitCode", "lang"]
    ),
)
names = identifiers.filter(lambda name: name not in ("id", "type", "*", "dateExpires", "geo:distance"))
texts = st.text(max_size=8).filter(lambda text: not re.search(r"[<>\"'=;()]", text))
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda day: day.strftime("%Y-%m-%dT%H:%M:%S.") + f"{day.microsecond // 1000:03}Z"
)
latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)
pairs = st.tuples(latitudes, longitudes, st.sampled_from([", ", ","])).map(lambda pair: f"{pair[0]!r}{pair[2]}{pair[1]!r}")
positions = st.tuples(longitudes, latitudes).map(list)
uris = st.text("abc:1", min_size=1, max_size=6).map(lambda text: "urn:x:" + text)
typed = st.one_of(
    values.map(lambda value: (v2.default_type(value), value)),
    st.tuples(identifiers.filter(lambda kind: kind not in v2.GEO | {"DateTime", "ISO8601"}), values),
    st.tuples(st.sampled_from(["DateTime", "ISO8601"]), moments | st.none()),
    st.tuples(st.just("geo:json"), st.one_of(st.none(), positions.map(lambda at: {"type": "Point", "coordinates": at}))),
    st.tuples(st.just("geo:point"), pairs),
    st.tuples(st.just("geo:line"), st.lists(pairs, min_size=2, max_size=4)),
    st.tuples(st.just("geo:polygon"), st.lists(pairs, min_size=3, max_size=4).map(lambda ring: [*ring, ring[0]])),
    st.tuples(st.just("geo:box"), st.tuples(pairs, pairs).map(list)),
    st.tuples(st.sampled_from(["Relationship", "ListRelationship"]), uris | st.lists(uris, min_size=1, max_size=3) | texts),
    st.tuples(st.just("LanguageProperty"), st.dictionaries(st.sampled_from(["ja", "en"]), texts | st.lists(texts, min_size=1), max_size=2)),
    st.tuples(st.just("VocabProperty"), identifiers | st.lists(identifiers, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["JsonProperty", "ListProperty", "Celsius"]), values),
).map(lambda pair: {"type": pair[0], "value": pair[1]})
metadata = st.dictionaries(
    identifiers.filter(lambda name: name not in ("*", "ignoreType", "TimeInstant", "datasetId")),
    typed.filter(lambda item: item["value"] != "urn:ngsi-ld:null"),
    max_size=3,
)
extra = st.fixed_dictionaries(
    {},
    optional={
        "unitCode": st.just({"type": "Text", "value": "CEL"}),
        "TimeInstant": moments.map(lambda at: {"type": "DateTime", "value": at}),
        "datasetId": st.just({"type": "Text", "value": "urn:x:d1"}),
        "ignoreType": st.booleans().map(lambda value: {"type": "Boolean", "value": value}),
    },
)
v2_attributes = st.builds(lambda main, meta, more: {**main, "metadata": {**meta, **more}}, typed, metadata, extra)
v2_entities = st.builds(lambda id, type, attrs: {"id": id, "type": type, **attrs}, identifiers, identifiers, st.dictionaries(names, v2_attributes, max_size=4))

# --- strategies: what NGSI-LD can hold --------------------------------------------------------------------------------------------

iris = st.one_of(
    st.sampled_from([CORE + "location", "https://example.org/car#speed", "https://example.org/ns/x", "https://other.example/a/b", v2.DEFAULT + "scope"]),
    st.text("abcXYZ", min_size=1, max_size=5).map(lambda name: v2.DEFAULT + name),
)
ld_values = st.booleans() | numbers | texts | st.dictionaries(st.text("abc", min_size=1), numbers, min_size=1, max_size=2) | st.lists(numbers, max_size=3)
ld_mains = st.one_of(
    ld_values.map(lambda value: {"type": "Property", "value": value}),
    moments.map(lambda at: {"type": "Property", "value": {"@type": "DateTime", "@value": at}}),
    positions.map(lambda at: {"type": "GeoProperty", "value": {"type": "Point", "coordinates": at}}),
    (uris | st.lists(uris, min_size=1, max_size=3)).map(lambda target: {"type": "Relationship", "object": target}),
    st.dictionaries(st.sampled_from(["ja", "en"]), texts, min_size=1).map(lambda words: {"type": "LanguageProperty", "languageMap": words}),
    (iris | st.lists(iris, min_size=1, max_size=2)).map(lambda word: {"type": "VocabProperty", "vocab": word}),
    (values).map(lambda value: {"type": "JsonProperty", "json": value}),
    st.lists(values, max_size=3).map(lambda items: {"type": "ListProperty", "valueList": items}),
    st.lists(uris, min_size=1, max_size=3).map(lambda items: {"type": "ListRelationship", "objectList": items}),
)
subs = st.dictionaries(iris, ld_mains.map(lambda main: [{**main, "createdAt": NOW, "modifiedAt": NOW}]), max_size=2)
ld_instances = st.builds(
    lambda main, sub, observed, unit: {
        **main,
        **sub,
        **({"observedAt": observed} if observed else {}),
        **({"unitCode": "CEL"} if unit and main["type"] == "Property" else {}),
        "createdAt": NOW,
        "modifiedAt": NOW,
    },
    ld_mains,
    subs,
    st.none() | moments,
    st.booleans(),
)
ld_entities = st.builds(
    lambda id, type, scope, attrs: {
        "id": id,
        "type": [type],
        **({"scope": [scope]} if scope else {}),
        "createdAt": NOW,
        "modifiedAt": NOW,
        **{key: [value] for key, value in attrs.items()},
    },
    st.one_of(uris, st.just("urn:ngsi-ld:Vehicle:v2:Car1"), st.just("urn:ngsi-ld:車:1")),
    st.sampled_from(["https://example.org/car#Vehicle", v2.DEFAULT + "Room", "https://other.example/Type"]),
    st.sampled_from([None, "/a", "/a/b"]),
    st.dictionaries(iris, ld_instances, max_size=3),
)


def store(raw: Any, path: str = "/") -> dict[str, Any]:
    return v2.build_entity(v2.read_entity(raw), NAMES, NOW, path)


def show(entity: dict[str, Any], **shape: Any) -> Any:
    return v2.show_entity(entity, NAMES, v2.Shape(**shape))


# --- both ways --------------------------------------------------------------------------------------------------------------------


@given(v2_entities, st.sampled_from([NAMES, CORE_NAMES]))
def test_what_ngsiv2_writes_it_reads_back_exactly(raw: dict[str, Any], under: v2.Names) -> None:
    assume(all(attr["value"] != "urn:ngsi-ld:null" for name, attr in raw.items() if name not in ("id", "type")))
    entity = v2.build_entity(v2.read_entity(raw), under, NOW)
    kept = decode(*encode_lean(entity)[:2])
    assert kept == entity
    assert json.dumps(raw, sort_keys=True) == json.dumps(v2.show_entity(kept, under, v2.Shape()), sort_keys=True)


@given(v2_entities)
def test_ngsi_ld_answers_show_nothing_of_what_is_remembered(raw: dict[str, Any]) -> None:
    assume(all(attr["value"] != "urn:ngsi-ld:null" for name, attr in raw.items() if name not in ("id", "type")))
    entity = v2.build_entity(v2.read_entity(raw), CORE_NAMES, NOW)
    lean, sys, flat = encode_lean(entity)
    answers = [render_lean(lean, CORE_TERMS, flat=flat, sys=sys)]
    answers += [json.dumps(render(entity, CORE_TERMS, View(format=form, sys=True))).encode() for form in ("normalized", "concise", "simplified")]  # type: ignore[arg-type]
    assert not any(f'"{v2.MEMORY}":'.encode() in answer for answer in answers)


@given(ld_entities)
def test_what_ngsi_ld_writes_survives_being_read_and_written_by_ngsiv2(entity: dict[str, Any]) -> None:
    raw = show(entity)
    written = v2.read_entity(raw | {"id": "x"}, free=True)._replace(id=raw["id"])
    again = v2.build_entity(written, NAMES, NOW, (entity.get("scope") or ["/"])[0])
    assert entity == again


@given(st.lists(st.tuples(identifiers, identifiers), min_size=2, max_size=2, unique=True))
def test_two_entities_meet_in_one_id_only_when_the_id_is_a_uri(pairs: list[tuple[str, str]]) -> None:
    (one, first), (other, second) = pairs
    if v2.ld_id(one, first) == v2.ld_id(other, second):
        assert v2.ld_id(one, first) == one or v2.ld_id(other, second) == other
    assert v2.v2_id(v2.ld_id(one, first), [first]) == (one, first)


@given(identifiers, identifiers, st.lists(identifiers, max_size=3))
def test_an_id_without_a_type_is_looked_for_under_every_type_there_is(id: str, type: str, others: list[str]) -> None:
    assert v2.ld_id(id, type) in v2.candidates(id, [*others, type])


@given(names)
def test_every_name_has_one_iri_and_comes_back(name: str) -> None:
    assert (name, name, name) == (NAMES.attr_name(NAMES.attr(name)), NAMES.meta_name(NAMES.meta(name)), NAMES.type_name(NAMES.type(name)))


@given(iris)
def test_every_iri_has_one_name_and_comes_back(iri: str) -> None:
    assert (iri, iri, iri) == (NAMES.attr(NAMES.attr_name(iri)), NAMES.meta(NAMES.meta_name(iri)), NAMES.type(NAMES.type_name(iri)))


# --- names, ids, values -----------------------------------------------------------------------------------------------------------


def test_a_name_that_means_something_else_in_ngsi_ld_is_shown_there_as_a_whole_iri() -> None:
    entity = store({"id": "Room1", "scope": {"value": "inner"}, "createdAt": {"value": "once"}})
    assert v2.attributes(entity) == [v2.DEFAULT + "scope", v2.DEFAULT + "createdAt"]
    assert show(entity)["scope"] == {"type": "Text", "value": "inner", "metadata": {}}


def test_a_name_of_the_users_context_is_the_same_attribute_in_both_apis() -> None:
    assert v2.attributes(store({"id": "Car1", "speed": {"value": 50}})) == ["https://example.org/car#speed"]


def test_the_service_path_is_the_scope_and_the_root_is_no_scope() -> None:
    assert (store({"id": "x"}, "/a/b").get("scope"), store({"id": "x"}).get("scope")) == (["/a/b"], None)
    assert show(store({"id": "x"}, "/a/b"), attrs=("servicePath",))["servicePath"]["value"] == "/a/b"


def test_unit_time_and_dataset_of_ngsi_ld_are_metadata_of_ngsiv2() -> None:
    (instance,) = store(
        {
            "id": "Room1",
            "t": {
                "value": 21,
                "metadata": {"unitCode": {"value": "CEL"}, "TimeInstant": {"type": "DateTime", "value": "2026-11-27"}, "datasetId": {"value": "urn:d:1"}},
            },
        }
    )[v2.DEFAULT + "t"]
    assert (instance["unitCode"], instance["observedAt"], instance["datasetId"]) == ("CEL", "2026-11-27T00:00:00.000Z", "urn:d:1")


def test_an_attribute_with_several_instances_shows_the_default_one_and_the_others_outlive_a_write() -> None:
    attr = v2.DEFAULT + "t"
    old = [{"type": "Property", "value": 1, "datasetId": "urn:d:1"}, {"type": "Property", "value": 2}]
    new = v2.write_attribute(v2.Given(None, 3, None), NAMES, NOW, old)
    assert v2.show_attribute(new, NAMES)["value"] == 3
    assert old[0] in new
    assert len(new) == 2
    assert v2.show_attribute(old[:1], NAMES)["value"] == 1
    assert attr == NAMES.attr("t")


def test_a_dataset_that_is_no_uri_is_ordinary_metadata_and_makes_no_second_instance() -> None:
    first = v2.write_attribute(v2.Given(None, 1, None), NAMES, NOW)
    again = v2.write_attribute(v2.Given(None, 2, {"datasetId": ("Text", "north")}), NAMES, NOW, first)
    assert v2.show_attribute(again, NAMES) == {"type": "Number", "value": 2, "metadata": {"datasetId": {"type": "Text", "value": "north"}}}
    assert len(again) == 1


def test_what_is_remembered_of_a_point_is_believed_only_while_the_point_is_still_there() -> None:
    entity = store({"id": "x", "location": {"type": "geo:point", "value": "35.0, 139.0"}})
    (instance,) = entity[CORE + "location"]
    assert v2.shown(instance, NAMES) == ("geo:point", "35.0, 139.0")
    instance["value"] = {"type": "Point", "coordinates": [140, 36]}
    assert v2.shown(instance, NAMES) == ("geo:json", {"type": "Point", "coordinates": [140, 36]})


def test_metadata_stays_until_it_is_overridden_or_emptied() -> None:
    first = v2.write_attribute(v2.Given("Number", 1, {"unit": ("Text", "C"), "avg": (None, 2)}), NAMES, NOW)
    shown = {
        "stays": v2.write_attribute(v2.Given(None, 3, {"avg": (None, 4)}), NAMES, LATER, first),
        "overridden": v2.write_attribute(v2.Given(None, 3, {"avg": (None, 4)}), NAMES, LATER, first, override=True),
        "emptied": v2.write_attribute(v2.Given(None, 3, {}), NAMES, LATER, first),
    }
    assert {name: sorted(v2.show_attribute(instances, NAMES)["metadata"]) for name, instances in shown.items()} == {
        "stays": ["avg", "unit"],
        "overridden": ["avg"],
        "emptied": [],
    }
    assert (shown["stays"][0]["createdAt"], shown["stays"][0]["modifiedAt"]) == (NOW, LATER)


def test_a_value_without_a_type_does_not_turn_a_relationship_or_a_place_into_a_text() -> None:
    relation = [{"type": "Relationship", "object": "urn:x:1"}]
    assert v2.write_attribute(v2.Given(None, "urn:x:2", None), NAMES, NOW, relation)[0]["type"] == "Relationship"
    assert v2.write_attribute(v2.Given(None, "no uri", None), NAMES, NOW, relation)[0]["type"] == "Property"
    assert v2.write_attribute(v2.Given("Text", "urn:x:2", None), NAMES, NOW, relation)[0]["type"] == "Property"


def test_writing_the_value_alone_keeps_type_and_metadata() -> None:
    first = v2.write_attribute(v2.Given("Celsius", 1, {"avg": (None, 2)}), NAMES, NOW)
    assert v2.show_attribute(v2.write_value(5, NAMES, LATER, first), NAMES) == {
        "type": "Celsius",
        "value": 5,
        "metadata": {"avg": {"type": "Number", "value": 2}},
    }


def test_simple_forms_of_an_entity() -> None:
    entity = store({"id": "Room1", "type": "Room", "a": {"value": 1}, "b": {"value": "x"}, "c": {"value": 1}})
    assert show(entity, form="keyValues") == {"id": "Room1", "type": "Room", "a": 1, "b": "x", "c": 1}
    assert show(entity, form="values", attrs=("b", "a", "c")) == ["x", 1, 1]
    assert show(entity, form="unique") == [1, "x"]
    assert show(entity, form="keyValues", attrs=("b", "no"), covered=True) == {"id": "Room1", "type": "Room", "b": "x", "no": None}


def test_builtin_attributes_and_metadata_are_shown_when_they_are_asked_for() -> None:
    entity = store({"id": "Room1", "a": {"value": 1}, "dateExpires": {"type": "DateTime", "value": "2030-01-01"}})
    shown = show(entity, attrs=("dateCreated", "dateModified", "dateExpires", "*"), metadata=("dateCreated", "*"))
    assert list(shown) == ["id", "type", "dateCreated", "dateModified", "dateExpires", "a"]
    assert "2030-01-01T00:00:00.000Z" == shown["dateExpires"]["value"] == entity["expiresAt"]
    assert shown["a"]["metadata"] == {"dateCreated": {"type": "DateTime", "value": NOW}}
    assert list(show(entity)) == ["id", "type", "a"]


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {},
        {"id": ""},
        {"id": "a b"},
        {"id": "a/b"},
        {"id": "é"},
        {"id": "x" * 257},
        {"id": "x", "type": ""},
        {"id": "x", "type": 5},
        {"id": "x", "a&b": {"value": 1}},
        {"id": "x", "*": {"value": 1}},
        {"id": "x", "geo:distance": {"value": 1}},
        {"id": "x", "a": 5},
        {"id": "x", "a": {"val": 1}},
        {"id": "x", "a": {"value": "<script>"}},
        {"id": "x", "a": {"value": [{"b": "a=b"}]}},
        {"id": "x", "a": {"value": 1, "type": "a b"}},
        {"id": "x", "a": {"value": 1, "metadata": []}},
        {"id": "x", "a": {"value": 1, "metadata": {"m": 5}}},
        {"id": "x", "a": {"value": "yesterday", "type": "DateTime"}},
        {"id": "x", "a": {"value": "2026-02-30", "type": "DateTime"}},
        {"id": "x", "a": {"value": "139, 35, 1", "type": "geo:point"}},
        {"id": "x", "a": {"value": "95, 139", "type": "geo:point"}},
        {"id": "x", "a": {"value": {"type": "Circle", "coordinates": [1, 2]}, "type": "geo:json"}},
        {"id": "x", "a": {"value": {"type": "Point", "coordinates": ["1", 2]}, "type": "geo:json"}},
        {"id": "x", "a": {"value": ["35, 139"], "type": "geo:line"}},
        {"id": "x", "a": {"value": ["0,0", "1,0", "1,1", "0,1"], "type": "geo:polygon"}},
        {"id": "x", "a": {"value": "urn:ngsi-ld:null"}},
        {"id": "x", "dateExpires": {"type": "Text", "value": "2030-01-01"}},
    ],
)
def test_what_ngsiv2_does_not_allow_is_refused_with_400(raw: Any) -> None:
    with pytest.raises(v2.Refused) as refused:
        store(raw)
    assert (refused.value.status, refused.value.error) == (400, "BadRequest")


def test_unrestricted_text_may_hold_every_character() -> None:
    raw = {"id": "x", "a": {"value": "<'=;>", "type": "TextUnrestricted"}, "b": {"value": "(", "metadata": {"TextUnrestricted": {"value": True}}}}
    assert show(store(raw), form="values") == ["<'=;>", "("]


def test_a_feature_is_stored_as_its_geometry() -> None:
    point = {"type": "Point", "coordinates": [139, 35]}
    entity = store({"id": "x", "a": {"type": "geo:json", "value": {"type": "Feature", "geometry": point, "properties": {}}}})
    assert [point] == show(entity, form="values")


@pytest.mark.parametrize(
    ("header", "update", "paths"),
    [
        (None, False, None),
        ("/#", False, None),
        ("/", False, ["/"]),
        ("/a/", False, ["/a"]),
        ("/a/#,/b", False, ["/a/#", "/b"]),
        (None, True, ["/"]),
        ("/a/b", True, ["/a/b"]),
    ],
)
def test_service_paths(header: str | None, update: bool, paths: list[str] | None) -> None:
    assert paths == v2.service_paths(header, update=update)


@pytest.mark.parametrize(
    ("header", "update"), [("a", False), ("/a-b", False), ("/a//b", False), ("/a/#", True), ("/a,/b", True), (",".join(["/a"] * 11), False)]
)
def test_service_paths_that_are_none_are_refused(header: str, update: bool) -> None:
    with pytest.raises(v2.Refused):
        v2.service_paths(header, update=update)


def test_a_service_is_a_tenant_in_lower_case() -> None:
    assert v2.tenant("My_Town") == "my_town"
    for wrong in ("a-b", "x" * 51, "a/b"):
        with pytest.raises(v2.Refused):
            v2.tenant(wrong)
