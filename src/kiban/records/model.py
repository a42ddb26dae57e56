"""A standard model 標準モデル: the proposed best combination for one kind of issue, in versions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id, check_unique
from kiban.records.source import Source, Text
from kiban.records.technology import Layer, check_sources


class Component(Record, frozen=True, kw_only=True):
    """One part of the model.

    area        cooperative 協調領域 (the same for everybody, shared) or competitive 競争領域 (left to the market)
    shareable   may several use cases or towns use the same one
    technologies  ids that can play the part; examples, never a closed list, and never a product
    """

    id: str
    name: Text
    layer: Layer
    area: Literal["cooperative", "competitive"]
    shareable: bool
    role: Text
    technologies: tuple[str, ...] = ()
    why: Text | None = None

    def __post_init__(self) -> None:
        check_id("component", self.id)


class Clause(Record, frozen=True, kw_only=True):
    """One requirement of a specification 仕様書(案): vendor-neutral, verifiable, citing a standard or a law where one exists."""

    id: str
    component: str
    text: Text
    standard: str | None = None
    verify: Text
    source: str | None = None

    def __post_init__(self) -> None:
        check_id("clause", self.id)


class Kpi(Record, frozen=True, kw_only=True):
    """An indicator with how it is measured, by whom and how often; target None: the town sets it."""

    id: str
    name: Text
    unit: str
    measure: Text
    every: Text
    target: float | None = None
    source: str | None = None
    note: Text | None = None

    def __post_init__(self) -> None:
        check_id("kpi", self.id)


class CostEvidence(Record, frozen=True, kw_only=True):
    """A published amount of a real project of this kind; it is shown, never summed."""

    what: Text
    value: float
    unit: str
    year: int | None
    tax: Literal["none", "excluded", "included", "unknown"]
    scope: tuple[str, ...]
    source: str
    confidence: Literal["A", "B", "C", "D"]


class Bottleneck(Record, frozen=True, kw_only=True):
    """A place where the service may be held up, and the observation that tells so."""

    id: str
    name: Text
    sign: Text
    remedy: Text


class StandardModel(Record, frozen=True, kw_only=True):
    """One file of `data/models/<id>/<version>.yaml`. `label` stays 提案 while no official numeric 標準モデル exists."""

    name: Text
    summary: Text
    label: Literal["提案"]
    usecases: tuple[str, ...]
    words: tuple[str, ...]
    components: tuple[Component, ...]
    clauses: tuple[Clause, ...]
    kpis: tuple[Kpi, ...]
    sources: dict[str, Source]
    checked_on: date
    review_by: date
    replaces: str | None = None
    cases: tuple[str, ...] = ()
    cost_evidence: tuple[CostEvidence, ...] = ()
    bottlenecks: tuple[Bottleneck, ...] = ()
    first_ask: tuple[Text, ...] = ()  # what to ask before building at all
    not_when: tuple[Text, ...] = ()  # when this model is the wrong answer
    notes: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        ids = [component.id for component in self.components]
        check_unique("components", ids)
        check_unique("clauses", (clause.id for clause in self.clauses))
        check_unique("kpis", (kpi.id for kpi in self.kpis))
        for clause in self.clauses:
            if clause.component not in ids:
                raise RecordError(f"clause {clause.id}", f"component {clause.component!r}", f"one of {', '.join(ids)}", "name a component of this model")
        if self.review_by <= self.checked_on:
            raise RecordError("review_by", str(self.review_by), f"a day after checked_on {self.checked_on}", "set the next review")
        check_sources("model", self.sources, self)
