"""Prices: the figure used, the tax taken out, the present value, and the way back to the leaves."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import FinanceError
from kiban.base.formula import recompute
from kiban.finance import Priced, arc_cost, first_years, price_technology, spending
from kiban.records.region import Evidence, Plant
from kiban.records.source import Confidence, Quantity, Source, Tax, Text
from kiban.records.technology import Cost, Technology, Wiring

SEEN = date(2026, 11, 23)
NAME = Text(ja="試験用の無線", en="a radio for tests")


def quantity(value: float | None, unit: str, **more) -> Quantity:
    if value is None:
        return Quantity(unit=unit, needs_source=True, **more)
    return Quantity(unit=unit, value=value, source="page", confidence=more.pop("confidence", Confidence.B), **more)


def technology(*costs: Cost, life: float | None = 10, pattern: str = "direct", network: str | None = None) -> Technology:
    return Technology(
        name=NAME,
        summary=NAME,
        layer="access",
        medium="wireless",
        wiring=Wiring(pattern=pattern, network=network),
        sources={"page": Source(title="A page", seen_on=SEEN)},
        checked_on=SEEN,
        costs=costs,
        lifetime_years=None if life is None else quantity(life, "years"),
    )


def cost(id: str, *values: float | Quantity | None, phase: str = "yearly", per: str = "site", pick: str = "only", **more) -> Cost:
    unit = f"JPY/{per}" + ("/year" if phase == "yearly" else "")
    evidence = tuple(value if isinstance(value, Quantity) else quantity(value, unit) for value in values)
    return Cost(id=id, name=NAME, phase=phase, per=per, scope=(id,), evidence=evidence, pick=pick, **more)


def price(tech: Technology, **more) -> Priced:
    options = {
        "technology_id": "radio",
        "start": 2026,
        "horizon": 15,
        "discount": 0.04,
        "discount_figure": "rules/discount",
        "tax_rate": 0.1,
        "tax_figure": "rules/tax",
    }
    return price_technology(tech, **{**options, **more})


GIVEN = {"rules/discount": 0.04, "rules/tax": 0.1, "rules/tax@2018": 0.08}


def recomputed(priced: Priced, **other: float) -> dict[str, float]:
    """Every formula figure computed again from the values of its inputs."""
    value = {**GIVEN, **other, **{key: figure.value for key, figure in priced.figures.items()}}
    return {key: recompute(figure.formula, [value[item] for item in figure.inputs]) for key, figure in priced.figures.items() if figure.kind == "formula"}


def test_a_yearly_item_is_paid_in_every_year_of_the_horizon():
    priced = price(technology(cost("fee", 1000)), horizon=3, discount=0.25)
    assert priced.prices[0].npv == 1000 + 800 + 640
    assert priced.prices[0].unit_yen == (1000, 1000, 1000)


def test_an_initial_item_is_bought_again_and_its_unused_share_is_taken_off():
    bought = price(technology(cost("gear", 1000, phase="initial"), life=10), horizon=15, discount=0.0).prices[0]
    assert (bought.npv, bought.life, bought.first) == (1500, 10, 0)
    assert spending(bought, 15) == [1000] + [0] * 9 + [1000] + [0] * 4


def test_the_residual_is_discounted_from_the_end_of_the_horizon():
    bought = price(technology(cost("gear", 1000, phase="initial"), life=4), horizon=3, discount=0.25).prices[0]
    assert bought.npv == pytest.approx(1000 - 250 * 0.8**3)


def test_the_median_of_two_is_their_mean_and_the_range_is_the_evidence():
    both = price(technology(cost("fee", 1000, quantity(1400, "JPY/site/year", low=900, high=2000), pick="median")), horizon=1).prices[0]
    assert (both.npv, both.low, both.high) == (1200, 900, 2000)


def test_the_latest_year_is_used():
    fees = (quantity(1000, "JPY/site/year", year=2020), quantity(700, "JPY/site/year", year=2024), quantity(900, "JPY/site/year"))
    assert price(technology(cost("fee", *fees, pick="latest"))).prices[0].unit_yen == (700.0,) * 15


def test_a_series_is_carried_on_from_its_last_year_and_says_so():
    fees = (quantity(100, "JPY/site/year", fiscal_year=2025), quantity(80, "JPY/site/year", fiscal_year=2027))
    priced = price(technology(cost("fee", *fees, pick="series")), horizon=4)
    assert priced.prices[0].unit_yen == (100, 80, 80, 80)
    assert "2026" in priced.warnings[0].ja
    assert "carried on" in priced.warnings[0].en


def test_a_series_that_begins_later_uses_its_first_value_until_then():
    fees = (quantity(100, "JPY/site/year", fiscal_year=2028), quantity(80, "JPY/site/year", fiscal_year=2029))
    assert price(technology(cost("fee", *fees, pick="series")), horizon=5).prices[0].unit_yen == (100, 100, 100, 80, 80)


def test_tax_is_taken_out_at_the_rate_of_the_price_year_where_it_is_known():
    old = cost("fee", quantity(1080, "JPY/site/year", tax=Tax.included, year=2018))
    assert price(technology(old), tax_by_year={2018: (0.08, "rules/tax@2018")}).prices[0].unit_yen[0] == pytest.approx(1000)
    assert price(technology(old)).prices[0].unit_yen[0] == pytest.approx(1080 / 1.1)


def test_an_unknown_tax_state_is_used_as_it_is_said_and_widens_the_range_downwards():
    priced = price(technology(cost("fee", quantity(1100, "JPY/site/year", tax=Tax.unknown))), horizon=1)
    assert (priced.prices[0].npv, priced.prices[0].high) == (1100, 1100)
    assert priced.prices[0].low == pytest.approx(1000)
    assert "不明" in priced.warnings[0].ja


def test_a_figure_from_abroad_needs_to_be_asked_for():
    abroad = technology(cost("fee", quantity(1000, "JPY/site/year", foreign=True)))
    assert (price(abroad).prices, price(abroad).missing) == ((), ("fee",))
    assert price(abroad, foreign=True).prices[0].unit_yen[0] == 1000


def test_one_unknown_cost_makes_the_technology_unpriced_unless_it_is_optional():
    assert price(technology(cost("fee", 1000), cost("mast", None, phase="initial"))).prices == ()
    partly = price(technology(cost("fee", 1000), cost("mast", None, phase="initial", optional=True)))
    assert ([p.id for p in partly.prices], partly.missing) == (["radio#fee"], ("mast",))


def test_a_purchase_without_a_lifetime_has_no_price():
    priced = price(technology(cost("gear", 1000, phase="initial"), life=None))
    assert (priced.prices, priced.missing) == ((), ("gear",))
    assert "耐用年数" in priced.warnings[0].ja


def plant(year: int | None) -> Plant:
    return Plant(id="north", name="北線", technology="radio", evidence=Evidence(assumed=True, reason="no record", confirm="the town"), year_built=year)


OLD_LINE = technology(cost("upkeep", 100, per="km"), cost("renewal", 1000, phase="initial", per="km"), life=20, pattern="plant", network="fibre")


@pytest.mark.parametrize(("built", "first"), [(2010, 4), (1990, 0), (2026, 20)])
def test_plant_is_renewed_when_its_life_is_over_and_at_once_when_it_was_over_before(built, first):
    priced = price(OLD_LINE, plant=plant(built), discount=0.0)
    upkeep, renewal = priced.prices
    assert (upkeep.id, upkeep.npv) == ("radio#upkeep@north", 1500)
    years_used = max(0, 15 - first)
    assert (renewal.id, renewal.first) == ("radio#renewal@north", first)
    assert renewal.npv == pytest.approx(1000 * years_used / 20)
    again = recomputed(priced, **{"rules/discount": 0.0})
    assert again == {key: priced.figures[key].value for key in again}


def test_plant_of_unknown_age_has_no_price():
    assert price(OLD_LINE, plant=plant(None)).missing == ("renewal",)
    assert price(OLD_LINE, plant=plant(None)).prices == ()


def test_plant_of_another_technology_is_refused():
    with pytest.raises(FinanceError, match="fibre-line"):
        price(OLD_LINE, technology_id="fibre-line", plant=plant(2010))


def test_every_formula_gives_exactly_the_same_number_again_and_leads_to_the_leaves():
    fees = (quantity(110, "JPY/site/year", fiscal_year=2025, tax=Tax.included), quantity(80, "JPY/site/year", fiscal_year=2027, tax=Tax.unknown))
    priced = price(
        technology(
            cost("fee", *fees, pick="series"),
            cost("gear", 333, quantity(777, "JPY/site", tax=Tax.included), quantity(1000, "JPY/site"), phase="initial", pick="median"),
            life=7,
        )
    )
    assert recomputed(priced) == {key: priced.figures[key].value for key in recomputed(priced)}
    for item in priced.prices:
        figure = priced.figures[f"prices/{item.id}/npv"]
        assert (figure.value, figure.low, figure.high) == (item.npv, item.low, item.high)
    for figure in priced.figures.values():
        assert all(item in priced.figures or item in GIVEN for item in figure.inputs)
    assert priced.figures["technologies/radio#gear/1"].ref == "technologies/radio#costs.gear.evidence.1 page"


@given(
    amount=st.integers(0, 10**9),
    life=st.integers(1, 40),
    horizon=st.integers(1, 30),
    rate=st.sampled_from([0.0, 0.02, 0.04, 0.1]),
)
def test_the_present_value_agrees_with_exact_fractions(amount, life, horizon, rate):
    factor = 1 / (1 + Fraction(rate))
    exact, year = Fraction(0), 0
    while year < horizon:
        exact += amount * factor**year
        year += life
    exact -= amount * Fraction(year - horizon, life) * factor**horizon
    priced = price(technology(cost("gear", amount, phase="initial"), life=life), horizon=horizon, discount=rate)
    assert priced.prices[0].npv == pytest.approx(float(exact), rel=1e-11, abs=1e-6)


def test_cash_of_the_first_years_leaves_residuals_and_discounting_out():
    priced = price(technology(cost("fee", 1200), cost("gear", 30_000, phase="initial"), life=4))
    fee, gear = priced.prices
    assert first_years([(fee, 2.0), (gear, 1.0)], 5, 0.1) == (2 * 5 * 1200 + 2 * 30_000, 79_200)
    assert arc_cost([(fee, 2.0), (gear, 1.0)]) == round(2 * fee.npv + gear.npv)


def test_a_price_cannot_be_spent_beyond_its_years():
    with pytest.raises(FinanceError, match="15 years"):
        spending(price(technology(cost("fee", 1200))).prices[0], 16)


@pytest.mark.parametrize("bad", [{"horizon": 0}, {"discount": -0.01}, {"discount": 0.5}, {"tax_rate": 1.0}])
def test_rates_out_of_range_are_refused(bad):
    with pytest.raises(FinanceError):
        price(technology(cost("fee", 1)), **bad)
