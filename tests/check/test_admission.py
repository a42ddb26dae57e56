"""A problem that leaves options out, or offers some that the records do not admit, is found by the records alone: that is how a bound that
was proved on a thinned graph is caught.

The valley: an exchange x at j0, streets to j1 and j2, a tower t near j1. Site a is critical, c has no satellite coverage.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from msgspec.structs import replace

from kiban.check import ADMISSION, check_problem
from kiban.design.program import build
from kiban.finance import price_technology
from kiban.records.design import Exclusion, Problem
from kiban.records.region import Evidence, Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Cost, Technology, Wiring
from kiban.records.usecase import Needs, Scaled, UseCase

SEEN = date(2026, 11, 23)
SOURCES = {"drawn": Source(title="drawn for a test", seen_on=SEEN)}
HERE = Evidence(source="drawn")
YEARS = {"start": 2026, "horizon": 10, "discount": 0.04}


def q(value: float, unit: str = "1") -> Quantity:
    return Quantity(unit=unit, value=value, source="drawn", confidence=Confidence.B)


def text(word: str) -> Text:
    return Text(ja=word, en=word)


def technology(wiring: Wiring, per: str, yen: float | None, **can: float) -> Technology:
    unit = f"JPY/{per}/year"
    evidence = Quantity(unit=unit, needs_source=True) if yen is None else q(yen, unit)
    return Technology(
        name=text("t"),
        summary=text("t"),
        layer="access",
        medium="wireless",
        wiring=wiring,
        sources=SOURCES,
        checked_on=SEEN,
        capability=Capability(**{name: q(value) for name, value in {"down_mbps": 100.0, "one_way_ms": 10.0, **can}.items()}),
        costs=(Cost(id="fee", name=text("fee"), phase="yearly", per=per, scope=("fee",), evidence=(evidence,)),),
    )


TECHNOLOGIES = {
    "cable": technology(Wiring(pattern="line", risk="road", network="fibre"), "km", 100_000),
    "haps": technology(Wiring(pattern="direct", risk="sky"), "site", None),
    "pon": technology(Wiring(pattern="drop", risk="road", network="fibre"), "site", 30_000),
    "radio": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "sky")), "facility", 300_000, radius_km=1.0),
    "sat": technology(Wiring(pattern="direct", risk="sky", backhaul=True, needs_coverage=True), "site", 90_000, down_mbps=50.0),
    "sensor": technology(Wiring(pattern="direct", risk="air"), "site", 1_000, down_mbps=0.1),
}
REGION = Region(
    id="valley",
    name="谷",
    lg_code=None,
    sources=SOURCES,
    sites=(
        Site(id="a", name="a", kind="school", lat=37.3010, lon=136.90, evidence=HERE, critical=True, pupils=50, covered={"sat": True}),
        Site(id="b", name="b", kind="school", lat=37.3070, lon=136.90, evidence=HERE, pupils=100, covered={"sat": True}),
        Site(id="c", name="c", kind="school", lat=37.3400, lon=136.90, evidence=HERE, covered={"sat": False}),
    ),
    places=(
        Place(id="x", name="x", kind="exchange", lat=37.30, lon=136.80, evidence=HERE),
        Place(id="t", name="t", kind="tower", lat=37.3030, lon=136.90, evidence=HERE),
    ),
    junctions=tuple(Junction(id=f"j{k}", lat=37.3, lon=136.8 + k / 20) for k in range(3)),
    streets=(Street(id="s1", a="j0", b="j1", length_m=9000.0), Street(id="s2", a="j1", b="j2", length_m=4000.0)),
    attach={"x": ("j0", 10.0), "t": ("j1", 50.0), "a": ("j1", 20.0), "b": ("j2", 20.0), "c": ("j2", 400.0)},
)
USECASES = {
    "class": UseCase(
        name=text("class"),
        summary=text("class"),
        field=text("教育"),
        words=("class",),
        sites=("school",),
        needs=Needs(down_mbps=Scaled(by="pupils", unit="Mbps", points=((0, 0), (100, 60)), source="drawn"), backup=q(1)),
        sources=SOURCES,
        checked_on=SEEN,
    ),
    "phone": UseCase(
        name=text("phone"),
        summary=text("phone"),
        field=text("防災"),
        words=("phone",),
        sites=("school",),
        needs=Needs(down_mbps=q(2), one_way_ms=q(50)),
        sources=SOURCES,
        checked_on=SEEN,
    ),
}
PRICED = {
    id: price_technology(technology, technology_id=id, **YEARS, discount_figure="rules/discount", tax_rate=0.1, tax_figure="rules/tax")
    for id, technology in TECHNOLOGIES.items()
}
WANTED = [("a", "class"), ("a", "phone"), ("b", "class"), ("c", "phone")]
PROBLEM = build(REGION, WANTED, USECASES, TECHNOLOGIES, PRICED, **YEARS)

Case = tuple[Problem, Region, dict[str, Technology]]


def case(problem: Problem = PROBLEM, region: Region = REGION, technologies: dict[str, Technology] = TECHNOLOGIES) -> Case:
    return problem, region, technologies


def weaker(id: str, **can: float) -> Case:
    capability = replace(TECHNOLOGIES[id].capability, **{name: q(value) for name, value in can.items()})
    return case(technologies={**TECHNOLOGIES, id: replace(TECHNOLOGIES[id], capability=capability)})


def without_arcs(unwanted: Callable[[object], bool]) -> Case:
    kept = tuple(arc for arc in PROBLEM.arcs if not unwanted(arc))
    assert len(kept) < len(PROBLEM.arcs)
    return case(replace(PROBLEM, arcs=kept))


def serves(arc: object, site: str, usecase: str, technology: str) -> bool:
    demands = {demand.node for demand in PROBLEM.demands if (demand.site, demand.usecase) == (site, usecase)}
    return arc.kind == "serve" and arc.head in demands and PROBLEM.nodes[arc.tail].technology == technology


def demand_changed(index: int, **changes: object) -> Case:
    rows = list(PROBLEM.demands)
    rows[index] = replace(rows[index], **changes)
    return case(replace(PROBLEM, demands=tuple(rows)))


def site_moved(id: str, lat: float) -> Case:
    return case(region=replace(REGION, sites=tuple(replace(site, lat=lat) if site.id == id else site for site in REGION.sites)))


def covered(id: str) -> Case:
    return case(region=replace(REGION, sites=tuple(replace(site, covered={"sat": True}) if site.id == id else site for site in REGION.sites)))


def excluded(**row: object) -> Case:
    return case(replace(PROBLEM, exclusions=(*PROBLEM.exclusions, Exclusion(**row))))


MUTANTS: dict[str, dict[str, Callable[[], Case]]] = {
    "offered": {
        "fibre that is too slow": lambda: weaker("pon", down_mbps=25.0),
        "a satellite behind the cell that is too slow": lambda: weaker("sat", one_way_ms=60.0),
    },
    "left_out": {
        "the satellite is not offered": lambda: without_arcs(lambda arc: serves(arc, "a", "phone", "sat")),
        "fibre is not offered": lambda: without_arcs(lambda arc: serves(arc, "c", "phone", "pon")),
    },
    "exclusions": {
        "ruled out by a coverage that is there": lambda: covered("c"),
        "ruled out by a rate that suffices": lambda: weaker("sensor", down_mbps=80.0),
        "called unpriced though it has a price": lambda: excluded(site="a", usecase="phone", technology="sat", need="price", state="unpriced"),
        "ruled out by a place that is there": lambda: excluded(site="b", usecase="class", technology="radio", need="place", state="fails"),
    },
    "demands": {"half the need": lambda: demand_changed(0, down_mbps=PROBLEM.demands[0].down_mbps / 2)},
    "backups": {
        "no backup for a critical site": lambda: case(replace(PROBLEM, demands=tuple(replace(row, without=None) for row in PROBLEM.demands))),
        "a condition that nobody asked for": lambda: demand_changed(len(PROBLEM.demands) - 1, without="road"),
    },
    "cells": {
        "a link left out": lambda: without_arcs(lambda arc: arc.kind == "link" and PROBLEM.nodes[arc.head].ref == "b"),
        "a link beyond the radius": lambda: site_moved("b", 37.3200),
    },
    "energy": {"less than the file says": lambda: case(replace(PROBLEM, energy=tuple(replace(use, kwh=1.0) for use in PROBLEM.energy)))},
    "lines": {
        "a street shortened": lambda: case(
            replace(PROBLEM, arcs=tuple(replace(arc, length_m=arc.length_m / 2) if arc.kind == "line" else arc for arc in PROBLEM.arcs))
        ),
        "a street left out": lambda: without_arcs(lambda arc: arc.kind == "line" and arc.length_m == 4000.0),
    },
}
CASES = [(sentence, name) for sentence in ADMISSION for name in MUTANTS.get(sentence, {"no mutant": None})]


def failing(problem: Problem, region: Region, technologies: dict[str, Technology]) -> dict[str, str]:
    return {f.constraint: f.found for f in check_problem(problem, region, USECASES, technologies).findings if not f.holds}


def test_the_problem_of_the_valley_is_complete():
    assert failing(*case()) == {}
    assert check_problem(PROBLEM, REGION, USECASES, TECHNOLOGIES).holds


def test_the_need_of_a_school_lies_on_the_line_between_the_published_points():
    assert {(row.site, row.usecase): row.down_mbps for row in PROBLEM.demands} == {
        ("a", "class"): 30.0,
        ("a", "phone"): 2.0,
        ("b", "class"): 60.0,
        ("c", "phone"): 2.0,
    }


@pytest.mark.parametrize(("sentence", "name"), CASES)
def test_a_wrong_problem_is_rejected_for_its_own_reason(sentence, name):
    assert MUTANTS.get(sentence), f"{sentence} has no mutant: add one"
    assert list(failing(*MUTANTS[sentence][name]())) == [sentence]
