"""Subscriptions to context source registrations and their notifications (ETSI GS CIM 009 v1.9.1, 5.3.2, 5.11).

In: subscriptions as clients write them, and every change of a registration inside the transaction that makes it. Out: documents with full names for
the store, and notifications in the outbox of the same transaction: newlyMatching, updated, noLongerMatching, at the start all that match, and with a
time interval all that match again and again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kiban.base.errors import KibanError
from kiban.linkage.broker import sources, times
from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.outgoing import Target, encode
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.selection import TypeQ, parse_id_pattern, parse_scope, parse_temporal, parse_types
from kiban.linkage.broker.server import dumps
from kiban.linkage.broker.sources import EVERY, Asked, Doc, Source
from kiban.linkage.broker.store import Message, Who
from kiban.linkage.broker.values import is_name, is_uri
from kiban.linkage.errors import bad_request

KIND: Final = "csource-subscription"
LOOK: Final = 0.5  # seconds between two looks at the time intervals
_FORMATS: Final = ("normalized", "concise", "simplified", "keyValues")
_COUNTED: Final = ("timesSent", "timesFailed", "lastNotification", "lastFailure", "lastSuccess")
_TOLD: Final = frozenset({"createdAt", "modifiedAt", "status", "id"})
_PLAIN_TEXTS: Final = ("subscriptionName", "description", "q", "csf", "scopeQ", "lang")
# Members of a subscription to entities that say nothing about registrations: kept and given back.
_KEPT: Final = frozenset({"notificationTrigger", "throttling", "localOnly", "splitEntities", "datasetId", "jsonldContext", "sysAttrs", "pick", "omit"})


class _Recorder:
    """Notes which names a query has, so that it can be read again without its @context."""

    def __init__(self, terms: Any) -> None:
        self.terms = terms
        self.names: dict[str, str] = {}

    def expand(self, name: str) -> str:
        """The full name of an attribute."""
        return self.names.setdefault(name, self.terms.expand(name))

    expand_type = expand_vocab = expand


class _Names:
    """The names of a query as they were noted."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def expand(self, name: str) -> str:
        """The full name of an attribute."""
        return self.names.get(name, name)

    expand_type = expand_vocab = expand


def parse(raw: Mapping[str, Any], terms: Any, *, partial: bool = False, guard: Any = None) -> Doc:
    """A subscription to registrations, or a fragment of one, with full names; members that a fragment wants removed are None.

    Parameters as in `sources.parse`. Raises Problem BadRequestData.
    """
    recorder = _Recorder(terms)
    doc: Doc = {}
    for name, value in raw.items():
        if name in _TOLD:
            continue
        if name == "type":
            if value != "Subscription":
                raise bad_request(f"type: found {str(value)[:80]!r}; expected 'Subscription'")
            doc[name] = value
        elif partial and sources.is_null(value):
            if name == "notification":
                raise bad_request("notification: cannot be removed")
            doc[name] = None
        else:
            doc[name] = _member(name, value, recorder, guard)
    if recorder.names:
        doc["names"] = recorder.names
    if not partial:
        for name in ("type", "notification"):
            if name not in doc:
                raise bad_request(f"{name}: missing")
    return doc


def _member(name: str, value: Any, terms: _Recorder, guard: Any) -> Any:
    """One member, checked."""
    match name:
        case "entities":
            if not isinstance(value, list) or not value:
                raise bad_request("entities: expected a list of entity selectors")
            return [_selector(part, terms) for part in value]
        case "watchedAttributes":
            if not isinstance(value, list) or not value or not all(isinstance(each, str) and is_name(each) for each in value):
                raise bad_request("watchedAttributes: expected a list of names with one or more")
            return [terms.terms.expand(each) for each in value]
        case "q" | "csf":
            if not isinstance(value, str) or not value:
                raise bad_request(f"{name}: expected a query")
            parse_q(value, terms, where=name)
        case "scopeQ":
            if not isinstance(value, str) or not value:
                raise bad_request("scopeQ: expected a query")
            parse_scope(value)
        case "geoQ":
            if not isinstance(value, dict) or parse_geo(value, terms) is None:
                raise bad_request("geoQ: expected an object with georel, geometry and coordinates")
        case "temporalQ":
            if not isinstance(value, dict) or parse_temporal(value) is None:
                raise bad_request("temporalQ: expected an object with timerel and timeAt")
        case "timeInterval":
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise bad_request("timeInterval: expected seconds above 0")
        case "isActive":
            if not isinstance(value, bool):
                raise bad_request("isActive: expected true or false")
        case "expiresAt":
            try:
                moment = times.parse(value)
            except (ValueError, TypeError) as error:
                raise bad_request(f"expiresAt: {error}") from None
            if moment <= times.now_us():
                raise bad_request(f"expiresAt: found {value!r}, which is in the past")
        case "notification":
            return _notification(value, terms, guard)
        case _ if name in _PLAIN_TEXTS:
            if not isinstance(value, str) or not value:
                raise bad_request(f"{name}: expected a text")
        case _ if name not in _KEPT:
            raise bad_request(f"found {name[:100]!r}; a subscription has no such member")
    return value


def _selector(part: Any, terms: _Recorder) -> Doc:
    """An EntitySelector with full names; a type that is a query of several stays a text, with its names noted."""
    if not isinstance(part, dict) or not part.keys() <= {"id", "idPattern", "type"}:
        raise bad_request("entities: each selector is an object with type, and id or idPattern perhaps")
    kind, id, pattern = part.get("type"), part.get("id"), part.get("idPattern")
    if not isinstance(kind, str) or not kind:
        raise bad_request("entities: the type is missing")
    found: Doc = {"type": kind}
    if kind != "*":
        parse_types(kind, terms)
    if id is not None:
        if not isinstance(id, str) or not is_uri(id):
            raise bad_request(f"entities: found id {str(id)[:100]!r}; expected a URI")
        found["id"] = id
    if pattern is not None:
        if not isinstance(pattern, str):
            raise bad_request("entities: idPattern is text")
        parse_id_pattern(pattern)
        found["idPattern"] = pattern
    return found


def _notification(raw: Any, terms: _Recorder, guard: Any) -> Doc:
    """NotificationParams."""
    if not isinstance(raw, dict) or not isinstance(raw.get("endpoint"), dict):
        raise bad_request("notification: expected an object with an endpoint")
    endpoint = raw["endpoint"]
    Target(endpoint)  # checks the whole endpoint
    if guard is not None:
        try:
            guard.check_url(endpoint["uri"])
        except KibanError as error:
            raise bad_request(f"notification.endpoint.uri: {error}") from None
    if raw.get("format", "normalized") not in _FORMATS:
        raise bad_request(f"notification.format: found {str(raw['format'])[:60]!r}; expected one of {', '.join(_FORMATS)}")
    found = {name: value for name, value in raw.items() if name not in _COUNTED and name != "status"}
    if "attributes" in found:
        names = found["attributes"]
        if not isinstance(names, list) or not names or not all(isinstance(each, str) and is_name(each) for each in names):
            raise bad_request("notification.attributes: expected a list of names with one or more")
        found["attributes"] = [terms.terms.expand(each) for each in names]
    return found


def merged(old: Doc, fragment: Doc) -> Doc:
    """A subscription after an update."""
    names = {**old.get("names", {}), **fragment.get("names", {})}
    clash = {name for name, iri in fragment.get("names", {}).items() if old.get("names", {}).get(name, iri) != iri}
    stays = [name for name in ("q", "csf", "geoQ", "entities") if name in old and name not in fragment]
    if clash and stays:
        raise bad_request(f"{min(clash)!r} stands for another name in {', '.join(stays)}: change those too, or use the same @context")
    doc = {name: value for name, value in {**old, **fragment}.items() if value is not None}
    if names:
        doc["names"] = names
    return doc


def status(doc: Doc, now: int) -> str:
    """active, paused or expired."""
    if "expiresAt" in doc and times.parse(doc["expiresAt"]) <= now:
        return "expired"
    return "active" if doc.get("isActive", True) else "paused"


def render(doc: Doc, id: str, terms: Any, state: Mapping[str, Any], *, sys: tuple[int, int] | None = None) -> Doc:
    """A subscription to registrations as it is answered."""
    names = terms.terms
    known = doc.get("names", {})
    shown: Doc = {"id": id, "type": doc["type"]}
    for name, value in doc.items():
        if name == "entities":
            shown[name] = [{key: names[known[part]] if key == "type" and part in known else part for key, part in each.items()} for each in value]
        elif name == "watchedAttributes":
            shown[name] = [names[each] for each in value]
        elif name == "notification":
            shown[name] = _render_notification(value, names, state)
        elif name not in ("names", "context", "internal") and not (name == "isActive" and value):
            shown[name] = value
    shown["status"] = status(doc, times.now_us())
    if sys is not None:
        shown["createdAt"], shown["modifiedAt"] = times.text(sys[0]), times.text(sys[1])
    return shown


def _render_notification(value: Doc, names: Mapping[str, str], state: Mapping[str, Any]) -> Doc:
    shown = dict(value)
    if "attributes" in shown:
        shown["attributes"] = [names[each] for each in shown["attributes"]]
    if state.get("timesSent"):
        shown |= {name: state[name] for name in _COUNTED if state.get(name)}
        shown["status"] = "ok" if state.get("ok", True) else "failed"
    return shown


class Watcher:
    """One subscription, compiled."""

    def __init__(self, id: str, doc: Doc, tenant: str) -> None:
        self.id, self.doc, self.tenant = id, doc, tenant
        names = _Names(doc.get("names", {}))
        who = []
        for part in doc.get("entities", ()):
            kinds: TypeQ | None = None if part["type"] == "*" else parse_types(part["type"], names)
            pattern = part.get("idPattern")
            who.append(Who(kinds, (part["id"],) if "id" in part else (), parse_id_pattern(pattern) if pattern and "id" not in part else None))
        q, csf, scope = doc.get("q"), doc.get("csf"), doc.get("scopeQ")
        self.asked = Asked(
            tuple(who),
            frozenset(doc["watchedAttributes"]) if "watchedAttributes" in doc else EVERY,
            parse_q(q, names) if q else None,
            parse_q(csf, names, where="csf") if csf else None,
            parse_scope(scope) if scope else None,
            parse_geo(doc["geoQ"], names) if "geoQ" in doc else None,
            parse_temporal(doc["temporalQ"]) if "temporalQ" in doc else None,
        )
        self.interval = doc.get("timeInterval")
        self.target = Target(doc["notification"]["endpoint"], tenant, doc["context"])


class SourceNotices:
    """The notifications about registrations of one broker."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def watchers(self, tx: Any, tenant: int) -> list[Watcher]:
        """The subscriptions of a tenant, read again when one has changed; kept where a rollback forgets it."""
        number = tx.changes(KIND)
        known = tx.names.made.get((KIND, tenant))
        if known is None or known[0] != number:
            name = dict(tx.tenants())[tenant]
            found = [Watcher(id, doc, name) for _, id, doc, *_ in tx.things(tenant, KIND) if "internal" not in doc]
            known = tx.names.made[(KIND, tenant)] = number, found
        return known[1]  # type: ignore[no-any-return]

    def changed(self, tx: Any, tenant: int, name: str, id: str, old: Doc | None, new: Doc | None) -> None:
        """A registration was made, changed or removed (new None): notify whom it concerns, in the same transaction."""
        del name
        core, now = self.broker.contexts.core, times.now_us()
        before = None if old is None else Source(id, old, core)
        after = None if new is None else Source(id, new, core)
        for watcher in self.watchers(tx, tenant):
            if watcher.interval is not None or status(watcher.doc, now) != "active":
                continue
            was = watcher.asked.matches(before) if before is not None else []
            fits = watcher.asked.matches(after) if after is not None else []
            if after is not None and fits:
                self.notify(tx, tenant, watcher, "updated" if was else "newlyMatching", [(after, fits)])
            elif before is not None and was:
                self.notify(tx, tenant, watcher, "noLongerMatching", [(before, was)])

    def start(self, tx: Any, tenant: int, name: str, id: str, doc: Doc) -> None:
        """A subscription was made or changed: notify of all that match."""
        watcher = Watcher(id, doc, name)
        now = times.now_us()
        if status(doc, now) == "active":
            self.notify(tx, tenant, watcher, "newlyMatching", self.matching(tx, tenant, watcher))
        if watcher.interval is not None:
            found = tx.thing(tenant, KIND, id)
            tx.set_state(tenant, KIND, id, {**(found[1] if found else {}), "due": now + int(watcher.interval * 1_000_000)})

    def matching(self, reader: Any, tenant: int, watcher: Watcher) -> list[tuple[Source, list[int]]]:
        """All registrations that a subscription is about."""
        core = self.broker.contexts.core
        found = []
        for _, id, doc, *_ in reader.things(tenant, sources.KIND):
            source = Source(id, doc, core)
            if fits := watcher.asked.matches(source):
                found.append((source, fits))
        return found

    def notify(self, tx: Any, tenant: int, watcher: Watcher, reason: str, found: Iterable[tuple[Source, list[int]]]) -> None:
        """Put one notification into the outbox, unless there is nothing to tell."""
        terms = self.broker.notices.terms(watcher.doc["context"], watcher.tenant) or self.broker.contexts.core
        data = [_listed(sources.render(source.doc, source.id, terms, infos=fits)) for source, fits in found]
        if not data:
            return
        now = times.now_us()
        id = f"urn:ngsi-ld:ContextSourceNotification:{uuid.uuid4()}"
        body = {
            "id": id,
            "type": "ContextSourceNotification",
            "subscriptionId": watcher.id,
            "notifiedAt": times.text(now),
            "triggerReason": reason,
            "data": data,
        }
        request = watcher.target.request(dumps(body), id)
        tx.enqueue([Message(watcher.target.lane, tenant, watcher.id, "", encode(request))], now)

    async def ticking(self) -> None:
        """Send what is due by a time interval, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            reader, now = self.broker.store.reader, times.now_us()
            due = [
                (tenant, id)
                for tenant, id, doc, state, *_ in reader.things(None, KIND)
                if "timeInterval" in doc and is_due(doc, state, now) and status(doc, now) == "active"
            ]
            if due:
                await self.broker.store.write(lambda tx, due=due, now=now: self.tick(tx, due, now))

    def tick(self, tx: Any, due: Iterable[tuple[int, str]], now: int) -> None:
        """Notify those whose time has come; another worker may have done it."""
        names = dict(tx.tenants())
        for tenant, id in due:
            found = tx.thing(tenant, KIND, id)
            if found is None or not is_due(found[0], found[1], now):
                continue
            watcher = Watcher(id, found[0], names[tenant])
            tx.set_state(tenant, KIND, id, found[1] | {"due": now + int(found[0]["timeInterval"] * 1_000_000)})
            self.notify(tx, tenant, watcher, "newlyMatching", self.matching(tx, tenant, watcher))


def is_due(doc: Doc, state: Doc, now: int) -> bool:
    """Whether the time (µs) of a subscription with a time interval has come; one further ahead than the interval is of a clock that was set back.

    >>> is_due({"timeInterval": 2}, {"due": 9_000_000}, 8_000_000), is_due({"timeInterval": 2}, {"due": 9_000_000}, 1_000_000)
    (False, True)
    """
    return not now < state.get("due", 0) <= now + int(doc["timeInterval"] * 1_000_000)


def _listed(registration: Doc) -> Doc:
    """The same with the types of its entities as lists, as receivers of notifications expect them."""
    for info in registration["information"]:
        for part in info.get("entities", ()):
            if isinstance(part.get("type"), str):
                part["type"] = [part["type"]]
    return registration
