"""Records kept, every version of them, in a SQLite file or in PostgreSQL.

A save is always a new version with author, time and reason. Nothing is overwritten or deleted; the database itself refuses both.
What the kinds are and what a record means is left to the callers. What reads databases is loaded when the first store is opened.
"""

from typing import TYPE_CHECKING, Any

from kiban.store.opening import Opening

if TYPE_CHECKING:
    from kiban.store.store import Saved, Store, open_store

__all__ = ["Opening", "Saved", "Store", "open_store"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kiban.store import store

    return getattr(store, name)
