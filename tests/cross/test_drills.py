"""Drills against plain search: random valleys, each link, place, area, satellite and hours without the grid.

The search knows the records only: it takes out what an event names, walks from the world over what is left of the design, and looks who is reached.
The areas are judged point by point, without shapes; the ways back by relaxing every arc until nothing gets cheaper.
"""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from tests.design.valley import DAY, PRICED, TECHNOLOGIES, price, technology, usecase

from kiban.check import check_design, check_drills, check_problem
from kiban.check.drill import area
from kiban.design import solve
from kiban.design.drill import Drill, Outcome, dead_ends
from kiban.design.events import Event, Ground, cut, lose_place, lose_power, lose_technology
from kiban.design.program import build
from kiban.records.design import Design, Problem
from kiban.records.region import Evidence, Hazard, Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity, Source
from kiban.records.technology import Wiring
from kiban.records.usecase import Needs
from kiban.region.hazards import hazard_of

HERE = Evidence(source="drawn")
SEEDS = range(40)
HOURS = 8.0
TOOLS = {
    **TECHNOLOGIES,
    "leo": technology(Wiring(pattern="direct", risk="sky", backhaul=True, needs_coverage=True), one_way_ms=30.0),
    "mw": technology(Wiring(pattern="hop", risk="air"), reach_km=9.0),
    "submarine": technology(Wiring(pattern="line", risk="sea", network="fibre")),
    "copper": technology(Wiring(pattern="line", risk="road", network="copper")),
    "dsl": technology(Wiring(pattern="drop", risk="road", network="copper"), down_mbps=15.0),
    "fwa": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "hop")), radius_km=1.5, one_way_ms=20.0, autonomy_h=12.0),
    "retail": technology(Wiring(pattern="direct", risk="road", needs_coverage=True)),
    "battery": technology(Wiring(pattern="site"), autonomy_h=10.0),
}
PRICES = {
    **PRICED,
    "fwa": (price("fwa", "base", "facility", 1_500_000), price("fwa", "cpe", "site", 100_000)),
    "mw": (price("mw", "pair", "hop", 400_000),),
    "submarine": (price("submarine", "lay", "km", 300_000),),
    "copper": (price("copper", "lay", "km", 30_000),),
    "dsl": (price("dsl", "modem", "site", 20_000),),
    "retail": (price("retail", "line", "site", 800_000),),
    "battery": (price("battery", "cell", "site", 70_000),),
}
USECASES = {
    "talk": usecase("talk", Needs(down_mbps=Quantity(unit="Mbps", value=10, source="drawn", confidence=Confidence.B))),
    "alarm": usecase("alarm", Needs(autonomy_h=Quantity(unit="h", value=3, source="drawn", confidence=Confidence.B))),
    "shelter": usecase(
        "shelter",
        Needs(
            down_mbps=Quantity(unit="Mbps", value=20, source="drawn", confidence=Confidence.B),
            backup=Quantity(unit="1", value=1, source="drawn", confidence=Confidence.B),
        ),
    ),
}


@cache
def town(seed: int) -> tuple[Region, Problem, Design]:
    """Junctions in the plane joined to an earlier one each and a few more, two exchanges, two towers, sites with and without people."""
    draw = random.Random(seed)
    spots = [(37.3 + draw.random() * 0.05, 137.1 + draw.random() * 0.05) for _ in range(draw.randint(6, 14))]
    junctions = tuple(Junction(id=f"j{k}", lat=lat, lon=lon) for k, (lat, lon) in enumerate(spots))
    pairs = [(draw.randrange(k), k) for k in range(1, len(spots))] + [tuple(draw.sample(range(len(spots)), 2)) for _ in range(draw.randint(0, 4))]
    streets = tuple(
        Street(id=f"s{k}", a=f"j{a}", b=f"j{b}", length_m=float(draw.randint(100, 3000)), kind="sea" if draw.random() < 0.1 else "street")
        for k, (a, b) in enumerate(pairs)
    )

    def beside(junction: int) -> tuple[float, float]:
        return spots[junction][0] + draw.uniform(-1e-3, 1e-3), spots[junction][1] + draw.uniform(-1e-3, 1e-3)

    at = {f"e{k}": k * (len(spots) - 1) for k in range(2)} | {f"t{k}": draw.randrange(len(spots)) for k in range(2)}
    places = []
    for id, junction in at.items():
        lat, lon = spots[junction] if id[0] == "e" else beside(junction)
        kind = "exchange" if id[0] == "e" else "tower"
        places.append(Place(id=id, name=id, kind=kind, lat=lat, lon=lon, evidence=HERE, autonomy_h=draw.choice([None, 4.0, 24.0])))
    sites = []
    for k in range(draw.randint(3, 9)):
        at[f"site{k}"] = draw.randrange(len(spots))
        lat, lon = beside(at[f"site{k}"])
        sites.append(
            Site(
                id=f"site{k}", name=f"{k}", kind="shelter", lat=lat, lon=lon, evidence=HERE, critical=draw.random() < 0.4,
                population=draw.choice([None, 12, 30]), households=draw.choice([None, 5]), autonomy_h=draw.choice([None, 2.0, 48.0]),
                covered={"leo": draw.random() < 0.8, "retail": draw.random() < 0.2, "lte": draw.random() < 0.2},
            )
        )  # fmt: skip
    attach = {id: (f"j{junction}", 0.0 if id[0] == "e" else float(draw.randint(1, 90))) for id, junction in at.items()}
    region = Region(
        id=f"town-{seed}", name="町", lg_code=None, sources={"drawn": Source(title="drawn at random", seen_on=DAY)},
        sites=tuple(sites), places=tuple(places), junctions=junctions, streets=streets, attach=attach,
    )  # fmt: skip
    wanted = [(site.id, id) for site in sites for id in USECASES if draw.random() < 0.7] or [("site0", "talk")]
    prices = PRICES | {"cable": (price("cable", "lay", "km", draw.choice([60_000, 200_000, 1_000_000])),)}
    problem = build(region, wanted, USECASES, TOOLS, prices, start=2027, horizon=15, discount=0.04)
    return region, problem, solve(problem, seed=0, work=5)


def square(draw: random.Random) -> Hazard:
    south, west = 37.3 + draw.random() * 0.04, 137.1 + draw.random() * 0.04
    north, east = south + draw.random() * 0.02, west + draw.random() * 0.02
    ring = ((south, west), (south, east), (north, east), (north, west), (south, west))
    return Hazard(id="slide", name="崩れた所", kind="slide", polygons=((ring,),), evidence=HERE)


def events(seed: int, region: Region) -> list[Event]:
    draw = random.Random(seed)
    ground = Ground(region)
    road = draw.sample([street.id for street in region.streets], 3)
    return [
        *(cut(region, [street.id]) for street in region.streets),
        cut(region, road),
        *(lose_place(region, place.id) for place in region.places),
        *(ground.area(square(draw)) for _ in range(3)),
        lose_power(HOURS),
        *(lose_technology(TOOLS, id) for id in ("leo", "lte", "retail")),
    ]


def gone(region: Region, problem: Problem, index: int, event: Event) -> bool:
    """Whether an event takes an arc out, read from the words of the records."""
    arc = problem.arcs[index]
    tail, head = problem.nodes[arc.tail], problem.nodes[arc.head]
    if arc.kind in ("line", "plant"):
        return arc.ref in event.streets
    stands = {node.ref for node in (tail, head) if node.kind in ("mast", "facility")} | ({arc.ref} if arc.kind == "exchange" else set())
    if stands & event.places or (head.kind in ("terminal", "demand") and head.ref in event.sites):
        return True
    if arc.kind in ("drop", "exchange", "feed") and arc.ref in event.spurs and (arc.kind == "exchange" or tail.kind == "junction"):
        return True
    if arc.technology in event.technologies and arc.kind in ("direct", "feed"):
        return True
    return event.hours is not None and dark(region, problem, index, event.hours)


def dark(region: Region, problem: Problem, index: int, hours: float) -> bool:
    """Whether the equipment at an end of an arc lasts for too few hours, or nobody says for how many."""
    arc = problem.arcs[index]
    tail, head = problem.nodes[arc.tail], problem.nodes[arc.head]
    own = {row.id: row.autonomy_h or 0.0 for row in (*region.sites, *region.places)}
    tool = TOOLS[arc.technology].capability.autonomy_h if arc.technology else None
    lasts = tool.value if tool is not None else 0.0
    if any(problem.prices[item].technology == "battery" for item, _ in arc.items):
        lasts = max(lasts, 10.0)
    if arc.kind == "exchange":
        return own[arc.ref] < hours
    if arc.kind == "feed":
        return tail.kind != "junction" and max(own[head.ref], lasts) < hours
    if arc.kind == "hop":
        return min(max(own[tail.ref], lasts), max(own[head.ref], lasts)) < hours
    return arc.kind in ("open", "drop", "link", "direct") and max(own[head.ref], lasts) < hours


def reached(region: Region, problem: Problem, design: Design, event: Event) -> set[int]:
    """The nodes that the world still reaches over the design."""
    out: dict[int, list[int]] = defaultdict(list)
    for index in design.arcs:
        if not gone(region, problem, index, event):
            out[problem.arcs[index].tail].append(problem.arcs[index].head)
    seen, queue = {0}, [0]
    while queue:
        for head in out[queue.pop()]:
            if head not in seen:
                seen.add(head)
                queue.append(head)
    return seen


def served(problem: Problem, design: Design) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(site, use case) → (demand node, serve arc) of each way that the design has."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for demand, arc in zip(problem.demands, design.served, strict=True):
        if arc >= 0:
            found[demand.site, demand.usecase].append((demand.node, arc))
    return found


def parts(outcome: Outcome) -> dict[str, set[tuple[str, str]]]:
    return {name: {(row.site, row.usecase) for row in getattr(outcome, name)} for name in ("off", "kept", "unsure")}


@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_off_is_who_a_search_no_longer_reaches(seed: int) -> None:
    region, problem, design = town(seed)
    assert check_design(problem, design).holds
    bad = [finding.constraint for finding in check_problem(problem, region, USECASES, TOOLS).findings if not finding.holds]
    assert set(bad) <= {"lines"}  # which knows one network only: copper has no line over the sea here, and goes round
    drill = Drill(region, problem, design, TOOLS)
    for event in events(seed, region):
        seen = reached(region, problem, design, event)
        wanted: dict[str, set[tuple[str, str]]] = {"off": set(), "kept": set(), "unsure": set()}
        for pair, ways in served(problem, design).items():
            left = [arc for node, arc in ways if node in seen]
            terminals = [problem.nodes[problem.arcs[arc].tail] for arc in left]
            hidden = {"retail"} if event.kind in ("street", "road", "exchange") else {"retail", "lte"} if event.kind in ("area", "power") else set()
            if not left:
                wanted["off"].add(pair)
            elif all(terminal.technology in hidden for terminal in terminals):
                wanted["unsure"].add(pair)
            elif len(left) < len(ways):
                wanted["kept"].add(pair)
        outcome = drill.run(event)
        assert parts(outcome) == wanted, event.id
        if event.kind in ("street", "exchange", "place"):
            assert list(check_drills(problem, design, region, {event.id: wanted["off"]})) == []
        sites = [site for site in region.sites if site.id in outcome.sites]
        known = [site.population for site in sites if site.population is not None]
        assert (outcome.people.people, outcome.people.unknown) == (sum(known) if known else None, len(sites) - len(known))
        if event.kind == "power":
            assert all(row.reason in ("power", "unstated") for row in outcome.off)
        for id, kits in outcome.kits.items():
            able = {(site.id, name) for site in region.sites for name in USECASES if id == "leo" and site.covered["leo"]}
            assert kits[0] == len({row.site for row in outcome.off if (row.site, row.usecase) in able and row.reason != "inside"})


@pytest.mark.parametrize("seed", SEEDS)
def test_all_links_at_once_say_what_each_cut_says_by_itself(seed: int) -> None:
    region, problem, design = town(seed)
    drill = Drill(region, problem, design, TOOLS)
    links = {link.street: link for link in drill.links()}
    for street in region.streets:
        alone = drill.run(cut(region, [street.id]))
        if not alone.off:
            assert street.id not in links
            continue
        link = links[street.id]
        critical = sum(site.critical for site in region.sites if site.id in alone.sites)
        assert (link.sites, link.critical, link.pairs, link.people, link.kits) == (len(alone.sites), critical, len(alone.off), alone.people, alone.kits)
        assert link.detour == (street.id not in dead_ends(region))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_street_is_a_dead_end_when_its_ends_no_longer_meet_without_it(seed: int) -> None:
    region = town(seed)[0]
    found = set()
    for street in region.streets:
        near, grown = {street.a}, True
        while grown:
            more = {end for other in region.streets if other.id != street.id and {other.a, other.b} & near for end in (other.a, other.b)}
            grown = not more <= near
            near |= more
        if street.b not in near:
            found.add(street.id)
    assert dead_ends(region) == found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spot_lies_in_an_area_when_its_latitude_and_longitude_do(seed: int) -> None:
    region = town(seed)[0]
    hazard = square(random.Random(seed))
    event = Ground(region).area(hazard)
    mine = area(region, hazard)
    assert (mine.streets, mine.spurs, mine.sites, mine.places) == (event.streets, event.spurs, event.sites, event.places)
    (south, west), _, (north, east), *_ = hazard.polygons[0][0]

    def inside(lat: float, lon: float) -> bool:
        return south <= lat <= north and west <= lon <= east

    assert event.sites == {site.id for site in region.sites if inside(site.lat, site.lon)}
    assert event.places == {place.id for place in region.places if inside(place.lat, place.lon)}
    spots = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}
    for street in region.streets:  # a thousand points along it: what they hit is hit, and what is hit is nearly hit by them
        (a, b), (c, d) = spots[street.a], spots[street.b]
        along = [(a + (c - a) * k / 1000, b + (d - b) * k / 1000) for k in range(1001)]
        if any(inside(*spot) for spot in along):
            assert street.id in event.streets
        elif street.id in event.streets:
            assert min(max(south - lat, lat - north, west - lon, lon - east) for lat, lon in along) < 1e-4


def nearest(region: Region, problem: Problem, design: Design, event: Event, built: set[tuple[str, str | None, str]], terminals: set[int]) -> float | None:
    """Fewest metres of new line to one of the terminals over what stands, by relaxing every arc."""
    metres = {0: 0.0}
    for _ in problem.nodes:
        for index, arc in enumerate(problem.arcs):
            stands = index in design.arcs or (arc.kind, arc.technology, arc.ref) in built
            if arc.tail in metres and not gone(region, problem, index, event) and (stands or arc.kind in ("exchange", "line", "plant", "drop")):
                metres[arc.head] = min(metres.get(arc.head, math.inf), metres[arc.tail] + (0.0 if stands else arc.length_m))
    dropped = {arc.head for arc in problem.arcs if arc.kind == "drop"}
    return min((metres[terminal] for terminal in terminals & dropped if terminal in metres), default=None)


@pytest.mark.parametrize("name", ["landslides_gsi_20240106", "tsunami_inundation_suzu_wajimaE_20240110"])
def test_real_areas_of_noto_hold_the_shelters_that_a_walk_around_their_rings_says(test_data: Path, name: str) -> None:
    hazard = hazard_of(test_data / "noto" / f"{name}.geojson", "real", name, "other", HERE, "174637")
    shelters = json.loads((test_data / "noto" / "shelters.geojson").read_text(encoding="utf-8"))["features"]
    at = {f"p{k}": one["geometry"]["coordinates"] for k, one in enumerate(shelters)}
    at |= {f"q{k}": [137.26 + k % 20 * 0.0015, 37.43 + k // 20 * 0.0015] for k in range(400)}  # a raster over the coast of Suzu
    sites = tuple(Site(id=id, name=id, kind="shelter", lat=lat, lon=lon, evidence=HERE) for id, (lon, lat) in at.items())
    region = Region(id="noto", name="能登", lg_code=None, sources={"drawn": Source(title="real", seen_on=DAY)}, sites=sites)

    def crossings(lat: float, lon: float) -> int:
        """Edges north of a spot: odd inside, the holes taken out; of overlapping areas each by itself."""
        inside = 0
        for polygon in hazard.polygons:
            count = 0
            for ring in polygon:
                if not min(p[1] for p in ring) <= lon <= max(p[1] for p in ring):
                    continue
                for (a, b), (c, d) in pairwise(ring):
                    if (b > lon) != (d > lon) and lat < a + (c - a) * (lon - b) / (d - b):
                        count += 1
            inside += count % 2
        return inside

    found = Ground(region).area(hazard).sites
    assert found == {site.id for site in sites if crossings(site.lat, site.lon)}
    assert found
    assert area(region, hazard).sites == found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_way_back_is_the_cheapest_that_any_arc_still_offers(seed: int) -> None:
    region, problem, design = town(seed)
    drill = Drill(region, problem, design, TOOLS)
    chosen = {(problem.arcs[k].kind, problem.arcs[k].technology, problem.arcs[k].ref) for k in design.arcs if problem.arcs[k].kind in ("line", "plant")}
    for event in events(seed, region):
        if event.kind == "power":
            continue
        outcome = drill.run(event, restore=True)
        far = {0: 0.0}
        for _ in problem.nodes:
            before = dict(far)
            for index, arc in enumerate(problem.arcs):
                if arc.tail not in far or arc.kind == "serve" or gone(region, problem, index, event):
                    continue
                stands = index in design.arcs or (arc.kind, arc.technology, arc.ref) in chosen
                far[arc.head] = min(far.get(arc.head, math.inf), far[arc.tail] + (0 if stands else arc.cost))
            if far == before:
                break
        lost = {row.site for row in outcome.off if row.reason != "inside"}
        assert {row.site for row in outcome.restored} == lost
        nodes = {demand.node: (demand.site, demand.usecase) for demand in problem.demands}
        for row in outcome.restored:
            usecases = [one.usecase for one in outcome.off if one.site == row.site]
            offers = []
            terminals = {arc.tail for arc in problem.arcs if arc.kind == "serve" and nodes[arc.head][0] == row.site and arc.tail in far}
            for terminal in terminals:
                able = {nodes[arc.head][1] for arc in problem.arcs if arc.kind == "serve" and arc.tail == terminal} & set(usecases)
                if able:
                    offers.append((-len(able), far[terminal]))
            if row.technology is None:
                assert offers == []
            else:
                assert (-len(row.usecases), row.yen) == min(offers)
            assert row.line_m == pytest.approx(nearest(region, problem, design, event, chosen, terminals), abs=0.01), (event.id, row)
