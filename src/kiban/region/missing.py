"""What was not there or could not be placed, in sentences that an officer can act on.

Each function returns one Missing record. `COMPUTED` are the titles of those that reading a written folder finds again by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.records.region import Missing

NO_STREETS = "街路データがない / no street data"
NO_DETOUR = "迂回率がない / no detour factor"
TOO_FAR = "街路から遠い地点 / points too far from any street"
PIECES = "街路網が分かれている / the street graph is in pieces"
NO_EXCHANGE = "収容局のない街路網にある地点 / points on a piece of streets without an exchange"
LINKS_OUTSIDE = "区域外・海上を通る候補ルート / candidate links over the sea or outside the region"
ELEVATION_COARSE = "標高が粗い / elevation is coarse"
COMPUTED = frozenset({NO_STREETS, NO_DETOUR, PIECES, NO_EXCHANGE, ELEVATION_COARSE})
EXAMPLES = 5


def note(what: str, why: str, ask: str, examples: Sequence[str] = (), count: int | None = None) -> Missing:
    """A Missing record with at most five examples.

    >>> note("標高", "見通しを判定できない", "国土地理院").count
    1
    """
    return Missing(what=what, why=why, ask=ask, count=count if count is not None else max(1, len(examples)), examples=tuple(examples[:EXAMPLES]))
