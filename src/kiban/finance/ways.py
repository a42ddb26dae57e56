"""Buy it, lease it, or take it as a service 購入・リース・役務: three rows on one table of fiscal years, tax included.

In: lines, the cost side of the budget, the share or the quotes of a lease, what a design of bought services says. Out: three Ways. What nobody has
priced stays None and says what is asked for; what is laid or built (works, design) is bought in every way but the service.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from kiban.base.jdate import era_year
from kiban.base.money import Yen, to_yen
from kiban.finance.budget import YEAR, Costs
from kiban.records.funding import Line, Quote, Way
from kiban.records.source import Text
from kiban.records.support import Category

LEASABLE: tuple[Category, ...] = ("equipment", "software")


def lease_month(quotes: Sequence[Quote], line: str) -> float | None:
    """The median of the lease answers to a line, yen per unit and month, tax excluded; None where nobody answered."""
    told = [answer.lease_yen_month for quote in quotes for answer in quote.answers if answer.line == line and answer.lease_yen_month is not None]
    return float(statistics.median(told)) if told else None


def ways(
    lines: Sequence[Line],
    side: Costs,
    *,
    tax_rate: float,
    lease_rate: float | None = None,
    quotes: Sequence[Quote] = (),
    buy: Mapping[str, Any] | None = None,
    subsidised: bool = False,
) -> tuple[Way, ...]:
    """The three ways.

    Parameters
    ----------
    lease_rate  share of the price per month; used where no quote states a lease
    buy         what the design step says of services bought from others: technologies, unserved, unpriced
    subsidised  the purchase counts on a subsidy: then what it buys may not be disposed of freely

    >>> [way.id for way in ways((), Costs(years=(2027,), sections=(), total=(0,), low=(0,), high=(0,), months=(0,) * 12, running_months=12, renewals=()),
    ...  tax_rate=0.1)]
    ['purchase', 'lease', 'service']
    """
    awaiting = tuple(line.id for line in lines if line.basis == "awaiting")
    renewed = ", ".join(str(year) for year in side.renewals)
    renewed_ja = "、".join(era_year(year, short=True) for year in side.renewals)
    purchase = Way(
        id="purchase",
        years=side.total,
        bondable="yes" if any(side.initial.values()) else "no",
        restricted="yes" if subsidised else "no",
        renewal=Text(
            ja=f"更新は団体の負担（更新の年度: {renewed_ja or '評価期間内になし'}）",
            en=f"the town renews it (fiscal years: {renewed or 'none within the horizon'})",
        ),
        removal=Text(ja="撤去費は積算に含まれない。仕様書で見積を求める", en="taking it down is not in the estimate; the specification asks for its price"),
        needs=awaiting,
        note=Text(ja=f"見積待ち {len(awaiting)}件を除く", en=f"without {len(awaiting)} line(s) that await a price") if awaiting else None,
    )
    return purchase, _lease(lines, side, tax_rate, lease_rate, quotes, awaiting), _service(buy)


def _lease(lines: Sequence[Line], side: Costs, tax_rate: float, rate: float | None, quotes: Sequence[Quote], awaiting: tuple[str, ...]) -> Way:
    """Equipment leased for as long as it is used, everything else as bought."""
    leased = [line for line in lines if line.phase == "initial" and line.category in LEASABLE]
    months: dict[str, float] = {}
    needs: list[str] = list(awaiting)
    for line in leased:
        quoted = lease_month(quotes, line.id)
        if quoted is not None and line.quantity is not None:
            months[line.id] = quoted * line.quantity
        elif rate is not None and line.unit_yen is not None and line.quantity is not None:
            months[line.id] = rate * line.unit_yen * line.quantity
        elif line.id not in needs:
            needs.append(line.id)
    open_lines = [line.id for line in leased if line.id not in months and line.basis != "awaiting"]
    if open_lines and rate is None:
        needs.append("lease_rate_month")
    years = None if open_lines or not leased else tuple(_leased_year(lines, leased, months, side, tax_rate, year) for year in range(len(side.years)))
    works = any(line.phase == "initial" and line.category not in LEASABLE for line in lines)
    note = Text(ja="リースできる機器がない", en="nothing in it can be leased") if not leased else None
    if works and leased:
        note = Text(ja="工事・設計は購入と同じ。機器だけをリースとした", en="works and design as bought; only equipment is leased")
    return Way(
        id="lease",
        years=years,
        bondable="no",
        restricted="no",
        renewal=Text(ja="満了時に再リース・更新・返却を選ぶ", en="at the end: lease on, renew or return"),
        removal=Text(ja="返却・撤去の費用の負担者を契約に書く", en="the contract says who pays for return and removal"),
        needs=tuple(needs),
        note=note,
    )


def _leased_year(lines: Sequence[Line], leased: Sequence[Line], months: Mapping[str, float], side: Costs, tax_rate: float, year: int) -> Yen:
    """One year of the lease table, rounded half up once."""
    share = side.running_months / YEAR if year == 0 else 1.0
    rest = sum(line.yearly[year] * (share if line.phase == "yearly" else 1.0) for line in lines if line.yearly and line not in leased)
    return to_yen((rest + sum(months.values()) * YEAR * share) * (1 + tax_rate))


def _service(buy: Mapping[str, Any] | None) -> Way:
    """A service of somebody else's network: yearly prices are asked for; which sites it leaves out, the design says."""
    unserved = len(buy.get("unserved", ())) if buy else None
    needs = ["quotation"]
    if buy:
        needs += [f"technologies/{id}" for id in buy.get("unpriced", ())]
    if unserved is None:
        note = Text(ja="事業者のサービスだけで全地点を賄えるかは未設計", en="whether services alone reach all sites was not designed")
    elif unserved:
        note = Text(ja=f"事業者のサービスだけでは{unserved}件の需要を賄えない", en=f"services alone leave {unserved} need(s) unserved")
    else:
        note = Text(
            ja="事業者のサービスだけで全地点を賄える設計がある（比較用の費用は計画書）。年額は見積による",
            en="a design of services alone reaches all sites; yearly prices by quotation",
        )
    return Way(
        id="service",
        years=None,
        bondable="no",
        restricted="no",
        renewal=Text(ja="事業者が更新する。料金改定の条項を契約に書く", en="the provider renews; the contract says how prices may change"),
        removal=Text(ja="解約時の違約金・データ返還・撤去を契約に書く", en="the contract says what leaving costs, and who removes what"),
        needs=tuple(needs),
        note=note,
    )
