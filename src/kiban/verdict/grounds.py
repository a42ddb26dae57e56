"""What a verdict rests on, and how its sentences are made.

In: the records of a plan. Out: Grounds, the one argument of every rule of this room, and `say`, which fills a sentence in both languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from kiban.catalogue import Catalogue
from kiban.finance.revenue import number
from kiban.records.funding import Funding
from kiban.records.model import StandardModel
from kiban.records.plan import Figure
from kiban.records.region import Fact, Region
from kiban.records.source import Text

LANGUAGES = ("ja", "en")
SEPARATOR = {"ja": "、", "en": ", "}


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """Everything that the choice depends on.

    model     id of the standard model with its version; usecases, options, cases, design: the bodies of the steps above
    points    the open points, each with its kind, what it is about and whom to ask
    facts     named facts by id, those that are known
    figures   the ledger; costs: option → id of the figure of its cost over the horizon, as present value
    start     the first fiscal year of the plan; today: the day of the making
    """

    catalogue: Catalogue
    region: Region
    sentence: str
    model: str
    usecases: Sequence[str]
    options: Sequence[Mapping[str, Any]]
    cases: Sequence[Mapping[str, Any]]
    design: Mapping[str, Any]
    points: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Figure]
    costs: Mapping[str, str]
    today: date
    start: int
    facts: Mapping[str, Fact] = field(default_factory=dict)
    funding: Funding | None = None

    @property
    def standard(self) -> StandardModel:
        """The standard model."""
        return self.catalogue.models[self.model]

    def records(self, kind: str) -> list[str]:
        """The records behind an option, as the options step lists them."""
        return [record for row in self.options if row["kind"] == kind for record in row["records"]]

    def flag(self, id: str) -> bool | None:
        """Yes, no, or None where nobody has said."""
        value = self.facts[id].value if id in self.facts else None
        return value if isinstance(value, bool) else None

    def words(self, id: str) -> str | None:
        """The text of a fact; None where nobody has said."""
        value = self.facts[id].value if id in self.facts else None
        return None if value is None else str(value)

    def day(self, id: str) -> date | None:
        """The day of a fact; None where nobody has said or it is no day."""
        try:
            return date.fromisoformat(self.words(id) or "")
        except ValueError:
            return None

    def number(self, id: str) -> float | None:
        """The number of a fact."""
        return number(self.facts, id)

    def known(self, id: str) -> bool:
        """Whether somebody has said a fact."""
        return id in self.facts and self.facts[id].value is not None

    def name(self, entry: str) -> Text:
        """The name of a catalogue entry "kind/id", of a plant, or the id where the file is gone."""
        kind, _, id = entry.partition("/")
        if kind == "plants":
            return local(next((plant.name for plant in self.region.plants if plant.id == id), id))
        if id not in self.catalogue.of(kind):
            return Text(ja=id, en=id)
        return Text(ja=self.catalogue.headline(kind, id, "ja"), en=self.catalogue.headline(kind, id, "en"))

    def say(self, key: str, **blanks: Text | str) -> Text:
        """A sentence of the words in both languages; a blank that is a Text is filled in its own language."""
        filled = {lang: {name: getattr(value, lang) if isinstance(value, Text) else value for name, value in blanks.items()} for lang in LANGUAGES}
        said = {lang: self.catalogue.words[lang][key] for lang in LANGUAGES}
        return Text(**{lang: said[lang].format(**filled[lang]) if blanks else said[lang] for lang in LANGUAGES})


def local(text: str) -> Text:
    """A text of a row of the form "日本語 / English" as both; any other text stands in both languages.

    >>> local("携帯各社 / the carriers").en
    'the carriers'
    """
    ja, mark, en = text.rpartition(" / ")
    return Text(ja=ja, en=en) if mark and en.isascii() and not ja.isascii() else Text(ja=text, en=text)


def joined(parts: Sequence[Text]) -> Text:
    """Several names as a list in a sentence; at least one."""
    return Text(**{lang: SEPARATOR[lang].join(getattr(part, lang) for part in parts) for lang in LANGUAGES})


def both(row: Mapping[str, str]) -> Text:
    """A sentence of a step's body as a Text."""
    return Text(ja=row["ja"], en=row["en"])
