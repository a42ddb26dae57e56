"""What is unknown, over which options it decides, whom to ask, and in which order.

In: the grounds. Out: unknowns in the order of asking:
    1. those whose answer could rule out building, or make sharing or leaving right
    2. those over which most options hang
    3. those that are cheapest to ask: one's own office, then the prefecture, then carriers and suppliers, then a measurement on site
    4. their order in the list of points
An unknown that decides only over options which are ruled out already decides over nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kiban.records.region import Place, Plant, Site
from kiban.records.source import Text
from kiban.records.verdict import KINDS, Kind
from kiban.verdict.grounds import Grounds, both, joined, local
from kiban.verdict.rules import RULES

OWN, PREFECTURE, CARRIER, SUPPLIER, MEASURE = range(5)  # from the cheapest to ask to the dearest

# Kind of point → options over which it decides, whether it comes first, what asking takes.
POINTS: dict[str, tuple[tuple[Kind, ...], bool, int]] = {
    "question": (("build", "leave"), True, PREFECTURE),
    "offer.share": (("share", "build"), True, PREFECTURE),
    "unserved": (("build",), True, MEASURE),
    "offer.join": (("join", "build"), False, PREFECTURE),
    "count": (("build", "buy"), False, OWN),
    "coverage": (("build", "buy"), False, CARRIER),
    "quotation": (("build", "buy"), False, SUPPLIER),
    "excluded": (("build",), False, SUPPLIER),
    "capability": (("build",), False, MEASURE),
    "no_exchange": (("build",), False, CARRIER),
    "strange": (("build",), False, OWN),
    "assumed": (("build",), False, OWN),
}
# Named fact → the same. A fact is a point only where a data file describes it and nobody has said its value.
FACTS: dict[str, tuple[tuple[Kind, ...], bool, int]] = {
    "payer_after_support": (("build",), True, OWN),
    "operator_named": (("build",), True, OWN),
    "current_contract_end": (("leave",), True, OWN),
    "maintenance_end": (("leave",), True, OWN),
    "service_cost_before": (("leave", "nondigital"), False, OWN),
    "staff_hours_before": (("nondigital", "leave"), False, OWN),
    "staff_hours_after": (("build",), False, OWN),
    "handover_partner": (("revise",), False, OWN),
    "iru_partner_consents": (("revise",), False, CARRIER),
}
DEADLINES = ("current_contract_end", "maintenance_end")
OF_PLANT = ("handover_partner", "iru_partner_consents")
OTHER: tuple[tuple[Kind, ...], bool, int] = (("build",), False, OWN)  # a kind of point that this room does not know
# Who knows, by kind of point: a key of the words.
DESKS = {
    "offer.share": "prefecture",
    "offer.join": "prefecture",
    "count": "own",
    "coverage": "carrier",
    "capability": "carrier",
    "no_exchange": "carrier",
    "quotation": "supplier",
    "excluded": "supplier",
    "option.leave": "own",
    "option.nondigital": "own",
    "option.revise": "own",
    "option.share": "prefecture",
    "option.join": "prefecture",
    "option.buy": "supplier",
    "option.build": "own",
}
ASKED: dict[str, str] = {kind: {"prefecture": "ask.prefecture", "supplier": "ask.quotation", "own": "ask.own"}[DESKS[f"option.{kind}"]] for kind in KINDS}
SITES_SHOWN = 3
LETTER_SITES = 40  # whoever answers a letter has to know which places are meant; of more, the letter says how many


@dataclass(frozen=True)
class Unknown:
    """One thing that nobody has said.

    point  "points/<place>" or the id of a named fact; about: the options that hang on it; first: it could rule out building, or make sharing or leaving
           right; effort: what asking takes; text: the point in one sentence; desk: who knows, None where nobody outside this desk does
    line   how a letter asks it, without any amount
    """

    point: str
    about: frozenset[Kind]
    first: bool
    effort: int
    text: Text
    desk: Text | None
    line: Text | None


def fact_points(grounds: Grounds) -> list[dict[str, Any]]:
    """The open points that are named facts, as rows of the verdict's list of points."""
    rows = []
    for id in FACTS:
        named = grounds.catalogue.facts.get(id)
        if named is None or grounds.known(id) or (id in OF_PLANT and not grounds.region.plants):
            continue
        if id in DEADLINES and any(grounds.known(one) for one in DEADLINES):
            continue  # one known end already says how long one can wait
        whom = f"{named.desk.ja} / {named.desk.en}"
        text = {"ja": named.question.ja, "en": named.question.en}
        rows.append({"kind": "fact", "about": [], "text": text, "fact": id, "ask_whom": whom, "ask": "ask.confirm"})
    return rows


def unknowns(grounds: Grounds, excluded: Collection[Kind] = ()) -> list[Unknown]:
    """All that is unknown and decides over an option that is not excluded, the one to ask first at the head."""
    found = [_unknown(grounds, index, point) for index, point in enumerate(grounds.points)]
    live = [one for one in found if one.about - set(excluded)]
    return sorted(live, key=lambda one: (not one.first, -len(one.about - set(excluded)), one.effort))


def option_points(grounds: Grounds) -> list[dict[str, Any]]:
    """Options of which too little is known to judge them, and over which no other point decides, as rows of the list of points."""
    about = {kind for one in unknowns(grounds) for kind in one.about}
    rows = []
    for kind in KINDS:
        if kind not in about and RULES[kind](grounds).state == "ask":
            text = grounds.say(f"verdict.open.{kind}")
            rows.append({"kind": "option", "about": [], "option": kind, "text": {"ja": text.ja, "en": text.en}, "ask": ASKED[kind]})
    return rows


def _unknown(grounds: Grounds, index: int, point: Any) -> Unknown:
    kind = point["kind"]
    if kind == "fact":
        about, first, effort = FACTS[point["fact"]]
        named = grounds.catalogue.facts[point["fact"]]
        return Unknown(point["fact"], frozenset(about), first, effort, named.name, named.desk, named.question)
    about, first, effort = _option(point["option"]) if kind == "option" else POINTS.get(kind, OTHER)
    text = _words(grounds, point, f"verdict.about.{kind}") or _words(grounds, point, "verdict.about.other")
    assert text is not None
    return Unknown(f"points/{index}", frozenset(about), first, effort, text, _desk(grounds, point), _line(grounds, point))


def _option(kind: Kind) -> tuple[tuple[Kind, ...], bool, int]:
    """What hangs on the terms of an option: itself, and building, which it would replace."""
    effort = {"prefecture": PREFECTURE, "supplier": SUPPLIER}.get(DESKS[f"option.{kind}"], OWN)
    return (kind, "build") if kind != "build" else ("build",), kind in ("share", "leave"), effort


def _words(grounds: Grounds, point: Any, key: str, shown: int = SITES_SHOWN) -> Text | None:
    """A sentence of the words about a point; None where there is none for its kind."""
    if key not in grounds.catalogue.words["ja"]:
        return None
    names = [both(point["text"])] if "text" in point else [_named(grounds, item) for item in point["about"]]
    need = grounds.say("field." + point["need"]) if "need" in point else ""
    by = grounds.say("value.by." + point["by"]) if "by" in point else ""
    return grounds.say(key, about=joined(names) if names else "", sites=_sites(grounds, point, shown), need=need, by=by)


def _named(grounds: Grounds, item: str) -> Text:
    """The name of an entry, of a row of the region, or of a named fact."""
    if "/" in item:
        return grounds.name(item)
    if item in grounds.catalogue.facts:
        return grounds.catalogue.facts[item].name
    if f"fact.{item}" in grounds.catalogue.words["ja"]:
        return grounds.say(f"fact.{item}")
    region = grounds.region
    rows: tuple[Site | Place | Plant, ...] = (*region.sites, *region.places, *region.plants)
    return local(next((row.name for row in rows if row.id == item), item))


def _line(grounds: Grounds, point: Any) -> Text | None:
    """The question of a letter; None where it is settled at the own desk."""
    kind = f"option.{point['option']}" if point["kind"] == "option" else point["kind"]
    return _words(grounds, point, f"inquiry.line.{kind}", LETTER_SITES)


def _sites(grounds: Grounds, point: Any, most: int) -> Text:
    """The first places of a point by name; of a question those of the design, for whoever reads a letter does not know which places are meant."""
    names = {site.id: site.name for site in grounds.region.sites}
    meant = [row["site"] for row in grounds.design["sites"]] if point["kind"] == "question" else point.get("sites", ())
    sites = [local(names.get(id, id)) for id in meant]
    shown = joined(sites[:most] or [grounds.say("verdict.all_places")])
    if len(sites) <= most:
        return shown
    return grounds.say("verdict.and_others", names=shown) if most == SITES_SHOWN else grounds.say("inquiry.and_others", names=shown, count=str(len(sites)))


def _desk(grounds: Grounds, point: Any) -> Text | None:
    """Who knows; None where it is settled at the own desk."""
    if "ask_whom" in point:
        return local(point["ask_whom"])
    if point["kind"] == "question":
        asked = next((one.ask for one in grounds.catalogue.forms["issue"].questions if one.id == point.get("question")), None)
        return asked or grounds.say("inquiry.desk.own")
    desk = DESKS.get(f"option.{point['option']}" if point["kind"] == "option" else point["kind"])
    return grounds.say(f"inquiry.desk.{desk}") if desk else None
