"""The mix engine: against every way there is on tiny mixes, against a plain integer programme on middle ones, and where something is missing."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path

import highspy
import pytest
from msgspec.structs import replace

from kiban.base.errors import DesignError, RecordError
from kiban.check.mix import check_mix
from kiban.design.mix import parse, solve
from kiban.records.mix import Mix, MixSolution


def drawn(seed: int, nodes: int, links: int, sites: int, facilities: int, capacity: bool) -> Mix:
    """A mix whose three ways are about as dear as each other."""
    draw = random.Random(seed)
    ends = [(draw.randrange(node), node) for node in range(1, nodes)]
    ends += [(a, b) for a, b in (draw.sample(range(nodes), 2) for _ in range(links - nodes + 1))]
    return Mix(
        nodes=nodes,
        root=draw.randrange(nodes),
        links=tuple((a, b, float(draw.randint(0, 12))) for a, b in ends),
        sites=tuple((draw.randrange(nodes), float(draw.randint(1, 3))) for _ in range(sites)),
        fibre_terminal=tuple(float(draw.randint(0, 4)) for _ in range(sites)),
        sky=tuple(None if draw.random() < 0.1 else float(draw.randint(5, 16)) for _ in range(sites)),
        facilities=tuple((draw.randrange(nodes), float(draw.randint(1, 9)), float(draw.randint(3, 6)) if capacity else None) for _ in range(facilities)),
        serves=tuple((f, s, float(draw.randint(0, 3))) for f in range(facilities) for s in range(sites) if draw.random() < 0.7),
        hops=tuple((a, b, float(draw.randint(0, 6))) for a, b in itertools.combinations(range(facilities), 2) if draw.random() < 0.6),
    )


def cheapest_of_all(mix: Mix) -> float:
    """Every set of links and hops, every set of open facilities; sites then choose, with all numbers of modules."""
    best = float("inf")
    base = [{"fibre": fibre, "sky": sky} for fibre, sky in zip(mix.fibre_terminal, mix.sky, strict=True)]
    for links in itertools.product((False, True), repeat=len(mix.links)):
        street = sum(cost for (*_, cost), chosen in zip(mix.links, links, strict=True) if chosen)
        if street >= best:
            continue
        for opened in itertools.product((False, True), repeat=len(mix.facilities)):
            hops = [row for row in mix.hops if opened[row[0]] and opened[row[1]]]
            for chosen in itertools.product((False, True), repeat=len(hops)):
                fixed = street + sum(cost for (*_, cost), taken in zip(hops, chosen, strict=True) if taken)
                reached, lit = {mix.root}, set[int]()
                while True:
                    before = len(reached) + len(lit)
                    for (a, b, _), taken in zip(mix.links, links, strict=True):
                        if taken and (a in reached or b in reached):
                            reached |= {a, b}
                    lit |= {f for f, (at, *_) in enumerate(mix.facilities) if opened[f] and at in reached}
                    for (a, b, _), taken in zip(hops, chosen, strict=True):
                        if taken and (a in lit or b in lit):
                            lit |= {a, b}
                    reached |= {mix.facilities[f][0] for f in lit}
                    if len(reached) + len(lit) == before:
                        break
                if len(lit) < sum(opened):
                    continue
                choices = []
                for s, (at, _) in enumerate(mix.sites):
                    ways = [(base[s]["fibre"], -1)] if at in reached else []
                    ways += [(base[s]["sky"], -1)] if base[s]["sky"] is not None else []
                    ways += [(cost, f) for f, site, cost in mix.serves if site == s and f in lit]
                    if mix.facilities and mix.facilities[0][2] is None:
                        ways = [min(ways)] if ways else []
                    choices.append(ways)
                for picked in itertools.product(*choices):
                    cost = fixed + sum(cost for cost, _ in picked)
                    for f, (_, module, room) in enumerate(mix.facilities):
                        if opened[f]:
                            load = sum(mix.sites[s][1] for s, (_, way) in enumerate(picked) if way == f)
                            cost += module * (1 if room is None else max(1, -(-load // room)))
                    best = min(best, cost)
    return best


@pytest.mark.parametrize("capacity", [False, True], ids=["free", "capacity"])
@pytest.mark.parametrize("part", range(5))
def test_tiny_mixes_cost_what_trying_everything_costs(part: int, capacity: bool) -> None:
    missed, tried = [], 0
    for seed in range(60 * part, 60 * part + 60):
        draw = random.Random(seed)
        nodes = draw.randint(2, 4)
        mix = drawn(seed, nodes, draw.randint(nodes, 5), draw.randint(1, 4), draw.randint(1, 2), capacity)
        least = cheapest_of_all(mix)
        if least == float("inf"):
            continue
        tried += 1
        found = solve(mix, work=6, threads=1)
        report, cost = check_mix(mix, found.solution)
        assert report.holds, (seed, report)
        assert cost == pytest.approx(found.cost)
        assert found.lower_bound <= least + 1e-9, seed
        if cost > least + 1e-9:
            missed.append((seed, cost, least))
        assert found.status != "proved" or cost == pytest.approx(least), seed
    assert tried >= 50
    assert not missed or (len(missed) <= 1 and all(cost <= 1.01 * least for _, cost, least in missed)), missed


def programmed(mix: Mix, seconds: float) -> tuple[float, float]:
    """(cost, bound) of a plain integer programme: one unit of flow from the root for every site and open facility."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", seconds)
    infinity = highspy.kHighsInf
    count, facilities = mix.nodes, len(mix.facilities)
    ends, keys = [], []

    def column(cost: float, high: float, whole: bool) -> int:
        solver.addVar(0.0, high)
        index = solver.getNumCol() - 1
        solver.changeColCost(index, cost)
        if whole:
            solver.changeColIntegrality(index, highspy.HighsVarType.kInteger)
        return index

    modules = [column(cost, 50, True) for _, cost, _ in mix.facilities]
    most = float(len(mix.sites) + facilities)
    arcs: list[tuple[int, int, int]] = []  # tail, head, column that allows the flow
    for a, b, cost in mix.links:
        allowed = column(cost, 1, True)
        arcs += [(a, b, allowed), (b, a, allowed)]
    for f, (at, *_) in enumerate(mix.facilities):
        arcs += [(at, count + f, modules[f]), (count + f, at, modules[f])]
    for a, b, cost in mix.hops:
        allowed = column(cost, 1, True)
        for f in (a, b):
            solver.addRow(-infinity, 0, 2, [allowed, modules[f]], [1.0, -1.0])
        arcs += [(count + a, count + b, allowed), (count + b, count + a, allowed)]
    use: dict[int, list[int]] = {v: [] for v in range(count + facilities)}
    serving: dict[int, list[tuple[int, float]]] = {f: [] for f in range(facilities)}
    for s, (at, demand) in enumerate(mix.sites):
        ways = []
        if mix.fibre_terminal[s] is not None:
            ways.append(column(mix.fibre_terminal[s], 1, True))
            use[at].append(ways[-1])
        if mix.sky[s] is not None:
            ways.append(column(mix.sky[s], 1, True))
        for f, site, cost in mix.serves:
            if site == s:
                ways.append(column(cost, 1, True))
                use[count + f].append(ways[-1])
                serving[f].append((ways[-1], demand))
                solver.addRow(-infinity, 0, 2, [ways[-1], modules[f]], [1.0, -1.0])
        solver.addRow(1, 1, len(ways), ways, [1.0] * len(ways))
    for f, (_, _, room) in enumerate(mix.facilities):
        if room is not None and serving[f]:
            solver.addRow(
                -infinity, 0, len(serving[f]) + 1, [*(column for column, _ in serving[f]), modules[f]], [*(demand for _, demand in serving[f]), -room]
            )
    for tail, head, allowed in arcs:
        keys.append(column(0.0, infinity, False))
        ends.append((tail, head))
        solver.addRow(-infinity, 0, 2, [keys[-1], allowed], [1.0, -most])
    lit = {}
    for f in range(facilities):  # an open facility draws a unit, so that it is joined
        lit[f] = column(0.0, 1, True)
        solver.addRow(-infinity, 0, 2, [modules[f], lit[f]], [1.0, -50.0])
    for v in range(count + facilities):
        if v == mix.root:
            continue
        into = [key for key, (_, head) in zip(keys, ends, strict=True) if head == v]
        out = [key for key, (tail, _) in zip(keys, ends, strict=True) if tail == v]
        drawn_here = use[v] + ([lit[v - count]] if v >= count else [])
        row = [*into, *out, *drawn_here]
        solver.addRow(0, infinity, len(row), row, [*[1.0] * len(into), *[-1.0] * (len(out) + len(drawn_here))])
    solver.run()
    info = solver.getInfo()
    return info.objective_function_value, info.mip_dual_bound


@pytest.mark.parametrize("part", range(6))
def test_middle_mixes_cost_what_an_integer_programme_finds(part: int) -> None:
    above = []
    for seed in range(1000 + 10 * part, 1010 + 10 * part):
        mix = drawn(seed, 14, 24, 12, 3, capacity=seed % 2 == 0)
        if any(sky is None for sky in mix.sky):
            mix = replace(mix, sky=tuple(16.0 if sky is None else sky for sky in mix.sky))
        found = solve(mix, work=15, threads=1)
        report, cost = check_mix(mix, found.solution)
        least, bound = programmed(mix, 20.0)
        assert report.holds, seed
        assert cost >= bound - 1e-6, seed
        assert found.lower_bound <= least + 1e-6, seed
        above.append(cost / least - 1.0)
    assert max(above) <= 0.01
    assert sum(share <= 1e-9 for share in above) >= 9, above


def test_the_same_seed_and_work_give_the_same_answer_with_one_thread_or_two() -> None:
    mix = drawn(5, 60, 110, 40, 6, capacity=True)
    answers = [solve(mix, work=8, threads=threads, seed=3) for threads in (1, 2, 2)]
    assert len({(found.cost, found.lower_bound, found.solution) for found in answers}) == 1


def test_other_names_another_order_and_other_prices_scale_the_answer() -> None:
    mix = drawn(8, 12, 20, 8, 3, capacity=False)
    turned = replace(mix, links=tuple((b, a, 1000 * c) for a, b, c in reversed(mix.links)), sky=tuple(c and 1000 * c for c in mix.sky),
                     fibre_terminal=tuple(1000 * c for c in mix.fibre_terminal if c is not None), hops=tuple((b, a, 1000 * c) for a, b, c in mix.hops),
                     facilities=tuple((at, 1000 * c, room) for at, c, room in mix.facilities),
                     serves=tuple((f, s, 1000 * c) for f, s, c in reversed(mix.serves)))  # fmt: skip
    one, other = solve(mix, work=10), solve(turned, work=10)
    assert one.status == other.status == "proved"
    assert other.cost == pytest.approx(1000 * one.cost)


@pytest.mark.parametrize("factor", [123456.7890123, 1234567.890123, 1e-4, 1e9], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_costs_times_any_number_give_the_same_design_times_that_number(seed: int, factor: float) -> None:
    mix = drawn(seed, 30, 50, 12, 4, capacity=False)
    times = replace(mix, links=tuple((a, b, factor * c) for a, b, c in mix.links), sky=tuple(None for _ in mix.sky),
                    fibre_terminal=tuple(factor * c for c in mix.fibre_terminal if c is not None), hops=tuple((a, b, factor * c) for a, b, c in mix.hops),
                    facilities=tuple((at, factor * c, room) for at, c, room in mix.facilities),
                    serves=tuple((f, s, factor * c) for f, s, c in mix.serves))  # fmt: skip
    one, other = solve(replace(mix, sky=tuple(None for _ in mix.sky)), work=12), solve(times, work=12)
    assert other.cost == pytest.approx(factor * one.cost, rel=1e-9)
    assert other.lower_bound <= other.cost


def test_a_price_beyond_all_others_neither_blurs_the_rest_nor_is_paid() -> None:
    mix = Mix(nodes=3, root=0, links=((0, 1, 100.0), (1, 2, 700.0)), sites=((1, 1), (2, 1)), fibre_terminal=(1.0, 1.0), sky=(90.0, 1e18))
    found = solve(mix, work=5)
    assert (found.cost, found.lower_bound, found.status) == (802.0, 802.0, "proved")


def test_without_facilities_it_is_a_tree() -> None:
    mix = Mix(nodes=7, root=0, links=((0, 1, 2.0), (1, 5, 1.0), (1, 6, 1.0), (0, 2, 2.0), (2, 4, 1.0), (2, 6, 1.0), (0, 3, 2.0), (3, 4, 1.0), (3, 5, 1.0)),
              sites=((4, 1), (5, 1), (6, 1)), fibre_terminal=(0.0,) * 3, sky=(None,) * 3)  # fmt: skip
    found = solve(mix, work=10)
    assert (found.cost, found.status) == (6.0, "proved")
    assert check_mix(mix, found.solution)[0].holds


def test_a_load_that_is_over_by_its_last_digit_needs_another_module() -> None:
    mix = Mix(nodes=1, root=0, links=(), sites=((0, 0.1), (0, 0.2)), fibre_terminal=(None, None), sky=(90.0, 90.0), facilities=((0, 5.0, 0.3),),
              serves=((0, 0, 1.0), (0, 1, 1.0)))  # fmt: skip
    found = solve(mix, work=5)
    assert check_mix(mix, found.solution)[0].holds
    assert found.solution.open == ((0, 2),)


@pytest.mark.parametrize("seed", range(8))
def test_many_facilities_where_no_satellite_reaches(seed: int) -> None:
    mix = drawn(3000 + seed, 8, 10, 8, 6, capacity=seed % 2 == 0)
    mix = replace(mix, sky=tuple(None for _ in mix.sky))
    found = solve(mix, work=20, threads=1)
    least, _ = programmed(mix, 20.0)
    assert check_mix(mix, found.solution)[0].holds
    assert found.lower_bound <= least + 1e-6
    assert found.cost <= 1.01 * least


def test_costs_beyond_all_numbers_and_sizes_beyond_the_memory_are_refused() -> None:
    mix = Mix(nodes=2, root=0, links=((0, 1, 1e308),), sites=((1, 1),), fibre_terminal=(1e308,), sky=(None,))
    with pytest.raises(DesignError, match="more than a number can hold"):
        solve(mix, work=1)
    with pytest.raises(DesignError, match="needs about"):
        solve(Mix(nodes=2_000_000_000, root=0, links=(), sites=(), fibre_terminal=(), sky=()), work=1)


def test_without_sites_nothing_is_built() -> None:
    found = solve(Mix(nodes=3, root=0, links=((0, 1, 1.0), (1, 2, 1.0)), sites=(), fibre_terminal=(), sky=()))
    assert (found.cost, found.lower_bound, found.status) == (0.0, 0.0, "proved")
    assert found.solution == MixSolution(links=(), hops=(), open=(), serve=())


def test_a_site_at_the_root_pays_its_terminal_alone() -> None:
    found = solve(Mix(nodes=1, root=0, links=(), sites=((0, 1),), fibre_terminal=(2.5,), sky=(9.0,)))
    assert (found.cost, found.status) == (2.5, "proved")


def test_a_site_that_nothing_reaches_is_named_and_the_others_are_served() -> None:
    mix = Mix(nodes=3, root=0, links=((0, 1, 4.0),), sites=((1, 1), (2, 1)), fibre_terminal=(1.0, 1.0), sky=(None, None))
    found = solve(mix, work=5)
    assert (found.status, found.unserved, found.cost) == ("partial", (1,), 5.0)
    assert found.solution.serve == (("fibre",), ("none",))


def test_an_island_is_served_by_sky_and_a_town_without_any_streets_as_well() -> None:
    mix = Mix(nodes=4, root=0, links=(), sites=((1, 1), (2, 1), (3, 1)), fibre_terminal=(1.0,) * 3, sky=(5.0, 6.0, 7.0))
    found = solve(mix)
    assert (found.cost, found.status, {how[0] for how in found.solution.serve}) == (18.0, "proved", {"sky"})


def test_where_everything_is_free_the_cost_is_zero_and_proved() -> None:
    mix = drawn(3, 8, 12, 5, 2, capacity=True)
    free = replace(mix, links=tuple((a, b, 0.0) for a, b, _ in mix.links), sky=tuple(0.0 for _ in mix.sky), fibre_terminal=tuple(0.0 for _ in mix.sky),
                   facilities=tuple((at, 0.0, room) for at, _, room in mix.facilities), serves=tuple((f, s, 0.0) for f, s, _ in mix.serves))  # fmt: skip
    found = solve(free, work=3)
    assert (found.cost, found.gap, found.status) == (0.0, 0.0, "proved")
    assert check_mix(free, found.solution)[0].holds


def test_without_any_price_for_a_service_every_site_is_named() -> None:
    found = solve(Mix(nodes=2, root=0, links=((0, 1, 1.0),), sites=((1, 1), (0, 1)), fibre_terminal=(None, None), sky=(None, None)), work=2)
    assert (found.status, found.unserved, found.cost) == ("partial", (0, 1), 0.0)


def test_costs_with_many_decimals_keep_the_bound_below_the_cost() -> None:
    mix = Mix(nodes=2, root=0, links=((0, 1, 1 / 3),), sites=((1, 1),), fibre_terminal=(1 / 7,), sky=(0.9,))
    found = solve(mix, work=5)
    assert found.cost == pytest.approx(1 / 3 + 1 / 7)
    assert found.lower_bound <= found.cost
    assert found.gap < 1e-5


def test_a_facility_at_the_end_of_a_hop_lights_the_fibre_of_its_own_node() -> None:
    mix = Mix(nodes=4, root=0, links=((2, 3, 1.0),), sites=((3, 1),), fibre_terminal=(1.0,), sky=(99.0,), facilities=((0, 2.0, None), (2, 3.0, None)),
              hops=((0, 1, 4.0),))  # fmt: skip
    found = solve(mix, work=5)
    assert (found.cost, found.status) == (11.0, "proved")
    assert check_mix(mix, found.solution)[0].holds


def test_the_example_of_the_page_runs_and_prints_what_its_numbers_say(capsys: pytest.CaptureFixture[str]) -> None:
    for page in ("mix.md", "mix.ja.md"):
        text = (Path(__file__).parents[2] / "docs" / "explanation" / page).read_text(encoding="utf-8")
        code = text.partition("```python\n")[2].partition("```")[0]
        assert len(code.splitlines()) <= 30
        exec(compile(code, page, "exec"), {})
        assert capsys.readouterr().out.splitlines() == ["80.0 80.0 proved", "0 fibre", "1 radio 0", "2 radio 0", "3 radio 0", "111.0"]


def test_cancelling_answers_at_once_with_what_there_is() -> None:
    mix = drawn(1, 4000, 7000, 1500, 100, capacity=True)
    mix = replace(mix, sky=tuple(16.0 for _ in mix.sky))
    solve(drawn(2, 10, 15, 4, 2, capacity=True), work=1)  # kernels
    asked = []

    def cancel() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 20

    found = solve(mix, cancel=cancel)
    assert found.ended == "cancelled"
    assert time.monotonic() - asked[20] < 2.0
    assert check_mix(mix, found.solution)[0].holds


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\x1f\x8bxx", "broken gzip"),
        (b'{"nodes": 1}', "root"),
        (b'{"nodes":1,"root":0,"links":[[0,1,2]],"sites":[],"fibre_terminal":[],"sky":[]}', "links[0]"),
        (b'{"nodes":2,"root":0,"links":[[0,1,-2]],"sites":[],"fibre_terminal":[],"sky":[]}', "links[0]"),
        (b'{"nodes":2,"root":5,"links":[],"sites":[],"fibre_terminal":[],"sky":[]}', "root 5"),
        (b'{"nodes":2,"root":0,"links":[],"sites":[[0,1]],"fibre_terminal":[],"sky":[1]}', "one per site"),
        (b'{"nodes":2,"root":0,"links":[],"sites":[],"fibre_terminal":[],"sky":[],"facilities":[[0,1,0]]}', "capacity 0"),
    ],
    ids=["empty", "cut off", "gzip", "no root", "node", "cost", "root", "per site", "capacity"],
)  # fmt: skip
def test_what_is_no_mix_is_refused_with_the_place(data: bytes, words: str) -> None:
    with pytest.raises((DesignError, RecordError)) as told:
        parse(data, "a.json")
    assert words in str(told.value)


def test_the_check_refuses_what_the_judge_of_the_instances_refuses() -> None:
    mix = drawn(4, 8, 12, 5, 2, capacity=True)
    mix = replace(mix, sky=tuple(9.0 for _ in mix.sky))
    good = solve(mix, work=5).solution
    sky = tuple(("sky",) for _ in mix.sites)
    wrong = [
        replace(good, serve=good.serve[:-1]),
        replace(good, serve=(("radio", 77), *good.serve[1:])),
        replace(good, links=(999,)),
        replace(good, open=((0, 0),)),
        MixSolution(links=(), hops=(0,), open=(), serve=sky),
        MixSolution(links=(), hops=(), open=((9, 1),), serve=sky),
    ]
    assert check_mix(mix, good)[0].holds
    assert not any(check_mix(mix, solution)[0].holds for solution in wrong)
