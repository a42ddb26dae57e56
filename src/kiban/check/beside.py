"""What the records say by themselves, beside the problem that was made from them: needs met, carriers, distances along the streets.

In: a problem, its region, use cases and technologies. Out: states and metres; what follows from them is judged in check.admission.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from kiban.check.view import LINE_KINDS
from kiban.records.design import Demand, Obstructed, Problem
from kiban.records.region import Place, Region, Site
from kiban.records.source import Quantity
from kiban.records.technology import Technology
from kiban.records.usecase import Scaled, UseCase

State = Literal["ok", "fails", "unknown", "open"]
AT_LEAST = ("down_mbps", "up_mbps", "availability", "mobility", "autonomy_h", "message_bytes")
EARTH_KM = 6371.0  # a sphere is good to half a percent; distances are judged with MARGIN
MARGIN = 0.01


def need_value(need: Quantity | Scaled | None, site: Site) -> float | None:
    """What a site needs, straight lines between published points; None: unknown, or outside the points.

    >>> need_value(Quantity(unit="Mbps", value=10, source="s", confidence="B"), None)
    10
    """
    if need is None or isinstance(need, Quantity):
        return None if need is None else need.value
    count: float | None = getattr(site, need.by)
    for (low, at_low), (high, at_high) in zip(need.points, need.points[1:], strict=False):
        if count is not None and low <= count <= high:
            return at_low + (at_high - at_low) * (count - low) / (high - low)
    return None


def kilometres(a: Site | Place, b: Site | Place) -> float:
    """Great-circle distance.

    >>> from kiban.records.region import Evidence
    >>> a, b = (Place(id=i, name=i, kind="tower", lat=37 + k / 100, lon=137, evidence=Evidence(source="s")) for k, i in enumerate("ab"))
    >>> round(kilometres(a, b), 2)
    1.11
    """
    north, east = math.radians(b.lat - a.lat), math.radians(b.lon - a.lon)
    half = math.sin(north / 2) ** 2 + math.cos(math.radians(a.lat)) * math.cos(math.radians(b.lat)) * math.sin(east / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


@dataclass(frozen=True)
class Records:
    """A problem beside the records that it was made from."""

    problem: Problem
    region: Region
    usecases: Mapping[str, UseCase]
    technologies: Mapping[str, Technology]
    backup: bool = True  # False: the user wants no backup, so no demand is duplicated

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Sites by id."""
        return {site.id: site for site in self.region.sites}

    @cached_property
    def priced(self) -> set[str]:
        """Technologies with a price in the problem."""
        return {price.technology for price in self.problem.prices}

    @cached_property
    def pairs(self) -> dict[tuple[str, str], list[Demand]]:
        """(site, use case) → its demands, those without any way included."""
        found: dict[tuple[str, str], list[Demand]] = defaultdict(list)
        for demand in self.problem.demands:
            found[demand.site, demand.usecase].append(demand)
        for site, usecase, _, _ in self.problem.no_way:
            found[site, usecase] += []
        return {pair: rows for pair, rows in found.items() if pair[0] in self.sites and pair[1] in self.usecases}

    @cached_property
    def offered(self) -> set[tuple[str, str, str]]:
        """(site, use case, technology) that some arc serves."""
        by_node: dict[int, list[Demand]] = defaultdict(list)
        for demand in self.problem.demands:
            by_node[demand.node].append(demand)
        nodes = self.problem.nodes
        return {(d.site, d.usecase, nodes[arc.tail].technology or "") for arc in self.problem.arcs if arc.kind == "serve" for d in by_node[arc.head]}

    def needs(self, site: str, usecase: str, technology: str) -> dict[str, State]:
        """Need → whether the technology meets it; needs that nobody knows are left out. Hours without grid power may come from an addition at the site."""
        needs, can, here = self.usecases[usecase].needs, self.technologies[technology].capability, self.sites[site]
        found: dict[str, State] = {}
        for name in (*AT_LEAST, "one_way_ms"):
            need, quantity = getattr(needs, name), getattr(can, name)
            wanted = need_value(need, here)
            if wanted is None:
                if isinstance(need, Scaled) and getattr(here, need.by) is not None:
                    found[name] = "unknown"  # a count that the published points do not cover
                continue
            if quantity is None or quantity.value is None:
                if name != "message_bytes":  # no limit known
                    found[name] = "unknown"
            else:
                good = quantity.value <= wanted if name == "one_way_ms" else quantity.value >= wanted
                found[name] = "ok" if good else "fails"
        hours = need_value(needs.autonomy_h, here)
        if hours is not None and hours <= (here.autonomy_h or 0.0):
            found["autonomy_h"] = "ok"  # the site has power of its own
        elif hours is not None and found["autonomy_h"] != "ok" and hours <= self.longest_addition:
            found["autonomy_h"] = "open"
        if needs.iot is not None and needs.iot.value == 1:
            found["iot"] = "unknown" if can.iot is None or can.iot.value is None else "ok" if can.iot.value == 1 else "fails"
        elif can.broadband is not None and can.broadband.value == 0:
            found["broadband"] = "open"
        if self.technologies[technology].wiring.needs_coverage:
            covered = here.covered.get(technology)
            found["coverage"] = "unknown" if covered is None else "ok" if covered else "fails"
        return found

    @cached_property
    def longest_addition(self) -> float:
        """Hours of service that a priced addition inside a site can give at most."""
        added = (t.capability.autonomy_h for name, t in self.technologies.items() if t.wiring.pattern == "site" and name in self.priced)
        return max((quantity.value for quantity in added if quantity is not None and quantity.value is not None), default=0.0)

    def carriers(self, technology: str, risk: str | None = None) -> list[str]:
        """What may carry a cell of a technology upstream: hops (its supply then depends on the air) and satellites (on the sky)."""
        feeds = self.technologies[technology].wiring.feeds
        hops = [name for name, t in self.technologies.items() if t.wiring.pattern == "hop" and "hop" in feeds and risk in (None, "air")]
        return hops + [name for name, t in self.technologies.items() if t.wiring.backhaul and "sky" in feeds and risk in (None, "sky")]

    def upstream(self, site: str, usecase: str, carrier: str) -> dict[str, State]:
        """Need → whether a carrier of a cell meets it; what only the site itself can give (coverage, mobility, hours, messages) is left out."""
        states = self.needs(site, usecase, carrier)
        return {name: states[name] for name in ("down_mbps", "up_mbps", "one_way_ms", "availability") if name in states}

    def carried(self, site: str, usecase: str, technology: str, risk: str) -> bool:
        """True when every carrier of a risk class surely meets the needs of a cell's user, delays added up."""
        wanted = need_value(self.usecases[usecase].needs.one_way_ms, self.sites[site])
        own = self.technologies[technology].capability.one_way_ms
        for carrier in self.carriers(technology, risk):
            more = self.technologies[carrier].capability.one_way_ms
            late = wanted is not None and sum(q.value or 0.0 for q in (own, more) if q is not None) > wanted
            if late or any(state != "ok" for state in self.upstream(site, usecase, carrier).values()):
                return False
        return True

    def has_place(self, site: str, technology: str) -> bool:
        """True when the graph has what the technology hangs on near the site: a junction with its network, or a mast within its radius."""
        wiring, nodes = self.technologies[technology].wiring, self.problem.nodes
        if wiring.pattern == "direct":
            return True
        if wiring.pattern == "drop":
            at = self.region.attach.get(site, ("", 0.0))[0]
            return any(node.kind == "junction" and node.ref == at and node.technology in (None, wiring.network) for node in nodes)
        radius = self.technologies[technology].capability.radius_km
        masts = {node.ref for node in nodes if node.kind == "mast"}
        near = (p.id for p in self.region.places if radius and radius.value and kilometres(p, self.sites[site]) <= radius.value * (1 - MARGIN))
        return any(place in masts for place in near)

    @cached_property
    def obstructed(self) -> dict[tuple[str, str, str], Obstructed]:
        """(technology, place, site or place) → a pair that the ground rules out, as the problem says."""
        rows = self.problem.terrain.obstructed if self.problem.terrain is not None else ()
        return {(row.technology, row.a, row.b): row for row in rows}

    def hidden(self, site: str, technology: str, need: str) -> bool:
        """True when the ground rules out what would serve the site: a link of the cell, or a hop to a place within its radius."""
        if need == "link_budget":
            return any(row.need == need and row.technology == technology and row.b == site for row in self.obstructed.values())
        radius = self.technologies[technology].capability.radius_km
        near = {p.id for p in self.region.places if radius and radius.value and kilometres(p, self.sites[site]) <= radius.value * (1 + MARGIN)}
        return any(row.need == need and near & {row.a, row.b} for row in self.obstructed.values())

    @cached_property
    def street_metres(self) -> tuple[dict[str, float], dict[str, float]]:
        """Junction → fewest metres from an exchange along the streets: (all links, off-street metres left out; without sea, included)."""
        return self._metres(sea=True, off_street=False), self._metres(sea=False, off_street=True)

    def _metres(self, *, sea: bool, off_street: bool) -> dict[str, float]:
        beside: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for street in self.region.streets:
            if sea or street.kind != "sea":
                beside[street.a].append((street.b, street.length_m))
                beside[street.b].append((street.a, street.length_m))
        starts = [self.region.attach[place.id] for place in self.region.places if place.kind == "exchange" and place.id in self.region.attach]
        queue = [(off if off_street else 0.0, junction) for junction, off in starts]
        heapq.heapify(queue)
        metres: dict[str, float] = {}
        while queue:
            far, junction = heapq.heappop(queue)
            if junction not in metres:
                metres[junction] = far
                for other, length in beside[junction]:
                    heapq.heappush(queue, (far + length, other))
        return metres


def graph_metres(problem: Problem) -> dict[int, float]:
    """Node → fewest metres of line from the root, as the graph has it."""
    out: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for arc in problem.arcs:
        out[arc.tail].append((arc.head, arc.length_m if arc.kind in LINE_KINDS else 0.0))
    metres: dict[int, float] = {}
    queue = [(0.0, 0)]
    while queue:
        far, node = heapq.heappop(queue)
        if node not in metres:
            metres[node] = far
            for head, length in out[node]:
                heapq.heappush(queue, (far + length, head))
    return metres
