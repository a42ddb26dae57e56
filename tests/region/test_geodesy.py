"""Distances agree with published values and the local plane with the ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.region.geodesy import Plane, distance_m, lengths_m


@pytest.mark.parametrize(
    ("a", "b", "metres", "within", "origin"),
    [
        ((0.0, 0.0), (0.0, 1.0), 111319.4908, 1e-3, "GRS80: a·π/180"),
        ((0.0, 0.0), (90.0, 0.0), 10001965.7293, 1e-3, "GRS80 meridian quadrant, Moritz (2000)"),
        ((36.10377477, 140.08785504), (35.65502847, 139.74475044), 58643.804, 1e-2, "国土地理院 測量計算サイト, example of distance and azimuth"),
    ],
)
def test_distances_agree_with_published_values(a, b, metres, within, origin):
    assert distance_m(a, b) == pytest.approx(metres, abs=within), origin


points = st.tuples(st.floats(24, 45), st.floats(123, 145))


@given(points, st.floats(0, 50_000), st.floats(0, 2 * math.pi))
def test_a_plane_keeps_distances_from_its_centre_and_comes_back(centre, radius, angle):
    plane = Plane(centre)
    metres = np.array([[radius * math.sin(angle), radius * math.cos(angle)]])
    there = plane.back(metres)
    assert distance_m(centre, tuple(there[0])) == pytest.approx(radius, abs=0.01)
    assert plane.to(there) == pytest.approx(metres, abs=0.01)


@given(points, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_within_fifty_kilometres_the_plane_is_true_to_a_hundred_thousandth(centre, north, east, up, right):
    a, b = (centre[0] + north, centre[1] + east), (centre[0] + up, centre[1] + right)
    flat = Plane(centre).to(np.array([a, b]))
    assert math.dist(*flat) == pytest.approx(distance_m(a, b), rel=3e-5, abs=0.01)


def test_many_lengths_at_once_are_those_one_by_one():
    a, b = np.array([[37.3, 137.1], [42.5, 1.5]]), np.array([[37.4, 137.2], [42.6, 1.4]])
    assert lengths_m(a, b).tolist() == [distance_m(tuple(x), tuple(y)) for x, y in zip(a, b, strict=True)]
