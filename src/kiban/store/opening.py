"""A store that is opened by whoever needs it first, so that a server answers before its database does.

In: how to open it. Out: what can be used in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kiban.store.store import Store


class Opening:
    """Stands for a store; every use of it goes to the store, opened once."""

    def __init__(self, how: Callable[[], Store]) -> None:
        self._how = how
        self._lock = threading.Lock()
        self._store: Store | None = None

    def opened(self) -> Store:
        """The store. Raises StoreError each time while it cannot be opened."""
        with self._lock:
            if self._store is None:
                self._store = self._how()
            return self._store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened(), name)
