"""Entity maps and snapshots."""

from __future__ import annotations

import uuid


def fresh_urn(kind: str) -> str:
    """A new id.

    >>> fresh_urn("AttributeList")[:26]
    'urn:ngsi-ld:AttributeList:'
    """
    return f"urn:ngsi-ld:{kind}:{uuid.uuid4()}"
