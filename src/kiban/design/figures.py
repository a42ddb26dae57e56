"""The numbers of a design as figures, each with its way back to data files and rows.

In: the ledger with the prices in it, a problem, its design, the region and the use cases. Out: the body of the design step, in which every
number is the id of a figure. Decisions (which arcs, how many units) are the optimiser's; what they cost is computed here from the leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from kiban.base.errors import DesignError
from kiban.base.progress import Progress, silent
from kiban.design import units as _formulas  # noqa: F401  registers the formulas
from kiban.design.explain import Entering, Why, is_free, is_free_step, units_bought
from kiban.design.flip import COMPLETE, Flip
from kiban.design.growth import worth_later
from kiban.design.tree import Tree, technologies_used
from kiban.finance.ledger import Ledger
from kiban.records.design import Arc, Design, Problem
from kiban.records.region import Place, Region, Site
from kiban.records.source import Quantity
from kiban.records.technology import Technology
from kiban.records.usecase import Scaled, UseCase

BOUND = "design.certified_bound"  # reads the graph of the problem besides its costs
TOLD = 20_000  # arcs whose figures are entered between two words of progress
DESIGN = "decided by the optimiser, see design.json"


def arc_name(problem: Problem, index: int) -> str:
    """The id of the cost of an arc; both directions of a street share it."""
    arc = problem.arcs[index]
    if arc.kind in ("line", "plant"):
        return f"arcs/{arc.kind}/{arc.technology}/{arc.ref}"
    tail, head = problem.nodes[arc.tail], problem.nodes[arc.head]
    return f"arcs/{arc.kind}/{arc.technology or '-'}/{arc.ref}/{tail.ref or 'world'}-{head.ref}/{head.risk}"


def bound_inputs(problem: Problem) -> list[str]:
    """The figures that the bound is computed from, in order: the cost of every arc that has one, and of every step."""
    arcs = dict.fromkeys(arc_name(problem, index) for index, arc in enumerate(problem.arcs) if arc.items)
    return [*arcs, *(f"steps/{index}/{step.technology}" for index, step in enumerate(problem.steps))]


def with_costs(problem: Problem, values: Sequence[float]) -> Problem:
    """The problem with other costs of arcs and steps, in the order of `bound_inputs`."""
    cost = dict(zip(bound_inputs(problem), values, strict=True))
    arcs = tuple(replace(arc, cost=int(cost[arc_name(problem, index)])) if arc.items else arc for index, arc in enumerate(problem.arcs))
    # the bound reads no growth
    steps = tuple(replace(step, cost=int(cost[f"steps/{index}/{step.technology}"]), growth=(), later=()) for index, step in enumerate(problem.steps))
    return replace(problem, arcs=arcs, steps=steps)


class Sheet:
    """Enters the figures of one problem into the ledger; `variant` names one whose arcs may hold other items than those of the plan's own problem."""

    def __init__(self, ledger: Ledger, problem: Problem, design: Design, region: Region, usecases: Mapping[str, UseCase], variant: str = "") -> None:
        self.variant = variant
        self.ledger, self.problem, self.design, self.region, self.usecases = ledger, problem, design, region, usecases
        rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
        self.rows = {row.id: row for row in rows}
        self.streets = {street.id: street for street in region.streets}
        self.at = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}
        self.row_at: dict[str, str] = {}
        for id, (junction, _) in sorted(region.attach.items(), reverse=True):
            row = self.rows[id]
            if (round(row.lat, 7), round(row.lon, 7)) == self.at[junction]:
                self.row_at[junction] = id
        self.npv = [f"prices/{price.id}/npv" for price in problem.prices]

    def leaf(self, row: Site | Place, name: str, unit: str) -> str:
        """A number of a row of the region: latitude, longitude or a count."""
        evidence = row.evidence
        value = getattr(row, name)
        ref = f"region/{self.region.id}#{row.id}.{name} {evidence.source or ''}".rstrip()
        return self.ledger.source(
            f"region/{self.region.id}#{row.id}/{name}", None if value is None else float(value), unit, ref, evidence.confidence, assumed=evidence.assumed
        )

    def point(self, row: Site | Place) -> list[str]:
        """Latitude and longitude of a row."""
        return [self.leaf(row, "lat", "degree"), self.leaf(row, "lon", "degree")]

    def metres(self, arc: Arc) -> str:
        """The length of an arc: of a street, of the spur to a row, or between two places."""
        if arc.kind in ("line", "plant"):
            return self.street(arc.ref)
        tail, head = (self.problem.nodes[index].ref for index in (arc.tail, arc.head))
        if arc.kind in ("hop", "link"):
            ends = [self.rows[tail], self.rows[head]]
            key = f"distance/{min(tail, head)}/{max(tail, head)}/{arc.kind}"
            id = self.ledger.formula(key, "design.distance_metres", "m", [item for row in ends for item in self.point(row)])
            if self.ledger.figures[id].value == arc.length_m:
                return id
            raise DesignError(f"arc {arc.kind} {arc.ref}", f"{arc.length_m} m", f"{self.ledger.figures[id].value} m between its ends", "report this")
        key = f"region/{self.region.id}#attach/{arc.ref}"
        return self.ledger.source(key, arc.length_m, "m", f"{key}: distance from the street, measured when the region was built")

    def street(self, id: str) -> str:
        """The length of a street; of a candidate link from the coordinates of its ends and the detour factor."""
        street = self.streets[id]
        key = f"region/{self.region.id}#streets/{id}"
        ends = [self.row_at.get(street.a), self.row_at.get(street.b)]
        if street.kind == "candidate" and self.region.detour is not None and all(ends):
            ref = f"region/{self.region.id}#detour {self.region.detour_source or ''}".rstrip()
            detour = self.ledger.source("rules/detour", self.region.detour, "1", ref)
            points = [item for end in ends if end for item in self.point(self.rows[end])]
            return self.ledger.formula(key, "design.candidate_metres", "m", [*points, detour])
        return self.ledger.source(key, street.length_m, "m", f"{key}: length of the street link")

    def need(self, site: str, usecase: str, name: str) -> str:
        """What a site needs: the row's own count, the use case's figure, or the line between its published points.

        Where nobody says it: one device, and a rate of nothing, as design.admit and design.program count it.
        """
        row, need = self.rows[site], getattr(self.usecases[usecase].needs, name)
        if name == "devices" and isinstance(row, Site) and row.devices is not None and not isinstance(need, Scaled):
            return self.leaf(row, "devices", "devices")
        base = f"usecases/{usecase}#{name}"
        if isinstance(need, Scaled) and getattr(row, need.by) is not None:
            points = []
            for count, value in need.points:
                points.append(self.ledger.source(f"{base}/{count:g}/{need.by}", count, need.by, f"usecases/{usecase}#needs.{name} {need.source}"))
                points.append(self.ledger.source(f"{base}/{count:g}", value, need.unit, f"usecases/{usecase}#needs.{name} {need.source}"))
            return self.ledger.formula(f"needs/{site}/{usecase}/{name}", "design.scaled", need.unit, [self.leaf(row, need.by, need.by), *points])
        if isinstance(need, Quantity) and need.value is not None:
            return self.ledger.source(base, need.value, need.unit, f"usecases/{usecase}#needs.{name} {need.source}", need.confidence)
        return self.count(1, "units", "one where nobody gives a number") if name == "devices" else self.count(0, "units", "nothing where nobody gives a number")

    def count(self, number: float, unit: str, ref: str) -> str:
        """A count that the design itself decides."""
        whole = int(number) if number == int(number) else number  # a number read from a file comes back as a float
        return self.ledger.choice(f"choices/{ref}/{whole!r} {unit}", number, unit, ref)

    def units_of(self, arc: Arc, price: int, number: float) -> str:
        """The units of one item of an arc."""
        per = self.problem.prices[price].per
        if per == "km":
            metres = self.metres(arc)
            id = self.ledger.formula(metres + "/km", "design.kilometres", "km", [metres])
        elif per == "device":
            id = self.need(self.problem.nodes[arc.head].ref, arc.ref, "devices")
        else:
            id = self.count(number, per, f"{per} of one arc")
        if self.ledger.figures[id].value != number:
            raise DesignError(
                f"arc {arc.kind} {arc.ref}",
                f"{number} {per}",
                f"{self.ledger.figures[id].value} from the rows",
                "report this: the ledger does not know these units",
            )
        return id

    def arc_cost(self, index: int) -> str | None:
        """The cost of an arc; None when it costs nothing by its nature. What an unpriced technology is tried at is left out."""
        arc = self.problem.arcs[index]
        items = [(price, number) for price, number in arc.items if not is_free(self.problem, price)]
        if not items:
            return None
        inputs = [id for price, number in items for id in (self.npv[price], self.units_of(arc, price, number))]
        if len(items) < len(arc.items):
            return self.ledger.formula(f"rest/{arc_name(self.problem, index)}", "finance.products", "JPY", inputs)
        name = arc_name(self.problem, index)
        if self.variant and (known := self.ledger.figures.get(name)) is not None and known.inputs != tuple(inputs):
            name = f"{self.variant}/{name}"
        id = self.ledger.formula(name, "finance.products", "JPY", inputs)
        if self.ledger.figures[id].value != arc.cost:
            raise DesignError(f"arc {index}", f"cost {arc.cost}", f"{self.ledger.figures[id].value} from its items", "report this")
        return id

    def step_cost(self, index: int) -> str:
        """The cost of one unit of a capacity step."""
        step = self.problem.steps[index]
        items = [(price, number) for price, number in step.items if not is_free(self.problem, price)]
        inputs = [id for price, number in items for id in (self.npv[price], self.count(number, self.problem.prices[price].per, "units of one step"))]
        return self.ledger.formula(f"steps/{index}/{step.technology}", "finance.products", "JPY", inputs)

    def step_units(self, index: int, group: int, units: int, technologies: Mapping[str, Technology], carried: Mapping[int, list[int]]) -> str:
        """The units of a capacity step that a group pays."""
        step = self.problem.steps[index]
        key = f"steps/{index}/{step.technology}/{group}/units"
        if step.capacity is None or step.load == "none":
            return self.ledger.choice(key, units, "units", DESIGN)
        quantity = getattr(technologies[step.technology].capability, f"{step.load}_per_facility")
        base = f"technologies/{step.technology}#{step.load}_per_facility"
        capacity = self.ledger.source(
            base, step.capacity, quantity.unit, f"technologies/{step.technology}#capability.{step.load}_per_facility {quantity.source}", quantity.confidence
        )
        demands = [self.problem.demands[demand] for demand in carried[group]]
        if step.load == "sites":
            load = self.ledger.choice(f"{key}/load", len({demand.site for demand in demands}), "sites", DESIGN)
        else:
            once = sorted({(demand.site, demand.usecase) for demand in demands})
            parts = [self.need(site, usecase, "devices" if step.load == "devices" else "down_mbps") for site, usecase in once]
            load = self.ledger.formula(f"{key}/load", "finance.sum", step.load, parts)
        free = self.count(step.free, "units", "units that an arc already pays")
        return self.ledger.formula(key, "design.step_units", "units", [load, capacity, free])

    def year(self, year: int) -> str:
        """A year of the horizon."""
        return self.ledger.choice(f"choices/year/{year}", year, "year of the horizon", "a year of the horizon, 0 the first")

    def npv_since(self, price: int, year: int) -> str:
        """The present value of one unit of a price that is bought in a year of the horizon, 0 the first."""
        if not year:
            return self.npv[price]
        one, given = self.problem.prices[price], self.ledger.figures[self.npv[price]].inputs
        key = f"prices/{one.id}/npv/since/{year}"
        if one.phase == "yearly":
            none = self.ledger.choice("choices/nothing", 0, "JPY", "nothing is paid before it is bought")
            return self.ledger.formula(key, "finance.npv_yearly", f"JPY/{one.per}", [given[0], *[none] * year, *given[1 + year :]])
        return self.ledger.formula(key, "finance.npv_renewal", f"JPY/{one.per}", [given[0], given[1], self.year(max(one.first, year)), given[-2], given[-1]])

    def later_cost(self, index: int, year: int) -> str:
        """The cost of one unit of a growing step that is bought in a later year."""
        step, inputs = self.problem.steps[index], []
        for price, number in step.items:
            inputs += [self.npv_since(price, year), self.count(number, self.problem.prices[price].per, "units of one step")]
        name = f"{self.variant}/" if self.variant else ""
        id = self.ledger.formula(f"{name}steps/{index}/{step.technology}/since/{year}", "finance.products", "JPY", inputs)
        if not self.variant and self.ledger.figures[id].value != step.later[year]:
            raise DesignError(f"step {index}", f"later {step.later[year]}", f"{self.ledger.figures[id].value} from its items", "report this")
        return id

    def grown(self, key: str = "") -> list[tuple[int, str, int, int, str]]:
        """(step, cost, year, units, figure of the units) of what growth makes necessary later; what an unpriced technology is tried at is left out."""
        rows = []
        for index, group, year, units in self.design.grown:
            if is_free_step(self.problem, index):
                continue
            name = f"{key}steps/{index}/{group}/grown/{year}"
            count = self.ledger.choice(f"{name}/units", units, "units", DESIGN)
            rows.append((index, self.ledger.formula(name, "finance.products", "JPY", [count, self.later_cost(index, year)]), year, units, count))
        return rows

    def spent(self, price: int, year: int, since: int = 0) -> str:
        """What one unit of a price, bought in year `since`, costs in a year of the horizon, not discounted."""
        one, inputs = self.problem.prices[price], self.ledger.figures[self.npv[price]].inputs
        if since:
            if year < since:
                return self.ledger.choice("choices/nothing", 0, "JPY", "nothing is paid before it is bought")
            if one.phase == "yearly":
                return inputs[1 + year]
            first = self.year(max(one.first, since))
            return self.ledger.formula(
                f"prices/{one.id}/spent/{year}/since/{since}", "finance.spent_in_year", f"JPY/{one.per}", [inputs[0], inputs[1], first, self.year(year)]
            )
        if one.phase == "yearly":
            return inputs[1 + year]
        moment = self.ledger.choice(f"choices/year/{year}", year, "year of the horizon", "a year of the horizon, 0 the first")
        first = inputs[2] if len(inputs) == 5 else self.ledger.choice("choices/year/0", 0, "year of the horizon", "a year of the horizon, 0 the first")
        return self.ledger.formula(f"prices/{one.id}/spent/{year}", "finance.spent_in_year", f"JPY/{one.per}", [inputs[0], inputs[1], first, moment])

    def side(self, quantity: str, price: int, year: int, end: str, since: int = 0) -> float:
        """What the units of a price, bought in year `since`, cost in a year at the least or greatest of its evidence."""
        figures, spent = self.ledger.figures, self.ledger.figures[self.spent(price, year, since)]
        used = spent if self.problem.prices[price].phase == "yearly" else figures[self.ledger.figures[self.npv[price]].inputs[0]]
        bound, units = getattr(used, end), figures[quantity].value or 0.0
        share = 1.0 if bound is None or not used.value else bound / used.value
        return units * (spent.value or 0.0) * share

    def sum_of(self, key: str, inputs: Sequence[str]) -> str:
        """A sum whose range is the sum of the ranges."""
        given = [self.ledger.figures[id] for id in inputs]
        low, high = (sum(end for figure in given if (end := getattr(figure, side)) is not None) for side in ("low", "high"))
        return self.total(key, inputs, low=low, high=high)

    def total(self, key: str, inputs: Iterable[str], *, low: float | None = None, high: float | None = None) -> str:
        """A sum."""
        return self.ledger.formula(key, "finance.sum", "JPY", list(inputs), low=low, high=high)


def enter(
    ledger: Ledger,
    problem: Problem,
    design: Design,
    region: Region,
    technologies: Mapping[str, Technology],
    usecases: Mapping[str, UseCase],
    rules: Mapping[str, tuple[str, float]],
    report_years: int,
    reasons: Sequence[Why],
    unpriced: Sequence[tuple[str, Sequence[str], Entering | None]],
    alone: Mapping[str, tuple[Problem, Design]],
    excludes: Sequence[tuple[str, str]] = (),
    flips: Sequence[Flip] = (),
    buy: tuple[Problem, Design] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Enter all figures of a design and return the body of its step.

    Parameters
    ----------
    rules         rule id → (id of its figure, value)
    report_years  the first years that are summed for a headline
    reasons       why each site gets what it gets
    unpriced      (technology, cost ids without a figure, the break-even design or None when it was not searched)
    alone         use case → its problem and design when it is designed for itself
    excludes      (technology, cost id) of every cost of a technology in the design that has no figure: with one of them the
                  total is a lower bound, and what is proved is proved for the priced items only
    flips         what would take the place of each technology of the design, and how much dearer it may get
    buy           the problem and design of services bought from others alone, None when it was not searched
    missing       technology → cost ids without a figure, of every technology
    progress      told now and then

    Raises
    ------
    DesignError  a cost of the problem is not what its items come to: then nothing is published
    """
    sheet = Sheet(ledger, problem, design, region, usecases)
    costs = []
    for index in range(len(problem.arcs)):
        if index % TOLD == 0:
            progress(0.5 * index / len(problem.arcs), "出典台帳を作成 / writing the ledger")
        costs.append(sheet.arc_cost(index))
    chosen = sorted(design.arcs)
    paid = [cost for index in chosen if (cost := costs[index]) is not None]
    progress(0.5, "出典台帳を作成 / writing the ledger")
    tree = Tree(problem, design)
    steps = []
    step_units: list[tuple[int, str]] = []
    for index, group, units in design.steps:
        count = sheet.step_units(index, group, units, technologies, tree.carried(index))
        step_units.append((index, count))
        steps.append(ledger.formula(f"steps/{index}/{group}/paid", "finance.products", "JPY", [count, sheet.step_cost(index)]))
    grown = sheet.grown()
    low, high = _range(problem, design)
    whole = sheet.total("total/priced", [*paid, *steps, *(cost for _, cost, *_ in grown)], low=low, high=high)
    if ledger.figures[whole].value != design.cost:
        raise DesignError("design", f"cost {design.cost}", f"{ledger.figures[whole].value} from its items", "report this")
    complete = design.status in ("proved", "bounded")
    for index in range(len(problem.steps)):
        sheet.step_cost(index)
    bound = ledger.structural("total/bound", BOUND, "JPY", bound_inputs(problem), design.bound)
    quantities = _quantities(sheet, chosen, step_units)
    layers, years = _years(sheet, quantities, technologies)
    first = sheet.sum_of("total/first_years", years[:report_years])
    tax, rate = rules["consumption-tax"]
    least, most = (None if (end := getattr(ledger.figures[first], side)) is None else round(end * (1 + rate)) for side in ("low", "high"))
    taxed = ledger.formula("total/first_years/taxed", "finance.taxed", "JPY", [first, tax], low=least, high=most)
    wanted = sorted({demand.site for demand in problem.demands} | {site for site, _, _, _ in problem.no_way})
    unserved = {site for site, _ in design.unserved}
    return {
        "status": "proved_as_priced" if excludes and design.status == "proved" else design.status,
        "lower_bound_only": bool(excludes),
        "excludes": [{"technology": technology, "cost": cost} for technology, cost in excludes],
        "cost_npv": whole if complete else None,
        "priced_part": whole,
        "cost_5y": first if complete else None,
        "cost_5y_taxed": taxed if complete else None,
        "priced_part_5y": first,
        "priced_part_5y_taxed": taxed,
        "lower_bound": bound,
        "gap": ledger.formula("total/gap", "finance.gap", "share", [whole, bound]),
        "relaxed": list(design.relaxed),
        "wanted_sites": ledger.choice("count/wanted", len(wanted), "sites", "the sites of the region whose kind has the use case"),
        "served_sites": ledger.choice("count/served", len(set(wanted) - unserved), "sites", DESIGN),
        "candidates": region.links_are_candidates,
        "technologies": _technologies(sheet, tree, chosen, costs, steps),
        "layers": layers,
        "years": years,
        "sites": [_site(sheet, why, costs) for why in reasons],
        "unpriced": [_unpriced(sheet, *row) for row in unpriced],
        "shared": _shared(sheet, whole, alone) if alone else None,
        "flips": [_flip(sheet, row, whole, missing or {}) for row in flips],
        "buy": _buy(sheet, buy, missing or {}) if buy is not None else None,
        "unserved": [{"site": site, "usecase": usecase} for site, usecase in design.unserved],
    }


def _range(problem: Problem, design: Design) -> tuple[float, float]:
    """The cost of the same design at the least and at the greatest evidence of every price."""
    items = [item for index in design.arcs for item in problem.arcs[index].items]
    items += [(price, number * units) for index, _, units in design.steps for price, number in problem.steps[index].items]
    items += [
        (price, number * units * worth_later(problem, price, year)) for index, _, year, units in design.grown for price, number in problem.steps[index].items
    ]
    low, high = (sum(getattr(problem.prices[price], side) * number for price, number in items) for side in ("low", "high"))
    return float(round(low)), float(round(high))


def _quantities(sheet: Sheet, chosen: Sequence[int], step_units: Sequence[tuple[int, str]]) -> dict[int, str]:
    """Price → the figure of its units in the whole design."""
    parts: dict[int, list[str]] = defaultdict(list)
    for index in chosen:
        arc = sheet.problem.arcs[index]
        for price, number in arc.items:
            parts[price].append(sheet.units_of(arc, price, number))
    for step, units in step_units:
        for price, number in sheet.problem.steps[step].items:
            each = sheet.count(number, sheet.problem.prices[price].per, "units of one step")
            parts[price].append(
                sheet.ledger.formula(f"{units}/{sheet.problem.prices[price].id}", "design.product", sheet.problem.prices[price].per, [units, each])
            )
    return {
        price: sheet.ledger.formula(f"units/{sheet.problem.prices[price].id}", "finance.sum", sheet.problem.prices[price].per, inputs)
        for price, inputs in sorted(parts.items())
    }


def _years(sheet: Sheet, quantities: Mapping[int, str], technologies: Mapping[str, Technology]) -> tuple[list[dict[str, Any]], list[str]]:
    """Spending by layer and year, and by year."""
    by_layer: dict[str, list[int]] = defaultdict(list)
    for price in quantities:
        by_layer[technologies[sheet.problem.prices[price].technology].layer].append(price)
    later: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for index, _, since, _, count in sheet.grown():
        for price, number in sheet.problem.steps[index].items:
            each = sheet.count(number, sheet.problem.prices[price].per, "units of one step")
            bought = sheet.ledger.formula(f"{count}/{sheet.problem.prices[price].id}", "design.product", sheet.problem.prices[price].per, [count, each])
            name = technologies[sheet.problem.prices[price].technology].layer
            later[name].append((price, bought, since))
            by_layer.setdefault(name, [])
    rows = []
    for layer, prices in sorted(by_layer.items()):
        years = []
        for year in range(sheet.problem.horizon):
            inputs = [id for price in prices for id in (quantities[price], sheet.spent(price, year))]
            inputs += [id for price, count, since in later[layer] for id in (count, sheet.spent(price, year, since))]
            units = [(quantities[price], price, 0) for price in prices] + [(count, price, since) for price, count, since in later[layer]]
            low, high = (round(sum(sheet.side(count, price, year, end, since) for count, price, since in units)) for end in ("low", "high"))
            years.append(sheet.ledger.formula(f"years/{layer}/{year}", "finance.products", "JPY", inputs, low=low, high=high))
        rows.append({"layer": layer, "years": years})
    return rows, [sheet.sum_of(f"years/all/{year}", [row["years"][year] for row in rows]) for year in range(sheet.problem.horizon)]


def _technologies(sheet: Sheet, tree: Tree, chosen: Sequence[int], costs: Sequence[str | None], steps: Sequence[str]) -> list[dict[str, Any]]:
    """Each technology of the design with the sites that it serves, the kilometres of its lines (None: it has none) and what its arcs and steps cost."""
    design, problem = sheet.design, sheet.problem
    parts: dict[str, list[str]] = defaultdict(list)
    lengths: dict[str, dict[str, None]] = defaultdict(dict)  # both directions of a street are one line
    for index in chosen:
        cost, arc = costs[index], problem.arcs[index]
        if arc.technology is not None:
            parts[arc.technology] += [cost] if cost is not None else []
            if arc.kind in ("line", "plant"):
                metres = sheet.metres(arc)
                lengths[arc.technology][sheet.ledger.formula(metres + "/km", "design.kilometres", "km", [metres])] = None
    for (index, _, _), paid in zip(design.steps, steps, strict=True):
        parts[problem.steps[index].technology].append(paid)
    for index, cost_later, *_ in sheet.grown():
        parts[problem.steps[index].technology].append(cost_later)
    sites: dict[str, int] = defaultdict(int)
    for site in {demand.site for demand in problem.demands}:
        for technology in tree.technologies(site):
            sites[technology] += 1
    return [
        {
            "technology": technology,
            "sites": sheet.ledger.choice(f"count/sites/{technology}", sites[technology], "sites", DESIGN),
            "km": sheet.ledger.formula(f"count/km/{technology}", "finance.sum", "km", list(lengths[technology])) if technology in lengths else None,
            "npv": sheet.total(f"total/technologies/{technology}", parts[technology]),
        }
        for technology in sorted(parts, key=lambda id: (-sites[id], id))
    ]


def _site(sheet: Sheet, why: Why, costs: Sequence[str | None]) -> dict[str, Any]:
    """What a site gets, what it costs by itself, the next best and why."""
    row = sheet.rows[why.site]
    best = why.next_best

    def part(name: str, arcs: Sequence[int]) -> str:
        return sheet.total(f"sites/{why.site}/{name}", [cost for index in arcs if (cost := costs[index]) is not None])

    other = None
    if best is not None:
        difference = sheet.ledger.formula(
            f"sites/{why.site}/difference", "finance.difference", "JPY", [part("next_best", best.added), part("replaced", best.removed)]
        )
        other = {"technology": best.technology, "instead_of": best.instead_of, "difference": difference}
    return {
        "site": why.site,
        "name": row.name,
        "kind": row.kind,
        "critical": isinstance(row, Site) and row.critical,
        "assumed": row.evidence.assumed,
        "technologies": list(why.technologies),
        "usecases": list(why.usecases),
        "unserved": list(why.unserved),
        "own": part("own", why.own) if why.technologies else None,
        "next_best": other,
        "binding": why.binding,
        "reason": why.reason,
    }


def _unpriced(sheet: Sheet, technology: str, missing: Sequence[str], entering: Entering | None) -> dict[str, Any]:
    """An unpriced technology: what is missing, and at which price it would enter."""
    row: dict[str, Any] = {"technology": technology, "missing": list(missing), "tried": entering is not None, "enters": False, "per": None, "break_even": None}
    if entering is None or entering.price is None or entering.problem is None or entering.design is None:
        return row | {"per": entering.per if entering else None}
    other = Sheet(sheet.ledger, entering.problem, entering.design, sheet.region, sheet.usecases, f"break-even/{technology}")
    rest = paid_for(other, f"break-even/{technology}/rest")
    bought = units_bought(entering.problem, entering.design)
    units = sheet.ledger.choice(f"break-even/{technology}/units", bought, entering.per, "the design in which it enters")
    price = sheet.ledger.formula(f"break-even/{technology}", "design.break_even", f"JPY/{entering.per}", ["total/priced", rest, units])
    return row | {"enters": True, "per": entering.per, "break_even": price}


def paid_for(sheet: Sheet, key: str) -> str:
    """What a variant of the design costs: its arcs and steps."""
    arcs = [cost for index in sheet.design.arcs if (cost := sheet.arc_cost(index)) is not None]
    steps = []
    for index, group, units in sheet.design.steps:
        count = sheet.ledger.choice(f"{key}/steps/{index}/{group}/units", units, "units", DESIGN)
        step = sheet.problem.steps[index]
        inputs = [
            id
            for price, number in step.items
            if not is_free(sheet.problem, price)
            for id in (sheet.npv[price], sheet.count(number, sheet.problem.prices[price].per, "units of one step"))
        ]
        each = sheet.ledger.formula(f"{key}/steps/{index}", "finance.products", "JPY", inputs)
        steps.append(sheet.ledger.formula(f"{key}/steps/{index}/{group}", "finance.products", "JPY", [count, each]))
    steps += [cost for _, cost, *_ in sheet.grown(f"{key}/")]
    return sheet.total(key, [*arcs, *steps])


def _shared(sheet: Sheet, together: str, alone: Mapping[str, tuple[Problem, Design]]) -> dict[str, Any]:
    """Each use case designed for itself, all together, and the difference."""
    rows = []
    for usecase, (problem, design) in sorted(alone.items()):
        other = Sheet(sheet.ledger, problem, design, sheet.region, sheet.usecases, f"alone/{usecase}")
        rows.append({"usecase": usecase, "figure": paid_for(other, f"alone/{usecase}")})
    separate = sheet.total("alone/sum", [row["figure"] for row in rows])
    return {"alone": rows, "together": together, "saving": sheet.ledger.formula("alone/saving", "finance.difference", "JPY", [separate, together])}


def _excludes(problem: Problem, design: Design, missing: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The costs without a figure of the technologies of a design: with one of them its cost is a lower bound."""
    return [{"technology": id, "cost": cost} for id in sorted(technologies_used(problem, design)) for cost in missing.get(id, ())]


def _flip(sheet: Sheet, flip: Flip, together: str, missing: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A technology of the design: what would take its place, what that costs more today, and the price at which it would.

    price, now and factor belong to the last design that holds the technology while its prices rise: price = now × factor. first: the factor at
    which today's design stops being the cheapest, and the technologies of the one that is cheaper from there on; None where that is `factor`.
    """
    key = f"flip/{flip.technology}"
    row: dict[str, Any] = {"technology": flip.technology, "reason": flip.reason, "instead": [], "per": flip.per, "mixed": flip.mixed, "exact": flip.exact}
    row |= dict.fromkeys(("price", "now", "factor", "difference", "first")) | {"excludes": []}
    if flip.without is None or flip.at is None:
        return row
    without = paid_for(Sheet(sheet.ledger, *flip.without, sheet.region, sheet.usecases, f"{key}/without"), f"{key}/without")
    rest, own, units = _parted(Sheet(sheet.ledger, *flip.at, sheet.region, sheet.usecases, f"{key}/at"), key, flip)
    if flip.first is not None:
        before, paid, _ = _parted(sheet, f"{key}/today", flip)
        after, kept, _ = _parted(Sheet(sheet.ledger, *flip.first, sheet.region, sheet.usecases, f"{key}/first"), f"{key}/first", flip)
        less = sheet.ledger.formula(f"{key}/first/less", "finance.difference", "JPY", [paid, kept])
        factor = sheet.ledger.formula(f"{key}/first/factor", "design.break_even", "1", [after, before, less])
        row["first"] = {"factor": factor, "technologies": sorted(technologies_used(*flip.first))}
    return row | {
        "instead": sorted(technologies_used(*flip.without)),
        "price": sheet.ledger.formula(f"{key}/price", "design.break_even", f"JPY/{flip.per}", [without, rest, units]),
        "now": sheet.ledger.formula(f"{key}/now", "design.per_unit", f"JPY/{flip.per}", [own, units]),
        "factor": sheet.ledger.formula(f"{key}/factor", "design.break_even", "1", [without, rest, own]),
        "difference": sheet.ledger.formula(f"{key}/difference", "finance.difference", "JPY", [without, together]),
        "excludes": _excludes(*flip.without, missing),
    }


def _parted(sheet: Sheet, key: str, flip: Flip) -> tuple[str, str, str]:
    """(what a design costs without one technology, what that technology costs today, its units), by figure id."""
    problem, ledger = sheet.problem, sheet.ledger
    rest: list[str] = []
    own: list[str] = []
    units: list[str] = []
    for index in sheet.design.arcs:
        arc = problem.arcs[index]
        mine = [(price, number) for price, number in arc.items if problem.prices[price].technology == flip.technology]
        if not mine:
            rest += [cost] if (cost := sheet.arc_cost(index)) is not None else []
            continue
        for name, part, items in (("own", own, mine), ("rest", rest, [item for item in arc.items if item not in mine])):
            if items:
                inputs = [id for price, number in items for id in (sheet.npv[price], sheet.units_of(arc, price, number))]
                part.append(ledger.formula(f"{key}/{name}/{arc_name(problem, index)}", "finance.products", "JPY", inputs))
        units += [sheet.units_of(arc, price, number) for price, number in mine if problem.prices[price].cost == flip.cost]
    for index, group, bought in sheet.design.steps:
        step = problem.steps[index]
        part = own if step.technology == flip.technology else rest
        name = f"{key}/steps/{index}/{group}"
        count = ledger.choice(f"{name}/units", bought, "units", DESIGN)
        each = {price: sheet.count(number, problem.prices[price].per, "units of one step") for price, number in step.items}
        cost = ledger.formula(f"{name}/each", "finance.products", "JPY", [id for price in each for id in (sheet.npv[price], each[price])])
        part.append(ledger.formula(name, "finance.products", "JPY", [count, cost]))
        units += [
            ledger.formula(f"{name}/bought", "design.product", problem.prices[price].per, [count, each[price]])
            for price in each
            if part is own and problem.prices[price].cost == flip.cost
        ]
    for index, cost_later, *_ in sheet.grown(f"{key}/"):
        (own if problem.steps[index].technology == flip.technology else rest).append(cost_later)
    return sheet.total(f"{key}/rest", rest), sheet.total(f"{key}/own", own), ledger.formula(f"{key}/units", "finance.sum", str(flip.per), units)


def _buy(sheet: Sheet, variant: tuple[Problem, Design], missing: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The design of bought services alone: its cost, or what it cannot serve and which services have no price or an unknown coverage."""
    problem, design = variant
    paid = paid_for(Sheet(sheet.ledger, problem, design, sheet.region, sheet.usecases, "buy"), "buy")
    unpriced = {exclusion.technology for exclusion in problem.exclusions if exclusion.state == "unpriced"} | {id for *_, ids in problem.no_way for id in ids}
    unknown = {exclusion.technology for exclusion in problem.exclusions if exclusion.state == "unknown" and exclusion.need == "coverage"}
    return {
        "cost_npv": paid if design.status in COMPLETE else None,
        "priced_part": paid,
        "technologies": sorted(technologies_used(problem, design)),
        "unserved": [{"site": site, "usecase": usecase} for site, usecase in design.unserved],
        "unpriced": sorted(unpriced),
        "unknown_coverage": sorted(unknown),
        "excludes": _excludes(problem, design, missing),
    }
