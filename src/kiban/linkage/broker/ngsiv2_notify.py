"""The subscriptions of NGSIv2 at work: which of them a change concerns, and their notifications in the outbox of the same transaction.

In: each change of an entity, whichever API made it. Out: messages for the delivery. Subscriptions are found by entity id and type; only those are
looked into that could be concerned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from kiban.linkage.access import ALLOW, DENY
from kiban.linkage.broker import ngsiv2_subs, outgoing, times
from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.ngsiv2 import Entity, Moment, Names
from kiban.linkage.broker.ngsiv2_query import asked_of_entity
from kiban.linkage.broker.store.contract import Message

SUBSCRIPTION = "v2subscription"
ACTIONS = {"created": "append", "updated": "update", "deleted": "delete"}


@dataclass(frozen=True)
class Cause:
    """What is known of the request behind a change; nothing of a change that NGSI-LD made.

    forced      `options=forcedUpdate`
    correlator  Fiware-Correlator
    token       X-Auth-Token
    """

    forced: bool = False
    correlator: str = ""
    token: str = ""


@dataclass(frozen=True)
class Ready:
    """A subscription that is ready to be asked: its document, who is selected, and its conditions."""

    id: str
    doc: dict[str, Any]
    pickers: tuple[Any, ...]
    q: Any
    geo: Any
    expires: int | None

    def concerns(self, entity: Entity) -> bool:
        """Whether the entity is selected and fulfils the expression."""
        return (
            any(picker.matches(entity) for picker in self.pickers)
            and (self.q is None or self.q.matches(entity))
            and (self.geo is None or self.geo.matches(entity))
        )


class Index:
    """The subscriptions of one tenant by the entities that they name."""

    def __init__(self, rows: list[tuple[int, str, Any, Any, int, int]], names: Names) -> None:
        self.by_id: dict[str, list[Ready]] = {}
        self.by_type: dict[str, list[Ready]] = {}
        self.any: list[Ready] = []
        for _, id, doc, _, _, _ in rows:
            if doc["status"] in ("active", "oneshot"):
                self.add(id, doc, names)

    def add(self, id: str, doc: dict[str, Any], names: Names) -> None:
        """Take in one subscription."""
        asked = [asked_of_entity(one) for one in doc["subject"]["entities"]]
        expression = doc["subject"].get("condition", {}).get("expression")
        q, geo = ngsiv2_subs.read_expression(expression, names) if expression else (None, None)
        expires = times.parse(doc["expires"]) if "expires" in doc else None
        ready = Ready(id, doc, tuple(one.picker(names) for one in asked), q, parse_geo(geo, names.terms) if geo else None, expires)
        for one in asked:
            if one.ids and one.types:
                for ld in one.ld_ids(()):
                    self.by_id.setdefault(ld, []).append(ready)
            elif one.types:
                for name in one.types:
                    self.by_type.setdefault(names.type(name), []).append(ready)
            else:
                self.any.append(ready)

    def near(self, entity: Entity) -> list[Ready]:
        """The subscriptions that could be concerned, each once."""
        found = [*self.by_id.get(entity["id"], ()), *self.any]
        for iri in entity["type"]:
            found += self.by_type.get(iri, ())
        return list({ready.id: ready for ready in found}.values())


class Notices:
    """The effect that turns changes into notifications."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.names: Names | None = None
        # Set around one change by the handler that makes it; changes of a transaction are made one after another.
        self.cause = Cause()

    def index(self, tx: Any, tenant: int, names: Names) -> Index:
        """The subscriptions of a tenant, read again when one has changed; kept where a rollback forgets it."""
        number = tx.changes(SUBSCRIPTION)
        known = tx.names.made.get((SUBSCRIPTION, tenant))
        if known is None or known[0] != number:
            known = tx.names.made[(SUBSCRIPTION, tenant)] = number, Index(tx.things(tenant, SUBSCRIPTION), names)
        return known[1]  # type: ignore[no-any-return]

    def effect(self, tx: Any, tenant: int, name: str, change: Change) -> None:
        """Put the notifications of one change into the outbox."""
        names = self.names
        entity = change.entity if change.entity is not None else change.previous
        if names is None or entity is None:
            return
        near = self.index(tx, tenant, names).near(entity)
        if not near:
            return
        moment = Moment(
            "entityCreate" if change.previous is None else "entityDelete" if change.entity is None else "entityChange",
            change.previous,
            {iri: ACTIONS[kind] for iri, _, kind in change.changed},
        )
        now = times.now_us()
        for ready in near:
            if (ready.expires is None or ready.expires > now) and self.due(ready, name, entity, moment) and self.in_time(tx, tenant, ready, now):
                self.tell(tx, tenant, name, ready, entity, moment, now)

    @staticmethod
    def in_time(tx: Any, tenant: int, ready: Ready, now: int) -> bool:
        """Whether enough time has passed since the last notification. Kept with the subscription: for all workers, and undone with the transaction."""
        pause = int(ready.doc.get("throttling", 0) * times.SECOND)
        if not pause:
            return True
        state = tx.state(tenant, SUBSCRIPTION, ready.id) or {}
        return not 0 <= now - state.get("told", -pause) < pause  # below 0: the clock was set back

    def due(self, ready: Ready, name: str, entity: Entity, moment: Moment) -> bool:
        """Whether this subscription is to be told of the change."""
        if not ready.concerns(entity) or self.names is None:
            return False
        if not ngsiv2_subs.wants(ready.doc, self.names, moment, entity, ready.doc.get("servicePath") or None, forced=self.cause.forced):
            return False
        decision = self.broker.access.decide(ready.doc.get("by", ""), "entities.read", name)
        # Where attributes are hidden nothing is told: what a notification shows is not cut to the others.
        return bool(decision is ALLOW or (decision is not DENY and decision.attrs is None and decision.matches(entity)))

    def tell(self, tx: Any, tenant: int, name: str, ready: Ready, entity: Entity, moment: Moment, now: int) -> None:
        """One notification into the outbox; a oneshot subscription rests from then on."""
        cause = self.cause
        assert self.names is not None
        request = ngsiv2_subs.notification(ready.id, ready.doc, self.names, entity, moment, service=name, correlator=cause.correlator, token=cause.token)
        if request is None:
            return
        out = outgoing_request(request)
        tx.enqueue([Message(outgoing.lane_of(out.url), tenant, ready.id, entity["id"], outgoing.encode(out))], now)
        if ready.doc.get("throttling"):
            tx.set_state(tenant, SUBSCRIPTION, ready.id, {**(tx.state(tenant, SUBSCRIPTION, ready.id) or {}), "told": now})
        if ready.doc["status"] == "oneshot":
            tx.put_thing(tenant, SUBSCRIPTION, ready.id, {**ready.doc, "status": "inactive"})


def outgoing_request(request: ngsiv2_subs.Request) -> outgoing.Request:
    """A notification as the delivery sends it; over MQTT without headers, so that the body alone is published.

    >>> outgoing_request(ngsiv2_subs.Request("PUBLISH", "mqtt://h", {}, b"{}", 0, (("topic", "a b"), ("qos", 1), ("user", None)))).url
    'mqtt://h/a%20b'
    """
    if request.method == "PUBLISH":
        told, parts = dict(request.mqtt), urlsplit(request.url)
        user = f"{quote(told['user'], safe='')}:{quote(told['passwd'], safe='')}@" if told.get("user") else ""
        host = parts.netloc.rpartition("@")[2]
        return outgoing.Request(
            "PUBLISH", f"{parts.scheme}://{user}{host}/{quote(told['topic'])}", (), request.body, 0.0, 0.0, outgoing.VERSIONS[0], told["qos"]
        )
    return outgoing.Request(request.method, request.url, tuple(request.headers.items()), request.body, request.timeout / 1000)
