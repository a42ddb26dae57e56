"""Subscriptions at work: which of them a change concerns, and their notifications in the outbox of the same transaction.

In: each change of an entity, whichever API made it. Out: messages for the delivery. The index of the subscriptions lives in memory; it follows the
store by the number of changes that the store counts, so that a worker sees what another has acknowledged.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from typing import Any, Final

from kiban.linkage.access import ALLOW, DENY, Predicate
from kiban.linkage.broker import outgoing, source_subscriptions, subscriptions, times
from kiban.linkage.broker.model import OWN, Change, Entity
from kiban.linkage.broker.render import decode, follow, with_links
from kiban.linkage.broker.store.contract import Message
from kiban.linkage.broker.subscriptions import Index, Ready
from kiban.linkage.errors import Problem

KIND: Final = "subscription"
LOOK: Final = 1.0  # s between two looks at intervals and at what other workers did
TOGETHER: Final = 1000  # entities in one notification of an interval
JOINED: Final = 1000  # linked entities in one notification
NONE: Final = (-1, None)
ENOUGH: Final = 1000  # @contexts at hand, before it is asked which of them are needed still
WAIT: Final = 2.0  # s that a writing thread waits for a @context of another worker's subscription
log = logging.getLogger("kiban.broker.notices")


class Notices:
    """The effect that turns changes into notifications, and the clock of those that come at intervals."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.several = broker.store.kind != "sqlite"  # other processes write to the same database
        self.indexes: dict[int, Index] = {}
        self.number = -1  # changes of the kind that the indexes have seen
        self.stale = True
        self.pending: set[object] = set()  # writes on their way that have put or dropped a subscription
        self.made: dict[tuple[int, str], tuple[int, Ready | None]] = {}  # what the indexes show, each with the time of its last change
        self.maps: dict[tuple[str, str], Any] = {}  # (tenant, @context as JSON) → its names; subscriptions cannot wait for them
        self.enough = ENOUGH
        self.seen: dict[str, int] = {}  # copies of @contexts that the names are made with, and when they were brought in
        self.loop: asyncio.AbstractEventLoop | None = None
        self.next: dict[tuple[int, str], int] = {}  # when a timed subscription is due, µs

    # --- the index
    async def open(self) -> None:
        """Read what is kept; call it once in the event loop."""
        self.loop = asyncio.get_running_loop()
        await self.learn_all()
        await self.broker.store.write(self.follow)

    async def learn_all(self) -> None:
        """Have the names of every kept subscription at hand that is not in the indexes yet."""
        reader = self.broker.store.reader
        names = dict(reader.tenants())
        for tenant, id, doc, *_ in reader.things(None, source_subscriptions.KIND):
            try:
                await self.learn({"context": doc["context"], "asked": doc["context"]}, names.get(tenant, ""))
            except Problem as problem:
                log.warning("the @context of the subscription %s cannot be had, its notifications tell full names: %s", id, problem)
        for tenant, id, modified in reader.stamps(KIND):
            if self.made.get((tenant, id), NONE)[0] == modified or (found := reader.thing(tenant, KIND, id)) is None:
                continue
            try:
                await self.learn(found[0], names.get(tenant, ""))
            except Problem as problem:
                log.warning("the @context of the subscription %s cannot be had, its notifications tell full names: %s", id, problem)

    async def learn(self, doc: dict[str, Any], tenant: str, given: Any = None) -> None:
        """Have the names at hand that a subscription needs. Raises 400 and 504 for a @context that cannot be had.

        given  those of the @context it was made with, if they are at hand
        """
        self.tidy()
        if given is not None:
            self.maps[(tenant, canonical(doc["asked"]))] = self.maps[(tenant, canonical(doc["implied"]))] = given
        for context in (doc["context"], doc["asked"]):  # notifications are told with one, q was written with the other
            key = tenant, canonical(context)
            if key not in self.maps:
                self.maps[key] = await self.broker.contexts.term_map(context, tenant)

    def tidy(self) -> None:
        """Once many names are at hand, let go of those that no kept subscription needs."""
        if len(self.maps) <= self.enough:
            return
        reader = self.broker.store.reader
        tenants = dict(reader.tenants())
        needed = {
            (tenants[tenant], canonical(doc[member]))
            for kind in (KIND, source_subscriptions.KIND)
            for tenant, _, doc, *_ in reader.things(None, kind)
            for member in ("context", "asked", "implied")
            if member in doc
        }
        self.maps = {key: terms for key, terms in self.maps.items() if key in needed}
        self.seen = {url: at for url, at in self.seen.items() if any(url in terms.urls for terms in self.maps.values())}
        self.enough = max(ENOUGH, 2 * len(self.maps))

    def forget(self, url: str, tenant: str) -> None:
        """Let go of the names of a @context that was kept for one subscription alone."""
        self.maps.pop((tenant, url), None)

    async def renew(self, name: str | None = None) -> None:
        """Let subscriptions have their @context as it is now: one was loaded anew or removed (None: another process may have done that to some).

        Where it cannot be had any more, they keep the names that they have.
        """
        urls = {url for terms in self.maps.values() for url in terms.urls if ":" in url}  # the others are ids of contexts that never change
        made = {url: self.broker.hosting.made(url) for url in (urls if name is None else urls & {name})}
        changed = made.keys() if name is not None else {url for url, at in made.items() if at != self.seen.get(url)}
        self.seen |= made
        for (tenant, key), old in list(self.maps.items()):
            if changed.isdisjoint(old.urls):
                continue
            try:
                self.maps[tenant, key] = await self.broker.contexts.term_map(json.loads(key) if key[:1] in "{[" else key, tenant)
            except Problem as problem:
                log.warning("subscriptions keep the names of a @context that cannot be had any more: %s", problem)
        if changed:
            self.made = {who: (0, ready) for who, (_, ready) in self.made.items()}
            self.stale = True
            await self.broker.store.write(self.follow)

    def terms(self, context: Any, tenant: str) -> Any:
        """Names that were learnt; in a writing thread, learnt now if another worker brought them."""
        found = self.maps.get((tenant, canonical(context)))
        if found is None:
            found = self.broker.contexts.known(context, tenant)
        if found is None and self.loop is not None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                waiting = asyncio.run_coroutine_threadsafe(self.broker.contexts.term_map(context, tenant), self.loop)
                try:
                    found = waiting.result(WAIT)
                except (Problem, TimeoutError) as error:
                    waiting.cancel()
                    log.warning("the @context %s of a subscription cannot be had: %s", str(context)[:200], error)
        if found is not None:
            self.maps[(tenant, canonical(context))] = found
        return found

    def ready(self, tenant: int, name: str, id: str, doc: dict[str, Any], modified: int) -> Ready | None:
        """A kept subscription, ready to be asked; None if it rests or cannot be read."""
        found: Ready | None = None
        if subscriptions.status(doc["members"], times.now_us()) != "paused":
            terms, asked = self.terms(doc["context"], name), self.terms(doc["asked"], name)
            core = self.broker.contexts.core
            try:
                found = subscriptions.make_ready(id, doc["members"], terms or core, asked or core, doc["link"], name, doc["subject"])
            except Problem as problem:
                log.error("the subscription %s rests, as it cannot be read: %s", id, problem)
            if terms is None or asked is None:
                modified = 0  # read again as soon as there is occasion
        self.made[(tenant, id)] = modified, found
        return found

    def show(self, tenant: int, id: str, ready: Ready | None) -> None:
        """Let the indexes have a subscription, or not."""
        index = self.indexes.setdefault(tenant, Index())
        if ready is None:
            index.drop(id)
        else:
            index.put(ready)

    def rebuild(self, tx: Any) -> None:
        """Read again what has changed; the time of its last change tells."""
        names = dict(tx.tenants())
        self.number = tx.changes(KIND)
        kept = {(tenant, id): modified for tenant, id, modified in tx.stamps(KIND)}
        for tenant, id in self.made.keys() - kept.keys():
            del self.made[(tenant, id)]
            self.show(tenant, id, None)
        for (tenant, id), modified in kept.items():
            if self.made.get((tenant, id), NONE)[0] != modified and (found := tx.thing(tenant, KIND, id)) is not None:
                self.show(tenant, id, self.ready(tenant, names[tenant], id, found[0], modified))
        self.stale = False

    def follow(self, tx: Any) -> None:
        """See that the indexes show what the transaction sees."""
        if self.stale or (self.several and tx.changes(KIND) != self.number):
            self.rebuild(tx)

    def changed(self, tx: Any, tenant: int, name: str, id: str, write: object) -> None:
        """A subscription was put or dropped in this transaction.

        write  stands for this write, however often the store runs it; `settle` must follow when its end is known
        """
        again = write in self.pending
        self.pending.add(write)
        if again or self.stale or tx.changes(KIND) != self.number + 1:
            # Run again after a rollback, or others were at it as well.
            self.stale = True
            return
        found = tx.thing(tenant, KIND, id)
        if found is None:
            self.made.pop((tenant, id), None)
        self.show(tenant, id, self.ready(tenant, name, id, found[0], found[3]) if found is not None else None)
        self.number += 1

    def settle(self, write: object, *, well: bool) -> None:
        """A write has ended: on disk, or not."""
        if write in self.pending:
            self.pending.discard(write)
            self.stale = self.stale or not well

    # --- changes
    def effect(self, tx: Any, tenant: int, name: str, change: Change) -> None:
        """Put the notifications of one change into the outbox."""
        if self.stale or self.several:
            self.follow(tx)
        index = self.indexes.get(tenant)
        if index is None:
            return
        entity = change.entity if change.entity is not None else change.previous
        bits, total = subscriptions.events(change)
        near = index.near(entity, bits)
        if near:
            self.match(tx, tenant, name, change, entity, near, bits, total)

    def match(self, tx: Any, tenant: int, name: str, change: Change, entity: Entity, near: list[Ready], bits: dict[str, int], total: int) -> None:
        """Ask the subscriptions that could be concerned, and tell those that are."""
        now = times.now_us()
        said = times.text(now)
        deleted = said if change.entity is None else ""
        known: dict[str, Entity | None] = {}

        def linked(id: str) -> Entity | None:
            if id not in known:
                known[id] = present(tx, tenant, id)
            return known[id]

        shown: dict[Any, bytes | None] = {}
        messages: list[Message] = []
        decide = self.broker.access.decide
        for ready in near:
            if not ready.wants(bits, total) or (ready.expires is not None and ready.expires <= now):
                continue
            decision = decide(ready.subject, "entities.read", name)
            if decision is DENY:
                continue
            hidden: Any = None
            if decision is not ALLOW:
                if not self.may(decision, ready, entity, bits, total):
                    continue
                hidden = decision.attrs
            if not ready.concerns(entity, linked):
                continue
            if ready.throttling and not self.in_time(tx, tenant, ready, now):
                continue
            picture = subscriptions.picture(change, ready, said)
            # Only where deletions or former values are told does it depend on the subscription what the entity looks like.
            key: Any = (
                (ready.look, hidden) if picture is change.entity else (ready.look, hidden, ready.changes, ready.mask & subscriptions.DELETION, ready.watched)
            )
            if key in shown:
                data = shown[key]
            else:
                data = shown[key] = self.data(picture, ready, hidden, linked, decision, deleted)
            if data is not None:
                id, body = subscriptions.envelope(ready, data, said)
                request = outgoing.encode(ready.target.request(body, id))
                messages.append(Message(ready.target.lane, tenant, ready.id, entity["id"], request))
        if messages:
            tx.enqueue(messages, now)

    @staticmethod
    def may(decision: Predicate, ready: Ready, entity: Entity, bits: dict[str, int], total: int) -> bool:
        """Whether a subject with some rights may learn of this change: of the entity, and of one of the attributes that it may see."""
        if not decision.matches(entity):
            return False
        if decision.attrs is None:
            return not (ready.q is not None and ready.q.depth)
        if ready.view.join or (ready.q is not None and ready.q.depth) or not ready.asked <= decision.attrs:
            return False
        seen = {name: found for name, found in bits.items() if name in decision.attrs}
        return ready.wants(seen, total & 5 | (0 if not seen else total))

    def data(self, entity: Entity, ready: Ready, hidden: frozenset[str] | None, linked: Any, decision: Any, deleted: str) -> bytes | None:
        """What a notification shows of an entity."""
        view = ready.view
        if hidden is not None:
            entity = {name: value for name, value in entity.items() if name in OWN or name in hidden}
        if view.join:

            def seen(id: str) -> Entity | None:
                other = linked(id)
                return other if other is not None and (decision is ALLOW or decision.matches(other)) else None

            view = with_links(view, follow([entity], view, seen, JOINED))
        return subscriptions.show_data([entity], ready, view, deleted)

    def in_time(self, tx: Any, tenant: int, ready: Ready, now: int) -> bool:
        """Whether enough time has passed since the last notification; if so, this one is the last. Kept with the subscription, for all workers."""
        state = tx.state(tenant, KIND, ready.id)
        if state is None:
            return False
        if 0 <= now - state.get("told", -ready.throttling) < ready.throttling:  # below 0: the clock was set back
            self.broker.operation.meter.add("throttled")
            return False
        tx.set_state(tenant, KIND, ready.id, {**state, "told": now})
        return True

    # --- intervals
    async def run(self) -> None:
        """Send what is due at intervals, and follow what other workers do, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                if self.broker.store.reader.changes(KIND) != self.number and await self.broker.store.write(self.differs):
                    await self.learn_all()
                    self.stale = True
                    await self.broker.store.write(self.follow)
                await self.tick()
            except Problem as problem:
                log.warning("notifications at intervals are late: %s", problem)

    def differs(self, tx: Any) -> bool:
        """Whether another process has changed subscriptions, or nothing was read yet."""
        return self.stale or bool(tx.changes(KIND) != self.number)

    async def tick(self) -> None:
        """Send what is due."""
        now = times.now_us()
        alive = set()
        for tenant, index in list(self.indexes.items()):
            for ready in list(index.timed.values()):
                key = tenant, ready.id
                alive.add(key)
                if now < self.next.get(key, 0) <= now + ready.interval or (ready.expires is not None and ready.expires <= now):
                    continue
                mine, self.next[key] = await self.broker.store.write(functools.partial(self.claim, tenant=tenant, ready=ready, now=now))
                if mine:
                    try:
                        await self.send(tenant, ready)
                    except Problem as problem:
                        log.warning("the notification of %s is left out this time: %s", ready.id, problem)
        self.next = {key: at for key, at in self.next.items() if key in alive}

    @staticmethod
    def claim(tx: Any, tenant: int, ready: Ready, now: int) -> tuple[bool, int]:
        """Whether the notification is due and this worker's to send, and when the next one is due (µs)."""
        state = tx.state(tenant, KIND, ready.id)
        ticked = 0 if state is None else int(state.get("ticked", 0))
        due = now if ticked > now else ticked + ready.interval  # above now: the clock was set back
        if state is None or due > now:
            return False, max(due, now + 1)
        # The beat is kept, unless it was missed altogether.
        beat = due if now - due < ready.interval else now
        tx.set_state(tenant, KIND, ready.id, {**state, "ticked": beat})
        return True, beat + ready.interval

    async def send(self, tenant: int, ready: Ready) -> None:
        """The notification of one interval, with all entities that the subscription selects."""
        broker = self.broker
        name = next((name for key, name in broker.store.reader.tenants() if key == tenant), "")
        decision = broker.access.decide(ready.subject, "entities.read", name)
        if decision is DENY:
            return
        selection, hidden = ready.selection, None
        if decision is not ALLOW:
            try:
                selection = decision.narrow(selection)
            except Problem:
                return
            if decision.attrs is not None and ready.view.join:
                return
            hidden = decision.attrs

        def read(session: Any) -> bytes | None:
            found = [decode(row[0], row[1]) for row in session.find(tenant, selection, TOGETHER)]
            view = ready.view
            if hidden is not None:
                found = [{key: value for key, value in entity.items() if key in OWN or key in hidden} for entity in found]
            if view.join:

                def linked(id: str) -> Entity | None:
                    other = session.entity(tenant, id)
                    return other if other is not None and (decision is ALLOW or decision.matches(other)) else None

                view = with_links(view, follow(found, view, linked, JOINED))
            return subscriptions.show_data(found, ready, view) if found else None

        data = await broker.store.slow(read, broker.options.query_seconds)
        if data is None:
            return
        now = times.now_us()
        id, body = subscriptions.envelope(ready, data, times.text(now))
        message = Message(ready.target.lane, tenant, ready.id, "", outgoing.encode(ready.target.request(body, id)))
        await broker.store.write(lambda tx: tx.enqueue([message], now))


def canonical(context: Any) -> str:
    """A @context as a key."""
    return context if isinstance(context, str) else subscriptions._encode(context).decode()


def present(tx: Any, tenant: int, id: str) -> Entity | None:
    """An entity that is there now, without holding it for a change."""
    found: Entity | None = tx.whole(tenant, id)
    if found is None or ("expiresAt" in found and times.parse(found["expiresAt"]) <= times.now_us()):
        return None
    return found
