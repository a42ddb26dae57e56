"""The design problem as one directed graph, and a design as an arborescence in it.

The graph of a Problem. Node 0 is the world (the internet and the town's own systems). An arc costs whole yen, the net present value
over the horizon of everything that it stands for, tax excluded. A design is a set of arcs in which every served demand is reached from
node 0 and no node has two arcs in. What an arborescence cannot say stands beside it: steps (capacity), reach, terminal rate.

    root ─direct──────────────────────────────▶ terminal(site, technology, risk) ─serve─▶ demand(site, use case, without)
    root ─exchange─▶ junction(network) ─line/plant─▶ junction ─drop─▶ terminal
                     junction ─feed─▶ mast(place, risk) ─open─▶ facility(place, technology, risk) ─link─▶ terminal
    root ─feed (sky)─▶ mast ;  root ─feed─▶ mast of an exchange ;  mast ─hop─▶ mast of another place

A mast is backhaul at a place, shared by every cell technology there. Its risk is that of the whole path: "road" below a line, "air" when
only hops from an exchange lead to it, "sky" when a satellite feeds it; hence up to one mast per place and risk.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_range
from kiban.records.source import Confidence
from kiban.records.technology import Per, RiskClass

NodeKind = Literal["root", "junction", "mast", "facility", "terminal", "demand"]
ArcKind = Literal["exchange", "line", "plant", "feed", "open", "hop", "link", "drop", "direct", "serve"]


class Price(Record, frozen=True, kw_only=True):
    """What one unit of a cost item is spent on over the horizon; yen of the source, tax excluded.

    id        "<technology>#<cost>", for plant "<technology>#<cost>@<plant id>"
    unit_yen  the figure used, one per fiscal year of the horizon when `phase` is yearly, a single one when initial
    first     year of the horizon (0 = first) in which an initial item is first paid; later than 0 for the renewal of existing plant
    life      years that a purchase lasts (initial items); bought again at each end of life within the horizon
    npv       JPY per unit: sum of discounted spending less the discounted straight-line residual at the horizon's end
    low, high the same with the least and the greatest evidence
    """

    id: str
    technology: str
    cost: str
    phase: Literal["initial", "yearly"]
    per: Per
    unit_yen: tuple[float, ...]
    first: int = 0
    life: float | None = None
    npv: float
    low: float
    high: float
    confidence: Confidence

    def __post_init__(self) -> None:
        for amount in self.unit_yen:
            check_range(f"price {self.id}", amount, 0)
        if not self.unit_yen:
            raise RecordError(f"price {self.id}", "no amount", "at least one", "leave the technology unpriced instead")
        if self.phase == "initial" and (self.life is None or self.life <= 0 or len(self.unit_yen) != 1):
            raise RecordError(
                f"price {self.id}", f"life {self.life}, {len(self.unit_yen)} amounts", "a life above 0 years and one amount", "source the lifetime"
            )
        if not self.low <= self.npv <= self.high:
            raise RecordError(f"price {self.id}", f"npv {self.npv} outside {self.low}…{self.high}", "low ≤ npv ≤ high", "recompute it")


class Node(Record, frozen=True, kw_only=True, array_like=True):
    """kind; ref: the junction, place or site; technology and network where they apply; risk: what the supply up to here depends on."""

    kind: NodeKind
    ref: str
    technology: str | None = None
    risk: RiskClass = "none"


class Arc(Record, frozen=True, kw_only=True, array_like=True):
    """One directed arc; items are (index of the price, number of units); cost is the sum of npv × units, rounded half up, in yen."""

    tail: int
    head: int
    kind: ArcKind
    technology: str | None
    ref: str
    length_m: float
    items: tuple[tuple[int, float], ...]
    cost: int


class Demand(Record, frozen=True, kw_only=True):
    """A need at a site: node of the graph; `without`: must be served by a path that does not depend on this risk class (None: any).

    A need with backup stands as one demand per risk class c, each "without c": all are met exactly when two classes serve the site.
    Rates in Mbps and devices are counted once per (site, usecase, terminal).
    """

    node: int
    site: str
    usecase: str
    without: RiskClass | None = None
    down_mbps: float = 0.0
    up_mbps: float = 0.0
    devices: float = 1.0


class Step(Record, frozen=True, kw_only=True):
    """A capacity step: at each open group, units = ceil(load / capacity), at least 1; each unit beyond `free` costs `cost` yen.

    level     facility: a group is one facility node · exchange: all terminals of the technology below one exchange · system: the whole design
    load      sites, devices or mbps (down) of the demands served through the group; none: one unit whenever it is used
    capacity  in the unit of `load`; None: one unit carries everything
    free      units that an arc already pays (1 for a cell, whose open arc pays the first)
    growth    of a load in mbps: its factor in each fiscal year of the horizon, against the first; empty: the load stays
    later     with growth: yen of one unit bought first in each year of the horizon, renewals and residual inside; later[0] is `cost`
    """

    technology: str
    level: Literal["facility", "exchange", "system"]
    load: Literal["sites", "devices", "mbps", "none"]
    capacity: float | None = None
    free: int = 0
    items: tuple[tuple[int, float], ...] = ()
    cost: int = 0
    growth: tuple[float, ...] = ()
    later: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_range("step, capacity", self.capacity, 1e-9)
        for value in (*self.growth, *self.later):
            check_range("step, growth and later", value, 0)
        if len(self.growth) != len(self.later) or (self.growth and (self.load != "mbps" or self.later[0] != self.cost)):
            raise RecordError(
                "step", f"{len(self.growth)} factors, {len(self.later)} later costs, load {self.load}", "one of each per year, of a load in mbps", "rebuild it"
            )
        check_range("step, cost", self.cost, 0)
        if (self.capacity is None) != (self.load == "none"):
            raise RecordError("step", f"load {self.load}, capacity {self.capacity}", "both or neither", "give the capacity in the unit of the load")


class EnergyUse(Record, frozen=True, kw_only=True):
    """What one unit of a technology uses in electricity: kWh a year per `per`; None: nobody says it."""

    technology: str
    per: Per
    kwh: float | None

    def __post_init__(self) -> None:
        check_range(f"energy of {self.technology}", self.kwh, 0)


class Ceiling(Record, frozen=True, kw_only=True):
    """A limit on what arcs and paid step units use up together.

    id     initial_yen: what is paid in the first year for what is built · kwh_year: electricity · unserved: weight of the needs that are given up
    arcs   (index of the arc, amount when it is used), amounts of 0 left out; steps: (index of the step, amount of each unit paid)
    """

    id: Literal["initial_yen", "kwh_year", "unserved"]
    most: float
    arcs: tuple[tuple[int, float], ...] = ()
    steps: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        check_range(f"ceiling {self.id}", self.most, 0)
        for _, amount in (*self.arcs, *self.steps):
            check_range(f"ceiling {self.id}, amount", amount, 0)


class Exclusion(Record, frozen=True, kw_only=True):
    """A (site, use case, technology) that the filter dropped, and why.

    need         the need that fails, or "coverage", "place", "price"; where the ground is in the way "link_budget" (required, available: dBm that must
                 arrive, and do) or "line_of_sight" (required, available: metres of room above the ground; the hop that would feed the cell)
    state        fails: the capability is known and too small · unknown: nobody states the capability · unpriced: admissible, but without a price
    """

    site: str
    usecase: str
    technology: str
    need: str
    state: Literal["fails", "unknown", "unpriced"]
    required: float | None = None
    available: float | None = None


class Limit(Record, frozen=True, kw_only=True):
    """Side limits of one technology: metres of line from the exchange, and the rate of one terminal in Mbps; None: no limit is known."""

    technology: str
    reach_m: float | None = None
    down_mbps: float | None = None
    up_mbps: float | None = None


class Obstructed(Record, frozen=True, kw_only=True, array_like=True):
    """A pair that the ground rules out: a cell at place `a` does not reach site `b`, or no hop between places `a` and `b`.

    required, available: in dBm for a link budget, in metres of room above the ground for a line of sight
    """

    technology: str
    a: str
    b: str
    need: Literal["line_of_sight", "link_budget"]
    required: float
    available: float

    def __post_init__(self) -> None:
        if not self.available < self.required:
            found = f"{self.available:g} available, {self.required:g} required"
            raise RecordError(f"obstructed {self.a} – {self.b}", found, "less than required", "a pair that holds is not obstructed")


class Looked(Record, frozen=True, kw_only=True):
    """What a design looked at on the terrain: spacing of the heights in m, hops and links judged, and those that nobody can judge (a height is unknown)."""

    spacing_m: float
    hops: int = 0
    hops_unknown: int = 0
    links: int = 0
    links_unknown: int = 0
    obstructed: tuple[Obstructed, ...] = ()


class Problem(Record, frozen=True, kw_only=True):
    """Everything that a design is judged by; the solver and the independent checker read nothing else.

    discount 1/year, 0.04 means 4 %; horizon in fiscal years, `start` the first of them.
    no_way: demands (site, use case, without) that no priced arc can reach, with the technologies that are only unpriced.
    terrain: what was looked at on the ground; None: nothing, radio was taken to carry as far as its radius and reach say.
    energy: of every technology of an arc; ceilings: limits on the whole design, such as kWh a year.
    """

    region: str
    start: int
    horizon: int
    discount: float
    prices: tuple[Price, ...]
    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]
    demands: tuple[Demand, ...]
    steps: tuple[Step, ...] = ()
    limits: tuple[Limit, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    no_way: tuple[tuple[str, str, str | None, tuple[str, ...]], ...] = ()
    terrain: Looked | None = None
    energy: tuple[EnergyUse, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()

    def __post_init__(self) -> None:
        check_range("problem, discount", self.discount, 0, 0.3)
        check_range("problem, horizon", self.horizon, 1, 60)
        count = len(self.nodes)
        if not self.nodes or self.nodes[0].kind != "root":
            raise RecordError("problem", "no root", "node 0 of kind root", "build it with design.program")
        for index, arc in enumerate(self.arcs):
            if not (0 <= arc.tail < count and 0 < arc.head < count) or arc.cost < 0 or arc.length_m < 0:
                raise RecordError(
                    f"arc {index}",
                    f"{arc.tail} → {arc.head}, cost {arc.cost}, {arc.length_m} m",
                    "nodes of the graph, cost and length ≥ 0",
                    "rebuild the problem",
                )
        for demand in self.demands:
            if not 0 < demand.node < count or self.nodes[demand.node].kind != "demand":
                raise RecordError(f"demand {demand.site}/{demand.usecase}", f"node {demand.node}", "a demand node", "rebuild the problem")


def problem_hash(problem: Problem) -> str:
    """The sha256 of a problem's JSON, the same before it is written and after it is read again (a whole number in a float field turns into a float)."""
    written = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(problem), type=Problem))
    return hashlib.sha256(written).hexdigest()


# The side constraints that a bound may leave out, by name; `relaxed` lists those that the problem has. A bound that counts only a step's average
# (cost ÷ capacity) still leaves out its rounding up, and so names it.
#   facility_steps, exchange_steps, system_steps  a Step of that level that costs more than 0
#   reach          a Limit with reach_m
#   terminal_rate  a Limit with down_mbps or up_mbps
#   ceilings       a Ceiling
Relaxable = Literal["facility_steps", "exchange_steps", "system_steps", "reach", "terminal_rate", "ceilings"]


class Cut(Record, frozen=True, kw_only=True, array_like=True):
    """A directed cut with its dual value: the node set W holds the demand node `terminal` and not the root; every design needs an arc into W.

    W = nodes added here, and all of cut `base` (an earlier index, -1: none). `dual` is a whole number of 1 / `scale` yen of the certificate.
    """

    terminal: int
    base: int
    added: tuple[int, ...]
    dual: int


class Certificate(Record, frozen=True, kw_only=True):
    """A proof of the lower bound: for each arc the duals of the cuts that it enters add up to at most its relaxed cost.

    Relaxed cost of an arc: cost + step shares (`shares`: exchange-level steps with a capacity put cost ÷ capacity on each terminal arc).
    bound = floor(sum of duals / scale) yen. `relaxed` names each side constraint that the bound does not use.
    """

    scale: int = 1
    cuts: tuple[Cut, ...] = ()
    relaxed: tuple[str, ...] = ()


class Alternative(Record, frozen=True, kw_only=True):
    """Another technology for the demands of a site, with what it would add in yen while the rest of the design stays (None: unpriced)."""

    technology: str
    difference_yen: int | None


class SiteResult(Record, frozen=True, kw_only=True):
    """What a site gets and why. Money is yen over the horizon, the rest of the design staying as it is.

    technologies  those that serve it; unserved: use cases without service
    own_yen       what would be saved if the site were left out
    next_best     the cheapest other technology; binding: the need that ruled out the cheapest excluded one
    """

    site: str
    technologies: tuple[str, ...]
    usecases: tuple[str, ...]
    unserved: tuple[str, ...] = ()
    own_yen: int = 0
    next_best: Alternative | None = None
    binding: str | None = None
    reason: str = ""


class BreakEven(Record, frozen=True, kw_only=True):
    """The highest net present value per unit at which an unpriced technology would enter the design, found by re-solving.

    price_yen = (cost without it − cost of everything else in the design with it) ÷ units. None: it would not enter even if free.
    """

    technology: str
    per: Per
    price_yen: float | None
    units: float = 0.0
    cost_without_yen: int = 0
    cost_rest_yen: int = 0


class Shared(Record, frozen=True, kw_only=True):
    """Sharing between use cases: each alone, all together, and the saving, in yen over the horizon."""

    alone_yen: dict[str, int]
    together_yen: int
    saving_yen: int


class Design(Record, frozen=True, kw_only=True):
    """A design with its cost, bound and proof.

    status  proved: cost equals the bound, for the full problem · bounded: a gap is left · incomplete: a demand has no priced option, so the
            plan has no total (`cost` is then that of the priced part, and the bound too) · infeasible: a demand has no admissible option
    gap     (cost − bound) ÷ cost, 0 when the cost is 0
    steps   (index of the step, node of its group, units paid beyond the free ones)
    grown   (index of the step, node of its group, year of the horizon, units bought in that year because the load has grown)
    served  per demand, in order: the serve arc, or -1
    """

    problem: str  # sha256 of the problem
    arcs: tuple[int, ...]
    served: tuple[int, ...]
    steps: tuple[tuple[int, int, int], ...]
    cost: int
    bound: int
    gap: float
    status: Literal["proved", "bounded", "incomplete", "infeasible"]
    relaxed: tuple[str, ...]
    certificate: Certificate
    unserved: tuple[tuple[str, str], ...] = ()
    sites: tuple[SiteResult, ...] = ()
    break_even: tuple[BreakEven, ...] = ()
    shared: Shared | None = None
    seed: int = 0
    work: int = 0
    grown: tuple[tuple[int, int, int, int], ...] = ()

    def __post_init__(self) -> None:
        check_range("design, cost", self.cost, 0)
        check_range("design, gap", self.gap, 0, 1)
        if self.bound > self.cost:
            raise RecordError("design", f"bound {self.bound} above cost {self.cost}", "bound ≤ cost", "the bound is wrong: report it")


class Finding(Record, frozen=True, kw_only=True):
    """One line of the check: which constraint, whether it holds, and what was found."""

    constraint: str
    holds: bool
    found: str


class CheckReport(Record, frozen=True, kw_only=True):
    """The verdict of the independent checker."""

    holds: bool
    findings: tuple[Finding, ...]
