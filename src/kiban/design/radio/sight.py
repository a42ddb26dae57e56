"""Which cells reach which sites, and which hops see each other, over the ground of a region (見通し・電波の届く範囲).

In: a Terrain or None, technologies, places and sites. Out: the pairs that the ground rules out, each with its need; what nobody can judge stays in.
Where there is no terrain, everything within its radius or reach stays in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kiban.design.radio.link import budget, frequency, spare_db
from kiban.design.radio.paths import clearances, path_losses
from kiban.records.design import Looked, Obstructed
from kiban.records.region import Place, Site
from kiban.records.technology import Technology
from kiban.records.terrain import Terrain

Near = list[tuple[str, float]]  # sites within the radius of a place, with the metres


class Sight:
    """Looks over the terrain for one design, and remembers what it ruled out. A terrain that is too coarse is like none: `refused` says so."""

    def __init__(self, terrain: Terrain | None) -> None:
        self.terrain = terrain if terrain is not None and not terrain.coarse else None
        self.refused = terrain is not None and terrain.coarse
        self.spacing_m = None if terrain is None else terrain.spacing_m
        self.obstructed: list[Obstructed] = []
        self.judged = {"line_of_sight": 0, "link_budget": 0}
        self.unknown = {"line_of_sight": 0, "link_budget": 0}

    def links(self, id: str, technology: Technology, places: Sequence[Place], near: Sequence[Near], sites: Mapping[str, Site]) -> list[Near]:
        """Per place, the sites within radius (with metres) that a cell there really reaches."""
        radio = budget(technology)
        pairs = [(row, col) for row, found in enumerate(near) for col in range(len(found))]
        if self.terrain is None or not pairs:
            return list(near)
        if radio is None:
            self.unknown["link_budget"] += len(pairs)
            return list(near)
        heights = [place.height_m or radio.base_m for place in places]
        known = [(row, col) for row, col in pairs if heights[row] is not None and near[row][col][1] > 0]
        base = np.array([(places[row].lat, places[row].lon, heights[row]) for row, _ in known], np.float64).reshape(-1, 3)
        ends = [sites[near[row][col][0]] for row, col in known]
        site = np.array([(one.lat, one.lon, radio.site_m) for one in ends], np.float64).reshape(-1, 3)
        spare = spare_db(path_losses(self.terrain, base, site, radio.mhz), radio)
        needed = radio.sensitivity_dbm + radio.margin_db
        self._count("link_budget", len(pairs), spare)
        gone: set[tuple[int, int]] = set()
        for (row, col), room in zip(known, spare.tolist(), strict=True):
            if room < 0:
                gone.add((row, col))
                self._rule_out(id, places[row].id, near[row][col][0], "link_budget", needed, needed + room)
        return [[pair for col, pair in enumerate(found) if (row, col) not in gone] for row, found in enumerate(near)]

    def hops(self, id: str, technology: Technology, places: Sequence[Place], pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
        """The pairs (indices of places, both directions) between which there is no line of sight."""
        if self.terrain is None or not pairs:
            return set()
        once = sorted({(min(pair), max(pair)) for pair in pairs})
        known = [(a, b) for a, b in once if places[a].height_m and places[b].height_m]
        one, two = (np.array([(places[k].lat, places[k].lon, places[k].height_m) for k in column], np.float64).reshape(-1, 3) for column in _columns(known))
        room = clearances(self.terrain, one, two, frequency(technology))
        self._count("line_of_sight", len(once), room)
        blocked = set()
        for (a, b), metres in zip(known, room.tolist(), strict=True):
            if metres < 0:
                blocked |= {(a, b), (b, a)}
                self._rule_out(id, places[a].id, places[b].id, "line_of_sight", 0.0, metres)
        return blocked

    def why(self, site: str, technology: str, near: Sequence[str]) -> Obstructed | None:
        """What the ground took from a site that no cell of the technology reaches: the link that failed by least, else the best hop to a place near it."""
        lost = [row for row in self.obstructed if row.technology == technology and row.b == site]
        hops = [row for row in self.obstructed if row.need == "line_of_sight" and (row.a in near or row.b in near)]
        return max(lost or hops, key=lambda row: (row.available, row.a, row.b), default=None)

    def looked(self) -> Looked | None:
        """What was looked at, for the problem; None: no terrain, or one too coarse."""
        if self.terrain is None:
            return None
        return Looked(
            spacing_m=self.terrain.spacing_m,
            hops=self.judged["line_of_sight"],
            hops_unknown=self.unknown["line_of_sight"],
            links=self.judged["link_budget"],
            links_unknown=self.unknown["link_budget"],
            obstructed=tuple(sorted(self.obstructed, key=lambda row: (row.technology, row.a, row.b))),
        )

    def _count(self, need: str, pairs: int, values: np.ndarray) -> None:
        judged = int(np.count_nonzero(~np.isnan(values)))
        self.judged[need] += judged
        self.unknown[need] += pairs - judged

    def _rule_out(self, technology: str, a: str, b: str, need: str, required: float, available: float) -> None:
        # rounded away from the requirement, so that what is written still says that it fails
        self.obstructed.append(Obstructed(technology=technology, a=a, b=b, need=need, required=required, available=math.floor(available * 100) / 100))  # type: ignore[arg-type]


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [a for a, _ in pairs], [b for _, b in pairs]
