"""An offer: a shared use 共同利用, joint procurement 共同調達 or service that somebody really offers to somebody."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.records.rules import Record
from kiban.records.source import Quantity, Source, Text
from kiban.records.technology import check_sources


class Offer(Record, frozen=True, kw_only=True):
    """One file of `data/offers/`. A price is a sourced quantity or null; there is no record where no source shows an offer.

    opens, closes  the days between which one may join, where a page gives them; `window` says it in words
    """

    name: Text
    summary: Text
    kind: Literal["share", "join", "buy"]
    by: Text
    to: Text
    prefectures: tuple[str, ...] = ()  # two-digit codes; empty: the whole country
    usecases: tuple[str, ...] = ()
    price: Quantity | None = None
    window: Text | None = None
    opens: date | None = None
    closes: date | None = None
    terms: Text | None = None
    ask: Text
    sources: dict[str, Source]
    source_keys: tuple[str, ...]
    checked_on: date

    def __post_init__(self) -> None:
        check_sources("offer", self.sources, self)
