"""Which money from outside a budget may count on, and how much of it falls on which fiscal year (財源の組み合わせ).

In: the answers of the supports, their data files, the cost side of a budget. Out: Money in order of application. Rules:
    counted on     supports whose answer, or whose example of an earlier year, is "possible", of a column of the budget and of a known share
    together       two grants never for the same cost (purchases, running costs), unless the later one says that it pays the local share of the other;
                   none with one that its file rules out; of rivals a current text before an example, then the one that pays more
    a bond         one, the first in order that fits: on its cost less the grants, only beside grants whose local share it may pay
    running costs  for the months that the text names; without months for the fiscal years that the text covers, at least the first
Nothing here is a promise: the table of a budget without any of it stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kiban.base.money import Yen
from kiban.finance.bond import Terms, exact, raised, redeem
from kiban.finance.budget import YEAR, Costs, Money
from kiban.records.funding import COLUMNS, Line
from kiban.records.region import Fact
from kiban.records.source import Quantity
from kiban.records.support import Edition, Support, SupportAnswer

BUILDING = {"plan", "trial", "build"}


@dataclass(frozen=True)
class _Claim:
    """What one support offers by itself: on purchases (first year) and on running costs by year."""

    answer: SupportAnswer
    support: Support
    edition: Edition
    past: bool
    bought: Yen
    run: tuple[Yen, ...]

    @property
    def id(self) -> str:
        return self.answer.support

    @property
    def first(self) -> Yen:
        return self.bought + self.run[0]


def edition_of(support: Support, answer: SupportAnswer) -> Edition:
    """The text that an answer was read from."""
    return next(edition for edition in support.editions if edition.fiscal_year == answer.edition)


def money(
    answers: Sequence[SupportAnswer],
    supports: Mapping[str, Support],
    side: Costs,
    lines: Sequence[Line] = (),
    *,
    interest: float | None = None,
    unit: int | None = None,
    no_tax_grant: bool = False,
    facts: Mapping[str, Fact] | None = None,
) -> tuple[Money, ...]:
    """The money that the table "adopted" counts on.

    Parameters
    ----------
    answers       of the first year of `side`
    lines         for the life of what a bond buys: the mean of the lives, weighted by cost
    interest      1/year, the town's own rate: wins over the text's
    unit          JPY, rounding unit of bonds where a text names none; None: no rule gives it
    no_tax_grant  True: nothing of a bond is counted by the tax grant
    facts         for income that a text takes off what counts; income that nobody has said leaves the support out

    Returns
    -------
    () where no support is "possible"; no part is above what is left to pay in its year

    >>> money((), {}, Costs(years=(2027,), sections=(), total=(0,), low=(0,), high=(0,), months=(0,) * 12, running_months=12, renewals=()))
    ()
    """
    claims = [claim for answer in answers if (claim := _claim(answer, supports[answer.support], side, facts or {})) is not None]
    grants = _together([claim for claim in claims if claim.support.column != "bond" and claim.first + sum(claim.run)])
    left = list(side.total)
    paid: list[tuple[_Claim, Yen]] = []  # what each grant pays of purchases
    parts = []
    for claim in grants:
        bought = min(_on_rest(claim, _before(claim, paid), side), left[0])
        years = [bought + claim.run[0], *claim.run[1:]]
        years = [min(yen, rest) for yen, rest in zip(years, left, strict=True)]
        left = [rest - yen for yen, rest in zip(years, left, strict=True)]
        paid.append((claim, min(bought, years[0])))
        parts.append(Money(support=claim.id, column=claim.support.column, years=tuple(years), past=claim.past))
    bonds = sorted((claim for claim in claims if claim.support.column == "bond"), key=lambda claim: (claim.past, claim.support.stacking.order, claim.id))
    for claim in bonds:
        if not _beside(claim, grants):
            continue
        terms = _terms(claim, interest, unit)
        step = terms.unit or 1
        cost = sum(side.initial.get(category, 0) for category in claim.edition.counts)
        amount = raised(cost, _before(claim, paid), terms.share, step)
        if claim.edition.ceiling is not None and claim.edition.ceiling.value is not None:
            amount = min(amount, math.floor(claim.edition.ceiling.value / step) * step)
        amount = min(amount, left[0] // step * step)
        if amount:
            debt = redeem(claim.id, amount, side.years[0], terms, no_tax_grant=no_tax_grant, life=_life(lines, claim.edition))
            years = [amount] + [0] * (len(side.years) - 1)
            parts.append(Money(support=claim.id, column="bond", years=tuple(years), debt=debt, past=claim.past))
            break
    return tuple(parts)


def _claim(answer: SupportAnswer, support: Support, side: Costs, facts: Mapping[str, Fact]) -> _Claim | None:
    """What a support offers; None where the table may not count on it."""
    if "possible" not in (answer.answer, answer.example) or support.column not in COLUMNS or answer.share is None or answer.amount_yen is None:
        return None
    edition, share = edition_of(support, answer), exact(answer.share)
    ceiling = math.inf if edition.ceiling is None or edition.ceiling.value is None else edition.ceiling.value
    bought = 0
    if BUILDING & set(edition.stage):
        bought = math.floor(sum(side.initial.get(category, 0) for category in edition.counts) * share)
    run = [0] * len(side.years)
    if "run" in edition.stage and support.column != "bond":
        income = sum(float(fact.value) for id in edition.less if (fact := facts.get(id)) is not None and isinstance(fact.value, int | float))
        for year, covered in enumerate(_covered(edition, side)):
            paid = sum(side.running[category][year] for category in edition.counts if category in side.running)
            earned = income * (side.running_months / YEAR if year == 0 else 1)
            run[year] = math.floor(max(0.0, paid - earned) * share * exact(covered))
    first = min(bought + run[0], answer.amount_yen, ceiling)
    bought = int(min(bought, first))
    run = [int(min(yen, first - bought if year == 0 else ceiling)) for year, yen in enumerate(run)]
    past = answer.answer == "unpublished"
    return _Claim(answer, support, edition, past, bought, tuple(run))


def _covered(edition: Edition, side: Costs) -> list[float]:
    """The share of each year's running cost that a support is for."""
    count = len(side.years)
    if edition.months is None or edition.months.value is None:
        last = max(edition.valid_to, side.years[0])
        return [1.0 if year <= last else 0.0 for year in side.years]
    months, shares = edition.months.value, []
    for year in range(count):
        whole = side.running_months if year == 0 else YEAR
        part = max(0.0, min(months, whole))
        shares.append(part / whole)
        months -= part
    return shares


def _before(claim: _Claim, paid: Sequence[tuple[_Claim, Yen]]) -> Yen:
    """What others have paid of the same categories of purchases: all of it, also where they count more than these."""
    return sum(yen for other, yen in paid if set(other.edition.counts) & set(claim.edition.counts))


def _on_rest(claim: _Claim, paid: Yen, side: Costs) -> Yen:
    """What a grant pays of purchases when others have paid before it: its share of what they left."""
    if not paid or not claim.bought:
        return claim.bought
    cost = sum(side.initial.get(category, 0) for category in claim.edition.counts)
    return min(claim.bought, math.floor(max(0, cost - paid) * exact(claim.answer.share or 0.0)))


def _together(claims: Sequence[_Claim]) -> list[_Claim]:
    """Grants that may stand together, in order of application."""
    taken: list[_Claim] = []
    for claim in sorted(claims, key=lambda one: (one.past, -one.first - sum(one.run[1:]), one.support.stacking.order, one.id)):
        if all(_fit(claim, other) for other in taken):
            taken.append(claim)
    taken.sort(key=lambda one: (one.support.stacking.order, one.id))
    return [claim for claim in taken if not (claim.support.stacking.alone and len(taken) > 1)]


def _fit(a: _Claim, b: _Claim) -> bool:
    """Whether two grants may be taken together."""
    if a.id in b.support.stacking.not_with or b.id in a.support.stacking.not_with:
        return False
    same_cost = bool(set(a.edition.counts) & set(b.edition.counts)) and ((a.bought and b.bought) or any(x and y for x, y in zip(a.run, b.run, strict=True)))
    return not same_cost or a.id in b.support.stacking.local_share_of or b.id in a.support.stacking.local_share_of


def _beside(bond: _Claim, grants: Sequence[_Claim]) -> bool:
    """Whether a bond may be raised beside the grants that were taken."""
    stacking = bond.support.stacking
    if stacking.alone or not stacking.local_share_of or any(grant.support.stacking.alone for grant in grants):
        return not grants
    return all(
        grant.id in stacking.local_share_of and grant.id not in stacking.not_with and bond.id not in grant.support.stacking.not_with
        for grant in grants
        if grant.bought
    )


def _terms(claim: _Claim, interest: float | None, unit: int | None) -> Terms:
    redemption = claim.edition.redemption
    assert redemption is not None  # the record asks for it exactly where the column is bond
    years, grace, own = (_value(quantity) for quantity in (redemption.years, redemption.grace, redemption.rounding))
    return Terms(
        share=claim.answer.share or 0.0,
        years=None if years is None else int(years),
        grace=int(grace or 0),
        interest=interest if interest is not None else _value(redemption.interest),
        counted=_value(redemption.counted),
        unit=int(own) if own else unit,
    )


def _value(quantity: Quantity | None) -> float | None:
    return None if quantity is None else quantity.value


def _life(lines: Sequence[Line], edition: Edition) -> float | None:
    """The mean life of the purchases of the first year that count, weighted by what they cost."""
    bought = [(line.yearly[0], line.life) for line in lines if line.phase == "initial" and line.yearly and line.category in edition.counts and line.life]
    whole = sum(amount for amount, _ in bought)
    return sum(amount * life for amount, life in bought) / whole if whole else None
