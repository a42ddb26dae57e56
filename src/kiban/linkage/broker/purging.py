"""Deleting many entities, or some attributes of many (clause 5.6.21)."""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker import entities, maps, times
from kiban.linkage.broker.model import OWN, Change
from kiban.linkage.broker.server import Call
from kiban.linkage.broker.store import Selection

SECONDS = 30.0  # for finding them
PORTION = 200  # entities in one write


async def purge(call: Call, chosen: Selection, dropped: tuple[str, ...], kept: tuple[str, ...]) -> None:
    """Delete the selected entities; with `dropped` or `kept` only attributes of them.

    They are looked for beside the event loop, then deleted some at a time, so that others have their turn: what is written meanwhile and fits no more
    stays. 403 TooComplexQuery if the search takes longer than SECONDS.
    """
    broker = call.broker
    found = await broker.store.slow(lambda session: session.ids(entities.read_tenant(call, session), chosen), SECONDS)
    for start in range(0, len(found), PORTION):
        part = found[start : start + PORTION]
        await broker.store.write(lambda tx, part=part: purge_in(tx, call, entities.write_tenant(call, tx, make=False), chosen, part, dropped, kept))


def purge_in(tx: Any, call: Call, tenant: int, chosen: Selection, ids: list[str], dropped: tuple[str, ...], kept: tuple[str, ...]) -> None:
    """Delete those of some entities that are selected still."""
    now = times.now()
    if not any(part.q is not None and part.q.depth for part in chosen.flat):  # what is linked would be searched for again each time
        ids = tx.ids(tenant, maps.among(chosen, ids))
    for id in ids:
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
