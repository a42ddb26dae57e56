"""The estimate: lines out of prices and the ledger, awaiting lines, the town's own values, quotes."""

from __future__ import annotations

from datetime import date

import pytest
from tests.finance.money_town import SEEN, rows, word

from kiban.base.errors import FinanceError
from kiban.finance.estimate import estimate, section_of
from kiban.finance.ledger import Ledger
from kiban.finance.price import price_technology
from kiban.records.design import Node, Problem
from kiban.records.funding import Answered, Inputs, Quote
from kiban.records.source import Confidence, Quantity, Source, Tax
from kiban.records.technology import Cost, Technology, Wiring

FORM = rows(
    ("works", None, {"category": "works"}, ("cable", "installation")),
    ("goods", None, {"category": "equipment"}, ("terminal",)),
    ("fees", None, {"category": "service"}, ("subscription",)),
    ("fees", None, {"category": "upkeep", "phase": "yearly"}, ("repair",)),
)


def evidence(value: float | None, unit: str, tax: Tax = Tax.excluded, year: int | None = 2025, **more) -> Quantity:
    if value is None:
        return Quantity(unit=unit, needs_source=True)
    return Quantity(unit=unit, value=value, tax=tax, year=year, source="page", confidence=Confidence.B, **more)


def radio() -> Technology:
    """A radio of two priced costs, and one that nobody prices."""
    return Technology(
        name=word("無線", "radio"),
        summary=word("無線", "radio"),
        layer="access",
        medium="ntn",
        wiring=Wiring(pattern="direct"),
        sources={"page": Source(title="価格表", seen_on=SEEN)},
        checked_on=SEEN,
        lifetime_years=Quantity(unit="years", value=2, low=1, high=3, source="page", confidence=Confidence.C),
        costs=(
            Cost(id="gear", name=word("機器", "gear"), phase="initial", per="site", scope=("terminal",), pick="median",
                 evidence=(evidence(1_000, "JPY/site"), evidence(3_000, "JPY/site", Tax.unknown, 2022), evidence(None, "JPY/site"))),
            Cost(id="fee", name=word("利用料", "fee"), phase="yearly", per="site", scope=("subscription",), evidence=(evidence(100, "JPY/site/year"),)),
            Cost(id="repair", name=word("保守", "repair"), phase="yearly", per="site", scope=("repair",), evidence=(evidence(None, "JPY/site/year"),),
                 optional=True),
            Cost(id="crane", name=word("重機", "crane"), phase="initial", per="device", scope=("crane",), evidence=(evidence(None, "JPY/device"),),
                 optional=True),
        ),
    )  # fmt: skip


def town(sites: float = 4.0):
    """The problem and ledger of a design with `sites` radios over three years."""
    technology = radio()
    ledger = Ledger()
    discount, tax = ledger.choice("rules/discount", 0.0, "1/year", "test"), ledger.choice("rules/tax", 0.1, "1", "test")
    priced = price_technology(technology, technology_id="radio", start=2027, horizon=3, discount=0.0, discount_figure=discount, tax_rate=0.1, tax_figure=tax)
    ledger.update(priced.figures)
    for price in priced.prices:
        ledger.choice(f"units/{price.id}", sites, price.per, "test")
    problem = Problem(region="r", start=2027, horizon=3, discount=0.0, prices=priced.prices, nodes=(Node(kind="root", ref="world"),), arcs=(), demands=())
    return problem, ledger.figures, {"radio": technology}


def lines(inputs: Inputs | None = None, excludes=(("radio", "repair"), ("radio", "crane")), sites: float = 4.0):
    problem, figures, technologies = town(sites)
    return {line.id: line for line in estimate(problem, figures, technologies, FORM, excludes=excludes, inputs=inputs)}


def test_a_price_becomes_a_line_with_its_schedule_section_and_source():
    gear = lines()["radio.gear"]
    assert (gear.section, gear.category, gear.quantity, gear.unit_yen, gear.basis) == ("goods", "equipment", 4.0, 2_000.0, "published")
    assert gear.yearly == (8_000.0, 0.0, 8_000.0)  # life of two years: bought again in the third
    assert (gear.basis_year, gear.source, gear.ref) == (2025, "価格表", "technologies/radio#gear/used")
    assert (gear.life, gear.life_low, gear.life_high) == (2.0, 1, 3)


def test_the_tax_state_is_unknown_as_soon_as_one_piece_of_evidence_is():
    assert lines()["radio.gear"].tax is Tax.unknown
    assert lines()["radio.fee"].tax is Tax.excluded


def test_the_factors_are_the_ends_of_the_evidence():
    gear, fee = lines()["radio.gear"], lines()["radio.fee"]
    assert (gear.low, gear.high) == (0.5, 1.5)  # 1,000 and 3,000 beside 2,000; tax inside 3,000 would still be above 1,000
    assert (fee.low, fee.high) == (1.0, 1.0)


def test_a_cost_without_a_price_awaits_one_for_the_quantity_of_its_siblings():
    repair = lines()["radio.repair"]
    assert (repair.basis, repair.unit_yen, repair.quantity, repair.yearly) == ("awaiting", None, 4.0, ())
    assert (repair.section, repair.category) == ("fees", "upkeep")


def test_a_cost_counted_in_another_unit_awaits_its_quantity_too():
    assert lines()["radio.crane"].quantity is None


def test_the_towns_own_price_and_quantity_win():
    found = lines(Inputs(prices={"radio.repair": 50.0, "radio.gear": 1_500.0}, quantities={"radio.gear": 2.0}))
    assert found["radio.repair"].yearly == (200.0, 200.0, 200.0)
    assert found["radio.gear"].yearly == (3_000.0, 0.0, 3_000.0)
    assert (found["radio.gear"].basis, found["radio.gear"].low, found["radio.gear"].high, found["radio.gear"].ref) == ("town", 1.0, 1.0, None)


def test_an_own_quantity_alone_keeps_the_published_price():
    gear = lines(Inputs(quantities={"radio.gear": 1.5}))["radio.gear"]
    assert (gear.basis, gear.yearly) == ("published", (3_000.0, 0.0, 3_000.0))


def test_an_awaiting_purchase_of_known_life_is_bought_again_once_it_has_a_price():
    crane = lines(Inputs(prices={"radio.crane": 10.0}, quantities={"radio.crane": 1.0}))["radio.crane"]
    assert crane.yearly == (10.0, 0.0, 10.0)


def quotes(*prices: float | None) -> tuple[Quote, ...]:
    return tuple(
        Quote(supplier=f"firm {index}", received=date(2026, 12, 1), file="a.xlsx", answers=(Answered(line="radio.gear", unit_yen=price),))
        for index, price in enumerate(prices)
    )


def test_quotes_replace_a_published_price_by_their_median_with_their_range():
    gear = lines(Inputs(quotes=quotes(1_000, 4_000, 2_500, None)))["radio.gear"]
    assert (gear.basis, gear.unit_yen, gear.quotes, gear.low, gear.high) == ("quotes", 2_500.0, 3, 0.4, 1.6)
    assert gear.yearly == (10_000.0, 0.0, 10_000.0)


def test_the_towns_own_price_wins_over_quotes():
    assert lines(Inputs(quotes=quotes(1_000), prices={"radio.gear": 7.0}))["radio.gear"].basis == "town"


def test_a_quote_of_nothing_costs_nothing():
    assert lines(Inputs(quotes=quotes(0.0)))["radio.gear"].yearly == (0.0, 0.0, 0.0)


def test_lines_come_in_the_order_of_their_ids_whatever_the_order_of_the_rows():
    problem, figures, technologies = town()
    turned = Problem(**{name: getattr(problem, name) for name in problem.__struct_fields__} | {"prices": problem.prices[::-1]})
    assert estimate(turned, figures, technologies, FORM) == estimate(problem, figures, technologies, FORM)
    assert list(lines()) == sorted(lines())


def test_a_price_that_the_design_does_not_use_has_no_line():
    problem, figures, technologies = town()
    assert estimate(problem, {id: one for id, one in figures.items() if not id.startswith("units/")}, technologies, FORM) == ()


def test_a_scope_that_no_section_knows_counts_as_goods_or_as_a_service():
    assert section_of(("moon",), "initial", FORM) == ("goods", "equipment")
    assert section_of(("moon",), "yearly", FORM) == ("fees", "service")


def test_a_list_without_categories_is_refused():
    with pytest.raises(FinanceError, match="budget-form"):
        section_of(("moon",), "initial", rows(("works", None, {}, ("cable",))))


def test_a_cost_that_the_data_files_lost_is_named():
    with pytest.raises(FinanceError, match="no cost 'moon'"):
        lines(excludes=(("radio", "moon"),))


def test_an_own_quantity_that_was_typed_for_another_design_is_told():
    own = Inputs(quantities={"radio.gear": 9.0}, replaced={"radio.gear": 4.0})
    for sites, stale in ((4.0, False), (5.0, True)):
        gear = lines(own, sites=sites)["radio.gear"]
        assert (gear.quantity, gear.designed, gear.stale) == (9.0, sites, stale)
