"""The store contract: what a batch says of its run, and reading a selection by position."""

import asyncio
from typing import Any

import pytest

from runcast.core.events import LIFECYCLE, MESSAGES, Batch, Draft, Entry, Lines, run_log
from runcast.core.limits import MAX_POSITION
from runcast.core.runs import RunRef
from runcast.stores import ALL_RUNS, Selection, Store
from tests.stores.make import PLENTY, a_run, events_in, facts, lines, say

R = run_log("r")


async def heard_by_a_listener(store: Store, entries: list[Entry]) -> Batch:
    heard: list[Batch] = []
    store.listen(heard.extend)
    await store.append(R, entries)
    return heard[0]


REFS: dict[str, tuple[dict[str, Any], RunRef]] = {
    "command": ({}, RunRef("r", "r", "default", "command", "run")),
    "agent": (
        {"agent": "claude", "task_id": "t", "workspace_id": "w"},
        RunRef("r", "t", "w", "claude", "run"),
    ),
    "tool": ({"tool": "lint", "source": "watch"}, RunRef("r", "r", "default", "lint", "watch")),
    "external": (
        {"kind": "editor", "source": "external"},
        RunRef("r", "r", "default", "editor", "external"),
    ),
}


@pytest.mark.parametrize("case", REFS)
async def test_batch_says_what_never_changes_about_its_run(store: Store, case: str) -> None:
    fields, ref = REFS[case]
    heard: list[Batch] = []
    store.listen(heard.extend)
    await store.create(a_run(**fields))
    await store.append(R, [say("a")])
    await store.transition("r", "failed", 9)
    assert {batch.ref for batch in heard if batch.log == R} == {ref}
    found = [*await store.read(R, 0, PLENTY), *await store.read_all(0, PLENTY)]
    assert [batch.ref for batch in found] == [ref] * 6
    assert len({id(batch.ref) for batch in found}) == 1


async def test_batch_of_a_log_without_run_says_nothing_of_one(store: Store) -> None:
    heard: list[Batch] = []
    store.listen(heard.extend)
    await store.create(a_run())
    await store.append(MESSAGES, [say("m")])
    shared = [batch for batch in heard if batch.log != R]
    shared += [*await store.read(LIFECYCLE, 0, PLENTY), *await store.read(MESSAGES, 0, PLENTY)]
    assert [(batch.ref, batch.urgent) for batch in shared] == [(None, False)] * 4


URGENT_ENTRIES: dict[str, tuple[list[Entry], bool]] = {
    "lines of stdout": ([lines("a", "b")], False),
    "lines of stderr": ([lines("a"), Lines(1, "stderr", ["b"])], True),
    "output of stdout": ([say("a")], False),
    "output of stderr": ([Draft(1, "output", {"stream": "stderr", "text": "x"})], True),
    "output of nothing known": ([Draft(1, "output", {})], False),
    "what agents do": ([Draft(1, "tool_call", {}), Draft(1, "message", {})], False),
    "an error": ([say("a"), Draft(1, "error", {"message": "m"}), say("b")], True),
    "an approval": ([Draft(1, "approval", {"id": "q", "state": "pending"})], True),
    "a gap": ([Draft(1, "gap", {"reason": "limit"})], True),
    "a status": ([Draft(1, "status", {})], True),
}


@pytest.mark.parametrize("case", URGENT_ENTRIES)
async def test_what_was_just_committed_says_whether_it_is_urgent(store: Store, case: str) -> None:
    entries, urgent = URGENT_ENTRIES[case]
    await store.create(a_run())
    assert (await heard_by_a_listener(store, entries)).urgent is urgent
    found = [*await store.read(R, 0, PLENTY), *await store.read_all(0, PLENTY)]
    assert not any(batch.urgent for batch in found)


async def test_changes_of_status_are_urgent_and_news_of_them_are_not(store: Store) -> None:
    heard: list[Batch] = []
    store.listen(heard.extend)
    await store.create(a_run())
    await store.claim(1, 2_000)
    await store.transition("r", "completed", 3_000, entries=[say("last")])
    assert [(batch.log, batch.urgent) for batch in heard] == [
        *((R, True), (LIFECYCLE, False)) * 2,
        *((R, False), (R, True), (LIFECYCLE, False)),
    ]


RUNS = {  # id -> task, workspace
    "a": ("t", "w"),
    "b": ("t", "x"),
    "c": ("other", "w"),
    "d": ("d", "x"),
}
SELECTIONS = {
    "everything": (ALL_RUNS, "abcd"),
    "task": (Selection(task_id="t"), "ab"),
    "workspace": (Selection(workspace_id="w"), "ac"),
    "run": (Selection(run_id="d"), "d"),
    "several": (Selection(task_id="t", workspace_id="w"), "a"),
    "nothing in common": (Selection(task_id="d", run_id="a"), ""),
    "unknown task": (Selection(task_id="nobody"), ""),
    "unknown workspace": (Selection(workspace_id="nobody"), ""),
    "unknown run": (Selection(run_id="nobody"), ""),
}


async def fill(store: Store) -> None:
    """Write batches of several sizes to the logs of RUNS, all at once and one after the other."""
    for run_id, (task_id, workspace_id) in RUNS.items():
        await store.create(a_run(run_id, task_id=task_id, workspace_id=workspace_id))
    for number in range(30):
        log = run_log("abcd"[number * number % 7 % 4])
        await store.append(log, [lines(*"xyz"[: number % 3 + 1])])
        await store.append(MESSAGES, [say("m")] * (number % 2 + 1))
    await store.transition("b", "failed", 5_000)


@pytest.mark.parametrize("case", SELECTIONS)
async def test_selected_runs_are_read_by_position(store: Store, case: str) -> None:
    where, run_ids = SELECTIONS[case]
    await fill(store)
    logs = {run_log(run_id) for run_id in run_ids}
    expected = [batch for batch in await store.read_all(0, PLENTY) if batch.log in logs]
    found = await store.read_all(0, PLENTY, where)
    assert facts(found) == facts(expected)
    assert all(where.takes(batch) for batch in found)
    assert [batch.ref for batch in found] == [batch.ref for batch in expected]


@pytest.mark.parametrize("where", [Selection(log=LIFECYCLE), Selection(log=MESSAGES)])
async def test_shared_log_is_read_by_position(store: Store, where: Selection) -> None:
    await fill(store)
    assert where.log is not None
    expected = await store.read(where.log, 0, PLENTY)
    found = await store.read_all(0, PLENTY, where)
    assert facts(found) == facts(expected)
    assert all(where.takes(batch) for batch in found)
    assert not any(ALL_RUNS.takes(batch) for batch in found)


@pytest.mark.parametrize(
    "where",
    [
        *(Selection(task_id="t"), Selection(workspace_id="w"), Selection(run_id="d")),
        *(Selection(log=LIFECYCLE), Selection(log=MESSAGES)),
    ],
)
async def test_selected_events_are_resumed_anywhere_without_loss(
    store: Store, where: Selection
) -> None:
    await fill(store)
    everything = await store.read_all(0, PLENTY, where)
    for after in (*range((await store.positions()).head + 2), MAX_POSITION):
        expected = [batch for batch in everything if batch.last_position > after]
        assert facts(await store.read_all(after, PLENTY, where)) == facts(expected), after
        assert facts(await store.read_all(after, 1, where)) == facts(expected[:1])


async def test_deleted_and_trimmed_events_are_not_selected(store: Store) -> None:
    await fill(store)
    await store.delete(["a"], 6_000)
    await store.append(MESSAGES, [say("young", 9_000)])
    await store.trim(MESSAGES, 8_000)
    assert {batch.log for batch in await store.read_all(0, PLENTY, Selection(task_id="t"))} == {
        run_log("b")
    }
    assert await store.read_all(0, PLENTY, Selection(run_id="a")) == []
    (young,) = events_in(await store.read_all(0, PLENTY, Selection(log=MESSAGES)))
    assert young.time == 9_000


async def test_reader_of_a_task_misses_nothing_while_runs_join_it(store: Store) -> None:
    where = Selection(task_id="t")

    async def write() -> None:
        for number in range(30):
            await store.create(a_run(f"r{number}", task_id="t"))
            newest = range(max(0, number - 2), number + 1)
            await asyncio.gather(*(store.append(run_log(f"r{n}"), [say("x")]) for n in newest))

    writing = asyncio.create_task(write())
    after, seen = 0, list[Batch]()
    while not writing.done() or await store.read_all(after, 1, where):
        page = await store.read_all(after, 500, where)
        seen += page
        after = page[-1].last_position if page else after
        await asyncio.sleep(0)
    await writing
    assert facts(seen) == facts(await store.read_all(0, PLENTY))


@pytest.mark.parametrize(
    "where", [Selection(log=R), Selection(log="nothing"), Selection(log=MESSAGES, task_id="t")]
)
async def test_selection_that_makes_no_sense_is_refused(store: Store, where: Selection) -> None:
    with pytest.raises(ValueError, match="can be selected"):
        await store.read_all(0, PLENTY, where)
