"""Distributed operations: requests that registered context sources answer, wholly or in part."""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker.server import Call


class Forward:
    """What other brokers add to this one."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker

    def concerned(self, call: Call) -> bool:
        """True if a registration of the tenant may have a part in this request; the cheap question of every request."""
        return False
