"""What keeps a broker's database from growing for ever: history older than some months is dropped, a month at a time, and what has expired."""

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

    Entities that are nowhere else and have no history left are forgotten with it. Raises ValueError for fewer than one month.
    """
    if months < 1:
        raise ValueError(f"found {months} months; expected 1 or more")
    dropped: list[str] = tx.drop_before(oldest_month(now, months))
    return dropped


def tend(tx: Any, months: int, now: int) -> list[str]:
    """Drop old history (months 0: none) and remove what has expired from the rest, inside a transaction; the months dropped."""
    tx.drop_expired(now)
    return drop_history(tx, months, now) if months else []


async def keep_history(store: Any, months: int, tell: Callable[[list[str], Problem | None], None]) -> None:
    """Drop old months (months 0: none), and what has expired, now and every hour, until cancelled.

    tell  called with the months that were dropped, if any, or with why they could not be; the next hour tries again
    """
    while True:
        try:
            dropped = await store.write(lambda tx: tend(tx, months, times.now_us()))
        except Problem as problem:
            tell([], problem)
        else:
            if dropped:
                tell(dropped, None)
        await asyncio.sleep(EVERY)
