"""The store's side of delivery: rows that wait, and what is told about subscriptions."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kiban.linkage.broker import times
from kiban.linkage.broker.delivery import Count, DeadLetter, OutboxAway, OutboxUncertain, Settled
from kiban.linkage.broker.store import Message
from kiban.linkage.broker.store.contract import Uncertain
from kiban.linkage.errors import Problem

AGAIN = 0.01  # s until an endpoint that another worker was reading is asked about again
KINDS = ("subscription", "v2subscription", "csource-subscription")


class StoreOutbox:
    """The outbox of one worker.

    again  called with endpoints that another worker was just reading: they are to be asked about again soon
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.owner = getattr(store, "owner", "") or f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.again: Callable[[list[str]], None] | None = None

    async def run(self, op: Any) -> Any:
        """One transaction; OutboxAway whatever is wrong with the database.

        A full disk or a lost connection end by themselves or by the operator's hand, and nothing may be dropped until then. What could keep one
        transaction from ever being written – a text that the database cannot keep – is made fit before (`plain`).
        """
        try:
            return await self.store.write(op)
        except Problem as problem:
            away = OutboxUncertain if isinstance(problem, Uncertain) else OutboxAway
            raise away("outbox", problem.title, "a database that answers", problem.detail) from problem

    async def lanes(self, now: int) -> Sequence[str]:
        """The endpoints that have a free row."""
        return await self.run(lambda tx: tx.lanes(now))  # type: ignore[no-any-return]

    async def exchange(self, settled: Settled, wanted: Mapping[str, int], now: int, lease: int, kept: Collection[int] | None = None) -> Sequence[Message]:
        """Settle what is known, then hand out rows."""
        held = None if kept is None else tuple(kept)  # the transaction runs in another thread
        retried = [(seq, at, plain(error)) for seq, at, error in settled.retried]
        dead = [(seq, plain(error)) for seq, error in settled.dead]

        def op(tx: Any) -> tuple[list[Message], list[str]]:
            tx.settle(self.owner, now, settled.delivered, retried, dead, settled.released)
            if held is not None:
                tx.let_go(self.owner, now, held)
            for (tenant, id), count in settled.counts.items():
                tell(tx, tenant, id, count)
            found: list[Message] = []
            busy: list[str] = []
            for endpoint, limit in wanted.items():
                if tx.take_lane(endpoint):
                    found += tx.hand_out(self.owner, endpoint, limit, now, lease)
                else:
                    busy.append(endpoint)
            return found, busy

        messages, busy = await self.run(op)
        if busy and self.again is not None:
            asyncio.get_running_loop().call_later(AGAIN, self.again, busy)
        return messages  # type: ignore[no-any-return]

    async def dead_letters(self, tenant: int, subscription: str | None, after: int, limit: int) -> Sequence[DeadLetter]:
        """Rows that were given up."""
        found = await self.store.slow(lambda reader: reader.dead_letters(tenant, subscription, after, limit))
        return [DeadLetter(*row) for row in found]

    async def replay(self, tenant: int, subscription: str | None, seqs: Sequence[int] | None, now: int) -> Mapping[str, int]:
        """Bring rows back that were given up."""
        return await self.run(lambda tx: tx.replay(tenant, subscription, seqs, now))  # type: ignore[no-any-return]


def plain(error: str) -> str:
    """What an endpoint said, without characters that a database refuses.

    >>> plain("HTTP 500: \\x00\\ud800")
    'HTTP 500: ?'
    """
    return error.replace("\0", "").encode("utf-8", "replace").decode()


def tell(tx: Any, tenant: int, id: str, count: Count) -> None:
    """Add what was sent to the counters of a subscription of any kind."""
    for kind in KINDS:
        state = tx.state(tenant, kind, id)
        if state is None:
            continue
        tx.set_state(tenant, kind, id, counted(state, count))
        return


def counted(state: Mapping[str, Any], count: Count) -> dict[str, Any]:
    """The counters of a subscription with what was sent since.

    >>> counted({"timesSent": 2, "told": 7}, Count(sent=1, last=1_000_000, success=1_000_000))
    {'timesSent': 3, 'told': 7, 'timesFailed': 0, 'lastNotification': '1970-01-01T00:00:01.000Z', 'lastSuccess': '1970-01-01T00:00:01.000Z', 'ok': True}
    """
    found = {**state, "timesSent": state.get("timesSent", 0) + count.sent, "timesFailed": state.get("timesFailed", 0) + count.failed}
    for name, at in (("lastNotification", count.last), ("lastSuccess", count.success), ("lastFailure", count.failure)):
        if at:
            found[name] = times.text(at)
    found["ok"] = count.ok
    return found
