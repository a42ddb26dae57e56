"""The problem against the records it was made from: is every option that the records admit there, and none that they do not?

In: a problem, the region, use cases and technologies by id. Out: one finding per sentence of ADMISSION. A graph from which options were thinned
has too high a bound, so this is where an optimistic proof is caught. Only what the records decide alone is judged here: an option whose state
hangs on something unknown must be neither there nor priced, but is not called missing.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

from kiban.check.constraints import SHOWN
from kiban.check.view import LINE_KINDS
from kiban.records.design import CheckReport, Demand, Finding, Problem
from kiban.records.region import Place, Region, Site
from kiban.records.source import Quantity, Text
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
    """Great-circle distance."""
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
        """Need → whether the technology meets it; needs that nobody knows are left out."""
        needs, can, here = self.usecases[usecase].needs, self.technologies[technology].capability, self.sites[site]
        found: dict[str, State] = {}
        for name in (*AT_LEAST, "one_way_ms"):
            wanted = need_value(getattr(needs, name), here)
            quantity: Quantity | None = getattr(can, name)
            if wanted is None:
                continue
            if quantity is None or quantity.value is None:
                if name != "message_bytes":  # no limit known
                    found[name] = "unknown"
            else:
                good = quantity.value <= wanted if name == "one_way_ms" else quantity.value >= wanted
                found[name] = "ok" if good else "fails"
        if needs.iot is not None and needs.iot.value == 1:
            found["iot"] = "unknown" if can.iot is None or can.iot.value is None else "ok" if can.iot.value == 1 else "fails"
        elif can.broadband is not None and can.broadband.value == 0:
            found["broadband"] = "open"
        if self.technologies[technology].wiring.needs_coverage:
            covered = here.covered.get(technology)
            found["coverage"] = "unknown" if covered is None else "ok" if covered else "fails"
        return found

    def has_place(self, site: str, technology: str) -> bool:
        """True when the graph has what the technology hangs on near the site: a junction with its network, or a mast within its radius."""
        wiring, nodes = self.technologies[technology].wiring, self.problem.nodes
        if wiring.pattern == "direct":
            return True
        if wiring.pattern == "drop":
            return site in self.region.attach and any(node.kind == "junction" and node.ref == self.region.attach[site][0] for node in nodes)
        radius = self.technologies[technology].capability.radius_km
        masts = {node.ref for node in nodes if node.kind == "mast"}
        near = (p.id for p in self.region.places if radius and radius.value and kilometres(p, self.sites[site]) <= radius.value * (1 - MARGIN))
        return any(place in masts for place in near)

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


def offered_rightly(records: Records) -> Iterator[str]:
    """No arc serves a need that the technology misses or of which nobody knows whether it meets it."""
    for site, usecase, technology in sorted(records.offered):
        if site not in records.sites or usecase not in records.usecases or technology not in records.technologies:
            yield f"{site}・{usecase}・{technology}: 記録にない / not in the records"
            continue
        bad = [name for name, state in records.needs(site, usecase, technology).items() if state in ("fails", "unknown")]
        if bad:
            yield f"{site}・{usecase}: {technology} は {', '.join(bad)} を満たすと言えない / the records do not say that it meets them"


def nothing_left_out(records: Records) -> Iterator[str]:
    """Each technology that meets all needs of a pair has an arc, or an exclusion."""
    excluded = {(item.site, item.usecase, item.technology) for item in records.problem.exclusions}
    for site, usecase in sorted(records.pairs):
        for technology in sorted(records.technologies):
            key = (site, usecase, technology)
            if records.technologies[technology].wiring.pattern not in ("drop", "cell", "direct") or key in records.offered or key in excluded:
                continue
            good = all(state == "ok" for state in records.needs(*key).values())
            if good and technology in records.priced and records.has_place(site, technology):
                yield f"{site}・{usecase}: {technology} は使えるのに枝も除外理由もない / admissible and priced, yet neither arc nor exclusion"


def exclusions_true(records: Records) -> Iterator[str]:
    """Each exclusion has the reason that it names."""
    for item in records.problem.exclusions:
        if item.site not in records.sites or item.usecase not in records.usecases or item.technology not in records.technologies:
            yield f"{item.site}・{item.usecase}・{item.technology}: 記録にない / not in the records"
            continue
        states = records.needs(item.site, item.usecase, item.technology)
        if item.state == "unpriced":
            true = item.technology not in records.priced
        elif item.need == "place":
            true = not records.has_place(item.site, item.technology)
        else:
            true = states.get(item.need) in (item.state, "open")
        if not true:
            yield f"{item.site}・{item.usecase}: {item.technology} の除外理由 {item.need}（{item.state}）は記録と合わない / the records do not say so"


def demands_true(records: Records) -> Iterator[str]:
    """Rates and devices of a demand are the needs of its use case at its site."""
    for (site, usecase), rows in sorted(records.pairs.items()):
        needs = records.usecases[usecase].needs
        for name in ("down_mbps", "up_mbps"):
            wanted = need_value(getattr(needs, name), records.sites[site]) or 0.0
            if any(not math.isclose(getattr(row, name), wanted, rel_tol=1e-9, abs_tol=1e-9) for row in rows):
                yield f"{site}・{usecase}: {name} が要件 {wanted:g} と違う / differs from the need {wanted:g}"


def backups_true(records: Records) -> Iterator[str]:
    """A critical site with backup has a demand without each risk class that could serve it; any other pair has one demand without condition."""
    nodes = records.problem.nodes
    classes: dict[int, set[str]] = defaultdict(set)
    for arc in records.problem.arcs:
        if arc.kind == "serve":
            classes[arc.head].add(nodes[arc.tail].risk)
    listed = {(site, usecase, without) for site, usecase, without, _ in records.problem.no_way}
    for (site, usecase), rows in sorted(records.pairs.items()):
        given = {row.without for row in rows} | {without for s, u, without in listed if (s, u) == (site, usecase)}
        backup = records.usecases[usecase].needs.backup
        if records.sites[site].critical and backup is not None and backup.value == 1:
            possible = set().union(*(classes[row.node] for row in rows)) if rows else set()
            if not possible <= given or not given - {None}:
                yield f"{site}・{usecase}: 代替経路の需要 {sorted(map(str, given))}、可能な要因 {sorted(possible)} / backup demands leave a class out"
        elif given != {None}:
            yield f"{site}・{usecase}: 条件 {sorted(map(str, given))} は不要 / a condition that nobody asked for"


def cells_complete(records: Records) -> Iterator[str]:
    """A facility of a cell technology has a link to each terminal of its technology within its radius, and to none beyond."""
    problem, nodes = records.problem, records.problem.nodes
    places = {place.id: place for place in records.region.places}
    links = {(nodes[arc.tail].ref, nodes[arc.tail].risk, nodes[arc.head].ref, nodes[arc.tail].technology) for arc in problem.arcs if arc.kind == "link"}
    facilities = {(node.ref, node.risk, node.technology) for node in nodes if node.kind == "facility"}
    wanted = {(site, technology) for site, _, technology in records.offered}
    for place, risk, technology in sorted((f for f in facilities if f[0] in places and f[2] in records.technologies), key=str):
        quantity = records.technologies[technology or ""].capability.radius_km
        radius = quantity.value if quantity is not None else None
        for site in records.region.sites if radius is not None else ():
            assert radius is not None
            far, has = kilometres(places[place], site), (place, risk, site.id, technology) in links
            if not has and far <= radius * (1 - MARGIN) and (site.id, technology) in wanted:
                yield f"{place} → {site.id}: {technology} の範囲内（{far:.1f} km）なのに枝がない / within range, yet no link"
            if has and far > radius * (1 + MARGIN):
                yield f"{place} → {site.id}: {technology} の範囲外（{far:.1f} km）/ a link beyond range"


def lines_complete(records: Records) -> Iterator[str]:
    """The graph's shortest line to each terminal is as long as the streets say: none was left out, none was shortened."""
    problem, nodes = records.problem, records.problem.nodes
    networks = {t.wiring.network for name, t in records.technologies.items() if t.wiring.pattern == "line" and name in records.priced}
    metres = _graph_metres(problem)
    least, most = records.street_metres
    for index, node in enumerate(nodes):
        technology = records.technologies.get(node.technology or "")
        if node.kind != "terminal" or technology is None or technology.wiring.pattern != "drop" or technology.wiring.network not in networks:
            continue
        junction, off = records.region.attach.get(node.ref, ("", 0.0))
        low, high = least.get(junction, math.inf) - 1, most.get(junction, math.inf) * 1.001 + off + 1
        if not low <= metres.get(index, math.inf) <= high:
            yield f"{node.ref}: 線路 {metres.get(index, math.inf):,.0f} m、道路では {low:,.0f}〜{high:,.0f} m / line and streets differ"


def _graph_metres(problem: Problem) -> dict[int, float]:
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


ADMISSION: dict[str, tuple[Text, Callable[[Records], Iterator[str]]]] = {
    "offered": (Text(ja="要件を満たすと言える技術だけに枝がある。", en="Only technologies that meet the needs have arcs."), offered_rightly),
    "left_out": (Text(ja="使える技術は、枝か除外理由を持つ。", en="Each admissible technology has an arc or an exclusion."), nothing_left_out),
    "exclusions": (Text(ja="除外理由は、記録と合う。", en="Each exclusion has the reason that it names."), exclusions_true),
    "demands": (Text(ja="需要の値は、要件どおりである。", en="Each demand is what its use case needs there."), demands_true),
    "backups": (Text(ja="代替経路の需要は、過不足がない。", en="Backup demands are complete."), backups_true),
    "cells": (Text(ja="範囲内の地点へは、基地局などから枝がある。", en="Each site within radius has a link."), cells_complete),
    "lines": (Text(ja="線路の長さは、道路網と合う。", en="Lines are as long as the streets."), lines_complete),
}


def check_problem(problem: Problem, region: Region, usecases: Mapping[str, UseCase], technologies: Mapping[str, Technology]) -> CheckReport:
    """Judge a problem by the records that it was made from: one finding per sentence of ADMISSION.

    `technologies`: those that the design was allowed to use, by id. Prices are judged with the design (`check_design`).
    """
    records = Records(problem, region, usecases, technologies)
    findings = []
    for name, (text, breaches) in ADMISSION.items():
        found = breaches(records)
        lines = list(islice(found, SHOWN))
        more = sum(1 for _ in found)
        told = "; ".join(lines) + (f"; ほか {more} 件 / {more} more" if more else "")
        findings.append(Finding(constraint=name, holds=not lines, found=told or f"{text.ja} / {text.en}"))
    return CheckReport(holds=all(finding.holds for finding in findings), findings=tuple(findings))
