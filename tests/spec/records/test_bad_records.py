"""A bad instance of every record, built directly, is refused; and a record that checks itself cannot be added without one.

GOOD holds the arguments of a good instance of each record that checks itself. BAD changes one thing of it and names what the refusal says.
Records that check nothing beyond types are tried with an unknown field and a wrong type.
"""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, date, datetime
from typing import Any, get_origin, get_type_hints

import msgspec
import pytest

import kiban.records
from kiban.base.errors import RecordError
from kiban.records.account import Account
from kiban.records.case import Case, CaseCost
from kiban.records.checkpoint import Snapshot
from kiban.records.design import Arc, Ceiling, Certificate, Demand, Design, EnergyUse, Node, Obstructed, Price, Problem, Step
from kiban.records.fact import NamedFact
from kiban.records.funding import Answered, Budget, Funding, Inputs, Line, Quote, Row, Viability
from kiban.records.horizon import Frontier, Multiplied, Phases, Stage, Weight
from kiban.records.issue import Concept, FormChoice, FormQuestion, Issue, IssueForm, IssueLimits, Match, Question
from kiban.records.job import Job
from kiban.records.lock import MAX_CLAUSE, MAX_PATTERN, Lock, Measure, SpecClause
from kiban.records.mix import Mix
from kiban.records.model import Clause, Component, Kpi, StandardModel
from kiban.records.offer import Offer
from kiban.records.paper import PaperForm, StandingClause
from kiban.records.plan import Figure, Plan, PlanStep
from kiban.records.region import Elevation, Evidence, Hazard, Junction, Place, Plant, Region, Site, Street
from kiban.records.rule import DatedList, DatedValue, Entry, Growth, Rule, TrafficScenario
from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Text
from kiban.records.support import Condition, Edition, Rate, Redemption, Stacking, Support, SupportAnswer
from kiban.records.technology import Capability, Cost, Technology, Wiring
from kiban.records.usecase import Needs, Priority, Scaled, UseCase
from kiban.records.verdict import Conclusion, Decisive, Inquiry, Option, Verdict

for module in pkgutil.iter_modules(kiban.records.__path__):
    importlib.import_module(f"kiban.records.{module.name}")

DAY = date(2026, 11, 23)
NAN, INFINITE = float("nan"), float("inf")
TEXT = Text(ja="橋", en="bridge")
PAGE = Source(title="a page", seen_on=DAY)
FIGURE = Quantity(unit="JPY/km", value=5.0, source="page", confidence="A")
UNSOURCED = Quantity(unit="Mbps", value=5.0, source="nowhere", confidence="A")
ROW = Evidence(source="page")
NODES = (Node(kind="root", ref="world"), Node(kind="demand", ref="school"))
ARC = Arc(tail=0, head=1, kind="direct", technology=None, ref="school", length_m=0, items=(), cost=0)
COST = {"name": TEXT, "phase": "initial", "per": "km", "scope": ("cable",), "evidence": (FIGURE,)}
COMPONENT = {"name": TEXT, "layer": "access", "area": "cooperative", "shareable": True, "role": TEXT}
KPI = {"name": TEXT, "unit": "%", "measure": TEXT, "every": TEXT}
QUESTION = Question(id="q", text=TEXT, changes=TEXT, choices=(("yes", TEXT),))
FORM_QUESTION = FormQuestion(id="q", text=TEXT, changes=TEXT, choices=(FormChoice(id="yes", text=TEXT),), models=("m",))
LIMITS = IssueLimits(**{name: {float: 0.5, int: 3, str: "bench"}[hint] for name, hint in get_type_hints(IssueLimits).items() if hint in (float, int, str)})
CHOICE = Figure(value=1, unit="JPY", kind="choice", ref="user")
STEP = PlanStep(id="issue", inputs="", engine="0", pinned={}, body={})
SITE = Site(id="s", name="school", kind="school", lat=37.3, lon=137.2, evidence=ROW)
JUNCTION = Junction(id="j", lat=37.3, lon=137.2)
STREET = Street(id="st", a="j", b="j", length_m=1)
PLANT = Plant(id="p", name="cable", technology="fibre", evidence=ROW)
ENTRY = Entry(id="works", name=TEXT)
MEASURE = Measure(id="speed", needs=("down_mbps",), beside=("速度",), better="more", unit="Mbps")
YEN = Quantity(unit="JPY", value=1000.0, source="page", confidence="A")
SHARE = Quantity(unit="1", value=0.5, source="page", confidence="A")
YEARS = Quantity(unit="years", value=10.0, source="page", confidence="A")
REDEMPTION = Redemption(years=YEARS, grace=YEARS, interest=SHARE)
EDITION: dict[str, Any] = {"fiscal_year": 2026, "valid_to": 2026, "stage": ("build",), "counts_text": TEXT, "source": "page", "confidence": "A"}
ANSWER = {"support": "grant", "answer": "possible", "year": 2027, "edition": 2027, "source": "page", "read_on": DAY}
LINE = {
    "id": "fibre.cable",
    "technology": "fibre",
    "cost": "cable",
    "name": TEXT,
    "phase": "initial",
    "per": "km",
    "section": "works",
    "category": "works",
    "quantity": 3.0,
    "unit_yen": 1000.0,
    "tax": "excluded",
    "basis": "published",
}
BUDGET = {
    "case": "adopted",
    "years": (2027, 2028),
    "sections": (Row(id="works", years=(2000, 0)), Row(id="upkeep", years=(1000, 1000))),
    "total": (3000, 1000),
    "sources": (Row(id="national", years=(2000, 0)), Row(id="general", years=(1000, 1000))),
    "thousand_sections": (Row(id="works", years=(2, 0)), Row(id="upkeep", years=(1, 1))),
    "thousand_total": (3, 1),
    "thousand_sources": (Row(id="national", years=(2, 0)), Row(id="general", years=(1, 1))),
    "low": (3000, 1000),
    "high": (3000, 1000),
    "months": (*(100,) * 11, 1900),
    "running_months": 12,
    "cash": (1000, 1000),
    "payer_after": "general",
}
SUPPLIED = Answered(line="fibre.cable", unit_yen=1000.0)
QUOTE = Quote(supplier="a supplier", received=DAY, file="answer.csv")
DECISIVE = Decisive(point="points/0", text=TEXT, inquiry="letter")
SHARED = Option(kind="share", state="recommended", cost=None, cost_text=TEXT)
LETTER = Inquiry(id="letter", desk=TEXT, subject=TEXT, body=TEXT, facts=("area",))


def dated(day: int) -> DatedValue:
    return DatedValue(since=date(2026, 1, day), quantity=FIGURE)


def plain(kind: type[Record]) -> dict[str, Any]:
    """A plain value for each required field that holds a text, several things or a table."""
    hints = {field.name: field.type for field in msgspec.structs.fields(kind) if field.required}
    return {name: TEXT if hint is Text else get_origin(hint)() for name, hint in hints.items() if hint is Text or get_origin(hint) in (tuple, dict)}


GOOD: dict[type[Record], dict[str, Any]] = {
    Text: {"ja": "橋", "en": "bridge"},
    Source: {"title": "a page", "seen_on": DAY},
    Quantity: {"unit": "Mbps", "value": 5.0, "source": "page", "confidence": "A"},
    CaseCost: {},
    Snapshot: {"arcs": (0, 3), "cost": 7, "bound": 5},
    Account: {"login": "sato", "name": "佐藤", "role": "editor", "password": "$argon2id$v=19$x", "until": date(2027, 3, 31)},
    Job: {"id": "a1", "region": "umiyama", "sentence": "橋の水位を知りたい", "asked": datetime(2026, 11, 27, tzinfo=UTC)},
    Case: {"kind": "project", "title": "a case", "confidence": "A", "seen_on": DAY},
    Price: {
        "id": "fibre#cable",
        "technology": "fibre",
        "cost": "cable",
        "phase": "initial",
        "per": "km",
        "unit_yen": (10.0,),
        "life": 20.0,
        "npv": 10.0,
        "low": 9.0,
        "high": 11.0,
        "confidence": "A",
    },
    Step: {"technology": "fibre", "level": "exchange", "load": "sites", "capacity": 32.0},
    Problem: {
        "region": "noto",
        "start": 2027,
        "horizon": 15,
        "discount": 0.04,
        "prices": (),
        "nodes": NODES,
        "arcs": (ARC,),
        "demands": (Demand(node=1, site="school", usecase="lesson"),),
    },
    Design: {
        "problem": "hash",
        "arcs": (),
        "served": (),
        "steps": (),
        "cost": 10,
        "bound": 9,
        "gap": 0.1,
        "status": "bounded",
        "relaxed": (),
        "certificate": Certificate(),
        "sites": (),
    },
    NamedFact: {
        "name": TEXT,
        "question": TEXT,
        "why": TEXT,
        "desk": TEXT,
        "kind": "number",
        "group": "service",
        "unit": "JPY/year",
        "default": 0.0,
        "default_why": TEXT,
        "sources": {"page": PAGE},
        "source_keys": ("page",),
        "checked_on": DAY,
    },
    Line: LINE,
    Budget: BUDGET,
    Funding: {
        "plan": "p",
        "inputs": "hash",
        "start": 2027,
        "horizon": 2,
        "tax_rate": 0.1,
        "lines": (Line(**LINE),),
        "answers": (SupportAnswer(**ANSWER),),
        "adopted": Budget(**BUDGET),
        "refused": Budget(**{**BUDGET, "case": "refused"}),
        "viability": Viability(track="unknown", track_text=TEXT),
    },
    Answered: {"line": "fibre.cable", "unit_yen": 1000.0, "lease_yen_month": 20.0, "renewal_yen": 900.0, "removal_yen": 0.0},
    Quote: {"supplier": "a supplier", "received": DAY, "file": "answer.csv", "answers": (SUPPLIED,)},
    Inputs: {"quantities": {"fibre.cable": 3.0}, "prices": {"fibre.cable": 1000.0}, "tax_rate": 0.1, "quotes": (QUOTE,)},
    Issue: {"sentence": "橋が落ちた", "status": "no_model"},
    Concept: {"role": "place", "words": ("橋",)},
    IssueLimits: {name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__},
    FormQuestion: {"id": "q", "text": TEXT, "changes": TEXT, "choices": (FormChoice(id="yes", text=TEXT),), "models": ("m",)},
    IssueForm: {**plain(IssueForm), "limits": LIMITS, "questions": (FORM_QUESTION,)},
    Lock: {
        "name": TEXT,
        "why": TEXT,
        "advice": TEXT,
        "looks_at": "clause",
        "patterns": ("同等品.{0,9}不可",),
        "product_names": ("Kiban",),
        "measures": (MEASURE,),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
    SpecClause: {"id": "1", "text": "下り50Mbps以上", "answers": 3, "needs": {"down_mbps": 50.0}},
    Component: {"id": "line", **COMPONENT},
    Clause: {"id": "c1", "component": "line", "text": TEXT, "verify": TEXT},
    Kpi: {"id": "k1", **KPI},
    StandardModel: {
        "name": TEXT,
        "summary": TEXT,
        "label": "提案",
        "usecases": (),
        "words": (),
        "components": (Component(id="line", **COMPONENT),),
        "clauses": (Clause(id="c1", component="line", text=TEXT, verify=TEXT),),
        "kpis": (Kpi(id="k1", **KPI),),
        "sources": {},
        "checked_on": DAY,
        "review_by": date(2027, 11, 23),
    },
    Offer: {
        "name": TEXT,
        "summary": TEXT,
        "kind": "share",
        "by": TEXT,
        "to": TEXT,
        "ask": TEXT,
        "sources": {"page": PAGE},
        "source_keys": ("page",),
        "checked_on": DAY,
    },
    StandingClause: {"name": TEXT, "order": 1, "text": TEXT, "verify": TEXT, "source_keys": ("page",), "sources": {"page": PAGE}, "checked_on": DAY},
    PaperForm: {
        "name": TEXT,
        "summary": TEXT,
        "folder": "inside",
        "texts": {"h.sum": "総額"},
        "source_keys": ("page",),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
    Figure: {"value": 1.0, "unit": "JPY", "kind": "source", "ref": "file:3"},
    Plan: {
        "id": "p",
        "region": "noto",
        "sentence": "橋",
        "status": "plan",
        "made_on": "2026-11-23T12:00:00Z",
        "engine": "0",
        "label": None,
        "steps": (STEP,),
        "figures": {"a": CHOICE},
    },
    Evidence: {"source": "page"},
    Site: {"id": "s", "name": "school", "kind": "school", "lat": 37.3, "lon": 137.2, "evidence": ROW},
    Place: {"id": "t", "name": "tower", "kind": "tower", "lat": 37.3, "lon": 137.2, "evidence": ROW, "height_m": 30.0},
    Junction: {"id": "j", "lat": 37.3, "lon": 137.2},
    Street: {"id": "st", "a": "j", "b": "j", "length_m": 1.0},
    Plant: {"id": "p", "name": "cable", "technology": "fibre", "evidence": ROW, "year_built": 2009},
    Obstructed: {"technology": "hop", "a": "t", "b": "x", "need": "line_of_sight", "required": 0.0, "available": -3.5},
    Elevation: {"file": "dem.tif", "spacing_m": 90.0, "source": "page"},
    Region: {
        "id": "noto",
        "name": "能登町",
        "lg_code": "174637",
        "sources": {"page": PAGE},
        "sites": (SITE,),
        "junctions": (JUNCTION,),
        "streets": (STREET,),
        "plants": (PLANT,),
    },
    Entry: {"id": "works", "name": TEXT},
    DatedList: {"since": DAY, "entries": (ENTRY, Entry(id="works", name=TEXT, when={"body": "town"})), "source": "page"},
    Rule: {"name": TEXT, "values": (dated(1), dated(2)), "sources": {"page": PAGE}, "checked_on": DAY},
    TrafficScenario: {
        "name": TEXT,
        "summary": TEXT,
        "base_year": 2020,
        "points": (Growth(year=2030, factor=FIGURE),),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
    Condition: {"fact": "area", "test": "is", "value": True, "text": TEXT, "source": "page"},
    Rate: {"text": TEXT, "share": SHARE, "ceiling": YEN},
    Edition: {**EDITION, "floor": YEN, "ceiling": YEN},
    Support: {
        "name": TEXT,
        "summary": TEXT,
        "kind": "subsidy",
        "column": "national",
        "body": TEXT,
        "desk": TEXT,
        "editions": (Edition(**EDITION),),
        "stacking": Stacking(order=1),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
    SupportAnswer: ANSWER,
    Wiring: {"pattern": "direct"},
    Cost: {"id": "cable", **COST},
    Technology: {
        "name": TEXT,
        "summary": TEXT,
        "layer": "access",
        "medium": "wired",
        "wiring": Wiring(pattern="line", network="fibre"),
        "sources": {"page": PAGE},
        "checked_on": DAY,
        "costs": (Cost(id="cable", **COST),),
    },
    Scaled: {"by": "pupils", "unit": "Mbps", "points": ((0.0, 0.0), (100.0, 50.0)), "source": "page"},
    UseCase: {
        "name": TEXT,
        "summary": TEXT,
        "field": TEXT,
        "words": ("橋",),
        "sites": ("school",),
        "needs": Needs(),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
    Conclusion: {"status": "share", "text": TEXT},
    Verdict: {
        "options": (Option(kind="leave", state="possible", cost=None, cost_text=TEXT), SHARED),
        "conclusion": Conclusion(status="share", text=TEXT),
        "inquiries": (LETTER,),
        "fast_lane": False,
        "fast_lane_text": TEXT,
    },
    Mix: {
        "nodes": 2,
        "root": 0,
        "links": ((0, 1, 5.0),),
        "sites": ((1, 1.0),),
        "fibre_terminal": (1.0,),
        "sky": (None,),
        "facilities": ((1, 2.0, None),),
        "serves": ((0, 0, 1.0),),
        "hops": ((0, 0, 1.0),),
    },
    Weight: {"site": "s", "usecase": "u", "weight": 1},
    Multiplied: {"share": 1, "multipliers": (("kwh_year", 0.5),), "total": 3, "certificate": Certificate()},
    Stage: {"most": 9, "arcs": (0,), "served": (0,), "steps": (), "initial": 5, "cost": 7, "lost": 2, "least_lost": 1, "least_cost": 6},
    Frontier: {"problem": "p", "weights": (Weight(site="s", usecase="u", weight=1),), "stages": (), "asked": 0},
    Phases: {
        "problem": "p",
        "money": (1,),
        "weights": (),
        "works": (),
        "year": (),
        "steps": (),
        "initial": (),
        "joined": (),
        "waited": 2,
        "least_waited": 1,
        "present": 0,
    },
    EnergyUse: {"technology": "t", "per": "site", "kwh": 1.0},
    Ceiling: {"id": "kwh_year", "most": 5.0, "arcs": ((0, 1.0),)},
    Hazard: {"id": "slide", "name": "slide", "kind": "slide", "polygons": ((((37.0, 137.0), (37.0, 137.1), (37.1, 137.1), (37.0, 137.0)),),), "evidence": ROW},
}

BAD: list[tuple[type[Record], dict[str, Any], str]] = [
    (Text, {"ja": " "}, "both languages filled"),
    (Text, {"en": ""}, "both languages filled"),
    (Snapshot, {"cost": None}, "cost None"),
    (Snapshot, {"bound": -1}, "snapshot, bound: found -1"),
    (Account, {"login": "佐藤"}, "id '佐藤'"),
    (Account, {"login": "a" * 41}, "a login name of 41 characters"),
    (Account, {"name": " "}, "the name ' '"),
    (Account, {"name": "佐\x00藤"}, "printable characters"),
    (Account, {"password": "secret"}, "no argon2id hash"),
    (Job, {"kind": "papers"}, "papers of None"),
    (Job, {"of": "p"}, "plan of 'p'"),
    (Job, {"wishes": {"work": "1"}, "beside": "p"}, "wishes work"),
    (Job, {"wishes": {"budget": "1"}}, "1 wishes beside None"),
    (Job, {"beside": "p"}, "0 wishes beside 'p'"),
    (Job, {"id": "../a1"}, "id '../a1'"),
    (Job, {"sentence": " "}, "no sentence"),
    (Job, {"share": 1.1}, "job share: found 1.1"),
    (Job, {"status": "done"}, "status done and plan None"),
    (Job, {"plan": "p"}, "status waiting and plan 'p'"),
    (Source, {"title": ""}, "an empty title"),
    (Quantity, {"unit": ""}, "no unit"),
    (Quantity, {"value": -1.0}, "value: found -1.0"),
    (Quantity, {"value": NAN}, "value: found nan"),
    (Quantity, {"value": INFINITE}, "value: found inf"),
    (Quantity, {"low": -1.0}, "low: found -1.0"),
    (Quantity, {"high": NAN}, "high: found nan"),
    (Quantity, {"value": None, "source": None, "confidence": None}, "value null"),
    (Quantity, {"source": None}, "value 5 without source or confidence"),
    (Quantity, {"confidence": None}, "value 5 without source or confidence"),
    (Quantity, {"needs_source": True}, "no needs_source"),
    (Quantity, {"low": 6.0, "high": 4.0}, "low 6 above high 4"),
    (Quantity, {"low": 6.0, "high": 7.0}, "value 5 outside 6.0…7.0"),
    (Quantity, {"low": 3.0, "high": 4.0}, "value 5 outside 3.0…4.0"),
    (CaseCost, {"initial_yen": -1}, "initial_yen: found -1"),
    (CaseCost, {"yearly_yen": -1}, "yearly_yen: found -1"),
    (Case, {"population_2015": -1}, "population_2015: found -1"),
    (Case, {"fiscal_index": 11.0}, "fiscal_index: found 11.0"),
    (Price, {"unit_yen": (-1.0,)}, "found -1.0"),
    (Price, {"unit_yen": ()}, "no amount"),
    (Price, {"life": None}, "life None, 1 amounts"),
    (Price, {"life": 0.0}, "life 0.0, 1 amounts"),
    (Price, {"unit_yen": (1.0, 2.0)}, "life 20.0, 2 amounts"),
    (Price, {"npv": 12.0}, "npv 12.0 outside 9.0…11.0"),
    (Price, {"npv": NAN}, "npv nan outside"),
    (Step, {"capacity": 0.0}, "capacity: found 0.0"),
    (Step, {"cost": -1}, "cost: found -1"),
    (Step, {"capacity": None}, "load sites, capacity None"),
    (Step, {"load": "none"}, "load none, capacity 32"),
    (Problem, {"discount": 4.0}, "discount: found 4.0"),
    (Problem, {"discount": -0.01}, "discount: found -0.01"),
    (Problem, {"horizon": 0}, "horizon: found 0"),
    (Problem, {"nodes": ()}, "no root"),
    (Problem, {"nodes": NODES[::-1]}, "no root"),
    (Problem, {"arcs": (msgspec.structs.replace(ARC, head=2),)}, "0 → 2"),
    (Problem, {"arcs": (msgspec.structs.replace(ARC, tail=1, head=0),)}, "1 → 0"),
    (Problem, {"arcs": (msgspec.structs.replace(ARC, cost=-1),)}, "cost -1"),
    (Problem, {"arcs": (msgspec.structs.replace(ARC, length_m=-1.0),)}, "-1.0 m"),
    (Problem, {"demands": (Demand(node=0, site="s", usecase="u"),)}, "node 0"),
    (Problem, {"demands": (Demand(node=5, site="s", usecase="u"),)}, "node 5"),
    (Design, {"cost": -1, "bound": -1}, "cost: found -1"),
    (Design, {"gap": 1.5}, "gap: found 1.5"),
    (Design, {"bound": 11}, "bound 11 above cost 10"),
    (NamedFact, {"kind": "choice", "unit": None}, "kind choice with 0 choices"),
    (NamedFact, {"choices": {"yes": TEXT}}, "kind number with 1 choices"),
    (NamedFact, {"unit": None}, "kind number, unit None"),
    (NamedFact, {"kind": "flag"}, "kind flag, unit JPY/year"),
    (NamedFact, {"default_why": None}, "default without default_why"),
    (NamedFact, {"default": None}, "default without default_why, or the reverse"),
    (NamedFact, {"sources": {}}, "source key(s) page"),
    (Line, {"quantity": -1.0}, "quantity: found -1.0"),
    (Line, {"quantity": NAN}, "quantity: found nan"),
    (Line, {"unit_yen": -1.0}, "unit_yen: found -1.0"),
    (Line, {"unit_yen": INFINITE}, "unit_yen: found inf"),
    (Line, {"basis": "awaiting"}, "basis awaiting, unit price 1000.0"),
    (Line, {"unit_yen": None}, "basis published, unit price None"),
    (Line, {"low": -0.1}, "low -0.1, high 1.0"),
    (Line, {"low": 1.1, "high": 1.2}, "low 1.1, high 1.2"),
    (Line, {"low": 0.8, "high": 0.9}, "low 0.8, high 0.9"),
    (Line, {"low": NAN}, "low nan"),
    (Budget, {"total": (3000, 1001)}, "FY2028, yen: found parts add up to 1000"),
    (Budget, {"sections": (Row(id="works", years=(3000, 999)),)}, "FY2028, yen: found parts add up to 999"),
    (Budget, {"sources": (Row(id="general", years=(2999, 1000)),)}, "FY2027, yen: found parts add up to 2999"),
    (Budget, {"sources": ()}, "FY2027, yen: found parts add up to 0"),
    (Budget, {"thousand_total": (4, 1)}, "FY2027, thousand yen: found parts add up to 3"),
    (Budget, {"thousand_sections": (Row(id="works", years=(3, 2)),)}, "FY2028, thousand yen: found parts add up to 2"),
    (Budget, {"thousand_sources": (Row(id="general", years=(2, 1)),)}, "FY2027, thousand yen: found parts add up to 2"),
    *((Budget, {part: (Row(id="general", years=(0, 0)),) * 2}, "'general' twice") for part in ("sections", "sources", "thousand_sections", "thousand_sources")),
    (Budget, {"sources": (Row(id="memo", years=(2000, 0)), Row(id="general", years=(1000, 1000)))}, "sources ['memo', 'general']"),
    (Budget, {"sections": (Row(id="works", years=(3001, 1000)), Row(id="upkeep", years=(-1, 0)))}, "an amount below 0"),
    (Budget, {"sources": (Row(id="national", years=(3001, 1000)), Row(id="general", years=(-1, 0)))}, "an amount below 0"),
    (Budget, {"months": (250,) * 11}, "11 months, 2750"),
    (Budget, {"months": (*(250,) * 12, 0)}, "13 months, 3000"),
    (Budget, {"months": (250,) * 11 + (251,)}, "12 months, 3001"),
    (Funding, {"lines": (Line(**LINE),) * 2}, "lines: found 'fibre.cable' twice"),
    (Funding, {"answers": (SupportAnswer(**ANSWER),) * 2}, "answers: found 'grant' twice"),
    *((Answered, {name: -1.0}, f"{name}: found -1.0") for name in ("unit_yen", "lease_yen_month", "renewal_yen", "removal_yen")),
    (Answered, {"unit_yen": NAN}, "unit_yen: found nan"),
    (Quote, {"answers": (SUPPLIED, SUPPLIED)}, "quote of a supplier: found 'fibre.cable' twice"),
    (Inputs, {"quotes": (QUOTE, QUOTE)}, "quotes: found 'a supplier' twice"),
    (Inputs, {"quantities": {"fibre.cable": -1.0}}, "quantities, fibre.cable: found -1.0"),
    (Inputs, {"prices": {"fibre.cable": INFINITE}}, "prices, fibre.cable: found inf"),
    (Inputs, {"tax_rate": 10.0}, "tax_rate: found 10.0"),
    (Inputs, {"tax_rate": -0.1}, "tax_rate: found -0.1"),
    (Issue, {"sentence": "  "}, "1 to 2,000 characters"),
    (Issue, {"sentence": "橋" * 2001}, "a sentence of 2001 characters"),
    (Issue, {"usecases": (Match(id="u", kind="usecase", words=(), score=-1.0),)}, "match u: found -1.0"),
    (Issue, {"models": (Match(id="m", kind="model", words=(), score=NAN),)}, "match m: found nan"),
    (Issue, {"questions": (QUESTION,) * 6}, "6 questions"),
    (Concept, {"words": ()}, "at least one word"),
    (Concept, {"words": ("橋", " ")}, "none empty"),
    *((IssueLimits, {name: 11.5}, f"{name}: found 11.5") for name, hint in get_type_hints(IssueLimits).items() if hint is float),
    (FormQuestion, {"choices": (FormChoice(id="yes", text=TEXT),) * 2}, "'yes' twice"),
    (FormQuestion, {"default": "no"}, "default 'no'"),
    (IssueForm, {"questions": (FORM_QUESTION, FORM_QUESTION)}, "'q' twice"),
    *((Lock, {field: ("同等品(",)}, f"{field}: found '同等品('") for field in ("patterns", "exceptions", "harmless", "everywhere")),
    (Lock, {"patterns": (" ",)}, "1 to 2,000 characters"),
    (Lock, {"patterns": ("橋" * (MAX_PATTERN + 1),)}, "1 to 2,000 characters"),
    (Lock, {"patterns": ("橋?",)}, "does not match an empty text"),
    (Lock, {"patterns": ("橋.*不可",)}, "every repeat with an upper limit"),
    (Lock, {"patterns": ("([a-z]{1,9}){1,9}",)}, "no repeat or choice inside a repeat"),
    (Lock, {"patterns": ("(?i)kiban",)}, "groups ( ) (?: )"),
    (Lock, {"patterns": ("(橋)\\1",)}, "no reference to an earlier group"),
    (Lock, {"patterns": ("橋.{0,200}道.{0,200}不可",)}, "at most 20,000 ways"),
    *((Lock, {"looks_at": what, "patterns": (), "product_names": ()}, f"patterns for what looks at a {what}") for what in ("clause", "document")),
    (Lock, {"looks_at": "number", "measures": ()}, "measures for what looks at numbers"),
    (Lock, {"product_names": ("Kiban", " ")}, "a blank name"),
    (Lock, {"product_names": ("Kiban", "Kiban")}, "product_names: found 'Kiban' twice"),
    (Lock, {"measures": (MEASURE, MEASURE)}, "measures: found 'speed' twice"),
    (SpecClause, {"text": "橋" * (MAX_CLAUSE + 1)}, "4,001 characters"),
    (SpecClause, {"answers": -1}, "answers: found -1"),
    (SpecClause, {"needs": {"down_mbps": NAN}}, "down_mbps: found nan"),
    (Component, {"id": "The Line"}, "id 'The Line'"),
    (Clause, {"id": "c 1"}, "id 'c 1'"),
    (Kpi, {"id": "k1\n"}, "id 'k1\\n'"),
    (StandardModel, {"components": (Component(id="line", **COMPONENT),) * 2}, "components: found 'line' twice"),
    (StandardModel, {"clauses": (Clause(id="c1", component="line", text=TEXT, verify=TEXT),) * 2}, "clauses: found 'c1' twice"),
    (StandardModel, {"kpis": (Kpi(id="k1", **KPI),) * 2}, "kpis: found 'k1' twice"),
    (StandardModel, {"clauses": (Clause(id="c1", component="mast", text=TEXT, verify=TEXT),)}, "component 'mast'"),
    (StandardModel, {"review_by": DAY}, "review_by"),
    (StandardModel, {"kpis": (Kpi(id="k1", source="nowhere", **KPI),)}, "source key(s) nowhere"),
    (Offer, {"source_keys": ("nowhere",)}, "source key(s) nowhere"),
    (StandingClause, {"source_keys": ("nowhere",)}, "source key(s) nowhere"),
    (PaperForm, {"texts": {"H Sum": "総額"}}, "id 'H Sum'"),
    (PaperForm, {"texts": {"h.sum": " "}}, "texts h.sum: found an empty sentence"),
    (PaperForm, {"source_keys": ("nowhere",)}, "source key(s) nowhere"),
    (Figure, {"kind": "formula"}, "kind formula, formula None"),
    (Figure, {"formula": "finance.npv"}, "kind source, formula finance.npv"),
    (Figure, {"ref": None}, "kind source without ref"),
    (Plan, {"steps": (STEP, STEP)}, "'issue' twice"),
    (Plan, {"figures": {"b": Figure(value=1, unit="JPY", kind="formula", formula="f", inputs=("a",))}}, "input 'a'"),
    (Evidence, {"source": None}, "neither source nor assumed"),
    (Evidence, {"assumed": True, "reason": "nobody publishes it"}, "confirm None"),
    (Evidence, {"assumed": True, "confirm": "総務課"}, "reason None"),
    (Site, {"lat": 137.2, "lon": 37.3}, "look swapped"),
    (Site, {"lat": NAN}, "lat nan"),
    (Site, {"lon": 181.0}, "lon 181.0"),
    *((Site, {name: -1}, f"{name}: found -1") for name in ("households", "population", "pupils", "devices")),
    (Place, {"lat": 91.0, "lon": 200.0}, "lat 91.0"),
    (Place, {"height_m": -1.0}, "height_m: found -1.0"),
    (Junction, {"lat": 137.2, "lon": 37.3}, "look swapped"),
    (Street, {"length_m": -1.0}, "length_m: found -1.0"),
    (Street, {"length_m": NAN}, "length_m: found nan"),
    (Plant, {"year_built": 21}, "year_built: found 21"),
    (Obstructed, {"available": 1.0}, "1 available, 0 required"),
    (Elevation, {"spacing_m": 0.0}, "spacing_m: found 0.0"),
    (Region, {"sites": (SITE, SITE)}, "'s' twice"),
    (Region, {"sites": (), "places": (Place(id="t", name="t", kind="tower", lat=1.0, lon=1.0, evidence=Evidence(source="x")),)}, "source 'x'"),
    (Region, {"streets": (STREET, STREET)}, "'st' twice"),
    (Region, {"plants": (PLANT, PLANT)}, "'p' twice"),
    (Region, {"junctions": ()}, "junctions j, j"),
    (Region, {"sources": {}}, "source 'page'"),
    (Entry, {"id": "The Works"}, "id 'The Works'"),
    (DatedList, {"entries": ()}, "0 entries"),
    (DatedList, {"entries": (ENTRY, ENTRY)}, "2 entries, 1 different"),
    (Rule, {"values": ()}, "0 values, 0 lists"),
    (Rule, {"lists": (DatedList(since=DAY, entries=(ENTRY,), source="page"),)}, "2 values, 1 lists"),
    (Rule, {"values": (), "lists": (DatedList(since=DAY, entries=(ENTRY,), source="page"),) * 2}, "rising order"),
    (Rule, {"values": (dated(2), dated(1))}, "rising order"),
    (Rule, {"values": (dated(1), dated(1))}, "rising order"),
    (Rule, {"sources": {}}, "source key(s) page"),
    (TrafficScenario, {"points": ()}, "neither points nor yearly_growth"),
    (TrafficScenario, {"points": (Growth(year=2030, factor=FIGURE),) * 2}, "rising years"),
    (TrafficScenario, {"sources": {}}, "source key(s) page"),
    *((Condition, {"test": test, "value": None}, f"test {test}, value None, 0 values") for test in ("any_of", "none_of", "any_true")),
    (Condition, {"test": "any_of", "values": ("town",)}, "test any_of, value True, 1 values"),
    (Condition, {"values": ("town",)}, "test is, value True, 1 values"),
    (Condition, {"value": None}, "test is, value None, 0 values"),
    *((Condition, {"test": test, "value": "many"}, f"test {test} against 'many'") for test in ("at_least", "at_most", "below", "above")),
    (Condition, {"test": "at_least"}, "test at_least against True"),
    (Rate, {"share": YEN}, "unit 'JPY'"),
    (Rate, {"share": msgspec.structs.replace(SHARE, value=1.5)}, "rate: found 1.5"),
    (Rate, {"ceiling": YEARS}, "rate, ceiling: found unit 'years'"),
    (Edition, {"valid_to": 2025}, "edition 2026: found valid_to 2025"),
    (Edition, {"floor": YEARS}, "floor: found unit 'years'"),
    (Edition, {"ceiling": YEARS}, "ceiling: found unit 'years'"),
    (Support, {"editions": ()}, "editions of []"),
    (Support, {"editions": (Edition(**EDITION),) * 2}, "editions of [2026, 2026]"),
    (Support, {"editions": (Edition(**EDITION), Edition(**{**EDITION, "fiscal_year": 2025}))}, "editions of [2026, 2025]"),
    (Support, {"column": "bond"}, "column bond, redemption False"),
    (Support, {"editions": (Edition(**EDITION, redemption=REDEMPTION),)}, "column national, redemption True"),
    (Support, {"stacking": Stacking(order=1, source="nowhere")}, "source key(s) nowhere"),
    (SupportAnswer, {"support": "The Grant"}, "id 'The Grant'"),
    (SupportAnswer, {"answer": "unpublished"}, "unpublished with example None"),
    (SupportAnswer, {"example": "possible"}, "possible with example possible"),
    (SupportAnswer, {"missing": ("area", "area")}, "missing: found 'area' twice"),
    *((Wiring, {"pattern": pattern}, f"pattern {pattern} without network") for pattern in ("line", "drop", "plant")),
    (Wiring, {"pattern": "cell"}, "pattern cell without feeds"),
    (Cost, {"id": "Cable"}, "id 'Cable'"),
    (Cost, {"scope": ()}, "no scope"),
    (Cost, {"evidence": ()}, "no evidence"),
    (Cost, {"per": "site"}, "unit 'JPY/km'"),
    (Cost, {"phase": "yearly"}, "unit 'JPY/km'"),
    (Cost, {"evidence": (FIGURE, FIGURE)}, "2 figures with pick: only"),
    (Cost, {"pick": "series"}, "without fiscal_year"),
    (Technology, {"costs": (Cost(id="cable", **COST),) * 2}, "'cable' twice"),
    (Technology, {"wiring": Wiring(pattern="direct")}, "per km"),
    (Technology, {"lifetime_years": Quantity(unit="years", value=0, source="page", confidence="A")}, "0 years"),
    (Technology, {"costs": (Cost(id="cable", **COST), Cost(id="pole", **COST))}, "both include 'cable'"),
    (Technology, {"capability": Capability(down_mbps=UNSOURCED)}, "source key(s) nowhere"),
    (Scaled, {"points": ((0.0, 0.0),)}, "at least two points"),
    (Scaled, {"points": ((5.0, 0.0), (1.0, 1.0))}, "rising counts"),
    (Scaled, {"points": ((1.0, 0.0), (1.0, 1.0))}, "rising counts"),
    (UseCase, {"words": ()}, "no words"),
    (UseCase, {"sites": ()}, "no sites"),
    (UseCase, {"needs": Needs(down_mbps=UNSOURCED)}, "source key(s) nowhere"),
    (UseCase, {"priority": (Priority(test="effect", answer="yes", reason=TEXT, source="nowhere"),)}, "source key(s) nowhere"),
    (Conclusion, {"status": "hold"}, "status hold, decisive None"),
    (Conclusion, {"decisive": DECISIVE}, "status share, decisive Decisive"),
    (Verdict, {"options": (SHARED, SHARED)}, "options: found 'share' twice"),
    (Verdict, {"inquiries": (LETTER, LETTER)}, "inquiries: found 'letter' twice"),
    (Verdict, {"conclusion": Conclusion(status="hold", text=TEXT, decisive=DECISIVE)}, "hold, recommended ['share']"),
    (Verdict, {"conclusion": Conclusion(status="none", text=TEXT)}, "none, recommended ['share']"),
    (Verdict, {"conclusion": Conclusion(status="build", text=TEXT)}, "build, recommended ['share']"),
    (Verdict, {"options": ()}, "share, recommended []"),
    (Mix, {"nodes": 0}, "0 nodes"),
    (Mix, {"root": 7}, "root 7"),
    (Mix, {"links": ((0, 9, 1.0),)}, "links[0]"),
    (Mix, {"links": ((0, 1, NAN),)}, "links[0]"),
    (Mix, {"sky": ()}, "one per site"),
    (Mix, {"sites": ((1, -1.0),)}, "demand"),
    (Mix, {"facilities": ((1, 2.0, 0.0),)}, "capacity 0"),
    (Mix, {"serves": ((0, 3, 1.0),)}, "serves[0]"),
    (Mix, {"hops": ((0, 0, INFINITE),)}, "hops[0]"),
    (Weight, {"weight": 0}, "from 1 on"),
    (Multiplied, {"share": 2}, "share"),
    (Multiplied, {"multipliers": (("kwh_year", -0.5),)}, "multiplier of kwh_year"),
    (Stage, {"least_lost": 3}, "no bound above"),
    (Stage, {"least_cost": 8}, "no bound above"),
    (Frontier, {"weights": (Weight(site="s", usecase="u", weight=1),) * 2}, "s/u"),
    (Phases, {"least_waited": 3}, "bound 3"),
    (EnergyUse, {"kwh": -1.0}, "energy of t"),
    (Ceiling, {"most": -1.0}, "ceiling kwh_year"),
    (Ceiling, {"arcs": ((0, -1.0),)}, "amount"),
    (Hazard, {"polygons": ()}, "0 polygons"),
    (Hazard, {"polygons": ((((37.0, 137.0), (37.0, 137.1), (37.1, 137.1)),),)}, "open rings"),
]


def all_records() -> list[type[Record]]:
    found: list[type[Record]] = []
    waiting = [Record]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("kiban.records."):
                found.append(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def checks_itself(kind: type[Record]) -> bool:
    return "__post_init__" in vars(kind)


RECORDS = all_records()


def test_every_record_that_checks_itself_has_a_good_and_a_bad_example():
    checking = {kind.__name__ for kind in RECORDS if checks_itself(kind)}
    assert checking - {kind.__name__ for kind in GOOD} == set()
    assert checking - {kind.__name__ for kind, _, _ in BAD} == set()


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_the_good_example_is_accepted(kind):
    assert isinstance(kind(**GOOD[kind]), kind)


@pytest.mark.parametrize(("kind", "change", "says"), BAD, ids=[f"{kind.__name__}-{says}" for kind, _, says in BAD])
def test_a_bad_instance_is_refused(kind, change, says):
    with pytest.raises(RecordError) as error:
        kind(**{**GOOD[kind], **change})
    assert says in str(error.value)
    assert error.value.step  # and it says what to do


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_an_unknown_field_is_refused(kind):
    if kind.__struct_config__.array_like:
        with pytest.raises(msgspec.ValidationError, match=r"length|Expected"):
            msgspec.convert([None] * (len(kind.__struct_fields__) + 1), kind)
    else:
        with pytest.raises(msgspec.ValidationError, match="unknown field `no_such_field`"):
            msgspec.convert({"no_such_field": 1}, kind)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_value_of_the_wrong_type_is_refused(kind):
    name = next(name for name, hint in get_type_hints(kind).items() if hint is not Any)
    wrong = [{"wrong": b"\xff"}] if kind.__struct_config__.array_like else {name: [b"\xff", {"wrong": 1}, object()]}
    with pytest.raises(msgspec.ValidationError, match=r"Expected|Invalid"):
        msgspec.convert(wrong, kind)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_is_frozen_and_built_by_keyword(kind):
    config = kind.__struct_config__
    assert (config.frozen, config.forbid_unknown_fields) == (True, True)
    with pytest.raises(TypeError, match="positional"):
        kind("something")
