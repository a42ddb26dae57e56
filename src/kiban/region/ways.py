"""Ways between the points of a region: candidate links where streets are absent, the shortest way, and what a graph lacks.

In: points and graphs. Out: graphs, ways, Missing records.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from kiban.base.errors import RegionError
from kiban.records.region import Missing, Place, Site
from kiban.region import missing as say
from kiban.region.geodesy import Point
from kiban.region.head import Head
from kiban.region.links import gabriel
from kiban.region.streets import Graph, Link, pieces, place, shape_lengths


def lines_of(content: dict[str, Any], name: str) -> list[list[tuple[float, float]]]:
    """The lines of a GeoJSON as latitude, longitude."""
    out = []
    for feature in content.get("features", ()):
        geometry = feature.get("geometry") or {}
        lines = (
            [geometry["coordinates"]]
            if geometry.get("type") == "LineString"
            else geometry.get("coordinates", ())
            if geometry.get("type") == "MultiLineString"
            else ()
        )
        out += [[(float(point[1]), float(point[0])) for point in line] for line in lines]
    if not out:
        raise RegionError(name, "no line", "a GeoJSON with LineStrings", "check the file")
    return out


def candidate_links(points: dict[str, Point], factor: float) -> Graph:
    """Straight links between points, each longer by the detour factor; points at one place share a junction."""
    spots = sorted({place(point) for point in points.values()})
    graph = Graph({f"j{index}": spot for index, spot in enumerate(spots, 1)})
    pairs = gabriel(spots)
    lengths = shape_lengths([(spots[a], spots[b]) for a, b in pairs])
    for index, ((a, b), length) in enumerate(zip(pairs, lengths, strict=True), 1):
        graph.links.append(Link(f"c{index}", f"j{a + 1}", f"j{b + 1}", (spots[a], spots[b]), round(length * factor, 2), "candidate"))
    return graph


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
    if head.elevation and head.elevation.spacing_m > 100:
        why = f"間隔 {head.elevation.spacing_m:.0f} m: 見通し・回折の判定に使えない / too coarse for line of sight and diffraction"
        out.append(say.note(say.ELEVATION_COARSE, why, "国土地理院 基盤地図情報 数値標高モデル / 10 m elevation model"))
    return out
