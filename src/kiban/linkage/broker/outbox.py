"""The store's side of delivery: rows that wait, and what is told about subscriptions."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kiban.linkage.broker import times
from kiban.linkage.broker.delivery import Count, DeadLetter, OutboxAway, Settled
from kiban.linkage.broker.store import Message
from kiban.linkage.errors import Problem

KINDS = ("subscription", "v2subscription", "csource-subscription")


class StoreOutbox:
    """The outbox of one worker."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"

    async def run(self, op: Any) -> Any:
        """One transaction; OutboxAway while the database cannot be reached."""
        try:
            return await self.store.write(op)
        except Problem as problem:
            raise OutboxAway("outbox", problem.title, "a database that answers", problem.detail) from problem

    async def lanes(self, now: int) -> Sequence[str]:
        """The endpoints that have a free row."""
        return await self.run(lambda tx: tx.lanes(now))  # type: ignore[no-any-return]

    async def exchange(self, settled: Settled, wanted: Mapping[str, int], now: int, lease: int) -> Sequence[Message]:
        """Settle what is known, then hand out rows."""

        def op(tx: Any) -> list[Message]:
            tx.settle(self.owner, now, settled.delivered, settled.retried, settled.dead, settled.released)
            for (tenant, id), count in settled.counts.items():
                tell(tx, tenant, id, count)
            return [message for endpoint, limit in wanted.items() for message in tx.hand_out(self.owner, endpoint, limit, now, lease)]

        return await self.run(op)  # type: ignore[no-any-return]

    async def dead_letters(self, tenant: int, subscription: str | None, after: int, limit: int) -> Sequence[DeadLetter]:
        """Rows that were given up."""
        found = await self.run(lambda tx: tx.dead_letters(tenant, subscription, after, limit))
        return [DeadLetter(*row) for row in found]

    async def replay(self, tenant: int, subscription: str | None, seqs: Sequence[int] | None, now: int) -> Sequence[str]:
        """Bring rows back that were given up."""
        return await self.run(lambda tx: tx.replay(tenant, subscription, seqs, now))  # type: ignore[no-any-return]


def tell(tx: Any, tenant: int, id: str, count: Count) -> None:
    """Add what was sent to the counters of a subscription of any kind."""
    for kind in KINDS:
        found = tx.thing(tenant, kind, id)
        if found is None:
            continue
        state = found[1]
        state["timesSent"] = state.get("timesSent", 0) + count.sent
        state["timesFailed"] = state.get("timesFailed", 0) + count.failed
        for name, at in (("lastNotification", count.last), ("lastSuccess", count.success), ("lastFailure", count.failure)):
            if at:
                state[name] = times.text(at)
        state["ok"] = count.ok
        tx.set_state(tenant, kind, id, state)
        return
