"""The map that may leave the office, as GeoJSON (RFC 7946): public facilities as points, hamlets only as counts in cells of about 1 km.

In: a public dossier. Out: bytes. Nothing tells what serves a place, where a line runs or what it costs; no cell with fewer households than the limit,
and none whose households nobody has counted, is in it. How many were left out is said.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from kiban.documents.dossier import PublicDossier
from kiban.records.region import Site

# Cells of 30 seconds of latitude by 45 of longitude, counted from the equator and Greenwich: in Japan they are the third mesh of JIS X 0410, about 1 km.
NORTH, EAST = 120, 80  # cells to a degree
# Facilities and places of the public are shown as points, places where people live as counts in cells. Everything else (fields, traps, firms) is somebody's
# own and is left out.
PUBLIC = ("shelter", "school", "clinic", "office", "hall", "river", "road", "bus", "port")
LIVED_IN = ("hamlet", "household")


def public_geojson(dossier: PublicDossier) -> bytes:
    """All features in one collection with its label, date and what was left out."""
    features: list[dict[str, Any]] = []
    cells: dict[tuple[int, int], list[Site]] = {}
    for site in dossier.sites:
        if site.kind in PUBLIC:
            point = {"type": "Point", "coordinates": [round(site.lon, 5), round(site.lat, 5)]}
            features.append(_feature(point, part="facility", name=site.name, kind=site.kind))
        elif site.kind in LIVED_IN:
            cells.setdefault((math.floor(site.lat * NORTH), math.floor(site.lon * EAST)), []).append(site)
    private = sum(site.kind not in PUBLIC + LIVED_IN for site in dossier.sites)
    left_out = 0
    for (north, east), sites in sorted(cells.items()):
        counted = [site.households for site in sites if site.households is not None]
        households = sum(counted)
        if len(counted) < len(sites) or households < dossier.household_limit:
            left_out += 1
            continue
        south, top, west, right = north / NORTH, (north + 1) / NORTH, east / EAST, (east + 1) / EAST
        ring = [[west, south], [right, south], [right, top], [west, top], [west, south]]
        polygon = {"type": "Polygon", "coordinates": [[[round(lon, 7), round(lat, 7)] for lon, lat in ring]]}
        features.append(_feature(polygon, part="cell", cell=f"{north}/{east}", households=households))
    body = {
        "type": "FeatureCollection",
        "town": dossier.town,
        "label": dossier.label,
        "made_on": dossier.today.isoformat(),
        "data_day": dossier.data_day.isoformat(),
        "household_limit": dossier.household_limit,
        "cells_left_out": left_out,
        "places_left_out": private,
        "note": f"世帯は約1km四方の区画で示す。世帯数が{dossier.household_limit}未満、又は世帯数が分からない区画{left_out}件は載せない。"
        f"個人・事業者の場所{private}件、設備、経路は載せない。",
        "features": features,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=0)


def _feature(geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
