"""Runs that clients report: those of which nothing is heard for too long have failed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runcast.core.events import Draft, run_log
from runcast.core.runs import Run
from runcast.runtime.external import External, ExternalSpec
from runcast.runtime.logs import Logs
from runcast.runtime.silence import PRECISION, Silence
from runcast.runtime.workspaces import Workspaces
from runcast.stores import Store, open_store

TIMEOUT_S = 1_000.0
SECOND = 1_000_000  # µs


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += round(seconds * SECOND)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await open_store("memory:")
    yield store
    await store.close()


@pytest.fixture
async def logs(store: Store) -> AsyncIterator[Logs]:
    logs = Logs(store)
    yield logs
    logs.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def silence(store: Store, logs: Logs, clock: Clock) -> Silence:
    return Silence(store, logs, TIMEOUT_S, clock)


async def add(store: Store, run_id: str, **fields: object) -> None:
    usual: dict[str, object] = {"source": "external", "status": "running", "created_at": 0}
    await store.create(Run(id=run_id, key=run_id, task_id=run_id, **(usual | fields)))


async def say(store: Store, run_id: str) -> None:
    draft = Draft(1, "output", {"stream": "stdout", "text": "x"})  # long ago, as its client says
    await store.append(run_log(run_id), [draft])


async def test_silent_run_has_failed_and_is_lost(
    store: Store, logs: Logs, silence: Silence, clock: Clock
) -> None:
    await add(store, "r")
    follower = await logs.follow(run_log("r"), 1)
    clock.forward(TIMEOUT_S)
    assert await silence.end_silent() == 0
    clock.forward(1)
    assert await silence.end_silent() == 1
    run = await store.get("r")
    assert (run.status, run.reason) == ("failed", "lost")
    assert run.error == "its client was silent for more than 16m 40s"
    assert [batch.count for batch in await follower.take()] == [1]
    assert follower.at_end
    assert await silence.end_silent() == 0


async def test_run_that_was_heard_of_lives_on(store: Store, silence: Silence, clock: Clock) -> None:
    await add(store, "r")
    for _ in range(5):
        clock.forward(TIMEOUT_S)
        await say(store, "r")
        assert await silence.end_silent() == 0
    clock.forward(TIMEOUT_S + 1)
    assert await silence.end_silent() == 1


async def test_only_open_external_runs_are_looked_at(
    store: Store, silence: Silence, clock: Clock
) -> None:
    await add(store, "executed", source="run")
    await add(store, "ended", status="completed", ended_at=1)
    await add(store, "queued", status="queued")
    clock.forward(2 * TIMEOUT_S)
    assert await silence.end_silent() == 1
    statuses = {name: (await store.get(name)).status for name in ("executed", "ended", "queued")}
    assert statuses == {"executed": "running", "ended": "completed", "queued": "failed"}


async def test_restart_ends_no_run_early(
    store: Store, logs: Logs, silence: Silence, clock: Clock
) -> None:
    await add(store, "r")
    clock.forward(TIMEOUT_S / 2)
    await say(store, "r")
    await silence.end_silent()
    clock.forward(TIMEOUT_S / PRECISION)
    await say(store, "r")  # which only this process knows
    await silence.end_silent()
    restarted = Silence(store, logs, TIMEOUT_S, clock)
    clock.forward(TIMEOUT_S)
    assert await restarted.end_silent() == 0
    clock.forward(TIMEOUT_S / PRECISION + 1)
    assert await restarted.end_silent() == 1


async def test_client_that_ends_its_run_just_then_stops_no_pass(
    store: Store, silence: Silence, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("first", "just ended", "last"):
        await add(store, run_id)
    clock.forward(2 * TIMEOUT_S)
    listed = store.runs

    async def list_and_end(*args: Any, **more: Any) -> list[Run]:
        runs = await listed(*args, **more)
        if any(run.id == "just ended" for run in runs):
            await store.transition("just ended", "completed", clock())
        return runs

    monkeypatch.setattr(store, "runs", list_and_end)
    assert await silence.end_silent() == 2
    assert (await store.get("just ended")).status == "completed"


async def test_patch_is_a_sign_of_life(store: Store, logs: Logs, tmp_path: Path) -> None:
    external = External(store, logs, tmp_path, Workspaces(store, "/"))
    run = await external.start(ExternalSpec(id="r"))
    await external.update("r", {"metadata": {"k": 1}})
    heard = (await store.get("r")).heard_at
    assert heard is not None
    assert heard >= run.created_at
    assert (await store.head(run_log("r"))).last == 1
