"""The store contract: reading from the newest batch back."""

import asyncio

import pytest

from runcast.core.events import LIFECYCLE, MESSAGES, Batch, run_log
from runcast.core.limits import MAX_POSITION
from runcast.stores import ALL_RUNS, Selection, Store
from tests.stores.make import PLENTY, a_run, events_in, facts, lines, say

RUNS = {"a": ("t", "w"), "b": ("t", "x"), "c": ("u", "w"), "d": ("d", "x")}  # task, workspace
SELECTIONS = {
    "everything": (ALL_RUNS, "abcd"),
    "task": (Selection(task_id="t"), "ab"),
    "workspace": (Selection(workspace_id="w"), "ac"),
    "run": (Selection(run_id="d"), "d"),
    "run in its workspace": (Selection(run_id="c", workspace_id="w"), "c"),
    "run in another workspace": (Selection(run_id="c", workspace_id="x"), ""),
    "unknown run": (Selection(run_id="nobody"), ""),
    "unknown workspace": (Selection(workspace_id="nobody"), ""),
}


async def fill(store: Store) -> list[Batch]:
    """Write batches of several sizes and times to the logs of RUNS; return them newest first."""
    for run_id, (task_id, workspace_id) in RUNS.items():
        await store.create(a_run(run_id, task_id=task_id, workspace_id=workspace_id))
    for number in range(30):
        log = run_log("abcd"[number * 7 % 11 % 4])
        time = 2_000 + number * 7 % 30
        await store.append(log, [lines(*"xyz"[: number % 3 + 1], time=time), say("end", time + 1)])
        await store.append(MESSAGES, [say("m")] * (number % 2 + 1))
    return (await store.read_all(0, PLENTY))[::-1]


@pytest.mark.parametrize("case", SELECTIONS)
async def test_selected_runs_are_read_back_from_any_position_to_any(
    store: Store, case: str
) -> None:
    where, run_ids = SELECTIONS[case]
    logs = {run_log(run_id) for run_id in run_ids}
    everything = [batch for batch in await fill(store) if batch.log in logs]
    head = (await store.positions()).head
    assert facts(await store.read_back(MAX_POSITION, PLENTY, where)) == facts(everything)
    for before in range(0, head + 2, 3):
        for after in range(0, head + 2, 3):
            found = await store.read_back(before, PLENTY, where, after=after)
            expected = [b for b in everything if after < b.first_position < before]
            assert facts(found) == facts(expected)


@pytest.mark.parametrize("case", SELECTIONS)
async def test_pages_that_are_read_back_join_without_loss(store: Store, case: str) -> None:
    where, _ = SELECTIONS[case]
    await fill(store)
    everything = await store.read_back(MAX_POSITION, PLENTY, where)
    for limit in (1, 200):
        found: list[Batch] = []
        before = MAX_POSITION
        while page := await store.read_back(before, limit, where):
            assert limit > 1 or len(page) == 1
            found += page
            before = page[-1].first_position
        assert facts(found) == facts(everything)


async def test_batches_that_are_all_too_old_are_left_out(store: Store) -> None:
    everything = await fill(store)
    for where in (ALL_RUNS, Selection(run_id="d")):
        for since in (1_000, 2_010, 2_031, 9_000):
            found = await store.read_back(MAX_POSITION, PLENTY, where, since=since)
            young = [batch for batch in everything if events_in([batch])[-1].time >= since]
            assert facts(found) == facts(list(filter(where.takes, young)))


async def test_deleted_runs_are_not_read_back(store: Store) -> None:
    everything = await fill(store)
    await store.transition("a", "failed", 9)
    await store.delete(["a"], 10)
    left = [batch for batch in everything if batch.log != run_log("a")]
    assert facts(await store.read_back(MAX_POSITION, PLENTY)) == facts(left)
    assert await store.read_back(MAX_POSITION, PLENTY, Selection(run_id="a")) == []


async def test_what_is_read_back_while_runs_are_written_has_no_hole(store: Store) -> None:
    await fill(store)

    async def write() -> None:
        for number in range(30):
            await store.append(run_log("abcd"[number % 4]), [say("x")])

    writing = asyncio.create_task(write())
    found: list[Batch] = []
    before = MAX_POSITION
    while page := await store.read_back(before, 1):
        found += page
        before = page[-1].first_position
    await writing
    whole = await store.read_back(found[0].last_position + 1, PLENTY)
    assert facts(found) == facts(whole)
    assert facts(whole[::-1]) == facts(await store.read_all(0, PLENTY))[: len(whole)]


@pytest.mark.parametrize("log", [LIFECYCLE, MESSAGES, "nothing"])
async def test_logs_of_no_run_are_not_read_back(store: Store, log: str) -> None:
    with pytest.raises(ValueError, match="read back"):
        await store.read_back(MAX_POSITION, PLENTY, Selection(log=log))
