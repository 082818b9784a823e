"""Writes stamped lines into all FIFOs of a folder; run by its path, on the standard library alone.

`python writer.py FOLDER LINES RATE GO`: opens each once it has a reader, waits for GO, then writes.
"""

import os
import sys
import time
from pathlib import Path

LINE_BYTES = 60


def main() -> None:
    """Write a line into each in turn, evenly spread over time."""
    folder, lines, rate, go = sys.argv[1:]
    names = sorted(path for path in Path(folder).iterdir() if str(path) != go)
    fifos = [os.open(name, os.O_WRONLY) for name in names]
    Path(go).read_bytes()
    started = time.monotonic()
    pause = 1 / (float(rate) * len(fifos))
    for number in range(int(lines) * len(fifos)):
        left = started + number * pause - time.monotonic()
        if left > 0:
            time.sleep(left)
        line = f"=~={time.monotonic_ns()} ".ljust(LINE_BYTES - 1, "x") + "\n"
        os.write(fifos[number % len(fifos)], line.encode())


if __name__ == "__main__":
    main()
