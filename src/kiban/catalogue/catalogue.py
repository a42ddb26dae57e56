"""The catalogue: every data file, read and checked, by id.

Reading is `reader`'s matter. Here is what a reader asks of it: an entry, its name, the value of a rule on a day, how far an entry has come.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from kiban.base.errors import DataFileError
from kiban.catalogue.convert import near
from kiban.catalogue.kinds import KINDS
from kiban.records.case import Case
from kiban.records.fact import NamedFact
from kiban.records.issue import IssueForm
from kiban.records.lock import Lock
from kiban.records.model import StandardModel
from kiban.records.offer import Offer
from kiban.records.paper import PaperForm, StandingClause
from kiban.records.rule import DatedList, DatedValue, Rule, TrafficScenario
from kiban.records.rules import Record
from kiban.records.source import Quantity, Text
from kiban.records.support import Support
from kiban.records.technology import Technology
from kiban.records.usecase import UseCase

Level = Literal["draft", "checked", "tried", "proven"]
REGIONS_FOR_PROVEN = 3
CHECK_AGAIN = timedelta(days=730)  # a house rule of kiban, not of the world: after two years a file is compared with its sources again


class Link(Record, frozen=True, kw_only=True):
    """A mention of an entry that does not exist: in which file, in which field, what it names."""

    file: str
    field: str
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.file} {self.field}: {self.kind}/{self.id}"


class Catalogue(Record, frozen=True, kw_only=True):
    """All data files by kind and id; models by "id/version".

    hashes    "kind/id" → sha256 of the file, what a plan pins
    paths     "kind/id" → the file it was read from
    dangling  mentions of entries that are not there: an error for `kiban catalogue check`, not for a region that took a file away
    """

    technologies: dict[str, Technology] = {}
    usecases: dict[str, UseCase] = {}
    models: dict[str, StandardModel] = {}
    offers: dict[str, Offer] = {}
    supports: dict[str, Support] = {}
    cases: dict[str, Case] = {}
    rules: dict[str, Rule] = {}
    locks: dict[str, Lock] = {}
    facts: dict[str, NamedFact] = {}
    traffic: dict[str, TrafficScenario] = {}
    clauses: dict[str, StandingClause] = {}
    papers: dict[str, PaperForm] = {}
    forms: dict[str, IssueForm] = {}
    words: dict[str, dict[str, str]] = {}
    hashes: dict[str, str] = {}
    paths: dict[str, str] = {}
    dangling: tuple[Link, ...] = ()

    def of(self, kind: str) -> dict[str, Any]:
        """All entries of one kind by id."""
        if kind not in KINDS:
            raise DataFileError("kind", repr(kind), f"one of {', '.join(KINDS)}", near(kind, KINDS))
        entries: dict[str, Any] = getattr(self, kind)
        return entries

    def get(self, kind: str, id: str) -> Any:
        """One entry; for a kind with versions the id alone means its newest version."""
        entries = self.of(kind)
        if id in entries:
            return entries[id]
        return entries[self.key(kind, id)]

    def key(self, kind: str, id: str) -> str:
        """The full key of an entry. Raises DataFileError with the nearest ids when there is none."""
        entries = self.of(kind)
        if id in entries:
            return id
        versions = [key for key in entries if KINDS[kind].versions and key.rpartition("/")[0] == id]
        if versions:
            return max(versions, key=lambda key: int(key.rpartition("/")[2]))
        step = near(id, entries) or f"`kiban catalogue list {kind}` shows all"
        raise DataFileError(f"{kind}/{id}", "no such entry", f"one of {len(entries)} ids", step)

    def headline(self, kind: str, id: str, lang: str) -> str:
        """The name that stands in lists and headings."""
        field = KINDS[kind].headline
        name = getattr(self.get(kind, id), field) if field else id
        return str(getattr(name, lang)) if isinstance(name, Text) else str(name)

    def file(self, kind: str, id: str) -> str:
        """The file of an entry, relative to its data folder."""
        return f"{kind}/{self.key(kind, id)}.yaml"

    def path(self, kind: str, id: str) -> Path:
        """The file of an entry on this machine."""
        return Path(self.paths[f"{kind}/{self.key(kind, id)}"])

    def rule_at(self, rule_id: str, day: date) -> DatedValue:
        """The value of a rule that holds on a day: the newest entry on or before it."""
        rule: Rule = self.get("rules", rule_id)
        return _holding(rule_id, rule.values, day)

    def list_at(self, rule_id: str, day: date) -> DatedList:
        """The list of a rule that holds on a day: the newest edition on or before it."""
        rule: Rule = self.get("rules", rule_id)
        return _holding(rule_id, rule.lists, day)

    def level(self, entry: str) -> Level:
        """How far an entry "kind/id" has come, computed and never claimed.

        draft: a value still needs its source · checked: sources and units complete · tried: at least one project that names it ·
        proven: projects of three regions that name it, and one of their failures read: a stop or a missed target, with its cause.
        Only models and use cases are named by cases; the others end at checked. A model is tried by a project that names this version of it:
        one that names the model alone met the same issue without it.
        """
        kind, _, id = entry.partition("/")
        record, key = self.get(kind, id), self.key(kind, id)
        if needs_source(record):
            return "draft"
        users = [case for case in self.cases.values() if case.kind == "project" and key in (case.models if kind == "models" else case.usecases)]
        if kind not in ("models", "usecases") or not users:
            return "checked"
        regions = {case.lg_code or f"{case.prefecture} {case.municipality}" for case in users}
        failure = any((case.stopped or case.below_target) and case.failed for case in users)
        return "proven" if len(regions) >= REGIONS_FOR_PROVEN and failure else "tried"

    def stale(self, today: date) -> tuple[str, ...]:
        """Files whose day has come: a review_by that has passed, a checked_on long ago or in the future."""
        lines = []
        for kind in KINDS:
            for id, record in self.of(kind).items():
                review, checked = getattr(record, "review_by", None), getattr(record, "checked_on", None)
                if review is not None and review < today:
                    lines.append(f"{kind}/{id}.yaml: review_by {review} has passed; read it again against its sources and set the next day")
                if checked is not None and checked > today:
                    lines.append(f"{kind}/{id}.yaml: checked_on {checked} lies in the future")
                elif checked is not None and checked + CHECK_AGAIN < today:
                    lines.append(f"{kind}/{id}.yaml: checked_on {checked} is more than {CHECK_AGAIN.days} days ago; compare it with its sources")
        return tuple(lines)


D = TypeVar("D", DatedValue, DatedList)


def _holding(rule_id: str, dated: tuple[D, ...], day: date) -> D:
    holding = [value for value in dated if value.since <= day]
    if not holding:
        first = f"a day from {dated[0].since} on" if dated else "a rule of the other kind (values or lists)"
        raise DataFileError(f"rules/{rule_id}.yaml", f"no value for {day}", first, f"add an entry since {day} or earlier")
    return holding[-1]


def quantities(thing: Any) -> list[Quantity]:
    """Every quantity inside a record, in the order of its fields."""
    if isinstance(thing, Quantity):
        return [thing]
    if isinstance(thing, Record):
        thing = [getattr(thing, name) for name in thing.__struct_fields__]
    if isinstance(thing, dict):
        thing = list(thing.values())
    return [quantity for part in thing for quantity in quantities(part)] if isinstance(thing, list | tuple) else []


def needs_source(record: Any) -> bool:
    """True while a value of the record is waiting for its source, or the record cites nothing at all."""
    if any(quantity.needs_source for quantity in quantities(record)):
        return True
    cited = getattr(record, "sources", None), getattr(record, "urls", None)
    return any(list_of is not None and not list_of for list_of in cited)
