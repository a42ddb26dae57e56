"""What one unit of each cost item of a technology comes to over the horizon, with the whole way from the evidence as figures.

In: a technology, the fiscal years, the discount rate and the rates of 消費税 with the ids of their figures, and for existing plant the plant.
Out: prices and figures. How many units a design needs, and which of them, is decided in design.program. Unknown stays unknown: a cost without
a usable figure is listed, and makes the technology unpriced unless it is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kiban.base.errors import FinanceError
from kiban.base.formula import recompute
from kiban.finance import present  # noqa: F401  registers the formulas
from kiban.records.design import Price
from kiban.records.plan import Figure
from kiban.records.region import Plant
from kiban.records.source import Confidence, Quantity, Tax, Text
from kiban.records.technology import Cost, Technology


@dataclass(frozen=True)
class Priced:
    """The prices of a technology, () when a cost that is not optional has no usable figure; missing: cost ids without one, optional ones too."""

    technology: str
    prices: tuple[Price, ...] = ()
    figures: dict[str, Figure] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    warnings: tuple[Text, ...] = ()


def price_technology(
    technology: Technology,
    *,
    technology_id: str,
    start: int,
    horizon: int,
    discount: float,
    discount_figure: str,
    tax_rate: float,
    tax_figure: str,
    tax_by_year: Mapping[int, tuple[float, str]] | None = None,
    foreign: bool = False,
    plant: Plant | None = None,
    start_figure: str | None = None,
    horizon_figure: str | None = None,
) -> Priced:
    """Price every cost item of a technology.

    Parameters
    ----------
    start, horizon   first fiscal year, number of fiscal years ≥ 1
    discount         1/year, 0.04 means 4 %; `discount_figure` is the id of its figure
    tax_rate         消費税 in force, 0.1 means 10 %; `tax_figure` its figure. A price with tax inside is divided by 1 + the rate of its own price
                     year where `tax_by_year` (fiscal year → rate, figure) knows it, else by the rate in force; which one was used is said
    foreign          also use figures from abroad
    plant            the existing plant, for a technology of pattern `plant`: yearly items from year 0, initial ones when its life is over
    start_figure, horizon_figure   ids of their figures if the plan has them; else they are entered here as choices

    Raises
    ------
    FinanceError  a horizon, rate or lifetime out of range, or a plant of another technology

    Pick: the only figure · the median · the latest year · a series by 年度, where the last known value is carried on.
    Range: least and greatest of the evidence and its own low and high; where the tax state is unknown the amount is used as it is, and the
    least assumes that tax is inside.

    >>> from datetime import date
    >>> from kiban.records.source import Source
    >>> from kiban.records.technology import Wiring
    >>> fee = Quantity(unit="JPY/site/year", value=1000, tax=Tax.excluded, source="page", confidence=Confidence.B)
    >>> word = Text(ja="衛星", en="satellite")
    >>> satellite = Technology(
    ...     name=word, summary=word, layer="access", medium="ntn", wiring=Wiring(pattern="direct"), checked_on=date(2026, 11, 23),
    ...     sources={"page": Source(title="A price list", seen_on=date(2026, 11, 23))},
    ...     costs=(Cost(id="fee", name=word, phase="yearly", per="site", scope=("service",), evidence=(fee,)),),
    ... )
    >>> priced = price_technology(
    ...     satellite, technology_id="satellite", start=2027, horizon=3, discount=0.25, discount_figure="rules/discount", tax_rate=0.1, tax_figure="rules/tax"
    ... )
    >>> priced.prices[0].id, priced.prices[0].npv, priced.missing
    ('satellite#fee', 2440.0, ())
    >>> priced.figures["prices/satellite#fee/npv"].formula
    'finance.npv_yearly'
    """
    if horizon < 1 or not 0 <= discount <= 0.3 or not 0 <= tax_rate < 1:
        raise FinanceError(
            technology_id, f"horizon {horizon}, discount {discount:g}, tax {tax_rate:g}", "horizon ≥ 1, 0 ≤ discount ≤ 0.3, 0 ≤ tax < 1", "correct the rule"
        )
    if plant is not None and (technology.wiring.pattern != "plant" or plant.technology != technology_id):
        raise FinanceError(
            f"plant {plant.id}", f"technology {plant.technology} priced as {technology_id}", "its own technology of pattern plant", "price that one"
        )
    book = _Book(technology, technology_id, start, horizon, foreign, plant)
    book.given(discount_figure, discount)
    for figure_id, rate in [(tax_figure, tax_rate), *((name, value) for value, name in (tax_by_year or {}).values())]:
        book.given(figure_id, rate)
    years = {
        "start": book.choice(start_figure, "choices/start", start, "年度"),
        "horizon": book.choice(horizon_figure, "choices/horizon", horizon, "years"),
        "discount": discount_figure,
        "tax": tax_figure,
    }
    rates = {year: name for year, (_, name) in (tax_by_year or {}).items()}
    prices = [price for cost in technology.costs if (price := _price(book, cost, years, rates)) is not None]
    needed = {cost.id for cost in technology.costs if not cost.optional}
    whole = bool(prices) and not needed & set(book.missing)
    return Priced(technology_id, tuple(prices) if whole else (), book.figures, tuple(book.missing), tuple(book.warnings))


@dataclass
class _Book:
    """Figures, what is missing and what is to be said, while one technology is priced."""

    technology: Technology
    id: str
    start: int
    horizon: int
    foreign: bool
    plant: Plant | None
    figures: dict[str, Figure] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    warnings: list[Text] = field(default_factory=list)

    def given(self, key: str, value: float) -> None:
        """A figure that the plan already has."""
        self.values[key] = value

    def choice(self, known: str | None, key: str, value: float, unit: str) -> str:
        """The id of a figure that the plan has, or of a choice entered here."""
        self.values[known or key] = value
        if known is None:
            self.figures[key] = Figure(value=value, unit=unit, kind="choice", ref=key)
        return known or key

    def leaf(self, key: str, ref: str, quantity: Quantity) -> str:
        """A figure of the data file; it must have a value."""
        assert quantity.value is not None
        self.values[key] = quantity.value
        self.figures[key] = Figure(
            value=quantity.value,
            unit=quantity.unit,
            kind="source",
            ref=f"technologies/{self.id}#{ref} {quantity.source}",
            low=quantity.low,
            high=quantity.high,
            confidence=quantity.confidence,
        )
        return key

    def formula(self, key: str, name: str, unit: str, inputs: list[str], low: float | None, high: float | None, confidence: Confidence | None) -> str:
        """A computed figure."""
        value = recompute(name, [self.values[item] for item in inputs])
        self.values[key] = value
        self.figures[key] = Figure(value=value, unit=unit, kind="formula", formula=name, inputs=tuple(inputs), low=low, high=high, confidence=confidence)
        return key

    def say(self, cost: Cost, ja: str, en: str) -> None:
        """One warning about a cost."""
        self.warnings.append(Text(ja=f"{self.technology.name.ja}・{cost.name.ja}: {ja}", en=f"{self.technology.name.en}, {cost.name.en}: {en}"))


@dataclass(frozen=True)
class _Net:
    """One usable figure without tax: its id, year, range and confidence."""

    key: str
    year: int | None
    low: float
    high: float
    confidence: Confidence


def _price(book: _Book, cost: Cost, given: Mapping[str, str], rates: Mapping[int, str]) -> Price | None:
    """The price of one cost, or None, and then it is listed as missing."""
    usable = [(index, quantity) for index, quantity in enumerate(cost.evidence) if quantity.value is not None and (book.foreign or not quantity.foreign)]
    abroad = sum(quantity.foreign and quantity.value is not None for quantity in cost.evidence)
    if abroad and not book.foreign:
        book.say(cost, f"海外の値 {abroad} 件は使っていない", f"{abroad} figure(s) from abroad not used")
    elif abroad:
        book.say(cost, f"海外の値 {abroad} 件を使った", f"{abroad} figure(s) from abroad used")
    life = _life(book, cost) if cost.phase == "initial" else None
    first = _first(book, cost, life, given["start"]) if cost.phase == "initial" else (0, None)
    if not usable or (cost.phase == "initial" and life is None) or first is None:
        book.missing.append(cost.id)
        return None
    nets = [_net(book, cost, index, quantity, given["tax"], rates) for index, quantity in usable]
    base = f"technologies/{book.id}#{cost.id}"
    suffix = f"@{book.plant.id}" if book.plant else ""
    unit = f"JPY/{cost.per}"
    year, first_figure = first
    if cost.phase == "initial":
        assert life is not None
        used = _used(book, cost, nets, [book.start + year])[0]
        tail = [life.key, first_figure, given["horizon"], given["discount"]] if first_figure else [life.key, given["horizon"], given["discount"]]
        name = "finance.npv_renewal" if first_figure else "finance.npv_initial"
        rest = [book.values[item] for item in tail]
        low, high = (recompute(name, [amount, *rest]) for amount in (used.low, used.high))
        confidence = max(used.confidence, life.confidence)
        key = book.formula(f"prices/{book.id}#{cost.id}{suffix}/npv", name, unit, [used.key, *tail], low, high, confidence)
        amounts: tuple[float, ...] = (book.values[used.key],)
    else:
        paid = _used(book, cost, nets, [book.start + t for t in range(book.horizon)])
        discount = book.values[given["discount"]]
        low, high = (recompute("finance.npv_yearly", [discount, *side]) for side in ([u.low for u in paid], [u.high for u in paid]))
        confidence = max(u.confidence for u in paid)
        key = book.formula(
            f"prices/{book.id}#{cost.id}{suffix}/npv", "finance.npv_yearly", unit, [given["discount"], *(u.key for u in paid)], low, high, confidence
        )
        amounts = tuple(book.values[u.key] for u in paid)
    return Price(
        id=base.removeprefix("technologies/") + suffix,
        technology=book.id,
        cost=cost.id,
        phase=cost.phase,
        per=cost.per,
        unit_yen=amounts,
        first=year,
        life=None if life is None else book.values[life.key],
        npv=book.values[key],
        low=low,
        high=high,
        confidence=confidence,
    )


def _life(book: _Book, cost: Cost) -> _Net | None:
    """The lifetime of what a cost buys: its own, else the technology's."""
    own = cost.lifetime_years
    quantity, place, ref = (
        (own, f"technologies/{book.id}#{cost.id}/lifetime_years", f"costs.{cost.id}.lifetime_years")
        if own is not None
        else (book.technology.lifetime_years, f"technologies/{book.id}#lifetime_years", "lifetime_years")
    )
    if quantity is None or quantity.value is None or (quantity.foreign and not book.foreign):
        book.say(cost, "耐用年数が不明のため、費用を出せない", "its lifetime is unknown, so it has no price")
        return None
    if quantity.value <= 0 or quantity.confidence is None:
        raise FinanceError(f"technologies/{book.id}#{ref}", f"{quantity.value:g} years", "a lifetime above 0 years", "correct the file")
    return _Net(book.leaf(place, ref, quantity), None, quantity.value, quantity.value, quantity.confidence)


def _first(book: _Book, cost: Cost, life: _Net | None, start_figure: str) -> tuple[int, str | None] | None:
    """The year of the horizon in which an initial item is first paid, with its figure; None when nobody knows how old the plant is."""
    if book.technology.wiring.pattern != "plant":
        return 0, None
    if book.plant is None or book.plant.year_built is None:
        book.say(cost, "設備の建設年が不明のため、更新の時期と費用を出せない", "nobody knows when the plant was built, so its renewal has no price")
        return None
    if life is None:
        return None
    evidence, key = book.plant.evidence, f"plants/{book.plant.id}#year_built"
    book.values[key] = book.plant.year_built
    kind, ref = ("assumed", f"plants/{book.plant.id}: {evidence.reason}") if evidence.assumed else ("source", f"plants/{book.plant.id} {evidence.source}")
    book.figures[key] = Figure(value=book.plant.year_built, unit="年", kind=kind, ref=ref, confidence=evidence.confidence)  # type: ignore[arg-type]
    name = f"prices/{book.id}#{cost.id}@{book.plant.id}/first"
    book.formula(name, "finance.renewal_year", "year of the horizon", [key, life.key, start_figure], None, None, max(evidence.confidence, life.confidence))
    return int(book.values[name]), name


def _net(book: _Book, cost: Cost, index: int, quantity: Quantity, tax: str, rates: Mapping[int, str]) -> _Net:
    """One piece of evidence without tax."""
    assert quantity.value is not None
    assert quantity.confidence is not None
    key = book.leaf(f"technologies/{book.id}#{cost.id}/{index}", f"costs.{cost.id}.evidence.{index}", quantity)
    year = quantity.fiscal_year if quantity.fiscal_year is not None else quantity.year
    low = quantity.value if quantity.low is None else quantity.low
    high = quantity.value if quantity.high is None else quantity.high
    if quantity.tax in (Tax.none, Tax.excluded):
        return _Net(key, year, low, high, quantity.confidence)
    known = year is not None and year in rates
    rate_figure = rates[year] if year is not None and known else tax
    rate = book.values[rate_figure]
    if quantity.tax is Tax.unknown:
        book.say(
            cost,
            f"税込か税抜か不明。そのまま使い、下限は税込（{rate:.0%}）とみなした額",
            f"tax state unknown: used as it is; the least assumes {rate:.0%} tax inside",
        )
        return _Net(key, year, recompute("finance.net_of_tax", [low, rate]), high, quantity.confidence)
    why = (
        (f"{year}年度の税率", f"the rate of {year}")
        if known
        else ("価格の年が不明または税率表にないため現行の税率", "the rate in force, as the price year or its rate is unknown")
    )
    book.say(cost, f"税込の値を {rate:.0%}（{why[0]}）で税抜にした", f"tax of {rate:.0%} taken out ({why[1]})")
    low, high = (recompute("finance.net_of_tax", [side, rate]) for side in (low, high))
    return _Net(
        book.formula(f"{key}/net", "finance.net_of_tax", quantity.unit, [key, rate_figure], low, high, quantity.confidence),
        year,
        low,
        high,
        quantity.confidence,
    )


def _used(book: _Book, cost: Cost, nets: list[_Net], years: list[int]) -> list[_Net]:
    """The figure used in each fiscal year, by the pick rule of the cost."""
    if cost.pick == "series":
        return _series(book, cost, nets, years)
    base = f"technologies/{book.id}#{cost.id}/used"
    low, high = min(net.low for net in nets), max(net.high for net in nets)
    if cost.pick == "median":
        name, chosen = "finance.median", nets
    else:
        name, chosen = "finance.as_given", [max(nets, key=lambda net: -1 if net.year is None else net.year)]
        if cost.pick == "latest" and chosen[0].year is None:
            book.say(cost, "どの値にも年がないため、最初の値を使った", "no figure has a year: the first is used")
    confidence = max(net.confidence for net in chosen)
    book.formula(base, name, cost.evidence[0].unit, [net.key for net in chosen], low, high, confidence)
    return [_Net(base, None, low, high, confidence)] * len(years)


def _series(book: _Book, cost: Cost, nets: list[_Net], years: list[int]) -> list[_Net]:
    """The value of each 年度; a year without one takes the last known before it, and years before the first take the first."""
    by_year = {net.year: net for net in nets if net.year is not None}
    known = sorted(by_year)
    absent = [year for year in years if year not in by_year]
    if absent:
        book.say(
            cost,
            f"{absent[0]}〜{absent[-1]}年度のうち {len(absent)} か年は値がなく、直近の年度の値を使った（系列は {known[0]}〜{known[-1]}年度）",
            f"{len(absent)} year(s) from {absent[0]} to {absent[-1]} have no value: the nearest earlier one is carried on (series {known[0]} to {known[-1]})",
        )
    return [by_year[max((known_year for known_year in known if known_year <= year), default=known[0])] for year in years]
