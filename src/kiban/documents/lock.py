"""The lock check (特定の疑い): which clauses of a specification look as if one product or one supplier alone could meet them.

In: clauses, the reasons of data/locks, values of needs, the text of a datasheet. Out: suspicions, each with the words that raised it.
Pure. Nothing found does not mean that a clause is open: whether one product alone complies cannot be known from the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from kiban.base.errors import KibanError
from kiban.records.lock import Hit, Lock, Measure, SpecClause, Suspicion, compiled

MAX_DATASHEET = 500_000  # characters
PHRASE = 14  # characters in a row that a clause and a datasheet share by copying rather than by chance
FAR = 1_000  # a number a thousand times the need, or a thousandth, measures something else
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-") | dict.fromkeys(map(ord, "〜～∼"), "~")
_JOINED = "ﾞﾟ\u3099\u309a"

# Units as they are written in Japanese specifications: the dimension, and the factor to its base unit.
_UNITS: dict[str, tuple[str, float]] = {
    "kbps": ("rate", 1e-3), "Mbps": ("rate", 1.0), "Gbps": ("rate", 1e3), "Mbit/s": ("rate", 1.0), "Gbit/s": ("rate", 1e3), "Mb/s": ("rate", 1.0),
    "メガbps": ("rate", 1.0), "ギガbps": ("rate", 1e3),
    "ms": ("time", 1e-3), "msec": ("time", 1e-3), "ミリ秒": ("time", 1e-3), "秒間": ("time", 1.0), "秒": ("time", 1.0), "sec": ("time", 1.0),
    "s": ("time", 1.0),
    "分間": ("time", 60.0), "分": ("time", 60.0), "min": ("time", 60.0), "時間": ("time", 3600.0), "h": ("time", 3600.0), "日間": ("time", 86400.0),
    "日": ("time", 86400.0), "週間": ("time", 604800.0), "か月": ("time", 2629800.0), "ヶ月": ("time", 2629800.0), "カ月": ("time", 2629800.0),
    "年間": ("time", 31557600.0), "年": ("time", 31557600.0),
    "台": ("count", 1.0), "端末": ("count", 1.0), "人": ("count", 1.0), "名": ("count", 1.0), "箇所": ("count", 1.0), "か所": ("count", 1.0),
    "ヶ所": ("count", 1.0), "カ所": ("count", 1.0), "拠点": ("count", 1.0), "地点": ("count", 1.0), "回線": ("count", 1.0), "局": ("count", 1.0),
    "セッション": ("count", 1.0), "接続": ("count", 1.0), "ユーザー": ("count", 1.0), "ユーザ": ("count", 1.0), "回": ("count", 1.0),
    "%": ("share", 1e-2), "パーセント": ("share", 1e-2),
    "mm": ("length", 1e-3), "cm": ("length", 1e-2), "m": ("length", 1.0), "km": ("length", 1e3), "メートル": ("length", 1.0), "キロメートル": ("length", 1e3),
    "g": ("mass", 1e-3), "kg": ("mass", 1.0), "t": ("mass", 1e3), "キログラム": ("mass", 1.0), "グラム": ("mass", 1e-3),
    "KB": ("bytes", 1e3), "MB": ("bytes", 1e6), "GB": ("bytes", 1e9), "TB": ("bytes", 1e12), "バイト": ("bytes", 1.0), "bytes": ("bytes", 1.0),
    "W": ("power", 1.0), "kW": ("power", 1e3), "Wh": ("energy", 1.0), "kWh": ("energy", 1e3), "mAh": ("charge", 1.0), "Ah": ("charge", 1e3),
    "kHz": ("frequency", 1e-3), "MHz": ("frequency", 1.0), "GHz": ("frequency", 1e3), "画素": ("pixels", 1.0), "ピクセル": ("pixels", 1.0),
    "°C": ("temperature", 1.0), "度": ("temperature", 1.0), "dB": ("level", 1.0), "dBm": ("level", 1.0), "dBi": ("gain", 1.0), "V": ("voltage", 1.0),
}  # fmt: skip
# The same units at the end of a need's name.
_ENDS: dict[str, str] = {
    "kbps": "kbps", "mbps": "Mbps", "gbps": "Gbps", "ms": "ms", "s": "秒", "sec": "秒", "seconds": "秒", "min": "分", "minutes": "分", "h": "時間",
    "hours": "時間", "hour": "時間", "days": "日", "day": "日", "weeks": "週間", "months": "か月", "years": "年", "mm": "mm", "cm": "cm", "m": "m", "km": "km",
    "g": "g", "kg": "kg", "t": "t", "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB", "bytes": "bytes", "w": "W", "kw": "kW", "wh": "Wh", "kwh": "kWh",
    "mah": "mAh", "ah": "Ah", "mhz": "MHz", "ghz": "GHz", "pixels": "画素", "px": "画素", "percent": "%", "pct": "%", "c": "°C", "db": "dB", "dbm": "dBm",
    "dbi": "dBi", "v": "V",
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.,])([0-9]{1,3}(?:,[0-9]{3}){1,4}(?![0-9])|[0-9]{1,12})(\.[0-9]{1,6})?\s?(万|千|百万|億)?\s?("
    + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    + r")(?![A-Za-z])"
)
_TIMES = {"": 1.0, "千": 1e3, "万": 1e4, "百万": 1e6, "億": 1e8}
_SENTENCE = re.compile(r"[^。;\n]{1,4000}")
_LESS = re.compile(r"[^、。0-9]{0,4}?(?:以下|以内|未満|を?超えな|を?超えて?は|を?上回らな|まで)")
_MORE = re.compile(r"[^、。0-9]{0,4}?(?:以上|を?超え|超|を?下回らな|を?上回|を確保)")
_AROUND = re.compile(r"\s?(?:程度|前後|内外|~|±)")
_BEFORE = {"more": re.compile(r"(?:最低|少なくとも|下限)[^、。0-9]{0,6}$"), "less": re.compile(r"(?:最大|最長|上限)[^、。0-9]{0,6}$")}
_ODD_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9-]{0,20}[0-9])(?=[A-Za-z0-9-]{0,20}[A-Za-z])[A-Za-z0-9][A-Za-z0-9-]{4,24}(?![A-Za-z0-9])")


class _Plain(NamedTuple):
    """A text in its half-width form, and for each of its characters the place in the text as given."""

    text: str
    places: tuple[int, ...]

    def hit(self, given: str, start: int, end: int, against: str | None = None) -> Hit:
        """The words as they were given."""
        first, last = self.places[start], self.places[end]
        return Hit(text=given[first:last], start=first, end=last, against=against)


class _Amount(NamedTuple):
    """A number with its unit: dimension, value in the base unit, unit as written, the side that it bounds, where it stands."""

    dimension: str
    value: float
    unit: str
    side: str  # more · less · about · ""
    start: int
    end: int


def check_clauses(
    clauses: Sequence[SpecClause],
    locks: Mapping[str, Lock],
    *,
    needs: Mapping[str, float] | None = None,
    datasheet: str = "",
    whole: bool = False,
) -> tuple[Suspicion, ...]:
    """Every suspicion, in the order of the clauses and of the reasons' ids; those of the whole document last.

    Parameters
    ----------
    clauses    what to look at, each with an id of its own
    locks      the reasons by id (the catalogue's `locks`)
    needs      values of needs by name, for every clause; a clause's own win. Unit by the end of the name: down_mbps, autonomy_h
    datasheet  the text of a datasheet that the user gives; what a clause shares with it literally is told
    whole      True: the clauses are a whole specification, and what none of them says is told as well

    Raises
    ------
    KibanError  the datasheet is longer than 500,000 characters

    Nothing raised means "cannot tell".

    >>> from kiban.catalogue import load
    >>> clause = SpecClause(id="4", text="ルータは○○社製とすること。")
    >>> [(s.reason, s.hits[0].text) for s in check_clauses([clause], load().locks)]
    [('brand', '○○社製')]
    """
    if len(datasheet) > MAX_DATASHEET:
        raise KibanError("datasheet", f"{len(datasheet):,} characters", f"at most {MAX_DATASHEET:,} characters", "give the pages about this product alone")
    plains = [_plain(clause.text) for clause in clauses]
    sheet = _Sheet(datasheet) if datasheet.strip() else None
    said = {id: any(_searches(lock.everywhere, plain.text) for plain in plains) for id, lock in locks.items()}
    found: list[Suspicion] = []
    for clause, plain in zip(clauses, plains, strict=True):
        wanted = {**(needs or {}), **clause.needs}
        for id in sorted(locks):
            lock = locks[id]
            if lock.looks_at == "document" or said[id] or _searches(lock.exceptions, plain.text):
                continue
            hits = _hits(clause, plain, lock, wanted, sheet)
            if hits:
                found.append(Suspicion(clause=clause.id, reason=id, hits=hits, advice=lock.advice))
    if whole and clauses:
        for id in sorted(locks):
            lock = locks[id]
            if lock.looks_at == "document" and not any(_searches(lock.patterns, plain.text) for plain in plains):
                found.append(Suspicion(clause=None, reason=id, hits=(), advice=lock.advice))
    return tuple(found)


def _hits(clause: SpecClause, plain: _Plain, lock: Lock, needs: Mapping[str, float], sheet: _Sheet | None) -> tuple[Hit, ...]:
    """What one reason finds in one clause."""
    spans: list[tuple[int, int, str | None]] = [(start, end, None) for start, end in _matches(lock, plain.text)]
    if lock.looks_at == "number":
        spans += _narrower(plain.text, lock.measures, needs)
    elif lock.looks_at == "datasheet" and sheet is not None:
        spans += sheet.shared(plain.text, needs)
    elif lock.looks_at == "origin" and clause.origin == "rfi" and clause.answers == 1:
        spans.append((0, len(plain.text), None))
    safe = [match.span() for pattern in lock.harmless for match in compiled(pattern).finditer(plain.text)] if spans else []
    kept = sorted({span for span in spans if not any(span[0] < end and start < span[1] for start, end in safe)})
    # Of two hits at one place the longer one says it; an empty clause out of one answer has nothing to quote.
    outer = [span for span in kept if not any(other[:2] != span[:2] and other[0] <= span[0] and span[1] <= other[1] for other in kept)]
    return tuple(plain.hit(clause.text, *span) for span in outer)


def _matches(lock: Lock, text: str) -> Iterator[tuple[int, int]]:
    """Where the patterns and names of a reason stand."""
    for pattern in lock.patterns:
        for match in compiled(pattern).finditer(text):
            yield match.span()
    for search in _names(lock.product_names):
        for match in search.finditer(text):
            yield match.span()


@cache
def _names(names: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Searches for whole names: short Latin ones as written, the others in any case; a name inside a longer word is none."""
    exact = [name for name in names if len(name) <= 4 or not name.isascii()]
    loose = [name for name in names if name not in exact]
    searches = []
    for group, flags in ((exact, 0), (loose, re.IGNORECASE)):
        if group:
            words = "|".join(re.escape(name) for name in sorted(group, key=len, reverse=True))
            # Latin names end at letters, names in kana at kana; kanji have no such border.
            before, after = r"(?<![A-Za-z0-9])(?:(?<![ァ-ヴー])|(?![ァ-ヴー]))", r"(?:(?<![A-Za-z])|(?![A-Za-z]))(?:(?<![ァ-ヴー])|(?![ァ-ヴー]))"
            searches.append(re.compile(f"{before}(?:{words}){after}", flags))
    return tuple(searches)


def _searches(patterns: Iterable[str], text: str) -> bool:
    return any(compiled(pattern).search(text) for pattern in patterns)


def _plain(text: str) -> _Plain:
    """The half-width form of a text, character by character, so that every place of it leads back to the text as given."""
    parts: list[str] = []
    places: list[int] = []
    index = 0
    while index < len(text):
        size = 2 if index + 1 < len(text) and text[index + 1] in _JOINED else 1
        part = unicodedata.normalize("NFKC", text[index : index + size].translate(_DASHES)).translate(_DASHES)
        part = " " if part.isspace() and part != "\n" else part
        parts.append(part)
        places += [index] * len(part)
        index += size
    return _Plain("".join(parts), (*places, len(text)))


def _amounts(text: str) -> list[_Amount]:
    """Every number with a unit."""
    amounts = []
    for match in _NUMBER.finditer(text):
        dimension, factor = _UNITS[match[4]]
        value = float(match[1].replace(",", "") + (match[2] or "")) * _TIMES[match[3] or ""] * factor
        amounts.append(_Amount(dimension, value, match[4], _side(text, *match.span()), *match.span()))
    return amounts


def _side(text: str, start: int, end: int) -> str:
    """Whether a number is the least or the most that is asked."""
    if _AROUND.match(text, end):
        return "about"
    if _LESS.match(text, end):
        return "less"
    if _MORE.match(text, end):
        return "more"
    before = text[max(0, start - 12) : start]
    return next((side for side, search in _BEFORE.items() if search.search(before)), "")


def _narrower(text: str, measures: Sequence[Measure], needs: Mapping[str, float]) -> list[tuple[int, int, str | None]]:
    """Numbers that ask more than the need, by their place, with the need that they exceed."""
    if not needs:
        return []
    spans: list[tuple[int, int, str | None]] = []
    known = {name for measure in measures for name in measure.needs}
    for sentence in _SENTENCE.finditer(text):
        for amount in _amounts(sentence[0]):
            beside = _beside(sentence[0], amount, measures)
            for name, value in needs.items():
                better = _direction(name, amount, beside, measures) if name in known else _same_kind(name, amount, beside)
                wanted = _base(name, value)
                if better is None or wanted is None or wanted[0] != amount.dimension:
                    continue
                if name not in known and not wanted[1] / FAR <= amount.value <= wanted[1] * FAR:
                    continue
                if (amount.value > wanted[1] * (1 + 1e-9)) if better == "more" else (amount.value < wanted[1] * (1 - 1e-9)):
                    spans.append((sentence.start() + amount.start, sentence.start() + amount.end, f"{name}={value:g}"))
    return spans


def _beside(sentence: str, amount: _Amount, measures: Sequence[Measure]) -> Measure | None:
    """The measure whose word stands nearest before the number, else shortly after it."""
    before: list[tuple[int, int, int]] = []
    after: list[tuple[int, int, int]] = []
    for index, measure in enumerate(measures):
        if (_ENDS.get(measure.unit.lower()) or measure.unit) not in _UNITS or _UNITS[_ENDS.get(measure.unit.lower(), measure.unit)][0] != amount.dimension:
            continue
        for word in measure.beside:
            place = sentence.rfind(word, 0, amount.start)
            if place >= 0:
                before.append((place + len(word), len(word), -index))
            place = sentence.find(word, amount.end, amount.end + 24)
            if place >= 0:
                after.append((-place, len(word), -index))
    nearest = max(before or after, default=None)
    return None if nearest is None else measures[-nearest[2]]


def _direction(name: str, amount: _Amount, beside: Measure | None, measures: Sequence[Measure]) -> str | None:
    """Which side of a need of a known measure is the harder one, or None where the number is not about it."""
    measure = beside if beside is not None else next((each for each in measures if name in each.needs and not each.only_beside), None)
    if measure is None or name not in measure.needs or amount.side not in ("", measure.better):
        return None
    # Without its word beside it, a number counts only in the unit of the need.
    return measure.better if beside is not None or _ENDS.get(measure.unit.lower(), measure.unit) == amount.unit or amount.dimension == "rate" else None


def _same_kind(name: str, amount: _Amount, beside: Measure | None) -> str | None:
    """For a need that no measure knows: the side that the clause itself bounds, if unit and size are alike."""
    unit = _unit(name)
    if amount.side not in ("more", "less") or (beside is not None and unit != amount.unit):
        return None
    return amount.side


def _unit(name: str) -> str:
    """The unit that the end of a need's name tells; 台 for a count."""
    return "%" if name == "availability" else _ENDS.get(name.lower().rpartition("_")[2], "台")


def _base(name: str, value: float) -> tuple[str, float] | None:
    """The dimension of a need and its value in the base unit; None for what flows in a time (mb_per_day)."""
    if "_per_" in name:
        return None
    dimension, factor = _UNITS[_unit(name)]
    share = dimension == "share" and value <= 1
    return dimension, value if share else value * factor


class _Sheet:
    """A datasheet, made ready for many clauses."""

    def __init__(self, text: str) -> None:
        plain = _plain(text).text
        self.amounts = {(amount.dimension, round(amount.value, 9)) for amount in _amounts(plain)}
        self.tokens = {match[0].lower() for match in _ODD_TOKEN.finditer(plain)}
        bare = "".join(plain.split())
        self.runs = {bare[start : start + PHRASE] for start in range(len(bare) - PHRASE + 1)}

    def shared(self, text: str, needs: Mapping[str, float]) -> list[tuple[int, int, str | None]]:
        """Numbers, model-like words and runs of words that stand in both; a number that the need itself asks is no copy."""
        asked = {(base[0], round(base[1], 9)) for base in (_base(name, value) for name, value in needs.items()) if base}
        spans: list[tuple[int, int, str | None]] = []
        for amount in _amounts(text):
            key = (amount.dimension, round(amount.value, 9))
            if key in self.amounts and key not in asked:
                spans.append((amount.start, amount.end, "datasheet"))
        spans += [(*match.span(), "datasheet") for match in _ODD_TOKEN.finditer(text) if match[0].lower() in self.tokens]
        kept = [place for place, sign in enumerate(text) if not sign.isspace()]
        bare = "".join(text[place] for place in kept)
        start = 0
        while start + PHRASE <= len(bare):
            if bare[start : start + PHRASE] not in self.runs:
                start += 1
                continue
            end = start + PHRASE
            while end < len(bare) and bare[end - PHRASE + 1 : end + 1] in self.runs:
                end += 1
            spans.append((kept[start], kept[end - 1] + 1, "datasheet"))
            start = end
        return spans
