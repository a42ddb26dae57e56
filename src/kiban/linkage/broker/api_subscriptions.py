"""The HTTP handlers of subscriptions (clause 5.8), and of notifications that could not be delivered."""

from __future__ import annotations

import uuid
from typing import Any

from kiban.linkage.broker import entities, times
from kiban.linkage.broker.api_entities import BASE
from kiban.linkage.broker.api_query import page_links, preferred
from kiban.linkage.broker.asked import page, whole_number
from kiban.linkage.broker.guard import GuardError
from kiban.linkage.broker.hosting import PATH
from kiban.linkage.broker.negotiate import accepted, answer, open_body, open_call
from kiban.linkage.broker.notices import KIND
from kiban.linkage.broker.server import JSON, LD, Call, Headers, Reply, dumps, in_path
from kiban.linkage.broker.subscriptions import read_subscription, show_subscription
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, already_exists, bad_request, not_found

LETTERS = 1000  # dead letters in one answer at most


def subscription_id(call: Call) -> str:
    """The id of the path; 400 if it is no URI."""
    id = call.path[0]
    if not is_uri(id):
        raise bad_request(f"subscription id: found {id[:200]!r}; expected a URI such as urn:ngsi-ld:Subscription:1")
    return id


async def without_id(call: Call) -> Reply:
    """PATCH and DELETE /subscriptions: the id is missing"""
    raise Problem("MethodNotAllowed", f"{call.method} is not offered here", "expected /subscriptions/{id}")


def reachable(call: Call, members: Any) -> None:
    """400 for an endpoint that the guard would refuse later; what a name leads to is seen only then."""
    try:
        call.broker.guard.check_url(members["notification"]["endpoint"]["uri"])
    except GuardError as error:
        raise bad_request(f"notification.endpoint.uri: {error}") from None


async def create(call: Call) -> Reply:
    """POST /subscriptions"""
    raw = await open_body(call)
    entities.allowed(call, "subscriptions.create")
    if not raw:
        raise bad_request("found an empty object; expected a subscription")
    id = raw.get("id", raw.get("@id"))
    if id is None:
        id = f"urn:ngsi-ld:Subscription:{uuid.uuid4()}"
    if not isinstance(id, str) or not is_uri(id):
        raise bad_request(f"id: found {str(id)[:200]!r}; expected a URI")
    broker, tenant = call.broker, call.tenant
    members = read_subscription(raw, call.terms, times.now())
    reachable(call, members)
    if "jsonldContext" in members:
        await broker.contexts.term_map(members["jsonldContext"], tenant)
    key = broker.store.reader.tenant(tenant)
    if key is not None and broker.store.reader.thing(key, KIND, id) is not None:
        raise already_exists(id, "Subscription")
    source = call.terms.source
    link = await broker.hosting.implicit(source, tenant, fresh=True)
    own = None if isinstance(source, str) else link
    doc = document(members, link, own, source, call.subject)
    if b"via" in call.headers:
        doc["passed"] = True
    await broker.notices.learn(doc, tenant, call.terms)
    places = await broker.relay.places(call)

    def op(tx: Any, mark: object) -> None:
        tenant_key = entities.write_tenant(call, tx, make=True)
        broker.notices.follow(tx)
        if tx.thing(tenant_key, KIND, id) is not None:
            raise already_exists(id, "Subscription")
        tx.put_thing(tenant_key, KIND, id, doc)
        if "timeInterval" in members:
            tx.set_state(tenant_key, KIND, id, {"ticked": times.now_us()})
        broker.notices.changed(tx, tenant_key, tenant, id, mark)
        if places:
            broker.relay.put(tx, call, tenant_key, id, doc, places)

    try:
        await write(call, op)
    except Problem:
        if own is not None:
            await broker.hosting.delete(own.rpartition("/")[2], tenant)
        raise
    return Reply(201, [(b"location", f"{BASE}/subscriptions/{in_path(id)}".encode())])


def document(members: dict[str, Any], link: str, own: str | None, asked: Any, subject: str) -> dict[str, Any]:
    """A subscription as it is kept.

    members  with full names
    implied  address of the @context that it was made with; own: the same if the broker keeps it for this subscription alone
    context  what notifications are told with, link: its address
    asked    the @context that q was written with
    """
    context = members.get("jsonldContext", link)
    return {"members": members, "implied": link, "own": own, "context": context, "link": context, "asked": asked, "subject": subject}


async def write(call: Call, op: Any) -> None:
    """Write a change of a subscription: op gets the transaction and what stands for this write; the index is told how it ended."""
    mark, well = object(), False
    try:
        await call.broker.store.write(lambda tx: op(tx, mark))
        well = True
    finally:
        call.broker.notices.settle(mark, well=well)


async def listed(call: Call) -> Reply:
    """GET /subscriptions"""
    await open_call(call)
    media = accepted(call, (JSON, LD))
    entities.allowed(call, "subscriptions.read")
    asked = page(call.params)
    reader = call.broker.store.reader
    tenant = entities.read_tenant(call, reader)
    rows = reader.things(tenant, KIND, asked.limit + 1, asked.offset)
    shown = [shown_to(call, row[1], row[2], row[3]) for row in rows[: asked.limit]]
    headers: Headers = page_links(call, asked, len(rows) > asked.limit, media)
    if asked.counted:
        headers.append((b"ngsild-results-count", str(reader.count_things(tenant, KIND)).encode()))
    return preferring(call, answer(call, shown, media=media, headers=headers))


async def retrieve(call: Call) -> Reply:
    """GET /subscriptions/{id}"""
    await open_call(call)
    media = accepted(call, (JSON, LD))
    id = subscription_id(call)
    entities.allowed(call, "subscriptions.read")
    reader = call.broker.store.reader
    tenant = entities.read_tenant(call, reader)
    await call.broker.dispatcher.written(tenant, id)
    found = reader.thing(tenant, KIND, id)
    if found is None:
        raise not_found(id, "Subscription")
    return preferring(call, answer(call, shown_to(call, id, found[0], found[1]), media=media))


def shown_to(call: Call, id: str, doc: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """A kept subscription as this client reads it."""
    return show_subscription(id, doc["members"], state, call.terms, times.now_us(), own=doc["own"])


def preferring(call: Call, reply: Reply) -> Reply:
    """The same answer for a client that prefers an earlier version of the standard: of a subscription, there is nothing to alter (4.3.6.8)."""
    version = preferred(call)
    if version is None:
        return reply
    return reply._replace(headers=[*reply.headers, (b"preference-applied", f"ngsi-ld={version[0]}.{version[1]}".encode())])


async def update(call: Call) -> Reply:
    """PATCH /subscriptions/{id}"""
    id = subscription_id(call)
    raw = await open_body(call, patch=True)
    entities.allowed(call, "subscriptions.update")
    if not raw:
        raise bad_request("found an empty object; expected members of a subscription")
    if raw.get("id", raw.get("@id", id)) != id:
        raise bad_request(f"id: found {str(raw.get('id'))[:200]!r}; expected that of the address, {id!r}")
    broker, now = call.broker, times.now()
    reader = broker.store.reader
    key = entities.read_tenant(call, reader)
    before = reader.thing(key, KIND, id)
    if before is None:
        raise not_found(id, "Subscription")
    asked, link = call.terms.source, before[0]["implied"]
    # What follows must not wait for a @context inside of the transaction, where the fragment is read again with what stands there then.
    wanted = read_subscription(raw, call.terms, now, old=before[0]["members"])
    reachable(call, wanted)
    told = wanted.get("jsonldContext", link)
    await broker.notices.learn({"context": told, "asked": asked}, call.tenant)

    places = await broker.relay.places(call)

    def op(tx: Any, mark: object) -> None:
        broker.notices.follow(tx)
        tenant = entities.write_tenant(call, tx, make=False)
        found = tx.thing(tenant, KIND, id)
        if found is None:
            raise not_found(id, "Subscription")
        old = found[0]
        members = read_subscription(raw, call.terms, now, old=old["members"])
        # Whoever says where notifications go is the one whose rights count.
        subject = call.subject if "notification" in raw else old["subject"]
        doc = document(members, old["implied"], old["own"], asked if "q" in raw else old["asked"], subject)
        if "timeInterval" in raw:
            tx.set_state(tenant, KIND, id, {**(tx.state(tenant, KIND, id) or {}), "ticked": times.now_us()})
        tx.put_thing(tenant, KIND, id, doc)
        broker.notices.changed(tx, tenant, call.tenant, id, mark)
        if places:
            broker.relay.put(tx, call, tenant, id, doc, places)

    await write(call, op)
    return Reply(204)


async def delete(call: Call) -> Reply:
    """DELETE /subscriptions/{id}"""
    await open_call(call)
    id = subscription_id(call)
    entities.allowed(call, "subscriptions.delete")
    own: list[str] = []

    def op(tx: Any, mark: object) -> None:
        call.broker.notices.follow(tx)
        tenant = entities.write_tenant(call, tx, make=False)
        found = tx.thing(tenant, KIND, id)
        if found is None:
            raise not_found(id, "Subscription")
        own[:] = [found[0]["own"]] if found[0]["own"] else []
        tx.delete_thing(tenant, KIND, id)
        tx.withdraw(tenant, id)
        call.broker.notices.changed(tx, tenant, call.tenant, id, mark)
        call.broker.relay.drop(tx, call.tenant, tenant, id)

    await write(call, op)
    for url in own:
        call.broker.notices.forget(url, call.tenant)
        try:
            await call.broker.hosting.delete(url.removeprefix(call.broker.hosting.url + PATH), call.tenant)
        except Problem as problem:
            if problem.status != 404:  # somebody deleted it before
                raise
    return Reply(204)


# --- notifications that could not be delivered


async def dead_letters(call: Call) -> Reply:
    """GET /kiban/v1/deadLetters"""
    entities.allowed(call, "admin.read")
    tenant = entities.read_tenant(call, call.broker.store.reader)
    after, limit = whole_number(call.params, "after", 0, 0), whole_number(call.params, "limit", 100, 1, LETTERS)
    found = await call.broker.dispatcher.outbox.dead_letters(tenant, call.params.get("subscription"), after, limit)
    shown = [
        {
            "number": message.seq,
            "subscription": message.subscription,
            "endpoint": message.endpoint,
            "entity": message.order,
            "attempts": message.attempt,
            "since": times.text(message.first),
            "givenUpAt": times.text(at),
            "error": error,
        }
        for message, at, error in found
    ]
    return Reply(200, [], dumps(shown), JSON)


async def replay(call: Call) -> Reply:
    """POST /kiban/v1/deadLetters/replay"""
    entities.allowed(call, "admin.update")
    tenant = entities.read_tenant(call, call.broker.store.reader)
    asked = call.json() if call.body else {}
    if not isinstance(asked, dict) or not asked.keys() <= {"subscription", "numbers"}:
        raise bad_request("expected an object with subscription, numbers, both or none")
    subscription, numbers = asked.get("subscription"), asked.get("numbers")
    if subscription is not None and not isinstance(subscription, str):
        raise bad_request("subscription: expected an id")
    if numbers is not None and (not isinstance(numbers, list) or len(numbers) > LETTERS or not all(type(number) is int for number in numbers)):
        raise bad_request(f"numbers: expected a list of at most {LETTERS} numbers")
    found = await call.broker.dispatcher.replay(tenant, subscription, numbers)
    return Reply(200, [], dumps({"endpoints": len(found), "messages": sum(found.values())}), JSON)
