"""Whether the service lives on when the support has ended (自走, 収支).

In: the two budgets, the lines of the estimate and the named facts. Out: a records.funding.Viability: revenue by year, the step when support ends,
the year that breaks even, the balance over the horizon in many draws, and which input moves it most. The balance counts no support: revenue less
the whole cost of the budget without support, less what outages cost. An input is drawn only where facts or evidence give its range; the others
stay as they are and are named. What is unknown is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import FinanceError
from kiban.base.money import to_yen
from kiban.finance.revenue import MONTHS, USER_FEE, number, steady_revenue, yearly_revenue
from kiban.records.funding import Budget, Line, Swing, Viability
from kiban.records.region import Fact
from kiban.records.source import Text

Array = NDArray[np.float64]
INPUTS = ("users", "price", "renewal", "outage")
TRACKS = ("private", "shared")


@dataclass(frozen=True)
class Spread:
    """A quantity with its least, likeliest and greatest value; all three equal where no range is known."""

    low: float
    mode: float
    high: float

    @property
    def open(self) -> bool:
        """Whether there is a range."""
        return self.low < self.high


def triangular(spread: Spread, position: Array) -> Array:
    """The value below which a share `position` of a triangular distribution lies.

    Parameters
    ----------
    position  (draws,)  shares from 0 to 1; 0 gives the low end, 1 the high end

    >>> triangular(Spread(0, 1, 2), np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 2.0]
    """
    low, mode, high = spread.low, spread.mode, spread.high
    if not spread.open:
        return np.full_like(position, mode)
    width, turn = high - low, (mode - low) / (high - low)
    left = low + np.sqrt(position * width * (mode - low))
    right = high - np.sqrt((1 - position) * width * (high - mode))
    return np.where(position < turn, left, right)


@dataclass(frozen=True)
class Service:
    """The service in numbers: everything that the balance needs.

    steady   JPY over the horizon that does not hang on users; fee: JPY over the horizon per user
    cost     JPY over the horizon as budgeted; lines: (JPY per purchase or in all, price factor, life or None, years left from the first purchase)
    outages  events over the horizon; outage_cost JPY each, None where unknown
    """

    steady: float
    fee: float
    users: Spread
    cost: float
    lines: tuple[tuple[float, Spread, Spread | None, float], ...]
    outages: Spread
    outage_cost: float
    ranges: Mapping[str, bool] = field(default_factory=dict)

    def cost_at(self, price: Array | None, renewal: Array | None) -> Array:
        """JPY over the horizon where all prices and all lives stand at such a position of their ranges; None: as budgeted."""
        shape = next((one for one in (price, renewal) if one is not None), np.zeros(1))
        spent, budgeted = np.zeros_like(shape), 0.0
        for amount, factor, life, left in self.lines:
            count = np.ones_like(shape)
            if life is not None:
                years = np.full_like(shape, life.mode) if renewal is None else triangular(life, renewal)
                count = np.ceil(left / years)
                budgeted += amount * float(np.ceil(left / life.mode))
            else:
                budgeted += amount
            spent = spent + amount * count * (1.0 if price is None else triangular(factor, price))
        # scaled to the budget, which has the tax and the months of the first year in it
        return self.cost * spent / budgeted if budgeted else np.full_like(shape, self.cost)

    def balance(self, at: Mapping[str, Array], count: int) -> Array:
        """Revenue less cost over the horizon, JPY, (count,); an input that `at` does not name stays as it is."""
        users = triangular(self.users, at["users"]) if "users" in at else np.full(count, self.users.mode)
        outages = triangular(self.outages, at["outage"]) if "outage" in at else np.full(count, self.outages.mode)
        cost = np.broadcast_to(self.cost_at(at.get("price"), at.get("renewal")), (count,))
        return self.steady + self.fee * users - cost - outages * self.outage_cost


def viability(
    adopted: Budget,
    refused: Budget,
    lines: Sequence[Line],
    facts: Mapping[str, Fact],
    seed: int = 0,
    draws: int = 2000,
    *,
    texts: Mapping[str, Mapping[str, str]] | None = None,
) -> Viability:
    """Judge whether a service earns its living.

    Parameters
    ----------
    adopted, refused  the budgets with and without support, JPY, tax included; revenue of the first year counts `running_months` of `refused`
    lines             the lines of the estimate: factors low and high of their prices, life in years with life_low and life_high where evidence gives them
    facts             named facts by id: revenue_*, users_now, users_low, users_high, failures_per_year, failures_low, failures_high, outage_cost, track,
                      fibre_upkeep, iru_income; those that are not there are unknown
    seed, draws       the same seed gives the same runs; draws ≥ 1
    texts             the words of each language, catalogue.words; without them the names are the ids

    Raises
    ------
    FinanceError  fewer than one draw, or users_low ≤ users_now ≤ users_high does not hold

    Each input is drawn by itself; within one input (all prices, all lives) everything moves together, so that the ends of its bar in the tornado
    are the ends of its range.
    """
    if draws < 1:
        raise FinanceError("viability, draws", str(draws), "1 or more", "ask for more draws")
    service, missing = _service(refused, lines, facts)
    revenue = _revenue(refused, facts)
    varied = tuple(name for name in INPUTS if service.ranges[name]) if revenue is not None else ()
    fixed = tuple(name for name in INPUTS if name not in varied)
    track = facts["track"].value if "track" in facts else None
    runs: tuple[int, int, int] | None = None
    share: float | None = None
    tornado: tuple[Swing, ...] = ()
    if revenue is not None:
        balance = service.balance(_positions(varied, seed, draws), draws)
        low, middle, high = (to_yen(float(end)) for end in np.quantile(balance, (0.1, 0.5, 0.9)))
        runs, share = (low, middle, high), float(np.mean(balance >= 0))
        tornado = _tornado(service, varied, texts)
    known = str(track) if track in TRACKS else "unknown"
    upkeep, income = number(facts, "fibre_upkeep"), number(facts, "iru_income")
    asked = [*missing, *(["track"] if known == "unknown" else [])]
    if (upkeep is None) != (income is None):
        asked.append("fibre_upkeep" if upkeep is None else "iru_income")
    return Viability(
        track=known,  # type: ignore[arg-type]  # one of the three words
        track_text=text_of(texts, f"viability.track.{known}", known),
        revenue=revenue,
        cliff=cliff(adopted),
        break_even=_break_even(refused, revenue, service),
        runs=runs,
        share_ends_positive=share,
        draws=draws if revenue is not None else 0,
        seed=seed,
        varied=varied,
        fixed=fixed,
        tornado=tornado,
        gap=None if upkeep is None or income is None else to_yen(upkeep - income),
        missing=tuple(dict.fromkeys(asked)),
    )


def cliff(adopted: Budget) -> int | None:
    """What the general fund pays in the first year without support less what it pays in the last year with it, JPY; None where no support ends."""
    general = next((row.years for row in adopted.sources if row.id == "general"), None)
    if adopted.end_year is None or general is None or adopted.end_year not in adopted.years[1:]:
        return None
    index = adopted.years.index(adopted.end_year)
    return general[index] - general[index - 1]


def text_of(texts: Mapping[str, Mapping[str, str]] | None, key: str, plain: str) -> Text:
    """The words of a key in both languages; without words, the plain id."""
    return Text(ja=texts["ja"][key], en=texts["en"][key]) if texts else Text(ja=plain, en=plain)


def _spread(facts: Mapping[str, Fact], now: str, low: str, high: str) -> Spread | None:
    """A fact with the facts of its ends; None where it is unknown, no range where an end is."""
    mode, least, most = (number(facts, id) for id in (now, low, high))
    if mode is None:
        return None
    if least is None or most is None:
        return Spread(mode, mode, mode)
    if not least <= mode <= most:
        raise FinanceError(f"facts {low}, {now}, {high}", f"{least:g}, {mode:g}, {most:g}", f"{low} ≤ {now} ≤ {high}", "correct the one that is wrong")
    return Spread(least, mode, most)


def _years(budget: Budget) -> float:
    """Years of running in the horizon; the first one counts its months."""
    return len(budget.years) - 1 + budget.running_months / MONTHS


def _service(budget: Budget, lines: Sequence[Line], facts: Mapping[str, Fact]) -> tuple[Service, list[str]]:
    """The service in numbers, and the facts that are missing."""
    years, missing = _years(budget), list(yearly_revenue(facts)[1])
    fee, users = number(facts, USER_FEE), _spread(facts, "users_now", "users_low", "users_high")
    counted = fee is not None and users is not None
    if counted and users is not None and not users.open:
        missing += [id for id in ("users_low", "users_high") if number(facts, id) is None]
    events, each = _spread(facts, "failures_per_year", "failures_low", "failures_high"), number(facts, "outage_cost")
    missing += [id for id, value in (("failures_per_year", events), ("outage_cost", each)) if value is None]
    events = events or Spread(0, 0, 0)
    priced = tuple(_priced(line) for line in lines if sum(line.yearly) > 0)
    service = Service(
        steady=sum(steady_revenue(facts).values()) * years,
        fee=(fee or 0.0) * MONTHS * years if counted else 0.0,
        users=users or Spread(0, 0, 0),
        cost=float(sum(budget.total)),
        lines=priced,
        outages=Spread(events.low * years, events.mode * years, events.high * years),
        outage_cost=each or 0.0,
        ranges={
            "users": counted and users is not None and users.open and bool(fee),
            "price": any(factor.open for _, factor, _, _ in priced),
            "renewal": any(life is not None and life.open for _, _, life, _ in priced),
            "outage": events.open and bool(each),
        },
    )
    return service, missing


def _priced(line: Line) -> tuple[float, Spread, Spread | None, float]:
    """A line as an amount, the factor of its price, and for a purchase its life and the years of the horizon from the first purchase on."""
    factor = Spread(line.low, 1.0, line.high)
    if line.phase == "yearly" or line.life is None:
        return sum(line.yearly), factor, None, 0.0
    first = next(index for index, amount in enumerate(line.yearly) if amount > 0)
    low, high = (line.life if end is None else end for end in (line.life_low, line.life_high))
    if not 0 < low <= line.life <= high:
        raise FinanceError(f"line {line.id}, life", f"{low:g}, {line.life:g}, {high:g} years", "0 < life_low ≤ life ≤ life_high", "correct the evidence")
    left = float(len(line.yearly) - first)
    return sum(line.yearly) / float(np.ceil(left / line.life)), factor, Spread(low, line.life, high), left


def _revenue(budget: Budget, facts: Mapping[str, Fact]) -> tuple[int, ...] | None:
    """Revenue of each year of the budget, JPY."""
    full, _ = yearly_revenue(facts)
    if full is None:
        return None
    return (to_yen(full * budget.running_months / MONTHS), *(to_yen(full) for _ in budget.years[1:]))


def _break_even(budget: Budget, revenue: tuple[int, ...] | None, service: Service) -> int | None:
    """The first year by whose end all revenue so far has paid all cost so far."""
    if revenue is None:
        return None
    outage = service.outages.mode * service.outage_cost / _years(budget) if service.outages.mode else 0.0
    months = np.array([budget.running_months / MONTHS] + [1.0] * (len(budget.years) - 1))
    balance = np.cumsum(np.array(revenue, dtype=np.float64) - np.array(budget.total) - outage * months)
    paid = np.flatnonzero(balance >= 0)
    return budget.years[int(paid[0])] if paid.size else None


def _positions(varied: Sequence[str], seed: int, draws: int) -> dict[str, Array]:
    """Positions in the range of each input: one per slice of equal share, in an order of chance, so that few draws already fill the range."""
    chance = np.random.default_rng(seed)
    return {name: (chance.permutation(draws) + chance.random(draws)) / draws for name in varied}


def _tornado(service: Service, varied: Sequence[str], texts: Mapping[str, Mapping[str, str]] | None) -> tuple[Swing, ...]:
    """The balance at both ends of each input, the widest bar first."""
    bars = []
    for name in varied:
        low, high = (to_yen(float(end)) for end in service.balance({name: np.array([0.0, 1.0])}, 2))
        bars.append(Swing(input=name, name=text_of(texts, f"viability.input.{name}", name), low=low, high=high))
    return tuple(sorted(bars, key=lambda bar: (-abs(bar.high - bar.low), bar.input)))
