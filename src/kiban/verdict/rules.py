"""Each option by its own rules: whether it may be taken, what it costs, what speaks for and against it.

In: the grounds. Out: a Judged per option. A cost is the id of a figure or None; where no record shows a cost, the text says whom to ask. Reasons
that rule an option out stand first in `against`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from kiban.records.source import Text
from kiban.records.verdict import Kind
from kiban.verdict.grounds import Grounds, joined, local

SHOWN = 3  # sentences that are taken from a model or an offer


@dataclass
class Judged:
    """An option as its rules find it. state: possible · ask: something that it hangs on is unknown · excluded."""

    kind: Kind
    state: Literal["possible", "ask", "excluded"]
    cost: str | None
    cost_text: Text
    reasons: list[Text] = field(default_factory=list)
    against: list[Text] = field(default_factory=list)
    back: list[Text] = field(default_factory=list)  # what would bring an excluded option back

    def exclude(self, because: Text, back: Text | None = None) -> None:
        """Rule the option out."""
        self.state = "excluded"
        self.against.insert(0, because)
        self.back += [back] if back else []


def leave(grounds: Grounds) -> Judged:
    """Leave it as it is: not zero, and only for as long as the contract and the maintenance last."""
    say = grounds.say
    ends = [(day, id) for id in ("current_contract_end", "maintenance_end") if (day := grounds.day(id)) is not None]
    cost = grounds.costs.get("leave")
    text = say("verdict.cost.leave" if grounds.number("outage_cost") is not None else "verdict.cost.leave_part") if cost else say("verdict.cost.ask_own")
    row = Judged("leave", "possible" if ends and cost else "ask", cost, text, against=[say("verdict.leave.not_zero")])
    if ends:
        day, id = min(ends)
        what = say(f"verdict.leave.{id}")
        row.reasons.append(say("verdict.leave.wait", what=what, day=day.isoformat()))
        if day < date(grounds.start, 4, 1):
            row.exclude(say("verdict.leave.ends", what=what, day=day.isoformat(), year=str(grounds.start)), say("verdict.leave.back"))
    else:
        row.against.append(say("verdict.leave.wait_unknown"))
    if grounds.number("failures_per_year"):
        row.against.append(say("verdict.leave.failures"))
    if grounds.number("resident_fee_before"):
        row.against.append(say("verdict.leave.residents"))
    return row


def nondigital(grounds: Grounds) -> Judged:
    """Work, rules and people instead of equipment: costs hours, which are never turned into yen."""
    say = grounds.say
    hours = grounds.number("staff_hours_before")
    row = Judged("nondigital", "ask" if hours is None else "possible", None, say("verdict.cost.hours"), [say("verdict.nondigital.no_purchase")])
    row.reasons += [say("verdict.nondigital.first", text=text) for text in grounds.standard.first_ask[:SHOWN]]
    row.against.append(say("verdict.nondigital.hours_unknown" if hours is None else "verdict.nondigital.hours"))
    return row


def revise(grounds: Grounds) -> Judged:
    """Revise or hand over what exists: approval of its disposal, the partner's consent, what users pay afterwards."""
    say, plants = grounds.say, grounds.region.plants
    row = Judged("revise", "ask", None, say("verdict.cost.ask_own"))
    if not plants:
        row.against.append(say("option.revise.ask"))
        return row
    names = joined([grounds.name(f"plants/{plant.id}") for plant in plants])
    row.cost_text = say("verdict.cost.plants", names=names)
    row.reasons.append(say("verdict.revise.exists", names=names))
    money = grounds.funding
    free = {plant.id for plant in plants if money and not any(one.plant == plant.id and one.id != "keep" and one.approval != "no" for one in money.plants)}
    for plant in plants:
        name = local(plant.name)
        if plant.restricted_until is not None and plant.restricted_until >= date(grounds.start, 4, 1):
            row.against.append(say("verdict.revise.approval", name=name, day=plant.restricted_until.isoformat()))
        elif plant.restricted_until is None and plant.id not in free:
            row.against.append(say("verdict.revise.approval_unknown", name=name))
        if plant.iru_until is not None:
            row.against.append(say("verdict.revise.iru", name=name, day=plant.iru_until.isoformat()))
    row.against.append(say("verdict.revise.users_pay"))
    partner, consent = grounds.flag("handover_partner"), grounds.flag("iru_partner_consents")
    if partner or consent:
        row.state = "possible"
        row.reasons.append(say("verdict.revise.partner"))
    elif partner is False and consent is False:
        row.exclude(say("verdict.revise.no_partner"), say("verdict.revise.back"))
    return row


def share(grounds: Grounds) -> Judged:
    """Share what the prefecture or a neighbour offers: a record, or an inquiry, never a cost without a source."""
    say, asked = grounds.say, grounds.flag("share_offer_asked")
    row = _offered(grounds, "share", say("verdict.cost.ask_prefecture"))
    if not grounds.records("share"):
        row.against.append(say("option.share.ask"))
        if asked:
            row.exclude(say("verdict.share.asked_none"), say("verdict.share.back"))
    return row


def join(grounds: Grounds) -> Judged:
    """Join a common procurement: its body, budget year, rules, shares and way out; not where the windows do not meet."""
    say, year_end = grounds.say, date(grounds.start + 1, 3, 31)
    row = _offered(grounds, "join", say("verdict.cost.ask_prefecture"))
    records = grounds.records("join")
    if not records:
        row.against.append(say("option.join.ask"))
        return row
    row.state = "ask"  # the five terms are known from no record
    row.against.append(say("verdict.join.terms"))
    offers = [grounds.catalogue.offers[record.partition("/")[2]] for record in records]
    over = [offer for offer in offers if offer.closes is not None and offer.closes < grounds.today]
    late = [offer for offer in offers if offer.opens is not None and offer.opens > year_end]
    if len(over) + len(late) == len(offers):
        days = [offer.closes for offer in over if offer.closes] or [offer.opens for offer in late if offer.opens]
        row.exclude(say("verdict.join.closed" if over else "verdict.join.later", day=max(days).isoformat()), say("verdict.join.back"))
    return row


def buy(grounds: Grounds) -> Judged:
    """Buy it as a service: no bond, general fund every year, revision of prices, cost of the way out."""
    say, bought = grounds.say, grounds.design.get("buy")
    row = _offered(grounds, "buy", say("verdict.cost.ask_supplier"))
    row.against += [say(f"verdict.buy.{name}") for name in ("no_bond", "general", "revision", "exit")]
    if not bought:
        return row
    open_ = [*bought["unpriced"], *bought["unknown_coverage"]]
    if bought["technologies"]:
        row.reasons.append(say("verdict.buy.services", names=joined([grounds.name(f"technologies/{id}") for id in bought["technologies"]])))
    if bought["unserved"] and not open_:
        row.exclude(say("verdict.buy.unserved"))
    elif bought["unserved"]:
        row.against.append(say("verdict.buy.unserved_open", names=joined([grounds.name(f"technologies/{id}") for id in open_])))
    if bought["cost_npv"]:
        row.cost = bought["cost_npv"]
        row.cost_text = say("verdict.cost.design_least" if bought["excludes"] else "verdict.cost.design")
        row.state = "possible"
    return row


def build(grounds: Grounds) -> Judged:
    """Build it: a named operator, licences, hours of staff, a fund for renewal, and somebody who pays when support has ended."""
    say, design = grounds.say, grounds.design
    cost = design["cost_npv"]
    row = Judged("build", "possible" if cost else "ask", cost, say("verdict.cost.build_none"))
    if cost:
        row.cost_text = say("verdict.cost.design_least" if design["lower_bound_only"] else "verdict.cost.design")
        row.reasons.append(say("verdict.build.served" if not design["unserved"] else "verdict.build.served_part"))
    for usecase in grounds.usecases:
        for priority in grounds.catalogue.usecases[usecase].priority:
            side = row.reasons if priority.answer == "yes" else row.against
            side.append(say(f"verdict.priority.{priority.answer}", test=say(f"value.test.{priority.test}"), reason=priority.reason))
    _payer(grounds, row)
    operator = grounds.flag("operator_named")
    if operator is None:
        row.against.append(say("verdict.build.operator_unknown"))
    elif operator:
        row.reasons.append(say("verdict.build.operator"))
    else:
        row.exclude(say("verdict.build.no_operator"), say("verdict.build.operator_back"))
    used = [technology["technology"] for technology in design["technologies"]]
    licensed = [id for id in used if id in grounds.catalogue.technologies and grounds.catalogue.technologies[id].licence is not None]
    if licensed:
        row.against.append(say("verdict.build.licence", names=joined([grounds.name(f"technologies/{id}") for id in licensed])))
    row.against.append(say("verdict.build.hours" if grounds.known("staff_hours_after") else "verdict.build.hours_unknown"))
    row.against.append(say("verdict.build.renewal"))
    row.against += [say("verdict.build.not_when", text=text) for text in grounds.standard.not_when[:SHOWN]]
    if design["status"] == "rejected":
        row.exclude(say("verdict.build.rejected"))
    elif design["unserved"]:
        row.state = "ask" if row.state != "excluded" else row.state
        row.against.insert(0, say("verdict.build.unserved"))
    return row


RULES: dict[Kind, Callable[[Grounds], Judged]] = {
    "leave": leave,
    "nondigital": nondigital,
    "revise": revise,
    "share": share,
    "join": join,
    "buy": buy,
    "build": build,
}


def _payer(grounds: Grounds, row: Judged) -> None:
    """Who pays in the year after the support: refused where it is nobody."""
    payer = grounds.words("payer_after_support")
    nobody = {word for lang in ("ja", "en") for word in grounds.catalogue.words[lang]["verdict.nobody"].split("|")}
    if payer is not None and payer.strip().lower() in {"", *nobody}:
        row.exclude(grounds.say("verdict.build.no_payer"), grounds.say("verdict.build.payer_back"))
    elif payer is not None:
        row.reasons.append(grounds.say("verdict.build.payer", payer=local(payer)))
    elif grounds.funding is not None and grounds.funding.adopted.payer_after != "unknown":
        row.against.append(grounds.say(f"verdict.build.payer_{grounds.funding.adopted.payer_after}"))
    else:
        row.against.append(grounds.say("verdict.build.payer_unknown"))


def _offered(grounds: Grounds, kind: Kind, ask: Text) -> Judged:
    """An option that rests on offers: what the records say; possible only with a price from a source."""
    row = Judged(kind, "ask", grounds.costs.get(kind), ask)
    offers = [grounds.catalogue.offers[record.partition("/")[2]] for record in grounds.records(kind)]
    for offer in offers[:SHOWN]:
        row.reasons.append(grounds.say("verdict.offer", name=offer.name, by=offer.by, summary=offer.summary))
        row.against += [grounds.say(f"verdict.offer.{name}", text=text) for name in ("terms", "window") if (text := getattr(offer, name)) is not None]
        if offer.price is None or offer.price.value is None:
            row.against.append(grounds.say("verdict.offer.no_price", ask=offer.ask))
    if row.cost:
        row.state, row.cost_text = "possible", grounds.say("verdict.cost.offer")
    return row


def priority_rows(grounds: Grounds) -> list[dict[str, object]]:
    """The three tests of the seed for each use case, with their reasons."""
    return [
        {"usecase": usecase, "test": priority.test, "answer": priority.answer, "reason": {"ja": priority.reason.ja, "en": priority.reason.en}}
        for usecase in grounds.usecases
        for priority in grounds.catalogue.usecases[usecase].priority
    ]
