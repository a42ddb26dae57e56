"""Loss between two antennas without terrain: free space, one edge, and an empirical model (伝搬損失).

In: distances in km, frequencies in MHz, heights in m. Out: losses in dB (positive: less arrives) and metres of the Fresnel zone.
Terrain is left to radio.diffraction, what a radio can bear to radio.link.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kiban.base.errors import DesignError

Area = Literal["large_city", "city", "suburb", "open"]
Floats = NDArray[np.float64]

# Ranges in which the measurements behind the formula were made: M. Hata, "Empirical formula for propagation loss in land mobile radio services",
# IEEE Trans. Vehicular Technology VT-29 no. 3, 1980; above 1,500 MHz COST Action 231 final report (EUR 18957), chapter 4, 1999.
HATA_MHZ, COST_MHZ = (150.0, 1500.0), (1500.0, 2000.0)
RANGES = {"distance in km": (1.0, 20.0), "height of the base antenna in m": (30.0, 200.0), "height of the mobile antenna in m": (1.0, 10.0)}


def free_space_loss(km: ArrayLike, mhz: ArrayLike) -> Floats:
    """Loss in free space, dB (自由空間損失).

    Parameters
    ----------
    km   any shape  > 0
    mhz  any shape that broadcasts with it  > 0

    Source: Recommendation ITU-R P.525-4, equation (4): 32.4 + 20 log f + 20 log d.

    >>> round(float(free_space_loss(10, 920)), 1)
    111.7
    """
    distance, frequency = np.asarray(km, np.float64), np.asarray(mhz, np.float64)
    _positive("distance in km", distance)
    _positive("frequency in MHz", frequency)
    return np.asarray(32.4 + 20 * np.log10(frequency) + 20 * np.log10(distance), np.float64)


def fresnel_radius(km_1: ArrayLike, km_2: ArrayLike, mhz: ArrayLike, zone: int = 1) -> Floats:
    """Radius in m of the n-th Fresnel zone (フレネルゾーン), at distances in km ≥ 0 from both ends.

    Source: Recommendation ITU-R P.526, equation (3): 550 √(n d1 d2 / ((d1 + d2) f)).

    >>> round(float(fresnel_radius(5, 5, 7500)), 1)
    10.0
    """
    one, two, frequency = np.asarray(km_1, np.float64), np.asarray(km_2, np.float64), np.asarray(mhz, np.float64)
    _positive("frequency in MHz", frequency)
    _positive("distance in km", one + two)
    return np.asarray(550 * np.sqrt(zone * one * two / ((one + two) * frequency)), np.float64)


def knife_edge_loss(v: ArrayLike) -> Floats:
    """Loss behind one sharp edge, dB; `v` is how far it rises into the path, √2 for a full Fresnel radius, negative when it stays below.

    Source: Recommendation ITU-R P.526, equation (31), good for v > -0.78 and 0 below.

    >>> knife_edge_loss([-1, 0, 1]).round(1).tolist()
    [0.0, 6.0, 13.9]
    """
    height = np.asarray(v, np.float64) - 0.1
    return np.asarray(np.where(height > -0.88, 6.9 + 20 * np.log10(np.sqrt(height**2 + 1) + height), 0.0), np.float64)


def empirical_loss(km: ArrayLike, mhz: float, base_m: float, mobile_m: float, area: Area) -> Floats:
    """Median loss from a mast above the roofs to a terminal in the street, where there is no terrain to look at (奥村-秦式), dB.

    Parameters
    ----------
    km        any shape  1 … 20
    mhz       150 … 2,000: Okumura-Hata up to 1,500, above it its extension by COST 231 (cities only)
    base_m    30 … 200   above ground
    mobile_m  1 … 10     above ground
    area      large_city, city (small or medium), suburb, open

    Raises
    ------
    DesignError  a value outside the range of the measurements: the formula would be a guess there

    Source: Hata 1980 (see RANGES), COST 231 final report 1999.

    >>> round(float(empirical_loss(2, 869, 30, 1, "city")), 1)
    137.9
    """
    distance = np.asarray(km, np.float64)
    given = {"distance in km": distance, "height of the base antenna in m": np.asarray(base_m), "height of the mobile antenna in m": np.asarray(mobile_m)}
    for name, values in given.items():
        low, high = RANGES[name]
        if values.size and not (np.all(values >= low) and np.all(values <= high)):
            raise _outside(name, values, low, high)
    if not HATA_MHZ[0] <= mhz <= COST_MHZ[1]:
        raise _outside("frequency in MHz", np.asarray(mhz), HATA_MHZ[0], COST_MHZ[1])
    if mhz > HATA_MHZ[1] and area in ("suburb", "open"):
        step = "use a frequency up to 1,500 MHz or a city, or give an elevation grid"
        raise DesignError(f"area {area}", f"{mhz:g} MHz", "a city above 1,500 MHz: COST 231 gives no other", step)

    log = np.log10(mhz)
    if area != "large_city":
        mobile = (1.1 * log - 0.7) * mobile_m - (1.56 * log - 0.8)
    elif mhz <= 300:
        mobile = 8.29 * np.log10(1.54 * mobile_m) ** 2 - 1.1
    else:
        mobile = 3.2 * np.log10(11.75 * mobile_m) ** 2 - 4.97
    slope = (44.9 - 6.55 * np.log10(base_m)) * np.log10(distance)
    if mhz > HATA_MHZ[1]:
        # the extension keeps the small-city correction of the mobile antenna and adds 3 dB in metropolitan centres
        mobile = (1.1 * log - 0.7) * mobile_m - (1.56 * log - 0.8)
        return np.asarray(46.3 + 33.9 * log - 13.82 * np.log10(base_m) - mobile + slope + (3.0 if area == "large_city" else 0.0), np.float64)
    loss = 69.55 + 26.16 * log - 13.82 * np.log10(base_m) - mobile + slope
    if area == "suburb":
        loss = loss - 2 * np.log10(mhz / 28) ** 2 - 5.4
    elif area == "open":
        loss = loss - 4.78 * log**2 + 18.33 * log - 40.94
    return np.asarray(loss, np.float64)


def _positive(name: str, values: Floats) -> None:
    if values.size and not np.all(values > 0):
        raise DesignError(name, f"{float(values.min()):g}", "more than 0", "correct the value")


def _outside(name: str, values: NDArray[np.float64], low: float, high: float) -> DesignError:
    found = f"{float(values.min()):g}" + (f" to {float(values.max()):g}" if values.min() < values.max() else "")
    return DesignError(name, found, f"{low:g} to {high:g}, where the measurements behind the formula were made", "give an elevation grid, or another model")
