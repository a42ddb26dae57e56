"""Times of NGSI-LD: RFC 3339 texts, whole microseconds since 1970-01-01T00:00:00Z, and ISO 8601 durations.

>>> text(parse("2026-11-27T20:10:00+09:00"))
'2026-11-27T11:10:00.000Z'
"""

from __future__ import annotations

import calendar
import re
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

SECOND = 1_000_000
DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_LAST = (date(9999, 12, 31).toordinal() - _EPOCH + 1) * DAY - 1
_FIRST = (1 - _EPOCH) * DAY
# ASCII digits only: \d also takes full-width ones, which no other reader of the same text would.
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_HOURS = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
_ZONE = r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))"
_TIME = re.compile(_HOURS + _ZONE + r"?\Z")
_DATETIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]" + _HOURS + _ZONE + r"\Z")
# The form that nearly every time has: checked here, read by the standard library, which alone would take other forms, too.
_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z").match
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)W)?(?:([0-9]+)D)?"
    r"(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(?:[.,]([0-9]{1,6})[0-9]*)?S)?)?\Z"
)


def _micro(fraction: str | None) -> int:
    """Digits after the point of a second as µs, cut (not rounded) behind the sixth."""
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _shown(hour: int, minute: int, second: int) -> bool:
    """Whether a clock shows this; 24:00:00 is said as 00:00:00 of the next day, and a leap second is legal."""
    return hour < 24 and minute < 60 and (second < 60 or (second == 60 and minute == 59))


def parse(value: str) -> int:
    """An RFC 3339 date-time as µs since 1970; digits beyond the sixth of a second are cut.

    A leap second counts as the first of the next minute. Raises ValueError for anything else: a date alone, a time without
    a zone, a day that the calendar does not have.

    >>> parse("1970-01-01T00:00:01.5Z"), parse("1970-01-01T09:00:00.0000019+09:00")
    (1500000, 1)
    """
    if _PLAIN(value):
        try:
            since = datetime.fromisoformat(value) - _ZERO
        except ValueError:
            pass  # a leap second, or a reason to be told below
        else:
            return since.days * DAY + since.seconds * SECOND + since.microseconds
    found = _DATETIME.match(value)
    if found is None:
        raise ValueError(f"found {value[:60]!r}; expected a date-time such as 2026-11-27T20:10:00Z")
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = found.groups()
    hours, minutes, seconds = int(hour), int(minute), int(second)
    if not _shown(hours, minutes, seconds):
        raise ValueError(f"found the time {hour}:{minute}:{second}; expected at most 23:59:59")
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    us = ((days * 24 + hours) * 60 + minutes) * 60 * SECOND + seconds * SECOND + (_micro(fraction) if fraction else 0)
    if sign:
        if int(zone_hour) > 23 or int(zone_minute) > 59:
            raise ValueError(f"found the offset {sign}{zone_hour}:{zone_minute}; expected at most 23:59")
        offset = (int(zone_hour) * 60 + int(zone_minute)) * 60 * SECOND
        us += -offset if sign == "+" else offset
        if not _FIRST <= us <= _LAST:
            raise ValueError(f"found {value[:60]!r}; expected a time that is in the years 1 to 9999 in UTC")
    return min(us, _LAST)


# Times that the broker wrote itself: one instant stands in all that is written in a millisecond.
parse_own = lru_cache(256)(parse)


@lru_cache(256)
def _to_second(seconds: int) -> str:
    """Seconds since 1970 as date and time; a busy broker writes the same second thousands of times."""
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"


def text(us: int) -> str:
    """µs since 1970 as UTC with three digits of a second (cut): what the broker writes into createdAt and the like.

    >>> text(1_500_000)
    '1970-01-01T00:00:01.500Z'
    """
    seconds, rest = divmod(us, SECOND)
    return f"{_to_second(seconds)}.{rest // 1000:03}Z"


def border(us: int) -> str:
    """µs since 1970 as UTC with a fraction only where there is one: the borders of aggregated periods.

    >>> border(3_600_000_000), border(1_500_000), border(1)
    ('1970-01-01T01:00:00Z', '1970-01-01T00:00:01.5Z', '1970-01-01T00:00:00.000001Z')
    """
    seconds, rest = divmod(us, SECOND)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{_to_second(seconds)}{fraction}Z"


def now_us() -> int:
    """The time now, in whole milliseconds, as µs since 1970: `text` gives it back without loss."""
    return time.time_ns() // 1_000_000 * 1000


def now() -> str:
    """The time now, as the broker writes it."""
    return text(now_us())


def is_datetime(value: object) -> bool:
    """Whether `parse` takes it.

    >>> is_datetime("2026-11-27T20:10:00Z"), is_datetime("2026-11-27")
    (True, False)
    """
    if not isinstance(value, str):
        return False
    try:
        parse(value)
    except ValueError:
        return False
    return True


def is_date(value: object) -> bool:
    """Whether it is a calendar date such as 2026-11-27.

    >>> is_date("2024-02-29"), is_date("2026-02-29")
    (True, False)
    """
    found = _DATE.match(value) if isinstance(value, str) else None
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    return year > 0 and 0 < month < 13 and 0 < day <= calendar.monthrange(year, month)[1]


def is_time(value: object) -> bool:
    """Whether it is a time of day such as 20:10:00, with or without fraction and zone.

    >>> is_time("20:10:00Z"), is_time("20:10:00.5+09:00"), is_time("24:00:00")
    (True, True, False)
    """
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None:
        return False
    hour, minute, second, _, sign, zone_hour, zone_minute = found.groups()
    return _shown(int(hour), int(minute), int(second)) and not (sign and (int(zone_hour) > 23 or int(zone_minute) > 59))


class Duration(NamedTuple):
    """An ISO 8601 duration: calendar months, and a fixed time in µs (a day has 24 hours, as UTC has no other)."""

    months: int
    us: int

    @property
    def empty(self) -> bool:
        """Whether nothing passes: P0D, or PT0S, which the temporal aggregation takes as 'the whole interval'."""
        return not (self.months or self.us)


def duration(value: str) -> Duration:
    """An ISO 8601 duration such as PT1H, P1D, P2W or P1Y2MT30S. Raises ValueError.

    >>> duration("P1Y2M"), duration("PT1H0.5S")
    (Duration(months=14, us=0), Duration(months=0, us=3600500000))
    """
    found = _DURATION.match(value)
    if found is None or max(map(len, (part for part in found.groups() if part)), default=0) > 9:
        raise ValueError(f"found {value[:60]!r}; expected an ISO 8601 duration such as PT1H, P1D or P1Y2M")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:7])
    return Duration(years * 12 + months, (weeks * 7 + days) * DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND + _micro(found[8]))


def add(us: int, step: Duration, times: int = 1) -> int:
    """The time `times` steps later. Months keep the day of the month, or take the last one where the month is shorter.

    Counted from the first border, so that P1M from 31 January gives 28 February and then 31 March. Raises ValueError
    behind the year 9999.

    >>> border(add(parse("2026-01-31T00:00:00Z"), duration("P1M"), 2)), border(add(parse("2026-01-31T00:00:00Z"), duration("P1M")))
    ('2026-03-31T00:00:00Z', '2026-02-28T00:00:00Z')
    """
    if step.months:
        days, rest = divmod(us, DAY)
        start = date.fromordinal(days + _EPOCH)
        year, month = divmod(start.year * 12 + start.month - 1 + step.months * times, 12)
        if not 1 <= year <= 9999:
            raise ValueError(f"found the year {year}; expected 1 to 9999")
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        us = (date(year, month + 1, day).toordinal() - _EPOCH) * DAY + rest
    us += step.us * times
    if not _FIRST <= us <= _LAST:
        raise ValueError("found a time outside the years 1 to 9999")
    return us


def moment(us: int) -> datetime:
    """µs since 1970 as an aware datetime, for database drivers.

    >>> moment(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return _ZERO + timedelta(microseconds=us)
