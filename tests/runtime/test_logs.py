"""Following: whatever a reader has, wherever it comes from, it gets the rest once and in order."""

import asyncio
import random

import pytest

from runcast.core.errors import NotFound
from runcast.core.events import LIFECYCLE, MESSAGES, Draft, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime import follow as follow_module
from runcast.runtime import logs as logs_module
from runcast.runtime import pages as pages_module
from runcast.runtime.logs import Logs
from runcast.stores import ALL_RUNS, Selection, open_store

LOG = run_log("r")


@pytest.fixture
async def store():
    store = await open_store("memory:")
    yield store
    await store.close()


@pytest.fixture
async def logs(store):
    await store.create(Run(id="r", key="k", task_id="r", status="running", created_at=1))
    logs = Logs(store)
    await logs.open()
    yield logs
    logs.close()


async def read(follower, until):
    """Take until seq `until`; return (seq, text) of every event beyond the cursor."""
    found = []
    while follower.cursor < until:
        after = follower.cursor
        for batch in await follower.take():
            found += [(event.seq, event.data.get("text")) for event in batch.events(after)]
    return found


async def append(store, *texts):
    await store.append(LOG, [Lines(1, "stdout", list(texts))])


async def test_replay_and_live_are_one_sequence(store, logs):
    await append(store, "a", "b")
    follower = await logs.follow(LOG, 1)
    reading = asyncio.create_task(read(follower, 5))
    await append(store, "c")
    await append(store, "d")

    assert await reading == [(2, "a"), (3, "b"), (4, "c"), (5, "d")]
    follower.close()


async def test_a_cursor_inside_a_batch_gets_the_batch_and_drops_what_it_has(store, logs):
    await append(store, "a", "b", "c")
    follower = await logs.follow(LOG, 3)

    assert await read(follower, 4) == [(4, "c")]
    follower.close()


@pytest.mark.parametrize("hot_bytes", [0, 2_000, 1 << 20])
async def test_followers_at_any_pace_get_everything_whatever_is_in_memory(
    store, logs, hot_bytes, monkeypatch
):
    monkeypatch.setattr(logs_module, "HOT_BYTES", hot_bytes)
    monkeypatch.setattr(pages_module, "READ_BYTES", 300)
    monkeypatch.setattr(follow_module, "READ_BYTES", 300)
    chance = random.Random(7)
    expected = [(seq, f"line {seq}") for seq in range(2, 402)]

    async def follow(start):
        follower = await logs.follow(LOG, start)
        try:
            found = []
            while follower.cursor < 401:
                found += await read(follower, min(follower.cursor + 1, 401))
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.random() / 100)
            return found
        finally:
            follower.close()

    followers = [asyncio.create_task(follow(start)) for start in (0, 0, 1, 1, 1)]
    texts = [text for _, text in expected]
    while texts:
        size = chance.randint(1, 9)
        await append(store, *texts[:size])
        del texts[:size]
        await asyncio.sleep(0)

    for start, found in zip((0, 0, 1, 1, 1), await asyncio.gather(*followers), strict=True):
        assert found == ([(1, None)] if start == 0 else []) + expected


async def test_all_runs_are_followed_by_position(store, logs):
    await store.create(Run(id="q", key="k2", task_id="q", status="running", created_at=1))
    follower = logs.follow_where(ALL_RUNS, 0)
    await append(store, "a")
    await store.append(run_log("q"), [Lines(1, "stdout", ["b"])])
    positions = []
    while len(positions) < 4:
        after = follower.cursor
        for batch in await follower.take():
            positions += [event.position for event in batch.events() if event.position > after]

    assert positions == sorted(set(positions))
    follower.close()


async def test_a_sealed_log_ends_for_who_has_everything(store, logs):
    follower = await logs.follow(LOG, 0)
    await read(follower, 1)
    waiting = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    await store.transition("r", "completed", 2)
    logs.seal(LOG)

    (batch,) = await waiting
    assert [event.data["status"] for event in batch.events()] == ["completed"]
    assert follower.at_end
    assert await follower.take() == []
    follower.close()


async def test_a_follower_of_an_ended_run_learns_that_it_ended(store, logs):
    await store.transition("r", "failed", 2)
    follower = await logs.follow(LOG, 2)

    assert follower.at_end
    assert await follower.take() == []
    follower.close()


async def test_a_deleted_log_ends_at_once(store, logs):
    follower = await logs.follow(LOG, 1)
    waiting = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    logs.delete(LOG, 0)

    assert await waiting == []
    assert follower.at_end
    follower.close()


async def test_a_nudge_returns_an_empty_hand_and_loses_nothing(store, logs):
    follower = await logs.follow(LOG, 1)
    waiting = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    follower.nudge()
    assert await waiting == []
    assert not follower.at_end

    await append(store, "a")
    assert await read(follower, 2) == [(2, "a")]
    follower.close()


async def test_cancelling_a_take_loses_nothing(store, logs):
    follower = await logs.follow(LOG, 1)
    waiting = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await append(store, "a")
    assert await read(follower, 2) == [(2, "a")]
    follower.close()


async def test_an_unknown_run_cannot_be_followed(logs):
    with pytest.raises(NotFound):
        await logs.follow(run_log("none"), 0)


async def test_late_followers_at_one_place_share_the_pages_and_what_is_made_of_them(
    store, logs, monkeypatch
):
    monkeypatch.setattr(logs_module, "HOT_BYTES", 0)
    monkeypatch.setattr(pages_module, "READ_BYTES", 200)
    for number in range(50):
        await append(store, f"line {number}", "x" * 100)
    first = await logs.follow(LOG, 0)
    second = await logs.follow(LOG, 0)

    one, two = await first.take(), await second.take()

    assert one[0] is two[0]
    first.close()
    second.close()


async def test_memory_is_bounded_by_bytes_not_by_events(store, logs, monkeypatch):
    monkeypatch.setattr(logs_module, "HOT_BYTES", 50_000)
    for _ in range(1_000):
        await store.append(LOG, [Draft(1, "custom", {"name": "x", "value": "y" * 500})])

    held = sum(len(batch.body) for batch in logs._recent)
    assert 0 < held <= 50_000


async def test_a_follower_learns_of_what_was_removed_before_it_could_read_it(store, logs):
    await append(store, "a")
    await store.create(Run(id="q", key="k2", task_id="q", status="completed", created_at=1))
    await store.append(LOG, [Lines(1, "stdout", ["b"])])
    follower = logs.follow_where(ALL_RUNS, 0)
    await store.delete(["q"], 5)
    logs.delete(run_log("q"), (await store.positions()).floor)

    batches = await follower.take()

    assert {batch.log for batch in batches} == {LOG}
    assert batches[0].first_position <= follower.floor < batches[-1].last_position
    follower.close()


async def test_a_page_read_behind_a_removal_tells_of_it_even_if_nobody_said_so(
    store, logs, monkeypatch
):
    monkeypatch.setattr(logs_module, "HOT_BYTES", 0)
    await store.create(Run(id="q", key="k2", task_id="q", status="completed", created_at=1))
    await append(store, "a")
    follower = logs.follow_where(ALL_RUNS, 0)
    await store.delete(["q"], 5)

    await follower.take()

    assert follower.floor == (await store.positions()).floor > 0
    follower.close()


async def test_who_knows_of_a_newer_event_does_not_wait_for_an_older_read(store, logs):
    """A read that began before a commit must not put a later follower to sleep."""
    gate = asyncio.Event()
    read_all = store.read_all

    async def slow(after, limit, where):
        page = await read_all(after, limit, where)
        await gate.wait()
        return page

    store.read_all = slow
    head = (await store.positions()).head
    early = logs.follow_where(ALL_RUNS, head - 1)
    early.track.hot.clear()
    reading = asyncio.create_task(early.take())
    await asyncio.sleep(0)
    await append(store, "new")
    early.track.hot.clear()
    late = logs.follow_where(ALL_RUNS, head)
    waiting = asyncio.create_task(late.take())
    await asyncio.sleep(0)
    gate.set()

    async with asyncio.timeout(5):
        assert [batch.log for batch in await waiting] == [LOG]
        await reading
    early.close()
    late.close()


async def test_a_nudge_that_comes_during_a_read_is_not_lost(store, logs, monkeypatch):
    monkeypatch.setattr(logs_module, "HOT_BYTES", 0)
    await store.create(Run(id="q", key="k2", task_id="q", status="running", created_at=1))
    await store.delete([], 5)
    follower = await logs.follow(LOG, 1)
    follower.track.head = 2  # as if an event were committed that no read finds
    waiting = asyncio.create_task(follower.take())
    await asyncio.sleep(0)
    follower.nudge()

    async with asyncio.timeout(5):
        assert await waiting == []
    follower.close()


async def test_a_selection_gives_what_belongs_to_it_and_what_joins_it_later(store, logs):
    follower = logs.follow_where(Selection(task_id="t"), 0)
    for run_id, task in (("a", "t"), ("b", "other"), ("c", "t")):
        await store.create(Run(id=run_id, key=run_id, task_id=task, status="running"))
    await store.append(run_log("c"), [Lines(1, "stdout", ["late"])])

    taken = []
    async with asyncio.timeout(5):
        while len(taken) < 3:
            taken += await follower.take()

    assert [batch.log for batch in taken] == ["run:a", "run:c", "run:c"]
    assert not follower.behind
    assert await follower.take_ready() == []
    follower.close()


async def test_a_selection_that_is_followed_from_the_middle_begins_there(store, logs):
    await store.create(Run(id="a", key="a", task_id="t", status="running"))
    await append(store, "of another run")
    head = (await store.positions()).head
    follower = logs.follow_where(Selection(run_id="a"), head)
    moved = []
    follower.on_move = moved.append

    await store.append(run_log("a"), [Lines(1, "stdout", ["new"])])
    logs.flush()
    await append(store, "of another run again")
    await store.append(run_log("a"), [Draft(1, "error", {"message": "no", "source": "x"})])
    logs.flush()

    batches = await follower.take_ready()
    assert [event.type for batch in batches for event in batch.events()] == ["output", "error"]
    assert moved == [False, True]
    follower.close()


async def test_what_was_read_and_held_nothing_for_a_selection_is_not_read_again(store, logs):
    follower = logs.follow_where(Selection(task_id="nobody"), 0)
    await append(store, "of another task")
    logs.flush()

    assert await follower.take_ready() == []
    assert not follower.behind
    assert follower.cursor > 0
    follower.close()


async def test_the_changes_of_runs_can_be_followed_by_position(store, logs):
    follower = logs.follow_where(Selection(log=LIFECYCLE), (await store.positions()).head)
    await store.create(Run(id="a", key="a", task_id="t", status="running"))

    async with asyncio.timeout(5):
        (batch,) = await follower.take()
    assert [event.data["name"] for event in batch.events()] == ["run_added"]
    follower.close()


async def test_a_follower_knows_that_what_it_wanted_was_removed(store):
    for number in range(1, 5):
        await store.add_message({"msg_id": str(number)}, number)
    await store.trim(MESSAGES, 3)
    logs = Logs(store)
    follower = await logs.follow(MESSAGES, 1)
    batches = await follower.take()
    assert (batches[0].first_seq, follower.floor) == (3, 2)
    follower.close()
    logs.close()


async def test_a_removal_is_no_loss_to_who_has_everything(store, logs):
    await store.create(Run(id="x", key="kx", task_id="x", source="external", created_at=1))
    has_all = logs.follow_where(Selection(run_id="r"), 0)
    while has_all.behind:
        await has_all.take_ready()
    late = logs.follow_where(Selection(run_id="r"), 0)

    await store.delete(["x"], 1)
    floor = (await store.positions()).floor
    logs.delete(run_log("x"), floor)
    await append(store, "more")

    assert (has_all.floor, late.floor) == (0, floor)
    assert [batch.log for batch in await has_all.take_ready()] == [LOG]
    has_all.close()
    late.close()


async def test_who_asks_is_told_of_every_follower_that_joins_and_leaves(logs):
    told = []
    logs.on_interest = lambda key, change: told.append((key, change))
    follower = await logs.follow(LOG, 0)
    everywhere = logs.follow_where(ALL_RUNS, 0)
    logs.delete(LOG, 0)
    for _ in range(2):
        follower.close()
        everywhere.close()
    with pytest.raises(NotFound):
        await logs.follow(run_log("nobody"), 0)

    joined = [(LOG, 1), (ALL_RUNS, 1)]
    left = [(LOG, -1), (ALL_RUNS, -1)]
    assert told == [*joined, *left, (run_log("nobody"), 1), (run_log("nobody"), -1)]
