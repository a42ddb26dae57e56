"""The certified lower bound of a problem.

In: a Problem, an amount of work, a seed. Out: whole yen that no design can undercut, and the cuts that prove it; the same for the same input.
The side constraints are relaxed, except that exchange steps counted in sites put their share on each terminal arc.

Dual ascents in several orders; the best one improved neighbourhood by neighbourhood (design.steiner.ascent); on small graphs a linear programme over
its cuts, whose duals are rounded to whole numbers and followed by one more ascent on what they leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kiban.base.errors import DesignError
from kiban.base.progress import never
from kiban.design.cuts import CutSet, relax
from kiban.design.graph import Flags, Floats, Graph, Ints, graph_of
from kiban.design.mix.graph import needless
from kiban.design.pairs import Pairs, pairs_of
from kiban.design.steiner.ascent import Cuts, charged, lift, no_cuts, renew
from kiban.records.checkpoint import Snapshot
from kiban.records.design import Certificate, Cut, Problem

LARGEST_PROGRAMME = 15_000  # arcs; beyond it the ascent alone gives the bound
FIRST_CUTS = 2_000
STEPS, EACH = 1_000_000, 100  # arcs and nodes that one call of `renew` looks at: so many per arc, and at most
RENEWALS = (4, 40)  # calls per 100 units of work: before a linear programme, and without one
TOGETHER = 8  # demands whose cuts are taken back at once
NO_GUIDE: Flags = np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Bounded:
    """The bound with what the heuristics use: reduced costs in 1/scale yen, and the LP's arc values where there was one; total: the bound in 1/scale yen."""

    bound: int
    total: int
    certificate: Certificate
    graph: Graph
    pairs: Pairs
    reduced: Ints
    value: Floats | None
    tight: list[tuple[int, Ints]]  # cuts that the LP needed: demand node, nodes inside

    def open_to(self, cost: int) -> Flags:
        """Arcs that a design of at most `cost` yen which serves every demand of the graph may hold."""
        terminal = np.zeros(self.graph.count, np.bool_)
        terminal[self.graph.demands] = True
        slack = np.int64(max(0, cost * self.graph.scale - self.total))
        pairs = self.pairs
        gone: Flags = needless(pairs.start, pairs.arcs, pairs.head, pairs.spread(self.reduced), terminal, 0, slack)
        return ~gone[pairs.place]


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


@dataclass
class BoundState:
    """How far a search for the bound has come, for whoever wants to know while it runs; `now` makes the bound that is proved so far."""

    now: Callable[[], Bounded] | None = None
    renewals: int = 0
    rounds: int = 0


def bound_of(
    problem: Problem,
    work: int,
    seed: int,
    stop: Callable[[], bool] = never,
    served: Sequence[int] | None = None,
    resume: Snapshot | None = None,
    state: BoundState | None = None,
) -> Bounded:
    """As `certified_bound`, with reduced costs and cuts; `stop` ends it early with a bound that still holds; `served`: count these demands only.

    resume: what an earlier run had proved of all demands; its certificate is added up anew. state: told how far the search has come.
    """
    state = BoundState() if state is None else state
    graph = graph_of(problem)
    if served is not None:
        graph = replace(graph, demands=np.array(sorted(set(served)), np.int64))
    names = relaxed_names(problem)
    if not len(graph.demands):
        return Bounded(0, 0, Certificate(scale=graph.scale, relaxed=names), graph, pairs_of(graph), graph.cost.copy(), None, [])
    pairs = pairs_of(graph)
    terminal = np.zeros(graph.count, np.bool_)
    terminal[graph.demands] = True
    dual = _Dual(graph, pairs, terminal, seed)
    small = graph.size <= LARGEST_PROGRAMME
    known = None if resume is None or not resume.certificate.cuts else _known(dual, names, resume)
    if known is not None and resume is not None and resume.bounded:
        return known
    if resume is not None:
        state.renewals, state.rounds = resume.renewals, resume.rounds
    best = dual.ascent(graph.cost, 0)

    def ascended() -> Bounded:
        mine = _finish(dual, names, [], best, None, [])
        return mine if known is None else known if known.total > mine.total else replace(mine, value=known.value, tight=known.tight)

    state.now = ascended
    if not state.renewals:  # else these orders are tried already
        for turn in range(1, 2 + work // 100):
            if stop():
                break
            found = dual.ascent(graph.cost, turn)
            best = found if found.bound > best.bound else best
    if known is not None and known.total > best.bound:
        best = _Ascent(known.total, known.reduced, _read(known.certificate.cuts))
    for turn in range(state.renewals, 1 + work * RENEWALS[not small] // 100):
        if stop():
            break
        best = dual.renewed(best, turn)
        state.renewals = turn + 1
    if not small or stop():
        return _finish(dual, names, [], best, None, [])
    cuts = first_cuts(graph, best.cuts)
    for demand, nodes in () if known is None else known.tight:
        cuts.add(demand, _flags(graph, nodes))
    columns = np.flatnonzero(best.reduced <= max(1, int(np.median(graph.cost)))) if graph.size > 3000 else np.arange(graph.size)

    def raised(value: Floats, priced: Floats) -> Bounded:
        """The bound of the duals of the programme, rounded to whole numbers and followed by one more ascent; the ascent's own where that is better."""
        whole = _whole(graph, cuts, np.concatenate([priced, np.zeros(len(cuts.arcs) - len(priced))]))
        tail = dual.ascent(graph.cost - cuts.load(whole), 0)
        tight = [(cuts.terminals[i], cuts.nodes[i]) for i in np.flatnonzero(priced > 0).tolist()]
        if int(whole.sum()) + tail.bound < best.bound:
            return _finish(dual, names, [], best, value, tight)
        rows = [(cuts.terminals[i], cuts.nodes[i], int(whole[i])) for i in range(len(whole)) if whole[i]]
        return _finish(dual, names, rows, tail, value, tight)

    def tell(value: Floats, priced: Floats) -> None:
        state.now, state.rounds = lambda: raised(value, priced), state.rounds + 1

    relaxed = relax(graph, cuts, columns, max(1, 20 + work // 2 - state.rounds), stop, tell)
    return raised(relaxed.value, relaxed.dual)


def packed(bounded: Bounded) -> dict[str, Any]:
    """What a Snapshot holds of a bound."""
    value = None if bounded.value is None else tuple((arc, float(bounded.value[arc])) for arc in np.flatnonzero(bounded.value).tolist())
    tight = tuple((int(terminal), np.packbits(_flags(bounded.graph, nodes)).tobytes()) for terminal, nodes in bounded.tight)
    return {"bound": bounded.bound, "certificate": bounded.certificate, "value": value, "tight": tight}


def _flags(graph: Graph, nodes: Ints) -> Flags:
    inside = np.zeros(graph.count, np.bool_)
    inside[nodes] = True
    return inside


def _known(dual: _Dual, names: tuple[str, ...], resume: Snapshot) -> Bounded | None:
    """The bound of an earlier run, its certificate added up anew; None where that is none of this graph."""
    graph, pairs, cuts = dual.graph, dual.pairs, resume.certificate.cuts
    held = _read(cuts)
    fits = (
        resume.certificate.scale == graph.scale
        and all(0 < cut.terminal < graph.count and dual.terminal[cut.terminal] for cut in cuts)
        and bool(((held.base >= -1) & (held.base < np.arange(len(cuts))) & (held.dual >= 0)).all())
        and bool(((held.nodes > 0) & (held.nodes < graph.count)).all())
    )
    if not fits:
        return None
    reduced = pairs.spread(graph.cost)
    total = int(charged(pairs.start, pairs.arcs, pairs.head, reduced, held))
    reduced = reduced[pairs.place]
    if (reduced < 0).any():
        return None
    value = None
    if resume.value is not None and all(0 <= arc < graph.size for arc, _ in resume.value):
        value = np.zeros(graph.size)
        for arc, much in resume.value:
            value[arc] = much
    inside = [(terminal, np.unpackbits(np.frombuffer(bits, np.uint8))[: graph.count]) for terminal, bits in resume.tight]
    tight = [(terminal, np.flatnonzero(flags)) for terminal, flags in inside if flags[:1].sum() == 0 and flags[terminal : terminal + 1].sum() == 1]
    certificate = Certificate(scale=graph.scale, cuts=cuts, relaxed=names)
    return Bounded(total // graph.scale, total, certificate, graph, pairs, reduced, value, tight)


@dataclass(frozen=True)
class _Ascent:
    """What an ascent leaves: the sum of its duals, what is left of the cost of each arc, and its cuts."""

    bound: int
    reduced: Ints
    cuts: Cuts


@dataclass(frozen=True)
class _Dual:
    """Ascents on one graph."""

    graph: Graph
    pairs: Pairs
    terminal: Flags
    seed: int

    def ascent(self, cost: Ints, turn: int) -> _Ascent:
        """Cuts raised from nothing, terminals of equal cuts in an order of chance."""
        pairs, reduced = self.pairs, self.pairs.spread(cost)
        jitter = np.random.default_rng(self.seed + turn).permutation(self.graph.count)
        sinks = not self.terminal[self.graph.tail].any()
        gain, cuts = lift(pairs.start, pairs.arcs, pairs.head, reduced, self.terminal, 0, jitter, NO_GUIDE, True, no_cuts(), sinks, np.zeros(1, np.uint8))
        return _Ascent(int(gain), reduced[pairs.place], cuts)

    def renewed(self, found: _Ascent, turn: int) -> _Ascent:
        """Cuts of neighbouring demands taken back and raised anew; the bound never falls."""
        pairs, reduced, steps = self.pairs, self.pairs.spread(found.reduced), min(STEPS, EACH * self.graph.size)
        gain, cuts = renew(
            pairs.start, pairs.arcs, pairs.head, reduced, self.terminal, 0, NO_GUIDE, found.cuts, steps, TOGETHER, self.seed * 1_000_003 + turn,
            np.zeros(1, np.uint8),
        )  # fmt: skip
        return _Ascent(found.bound + int(gain), reduced[pairs.place], cuts)


def first_cuts(graph: Graph, found: Cuts) -> CutSet:
    """The cuts of an ascent with the greatest duals."""
    cuts = CutSet(graph)
    for index in sorted(np.argsort(-found.dual, kind="stable")[:FIRST_CUTS].tolist()):
        inside = np.zeros(graph.count, np.bool_)
        at = index
        while at >= 0:
            inside[found.nodes[found.start[at] : found.start[at + 1]]] = True
            at = int(found.base[at])
        cuts.add(int(found.terminal[index]), inside)
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
    dual: _Dual, names: tuple[str, ...], rows: list[tuple[int, Ints, int]], found: _Ascent, value: Floats | None, tight: list[tuple[int, Ints]]
) -> Bounded:
    """Write the certificate and add it up once more, from its own rows."""
    graph, pairs = dual.graph, dual.pairs
    written = [Cut(terminal=terminal, base=-1, added=tuple(nodes.tolist()), dual=worth) for terminal, nodes, worth in rows]
    written += _compact(found.cuts, len(written))
    reduced = pairs.spread(graph.cost)
    total = int(charged(pairs.start, pairs.arcs, pairs.head, reduced, _read(written)))
    reduced = reduced[pairs.place]
    if (reduced < 0).any():
        raise DesignError("certificate", f"{int((reduced < 0).sum())} overloaded arcs", "duals within the cost of each arc", "report it: the bound is wrong")
    return Bounded(total // graph.scale, total, Certificate(scale=graph.scale, cuts=tuple(written), relaxed=names), graph, pairs, reduced, value, tight)


def _compact(cuts: Cuts, offset: int) -> list[Cut]:
    """The cuts of an ascent without those of dual 0, whose nodes go to the next cut of their chain."""
    place: dict[int, int] = {-1: -1}
    pending: dict[int, list[int]] = {}
    written: list[Cut] = []
    terminal, bases, duals, start, nodes = (row.tolist() for row in cuts)
    for index, (base, worth) in enumerate(zip(bases, duals, strict=True)):
        added = pending.pop(base, []) + nodes[start[index] : start[index + 1]]
        if worth == 0:
            place[index] = place[base]
            pending[index] = added
        else:
            place[index] = offset + len(written)
            written.append(Cut(terminal=terminal[index], base=place[base], added=tuple(added), dual=worth))
    return written


def _read(written: Sequence[Cut]) -> Cuts:
    """The cuts of a certificate as arrays."""
    start = np.zeros(len(written) + 1, np.int64)
    np.cumsum([len(cut.added) for cut in written], out=start[1:])
    terminal, base, dual = (np.array([getattr(cut, name) for cut in written], np.int64) for name in ("terminal", "base", "dual"))
    return Cuts(terminal, base, dual, start, np.array([node for cut in written for node in cut.added], np.int64))
