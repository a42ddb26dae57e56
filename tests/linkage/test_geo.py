"""Geoqueries: relations against the plain geometry of shapely, distances against many small steps measured by pyproj."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from kiban.linkage.broker.geo import RELATIONS, distance, parse_geo, parse_ordering, shape
from kiban.linkage.errors import Problem

GEOD = Geod(ellps="WGS84")
LOCATION = "https://uri.etsi.org/ngsi-ld/location"


class Terms:
    @staticmethod
    def expand(term: str) -> str:
        return LOCATION if term == "location" else "ex:" + term

    expand_type = expand_vocab = expand


TERMS = Terms()


def asked(relation: str, kind: str, coordinates: Any, **more: str) -> Any:
    q = parse_geo({"georel": relation, "geometry": kind, "coordinates": json.dumps(coordinates), **more}, TERMS)
    assert q is not None
    return q


def place(kind: str, coordinates: Any, name: str = LOCATION) -> dict[str, Any]:
    return {"id": "urn:a", "type": ["ex:Town"], name: [{"type": "GeoProperty", "value": {"type": kind, "coordinates": coordinates}}]}


SQUARE = [[[136.0, 37.0], [137.0, 37.0], [137.0, 38.0], [136.0, 38.0], [136.0, 37.0]]]
HOLED = [SQUARE[0], [[136.4, 37.4], [136.6, 37.4], [136.6, 37.6], [136.4, 37.6], [136.4, 37.4]]]


# ------------------------------------------------------------------------------------------------------------------------ sentences


@pytest.mark.parametrize(
    ("relation", "kind", "coordinates", "target", "expected"),
    [
        ("equals", "Point", [136.9, 37.4], ("Point", [136.9, 37.4]), True),
        ("equals", "Point", [136.9, 37.4], ("Point", [136.9, 37.41]), False),
        ("equals", "Polygon", SQUARE, ("Polygon", [SQUARE[0][2:4] + SQUARE[0][:3]]), True),  # the ring begins elsewhere
        ("within", "Polygon", SQUARE, ("Point", [136.5, 37.5]), True),
        ("within", "Polygon", HOLED, ("Point", [136.5, 37.5]), False),
        ("within", "Polygon", HOLED, ("Point", [136.1, 37.5]), True),
        ("within", "Polygon", SQUARE, ("Point", [136.0, 37.5]), False),  # on the border is not within
        ("intersects", "Polygon", SQUARE, ("Point", [136.0, 37.5]), True),
        ("contains", "Point", [136.5, 37.5], ("Polygon", SQUARE), True),
        ("contains", "Polygon", SQUARE, ("Point", [136.5, 37.5]), False),
        ("disjoint", "Polygon", SQUARE, ("Point", [138.5, 37.5]), True),
        ("disjoint", "Polygon", SQUARE, ("LineString", [[135, 37.5], [138, 37.5]]), False),
        ("overlaps", "Polygon", SQUARE, ("Polygon", [[[136.5, 37.5], [138, 37.5], [138, 39], [136.5, 39], [136.5, 37.5]]]), True),
        ("overlaps", "Polygon", SQUARE, ("Point", [136.5, 37.5]), False),
        ("intersects", "MultiPoint", [[0, 0], [136.5, 37.5]], ("Polygon", SQUARE), True),
        ("within", "MultiPolygon", [SQUARE, [[[0, 0], [1, 0], [1, 1], [0, 0]]]], ("Point", [0.9, 0.5]), True),
        ("intersects", "MultiLineString", [[[0, 0], [1, 1]], [[136, 36], [137, 39]]], ("Polygon", SQUARE), True),
    ],
)
def test_a_relation_is_asked_of_the_target_towards_the_reference(relation: str, kind: str, coordinates: Any, target: tuple[str, Any], expected: bool) -> None:
    assert asked(relation, kind, coordinates).matches(place(*target)) is expected


def test_heights_are_left_out() -> None:
    assert asked("equals", "Point", [136.9, 37.4, 7]).matches(place("Point", [136.9, 37.4, 99]))


def test_near_measures_to_the_closest_point_of_both_geometries() -> None:
    along = asked("near;maxDistance==2000", "LineString", [[0, 50], [10, 50]])
    assert along.matches(place("Point", [10, 50.009]))
    assert not along.matches(place("Point", [10, 50.03]))
    # At 80° north a degree of longitude has 19 km: the far end in longitude is the near end in metres.
    pole = asked("near;maxDistance==21000", "Point", [0, 80])
    assert pole.matches(place("LineString", [[1, 80], [0, 80.5]]))
    assert not asked("near;maxDistance==15000", "Point", [0, 80]).matches(place("LineString", [[1, 80], [0, 80.5]]))


def test_min_distance_is_the_opposite_of_max_distance() -> None:
    for lon in (136.0, 136.02, 136.0225, 136.023, 137.0):
        target = place("Point", [lon, 37.0])
        assert asked("near;maxDistance==2000", "Point", [136, 37]).matches(target) is not asked("near;minDistance==2000", "Point", [136, 37]).matches(target)


def test_near_reaches_across_the_date_line() -> None:
    q = asked("near;maxDistance==50000", "Point", [179.9, 10])
    assert q.matches(place("Point", [-179.9, 10]))
    assert q.window()[0] == -180
    assert q.window()[2] == 180


def test_an_entity_without_the_property_matches_nothing_not_even_disjoint() -> None:
    for relation in RELATIONS:
        q = asked(relation if relation != "near" else "near;minDistance==1", "Point", [1, 1])
        assert not q.matches({"id": "urn:a", "type": ["ex:Town"]})
        assert not q.matches({"id": "urn:a", "type": ["ex:Town"], LOCATION: [{"type": "Property", "value": "here"}]})


def test_another_geoproperty_is_asked_for_by_name() -> None:
    q = asked("near;maxDistance==2000", "Point", [8, 40], geoproperty="seen")
    assert q.attr == "ex:seen"
    assert q.matches(place("Point", [8, 40], "ex:seen"))
    assert not q.matches(place("Point", [8, 40]))


def test_any_instance_of_the_property_may_match() -> None:
    town = place("Point", [0, 0])
    town[LOCATION].append({"type": "GeoProperty", "datasetId": "urn:d", "value": {"type": "Point", "coordinates": [8, 40]}})
    assert asked("equals", "Point", [8, 40]).matches(town)


def test_a_polygon_that_crosses_itself_is_the_area_that_it_encloses() -> None:
    bow = [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]
    assert asked("within", "Polygon", bow).matches(place("Point", [0.2, 1]))
    assert not asked("within", "Polygon", bow).matches(place("Point", [1, 0.2]))
    assert asked("contains", "Point", [1.8, 1]).matches(place("Polygon", bow))
    assert asked("equals", "Polygon", bow).matches(place("Polygon", bow))


@pytest.mark.parametrize(
    "params",
    [
        {"georel": "near"},
        {"georel": "near;maxDistance==0"},
        {"georel": "near;maxDistance==-5"},
        {"georel": "near;maxDistance==inf"},
        {"georel": "near;maxDistance==1e400"},
        {"georel": "near;maxDistance==NaN"},
        {"georel": "near;maxDistance=5"},
        {"georel": "near;maxDistance==5;minDistance==1"},
        {"georel": "near;radius==5"},
        {"georel": "touches"},
        {"georel": "within;maxDistance==5"},
        {"georel": ""},
        {"georel": 7},
        {"geometry": None},
        {"geometry": "GeometryCollection"},
        {"geometry": "point"},
        {"geometry": "Polygon"},
        {"coordinates": None},
        {"coordinates": "[8"},
        {"coordinates": "8,40"},
        {"coordinates": "[8]"},
        {"coordinates": '["8","40"]'},
        {"coordinates": "[8,140]"},
        {"coordinates": "[[8,40]]"},
        {"geometry": "Polygon", "coordinates": "[[0,0],[1,0],[1,1],[0,0]]"},
        {"geometry": "Polygon", "coordinates": "[[[0,0],[1,0],[1,1]]]"},
        {"geometry": "LineString", "coordinates": "[[0,0]]"},
        {"geoproperty": ""},
    ],
)
def test_what_is_no_geoquery_is_refused(params: dict[str, Any]) -> None:
    good = {"georel": "near;maxDistance==5", "geometry": "Point", "coordinates": "[8,40]"}
    assert parse_geo(good, TERMS) is not None
    with pytest.raises(Problem) as refused:
        parse_geo(good | params, TERMS)
    assert refused.value.kind == "BadRequestData"


def test_no_parameters_are_no_geoquery() -> None:
    assert parse_geo({"type": "Town"}, TERMS) is None
    with pytest.raises(Problem):
        parse_geo({"geoproperty": "location"}, TERMS)


def test_coordinates_may_be_read_already() -> None:
    q = parse_geo({"georel": "equals", "geometry": "Point", "coordinates": [8, 40]}, TERMS)
    assert q is not None
    assert q.matches(place("Point", [8, 40]))


# ------------------------------------------------------------------------------------------------------------------------------ oracles

grid = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(list)
points = grid.map(lambda at: ("Point", at))
lines = st.lists(grid, min_size=2, max_size=4, unique_by=tuple).map(lambda path: ("LineString", path))
boxes = st.tuples(grid, st.integers(1, 4), st.integers(1, 4)).map(
    lambda box: (
        "Polygon",
        [[box[0], [box[0][0] + box[1], box[0][1]], [box[0][0] + box[1], box[0][1] + box[2]], [box[0][0], box[0][1] + box[2]], box[0]]],
    )
)
geometries = st.one_of(points, lines, boxes)


@settings(max_examples=300)
@given(st.sampled_from([each for each in RELATIONS if each != "near"]), geometries, geometries)
def test_relations_are_those_of_the_simple_features(relation: str, reference: tuple[str, Any], target: tuple[str, Any]) -> None:
    q = asked(relation, *reference)
    plain = [shapely.geometry.shape({"type": kind, "coordinates": coordinates}) for kind, coordinates in (target, reference)]
    expected = getattr(plain[0], relation)(plain[1])
    assert q.matches(place(*target)) is expected
    if expected and (window := q.window()) is not None:
        assert shapely.box(*window).intersects(plain[0])


def finely(geometry: Any, steps: int) -> np.ndarray:
    """Positions on the border of a geometry, `steps` to each of its lines."""
    found = []
    for part in [*shapely.get_rings(geometry)] or [geometry]:
        path = shapely.get_coordinates(part)
        found += [path] + [a + (b - a) * np.linspace(0, 1, steps)[:, None] for a, b in itertools.pairwise(path)]
    return np.concatenate(found)


anywhere = st.tuples(st.floats(-179, 179), st.floats(-85, 85)).map(lambda at: [round(at[0], 3), round(at[1], 3)])


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two geometries of up to some degrees, not far from each other."""
    origin = draw(anywhere)
    size = draw(st.sampled_from([0.01, 0.3, 3.0]))

    def moved(kind: str, coordinates: Any) -> Any:
        geometry = shapely.geometry.shape({"type": kind, "coordinates": coordinates})
        return shapely.transform(geometry, lambda at: np.clip((at - 3) * size + origin, (-180, -89), (180, 89)))

    found = [moved(*draw(geometries)) for _ in range(2)]
    return found[0], found[1]


@settings(max_examples=120)
@given(drawn())
def test_the_distance_is_the_least_of_many_measured_along_the_ellipsoid(pair: tuple[Any, Any]) -> None:
    one, other = (each if each.is_valid else shapely.make_valid(each) for each in pair)
    if (
        not all(each.length or each.geom_type == "Point" for each in (one, other))
        or one.geom_type == "GeometryCollection"
        or other.geom_type == "GeometryCollection"
    ):
        return
    ours = distance(one, other)
    if one.intersects(other):
        assert ours == 0
        return
    a, b = finely(one, 60), finely(other, 60)
    ia, ib = (index.ravel() for index in np.meshgrid(np.arange(len(a)), np.arange(len(b))))
    least = float(np.min(GEOD.inv(a[ia, 0], a[ia, 1], b[ib, 0], b[ib, 1])[2]))
    widest = max(each.length for each in (one, other)) / 59 * 111_700
    assert ours <= least + 0.01
    assert ours >= least - widest


@settings(max_examples=150)
@given(anywhere, st.floats(0, 360), st.floats(1, 300_000), st.floats(0.2, 2))
def test_near_finds_what_lies_within_the_metres_in_any_direction_and_so_does_its_window(
    origin: list[float], azimuth: float, metres: float, share: float
) -> None:
    lon, lat, _ = GEOD.fwd(origin[0], origin[1], azimuth, metres * share)
    exact = float(GEOD.inv(origin[0], origin[1], lon, lat)[2])
    if abs(exact - metres) < 1e-3:
        return
    q = asked(f"near;maxDistance=={metres}", "Point", origin)
    assert q.matches(place("Point", [lon, lat])) is (exact <= metres)
    if exact <= metres:
        west, south, east, north = q.window()
        assert west <= lon <= east
        assert south <= lat <= north


# ------------------------------------------------------------------------------------------------------------------------------ ordering


def test_places_are_ordered_by_the_distance_on_the_sphere_from_any_geometry() -> None:
    towns = {
        "a": place("Point", [8.5, 40]),
        "b": place("Point", [8.1, 40]),
        "c": place("LineString", [[8.2, 41], [8.2, 40]]),
        "none": {},
        "text": {LOCATION: [{"value": "x"}]},
    }
    up = parse_ordering("location;dist-asc", TERMS, "[8,40]")
    assert up.sorted(towns, towns.__getitem__) == ["b", "c", "a", "text", "none"]
    down = parse_ordering(["location;dist-desc"], TERMS, [8, 40], "Point")
    assert down.sorted(towns, towns.__getitem__) == ["a", "c", "b", "text", "none"]
    line = parse_ordering("location;dist-asc", TERMS, "[[8.5,40],[8.5,41]]", "LineString")
    assert line.sorted(["b", "a"], towns.__getitem__) == ["a", "b"]


def test_an_order_by_distance_needs_a_place_to_measure_from() -> None:
    for coordinates, geometry in ((None, None), ("8,40", None), ([8, 40], 5), (5, None), ("[8,40]", "LineString")):
        with pytest.raises(Problem) as refused:
            parse_ordering("location;dist-asc", TERMS, coordinates, geometry)
        assert refused.value.kind == "BadRequestData"


def test_the_haversine_agrees_with_its_textbook_form() -> None:
    a, b = (math.radians(35.681), math.radians(139.767)), (math.radians(34.702), math.radians(135.495))
    angle = math.acos(math.sin(a[0]) * math.sin(b[0]) + math.cos(a[0]) * math.cos(b[0]) * math.cos(a[1] - b[1]))
    towns = {"osaka": place("Point", [135.495, 34.702]), "nearer": place("Point", [135.496, 34.702])}
    assert parse_ordering("location;dist-asc", TERMS, "[139.767,35.681]").sorted(["osaka", "nearer"], towns.__getitem__) == ["nearer", "osaka"]
    one, other = (shape({"type": "Point", "coordinates": at}) for at in ([139.767, 35.681], [135.495, 34.702]))
    assert one is not None
    assert other is not None
    assert abs(distance(one, other) - angle * 6_371_008.8) < 0.006 * distance(one, other)


def test_the_distance_to_several_areas_is_that_to_the_nearest() -> None:
    near, far = [[[[0, 0], [1, 0], [1, 1], [0, 0]]], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]
    both = shape({"type": "MultiPolygon", "coordinates": [near, far]})
    point = shape({"type": "Point", "coordinates": [8, 6]})
    assert both is not None
    assert point is not None
    assert distance(both, point) == distance(point, both) == pytest.approx(distance(shape({"type": "Polygon", "coordinates": far}), point), rel=1e-9)


@given(
    relation=st.sampled_from(["within", "intersects"]),
    corners=st.tuples(*[st.integers(-3, 3)] * 4).filter(lambda four: four[0] < four[2] and four[1] < four[3]),
    start=st.integers(0, 3),
    turned=st.booleans(),
    at=st.tuples(st.integers(-8, 8).map(lambda half: half / 2), st.integers(-8, 8).map(lambda half: half / 2)),
)
def test_a_point_in_a_rectangle_or_on_its_border_is_where_the_simple_features_say(
    relation: str, corners: tuple[int, ...], start: int, turned: bool, at: tuple[float, float]
) -> None:
    west, south, east, north = corners
    ring = [(west, south), (east, south), (east, north), (west, north)]
    ring = [*ring[start:], *ring[:start]][:: -1 if turned else 1]
    ring = [*ring, ring[0]]
    reference, point = shapely.Polygon(ring), shapely.Point(at)
    found = asked(relation, "Polygon", [ring]).matches_geometry({"type": "Point", "coordinates": list(at)})
    assert found is bool(point.within(reference) if relation == "within" else point.intersects(reference))
