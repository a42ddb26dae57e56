"""Why a file was refused, in the language of the page.

In: an error of a room below, which speaks English. Out: where, what was found, what fits and the next step, each with the language it is in.
The sentences in Japanese stand in refused.yaml; one that is not there stays English and says so by its language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from kiban.base.errors import KibanError, ManyErrors

GAP = "…"  # what changes in a sentence


@dataclass(frozen=True)
class Part:
    """A piece of a message and the language it is in."""

    text: str
    lang: str


@dataclass(frozen=True)
class Refused:
    """One problem, piece by piece."""

    where: str
    found: Part
    fits: Part
    step: Part


@cache
def sentences() -> dict[str, str]:
    """English sentence with … for what changes → the same in Japanese."""
    return dict(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Those with the most fixed words first, so that `a sheet … or …` stands before `a sheet …`."""
    ordered = sorted(sentences().items(), key=lambda one: -len(one[0].replace(GAP, "")))
    return [(re.compile("(.+?)".join(map(re.escape, english.split(GAP))), re.DOTALL), japanese) for english, japanese in ordered]


def _own(text: str) -> str:
    """Of what is written as Japanese / English, the Japanese; of a list of id = name, the names."""
    japanese = re.sub(r" / [A-Za-z][A-Za-z ,.'-]*?(?= \[| \d+(?:;|$)|;|$)", "", text)
    return re.sub(r"(^|; )[a-z_]+ = ", r"\1", japanese).replace("; ", "、")


def said(text: str, lang: str) -> Part:
    """A piece of a message in a language, if it is known there.

    >>> said("a file that cannot be read (File is not a zip file)", "ja")
    Part(text='読み取れないファイル', lang='ja')
    >>> said("a sheet 見積様式 or 要件一覧", "ja").text, said("something new", "ja").lang, said("no such file", "en").text
    ('シート「見積様式」か「要件一覧」', 'en', 'no such file')
    """
    if lang == "ja":
        for pattern, japanese in _patterns():
            found = pattern.fullmatch(text)
            if found:
                return Part(japanese.format(*(_own(one) for one in found.groups())), "ja")
        if not re.search(r"[a-z]{2,} [a-z]", text):  # a value or a name, no sentence
            return Part(_own(text), "ja")
    return Part(text, "en")


def noted(text: str) -> Refused:
    """A note about a file that is no mistake: a text alone, in Japanese as the papers are."""
    return Refused("", Part(text, "ja"), Part("", "ja"), Part("", "ja"))


def refused(error: KibanError, lang: str) -> list[Refused]:
    """The problems of an error, one by one.

    >>> one = refused(KibanError("回答.xlsx", "no such file", "an .xlsx workbook", "check the file"), "ja")[0]
    >>> one.where, one.found.text, one.step.text
    ('回答.xlsx', 'そのファイルがない', 'ファイルを確かめてください')
    """
    problems = error.problems if isinstance(error, ManyErrors) else [error]
    return [Refused(said(one.where, lang).text, said(one.found, lang), said(one.fits, lang), said(one.step, lang)) for one in problems]
