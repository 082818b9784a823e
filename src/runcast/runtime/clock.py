"""The wall clock, in the unit that events carry."""

import time


def now() -> int:
    """Return µs since the epoch."""
    return time.time_ns() // 1000
