"""Which streets and places of a large region other designs may want: what the design uses, and what it would use if something were missing.

In: a problem and its design. Out: ids of streets and places. Designs beside the plan's own are looked for among these, so that each takes a second.
"""

from __future__ import annotations

import numpy as np

from kiban.design.graph import graph_of
from kiban.design.trees import grow, make_ground
from kiban.records.design import Design, Problem

SHAKEN = 4  # trees with costs moved by chance
DEAR = 1e12  # yen on the arcs of a technology that is to be missing


def near(problem: Problem, design: Design, seed: int) -> frozenset[str]:
    """Ids of streets and places: of the design, and of trees by cost and by metres, without each technology in turn, and with costs shaken by a fifth."""
    graph = graph_of(problem)
    ground, random = make_ground(problem, graph), np.random.default_rng(seed)
    technology = np.array([arc.technology or "" for arc in problem.arcs])
    guides = [ground.cost, ground.length + 1e-6 * ground.cost]
    guides += [np.where(technology == id, ground.cost + DEAR, ground.cost) for id in sorted(set(technology.tolist()) - {""})]
    guides += [ground.cost * random.uniform(0.8, 1.2, graph.size) for _ in range(SHAKEN)]
    used = np.zeros(graph.size, np.bool_)
    used[list(design.arcs)] = True
    for guide in guides:
        tree = grow(ground, guide)
        used[tree[tree >= 0]] = True
    found = set()
    for index in np.flatnonzero(used).tolist():
        arc = problem.arcs[index]
        found |= {arc.ref, problem.nodes[arc.tail].ref, problem.nodes[arc.head].ref}
    return frozenset(found)
