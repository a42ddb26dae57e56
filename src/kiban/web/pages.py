"""What the templates are given: the plan page, the page of one figure, one row of the list of plans."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kiban.base.formula import formulas
from kiban.base.jdate import era_span, era_year
from kiban.catalogue import KINDS
from kiban.documents.drills import drill_label
from kiban.documents.evidence import facts, others
from kiban.documents.map_svg import COLOURS, UNKNOWN
from kiban.documents.names import figure_name
from kiban.documents.reasons import (
    answers,
    assumed_name,
    bottlenecks_by_site,
    break_even,
    case_cost,
    cases_heading,
    left_out,
    missing_costs,
    near_cases,
    point_text,
    reason,
    row_names,
    to_confirm,
    town_bottleneck_texts,
    whom,
)
from kiban.documents.references import phrase
from kiban.documents.view import View
from kiban.documents.weak_points import bars, ends, objections
from kiban.loop.folder import FILES, paper_names
from kiban.records.case import Case
from kiban.records.plan import Figure

INPUTS_SHOWN = 200
BREAKS_SHOWN = 4
HIDDEN = ("region.json", "inputs.json", "papers.json")
SPAN = re.compile(r"^(\d{4}(?:-\d{2}){0,2})-(\d{4})(?=\D|$)")  # "2018-2019", "2024-01-2026-01": a period, not a day


def plan_page(view: View, path: Path) -> dict[str, Any]:
    """The plan page: what the plan says, and the files with their sizes."""
    return {**plan_said(view), **plan_files(view, path)}


def plan_said(view: View) -> dict[str, Any]:
    """What a page of a plan says of it, computed from the view alone: the same until the plan changes."""
    issue, design, word = view.step("issue"), view.step("design"), view.word
    names, technologies = row_names(view), [row["technology"] for row in design["technologies"]]
    matched = dict.fromkeys(text for match in (*issue["usecases"], *issue["models"]) for text in match["words"])
    places = {f"page.place.{kind}": word(f"page.place.{kind}") for kind in ("exchange", "tower", "office")}
    texts = {
        key: word(key)
        for key in ("page.zoom_in", "page.zoom_out", "page.close", "page.map.alt", "page.assumed", "plan.unserved_mark", "page.in_the_table", "design.cut_it")
    }
    return {
        "view": view,
        "plan": view.plan,
        **{step: view.step(step) for step in ("issue", "needs", "options", "design", "verdict")},
        "period": view.period(),
        "excludes": left_out(view, design.get("excludes", ())),
        "matched_words": list(matched)[:8],
        "cases": [{"case": case, "facts": _facts(case, view)} for case in near_cases(view)],
        "cases_heading": cases_heading(view),
        "answers": answers(view),
        "to_confirm": to_confirm(view),
        "map_words": json.dumps({**texts, **places, "page.show_on_map": word("page.show_on_map", name="{name}")}, ensure_ascii=False),
        "warnings": list(dict.fromkeys(view.say(line) for line in design["warnings"])),
        "colour": lambda id: COLOURS[technologies.index(id) % len(COLOURS)] if id in technologies else UNKNOWN,
        "reason": lambda row: reason(view, row),
        "site_name": lambda id: names.get(id, id),
        "drill_label": lambda row: drill_label(view, row),
        "bottlenecks": bottlenecks_by_site(view),
        "town_bottlenecks": town_bottleneck_texts(view),
        "point_text": lambda point: point_text(view, point, names),
        "objections": objections(view),
        "bars": bars(view)[0],
        "bars_count": bars(view)[1],
        "share_ends": lambda id: ends(view, id),
        "whom": lambda point: whom(view, point),
        "assumed_name": lambda row: assumed_name(view, row),
        "missing_costs": lambda row: missing_costs(view, row),
        "break_even": lambda row: break_even(view, row),
        "fiscal": lambda year: fiscal(view, int(year)),
        "broken": _broken,
        "known_case": lambda id: view.catalogue.cases.get(id),
        "case_cost": lambda case: case_cost(view, case),
        "record_name": lambda record: names.get(record.removeprefix("plants/"), record) if record.startswith("plants/") else view.name(record),
    }


def plan_files(view: View, path: Path) -> dict[str, Any]:
    """The papers and files of a plan as they lie in its folder now."""
    return {
        "papers": _papers(path),
        "paper_gloss": _paper_names(view),
        "files": [
            {"name": name, "key": name.replace(".", "_"), "size": _size((path / name).stat().st_size)}
            for name in FILES
            if (path / name).is_file() and name not in HIDDEN
        ],
    }


def cost_chart(view: View) -> str:
    """The chart of the yearly cost by layer, as JSON; its table stands beside it."""
    rows = view.step("design")["layers"]
    series = [{"name": view.word("value.layer." + row["layer"]), "data": [_thousands(view, id) for id in row["years"]]} for row in rows]
    return json.dumps({"years": view.years(), "unit": view.word("plan.thousand_yen"), "series": series}, ensure_ascii=False)


def _broken(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Breaks of capacity with the same kind, technology and year as one, the earliest first; the first years alone."""
    counts = Counter((row["fiscal"], row["technology"], row["kind"]) for row in rows)
    return [{"fiscal": year, "technology": id, "kind": kind, "count": count} for (year, id, kind), count in sorted(counts.items())][:BREAKS_SHOWN]


def _paper_names(view: View) -> dict[str, str]:
    """What a paper or a folder of papers is, by its Japanese name, in the language of the page; empty in Japanese."""
    own, shown = view.catalogue.words["ja"], view.catalogue.words[view.lang]
    return {} if view.lang == "ja" else {name: shown[key] for key, name in own.items() if key.startswith("page.paper.")}


def _papers(path: Path) -> list[dict[str, Any]]:
    """The papers by folder, each with its formats: what a person opens first stands first."""
    folders: dict[str, dict[str, list[dict[str, str]]]] = {}
    for name in paper_names(path):
        folder, _, file = name.partition("/")
        stem, _, format = file.rpartition(".")
        folders.setdefault(folder, {}).setdefault(stem, []).append({"name": name, "format": format, "size": _size((path / name).stat().st_size)})
    return [{"folder": folder, "papers": [{"title": stem, "files": files} for stem, files in found.items()]} for folder, found in folders.items()]


def figure_page(view: View, key: str) -> dict[str, Any]:
    """One figure: its value, what it is computed from, and the source of a leaf."""
    figure = view.plan.figures[key]
    place, source = view.origin(figure) if figure.kind != "formula" else ("", None)
    inputs = [
        {
            "key": item,
            "name": figure_name(view, item),
            "value": view.number(item).text,
            "unit": view.unit(view.plan.figures[item].unit),
            "confidence": view.plan.figures[item].confidence,
        }
        for item in figure.inputs[:INPUTS_SHOWN]
    ]
    return {
        "view": view,
        "key": key,
        "name": figure_name(view, key),
        "figure": figure,
        "facts": [] if figure.kind == "formula" else facts(view, figure),
        "others": [] if figure.kind == "formula" else others(view, key),
        "value": view.number(key).text,
        "unit": view.unit(figure.unit),
        "range": _ends(view, figure),
        "place": phrase(view, place),
        "entry": entry_of(view, figure),
        "source": source,
        "formula_text": _formula(view, figure.formula),
        "inputs": inputs,
        "more": max(0, len(figure.inputs) - INPUTS_SHOWN),
        "count": len(figure.inputs),
    }


def entry_of(view: View, figure: Figure) -> str:
    """The entry of the catalogue that a leaf was read from, as "kind/id"; empty where it is none of its entries."""
    kind, _, rest = (figure.ref or "").partition(" ")[0].partition("/")
    id = rest.partition("#")[0].partition("@")[0]
    return f"{kind}/{id}" if kind in KINDS and id in view.catalogue.of(kind) else ""


def fiscal(view: View, year: int) -> str:
    """A fiscal year as a table heads it: R9, FY2027."""
    return era_year(year, short=True) if view.lang == "ja" else f"FY{year}"


def conditions(view: View) -> list[str]:
    """The conditions that a plan was designed under, in words; empty where there were none."""
    design, word = view.step("design"), view.word
    said = [word("again.is.traffic", name=view.name(f"traffic/{row['id']}")) for row in design.get("growth") or () if row.get("applied")]
    money: Mapping[str, Any] = design.get("money") or {}
    if money.get("asked"):
        said.append(word("again.is.budget", amount=view.money(money["asked"]).text))
    if design.get("phases"):
        said.append(word("again.is.phases", count=len(design["phases"]["years"])))
    limit = (design.get("energy") or {}).get("limit")
    if limit:
        said.append(word("again.is.kwh", kwh=view.number(limit, 0).text))
    return said


def index_row(view: View, name: str) -> dict[str, Any]:
    """One plan in the list."""
    return {
        "view": view,
        "name": name,
        "trouble": "",
        "sentence": view.plan.sentence,
        "region": view.local(view.region_name),
        "made": view.plan.made_on,
        "conditions": conditions(view),
        "total": _total(view),
        "verdict": view.step("verdict")["status"],
    }


def _total(view: View) -> str:
    """The net present value for a list; empty where there is none."""
    design = view.step("design")
    if not design["cost_npv"]:
        return ""
    amount = view.headline(design["cost_npv"]).text
    return view.word("page.at_least", amount=amount) if design.get("lower_bound_only") else amount


def _formula(view: View, id: str | None) -> str:
    """What a formula does: in words, else as its code says."""
    said = view.catalogue.words[view.lang].get(f"formula.{id}")
    named = formulas().get(id or "")
    return said or ((inspect.getdoc(named.compute) or "").splitlines()[0] if named else "")


def _facts(case: Case, view: View) -> list[str]:
    """Where, when, what it cost: what is known of a case, in a line."""
    word = view.word
    where = f"{case.prefecture or ''}{case.municipality or ''}" or (word("value.kind." + case.kind) if case.kind != "project" else "")
    parts = [where, _period(case.period or "", view.lang)]
    return [part for part in (*parts, *case_cost(view, case)) if part]


def _period(period: str, lang: str) -> str:
    return era_span(period) if lang == "ja" else SPAN.sub(r"\1〜\2", period)


def _ends(view: View, figure: Figure) -> str:
    """The range of a figure; empty where it has none."""
    if figure.low is None or figure.high is None:
        return ""
    low, high = (view.digits(end, figure.unit) for end in (figure.low, figure.high))
    return view.word("page.range_is", range=view.word("show.range", low=low, high=high))


def _thousands(view: View, id: str) -> float:
    figure = view.figure(id)
    return round(figure.value / 1000) if figure and figure.value is not None else 0


def _size(count: int) -> str:
    """A file size as people say it.

    >>> _size(900), _size(2_500_000)
    ('0.9 kB', '2.5 MB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
