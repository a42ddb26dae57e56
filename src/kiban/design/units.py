"""Formulas for what a design counts: kilometres, straight candidate links, needs that grow with a count, capacity steps, traffic that grows.

In: numbers of the ledger. Out: one number. Which figures go in is said by design.figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from kiban.base.formula import formula
from kiban.region.geodesy import distance_m


@formula("design.kilometres", "km")
def kilometres(values: Sequence[float]) -> float:
    """Metres → kilometres.

    >>> kilometres([1500])
    1.5
    """
    (metres,) = values
    return metres / 1000


@formula("design.candidate_metres", "m")
def candidate_metres(values: Sequence[float]) -> float:
    """(lat, lon, lat, lon, detour factor) → the length given to a link between two points where no street is known.

    Source: geodesic on GRS80 (Karney 2013) times the detour factor, each rounded to centimetres as the region stores them.

    >>> candidate_metres([37.0, 137.0, 37.0, 137.01, 1.5])
    1335.18
    """
    lat_a, lon_a, lat_b, lon_b, factor = values
    a, b = (round(lat_a, 7), round(lon_a, 7)), (round(lat_b, 7), round(lon_b, 7))
    return round(round(distance_m(a, b), 2) * factor, 2)


@formula("design.distance_metres", "m")
def distance_metres(values: Sequence[float]) -> float:
    """(lat, lon, lat, lon) → metres on the ellipsoid, rounded to millimetres.

    >>> distance_metres([37.0, 137.0, 37.0, 137.01])
    890.117
    """
    lat_a, lon_a, lat_b, lon_b = values
    return round(distance_m((lat_a, lon_a), (lat_b, lon_b)), 3)


@formula("design.scaled", "", flat=True)
def scaled(values: Sequence[float]) -> float:
    """(count, count₁, value₁, count₂, value₂ …) → straight line between the published points.

    >>> scaled([150, 0, 0, 100, 50, 200, 150])
    100.0
    """
    count, *points = values
    pairs = list(zip(points[0::2], points[1::2], strict=True))
    for (low, at_low), (high, at_high) in pairwise(pairs):
        if low <= count <= high:
            return at_low + (at_high - at_low) * (count - low) / (high - low)
    return math.nan


@formula("design.step_units", "units", flat=True)
def step_units(values: Sequence[float]) -> float:
    """(load, capacity, units already paid) → capacity units to be paid: ⌈load ÷ capacity⌉, at least one, less those paid.

    >>> step_units([33, 32, 1]), step_units([5, 32, 0])
    (1, 1)
    """
    load, capacity, free = values
    return max(1, math.ceil(load / capacity - 1e-9)) - free


@formula("design.product", "")
def product(values: Sequence[float]) -> float:
    """a × b.

    >>> product([3, 4])
    12
    """
    return math.prod(values)


@formula("design.break_even", "JPY")
def break_even(values: Sequence[float]) -> float:
    """(cost without it, cost of everything else in the design with it, units) → yen per unit at which both designs cost the same.

    >>> break_even([1000, 400, 3])
    200.0
    """
    without, rest, units = values
    return (without - rest) / units


@formula("design.per_unit", "JPY")
def per_unit(values: Sequence[float]) -> float:
    """(amount, units) → yen per unit.

    >>> per_unit([900, 3])
    300.0
    """
    amount, units = values
    return amount / units


@formula("design.traffic_factor", "1", flat=True)
def traffic_factor(values: Sequence[float]) -> float:
    """(growth per year, years) → the factor after so many years of even growth.

    >>> round(traffic_factor([0.2, 5]), 3)
    2.488
    """
    yearly, years = values
    return math.pow(1.0 + yearly, years)


@formula("design.traffic_between", "1", flat=True)
def traffic_between(values: Sequence[float]) -> float:
    """(year, year₁, factor₁, year₂, factor₂) → the factor in a year between two points, growth being even between them.

    >>> round(traffic_between([2025, 2020, 1, 2030, 18]), 3)
    4.243
    """
    year, first, low, last, high = values
    return low if first == last else low * math.pow(high / low, (year - first) / (last - first))


@formula("design.traffic_ratio", "1", flat=True)
def traffic_ratio(values: Sequence[float]) -> float:
    """(level of a year, level of the first year) → factor against the first year.

    >>> traffic_ratio([3, 2])
    1.5
    """
    level, first = values
    return level / first


@formula("design.due_year", "year of the horizon", flat=True)
def due_year(values: Sequence[float]) -> float:
    """(load, Mbps of one unit, units, factor of year 0, factor of year 1, …) → the first year in which the units do not suffice; the horizon if they do.

    >>> due_year([80, 100, 1, 1.0, 1.2, 1.5]), due_year([80, 100, 1, 1.0, 1.1])
    (2, 2)
    """
    load, capacity, units, *growth = values
    return next((year for year, factor in enumerate(growth) if math.ceil(load * factor / capacity - 1e-9) > units), len(growth))
