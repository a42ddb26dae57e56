"""Records kept, every version of them, in a SQLite file or in PostgreSQL.

A save is always a new version with author, time and reason. Nothing is overwritten or deleted; the database itself refuses both.
What the kinds are and what a record means is left to the callers.
"""

from kiban.store.store import Saved, Store, open_store

__all__ = ["Saved", "Store", "open_store"]
