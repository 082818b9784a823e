"""`runcast tail DIR`: every file of a folder is shown as it grows, whole lines at a time."""

import contextlib
import gzip
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.commands import RUNCAST
from tests.cli.following import Follower, following, on_a_terminal, read_until
from tests.support.server import clean_environment
from tests.support.waiting import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is shown; what is printed is kept beside it."""
    made = tmp_path / "logs"
    made.mkdir()
    return made


def tail(folder: Path, *words: str) -> contextlib.AbstractContextManager[Follower]:
    return following(folder.parent, "tail", str(folder), *words)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def seq(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % n for n in range(first, last + 1))


def prefixed(name: str, data: bytes) -> bytes:
    return b"".join(b"%s | %s" % (name.encode(), line) for line in data.splitlines(keepends=True))


def test_the_last_lines_of_every_file_come_first_then_what_is_written(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.log").write_bytes(seq(1, 20))
    (folder / "deep" / "er" / "b.log").write_bytes(seq(1, 3))
    (folder / ".hidden").write_bytes(b"not this\n")
    beginning = prefixed("a.log", seq(11, 20)) + prefixed("deep/er/b.log", seq(1, 3))
    with tail(folder) as follower:
        follower.shows(beginning)
        append(folder / "deep" / "er" / "b.log", b"4\n")
        follower.shows(beginning + b"deep/er/b.log | 4\n")
        assert follower.interrupt() == 130
        assert follower.err.strip() == b""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--lines", "1"], b"a.log | 3\nb.txt | 3\n"),
        (["--from-start", "--glob", "*.log"], prefixed("a.log", seq(1, 3))),
    ],
)
def test_where_to_begin_and_what_to_show_can_be_chosen(
    folder: Path, words: list[str], shown: bytes
) -> None:
    for name in ("a.log", "b.txt"):
        (folder / name).write_bytes(seq(1, 3))
    with tail(folder, *words) as follower:
        follower.shows(shown)
        append(folder / "a.log", b"4\n")
        follower.shows(shown + b"a.log | 4\n")


def test_with_no_lines_only_what_comes_later_is_shown(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"earlier\n")
    with tail(folder, "--lines", "0") as follower:
        until(lambda: is_shown(b"later\n", folder / "a.log", follower), "a line that came later")
        assert set(follower.out.splitlines()) == {b"a.log | later"}


def is_shown(line: bytes, path: Path, follower: Follower) -> bool:
    """Write a line, for nobody knows whether the program has begun; tell whether one was shown."""
    append(path, line)
    return line in follower.out


def test_new_files_are_shown_from_their_beginning_in_new_folders_too(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"1\n")
    with tail(folder) as follower:
        follower.shows(b"a.log | 1\n")
        (folder / "new").mkdir()
        (folder / "new" / "b.log").write_bytes(seq(1, 30))
        follower.shows(b"a.log | 1\n" + prefixed("new/b.log", seq(1, 30)))


def test_a_line_is_not_cut_by_those_of_other_files(folder: Path) -> None:
    one, other = folder / "a", folder / "b"
    one.write_bytes(b"")
    other.write_bytes(b"begun\n")
    with tail(folder) as follower:
        follower.shows(b"b | begun\n")
        append(one, b"the first half, ")
        append(other, b"between\n")
        follower.shows(b"b | begun\nb | between\n", timeout=0.5)
        append(one, b"the second half\n")
        follower.shows(b"b | begun\nb | between\na | the first half, the second half\n")


def test_the_beginning_of_a_line_is_shown_after_a_second_and_goes_on(folder: Path) -> None:
    one, other = folder / "a", folder / "b"
    one.write_bytes(b"50%")
    other.write_bytes(b"")
    with tail(folder) as follower:
        follower.shows(b"a | 50%")
        append(one, b" 60%")
        follower.shows(b"a | 50% 60%")
        append(other, b"between\n")
        follower.shows(b"a | 50% 60%\nb | between\n")
        append(one, b" 70%\n")
        follower.shows(b"a | 50% 60%\nb | between\na |  70%\n")


def test_very_long_lines_of_two_files_stay_whole(folder: Path) -> None:
    lines = {name: name.encode() * 700_000 + b"\n" for name in ("a", "b")}
    for name in lines:
        (folder / name).write_bytes(b"")
    with tail(folder) as follower:
        until(lambda: descriptors(follower) > 6, "the files to be open")
        for name, line in lines.items():
            append(folder / name, line)
        until(lambda: follower.out.count(b"\n") == 2, "two lines")
        found = sorted(follower.out.splitlines(keepends=True))
        assert found == [prefixed(name, line) for name, line in lines.items()]


def test_rotation_by_renaming_shows_every_line_once(folder: Path) -> None:
    path = folder / "app.log"
    path.write_bytes(b"1\n")
    (folder / "app.log.1").write_bytes(b"old\n")
    with tail(folder) as follower:
        shown = b"app.log | 1\napp.log.1 | old\n"
        follower.shows(shown)
        for n in range(2, 5):
            (folder / "app.log.1").rename(folder / "app.log.2")
            path.rename(folder / "app.log.1")
            path.write_bytes(b"%d\n" % n)
            shown += b"app.log | %d\n" % n
            follower.shows(shown)
        append(path, b"last\n")
        follower.shows(shown + b"app.log | last\n")
        assert follower.err == b""


def test_rotation_by_copying_shows_no_line_twice(folder: Path) -> None:
    path, copy = folder / "app.log", folder / "app.log.1"
    path.write_bytes(generation(0))
    copy.write_bytes(b"old\n")
    shown = prefixed("app.log", generation(0)) + b"app.log.1 | old\n"
    with tail(folder) as follower:
        follower.shows(shown)
        for n in range(1, 4):
            copy.rename(folder / "app.log.2")
            shutil.copy(path, copy)
            os.truncate(path, 0)
            gaps = b"app.log | runcast: output is missing: truncated\n" * n
            until(lambda: follower.err == gaps, "the truncation to be said")  # noqa: B023
            append(path, generation(n))
            shown += prefixed("app.log", generation(n))
            follower.shows(shown)


def generation(n: int) -> bytes:
    return b"".join(
        b"%d: a line that is long enough to be known again, %d\n" % (n, i) for i in range(10)
    )


def test_a_file_that_begins_like_another_is_shown_all_the_same(folder: Path) -> None:
    (folder / "web.log").write_bytes(b"started\n")
    with tail(folder) as follower:
        follower.shows(b"web.log | started\n")
        (folder / "web-1.log").write_bytes(b"started\n")
        follower.shows(b"web.log | started\nweb-1.log | started\n")


def test_a_removed_file_falls_silent_and_a_new_one_of_its_name_is_shown(folder: Path) -> None:
    path = folder / "a"
    path.write_bytes(b"1\n")
    with tail(folder) as follower:
        follower.shows(b"a | 1\n")
        path.unlink()
        path.write_bytes(b"2\n")
        follower.shows(b"a | 1\na | 2\n")


def test_what_is_no_text_is_said_once_and_left_out(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"1\n")
    for n in range(5):
        (folder / f"{n}.gz").write_bytes(gzip.compress(os.urandom(2_000)))
    with tail(folder) as follower:
        follower.says(b"runcast: 0.gz, 1.gz, 2.gz and 2 more: not shown, since it is no text\n")
        follower.shows(b"a.log | 1\n")
        append(folder / "0.gz", b"more\n")
        append(folder / "a.log", b"2\n")
        follower.shows(b"a.log | 1\na.log | 2\n")
        assert follower.err.count(b"\n") == 1


def test_pipes_and_names_that_are_no_text_do_no_harm(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")
    with open(os.fsencode(folder) + b"/odd \xff\n\x1b[2J", "wb") as file:
        file.write(b"1\n")
    with tail(folder) as follower:
        follower.shows(b"odd \\xff | 1\n")
        assert follower.err == b""


def test_files_behind_links_are_shown(folder: Path) -> None:
    target = folder.parent / "elsewhere"
    target.write_bytes(b"1\n")
    (folder / "link.log").symlink_to(target)
    with tail(folder) as follower:
        follower.shows(b"link.log | 1\n")
        append(target, b"2\n")
        follower.shows(b"link.log | 1\nlink.log | 2\n")


def test_a_file_keeps_its_name_and_every_line_where_a_link_to_it_lies_beside_it(
    folder: Path,
) -> None:
    path = folder / "b.log"
    path.write_bytes(b"1\n")
    for name in ("a-link.log", "link.log"):
        (folder / name).symlink_to("b.log")
    with tail(folder, "--from-start") as follower:
        shown = b"b.log | 1\n"
        follower.shows(shown)
        for n in range(2, 6):
            append(path, b"last of %d\n" % n)
            path.rename(folder / f"b.log.{n}")
            path.write_bytes(b"first of %d\n" % n)
            shown += b"b.log | last of %d\nb.log | first of %d\n" % (n, n)
            follower.shows(shown)
        assert follower.err == b""


def test_a_file_is_shown_to_its_end_before_what_takes_its_place_is_left_out(folder: Path) -> None:
    path, other = folder / "a.log", folder.parent / "other"
    path.write_bytes(b"1\n")
    other.write_bytes(gzip.compress(os.urandom(2_000)))
    with tail(folder) as follower:
        follower.shows(b"a.log | 1\n")
        append(path, b"2\n3")
        path.rename(folder / "a.log.1")
        other.rename(path)
        follower.says(b"runcast: a.log: not shown, since it is no text\n")
        follower.shows(b"a.log | 1\na.log | 2\na.log | 3")
        path.rename(other)
        path.write_bytes(b"4\n")
        follower.shows(b"a.log | 1\na.log | 2\na.log | 3\na.log | 4\n")


def test_what_no_hint_tells_of_is_found_by_looking(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(b"1\n")
    os.link(elsewhere, folder / "a")
    with tail(folder) as follower:
        follower.shows(b"a | 1\n")
        append(elsewhere, b"2\n")  # hints go by the path that is written to
        follower.shows(b"a | 1\na | 2\n")


def test_container_logs_go_to_the_streams_they_name(folder: Path) -> None:
    time_ = "2026-11-21T08:57:30.123456789Z"
    (folder / "0.log").write_text(f"{time_} stdout F out\n{time_} stderr F err\n")
    with tail(folder, "--format", "cri") as follower:
        follower.shows(b"0.log | out\n")
        follower.says(b"0.log | err\n")


def test_two_hundred_files_written_at_once_are_shown_completely(folder: Path) -> None:
    names = [f"worker-{n:03}.log" for n in range(200)]
    for name in names[:100]:
        (folder / name).write_bytes(b"")
    with tail(folder, "--from-start") as follower:
        for n in range(20):
            for name in names:
                append(folder / name, b"%d\n" % n)
        until(lambda: follower.out.count(b"\n") == 4_000, "all lines", timeout=20)
        lines = follower.out.splitlines()
        for name in names:
            own = [line.split(b" | ")[1] for line in lines if line.startswith(name.encode())]
            assert own == seq(0, 19).split()


def test_more_files_than_may_be_open_are_shown_completely(folder: Path) -> None:
    names = [f"worker-{n:03}.log" for n in range(150)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))  # the command inherits it
    try:
        for name in names:
            append(folder / name, b"1\n")
        with tail(folder) as follower:
            until(lambda: follower.out.count(b"\n") == 150, "the first lines")
            for name in names:
                append(folder / name, b"2\n")
            until(lambda: follower.out.count(b"\n") == 300, "all lines")
            assert follower.err == b""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_on_a_terminal_names_are_aligned_cut_and_coloured(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"\x1b[31mred\n")
    deep = folder / ("namespace_" * 3) / "container"
    deep.mkdir(parents=True)
    (deep / "0.log").write_bytes(b"1\n")
    with on_a_terminal("tail", str(folder)) as terminal:
        shown = read_until(terminal, b"1\n")
    coloured = b"\x1b[36m%s | \x1b[0m", b"\x1b[33m%s | \x1b[0m"
    first, second = b"a.log" + b" " * 15, "namesp…ntainer/0.log".encode()
    assert shown in (
        coloured[0] % b"a.log" + b"\x1b[31mred\x1b[0m\n" + coloured[1] % second + b"1\n",
        coloured[0] % first + b"\x1b[31mred\x1b[0m\n" + coloured[1] % second + b"1\n",
    )


def test_no_color_adds_none(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"1\n")
    with on_a_terminal("tail", str(folder), variables={"NO_COLOR": "1"}) as terminal:
        assert read_until(terminal, b"1\n") == b"a.log | 1\n"
    with on_a_terminal("tail", "--no-color", str(folder)) as terminal:
        assert read_until(terminal, b"1\n") == b"a.log | 1\n"


def test_many_idle_files_cost_next_to_nothing(folder: Path) -> None:
    for n in range(2_000):
        path = folder / f"{n % 20}" / f"{n}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"1\n")
        os.utime(path, (0, 0))
    with tail(folder) as follower:
        until(lambda: follower.out.count(b"\n") == 2_000, "all files", timeout=20)
        until(lambda: descriptors(follower) < 20, "the files to be given back")
        before, began = follower.processor_s(), time.monotonic()
        time.sleep(3)  # what is measured is a time
        used = (follower.processor_s() - before) / (time.monotonic() - began)
        assert used < 0.1
        append(folder / "7" / "7.log", b"awake\n")
        until(lambda: follower.out.endswith(b"7/7.log | awake\n"), "the line")


def descriptors(follower: Follower) -> int:
    return len(os.listdir(f"/proc/{follower.child.pid}/fd"))


def test_a_reader_that_leaves_ends_it_although_nothing_more_is_written(folder: Path) -> None:
    (folder / "a").write_bytes(b"1\n")
    child = subprocess.Popen(
        [*RUNCAST, "tail", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"a | 1\n"
    child.stdout.close()
    assert child.wait(20) == 141
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()


def test_what_is_no_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name, said in (("file", "is a file"), ("nothing", "does not exist")):
        ended = subprocess.run(
            [*RUNCAST, "tail", str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert said in ended.stderr
