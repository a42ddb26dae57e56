"""What is lost at once in a drill: a cut street or road, an exchange or mast, an area, the grid for some hours, a satellite or carrier.

In: a region and what happens. Out: an Event, which names the streets, places, sites and spurs that are lost. Nothing is said yet of who is off.

Everything that an area touches counts as lost: whether a pole would have stood in the flood is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import DesignError
from kiban.records.region import Hazard, Place, Region, Site
from kiban.records.technology import Technology

if TYPE_CHECKING:
    from shapely import STRtree

EventKind = Literal["street", "road", "exchange", "place", "area", "power", "technology"]


@dataclass(frozen=True)
class Event:
    """What is lost. `spurs`: sites and places whose way from the street is cut; `hours` without the grid; `id` such as street:s12 or power:72."""

    id: str
    kind: EventKind
    name: str
    streets: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    spurs: frozenset[str] = frozenset()
    technologies: frozenset[str] = frozenset()
    hours: float | None = None


def cut(region: Region, streets: Iterable[str], id: str | None = None) -> Event:
    """One street, or the streets of a road, cut in both directions with every line along them. Raises DesignError for an unknown street."""
    given = tuple(dict.fromkeys(streets))
    known = {street.id for street in region.streets}
    if not given or not known.issuperset(given):
        strange = ", ".join(sorted(set(given) - known)) or "none"
        raise DesignError("event", f"street {strange}", "ids of the region's streets", "look them up in streets.csv or design.geojson")
    kind: EventKind = "street" if len(given) == 1 else "road"
    return Event(id or f"{kind}:{'+'.join(given)}", kind, "+".join(given), streets=frozenset(given))


def lose_place(region: Region, id: str) -> Event:
    """An exchange, tower or roof with all that stands there. Raises DesignError when the region has no such place."""
    found = [place for place in region.places if place.id == id]
    if not found:
        listed = ", ".join(sorted(place.id for place in region.places)) or "none: places.csv is empty"
        raise DesignError("event", f"place {id!r}", listed, "correct the id")
    kind: EventKind = "exchange" if found[0].kind == "exchange" else "place"
    return Event(f"{kind}:{id}", kind, found[0].name, places=frozenset({id}))


def lose_power(hours: float) -> Event:
    """The grid is out everywhere for some hours. Raises DesignError for no hours."""
    if not 0 < hours < 24 * 366:
        raise DesignError("event", f"power for {hours:g} h", "more than 0 h, less than a year", "correct the hours")
    return Event(f"power:{hours:g}", "power", f"{hours:g} h", hours=hours)


def lose_technology(technologies: Mapping[str, Technology], id: str) -> Event:
    """A satellite or a carrier's service fails as a whole. Raises DesignError when it is no such service."""
    if id not in technologies or technologies[id].wiring.pattern != "direct":
        fits = ", ".join(sorted(name for name, one in technologies.items() if one.wiring.pattern == "direct"))
        raise DesignError("event", f"technology {id!r}", fits, "name a service that comes from outside the region")
    return Event(f"technology:{id}", "technology", id, technologies=frozenset({id}))


class Ground:
    """The streets, spurs, sites and places of a region as shapes, against which areas are laid."""

    def __init__(self, region: Region) -> None:
        import shapely  # half a second to load: only where there are areas

        self._shapely = shapely
        self.region = region
        at = {junction.id: (junction.lon, junction.lat) for junction in region.junctions}
        lines = [[at[s.a], *((lon, lat) for lat, lon in s.shape), at[s.b]] for s in region.streets]
        self.streets = [street.id for street in region.streets]
        rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
        self.rows = [row.id for row in rows]
        self.is_site = np.array([isinstance(row, Site) for row in rows], np.bool_)
        self._points = shapely.points([(row.lon, row.lat) for row in rows]) if rows else np.empty(0, object)
        spurs = [(row.id, [(row.lon, row.lat), at[region.attach[row.id][0]]]) for row in rows if region.attach.get(row.id, ("", 0.0))[1] > 0]
        self.spurs = [id for id, _ in spurs]
        self._spurs = _linestrings([line for _, line in spurs])
        self._tree: STRtree = shapely.STRtree(np.concatenate([_linestrings(lines), self._spurs, self._points]))

    def area(self, hazard: Hazard) -> Event:
        """Everything that an area touches: streets and spurs that cross it, sites and places inside it or on its edge."""
        shapely = self._shapely
        parts = [shapely.Polygon([p[::-1] for p in rings[0]], [[p[::-1] for p in ring] for ring in rings[1:]]) for rings in hazard.polygons]
        shapes = np.array(parts, object)
        broken = ~shapely.is_valid(shapes)
        shapes[broken] = shapely.make_valid(shapes[broken])
        hit = np.unique(self._tree.query(shapes, predicate="intersects")[1])
        first, second = len(self.streets), len(self.streets) + len(self.spurs)
        inside = hit[hit >= second] - second
        return Event(
            f"hazard:{hazard.id}",
            "area",
            hazard.name,
            streets=frozenset(self.streets[index] for index in hit[hit < first].tolist()),
            spurs=frozenset(self.spurs[index - first] for index in hit[(hit >= first) & (hit < second)].tolist()),
            sites=frozenset(self.rows[index] for index in inside[self.is_site[inside]].tolist()),
            places=frozenset(self.rows[index] for index in inside[~self.is_site[inside]].tolist()),
        )


def _linestrings(lines: list[list[tuple[float, float]]]) -> NDArray[np.object_]:
    """Many lines at once."""
    import shapely

    if not lines:
        return np.empty(0, object)
    which = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    made: NDArray[np.object_] = shapely.linestrings(np.array([point for line in lines for point in line], np.float64), indices=which)
    return made
