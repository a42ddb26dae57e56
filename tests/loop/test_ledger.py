"""Every number of a plan has its way back: to a data file, to a row of the region, to an assumed row or to a choice.

Plans of the example and of a tiny made-up region are computed again from their leaves. A leaf that moves by ten per cent moves its dependants and
nothing else. What may stay where it is, and no more:
- a figure of a formula that is registered as flat (a median, a ceiling, a gap), or of the bound, which is the least of several sums;
- a figure that is rounded (whole yen, centimetres) and whose unrounded movement is below its rounding;
- a figure all of whose moved inputs were met by one of these or by a factor of zero: what stands still hides what hangs on it.
Every figure is therefore judged by its own inputs: when one of them moved, it moves, unless its formula says why not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import kiban
from kiban.base.errors import RecordError
from kiban.base.formula import formulas, recompute
from kiban.catalogue import Catalogue, load
from kiban.design.figures import BOUND
from kiban.finance.ledger import Ledger
from kiban.loop.design import design_step
from kiban.loop.given import Given
from kiban.loop.plan import Made, make_plan
from kiban.loop.recompute import recompute_plan
from kiban.records.design import Design, Problem
from kiban.records.plan import Figure, Plan
from kiban.records.region import Evidence, Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Cost, Technology, Wiring
from kiban.records.usecase import Needs, Scaled, UseCase
from kiban.region import Detour, read

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
NOW = datetime.fromisoformat("2026-11-23T12:00:00+09:00")
SENTENCES = {
    "shelter": "地震で孤立した集落と避難所の通信を確保したい",
    "river": "大雨のたびに川の水位を見に行くのが危険",
    "school": "学校の回線が遅くて授業が止まる",
}
# Formulas that round, with the step of their rounding.
ROUNDED = {
    "finance.products": 1.0,
    "finance.taxed": 1.0,
    "design.candidate_metres": 0.01,
    "design.distance_metres": 0.001,
}
SEEN = date(2026, 11, 23)
NAME = Text(ja="試験", en="test")


@cache
def catalogue() -> Catalogue:
    return load()


# ---------------------------------------------------------------------------------------------------------------- a tiny region


def quantity(unit: str, value: float, **more: Any) -> Quantity:
    return Quantity(unit=unit, value=value, source="sheet", confidence=Confidence.B, **more)


def cost(id: str, per: str, value: float | None, *, phase: str = "initial", **more: Any) -> Cost:
    unit = f"JPY/{per}" + ("/year" if phase == "yearly" else "")
    evidence = Quantity(unit=unit, needs_source=True) if value is None else quantity(unit, value)
    return Cost(id=id, name=NAME, phase=phase, per=per, scope=(id,), evidence=(evidence,), **more)


def technology(wiring: Wiring, costs: tuple[Cost, ...], **capability: Quantity) -> Technology:
    return Technology(
        name=NAME,
        summary=NAME,
        layer="access",
        medium="wireless",
        wiring=wiring,
        sources={"sheet": Source(title="made up", seen_on=SEEN)},
        checked_on=SEEN,
        capability=Capability(**capability),
        costs=costs,
        lifetime_years=quantity("years", 7),
    )


def usecase(words: str, needs: Needs) -> UseCase:
    return UseCase(
        name=NAME,
        summary=NAME,
        field=NAME,
        words=(words,),
        sites=("school", "shelter"),
        needs=needs,
        sources={"sheet": Source(title="made up", seen_on=SEEN)},
        checked_on=SEEN,
    )


def tiny_region() -> Region:
    """Six sites along a street of 3 km from an exchange; their cells are full with two sites each."""
    evidence, asked = Evidence(source="town"), Evidence(assumed=True, reason="nobody counts them", confirm="the town")
    points = [(37.0, round(137.0 + 0.005 * k, 4)) for k in range(7)]
    sites = tuple(
        Site(
            id=f"s{k}",
            name=f"s{k}",
            kind="school" if k % 2 else "shelter",
            lat=points[k][0],
            lon=points[k][1],
            evidence=asked if k == 6 else evidence,
            pupils=10 * k + 3,
            devices=k,
        )
        for k in range(1, 7)
    )
    places = (
        Place(id="exchange", name="exchange", kind="exchange", lat=points[0][0], lon=points[0][1], evidence=evidence),
        Place(id="mast", name="mast", kind="tower", lat=points[4][0], lon=points[4][1], evidence=evidence),
    )
    junctions = tuple(Junction(id=f"j{k}", lat=lat, lon=lon) for k, (lat, lon) in enumerate(points))
    streets = tuple(Street(id=f"c{k}", a=f"j{k}", b=f"j{k + 1}", length_m=444.51 + k) for k in range(6))
    attach = {site.id: (f"j{k}", 5.5) for k, site in enumerate(sites, start=1)} | {"exchange": ("j0", 0.0), "mast": ("j4", 12.25)}
    return Region(
        id="tiny",
        name="tiny",
        lg_code=None,
        sources={"town": Source(title="made up", seen_on=SEEN)},
        sites=sites,
        places=places,
        junctions=junctions,
        streets=streets,
        attach=attach,
    )


def tiny_technologies(*, dish: float | None) -> dict[str, Technology]:
    """Fibre with a port for two sites, a cell for two sites, a satellite dish that may have no price."""
    rates = {"down_mbps": quantity("Mbps", 500), "up_mbps": quantity("Mbps", 500)}
    wire = Wiring(pattern="line", network="fibre", risk="road")
    return {
        "cable": technology(wire, (cost("cable", "km", 400_000), cost("care", "km", 9_000, phase="yearly"))),
        "drop": technology(
            Wiring(pattern="drop", network="fibre", risk="road"),
            (cost("onu", "site", 30_000), cost("port", "facility", 55_000), cost("centre", "system", 70_000)),
            **rates,
            sites_per_facility=quantity("sites", 2),
        ),
        "cell": technology(
            Wiring(pattern="cell", feeds=("fibre",), risk="air"),
            (cost("station", "facility", 150_000), cost("box", "device", 700)),
            **rates,
            radius_km=quantity("km", 1.2),
            sites_per_facility=quantity("sites", 2),
            devices_per_facility=quantity("devices", 4),
        ),
        "dish": technology(Wiring(pattern="direct", risk="sky"), (cost("dish", "site", dish),), **rates),
    }


def tiny(name: str) -> tuple[Plan, Problem, Design, dict[str, Any]]:
    """A plan of the tiny region with the design step alone."""
    per_pupil = Scaled(by="pupils", unit="Mbps", points=((1, 2), (100, 200)), source="sheet")
    lessons = usecase("lessons", Needs(down_mbps=per_pupil, devices=quantity("devices", 2)))
    alarm = usecase("alarm", Needs(down_mbps=quantity("Mbps", 1), up_mbps=quantity("Mbps", 1)))
    usecases = {"lessons": lessons} if name == "steps" else {"lessons": lessons, "alarm": alarm}
    technologies = tiny_technologies(dish=None if name == "unpriced" else 2_500_000)
    if name == "bought":
        technologies["dish"] = replace(technologies["dish"], bought=True)
    if name == "unserved":  # the dish alone, and it cannot carry both
        technologies = {"dish": technologies["dish"]}
        usecases = {id: usecase(id, Needs(down_mbps=quantity("Mbps", 300))) for id in usecases}
    asked: dict[str, Any] = {}
    if name == "grown":  # ports and cells fill up as traffic grows
        asked = {"traffic": "growth-20"}
        for id, most in (("drop", 90), ("cell", 60)):
            capability = replace(technologies[id].capability, sites_per_facility=None, devices_per_facility=None, mbps_per_facility=quantity("Mbps", most))
            technologies[id] = replace(technologies[id], capability=capability)
    if name in ("money", "years"):
        technologies["dish"] = replace(technologies["dish"], kwh_per_year=quantity("kWh/year", 700))
        technologies["drop"] = replace(technologies["drop"], kwh_per_year=quantity("kWh/year", 12))
        technologies["cell"] = replace(technologies["cell"], kwh_per_year=quantity("kWh/year", 900), energy_per="facility")
        asked = {"budget": 900_000, "phases": (2,), "kwh": 1_000.0} if name == "money" else {"phases": (800_000, 900_000), "weights": {"s3": 9}, "budget": 1}
    data = replace(catalogue(), technologies=technologies, usecases=usecases)
    region = tiny_region()
    given = Given(sentence="", region=region, catalogue=data, now=NOW, **asked)
    ledger = Ledger()
    wanted = tuple((site.id, id) for site in region.sites for id in usecases)
    made = design_step(given, wanted, ledger, lambda *_: None, lambda: False)
    plan = Plan(
        id="tiny",
        region="tiny",
        sentence="",
        status="plan",
        made_on=NOW,
        engine="test",
        label=None,
        steps=(made.step,),
        figures=ledger.figures,
    )
    assert made.report.holds, [finding for finding in made.report.findings if not finding.holds]
    return plan, made.problem, made.design, made.step.body


@cache
def example(name: str) -> Made:
    rule = catalogue().rule_at("detour-factor", NOW.date()).quantity
    region = read(EXAMPLE, detour=Detour(value=rule.value, source=catalogue().rules["detour-factor"].sources[rule.source]))
    return make_plan(Given(sentence=SENTENCES[name], region=region, catalogue=catalogue(), now=NOW))


@cache
def plan_of(name: str) -> tuple[Plan, Problem, Design]:
    if name in SENTENCES:
        made = example(name)
        return made.plan, made.designed.problem, made.designed.design
    return tiny(name)[:3]


PLANS = [*SENTENCES, "steps", "shared", "unpriced", "unserved", "bought", "grown", "money", "years"]


# ---------------------------------------------------------------------------------------------------------------- tests


def numbers(thing: Any, where: str = "") -> Iterator[str]:
    """The places of all bare numbers."""
    if isinstance(thing, bool):
        return
    if isinstance(thing, int | float):
        yield where
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from numbers(value, f"{where}/{key}")
    elif isinstance(thing, list):
        for index, value in enumerate(thing):
            yield from numbers(value, f"{where}/{index}")


def dependants(figures, leaf):
    """The ids of all figures that are built on a leaf, the leaf itself left out."""
    above = {}
    for key, figure in figures.items():
        for item in figure.inputs:
            above.setdefault(item, []).append(key)
    found = set()
    stack = [leaf]
    while stack:
        for key in above.get(stack.pop(), ()):
            if key not in found:
                found.add(key)
                stack.append(key)
    return found


@pytest.mark.parametrize("name", SENTENCES)
def test_no_number_of_plan_json_stands_outside_the_ledger(name):
    written = msgspec.json.decode(msgspec.json.encode(plan_of(name)[0]))
    outside = [where for where in numbers(written) if not (where.startswith("/figures/") and where.rpartition("/")[2] in ("value", "low", "high"))]
    assert outside == []


@pytest.mark.parametrize("name", SENTENCES)
def test_every_figure_that_a_step_names_is_in_the_ledger(name):
    plan = plan_of(name)[0]
    body = plan.steps[3].body
    named = [value for key in ("cost_npv", "priced_part", "cost_5y", "lower_bound", "gap", "wanted_sites", "served_sites") if (value := body[key])]
    named += [id for row in body["layers"] for id in row["years"]] + body["years"]
    named += [id for row in plan.steps[1].body["needs"] for id in row["figures"]]
    assert [id for id in named if id not in plan.figures] == []
    assert len(named) > 20


@pytest.mark.parametrize("name", PLANS)
def test_every_leaf_says_where_it_comes_from(name):
    plan = plan_of(name)[0]
    for key, figure in plan.figures.items():
        if figure.kind == "formula":
            assert figure.formula == BOUND or figure.formula in formulas(), key
            assert figure.inputs or (figure.formula, figure.value) == ("finance.sum", 0), key  # what replaces nothing costs nothing
        else:
            assert figure.ref, key
            assert figure.inputs == (), key
    kinds = {figure.kind for figure in plan.figures.values()}
    assert kinds >= {"source", "choice", "formula"}
    assert "assumed" in kinds or name == "unserved"  # no line there, so no length from an assumed place


@pytest.mark.parametrize("name", PLANS)
def test_every_value_is_what_its_leaves_come_to(name):
    plan, problem, design = plan_of(name)
    again = recompute_plan(plan, problem, design)
    assert {key: again[key] for key in plan.figures} == {key: figure.value for key, figure in plan.figures.items()}


def may_stay(figure: Figure, before: Mapping[str, float | None], after: Mapping[str, float | None]) -> bool:
    """Whether a figure may stand still although one of its inputs moved."""
    name = str(figure.formula)
    if name == BOUND or formulas()[name].flat:
        return True
    old = [before[item] for item in figure.inputs]
    if None in old:
        return True  # unknown before, unknown after
    if name in ("finance.products", "design.product"):  # a factor of zero
        pairs = list(zip(figure.inputs[0::2], figure.inputs[1::2], strict=True))
        moved = [(a, b) for a, b in pairs if before[a] != after[a] or before[b] != after[b]]
        exact = sum(after[a] * after[b] - before[a] * before[b] for a, b in moved)
        return abs(exact) < ROUNDED.get(name, 1e-12)
    if name in ROUNDED:  # the movement of each input is so small that the rounding swallows it
        return all(before[item] == after[item] or abs(after[item] - before[item]) < ROUNDED[name] for item in figure.inputs)
    if name == "design.break_even":  # both designs hold the same dearer thing
        without, rest, units = figure.inputs
        return before[units] == after[units] and abs(after[without] - before[without] - after[rest] + before[rest]) < 1e-6
    if name in ("finance.sum", "finance.difference"):  # movements that cancel out
        signs = [1.0] * len(figure.inputs) if name == "finance.sum" else [1.0] + [-1.0] * (len(figure.inputs) - 1)
        return abs(sum(sign * (after[item] - before[item]) for sign, item in zip(signs, figure.inputs, strict=True))) < 1e-6
    return False


@pytest.mark.parametrize("name", PLANS)
def test_a_leaf_that_moves_by_ten_per_cent_moves_exactly_its_dependants(name):
    plan, problem, design = plan_of(name)
    before = {key: figure.value for key, figure in plan.figures.items()}
    leaves = [key for key, figure in plan.figures.items() if figure.kind in ("source", "assumed") and figure.value]
    reached, stayed = 0, []
    for leaf in leaves:
        after = recompute_plan(plan, problem, design, {leaf: plan.figures[leaf].value * 1.1})
        changed = {key for key in before if before[key] != after[key]} - {leaf}
        allowed = dependants(plan.figures, leaf)
        assert changed <= allowed, (leaf, sorted(changed - allowed)[:5])
        for key in sorted(allowed - changed):
            figure = plan.figures[key]
            if any(before[item] != after[item] for item in figure.inputs) and not may_stay(figure, before, after):
                stayed.append((leaf, key, figure.formula))
        reached += bool(changed)
    assert stayed == [], sorted({formula for *_, formula in stayed})
    assert reached > 0


@pytest.mark.parametrize("name", PLANS)
def test_a_leaf_of_zero_or_unknown_has_only_dependants_that_follow_it(name):
    """Zero plus ten per cent is zero; such a leaf is set to one. An unknown one keeps all that is built on it unknown."""
    plan, problem, design = plan_of(name)
    before = {key: figure.value for key, figure in plan.figures.items()}
    for leaf, figure in plan.figures.items():
        if figure.kind in ("source", "assumed") and figure.value is None:
            assert {before[key] for key in dependants(plan.figures, leaf)} <= {None}, leaf
        elif figure.kind in ("source", "assumed") and figure.value == 0:
            after = recompute_plan(plan, problem, design, {leaf: 1.0})
            assert {key for key in before if before[key] != after[key]} - {leaf} <= dependants(plan.figures, leaf), leaf


def test_what_nobody_can_serve_has_no_total_and_its_bound_counts_only_the_rest():
    plan, problem, design, body = tiny("unserved")
    assert (design.status, body["cost_npv"], body["cost_5y"]) == ("infeasible", None, None)
    assert len(design.unserved) == 6
    assert 0 < design.bound <= design.cost == 6 * problem.arcs[design.arcs[0]].cost
    assert plan.figures["count/served"].value == 0


def test_the_tiny_region_pays_capacity_steps_and_says_how_many():
    plan, problem, design = plan_of("steps")
    assert design.steps
    units = {key: figure for key, figure in plan.figures.items() if figure.formula == "design.step_units"}
    assert units
    for key, figure in units.items():
        assert figure.value == recompute("design.step_units", [plan.figures[item].value for item in figure.inputs]), key
    paid = sum(problem.steps[index].cost * count for index, _, count in design.steps)
    assert paid + sum(problem.arcs[index].cost for index in design.arcs) == design.cost == plan.figures["total/priced"].value


def test_sharing_is_the_sum_of_each_alone_less_all_together():
    plan, _, design = plan_of("shared")
    alone = {key: plan.figures[f"alone/{key}"].value for key in ("alarm", "lessons")}
    assert alone == design.shared.alone_yen
    assert plan.figures["alone/saving"].value == sum(alone.values()) - design.cost == design.shared.saving_yen > 0


def test_an_unpriced_technology_enters_at_its_break_even_price_and_not_above():
    plan, _, design, body = tiny("unpriced")
    row = next(row for row in body["unpriced"] if row["technology"] == "dish")
    assert (row["enters"], row["per"], row["missing"]) == (True, "site", ["dish"])
    price = plan.figures[row["break_even"]].value

    def total(npv: float) -> int:
        from kiban.design import solve
        from kiban.design.program import build
        from kiban.finance import price_technology

        data = tiny_technologies(dish=None)
        rules = {"horizon": 15, "discount": 0.04}
        priced = {
            id: price_technology(one, technology_id=id, start=2027, horizon=15, discount=0.04, discount_figure="d", tax_rate=0.1, tax_figure="t")
            for id, one in data.items()
        }
        again = tiny_usecases()
        wanted = [(site.id, id) for site in tiny_region().sites for id in again]
        variant = build(tiny_region(), wanted, again, data, priced, start=2027, free={"dish": npv}, **rules)
        return solve(variant, seed=0, work=100).cost

    assert total(price * 0.999) < design.cost
    assert total(price * 1.001) == design.cost


def test_each_technology_of_the_design_says_what_would_take_its_place_and_when():
    plan, problem, design = plan_of("steps")
    rows = {row["technology"]: row for row in plan.steps[0].body["flips"]}
    assert set(rows) == {row["technology"] for row in plan.steps[0].body["technologies"]}
    assert {row["reason"] for row in rows.values()} <= {"priced", "only", "unpriced", "unsettled", "free"}
    priced = [row for row in rows.values() if row["reason"] == "priced"]
    assert priced
    for row in priced:
        price, now, factor, difference = (plan.figures[row[name]].value for name in ("price", "now", "factor", "difference"))
        assert price == pytest.approx(now * factor)
        assert factor >= 1
        assert difference == plan.figures[f"flip/{row['technology']}/without"].value - design.cost >= 0
        assert row["technology"] not in row["instead"]
        assert plan.figures[row["price"]].unit == f"JPY/{row['per']}"
        first = row["first"] and plan.figures[row["first"]["factor"]].value
        assert (first is not None) <= row["mixed"]
        assert first is None or 1 <= first <= factor
    assert not any("flip" in price.id for price in problem.prices)


def test_what_nothing_else_can_serve_has_no_flip_price_and_says_so():
    rows = plan_of("shelter")[0].steps[3].body["flips"]
    only = [row for row in rows if row["reason"] == "only"]
    assert only
    for row in only:
        assert [row[name] for name in ("per", "price", "now", "factor", "difference", "first")] == [None] * 6
        assert row["instead"] == []


def test_what_cannot_be_served_has_no_flips():
    assert plan_of("unserved")[0].steps[0].body["flips"] == []


def test_services_bought_alone_cost_what_they_cost_or_say_what_they_leave_out():
    plan, problem, design = plan_of("bought")
    buy = plan.steps[0].body["buy"]
    assert (buy["technologies"], buy["unserved"], buy["unpriced"]) == (["dish"], [], [])
    assert plan.figures[buy["cost_npv"]].value == 6 * max(arc.cost for arc in problem.arcs if arc.kind == "direct") > design.cost
    none = plan_of("steps")[0].steps[0].body["buy"]  # the same dish, but the town runs it
    assert (none["cost_npv"], none["technologies"], len(none["unserved"])) == (None, [], 6)


def test_in_the_example_services_alone_leave_the_second_path_out():
    plan, _, _ = plan_of("shelter")
    buy = plan.steps[3].body["buy"]
    critical = {row["site"] for row in plan.steps[3].body["sites"] if row["critical"]}
    assert buy["cost_npv"] is None
    assert {row["site"] for row in buy["unserved"]} == critical
    assert buy["unknown_coverage"]


def test_what_the_town_lays_or_runs_at_a_place_of_its_own_is_never_bought():
    with pytest.raises(RecordError, match="bought"):
        replace(tiny_technologies(dish=None)["cell"], bought=True)
    known = catalogue().technologies
    assert {one.wiring.pattern for one in known.values() if one.bought} == {"direct", "none"}
    assert not known["dark-fibre-subscriber"].bought  # a core without equipment is no service


def tiny_usecases() -> dict[str, UseCase]:
    per_pupil = Scaled(by="pupils", unit="Mbps", points=((1, 2), (100, 200)), source="sheet")
    return {
        "lessons": usecase("lessons", Needs(down_mbps=per_pupil, devices=quantity("devices", 2))),
        "alarm": usecase("alarm", Needs(down_mbps=quantity("Mbps", 1), up_mbps=quantity("Mbps", 1))),
    }


def test_whoever_recomputes_a_plan_knows_every_formula_of_the_design_engine():
    source = Path(kiban.__file__).parent
    named = {id for path in (source / "design").rglob("*.py") for id in re.findall(r'^@formula\("([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)}
    code = "import json, kiban.loop.recompute; from kiban.base.formula import formulas; print(json.dumps(sorted(formulas())))"
    known = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert len(named) > 3
    assert named - set(known) == set()
