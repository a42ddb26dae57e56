"""A mix instance: streets, sites, facilities, hops and a satellite price per site, each with a cost; and a way to serve every site.

Costs are numbers ≥ 0 in any one unit. A site is served by fibre (its node is joined to the root by chosen links), by radio (an open, lit facility that
serves it) or by sky. A facility is lit when its node is joined to the root by chosen links, or when a chosen hop leads to it from a lit facility; it lights
its own node, from which fibre may go on. An open facility pays its cost once per module; chosen links and hops pay once.
"""

from __future__ import annotations

import math

from kiban.base.errors import RecordError
from kiban.records.rules import Record

MOST_NODES = 1 << 31


class Mix(Record, frozen=True, kw_only=True):
    """What is to be served, and by what it can be.

    links           (node, node, cost), undirected
    sites           (node, demand)
    fibre_terminal  cost per site · sky: cost per site, None where no satellite serves it
    facilities      (node, cost of a module, capacity of a module or None)
    serves          (facility, site, cost)
    hops            (facility, facility, cost), either way

    >>> Mix(nodes=1, root=0, links=(), sites=((0, 1),), fibre_terminal=(1.0,), sky=(None,)).nodes
    1
    """

    nodes: int
    root: int
    links: tuple[tuple[int, int, float], ...]
    sites: tuple[tuple[int, float], ...]
    fibre_terminal: tuple[float | None, ...]
    sky: tuple[float | None, ...]
    facilities: tuple[tuple[int, float, float | None], ...] = ()
    serves: tuple[tuple[int, int, float], ...] = ()
    hops: tuple[tuple[int, int, float], ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        count, facilities, sites = self.nodes, len(self.facilities), len(self.sites)
        if not 0 < count < MOST_NODES or not 0 <= self.root < count:
            raise RecordError("mix", f"{count} nodes, root {self.root}", "a root among the nodes", "correct nodes and root")
        for name, given in (("fibre_terminal", self.fibre_terminal), ("sky", self.sky)):
            if len(given) != sites:
                raise RecordError(f"mix, {name}", f"{len(given)} costs", f"one per site: {sites}", "add or remove costs")
            for index, amount in enumerate(given):
                _cost(f"{name}[{index}]", 0.0 if amount is None else amount)
        for index, (a, b, cost) in enumerate(self.links):
            _within(f"links[{index}]", count, a, b)
            _cost(f"links[{index}]", cost)
        for index, (node, demand) in enumerate(self.sites):
            _within(f"sites[{index}]", count, node)
            _cost(f"sites[{index}], demand", demand)
        for index, (node, cost, capacity) in enumerate(self.facilities):
            _within(f"facilities[{index}]", count, node)
            _cost(f"facilities[{index}]", cost)
            if capacity is not None and not 0 < capacity < math.inf:
                raise RecordError(f"mix, facilities[{index}]", f"capacity {capacity}", "a number above 0, or null for none", "correct it")
        if len({(facility, site) for facility, site, _ in self.serves}) < len(self.serves):
            raise RecordError("mix, serves", "a facility and a site twice", "each pair once", "keep the cheaper row")
        for index, (facility, site, cost) in enumerate(self.serves):
            _within(f"serves[{index}]", facilities, facility)
            _within(f"serves[{index}]", sites, site)
            _cost(f"serves[{index}]", cost)
        for index, (a, b, cost) in enumerate(self.hops):
            _within(f"hops[{index}]", facilities, a, b)
            _cost(f"hops[{index}]", cost)


def _within(where: str, count: int, *numbers: int) -> None:
    for number in numbers:
        if not 0 <= number < count:
            raise RecordError(f"mix, {where}", f"number {number}", f"0 … {count - 1}", "correct the number")


def _cost(where: str, amount: float) -> None:
    if not 0 <= amount < math.inf:
        raise RecordError(f"mix, {where}", f"{amount}", "a number from 0", "correct it")


class MixSolution(Record, frozen=True, kw_only=True):
    """links, hops: chosen ones by index · open: (facility, modules) · serve: one answer per site: ("fibre",), ("sky",), ("radio", facility), or ("none",)
    for a site that nothing can reach."""

    links: tuple[int, ...]
    hops: tuple[int, ...]
    open: tuple[tuple[int, int], ...]
    serve: tuple[tuple[str | int, ...], ...]
