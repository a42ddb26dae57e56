"""`kiban serve` as a process of its own: reached by a name of the LAN it wants people to sign in, and it remembers them after a restart."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

NAME = "kiban.town.lan"
PASSWORD = "山と海のまち 8000"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    place: str
    cookie: str


@dataclass
class Server:
    """A running server and what it printed before it answered."""

    port: int
    printed: list[str]

    def ask(self, path: str, form: dict[str, str] | None = None, cookie: str = "", host: str = NAME) -> Answer:
        """One request to the server under one of its names."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = f"{host}:{self.port}"
        headers = {"Host": named, "Origin": f"http://{named}", "Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        connection.request("GET" if form is None else "POST", path, None if form is None else urlencode(form), headers)
        with closing(connection), connection.getresponse() as response:
            return Answer(response.status, response.getheader("location") or "", (response.getheader("set-cookie") or "").partition(";")[0])


@contextmanager
def served(state: Path, **settings: str) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "KIBAN_STATE": str(state), "KIBAN_PORT": str(port), **settings}
    with subprocess.Popen([sys.executable, "-m", "kiban", "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            printed = [process.stdout.readline()]
            while not _answers(port) and process.poll() is None:
                time.sleep(0.05)
            os.set_blocking(process.stdout.fileno(), False)
            printed += process.stdout.readlines()
            yield Server(port, printed)
        finally:
            process.kill()  # as hard as a power failure: what was promised is in the files
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        return True
    except OSError:
        return False


def test_the_first_account_is_made_with_the_code_and_a_session_outlives_the_server(tmp_path: Path) -> None:
    with served(tmp_path, KIBAN_NAMES=f"{NAME}, 192.0.2.7") as server:
        assert server.printed[0].startswith(f"kiban: http://{NAME}:{server.port}")
        code = re.search(r"設定コード / setup code: (\d{4}-\d{4}-\d{4})", "".join(server.printed))
        assert code is not None
        assert server.ask("/").place == "/setup?lang=ja"
        made = server.ask("/setup", {"code": code[1], "login": "sato", "name": "佐藤", "password": PASSWORD, "again": PASSWORD})
        assert made.status == 303
        cookie = made.cookie
    with served(tmp_path, KIBAN_NAMES=NAME) as server:
        assert not any("setup code" in line for line in server.printed)
        assert server.ask("/accounts", cookie=cookie).status == 200
        assert server.ask("/accounts", cookie=cookie, host="192.0.2.7").status == 400
        assert server.ask("/setup").status == 404
    done = subprocess.run([sys.executable, "-m", "kiban", "audit", "verify"], env={**os.environ, "KIBAN_STATE": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_on_this_computer_alone_nobody_signs_in(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        assert server.ask("/accounts", host="127.0.0.1").status == 200
        assert server.ask("/accounts", host="localhost").status == 200
        assert server.ask("/accounts").status == 400


@pytest.mark.parametrize(("setting", "value"), [("KIBAN_NAMES", "http://kiban.town.lan"), ("KIBAN_NAMES", "kiban:8000"), ("KIBAN_NAMES", "*")])
def test_a_setting_that_does_not_fit_is_named(tmp_path: Path, setting: str, value: str) -> None:
    environment = {**os.environ, "KIBAN_STATE": str(tmp_path), setting: value}
    done = subprocess.run([sys.executable, "-m", "kiban", "serve"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"kiban: {setting}: found")
