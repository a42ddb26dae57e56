"""Boundaries 行政区域: polygons by municipality, and how far outside a point lies.

In: N03 as GeoJSON or TopoJSON, or any polygons. Out: shapely polygons of latitude, longitude with code and name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kiban.base.errors import RegionError
from kiban.region.columns import find
from kiban.region.geodesy import Plane, Point
from kiban.region.geojson import features, shape_of

if TYPE_CHECKING:  # loaded by the first function that computes with it: a server starts without numpy
    import numpy as np


@dataclass(frozen=True)
class Area:
    """A polygon (x = longitude, y = latitude) with its properties."""

    properties: Mapping[str, Any]
    shape: Any

    def code(self) -> str | None:
        """The first five digits of the 団体コード, if the properties carry one."""
        column = find(self.properties, "code")
        value = self.properties.get(column) if column else None
        return str(value)[:5] if value else None


def areas(content: Mapping[str, Any], name: str) -> list[Area]:
    """The polygons of a GeoJSON FeatureCollection or a TopoJSON topology; broken rings are mended (buffer 0)."""
    try:
        content = topology(content) if content.get("type") == "Topology" else content
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise RegionError(name, "a broken TopoJSON", "arcs, objects and transform as the TopoJSON format has them", "fetch the file again") from error
    out = []
    for where, properties, geometry in features(content, name):
        if geometry.get("type") in ("Polygon", "MultiPolygon"):
            shape = shape_of(geometry, where)
            out.append(Area(properties, shape if shape.is_valid else shape.buffer(0)))
    if not out:
        raise RegionError(name, "no polygon", "a GeoJSON or TopoJSON with polygons", "check the file")
    return out


def topology(content: Mapping[str, Any]) -> dict[str, Any]:
    """The polygons of a TopoJSON topology as a FeatureCollection.

    Source: The TopoJSON format specification: arcs are delta-encoded whole numbers when there is a transform; ~i is arc i backwards.
    """
    import numpy as np

    transform = content.get("transform")
    scale = np.array(transform["scale"] if transform else (1.0, 1.0))
    move = np.array(transform["translate"] if transform else (0.0, 0.0))
    arcs = [(np.cumsum(np.array(arc, dtype=np.float64)[:, :2], axis=0) if transform else np.array(arc)[:, :2]) * scale + move for arc in content["arcs"]]

    def ring(indices: Sequence[int]) -> list[list[float]]:
        parts = [arcs[index] if index >= 0 else arcs[~index][::-1] for index in indices]
        joined: list[list[float]] = np.concatenate([part if position == 0 else part[1:] for position, part in enumerate(parts)]).tolist()
        return joined

    out = []
    for layer in content["objects"].values():
        for geometry in layer.get("geometries", [layer]):
            kind, refs = geometry.get("type"), geometry.get("arcs")
            if kind == "Polygon":
                coordinates: Any = [ring(one) for one in refs]
            elif kind == "MultiPolygon":
                coordinates = [[ring(one) for one in polygon] for polygon in refs]
            else:
                continue
            out.append({"properties": geometry.get("properties", {}), "geometry": {"type": kind, "coordinates": coordinates}})
    return {"features": out}


def outside_m(shape: Any, point: Point) -> float:
    """Metres from a point to a polygon; 0 inside."""
    import shapely

    lat, lon = point
    if shape.contains(shapely.Point(lon, lat)):
        return 0.0
    plane = Plane(point)

    def flat(lonlat: np.ndarray) -> np.ndarray:
        return plane.to(lonlat[:, ::-1])

    return float(shapely.distance(shapely.Point(0.0, 0.0), shapely.transform(shape, flat)))


def inner_point(shape: Any) -> Point:
    """Where an area stands on the map: its centroid if that lies inside, else a point that does (PostGIS calls it point on surface)."""
    middle = shape.centroid
    if not shape.contains(middle):
        middle = shape.representative_point()
    return round(middle.y, 6), round(middle.x, 6)
