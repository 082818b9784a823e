"""The store contract: runs, their statuses, claims and lists."""

import asyncio

import pytest

from runcast.core.errors import Conflict, NotFound, StaleCheckpoint
from runcast.core.events import LIFECYCLE, run_log
from runcast.core.runs import Process, public_run, status_data
from runcast.stores import Checkpoint, RunFilter, Store
from tests.stores.make import PLENTY, a_run, events_of, move, news_of, say, texts_of

R = run_log("r")


async def test_log_of_a_new_run_begins_with_its_status_then_its_entries(store: Store) -> None:
    run = await store.create(a_run(), [say("a"), say("b")])
    first, *rest = await events_of(store, R)
    assert (first.seq, first.type, first.time) == (1, "status", 1_000)
    assert first.data == status_data(run)
    assert [event.data["text"] for event in rest] == ["a", "b"]
    assert run.last_seq == 3
    assert run.bytes > 0
    assert await store.get("r") == run


async def test_everything_a_run_says_of_itself_is_kept(store: Store) -> None:
    run = a_run(
        command=["echo", "\0é"],
        agent="claude",
        metadata={"a": [1, {"b": None}]},
        result={"x": 1.5},
        killed=[Process(7, "sleep")],
        timeout_s=2.5,
        status="running",
        started_at=1_500,
        cwd="/x",
        stdin="pipe",
    )
    created = await store.create(run)
    assert await store.get("r") == created
    created.order, created.last_seq, created.bytes = run.order, run.last_seq, run.bytes
    assert created == run


async def test_what_is_returned_is_the_callers_own(store: Store) -> None:
    run = a_run(metadata={"kept": 1})
    created = await store.create(run)
    created.metadata["changed"] = run.metadata["changed"] = 2
    created.status = run.status = "failed"
    again = await store.get("r")
    assert (again.status, again.metadata) == ("queued", {"kept": 1})


async def test_order_grows_with_every_creation(store: Store) -> None:
    created = [await store.create(a_run(run_id)) for run_id in ("c", "a", "b")]
    assert [run.order for run in created] == sorted({run.order for run in created})


async def test_id_in_use_is_refused_and_writes_nothing(store: Store) -> None:
    await store.create(a_run())
    before = await store.positions()
    with pytest.raises(Conflict) as refused:
        await store.create(a_run(task_id="other"), [say("x")])
    assert refused.value.code == "id_taken"
    assert await store.positions() == before


async def test_run_created_as_ended_is_sealed(store: Store) -> None:
    await store.create(a_run(status="completed"))
    with pytest.raises(Conflict):
        await store.append(R, [say("late")])
    with pytest.raises(Conflict) as refused:
        await store.create(a_run("other", status="failed"), [say("late")])
    assert refused.value.code == "log_sealed"
    assert await store.count(RunFilter()) == 1


async def test_unknown_run_is_not_found(store: Store) -> None:
    for call in (
        store.get("nobody"),
        store.transition("nobody", "failed", 1),
        store.update("nobody", {"cancel_requested": True}),
    ):
        with pytest.raises(NotFound):
            await call


async def test_lifecycle_tells_of_every_change_as_the_run_then_stood(store: Store) -> None:
    added = await store.create(a_run(), [say("a")])
    started = await store.transition("r", "running", 2_000)
    ended = await store.transition("r", "completed", 3_000, {"exit_code": 0}, [say("b")])
    await store.delete(["r"], 4_000)
    told = await events_of(store, LIFECYCLE)
    names = ["run_added", "run_updated", "run_updated", "run_removed"]
    assert [event.data["name"] for event in told] == names
    assert [event.time for event in told] == [1_000, 2_000, 3_000, 4_000]
    shown = [public_run(run) for run in (added, started, ended, ended)]
    assert [event.data["value"] for event in told] == shown


async def test_transition_appends_entries_then_the_status(store: Store) -> None:
    await store.create(a_run(status="running"))
    outcome = {"reason": "exit", "exit_code": 3, "ended_at": 2_900, "result": ["x"]}
    run = await store.transition("r", "failed", 3_000, outcome, [say("a"), say("b")])
    *output, last = (await events_of(store, R))[1:]
    assert [event.data["text"] for event in output] == ["a", "b"]
    assert (last.type, last.time, last.data) == ("status", 3_000, status_data(run))
    assert (run.status, run.reason, run.exit_code, run.ended_at) == ("failed", "exit", 3, 2_900)
    assert run.last_seq == last.seq == 4
    assert await store.get("r") == run


async def test_start_and_end_take_the_time_of_the_transition(store: Store) -> None:
    await store.create(a_run())
    await store.transition("r", "running", 2_000)
    run = await store.transition("r", "completed", 3_000)
    assert (run.started_at, run.ended_at) == (2_000, 3_000)


async def test_same_status_again_changes_nothing(store: Store) -> None:
    before = await store.create(a_run(status="running"))
    positions = await store.positions()
    again = await store.transition("r", "running", 9, {"exit_code": 1}, [say("x")], move(0, 5))
    assert again == before
    assert await store.get("r") == before
    assert await store.positions() == positions
    assert await store.checkpoint("r") == Checkpoint()


@pytest.mark.parametrize(("status", "to"), [("queued", "completed"), ("failed", "running")])
async def test_change_that_may_not_happen_writes_nothing(
    store: Store, status: str, to: str
) -> None:
    before = await store.create(a_run(status=status))
    with pytest.raises(Conflict) as refused:
        await store.transition("r", to, 9, entries=[say("x")], advance=move(0, 5))  # type: ignore[arg-type]
    assert refused.value.code == "bad_transition"
    assert await store.get("r") == before


async def test_external_run_may_complete_from_queued(store: Store) -> None:
    await store.create(a_run(source="external"))
    assert (await store.transition("r", "completed", 9)).status == "completed"


async def test_end_is_committed_with_the_checkpoint(store: Store) -> None:
    await store.create(a_run(status="running"))
    with pytest.raises(StaleCheckpoint):
        await store.transition("r", "completed", 9, entries=[say("x")], advance=move(4, 5))
    assert (await store.get("r")).status == "running"
    await store.transition("r", "completed", 9, {}, [say("x")], move(0, 5, finished=True))
    assert await store.checkpoint("r") == Checkpoint(offset=5, finished=True)
    assert await texts_of(store) == ["x"]


async def test_fields_that_are_not_an_outcome_are_refused(store: Store) -> None:
    before = await store.create(a_run())
    with pytest.raises(ValueError, match="task_id"):
        await store.transition("r", "running", 9, {"task_id": "x"})
    assert await store.get("r") == before


async def test_update_sets_fields_without_an_event(store: Store) -> None:
    await store.create(a_run())
    before = await store.positions()
    run = await store.update("r", {"cancel_requested": True, "metadata": {"x": 1}})
    assert (run.cancel_requested, run.metadata) == (True, {"x": 1})
    assert await store.get("r") == run
    assert await store.runs(RunFilter(), 9) == [run]
    assert await store.positions() == before


async def test_update_of_what_only_the_store_sets_is_refused(store: Store) -> None:
    before = await store.create(a_run())
    identity = ("id", "source", "task_id", "workspace_id", "agent", "tool", "kind")
    for field in (*identity, "status", "order", "last_seq", "bytes", "nonsense"):
        with pytest.raises(ValueError, match=field):
            await store.update("r", {field: 1})
    assert await store.get("r") == before


async def test_claim_takes_the_oldest_queued_runs_in_order(store: Store) -> None:
    for number in range(5):
        await store.create(a_run(str(number)))
    claimed = await store.claim(2, 2_000)
    assert [run.id for run in claimed] == ["0", "1"]
    assert [(run.status, run.started_at) for run in claimed] == [("running", 2_000)] * 2
    assert [run.id for run in await store.claim(9, 3_000)] == ["2", "3", "4"]
    assert await store.claim(9, 4_000) == []
    assert [event.time for event in await events_of(store, run_log("0"))] == [1_000, 2_000]
    assert (await news_of(store))[5:] == [("run_updated", str(number)) for number in range(5)]


async def test_claim_passes_over_what_must_not_start(store: Store) -> None:
    await store.create(a_run("external", source="external"))
    await store.create(a_run("running", status="running"))
    await store.create(a_run("cancelled"))
    await store.update("cancelled", {"cancel_requested": True})
    await store.create(a_run("ready"))
    assert [run.id for run in await store.claim(9, 2_000)] == ["ready"]


async def test_claims_at_once_never_take_the_same_run(store: Store) -> None:
    for number in range(10):
        await store.create(a_run(str(number)))
    claims = await asyncio.gather(*(store.claim(3, 2_000) for _ in range(5)))
    assert [run.id for claim in claims for run in claim] == [str(n) for n in range(10)]


async def test_lists_are_newest_first_in_pages(store: Store) -> None:
    for number in range(5):
        await store.create(a_run(str(number)))
    everything = RunFilter()
    page = await store.runs(everything, 2)
    assert [run.id for run in page] == ["4", "3"]
    rest = await store.runs(everything, 9, before=page[-1].order)
    assert [run.id for run in rest] == ["2", "1", "0"]
    assert [run.id for run in await store.runs(everything, 2, offset=1)] == ["3", "2"]
    assert await store.runs(everything, 0) == []
    assert rest[-1] == await store.get("0")


FILTERS = {
    "everything": (RunFilter(), "edcba"),
    "status": (RunFilter(statuses=["running"]), "b"),
    "statuses": (RunFilter(statuses={"running", "failed"}), "cb"),
    "workspace": (RunFilter(workspace_id="w"), "c"),
    "task": (RunFilter(task_id="t"), "dc"),
    "source": (RunFilter(source="external"), "d"),
    "agent": (RunFilter(kind="claude"), "a"),
    "tool": (RunFilter(kind="lint"), "e"),
    "command": (RunFilter(kind="command"), "dcb"),
    "since": (RunFilter(since=1_003), "edc"),
    "several": (RunFilter(task_id="t", source="run", statuses=["failed"], since=1_000), "c"),
    "none": (RunFilter(task_id="t", source="watch"), ""),
}


async def test_filters_select(store: Store) -> None:
    await store.create(a_run("a", agent="claude", created_at=1_001))
    await store.create(a_run("b", status="running", created_at=1_002))
    await store.create(a_run("c", workspace_id="w", task_id="t", status="failed", created_at=1_003))
    await store.create(a_run("d", task_id="t", source="external", created_at=1_004))
    await store.create(a_run("e", tool="lint", created_at=1_005))
    for name, (where, expected) in FILTERS.items():
        assert "".join(run.id for run in await store.runs(where, 99)) == expected, name
        assert await store.count(where) == len(expected), name


async def test_totals_name_every_status(store: Store) -> None:
    await store.create(a_run("a"))
    await store.create(a_run("b"))
    await store.create(a_run("c", status="failed"))
    assert await store.totals() == {
        "queued": 2,
        "running": 0,
        "completed": 0,
        "failed": 1,
        "cancelled": 0,
    }


async def test_keys_are_those_of_the_runs_there_are(store: Store) -> None:
    for run_id in ("a", "b"):
        await store.create(a_run(run_id))
    assert await store.keys() == {"key-of-a", "key-of-b"}
    await store.delete(["a"], 9)
    assert await store.keys() == {"key-of-b"}


async def test_reading_a_run_agrees_with_its_log(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.append(R, [say("a"), say("b")])
    head, run = await store.head(R), await store.get("r")
    assert (run.last_seq, run.bytes) == (head.last, head.bytes) == (3, head.bytes)
    assert run in await store.runs(RunFilter(), 9)
    assert len(await store.read(R, 0, PLENTY)) == 2
