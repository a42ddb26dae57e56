"""Two plans, or two versions of one, held against each other: in words and in yen.

In: two sides, each a plan with as much of its folder as there is. Out: rows of what differs, and one sentence that says what changed and why it matters.
Nothing is computed but differences of amounts that both sides print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kiban.base.jdate import day_text
from kiban.documents.money_words import by_source
from kiban.documents.office.desk import SOURCES
from kiban.documents.reasons import assumed_name
from kiban.documents.view import View
from kiban.records.funding import Budget, Funding, Inputs
from kiban.records.plan import Plan
from kiban.records.region import Region
from kiban.web.money import Said, Scale, fact_value
from kiban.web.pages import conditions, fiscal

SAID = 3  # causes and effects that the sentence names; the tables have all


@dataclass(frozen=True)
class Side:
    """One of the two: its label, its plan in one language, and money, inputs and region where they are known (a stored version has its plan alone)."""

    label: str
    view: View
    funding: Funding | None = None
    inputs: Inputs | None = None
    region: Region | None = None
    name: str = ""  # the folder, so that figures can be linked; "" for a stored version

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.view.plan

    @property
    def said(self) -> Said | None:
        """The words of its money."""
        return None if self.funding is None else Said(self.view, self.funding)


@dataclass(frozen=True)
class Change:
    """One thing that differs: what it is, how it stands on each side."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Amount:
    """One amount on both sides, in the unit of the page; None where a side has none. figures: its figures on both sides, "" where it has none."""

    name: str
    before: int | None
    after: int | None
    id: str = ""
    figures: tuple[str, str] = ("", "")

    @property
    def difference(self) -> int | None:
        """What the second side adds; None where it cannot be said."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Comparison:
    """What differs between two sides.

    topics    key of the heading → what differs under it, empty ones left out
    amounts   headline amounts; sections: amounts by section or source and fiscal year; years: the fiscal years of both
    All amounts are whole numbers of one unit; in 千円 those of a budget are the rows of its form.
    """

    topics: dict[str, list[Change]]
    amounts: list[Amount]
    years: tuple[int, ...] = ()
    sections: list[tuple[str, list[Amount]]] = field(default_factory=list)
    sentence: str = ""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.topics and all(row.before == row.after for row in self.amounts) and not any(cell.difference for _, row in self.sections for cell in row)


CAUSES = ("conditions", "typed", "facts", "sentence")
EFFECTS = ("verdict", "options", "technologies", "sites", "supports")


def compare(a: Side, b: Side, scale: Scale) -> Comparison:
    """Hold b against a, both in one language; amounts in yen or 千円."""
    found = {
        "sentence": _plan(a, b),
        "conditions": _conditions(a, b),
        "verdict": _verdict(a, b),
        "options": _options(a, b),
        "technologies": _technologies(a, b),
        "sites": _sites(a, b),
        "supports": _supports(a, b),
        "typed": _typed(a, b),
        "facts": _facts(a, b),
        "answers": _answers(a, b),
        "assumed": _assumed(a, b),
        "files": _files(a, b),
    }
    topics = {key: rows for key, rows in found.items() if rows}
    years, sections = _by_year(a, b, scale)
    made = Comparison(topics, _amounts(a, b, scale), years, sections)
    return Comparison(made.topics, made.amounts, made.years, made.sections, _sentence(b.view, made, scale))


def _changes(names: Iterable[str], before: Mapping[str, str], after: Mapping[str, str], name: Any, none: str) -> list[Change]:
    """Rows whose texts differ, in the order of the names."""
    return [Change(name(id), before.get(id, none), after.get(id, none)) for id in dict.fromkeys(names) if before.get(id) != after.get(id)]


def _plan(a: Side, b: Side) -> list[Change]:
    word = b.view.word
    rows = [
        Change(word("compare.sentence"), a.plan.sentence, b.plan.sentence),
        Change(word("compare.town"), a.view.local(a.view.region_name), b.view.local(b.view.region_name)),
        Change(word("compare.engine"), a.plan.engine, b.plan.engine),
    ]
    return [row for row in rows if row.before != row.after]


def _conditions(a: Side, b: Side) -> list[Change]:
    """Under what each was designed, whom the money of the first year reaches, and who joins in which year."""
    word, sides = b.view.word, []
    for side in (a, b):
        design = side.view.step("design")
        money: Mapping[str, Any] = design.get("money") or {}
        stage = money["stages"][int(money["stage"])] if money.get("asked") else None
        reached = side.view.number(stage["sites"] if stage else design.get("served_sites")).text
        years = (design.get("phases") or {}).get("years", ())
        joined = [f"{fiscal(side.view, int(row['year']))} {word('time.sites', count=len(row['sites']))}" for row in years]
        sides.append({"again.is": side.view.joined(conditions(side.view)), "compare.reached": reached, "compare.joined": side.view.joined(joined)})
    if sides[0]["again.is"] == sides[1]["again.is"]:
        return []
    return [Change(word(key), sides[0][key] or "—", sides[1][key] or "—") for key in sides[0] if sides[0][key] != sides[1][key]]


def _verdict(a: Side, b: Side) -> list[Change]:
    word, sides = b.view.word, []
    for side in (a, b):
        verdict, design = side.view.step("verdict"), side.view.step("design")
        text = side.view.say((verdict.get("conclusion") or {}).get("text"))
        status = word("plan.status." + design["status"]) if design.get("status") else ""
        check = word("plan.check_holds" if design["check"]["holds"] else "plan.check_fails") if design.get("check") else ""
        points = str(len(verdict.get("points", ())))
        sides.append(
            {"verdict": word("verdict." + verdict["status"]) if verdict else "", "conclusion": text, "status": status, "check": check, "points": points}
        )
    return _changes(sides[0], sides[0], sides[1], lambda id: word(f"compare.{id}"), "—")


def _options(a: Side, b: Side) -> list[Change]:
    word = b.view.word

    def states(side: Side) -> dict[str, str]:
        rows = side.view.step("verdict").get("options") or side.view.step("options").get("rows", [])
        return {row["kind"]: word("option.state." + row["state"]) for row in rows}

    before, after = states(a), states(b)
    return _changes((*before, *after), before, after, lambda id: word("option." + id), "—")


def _technologies(a: Side, b: Side) -> list[Change]:
    def counts(side: Side) -> dict[str, str]:
        return {
            row["technology"]: side.view.quantity(row["sites"]) if row["sites"] else f"{side.view.quantity(row['km'])}"
            for row in side.view.step("design").get("technologies", ())
        }

    before, after = counts(a), counts(b)
    return _changes((*before, *after), before, after, lambda id: b.view.name(f"technologies/{id}"), "—")


def _sites(a: Side, b: Side) -> list[Change]:
    def ways(side: Side) -> tuple[dict[str, str], dict[str, str]]:
        rows = side.view.step("design").get("sites", ())
        names = {row["site"]: side.view.local(row["name"]) for row in rows}
        served = {
            row["site"]: " + ".join(side.view.name(f"technologies/{id}") for id in sorted(row["technologies"])) or side.view.word("plan.unserved_mark")
            for row in rows
        }
        return names, served

    (names_a, before), (names_b, after) = ways(a), ways(b)
    return _changes((*before, *after), before, after, lambda id: (names_a | names_b)[id], "—")


def _supports(a: Side, b: Side) -> list[Change]:
    word = b.view.word

    def answers(side: Side) -> dict[str, str]:
        rows = side.view.step("funding").get("answers", ())
        shown = {}
        for row in rows:
            text = word(f"supports.answer.{row['answer']}")
            shown[row["support"]] = f"{text}{side.view.aside(word('supports.answer.' + row['example']))}" if row.get("example") else text
        return shown

    before, after = answers(a), answers(b)
    return _changes((*before, *after), before, after, lambda id: b.view.name(f"supports/{id}"), "—")


def _typed(a: Side, b: Side) -> list[Change]:
    """What people have put in: facts, quantities, prices, the tax rate, quotations, their own passages."""
    if a.inputs is None or b.inputs is None:
        return []
    word, rows = b.view.word, list[Change]()

    def values(side: Side) -> dict[str, str]:
        assert side.inputs is not None
        given = side.inputs
        shown = {f"fact {id}": fact_value(side.view, id, value) for id, value in given.facts.items()}
        shown |= {f"quantity {id}": f"{value:,g}" for id, value in given.quantities.items()}
        shown |= {f"price {id}": f"{value:,g} {word('money.unit.yen')}" for id, value in given.prices.items()}
        shown |= {f"quote {quote.supplier}": day_text(quote.received, side.view.lang) for quote in given.quotes}
        shown |= {f"passage {id}": text for id, text in given.words.items()}
        return shown | ({} if given.tax_rate is None else {"tax ": f"{given.tax_rate * 100:g} %"})

    def name(key: str) -> str:
        kind, _, id = key.partition(" ")
        said = b.said or a.said
        shown = b.view.name(f"facts/{id}") if kind == "fact" else said.thing(id) if said and kind in ("quantity", "price") else id
        return word(f"compare.typed.{kind}", name=shown)

    before, after = values(a), values(b)
    rows += _changes((*before, *after), before, after, name, word("compare.not_typed"))
    return rows


def _facts(a: Side, b: Side) -> list[Change]:
    """Named facts of the region that stand otherwise there."""
    if a.region is None or b.region is None:
        return []

    def values(side: Side) -> dict[str, str]:
        assert side.region is not None
        return {fact.id: fact_value(side.view, fact.id, fact.value) for fact in side.region.facts if fact.value is not None}

    before, after = values(a), values(b)
    return _changes((*before, *after), before, after, lambda id: b.view.name(f"facts/{id}"), b.view.word("view.unknown"))


def _answers(a: Side, b: Side) -> list[Change]:
    """Questions of the issue that were answered otherwise."""
    word = b.view.word

    def values(side: Side) -> dict[str, str]:
        return {str(id): str(choice) for id, choice in dict(side.view.step("issue").get("answers") or {}).items()}

    before, after = values(a), values(b)
    return _changes((*before, *after), before, after, lambda id: id, word("compare.not_answered"))


def _assumed(a: Side, b: Side) -> list[Change]:
    word = b.view.word

    def rows(side: Side) -> dict[str, str]:
        shown = {row["id"]: assumed_name(side.view, row) for row in side.plan.assumed}
        for row in side.funding.assumed if side.funding else ():
            shown[row["id"]] = side.view.name(f"facts/{row['id']}")
        return shown

    before, after = rows(a), rows(b)
    ids = [id for id in (*before, *after) if (id in before) != (id in after)]
    yes, no = word("compare.assumed.yes"), word("compare.assumed.no")
    return [Change((before | after)[id], yes if id in before else no, yes if id in after else no) for id in dict.fromkeys(ids)]


def _files(a: Side, b: Side) -> list[Change]:
    """Data files that the two were made with in different versions."""

    def pins(side: Side) -> dict[str, str]:
        return {entry: hash for step in side.plan.steps for entry, hash in step.pinned.items()}

    before, after = pins(a), pins(b)
    word = b.view.word
    shared = [entry for entry in before if entry in after and before[entry] != after[entry]]
    return [
        Change(f"{b.view.word('kind.' + entry.partition('/')[0])} {b.view.name(entry)}", word("compare.earlier"), word("compare.later")) for entry in shared
    ]


def _amounts(a: Side, b: Side, scale: Scale) -> list[Amount]:
    word, rows = b.view.word, list[Amount]()
    for key, ids in (("cost_5y", ("cost_5y_taxed", "priced_part_5y_taxed")), ("npv", ("cost_npv", "priced_part")), ("bound", ("lower_bound",))):
        found = [next((side.view.step("design")[id] for id in ids if side.view.step("design").get(id)), "") for side in (a, b)]
        values = [_whole(scale, side.plan.figures[id].value) if id else None for side, id in zip((a, b), found, strict=True)]
        rows.append(Amount(word(f"compare.{key}"), values[0], values[1], key, (found[0], found[1])))
    for key in ("first", "general", "general_refused", "whole"):
        before, after = (None if side.funding is None else _budget(side.funding, key, scale) for side in (a, b))
        rows.append(Amount(word(f"compare.{key}"), before, after, key))
    return [row for row in rows if row.before is not None or row.after is not None]


def _whole(scale: Scale, yen: float | None) -> int | None:
    return None if yen is None else round(yen) if scale.id == "yen" else round(yen / 1000)


def _budget(funding: Funding, key: str, scale: Scale) -> int:
    budget = funding.refused if key == "general_refused" else funding.adopted
    _, total, sources = scale.budget(budget)
    if key in ("first", "whole"):
        return total[0] if key == "first" else sum(total)
    return by_source(sources, budget)["general"][0]


def _by_year(a: Side, b: Side, scale: Scale) -> tuple[tuple[int, ...], list[tuple[str, list[Amount]]]]:
    """Sections and sources by fiscal year on both sides; years that only one side has count as nothing on the other. Rows without a difference are left out."""
    if a.funding is None or b.funding is None:
        return (), []
    budgets = (a.funding.adopted, b.funding.adopted)
    years = tuple(sorted({*budgets[0].years, *budgets[1].years}))

    def amounts(budget: Budget, rows: Mapping[str, Sequence[int]], id: str) -> list[int]:
        by_year = dict(zip(budget.years, rows.get(id, (0,) * len(budget.years)), strict=True))
        return [by_year.get(year, 0) for year in years]

    said = Said(b.view, b.funding)
    parts = [{row.id: row.years for row in scale.budget(budget)[0]} for budget in budgets]
    sources = [by_source(scale.budget(budget)[2], budget) for budget in budgets]
    wanted = [(said.section(id), id, parts) for id in dict.fromkeys((*parts[0], *parts[1]))]
    wanted += [(said.source(id), id, sources) for id in SOURCES]
    rows = []
    for name, id, found in wanted:
        before, after = (amounts(budget, given, id) for budget, given in zip(budgets, found, strict=True))
        if before != after:
            rows.append((name, [Amount(str(year), x, y) for year, x, y in zip(years, before, after, strict=True)]))
    return years, rows


def signed(amount: int | None) -> str:
    """A difference with its sign.

    >>> signed(1_500), signed(-1_500), signed(0), signed(None)
    ('+1,500', '-1,500', '±0', '—')
    """
    if amount is None:
        return "—"
    return f"{amount:+,}" if amount else "±0"


def _sentence(view: View, made: Comparison, scale: Scale) -> str:
    """What changed, and why it matters, in one sentence."""
    word, unit = view.word, view.word(f"money.unit.{scale.id}")
    if made.same:
        return word("compare.same")
    causes = [
        word("compare.cause", name=row.name, before=row.before, after=row.after)
        for key in ("conditions", "typed", "facts", "sentence")
        for row in made.topics.get(key, ())
    ]
    counted = [word(f"compare.cause.{key}", count=len(made.topics[key])) for key in ("answers", "files", "assumed") if key in made.topics]
    effects = []
    for row in made.amounts:
        if row.difference and row.id in ("general", "cost_5y"):
            effects.append(word(f"compare.effect.{'more' if row.difference > 0 else 'less'}", name=row.name, amount=f"{abs(row.difference):,}", unit=unit))
    effects += [word(f"compare.effect.{key}", count=len(made.topics[key])) for key in EFFECTS if key in made.topics]
    more = len(causes) - SAID
    told = causes[:SAID] + ([word("compare.more", count=more)] if more > 0 else []) + counted
    first = word("compare.because", list=view.joined(told)) if told else word("compare.because.none")
    return first + (word("compare.so", list=view.joined(effects)) if effects else word("compare.so.none"))
