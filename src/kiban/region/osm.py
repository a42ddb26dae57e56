"""OpenStreetMap extracts (.osm.pbf): roads as lines, tagged places as candidate sites.

In: a .osm.pbf. Out: lines of latitude, longitude; tagged points. What a tag means is in columns.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kiban.base.errors import RegionError
from kiban.region.columns import table
from kiban.region.geodesy import Point


@dataclass(frozen=True)
class Tagged:
    """An object that is a site or place to us: kind, name, where, its id in OpenStreetMap, population if tagged."""

    kind: str
    is_place: bool
    name: str
    point: Point
    original: str
    population: int | None = None


@dataclass
class Extract:
    """What one file holds: road lines, tagged objects, and how many ways lack a node in the extract."""

    lines: list[list[Point]] = field(default_factory=list)
    tagged: list[Tagged] = field(default_factory=list)
    cut_ways: int = 0


def read_pbf(path: Path) -> Extract:
    """Roads and tagged objects of an extract; roads cut off at its edge keep the part that has coordinates.

    Raises RegionError when pyosmium is not installed or the file is no extract.
    """
    try:
        import osmium  # an extra, and heavy
    except ImportError as error:
        raise RegionError(path.name, "an .osm.pbf", "pyosmium installed", "pip install 'kiban[geo]'") from error
    words = table()["osm"]
    roads = set(words["roads"])
    kinds = {tuple(key.split("=", 1)): (kind, is_place) for is_place, name in ((False, "sites"), (True, "places")) for key, kind in words[name].items()}
    keys = sorted({key for key, _ in kinds})
    out = Extract()
    try:
        for thing in osmium.FileProcessor(str(path)).with_locations():
            if isinstance(thing, osmium.osm.Way):
                letter, parts = "way", _parts([(node.lat, node.lon) if node.location.valid() else None for node in thing.nodes])
                out.cut_ways += sum(len(part) for part in parts) < len(thing.nodes)
                if thing.tags.get("highway") in roads and thing.tags.get("area") != "yes":
                    out.lines += [part for part in parts if len(part) > 1]
                points = [point for part in parts for point in part]
            elif isinstance(thing, osmium.osm.Node):
                letter, points = "node", [(thing.location.lat, thing.location.lon)]
            else:
                continue
            meaning = next((kinds[key, thing.tags[key]] for key in keys if key in thing.tags and (key, thing.tags[key]) in kinds), None)
            if meaning and points:
                name = thing.tags.get("name:ja") or thing.tags.get("name") or ""
                count = thing.tags.get("population") or ""
                spot = (round(sum(lat for lat, _ in points) / len(points), 7), round(sum(lon for _, lon in points) / len(points), 7))
                out.tagged.append(Tagged(*meaning, name, spot, f"{letter}/{thing.id}", int(count) if count.isdigit() else None))
    except (RuntimeError, ValueError) as error:
        raise RegionError(path.name, str(error), "an OpenStreetMap extract (.osm.pbf)", "fetch it again") from error
    return out


def _parts(points: list[Point | None]) -> list[list[Point]]:
    """The stretches of a way between nodes that the extract lacks; they are not joined across the gap."""
    out: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            out[-1].append(point)
        elif out[-1]:
            out.append([])
    return [part for part in out if part]
