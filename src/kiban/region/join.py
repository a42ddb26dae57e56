"""Neighbouring regions put together into one, so that towns can be designed jointly.

In: regions. Out: one Region whose ids carry the town ("noto.shelter-3"), joined where their streets share a point, and by candidate links where
one of two neighbours has no streets. Nothing is connected silently: every link across a border is counted in `missing`, and so are towns that
nothing connects; what they then share is what is bought once for a whole system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from kiban.base.errors import RegionError
from kiban.records.region import Evidence, Junction, Missing, Place, Plant, Region, Site, Street
from kiban.region.geodesy import distance_m
from kiban.region.links import gabriel
from kiban.region.streets import pieces, place

ROAD_REGISTERS = "双方の道路台帳の所管課 / road registers of both towns"
BORDER = "町境をまたぐ候補ルート / candidate links across a border"
APART = "町どうしをつなぐ街路がない / no street connects the towns"
SEPARATOR = "."

Row = TypeVar("Row", Site, Place, Plant)


def join(regions: Sequence[Region], id: str | None = None) -> Region:
    """Put regions together.

    Junctions of two towns at one point (to 1e-7 degrees) are one. Between two towns of which one or both have no streets, the links of the Gabriel
    graph over all points are added, straight lines times the greater detour factor, none longer than the longest candidate link inside a town: how
    far neighbours lie apart there is how far a border is bridged.

    Raises
    ------
    RegionError  the same region twice, or none
    """
    ids = [region.id for region in regions]
    if not regions or len(set(ids)) < len(ids):
        raise RegionError("regions", ", ".join(ids) or "none", "one or more, each once", "name neighbouring regions")
    spots: dict[tuple[float, float], str] = {}
    named: dict[tuple[str, str], str] = {}
    for region in regions:
        for junction in region.junctions:
            point = place((junction.lat, junction.lon))
            named[region.id, junction.id] = spots.setdefault(point, f"{region.id}{SEPARATOR}{junction.id}")
    streets = [
        replace(
            street,
            id=f"{region.id}{SEPARATOR}{street.id}",
            a=named[region.id, street.a],
            b=named[region.id, street.b],
            plant=street.plant and f"{region.id}{SEPARATOR}{street.plant}",
        )
        for region in regions
        for street in region.streets
    ]
    attach = {f"{region.id}{SEPARATOR}{id}": (named[region.id, at], off) for region in regions for id, (at, off) in region.attach.items()}
    factors = {region.detour for region in regions if region.links_are_candidates}
    across = _across(regions, attach, max((factor or 1.0 for factor in factors), default=1.0))
    town = {region.id: region for region in regions}
    pieces_of = pieces(spots.values(), ((street.a, street.b) for street in [*streets, *across]))
    notes = [note for region in regions for note in region.missing]
    if across:
        names = tuple(f"{link.a} – {link.b} {link.length_m:.0f} m" for link in across[:5])
        why = "直線に迂回率を掛けた候補で、道があるかは確かめていない / straight lines times the detour factor; no road was looked up"
        notes.append(Missing(what=BORDER, why=why, ask=ROAD_REGISTERS, count=len(across), examples=names))
    apart = sorted(region.id for region in regions if len(regions) > 1 and not _touches(region, named, pieces_of, regions))
    if apart:
        why = "この町とは線路を共用できず、共用できるのは機器や運用の仕組みだけ / no line can be shared with them, only what is bought once for all"
        notes.append(Missing(what=APART, why=why, ask=ROAD_REGISTERS, count=len(apart), examples=tuple(town[id].name for id in apart)))
    same = next(iter(factors)) if len(factors) == 1 else None
    origins = {region.detour_source for region in regions if region.links_are_candidates}
    return Region(
        id=id or "-".join(ids),
        name="＋".join(region.name for region in regions),
        lg_code=regions[0].lg_code if len(regions) == 1 else None,
        sources={_source(region, key): source for region in regions for key, source in region.sources.items()},
        sites=tuple(_moved(region, row) for region in regions for row in region.sites),
        places=tuple(_moved(region, row) for region in regions for row in region.places),
        junctions=tuple(Junction(id=name, lat=point[0], lon=point[1]) for point, name in spots.items()),
        streets=(*(street for street in streets if street.a != street.b), *across),
        attach=dict(sorted(attach.items())),
        plants=tuple(_moved(region, row) for region in regions for row in region.plants),
        missing=tuple(notes),
        label=" / ".join(dict.fromkeys(region.label for region in regions if region.label)) or None,
        links_are_candidates=any(region.links_are_candidates for region in regions),
        detour=same,
        detour_source=next(iter(origins)) if same is not None and len(origins) == 1 else None,
    )


def town_of(id: str, regions: Sequence[str]) -> str:
    """The town of a row of a joined region.

    >>> town_of("noto.shelter-3", ["noto", "suzu"])
    'noto'
    """
    return next(region for region in regions if id.startswith(region + SEPARATOR))


def _source(region: Region, key: str) -> str:
    return f"{region.id}{SEPARATOR}{key}"


def _moved(region: Region, row: Row) -> Row:
    """A row under its town's name, its evidence too."""
    evidence: Evidence = row.evidence if row.evidence.source is None else replace(row.evidence, source=_source(region, row.evidence.source))
    return replace(row, id=f"{region.id}{SEPARATOR}{row.id}", evidence=evidence)


def _across(regions: Sequence[Region], attach: dict[str, tuple[str, float]], factor: float) -> list[Street]:
    """Candidate links between points of two towns of which one or both have no streets."""
    longest = max((street.length_m for region in regions for street in region.streets if street.kind == "candidate"), default=0.0)
    rows: list[tuple[tuple[float, float], str, Region]] = []
    seen: set[tuple[float, float]] = set()
    for region in regions:
        located: tuple[Site | Place, ...] = (*region.sites, *region.places)
        for row in located:
            key, point = f"{region.id}{SEPARATOR}{row.id}", place((row.lat, row.lon))
            if key in attach and point not in seen:
                seen.add(point)
                rows.append((point, key, region))
    rows.sort(key=lambda row: (row[0], row[1]))
    found: list[Street] = []
    for a, b in gabriel([point for point, _, _ in rows]):
        (start, one, first), (end, other, second) = rows[a], rows[b]
        length = round(distance_m(start, end) * factor, 2)
        if first.id != second.id and (first.links_are_candidates or second.links_are_candidates) and length <= longest and attach[one][0] != attach[other][0]:
            found.append(Street(id=f"border{len(found) + 1}", a=attach[one][0], b=attach[other][0], length_m=length, kind="candidate"))
    return found


def _touches(region: Region, named: dict[tuple[str, str], str], pieces_of: dict[str, int], regions: Sequence[Region]) -> bool:
    """Whether streets or links lead from a town to any other."""
    mine = {pieces_of[named[region.id, junction.id]] for junction in region.junctions}
    others = {pieces_of[named[other.id, junction.id]] for other in regions if other.id != region.id for junction in other.junctions}
    return bool(mine & others)
