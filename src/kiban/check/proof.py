"""The certificate of the lower bound, verified in whole numbers.

In: a problem and a design. Out: what is wrong with the bound, its cuts and their packing, line by line.
Why it proves: every design needs an arc into each cut that holds a served demand and not the root; if on no arc the duals of the cuts that it
enters add up to more than it costs, no design can cost less than all duals together (Wong 1984, dual of the directed-cut relaxation).
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate

from kiban.check.view import View

Interval = tuple[int, int]


def bound(view: View) -> Iterator[str]:
    """The bound is the floor of all duals together, in yen."""
    certificate = view.design.certificate
    if certificate.scale < 1:
        yield f"尺度 {certificate.scale}、1 以上のはず / scale {certificate.scale}, 1 or more expected"
        return
    summed = sum(cut.dual for cut in certificate.cuts) // certificate.scale
    if view.design.bound != summed:
        yield f"下界 {view.design.bound:,} 円、双対値の和は {summed:,} 円 / bound {view.design.bound:,}, duals add up to {summed:,}"


def duals(view: View) -> Iterator[str]:
    """No dual is negative."""
    for index, cut in enumerate(view.design.certificate.cuts):
        if cut.dual < 0:
            yield f"カット {index}: 双対値 {cut.dual} / cut {index}: dual {cut.dual}"


def cuts(view: View) -> Iterator[str]:
    """Each cut holds its terminal, a demand that the design serves, and not the root."""
    problem, all_cuts = view.problem, view.design.certificate.cuts
    counted = {demand.node for _, demand, _ in view.served}
    sets = _Cuts(view)
    for index, cut in enumerate(all_cuts):
        if not -1 <= cut.base < index:
            yield f"カット {index}: 元のカット {cut.base} は前にない / cut {index}: base {cut.base} is no earlier cut"
        if any(not 0 <= node < len(problem.nodes) for node in cut.added):
            yield f"カット {index}: 存在しない節点 / cut {index}: a node that does not exist"
        if cut.terminal not in counted:
            yield f"カット {index}: 端点 {cut.terminal} は供給される需要でない / cut {index}: terminal {cut.terminal} is no served demand"
        elif not sets.holds(index, cut.terminal):
            yield f"カット {index}: 自分の端点 {cut.terminal} を含まない / cut {index}: its terminal {cut.terminal} is outside"
        if sets.holds(index, 0):
            yield f"カット {index}: 根を含む / cut {index}: the root is inside"


def packing(view: View) -> Iterator[str]:
    """On no arc do the duals of the cuts that it enters add up to more than its cost and its step shares."""
    sets, scale = _Cuts(view), view.design.certificate.scale
    shares = step_shares(view)
    for index, arc in enumerate(view.problem.arcs):
        entered = sets.entering(arc.tail, arc.head)
        allowed = scale * (arc.cost + shares[index] if index in shares else arc.cost)  # a whole number, where no share makes it a fraction: that is faster
        if entered > allowed:
            yield f"枝 {index}: 双対値の和 {entered} > 費用 {arc.cost} × {scale} / arc {index}: duals {entered} above cost {arc.cost} × {scale}"


def step_shares(view: View) -> dict[int, Fraction]:
    """What each arc into a terminal pays at least of the exchange steps: cost ÷ capacity.

    Valid where the load counts sites, every unit is paid, and a site has one terminal of the technology at most:
    ⌈load ÷ capacity⌉ is never below load ÷ capacity.
    """
    nodes = view.problem.nodes
    shares: dict[int, Fraction] = defaultdict(Fraction)
    for step in view.problem.steps:
        if step.level != "exchange" or step.load != "sites" or step.capacity is None or step.free:
            continue
        terminals = [node.ref for node in nodes if node.kind == "terminal" and node.technology == step.technology]
        if len(terminals) != len(set(terminals)):
            continue
        for index, arc in enumerate(view.problem.arcs):
            if nodes[arc.head].kind == "terminal" and nodes[arc.head].technology == step.technology:
                shares[index] += Fraction(step.cost) / Fraction(step.capacity)
    return dict(shares)


class _Cuts:
    """The cuts as a forest (each stands on its base), so that sums over all cuts that hold a node are differences of one running sum.

    A node that cut i adds is in i and in all cuts that stand on it: one interval of the forest in depth-first order.
    """

    def __init__(self, view: View) -> None:
        all_cuts = view.design.certificate.cuts
        children: dict[int, list[int]] = defaultdict(list)
        for index, cut in enumerate(all_cuts):
            children[cut.base if -1 <= cut.base < index else -1].append(index)
        self.enter = [0] * len(all_cuts)
        leave = [0] * len(all_cuts)
        order: list[int] = []
        stack = [(index, False) for index in reversed(children[-1])]
        while stack:
            index, done = stack.pop()
            if done:
                leave[index] = len(order)
                continue
            self.enter[index] = len(order)
            order.append(index)
            stack.append((index, True))
            stack.extend((child, False) for child in reversed(children[index]))
        self.running = [0, *accumulate(all_cuts[index].dual for index in order)]
        spans: dict[int, list[Interval]] = defaultdict(list)
        for index in order:
            for node in all_cuts[index].added:
                if not spans[node] or spans[node][-1][1] <= self.enter[index]:
                    spans[node].append((self.enter[index], leave[index]))
        self.spans: dict[int, list[Interval]] = dict(spans)

    def holds(self, index: int, node: int) -> bool:
        """True when a cut holds a node."""
        spans = self.spans.get(node, [])
        place = bisect.bisect_right(spans, (self.enter[index], len(self.running))) - 1
        return place >= 0 and spans[place][0] <= self.enter[index] < spans[place][1]

    def entering(self, tail: int, head: int) -> int:
        """Sum of the duals of all cuts that hold the head and not the tail."""
        inside, both = self.spans.get(head, []), 0
        total = sum(self.running[end] - self.running[begin] for begin, end in inside)
        outside, i, j = self.spans.get(tail, []), 0, 0
        while i < len(inside) and j < len(outside):
            begin, end = max(inside[i][0], outside[j][0]), min(inside[i][1], outside[j][1])
            if begin < end:
                both += self.running[end] - self.running[begin]
            if inside[i][1] <= outside[j][1]:
                i += 1
            else:
                j += 1
        return total - both
