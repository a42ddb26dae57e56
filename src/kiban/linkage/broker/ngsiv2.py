"""NGSIv2 on the data of the NGSI-LD broker: names, ids, values, metadata and entities, both ways.

In: NGSIv2 JSON (normalized or keyValues) and internal entities. Out: internal entities and NGSIv2 JSON. Nothing here opens a store or a socket.
The rules, with what cannot be represented, are in docs/explanation/ngsiv2-mapping.md. Two of them shape the code:

* An NGSIv2 id that is a URI is the id of both APIs. Any other id `x` of type `T` is `urn:ngsi-ld:T:v2:x` in NGSI-LD.
* What NGSI-LD has no place for (the type "Celsius" of a number, the text of a geo:point) is remembered in the instance under MEMORY.
  The memory is believed only while it still converts to the value that is stored, so a write through NGSI-LD can never be contradicted by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker import times
from kiban.linkage.broker.model import HIDDEN, OWN, RESERVED
from kiban.linkage.errors import Problem

Json = Any
Entity = dict[str, Any]
Instance = dict[str, Any]

DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
MEMORY = HIDDEN
# A name that a term of the same spelling already means something else in the entity (in the instance): it stays in the default context and
# shows there as a whole IRI.
ENTITY_WORDS = OWN
INSTANCE_WORDS = frozenset({*RESERVED, "objectListType", "previousObjectType"} - {MEMORY})
# Members of an instance that NGSIv2 shows as metadata of another name, or not at all.
MEMBERS = INSTANCE_WORDS | {MEMORY}
ATTRIBUTE_BUILTINS = frozenset(("dateCreated", "dateModified", "dateExpires", "servicePath", "alterationType"))

FORBIDDEN = re.compile(r"[<>\"'=;()]")
_IDENTIFIER = re.compile(r"(?:(?![&?/#<>\"'=;()])[!-~]){1,256}\Z")
_IRI_NAME = re.compile(r"(?=.{1,256}\Z)[A-Za-z][A-Za-z0-9+.-]*://(?:(?![<>\"'=;()])[!-~])+\Z")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f]+\Z")
WRAPPED = re.compile(r"urn:ngsi-ld:([^:]+):v2:(.+)\Z", re.DOTALL)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\Z", re.IGNORECASE
)
_SERVICE = re.compile(r"[A-Za-z0-9_]{1,50}\Z")
_PATH = re.compile(r"(?:/[A-Za-z0-9_]{1,50}){1,10}\Z")
_NAMES_KEPT = 20_000


class Refused(KibanError):
    """A request that NGSIv2 refuses.

    Parameters
    ----------
    status       HTTP status
    error        the word of NGSIv2: ParseError, BadRequest, NotFound, TooManyResults, Unprocessable, PartialUpdate …
    description  what is wrong, for people

    >>> Refused(404, "NotFound", "The requested entity has not been found. Check type and id").body()
    {'error': 'NotFound', 'description': 'The requested entity has not been found. Check type and id'}
    """

    exit_code = 1

    def __init__(self, status: int, error: str, description: str) -> None:
        self.status, self.error, self.description = status, error, description
        super().__init__(error, description)

    def body(self) -> dict[str, str]:
        """The answer as JSON."""
        return {"error": self.error, "description": self.description}


def bad(description: str) -> Refused:
    """400: the fault lies in the request alone."""
    return Refused(400, "BadRequest", description)


def entity_not_found() -> Refused:
    """404: no entity of that id (and type)."""
    return Refused(404, "NotFound", "The requested entity has not been found. Check type and id")


def attribute_not_found() -> Refused:
    """404: the entity has no attribute of that name."""
    return Refused(404, "NotFound", "The entity does not have such an attribute")


def ambiguous() -> Refused:
    """409: the id without a type fits several entities."""
    return Refused(409, "TooManyResults", "More than one matching entity. Please refine your query")


def unprocessable(description: str) -> Refused:
    """422: the request does not fit what is stored."""
    return Refused(422, "Unprocessable", description)


# --- names ------------------------------------------------------------------------------------------------------------------------


class Terms(Protocol):
    """What this module needs of a compiled @context."""

    def expand(self, term: str) -> str:
        """The IRI of an attribute name."""
        ...

    def expand_type(self, term: str) -> str:
        """The IRI of an entity type."""
        ...

    def expand_vocab(self, value: str) -> str:
        """The IRI of a word."""
        ...

    def compact(self, iri: str) -> str:
        """The short name of an IRI."""
        ...


class Names:
    """Names of NGSIv2 ↔ IRIs of NGSI-LD under one @context, exactly reversible.

    A name is what the @context compacts the IRI to. Where the @context would read the name as something else, the name stands for
    itself in the default context. An IRI without a short name is its own name.

    Parameters
    ----------
    terms  the compiled @context that NGSIv2 clients work under: the core context, or that of `--v2-context` with the core context behind it
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._memo: dict[tuple[str, str], str] = {}

    def attr(self, name: str) -> str:
        """The IRI of an attribute."""
        return self._iri("a", name, self.terms.expand, ENTITY_WORDS)

    def attr_name(self, iri: str) -> str:
        """The NGSIv2 name of an attribute."""
        return self._name("A", iri, self.terms.expand, ENTITY_WORDS)

    def meta(self, name: str) -> str:
        """The IRI of a metadata element, which is a sub-attribute."""
        return self._iri("m", name, self.terms.expand, INSTANCE_WORDS)

    def meta_name(self, iri: str) -> str:
        """The NGSIv2 name of a sub-attribute."""
        return self._name("M", iri, self.terms.expand, INSTANCE_WORDS)

    def type(self, name: str) -> str:
        """The IRI of an entity type."""
        return self._iri("t", name, self.terms.expand_type, frozenset())

    def type_name(self, iri: str) -> str:
        """The NGSIv2 name of an entity type."""
        return self._name("T", iri, self.terms.expand_type, frozenset())

    def _remember(self, key: tuple[str, str], value: str) -> str:
        # Names come from clients: without a bound, a client could fill the memory with them.
        if len(self._memo) >= _NAMES_KEPT:
            self._memo.clear()
        self._memo[key] = value
        return value

    def _iri(self, sort: str, name: str, expand: Callable[[str], str], words: frozenset[str]) -> str:
        known = self._memo.get((sort, name))
        if known is not None:
            return known
        if "://" in name and _URI.match(name):
            return self._remember((sort, name), name)
        if name not in words and not name.startswith("@"):
            try:
                iri = expand(name)
                if ":" in iri and self.terms.compact(iri) == name:
                    return self._remember((sort, name), iri)
            except Problem:  # the @context maps the name to nothing
                pass
        return self._remember((sort, name), DEFAULT + name)

    def _name(self, sort: str, iri: str, expand: Callable[[str], str], words: frozenset[str]) -> str:
        known = self._memo.get((sort, iri))
        if known is not None:
            return known
        short = self.terms.compact(iri)
        # A prefix of the @context in front of a path is no name of NGSIv2.
        if "/" in short or self._iri(sort.lower(), short, expand, words) != iri:
            rest = iri.removeprefix(DEFAULT)
            short = rest if rest != iri and rest and self._iri(sort.lower(), rest, expand, words) == iri else iri
        return self._remember((sort, iri), short)


def check_identifier(value: Json, what: str) -> str:
    """An id, a type or a name in a body, by the rules of NGSIv2: 1 to 256 visible ASCII characters but & ? / # < > " ' = ; ( ).

    A whole IRI (`https://…`) is taken too: that is how a name without a short form in the @context is written. Raises Refused.

    >>> check_identifier("Room1", "entity id")
    'Room1'
    """
    if not isinstance(value, str):
        raise bad(f"{what} must be a string")
    if not value:
        raise bad(f"empty {what}")
    if len(value) > 256:
        raise bad(f"{what} length: {len(value)}, max length supported: 256")
    if not _IDENTIFIER.match(value) and not _IRI_NAME.match(value):
        raise bad(f"Invalid characters in {what}")
    return value


def check_address(value: str, what: str) -> str:
    """An id, type or name in a URL. What NGSI-LD may have written is accepted; what NGSIv2 forbids everywhere is not. Raises Refused."""
    if not value:
        raise bad(f"empty {what}")
    if FORBIDDEN.search(value) or any(letter <= " " for letter in value):
        raise bad(f"Invalid characters in {what}")
    return value


def _check_text(value: Json, what: str) -> None:
    """No forbidden character in any string of a value, keys included."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if FORBIDDEN.search(item):
                raise bad(f"Invalid characters in {what}")
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            stack += item
            stack += item.values()


# --- ids, tenants, service paths --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def ld_id(id: str, type: str) -> str:
    """The NGSI-LD id of an NGSIv2 entity.

    >>> ld_id("Room1", "Room"), ld_id("urn:ngsi-ld:Room:1", "Room"), ld_id("a{b}", "T:x")
    ('urn:ngsi-ld:Room:v2:Room1', 'urn:ngsi-ld:Room:1', 'urn:ngsi-ld:T%3Ax:v2:a%7Bb%7D')
    """
    prefix = f"urn:ngsi-ld:{quote(type, safe='!$*+,@')}:v2:"
    if _URI.match(id) and not id.startswith(prefix):
        return id
    return prefix + quote(id, safe="!$*+,:@")


def v2_id(id: str, types: Sequence[str]) -> tuple[str, str]:
    """The NGSIv2 id and type of an entity.

    Parameters
    ----------
    id     the NGSI-LD id
    types  the NGSIv2 names of its types; NGSIv2 shows one of them

    >>> v2_id("urn:ngsi-ld:Room:v2:Room1", ["Room"]), v2_id("urn:ngsi-ld:Room:1", ["Room", "Place"])
    (('Room1', 'Room'), ('urn:ngsi-ld:Room:1', 'Room'))
    """
    found = WRAPPED.match(id)
    if found:
        type = unquote(found[1])
        if type in types:
            bare = unquote(found[2])
            if ld_id(bare, type) == id:
                return bare, type
    return id, types[0]


def candidates(id: str, types: Iterable[str]) -> list[str]:
    """The NGSI-LD ids that an NGSIv2 id may stand for: itself where it is a URI, and one for each of the types (NGSIv2 names) that are around."""
    ids = {ld_id(id, type): None for type in types}
    if _URI.match(id):
        ids[id] = None
    return list(ids)


def tenant(header: str | None) -> str:
    """The tenant of a Fiware-Service header: lower case, as NGSIv2 has it; the default tenant without one. Raises Refused.

    >>> tenant("MyTown"), tenant(None)
    ('mytown', '')
    """
    if not header:
        return ""
    if not _SERVICE.match(header):
        raise bad("bad character in tenant name - only underscore and alphanumeric characters are allowed, at most 50")
    return header.lower()


def service_paths(header: str | None, *, update: bool = False) -> list[str] | None:
    """The paths of a Fiware-ServicePath header; None means everything (`/#`), which is also what no header means in a query.

    In an update there is one path without `#`; no header means the root `/`. Raises Refused.

    >>> service_paths("/a/b, /c/#"), service_paths("/#"), service_paths(None, update=True)
    (['/a/b', '/c/#'], None, ['/'])
    """
    if not header:
        return ["/"] if update else None
    paths = [path.strip() for path in header.split(",")]
    if len(paths) > 10:
        raise bad("too many service paths - a maximum of ten service paths is allowed")
    if update and (len(paths) > 1 or paths[0].endswith("#")):
        raise bad("more than one service path, or a path with #, in an update")
    known = []
    for path in paths:
        if not path.startswith("/"):
            raise bad("Only /absolute/ Service Paths allowed [a service path must begin with /]")
        bare = path.removesuffix("/#") if path.endswith("/#") else path.rstrip("/")
        if bare and not _PATH.match(bare):
            raise bad("a component of ServicePath contains an illegal character, is empty or longer than 50, or there are more than 10")
        known.append(path if path.endswith("/#") else bare or "/")
    return None if "/#" in known else known


def in_paths(entity: Entity, paths: Sequence[str] | None) -> bool:
    """Whether an entity lies under one of the service paths.

    >>> in_paths({"scope": ["/a/b"]}, ["/a/#"]), in_paths({}, ["/"]), in_paths({"scope": ["/a"]}, ["/"])
    (True, True, False)
    """
    if paths is None:
        return True
    scopes = entity.get("scope") or ["/"]
    for path in paths:
        if path.endswith("/#"):
            root = path[:-2]
            if any(scope == root or scope.startswith(root + "/") for scope in scopes):
                return True
        elif path in scopes:
            return True
    return False


# --- values -----------------------------------------------------------------------------------------------------------------------


def iso(value: Json, what: str = "DateTime") -> str:
    """A date-time of NGSIv2 in its one written form: UTC with milliseconds. Raises Refused.

    >>> iso("2017-06-17"), iso("2017-06-17T07:21+09"), iso("2017-06-17T072124.5Z")
    ('2017-06-17T00:00:00.000Z', '2017-06-16T22:21:00.000Z', '2017-06-17T07:21:24.500Z')
    """
    us = instant(value)
    if us is None:
        raise bad(f"{what} has an invalid format")
    return times.text(us)


def instant(value: Json) -> int | None:
    """µs since 1970 of a date-time as NGSIv2 reads it; None where it is none."""
    found = _ISO.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, hour, minute, second, fraction, zone = found.groups()
    zone = (zone or "Z").upper()
    if zone != "Z":
        zone = f"{zone[:3]}:{zone[-2:] if len(zone) > 3 else '00'}"
    try:
        return times.parse(f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}.{fraction or '0'}{zone}")
    except ValueError:
        return None


def _same(one: Json, other: Json) -> bool:
    """Equality of JSON values, in which true is not 1."""
    return one == other and msgspec.json.encode(one) == msgspec.json.encode(other)


def default_type(value: Json) -> str:
    """The attribute type that NGSIv2 gives to a value without one.

    >>> [default_type(value) for value in ("a", 1, True, {}, None)]
    ['Text', 'Number', 'Boolean', 'StructuredValue', 'None']
    """
    if isinstance(value, str):
        return "Text"
    if isinstance(value, bool):
        return "Boolean"
    if value is None:
        return "None"
    return "Number" if isinstance(value, int | float) else "StructuredValue"


def _pair(text: Json, what: str) -> list[float]:
    """ "lat, lon" as [lon, lat]."""
    parts = text.split(",") if isinstance(text, str) else []
    try:
        lat, lon = (float(part) for part in parts)
    except ValueError:
        raise bad(f"{what}: expected a text such as '35.68, 139.76'") from None
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise bad(f"{what}: latitude is from -90 to 90 and longitude from -180 to 180")
    return [lon, lat]


def _pairs(value: Json, what: str, least: int, most: int | None = None) -> list[list[float]]:
    if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
        raise bad(f"{what}: expected a list of {'exactly' if most else 'at least'} {least} coordinate pairs")
    return [_pair(item, what) for item in value]


_SHAPES = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def _numbers(value: Json, depth: int) -> bool:
    if not isinstance(value, list) or not value:
        return False
    if depth:
        return all(_numbers(item, depth - 1) for item in value)
    return 2 <= len(value) <= 3 and all(isinstance(item, int | float) and not isinstance(item, bool) for item in value)


def geometry(kind: str, value: Json) -> Json:
    """A location of NGSIv2 as a GeoJSON geometry.

    Parameters
    ----------
    kind   geo:json, geo:point, geo:line, geo:polygon or geo:box
    value  the attribute value; latitude stands first in all but geo:json

    Raises Refused.

    >>> geometry("geo:point", "35.68, 139.76")
    {'type': 'Point', 'coordinates': [139.76, 35.68]}
    >>> geometry("geo:box", ["35, 139", "36, 140"])["coordinates"]
    [[[139.0, 35.0], [140.0, 35.0], [140.0, 36.0], [139.0, 36.0], [139.0, 35.0]]]
    """
    if kind == "geo:point":
        return {"type": "Point", "coordinates": _pair(value, kind)}
    if kind == "geo:line":
        return {"type": "LineString", "coordinates": _pairs(value, kind, 2)}
    if kind == "geo:polygon":
        ring = _pairs(value, kind, 4)
        if ring[0] != ring[-1]:
            raise bad("geo:polygon: the first and the last point must be the same")
        return {"type": "Polygon", "coordinates": [ring]}
    if kind == "geo:box":
        (west, south), (east, north) = _pairs(value, kind, 2, 2)
        west, east, south, north = min(west, east), max(west, east), min(south, north), max(south, north)
        return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}
    return _geojson(value)


def _geojson(value: Json) -> Json:
    if not isinstance(value, dict):
        raise bad("geo:json needs an object as value")
    if value.get("type") == "FeatureCollection":
        features = value.get("features")
        if not isinstance(features, list) or len(features) != 1 or not isinstance(features[0], dict):
            raise bad("geo:json: a FeatureCollection must have exactly one Feature")
        value = features[0]
    if value.get("type") == "Feature":
        value = value.get("geometry")
        if not isinstance(value, dict):
            raise bad("geo:json: a Feature must have a geometry")
    shape = value.get("type")
    depth = _SHAPES.get(shape) if isinstance(shape, str) else None
    if depth is None or not _numbers(value.get("coordinates"), depth):
        raise bad("geo:json: expected a Point, MultiPoint, LineString, MultiLineString, Polygon or MultiPolygon with its coordinates")
    return value


GEO = frozenset(("geo:json", "geo:point", "geo:line", "geo:polygon", "geo:box"))
MAIN = {
    "Property": "value",
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}


def _texts(value: Json) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value))


def _uris(value: Json) -> bool:
    return all(_URI.match(item) for item in ([value] if isinstance(value, str) else value))


def to_instance(kind: str, value: Json, terms: Terms, *, plain: bool = False) -> Instance:
    """The main members of an internal instance for an NGSIv2 value.

    Parameters
    ----------
    kind   attribute (or metadata) type of NGSIv2
    value  any JSON
    terms  for the words of a VocabProperty
    plain  the attribute has `ignoreType`: a location is an ordinary value

    Raises Refused where a DateTime or a location is none.

    >>> to_instance("Celsius", 23.5, None)
    {'type': 'Property', 'value': 23.5}
    >>> to_instance("Relationship", "urn:ngsi-ld:Floor:1", None), to_instance("Relationship", "Floor1", None)
    ({'type': 'Relationship', 'object': 'urn:ngsi-ld:Floor:1'}, {'type': 'Property', 'value': 'Floor1'})
    """
    if value is None:
        return {"type": "JsonProperty", "json": None}
    if kind in GEO and not plain:
        return {"type": "GeoProperty", "value": geometry(kind, value)}
    if kind in ("DateTime", "ISO8601"):
        return {"type": "Property", "value": {"@type": "DateTime", "@value": iso(value)}}
    if kind == "Relationship":
        if _texts(value) and _uris(value):
            return {"type": "Relationship", "object": value}
    elif kind == "LanguageProperty":
        if isinstance(value, dict) and value and all(_texts(item) for item in value.values()):
            return {"type": "LanguageProperty", "languageMap": value}
    elif kind == "VocabProperty":
        if _texts(value):
            try:
                words = terms.expand_vocab(value) if isinstance(value, str) else [terms.expand_vocab(item) for item in value]
            except Problem:  # the @context maps the word to nothing
                return {"type": "Property", "value": value}
            return {"type": "VocabProperty", "vocab": words}
    elif kind == "JsonProperty":
        return {"type": "JsonProperty", "json": value}
    elif kind == "ListProperty":
        if isinstance(value, list):
            return {"type": "ListProperty", "valueList": value}
    elif kind == "ListRelationship" and isinstance(value, list) and all(isinstance(item, str) for item in value) and _uris(value):
        return {"type": "ListRelationship", "objectList": value}
    return {"type": "Property", "value": value}


def derived(instance: Instance, terms: Terms) -> tuple[str, Json]:
    """NGSIv2 type and value of an instance that carries no memory.

    >>> derived({"type": "Property", "value": {"@type": "DateTime", "@value": "2026-11-27T20:10:00Z"}}, None)
    ('DateTime', '2026-11-27T20:10:00.000Z')
    """
    sort = instance["type"]
    value = instance.get(MAIN.get(sort, "value"))
    if sort == "Property":
        if isinstance(value, dict) and len(value) == 2 and value.get("@type") == "DateTime":
            us = instant(value.get("@value"))
            if us is not None:
                return "DateTime", times.text(us)
        return default_type(value), value
    if sort == "GeoProperty":
        return "geo:json", value
    if sort == "VocabProperty":
        return sort, [terms.compact(item) for item in value] if isinstance(value, list) else terms.compact(str(value))
    if sort == "JsonProperty" and value is None:
        return "None", None
    return str(sort), value


def shown(instance: Instance, names: Names) -> tuple[str, Json]:
    """NGSIv2 type and value of an instance, its memory included where that still tells the truth."""
    kind, value = derived(instance, names.terms)
    memory = instance.get(MEMORY)
    if not memory:
        return kind, value
    told = memory.get("type", kind), memory.get("value", value)
    main = MAIN.get(instance["type"], "value")
    try:
        again = to_instance(*told, names.terms, plain=_ignores(instance, names))
    except Refused:
        return kind, value
    if again["type"] == instance["type"] and _same(again.get(main), instance.get(main)):
        return told
    return kind, value


def _ignores(instance: Instance, names: Names) -> bool:
    found = instance.get(names.meta("ignoreType"), [])
    return bool(found) and found[0].get("value") is True


def _build(kind: str, value: Json, names: Names, plain: bool) -> Instance:
    """An instance of type and value, with a memory where the two cannot be derived back."""
    made = to_instance(kind, value, names.terms, plain=plain)
    kind_again, value_again = derived(made, names.terms)
    memory: dict[str, Json] = {}
    if kind_again != kind:
        memory["type"] = kind
    # A geo:json is stored as the geometry alone, also for NGSIv2.
    if (kind in GEO - {"geo:json"} or kind == "VocabProperty") and not _same(value_again, value):
        memory["value"] = value
    if memory:
        made[MEMORY] = memory
    return made


# --- attributes -------------------------------------------------------------------------------------------------------------------


class Given(NamedTuple):
    """An attribute as a client wrote it. `type` and `metadata` are None where they were left out."""

    type: str | None
    value: Json
    metadata: dict[str, tuple[str | None, Json]] | None


def read_attribute(name: str, raw: Json, *, key_values: bool = False, free: bool = False) -> Given:
    """Check one attribute of a body.

    Parameters
    ----------
    name        its name, for messages
    raw         the JSON under that name
    key_values  raw is the bare value
    free        the characters that NGSIv2 forbids in values are allowed

    Raises Refused.

    >>> read_attribute("temperature", {"value": 21, "type": "Number"})
    Given(type='Number', value=21, metadata=None)
    """
    if key_values:
        if not free:
            _check_text(raw, f"attribute value of {name}")
        return Given(None, _no_marker(raw), None)
    if not isinstance(raw, dict):
        raise bad("attribute must be a JSON object, unless keyValues option is used")
    if not raw.keys() <= {"type", "value", "metadata"}:
        raise bad(f"unrecognized property for context attribute {name}")
    kind = raw.get("type")
    if "type" in raw:
        check_identifier(kind, "attribute type")
    metadata = None
    if "metadata" in raw:
        metadata = _read_metadata(raw["metadata"], free)
    value = _no_marker(raw.get("value"))
    if not free and kind != "TextUnrestricted" and (metadata or {}).get("TextUnrestricted", ("", None))[1] is not True:
        _check_text(value, f"attribute value of {name}")
    return Given(kind, value, metadata)


OPERATORS = frozenset(("$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pull", "$pullAll", "$set", "$unset"))


def not_offered(description: str) -> Refused:
    """501: a part of the API that this broker does not have."""
    return Refused(501, "NotImplemented", description)


def _no_marker(value: Json) -> Json:
    if isinstance(value, dict) and not OPERATORS.isdisjoint(value):
        raise not_offered("update operators such as $inc are not offered; write the new value")
    if value == "urn:ngsi-ld:null":
        raise bad("the value urn:ngsi-ld:null means a deletion in NGSI-LD and cannot be stored")
    return value


def _read_metadata(raw: Json, free: bool) -> dict[str, tuple[str | None, Json]]:
    if not isinstance(raw, dict):
        raise bad("metadata must be a JSON object")
    told: dict[str, tuple[str | None, Json]] = {}
    for name, item in raw.items():
        check_identifier(name, "metadata name")
        if name == "*":
            raise bad("* cannot be the name of a metadata element")
        if not isinstance(item, dict):
            raise bad(f"metadata {name} must be a JSON object")
        if not item.keys() <= {"type", "value"}:
            raise bad(f"unrecognized property for metadata {name}")
        kind = item.get("type")
        if "type" in item:
            check_identifier(kind, "metadata type")
        value = _no_marker(item.get("value"))
        if not free:
            _check_text(value, f"metadata value of {name}")
        told[name] = kind, value
    return told


def _dataset(told: Mapping[str, tuple[str | None, Json]]) -> str | None:
    """The datasetId that metadata names; None where there is none, or none that NGSI-LD would take."""
    kind, value = told.get("datasetId", (None, None))
    return value if kind in (None, "Text") and isinstance(value, str) and _URI.match(value) else None


def _members_of_metadata(told: Mapping[str, tuple[str | None, Json]], sort: str, names: Names, now: str) -> dict[str, Json]:
    """Metadata as members of an instance."""
    members: dict[str, Json] = {}
    for name, (kind, value) in told.items():
        if name == "unitCode" and sort == "Property" and kind in (None, "Text") and isinstance(value, str) and value:
            members["unitCode"] = value
        elif name == "datasetId" and _dataset(told) is not None:
            members["datasetId"] = value
        elif name == "TimeInstant" and kind == "DateTime" and value is not None:
            members["observedAt"] = iso(value, "metadata TimeInstant")
        else:
            made = _build(kind if kind is not None else default_type(value), value, names, False)
            members[names.meta(name)] = [made | {"createdAt": now, "modifiedAt": now}]
    return members


def pick(instances: Sequence[Instance]) -> Instance:
    """The instance that NGSIv2 shows: the default one, or else the first by datasetId."""
    for instance in instances:
        if "datasetId" not in instance:
            return instance
    return min(instances, key=lambda instance: str(instance["datasetId"]))


# Members whose meaning hangs on the value; the other metadata of an attribute outlives an update.
_VALUE_MEMBERS = (INSTANCE_WORDS - {"unitCode", "observedAt", "datasetId", "createdAt", "instanceId"}) | {MEMORY}


def write_attribute(given: Given, names: Names, now: str, old: Sequence[Instance] = (), *, override: bool = False) -> list[Instance]:
    """The instances of an attribute after NGSIv2 wrote it.

    Parameters
    ----------
    given     the attribute as read
    names     names and @context
    now       time of the change
    old       its instances so far; those of other datasetIds stay
    override  `options=overrideMetadata`: earlier metadata goes

    Metadata that the request does not mention stays; `"metadata": {}` removes all. Without a type, an attribute that NGSI-LD wrote as a location,
    relationship, language map, … stays one where the new value fits. Raises Refused.
    """
    told = given.metadata or {}
    dataset = _dataset(told)
    before = next((one for one in old if one.get("datasetId") == dataset), None) if dataset is not None else pick(old) if old else None
    keeps = before is not None and not override and not (given.metadata is not None and not told)

    ignore = told["ignoreType"][1] is True if "ignoreType" in told else keeps and before is not None and _ignores(before, names)
    made = _of_kept_sort(given, before, names, ignore)
    if keeps and before is not None:
        kept = {key: value for key, value in before.items() if key not in _VALUE_MEMBERS}
        made = {**kept, **made}
        if made["type"] != "Property":
            made.pop("unitCode", None)
    made.update(_members_of_metadata(told, made["type"], names, now))
    if before is not None and "datasetId" in before:
        made["datasetId"] = before["datasetId"]
    made["createdAt"] = before["createdAt"] if before is not None and "createdAt" in before else now
    made["modifiedAt"] = now
    others = [one for one in old if one is not before]
    return [made, *others] if "datasetId" not in made else [*others, made]


def _of_kept_sort(given: Given, before: Instance | None, names: Names, plain: bool) -> Instance:
    if given.type is None and before is not None and before["type"] != "Property" and given.value is not None:
        kind = shown(before, names)[0]
        try:
            made = _build(kind, given.value, names, plain)
        except Refused:
            pass
        else:
            if made["type"] == before["type"]:
                return made
    return _build(given.type if given.type is not None else default_type(given.value), given.value, names, plain)


def write_value(value: Json, names: Names, now: str, old: Sequence[Instance]) -> list[Instance]:
    """The instances of an attribute after its value alone was written: type and metadata stay. Raises Refused."""
    before = pick(old)
    return write_attribute(Given(shown(before, names)[0], _no_marker(value), None), names, now, old)


# --- entities ---------------------------------------------------------------------------------------------------------------------


class Written(NamedTuple):
    """An entity, or attributes, as a client wrote them. id is "" and type None where they were left out."""

    id: str
    type: str | None
    attrs: dict[str, Given]
    expires: Json = ...


def read_entity(raw: Json, *, key_values: bool = False, free: bool = False, attrs_only: bool = False) -> Written:
    """Check the body of an entity.

    Parameters
    ----------
    raw         JSON
    key_values  `options=keyValues`
    free        see read_attribute
    attrs_only  the body holds attributes alone; `id` and `type` are refused

    Raises Refused.

    >>> read_entity({"id": "Room1", "temperature": {"value": 21}}).attrs
    {'temperature': Given(type=None, value=21, metadata=None)}
    """
    if not isinstance(raw, dict):
        raise bad("the payload must be a JSON object")
    if attrs_only and ("id" in raw or "type" in raw):
        raise bad("entity id or type specified in payload")
    id, type = "", None
    if not attrs_only:
        if "id" not in raw:
            raise bad("entity id is missing")
        id = check_identifier(raw["id"], "entity id")
        if "type" in raw:
            type = check_identifier(raw["type"], "entity type")
    attrs: dict[str, Given] = {}
    expires: Json = ...
    for name, item in raw.items():
        if name in ("id", "type"):
            continue
        check_identifier(name, "attribute name")
        if name in ("*", "geo:distance"):
            raise bad(f"{name} cannot be the name of an attribute")
        given = read_attribute(name, item, key_values=key_values, free=free)
        if name == "dateExpires":
            if given.type not in (None, "DateTime", "ISO8601"):
                raise bad("dateExpires must be of type DateTime")
            expires = None if given.value is None else iso(given.value, "dateExpires")
        else:
            attrs[name] = given
    return Written(id, type, attrs, expires)


def build_entity(written: Written, names: Names, now: str, path: str = "/") -> Entity:
    """A new internal entity.

    Parameters
    ----------
    written  the entity as read; without a type it is a Thing
    path     service path; `/` is no scope

    Raises Refused.
    """
    type = "Thing" if written.type is None else written.type
    entity: Entity = {"id": ld_id(written.id, type), "type": [names.type(type)]}
    if path != "/":
        entity["scope"] = [path]
    entity["createdAt"] = entity["modifiedAt"] = now
    if isinstance(written.expires, str):
        entity["expiresAt"] = written.expires
    for name, given in written.attrs.items():
        entity[names.attr(name)] = write_attribute(given, names, now)
    return entity


def attributes(entity: Entity) -> list[str]:
    """The attribute IRIs of an entity, in its order."""
    return [key for key in entity if key not in ENTITY_WORDS]


@dataclass(frozen=True)
class Shape:
    """How entities are shown.

    Parameters
    ----------
    form      normalized, keyValues, values or unique
    attrs     names in this order, `*` for all user attributes, builtin names; None: all user attributes
    exclude   names left out
    metadata  names, `*` for all user metadata, builtin names; None: all user metadata
    covered   a named attribute that the entity lacks is shown as null
    """

    form: str = "normalized"
    attrs: tuple[str, ...] | None = None
    exclude: frozenset[str] = frozenset()
    metadata: tuple[str, ...] | None = None
    covered: bool = False


class Moment(NamedTuple):
    """What only a notification knows: the change that caused it.

    Parameters
    ----------
    alteration  entityCreate, entityChange, entityUpdate or entityDelete
    previous    the entity before, or None
    actions     attribute IRI → update, append or delete
    """

    alteration: str
    previous: Entity | None
    actions: Mapping[str, str]


def show_attribute(
    instances: Sequence[Instance], names: Names, metadata: tuple[str, ...] | None = None, before: Json = None, action: str = ""
) -> dict[str, Json]:
    """An attribute in normalized form.

    Parameters
    ----------
    instances  of the attribute
    metadata   see Shape
    before     instances before the change, for `previousValue`
    action     for `actionType`
    """
    instance = pick(instances)
    kind, value = shown(instance, names)
    return {"type": kind, "value": value, "metadata": _show_metadata(instance, names, metadata, before, action)}


def _show_metadata(instance: Instance, names: Names, wanted: tuple[str, ...] | None, before: Json, action: str) -> dict[str, Json]:
    all_of_them: dict[str, Json] = {}
    for key, value in instance.items():
        if key in MEMBERS:
            continue
        sub = pick(value)
        kind, bare = shown(sub, names)
        all_of_them[names.meta_name(key)] = {"type": kind, "value": bare}
    if "unitCode" in instance:
        all_of_them["unitCode"] = {"type": "Text", "value": instance["unitCode"]}
    if "observedAt" in instance:
        us = instant(instance["observedAt"])
        all_of_them["TimeInstant"] = {"type": "DateTime", "value": instance["observedAt"] if us is None else times.text(us)}
    if "datasetId" in instance:
        all_of_them["datasetId"] = {"type": "Text", "value": instance["datasetId"]}
    if wanted is None:
        return all_of_them
    told: dict[str, Json] = {}
    for name in wanted:
        if name == "*":
            told.update(all_of_them)
        elif name in all_of_them:
            told[name] = all_of_them[name]
        elif name == "dateCreated" and "createdAt" in instance:
            told[name] = {"type": "DateTime", "value": instance["createdAt"]}
        elif name == "dateModified" and "modifiedAt" in instance:
            told[name] = {"type": "DateTime", "value": instance["modifiedAt"]}
        elif name == "actionType" and action:
            told[name] = {"type": "Text", "value": action}
        elif name == "previousValue" and before:
            kind, bare = shown(pick(before), names)
            told[name] = {"type": kind, "value": bare}
    return told


def _builtin(name: str, entity: Entity, moment: Moment | None) -> dict[str, Json] | None:
    if name == "servicePath":
        return {"type": "Text", "value": (entity.get("scope") or ["/"])[0], "metadata": {}}
    if name == "alterationType":
        return {"type": "Text", "value": moment.alteration, "metadata": {}} if moment else None
    key = {"dateCreated": "createdAt", "dateModified": "modifiedAt", "dateExpires": "expiresAt"}[name]
    if key not in entity:
        return None
    us = instant(entity[key])
    return {"type": "DateTime", "value": entity[key] if us is None else times.text(us), "metadata": {}}


def show_attributes(entity: Entity, names: Names, shape: Shape, moment: Moment | None = None) -> dict[str, dict[str, Json]]:
    """The attributes of an entity in normalized form, filtered and ordered as the shape says."""
    own = {names.attr_name(key): key for key in entity if key not in ENTITY_WORDS}
    if shape.attrs is None:
        wanted: Iterable[str] = own
    else:
        wanted = dict.fromkeys(name for part in shape.attrs for name in (own if part == "*" else (part,)))
    told: dict[str, dict[str, Json]] = {}
    for name in wanted:
        if name in shape.exclude:
            continue
        key = own.get(name)
        if key is not None:
            before = moment.previous.get(key) if moment and moment.previous else None
            told[name] = show_attribute(entity[key], names, shape.metadata, before, moment.actions.get(key, "") if moment else "")
        elif name in ATTRIBUTE_BUILTINS:
            built = _builtin(name, entity, moment)
            if built is not None:
                told[name] = built
        elif shape.covered:
            told[name] = {"type": "None", "value": None, "metadata": {}}
    return told


def show_entity(entity: Entity, names: Names, shape: Shape, moment: Moment | None = None) -> Json:
    """An internal entity as NGSIv2 shows it: an object, or a list in the forms values and unique."""
    attrs = show_attributes(entity, names, shape, moment)
    if shape.form == "values":
        return [item["value"] for item in attrs.values()]
    if shape.form == "unique":
        once: list[Json] = []
        for item in attrs.values():
            if not any(_same(item["value"], other) for other in once):
                once.append(item["value"])
        return once
    id, type = v2_id(entity["id"], [names.type_name(iri) for iri in entity["type"]])
    if shape.form == "keyValues":
        return {"id": id, "type": type, **{name: item["value"] for name, item in attrs.items()}}
    return {"id": id, "type": type, **attrs}
