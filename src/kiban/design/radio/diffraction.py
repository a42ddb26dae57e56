"""Loss of a radio path over the ground beyond free space: delta-Bullington (回折損失).

In: profiles, that is distances in km and heights in m above sea level from one antenna to the other. Out: dB.
The kernels take one profile each, so that radio.paths can call them for many pairs without leaving compiled code.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from kiban.base.errors import DesignError

# "If no other information is available, an equivalent Earth radius of 8 500 km may be taken as a basis" (Recommendation ITU-R P.526, section 1): about
# 4/3 of the true one, because air bends radio towards the ground.
EARTH_KM = 8500.0
LAND, SEA = (22.0, 0.003), (80.0, 5.0)  # relative permittivity, conductivity in S/m: Recommendation ITU-R P.526, section 3.1.1.2
SPEED = 0.299792458  # of light, m times GHz


def diffraction_loss(km: ArrayLike, ground_m: ArrayLike, tx_m: float, rx_m: float, mhz: float, *, earth_km: float = EARTH_KM, vertical: bool = True) -> float:
    """Loss in dB that the ground adds to free space on one path, the complete method of P.526.

    Parameters
    ----------
    km        (points,)  from 0 to the length of the path, rising
    ground_m  (points,)  heights above sea level; an unknown one (nan) makes the loss unknown
    tx_m, rx_m           antennas above the ground at both ends, ≥ 0.1
    mhz                  frequency, 10 or more
    vertical             polarisation; it matters below 300 MHz and over the sea

    Raises
    ------
    DesignError  fewer than two points, distances that do not rise, an antenna in the ground

    Source: Recommendation ITU-R P.526-15, sections 3.2 (spherical Earth), 4.5.1 (Bullington) and 4.5.2 (complete method).

    >>> hill = diffraction_loss([0, 2, 4], [100, 160, 100], 10, 10, 920)
    >>> plain = diffraction_loss([0, 2, 4], [100, 100, 100], 10, 10, 920)
    >>> round(hill, 1), round(plain, 1)
    (34.7, 0.4)
    """
    distance, ground = _profile(km, ground_m, tx_m, rx_m, mhz)
    return float(delta_bullington(distance, ground, len(distance), float(tx_m), float(rx_m), mhz / 1000, float(earth_km), vertical))


def bullington_loss(km: ArrayLike, ground_m: ArrayLike, tx_m: float, rx_m: float, mhz: float, *, earth_km: float = EARTH_KM) -> float:
    """The Bullington part alone: all edges of the path replaced by one, dB. Arguments as in `diffraction_loss`.

    Source: Recommendation ITU-R P.526-15, section 4.5.1.
    """
    distance, ground = _profile(km, ground_m, tx_m, rx_m, mhz)
    return float(bullington(distance, ground, len(distance), ground[0] + tx_m, ground[-1] + rx_m, mhz / 1000, float(earth_km)))


def spherical_earth_loss(km: float, tx_m: float, rx_m: float, mhz: float, *, earth_km: float = EARTH_KM, vertical: bool = True, sea: bool = False) -> float:
    """Loss over a smooth round Earth, dB; antennas in m above it.

    Source: Recommendation ITU-R P.526-15, section 3.2.

    >>> spherical_earth_loss(5, 60, 60, 920), round(spherical_earth_loss(60, 20, 20, 920), 1)
    (0.0, 38.8)
    """
    if km <= 0 or min(tx_m, rx_m) <= 0:
        raise DesignError("path", f"{km} km, antennas at {tx_m} and {rx_m} m", "more than 0", "correct the value")
    return float(spherical(float(km), float(tx_m), float(rx_m), mhz / 1000, float(earth_km), vertical, *(SEA if sea else LAND)))


def _profile(km: ArrayLike, ground_m: ArrayLike, tx_m: float, rx_m: float, mhz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    distance, ground = np.ascontiguousarray(km, np.float64), np.ascontiguousarray(ground_m, np.float64)
    if distance.ndim != 1 or distance.shape != ground.shape or len(distance) < 2 or distance[0] != 0 or not np.all(np.diff(distance) > 0):
        raise DesignError("profile", f"{distance.shape} distances, {ground.shape} heights", "two or more points, rising from 0 km", "sample the path again")
    if min(tx_m, rx_m) < 0.1 or mhz < 10:
        raise DesignError("profile", f"antennas at {tx_m} and {rx_m} m, {mhz} MHz", "0.1 m and 10 MHz or more", "correct the value")
    return distance, ground


@njit(cache=True)
def edge(v: float) -> float:
    """Loss of one knife edge, dB: loss.knife_edge_loss, compiled."""
    if v <= -0.78:
        return 0.0
    return 6.9 + 20.0 * math.log10(math.sqrt((v - 0.1) ** 2 + 1.0) + v - 0.1)


@njit(cache=True)
def bullington(km: NDArray[np.float64], ground: NDArray[np.float64], n: int, ht: float, hr: float, ghz: float, earth: float) -> float:
    """Bullington loss over the first n points; ht, hr are antennas above sea level."""
    d, wave = km[n - 1], SPEED / ghz
    up, down = -math.inf, -math.inf  # steepest slope from either end, m/km
    v_most = -math.inf
    for i in range(1, n - 1):
        x = km[i]
        y = ground[i] + 500.0 / earth * x * (d - x)
        up = max(up, (y - ht) / x)
        down = max(down, (y - hr) / (d - x))
        v_most = max(v_most, (y - (ht * (d - x) + hr * x) / d) * math.sqrt(0.002 * d / (wave * x * (d - x))))
    if up < (hr - ht) / d:
        one = edge(v_most) if n > 2 else 0.0
    else:
        x = (hr - ht + down * d) / (up + down)
        one = edge((ht + up * x - (ht * (d - x) + hr * x) / d) * math.sqrt(0.002 * d / (wave * x * (d - x))))
    loss: float = one + (1.0 - math.exp(-one / 6.0)) * (10.0 + 0.02 * d)
    return loss


@njit(cache=True)
def first_term(d: float, h1: float, h2: float, ghz: float, earth: float, vertical: bool, permittivity: float, conductivity: float) -> float:
    """First term of the residue series: loss far behind the horizon of a smooth Earth, dB."""
    k = 0.036 * (earth * ghz) ** (-1.0 / 3.0) * ((permittivity - 1.0) ** 2 + (18.0 * conductivity / ghz) ** 2) ** -0.25
    if vertical:
        k *= math.sqrt(permittivity**2 + (18.0 * conductivity / ghz) ** 2)
    beta = (1.0 + 1.6 * k**2 + 0.67 * k**4) / (1.0 + 4.5 * k**2 + 1.53 * k**4)
    x = 21.88 * beta * (ghz / earth**2) ** (1.0 / 3.0) * d
    total: float = 11.0 + 10.0 * math.log10(x) - 17.6 * x if x >= 1.6 else -20.0 * math.log10(x) - 5.6488 * x**1.425
    for h in (h1, h2):
        b = beta * 0.9575 * beta * (ghz**2 / earth) ** (1.0 / 3.0) * h
        gain = 17.6 * math.sqrt(b - 1.1) - 5.0 * math.log10(b - 1.1) - 8.0 if b > 2.0 else 20.0 * math.log10(b + 0.1 * b**3)
        total += max(gain, 2.0 + 20.0 * math.log10(k))
    return float(-total)


@njit(cache=True)
def spherical(d: float, h1: float, h2: float, ghz: float, earth: float, vertical: bool, permittivity: float, conductivity: float) -> float:
    """Loss over a smooth spherical Earth at any distance, dB; h1, h2 above it."""
    if d >= math.sqrt(2.0 * earth) * (math.sqrt(0.001 * h1) + math.sqrt(0.001 * h2)):
        return max(first_term(d, h1, h2, ghz, earth, vertical, permittivity, conductivity), 0.0)
    c = (h1 - h2) / (h1 + h2)
    m = 250.0 * d * d / (earth * (h1 + h2))
    inner = 1.5 * c * math.sqrt(3.0 * m / (m + 1.0) ** 3)
    b = 2.0 * math.sqrt((m + 1.0) / (3.0 * m)) * math.cos(math.pi / 3.0 + math.acos(min(1.0, max(-1.0, inner))) / 3.0)
    d1 = min(max(0.5 * d * (1.0 + b), 0.0), d)
    d2 = d - d1
    clear = ((h1 - 500.0 * d1 * d1 / earth) * d2 + (h2 - 500.0 * d2 * d2 / earth) * d1) / d
    needed = 17.456 * math.sqrt(d1 * d2 * (SPEED / ghz) / d)
    if clear >= needed:
        return 0.0
    wide = 500.0 * (d / (math.sqrt(h1) + math.sqrt(h2))) ** 2
    return (1.0 - clear / needed) * max(first_term(d, h1, h2, ghz, wide, vertical, permittivity, conductivity), 0.0)


@njit(cache=True)
def delta_bullington(km: NDArray[np.float64], ground: NDArray[np.float64], n: int, tx: float, rx: float, ghz: float, earth: float, vertical: bool) -> float:
    """The complete method over the first n points, dB; tx, rx above the ground at both ends; nan as soon as one height is."""
    d, ht, hr = km[n - 1], ground[0] + tx, ground[n - 1] + rx
    v1, v2 = 0.0, 0.0
    for i in range(1, n):  # the smooth surface that fits the profile best
        step = km[i] - km[i - 1]
        v1 += step * (ground[i] + ground[i - 1])
        v2 += step * (ground[i] * (2.0 * km[i] + km[i - 1]) + ground[i - 1] * (km[i] + 2.0 * km[i - 1]))
    if math.isnan(v1):
        return math.nan
    smooth_t, smooth_r = (2.0 * v1 * d - v2) / d**2, (v2 - v1 * d) / d**2
    above, from_t, from_r = -math.inf, -math.inf, -math.inf
    for i in range(1, n - 1):
        rise = ground[i] - (ht * (d - km[i]) + hr * km[i]) / d
        above, from_t, from_r = max(above, rise), max(from_t, rise / km[i]), max(from_r, rise / (d - km[i]))
    if above > 0.0:
        smooth_t -= above * from_t / (from_t + from_r)
        smooth_r -= above * from_r / (from_t + from_r)
    t, r = ht - min(smooth_t, ground[0]), hr - min(smooth_r, ground[n - 1])
    actual = bullington(km, ground, n, ht, hr, ghz, earth)
    smooth = bullington(km, np.zeros(n), n, t, r, ghz, earth)
    return actual + max(spherical(d, t, r, ghz, earth, vertical, 22.0, 0.003) - smooth, 0.0)
