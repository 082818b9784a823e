"""The store contract: external runs, which a client reports and changes as it likes."""

import pytest

from runcast.core.errors import Conflict
from runcast.core.events import LIFECYCLE, run_log
from runcast.core.runs import Run, public_run, status_data
from runcast.stores import RunFilter, Store
from tests.stores.make import PLENTY, a_run, events_of, news_of, say

R = run_log("r")


def an_external_run(**fields: object) -> Run:
    return a_run(source="external", **fields)


async def test_what_clients_say_of_an_external_run_is_kept(store: Store) -> None:
    run = an_external_run(
        kind="editor",
        prompt_preview="do…",
        full_prompt="do it",
        structured_result={"a": [1]},
    )
    created = await store.create(run)
    assert await store.get("r") == created
    assert (created.kind, created.prompt_preview) == ("editor", "do…")
    assert (created.full_prompt, created.structured_result) == ("do it", {"a": [1]})
    (told,) = await events_of(store, LIFECYCLE)
    assert told.data["value"] == public_run(created)
    assert told.data["value"]["prompt_preview"] == "do…"
    assert "full_prompt" not in told.data["value"]


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_external_run_that_goes_on_begins_with_its_status(store: Store, status: str) -> None:
    await store.create(an_external_run(status=status))
    assert [event.data["status"] for event in await events_of(store, R)] == [status]
    assert await store.claim(9, 2_000) == []


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_external_run_that_has_ended_commits_that_it_ran_with_its_end(
    store: Store, status: str
) -> None:
    outcome = {"result": "r", "error": "e", "reason": "agent", "ended_at": 900}
    run = await store.create(an_external_run(status=status, **outcome))
    (batch,) = await store.read(R, 0, PLENTY)
    first, last = batch.events()
    nothing = {"reason": None, "exit_code": None, "signal": None, "result": None}
    assert first.data == {"status": "running"} | nothing
    assert last.data == status_data(run)
    assert (first.time, last.time, run.last_seq) == (1_000, 1_000, 2)
    assert (await store.head(R)).sealed
    assert await news_of(store) == [("run_added", "r")]
    with pytest.raises(Conflict):
        await store.append(R, [say("late")])


async def test_end_may_bring_a_structured_result_and_metadata(store: Store) -> None:
    await store.create(an_external_run(status="running", metadata={"old": 1}))
    outcome = {"structured_result": [1], "metadata": {"new": 2}, "result": "done"}
    run = await store.transition("r", "completed", 3_000, outcome)
    assert (run.structured_result, run.metadata, run.result) == ([1], {"new": 2}, "done")
    assert await store.get("r") == run


async def test_change_with_a_time_is_told_and_not_logged_even_after_the_end(store: Store) -> None:
    await store.create(an_external_run(status="completed"))
    run = await store.update("r", {"result": "late", "ended_at": 2_500}, 3_000)
    assert (run.result, run.ended_at, run.last_seq) == ("late", 2_500, 2)
    assert await store.get("r") == run
    told = (await events_of(store, LIFECYCLE))[1:]
    assert [(event.time, event.data["name"]) for event in told] == [(3_000, "run_updated")]
    assert told[0].data["value"] == public_run(run)


async def test_what_a_client_calls_its_runs_is_their_kind(store: Store) -> None:
    await store.create(an_external_run(kind="editor"))
    await store.create(a_run("tool", tool="lint", kind="editor", source="external"))
    await store.create(a_run("none", source="external"))
    assert [run.id for run in await store.runs(RunFilter(kind="editor"), 9)] == ["r"]
    assert await store.count(RunFilter(kind="lint")) == 1
    assert [run.id for run in await store.runs(RunFilter(kind="command"), 9)] == ["none"]
