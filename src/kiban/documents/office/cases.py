"""Which cases a paper shows: stopped ones first, those of towns of like size and like issue before others.

In: a view and the population of the town. Out: cases of the catalogue, and sentences on one of them.
"""

from __future__ import annotations

import math

from kiban.documents.amounts import printed_yen
from kiban.documents.office.desk import Desk, Say
from kiban.documents.reasons import near_cases
from kiban.documents.view import View
from kiban.records.case import Case


def population(desk: Desk) -> float | None:
    """Inhabitants of the town, where its facts say."""
    for fact in desk.dossier.region.facts:
        if fact.id == "population" and isinstance(fact.value, int | float) and not isinstance(fact.value, bool):
            return float(fact.value)
    return None


def stopped(view: View, people: float | None, count: int = 3) -> list[Case]:
    """Stopped projects with a known cause, nearest first: same use case or model, then size; the first that has a cost is among them."""
    wanted = {match["id"] for match in view.step("issue")["usecases"]}
    models = {match["id"] for match in view.step("issue")["models"]} | {match["id"].partition("/")[0] for match in view.step("issue")["models"]}

    def distance(case: Case) -> tuple[bool, float, str]:
        alike = bool(wanted & set(case.usecases)) or bool(models & set(case.models))
        size = abs(math.log(case.population_2015 / people)) if people and case.population_2015 else math.inf
        return not alike, size, case.title

    found = sorted((case for case in view.catalogue.cases.values() if case.kind == "project" and case.stopped and case.failed), key=distance)
    shown = found[:count]
    if shown and not any(has_cost(case) for case in shown):
        priced = next((case for case in found if has_cost(case)), None)
        shown = shown[: count - 1] + ([priced] if priced else [])
    return shown


def has_cost(case: Case) -> bool:
    """Whether a page says what it cost."""
    return case.cost.initial_yen is not None or case.cost.yearly_yen is not None


def cost(say: Say, view: View, case: Case) -> str:
    """What a case cost as far as a page says."""
    known = (("case.initial", case.cost.initial_yen), ("case.yearly", case.cost.yearly_yen))
    told = [f"{view.word(key)} {printed_yen(yen, 'ja')}" for key, yen in known if yen is not None]
    return say("comma").join(told) or case.cost.note or say("unknown")


def town(say: Say, case: Case) -> str:
    """The town of a case with its population in 2015."""
    name = f"{case.prefecture or ''}{case.municipality or ''}" or say("unknown")
    return say("v.by", name=name, count=f"{case.population_2015:,}") if case.population_2015 else say("v.by.unknown", name=name)


def shown_cases(desk: Desk) -> list[Case]:
    """Stopped cases first, then the near ones that are not among them."""
    first = stopped(desk.view, population(desk))
    return first + [case for case in near_cases(desk.view) if case not in first]
