"""Sentences that page, workbook and PDF share: why a site gets what it gets, what is open and whom to ask.

In: a view and a row of a step's body. Out: text. The words stand in data/words; here is only which of them fit a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kiban.documents.view import View

SITES_SHOWN = 3


def reason(view: View, row: Mapping[str, Any]) -> str:
    """Why a site is served as it is, in one or two sentences."""
    parts = [view.word("reason." + row["reason"])]
    if row.get("binding"):
        parts.append(view.word("reason.binding", need=view.word("field." + row["binding"])))
    return " ".join(parts) if view.lang == "en" else "".join(parts)


def row_names(view: View) -> dict[str, str]:
    """Names of the sites and of the assumed rows of a plan, by id."""
    design = view.step("design")
    return {row["site"]: view.local(row["name"]) for row in design["sites"]} | {row["id"]: assumed_name(view, row) for row in design["assumed"]}


def assumed_name(view: View, row: Mapping[str, Any]) -> str:
    """The name of an assumed row; a fact of the municipality has a word for its id."""
    return view.catalogue.words[view.lang].get("fact." + row["id"]) or view.local(row["name"])


def point_text(view: View, point: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """One open point of the verdict, in one sentence."""
    about = [names.get(item, view.name(item) if "/" in item else item) for item in point["about"]]
    sites = [names.get(site, site) for site in point.get("sites", ())]
    more = len(sites) - SITES_SHOWN
    shown = view.joined(sites[:SITES_SHOWN]) + ("" if more <= 0 else ("" if view.lang == "ja" else " ") + view.word("point.and_more", count=more))
    low, required = (view.quantity(point[key]) if key in point and point["kind"] == "capability" else "" for key in ("figure", "required"))
    return view.word(
        "point." + point["kind"],
        about=view.joined(about),
        sites=shown,
        price=str(view.money(point["figure"])) if point["kind"] == "quotation" else "",
        need=view.word("field." + point["need"]) if "need" in point else "",
        costs=view.joined([cost_name(view, item.partition("/")[2], cost) for item in point["about"] for cost in point.get("costs", ())]),
        low=low,
        required=required,
    )


def whom(view: View, point: Mapping[str, Any]) -> str:
    """Whom to ask about an open point."""
    return view.word("ask.of", whom=view.local(point["ask_whom"])) if "ask_whom" in point else view.word(point["ask"])


def cost_name(view: View, technology: str, cost: str) -> str:
    """The name of a cost item of a technology."""
    found = view.catalogue.technologies.get(technology)
    names = {one.id: one.name for one in found.costs} if found else {}
    return cost if cost not in names else names[cost].ja if view.lang == "ja" else names[cost].en


def missing_costs(view: View, row: Mapping[str, Any]) -> str:
    """The cost items of an unpriced technology that no source gives."""
    return view.joined([cost_name(view, row["technology"], cost) for cost in row["missing"]]) or view.word("page.all_costs")


def break_even(view: View, row: Mapping[str, Any]) -> str:
    """What is known of the price at which an unpriced technology enters, where it has no figure."""
    return view.word("plan.never_enters" if row["tried"] else "page.not_tried")


def left_out(view: View, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The cost items that the total leaves out because nobody prices them."""
    return [f"{view.name('technologies/' + row['technology'])}: {cost_name(view, row['technology'], row['cost'])}" for row in rows]
