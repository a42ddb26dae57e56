"""The certified lower bound of a problem.

In: a Problem, an amount of work, a seed. Out: whole yen that no design can undercut, and the cuts that prove it; the same for the same input.
The side constraints are relaxed, except that exchange steps counted in sites put their share on each terminal arc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kiban.base.errors import DesignError
from kiban.base.progress import never
from kiban.design.ascent import Ascent, ascend
from kiban.design.cuts import CutSet, relax
from kiban.design.graph import Floats, Graph, Ints, graph_of
from kiban.records.design import Certificate, Cut, Problem

LARGEST_PROGRAMME = 15_000  # arcs; beyond it the ascent alone gives the bound
FIRST_CUTS = 2_000


@dataclass(frozen=True)
class Bounded:
    """The bound with what the heuristics use: reduced costs in 1/scale yen, and the LP's arc values where there was one."""

    bound: int
    certificate: Certificate
    graph: Graph
    reduced: Ints
    value: Floats | None
    tight: list[tuple[int, Ints]]  # cuts that the LP needed: demand node, nodes inside


def certified_bound(problem: Problem, work: int, seed: int) -> tuple[int, Certificate]:
    """The lower bound in yen and its certificate.

    Parameters
    ----------
    work  ≥ 1, more of it tries more orders and more rounds of cuts
    seed  breaks ties

    Raises
    ------
    DesignError  the certificate does not add up (a fault of this module)
    """
    bounded = bound_of(problem, work, seed)
    return bounded.bound, bounded.certificate


def relaxed_names(problem: Problem) -> tuple[str, ...]:
    """The side constraints that exist in the problem and that the bound does not use."""
    present = {f"{level}_steps": any(step.level == level and step.cost > 0 for step in problem.steps) for level in ("facility", "exchange", "system")}
    present["reach"] = any(limit.reach_m is not None for limit in problem.limits)
    present["terminal_rate"] = any(limit.down_mbps is not None or limit.up_mbps is not None for limit in problem.limits)
    present["ceilings"] = bool(problem.ceilings)
    return tuple(name for name, there in present.items() if there)


def bound_of(problem: Problem, work: int, seed: int, stop: Callable[[], bool] = never, served: Sequence[int] | None = None) -> Bounded:
    """As `certified_bound`, with reduced costs and cuts; `stop` ends it early with a bound that still holds; `served`: count these demands only."""
    graph = graph_of(problem)
    if served is not None:
        graph = replace(graph, demands=np.array(sorted(set(served)), np.int64))
    names = relaxed_names(problem)
    if not len(graph.demands):
        return Bounded(0, Certificate(scale=graph.scale, relaxed=names), graph, graph.cost.copy(), None, [])
    best: Ascent | None = None
    for turn in range(2 + work // 100):
        found = ascend(graph, seed + turn)
        if best is None or found.bound > best.bound:
            best = found
        if stop():
            break
    assert best is not None
    if graph.size > LARGEST_PROGRAMME or stop():
        return _finish(graph, names, [], best, None, [])
    cuts = first_cuts(graph, best)
    columns = np.flatnonzero(best.reduced <= max(1, int(np.median(graph.cost)))) if graph.size > 3000 else np.arange(graph.size)
    relaxed = relax(graph, cuts, columns, 20 + work // 2, stop)
    dual = _whole(graph, cuts, relaxed.dual)
    rest = graph.cost - cuts.load(dual)
    tail = ascend(graph, seed, reduced=rest)
    strong = int(dual.sum()) + tail.bound
    tight = [(cuts.terminals[i], cuts.nodes[i]) for i in np.flatnonzero(relaxed.dual > 0).tolist()]
    if strong < best.bound:
        return _finish(graph, names, [], best, relaxed.value, tight)
    rows = [(cuts.terminals[i], cuts.nodes[i], int(dual[i])) for i in range(len(dual)) if dual[i]]
    return _finish(graph, names, rows, tail, relaxed.value, tight)


def first_cuts(graph: Graph, ascent: Ascent) -> CutSet:
    """The cuts of an ascent with the greatest duals."""
    cuts = CutSet(graph)
    for index in sorted(np.argsort(-ascent.dual, kind="stable")[:FIRST_CUTS].tolist()):
        inside = np.zeros(graph.count, np.bool_)
        at = index
        while at >= 0:
            inside[ascent.nodes[ascent.start[at] : ascent.start[at + 1]]] = True
            at = int(ascent.base[at])
        cuts.add(int(ascent.terminal[index]), inside)
    return cuts


def _whole(graph: Graph, cuts: CutSet, dual: Floats) -> Ints:
    """Duals as whole numbers of 1/scale yen, lowered until no arc is overloaded."""
    whole = np.round(dual * graph.scale).astype(np.int64)
    over = cuts.load(whole) - graph.cost
    if (over > 0).any():
        for index, arcs in enumerate(cuts.arcs):
            if whole[index] and (excess := int(over[arcs].max(initial=0))) > 0:
                lower = min(excess, int(whole[index]))
                whole[index] -= lower
                over[arcs] -= lower
    return whole


def _finish(
    graph: Graph, names: tuple[str, ...], rows: list[tuple[int, Ints, int]], ascent: Ascent, value: Floats | None, tight: list[tuple[int, Ints]]
) -> Bounded:
    """Write the certificate and add it up once more, from its own rows."""
    written = [Cut(terminal=terminal, base=-1, added=tuple(nodes.tolist()), dual=dual) for terminal, nodes, dual in rows]
    written += _compact(ascent, len(written))
    total = sum(cut.dual for cut in written)
    spent = add_up(graph, written)
    reduced = graph.cost - spent
    if (reduced < 0).any():
        raise DesignError("certificate", f"{int((reduced < 0).sum())} overloaded arcs", "duals within the cost of each arc", "report it: the bound is wrong")
    return Bounded(total // graph.scale, Certificate(scale=graph.scale, cuts=tuple(written), relaxed=names), graph, reduced, value, tight)


def _compact(ascent: Ascent, offset: int) -> list[Cut]:
    """The cuts of an ascent without those of dual 0, whose nodes go to the next cut of their chain."""
    place: dict[int, int] = {-1: -1}
    pending: dict[int, tuple[int, ...]] = {}
    written: list[Cut] = []
    for index in range(len(ascent.dual)):
        base = int(ascent.base[index])
        added = pending.pop(base, ()) + tuple(ascent.nodes[ascent.start[index] : ascent.start[index + 1]].tolist())
        if ascent.dual[index] == 0:
            place[index] = place[base]
            pending[index] = added
        else:
            place[index] = offset + len(written)
            written.append(Cut(terminal=int(ascent.terminal[index]), base=place[base], added=added, dual=int(ascent.dual[index])))
    return written


def add_up(graph: Graph, cuts: list[Cut]) -> Ints:
    """Sum of duals per arc, out of the cuts alone.

    A chain of nested cuts is added in one pass: an arc u → v is entered by the cuts that hold v and do not yet hold u.
    """
    spent = np.zeros(graph.size, np.int64)
    children: dict[int, list[int]] = {}
    for index, cut in enumerate(cuts):
        children.setdefault(cut.base, []).append(index)
    for first in children.get(-1, []):
        chain = [first]
        while chain[-1] in children:
            following = children[chain[-1]]
            if len(following) > 1:
                raise DesignError("certificate", "a cut with two successors", "chains", "report it")
            chain.append(following[0])
        _add_chain(graph, [cuts[index] for index in chain], spent)
    return spent


def _add_chain(graph: Graph, chain: list[Cut], spent: Ints) -> None:
    after: dict[int, int] = {}  # node → sum of the duals before it came in
    total = 0
    for cut in chain:
        for node in cut.added:
            after[node] = total
        total += cut.dual
    for node, before in after.items():
        for arc in graph.arcs_in[graph.start_in[node] : graph.start_in[node + 1]].tolist():
            until = after.get(int(graph.tail[arc]), total)
            if until > before:
                spent[arc] += until - before
