"""Streets become junctions and links without losing a metre, and points join the nearest link."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.region.geodesy import distance_m, plane_of
from kiban.region.links import gabriel
from kiban.region.streets import attach, contract, pieces

CROSS = [[(37.30, 137.10), (37.30, 137.11), (37.30, 137.12)], [(37.29, 137.11), (37.30, 137.11), (37.31, 137.11)]]
grid = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda cell: (37.3 + cell[0] / 1000, 137.1 + cell[1] / 1000))
networks = st.lists(st.lists(grid, min_size=2, max_size=6), min_size=1, max_size=6)
spots = st.lists(st.tuples(st.floats(37.298, 37.308), st.floats(137.098, 137.108)), min_size=1, max_size=6, unique=True)


def test_lines_meet_where_they_share_a_point():
    graph = contract(CROSS)
    assert len(graph.junctions) == 5
    assert sorted(link.length_m for link in graph.links) == pytest.approx([886.29, 886.29, 1109.8, 1109.8], abs=1)


def test_crossing_lines_that_share_no_point_stay_apart():
    graph = contract([[(37.30, 137.10), (37.30, 137.12)], [(37.29, 137.11), (37.31, 137.11)]])
    assert len(graph.links) == 2
    assert sorted(pieces(graph.junctions, ((link.a, link.b) for link in graph.links)).values()) == [0, 0, 1, 1]


def test_a_ring_without_a_junction_keeps_its_length():
    ring = [(37.30, 137.10), (37.30, 137.11), (37.31, 137.11), (37.30, 137.10)]
    graph = contract([ring])
    assert len(graph.junctions) == 1
    assert [(link.a, link.b) for link in graph.links] == [("j1", "j1")]
    assert graph.links[0].length_m == pytest.approx(sum(distance_m(a, b) for a, b in itertools.pairwise(ring)), abs=0.01)


@given(networks)
def test_contraction_keeps_every_stretch_once_whatever_the_order(lines):
    stretches = {frozenset(pair) for line in lines for pair in itertools.pairwise(line) if pair[0] != pair[1]}
    graph = contract(lines)
    walked = [frozenset(pair) for link in graph.links for pair in zip(link.shape, link.shape[1:], strict=False)]
    assert len(walked) == len(set(walked))
    assert {frozenset((round(lat, 7), round(lon, 7)) for lat, lon in pair) for pair in stretches} == set(walked)
    again = contract([line[::-1] for line in lines[::-1]])
    assert again == graph


@given(networks.filter(lambda lines: any(a != b for line in lines for a, b in itertools.pairwise(line))), spots)
def test_a_point_joins_the_nearest_place_on_any_link(lines, points):
    graph = contract(lines)
    named = {f"p{number}": point for number, point in enumerate(points)}
    split, joined, far = attach(graph, named, 1e6)
    assert far == {}
    plane = plane_of([*graph.junctions.values(), *points])
    for id, point in named.items():
        junction, off = joined[id]
        assert off == pytest.approx(distance_m(point, split.junctions[junction]), abs=2.1)  # within the metre that is snapped, at either end
        assert off == pytest.approx(min(_to_link(plane, point, link.shape) for link in graph.links), abs=0.2)
    assert sum(link.length_m for link in split.links) == pytest.approx(sum(link.length_m for link in graph.links), abs=0.02 * len(split.links))
    assert len(set(pieces(split.junctions, ((link.a, link.b) for link in split.links)).values())) == len(
        set(pieces(graph.junctions, ((link.a, link.b) for link in graph.links)).values())
    )


def _to_link(plane, point, shape):
    """Metres to a polyline, by hand: the nearest foot point of each of its segments."""
    x, *line = plane.to(np.array([point, *shape]))
    best = math.inf
    for a, b in itertools.pairwise(line):
        share = min(1.0, max(0.0, float(np.dot(x - a, b - a) / np.dot(b - a, b - a))))
        best = min(best, float(np.hypot(*(x - a - share * (b - a)))))
    return best


def test_points_beyond_the_limit_stay_apart_with_their_distance():
    _, joined, far = attach(contract(CROSS), {"near": (37.3001, 137.105), "far": (37.35, 137.105)}, 500)
    assert list(joined) == ["near"]
    assert far["far"] == pytest.approx(4464, abs=5)


def test_two_points_at_one_spot_share_a_junction():
    graph, joined, _ = attach(contract(CROSS), {"a": (37.3001, 137.105), "b": (37.2999, 137.105)}, 500)
    assert joined["a"][0] == joined["b"][0]
    assert len(graph.links) == 5


places = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=25, unique=True)


@given(places)
def test_candidate_links_are_the_gabriel_graph_and_connect_everything(cells):
    points = [(37.3 + row / 500 + column / 49999, 137.1 + column / 500) for row, column in cells]
    flat = plane_of(points).to(np.array(points))
    found = gabriel(points)
    for a in range(len(points)):
        for b in range(a + 1, len(points)):
            middle, radius = (flat[a] + flat[b]) / 2, math.dist(flat[a], flat[b]) / 2
            inner = min((math.dist(flat[c], middle) for c in range(len(points)) if c not in (a, b)), default=math.inf)
            if abs(inner - radius) > 1e-6 * radius:  # a point on the circle itself may go either way
                assert ((a, b) in found) == (inner > radius), (a, b)
    assert set(pieces(map(str, range(len(points))), ((str(a), str(b)) for a, b in found)).values()) == {0}
