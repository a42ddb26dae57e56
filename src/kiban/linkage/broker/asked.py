"""What the parameters of a request ask for: which entities, how many, in which form. Worked out once per query string and @context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kiban.linkage.broker.geo import GeoQ, Ordering, parse_geo, parse_ordering
from kiban.linkage.broker.query import Q, parse_q, unlink
from kiban.linkage.broker.selection import ENTITY_MEMBERS, MEMBERS, TypeQ, parse_id_pattern, parse_ids, parse_names, parse_projection, parse_scope, parse_types
from kiban.linkage.broker.server import Call, Remembered
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.errors import Problem, bad_request, too_complex

LIMIT, MOST = 20, 1000
FORMATS = {"normalized", "concise", "simplified", "keyValues", "sysAttrs"}
OPTIONS = FORMATS | {"temporalValues", "aggregatedValues", "count", "noOverwrite", "update", "replace", "splitEntities", "entityMap"}


class Page(NamedTuple):
    """How much of the answer: at most `limit` from `offset` on; count: the number of all is told in a header."""

    limit: int
    offset: int
    count: bool


def whole_number(params: Mapping[str, str], name: str, default: int, least: int, most: int | None = None) -> int:
    """A whole number of the query string within its range.

    >>> whole_number({"limit": "5"}, "limit", 20, 0)
    5
    """
    text = params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise bad_request(f"{name}: found {text[:40]!r}; expected a whole number from {least}")
    value = int(text)
    if value < least:
        raise bad_request(f"{name}: found {value}; expected {least} or more")
    if most is not None and value > most:
        raise Problem("TooManyResults", f"{name} is larger than one answer may be", f"found {value}; expected at most {most}")
    return value


def truth(params: Mapping[str, str], name: str, default: bool = False) -> bool:
    """A true or false of the query string."""
    text = params.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise bad_request(f"{name}: found {text[:40]!r}; expected true or false")
    return text.lower() == "true"


def options(params: Mapping[str, str]) -> frozenset[str]:
    """The values of `options`."""
    text = params.get("options")
    return frozenset(text.split(",")) if text else frozenset()


def page(params: Mapping[str, str]) -> Page:
    """limit, offset and count; limit=0 is allowed with count only."""
    count = truth(params, "count") or "count" in options(params)
    limit = whole_number(params, "limit", LIMIT, 0, MOST)
    if limit == 0 and not count:
        raise bad_request("limit: found 0; expected 1 or more, or count=true beside it")
    return Page(limit, whole_number(params, "offset", 0, 0), count)


LEVELS = 20  # the largest joinLevel
FOUND = 10_000  # entities that one sub-query may find


def hops(params: Mapping[str, str]) -> int:
    """How many links a request may follow: joinLevel, and none without join.

    >>> hops({"join": "inline"}), hops({"joinLevel": "3"})
    (1, 0)
    """
    level = whole_number(params, "joinLevel", 1, 1, LEVELS)
    return level if params.get("join") in ("inline", "flat") else 0


def within_hops(name: str, depth: int, params: Mapping[str, str]) -> None:
    """BadRequestData if what a parameter names lies behind more links than the request follows."""
    if depth > hops(params):
        raise bad_request(f"{name}: follows {depth} link(s), the request {hops(params)}; expected join, and a joinLevel that reaches there")


def question(params: Mapping[str, str], terms: Any) -> Q | None:
    """The parameter q, read with expandValues; no deeper than the request follows links."""
    text = params.get("q")
    if not text:
        return None
    found = parse_q(text, terms, [name for name in params.get("expandValues", "").split(",") if name])
    within_hops("q", found.depth, params)
    return found


def selective(params: Mapping[str, str], q: Q | None, geo: GeoQ | None) -> bool:
    """Whether a query without types says enough: an attribute that is no system member, a geo-query, or local=true (5.7.2)."""
    attrs = params.get("attrs") or params.get("pick") or ""
    own = [name for name in attrs.replace("|", ",").split(",") if name and name not in MEMBERS and name not in ("id", "type", "scope")]
    return bool(own or (q is not None and q.attributes) or geo is not None or params.get("local") == "true")


def needed(params: Mapping[str, str], terms: Any) -> tuple[str, ...]:
    """The attributes of which an entity has at least one: those of attrs; those of pick, as an entity of which nothing is left is not told.

    >>> from kiban.linkage.broker.contexts import Contexts
    >>> import asyncio
    >>> terms = asyncio.run(Contexts({}).term_map({"speed": "ex:speed"}))
    >>> needed({"pick": "speed"}, terms), needed({"pick": "id,speed"}, terms)
    (('ex:speed',), ())
    """
    if params.get("attrs"):
        return parse_names(params["attrs"], terms)
    picked = parse_projection(params["pick"], terms).members if params.get("pick") else {}
    return () if ENTITY_MEMBERS.intersection(picked) else tuple(picked)


def settled(session: Any, tenant: int, chosen: Selection) -> Selection:
    """The selection with the sub-queries over linked entities answered, as the stores want it. TooComplexQuery if one finds too many."""

    def find(types: tuple[str, ...], inner: Q) -> list[str]:
        who = (Who(TypeQ("", tuple((name,) for name in types))),) if types else ()
        some = Selection(who, q=inner)
        if session.count(tenant, some) > FOUND:
            raise too_complex(f"q: a sub-query finds more than {FOUND} entities")
        return list(session.ids(tenant, some))

    if not any(part.q is not None and part.q.depth for part in chosen.flat):
        return chosen
    also = tuple(settled(session, tenant, part) for part in chosen.also)
    return Selection(chosen.who, chosen.attrs, unlink(chosen.q, find) if chosen.q is not None else None, chosen.scope, chosen.geo, also)


def selection(params: Mapping[str, str], terms: Any, *, narrow: bool = True) -> Selection:
    """The entities that a query string selects.

    narrow: a query must say something about the entities: type, attrs, q, geometry, or local=true.
    """
    types = params.get("type")
    ids, pattern, attrs, scope = params.get("id"), params.get("idPattern"), params.get("attrs"), params.get("scopeQ")
    for name, text in (("type", types), ("id", ids), ("attrs", attrs), ("q", params.get("q")), ("scopeQ", scope), ("idPattern", pattern)):
        if text == "":
            raise bad_request(f"{name}: found nothing; expected a value, or leave it out")
    if types == "*" and params.get("local") == "false":
        raise bad_request("local: found false beside type=*, which is asked of this broker alone")
    if params.get("csf"):
        parse_q(params["csf"], terms, where="csf")
    geo, q = parse_geo(params, terms), question(params, terms)
    if narrow and not (types or selective(params, q, geo)):
        raise bad_request("the query is too wide: expected one of type, attrs, q, a geo-query, or local=true")
    who: tuple[Who, ...] = ()
    if types or ids or pattern:
        kind = parse_types(types, terms) if types and types != "*" else None
        who = (Who(kind, parse_ids(ids) if ids else (), parse_id_pattern(pattern) if pattern else None),)
    return Selection(who, needed(params, terms), q, parse_scope(scope) if scope else None, geo)


SELECTIONS: Remembered = Remembered()


def selected(call: Call) -> Selection:
    """The selection of a call's query string, remembered."""
    key = (call.query, call.terms.key)
    found = SELECTIONS.get(key)
    return found if found is not None else SELECTIONS.keep(key, selection(call.params, call.terms))


def ordering(params: Mapping[str, str], terms: Any, given: Any = None) -> Ordering | None:
    """How the answer is to be ordered, None if it does not matter; given: the member `ordering` of a query document."""
    if given is not None:
        if not isinstance(given, dict) or not isinstance(given.get("orderBy"), list | str) or not isinstance(given.get("collation", ""), str):
            raise bad_request("ordering: expected an object with orderBy, and perhaps collation, coordinates and geometry")
        if not isinstance(given.get("coordinates", []), list):
            raise bad_request("ordering: coordinates is an array")
        return parse_ordering(given["orderBy"], terms, given.get("coordinates"), given.get("geometry"), given.get("collation"))
    text = params.get("orderBy")
    return parse_ordering(text, terms, params.get("orderFrom"), params.get("orderGeometry"), params.get("collation")) if text else None
