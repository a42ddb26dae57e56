"""Features of a GeoJSON file, with a broken one named by its number.

In: parsed JSON. Out: properties and shapely geometries (x = longitude, y = latitude).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kiban.base.errors import RegionError
from kiban.region.columns import check_in_japan
from kiban.region.geodesy import Point


def features(content: Mapping[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Where ("file#number"), properties and geometry of each feature; both are {} where the file has null.

    Raises RegionError when the file has no list of features or one of them is no feature.
    """
    listed = content.get("features")
    if not isinstance(listed, list):
        raise RegionError(name, "no list of features", "a GeoJSON FeatureCollection", "check the file")
    for number, feature in enumerate(listed, 1):
        where = f"{name}#{number}"
        parts = [feature.get(key) or {} for key in ("properties", "geometry")] if isinstance(feature, dict) else [None]
        if not all(isinstance(part, dict) for part in parts):
            raise RegionError(where, "something that is no feature", "an object with properties and geometry", "mend or delete it")
        yield where, *parts


def shape_of(geometry: Mapping[str, Any], where: str) -> Any:
    """A shapely geometry. Raises RegionError when its coordinates are not as GeoJSON has them."""
    import shapely  # half a second to load: only where there are shapes

    try:
        shape = shapely.geometry.shape(geometry)
        finite = not shape.is_empty and all(abs(number) <= 360 for number in shape.bounds)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, shapely.errors.ShapelyError) as error:
        raise RegionError(where, f"a broken {geometry.get('type', 'geometry')}", "coordinates as in RFC 7946", "mend or delete it") from error
    if not finite:
        raise RegionError(
            where, f"a {shape.geom_type} without a place on Earth", "longitude, latitude in degrees", "convert the file to WGS84 / JGD2011 degrees"
        )
    return shape


def lines_of(content: Mapping[str, Any], name: str, lg_code: str | None) -> list[list[Point]]:
    """The lines of a GeoJSON as latitude, longitude.

    Raises RegionError when there is no line, or one lies where it cannot (swapped latitude and longitude, metres for degrees).
    """
    out: list[list[Point]] = []
    for where, _, geometry in features(content, name):
        if geometry.get("type") not in ("LineString", "MultiLineString"):
            continue
        shape = shape_of(geometry, where)
        for line in getattr(shape, "geoms", [shape]):
            points: Sequence[Point] = [(point[1], point[0]) for point in line.coords]
            for lat, lon in points:
                try:
                    check_in_japan(lat, lon, lg_code)
                except RegionError as error:
                    raise RegionError(where, f"a line at lat {error.found.replace(', ', ', lon ')}", error.fits, error.step) from error
                if abs(lat) > 90:
                    raise RegionError(where, f"a line at lat {lat:g}, lon {lon:g}", "latitude from -90 to 90", "exchange latitude and longitude")
            out.append(list(points))
    if not out:
        raise RegionError(name, "no line", "a GeoJSON with LineStrings", "check the file")
    return out
