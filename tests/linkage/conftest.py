"""What tests of the broker share: one broker in this process, and a PostgreSQL server of their own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.serving import make_app


class Answer(NamedTuple):
    """What a broker answered; headers of one name joined by commas, the body read as JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """Requests to one broker in this process, without a network."""

    def __init__(self, runner: asyncio.Runner, app: Any) -> None:
        self.runner, self.app = runner, app

    def __call__(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """One request; header names with _ for -."""
        return self.runner.run(self.send(method, target, body, headers))

    async def send(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Answer:
        """One request inside a loop that runs."""
        path, _, query = target.partition("?")
        raw = b"" if body is None else json.dumps(body).encode()
        told = ({"content-type": "application/json"} if raw else {}) | {name.replace("_", "-"): value for name, value in headers.items()}
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        scope = {"type": "http", "method": method, "raw_path": path.encode(), "query_string": query.encode()}
        await self.app({**scope, "headers": [(name.encode(), value.encode()) for name, value in told.items()]}, receive, send)
        content = sent[1]["body"]
        answered: dict[str, str] = {}
        for name, value in sent[0]["headers"]:
            answered[name.decode()] = ", ".join(filter(None, [answered.get(name.decode()), value.decode()]))
        return Answer(sent[0]["status"], answered, json.loads(content) if content else None)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Makes brokers with options, on files of their own unless db says otherwise; they are stopped at the end."""
    with asyncio.Runner() as runner:
        made: list[Any] = []

        def make(**options: Any) -> Client:
            app = make_app(Options(**{"db": str(tmp_path / f"broker{len(made)}.db"), **options}))
            runner.run(app.broker.start())
            made.append(app)
            return Client(runner, app)

        yield make
        for app in made:
            runner.run(app.broker.stop())


@pytest.fixture(scope="session")
def postgres(postgis_bin: Path) -> Iterator[Callable[[str], str]]:
    """An own server; gives the address of a database by name."""
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "secret").write_text("ge heim@:%/")
    owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if owner:
        for path in (folder, folder / "secret"):
            shutil.chown(path, "postgres", "postgres")

    def run(*words: str) -> None:
        subprocess.run([*owner, str(postgis_bin / words[0]), *words[1:]], check=True, capture_output=True, timeout=100, cwd=folder)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "clerk", "-A", "scram-sha-256", f"--pwfile={folder / 'secret'}", "-E", "UTF8", "--no-locale", "-N")
    run(
        "pg_ctl",
        "-D",
        data,
        "-w",
        "-l",
        str(folder / "log"),
        "-o",
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}",
        "start",
    )

    def database(name: str) -> str:
        whole = f"postgresql://clerk:ge%20heim%40%3A%25%2F@127.0.0.1:{port}"
        with psycopg.connect(f"{whole}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"{whole}/{name}"

    yield database
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)
