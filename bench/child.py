"""The command under measurement; stands on the standard library alone and is run by its path."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

LINE_BYTES = 60  # with the newline


def main() -> None:
    """Print lines, then report when and at what cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, help="lines a second; else as fast as possible")
    parser.add_argument("--gate", help="FIFO: begin when a writer has closed it")
    parser.add_argument("--report", help="file for start, end (monotonic) and CPU seconds")
    options = parser.parse_args()
    if options.gate:
        Path(options.gate).read_bytes()
    started = time.monotonic()
    if options.rate:
        _paced(options.count, options.rate)
    else:
        _burst(options.count)
    sys.stdout.flush()
    if options.report:
        spent = time.process_time()
        report = {"started": started, "ended": time.monotonic(), "cpu": spent}
        Path(options.report).write_text(json.dumps(report))


def _burst(count: int) -> None:
    padding = "x" * (LINE_BYTES - 10)
    for number in range(count):
        print(f"{number:08d} {padding}")


def _paced(count: int, rate: float) -> None:
    """Print one line at a time, each beginning with the nanosecond of its printing."""
    started = time.monotonic()
    for number in range(count):
        pause = started + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        print(f"{time.monotonic_ns()} ".ljust(LINE_BYTES - 1, "x"), flush=True)


if __name__ == "__main__":
    main()
    # A command's end is its output's end: what the interpreter tidies up is not measured.
    os._exit(0)
