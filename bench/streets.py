"""Street-like Steiner instances of any size, drawn from a seed: `make_streets(links, seed)`; `python bench/streets.py LINKS OUT.gr [SEED]` writes one.

Villages of crossings, streets between neighbours (Delaunay, thinned, still in one piece), many vertices of degree 2, costs in whole metres times a
factor of the kind of street. Terminals are clustered: some villages want many connections, most want none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import Delaunay

from kiban.design.steiner import Instance, write

PER_CROSSING = 1.5  # streets per crossing
BENDS = 0.44  # further vertices per street: about 1.3 links per vertex come of both
CROSSINGS = 220  # of a village, on average
SPACING = 110.0  # metres of a square around each crossing, on average
FACTORS = np.array([1.0, 1.3, 1.8, 3.0])  # along poles, usual, through a main road, across water
SHARES = np.array([0.35, 0.45, 0.15, 0.05])


def make_streets(links: int, seed: int, share: float = 0.02) -> Instance:
    """An instance of about that many links; a share of its vertices are terminals.

    >>> instance = make_streets(1000, 1)
    >>> 900 < len(instance.edges) < 1100, 1.25 < len(instance.edges) / instance.count < 1.4
    (True, True)
    """
    random = np.random.default_rng(seed)
    crossings = max(4, round(links / (PER_CROSSING * (1 + BENDS))))
    points, village = _villages(crossings, random)
    streets, metres = _streets(points, random)
    cost = np.maximum(1, np.rint(metres * random.choice(FACTORS, len(streets), p=SHARES))).astype(np.int64)
    edges, owner = _bent(streets, cost, village, random)
    count = len(owner)
    # Terminals: the vertices of the highest keys, where a village's weight is very uneven.
    weight = random.exponential(1.0, int(village.max()) + 2)[owner] ** 4
    keys = random.exponential(1.0, count) / np.maximum(weight, 1e-12)
    many = max(2, round(share * count))
    terminals = np.sort(np.argpartition(keys, many - 1)[:many])
    name = random.permutation(count)  # neighbours have no numbers next to each other
    edges[:, :2] = name[edges[:, :2]]
    return Instance(count, np.ascontiguousarray(edges[random.permutation(len(edges))]), np.sort(name[terminals]).astype(np.int64))


def _villages(crossings: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places of the crossings in metres, no two the same, and the village of each (the last: none, scattered)."""
    side = SPACING * np.sqrt(crossings)
    villages = max(1, crossings // CROSSINGS)
    size = random.lognormal(0.0, 0.8, villages)
    village = random.choice(villages, crossings, p=size / size.sum())
    centre = random.random((villages, 2)) * side
    spread = 0.28 * SPACING * np.sqrt(size / size.sum() * crossings)
    points = centre[village] + random.normal(0.0, 1.0, (crossings, 2)) * spread[village, None]
    scattered = random.random(crossings) < 0.15
    points[scattered] = random.random((int(scattered.sum()), 2)) * side
    village[scattered] = villages
    return points + random.random((crossings, 2)), village


def _streets(points: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Streets between crossings, in one piece, and their lengths: the shortest spanning tree, and of the other neighbours rather the near ones."""
    corners = Delaunay(points).simplices
    pairs = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1)
    keys = np.unique(pairs[:, 0].astype(np.int64) * len(points) + pairs[:, 1])
    pairs = np.column_stack([keys // len(points), keys % len(points)])
    length = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
    tree = minimum_spanning_tree(coo_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))).tocoo()
    spanning = np.isin(keys, np.minimum(tree.row, tree.col).astype(np.int64) * len(points) + np.maximum(tree.row, tree.col))
    more = max(0, round(PER_CROSSING * len(points)) - int(spanning.sum()))
    order = np.argsort(np.where(spanning, np.inf, length * random.exponential(1.0, len(length))), kind="stable")
    chosen = spanning.copy()
    chosen[order[:more]] = True
    return pairs[chosen], length[chosen]


def _bent(streets: np.ndarray, cost: np.ndarray, village: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Links and the village of each vertex: streets cut into pieces at bends, of whole costs that add up to that of the street."""
    pieces = np.minimum(random.geometric(1 / (1 + BENDS), len(streets)), cost)
    first = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    street = np.repeat(np.arange(len(streets)), pieces)
    place = np.arange(len(street)) - first[street]  # of a piece in its street
    bends = len(street) - len(streets)
    number = np.full(len(street), -1, np.int64)  # of the vertex at the end of a piece, if that is a bend
    inner = place < pieces[street] - 1
    number[inner] = len(village) + np.arange(bends)
    head = np.where(inner, number, streets[street, 1])
    tail = np.where(place == 0, streets[street, 0], np.roll(number, 1))
    # Cut at whole metres: even cuts, each shifted by less than half a piece.
    even = cost[street] / pieces[street]
    cut = np.where(inner, np.rint(even * (place + 1 + random.uniform(-0.4, 0.4, len(street)))), cost[street]).astype(np.int64)
    length = np.where(place == 0, cut, cut - np.roll(cut, 1))
    return np.column_stack([tail, head, np.maximum(length, 0)]), np.concatenate([village, village[streets[street[inner], 0]]])


def _told(instance: Instance) -> str:
    shape = coo_matrix((np.ones(len(instance.edges)), instance.edges[:, :2].T), shape=(instance.count, instance.count))
    degree = np.bincount(instance.edges[:, :2].ravel(), minlength=instance.count)
    return (
        f"{instance.count:,} vertices, {len(instance.edges):,} links ({len(instance.edges) / instance.count:.2f} per vertex), "
        f"{len(instance.terminals):,} terminals, {connected_components(shape, directed=False)[0]} piece(s), "
        f"{np.mean(degree == 2):.0%} of degree 2"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        print("python bench/streets.py LINKS OUT.gr [SEED]")
    else:
        made = make_streets(int(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) == 4 else 0)
        Path(sys.argv[2]).write_text(write(made), encoding="ascii")
        print(f"{sys.argv[2]}: {_told(made)}")
