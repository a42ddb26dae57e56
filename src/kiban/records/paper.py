"""What the papers of the office are made from besides the plan: standing clauses of a specification, and the fixed sentences of each paper."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id
from kiban.records.source import Source, Text
from kiban.records.technology import check_sources


class StandingClause(Record, frozen=True, kw_only=True):
    """One file of `data/clauses/`: a clause that stands in every specification of its kind, whatever the model.

    order         place among the standing clauses
    applies_when  always · radio: the model uses radio · screen: it has screens for people
    standard      law, guideline or standard that it rests on
    verify        how it is verified
    """

    name: Text
    order: int
    applies_when: Literal["always", "radio", "screen"] = "always"
    text: Text
    verify: Text
    standard: str | None = None
    source_keys: tuple[str, ...] = ()
    sources: dict[str, Source]
    checked_on: date

    def __post_init__(self) -> None:
        check_sources("clause", self.sources, self)


class PaperForm(Record, frozen=True, kw_only=True):
    """One file of `data/papers/`: the fixed sentences of one paper, in Japanese, by key; {…} are the blanks that the plan fills.

    name     title of the paper; summary: what it is for
    folder   inside: stays in the office · outside: may leave it, so that it holds no amount
    texts    sentence by key; headings have keys that begin with h., captions t., columns c.
    """

    name: Text
    summary: Text
    folder: Literal["inside", "outside"]
    texts: dict[str, str]
    source_keys: tuple[str, ...] = ()
    sources: dict[str, Source] = {}
    checked_on: date

    def __post_init__(self) -> None:
        for key, text in self.texts.items():
            check_id("paper, texts", key)
            if not text.strip():
                raise RecordError(f"paper, texts {key}", "an empty sentence", "a sentence", "write it, or take the key out")
        check_sources("paper", self.sources, self)
