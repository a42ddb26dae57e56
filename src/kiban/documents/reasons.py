"""Sentences that page, workbook and PDF share: why a site gets what it gets, what is open and whom to ask.

In: a view and a row of a step's body. Out: text. The words stand in data/words; here is only which of them fit a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiban.documents.view import View


def reason(view: View, row: Mapping[str, Any]) -> str:
    """Why a site is served as it is, in one or two sentences."""
    parts = [view.word("reason." + row["reason"])]
    if row.get("binding"):
        parts.append(view.word("reason.binding", need=view.word("field." + row["binding"])))
    return " ".join(parts) if view.lang == "en" else "".join(parts)


def point_text(view: View, point: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """One open point of the verdict and whom to ask."""
    about = [names.get(item, view.name(item) if "/" in item else item) for item in point["about"]]
    joint = "、" if view.lang == "ja" else ", "
    sites = [names.get(site, site) for site in point.get("sites", ())]
    shown = joint.join(sites[:3]) + (view.word("point.and_more", count=len(sites) - 3) if len(sites) > 3 else "")
    text = view.word("point." + point["kind"], about=joint.join(about), sites=shown, price=str(view.money(point.get("figure"))))
    return f"{text} {view.word(point['ask'])}"


def missing_costs(view: View, row: Mapping[str, Any]) -> str:
    """The cost items of an unpriced technology that no source gives."""
    technology = view.catalogue.technologies.get(row["technology"])
    names = {cost.id: (cost.name.ja if view.lang == "ja" else cost.name.en) for cost in technology.costs} if technology else {}
    listed = [names.get(cost, cost) for cost in row["missing"]]
    return ("、" if view.lang == "ja" else ", ").join(listed) or view.word("page.all_costs")
