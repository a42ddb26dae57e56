"""What a data file says of a leaf of the ledger: year, tax state, what is included, notes; and the other evidence of the same cost item.

In: a view and a figure whose reference names a place in a data file. Out: pairs of label and text. Nothing is computed here.
"""

from __future__ import annotations

import re
from typing import Any

from kiban.documents.view import View
from kiban.records.plan import Figure
from kiban.records.source import Quantity, Tax
from kiban.records.technology import Cost, Technology

PLACE = re.compile(r"^(?P<kind>technologies|usecases|rules)/(?P<id>[^#@ ]+)(?:@(?P<since>[\d-]+)|#(?P<path>\S+))")
NO_END = ("low", "high")  # ends of a range: what is said of the figure is said of them


def _found(view: View, figure: Figure) -> tuple[Any, tuple[str, ...]]:
    """The entry and the path in it that a reference names; (None, ()) where it names none or the file is gone."""
    place = PLACE.match(figure.ref or "")
    entry = view.catalogue.of(place["kind"]).get(place["id"]) if place else None
    if place is None or entry is None:
        return None, ()
    return (entry, tuple(place["path"].split("."))) if place["path"] else (entry, ("since", place["since"]))


def quantity_of(view: View, figure: Figure) -> Quantity | None:
    """The quantity of a data file that a leaf was read from; None where the leaf is no quantity of a file."""
    entry, path = _found(view, figure)
    thing: Any = entry
    for step in path[:-1] if path and path[-1] in NO_END else path:
        if step == "since":
            thing = {str(value.since): value.quantity for value in entry.values}
        elif isinstance(thing, dict):
            thing = thing.get(step)
        elif isinstance(thing, tuple):
            thing = thing[int(step)] if step.isdigit() and int(step) < len(thing) else next((one for one in thing if getattr(one, "id", "") == step), None)
        else:
            thing = getattr(thing, step, None)
    return thing if isinstance(thing, Quantity) else None


def cost_of(view: View, figure: Figure) -> tuple[Technology, Cost, int] | None:
    """The technology, the cost item and the place in its evidence of a leaf that is a price."""
    entry, path = _found(view, figure)
    if not isinstance(entry, Technology) or len(path) != 4 or path[0] != "costs" or path[2] != "evidence":
        return None
    cost = next((one for one in entry.costs if one.id == path[1]), None)
    return None if cost is None else (entry, cost, int(path[3]))


def tag(view: View, name: str) -> str:
    """What a tag of a scope means."""
    return view.catalogue.words[view.lang].get("scope." + name) or name.replace("_", " ")


def facts(view: View, figure: Figure) -> list[tuple[str, str]]:
    """What the data file says of a leaf besides value, unit, range, confidence and source."""
    word, quantity, priced = view.word, quantity_of(view, figure), cost_of(view, figure)
    if quantity is None:
        return []
    rows = []
    if year := _year(view, quantity):
        rows.append((word("field.year"), year))
    if quantity.unit.startswith("JPY"):
        rows.append((word("field.tax"), word(f"value.tax.{quantity.tax}")))
    scope = quantity.scope or (priced[1].scope if priced else ())
    if scope:
        rows.append((word("field.scope"), view.joined([tag(view, name) for name in scope])))
    if quantity.derived or quantity.foreign:
        rows.append((word("figure.nature"), view.joined([word(f"show.{flag}") for flag in ("derived", "foreign") if getattr(quantity, flag)])))
    if quantity.note:
        rows.append((word("field.note"), quantity.note))
    return rows


def others(view: View, key: str) -> list[dict[str, str]]:
    """The other evidence of the cost item of a leaf: value, unit, what is said of it, whether the plan uses it, the id of its figure if it has one."""
    figures = view.plan.figures
    priced = cost_of(view, figures[key])
    if priced is None:
        return []
    technology, cost, own = priced
    item = key.rpartition("/")[0]
    direct = {input for id, figure in figures.items() if id.startswith(item + "/used") for input in figure.inputs}
    used = direct | {input for id in direct if id in figures for input in figures[id].inputs}
    rows = []
    for index, quantity in enumerate(cost.evidence):
        if index == own:
            continue
        id = f"{item}/{index}"
        state = "used" if id in used else "empty" if quantity.value is None else "foreign" if quantity.foreign else "not_used"
        source = technology.sources.get(quantity.source or "")
        told = [_year(view, quantity), "" if quantity.tax is Tax.none else view.word(f"value.tax.{quantity.tax}")]
        told += [view.joined([tag(view, name) for name in quantity.scope]), quantity.note or "", source.title if source else ""]
        rows.append(
            {
                "key": id if id in figures else "",
                "value": view.word("view.unknown") if quantity.value is None else view.digits(quantity.value, quantity.unit),
                "unit": view.unit(quantity.unit),
                "confidence": str(quantity.confidence or ""),
                "state": view.word("evidence." + state),
                "told": " · ".join(part for part in told if part),
            }
        )
    return rows


def _year(view: View, quantity: Quantity) -> str:
    """The fiscal year or the year of a figure; empty where the file gives none."""
    if quantity.fiscal_year is not None:
        return view.word("show.fiscal_year", year=quantity.fiscal_year)
    return "" if quantity.year is None else view.word("show.price_year", year=quantity.year)
