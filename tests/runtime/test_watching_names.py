"""Watched files under new names, under two names, and those that rotation has renamed."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from runcast.config_watch import WatchSettings
from runcast.stores import Selection
from tests.runtime.watched import append, settings, until, watching

LINE = "a line that is long enough for the beginning of a file to be known again by it\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("ingest", ["always", "watched"])
async def test_a_file_that_gets_another_name_goes_on_as_the_run_of_that(
    data_dir: Path, root: Path, ingest: str
) -> None:
    before, after = root / "job.part.log", root / "job.log"
    before.write_text("one\n")
    async with watching(settings(data_dir, root, ingest=ingest)) as watcher:
        await watcher.until_runs(job_part_log="running")
        read = ["one"] if ingest == "always" else []
        await watcher.until_said("job.part.log", *read)
        before.rename(after)
        append(after, "two\n")
        await watcher.until_runs(job_part_log="running", job_log="running")
        with watcher.following():
            append(after, "three\n")
            rest = [text for text in ("one", "two", "three") if text not in read]
            both = [*read, *rest]
            await until(lambda: watcher.state.not_ingested == 0)

            async def all_read() -> bool:
                said = [await watcher.said(one) for one in ("job.part.log", "job.log")]
                return said[0] + said[1] == both

            await until(all_read)
            before.write_text("the next job\n")

            async def next_read() -> bool:
                return "the next job" in await watcher.said("job.part.log")

            await until(next_read)
            assert await all_read() or (await watcher.said("job.log"))[-1] == "three"


async def test_a_file_that_gets_another_name_while_the_server_is_down_is_read_once(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, ingest="always")
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="running")
        await watcher.until_said("a.log", "one")
    append(log, "two\n")
    log.rename(root / "z.log")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="running", z_log="running")

        async def all_read() -> bool:
            said = await watcher.said("a.log") + await watcher.said("z.log")
            return said == ["one", "two"]

        await until(all_read)
        append(root / "z.log", "three\n")
        await until(lambda: watcher.state.tailed == 2)

        async def read_on() -> bool:
            return (await watcher.said("z.log"))[-1:] == ["three"]

        await until(read_on)
        (root / "b.log").write_text("x\n")
        await watcher.until_runs(a_log="running", z_log="running", b_log="running")
        assert "three" not in await watcher.said("a.log")


async def test_a_file_that_is_renamed_after_its_run_has_ended_is_a_run_once_it_grows(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="idle", idle_s=0.1)) as watcher:
        await watcher.until_runs(a_log="completed")
        log.rename(root / "z.log")
        (root / "b.log").write_text("x\n")
        await watcher.until_runs(a_log="completed", b_log="completed")
        append(root / "z.log", "two\n")
        await watcher.until_runs(a_log="completed", b_log="completed", z_log="completed")
        assert await watcher.said("z.log") == ["two"]


async def test_a_folder_that_gets_another_name_goes_on_as_the_run_of_that(
    data_dir: Path, root: Path
) -> None:
    files = {"stdout": "out", "stderr": "err"}
    given = settings(data_dir, root, ingest="always")
    entry = WatchSettings(root=str(root), ingest="always")
    entry.files = replace(entry.files, **files)
    given.watch["logs"] = entry
    folder = root / "run-1"
    folder.mkdir()
    (folder / "out").write_text("one\n")
    async with watching(given) as watcher:
        await watcher.until_runs(**{"run-1": "running"})
        await watcher.until_said("run-1", "one")
        folder.rename(root / "run-1-2")
        await watcher.until_runs(**{"run-1": "running", "run-1-2": "running"})
        append(root / "run-1-2" / "out", "two\n")
        await watcher.until_said("run-1-2", "two")
        assert await watcher.said("run-1") == ["one"]


async def test_older_generations_that_are_there_at_the_start_are_no_runs(
    data_dir: Path, root: Path
) -> None:
    log = root / "app.log"
    for name in ("app.log.2", "app.log.1", "app.log", "app-20261120.log", "other-1.log"):
        (root / name).write_text(f"{name} {LINE}")
        os.utime(root / name, (1, 1))
    given = settings(data_dir, root, glob="*.log*", ingest="always")
    runs = {"app_log": "running", "other-1_log": "running"}
    async with watching(given) as watcher:
        await watcher.until_runs(**runs)
        await until(lambda: watcher.state.older == 3)
        (root / "app.log.2").rename(root / "app.log.3")
        (root / "app.log.1").rename(root / "app.log.2")
        log.rename(root / "app.log.1")
        log.write_text("new\n")
        await watcher.until_said("app.log", f"app.log {LINE}".strip(), "new")
        await watcher.until_runs(**runs)


async def test_generations_of_which_nothing_is_kept_are_no_runs_after_a_restart(
    data_dir: Path, root: Path
) -> None:
    log = root / "app.log"
    given = settings(data_dir, root, glob="*", ingest="always")
    log.write_text("0\n")
    async with watching(given) as watcher:
        await watcher.until_runs(app_log="running")
        for number in range(1, 8):
            await watcher.until_said("app.log", *map(str, range(number)))
            log.rename(root / f"app.log.{10 - number}")
            log.write_text(f"{number}\n")
    async with watching(given) as watcher:
        await watcher.until_said("app.log", *map(str, range(8)))
        await until(lambda: watcher.state.older == 7)
        assert await watcher.runs() == {"app.log": "running"}


async def test_a_second_path_to_a_file_is_a_run_of_its_own_whenever_it_is_made(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text(LINE)
    (root / "early.log").symlink_to("a.log")
    async with watching(settings(data_dir, root, glob="*", ingest="always")) as watcher:
        await watcher.until_runs(a_log="running", early_log="running")
        await watcher.until_said("a.log", LINE.strip())
        (root / "sym.log").symlink_to("a.log")
        os.link(log, root / "hard.log")
        os.link(log, root / "a.log.1")
        names = ("a.log", "early.log", "sym.log", "hard.log")
        await watcher.until_runs(**{name.replace(".", "_"): "running" for name in names})
        append(log, "two\n")
        for name in names:
            await watcher.until_said(name, LINE.strip(), "two")


async def test_what_a_link_led_to_before_is_read_from_its_beginning(
    data_dir: Path, root: Path
) -> None:
    (root / "latest.log").symlink_to("one.txt")
    for name in ("one", "two"):
        (root / f"{name}.txt").write_text(f"{name} {LINE}")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await watcher.until_said("latest.log", f"one {LINE}".strip())
        (root / "new").symlink_to("two.txt")
        (root / "new").rename(root / "latest.log")
        await watcher.until_said("latest.log", f"one {LINE}".strip(), f"two {LINE}".strip())
        os.link(root / "one.txt", root / "one.log")
        await watcher.until_said("one.log", f"one {LINE}".strip())


async def test_files_that_were_made_while_the_server_was_down_are_not_skipped(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, start="end", ingest="always")
    (root / "old.log").write_text("skipped\n")
    async with watching(given) as watcher:
        await watcher.until_runs(old_log="running")
    (root / "new.log").write_text("one\n")
    append(root / "old.log", "two\n")
    async with watching(given) as watcher:
        await watcher.until_said("old.log", "two")
        await watcher.until_runs(old_log="running", new_log="running")
        await watcher.until_said("new.log", "one")


async def test_of_two_entries_the_first_in_the_settings_has_the_plain_id(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root)
    second = WatchSettings(root=str(root), glob="*", ingest="always")
    given.watch = {"one": given.watch["logs"], "two": second}
    for name in ("a", "b"):
        (root / f"{name}.log").write_text("x\n")
    async with watching(given) as watcher:

        async def counted(count: int) -> bool:
            return len(await watcher.runs()) == count

        await until(lambda: counted(4))
        for number in range(10):
            (root / f"{number}.log").write_text("x\n")
            await until(lambda number=number: counted(6 + 2 * number))
        for name in ("a", "b", *range(10)):
            assert (await watcher.runtime.get(f"{name}.log")).kind == "one"


async def test_a_folder_behind_a_link_out_of_the_root_is_not_looked_into(
    data_dir: Path, root: Path, tmp_path: Path
) -> None:
    for folder in (tmp_path / "outside", root / "inside"):
        folder.mkdir()
        (folder / "a.log").write_text("x\n")
    (root / "in").symlink_to("inside")
    (root / "out").symlink_to(tmp_path / "outside")
    async with watching(settings(data_dir, root, glob="*/*.log")) as watcher:
        await watcher.until_runs(inside_a_log="running", in_a_log="running")
        (root / "new").symlink_to(tmp_path / "outside")
        (root / "new").rename(root / "in")
        (root / "inside" / "b.log").write_text("x\n")
        (tmp_path / "outside" / "c.log").write_text("x\n")
        await watcher.until_runs(inside_a_log="running", in_a_log="running", inside_b_log="running")


async def test_rotation_is_followed_where_older_generations_have_doubtful_names(
    data_dir: Path, root: Path
) -> None:
    log = root / "app.log"
    log.write_text(f"1 {LINE}")
    async with watching(settings(data_dir, root)) as watcher:
        with watcher.following(Selection(run_id="app.log")):
            await watcher.until_said("app.log", f"1 {LINE}".strip())
            log.rename(root / "app-1.log")
            log.write_text("2\n")
            await watcher.until_said("app.log", f"1 {LINE}".strip(), "2")
            (root / "b.log").write_text("")
            await watcher.until_runs(app_log="running", b_log="running")
            assert watcher.state.older == 1
