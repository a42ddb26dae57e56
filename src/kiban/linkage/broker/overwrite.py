"""An entity in the place of one of the same shape, as a feed of readings sends it again and again.

In: the stored bytes of an entity, and a new one. Out: the same as `model.replace` and `render.encode_lean` give, made without bringing the old
entity into internal form; or None, where the two differ in more than their values and those have to do it.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import msgspec

from kiban.linkage.broker.model import MEMBER, OWN, Change, Entity, Instance
from kiban.linkage.broker.render import EVEN, decode

_PLAIN = EVEN - {"datasetId"}
_HEAD = 4  # id, type and two times
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BEGINNINGS = {kind: b'{"type":"%b",' % kind.encode() for kind in MEMBER}


class Overwritten(Change):
    """A change by `overwrite`; the old entity is read when somebody asks for it.

    lean, sys  the new entity as the store keeps it
    touched    the attributes of which more than the times has changed, with what was kept of each before
    """

    fresh = False

    def __init__(self, entity: Entity, lean: bytes, sys: bytes, touched: dict[str, bytes], before: tuple[bytes, bytes]) -> None:
        self.entity, self.lean, self.sys, self.touched, self.before = entity, lean, sys, touched, before
        self.changed = [(name, None, "updated") for name in entity if name not in OWN]
        self.refused = []

    def earlier(self, name: str) -> list[Instance]:
        """The instances of a touched attribute as they were, without their times."""
        return [_decode(self.touched[name])]

    @cached_property
    def previous(self) -> Entity:  # type: ignore[override]
        """The old entity."""
        return decode(*self.before)


def overwrite(lean: bytes, sys: bytes, new: Entity, *, now: str) -> Overwritten | None:
    """`new` in the place of a stored entity; None unless both have one type, the same attributes, and of each a single plain instance of the same kind.

    >>> new = {"id": "urn:a", "type": ["T"], "createdAt": "2", "modifiedAt": "2"}
    >>> new["x:b"] = [{"type": "Property", "value": 5, "createdAt": "2", "modifiedAt": "2"}]
    >>> made = overwrite(b'{"id":"urn:a","type":"T","x:b":{"type":"Property","value":4}}', b'["1","1"]', new, now="2")
    >>> made.lean, made.sys, made.changed, made.previous["x:b"][0]["value"]
    (b'{"id":"urn:a","type":"T","x:b":{"type":"Property","value":5}}', b'["1","2"]', [('x:b', None, 'updated')], 4)
    """
    at = _decode(sys)
    created = at[0]
    if len(at) > 2 and (at[2] or any(own is not None and (len(own) > 2 or own[0] != created) for found in at[3].values() for own in found)):
        return None  # something expires, or was created later than the entity
    found = _parts(lean)
    types = new["type"]
    if len(types) != 1 or len(found) != len(new) - _HEAD + 2 or bytes(found["type"]) != (kind := _opened(types[0])[:-1]):
        return None
    id = new["id"]
    entity: Entity = {"id": id, "type": types, "createdAt": created, "modifiedAt": now}
    members = [b'"id":' + _encode(id), b'"type":' + kind]
    touched = {}
    for name, instances in new.items():
        if name in entity:
            continue
        old, instance = found.get(name), instances[0]
        # A scope, an expiry and instances in a list end here as well.
        if old is None or type(instance) is not dict or len(instances) != 1 or not _PLAIN.issuperset(instance):
            return None
        kept = instance.copy()
        del kept["createdAt"], kept["modifiedAt"]
        raw, before = _encode(kept), bytes(old)
        if raw != before:
            if not before.startswith(_BEGINNINGS[instance["type"]]) or b'"datasetId":' in before:
                return None
            touched[name] = before
        members.append(_opened(name) + raw)
        kept["createdAt"], kept["modifiedAt"] = created, now
        entity[name] = [kept]
    return Overwritten(entity, b"{%b}" % b",".join(members), _encode([created, now]), touched, (lean, sys))


@lru_cache(4096)
def _opened(name: str) -> bytes:
    """A name as the key of a JSON object, with its colon."""
    return _encode(name) + b":"
