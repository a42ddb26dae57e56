"""Subscriptions of NGSI-LD (ETSI GS CIM 009 v1.9.1, 5.2.12–5.2.15, 5.2.22, 5.8): read, shown, matched with changes, and what a notification says.

In: the JSON of a client; for a notification, a change of an entity. Out: checked documents, documents as a client reads them, the subscriptions that
a change concerns, and notifications as bytes. Nothing here touches the store; `notices` does.

How the standard is read
- entityUpdated is any attribute created, updated or deleted, or a new type or scope of an entity that is there; creation is not part of it.
- Creating an entity creates its attributes, deleting it deletes them: attributeCreated and attributeDeleted see both.
- q, geoQ and scopeQ are asked of the entity as it is after the change; of a deleted one, as it was before.
- An update counts whether or not the value is another one.
- A deletion is told as urn:ngsi-ld:null where the triggers include it, of the watched attributes.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from kiban.linkage.broker import times
from kiban.linkage.broker.geo import GeoQ, parse_geo
from kiban.linkage.broker.model import MEMBER, OWN, Change, Entity, Instance
from kiban.linkage.broker.outgoing import GEO_JSON, LD_JSON, Target
from kiban.linkage.broker.query import Q, parse_q
from kiban.linkage.broker.render import LOCATION, View, languages, render, render_all
from kiban.linkage.broker.selection import (
    ENTITY_MEMBERS,
    FULL,
    Projection,
    ScopeQ,
    parse_id_pattern,
    parse_names,
    parse_projection,
    parse_scope,
    parse_temporal,
    parse_types,
)
from kiban.linkage.broker.store.contract import Selection, Who
from kiban.linkage.broker.values import NULL, is_uri
from kiban.linkage.errors import bad_request

TRIGGERS: Final = {"entityCreated": 1, "entityUpdated": 2, "entityDeleted": 4, "attributeCreated": 8, "attributeUpdated": 16, "attributeDeleted": 32}
USUAL: Final = ["attributeCreated", "attributeUpdated"]
DELETION: Final = TRIGGERS["entityUpdated"] | TRIGGERS["attributeDeleted"]
KINDS: Final = {"created": 8, "updated": 16, "deleted": 32}
FORMATS: Final = {"normalized": "normalized", "concise": "concise", "simplified": "simplified", "keyValues": "simplified"}
NULLS: Final = (None, NULL)
MOST: Final = 1000  # names or selectors in one list
LEVELS: Final = 20
HEAD: Final = frozenset({"type", "scope", "expiresAt"})
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_encode = msgspec.json.Encoder().encode

# --- reading -----------------------------------------------------------------------------------------------------------------------------


def read_subscription(raw: Mapping[str, Any], terms: Any, now: str, *, old: Mapping[str, Any] | None = None, kind: str = "Subscription") -> dict[str, Any]:
    """Check a subscription, or the fragment of one; its members with full names.

    Parameters
    ----------
    raw    the body without @context
    terms  its @context
    now    for expiresAt, which must not have passed
    old    the members so far, for a change: what raw lacks stays, and null removes

    What the broker says itself (status, counters) and members that the standard does not know are left out. Raises 400 BadRequestData.

    >>> from kiban.linkage.broker.contexts import Contexts
    >>> raw = {"type": "Subscription", "entities": [{"type": "Well"}], "notification": {"endpoint": {"uri": "http://town.example/n"}}}
    >>> read_subscription(raw, Contexts().core, times.now())["entities"]
    [{'type': 'https://uri.etsi.org/ngsi-ld/default-context/Well'}]
    """
    found = dict(old or {})
    given = raw.get("type", raw.get("@type"))
    if given != kind and not (old is not None and given is None):
        raise bad_request(f"type: found {str(given)[:80]!r}; expected {kind!r}")
    for name, reader in MEMBERS.items():
        if name not in raw:
            continue
        value = raw[name]
        if value in NULLS and isinstance(value, str | None):
            if old is None or name == "notification":
                raise bad_request(f"{name}: found null; expected a value")
            found.pop(name, None)
        else:
            found[name] = reader(name, value, terms)
    if "notification" not in found:
        raise bad_request("notification: missing; expected an object with an endpoint")
    if "entities" not in found and "watchedAttributes" not in found:
        raise bad_request("expected entities or watchedAttributes, or both")
    if "timeInterval" in found and "throttling" in found:
        raise bad_request("throttling: found beside timeInterval; expected one or the other")
    if "expiresAt" in raw and "expiresAt" in found and times.parse(found["expiresAt"]) <= times.parse(now):
        raise bad_request(f"expiresAt: found {found['expiresAt']!r}, which has passed")
    return found


def _text(name: str, value: Any, _: Any) -> str:
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name}: found {_short(value)}; expected text")
    return value


def _short(value: Any) -> str:
    return repr(value)[:80]


def _truth(name: str, value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise bad_request(f"{name}: found {_short(value)}; expected true or false")
    return value


def _above(name: str, value: Any, _: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise bad_request(f"{name}: found {_short(value)}; expected a number above 0")
    return value


def _moment(name: str, value: Any, _: Any) -> str:
    try:
        times.parse(_text(name, value, None))
    except ValueError as error:
        raise bad_request(f"{name}: {error}") from None
    return str(value)


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value or len(value) > MOST:
        raise bad_request(f"{name}: found {_short(value)}; expected a list with at least one entry")
    return value


def _names(name: str, value: Any, terms: Any) -> list[str]:
    return list(parse_names(_listed(name, value), terms, name))


def _members(name: str, value: Any, terms: Any) -> list[str]:
    """pick and omit with full names, those of linked entities too."""
    words = _listed(name, value)
    if not all(isinstance(word, str) for word in words):
        raise bad_request(f"{name}: found {_short(value)}; expected names")
    return _words(parse_projection(",".join(words), terms, name), None)


def _words(projection: Projection, names: Mapping[str, str] | None) -> list[str]:
    """A projection as a list of names, of linked entities in braces; names: IRI → name, None: as they are."""
    found = []
    for iri, below in projection.members.items():
        name = iri if names is None or iri in ENTITY_MEMBERS else names[iri]
        found.append(name if below is None else f"{name}{{{','.join(_words(below, names))}}}")
    return found


def _selectors(name: str, value: Any, terms: Any) -> list[dict[str, Any]]:
    found = []
    for part in _listed(name, value):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str) or not part["type"]:
            raise bad_request("entities: each selector is an object with a type")
        one: dict[str, Any] = {}
        if "id" in part:
            ids = part["id"] if isinstance(part["id"], list) else [part["id"]]
            if not ids or not all(isinstance(id, str) and is_uri(id) for id in ids):
                raise bad_request(f"entities: found id {_short(part['id'])}; expected a URI")
            one["id"] = part["id"]
        if "idPattern" in part:
            parse_id_pattern(_text("entities: idPattern", part["idPattern"], terms))
            one["idPattern"] = part["idPattern"]
        one["type"] = _type(part["type"], terms)
        found.append(one)
    return found


def _type(text: str, terms: Any) -> str:
    """A selection of types with full names, `(A;B),C`."""
    wanted = parse_types(text, terms)
    if wanted.wildcard:
        return "*"
    words = [each[0] if len(each) == 1 else f"({';'.join(each)})" for each in wanted.alternatives]
    # A full name with one of the signs of the language cannot stand in it; parse_types would have refused it inside of anything longer.
    return ",".join(words)


def _triggers(name: str, value: Any, _: Any) -> list[str]:
    words = _listed(name, value)
    if not all(isinstance(word, str) and word in TRIGGERS for word in words):
        raise bad_request(f"{name}: found {_short(value)}; expected some of {', '.join(TRIGGERS)}")
    return list(dict.fromkeys(words))


def _query(name: str, value: Any, terms: Any) -> str:
    _q(_text(name, value, terms), terms, name)
    return str(value)


def _q(text: str, terms: Any, where: str = "q") -> Q:
    """A query as documents have it: clients send it with the percent signs of a URL as well."""
    return parse_q(unquote(text) if _PERCENT.search(text) else text, terms, where=where)


def _scope(name: str, value: Any, terms: Any) -> str:
    parse_scope(_text(name, value, terms))
    return str(value)


def _geo(name: str, value: Any, terms: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_request(f"{name}: found {_short(value)}; expected an object with georel, geometry and coordinates")
    found = {key: value[key] for key in ("georel", "geometry", "coordinates", "geoproperty") if value.get(key) is not None}
    if parse_geo(found, terms) is None:
        raise bad_request(f"{name}: expected georel, geometry and coordinates")
    if "geoproperty" in found:
        found["geoproperty"] = terms.expand(found["geoproperty"])
    return found


def _temporal(name: str, value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or parse_temporal(value) is None:
        raise bad_request(f"{name}: found {_short(value)}; expected an object with timerel and timeAt")
    return {key: value[key] for key in ("timerel", "timeAt", "endTimeAt", "timeproperty") if key in value}


def _datasets(name: str, value: Any, _: Any) -> Any:
    words = [value] if isinstance(value, str) else _listed(name, value)
    if not all(isinstance(word, str) and (word == "@none" or is_uri(word)) for word in words):
        raise bad_request(f"{name}: found {_short(value)}; expected URIs or @none")
    return value


def _context(name: str, value: Any, _: Any) -> str:
    if not isinstance(value, str) or not is_uri(value):
        raise bad_request(f"{name}: found {_short(value)}; expected the address of an @context")
    return value


def _pairs(name: str, value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise bad_request(f'{name}: expected a list of {{"key": …, "value": …}}')
    for pair in value:
        if not isinstance(pair, dict) or not isinstance(pair.get("key"), str) or not isinstance(pair.get("value"), str):
            raise bad_request(f'{name}: found {_short(pair)}; expected {{"key": …, "value": …}}, both of them text')
    return [{"key": pair["key"], "value": pair["value"]} for pair in value]


def _endpoint(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise bad_request(f"notification.endpoint: found {_short(raw)}; expected an object with a uri")
    found: dict[str, Any] = {}
    for name in ("uri", "accept", "timeout", "cooldown"):
        if raw.get(name) is not None:
            found[name] = raw[name]
    for name in ("receiverInfo", "notifierInfo"):
        if raw.get(name) is not None:
            found[name] = _pairs(f"notification.endpoint.{name}", raw[name])
    Target(found)  # says what is wrong with it
    return found


def _notification(_: str, raw: Any, terms: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise bad_request(f"notification: found {_short(raw)}; expected an object with an endpoint")
    found: dict[str, Any] = {}
    for name, reader in PARAMETERS.items():
        if name in raw:
            if raw[name] in NULLS and isinstance(raw[name], str | None):
                raise bad_request(f"notification.{name}: found null; expected a value, or leave it out")
            found[name] = reader(f"notification.{name}", raw[name], terms)
    form = found.get("format", "normalized")
    if form not in FORMATS:
        raise bad_request(f"notification.format: found {_short(form)}; expected one of {', '.join(FORMATS)}")
    if found.get("showChanges") and FORMATS[form] == "simplified":
        raise bad_request(f"notification.showChanges: found beside the format {form}; expected normalized or concise")
    if "attributes" in found and ("pick" in found or "omit" in found):
        raise bad_request("notification.attributes: found beside pick or omit; expected one or the other")
    if "pick" in found and "omit" in found and (both := {word for word in found["pick"] if "{" not in word}.intersection(found["omit"])):
        raise bad_request(f"notification.omit: found {terms.terms[min(both)]!r}, which pick names too")
    if found.get("join", "@none") not in ("inline", "flat", "@none"):
        raise bad_request(f"notification.join: found {_short(found['join'])}; expected inline, flat or @none")
    level = found.get("joinLevel", 1)
    if isinstance(level, bool) or not isinstance(level, int) or not 0 < level <= LEVELS:
        raise bad_request(f"notification.joinLevel: found {_short(level)}; expected a whole number from 1 to {LEVELS}")
    if "endpoint" not in raw:
        raise bad_request("notification.endpoint: missing; expected an object with a uri")
    found["endpoint"] = _endpoint(raw["endpoint"])
    return found


PARAMETERS: Final[dict[str, Any]] = {
    "attributes": _names, "pick": _members, "omit": _members, "format": _text, "showChanges": _truth, "sysAttrs": _truth, "join": _text,
    "joinLevel": lambda _, value, __: value,
}  # fmt: skip
MEMBERS: Final[dict[str, Any]] = {
    "subscriptionName": _text, "description": _text, "entities": _selectors, "notificationTrigger": _triggers, "watchedAttributes": _names,
    "timeInterval": _above, "q": _query, "geoQ": _geo, "csf": _query, "scopeQ": _scope, "temporalQ": _temporal, "isActive": _truth,
    "notification": _notification, "expiresAt": _moment, "throttling": _above, "lang": _text, "datasetId": _datasets, "jsonldContext": _context,
    "localOnly": _truth, "splitEntities": _truth,
}  # fmt: skip


# --- showing -----------------------------------------------------------------------------------------------------------------------------


def status(members: Mapping[str, Any], now: int) -> str:
    """active, paused or expired; now in µs since 1970.

    >>> status({"isActive": False}, 0), status({"expiresAt": "1970-01-01T00:00:01Z"}, 2_000_000)
    ('paused', 'expired')
    """
    if "expiresAt" in members and times.parse(members["expiresAt"]) <= now:
        return "expired"
    return "paused" if members.get("isActive") is False else "active"


def show_subscription(
    id: str, members: Mapping[str, Any], state: Mapping[str, Any], terms: Any, now: int, *, own: str | None = None, kind: str = "Subscription"
) -> dict[str, Any]:
    """A subscription as a client reads it.

    Parameters
    ----------
    id, members  as they were kept
    state        counters of the delivery (`outbox.tell`)
    terms        the @context to read it with
    now          µs since 1970, for the status
    own          address of a @context that the broker keeps for this subscription: its jsonldContext, unless the client gave one
    """
    names = terms.terms
    shown: dict[str, Any] = {"id": id, "type": kind}
    for name, value in members.items():
        if name == "entities":
            value = [{**part, "type": part["type"] if part["type"] == "*" else _short_types(part["type"], names)} for part in value]
        elif name == "watchedAttributes":
            value = [names[iri] for iri in value]
        elif name == "geoQ" and "geoproperty" in value:
            value = {**value, "geoproperty": names[value["geoproperty"]]}
        elif name == "notification":
            value = _shown_parameters(value, state, names)
        elif name == "isActive" and value:
            continue
        shown[name] = value
    if own is not None:
        shown.setdefault("jsonldContext", own)
    shown.setdefault("notificationTrigger", USUAL)
    shown["status"] = status(members, now)
    return shown


def _short_types(text: str, names: Mapping[str, str]) -> str:
    words = [[names[iri] for iri in each] for each in parse_types(text, FULL).alternatives]
    return ",".join(each[0] if len(each) == 1 else f"({';'.join(each)})" for each in words)


def _shown_parameters(value: Mapping[str, Any], state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    shown = dict(value)
    if "attributes" in shown:
        shown["attributes"] = [names[iri] for iri in shown["attributes"]]
    for name in ("pick", "omit"):
        if name in shown:
            shown[name] = _words(parse_projection(",".join(shown[name]), FULL, name), names)
    if state.get("timesSent"):
        shown["status"] = "ok" if state.get("ok", True) else "failed"
        shown["timesSent"] = state["timesSent"]
        if state.get("timesFailed"):
            shown["timesFailed"] = state["timesFailed"]
        for name in ("lastNotification", "lastSuccess", "lastFailure"):
            if name in state:
                shown[name] = state[name]
    return shown


# --- matching ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A subscription that is ready to be asked.

    mask      its triggers as bits (TRIGGERS); 0 with an interval
    watched   IRIs, None: any attribute
    who, q, geo, scope  conditions on the entity
    expires   µs since 1970, None: never
    view      how entities are shown; look: the same number for the same view and @context
    asked     attributes (IRIs) that it asks about, which a subject must be allowed to see
    target    where notifications go; terms: the @context they are told with
    subject   who made it
    """

    id: str
    mask: int
    watched: frozenset[str] | None
    who: tuple[Who, ...]
    q: Q | None
    geo: GeoQ | None
    scope: ScopeQ | None
    expires: int | None
    throttling: int
    interval: int
    changes: bool
    view: View
    look: int
    asked: frozenset[str]
    target: Target
    terms: Any
    subject: str
    opening: bytes
    geojson: bool

    @property
    def selection(self) -> Selection:
        """What it selects, for a query; without selectors, what has a watched attribute."""
        return Selection(self.who, () if self.who else tuple(self.watched or ()), self.q, self.scope, self.geo)

    def concerns(self, entity: Entity, linked: Any = None) -> bool:
        """Whether the entity is selected and meets all conditions; linked(id) gives entities that relationships lead to."""
        return (
            (not self.who or any(who.matches(entity) for who in self.who))
            and (self.scope is None or self.scope.matches(entity))
            and (self.q is None or self.q.matches(entity, linked))
            and (self.geo is None or self.geo.matches(entity))
        )

    def wants(self, bits: Mapping[str, int], total: int) -> bool:
        """Whether the triggers and watched attributes are about this change; see `events`."""
        mask = self.mask
        if self.watched is None:
            return bool(mask & total)
        return any(mask & bits[name] for name in self.watched if name in bits)


def events(change: Change) -> tuple[dict[str, int], int]:
    """What happened: attribute → bits of TRIGGERS, and all bits together.

    >>> new = {"id": "urn:a", "type": ["T"], "https://x/a": [{"type": "Property", "value": 1}]}
    >>> events(Change(new, None, [("https://x/a", None, "created")]))
    ({'https://x/a': 9}, 9)
    """
    whole = 1 if change.fresh else 4 if change.entity is None else 2
    bits: dict[str, int] = {}
    total = whole
    for name, _, kind in change.changed:
        if name not in HEAD:
            found = KINDS[kind] | whole
            bits[name] = bits.get(name, 0) | found
            total |= found
    return bits, total


_LOOKS: dict[Any, int] = {}
_MOST_LOOKS: Final = 20_000
_numbers = itertools.count()


def _look(key: Any) -> int:
    """A number for a view; never the same for two views, mostly the same for one."""
    if len(_LOOKS) >= _MOST_LOOKS:
        _LOOKS.clear()
    found = _LOOKS.get(key)
    if found is None:
        found = _LOOKS[key] = next(_numbers)
    return found


def make_ready(id: str, members: Mapping[str, Any], terms: Any, asked_with: Any, context: str, tenant: str, subject: str) -> Ready:
    """A kept subscription, ready to be asked.

    Parameters
    ----------
    members     as `read_subscription` gave them
    terms       the @context of its notifications, and context: its address
    asked_with  the @context that q was written with
    """
    told = members["notification"]
    endpoint = told["endpoint"]
    geojson = endpoint.get("accept") == GEO_JSON
    datasets = members.get("datasetId")
    chosen = [datasets] if isinstance(datasets, str) else datasets
    pick, omit = (parse_projection(",".join(told[name]), FULL, name) if name in told else None for name in ("pick", "omit"))
    join = told.get("join")
    view = View(
        format=FORMATS[told.get("format", "normalized")],  # type: ignore[arg-type]
        sys=told.get("sysAttrs", False),
        languages=languages(members["lang"]) if "lang" in members else (),
        attrs=frozenset(told["attributes"]) if "attributes" in told else None,
        pick=_tree(pick),
        omit=_tree(omit),
        datasets=frozenset(None if name == "@none" else name for name in chosen) if chosen else None,
        geometry=LOCATION if geojson else None,
        context=context if endpoint.get("accept") == LD_JSON else None,
        join=join if join in ("inline", "flat") else None,
        depth=told.get("joinLevel", 1),
    )
    key = (
        terms.key,
        view.format,
        view.sys,
        view.languages,
        view.attrs,
        repr(view.pick),
        repr(view.omit),
        view.datasets,
        geojson,
        view.context,
        view.join,
        view.depth,
    )
    q = _q(members["q"], asked_with) if "q" in members else None
    geo = parse_geo(members["geoQ"], FULL) if "geoQ" in members else None
    watched = frozenset(members["watchedAttributes"]) if "watchedAttributes" in members else None
    interval = members.get("timeInterval", 0)
    mask = 0
    for trigger in members.get("notificationTrigger", USUAL):
        mask |= TRIGGERS[trigger]
    who = []
    for part in members.get("entities", ()):
        ids = part.get("id", ())
        who.append(
            Who(
                None if part["type"] == "*" else parse_types(part["type"], FULL),
                (ids,) if isinstance(ids, str) else tuple(ids),
                parse_id_pattern(part["idPattern"]) if "idPattern" in part and not ids else None,
            )
        )
    return Ready(
        id=id,
        mask=0 if interval else mask,
        watched=watched,
        who=tuple(who),
        q=q,
        geo=geo,
        scope=parse_scope(members["scopeQ"]) if "scopeQ" in members else None,
        expires=times.parse(members["expiresAt"]) if "expiresAt" in members else None,
        throttling=int(members.get("throttling", 0) * 1_000_000),
        interval=int(interval * 1_000_000),
        changes=told.get("showChanges", False),
        view=view,
        look=_look(key),
        asked=(q.attributes if q else frozenset()) | (frozenset([geo.attr]) if geo else frozenset()) | (watched or frozenset()),
        target=Target(endpoint, tenant, context),
        terms=terms,
        subject=subject,
        opening=b'","type":"Notification","subscriptionId":' + _encode(id) + b',"notifiedAt":"',
        geojson=geojson,
    )


def _tree(projection: Projection | None) -> Any:
    return None if projection is None else {name: _tree(below) for name, below in projection.members.items()}


class Index:
    """The active subscriptions of one tenant, found by what they name: an id, else a type, and the watched attributes.

    >>> Index().near({"id": "urn:a", "type": ["https://x/T"]}, {"https://x/a": 9})
    []
    """

    def __init__(self) -> None:
        self.all: dict[str, Ready] = {}
        self.by_id: dict[str, dict[str, Ready]] = {}
        self.by_type: dict[str | None, dict[str | None, dict[str, Ready]]] = {}  # type or None → watched attribute or None
        self.timed: dict[str, Ready] = {}

    def _places(self, ready: Ready) -> Iterable[tuple[Any, str | None, Any]]:
        """Where a subscription stands: (map, key, attribute), attribute False for those found by id."""
        kinds: set[str | None] = set()
        for who in ready.who or (Who(),):
            if who.ids:
                for id in who.ids:
                    yield self.by_id, id, False
            elif who.types is None or who.types.wildcard:
                kinds.add(None)
            else:
                # All types of an alternative must be there: one of them finds it.
                kinds.update(each[0] for each in who.types.alternatives)
        for kind in kinds:
            for attr in ready.watched or (None,):
                yield self.by_type, kind, attr

    def put(self, ready: Ready) -> None:
        """Take in a subscription, instead of the one with the same id."""
        self.drop(ready.id)
        self.all[ready.id] = ready
        if ready.interval:
            self.timed[ready.id] = ready
            return
        for where, key, attr in self._places(ready):
            if attr is False:
                where.setdefault(key, {})[ready.id] = ready
            else:
                where.setdefault(key, {}).setdefault(attr, {})[ready.id] = ready

    def drop(self, id: str) -> None:
        """Forget a subscription."""
        ready = self.all.pop(id, None)
        if ready is None:
            return
        self.timed.pop(id, None)
        for where, key, attr in self._places(ready):
            found = where.get(key)
            if found is None:
                continue
            if attr is False:
                found.pop(id, None)
            elif attr in found:
                found[attr].pop(id, None)
                if not found[attr]:
                    del found[attr]
            if not found:
                del where[key]

    def near(self, entity: Entity, bits: Mapping[str, int]) -> list[Ready]:
        """The subscriptions that a change of these attributes could concern, each once."""
        groups = []
        found = self.by_id.get(entity["id"])
        if found:
            groups.append(found)
        by_type = self.by_type
        if by_type:
            for kind in (*entity["type"], None):
                bucket = by_type.get(kind)
                if bucket is not None:
                    if None in bucket:
                        groups.append(bucket[None])
                    if len(bucket) > len(bits):
                        groups += [bucket[name] for name in bits if name in bucket]
                    else:
                        groups += [found for name, found in bucket.items() if name in bits and name is not None]
        if not groups:
            return []
        if len(groups) == 1:
            return list(groups[0].values())
        every: dict[str, Ready] = {}
        for group in groups:
            every.update(group)
        return list(every.values())


# --- telling -----------------------------------------------------------------------------------------------------------------------------


def _previous(instance: Instance) -> tuple[str, Any]:
    """The member that tells what the value of an instance was."""
    member = MEMBER[instance["type"]]
    return "previous" + member[0].upper() + member[1:], instance.get(member)


def _null(old: Instance, sys: bool, changes: bool, now: str) -> Instance:
    """An instance that was deleted."""
    kind = old["type"]
    found: Instance = {"type": kind, MEMBER[kind]: {"@none": NULL} if kind == "LanguageProperty" else NULL}
    if changes:
        name, value = _previous(old)
        found[name] = value
    if "datasetId" in old:
        found["datasetId"] = old["datasetId"]
    if sys:
        found |= {"createdAt": old.get("createdAt", now), "modifiedAt": old.get("modifiedAt", now), "deletedAt": now}
    return found


def _nulls(instances: list[Instance], sys: bool, changes: bool, now: str) -> list[Instance]:
    """An attribute that is gone: of several instances one null tells it, unless their values are told."""
    found = [_null(old, sys, changes, now) for old in instances]
    if len(found) > 1 and not changes:
        found[0].pop("datasetId", None)
        return found[:1]
    return found


def picture(change: Change, ready: Ready, now: str) -> Entity:
    """What a notification of this subscription shows of a change: the entity, with what was deleted as null and, if wanted, what was before.

    The same object as change.entity where nothing is added.
    """
    new, old, sys = change.entity, change.previous, ready.view.sys
    watched = ready.watched
    if new is None:
        assert old is not None
        shown: Entity = {name: old[name] for name in ("id", "type", "scope", "createdAt", "modifiedAt") if name in old and (name != "scope" or ready.changes)}
        if ready.changes or ready.mask & TRIGGERS["attributeDeleted"]:
            for name, instances in old.items():
                if name not in OWN and (watched is None or name in watched):
                    shown[name] = _nulls(instances, sys, ready.changes, now)
        return shown
    if old is None or not (ready.changes or ready.mask & DELETION):
        return new
    shown = new
    for name, dataset, kind in change.changed:
        if name in HEAD or kind == "created" or name not in old:
            continue
        before = next((part for part in old[name] if part.get("datasetId") == dataset), None)
        if before is None:
            continue
        if kind == "deleted":
            if not ready.mask & DELETION or (watched is not None and name not in watched):
                continue
            if shown is new:
                shown = dict(new)
            if name in new:
                shown[name] = [*shown[name], _null(before, sys, ready.changes, now)]
            else:
                gone = {found for other, found, how in change.changed if other == name and how == "deleted"}
                shown[name] = _nulls([part for part in old[name] if part.get("datasetId") in gone], sys, ready.changes, now)
        elif ready.changes:
            if shown is new:
                shown = dict(new)
            member, value = _previous(before)
            shown[name] = [{**part, member: value} if part.get("datasetId") == dataset else part for part in shown[name]]
    return shown


def show_data(entities: list[Entity], ready: Ready, view: View, deleted: str = "") -> bytes | None:
    """The `data` of a notification as JSON; None if the view leaves nothing. deleted: when the entity was deleted."""
    if view.join == "flat" or ready.geojson:
        shown = render_all(entities, ready.terms, view)
        if not (shown["features"] if ready.geojson else shown):
            return None
        return _encode(shown)
    told = [one for entity in entities if (one := render(entity, ready.terms, view)) and one.keys() != {"@context"}]
    if deleted:
        for one in told:
            one["deletedAt"] = deleted
    return _encode(told) if told else None


def envelope(ready: Ready, data: bytes, now: str) -> tuple[str, bytes]:
    """A notification: its id and its JSON."""
    word = os.urandom(16).hex()
    id = f"urn:ngsi-ld:Notification:{word[:8]}-{word[8:12]}-{word[12:16]}-{word[16:20]}-{word[20:]}"
    return id, b'{"id":"%s%s%s","data":%s}' % (id.encode(), ready.opening, now.encode(), data)
