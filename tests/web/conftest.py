"""What tests of reading pages share: a function that asks a server for a page."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture(scope="session")
def asking() -> Callable[[str], Callable[[str], Answer]]:
    """The address of a server → a function that gets a path from it."""

    def at(address: str) -> Callable[[str], Answer]:
        host, port = urlsplit(address).hostname, urlsplit(address).port

        def get(path: str) -> Answer:
            connection = http.client.HTTPConnection(str(host), port, timeout=20)
            connection.request("GET", path, headers={"Accept": "text/html"})
            response = connection.getresponse()
            answer = Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
            connection.close()
            return answer

        return get

    return at
