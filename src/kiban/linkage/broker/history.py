"""What every change leaves in the history: one event per instance that was created, updated or deleted, in the same transaction."""

from __future__ import annotations

import uuid
from typing import Any

from kiban.linkage.broker import times
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.store import Event

HEAD = ("id", "type", "scope", "createdAt", "modifiedAt")


def instance_id() -> str:
    """A new id of an instance.

    >>> instance_id()[:21]
    'urn:ngsi-ld:Instance:'
    """
    return f"urn:ngsi-ld:Instance:{uuid.uuid4()}"


def head_of(entity: dict[str, Any]) -> dict[str, Any]:
    """What the history keeps of an entity beside its attributes."""
    return {name: entity[name] for name in HEAD if name in entity}


def record(tx: Any, tenant: int, _: str, change: Change) -> None:
    """Keep a change in the history."""
    new, old = change.entity, change.previous
    source = new or old
    if source is None:
        return
    known = tx.temporal(tenant, source["id"])
    now = times.now()
    if known is None or known[1].get("deletedAt") or (new is not None and (known[1]["type"] != new["type"] or known[1].get("scope") != new.get("scope"))):
        key = tx.put_temporal(tenant, head_of(source))
    else:
        key = known[0]
    if new is None:
        tx.put_temporal(tenant, {**head_of(source), "modifiedAt": now, "deletedAt": now}, deleted=times.parse(now))
    at = times.parse(now)
    events = []
    for name, dataset, kind in change.changed:
        if name in ("type", "scope", "expiresAt"):
            continue
        if kind == "deleted":
            gone = next((part for part in (old or {}).get(name, ()) if part.get("datasetId") == dataset), {"type": "Property"})
            instance = {"type": gone["type"], "deletedAt": now, "modifiedAt": now, "createdAt": gone.get("createdAt", now), "instanceId": instance_id()}
            if dataset is not None:
                instance["datasetId"] = dataset
            events.append(Event(name, instance, at, at, deleted=True))
            continue
        found = next((part for part in (new or {})[name] if part.get("datasetId") == dataset), None)
        if found is not None:
            recorded = times.parse(found["modifiedAt"])
            moment = times.parse(found["observedAt"]) if "observedAt" in found else recorded
            events.append(Event(name, {**found, "instanceId": instance_id()}, moment, recorded))
    if events:
        tx.record(key, events)
