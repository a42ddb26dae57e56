"""What keeps a broker's database from growing for ever: history older than some months is dropped, a month at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from kiban.linkage.broker import times
from kiban.linkage.errors import Problem

EVERY: Final = 3600.0  # seconds between two looks for months to drop


def oldest_month(now: int, months: int) -> str:
    """The first month that is kept: this month and the `months` before it.

    now  µs since 1970

    >>> oldest_month(times.parse("2026-02-10T00:00:00Z"), 3)
    '202511'
    """
    year, month = divmod(int(times.text(now)[:4]) * 12 + int(times.text(now)[5:7]) - 1 - months, 12)
    return f"{year:04}{month + 1:02}"


def drop_history(tx: Any, months: int, now: int) -> list[str]:
    """Drop the history of the months before those that are kept, inside a transaction; the months dropped, oldest first.

    months  how many whole months before this one are kept; 1 or more
    now     µs since 1970

    Entities that were deleted before lose the rest of their history with it. Raises ValueError for fewer than one month.
    """
    if months < 1:
        raise ValueError(f"found {months} months; expected 1 or more")
    first = oldest_month(now, months)
    old = [row[0] for row in tx.all("SELECT month FROM partition WHERE month < ? ORDER BY month", (first,))]
    for month in old:
        tx.do(f"DROP TABLE IF EXISTS history_{int(month):06d}")
        tx.do("DELETE FROM partition WHERE month = ?", (month,))
    if old:
        tx.names.partitions = []
    border = times.parse(f"{first[:4]}-{first[4:]}-01T00:00:00Z")
    gone = tx.all("SELECT key FROM tentity WHERE deleted IS NOT NULL AND deleted < ?", (border,))
    if gone:
        # Also what was observed after the deletion: its key may be given to another entity.
        for table, column in [*((f"history_{month}", "entity") for month in tx.partitions()), ("ttype", "entity"), ("tentity", "key")]:
            tx.many(f"DELETE FROM {table} WHERE {column} = ?", gone)  # noqa: S608 - own names
    return old


async def keep_history(store: Any, months: int, tell: Callable[[list[str], Problem | None], None]) -> None:
    """Drop old months now and every hour, until cancelled.

    tell  called with the months that were dropped, if any, or with why they could not be; the next hour tries again
    """
    while True:
        try:
            dropped = await store.write(lambda tx: drop_history(tx, months, times.now_us()))
        except Problem as problem:
            tell([], problem)
        else:
            if dropped:
                tell(dropped, None)
        await asyncio.sleep(EVERY)
