"""How each part is contracted 契約方法: negotiated or tendered, whether the assembly decides, over how many years, and what looks like splitting.

In: lines, the dated thresholds of the rule files, the town's own facts. Out: Contracts. A contract is here one section, category and phase, and of
purchases those of one fiscal year. The town's own regulation wins over the table of the law; where neither is known, or a price is awaited that could
change the answer, the answer is "ask". Amounts include consumption tax. No 予定価格 is set here: an amount is what the estimate says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kiban.base.jdate import era_year
from kiban.base.money import Yen, to_yen
from kiban.records.funding import Contract, Line
from kiban.records.region import Fact
from kiban.records.rule import DatedList, Entry
from kiban.records.source import Text
from kiban.records.support import Category

Kind = Literal["works", "purchase", "lease", "other"]
Answer = Literal["yes", "no", "ask"]

# The kind of contract that each category is: the rows of the table of small contracts. A choice of this program, the amounts are data.
KINDS: dict[Category, Kind] = {
    "works": "works",
    "equipment": "purchase",
    "software": "purchase",
    "lease": "lease",
    "rent": "lease",
    "design": "other",
    "service": "other",
    "upkeep": "other",
    "energy": "other",
}
DECIDED: dict[Kind, str] = {"works": "works", "purchase": "purchase"}  # kinds of contract on which an assembly may have to decide


@dataclass(frozen=True)
class Limit:
    """An amount from which something holds: least and most of what the rows say for bodies of any kind that fit; both None: unknown."""

    least: float | None
    most: float | None
    clause: str | None = None
    own: bool = False  # the town's own regulation


def number(facts: Mapping[str, Fact], id: str) -> float | None:
    """The number that a fact states, None where nobody has said it."""
    fact = facts.get(id)
    return None if fact is None or isinstance(fact.value, bool | str) or fact.value is None else float(fact.value)


def flag(facts: Mapping[str, Fact], id: str) -> bool | None:
    """Yes, no, or None where nobody has said it."""
    fact = facts.get(id)
    return fact.value if fact is not None and isinstance(fact.value, bool) else None


def body_of(facts: Mapping[str, Fact]) -> str | None:
    """The kind of body (city, town, …), None where nobody has said it."""
    fact = facts.get("body_kind")
    return fact.value if fact is not None and isinstance(fact.value, str) else None


def rows_for(rule: DatedList | None, id: str, body: str | None) -> list[Entry]:
    """The rows of a list that a kind of body may fall under; of an unknown body all."""
    if rule is None:
        return []
    named = [entry for entry in rule.entries if entry.id == id or id in entry.tags]
    return [entry for entry in named if body is None or "body" not in entry.when or body in entry.when["body"].replace("|", " ").replace(",", " ").split()]


def limit(rule: DatedList | None, kind: str, fact: str, facts: Mapping[str, Fact]) -> Limit:
    """The threshold of a kind of contract: the town's own fact, else the rows of the law's table that may hold for it.

    >>> from datetime import date
    >>> from kiban.records.source import Confidence, Quantity
    >>> def row(body, yen):
    ...     return Entry(id="works", name=Text(ja="工事", en="works"), when={"body": body},
    ...                  quantity=Quantity(unit="JPY", value=yen, source="page", confidence=Confidence.A))
    >>> table = DatedList(since=date(2025, 4, 1), source="page", entries=(row("town", 100.0), row("prefecture", 300.0)))
    >>> limit(table, "works", "small_contract_works", {})
    Limit(least=100.0, most=300.0, clause=None, own=False)
    """
    own = number(facts, fact)
    if own is not None:
        return Limit(own, own, own=True)
    rows = rows_for(rule, kind, body_of(facts))
    values = [entry.quantity.value for entry in rows if entry.quantity is not None and entry.quantity.value is not None]
    if not values or len(values) < len(rows):
        return Limit(None, None)
    return Limit(min(values), max(values), next((entry.clause for entry in rows if entry.clause), None))


def contracts(
    lines: Sequence[Line],
    facts: Mapping[str, Fact],
    *,
    start: int,
    tax_rate: float,
    small: DatedList | None = None,
    assembly: DatedList | None = None,
    terms: DatedList | None = None,
    sections: Mapping[str, Text] | None = None,
    years: int,
) -> tuple[Contract, ...]:
    """One contract per section, category and phase, and of purchases per fiscal year; ordered by id.

    Parameters
    ----------
    small      rules/small-contract: entries works, purchase, lease, other, JPY, when.body = kinds of body
    assembly   rules/assembly-decision: entries works, purchase, JPY: from this amount on the assembly decides
    terms      rules/contract-term: entries longterm (needs no ordinance), ordinance (only where the town has one), commitment, carried-over; tags = categories
    sections   names of the sections by id
    years      fiscal years of a contract over several years, the first one included

    >>> contracts((), {}, start=2027, tax_rate=0.1, years=5)
    ()
    """
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(_group(line, start), []).append(line)
    given = _Given(facts, start, tax_rate, small, assembly, terms, sections or {}, years)
    return tuple(_contract(id, part, given) for id, part in sorted(groups.items()))


@dataclass(frozen=True)
class _Given:
    """What all contracts of a plan have in common."""

    facts: Mapping[str, Fact]
    start: int
    tax_rate: float
    small: DatedList | None
    assembly: DatedList | None
    terms: DatedList | None
    sections: Mapping[str, Text]
    years: int


def _group(line: Line, start: int) -> str:
    """The id of the contract of a line."""
    first = next((year for year, amount in enumerate(line.yearly) if amount), 0) if line.phase == "initial" else 0
    parts = [line.section, line.category, "running" if line.phase == "yearly" else "purchase", *([str(start + first)] if first else [])]
    return ".".join(parts)


def price_of(line: Line, tax_rate: float) -> float | None:
    """One purchase or one full year of a line, tax included, exact; None where its price or quantity is unknown."""
    return None if line.unit_yen is None or line.quantity is None else line.unit_yen * line.quantity * (1 + tax_rate)


def _contract(id: str, lines: Sequence[Line], given: _Given) -> Contract:
    category, section = lines[0].category, lines[0].section
    kind = KINDS[category]
    prices = [price_of(line, given.tax_rate) for line in lines]
    known = to_yen(sum(price for price in prices if price is not None))
    amount = known if None not in prices else None
    threshold = limit(given.small, kind, f"small_contract_{kind}", given.facts)
    method, method_text = _method(known, amount, threshold)
    if category == "rent" and method == "tender":
        method, method_text = (
            "ask",
            Text(
                ja="相手方が設備・土地の所有者に限られる。随意契約によれるか、根拠を契約担当課に確認",
                en="only the owner can be the other party: ask the contracts section whether it may be negotiated, and under which clause",
            ),
        )
    decision = limit(given.assembly, DECIDED[kind], f"assembly_{DECIDED[kind]}", given.facts) if kind in DECIDED else None
    decided, decided_text = _assembly(known, amount, decision)
    about = given.sections.get(section, Text(ja=section, en=section))
    term, term_text, clauses = _term(lines, category, about, given)
    warnings = []
    split = _split(prices, threshold)
    if split:
        warnings.append(
            Text(
                ja=f"{split}件に分ければそれぞれ少額随意契約の限度額以下、合わせると超える。理由のない分割発注は避ける",
                en=f"in {split} parts each would lie within the limit of small contracts, together they exceed it: do not split without a reason",
            )
        )
    if None in prices:
        warnings.append(Text(ja=f"見積待ち {prices.count(None)}件を除く", en=f"without {prices.count(None)} line(s) that await a price"))
    found = [one.clause for one in (threshold, decision) if one is not None and one.clause]
    return Contract(
        id=id,
        lines=tuple(line.id for line in lines),
        section=section,
        amount=amount,
        method=method,
        method_text=method_text,
        assembly=decided,
        assembly_text=decided_text,
        term=term,
        term_text=term_text,
        warnings=tuple(warnings),
        clauses=tuple(dict.fromkeys([*found, *clauses])),
    )


def _method(known: Yen, amount: Yen | None, threshold: Limit) -> tuple[Literal["negotiated", "tender", "ask"], Text]:
    """Below the limit of small contracts or above it."""
    if threshold.least is None or threshold.most is None:
        return "ask", Text(
            ja="少額随意契約の限度額が分からない。団体の契約規則を確認する", en="the limit of small contracts is unknown: ask for the town's own regulation"
        )
    rule = Text(ja="団体の規則", en="the town's own regulation") if threshold.own else Text(ja="法令の別表", en="the table of the law")
    said = f"{threshold.least:,.0f}円" if threshold.least == threshold.most else f"{threshold.least:,.0f}〜{threshold.most:,.0f}円"
    if known > threshold.most:
        return "tender", Text(
            ja=f"少額随意契約の限度額 {said}（{rule.ja}）を超えるため競争入札が原則",
            en=f"above the limit of small contracts ({said}, {rule.en}): a tender in principle",
        )
    if amount is None:
        return "ask", Text(
            ja=f"見積待ちの項目があり、限度額 {said} を超えるか決まらない", en=f"a price is awaited: whether the limit of {said} is exceeded is open"
        )
    if amount <= threshold.least:
        return "negotiated", Text(
            ja=f"少額随意契約の限度額 {said}（{rule.ja}）以下。複数者から見積を取る",
            en=f"within the limit of small contracts ({said}, {rule.en}): quotations of several firms",
        )
    return "ask", Text(ja=f"団体の種別が分からず、限度額が {said} のどれか決まらない", en=f"the kind of body is unknown, so the limit lies anywhere in {said}")


def _assembly(known: Yen, amount: Yen | None, threshold: Limit | None) -> tuple[Answer, Text]:
    """Whether the assembly decides on the contract."""
    if threshold is None:
        return "no", Text(ja="議決に付すべき契約の種類に当たらない", en="not a kind of contract on which the assembly decides")
    if threshold.least is None or threshold.most is None:
        return "ask", Text(
            ja="議決を要する額が分からない。団体の条例を確認する", en="the amount from which the assembly decides is unknown: ask for the town's ordinance"
        )
    said = f"{threshold.least:,.0f}円" if threshold.least == threshold.most else f"{threshold.least:,.0f}〜{threshold.most:,.0f}円"
    if known >= threshold.most:
        return "yes", Text(
            ja=f"{said} 以上のため議決が要る見込み。議決までは仮契約", en=f"from {said} on the assembly decides; until then the contract is provisional"
        )
    if amount is not None and amount < threshold.least:
        return "no", Text(ja=f"{said} 未満のため議決は要らない見込み", en=f"below {said}: no decision expected")
    return "ask", Text(ja=f"議決を要する額 {said} に届くか決まらない", en=f"whether it reaches {said} is open")


def _term(lines: Sequence[Line], category: Category, about: Text, given: _Given) -> tuple[Literal["single", "longterm", "commitment"], Text, list[str]]:
    """Over how many fiscal years, with the text to be put down."""

    def entry(id: str) -> Entry | None:
        return next((one for one in (given.terms.entries if given.terms else ()) if one.id == id and category in one.tags), None)

    def clauses(*entries: Entry | None) -> list[str]:
        return [one.clause for one in entries if one is not None and one.clause]

    if lines[0].phase == "initial":
        year = given.start + next((year for year, yen in enumerate(lines[0].yearly) if yen), 0)
        said = Text(
            ja=f"単年度（{era_year(year)}度）の契約。完了が3月31日を過ぎる見込みなら繰越明許費",
            en=f"one fiscal year ({year}); carried over by budget if it is not done by 31 March",
        )
        return "single", said, clauses(entry("carried-over"))
    free, bound, commitment = (entry("longterm"), entry("ordinance"), entry("commitment"))
    ordinance = flag(given.facts, "longterm_ordinance")
    held = free or (bound if ordinance else None)
    if held is not None:
        said = Text(
            ja=f"{held.name.ja}。各年度の予算の範囲内で給付を受け、予算の減額・削除の場合に解除できる条項を置く",
            en=f"{held.name.en}: within each year's budget, with a clause to end it where the budget is cut",
        )
        return "longterm", said, clauses(held)
    year, last = given.start + 1, given.start + given.years - 1  # the first year stands in the budget itself; the commitment is for what follows
    yen = _over(lines, given)
    total = "調整中" if yen is None else f"{-(-yen // 1000):,}千円"
    total_en = "to be settled" if yen is None else f"{-(-yen // 1000):,} thousand yen"
    ask = bound is not None and ordinance is None
    tail = (
        Text(ja="。長期継続契約の条例があればそれによる（要確認）", en="; by long-term contract where the town has an ordinance (ask)")
        if ask
        else Text(ja="。", en=".")
    )
    said = Text(
        ja=f"債務負担行為　事項: {about.ja}（{_names(lines, 'ja')}）、期間: {era_year(year)}度から{era_year(last)}度まで、限度額: {total}{tail.ja}",
        en=f"commitment over several years: {about.en} ({_names(lines, 'en')}), FY{year} to FY{last}, limit {total_en}{tail.en}",
    )
    return "commitment", said, clauses(commitment, bound if ask else None)


def _over(lines: Sequence[Line], given: _Given) -> Yen | None:
    """What running costs come to in the years of a contract after the first, tax included; None while a price is awaited."""
    if any(not line.yearly for line in lines):
        return None
    return to_yen(sum(sum(line.yearly[1 : given.years]) for line in lines) * (1 + given.tax_rate))


def _names(lines: Iterable[Line], lang: str) -> str:
    """The first names of lines, each once."""
    names = list(dict.fromkeys(getattr(line.name, lang) for line in lines))
    more = {"ja": "ほか", "en": " and others"}[lang] if len(names) > 2 else ""
    return {"ja": "、", "en": ", "}[lang].join(names[:2]) + more


def _split(prices: Sequence[float | None], threshold: Limit) -> int:
    """How many lines lie within the limit each, where two or more of them exceed it together; else 0."""
    if threshold.most is None:
        return 0
    small = [price for price in prices if price is not None and 0 < price <= threshold.most]
    return len(small) if len(small) > 1 and sum(small) > threshold.most else 0
