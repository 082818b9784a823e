"""The runtime without the web: what an embedding program relies on."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from runcast.config import Queue, Retention, Settings, StoreSettings
from runcast.core.errors import BadRequest, ConfigError, Conflict, Gone, NotFound, Unavailable
from runcast.core.runs import Run
from runcast.runtime.offline import prune_folder
from runcast.runtime.retention import PruneLimits
from runcast.runtime.runners import Runners
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import RunSpec
from runcast.runtime.watch import Watch
from runcast.spool.folder import RunFolder
from runcast.stores import RunFilter

Opener = Callable[..., Awaitable[Runtime]]


@pytest.fixture
async def open_runtime(data_dir: Path) -> AsyncIterator[Opener]:
    opened: list[Runtime] = []

    async def open_(**sections: object) -> Runtime:
        runtime = await Runtime.open(Settings(data_dir=str(data_dir), **sections))
        opened.append(runtime)
        return runtime

    yield open_
    for runtime in opened:
        if not runtime.draining:
            for run in await runtime.list(RunFilter(statuses=["queued", "running"]), 100):
                await runtime.cancel(run.id)
                await runtime.wait(run.id, 10)
            await runtime.close()


async def ended(runtime: Runtime, *command: str, **fields: object) -> Run:
    run = await runtime.submit(RunSpec(command=list(command), **fields))
    return await runtime.wait(run.id, 20)


async def test_a_run_goes_from_queued_over_running_to_its_outcome(open_runtime: Opener) -> None:
    runtime = await open_runtime()

    run = await ended(runtime, "sh", "-c", "echo hi; exit 3", id="a", metadata={"k": 1})

    assert (run.status, run.reason, run.exit_code) == ("failed", "exit", 3)
    assert run.metadata == {"k": 1}
    assert run.started_at is not None
    assert run.created_at <= run.started_at <= run.ended_at
    page = await runtime.page("a", 0, 100)
    assert [event.type for event in page.events] == ["status", "status", "output", "status"]
    assert (page.next_after, page.at_end) == (4, True)


async def test_runs_are_seen_to_without_change_hints(
    open_runtime: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As when the system's limit of watches is reached.
    monkeypatch.setattr(Watch, "add", lambda *_: None)
    runtime = await open_runtime()

    run = await ended(runtime, "sh", "-c", "echo a; sleep 0.2; echo b")

    assert run.status == "completed"
    page = await runtime.page(run.id, 2, 100)
    assert [event.data.get("text") for event in page.events][:2] == ["a", "b"]


async def test_a_closed_runtime_leaves_its_runs_to_the_next_one(
    open_runtime: Opener, tmp_path: Path
) -> None:
    first = await open_runtime()
    stop = tmp_path / "stop"
    script = f"echo before; until test -e {stop}; do sleep 0.01; done; echo after"
    run = await first.submit(RunSpec(command=["sh", "-c", script], id="r"))
    while (await first.get("r")).last_seq < 3:
        await asyncio.sleep(0.01)
    await first.close()

    second = await open_runtime()
    stop.touch()
    run = await second.wait("r", 20)

    assert run.status == "completed"
    page = await second.page("r", 2, 10)
    assert [event.data.get("text") for event in page.events] == ["before", "after", None]


async def test_only_so_many_run_at_once_and_a_queued_one_can_be_cancelled(
    open_runtime: Opener,
) -> None:
    runtime = await open_runtime(queue=Queue(max_concurrent_runs=1))
    await runtime.submit(RunSpec(command=["sleep", "60"], id="first"))
    await runtime.submit(RunSpec(command=["true"], id="second"))
    while (await runtime.get("first")).status != "running":
        await asyncio.sleep(0.01)

    cancelled = await runtime.cancel("second")
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled")
    await runtime.cancel("first")
    first = await runtime.wait("first", 20)

    assert (first.status, first.signal) == ("cancelled", "SIGTERM")
    with pytest.raises(Conflict, match="already ended"):
        await runtime.cancel("first")


async def test_ended_runs_are_removed_with_their_folders(
    open_runtime: Opener, data_dir: Path
) -> None:
    runtime = await open_runtime()
    for number in range(3):
        await ended(runtime, "true", id=f"r{number}")

    assert await runtime.prune(PruneLimits(max_count=1)) == 2
    assert (await runtime.store.head("lifecycle")).first > 1

    assert [run.id for run in await runtime.list(RunFilter(), 10)] == ["r2"]
    assert len(list((data_dir / "runs").iterdir())) == 1
    with pytest.raises(NotFound):
        await runtime.get("r0")
    with pytest.raises(Conflict, match="deleted run"):
        await runtime.submit(RunSpec(command=["true"], id="r0"))
    assert await runtime.prune(PruneLimits(max_age=3600)) == 0
    assert await runtime.prune(PruneLimits(max_bytes=0)) == 1


async def test_retention_removes_by_itself(open_runtime: Opener) -> None:
    first = await open_runtime()
    await ended(first, "true", id="old")
    await first.close()

    second = await open_runtime(retention=Retention(max_age="0s"))

    async with asyncio.timeout(10):
        while await second.list(RunFilter(), 10):
            await asyncio.sleep(0.01)


async def test_a_folder_can_be_pruned_while_no_server_holds_it(
    open_runtime: Opener, data_dir: Path
) -> None:
    runtime = await open_runtime()
    await ended(runtime, "true")
    settings = Settings(data_dir=str(data_dir))
    with pytest.raises(ConfigError, match="another runcast server"):
        await prune_folder(settings, PruneLimits(max_count=0))
    await runtime.close()

    assert await prune_folder(settings, PruneLimits(max_count=0)) == 1
    assert list((data_dir / "runs").iterdir()) == []


async def test_a_page_holds_so_many_events_and_bytes(open_runtime: Opener) -> None:
    runtime = await open_runtime()
    run = await ended(runtime, "sh", "-c", "seq 1 5000; head -c 3000000 /dev/zero | tr '\\0' x")

    first = await runtime.page(run.id, 0, 1000)
    assert (len(first.events), first.next_after, first.at_end) == (1000, 1000, False)
    seqs: list[int] = []
    after = 0
    while not (page := await runtime.page(run.id, after, 10_000)).at_end:
        assert sum(len(str(event.data)) for event in page.events) < 2_000_000
        seqs += [event.seq for event in page.events]
        after = page.next_after
    seqs += [event.seq for event in page.events]
    assert seqs == list(range(1, run.last_seq + 1))
    with pytest.raises(Gone):
        await runtime.page(run.id, run.last_seq + 2, 10)
    assert (await runtime.page(run.id, run.last_seq + 1, 10)).events == []


@pytest.mark.parametrize(
    "fields",
    [
        {"command": []},
        {"command": [""]},
        {"command": ["a\0b"]},
        {"command": ["\ud800"]},
        {"cwd": "relative"},
        {"env": {"A=B": "x"}},
        {"env": {"": "x"}},
        {"env": {"A": "x\0"}},
        {"dialect": "klingon"},
        {"workspace_id": "none"},
        {"timeout_s": 0},
        {"grace_s": -1},
        {"id": "../x"},
        {"task_id": "a b"},
        {"metadata": {"k": "x" * 65_536}},
    ],
)
async def test_what_cannot_run_is_refused_and_leaves_nothing(
    open_runtime: Opener, data_dir: Path, fields: dict[str, object]
) -> None:
    runtime = await open_runtime()

    with pytest.raises(BadRequest):
        await runtime.submit(RunSpec(**({"command": ["true"]} | fields)))

    assert list((data_dir / "runs").iterdir()) == []
    assert await runtime.list(RunFilter(), 10) == []


async def test_a_folder_that_no_run_names_is_removed_at_the_next_start(
    open_runtime: Opener, data_dir: Path
) -> None:
    runtime = await open_runtime()
    await ended(runtime, "true")
    await runtime.close()
    orphan = data_dir / "runs" / "orphan"
    orphan.mkdir()
    (orphan / "run.json").write_text("{}")

    await open_runtime()

    assert not orphan.exists()
    assert len(list((data_dir / "runs").iterdir())) == 1


async def test_two_runtimes_cannot_share_a_folder(open_runtime: Opener) -> None:
    await open_runtime()

    with pytest.raises(ConfigError, match="another runcast server"):
        await open_runtime()


async def test_a_run_whose_folder_is_gone_is_lost_and_can_be_deleted(
    open_runtime: Opener, data_dir: Path
) -> None:
    first = await open_runtime(queue=Queue(max_concurrent_runs=1))
    await first.submit(RunSpec(command=["sleep", "60"], id="blocks"))
    await first.submit(RunSpec(command=["true"], id="waits"))
    key = (await first.get("waits")).key
    shutil.rmtree(data_dir / "runs" / key)
    await first.cancel("blocks")

    run = await first.wait("waits", 20)

    assert (run.status, run.reason) == ("failed", "lost")
    assert "No such file" in (run.error or "")
    await first.delete("waits")


async def test_what_was_in_the_way_of_a_run_can_pass(
    open_runtime: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = await open_runtime()
    real = RunFolder.exit
    refusals = iter([OSError(24, "Too many open files")] * 2)

    def starved(folder: RunFolder) -> object:
        for error in refusals:
            raise error
        return real(folder)

    monkeypatch.setattr(RunFolder, "exit", starved)

    assert (await ended(runtime, "true")).status == "completed"


async def test_a_cancel_that_a_crash_cut_in_half_is_finished_at_the_next_start(
    open_runtime: Opener,
) -> None:
    first = await open_runtime(queue=Queue(max_concurrent_runs=1))
    await first.submit(RunSpec(command=["sleep", "60"], id="blocks"))
    await first.submit(RunSpec(command=["true"], id="half"))
    await first.store.update("half", {"cancel_requested": True})
    await first.close()

    second = await open_runtime(queue=Queue(max_concurrent_runs=1))

    async with asyncio.timeout(8):
        # Who waits is told at the end, not only when the wait is over.
        assert (await second.wait("half", 60)).status == "cancelled"


async def test_a_folder_is_not_given_to_another_store(open_runtime: Opener, data_dir: Path) -> None:
    runtime = await open_runtime()
    run = await ended(runtime, "true")
    await runtime.close()

    with pytest.raises(ConfigError, match="are in the store sqlite:runcast"):
        await open_runtime(store=StoreSettings(url="memory:"))

    assert (data_dir / "runs" / run.key / "exit.json").exists()


async def test_a_mistyped_store_does_not_bind_the_folder(open_runtime: Opener) -> None:
    with pytest.raises(ConfigError, match="there is no store"):
        await open_runtime(store=StoreSettings(url="sqlit:x"))

    assert (await ended(await open_runtime(), "true")).status == "completed"


async def test_a_data_folder_can_be_moved(open_runtime: Opener, data_dir: Path) -> None:
    runtime = await open_runtime()
    run = await ended(runtime, "true")
    await runtime.close()
    moved = data_dir.rename(data_dir.with_name("moved"))

    runtime = await Runtime.open(Settings(data_dir=str(moved)))
    assert (await runtime.get(run.id)).status == "completed"
    await runtime.close()


async def test_a_running_command_is_cancelled_although_the_store_refuses_to_note_it(
    open_runtime: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = await open_runtime()
    await runtime.submit(RunSpec(command=["sleep", "60"], id="r"))
    while (await runtime.get("r")).status != "running":
        await asyncio.sleep(0.01)

    async def full(*_: object, **__: object) -> Run:
        raise Unavailable("storage", "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(runtime.store, "update", full)
        await runtime.cancel("r")
    run = await runtime.wait("r", 20)

    assert (run.status, run.signal) == ("cancelled", "SIGTERM")


async def test_a_runner_that_is_watched_twice_is_noticed_once() -> None:
    runners = Runners()
    ended: list[str] = []
    pid = os.posix_spawn("/bin/sleep", ["sleep", "0.2"], os.environ)

    runners.watch(pid, lambda: ended.append("first"))
    runners.watch(pid, lambda: ended.append("second"))
    async with asyncio.timeout(10):
        while not ended:
            await asyncio.sleep(0.01)
    await runners.close()

    assert ended == ["second"]


async def test_a_data_folder_may_have_odd_characters(tmp_path: Path) -> None:
    runtime = await Runtime.open(Settings(data_dir=str(tmp_path / "a?b #%20é")))
    assert (await ended(runtime, "true")).status == "completed"
    await runtime.close()


@pytest.mark.parametrize("data_dir_text", ["~nobody-of-this-name/x", "/tmp/\udcff"])
async def test_a_data_folder_that_cannot_be_named_is_refused(data_dir_text: str) -> None:
    with pytest.raises(ConfigError):
        await Runtime.open(Settings(data_dir=data_dir_text))
