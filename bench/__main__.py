"""`python -m bench`: measure everything and print one table."""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import (
    disk,
    document,
    fanout,
    growth,
    history,
    host,
    idle,
    ingest,
    latency,
    measure,
    own,
    parsing,
    replay_client,
    report,
    sockets,
    spawn,
    stored,
    submitting,
    tailing,
)
from bench.peers import table as peers
from bench.processes import BenchError

MEASUREMENTS: dict[str, measure.Measurement] = {
    "disk": disk.measure,
    "fanout": fanout.measure,
    "sockets": sockets.measure,
    "own": own.measure,
    "ingest": ingest.measure,
    "latency": latency.measure,
    "history": history.measure,
    "idle": idle.measure,
    "stored": stored.measure,
    "submitting": submitting.measure,
    "growth": growth.measure,
    "spawn": spawn.measure,
    "parsing": parsing.measure,
    "replay": replay_client.measure,
    "tailing": tailing.measure,
}


def main() -> int:
    """Run what was asked for; 0 if everything could be measured, targets met or not."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on = report.machine()
    left_out = list(peers.absent())
    print(*left_out, sep="\n", end="\n" if left_out else "", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory(prefix="runcast-bench-", dir=options.dir) as place:
            plan = (measure.quick if options.quick else measure.Plan)(Path(place))
            rows, failed = _measure(plan, options.only)
    except KeyboardInterrupt:
        return 130
    print(f"{on}\n\n{report.table(rows)}\nalso in {report.write_json(rows, on, left_out)}")
    for line in report.missed(rows):
        print(f"missed: {line}")
    if options.document and not failed:
        document.write(rows, on, left_out)
    return 1 if failed else 0


def _measure(plan: measure.Plan, names: Sequence[str]) -> tuple[list[report.Row], list[str]]:
    """Make all measurements; return their rows, and which could not be made."""
    rows: list[report.Row] = []
    failed = []
    for name in names:
        began = time.monotonic()
        try:
            rows.extend(MEASUREMENTS[name](plan))
        except (BenchError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"bench: {name}: {error}", file=sys.stderr)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return [*rows, *host.ROUNDS.rows()], failed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute for each of them")
    parser.add_argument(
        "--only",
        type=_names,
        default=list(MEASUREMENTS),
        metavar="NAME,...",
        help=f"some of {', '.join(MEASUREMENTS)}",
    )
    parser.add_argument("--dir", help="folder on the disk to measure (default: temporary)")
    parser.add_argument(
        "--document", action="store_true", help="put the table into docs/benchmarks.md, too"
    )
    options = parser.parse_args()
    if options.document and (options.quick or options.only != list(MEASUREMENTS)):
        parser.error("--document is for a full measurement")
    return options


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names).difference(MEASUREMENTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
