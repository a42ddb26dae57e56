"""What every change leaves in the history: one instance per instance that was created, updated or deleted, in the same transaction.

An entity that is deleted takes its history with it, as the default of the standard's conformance tests has it; one that expires leaves it behind.
The scope is kept as a Property called "scope" whose observedAt is the time of the change (clause 4.5.6).
"""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker import times
from kiban.linkage.broker.model import MEMBER, Change, attributes
from kiban.linkage.broker.store import Event
from kiban.linkage.broker.store.past import Span
from kiban.linkage.broker.values import NULL

SCOPE = "scope"
LOOK = 100  # instances of an attribute among which those that are still there are looked for


def record(tx: Any, tenant: int, _: str, change: Change) -> None:
    """Keep a change in the history."""
    new = change.entity
    if new is None:
        old = change.previous
        if old is not None and not ("expiresAt" in old and times.parse(old["expiresAt"]) <= times.now_us()):
            tx.forget(tenant, old["id"])
        return
    modified: str = new["modifiedAt"]
    events = []
    if change.fresh:
        if SCOPE in new:
            events.append(Event(SCOPE, scope_instance(new[SCOPE], modified)))
        events += [Event(name, instance) for name, found in attributes(new) for instance in found]
    else:
        for name, dataset, kind in change.changed:
            if name == SCOPE:
                at = times.parse(modified) if kind == "deleted" else None
                events.append(Event(SCOPE, scope_instance([] if at else new[SCOPE], modified, deleted=bool(at)), at))
            elif name == "type" or name == "expiresAt":
                continue
            elif kind == "deleted":
                gone = next((part for part in (change.previous or {}).get(name, ()) if part.get("datasetId") == dataset), None)
                if gone is not None and "expiresAt" not in gone:
                    events.append(Event(name, mark(gone, modified), times.parse(modified)))
            else:
                events += [Event(name, part) for part in new[name] if part.get("datasetId") == dataset]
    if events or change.fresh or any(name == "type" for name, _, _ in change.changed):
        tx.record(tx.keep_head(tenant, new["id"], new["type"], times.parse(modified), fresh=change.fresh), events)


def scope_instance(scopes: list[str], at: str, *, deleted: bool = False) -> dict[str, Any]:
    """The scope of an entity as an instance of a Property.

    >>> scope_instance(["/A"], "2026-11-27T20:10:00.000Z")["value"]
    '/A'
    """
    found = {"type": "Property", "value": scopes[0] if len(scopes) == 1 else scopes, "createdAt": at, "modifiedAt": at}
    return found if deleted else {**found, "observedAt": at}


def mark(instance: dict[str, Any], now: str) -> dict[str, Any]:
    """What the history keeps of the deletion of an instance: its kind with the null of NGSI-LD as value (clause 4.5.7).

    >>> mark({"type": "Relationship", "object": "urn:a", "createdAt": "t"}, "u")
    {'type': 'Relationship', 'object': 'urn:ngsi-ld:null', 'createdAt': 't', 'modifiedAt': 'u'}
    """
    kind = instance["type"]
    value: Any = NULL
    if kind == "LanguageProperty":
        value = {"@none": NULL}
    elif kind in ("ListProperty", "ListRelationship"):
        value = [NULL]
    found = {"type": kind, MEMBER[kind]: value, "createdAt": instance.get("createdAt", now), "modifiedAt": now}
    if "datasetId" in instance:
        found["datasetId"] = instance["datasetId"]
    return found


def end(tx: Any, tenant: int, id: str, name: str, *, dataset: str | None, every: bool, now: str) -> bool:
    """Keep the deletion of an attribute of an entity that is nowhere but in the history; False if it is not there either."""
    head, number = tx.head(tenant, id), tx.number(name)
    if head is None or number is None:
        return False
    newest: dict[str | None, Any] = {}
    for row in tx.instances(head.key, number, Span(datasets=None if every else frozenset({dataset})), limit=LOOK, newest=True):
        newest.setdefault(row.dataset, row)
    there = [row.read() for row in newest.values() if row.deleted is None]
    at = times.parse(now)
    tx.record(head.key, [Event(name, scope_instance([], now, deleted=True) if name == SCOPE else mark(one, now), at) for one in there])
    if there:
        tx.touch_head(head.key, at)
    return bool(there)
