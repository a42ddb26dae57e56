"""The pictures of docs/explanation/steiner.md, drawn from what the solver does: `python bench/pictures.py [FOLDER]` (docs/pictures).

Figures that the page tells beside them are printed. No time is taken but in the last picture.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rustworkx

from kiban.design.steiner import Incumbent, Instance, solve
from kiban.design.steiner.ascent import lift, no_cuts
from kiban.design.steiner.network import CONTRACTED, compact, make_net, spelled_out
from kiban.design.steiner.shrink import Ledger, shrink
from streets import _streets, _villages, make_streets

SIDE, EDGE = 420.0, 14.0  # of one panel, and its margin
FLAG = np.zeros(1, np.uint8)
STREET, LINE, DEAR, PLACE, INK = "#c9ced6", "#0b5cad", "#c2410c", "#111827", "#374151"


def town(crossings: int = 260, places: int = 26, seed: int = 5) -> tuple[Instance, np.ndarray]:
    """A small town: its instance, and where its vertices lie, 0 … 1."""
    random = np.random.default_rng(seed)
    points, _ = _villages(crossings, random)
    streets, metres = _streets(points, random)
    edges = np.column_stack([streets, np.maximum(1, np.rint(metres))]).astype(np.int64)
    at = (points - points.min(axis=0)) / np.ptp(points, axis=0).max()
    return Instance(len(points), edges, np.sort(random.choice(len(points), places, replace=False)).astype(np.int64)), at


class Panel:
    """Lines and dots over a town, at a place of the picture."""

    def __init__(self, instance: Instance, at: np.ndarray, left: float) -> None:
        self.instance, self.parts = instance, []  # type: Instance, list[str]
        self.at = np.column_stack([left + EDGE + at[:, 0] * (SIDE - 2 * EDGE), EDGE + at[:, 1] * (SIDE - 2 * EDGE)])

    def edges(self, chosen: Any, colour: str, width: float) -> Panel:
        """Some edges, by number."""
        for u, v in self.instance.edges[np.asarray(chosen, np.int64), :2].tolist():
            (a, b), (c, d) = self.at[u], self.at[v]
            self.parts.append(f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{colour}" stroke-width="{width:g}"/>')
        return self

    def places(self) -> Panel:
        """The terminals."""
        for x, y in self.at[self.instance.terminals]:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{PLACE}" stroke="#fff"/>')
        return self


def drawing(width: float, height: float, parts: list[str]) -> str:
    """An SVG on white, so that it can be read on dark pages too."""
    inner = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="14" fill="none" '
        f'stroke-linecap="round">\n<rect width="{width:g}" height="{height:g}" fill="#fff"/>\n{inner}\n</svg>\n'
    )


def pair(left: Panel, right: Panel) -> str:
    """Two panels side by side."""
    return drawing(2 * SIDE, SIDE, left.parts + right.parts)


def spanning_tree(instance: Instance) -> list[int]:
    """Edges of the tree that spanning-tree planning draws."""
    graph: Any = rustworkx.PyGraph()
    graph.add_nodes_from(range(instance.count))
    graph.add_edges_from([(u, v, (float(cost), number)) for number, (u, v, cost) in enumerate(instance.edges.tolist())])
    return [number for _, number in rustworkx.steiner_tree(graph, instance.terminals.tolist(), lambda edge: edge[0]).edges()]


def left_by_reductions(instance: Instance) -> tuple[np.ndarray, int, np.ndarray]:
    """Edges of the instance that the reductions leave open, how many edges are left in the reduced graph, and edges taken into the tree."""
    net = shrink(make_net(instance.count, instance.edges, instance.terminals, logging=False), FLAG, frozenset(), Ledger())
    graph = compact(net)
    return spelled_out(net.kid, graph.edge), graph.many, spelled_out(net.kid, net.taken[: net.tally[CONTRACTED]])


def used_by_dual(instance: Instance) -> tuple[np.ndarray, int]:
    """Share of each edge's cost that a dual uses up in its fuller direction, and the bound."""
    graph = compact(make_net(instance.count, instance.edges, instance.terminals, logging=False))
    scale = 720_720
    reduced = np.repeat(graph.cost * scale, 2)
    root = int(np.flatnonzero(graph.terminal)[0])
    jitter = np.arange(graph.size)
    gain, _ = lift(graph.start, graph.arcs, graph.head, reduced, graph.terminal, root, jitter, np.zeros(0, np.bool_), True, no_cuts(), False, FLAG)
    share = np.zeros(len(instance.edges))
    share[graph.edge] = 1.0 - np.minimum(reduced[0::2], reduced[1::2]) / (graph.cost * scale)
    return share, -(-int(gain) // scale)


def curve(told: list[Incumbent], end: float) -> str:
    """Cost and bound over time, in % of the last cost, time on a logarithmic axis."""
    width, height, left, right, top, bottom = 2 * SIDE, 340.0, 64.0, 90.0, 16.0, 44.0
    last = told[-1].cost
    begin = 0.02

    def x(seconds: float) -> float:
        return left + (width - left - right) * math.log(max(seconds, begin) / begin) / math.log(end / begin)

    low, high = 98.5, 102.5

    def y(value: float) -> float:
        share = min(high, max(low, 100.0 * value / last))
        return top + (height - top - bottom) * (high - share) / (high - low)

    parts = []
    for tick in (99, 100, 101, 102):
        at = y(last * tick / 100)
        parts.append(f'<path d="M{left} {at:.1f}H{width - right}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 5:.1f}" text-anchor="end" fill="{INK}">{tick} %</text>')
    for tick in (0.1, 1.0, 10.0):
        parts.append(f'<path d="M{x(tick):.1f} {top}V{height - bottom}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{height - bottom + 20:.1f}" text-anchor="middle" fill="{INK}">{tick:g} s</text>')
    for colour, name, values in ((DEAR, "費用 cost", [now.cost for now in told]), (LINE, "下界 bound", [now.lower_bound for now in told])):
        path, before = "", None
        for now, value in zip(told, values, strict=True):
            if value > 0:
                path += f"M{x(now.seconds):.1f} {y(value):.1f}" if before is None else f"H{x(now.seconds):.1f}V{y(value):.1f}"
                before = value
        parts.append(f'<path d="{path}H{x(end):.1f}" stroke="{colour}" stroke-width="2.5"/>')
        apart = -6 if colour == DEAR else 16
        parts.append(f'<text x="{width - right + 6:.1f}" y="{y(values[-1]) + apart:.1f}" fill="{colour}">{name}</text>')
    return drawing(width, height, parts)


def main() -> int:
    """Write the pictures; 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "pictures"
    instance, at = town()
    every = np.arange(len(instance.edges))

    def panel(left: float) -> Panel:
        return Panel(instance, at, left).edges(every, STREET, 1.2)

    best = solve(instance, work=20)
    plan = spanning_tree(instance)
    cost = int(instance.edges[plan, 2].sum())
    print(f"town: {len(every)} streets, {len(instance.terminals)} places; tree {best.cost:,} m {best.status}")
    print(f"spanning tree {cost:,} m, +{cost / best.cost - 1:.1%}")
    (folder / "steiner-trees.svg").write_text(
        pair(panel(0).edges(plan, DEAR, 3).places(), panel(SIDE).edges(list(best.edges), LINE, 3).places()), encoding="utf-8"
    )
    left, many, taken = left_by_reductions(instance)
    print(f"reductions leave {many} edges, over {len(left)} streets")
    share, bound = used_by_dual(instance)
    print(f"one dual proves {bound:,} m ({bound / best.cost:.1%}), {int((share >= 1).sum())} streets are paid for")
    full = panel(SIDE)
    for floor, width in ((0.25, 1.5), (0.5, 2.0), (0.75, 2.5)):
        full.edges(np.flatnonzero((share >= floor) & (share < 1)), "#9cc3ea", width)
    full.edges(np.flatnonzero(share >= 1), LINE, 3)
    (folder / "steiner-steps.svg").write_text(pair(panel(0).edges(left, INK, 2).edges(taken, LINE, 3).places(), full.places()), encoding="utf-8")
    told: list[Incumbent] = []
    large = make_streets(100_000, 0)
    result = solve(large, time_limit=30, tell=told.append)
    gaps = ", ".join(
        f"{mark:g} s {100 * (now.cost - now.lower_bound) / now.cost:.2f} %" for mark in (1, 3, 10, 30) for now in [n for n in told if n.seconds <= mark][-1:]
    )
    print(f"curve: {len(large.edges):,} links, {len(large.terminals):,} places; gap {gaps}; end {100 * result.gap:.2f} %")
    (folder / "steiner-curve.svg").write_text(curve(told, 30.0), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
