"""One path that is rotated and truncated: every line once, in order, or a loss that is said."""

import os
import shutil
from pathlib import Path

import pytest

from runcast.tail import files
from tests.tail.following import Reader, age, append, numbered, rotate, text_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file with one line."""
    path = tmp_path / "app.log"
    append(path, "first\n")
    return path


# Rotation by renaming.


@pytest.mark.parametrize("is_created", [True, False])
def test_the_old_file_is_read_to_its_end_before_the_new_one(log: Path, is_created: bool) -> None:
    reader = Reader(log).look()
    append(log, "second\n")
    rotate(log)
    if is_created:
        log.touch()
    append(log.with_name("app.log.1"), "third\n")
    reader.look()
    append(log.with_name("app.log.1"), "fourth\n")
    append(log, "fifth\n")
    assert reader.look().lines == [b"first", b"second", b"third", b"fourth", b"fifth"]


NAMINGS = {
    "numbers": ["app.log.4", "app.log.3", "app.log.2", "app.log.1"],
    "dates": [f"app.log-2026112{day}" for day in range(4)],
    "dates within": [f"app-2026112{day}.log" for day in range(4)],
}


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("is_restarted", [True, False])
def test_files_that_came_and_went_between_two_looks_are_read(
    log: Path, naming: str, is_restarted: bool
) -> None:
    reader = Reader(log)
    assert reader.taken() == [b"first"]
    state = reader.restart() if is_restarted else reader
    for name in NAMINGS[naming]:
        append(log, f"in {name}\n")
        rotate(log, name=name)
    append(log, "last\n")
    assert state.taken() == [*(f"in {name}".encode() for name in NAMINGS[naming]), b"last"]


def test_generations_of_before_are_not_read(log: Path) -> None:
    old = rotate(log)
    age(old)
    append(log, "second\n")
    reader = Reader(log)
    assert reader.taken() == [b"second"]
    rotate(log, name="app.log.2")
    append(log, "third\n")
    assert reader.taken() == [b"third"]


def test_a_neighbour_that_is_written_to_is_not_taken_for_a_generation(log: Path) -> None:
    other = log.with_name("app2.log")
    append(other, "not ours\n")
    reader = Reader(log).look()
    rotate(log)
    append(other, "not ours\n")
    append(log, "second\n")
    assert reader.look().lines == [b"first", b"second"]


def test_late_lines_of_the_old_file_come_too(log: Path) -> None:
    reader = Reader(log).look()
    old = rotate(log)
    append(log, "new\n")
    reader.look()
    append(old, "late\n")
    append(log, "newer\n")
    assert sorted(map(bytes, reader.taken())) == [b"first", b"late", b"new", b"newer"]


def test_late_lines_come_once_across_a_restart(log: Path) -> None:
    reader = Reader(log).look()
    old = rotate(log)
    append(log, "new\n")
    append(old, "late\n")
    reader.look().restart().look()
    append(old, "later\n")
    assert reader.look().restart().look().lines == [b"first", b"late", b"new", b"later"]


def test_a_late_line_without_newline_is_not_lost_when_its_file_is_given_up(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LATE_S", 0.2)
    reader = Reader(log, "cri").look()
    old = rotate(log)
    append(log, "new\n")
    reader.look()
    assert reader.tail.descriptors == 2
    append(old, "2026-11-21T08:57:30Z stdout P late\n")
    while reader.tail.descriptors > 1:
        reader.look()
    assert reader.lines == [b"first", b"new", b"late"]
    append(log, "newer\n")
    assert reader.taken()[-1] == b"newer"


def test_late_lines_that_were_destroyed_are_said_to_be_lost(log: Path) -> None:
    reader = Reader(log).look()
    old = rotate(log)
    append(log, "new\n")
    reader.look()
    append(old, "late\n")
    os.truncate(old, 0)
    assert reader.look().lines == [b"first", b"new", "truncated"]


def test_late_lines_that_are_gone_after_a_stop_are_said_to_be_lost(log: Path) -> None:
    reader = Reader(log).look()
    old = rotate(log)
    append(log, "new\n")
    reader.look()
    append(old, "late")
    reader.look().restart()
    old.unlink()
    append(log, "newer\n")
    assert reader.look().lines == [b"first", b"new", "rotated", b"newer"]


# Truncation.


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_was_truncated_is_said_to_be_lost_and_the_rest_comes(log: Path, is_seen: bool) -> None:
    reader = Reader(log).look()
    shutil.copy(log, log.with_name("app.log.1"))
    os.truncate(log, 0)
    if is_seen:
        assert reader.look().lines == [b"first", "truncated"]
    append(log, text_of(numbered(1_000)))
    assert reader.look().lines == [b"first", "truncated", *numbered(1_000)]


def test_a_file_regrown_to_the_same_size_is_not_the_same(log: Path) -> None:
    reader = Reader(log).look()
    os.truncate(log, 0)
    append(log, "other\n")
    assert reader.look().lines == [b"first", "truncated", b"other"]


def test_a_truncation_during_a_stop_is_noticed(log: Path) -> None:
    reader = Reader(log).look().restart()
    os.truncate(log, 0)
    append(log, text_of(numbered(100)))
    assert reader.look().lines == [b"first", "truncated", *numbered(100)]


def test_a_part_that_is_cut_off_is_a_line(log: Path) -> None:
    reader = Reader(log)
    append(log, "half")
    reader.look()
    os.truncate(log, 0)
    append(log, "other\n")
    assert reader.look().lines == [b"first", b"half", "truncated", b"other"]


@pytest.mark.parametrize("size", [100, 4_095, 4_096, 5_000, 3_000_000])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_writer_that_keeps_its_place_leaves_no_hole_in_the_text(
    tmp_path: Path, size: int, is_seen: bool
) -> None:
    log = tmp_path / "app.log"
    with log.open("wb", buffering=0) as writer:  # not for appending
        writer.write(b"x" * (size - 1) + b"\n")
        reader = Reader(log)
        reader.taken()
        os.truncate(log, 0)
        if is_seen:
            assert reader.taken() == ["truncated"]
        writer.write(b"behind the hole\n")
        gap = [] if is_seen else ["truncated"]
        assert reader.taken() == [*gap, b"behind the hole"]
        writer.write(b"next\n")
        assert reader.restart().taken() == [b"next"]


def test_a_hole_that_comes_during_a_stop_is_stepped_over(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with log.open("wb", buffering=0) as writer:
        writer.write(b"x" * 10_000)
        reader = Reader(log).look()
        os.truncate(log, 0)
        reader.look().restart()
        writer.write(b"behind the hole\n")
        assert reader.taken()[-1] == b"behind the hole"


def test_a_hole_at_the_beginning_of_a_file_is_never_read(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    with log.open("wb") as writer:
        writer.seek(10_000_000_000)
        writer.write(b"text\n")
    assert Reader(log).taken() == [b"text"]


def test_a_file_that_is_nothing_but_a_hole_is_read_on_behind_it(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.touch()
    os.truncate(log, 1_000_000)
    reader = Reader(log).look()
    append(log, "text\n")
    assert reader.restart().taken() == [b"text"]


def test_nul_that_somebody_wrote_is_text(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    append(log, b"\0\0first\n\0\n")
    assert Reader(log).taken() == [b"\0\0first", b"\0"]
