"""The problem against the records it was made from: is every option that the records admit there, and none that they do not?

In: a problem, the region, use cases and technologies by id. Out: one finding per sentence of ADMISSION. A graph from which options were thinned
has too high a bound, so this is where an optimistic proof is caught. Only what the records decide alone is judged here: an option whose state
hangs on something unknown must be neither there nor priced, but is not called missing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from kiban.base.progress import Progress, silent
from kiban.check.beside import MARGIN, Records, graph_metres, kilometres, need_value
from kiban.check.constraints import SHOWN
from kiban.records.design import CheckReport, Finding, Problem
from kiban.records.region import Region
from kiban.records.source import Text
from kiban.records.technology import Technology
from kiban.records.usecase import UseCase


def offered_rightly(records: Records) -> Iterator[str]:
    """No arc serves a need that the technology misses or of which nobody knows whether it meets it."""
    for site, usecase, technology in sorted(records.offered):
        if site not in records.sites or usecase not in records.usecases or technology not in records.technologies:
            yield f"{site}・{usecase}・{technology}: 記録にない / not in the records"
            continue
        bad = [name for name, state in records.needs(site, usecase, technology).items() if state in ("fails", "unknown")]
        if bad:
            yield f"{site}・{usecase}: {technology} は {', '.join(bad)} を満たすと言えない / the records do not say that it meets them"
    nodes, rows = records.problem.nodes, {demand.node: demand for demand in records.problem.demands}
    for index, arc in enumerate(records.problem.arcs):
        demand, risk, technology = rows.get(arc.head), nodes[arc.tail].risk, nodes[arc.tail].technology or ""
        if arc.kind != "serve" or demand is None or technology not in records.technologies or (demand.site, demand.usecase) not in records.pairs:
            continue
        states = [records.upstream(demand.site, demand.usecase, carrier) for carrier in records.carriers(technology, risk)]
        if states and risk in ("air", "sky") and all("fails" in found.values() for found in states):
            yield f"枝 {index}: {technology}（{risk}）の上位回線が要件を満たさない / arc {index}: nothing upstream meets the need"


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
        elif item.need in ("link_budget", "line_of_sight"):
            true = records.hidden(item.site, item.technology, item.need)
        else:
            said = {states.get(item.need)}
            said |= {records.upstream(item.site, item.usecase, carrier).get(item.need) for carrier in records.carriers(item.technology)}
            true = bool(said & {item.state, "open"})
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
        if records.backup and records.sites[site].critical and backup is not None and backup.value == 1:
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
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for user, usecase, name in records.offered:
        if (user, usecase) in records.pairs and name in records.technologies:
            users[user, name].append(usecase)
    for place, risk, technology in sorted((f for f in facilities if f[0] in places and f[2] in records.technologies), key=str):
        quantity = records.technologies[technology or ""].capability.radius_km
        radius = quantity.value if quantity is not None else None
        for site in records.region.sites if radius is not None else ():
            assert radius is not None
            far, has = kilometres(places[place], site), (place, risk, site.id, technology) in links
            if (
                not has
                and (technology, place, site.id) not in records.obstructed
                and far <= radius * (1 - MARGIN)
                and any(records.carried(site.id, usecase, technology or "", risk) for usecase in users[site.id, technology or ""])
            ):
                yield f"{place} → {site.id}: {technology} の範囲内（{far:.1f} km）なのに枝がない / within range, yet no link"
            if has and far > radius * (1 + MARGIN):
                yield f"{place} → {site.id}: {technology} の範囲外（{far:.1f} km）/ a link beyond range"


def lines_complete(records: Records) -> Iterator[str]:
    """The graph's shortest line to each terminal is as long as the streets say: none was left out, none was shortened."""
    problem, nodes = records.problem, records.problem.nodes
    networks = {t.wiring.network for name, t in records.technologies.items() if t.wiring.pattern == "line" and name in records.priced}
    metres = graph_metres(problem)
    least, most = records.street_metres
    for index, node in enumerate(nodes):
        technology = records.technologies.get(node.technology or "")
        if node.kind != "terminal" or technology is None or technology.wiring.pattern != "drop" or technology.wiring.network not in networks:
            continue
        junction, off = records.region.attach.get(node.ref, ("", 0.0))
        low, high = least.get(junction, math.inf) - 1, most.get(junction, math.inf) * 1.001 + off + 1
        if not low <= metres.get(index, math.inf) <= high:
            yield f"{node.ref}: 線路 {metres.get(index, math.inf):,.0f} m、道路では {low:,.0f}〜{high:,.0f} m / line and streets differ"


def energy_true(records: Records) -> Iterator[str]:
    """The electricity of each technology that the problem counts is that of its file, and no technology of an arc is left out."""
    active = ("drop", "cell", "direct", "hop")
    used = {arc.technology for arc in records.problem.arcs if arc.technology in records.technologies}
    wanted = {}
    for id in sorted(name for name in used if name and records.technologies[name].wiring.pattern in active):
        quantity = records.technologies[id].kwh_per_year
        wanted[id] = (records.technologies[id].energy_per, quantity.value if quantity is not None else None)
    listed = {use.technology: (use.per, use.kwh) for use in records.problem.energy}
    for id in sorted(wanted.keys() | listed.keys()):
        if wanted.get(id) != listed.get(id):
            yield f"{id}: 電力量 {listed.get(id)}、技術の記録では {wanted.get(id)} / its electricity is not that of its file"


ADMISSION: dict[str, tuple[Text, Callable[[Records], Iterator[str]]]] = {
    "offered": (Text(ja="要件を満たすと言える技術だけに枝がある。", en="Only technologies that meet the needs have arcs."), offered_rightly),
    "left_out": (Text(ja="使える技術は、枝か除外理由を持つ。", en="Each admissible technology has an arc or an exclusion."), nothing_left_out),
    "exclusions": (Text(ja="除外理由は、記録と合う。", en="Each exclusion has the reason that it names."), exclusions_true),
    "demands": (Text(ja="需要の値は、要件どおりである。", en="Each demand is what its use case needs there."), demands_true),
    "backups": (Text(ja="代替経路の需要は、過不足がない。", en="Backup demands are complete."), backups_true),
    "cells": (Text(ja="範囲内の地点へは、基地局などから枝がある。", en="Each site within radius has a link."), cells_complete),
    "energy": (Text(ja="電力量は、技術の記録どおりである。", en="Electricity is what the files of the technologies say."), energy_true),
    "lines": (Text(ja="線路の長さは、道路網と合う。", en="Lines are as long as the streets."), lines_complete),
}


def check_problem(
    problem: Problem,
    region: Region,
    usecases: Mapping[str, UseCase],
    technologies: Mapping[str, Technology],
    *,
    backup: bool = True,
    progress: Progress = silent,
) -> CheckReport:
    """Judge a problem by the records that it was made from: one finding per sentence of ADMISSION.

    `technologies`: those that the design was allowed to use, by id; `backup`: False when the problem was built without backup; `progress` is told before each.
    Prices are judged with the design (`check_design`).
    """
    records = Records(problem, region, usecases, technologies, backup)
    findings = []
    for number, (name, (text, breaches)) in enumerate(ADMISSION.items()):
        progress(number / len(ADMISSION), "独立検査 / independent check")
        found = breaches(records)
        lines = list(islice(found, SHOWN))
        more = sum(1 for _ in found)
        told = "; ".join(lines) + (f"; ほか {more} 件 / {more} more" if more else "")
        findings.append(Finding(constraint=name, holds=not lines, found=told or f"{text.ja} / {text.en}"))
    return CheckReport(holds=all(finding.holds for finding in findings), findings=tuple(findings))
