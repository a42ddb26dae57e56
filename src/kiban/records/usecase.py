"""A use case ユースケース: what a local issue needs from devices and networks."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Text
from kiban.records.technology import check_sources

# A kind of place that a region's rows may have.
SiteKind = Literal[
    "shelter",
    "hamlet",
    "school",
    "clinic",
    "office",
    "hall",
    "river",
    "pond",
    "paddy",
    "trap",
    "road",
    "bus",
    "port",
    "factory",
    "tourism",
    "forest",
    "household",
]


class Scaled(Record, frozen=True, kw_only=True, tag="scaled"):
    """A need that grows with a count at the site: straight lines between published points, refused outside them.

    by      the count of the site row: "pupils", "households", "population" or "devices"
    points  (count, value) in the unit of `unit`, rising counts

    Stored records carry `type: scaled` or `type: quantity`, so that a need decodes to the right one; data files need not write it.
    """

    by: Literal["pupils", "households", "population", "devices"]
    unit: str
    points: tuple[tuple[float, float], ...]
    source: str
    year: int | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        counts = [count for count, _ in self.points]
        if len(counts) < 2 or counts != sorted(set(counts)):
            raise RecordError("scaled need", f"counts {counts}", "at least two points with rising counts", "sort them")


class Needs(Record, frozen=True, kw_only=True):
    """What one site needs for the use case; None: unknown, so it is not tested and is listed as unknown.

    Rates in the busy hour. `iot: 1` means small messages of battery devices; `backup: 1` means that a critical site must also be
    reached over another risk class. `devices` per site (or scaled).
    """

    down_mbps: Quantity | Scaled | None = None
    up_mbps: Quantity | Scaled | None = None
    one_way_ms: Quantity | None = None
    availability: Quantity | None = None
    mobility: Quantity | None = None
    autonomy_h: Quantity | None = None
    message_bytes: Quantity | None = None
    devices: Quantity | Scaled | None = None
    mb_per_day: Quantity | None = None
    iot: Quantity | None = None
    backup: Quantity | None = None


class Priority(Record, frozen=True, kw_only=True):
    """One of the seed's three tests for state support, with the reason."""

    test: Literal["macro_need", "effect", "public_service"]
    answer: Literal["yes", "no", "unknown"]
    reason: Text
    source: str | None = None


class UseCase(Record, frozen=True, kw_only=True):
    """One file of `data/usecases/`."""

    name: Text
    summary: Text
    field: Text  # 分野: 防災, モビリティ, 地場産業 …
    words: tuple[str, ...]  # words that people use for the issue, Japanese
    sites: tuple[SiteKind, ...]  # the kinds of place that have this need
    needs: Needs
    sources: dict[str, Source]
    checked_on: date
    priority: tuple[Priority, ...] = ()
    data_sensitivity: Literal["open", "internal", "personal"] | None = None
    notes: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if not self.words:
            raise RecordError("use case", "no words", "words that people use for the issue", "add some")
        if not self.sites:
            raise RecordError("use case", "no sites", "at least one kind of site", "add some")
        check_sources("use case", self.sources, self)
