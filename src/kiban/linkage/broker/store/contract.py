"""The contract of the stores: what is selected, what is read, what is written.

An entity is a plain dict in the internal form: expanded names, every attribute a list of instances, system times inside.
All functions of `Reader` and `Tx` are plain calls inside one transaction; only `Store.write` and `Store.slow` are awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from kiban.linkage.broker.overwrite import Overwritten
from kiban.linkage.errors import Problem

Entity = dict[str, Any]
T = TypeVar("T")


class Predicate(Protocol):
    """A condition on one entity, as the query languages give it."""

    def matches(self, entity: Entity) -> bool:
        """True if the entity fulfils it."""


@dataclass(frozen=True, slots=True)
class Who:
    """One entity selector: every part that is given must hold.

    types    a type query (`kiban.linkage.broker.query.TypeQ`) or None
    ids      any of these ids; empty: any id
    pattern  a regular expression that the id must contain, or None
    """

    types: Any = None
    ids: tuple[str, ...] = ()
    pattern: Any = None

    def matches(self, entity: Entity) -> bool:
        """True if this entity is selected."""
        return (
            (not self.ids or entity["id"] in self.ids)
            and (self.types is None or self.types.matches(entity))
            and (self.pattern is None or bool(self.pattern.search(entity["id"])))
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entities: all parts that are given must hold.

    who    any of these selectors; empty: any entity
    attrs  the entity has at least one of these attributes (IRIs); empty: any
    q, scope, geo  predicates of the query languages, or None
    also   further selections that must hold as well: what access allows
    """

    who: tuple[Who, ...] = ()
    attrs: tuple[str, ...] = ()
    q: Any = None
    scope: Any = None
    geo: Any = None
    also: tuple[Selection, ...] = ()

    def matches(self, entity: Entity) -> bool:
        """True if this entity is selected; the same answer as the store gives."""
        return (
            (not self.who or any(who.matches(entity) for who in self.who))
            and (not self.attrs or any(attr in entity for attr in self.attrs))
            and (self.q is None or self.q.matches(entity))
            and (self.scope is None or self.scope.matches(entity))
            and (self.geo is None or self.geo.matches(entity))
            and all(other.matches(entity) for other in self.also)
        )

    def and_also(self, other: Selection) -> Selection:
        """What is selected by both."""
        return replace(self, also=(*self.also, other))

    @property
    def flat(self) -> tuple[Selection, ...]:
        """This selection and all that must hold as well, one level deep."""
        return (self, *(part for other in self.also for part in other.flat))


class Event(NamedTuple):
    """One instance of one attribute on its way into history.

    attr      IRI of the attribute
    instance  the instance in the internal form; its times decide about its place
    deleted   when the attribute was deleted, in µs since 1970, where the instance tells of that; else None
    """

    attr: str
    instance: dict[str, Any]
    deleted: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One notification that waits in the outbox.

    endpoint      key of its queue: scheme, host, port and path
    subscription  id of the subscription; tenant: its tenant's key
    order         messages of one subscription with the same word keep their order (the entity's id)
    request       the request to send, encoded
    counted       it is in the counters of its subscription already: an earlier attempt failed
    """

    endpoint: str
    tenant: int
    subscription: str
    order: str
    request: bytes
    seq: int = 0
    attempt: int = 0
    first: int = 0
    counted: bool = False


class Uncertain(Problem):
    """The connection broke while it committed: what was written may be kept or not."""


class Reader(Protocol):
    """What can be asked of one consistent view."""

    def tenant(self, name: str) -> int | None:
        """The key of a tenant, None if nothing was ever written to it."""

    def lean(self, tenant: int, id: str) -> tuple[bytes, bool] | None:
        """An entity as it is answered most often: compact JSON without system times, and whether only top names need a context."""

    def entity(self, tenant: int, id: str) -> Entity | None:
        """An entity in the internal form, None if it is not there or has expired."""

    def find(self, tenant: int, selection: Selection, limit: int, offset: int = 0) -> list[tuple[bytes, bytes, bool]]:
        """Selected entities (lean, system times, flat) in the order of their creation."""

    def count(self, tenant: int, selection: Selection) -> int:
        """How many entities are selected."""


class Tx(Reader, Protocol):
    """What can be written inside one transaction; sees its own writes."""

    def open_tenant(self, name: str) -> int:
        """The key of a tenant, made if it is new."""

    def stored(self, tenant: int, id: str) -> tuple[bytes, bytes, int] | None:
        """An entity as it is kept, lean and times, to be changed, with its key; None if it is not there, or something of it has expired."""
        ...

    def overwrite(self, tenant: int, key: int, change: Overwritten) -> None:
        """Keep an entity of the shape of the one that stands there."""
        ...

    def put(self, tenant: int, entity: Entity, old: Entity | None, *, new: bool = False, made: Any = None) -> None:
        """Keep an entity; old: what stands there now, None if nothing does. new: 409 if something does. made: its `encoded`, if that is known already."""

    def delete(self, tenant: int, entity: Entity) -> None:
        """Remove an entity that stands there."""


class Store(Protocol):
    """A database with its transactions."""

    reader: Any  # for indexed reads in the event loop

    def write(self, op: Callable[[Any], T]) -> Awaitable[T]:
        """Run a function in the next group of writes; returns its result when all is on disk. It may run twice: no effects outside the transaction."""

    def brief(self, fn: Callable[[Any], T]) -> T | None:
        """Run a read by indexes in the event loop; None if it is not over soon: ask `slow` then."""

    def slow(self, fn: Callable[[Any], T], seconds: float = 10.0) -> Awaitable[T]:
        """Run reads that may scan, beside the event loop, with a time limit (403 TooComplexQuery)."""

    async def close(self) -> None:
        """Finish waiting writes and let go of the database."""


Rows = Sequence[tuple[Any, ...]]


def as_number(value: Any) -> float | None:
    """A value as a database keeps numbers; None for what is none, or is too large.

    >>> as_number(3), as_number(True), as_number(10**400)
    (3.0, None, None)
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if isinstance(value, float) or -(2**1023) < value < 2**1023 else None
