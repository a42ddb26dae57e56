"""Judge a way to serve the sites of a mix: recompute its cost from the instance alone, or say what is wrong.

In: a Mix and a MixSolution. Out: a CheckReport and the cost. Shares no code with what made it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

from kiban.records.design import CheckReport, Finding
from kiban.records.mix import Mix, MixSolution


def check_mix(mix: Mix, solution: MixSolution) -> tuple[CheckReport, float]:
    """(report, cost); the cost counts only where the report holds.

    >>> mix = Mix(nodes=2, root=0, links=((0, 1, 5.0),), sites=((1, 1),), fibre_terminal=(1.0,), sky=(7.0,))
    >>> report, cost = check_mix(mix, MixSolution(links=(0,), hops=(), open=(), serve=(("fibre",),)))
    >>> report.holds, cost
    (True, 6.0)
    """
    findings: list[Finding] = []

    def fail(constraint: str, found: str) -> None:
        findings.append(Finding(constraint=constraint, holds=False, found=found))

    amounts: list[float] = []
    links = _known("link", solution.links, len(mix.links), fail)
    hops = _known("hop", solution.hops, len(mix.hops), fail)
    near: dict[int, list[int]] = defaultdict(list)
    for index in links:
        a, b, cost = mix.links[index]
        near[a].append(b)
        near[b].append(a)
        amounts.append(cost)
    modules: dict[int, int] = {}
    for facility, many in solution.open:
        if not 0 <= facility < len(mix.facilities) or facility in modules:
            fail("open", f"facility {facility}: not one of 0 … {len(mix.facilities) - 1}, or opened twice")
        elif many < 1:
            fail("open", f"facility {facility} opened with {many} modules")
        else:
            modules[facility] = many
            amounts.append(many * mix.facilities[facility][1])
    hop: dict[int, list[int]] = defaultdict(list)
    for index in hops:
        a, b, cost = mix.hops[index]
        amounts.append(cost)
        if a in modules and b in modules:
            hop[a].append(b)
            hop[b].append(a)
        else:
            fail("hops", f"hop {index} joins a facility that is not open")
    at: dict[int, list[int]] = defaultdict(list)
    for facility in modules:
        at[mix.facilities[facility][0]].append(facility)
    reached, lit = {mix.root}, set[int]()
    waiting: list[tuple[str, int]] = [("node", mix.root)]
    while waiting:
        kind, number = waiting.pop()
        if kind == "node":
            new = [("facility", facility) for facility in at[number] if facility not in lit] + [("node", node) for node in near[number] if node not in reached]
        else:
            new = [("facility", facility) for facility in hop[number] if facility not in lit]
            new += [("node", mix.facilities[number][0])] if mix.facilities[number][0] not in reached else []
        for kind, number in new:
            (reached if kind == "node" else lit).add(number)
        waiting += new
    for facility in sorted(modules.keys() - lit):
        fail("lit", f"facility {facility} is open but neither links nor hops join it to the root")
    offered = {(facility, site): cost for facility, site, cost in mix.serves}
    load: dict[int, float] = defaultdict(float)
    if len(solution.serve) != len(mix.sites):
        fail("serve", f"{len(solution.serve)} answers for {len(mix.sites)} sites")
    for site, how in enumerate(solution.serve[: len(mix.sites)]):
        amount: float | None = None
        if how == ("fibre",):
            amount = mix.fibre_terminal[site]
            if mix.sites[site][0] not in reached:
                fail("serve", f"site {site}: fibre does not reach it")
        elif how == ("sky",):
            amount = mix.sky[site]
        elif how[0] == "radio" and len(how) == 2:
            amount = offered.get((int(how[1]), site))
            load[int(how[1])] += mix.sites[site][1]
            if how[1] not in lit:
                fail("serve", f"site {site}: facility {how[1]} is not open and lit")
        if amount is None:
            fail("serve", f"site {site}: {' '.join(map(str, how))} is not offered there")
        else:
            amounts.append(amount)
    for facility, demand in sorted(load.items()):
        capacity = mix.facilities[facility][2] if 0 <= facility < len(mix.facilities) else None
        if capacity is not None and demand > capacity * modules.get(facility, 0):
            fail("capacity", f"facility {facility} carries {demand:g}, its modules {capacity * modules.get(facility, 0):g}")
    cost = math.fsum(amounts)
    findings.append(Finding(constraint="cost", holds=True, found=f"{cost:.6f}"))
    return CheckReport(holds=all(finding.holds for finding in findings), findings=tuple(findings)), cost


def _known(what: str, chosen: tuple[int, ...], count: int, fail: Callable[[str, str], None]) -> list[int]:
    """The chosen numbers that exist, each once."""
    for number in chosen:
        if not 0 <= number < count:
            fail(f"{what}s", f"{what} {number}: not one of 0 … {count - 1}")
    return sorted({number for number in chosen if 0 <= number < count})
