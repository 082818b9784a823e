"""What becomes of a path after its run was removed or cancelled, and of runs without an entry."""

from pathlib import Path

import pytest
import structlog.testing

from runcast.config import Settings
from runcast.runtime.retention import PruneLimits
from tests.runtime.watched import Watcher, append, settings, until, watching

NONE = PruneLimits(max_count=0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


async def test_a_new_file_after_the_run_of_the_last_one_was_pruned_is_another_run(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, end="marker", marker="{stem}.exit")
    log, marker = root / "nightly.log", root / "nightly.exit"
    async with watching(given) as watcher:
        for night, run_id in enumerate(("nightly.log", "nightly.log.2", "nightly.log.3"), 1):
            log.write_text(f"night {night}\n")
            marker.write_text("0")
            await watcher.until_runs(**{run_id.replace(".", "_"): "completed"})
            assert (await watcher.said(run_id))[-1] == f"night {night}"
            assert await watcher.runtime.prune(NONE) == 1
            log.unlink()
            marker.unlink()
    async with watching(given) as watcher:
        await until(lambda: watcher.state.hints)
        log.write_text("night 4\n")
        await watcher.until_runs(nightly_log_4="running")
        assert (await watcher.runtime.get("nightly.log.4")).metadata["part"] == 4


async def test_a_file_that_grows_after_its_run_was_pruned_goes_on_where_that_stopped(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="idle", idle_s=0.1)) as watcher:
        await watcher.until_runs(a_log="completed")
        await watcher.runtime.prune(NONE)
        append(log, "two\n")
        await watcher.until_runs(a_log_2="completed")
        assert await watcher.said("a.log.2") == ["two"]


async def test_after_a_restart_what_may_belong_to_a_removed_run_is_left_alone_until_replaced(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, end="idle", idle_s=0.1)
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="completed")
        await watcher.runtime.prune(NONE)
    async with watching(given) as watcher:
        await until(lambda: watcher.state.left_alone == 1)
        append(log, "two\n")
        (root / "b.log").write_text("x\n")
        await watcher.until_runs(b_log="completed")
        log.rename(root / "a.log.1")
        log.write_text("three\n")
        await watcher.until_runs(b_log="completed", a_log_2="completed")
        assert await watcher.said("a.log.2") == ["three"]
        assert watcher.state.left_alone == 0


async def replaced(watcher: Watcher, log: Path, text: str) -> None:
    """Put another file in the place of one, after it was seen that nothing comes of the old."""
    append(log, "more\n")
    (log.parent / "b.log").write_text("x\n")
    await until(lambda: watcher.state.sources == 2)
    assert watcher.state.left_alone == 1
    log.rename(log.with_name("a.log.1"))
    log.write_text(text)


@pytest.mark.parametrize("restarts", [False, True])
async def test_after_a_cancel_another_file_at_the_path_is_another_run(
    data_dir: Path, root: Path, *, restarts: bool
) -> None:
    given = settings(data_dir, root, ingest="always")
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="running")
        await watcher.until_said("a.log", "one")
        await watcher.runtime.cancel("a.log")
        if not restarts:
            await replaced(watcher, log, "a new file\n")
            await watcher.until_runs(a_log="cancelled", b_log="running", a_log_2="running")
    async with watching(given) as watcher:
        if restarts:
            await until(lambda: watcher.state.left_alone == 1)
            await replaced(watcher, log, "a new file\n")
        await watcher.until_runs(a_log="cancelled", b_log="running", a_log_2="running")
        await watcher.until_said("a.log.2", "a new file")
        assert (await watcher.runtime.get("a.log.2")).task_id == "a.log"


async def test_after_a_delete_another_file_at_the_path_is_another_run(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="idle", idle_s=0.1)) as watcher:
        await watcher.until_runs(a_log="completed")
        await watcher.runtime.delete("a.log")
        await replaced(watcher, log, "a new file\n")
        await watcher.until_runs(b_log="completed", a_log_2="completed")
        assert await watcher.said("a.log.2") == ["a new file"]


async def test_a_run_that_its_marker_calls_cancelled_goes_on_as_another_after_a_restart(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, end="marker", marker="done")
    (root / "a.log").write_text("one\n")
    (root / "done").write_text("cancelled")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="cancelled")
    append(root / "a.log", "two\n")
    async with watching(given) as watcher:
        await watcher.until_runs(a_log="cancelled", a_log_2="cancelled")


async def test_runs_of_entries_that_are_gone_from_the_settings_are_told_of(
    data_dir: Path, root: Path
) -> None:
    for name in ("a", "b"):
        (root / f"{name}.log").write_text("x\n")
    async with watching(settings(data_dir, root)) as watcher:
        await watcher.until_runs(a_log="running", b_log="running")
    with structlog.testing.capture_logs() as told:
        async with watching(Settings(data_dir=str(data_dir))):
            await until(lambda: told)
    (line,) = [one for one in told if one["event"] == "watch.no_such_entry"]
    assert (line["entry"], line["running"]) == ("logs", 2)
