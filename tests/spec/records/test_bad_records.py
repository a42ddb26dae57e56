"""A bad instance of every record, built directly, is refused; and a record that checks itself cannot be added without one.

GOOD holds the arguments of a good instance of each record that checks itself. BAD changes one thing of it and names what the refusal says.
Records that check nothing beyond types are tried with an unknown field and a wrong type.
"""

from __future__ import annotations

import importlib
import pkgutil
from datetime import date
from typing import Any, get_origin, get_type_hints

import msgspec
import pytest

import kiban.records
from kiban.base.errors import RecordError
from kiban.records.case import Case, CaseCost
from kiban.records.design import Arc, Certificate, Demand, Design, Node, Price, Problem, Step
from kiban.records.issue import Concept, FormChoice, FormQuestion, Issue, IssueForm, IssueLimits, Match, Question
from kiban.records.model import Clause, Component, Kpi, StandardModel
from kiban.records.offer import Offer
from kiban.records.plan import Figure, Plan, PlanStep
from kiban.records.region import Elevation, Evidence, Junction, Place, Plant, Region, Site, Street
from kiban.records.rule import DatedValue, Growth, Rule, TrafficScenario
from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Text
from kiban.records.technology import Capability, Cost, Technology, Wiring
from kiban.records.usecase import Needs, Priority, Scaled, UseCase

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
    Issue: {"sentence": "橋が落ちた", "status": "no_model"},
    Concept: {"role": "place", "words": ("橋",)},
    IssueLimits: {name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__},
    FormQuestion: {"id": "q", "text": TEXT, "changes": TEXT, "choices": (FormChoice(id="yes", text=TEXT),), "models": ("m",)},
    IssueForm: {**plain(IssueForm), "limits": LIMITS, "questions": (FORM_QUESTION,)},
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
    Rule: {"name": TEXT, "values": (dated(1), dated(2)), "sources": {"page": PAGE}, "checked_on": DAY},
    TrafficScenario: {
        "name": TEXT,
        "summary": TEXT,
        "base_year": 2020,
        "points": (Growth(year=2030, factor=FIGURE),),
        "sources": {"page": PAGE},
        "checked_on": DAY,
    },
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
}

BAD: list[tuple[type[Record], dict[str, Any], str]] = [
    (Text, {"ja": " "}, "both languages filled"),
    (Text, {"en": ""}, "both languages filled"),
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
    (Elevation, {"spacing_m": 0.0}, "spacing_m: found 0.0"),
    (Region, {"sites": (SITE, SITE)}, "'s' twice"),
    (Region, {"sites": (), "places": (Place(id="t", name="t", kind="tower", lat=1.0, lon=1.0, evidence=Evidence(source="x")),)}, "source 'x'"),
    (Region, {"streets": (STREET, STREET)}, "'st' twice"),
    (Region, {"plants": (PLANT, PLANT)}, "'p' twice"),
    (Region, {"junctions": ()}, "junctions j, j"),
    (Region, {"sources": {}}, "source 'page'"),
    (Rule, {"values": ()}, "values or lists"),
    (Rule, {"values": (dated(2), dated(1))}, "rising order"),
    (Rule, {"values": (dated(1), dated(1))}, "rising order"),
    (Rule, {"sources": {}}, "source key(s) page"),
    (TrafficScenario, {"points": ()}, "neither points nor yearly_growth"),
    (TrafficScenario, {"points": (Growth(year=2030, factor=FIGURE),) * 2}, "rising years"),
    (TrafficScenario, {"sources": {}}, "source key(s) page"),
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
