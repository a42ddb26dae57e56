"""A fair split against all orders of arrival, a closed form and every group that could walk away."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.base.errors import DesignError
from kiban.design.share import core, groups_of, shapley, shapley_sampled, shapley_share, spread

NAMES = "abcdefghij"


def by_orders(players, cost):
    """The average of what each player adds over all n! orders."""
    shares = dict.fromkeys(players, Fraction(0))
    for order in permutations(players):
        for size, player in enumerate(order, 1):
            before = cost(frozenset(order[: size - 1])) if size > 1 else 0
            shares[player] += cost(frozenset(order[:size])) - before
    return {player: share / math.factorial(len(players)) for player, share in shares.items()}


def airport(needs):
    """Littlechild and Owen (1973): each piece of the runway is paid by all who need it, in equal parts."""
    order, shares, paid, due = sorted(needs, key=lambda one: needs[one]), {}, 0, Fraction(0)
    for place, player in enumerate(order):
        due += Fraction(needs[player] - paid, len(order) - place)
        paid = needs[player]
        shares[player] = due
    return shares


def tables(least, most):
    """Random costs of all groups of some players, by part."""
    amounts = st.dictionaries(st.sampled_from(["access", "backhaul", "core"]), st.integers(0, 10**9), min_size=1)
    return st.integers(least, most).flatmap(lambda n: st.tuples(st.just(NAMES[:n]), st.lists(amounts, min_size=2**n - 1, max_size=2**n - 1)))


@settings(max_examples=60, deadline=None)
@given(tables(1, 6))
def test_the_split_is_the_average_over_all_orders_of_arrival_and_adds_up_by_layer_to_the_yen(table):
    players, rows = table
    costs = dict(zip(groups_of(players), rows, strict=True))
    split = shapley(players, costs.__getitem__)
    exact = by_orders(players, lambda group: sum(costs[group].values())) if len(players) < 6 else None
    for player in players:
        assert split.share(player) == sum(split.shares[player].values())
        if exact is not None:
            assert abs(split.share(player) - exact[player]) < len(split.parts)  # each layer is rounded by itself
    assert sum(split.share(player) for player in players) == split.total == sum(costs[frozenset(players)].values())
    for part in split.parts:
        assert sum(split.shares[player][part] for player in players) == costs[frozenset(players)].get(part, 0)


@pytest.mark.parametrize("seed", range(3))
def test_six_players_with_random_costs_pay_what_720_orders_say(seed):
    chance = __import__("random").Random(seed)
    costs = {group: chance.randrange(10**10) for group in groups_of(NAMES[:6])}
    exact = by_orders(NAMES[:6], costs.__getitem__)
    split = shapley(NAMES[:6], costs.__getitem__)
    assert all(abs(split.share(player) - share) < 1 for player, share in exact.items())


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=8))
def test_the_airport_game_has_its_closed_form_and_nobody_leaves_the_runway(lengths):
    needs = dict(zip(NAMES, lengths, strict=False))
    split = shapley(list(needs), lambda group: max(needs[player] for player in group))
    assert all(abs(split.share(player) - share) < 1 for player, share in airport(needs).items())
    assert all(one.more < len(needs) for one in core(split).objections)  # no more than the rounding of yen


def test_every_group_is_asked_once_and_the_whole_first():
    asked = []
    shapley("abcdefgh", lambda group: asked.append(group) or len(group))
    assert len(asked) == len(set(asked)) == 255
    assert asked[0] == frozenset("abcdefgh")


@settings(max_examples=60, deadline=None)
@given(tables(2, 5))
def test_the_groups_that_object_are_those_that_brute_force_finds(table):
    players, rows = table
    costs = {group: sum(row.values()) for group, row in zip(groups_of(players), rows, strict=True)}
    split = shapley(players, costs.__getitem__)
    verdict = core(split)
    better = {group for group in costs if len(group) < len(players) and sum(split.share(one) for one in group) > costs[group]}
    assert {frozenset(one.players) for one in verdict.objections} == better
    assert [one.more for one in verdict.objections] == sorted((one.more for one in verdict.objections), reverse=True)
    assert verdict.all
    assert verdict.state == ("broken" if better else "holds")


def test_a_split_that_makes_somebody_pay_more_than_alone_says_who_and_how_much():
    # b and c share a line that a does not need, and a's own way got dearer by joining
    costs = {"a": 10, "b": 50, "c": 50, "ab": 60, "ac": 60, "bc": 50, "abc": 66}
    split = shapley("abc", lambda group: costs["".join(sorted(group))])
    assert {player: split.share(player) for player in "abc"} == {"a": 12, "b": 27, "c": 27}
    assert [(one.players, one.pays, one.alone, one.more) for one in core(split).objections] == [(("b", "c"), 54, 50, 4), (("a",), 12, 10, 2)]


def test_a_cost_that_is_not_proved_leaves_the_verdict_open_and_gives_each_share_a_range():
    costs = {"a": 100, "b": 100, "ab": 150}
    split = shapley("ab", lambda group: costs["".join(sorted(group))])
    loose = {frozenset("a"): 60}
    assert core(split).state == "holds"
    assert (core(split, loose).state, core(split, loose).open) == ("open", (("a",),))
    assert spread(split, loose) == {"a": (55, 75), "b": (75, 95)}  # were a's own design 40 cheaper, a would pay 20 less
    assert spread(split, {}) == {"a": (75, 75), "b": (75, 75)}


@settings(max_examples=40, deadline=None)
@given(tables(2, 4), st.data())
def test_the_range_of_a_share_holds_whatever_the_costs_turn_out_to_be(table, data):
    players, rows = table
    costs = {group: sum(row.values()) for group, row in zip(groups_of(players), rows, strict=True)}
    bounds = {group: data.draw(st.integers(0, cost)) for group, cost in costs.items()}
    true = {group: data.draw(st.integers(bounds[group], cost)) if len(group) < len(players) else cost for group, cost in costs.items()}
    ranges = spread(shapley(players, costs.__getitem__), bounds)
    now = shapley(players, true.__getitem__)
    assert all(ranges[player][0] - 1 <= now.share(player) <= ranges[player][1] + 1 for player in players)


def congested(group):
    """Ten players on a line: each stretch is needed by all behind it; a cabinet per three players."""
    return 1000 * max(NAMES.index(player) + 1 for player in group) ** 2 + 70_000 * math.ceil(len(group) / 3)


def test_beyond_eight_players_the_interval_of_a_sample_covers_the_exact_share():
    exact = shapley(NAMES, congested, exact_to=10)
    inside, told = 0, 0
    for seed in range(20):
        split = shapley(NAMES, congested, seed=seed, pairs=100)
        assert sum(split.share(player) for player in NAMES) == split.total == congested(frozenset(NAMES))
        for player in NAMES:
            low, high = split.interval(player)
            told += 1
            inside += low <= exact.share(player) <= high
    assert inside / told > 0.9  # 95 % are meant; the 200 intervals are not independent
    assert max(shapley(NAMES, congested, pairs=400).error.values()) < max(shapley(NAMES, congested, pairs=100).error.values())


@pytest.mark.parametrize("most", [24, 60, 120])
def test_a_handful_of_orders_does_not_claim_more_than_it_knows(most):
    needs = {player: 10 ** (1 + place) for place, player in enumerate(NAMES[:9])}  # one player pays for nearly all of the runway

    def runway(group):
        return max(needs[player] for player in group)

    exact, inside, told = airport(needs), 0, 0
    for seed in range(40):
        for game, shares in ((runway, exact), (lambda group: 5 * len(group), dict.fromkeys(needs, 5))):
            split = shapley(list(needs), game, seed=seed, most=most)
            assert split.pairs < 30
            for player in needs:
                assert frozenset([player]) in split.values
                low, high = split.interval(player)
                told += 1
                inside += low - 1 <= shares[player] <= high + 1
    assert inside / told >= 0.95


def test_a_sample_keeps_to_the_number_of_groups_it_may_ask_and_says_that_the_core_was_seen_in_part():
    asked = []
    split = shapley(NAMES, lambda group: asked.append(group) or congested(group), most=120)
    assert len(asked) == len(set(asked)) <= 120
    verdict = core(split)
    assert (verdict.all, verdict.groups) == (False, len(asked) - 1)
    assert verdict.state != "holds"
    assert split == shapley(NAMES, congested, most=120)


def test_the_formulas_of_the_ledger_say_the_same_as_the_split():
    costs = {group: 7 * len(group) ** 2 + 3 for group in groups_of("abc")}
    split = shapley("abc", costs.__getitem__)
    numbered = [costs[frozenset("abc"[k] for k in range(3) if mask >> k & 1)] for mask in range(1, 8)]
    assert [shapley_share([k, *numbered]) for k in range(3)] == [split.share(player) for player in "abc"]
    drawn = shapley(NAMES, congested, pairs=5, seed=3)
    pairs = [x for group, value in drawn.values.items() for x in (sum(1 << NAMES.index(p) for p in group), sum(value.values()))]
    assert [shapley_sampled([k, 10, 3, 5, *pairs]) for k in range(10)] == [drawn.share(player) for player in NAMES]


@pytest.mark.parametrize("players", [[], ["a", "a"]])
def test_no_player_or_one_twice_is_refused(players):
    with pytest.raises(DesignError, match="each once"):
        shapley(players, len)
