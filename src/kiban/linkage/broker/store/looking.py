"""Conditions that need a look at an entity, asked of its stored bytes: no more of them is read than the conditions speak of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from kiban.linkage.broker.geo import GeoQ
from kiban.linkage.broker.model import OWN
from kiban.linkage.broker.query import Q
from kiban.linkage.broker.render import decode
from kiban.linkage.broker.selection import ScopeQ, TypeQ
from kiban.linkage.broker.store.contract import Selection, Who

Look = Callable[[bytes, bytes], bool]  # lean and sys


def looking(parts: Sequence[Any]) -> Look:
    """A function that says whether an entity, as it is stored, fulfils all conditions: the same answer as their `matches` gives for the whole entity.

    >>> look = looking([TypeQ("Well", (("https://x/Well",),))])
    >>> look(b'{"id":"urn:a","type":"https://x/Well"}', b'["t","t"]'), look(b'{"id":"urn:b","type":["https://x/Bus"]}', b'["t","t"]')
    (True, False)
    """
    tests = [part.matches for part in sorted(parts, key=lambda part: isinstance(part, GeoQ))]  # what is quick to see first
    named: set[str] = set()
    for part in parts:
        members = spoken_of(part)
        if members is None:
            return lambda lean, sys: every(tests, decode(lean, sys))
        named |= members
    names = tuple(sorted(named))
    read, values = reading(names)
    if len(names) == 1:
        (name,) = names

        def one(lean: bytes, _: bytes) -> bool:
            value = values(read(lean))
            return every(tests, {} if value is msgspec.UNSET else {name: value if type(value) is list or name == "id" else [value]})

        return one

    unset, places = msgspec.UNSET, range(len(names))

    def several(lean: bytes, _: bytes) -> bool:
        found = values(read(lean))
        entity = {}
        for place in places:
            value = found[place]
            if value is not unset:
                name = names[place]
                entity[name] = value if type(value) is list or name == "id" else [value]
        return every(tests, entity)

    return several


def every(tests: Sequence[Callable[..., bool]], entity: dict[str, Any]) -> bool:
    """Whether all say so."""
    for test in tests:  # noqa: SIM110 - a loop is three times as fast as all() here
        if not test(entity):
            return False
    return True


def spoken_of(part: Any) -> frozenset[str] | None:
    """The members of an entity that a condition looks at; None if that is more than its names and what stands in its instances.

    >>> spoken_of(ScopeQ("/a", (("/a",),)))
    frozenset({'scope'})
    """
    if isinstance(part, Q):
        return part.attributes if part.bare and OWN.isdisjoint(part.attributes) else None
    if isinstance(part, GeoQ):
        return frozenset((part.attr,))
    if isinstance(part, Who) or (isinstance(part, Selection) and part == Selection(who=part.who)):
        return frozenset(("id", "type"))
    if isinstance(part, TypeQ):
        return frozenset(("type",))
    return frozenset(("scope",)) if isinstance(part, ScopeQ) else None


@lru_cache(maxsize=256)
def reading(names: tuple[str, ...]) -> tuple[Callable[[bytes], Any], Callable[[Any], Any]]:
    """What reads these members of an object in JSON and nothing else, and what takes them out of that: a tuple, or the only one; UNSET where there is none."""
    fields = [f"f{place}" for place in range(len(names))]
    kind = msgspec.defstruct("Members", [(field, Any, msgspec.UNSET) for field in fields], rename=dict(zip(fields, names, strict=True)))
    return msgspec.json.Decoder(kind).decode, attrgetter(*fields)
