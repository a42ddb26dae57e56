"""What a store selects is what `Selection.matches` selects, asked of every entity one by one; on both databases."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.linkage.strategies import BASE, BORN, DEFAULT, TERMS, entities, iris, positions, rings

from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.render import LOCATION, decode, encode_lean
from kiban.linkage.broker.selection import parse_id_pattern, parse_scope, parse_types
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.errors import Problem

TENANTS = (f"t{number}" for number in itertools.count())
DECLARED = (BASE + "level", DEFAULT + "height")
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)

# The same names as `strategies` draws, with the values that make a difference.
values = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([0.5, 2.5, -0.0]),
    st.booleans(),
    st.sampled_from(["", "a", "b", "2026-01-01", "2026-11-27T00:00:00Z", "urn:ngsi-ld:Thing:1"]),
)
simple = st.builds(lambda value: [{"type": "Property", "value": value, "createdAt": BORN, "modifiedAt": BORN}], values | st.lists(values, max_size=3))


@st.composite
def things(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """An entity with an id of its own: anything at all, or plain values that queries can tell apart."""
    made: dict[str, Any] = draw(entities(id=f"urn:ngsi-ld:{draw(st.sampled_from(['Thing', 'Well', 'th.ng']))}:{number}", times=False))
    for name in DECLARED:
        if draw(st.booleans()):
            made[name] = draw(simple)
    return made


def storable(town: list[dict[str, Any]]) -> bool:
    """PostgreSQL keeps no character NUL, and says so."""
    return r"\u0000" not in json.dumps(town)


towns = st.integers(0, 7).flatmap(lambda size: st.tuples(*(things(number) for number in range(size)))).map(list).filter(storable)

words = st.sampled_from(["level", "level", "height", "depth", "name", "stands", "level.accuracy", "urn:words:colour"])
literals = st.sampled_from(["0", "1", "2.5", "-3", "true", '"a"', '"b"', '""', '"2026-01-01"', "2026-01-01", "2026-11-27T00:00:00Z", "urn:ngsi-ld:Thing:1"])
terms = st.one_of(
    words,
    words.map("!{}".format),
    st.builds("{}{}{}".format, words, st.sampled_from(["==", "!=", ">", ">=", "<", "<="]), literals),
    st.builds("{}=={}..{}".format, words, st.sampled_from(["-3", "0", "1"]), st.sampled_from(["1", "2.5", "5"])),
    st.builds("{}=={},{}".format, words, literals, literals),
    st.builds('{}~="{}"'.format, words, st.sampled_from(["^a", "b$", "."])),
)
questions = st.recursive(
    terms, lambda inner: st.builds(lambda sign, parts: f"({sign.join(parts)})", st.sampled_from(";|"), st.lists(inner, min_size=2, max_size=3)), max_leaves=4
)
kinds = st.sampled_from(["Well", "Shelter", "Bus", "Well,Bus", "Well|Shelter", "(Well;Shelter)", "(Well;Shelter),Bus", "Nothing", "Nothing,Well", "*"])
places = st.sampled_from(["/Noto", "/Noto/Wajima", "Suzu", "/Noto/#", "/#", "/+/Wajima", "/Noto,Suzu", "(/Noto;Suzu)"])
patterns = st.sampled_from(
    [
        "^urn:ngsi-ld:Thing",
        "^urn:ngsi-ld:Thing:[02]",
        "Well",
        ":1$",
        "^urn:ngsi-ld:th.ng:",
        "^urn:ngsi-ld:th\\.ng:",
        ".*",
        "^(urn|x):",
        "^urn:ngsi-ld:Thing?:0",
        "^URN",
    ]
)


def asked_who(kind: str | None, ids: list[int], pattern: str | None) -> Who:
    return Who(
        parse_types(kind, TERMS) if kind and kind != "*" else None,
        tuple(f"urn:ngsi-ld:Thing:{number}" for number in ids),
        parse_id_pattern(pattern) if pattern else None,
    )


selectors = st.builds(asked_who, st.none() | kinds, st.lists(st.integers(0, 5), max_size=3, unique=True), st.none() | patterns)


@st.composite
def geo(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(["within", "contains", "intersects", "equals", "disjoint", "overlaps", "near;maxDistance", "near;minDistance"]))
    if name.startswith("near"):
        name = f"{name}=={draw(st.sampled_from(['1000', '200000', '3000000.5', '15000000']))}"
    kind, coordinates = draw(st.one_of(st.tuples(st.just("Point"), positions), st.tuples(st.just("Polygon"), rings.map(lambda ring: [ring]))))
    more = {"geoproperty": "stands"} if draw(st.integers(0, 3)) == 0 else {}
    try:
        return parse_geo({"georel": name, "geometry": kind, "coordinates": json.dumps(coordinates), **more}, TERMS)
    except Problem:  # a ring without an area
        assume(False)


def parsed(text: str) -> Any:
    try:
        return parse_q(text, TERMS)
    except Problem:  # an order of texts and numbers mixed
        assume(False)


@st.composite
def selections(draw: st.DrawFn, depth: int = 1) -> Selection:
    def perhaps(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(strategy) if draw(st.booleans()) else None

    question, scope = perhaps(questions), perhaps(places)
    return Selection(
        tuple(draw(st.lists(selectors, max_size=2))) if draw(st.booleans()) else (),
        tuple(perhaps(st.lists(iris, min_size=1, max_size=2)) or ()),
        None if question is None else parsed(question),
        None if scope is None else parse_scope(scope),
        perhaps(geo()) if depth else None,
        tuple(draw(st.lists(selections(depth - 1), max_size=2))) if depth and draw(st.booleans()) else (),
    )


def filled(bench: Any, town: list[dict[str, Any]]) -> int:
    """A tenant of its own with these entities."""
    name = next(TENANTS)

    def op(tx: Any) -> int:
        key = tx.open_tenant(name)
        for entity in town:
            tx.put(key, entity, None)
        return int(key)

    return int(bench.do(op))


@pytest.fixture(scope="module")
def declared(shared: Any) -> Any:
    """A store with two declared attributes; the others have no index."""
    shared.store.declare(DECLARED)
    return shared


def found(bench: Any, tenant: int, selection: Selection) -> list[dict[str, Any]]:
    return [decode(row[0], row[1]) for row in bench.store.reader.find(tenant, selection, 1000)]


@relaxed
@given(town=towns, selection=selections())
def test_a_store_selects_what_matches(declared: Any, town: list[dict[str, Any]], selection: Selection) -> None:
    tenant = filled(declared, town)
    expected = [entity for entity in town if selection.matches(entity)]
    assert found(declared, tenant, selection) == expected
    ids = [entity["id"] for entity in expected]
    reader = declared.store.reader
    assert reader.ids(tenant, selection) == ids
    assert reader.ids(tenant, selection, 2) == ids[:2]
    assert reader.count(tenant, selection) == len(ids)
    assert [decode(row[0], row[1])["id"] for row in reader.find(tenant, selection, 2, 1)] == ids[1:3]
    assert declared.slow(lambda session: session.ids(tenant, selection)) == ids


@relaxed
@given(town=towns, question=st.builds("{}{}{}".format, st.sampled_from(["level", "height"]), st.sampled_from(["==", ">", ">=", "<", "<="]), literals))
def test_an_index_of_a_declared_attribute_changes_no_answer(declared: Any, town: list[dict[str, Any]], question: str) -> None:
    try:
        selection = Selection(q=parse_q(question, TERMS))
    except Problem:
        return
    tenant = filled(declared, town)
    assert [entity["id"] for entity in found(declared, tenant, selection)] == [entity["id"] for entity in town if selection.matches(entity)]


@relaxed
@given(town=towns)
def test_what_is_put_is_what_is_read(declared: Any, town: list[dict[str, Any]]) -> None:
    tenant = filled(declared, town)
    reader = declared.store.reader
    for entity in town:
        assert reader.entity(tenant, entity["id"]) == entity
        lean, _, flat = encode_lean(entity)
        assert reader.lean(tenant, entity["id"]) == (lean, flat)
    assert reader.entity(tenant, "urn:ngsi-ld:Thing:99") is None


@relaxed
@given(before=towns, after=towns, selection=selections())
def test_after_changes_and_deletions_a_store_selects_as_if_it_had_been_filled_anew(
    declared: Any, before: list[dict[str, Any]], after: list[dict[str, Any]], selection: Selection
) -> None:
    tenant = filled(declared, before)
    known = {entity["id"]: entity for entity in before}

    def op(tx: Any) -> None:
        for entity in after:
            tx.put(tenant, entity, known.get(entity["id"]))
        for id in known.keys() - {entity["id"] for entity in after}:
            tx.delete(tenant, known[id])

    declared.do(op)
    assert sorted(entity["id"] for entity in found(declared, tenant, selection)) == sorted(entity["id"] for entity in after if selection.matches(entity))


@relaxed
@given(town=towns)
def test_types_and_attributes_are_told_as_counting_tells_them(declared: Any, town: list[dict[str, Any]]) -> None:
    tenant = filled(declared, town)
    reader = declared.store.reader

    def counted(of: Any) -> dict[str, int]:
        told: dict[str, int] = {}
        for entity in town:
            for name in of(entity):
                told[name] = told.get(name, 0) + 1
        return told

    def attributes(entity: dict[str, Any]) -> list[str]:
        return [name for name in entity if name not in ("id", "type", "scope", "createdAt", "modifiedAt")]

    assert dict(reader.types(tenant)) == counted(lambda entity: entity["type"])
    assert dict(reader.attributes(tenant)) == counted(attributes)
    for kind in {name for entity in town for name in entity["type"]}:
        assert dict(reader.attributes_of(tenant, kind)) == counted(lambda entity, kind=kind: attributes(entity) if kind in entity["type"] else [])
    for attr in {name for entity in town for name in attributes(entity)}:
        assert dict(reader.types_with(tenant, attr)) == counted(lambda entity, attr=attr: entity["type"] if attr in entity else [])
        assert set(reader.kinds_of(tenant, attr, None)) == {instance["type"] for entity in town for instance in entity.get(attr, ())}


def point(number: int, lon: float, lat: float) -> dict[str, Any]:
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}, "createdAt": BORN, "modifiedAt": BORN}
    return {"id": f"urn:ngsi-ld:Thing:{number}", "type": [BASE + "Well"], "createdAt": BORN, "modifiedAt": BORN, LOCATION: [place]}


spots = st.lists(st.tuples(st.floats(-2, 2, width=32), st.floats(-2, 2, width=32)), max_size=8)


@relaxed
@given(spots=spots, metres=st.integers(1, 300_000), side=st.sampled_from(["maxDistance", "minDistance"]), at=st.sampled_from([(0, 0), (179, 60), (10, 88)]))
@example(spots=[(0.0, 0.0)], metres=1, side="maxDistance", at=(0, 0))
def test_near_is_measured_in_metres_of_the_ellipsoid(shared: Any, spots: list[tuple[float, float]], metres: int, side: str, at: tuple[int, int]) -> None:
    town = [point(number, (at[0] + lon + 180) % 360 - 180, min(at[1] + lat, 90)) for number, (lon, lat) in enumerate(spots)]
    selection = Selection(geo=parse_geo({"georel": f"near;{side}=={metres}", "geometry": "Point", "coordinates": json.dumps(at)}, TERMS))
    tenant = filled(shared, town)
    assert shared.store.reader.ids(tenant, selection) == [entity["id"] for entity in town if selection.matches(entity)]


def test_many_ids_are_found_among_many(shared: Any) -> None:
    town = [point(number, 137, 37) for number in range(1200)]
    tenant = filled(shared, town)
    wanted = [f"urn:ngsi-ld:Thing:{number}" for number in range(1100, 2000)]
    assert shared.store.reader.ids(tenant, Selection(who=(Who(ids=tuple(wanted)),))) == wanted[:100]
    narrowed = Selection(who=(Who(parse_types("Well", TERMS)),)).and_also(Selection(who=(Who(ids=tuple(wanted)),)))
    assert shared.store.reader.ids(tenant, narrowed) == wanted[:100]


def test_links_are_followed_by_the_question(shared: Any) -> None:
    def entity(number: int, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"id": f"urn:ngsi-ld:Thing:{number}", "type": [BASE + "Well"], "createdAt": BORN, "modifiedAt": BORN}
        return made | {BASE + name: [{**part, "createdAt": BORN, "modifiedAt": BORN}] for name, part in more.items()}

    town = [
        entity(0, owner={"type": "Relationship", "object": "urn:ngsi-ld:Thing:2"}),
        entity(1, owner={"type": "Relationship", "object": ["urn:ngsi-ld:Thing:3", "urn:ngsi-ld:Thing:2"]}),
        entity(2, level={"type": "Property", "value": 7}),
        entity(3, level={"type": "Property", "value": 1}),
        entity(4, owner={"type": "Relationship", "object": "urn:ngsi-ld:Thing:3"}),
    ]
    tenant = filled(shared, town)
    selection = Selection(q=parse_q("owner{Well:level}>5", TERMS))
    assert shared.store.reader.ids(tenant, selection) == ["urn:ngsi-ld:Thing:0", "urn:ngsi-ld:Thing:1"]
