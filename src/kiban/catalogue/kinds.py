"""The kinds of data files. Lists, pages, search, templates and tests are made from this table; a new kind is one more line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiban.records.case import Case
from kiban.records.fact import NamedFact
from kiban.records.issue import IssueForm
from kiban.records.lock import Lock
from kiban.records.model import StandardModel
from kiban.records.offer import Offer
from kiban.records.paper import PaperForm, StandingClause
from kiban.records.rule import Rule, TrafficScenario
from kiban.records.support import Support
from kiban.records.technology import Technology
from kiban.records.usecase import UseCase


@dataclass(frozen=True)
class Kind:
    """One kind of data file.

    name      the folder under data/, and the field of the Catalogue
    record    what a file holds: a record, or text by key (words)
    headline  the field with the name that stands in lists and headings; "" where the id is the name
    versions  True: one folder per id, one file per version (models/<id>/<version>.yaml), keyed "id/version"
    """

    name: str
    record: Any
    headline: str = "name"
    versions: bool = False


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("technologies", Technology),
        Kind("usecases", UseCase),
        Kind("models", StandardModel, versions=True),
        Kind("offers", Offer),
        Kind("supports", Support),
        Kind("cases", Case, headline="title"),
        Kind("rules", Rule),
        Kind("locks", Lock),
        Kind("facts", NamedFact),
        Kind("traffic", TrafficScenario),
        Kind("clauses", StandingClause),
        Kind("papers", PaperForm),
        Kind("forms", IssueForm, headline=""),
        Kind("words", dict[str, str], headline=""),
    )
}
