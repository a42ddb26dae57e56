"""The made-up town of a load run: entities by number, what was last written to each, and the right answer to a query.

In: how many entities, and a seed. Out: their JSON, query strings with the set of entities that each must find, and a judgement on a body that a broker sent.
Entity n is the same for the same seed everywhere; half of the entities are written with the user @context CONTEXT, half with the core context alone.
Who sends the requests is decided in load; nothing here knows HTTP.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from kiban.linkage.broker.late import Late

if TYPE_CHECKING:
    import numpy as np
else:
    np = Late("numpy")

TYPES = ("WaterGauge", "RefugePlace", "BusHalt", "AirStation")
STATES = ("open", "closed", "alarm", "unclear")
LEVEL, STATE, SERIAL, REMARK = "waterLevel", "gaugeState", "serialNumber", "remark"
VOCABULARY = "https://kiban.example/load#"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
CONTEXT_URL = "https://kiban.example/contexts/load.jsonld"
CONTEXT = {"@context": {name: VOCABULARY + name for name in (*TYPES, LEVEL, STATE, SERIAL, REMARK)}}
WEST, EAST, SOUTH, NORTH = 13_000_000, 14_500_000, 3_100_000, 4_400_000  # 1/100000 degree
FIRST_SERIAL = 1_000_000_000  # of a write; an entity that was never written again has its own number
REMARKS = 97
SYLLABLES = ("mizu", "yama", "kawa", "machi", "mura", "hashi", "eki", "minato", "shima", "mori", "水位", "避難所", "停留所", "大気", "観測")
CORE = frozenset({"id", "type", "location", "scope", "@context"})
KINDS = ("type", "attrs", "q", "range", "window", "near", "pattern")  # what a mix of queries is made of
OTHER_KINDS = ("window_q", "undeclared")
EARTH = 6_371_008.8  # m, mean radius

_ENTITY = (
    '{"id":"%s","type":"%s","waterLevel":{"type":"Property","value":%d.%02d,"unitCode":"MTR","observedAt":"2026-01-%02dT%02d:%02d:%02dZ"},'
    '"gaugeState":{"type":"Property","value":"%s"},"serialNumber":{"type":"Property","value":%d},'
    '"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[%d.%05d,%d.%05d]}},"remark":{"type":"Property","value":"%s"}}'
)
_PATCH = (
    '{"waterLevel":{"type":"Property","value":%d.%02d,"unitCode":"MTR","observedAt":"2026-01-%02dT%02d:%02d:%02dZ"},'
    '"gaugeState":{"type":"Property","value":"%s"},"serialNumber":{"type":"Property","value":%d}}'
)


@dataclass(frozen=True, slots=True)
class Question:
    """A query and what it must find. `find` gives two masks over the population: entities that match for sure, and those that may match."""

    kind: str
    text: str  # the query string
    linked: bool  # sent with the user @context
    attrs: tuple[str, ...]  # only these come back; empty: all
    skip: int
    limit: int
    find: Callable[[Population], tuple[Any, Any]]


class Population:
    """Entities 0 … n-1 and all that were created later, with what was last acknowledged for each.

    entities  how many there are at first
    seed      decides positions, levels and texts
    tag       stands in the ids of entities created by this run, so that two runs on one broker do not meet
    mixed     half of the entities are written with the user @context; False: none is

    >>> town = Population(8, seed=1)
    >>> town.id(5), town.linked(5), len(town.text(5).encode()) > 900
    ('urn:ngsi-ld:RefugePlace:00000005', True, True)
    >>> town.number('urn:ngsi-ld:RefugePlace:00000005')
    5
    """

    def __init__(self, entities: int, seed: int, tag: str = "", mixed: bool = True) -> None:
        draw = np.random.default_rng(seed)
        self.mixed = mixed
        self.entities = entities
        self.tag = tag

        def drawn(low: int, high: int) -> array[int]:
            return array("q", draw.integers(low, high, entities, dtype=np.int64).tobytes())

        self.level, self.state = drawn(0, 10_000), drawn(0, len(STATES))
        self.lon, self.lat = drawn(WEST, EAST), drawn(SOUTH, NORTH)
        self.serial = array("q", np.arange(entities, dtype=np.int64).tobytes())
        self.there = array("b", bytes([1]) * entities)  # 0: its creation was not acknowledged
        words = random.Random(seed)  # noqa: S311 - texts of a made-up town
        self._remarks = [" ".join(words.choice(SYLLABLES) for _ in range(100)) for _ in range(REMARKS)]

    def __len__(self) -> int:
        return len(self.level)

    def linked(self, n: int) -> bool:
        """Whether entity n is written with the user @context."""
        return self.mixed and bool(n & 4)

    def id(self, n: int) -> str:
        """The id of entity n."""
        return f"urn:ngsi-ld:{TYPES[n & 3]}:{n:08d}" if n < self.entities else f"urn:ngsi-ld:{TYPES[n & 3]}:{self.tag}-{n:08d}"

    def number(self, id: str) -> int | None:
        """The number of an entity by its id; None for one that is not of this population."""
        tail = id[-8:]
        if not tail.isdigit() or (n := int(tail)) >= len(self.level) or self.id(n) != id:
            return None
        return n

    def new(self, draw: random.Random) -> int:
        """A further entity, which nobody has created yet; its number."""
        n = len(self.level)
        self.level.append(draw.randrange(10_000))
        self.state.append(draw.randrange(len(STATES)))
        self.lon.append(draw.randrange(WEST, EAST))
        self.lat.append(draw.randrange(SOUTH, NORTH))
        self.serial.append(n)
        self.there.append(0)
        return n

    def text(self, n: int, written: tuple[int, int, int] | None = None) -> str:
        """Entity n in normalized form, about 1 kB. written: level in 1/100, state and serial instead of what was acknowledged."""
        level, state, serial = written or (self.level[n], self.state[n], self.serial[n])
        lon, lat = self.lon[n], self.lat[n]
        return _ENTITY % (
            self.id(n), TYPES[n & 3], level // 100, level % 100, *_clock(serial), STATES[state], serial,
            lon // 100_000, lon % 100_000, lat // 100_000, lat % 100_000, self._remarks[n % REMARKS],
        )  # fmt: skip

    def patch(self, written: tuple[int, int, int]) -> str:
        """The attributes that a write changes."""
        level, state, serial = written
        return _PATCH % (level // 100, level % 100, *_clock(serial), STATES[state], serial)

    def wrong(self, body: dict[str, Any], linked: bool, attrs: Sequence[str] = (), or_written: tuple[int, int, int] | None = None) -> str:
        """What is wrong with an entity that a broker sent; "" when it says what was last written. linked: it was asked for with the user @context."""
        n = self.number(str(body.get("id")))
        if n is None:
            return f"{body.get('id')}: nobody wrote such an entity"
        found = expand(body, linked)
        for written in (None, or_written) if or_written else (None,):
            expected = expand(msgspec.json.decode(self.text(n, written)), self.linked(n))
            if attrs:
                keep = {_iri(name, linked) for name in attrs} | {"id", "type"}
                expected = {name: value for name, value in expected.items() if name in keep}
            if found == expected:
                return ""
        parts = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        return f"{self.id(n)}: {', '.join(f'{name} is {found.get(name)!s:.90}, expected {expected.get(name)!s:.90}' for name in parts[:3])}"

    def columns(self) -> tuple[Any, ...]:
        """Number, level, state, serial, longitude, latitude, there: views for Question.find, not to be kept: no entity can be added while one is there."""
        numbers = (np.frombuffer(column, np.int64) for column in (self.level, self.state, self.serial, self.lon, self.lat))
        return np.arange(len(self.level)), *numbers, np.frombuffer(self.there, np.int8)


def _clock(serial: int) -> tuple[int, int, int, int]:
    return serial // 86_400 % 28 + 1, serial // 3600 % 24, serial // 60 % 60, serial % 60


def _iri(name: str, linked: bool) -> str:
    if name.startswith("ngsi-ld:"):  # a prefix of the core context: what the user @context has taken the short name from
        return "https://uri.etsi.org/ngsi-ld/" + name[8:]
    if name in CORE or ":" in name:
        return name
    return CONTEXT["@context"].get(name, DEFAULT + name) if linked else DEFAULT + name


def expand(body: dict[str, Any], linked: bool) -> dict[str, Any]:
    """An entity with the names of its attributes and type written out, so that answers with and without the user @context can be compared.

    >>> expand({"id": "urn:a", "type": "BusHalt", "remark": 1}, True)["https://kiban.example/load#remark"]
    1
    """
    types = body.get("type")
    found = {_iri(name, linked): value for name, value in body.items() if name != "@context"}
    found["type"] = sorted(_iri(one, linked) for one in (types if isinstance(types, list) else [str(types)]))
    return found


def questions(town: Population, kinds: Sequence[str], seed: int, many: int) -> list[Question]:
    """Queries with varied parameters, half of them with the user @context.

    >>> [one.text for one in questions(Population(1000, 1), ["type", "range"], seed=2, many=2)]
    ['type=WaterGauge&limit=20', 'type=BusHalt&q=waterLevel%3D%3D60.29..61.29&limit=20']
    """
    draw = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    made: dict[str, Callable[[random.Random, int, bool], Question]] = {
        "type": _by_type, "attrs": _by_attrs, "q": _by_q, "range": _by_range, "window": _by_window, "near": _by_near,
        "pattern": partial(_by_pattern, town.entities), "window_q": _by_window_q, "undeclared": partial(_by_undeclared, town.entities),
    }  # fmt: skip
    return [made[kinds[k % len(kinds)]](draw, draw.randrange(4), draw.randrange(2) == 1 and town.mixed) for k in range(many)]


def _kind(town: Population, type: int, linked: bool) -> tuple[Any, tuple[Any, ...]]:
    columns = town.columns()
    n, there = columns[0], columns[6]
    return (n & 3 == type) & ((n & 4 != 0) == linked if town.mixed else True) & (there == 1), columns


def _by_type(draw: random.Random, type: int, linked: bool) -> Question:
    skip = draw.choice((0, 0, 20, 100))

    def find(town: Population) -> tuple[Any, Any]:
        mask, _ = _kind(town, type, linked)
        return mask, mask

    return Question("type", f"type={TYPES[type]}{f'&offset={skip}' if skip else ''}&limit=20", linked, (), skip, 20, find)


def _by_attrs(draw: random.Random, type: int, linked: bool) -> Question:
    attrs = draw.choice(((LEVEL,), (LEVEL, STATE), (SERIAL, "location"), (STATE, REMARK)))

    def find(town: Population) -> tuple[Any, Any]:
        mask, _ = _kind(town, type, linked)
        return mask, mask

    return Question("attrs", f"type={TYPES[type]}&attrs={','.join(attrs)}&limit=20", linked, attrs, 0, 20, find)


def _by_q(draw: random.Random, type: int, linked: bool) -> Question:
    level, state = draw.randrange(9000), draw.randrange(4)

    def find(town: Population) -> tuple[Any, Any]:
        mask, (_, levels, states, *_) = _kind(town, type, linked)
        mask &= (levels > level) & (states == state)
        return mask, mask

    q = quote(f'{LEVEL}>{level / 100:.2f};{STATE}=="{STATES[state]}"', safe="")
    return Question("q", f"type={TYPES[type]}&q={q}&limit=20", linked, (), 0, 20, find)


def _by_range(draw: random.Random, type: int, linked: bool) -> Question:
    low = draw.randrange(8000)
    high = low + draw.choice((1, 10, 100, 2000))

    def find(town: Population) -> tuple[Any, Any]:
        mask, (_, levels, *_) = _kind(town, type, linked)
        mask &= (levels >= low) & (levels <= high)
        return mask, mask

    q = quote(f"{LEVEL}=={low / 100:.2f}..{high / 100:.2f}", safe=".")
    return Question("range", f"type={TYPES[type]}&q={q}&limit=20", linked, (), 0, 20, find)


def _window(draw: random.Random) -> tuple[int, int, int, int, str]:
    """A window of at most 1 % of the land; half a unit off the grid, so that no entity lies on its edge."""
    part = draw.choice((0.02, 0.05, 0.1))
    wide, high = int((EAST - WEST) * part), int((NORTH - SOUTH) * part)
    west, south = draw.randrange(WEST, EAST - wide), draw.randrange(SOUTH, NORTH - high)
    corners = [(west, south), (west + wide, south), (west + wide, south + high), (west, south + high), (west, south)]
    ring = ",".join(f"[{x / 100_000:.5f}5,{y / 100_000:.5f}5]" for x, y in corners)
    return west, west + wide, south, south + high, f"georel=within&geometry=Polygon&coordinates={quote(f'[[{ring}]]', safe='')}"


def _inside(columns: tuple[Any, ...], west: int, east: int, south: int, north: int) -> Any:
    return (columns[4] > west) & (columns[4] <= east) & (columns[5] > south) & (columns[5] <= north)


def _by_window(draw: random.Random, type: int, linked: bool) -> Question:
    west, east, south, north, text = _window(draw)

    def find(town: Population) -> tuple[Any, Any]:
        mask, columns = _kind(town, type, linked)
        mask &= _inside(columns, west, east, south, north)
        return mask, mask

    return Question("window", f"type={TYPES[type]}&{text}&limit=20", linked, (), 0, 20, find)


def _by_window_q(draw: random.Random, type: int, linked: bool) -> Question:
    west, east, south, north, text = _window(draw)
    level = draw.randrange(1000, 9900)

    def find(town: Population) -> tuple[Any, Any]:
        mask, columns = _kind(town, type, linked)
        mask &= _inside(columns, west, east, south, north) & (columns[1] > level)
        return mask, mask

    return Question("window_q", f"type={TYPES[type]}&{text}&q={LEVEL}%3E{level / 100:.2f}&limit=20", linked, (), 0, 20, find)


def _by_near(draw: random.Random, type: int, linked: bool) -> Question:
    lon, lat, far = draw.randrange(WEST, EAST) / 100_000, draw.randrange(SOUTH, NORTH) / 100_000, draw.choice((5_000, 20_000, 60_000))

    def find(town: Population) -> tuple[Any, Any]:
        mask, columns = _kind(town, type, linked)
        there, here = np.radians(columns[5] / 100_000), np.radians(lat)
        half = np.sin((there - here) / 2) ** 2 + np.cos(there) * np.cos(here) * np.sin(np.radians(columns[4] / 100_000 - lon) / 2) ** 2
        away = 2 * EARTH * np.arcsin(np.sqrt(half))
        # A sphere and an ellipsoid differ by up to half a percent; both are accepted.
        return mask & (away < 0.994 * far), mask & (away < 1.006 * far)

    place = f"georel=near%3BmaxDistance%3D%3D{far}&geometry=Point&coordinates={quote(f'[{lon:.5f},{lat:.5f}]', safe='')}"
    return Question("near", f"type={TYPES[type]}&{place}&limit=20", linked, (), 0, 20, find)


def _by_pattern(entities: int, draw: random.Random, type: int, linked: bool) -> Question:
    first = draw.randrange(entities) // 100

    def find(town: Population) -> tuple[Any, Any]:
        mask, (n, *_) = _kind(town, type, linked)
        mask &= (n // 100 == first) & (n < town.entities)
        return mask, mask

    pattern = quote(f"^urn:ngsi-ld:{TYPES[type]}:{first:06d}.*", safe="")
    return Question("pattern", f"type={TYPES[type]}&idPattern={pattern}&limit=20", linked, (), 0, 20, find)


def _by_undeclared(entities: int, draw: random.Random, type: int, linked: bool) -> Question:
    one = draw.randrange(entities)

    def find(town: Population) -> tuple[Any, Any]:
        mask, columns = _kind(town, type, linked)
        mask &= columns[3] == one
        return mask, mask

    return Question("undeclared", f"type={TYPES[type]}&q={SERIAL}%3D%3D{one}&limit=20", linked, (), 0, 20, find)
