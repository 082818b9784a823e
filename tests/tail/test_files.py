"""One path as it grows: what comes, when it comes, and where a tail goes on."""

import os
import threading
from pathlib import Path

import pytest

from runcast.spool.cri import PART_BYTES
from runcast.tail.files import Tail
from runcast.tail.generations import Lost, standing
from runcast.tail.looks import LOOK_BYTES
from runcast.tail.marks import behind, known
from runcast.tail.opened import Opened, seen
from tests.tail.following import Reader, age, append, numbered, rotate, text_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file with one line."""
    path = tmp_path / "app.log"
    append(path, "first\n")
    return path


def test_what_is_there_comes_and_then_what_is_added(log: Path) -> None:
    reader = Reader(log)
    assert reader.taken() == [b"first"]
    for number in range(3):
        append(log, f"line {number}\n")
        assert reader.taken() == [b"line %d" % number]
    assert reader.taken() == []


def test_an_unfinished_line_waits_for_its_newline(log: Path) -> None:
    reader = Reader(log)
    append(log, "half")
    assert reader.taken() == [b"first"]
    assert reader.tail.unfinished
    append(log, " a line\n")
    assert reader.taken() == [b"half a line"]
    assert not reader.tail.unfinished


def test_an_unfinished_line_can_be_had_at_once(log: Path) -> None:
    reader = Reader(log).look()
    append(log, "half ä".encode()[:-1])
    reader.look()
    (part,) = reader.tail.flush()
    assert (part.full, part.texts()) == (False, [b"half "])
    reader.keep([part])
    reader.restart()
    append(log, "ä\n".encode()[1:])
    reader.look()
    assert reader.lines == [b"first", "\u00e4".encode()]  # the reader was started anew in between


def test_the_end_of_the_output_gives_what_is_unfinished(log: Path) -> None:
    reader = Reader(log)
    append(log, "no newline")
    reader.look()
    (part,) = reader.tail.finish()
    assert part.texts() == [b"no newline"]


def test_a_look_is_bounded_and_says_that_there_is_more(log: Path) -> None:
    append(log, text_of(numbered(20_000)))
    tail = Tail(str(log), "plain")
    look = tail.look()
    assert (look.read, look.more) == (LOOK_BYTES, True)
    while look.more:
        look = tail.look()
    assert not tail.look().items


def test_a_long_line_comes_in_parts_or_whole(log: Path) -> None:
    long = b"x" * (3 * PART_BYTES) + b"y"
    append(log, long + b"\nlast")
    whole = Reader(log, joins=True)
    assert whole.taken() == [b"first", long]
    assert Reader(log).taken() == [b"first", long]


def test_the_state_holds_a_line_of_many_looks_by_reference(log: Path) -> None:
    append(log, b"x" * 1_000_000)
    reader = Reader(log, joins=True).look().restart().look()
    append(log, b"y\n")
    assert reader.taken() == [b"first", b"x" * 1_000_000 + b"y"]


def test_from_the_end_only_what_is_added_comes(log: Path) -> None:
    reader = Reader(log, from_end=True)
    assert reader.taken() == []
    append(log, "second\n")
    assert reader.taken() == [b"second"]


def test_from_the_end_a_file_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "late" / "app.log", from_end=True)
    assert reader.taken() == []
    assert not reader.tail.present
    assert reader.tail.trouble is None
    (tmp_path / "late").mkdir()
    append(tmp_path / "late" / "app.log", "first\n")
    assert reader.taken() == [b"first"]
    assert reader.tail.present


def test_from_the_end_is_where_the_end_was_when_the_tail_was_made(log: Path) -> None:
    reader = Reader(log, from_end=True)
    append(log, "second\n")
    rotate(log)
    append(log, "third\n")
    assert reader.taken() == [b"second", b"third"]


def test_a_file_that_grows_while_it_is_read_comes_whole(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    lines = numbered(2_500_000)  # 32 MB
    writer = threading.Thread(
        target=lambda: [
            append(log, text_of(lines[at : at + 9_999])) for at in range(0, len(lines), 9_999)
        ]
    )
    writer.start()
    reader = Reader(log)
    while writer.is_alive():
        reader.look()
    assert reader.taken() == lines


def test_a_tail_goes_on_behind_what_it_gave_when_it_was_closed(log: Path) -> None:
    reader = Reader(log)
    append(log, "half")
    reader.look()
    reader.tail.close()
    assert reader.tail.descriptors == 0
    append(log, " a line\n")
    assert reader.look().lines == [b"first", b"half a line"]
    assert reader.tail.descriptors == 1


def test_what_is_not_kept_comes_again(log: Path) -> None:
    reader = Reader(log).look()
    state = reader.tail.state()
    append(log, "second\n")
    for _ in range(2):
        tail = Tail(str(log), "plain", state=state)
        (block,) = tail.look().items
        assert not isinstance(block, Lost)
        assert block.texts() == [b"second"]


def test_a_state_that_has_read_nothing_knows_its_file(log: Path) -> None:
    state = standing(str(log))
    append(log, "second\n")
    rotate(log)
    append(log, "third\n")
    tail = Tail(str(log), "plain", state=state)
    texts = [
        text for item in tail.look().items if not isinstance(item, Lost) for text in item.texts()
    ]
    assert texts == [b"first", b"second", b"third"]


def test_a_state_tells_what_a_file_has_beyond_it(log: Path) -> None:
    def compared() -> str:
        return behind(reader.tail.state(), seen(str(log)))

    reader = Reader(log)
    assert compared() == "more"
    reader.look()
    assert compared() == "same"
    append(log, "second\n")
    assert compared() == "more"
    rotate(log)
    assert compared() == "missing"
    log.touch()
    assert compared() == "replaced"
    reader.look()
    assert known(reader.tail.state()) >= {_identity(log), _identity(log.with_name("app.log.1"))}


def test_a_quiet_file_is_not_opened_or_read_again(log: Path) -> None:
    age(log)
    reader = Reader(log).look()
    facts = os.stat(f"/proc/self/fd/{_descriptor(log)}")
    assert facts.st_ino == log.stat().st_ino
    assert reader.tail.look().items == []
    os.utime(log)
    append(log, "second\n")
    assert reader.look().lines == [b"first", b"second"]


def _identity(path: Path) -> tuple[int, int]:
    file = Opened.at(str(path))
    file.close()
    return file.identity


def _descriptor(path: Path) -> str:
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == str(path):
                return name
        except FileNotFoundError:
            continue
    raise AssertionError("not open")
