"""A fair split of a joint cost, by layer: who pays how much, how sure that is, and who would be better off alone.

In: players (use cases, towns) and what any group of them would pay for itself, in yen by part (layer). Out: whole yen per player and part
that add up to the joint cost, the groups that pay more than alone, and how far shares can move where a cost is not proved.
Which problems are designed for the groups is decided in loop; nothing here knows a network.

Why the Shapley value, by layer. It is the one split in which (1) all of the cost is paid, (2) players that add the same pay the same, (3) who adds
nothing pays nothing, and (4) the split of a sum of costs is the sum of the splits (Shapley 1953); (4) is what makes layers possible at all: each
layer of each group's design is a cost of its own, is split by itself, and the parts of a player add up to his share of the whole. Without (4): it
is the only efficient symmetric split in which nobody's share falls when all that he adds rises (Young 1985). A part of a share may be negative:
a player who makes a cheaper radio network impossible pays for the fibre, and is given credit for the radio. Yen are rounded once, part by part.

Source: L. S. Shapley, "A value for n-person games", Contributions to the Theory of Games II (1953) 307–317. H. P. Young, "Monotonic solutions of
cooperative games", International Journal of Game Theory 14 (1985) 65–72. Core: D. B. Gillies, "Solutions to general non-zero-sum games" (1959).
Sampling: J. Castro, D. Gómez, J. Tejada, "Polynomial calculation of the Shapley value based on sampling", Computers & OR 36 (2009) 1726–1730.
W. Hoeffding, "Probability inequalities for sums of bounded random variables", Journal of the American Statistical Association 58 (1963) 13–30.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy.special import stdtrit

from kiban.base.errors import DesignError
from kiban.base.formula import formula
from kiban.base.money import Yen, to_yen
from kiban.design.growth import since
from kiban.records.design import Design, Price, Problem
from kiban.records.technology import Technology

EXACT = 8  # players up to which every group is asked for its cost: 255 of them
PAIRS = 500  # pairs of orders that are sampled beyond, unless the number of groups is limited before
ENOUGH = 30  # pairs from which their mean is taken to be normal

Group = frozenset[str]
Parts = Mapping[str, Yen]


@dataclass(frozen=True)
class Split:
    """Who pays how much.

    shares  player → part → yen; all add up to `total`, the parts of one kind to that part of the joint cost
    values  every group that was asked, with its cost by part; the whole is one of them
    pairs   0: exact · else the number of sampled orders, each taken forwards and backwards
    error   player → standard error of his share in yen, None when exact
    ends    player → the least and the most that he adds in the orders that were drawn, at least from 0 to what he pays alone; None when exact
    """

    players: tuple[str, ...]
    parts: tuple[str, ...]
    shares: dict[str, dict[str, Yen]]
    values: dict[Group, dict[str, Yen]]
    pairs: int = 0
    seed: int = 0
    error: dict[str, float] | None = None
    ends: dict[str, tuple[Yen, Yen]] | None = None

    @property
    def total(self) -> Yen:
        """The joint cost."""
        return self.cost(self.players)

    def cost(self, group: Collection[str]) -> Yen:
        """What a group that was asked pays for itself."""
        return sum(self.values[frozenset(group)].values())

    def share(self, group: str | Collection[str]) -> Yen:
        """What a player, or a group together, pays of the joint cost."""
        return sum(sum(self.shares[player].values()) for player in ([group] if isinstance(group, str) else group))

    def interval(self, player: str) -> tuple[float, float] | None:
        """An interval that holds the exact share in 95 of 100 samples; None when the share is exact.

        From ENOUGH pairs of orders on by Student's t. With fewer, their spread says too little: by Hoeffding's inequality, which holds for any number
        of pairs and takes for granted that a player adds at least nothing and at most what he pays alone.
        """
        if not self.error or not self.ends:
            return None
        low, high = self.ends[player]
        if self.pairs >= ENOUGH:
            wide = self.error[player] * float(stdtrit(self.pairs - 1, 0.975))
        else:
            wide = (high - low) * math.sqrt(math.log(2 / 0.05) / (2 * self.pairs))
        return max(float(low), self.share(player) - wide), min(float(high), self.share(player) + wide)


@dataclass(frozen=True)
class Objection:
    """A group that pays more in the joint design than in a design of its own; `alone` is what that design, which was found, costs."""

    players: tuple[str, ...]
    pays: Yen
    alone: Yen

    @property
    def more(self) -> Yen:
        """Yen that the group would save alone."""
        return self.pays - self.alone


@dataclass(frozen=True)
class Core:
    """The verdict on stability.

    objections  groups that would be better off alone, the greatest saving first
    open        groups for which no cheaper design was found and none is ruled out: they pay more than their proved lower bound
    groups      how many were looked at; all: every one there is
    """

    objections: tuple[Objection, ...]
    open: tuple[tuple[str, ...], ...]
    groups: int
    all: bool

    @property
    def state(self) -> str:
        """broken: somebody would leave · holds: proved that nobody would · open: nobody is known to, not proved or not all groups were asked."""
        return "broken" if self.objections else "holds" if self.all and not self.open else "open"


def shapley(
    players: Sequence[str],
    cost: Callable[[Group], Parts | Yen],
    *,
    exact_to: int = EXACT,
    seed: int = 0,
    pairs: int = PAIRS,
    most: int | None = None,
) -> Split:
    """Split the joint cost by the Shapley value.

    Parameters
    ----------
    cost      what a group that is not empty pays for itself, in yen or yen by part; each group is asked once, the whole first
    exact_to  players up to which all 2ⁿ − 1 groups are asked; beyond, orders are sampled
    seed, pairs  of the sampled orders: each order is taken forwards and backwards, so that who comes early also comes late
    most      groups asked at most when sampling, each player alone first; at least two pairs are drawn, or no error could be stated

    Returns
    -------
    Split in whole yen, the largest remainder first; in ties the earlier player

    Raises
    ------
    DesignError  no player, or one twice

    >>> dearest = {"a": 10, "b": 20, "c": 40}  # a runway as long as the largest aeroplane of a group needs
    >>> split = shapley("abc", lambda group: max(dearest[player] for player in group))
    >>> {player: split.share(player) for player in split.players}, split.total
    ({'a': 4, 'b': 8, 'c': 28}, 40)
    """
    players = tuple(players)
    if not players or len(set(players)) < len(players):
        raise DesignError("split", f"players {', '.join(players) or 'none'}", "at least one, each once", "name whom the cost is split between")
    values: dict[Group, dict[str, Yen]] = {}

    def ask(group: Group) -> None:
        if group not in values:
            found = cost(group)
            values[group] = {"": found} if isinstance(found, int) else dict(found)

    ask(frozenset(players))
    drawn = 0
    if len(players) <= exact_to:
        for group in groups_of(players):
            ask(group)
    else:
        for player in players:
            ask(frozenset([player]))
        for order in _orders(len(players), pairs, seed):
            fresh = {group for way in (order, order[::-1]) for group in _prefixes([players[i] for i in way])} - values.keys()
            if drawn >= 2 and most is not None and len(values) + len(fresh) > most:
                break
            for group in sorted(fresh, key=lambda one: (len(one), sorted(one))):
                ask(group)
            drawn += 1
    parts = tuple(sorted({part for value in values.values() for part in value}))
    shares: dict[str, dict[str, Yen]] = {player: {} for player in players}
    for part in parts:
        costs = {_mask(group, players): value.get(part, 0) for group, value in values.items()}
        for player, share in zip(players, _whole(len(players), costs, drawn, seed), strict=True):
            shares[player][part] = share
    error: dict[str, float] = {}
    ends: dict[str, tuple[Yen, Yen]] = {}
    if drawn:
        costs = {_mask(group, players): sum(value.values()) for group, value in values.items()}
        each = _pair_means(len(players), costs, drawn, seed)
        added = _added(len(players), costs, drawn, seed)
        for i, player in enumerate(players):
            error[player] = float(np.std([float(row[i]) for row in each], ddof=1) / math.sqrt(drawn))
            ends[player] = min(0, *added[i]), max(costs[1 << i], *added[i])
    return Split(players, parts, shares, values, drawn, seed, error or None, ends or None)


def core(split: Split, bounds: Mapping[Group, Yen] | None = None) -> Core:
    """Which groups that were asked would be better off alone.

    `bounds`: proved lower bound of a group's cost; a group that is absent has a proved cost. A cost that is not proved is still that of a design
    which was found: an objection is certain, its absence is not.
    """
    asked = sorted((group for group in split.values if len(group) < len(split.players)), key=lambda one: (len(one), _order(one, split.players)))
    objections, unsure = [], []
    for group in asked:
        names = tuple(player for player in split.players if player in group)
        pays, alone = split.share(group), split.cost(group)
        if pays > alone:
            objections.append(Objection(names, pays, alone))
        elif pays > (bounds or {}).get(group, alone):
            unsure.append(names)
    objections.sort(key=lambda one: -one.more)
    return Core(tuple(objections), tuple(unsure), len(asked), len(asked) == 2 ** len(split.players) - 2)


def spread(split: Split, bounds: Mapping[Group, Yen]) -> dict[str, tuple[Yen, Yen]]:
    """How far each share can move where the cost of some groups is not proved; the joint cost is what is paid, and stays.

    The share is a sum of costs, each times a known number: it is least and greatest when each cost is at one of its ends. {} when sampled.
    """
    if split.pairs:
        return {}
    everyone, found = frozenset(split.players), {}
    for player in split.players:
        low = high = Fraction(split.share(player))
        for group in split.values:
            slack = split.cost(group) - min(split.cost(group), bounds.get(group, split.cost(group)))
            if group != everyone and slack:
                change = -_weight(len(split.players), len(group), player in group) * slack
                low, high = low + min(change, Fraction(0)), high + max(change, Fraction(0))
        found[player] = (math.floor(low), math.ceil(high))
    return found


def groups_of(players: Sequence[str]) -> Iterator[Group]:
    """Every group that is not empty, small ones first."""
    return (frozenset(group) for size in range(1, len(players) + 1) for group in combinations(players, size))


def by_layer(problem: Problem, design: Design, technologies: Mapping[str, Technology]) -> dict[str, Yen]:
    """The cost of a design by layer (access, backhaul, core …), whole yen that add up to it.

    Units that growing traffic makes necessary later count with what they cost then. An arc or step that holds items of several layers is rounded
    layer by layer, and the layer with the largest part takes the yen that is left.
    """
    found: dict[str, Yen] = {}
    lots = [(problem.arcs[index].items, problem.arcs[index].cost, 1, 0) for index in design.arcs]
    lots += [(problem.steps[index].items, problem.steps[index].cost, units, 0) for index, _, units in design.steps]
    lots += [(problem.steps[index].items, problem.steps[index].later[year], units, year) for index, _, year, units in design.grown]
    for items, cost, units, year in lots:
        rest = cost
        main, *others = layers_of(problem, items, technologies) or [("", ())]
        for layer, part in others:
            amount = _rounded(problem, part, year)
            rest -= amount
            found[layer] = found.get(layer, 0) + amount * units
        if rest or main[0]:
            found[main[0]] = found.get(main[0], 0) + rest * units
    return found


def layers_of(problem: Problem, items: Sequence[tuple[int, float]], technologies: Mapping[str, Technology]) -> list[tuple[str, tuple[tuple[int, float], ...]]]:
    """The items of an arc or step by layer, the layer with the greatest amount first."""
    found: dict[str, list[tuple[int, float]]] = {}
    for price, units in items:
        found.setdefault(technologies[problem.prices[price].technology].layer, []).append((price, units))
    order = sorted(found, key=lambda layer: (-sum(problem.prices[price].npv * units for price, units in found[layer]), layer))
    return [(layer, tuple(found[layer])) for layer in order]


def _rounded(problem: Problem, items: Sequence[tuple[int, float]], year: int) -> Yen:
    """Present value of items that are bought in a year of the horizon."""

    def npv(price: Price) -> float:
        return since(price, year, problem.horizon, problem.discount) if year else price.npv

    return to_yen(sum(npv(problem.prices[price]) * units for price, units in items))


@formula("design.shapley", "JPY", flat=True)
def shapley_share(values: Sequence[float]) -> float:
    """(number of the player from 0, cost of group 1, 2, 3 … 2ⁿ − 1) → the share of that player in whole yen, by largest remainder.

    A group's number has bit k set when player k is in it. Flat, because yen are whole.

    >>> [shapley_share([player, 10, 20, 25]) for player in (0, 1)]
    [8, 17]
    """
    player, *costs = values
    players = len(costs).bit_length()
    return _whole(players, {mask: int(cost) for mask, cost in enumerate(costs, 1)}, 0, 0)[int(player)]


@formula("design.shapley_sampled", "JPY", flat=True)
def shapley_sampled(values: Sequence[float]) -> float:
    """(number of the player, players, seed, pairs of orders, group, its cost, group, its cost …) → the share of that player over those orders.

    >>> shapley_sampled([0, 2, 7, 3, 1, 10, 2, 20, 3, 25])
    8
    """
    player, players, seed, pairs, *rest = (int(value) for value in values)
    return _whole(players, dict(zip(rest[0::2], rest[1::2], strict=True)), pairs, seed)[player]


def _whole(players: int, costs: Mapping[int, Yen], pairs: int, seed: int) -> list[Yen]:
    """The shares of one part in whole yen."""
    everyone = 2**players - 1
    if pairs:
        each = _pair_means(players, costs, pairs, seed)
        exact = [sum((row[i] for row in each), Fraction(0)) / pairs for i in range(players)]
    else:
        exact = [
            sum((_weight(players, mask.bit_count(), bool(mask >> i & 1)) * costs[mask] for mask in range(1, everyone + 1)), Fraction(0)) for i in range(players)
        ]
    down = [math.floor(share) for share in exact]
    late = sorted(range(players), key=lambda i: (-(exact[i] - down[i]), i))
    for i in late[: costs[everyone] - sum(down)]:
        down[i] += 1
    return down


def _weight(players: int, size: int, inside: bool) -> Fraction:
    """What the cost of a group of `size` counts in a player's share: as with him in it, or as before he came."""
    before = size - 1 if inside else size
    weight = Fraction(math.factorial(before) * math.factorial(players - before - 1), math.factorial(players)) if before < players else Fraction(0)
    return weight if inside else -weight


def _pair_means(players: int, costs: Mapping[int, Yen], pairs: int, seed: int) -> list[list[Fraction]]:
    """Per pair of orders, what each player adds on average when he comes."""
    added = _added(players, costs, pairs, seed)
    return [[Fraction(row[2 * pair] + row[2 * pair + 1], 2) for row in added] for pair in range(pairs)]


def _added(players: int, costs: Mapping[int, Yen], pairs: int, seed: int) -> list[list[Yen]]:
    """Per player, what he adds in each order, forwards and backwards in turn."""
    found: list[list[Yen]] = [[] for _ in range(players)]
    for order in _orders(players, pairs, seed):
        for way in (order, order[::-1]):
            mask = before = 0
            for player in way:
                mask |= 1 << player
                found[player].append(costs[mask] - before)
                before = costs[mask]
    return found


def _orders(players: int, pairs: int, seed: int) -> Iterator[list[int]]:
    chance = np.random.default_rng(seed)
    return (chance.permutation(players).tolist() for _ in range(pairs))


def _prefixes(order: Sequence[str]) -> Iterator[Group]:
    return (frozenset(order[:size]) for size in range(1, len(order) + 1))


def _mask(group: Group, players: Sequence[str]) -> int:
    return sum(1 << index for index, player in enumerate(players) if player in group)


def _order(group: Group, players: Sequence[str]) -> list[int]:
    return [index for index, player in enumerate(players) if player in group]
