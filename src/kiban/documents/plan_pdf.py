"""The plan on one A4 page, as PDF.

In: a view, the region, the problem and the design (for the map). Out: bytes. The font comes with the package; the system's fonts are not used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typst

from kiban.base.errors import KibanError
from kiban.documents.map_svg import COLOURS, design_svg
from kiban.documents.reasons import point_text
from kiban.documents.view import View
from kiban.records.case import Case
from kiban.records.design import Design, Problem
from kiban.records.region import Region

HERE = Path(__file__).parent
FONTS = HERE / "fonts"
POINTS_SHOWN, ASSUMED_SHOWN, CASES_SHOWN, YEARS_SHOWN = 6, 12, 3, 5


def plan_pdf(view: View, region: Region, problem: Problem, design: Design) -> bytes:
    """The page. Raises KibanError when the font is not there."""
    if not (FONTS / "NotoSansJP_400Regular.ttf").is_file():
        raise KibanError(str(FONTS), "no font for papers", "NotoSansJP_400Regular.ttf", "run make setup")
    word, body, verdict, issue = view.word, view.step("design"), view.step("verdict"), view.step("issue")
    technologies = [row["technology"] for row in body["technologies"]]
    names = {row["site"]: row["name"] for row in body["sites"]} | {row["id"]: row["name"] for row in body["assumed"]}
    points = [point_text(view, point, names) for point in verdict["points"] if point["kind"] != "assumed"]
    assumed = [row["name"] for row in body["assumed"]]
    joint = "、" if view.lang == "ja" else ", "
    total = body["cost_npv"]
    cases = [view.catalogue.cases[row["id"]] for row in issue["cases"] if row["id"] in view.catalogue.cases]
    data: dict[str, Any] = {
        "lang": view.lang,
        "title": view.plan.sentence,
        "label": view.plan.label,
        "eyebrow": joint.join(
            [view.region_name, *(f"{word('plan.model')}: {view.name('models/' + match['id'])}（{word('page.proposal')}）" for match in issue["models"][:1])]
        ),
        "verdict": word("verdict." + verdict["status"]),
        "verdict_why": word(f"verdict.{verdict['status']}.why", count=len(verdict["points"])),
        "cards": [
            {
                "name": word("plan.cost_5y"),
                "value": view.money(body["cost_5y_taxed"]).text if body["cost_5y"] else word("plan.no_total"),
                "note": word("page.cost_5y.note"),
            },
            {
                "name": word("plan.cost_npv"),
                "value": view.money(total or body["priced_part"]).text,
                "note": word("page.cost_npv.note" if total else "plan.priced_part"),
            },
            {
                "name": word("plan.proof"),
                "value": word("plan.status." + body["status"]),
                "note": f"{word('plan.lower_bound')} {view.money(body['lower_bound'])} · {word('plan.gap')} {view.percent(body['gap'])}",
            },
            {
                "name": word("page.served"),
                "value": f"{view.number(body['served_sites'])} / {view.number(body['wanted_sites'])}",
                "note": word("plan.check_holds" if body["check"]["holds"] else "plan.check_fails"),
            },
        ],
        "map": design_svg(region, problem, design, technologies),
        "technologies": [
            {
                "name": view.name("technologies/" + row["technology"]),
                "sites": view.number(row["sites"]).text,
                "npv": view.thousands(row["npv"]).text,
                "colour": COLOURS[index % len(COLOURS)],
            }
            for index, row in enumerate(body["technologies"])
        ],
        "years": view.years()[:YEARS_SHOWN],
        "layers": [
            *({"name": word("value.layer." + row["layer"]), "years": [view.thousands(id).text for id in row["years"][:YEARS_SHOWN]]} for row in body["layers"]),
            {"name": word("plan.total"), "years": [view.thousands(id).text for id in body["years"][:YEARS_SHOWN]]},
        ],
        "points": _few(points, POINTS_SHOWN, word) or [word("show.none")],
        "assumed": joint.join(_few(assumed, ASSUMED_SHOWN, word)) or word("show.none"),
        "cases": [_case(case, word) for case in cases[:CASES_SHOWN]] or [word("page.cases.none")],
        "words": {
            "map": word("plan.map"),
            "map_alt": word("page.map.alt"),
            "map_note": word("plan.candidate_links") if body["candidates"] else word("page.map.note"),
            "by_technology": word("plan.by_technology"),
            "technology": word("plan.technology"),
            "sites": word("page.sites"),
            "npv_k": word("page.npv_k"),
            "cost": word("plan.by_layer_and_year"),
            "layer": word("plan.layer"),
            "cost_note": word("page.cost_by_layer.note"),
            "points": word("page.points"),
            "assumed": word("plan.assumed"),
            "cases": word("plan.cases"),
        },
        "footer": f"{view.plan.engine} · {view.plan.made_on:%Y-%m-%d} · {view.plan.id}",
    }
    pdf: Any = typst.compile(
        (HERE / "plan.typ").read_bytes(), font_paths=[str(FONTS)], ignore_system_fonts=True, sys_inputs={"data": json.dumps(data, ensure_ascii=False)}
    )
    assert isinstance(pdf, bytes)
    return pdf


def _few(lines: list[str], count: int, word: Any) -> list[str]:
    """The first lines, and how many more there are."""
    return lines if len(lines) <= count else [*lines[:count], word("point.and_more", count=len(lines) - count)]


def _case(case: Case, word: Any) -> str:
    """One line on a near case."""
    stopped = f"■ {word('plan.stopped')} " if case.stopped else ""
    return f"{stopped}{case.title}（{case.prefecture or ''}{case.municipality or ''}）{case.failed or case.lessons or ''}"
