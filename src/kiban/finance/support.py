"""What a support says to one project of one town in one fiscal year (支援の判定).

In: supports as dated rules, named facts, the project as categories of cost. Out: one of five answers with the findings behind it, and amounts in whole
yen. Nothing here promises money: the strongest answer is "possible, to be confirmed". Each support is read by itself; which of them may stand together
is decided in finance.stacking, what falls on which year in finance.budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from kiban.base.errors import FinanceError
from kiban.base.jdate import era_year
from kiban.records.region import Fact
from kiban.records.source import Text
from kiban.records.support import Answer, Category, Condition, Edition, Finding, Rate, Support, SupportAnswer

State = Literal["holds", "fails", "unknown", "judge"]
Value = float | bool | str | tuple[str, ...]

# Columns in which a support is money of the town's budget; the others are theory, somebody else's money, or no money.
MONEY = ("national", "prefecture", "bond", "other")

# A project that builds goes on to run; the other stages are themselves only.
_PARTS = {"plan": ("plan",), "trial": ("trial",), "build": ("build", "run"), "run": ("run",)}


@dataclass(frozen=True)
class Project:
    """What the supports are asked about.

    usecases, technologies  ids; fields: Japanese names of the fields of the use cases
    categories  what the project spends money on
    initial     yen of the first purchase by category, tax included; yearly: yen of one full year of running by category
    unpriced    categories with a line that waits for its price: what counts is then known from below only
    """

    usecases: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    technologies: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    stage: Literal["plan", "trial", "build", "run"] = "build"
    applicant: str = "municipality"
    initial: Mapping[Category, int] = field(default_factory=dict)
    yearly: Mapping[Category, int] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Read:
    """An edition read against the project, before it is known whether the edition is the one of the year."""

    answer: Answer
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()
    judge: Text | None = None
    share: float | None = None
    counted: int | None = None
    amount: int | None = None


def answers(supports: Mapping[str, Support], facts: Mapping[str, Fact], project: Project, year: int) -> tuple[SupportAnswer, ...]:
    """The answer of every support, in the order of application (stacking.order, then id)."""
    order = sorted(supports, key=lambda id: (supports[id].stacking.order, id))
    return tuple(answer(id, supports[id], facts, project, year) for id in order)


def answer(id: str, support: Support, facts: Mapping[str, Fact], project: Project, year: int) -> SupportAnswer:
    """What one support says in one fiscal year.

    Parameters
    ----------
    id, support  the data file
    facts        named facts of the town, its rules and the plan by id; a fact that is absent or None is unknown, "judge" waits for a person
    project      what is to be built and what it costs, yen with tax
    year         the fiscal year in which the support would be used

    Returns
    -------
    "excluded" where a condition fails, whatever else is unknown; else "missing" where a fact is unknown; else "judge"; else "possible".
    Where no text covers the year: "unpublished" with the answer of the newest earlier edition as an example, or "excluded" once it has ended.

    Raises
    ------
    FinanceError  a fact is of another kind than the condition, such as a text where a number is compared

    >>> from datetime import date
    >>> from kiban.records.region import Evidence
    >>> from kiban.records.source import Confidence, Quantity, Source
    >>> from kiban.records.support import Stacking
    >>> poor = Condition(fact="fiscal_index", test="below", value=0.5, text=Text(ja="財政力指数0.5未満", en="index below 0.5"), source="s")
    >>> half = Rate(text=Text(ja="2分の1", en="one half"), share=Quantity(unit="1", value=0.5, source="s", confidence=Confidence.A), when=(poor,))
    >>> text = Edition(fiscal_year=2026, valid_to=2026, stage=("build",), counts=("works",), counts_text=Text(ja="工事費", en="works"), rates=(half,),
    ...                source="s", confidence=Confidence.A)
    >>> name = Text(ja="例", en="example")
    >>> grant = Support(name=name, summary=name, kind="subsidy", column="national", body=name, desk=name, editions=(text,), stacking=Stacking(order=1),
    ...                 sources={"s": Source(title="例", seen_on=date(2026, 11, 23))}, checked_on=date(2026, 11, 23))
    >>> town = {"fiscal_index": Fact(id="fiscal_index", value=0.2, unit="ratio", evidence=Evidence(source="s"))}
    >>> project = Project(initial={"works": 40_000_001})
    >>> given = answer("example", grant, town, project, 2026)
    >>> given.answer, given.share, given.counted_yen, given.amount_yen
    ('possible', 0.5, 40000001, 20000000)
    >>> answer("example", grant, {}, project, 2026).missing
    ('fiscal_index',)
    >>> later = answer("example", grant, town, project, 2027)
    >>> later.answer, later.edition, later.example
    ('unpublished', 2026, 'possible')
    """
    earlier = [edition for edition in support.editions if edition.fiscal_year <= year]
    edition = earlier[-1] if earlier else support.editions[0]
    past = bool(earlier) and year > edition.valid_to and not edition.ended
    if not earlier:
        read = _closed(edition, Text(ja=f"{era_year(edition.fiscal_year)}度より前にはない", en=f"does not exist before fiscal year {edition.fiscal_year}"))
    elif year > edition.valid_to and edition.ended:
        read = _closed(edition, Text(ja=f"{era_year(edition.valid_to)}度で終わった", en=f"ended with fiscal year {edition.valid_to}"))
    else:
        read = _read(edition, support, facts, project)
    return SupportAnswer(
        support=id,
        answer="unpublished" if past else read.answer,
        year=year,
        edition=edition.fiscal_year,
        example=read.answer if past else None,
        findings=read.findings,
        missing=read.missing,
        judge=read.judge,
        share=read.share,
        counted_yen=read.counted,
        amount_yen=read.amount,
        clause=edition.clause,
        source=edition.source,
        read_on=support.sources[edition.source].seen_on,
    )


def _closed(edition: Edition, text: Text) -> _Read:
    """The answer of a support that does not exist in the year."""
    return _Read("excluded", (Finding(fact="project.year", state="fails", text=text, clause=edition.clause),))


def _read(edition: Edition, support: Support, facts: Mapping[str, Fact], project: Project) -> _Read:
    """One edition against the project, as if it were in force."""
    counted, unknown_income = _counted(edition, project, facts)
    open_lines = bool(set(edition.counts) & set(project.unpriced))
    known: dict[str, Value | None] = {
        "project.cost_yen": None if open_lines else float(counted),  # None: what somebody has said, if anybody has
        "project.usecases": project.usecases,
        "project.fields": project.fields,
        "project.technologies": project.technologies,
        "project.categories": project.categories,
        "project.stage": project.stage,
        "project.applicant": project.applicant,
    }
    asked = _Asked(facts, known, support.desk)
    for condition in edition.conditions:
        asked.put(condition)
    asked.note(_stage(edition, project))
    if edition.counts:
        asked.note(_least(edition, counted, asked.value("project.cost_yen")))
    for fact in unknown_income:
        asked.note(Finding(fact=fact, state="unknown", text=Text(ja="対象経費から差し引く収入", en="income that is taken off what counts")))
    rate = asked.rate(edition.rates)
    state = asked.answer()
    if state == "excluded":
        return _Read("excluded", tuple(asked.findings))
    money = bool(edition.counts)
    share = None if rate is None else 1.0 if rate.fixed else rate.share.value
    return _Read(
        state,
        tuple(asked.findings),
        missing=tuple(dict.fromkeys(asked.missing)) if state == "missing" else (),
        judge=_joined(asked.judges) if state == "judge" else None,
        share=share,
        counted=counted if money else None,
        amount=_capped(counted, share, edition, rate) if money and not unknown_income and support.column in MONEY else None,
    )


class _Asked:
    """The conditions that have been asked, with what came of them."""

    def __init__(self, facts: Mapping[str, Fact], known: Mapping[str, Value | None], desk: Text) -> None:
        self.facts, self.known, self.desk = facts, known, desk
        self.findings: list[Finding] = []
        self.missing: list[str] = []
        self.judges: list[Text] = []

    def answer(self) -> Answer:
        """Failing wins over unknown, unknown over judging."""
        if any(finding.state == "fails" for finding in self.findings):
            return "excluded"
        return "missing" if self.missing else "judge" if self.judges else "possible"

    def note(self, finding: Finding) -> None:
        self.findings.append(finding)
        if finding.state == "unknown":
            self.missing.append(finding.fact)

    def put(self, condition: Condition) -> None:
        """Ask one condition."""
        state, decisive = self.state(condition)
        if state is None:
            return
        self.findings.append(Finding(fact=condition.fact, state=state, text=condition.text, found=self.found(condition), clause=condition.clause))
        if state == "unknown":
            self.missing.extend(decisive)
        if state == "judge":
            self.judges.append(condition.judge or self.desk)

    def rate(self, rates: tuple[Rate, ...]) -> Rate | None:
        """The first rate whose conditions hold; None while one of them is open, or where none fits."""
        for rate in rates:
            states = [self.state(condition)[0] for condition in rate.when]
            if "fails" in states:
                continue
            for condition in rate.when:
                self.put(condition)
            return rate if all(state in ("holds", None) for state in states) else None
        return None

    def state(self, condition: Condition) -> tuple[State | None, tuple[str, ...]]:
        """How a condition comes out, None where it is not asked; and the facts that would decide it."""
        before: list[tuple[State | None, tuple[str, ...]]] = [self.state(each) for each in condition.only_if]
        if any(state == "fails" for state, _ in before):
            return None, ()
        if condition.test == "any_true":
            return self.any_true(condition)
        value = self.value(condition.fact)
        if value is not None and value != "judge":
            own: State = "holds" if _fits(condition, value) else "fails"
        else:
            own = "judge" if value == "judge" or condition.judge is not None else "unknown"
        open_ = [name for state, names in before if state in ("unknown", "judge") for name in names]
        if not open_ or own == "holds":
            return own, (condition.fact,)
        return "unknown", tuple(open_)  # whether the condition is asked at all is not known yet

    def any_true(self, condition: Condition) -> tuple[State, tuple[str, ...]]:
        """One of several flags: known as soon as one of them is true, failing only when all are known to be false."""
        values = {id: self.value(id) for id in condition.values}
        for id, value in values.items():
            if isinstance(value, str | tuple) and value != "judge":
                raise FinanceError(f"fact {id}", repr(value), "true or false", "correct the fact")
        if any(value is not None and value != "judge" and value for value in values.values()):
            return "holds", ()
        if "judge" in values.values():
            return "judge", ()
        unknown = tuple(id for id, value in values.items() if value is None)
        return ("unknown", unknown) if unknown else ("fails", ())

    def found(self, condition: Condition) -> str | None:
        """What stands there, in words: the value, or the flags that are true."""
        if condition.test == "any_true":
            return ", ".join(id for id in condition.values if self.value(id) not in (None, "judge") and self.value(id)) or None
        return _shown(self.value(condition.fact))

    def value(self, fact: str) -> Value | None:
        """The value of a fact of the plan or of the town; None: unknown."""
        if self.known.get(fact) is not None:
            return self.known[fact]
        if fact.startswith("project.") and fact not in self.known:
            raise FinanceError(f"condition on {fact}", "a fact that no project has", f"one of {', '.join(self.known)}", "correct the data file")
        row = self.facts.get(fact)
        return None if row is None else row.value


def _fits(condition: Condition, value: Value) -> bool:
    """Whether a known value meets a condition."""
    test, wanted = condition.test, condition.value
    if test in ("any_of", "none_of"):
        shared = set(condition.values) & set(value if isinstance(value, tuple) else (str(value),))
        return bool(shared) == (test == "any_of")
    if test in ("is", "is_not"):
        if isinstance(value, tuple) or isinstance(value, str) != isinstance(wanted, str):
            raise _other_kind(condition, value)
        return (value == wanted) == (test == "is")
    if isinstance(value, bool | str | tuple) or not isinstance(wanted, int | float):
        raise _other_kind(condition, value)
    return {"at_least": value >= wanted, "at_most": value <= wanted, "below": value < wanted, "above": value > wanted}[test]


def _other_kind(condition: Condition, value: Value) -> FinanceError:
    fits = f"a value that can be compared with {condition.value!r} ({condition.test})"
    return FinanceError(f"fact {condition.fact}", repr(value), fits, "correct the fact: a number, true or false, or one of its choices")


def _stage(edition: Edition, project: Project) -> Finding:
    """Whether the support is for a part of the project that lies before it."""
    fits = any(part in edition.stage for part in _PARTS[project.stage])
    text = Text(ja=f"支援の段階: {'、'.join(_STAGE_JA[part] for part in edition.stage)}", en=f"for the stage: {', '.join(edition.stage)}")
    return Finding(fact="project.stage", state="holds" if fits else "fails", text=text, found=project.stage, clause=edition.clause)


_STAGE_JA = {"plan": "計画策定", "trial": "実証", "build": "整備", "run": "運用"}


def _least(edition: Edition, counted: int, said_cost: Value | None) -> Finding:
    """Whether enough of the project's cost counts: something at all, and the floor where there is one. `counted` may still grow while nothing is said."""
    floor = edition.floor
    least = 1 if floor is None or floor.value is None else floor.value
    said = Text(ja="対象となる経費がある", en="something of its cost counts")
    if floor is not None and floor.value is not None:
        said = Text(ja=f"対象となる経費が{floor.value:,.0f}円以上", en=f"at least {floor.value:,.0f} yen of its cost count")
    enough = counted >= least or (isinstance(said_cost, int | float) and said_cost >= least)
    state: State = "holds" if enough else "unknown" if said_cost is None else "fails"
    return Finding(fact="project.cost_yen", state=state, text=said, found=f"{counted:,}", clause=edition.clause)


def _counted(edition: Edition, project: Project, facts: Mapping[str, Fact]) -> tuple[int, tuple[str, ...]]:
    """Yen that count, less income: the first purchase for what is planned, tried or built, the months of the first year for what is run.

    Income that is not known is taken off with 0 and named.
    """
    amount = 0
    if set(edition.stage) & {"plan", "trial", "build"}:
        amount += sum(project.initial.get(category, 0) for category in edition.counts)
    if "run" in edition.stage:
        months = 12.0 if edition.months is None or edition.months.value is None else min(12.0, edition.months.value)
        amount += _part(sum(project.yearly.get(category, 0) for category in edition.counts), months / 12)
    rows = {id: facts.get(id) for id in edition.less}
    incomes = {id: row.value if row is not None else None for id, row in rows.items()}
    for id, income in incomes.items():
        if isinstance(income, bool | str):
            raise FinanceError(f"fact {id}", repr(income), "yen a year, a number", "correct the fact")
    amount = max(amount - int(sum(income for income in incomes.values() if isinstance(income, int | float))), 0)
    return amount, tuple(id for id, income in incomes.items() if income is None)


def _capped(counted: int, share: float | None, edition: Edition, rate: Rate | None) -> int | None:
    """Whole yen that are paid, rounded down; None where share or ceiling is not known."""
    ceiling = rate.ceiling if rate is not None and rate.ceiling is not None else edition.ceiling
    if share is None or (ceiling is not None and ceiling.value is None):
        return None
    amount = _part(counted, share)
    if ceiling is not None and ceiling.value is not None:
        amount = min(amount, int(ceiling.value))
    unit = edition.redemption.rounding if edition.redemption else None
    if unit is not None and unit.value:
        amount -= amount % int(unit.value)
    return amount


def _part(amount: int, share: float) -> int:
    """A share of an amount, rounded down; a share that is written 0.6666666667 means two thirds."""
    return int(amount * Fraction(share).limit_denominator(10_000))


def _shown(value: Value | None) -> str | None:
    """A value as it is typed: 0.2, true, a list with commas."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:,.12g}" if isinstance(value, int | float) else value


def _joined(texts: Sequence[Text]) -> Text:
    """Several desks as one text, each once."""
    different = list(dict.fromkeys((text.ja, text.en) for text in texts))
    return Text(ja="、".join(ja for ja, _ in different), en=", ".join(en for _, en in different))
