"""The verdict: seven options by their rules, one decisive point, letters without amounts, and no recommendation over an open fact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from kiban.catalogue import Catalogue
from kiban.loop.files import read_folder
from kiban.records.fact import NamedFact
from kiban.records.offer import Offer
from kiban.records.plan import Figure
from kiban.records.region import Evidence, Fact, Plant
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.verdict import KINDS, Option, Verdict
from kiban.verdict import Grounds, choose, fact_points, option_points, unknowns
from kiban.verdict.choice import fast_lane
from kiban.verdict.unknown import FACTS

TODAY = date(2026, 11, 23)
DESK = Text(ja="財政課", en="finance section")
KINDS_OF_FACT = {
    "operator_named": "flag",
    "handover_partner": "flag",
    "iru_partner_consents": "flag",
    "payer_after_support": "text",
    "current_contract_end": "day",
    "maintenance_end": "day",
}
# Everything said, and nothing in the way.
ALL_KNOWN: dict[str, float | bool | str] = {
    "operator_named": True,
    "payer_after_support": "一般財源（財政課と協議済み）",
    "current_contract_end": "2032-03-31",
    "maintenance_end": "2031-03-31",
    "service_cost_before": 900_000.0,
    "staff_hours_before": 1_200.0,
    "staff_hours_after": 300.0,
    "handover_partner": False,
    "iru_partner_consents": False,
    "share_offer_asked": True,
}


def named(id: str) -> NamedFact:
    """A fact that can be asked."""
    kind = KINDS_OF_FACT.get(id, "number")
    question = Text(ja=f"{id}はどうなっていますか。", en=f"What about {id}?")
    unit = "JPY/year" if kind == "number" else None
    return NamedFact(name=Text(ja=id, en=id), question=question, why=DESK, desk=DESK, kind=kind, group="plan", unit=unit, checked_on=TODAY)


def facts(values: Mapping[str, float | bool | str]) -> dict[str, Fact]:
    return {id: Fact(id=id, value=value, unit=None, evidence=Evidence(source="town")) for id, value in values.items()}


@pytest.fixture(scope="module")
def example(example_folder: Path, shipped_catalogue: Catalogue) -> Grounds:
    """The example, with the facts of this file to be asked and nothing said yet."""
    folder = read_folder(example_folder)
    steps = {step.id: step.body for step in folder.plan.steps}
    catalogue = changed(shipped_catalogue, facts={id: named(id) for id in FACTS})
    return Grounds(
        catalogue=catalogue,
        region=folder.region,
        sentence=folder.plan.sentence,
        model=steps["options"]["model"],
        usecases=steps["needs"]["usecases"],
        options=steps["options"]["rows"],
        cases=steps["issue"]["cases"],
        design=steps["design"],
        points=[point for point in steps["verdict"]["points"] if point["kind"] not in ("fact", "option")],
        figures=folder.plan.figures,
        costs={},
        today=TODAY,
        start=2027,
    )


def asked(grounds: Grounds) -> Grounds:
    """With the open facts and options among the points, as the loop lists them."""
    grounds = replace(grounds, points=[*grounds.points, *fact_points(grounds)])
    return replace(grounds, points=[*grounds.points, *option_points(grounds)])


def settled(example: Grounds, **more: Any) -> Grounds:
    """The example with every point answered: no offer to share or join, services that reach nothing, all facts said."""
    bought = {"cost_npv": None, "technologies": [], "unserved": [{"site": "s", "usecase": "u"}], "unpriced": [], "unknown_coverage": [], "excludes": []}
    options = [{**row, "records": []} if row["kind"] in ("share", "join", "buy") else row for row in example.options]
    design = {**example.design, "buy": bought}
    known = {"cost/leave": Figure(value=9_000_000, unit="JPY", kind="choice", ref="test")}
    closed = offer("join", closes=date(2026, 5, 30))
    catalogue = changed(example.catalogue, offers={"over": closed})
    options = [{**row, "records": ["offers/over"]} if row["kind"] == "join" else row for row in options]
    grounds = replace(
        example,
        catalogue=catalogue,
        options=options,
        design=design,
        points=[],
        facts=facts(ALL_KNOWN),
        figures={**example.figures, **known},
        costs={"leave": "cost/leave"},
    )
    return replace(grounds, **more)


def offer(kind: str, price: float | None = None, **days: date) -> Offer:
    fee = None if price is None else Quantity(unit="JPY/year", value=price, source="page", confidence=Confidence.A)
    word = Text(ja="共同の仕組み", en="common scheme")
    sources = {"page": Source(title="A page", seen_on=TODAY)}
    return Offer(name=word, summary=word, kind=kind, by=word, to=word, price=fee, ask=word, sources=sources, source_keys=("page",), checked_on=TODAY, **days)


def option(verdict: Verdict, kind: str) -> Option:
    return next(row for row in verdict.options if row.kind == kind)


def say(texts: tuple[Text, ...]) -> str:
    return " ".join(text.ja for text in texts)


def test_the_seven_options_stand_in_order_and_none_is_recommended_on_hold(example: Grounds) -> None:
    verdict = choose(asked(example))
    assert tuple(row.kind for row in verdict.options) == KINDS
    assert verdict.conclusion.status == "hold"
    assert "recommended" not in {row.state for row in verdict.options}
    assert option(verdict, "build").state == "hold"
    assert option(verdict, "build").cost == "total/priced"


def test_the_decisive_point_could_rule_out_building_and_its_letter_is_ready(example: Grounds) -> None:
    verdict = choose(asked(example))
    decisive = verdict.conclusion.decisive
    assert decisive is not None
    assert decisive.point == "points/0"
    assert example.points[0]["kind"] == "question"
    letter = verdict.inquiries[0]
    assert (letter.id, letter.facts) == (decisive.inquiry, ("points/0",))
    assert example.sentence in letter.body.ja
    assert "ご教示くださいますようお願いいたします" in letter.body.ja
    assert verdict.conclusion.text.ja.startswith("保留：この1点を確認")


def test_the_order_of_asking_is_decision_then_reach_then_effort(example: Grounds) -> None:
    found = unknowns(asked(example))
    keys = [(not one.first, -len(one.about), one.effort) for one in found]
    assert keys == sorted(keys)
    assert found[0].first


def test_a_fact_that_excludes_building_comes_before_all_that_only_moves_its_cost(example: Grounds) -> None:
    grounds = asked(settled(example, points=[{"kind": "excluded", "about": ["technologies/pon-ftth"], "costs": ["x"], "ask": "ask.quotation"}]))
    said = {id: value for id, value in ALL_KNOWN.items() if id != "operator_named"}
    verdict = choose(asked(replace(grounds, points=grounds.points, facts=facts(said))))
    assert verdict.conclusion.decisive is not None
    assert verdict.conclusion.decisive.point == "operator_named"


def test_no_letter_holds_an_amount_of_the_ledger(example: Grounds) -> None:
    verdict = choose(asked(example))
    amounts = {f"{round(figure.value):,}" for figure in example.figures.values() if figure.value and figure.unit.startswith("JPY") and figure.value >= 1000}
    amounts |= {amount.replace(",", "") for amount in amounts}
    for letter in verdict.inquiries:
        for text in (letter.body.ja, letter.body.en, letter.subject.ja, letter.subject.en):
            assert [amount for amount in amounts if re.search(rf"(?<![\d,]){amount}(?![\d,])", text)] == []
            assert not re.search(r"\d\s*(?:円|千円|万円|億円|yen|JPY)", text)


def test_each_desk_gets_one_letter_and_every_point_that_a_desk_knows_is_in_one(example: Grounds) -> None:
    verdict = choose(asked(example))
    rest = verdict.inquiries[1:]
    assert len({letter.desk.ja for letter in rest}) == len(rest)
    settled_here = {one.point for one in unknowns(asked(example)) if one.desk is None or one.line is None}
    asked_for = [point for letter in verdict.inquiries for point in letter.facts]
    assert len(asked_for) == len(set(asked_for))
    assert {one.point for one in unknowns(asked(example))} - settled_here == set(asked_for)


def test_with_everything_known_the_cheapest_possible_option_is_recommended(example: Grounds) -> None:
    verdict = choose(asked(settled(example)))
    assert (verdict.conclusion.status, verdict.conclusion.decisive) == ("build", None)
    assert {row.kind: row.state for row in verdict.options} == {
        "leave": "possible",
        "nondigital": "possible",
        "revise": "excluded",
        "share": "excluded",
        "join": "excluded",
        "buy": "excluded",
        "build": "recommended",
    }


def test_a_shared_offer_with_a_price_below_that_of_building_is_taken_instead(example: Grounds) -> None:
    base = settled(example)
    options = [{**row, "records": ["offers/one"]} if row["kind"] == "share" else row for row in base.options]
    fee = Figure(value=1_000_000, unit="JPY", kind="choice", ref="test")
    catalogue = changed(base.catalogue, offers={**base.catalogue.offers, "one": offer("share", 90_000)})
    grounds = replace(base, catalogue=catalogue, options=options, figures={**base.figures, "cost/share": fee}, costs={**base.costs, "share": "cost/share"})
    assert choose(asked(grounds)).conclusion.status == "share"
    dear = replace(grounds, figures={**grounds.figures, "cost/share": changed(fee, value=9e12)})
    assert choose(asked(dear)).conclusion.status == "build"


def test_sharing_without_a_price_in_a_source_has_no_cost_and_is_asked_of_the_prefecture(example: Grounds) -> None:
    base = settled(example)
    options = [{**row, "records": ["offers/one"]} if row["kind"] == "share" else row for row in base.options]
    catalogue = changed(base.catalogue, offers={**base.catalogue.offers, "one": offer("share")})
    verdict = choose(asked(replace(base, catalogue=catalogue, options=options)))
    row = option(verdict, "share")
    assert (row.state, row.cost) == ("ask", None)
    assert "照会" in row.cost_text.ja
    assert verdict.conclusion.status == "hold"


@pytest.mark.parametrize("payer", ["なし", "nobody", " ", "Nobody"])
def test_building_is_refused_where_nobody_pays_after_the_support(example: Grounds, payer: str) -> None:
    verdict = choose(asked(settled(example, facts=facts({**ALL_KNOWN, "payer_after_support": payer}))))
    row = option(verdict, "build")
    assert row.state == "excluded"
    assert "払う者がいない" in row.against[0].ja
    assert any("再び選べる" in flip.text.ja for flip in row.flips)
    assert verdict.conclusion.status == "nondigital"


def test_building_without_an_operator_is_refused(example: Grounds) -> None:
    row = option(choose(asked(settled(example, facts=facts({**ALL_KNOWN, "operator_named": False})))), "build")
    assert (row.state, "運用する主体が決まっていない" in row.against[0].ja) == ("excluded", True)


def test_joining_is_not_possible_where_the_windows_do_not_meet(example: Grounds) -> None:
    base = settled(example)
    for days, word in (({"closes": date(2026, 5, 30)}, "2026-05-30に終わり"), ({"opens": date(2028, 4, 2)}, "間に合わない")):
        grounds = replace(base, catalogue=changed(base.catalogue, offers={"over": offer("join", **days)}))
        row = option(choose(asked(grounds)), "join")
        assert row.state == "excluded"
        assert word in row.against[0].ja
    open_ = replace(base, catalogue=changed(base.catalogue, offers={"over": offer("join", opens=date(2027, 5, 1), closes=date(2027, 6, 1))}))
    verdict = choose(asked(open_))
    assert option(verdict, "join").state == "ask"
    assert "離脱条項" in say(option(verdict, "join").against)
    assert verdict.conclusion.status == "hold"


def test_leaving_it_ends_with_the_contract_and_is_never_free(example: Grounds) -> None:
    verdict = choose(asked(settled(example)))
    row = option(verdict, "leave")
    assert (row.state, row.cost) == ("possible", "cost/leave")
    assert "2031-03-31まで" in say(row.reasons)  # the earlier of contract and maintenance
    assert "ゼロではない" in say(row.against)
    over = option(choose(asked(settled(example, facts=facts({**ALL_KNOWN, "maintenance_end": "2027-03-31"})))), "leave")
    assert over.state == "excluded"


def test_existing_plant_asks_for_approval_while_its_restriction_lasts(example: Grounds) -> None:
    plant = Plant(id="fibre", name="公設光", technology="public-fibre", evidence=Evidence(source="town"), restricted_until=date(2030, 3, 31))
    region = changed(example.region, plants=(plant,), sources={**example.region.sources, "town": Source(title="town", seen_on=TODAY)})
    known = facts({**ALL_KNOWN, "handover_partner": True})
    row = option(choose(asked(settled(example, region=region, facts=known))), "revise")
    assert row.state == "possible"
    assert "2030-03-31まで。財産処分" in say(row.against)
    free = changed(plant, restricted_until=date(2020, 3, 31))
    row = option(choose(asked(settled(example, region=changed(region, plants=(free,)), facts=known))), "revise")
    assert "財産処分" not in say(row.against)


def test_buying_says_no_bond_and_general_fund_and_reaches_all_places_or_is_ruled_out(example: Grounds) -> None:
    base = settled(example)
    row = option(choose(asked(base)), "buy")
    assert row.state == "excluded"
    assert "地方債の対象にならない" in say(row.against)
    whole = {**base.design["buy"], "cost_npv": "total/priced", "unserved": [], "technologies": ["leo-satellite"]}
    row = option(choose(asked(replace(base, design={**base.design, "buy": whole}))), "buy")
    assert row.cost == "total/priced"
    assert row.state in ("possible", "recommended")


def test_stopped_cases_stand_first_and_a_proven_model_alone_opens_the_fast_lane(example: Grounds) -> None:
    for row in choose(asked(example)).options:
        stopped = [example.catalogue.cases[id].stopped for id in row.cases]
        assert stopped == sorted(stopped, reverse=True)
        assert row.cases
    lane, why = fast_lane(example)
    assert not lane
    assert why.ja.startswith("早道は使えない")
    assert "見直し期限" in fast_lane(replace(example, today=date(2035, 1, 1)))[1].ja


def test_what_would_flip_building_names_prices_as_figures(example: Grounds) -> None:
    flips = option(choose(asked(example)), "build").flips
    prices = [flip.price for flip in flips if flip.kind == "price"]
    assert prices
    assert all(price in example.figures for price in prices)


@given(known=st.dictionaries(st.sampled_from(sorted(ALL_KNOWN)), st.booleans(), max_size=len(ALL_KNOWN)), points=st.sets(st.integers(0, 7)))
def test_nothing_is_recommended_while_anything_that_decides_is_unknown(example: Grounds, known: dict[str, bool], points: set[int]) -> None:
    """Any facts left out or said otherwise, any points of the example open: on hold exactly when something live is unknown."""
    values = {id: value for id, value in ALL_KNOWN.items() if known.get(id) is not True}
    values |= {id: False for id, other in known.items() if other is False and isinstance(ALL_KNOWN[id], bool)}
    rows = [point for index, point in enumerate(example.points) if index in points]
    grounds = asked(settled(example, facts=facts(values), points=rows))
    verdict = choose(grounds)
    excluded = [row.kind for row in verdict.options if row.state == "excluded"]
    live = unknowns(grounds, excluded)
    assert (verdict.conclusion.status == "hold") == bool(live)
    chosen = [row for row in verdict.options if row.state == "recommended"]
    assert len(chosen) == (0 if live or verdict.conclusion.status == "none" else 1)
    assert all(row.cost is None or row.cost in grounds.figures for row in verdict.options)
    if live:
        assert verdict.conclusion.decisive is not None
        assert verdict.conclusion.decisive.point == live[0].point
