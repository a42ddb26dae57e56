"""Radio paths over a grid of heights: profiles, losses and clearances, one or a hundred thousand at a time (伝搬路・見通し).

In: a Terrain, and antennas as rows (latitude, longitude, metres above the ground). Out: dB and metres, nan where a height on the way is unknown.
A grid coarser than records.terrain.COARSEST_M is refused everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from kiban.base.errors import DesignError
from kiban.design.radio.diffraction import EARTH_KM, delta_bullington
from kiban.records.terrain import COARSEST_M, Terrain

Floats = NDArray[np.float64]
TRUE_EARTH_KM = 6371.0  # mean radius, for distances on the ground; a sphere is good to half a percent
CLEAR_ZONE = 0.6  # of the first Fresnel radius; less room than that costs power: Recommendation ITU-R P.530, section 2.2.2 (P.526, section 2.6)
LONGEST_POINTS = 20_000  # of one profile


def profile(terrain: Terrain, start: Sequence[float], end: Sequence[float]) -> tuple[Floats, Floats]:
    """Distances in km and ground heights in m along the straight way between two points (latitude, longitude), about two per height of the grid.

    Raises
    ------
    DesignError  resolution too coarse, or two equal points
    """
    check_resolution(terrain)
    km, ground = np.empty(LONGEST_POINTS), np.empty(LONGEST_POINTS)
    ends = float(start[0]), float(start[1]), float(end[0]), float(end[1])
    n: int = _profile(terrain.heights, *_box(terrain), *ends, _step(terrain), km, ground)
    if n == 0:
        raise DesignError("profile", f"from {tuple(start)} to {tuple(end)}", f"two places, at most {LONGEST_POINTS // 2} heights apart", "choose another end")
    return km[:n].copy(), ground[:n].copy()


def path_losses(terrain: Terrain, a: ArrayLike, b: ArrayLike, mhz: float, *, earth_km: float = EARTH_KM, vertical: bool = True) -> Floats:
    """Loss of each path, free space and diffraction, dB.

    Parameters
    ----------
    a, b   (paths, 3)  latitude, longitude, metres of the antenna above the ground (≥ 0.1); row i of `a` looks at row i of `b`
    mhz                frequency, 10 or more

    Returns
    -------
    (paths,) dB; nan where a height on the way, or of an antenna, is unknown, and where both ends are one place

    Raises
    ------
    DesignError  resolution too coarse, shapes that do not fit, antennas in the ground

    Source: Recommendations ITU-R P.525-4 and P.526-15 (complete method).
    """
    check_resolution(terrain)
    one, two = _ends(a, b)
    if mhz < 10:
        raise DesignError("frequency", f"{mhz} MHz", "10 MHz or more", "correct the value")
    return np.asarray(_losses(terrain.heights, *_box(terrain), one, two, mhz / 1000, float(earth_km), vertical, _step(terrain)), np.float64)


def clearances(terrain: Terrain, a: ArrayLike, b: ArrayLike, mhz: float | None, *, zone: float = CLEAR_ZONE, earth_km: float = EARTH_KM) -> Floats:
    """Metres of room that each path has at its tightest point, beyond the part of the Fresnel zone that must be free. Not negative: line of sight.

    Parameters
    ----------
    a, b   (paths, 3)  as in `path_losses`
    mhz                frequency; None: not known, then only the straight line itself must be free
    zone               part of the first Fresnel radius that must be free

    Returns
    -------
    (paths,) m; nan where a height on the way is unknown; inf where no height lies between the ends

    Raises
    ------
    DesignError  resolution too coarse, shapes that do not fit
    """
    check_resolution(terrain)
    one, two = _ends(a, b)
    needed = 0.0 if mhz is None else zone * 550 / math.sqrt(mhz)  # times √(d1 d2 / d): loss.fresnel_radius
    return np.asarray(_clearances(terrain.heights, *_box(terrain), one, two, needed, float(earth_km), _step(terrain)), np.float64)


def check_resolution(terrain: Terrain) -> None:
    """Raises DesignError when the grid is too coarse for diffraction and line of sight."""
    if terrain.coarse:
        found = f"resolution too coarse: heights {terrain.spacing_m:,.0f} m apart"
        raise DesignError("elevation", found, f"{COARSEST_M:g} m or finer", "use a finer grid (国土地理院 10 m, SRTM 30 m or 90 m), or a model without terrain")


def _box(terrain: Terrain) -> tuple[float, float, float, float]:
    return terrain.south, terrain.west, terrain.north, terrain.east


def _step(terrain: Terrain) -> float:
    # half of the spacing: a ridge one height wide would fall between points that lie as far apart as the heights do
    return terrain.spacing_m / 2000


def _ends(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    one, two = np.ascontiguousarray(a, np.float64), np.ascontiguousarray(b, np.float64)
    if one.ndim != 2 or one.shape[1] != 3 or one.shape != two.shape:
        raise DesignError("paths", f"shapes {one.shape} and {two.shape}", "twice (paths, 3): latitude, longitude, metres", "pair the ends row by row")
    if np.any(one[:, 2] < 0.1) or np.any(two[:, 2] < 0.1):
        raise DesignError("paths", "an antenna less than 0.1 m above the ground", "0.1 m or more", "correct the height")
    return one, two


@njit(cache=True)
def _height(heights: NDArray[np.float32], south: float, west: float, north: float, east: float, lat: float, lon: float) -> float:
    """Between the four neighbours, by area; nan outside."""
    rows, columns = heights.shape
    y, x = (north - lat) / (north - south) * (rows - 1), (lon - west) / (east - west) * (columns - 1)
    if not (-1e-9 <= y <= rows - 1 + 1e-9 and -1e-9 <= x <= columns - 1 + 1e-9):
        return math.nan
    i, j = min(max(int(y), 0), rows - 2), min(max(int(x), 0), columns - 2)
    u, v = y - i, x - j
    top = heights[i, j] * (1.0 - v) + heights[i, j + 1] * v
    low = heights[i + 1, j] * (1.0 - v) + heights[i + 1, j + 1] * v
    return float(top * (1.0 - u) + low * u)


@njit(cache=True)
def _profile(
    heights: NDArray[np.float32], south: float, west: float, north: float, east: float, lat_1: float, lon_1: float, lat_2: float, lon_2: float,
    step: float, km: Floats, ground: Floats,
) -> int:  # fmt: skip
    """Fill the profile along the great circle; the number of points, 0 when there is none."""
    p1, p2, turn = math.radians(lat_1), math.radians(lat_2), math.radians(lon_2 - lon_1)
    half = math.sin((p2 - p1) / 2.0) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(turn / 2.0) ** 2
    angle = 2.0 * math.asin(min(1.0, math.sqrt(half)))
    length = TRUE_EARTH_KM * angle
    parts = max(1, math.ceil(length / step))
    if length < 1e-6 or parts + 1 > len(km):
        return 0
    sine = math.sin(angle)
    for k in range(parts + 1):
        share = k / parts
        one, two = math.sin((1.0 - share) * angle) / sine, math.sin(share * angle) / sine
        x = one * math.cos(p1) + two * math.cos(p2) * math.cos(turn)
        y = two * math.cos(p2) * math.sin(turn)
        z = one * math.sin(p1) + two * math.sin(p2)
        km[k] = share * length
        ground[k] = _height(heights, south, west, north, east, math.degrees(math.atan2(z, math.hypot(x, y))), lon_1 + math.degrees(math.atan2(y, x)))
    return parts + 1


@njit(cache=True, nogil=True)
def _losses(
    heights: NDArray[np.float32], south: float, west: float, north: float, east: float, a: Floats, b: Floats,
    ghz: float, earth: float, vertical: bool, step: float,
) -> Floats:  # fmt: skip
    out = np.full(len(a), math.nan)
    km, ground = np.empty(LONGEST_POINTS), np.empty(LONGEST_POINTS)
    for i in range(len(a)):
        n = _profile(heights, south, west, north, east, a[i, 0], a[i, 1], b[i, 0], b[i, 1], step, km, ground)
        if n:
            free = 92.4 + 20.0 * math.log10(ghz) + 20.0 * math.log10(km[n - 1])
            out[i] = free + delta_bullington(km, ground, n, a[i, 2], b[i, 2], ghz, earth, vertical)
    return out


@njit(cache=True, nogil=True)
def _clearances(
    heights: NDArray[np.float32], south: float, west: float, north: float, east: float, a: Floats, b: Floats, needed: float, earth: float, step: float
) -> Floats:
    out = np.full(len(a), math.nan)
    km, ground = np.empty(LONGEST_POINTS), np.empty(LONGEST_POINTS)
    for i in range(len(a)):
        n = _profile(heights, south, west, north, east, a[i, 0], a[i, 1], b[i, 0], b[i, 1], step, km, ground)
        if n:
            d, least = km[n - 1], math.inf
            ht, hr = ground[0] + a[i, 2], ground[n - 1] + b[i, 2]
            for k in range(1, n - 1):
                x = km[k]
                room = (ht * (d - x) + hr * x) / d - ground[k] - 500.0 / earth * x * (d - x) - needed * math.sqrt(x * (d - x) / d)
                if not room >= least:
                    least = room  # also when it is unknown: nan stays
                    if math.isnan(room):
                        break
            out[i] = math.nan if math.isnan(ht + hr) else least
    return out
