"""An entity written over one of the same shape is what the slow way makes of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kiban.linkage.broker import model
from kiban.linkage.broker.overwrite import overwrite
from kiban.linkage.broker.render import decode, encode_lean

BORN, NOW = "2026-11-27T20:10:00.000Z", "2026-11-27T20:15:00.000Z"


class Terms:
    """Every name in one vocabulary."""

    expand = expand_type = expand_vocab = staticmethod(lambda term: "https://t.example/" + term)


scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from(["", "a", "水位"]))
places = st.sampled_from([[137.0, 37.5], [137.0, 37.25], [136, 37]]).map(lambda at: {"type": "GeoProperty", "value": {"type": "Point", "coordinates": at}})
extras = st.fixed_dictionaries(
    {},
    optional={
        "unitCode": st.sampled_from(["MTR", "CMT"]),
        "observedAt": st.just(BORN),
        "datasetId": st.sampled_from(["urn:d:1", "urn:d:2"]),
        "quality": st.just({"type": "Property", "value": "datasetId"}),
        "expiresAt": st.just("2027-01-01T00:00:00Z"),
    },
)
properties = st.tuples(st.one_of(scalars, st.lists(scalars, min_size=1, max_size=2)), extras).map(
    lambda pair: {"type": "Property", "value": pair[0], **pair[1]}
)
links = st.sampled_from(
    [{"type": "Relationship", "object": "urn:a:1"}, {"type": "Relationship", "object": "urn:a:2"}, {"type": "VocabProperty", "vocab": "open"}]
)
several = st.lists(properties, min_size=1, max_size=2, unique_by=lambda one: one.get("datasetId"))
heads = st.fixed_dictionaries({"type": st.sampled_from(["Well", "Well", "Well", ["Well", "Gauge"]])}, optional={"scope": st.just("/a")})
bodies = st.dictionaries(st.sampled_from(["level", "state", "at"]), st.one_of(properties, properties, places, links, several), max_size=3)


def entity(head: dict[str, Any], body: dict[str, Any], now: str) -> model.Entity:
    return model.parse_entity({"id": "urn:w:1", **head, **body}, Terms(), now=now)


@given(heads, bodies, bodies, st.booleans(), st.booleans())
def test_what_is_written_over_is_as_if_it_had_been_replaced(head: Any, before: Any, after: Any, same: bool, patched: bool) -> None:
    old = entity(head, before, BORN)
    if patched and before:  # one attribute has times of its own
        name = next(iter(before))
        old = model.update(old, model.parse_fragment({name: before[name]}, Terms(), now="2026-11-27T20:12:00.000Z"), now="2026-11-27T20:12:00.000Z").entity
    new = entity(head, {**before, **{name: value for name, value in after.items() if name in before}} if same else after, NOW)
    lean, sys, _ = encode_lean(old)
    untouched = decode(*encode_lean(new)[:2])
    made = overwrite(lean, sys, new, now=NOW)
    assert new == untouched  # a rollback may run it again
    if made is None:
        return
    slow = model.replace(old, new, now=NOW)
    assert made.entity == slow.entity
    assert decode(made.lean, made.sys) == slow.entity
    assert encode_lean(slow.entity)[2]
    assert sorted(made.changed, key=str) == sorted(slow.changed, key=str)
    assert made.previous == old
    assert not made.fresh
    for name, instances in slow.entity.items():
        if name not in model.OWN:
            assert (name in made.touched) == (encode_lean({**old, name: old[name]})[0] != encode_lean({**old, name: instances})[0])


def test_a_reading_like_the_last_one_is_written_over() -> None:
    old = entity(
        {"type": "Well"},
        {"level": {"type": "Property", "value": 1, "observedAt": BORN}, "at": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}},
        BORN,
    )
    new = entity(
        {"type": "Well"},
        {"level": {"type": "Property", "value": 2, "observedAt": NOW}, "at": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}}},
        NOW,
    )
    made = overwrite(*encode_lean(old)[:2], new, now=NOW)
    assert made is not None
    assert list(made.touched) == ["https://t.example/level"]
    assert (made.entity["createdAt"], made.entity["modifiedAt"]) == (BORN, NOW)
