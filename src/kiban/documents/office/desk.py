"""What all papers share: sentences by key, amounts in 千円 with their mark, the header, passages with the officer's own words.

In: a dossier or a public dossier. Out: text and blocks. Nothing is computed here but the rounding of print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal

from kiban.base.cells import writable
from kiban.base.errors import DataFileError
from kiban.base.jdate import era_year
from kiban.catalogue import Catalogue
from kiban.catalogue.convert import near
from kiban.documents.amounts import plain
from kiban.documents.dossier import Dossier, PublicDossier
from kiban.documents.paper import Block, Note, Paper, Passage, Table, numbered
from kiban.documents.reasons import assumed_name
from kiban.documents.view import View
from kiban.records.funding import Budget, Funding, Line, Milestone
from kiban.records.region import Region
from kiban.records.support import SupportAnswer

Say = Callable[..., str]
Open = Literal["", "interest", "all"]  # what of a redemption nobody knows: nothing, its interest, how it is paid back at all
ASSUMED_SHOWN = 24  # names of assumed values on the first page; all of them stand in the table of the plan
APRIL = 4
SOURCES = ("national", "prefecture", "bond", "other", "general")


def sentences(catalogue: Catalogue, paper: str) -> Say:
    """The sentences of one paper by key, those common to all papers behind them.

    Raises
    ------
    DataFileError  no such key; the message names the file
    """
    own, common = catalogue.get("papers", paper).texts, catalogue.get("papers", "common").texts

    def say(key: str, **blanks: Any) -> str:
        text = own.get(key, common.get(key))
        if text is None:
            raise DataFileError(f"papers/{paper}.yaml", f"no sentence {key}", "every sentence that the paper uses", near(key, own) or f"add {key}:")
        return str(text).format(**blanks) if blanks else str(text)

    return say


def day_text(say: Say, day: date) -> str:
    """A day as papers write it: 令和8年11月27日."""
    return say("day", year=era_year(day.year), month=day.month, day=day.day)


def thousand(yen: int | float | None) -> str:
    """Yen in 千円, rounded half away from zero; a dash for what is unknown.

    >>> thousand(1_234_500), thousand(-500), thousand(None), thousand(0)
    ('1,235', '-1', '—', '0')
    """
    if yen is None:
        return "—"
    sign = "-" if yen < 0 else ""
    return f"{sign}{int((abs(yen) + 500) // 1000):,}"


def plain_thousand(amount: int | None) -> str:
    """An amount that is in 千円 already."""
    return "—" if amount is None else f"{amount:,}"


def owed(say: Say, thousands: int, state: Open, wide: bool = False) -> str:
    """Redemption in 千円; where no rate is known the principal with the remark that interest comes on top, on two lines in wide tables."""
    if state == "all":
        return say("debt.unknown")
    if not state:
        return plain_thousand(thousands)
    return say("debt.plus.wide" if wide else "debt.plus", amount=plain_thousand(thousands)) if thousands else say("debt.only")


def with_unit(cell: str) -> str:
    """A cell of an amount in a sentence, with its unit.

    >>> with_unit("8,960＋利子未定"), with_unit("20,166以上(利子を除く)")
    ('8,960千円＋利子未定', '20,166千円以上(利子を除く)')
    """
    return re.sub(r"^(-?[\d,]+)", r"\1千円", cell.replace("\n", ""))


def data_day(region: Region, view: View) -> date:
    """The day of the data: when the newest source of the region was seen."""
    days = [source.seen_on for source in region.sources.values()]
    return max(days, default=view.plan.made_on.date())


def ja(value: Any) -> str:
    """The Japanese of a text of a step: a pair of languages, a record, or a plain text."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return str(value.get("ja", ""))
    return str(getattr(value, "ja", value))


@dataclass(frozen=True)
class Desk:
    """A dossier with the sentences of one paper."""

    dossier: Dossier
    paper: str

    @cached_property
    def say(self) -> Say:
        """The sentences of the paper."""
        return sentences(self.dossier.view.catalogue, self.paper)

    @property
    def view(self) -> View:
        """The plan in Japanese."""
        return self.dossier.view

    @property
    def funding(self) -> Funding:
        """The money."""
        return self.dossier.funding

    @property
    def town(self) -> str:
        """The name of the town as it stands in the region."""
        return self.view.local(self.dossier.region.name)

    # Amounts

    @cached_property
    def waiting(self) -> tuple[Line, ...]:
        """Lines of the estimate without a price."""
        return tuple(line for line in self.funding.lines if line.basis == "awaiting")

    @cached_property
    def mark(self) -> str:
        """How far the totals can be trusted: quotations behind them, and lines that wait for one."""
        priced = [line for line in self.funding.lines if line.basis not in ("awaiting", "town")]
        required = self.funding.quotes_required
        least = min((line.quotes if line.basis == "quotes" else 0 for line in priced), default=0)
        if priced and (required is None or least < required):
            first = self.say("mark.some", count=least, required=required or self.say("unknown")) if least else self.say("mark.rough")
        else:
            first = self.say("mark.quoted") if priced else self.say("mark.rough")
        return self.say("comma").join([first, *([self.say("mark.waiting", count=len(self.waiting))] if self.waiting else [])])

    def money(self, thousands: int | None) -> str:
        """An amount in 千円 in a sentence, with its mark."""
        return self.say("pending") if thousands is None else self.say("amount", amount=f"{thousands:,}", mark=self.mark)

    @cached_property
    def units(self) -> str:
        """The unit of a table of totals, with its mark."""
        return f"{self.say('unit')}、{self.mark}"

    # Names

    def year(self, year: int) -> str:
        """A fiscal year as the head of a column: R9."""
        return era_year(year, short=True)

    def fiscal(self, year: int) -> str:
        """A fiscal year in a sentence: 令和9年度."""
        return self.say("fiscal", year=era_year(year))

    def month(self, one: Milestone) -> str:
        """When a step of the calendar comes, its year being a fiscal one: 令和10年3月 for March of fiscal 2027."""
        return self.say("month", year=era_year(one.year + (one.month < APRIL)), month=one.month)

    def thing(self, id: str) -> str:
        """The name of what is missing: a line of the estimate, a quotation, a field of a row of existing plant, or a named fact."""
        for line in self.funding.lines:
            if line.id == id:
                return line.name.ja
        head, _, field = id.partition(".")
        if head == "plant" and field:
            return self.say("plant.field", field=self.say(f"plant.field.{field.replace('_', '-')}"))
        return self.say("quotation") if id == "quotation" else self.fact(id)

    def section(self, id: str) -> str:
        """The name of a section of the budget; its id where no file names it."""
        catalogue = self.view.catalogue
        if "budget-form" in catalogue.rules:
            for entry in catalogue.list_at("budget-form", self.dossier.today).entries:
                if entry.id == id:
                    return entry.name.ja
        return id

    def source(self, id: str) -> str:
        """The name of a source of money."""
        return self.say(f"source.{id}")

    def support(self, id: str) -> str:
        """The name of a support."""
        return self.view.name(f"supports/{id}")

    def fact(self, id: str) -> str:
        """The name of a named fact."""
        return self.view.name(f"facts/{id}")

    def desk_of_fact(self, id: str) -> str:
        """Who knows a named fact."""
        found = self.view.catalogue.facts.get(id)
        return found.desk.ja if found else ""

    def answer(self, answer: SupportAnswer) -> str:
        """What a support says, never more than that it may apply."""
        say = self.say
        if answer.answer == "judge" and answer.judge is not None:
            return say("answer.judge.by", whom=answer.judge.ja)
        if answer.answer == "unpublished" and answer.example is not None:
            example = say(f"answer.{answer.example}")
            return say("answer.example", answer=say("answer.unpublished"), year=self.fiscal(answer.edition), example=example)
        return say(f"answer.{answer.answer}")

    def supports_of(self, budget: Budget) -> str:
        """The supports that a budget counts, those of a past year labelled as an example."""
        answers = {answer.support: answer for answer in self.funding.answers}
        names = []
        for id in budget.supports:
            year = answers[id].edition if id in answers else None
            label = self.say("example", year=self.fiscal(year)) if id in budget.past and year is not None else ""
            names.append(f"{self.support(id)}({label})" if label else self.support(id))
        return self.say("comma").join(names) or self.say("none")

    def payer(self, budget: Budget) -> str:
        """Who pays once the supports have ended: by the table, and by name where the town has said one."""
        by_table, named = self.say(f"payer.{budget.payer_after}"), self.value("payer_after_support")
        return by_table if budget.payer_after == "unknown" or not named else self.say("payer.named", payer=by_table, named=named)

    def taken(self, id: str) -> bool:
        """Whether a named fact is taken by default, because nobody in the town has said it."""
        return any(row.get("id") == id for row in self.funding.assumed)

    def value(self, id: str) -> str | None:
        """What is known of a named fact, in words; None where nobody has said."""
        known: dict[str, Any] = {fact.id: fact.value for fact in self.dossier.region.facts}
        known |= self.dossier.inputs.facts
        value = known.get(id)
        return None if value is None else self.spoken(id, value)

    def spoken(self, id: str, value: float | bool | str) -> str:
        """A value of a named fact in words: with its unit, as yes or no, as its choice, or as a day."""
        if isinstance(value, bool):
            return self.view.word("show.yes" if value else "show.no")
        found = self.view.catalogue.facts.get(id)
        if isinstance(value, int | float):
            unit = self.view.unit(found.unit) if found and found.unit else ""
            return f"{plain(value)}{unit}"
        if found and value in found.choices:
            return found.choices[value].ja
        try:
            return day_text(self.say, date.fromisoformat(value))
        except ValueError:
            return str(value)

    # Blocks

    def passage(self, key: str, label: str, made: str) -> Passage:
        """A text that the officer may rewrite: their own words where there are some, with what is generated today where that has changed."""
        inputs = self.dossier.inputs
        return own_passage(self.say, key, label, made, inputs.words, inputs.made)

    def assumed(self) -> list[tuple[str, str, str, str]]:
        """Name, value, reason and who confirms, of every assumed row and every fact taken by default."""
        view = self.view
        rows = [(assumed_name(view, row), "", view.local(row["reason"]), view.local(row["confirm"])) for row in view.step("design").get("assumed", ())]
        for row in self.funding.assumed:
            known = self.view.catalogue.facts.get(str(row.get("id")))
            taken = known.default if known else None
            value = self.local(row, "value") if taken is None else self.spoken(str(row["id"]), taken)
            rows.append((self.local(row, "name"), value, self.local(row, "reason"), self.local(row, "confirm")))
        return rows

    def local(self, row: Mapping[str, Any], key: str) -> str:
        """A text of a row in Japanese."""
        value = row.get(key, "")
        return self.view.local(value) if isinstance(value, str) else ja(value)

    def assumed_note(self) -> Note:
        """The assumed values on the first page, with who can confirm each."""
        return assumed_note(self.say, [(name, confirm) for name, _, _, confirm in self.assumed()])

    def assumed_table(self) -> Table:
        """All assumed values with their reasons."""
        say, blank = self.say, self.say("none")
        rows = tuple((name, value or "—", reason, confirm) for name, value, reason, confirm in self.assumed()) or ((blank, "", "", ""),)
        return Table("assumed", say("t.assumed"), (say("c.name"), say("c.value"), say("c.reason"), say("c.confirm")), rows, "llll", (2.6, 1.4, 4.6, 2.6))

    def made(self, blocks: Sequence[Block], subtitle: str = "") -> Paper:
        """The paper of these blocks, with its header."""
        dossier, say = self.dossier, self.say
        header = _header(say, self.town, dossier.today, data_day(dossier.region, self.view), say("header.inside"), self.view.plan.label)
        form = self.view.catalogue.get("papers", self.paper)
        done, tables = numbered(tuple(blocks))
        footer = say("footer", plan=self.view.plan.id)
        return Paper(self.paper, form.name.ja, self.town, header, footer, dossier.today, True, done, subtitle, self.view.plan.label or "", tables)


@dataclass(frozen=True)
class Counter:
    """A public dossier with the sentences of one paper; it knows no amount."""

    dossier: PublicDossier
    catalogue: Catalogue
    paper: str

    @cached_property
    def say(self) -> Say:
        """The sentences of the paper."""
        return sentences(self.catalogue, self.paper)

    def passage(self, key: str, label: str, made: str) -> Passage:
        """A text that the officer may rewrite."""
        return own_passage(self.say, key, label, made, self.dossier.words, {})

    def assumed_note(self) -> Note:
        """The assumed values on the first page."""
        return assumed_note(self.say, self.dossier.assumed, self.dossier.withheld)

    def made(self, blocks: Sequence[Block], subtitle: str = "") -> Paper:
        """The paper of these blocks, with its header."""
        dossier, say = self.dossier, self.say
        form = self.catalogue.get("papers", self.paper)
        header = _header(say, dossier.town, dossier.today, dossier.data_day, say(f"header.{form.folder}"), dossier.label)
        done, tables = numbered(tuple(blocks))
        footer, inside = say("footer", plan=dossier.plan), form.folder == "inside"
        return Paper(self.paper, form.name.ja, dossier.town, header, footer, dossier.today, inside, done, subtitle, dossier.label or "", tables)


def own_passage(say: Say, key: str, label: str, made: str, own: Mapping[str, str], before: Mapping[str, str]) -> Passage:
    """A passage with the officer's own words where there are some."""
    made = "\n".join(line.strip() for line in made.split("\n")).strip()
    if key not in own:
        return Passage(key, label, made)
    changed = key in before and before[key].strip() != made
    return Passage(key, label, writable(own[key]), say("changed", text=made) if changed else "")


def assumed_note(say: Say, rows: Sequence[tuple[str, str]], withheld: int = 0) -> Note:
    """Names of assumed values and who can confirm them, in one remark; those withheld are counted only."""
    if not rows:
        return Note(say("assumed.within", count=withheld) if withheld else say("assumed.none"))
    items = [say("assumed.item", name=name, confirm=confirm) if confirm else name for name, confirm in rows[:ASSUMED_SHOWN]]
    if len(rows) > ASSUMED_SHOWN:
        items.append(say("assumed.more", count=len(rows) - ASSUMED_SHOWN))
    others = say("assumed.others", count=withheld) if withheld else ""
    return Note(say("assumed.note", count=len(rows), list=say("comma").join(items)) + others)


def _header(say: Say, town: str, made: date, data: date, folder: str, label: str | None) -> tuple[str, ...]:
    days = say("header.made", day=day_text(say, made)), say("header.data", day=day_text(say, data))
    return tuple(part for part in (f"【{folder}】", say("header.town", town=town), *days, label or "") if part)
