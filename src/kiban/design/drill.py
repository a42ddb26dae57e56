"""Drills 訓練: what an event takes out of a design, who keeps service, what would bring it back, and how many satellite kits the worst event needs.

In: a region, a problem and its design, and events. Out: outcomes. Only what the records say is judged:

- A use case of a site is off when each of its ways from the world passes something that is lost; with a second way left it is reduced.
- A service of a carrier comes over ways that nobody shows us: after an event on the ground it is unsure, neither on nor off.
- Without the grid, equipment runs for the hours that its row or its technology states, or that a battery bought with it states. What states no
  hours counts as off, and the reason says so: a drill must not count on a battery that nobody has seen.
- People and households are those of the rows; a site without them is counted as unknown, never as zero.

A design is an arborescence, so what hangs below an arc is an interval of a walk through it: each event takes one sum over the walk,
and all single streets together take one (M. A. Bender, M. Farach-Colton, "The LCA problem revisited", LATIN 2000, for the walk and common ancestors).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from kiban.design.events import Event, EventKind, cut, lose_place
from kiban.records.design import Design, Problem
from kiban.records.region import Region
from kiban.records.technology import Technology

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Reason = Literal["path", "inside", "power", "unstated"]

LAID = ("line", "plant", "drop")
# the ways of carriers that an event of each kind may hit without our knowing
UNSURE: dict[EventKind, tuple[str, ...]] = {
    "street": ("road", "sea"),
    "road": ("road", "sea"),
    "exchange": ("road", "sea"),
    "area": ("road", "sea", "air"),
    "power": ("road", "sea", "air"),
}


@dataclass(frozen=True)
class Off:
    """A use case of a site without service.

    reason  path: a way is cut · inside: the site itself lies in the area · power: known hours are too few · unstated: nobody states the hours
    """

    site: str
    usecase: str
    technologies: tuple[str, ...]
    reason: Reason


@dataclass(frozen=True)
class Kept:
    """A use case of a site that lost a way and still has another."""

    site: str
    usecase: str
    technologies: tuple[str, ...]


@dataclass(frozen=True)
class People:
    """People and households of some sites; None where no row gives them; `unknown`: sites whose row gives no people."""

    people: int | None
    households: int | None
    unknown: int


@dataclass(frozen=True)
class Restored:
    """The cheapest way back for a site over what is not lost.

    technology  of the new or rejoined terminal; None: no priced way is left
    yen         net present value of what is added; 0 where only what stands is rejoined
    metres      of new line
    line_m      metres of new line from the nearest junction that is still alive, if it is to be joined by line at all; None: no line leads there
    unpriced    technologies that may serve it but have no price
    arcs, steps what is added, by index of the problem; each step is counted once
    """

    site: str
    usecases: tuple[str, ...]
    technology: str | None
    yen: int | None
    metres: float
    line_m: float | None
    unpriced: tuple[str, ...]
    arcs: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What an event does to a design.

    lost_m  metres of the design's lines that are lost · kits: per kit technology, the sites off that it may serve, and the critical ones of them
    """

    event: Event
    off: tuple[Off, ...]
    kept: tuple[Kept, ...]
    unsure: tuple[Kept, ...]
    people: People
    lost_m: float
    kits: dict[str, tuple[int, int]]
    restored: tuple[Restored, ...] = ()

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites with a use case off."""
        return tuple(dict.fromkeys(off.site for off in self.off))


@dataclass(frozen=True)
class Link:
    """A street whose cut takes somebody off. `detour`: another street leads round it (None: the streets are not known)."""

    street: str
    sites: int
    critical: int
    pairs: int
    people: People
    kits: dict[str, tuple[int, int]]
    detour: bool | None


@dataclass(frozen=True)
class Kits:
    """Satellite kits of one technology for the worst event: sites off that it may serve, and the critical ones in their own worst event.

    Several kits do not stand for several technologies: each row would do by itself. `event`: the id of the worst event.
    """

    technology: str
    kits: int
    event: str
    critical_kits: int
    critical_event: str


class Drill:
    """One design, ready for many events."""

    def __init__(self, region: Region, problem: Problem, design: Design, technologies: Mapping[str, Technology]) -> None:
        self.region, self.problem, self.design, self.technologies = region, problem, design, technologies
        self.sites = {site.id: site for site in region.sites}
        self.places = {place.id: place for place in region.places}
        arcs, nodes = problem.arcs, problem.nodes
        self.tail = np.array([arc.tail for arc in arcs], np.int64)
        self.head = np.array([arc.head for arc in arcs], np.int64)
        self.length = np.array([arc.length_m for arc in arcs], np.float64)
        self.chosen = np.array(sorted(design.arcs), np.int64)
        self._street_arcs: dict[str, list[int]] = defaultdict(list)
        self._place_arcs: dict[str, list[int]] = defaultdict(list)
        self._site_arcs: dict[str, list[int]] = defaultdict(list)
        self._spur_arcs: dict[str, list[int]] = defaultdict(list)
        self._technology_arcs: dict[str, list[int]] = defaultdict(list)
        for index, arc in enumerate(arcs):
            head = nodes[arc.head]
            if arc.kind in ("line", "plant"):
                self._street_arcs[arc.ref].append(index)
            elif arc.kind == "exchange":
                self._place_arcs[arc.ref].append(index)
                self._spur_arcs[arc.ref].append(index)
            elif arc.kind == "drop" or (arc.kind == "feed" and nodes[arc.tail].kind == "junction"):
                self._spur_arcs[head.ref].append(index)
            if head.kind in ("mast", "facility"):
                self._place_arcs[head.ref].append(index)
            elif head.kind == "terminal":
                self._site_arcs[head.ref].append(index)
            if arc.kind in ("direct", "feed") and arc.technology is not None:
                self._technology_arcs[arc.technology].append(index)
        self._walk()
        self._copies()
        self._kits()
        self._ways: _Ways | None = None
        self._hours: dict[int, float] | None = None

    # ---------------------------------------------------------------------------------------------------------------- the design as a walk

    def _walk(self) -> None:
        """Number the nodes of the design so that what hangs below one is an interval: begin[node] … end[node] − 1; −1: not in the design."""
        count = len(self.problem.nodes)
        self.into = np.full(count, -1, np.int64)
        self.into[self.head[self.chosen]] = self.chosen
        below: dict[int, list[int]] = defaultdict(list)
        for arc in self.chosen.tolist():
            below[int(self.tail[arc])].append(int(self.head[arc]))
        self.begin = np.full(count, -1, np.int64)
        self.end = np.full(count, -1, np.int64)
        self.depth = np.zeros(count, np.int64)
        number, stack = 0, [0]
        while stack:
            node = stack.pop()
            if node < 0:
                self.end[~node] = number
                continue
            self.begin[node] = number
            number += 1
            stack.append(~node)
            for child in below[node]:
                self.depth[child] = self.depth[node] + 1
                stack.append(child)
        self.steps = number

    def _above(self, a: int, b: int) -> int:
        """The lowest node that both hang below."""
        while a != b:
            if self.depth[a] >= self.depth[b]:
                a = int(self.tail[self.into[a]])
            else:
                b = int(self.tail[self.into[b]])
        return a

    def _copies(self) -> None:
        """The served demands ("copies") of each (site, use case), as arrays."""
        problem = self.problem
        rows = [(d.site, d.usecase, d.node, int(self.tail[arc])) for d, arc in zip(problem.demands, self.design.served, strict=True) if arc >= 0]
        self.pairs = sorted({(site, usecase) for site, usecase, *_ in rows})
        number = {pair: index for index, pair in enumerate(self.pairs)}
        self.copy_pair = np.array([number[site, usecase] for site, usecase, *_ in rows], np.int64)
        self.copy_at = np.array([self.begin[node] for *_, node, _ in rows], np.int64)
        self.copy_node = [node for *_, node, _ in rows]
        self.copy_terminal = [terminal for *_, terminal in rows]
        self.copy_technology = [str(problem.nodes[terminal].technology) for *_, terminal in rows]
        carried = [problem.arcs[self.into[terminal]].kind == "direct" and problem.nodes[terminal].risk for *_, terminal in rows]
        self.copy_carrier = np.array([risk or "" for risk in carried], np.str_)

    def _kits(self) -> None:
        """Per technology that needs nothing on the ground: the pairs that it may serve, by the problem's arcs or as one that only lacks a price."""
        able: dict[str, set[tuple[str, str]]] = {
            id: set() for id, one in self.technologies.items() if one.wiring.pattern == "direct" and one.wiring.risk == "sky"
        }
        nodes, demand_at = self.problem.nodes, {demand.node: demand for demand in self.problem.demands}
        for arc in self.problem.arcs:
            demand = demand_at.get(arc.head)
            if arc.kind == "serve" and demand is not None and nodes[arc.tail].technology in able:
                able[str(nodes[arc.tail].technology)].add((demand.site, demand.usecase))
        lacking: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in self.problem.exclusions:
            if item.state == "unpriced":
                lacking[item.site, item.usecase].add(item.technology)
                if item.technology in able:
                    able[item.technology].add((item.site, item.usecase))
        self.unpriced = lacking
        self.able = {id: np.array([pair in found for pair in self.pairs], np.bool_) for id, found in sorted(able.items()) if found}

    # ---------------------------------------------------------------------------------------------------------------- events

    def run(self, event: Event, *, restore: bool = False) -> Outcome:
        """What an event does; with `restore` also the cheapest way back for each site that is off."""
        lost = self.lost(event)
        alive = ~self._dead(lost)[self.copy_at]
        on = self._pairs_with(alive)
        carried = np.isin(self.copy_carrier, UNSURE.get(event.kind, ()))
        sure = self._pairs_with(alive & ~carried)
        reason = self._reasons(event, on)
        technologies: dict[int, list[str]] = defaultdict(list)
        left: dict[int, list[str]] = defaultdict(list)
        for copy, pair in enumerate(self.copy_pair.tolist()):
            technologies[pair].append(self.copy_technology[copy])
            if alive[copy]:
                left[pair].append(self.copy_technology[copy])
        off, kept, unsure = [], [], []
        for pair, (site, usecase) in enumerate(self.pairs):
            ways = tuple(dict.fromkeys(left[pair]))
            if not on[pair]:
                off.append(Off(site, usecase, tuple(dict.fromkeys(technologies[pair])), reason.get(pair, "path")))
            elif not sure[pair]:
                unsure.append(Kept(site, usecase, ways))
            elif len(left[pair]) < len(technologies[pair]):
                kept.append(Kept(site, usecase, ways))
        kits = {}
        for id, able in self.able.items():
            if event.kind != "power" and id not in event.technologies:
                served = {row.site for pair, row in zip(np.flatnonzero(~on).tolist(), off, strict=True) if able[pair] and row.reason != "inside"}
                kits[id] = (len(served), sum(self.sites[site].critical for site in served if site in self.sites))
        outcome = Outcome(
            event=event,
            off=tuple(off),
            kept=tuple(kept),
            unsure=tuple(unsure),
            people=self.people({row.site for row in off}),
            lost_m=self._lost_metres(event),
            kits=kits,
        )
        if restore and event.kind != "power":
            self._ways = self._ways or _Ways(self)
            gone = np.zeros(len(self.problem.arcs), np.bool_)
            gone[list(lost)] = True
            restored = self._ways.back(gone, outcome.off)
            return replace(outcome, restored=restored)
        return outcome

    def lost(self, event: Event) -> set[int]:
        """The arcs of the problem that an event takes out; without the grid only those of the design are judged."""
        tables = (
            (self._street_arcs, event.streets),
            (self._place_arcs, event.places),
            (self._site_arcs, event.sites),
            (self._spur_arcs, event.spurs),
            (self._technology_arcs, event.technologies),
        )
        found = {arc for table, names in tables for name in names for arc in table.get(name, ())}
        if event.hours is not None:
            found |= {arc for arc, hours in self.hours.items() if not hours >= event.hours}
        return found

    @property
    def hours(self) -> dict[int, float]:
        """Arc of the design → hours that the equipment at its end lasts without the grid; NaN: nobody states them. Passive arcs are not listed."""
        if self._hours is None:
            self._hours = {arc: hours for arc in self.chosen.tolist() if (hours := self._arc_hours(arc)) is not None}
        return self._hours

    def _arc_hours(self, index: int) -> float | None:
        arc = self.problem.arcs[index]
        tail, head = self.problem.nodes[arc.tail], self.problem.nodes[arc.head]
        own = [arc.technology] if arc.technology is not None else []
        if arc.kind == "exchange":
            return self._stated(arc.ref, [])
        if arc.kind == "feed":
            return None if tail.kind == "junction" else self._stated(head.ref, own)
        if arc.kind == "open":
            return self._stated(head.ref, own)
        if arc.kind == "hop":
            ends = (self._stated(tail.ref, own), self._stated(head.ref, own))
            return math.nan if any(math.isnan(one) for one in ends) and not any(one == 0 for one in ends) else min(ends)
        if arc.kind in ("drop", "link", "direct"):
            return self._stated(head.ref, [*own, *(self.problem.prices[item].technology for item, _ in arc.items)])
        return None

    def _stated(self, row: str, technologies: Iterable[str]) -> float:
        """The longest of the hours that a row and the technologies at it state; NaN: none of them does."""
        at = self.sites.get(row) or self.places.get(row)
        found = [] if at is None or at.autonomy_h is None else [at.autonomy_h]
        for id in technologies:
            quantity = self.technologies[id].capability.autonomy_h if id in self.technologies else None
            if quantity is not None and quantity.value is not None:
                found.append(quantity.value)
        return max(found, default=math.nan)

    def _reasons(self, event: Event, on: Bools) -> dict[int, Reason]:
        """Why each pair is off, where it is not simply a cut way."""
        if event.hours is not None:
            short = {arc for arc, hours in self.hours.items() if hours < event.hours}
            known = self._pairs_with(~self._dead(short)[self.copy_at])
            return {pair: "unstated" if known[pair] else "power" for pair in np.flatnonzero(~on).tolist()}
        return {pair: "inside" for pair in np.flatnonzero(~on).tolist() if self.pairs[pair][0] in event.sites}

    def _dead(self, lost: Iterable[int]) -> Bools:
        """Steps of the walk that hang below a lost arc."""
        arcs = [arc for arc in lost if self.into[self.head[arc]] == arc and self.begin[self.head[arc]] >= 0]
        depth = np.zeros(self.steps + 1, np.int64)
        heads = self.head[np.array(arcs, np.int64)]
        np.add.at(depth, self.begin[heads], 1)
        np.add.at(depth, self.end[heads], -1)
        return np.cumsum(depth)[:-1] > 0

    def _pairs_with(self, copies: Bools) -> Bools:
        """Pairs with at least one of these copies."""
        return np.bincount(self.copy_pair[copies], minlength=len(self.pairs)) > 0

    def _lost_metres(self, event: Event) -> float:
        """Metres of the design's lines along the lost streets, each line of a street once, and of its lost spurs."""
        once: dict[tuple[str, ...], float] = {}
        mine = set(self.design.arcs)
        for street in event.streets:
            for arc in self._street_arcs.get(street, ()):
                if arc in mine:
                    once[street, str(self.problem.arcs[arc].technology)] = self.problem.arcs[arc].length_m
        for spur in event.spurs:
            for arc in self._spur_arcs.get(spur, ()):
                if arc in mine and self.problem.arcs[arc].kind != "exchange":
                    once[spur, "", self.problem.arcs[arc].kind] = self.problem.arcs[arc].length_m
        return math.fsum(once.values())

    def people(self, sites: Iterable[str]) -> People:
        """People and households of some sites."""
        rows = [self.sites[site] for site in sorted(set(sites)) if site in self.sites]
        people = [row.population for row in rows if row.population is not None]
        households = [row.households for row in rows if row.households is not None]
        return People(sum(people) if people else None, sum(households) if households else None, len(rows) - len(people))

    # ---------------------------------------------------------------------------------------------------------------- all links at once

    def links(self) -> list[Link]:
        """Every street of the design whose cut takes somebody off, the worst first: critical sites, then sites, then people.

        A pair is off when the street lies above the lowest common ancestor of its copies; the sums over all of them take one walk.
        Only a street that the design uses more than once (two networks, or both directions) is judged by itself.
        """
        uses: dict[str, list[int]] = defaultdict(list)
        for arc in self.chosen.tolist():
            if self.problem.arcs[arc].kind in ("line", "plant"):
                uses[self.problem.arcs[arc].ref].append(arc)
        single = {street: arcs[0] for street, arcs in uses.items() if len(arcs) == 1}
        meet: dict[int, int] = {}
        for copy, pair in enumerate(self.copy_pair.tolist()):
            node = self.copy_node[copy]
            meet[pair] = node if pair not in meet else self._above(meet[pair], node)
        every = np.ones(len(self.pairs), np.bool_)
        below = self._sites_below(meet, every)
        able = {id: self._sites_below(meet, mask) for id, mask in self.able.items()}
        counts = np.zeros(self.steps + 1, np.int64)
        for node in meet.values():
            counts[self.begin[node] + 1] += 1
        counts = np.cumsum(counts)
        bridges = None if self.region.links_are_candidates else dead_ends(self.region)
        rows = []
        for street, arcs in uses.items():
            detour = None if bridges is None else street not in bridges
            if street not in single:
                outcome = self.run(cut(self.region, [street]))
                critical = sum(self.sites[site].critical for site in outcome.sites if site in self.sites)
                rows.append(Link(street, len(outcome.sites), critical, len(outcome.off), outcome.people, outcome.kits, detour))
                continue
            first, last = int(self.begin[self.head[arcs[0]]]), int(self.end[self.head[arcs[0]]])
            sites, critical, people, with_people, households, with_households = (int(total[last] - total[first]) for total in below)
            known = People(people if with_people else None, households if with_households else None, sites - with_people)
            kits = {id: (int(total[0][last] - total[0][first]), int(total[1][last] - total[1][first])) for id, total in able.items()}
            rows.append(Link(street, sites, critical, int(counts[last] - counts[first]), known, kits, detour))
        rows = [row for row in rows if row.sites]
        return sorted(rows, key=lambda row: (-row.critical, -row.sites, -(row.people.people or 0), row.street))

    def _sites_below(self, meet: Mapping[int, int], mask: Bools) -> tuple[Ints, ...]:
        """Running sums along the walk; their difference over an interval counts each site once: sites, critical, people, rows with people, …"""
        at: dict[str, list[int]] = defaultdict(list)
        for pair, node in meet.items():
            if mask[pair]:
                at[self.pairs[pair][0]].append(node)
        totals = np.zeros((6, self.steps + 1), np.int64)
        for site, nodes in at.items():
            row = self.sites.get(site)
            population, households = (None, None) if row is None else (row.population, row.households)
            weight = np.array(
                [1, int(row is not None and row.critical), population or 0, population is not None, households or 0, households is not None], np.int64
            )
            nodes.sort(key=lambda node: int(self.begin[node]))
            for node in nodes:
                totals[:, self.begin[node] + 1] += weight
            for a, b in pairwise(nodes):  # where two of a site's nodes hang below one arc, so does what they meet at
                totals[:, self.begin[self._above(a, b)] + 1] -= weight
        return tuple(np.cumsum(totals, axis=1))

    def kits(self, outcomes: Sequence[Outcome], links: Sequence[Link] = ()) -> list[Kits]:
        """Kits for the worst of some events and of all single streets: per technology, most first."""
        given = [(outcome.event.id, outcome.kits) for outcome in outcomes] + [(f"street:{link.street}", link.kits) for link in links]
        found = []
        for id in self.able:
            known = [(event, kits[id]) for event, kits in given if id in kits]
            if not known:
                continue
            worst, critical = (max(known, key=lambda row: row[1][which]) for which in (0, 1))
            found.append(Kits(id, worst[1][0], worst[0], critical[1][1], critical[0]))
        return sorted(found, key=lambda row: (-row.kits, row.technology))

    def single_points(self) -> list[Outcome]:
        """The exchanges and masts of the design whose loss takes somebody off, the worst first; streets are those of `links`."""
        mine = set(self.design.arcs)
        used = [id for id in sorted(self.places) if any(arc in mine for arc in self._place_arcs.get(id, ()))]
        rows = [self.run(lose_place(self.region, id)) for id in used]
        return sorted((row for row in rows if row.off), key=lambda row: (-len(row.sites), row.event.id))


class _Ways:
    """Cheapest ways back over what is not lost: what stands costs nothing, in both directions."""

    def __init__(self, drill: Drill) -> None:
        self.drill = drill
        problem = drill.problem
        self.cost = np.array([arc.cost for arc in problem.arcs], np.float64)
        self.laid = np.array([arc.kind in LAID for arc in problem.arcs], np.bool_)
        self.by_line = np.array([arc.kind in ("exchange", *LAID) for arc in problem.arcs], np.bool_)
        self.dropped = {arc.head for arc in problem.arcs if arc.kind == "drop"}
        self.is_serve = np.array([arc.kind == "serve" for arc in problem.arcs], np.bool_)
        keys: dict[tuple[str, str, str], int] = {}
        code = [-1 - index for index in range(len(problem.arcs))]  # an arc by itself
        for index, arc in enumerate(problem.arcs):
            if arc.kind in ("line", "plant"):
                code[index] = keys.setdefault((arc.kind, str(arc.technology), arc.ref), len(keys))
        self.code = np.array(code, np.int64)
        built = np.zeros(len(keys), np.bool_)
        mine = np.zeros(len(problem.arcs), np.bool_)
        mine[drill.chosen] = True
        built[self.code[mine & (self.code >= 0)]] = True
        self.stands = mine.copy()
        self.stands[self.code >= 0] = built[self.code[self.code >= 0]]
        self.order = np.lexsort((drill.head, drill.tail))
        tail, head = drill.tail[self.order], drill.head[self.order]
        first = np.ones(len(tail), np.bool_)
        first[1:] = (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])
        self.first = np.flatnonzero(first)
        self.rows, self.cols = tail[self.first], head[self.first]
        self.arcs_of = {(int(a), int(b)): (int(i), int(j)) for a, b, i, j in zip(self.rows, self.cols, self.first, [*self.first[1:], len(tail)], strict=True)}
        self.serve: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)  # pair → terminal → serve arc
        demand_at = {demand.node: demand for demand in problem.demands}
        for index in np.flatnonzero(self.is_serve).tolist():
            demand = demand_at[problem.arcs[index].head]
            self.serve[demand.site, demand.usecase].setdefault(problem.arcs[index].tail, index)
        self.rates = {(demand.site, demand.usecase): (demand.down_mbps, demand.up_mbps) for demand in problem.demands}
        self.limits = {limit.technology: limit for limit in problem.limits}
        self.used = {problem.arcs[arc].technology for arc in drill.design.arcs}

    def back(self, gone: Bools, off: Sequence[Off]) -> tuple[Restored, ...]:
        """The cheapest way back per site, each by itself: what several sites could share is not taken into account."""
        drill = self.drill
        usecases: dict[str, list[str]] = defaultdict(list)
        for row in off:
            if row.reason != "inside":
                usecases[row.site].append(row.usecase)
        if not usecases:
            return ()
        weight = np.where(self.stands, 1e-9, self.cost + 1e-6) + 1e-9 * drill.length  # ties: fewer metres
        weight[gone | self.is_serve] = np.inf
        far, came = self._search(weight)
        metres = np.where(self.stands, 1e-9, drill.length + 1e-9)
        metres[gone | ~(self.stands | self.by_line)] = np.inf
        near, _ = self._search(metres)
        return tuple(self._site(site, found, far, came, weight[self.order], near) for site, found in sorted(usecases.items()))

    def _search(self, weight: Floats) -> tuple[Floats, Ints]:
        """Least weight from the world to each node, and the node before it; of parallel arcs the lighter counts."""
        least = np.minimum.reduceat(weight[self.order], self.first)
        keep = np.isfinite(least)
        count = len(self.drill.problem.nodes)
        graph = csr_matrix((least[keep], (self.rows[keep], self.cols[keep])), shape=(count, count))
        far, came = dijkstra(graph, indices=0, return_predecessors=True)
        return far, came

    def _site(self, site: str, usecases: list[str], far: Floats, came: Ints, weight: Floats, near: Floats) -> Restored:
        problem = self.drill.problem
        unpriced = tuple(sorted(set().union(*(self.drill.unpriced.get((site, usecase), set()) for usecase in usecases))))
        terminals = {terminal for usecase in usecases for terminal in self.serve.get((site, usecase), ()) if np.isfinite(far[terminal])}
        options = []
        joined = {terminal for terminal in terminals if terminal in self.dropped and np.isfinite(near[terminal])}
        line_m = min((round(float(near[terminal]), 3) for terminal in joined), default=None)
        for terminal in sorted(terminals):
            able = [usecase for usecase in usecases if terminal in self.serve[site, usecase]]
            arcs = self._path(terminal, came, weight)
            serve = [self.serve[site, usecase][terminal] for usecase in able]
            technology = str(problem.nodes[terminal].technology)
            if not self._fits(technology, site, able, arcs):
                continue
            new = [arc for arc in arcs if not self.stands[arc]]
            added = (*new, *serve)
            fresh = {problem.arcs[arc].technology for arc in arcs} - self.used
            steps = tuple(index for index, step in enumerate(problem.steps) if step.technology in fresh)
            yen = sum(problem.arcs[arc].cost for arc in added) + sum(problem.steps[index].cost for index in steps)
            metres = math.fsum(problem.arcs[arc].length_m for arc in new if self.laid[arc])
            options.append((-len(able), yen, metres, technology, tuple(able), added, steps))
        if not options:
            return Restored(site, tuple(usecases), None, None, 0.0, line_m, unpriced)
        _, yen, metres, technology, able_now, added, steps = min(options)
        return Restored(site, able_now, technology, yen, metres, line_m, unpriced, added, steps)

    def _path(self, node: int, came: Ints, weight: Floats) -> list[int]:
        arcs = []
        while node:
            before = int(came[node])
            first, last = self.arcs_of[before, node]
            arcs.append(int(self.order[first + int(np.argmin(weight[first:last]))]))
            node = before
        return arcs

    def _fits(self, technology: str, site: str, usecases: list[str], arcs: list[int]) -> bool:
        """Reach and rate of a terminal, as far as one site decides them."""
        limit = self.limits.get(technology)
        if limit is None:
            return True
        metres = math.fsum(self.drill.problem.arcs[arc].length_m for arc in arcs if self.laid[arc])
        if limit.reach_m is not None and self.drill.problem.arcs[arcs[0]].kind == "drop" and metres > limit.reach_m:
            return False
        down, up = (math.fsum(self.rates[site, usecase][which] for usecase in usecases) for which in (0, 1))
        return (limit.down_mbps is None or down <= limit.down_mbps) and (limit.up_mbps is None or up <= limit.up_mbps)


def dead_ends(region: Region) -> frozenset[str]:
    """The streets that no other street leads round: the bridges of the street graph.

    Source: R. E. Tarjan, "A note on finding the bridges of a graph", Information Processing Letters 2 (1974) 160–161, by depth-first low points.
    """
    number = {junction.id: index for index, junction in enumerate(region.junctions)}
    beside: list[list[tuple[int, int]]] = [[] for _ in region.junctions]
    for index, street in enumerate(region.streets):
        a, b = number[street.a], number[street.b]
        beside[a].append((b, index))
        beside[b].append((a, index))
    seen = [-1] * len(beside)
    low = [0] * len(beside)
    found, clock = set(), 0
    for start in range(len(beside)):
        if seen[start] >= 0:
            continue
        seen[start] = low[start] = clock
        clock += 1
        stack = [(start, -1, 0)]
        while stack:
            node, by, turn = stack.pop()
            if turn < len(beside[node]):
                stack.append((node, by, turn + 1))
                other, street_index = beside[node][turn]
                if street_index == by:
                    continue
                if seen[other] >= 0:
                    low[node] = min(low[node], seen[other])
                else:
                    seen[other] = low[other] = clock
                    clock += 1
                    stack.append((other, street_index, 0))
            elif stack:
                before = stack[-1][0]
                low[before] = min(low[before], low[node])
                if low[node] > seen[before]:
                    found.add(region.streets[by].id)
    return frozenset(found)
