"""Subscriptions that reach further than this broker: reduced copies at context sources, and the notifications that come back (5.8.1.4, 5.8.5.4, 5.8.6).

In: subscriptions and registrations, as they are put and dropped. Out: requests to the sources, in the outbox of the same transaction, so that a copy is
made and withdrawn even if the source is away for a while. A copy sends its notifications to this broker, which passes them on to the subscriber under
the subscription's own id. Whoever knows the id of a copy may notify: it is a random one that only the source was told.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from kiban.linkage.access import ALLOW, DENY
from kiban.linkage.broker import forward, model, outgoing, source_subscriptions, subscriptions, times
from kiban.linkage.broker.negotiate import open_body
from kiban.linkage.broker.notices import KIND, Notices, present
from kiban.linkage.broker.outgoing import Request, encode, lane_of
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.remote import API, LINK, context_url
from kiban.linkage.broker.server import Call, Reply, dumps
from kiban.linkage.broker.sources import EVERY, FROM_REQUEST, Asked, Source
from kiban.linkage.broker.store import Message
from kiban.linkage.broker.subscriptions import Ready
from kiban.linkage.errors import bad_request, not_found

COPY: Final = "remote-subscription"
PATH: Final = "/ngsi-ld/ex/remote-notify"
# What a copy keeps of a subscription; conditions only where entities are not split between sources.
_KEPT: Final = ("entities", "watchedAttributes", "notificationTrigger", "expiresAt", "timeInterval", "splitEntities")
_CONDITIONS: Final = ("q", "scopeQ", "geoQ")


def internal_id(id: str) -> str:
    """The id of the subscription to registrations that stands for the copies of a subscription.

    >>> internal_id("urn:s:1")
    'urn:kiban:sources-of:urn:s:1'
    """
    return f"urn:kiban:sources-of:{id}"


class Relay:
    """The copies of subscriptions of one broker."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    async def places(self, call: Call) -> list[Source]:
        """The sources that may get a copy of a subscription that this request makes."""
        if not self.broker.forward.concerned(call):
            return []
        found, looped = await self.broker.forward.live(call)
        return [] if looped else found

    def put(self, tx: Any, call: Call, tenant: int, id: str, doc: dict[str, Any], places: Iterable[Source]) -> None:
        """A subscription was made or changed in this transaction: old copies go, new ones are made."""
        self.drop(tx, call.tenant, tenant, id)
        self.spread(tx, call.tenant, tenant, id, doc, places, call.header(b"via"))

    def spread(self, tx: Any, name: str, tenant: int, id: str, doc: dict[str, Any], places: Iterable[Source], via: str = "") -> None:
        """Make copies at the sources that may have entities that a subscription is about."""
        ready = self.broker.notices.made.get((tenant, id), (0, None))[1]
        if ready is None or doc["members"].get("localOnly") or not doc["members"].get("isActive", True):
            return
        terms = self.broker.notices.terms(doc["asked"], name) or self.broker.contexts.core
        csf = doc["members"].get("csf")
        asked = Asked(ready.who, ready.watched if ready.watched is not None else EVERY, csf=parse_q(csf, terms, where="csf") if csf else None)
        for source in places:
            if source.mode == "auxiliary" or "createSubscription" not in source.operations or not asked.matches(source):
                continue
            if tx.thing(tenant, source_subscriptions.KIND, internal_id(id)) is None:
                tx.put_thing(tenant, source_subscriptions.KIND, internal_id(id), self.internal(id, doc))
            copy = f"urn:ngsi-ld:Subscription:{uuid.uuid4()}"
            url = f"{source.url}{API}/subscriptions"
            tx.put_thing(tenant, COPY, copy, {"subscription": id, "source": source.id, "url": url, "headers": self.headers(source, name, via)})
            link = context_url(terms)
            body = self.reduced(copy, doc["members"], terms, name)
            headers = [*self.headers(source, name, via), ("Content-Type", "application/json" if link else "application/ld+json")]
            if link:
                headers.append(("Link", LINK.format(link)))
            else:
                body["@context"] = terms.source
            self.send(tx, tenant, id, copy, url, Request("POST", url, tuple(headers), dumps(body)))

    def reduced(self, copy: str, members: dict[str, Any], terms: Any, name: str) -> dict[str, Any]:
        """A subscription as its source gets it."""
        shown = subscriptions.show_subscription(copy, members, {}, terms, times.now_us())
        split = bool(members.get("splitEntities"))
        body = {part: shown[part] for part in ("id", "type", *_KEPT, *(() if split else _CONDITIONS)) if part in shown}
        here = f"{self.broker.options.url}{PATH}{'?tenant=' + quote(name, safe='') if name else ''}"
        told: dict[str, Any] = {"format": "normalized", "endpoint": {"uri": here, "accept": "application/json"}}
        if "attributes" in shown["notification"] and not split:
            told["attributes"] = shown["notification"]["attributes"]
        return {**body, "notification": told}

    def internal(self, id: str, doc: dict[str, Any]) -> dict[str, Any]:
        """The subscription to registrations that shows that a subscription has copies."""
        entities = [dict(part) for part in doc["members"].get("entities", ())]
        return {
            "type": "Subscription",
            **({"entities": entities} if entities else {}),
            "notification": {"endpoint": {"uri": f"{self.broker.options.url}{PATH}", "accept": "application/json"}},
            "names": {part["type"]: part["type"] for part in entities},
            "context": self.broker.contexts.core.source,
            "internal": id,
        }

    def headers(self, source: Source, name: str, via: str) -> list[tuple[str, str]]:
        """What the registration wants with each request."""
        alias = self.broker.forward.remote.alias(name)
        found = [("Accept", "application/json"), ("Via", f"{via}, 1.1 {alias}" if via else f"1.1 {alias}")]
        if source.tenant:
            found.append(("NGSILD-Tenant", source.tenant))
        return found + [pair for pair in source.headers if pair[1] != FROM_REQUEST]

    def send(self, tx: Any, tenant: int, id: str, copy: str, url: str, request: Request) -> None:
        """Put a request into the outbox; those about one copy keep their order."""
        tx.enqueue([Message(lane_of(url), tenant, internal_id(id), copy, encode(request))], times.now_us())

    def drop(self, tx: Any, name: str, tenant: int, id: str | None = None, source: str | None = None) -> None:
        """Withdraw the copies of a subscription, or those at a source."""
        del name
        for _, copy, doc, *_ in tx.things(tenant, COPY):
            if (id is not None and doc["subscription"] != id) or (source is not None and doc["source"] != source):
                continue
            tx.delete_thing(tenant, COPY, copy)
            headers = tuple((key, value) for key, value in doc["headers"])
            self.send(tx, tenant, doc["subscription"], copy, doc["url"], Request("DELETE", f"{doc['url']}/{quote(copy, safe=':')}", headers, b""))
        if id is not None and tx.thing(tenant, source_subscriptions.KIND, internal_id(id)) is not None:
            tx.delete_thing(tenant, source_subscriptions.KIND, internal_id(id))

    def source_changed(self, tx: Any, name: str, tenant: int, id: str, doc: dict[str, Any] | None) -> None:
        """A registration was put or dropped (None) in this transaction."""
        self.drop(tx, name, tenant, source=id)
        if doc is None:
            return
        source = Source(id, doc, self.broker.contexts.core)
        if "createSubscription" not in source.operations:
            return
        for _, subscription, kept, *_ in tx.things(tenant, KIND):
            # What another broker has sent here is its business: it knows its sources.
            if not kept.get("passed"):
                self.spread(tx, name, tenant, subscription, kept, [source])


async def inbound(call: Call) -> Reply:
    """POST /ngsi-ld/ex/remote-notify: a notification of a copy"""
    raw = await open_body(call)
    broker, name = call.broker, call.params.get("tenant", "")
    copy, data = raw.get("subscriptionId"), raw.get("data")
    if not isinstance(copy, str) or not isinstance(data, list) or not all(isinstance(part, dict) for part in data):
        raise bad_request("expected a notification with subscriptionId and a list of entities as data")
    now = times.now()
    found = [model.parse_entity({key: value for key, value in part.items() if key != "@context"}, call.terms, now=now, trusted=True) for part in data]

    def op(tx: Any) -> None:
        tenant = tx.tenant(name)
        kept = tx.thing(tenant, COPY, copy) if tenant is not None else None
        if kept is None:
            raise not_found(copy, "Subscription")
        notices: Notices = broker.notices
        notices.follow(tx)
        ready = notices.made.get((tenant, kept[0]["subscription"]), (0, None))[1]
        document = tx.thing(tenant, KIND, kept[0]["subscription"])
        if ready is not None and document is not None:
            split = bool(document[0]["members"].get("splitEntities"))
            tell(broker, tx, tenant, name, ready, found, split, now)

    await broker.store.write(op)
    return Reply(200)


def tell(broker: Any, tx: Any, tenant: int, name: str, ready: Ready, found: list[Any], split: bool, now: str) -> None:
    """Pass entities on to the subscriber; split: each is part of one that is looked at as a whole."""
    notices: Notices = broker.notices
    decision = broker.access.decide(ready.subject, "entities.read", name)
    if decision is DENY or (ready.expires is not None and ready.expires <= times.now_us()):
        return
    messages = []
    for entity in found:
        whole = entity
        if split:
            local = tx.entity(tenant, entity["id"])
            whole = forward.Forward.joined([(entity, False), *([(local, False)] if local is not None else [])], "") or entity
            if not ready.concerns(whole, lambda id: present(tx, tenant, id)):
                continue
        hidden = None
        if decision is not ALLOW:
            if not decision.matches(whole):
                continue
            hidden = decision.attrs
        if ready.throttling and not notices.in_time(tx, tenant, ready, times.now_us()):
            break
        shown = notices.data(whole, ready, hidden, lambda id: present(tx, tenant, id), decision, "")
        if shown is not None:
            id, body = subscriptions.envelope(ready, shown, now)
            messages.append(Message(ready.target.lane, tenant, ready.id, entity["id"], outgoing.encode(ready.target.request(body, id))))
    if messages:
        tx.enqueue(messages, times.now_us())
