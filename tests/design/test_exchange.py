"""Local search on Steiner trees: what it leaves is a tree, never costlier, and no single exchange or elimination pays any more."""

import heapq
from itertools import pairwise

import numpy as np
import pytest

from kiban.design.steiner.exchange import improve, wander


class Case:
    """A graph by arcs with its terminals."""

    def __init__(self, count, edges, cost, terminals):
        self.count, self.edges, self.cost = count, edges, np.array(cost, dtype=np.float64)
        self.head = np.array([w for u, v in edges for w in (v, u)], dtype=np.int32)
        tails = np.array([w for u, v in edges for w in (u, v)], dtype=np.int64)
        self.arcs = np.argsort(tails, kind="stable").astype(np.int64)
        self.start = np.concatenate([[0], np.cumsum(np.bincount(tails, minlength=count))]).astype(np.int64)
        self.terminals = sorted(terminals)
        self.terminal = np.zeros(count, dtype=np.bool_)
        self.terminal[self.terminals] = True

    def improved(self, tree, rounds=1000, flag=0):
        raised = np.array([flag], dtype=np.uint8)
        given = np.array(tree, dtype=np.int64)
        return improve(self.count, self.start, self.arcs, self.head, self.cost, self.terminal, given, rounds, raised).tolist()

    def neighbours(self, v):
        for a in self.arcs[self.start[v] : self.start[v + 1]]:
            yield int(a) >> 1, int(self.head[a])

    def price(self, tree):
        return float(self.cost[tree].sum()) if tree else 0.0

    def distances(self, sources):
        """Distance from the sources, and the edge each vertex is reached by."""
        far, by = dict.fromkeys(sources, 0.0), {}
        heap = [(0.0, v) for v in sources]
        while heap:
            d, v = heapq.heappop(heap)
            if d > far[v]:
                continue
            for e, w in self.neighbours(v):
                if d + self.cost[e] < far.get(w, np.inf):
                    far[w], by[w] = d + self.cost[e], (e, v)
                    heapq.heappush(heap, (far[w], w))
        return far, by


def parts(vertices, edges, case):
    """The vertex sets joined by these edges."""
    group = {v: v for v in vertices}

    def find(v):
        while group[v] != v:
            v = group[v]
        return v

    for e in edges:
        group[find(case.edges[e][0])] = find(case.edges[e][1])
    sets = {}
    for v in vertices:
        sets.setdefault(find(v), set()).add(v)
    return list(sets.values())


def ends(case, tree):
    return {v for e in tree for v in case.edges[e]} | set(case.terminals)


def grown(case, random):
    """A tree to start from: each terminal in random order by a shortest path under costs that were shaken, or a pruned random spanning tree."""
    if random.random() < 0.5:
        shaken = Case(case.count, case.edges, case.cost * random.uniform(0.3, 3, len(case.cost)), case.terminals)
        order = random.permutation(case.terminals).tolist()
        inside, tree = {order[0]}, set()
        for t in order[1:]:
            by = shaken.distances(sorted(inside))[1]
            while t not in inside:
                inside.add(t)
                e, t = by[t]
                tree.add(e)
        return sorted(tree)
    group = list(range(case.count))

    def find(v):
        while group[v] != v:
            v = group[v]
        return v

    tree = []
    for e in random.permutation(len(case.edges)).tolist():
        a, b = (find(v) for v in case.edges[e])
        if a != b:
            group[a] = b
            tree.append(e)
    tree = [e for e in tree if find(case.edges[e][0]) == find(case.terminals[0])]
    return pruned(case, tree)


def pruned(case, tree):
    tree = set(tree)
    while True:
        degree = np.bincount([v for e in tree for v in case.edges[e]], minlength=case.count) if tree else np.zeros(case.count)
        barren = {e for e in tree if any(degree[v] == 1 and not case.terminal[v] for v in case.edges[e])}
        if not barren:
            return sorted(tree)
        tree -= barren


def key_paths(case, tree):
    """(ends, edges, inner vertices) of each key path, and the vertices that are key or terminal."""
    around = {}
    for e in tree:
        for v, w in (case.edges[e], case.edges[e][::-1]):
            around.setdefault(v, []).append((e, w))
    crucial = {v for v in around if case.terminal[v] or len(around[v]) >= 3}
    paths = []
    for u in sorted(crucial):
        for e, w in around[u]:
            edges, inner = [e], []
            while w not in crucial:
                inner.append(w)
                e, w = next((f, x) for f, x in around[w] if f != edges[-1])
                edges.append(e)
            if u < w:
                paths.append(((u, w), edges, inner))
    return paths, crucial


def best_gain(case, tree):
    """What the best exchange of a key path or elimination of a key vertex would save, found the slow way."""
    paths, crucial = key_paths(case, tree)
    moves = [([path], []) for path in paths]
    moves += [([path for path in paths if v in path[0]], [v]) for v in crucial if not case.terminal[v]]
    gain = 0.0
    for taken, away in moves:
        gone = {e for path in taken for e in path[1]}
        lost = {v for path in taken for v in path[2]} | set(away)
        left = parts(ends(case, tree) - lost, [e for e in tree if e not in gone], case)
        joined, rest, spent = set(left[0]), left[1:], 0.0
        links = [(case.distances(sorted(a))[0], a) for a in left]
        near = {i: min(links[0][0].get(v, np.inf) for v in a) for i, a in enumerate(rest)}
        while near:  # Prim on the parts
            i = min(near, key=near.__getitem__)
            spent += near.pop(i)
            joined |= rest[i]
            for j in near:
                near[j] = min(near[j], min(links[i + 1][0].get(v, np.inf) for v in rest[j]))
        gain = max(gain, case.price(sorted(gone)) - spent)
    return gain


def insertion_gain(case, tree):
    """What the minimum spanning tree over the tree's vertices and one more would save."""
    inside, gain = ends(case, tree), 0.0
    order = np.argsort(case.cost, kind="stable").tolist()
    for v in {w for u in inside for _, w in case.neighbours(u)} - inside:
        group, spent = {u: u for u in inside | {v}}, 0.0
        for e in order:
            if all(u in group for u in case.edges[e]):
                a, b = case.edges[e]
                while group[a] != a:
                    a = group[a]
                while group[b] != b:
                    b = group[b]
                if a != b:
                    group[a] = b
                    spent += case.cost[e]
        gain = max(gain, case.price(tree) - spent)
    return gain


def random_case(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 45))
    around = [(int(random.integers(0, v)), v) for v in range(1, count)]
    if seed % 4 == 1:  # long paths: a ring with chords
        around = list(pairwise(range(count)))
    more = int(random.integers(0, 2 * count))
    around += [(int(a), int(b)) for a, b in random.integers(0, count, (more, 2)) if a != b]
    around += [around[i] for i in random.integers(0, len(around), 3)]  # parallel edges
    around += [(count, count + 1)]  # a component without terminals
    around = [around[i] if random.random() < 0.5 else around[i][::-1] for i in random.permutation(len(around))]
    cost = random.integers(0, 6, len(around)) if seed % 2 else random.uniform(0, 1, len(around)) * (random.random(len(around)) < 0.9)
    terminals = random.choice(count, int(random.integers(1, max(2, count // 2))), replace=False).tolist()
    return Case(count + 2, around, cost, terminals), random


def check_tree(case, tree):
    assert len(set(tree)) == len(tree)
    vertices = ends(case, tree)
    assert len(tree) == len(vertices) - 1
    assert len(parts(vertices, tree, case)) == 1
    assert pruned(case, tree) == sorted(tree)


@pytest.mark.parametrize("seeds", [range(i, i + 100) for i in range(0, 400, 100)])
def test_no_single_move_pays_any_more(seeds):
    for seed in seeds:
        case, random = random_case(seed)
        tree = grown(case, random)
        found = case.improved(tree)
        check_tree(case, found)
        assert case.price(found) <= case.price(tree) + 1e-9, seed
        assert best_gain(case, found) <= 1e-9, seed
        assert insertion_gain(case, found) <= 1e-9, seed
        assert case.improved(tree) == found


def test_a_vertex_is_inserted_between_three_terminals():
    case = Case(4, [(0, 1), (1, 2), (2, 0), (3, 0), (3, 1), (3, 2)], [2, 2, 2, 1.5, 1.5, 0.5], [0, 1, 2])
    assert sorted(case.improved([0, 1])) == [3, 4, 5]


def test_a_star_of_many_arms_and_a_long_path_are_searched_too():
    arms = 300
    spokes = [(0, v) for v in range(1, arms + 1)]
    rim = [(v, v % arms + 1) for v in range(1, arms + 1)]
    star = Case(arms + 1, spokes + rim, [2.0] * arms + [1.0] * arms, range(1, arms + 1))
    found = star.improved(range(arms))
    check_tree(star, found)
    assert star.price(found) == arms - 1
    length = 3000
    ladder = [(v, v + 2) for v in range(2 * length - 2)] + [(2 * i, 2 * i + 1) for i in range(length)]
    cost = [3.0, 2.0] * (length - 1) + [1.0] * length
    path = Case(2 * length, ladder, cost, [0, 2 * (length // 2), 2 * length - 2])
    found = path.improved(range(0, 2 * length - 2, 2))
    check_tree(path, found)
    assert path.price(found) == 2.0 * (length - 1) + 3


def test_one_round_is_already_a_tree_and_not_costlier():
    for seed in range(400, 500):
        case, random = random_case(seed)
        tree = grown(case, random)
        once = case.improved(tree, rounds=1)
        check_tree(case, once)
        assert case.price(once) <= case.price(tree) + 1e-9


def test_a_flag_raised_at_once_gives_back_the_tree_or_a_better_one():
    for seed in range(500, 540):
        case, random = random_case(seed)
        tree = grown(case, random)
        same = case.improved(tree, flag=1)
        check_tree(case, same)
        assert case.price(same) <= case.price(tree) + 1e-9


def test_one_terminal_needs_no_edge_and_two_a_shortest_path():
    case, _ = random_case(2)
    assert Case(case.count, case.edges, case.cost, [0]).improved([]) == []
    for seed in range(540, 560):
        case, random = random_case(seed)
        if case.count < 6:
            continue
        pair = Case(case.count, case.edges, case.cost, [0, case.count - 3])
        found = pair.improved(grown(pair, random))
        check_tree(pair, found)
        assert pair.price(found) == pytest.approx(pair.distances([0])[0][case.count - 3])


def test_barren_leaves_of_the_given_tree_are_cut_off():
    case = Case(5, [(0, 1), (1, 2), (1, 3), (3, 4)], [1, 1, 1, 1], [0, 2])
    assert sorted(case.improved([0, 1, 2, 3])) == [0, 1]


def test_a_walk_ends_at_trees_and_its_best_is_never_costlier():
    for seed in range(600, 640):
        case, random = random_case(seed)
        tree = case.improved(grown(case, random))
        if not tree:
            continue

        def walk(steps, case=case, tree=tree, seed=seed):
            edges, flag = np.array(tree, np.int64), np.zeros(1, np.uint8)
            walked = wander(case.count, case.start, case.arcs, case.head, case.cost, case.terminal, edges, edges, steps, seed, 0.002, flag)
            return [one.tolist() for one in walked]

        here, best, last = walk(20)
        for one in (here, best, last):
            check_tree(case, one)
        assert case.price(best) <= case.price(tree) + 1e-9
        assert case.price(here) <= 1.002 * case.price(tree) + 1e-9
        assert walk(20) == [here, best, last]
        assert walk(0) == [tree, tree, tree]


def test_a_walk_leaves_a_local_optimum_of_a_hypercube():
    corners = range(64)
    edges = [(v, v ^ (1 << bit)) for v in corners for bit in range(6) if not v >> bit & 1]
    case = Case(64, edges, [1.0] * len(edges), [v for v in corners if v.bit_count() % 2 == 0])
    tree = case.improved(grown(case, np.random.default_rng(0)))
    given = np.array(tree, np.int64)
    best = wander(case.count, case.start, case.arcs, case.head, case.cost, case.terminal, given, given, 200, 1, 0.002, np.zeros(1, np.uint8))[1]
    check_tree(case, best.tolist())
    assert case.price(best.tolist()) == 39.0 < case.price(tree)  # 39 is the least
