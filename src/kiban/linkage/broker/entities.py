"""The operations on entities: each runs inside one group of writes, with everything that follows from it.

What follows from a change – history, notifications – is done by the `effects` of the broker in the same transaction, so that an acknowledged
write has them on disk as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiban.linkage.access import ALLOW, DENY
from kiban.linkage.broker import history, times
from kiban.linkage.broker.model import Change, attributes, expire
from kiban.linkage.broker.model import create as create_change
from kiban.linkage.broker.selection import parse_types
from kiban.linkage.broker.server import Call
from kiban.linkage.broker.store import Selection
from kiban.linkage.errors import Problem, already_exists, not_found

Entity = dict[str, Any]
Alter = Callable[[Entity], Change]


def allowed(call: Call, operation: str) -> Selection | None:
    """What the subject of this call may reach with this operation: None for all; 403 if nothing."""
    decision = call.broker.access.decide(call.subject, operation, call.tenant)
    if decision is ALLOW:
        return None
    if decision is DENY:
        if not call.subject:
            raise Problem("Unauthorized", "say who you are", "send Authorization: Bearer …")
        raise Problem("Forbidden", "this is not allowed", f"{operation} in tenant {call.tenant!r}")
    return decision.selection  # type: ignore[no-any-return]


def read_tenant(call: Call, reader: Any) -> int:
    """The key of the tenant of a reading call; 404 NonexistentTenant if nothing was ever written to it."""
    key = reader.tenant(call.tenant)
    if key is None:
        if call.tenant:
            raise Problem("NonexistentTenant", "there is no such tenant", call.tenant)
        return -1
    return key  # type: ignore[no-any-return]


def write_tenant(call: Call, tx: Any, *, make: bool) -> int:
    """The key of the tenant of a writing call; only what creates may make one."""
    key = tx.tenant(call.tenant)
    if key is None:
        if not make and call.tenant:
            raise Problem("NonexistentTenant", "there is no such tenant", call.tenant)
        key = tx.open_tenant(call.tenant)
    return key  # type: ignore[no-any-return]


def gone(entity: Entity) -> Change:
    """The change from an entity to nothing."""
    return Change(None, entity, [(name, instance.get("datasetId"), "deleted") for name, found in attributes(entity) for instance in found])


def within(reach: Selection | None, entity: Entity) -> bool:
    """True if the subject may reach this entity."""
    return reach is None or reach.matches(entity)


def keep(tx: Any, call: Call, tenant: int, old: Entity | None, change: Change) -> None:
    """Store what a change gives and do everything that follows from it."""
    if change.entity is None:
        tx.delete(tenant, old)
    elif change.changed or old is None:
        tx.put(tenant, change.entity, old)
    else:
        return
    for effect in call.broker.effects:
        effect(tx, tenant, call.tenant, change)


def create_in(tx: Any, call: Call, tenant: int, entity: Entity, reach: Selection | None) -> None:
    """Create one entity inside a transaction; 409 if it is there."""
    if tx.lean(tenant, entity["id"]) is not None:
        raise already_exists(entity["id"])
    if not within(reach, entity):
        raise Problem("Forbidden", "this entity is outside of what you may write", entity["id"])
    keep(tx, call, tenant, None, create_change(entity))


def alter_in(tx: Any, call: Call, tenant: int, id: str, alter: Alter, reach: Selection | None) -> Change:
    """Change one entity inside a transaction; 404 if it is not there, or outside of what the subject may reach."""
    old = tx.entity(tenant, id)
    if old is None or not within(reach, old):
        raise not_found(id)
    change = alter(old)
    if change.entity is not None and not within(reach, change.entity):
        raise Problem("Forbidden", "this change would lead outside of what you may write", id)
    keep(tx, call, tenant, old, change)
    return change


async def create(call: Call, entity: Entity) -> None:
    """Create an entity; on disk when this returns."""
    reach = allowed(call, "entities.create")

    def op(tx: Any) -> None:
        create_in(tx, call, write_tenant(call, tx, make=True), entity, reach)

    await call.broker.store.write(op)


async def alter(call: Call, operation: str, id: str, change: Alter) -> Change:
    """Change an entity, of the type that the query string may name; on disk when this returns."""
    reach = allowed(call, operation)
    wanted = call.params.get("type")
    kinds = parse_types(wanted, call.terms) if wanted else None

    def checked(old: Entity) -> Change:
        if kinds is not None and not kinds.matches(old):
            raise not_found(f"{id} of type {wanted}")
        return change(old)

    def op(tx: Any) -> Change:
        return alter_in(tx, call, write_tenant(call, tx, make=False), id, checked, reach)

    return await call.broker.store.write(op)  # type: ignore[no-any-return]


async def end_history(call: Call, id: str, name: str, dataset: str | None, every: bool, now: str) -> bool:
    """Keep the deletion of an attribute of an entity that has a history and nothing else; False if there is no such thing."""
    if allowed(call, "entities.update") is not None:
        return False

    def op(tx: Any) -> bool:
        tenant = write_tenant(call, tx, make=False)
        return tx.lean(tenant, id) is None and history.end(tx, tenant, id, name, dataset=dataset, every=every, now=now)

    return await call.broker.store.write(op)  # type: ignore[no-any-return]


async def delete(call: Call, id: str) -> None:
    """Delete an entity; on disk when this returns."""
    await alter(call, "entities.delete", id, gone)


def sweep(broker: Any, tx: Any) -> int:
    """Delete what has expired, entities and attributes, with everything that follows from it; how many."""
    now = times.now()
    names = dict(tx.tenants())
    changes = [(tenant, gone(entity)) for tenant, entity in tx.expired(times.parse(now))]
    changes += [(tenant, expire(entity, now=now)) for tenant, id in tx.ripened(times.parse(now)) if (entity := tx.whole(tenant, id)) is not None]
    for tenant, change in changes:
        if change.entity is None:
            tx.delete(tenant, change.previous)
        else:
            tx.put(tenant, change.entity, change.previous)
        for effect in broker.effects:
            effect(tx, tenant, names[tenant], change)
    return len(changes)
