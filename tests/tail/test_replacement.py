"""One path that leads to other files: deleted and made anew, or a link."""

from pathlib import Path

import pytest

from runcast.tail.generations import Lost
from tests.tail.following import Reader, append, rotate


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file with one line."""
    path = tmp_path / "app.log"
    append(path, "first\n")
    return path


# Deletion, and what is there again.


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_file_that_was_deleted_and_made_anew_may_have_held_more(
    log: Path, is_restarted: bool
) -> None:
    reader = Reader(log).look()
    reader = reader.restart() if is_restarted else reader
    log.unlink()
    append(log, "second\n")
    first, gap, second = reader.look().lines
    assert (first, second) == (b"first", b"second")
    assert gap in ("deleted", "rotated", "truncated")  # the inode may be the same again


def test_what_was_written_to_a_deleted_file_is_read(log: Path) -> None:
    reader = Reader(log).look()
    with log.open("ab", buffering=0) as writer:
        log.unlink()
        reader.look()
        writer.write(b"unseen\n")
        reader.look()
    append(log, "second\n")
    assert reader.look().lines == [b"first", b"unseen", "deleted", b"second"]


def test_a_deleted_file_is_said_to_be_lost_once(log: Path) -> None:
    reader = Reader(log).look().restart()
    log.unlink()
    assert reader.look().lines == [b"first", "deleted"]
    reader.look().restart().look()
    append(log, "second\n")
    assert reader.look().lines == [b"first", "deleted", b"second"]


def test_a_file_that_is_gone_though_the_one_before_it_is_not_is_said_to_be_lost(log: Path) -> None:
    reader = Reader(log).look()
    old = rotate(log)
    log.touch()
    reader.look().restart()
    append(log, "lost\n")
    log.unlink()
    append(old, "late\n")
    assert reader.look().lines == [b"first", "deleted", b"late"]
    append(log, "next\n")
    assert reader.restart().taken()[-1] == b"next"


@pytest.mark.parametrize("is_restarted", [True, False])
def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path, is_restarted: bool) -> None:
    log = tmp_path / "app.log"
    for attempt in range(50):
        append(log, f"first {attempt}\n")
        reader = Reader(log).look()
        inode = log.stat().st_ino
        reader.tail.close()  # while it is open, its inode cannot be given away
        reader = reader.restart() if is_restarted else reader
        log.unlink()
        append(log, f"second {attempt} and more\n")
        assert reader.look().lines[0] == b"first %d" % attempt
        assert isinstance(reader.lines[1], str)
        assert reader.lines[2:] == [b"second %d and more" % attempt]
        if log.stat().st_ino == inode:
            return
        log.unlink()
    pytest.skip("this file system gives no inode away at once")


# Links.


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_link_flipped_forth_and_back_gives_nothing_twice(
    tmp_path: Path, is_restarted: bool
) -> None:
    link = tmp_path / "current.log"
    files_at = [tmp_path / "blue" / "app.log", tmp_path / "green" / "app.log"]
    for file in files_at:
        file.parent.mkdir()
        file.touch()
    flip(link, files_at[0])
    reader = Reader(link)
    wanted: list[bytes] = []
    for number in range(8):
        file = files_at[number % 2]
        flip(link, file)
        reader.look()
        if number % 3:
            append(file, f"{number}\n")
            wanted.append(b"%d" % number)
        reader.look()
        if is_restarted:
            reader.restart().look()
    assert [one for one in reader.lines if isinstance(one, bytes)] == wanted
    assert is_restarted or reader.lines == wanted


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_link_that_comes_back_before_anything_was_written_elsewhere(
    tmp_path: Path, is_restarted: bool
) -> None:
    link = tmp_path / "current.log"
    blue, green = tmp_path / "blue.txt", tmp_path / "green.txt"
    append(blue, "first\n")
    green.touch()
    flip(link, blue)
    reader = Reader(link).look()
    flip(link, green)
    reader.look()
    flip(link, blue)
    reader.look()
    append(blue, "second\n")
    reader = reader.restart().look() if is_restarted else reader.look()
    append(green, "third\n")
    flip(link, green)
    reader.look()
    # What may have been written elsewhere in between nobody knows behind a restart.
    assert [b"first", *(["deleted"] * is_restarted), b"second", b"third"] == reader.lines


def test_a_late_line_is_kept_when_its_file_comes_back(tmp_path: Path) -> None:
    link = tmp_path / "current.log"
    blue, green = tmp_path / "blue.txt", tmp_path / "green.txt"
    append(blue, "first\n")
    append(green, "second\n")
    flip(link, blue)
    reader = Reader(link).look()
    flip(link, green)
    reader.look()
    append(blue, "third without")
    reader.look()
    flip(link, blue)
    reader.look()
    append(blue, " newline\n")
    assert b"".join(map(bytes, reader.look().lines)) == b"firstsecondthird without newline"


def test_a_link_to_dated_files_is_followed_through_their_names(tmp_path: Path) -> None:
    link = tmp_path / "app.log"
    reader = Reader(link)
    for day in range(20, 24):
        file = tmp_path / f"app-202611{day}.log"
        append(file, f"day {day}\n")
        flip(link, file)
    reader.look()
    append(file, "more\n")
    assert reader.look().lines == [b"day 20", b"day 21", b"day 22", b"day 23", b"more"]


def test_a_file_that_was_rotated_where_a_link_leads_is_found_there(tmp_path: Path) -> None:
    target = tmp_path / "containers" / "id-json.log"
    target.parent.mkdir()
    append(target, "first\n")
    link = tmp_path / "0.log"
    link.symlink_to(target)
    reader = Reader(link).look().restart()
    append(target, "second\n")
    rotate(target, name="id-json.log.1")
    append(target, "third\n")
    assert reader.look().lines == [b"first", b"second", b"third"]


def flip(link: Path, target: Path) -> None:
    other = link.with_name("link.new")
    other.symlink_to(target)
    other.rename(link)


# What was at the path before.


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_file_that_was_moved_to_any_name_is_read_to_its_end(log: Path, is_closed: bool) -> None:
    reader = Reader(log).look()
    if is_closed:
        reader.restart()
    append(log, "second\n")
    log.rename(log.with_name("done"))
    assert reader.look().lines == [b"first", b"second"]
    append(log, "third\n")
    assert reader.restart().look().lines == [b"first", b"second", b"third"]


def test_a_file_in_the_folder_that_has_the_same_inode_by_now_is_another_one(log: Path) -> None:
    reader = Reader(log).look().restart()
    inode = log.stat().st_ino
    log.unlink()
    for attempt in range(50):
        other = log.with_name(f"other {attempt}")
        append(other, "something else\n")
        if other.stat().st_ino == inode:
            assert reader.look().lines == [b"first", "deleted"]
            return
    pytest.skip("this file system gives no inode away at once")


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_was_at_the_path_before_can_be_read_without_what_is_there_now(
    log: Path, is_closed: bool
) -> None:
    reader = Reader(log).look()
    if is_closed:
        reader.tail.close()
    append(log, "second\n" + "x" * 300_000 + "\nthird")
    rotate(log)
    append(log, "fourth\n")
    while True:
        look = reader.tail.look_back()
        reader.keep(look.items)
        if not look.more:
            break
    reader.keep(reader.tail.finish())
    assert [line[:6] for line in reader.lines] == [b"first", b"second", b"xxxxxx"]
    assert reader.tail.state().marks[0].identity == (
        log.with_name("app.log.1").stat().st_dev,
        log.with_name("app.log.1").stat().st_ino,
    )


def test_what_was_deleted_from_the_path_before_is_said_to_be_missing(log: Path) -> None:
    reader = Reader(log).look().restart()
    log.unlink()
    append(log.with_name("other"), "takes the inode\n")
    append(log, "second\n")
    assert [one for one in reader.tail.look_back().items if isinstance(one, Lost)] == [
        Lost("rotated")
    ]


def test_what_was_passed_over_is_not_read_but_what_is_written_later_is(log: Path) -> None:
    reader = Reader(log).look()
    append(log, "second\n")
    reader.tail.pass_over()
    reader = reader.restart()
    append(log, "third\n")
    assert reader.look().lines == [b"first", b"third"]
    rotate(log)
    append(log, "fourth\n")
    assert reader.restart().taken() == [b"first", b"third", b"fourth"]
