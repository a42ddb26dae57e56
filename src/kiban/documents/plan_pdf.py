"""The plan on one A4 page, as PDF.

In: a view, the region, the problem and the design (for the map). Out: bytes. The font comes with the package; the system's fonts are not used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typst

from kiban.documents.fonts import need_fonts
from kiban.documents.map_svg import COLOURS, design_svg
from kiban.documents.reasons import answers, assumed_name, cases_heading, left_out, near_cases, point_text, row_names, sites_or_km, to_confirm, whom
from kiban.documents.view import Shown, View
from kiban.records.case import Case
from kiban.records.design import Design, Problem
from kiban.records.region import Region

HERE = Path(__file__).parent

# How much is shown, the fullest first: share of the width for the map, rows of each list. The page takes the first that fits.
LEVELS = [
    {"map": 1.5, "technologies": 12, "cases": 5, "points": 20, "assumed": 30, "questions": 5},
    {"map": 1.5, "technologies": 12, "cases": 4, "points": 12, "assumed": 20, "questions": 4},
    {"map": 1.3, "technologies": 10, "cases": 3, "points": 10, "assumed": 16, "questions": 3},
    {"map": 1.1, "technologies": 8, "cases": 2, "points": 8, "assumed": 14, "questions": 0},
    {"map": 0.9, "technologies": 8, "cases": 2, "points": 6, "assumed": 10, "questions": 0},
    {"map": 0.7, "technologies": 6, "cases": 1, "points": 4, "assumed": 6, "questions": 0},
    {"map": 0.6, "technologies": 4, "cases": 1, "points": 2, "assumed": 3, "questions": 0},
]
CASE_LETTERS = 110
TITLE_LETTERS = 400


def plan_pdf(view: View, region: Region, problem: Problem, design: Design) -> bytes:
    """The page. Raises KibanError when the font is not there."""
    fonts = need_fonts()
    word, body, verdict, issue = view.word, view.step("design"), view.step("verdict"), view.step("issue")
    technologies = [row["technology"] for row in body["technologies"]]
    points = [point for point in verdict["points"] if point["kind"] != "assumed"]
    names = row_names(view)
    models = [f"{word('plan.model')}: {view.name('models/' + match['id'])}{view.aside(word('page.proposal'))}" for match in issue["models"][:1]]
    excludes = left_out(view, body.get("excludes", ()))
    data: dict[str, Any] = {
        "lang": view.lang,
        "title": view.quote(_short(view.plan.sentence, TITLE_LETTERS)),
        "label": view.label() or "",
        "eyebrow": " · ".join([view.local(view.region_name), *models]),
        "verdict": word("verdict." + verdict["status"]),
        "verdict_why": word(f"verdict.{verdict['status']}.why", count=len(verdict["points"]), assumed=len(verdict["points"]) - len(points)),
        "answers": [f"{question} {choice}" for question, choice in answers(view)],
        "cards": _cards(view),
        "warnings": [f"{word('page.excludes')}: {view.joined(excludes)}"] if excludes else [],
        "map": design_svg(region, problem, design, technologies, word("page.north")),
        "technologies": [
            {
                "name": view.name("technologies/" + row["technology"]),
                "sites": sites_or_km(view, row),
                "npv": view.thousands(row["npv"]).text,
                "colour": COLOURS[index % len(COLOURS)],
            }
            for index, row in enumerate(body["technologies"])
        ],
        "years": view.years(),
        "layers": [
            *({"name": word("value.layer." + row["layer"]), "years": [view.thousands(id).text for id in row["years"]]} for row in body["layers"]),
            {"name": word("plan.total"), "years": [view.thousands(id).text for id in body["years"]]},
        ],
        "points": [f"{point_text(view, point, names)} {whom(view, point)}" for point in points] or [word("show.none")],
        "assumed": [{"name": assumed_name(view, row), "confirm": view.local(row["confirm"])} for row in body["assumed"]],
        "cases": [_case(case, view) for case in near_cases(view)],
        "questions": [f"{view.say(question['text'])} {view.say(question['changes'])}" for question in issue["questions"]],
        "levels": LEVELS,
        "words": {
            "map": word("plan.map"),
            "map_alt": word("page.map.alt"),
            "map_note": " ".join([word("page.no_base_map"), *([word("plan.candidate_links")] if body["candidates"] else [])]),
            "by_technology": word("plan.by_technology"),
            "technology": word("plan.technology"),
            "sites": word("page.sites_or_km"),
            "two_paths": word("page.two_paths"),
            "range_note": f"{word('page.range')}: {word('page.range_note')}",
            "npv_k": word("page.npv_k"),
            "cost": word("plan.by_layer_and_year"),
            "layer": word("plan.layer"),
            "cost_note": f"{word('page.cost_by_layer.note')} {view.rounding()}",
            "points": word("page.points"),
            "assumed": word("plan.assumed"),
            "row": word("page.row"),
            "confirm": word("plan.assumed_confirm"),
            "cases": cases_heading(view)[0],
            "no_stopped": "" if any(case.stopped for case in near_cases(view)) or not near_cases(view) else cases_heading(view)[1],
            "answers": word("page.answers"),
            "questions": word("plan.questions"),
            "more": word("point.and_more"),
            "none": word("show.none"),
        },
        "footer": f"{view.plan.engine} · {view.plan.made_on:%Y-%m-%d} · {view.plan.id}",
    }
    source: Any = (HERE / "plan.typ").read_bytes()
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    pdf: Any = typst.compile(source, font_paths=[str(fonts)], ignore_system_fonts=True, sys_inputs=inputs)
    assert isinstance(pdf, bytes)
    return pdf


def _cards(view: View) -> list[dict[str, str]]:
    """The four headline numbers."""
    word, body = view.word, view.step("design")
    period = view.period()
    least = body.get("lower_bound_only", False)

    def money(shown: Shown) -> tuple[str, str]:
        amount = word("page.at_least", amount=shown.text) if least else shown.text
        sure = [word("page.range_is", range=shown.range)] if shown.range else [word("page.range_none")] if shown.weak else []
        return amount, " · ".join([word("page.estimate"), *sure, *([word("page.confidence_is", letter=shown.confidence)] if shown.confidence else [])])

    five = money(view.headline(body["cost_5y_taxed"])) if body["cost_5y"] else (word("plan.no_total"), "")
    whole = money(view.headline(body["cost_npv"] or body["priced_part"]))
    served = f"{view.number(body['served_sites'])} / {view.number(body['wanted_sites'])}"
    bound = f"{word('plan.lower_bound')} {view.headline(body['lower_bound'])} · {word('plan.gap')} {view.percent(body['gap'])}"
    whole_note = word("page.cost_npv.note", count=period["count"], first=period["first"], last=period["end"])
    five_name = f"{word('plan.cost_5y')}{view.aside(word('plan.tax_included'))}"
    whole_name = f"{word('plan.cost_npv')}{view.aside(word('plan.tax_excluded'))}"
    return [
        {
            "name": five_name,
            "value": five[0],
            "range": five[1],
            "note": word("page.cost_5y.note", first=period["first"], last=period["last"]) if body["cost_5y"] else "",
        },
        {"name": whole_name, "value": whole[0], "range": whole[1], "note": whole_note if body["cost_npv"] else word("plan.priced_part")},
        {"name": word("plan.proof"), "value": word("plan.status." + body["status"]), "range": bound, "note": _check(view)},
        {"name": word("page.served"), "value": served, "range": to_confirm(view), "note": word("page.served.note")},
    ]


def _check(view: View) -> str:
    return view.word("plan.check_holds" if view.step("design")["check"]["holds"] else "plan.check_fails")


def _short(text: str, letters: int) -> str:
    """A text cut to so many letters, with a mark where it was cut."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _case(case: Case, view: View) -> dict[str, Any]:
    """A near case: its state, and one line."""
    where = f"（{case.prefecture or ''}{case.municipality or ''}）" if case.prefecture or case.municipality else ""
    state = view.word("plan.stopped") if case.stopped else view.word("case.state." + case.state)
    lesson = _short(case.failed or case.lessons or "", CASE_LETTERS)
    return {"stopped": case.stopped, "state": f"[{state}]", "text": f"{case.title}{where} {lesson}"}
