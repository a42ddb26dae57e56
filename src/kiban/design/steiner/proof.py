"""The certificate of a search: its steps in order, and the dual that proves the bound.

In: the log of a Net, eliminations with their duals, the state at the best bound. Out: a SteinerCertificate that `kiban.check` replays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kiban.check.steiner import instance_hash
from kiban.design.steiner.instance import Instance
from kiban.design.steiner.network import LEAF, LOGGED, SPLIT, TAKE, Compact, Ints, Net
from kiban.records.design import Cut
from kiban.records.steiner import Branch, Dual, Elimination, Leaf, Proof, SteinerCertificate, Step


@dataclass
class Trail:
    """What the certificate of one case needs: the steps since its beginning, eliminations by their place in the log, the place and dual of its best bound.

    first  row of the log where the case begins
    fork   where it was divided further: the vertex, then the cases with it and without it
    """

    first: int = 0
    eliminations: list[tuple[int, Elimination]] = field(default_factory=list)
    at: int = 0
    after: int = 0  # eliminations before the best bound
    end: Leaf | None = None
    fork: tuple[int, Trail, Trail] | None = None
    log: Ints = field(default_factory=lambda: np.zeros((0, 5), np.int64))

    def seal(self, net: Net) -> None:
        """Keep the steps of a net that is given up."""
        self.log = net.log[self.first : int(net.tally[LOGGED])].copy()

    def proof(self) -> Proof:
        """Steps up to the place of the best bound, then its dual; or all steps, then the two cases."""
        rows = self.log[: self.at - self.first if self.fork is None else len(self.log)].tolist()
        waiting = iter([*(self.eliminations[: self.after] if self.fork is None else self.eliminations), (self.first + len(rows) + 1, None)])
        steps: list[Step | Elimination] = []
        place, elimination = next(waiting)
        for index in range(len(rows) + 1):
            while elimination is not None and place == self.first + index:
                steps.append(elimination)
                place, elimination = next(waiting)
            if index < len(rows):
                steps.append(_step(rows[index]))
        if self.fork is None:
            return Proof(steps=tuple(steps), end=self.end if self.end is not None else Leaf())
        vertex, inside, outside = self.fork
        return Proof(steps=tuple(steps), end=Branch(vertex=vertex, inside=inside.proof(), outside=outside.proof()))

    def mark(self, row: int, graph: Compact, state: Any, scale: int) -> None:
        """The best bound so far stands here; no state: nothing is left to prove."""
        self.at, self.after = row, len(self.eliminations)
        self.end = Leaf(dual=self.dual(graph, state, scale)) if state is not None else Leaf()

    def dual(self, graph: Compact, state: Any, scale: int) -> Dual:
        """A dual in the vertex numbers of the instance, without cuts of no value."""
        terminal, base, value, start, nodes = state.cuts
        vertex = graph.vertex[nodes].tolist() if len(nodes) else []
        cuts = tuple(
            Cut(terminal=t, base=b, added=tuple(vertex[start[i] : start[i + 1]]), dual=d)
            for i, (t, b, d) in enumerate(zip(graph.vertex[terminal].tolist(), base.tolist(), value.tolist(), strict=True))
        )
        return Dual(root=int(graph.vertex[state.root]), scale=scale, cuts=cuts)


def certificate_of(instance: Instance, edges: Ints, cost: int, bound: int, trail: Trail) -> SteinerCertificate:
    """The tree, and the proof of the whole search."""
    return SteinerCertificate(
        instance=instance_hash(instance.count, instance.edges, instance.terminals), edges=tuple(np.sort(edges).tolist()), cost=cost, bound=bound,
        proof=trail.proof(),
    )  # fmt: skip


def _step(row: list[int]) -> Step:
    kind = row[0]
    if kind == TAKE:
        return Step(kind="take", of=tuple(row[1:5]))
    return Step(kind="leaf" if kind == LEAF else "split" if kind == SPLIT else "drop", of=(row[1],))
