"""Entities: from JSON as clients write it to the one form the broker works on, and the changes of the standard on that form.

In:  JSON values in normalized, concise or simplified representation, mixed as they come (ETSI GS CIM 009 v1.9.1, 4.5), and the terms
     of the request's @context. Out: entities in internal form

    {"id": uri, "type": [IRI, …], "scope": [text, …], "createdAt": time, "modifiedAt": time, "expiresAt": time, IRI: [instance, …], …}
    instance = {"type": kind, value member: …, "unitCode" …, "createdAt": time, "modifiedAt": time, IRI: [instance, …], …}

where scope and expiresAt may be missing, each other key is an attribute (in an instance: a sub-attribute), and of all instances of one
attribute at most one has no datasetId (the default). A fragment is the same without id; what it wants removed carries `NULL`.
The changes never alter what they are given: parts that stay are shared between the old entity and the new one.
Reading bytes, looking up terms, storing and answering are done elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from kiban.linkage.broker import times
from kiban.linkage.broker.values import CORE, NULL, geometry_fault, has_null, is_language, is_name, is_scope, is_uri, looks_like_geometry
from kiban.linkage.errors import Problem

Entity = dict[str, Any]
Instance = dict[str, Any]
Nulls = Literal["none", "attribute", "deep"]

# Kind of attribute → the member that holds its value.
MEMBER = {
    "Property": "value",
    "Relationship": "object",
    "GeoProperty": "value",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}
_KIND_OF = {
    "value": "Property",
    "object": "Relationship",
    "languageMap": "LanguageProperty",
    "vocab": "VocabProperty",
    "json": "JsonProperty",
    "valueList": "ListProperty",
    "objectList": "ListRelationship",
}
_SYSTEM = frozenset({"createdAt", "modifiedAt", "deletedAt"})
_ANSWERS = frozenset({"entity", "entityList", *("previous" + member[0].upper() + member[1:] for member in _KIND_OF)})
_SEALED = frozenset({"entityIdSealed", "entityTypeSealed"})
_PLAIN = frozenset({"unitCode", "observedAt", "datasetId", "expiresAt", "objectType", "valueType", "lang", "instanceId"})
# What NGSIv2 wrote and NGSI-LD has no place for (`ngsiv2.MEMORY`): kept, never shown here. No client can write a name with @.
HIDDEN = "@v2"
# Members of an instance that are not sub-attributes.
RESERVED = frozenset({"type", *_KIND_OF, *_PLAIN, *_SYSTEM, *_ANSWERS, *_SEALED, HIDDEN})
# Members of an entity that are not attributes.
OWN = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"})
# Members of the core context that cannot be attributes of an entity (4.5.1); a word such as vocab can, though not below an attribute.
_NO_NAMES = frozenset({"value", "object", *_PLAIN, *_SYSTEM, *_SEALED, *OWN, *(name for name in _ANSWERS if name.startswith("previous"))})


def _core_iris(names: frozenset[str]) -> frozenset[str]:
    """The IRIs of members; the core context has hasValue for value, and the like."""
    return frozenset(CORE + iri for name in names for iri in (name, "has" + name[0].upper() + name[1:]))


_NO_IRIS = _core_iris(_NO_NAMES)
_NO_SUB_IRIS = _core_iris(RESERVED | OWN) | {CORE + "hasJSON"}
_UNITS = frozenset({"", "Property", "GeoProperty", "ListProperty"})
_GEO = frozenset(CORE + name for name in ("location", "observationSpace", "operationSpace"))
_PROOF = CORE + "ngsildproof"
_SPECIAL = _GEO | {_PROOF}
_LANG_STRING = "langString"
_SCALARS = frozenset({str, int, float, bool})
# A date-time that is right whatever the calendar says; `times` decides about all others.
_COMMON_TIME = re.compile(r"[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z")
# Identity of a context → the context (so that its identity stays its own), and its names of attributes found good → IRI.
_good_names: dict[int, tuple[Terms, dict[str, str]]] = {}
_MOST_CONTEXTS, _MOST_NAMES = 256, 4096
MAX_DEPTH = 16


class Terms(Protocol):
    """What the model asks of a compiled @context; `contexts.TermMap` is one."""

    def expand(self, term: str) -> str:
        """The IRI of an attribute name."""
        ...

    def expand_type(self, term: str) -> str:
        """The IRI of a type name."""
        ...

    def expand_vocab(self, term: str) -> str:
        """The IRI of a value of a VocabProperty."""
        ...


# --- Reading -----------------------------------------------------------------------------------------------------------------------------


def parse_entity(raw: object, terms: Terms, *, now: str, trusted: bool = False, temporal: bool = False) -> Entity:
    """An entity as a client creates it, in internal form.

    Parameters
    ----------
    raw      parsed JSON; a member @context is left alone (whoever made `terms` has read it)
    terms    compiled @context
    now      time that becomes createdAt and modifiedAt of the entity and of each instance
    trusted  keep createdAt, modifiedAt and instanceId of the input (imports, other brokers) instead of passing over them
    temporal  an attribute may have many instances of one datasetId, as in the history of an entity

    Raises Problem: InvalidRequest if raw is no JSON object, BadRequestData if its content is not that of an entity.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda term: "https://x/" + term)
    >>> parse_entity({"id": "urn:a", "type": "Well", "depth": 3}, Plain(), now="2026-01-01T00:00:00.000Z")["https://x/depth"][0]["value"]
    3
    """
    entity: Entity = {}
    _Reader(terms, now, "none", trusted, temporal).entity(_object(raw), entity)
    for member in ("id", "type"):
        if member not in entity:
            raise _bad(f"the entity has no {member}")
    created = entity.pop("createdAt", now)
    modified = entity.pop("modifiedAt", created)
    head = {key: entity.pop(key) for key in ("id", "type", "scope") if key in entity}
    times_ = {"createdAt": created, "modifiedAt": modified}
    if "expiresAt" in entity:
        times_["expiresAt"] = entity.pop("expiresAt")
    return head | times_ | entity


def parse_fragment(raw: object, terms: Terms, *, now: str, nulls: Nulls = "attribute", id: str | None = None, temporal: bool = False) -> Entity:
    """A fragment of an entity: attributes, and perhaps type, scope and expiresAt.

    nulls says where "urn:ngsi-ld:null" may stand: "none" (append), "attribute" (instead of a whole value: update) or "deep" (inside
    compound values and language maps too: merge; attributes may then come without value). id is that of the target; a fragment that
    names another one is refused. temporal as in `parse_entity`.

    Raises Problem: InvalidRequest if raw is no JSON object; BadRequestData if it says nothing, or something that no entity can hold.
    """
    fragment: Entity = {}
    _Reader(terms, now, nulls, temporal=temporal).entity(_object(raw), fragment)
    fragment.pop("createdAt", None)
    fragment.pop("modifiedAt", None)
    found = fragment.pop("id", None)
    if id is not None and found is not None and found != id:
        raise _bad(f"the fragment has the id {found}; the target is {id}")
    if not fragment and found is None:
        raise _bad("the fragment is empty")
    return fragment


def parse_attribute(name: str, raw: object, terms: Terms, *, now: str, nulls: Nulls = "attribute", partial: bool = False) -> list[Instance]:
    """The instances of one attribute, as PATCH and PUT of …/attrs/{name} bring them.

    partial=True takes a fragment of one instance, which may lack value and type; the list then has that one.
    Raises Problem: InvalidRequest if raw is neither object nor array, BadRequestData for a wrong name or content.
    """
    if not isinstance(raw, dict | list):
        raise Problem("InvalidRequest", "Invalid request", "the body is not a JSON object")
    reader = _Reader(terms, now, nulls)
    iri = reader.name(name)
    if isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if key != "@context"}
    if not raw:
        raise _bad("the fragment is empty")
    if partial:
        if isinstance(raw, list):
            raise _bad(f"{name}: found an array; expected a fragment of one instance")
        return [reader.instance(name, iri, raw, 0, partial=True)]
    return reader.instances(name, iri, raw, 0)


def attribute_iri(name: str, terms: Terms) -> str:
    """The IRI of an attribute named in a URL. Raises Problem BadRequestData if there cannot be such a name."""
    return _Reader(terms, "", "none").name(name)


def check_id(id: object, what: str = "id") -> str:
    """id itself, if it is a URI. Raises Problem BadRequestData otherwise.

    >>> check_id("urn:ngsi-ld:Well:1")
    'urn:ngsi-ld:Well:1'
    """
    if not isinstance(id, str) or not is_uri(id) or id == NULL:
        raise _bad(f"{what}: found {_short(id)}; expected a URI")
    return id


def _bad(detail: str) -> Problem:
    return Problem("BadRequestData", "Bad request data", detail)


def _object(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Problem("InvalidRequest", "Invalid request", "the body is not a JSON object")
    return raw


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 80 else told[:77] + "..."


def _kind(raw: dict[str, Any]) -> object:
    """The kind that an instance gives itself; the full IRI of a kind counts as its name."""
    kind = raw.get("type", raw.get("@type"))
    return kind.removeprefix(CORE) if isinstance(kind, str) else kind


def _is_instance(raw: object) -> bool:
    return isinstance(raw, dict) and (_kind_known(raw) or not _KIND_OF.keys().isdisjoint(raw) or "datasetId" in raw)


def _kind_known(raw: dict[str, Any]) -> bool:
    kind = _kind(raw)
    return isinstance(kind, str) and kind in MEMBER


class _Reader:
    """Reads one request: its terms, its time, and where it may say null."""

    __slots__ = ("names", "now", "nulls", "temporal", "terms", "trusted")

    def __init__(self, terms: Terms, now: str, nulls: Nulls, trusted: bool = False, temporal: bool = False) -> None:
        found = _good_names.get(id(terms))
        if found is None or found[0] is not terms:
            if len(_good_names) >= _MOST_CONTEXTS:
                _good_names.clear()
            found = _good_names[id(terms)] = (terms, {})
        self.names = found[1]
        self.terms, self.now, self.nulls, self.trusted, self.temporal = terms, now, nulls, trusted, temporal

    # Entities

    def entity(self, raw: dict[str, Any], into: Entity) -> None:
        names = self.names
        for key, value in raw.items():
            iri = names.get(key)
            if iri is None:
                own = self._own(key)
                if own:
                    self.member(key, own, value, into)
                    continue
                iri = self.name(key)
            if iri in into:
                raise _bad(f"{key}: this attribute is there twice")
            quick = self.quick(value, iri) if type(value) is dict else None
            into[iri] = self.instances(key, iri, value, 0) if quick is None else [quick]

    def member(self, key: str, own: str, value: object, into: Entity) -> None:
        """Reads a member of an entity that is no attribute."""
        if own == "id":
            into["id"] = check_id(value)
        elif own == "type":
            into["type"] = self.types(value)
        elif own == "scope":
            scope = self.scope(value)
            if scope:
                into["scope"] = scope
        elif own == "expiresAt":
            into["expiresAt"] = self.time(key, value)
        elif self.trusted and own in ("createdAt", "modifiedAt"):
            into[own] = self.time(key, value)

    def _own(self, key: str) -> str:
        """The member of an entity that a key stands for, a keyword or an alias of the context too; "" for an attribute."""
        if key in OWN or key == "@context":
            return key
        if key[:1] != "@":
            key = self.terms.expand(key) if key not in RESERVED else ""
        return "id" if key == "@id" else "type" if key == "@type" else ""

    def name(self, name: str) -> str:
        """The IRI of an attribute."""
        iri = self.names.get(name)
        if iri is None:
            if name in _NO_NAMES or name[:1] == "@" or not is_name(name):
                raise _bad(f"{_short(name)} cannot be the name of an attribute")
            iri = self.terms.expand(name)
            if ":" not in iri:
                raise _bad(f"the @context gives no IRI for {_short(name)}")
            if iri in _NO_IRIS:
                raise _bad(f"{_short(name)} is another word for a member of the core context; use the core's word")
            if len(name) <= 256:
                if len(self.names) >= _MOST_NAMES:
                    self.names.clear()
                self.names[name] = iri
        return iri

    def types(self, raw: object) -> list[str]:
        names = [raw] if isinstance(raw, str) else raw
        if not isinstance(names, list) or not names:
            raise _bad(f"type: found {_short(raw)}; expected a name or an array of names")
        return list(dict.fromkeys(self._type(name) for name in names))

    def _type(self, name: object) -> str:
        if isinstance(name, str) and name not in RESERVED and name not in OWN and name != NULL and is_name(name):
            iri = self.terms.expand_type(name)
            if ":" in iri:
                return iri
        raise _bad(f"{_short(name)} cannot be the name of a type")

    def scope(self, raw: object) -> list[str]:
        scopes = [raw] if isinstance(raw, str) else raw
        if not isinstance(scopes, list):
            raise _bad(f"scope: found {_short(raw)}; expected a scope or an array of scopes")
        if scopes == [NULL] and self.nulls != "none":
            return [NULL]
        for scope in scopes:
            if not isinstance(scope, str) or not is_scope(scope):
                raise _bad(f"scope: found {_short(scope)}; expected levels of letters, digits and _, such as /Madrid/Gardens")
        return list(dict.fromkeys(scopes))

    def time(self, member: str, raw: object) -> str:
        if raw == NULL and self.nulls != "none" and member != "createdAt":
            return NULL
        if isinstance(raw, str) and _COMMON_TIME.fullmatch(raw):
            return raw
        # The standard wants UTC said with Z (4.6.3), where `times.parse` also takes an offset.
        if not isinstance(raw, str) or not raw.endswith("Z") or not times.is_datetime(raw):
            raise _bad(f"{member}: found {_short(raw)}; expected a date and time in UTC, such as 2026-11-27T20:10:00Z")
        return raw

    # Attributes

    def quick(self, raw: dict[str, Any], iri: str) -> Instance | None:
        """An instance in the form that is by far the most frequent, normalized and without sub-attributes; None for any other.

        It says the same as `instance` and only saves its questions.
        """
        kind = raw.get("type")
        if kind == "Property":
            value = raw.get("value")
            if type(value) not in _SCALARS or value == NULL or iri in _SPECIAL:
                return None
            known = 2
            if "unitCode" in raw:
                unit = raw["unitCode"]
                if type(unit) is not str or not unit or unit == NULL:
                    return None
                known = 3
        elif kind == "Relationship":
            value = raw.get("object")
            if type(value) is not str or value == NULL or iri in _SPECIAL or not is_uri(value):
                return None
            known = 2
        elif kind == "GeoProperty" and type(raw.get("value")) is dict and not geometry_fault(raw["value"]):
            known = 2
        else:
            return None
        if "observedAt" in raw:
            at = raw["observedAt"]
            if type(at) is not str or not _COMMON_TIME.fullmatch(at):
                return None
            known += 1
        if len(raw) != known or self.trusted:
            return None
        return {"type": kind, **raw, "createdAt": self.now, "modifiedAt": self.now}

    def instances(self, name: str, iri: str, raw: object, depth: int) -> list[Instance]:
        """The instances that a member of an entity, or of another attribute, stands for; each with its own datasetId."""
        if depth > MAX_DEPTH:
            raise _bad(f"{name}: attributes of attributes go at most {MAX_DEPTH} deep")
        if isinstance(raw, dict) and len(raw) == 1 and isinstance(raw.get("dataset"), dict) and raw["dataset"]:
            raw = [self._of_dataset(name, dataset, value) for dataset, value in raw["dataset"].items()]
        if not isinstance(raw, list) or not raw or not any(map(_is_instance, raw)):
            return [self.instance(name, iri, raw, depth)]
        if not all(map(_is_instance, raw)):
            raise _bad(f"{name}: found an array of instances and other values")
        found = [self.instance(name, iri, part, depth) for part in raw]
        if len({instance.get("datasetId") for instance in found}) != len(found) and not (self.temporal and depth == 0):
            raise _bad(f"{name}: two instances have the same datasetId, or none")
        return found

    @staticmethod
    def _of_dataset(name: str, dataset: str, value: object) -> dict[str, Any]:
        """One entry of the simplified form {"dataset": {datasetId: value}} as an instance."""
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _KIND_OF:
            return {**value, "datasetId": dataset}
        if value is None:
            raise _bad(f"{name}: found null")
        return {"value": value, "datasetId": dataset}

    def instance(self, name: str, iri: str, raw: object, depth: int, *, partial: bool = False) -> Instance:
        """One instance, from whichever form; its kind is "" where a fragment leaves that to the instance it is meant for."""
        if raw is None:
            raise _bad(f"{name}: found null; an attribute is removed with {NULL}")
        kind, member, about = self._form(name, raw, partial)
        if kind in MEMBER and iri in _GEO and kind != "GeoProperty" and not (kind == "Property" and about.get("value") == NULL):
            raise _bad(f"{name} is a GeoProperty; found a {kind}")
        found: Instance = {"type": kind}
        if member:
            value = found[member] = self.value(name, kind, about[member])
            if self.nulls != "none" and is_null(found):
                found[member] = NULL
                if "datasetId" in about:
                    self._plain(name, kind, "datasetId", about["datasetId"], found)
                return self._stamp(found, about)
            if iri == _PROOF and not isinstance(value, dict):
                raise _bad(f"{name}: the value of a proof is an object")
        if about is raw:
            self._rest(name, iri, kind, member, about, depth, found)
        return self._stamp(found, about)

    def _form(self, name: str, raw: object, partial: bool) -> tuple[str, str, dict[str, Any]]:
        """What raw is: its kind, the member with its value ("" = it brings none), and the members to read."""
        if not isinstance(raw, dict):
            return ("" if self.nulls == "deep" else "Property"), "value", {"value": raw}
        kind = _kind(raw)
        if isinstance(kind, str) and kind in MEMBER:
            member = MEMBER[kind]
            wrong = [other for other in _KIND_OF if other in raw and other != member]
            if wrong:
                raise _bad(f"{name}: a {kind} has no {wrong[0]}")
            if member in raw:
                return kind, member, raw
            if partial or self.nulls == "deep":
                return kind, "", raw
            raise _bad(f"{name}: a {kind} has a member {member}")
        if looks_like_geometry(raw):
            return "GeoProperty", "value", {"value": raw}
        members = [member for member in _KIND_OF if member in raw]
        if len(members) > 1:
            raise _bad(f"{name}: found {members[0]} and {members[1]} in one attribute")
        if members:
            if kind is not None:
                raise _bad(f"{name}: found the type {_short(kind)}; expected one of {', '.join(MEMBER)}")
            if members == ["value"] and partial:
                return "", "value", raw
            if members == ["value"] and looks_like_geometry(raw["value"]):
                return "GeoProperty", "value", raw
            return _KIND_OF[members[0]], members[0], raw
        if kind is None and (partial or (self.nulls == "deep" and self._about_only(raw))):
            return "", "", raw
        if partial or not raw or not _PLAIN.isdisjoint(raw) or "@context" in raw:
            raise _bad(f"{name}: found no value")
        # The concise form of a Property with a compound value.
        return "Property", "value", {"value": raw}

    @staticmethod
    def _about_only(raw: dict[str, Any]) -> bool:
        """Whether a fragment tells of an attribute without giving its value: only units, times and sub-attributes."""
        return bool(raw) and all(key in _PLAIN or value == NULL or _is_instance(value) for key, value in raw.items())

    def _stamp(self, found: Instance, about: dict[str, Any]) -> Instance:
        if self.trusted:
            created = about.get("createdAt", self.now)
            found["createdAt"] = self.time("createdAt", created)
            found["modifiedAt"] = self.time("modifiedAt", about.get("modifiedAt", created))
        else:
            found["createdAt"] = found["modifiedAt"] = self.now
        return found

    def _rest(self, name: str, iri: str, kind: str, member: str, about: dict[str, Any], depth: int, found: Instance) -> None:
        """Reads the members beside type and value."""
        for key, raw in about.items():
            if key in ("type", "@type") or key == member or key in _SYSTEM:
                continue
            if key in _PLAIN:
                self._plain(name, kind, key, raw, found)
            elif key in _ANSWERS and self.trusted:
                continue
            elif key in _SEALED and iri == _PROOF:
                if not isinstance(raw, str):
                    raise _bad(f"{name}: found {key} {_short(raw)}; expected a string")
                found[key] = self._type(raw) if key == "entityTypeSealed" else raw
            elif key in RESERVED:
                raise _bad(f"{name}: a {kind or 'fragment'} has no {key}")
            else:
                sub = self.name(key)
                if sub in _NO_SUB_IRIS:
                    raise _bad(f"{name}: {_short(key)} is another word for a member of the core context; use the core's word")
                if sub in found:
                    raise _bad(f"{name}: {key} is there twice")
                found[sub] = self.instances(key, sub, raw, depth + 1)

    def _plain(self, name: str, kind: str, key: str, raw: object, found: Instance) -> None:
        """Reads a member that is a plain value: units, times, the dataset."""
        if key == "instanceId":
            if self.trusted:
                found[key] = check_id(raw, "instanceId")
        elif key == "datasetId":
            if raw != "@none":
                found[key] = check_id(raw, f"{name}: datasetId")
        elif key in ("observedAt", "expiresAt"):
            found[key] = self.time(key, raw)
        elif raw == NULL and self.nulls != "none":
            found[key] = NULL
        elif key == "objectType":
            if kind not in ("", "Relationship", "ListRelationship"):
                raise _bad(f"{name}: a {kind} has no objectType")
            expanded = self.types(raw)
            found[key] = expanded[0] if isinstance(raw, str) else expanded
        elif not isinstance(raw, str) or not raw:
            raise _bad(f"{name}: found {key} {_short(raw)}; expected a string")
        elif key == "unitCode" and kind not in _UNITS:
            raise _bad(f"{name}: a {kind} has no unit")
        elif key == "valueType":
            if kind == "LanguageProperty" and raw.rpartition("#")[2].rpartition(":")[2] != _LANG_STRING:
                raise _bad(f"{name}: the valueType of a LanguageProperty is {_LANG_STRING}")
            found[key] = self.terms.expand_vocab(raw)
        else:
            found[key] = raw

    # Values

    def value(self, name: str, kind: str, raw: Any) -> Any:
        if raw is None:
            raise _bad(f"{name}: found null as value; an attribute is removed with {NULL}")
        if raw == NULL:
            if self.nulls == "none":
                raise _bad(f"{name}: {NULL} removes something; it cannot be stored")
            return NULL
        if isinstance(raw, str | int | float) and kind in ("", "Property"):
            return raw
        return getattr(self, "_" + (kind or "Property"))(name, raw)

    def _Property(self, name: str, raw: Any) -> Any:  # noqa: N802 - named after the kind
        if self.nulls != "deep" and has_null(raw):
            raise _bad(f"{name}: {NULL} inside a value; only a merge takes that")
        if isinstance(raw, dict) and "@value" in raw:
            self._typed(name, raw)
        return raw

    @staticmethod
    def _typed(name: str, raw: dict[str, Any]) -> None:
        """Checks {"@type": "DateTime", "@value": …} and the like (4.6.3)."""
        kind, value = raw.get("@type"), raw["@value"]
        short = kind.removeprefix(CORE) if isinstance(kind, str) else None
        good = {"DateTime": times.is_datetime, "Date": times.is_date, "Time": times.is_time}.get(short or "")
        if kind is not None and short is None:
            raise _bad(f"{name}: found @type {_short(kind)}; expected a string")
        if good is not None and not (isinstance(value, str) and good(value)):
            raise _bad(f"{name}: found {_short(value)}; expected a {short}")

    @staticmethod
    def _GeoProperty(name: str, raw: Any) -> Any:  # noqa: N802
        if isinstance(raw, str):
            try:
                raw = msgspec.json.decode(raw)
            except (msgspec.DecodeError, RecursionError):
                raise _bad(f"{name}: found {_short(raw)}; expected a GeoJSON geometry") from None
        fault = geometry_fault(raw)
        if fault:
            raise _bad(f"{name}: {fault}")
        return raw

    def _Relationship(self, name: str, raw: Any) -> Any:  # noqa: N802
        if isinstance(raw, list):
            if not raw:
                raise _bad(f"{name}: found an empty array of objects")
            return [check_id(part, f"{name}: object") for part in raw]
        return check_id(raw, f"{name}: object")

    def _ListRelationship(self, name: str, raw: Any) -> Any:  # noqa: N802
        if not isinstance(raw, list):
            raise _bad(f"{name}: found {_short(raw)}; expected an array of objects")
        if raw == [NULL] and self.nulls != "none":
            return NULL
        return [check_id(part["object"] if isinstance(part, dict) and part.keys() == {"object"} else part, f"{name}: object") for part in raw]

    def _ListProperty(self, name: str, raw: Any) -> Any:  # noqa: N802
        if not isinstance(raw, list):
            raise _bad(f"{name}: found {_short(raw)}; expected an array of values")
        if raw == [NULL] and self.nulls != "none":
            return NULL
        if has_null(raw):
            raise _bad(f"{name}: {NULL} inside a list of values")
        return raw

    def _VocabProperty(self, name: str, raw: Any) -> Any:  # noqa: N802
        names = raw if isinstance(raw, list) else [raw]
        for part in names:
            if not isinstance(part, str) or not part or part == NULL:
                raise _bad(f"{name}: found {_short(part)}; expected a word of a vocabulary")
        expanded = [self.terms.expand_vocab(part) for part in names]
        return expanded if isinstance(raw, list) else expanded[0]

    def _JsonProperty(self, name: str, raw: Any) -> Any:  # noqa: N802
        if not isinstance(raw, dict) and not (isinstance(raw, list) and all(isinstance(part, dict) for part in raw)):
            raise _bad(f"{name}: found {_short(raw)}; expected a JSON object or an array of objects")
        if self.nulls != "deep" and has_null(raw):
            raise _bad(f"{name}: {NULL} inside a value; only a merge takes that")
        return raw

    def _LanguageProperty(self, name: str, raw: Any) -> Any:  # noqa: N802
        if not isinstance(raw, dict) or not raw:
            raise _bad(f"{name}: found {_short(raw)}; expected an object with a text per language")
        if self.nulls != "none" and raw == {"@none": NULL}:
            return NULL
        for language, text in raw.items():
            texts = text if isinstance(text, list) else [text]
            if not is_language(language):
                raise _bad(f"{name}: {_short(language)} is not a language tag")
            if not all(isinstance(part, str) for part in texts):
                raise _bad(f"{name}: found {_short(text)} for {language}; expected a text or an array of texts")
            if NULL in texts and (self.nulls != "deep" or text != NULL):
                raise _bad(f"{name}: {NULL} removes something; it cannot be stored")
        return raw


# --- Looking ---------------------------------------------------------------------------------------------------------------------------


def attributes(entity: Mapping[str, Any]) -> Iterator[tuple[str, list[Instance]]]:
    """The attributes of an entity with their instances, in stored order."""
    return ((key, value) for key, value in entity.items() if key not in OWN)


def sub_attributes(instance: Mapping[str, Any]) -> Iterator[tuple[str, list[Instance]]]:
    """The attributes of an instance with their instances, in stored order."""
    return ((key, value) for key, value in instance.items() if key not in RESERVED)


def value_of(instance: Mapping[str, Any]) -> Any:
    """The value of an instance, whatever its kind.

    >>> value_of({"type": "Relationship", "object": "urn:a"})
    'urn:a'
    """
    return instance.get(MEMBER[instance["type"]])


def is_null(instance: Mapping[str, Any]) -> bool:
    """Whether an instance of a fragment asks for removal.

    >>> is_null({"type": "LanguageProperty", "languageMap": {"@none": "urn:ngsi-ld:null"}})
    True
    """
    for member in _KIND_OF:
        if member in instance:
            value = instance[member]
            return value == NULL or (member == "languageMap" and value == {"@none": NULL})
    return False


# --- Changing --------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Change:
    """What an operation made of an entity.

    entity    the new entity; None: it is gone
    previous  the old one; None if there was none
    changed   (attribute IRI or "type" or "scope" or "expiresAt", datasetId or None, "created" | "updated" | "deleted"), in order
    refused   [{"attributeName": IRI or "scope", "reason": text}], what the operation leaves alone; `notUpdated` of the standard
    """

    entity: Entity
    previous: Entity | None
    changed: list[tuple[str, str | None, str]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)

    @property
    def fresh(self) -> bool:
        """Whether there was nothing before."""
        return self.previous is None

    @property
    def updated(self) -> list[str]:
        """The names in `changed`, each once, in order."""
        return list(dict.fromkeys(name for name, _, _ in self.changed))


def create(entity: Entity) -> Change:
    """The change from nothing to entity (5.6.1)."""
    made = [(name, instance.get("datasetId"), "created") for name, found in entity.items() if name not in OWN for instance in found]
    return Change(entity, None, made)


def append(entity: Entity, fragment: Entity, *, now: str, overwrite: bool = True) -> Change:
    """Adds the attributes of fragment, and with overwrite replaces those instances that are there (5.6.3).

    Types are added. A scope replaces the old one, or without overwrite is added to it.
    """
    change = Change(dict(entity), entity)
    _head(change, fragment, add_scope=not overwrite)
    for name, instances in attributes(fragment):
        for instance in instances:
            old = _find(change.entity.get(name), instance.get("datasetId"))
            if old is not None and not overwrite:
                change.refused.append({"attributeName": name, "reason": "the attribute is there already and was not to be overwritten"})
            else:
                _put(change, name, old, instance)
    return _close(change, now)


def update(entity: Entity, fragment: Entity, *, now: str) -> Change:
    """Replaces the instances that fragment names, adds those that are not there, removes those that it sets to null (5.6.2, 5.5.8).

    Types are added; a scope replaces the old one, and is refused where there is none.
    """
    change = Change(dict(entity), entity)
    if "scope" in fragment and "scope" not in entity:
        change.refused.append({"attributeName": "scope", "reason": "the entity has no scope"})
        fragment = {key: value for key, value in fragment.items() if key != "scope"}
    _head(change, fragment)
    for name, instances in attributes(fragment):
        for instance in instances:
            old = _find(change.entity.get(name), instance.get("datasetId"))
            if not is_null(instance):
                _put(change, name, old, instance)
            elif old is not None:
                _drop(change, name, old)
            else:
                change.refused.append({"attributeName": name, "reason": "the attribute to remove is not there"})
    return _close(change, now)


def partial(entity: Entity, name: str, fragment: Instance, *, now: str) -> Change:
    """Overwrites single members of one instance, chosen by the datasetId of fragment; null removes a member or the instance (5.6.4).

    Raises Problem: ResourceNotFound if there is no such instance, BadRequestData if fragment is of another kind.
    """
    change = Change(dict(entity), entity)
    old = _need(entity, name, fragment.get("datasetId"))
    if is_null(fragment):
        _drop(change, name, old)
        return _close(change, now)
    fragment = _as_kind(name, fragment, old["type"])
    new = dict(old)
    for key, value in fragment.items():
        if key in ("type", "createdAt", "modifiedAt"):
            continue
        if key in RESERVED:
            _member(new, key, value)
        else:
            for sub in value:
                _exchange(new, key, _find(new.get(key), sub.get("datasetId")), None if is_null(sub) else _settled(key, sub))
    new["modifiedAt"] = now
    _exchange(change.entity, name, old, new, inherit=False)
    change.changed.append((name, old.get("datasetId"), "updated"))
    return _close(change, now)


def replace_attr(entity: Entity, name: str, instances: Iterable[Instance], *, now: str) -> Change:
    """Puts instances in the place of those with the same datasetId; their kind may change (5.6.19).

    Raises Problem ResourceNotFound if one of them is not there.
    """
    change = Change(dict(entity), entity)
    for instance in instances:
        old = _need(change.entity, name, instance.get("datasetId"))
        if is_null(instance):
            _drop(change, name, old)
        else:
            _put(change, name, old, instance)
    return _close(change, now)


def delete_attr(entity: Entity, name: str, *, now: str, datasetId: str | None = None, delete_all: bool = False) -> Change:  # noqa: N803
    """Removes one instance of an attribute, or all of them; name may be "scope" (5.6.5).

    Raises Problem ResourceNotFound if there is none.
    """
    change = Change(dict(entity), entity)
    if name == "scope":
        if "scope" not in entity:
            raise Problem("ResourceNotFound", "Attribute not found", "the entity has no scope")
        del change.entity["scope"]
        change.changed.append(("scope", None, "deleted"))
    elif delete_all:
        if name not in entity:
            raise Problem("ResourceNotFound", "Attribute not found", f"{name} in {entity['id']}")
        for old in entity[name]:
            _drop(change, name, old)
    else:
        _drop(change, name, _need(entity, name, datasetId))
    return _close(change, now)


def merge(entity: Entity, fragment: Entity, *, now: str, observedAt: str | None = None, lang: str | None = None, terms: Terms | None = None) -> Change:  # noqa: N803
    """Merges a fragment into an entity, as JSON Merge Patch with "urn:ngsi-ld:null" for null (5.6.17, 5.5.12; RFC 7396).

    observedAt  becomes that of each merged instance that had one, where the fragment brings none
    lang        language in which a bare text goes into a LanguageProperty; without it "@none"
    terms       for bare texts that go into a VocabProperty

    Attributes that are not there are added; a removal of something that is not there changes nothing.
    Raises Problem BadRequestData for an attribute without value that is not there, or a value that does not fit.
    """
    change = Change(dict(entity), entity)
    _head(change, fragment)
    for name, instances in attributes(fragment):
        for instance in instances:
            old = _find(change.entity.get(name), instance.get("datasetId"))
            if is_null(instance):
                if old is not None:
                    _drop(change, name, old)
            elif old is None:
                _put(change, name, None, _settled(name, instance))
            else:
                merged = _merged(name, old, instance, lang, terms)
                if observedAt is not None and "observedAt" in old and "observedAt" not in instance:
                    merged["observedAt"] = observedAt
                _exchange(change.entity, name, old, merged, inherit=False)
                change.changed.append((name, old.get("datasetId"), "updated"))
    return _close(change, now)


def replace(entity: Entity, new: Entity, *, now: str) -> Change:
    """Puts new in the place of entity; only createdAt stays (5.6.18)."""
    result = {**new, "createdAt": entity["createdAt"], "modifiedAt": now}
    change = Change(result, entity)
    changed = change.changed
    for name in ("type", "scope", "expiresAt"):
        if entity.get(name) != new.get(name):
            changed.append((name, None, "created" if name not in entity else "updated" if name in new else "deleted"))
    for name, instances in attributes(new):
        before = entity.get(name)
        if before is None:
            changed += [(name, instance.get("datasetId"), "created") for instance in instances]
        elif len(before) == 1 == len(instances) and before[0].get("datasetId") == instances[0].get("datasetId"):  # nearly always
            changed.append((name, before[0].get("datasetId"), "updated"))
            result[name] = [_inherit(before[0], instances[0])]
        else:
            result[name] = [_inherit(_find(before, instance.get("datasetId")), instance) for instance in instances]
            for instance in instances:
                dataset = instance.get("datasetId")
                changed.append((name, dataset, "created" if _find(before, dataset) is None else "updated"))
    for name, instances in attributes(entity):
        after = new.get(name)
        if after is not None and len(after) == 1 == len(instances) and after[0].get("datasetId") == instances[0].get("datasetId"):
            continue
        for instance in instances:
            if _find(after, instance.get("datasetId")) is None:
                changed.append((name, instance.get("datasetId"), "deleted"))
    return change


def expire(entity: Entity, *, now: str) -> Change:
    """Removes the instances whose expiresAt has passed by now, sub-attributes too (4.22); `changed` is empty if there are none."""
    change = Change(dict(entity), entity)
    at = times.parse(now)
    for name, instances in attributes(entity):
        for old in instances:
            if _expired(old, at):
                _drop(change, name, old)
            elif (kept := _unexpired(old, at)) is not old:
                _exchange(change.entity, name, old, {**kept, "modifiedAt": now}, inherit=False)
                change.changed.append((name, old.get("datasetId"), "updated"))
    return _close(change, now)


def soonest(entity: Mapping[str, Any]) -> str | None:
    """The first expiresAt among the instances of an entity, sub-attributes too; None if none of them expires.

    >>> soonest({"id": "urn:a", "https://x/b": [{"expiresAt": "2027-01-01T00:00:00Z"}, {"expiresAt": "2026-12-01T00:00:00Z"}]})
    '2026-12-01T00:00:00Z'
    """
    found: list[str] = []
    _expiries(entity, OWN, found)
    return min(found, key=times.parse) if found else None


def _expiries(holder: Mapping[str, Any], skipped: frozenset[str], found: list[str]) -> None:
    """Gathers the times at which attributes expire."""
    for key, instances in holder.items():
        if key not in skipped:
            for instance in instances:
                if "expiresAt" in instance:
                    found.append(instance["expiresAt"])
                # An instance of four members has a kind, a value and two times.
                if len(instance) > 4:
                    _expiries(instance, RESERVED, found)


def _expired(instance: Instance, at: int) -> bool:
    return "expiresAt" in instance and times.parse(instance["expiresAt"]) <= at


def _unexpired(instance: Instance, at: int) -> Instance:
    """An instance without expired sub-attributes; itself if there are none."""
    new = instance
    for name, subs in sub_attributes(instance):
        kept = [_unexpired(sub, at) for sub in subs if not _expired(sub, at)]
        if len(kept) != len(subs) or any(a is not b for a, b in zip(kept, subs, strict=True)):
            new = {**new, name: kept}
            if not kept:
                del new[name]
    return new


def _find(instances: Iterable[Instance] | None, dataset: str | None) -> Instance | None:
    for instance in instances or ():
        if instance.get("datasetId") == dataset:
            return instance
    return None


def _need(entity: Entity, name: str, dataset: str | None) -> Instance:
    found = _find(entity.get(name), dataset)
    if found is None:
        raise Problem("ResourceNotFound", "Attribute not found", f"{name} with {'datasetId ' + dataset if dataset else 'no datasetId'} in {entity['id']}")
    return found


def _head(change: Change, fragment: Entity, *, add_scope: bool = False) -> None:
    """Takes type, scope and expiresAt from a fragment into the new entity."""
    entity = change.entity
    added = [name for name in fragment.get("type", ()) if name not in entity["type"]]
    if added:
        entity["type"] = entity["type"] + added
        change.changed.append(("type", None, "updated"))
    for name in ("scope", "expiresAt"):
        if name not in fragment:
            continue
        value = fragment[name]
        kind = "updated" if name in entity else "created"
        if value in (NULL, [NULL]):
            if entity.pop(name, None) is not None:
                change.changed.append((name, None, "deleted"))
            continue
        if name == "scope" and add_scope:
            value = list(dict.fromkeys([*entity.get("scope", ()), *value]))
        entity[name] = value
        change.changed.append((name, None, kind))


def _close(change: Change, now: str) -> Change:
    if change.changed:
        change.entity["modifiedAt"] = now
    return change


def _put(change: Change, name: str, old: Instance | None, instance: Instance) -> None:
    _exchange(change.entity, name, old, _settled(name, instance))
    change.changed.append((name, instance.get("datasetId"), "created" if old is None else "updated"))


def _drop(change: Change, name: str, old: Instance) -> None:
    _exchange(change.entity, name, old, None)
    change.changed.append((name, old.get("datasetId"), "deleted"))


def _exchange(holder: dict[str, Any], name: str, old: Instance | None, new: Instance | None, *, inherit: bool = True) -> None:
    """Puts new in the place of old among the instances of an attribute, in a new list; None stands for nothing."""
    found = list(holder.get(name, ()))
    if old is None:
        if new is not None:
            found.append(new)
    else:
        place = next(i for i, instance in enumerate(found) if instance is old)
        if new is None:
            del found[place]
        else:
            found[place] = _inherit(old, new) if inherit else new
    if found:
        holder[name] = found
    else:
        holder.pop(name, None)


def _inherit(old: Instance | None, new: Instance) -> Instance:
    """new with createdAt from old, in sub-attributes too."""
    if old is None or (old["createdAt"] == new["createdAt"]):
        return new
    new = {**new, "createdAt": old["createdAt"]}
    if new.keys() <= RESERVED:
        return new
    for name, instances in sub_attributes(new):
        if name in old:
            new[name] = [_inherit(_find(old[name], instance.get("datasetId")), instance) for instance in instances]
    return new


def _settled(name: str, instance: Instance) -> Instance:
    """An instance of a fragment as it is stored where nothing was before: without what it wants removed, and with a kind."""
    value = instance.get("value")
    if instance["type"] == "Property" and type(value) in _SCALARS and name not in _GEO and instance.keys() <= RESERVED and NULL not in instance.values():
        return instance  # nothing is to be settled
    settled: Instance = {}
    for key, value in instance.items():
        if key not in RESERVED:
            kept = [_settled(key, sub) for sub in value if not is_null(sub)]
            if kept:
                settled[key] = kept
        elif value != NULL:
            settled[key] = _without_null(value) if isinstance(value, dict | list) else value
    if not settled["type"]:
        settled["type"] = "Property"
    if name in _GEO and settled["type"] != "GeoProperty":
        raise _bad(f"{name} is a GeoProperty; found a {settled['type']}")
    member = MEMBER[settled["type"]]
    if member not in settled:
        raise _bad(f"{name}: this attribute is not there yet; the fragment gives no {member}")
    return settled


def _without_null(value: Any) -> Any:
    """value without the members that a merge wants removed; the same object if there are none."""
    if not has_null(value):
        return value
    if isinstance(value, dict):
        return {key: _without_null(part) for key, part in value.items() if part != NULL}
    if isinstance(value, list):
        return [_without_null(part) for part in value if part != NULL]
    return value


def _patched(old: Any, new: Any) -> Any:
    """JSON Merge Patch (RFC 7396) with the null marker for null."""
    if not isinstance(new, dict):
        return _without_null(new)
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value == NULL:
            result.pop(key, None)
        else:
            result[key] = _patched(result.get(key), value)
    return result


def _member(instance: Instance, key: str, value: Any) -> None:
    """Sets or removes a plain member."""
    if value == NULL:
        instance.pop(key, None)
    else:
        instance[key] = value


def _as_kind(name: str, fragment: Instance, kind: str) -> Instance:
    """A fragment that brings, if any, a value for an instance of that kind."""
    given = next((member for member in _KIND_OF if member in fragment), None)
    if (fragment["type"] or kind) != kind or (given is not None and given != MEMBER[kind]):
        raise _bad(f"{name} is a {kind}; the fragment is of another kind ({fragment['type'] or given})")
    if given and not fragment["type"] and kind == "GeoProperty":
        return {**fragment, "value": _Reader._GeoProperty(name, fragment["value"])}
    return fragment


def _merged(name: str, old: Instance, fragment: Instance, lang: str | None, terms: Terms | None) -> Instance:
    """One instance after a merge."""
    fragment = _adapted(old, fragment, lang, terms)
    if fragment["type"] != old["type"]:
        return _inherit(old, _settled(name, fragment))
    new = dict(old)
    member = MEMBER[old["type"]]
    for key, value in fragment.items():
        if key in ("type", "createdAt"):
            continue
        if key == member and old["type"] in ("Property", "JsonProperty", "LanguageProperty"):
            new[key] = _patched(old.get(key), value)
            if key == "languageMap" and not new[key]:
                raise _bad(f"{name}: nothing would be left of the languages; remove the attribute")
        elif key in RESERVED:
            _member(new, key, value)
        else:
            for sub in value:
                before = _find(new.get(key), sub.get("datasetId"))
                if is_null(sub):
                    after = None
                elif before is None:
                    after = _settled(key, sub)
                else:
                    after = _merged(key, before, sub, lang, terms)
                _exchange(new, key, before, after, inherit=False)
    return new


def _adapted(old: Instance, fragment: Instance, lang: str | None, terms: Terms | None) -> Instance:
    """A fragment whose kind was left open (a bare value, or none) as one of the kind of the instance it is meant for."""
    if fragment["type"]:
        return fragment
    kind = old["type"]
    fragment = {**fragment, "type": kind}
    if "value" not in fragment or kind == "Property":
        return fragment
    value = fragment.pop("value")
    if kind == "LanguageProperty" and isinstance(value, str):
        fragment["languageMap"] = {lang or "@none": value}
    elif kind == "Relationship" and isinstance(value, str) and is_uri(value):
        fragment["object"] = value
    elif kind == "VocabProperty" and isinstance(value, str) and terms is not None:
        fragment["vocab"] = terms.expand_vocab(value)
    elif kind == "ListProperty" and isinstance(value, list):
        fragment["valueList"] = value
    else:
        return {**fragment, "type": "Property", "value": value}
    return fragment
