"""Weak numbers at their ends, the design staying as it is: against the total computed again by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kiban.design.growth import since
from kiban.design.tornado import Swing, enter_swings, swings
from kiban.finance.ledger import Ledger, recompute_all
from kiban.records.design import Arc, Certificate, Design, Node, Price, Problem, Step
from kiban.records.source import Confidence


def price(id, npv, low, high, confidence):
    return Price(
        id=f"t#{id}",
        technology="t",
        cost=id,
        phase="initial",
        per="km",
        unit_yen=(npv,),
        life=9.0,
        npv=npv,
        low=low,
        high=high,
        confidence=Confidence(confidence),
    )


@pytest.fixture
def made():
    """2 km of cable (D, 80–150 per km), 2 km of pole (A), one box of confidence C without a range; the metres come from an assumed row."""
    prices = (price("cable", 100.0, 80.0, 150.0, "D"), price("pole", 10.0, 1.0, 100.0, "A"), price("box", 30.0, 30.0, 30.0, "C"))
    arcs = (
        Arc(tail=0, head=1, kind="line", technology="t", ref="s", length_m=2000.0, items=((0, 2.0), (1, 2.0)), cost=220),
        Arc(tail=1, head=2, kind="drop", technology="t", ref="s", length_m=0.0, items=((2, 1.0),), cost=30),
    )
    problem = Problem(
        region="r", start=2027, horizon=15, discount=0.04, prices=prices, nodes=tuple(Node(kind=k, ref="") for k in ("root", "junction", "terminal")),
        arcs=arcs, demands=(),
    )  # fmt: skip
    design = Design(problem="", arcs=(0, 1), served=(), steps=(), cost=250, bound=250, gap=0.0, status="proved", relaxed=(), certificate=Certificate(cuts=()))
    ledger = Ledger()
    for one in prices:
        ledger.source(f"prices/{one.id}/npv", one.npv, "JPY/km", "file", one.confidence)
    ledger.source("region/r#mast/lat", 2.0, "km", "assumed row", Confidence.D, assumed=True)
    ledger.source("rules/detour", 1.0, "1", "rule")
    km = ledger.formula("km", "design.product", "km", ["region/r#mast/lat", "rules/detour"])
    one = ledger.choice("one", 1, "units", "the optimiser")
    line = ledger.formula("line", "finance.products", "JPY", ["prices/t#cable/npv", km, "prices/t#pole/npv", km])
    drop = ledger.formula("drop", "finance.products", "JPY", ["prices/t#box/npv", one])
    ledger.formula("total/priced", "finance.sum", "JPY", [line, drop])
    for key in ("cable", "pole"):
        ledger.formula(f"units/t#{key}", "finance.sum", "km", [km])
    ledger.formula("units/t#box", "finance.sum", "units", [one])
    return ledger, problem, design


def test_the_widest_stands_first_and_what_has_no_range_shows_what_rests_on_it(made):
    ledger, problem, design = made
    rows = swings(ledger, problem, design, {"rules/detour": (1.0, 1.2)})
    assert [(row.kind, row.ref, row.low, row.high, row.rests) for row in rows] == [
        ("price", "t#cable", 250 - 2 * 20, 250 + 2 * 50, 200.0),
        ("number", "rules/detour", 250.0, 250 + 44.0, 220),
        ("row", "mast", None, None, 220),
        ("price", "t#box", None, None, 30.0),
    ]
    assert [row.width for row in rows] == [140.0, 44.0, 0.0, 0.0]


def test_a_number_at_its_end_gives_the_total_that_the_whole_ledger_gives(made):
    ledger, problem, design = made
    detour = next(row for row in swings(ledger, problem, design, {"rules/detour": (0.9, 1.2)}) if row.ref == "rules/detour")
    again = [recompute_all(ledger.figures, {"rules/detour": end}, {})["total/priced"] for end in (0.9, 1.2)]
    assert [detour.low, detour.high] == again


def test_the_rows_enter_the_ledger_as_figures_with_their_ends(made):
    ledger, problem, design = made
    row = enter_swings(ledger, swings(ledger, problem, design))[0]
    figure = ledger.figures[row["total"]]
    assert (figure.low, figure.value, figure.high, ledger.figures[row["rests"]].value) == (210.0, 250, 350.0, 200)
    assert Swing("row", "x", None, None, 5.0, ()).width == 0.0


def test_a_price_at_its_end_also_moves_the_units_that_growth_makes_necessary_later(made):
    ledger, problem, design = made
    cable = problem.prices[0]
    later = since(cable, 5, 15, 0.04)
    step = Step(
        technology="t", level="exchange", load="mbps", capacity=1.0, items=((0, 2.0),), cost=200, growth=(1.0,) * 15, later=(200, *[round(2 * later)] * 14)
    )
    problem, design = replace(problem, steps=(step,)), replace(design, grown=((0, 1, 5, 3),), cost=250 + 3 * round(2 * later))
    row = next(row for row in swings(ledger, problem, design) if row.ref == "t#cable")
    ends = [(2 + 3 * 2 * later / 100) * (end - 100) for end in (80, 150)]
    assert (row.low, row.high) == (250 + round(ends[0]), 250 + round(ends[1]))
    assert row.inputs[2:] == ("prices/t#cable/npv/since/5", "steps/0/1/grown/5/units/t#cable")
