"""Sentences that page, workbook and PDF share: why a site gets what it gets, what is open and whom to ask.

In: a view and a row of a step's body. Out: text. The words stand in data/words; here is only which of them fit a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kiban.documents.amounts import printed_yen
from kiban.documents.view import View
from kiban.records.case import Case

SITES_SHOWN = 3


def reason(view: View, row: Mapping[str, Any]) -> str:
    """Why a site is served as it is, in one or two sentences."""
    parts = [view.word("reason." + row["reason"])]
    if row.get("binding"):
        parts.append(view.word("reason.binding", need=view.word("field." + row["binding"])))
    return " ".join(parts) if view.lang == "en" else "".join(parts)


def bottleneck_text(view: View, row: Mapping[str, Any]) -> str:
    """One bottleneck in one sentence, with its evidence or whom to ask."""
    key = "need" if row["kind"] == "coverage" and row["need"] else row["state"]
    name = row.get("name") or ""
    kind = "unknown" if row["kind"] == "capacity" and row["available"] is None else key
    said = view.word(
        f"diagnose.{row['kind']}.{kind}",
        technologies=view.joined([view.name("technologies/" + id) for id in row["technologies"]]),
        need=view.word("field." + row["need"]) if row["need"] else "",
        required=_given(view, row, "required"),
        available=_given(view, row, "available"),
        name=view.say(name) if isinstance(name, Mapping) else view.local(name),
    )
    if row["state"] == "unknown":
        return f"{said} {view.word('diagnose.ask.' + row['ask'], desk=view.say(row.get('ask_text')))}"
    parts = [view.word("diagnose.evidence", row=row["row"], field=row["field"], confidence=row["confidence"] or "")]
    return said + view.aside(*parts, *([view.word("diagnose.assumed")] if row["assumed"] else []))


def _given(view: View, row: Mapping[str, Any], key: str) -> str:
    """A figure of a bottleneck: with its unit, but for years, whose unit stands in the sentence."""
    if row[key] is None:
        return view.word("diagnose.unknown")
    return f"{view.plan.figures[row[key]].value:g}" if row["kind"] == "age" else view.quantity(row[key])


def bottlenecks_by_site(view: View) -> dict[str, list[str]]:
    """The sentences of each site, the gravest first."""
    found: dict[str, list[str]] = {}
    for row in view.step("design").get("bottlenecks", ()):
        found.setdefault(row["site"], []).append(bottleneck_text(view, row))
    return found


def town_bottleneck_texts(view: View) -> list[str]:
    """The sentences of the whole town."""
    return [bottleneck_text(view, row) for row in view.step("verdict").get("bottlenecks", ())]


def row_names(view: View) -> dict[str, str]:
    """Names of the sites, of the plants and of the assumed rows of a plan, by id."""
    design = view.step("design")
    plants = {id: view.local(name) for row in view.step("options").get("rows", ()) for id, name in row.get("names", {}).items()}
    return plants | {row["site"]: view.local(row["name"]) for row in design["sites"]} | {row["id"]: assumed_name(view, row) for row in design["assumed"]}


def assumed_name(view: View, row: Mapping[str, Any]) -> str:
    """The name of an assumed row; a fact of the municipality has a word for its id."""
    return view.catalogue.words[view.lang].get("fact." + row["id"]) or view.local(row["name"])


def point_text(view: View, point: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """One open point of the verdict, in one sentence."""
    about = [view.say(point["text"])] if "text" in point else [names.get(item, view.name(item) if "/" in item else item) for item in point["about"]]
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
        by=view.word("value.by." + point["by"]) if "by" in point else "",
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


def answers(view: View) -> list[tuple[str, str]]:
    """The answers that were given, as question and choice; a question that no file knows any more is shown by its id."""
    issue, form, lang = view.step("issue"), view.catalogue.forms.get("issue"), view.lang
    texts = {question.id: getattr(question.text, lang) for question in form.questions} if form else {}
    choices = {(question.id, choice.id): getattr(choice.text, lang) for question in form.questions for choice in question.choices} if form else {}
    for question in issue["questions"]:
        texts[question["id"]] = view.say(question["text"])
        choices |= {(question["id"], choice["id"]): view.say(choice["text"]) for choice in question["choices"]}
    models = view.catalogue.models
    return [
        (texts.get(id, id), choices.get((id, choice)) or (view.name("models/" + choice) if choice in models else choice))
        for id, choice in issue.get("answers", {}).items()
    ]


def case_cost(view: View, case: Case) -> list[str]:
    """What a case cost, as far as its page says."""
    known = (("case.initial", case.cost.initial_yen), ("case.yearly", case.cost.yearly_yen))
    return [f"{view.word(key)} {printed_yen(yen, view.lang)}" for key, yen in known if yen is not None]


def near_cases(view: View) -> list[Case]:
    """The near cases whose files are there."""
    return [view.catalogue.cases[row["id"]] for row in view.step("issue")["cases"] if row["id"] in view.catalogue.cases]


def cases_heading(view: View) -> tuple[str, str]:
    """Heading and note of the near cases: stopped ones are promised only where there are some."""
    cases = near_cases(view)
    if not cases or any(case.stopped for case in cases):
        return view.word("plan.cases"), view.word("page.cases.note")
    return view.word("page.nav.cases"), view.word("page.cases.note_none")


def to_confirm(view: View) -> str:
    """How many of the served places hang on a capability that is to be confirmed; empty where none does."""
    sites = {site for point in view.step("verdict")["points"] if point["kind"] == "capability" for site in point["sites"]}
    return view.word("page.served.check", count=len(sites)) if sites else ""


def sites_or_km(view: View, row: Mapping[str, Any]) -> str:
    """The places that a technology serves; of a line its kilometres, for it serves none by itself."""
    if row.get("km"):
        return f"{view.number(row['km'], 1)} km"
    return view.number(row["sites"]).text if view.plan.figures[row["sites"]].value else "—"


def option_known(view: View, row: Mapping[str, Any]) -> str:
    """What is known of an option, or whom to ask."""
    names = row_names(view)
    known = [names.get(record.removeprefix("plants/"), record) if record.startswith("plants/") else view.name(record) for record in row["records"]]
    return view.joined(known) or view.word(f"option.{row['kind']}.ask")
