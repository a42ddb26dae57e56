"""Brokers on free ports of this machine, each in a thread of the test process, and small servers that play context sources."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import uvicorn

from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.serving import make_app

LD = "/ngsi-ld/v1"


class Said(NamedTuple):
    """What a broker answered: status, headers (each name small, with all its values), JSON."""

    status: int
    headers: dict[str, list[str]]
    value: Any

    @property
    def warnings(self) -> list[str]:
        return self.headers.get("ngsild-warning", [])


def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> Said:
    """One request to a server."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, parts.path + quote(path, safe="/:?&=,;[]%~+*@!$'()|>"), None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        text = response.read()
        found: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            found.setdefault(name.lower(), []).append(value)
        return Said(response.status, found, json.loads(text) if text else None)
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Node:
    """One broker on a file of its own; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = Options(port=self.port, db=str(folder / f"{name}.db"), history=False, **options)
        self.start()

    def start(self) -> None:
        self.app = make_app(self.options)
        config = uvicorn.Config(
            self.app, port=self.port, loop="asyncio", http="httptools", ws="none", lifespan="on", log_level="error", timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 15
        while not self.server.started:
            assert time.monotonic() < deadline, "the broker does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(15)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Said:
        return ask(self.url + LD, method, path, body, **headers)

    def register(self, endpoint: str, **members: Any) -> str:
        """A registration of another server; its id."""
        doc = {"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "Well"}]}], "endpoint": endpoint, **members}
        said = self("POST", "/csourceRegistrations", doc)
        assert said.status == 201, said
        return said.headers["location"][0].rpartition("/")[2]


class Heard(NamedTuple):
    """One request that a source was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answering = Callable[[Heard], tuple[int, Any]]


class Played:
    """A context source that answers as it is told and remembers what it heard."""

    def __init__(self, answering: Answering = lambda _: (204, None)) -> None:
        self.heard: list[Heard] = []
        self.answering = answering
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length) if length else b""
                heard = Heard(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, json.loads(text) if text else None)
                played.heard.append(heard)
                status, value = played.answering(heard)
                body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                try:
                    self.end_headers()
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True  # who asked has given up

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def of(self, method: str) -> list[Heard]:
        """What was heard with one method, names of brokers not counted."""
        return [heard for heard in self.heard if heard.method == method and "sourceIdentity" not in heard.path]


def path_of(id: str) -> str:
    """The path of an entity."""
    return f"/entities/{quote(id)}"
