"""A plan: an ordered tuple of step records, and the ledger in which every number of the plan has its origin."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_unique
from kiban.records.source import Confidence


class Figure(Record, frozen=True, kw_only=True):
    """One number with its origin.

    kind     source: read from a data file or a region row, `ref` says where · assumed: an assumed row, `ref` names it ·
             formula: computed by `formula` from `inputs`, in order · choice: a decision of the optimiser or the user (a count, a year), `ref` says whose
    value    None: unknown, and everything built on it is None too
    low, high  the range, where the origin gives one
    """

    value: float | None
    unit: str
    kind: Literal["source", "assumed", "formula", "choice"]
    ref: str | None = None
    formula: str | None = None
    inputs: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    confidence: Confidence | None = None

    def __post_init__(self) -> None:
        if (self.kind == "formula") != (self.formula is not None):
            raise RecordError("figure", f"kind {self.kind}, formula {self.formula}", "a formula id exactly when kind is formula", "correct it")
        if self.kind != "formula" and not self.ref:
            raise RecordError("figure", f"kind {self.kind} without ref", "where it comes from", "name the file, row or choice")


class PlanStep(Record, frozen=True, kw_only=True):
    """One step of the story with the hash of its inputs and the versions that it was made with; `body` holds no number, only figure ids."""

    id: Literal["issue", "needs", "options", "design", "funding", "verdict"]
    inputs: str
    engine: str
    pinned: dict[str, str]
    body: dict[str, Any]
    stale: bool = False


class Plan(Record, frozen=True, kw_only=True):
    """Everything that kiban says about one issue in one region.

    figures is the ledger: every number of the plan stands there and nowhere else; the steps refer to figures by id.
    """

    id: str
    region: str
    sentence: str
    status: Literal["plan", "incomplete", "unserved", "questions", "no_model"]
    made_on: datetime
    engine: str
    label: str | None
    steps: tuple[PlanStep, ...]
    figures: dict[str, Figure]
    assumed: tuple[dict[str, str], ...] = ()
    own_words: dict[str, str] = {}

    def __post_init__(self) -> None:
        check_unique("steps", (step.id for step in self.steps))
        for key, figure in self.figures.items():
            for given in figure.inputs:
                if given not in self.figures:
                    raise RecordError(f"figure {key}", f"input {given!r}", "a figure of the plan", "add it to the ledger")
