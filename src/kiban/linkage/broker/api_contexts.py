"""The HTTP handlers of hosted @contexts (clause 5.13)."""

from __future__ import annotations

from kiban.linkage.broker import entities
from kiban.linkage.broker.negotiate import accepted
from kiban.linkage.broker.server import JSON, LD, Call, Reply, dumps
from kiban.linkage.errors import Problem


async def add(call: Call) -> Reply:
    """POST /jsonldContexts"""
    media = call.content_type.split(b";", 1)[0].strip().lower()
    if media not in (JSON, LD):
        raise Problem("UnsupportedMediaType", "this media type cannot be read", "expected application/json or application/ld+json")
    entities.allowed(call, "contexts.create")
    entry = await call.broker.hosting.add(call.json(), call.tenant)
    return Reply(201, [(b"location", entry.path.encode())])


async def listed(call: Call) -> Reply:
    """GET /jsonldContexts"""
    accepted(call, (JSON, LD))
    entities.allowed(call, "contexts.read")
    return Reply(200, [], dumps(call.broker.hosting.list(call.tenant, call.params.get("details"), call.params.get("kind"))), JSON)


async def serve(call: Call) -> Reply:
    """GET /jsonldContexts/{id}"""
    entities.allowed(call, "contexts.read")
    details = call.params.get("details")
    found = call.broker.hosting.serve(call.path[0], call.tenant, details)
    return Reply(200, [], dumps(found), JSON if details == "true" else accepted(call, (JSON, LD)))


async def delete(call: Call) -> Reply:
    """DELETE /jsonldContexts/{id}"""
    entities.allowed(call, "contexts.delete")
    name = await call.broker.hosting.delete(call.path[0], call.tenant, call.params.get("reload"))
    await call.broker.notices.renew(name)
    return Reply(204)
