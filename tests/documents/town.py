"""A small town with everything that a map can show: a street line, existing plant, a drop off the street, a mast by hop, a satellite; names that hurt."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace
from tests.design import valley

from kiban.design import program, solve
from kiban.design.explain import site_results, why_each_site
from kiban.records.design import Design, Problem
from kiban.records.region import Junction, Place, Plant, Region, Site, Street
from kiban.records.source import Confidence, Quantity
from kiban.records.technology import Technology, Wiring
from kiban.records.usecase import Needs

HOSTILE = ("=cmd|' /C calc'!A0", 'O\'Neil "町"; DROP TABLE sites;--', "長い名前" * 2000, "<b>&amp;</b>\n改行", "+1+1@SUM(A1)")
USE = valley.usecase("talk", Needs(down_mbps=Quantity(unit="Mbps", value=10.0, source="drawn", confidence=Confidence.B)))
TECHNOLOGIES: dict[str, Technology] = {
    **valley.TECHNOLOGIES,
    "cable": valley.technology(Wiring(pattern="line", risk="road", network="fibre")),
    "old": valley.technology(Wiring(pattern="plant", risk="road", network="fibre")),
    "hop": valley.technology(Wiring(pattern="hop", risk="air"), reach_km=30.0),
}
PRICED = {
    **valley.PRICED,
    "leo": (valley.price("leo", "kit", "site", 9_000_000),),
    "cable": (valley.price("cable", "lay", "km", 200_000),),
    "fwa": (valley.price("fwa", "base", "facility", 2_000_000), valley.price("fwa", "cpe", "site", 10_000)),
    "hop": (valley.price("hop", "pair", "hop", 200_000),),
}


@dataclass(frozen=True)
class Town:
    """A region with its design."""

    region: Region
    problem: Problem
    design: Design


def region(names: tuple[str, ...] = HOSTILE, streets: bool = True) -> Region:
    """An exchange at j0, a street j0 – j1 – j2 with plant on its first part, three sites on it, one beyond the mountain, one far out."""
    where = ((37.02, 137.0), (37.04, 137.0005), (37.041, 137.002), (37.30, 137.31), (39.0, 139.0))
    sites = tuple(
        Site(id=f"s{index}", name=name, kind="shelter", lat=lat, lon=lon, evidence=valley.HERE)
        for index, (name, (lat, lon)) in enumerate(zip(names, where, strict=True))
    )
    places = (
        Place(id="ex", name=names[1], kind="exchange", lat=37.0, lon=137.0, evidence=valley.HERE),
        Place(id="hill", name=names[2], kind="tower", lat=37.20, lon=137.20, evidence=valley.HERE),
        Place(id="far", name="向こうの山", kind="tower", lat=37.31, lon=137.30, evidence=valley.HERE),
    )
    junctions = tuple(Junction(id=f"j{index}", lat=37.0 + 0.02 * index, lon=137.0) for index in range(3))
    drawn = (
        Street(id="a", a="j0", b="j1", length_m=2300.0, plant="p1", shape=((37.01, 137.001),)),
        Street(id="b", a="j2", b="j1", length_m=2200.0, shape=((37.03, 137.002),)),
    )
    plant = Plant(id="p1", name="公設'光\"", technology="old", evidence=valley.HERE, year_built=2001, owner="町; --")
    attach = {"ex": ("j0", 0.0), "s0": ("j1", 0.0), "s1": ("j2", 45.0), "s2": ("j2", 230.0)}
    return Region(
        id="town", name="町", lg_code="174637", sources=valley.SOURCES, sites=sites, places=places, junctions=junctions if streets else (),
        streets=drawn if streets else (), attach=attach if streets else {}, plants=(plant,) if streets else (), label="例示",
    )  # fmt: skip


def town(names: tuple[str, ...] = HOSTILE, *, streets: bool = True, wanted: tuple[str, ...] | None = None) -> Town:
    """The town with the cheapest design for the wanted sites (None: all)."""
    here = region(names, streets)
    prices = {**PRICED, "old": (replace(valley.price("old", "keep", "km", 100_000), id="old#keep@p1"),)}
    pairs = [(site.id, "talk") for site in here.sites if wanted is None or site.id in wanted]
    problem = program.build(here, pairs, {"talk": USE}, TECHNOLOGIES, prices, start=2027, horizon=15, discount=0.0)
    design = solve(problem, seed=0, work=20)
    return Town(here, problem, replace(design, sites=site_results(problem, why_each_site(problem, design))))
