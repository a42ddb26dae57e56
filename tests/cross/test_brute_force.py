"""Tiny random problems with side constraints: the solver against an enumeration of every arborescence, and check on every design.

Larger ones are compared with an integer program, which is itself compared with the enumeration.

Two kinds: graphs drawn directly, with every kind of arc, step and limit; and regions drawn as rows, priced by finance and wired by design.program.
The enumeration knows the records only. It picks a way in for one open node after another, from the demands upwards, and judges a whole
arborescence by its arcs, steps, reach and rates; so it sees the full problem, which the bound does not.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from datetime import date
from functools import cache

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from kiban.check import check_design, check_problem
from kiban.design import solve
from kiban.design.program import build
from kiban.finance import price_technology
from kiban.records.design import Arc, Certificate, Cut, Demand, Design, Exclusion, Limit, Node, Price, Problem, Step, problem_hash
from kiban.records.region import Evidence, Junction, Place, Plant, Region, Site, Street
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Cost, Technology, Wiring
from kiban.records.usecase import Needs, UseCase

GRAPHS, REGIONS, LARGER = 160, 90, 40
LINES = ("line", "plant", "drop")
SEEN = date(2026, 11, 23)


# ---------------------------------------------------------------------------------------------------------------- enumeration


Steps = tuple[tuple[int, int, int], ...]
Tree = tuple[int, dict[int, int], Steps]  # cost, node → arc, paid steps


def full_cost(problem: Problem, parent: dict[int, int], serve: dict[int, int]) -> tuple[int, Steps] | None:
    """Cost and paid steps of a whole arborescence; None when a side constraint fails. `parent`: node → arc, `serve`: demand index → arc."""
    arcs, nodes = problem.arcs, problem.nodes

    def way(node: int) -> list[Arc]:
        up = []
        while node:
            up.append(arcs[parent[node]])
            node = up[-1].tail
        return up[::-1]

    ways = {node: way(node) for node in parent}
    limits = {limit.technology: limit for limit in problem.limits}
    for node, path in ways.items():
        last = path[-1]
        limit = limits.get(last.technology or nodes[node].technology or "")
        metres = sum(arc.length_m for arc in path if arc.kind in LINES)
        if last.kind in LINES and limit is not None and limit.reach_m is not None and metres > limit.reach_m + 1e-6:
            return None
    carried: dict[int, dict[str, Demand]] = defaultdict(dict)
    for index, arc in serve.items():
        demand, terminal = problem.demands[index], arcs[arc].tail
        if demand.without is not None and any(nodes[step.head].risk == demand.without for step in ways[terminal]):
            return None
        carried[terminal][demand.usecase] = demand
    for terminal, here in carried.items():
        limit = limits.get(nodes[terminal].technology or "")
        for name in ("down_mbps", "up_mbps"):
            most = getattr(limit, name) if limit else None
            if most is not None and sum(getattr(demand, name) for demand in here.values()) > most + 1e-6:
                return None
    total, paid = sum(arcs[index].cost for index in parent.values()), []
    for number, step in enumerate(problem.steps):
        groups: dict[int, list[int]] = defaultdict(list)  # group → terminals
        for terminal in carried:
            path = ways[terminal]
            if step.level == "facility":
                own = [arc.head for arc in path if nodes[arc.head].kind == "facility" and nodes[arc.head].technology == step.technology]
            elif step.level == "exchange":
                own = [path[0].head] if nodes[terminal].technology == step.technology else []
            else:
                own = [0] if any(step.technology in (arc.technology, nodes[arc.head].technology) for arc in path) else []
            for group in own:
                groups[group].append(terminal)
        for group, terminals in groups.items():
            here = [demand for terminal in terminals for demand in carried[terminal].values()]
            amount = {"sites": len({d.site for d in here}), "devices": sum(d.devices for d in here), "mbps": sum(d.down_mbps for d in here), "none": 0}[
                step.load
            ]
            units = max(1, math.ceil(amount / step.capacity - 1e-9)) if step.capacity else 1
            if units > step.free:
                total += step.cost * (units - step.free)
                paid.append((number, group, units - step.free))
    return total, tuple(paid)


def optimum(problem: Problem, at_most: float = math.inf) -> Tree | None:
    """The cheapest arborescence of the full problem, if one costs no more than `at_most`; None: there is none."""
    wanted = [k for k in range(len(problem.demands)) if key(problem, k) not in lost(problem)]
    into: dict[int, list[int]] = defaultdict(list)
    for index, arc in enumerate(problem.arcs):
        into[arc.head].append(index)
    for options in into.values():
        options.sort(key=lambda index: problem.arcs[index].cost)
    demand_of = {problem.demands[k].node: k for k in wanted}
    least = [min((problem.arcs[index].cost for index in into[node]), default=math.inf) for node in range(len(problem.nodes))]
    best: Tree | None = None
    parent: dict[int, int] = {}

    def search(open_nodes: list[int], paid: float, ahead: float) -> None:
        nonlocal best
        top = at_most if best is None else best[0] - 1
        if paid + ahead > top:
            return
        if not open_nodes:
            serve = {k: parent[node] for node, k in demand_of.items()}
            found = full_cost(problem, parent, serve)
            if found is not None and found[0] <= top:
                best = (found[0], dict(parent), found[1])
            return
        node, rest = open_nodes[-1], open_nodes[:-1]
        for index in into[node]:
            arc = problem.arcs[index]
            if paid + arc.cost + ahead - least[node] > (at_most if best is None else best[0] - 1):
                break  # dearer arcs follow
            up = arc.tail
            while up in parent:
                up = problem.arcs[parent[up]].tail
            if up == node:
                continue  # a circle
            parent[node] = index
            if arc.tail == 0 or arc.tail in parent or arc.tail in rest:
                search(rest, paid + arc.cost, ahead - least[node])
            else:
                search([*rest, arc.tail], paid + arc.cost, ahead - least[node] + least[arc.tail])
            del parent[node]

    start = [problem.demands[k].node for k in wanted]
    search(start, 0, sum(least[node] for node in start))
    return best


# ---------------------------------------------------------------------------------------------------------------- graphs


def graph(seed: int, streets_to: tuple[int, int] = (3, 5), sites: tuple[int, int] = (2, 3)) -> Problem:
    """A valley drawn directly: exchange, streets, perhaps plant, masts fed by road, air and sky, cells, fibre, satellite, and a few sites."""
    draw = random.Random(seed)
    prices: list[Price] = []
    nodes: list[Node] = [Node(kind="root", ref="world")]
    arcs: list[Arc] = []

    def item(technology: str, per: str, yen: int) -> int:
        prices.append(
            Price(
                id=f"{technology}#{len(prices)}",
                technology=technology,
                cost=f"c{len(prices)}",
                phase="yearly",
                per=per,
                unit_yen=(float(yen),),
                npv=yen,
                low=yen,
                high=yen,
                confidence=Confidence.B,
            )
        )
        return len(prices) - 1

    def node(kind: str, ref: str, technology: str | None = None, risk: str = "none") -> int:
        nodes.append(Node(kind=kind, ref=ref, technology=technology, risk=risk))
        return len(nodes) - 1

    def arc(tail: int, head: int, kind: str, technology: str | None, items: list[tuple[int, float]], metres: float = 0.0) -> None:
        yen = math.floor(sum(prices[k].npv * units for k, units in items) + 0.5)
        arcs.append(Arc(tail=tail, head=head, kind=kind, technology=technology, ref=f"a{len(arcs)}", length_m=metres, items=tuple(items), cost=yen))

    def some(low: int, high: int) -> int:
        return draw.randint(low, high) * 1000

    junctions = [node("junction", f"j{k}", "fibre", "road") for k in range(draw.randint(*streets_to))]
    core, cable, kept = item("core", "facility", some(0, 300)), item("line", "km", some(300, 900)), item("old", "km", some(20, 300))
    arc(0, junctions[0], "exchange", "core", [(core, 1.0)])
    if draw.random() < 0.3:
        arc(0, junctions[-1], "exchange", "core", [(item("core", "facility", some(100, 600)), 1.0)])
    streets = [(junctions[draw.randrange(k)], junctions[k]) for k in range(1, len(junctions))]
    streets += [tuple(draw.sample(junctions, 2)) for _ in range(draw.randint(0, 1))]
    for a, b in streets:
        metres = float(draw.randint(200, 2500))
        for tail, head in ((a, b), (b, a)):
            if head != junctions[0]:
                arc(tail, head, "line", "line", [(cable, metres / 1000)], metres)
        if draw.random() < 0.25:
            arc(a, b, "plant", "old", [(kept, metres / 1000)], metres)

    masts = []
    for place in range(draw.randint(0, 2)):
        road = node("mast", f"m{place}", None, "road")
        arc(draw.choice(junctions), road, "feed", "line", [(item("line", "site", some(10, 200)), 1.0)])
        masts.append((place, road))
        if draw.random() < 0.5:
            sky = node("mast", f"m{place}", None, "sky")
            arc(0, sky, "feed", "sat", [(item("sat", "site", some(500, 1500)), 1.0)])
            masts.append((place, sky))
        if draw.random() < 0.5:
            air, start = node("mast", f"m{place}", None, "air"), node("mast", "x", None, "none")
            arc(0, start, "feed", "core", [(core, 1.0)])
            arc(start, air, "hop", "hop", [(item("hop", "hop", some(300, 900)), 1.0)])
            masts.append((place, air))
    cells = []
    for place, mast in masts:
        cell = node("facility", f"m{place}", "fwa", nodes[mast].risk)
        arc(mast, cell, "open", "fwa", [(item("fwa", "facility", some(200, 1200)), 1.0)])
        cells.append(cell)

    terminals: dict[str, list[int]] = {}
    radio, dish = item("fwa", "site", some(20, 120)), item("sat", "site", some(600, 2200))
    for site in "ABCDEFGHIJKL"[: draw.randint(*sites)]:
        own = []
        if draw.random() < 0.9:
            own.append(node("terminal", site, "ftth", "road"))
            metres = float(draw.randint(10, 400))
            arc(draw.choice(junctions), own[-1], "drop", "ftth", [(cable, metres / 1000), (item("ftth", "site", some(20, 200)), 1.0)], metres)
        by_risk: dict[str, int] = {}
        for cell in cells:
            if draw.random() < 0.75:
                risk = nodes[cell].risk
                if risk not in by_risk:
                    by_risk[risk] = node("terminal", site, "fwa", risk)
                arc(cell, by_risk[risk], "link", "fwa", [(radio, 1.0)])
        own += by_risk.values()
        if draw.random() < 0.9:
            own.append(node("terminal", site, "sat", "sky"))
            arc(0, own[-1], "direct", "sat", [(dish, 1.0)])
        terminals[site] = own

    demands, exclusions = [], []
    for site, own in terminals.items():
        for usecase in ["voice", "video", "water"][: draw.choice([1, 1, 2, 2, 3])]:
            out = {t for t in ("ftth", "fwa", "sat") if draw.random() < 0.12}
            exclusions += [Exclusion(site=site, usecase=usecase, technology=t, need="down_mbps", state="fails") for t in sorted(out)]
            able = [t for t in own if nodes[t].technology not in out]
            risks = sorted({nodes[t].risk for t in able}) if usecase == "voice" and draw.random() < 0.3 else [None]
            down, up, devices = float(draw.randint(1, 20)), float(draw.randint(0, 5)), float(draw.randint(1, 4))
            for without in risks or [None]:
                place = node("demand", site)
                demands.append(Demand(node=place, site=site, usecase=usecase, without=without, down_mbps=down, up_mbps=up, devices=devices))
                for terminal in able:
                    if nodes[terminal].risk != without or without is None:
                        arc(terminal, place, "serve", nodes[terminal].technology, [])

    steps = []
    for technology, level, load, capacity, free, share in (
        ("fwa", "facility", draw.choice(["sites", "devices", "mbps"]), draw.randint(1, 6), 1, 0.6),
        ("ftth", "exchange", "sites", draw.randint(1, 3), 0, 0.6),
        ("sat", "system", "none", None, 0, 0.4),
        ("fwa", "system", "none", None, 0, 0.3),
    ):
        if draw.random() < share:
            price = item(technology, "system", some(50, 700))
            yen = int(prices[price].npv)
            steps.append(Step(technology=technology, level=level, load=load, capacity=capacity, free=free, items=((price, 1.0),), cost=yen))
    limits = []
    if draw.random() < 0.4:
        limits.append(Limit(technology="ftth", reach_m=float(draw.randint(800, 5000))))
    if draw.random() < 0.4:
        limits.append(Limit(technology="sat", down_mbps=float(draw.randint(20, 40)), up_mbps=float(draw.randint(5, 12))))
    problem = Problem(
        region=f"graph {seed}",
        start=2026,
        horizon=1,
        discount=0.0,
        prices=tuple(prices),
        nodes=tuple(nodes),
        arcs=tuple(arcs),
        demands=tuple(demands),
        steps=tuple(steps),
        limits=tuple(limits),
        exclusions=tuple(exclusions),
    )
    return Problem(**{name: getattr(problem, name) for name in problem.__struct_fields__ if name != "no_way"}, no_way=unreachable(problem))


def unreachable(problem: Problem) -> tuple:
    """The demands that no arc reaches from the root."""
    reached, grown = {0}, True
    while grown:
        more = {arc.head for arc in problem.arcs if arc.tail in reached} - reached
        reached, grown = reached | more, bool(more)
    return tuple((d.site, d.usecase, d.without, ()) for d in problem.demands if d.node not in reached)


# ---------------------------------------------------------------------------------------------------------------- regions


def q(value: float, unit: str, **more) -> Quantity:
    return Quantity(unit=unit, value=value, source="drawn", confidence=Confidence.B, **more)


def text(word: str) -> Text:
    return Text(ja=word, en=word)


def region(seed: int) -> tuple[Region, dict[str, UseCase], dict[str, Technology], Problem]:
    """A valley drawn as rows: streets, an exchange, a tower or two, sites with counts; six technologies, two use cases, one with backup."""
    draw = random.Random(10_000 + seed)
    here, sources = Evidence(source="drawn"), {"drawn": Source(title="drawn at random", seen_on=SEEN)}

    def at() -> tuple[float, float]:
        return 37.30 + draw.random() * 0.02, 136.90 + draw.random() * 0.02

    junctions = tuple(Junction(id=f"j{k}", lat=spot[0], lon=spot[1]) for k, spot in enumerate(at() for _ in range(draw.randint(3, 5))))
    pairs = [(f"j{draw.randrange(k)}", f"j{k}") for k in range(1, len(junctions))]
    pairs += [tuple(f"j{k}" for k in draw.sample(range(len(junctions)), 2)) for _ in range(draw.randint(0, 1))]
    with_plant = draw.random() < 0.5
    streets = tuple(
        Street(id=f"s{k}", a=a, b=b, length_m=float(draw.randint(200, 2500)), plant="p1" if with_plant and k == 0 else None) for k, (a, b) in enumerate(pairs)
    )
    plants = (Plant(id="p1", name="旧線", technology="old", evidence=here, year_built=draw.randint(1990, 2024)),) if with_plant else ()
    places = [Place(id="x", name="x", kind="exchange", lat=junctions[0].lat, lon=junctions[0].lon, evidence=here)]
    places += [
        Place(id=f"t{k}", name="t", kind="tower", lat=spot[0], lon=spot[1], evidence=here) for k, spot in enumerate(at() for _ in range(draw.randint(0, 1)))
    ]
    sites = []
    for name in ("a", "b", "c")[: draw.randint(2, 3)]:
        lat, lon = at()
        covered = {} if draw.random() < 0.1 else {"sat": draw.random() < 0.85}
        sites.append(Site(id=name, name=name, kind="shelter", lat=lat, lon=lon, evidence=here, critical=draw.random() < 0.4, covered=covered))
    attach = {"x": ("j0", 0.0)}
    attach |= {row.id: (f"j{draw.randrange(len(junctions))}", float(draw.randint(5, 300))) for row in (*places[1:], *sites)}
    valley = Region(
        id=f"region-{seed}",
        name="谷",
        lg_code=None,
        sources=sources,
        sites=tuple(sites),
        places=tuple(places),
        junctions=junctions,
        streets=streets,
        attach=attach,
        plants=plants,
    )

    def tech(wiring: Wiring, costs: list[tuple[str, str, str, int]], **capability: float | None) -> Technology:
        can = {"down_mbps": 100.0, "up_mbps": 50.0, "one_way_ms": 10.0, "availability": 0.999, **capability}
        return Technology(
            name=text("技術"),
            summary=text("技術"),
            layer="access",
            medium="wired",
            wiring=wiring,
            sources=sources,
            checked_on=SEEN,
            capability=Capability(**{name: q(value, "1") for name, value in can.items() if value is not None}),
            costs=tuple(
                Cost(id=id, name=text(id), phase=phase, per=per, scope=(id,), evidence=(q(yen, f"JPY/{per}" + ("/year" if phase == "yearly" else "")),))
                for id, phase, per, yen in costs
            ),
            lifetime_years=q(draw.randint(5, 20), "years"),
        )

    def yen(low: int, high: int) -> int:
        return draw.randint(low, high) * 1000

    technologies = {
        "cable": tech(Wiring(pattern="line", risk="road", network="fibre"), [("lay", "initial", "km", yen(300, 1500)), ("poles", "yearly", "km", yen(5, 60))]),
        "pon": tech(
            Wiring(pattern="drop", risk="road", network="fibre"),
            [("onu", "initial", "site", yen(10, 80)), ("card", "initial", "facility", yen(100, 600))],
            sites_per_facility=float(draw.randint(1, 3)),
            reach_km=draw.choice([None, 1.5, 3.0, 6.0]),
        ),
        "radio": tech(
            Wiring(pattern="cell", risk="air", feeds=("fibre", "hop", "sky")),
            [("cell", "initial", "facility", yen(200, 1500)), ("cpe", "initial", "site", yen(10, 80))],
            radius_km=draw.choice([0.8, 1.5, 3.0]),
            sites_per_facility=draw.choice([None, 1.0, 2.0]),
            one_way_ms=25.0,
        ),
        "mw": tech(Wiring(pattern="hop", risk="air"), [("pair", "initial", "hop", yen(300, 1500))], reach_km=5.0),
        "sat": tech(
            Wiring(pattern="direct", risk="sky", backhaul=True, needs_coverage=True),
            [("kit", "initial", "site", yen(50, 200)), ("fee", "yearly", "site", yen(60, 200)), ("office", "yearly", "system", yen(1, 60))],
            down_mbps=draw.choice([100.0, 30.0]),
            one_way_ms=30.0,
        ),
        "haps": tech(Wiring(pattern="direct", risk="sky"), [("fee", "yearly", "site", yen(10, 50))]),
        "old": tech(
            Wiring(pattern="plant", risk="road", network="fibre"), [("upkeep", "yearly", "km", yen(5, 80)), ("renewal", "initial", "km", yen(100, 900))]
        ),
    }
    haps = technologies["haps"]
    technologies["haps"] = Technology(
        **{name: getattr(haps, name) for name in haps.__struct_fields__ if name != "costs"},
        costs=(Cost(id="fee", name=text("fee"), phase="yearly", per="site", scope=("fee",), evidence=(Quantity(unit="JPY/site/year", needs_source=True),)),),
    )
    usecases = {
        name: UseCase(name=text(name), summary=text(name), field=text("防災"), words=(name,), sites=("shelter",), needs=needs, sources=sources, checked_on=SEEN)
        for name, needs in {
            "phone": Needs(down_mbps=q(float(draw.randint(1, 20)), "Mbps"), backup=q(1, "1")),
            "camera": Needs(down_mbps=q(float(draw.randint(5, 60)), "Mbps"), one_way_ms=q(draw.choice([20.0, 100.0]), "ms")),
        }.items()
    }
    wanted = [(site.id, name) for site in sites for name in usecases if draw.random() < 0.75] or [("a", "phone")]
    years = {"start": 2026, "horizon": 10, "discount": 0.04}
    priced = {}
    for id, technology in technologies.items():
        for plant in plants if technology.wiring.pattern == "plant" else (None,):
            priced[id] = price_technology(
                technology, technology_id=id, **years, discount_figure="rules/discount", tax_rate=0.1, tax_figure="rules/tax", plant=plant
            )
    return valley, usecases, technologies, build(valley, wanted, usecases, technologies, priced, **years)


# ---------------------------------------------------------------------------------------------------------------- integer program


def by_integer_program(problem: Problem, seconds: float) -> int | None:
    """The optimum of a graph too large to enumerate, as one flow per demand in an integer program; None when it is not proved in time.

    Fits what `graph` draws: reach on drops only, and no serve arc that its risk class forbids.
    """
    arcs, nodes = problem.arcs, problem.nodes
    wanted = [k for k in range(len(problem.demands)) if key(problem, k) not in lost(problem)]
    costs: list[float] = [arc.cost for arc in arcs]
    whole: list[int] = [1] * len(arcs)
    most: list[float] = [1.0] * len(arcs)
    rows: list[tuple[dict[int, float], float, float]] = []

    def variable(cost: float = 0.0, integral: int = 0, high: float = 1.0) -> int:
        costs.append(cost)
        whole.append(integral)
        most.append(high)
        return len(costs) - 1

    def at_least(terms: dict[int, float], low: float) -> None:
        rows.append((terms, low, math.inf))

    into: dict[int, list[int]] = defaultdict(list)
    out: dict[int, list[int]] = defaultdict(list)
    for index, arc in enumerate(arcs):
        into[arc.head].append(index)
        out[arc.tail].append(index)
    for options in into.values():
        rows.append((dict.fromkeys(options, 1.0), 0.0, 1.0))
    flow = {k: {index: variable() for index in range(len(arcs))} for k in wanted}
    for k in wanted:
        for index, f in flow[k].items():
            at_least({index: 1.0, f: -1.0}, 0.0)
        for node in range(1, len(nodes)):
            need = 1.0 if node == problem.demands[k].node else 0.0
            terms = {flow[k][a]: 1.0 for a in into[node]} | {flow[k][a]: -1.0 for a in out[node]}
            rows.append((terms, need, need))
    for limit in problem.limits:
        for k in wanted:
            drops = [index for index, arc in enumerate(arcs) if arc.kind == "drop" and arc.technology == limit.technology]
            if limit.reach_m is not None:
                far = sum(arc.length_m for arc in arcs)
                terms = {flow[k][index]: -arc.length_m for index, arc in enumerate(arcs) if arc.kind in LINES}
                for index in drops:
                    terms[flow[k][index]] -= far
                at_least(terms, -limit.reach_m - far)
        for terminal in [n for n, node in enumerate(nodes) if node.kind == "terminal" and node.technology == limit.technology]:
            used: dict[str, tuple[int, Demand]] = {}
            for k in wanted:
                for a in into[problem.demands[k].node]:
                    if arcs[a].tail == terminal:
                        demand = problem.demands[k]
                        used.setdefault(demand.usecase, (variable(), demand))
                        at_least({used[demand.usecase][0]: 1.0, a: -1.0}, 0.0)
            for name in ("down_mbps", "up_mbps"):
                if getattr(limit, name) is not None:
                    at_least({w: -getattr(demand, name) for w, demand in used.values()}, -getattr(limit, name))
    for step in problem.steps:
        if step.level == "system":
            paid = variable(step.cost)
            for index, arc in enumerate(arcs):
                if step.technology in (arc.technology, nodes[arc.head].technology):
                    at_least({paid: 1.0, index: -1.0}, 0.0)
            continue
        groups = [n for n, node in enumerate(nodes) if node.kind == "facility" and node.technology == step.technology]
        if step.level == "exchange":
            groups = sorted({arc.head for arc in arcs if arc.tail == 0 and nodes[arc.head].kind == "junction"})
        for group in groups:
            paid = variable(step.cost, 1, 1000.0)
            loads: dict[tuple, tuple[int, float]] = {}
            for k in wanted:
                demand = problem.demands[k]
                for a in [a for a, arc in enumerate(arcs) if nodes[arc.head].kind == "terminal" and nodes[arc.head].technology == step.technology]:
                    if step.level == "facility" and arcs[a].tail != group:
                        continue
                    name = (demand.site,) if step.load == "sites" else (demand.site, demand.usecase, arcs[a].head)
                    weight = {"sites": 1.0, "devices": demand.devices, "mbps": demand.down_mbps}[step.load]
                    if name not in loads:
                        loads[name] = variable(), weight
                    through = {flow[k][a]: -1.0}
                    if step.level == "exchange":
                        through |= {flow[k][b]: -1.0 for b in into[group] if arcs[b].tail == 0}
                    at_least({loads[name][0]: 1.0, **through}, 1.0 - len(through) if step.level == "facility" else -1.0)
            at_least({paid: step.capacity, **{z: -weight for z, weight in loads.values()}}, -step.free * step.capacity)
    matrix = scipy.sparse.lil_array((len(rows), len(costs)))
    for r, (terms, _, _) in enumerate(rows):
        for column, value in terms.items():
            matrix[r, column] = value
    limits = scipy.optimize.LinearConstraint(matrix.tocsr(), [low for _, low, _ in rows], [high for _, _, high in rows])
    bounds = scipy.optimize.Bounds(np.zeros(len(costs)), np.array(most))
    options = {"mip_rel_gap": 0.0, "time_limit": seconds}
    result = scipy.optimize.milp(np.array(costs), integrality=np.array(whole), bounds=bounds, constraints=limits, options=options)
    return round(result.fun) if result.status == 0 else None


# ---------------------------------------------------------------------------------------------------------------- comparison


@cache
def drawn() -> list[tuple[str, Problem]]:
    """All problems of both kinds, by name."""
    return [(f"graph {k}", graph(k)) for k in range(GRAPHS)] + [(f"region {k}", region(k)[3]) for k in range(REGIONS)]


@cache
def results() -> list[tuple[str, Problem, Design, int | None]]:
    """Every problem with its design and its optimum, looked for up to the cost of the design and, when none is that cheap, without limit."""
    found = []
    for name, problem in drawn():
        design = solve(problem, seed=1, work=20)
        complete = all(arc >= 0 or key(problem, k) in lost(problem) for k, arc in enumerate(design.served))
        best = optimum(problem, design.cost if complete else math.inf)
        found.append((name, problem, design, best[0] if best else None))
    return found


def key(problem: Problem, index: int) -> tuple:
    demand = problem.demands[index]
    return demand.site, demand.usecase, demand.without


def lost(problem: Problem) -> set[tuple]:
    return {entry[:3] for entry in problem.no_way}


def solved() -> list[tuple[str, Problem, Design, int]]:
    """Those of which all demands with a way can be served together."""
    return [(name, problem, design, best) for name, problem, design, best in results() if best is not None]


def test_the_enumeration_agrees_with_trying_every_choice_of_ways_in():
    tried = 0
    for name, problem in drawn():
        into = [[None, *(index for index, arc in enumerate(problem.arcs) if arc.head == node)] for node in range(1, len(problem.nodes))]
        if math.prod(map(len, into)) > 30_000:
            continue
        tried += 1
        best = math.inf
        for choice in itertools.product(*into):
            parent = {node: index for node, index in enumerate(choice, start=1) if index is not None}
            if hangs(problem, parent):
                serve = {k: parent[d.node] for k, d in enumerate(problem.demands) if d.node in parent}
                if all(k in serve or key(problem, k) in lost(problem) for k in range(len(problem.demands))):
                    found = full_cost(problem, parent, serve)
                    best = min(best, found[0] if found else math.inf)
        tree = optimum(problem)
        assert best == (tree[0] if tree else math.inf), name
    assert tried >= 10


def hangs(problem: Problem, parent: dict[int, int]) -> bool:
    """True when every node with a way in leads up to the root."""
    for node in parent:
        seen = set()
        while node:
            if node in seen or node not in parent:
                return False
            seen.add(node)
            node = problem.arcs[parent[node]].tail
    return True


def test_check_accepts_the_best_arborescence_of_every_problem():
    failures = {}
    for name, problem in drawn():
        tree = optimum(problem)
        if tree is None:
            continue
        cost, parent, steps = tree
        relaxed = {f"{step.level}_steps" for step in problem.steps if step.cost} | {"reach" for limit in problem.limits if limit.reach_m is not None}
        relaxed |= {"terminal_rate" for limit in problem.limits if limit.down_mbps is not None or limit.up_mbps is not None}
        unserved = tuple(sorted({entry[:2] for entry in problem.no_way}))
        design = Design(
            problem=problem_hash(problem),
            arcs=tuple(sorted(parent.values())),
            served=tuple(parent.get(demand.node, -1) for demand in problem.demands),
            steps=steps,
            cost=cost,
            bound=0,
            gap=1.0,
            status="bounded" if not unserved else "incomplete" if all(entry[3] for entry in problem.no_way) else "infeasible",
            relaxed=tuple(sorted(relaxed)),
            certificate=Certificate(relaxed=tuple(sorted(relaxed))),
            unserved=unserved,
        )
        if broken := [finding for finding in check_design(problem, design).findings if not finding.holds]:
            failures[name] = broken
    assert failures == {}


def test_there_are_two_hundred_solvable_problems_with_every_side_constraint():
    problems = [problem for _, problem, _, _ in solved()]
    assert len(problems) >= 200
    assert {step.level for problem in problems for step in problem.steps} == {"facility", "exchange", "system"}
    assert sum(bool(problem.limits) for problem in problems) >= 50
    assert sum(any(demand.without for demand in problem.demands) for problem in problems) >= 50
    assert {arc.kind for problem in problems for arc in problem.arcs} == {"exchange", "line", "plant", "drop", "feed", "hop", "open", "link", "direct", "serve"}


def test_no_design_is_cheaper_than_the_optimum_and_no_bound_is_above_it():
    wrong = [(name, design.cost, design.bound, best) for name, _, design, best in results() if best is None and not design.unserved]
    wrong += [(name, design.cost, design.bound, best) for name, _, design, best in solved() if not design.bound <= best <= design.cost]
    assert wrong == []


def test_almost_every_design_is_optimal_and_none_is_far_off():
    ratios = sorted(((design.cost / best if best else 1.0, name) for name, _, design, best in solved()), reverse=True)
    optimal = sum(ratio == 1 for ratio, _ in ratios) / len(ratios)
    assert optimal >= 0.95, f"{optimal:.1%} optimal; worst {ratios[:5]}"
    assert ratios[0][0] <= 1.05, ratios[:5]


def greedy_certificate(problem: Problem, draw: random.Random) -> Certificate:
    """Random nested cuts, each with as much dual as its arcs still bear, and now and then a little more."""
    nodes, scale = problem.nodes, 1000
    left = [arc.cost * scale for arc in problem.arcs]
    for step in problem.steps:
        if step.level == "exchange" and step.load == "sites":
            for index, arc in enumerate(problem.arcs):
                if nodes[arc.head].kind == "terminal" and nodes[arc.head].technology == step.technology:
                    left[index] += math.floor(step.cost * scale / step.capacity)
    cuts: list[Cut] = []
    terminals = [demand.node for k, demand in enumerate(problem.demands) if key(problem, k) not in lost(problem)]
    for terminal in draw.sample(terminals, len(terminals)):
        inside, base, added = {terminal}, -1, [terminal]
        while True:
            entered = [index for index, arc in enumerate(problem.arcs) if arc.head in inside and arc.tail not in inside]
            dual = min(left[index] for index in entered)
            cuts.append(Cut(terminal=terminal, base=base, added=tuple(added), dual=dual + (draw.random() < 0.002)))
            base = len(cuts) - 1
            for index in entered:
                left[index] -= dual
            added = [draw.choice([problem.arcs[index].tail for index in entered if left[index] == 0])]
            if added == [0]:
                break
            inside |= set(added)
    return Certificate(scale=scale, cuts=tuple(cuts))


def test_a_certificate_that_check_accepts_never_proves_more_than_the_optimum():
    draw, accepted, refused = random.Random(7), 0, 0
    for seed in range(60):
        problem = graph(seed)
        tree = optimum(problem)
        for _ in range(5 if tree else 0):
            certificate = greedy_certificate(problem, draw)
            bound = sum(cut.dual for cut in certificate.cuts) // certificate.scale
            served = tuple(tree[1].get(demand.node, -1) for demand in problem.demands)
            design = Design(
                problem="", arcs=(), served=served, steps=(), cost=10**12, bound=bound, gap=0.0, status="bounded", relaxed=(), certificate=certificate
            )
            holds = {finding.constraint: finding.holds for finding in check_design(problem, design).findings}
            assert holds["bound"]
            assert holds["cuts"]
            assert holds["duals"]
            accepted, refused = accepted + holds["packing"], refused + (not holds["packing"])
            assert not holds["packing"] or bound <= tree[0], seed
    assert accepted >= 200
    assert refused >= 1


def test_the_integer_program_agrees_with_the_enumeration():
    for seed in range(40):
        tree = optimum(graph(seed))
        assert by_integer_program(graph(seed), 10) == (tree[0] if tree else None), seed


def test_larger_graphs_are_as_good_against_an_integer_program():
    ratios = []
    for seed in range(LARGER):
        problem = graph(2000 + seed, (15, 30), (6, 12))
        design, best = solve(problem, seed=1, work=20), by_integer_program(problem, 10)
        assert check_design(problem, design).holds, seed
        if best is not None:
            assert design.bound <= best <= design.cost, seed
            ratios.append(design.cost / best)
    assert len(ratios) >= 25
    assert sum(ratio == 1 for ratio in ratios) >= 0.95 * len(ratios), sorted(ratios)
    assert max(ratios) <= 1.05


def test_what_can_be_served_is_served():
    assert [name for name, problem, design, _ in solved() if any(a < 0 and key(problem, k) not in lost(problem) for k, a in enumerate(design.served))] == []


def test_check_accepts_every_design():
    failures = {}
    for name, problem, design, _ in results():
        if broken := [finding for finding in check_design(problem, design).findings if not finding.holds]:
            failures[name] = broken
    assert failures == {}


@pytest.mark.parametrize("seed", range(REGIONS))
def test_check_accepts_every_problem_of_a_region(seed):
    valley, usecases, technologies, problem = region(seed)
    assert [finding for finding in check_problem(problem, valley, usecases, technologies).findings if not finding.holds] == []
