"""Money, computed again: prices, arcs, steps, total, gap, break-even and sharing.

In: a problem and a design. Out: what does not add up. A rounded amount is accepted when it lies within half a yen of the exact sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from kiban.check.view import View, load
from kiban.records.design import Price, Problem, Step

RELATIVE = 1e-9  # of a present value: other orders of summing floats differ by far less
FLOAT_SAFE = 1e12  # yen up to which a sum of a few products in floats is right to a thousandth of a yen


def price_npv(price: Price, discount: float, horizon: int, since: int = 0) -> float:
    """Present value of one unit: payments discounted to the first year, less the unused straight-line share at the horizon's end.

    since: year of the horizon before which nothing is bought or run.
    """
    if price.phase == "yearly":
        return math.fsum(amount / (1 + discount) ** year for year, amount in enumerate(price.unit_yen[:horizon]) if year >= since)
    life = price.life or math.inf
    start = max(price.first, since)
    paid, moment, end = 0.0, float(start), float(start)
    count = 0
    while moment < horizon:
        paid += price.unit_yen[0] / (1 + discount) ** math.floor(moment)
        count += 1
        end = start + life * count
        moment = end
    return paid - (price.unit_yen[0] * (end - horizon) / life / (1 + discount) ** horizon if count else 0.0)


def prices(view: View) -> Iterator[str]:
    """Each present value follows from its yearly amounts, and lies in its range."""
    problem = view.problem
    for price in problem.prices:
        if price.phase == "yearly" and len(price.unit_yen) != problem.horizon:
            yield f"{price.id}: {len(price.unit_yen)} か年分、{problem.horizon} のはず / {len(price.unit_yen)} years, {problem.horizon} expected"
            continue
        npv = price_npv(price, problem.discount, problem.horizon)
        if not math.isclose(npv, price.npv, rel_tol=RELATIVE, abs_tol=1e-6):
            yield f"{price.id}: 現在価値 {price.npv:.3f}、計算では {npv:.3f} / present value {price.npv:.3f}, recomputed {npv:.3f}"
        if not price.low <= price.npv <= price.high:
            yield f"{price.id}: 幅 {price.low:g}〜{price.high:g} の外 / outside its range"


def amount(problem: Problem, items: tuple[tuple[int, float], ...]) -> Fraction | None:
    """Σ present value × units, exactly; None when an item names no price or has fewer than no units."""
    if any(not 0 <= index < len(problem.prices) or not math.isfinite(units) or units < 0 for index, units in items):
        return None
    return sum((Fraction(problem.prices[index].npv) * Fraction(units) for index, units in items), Fraction(0))


def _plainly(npv: Mapping[int, float], items: tuple[tuple[int, float], ...], yen: int) -> bool:
    """True when floats alone settle that the items come to so many yen: their error is far below the hundredth of a yen that is left for it."""
    if any(index not in npv or not 0 <= units < math.inf for index, units in items):
        return False
    about = sum(npv[index] * units for index, units in items)
    return abs(about) <= FLOAT_SAFE and abs(about - yen) <= 0.49 and min((npv[index] for index, _ in items), default=0.0) >= 0


def rounds_to(exact: Fraction, yen: int) -> bool:
    """True when yen is the exact amount rounded half up, up to the last bits of a float.

    >>> rounds_to(Fraction(7, 2), 4), rounds_to(Fraction(7, 2), 5)
    (True, False)
    """
    return abs(exact - yen) <= Fraction(1, 2) + max(Fraction(1), exact) / 10**12


def arc_costs(view: View) -> Iterator[str]:
    """Each arc costs what its items come to."""
    npv = {index: price.npv for index, price in enumerate(view.problem.prices)}
    for index, arc in enumerate(view.problem.arcs):
        if _plainly(npv, arc.items, arc.cost):
            continue
        exact = amount(view.problem, arc.items)
        if exact is None:
            yield f"枝 {index}: 存在しない単価か負の数量 / arc {index}: a price that does not exist, or negative units"
        elif not rounds_to(exact, arc.cost):
            yield f"枝 {index}: {arc.cost:,} 円、計算では {float(exact):,.1f} / arc {index}: {arc.cost:,}, recomputed {float(exact):,.1f}"


def step_costs(view: View) -> Iterator[str]:
    """One unit of each step costs what its items come to."""
    for index, step in enumerate(view.problem.steps):
        exact = amount(view.problem, step.items)
        if exact is None or not rounds_to(exact, step.cost):
            found = "?" if exact is None else f"{float(exact):,.1f}"
            yield f"段階 {index} {step.technology}: {step.cost:,} 円、計算では {found} / step {index}: {step.cost:,}, recomputed {found}"


def step_list(view: View) -> Iterator[str]:
    """Each paid step is one of the problem, at a node of it, listed once, with at least one unit."""
    seen: set[tuple[int, int]] = set()
    for index, node, units in view.design.steps:
        known = 0 <= index < len(view.problem.steps) and 0 <= node < len(view.problem.nodes)
        if not known or units < 1 or (index, node) in seen:
            yield f"段階 ({index}, {node}, {units}): 存在しない、0 以下、または重複 / step: unknown, below 1, or twice"
        seen.add((index, node))


def paid_units(step: Step, carried: float) -> int:
    """Units beyond the free ones that a group with this load pays; a load a hair above a whole number of units counts as that number.

    >>> [paid_units(Step(technology="radio", level="facility", load="sites", capacity=2, free=1), load) for load in (0, 2, 3, 5)]
    [0, 0, 1, 2]
    """
    units = 1
    if step.capacity is not None:
        units = max(1, math.ceil(carried / step.capacity - RELATIVE))
    return max(0, units - step.free)


def steps_of(level: str, view: View) -> Iterator[str]:
    """Each open group of a level pays the units that its load asks for, no other group pays."""
    for index, step in enumerate(view.problem.steps):
        if step.level != level:
            continue
        wanted = {group: units for group, carried in view.groups(step).items() if (units := paid_units(step, load(step, carried)))}
        listed = {node: units for number, node, units in view.design.steps if number == index and units > 0}
        for node in sorted(wanted.keys() | listed.keys()):
            if wanted.get(node, 0) != listed.get(node, 0):
                yield (
                    f"段階 {index} {step.technology}、節点 {node}: {listed.get(node, 0)} 台、必要 {wanted.get(node, 0)} 台"
                    f" / step {index}, node {node}: {listed.get(node, 0)} units, {wanted.get(node, 0)} needed"
                )


def cost(view: View) -> Iterator[str]:
    """The cost of the design is that of its arcs and of the steps that it lists."""
    arcs = sum(view.problem.arcs[index].cost for index in view.chosen)
    steps = sum(view.problem.steps[index].cost * units for index, _, units in view.design.steps if 0 <= index < len(view.problem.steps))
    later = {(index, year): yen for index, step in enumerate(view.problem.steps) for year, yen in enumerate(step.later)}
    whole = arcs + steps + sum(later.get((index, year), 0) * units for index, _, year, units in view.design.grown)
    if whole != view.design.cost:
        yield f"総額 {view.design.cost:,} 円、計算では {whole:,} 円 / cost {view.design.cost:,}, recomputed {whole:,}"


def gap(view: View) -> Iterator[str]:
    """gap = (cost − bound) ÷ cost."""
    design = view.design
    exact = (design.cost - design.bound) / design.cost if design.cost else 0.0
    if not math.isclose(exact, design.gap, rel_tol=RELATIVE, abs_tol=1e-12):
        yield f"差 {design.gap:.6f}、計算では {exact:.6f} / gap {design.gap:.6f}, recomputed {exact:.6f}"


def break_even(view: View) -> Iterator[str]:
    """Each break-even price is (cost without it − cost of the rest with it) ÷ units."""
    for item in view.design.break_even:
        if item.price_yen is None:
            continue
        exact = (item.cost_without_yen - item.cost_rest_yen) / item.units if item.units > 0 else math.nan
        if not math.isclose(exact, item.price_yen, rel_tol=RELATIVE, abs_tol=1e-6):
            yield f"{item.technology}: 損益分岐 {item.price_yen:,.1f} 円、計算では {exact:,.1f} / break-even {item.price_yen:,.1f}, recomputed {exact:,.1f}"


def shared(view: View) -> Iterator[str]:
    """The saving of sharing is what the use cases cost alone, less what they cost together."""
    item = view.design.shared
    if item is not None and item.saving_yen != sum(item.alone_yen.values()) - item.together_yen:
        exact = sum(item.alone_yen.values()) - item.together_yen
        yield f"共用の節約 {item.saving_yen:,} 円、計算では {exact:,} 円 / saving {item.saving_yen:,}, recomputed {exact:,}"
