"""Numbers of people as people write them, alone and inside a sentence.

In: text. Out: whole numbers.
"""

from __future__ import annotations

import re
import unicodedata

MOST = 50_000_000  # people
DIGITS = str.maketrans("〇一二三四五六七八九", "0123456789")
NUMBER = r"[0-9〇一二三四五六七八九,.]*[万千]?[0-9〇一二三四五六七八九,.]*千?"
SAID = re.compile(rf"人口\s*(?:は|が|約|およそ|[:=])*\s*({NUMBER})\s*人?(?:くらい|ぐらい|程度|規模|前後|ほど)?(?:の[市町村](?!民|内|営|長|議|税))?")


def number_of(text: str) -> int | None:
    """A number of people as people write it; None when it is none.

    >>> [number_of(text) for text in ("8,000人", "８０００", "1万2千", "8 000", "五千人", "1.2万", "many", "0", "-3")]
    [8000, 8000, 12000, 8000, 5000, 12000, None, None, None]
    """
    rest = "".join(unicodedata.normalize("NFKC", text).translate(DIGITS).replace("人", "").replace(",", "").split())
    total = 0.0
    for mark, times in (("万", 10_000), ("千", 1_000)):
        head, found, tail = rest.partition(mark)
        if found:
            if not _plain(head):
                return None
            total, rest = total + float(head) * times, tail
    if rest and not rest.isdecimal():
        return None
    total += int(rest) if rest else 0
    return round(total) if 0 < total <= MOST else None


def size_in(sentence: str) -> tuple[str, int | None]:
    """The sentence without the size of a town that it states, and that size; None when it states none.

    >>> size_in("人口８千人ぐらいの町のバス")
    ('のバス', 8000)
    >>> size_in("人口が減った町")
    ('人口が減った町', None)
    """
    text = unicodedata.normalize("NFKC", sentence)
    for found in SAID.finditer(text):
        people = number_of(found.group(1))
        if people is not None:
            return text[: found.start()] + text[found.end() :], people
    return sentence, None


def _plain(text: str) -> bool:
    whole, _, part = text.partition(".")
    return whole.isdecimal() and (not part or part.isdecimal())
