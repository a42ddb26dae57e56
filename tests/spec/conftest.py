"""The databases that the specification runs on: a SQLite file, and a PostgreSQL server that the tests start and stop themselves."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiban.store import Store, open_store

PASSWORD = "kiban%test/secret"
ENCODED = "kiban%25test%2Fsecret"


@dataclass(frozen=True)
class Server:
    """A private PostgreSQL in a folder of its own, reached through a socket there; it listens on no port."""

    folder: Path
    programs: Path
    as_user: tuple[str, ...]

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of the server as the user that the server runs as; a failure shows what it said."""
        command = [*self.as_user, str(self.programs / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def start(self, *options: str) -> None:
        """Start and wait until it answers."""
        given = ["-c listen_addresses=", f"-c unix_socket_directories={self.folder}", "-c shared_buffers=16MB", "-c max_connections=40", *options]
        with (self.folder / "output").open("a") as output:  # pg_ctl leaves the server holding its output
            command = [*self.as_user, str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-t", "60", "-o", " ".join(given), "start"]
            done = subprocess.run(command, cwd=self.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, (self.folder / "output").read_text()

    def stop(self) -> None:
        """Stop without waiting for clients."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def psql(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the administrator."""
        password = {**os.environ, "PGPASSWORD": PASSWORD}
        command = [str(self.programs / "psql"), "-h", str(self.folder), "-U", "clerk", "-d", database, "-v", "ON_ERROR_STOP=1", "-qc", statement]
        done = subprocess.run(command, env=password, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def url(self, database: str, password: str = ENCODED) -> str:
        """The address of a database of this server."""
        return f"postgresql://clerk:{password}@/{database}?host={self.folder}"


def _other_user() -> tuple[str, ...]:
    # PostgreSQL refuses to run as root.
    if os.getuid() != 0:
        return ()
    return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@pytest.fixture(scope="session")
def postgres(postgres_bin: Path) -> Iterator[Server]:
    """A running server with a password, gone after the last test."""
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))  # short: the path of a socket may have about 100 characters
    if os.getuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o755)
    server = Server(folder, postgres_bin, _other_user())
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    try:
        server.run("initdb", "-D", str(folder / "data"), "-U", "clerk", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-locale", "-N")
        server.start("-c fsync=off")
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kiban.db'}"
    server: Server = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(6)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE template0")
    return server.url(name)


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    """`open_store`, and every store that it opened is closed after the test."""
    stores: list[Store] = []

    def open_one(url: str, file: Path | None = None) -> Store:
        stores.append(open_store(url, file))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(database: str, opened: Callable[..., Store]) -> Store:
    """An open store on each kind of database."""
    return opened(database)
