"""Watched runs end when their files say so, after everything in these was read."""

import json
import os
import time
from pathlib import Path

import pytest

from runcast.core.runs import Run
from runcast.stores import Selection
from tests.runtime.watched import Watcher, append, settings, until, watching

OLD = (1, 1)  # when a file was touched last


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


async def ended(watcher: Watcher, run_id: str) -> Run:
    """Return a run once it has ended."""

    async def has_ended() -> bool:
        return (await watcher.runs()).get(run_id, "running") != "running"

    await until(has_ended)
    return await watcher.runtime.get(run_id)


async def test_a_marker_ends_a_run_that_nobody_follows_after_it_was_read(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, end="marker", marker="{stem}.exit")
    (root / "a.log").write_text("one\ntwo")
    async with watching(given) as watcher:
        await until(watcher.runs)
        assert await watcher.said("a.log") == []
        (root / "a.exit").write_text("3\n")
        run = await ended(watcher, "a.log")
        assert (run.status, run.reason, run.exit_code) == ("failed", "exit", 3)
        assert run.error == "the command exited with code 3"
        assert await watcher.said("a.log") == ["one", "two…"]
        assert (watcher.state.tailed, watcher.state.ended) == (0, 1)
        kept = await watcher.runtime.store.checkpoint("a.log")
        assert kept.finished


async def test_a_marker_that_says_that_the_run_goes_on_is_no_end(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, recipe="conductor")
    folder = root / "project" / "task" / "runs" / "r-1"
    folder.mkdir(parents=True)
    (folder / "agent-stdout.txt").write_text("out\n")
    (folder / "run-info.yaml").write_text("status: running\nexit_code: -1\n")
    async with watching(given) as watcher:
        await until(watcher.runs)
        run = await watcher.runtime.get("r-1")
        assert (run.task_id, run.metadata["path"]) == ("task", "project/task/runs/r-1")
        with watcher.following(Selection(task_id="task")):
            await watcher.until_said("r-1", "out")
            (folder / "agent-stderr.txt").write_text("err\n")
            await watcher.until_said("r-1", "out", "! err")
            (folder / "run-info.yaml").write_text("status: completed\nexit_code: 0\n")
            run = await ended(watcher, "r-1")
    assert (run.status, run.reason, run.exit_code) == ("completed", "exit", 0)


@pytest.mark.parametrize(
    ("marker", "status", "reason"),
    [
        ("", "completed", None),
        ("0", "completed", "exit"),
        ("status: failed", "failed", None),
        ("status: failed\nexit_code: 0\nended_at: 2026-01-02T03:04:05Z", "failed", None),
        ("status: cancelled\nexit_code: 143", "cancelled", "cancelled"),
        ("exit_code: -9", "failed", "signal"),
    ],
)
async def test_how_it_ended_is_what_the_marker_says(
    data_dir: Path, root: Path, marker: str, status: str, reason: str | None
) -> None:
    (root / "a.log").write_text("one\n")
    (root / "done").write_text(marker)
    given = settings(data_dir, root, end="marker", marker="done")
    async with watching(given) as watcher:
        await until(watcher.runs)
        run = await ended(watcher, "a.log")
        assert (run.status, run.reason) == (status, reason)
        assert run.started_at is not None
        assert run.ended_at is not None
        assert run.started_at <= run.ended_at
        assert await watcher.said("a.log") == ["one"]


def result(text: str, *, failed: bool) -> str:
    said = {"type": "result", "subtype": "success", "is_error": failed, "result": text}
    return json.dumps(said) + "\n"


@pytest.mark.parametrize(
    ("said", "marker", "status", "reason"),
    [
        (result("done", failed=False), "0", "completed", "exit"),
        (result("no money", failed=True), "0", "failed", "agent"),
        (result("no money", failed=True), "", "failed", "agent"),
        ("", "0", "failed", "agent"),
        ("", "", "completed", None),
    ],
)
async def test_what_an_agent_said_of_its_end_is_weighed(
    data_dir: Path, root: Path, said: str, marker: str, status: str, reason: str | None
) -> None:
    (root / "a.log").write_text(said)
    (root / "done").write_text(marker)
    given = settings(data_dir, root, end="marker", marker="done", format="claude")
    async with watching(given) as watcher:
        await until(watcher.runs)
        run = await ended(watcher, "a.log")
        assert (run.dialect, run.status, run.reason) == ("claude", status, reason)


async def test_what_an_agent_asked_is_withdrawn_at_the_end(data_dir: Path, root: Path) -> None:
    log = root / "a.log"
    request = {"subtype": "can_use_tool", "tool_name": "Write", "input": {}}
    asked = {"type": "control_request", "request_id": "q", "request": request}
    log.write_text(json.dumps(asked) + "\n")
    given = settings(data_dir, root, end="marker", marker="done", format="claude")
    async with watching(given) as watcher:
        with watcher.following():
            await until(watcher.runs)
            await watcher.until_said("a.log", "<approval>")
    async with watching(given) as watcher:
        (root / "done").write_text("0")
        run = await ended(watcher, "a.log")
        assert run.pending_approvals == 0
        states = [approval.state for approval in await watcher.runtime.approvals("a.log")]
        assert states == ["withdrawn"]


async def test_an_idle_file_ends_its_run_and_what_comes_later_is_another(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="idle", idle_s=0.5)) as watcher:
        begun = time.monotonic()
        run = await ended(watcher, "a.log")
        assert time.monotonic() - begun > 0.4
        assert (run.status, run.reason, run.exit_code) == ("completed", None, None)
        assert await watcher.said("a.log") == ["one"]
        append(log, "two\n")
        await watcher.until_runs(a_log="completed", a_log_2="running")
        second = await watcher.runtime.get("a.log.2")
        assert (second.task_id, second.metadata["part"]) == ("a.log", 2)
        with watcher.following():
            await watcher.until_said("a.log.2", "two")
        await watcher.until_runs(a_log="completed", a_log_2="completed")
        append(log, "three\n")
        await ended(watcher, "a.log.3")
        assert await watcher.said("a.log.3") == ["three"]


async def test_many_old_files_end_one_after_the_other_with_nobody_following(
    data_dir: Path, root: Path
) -> None:
    for number in range(30):
        (root / f"{number}.log").write_text(f"{number}\n")
        os.utime(root / f"{number}.log", OLD)
    async with watching(settings(data_dir, root, end="idle")) as watcher:
        await until(lambda: watcher.state.ended == 30)
        assert set((await watcher.runs()).values()) == {"completed"}
        for number in range(30):
            assert await watcher.said(f"{number}.log") == [str(number)]


async def test_a_file_that_is_gone_ends_its_run_unless_another_takes_its_place(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="rename", glob="*.log")) as watcher:
        with watcher.following():
            await until(watcher.runs)
            await watcher.until_said("a.log", "one")
            log.rename(root / "a.log.1")
            log.write_text("two\n")
            await watcher.until_said("a.log", "one", "two")
            append(log, "three")
            log.rename(root / "a.done")
            run = await ended(watcher, "a.log")
            assert (run.status, run.reason) == ("completed", None)
            assert await watcher.said("a.log") == ["one", "two", "three…"]
            log.write_text("four\n")
            await watcher.until_runs(a_log="completed", a_log_2="running")
            await watcher.until_said("a.log.2", "four")


async def test_after_a_restart_an_ended_run_goes_on_as_another_where_it_stopped(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, end="idle", idle_s=0.1)
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await ended(watcher, "a.log")
    append(log, "two\n")
    async with watching(given) as watcher:
        await ended(watcher, "a.log.2")
        assert await watcher.said("a.log.2") == ["two"]


CRI = "2026-11-21T08:57:30.123456789Z"
DOCKER = json.dumps({"log": "x\n", "stream": "stdout", "time": CRI})


@pytest.mark.parametrize(
    ("fields", "text", "said"),
    [
        ({}, "", []),
        ({}, "one\nhalf", ["one", "half…"]),
        ({"format": "claude"}, "{half", ["{half"]),
        ({"format": "cri"}, f"{CRI} stdout P half\n", ["half…"]),
        ({"format": "cri"}, f"{CRI} stdout F one\n{CRI[:9]}", ["one", CRI[:9]]),
        ({"format": "cri", "dialect": "claude"}, f"{CRI} stdout P half\n", ["half"]),
        ({"format": "docker-json"}, DOCKER[:9], [DOCKER[:9]]),
    ],
)
async def test_what_was_unfinished_at_the_end_is_not_the_begin_of_another_run(
    data_dir: Path, root: Path, fields: dict[str, str], text: str, said: list[str]
) -> None:
    (root / "a.log").write_text(text)
    async with watching(settings(data_dir, root, end="idle", idle_s=0.1, **fields)) as watcher:
        await ended(watcher, "a.log")
        assert await watcher.said("a.log") == said
        (root / "b.log").write_text("")
        await ended(watcher, "b.log")
        assert set(await watcher.runs()) == {"a.log", "b.log"}


async def test_an_empty_file_in_the_place_of_an_ended_one_begins_no_run(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, end="idle", idle_s=0.1)) as watcher:
        await ended(watcher, "a.log")
        log.rename(root / "a.log.1")
        log.touch()
        (root / "b.log").write_text("")
        await ended(watcher, "b.log")
        assert set(await watcher.runs()) == {"a.log", "b.log"}
        append(log, "two\n")
        await ended(watcher, "a.log.2")
        assert await watcher.said("a.log.2") == ["two"]
