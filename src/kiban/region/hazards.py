"""Areas that may be lost at once 災害区域: hazards/<id>.geojson of a region folder, as published, and what region.yaml says of them.

In: GeoJSON polygons of a file that nobody has vetted. Out: Hazard records, and back. A file is read only up to a size, a broken feature is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError, RecordError, RegionError
from kiban.records.region import Evidence, Hazard, HazardKind, Ring
from kiban.region.columns import check_in_japan
from kiban.region.detect import load_json
from kiban.region.geojson import features, shape_of

if TYPE_CHECKING:
    from kiban.region.head import Head

FOLDER = "hazards"
MOST_MB, MOST_POINTS, MOST_FILES = 32, 500_000, 50  # the slides of the Noto earthquake of 2024 are 1 MB and 40,000 points
DIGITS = 7  # of a degree: a centimetre


def hazards(folder: Path, head: Head, problems: list[KibanError]) -> tuple[Hazard, ...]:
    """The hazards of a region folder, by id; what is wrong goes to `problems`, and nothing is drawn from a file with a mistake.

    A file without an entry in region.yaml has no source and is refused, an entry without a file too.
    """
    there = {path.stem: path for path in sorted((folder / FOLDER).glob("*.geojson"))}
    listed = ", ".join(sorted(head.hazards)) or "none given"
    problems += [
        RegionError(f"{FOLDER}/{id}.geojson", "no entry in region.yaml", f"one of {listed}", f"add {id}: {{name, kind, source}} under hazards:")
        for id in there
        if id not in head.hazards
    ]
    problems += [
        RegionError("region.yaml", f"hazards: {id!r}", f"a file {FOLDER}/{id}.geojson", "add the file, or delete the entry")
        for id in head.hazards
        if id not in there
    ]
    if len(there) > MOST_FILES:
        problems.append(RegionError(FOLDER, f"{len(there)} files", f"at most {MOST_FILES}", "join those of one event into one file"))
        return ()
    found = []
    for id, entry in sorted(head.hazards.items()):
        if id in there:
            evidence = Evidence(source=entry.source, original=entry.original, confidence=entry.confidence)
            try:
                found.append(hazard_of(there[id], id, entry.name, entry.kind, evidence, head.lg_code))
            except KibanError as error:
                problems.append(error)
    return tuple(found)


def hazard_of(path: Path, id: str, name: str, kind: HazardKind, evidence: Evidence, lg_code: str | None = None) -> Hazard:
    """A GeoJSON file of polygons as one hazard.

    Raises
    ------
    RegionError  no such file, too large, no polygon, a broken one, or one that lies where it cannot
    """
    where = f"{FOLDER}/{path.name}" if path.parent.name == FOLDER else path.name
    if path.is_file() and path.stat().st_size > MOST_MB * 10**6:
        raise RegionError(where, f"{path.stat().st_size / 10**6:.0f} MB", f"at most {MOST_MB} MB", "cut it to the region, or simplify it")
    polygons: list[tuple[Ring, ...]] = []
    count = 0
    for at, _, geometry in features(load_json(path), where):
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            continue
        shape = shape_of(geometry, at)
        west, south, east, north = shape.bounds
        for lat, lon in ((south, west), (north, east)):
            try:
                check_in_japan(lat, lon, lg_code)
            except RegionError as error:
                raise RegionError(at, f"an area at lat {lat:g}, lon {lon:g}", error.fits, error.step) from error
            if abs(lat) > 90 or abs(lon) > 180:
                raise RegionError(at, f"an area at lat {lat:g}, lon {lon:g}", "degrees on WGS84 / JGD2011", "exchange latitude and longitude")
        for part in getattr(shape, "geoms", [shape]):
            rings = tuple(_ring(ring.coords) for ring in (part.exterior, *part.interiors))
            count += sum(map(len, rings))
            polygons.append(rings)
        if count > MOST_POINTS:
            raise RegionError(where, f"more than {MOST_POINTS:,} points", "fewer", "cut it to the region, or simplify it")
    if not polygons:
        raise RegionError(where, "no polygon", "a GeoJSON with polygons", "check the file")
    try:
        return Hazard(id=id, name=name, kind=kind, polygons=tuple(polygons), evidence=evidence)
    except RecordError as error:
        raise RegionError(where, error.found, error.fits, error.step) from error


def _ring(points: Iterable[tuple[float, ...]]) -> Ring:
    return tuple((round(point[1], DIGITS), round(point[0], DIGITS)) for point in points)


def geojson(hazard: Hazard) -> str:
    """A hazard as the text of a GeoJSON file, one feature per polygon.

    >>> ring = ((37.0, 137.0), (37.0, 137.1), (37.1, 137.1), (37.0, 137.0))
    >>> slide = Hazard(id="slide", name="崩れた所", kind="slide", polygons=((ring,),), evidence=Evidence(source="survey"))
    >>> json.loads(geojson(slide))["features"][0]["geometry"]["coordinates"][0][1]
    [137.1, 37.0]
    """
    made: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": [[[lon, lat] for lat, lon in ring] for ring in polygon]},
        }
        for polygon in hazard.polygons
    ]
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in made)
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'
