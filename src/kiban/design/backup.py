"""What a backup over another risk class costs: in all, and at each critical site.

In: a problem with its design. Out: per site the arcs that would be saved if its use cases had one way each and the rest stayed as it is.
The cost in all is the difference between two designs, with and without backup; the second one may arrange everything anew, so it can save
more than the sites one by one, never less when both are proved.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from kiban.design.tree import Tree
from kiban.records.design import Design, Problem


@dataclass(frozen=True)
class SecondWay:
    """The dearest terminal that a site could do without if one way were enough; the arcs that only it uses, and their yen over the horizon."""

    site: str
    technology: str
    instead: tuple[str, ...]
    arcs: tuple[int, ...]
    yen: int


def second_ways(problem: Problem, design: Design) -> list[SecondWay]:
    """One row per site at which each use case of some terminal is served by another terminal too, by id; steps are not counted."""
    tree = Tree(problem, design)
    at: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))  # site → terminal node → demands
    for number, path in tree.paths.items():
        at[problem.demands[number].site][problem.arcs[path[-1]].tail].append(number)
    rows = []
    for site, terminals in sorted(at.items()):
        options = []
        for terminal, numbers in sorted(terminals.items()):
            others = {problem.demands[number].usecase for other in terminals if other != terminal for number in terminals[other]}
            if not {problem.demands[number].usecase for number in numbers} <= others:
                continue
            mine = set(numbers)
            arcs = tuple(sorted(index for index in {i for n in numbers for i in tree.paths[n]} if tree.below[index] <= mine))
            options.append((sum(problem.arcs[index].cost for index in arcs), -terminal, arcs))
        if options:
            yen, less, arcs = max(options)
            left = sorted({str(problem.nodes[other].technology) for other in terminals if other != -less})
            rows.append(SecondWay(site, str(problem.nodes[-less].technology), tuple(left), arcs, yen))
    return rows


def asks_backup(problem: Problem) -> bool:
    """Whether some demand of a problem must avoid a risk class."""
    return any(demand.without is not None for demand in problem.demands) or any(without is not None for _, _, without, _ in problem.no_way)
