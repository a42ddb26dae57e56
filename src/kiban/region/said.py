"""Values as people write them in tables: 「約300人」, 「２，３４０」, 「平成22年度」, 「37度18分」, ○ and ✓.

In: the text of a cell. Out: a value, and a word for how freely it was read ("" where nothing was guessed). What cannot be read raises ValueError with
one of the words of `TROUBLE`; the pages have a sentence for each.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import date

from kiban.region.cells import EMPTY

TROUBLE = ("number", "negative", "whole", "two_numbers", "day", "year", "degrees", "mark")
_ERAS = {"明治": 1867, "m": 1867, "大正": 1911, "t": 1911, "昭和": 1925, "s": 1925, "平成": 1988, "h": 1988, "令和": 2018, "r": 2018}
_ERA = "|".join(sorted(_ERAS, key=len, reverse=True))
_ABOUT = re.compile(r"^(?:約|およそ|ほぼ|概ね|おおむね|計)|(?:程度|ほど|前後|余り|余|弱|強|位|くらい|以上|見込|\(概数\)|概数)$")
_UNIT = re.compile(r"(?:人|名|世帯|戸|台|棟|か所|箇所|m|メートル|時間|h|円|%|ha|km2?|㎡|歳|件|床|基|局)$")
_YES = frozenset(
    {"○", "〇", "◯", "◎", "●", "1", "1.0", "✓", "✔", "☑", "レ", "有", "有り", "あり", "yes", "true", "はい", "対応", "該当", "可", "指定", "済", "v"}
)
_NO = frozenset(
    {"", "×", "✕", "✗", "x", "0", "0.0", "無", "無し", "なし", "no", "false", "いいえ", "非対応", "該当なし", "非該当", "不可", "-", "－", "―", "—", "ー", "/"}
)


def flat(text: str) -> str:
    """A cell without differences of width and without blanks at its ends.

    >>> flat("　２，３４０ ")
    '2,340'
    """
    return unicodedata.normalize("NFKC", text).strip()


def empty(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return flat(text) in EMPTY or text.strip() in EMPTY


def number(text: str) -> tuple[float | None, str]:
    """A number from its cell; the word is "about" or "unit" where the cell said more than a number. None: the cell says that there is none.

    >>> number("２，３４０"), number("約300"), number("300人"), number("不明")
    ((2340.0, ''), (300.0, 'about'), (300.0, 'unit'), (None, ''))
    >>> number("屋内480人／屋外3,350人")
    Traceback (most recent call last):
    ValueError: two_numbers
    """
    if empty(text):
        return None, ""
    plain = re.sub(r"\s", "", flat(text))
    said = ""
    while (shorter := _ABOUT.sub("", plain)) != plain:
        plain, said = shorter, "about"
    if (shorter := _UNIT.sub("", plain)) != plain:
        plain, said = shorter, said or "unit"
    while (shorter := _ABOUT.sub("", plain)) != plain:
        plain, said = shorter, "about"
    plain = re.sub(r"^[▲△−]", "-", plain)
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?", plain, re.IGNORECASE | re.ASCII):
        raise ValueError("two_numbers" if len(re.findall(r"\d+(?:[.,]\d+)*", plain)) > 1 else "number")
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError("number")
    return value, said


def count(text: str) -> tuple[int | None, str]:
    """A count from 0 on, whole.

    >>> count("300人程度")
    (300, 'about')
    """
    value, said = number(text)
    if value is None:
        return None, said
    if value < 0:
        raise ValueError("negative")
    if value != int(value):
        raise ValueError("whole")
    return int(value), said


def year(text: str) -> tuple[int | None, str]:
    """A calendar year or 年度: 2010, 2010年度, 平成22年度, H22, H22.3.31, 2010-04-01.

    >>> year("平成２２年度"), year("H22"), year("2010"), year("令和元年")
    ((2010, 'era'), (2010, 'era'), (2010, ''), (2019, 'era'))
    """
    if empty(text):
        return None, ""
    plain = re.sub(r"\s", "", flat(text)).lower()
    era = re.match(rf"({_ERA})\.?(\d{{1,2}}|元)(?=$|年|[./\-])", plain)
    if era:
        return _ERAS[era[1]] + (1 if era[2] == "元" else int(era[2])), "era"
    found = re.fullmatch(r"(\d{4})(?:年度?|[-/.年]\d{1,2}(?:[-/.月](?:\d{1,2}日?)?)?(?:00:00)?)?", plain, re.ASCII)
    if not found:
        raise ValueError("year")
    return int(found[1]), ""


def day(text: str) -> tuple[date | None, str]:
    """A day: 2027-03-31, 2027/3/31, 令和9年3月31日, R9.3.31.

    >>> day("令和９年３月３１日")[0] == day("2027/3/31")[0] == date(2027, 3, 31), day("S22.4.1")
    (True, (datetime.date(1947, 4, 1), 'era'))
    """
    if empty(text):
        return None, ""
    plain = re.sub(r"\s", "", re.sub(r"[ T]\d{1,2}:\d\d(:\d\d)?$", "", flat(text))).lower()
    found = re.fullmatch(rf"({_ERA})?\.?(\d{{1,4}}|元)[-/.年](\d{{1,2}})[-/.月](\d{{1,2}})日?(?:まで)?", plain, re.ASCII)
    if found is None or (not found[1] and len(found[2]) != 4) or (found[1] and len(found[2]) > 2):
        raise ValueError("day")
    try:
        return date((1 if found[2] == "元" else int(found[2])) + (_ERAS[found[1]] if found[1] else 0), int(found[3]), int(found[4])), "era" if found[1] else ""
    except ValueError as error:
        raise ValueError("day") from error


def degrees(text: str) -> tuple[float | None, str]:
    """A latitude or longitude in degrees, from decimals or from degrees, minutes and seconds.

    >>> degrees("３７．３１"), degrees("北緯37度18分36秒"), degrees("137°8'52\\"E")
    ((37.31, ''), (37.31, 'dms'), (137.147778, 'dms'))
    """
    if empty(text):
        return None, ""
    plain = re.sub(r"\s", "", flat(text))
    plain = re.sub(r"^(?:北緯|東経|[NE])|[NE]$", "", plain, flags=re.IGNORECASE)
    found = re.fullmatch(r"(\d{1,3})[度°](\d{1,2})[分'′’](?:(\d{1,2}(?:\.\d+)?)(?:秒|[\"″”]|''|′′|’’)?)?", plain, re.ASCII)
    if found:
        minutes, seconds = int(found[2]), float(found[3] or 0)
        if minutes > 59 or seconds >= 60:
            raise ValueError("degrees")
        return round(int(found[1]) + minutes / 60 + seconds / 3600, 6), "dms"
    try:
        value, _ = number(re.sub(r"[度°]$", "", plain))
    except ValueError as error:
        raise ValueError("degrees") from error
    return value, ""


def mark(text: str) -> bool:
    """Whether a cell is marked: ○, ◎, 1, ✓, 有 … or ×, 0, 無, nothing.

    >>> mark("○"), mark("１"), mark("×"), mark("")
    (True, True, False, False)
    """
    plain = flat(text).lower()
    if plain in _YES or text.strip() in _YES:
        return True
    if plain in _NO or text.strip() in _NO:
        return False
    raise ValueError("mark")
