"""A search that is gone on with begins where it stood: its design gets no dearer, its bound no lower, and the independent check adds both up anew."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.design.drawn import draw

from kiban.check import check_design
from kiban.design import program, solve
from kiban.design.explain import site_results, why_each_site
from kiban.design.resume import remembered, search_key
from kiban.records.checkpoint import Snapshot
from kiban.records.design import Certificate, Design, Problem

WORK = 20


@cache
def problem(seed: int, sites: int = 10, junctions: int = 36) -> Problem:
    return program.build(*draw(sites, junctions, seed), start=2027, horizon=15, discount=0.0)


@cache
def walked(seed: int, sites: int = 10, junctions: int = 36) -> tuple[Design, list[Snapshot]]:
    """The design, and where the search stood each time it could be asked."""
    stood: list[Snapshot] = []
    found = solve(problem(seed, sites, junctions), seed=0, work=WORK, note=lambda state: stood.append(state()))
    return found, stood


def holds(one: Problem, found: Design) -> bool:
    """The independent check accepts the design, once its sites are told."""
    return check_design(one, replace(found, sites=site_results(one, why_each_site(one, found)))).holds


def not_worse(found: Design, one: Problem, snapshot: Snapshot) -> None:
    assert holds(one, found)
    assert found.bound >= snapshot.bound
    if snapshot.arcs is not None and not snapshot.broken:
        left = sum(arc < 0 for arc in found.served)
        assert (left, found.cost) <= (snapshot.unserved, snapshot.cost)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5), at=st.floats(0, 1))
def test_wherever_a_search_was_cut_it_ends_no_worse(seed: int, at: float):
    _, stood = walked(seed)
    snapshot = stood[round(at * (len(stood) - 1))]
    not_worse(solve(problem(seed), seed=0, work=WORK, resume=snapshot), problem(seed), snapshot)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 5), at=st.floats(0, 1))
def test_a_search_that_is_stopped_right_after_it_began_again_still_has_all_that_was_found(seed: int, at: float):
    _, stood = walked(seed)
    snapshot = stood[round(at * (len(stood) - 1))]
    not_worse(solve(problem(seed), seed=0, work=WORK, resume=snapshot, cancel=lambda: True), problem(seed), snapshot)


def test_looking_on_changes_nothing():
    found, stood = walked(0)
    assert found == solve(problem(0), seed=0, work=WORK)
    assert [one.bound for one in stood] == sorted(one.bound for one in stood)
    assert [one.stage for one in stood] == sorted(one.stage for one in stood)
    costs = [one.cost for one in stood if one.cost is not None and not one.unserved and not one.broken]
    assert costs == sorted(costs, reverse=True)


def test_a_large_network_is_gone_on_with_in_the_midst_of_its_bound():
    one = problem(3, 60, 4900)
    assert len(one.arcs) > 15_000  # no linear programme
    stood: list[Snapshot] = []

    def note(state):
        if len(stood) < 12:
            stood.append(state())

    solve(one, seed=0, work=5, note=note, cancel=lambda: len(stood) >= 12)
    middle = next(snapshot for snapshot in stood if snapshot.renewals and not snapshot.bounded)
    again = solve(one, seed=0, work=5, resume=middle)
    not_worse(again, one, middle)
    assert middle.bound > 0


@pytest.mark.parametrize("spoil", ["scale", "terminal", "base", "node", "dual", "loaded"])
def test_a_bound_that_does_not_add_up_is_not_claimed(spoil: str):
    found, stood = walked(1)
    cuts = list(stood[-1].certificate.cuts)
    scale = found.certificate.scale
    match spoil:
        case "scale":
            scale += 1
        case "terminal":
            cuts[0] = replace(cuts[0], terminal=1)
        case "base":
            cuts[0] = replace(cuts[0], base=len(cuts))
        case "node":
            cuts[0] = replace(cuts[0], added=(10**6,))
        case "dual":
            cuts[0] = replace(cuts[0], dual=-1)
        case "loaded":
            cuts = [replace(cut, dual=cut.dual * 1000 + 1) for cut in cuts]
    spoilt = replace(stood[-1], bound=found.cost, certificate=Certificate(scale=scale, cuts=tuple(cuts)))
    again = solve(problem(1), seed=0, work=WORK, resume=spoilt)
    assert again.bound == found.bound
    assert holds(problem(1), again)


class Shelf:
    """A memory that keeps everything."""

    def __init__(self) -> None:
        self.designs: dict[str, Design] = {}
        self.stood: dict[str, Snapshot] = {}
        self.now = ""

    def finished(self, key: str) -> Design | None:
        return self.designs.get(key)

    def begin(self, key: str) -> Snapshot | None:
        self.now = key
        return self.stood.get(key)

    def note(self, state) -> None:
        self.stood[self.now] = state()

    def end(self, key: str, design: Design | None) -> None:
        if design is not None:
            self.designs[key] = design


def test_a_design_that_was_finished_is_not_looked_for_again_and_one_that_was_stopped_is_none_to_go_by():
    shelf, asked = Shelf(), 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    first = remembered(shelf, problem(2), seed=0, work=WORK, cancel=soon)
    assert shelf.designs == {}
    second = remembered(shelf, problem(2), seed=0, work=WORK)
    assert (second.cost, -second.bound) <= (first.cost, -first.bound)
    assert remembered(shelf, problem(2), seed=0, work=WORK, cancel=lambda: True) is second
    assert remembered(shelf, problem(2), seed=1, work=WORK) is not second


def test_searches_have_the_same_name_when_they_are_the_same():
    keys = [search_key(problem(seed), 0, WORK, None, starts, most) for seed in (0, 1) for starts in ((), ((1, 2),)) for most in (None, 3)]
    assert len(set(keys)) == len(keys)
    assert keys[0] == search_key(program.build(*draw(10, 36, 0), start=2027, horizon=15, discount=0.0), 0, WORK, None, (), None)
