"""Times and durations: what the calendar of the standard library says, and what RFC 3339 and ISO 8601 do not allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.linkage.broker import times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
OFFSETS = st.just(0) | st.integers(-23 * 60 - 59, 23 * 60 + 59)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(MOMENTS, OFFSETS, st.integers(0, 9), st.sampled_from("Tt"))
def test_every_moment_is_read_as_the_standard_library_reads_it(moment, offset, digits, letter):
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    fraction = f"{local.microsecond:06}000"[:digits]
    zone = "Z" if offset == 0 else f"{'+' if offset >= 0 else '-'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    text = local.strftime(f"%Y-%m-%d{letter}%H:%M:%S").rjust(19, "0") + (f".{fraction}" if fraction else "") + zone
    cut = 10 ** (6 - min(digits, 6))
    assert times.parse(text) == microseconds(moment) // cut * cut


@given(MOMENTS)
def test_what_is_written_is_read_again(moment):
    us = microseconds(moment)
    assert times.parse(times.border(us)) == us
    assert times.parse(times.text(us)) == us // 1000 * 1000
    assert len(times.text(us)) == 24
    assert times.moment(us) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-27", "20:10:00Z", "2026-11-27T20:10:00", "2026-11-27 20:10:00Z", "2026-11-27T20:10Z", "2026-11-27T24:00:00Z", "2026-02-29T00:00:00Z"),
        *(
            "2026-11-27T20:10:00.Z",
            "2026-11-27T20:60:00Z",
            "2026-11-27T20:10:61Z",
            "2026-11-27T20:10:60+24:00",
            "0000-01-01T00:00:00Z",
            " 2026-11-27T20:10:00Z",
        ),
        *("2026-11-27T20:10:00Z\n", "２０２６-11-27T20:10:00Z", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "", "now", "20261127T201000Z"),
    ],
)
def test_what_is_no_date_time_is_refused(text):
    assert not times.is_datetime(text)
    with pytest.raises(ValueError):
        times.parse(text)


def test_a_leap_second_is_the_first_of_the_next_minute():
    assert times.parse("2016-12-31T23:59:60Z") == times.parse("2017-01-01T00:00:00Z")
    assert not times.is_datetime("2016-12-31T23:58:60Z")


def test_digits_behind_the_sixth_are_cut():
    assert times.parse("2026-01-01T00:00:00.1234569999Z") == times.parse("2026-01-01T00:00:00.123456Z")


@pytest.mark.parametrize("value", [None, 5, ["2026-01-01T00:00:00Z"], {"@value": "2026-01-01T00:00:00Z"}])
def test_only_texts_are_times(value):
    assert not any(check(value) for check in (times.is_datetime, times.is_date, times.is_time))


def test_now_is_written_and_read_without_loss():
    before = times.now_us()
    now = times.parse(times.now())
    assert before <= now <= times.now_us()


@pytest.mark.parametrize(
    ("text", "months", "us"),
    [
        ("PT1H", 0, 3_600_000_000),
        ("P1D", 0, 86_400_000_000),
        ("P2W", 0, 14 * 86_400_000_000),
        ("P1Y2M", 14, 0),
        ("P1Y2M3DT4H5M6.5S", 14, ((3 * 24 + 4) * 3600 + 5 * 60 + 6) * 1_000_000 + 500_000),
        ("PT0S", 0, 0),
        ("PT90M", 0, 5_400_000_000),
        ("PT0.0000019S", 0, 1),
    ],
)
def test_durations_are_months_and_microseconds(text, months, us):
    assert times.duration(text) == (months, us)
    assert times.duration(text).empty == (months == us == 0)


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "P1H", "PT1D", "PT1H30", "P-1D", "-P1D", "P1.5D", "P1DT", "PT１H", "P1D ", "P99999999999Y", "PT1S1M"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError):
        times.duration(text)


@given(MOMENTS, st.integers(0, 10**12), st.integers(1, 5))
def test_fixed_steps_are_sums(moment, step, count):
    us = microseconds(moment)
    if us + step * count < microseconds(datetime(9999, 12, 31, tzinfo=UTC)):
        assert times.add(us, times.Duration(0, step), count) == us + step * count


@given(MOMENTS, st.integers(1, 400), st.integers(1, 5))
def test_steps_of_months_keep_the_day_or_take_the_last_one(moment, months, count):
    year, month = divmod(moment.year * 12 + moment.month - 1 + months * count, 12)
    if year > 9999:
        with pytest.raises(ValueError):
            times.add(microseconds(moment), times.Duration(months, 0), count)
        return
    after = times.moment(times.add(microseconds(moment), times.Duration(months, 0), count))
    assert (after.year, after.month, after.time()) == (year, month + 1, moment.time())
    assert after.day == moment.day or (after.day < moment.day and (after + timedelta(days=1)).month != after.month if (year, month) != (9999, 11) else True)
