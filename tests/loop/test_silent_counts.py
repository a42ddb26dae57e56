"""Needs that nobody gives a number for: what the ledger adds up is what the design pays, and the gap is told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.loop.test_ledger import NOW, catalogue, cost, quantity, tiny_region, tiny_technologies, usecase

from kiban.base.errors import DesignError, RecordError
from kiban.base.progress import never, silent
from kiban.design import figures
from kiban.finance.ledger import Ledger
from kiban.loop.design import design_step
from kiban.loop.given import Given
from kiban.records.usecase import Needs, Scaled

PER_PUPIL = Scaled(by="pupils", unit="Mbps", points=((1, 2), (100, 200)), source="sheet")
DEVICES = Scaled(by="pupils", unit="devices", points=((1, 1), (100, 100)), source="sheet")


def made(needs: Needs, pupils: int | None, **asked):
    """Fibre alone, a port for each 2 Mbps, 500 yen a device."""
    technologies = tiny_technologies(dish=2_500_000)
    drop = technologies["drop"]
    capability = replace(drop.capability, sites_per_facility=None, mbps_per_facility=quantity("Mbps", 2))
    technologies = {"cable": technologies["cable"], "drop": replace(drop, capability=capability, costs=(*drop.costs, cost("tablet", "device", 500)))}
    data = replace(catalogue(), technologies=technologies, usecases={"lessons": usecase("lessons", needs)})
    region = tiny_region()
    region = replace(region, sites=tuple(replace(site, pupils=pupils, devices=None) for site in region.sites))
    ledger = Ledger()
    given = Given(sentence="", region=region, catalogue=data, now=NOW, **asked)
    step = design_step(given, tuple((site.id, "lessons") for site in region.sites), ledger, silent, never)
    return step, ledger


@pytest.mark.parametrize("needs", [Needs(), Needs(down_mbps=PER_PUPIL), Needs(devices=DEVICES), Needs(down_mbps=PER_PUPIL, devices=DEVICES)])
@pytest.mark.parametrize("pupils", [None, 5])
@pytest.mark.parametrize("traffic", [None, "growth-20"])
def test_the_total_that_is_published_is_the_cost_of_the_design(needs, pupils, traffic):
    step, ledger = made(needs, pupils, traffic=traffic)
    assert step.report.holds
    assert ledger.figures["total/priced"].value == step.design.cost
    scaled = [name for name in ("down_mbps", "devices") if isinstance(getattr(needs, name), Scaled)]
    assert [(row["need"], row["by"], len(row["sites"])) for row in step.step.body["untested"]] == (
        [] if pupils else [(name, "pupils", 6) for name in sorted(scaled)]
    )


def test_a_total_that_is_not_what_the_design_costs_is_never_published(monkeypatch):
    monkeypatch.setattr(figures.Sheet, "grown", lambda *_: [])
    with pytest.raises(DesignError, match="from its items"):
        made(Needs(down_mbps=PER_PUPIL), 5, traffic="growth-20")


@pytest.mark.parametrize("row", ["nobody", "s1"])
def test_a_row_that_is_attached_but_not_there_is_refused_by_name(row):
    region = tiny_region()
    with pytest.raises(RecordError, match=f"attach {row}"):
        replace(region, attach=region.attach | {row: ("j0" if row == "nobody" else "nowhere", 1.0)})
