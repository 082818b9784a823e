"""How fast each dialect's parser reads recorded output, beside json.loads on the same lines."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Plan
from bench.report import Row
from runcast.parsers import PARSERS, new_parser
from runcast.spool.cri import PART_BYTES, Framer
from runcast.spool.records import blocks

TRANSCRIPTS = Path(__file__).parents[1] / "tests" / "fixtures" / "transcripts"
_TEXT = b"a line of sixty bytes, as a compiler or a test runner prints\n"


def measure(plan: Plan) -> Iterator[Row]:
    """Read one read of the spool after the other, each as the output of another run."""
    for dialect in PARSERS:
        yield _row(dialect, plan)


def _row(dialect: str, plan: Plan) -> Row:
    recorded = _recorded(dialect)
    output = recorded * (plan.parse_bytes // len(recorded))
    reads = _spool(output)
    megabytes = len(output) / 1e6
    ours = megabytes / _seconds(plan.parse_rounds, lambda: _parse(dialect, reads))
    if dialect == "lines":
        return Row("parsing.lines", "parse: lines", ours, "MB per CPU-s")
    theirs = megabytes / _seconds(plan.parse_rounds, lambda: _loads(output))
    note = f"peer: json.loads; lines of {len(recorded) // len(recorded.splitlines()):,} bytes"
    return Row(f"parsing.{dialect}", f"parse: {dialect}", ours, "MB per CPU-s", theirs, note)


def _recorded(dialect: str) -> bytes:
    lines = [
        line
        for path in sorted(TRANSCRIPTS.glob(f"{dialect}*"))
        for line in path.read_bytes().splitlines(keepends=True)
        if not line.startswith(b">>> ")
    ]
    return b"".join(lines) or _TEXT


def _spool(output: bytes) -> list[bytes]:
    framer = Framer("stdout")
    starts = range(0, len(output), PART_BYTES)
    return [framer.feed(output[at : at + PART_BYTES], 1_000_000 * at) for at in starts]


def _parse(dialect: str, reads: list[bytes]) -> None:
    for read in reads:
        new_parser(dialect).feed(blocks(read))


def _loads(output: bytes) -> None:
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            json.loads(line)


def _seconds(rounds: int, work: Callable[[], None]) -> float:
    """Return the CPU time of the fastest round: what else the machine does only adds to it."""
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)
