"""What the parameters of a request ask for: which entities, how many, in which form. Worked out once per query string and @context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kiban.linkage.broker import times
from kiban.linkage.broker.geo import Ordering, parse_geo, parse_ordering
from kiban.linkage.broker.query import Q, parse_q
from kiban.linkage.broker.selection import ENTITY_MEMBERS, parse_id_pattern, parse_ids, parse_names, parse_projection, parse_scope, parse_types
from kiban.linkage.broker.server import Call, Remembered
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.errors import Problem, bad_request

LIMIT, MOST = 20, 1000
SYSTEM = {"https://uri.etsi.org/ngsi-ld/" + name for name in ("createdAt", "modifiedAt", "deletedAt", "expiresAt", "id", "type", "scope")}


class Page(NamedTuple):
    """How much of the answer: at most `limit` from `offset` on; counted: the number of all is told in a header."""

    limit: int
    offset: int
    counted: bool


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


def instant(params: Mapping[str, str], name: str) -> str | None:
    """A date-time of the query string as it was sent, None if it was not.

    >>> instant({"observedAt": "2026-11-27T20:10:00Z"}, "observedAt")
    '2026-11-27T20:10:00Z'
    """
    text = params.get(name)
    if text is not None:
        try:
            times.parse(text)
        except ValueError as error:
            raise bad_request(f"{name}: {error}") from None
    return text


def truth(params: Mapping[str, str], name: str, default: bool = False) -> bool:
    """A true or false of the query string."""
    text = params.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise bad_request(f"{name}: found {text[:40]!r}; expected true or false")
    return text.lower() == "true"


OPTIONS = frozenset(
    ("normalized", "concise", "simplified", "keyValues", "sysAttrs", "temporalValues", "aggregatedValues", "count", "noOverwrite", "update", "replace")
)


def options(params: Mapping[str, str]) -> frozenset[str]:
    """The values of `options`; InvalidRequest for one that does not exist."""
    text = params.get("options")
    if not text:
        return frozenset()
    found = frozenset(text.split(","))
    if wrong := found - OPTIONS:
        raise Problem("InvalidRequest", "unknown option", f"{', '.join(sorted(wrong))[:100]}; expected some of {', '.join(sorted(OPTIONS))}")
    return found


def page(params: Mapping[str, str]) -> Page:
    """limit, offset and count; limit=0 is allowed with count only."""
    count = truth(params, "count") or "count" in options(params)
    limit = whole_number(params, "limit", LIMIT, 0, MOST)
    if limit == 0 and not count:
        raise bad_request("limit: found 0; expected 1 or more, or count=true beside it")
    return Page(limit, whole_number(params, "offset", 0, 0), count)


def selection(params: Mapping[str, str], terms: Any, *, narrow: bool = True) -> Selection:
    """The entities that a query string selects.

    narrow: a query must say something about the entities: type, attrs, q, geometry, or local=true.
    """
    types = params.get("type")
    if "csf" in params:
        parse_q(params["csf"], terms, where="csf")
    ids, pattern, attrs, q, scope = params.get("id"), params.get("idPattern"), params.get("attrs"), params.get("q"), params.get("scopeQ")
    geo = parse_geo(params, terms)
    local = params.get("local")
    if types == "*" and local == "false":
        raise bad_request("type: found '*' with local=false; all types are asked for here only")
    names = parse_names(attrs, terms) if attrs else ()
    wanted = question(params, terms)
    if narrow and not (types or any(name not in SYSTEM for name in names) or (wanted is not None and wanted.attributes) or geo is not None or local == "true"):
        raise bad_request("the query is too wide: expected one of type, attrs, q, a geo-query, or local=true")
    for name, text in (("type", types), ("id", ids), ("attrs", attrs), ("q", q), ("scopeQ", scope), ("idPattern", pattern)):
        if text == "":
            raise bad_request(f"{name}: found nothing; expected a value, or leave it out")
    who: tuple[Who, ...] = ()
    if types or ids or pattern:
        kind = parse_types(types, terms) if types and types != "*" else None
        who = (Who(kind, parse_ids(ids) if ids else (), parse_id_pattern(pattern) if pattern else None),)
    if any(name[:1] == "@" for name in names) or (names and SYSTEM.issuperset(names)):
        raise bad_request(f"attrs: found {attrs!r}; expected names of attributes")
    return Selection(who, names or picked(params, terms), wanted, parse_scope(scope) if scope else None, geo)


def question(params: Mapping[str, str], terms: Any) -> Q | None:
    """The parameter q, read with expandValues; no deeper than the request follows links."""
    text = params.get("q")
    wanted = parse_q(text, terms, expanded(params)) if text else None
    if wanted is not None and wanted.depth > joined(params):
        raise bad_request("q: found a query over linked entities; expected join with a joinLevel as deep")
    return wanted


def picked(params: Mapping[str, str], terms: Any) -> tuple[str, ...]:
    """The attributes of which an entity needs one, as nothing would be left of it otherwise: those of a pick without id, type and the like."""
    members = parse_projection(params["pick"], terms).members if params.get("pick") else {}
    return () if ENTITY_MEMBERS.intersection(members) else tuple(members)


def expanded(params: Mapping[str, str]) -> list[str]:
    """expandValues: attributes whose values in q are short names."""
    text = params.get("expandValues")
    return text.split(",") if text else []


def joined(params: Mapping[str, str]) -> int:
    """How many links a request follows: joinLevel where join is given, else none."""
    if params.get("join") in (None, "@none"):
        return 0
    return whole_number(params, "joinLevel", 1, 1, 20)


SELECTIONS: Remembered = Remembered()


def selected(call: Call) -> Selection:
    """The selection of a call's query string, remembered."""
    key = (call.query, call.terms.serial)
    found = SELECTIONS.get(key)
    return found if found is not None else SELECTIONS.keep(key, selection(call.params, call.terms), len(call.query))  # type: ignore[no-any-return]


def ordering(params: Mapping[str, str], terms: Any) -> Ordering | None:
    """orderBy with what belongs to it, None if there is none."""
    text = params.get("orderBy")
    if text is None:
        return None
    return parse_ordering(text, terms, params.get("orderFrom"), params.get("orderGeometry"), params.get("collation"))
