"""The bottlenecks of a plan in the bodies of its steps: those of the sites with the design, those of the town with the verdict.

In: what design.diagnose found. Out: rows of a body, every number in them the id of a figure. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiban.catalogue import Catalogue
from kiban.design.admit import capability_value
from kiban.design.diagnose import Bottleneck, bottlenecks, town_bottlenecks
from kiban.design.figures import Sheet
from kiban.finance.ledger import Ledger
from kiban.loop.given import Given
from kiban.loop.needs import Wanted
from kiban.records.design import Design, Problem
from kiban.records.region import Fact

JANUARY_TO_MARCH = 3  # belong to the fiscal year before


def site_rows(given: Given, wanted: Wanted, problem: Problem, design: Design, ledger: Ledger) -> list[dict[str, Any]]:
    """The bottlenecks of every wanted site."""
    usecases = {usecase: given.catalogue.usecases[usecase] for _, usecase in wanted}
    today = given.today
    year = today.year - (today.month <= JANUARY_TO_MARCH)
    found = bottlenecks(given.region, wanted, usecases, given.catalogue.technologies, year, problem, design)
    sheet = Sheet(ledger, problem, design, given.region, usecases)
    return [_row(one, given, sheet, ledger) for one in found]


def town_rows(facts: Mapping[str, Fact], catalogue: Catalogue) -> list[dict[str, Any]]:
    """The bottlenecks of the town, from what the officer answered."""
    nobody = {word.strip() for texts in catalogue.words.values() for word in texts.get("verdict.nobody", "").split("|")}
    rows = []
    for one in town_bottlenecks(facts, frozenset(nobody - {""})):
        named = catalogue.facts.get(one.row)
        desk = {"ja": named.desk.ja, "en": named.desk.en} if named else None
        rows.append({**_bare(one), "ask_text": desk, "name": {"ja": named.name.ja, "en": named.name.en} if named else None})
    return rows


def _bare(one: Bottleneck) -> dict[str, Any]:
    evidence = one.evidence
    return {
        "kind": one.kind, "state": one.state, "site": one.site, "usecase": one.usecase, "need": one.need, "technologies": list(one.technologies),
        "row": one.row, "field": one.field, "ask": one.ask, "source": evidence.source if evidence else None,
        "confidence": str(evidence.confidence) if evidence else None, "assumed": evidence.assumed if evidence else False,
        "required": None, "available": None,
    }  # fmt: skip


def _row(one: Bottleneck, given: Given, sheet: Sheet, ledger: Ledger) -> dict[str, Any]:
    row = _bare(one)
    technology = given.catalogue.technologies.get(one.technologies[0]) if one.technologies else None
    if one.kind == "age":
        plant = next(plant for plant in given.region.plants if plant.id == one.row)
        row["name"] = plant.name
        if one.state == "found" and technology is not None and technology.lifetime_years is not None:
            life, base = technology.lifetime_years, f"technologies/{one.technologies[0]}#lifetime_years"
            row["required"] = ledger.source(base, life.value, life.unit, f"{base} {life.source}", life.confidence)
            key, evidence = f"region/{given.region.id}#{plant.id}", plant.evidence
            row["available"] = ledger.source(
                f"{key}/year_built", plant.year_built, "年", f"{key}.year_built {evidence.source or ''}".rstrip(), evidence.confidence, assumed=evidence.assumed
            )
        return row
    if one.need and one.required is not None and one.usecase and one.site:
        row["required"] = sheet.need(one.site, one.usecase, one.need)
    if one.need and one.available is not None and technology is not None and capability_value(technology.capability, one.need) is not None:
        quantity = getattr(technology.capability, one.need)
        base = f"technologies/{one.technologies[0]}#capability.{one.need}"
        row["available"] = ledger.source(base, quantity.value, quantity.unit, f"{base} {quantity.source}", quantity.confidence)
    return row
