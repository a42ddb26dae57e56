"""The verdict over all seven options.

In: the grounds. Out: options with states, one conclusion, letters. On hold as long as anything unknown could flip the choice; else the option that is
possible and costs least, where costs are known; else leaving or working without digital means; else none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kiban.records.case import Case
from kiban.records.source import Text
from kiban.records.verdict import KINDS, Conclusion, Decisive, Flip, Inquiry, Kind, Option, State, Verdict
from kiban.verdict.grounds import Grounds, joined
from kiban.verdict.inquiry import inquiries
from kiban.verdict.rules import RULES, Judged
from kiban.verdict.unknown import Unknown, unknowns

COSTED: tuple[Kind, ...] = ("share", "join", "buy", "revise", "build")  # where costs are equal, the earlier one
CASES_SHOWN = 5
# Cases that speak for an option by the pattern that they show; those of the sentence itself speak for building and buying.
PATTERNS: dict[str, str] = {"nondigital": "pattern-s5", "revise": "pattern-f10", "share": "pattern-s6", "join": "pattern-s6"}
FLIPS_SHOWN = 8


def choose(grounds: Grounds) -> Verdict:
    """Judge every option and say what may be decided today.

    Raises
    ------
    KeyError  a sentence has no words in one of the languages
    """
    judged = {kind: RULES[kind](grounds) for kind in KINDS}
    excluded = [kind for kind in KINDS if judged[kind].state == "excluded"]
    open_ = unknowns(grounds, excluded)
    letters = inquiries(grounds, open_)
    conclusion = _conclude(grounds, judged, open_, letters)
    rows = []
    for kind, row in judged.items():
        mine = [one for one in open_ if kind in one.about]
        asked = next((letter.id for one in mine for letter in letters if one.point in letter.facts), None)
        rows.append(
            Option(
                kind=kind,
                state=_state(row, mine, conclusion),
                cost=row.cost,
                cost_text=row.cost_text,
                reasons=tuple(row.reasons),
                against=tuple(row.against),
                cases=_cases(grounds, kind),
                flips=tuple(_flips(grounds, row, mine)[:FLIPS_SHOWN]),
                ask=asked,
            )
        )
    lane, why = fast_lane(grounds)
    return Verdict(options=tuple(rows), conclusion=conclusion, inquiries=letters, fast_lane=lane, fast_lane_text=why)


def fast_lane(grounds: Grounds) -> tuple[bool, Text]:
    """Whether a proven model may skip the trial: proven, and not past the day of its review."""
    level = grounds.catalogue.level(f"models/{grounds.model}")
    if grounds.standard.review_by < grounds.today:
        return False, grounds.say("verdict.lane.stale", day=grounds.standard.review_by.isoformat())
    if level != "proven":
        return False, grounds.say("verdict.lane.closed", level=grounds.say(f"level.{level}"))
    return True, grounds.say("verdict.lane.open")


def _state(row: Judged, mine: Sequence[Unknown], conclusion: Conclusion) -> State:
    if row.state == "excluded":
        return "excluded"
    if conclusion.status == row.kind:
        return "recommended"
    return "hold" if row.state == "possible" and mine else row.state


def _conclude(grounds: Grounds, judged: Mapping[Kind, Judged], open_: Sequence[Unknown], letters: Sequence[Inquiry]) -> Conclusion:
    """On hold with the one point to ask first, or the option to take."""
    if open_:
        first = open_[0]
        letter = next((letter.id for letter in letters if first.point in letter.facts), None)
        desk = first.desk or grounds.say("inquiry.desk.own")
        text = grounds.say("verdict.hold.one", text=first.text, desk=desk)
        return Conclusion(status="hold", text=text, decisive=Decisive(point=first.point, text=first.text, inquiry=letter))
    waiting = [kind for kind in KINDS if judged[kind].state == "ask"]
    chosen = _cheapest(grounds, judged)
    if chosen is None:
        names = joined([grounds.say(f"option.{kind}") for kind in waiting]) if waiting else grounds.say("show.none")
        return Conclusion(status="none", text=grounds.say("verdict.none.text", names=names))
    key = "verdict.chosen.cheapest" if judged[chosen].cost and chosen in COSTED else "verdict.chosen.only"
    return Conclusion(status=chosen, text=grounds.say(key, option=grounds.say(f"option.{chosen}")))


def _cheapest(grounds: Grounds, judged: Mapping[Kind, Judged]) -> Kind | None:
    """The option that is possible and costs least; without a known cost, leaving or working without digital means."""
    costs: list[tuple[float, int, Kind]] = []
    for place, kind in enumerate(COSTED):
        row = judged[kind]
        value = grounds.figures[row.cost].value if row.cost else None
        if row.state == "possible" and value is not None:
            costs.append((value, place, kind))
    if costs:
        return min(costs)[2]
    return next((kind for kind in ("nondigital", "leave", "revise") if judged[kind].state == "possible"), None)


def _flips(grounds: Grounds, row: Judged, mine: Sequence[Unknown]) -> list[Flip]:
    """What would change the place of an option: what brings it back, prices, open points, weak facts."""
    say, flips = grounds.say, [Flip(kind="point", text=text) for text in row.back]
    if row.kind == "build":
        for one in grounds.design.get("flips", ()):
            if one["price"]:
                names = joined([grounds.name(f"technologies/{id}") for id in one["instead"]] or [say("show.none")])
                text = say(
                    "verdict.flip.price", technology=grounds.name(f"technologies/{one['technology']}"), instead=names, per=say(f"value.per.{one['per']}")
                )
                flips.append(Flip(kind="price", text=text, price=one["price"], about=one["technology"]))
        for one in grounds.design["unpriced"]:
            if one["enters"]:
                text = say("verdict.flip.unpriced", technology=grounds.name(f"technologies/{one['technology']}"), per=say(f"value.per.{one['per']}"))
                flips.append(Flip(kind="unpriced", text=text, price=one["break_even"], about=one["technology"]))
    weak = [one for one in mine if one.point.startswith("points/") and grounds.points[int(one.point.partition("/")[2])]["kind"] == "assumed"]
    flips += [Flip(kind="point", text=say("verdict.flip.point", text=one.text), about=one.point) for one in mine if one not in weak]
    if weak:
        flips.append(Flip(kind="weak", text=say("verdict.flip.weak", names=joined([one.text for one in weak]))))
    return flips


def _cases(grounds: Grounds, kind: Kind) -> tuple[str, ...]:
    """The nearest cases of an option, the stopped ones and those below their target first."""
    near = [row["id"] for row in grounds.cases if row["id"] in grounds.catalogue.cases]
    pattern = grounds.catalogue.cases.get(PATTERNS.get(kind, ""))
    if pattern is not None:
        near = sorted((id for id in pattern.cases if id in grounds.catalogue.cases), key=lambda id: _distance(grounds, grounds.catalogue.cases[id]))
    found = sorted(near, key=lambda id: (not grounds.catalogue.cases[id].stopped, not grounds.catalogue.cases[id].below_target))
    return tuple(found[:CASES_SHOWN])


def _distance(grounds: Grounds, case: Case) -> float:
    """How unlike in size the town of a case is; unknown sizes come last."""
    here = grounds.number("population")
    return abs(math.log(case.population_2015 / here)) if here and case.population_2015 else math.inf
