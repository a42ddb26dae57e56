"""Beside the design 設計のまわり: traffic that grows, ageing plant, electricity, limited money, works by year; every number as a figure.

In: the problem, its design, ways to build and solve variants, what the user asked for. Out: parts of the body of the design step. Nothing here changes
the design; what the user chose (a traffic scenario, a limit of electricity) is in the problem already.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kiban.check import check_frontier, check_phases
from kiban.design.ageing import Ageing, ageing
from kiban.design.budget import SHARES, default_weights, frontier
from kiban.design.energy import energy
from kiban.design.figures import DESIGN, Sheet, arc_name, paid_for
from kiban.design.growth import Growth, breaks, factors, grow
from kiban.design.limits import Effort, least, least_amount
from kiban.design.phases import for_years, phases
from kiban.finance.ledger import Ledger
from kiban.loop.given import Given
from kiban.records.design import Certificate, Design, Problem
from kiban.records.horizon import Frontier, Multiplied, Phases, Stage, Weight
from kiban.records.rule import TrafficScenario

FOUND = "found by the optimiser under the limit"
PROVED = "proved by multipliers and a certificate of integers, verified by the independent check"
ASKED = "what the user asked for"
EASY = 5_000  # arcs up to which the design without each used plant is looked for


@dataclass(frozen=True)
class Beside:
    """What is known when these parts are written; `solve` finds the design of a variant.

    today  the problem without growth, with a step for every capacity that some scenario fills
    """

    given: Given
    ledger: Ledger
    today: Problem
    problem: Problem
    design: Design
    rules: Mapping[str, tuple[str, float]]
    solve: Callable[[Problem], Design]
    effort: Effort

    @property
    def sheet(self) -> Sheet:
        """The figures of the plan's own problem."""
        return Sheet(self.ledger, self.problem, self.design, self.given.region, self.given.catalogue.usecases)


def growth_of(given: Given, id: str) -> Growth | None:
    """The factors of a scenario for the years of a plan; None where it says nothing of them."""
    years = int(given.catalogue.rule_at("horizon", given.today).quantity.value or 0)
    return factors(given.catalogue.get("traffic", id), given.start, years)


def traffic(beside: Beside) -> list[dict[str, Any]]:
    """Each scenario: what it would do to the design's shared links, and to its cost; the chosen one is in the design."""
    rows = []
    for id, scenario in sorted(beside.given.catalogue.traffic.items()):
        growth = factors(scenario, beside.problem.start, beside.problem.horizon)
        row: dict[str, Any] = {"id": id, "applied": id == beside.given.traffic, "says": growth is not None, "factors": [], "held_from": None, "breaks": []}
        row |= {"grows": False, "cost": None, "difference": None}
        if growth is not None:
            row["factors"] = _factors(beside, id, scenario)
            row["held_from"] = None if growth.held_from is None else str(growth.held_from)
            row["breaks"] = _breaks(beside, growth, row["factors"])
            row |= _cost(beside, id, growth)
        rows.append(row)
    return rows


def _factors(beside: Beside, id: str, scenario: TrafficScenario) -> list[str]:
    """The factors of a scenario, year by year, from its own figures."""
    ledger, base, start = beside.ledger, f"traffic/{id}", beside.problem.start
    first = ledger.choice("choices/start", start, "年度", "the fiscal year after the running one")
    found = []
    if scenario.yearly_growth is not None:
        for year in range(beside.problem.horizon):
            key = f"{base}/factor/{year}"
            found.append(ledger.formula(key, "design.traffic_factor", "1", [f"{base}#yearly_growth", beside.sheet.year(year)]))
        return found
    points = [point.year for point in scenario.points]
    levels = []
    for year in range(beside.problem.horizon):
        at = min(start + year, points[-1])
        last = next(place for place in range(1, len(points)) if at <= points[place])
        ends = [f"{base}#points/{points[place]}{part}" for place in (last - 1, last) for part in ("/year", "")]
        moment = ledger.formula(f"years/fiscal/{year}", "finance.sum", "年度", [first, beside.sheet.year(year)]) if at == start + year else ends[2]
        levels.append(ledger.formula(f"{base}/level/{year}", "design.traffic_between", "1", [moment, *ends]))
        found.append(ledger.formula(f"{base}/factor/{year}", "design.traffic_ratio", "1", [levels[-1], levels[0]]))
    return found


def _breaks(beside: Beside, growth: Growth, given: Sequence[str]) -> list[dict[str, Any]]:
    """The shared links whose capacity breaks within the horizon."""
    sheet, ledger, problem = beside.sheet, beside.ledger, beside.problem
    technologies, rows = beside.given.catalogue.technologies, []
    known = {}
    for id, one in technologies.items():
        value = one.capability.mbps_per_facility.value if one.capability.mbps_per_facility is not None else None
        if value:
            known[id] = value
    for found in breaks(problem, beside.design, growth.factors, known):
        name = "down_mbps" if found.kind == "rate" else "mbps_per_facility"
        quantity = getattr(technologies[found.technology].capability, name)
        source = f"technologies/{found.technology}#{name}"
        capacity = ledger.source(
            source, found.capacity, quantity.unit, f"technologies/{found.technology}#capability.{name} {quantity.source}", quantity.confidence
        )
        key = f"traffic/{found.technology}/{found.node}"
        needs = [sheet.need(site, usecase, "down_mbps") for site, usecase in found.needs]
        load = ledger.formula(f"{key}/load", "finance.sum", "Mbps", needs)
        units = ledger.choice(f"{key}/units", found.units[0] if found.kind != "rate" else 1, "units", DESIGN)
        scenario = given[0].rsplit("/", 2)[0]
        due = ledger.formula(f"{scenario}/{key}/due", "design.due_year", "year of the horizon", [load, capacity, units, *given])
        if found.year is not None:
            rows.append(
                {
                    "kind": found.kind,
                    "technology": found.technology,
                    "place": problem.nodes[found.node].ref,
                    "sites": list(found.sites),
                    "load": load,
                    "capacity": capacity,
                    "year": due,
                    "fiscal": str(problem.start + found.year),
                }
            )
    return rows


def _cost(beside: Beside, id: str, growth: Growth) -> dict[str, Any]:
    """What the design would cost under a scenario, and how much more than under the plan's own; nothing grows where no shared capacity has a price."""
    variant = grow(beside.today, growth.factors)
    grows = any(step.growth for step in variant.steps)
    if variant == beside.problem or not (grows or any(step.growth for step in beside.problem.steps)):
        return {"grows": grows, "cost": "total/priced", "difference": None}
    design = beside.solve(variant)
    if design.status not in ("proved", "bounded") or beside.design.status not in ("proved", "bounded"):
        return {"grows": True}
    cost = paid_for(Sheet(beside.ledger, variant, design, beside.given.region, beside.given.catalogue.usecases, f"traffic/{id}"), f"traffic/{id}/cost")
    return {"grows": True, "cost": cost, "difference": beside.ledger.formula(f"traffic/{id}/difference", "finance.difference", "JPY", [cost, "total/priced"])}


def ageing_rows(beside: Beside) -> list[dict[str, Any]]:
    """Each plant: age, life, the design's choice, the four choices with their costs, and what binds it."""
    complete = beside.design.status in ("proved", "bounded")
    solve = beside.solve if len(beside.problem.arcs) <= EASY and complete else None
    plants = {plant.id: plant for plant in beside.given.region.plants}
    rows = []
    for one in ageing(beside.problem, beside.design, beside.given.region.plants, solve):
        plant = plants[one.plant]
        rows.append(
            {
                "plant": plant.id,
                "name": plant.name,
                "assumed": plant.evidence.assumed,
                "age": _age(beside, one, plant.year_built),
                "renewal": None if one.renewal is None else str(beside.problem.start + one.renewal),
                "over": one.renewal == 0,
                "chosen": one.chosen,
                "choices": _choices(beside, one),
                "restricted_until": None if plant.restricted_until is None else plant.restricted_until.isoformat(),
                "restricted": plant.restricted_until is None or plant.restricted_until >= beside.given.today,
                "iru_until": None if plant.iru_until is None else plant.iru_until.isoformat(),
                "funding": plant.funding,
                "owner": plant.owner,
            }
        )
    return rows


def _age(beside: Beside, one: Ageing, built: int | None) -> str | None:
    if built is None:
        return None
    ledger, plant = beside.ledger, next(row for row in beside.given.region.plants if row.id == one.plant)
    evidence = plant.evidence
    ref = f"plants/{one.plant}: {evidence.reason}" if evidence.assumed else f"plants/{one.plant} {evidence.source}"
    year = ledger.source(f"plants/{one.plant}#year_built", built, "年", ref, evidence.confidence, assumed=evidence.assumed)
    start = ledger.choice("choices/start", beside.problem.start, "年度", "the fiscal year after the running one")
    return ledger.formula(f"plants/{one.plant}/age", "finance.difference", "years", [start, year])


def _choices(beside: Beside, one: Ageing) -> list[dict[str, Any]]:
    """keep and renew: yen over the horizon for the streets that the design uses (all of its streets where it uses none). handover and abolish: what
    doing without it adds to the design; what the other side pays, or taking down costs, nobody has said, so there is no total.
    """
    sheet, ledger = beside.sheet, beside.ledger
    metres = [sheet.street(id) for id in (one.used or one.streets)]
    km = ledger.formula(f"plants/{one.plant}/km", "finance.sum", "km", [ledger.formula(metre + "/km", "design.kilometres", "km", [metre]) for metre in metres])

    def yen(name: str, prices: Sequence[int]) -> str | None:
        inputs = [item for price in prices for item in (sheet.npv[price], km)]
        return ledger.formula(f"plants/{one.plant}/{name}", "finance.products", "JPY", inputs) if inputs else None

    keep = yen("keep", one.upkeep)
    renew = yen("renew", (*one.upkeep, *one.renewing)) if one.renewing else None
    without = instead = None
    unserved: list[str] = []
    if one.without is not None:
        problem, design = one.without
        instead = sorted({str(problem.arcs[index].technology) for index in design.arcs if problem.arcs[index].technology})
        unserved = sorted({site for site, _ in design.unserved})
        if design.status in ("proved", "bounded"):
            key = f"plants/{one.plant}/without"
            other = paid_for(Sheet(ledger, problem, design, beside.given.region, beside.given.catalogue.usecases, key), key)
            without = ledger.formula(f"{key}/more", "finance.difference", "JPY", [other, "total/priced"])
    elif not one.used:
        without = ledger.choice(f"plants/{one.plant}/unused", 0, "JPY", "the design does not use it")
    open_cost = {"adds": without, "instead": instead, "unserved": unserved}
    return [
        {"id": "keep", "yen": keep, "known": keep is not None},
        {"id": "renew", "yen": renew, "known": renew is not None},
        {"id": "handover", "yen": None, "known": False, **open_cost},
        {"id": "abolish", "yen": None, "known": False, **open_cost},
    ]


def energy_rows(beside: Beside, bound: Multiplied | None) -> dict[str, Any]:
    """kWh a year by technology, the total of what is known, what is missing, and the limit where there is one."""
    found, ledger, technologies = energy(beside.problem, beside.design), beside.ledger, beside.given.catalogue.technologies
    rows = []
    for row in found.rows:
        quantity = technologies[row.technology].kwh_per_year
        units = ledger.choice(f"energy/{row.technology}/units", row.units, row.per, DESIGN)
        kwh = None
        each = None
        if quantity is not None and quantity.value is not None:
            base = f"technologies/{row.technology}#kwh_per_year"
            each = ledger.source(base, quantity.value, quantity.unit, f"{base} {quantity.source}", quantity.confidence)
            kwh = ledger.formula(f"energy/{row.technology}", "design.product", "kWh/year", [units, each])
        rows.append({"technology": row.technology, "per": row.per, "units": units, "each": each, "kwh": kwh})
    known = ledger.formula("energy/known", "finance.sum", "kWh/year", [row["kwh"] for row in rows if row["kwh"]])
    limit = beside.given.kwh
    held = None if limit is None else ledger.choice("energy/limit", limit, "kWh/year", ASKED)
    none = _least_kwh(beside)
    proof = None
    if bound is not None and limit is not None and none is None:  # what costs a design that nobody found?
        proof = ledger.choice("energy/least", max(0, math.ceil(least(bound, {"kwh_year": limit}))), "JPY", PROVED)
    kept = None if limit is None else found.known <= limit + 1e-6
    return {
        "rows": rows,
        "known": known,
        "lower_bound_only": bool(found.missing),
        "missing": list(found.missing),
        "limit": held,
        "kept": kept if none is None else False,
        "least": proof,
        "none": none,
    }


def _least_kwh(beside: Beside) -> dict[str, Any] | None:
    """Where no design under the limit serves what can be served: the least kWh a year found, and whether it is proved that none keeps the limit."""
    problem, limit = beside.problem, beside.given.kwh
    ceiling = next((one for one in problem.ceilings if one.id == "kwh_year"), None)
    hopeless = {(site, usecase) for site, usecase, *_ in problem.no_way}
    if limit is None or ceiling is None or not set(beside.design.unserved) - hopeless:
        return None
    design, floor = least_amount(problem, ceiling, beside.effort)
    if design.status not in ("proved", "bounded"):  # not the limit is in the way
        return None
    kwh = energy(problem, design).known
    return {"kwh": beside.ledger.choice("energy/least_kwh", math.ceil(kwh), "kWh/year", FOUND), "proved": floor > limit + 1e-6}


def weights_of(beside: Beside) -> tuple[Weight, ...]:
    """The weights of needs: the user's own, else critical sites before all others, then by households."""
    return default_weights(beside.problem, {site.id: site for site in beside.given.region.sites}, beside.given.weights)


def _net(beside: Beside, yen: int, key: str) -> tuple[int, str, str]:
    """What a budget with tax buys without tax: whole yen, the figure with and the figure without tax."""
    tax, rate = beside.rules["consumption-tax"]
    gross = beside.ledger.choice(key, yen, "JPY", ASKED)
    net = beside.ledger.formula(f"{key}/net", "finance.net_of_tax", "JPY", [gross, tax])
    return math.floor(yen / (1 + Fraction(str(rate)))), gross, net  # the rate as it is written: 143 / 1.1 is 130, in floats a hair less


class _First:
    """What is paid in the first year, figure by figure."""

    def __init__(self, beside: Beside) -> None:
        self.beside, self.sheet, self.ledger = beside, beside.sheet, beside.ledger

    def amount(self, key: str, items: Sequence[tuple[int, float]], units: Sequence[str]) -> str | None:
        """Yen of the initial items that are bought in the first year."""
        inputs = []
        for (price, _), count in zip(items, units, strict=True):
            one = self.beside.problem.prices[price]
            if one.phase == "initial" and one.first == 0:
                inputs += [self.ledger.figures[self.sheet.npv[price]].inputs[0], count]
        return self.ledger.formula(f"first/{key}", "finance.products", "JPY", inputs) if inputs else None

    def arc(self, index: int) -> str | None:
        """Of an arc."""
        arc = self.beside.problem.arcs[index]
        return self.amount(arc_name(self.beside.problem, index), arc.items, [self.sheet.units_of(arc, price, number) for price, number in arc.items])

    def steps(self, key: str, steps: Sequence[tuple[int, int, int]]) -> list[str]:
        """Of paid step units."""
        found = []
        for index, group, units in steps:
            step = self.beside.problem.steps[index]
            each = self.amount(
                f"steps/{index}", step.items, [self.sheet.count(n, self.beside.problem.prices[p].per, "units of one step") for p, n in step.items]
            )
            if each is not None:
                count = self.ledger.choice(f"{key}/steps/{index}/{group}", units, "units", DESIGN)
                found.append(self.ledger.formula(f"{key}/steps/{index}/{group}/first", "finance.products", "JPY", [count, each]))
        return found

    def sum_of(self, key: str, arcs: Sequence[int], steps: Sequence[tuple[int, int, int]]) -> str:
        """Of arcs and step units together."""
        parts = [yen for index in arcs if (yen := self.arc(index)) is not None]
        return self.sheet.total(key, [*parts, *self.steps(key, steps)])


def budget_rows(beside: Beside) -> tuple[dict[str, Any], Frontier]:
    """What each sum of money buys, who waits and for which sum, and what the next million yen brings."""
    weights = weights_of(beside)
    most, gross, net = (None, None, None) if beside.given.budget is None else _net(beside, beside.given.budget, "budget/asked")
    ledger, first = beside.ledger, _First(beside)
    whole = first.sum_of("budget/full", beside.design.arcs, beside.design.steps)
    shares = {}
    for share in SHARES:
        part = ledger.choice(f"choices/share/{share}", share, "share", "a share of what the full design pays first")
        key = ledger.formula(f"budget/full/{share}", "finance.products", "JPY", [whole, part])
        shares[int(ledger.figures[key].value or 0)] = key
    found = frontier(beside.problem, beside.design, weights, most, beside.effort, stages=tuple(shares))
    report = check_frontier(beside.problem, beside.design, found)
    asked = found.stages[found.asked]

    def pairs(rows: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"site": site, "usecase": usecase} for site, usecase in rows]

    stages = [_stage(beside, first, stage, place, weights, shares) for place, stage in enumerate(found.stages)]
    waiting = []
    for row in found.waiting:
        key = f"budget/waiting/{row.site}/{row.usecase}"
        more = None if row.joining is None else ledger.choice(f"{key}/joining", row.joining, "JPY", FOUND)
        start = None if row.from_ is None else stages[[stage.most for stage in found.stages].index(row.from_)]["most"]
        waiting.append({"site": row.site, "usecase": row.usecase, "reason": row.reason, "joining": more, "from": start})
    after = None
    if found.next_yen is not None and found.next_least is not None:
        yen = ledger.choice("budget/next", found.next_yen, "JPY", FOUND)
        bound = ledger.choice("budget/next/least", found.next_least, "JPY", PROVED)
        more = ledger.formula("budget/next/more", "finance.difference", "JPY", [yen, stages[found.asked]["most"]])
        after = {"yen": yen, "least": bound, "more": more, "in": pairs(found.next_in)}
    body = {
        "asked": gross,
        "net": net,
        "stage": str(found.asked),
        "stages": stages,
        "waiting": waiting,
        "million": {"in": pairs(found.million_in), "out": pairs(found.million_out), "needed": bool(asked.lost)},
        "next": after,
        "own_weights": sorted(beside.given.weights),
        "check": report.holds,
    }
    return body, found


def _stage(beside: Beside, first: _First, stage: Stage, place: int, weights: Sequence[Weight], shares: Mapping[int, str]) -> dict[str, Any]:
    ledger, key = beside.ledger, f"budget/{place}"
    stub = Design(
        problem="", arcs=stage.arcs, served=stage.served, steps=stage.steps, grown=stage.grown, cost=stage.cost, bound=0, gap=1.0, status="bounded",
        relaxed=(), certificate=Certificate(),
    )  # fmt: skip
    sheet = Sheet(ledger, beside.problem, stub, beside.given.region, beside.given.catalogue.usecases, key)
    lost = {site for site, _ in stage.unserved}
    sites = {one.site for one in weights}
    whole = sum(one.weight for one in weights)
    return {
        "most": shares[stage.most] if stage.most in shares else ledger.choice(f"{key}/most", stage.most, "JPY", ASKED),
        "initial": first.sum_of(f"{key}/initial", stage.arcs, stage.steps),
        "cost": paid_for(sheet, f"{key}/cost"),
        "least_cost": ledger.choice(f"{key}/least_cost", stage.least_cost, "JPY", PROVED),
        "sites": ledger.choice(f"{key}/sites", len(sites - lost), "sites", DESIGN),
        "weight": ledger.choice(f"{key}/weight", whole - stage.lost, "1", DESIGN),
        "most_weight": ledger.choice(f"{key}/most_weight", whole - stage.least_lost, "1", PROVED),
        "proved": stage.least_lost == stage.lost and stage.least_cost == stage.cost,
        "unserved": [{"site": site, "usecase": usecase} for site, usecase in stage.unserved],
    }


def phase_rows(beside: Beside) -> tuple[dict[str, Any], Phases]:
    """Streets, sites and yen of each fiscal year, and what digging once saves."""
    given, weights = beside.given, weights_of(beside)
    ledger, asked = beside.ledger, given.phases
    if len(asked) == 1 and asked[0] <= beside.problem.horizon:
        found = for_years(beside.problem, beside.design, weights, asked[0], cancel=beside.effort.cancel)
        money = [ledger.choice(f"phases/{year}/money", yen, "JPY", FOUND) for year, yen in enumerate(found.money)]
    else:
        years = asked if len(asked) > 1 else asked * beside.problem.horizon
        nets = [_net(beside, yen, f"phases/{year}/asked") for year, yen in enumerate(years)]
        found = phases(beside.problem, beside.design, weights, [net for net, _, _ in nets], cancel=beside.effort.cancel)
        last = max((year for year in found.year), default=0)
        money = [net for _, _, net in nets[: max(1, last + 1)]]
    report = check_phases(beside.problem, beside.design, found)
    first, rows = _First(beside), []
    names: dict[int, list[str]] = defaultdict(list)
    for one, year in zip(found.weights, found.joined, strict=True):
        names[year].append(one.site)
    whole = [row for row in beside.design.steps if beside.problem.steps[row[0]].level == "system"]
    for year, budget in enumerate(money):
        works = [work for work, when in zip(found.works, found.year, strict=True) if when == year]
        arcs = [index for work in works for index in work.arcs]
        systems = {work.ref for work in works if work.kind == "system"}
        steps = [*found.steps[year], *(row for row in whole if beside.problem.steps[row[0]].technology in systems)]
        streets = sorted(work.ref for work in works if work.kind == "street")
        metres = [beside.sheet.street(id) for id in streets]
        rows.append(
            {
                "year": str(beside.problem.start + year),
                "money": budget,
                "paid": first.sum_of(f"phases/{year}/paid", sorted(arcs), sorted(steps)),
                "km": ledger.formula(
                    f"phases/{year}/km", "finance.sum", "km", [ledger.formula(metre + "/km", "design.kilometres", "km", [metre]) for metre in metres]
                ),
                "streets": streets,
                "sites": sorted(set(names[year])),
            }
        )
    body = {
        "years": rows,
        "left": sorted(set(names[-1])),
        "waited": ledger.choice("phases/waited", found.waited, "1", FOUND),
        "least_waited": ledger.choice("phases/least_waited", found.least_waited, "1", "a bound of the integer programme, or of money shared out"),
        "best": found.waited == found.least_waited,
        "again": ledger.choice("phases/again", found.digging_again, "JPY", DESIGN),
        "km_again": ledger.choice("phases/km_again", found.metres_again / 1000, "km", DESIGN),
        "check": report.holds,
    }
    return body, found
