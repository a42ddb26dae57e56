"""Queries of NGSIv2 as the conditions that the stores and the subscriptions know.

In: the texts of `q`, `mq`, `georel`, `geometry`, `coords`, `id`, `idPattern`, `type`, `typePattern`, `orderBy`, `options`. Out: nodes of `query`, parameters
of an NGSI-LD geo query, selectors. What is not well formed raises `Refused` (400); what is well formed but cannot be asked here raises 422 NotSupportedQuery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Any, NamedTuple
from urllib.parse import unquote

from kiban.linkage.broker import times
from kiban.linkage.broker.ngsiv2 import (
    FORBIDDEN,
    WRAPPED,
    Entity,
    Json,
    Names,
    Refused,
    bad,
    candidates,
    check_address,
    check_identifier,
    instant,
    not_offered,
    v2_id,
)
from kiban.linkage.broker.patterns import Pattern, compile_pattern
from kiban.linkage.broker.query import And, Between, Compare, Exists, Literal, Node, Or, Path, Q
from kiban.linkage.broker.selection import ScopeQ

MAX_QUERY = 16_384
MAX_STATEMENTS = 500
_OPERATOR = re.compile(r"==|!=|>=|<=|~=|>|<")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_SYSTEM = {"dateCreated": "createdAt", "dateModified": "modifiedAt", "dateExpires": "expiresAt"}
_META_MEMBERS = {"unitCode": "unitCode", "TimeInstant": "observedAt", "datasetId": "datasetId", "dateCreated": "createdAt", "dateModified": "modifiedAt"}


def not_supported(description: str) -> Refused:
    """422: a well-formed query that cannot be asked here."""
    return Refused(422, "NotSupportedQuery", description)


def simple_query(text: str, names: Names, *, metadata: bool = False) -> Node:
    """`q`, or `mq`, as a condition.

    Parameters
    ----------
    text      statements, separated by `;`
    names     names and @context
    metadata  the text is an `mq`: its second token is the name of a metadata element

    Raises Refused.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    ...     compact = staticmethod(lambda iri: iri.removeprefix("ex:"))
    >>> simple_query("speed>50", Names(Plain()))
    Compare(path=Path(names=('ex:speed',), member=None, trail=()), op='>', values=(Literal(kind='number', value=50),), pattern=None)
    """
    what = "mq" if metadata else "q"
    if not text:
        raise bad(f"empty {what}")
    if len(text) > MAX_QUERY:
        raise bad(f"{what} is longer than {MAX_QUERY} characters")
    statements = _cut(text, ";", what)
    if len(statements) > MAX_STATEMENTS:
        raise bad(f"{what} has more than {MAX_STATEMENTS} statements")
    nodes = [_statement(statement, names, metadata, what) for statement in statements]
    return nodes[0] if len(nodes) == 1 else And(tuple(nodes))


def condition(q: str | None, mq: str | None, names: Names) -> Q | None:
    """`q` and `mq` together as one query; None where there is neither. Raises Refused."""
    nodes = [simple_query(text, names, metadata=metadata) for text, metadata in ((q, False), (mq, True)) if text is not None]
    if not nodes:
        return None
    return Q(";".join(text for text in (q, mq) if text is not None), nodes[0] if len(nodes) == 1 else And(tuple(nodes)))


def _cut(text: str, sign: str, what: str) -> list[str]:
    """The text cut at a sign that stands outside single quotes."""
    parts, start, quoted = [], 0, False
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif letter == sign and not quoted:
            parts.append(text[start:at])
            start = at + 1
    if quoted:
        raise bad(f"a ' without its pair in {what}")
    return [*parts, text[start:]]


def _statement(text: str, names: Names, metadata: bool, what: str) -> Node:
    text = text.strip()
    if not text:
        raise bad(f"empty statement in {what}")
    at, end, op = _operator(text)
    if not op:
        negated = text.startswith("!")
        return Exists(_path(text[1:] if negated else text, names, metadata, what), negated)
    path, right = _path(text[:at].strip(), names, metadata, what), text[end:].strip()
    if op == "~=":
        return Compare(path, op, pattern=regular(right, what))
    if not right:
        raise bad(f"a value is missing behind {op} in {what}")
    if path.member == "datasetId" and op not in ("==", "!="):
        raise not_supported("datasetId can only be compared with == and !=")
    low, dots, high = _range(right)
    if op in ("==", "!="):
        if dots:
            first, last = _literal(low, what), _literal(high, what)
            if first.kind != last.kind or first.kind == "bool":
                raise bad(f"a range of two numbers, dates or texts is expected in {what}")
            return Between(path, first, last, op == "!=")
        return Compare(path, op, tuple(_literal(part.strip(), what) for part in _cut(right, ",", what)))
    if dots or len(_cut(right, ",", what)) > 1:
        raise bad(f"a single value is expected behind {op} in {what}")
    value = _literal(right, what)
    if value.kind == "bool":
        raise bad(f"{op} cannot be used with true or false in {what}")
    return Compare(path, op, (value,))


def _operator(text: str) -> tuple[int, int, str]:
    """Where the operator stands, and which; `:` only where there is no other, because names may have one."""
    quoted = False
    colon = -1
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            found = _OPERATOR.match(text, at)
            if found:
                return at, found.end(), found[0]
            if letter == ":" and colon < 0:
                colon = at
    return (colon, colon + 1, "==") if colon >= 0 else (-1, -1, "")


def _range(text: str) -> tuple[str, bool, str]:
    if text.startswith("'"):
        end = text.find("'", 1) + 1
        return (text[:end], True, text[end + 2 :].strip()) if text[end : end + 2] == ".." else (text, False, "")
    low, dots, high = text.partition("..")
    return low.strip(), bool(dots), high.strip()


def _literal(text: str, what: str) -> Literal:
    if not text:
        raise bad(f"an empty value in {what}")
    if text.startswith("'"):
        if len(text) < 2 or not text.endswith("'") or "'" in text[1:-1]:
            raise bad(f"a ' at a wrong place in {what}")
        return Literal("string", text[1:-1])
    if FORBIDDEN.search(text):
        raise bad(f"invalid character in a value of {what}")
    if text in ("true", "false"):
        return Literal("bool", text == "true")
    if text == "null":
        raise not_supported("a query cannot ask for null; ask for an existing attribute, or for a quoted 'null'")
    if _NUMBER.match(text):
        if len(text) > 300:
            raise bad(f"a number is too long in {what}")
        number = float(text) if re.search("[.eE]", text) else int(text)
        if isinf(number):
            raise bad(f"a number is too large in {what}")
        return Literal("number", number)
    us = instant(text)
    if us is not None:
        return Literal("datetime", times.border(us)[:-1])
    return Literal("string", text)


def _path(text: str, names: Names, metadata: bool, what: str) -> Path:
    if "'" in text:
        tokens = [token.strip() for token in _cut(text, ".", what)]
        tokens = [token[1:-1] if token.startswith("'") and token.endswith("'") and len(token) > 1 else token for token in tokens]
    elif "://" in text:
        # A name without a short form: its own dots belong to it up to the last / or #.
        at = max(text.rfind("/"), text.rfind("#")) + 1
        first, *rest = text[at:].split(".")
        tokens = [text[:at] + first, *rest]
    else:
        tokens = text.split(".")
    if any(not token for token in tokens):
        raise bad(f"an empty name in {what}")
    name = check_address(tokens[0], f"attribute name in {what}")
    if metadata:
        if len(tokens) < 2:
            raise bad("mq needs the name of an attribute and of its metadata, such as temperature.accuracy")
        meta = check_address(tokens[1], "metadata name in mq")
        if meta in _META_MEMBERS and len(tokens) == 2:
            return Path((names.attr(name),), _META_MEMBERS[meta])
        return Path((names.attr(name), names.meta(meta)), None, tuple(tokens[2:]))
    if len(tokens) == 1:
        if name in _SYSTEM:
            return Path((), _SYSTEM[name])
        if name in ("servicePath", "alterationType"):
            raise not_supported(f"{name} cannot be used in q; use the header Fiware-ServicePath")
    return Path((names.attr(name),), None, tuple(tokens[1:]))


def regular(text: Json, what: str) -> Pattern:
    """A regular expression that cannot run away. Raises Refused."""
    if not isinstance(text, str) or not text:
        raise bad(f"empty regular expression in {what}")
    try:
        return compile_pattern(text)
    except ValueError as error:
        raise bad(f"invalid regex for {what}: {error}") from None


# --- places -----------------------------------------------------------------------------------------------------------------------

_RELATIONS = {"coveredBy": "within", "intersects": "intersects", "equals": "equals", "disjoint": "disjoint"}


def geo_params(georel: str | None, geometry: str | None, coords: str | None) -> dict[str, str] | None:
    """`georel`, `geometry` and `coords` as the parameters of an NGSI-LD geo query; None where there is none of them. Raises Refused.

    >>> geo_params("near;maxDistance:1000", "point", "40.4,-3.5")
    {'georel': 'near;maxDistance==1000', 'geometry': 'Point', 'coordinates': '[-3.5,40.4]'}
    """
    if georel is None and geometry is None and coords is None:
        return None
    if not georel or not geometry or not coords:
        raise bad("Invalid query: georel, geometry and coords have to be used together")
    relation, *modifiers = georel.split(";")
    points = [_position(part) for part in coords.split(";")]
    text = [f"[{lon!r},{lat!r}]" for lon, lat in points]
    if geometry == "point":
        if len(points) != 1:
            raise bad("coords of a point: exactly one pair is expected")
        shape, coordinates = "Point", text[0]
    elif geometry == "line":
        if len(points) < 2:
            raise bad("coords of a line: at least two pairs are expected")
        shape, coordinates = "LineString", f"[{','.join(text)}]"
    elif geometry == "polygon":
        if len(points) < 4 or points[0] != points[-1]:
            raise bad("coords of a polygon: at least four pairs are expected, the last equal to the first")
        shape, coordinates = "Polygon", f"[[{','.join(text)}]]"
    elif geometry == "box":
        if len(points) != 2:
            raise bad("coords of a box: exactly two pairs are expected")
        (west, south), (east, north) = points
        west, east, south, north = min(west, east), max(west, east), min(south, north), max(south, north)
        ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
        shape, coordinates = "Polygon", f"[[{','.join(f'[{lon!r},{lat!r}]' for lon, lat in ring)}]]"
    else:
        raise bad("geometry: expected point, line, polygon or box")
    return {"georel": _relation(relation, modifiers, shape), "geometry": shape, "coordinates": coordinates}


def _relation(relation: str, modifiers: list[str], shape: str) -> str:
    if relation == "near":
        if shape != "Point":
            raise not_supported("near: the geometry must be a point")
        told = {}
        for modifier in modifiers:
            name, colon, distance = modifier.partition(":")
            if name not in ("maxDistance", "minDistance") or not colon or not re.match(r"[0-9]+(\.[0-9]+)?\Z", distance) or name in told:
                raise bad("near: expected maxDistance:… or minDistance:… in metres")
            told[name] = distance
        if len(told) != 1:
            raise bad("near: expected one of maxDistance and minDistance") if not told else not_supported("near: maxDistance and minDistance at once")
        return "".join(f"near;{name}=={distance}" for name, distance in told.items())
    if relation not in _RELATIONS:
        raise bad("georel: expected near, coveredBy, intersects, equals or disjoint")
    if modifiers:
        raise bad(f"georel: {relation} takes no modifier")
    if relation == "coveredBy" and shape != "Polygon":
        raise bad("georel: coveredBy needs a polygon or a box")
    return _RELATIONS[relation]


def _position(text: str) -> tuple[float, float]:
    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError:
        raise bad("coords: expected pairs such as 35.68,139.76 separated by ;") from None
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise bad("coords: latitude is from -90 to 90 and longitude from -180 to 180")
    return lon, lat


# --- who --------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One selector of a query, of a subscription or of a registration.

    Parameters
    ----------
    ids           NGSIv2 ids; empty: any
    id_pattern    a regular expression over NGSIv2 ids, or None
    types         NGSIv2 type names; empty: any
    type_pattern  a regular expression over NGSIv2 type names, or None
    """

    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    types: tuple[str, ...] = ()
    type_pattern: str | None = None

    def ld_ids(self, around: Sequence[str]) -> tuple[str, ...]:
        """The NGSI-LD ids that are asked for; around: names of the types that the tenant has, for ids without a type."""
        types = self.types or tuple(around)
        return tuple(dict.fromkeys(one for id in self.ids for one in candidates(id, types)))

    def picker(self, names: Names) -> Picker:
        """The selector as a condition on entities."""
        return Picker(self, names)


class Picker:
    """Whether entities are among those asked for, by their NGSIv2 ids and types."""

    def __init__(self, asked: Asked, names: Names) -> None:
        self.asked, self.names = asked, names
        self.ids, self.types = frozenset(asked.ids), frozenset(asked.types)
        self.id_pattern = None if asked.id_pattern in (None, ".*") else regular(asked.id_pattern, "idPattern")
        self.type_pattern = None if asked.type_pattern in (None, ".*") else regular(asked.type_pattern, "typePattern")

    def matches(self, entity: Entity) -> bool:
        """Whether this entity is asked for."""
        types = [self.names.type_name(iri) for iri in entity["type"]]
        if self.types and self.types.isdisjoint(types):
            return False
        if self.type_pattern is not None and not any(self.type_pattern.search(type) for type in types):
            return False
        if not self.ids and self.id_pattern is None:
            return True
        id, _ = v2_id(entity["id"], types)
        return (not self.ids or id in self.ids) and (self.id_pattern is None or self.id_pattern.search(id))


class IdPattern:
    """A regular expression over NGSIv2 ids, asked of NGSI-LD ids: what a store's selector wants as its pattern.

    `sql` is the same for PostgreSQL, where `^` is looked for at the beginning of the whole or of an alternative outside groups, and the characters
    that stand percent-encoded in an NGSI-LD id are not found.

    >>> [IdPattern("^Room").search(id) for id in ("urn:ngsi-ld:Room:v2:Room1", "urn:ngsi-ld:Room:1")]
    [True, False]
    """

    start = ""  # no beginning that all ids have which it finds: those of NGSIv2 stand at the end of others

    def __init__(self, text: str) -> None:
        self.pattern = regular(text, "idPattern")
        head = "urn:ngsi-ld:[^:]+:v2:"
        parts = []
        for part in _alternatives(text):
            bare = part.removeprefix("^")
            inner = regular(bare, "idPattern").sql if bare else ""
            parts.append(inner if part.startswith("^") else f"(?:.|\n)*{inner}")
        self.sql = f"^(?:{head}|(?!{head}))(?:{'|'.join(parts)})"

    def search(self, id: str) -> bool:
        """Whether the pattern is found in the NGSIv2 id."""
        found = WRAPPED.match(id)
        return self.pattern.search(v2_id(id, [unquote(found[1])])[0] if found else id)


def _alternatives(pattern: str) -> list[str]:
    """The pattern cut at each | that stands outside groups, classes and escapes."""
    parts, depth, inside, escaped, start = [], 0, False, False, 0
    for at, letter in enumerate(pattern):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif inside:
            inside = letter != "]"
        elif letter == "[":
            inside = True
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def asked_of_params(params: Mapping[str, str]) -> Asked:
    """`id`, `idPattern`, `type` and `typePattern` of a URL. Raises Refused.

    >>> asked_of_params({"id": "Room1,Room2", "type": "Room"})
    Asked(ids=('Room1', 'Room2'), id_pattern=None, types=('Room',), type_pattern=None)
    """
    for exact, pattern in (("id", "idPattern"), ("type", "typePattern")):
        if exact in params and pattern in params:
            raise bad(f"Incompatible parameters: {pattern}, {exact}")
    for name in ("idPattern", "typePattern"):
        if name in params:
            regular(params[name], name)
    ids = _listed(params["id"], "entity id") if "id" in params else ()
    types = _listed(params["type"], "entity type") if "type" in params else ()
    return Asked(ids, params.get("idPattern"), types, params.get("typePattern"))


def asked_of_entity(raw: Json, *, only_everything: bool = False) -> Asked:
    """One element of `entities` in a query, a subscription or a registration.

    only_everything  the one idPattern that is accepted is `.*` (registrations)

    Raises Refused.
    """
    if not isinstance(raw, dict):
        raise bad("an element of entities must be an object")
    if not raw.keys() <= {"id", "idPattern", "type", "typePattern", "isPattern"}:
        raise bad("an element of entities has an unknown field")
    if ("id" in raw) == ("idPattern" in raw):
        raise bad("an element of entities needs one of id and idPattern")
    if "type" in raw and "typePattern" in raw:
        raise bad("an element of entities has both type and typePattern")
    for name in ("idPattern", "typePattern"):
        if name in raw:
            regular(raw[name], name)
    if only_everything and raw.get("idPattern", ".*") != ".*":
        raise not_offered("idPattern: only .* is supported in registrations")
    ids = (check_identifier(raw["id"], "entity id"),) if "id" in raw else ()
    types = (check_identifier(raw["type"], "entity type"),) if "type" in raw else ()
    return Asked(ids, raw.get("idPattern"), types, raw.get("typePattern"))


def _listed(text: str, what: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check_address(part, what) for part in text.split(",")))


def paths_condition(paths: Sequence[str] | None, q: Q | None) -> tuple[Q | None, ScopeQ | None]:
    """Service paths as conditions of a selection: q, with the root in it where that is asked for, and a scope condition. Raises Refused.

    >>> paths_condition(["/a", "/b/#"], None)[1].alternatives
    (('/a',), ('/b/#',))
    """
    if paths is None:
        return q, None
    if "/" not in paths:
        return q, ScopeQ(",".join(paths), tuple((path,) for path in paths))
    others = [path for path in paths if path != "/"]
    if any(path.endswith("/#") for path in others):
        raise not_supported("the root / and a path with # in one Fiware-ServicePath: ask for them one after the other")
    # The root is where no scope is: that is a question about the entity, not about one of its scopes.
    scope = Path((), "scope")
    node: Node = Exists(scope, True)
    if others:
        node = Or((node, Compare(scope, "==", tuple(Literal("string", path) for path in others))))
    return Q(",".join(paths), node if q is None else And((q.node, node))), None


# --- the rest of a URL ------------------------------------------------------------------------------------------------------------


class Page(NamedTuple):
    """limit (1 to 1,000), offset, and whether a total is asked for."""

    limit: int
    offset: int
    total: bool


def page(params: Mapping[str, str], options: frozenset[str]) -> Page:
    """`limit` and `offset`. Raises Refused.

    >>> page({"limit": "5"}, frozenset({"count"}))
    Page(limit=5, offset=0, total=True)
    """
    limit, offset = _whole(params.get("limit", "20"), "limit"), _whole(params.get("offset", "0"), "offset")
    if limit == 0:
        raise bad("Bad pagination limit: /0/ [a value of ZERO is unacceptable]")
    if limit > 1000:
        raise bad(f"Bad pagination limit: /{limit}/ [max: 1000]")
    return Page(limit, offset, "count" in options)


def _whole(text: str, what: str) -> int:
    if not re.match(r"[0-9]{1,18}\Z", text):
        raise bad(f"Bad pagination {what}: /{text[:40]}/ [must be a decimal number]")
    return int(text)


OPTIONS = frozenset(
    (
        *("count", "keyValues", "values", "unique", "append", "upsert", "overrideMetadata", "forcedUpdate", "skipInitialNotification", "noAttrDetail"),
        *("dateCreated", "dateModified", "skipForwarding", "flowControl"),
    )
)
_FORMS = ("keyValues", "values", "unique")


def options(text: str | None) -> frozenset[str]:
    """`options` of a URL. Raises Refused for an unknown word and for two representations at once.

    >>> sorted(options("count,keyValues"))
    ['count', 'keyValues']
    """
    if text is None:
        return frozenset()
    told = frozenset(part.strip() for part in text.split(","))
    if not told <= OPTIONS or (len(told & {*_FORMS}) > 1 and not told >= {"values", "unique"}):
        raise bad("Invalid value for URI param /options/")
    return told


def form(told: frozenset[str]) -> str:
    """The representation that the options ask for."""
    for name in ("unique", "values", "keyValues"):
        if name in told:
            return name
    return "normalized"


def name_list(value: Json, what: str) -> tuple[str, ...]:
    """`attrs` or `metadata`: a text with commas, or a list. Raises Refused.

    >>> name_list("dateModified,*", "attrs")
    ('dateModified', '*')
    """
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or any(not isinstance(item, str) for item in items):
        raise bad(f"{what} must be a list of names")
    for item in items:
        check_address(item, f"name in {what}")
    return tuple(items)


class Order(NamedTuple):
    """One criterion of `orderBy`: id, type, distance, a system time (member), or an attribute (IRI)."""

    sort: str
    name: str
    descending: bool


def order(text: str | None, names: Names, *, near: bool = False) -> tuple[Order, ...]:
    """`orderBy`.

    near  the query has georel=near, so that geo:distance can be asked for

    Raises Refused.
    """
    if text is None:
        return ()
    told, seen = [], set()
    for part in text.split(","):
        descending, word = part.startswith("!"), part.removeprefix("!")
        if not word:
            raise bad("an empty name in orderBy")
        if word in seen:
            raise bad(f"{word} stands twice in orderBy")
        seen.add(word)
        if word == "geo:distance":
            if not near:
                raise bad("orderBy: geo:distance needs georel=near")
            told.append(Order("distance", "", descending))
        elif word in ("id", "type"):
            told.append(Order(word, word, descending))
        elif word in _SYSTEM:
            told.append(Order("member", _SYSTEM[word], descending))
        else:
            told.append(Order("attr", names.attr(check_address(word, "name in orderBy")), descending))
    return tuple(told)


_RANKS = ((type(None), 0), (bool, 5), (int, 1), (float, 1), (str, 2), (dict, 3), (list, 4))


def order_key(value: Any) -> tuple[int, Any]:
    """A key that sorts values of all JSON types as NGSIv2 wants: null, numbers, strings, objects, arrays, booleans.

    >>> sorted([True, [1], "a", 2, None], key=order_key)
    [None, 2, 'a', [1], True]
    """
    rank = next(rank for kind, rank in _RANKS if isinstance(value, kind))
    if rank in (0, 5, 1, 2):
        return rank, value if value is not None else 0
    return rank, repr(value)
