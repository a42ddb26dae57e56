"""Where entities, their history, subscriptions and the outbox are kept: SQLite or PostgreSQL behind one contract."""

from kiban.linkage.broker.store.contract import Event, Message, Selection, Store, Who
from kiban.linkage.broker.store.opening import open_store
from kiban.linkage.broker.store.sql import Encoded, encoded

__all__ = ["Encoded", "Event", "Message", "Selection", "Store", "Who", "encoded", "open_store"]
