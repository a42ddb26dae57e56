"""The view of a plan that the page, the PDF and the workbook share: names put to ids, figures put to words, nothing computed.

In: a Plan, the catalogue's entries and the words of one language. Out: a View whose methods a template calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kiban.base.jdate import era_year
from kiban.catalogue import Catalogue
from kiban.documents.amounts import DIGITS, amount, in_thousands, is_weak, plain, range_of, spoken
from kiban.records.funding import COMPONENT
from kiban.records.plan import Figure, Plan, PlanStep
from kiban.records.source import Confidence, Source

JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
EXAMPLE = "plan.example_label"

Word = Callable[..., str]


@dataclass(frozen=True)
class Shown:
    """One figure as it is printed: text, the id of its origin, its confidence, its range (empty where none is known), whether one should be known."""

    text: str
    id: str
    confidence: str = ""
    range: str = ""
    weak: bool = False

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
        if entry == f"technologies/{COMPONENT}":
            return self.word("component.of_model")
        return self.catalogue.headline(kind, id, self.lang) if id in self.catalogue.of(kind) else id

    def figure(self, id: str | None) -> Figure | None:
        """A figure of the ledger."""
        return None if id is None else self.plan.figures[id]

    def money(self, id: str | None) -> Shown:
        """A yen figure for a sentence."""
        return self._shown(id, lambda figure: spoken(figure, self.lang))

    def headline(self, id: str | None) -> Shown:
        """A yen figure for a headline, its range apart."""
        figure = self.figure(id)
        shown = self._shown(id, lambda one: amount(one, self.lang))
        return shown if figure is None else replace(shown, range=range_of(figure, self.lang), weak=is_weak(figure))

    def thousands(self, id: str | None) -> Shown:
        """A yen figure for a table in 千円."""
        return self._shown(id, in_thousands)

    def number(self, id: str | None, digits: int = 4) -> Shown:
        """Any other figure with its unit left to the heading; amounts of 100 yen and more in whole yen."""

        def text(figure: Figure) -> str:
            return self.word("view.unknown") if figure.value is None else self.digits(figure.value, figure.unit, digits)

        return self._shown(id, text)

    def digits(self, value: float, unit: str, digits: int = 4) -> str:
        """A number of a unit for a page: whole yen from 100 yen on, else so many decimals."""
        return plain(round(value) if unit.startswith("JPY") and abs(value) >= 100 else round(value, digits))

    def unit(self, unit: str) -> str:
        """A unit in this language, part by part; a unit without a word stands as it is."""
        texts = self.catalogue.words[self.lang]
        return "/".join(texts.get("unit." + part, part) for part in unit.split("/"))

    def quantity(self, id: str | None) -> str:
        """A figure with its unit, such as 25 Mbps."""
        figure = self.figure(id)
        return self.word("view.unknown") if figure is None else f"{self.number(id)} {self.unit(figure.unit)}"

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
        return [era_year(int(start) + t, short=True) if self.lang == "ja" else f"FY{int(start) + t}" for t in range(count)]

    def period(self) -> dict[str, Any]:
        """First and last year of the headline of the first years, and of the whole horizon with its length."""
        years, design = self.years(), self.step("design")
        some = len(self.plan.figures[design["cost_5y"]].inputs) if design["cost_5y"] else len(years)
        return {"first": years[0], "last": years[some - 1], "end": years[-1], "count": len(years)}

    def rounding(self) -> str:
        """The rule by which amounts are rounded in print."""
        return self.word("page.rounding", **{letter: str(DIGITS[Confidence(letter)]) for letter in "ABC"})

    def local(self, text: str) -> str:
        """The part in this language of a row's text of the form "日本語 / English"; any other text as it is.

        Only a Japanese part before and a part without Japanese after " / " make that form.
        """
        before, mark, after = text.rpartition(" / ")
        if not mark or not JAPANESE.search(before) or JAPANESE.search(after):
            return text
        return before if self.lang == "ja" else after

    def foreign(self, text: str) -> bool:
        """Whether a text is Japanese on a page that is not, so that it must be marked."""
        return self.lang != "ja" and JAPANESE.search(text) is not None

    def gloss(self) -> str:
        """The translation of the usual label of an example, on pages in another language; empty where the label needs none."""
        label = self.plan.label
        return "" if self.lang == "ja" or label != self.catalogue.words["ja"][EXAMPLE] else self.word(EXAMPLE)

    def label(self) -> str | None:
        """The label of the region as it stands, with its translation."""
        return " — ".join(part for part in (self.plan.label, self.gloss()) if part) or None

    def aside(self, *parts: str) -> str:
        """A remark in the brackets of this language."""
        return f"（{'・'.join(parts)}）" if self.lang == "ja" else f" ({', '.join(parts)})"

    def quote(self, text: str) -> str:
        """A sentence in the quotation marks of its own language."""
        return f"「{text}」" if JAPANESE.search(text) else f"“{text}”"

    def joined(self, parts: list[str]) -> str:
        """Parts as a list in a sentence."""
        return ("、" if self.lang == "ja" else ", ").join(parts)
