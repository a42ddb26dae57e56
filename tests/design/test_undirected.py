"""A design improved as a tree without directions: it stays a design, is never dearer, finds the best of small trees, and mends lines that are too long."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from msgspec.structs import replace
from tests.design.test_design import net

from kiban.design.graph import graph_of
from kiban.design.judge import Judge
from kiban.design.pairs import pairs_of
from kiban.design.trees import grow, make_ground
from kiban.design.undirected import Undirected
from kiban.records.design import Limit, Problem

WIDE = (Limit(technology="pon", reach_m=1e9),)


def few(seed: int, junctions: int, demands: int, limits: tuple[Limit, ...] = WIDE) -> Problem:
    """A net of which only some junctions want service."""
    problem = net(seed, junctions)
    return replace(problem, demands=tuple(sorted(random.Random(seed).sample(problem.demands, demands), key=lambda d: d.node)), limits=limits)


def made(problem: Problem) -> tuple[Undirected, Judge, list[list[int]]]:
    """The problem without directions, its judge, and some trees to begin with."""
    graph = graph_of(problem)
    ground = make_ground(problem, graph)
    guides = [ground.cost, ground.length, *(np.random.default_rng(turn).uniform(0, 90, graph.size) for turn in range(4))]
    trees = [grow(ground, guide) for guide in guides]
    return Undirected(problem, ground, pairs_of(graph), ground.cost), Judge(problem), [tree[tree >= 0].tolist() for tree in trees]


def best(problem: Problem) -> int:
    """The least cost over all sets of junctions that the tree may pass: a spanning tree of each, by Kruskal."""
    drop = {arc.tail: arc.cost for arc in problem.arcs if arc.kind == "drop"}
    head = {arc.head: arc.tail for arc in problem.arcs}
    at = [head[head[demand.node]] for demand in problem.demands]
    lines = sorted((arc.cost, arc.tail, arc.head) for arc in problem.arcs if arc.kind == "line")
    others = sorted({arc.head for arc in problem.arcs if arc.kind == "line"} - {1, *at})
    found = []
    for size in range(len(others) + 1):
        for more in combinations(others, size):
            of = {node: node for node in {1, *at, *more}}

            def root(node: int, of: dict[int, int] = of) -> int:
                while of[node] != node:
                    node = of[node]
                return node

            total, joined = 0, 1
            for cost, a, b in lines:
                if a in of and b in of and root(a) != root(b):
                    of[root(a)] = root(b)
                    total, joined = total + cost, joined + 1
            if joined == len(of):
                found.append(total)
    return min(found) + sum(drop[node] for node in at)


@pytest.mark.parametrize("seed", range(40))
def test_no_tree_becomes_dearer_or_loses_a_demand_and_none_undercuts_the_best(seed):
    problem = few(seed, 11, 5)
    tree, judge, starts = made(problem)
    least, found = best(problem), []
    for arcs in starts:
        parent = tree.improved(arcs)
        judged = judge.judge(parent[parent >= 0].tolist())
        assert (judged.unserved, judged.broken) == (0, ())
        assert least <= judged.cost <= judge.judge(arcs).cost
        found.append(judged.cost)
    assert min(found) == least


@pytest.mark.parametrize("seed", range(8))
def test_a_walk_is_never_dearer_than_the_tree_that_it_began_with_and_the_same_for_a_seed(seed):
    problem = few(seed, 30, 12)
    tree, judge, starts = made(problem)
    for arcs in starts[:3]:
        first, second = (tree.improved(arcs, 50, 7) for _ in range(2))
        assert first.tolist() == second.tolist()
        assert judge.judge(first[first >= 0].tolist()).cost <= judge.judge(arcs).cost


@pytest.mark.parametrize("seed", range(20))
def test_branches_of_too_long_lines_are_joined_elsewhere_and_nobody_is_lost(seed):
    problem = few(seed, 30, 12, (Limit(technology="pon", reach_m=60.0),))
    tree, judge, _ = made(problem)
    cheapest = made(replace(problem, limits=WIDE))[2][0]  # grown by cost alone, as if nothing were too long
    parent = np.full(len(problem.nodes), -1, np.int64)
    parent[[problem.arcs[arc].head for arc in cheapest]] = cheapest
    tree.shorten(parent)
    after = judge.judge(parent[parent >= 0].tolist())
    assert (after.unserved, after.broken) == (0, ())
