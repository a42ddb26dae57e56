"""A design read as a tree: which demands hang below an arc, below a step's group, and which arcs one site has for itself.

In: a problem and its design. Out: arcs and demands by index. Nothing is priced here.
"""

from __future__ import annotations

from collections import defaultdict

from kiban.records.design import Design, Problem


def technologies_used(problem: Problem, design: Design) -> frozenset[str]:
    """The id of every technology that the arcs, facilities, terminals, prices and steps of a design are of."""
    arcs = [problem.arcs[index] for index in design.arcs]
    items = [item for arc in arcs for item, _ in arc.items] + [item for index, _, _ in design.steps for item, _ in problem.steps[index].items]
    heads = [problem.nodes[arc.head] for arc in arcs]
    named = [arc.technology for arc in arcs] + [node.technology for node in heads if node.kind in ("facility", "terminal")]  # of a junction it is a network
    return frozenset(id for id in (*named, *(problem.prices[item].technology for item in items)) if id)


class Tree:
    """Paths from the world to every served demand."""

    def __init__(self, problem: Problem, design: Design) -> None:
        self.problem, self.design = problem, design
        self.arc_into = {problem.arcs[index].head: index for index in design.arcs}
        self.paths = {number: self.path(problem.arcs[serve].head) for number, serve in enumerate(design.served) if serve >= 0}
        self.below: dict[int, set[int]] = defaultdict(set)
        for number, path in self.paths.items():
            for index in path:
                self.below[index].add(number)

    def path(self, node: int) -> list[int]:
        """The arcs from the root to a node, in order."""
        arcs = []
        while node != 0:
            index = self.arc_into[node]
            arcs.append(index)
            node = self.problem.arcs[index].tail
        return arcs[::-1]

    def own(self, site: str) -> list[int]:
        """The arcs that only the demands of one site use."""
        mine = {number for number in self.paths if self.problem.demands[number].site == site}
        return sorted(index for index, numbers in self.below.items() if numbers <= mine)

    def terminal(self, number: int) -> int:
        """The arc into the terminal that serves a demand."""
        return self.paths[number][-2]

    def technologies(self, site: str) -> list[str]:
        """The technologies that serve a site, by id."""
        numbers = [number for number in self.paths if self.problem.demands[number].site == site]
        return sorted({str(self.problem.arcs[self.terminal(number)].technology) for number in numbers})

    def carried(self, step: int) -> dict[int, list[int]]:
        """Group node → demands whose terminal is of the step's technology and hangs in that group."""
        one = self.problem.steps[step]
        groups: dict[int, list[int]] = defaultdict(list)
        for number, path in self.paths.items():
            if self.problem.arcs[path[-2]].technology != one.technology:
                continue
            if one.level == "system":
                groups[0].append(number)
            elif one.level == "exchange":
                groups[self.problem.arcs[path[0]].head].append(number)
            else:
                groups[self.problem.arcs[path[-2]].tail].append(number)
        return dict(groups)
