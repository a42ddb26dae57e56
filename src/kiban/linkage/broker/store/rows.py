"""Entities in memory as they are on disk, so that one which is asked for by its id is mostly not looked for in the file.

SQLite itself remembers pages, but forgets all of them at each commit of another connection. What is here is forgotten entity by entity: when a write
touches one. Until the group of that write has ended, in whatever way, the file alone is asked about it, and nothing that was read of it is kept. So an
entity is here only while no write of it is on its way, and it is what the file has.
"""

from __future__ import annotations

from collections import OrderedDict

OVERHEAD = 480  # bytes of one entry besides its texts: objects, links and its part of the tables

Key = tuple[int, str]  # tenant and id of an entity
Row = tuple[bytes, int, int | None, int | None, bytes]  # lean, flat, expires, ripe, sys


class Rows:
    """At most `limit` bytes of entities; the one that was asked for longest ago gives way. For one thread.

    >>> rows, old, new = Rows(limit=10_000), (b"{}", 1, None, None, b"[1]"), (b"{}", 1, None, None, b"[2]")
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

    def touch(self, key: Key, row: Row | None) -> None:
        """A write of an entity begins: what is here is forgotten. row: what it will be when `settle` says so, None if it will be gone."""
        self.touched[key] = row
        gone = self.known.pop(key, None)
        if gone is not None:
            self.size -= weight(key, gone)

    def doubt(self) -> None:
        """A write of this group was undone: of all that the group touched the file will be asked."""
        self.touched = dict.fromkeys(self.touched)

    def settle(self) -> None:
        """The group is on disk: what it wrote is here from now on. After `doubt`: its writes have ended."""
        touched, self.touched = self.touched, {}
        for key, row in touched.items():
            if row is not None:
                lean, flat, expires, ripe, sys = row  # fresh from the encoder, texts have more memory than they need
                self.keep(key, (bytes(memoryview(lean)), flat, expires, ripe, bytes(memoryview(sys))))

    def clear(self) -> None:
        """Forget everything that is here."""
        self.known.clear()
        self.size = 0


def weight(key: Key, row: Row) -> int:
    """Bytes of memory that an entry takes, rather too many than too few.

    >>> weight((1, "urn:a"), (b"{}", 1, None, None, b"[]"))
    489
    """
    return OVERHEAD + (len(key[1]) if key[1].isascii() else 4 * len(key[1])) + len(row[0]) + len(row[4])
