"""Candidate links where no streets are given: straight lines between the points of a region.

In: points. Out: pairs to join. Two points are joined when no third lies in the circle over their distance (Gabriel graph); such links
always connect all points, since the shortest tree between the points is among them. Lengths and the detour factor are put on elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kiban.region.geodesy import Point, plane_of

if TYPE_CHECKING:  # loaded by the first function that computes with it: a server starts without numpy
    import numpy as np
    from numpy.typing import NDArray


def gabriel(points: Sequence[Point]) -> list[tuple[int, int]]:
    """Pairs of indices of the Gabriel graph of distinct points, in order.

    Source: Gabriel and Sokal (1969), A new statistical approach to geographic variation analysis; it is a part of the Delaunay triangulation.

    >>> gabriel([(35.0, 139.0), (35.0, 139.01), (35.0, 139.02)])
    [(0, 1), (1, 2)]
    """
    import numpy as np

    if len(points) < 2:
        return []
    flat = plane_of(points).to(np.asarray(points, dtype=np.float64))
    from scipy.spatial import KDTree  # heavy, and only regions without streets need it

    pairs = _delaunay(flat)
    tree = KDTree(flat)
    middle = (flat[pairs[:, 0]] + flat[pairs[:, 1]]) / 2
    radius = np.hypot(*(flat[pairs[:, 0]] - flat[pairs[:, 1]]).T) / 2
    nearest = tree.query(middle, k=1)[0]
    kept = pairs[nearest >= radius * (1 - 1e-9)]
    return sorted((int(a), int(b)) for a, b in kept)


def _delaunay(flat: NDArray[np.float64]) -> NDArray[np.int64]:
    """The edges of the Delaunay triangulation; of points on one line, the steps along it."""
    import numpy as np

    spread = flat - flat.mean(axis=0)
    _, size, axes = np.linalg.svd(spread, full_matrices=False)
    if len(flat) < 3 or size[1] <= 1e-9 * size[0]:
        order = np.argsort(spread @ axes[0], kind="stable")
        pairs = np.column_stack([order[:-1], order[1:]])
    else:
        from scipy.spatial import Delaunay

        corners = Delaunay(flat).simplices
        pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    return np.unique(np.sort(pairs.astype(np.int64), axis=1), axis=0)
