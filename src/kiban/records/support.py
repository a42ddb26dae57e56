"""Supports: subsidies, grants, bonds and levies as dated rules, and what they answer to one project of one town in one year."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id, check_range, check_unique
from kiban.records.source import Confidence, Quantity, Source, Text
from kiban.records.technology import check_sources

# What a support pays into: a column of the budget, or none of them.
#   national, prefecture, bond, other  columns of a municipal budget
#   memo      counted in the formula of the tax grant: theoretical, over the years of redemption, never a column
#   operator  paid to the carrier, not to the town
#   in_kind   people or goods, no money
Column = Literal["national", "prefecture", "bond", "other", "memo", "operator", "in_kind"]

# What a line of the estimate is spent on; a support counts some of them.
Category = Literal["equipment", "works", "design", "software", "service", "lease", "upkeep", "energy", "rent"]


class Condition(Record, frozen=True, kw_only=True):
    """One condition on a named fact.

    fact   id of data/facts, or one that the plan itself knows: project.cost_yen (of what counts), project.usecases, project.fields, project.technologies,
           project.categories, project.stage (plan, trial, build, run), project.applicant
    test   is · is_not (value) ; at_least · at_most · below · above (value, a number) ; any_of · none_of (values; a list fact fits when it shares one) ;
           any_true (values are ids of facts, one of which must be true; `fact` is project.areas)
    judge  who must judge where the fact's value is "judge" or nobody can compute it: then the answer is "to be judged by"
    only_if  the condition is asked only where these hold, such as a rule for firms alone; where one of them fails it is no condition
    """

    fact: str
    test: Literal["is", "is_not", "at_least", "at_most", "below", "above", "any_of", "none_of", "any_true"]
    value: float | bool | str | None = None
    values: tuple[str, ...] = ()
    text: Text
    judge: Text | None = None
    only_if: tuple[Condition, ...] = ()
    clause: str | None = None
    source: str

    def __post_init__(self) -> None:
        listed = self.test in ("any_of", "none_of", "any_true")
        if listed != bool(self.values) or listed == (self.value is not None):
            raise RecordError(f"condition on {self.fact}", f"test {self.test}, value {self.value}, {len(self.values)} values",
                              "values for any_of, none_of and any_true, one value for the other tests", "correct it")  # fmt: skip
        if self.test in ("at_least", "at_most", "below", "above") and (isinstance(self.value, bool) or not isinstance(self.value, int | float)):
            raise RecordError(f"condition on {self.fact}", f"test {self.test} against {self.value!r}", "a number", "correct it")


class Rate(Record, frozen=True, kw_only=True):
    """The share that is paid (補助率 or 充当率); the first rate whose conditions hold is used.

    share     unit "1", 0.5 means one half; null with needs_source where no page gives it
    fixed     True: everything that counts is paid (定額)
    ceiling   JPY, in the place of the edition's, where this rate has its own
    """

    text: Text
    share: Quantity
    when: tuple[Condition, ...] = ()
    fixed: bool = False
    ceiling: Quantity | None = None

    def __post_init__(self) -> None:
        if self.share.unit != "1":
            raise RecordError("rate", f"unit {self.share.unit!r}", "unit '1', a share", "write 0.5 for one half")
        check_range("rate", self.share.value, 0, 1)
        if self.ceiling is not None and self.ceiling.unit != "JPY":
            raise RecordError("rate, ceiling", f"unit {self.ceiling.unit!r}", "JPY", "convert it, keep the original in note")


class Redemption(Record, frozen=True, kw_only=True):
    """How a bond is paid back: years in all, years of grace in them, yearly interest, and the share of principal and interest that
    the tax grant counts in theory (交付税措置). The town's own facts win where they give a rate or years."""

    years: Quantity
    grace: Quantity
    interest: Quantity
    counted: Quantity | None = None
    rounding: Quantity | None = None  # JPY: the bond is rounded down to a multiple of it


class Window(Record, frozen=True, kw_only=True):
    """When applications are taken, and when money may be spent; a day that no page gives is None."""

    opens: date | None = None
    closes: date | None = None
    decided: Text | None = None  # when candidates and decisions came, in words
    note: Text | None = None
    source: str


class Edition(Record, frozen=True, kw_only=True):
    """What a support says from one fiscal year on.

    fiscal_year  the first 年度 of this text; valid_to: the last one that the text itself covers (a yearly call: the same year; a law: its last year)
    ended        True: there is nothing after it
    counts       categories of cost that count; counts_text says what does and does not
    less         facts in JPY/year that are taken off what counts, such as income, where a deficit is supported
    floor, ceiling  JPY: least total of what counts · most that is paid
    stage        which part of a project it is for
    months       None, or for how many months running costs are paid
    """

    fiscal_year: int
    valid_to: int
    ended: bool = False
    stage: tuple[Literal["plan", "trial", "build", "run"], ...]
    conditions: tuple[Condition, ...] = ()
    counts: tuple[Category, ...] = ()
    counts_text: Text
    less: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()
    floor: Quantity | None = None
    ceiling: Quantity | None = None
    months: Quantity | None = None
    redemption: Redemption | None = None
    windows: tuple[Window, ...] = ()
    clause: str | None = None
    source: str
    confidence: Confidence
    note: Text | None = None

    def __post_init__(self) -> None:
        if self.valid_to < self.fiscal_year:
            raise RecordError(f"edition {self.fiscal_year}", f"valid_to {self.valid_to}", f"{self.fiscal_year} or later", "correct it")
        for name, quantity in (("floor", self.floor), ("ceiling", self.ceiling)):
            if quantity is not None and quantity.unit != "JPY":
                raise RecordError(f"edition {self.fiscal_year}, {name}", f"unit {quantity.unit!r}", "JPY", "convert it, keep the original in note")


class Stacking(Record, frozen=True, kw_only=True):
    """With what it may be combined.

    local_share_of  the bond may pay what these supports leave to the town (() for a bond: it stands alone only)
    not_with        never together with these
    order           place in the order of application: grants first (1…), bonds on the rest, memo last
    """

    order: int
    local_share_of: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    alone: bool = False  # only for projects without any other support (地方単独)
    note: Text | None = None
    source: str | None = None


class Support(Record, frozen=True, kw_only=True):
    """One file of `data/supports/`."""

    name: Text
    summary: Text
    kind: Literal["subsidy", "grant", "bond", "tax_grant", "special_tax_grant", "levy", "in_kind"]
    column: Column
    body: Text
    desk: Text
    editions: tuple[Edition, ...]
    stacking: Stacking
    sources: dict[str, Source]
    checked_on: date
    notes: tuple[Text, ...] = ()
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        years = [edition.fiscal_year for edition in self.editions]
        if not years or years != sorted(set(years)):
            raise RecordError("support", f"editions of {years}", "at least one edition, in rising order of fiscal_year", "sort them")
        for edition in self.editions:
            if (self.column == "bond") != (edition.redemption is not None):
                raise RecordError(f"edition {edition.fiscal_year}", f"column {self.column}, redemption {edition.redemption is not None}",
                                  "redemption exactly for bonds", "add or remove it")  # fmt: skip
        check_sources("support", self.sources, self)


# The five answers; none of them says that money will come.
#   possible     対象となり得る(要確認)       excluded  対象外              missing  判断に必要な事実なし
#   judge        要判断(誰が)                 unpublished  当該年度の要綱未公表
Answer = Literal["possible", "excluded", "missing", "judge", "unpublished"]


class Finding(Record, frozen=True, kw_only=True):
    """How one condition came out: holds, fails, unknown (the fact is not known) or judge; found: the fact's value in words."""

    fact: str
    state: Literal["holds", "fails", "unknown", "judge"]
    text: Text
    found: str | None = None
    clause: str | None = None


class SupportAnswer(Record, frozen=True, kw_only=True):
    """What a support says to this project in this year.

    example      when the answer is "unpublished": the answer of the last edition that is known, and example_year its fiscal year
    edition      fiscal year of the text that was read; read_on: the day its page was seen
    missing      named facts that decide; judge: who must judge
    share        of what counts; None: unknown or no money. counted_yen, amount_yen: of this project, None when they cannot be computed.
    Amounts of an example are examples; nothing here is a promise.
    """

    support: str
    answer: Answer
    year: int
    edition: int
    example: Answer | None = None
    findings: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    judge: Text | None = None
    share: float | None = None
    counted_yen: int | None = None
    amount_yen: int | None = None
    clause: str | None = None
    source: str
    read_on: date

    def __post_init__(self) -> None:
        check_id("support answer", self.support)
        check_range(f"answer of {self.support}, share", self.share, 0, 1)
        check_range(f"answer of {self.support}, amount_yen", self.amount_yen, 0)
        if (self.answer == "unpublished") != (self.example is not None):
            raise RecordError(f"answer of {self.support}", f"{self.answer} with example {self.example}", "an example exactly when unpublished", "correct it")
        check_unique(f"answer of {self.support}, missing", self.missing)
