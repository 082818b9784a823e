"""The command under measurement; stands on the standard library alone and is run by its path."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

LINE_BYTES = 60  # with the newline
# Begins every line, then comes its number, or the ns of its printing. Whatever carries the lines,
# counting this in it counts them.
MARK = "=~="
BLOCK_BYTES = 65_536


def main() -> None:
    """Print lines, then report when and at what cost."""
    options = _options()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a server that ends need not hear of it
    if options.gate:
        Path(options.gate).read_bytes()
    started = time.monotonic()
    if options.blob:
        _blob(options.blob)
    elif options.rate:
        _paced(options.count, options.rate, options.bytes)
    else:
        _burst(options.count, options.bytes)
    sys.stdout.flush()
    if options.report:
        spent = time.process_time()
        report = {"started": started, "ended": time.monotonic(), "cpu": spent}
        Path(options.report).write_text(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, help="lines a second; else as fast as possible")
    parser.add_argument("--bytes", type=int, default=LINE_BYTES, help="length of a line")
    parser.add_argument("--blob", type=int, help="print so many bytes without a line end instead")
    parser.add_argument("--gate", help="FIFO: begin when a writer has closed it")
    parser.add_argument("--report", help="file for start, end (monotonic) and CPU seconds")
    return parser.parse_args()


def _burst(count: int, length: int) -> None:
    padding = "x" * (length - len(MARK) - 10)
    for number in range(count):
        print(f"{MARK}{number:08d} {padding}")


def _blob(size: int) -> None:
    block = b"x" * BLOCK_BYTES
    for _ in range(size // BLOCK_BYTES):
        sys.stdout.buffer.write(block)


def _paced(count: int, rate: float, length: int) -> None:
    """Print one line at a time, each beginning with the nanosecond of its printing."""
    started = time.monotonic()
    for number in range(count):
        pause = started + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        print(f"{MARK}{time.monotonic_ns()} ".ljust(length - 1, "x"), flush=True)


if __name__ == "__main__":
    main()
    # A command's end is its output's end: what the interpreter tidies up is not measured.
    os._exit(0)
