"""Full-text search in Japanese: BM25 over overlapping pairs of characters, whole Latin words and whole numbers.

In: documents, each a few weighted texts. Out: ids with scores, best first. Pairs need no dictionary, so a place or a coinage is found like any word,
and a word of two characters (防災, 農業) is one pair.

Source: S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in Information Retrieval 3 (2009), eq. 3.15
(weighted fields are counted together, as in BM25F with one length).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.75  # of BM25, as its authors found them good for most collections
RUN = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?|[^\W\d_a-z]+")
KANA = re.compile(r"[ぁ-ゖー]+\Z")
FAINT = 0.3  # weight of a pair of hiragana alone: particles and endings
MARK = 1.0  # how many times a document holds each of its marks: 1 to 3 found about the same


@dataclass(frozen=True)
class Hit:
    """A document that was found, and its score."""

    id: str
    score: float


def tokens(text: str) -> Iterator[str]:
    """Pairs of characters, single characters that stand alone, Latin words and numbers; full-width and half-width are one.

    >>> list(tokens("防災ラジオ ＩｏＴ 2台"))
    ['防災', '災ラ', 'ラジ', 'ジオ', 'iot', '2', '台']
    """
    for run in RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if len(run) == 1 or run[0].isascii():
            yield run
        else:
            yield from (run[i : i + 2] for i in range(len(run) - 1))


class Search:
    """An index of documents.

    >>> search = Search({"a": [(3.0, "防災ラジオ"), (1.0, "戸別に配る")], "b": [(3.0, "農業用水の水位")]})
    >>> [hit.id for hit in search("防災の情報")]
    ['a']
    >>> search("林業")
    []
    """

    def __init__(self, documents: Mapping[str, Sequence[tuple[float, str]]], marks: Mapping[str, Iterable[str]] | None = None) -> None:
        """documents: id → (weight, text) of each of its fields; marks: id → what it is about, in names that are no words of a text."""
        self._held: dict[str, dict[str, float]] = defaultdict(dict)
        self._length: dict[str, float] = {}
        for id, fields in documents.items():
            held: dict[str, float] = defaultdict(float)
            for weight, text in fields:
                for token, many in Counter(tokens(text)).items():
                    held[token] += weight * many
            self._length[id] = sum(held.values())
            for token, share in held.items():
                self._held[token][id] = share
            for mark in (marks or {}).get(id, ()):
                self._held[_named(mark)][id] = MARK
        self._mean = sum(self._length.values()) / max(1, len(self._length)) or 1.0

    def __call__(self, query: str, limit: int | None = None, marks: Iterable[str] = ()) -> list[Hit]:
        """The documents that hold something of the query or a mark, best first; equal ones by id. A single character is found inside words, too."""
        score: dict[str, float] = defaultdict(float)
        asked = Counter(tokens(query))
        asked.update(_named(mark) for mark in marks)
        for token, times in asked.items():
            for same in [token] if token in self._held or len(token) > 1 else [other for other in self._held if token in other and not other.isascii()]:
                holders = self._held.get(same, {})
                rare = math.log(1.0 + (len(self._length) - len(holders) + 0.5) / (len(holders) + 0.5))
                for id, many in holders.items():
                    spread = K1 * (1.0 - B + B * self._length[id] / self._mean)
                    score[id] += times * (FAINT if KANA.match(same) else 1.0) * rare * many * (K1 + 1.0) / (many + spread)
        best = sorted(score, key=lambda id: (-score[id], id))
        return [Hit(id, score[id]) for id in best[:limit]]


def _named(mark: str) -> str:
    """A mark among the tokens: two characters at least, and none that a text has."""
    return f"\0{mark}"
