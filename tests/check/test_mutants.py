"""For every constraint of the table: a design that is wrong in just that respect, and check says just that.

The valid design: an exchange x, a line of 2 km to y, a tower at y. Site A is critical: by fibre, and by satellite without the road. Site B has two
use cases by the tower's radio, whose cell needs a second unit. Site C has only an option without a price, so the design is incomplete.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from kiban.base.errors import RecordError
from kiban.check import CONSTRAINTS, check_design
from kiban.records.design import (
    Alternative,
    Arc,
    BreakEven,
    Ceiling,
    Certificate,
    Cut,
    Demand,
    Design,
    Exclusion,
    Limit,
    Node,
    Price,
    Problem,
    Shared,
    SiteResult,
    Step,
    problem_hash,
)
from kiban.records.source import Confidence

Pair = tuple[Problem, Design]


def price(technology: str, cost: str, per: str, npv: float, *amounts: float, life: float | None = None) -> Price:
    return Price(
        id=f"{technology}#{cost}",
        technology=technology,
        cost=cost,
        phase="initial" if life else "yearly",
        per=per,
        unit_yen=amounts,
        life=life,
        npv=npv,
        low=npv,
        high=npv,
        confidence=Confidence.B,
    )


# Two fiscal years at 25 %: a yearly yen is worth 1.8; what lasts four years keeps half of its price, worth 0.32 of it.
PRICES = (
    price("fibre", "line", "km", 1_000_000, 1_000_000, life=2),
    price("ftth", "port", "site", 90_000, 50_000, 50_000),
    price("fwa", "cell", "facility", 272_000, 400_000, life=4),
    price("fwa", "radio", "site", 20_000, 20_000, life=2),
    price("sat", "fee", "site", 900_000, 500_000, 500_000),
    price("ftth", "card", "facility", 160_000, 160_000, life=2),
    price("sat", "office", "system", 30_000, 30_000, life=2),
)
NODES = (
    Node(kind="root", ref="world"),  # 0
    Node(kind="junction", ref="x", risk="road"),  # 1
    Node(kind="junction", ref="y", risk="road"),  # 2
    Node(kind="mast", ref="tower", risk="road"),  # 3
    Node(kind="facility", ref="tower", technology="fwa", risk="road"),  # 4
    Node(kind="terminal", ref="A", technology="ftth", risk="road"),  # 5
    Node(kind="terminal", ref="B", technology="ftth", risk="road"),  # 6
    Node(kind="terminal", ref="B", technology="fwa", risk="road"),  # 7
    Node(kind="terminal", ref="A", technology="sat", risk="sky"),  # 8
    Node(kind="terminal", ref="B", technology="sat", risk="sky"),  # 9
    *(Node(kind="demand", ref=site) for site in "AABBC"),  # 10 … 14
)


def arc(tail: int, head: int, kind: str, technology: str | None = None, metres: float = 0, items: tuple = (), cost: int = 0) -> Arc:
    return Arc(tail=tail, head=head, kind=kind, technology=technology, ref="", length_m=metres, items=items, cost=cost)


ARCS = (
    arc(0, 1, "exchange"),  # 0
    arc(1, 2, "line", "fibre", 2000, ((0, 2.0),), 2_000_000),  # 1
    arc(1, 5, "drop", "ftth", 500, ((0, 0.5), (1, 1.0)), 590_000),  # 2
    arc(2, 6, "drop", "ftth", 1000, ((0, 1.0), (1, 1.0)), 1_090_000),  # 3
    arc(2, 3, "feed"),  # 4
    arc(3, 4, "open", "fwa", 0, ((2, 1.0),), 272_000),  # 5
    arc(4, 7, "link", "fwa", 0, ((3, 1.0),), 20_000),  # 6
    arc(0, 8, "direct", "sat", 0, ((4, 1.0),), 900_000),  # 7
    arc(0, 9, "direct", "sat", 0, ((4, 1.0),), 900_000),  # 8
    arc(5, 11, "serve"),  # 9
    arc(8, 10, "serve"),  # 10
    arc(6, 12, "serve"),  # 11
    arc(7, 12, "serve"),  # 12
    arc(9, 12, "serve"),  # 13
    arc(6, 13, "serve"),  # 14
    arc(7, 13, "serve"),  # 15
    arc(9, 13, "serve"),  # 16
)
PROBLEM = Problem(
    region="a valley",
    start=2026,
    horizon=2,
    discount=0.25,
    prices=PRICES,
    nodes=NODES,
    arcs=ARCS,
    demands=(
        Demand(node=10, site="A", usecase="voice", without="road", down_mbps=2),
        Demand(node=11, site="A", usecase="voice", without="sky", down_mbps=2),
        Demand(node=12, site="B", usecase="voice", down_mbps=2, devices=3),
        Demand(node=13, site="B", usecase="video", down_mbps=20, devices=2),
        Demand(node=14, site="C", usecase="voice", down_mbps=2),
    ),
    steps=(
        Step(technology="fwa", level="facility", load="devices", capacity=4, free=1, items=((2, 1.0),), cost=272_000),
        Step(technology="ftth", level="exchange", load="sites", capacity=2, items=((5, 1.0),), cost=160_000),
        Step(technology="sat", level="system", load="none", items=((6, 1.0),), cost=30_000),
    ),
    limits=(Limit(technology="ftth", reach_m=2900), Limit(technology="sat", down_mbps=10, up_mbps=5)),
    exclusions=(
        Exclusion(site="C", usecase="voice", technology="haps", need="price", state="unpriced"),
        Exclusion(site="C", usecase="voice", technology="sat", need="coverage", state="unknown"),
        Exclusion(site="A", usecase="voice", technology="fwa", need="place", state="fails"),
    ),
    no_way=(("C", "voice", None, ("haps",)),),
)
RELAXED = ("exchange_steps", "facility_steps", "reach", "system_steps", "terminal_rate")
CUTS = (
    Cut(terminal=11, base=-1, added=(11, 5), dual=670_000),  # fibre to A with half a card
    Cut(terminal=10, base=-1, added=(10, 8), dual=900_000),
    Cut(terminal=13, base=-1, added=(13, 6, 7, 9), dual=20_000),
    Cut(terminal=13, base=2, added=(4,), dual=272_000),
    Cut(terminal=13, base=3, added=(3, 2), dual=608_000),  # then the satellite costs no more
)
DESIGN = Design(
    problem=problem_hash(PROBLEM),
    arcs=(0, 1, 2, 4, 5, 6, 7, 9, 10, 12, 15),
    served=(10, 9, 12, 15, -1),
    steps=((0, 4, 1), (1, 1, 1), (2, 0, 1)),
    cost=4_244_000,
    bound=2_470_000,
    gap=1_774_000 / 4_244_000,
    status="incomplete",
    relaxed=RELAXED,
    certificate=Certificate(scale=1, cuts=CUTS, relaxed=RELAXED),
    unserved=(("C", "voice"),),
    sites=(
        SiteResult(site="A", technologies=("ftth", "sat"), usecases=("voice",)),
        SiteResult(site="B", technologies=("fwa",), usecases=("video", "voice"), next_best=Alternative(technology="sat", difference_yen=None)),
        SiteResult(site="C", technologies=(), usecases=("voice",), unserved=("voice",)),
    ),
    break_even=(BreakEven(technology="haps", per="site", price_yen=50_000.0, units=2, cost_without_yen=300_000, cost_rest_yen=200_000),),
    shared=Shared(alone_yen={"video": 2_000_000, "voice": 3_000_000}, together_yen=4_244_000, saving_yen=756_000),
)


def settled(problem: Problem = PROBLEM, design: Design = DESIGN, **changes) -> Pair:
    """The design with changes, and with the problem's hash, cost, bound and gap put right again, so that nothing else is wrong."""
    design = replace(design, **changes)
    cost = sum(problem.arcs[index].cost for index in dict.fromkeys(design.arcs) if index < len(problem.arcs))
    cost += sum(problem.steps[index].cost * units for index, _, units in design.steps if index < len(problem.steps))
    cost += sum(problem.steps[index].later[year] * units for index, _, year, units in design.grown)
    bound = sum(cut.dual for cut in design.certificate.cuts) // design.certificate.scale
    return problem, replace(design, problem=problem_hash(problem), cost=cost, bound=bound, gap=(cost - bound) / cost)


def with_price(index: int, **changes) -> Pair:
    return settled(replace(PROBLEM, prices=_put(PRICES, index, replace(PRICES[index], **changes))))


def with_arc(index: int, **changes) -> Pair:
    return settled(replace(PROBLEM, arcs=_put(ARCS, index, replace(ARCS[index], **changes))))


def growing(later: tuple[int, ...] = (272_000, 128_000), growth: tuple[float, ...] = (1.0, 2.0), grown: tuple = ((3, 4, 1, 1),)) -> Pair:
    """B's 22 Mbps double in the second year, and its cell carries 30: a second unit is bought then."""
    step = Step(technology="fwa", level="facility", load="mbps", capacity=30, free=1, items=((2, 1.0),), cost=272_000, growth=growth, later=later)
    return settled(replace(PROBLEM, steps=(*PROBLEM.steps, step)), grown=grown)


def ceiling(most: float, **changes: float) -> Pair:
    """A limit on the money of the first year: the arcs of the design pay 400,000 + 3 × 1,000,000 … in it."""
    arcs = {1: 2_000_000.0, 2: 500_000.0, 3: 1_000_000.0, 5: 400_000.0, 6: 20_000.0}
    steps = {0: 400_000.0, 1: 160_000.0, 2: 30_000.0}
    arcs[1] += changes.get("more", 0.0)
    one = Ceiling(id="initial_yen", most=most, arcs=tuple(arcs.items()), steps=tuple(steps.items()))
    names = (*RELAXED, "ceilings")
    return settled(replace(PROBLEM, ceilings=(one,)), relaxed=names, certificate=replace(DESIGN.certificate, relaxed=names))


def with_cuts(*cuts: Cut, **changes) -> Pair:
    return settled(certificate=replace(DESIGN.certificate, cuts=(*CUTS, *cuts)), **changes)


def with_dual(index: int, more: int) -> Pair:
    cuts = _put(CUTS, index, replace(CUTS[index], dual=CUTS[index].dual + more))
    return settled(certificate=replace(DESIGN.certificate, cuts=cuts))


def _put(items: tuple, index: int, item) -> tuple:
    return (*items[:index], item, *items[index + 1 :])


def said(**changes) -> Pair:
    """The design says something else, and nothing is put right."""
    return PROBLEM, replace(DESIGN, **changes)


def a_circle() -> Pair:
    masts = (Node(kind="mast", ref="hill", risk="air"), Node(kind="mast", ref="peak", risk="air"))
    arcs = (*ARCS, arc(15, 16, "hop"), arc(16, 15, "hop"))
    return settled(replace(PROBLEM, nodes=(*NODES, *masts), arcs=arcs), arcs=(*DESIGN.arcs, 17, 18))


def the_road_for_the_way_without_it() -> Pair:
    problem = replace(PROBLEM, arcs=(*ARCS, arc(5, 10, "serve")))
    cuts = _put(CUTS, 1, replace(CUTS[1], added=(10, 8, 5), dual=0))
    return settled(
        problem,
        arcs=(0, 1, 2, 4, 5, 6, 7, 9, 12, 15, 17),
        served=(17, 9, 12, 15, -1),
        certificate=replace(DESIGN.certificate, cuts=cuts),
        sites=(replace(DESIGN.sites[0], technologies=("ftth",)), *DESIGN.sites[1:]),
    )


def two_ways_in_the_sky() -> Pair:
    problem = replace(PROBLEM, arcs=(*ARCS, arc(8, 11, "serve")), demands=_put(PROBLEM.demands, 1, replace(PROBLEM.demands[1], without="road")))
    return settled(
        problem,
        arcs=(0, 1, 4, 5, 6, 7, 10, 12, 15, 17),
        served=(10, 17, 12, 15, -1),
        steps=(DESIGN.steps[0], DESIGN.steps[2]),
        certificate=replace(DESIGN.certificate, cuts=_put(CUTS, 0, replace(CUTS[0], added=(11, 5, 8), dual=0))),
        sites=(replace(DESIGN.sites[0], technologies=("sat",)), *DESIGN.sites[1:]),
    )


def a_site_left_out_for_nothing() -> Pair:
    cuts = (*CUTS[:2], replace(CUTS[2], terminal=12, added=(12, 6, 7, 9)), *(replace(cut, terminal=12) for cut in CUTS[3:]))
    return settled(
        arcs=tuple(index for index in DESIGN.arcs if index != 15),
        served=(10, 9, 12, -1, -1),
        steps=DESIGN.steps[1:],
        status="infeasible",
        unserved=(("B", "video"), ("C", "voice")),
        certificate=replace(DESIGN.certificate, cuts=cuts),
        sites=(DESIGN.sites[0], replace(DESIGN.sites[1], unserved=("video",)), DESIGN.sites[2]),
    )


MUTANTS: dict[str, dict[str, Callable[[], Pair]]] = {
    "problem": {"the design of another problem": lambda: said(problem="0" * 64)},
    "prices": {
        "a dearer purchase with the old present value": lambda: with_price(3, unit_yen=(25_000.0,)),
        "another discount rate": lambda: settled(replace(PROBLEM, discount=0.2)),
        "a longer horizon": lambda: settled(replace(PROBLEM, horizon=3)),
        "a later first payment": lambda: with_price(2, first=1),
        "a shorter life": lambda: with_price(2, life=1.0),
    },
    "arc_costs": {
        "an arc that is one yen cheaper": lambda: with_arc(3, cost=1_089_999),
        "an arc of the design that is cheaper than its items": lambda: with_arc(1, cost=1_999_000),
        "a price that does not exist": lambda: with_arc(3, items=((99, 1.0),)),
        "negative units": lambda: with_arc(3, items=((0, 2.0), (0, -1.0), (1, 1.0))),
    },
    "step_costs": {"a step below its price": lambda: settled(replace(PROBLEM, steps=_put(PROBLEM.steps, 2, replace(PROBLEM.steps[2], cost=29_999))))},
    "wiring": {
        "a terminal that serves another site": lambda: with_arc(13, tail=8),
        "a hop to a facility": lambda: with_arc(5, kind="hop"),
        "a link to a terminal of another technology": lambda: settled(
            replace(PROBLEM, nodes=_put(NODES, 7, replace(NODES[7], technology="lte"))),
            sites=_put(DESIGN.sites, 1, replace(DESIGN.sites[1], technologies=("lte",))),
        ),
    },
    "admissible": {
        "an arc for an excluded pair": lambda: settled(
            replace(PROBLEM, exclusions=(*PROBLEM.exclusions, Exclusion(site="B", usecase="video", technology="ftth", need="down_mbps", state="fails")))
        )
    },
    "no_way": {
        "an unreachable demand that is not listed": lambda: settled(replace(PROBLEM, no_way=()), status="infeasible"),
        "an unpriced option that the exclusions do not know": lambda: settled(replace(PROBLEM, no_way=(("C", "voice", None, ("haps", "leo")),))),
        "a reachable demand listed as unreachable": lambda: settled(
            replace(PROBLEM, no_way=(*PROBLEM.no_way, ("B", "voice", None, ()))),
            unserved=(("B", "voice"), ("C", "voice")),
            status="infeasible",
            sites=_put(DESIGN.sites, 1, replace(DESIGN.sites[1], unserved=("voice",))),
        ),
    },
    "arcs": {
        "an arc twice": lambda: said(arcs=(*DESIGN.arcs, 0)),
        "an arc that does not exist": lambda: said(arcs=(*DESIGN.arcs, 99)),
    },
    "one_way_in": {"two ways into a demand": lambda: settled(arcs=(*DESIGN.arcs, 8, 13))},
    "connected": {
        "a tower in the air": lambda: settled(arcs=tuple(index for index in DESIGN.arcs if index != 4)),
        "the dear line left out": lambda: settled(
            arcs=tuple(index for index in DESIGN.arcs if index != 1), certificate=replace(DESIGN.certificate, cuts=CUTS[:2])
        ),
        "a circle": a_circle,
    },
    "served": {
        "the arc of another demand": lambda: said(served=(10, 9, 15, 15, -1)),
        "fewer entries than demands": lambda: said(served=DESIGN.served[:-1]),
    },
    "unserved": {
        "an unserved pair that is not listed": lambda: said(unserved=()),
        "a served pair that is listed": lambda: said(unserved=(("A", "voice"), ("C", "voice"))),
    },
    "mandatory": {"a demand left out though it could be served": a_site_left_out_for_nothing},
    "without": {"backup over the road that it must avoid": the_road_for_the_way_without_it},
    "backup": {"two ways over the same satellite": two_ways_in_the_sky},
    "reach": {"a line beyond reach": lambda: settled(replace(PROBLEM, limits=(Limit(technology="ftth", reach_m=499), PROBLEM.limits[1])))},
    "terminal_rate": {
        "more down than the terminal carries": lambda: settled(replace(PROBLEM, limits=(PROBLEM.limits[0], Limit(technology="sat", down_mbps=1)))),
        "more up than the terminal carries": lambda: settled(
            replace(
                PROBLEM,
                demands=_put(PROBLEM.demands, 0, replace(PROBLEM.demands[0], up_mbps=6)),
            )
        ),
    },
    "step_list": {
        "a step that does not exist": lambda: said(steps=(*DESIGN.steps, (9, 0, 1))),
        "a step of no units": lambda: said(steps=(*DESIGN.steps, (2, 5, 0))),
    },
    "facility_steps": {
        "one cell for more devices than it carries": lambda: settled(steps=DESIGN.steps[1:]),
        "a unit too many": lambda: settled(steps=((0, 4, 2), *DESIGN.steps[1:])),
    },
    "exchange_steps": {
        "no card at the exchange": lambda: settled(steps=(DESIGN.steps[0], DESIGN.steps[2])),
        "the card at another place": lambda: settled(steps=(DESIGN.steps[0], (1, 2, 1), DESIGN.steps[2])),
    },
    "system_steps": {"the office is not paid": lambda: settled(steps=DESIGN.steps[:2])},
    "growth_costs": {
        "later units at the price of the first year": lambda: growing(later=(272_000, 272_000)),
        "a load that has grown before it starts": lambda: growing(growth=(1.1, 2.0), grown=((3, 4, 1, 1),)),
    },
    "grown": {
        "no unit for the load of the second year": lambda: growing(grown=()),
        "a unit in the first year": lambda: growing(grown=((3, 4, 0, 1),)),
        "two units where one suffices": lambda: growing(grown=((3, 4, 1, 2),)),
    },
    "ceilings": {
        "a yen above the ceiling": lambda: ceiling(3_509_999.0),
        "a ceiling that counts too little": lambda: ceiling(3_510_000.0, more=-500_000.0),
    },
    "cost": {"a yen less than the arcs and steps": lambda: said(cost=4_243_999, gap=1_773_999 / 4_243_999)},
    "bound": {
        "a yen more than the duals": lambda: said(bound=2_470_001, gap=1_773_999 / 4_244_000),
        "another scale": lambda: said(certificate=replace(DESIGN.certificate, scale=2)),
        "a scale of nothing": lambda: said(certificate=replace(DESIGN.certificate, scale=10**9)),
    },
    "duals": {"a negative dual": lambda: with_cuts(Cut(terminal=12, base=-1, added=(12,), dual=-5))},
    "cuts": {
        "the root inside": lambda: with_cuts(Cut(terminal=13, base=-1, added=tuple(range(14)), dual=1_000_000)),
        "the root inside by its base": lambda: with_cuts(
            Cut(terminal=13, base=-1, added=tuple(range(14)), dual=0), Cut(terminal=13, base=5, added=(14,), dual=1_000_000)
        ),
        "the terminal outside": lambda: with_cuts(Cut(terminal=13, base=-1, added=(6,), dual=800_000)),
        "the terminal of an unserved demand": lambda: with_cuts(Cut(terminal=14, base=-1, added=(14,), dual=1_000_000)),
        "a terminal that is no demand": lambda: with_cuts(Cut(terminal=6, base=-1, added=(6,), dual=800_000)),
        "a base that comes later": lambda: with_cuts(Cut(terminal=13, base=7, added=(13, 6, 7, 9), dual=0)),
    },
    "packing": {
        "a dual raised": lambda: with_dual(0, 1),
        "a dual raised inside a chain": lambda: with_dual(3, 1),
        "a cut counted twice": lambda: with_cuts(CUTS[1]),
    },
    "relaxed": {
        "a constraint that the bound leaves out is not named": lambda: said(relaxed=RELAXED[:-1]),
        "not named in the certificate": lambda: said(certificate=replace(DESIGN.certificate, relaxed=RELAXED[1:])),
        "a constraint that the problem does not have": lambda: settled(replace(PROBLEM, limits=PROBLEM.limits[1:])),
    },
    "gap": {"a smaller gap": lambda: said(gap=0.01)},
    "status": {"proved with a gap": lambda: said(status="proved"), "bounded with an unserved demand": lambda: said(status="bounded")},
    "site_results": {
        "a technology that does not serve the site": lambda: said(sites=_put(DESIGN.sites, 1, replace(DESIGN.sites[1], technologies=("sat",)))),
        "a site without a word": lambda: said(sites=DESIGN.sites[1:]),
        "unserved passed over": lambda: said(sites=_put(DESIGN.sites, 2, replace(DESIGN.sites[2], unserved=()))),
    },
    "break_even": {"a break-even price too high": lambda: said(break_even=(replace(DESIGN.break_even[0], price_yen=60_000.0),))},
    "shared": {"a saving too high": lambda: said(shared=replace(DESIGN.shared, saving_yen=800_000))},
}
CASES = [(constraint, name) for constraint in CONSTRAINTS for name in MUTANTS.get(constraint, {"no mutant": None})]


def failing(problem: Problem, design: Design) -> dict[str, str]:
    return {finding.constraint: finding.found for finding in check_design(problem, design).findings if not finding.holds}


def test_the_valid_design_passes_every_constraint():
    report = check_design(PROBLEM, DESIGN)
    assert failing(PROBLEM, DESIGN) == {}
    assert report.holds
    assert [finding.constraint for finding in report.findings] == list(CONSTRAINTS)


def test_a_growing_load_and_a_ceiling_that_is_kept_pass():
    assert failing(*growing()) == {}
    assert failing(*ceiling(3_510_000.0)) == {}


def test_putting_right_changes_nothing_of_the_valid_design():
    assert settled() == (PROBLEM, DESIGN)


def test_every_mutant_belongs_to_a_constraint():
    assert set(MUTANTS) == set(CONSTRAINTS)


@pytest.mark.parametrize(("constraint", "name"), CASES)
def test_a_mutant_is_rejected_for_exactly_its_constraint(constraint, name):
    assert MUTANTS.get(constraint), f"constraint {constraint} of the table has no mutant: add one"
    problem, design = MUTANTS[constraint][name]()
    assert list(failing(problem, design)) == [constraint]


def test_a_bound_above_the_cost_cannot_even_be_written():
    written = msgspec.json.encode(DESIGN).replace(b'"bound":2470000', b'"bound":4244001')
    with pytest.raises(RecordError, match="above cost"):
        msgspec.json.decode(written, type=Design)


def test_a_design_with_everything_served_and_no_gap_is_proved():
    problem = replace(
        PROBLEM,
        arcs=(arc(0, 8, "direct", "sat", 0, ((4, 1.0),), 900_000), arc(8, 10, "serve")),
        demands=(replace(PROBLEM.demands[0], without=None),),
        steps=(),
        limits=(),
        exclusions=(),
        no_way=(),
    )
    certificate = Certificate(scale=1000, cuts=(Cut(terminal=10, base=-1, added=(10, 8), dual=900_000_000),))
    design = Design(
        problem=problem_hash(problem),
        arcs=(0, 1),
        served=(1,),
        steps=(),
        cost=900_000,
        bound=900_000,
        gap=0.0,
        status="proved",
        relaxed=(),
        certificate=certificate,
    )
    assert failing(problem, design) == {}
    assert list(failing(problem, replace(design, status="bounded"))) == ["status"]


@pytest.mark.parametrize("broken", [{"arcs": (-1, 10**9)}, {"served": (10**9,) * 5}, {"steps": ((0, 10**9, 1),)}, {"arcs": (), "served": ()}])
def test_a_broken_design_is_rejected_and_never_stops_the_checker(broken):
    assert not check_design(PROBLEM, replace(DESIGN, **broken)).holds
