"""Words of one meaning, found in Japanese text without a tokenizer.

In: text, and the concepts of the form. Out: hits (concept, the words as written), and character bigrams for likeness.
Which model a hit speaks for is decided in `issue.understanding`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from kiban.records.issue import IssueForm

NEAR, FAR = 5, 14  # most letters between two parts of a word: written with "~", and with "~~"
_BREAK = re.compile(r"[\s、。,.!?！？「」『』()\[\]・:;/|~…―-]+")
_KATAKANA = re.compile(r"[\u30a1-\u30f6ー]{3,}")
_HIRAGANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_LATIN = re.compile(r"[a-z0-9]+$")
_RUN = re.compile(r"[\u4e00-\u9fff々]{2,}|[\u30a0-\u30ff]{2,}|[a-z0-9]{2,}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept found, the words as they stand in the text, and which letters of it they are."""

    concept: str
    words: str
    letters: tuple[int, ...]


def normal(text: str) -> str:
    """One writing: full-width letters narrow, half-width kana wide, capitals small, no spaces inside.

    >>> normal("Ｗｉ－Ｆｉ が ﾂﾅｶﾞﾗﾅｲ")
    'wi-fiがツナガラナイ'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", "", text).replace("‐", "-").replace("−", "-")


class Lexicon:
    """The concepts, ready to be found. `learn` adds words that the form does not know, as concepts of their own."""

    def __init__(self, form: IssueForm) -> None:
        self._plain: dict[str, list[str]] = {}
        self._gapped: list[tuple[str, re.Pattern[str], str]] = []
        self.roles = {name: concept.role for name, concept in form.concepts.items()}
        for name, concept in form.concepts.items():
            for word in concept.words:
                self._add(normal(word), name)
        for word in form.ignore:
            self._plain[normal(word)] = []
        self._longest = max((len(word) for word in self._plain), default=0)

    def _add(self, word: str, concept: str) -> None:
        if _KATAKANA.fullmatch(word):  # people write タクシー as たくしー; two letters would be found by chance
            self._plain.setdefault(word.translate(_HIRAGANA), []).append(concept)
        if "~" in word:
            gaps = {"~": f"[^。]{{0,{NEAR}}}?", "~~": f"[^。]{{0,{FAR}}}?"}
            pattern = "".join(gaps[part] if part in gaps else f"({re.escape(part)})" for part in re.split("(~+)", word))
            self._gapped.append((word.partition("~")[0], re.compile(pattern), concept))
        else:
            self._plain.setdefault(word, []).append(concept)

    def learn(self, words: Iterable[str]) -> None:
        """Words of data files in which no concept is found become concepts named `=word`; their role is unknown."""
        new = sorted({normal(word) for word in words} - set(self._plain))
        for word in [word for word in new if len(word) > 1 and not self.find(word)]:
            self._add(word, f"={word}")
        self._longest = max((len(word) for word in self._plain), default=0)

    def find(self, text: str) -> tuple[Hit, ...]:
        """Concepts in the text, from left to right. A word inside a longer one does not count: 川崎 is no 川.

        Of a word with a gap the last part takes away what stands inside it: お年寄りの孤立 is no 孤立 of a hamlet, but 鹿の被害 still is about 鹿.
        """
        text = normal(text)
        found: list[tuple[tuple[tuple[int, int], ...], tuple[str, ...]]] = []
        for start in range(len(text)):
            for end in range(start + 1, min(len(text), start + self._longest) + 1):
                known = self._plain.get(text[start:end])
                if known is not None and not _inside_latin(text, start, end):
                    found.append((((start, end),), tuple(known)))
        for first, pattern, concept in self._gapped:
            for match in pattern.finditer(text) if first in text else ():
                found.append((tuple(match.span(i + 1) for i in range(pattern.groups)), (concept,)))
        hits: list[Hit] = []
        for spans, concepts in found:
            inside = [other for other in found if other[0] != spans and _covers(other[0], spans)]
            if not inside:
                letters = tuple(i for left, right in spans for i in range(left, right))
                hits.extend(Hit(concept, "…".join(text[left:right] for left, right in spans), letters) for concept in concepts)
        return tuple(sorted(hits, key=lambda hit: (hit.letters, hit.concept)))


def _covers(other: tuple[tuple[int, int], ...], spans: tuple[tuple[int, int], ...]) -> bool:
    """The last part of `other` holds the one part of `spans`; equal only where `other` has a gap."""
    (left, right), (start, end) = other[-1], spans[0]
    return len(spans) == 1 and left <= start and end <= right and (len(other) > 1 or (left, right) != (start, end))


def _inside_latin(text: str, start: int, end: int) -> bool:
    """A Latin word counts only when it stands alone: "lan", not "island"."""
    if not _LATIN.match(text[start:end]):
        return False
    return bool(_LATIN.match(text[start - 1 : start]) or _LATIN.match(text[end : end + 1]))


def bigrams(text: str) -> list[str]:
    """Pairs of neighbouring letters, not across a break.

    >>> bigrams("水位が、上がる")
    ['水位', '位が', '上が', 'がる']
    """
    return [part[i : i + 2] for part in _BREAK.split(normal(text)) for i in range(len(part) - 1)]


def common_runs(one: str, other: str) -> tuple[str, ...]:
    """Words of kanji, katakana or Latin letters that stand in both texts.

    >>> common_runs("水門を勘で開閉", "水門の開閉を自動に")
    ('水門', '開閉')
    """
    there = normal(other)
    return tuple(dict.fromkeys(run for run in _RUN.findall(normal(one)) if run in there))
