"""Records of two streams through rotation and restarts: every line whole, once, in order."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runcast.spool.records import Block
from runcast.tail import files
from runcast.tail.files import Tail
from runcast.tail.marks import State
from tests.tail.framing import cri

STREAMS = ("stdout", "stderr")

writing = st.tuples(
    st.just("write"),
    st.sampled_from(STREAMS),
    st.sampled_from([b"F", b"P"]),
    st.sampled_from([b"", "ä".encode(), b"y" * 200]),
    st.sampled_from([0, 0, 1, 3, 20]),
)
simple = st.sampled_from(
    ["rotate", "rotate_create", "reopen", "look", "look", "crash", "restart", "close", "flush"]
).map(lambda name: (name,))
steps = st.lists(st.one_of(writing, writing, simple), max_size=40)


class Writer:
    """A container runtime: a line may be begun in one file and ended in the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, list[bytes]] = {stream: [] for stream in STREAMS}
        self._open = dict.fromkeys(STREAMS, b"")
        self._file = path.open("ab", buffering=0)
        self._rest = b""
        self._count = 0

    def write(self, stream: str, tag: bytes, text: bytes, cut: int) -> None:
        """Write a record; its last bytes come later."""
        self._settle()
        self._count += 1
        text = b"%d " % self._count + text
        record = cri(text, tag, stream.encode())
        self._file.write(record[: len(record) - cut])
        self._rest = record[len(record) - cut :]
        self._open[stream] += text
        if tag == b"F":
            self.lines[stream].append(self._open[stream])
            self._open[stream] = b""

    def rotate(self) -> None:
        """Rename the file away; the next one appears when it is opened."""
        self._settle()
        for one in sorted(self.path.parent.glob("log.*"), key=lambda one: -int(one.suffix[1:])):
            one.rename(one.with_suffix(f".{int(one.suffix[1:]) + 1}"))
        if self.path.exists():
            self.path.rename(self.path.with_name("log.1"))

    def rotate_create(self) -> None:
        """Rotate and put an empty file in place."""
        self.rotate()
        self.path.touch()

    def reopen(self) -> None:
        """Turn to the file that is at the path now."""
        self._settle()
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        """End every line, in the file at the path."""
        self.reopen()
        for stream in STREAMS:
            self.write(stream, b"F", b"", 0)
        self._file.close()

    def _settle(self) -> None:
        self._file.write(self._rest)
        self._rest = b""


class Reader:
    """Keeps what it is given together with where it stands."""

    def __init__(self, path: Path, *, joins: bool) -> None:
        self.lines: dict[str, list[bytes]] = {stream: [] for stream in STREAMS}
        self._open = dict.fromkeys(STREAMS, b"")
        self._path, self._joins = str(path), joins
        self.tail = Tail(self._path, "cri", joins=joins)
        self._save()

    def look(self) -> bool:
        """Look once; tell whether anything was there."""
        look = self.tail.look()
        assert self.tail.trouble is None
        for item in look.items:
            assert isinstance(item, Block), f"{item} though nothing is"
            self._keep(item)
        self._save()
        return bool(look.items or look.read or look.turned)

    def flush(self) -> None:
        """Take what is unfinished."""
        for block in self.tail.flush():
            self._keep(block)
        self._save()

    def close(self) -> None:
        """Give the descriptors back and go on."""
        self.tail.close()
        self._save()

    def crash(self) -> None:
        """Look, and be killed before it was kept."""
        self.tail.look()
        self.restart()

    def restart(self) -> None:
        """Go on in a new tail."""
        self.tail.close()
        state = msgspec.msgpack.decode(self._saved, type=State)
        self.tail = Tail(self._path, "cri", joins=self._joins, state=state)

    def _save(self) -> None:
        self._saved = msgspec.msgpack.encode(self.tail.state())

    def _keep(self, block: Block) -> None:
        for text in block.texts():
            self._open[block.stream] += text
            if block.full:
                self.lines[block.stream].append(self._open[block.stream])
                self._open[block.stream] = b""


@pytest.fixture(autouse=True, scope="module")
def short_looks() -> Iterator[None]:
    """Let a look end anywhere in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "LOOK_BYTES", 300)
        yield


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=steps, joins=st.booleans())
def test_every_line_of_both_streams_comes_whole_once_and_in_order(
    plan: list[tuple[object, ...]], joins: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        writer = Writer(Path(name) / "log")
        reader = Reader(writer.path, joins=joins)
        for step, *taken in plan:
            who = writer if step in ("write", "rotate", "rotate_create", "reopen") else reader
            getattr(who, str(step))(*taken)
        writer.close()
        while reader.look():
            pass
        reader.tail.close()
        assert reader.lines == writer.lines
