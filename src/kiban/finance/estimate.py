"""The estimate 積算: every priced cost item of a design as one line, and every item without a price as a line that awaits its quotation.

In: the prices of a problem, the plan's ledger, the technologies, the list of budget sections, and what people put in by hand. Out: lines.
A line's price is the town's own unit price, else the median of the quotes, else the published figure that the design was computed with.
Sums, tax and rounding are left to finance.budget; nothing is rounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from kiban.base.errors import FinanceError
from kiban.finance.quotes import unit_price
from kiban.finance.spending import spending
from kiban.records.design import Price, Problem
from kiban.records.funding import COMPONENT, Basis, Inputs, Line
from kiban.records.model import Component
from kiban.records.plan import Figure
from kiban.records.region import Plant
from kiban.records.rule import DatedList
from kiban.records.source import Confidence, Quantity, Tax, Text
from kiban.records.support import Category
from kiban.records.technology import Cost, Technology

# Where no section names a scope tag: what is bought counts as equipment, what is paid every year as a service.
FALLBACK: dict[str, Category] = {"initial": "equipment", "yearly": "service"}


def line_id(technology: str, cost: str, plant: str | None = None) -> str:
    """The id of a line, the same in every paper and every answer of a supplier.

    >>> line_id("fibre", "cable"), line_id("old-fibre", "upkeep", "plant-1")
    ('fibre.cable', 'old-fibre.upkeep.plant-1')
    """
    return ".".join(part for part in (technology, cost, plant) if part)


def section_of(scope: Sequence[str], phase: str, sections: DatedList) -> tuple[str, Category]:
    """The budget section and the category of a cost by the tags of its scope.

    The entry that shares most tags is taken, of several the first in the list; an entry with `when.phase` counts for that phase only.
    Where no entry shares a tag: the first entry of the category of FALLBACK.

    Raises
    ------
    FinanceError  the list has no entry with a category for that phase

    >>> from datetime import date
    >>> from kiban.records.rule import Entry
    >>> works = Entry(id="works", name=Text(ja="工事請負費", en="works"), when={"category": "works"}, tags=("cable", "installation"))
    >>> goods = Entry(id="goods", name=Text(ja="備品購入費", en="goods"), when={"category": "equipment"}, tags=("terminal",))
    >>> form = DatedList(since=date(2020, 4, 1), entries=(works, goods), source="page")
    >>> section_of(("terminal",), "initial", form), section_of(("terminal", "installation"), "initial", form), section_of(("moon",), "initial", form)
    (('goods', 'equipment'), ('works', 'works'), ('goods', 'equipment'))
    """
    fitting = [entry for entry in sections.entries if "category" in entry.when and entry.when.get("phase", phase) == phase]
    shared = [len(set(entry.tags) & set(scope)) for entry in fitting]
    if any(shared):
        found = fitting[shared.index(max(shared))]
    else:
        usual = [entry for entry in fitting if entry.when["category"] == FALLBACK[phase]] or fitting
        if not usual:
            raise FinanceError("rules/budget-form", f"no section for phase {phase}", "entries with when.category", "add one entry per category")
        found = usual[0]
    return found.id, found.when["category"]  # type: ignore[return-value]  # the list holds categories of records.support


def estimate(
    problem: Problem,
    figures: Mapping[str, Figure],
    technologies: Mapping[str, Technology],
    sections: DatedList,
    *,
    excludes: Iterable[tuple[str, str]] = (),
    plants: Iterable[Plant] = (),
    parts: Iterable[Component] = (),
    inputs: Inputs | None = None,
) -> tuple[Line, ...]:
    """All lines, ordered by id: those that the design pays for, and the awaiting ones.

    Parameters
    ----------
    problem       its prices, horizon and first year
    figures       the ledger; the units of a price are the figure "units/<price id>"
    sections      rules/budget-form: entries with id = section, when.category = category, tags = tags of cost scopes
    excludes      (technology, cost) of a design that have no price: their lines await one; the quantity is that of another cost of the
                  same technology with the same unit, None where there is none
    plants        existing plant, for the name of its lines
    parts         components of the standard model: what the specification asks for and no line pays for gets an awaiting line of one unit,
                  "component.<id>", so that the estimate does not look complete where it is not
    inputs        own quantities and unit prices by line id (basis "town"), quotes (basis "quotes": the median of the n answers)

    Raises
    ------
    FinanceError  a cost that the data files do not have any more, or a list of sections without a category

    >>> from datetime import date
    >>> from kiban.records.design import Node
    >>> from kiban.records.rule import Entry
    >>> from kiban.records.source import Source
    >>> from kiban.records.technology import Wiring
    >>> word = Text(ja="無線機", en="radio")
    >>> fee = Cost(id="fee", name=word, phase="yearly", per="site", scope=("service",), evidence=(Quantity(unit="JPY/site/year", needs_source=True),))
    >>> radio = Technology(
    ...     name=word, summary=word, layer="access", medium="ntn", wiring=Wiring(pattern="direct"), checked_on=date(2026, 11, 23), costs=(fee,),
    ...     sources={"page": Source(title="A page", seen_on=date(2026, 11, 23))},
    ... )
    >>> form = DatedList(since=date(2020, 4, 1), source="page", entries=(Entry(id="fees", name=word, when={"category": "service"}, tags=("service",)),))
    >>> problem = Problem(region="r", start=2027, horizon=2, discount=0.0, prices=(), nodes=(Node(kind="root", ref="world"),), arcs=(), demands=())
    >>> (line,) = estimate(problem, {}, {"radio": radio}, form, excludes=[("radio", "fee")])
    >>> line.id, line.basis, line.unit_yen, line.yearly
    ('radio.fee', 'awaiting', None, ())
    >>> own = Inputs(prices={"radio.fee": 1000.0}, quantities={"radio.fee": 3.0})
    >>> estimate(problem, {}, {"radio": radio}, form, excludes=[("radio", "fee")], inputs=own)[0].yearly
    (3000.0, 3000.0)
    """
    given = inputs or Inputs()
    names = {plant.id: plant.name for plant in plants}
    rows = [_priced(price, problem, figures, technologies, sections, names) for price in problem.prices if f"units/{price.id}" in figures]
    known = {row.line.id for row in rows}
    for technology, cost in excludes:
        row = _awaiting(technology, cost, problem, figures, technologies, sections)
        if row.line.id not in known:
            rows.append(row)
    paid = {row.line.technology for row in rows}
    rows += [_part(part, problem, sections) for part in parts if not paid & set(part.technologies)]
    return tuple(_by_hand(row, problem, given) for row in sorted(rows, key=lambda row: row.line.id))


@dataclass(frozen=True)
class _Draft:
    """A line before people's own values are put in, and the price whose spending it follows (unit_yen is replaced where the price is another)."""

    line: Line
    schedule: Price


def _cost_of(technologies: Mapping[str, Technology], technology: str, cost: str) -> tuple[Technology, Cost]:
    record = technologies.get(technology)
    found = next((one for one in record.costs if one.id == cost), None) if record else None
    if record is None or found is None:
        raise FinanceError(f"technologies/{technology}.yaml", f"no cost {cost!r}", "the data file that the plan was made with", "make the plan again")
    return record, found


def _priced(
    price: Price, problem: Problem, figures: Mapping[str, Figure], technologies: Mapping[str, Technology], sections: DatedList, names: Mapping[str, str]
) -> _Draft:
    """The line of a price that the design pays."""
    technology, cost = _cost_of(technologies, price.technology, price.cost)
    plant = price.id.partition("@")[2] or None
    section, category = section_of(cost.scope, price.phase, sections)
    quantity = figures[f"units/{price.id}"].value
    used = _used(price, figures)
    seen = _evidence(price, figures, cost)
    name = cost.name
    if plant:
        called = names.get(plant, plant)
        name = Text(ja=f"{cost.name.ja}（{called}）", en=f"{cost.name.en} ({called})")
    low, high = _factors(price, figures, problem.horizon)
    life = (cost.lifetime_years or technology.lifetime_years) if price.phase == "initial" else None
    line = Line(
        id=line_id(price.technology, price.cost, plant),
        technology=price.technology,
        cost=price.cost,
        name=name,
        phase=price.phase,
        per=price.per,
        section=section,
        category=category,
        quantity=quantity,
        unit_yen=price.unit_yen[0],
        life=price.life,
        life_low=None if life is None else life.low,
        life_high=None if life is None else life.high,
        low=low,
        high=high,
        tax=_tax(seen),
        basis="published",
        basis_year=max((year for one in seen if (year := one.fiscal_year or one.year) is not None), default=None),
        confidence=price.confidence,
        ref=used,
        source=" / ".join(dict.fromkeys(technology.sources[one.source].title for one in seen if one.source in technology.sources)) or None,
    )
    return _Draft(line, price)


def _awaiting(
    technology_id: str, cost_id: str, problem: Problem, figures: Mapping[str, Figure], technologies: Mapping[str, Technology], sections: DatedList
) -> _Draft:
    """The line of a cost that nobody prices."""
    technology, cost = _cost_of(technologies, technology_id, cost_id)
    section, category = section_of(cost.scope, cost.phase, sections)
    siblings: dict[str, list[float]] = {}
    for price in problem.prices:
        figure = figures.get(f"units/{price.id}")
        if price.technology == technology_id and price.per == cost.per and figure is not None and figure.value is not None:
            siblings.setdefault(price.cost, []).append(figure.value)
    quantity = sum(next(iter(siblings.values()))) if siblings else None
    own = (cost.lifetime_years or technology.lifetime_years) if cost.phase == "initial" else None
    life = None if own is None else own.value
    line = Line(
        id=line_id(technology_id, cost_id),
        technology=technology_id,
        cost=cost_id,
        name=cost.name,
        phase=cost.phase,
        per=cost.per,
        section=section,
        category=category,
        quantity=quantity,
        unit_yen=None,
        life=life,
        life_low=None if own is None else own.low,
        life_high=None if own is None else own.high,
        tax=Tax.unknown,
        basis="awaiting",
    )
    schedule = Price(
        id=f"{technology_id}#{cost_id}",
        technology=technology_id,
        cost=cost_id,
        phase=cost.phase,
        per=cost.per,
        unit_yen=(0.0,) if cost.phase == "initial" else (0.0,) * problem.horizon,
        life=(life or float(problem.horizon)) if cost.phase == "initial" else None,  # of unknown life: bought once
        npv=0,
        low=0,
        high=0,
        confidence=Confidence.D,
    )
    return _Draft(line, schedule)


def _part(part: Component, problem: Problem, sections: DatedList) -> _Draft:
    """The line of a component of the model that no technology of the design stands for: one unit, price awaited."""
    wanted = "software" if part.layer in ("core", "middleware", "app") else "equipment"
    entry = next((one for one in sections.entries if one.when.get("category") == wanted), sections.entries[0])
    line = Line(
        id=f"{COMPONENT}.{part.id}",
        technology=COMPONENT,
        cost=part.id,
        name=part.name,
        phase="initial",
        per="system",
        section=entry.id,
        category=entry.when["category"],  # type: ignore[arg-type]  # the list holds categories of records.support
        quantity=1.0,
        unit_yen=None,
        tax=Tax.unknown,
        basis="awaiting",
    )
    schedule = Price(
        id=f"{COMPONENT}#{part.id}",
        technology=COMPONENT,
        cost=part.id,
        phase="initial",
        per="system",
        unit_yen=(0.0,),
        life=float(problem.horizon),
        npv=0,
        low=0,
        high=0,
        confidence=Confidence.D,
    )
    return _Draft(line, schedule)


def _by_hand(draft: _Draft, problem: Problem, inputs: Inputs) -> Line:
    """The line with the town's own quantity and price, or the median of the quotes, and its amounts by year."""
    line, price = draft.line, draft.schedule
    if line.id in inputs.quantities:
        stale = line.id in inputs.replaced and inputs.replaced[line.id] != line.quantity
        line = replace(line, quantity=inputs.quantities[line.id], designed=line.quantity, stale=stale)
    quoted = unit_price(inputs.quotes, line.id)
    if line.id in inputs.prices:
        line, price = _another(line, price, inputs.prices[line.id], "town", 0, 1.0, 1.0)
    elif quoted is not None:
        amount = quoted.unit_yen
        low, high = (quoted.low / amount, quoted.high / amount) if amount else (1.0, 1.0)
        line, price = _another(line, price, amount, "quotes", quoted.count, low, high)
    if line.unit_yen is None or line.quantity is None:
        return line
    return replace(line, yearly=tuple(line.quantity * amount for amount in spending(price, problem.horizon)))


def _another(line: Line, price: Price, amount: float, basis: Basis, count: int, low: float, high: float) -> tuple[Line, Price]:
    """The same line at another unit price: every year and every purchase costs that; it excludes tax, as the forms ask for."""
    line = replace(
        line,
        unit_yen=amount,
        basis=basis,
        basis_year=None,
        quotes=count,
        low=min(1.0, low),
        high=max(1.0, high),
        tax=Tax.excluded,
        confidence=Confidence.A if basis == "quotes" else None,
        ref=None,
        source=None,
    )
    return line, replace(price, unit_yen=(amount,) * len(price.unit_yen))


def _used(price: Price, figures: Mapping[str, Figure]) -> str | None:
    """The figure of the unit price in the first year."""
    npv = figures.get(f"prices/{price.id}/npv")
    place = 0 if price.phase == "initial" else 1
    return npv.inputs[place] if npv is not None and len(npv.inputs) > place else None


def _factors(price: Price, figures: Mapping[str, Figure], horizon: int) -> tuple[float, float]:
    """The sum over the horizon at the least and at the greatest evidence, each divided by the sum."""
    npv, spent = figures.get(f"prices/{price.id}/npv"), spending(price, horizon)
    whole = sum(spent)
    if npv is None or not whole:
        return 1.0, 1.0
    used = [npv.inputs[0]] * horizon if price.phase == "initial" else list(npv.inputs[1 : 1 + horizon])
    ends = []
    for side in ("low", "high"):
        total = 0.0
        for amount, id in zip(spent, used, strict=True):
            figure = figures[id]
            end = getattr(figure, side)
            total += amount * (1.0 if end is None or not figure.value else end / figure.value)
        ends.append(total / whole)
    return min(1.0, ends[0]), max(1.0, ends[1])


def _evidence(price: Price, figures: Mapping[str, Figure], cost: Cost) -> list[Quantity]:
    """The pieces of evidence that the price was computed from: the leaves of its figure that are of this cost."""
    leaf = re.compile(re.escape(f"technologies/{price.technology}#{price.cost}/") + r"(\d+)\Z")
    open_ids, seen, found = [f"prices/{price.id}/npv"], set(), set()
    while open_ids:
        id = open_ids.pop()
        if id in seen or id not in figures:
            continue
        seen.add(id)
        if match := leaf.match(id):
            found.add(int(match[1]))
        open_ids.extend(figures[id].inputs)
    return [cost.evidence[index] for index in sorted(found) if index < len(cost.evidence)]


def _tax(evidence: Sequence[Quantity]) -> Tax:
    """The tax state of a price: unknown as soon as one piece is; of several known states, excluded, since each was brought to that."""
    states = {one.tax for one in evidence}
    if not states or Tax.unknown in states:
        return Tax.unknown
    return states.pop() if len(states) == 1 else Tax.excluded
