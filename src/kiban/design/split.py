"""The split of a joint design between its use cases as figures, each with its way back to the designs of all groups.

In: the designs of every group that was asked. Out: the split, and its rows in which every number is the id of a figure.
How a cost is split is said in design.share; what the costs of a design are built from, in design.figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiban.design.figures import DESIGN, Sheet, arc_name
from kiban.design.flip import COMPLETE
from kiban.design.share import EXACT, Core, Group, Split, by_layer, core, layers_of, shapley, spread
from kiban.records.design import Design, Problem
from kiban.records.technology import Technology

ALWAYS = 4  # use cases up to which every group is designed: 15 designs, of which those alone and the joint one exist
WORTH = 250_000  # arcs of the joint problem times designs that are asked for where the joint design is proved: some ten seconds
MOST = 24  # designs at most of a sample elsewhere


class _NoTotal(Exception):
    """A group has no total, so there is nothing to split; never leaves this module."""


@dataclass(frozen=True)
class Divided:
    """A split with the designs behind it and what is known of them."""

    split: Split
    core: Core
    ranges: Mapping[str, tuple[int, int]]
    designs: Mapping[Group, tuple[Problem, Design]]

    @property
    def unproved(self) -> list[Group]:
        """Groups whose design is not proved, the whole left out: what is paid is paid."""
        return [group for group, (_, design) in self.designs.items() if design.status != "proved" and len(group) < len(self.split.players)]


def effort_for(arcs: int, proved: bool) -> tuple[int, int]:
    """(players up to which every group is designed, designs at most beyond) by the arcs of the joint problem and whether its design is proved.

    A design that is not proved was hard to find, and so are those of its groups.

    >>> [effort_for(arcs, True) for arcs in (800, 3_000, 30_000)], effort_for(800, False)
    ([(8, 256), (6, 83), (4, 24)], (4, 24))
    """
    designs = min(1 << EXACT, max(MOST, WORTH // max(1, arcs))) if proved else MOST
    return max(players for players in range(ALWAYS, EXACT + 1) if players == ALWAYS or 2**players - 1 <= designs), designs


def divide(
    players: Sequence[str],
    technologies: Mapping[str, Technology],
    design_of: Callable[[Group], tuple[Problem, Design]],
    *,
    seed: int,
    exact_to: int,
    most: int | None,
) -> Divided | None:
    """Design every group and split the joint cost by layer; None where a group has no total, because a price or a way is missing."""
    designs: dict[Group, tuple[Problem, Design]] = {}

    def cost(group: Group) -> dict[str, int]:
        designs[group] = design_of(group)
        if designs[group][1].status not in COMPLETE:
            raise _NoTotal
        return by_layer(*designs[group], technologies)

    try:
        split = shapley(players, cost, seed=seed, exact_to=exact_to, most=most)
    except _NoTotal:
        return None
    bounds = {group: design.bound for group, (_, design) in designs.items()}
    return Divided(split, core(split, bounds), spread(split, bounds), designs)


def enter_split(whole: Sheet, divided: Divided, technologies: Mapping[str, Technology]) -> dict[str, Any]:
    """Enter the split of the design of a sheet and return its body: rows per player, the verdict on the core, what is not proved."""
    split, ledger = divided.split, whole.ledger
    everyone = frozenset(split.players)
    costs: dict[Group, dict[str, str]] = {}
    for group, (problem, design) in divided.designs.items():
        name = _name(split, group)
        sheet = whole if group == everyone else Sheet(ledger, problem, design, whole.region, whole.usecases, f"alone/{name}")
        costs[group] = _by_layer(sheet, f"split/cost/{'all' if group == everyone else name}", technologies, split.parts)
    sums = {group: whole.total(f"split/cost/{_name(split, group)}", list(row.values())) for group, row in costs.items()}
    order = sorted(divided.designs, key=lambda group: sum(1 << index for index, player in enumerate(split.players) if player in group))
    rows: list[dict[str, Any]] = []
    for index, player in enumerate(split.players):
        head = ledger.choice(f"choices/player/{index}", index, "number", "the place of a player in the list, from 0")
        layers = [
            {"layer": part, "figure": _share(whole, f"split/share/{player}/{part}", head, split, [(group, costs[group][part]) for group in order])}
            for part in split.parts
        ]
        ends = split.interval(player) or divided.ranges.get(player)
        low, high = (None, None) if ends is None or ends[0] == ends[1] else (float(ends[0]), float(ends[1]))
        share = whole.total(f"split/share/{player}", [row["figure"] for row in layers], low=low, high=high)
        alone = sums.get(frozenset([player]))
        saving = None if alone is None else ledger.formula(f"split/saving/{player}", "finance.difference", "JPY", [alone, share])
        rows.append({"player": player, "share": share, "alone": alone, "saving": saving, "layers": layers})
    shares = {row["player"]: str(row["share"]) for row in rows}
    return {
        "exact": split.pairs == 0,
        "groups": ledger.choice("split/groups", len(divided.designs), "designs", DESIGN),
        "pairs": ledger.choice("split/pairs", split.pairs, "pairs of orders", DESIGN) if split.pairs else None,
        "rows": rows,
        "core": {
            "state": divided.core.state,
            "all": divided.core.all,
            "objections": [_objection(whole, split, one.players, shares, sums) for one in divided.core.objections],
            "open": [list(names) for names in divided.core.open],
        },
        "unproved": [[player for player in split.players if player in group] for group in divided.unproved],
    }


def _name(split: Split, group: Group) -> str:
    return "+".join(player for player in split.players if player in group)


def _objection(sheet: Sheet, split: Split, players: Sequence[str], shares: Mapping[str, str], sums: Mapping[Group, str]) -> dict[str, Any]:
    """A group that would be better off alone: what it pays, what its own design costs, and the difference."""
    group = frozenset(players)
    pays = sheet.total(f"split/pays/{_name(split, group)}", [shares[player] for player in players])
    more = sheet.ledger.formula(f"split/more/{_name(split, group)}", "finance.difference", "JPY", [pays, sums[group]])
    return {"players": list(players), "pays": pays, "alone": sums[group], "more": more}


def _share(sheet: Sheet, key: str, head: str, split: Split, costs: Sequence[tuple[Group, str]]) -> str:
    """One player's share of one layer."""
    ledger = sheet.ledger
    if not split.pairs:
        return ledger.formula(key, "design.shapley", "JPY", [head, *(cost for _, cost in costs)])
    given = [head]
    for name, value in (("players", len(split.players)), ("seed", split.seed), ("pairs", split.pairs)):
        given.append(ledger.choice(f"choices/split/{name}", value, "number", f"of the sampled split: {name}"))
    for group, cost in costs:
        mask = sum(1 << index for index, player in enumerate(split.players) if player in group)
        given += [ledger.choice(f"choices/group/{mask}", mask, "number", "the number of a group: bit k for player k"), cost]
    return ledger.formula(key, "design.shapley_sampled", "JPY", given)


def _by_layer(sheet: Sheet, key: str, technologies: Mapping[str, Technology], layers: Sequence[str]) -> dict[str, str]:
    """The cost of a design by layer, a figure each; a layer that it does not use is a sum of nothing."""
    problem, ledger = sheet.problem, sheet.ledger
    parts: dict[str, list[str]] = defaultdict(list)

    def cut(name: str, cost: str, items: Sequence[tuple[int, float]], units: Callable[[int, float], str], year: int = 0) -> dict[str, str]:
        """A cost by layer, of what is bought in a year; the first layer takes what the rounding of the others leaves."""
        main, *others = layers_of(problem, items, technologies)
        found = {}
        for layer, part in others:
            inputs = [id for price, number in part for id in (sheet.npv_since(price, year), units(price, number))]
            found[layer] = ledger.formula(f"{name}/{layer}", "finance.products", "JPY", inputs)
        found[main[0]] = ledger.formula(f"{name}/{main[0]}", "finance.difference", "JPY", [cost, *found.values()]) if found else cost
        return found

    for index in sheet.design.arcs:
        arc, cost = problem.arcs[index], sheet.arc_cost(index)
        if cost is not None:
            name = f"split/part/{sheet.variant}/{arc_name(problem, index)}"
            for layer, figure in cut(name, cost, arc.items, lambda price, number, arc=arc: sheet.units_of(arc, price, number)).items():  # type: ignore[misc]
                parts[layer].append(figure)
    for index, group, bought in sheet.design.steps:
        step, name = problem.steps[index], f"{key}/steps/{index}/{group}"
        each = {price: sheet.count(number, problem.prices[price].per, "units of one step") for price, number in step.items}
        one = ledger.formula(f"{name}/each", "finance.products", "JPY", [id for price in each for id in (sheet.npv[price], each[price])])
        count = ledger.choice(f"{name}/units", bought, "units", DESIGN)
        for layer, figure in cut(f"{name}/each", one, step.items, lambda price, _, each=each: each[price]).items():  # type: ignore[misc]
            parts[layer].append(ledger.formula(f"{name}/{layer}", "finance.products", "JPY", [count, figure]))
    for index, group, year, bought in sheet.design.grown:  # units that growth makes necessary later
        step, name = problem.steps[index], f"{key}/steps/{index}/{group}/grown/{year}"
        each = {price: sheet.count(number, problem.prices[price].per, "units of one step") for price, number in step.items}
        count = ledger.choice(f"{name}/units", bought, "units", DESIGN)
        for layer, figure in cut(f"{name}/each", sheet.later_cost(index, year), step.items, lambda price, _, each=each: each[price], year).items():  # type: ignore[misc]
            parts[layer].append(ledger.formula(f"{name}/{layer}", "finance.products", "JPY", [count, figure]))
    return {layer: sheet.total(f"{key}/{layer}", parts.get(layer, [])) for layer in layers}
