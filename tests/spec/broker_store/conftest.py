"""The two databases of the broker, each empty, and a loop to write in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kiban.linkage.broker.store import open_store


class Bench:
    """A store under test: writes run to their end, reads are plain calls."""

    def __init__(self, runner: asyncio.Runner, address: str, opened: list[Any]) -> None:
        self.runner, self.address, self.opened = runner, address, opened
        self.store = self.another()

    def another(self) -> Any:
        """One more store on the same database, as another worker has it."""
        store = open_store(self.address)
        self.opened.append(store)
        return store

    def again(self) -> Any:
        """The store is closed and opened anew."""
        self.run(self.store.close())
        self.opened.remove(self.store)
        self.store = self.another()
        return self.store

    def run(self, awaitable: Any) -> Any:
        """Wait for something."""

        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    def write(self, *ops: Callable[[Any], Any], store: Any = None) -> list[Any]:
        """Run functions, all handed over before the first of them runs: their results, or the errors that they raised."""

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*((store or self.store).write(op) for op in ops), return_exceptions=True)

        found: list[Any] = self.runner.run(all_of_them())
        return found

    def do(self, op: Callable[[Any], Any]) -> Any:
        """Run one function; its result, or its error raised."""
        (found,) = self.write(op)
        if isinstance(found, BaseException):
            raise found
        return found

    def slow(self, fn: Callable[[Any], Any], seconds: float = 10.0) -> Any:
        """Read beside the loop."""

        async def read() -> Any:
            return await self.store.slow(fn, seconds)

        return self.runner.run(read())


def address_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of an empty database of a kind."""
    if kind == "sqlite":
        return str(folder / "broker.db")
    request.getfixturevalue("postgis_bin")  # skips by name where there is none
    server: Any = request.getfixturevalue("postgres")
    name = f"broker_{secrets.token_hex(6)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE template0")
    return str(server.url(name))


def benches(request: pytest.FixtureRequest, folder: Path) -> Iterator[Bench]:
    """A bench that closes everything it opened."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        if request.param != "sqlite":  # the server of the tests is gone after them, so it need not wait for a disk
            patch.setattr("kiban.linkage.broker.store.postgres.SAFE", {})
        opened: list[Any] = []
        bench = Bench(runner, address_of(request.param, request, folder), opened)
        yield bench
        for store in opened:
            bench.run(store.close())


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An empty store for one test."""
    yield from benches(request, tmp_path)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One store for all examples of a test; each takes a tenant of its own."""
    yield from benches(request, tmp_path_factory.mktemp("broker"))
