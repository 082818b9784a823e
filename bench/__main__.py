"""`python -m bench`: measure everything and print one table."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import (
    disk,
    fanout,
    ingest,
    latency,
    measure,
    parsing,
    replay_client,
    report,
    spawn,
    tailing,
)
from bench.processes import BenchError

MEASUREMENTS: dict[str, measure.Measurement] = {
    "disk": disk.measure,
    "parsing": parsing.measure,
    "ingest": ingest.measure,
    "fanout": fanout.measure,
    "latency": latency.measure,
    "spawn": spawn.measure,
    "replay": replay_client.measure,
    "tailing": tailing.measure,
}


def main() -> int:
    """Run what was asked for; 0 if everything could be measured, targets met or not."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on = report.machine()
    rows: list[report.Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="runcast-bench-", dir=options.dir) as place:
            plan = (measure.quick if options.quick else measure.full)(Path(place))
            for name in options.only:
                began = time.monotonic()
                rows.extend(MEASUREMENTS[name](plan))
                print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"{on}\n\n{report.table(rows)}\nalso in {report.write_json(rows, on)}")
    if options.document:
        report.write_document(rows, on)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure for less than a minute")
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
