"""Entity maps fix what a query finds, snapshots what it was; seen through the whole broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.serving import make_app

LD = "/ngsi-ld/v1"


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[Any]:
    app = make_app(Options(db=str(folder / "town.db")))

    async def ask(method: str, path: str, body: object = None, **more: str) -> SimpleNamespace:
        sent: list[dict[str, Any]] = []
        text = b"" if body is None else json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        raw, _, query = path.partition("?")

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": text}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        await app({"type": "http", "method": method, "raw_path": (LD + raw).encode(), "query_string": query.encode(), "headers": headers}, receive, send)
        content = sent[1]["body"]
        return SimpleNamespace(
            status=sent[0]["status"], headers={k.decode(): v.decode() for k, v in sent[0]["headers"]}, json=json.loads(content) if content else None
        )

    ask.app = app  # type: ignore[attr-defined]
    await app.broker.start()
    try:
        for number in range(7):
            await ask("POST", "/entities", {"id": f"urn:g:{number}", "type": "Gauge", "level": {"type": "Property", "value": number}})
        yield ask
    finally:
        await app.broker.stop()


def ids(answer: SimpleNamespace) -> list[int]:
    return [int(entity["id"][6:]) for entity in answer.json]


def test_pages_over_a_map_are_full_and_show_nothing_new(tmp_path: Path) -> None:
    async def walk() -> None:
        async with broker(tmp_path) as ask:
            first = await ask("GET", "/entities?type=Gauge&q=level<6&entityMap=true&limit=3")
            there = first.headers["ngsild-entitymap"]
            assert (first.status, ids(first)) == (201, [0, 1, 2])
            await ask("POST", "/entities", {"id": "urn:g:9", "type": "Gauge", "level": {"type": "Property", "value": 1}})
            await ask("DELETE", "/entities/urn:g:1")
            await ask("PATCH", "/entities/urn:g:3", {"level": {"type": "Property", "value": 60}})
            seen = []
            for offset in (0, 2, 4):
                page = await ask("GET", f"/entities?type=Gauge&q=level<6&limit=2&offset={offset}&count=true", ngsild_entitymap=there)
                assert (page.status, page.headers["ngsild-entitymap"], page.headers["ngsild-results-count"]) == (200, there, "4")
                seen += ids(page)
            assert seen == [0, 2, 4, 5]
            assert sorted((await ask("GET", there.removeprefix(LD))).json["entityMap"]) == ["urn:g:0", "urn:g:2", "urn:g:4", "urn:g:5"]

    asyncio.run(walk())


def test_a_map_that_is_gone_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    async def walk() -> None:
        async with broker(tmp_path) as ask:
            made = await ask("GET", "/entityMaps?type=Gauge&entityMapLifetime=PT1H")
            assert (made.status, made.json["entityMap"]["urn:g:6"]) == (201, ["@none"])
            path = f"/entityMaps/{made.json['id']}"
            assert (await ask("PATCH", path, {"expiresAt": "2020-01-01T00:00:00Z"})).status == 204
            assert (await ask("GET", path)).status == 404
            again = await ask("GET", "/entities?type=Gauge", ngsild_entitymap=made.headers["ngsild-entitymap"])
            assert again.status == 201
            assert again.headers["ngsild-entitymap"] != made.headers["ngsild-entitymap"]
            assert (await ask("GET", "/entityMaps?type=Gauge&entityMapLifetime=soon")).status == 400

    asyncio.run(walk())


def test_a_snapshot_shows_and_keeps_a_moment_while_the_town_goes_on(tmp_path: Path) -> None:
    async def walk() -> None:
        async with broker(tmp_path) as ask:
            query = {"type": "Query", "entities": [{"type": "Gauge"}], "q": "level>3"}
            made = await ask("POST", "/snapshots", {"id": "urn:s:1", "type": "Snapshot", "snapshotQueries": [query]})
            assert (made.status, made.headers["location"]) == (201, f"{LD}/snapshots/urn:s:1")
            while (await ask("GET", "/snapshots/urn:s:1")).json["snapshotStatus"] == "preparing":
                await asyncio.sleep(0.01)
            await ask("PATCH", "/entities/urn:g:5", {"level": {"type": "Property", "value": 0}})
            await ask("DELETE", "/entities/urn:g:6")
            inside = await ask("GET", "/entities?type=Gauge&q=level>4", ngsild_snapshot="urn:s:1")
            assert (ids(inside), inside.headers["ngsild-snapshot"]) == ([5, 6], "urn:s:1")
            assert ids(await ask("GET", "/entities?type=Gauge&q=level>4")) == []
            # What is tried inside stays inside.
            assert (await ask("PATCH", "/entities/urn:g:4", {"level": {"type": "Property", "value": 99}}, ngsild_snapshot="urn:s:1")).status == 204
            assert (await ask("GET", "/entities/urn:g:4?format=simplified")).json["level"] == 4
            assert (await ask("GET", "/entities/urn:g:4?format=simplified", ngsild_snapshot="urn:s:1")).json["level"] == 99
            copied = await ask("POST", "/snapshots/urn:s:1/clone", {"type": "Snapshot", "id": "urn:s:2", "snapshotPriority": 1})
            assert copied.status == 201
            assert (await ask("DELETE", "/snapshots?q=snapshotPriority>4")).status == 204
            assert (await ask("GET", "/entities/urn:g:4", ngsild_snapshot="urn:s:1")).status == 404
            while (await ask("GET", "/snapshots/urn:s:2")).json["snapshotStatus"] == "preparing":
                await asyncio.sleep(0.01)
            assert sorted(ids(await ask("GET", "/entities?type=Gauge", ngsild_snapshot="urn:s:2"))) == [4, 5, 6]
            # In the end nothing is left of it.
            assert (await ask("DELETE", "/snapshots/urn:s:2")).status == 204
            for _ in range(6):
                await ask.app.broker.maps.tidy()
            reader = ask.app.broker.store.reader
            assert [name for _, name in reader.tenants()] == [""]
            assert reader.one("SELECT count(*) FROM entity")[0] == 6

    asyncio.run(walk())


def test_what_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    async def walk() -> None:
        async with broker(tmp_path) as ask:
            good = {"type": "Query", "entities": [{"type": "Gauge"}]}
            for body in (
                {},
                {"snapshotQueries": []},
                {"snapshotQueries": [{**good, "temporalQ": {}}]},
                {"snapshotQueries": [good], "snapshotPriority": "high"},
            ):
                assert (await ask("POST", "/snapshots", {"type": "Snapshot", **body})).status == 400
            assert (await ask("GET", "/entities?type=Gauge", ngsild_snapshot="urn:s:9")).status == 404
            assert (await ask("DELETE", "/snapshots?q=level>1")).status == 400
            assert (await ask("DELETE", "/snapshots")).status == 400

    asyncio.run(walk())
