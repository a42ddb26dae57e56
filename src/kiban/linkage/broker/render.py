"""Entities as answers: from internal form, or from the bytes of the store, to the representations of NGSI-LD.

In:  entities (see `model`), the terms of the context that the client asks with, and a View: what of an entity is shown, and how
     (ETSI GS CIM 009 v1.9.1, 4.5; 4.15 languages; 4.21 projection; 6.3.7 representations). Out: JSON values, or JSON bytes.
     The order of members is fixed: id, type, scope, times, attributes as stored, @context.
Which entities are shown, and under which headers, is decided elsewhere; so is the history (`temporal`).

Lean form: what the store keeps of an entity is two JSON texts. `lean` is the entity with full IRIs but without the times of the
system (createdAt, modifiedAt, expiresAt), a single type, scope or instance not wrapped in a list; `sys` has those times. An answer in
normalized form mostly is `lean` with other keys, so `render_lean` copies its parts without reading them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from kiban.linkage.broker.model import HIDDEN, MEMBER, OWN, RESERVED, Entity, Instance
from kiban.linkage.broker.values import CORE, geometry_fault, looks_like_geometry

# What pick or omit name: members and IRIs of attributes, each with the projection of the entity it links to, or None.
Projection = Mapping[str, "Projection | None"]
LOCATION = CORE + "location"
_TIMES = frozenset({"createdAt", "modifiedAt", "expiresAt"})
_NAMED = frozenset({"objectType", "valueType", "entityTypeSealed", "vocab", "previousVocab"})
# What becomes of a member of an instance in the lean form; members that are not here are sub-attributes.
_KEPT, _CHANGED, _GONE = "kept as it is", "kept, but told otherwise in an answer", "kept apart"
_ROLE = {key: _GONE if key in _TIMES else _CHANGED if key in _NAMED or key in ("objectList", HIDDEN) else _KEPT for key in RESERVED}
# Members of an instance that an answer tells as they are kept, and its two times.
EVEN = frozenset(key for key, role in _ROLE.items() if role is _KEPT) | {"createdAt", "modifiedAt"}
_encode = msgspec.json.Encoder().encode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
# What in the JSON of an instance is not the same in an answer: names of types and words, objects of lists, sub-attributes, what is hidden.
_NOT_FLAT = re.compile(rb'"(?:objectType|valueType|entityTypeSealed|vocab|objectList|@v2)":|":\[?\{"type":"(?:%s)"' % "|".join(MEMBER).encode())


class Names(Protocol):
    """What rendering asks of a compiled @context; `contexts.TermMap` is one."""

    @property
    def terms(self) -> Mapping[str, str]:
        """IRI → term; knows each IRI (its own memo)."""
        ...

    @property
    def key(self) -> Any:
        """The same for the same context; hashable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a client wants to see of entities, made once per request.

    format     normalized, concise or simplified
    sys        with createdAt, modifiedAt and expiresAt
    languages  the language filter, as `languages` reads it: ranges, best first; () = none
    attrs      IRIs of the attributes to show; None = all. id, type and scope are always shown
    pick, omit  members to show or to leave out: "id", "type", "scope", the times, IRIs; each with the projection of the linked
               entity below it, or None
    datasets   datasetIds of the instances to show, None in it for the default instance; None = all
    geometry   IRI of the attribute that becomes the geometry of a GeoJSON Feature; None = no GeoJSON
    context    what to put in as @context; None = nothing
    join       "inline" or "flat": put entities that relationships lead to in their place, or beside
    depth      levels of linked entities
    linked     id → linked entity, as far as they could be found
    """

    format: Literal["normalized", "concise", "simplified"] = "normalized"
    sys: bool = False
    languages: tuple[str, ...] = ()
    attrs: frozenset[str] | None = None
    pick: Projection | None = None
    omit: Projection | None = None
    datasets: frozenset[str | None] | None = None
    geometry: str | None = None
    context: Any = None
    join: Literal["inline", "flat"] | None = None
    depth: int = 1
    linked: Mapping[str, Entity] = field(default_factory=dict)
    # Normalized and of whole attributes (plain), and of all of them (whole): bytes of the store can be copied.
    plain: bool = field(init=False, default=False)
    whole: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Says whether the view is plain, and whether it is whole."""
        times = self.sys or (self.pick is not None and not _TIMES.isdisjoint(self.pick))
        plain = self.format == "normalized" and not (times or self.languages or self.geometry or self.join) and self.datasets is None
        object.__setattr__(self, "plain", plain)
        object.__setattr__(self, "whole", self.attrs is None and self.pick is None and self.omit is None)


PLAIN = View()


def languages(text: str) -> tuple[str, ...]:
    """The ranges of a language filter, best first (4.15; RFC 3282): `fr;q=0.2,nl` → nl, fr.

    Ranges with quality 0 or without sense are left out.

    >>> languages("fr;q=0.2, nl-BE;q=0.9, *;q=0.1")
    ('nl-be', 'fr', '*')
    """
    ranked = []
    for place, part in enumerate(text.split(",")):
        tag, _, rest = part.strip().partition(";")
        quality = 1.0
        if rest.strip().startswith("q="):
            try:
                quality = float(rest.strip()[2:])
            except ValueError:
                quality = 0.0
        if tag.strip() and quality > 0:
            ranked.append((-quality, place, tag.strip().lower()))
    return tuple(tag for _, _, tag in sorted(ranked))


def language_of(available: Iterable[str], ranges: Sequence[str]) -> str:
    """Which of the available languages a filter gets; one at least must be there (4.15; lookup of RFC 4647).

    >>> language_of(["fr", "nl"], ["nl-be"]), language_of(["de", "en-US"], ["en"]), language_of(["fr", "@none"], ["pt"])
    ('nl', 'en-US', '@none')
    """
    known = {tag.lower(): tag for tag in reversed(list(available))}
    known = dict(reversed(known.items()))
    for wanted in ranges:
        if wanted == "*":
            break
        shorter = wanted
        while shorter:
            if shorter in known:
                return known[shorter]
            shorter = shorter.rpartition("-")[0]
        for tag in known:
            if tag.startswith(wanted + "-"):
                return known[tag]
    else:
        if "@none" in known:
            return "@none"
    return next(iter(known.values()))


# --- From internal form ----------------------------------------------------------------------------------------------------------------


def render(entity: Entity, terms: Names, view: View = PLAIN) -> dict[str, Any]:
    """One entity as a client sees it: an NGSI-LD entity or, with view.geometry, a GeoJSON Feature.

    >>> class Core:
    ...     terms = {"https://x/Well": "Well", "https://x/depth": "depth"}; key = "x"
    >>> well = {"id": "urn:a", "type": ["https://x/Well"], "https://x/depth": [{"type": "Property", "value": 3}]}
    >>> render(well, Core(), View(format="simplified"))
    {'id': 'urn:a', 'type': 'Well', 'depth': 3}
    """
    return _with_context(_feature(entity, terms, view) if view.geometry else _top(entity, terms, view), view)


def _with_context(shown: dict[str, Any], view: View) -> dict[str, Any]:
    if view.context is not None:
        shown["@context"] = view.context
    return shown


def _top(entity: Entity, terms: Names, view: View) -> dict[str, Any]:
    return _entity(entity, terms, view, view.attrs, view.pick, view.omit, view.depth, (entity["id"],))


def render_all(entities: Iterable[Entity], terms: Names, view: View = PLAIN) -> Any:
    """Several entities: a list, with view.join == "flat" followed by the linked ones, or a GeoJSON FeatureCollection.

    Entities of which a projection leaves nothing are not listed.
    """
    entities = list(entities)
    if view.geometry:
        features = [_feature(entity, terms, view) for entity in entities]
        collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
        return _with_context(collection, view)
    shown = [_with_context(one, view) for entity in entities if (one := _top(entity, terms, view))]
    if view.join != "flat":
        return shown
    seen = {entity["id"] for entity in entities}
    level = [(entity, view.pick, view.omit) for entity in entities]
    for depth in range(view.depth, 0, -1):
        below = []
        for entity, pick, omit in level:
            for name, id in links(entity, view, pick, omit):
                if id in view.linked and id not in seen and (view.attrs is None or depth < view.depth or name in view.attrs):
                    seen.add(id)
                    below.append((view.linked[id], _under(pick, name), _under(omit, name)))
        shown += [_with_context(_entity(entity, terms, view, None, pick, omit, depth - 1, (entity["id"],)), view) for entity, pick, omit in below]
        level = below
    return shown


def links(entity: Entity, view: View, pick: Projection | None = None, omit: Projection | None = None) -> Iterator[tuple[str, str]]:
    """(attribute IRI, id) of the entities that the shown relationships of an entity lead to; for those who look them up too."""
    for name, instances in entity.items():
        if name in OWN or not _shown(name, None, pick, omit):
            continue
        for instance in instances:
            if view.datasets is None or instance.get("datasetId") in view.datasets:
                for id in _objects(instance):
                    yield name, id


def follow(found: Iterable[Entity], view: View, get: Callable[[str], Entity | None], most: int) -> dict[str, Entity]:
    """The entities that relationships of these lead to, by id, level by level as deep as the view goes; at most so many.

    get  gives an entity by its id, None for one that is not there or must not be seen
    """
    known: dict[str, Entity] = {}
    level = list(found)
    for _ in range(view.depth):
        below = []
        for entity in level:
            for _, id in links(entity, view):
                if id not in known and len(known) < most and (other := get(id)) is not None:
                    known[id] = other
                    below.append(other)
        level = below
    return known


def with_links(view: View, known: Mapping[str, Entity]) -> View:
    """The same view with the linked entities in it."""
    return View(**{name: getattr(view, name) for name in view.__slots__ if name not in ("plain", "whole", "linked")}, linked=known)


def _objects(instance: Instance) -> Sequence[str]:
    if instance["type"] == "Relationship":
        found = instance["object"]
        return [found] if isinstance(found, str) else found
    return instance["objectList"] if instance["type"] == "ListRelationship" else ()


def _shown(name: str, attrs: frozenset[str] | None, pick: Projection | None, omit: Projection | None) -> bool:
    """Whether a member is shown. A name that omit only gives to say what of the linked entity it leaves out is shown itself."""
    if pick is not None and name not in pick:
        return False
    if omit is not None and name in omit and omit[name] is None:
        return False
    return name in OWN or attrs is None or name in attrs


def _under(projection: Projection | None, name: str) -> Projection | None:
    """The projection of the entity linked by an attribute."""
    return None if projection is None else projection.get(name)


def _entity(
    entity: Entity,
    terms: Names,
    view: View,
    attrs: frozenset[str] | None,
    pick: Projection | None,
    omit: Projection | None,
    depth: int,
    path: tuple[str, ...],
) -> dict[str, Any]:
    names = terms.terms
    shown: dict[str, Any] = {}
    everything = pick is None and omit is None and attrs is None
    if everything or _shown("id", attrs, pick, omit):
        shown["id"] = entity["id"]
    if everything or _shown("type", attrs, pick, omit):
        kinds = entity["type"]
        shown["type"] = names[kinds[0]] if len(kinds) == 1 else [names[kind] for kind in kinds]
    if "scope" in entity and (everything or _shown("scope", attrs, pick, omit)):
        scopes = entity["scope"]
        shown["scope"] = scopes[0] if len(scopes) == 1 else scopes
    if view.sys or pick is not None:
        for name in ("createdAt", "modifiedAt", "expiresAt"):
            if name in entity and ((pick is not None and name in pick) or (view.sys and _shown(name, attrs, pick, omit))):
                shown[name] = entity[name]
    for name, instances in entity.items():
        if name in OWN or not (everything or _shown(name, attrs, pick, omit)):
            continue
        if view.datasets is not None:
            instances = [instance for instance in instances if instance.get("datasetId") in view.datasets]
            if not instances:
                continue
        below = _Below(terms, view, _under(pick, name), _under(omit, name), depth, path) if view.join == "inline" and depth > 0 else None
        shown[names[name]] = _attribute(instances, names, view, below)
    return shown


@dataclass(slots=True)
class _Below:
    """How entities linked from an attribute are shown in its place."""

    terms: Names
    view: View
    pick: Projection | None
    omit: Projection | None
    depth: int
    path: tuple[str, ...]

    def entity(self, id: str) -> dict[str, Any] | None:
        """The linked entity; None if it was not found, or contains the place it is linked from."""
        found = self.view.linked.get(id)
        if found is None or id in self.path:
            return None
        return _entity(found, self.terms, self.view, None, self.pick, self.omit, self.depth - 1, (*self.path, id))


def _attribute(instances: list[Instance], names: Mapping[str, str], view: View, below: _Below | None) -> Any:
    if view.format == "simplified":
        if len(instances) == 1:
            return _simplified(instances[0], names, view, below)
        return {"dataset": {instance.get("datasetId", "@none"): _simplified(instance, names, view, below) for instance in instances}}
    if view.format == "concise":
        if len(instances) == 1:
            shown = _concise(instances[0], names, view, below)
            return shown["value"] if len(shown) == 1 and "value" in shown and _stands_alone(shown["value"]) else shown
        return [_concise(instance, names, view, below) for instance in instances]
    if len(instances) == 1:
        return _normalized(instances[0], names, view, below)
    return [_normalized(instance, names, view, below) for instance in instances]


def _normalized(instance: Instance, names: Mapping[str, str], view: View, below: _Below | None) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, value in instance.items():
        if key not in RESERVED:
            shown[names[key]] = _attribute(value, names, view, None)
        elif key in _TIMES:
            if view.sys:
                shown[key] = value
        elif key in ("objectList", "previousObjectList") and isinstance(value, list):
            shown[key] = [{"object": id} for id in value]
        elif key in _NAMED:
            shown[key] = names[value] if isinstance(value, str) else [names[part] for part in value]
        elif key != HIDDEN:
            shown[key] = value
    if view.languages and isinstance(shown.get("languageMap"), dict):
        shown = _translated(shown, view.languages)
    if below is not None:
        _join(shown, instance, below)
    return shown


def _translated(shown: dict[str, Any], ranges: Sequence[str]) -> dict[str, Any]:
    """A LanguageProperty as a Property with the text in one language."""
    texts = shown["languageMap"]
    language = language_of(texts, ranges)
    result: dict[str, Any] = {}
    for key, value in shown.items():
        if key == "type":
            result["type"] = "Property"
        elif key == "languageMap":
            result["value"] = texts[language]
            result["lang"] = language
        elif key != "valueType":
            result[key] = value
    return result


def _join(shown: dict[str, Any], instance: Instance, below: _Below) -> None:
    """Adds the linked entities to a relationship: `entity` for one object, `entityList` for several."""
    objects = _objects(instance)
    found = [entity for entity in map(below.entity, objects) if entity is not None]
    if not found:
        return
    if instance["type"] == "Relationship" and isinstance(instance["object"], str):
        shown["entity"] = found[0]
    else:
        shown["entityList"] = found


def _concise(instance: Instance, names: Mapping[str, str], view: View, below: _Below | None) -> dict[str, Any]:
    shown = _normalized(instance, names, view, below)
    kind = shown.pop("type")
    if kind == "ListRelationship":
        shown["objectList"] = instance["objectList"]
    if kind == "Property" and looks_like_geometry(shown["value"]):
        # Without its type it would be read back as a GeoProperty.
        return {"type": kind, **shown}
    return shown


def _stands_alone(value: Any) -> bool:
    """Whether a value without anything around it is read back as the same attribute."""
    if isinstance(value, dict):
        if looks_like_geometry(value):
            return True
        return bool(value) and RESERVED.isdisjoint(value) and "dataset" not in value and not any(key[:1] == "@" for key in value)
    return not isinstance(value, list) or not any(isinstance(part, dict) for part in value)


def _simplified(instance: Instance, names: Mapping[str, str], view: View, below: _Below | None) -> Any:
    kind = instance["type"]
    member = MEMBER[kind]
    value: Any = instance.get(member)
    if kind == "LanguageProperty":
        return value[language_of(value, view.languages)] if view.languages and isinstance(value, dict) else {member: value}
    if kind == "VocabProperty":
        return {member: names[value] if isinstance(value, str) else [names[part] for part in value]}
    if kind == "JsonProperty":
        return {member: value}
    if below is not None and kind in ("Relationship", "ListRelationship"):
        if isinstance(value, str):
            return below.entity(value) or value
        return [below.entity(id) or id for id in value]
    return value


def _feature(entity: Entity, terms: Names, view: View) -> dict[str, Any]:
    """An entity as GeoJSON Feature (4.5.16, 4.5.17): geometry is null where the attribute has no geometry."""
    properties = _top(entity, terms, view)
    properties.pop("id", None)
    return {"id": entity["id"], "type": "Feature", "geometry": _geometry(entity.get(view.geometry or LOCATION, ()), view), "properties": properties}


def _geometry(instances: Iterable[Instance], view: View) -> Any:
    if view.datasets is not None:
        instances = [instance for instance in instances if instance.get("datasetId") in view.datasets]
        # A request that names datasets means the geometry of those, the default first.
        instances = sorted(instances, key=lambda instance: "datasetId" in instance)[:1]
    for instance in instances:
        if "datasetId" not in instance or view.datasets is not None:
            value = instance.get("value")
            return value if not geometry_fault(value) else None
    return None


# Kind of attribute → the version of the standard that brought it, and what older ones take instead (4.3.6.8).
_BROUGHT = {
    "LanguageProperty": ((1, 4), "Property"),
    "VocabProperty": ((1, 8), "Property"),
    "JsonProperty": ((1, 8), "Property"),
    "ListProperty": ((1, 8), "Property"),
    "ListRelationship": ((1, 8), "Relationship"),
}


def earlier(shown: Any, version: tuple[int, int]) -> tuple[Any, bool]:
    """An answer in normalized form for a client of an earlier version of the standard, and whether it had to be altered.

    Kinds of attributes that the version does not know are told as the nearest one that it does.

    >>> earlier({"id": "urn:a", "type": "Well", "word": {"type": "VocabProperty", "vocab": "deep"}}, (1, 5))
    ({'id': 'urn:a', 'type': 'Well', 'word': {'type': 'Property', 'value': 'deep'}}, True)
    """
    if isinstance(shown, list):
        parts = [earlier(part, version) for part in shown]
        return [part for part, _ in parts], any(altered for _, altered in parts)
    if not isinstance(shown, dict):
        return shown, False
    result: dict[str, Any] = {}
    altered = False
    kind = str(shown.get("type"))
    brought, instead = _BROUGHT.get(kind, ((0, 0), ""))
    old = MEMBER[kind] if brought > version else ""
    for key, value in shown.items():
        if old and key == "type":
            result[key], altered = instead, True
        elif old and key == old:
            result[MEMBER[instead]] = [part["object"] for part in value] if kind == "ListRelationship" else value
        elif key in RESERVED or key in ("id", "scope", "@context"):
            result[key] = value
        else:
            result[key], below = earlier(value, version)
            altered = altered or below
    return result, altered


# --- Lean ------------------------------------------------------------------------------------------------------------------------------


def encode_lean(entity: Entity) -> tuple[bytes, bytes, bool]:
    """An entity as the store keeps it: (lean, sys, flat).

    flat says that an answer in normalized form differs from lean only in the names of top-level members and of types.
    `decode` is the inverse.

    >>> encode_lean({"id": "urn:a", "type": ["https://x/Well"], "createdAt": "t", "modifiedAt": "t"})
    (b'{"id":"urn:a","type":"https://x/Well"}', b'["t","t"]', True)
    """
    created, modified = entity["createdAt"], entity["modifiedAt"]
    lean: dict[str, Any] = {}
    times: dict[str, Any] = {}
    flat = True
    for name, value in entity.items():
        if name in _TIMES:
            continue
        if name in OWN:
            lean[name] = value[0] if name != "id" and len(value) == 1 else value
            continue
        bare, when, even = _lean_attribute(value, created, modified)
        flat &= even
        lean[name] = bare
        if when is not None:
            times[name] = when
    sys: list[Any] = [created, modified]
    if times or "expiresAt" in entity:
        sys += [entity.get("expiresAt"), times]
    return _encode(lean), _encode(sys), flat


def _lean_attribute(instances: list[Instance], created: str, modified: str) -> tuple[Any, list[Any] | None, bool]:
    """(instances without times, their times or None if all are those of the entity, whether they are flat)."""
    if len(instances) == 1 and EVEN.issuperset(instances[0]):  # by far the most frequent
        kept = instances[0].copy()
        born, touched = kept.pop("createdAt"), kept.pop("modifiedAt")
        return kept, None if born == created and touched == modified else [[born, touched]], True
    bare: list[Instance] = []
    times: list[list[Any] | None] = []
    flat = same = True
    for instance in instances:
        kept = {}
        below: dict[str, Any] = {}
        for key, value in instance.items():
            role = _ROLE.get(key)
            if role is _KEPT:
                kept[key] = value
            elif role is None:
                flat = False
                kept[key], when, _ = _lean_attribute(value, created, modified)
                if when is not None:
                    below[key] = when
            elif role is _CHANGED:
                flat = False
                kept[key] = value
        bare.append(kept)
        born, touched, until = instance["createdAt"], instance["modifiedAt"], instance.get("expiresAt")
        if born == created and touched == modified and until is None and not below:
            times.append(None)
        else:
            same = False
            times.append([born, touched, until, below] if below else [born, touched, until] if until else [born, touched])
    return (bare[0] if len(bare) == 1 else bare), (None if same else times), flat


def decode(lean: bytes, sys: bytes) -> Entity:
    """The entity in internal form that `encode_lean` was given.

    >>> decode(b'{"id":"urn:a","type":"https://x/Well"}', b'["t","t"]')
    {'id': 'urn:a', 'type': ['https://x/Well'], 'createdAt': 't', 'modifiedAt': 't'}
    """
    found, at = _decode(lean), _decode(sys)
    created, modified = at[0], at[1]
    times = at[3] if len(at) > 2 else {}
    entity: Entity = {"id": found["id"]}
    for name in ("type", "scope"):
        if name in found:
            value = found[name]
            entity[name] = [value] if isinstance(value, str) else value
    entity["createdAt"], entity["modifiedAt"] = created, modified
    if len(at) > 2 and at[2]:
        entity["expiresAt"] = at[2]
    for name, value in found.items():
        if name not in OWN:
            entity[name] = _full_attribute(value, times.get(name), created, modified)
    return entity


def _full_attribute(bare: Any, times: list[Any] | None, created: str, modified: str) -> list[Instance]:
    instances: list[Instance] = bare if isinstance(bare, list) else [bare]
    for place, instance in enumerate(instances):
        at = times[place] if times else None
        if not EVEN.issuperset(instance):
            below = at[3] if at and len(at) > 3 else {}
            for key in [key for key in instance if key not in RESERVED]:
                instance[key] = _full_attribute(instance[key], below.get(key), created, modified)
        if at:
            instance["createdAt"], instance["modifiedAt"] = at[0], at[1]
            if len(at) > 2 and at[2]:
                instance["expiresAt"] = at[2]
        else:
            instance["createdAt"], instance["modifiedAt"] = created, modified
    return instances


class _Keys(dict[str, bytes]):
    """IRI → the bytes `,"term":` that open a member of an answer."""

    __slots__ = ("kinds", "names")

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self.names = names
        self.kinds: dict[bytes, bytes] = {}

    def __missing__(self, iri: str) -> bytes:
        opening = self[iri] = b"," + _encode(self.names[iri]) + b":"
        return opening

    def kind(self, raw: bytes) -> bytes:
        """The JSON of `type` with terms for IRIs."""
        value = _decode(raw)
        said = _encode(self.names[value] if isinstance(value, str) else [self.names[part] for part in value])
        if len(self.kinds) < _MOST:
            self.kinds[raw] = said
        return said


_MOST = 4096
_openings: dict[Any, _Keys] = {}


def _keys(terms: Names) -> _Keys:
    """The openings for a context; kept, since clients ask with few contexts, and forgotten if there are many."""
    found = _openings.get(terms.key)
    # The same key with other names: the document behind a URL has changed.
    if found is None or found.names is not terms.terms or len(found) > _MOST:
        if len(_openings) >= 256:
            _openings.clear()
        found = _openings[terms.key] = _Keys(terms.terms)
    return found


def render_lean(lean: bytes, terms: Names, view: View = PLAIN, *, flat: bool | None = None, sys: bytes = b"") -> bytes:
    """One entity of the store as JSON bytes: the same as `render` of the decoded entity.

    flat is what `encode_lean` said (None: look). sys is needed for views that are not plain and show times.

    >>> class Core:
    ...     terms = {"https://x/Well": "Well"}; key = "doctest of render_lean"
    >>> render_lean(b'{"id":"urn:a","type":"https://x/Well"}', Core())
    b'{"id":"urn:a","type":"Well"}'
    """
    if not view.plain:
        return _encode(render(decode(lean, sys or b'["",""]'), terms, view))
    keys = _keys(terms)
    parts = _parts(lean)
    id, kind = parts.pop("id"), bytes(parts.pop("type"))
    scope = parts.pop("scope", None)
    said = keys.kinds.get(kind) or keys.kind(kind)
    if view.whole:
        out = [b'{"id":', id, b',"type":', said]
        if scope is not None:
            out += (b',"scope":', scope)
    else:
        attrs, pick, omit = view.attrs, view.pick, view.omit
        own = (("id", b',"id":', id), ("type", b',"type":', said), ("scope", b',"scope":', scope))
        out = [b"{"]
        for name, opening, raw in own:
            if raw is not None and _shown(name, attrs, pick, omit):
                out += (opening, raw)
        parts = {name: raw for name, raw in parts.items() if _shown(name, attrs, pick, omit)}
    if flat:
        for name, raw in parts.items():
            out += (keys[name], raw)
    else:
        names = terms.terms
        for name, raw in parts.items():
            out += (keys[name], _encode(_attribute(_full_attribute(_decode(raw), None, "", ""), names, view, None)) if _NOT_FLAT.search(raw) else raw)
    if view.context is not None:
        out += (b',"@context":', _encode(view.context))
    if not view.whole and len(out) > 1:
        # The first member that is shown has no comma before it.
        out[1] = out[1][1:]
    out.append(b"}")
    return b"".join(out)


def render_lean_all(rows: Iterable[Sequence[Any]], terms: Names, view: View = PLAIN) -> bytes:
    """Several entities of the store, each as (lean, sys, flat, …), as JSON bytes: the same as `render_all` of the decoded ones.

    >>> class Core:
    ...     terms = {"https://x/Well": "Well"}; key = "doctest of render_lean_all"
    >>> render_lean_all([(b'{"id":"urn:a","type":"https://x/Well"}', b'["t","t"]', True)], Core())
    b'[{"id":"urn:a","type":"Well"}]'
    """
    if not view.plain:
        return _encode(render_all([decode(row[0], row[1]) for row in rows], terms, view))
    shown = [render_lean(row[0], terms, view, flat=row[2]) for row in rows]
    if view.pick is not None or view.omit is not None:
        empty = b'{"@context":' + _encode(view.context) + b"}" if view.context is not None else b"{}"
        shown = [one for one in shown if one != empty]
    return b"[" + b",".join(shown) + b"]"
