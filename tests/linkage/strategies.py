"""What the tests of the broker draw: entities in internal form, and the same entities as clients would write them.

Names are drawn from a few, so that entities meet each other; the context of `TERMS` has short names for some of them only.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kiban.linkage.broker.model import MEMBER, RESERVED, Entity, Instance
from kiban.linkage.broker.render import LOCATION

BASE = "https://town.example/terms#"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
CORE = "https://uri.etsi.org/ngsi-ld/"
BORN = "2026-11-27T01:00:00.000Z"
LATER = "2026-11-27T02:00:00.000Z"


class _Memo(dict[str, str]):
    def __missing__(self, iri: str) -> str:
        for start in (BASE, DEFAULT):
            rest = iri.removeprefix(start)
            if rest != iri and rest.replace("_", "a").isalnum():
                found = self[iri] = rest if start == DEFAULT or rest in _KNOWN else iri
                return found
        found = self[iri] = iri.removeprefix(CORE) if iri in _CORE else iri
        return found


_KNOWN = frozenset({"Well", "Shelter", "level", "depth", "name", "owner", "stands", "word", "accuracy"})
_CORE = frozenset(CORE + name for name in ("location", "observationSpace", "operationSpace", "ngsildproof"))


class FakeTerms:
    """A context that knows a few names; all others belong to the default vocabulary."""

    key = "tests.linkage.strategies"
    source = "https://town.example/context.jsonld"

    def __init__(self) -> None:
        """Fills the memo as it is asked."""
        self.terms = _Memo()

    def expand(self, term: str) -> str:
        """The IRI of a name."""
        if term in ("id", "type"):
            return "@" + term
        if term in _KNOWN:
            return BASE + term
        if CORE + term in _CORE:
            return CORE + term
        return term if ":" in term else DEFAULT + term

    expand_type = expand_vocab = expand

    def compact(self, iri: str) -> str:
        """The short name of an IRI."""
        return self.terms[iri]


TERMS = FakeTerms()
CONTEXT = {"@vocab": DEFAULT, **{name: BASE + name for name in sorted(_KNOWN)}}

iris = st.sampled_from([*(BASE + name for name in ("level", "depth", "name", "owner", "stands")), DEFAULT + "height", "urn:words:colour"])
sub_iris = st.sampled_from([BASE + "accuracy", DEFAULT + "method", BASE + "depth"])
kinds_of_entity = st.sampled_from([BASE + "Well", BASE + "Shelter", DEFAULT + "Bus", "https://elsewhere.example/Gauge"])
uris = st.integers(0, 5).map("urn:ngsi-ld:Thing:{}".format)
datasets = st.integers(0, 2).map("urn:ngsi-ld:Dataset:{}".format)
moments = st.integers(0, 59).map("2026-11-27T00:{:02}:00Z".format)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
scalars = st.booleans() | numbers | texts
members = texts | st.sampled_from(["type", "value", "street", "@type", "dataset"])
json_values = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members.filter(lambda key: key != "@value"), inner, max_size=3),
    max_leaves=5,
)
positions = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(list)
points = st.builds(lambda at: {"type": "Point", "coordinates": at}, positions)
rings = st.lists(positions, min_size=3, max_size=4).map(lambda ring: [*ring, ring[0]])
geometries = (
    points
    | st.builds(lambda line: {"type": "LineString", "coordinates": line}, st.lists(positions, min_size=2, max_size=3))
    | st.builds(lambda ring: {"type": "Polygon", "coordinates": [ring]}, rings)
)
# A value beginning {"type": "Point", …} is a geometry by its looks; a Property may hold one if it says that it is a Property.
property_values = json_values.filter(lambda value: value is not None) | points
languages = st.sampled_from(["ja", "en", "fr-CA", "@none"])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Property": property_values,
    "Relationship": uris | st.lists(uris, min_size=1, max_size=3),
    "GeoProperty": geometries,
    "LanguageProperty": st.dictionaries(languages, texts | st.lists(texts, min_size=1, max_size=2), min_size=1, max_size=3),
    "VocabProperty": st.sampled_from([BASE + "word", DEFAULT + "red"]) | st.lists(st.just(BASE + "word"), min_size=1, max_size=2),
    "JsonProperty": st.dictionaries(members, json_values, max_size=3) | st.lists(st.dictionaries(members, json_values, max_size=2), max_size=2),
    "ListProperty": st.lists(json_values, max_size=3),
    "ListRelationship": st.lists(uris, max_size=3),
}


@st.composite
def instances(draw: st.DrawFn, depth: int = 0, kinds: tuple[str, ...] = tuple(MEMBER), times: bool = True) -> Instance:
    """One instance without datasetId, with sub-attributes down to two levels; times=False for those born at BORN."""
    kind = draw(st.sampled_from(kinds))
    made: Instance = {"type": kind, MEMBER[kind]: draw(_VALUES[kind])}
    if kind in ("Property", "ListProperty") and draw(st.booleans()):
        made["unitCode"] = draw(st.sampled_from(["MTR", "CEL"]))
    if draw(st.booleans()):
        made["observedAt"] = draw(moments)
    if kind in ("Relationship", "ListRelationship") and draw(st.booleans()):
        made["objectType"] = draw(kinds_of_entity)
    if depth < 2:
        for iri in draw(st.lists(sub_iris, unique=True, max_size=2 - depth)):
            made[iri] = draw(attributes(depth + 1, kinds, times))
    made["createdAt"] = BORN
    made["modifiedAt"] = draw(st.sampled_from([BORN, LATER])) if times else BORN
    if times and draw(st.integers(0, 9)) == 0:
        made["expiresAt"] = draw(moments)
    return made


@st.composite
def attributes(draw: st.DrawFn, depth: int = 0, kinds: tuple[str, ...] = tuple(MEMBER), times: bool = True) -> list[Instance]:
    """The instances of one attribute: mostly the default one alone, else several with a datasetId each."""
    made = [draw(instances(depth, kinds, times))]
    for dataset in draw(st.lists(datasets, unique=True, max_size=2)) if draw(st.integers(0, 3)) == 0 else ():
        made.append({**draw(instances(depth, kinds, times)), "datasetId": dataset})
    if len(made) > 1 and draw(st.booleans()):
        del made[0]
    return made


@st.composite
def entities(draw: st.DrawFn, id: str | None = None, kinds: tuple[str, ...] = tuple(MEMBER), times: bool = True) -> Entity:
    """An entity in internal form; times=False for one whose every part was born at BORN, as a client's would be."""
    made: Entity = {"id": id or draw(uris), "type": draw(st.lists(kinds_of_entity, min_size=1, max_size=2, unique=True))}
    if draw(st.booleans()):
        made["scope"] = draw(st.lists(st.sampled_from(["/Noto", "/Noto/Wajima", "Suzu"]), min_size=1, max_size=2, unique=True))
    made["createdAt"] = BORN
    made["modifiedAt"] = draw(st.sampled_from([BORN, LATER])) if times else BORN
    if times and draw(st.integers(0, 9)) == 0:
        made["expiresAt"] = draw(moments)
    for iri in draw(st.lists(iris, unique=True, max_size=4)):
        made[iri] = draw(attributes(0, kinds, times))
    if draw(st.booleans()) and "GeoProperty" in kinds:
        made[LOCATION] = draw(attributes(0, ("GeoProperty",), times))
    return made


def without_times(part: Any) -> Any:
    """An entity or instance without the times of the system, at every level."""
    if isinstance(part, list):
        return [without_times(each) for each in part]
    kept = {key: value for key, value in part.items() if key not in ("createdAt", "modifiedAt", "expiresAt")}
    return {key: without_times(value) if key not in RESERVED and key not in ("id", "scope") else value for key, value in kept.items()}
