"""The design problem of a region: needs, admissible technologies, candidate arcs and prices put together.

In: a region, the wanted (site, use case) pairs, the catalogue and the prices. Out: a Problem, which the solver and the checker read.
The solving is left to design.solve, the words to design.explain.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Literal

from kiban.base.errors import DesignError, ManyErrors
from kiban.design.admit import Asked, ask_all, capability_value, judge, judge_upstream, needs_addition
from kiban.design.radio.sight import Sight
from kiban.design.shelf import HasPrices, Items, Shelf
from kiban.design.skeleton import ROOT, Candidate, Key, Skeleton
from kiban.records.design import Arc, Demand, EnergyUse, Exclusion, Limit, Node, Price, Problem, Step
from kiban.records.region import Region, Site
from kiban.records.technology import RiskClass, Technology
from kiban.records.terrain import Terrain
from kiban.records.usecase import UseCase

SERVING = ("drop", "cell", "direct")
ACTIVE = (*SERVING, "hop")  # a line along the street takes no power of its own
_NODE_ORDER = {"root": 0, "junction": 1, "mast": 2, "facility": 3, "terminal": 4, "demand": 5}


def build(
    region: Region,
    wanted: Sequence[tuple[str, str]],
    usecases: Mapping[str, UseCase],
    technologies: Mapping[str, Technology],
    priced: Mapping[str, HasPrices | Sequence[Price]],
    *,
    start: int,
    horizon: int,
    discount: float,
    backup: bool = True,
    free: Mapping[str, float] | None = None,
    terrain: Terrain | None = None,
    peak: float = 1.0,
) -> Problem:
    """Put the design problem together.

    Parameters
    ----------
    wanted           (site id, use case id) pairs, any order
    priced           per technology its prices (finance.Priced or Price records); () or absent: unpriced
    start, horizon   first fiscal year, number of fiscal years
    discount         1/year, 0.04 means 4 %
    backup           False: no demand is duplicated over risk classes
    free             technology id → yen per unit (facility, site, km or hop as the pattern counts): priced at that, whatever `priced` says
    peak             how many times today's busy-hour volume a shared link may come to carry: a capacity that only this fills has its step too
    terrain          heights of the ground; None, or too coarse (records.terrain): radio carries as far as its radius and reach say

    Returns
    -------
    Problem with nodes, arcs, demands and exclusions in an order that does not depend on the order of rows

    Raises
    ------
    DesignError  an unknown site, use case or technology, or a price in a unit that its pattern cannot count; all of them at once
    """
    sites = {site.id: site for site in region.sites}
    pairs = sorted(set(wanted))
    free = free or {}
    _check_known(pairs, sites, usecases, free, technologies)
    shelf = Shelf(technologies, priced, free, horizon)
    asked = ask_all(pairs, sites, usecases)
    additions = _additions(technologies, shelf)
    longest = additions[-1][0] if additions else 0.0

    exclusions: list[Exclusion] = []
    allowed: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
    hours: dict[tuple[str, str], float] = {}
    for need in asked:
        for id in sorted(technologies):
            if technologies[id].wiring.pattern not in SERVING:
                continue
            own = sites[need.site].autonomy_h or 0.0
            against = judge(need, technologies[id], sites[need.site].covered.get(id), max(longest, own))
            if against:
                exclusions += [
                    Exclusion(site=need.site, usecase=need.usecase, technology=id, need=v.need, state=v.state, required=v.required, available=v.available)
                    for v in against
                ]
                continue
            allowed[need.site, need.usecase].append(id)
            hours[need.site, id] = max(hours.get((need.site, id), 0.0), needs_addition(need, technologies[id], own))

    served: dict[str, set[str]] = defaultdict(set)
    for (site, _), ids in allowed.items():
        for id in ids:
            served[id].add(site)
    addition = {key: next(items for given, items in additions if given >= wish) for key, wish in hours.items() if wish > 0}
    skeleton = Skeleton(region, technologies, shelf, {id: frozenset(found) for id, found in served.items()}, addition, Sight(terrain))

    graph = _Demands(technologies, shelf, skeleton, sites, backup)
    for need in asked:
        exclusions += graph.add(need, allowed[need.site, need.usecase])
    return _records(graph, region.id, start, horizon, discount, exclusions, peak)


def _check_known(
    pairs: list[tuple[str, str]], sites: Mapping[str, Site], usecases: Mapping[str, UseCase], free: Mapping[str, float], technologies: Mapping[str, Technology]
) -> None:
    problems: list[DesignError] = []
    problems += [DesignError("wanted", f"site {id!r}", "a site of the region", "correct the id") for id in sorted({s for s, _ in pairs} - set(sites))]
    problems += [
        DesignError("wanted", f"use case {id!r}", "a use case of the catalogue", "correct the id") for id in sorted({u for _, u in pairs} - set(usecases))
    ]
    problems += [DesignError("free", f"technology {id!r}", "a technology of the catalogue", "correct the id") for id in sorted(set(free) - set(technologies))]
    if problems:
        raise problems[0] if len(problems) == 1 else ManyErrors("design problem", list(problems))


def _additions(technologies: Mapping[str, Technology], shelf: Shelf) -> list[tuple[float, Items]]:
    """Priced additions inside a site that give autonomy: (hours, items), rising hours, none dearer than a longer one. Only those priced per site."""
    found = []
    for id in sorted(technologies):
        hours = capability_value(technologies[id].capability, "autonomy_h")
        items = shelf.items(id, {"site": 1, "facility": 1})
        if technologies[id].wiring.pattern == "site" and hours and items and not shelf.items(id, {"system": 1, "device": 1}):
            found.append((hours, items))
    found.sort(key=lambda pair: (-pair[0], shelf.cost(pair[1])))
    kept: list[tuple[float, Items]] = []
    for hours, items in found:
        if not kept or shelf.cost(items) < shelf.cost(kept[-1][1]):
            kept.append((hours, items))
    return kept[::-1]


def depends(risk: RiskClass) -> frozenset[RiskClass]:
    """The risk classes that a supply depends on; what comes over the sea floor goes on below a road.

    >>> sorted(depends("sea")), sorted(depends("none"))
    (['road', 'sea'], [])
    """
    return frozenset({"road", "sea"} if risk == "sea" else {risk} - {"none"})


class _Demands:
    """Adds demands and serve arcs to a skeleton, and says what no arc reaches."""

    def __init__(self, technologies: Mapping[str, Technology], shelf: Shelf, skeleton: Skeleton, sites: Mapping[str, Site], backup: bool) -> None:
        self.technologies, self.shelf, self.sites, self.backup = technologies, shelf, sites, backup
        candidates = skeleton.build()
        self.sight, self.near = skeleton.sight, skeleton.near
        self.arcs = [arc for arc in candidates if arc.priced]
        out_all, out_priced = defaultdict(list), defaultdict(list)
        for arc in candidates:
            out_all[arc.tail].append(arc.head)
            if arc.priced:
                out_priced[arc.tail].append(arc.head)
        self.possible, self.reached = _reach(out_all), _reach(out_priced)
        self.terminals: dict[tuple[str, str], list[Key]] = defaultdict(list)
        for key in sorted(key for key in self.possible if key.kind == "terminal"):
            self.terminals[key.ref, key.technology].append(key)
        self.demands: list[tuple[Key, Demand]] = []
        self.no_way: list[tuple[str, str, str | None, tuple[str, ...]]] = []

    def add(self, need: Asked, allowed: list[str]) -> list[Exclusion]:
        """The demand (one per risk class with backup), its serve arcs, and what falls out for want of a place or a price."""
        lost: list[Exclusion] = []
        ways: list[tuple[str, Key]] = []
        for id in allowed:
            found = [key for key in self.terminals[need.site, id] if not key.way or judge_upstream(need, self.technologies[id], self.technologies[key.way])]
            ways += [(id, key) for key in found]
            if not any(key in self.reached for key in found):
                radius_unknown = self.technologies[id].wiring.pattern == "cell" and capability_value(self.technologies[id].capability, "radius_km") is None
                state: Literal["fails", "unknown", "unpriced"] = "unpriced" if found else "unknown" if radius_unknown else "fails"
                behind = None if found else self.sight.why(need.site, id, self.near.get((need.site, id), ()))
                if behind is not None:
                    lost.append(
                        Exclusion(
                            site=need.site, usecase=need.usecase, technology=id, need=behind.need, state="fails", required=behind.required,
                            available=behind.available,
                        )
                    )  # fmt: skip
                    continue
                lost.append(Exclusion(site=need.site, usecase=need.usecase, technology=id, need="price" if found else "place", state=state))
        for without in self._copies(need, ways):
            usable = [(id, key) for id, key in ways if without is None or without not in depends(key.risk)]
            priced = [(id, key) for id, key in usable if key in self.reached]
            if not priced:
                self.no_way.append((need.site, need.usecase, without, tuple(sorted({id for id, _ in usable} & {row.technology for row in lost}))))
                continue
            node = Key("demand", need.site, need.usecase, "none", without or "")
            for id, key in priced:
                items = self.shelf.items(id, {"device": need.devices})
                self.arcs.append(Candidate(key, node, "serve", id, need.usecase, 0.0, items, True))
            down, up = need.values.get("down_mbps", 0.0), need.values.get("up_mbps", 0.0)
            record = Demand(node=1, site=need.site, usecase=need.usecase, without=without, down_mbps=down, up_mbps=up, devices=need.devices)
            self.demands.append((node, record))
        return lost

    def _copies(self, need: Asked, ways: list[tuple[str, Key]]) -> list[RiskClass | None]:
        """Without backup one demand; with it one per class that a way depends on, and the plain one when the classes leave no priced way at all."""
        if not (self.backup and need.backup):
            return [None]
        classes: list[RiskClass | None] = []
        classes += sorted({risk for _, key in ways for risk in depends(key.risk)})
        covered = any(key in self.reached and any(c is not None and c not in depends(key.risk) for c in classes) for _, key in ways)
        return classes if covered else [*classes, None]


def _reach(out: Mapping[Key, list[Key]]) -> set[Key]:
    seen, queue = {ROOT}, deque([ROOT])
    while queue:
        for head in out.get(queue.popleft(), ()):
            if head not in seen:
                seen.add(head)
                queue.append(head)
    return seen


def _records(graph: _Demands, region: str, start: int, horizon: int, discount: float, exclusions: list[Exclusion], peak: float) -> Problem:
    """Keep what lies on a way from the root to a demand, number it, and write the records."""
    back = defaultdict(list)
    for arc in graph.arcs:
        if arc.tail in graph.reached or arc.kind == "serve":
            back[arc.head].append(arc.tail)
    needed = {node for node, _ in graph.demands} | {ROOT}
    queue = deque(needed)
    while queue:
        for tail in back[queue.popleft()]:
            if tail not in needed:
                needed.add(tail)
                queue.append(tail)
    keys = sorted(needed, key=lambda key: (_NODE_ORDER[key.kind], *key))
    number = {key: index for index, key in enumerate(keys)}
    kept = [arc for arc in graph.arcs if arc.head in needed and arc.tail in needed and arc.head != ROOT]
    kept.sort(key=lambda arc: (number[arc.tail], number[arc.head], arc.kind, arc.technology or "", arc.ref, arc.items))

    used = {arc.technology for arc in kept if arc.technology}
    steps = [step for id in sorted(used) for step in _steps(graph, id, peak)]
    prices = sorted({id for arc in kept for id, _ in arc.items} | {id for _, items in steps for id, _ in items})
    place = {id: index for index, id in enumerate(prices)}

    numbers: dict[Items, tuple[tuple[int, float], ...]] = {}

    def numbered(items: Items) -> tuple[tuple[int, float], ...]:
        if items not in numbers:
            numbers[items] = tuple((place[id], units) for id, units in items)
        return numbers[items]

    return Problem(
        region=region,
        start=start,
        horizon=horizon,
        discount=discount,
        prices=tuple(graph.shelf.prices[id] for id in prices),
        nodes=tuple(Node(kind=k.kind, ref=k.ref, technology=k.technology or None, risk=k.risk) for k in keys),
        arcs=tuple(
            Arc(
                tail=number[a.tail], head=number[a.head], kind=a.kind, technology=a.technology, ref=a.ref, length_m=a.length_m,
                items=numbered(a.items), cost=graph.shelf.cost(a.items),
            )
            for a in kept
        ),
        demands=tuple(_moved(demand, number[node]) for node, demand in graph.demands),
        steps=tuple(_with(step, numbered(items), graph.shelf.cost(items)) for step, items in steps),
        limits=tuple(limit for id in sorted(used) if (limit := _limit(id, graph.technologies[id])) is not None),
        exclusions=tuple(sorted(exclusions, key=lambda e: (e.site, e.usecase, e.technology, e.need))),
        no_way=tuple(graph.no_way),
        terrain=graph.sight.looked(),
        energy=tuple(_energy(id, graph.technologies[id]) for id in sorted(used) if graph.technologies[id].wiring.pattern in ACTIVE),
    )  # fmt: skip


def _moved(demand: Demand, node: int) -> Demand:
    return Demand(
        node=node, site=demand.site, usecase=demand.usecase, without=demand.without, down_mbps=demand.down_mbps, up_mbps=demand.up_mbps, devices=demand.devices
    )


def _with(step: Step, items: tuple[tuple[int, float], ...], cost: int) -> Step:
    return Step(technology=step.technology, level=step.level, load=step.load, capacity=step.capacity, free=step.free, items=items, cost=cost)


def _energy(id: str, technology: Technology) -> EnergyUse:
    """What the file says of its electricity."""
    quantity = technology.kwh_per_year
    return EnergyUse(technology=id, per=technology.energy_per, kwh=None if quantity is None else quantity.value)


def _limit(id: str, technology: Technology) -> Limit | None:
    """Reach of a drop, rates of a terminal."""
    if technology.wiring.pattern not in SERVING:
        return None
    reach = capability_value(technology.capability, "reach_km") if technology.wiring.pattern == "drop" else None
    down, up = (capability_value(technology.capability, name) for name in ("down_mbps", "up_mbps"))
    return (
        None
        if reach is None and down is None and up is None
        else Limit(technology=id, reach_m=None if reach is None else reach * 1000, down_mbps=down, up_mbps=up)
    )


def _steps(graph: _Demands, id: str, peak: float) -> list[tuple[Step, Items]]:
    """Capacity and system steps of one technology; steps that cost nothing are left out.

    The load whose capacity the demands of the region would fill most is counted from the first unit; any other known capacity adds units
    beyond the first only, so that a group limited in two ways may pay too much but never too little.
    """
    technology, shelf, found = graph.technologies[id], graph.shelf, []
    per_unit = shelf.items(id, {"facility": 1})
    if technology.wiring.pattern in ("cell", "drop") and shelf.cost(per_unit) > 0:
        level: Literal["facility", "exchange"] = "facility" if technology.wiring.pattern == "cell" else "exchange"
        first = 1 if level == "facility" else 0
        reachable = {arc.head for arc in graph.arcs if arc.kind == "serve" and arc.technology == id}
        totals: dict[Literal["sites", "devices", "mbps"], float] = {"sites": 0.0, "devices": 0.0, "mbps": 0.0}
        once = {(d.site, d.usecase): d for node, d in graph.demands if node in reachable}
        totals["sites"] = float(len({site for site, _ in once}))
        totals["devices"] = math.fsum(d.devices for d in once.values())
        totals["mbps"] = math.fsum(d.down_mbps for d in once.values())
        known = [(load, value) for load in totals if (value := capability_value(technology.capability, f"{load}_per_facility"))]
        known.sort(key=lambda pair: -totals[pair[0]] / pair[1])
        for order, (load, capacity) in enumerate(known):
            if order == 0 or totals[load] * (peak if load == "mbps" else 1.0) > capacity:
                found.append((Step(technology=id, level=level, load=load, capacity=capacity, free=max(first, min(order, 1))), per_unit))
        if not known and level == "exchange":
            found.append((Step(technology=id, level=level, load="none"), per_unit))
    whole = [shelf.items(id, {"system": 1})] if technology.wiring.pattern != "plant" else [shelf.items(id, {"system": 1}, p) for p in shelf.plants(id)]
    together = tuple(item for items in whole for item in items)
    if shelf.cost(together) > 0:
        found.append((Step(technology=id, level="system", load="none"), together))
    return found
