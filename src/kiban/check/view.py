"""A design laid over its problem: who hangs on whom, which way a demand is served, what is carried where.

In: a problem and a design, however broken. Out: the parts of it that can be read; what cannot is left to the constraints to name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from kiban.records.design import Arc, Demand, Design, Problem, Step

LINE_KINDS = ("line", "plant", "drop")


@dataclass(frozen=True)
class View:
    """Reads a design; never raises on a wrong index."""

    problem: Problem
    design: Design

    @cached_property
    def chosen(self) -> list[int]:
        """The arcs of the design that exist, each once, in order."""
        return [index for index in dict.fromkeys(self.design.arcs) if 0 <= index < len(self.problem.arcs)]

    @cached_property
    def parent(self) -> dict[int, int]:
        """Node → the (first) arc of the design into it."""
        into: dict[int, int] = {}
        for index in self.chosen:
            into.setdefault(self.problem.arcs[index].head, index)
        return into

    def path(self, node: int) -> list[Arc]:
        """The arcs from the root to a node; the part below the break where the way is broken or turns in a circle."""
        way: list[Arc] = []
        seen: set[int] = set()
        while node in self.parent and node not in seen and node != 0:
            seen.add(node)
            way.append(self.problem.arcs[self.parent[node]])
            node = way[-1].tail
        return way[::-1]

    @cached_property
    def served(self) -> list[tuple[int, Demand, int]]:
        """(index, demand, its terminal node) of each demand that has a serve arc."""
        found = []
        for index, (demand, arc) in enumerate(zip(self.problem.demands, self.design.served, strict=False)):
            if 0 <= arc < len(self.problem.arcs):
                found.append((index, demand, self.problem.arcs[arc].tail))
        return found

    @cached_property
    def no_service(self) -> set[tuple[str, str]]:
        """(site, use case) of every demand without a serve arc, those that no arc can reach included."""
        without = {(demand.site, demand.usecase) for demand, arc in zip(self.problem.demands, self.design.served, strict=False) if arc < 0}
        return without | {(site, usecase) for site, usecase, _, _ in self.problem.no_way}

    @cached_property
    def tree_nodes(self) -> list[int]:
        """Nodes that an arc of the design leads to, in order."""
        return sorted(self.parent)

    def groups(self, step: Step) -> dict[int, list[tuple[Demand, int]]]:
        """Node of each open group of a step → the (demand, terminal) pairs served through it."""
        nodes, arcs = self.problem.nodes, self.problem.arcs
        found: dict[int, list[tuple[Demand, int]]] = {}
        if step.level == "facility":
            found = {node: [] for node in self.tree_nodes if nodes[node].kind == "facility" and nodes[node].technology == step.technology}
        elif step.level == "exchange":
            terminals = [node for node in self.tree_nodes if nodes[node].kind == "terminal" and nodes[node].technology == step.technology]
            found = {way[0].head: [] for node in terminals if (way := self.path(node)) and way[0].tail == 0}
        elif any(step.technology in (arcs[index].technology, nodes[arcs[index].head].technology) for index in self.chosen):
            found = {0: []}
        for _, demand, terminal in self.served:
            for group in self._through(step, terminal):
                if group in found:
                    found[group].append((demand, terminal))
        return found

    def _through(self, step: Step, terminal: int) -> Iterator[int]:
        """The groups of a step that a terminal is served through."""
        nodes = self.problem.nodes
        way = self.path(terminal)
        if step.level == "facility":
            yield from (arc.tail for arc in way if arc.tail != 0)
        elif step.level == "exchange":
            if way and way[0].tail == 0 and nodes[terminal].technology == step.technology:
                yield way[0].head
        elif any(step.technology in (arc.technology, nodes[arc.head].technology) for arc in way):
            yield 0


def load(step: Step, carried: list[tuple[Demand, int]]) -> float:
    """What a group carries, in the unit of the step: sites, devices or Mbps down; each (site, use case, terminal) counts once."""
    if step.load == "sites":
        return len({demand.site for demand, _ in carried})
    once = {(demand.site, demand.usecase, terminal): demand for demand, terminal in carried}
    if step.load == "devices":
        return sum(demand.devices for demand in once.values())
    return sum(demand.down_mbps for demand in once.values())
