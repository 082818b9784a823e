"""Reading watched files goes on whatever is scarce, broken, replaced late or moved away."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from runcast.config_watch import WatchFiles
from runcast.runtime.watching import reader, tailing
from runcast.stores import Selection
from runcast.tail import files
from tests.runtime.watched import Watcher, append, settings, until, watching

FILES = 300
SPARE = 90  # descriptors, of which a server needs some for other things


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def descriptors() -> list[str]:
    """Return where the descriptors of this process lead to, one after the other."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return found


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """Let this process have only a few more descriptors than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Half of them are for files, whatever other tests have left open.
    few = 2 * len(descriptors()) + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    yield few
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def none_left() -> Iterator[None]:
    """Hold all descriptors that this process could still open."""
    held: list[int] = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        yield
    finally:
        for fd in held:
            os.close(fd)


async def test_more_files_than_descriptors_are_read_and_some_are_left_for_others(
    data_dir: Path, root: Path, few_descriptors: int
) -> None:
    names = [f"{number}.log" for number in range(FILES)]
    most = 0
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        for round_ in range(2):
            for name in names:
                append(root / name, f"{round_}\n")
            wanted = [str(one) for one in range(round_ + 1)]

            async def all_read(wanted: list[str] = wanted) -> bool:
                nonlocal most
                most = max(most, len(descriptors()))
                runs = await watcher.runs()
                return len(runs) == FILES and await watcher.said(names[-1]) == wanted

            await until(all_read, timeout=30)
            for name in names:
                await watcher.until_said(name, *wanted)
    assert most < few_descriptors - SPARE / 4


async def test_what_finds_no_descriptor_is_read_when_there_are_some(
    data_dir: Path,
    root: Path,
    tmp_path: Path,
    few_descriptors: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "STARVED_S", 0.05)
    log, following = root / "a.log", tmp_path / "next"
    log.write_text("one\n")
    following.write_text("two\n")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        with capture_logs() as said, none_left():
            log.rename(root / "a.log.1")
            following.rename(log)
            await until(lambda: "watch.no_descriptors" in [one["event"] for one in said])
            assert watcher.state.unreadable == 0
        await watcher.until_said("a.log", "one", "two")


async def test_that_a_file_cannot_be_read_is_not_told_again_after_a_restart(
    data_dir: Path, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("not for anybody\n")
    (root / "a.log").symlink_to(tmp_path / "secret")
    given = settings(data_dir, root, ingest="always")
    for life in range(2):
        async with watching(given) as watcher:
            await until(watcher.runs)
            await watcher.until_said("a.log", "<error>")
            await until(lambda: watcher.state.unreadable == 1)
            (root / f"{life}.log").write_text("one\n")
            await until(lambda: watcher.state.sources == life + 2)  # noqa: B023
            await watcher.until_said(f"{life}.log", "one")
    (root / "a.log").unlink()
    (root / "a.log").write_text("two\n")
    async with watching(given) as watcher:
        await until(lambda: watcher.state.unreadable == 0)
    async with watching(given) as watcher:
        await watcher.until_said("a.log", "<error>", "two")


def pair(root: Path, tmp_path: Path) -> Path:
    """Make a pair of files one of which cannot be read, and a marker that says that it ended."""
    (tmp_path / "secret").write_text("not for anybody\n")
    folder = root / "job"
    folder.mkdir()
    (folder / "out").write_text("one\n")
    (folder / "err").symlink_to(tmp_path / "secret")
    (folder / "done").write_text("0\n")
    return folder


PAIR = {
    "glob": "*",
    "files": WatchFiles(stdout="out", stderr="err"),
    "end": "marker",
    "marker": "done",
}


async def until_surveyed(watcher: Watcher, root: Path) -> None:
    """Wait until everything was looked at once more."""
    folder = root / f"other-{watcher.state.sources}"
    folder.mkdir()
    (folder / "out").write_text("x\n")
    (folder / "done").write_text("0\n")
    os.utime(folder / "done", (1, 1))

    async def has_ended() -> bool:
        return (await watcher.runs()).get(folder.name) == "completed"

    await until(has_ended)


async def test_a_file_that_cannot_be_read_for_long_keeps_no_run_from_ending(
    data_dir: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "TROUBLED_S", 0.3)
    folder = pair(root, tmp_path)
    async with watching(settings(data_dir, root, **PAIR)) as watcher:
        await watcher.until_runs(job="completed")
        assert await watcher.said("job") == ["one", "<error>"]
        for _ in range(3):
            await until_surveyed(watcher, root)
        assert "job.2" not in await watcher.runs()
        (folder / "err").unlink()
        (folder / "err").write_text("another\n")

        async def has_another() -> bool:
            return (await watcher.runs()).get("job.2") == "completed"

        await until(has_another)
        assert (await watcher.said("job.2"))[-1] == "! another"


async def test_a_run_waits_for_a_file_that_cannot_be_read_for_a_moment(
    data_dir: Path, root: Path, tmp_path: Path
) -> None:
    folder = pair(root, tmp_path)
    async with watching(settings(data_dir, root, **PAIR)) as watcher:
        await until(watcher.runs)
        await watcher.until_said("job", "one", "<error>")
        await until_surveyed(watcher, root)
        assert (await watcher.runs())["job"] == "running"
        (folder / "err").unlink()
        (folder / "err").write_text("warning\n")

        async def has_ended() -> bool:
            return (await watcher.runs())["job"] == "completed"

        await until(has_ended)
        assert (await watcher.said("job"))[-1] == "! warning"


async def test_late_lines_are_read_after_the_file_is_quiet_until_nobody_writes_them_any_more(
    data_dir: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BUSY_S", 0.05)
    monkeypatch.setattr(reader, "LATE_POLL_S", 0.2)
    monkeypatch.setattr(files, "LATE_S", 1.5)
    log, old = root / "a.log", root / "a.log.1"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        log.rename(old)
        log.write_text("two\n")
        await watcher.until_said("a.log", "one", "two")
        (root / "b.log").write_text("x\n")
        await until(lambda: watcher.state.sources == 2)
        append(old, "late\n")
        await watcher.until_said("a.log", "one", "two", "late")
        await until(lambda: str(old) not in descriptors())
        assert str(log) in descriptors()


async def test_a_file_that_was_only_moved_is_read_to_its_end_where_it_is(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    given = settings(data_dir, root, end="rename", glob="*.log")
    async with watching(given) as watcher:
        with watcher.following(Selection(run_id="a.log")):
            await until(watcher.runs)
            await watcher.until_said("a.log", "one")
        await until(lambda: watcher.state.tailed == 0)
        append(log, "two\n")
        log.rename(root / "a.done")
        await watcher.until_runs(a_log="completed")
        assert await watcher.said("a.log") == ["one", "two"]
