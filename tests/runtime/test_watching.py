"""Watched folders: what is found becomes runs, and is read while somebody follows them."""

import os
from pathlib import Path

import pytest

from runcast.config import Settings, Sse
from runcast.core.errors import Conflict
from runcast.core.events import run_log
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.interaction import Said
from runcast.stores import ALL_RUNS, RunFilter, Selection
from tests.runtime.watched import append, settings, until, watching


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def descriptors() -> set[str]:
    """Return the regular files that this process has open outside of its store."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return {name for name in found if name.startswith("/") and "/logs/" in name}


async def test_each_file_is_a_run_that_says_where_it_comes_from(data_dir: Path, root: Path) -> None:
    (root / "a b.log").write_text("one\n")
    (root / "other.txt").write_text("not asked for\n")
    async with watching(settings(data_dir, root)) as watcher:
        await until(watcher.runs)
        run = await watcher.runtime.get("a-b.log")
        assert (run.source, run.status, run.task_id) == ("watch", "running", "a-b.log")
        assert run.metadata == {"watch": "logs", "path": "a b.log"}
        assert (run.kind, run.dialect, run.workspace_id) == ("logs", "lines", "default")
        assert await watcher.runs() == {"a-b.log": "running"}


async def test_a_file_is_read_only_while_its_run_is_followed(data_dir: Path, root: Path) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root)) as watcher:
        await until(lambda: watcher.state.not_ingested == 1)
        assert await watcher.said("a.log") == []
        with watcher.following(Selection(run_id="a.log")):
            await watcher.until_said("a.log", "one")
            assert (watcher.state.tailed, watcher.state.not_ingested) == (1, 0)
            append(log, "two\n")
            await watcher.until_said("a.log", "one", "two")
            assert descriptors() == {str(log)}
        await until(lambda: watcher.state.tailed == 0)
        await until(lambda: not descriptors())
        append(log, "three\n")
        await until(lambda: watcher.state.not_ingested == 1)
        assert await watcher.said("a.log") == ["one", "two"]
        with watcher.following(Selection(run_id="a.log")):
            await watcher.until_said("a.log", "one", "two", "three")


@pytest.mark.parametrize(
    ("selection", "tailed"),
    [
        (ALL_RUNS, 2),
        (Selection(workspace_id="default"), 2),
        (Selection(task_id="one"), 1),
        (Selection(run_id="one.a.log"), 1),
        (Selection(workspace_id="other"), 0),
        (Selection(log="lifecycle"), 0),
        (Selection(log="messages"), 0),
    ],
)
async def test_who_follows_a_selection_has_its_files_read_and_no_others(
    data_dir: Path, root: Path, selection: Selection, tailed: int
) -> None:
    for name in ("one", "two"):
        (root / name).mkdir()
        (root / name / "a.log").write_text("x\n")
    given = settings(data_dir, root, glob="*/*.log", task_id="{1}")
    async with watching(given) as watcher:
        await until(lambda: watcher.state.not_ingested == 2)
        with watcher.following(selection), watcher.following(selection):
            await until(lambda: watcher.state.not_ingested == 2 - tailed)
            assert watcher.state.tailed == tailed
        await until(lambda: watcher.state.tailed == 0)


async def test_followers_of_the_log_itself_count_and_the_last_one_to_leave_ends_it(
    data_dir: Path, root: Path
) -> None:
    (root / "a.log").write_text("x\n")
    async with watching(settings(data_dir, root)) as watcher:
        await until(watcher.runs)
        first = await watcher.runtime.logs.follow(run_log("a.log"), 0)
        second = await watcher.runtime.logs.follow(run_log("a.log"), 0)
        await watcher.until_said("a.log", "x")
        first.close()
        first.close()
        append(root / "a.log", "y\n")
        await watcher.until_said("a.log", "x", "y")
        second.close()
        await until(lambda: watcher.state.tailed == 0)


async def test_what_is_ingested_always_needs_no_follower(data_dir: Path, root: Path) -> None:
    (root / "a.log").write_text("one\n")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        append(root / "a.log", "two\n")
        await watcher.until_said("a.log", "one", "two")


async def test_a_new_file_in_a_new_folder_is_on_the_stream_of_all_runs_at_once(
    data_dir: Path, root: Path
) -> None:
    given = settings(data_dir, root, glob="**/*.log")
    given.api.sse.discovery_interval_ms = 60_000
    async with watching(given) as watcher:
        with watcher.following():
            await until(lambda: watcher.state.hints)
            folder = root / "deep" / "deeper"
            folder.mkdir(parents=True)
            (folder / "a.log").write_text("hello\n")
            await until(watcher.runs)
            await watcher.until_said("deep.deeper.a.log", "hello")


async def test_without_hints_everything_is_found_and_read_by_looking(
    data_dir: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(data_dir, root, glob="**/*.log")
    with monkeypatch.context() as patch:
        patch.setattr("runcast.tail.hints.ctypes.CDLL", lambda *_, **__: object())
        async with watching(given) as watcher:
            with watcher.following():
                folder = root / "deep"
                folder.mkdir()
                (folder / "a.log").write_text("one\n")
                await until(watcher.runs)
                await watcher.until_said("deep.a.log", "one")
                append(folder / "a.log", "two\n")
                await watcher.until_said("deep.a.log", "one", "two")
                assert not watcher.state.hints


async def test_from_the_end_means_the_files_that_are_there_at_the_start_alone(
    data_dir: Path, root: Path
) -> None:
    (root / "old.log").write_text("before\n")
    async with watching(settings(data_dir, root, start="end")) as watcher:
        await until(watcher.runs)
        (root / "new.log").write_text("from the beginning\n")
        append(root / "old.log", "after\n")
        with watcher.following():
            await watcher.until_said("old.log", "after")
            await until(lambda: watcher.state.sources == 2)
            await watcher.until_said("new.log", "from the beginning")


async def test_what_is_too_old_when_first_seen_becomes_a_run_once_it_changes(
    data_dir: Path, root: Path
) -> None:
    for name in ("old", "new"):
        (root / f"{name}.log").write_text("before\n")
    os.utime(root / "old.log", (1, 1))
    async with watching(settings(data_dir, root, max_age="1h", ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_runs(new_log="running")
        append(root / "old.log", "after\n")
        await watcher.until_runs(new_log="running", old_log="running")
        await watcher.until_said("old.log", "before", "after")


async def test_two_thousand_files_are_found_in_one_go_and_again_after_a_restart(
    data_dir: Path, root: Path
) -> None:
    for number in range(2_000):
        (root / f"{number}.log").write_text(f"{number}\n")
    given = settings(data_dir, root)
    given.api.sse = Sse()
    async with watching(given) as watcher:
        await until(lambda: watcher.state.not_ingested == 2_000, 60)
        with watcher.following(Selection(run_id="77.log")):
            await watcher.until_said("77.log", "77")
            assert watcher.state.tailed == 1
    async with watching(given) as watcher:
        await until(lambda: watcher.state.not_ingested == 1_999, 60)
        assert len(await watcher.runs()) == 2_000
        with watcher.following():
            await until(lambda: watcher.state.not_ingested == 0, 60)
            for number in (0, 77, 1_999):
                await watcher.until_said(f"{number}.log", str(number))
        await until(lambda: watcher.state.tailed == 0)
        await until(lambda: not descriptors())


async def test_a_missing_root_is_a_problem_until_it_is_there(data_dir: Path, root: Path) -> None:
    missing = root / "later"
    async with watching(settings(data_dir, missing)) as watcher:
        await until(lambda: watcher.state.problem)
        assert "later" in str(watcher.state.problem)
        missing.mkdir()
        (missing / "a.log").write_text("x\n")
        await watcher.until_runs(a_log="running")
        assert watcher.state.problem is None


async def test_an_unknown_workspace_is_a_problem_until_there_is_one(
    data_dir: Path, root: Path
) -> None:
    (root / "a.log").write_text("x\n")
    async with watching(settings(data_dir, root, workspace="w")) as watcher:
        await until(lambda: watcher.state.problem)
        assert watcher.state.problem == "there is no workspace 'w'"
        assert await watcher.runs() == {}
        await watcher.runtime.workspaces.put("w", "w", str(root))
        await watcher.until_runs(a_log="running")
        assert (await watcher.runtime.get("a.log")).workspace_id == "w"
        assert watcher.state.problem is None


async def test_an_id_that_is_taken_gets_the_hash_of_the_path(data_dir: Path, root: Path) -> None:
    given = settings(data_dir, root, run_id="{stem}", glob="*")
    async with watching(given) as watcher:
        await watcher.runtime.external.start(ExternalSpec(id="a"))
        for name in ("a.log", "b.log", "b.txt"):
            (root / name).write_text("x\n")
        await until(lambda: watcher.state.sources == 3)
        ids = set(await watcher.runs())
    assert {"a", "b"} < ids
    assert all(len(one) == len("a-") + 12 for one in ids - {"a", "b"})
    async with watching(given) as watcher:
        await until(lambda: watcher.state.not_ingested == 3)
        assert set(await watcher.runs()) == ids


async def test_a_run_that_was_deleted_does_not_come_back(data_dir: Path, root: Path) -> None:
    given = settings(data_dir, root, ingest="always")
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        await watcher.runtime.delete("a.log")
        await until(lambda: watcher.state.tailed == 0)
        append(log, "two\n")
        (root / "b.log").write_text("x\n")
        await watcher.until_runs(b_log="running")
    async with watching(given) as watcher:
        append(log, "three\n")
        (root / "c.log").write_text("x\n")
        await watcher.until_runs(b_log="running", c_log="running")


async def test_a_run_that_was_cancelled_is_over_for_good(data_dir: Path, root: Path) -> None:
    given = settings(data_dir, root, ingest="always")
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(given) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        run = await watcher.runtime.cancel("a.log")
        assert (run.status, run.reason) == ("cancelled", "cancelled")
        await until(lambda: watcher.state.tailed == 0)
        append(log, "two\n")
        (root / "b.log").write_text("x\n")
        await watcher.until_runs(a_log="cancelled", b_log="running")
    async with watching(given) as watcher:
        (root / "c.log").write_text("x\n")
        await watcher.until_runs(a_log="cancelled", b_log="running", c_log="running")
        assert await watcher.said("a.log") == ["one"]


async def test_clients_cannot_report_on_it_or_talk_to_it_or_change_where_it_is_from(
    data_dir: Path, root: Path
) -> None:
    (root / "a.log").write_text("x\n")
    async with watching(settings(data_dir, root)) as watcher:
        await until(watcher.runs)
        runtime = watcher.runtime
        with pytest.raises(Conflict, match="a log file tells of run") as refused:
            await runtime.external.append("a.log", [Report("output", {"text": "y"})])
        assert refused.value.code == "not_external"
        with pytest.raises(Conflict, match="takes no input"):
            await runtime.send("a.log", Said("y"))
        await runtime.external.update("a.log", {"metadata": {"mine": 1, "path": "other.log"}})
        run = await runtime.get("a.log")
        assert run.metadata == {"mine": 1, "watch": "logs", "path": "a.log"}


async def test_the_raw_output_has_the_lines_as_they_were(data_dir: Path, root: Path) -> None:
    text = "one\n\ntwo ä\r\nhalf"
    (root / "a.log").write_bytes(text.encode())
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one", "", "two ä\r", "half…")
        output = watcher.runtime.output(await watcher.runtime.get("a.log"), None)
        assert b"".join([piece async for piece in output.chunks(0, 99)]) == text.encode()


async def test_nothing_is_watched_without_settings(data_dir: Path) -> None:
    async with watching(Settings(data_dir=str(data_dir))) as watcher:
        assert watcher.runtime.watching.entries() == []
        assert watcher.runtime.watching.not_ingested() == 0
        assert await watcher.runtime.store.runs(RunFilter(source="watch"), 9) == []


async def test_descriptors_are_given_back_beyond_half_of_what_may_be_open(
    data_dir: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (root / f"{number}.log").write_text("one\n")
    monkeypatch.setattr("resource.getrlimit", lambda _: (16, 16))
    async with watching(settings(data_dir, root)) as watcher:
        await until(lambda: watcher.state.not_ingested == 20)
        with watcher.following():
            await until(lambda: watcher.state.tailed == 20)
            for number in range(20):
                await watcher.until_said(f"{number}.log", "one")
                append(root / f"{number}.log", "two\n")
            for number in range(20):
                await watcher.until_said(f"{number}.log", "one", "two")
            await until(lambda: len(descriptors()) <= 8)
