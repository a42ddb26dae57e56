"""Which weak numbers move the total most, the design staying as it is (tornado, 感度).

In: the ledger with the total of a design in it, its problem and design. Out: one row per number of confidence C or D and per assumed row, the
widest first. Whether another design would be the best at an end is left to design.flip. Nothing is moved by a made-up percentage: a number whose
sources give no range is listed with the yen that rest on it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from kiban.base.formula import recompute
from kiban.design.growth import worth_later
from kiban.finance.ledger import Ledger
from kiban.records.design import Design, Problem
from kiban.records.plan import Figure
from kiban.records.source import Confidence

TOTAL = "total/priced"
WEAK = (Confidence.C, Confidence.D)


@dataclass(frozen=True)
class Swing:
    """One weak number and what it does to the total.

    kind   price: what one unit of a cost item comes to, `ref` its price · number: another value of a data file or a rule, `ref` its figure ·
           row: an assumed row of the region, `ref` its id
    low, high  yen of the whole design with this number at its least and greatest, all others as they are; None: nobody gives a range
    rests  yen of the design that are computed from it
    """

    kind: Literal["price", "number", "row"]
    ref: str
    low: float | None
    high: float | None
    rests: float
    inputs: tuple[str, ...]  # figures that add up to `rests`

    @property
    def width(self) -> float:
        """Yen between the two ends; 0 where no range is known."""
        return 0.0 if self.low is None or self.high is None else self.high - self.low


def swings(ledger: Ledger, problem: Problem, design: Design, ranges: Mapping[str, tuple[float, float]] | None = None) -> list[Swing]:
    """Every weak number below the total, the widest first, then those without a range by the yen that rest on them.

    Parameters
    ----------
    ledger  holds total/priced and what it is computed from
    ranges  figure id → (least, greatest) for leaves whose figure has none

    A price moves from its least to its greatest evidence (Price.low, Price.high), times the units that the design buys. Any other number is put at
    its ends and everything below the total is computed again.
    """
    figures = ledger.figures
    below = _leaves_below(figures, figures[TOTAL].inputs)
    resting: dict[str, list[str]] = defaultdict(list)  # leaf → parts of the total that are computed from it
    for part in figures[TOTAL].inputs:
        for leaf in below[part]:
            resting[leaf].append(part)
    rows = [*_prices(figures, problem, design), *_numbers(figures, resting, ranges or {}), *_rows(figures, resting)]
    return sorted(rows, key=lambda row: (-row.width, row.low is None, -row.rests, row.kind, row.ref))


def _prices(figures: Mapping[str, Figure], problem: Problem, design: Design) -> Iterable[Swing]:
    """Cost items of confidence C or D."""
    bought: dict[int, float] = defaultdict(float)
    for items, times in [(problem.arcs[index].items, 1) for index in design.arcs] + [(problem.steps[i].items, units) for i, _, units in design.steps]:
        for item, units in items:
            bought[item] += units * times
    later: dict[int, list[str]] = defaultdict(list)  # units that growth makes necessary later, each with what one costs then
    for index, group, year, times in design.grown:
        for item, units in problem.steps[index].items:
            bought[item] += units * times * worth_later(problem, item, year)
            id = problem.prices[item].id
            later[item] += [f"prices/{id}/npv/since/{year}", f"steps/{index}/{group}/grown/{year}/units/{id}"]
    total = figures[TOTAL].value or 0.0
    for index, units in sorted(bought.items()):
        price = problem.prices[index]
        if price.confidence not in WEAK:
            continue
        known = price.low < price.high
        low, high = (total + round(units * (end - price.npv)) for end in (price.low, price.high))
        today = (f"prices/{price.id}/npv", f"units/{price.id}") if f"units/{price.id}" in figures else ()
        yield Swing("price", price.id, low if known else None, high if known else None, units * price.npv, (*today, *later[index]))


def _numbers(figures: Mapping[str, Figure], resting: Mapping[str, list[str]], ranges: Mapping[str, tuple[float, float]]) -> Iterable[Swing]:
    """Leaves that are no evidence of a price: lifetimes, capacities, needs, the detour factor."""
    for leaf in sorted(resting):
        figure = figures[leaf]
        row = leaf.startswith(("region/", "plants/"))
        weak = figure.confidence in WEAK or leaf in ranges
        if figure.kind != "source" or not weak or row or figure.unit.startswith("JPY"):
            continue
        ends = ranges.get(leaf, (figure.low, figure.high))
        known = None not in ends and ends[0] != ends[1]
        low, high = sorted(_total_with(figures, leaf, end) for end in ends if end is not None) if known else (None, None)
        yield Swing("number", leaf, low, high, sum(figures[part].value or 0.0 for part in resting[leaf]), tuple(resting[leaf]))


def _rows(figures: Mapping[str, Figure], resting: Mapping[str, list[str]]) -> Iterable[Swing]:
    """Assumed rows of the region: where they stand, how many they are, when they were built."""
    parts: dict[str, dict[str, None]] = defaultdict(dict)
    for leaf, found in resting.items():
        if figures[leaf].kind == "assumed":
            row = leaf.partition("#")[2].partition("/")[0] if leaf.startswith("region/") else leaf.partition("#")[0].removeprefix("plants/")
            parts[row].update(dict.fromkeys(found))
    for row, found_parts in sorted(parts.items()):
        yield Swing("row", row, None, None, sum(figures[part].value or 0.0 for part in found_parts), tuple(found_parts))


def _leaves_below(figures: Mapping[str, Figure], tops: Iterable[str]) -> dict[str, frozenset[str]]:
    """For each figure under the tops, the leaves that it is computed from."""
    found: dict[str, frozenset[str]] = {}
    for key in _inputs_first(figures, tops):
        inputs = figures[key].inputs
        found[key] = frozenset().union(*(found[item] for item in inputs)) if figures[key].kind == "formula" else frozenset([key])
    return found


def _inputs_first(figures: Mapping[str, Figure], tops: Iterable[str]) -> list[str]:
    """All figures below the tops, each after what goes into it."""
    done: dict[str, None] = {}
    open_ids = list(tops)
    while open_ids:
        key = open_ids[-1]
        waiting = [item for item in figures[key].inputs if item not in done]
        if key in done or not waiting:
            done[open_ids.pop()] = None
        else:
            open_ids += waiting
    return list(done)


def _total_with(figures: Mapping[str, Figure], leaf: str, value: float) -> float:
    """The total with another value for one leaf."""
    now: dict[str, float] = {}
    for key in _inputs_first(figures, [TOTAL]):
        figure = figures[key]
        known = math.nan if figure.value is None else figure.value
        if key == leaf:
            now[key] = value
        elif figure.kind == "formula" and any(now[item] != figures[item].value for item in figure.inputs):
            now[key] = recompute(str(figure.formula), [now[item] for item in figure.inputs])
        else:
            now[key] = known
    return now[TOTAL]


def enter_swings(ledger: Ledger, rows: Iterable[Swing]) -> list[dict[str, object]]:
    """The rows as figures: `total`, the total with its range when this number alone moves, and `rests`, the part computed from it."""
    found: list[dict[str, object]] = []
    for row in rows:
        key = f"tornado/{row.kind}/{row.ref}"
        total = None if row.low is None else ledger.formula(key, "finance.sum", "JPY", [TOTAL], low=float(row.low), high=float(row.high or 0.0))
        name = "finance.products" if row.kind == "price" else "finance.sum"
        rests = ledger.formula(f"{key}/rests", name, "JPY", list(row.inputs))
        found.append({"kind": row.kind, "ref": row.ref, "total": total, "rests": rests})
    return found
