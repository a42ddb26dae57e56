"""What a policy leaves is what the broker shows and takes, whatever a client asks: the whole broker against brute force."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from kiban.linkage.access import operation_of
from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.routes import routes
from kiban.linkage.broker.serving import make_app
from kiban.linkage.policy import OPERATIONS

ENTITIES = [
    {
        "id": f"urn:{kind}:{number}",
        "type": kind,
        "level": {"type": "Property", "value": number},
        "owner": {"type": "Property", "value": f"owner{number}"},
        "near": {"type": "Relationship", "object": f"urn:School:{number}"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.0 + number, 37.0]}},
    }
    for kind in ("Gauge", "School")
    for number in range(4)
]
HASHES = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("chief", "river", "public", "meter")}
POLICY = f"""
version: 1
tokens: {json.dumps([{"subject": name, "sha256": digest} for name, digest in HASHES.items()])}
rules:
  - {{who: chief, operations: "*", allow: true}}
  - {{who: river, operations: [entities.*, types.read, subscriptions.create], only: {{types: Gauge, q: "level<3"}}}}
  - {{who: public, operations: [entities.read, temporal.read, subscriptions.create], only: {{attrs: [level]}}}}
  - {{who: meter, operations: [entities.update], only: {{idPattern: "^urn:Gauge:", attrs: [level]}}}}
"""
LD = "/ngsi-ld/v1"


@asynccontextmanager
async def town(folder: Path):
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    app = make_app(Options(db=str(folder / "town.db"), policy=folder / "policy.yaml"))

    async def ask(who: str, method: str, path: str, body: object = None, accept: str = "application/json") -> SimpleNamespace:
        sent: list[dict] = []
        text = b"" if body is None else json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"accept", accept.encode()), (b"content-length", str(len(text)).encode())]
        if who:
            headers.append((b"authorization", f"Bearer {who}".encode()))
        raw, _, query = path.partition("?")

        async def receive() -> dict:
            return {"type": "http.request", "body": text}

        async def send(event: dict) -> None:
            sent.append(event)

        await app({"type": "http", "method": method, "raw_path": raw.encode(), "query_string": query.encode(), "headers": headers}, receive, send)
        content = sent[1]["body"]
        return SimpleNamespace(status=sent[0]["status"], text=content.decode(), json=json.loads(content) if content else None)

    ask.store = app.broker.store  # type: ignore[attr-defined]
    await app.broker.start()
    try:
        for entity in ENTITIES:
            assert (await ask("chief", "POST", f"{LD}/entities", entity)).status == 201
        yield ask
    finally:
        await app.broker.stop()


def walk(folder: Path, steps) -> None:
    async def run() -> None:
        async with town(folder) as ask:
            await steps(ask)

    asyncio.run(run())


def test_a_reader_of_some_entities_sees_those_and_no_others(tmp_path):
    async def steps(ask):
        for query in (
            "type=Gauge",
            "type=School",
            "type=*",
            'q=owner=="owner1"',
            "q=level>0",
            "attrs=level",
            "type=Gauge&count=true&limit=0",
            "type=*&orderBy=level;desc",
        ):
            whole = (await ask("chief", "GET", f"{LD}/entities?{quote(query, safe='=&;*')}")).json
            seen = (await ask("river", "GET", f"{LD}/entities?{quote(query, safe='=&;*')}")).json
            assert seen == [one for one in whole if one["type"] == "Gauge" and one["level"]["value"] < 3]
        for entity in ENTITIES:
            allowed = entity["type"] == "Gauge" and entity["level"]["value"] < 3
            assert (await ask("river", "GET", f"{LD}/entities/{entity['id']}")).status == (200 if allowed else 404)
            assert (await ask("", "GET", f"{LD}/entities/{entity['id']}")).status == 401
        joined = await ask("river", "GET", f"{LD}/entities/urn:Gauge:1?join=inline&joinLevel=3")
        assert joined.status == 200
        assert "owner1" in joined.text
        assert '"School"' not in joined.text
        linked = f"{LD}/entities?q=near%7Bowner%7D==%22owner1%22&join=inline&joinLevel=1"
        assert [(await ask(who, "GET", linked)).status for who in ("chief", "river")] == [200, 403]
        assert (await ask("river", "GET", f"{LD}/types")).status == 403
        assert (await ask("chief", "GET", f"{LD}/types")).status == 200

    walk(tmp_path, steps)


def test_a_writer_of_some_entities_changes_those_and_never_leads_one_in_or_out(tmp_path):
    async def steps(ask):
        before = (await ask("chief", "GET", f"{LD}/entities?type=*&limit=100")).json
        refused = [
            ("POST", f"{LD}/entities", {"id": "urn:School:9", "type": "School", "level": {"type": "Property", "value": 1}}),
            ("POST", f"{LD}/entities", {"id": "urn:Gauge:9", "type": "Gauge", "level": {"type": "Property", "value": 7}}),
            ("PATCH", f"{LD}/entities/urn:Gauge:1/attrs", {"level": {"type": "Property", "value": 7}}),
            ("PATCH", f"{LD}/entities/urn:Gauge:3/attrs", {"level": {"type": "Property", "value": 1}}),
            ("POST", f"{LD}/entityOperations/upsert", [{"id": "urn:School:1", "type": "School", "level": {"type": "Property", "value": 1}}]),
            ("POST", f"{LD}/entityOperations/delete", ["urn:School:1"]),
            ("DELETE", f"{LD}/entities/urn:School:1", None),
            ("PUT", f"{LD}/entities/urn:School:2", {"id": "urn:School:2", "type": "School", "level": {"type": "Property", "value": 1}}),
        ]
        for method, path, body in refused:
            answer = await ask("river", method, path, body)
            assert answer.status in (207, 400, 403, 404), (method, path, answer.text)
        assert (await ask("chief", "GET", f"{LD}/entities?type=*&limit=100")).json == before
        assert (await ask("river", "PATCH", f"{LD}/entities/urn:Gauge:1/attrs", {"level": {"type": "Property", "value": 2}})).status == 204
        assert (await ask("river", "DELETE", f"{LD}/entities/urn:Gauge:2")).status == 204

    walk(tmp_path, steps)


def test_hidden_attributes_are_not_told_by_any_answer_filter_or_order(tmp_path):
    async def steps(ask):
        for path in (
            f"{LD}/entities/urn:Gauge:1",
            f"{LD}/entities/urn:Gauge:1?options=keyValues",
            f"{LD}/entities/urn:Gauge:1?options=sysAttrs",
            f"{LD}/entities/urn:Gauge:1?pick=id,level,owner",
            f"{LD}/entities/urn:Gauge:1?attrs=level,owner",
            f"{LD}/entities/urn:Gauge:1?omit=level",
            f"{LD}/entities?type=Gauge",
            f"{LD}/entities?type=Gauge&options=concise",
            f"{LD}/entities?type=Gauge&pick=owner",
            f"{LD}/entities?type=Gauge&attrs=owner",
            f"{LD}/entities?type=Gauge&join=inline",
            f"{LD}/entities?q=owner",
            f"{LD}/entities?q=near%7Bowner%7D==%22owner1%22&join=inline&joinLevel=1",
            f"{LD}/entities?type=Gauge&orderBy=owner",
            f"{LD}/entities?type=Gauge&georel={quote('near;maxDistance==10')}&geometry=Point&coordinates={quote('[137,37]')}",
            f"{LD}/entityOperations/query",
            f"{LD}/temporal/entities/urn:Gauge:1",
            f"{LD}/temporal/entities?type=Gauge&timerel=after&timeAt=2020-01-01T00:00:00Z",
            f"{LD}/types",
            f"{LD}/attributes",
            "/v2/entities",
            "/v2/entities/urn:Gauge:1",
            "/v2/entities/urn:Gauge:1/attrs/owner/value",
            "/v2/types",
        ):
            post = path.endswith("query")
            body = {"type": "Query", "entities": [{"type": "Gauge"}], "q": 'owner=="owner1"'} if post else None
            answer = await ask("public", "POST" if post else "GET", path, body)
            assert answer.status in (200, 403, 404), (path, answer.text)
            told = json.dumps(answer.json.get("title") if answer.status != 200 and isinstance(answer.json, dict) else answer.json)
            assert "owner1" not in told, path
            assert "137" not in told, path
            if "q=" in path or "orderBy" in path or post:
                assert answer.status == 403, path
        geo = await ask("public", "GET", f"{LD}/entities/urn:Gauge:1", accept="application/geo+json")
        assert geo.status == 403
        plain = await ask("public", "GET", f"{LD}/entities/urn:Gauge:1")
        assert plain.json == {"id": "urn:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 1}}

    walk(tmp_path, steps)


def test_a_writer_of_one_attribute_writes_that_one_alone(tmp_path):
    async def steps(ask):
        path = f"{LD}/entities/urn:Gauge:1"
        assert (await ask("meter", "PATCH", f"{path}/attrs", {"level": {"type": "Property", "value": 5}})).status == 204
        assert (await ask("meter", "PATCH", f"{path}/attrs", {"owner": {"type": "Property", "value": "me"}})).status == 403
        assert (await ask("meter", "DELETE", f"{path}/attrs/owner")).status == 403
        assert (await ask("meter", "DELETE", path)).status == 403
        assert (await ask("meter", "PUT", path, {"id": "urn:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": 6}})).status == 403
        new = [{"id": "urn:Gauge:8", "type": "Gauge", "level": {"type": "Property", "value": 6}}]
        assert (await ask("meter", "POST", f"{LD}/entityOperations/upsert", new)).status in (207, 400, 403)
        assert (await ask("chief", "GET", f"{LD}/entities/urn:Gauge:8")).status == 404, "an upsert that makes an entity needs the right to make one"
        found = (await ask("chief", "GET", path)).json
        assert (found["level"]["value"], found["owner"]["value"]) == (5, "owner1")

    walk(tmp_path, steps)


def test_a_subscription_tells_its_maker_what_that_one_may_see_and_no_more(tmp_path):
    async def steps(ask):
        told = {}
        for who in ("chief", "river", "public"):
            subscription = {
                "subject": {"entities": [{"idPattern": ".*"}]},
                "notification": {"http": {"url": f"http://127.0.0.1:9/{who}"}},
            }
            assert (await ask(who, "POST", "/v2/subscriptions", subscription)).status == 201
        for id in ("urn:Gauge:1", "urn:School:1", "urn:Gauge:3"):
            assert (await ask("chief", "PATCH", f"{LD}/entities/{id}/attrs", {"owner": {"type": "Property", "value": "new"}})).status == 204
        for endpoint, words in await ask.store.slow(lambda tx: tx.all("SELECT endpoint, word FROM outbox ORDER BY seq")):
            told.setdefault(endpoint.rpartition("/")[2], []).append(words)
        assert told == {"chief": ["urn:Gauge:1", "urn:School:1", "urn:Gauge:3"], "river": ["urn:Gauge:1"]}

    walk(tmp_path, steps)


@pytest.mark.parametrize(("method", "path"), sorted({(method, path) for method, path, _ in routes().listed}))
def test_every_route_belongs_to_an_operation(method, path):
    assert operation_of(method, path) in {*OPERATIONS, "open"}
