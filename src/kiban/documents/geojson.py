"""A design as GeoJSON (RFC 7946): sites, places, chosen links, air links, and the candidate links in grey.

In: region, problem, design. Out: bytes. Coordinates are WGS84 longitude, latitude with seven decimals. It names single households and the ways of
lines, and stays in the office; the map that may leave it is documents.public_geojson.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kiban.documents.features import DECIMALS, Feature, Layer, draw
from kiban.records.design import Design, Problem
from kiban.records.region import Region

# What a feature is on the map page; spurs to exchanges and masts are part of the data and not drawn there.
PARTS = {"sites": "site", "lines": "link", "facilities": "place", "hops": "air"}
DRAWN: tuple[Layer, ...] = ("lines", "hops", "sites", "facilities")  # points lie on top
SPURS = ("feed", "exchange")


def design_geojson(region: Region, problem: Problem, design: Design, technology_name: dict[str, str], status: str | None = None) -> bytes:
    """All features in one collection; `part` tells what a feature is, `technology` which technology it shows.

    Parameters
    ----------
    technology_name  id → name in the language of the popups
    status           of the plan, where that says more than the design's own ("rejected" by the independent check)
    """
    drawing = draw(region, problem, design, technology_name)
    at = {junction.id: [round(junction.lon, DECIMALS), round(junction.lat, DECIMALS)] for junction in region.junctions}
    built = {problem.arcs[index].ref for index in design.arcs if problem.arcs[index].kind in ("line", "plant")}
    features = [
        {
            "type": "Feature",
            "id": f"candidates/{street.id}",
            "geometry": {
                "type": "LineString",
                "coordinates": [at[street.a], *([round(lon, DECIMALS), round(lat, DECIMALS)] for lat, lon in street.shape), at[street.b]],
            },
            "properties": {"part": "candidate", "id": street.id, "kind": street.kind},
        }
        for street in region.streets
        if street.id not in built
    ]
    for layer in DRAWN:
        features += [_written(feature) for feature in drawing.of(layer)]
    body = {
        "type": "FeatureCollection",
        "label": region.label,
        "status": status or design.status,
        "npv_yen": design.cost if (status or design.status) in ("proved", "proved_as_priced", "bounded") else None,
        "system_npv_yen": drawing.system_npv_yen,
        "features": features,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=0)


def _written(feature: Feature) -> dict[str, Any]:
    point = feature.layer in ("sites", "facilities")
    coordinates: Any = feature.points[0] if point else feature.points
    part = "spur" if feature.layer == "lines" and feature.properties["kind"] in SPURS else PARTS[feature.layer]
    geometry = {"type": "Point" if point else "LineString", "coordinates": coordinates}
    return {"type": "Feature", "id": feature.id, "geometry": geometry, "properties": {"part": part, **feature.properties}}
