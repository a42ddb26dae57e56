"""A page of a query that is answered at once is the page that the long way gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.linkage.conftest import Client

from kiban.linkage.broker.store import sqlite

LD = "/ngsi-ld/v1"
PATH = f"{LD}/entities".encode()
TOWN = [
    {
        "id": f"urn:ngsi-ld:Well:{number:03d}", "type": "Well" if number % 3 else "Bus",
        "level": {"type": "Property", "value": number}, "name": {"type": "Property", "value": "even" if number % 2 == 0 else "odd"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [number, 1]}},
        "near": {"type": "Relationship", "object": "urn:ngsi-ld:Well:001"},
    }
    for number in range(60)
]  # fmt: skip
QUERIES = [
    "", "type=Well", "type=Well&limit=5", "type=Well&limit=5&offset=5", "type=Well&limit=5&offset=38", "type=Well&offset=400",
    "type=Well,Bus&limit=3", "type=Nothing", "type=Well&attrs=level", "type=Well&attrs=none", "attrs=level&limit=2", "type=Well&pick=id,level",
    "type=Well&omit=level", "type=Well&options=keyValues", "type=Well&q=level%3E50", "q=name%3D%3D%22odd%22&limit=4", "type=Well&q=level%3E",
    "type=Well&idPattern=%5Eurn:ngsi-ld:Well:00", "type=Well&limit=0",
    "type=Well&georel=near%3BmaxDistance%3D%3D300000&geometry=Point&coordinates=%5B5,1%5D", "type=Well&count=true", "type=Well&limit=0&count=true",
    "type=Well&limit=x", "type=Well&orderBy=level", "type=Well&orderBy=level&limit=3", "type=Well&join=inline&limit=2",
    "type=Well&join=flat&limit=2", "type=Well&wrong=1", "local=true&limit=2", "type=Well&limit=5000", "type=Well&entityMap=true",
    "id=urn:ngsi-ld:Well:007", "type=Well&sysAttrs=true&limit=1", "type=Well&scopeQ=/a", "type=Well&lang=ja&limit=1",
]  # fmt: skip
HEADERS: list[dict[bytes, bytes]] = [
    {}, {b"accept": b"application/ld+json"}, {b"accept": b"application/geo+json"}, {b"accept": b"text/plain"}, {b"ngsild-tenant": b"none"},
    {b"link": b'<https://e.jp/c>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'},
    {b"prefer": b"ngsi-ld=1.5"}, {b"host": b"evil.example"},
]  # fmt: skip


def plain(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """What a client sees, without what differs from request to request."""
    told = json.loads(body) if body else None
    if isinstance(told, dict):
        told.pop("traceId", None)
    return status, sorted((bytes(name), value) for name, value in headers if name not in (b"content-length", b"ngsild-entitymap")), told


def test_a_page_that_is_answered_at_once_is_the_page_of_the_long_way(brokers: Callable[..., Client], monkeypatch: Any) -> None:
    monkeypatch.setattr(sqlite, "BRIEF", 5.0)  # the machine of the tests may be slow
    broker = brokers()
    assert broker("POST", f"{LD}/entityOperations/create", TOWN).status == 201
    app = broker.app

    async def long(query: str, headers: dict[bytes, bytes]) -> Any:
        sent: list[Any] = []

        async def send(event: Any) -> None:
            sent.append(event)

        await app({"type": "http", "method": "GET", "raw_path": PATH, "query_string": query.encode(), "headers": list(headers.items())}, None, send)
        return plain(sent[0]["status"], sent[0]["headers"], sent[1]["body"])

    async def look() -> dict[tuple[str, int], bool]:
        quick = {}
        for query in QUERIES:
            for turn, more in enumerate(HEADERS):
                headers = {b"host": b"localhost", **more}
                found = app.at_once(PATH, query.encode(), headers)
                expected = await long(query, headers)
                if found is not None:
                    assert plain(*found) == expected, (query, more)
                quick[query, turn] = found is not None
        return quick

    quick = broker.runner.run(look())
    for query in ("type=Well&limit=5&offset=5", "type=Well&attrs=level", "type=Well&q=level%3E50", "type=Well&limit=x"):
        assert quick[query, 0]
    for query in ("type=Well&count=true", "type=Well&orderBy=level", "type=Well&join=inline&limit=2", "type=Well&entityMap=true"):
        assert not quick[query, 0]
