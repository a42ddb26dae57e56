"""What may be done with existing plant 既存設備: keep, renew, hand over, change the lease to an operator, abolish.

In: the region's plant and streets, the prices of a problem, the town's facts. Out: options, yen over the horizon with tax. Keeping and renewing are
computed from kilometres and prices, or from the town's own upkeep; what a hand-over, another lease or taking down costs stays unknown until somebody
says it. Plant whose time of restriction is not over, or of which nobody knows it, asks whether disposing of it needs approval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

from kiban.base.money import Yen, to_yen
from kiban.finance.contracts import flag, number
from kiban.finance.spending import spending
from kiban.records.design import Price, Problem
from kiban.records.funding import PlantOption
from kiban.records.region import Fact, Plant, Region
from kiban.records.source import Text

UPKEEP, INCOME = "fibre_upkeep", "iru_income"
FEES = ("resident_fee_before", "resident_fee_after")


def kilometres(region: Region, plant: str) -> float:
    """The length of the streets on which a plant lies, km."""
    return sum(street.length_m for street in region.streets if street.plant == plant) / 1000


def plant_options(region: Region, problem: Problem, facts: Mapping[str, Fact], *, tax_rate: float, today: date) -> tuple[PlantOption, ...]:
    """Five options for each plant, in the order of the region's rows.

    Parameters
    ----------
    facts     fibre_upkeep (JPY/year of all plant: wins over kilometres × price, shared out by kilometres), iru_income (JPY/year), iru_partner_consents,
              handover_partner, resident_fee_before and _after (JPY/month)
    tax_rate  consumption tax on computed prices; the fact is what the town pays, tax included

    Returns
    -------
    yen None where nobody can compute it, with `ask`: ids of facts, or "quotation" and "plant.<field>" of the row
    """
    lengths = {plant.id: kilometres(region, plant.id) for plant in region.plants}
    return tuple(option for plant in region.plants for option in _options(plant, lengths, problem, facts, tax_rate, today))


def _options(plant: Plant, lengths: Mapping[str, float], problem: Problem, facts: Mapping[str, Fact], tax_rate: float, today: date) -> list[PlantOption]:
    prices = [price for price in problem.prices if price.id.endswith(f"@{plant.id}")]
    km, whole = lengths[plant.id], sum(lengths.values())
    upkeep = _upkeep(prices, km, whole, problem, facts, tax_rate)
    renewals = [price for price in prices if price.phase == "initial" and price.per == "km"]
    renewal = to_yen(sum(sum(spending(price, problem.horizon)) for price in renewals) * km * (1 + tax_rate)) if renewals else None
    approval: Literal["no", "ask"] = "no" if plant.restricted_until is not None and plant.restricted_until < today else "ask"
    bound = () if plant.restricted_until is not None else ("plant.restricted_until",)
    fees = tuple(id for id in FEES if number(facts, id) is None)
    consent = () if flag(facts, "iru_partner_consents") is not None else ("iru_partner_consents",)
    partner = () if flag(facts, "handover_partner") is not None else ("handover_partner",)
    income = () if number(facts, INCOME) is not None else (INCOME,)
    age = () if plant.year_built is not None else ("plant.year_built",)
    until = () if plant.iru_until is not None else ("plant.iru_until",)
    length = Text(ja=f"{km:,.3f}km", en=f"{km:,.3f} km")
    rest = {
        "no": Text(ja="処分制限の期限は過ぎている", en="the time of restriction is over"),
        "ask": Text(ja="財産処分・目的外使用の承認要否を確認", en="ask whether disposing of it or another use needs approval"),
    }[approval]
    paid = _paid(facts)
    return [
        PlantOption(
            plant=plant.id,
            id="keep",
            yen=upkeep,
            approval="no",
            text=Text(ja=f"維持する（{length.ja}、保守のみ。更新は先に延びる）", en=f"keep it ({length.en}, upkeep only; renewal is put off)"),
            ask=(*income, *age) if upkeep is not None else (UPKEEP, *income, *age),
        ),
        PlantOption(
            plant=plant.id,
            id="renew",
            yen=None if upkeep is None or renewal is None else upkeep + renewal,
            approval=approval,
            text=Text(
                ja=f"公設のまま更新する（{length.ja}、保守と評価期間内の張り替え）。{rest.ja}",
                en=f"renew it as public plant ({length.en}, upkeep and renewal within the horizon); {rest.en}",
            ),
            ask=(*age, *bound) if renewal is not None else ("quotation", *age, *bound),
        ),
        PlantOption(
            plant=plant.id,
            id="handover",
            yen=None,
            approval=approval,
            text=Text(
                ja=f"事業者に譲渡する（民設移行）。譲渡の条件と補助金の返還の要否は未定。{rest.ja}。{paid.ja}",
                en=f"hand it over to an operator; terms and repayment of subsidies are open; {rest.en}; {paid.en}",
            ),
            ask=(*partner, *bound, *until, *consent, *fees),
        ),
        PlantOption(
            plant=plant.id,
            id="iru",
            yen=None,
            approval=approval,
            text=Text(ja=f"IRU契約を見直す。相手の同意が要る。{rest.ja}", en=f"change the lease (IRU); the operator must consent; {rest.en}"),
            ask=(*income, *until, *consent, *bound),
        ),
        PlantOption(
            plant=plant.id,
            id="abolish",
            yen=None,
            approval=approval,
            text=Text(
                ja=f"廃止して撤去する。撤去費は見積待ち、利用者の代わりの手段が要る。{rest.ja}。{paid.ja}",
                en=f"take it down; the cost awaits a quotation, users need another way; {rest.en}; {paid.en}",
            ),
            ask=("quotation", *bound, *until, *fees),
        ),
    ]


def _upkeep(prices: Sequence[Price], km: float, whole: float, problem: Problem, facts: Mapping[str, Fact], tax_rate: float) -> Yen | None:
    """Running cost over the horizon: the town's own figure, else kilometres × prices; None where neither is known."""
    own = number(facts, UPKEEP)
    if own is not None:
        return to_yen(own * problem.horizon * (km / whole if whole else 1.0))
    yearly = [price for price in prices if price.phase == "yearly" and price.per == "km"]
    return to_yen(sum(sum(spending(price, problem.horizon)) for price in yearly) * km * (1 + tax_rate)) if yearly else None


def _paid(facts: Mapping[str, Fact]) -> Text:
    """What users pay a month before and after, as far as facts say it."""
    before, after = (number(facts, id) for id in FEES)
    ja = ["照会中" if value is None else f"月{value:,.0f}円" for value in (before, after)]
    en = ["to be asked" if value is None else f"{value:,.0f} yen a month" for value in (before, after)]
    return Text(ja=f"利用者の負担: 現在 {ja[0]}、移行後 {ja[1]}", en=f"users pay {en[0]} today, {en[1]} afterwards")
