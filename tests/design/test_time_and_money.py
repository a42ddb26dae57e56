"""Traffic factors, electricity, old plant, limited money and works by year on problems small enough to read."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace
from tests.cross.test_full_problem import mix

from kiban.base.errors import DesignError
from kiban.check import check_design, check_frontier, check_phases
from kiban.design import solve
from kiban.design.ageing import ageing
from kiban.design.budget import default_weights, frontier
from kiban.design.energy import energy, with_ceiling
from kiban.design.growth import breaks, factors, grow
from kiban.design.limits import Effort, greatest, least, least_amount, priced, solve_within
from kiban.design.phases import for_years, phases
from kiban.records.design import Arc, Demand, EnergyUse, Limit, Node, Price, Problem, Step
from kiban.records.horizon import Weight
from kiban.records.region import Evidence, Plant, Site
from kiban.records.rule import Growth, TrafficScenario
from kiban.records.source import Confidence, Quantity, Source, Text

SEEN = date(2026, 11, 23)
WORD = Text(ja="例", en="example")
EFFORT = Effort(seed=0, work=20)


def scenario(*points: tuple[int, float], yearly: float | None = None) -> TrafficScenario:
    def q(value: float) -> Quantity:
        return Quantity(unit="1", value=value, source="s", confidence=Confidence.A)

    return TrafficScenario(
        name=WORD,
        summary=WORD,
        base_year=2020,
        points=tuple(Growth(year=year, factor=q(value)) for year, value in points),
        yearly_growth=None if yearly is None else q(yearly),
        sources={"s": Source(title="t", seen_on=SEEN)},
        checked_on=SEEN,
    )


def street() -> Problem:
    """An exchange, a street of 1 km with cable (4 years, 1,000) or old plant (upkeep 10 a year, renewed in year 2 for 100), and two sites on it.

    A port of 100 Mbps costs 50 and lasts the horizon of 4 years; a satellite costs 300 a site and 20 a year. Nothing is discounted.
    """

    def price(id: str, per: str, amounts: tuple[float, ...], npv: float, life: float | None = None, first: int = 0) -> Price:
        technology, cost = id.partition("@")[0].split("#")
        phase = "initial" if life else "yearly"
        return Price(
            id=id, technology=technology, cost=cost, phase=phase, per=per, unit_yen=amounts, life=life, first=first, npv=npv, low=npv, high=npv,
            confidence=Confidence.B,
        )  # fmt: skip

    prices = (
        price("cable#lay", "km", (1_000.0,), 1_000.0, 4.0),
        price("old#upkeep@p", "km", (10.0,) * 4, 40.0),
        price("old#renewal@p", "km", (100.0,), 50.0, 4.0, 2),
        price("pon#port", "facility", (50.0,), 50.0, 4.0),
        price("sat#kit", "site", (300.0,), 300.0, 4.0),
        price("sat#fee", "site", (20.0,) * 4, 80.0),
    )
    nodes = (
        Node(kind="root", ref="world"), Node(kind="junction", ref="x", risk="road"), Node(kind="junction", ref="y", risk="road"),
        Node(kind="terminal", ref="A", technology="pon", risk="road"), Node(kind="terminal", ref="B", technology="pon", risk="road"),
        Node(kind="terminal", ref="A", technology="sat", risk="sky"), Node(kind="terminal", ref="B", technology="sat", risk="sky"),
        Node(kind="demand", ref="A"), Node(kind="demand", ref="B"),
    )  # fmt: skip

    def arc(tail: int, head: int, kind: str, technology: str | None, items: tuple = (), cost: int = 0, metres: float = 0.0) -> Arc:
        return Arc(
            tail=tail, head=head, kind=kind, technology=technology, ref="s" if kind in ("line", "plant") else "r", length_m=metres, items=items, cost=cost
        )

    arcs = (
        arc(0, 1, "exchange", None), arc(1, 2, "line", "cable", ((0, 1.0),), 1_000, 1_000.0), arc(1, 2, "plant", "old", ((1, 1.0), (2, 1.0)), 90, 1_000.0),
        arc(2, 3, "drop", "pon"), arc(2, 4, "drop", "pon"), arc(0, 5, "direct", "sat", ((4, 1.0), (5, 1.0)), 380),
        arc(0, 6, "direct", "sat", ((4, 1.0), (5, 1.0)), 380), arc(3, 7, "serve", "pon"), arc(4, 8, "serve", "pon"), arc(5, 7, "serve", "sat"),
        arc(6, 8, "serve", "sat"),
    )  # fmt: skip
    return Problem(
        region="street", start=2027, horizon=4, discount=0.0, prices=prices, nodes=nodes, arcs=arcs,
        demands=(Demand(node=7, site="A", usecase="video", down_mbps=40.0), Demand(node=8, site="B", usecase="video", down_mbps=30.0)),
        steps=(Step(technology="pon", level="exchange", load="mbps", capacity=100.0, items=((3, 1.0),), cost=50),),
        limits=(Limit(technology="sat", down_mbps=50.0),),
        energy=(EnergyUse(technology="pon", per="site", kwh=10.0), EnergyUse(technology="sat", per="site", kwh=None)),
    )  # fmt: skip


def test_even_growth_between_two_points_and_the_last_one_held():
    growth = factors(scenario((2020, 1.0), (2030, 18.0)), 2028, 4)
    assert [round(value, 3) for value in growth.factors] == [1.0, 1.335, 1.783, 1.783]
    assert growth.held_from == 2031


def test_a_scenario_of_the_past_says_nothing_of_the_years_to_come():
    assert factors(scenario((2008, 1.0), (2019, 12.8)), 2027, 15) is None
    assert factors(scenario((2030, 1.0), (2040, 2.0)), 2027, 15) is None


def test_a_flat_scenario_leaves_the_problem_as_it_is():
    assert grow(street(), (1.0, 1.0, 1.0, 1.0)) == street()


@pytest.mark.parametrize("growth", [(1.0, 1.2), (2.0, 2.0, 2.0, 2.0), (1.0, -1.0, 1.0, 1.0), (1.0, float("nan"), 1.0, 1.0)])
def test_factors_that_cannot_be_are_refused(growth):
    with pytest.raises(DesignError, match="growth"):
        grow(street(), growth)


def test_the_second_port_is_bought_in_the_year_in_which_the_first_is_full():
    growth = (1.0, 1.2, 1.5, 1.8)  # 70 Mbps, 84, 105, 126
    problem = grow(street(), growth)
    design = solve(problem, seed=0, work=20)
    assert problem.steps[0].later == (50, 38, 25, 13)  # of 50 yen the part of the four years that is left, rounded half up
    assert design.grown == ((0, 1, 2, 1),)
    assert design.cost == 90 + 50 + 25
    assert check_design(problem, design).holds
    (link,) = breaks(problem, design, growth)
    assert (link.kind, link.year, link.load, link.units, link.sites) == ("units", 2, 70.0, (1, 1, 2, 2), ("A", "B"))


def test_growth_that_makes_fibre_too_dear_takes_the_satellite():
    problem = street()
    dear = replace(problem.steps[0], items=((3, 10.0),), cost=500)  # a port costs ten units
    found = solve(grow(replace(problem, steps=(dear,)), (1.0, 4.0, 8.0, 16.0)), seed=0, work=20)
    assert found.served == (9, 10)
    assert found.cost == 760


def test_a_terminal_too_slow_and_a_port_that_nobody_priced_are_told():
    problem = street()
    design = solve(replace(problem, arcs=tuple(arc for arc in problem.arcs if arc.kind in ("direct", "serve") and arc.technology == "sat")), seed=0, work=20)
    assert design.status == "bounded" or design.status == "proved"
    alone = replace(problem, arcs=tuple(arc for arc in problem.arcs if arc.technology == "sat"))
    found = breaks(alone, design, (1.0, 1.2, 1.5, 1.8))
    assert [(link.kind, link.sites, link.year) for link in found] == [("rate", ("A",), 2), ("rate", ("B",), 3)]
    bare = replace(problem, steps=())
    full = breaks(bare, solve(bare, seed=0, work=20), (1.0, 1.2, 1.5, 1.8), {"pon": 100.0})
    assert [(link.kind, link.technology, link.year) for link in full] == [("unpriced", "pon", 2)]


def test_electricity_that_nobody_states_makes_the_total_a_lower_bound():
    problem = street()
    design = solve(problem, seed=0, work=20)
    assert (energy(problem, design).known, energy(problem, design).missing) == (20.0, ())
    mixed = solve(with_ceiling(problem, 15.0), seed=0, work=20)
    found = energy(problem, mixed)
    assert (found.known, found.missing) == (10.0, ("sat",))


def test_a_limit_of_electricity_costs_what_it_costs_and_the_bound_says_so():
    problem = with_ceiling(street(), 10.0)
    design, bound = solve_within(problem, EFFORT)
    assert design.cost == 90 + 50 + 380
    assert check_design(problem, design).holds
    assert 140 < least(bound, {"kwh_year": 10.0}) <= design.cost


def test_a_limit_that_nothing_keeps_leaves_needs_unserved_and_says_so():
    problem = replace(street(), energy=(EnergyUse(technology="pon", per="site", kwh=10.0), EnergyUse(technology="sat", per="site", kwh=10.0)))
    limited = with_ceiling(problem, 10.0)
    design, _ = solve_within(limited, EFFORT)
    assert design.status == "infeasible"
    assert len(design.unserved) == 1


@pytest.mark.parametrize("most", [0.0, 1e-12])
def test_a_limit_of_nothing_ends_with_no_design_and_no_overflow(most):
    problem = street()
    dear = replace(problem, arcs=tuple(replace(arc, cost=arc.cost * 10**8) for arc in problem.arcs))
    dear = replace(dear, energy=tuple(EnergyUse(technology=id, per="site", kwh=10.0) for id in ("pon", "sat")))
    limited = with_ceiling(dear, most)
    top = greatest(limited, limited.ceilings[0])
    assert 0 < sum(arc.cost for arc in priced(limited, 1, {"kwh_year": top}, limited.ceilings).arcs) < 2**50
    design, _ = solve_within(limited, EFFORT)
    assert design.status == "infeasible"
    assert design.unserved


def test_the_least_electricity_of_any_design_is_found_and_proved():
    problem = replace(street(), energy=(EnergyUse(technology="pon", per="site", kwh=10.0), EnergyUse(technology="sat", per="site", kwh=4.0)))
    design, bound = least_amount(problem, with_ceiling(problem, 1.0).ceilings[0], EFFORT)
    assert energy(problem, design).known == bound == 8.0


def test_old_plant_is_renewed_where_that_is_cheaper_than_new_cable():
    problem = street()
    plant = Plant(id="p", name="旧線", technology="old", evidence=Evidence(source="s"), year_built=2009)
    design = solve(problem, seed=0, work=20)
    (row,) = ageing(problem, design, (plant,), lambda variant: solve(variant, seed=0, work=20))
    assert (row.age, row.renewal, row.chosen, row.used) == (18, 2, "renew", ("s",))
    assert row.without[1].cost == 760  # two satellites; new cable would cost 1,050
    unused = solve(replace(problem, arcs=tuple(replace(arc, cost=900) if arc.kind == "plant" else arc for arc in problem.arcs)), seed=0, work=20)
    assert ageing(problem, unused, (plant,))[0].chosen == "leave"


def test_money_goes_to_the_critical_site_first_and_the_next_sum_is_named():
    problem = replace(street(), arcs=tuple(arc for arc in street().arcs if arc.technology == "sat"))
    evidence = Evidence(source="s")
    sites = {
        "A": Site(id="A", name="A", kind="hamlet", lat=37.0, lon=137.0, evidence=evidence, households=500),
        "B": Site(id="B", name="B", kind="shelter", lat=37.0, lon=137.0, evidence=evidence, critical=True),
    }
    weights = default_weights(problem, sites)
    assert [(one.site, one.weight) for one in weights] == [("A", 500), ("B", 501)]
    design = solve(problem, seed=0, work=20)
    front = frontier(problem, design, weights, 400, EFFORT)
    assert check_frontier(problem, design, front).holds
    stage = front.stages[front.asked]
    assert (stage.initial, stage.unserved, stage.lost) == (300, (("A", "video"),), 500)
    assert [(row.site, row.reason, row.joining, row.from_) for row in front.waiting] == [("A", "budget", 300, 600)]
    assert (front.next_yen, front.next_in) == (600, (("A", "video"),))
    assert front.million_in == (("A", "video"),)


def test_weights_for_a_site_without_need_are_refused():
    with pytest.raises(DesignError, match="weights"):
        default_weights(street(), {}, {"nowhere": 3})


def test_two_years_dig_one_street_once():
    problem = replace(street(), arcs=tuple(arc for arc in street().arcs if arc.kind != "plant" and arc.technology != "sat"))
    design = solve(problem, seed=0, work=20)
    weights = [Weight(site="A", usecase="video", weight=5), Weight(site="B", usecase="video", weight=1)]
    works = phases(problem, design, weights, [1_050, 0])
    assert works.joined == (0, 0)
    late = phases(problem, design, weights, [1_000, 50])  # the street in the first year, the port in the second
    assert (late.initial, late.joined, late.waited, late.least_waited) == ((1_000, 50), (1, 1), 6, 6)
    never = phases(problem, design, weights, [10])
    assert (never.joined, never.waited) == ((-1, -1), 6)
    assert all(check_phases(problem, design, one).holds for one in (works, late, never))
    assert sum(for_years(problem, design, weights, 2).initial) == 1_050


@pytest.mark.parametrize("money", [[], [-1]])
def test_years_without_money_that_makes_sense_are_refused(money):
    with pytest.raises(DesignError, match="phases"):
        phases(street(), solve(street(), seed=0, work=20), [], money)


def test_nothing_to_serve_and_nothing_to_pay_end_well():
    empty = replace(street(), demands=(), arcs=())
    design = solve(empty, seed=0, work=20)
    assert frontier(empty, design, (), 0, EFFORT).stages[0].cost == 0
    assert phases(empty, design, (), [0]).works == ()
    free = replace(street(), prices=tuple(replace(price, unit_yen=(0.0,) * len(price.unit_yen), npv=0.0, low=0.0, high=0.0) for price in street().prices))
    free = replace(free, arcs=tuple(replace(arc, cost=0) for arc in free.arcs), steps=(replace(free.steps[0], cost=0),))
    found = solve(free, seed=0, work=20)
    weights = default_weights(free, {})
    assert frontier(free, found, weights, 0, EFFORT).stages[-1].lost == 0
    assert phases(free, found, weights, [0]).joined == (0, 0)


def test_the_same_seed_gives_the_same_frontier_and_the_same_order():
    given = mix(3)
    design = solve(given.base, seed=1, work=20)
    runs = [frontier(given.base, design, given.weights, 500_000, Effort(seed=1, work=20)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert phases(given.base, design, given.weights, [400_000] * 3) == phases(given.base, design, given.weights, [400_000] * 3)
