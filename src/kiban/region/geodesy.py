"""Distances and directions on the ellipsoid, and a local plane where nearness may be measured with a ruler.

Latitudes and longitudes are degrees, JGD2011 / WGS84 (they differ by centimetres); the ellipsoid is GRS80. Lengths are metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded by the first function that computes with it: a server starts without numpy
    import numpy as np
    from numpy.typing import NDArray


Point = tuple[float, float]  # latitude, longitude


@cache
def _geod() -> Any:
    from pyproj import Geod  # loads the PROJ library: half a second that not every command needs

    return Geod(ellps="GRS80")


def distance_m(a: Point, b: Point) -> float:
    """Length of the geodesic between two points.

    Source: Karney (2013), Algorithms for geodesics, as in PROJ.

    >>> round(distance_m((36.10377477, 140.08785504), (35.65502847, 139.74475044)), 2)
    58643.8
    """
    return float(_geod().inv(a[1], a[0], b[1], b[0])[2])


def lengths_m(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Geodesic lengths between rows of two (n, 2) arrays of latitude, longitude."""
    import numpy as np

    if len(a) == 0:
        return np.zeros(0)
    return np.asarray(_geod().inv(a[:, 1], a[:, 0], b[:, 1], b[:, 0])[2], dtype=np.float64)


class Plane:
    """Azimuthal equidistant plane about a point: distances from the centre are true, others within 50 km to about 1 in 100,000."""

    def __init__(self, centre: Point) -> None:
        from pyproj import Transformer

        local = f"+proj=aeqd +lat_0={centre[0]:.7f} +lon_0={centre[1]:.7f} +ellps=GRS80 +units=m"
        self._there = Transformer.from_crs("+proj=longlat +ellps=GRS80", local, always_xy=True)

    def to(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) latitude, longitude to (n, 2) metres east and north."""
        import numpy as np

        east, north = self._there.transform(points[:, 1], points[:, 0])
        return np.column_stack([east, north])

    def back(self, metres: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) metres east and north to (n, 2) latitude, longitude."""
        import numpy as np

        lon, lat = self._there.transform(metres[:, 0], metres[:, 1], direction="INVERSE")
        return np.column_stack([lat, lon])


def plane_of(points: Sequence[Point]) -> Plane:
    """The plane about the middle of the box around some points."""
    import numpy as np

    array = np.asarray(points, dtype=np.float64)
    low, high = array.min(axis=0), array.max(axis=0)
    return Plane((float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2))
