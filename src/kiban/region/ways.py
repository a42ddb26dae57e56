"""Ways between the points of a region: candidate links where streets are absent, the shortest way, and what a graph lacks.

In: points and graphs. Out: graphs, ways, Missing records.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kiban.records.region import Missing, Place, Site
from kiban.region import missing as say
from kiban.region.boundary import Area
from kiban.region.geodesy import Point, plane_of
from kiban.region.head import Head
from kiban.region.links import gabriel
from kiban.region.streets import Graph, Link, pieces, place, shape_lengths

if TYPE_CHECKING:  # loaded by the first function that computes with it: a server starts without numpy
    import numpy as np


def candidate_links(points: dict[str, Point], factor: float) -> Graph:
    """Straight links between points, each longer by the detour factor; points at one place share a junction."""
    spots = sorted({place(point) for point in points.values()})
    graph = Graph({f"j{index}": spot for index, spot in enumerate(spots, 1)})
    pairs = gabriel(spots)
    lengths = shape_lengths([(spots[a], spots[b]) for a, b in pairs])
    for index, ((a, b), length) in enumerate(zip(pairs, lengths, strict=True), 1):
        graph.links.append(Link(f"c{index}", f"j{a + 1}", f"j{b + 1}", (spots[a], spots[b]), round(length * factor, 2), "candidate"))
    return graph


def without(graph: Graph, points: Mapping[str, Point], pairs: Sequence[tuple[str, str]]) -> Graph:
    """The graph without the links between some pairs of points (`no_links` of region.yaml)."""
    junction = {spot: id for id, spot in graph.junctions.items()}
    barred = {frozenset(junction[place(points[id])] for id in pair) for pair in pairs}
    return Graph(graph.junctions, [link for link in graph.links if frozenset((link.a, link.b)) not in barred])


def inland(graph: Graph, polygons: Sequence[Area], points: Mapping[str, Point], limit_m: float) -> tuple[Graph, list[Missing]]:
    """Candidate links that run farther than a limit outside the region (over the sea, or elsewhere) are left out, the longest first.

    One that alone connects its ends stays; between two islands or parts of the region it is then a link of kind "sea".
    """
    import numpy as np

    if not polygons or not graph.links:
        return graph, []
    import shapely

    plane = plane_of(list(graph.junctions.values()))

    def flat(lonlat: np.ndarray) -> np.ndarray:
        return plane.to(lonlat[:, ::-1])

    land = shapely.union_all([shapely.transform(polygon.shape, flat) for polygon in polygons])
    wide = land.buffer(limit_m)
    parts = shapely.STRtree(list(getattr(land, "geoms", [land])))
    spots = {id: shapely.Point(*plane.to(np.array([spot]))[0]) for id, spot in graph.junctions.items()}
    outside = [link for link in graph.links if not wide.contains(shapely.LineString([spots[link.a], spots[link.b]]))]
    kept = {link.id: link for link in graph.links}
    held: list[Link] = []
    for link in sorted(outside, key=lambda one: (-one.length_m, one.id)):
        del kept[link.id]
        piece = pieces(graph.junctions, ((one.a, one.b) for one in kept.values()))
        if piece[link.a] != piece[link.b]:
            apart = parts.nearest(spots[link.a]) != parts.nearest(spots[link.b])
            kept[link.id] = replace(link, kind="sea" if apart else link.kind)
            held.append(kept[link.id])
    if not outside:
        return graph, []
    named = {id: next(key for key in sorted(points) if place(points[key]) == spot) for id, spot in graph.junctions.items()}
    gone = len(outside) - len(held)
    why = f"{limit_m:g} m を超えて区域外に出る {gone} 本を外し、ほかに道のない {len(held)} 本を残した"
    why += f" / {gone} left out, {len(held)} kept where nothing else connects"
    examples = [f"{named[link.a]} – {named[link.b]} {link.length_m:.0f} m ({link.kind})" for link in held]
    ask = "道路台帳の所管課 / road register of the town"
    rest = Graph(graph.junctions, [kept[link.id] for link in graph.links if link.id in kept])
    return rest, [say.note(say.LINKS_OUTSIDE, why, ask, examples, len(outside))]


def shortest(graph: Graph, start: str, end: str) -> list[int] | None:
    """Indices of the links of the shortest way between two junctions, or None when there is none."""
    near: dict[str, list[tuple[str, float, int]]] = defaultdict(list)
    for index, link in enumerate(graph.links):
        near[link.a].append((link.b, link.length_m, index))
        near[link.b].append((link.a, link.length_m, index))
    came: dict[str, tuple[str, int]] = {}
    best = {start: 0.0}
    queue = [(0.0, start)]
    while queue:
        far, here = heapq.heappop(queue)
        if here == end:
            way = []
            while here != start:
                here, index = came[here]
                way.append(index)
            return way
        if far > best[here]:
            continue
        for there, length, index in near[here]:
            if far + length < best.get(there, float("inf")):
                best[there] = far + length
                came[there] = (here, index)
                heapq.heappush(queue, (far + length, there))
    return None


def computed(
    sites: Sequence[Site],
    places: Sequence[Place],
    graph: Graph,
    joined: dict[str, tuple[str, float]],
    far: dict[str, float],
    candidates: bool,
    factor: float | None,
    head: Head,
) -> list[Missing]:
    """What reading finds missing by itself: streets, detour factor, far points, pieces, exchanges, fine elevation."""
    rows: list[Site | Place] = [*sites, *places]
    name = {row.id: row.name for row in rows}
    out = []
    if candidates:
        why = f"地点を結ぶ直線を候補ルートとした。長さは直線の {factor:g} 倍" if factor else "地点を結ぶ直線を候補ルートとした"
        out.append(say.note(say.NO_STREETS, why + " / links are straight lines between the points", "道路台帳の所管課、国土地理院 / road register of the town"))
        if factor is None:
            out.append(say.note(say.NO_DETOUR, "長さは直線のままで、下限にすぎない / lengths are straight lines: a lower bound", "rule detour-factor"))
    if far:
        text = [f"{name[id]} {off:.0f} m" for id, off in sorted(far.items(), key=lambda item: (-item[1], item[0]))]
        why = f"最寄りの街路から {head.attach_limit_m:g} m を超える。線は引けない / farther than the limit, no line can reach them"
        out.append(say.note(say.TOO_FAR, why, "道路台帳の所管課 / road register", text))
    piece = pieces(graph.junctions, ((link.a, link.b) for link in graph.links))
    count = len(set(piece.values()))
    if count > 1:
        why = f"{count} 個。つなぎ合わせていない / {count} pieces, none joined silently"
        out.append(say.note(say.PIECES, why, "道路台帳の所管課 / road register", count=count))
    fed = {piece[joined[spot.id][0]] for spot in places if spot.kind == "exchange" and spot.id in joined}
    stranded = [name[site.id] for site in sites if site.id in joined and piece[joined[site.id][0]] not in fed]
    if stranded:
        ask = "通信事業者(収容局の位置)、道路台帳の所管課 / carrier (place of the exchange), road register"
        out.append(say.note(say.NO_EXCHANGE, "有線の起点がない / no line can start there", ask, stranded))
    from kiban.records.terrain import COARSEST_M

    if head.elevation and head.elevation.spacing_m > COARSEST_M:
        why = f"間隔 {head.elevation.spacing_m:.0f} m: 見通し・回折の判定に使えない / too coarse for line of sight and diffraction"
        out.append(say.note(say.ELEVATION_COARSE, why, "国土地理院 基盤地図情報 数値標高モデル / 10 m elevation model"))
    return out
