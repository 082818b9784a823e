"""A random writer against the tailer: every line once, in order, or a gap where bytes went away.

The writer appends, leaves lines unfinished, cuts characters in two, rotates by renaming, truncates
as copytruncate does, deletes and makes anew, and goes on in the old file for a while. The reader
looks when it likes, keeps its state, forgets it, and is killed before it could keep it.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runcast.spool.records import Block
from runcast.tail.files import Tail
from runcast.tail.generations import Lost
from runcast.tail.marks import State
from runcast.tail.opened import seen

GAP = None
TEXTS = ("", "x", "a line", "ä€😀", "\r50 %\r100 %", "\0", "y" * 300)

LOSING = ("copytruncate", "delete", "unlink")

# What may happen, each with what it takes.
appending = st.tuples(st.just("append"), st.integers(0, len(TEXTS) - 1), st.integers(0, 3))
simple = st.sampled_from(
    ["rotate", "rotate_create", "reopen", "copytruncate", "delete", "unlink", "look", "crash"]
).map(lambda name: (name,))
steps = st.lists(st.one_of(appending, appending, simple), max_size=40)


class Writer:
    """Writes a log, and knows for each of its lines whether a reader may have missed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.destroyed = 0  # how often bytes may have gone away
        self._count = 0
        self._open = b""
        self._file = path.open("ab", buffering=0)

    def append(self, text: int, cut: int) -> None:
        """Write a line with a number of its own; `cut` bytes of it are written later."""
        self._count += 1
        # No two begin alike: a file that was truncated is known by its first bytes.
        line = f"{self._count * 7919 % 10_007:04}:{TEXTS[text]}".encode()
        self._file.write(self._open)
        self._finish()
        end = max(len(line) - cut, 4)
        self._file.write(line[:end])
        self._begun = line
        self._open = line[end:] + b"\n"
        if not cut:
            self._file.write(self._open)
            self._finish()

    def _finish(self) -> None:
        if self._open:
            self.lines.append(self._begun)
            self._open = b""

    def _end_of_file(self) -> None:
        """What was begun ends with the file: the reader gets it as a line of its own."""
        if self._open:
            rest = len(self._begun) + 1 - len(self._open)
            self.lines.append(self._begun[:rest])
            self._open = b""

    def rotate(self) -> None:
        """Rename the file away; the writer goes on in it until it opens the path anew."""
        generations = sorted(self.path.parent.glob("log.*"), key=lambda one: -int(one.suffix[1:]))
        for one in generations:
            one.rename(one.with_suffix(f".{int(one.suffix[1:]) + 1}"))
        if self.path.exists():
            self.path.rename(self.path.with_name("log.1"))

    def rotate_create(self) -> None:
        """Rotate and put an empty file in place."""
        self.rotate()
        self.path.touch()

    def reopen(self) -> None:
        """Turn to the file that is at the path now."""
        if self.path.exists() and os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
            return
        self._end_of_file()
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def copytruncate(self) -> None:
        """Copy the file, then empty it."""
        if self.path.exists():
            self.reopen()
            self._end_of_file()
            shutil.copy(self.path, self.path.with_name("copy"))
            os.truncate(self.path, 0)
            self.destroyed += 1

    def delete(self) -> None:
        """Delete the file and turn to a new one."""
        self.unlink()
        self.reopen()

    def unlink(self) -> None:
        """Delete the file; the writer goes on in it, where nobody else can read it."""
        self.path.unlink(missing_ok=True)
        self.destroyed += 1

    def close(self) -> None:
        """Turn to the file that is at the path, and end what was begun."""
        self.reopen()
        self._file.write(self._open)
        self._finish()
        self.append(1, 0)
        self._file.close()


class Reader:
    """Follows the log, and keeps what it was given together with where it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: list[bytes | None] = []
        self._part = b""
        self.tail = Tail(str(path), "plain")
        self._saved = msgspec.msgpack.encode(self.tail.state())

    def look(self) -> bool:
        """Look once, keep it; tell whether anything was there."""
        look = self.tail.look()
        assert self.tail.trouble is None
        self._keep(look.items)
        self._saved = msgspec.msgpack.encode(self.tail.state())
        return bool(look.items or look.read or look.turned)

    @property
    def is_blind(self) -> bool:
        """Whether nothing is known of what the file at the path holds."""
        marks, found = self._load().marks, seen(str(self.path))
        if found is None or not marks or not marks[-1].head:
            return True
        return marks[-1].identity != found.identity

    def crash(self) -> None:
        """Look, and be killed before it was kept."""
        self.tail.look()
        self.tail.close()
        self.tail = Tail(str(self.path), "plain", state=self._load())

    def finish(self) -> None:
        """Read to the end."""
        while self.look():
            pass
        self._keep(self.tail.finish())
        self.tail.close()

    def _load(self) -> State:
        return msgspec.msgpack.decode(self._saved, type=State)

    def _keep(self, items: Sequence[Block | Lost]) -> None:
        for item in items:
            if isinstance(item, Lost):
                self.kept.append(GAP)
                continue
            for text in item.texts():
                self._part += text
                if item.full:
                    self.kept.append(self._part)
                    self._part = b""


def play(folder: Path, plan: list[tuple[object, ...]]) -> tuple[Writer, Reader]:
    """Let the writer and the reader do what the plan says, then let both come to the end."""
    path = folder / "log"
    writer = Writer(path)
    reader = Reader(path)
    for name, *taken in plan:
        if name in LOSING and reader.is_blind:
            # What fills an empty file and is gone before anybody looks has left no trace.
            reader.look()
        if name != "crash" or not reader.is_blind:
            getattr(reader if name in ("look", "crash") else writer, str(name))(*taken)
    writer.close()
    reader.finish()
    return writer, reader


def check(writer: Writer, reader: Reader) -> None:
    """Everything that was written comes once and in order; what is missing is so behind a gap."""
    wanted = writer.lines
    at = 0
    may_miss = False
    gaps = 0
    for line, then in zip(reader.kept, [*reader.kept[1:], b""], strict=True):
        if line is GAP:
            may_miss = True
            gaps += 1
            continue
        if then is GAP and line not in wanted[at:] and any(one.startswith(line) for one in wanted):
            continue  # all that was left of a line when the file was truncated
        found = wanted.index(line, at) if line in wanted[at:] else None
        assert found is not None, f"{line!r} is twice, out of order, or was never written"
        assert found == at or may_miss, f"{wanted[at:found]} are missing, and nobody says so"
        at = found + 1
        may_miss = False
    assert at == len(wanted), f"{wanted[at:]} are missing at the end"
    assert gaps <= writer.destroyed


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(plan=steps)
def test_every_line_comes_once_and_in_order_or_a_gap_says_so(
    plan: list[tuple[object, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        check(*play(Path(name), plan))
