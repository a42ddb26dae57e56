"""Entities in memory as they are on disk, so that one which is asked for by its id is mostly not looked for in the file.

SQLite itself remembers pages, but forgets all of them at each commit of another connection. What is here is forgotten entity by entity: when a write
touches one. Until the group of that write has ended, in whatever way, the file alone is asked about it, and nothing that was read of it is kept. So an
entity is here only while no write of it is on its way, and it is what the file has. What was here before a write is here again after it; what was not,
a new entity say, comes here only while there is room: nothing that somebody has asked for gives way to it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

PLACES = 50_000  # numbers that are remembered
ROOM = 0.9  # of all memory, up to which it has room for what nobody asked for
OVERHEAD = 432  # bytes of one entry besides its texts: objects, links and its part of the tables

Key = tuple[int, str]  # tenant and id of an entity
Row = tuple[bytes, int, int | None, int | None, bytes, int]  # lean, flat, when it expires, when the first of its attributes does (µs), system times, key


class Rows:
    """At most `limit` bytes of entities; the one that was asked for longest ago gives way. For one thread.

    >>> rows, old, new = Rows(limit=10_000), (b"{}", 1, None, None, b"[1]", 7), (b"{}", 1, None, None, b"[2]", 7)
    >>> rows.keep((1, "urn:a"), old)
    >>> rows.touch((1, "urn:a"), new)  # a write is on its way: neither the old nor the new is shown, nor kept
    >>> rows.keep((1, "urn:a"), old)
    >>> rows.find((1, "urn:a")) is None
    True
    >>> rows.settle()
    >>> rows.find((1, "urn:a")) == new
    True
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self.known: OrderedDict[Key, Row] = OrderedDict()
        self.touched: dict[Key, Row | None] = {}
        self.places: dict[int, Key] = {}  # by the number that an entity has in the file

    def find(self, key: Key) -> Row | None:
        """An entity, None if it is not here."""
        row = self.known.get(key)
        if row is not None:
            self.known.move_to_end(key)
        return row

    def keep(self, key: Key, row: Row) -> None:
        """Remember what was just read from the file, unless a write of it is on its way."""
        if key in self.touched or key in self.known:
            return
        size = weight(key, row)
        if size > self.limit >> 4:
            return
        self.size += size
        self.known[key] = row
        while self.size > self.limit:
            oldest, gone = self.known.popitem(last=False)
            self.size -= weight(oldest, gone)

    def page(self, places: list[int]) -> list[Row] | None:
        """Entities by their numbers in the file, None if one of them is not here."""
        keys = list(map(self.places.get, places))
        if None in keys:
            return None
        rows: list[Any] = list(map(self.known.get, keys))  # type: ignore[arg-type]
        if None in rows:
            return None
        for key in keys:
            self.known.move_to_end(key)  # type: ignore[arg-type]
        return rows

    def learn(self, place: int, key: Key, row: Row) -> None:
        """Remember what was just read from the file, and under which number."""
        if key not in self.touched:
            if len(self.places) >= PLACES:
                self.places.clear()
            self.places[place] = key
            self.keep(key, row)

    def forget(self, place: int) -> None:
        """The entity with this number is being removed: another one may get it."""
        self.places.pop(place, None)

    def touch(self, key: Key, row: Row | None) -> None:
        """A write of an entity begins: what is here is forgotten. row: what it will be when `settle` says so, None if it will be gone."""
        gone = self.known.pop(key, None)
        if gone is not None:
            self.size -= weight(key, gone)
        elif self.touched.get(key) is None and self.size > self.limit * ROOM:
            row = None
        self.touched[key] = row

    def doubt(self) -> None:
        """A write of this group was undone: of all that the group touched the file will be asked."""
        self.touched = dict.fromkeys(self.touched)

    def settle(self) -> None:
        """The group is on disk: what it wrote is here from now on. After `doubt`: its writes have ended."""
        touched, self.touched = self.touched, {}
        for key, row in touched.items():
            if row is not None:
                lean, flat, expires, ripe, sys, number = row  # fresh from the encoder, texts have more memory than they need
                self.keep(key, (bytes(memoryview(lean)), flat, expires, ripe, bytes(memoryview(sys)), number))

    def clear(self) -> None:
        """Forget everything that is here."""
        self.known.clear()
        self.places.clear()
        self.size = 0


def weight(key: Key, row: Row) -> int:
    """Bytes of memory that an entry takes, rather too many than too few.

    >>> weight((1, "urn:a"), (b"{}", 1, None, None, b"[]", 7))
    441
    """
    return OVERHEAD + (len(key[1]) if key[1].isascii() else 4 * len(key[1])) + len(row[0]) + len(row[4])
