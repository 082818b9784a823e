"""Recorded outputs of agents, the spools they become, and the events expected of them.

`python -m tests.parsers.transcripts` writes the expected events anew; read the difference.
"""

import json
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from runcast.core.events import Batch, Entry, count_events, encode_entries
from runcast.parsers import Account, Parser, Saved, new_parser
from runcast.spool.cri import PART_BYTES, Framer
from runcast.spool.records import blocks

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = FIXTURES / "golden"
TRANSCRIPTS = sorted((FIXTURES / "transcripts").iterdir())
START_NS = 1_795_251_450_000_000_000

Found = tuple[str, dict[str, Any]]


def dialect_of(transcript: Path) -> str:
    return transcript.stem.partition("-")[0]


def printed(transcript: Path) -> list[bytes]:
    """Return the lines that the agent printed; in a dialogue, what it was told is marked."""
    lines = transcript.read_bytes().splitlines()
    return [line for line in lines if not line.startswith(b">>> ")]


def spool_of(writes: Iterable[bytes], *, paused: Container[int] = ()) -> bytes:
    """Frame what a command writes as its runner does, 1 ms between writes.

    After the writes whose index is `paused`, the command is silent for so long that what it began
    is written as a part.
    """
    framer = Framer("stdout")
    now = START_NS
    parts = []
    for index, write in enumerate(writes):
        now += 1_000_000
        pieces = (write[at : at + PART_BYTES] for at in range(0, len(write), PART_BYTES))
        parts.extend(framer.feed(piece, now) for piece in pieces)
        if index in paused:
            parts.append(framer.flush(now))
    return b"".join((*parts, framer.close(now)))


def found_in(entries: Sequence[Entry]) -> list[Found]:
    """Return (type, data) of events that went through the log's encoding, without durations."""
    batch = Batch("run:r", 1, 1, count_events(entries), encode_entries(entries))
    found = [(event.type, event.data) for event in batch.events()]
    for _, data in found:
        data.pop("duration_ms", None)
    return found


def parse(dialect: str, spool: bytes) -> tuple[list[Found], Parser]:
    parser = new_parser(dialect)
    entries = [*parser.feed(blocks(spool)), *parser.finish()]
    return found_in(entries), parser


def record_ends(spool: bytes) -> list[int]:
    return [index + 1 for index, byte in enumerate(spool) if byte == 10]


def read_in_parts(
    dialect: str, spool: bytes, stops: Sequence[int], restarts: Container[int]
) -> tuple[list[Entry], Account | None]:
    """Feed the spool up to each stop; at a restart, go on with a new parser, as a server would."""
    parser = new_parser(dialect)
    entries: list[Entry] = []
    for start, stop in pairwise([0, *stops, len(spool)]):
        entries += parser.feed(blocks(spool[start:stop], start))
        if stop in restarts:
            saved = msgspec.msgpack.decode(msgspec.msgpack.encode(parser.save()), type=Saved)
            first, size = saved.open.get("stdout", (stop, 0))
            assert size <= stop - first
            parser = new_parser(dialect)
            parser.restore(saved, blocks(spool[first:stop], first))
    return entries + parser.finish(), parser.account()


def events_of(dialect: str, *lines: object) -> list[Found]:
    """Return the events of lines that are given as values; as bytes, they are taken as they are."""
    return parse(dialect, spool_of(map(_line, lines)))[0]


def _line(value: object) -> bytes:
    return (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n"


def report_of(found: list[Found], parser: Parser) -> str:
    """Write events, and what the parser knows at the end, one per line."""
    lines = [{"type": kind, "data": data} for kind, data in found]
    account = msgspec.to_builtins(parser.account())
    lines.append({"account": account, "unknown": parser.unknown})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def golden_of(transcript: Path) -> Path:
    return GOLDEN / f"{transcript.stem}.jsonl"


def expected(transcript: Path) -> list[Found]:
    lines = [json.loads(line) for line in golden_of(transcript).read_text().splitlines()]
    return [(line["type"], line["data"]) for line in lines if "type" in line]


def expected_unknown(transcript: Path) -> int:
    last = golden_of(transcript).read_text().splitlines()[-1]
    return int(json.loads(last)["unknown"])


def main() -> None:
    for transcript in TRANSCRIPTS:
        spool = spool_of([line + b"\n" for line in printed(transcript)])
        golden_of(transcript).write_text(report_of(*parse(dialect_of(transcript), spool)))


if __name__ == "__main__":
    main()
