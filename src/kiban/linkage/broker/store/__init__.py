"""Where entities, their history, subscriptions and the outbox are kept: SQLite or PostgreSQL behind one contract."""

from kiban.linkage.broker.store.contract import Event, Message, Selection, Store, Who
from kiban.linkage.broker.store.opening import open_store

__all__ = ["Event", "Message", "Selection", "Store", "Who", "open_store"]
