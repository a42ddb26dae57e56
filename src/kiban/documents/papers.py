"""All papers of a plan, in two folders: what stays in the office, and what may leave it.

In: a dossier. Out: bytes by relative path. The papers that leave are made from a PublicDossier, which holds no amount and no way of a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import msgspec

from kiban.documents.budget_xlsx import budget_xlsx
from kiban.documents.dossier import Dossier, PublicDossier
from kiban.documents.estimate_xlsx import estimate_xlsx
from kiban.documents.office.budget_request import budget_request
from kiban.documents.office.desk import Counter, Desk, data_day, ja, sentences
from kiban.documents.office.drafting import assembly, drafting
from kiban.documents.office.outside import inquiry, quote_request, rfi, specification
from kiban.documents.office.project_plan import needs, project_plan
from kiban.documents.office.questions import questions
from kiban.documents.paper import INSIDE, OUTSIDE, Paper
from kiban.documents.paper_pdf import paper_pdf
from kiban.documents.public_geojson import LIVED_IN, public_geojson
from kiban.documents.quote_form import asked_lines, quote_form
from kiban.documents.reasons import assumed_name
from kiban.documents.requirements_xlsx import requirements_xlsx
from kiban.records.region import Place, Plant, Site
from kiban.records.source import Text

OUT = "out."  # keys of passages that stand in papers which leave the office
LIMIT = "publish_household_limit"
SMALL_PLACE = "集落(名称は別途)"  # what stands outside for the names of small hamlets
LIMIT_DEFAULT = 10  # a house rule where neither the town nor a file says: smaller hamlets are not named outside
WORKBOOKS = ("積算内訳書", "予算表", "見積様式", "要件一覧")  # titles of the workbooks that go with the draft


@dataclass(frozen=True)
class Printed:
    """A paper with its place."""

    path: str
    paper: Paper


def public(dossier: Dossier) -> PublicDossier:
    """What may leave the office. No amount goes in: lines lose their prices, assumed values their values, the officer's words stay unless public."""
    view, region, funding = dossier.view, dossier.region, dossier.funding
    model_id = view.step("options")["model"]
    wanted = {row["site"] for row in view.step("needs")["wanted"]}
    rows = view.step("design").get("assumed", ())
    places = {site.id for site in region.sites if site.id in wanted and not _small(dossier, site)}
    own = own_marks(dossier)
    assumed = []
    for row in rows:
        if row["id"] in places:
            confirm = view.local(row["confirm"])
            assumed.append((assumed_name(view, row), "" if any(mark in confirm for mark in own) else confirm))
    return PublicDossier(
        town=view.local(region.name),
        lg_code=region.lg_code,
        label=view.plan.label,
        sentence=view.plan.sentence,
        plan=view.plan.id,
        made_on=view.plan.made_on.date(),
        data_day=data_day(region, view),
        model_id=model_id,
        model=view.catalogue.get("models", model_id),
        usecases=tuple(view.name("usecases/" + id) for id in view.step("needs")["usecases"]),
        needs=tuple(needs(view)),
        sites=tuple(_nameless(dossier, site) for site in region.sites if site.id in wanted),
        lines=asked_lines(funding, view.catalogue.technologies, Text(**{lang: texts["component.of_model"] for lang, texts in view.catalogue.words.items()})),
        assumed=tuple((_unnamed(dossier, name), _unnamed(dossier, confirm)) for name, confirm in assumed),
        inquiries=letters(dossier, own=False),
        quotes_required=funding.quotes_required,
        words={key: text for key, text in dossier.inputs.words.items() if key.startswith(OUT)},
        today=dossier.today,
        household_limit=household_limit(dossier),
        withheld=len(rows) + len(funding.assumed) - len(assumed),
        quotes_rule=not Desk(dossier, "quote-request").taken("quotes_required"),
    )


def letters(dossier: Dossier, *, own: bool) -> tuple[dict[str, str], ...]:
    """The letters of inquiry in Japanese: those to sections of the town itself, or those that leave the office."""
    view, marks = dossier.view, own_marks(dossier)
    made = [{key: ja(letter[key]) for key in ("id", "desk", "subject", "body")} for letter in view.step("verdict").get("inquiries", ())]
    kept = (letter for letter in made if any(mark in letter["desk"] for mark in marks) == own)
    if own:
        return tuple(kept)
    return tuple({**letter, "subject": _unnamed(dossier, letter["subject"]), "body": _unnamed(dossier, letter["body"])} for letter in kept)


def _small(dossier: Dossier, site: Site) -> bool:
    """Whether the name of a place might tell of single households; one of unknown size counts as small."""
    return site.kind in LIVED_IN and (site.households is None or site.households < household_limit(dossier))


def _nameless(dossier: Dossier, site: Site) -> Site:
    """A place without its name where that is one small household: papers list households by name, hamlets they count themselves."""
    return msgspec.structs.replace(site, name=SMALL_PLACE) if site.kind != "hamlet" and _small(dossier, site) else site


def _unnamed(dossier: Dossier, text: str) -> str:
    """A text in which small hamlets have no name: once for each list, whatever else the list names."""
    names = {name: False for name in (dossier.region.name, ja(dossier.region.name), own_marks(dossier)[0]) if name}  # the town keeps its name
    places: tuple[Site | Place | Plant, ...] = (*dossier.region.sites, *dossier.region.places, *dossier.region.plants)
    for place in places:
        for name in {place.name, ja(place.name), *place.name.split(" / ")}:
            if name.strip():  # of two places of one name the small one decides
                names[name.strip()] = names.get(name.strip(), False) or (isinstance(place, Site) and _small(dossier, place))
    if not any(names.values()):
        return text
    # The longest name first: a hall may be named after its hamlet. A name of one letter counts only where it stands alone.
    whole = [re.escape(name) if len(name) > 1 else rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(names, key=lambda name: (-len(name), name))]
    text = re.sub("|".join(whole), lambda found: SMALL_PLACE if names[found[0]] else found[0], text)
    mark = re.escape(SMALL_PLACE)
    text = re.sub(rf"{mark}(?:(?:、|, ?|・|と|及び){mark})+", SMALL_PLACE, text)
    again = re.compile(rf"({mark}(?:、[^、。\n]+?)*?)、{mark}")
    while (shorter := again.sub(r"\1", text)) != text:
        text = shorter
    return text


def own_marks(dossier: Dossier) -> tuple[str, ...]:
    """What tells that a desk is a section of the town itself: its name, and the words for it."""
    view = dossier.view
    town = re.split(r"[(（ ]", view.local(dossier.region.name))[0]
    return (town, *view.catalogue.words["ja"]["inquiry.own"].split("|"))


def household_limit(dossier: Dossier) -> int:
    """Below how many households a hamlet is not shown outside: what the town says, else the default of the fact, else the rule of this house."""
    values = {fact.id: fact.value for fact in dossier.region.facts} | dossier.inputs.facts
    known = dossier.view.catalogue.facts.get(LIMIT)
    for value in (values.get(LIMIT), known.default if known else None):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
    return LIMIT_DEFAULT


def office_papers(dossier: Dossier, outside: PublicDossier) -> list[Printed]:
    """Every paper with its path without the ending, those that stay first."""
    catalogue = dossier.view.catalogue

    def counter(paper: str) -> Counter:
        return Counter(outside, catalogue, paper)

    budget = budget_request(Desk(dossier, "budget-request"))
    plan = project_plan(Desk(dossier, "project-plan"))
    specified = specification(counter("specification"))
    asked = questions(Desk(dossier, "questions"), budget, plan, specified)
    told = assembly(Desk(dossier, "assembly"))
    out = [specified, rfi(counter("rfi")), quote_request(counter("quote-request")), inquiry(counter("inquiry"))]
    premises = tuple((name, confirm) for name, _, _, confirm in Desk(dossier, "inquiry-own").assumed())
    within = replace(outside, inquiries=letters(dossier, own=True), words=dossier.inputs.words, assumed=premises, withheld=0)
    own = inquiry(Counter(within, catalogue, "inquiry-own"))
    titles = [paper.title for paper in (budget, plan, told, asked, own, *out)]
    draft = drafting(Desk(dossier, "drafting"), (*titles, *WORKBOOKS))
    made = [draft, budget, plan, told, asked, own, *out]
    return [Printed(f"{INSIDE if paper.inside else OUTSIDE}/{sentences(catalogue, paper.id)('file')}", paper) for paper in made]


def papers(dossier: Dossier) -> dict[str, bytes]:
    """All papers and workbooks by relative path.

    Raises
    ------
    KibanError  a sentence or the font is missing
    """
    from kiban.documents.docx import docx  # not before a paper is written: it takes a while to load

    outside = public(dossier)
    made: dict[str, bytes] = {}
    for printed in office_papers(dossier, outside):
        made[f"{printed.path}.docx"] = docx(printed.paper)
        made[f"{printed.path}.pdf"] = paper_pdf(printed.paper)
    return made | workbooks(dossier, outside)


def generated(dossier: Dossier) -> dict[str, str]:
    """What every passage says today without the officer's own words, by key."""
    bare = replace(dossier, inputs=msgspec.structs.replace(dossier.inputs, words={}, made={}))
    return {key: passage.text for printed in office_papers(bare, public(bare)) for key, passage in printed.paper.passages().items()}


def workbooks(dossier: Dossier, outside: PublicDossier) -> dict[str, bytes]:
    """The workbooks and the map, by relative path."""
    catalogue = dossier.view.catalogue
    return {
        f"{INSIDE}/積算内訳書.xlsx": estimate_xlsx(dossier),
        f"{INSIDE}/予算表.xlsx": budget_xlsx(dossier),
        f"{OUTSIDE}/見積様式.xlsx": quote_form(outside, catalogue),
        f"{OUTSIDE}/要件一覧.xlsx": requirements_xlsx(outside, catalogue),
        f"{OUTSIDE}/公表版.geojson": public_geojson(outside),
    }
