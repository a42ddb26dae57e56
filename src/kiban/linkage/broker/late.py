"""Modules that are loaded at their first use: a broker that starts does not wait for what most of its requests never need."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


class Late:
    """A module by its name; its first attribute that is asked for loads it, and each attribute is looked up once.

    >>> Late("math").sqrt(4.0)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self._name), name)
        self.__dict__[name] = value
        return value


class LateSender:
    """A sender of the delivery that is made when the first message is to be sent.

    make  loads what it needs and gives the sender
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._sender: Any = None

    async def send(self, request: Any, attempt: int, seconds: float) -> Any:
        """Send and wait for the answer, as the sender itself does."""
        return await self.sender.send(request, attempt, seconds)

    async def exchange(self, *asked: Any) -> Any:
        """Send any request and give the whole answer, as the sender itself does."""
        return await self.sender.exchange(*asked)

    @property
    def sender(self) -> Any:
        """The sender, made now if it is not there."""
        if self._sender is None:
            self._sender = self._make()
        return self._sender

    async def close(self) -> None:
        """Close the sender, if there was one."""
        if self._sender is not None:
            await self._sender.close()


def load(names: tuple[str, ...] = ("numpy", "shapely", "pyproj", "aiohttp")) -> None:
    """Load packages now: in a thread beside a broker that has started, so that the first request that needs them does not wait.

    Whole packages only: two threads of which one begins with a part and the other with the whole wait for each other, and Python then gives one of
    them an unfinished module.
    """
    for name in names:
        importlib.import_module(name)
