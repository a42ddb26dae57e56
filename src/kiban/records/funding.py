"""Money of a plan as an office needs it: lines of the estimate, the budget by year, who pays, contracts, calendar, what stays unknown.

All amounts are whole yen. A budget is nominal cash with consumption tax inside, by fiscal year, not discounted; the net present value of the
design is another thing and stands in the plan's ledger. `None` is unknown, and what is built on it is None too.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range, check_unique
from kiban.records.source import Confidence, Tax, Text
from kiban.records.support import Category, Column, SupportAnswer

COLUMNS: tuple[Column, ...] = ("national", "prefecture", "bond", "other")  # of a budget, beside the general fund

COMPONENT = "component"  # stands in the place of a technology on a line for a part of the standard model

Basis = Literal["published", "quotes", "town", "awaiting"]  # published result of another body · n quotes · the town's own unit price · no price yet


class Line(Record, frozen=True, kw_only=True):
    """One line of the estimate; its id is the same in every paper and in every answer of a supplier.

    id         "<technology>.<cost>", for plant "<technology>.<cost>.<plant>"
    section    section of the budget (id of an entry of rules/budget-form); category: what a support may count
    quantity   units of `per`; None: not counted (an awaiting line without one)
    unit_yen   yen per unit and purchase (initial) or per unit and year (yearly, first year), tax excluded; None: awaiting
    yearly     units × price by fiscal year of the horizon, tax excluded, exact (not rounded), a full year of running cost each
    low, high  the same sum over the horizon at the least and greatest evidence, divided by the sum: factors, 1 where no range is known
    life_low, life_high  the shortest and longest life that evidence gives, years; None: no range is known
    tax        tax state of the evidence; of `unknown` the price is taken as excluding tax, and the low factor assumes it inside
    ref        figure of the plan's ledger that the price comes from; quotes: how many answers stand behind a price of basis quotes
    """

    id: str
    technology: str
    cost: str
    name: Text
    phase: Literal["initial", "yearly"]
    per: str
    section: str
    category: Category
    quantity: float | None
    unit_yen: float | None
    life: float | None = None
    life_low: float | None = None
    life_high: float | None = None
    yearly: tuple[float, ...] = ()
    low: float = 1.0
    high: float = 1.0
    tax: Tax
    basis: Basis
    basis_year: int | None = None
    quotes: int = 0
    designed: float | None = None  # the design's quantity, where the town's own stands in its place
    stale: bool = False  # and that one was typed for another design
    confidence: Confidence | None = None
    ref: str | None = None
    source: str | None = None  # title of the source, for the column 根拠

    def __post_init__(self) -> None:
        check_range(f"line {self.id}, quantity", self.quantity, 0)
        check_range(f"line {self.id}, unit_yen", self.unit_yen, 0)
        if (self.basis == "awaiting") != (self.unit_yen is None):
            raise RecordError(f"line {self.id}", f"basis {self.basis}, unit price {self.unit_yen}", "no price exactly when awaiting", "correct it")
        if not 0 <= self.low <= 1 <= self.high:
            raise RecordError(f"line {self.id}", f"low {self.low}, high {self.high}", "low ≤ 1 ≤ high", "correct it")


class Row(Record, frozen=True, kw_only=True):
    """Amounts by fiscal year under one heading: a section, a source of money, a support, a bond."""

    id: str
    years: tuple[int, ...]
    support: str | None = None


class Debt(Record, frozen=True, kw_only=True):
    """One bond: raised in `year`, paid back in the years from `first` on. interest None: no rate is known. memo: what the tax grant counts in theory.

    principal () while nobody knows the years of redemption. life: years that what was bought lasts, where the redemption was cut to it.
    unit: yen to which the bond was rounded down; None: no rule gives it, and it was rounded down to the yen.
    """

    support: str
    year: int
    amount: int
    first: int
    principal: tuple[int, ...]
    interest: tuple[int, ...] | None = None
    memo: tuple[int, ...] | None = None
    life: float | None = None
    unit: int | None = None


class Budget(Record, frozen=True, kw_only=True):
    """One budget table over the horizon: cost by section, and sources that add up to it in every year.

    case       adopted: with the supports named in `supports`, as far as their texts go · refused: 不採択の場合, without them
    past       supports whose text is of an earlier year than `years[0]`: an example, never a promise
    sections   rows by section, tax included; total: their sum; sources: national, prefecture, bond, other, general, in this order
    thousand_* the same in thousand yen as a form prints it: costs rounded up, money from outside rounded down, the general fund is the rest
    debt       redemption, a table of its own, never inside total
    low, high  the total at the least and greatest evidence
    months     the first year by month from April: (12,) yen each, tax included; running_months: months of running cost in it
    net        total - other sources than general - nothing else: what the town pays in cash each year (general + redemption)
    payer_after  general: the town pays all once the supports end · other: income pays a part · unknown; end_year: first year without support
    """

    case: Literal["adopted", "refused"]
    years: tuple[int, ...]
    supports: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    sections: tuple[Row, ...]
    total: tuple[int, ...]
    sources: tuple[Row, ...]
    thousand_sections: tuple[Row, ...]
    thousand_total: tuple[int, ...]
    thousand_sources: tuple[Row, ...]
    debt: tuple[Debt, ...] = ()
    low: tuple[int, ...]
    high: tuple[int, ...]
    months: tuple[int, ...]
    running_months: int
    renewals: tuple[int, ...] = ()  # fiscal years in which something is bought again
    cash: tuple[int, ...]
    payer_after: Literal["general", "other", "unknown"]
    end_year: int | None = None

    def __post_init__(self) -> None:
        where, count = f"budget {self.case}", len(self.years)
        rows = (*self.sections, *self.sources, *self.thousand_sections, *self.thousand_sources)
        lengths = [len(row.years) for row in rows] + [len(part) for part in (self.total, self.thousand_total, self.low, self.high, self.cash)]
        if any(length != count for length in lengths):
            raise RecordError(where, f"rows of {sorted(set(lengths))} years", f"{count} years each", "report this")
        for unit, parts, total in (
            ("yen", (self.sections, self.sources), self.total),
            ("thousand yen", (self.thousand_sections, self.thousand_sources), self.thousand_total),
        ):
            for part in parts:
                check_unique(f"{where}, {unit}", (row.id for row in part))
                for year in range(count):
                    found = sum(row.years[year] for row in part)
                    if found != total[year]:
                        raise RecordError(f"{where}, FY{self.years[year]}, {unit}", f"parts add up to {found}", f"the total {total[year]}", "report this")
        if any(row.id not in (*COLUMNS, "general") for row in (*self.sources, *self.thousand_sources)):
            raise RecordError(where, f"sources {[row.id for row in self.sources]}", "columns of a budget only", "a memo is no source")
        if any(amount < 0 for row in rows for amount in row.years):
            raise RecordError(where, "an amount below 0", "amounts from 0 on", "report this")
        if len(self.months) != 12 or sum(self.months) != self.total[0]:
            raise RecordError(where, f"{len(self.months)} months, {sum(self.months)}", f"12 months that add up to {self.total[0]}", "report this")


class Way(Record, frozen=True, kw_only=True):
    """One way to get the same thing: buy it, lease it, or take it as a service. years: yen by year, tax included; None: awaiting, `needs` tells for what."""

    id: Literal["purchase", "lease", "service"]
    years: tuple[int, ...] | None
    bondable: Literal["yes", "no", "ask"]
    restricted: Literal["yes", "no", "ask"]  # disposal of subsidised property
    renewal: Text
    removal: Text
    needs: tuple[str, ...] = ()  # facts or lines that are missing
    note: Text | None = None


class Contract(Record, frozen=True, kw_only=True):
    """How one part is to be contracted.

    method    negotiated: below the threshold of small contracts · tender: above it · ask: the town's own rules or the amount are unknown
    assembly  yes: a decision of the assembly is needed · no · ask
    term      single: one fiscal year · longterm: 長期継続契約 · commitment: 債務負担行為 · continuing: 継続費, with the text to be put down
    warnings  such as the same thing split into parts below the threshold
    amount    tax included; None: unknown
    """

    id: str
    lines: tuple[str, ...]
    section: str
    amount: int | None
    method: Literal["negotiated", "tender", "ask"]
    method_text: Text
    assembly: Literal["yes", "no", "ask"]
    assembly_text: Text
    term: Literal["single", "longterm", "commitment", "continuing"]
    term_text: Text
    warnings: tuple[Text, ...] = ()
    clauses: tuple[str, ...] = ()


class Milestone(Record, frozen=True, kw_only=True):
    """One step: fiscal year (April to March), calendar month, what happens, and a warning where the plan and the calendar do not meet."""

    id: str
    year: int
    month: int
    name: Text
    warning: Text | None = None
    source: str | None = None


class Benefit(Record, frozen=True, kw_only=True):
    """One item of the benefit side before and after, in its own unit; never turned into yen without a source.

    fact ids of before and after are asked for while unknown. measure: how it is measured and what measuring costs (yen a year; None: unknown).
    """

    id: str
    name: Text
    unit: str
    before: float | None = None
    after: float | None = None
    ask: tuple[str, ...] = ()
    measure: Text | None = None
    measure_yen: int | None = None
    note: Text | None = None


class Swing(Record, frozen=True, kw_only=True):
    """One bar of the tornado: the result at the low and at the high end of one input, all others as they are. Yen over the horizon."""

    input: str
    name: Text
    low: int
    high: int


class Viability(Record, frozen=True, kw_only=True):
    """Whether the service lives on after the support.

    track       private: meant to earn its living (民間主導の自走) · shared: roles of town and firms (官民の役割分担) · unknown
    revenue     yen by year as far as facts give it; None: nobody has said
    cliff       general-fund money of the first year without support less that of the last year with it; None: no support ends in the horizon
    break_even  first fiscal year in which the sum of revenue has paid the sum of cost; None: not within the horizon, or revenue unknown
    runs        (10 %, 50 %, 90 %) of the balance over the horizon from `draws` draws with `seed`; varied: inputs with a known range; fixed: those without
    gap         yearly upkeep less income of existing plant; None: unknown
    """

    track: Literal["private", "shared", "unknown"]
    track_text: Text
    revenue: tuple[int, ...] | None = None
    cliff: int | None = None
    break_even: int | None = None
    runs: tuple[int, int, int] | None = None
    share_ends_positive: float | None = None
    draws: int = 0
    seed: int = 0
    varied: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    tornado: tuple[Swing, ...] = ()
    gap: int | None = None
    missing: tuple[str, ...] = ()


class PlantOption(Record, frozen=True, kw_only=True):
    """What may be done with existing plant: keep, renew, hand over (譲渡), change the lease (IRU), abolish; cost over the horizon, tax included.

    approval: True where the period of restriction of a subsidy is not over, or nobody knows; what users pay before and after is a fact or asked for.
    """

    plant: str
    id: Literal["keep", "renew", "handover", "iru", "abolish"]
    yen: int | None
    approval: Literal["yes", "no", "ask"]
    text: Text
    ask: tuple[str, ...] = ()


class Energy(Record, frozen=True, kw_only=True):
    """Electricity of a technology in the design: kWh a year, and yen a year where a price of a kWh is known."""

    technology: str
    units: float
    kwh: float | None
    yen: int | None = None


class Funding(Record, frozen=True, kw_only=True):
    """All of it for one plan. `inputs`: hash of what it was made from; `assumed`: facts taken by default, with reason and who can confirm."""

    plan: str
    inputs: str
    made_on: date | None = None  # the day whose rules and lists are in it
    start: int
    horizon: int
    tax_rate: float
    lines: tuple[Line, ...]
    answers: tuple[SupportAnswer, ...]
    adopted: Budget
    refused: Budget
    ways: tuple[Way, ...] = ()
    contracts: tuple[Contract, ...] = ()
    calendar: tuple[Milestone, ...] = ()
    benefits: tuple[Benefit, ...] = ()
    viability: Viability
    plants: tuple[PlantOption, ...] = ()
    energy: tuple[Energy, ...] = ()
    social_capital: Literal["yes", "no", "judge", "unknown"] = "unknown"
    social_capital_text: Text | None = None
    assumed: tuple[dict[str, str], ...] = ()  # id, name, value, reason, confirm
    missing: tuple[str, ...] = ()  # named facts to be asked for
    quotes_required: int | None = None
    quotes_by: date | None = None

    def __post_init__(self) -> None:
        check_range("funding, tax_rate", self.tax_rate, 0, 0.5)
        if (self.adopted.case, self.refused.case) != ("adopted", "refused"):
            raise RecordError("funding", f"tables {self.adopted.case}, {self.refused.case}", "adopted and refused, in this order", "report this")
        check_unique("lines", (line.id for line in self.lines))
        check_unique("answers", (answer.support for answer in self.answers))


class Answered(Record, frozen=True, kw_only=True):
    """One line of one supplier's answer: yen per unit, tax excluded, or None where it left the line open.

    lease_yen_month  the same unit leased, yen a month; renewal_yen: bought again at the end of its life; removal_yen: taken away (tax excluded, all optional)
    """

    line: str
    unit_yen: float | None
    lease_yen_month: float | None = None
    note: str | None = None
    renewal_yen: float | None = None
    removal_yen: float | None = None

    def __post_init__(self) -> None:
        for name in ("unit_yen", "lease_yen_month", "renewal_yen", "removal_yen"):
            check_range(f"answer to {self.line}, {name}", getattr(self, name), 0)


class Quote(Record, frozen=True, kw_only=True):
    """One supplier's answer to the request for reference quotations. `file` names where it came from; valid_until None: not stated."""

    supplier: str
    received: date
    file: str
    valid_until: date | None = None
    answers: tuple[Answered, ...] = ()
    requirements: dict[str, str] = {}  # requirement id → answer (〇 △ × or text)

    def __post_init__(self) -> None:
        check_unique(f"quote of {self.supplier}", (answer.line for answer in self.answers))


class Inputs(Record, frozen=True, kw_only=True):
    """What people have put into a plan by hand; kept beside the plan and never overwritten by a computation.

    facts     named fact → value (wins over the region's row), lines: line id → own quantity or unit price (yen, tax excluded)
    words     key of a passage of a paper → the officer's own text; made: the text that was generated when they wrote it
    voices    "supports/<id>" or "models/<id>" → what the officer wants said to those who run it (声)
    """

    facts: dict[str, float | bool | str] = {}
    quantities: dict[str, float] = {}
    replaced: dict[str, float | None] = {}  # line id → the design's quantity when the town typed its own
    prices: dict[str, float] = {}
    tax_rate: float | None = None
    quotes: tuple[Quote, ...] = ()
    words: dict[str, str] = {}
    made: dict[str, str] = {}
    voices: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_unique("quotes", (quote.supplier for quote in self.quotes))
        for where, values in (("quantities", self.quantities), ("prices", self.prices)):
            for key, value in values.items():
                check_range(f"inputs, {where}, {key}", value, 0)
        check_range("inputs, tax_rate", self.tax_rate, 0, 0.5)
