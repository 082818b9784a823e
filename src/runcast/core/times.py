"""Times: microseconds since the epoch inside, RFC 3339 with milliseconds and Z outside."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from runcast.core.errors import BadRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(-62_135_596_800_000_000, 253_402_300_800_000_000)  # 1 to 9999, all that has a text
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?", re.ASCII)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def format_time(micros: int) -> str:
    """Write µs since the epoch as `2026-11-21T08:57:30.123Z`; the rest of the µs is cut off."""
    return f"{_format_second(micros // 1_000_000)}.{micros // 1000 % 1000:03d}Z"


@lru_cache(maxsize=64)
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def parse_time(text: str, what: str = "time") -> int:
    """Read an RFC 3339 time that has an offset as µs since the epoch, else raise BadRequest."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest("bad_request", f"{what} is not an RFC 3339 time: {text!r}") from None
    if moment.tzinfo is None:
        raise BadRequest("bad_request", f"{what} needs an offset, such as Z: {text!r}")
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    if micros not in _YEARS:
        raise BadRequest("bad_request", f"{what} must lie in the years 1 to 9999: {text!r}")
    return micros


def parse_duration(text: str | float, what: str = "duration") -> float:
    """Read seconds, or a text such as `90s`, `15m`, `12h`, `7d`, as seconds."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise BadRequest(
            "bad_request", f"{what} is not a duration such as 90s, 15m, 12h or 7d: {text!r}"
        )
    return float(match[1]) * _UNIT_SECONDS[match[2] or "s"]


def parse_since(text: str, now: int, what: str = "since") -> int:
    """Read an RFC 3339 time, or a duration before `now` (µs), as µs since the epoch."""
    if _DURATION.fullmatch(text) is None:
        try:
            return parse_time(text, what)
        except BadRequest:
            problem = "must be an RFC 3339 time with an offset, or a duration such as 15m"
            raise BadRequest.of(what, problem) from None
    return now - round(min(parse_duration(text, what) * 1e6, now - _YEARS.start))


def format_duration(seconds: float) -> str:
    """Write a duration in its two largest units: `2m 34s`, `1h 5m`, `45s`; `0.3s` under 1 s."""
    if seconds < 1:
        return f"{max(seconds, 0):.1f}s"
    rest = int(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count)
