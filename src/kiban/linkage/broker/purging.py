"""Deleting many entities, or some attributes of many, in one transaction (clause 5.6.21)."""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker import entities, times
from kiban.linkage.broker.model import Change
from kiban.linkage.broker.server import Call
from kiban.linkage.broker.store import Selection

OWN = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt"})


def purge_in(tx: Any, call: Call, tenant: int, chosen: Selection, dropped: tuple[str, ...], kept: tuple[str, ...]) -> int:
    """Delete the selected entities; with `dropped` or `kept` only attributes of them. How many were changed."""
    found = tx.ids(tenant, chosen)
    now = times.now()
    for id in found:
        entity = tx.entity(tenant, id)
        if entity is None:
            continue
        if not dropped and not kept:
            entities.keep(tx, call, tenant, entity, entities.gone(entity))
            continue
        gone = [name for name in entity if name not in OWN and (name in dropped if dropped else name not in kept)]
        if not gone:
            continue
        new = {name: value for name, value in entity.items() if name not in gone}
        new["modifiedAt"] = now
        removed = [(name, instance.get("datasetId"), "deleted") for name in gone for instance in entity[name]]
        entities.keep(tx, call, tenant, entity, Change(new, entity, removed))
    return len(found)
