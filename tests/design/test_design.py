"""The design engine on problems small enough to read."""

import random
import time

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph
from msgspec.structs import replace
from tests.design.valley import HERE, PRICED, SOURCES, TECHNOLOGIES, price, technology, usecase

from kiban.base.errors import DesignError, ManyErrors
from kiban.check import check_design
from kiban.design import solve
from kiban.design.blend import Blend
from kiban.design.bound import certified_bound
from kiban.design.graph import graph_of
from kiban.design.growth import grow as growing
from kiban.design.judge import Judge
from kiban.design.program import build
from kiban.design.trees import grow, make_ground
from kiban.design.warm import tiny
from kiban.records.design import Arc, Demand, Limit, Node, Problem, Step
from kiban.records.region import Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity
from kiban.records.technology import Wiring
from kiban.records.usecase import Needs, Scaled

YEARS = {"start": 2027, "horizon": 15, "discount": 0.04}


def site(id: str, lat: float = 37.0, lon: float = 137.0, **more) -> Site:
    return Site(id=id, name=id, kind="shelter", lat=lat, lon=lon, evidence=HERE, **more)


def valley(*sites: Site, metres: float = 2000.0, **more) -> Region:
    """An exchange x at j0, a street to j1 where every site hangs 100 m off the street."""
    given = {
        "streets": (Street(id="s", a="j0", b="j1", length_m=metres),),
        "places": (Place(id="x", name="x", kind="exchange", lat=37.0, lon=137.05, evidence=HERE),),
        "attach": {"x": ("j0", 0.0)} | {s.id: ("j1", 100.0) for s in sites},
    }
    return Region(
        id="v",
        name="谷",
        lg_code=None,
        sources=SOURCES,
        sites=sites,
        junctions=(Junction(id="j0", lat=37.0, lon=137.05), Junction(id="j1", lat=37.0, lon=137.0)),
        **(given | more),
    )


def made(region: Region, needs: Needs, technologies=TECHNOLOGIES, priced=PRICED, **more) -> Problem:
    return build(region, [(s.id, "use") for s in region.sites], {"use": usecase("use", needs)}, technologies, priced, **YEARS, **more)


def q(value: float) -> Quantity:
    return Quantity(unit="1", value=value, source="drawn", confidence=Confidence.B)


def cost_of(problem: Problem) -> int:
    return solve(problem, seed=0, work=20).cost


# ------------------------------------------------------------------------------------------------ the problem


def test_fibre_costs_the_street_the_spur_and_the_terminal():
    only = {"cable": (price("cable", "lay", "km", 1_000_000),), "pon": (price("pon", "onu", "site", 50_000),)}
    assert cost_of(made(valley(site("a")), Needs(), priced=only)) == 2_000_000 + 100_000 + 50_000


def test_a_satellite_wins_where_the_street_is_long_and_two_sites_share_the_street():
    priced = {
        "cable": (price("cable", "lay", "km", 1_000_000),),
        "pon": (price("pon", "onu", "site", 50_000),),
        "leo": (price("leo", "kit", "site", 1_300_000),),
    }
    assert cost_of(made(valley(site("a")), Needs(), priced=priced)) == 1_300_000
    assert cost_of(made(valley(site("a"), site("b")), Needs(), priced=priced)) == 2_000_000 + 2 * 150_000


def test_a_need_that_no_capability_states_is_unknown_and_one_that_is_too_small_fails():
    problem = made(valley(site("a", covered={"lte": True})), Needs(message_bytes=q(50), mobility=q(1), down_mbps=q(60)))
    states = {(row.technology, row.need): row.state for row in problem.exclusions}
    assert states["lte", "down_mbps"] == "fails"
    assert states["leo", "mobility"] == "unknown"
    assert problem.no_way == (("a", "use", None, ()),)
    assert solve(problem, seed=0, work=1).status == "infeasible"


def test_coverage_that_the_region_does_not_state_is_unknown():
    rows = {row.site: row.state for row in made(valley(site("a"), site("b", covered={"lte": False})), Needs()).exclusions if row.technology == "lte"}
    assert rows == {"a": "unknown", "b": "fails"}


def test_taking_the_only_price_away_leaves_the_plan_incomplete():
    needs = Needs(one_way_ms=q(6))  # only fibre is that quick
    full, without = made(valley(site("a")), needs), made(valley(site("a")), needs, priced=PRICED | {"cable": ()})
    assert solve(full, seed=0, work=1).status in ("proved", "bounded")
    assert without.no_way == (("a", "use", None, ("pon",)),)
    assert solve(without, seed=0, work=1).status == "incomplete"


def test_a_scaled_need_is_read_off_between_its_points_and_refused_outside():
    needs = Needs(down_mbps=Scaled(by="pupils", unit="Mbps", points=((10, 10.0), (110, 60.0)), source="drawn"))
    found = made(valley(site("a", pupils=60), site("b", pupils=500), site("c")), needs)
    assert {demand.site: demand.down_mbps for demand in found.demands} == {"a": 35.0, "c": 0.0}
    assert {(row.site, row.state) for row in found.exclusions if row.need == "down_mbps"} == {("b", "unknown")}


def test_a_critical_site_with_backup_is_reached_over_two_risk_classes():
    problem = made(valley(site("a", critical=True), site("b")), Needs(backup=q(1)))
    assert [(d.site, d.without) for d in problem.demands] == [("a", "air"), ("a", "road"), ("a", "sky"), ("b", None)]
    design = solve(problem, seed=0, work=20)
    risks = {problem.nodes[problem.arcs[arc].tail].risk for d, arc in zip(problem.demands, design.served, strict=True) if d.site == "a"}
    assert len(risks) >= 2


def test_power_at_the_site_is_added_where_the_need_outlasts_the_technology():
    battery = technology(Wiring(pattern="site"), autonomy_h=72.0)
    priced = {"leo": (price("leo", "kit", "site", 1_000_000),), "battery": (price("battery", "kit", "site", 200_000),)}
    technologies = TECHNOLOGIES | {"battery": battery}
    assert cost_of(made(valley(site("a")), Needs(autonomy_h=q(24)), technologies, priced)) == 1_200_000
    rows = made(valley(site("a")), Needs(autonomy_h=q(24)), technologies, {"leo": priced["leo"]}).exclusions
    assert {(row.technology, row.need) for row in rows if row.technology == "leo"} == {("leo", "autonomy_h")}


def test_a_cell_carried_by_a_satellite_keeps_the_satellites_delay():
    tower = Place(id="t", name="t", kind="tower", lat=37.0, lon=137.001, evidence=HERE)
    region = valley(site("a"), places=(tower,), attach={})
    priced = {"fwa": PRICED["fwa"], "leo": PRICED["leo"]}
    kinds = {arc.kind for arc in made(region, Needs(one_way_ms=q(55)), priced=priced).arcs}
    assert "open" in kinds  # 20 + 30 ms
    assert "open" not in {arc.kind for arc in made(region, Needs(one_way_ms=q(45)), priced=priced).arcs}


def test_behind_a_submarine_link_the_supply_depends_on_road_and_sea():
    sea = {name: TECHNOLOGIES[name] for name in ("cable", "pon", "leo")} | {"submarine": technology(Wiring(pattern="line", risk="sea", network="fibre"))}
    priced = {name: PRICED[name] for name in ("cable", "pon", "leo")} | {"submarine": (price("submarine", "lay", "km", 9_000_000),)}
    region = valley(site("a", critical=True), streets=(Street(id="s", a="j0", b="j1", length_m=2000.0, kind="sea"),))
    problem = made(region, Needs(backup=q(1)), sea, priced)
    assert {(node.kind, node.risk) for node in problem.nodes if node.kind == "terminal"} == {("terminal", "sea"), ("terminal", "sky")}
    assert [demand.without for demand in problem.demands] == ["road", "sea", "sky"]
    assert {arc.technology for arc in problem.arcs if arc.kind == "line"} == {"submarine"}


def test_unknown_ids_are_refused_all_at_once():
    with pytest.raises(ManyErrors) as caught:
        build(valley(site("a")), [("nowhere", "use"), ("a", "nothing")], {"use": usecase("use", Needs())}, TECHNOLOGIES, PRICED, **YEARS)
    assert "nowhere" in str(caught.value)
    assert "nothing" in str(caught.value)


def test_a_price_in_a_unit_that_its_pattern_cannot_count_is_refused():
    with pytest.raises(DesignError, match="per km"):
        made(valley(site("a")), Needs(), priced={"leo": (price("leo", "kit", "km", 1.0),)})


def test_a_free_technology_is_priced_per_its_own_unit():
    problem = made(valley(site("a")), Needs(), priced={}, free={"leo": 700_000.0})
    assert [(item.id, item.per) for item in problem.prices] == [("leo#break-even", "site")]
    assert cost_of(problem) == 700_000


def test_the_order_of_rows_does_not_matter():
    region = valley(*(site(name, critical=name == "b") for name in "abcd"))
    again = replace(region, sites=region.sites[::-1], streets=region.streets[::-1], places=region.places[::-1])
    turned = dict(reversed(TECHNOLOGIES.items()))
    assert made(region, Needs(backup=q(1))) == made(again, Needs(backup=q(1)), turned, dict(reversed(PRICED.items())))


# ------------------------------------------------------------------------------------------------ the bound


def ladder(seed: int, nodes: int = 14) -> Problem:
    """A random graph whose last four nodes are demands."""
    draw = random.Random(seed)
    tails = [(draw.randrange(head) if head < nodes - 4 else draw.randrange(1, nodes - 4), head) for head in range(1, nodes) for _ in range(3)]
    arcs = [(tail, head, draw.randint(1, 90)) for tail, head in tails]
    return Problem(
        region="r",
        start=2026,
        horizon=1,
        discount=0.0,
        prices=(),
        nodes=tuple(Node(kind="root" if k == 0 else "demand" if k >= nodes - 4 else "junction", ref=str(k)) for k in range(nodes)),
        arcs=tuple(Arc(tail=a, head=b, kind="serve" if b >= nodes - 4 else "line", technology="t", ref="", length_m=1.0, items=(), cost=c) for a, b, c in arcs),
        demands=tuple(Demand(node=k, site=str(k), usecase="u") for k in range(nodes - 4, nodes)),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_duals_of_each_arc_fit_into_its_cost_and_add_up_to_the_bound(seed):
    problem = ladder(seed)
    bound, certificate = certified_bound(problem, 50, seed)
    sets: list[set[int]] = []
    for cut in certificate.cuts:
        sets.append((sets[cut.base] if cut.base >= 0 else set()) | set(cut.added))
        assert cut.terminal in sets[-1]
        assert 0 not in sets[-1]
    for arc in problem.arcs:
        held = sum(cut.dual for cut, inside in zip(certificate.cuts, sets, strict=True) if arc.head in inside and arc.tail not in inside)
        assert held <= arc.cost * certificate.scale
    assert bound == sum(cut.dual for cut in certificate.cuts) // certificate.scale
    design = solve(problem, seed=seed, work=50)
    assert bound <= design.cost
    assert design.bound == bound
    assert design.status == "proved"


def test_ten_times_the_costs_give_ten_times_the_bound_and_the_same_choice():
    problem = ladder(3)
    dear = replace(problem, arcs=tuple(replace(arc, cost=10 * arc.cost) for arc in problem.arcs))
    assert certified_bound(dear, 50, 0)[0] == 10 * certified_bound(problem, 50, 0)[0]
    assert solve(dear, seed=0, work=50).cost == 10 * solve(problem, seed=0, work=50).cost


def test_a_step_per_two_sites_puts_half_its_cost_on_each_terminal_arc():
    nodes = [("root", "w", None), ("junction", "j", "fibre")] + [("terminal", s, "pon") for s in "abc"] + [("demand", s, None) for s in "abc"]
    arcs = [(0, 1, "exchange", 100)] + [(1, 2 + k, "drop", 10) for k in range(3)] + [(2 + k, 5 + k, "serve", 0) for k in range(3)]
    problem = Problem(
        region="r",
        start=2026,
        horizon=1,
        discount=0.0,
        prices=(),
        nodes=tuple(Node(kind=kind, ref=ref, technology=of) for kind, ref, of in nodes),
        arcs=tuple(
            Arc(tail=a, head=b, kind=kind, technology=None if kind == "exchange" else "pon", ref="", length_m=0.0, items=(), cost=c) for a, b, kind, c in arcs
        ),
        demands=tuple(Demand(node=5 + k, site=s, usecase="u") for k, s in enumerate("abc")),
        steps=(Step(technology="pon", level="exchange", load="sites", capacity=2.0, cost=31),),
    )
    graph = graph_of(problem)
    assert graph.cost[1] == 10 * graph.scale + 31 * graph.scale // 2
    design = solve(problem, seed=0, work=10)
    assert (design.cost, design.bound, design.status) == (130 + 62, 130 + 46, "bounded")
    assert design.steps == ((0, 1, 2),)
    assert design.relaxed == ("exchange_steps",)


def test_a_port_that_today_is_full_of_sites_long_before_it_is_full_of_traffic_is_bought_again_when_traffic_has_grown():
    pon = technology(Wiring(pattern="drop", risk="road", network="fibre"), down_mbps=1000.0, sites_per_facility=2.0, mbps_per_facility=100.0)
    prices = {"cable": PRICED["cable"], "pon": (*PRICED["pon"], price("pon", "port", "facility", 900_000))}
    factors = [1.0, *(12.0,) * 14]
    today, heavy = (made(valley(site("a")), Needs(down_mbps=q(20)), TECHNOLOGIES | {"pon": pon}, prices, peak=peak) for peak in (1.0, 12.0))
    assert [step.load for step in today.steps if step.cost] == ["sites"]
    assert [step.load for step in heavy.steps if step.cost] == ["sites", "mbps"]
    designs = [solve(problem, seed=0, work=10) for problem in (today, heavy, growing(heavy, factors))]
    assert designs[0].cost == designs[1].cost < designs[2].cost
    assert designs[2].grown == ((1, designs[2].grown[0][1], 1, 2),)  # 240 Mbps: two ports more in the second year
    assert check_design(growing(heavy, factors), designs[2]).holds


def test_reach_and_terminal_rate_are_kept():
    far = replace(made(valley(site("a")), Needs(down_mbps=q(10))), limits=(Limit(technology="pon", reach_m=2050.0),))
    design = solve(far, seed=0, work=10)
    assert {far.arcs[arc].technology for arc in design.arcs} & {"pon"} == set()
    two = build(
        valley(site("a")),
        [("a", "one"), ("a", "two")],
        {"one": usecase("one", Needs(down_mbps=q(60))), "two": usecase("two", Needs(down_mbps=q(60)))},
        TECHNOLOGIES,
        {"leo": PRICED["leo"]},
        **YEARS,
    )
    assert solve(two, seed=0, work=10).status == "infeasible"  # 120 Mbps do not fit into one dish of 100


def ring(**more) -> Region:
    """Sites a … e, one km of street after another from the exchange at j0, and a street of four km from the exchange to the last."""
    lengths = {("j0", "j1"): 1000.0, ("j1", "j2"): 1000.0, ("j2", "j3"): 1000.0, ("j3", "j4"): 1000.0, ("j4", "j5"): 1000.0, ("j0", "j5"): 4000.0}
    return replace(
        valley(*(site(name, **more) for name in "abcde")),
        junctions=tuple(Junction(id=f"j{k}", lat=37.0, lon=137.0) for k in range(6)),
        streets=tuple(Street(id=f"{a}-{b}", a=a, b=b, length_m=metres) for (a, b), metres in lengths.items()),
        attach={"x": ("j0", 0.0)} | {name: (f"j{k}", 100.0) for k, name in enumerate("abcde", start=1)},
    )


FIBRE = {"cable": PRICED["cable"], "pon": PRICED["pon"]}
SHORT = TECHNOLOGIES | {"pon": technology(Wiring(pattern="drop", risk="road", network="fibre"), reach_km=4.5)}


def test_reach_is_kept_where_the_cheapest_tree_would_break_it():
    assert cost_of(made(ring(), Needs(), priced=FIBRE)) == 5_000_000 + 5 * 150_000
    short = made(ring(), Needs(), SHORT, FIBRE)
    design = solve(short, seed=0, work=20)
    assert (design.cost, design.unserved) == (8_000_000 + 5 * 150_000, ())  # the last site needs the street of its own
    assert check_design(short, design).holds
    assert cost_of(made(ring(), Needs(), SHORT, FIBRE | {"leo": PRICED["leo"]})) == 4 * 1_000_000 + 4 * 150_000 + 1_500_000


def test_a_servable_region_whose_sites_are_all_critical_is_served_whole():
    problem = made(ring(critical=True), Needs(backup=q(1)), SHORT, FIBRE | {"leo": PRICED["leo"]})
    assert {demand.without for demand in problem.demands} >= {"road", "sky"}
    design = solve(problem, seed=0, work=1)
    assert (design.cost, design.unserved, design.status) == (8_000_000 + 5 * 150_000 + 5 * 1_500_000, (), "bounded")
    assert check_design(problem, design).holds


def net(seed: int, junctions: int = 30) -> Problem:
    """Lines between random junctions in both directions, their cost unlike their length, and a site with a drop of 40 m reach at each junction."""
    draw = random.Random(seed)
    pairs = [(draw.randrange(1, head), head) for head in range(2, junctions + 1) for _ in range(3)]
    lines = [(a, b, draw.uniform(1, 20), draw.randint(1, 90)) for a, b in pairs]
    arcs = [Arc(tail=0, head=1, kind="exchange", technology=None, ref="", length_m=0.0, items=(), cost=0)]
    for a, b, metres, cost in lines:
        arcs += [Arc(tail=t, head=h, kind="line", technology="cable", ref="", length_m=metres, items=(), cost=cost) for t, h in ((a, b), (b, a))]
    for k in range(1, junctions + 1):
        arcs.append(Arc(tail=k, head=junctions + k, kind="drop", technology="pon", ref="", length_m=1.0, items=(), cost=5))
        arcs.append(Arc(tail=junctions + k, head=2 * junctions + k, kind="serve", technology="pon", ref="", length_m=0.0, items=(), cost=0))
    kinds = ("junction", "terminal", "demand")
    return Problem(
        region="net",
        start=2026,
        horizon=1,
        discount=0.0,
        prices=(),
        nodes=(Node(kind="root", ref=""), *(Node(kind=kind, ref=str(k), technology="pon") for kind in kinds for k in range(junctions))),
        arcs=tuple(arcs),
        demands=tuple(Demand(node=2 * junctions + 1 + k, site=str(k), usecase="u") for k in range(junctions)),
        limits=(Limit(technology="pon", reach_m=40.0),),
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_grown_tree_keeps_reach_and_the_nearest_tree_leaves_out_only_what_is_too_far(seed):
    problem = net(seed)
    graph = graph_of(problem)
    judge, ground = Judge(problem), make_ground(problem, graph)
    guides = [ground.cost, ground.length, ground.cost + ground.length, np.random.default_rng(seed).uniform(0, 9, graph.size)]
    for guide in guides:
        tree = grow(ground, guide)
        assert judge.judge(tree[tree >= 0].tolist()).broken == ()
    metres = scipy.sparse.lil_array((graph.count, graph.count))
    for arc in problem.arcs:  # 1e-9 so that no arc is missing from the matrix
        length = arc.length_m + 1e-9
        metres[arc.tail, arc.head] = min(length, metres[arc.tail, arc.head] or length)
    within = scipy.sparse.csgraph.dijkstra(metres.tocsr(), indices=0)[2 * 30 + 1 :] <= 40.0
    blend = Blend(problem, ground, np.zeros(graph.size))
    for every in (False, True):
        parent = blend.nearest(blend.prizes([]), every)
        parent = grow(ground, ground.cost, parent)
        assert [arc >= 0 for arc in judge.judge(parent[parent >= 0].tolist()).served] == within.tolist()
    design = solve(problem, seed=seed, work=1)
    assert [arc >= 0 for arc in design.served] == within.tolist()


def test_a_branch_that_pays_only_for_all_its_sites_together_is_taken():
    priced = FIBRE | {"leo": (price("leo", "kit", "site", 1_300_000),)}
    assert cost_of(made(ring(), Needs(), priced=priced)) == 5_000_000 + 5 * 150_000
    assert cost_of(made(ring(), Needs(), priced=priced | {"leo": (price("leo", "kit", "site", 1_100_000),)})) == 5 * 1_100_000


# ------------------------------------------------------------------------------------------------ the run


def test_the_same_seed_and_work_give_the_same_design():
    problem = made(valley(*(site(name, critical=True) for name in "abcdef")), Needs(backup=q(1)))
    assert solve(problem, seed=5, work=30) == solve(problem, seed=5, work=30)


def test_a_cancel_is_answered_at_once_with_a_design():
    problem = made(valley(*(site(name, critical=True) for name in "abcdef")), Needs(backup=q(1)))
    begin = time.monotonic()
    design = solve(problem, seed=0, work=1000, cancel=lambda: True)
    assert time.monotonic() - begin < 2
    assert all(arc >= 0 for arc in design.served)


def test_progress_rises_from_the_bound_to_the_design():
    told: list[float] = []
    solve(tiny(), seed=0, work=1, progress=lambda share, _: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_nothing_wanted_costs_nothing():
    problem = build(valley(site("a")), [], {}, TECHNOLOGIES, PRICED, **YEARS)
    design = solve(problem, seed=0, work=1)
    assert (design.cost, design.bound, design.status) == (0, 0, "proved")
