"""What the map of a design draws, in one answer as small as a map of that size can show.

In: the region, and the bytes of its design.geojson. Out: one JSON text: the frame of the map, the streets that were not chosen as one feature without
properties, and the rest with the properties that the map reads. The full data stay in design.geojson, for whoever opens it in a GIS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kiban.records.region import Region

DECIMALS = 5  # of a degree: a metre
READ = ("part", "id", "name", "kind", "technology", "technologies", "second", "text", "critical", "served", "length_m", "assumed")
DRAWN = ("link", "air", "site", "place")


def map_data(region: Region, geojson: bytes) -> bytes:
    """The data of the map.

    Raises
    ------
    msgspec.DecodeError  the bytes are no JSON
    """
    features = msgspec.json.decode(geojson)["features"]
    unused = [_thin(feature["geometry"]["coordinates"]) for feature in features if feature["properties"]["part"] == "candidate"]
    candidates = {"type": "Feature", "geometry": {"type": "MultiLineString", "coordinates": trails(unused)}, "properties": {"part": "candidate"}}
    shown: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "geometry": {**feature["geometry"], "coordinates": _thin(feature["geometry"]["coordinates"])},
            "properties": {key: value for key in READ if (value := feature["properties"].get(key)) not in (None, "", False, [])},
        }
        for feature in features
        if feature["properties"]["part"] in DRAWN
    ]
    points = [feature["geometry"]["coordinates"] for feature in shown if feature["geometry"]["type"] == "Point"]
    lons, lats = [point[0] for point in points], [point[1] for point in points]
    return msgspec.json.encode(
        {
            "bounds": [min(lons), min(lats), max(lons), max(lats)] if points else None,
            "drawn": {"type": "FeatureCollection", "features": [*areas(region)["features"], candidates, *shown]},
        }
    )


def trails(lines: Sequence[list[list[float]]]) -> list[list[list[float]]]:
    """Lines that meet, joined end to end: the same drawing in a fraction of the lines, for each line is work for a browser.

    >>> trails([[[0, 0], [1, 0]], [[2, 0], [1, 0]], [[5, 5], [6, 6]], [[2, 0], [3, 0]]])
    [[[0, 0], [1, 0], [2, 0], [3, 0]], [[5, 5], [6, 6]]]
    """
    meet: dict[tuple[float, ...], list[int]] = {}
    for number, line in enumerate(lines):
        for end in (line[0], line[-1]):
            meet.setdefault(tuple(end), []).append(number)
    free = [True] * len(lines)

    def on(trail: list[list[float]]) -> list[list[float]]:
        while True:
            here = meet[tuple(trail[-1])]
            while here and not free[here[-1]]:
                here.pop()
            if not here:
                return trail
            number = here.pop()
            free[number] = False
            line = lines[number]
            trail += line[1:] if line[0] == trail[-1] else line[-2::-1]

    found = []
    for number, line in enumerate(lines):
        if free[number]:
            free[number] = False
            found.append(on(on(list(line))[::-1])[::-1])
    return found


def _thin(coordinates: Any) -> Any:
    """Coordinates to the metre; a point of a line that falls on the one before it is left out.

    >>> _thin([[136.9002623, 37.2002793], [136.9002611, 37.2002788], [136.9, 37.2]])
    [[136.90026, 37.20028], [136.9, 37.2]]
    """
    if not isinstance(coordinates[0], list):
        return [round(number, DECIMALS) for number in coordinates]
    rounded = [_thin(point) for point in coordinates]
    return [point for place, point in enumerate(rounded) if place in (0, len(rounded) - 1) or point != rounded[place - 1]]


def areas(region: Region) -> dict[str, Any]:
    """Hazards as polygons and existing plant as lines (GeoJSON, WGS84 longitude and latitude)."""
    at = {junction.id: [junction.lon, junction.lat] for junction in region.junctions}
    built: Mapping[str, int | None] = {plant.id: plant.year_built for plant in region.plants}
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": [[[[lon, lat] for lat, lon in ring] for ring in polygon] for polygon in hazard.polygons]},
            "properties": {"part": "hazard", "name": hazard.name, "kind": hazard.kind},
        }
        for hazard in region.hazards
    ]
    features += [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [at[street.a], *([lon, lat] for lat, lon in street.shape), at[street.b]]},
            "properties": {"part": "plant", "name": street.plant, "year_built": built.get(street.plant)},
        }
        for street in region.streets
        if street.plant
    ]
    return {"type": "FeatureCollection", "features": features}
