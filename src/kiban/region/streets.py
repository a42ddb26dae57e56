"""Streets as a graph: lines in, junctions and links out, and sites joined to the nearest link.

In: polylines of latitude, longitude. Out: a graph whose links run from junction to junction (a point with two links is no junction,
the lengths along the way are kept), in pieces where the lines are; nothing is connected that the lines do not connect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from kiban.region.geodesy import Plane, Point, distance_m, lengths_m, plane_of

if TYPE_CHECKING:  # loaded by the first function that computes with it: a server starts without numpy
    import numpy as np

SNAP_M = 1.0  # a foot point this near to the end of a link is taken to be that junction


@dataclass(frozen=True)
class Link:
    """A link with its shape: points from junction a to junction b; metres on the ellipsoid along them, times `factor`."""

    id: str
    a: str
    b: str
    shape: tuple[Point, ...]
    length_m: float
    kind: str = "street"
    plant: str | None = None


@dataclass
class Graph:
    """Junctions by id and links in order."""

    junctions: dict[str, Point] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)


def place(point: Sequence[float]) -> Point:
    """A point rounded to 1e-7 degrees, about a centimetre, so that equal places are equal keys.

    >>> place((37.30000000001, 137.1))
    (37.3, 137.1)
    """
    return round(float(point[0]), 7), round(float(point[1]), 7)


def contract(lines: Iterable[Sequence[Sequence[float]]]) -> Graph:
    """The graph of some lines: they meet where they share a point; points with exactly two neighbours dissolve into links.

    A ring without any junction gets one at its southernmost point; a ring at one junction stays a link from it to itself.

    >>> graph = contract([[(35.0, 139.0), (35.0, 139.01), (35.0, 139.02)], [(35.0, 139.02), (35.01, 139.02)], [(35.0, 139.02), (34.99, 139.02)]])
    >>> len(graph.junctions), [len(link.shape) for link in graph.links]
    (4, [2, 3, 2])
    """
    near: dict[Point, set[Point]] = defaultdict(set)
    for line in lines:
        points = [place(point) for point in line]
        for a, b in pairwise(points):
            if a != b:
                near[a].add(b)
                near[b].add(a)

    shapes: list[list[Point]] = []
    ends = {point for point, others in near.items() if len(others) != 2}
    walked: set[tuple[Point, Point]] = set()
    for start in sorted(ends):
        shapes += [_walk(near, ends, start, step, walked) for step in sorted(near[start]) if (start, step) not in walked]
    for start in sorted(set(near) - ends):  # what is left are rings
        if all((start, step) not in walked for step in near[start]):
            shapes.append(_walk(near, ends | {start}, start, min(near[start]), walked))
            ends.add(start)

    graph = Graph({f"j{index}": point for index, point in enumerate(sorted(ends), 1)})
    name = {point: id for id, point in graph.junctions.items()}
    for index, (shape, length) in enumerate(zip(shapes, shape_lengths(shapes), strict=True), 1):
        graph.links.append(Link(f"s{index}", name[shape[0]], name[shape[-1]], tuple(shape), length))
    return graph


def _walk(near: Mapping[Point, set[Point]], ends: set[Point], start: Point, step: Point, walked: set[tuple[Point, Point]]) -> list[Point]:
    shape = [start, step]
    while shape[-1] not in ends:
        a, b = sorted(near[shape[-1]])
        shape.append(b if a == shape[-2] else a)
    for here, there in pairwise(shape):
        walked.update(((here, there), (there, here)))
    return shape


def shape_lengths(shapes: Sequence[Sequence[Point]]) -> list[float]:
    """Metres along each shape, to the centimetre."""
    import numpy as np

    if not shapes:
        return []
    a = np.array([point for shape in shapes for point in shape[:-1]], dtype=np.float64)
    b = np.array([point for shape in shapes for point in shape[1:]], dtype=np.float64)
    ends = np.cumsum([len(shape) - 1 for shape in shapes])
    total = np.concatenate([[0.0], np.cumsum(lengths_m(a, b))])
    return [round(float(total[end] - total[start]), 2) for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)]


def pieces(junctions: Iterable[str], ends: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The number of the piece that each junction belongs to, the largest piece being 0.

    >>> pieces(["a", "b", "c", "d", "e"], [("a", "b"), ("c", "d"), ("d", "e")])
    {'a': 1, 'b': 1, 'c': 0, 'd': 0, 'e': 0}
    """
    parent = {id: id for id in junctions}

    def top(id: str) -> str:
        while parent[id] != id:
            parent[id] = parent[parent[id]]
            id = parent[id]
        return id

    for a, b in ends:
        parent[top(a)] = top(b)
    count: dict[str, int] = defaultdict(int)
    for id in parent:
        count[top(id)] += 1
    order = {root: index for index, root in enumerate(sorted(count, key=lambda root: (-count[root], root)))}
    return {id: order[top(id)] for id in parent}


def attach(graph: Graph, points: Mapping[str, Point], limit_m: float) -> tuple[Graph, dict[str, tuple[str, float]], dict[str, float]]:
    """Join points to their nearest link, splitting it at the foot point unless a junction is within a metre of it.

    Nearness is measured in the local plane, the distance given is geodesic. Links keep their lengths in sum.

    Returns
    -------
    the graph with the splits; id → (junction, metres off the street); id → metres, of the points beyond the limit
    """
    import numpy as np

    if not graph.links or not points:
        return graph, {}, {}
    import shapely  # half a second to load: only where there are streets

    ids = sorted(points)
    plane = plane_of([*graph.junctions.values(), *points.values()])
    counts = [len(link.shape) for link in graph.links]
    flat = plane.to(np.array([point for link in graph.links for point in link.shape], dtype=np.float64))
    curves = shapely.linestrings(flat, indices=np.repeat(np.arange(len(counts)), counts))
    here = shapely.points(plane.to(np.array([points[id] for id in ids], dtype=np.float64)))
    asked, nearest = shapely.STRtree(curves).query_nearest(here, all_matches=True)
    best: dict[int, int] = {}
    for question, answer in zip(asked.tolist(), nearest.tolist(), strict=True):
        best[question] = min(best.get(question, answer), answer)  # of equally near links the first

    joined: dict[str, tuple[str, float]] = {}
    far: dict[str, float] = {}
    cuts: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for question, index in sorted(best.items()):
        along = float(shapely.line_locate_point(curves[index], here[question]))
        foot = shapely.line_interpolate_point(curves[index], along)
        spot = place(plane.back(np.array([[foot.x, foot.y]]))[0])
        off = round(distance_m(points[ids[question]], spot), 1)
        if off > limit_m:
            far[ids[question]] = off
        elif along <= SNAP_M or along >= curves[index].length - SNAP_M:
            link = graph.links[index]
            joined[ids[question]] = (link.a if along <= SNAP_M else link.b, off)
        else:
            cuts[index].append((along, ids[question]))
            joined[ids[question]] = ("", off)

    out = Graph(dict(graph.junctions))
    for index, link in enumerate(graph.links):
        if index in cuts:
            _split(out, link, flat[sum(counts[:index]) : sum(counts[: index + 1])], sorted(cuts[index]), plane, joined)
        else:
            out.links.append(link)
    return out, joined, far


def _split(out: Graph, link: Link, flat: np.ndarray, cuts: Sequence[tuple[float, str]], plane: Plane, joined: dict[str, tuple[str, float]]) -> None:
    """Replace a link by its parts; cuts within a metre of each other share a junction."""
    import numpy as np

    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(flat, axis=0).T))])
    whole = float(steps[-1])
    part: list[Point] = [link.shape[0]]
    start, vertex, here, number, spent = 0.0, 1, link.a, 0, 0.0

    def close(end: str, along: float) -> None:
        nonlocal start, here, number, spent
        length = round(link.length_m - spent if along == whole else link.length_m * (along - start) / whole, 2)
        number += 1
        out.links.append(replace(link, id=f"{link.id}.{number}", a=here, b=end, shape=tuple(part), length_m=length))
        start, here, spent = along, end, spent + length

    for along, id in cuts:
        if here != link.a and along - start <= SNAP_M:
            joined[id] = (here, joined[id][1])
            continue
        while steps[vertex] < along:
            part.append(link.shape[vertex])
            vertex += 1
        share = (along - steps[vertex - 1]) / (steps[vertex] - steps[vertex - 1])
        metres = flat[vertex - 1] + share * (flat[vertex] - flat[vertex - 1])
        spot = place(plane.back(metres[None, :])[0])
        junction = f"{link.id}.at{number + 1}"
        out.junctions[junction] = spot
        part.append(spot)
        close(junction, along)
        part[:] = [spot]
        joined[id] = (junction, joined[id][1])
    part.extend(link.shape[vertex:])
    close(link.b, whole)
