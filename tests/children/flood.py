"""Prints many lines of one width, each beginning with its number and the time it was written.

usage: flood.py LINES WIDTH [LINES_PER_SECOND]
"""

import sys
import time

CHUNK_LINES = 500


def chunk(first: int, count: int, width: int) -> bytes:
    now = time.monotonic_ns()
    lines = (f"{number} {now} ".ljust(width - 1, "x") for number in range(first, first + count))
    return ("\n".join(lines) + "\n").encode()


def main() -> None:
    lines, width, *rate = map(int, sys.argv[1:])
    started = time.monotonic()
    step = min(CHUNK_LINES, max(1, rate[0] // 100)) if rate else CHUNK_LINES
    for first in range(1, lines + 1, step):
        if rate:
            time.sleep(max(0.0, started + first / rate[0] - time.monotonic()))
        sys.stdout.buffer.write(chunk(first, min(step, lines + 1 - first), width))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
