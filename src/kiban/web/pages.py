"""What the templates are given: the plan page and the page of one figure."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kiban.base.formula import formulas
from kiban.documents.amounts import plain, yen
from kiban.documents.reasons import missing_costs, point_text, reason
from kiban.documents.view import View
from kiban.loop.files import FILES, Folder

INPUTS_SHOWN = 200


def plan_page(view: View, folder: Folder, path: Path) -> dict[str, Any]:
    """The plan page: the view, the nearest cases, the chart's numbers, the files with their sizes."""
    issue, design = view.step("issue"), view.step("design")
    names: Mapping[str, str] = {row["site"]: row["name"] for row in design["sites"]} | {row["id"]: row["name"] for row in design["assumed"]}
    matched = dict.fromkeys(word for match in (*issue["usecases"], *issue["models"]) for word in match["words"])
    cases = [{"case": view.catalogue.cases[row["id"]], "words": row["words"]} for row in issue["cases"] if row["id"] in view.catalogue.cases]
    chart = {
        "years": view.years(),
        "unit": view.word("plan.thousand_yen"),
        "series": [{"name": view.word("value.layer." + row["layer"]), "data": [_thousands(view, id) for id in row["years"]]} for row in design["layers"]],
    }
    plants = {plant.id: plant.name for plant in folder.region.plants}
    return {
        "view": view,
        "plan": view.plan,
        "matched_words": list(matched)[:8],
        "cases": cases,
        "chart_json": json.dumps(chart, ensure_ascii=False),
        "reason": lambda row: reason(view, row),
        "point_text": lambda point: point_text(view, point, names),
        "missing_costs": lambda row: missing_costs(view, row),
        "record_name": lambda record: plants.get(record.partition("/")[2], "") if record.startswith("plants/") else view.name(record),
        "yen": lambda amount: yen(amount, view.lang),
        "files": [
            {"name": name, "key": name.replace(".", "_"), "size": _size((path / name).stat().st_size)}
            for name in FILES
            if (path / name).is_file() and name != "region.json"
        ],
    }


def figure_page(view: View, key: str) -> dict[str, Any]:
    """One figure: its value, what it is computed from, and the source of a leaf."""
    figure = view.plan.figures[key]
    place, source = view.origin(figure) if figure.kind != "formula" else ("", None)
    named = formulas().get(figure.formula or "")
    text = (inspect.getdoc(named.compute) or "").splitlines() if named else []
    inputs = [
        {"key": item, "value": view.number(item).text, "unit": view.plan.figures[item].unit, "confidence": view.plan.figures[item].confidence}
        for item in figure.inputs
    ]
    return {
        "key": key,
        "figure": figure,
        "value": view.number(key).text,
        "place": place,
        "source": source,
        "formula_text": text[0] if text else "",
        "inputs": inputs[:INPUTS_SHOWN],
        "more": max(0, len(inputs) - INPUTS_SHOWN),
        "plain": plain,
    }


def _thousands(view: View, id: str) -> float:
    figure = view.figure(id)
    return round(figure.value / 1000) if figure and figure.value is not None else 0


def _size(count: int) -> str:
    """A file size as people say it.

    >>> _size(900), _size(2_500_000)
    ('0.9 kB', '2.5 MB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
