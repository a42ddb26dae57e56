"""The drills of a plan, done again: who is off after each event, by a search of its own and by geometry of its own.

In: a problem, a design, the region, and what the plan says of its events. Out: one line per difference. Areas are laid over streets edge by edge,
without a geometry library: a street is hit when one of its ends lies in the area or one of its pieces crosses or touches a ring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from kiban.records.design import Design, Problem
from kiban.records.region import Hazard, Place, Region, Ring, Site

Spot = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Lost:
    """What an event takes: streets, places, sites, and the spurs of sites and places."""

    streets: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    spurs: frozenset[str] = frozenset()


def check_drills(problem: Problem, design: Design, region: Region, said: Mapping[str, set[tuple[str, str]]]) -> Iterator[str]:
    """Compare who is off with what is said; `said`: event id (street:…, exchange:…, place:…, hazard:…) → (site, use case) off."""
    for event, off in said.items():
        lost = _lost(region, event)
        if lost is None:
            yield f"{event}: 記録にない / not in the records"
            continue
        found = pairs_off(problem, design, lost)
        for site, usecase in sorted(found ^ off):
            words = "不通なのに記載がない / off, not listed" if (site, usecase) in found else "不通でないのに記載がある / listed, not off"
            yield f"{event}: {site}・{usecase} {words}"


def pairs_off(problem: Problem, design: Design, lost: Lost) -> set[tuple[str, str]]:
    """(site, use case) that the design serves and that nothing reaches any more."""
    nodes = problem.nodes
    out: dict[int, list[int]] = defaultdict(list)
    for index in design.arcs:
        arc = problem.arcs[index]
        ends = (nodes[arc.tail], nodes[arc.head])
        laid = arc.kind in ("line", "plant") and arc.ref in lost.streets
        stood = any(node.kind in ("mast", "facility") and node.ref in lost.places for node in ends) or (arc.kind == "exchange" and arc.ref in lost.places)
        inside = ends[1].kind == "terminal" and ends[1].ref in lost.sites
        spur = arc.kind == "drop" or arc.kind == "exchange" or (arc.kind == "feed" and ends[0].kind == "junction")
        if not (laid or stood or inside or (spur and arc.ref in lost.spurs)):
            out[arc.tail].append(arc.head)
    reached, stack = {0}, [0]
    while stack:
        for head in out[stack.pop()]:
            if head not in reached:
                reached.add(head)
                stack.append(head)
    ways: dict[tuple[str, str], list[int]] = defaultdict(list)
    for demand, arc_index in zip(problem.demands, design.served, strict=False):
        if arc_index >= 0:
            ways[demand.site, demand.usecase].append(demand.node)
    return {pair for pair, ends_of in ways.items() if not any(node in reached for node in ends_of)}


def _lost(region: Region, event: str) -> Lost | None:
    kind, _, id = event.partition(":")
    if kind == "street" and any(street.id == id for street in region.streets):
        return Lost(streets=frozenset({id}))
    if kind in ("exchange", "place") and any(place.id == id for place in region.places):
        return Lost(places=frozenset({id}))
    hazards = [hazard for hazard in region.hazards if hazard.id == id] if kind == "hazard" else []
    return area(region, hazards[0]) if hazards else None


def area(region: Region, hazard: Hazard) -> Lost:
    """What an area touches."""
    shapes = [(_box(rings[0]), rings) for rings in hazard.polygons]
    at = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}

    def touched(line: list[Spot]) -> bool:
        box = _box(line)
        return any(_meets(line, rings) for other, rings in shapes if _near(box, other))

    rows: list[Site | Place] = [*region.sites, *region.places]
    spurs = [(row.id, [(row.lat, row.lon), at[region.attach[row.id][0]]]) for row in rows if region.attach.get(row.id, ("", 0.0))[1] > 0]
    return Lost(
        streets=frozenset(street.id for street in region.streets if touched([at[street.a], *street.shape, at[street.b]])),
        spurs=frozenset(id for id, line in spurs if touched(line)),
        sites=frozenset(site.id for site in region.sites if touched([(site.lat, site.lon)])),
        places=frozenset(place.id for place in region.places if touched([(place.lat, place.lon)])),
    )


def _box(line: list[Spot] | Ring) -> Box:
    return min(p[0] for p in line), min(p[1] for p in line), max(p[0] for p in line), max(p[1] for p in line)


def _near(a: Box, b: Box) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _meets(line: list[Spot], rings: tuple[Ring, ...]) -> bool:
    """Whether a line (or one spot) and a polygon share a point."""
    if sum(_crossings(line[0], ring) for ring in rings) % 2:
        return True
    pieces = list(pairwise(line)) or [(line[0], line[0])]
    return any(_cross(a, b, c, d) for a, b in pieces for ring in rings for c, d in pairwise(ring))


def _crossings(spot: Spot, ring: Ring) -> int:
    """How often a ray to the north of a spot crosses a ring."""
    lat, lon = spot
    return sum((b > lon) != (d > lon) and lat < a + (c - a) * (lon - b) / (d - b) for (a, b), (c, d) in pairwise(ring))


def _turn(a: Spot, b: Spot, c: Spot) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cross(a: Spot, b: Spot, c: Spot, d: Spot) -> bool:
    """Whether two pieces share a point, ends included.

    >>> _cross((0, 0), (2, 2), (0, 2), (2, 0)), _cross((0, 0), (1, 1), (1, 1), (3, 1)), _cross((0, 0), (1, 0), (2, 0), (3, 0))
    (True, True, False)
    """
    if not _near(_box([a, b]), _box([c, d])):
        return False
    return _turn(a, b, c) * _turn(a, b, d) <= 0 and _turn(c, d, a) * _turn(c, d, b) <= 0
