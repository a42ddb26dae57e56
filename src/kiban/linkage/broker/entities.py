"""The operations on entities: each runs inside one group of writes, with everything that follows from it.

What follows from a change – history, notifications – is done by the `effects` of the broker in the same transaction, so that an acknowledged
write has them on disk as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kiban.linkage.broker import history, maps, times
from kiban.linkage.broker.model import OWN, Change, attributes, expire
from kiban.linkage.broker.model import create as create_change
from kiban.linkage.broker.overwrite import Overwritten
from kiban.linkage.broker.render import View
from kiban.linkage.broker.selection import parse_types
from kiban.linkage.broker.server import Call
from kiban.linkage.broker.store import Encoded, Selection, encoded
from kiban.linkage.errors import Problem, bad_request, not_found

TENANT = 256  # characters of its name

Entity = dict[str, Any]
Alter = Callable[[Entity], Change]


def allowed(call: Call, operation: str, *, hides: bool = False) -> Selection | None:
    """What the subject of this call may reach with this operation: None for all; 403 if nothing.

    hides: the caller cuts its answer with `hide`; who does not is refused where attributes are hidden. What is written is checked by `keep`.
    """
    found = call.broker.access.demand(call.subject, operation, call.tenant)
    if found is None:
        return None
    if found.attrs is not None and not hides and operation.endswith(".read"):
        raise Problem("Forbidden", "this is not offered where attributes are hidden", operation)
    return found.selection  # type: ignore[no-any-return]


def narrow(call: Call, operation: str, chosen: Selection) -> Selection:
    """A selection cut to what the subject may reach; 403 if it asks about an attribute that is hidden."""
    found = call.broker.access.demand(call.subject, operation, call.tenant)
    return chosen if found is None else found.narrow(chosen)


def entirely(call: Call, operation: str) -> None:
    """Go on only if the subject may reach every entity: what follows tells about all of them."""
    if allowed(call, operation) is not None:
        raise Problem("Forbidden", "this tells about all entities, of which only some may be reached", operation)


def hide(call: Call, view: View, order: Any = ()) -> View:
    """The view without the attributes that the subject may not see; 403 for an answer that is placed or ordered by one of them, and for a join."""
    found = call.broker.access.demand(call.subject, "entities.read", call.tenant)
    if found is None or found.attrs is None:
        return view
    found.check(name for term in (order.terms if order else ()) for name in term.names if name not in OWN)
    found.check([view.geometry] if view.geometry else [])
    if view.join:
        raise Problem("Forbidden", "linked entities are not offered where attributes are hidden", "leave join out")
    return replace(view, attrs=found.attrs if view.attrs is None else view.attrs & found.attrs)


def may_keep(call: Call, change: Change) -> None:
    """403 if this change is not allowed: of the operation, of the entity before or after, or of one of the attributes that it touches."""
    operation = "entities.delete" if change.entity is None else "entities.create" if change.fresh else "entities.update"
    found = call.broker.access.demand(call.subject, operation, call.tenant)
    if found is None:
        return
    for entity in (change.previous, change.entity):
        if entity is not None and not found.matches(entity):
            raise Problem("Forbidden", "this entity is outside of what you may write", entity["id"])
    found.check(name for name in change.updated if name not in OWN)


def read_tenant(call: Call, reader: Any) -> int:
    """The key of the tenant of a reading call, or of the snapshot that it names; 404 NonexistentTenant if nothing was ever written to it."""
    key = reader.tenant(call.tenant)
    if key is None:
        if call.tenant:
            raise Problem("NonexistentTenant", "there is no such tenant", call.tenant)
        key = -1
    return maps.inside(call, reader, key) if b"ngsild-snapshot" in call.headers else key


def write_tenant(call: Call, tx: Any, *, make: bool) -> int:
    """The key of the tenant of a writing call, or of the snapshot that it names; only what creates may make one."""
    key = tx.tenant(call.tenant)
    if key is None:
        if not make and call.tenant:
            raise Problem("NonexistentTenant", "there is no such tenant", call.tenant)
        if len(call.tenant) > TENANT:
            raise bad_request(f"the name of a tenant: found {len(call.tenant)} characters; expected at most {TENANT}")
        key = tx.open_tenant(call.tenant)
    return maps.inside(call, tx, key) if b"ngsild-snapshot" in call.headers else key


def gone(entity: Entity) -> Change:
    """The change from an entity to nothing."""
    lost = [(name, instance.get("datasetId"), "deleted") for name, found in attributes(entity) for instance in found]
    return Change(None, entity, lost)  # type: ignore[arg-type]  # None stands for a deleted entity only here


def within(reach: Selection | None, entity: Entity) -> bool:
    """True if the subject may reach this entity."""
    return reach is None or reach.matches(entity)


def must_reach(reach: Selection | None, entity: Entity) -> None:
    """403 if the subject may not write this new entity."""
    if not within(reach, entity):
        raise Problem("Forbidden", "this entity is outside of what you may write", entity["id"])


def keep(tx: Any, call: Call, tenant: int, old: Entity | None, change: Change, *, new: bool = False, made: Encoded | None = None) -> None:
    """Store what a change gives and do everything that follows from it; 403 if the subject of the call may not; new, made: see `put`."""
    may_keep(call, change)
    if change.entity is None:
        tx.delete(tenant, old)
    elif change.changed or old is None:
        tx.put(tenant, change.entity, old, new=new, made=made)
    else:
        return
    for effect in call.broker.effects:
        effect(tx, tenant, call.tenant, change)


def keep_over(tx: Any, call: Call, tenant: int, key: int, change: Overwritten) -> None:
    """`keep` for a change by `overwrite` of the entity with this key."""
    may_keep(call, change)
    tx.overwrite(tenant, key, change)
    for effect in call.broker.effects:
        effect(tx, tenant, call.tenant, change)


def create_in(tx: Any, call: Call, tenant: int, entity: Entity, reach: Selection | None, *, new: bool = True) -> None:
    """Create one entity inside a transaction; 409 if it is there. new=False: it was looked for, and if another worker was quicker, all is run again."""
    must_reach(reach, entity)
    keep(tx, call, tenant, None, create_change(entity), new=new)


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
    must_reach(reach, entity)
    # The disk is busy with the group before: what can be done now need not be done while it waits.
    change, made = create_change(entity), encoded(entity)

    def op(tx: Any) -> None:
        keep(tx, call, write_tenant(call, tx, make=True), None, change, new=True, made=made)

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
