"""Japanese fiscal years (年度, April to March) and era years (和暦)."""

from __future__ import annotations

import re
from datetime import date


def fiscal_year(day: date) -> int:
    """The 年度 that a day lies in.

    >>> fiscal_year(date(2027, 3, 31)), fiscal_year(date(2027, 4, 1))
    (2026, 2027)
    """
    return day.year if day.month >= 4 else day.year - 1


def fiscal_year_end(day: date) -> date:
    """The last day of the 年度 that a day lies in.

    >>> fiscal_year_end(date(2026, 11, 23)), fiscal_year_end(date(2027, 3, 31))
    (datetime.date(2027, 3, 31), datetime.date(2027, 3, 31))
    """
    return date(fiscal_year(day) + 1, 3, 31)


_ERAS = ((2019, "令和", "R"), (1989, "平成", "H"), (1926, "昭和", "S"))


def era_year(year: int, *, short: bool = False) -> str:
    """A year in 和暦; the first year is 元年.

    >>> era_year(2026), era_year(2019), era_year(2014, short=True)
    ('令和8年', '令和元年', 'H26')
    """
    for start, name, letter in _ERAS:
        if year >= start:
            count = year - start + 1
            return f"{letter}{count}" if short else f"{name}{'元' if count == 1 else count}年"
    raise ValueError(f"no era name before 1926 is used here: {year}")


def era_day(day: date) -> str:
    """A day in 和暦.

    >>> era_day(date(2026, 11, 27)), era_day(date(2019, 5, 1))
    ('令和8年11月27日', '令和元年5月1日')
    """
    year = "平成31年" if date(2019, 1, 1) <= day < date(2019, 5, 1) else era_year(day.year)
    return f"{year}{day.month}月{day.day}日"


_SPANNED = re.compile(r"(?<!\d)((?:19|20)\d{2})(?!\d|年代)(?:年|-(\d{2})(?!\d)(?:-(\d{2})(?!\d))?)?")


def era_span(text: str) -> str:
    """A period written with years, months and days in figures, in 和暦: what else stands there stays.

    >>> era_span("2018-2019"), era_span("2024-01-2026-01(14拠点の整備予定)"), era_span("2020-")
    ('平成30年〜令和元年', '令和6年1月〜令和8年1月(14拠点の整備予定)', '令和2年〜')
    >>> era_span("2019-01-継続(2027年度に有料)"), era_span("2023-05-(2023-10-29事故で停止)"), era_span("2020年代(年は未確認)")
    ('平成31年1月〜継続(令和9年度に有料)', '令和5年5月〜(令和5年10月29日事故で停止)', '2020年代(年は未確認)')
    """

    def said(found: re.Match[str]) -> str:
        year, month, day = int(found[1]), int(found[2] or 0), int(found[3] or 0)
        first = "平成31年" if year == 2019 and 1 <= month <= 4 else era_year(year)
        return first + (f"{month}月" if month else "") + (f"{day}日" if day else "")

    return _SPANNED.sub(said, text).replace("-", "〜")


_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def day_text(day: date, lang: str) -> str:
    """A day as people of a language write it.

    >>> day_text(date(2026, 11, 27), "ja"), day_text(date(2026, 11, 27), "en")
    ('令和8年11月27日', '27 November 2026')
    """
    return era_day(day) if lang == "ja" else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
