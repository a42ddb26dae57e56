"""Geoqueries (ETSI GS CIM 009 v1.9.1, 4.10) and ordering by distance (4.23), on GeoJSON geometries in degrees, longitude first.

How this module reads the standard
- Topology (equals, disjoint, intersects, within, contains, overlaps) is that of the OGC Simple Features in the plane of longitude and
  latitude, as RFC 7946 draws lines: a line between two positions is straight in degrees. Heights are left out.
- `near` measures along the ellipsoid (WGS 84), in metres, between the closest points of both geometries; the distance of what touches is 0.
  maxDistance includes its bound, minDistance excludes it.
- An attribute with several instances matches if any of them does. An entity without the GeoProperty matches nothing, not even disjoint.
- A polygon that crosses itself, in a query or in an entity, is read as the areas that its rings enclose (even-odd), instead of refused: the
  standard says only that it should not be. Rings that are not closed, or coordinates that do not fit the type of the geometry, are refused.
- Nothing reaches across longitude 180: a geometry that does is given in two parts, as RFC 7946 asks. `near` does reach across.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kiban.linkage.broker.late import Late
from kiban.linkage.broker.selection import Entity, Matches, OrderTerm, Rank, Terms, collation, order_key, parse_order
from kiban.linkage.broker.values import FINITE, geometry_fault
from kiban.linkage.errors import bad_request

if TYPE_CHECKING:
    import numpy as np
    import shapely
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry
else:
    np, shapely = Late("numpy"), Late("shapely")

Item = TypeVar("Item")
Window = tuple[float, float, float, float]

RELATIONS: Final = ("near", "within", "contains", "intersects", "equals", "disjoint", "overlaps")
LOCATION: Final = "https://uri.etsi.org/ngsi-ld/location"
RADIUS: Final = 6_371_008.8  # metres, mean radius of the earth, for the haversine
_FLAT: Final = 0.006  # no distance on the ellipsoid differs more from that on the sphere, as a share of it
_SAMPLES: Final = 400  # points that a geometry is measured from at first
_PLACES: Final = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def _flat(coordinates: Any, depth: int) -> Any:
    """Coordinates without heights."""
    return coordinates[:2] if depth == 0 else [_flat(each, depth - 1) for each in coordinates]


def shape(geometry: Any) -> BaseGeometry | None:
    """A GeoJSON geometry to compute with, made valid where a polygon crosses itself; None if it is no geometry at all.

    >>> shape({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}).area  # two triangles
    2.0
    """
    if geometry_fault(geometry):
        return None
    kind = geometry["type"]
    if kind == "Point":
        return shapely.Point(geometry["coordinates"][:2])
    found: BaseGeometry = shapely.geometry.shape({"type": kind, "coordinates": _flat(geometry["coordinates"], _PLACES[kind])})
    return found if found.is_valid else shapely.make_valid(found)


def _position(value: Any) -> tuple[float, float] | None:
    """Longitude and latitude of a Point; None for anything else."""
    if type(value) is not dict or value.get("type") != "Point" or geometry_fault(value):
        return None
    x, y = value["coordinates"][:2]
    return x, y


def _rectangle(geometry: BaseGeometry) -> Window | None:
    """West, south, east, north of a polygon that is a rectangle along the degrees; None for any other geometry.

    >>> _rectangle(shapely.box(1, 2, 3, 4)), _rectangle(shapely.Polygon([(1, 2), (3, 4), (3, 2), (1, 4)]))
    ((1.0, 2.0, 3.0, 4.0), None)
    """
    if geometry.geom_type != "Polygon" or len(geometry.interiors) or len(ring := geometry.exterior.coords) != 5:
        return None
    west, south, east, north = geometry.bounds
    corners = {at[:2] for at in ring} == {(west, south), (east, south), (east, north), (west, north)}
    crossed = geometry.area <= (east - west) * (north - south) / 2  # the same corners in the order of a bow tie
    return (west, south, east, north) if corners and not crossed else None


# ------------------------------------------------------------------------------------------------------------------------------ distances


def _haversine(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Any:
    """Metres on the sphere between positions in degrees; numbers or arrays."""
    lon1, lat1, lon2, lat2 = (np.radians(each) for each in (lon1, lat1, lon2, lat2))
    h = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(np.minimum(1.0, h)))


def _sphere(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """The same for two points, without arrays."""
    a, b = math.radians(lat1), math.radians(lat2)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(min(1.0, h)))


@cache
def _geod() -> Any:
    from pyproj import Geod

    return Geod(ellps="WGS84")


def _ellipsoid(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Any:
    """Metres on the ellipsoid between positions in degrees; numbers or arrays of one size."""
    return _geod().inv(lon1, lat1, lon2, lat2)[2]


def _samples(geometry: BaseGeometry) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Positions along a geometry, and whether the step to the next one is part of it (not from one part of the geometry to another)."""
    single = shapely.get_parts(shapely.get_parts(geometry))  # twice: what make_valid left of areas may hold several, and lines and points as well
    parts = [*shapely.get_rings(single), *(part for part in single if shapely.get_dimensions(part) < 2)]
    length = sum(part.length for part in parts)
    positions, joined = [], []
    for part in parts:
        dense = shapely.get_coordinates(shapely.segmentize(part, max(length / _SAMPLES, 1e-9)) if part.length else part)
        positions.append(dense)
        joined.append(np.arange(len(dense)) < len(dense) - 1)
    return np.concatenate(positions), np.concatenate(joined)


def distance(one: BaseGeometry, other: BaseGeometry, measure: Callable[..., Any] = _ellipsoid) -> float:
    """Metres between the closest points of two geometries in degrees, 0 if they touch; the lines between positions are straight in degrees.

    >>> round(distance(shapely.Point(139.767, 35.681), shapely.Point(135.495, 34.702)))
    403908
    """
    if one.geom_type == "Point" and other.geom_type == "Point":
        return float(measure(one.x, one.y, other.x, other.y))
    if shapely.intersects(one, other):
        return 0.0
    (first, first_joined), (second, second_joined) = _samples(one), _samples(other)
    roughly = _haversine(first[:, None, 0], first[:, None, 1], second[None, :, 0], second[None, :, 1])
    i, j = np.unravel_index(np.argmin(roughly), roughly.shape)
    starts = [(first[i], second[j])]
    # The samples may miss a place where the geometries come closer between two of them; a plane true to scale about here does not.
    scale = max(math.cos(math.radians(float(first[i][1]))), 1e-6)
    flat = shapely.get_coordinates(shapely.shortest_line(*(shapely.transform(each, lambda at: at * (scale, 1.0)) for each in (one, other))))
    starts.append((flat[0] / (scale, 1.0), flat[1] / (scale, 1.0)))
    found = []
    for here, there in starts:
        # The closest point of the steps about one point to the other point, by turns.
        best = float(measure(here[0], here[1], there[0], there[1]))
        for _ in range(8):
            before = best
            best, here = _closest(first, first_joined, there, here, best, measure)
            best, there = _closest(second, second_joined, here, there, best, measure)
            if before - best < 1e-6:
                break
        found.append(best)
    return min(found)


def _closest(
    positions: NDArray[np.float64], joined: NDArray[np.bool_], to: NDArray[np.float64], point: NDArray[np.float64], best: float, measure: Callable[..., Any]
) -> tuple[float, NDArray[np.float64]]:
    """The closest point to `to` on the steps about a point, if it is closer than what is known."""
    index = int(np.argmin(((positions - point) ** 2).sum(axis=1)))
    for start in (index - 1, index):
        if start < 0 or not joined[start]:
            continue
        a, b = positions[start], positions[start + 1]
        low, high = 0.0, 1.0
        for _ in range(12):  # each round keeps a fifth of the step around the least of eleven points
            at = np.linspace(low, high, 11)
            tried = a + (b - a) * at[:, None]
            found = np.asarray(measure(tried[:, 0], tried[:, 1], np.full(11, to[0]), np.full(11, to[1])))
            k = int(np.argmin(found))
            if found[k] < best:
                best, point = float(found[k]), tried[k]
            low, high = at[max(0, k - 1)], at[min(10, k + 1)]
    return best, point


# ---------------------------------------------------------------------------------------------------------------------------------- queries


@dataclass(frozen=True)
class GeoQ:
    """A geoquery: `relation` is one of RELATIONS; for near, `most` or `least` are metres; `attr` is the IRI of the GeoProperty.

    `matches(entity)` answers for an entity, `matches_geometry(value)` for a GeoJSON geometry.
    """

    relation: str
    attr: str
    geometry: BaseGeometry
    most: float | None = None
    least: float | None = None
    matches: Matches = field(init=False, repr=False, compare=False)
    matches_geometry: Callable[[Any], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        test, attr = self._compile(), self.attr

        def matches(entity: Entity) -> bool:
            return any(test(instance.get("value")) for instance in entity.get(attr, ()))

        object.__setattr__(self, "matches_geometry", test)
        object.__setattr__(self, "matches", matches)

    def window(self) -> Window | None:
        """West, south, east, north in degrees: whatever matches has a part within. None where matches can be anywhere.

        >>> q = parse_geo({"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": "[137,37]"}, None)
        >>> [round(edge, 3) for edge in q.window()]
        [136.989, 36.991, 137.011, 37.009]
        """
        if self.relation == "disjoint" or self.least is not None:
            return None
        west, south, east, north = (float(edge) for edge in self.geometry.bounds)
        if self.most is None:
            return west, south, east, north
        angle = self.most * (1 + _FLAT) / RADIUS
        south, north = south - math.degrees(angle), north + math.degrees(angle)
        if south <= -90 or north >= 90:
            return -180.0, max(south, -90.0), 180.0, min(north, 90.0)
        # Lines of a geometry stay within its own latitudes; the circle around a point reaches farthest at the one next to a pole.
        widest = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(max(abs(self.geometry.bounds[1]), abs(self.geometry.bounds[3])))))))
        west, east = west - widest, east + widest
        return (west, south, east, north) if west >= -180 and east <= 180 else (-180.0, south, 180.0, north)

    def _compile(self) -> Callable[[Any], bool]:
        reference = self.geometry
        if self.relation == "near":
            return self._near()
        shapely.prepare(reference)
        # Each asked of the prepared reference: the target is within it if it contains the target.
        relations: dict[str, Callable[[BaseGeometry, BaseGeometry], Any]] = {
            "within": shapely.contains, "contains": shapely.within, "intersects": shapely.intersects,
            "equals": shapely.equals, "disjoint": shapely.disjoint, "overlaps": shapely.overlaps,
        }  # fmt: skip
        relation = relations[self.relation]

        def test(value: Any) -> bool:
            target = shape(value)
            return target is not None and bool(relation(reference, target))

        box = _rectangle(reference) if self.relation in ("within", "intersects") else None
        if box is None:
            return test
        west, south, east, north = box
        inner = self.relation == "within"  # what lies on the border is not within

        def quick(value: Any) -> bool:
            at = _position(value)
            if at is None:
                return test(value)
            x, y = at
            return west < x < east and south < y < north if inner else west <= x <= east and south <= y <= north

        return quick

    def _near(self) -> Callable[[Any], bool]:
        reference, most, least = self.geometry, self.most, self.least
        limit = most if most is not None else least if least is not None else 0.0
        sure, hopeless = limit * (1 - _FLAT), limit * (1 + _FLAT)
        inside, outside = most is not None, most is None
        point = (reference.x, reference.y) if reference.geom_type == "Point" else None

        def test(value: Any) -> bool:
            if point is not None and (at := _position(value)) is not None:
                # Most points are clearly near or clearly far: the exact distance costs twenty times as much.
                roughly = _sphere(*point, *at)
                if roughly < sure:
                    return inside
                if roughly > hopeless:
                    return outside
            target = shape(value)
            if target is None:
                return False
            return (distance(reference, target) <= limit) is inside

        return test


def _number(text: str, where: str) -> float:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if type(found) not in (int, float) or not 0 < found < FINITE:
        raise bad_request(f"georel: found {where}=={text[:40]}; expected a number of metres above 0")
    return float(found)


def read_geometry(kind: Any, coordinates: Any, where: str = "coordinates") -> BaseGeometry:
    """The geometry of a type and coordinates, which are JSON text or read already. BadRequestData if they do not fit.

    >>> read_geometry("Point", "[8, 40]").wkt
    'POINT (8 40)'
    """
    if isinstance(coordinates, str):
        try:
            coordinates = json.loads(coordinates)
        except (ValueError, RecursionError):
            raise bad_request(f"{where}: found {coordinates[:80]!r}; expected a JSON array of coordinates") from None
    if fault := geometry_fault({"type": kind, "coordinates": coordinates}):
        raise bad_request(f"{where}: {fault}")
    found = shape({"type": kind, "coordinates": coordinates})
    assert found is not None
    return found


def parse_geo(params: Mapping[str, Any], terms: Terms | None) -> GeoQ | None:
    """georel, geometry, coordinates (JSON text or an array) and geoproperty (default: location); None where none of the first three is given.

    Raises BadRequestData for a relation that does not exist, near without exactly one of maxDistance and minDistance (a number above 0), and
    coordinates that do not fit the geometry.

    >>> q = parse_geo({"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": "[8,40]"}, None)
    >>> q.matches_geometry({"type": "Point", "coordinates": [8.02, 40.0]}), q.matches_geometry({"type": "Point", "coordinates": [8.03, 40.0]})
    (True, False)
    """
    given = {name: params.get(name) for name in ("georel", "geometry", "coordinates")}
    if all(value is None for value in given.values()):
        if params.get("geoproperty") is not None:
            raise bad_request("geoproperty: found without georel, geometry and coordinates")
        return None
    for name, value in given.items():
        if value is None or value == "":
            raise bad_request(f"{name}: missing; a geoquery needs georel, geometry and coordinates")
    georel = given["georel"] if isinstance(given["georel"], str) else ""
    relation, *modifiers = georel.split(";")
    if relation not in RELATIONS:
        raise bad_request(f"georel: found {georel[:80]!r}; expected one of {', '.join(RELATIONS)}")
    most = least = None
    if relation == "near":
        name, equal, number = modifiers[0].partition("==") if len(modifiers) == 1 else ("", "", "")
        if not equal or name not in ("maxDistance", "minDistance"):
            raise bad_request(f"georel: found {georel[:80]!r}; expected near;maxDistance==metres or near;minDistance==metres")
        most, least = (_number(number, name), None) if name == "maxDistance" else (None, _number(number, name))
    elif modifiers:
        raise bad_request(f"georel: found {georel[:80]!r}; expected {relation} alone")
    attr = params.get("geoproperty")
    if attr is not None and (not isinstance(attr, str) or not attr):
        raise bad_request("geoproperty: expected the name of a GeoProperty")
    full = LOCATION if attr is None else terms.expand(attr) if terms is not None else attr
    return GeoQ(relation, full, read_geometry(given["geometry"], given["coordinates"]), most, least)


# --------------------------------------------------------------------------------------------------------------------------------- ordering


@dataclass(frozen=True)
class Ordering:
    """The keys to order by, the geometry that distances are measured from, and how strings compare."""

    terms: tuple[OrderTerm, ...]
    origin: BaseGeometry | None = None
    strings: Callable[[str], Any] = str

    def sorted(self, items: Iterable[Item], entity: Callable[[Item], Entity]) -> list[Item]:
        """The items in order; `entity` gives the entity of an item. Equal ones stay in the order they came in."""
        found = list(items)
        for term in reversed(self.terms):
            key = self._distance(term) if term.distance and self.origin is not None else order_key(term, self.strings)
            found.sort(key=lambda item, key=key: key(entity(item)), reverse=term.descending)  # type: ignore[misc]
        return found

    def _distance(self, term: OrderTerm) -> Callable[[Entity], Rank]:
        """Geometries by their distance on the sphere; what has none comes behind, ordered by value."""
        by_value, origin = order_key(term, self.strings), self.origin
        assert origin is not None

        def key(entity: Entity) -> Rank:
            level = [entity]
            for name in term.names:
                level = [instance for each in level for instance in each.get(name, ())]
            places = [place for each in level if (place := shape(each.get("value"))) is not None]
            if not places:
                return (0, by_value(entity)) if term.descending else (1, by_value(entity))
            metres = [distance(origin, place, _haversine) for place in places]
            return (1, max(metres)) if term.descending else (0, min(metres))

        return key


def parse_ordering(order: str | Iterable[str], terms: Terms, coordinates: Any = None, geometry: Any = None, collated: str | None = None) -> Ordering:
    """orderBy with what belongs to it.

    Parameters
    ----------
    order        orderBy: text or list (see parse_order)
    terms        the @context
    coordinates  where distances start: parameter orderFrom, or the member coordinates of OrderingParams
    geometry     its type (orderGeometry, or geometry); a Point by default
    collated     the collation tag; without one, strings compare by code point

    Raises BadRequestData, also for an order by distance without coordinates.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> towns = {"near": [8.1, 40], "far": [9, 40], "nowhere": None}
    >>> entity = lambda name: {"ex:at": [{"value": {"type": "Point", "coordinates": towns[name]}}]} if towns[name] else {}
    >>> parse_ordering("at;dist-desc", Plain(), "[8,40]").sorted(towns, entity)
    ['far', 'near', 'nowhere']
    """
    found = parse_order(order, terms)
    if geometry is not None and not isinstance(geometry, str):
        raise bad_request("geometry of the ordering: expected the type of a geometry")
    if coordinates is None and any(term.distance for term in found):
        raise bad_request("orderBy: found an order by distance; expected the coordinates to measure from (orderFrom) beside it")
    if coordinates is not None and not isinstance(coordinates, str | list):
        raise bad_request("coordinates of the ordering: expected an array")
    origin = None if coordinates is None else read_geometry(geometry or "Point", coordinates, "orderFrom")
    return Ordering(found, origin, collation(collated) if collated is not None else str)
