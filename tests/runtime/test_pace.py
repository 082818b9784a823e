"""The pace: how soon followers learn of what is committed, and at what cost."""

import asyncio
import time
from functools import partial
from itertools import pairwise

import pytest

from runcast.core.events import Draft, run_log
from runcast.core.runs import Run
from runcast.runtime import logs as logs_module
from runcast.runtime.logs import Logs
from runcast.stores import Addition, open_store
from tests.runtime.watched import until

LOG = run_log("r")


@pytest.fixture
async def store():
    store = await open_store("memory:")
    for name in "qr":
        await store.create(Run(id=name, key=name, task_id=name, status="running", created_at=1))
    yield store
    await store.close()


@pytest.fixture
async def logs(store):
    logs = Logs(store)
    await logs.open()
    yield logs
    logs.close()


async def append(store, text):
    await store.append(LOG, [Draft(1, "output", {"stream": "stdout", "text": text})])


async def test_reading_on_is_held_until_the_next_pass_may_be_and_no_longer(
    store, logs, monkeypatch
):
    monkeypatch.setattr(logs_module, "MAX_PACE_S", 5.0)
    assert logs.hold() <= 0  # nothing was passed on yet
    follower = await logs.follow(LOG, 0)
    follower.on_move = lambda _urgent: time.sleep(0.3)  # as if there were very many

    await append(store, "a")
    await until(lambda: logs.hold() > 0)

    assert logs.hold() <= logs_module.MAX_PACE_S
    follower.close()


async def test_followers_that_fail_keep_nobody_from_being_woken_and_the_pace_as_it_is(
    store, logs, monkeypatch, caplog
):
    monkeypatch.setattr(logs_module, "MAX_PACE_S", 5.0)
    told = []

    def fail(name):
        told.append(name)
        time.sleep(0.005)  # so that the next pass is not at once
        raise LookupError(f"{name} fails")

    # Both fail, for nobody knows which log comes first in a pass.
    followers = {name: await logs.follow(name, 1) for name in (LOG, run_log("q"))}
    for name, follower in followers.items():
        follower.on_move = partial(lambda name, _urgent: fail(name), name)
    for _ in range(2):
        waiting = [asyncio.create_task(follower.take()) for follower in followers.values()]
        await asyncio.sleep(0)
        await store.append_all([Addition(run_id, [Draft(1, "input", {})]) for run_id in "qr"])
        async with asyncio.timeout(2):
            await asyncio.gather(*waiting)
        assert 0 < logs.hold() < 2

    assert sorted(told) == ["run:q", "run:q", "run:r", "run:r"]
    failures = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert failures == [f"{name} fails" for name in told]
    for follower in followers.values():
        follower.close()


async def test_what_is_committed_in_one_turn_of_the_loop_is_passed_on_twice_at_most(store, logs):
    follower = await logs.follow(LOG, 1)
    passes = []
    follower.on_move = lambda _urgent: passes.append(follower.track.head)

    for number in range(200):
        await append(store, f"line {number}")
    assert passes == [2]  # the first at once, for nothing was passed on before it

    await until(lambda: len(passes) > 1)
    assert passes == [2, 201]
    follower.close()


async def test_small_passes_keep_to_their_pace(store, logs):
    follower = await logs.follow(LOG, 0)
    passes = []

    def take_a_little(_urgent):
        begun = time.perf_counter()
        while (now := time.perf_counter()) < begun + 0.00005:
            pass
        passes.append((begun, now))

    follower.on_move = take_a_little
    commits = 0
    while len(passes) < 20:
        await append(store, "a")
        commits += 1
        await asyncio.sleep(0)

    kept = [
        next_begun - ended >= min(logs_module.MAX_PACE_S, logs_module.PACE_FACTOR * (ended - begun))
        for (begun, ended), (next_begun, _) in pairwise(passes)
    ]
    # Not of all: one that the system interrupts for longer than a pace has had its pause.
    assert sum(kept) > 0.7 * len(kept)
    assert commits > 2 * len(passes)
    follower.close()
