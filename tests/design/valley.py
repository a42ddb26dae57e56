"""The technologies and prices that the tests of the design engine share; every figure is made up and easy to add."""

from __future__ import annotations

from datetime import date
from typing import Any

from kiban.records.design import Price
from kiban.records.region import Evidence
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import Capability, Technology, Wiring
from kiban.records.usecase import Needs, UseCase

DAY = date(2026, 11, 23)
HERE = Evidence(source="drawn")
SOURCES = {"drawn": Source(title="made up for the test", seen_on=DAY)}


def technology(wiring: Wiring, **capability: float) -> Technology:
    """100 Mbps down, 50 up, 10 ms, 99.9 %, no hours of its own, unless said otherwise."""
    can = {"down_mbps": 100.0, "up_mbps": 50.0, "one_way_ms": 10.0, "availability": 0.999, "autonomy_h": 0.0, **capability}
    held = {name: Quantity(unit="1", value=value, source="drawn", confidence=Confidence.B) for name, value in can.items()}
    word = Text(ja="技術", en="technology")
    return Technology(name=word, summary=word, layer="access", medium="wired", wiring=wiring, sources=SOURCES, checked_on=DAY, capability=Capability(**held))


def price(technology: str, cost: str, per: Any, npv: float) -> Price:
    """A price of one unit, bought once and never again."""
    id = f"{technology}#{cost}"
    return Price(
        id=id, technology=technology, cost=cost, phase="initial", per=per, unit_yen=(npv,), life=15.0, npv=npv, low=npv, high=npv, confidence=Confidence.B
    )


def usecase(id: str, needs: Needs) -> UseCase:
    """A use case of shelters."""
    word = Text(ja=id, en=id)
    return UseCase(name=word, summary=word, field=word, words=(id,), sites=("shelter",), needs=needs, sources=SOURCES, checked_on=DAY)


TECHNOLOGIES = {
    "cable": technology(Wiring(pattern="line", risk="road", network="fibre")),
    "pon": technology(Wiring(pattern="drop", risk="road", network="fibre"), down_mbps=1000.0, up_mbps=500.0, one_way_ms=5.0, reach_km=20.0),
    "fwa": technology(Wiring(pattern="cell", risk="air", feeds=("fibre", "hop", "sky")), radius_km=6.0, one_way_ms=20.0),
    "leo": technology(Wiring(pattern="direct", risk="sky", backhaul=True), one_way_ms=30.0),
    "lte": technology(Wiring(pattern="direct", risk="air", needs_coverage=True), down_mbps=40.0, up_mbps=10.0, one_way_ms=25.0),
}
PRICED = {
    "cable": (price("cable", "lay", "km", 1_000_000),),
    "pon": (price("pon", "onu", "site", 50_000),),
    "fwa": (price("fwa", "base", "facility", 3_000_000), price("fwa", "cpe", "site", 100_000)),
    "leo": (price("leo", "kit", "site", 1_500_000),),
    "lte": (price("lte", "line", "site", 900_000),),
}
