import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.core.errors import BadRequest
from runcast.core.times import (
    format_duration,
    format_time,
    parse_duration,
    parse_since,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5+00:00", 1_500_000),
        ("2026-11-21T08:57:30.123456Z", 1_795_251_450_123_456),
        ("2026-11-21T10:57:30.123456+02:00", 1_795_251_450_123_456),
    ],
)
def test_a_time_with_an_offset_is_read_in_microseconds(text, micros):
    assert parse_time(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-21T08:57:30", "yesterday", "", "2026-13-01T00:00:00Z"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_a_time_without_an_offset_or_sense_is_refused(text):
    with pytest.raises(BadRequest, match="since"):
        parse_time(text, "since")


@given(st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999))
def test_times_are_written_in_milliseconds_and_read_back(micros):
    text = format_time(micros)

    assert text.endswith("Z")
    assert parse_time(text) == micros // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), (2.5, 2.5), ("3", 3)],
)
def test_durations_are_read_with_their_unit(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1 h 2", "nan", "inf"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadRequest, match="such as 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("15m", 5_000_000_000 - 900_000_000),
        ("1.5", 5_000_000_000 - 1_500_000),
        ("0s", 5_000_000_000),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("9" * 400, -62_135_596_800_000_000),
        ("9999999999d", -62_135_596_800_000_000),
    ],
)
def test_since_is_a_time_or_so_long_ago(text, micros):
    assert parse_since(text, 5_000_000_000) == micros


@pytest.mark.parametrize("text", ["", "-15m", "yesterday", "2026-11-21", "2026-11-21T08:57:30"])
def test_since_that_is_neither_is_refused(text):
    with pytest.raises(BadRequest, match=r"since: must be .* or a duration"):
        parse_since(text, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (154, "2m 34s"),
        (3900, "1h 5m"),
        (45, "45s"),
        (0.34, "0.3s"),
        (0, "0.0s"),
        (3600, "1h"),
        (90_061, "1d 1h"),
        (86_405, "1d"),
        (-1, "0.0s"),
    ],
)
def test_durations_are_shown_in_their_two_largest_units(seconds, text):
    assert format_duration(seconds) == text
