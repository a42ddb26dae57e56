"""A design as GeoJSON (RFC 7946): sites, places, chosen links, air links, and the candidate links in grey.

In: region, problem, design. Out: bytes. Coordinates are WGS84 longitude, latitude with seven decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kiban.records.design import Design, Problem
from kiban.records.region import Place, Region, Site


def design_geojson(region: Region, problem: Problem, design: Design, technology_name: dict[str, str]) -> bytes:
    """All features in one collection; `part` tells what a feature is, `technology` which technology it shows.

    technology_name: id → name in the language of the popups.
    """
    rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
    places = {row.id: (row.lon, row.lat) for row in rows}
    junctions = {junction.id: (junction.lon, junction.lat) for junction in region.junctions}
    streets = {street.id: street for street in region.streets}

    def spot(index: int) -> tuple[float, float] | None:
        node = problem.nodes[index]
        return junctions.get(node.ref) if node.kind == "junction" else places.get(node.ref)

    def line(a: tuple[float, float], b: tuple[float, float], between: Sequence[tuple[float, float]] = (), **properties: Any) -> dict[str, Any]:
        points = [[round(lon, 7), round(lat, 7)] for lon, lat in (a, *((lon, lat) for lat, lon in between), b)]
        return {"type": "Feature", "geometry": {"type": "LineString", "coordinates": points}, "properties": properties}

    features: list[dict[str, Any]] = []
    chosen = set(design.arcs)
    built = {problem.arcs[index].ref for index in chosen if problem.arcs[index].kind in ("line", "plant")}
    for street in streets.values():
        if street.id not in built:
            features.append(line(junctions[street.a], junctions[street.b], street.shape, part="candidate", id=street.id, kind=street.kind))
    for index in sorted(chosen):
        arc = problem.arcs[index]
        a, b = spot(arc.tail), spot(arc.head)
        if arc.kind in ("line", "plant"):
            street = streets[arc.ref]
            ends = junctions[street.a], junctions[street.b]
            features.append(line(*ends, street.shape, part="link", kind=arc.kind, technology=arc.technology, id=arc.ref, length_m=round(arc.length_m)))
        elif arc.kind == "drop":
            if a and b and a != b:
                features.append(line(a, b, part="link", kind=arc.kind, technology=arc.technology, id=arc.ref, length_m=round(arc.length_m)))
        elif arc.kind in ("hop", "link") and a and b:
            features.append(line(a, b, part="air", kind=arc.kind, technology=arc.technology, id=arc.ref))
    results = {result.site: result for result in design.sites}
    wanted = {demand.site for demand in problem.demands} | {site for site, _, _, _ in problem.no_way}
    unserved = {site for site, _ in design.unserved}
    for site in region.sites:
        if site.id not in wanted:
            continue
        technologies = results[site.id].technologies if site.id in results else ()
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [round(site.lon, 7), round(site.lat, 7)]},
                "properties": {
                    "part": "site",
                    "id": site.id,
                    "name": site.name,
                    "kind": site.kind,
                    "technology": technologies[0] if technologies else "",
                    "technologies": list(technologies),
                    "second": technologies[1] if len(technologies) > 1 else "",
                    "text": "＋".join(technology_name.get(id, id) for id in technologies),
                    "critical": site.critical,
                    "served": site.id not in unserved,
                    "assumed": site.evidence.assumed,
                },
            }
        )
    used = {problem.nodes[problem.arcs[index].head].ref for index in chosen} | {problem.nodes[problem.arcs[index].tail].ref for index in chosen}
    attached = {region.attach[place.id][0]: place.id for place in region.places if place.id in region.attach}
    used |= {attached[ref] for ref in used if ref in attached}
    for place in region.places:
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [round(place.lon, 7), round(place.lat, 7)]},
                "properties": {
                    "part": "place",
                    "id": place.id,
                    "name": place.name,
                    "kind": place.kind,
                    "used": place.id in used,
                    "assumed": place.evidence.assumed,
                },
            }
        )
    return msgspec.json.format(msgspec.json.encode({"type": "FeatureCollection", "label": region.label, "features": features}), indent=0)
