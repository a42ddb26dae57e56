"""The view of a plan that the page, the PDF and the workbook share: names put to ids, figures put to words, nothing computed.

In: a Plan, the catalogue's entries and the words of one language. Out: a View whose methods a template calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kiban.catalogue import Catalogue
from kiban.documents.amounts import in_thousands, plain, spoken
from kiban.records.plan import Figure, Plan, PlanStep
from kiban.records.source import Source

Word = Callable[..., str]


@dataclass(frozen=True)
class Shown:
    """One figure as it is printed: text, the id of its origin, its confidence, its range."""

    text: str
    id: str
    confidence: str = ""
    range: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class View:
    """A plan in one language."""

    plan: Plan
    catalogue: Catalogue
    word: Word
    lang: str
    region_name: str
    region_sources: Mapping[str, Source] = field(default_factory=dict)

    def step(self, id: str) -> dict[str, Any]:
        """The body of a step; {} when the plan has no such step."""
        found: list[PlanStep] = [step for step in self.plan.steps if step.id == id]
        return found[0].body if found else {}

    def say(self, text: Mapping[str, str] | None) -> str:
        """A sentence of a body in this language."""
        return "" if text is None else text[self.lang]

    def name(self, entry: str) -> str:
        """The name of a catalogue entry "kind/id"; the id itself when the file is gone."""
        kind, _, id = entry.partition("/")
        return self.catalogue.headline(kind, id, self.lang) if id in self.catalogue.of(kind) else id

    def figure(self, id: str | None) -> Figure | None:
        """A figure of the ledger."""
        return None if id is None else self.plan.figures[id]

    def money(self, id: str | None) -> Shown:
        """A yen figure for a sentence."""
        return self._shown(id, lambda figure: spoken(figure, self.lang))

    def thousands(self, id: str | None) -> Shown:
        """A yen figure for a table in 千円."""
        return self._shown(id, in_thousands)

    def number(self, id: str | None, digits: int = 4) -> Shown:
        """Any other figure with its unit left to the heading."""
        return self._shown(id, lambda figure: self.word("view.unknown") if figure.value is None else plain(round(figure.value, digits)))

    def percent(self, id: str | None) -> Shown:
        """A share as per cent, one decimal."""
        return self._shown(id, lambda figure: self.word("view.unknown") if figure.value is None else f"{figure.value * 100:.1f} %")

    def _shown(self, id: str | None, text: Callable[[Figure], str]) -> Shown:
        figure = self.figure(id)
        if figure is None or id is None:
            return Shown(self.word("view.unknown"), "")
        return Shown(text(figure), id, str(figure.confidence or ""))

    def origin(self, figure: Figure) -> tuple[str, Source | None]:
        """Where a leaf comes from: its reference, and the source that the reference names, if one does."""
        ref = figure.ref or ""
        place, _, key = ref.rpartition(" ")
        kind, _, rest = place.partition("/")
        id = rest.partition("#")[0].partition("@")[0]
        if kind in ("technologies", "usecases", "rules", "traffic") and id in self.catalogue.of(kind):
            return place, self.catalogue.of(kind)[id].sources.get(key)
        return ref, self.region_sources.get(key)

    def years(self) -> list[str]:
        """The fiscal years of the horizon in 和暦 or plainly."""
        start, count = self.plan.figures["choices/start"].value, len(self.step("design")["years"])
        assert start is not None
        from kiban.base.jdate import era_year

        return [f"{era_year(int(start) + t, short=True)}" if self.lang == "ja" else f"FY{int(start) + t}" for t in range(count)]
