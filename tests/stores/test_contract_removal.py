"""The store contract: deleting runs and trimming the shared logs."""

import asyncio

import pytest

from runcast.core.errors import Conflict, NotFound
from runcast.core.events import LIFECYCLE, MESSAGES, run_log
from runcast.stores import Checkpoint, LogHead, RunFilter, Store
from tests.stores.make import PLENTY, a_run, events_in, events_of, move, news_of, say

R = run_log("r")


async def test_deleted_run_is_gone_at_once_with_its_log(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.append(R, [say("a")], advance=move(0, 5))
    await store.transition("r", "failed", 3_000)
    assert not await store.is_deleted("r")
    assert await store.delete(["r"], 4_000) == ["r"]
    assert await store.is_deleted("r")
    with pytest.raises(NotFound):
        await store.get("r")
    with pytest.raises(NotFound):
        await store.head(R)
    with pytest.raises(NotFound):
        await store.append(R, [say("x")])
    assert await store.read(R, 0, PLENTY) == []
    assert await store.read_all(0, PLENTY) == []
    assert await store.runs(RunFilter(), 9) == []
    assert await store.checkpoint("r") == Checkpoint()


async def test_deleted_id_is_never_used_again(store: Store) -> None:
    await store.create(a_run(), [say("a")])
    await store.delete(["r"], 4_000)
    with pytest.raises(Conflict) as refused:
        await store.create(a_run())
    assert refused.value.code == "id_deleted"


async def test_deleting_raises_the_floor_and_keeps_the_head(store: Store) -> None:
    await store.create(a_run("a"))  # positions 1, 2
    await store.create(a_run("b"), [say("x")])  # 3, 4, 5
    await store.delete(["b"], 4_000)  # 6
    positions = await store.positions()
    assert (positions.head, positions.floor) == (6, 4)
    await store.delete(["a"], 4_000)
    assert (await store.positions()).floor == 4
    span = await store.append(MESSAGES, [say("m")])
    assert span.position == 8


async def test_delete_returns_those_that_existed_once_each(store: Store) -> None:
    for run_id in "abc":
        await store.create(a_run(run_id))
    assert await store.delete(["c", "nobody", "a", "c"], 4_000) == ["c", "a"]
    assert (await news_of(store))[3:] == [("run_removed", "c"), ("run_removed", "a")]
    assert [run.id for run in await store.runs(RunFilter(), 9)] == ["b"]


async def test_delete_of_nothing_tells_nothing(store: Store) -> None:
    assert await store.delete(["nobody"], 4_000) == []
    assert (await store.positions()).head == 0


async def test_running_run_is_refused_and_nothing_is_removed(store: Store) -> None:
    await store.create(a_run("ended", status="failed"))
    await store.create(a_run("busy", status="running"))
    before = await store.positions()
    with pytest.raises(Conflict) as refused:
        await store.delete(["ended", "busy"], 4_000)
    assert refused.value.code == "run_active"
    assert await store.positions() == before
    assert await store.count(RunFilter()) == 2


@pytest.mark.parametrize("fields", [{"status": "queued"}, {"source": "external"}])
async def test_run_that_runcast_does_not_execute_now_may_be_deleted(
    store: Store, fields: dict[str, str]
) -> None:
    await store.create(a_run(**{"status": "running"} | fields))
    assert await store.delete(["r"], 4_000) == ["r"]


async def test_trim_drops_whole_old_batches_from_the_head(store: Store) -> None:
    for time in (10, 20, 30):
        await store.append(MESSAGES, [say("x", time), say("y", time + 5)])
    assert await store.trim(MESSAGES, 25) == 2
    batches = await store.read(MESSAGES, 0, PLENTY)
    assert [event.seq for event in events_in(batches)] == [3, 4, 5, 6]
    size = sum(len(batch.body) for batch in batches)
    assert await store.head(MESSAGES) == LogHead(3, 6, sealed=False, bytes=size)
    assert (await store.positions()).floor == 2
    assert await store.trim(MESSAGES, 26) == 2
    assert (await store.positions()).floor == 4


async def test_trim_stops_at_the_first_batch_that_is_young(store: Store) -> None:
    for time in (10, 90, 20, 30):
        await store.append(MESSAGES, [say("x", time)])
    assert await store.trim(MESSAGES, 50) == 1
    assert [event.time for event in await events_of(store, MESSAGES)] == [90, 20, 30]


async def test_trim_keeps_the_newest_batch(store: Store) -> None:
    assert await store.trim(LIFECYCLE, 1 << 60) == 0
    await store.create(a_run("a"))
    await store.create(a_run("b"))
    assert await store.trim(LIFECYCLE, 1 << 60) == 1
    assert await store.trim(LIFECYCLE, 1 << 60) == 0
    assert await news_of(store) == [("run_added", "b")]
    await store.create(a_run("c"))
    assert (await store.head(LIFECYCLE)).last == 3


async def test_trim_of_a_runs_log_is_refused(store: Store) -> None:
    await store.create(a_run())
    with pytest.raises(ValueError, match="can be trimmed"):
        await store.trim(R, 9)


async def test_what_was_trimmed_or_deleted_is_unreadable_at_once_however_much(
    store: Store,
) -> None:
    await store.create(a_run())
    logs = [R, MESSAGES] * 400
    await asyncio.gather(*(store.append(log, [say("x", 10)]) for log in logs))
    await store.append(MESSAGES, [say("young", 90)])
    assert await store.trim(MESSAGES, 50) == 400
    assert len(await store.read(MESSAGES, 0, PLENTY)) == 1
    await store.delete(["r"], 99)
    assert await store.read(R, 0, PLENTY) == []
    assert await store.read_all(0, PLENTY) == []
