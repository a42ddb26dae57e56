"""Regions of any size for the benches and tests of the design engine, drawn from a seed; every price is made up and hand-readable.

`draw(sites, junctions, seed)` returns what `kiban.design.program.build` takes.
"""

from __future__ import annotations

import math
import random
from datetime import date
from typing import Any

from kiban.records.design import Price
from kiban.records.region import Evidence, Junction, Place, Region, Site, Street
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Technology, Wiring
from kiban.records.usecase import Needs, UseCase

HERE = Evidence(source="drawn")
SOURCES = {"drawn": Source(title="drawn at random", seen_on=date(2026, 11, 23))}


def quantity(value: float, unit: str = "1") -> Quantity:
    """A figure."""
    return Quantity(unit=unit, value=value, source="drawn", confidence=Confidence.B)


def text(word: str) -> Text:
    """A name."""
    return Text(ja=word, en=word)


def technology(wiring: Wiring, **capability: float) -> Technology:
    """A technology with the usual capabilities, some of them replaced."""
    can = {"down_mbps": 100.0, "up_mbps": 50.0, "one_way_ms": 10.0, "availability": 0.999, "autonomy_h": 0.0, **capability}
    return Technology(
        name=text("t"), summary=text("t"), layer="access", medium="wired", wiring=wiring, sources=SOURCES, checked_on=date(2026, 11, 23),
        capability=Capability(**{name: quantity(value) for name, value in can.items()}),
    )  # fmt: skip


def price(technology: str, cost: str, per: Any, npv: float) -> Price:
    """A price per unit."""
    return Price(
        id=f"{technology}#{cost}", technology=technology, cost=cost, phase="yearly", per=per, unit_yen=(npv / 15,) * 15, npv=npv, low=npv, high=npv,
        confidence=Confidence.B,
    )  # fmt: skip


TECHNOLOGIES = {
    "cable": technology(Wiring(pattern="line", risk="road", network="fibre")),
    "pon": technology(Wiring(pattern="drop", risk="road", network="fibre"), down_mbps=1000, up_mbps=500, one_way_ms=5, sites_per_facility=32, reach_km=20),
    "fwa": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "hop", "sky")), radius_km=3, one_way_ms=20, sites_per_facility=20),
    "lpwa": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "hop", "sky")), radius_km=6, down_mbps=0.01, up_mbps=0.01, one_way_ms=2000, iot=1),
    "hop": technology(Wiring(pattern="hop", risk="air"), reach_km=12),
    "leo": technology(Wiring(pattern="direct", risk="sky", backhaul=True), one_way_ms=30),
    "lte": technology(Wiring(pattern="direct", risk="air", needs_coverage=True), down_mbps=40, up_mbps=10, one_way_ms=25),
}
PRICED = {
    "cable": (price("cable", "lay", "km", 2_400_000), price("cable", "poles", "km", 310_000)),
    "pon": (price("pon", "onu", "site", 420_000), price("pon", "port", "facility", 900_000)),
    "fwa": (price("fwa", "base", "facility", 6_500_000), price("fwa", "cpe", "site", 350_000)),
    "lpwa": (price("lpwa", "gateway", "facility", 800_000), price("lpwa", "sensor", "device", 45_000), price("lpwa", "server", "system", 1_900_000)),
    "hop": (price("hop", "pair", "hop", 3_100_000),),
    "leo": (price("leo", "kit", "site", 2_700_000),),
    "lte": (price("lte", "line", "site", 1_450_000),),
}
USECASES = {
    name: UseCase(
        name=text(name), summary=text(name), field=text("防災"), words=(name,), sites=("shelter",), needs=needs, sources=SOURCES, checked_on=date(2026, 11, 23)
    )
    for name, needs in {
        "calls": Needs(down_mbps=quantity(10, "Mbps"), up_mbps=quantity(2, "Mbps"), backup=quantity(1)),
        "video": Needs(down_mbps=quantity(35, "Mbps"), one_way_ms=quantity(100, "ms")),
        "gauge": Needs(iot=quantity(1), devices=quantity(4)),
    }.items()
}


def draw(
    sites: int, junctions: int, seed: int = 0
) -> tuple[Region, list[tuple[str, str]], dict[str, UseCase], dict[str, Technology], dict[str, tuple[Price, ...]]]:
    """A hilly region: a thinned grid of streets about 150 m apart, exchanges, towers, and sites in hamlets."""
    random_ = random.Random(seed)
    wide = max(2, round(math.sqrt(junctions)))
    step = 150.0 if junctions > 400 else 900.0
    lat0, lon0, north, east = 37.2, 136.9, step / 111_000, step / 88_500

    points = [(row, column) for row in range(wide) for column in range(wide)]
    spot = {p: (lat0 + (p[0] + random_.uniform(-0.3, 0.3)) * north, lon0 + (p[1] + random_.uniform(-0.3, 0.3)) * east) for p in points}
    name = {p: f"j{p[0]:03d}-{p[1]:03d}" for p in points}
    streets = []
    for row, column in points:
        for other in ((row + 1, column), (row, column + 1)):
            if other in spot and (random_.random() < 0.8 or row == 0 or column == 0):
                metres = math.dist(((row, column)), other) * step * random_.uniform(1.0, 1.6)
                streets.append(Street(id=f"s{len(streets):06d}", a=name[row, column], b=name[other], length_m=round(metres, 1)))
    attach: dict[str, tuple[str, float]] = {}
    places = []
    for index in range(max(2, sites // 8)):
        where = random_.choice(points)
        kind = "exchange" if index < max(1, sites // 60) else "tower"
        places.append(Place(id=f"p{index:03d}", name="p", kind=kind, lat=spot[where][0], lon=spot[where][1], evidence=HERE))  # type: ignore[arg-type]
        attach[f"p{index:03d}"] = (name[where], round(random_.uniform(0, 60), 1))
    rows = []
    hamlets = [random_.choice(points) for _ in range(max(2, sites // 6))]
    for index in range(sites):
        row, column = random_.choice(hamlets)
        reach = max(1, wide // 25)
        where = (min(wide - 1, max(0, row + random_.randint(-reach, reach))), min(wide - 1, max(0, column + random_.randint(-reach, reach))))
        rows.append(
            Site(
                id=f"h{index:04d}", name="h", kind="shelter", lat=spot[where][0], lon=spot[where][1], evidence=HERE,
                critical=random_.random() < 0.3, covered={"lte": random_.random() < 0.6},
            )
        )  # fmt: skip
        attach[f"h{index:04d}"] = (name[where], round(random_.uniform(3, 80), 1))
    region = Region(
        id=f"drawn-{sites}-{junctions}-{seed}", name="谷", lg_code=None, sources=SOURCES, sites=tuple(rows), places=tuple(places),
        junctions=tuple(Junction(id=name[p], lat=spot[p][0], lon=spot[p][1]) for p in points), streets=tuple(streets), attach=attach,
    )  # fmt: skip
    wanted = [(site.id, usecase) for site in rows for usecase in USECASES if random_.random() < {"calls": 0.9, "video": 0.5, "gauge": 0.3}[usecase]]
    return region, wanted, USECASES, TECHNOLOGIES, PRICED
