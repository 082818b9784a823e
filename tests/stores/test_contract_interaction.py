"""The store contract: approvals that are asked and settled, and stdin that waits for delivery."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runcast.core.errors import Conflict, NotFound, RuncastError, StaleCheckpoint
from runcast.core.events import LIFECYCLE, MESSAGES, Draft, run_log
from runcast.core.runs import public_run
from runcast.stores import Approval, Checkpoint, Piece, RunFilter, Span, Stdin, Store
from tests.stores.make import a_run, events_of, lines, move, news_of, say, tell_approval, texts_of

R = run_log("r")


async def code_of(call: Awaitable[Any]) -> str:
    with pytest.raises(RuncastError) as refused:
        await call
    return refused.value.code


async def states_of(store: Store, run_id: str = "r") -> dict[str, str]:
    """Return the state of each approval, having checked that the run counts the pending ones."""
    states = {approval.id: approval.state for approval in await store.approvals(run_id)}
    pending = sum(state == "pending" for state in states.values())
    assert (await store.get(run_id)).pending_approvals == pending
    return states


async def test_approval_is_kept_as_its_event_tells_it(store: Store) -> None:
    await store.create(a_run())
    asked = tell_approval("q", tool="Bash", input={"command": "ls"}, time=2_500)
    await store.append(R, [asked])
    expected = Approval(id="q", state="pending", data=asked.data, time=2_500)
    assert await store.approvals("r") == [expected]
    assert (await store.get("r")).pending_approvals == 1


async def test_settled_approval_keeps_its_question_and_gains_the_answer(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [tell_approval("q", tool="Bash", time=2_500)])
    await store.append(R, [tell_approval("q", "denied", message="no", time=2_600)])
    data = {"id": "q", "state": "denied", "tool": "Bash", "message": "no"}
    assert await store.approvals("r") == [Approval(id="q", state="denied", data=data, time=2_500)]
    assert (await store.get("r")).pending_approvals == 0


async def test_approvals_are_listed_in_the_order_in_which_they_were_asked(store: Store) -> None:
    for run_id in ("other", "r"):
        await store.create(a_run(run_id))
    await store.append(R, [tell_approval("z"), say("x"), tell_approval("a")])
    await store.append(run_log("other"), [tell_approval("z")])
    await store.append(R, [tell_approval("m")])
    await store.append(R, [tell_approval("z", "expired")])
    expected = {"z": "expired", "a": "pending", "m": "pending"}
    assert list((await states_of(store)).items()) == list(expected.items())
    assert await states_of(store, "other") == {"z": "pending"}


async def test_each_change_of_the_number_pending_is_told_with_its_event(store: Store) -> None:
    await store.create(a_run())
    heard: list[str] = []
    store.listen(lambda batches: heard.extend(batch.log for batch in batches))
    span = await store.append(R, [tell_approval("a"), tell_approval("b", time=2_700)])
    assert heard == [R, LIFECYCLE]
    assert span == Span(2, 3, (await store.positions()).head - 1)
    told = (await events_of(store, LIFECYCLE))[-1]
    assert (told.time, told.data["name"]) == (2_700, "run_asked")
    assert told.data["value"] == public_run(await store.get("r"))
    assert told.data["value"]["pending_approvals"] == 2
    await store.append(R, [tell_approval("a", "allowed"), tell_approval("c")])
    assert len(await events_of(store, LIFECYCLE)) == 2  # as many are pending as before
    assert await states_of(store) == {"a": "allowed", "b": "pending", "c": "pending"}


async def test_approval_may_be_asked_and_settled_in_one_append(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [tell_approval("q"), lines("x"), tell_approval("q", "withdrawn")])
    assert await states_of(store) == {"q": "withdrawn"}
    assert await news_of(store) == [("run_added", "r")]


REFUSED_MOVES = {
    "asked again while it is pending": ("asked", "pending", "approval_settled"),
    "asked again once it is settled": ("settled", "pending", "approval_settled"),
    "settled again": ("settled", "denied", "approval_settled"),
    "settled though never asked": ("unknown", "allowed", "not_found"),
}


@pytest.mark.parametrize("case", REFUSED_MOVES)
async def test_refused_move_takes_its_whole_append_with_it(store: Store, case: str) -> None:
    approval_id, state, code = REFUSED_MOVES[case]
    await store.create(a_run())
    await store.append(R, [tell_approval("settled"), tell_approval("asked")])
    await store.append(R, [tell_approval("settled", "allowed")])
    before = [await store.get("r"), await store.approvals("r"), await store.positions()]
    entries = [say("x"), tell_approval("new"), tell_approval(approval_id, state)]
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.append(R, entries, advance=move(0, 5), stdin=Stdin(b"y")),
        lambda: store.transition("r", "failed", 9, entries=entries),
    ]
    for call in calls:
        assert await code_of(call()) == code
        after = [await store.get("r"), await store.approvals("r"), await store.positions()]
        assert after == before
    assert await store.stdin("r") == []
    assert await store.checkpoint("r") == Checkpoint()


async def test_first_of_two_answers_at_once_wins_and_the_other_does_nothing(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [tell_approval("q")])
    outcomes = await asyncio.gather(
        store.append(R, [say("1"), tell_approval("q", "allowed")], stdin=Stdin(b"yes")),
        store.append(R, [say("2"), tell_approval("q", "denied")], stdin=Stdin(b"no")),
        store.append(R, [say("3")], stdin=Stdin(b"!")),
        return_exceptions=True,
    )
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [
        *(None, "approval_settled", None)
    ]
    assert await states_of(store) == {"q": "allowed"}
    assert await texts_of(store) == ["1", "3"]
    assert await store.stdin("r") == [Piece(0, b"yes"), Piece(3, b"!")]
    assert (await store.get("r")).stdin_bytes == 4


async def test_ingest_asks_in_the_commit_of_its_checkpoint(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.append(R, [say("a"), tell_approval("q")], advance=move(0, 10))
    with pytest.raises(StaleCheckpoint):
        await store.append(R, [say("a"), tell_approval("again")], advance=move(0, 10))
    assert (await store.checkpoint("r")).offset == 10
    assert await states_of(store) == {"q": "pending"}
    assert await texts_of(store) == ["a"]


async def test_run_may_be_created_with_approvals(store: Store) -> None:
    run = await store.create(a_run(pending_approvals=7), [tell_approval("q")])
    assert run.pending_approvals == 1
    assert await store.get("r") == run
    assert (await events_of(store, LIFECYCLE))[0].data["value"] == public_run(run)
    assert (await store.create(a_run("none", pending_approvals=7))).pending_approvals == 0
    refused = store.create(a_run("s"), [tell_approval("q", "allowed")])
    assert await code_of(refused) == "not_found"
    assert await store.count(RunFilter()) == 2


async def test_transition_moves_approvals_and_tells_of_the_run_once(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.append(R, [tell_approval("a"), tell_approval("b")])
    run = await store.transition("r", "failed", 9, entries=[tell_approval("a", "withdrawn")])
    assert run.pending_approvals == 1
    assert await store.runs(RunFilter(), 9) == [run]
    assert await states_of(store) == {"a": "withdrawn", "b": "pending"}
    told = await events_of(store, LIFECYCLE)
    assert [event.data["value"]["pending_approvals"] for event in told] == [0, 2, 1]


@pytest.mark.parametrize(
    "data",
    [{}, {"id": "q"}, {"id": 7, "state": "pending"}, {"id": None, "state": "x"}, {"state": "x"}],
)
async def test_approval_without_id_or_state_is_an_event_like_any(
    store: Store, data: dict[str, Any]
) -> None:
    await store.create(a_run())
    await store.append(R, [Draft(2_000, "approval", data), tell_approval("good")])
    assert (await events_of(store, R))[1].data == data
    assert await states_of(store) == {"good": "pending"}


async def test_approval_outside_the_log_of_a_run_is_an_event_like_any(store: Store) -> None:
    span = await store.append(MESSAGES, [tell_approval("q"), tell_approval("q", "allowed")])
    assert span.last == 2
    assert await store.approvals("nobody") == []


async def test_what_becomes_of_the_callers_event_does_not_reach_the_store(store: Store) -> None:
    await store.create(a_run())
    asked = tell_approval("q", input={"path": "x"})
    await store.append(R, [asked])
    asked.data["input"]["path"] = "y"
    (await store.approvals("r"))[0].data["input"]["path"] = "z"
    assert (await store.approvals("r"))[0].data["input"] == {"path": "x"}


async def test_stdin_is_queued_behind_what_was_given_before(store: Store) -> None:
    await store.create(a_run(status="running", stdin="pipe", stdin_bytes=5))
    span = await store.append(R, [say("a")], stdin=Stdin(b"one"))
    assert (span.first, span.last) == (2, 2)
    await store.append(R, [], stdin=Stdin(b"\0\xff", last=True))
    assert await store.stdin("r") == [Piece(5, b"one"), Piece(8, b"\0\xff", last=True)]
    run = await store.get("r")
    assert (run.stdin_bytes, run.stdin_ended, run.last_seq) == (10, True, 2)
    assert await news_of(store) == [("run_added", "r")]


async def test_stdin_alone_appends_nothing(store: Store) -> None:
    await store.create(a_run())
    head = (await store.positions()).head
    assert await store.append(R, [], stdin=Stdin(b"x")) == Span(2, 1, head)
    assert (await store.positions()).head == head


async def test_nothing_comes_after_the_end_of_input(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [], stdin=Stdin(b"", last=True))
    for stdin in (Stdin(b"late"), Stdin(b"", last=True)):
        call = store.append(R, [say("x")], advance=move(0, 5), stdin=stdin)
        assert await code_of(call) == "input_closed"
    assert await store.stdin("r") == [Piece(0, b"", last=True)]
    assert await texts_of(store) == []
    assert await store.checkpoint("r") == Checkpoint()


async def test_stdin_goes_to_a_run_that_has_not_ended(store: Store) -> None:
    await store.create(a_run(status="failed"))
    assert await code_of(store.append(R, [], stdin=Stdin(b"x"))) == "log_sealed"
    with pytest.raises(NotFound):
        await store.append(run_log("nobody"), [], stdin=Stdin(b"x"))
    with pytest.raises(ValueError, match="no stdin"):
        await store.append(MESSAGES, [say("x")], stdin=Stdin(b"x"))
    with pytest.raises(ValueError, match="at least one byte"):
        await store.append(R, [say("x")], stdin=Stdin(b""))


async def test_delivered_drops_what_the_command_has_and_nothing_else(store: Store) -> None:
    for run_id in ("r", "other"):
        await store.create(a_run(run_id))
        for data in (b"one", b"two"):
            await store.append(run_log(run_id), [], stdin=Stdin(data))
    await store.delivered("r", 2)
    first, second = await store.stdin("r")
    await store.delivered("r", first.end)
    assert await store.stdin("r") == [second] == [Piece(3, b"two")]
    await store.delivered("r", second.end)
    assert await store.stdin("r") == []
    assert (await store.get("r")).stdin_bytes == 6
    assert len(await store.stdin("other")) == 2
    await store.delivered("nobody", 9)


async def test_end_of_input_is_not_taken_as_delivered_with_the_bytes_before_it(
    store: Store,
) -> None:
    await store.create(a_run())
    await store.append(R, [], stdin=Stdin(b"one"))
    (piece,) = await store.stdin("r")
    await store.append(R, [], stdin=Stdin(b"", last=True))
    await store.delivered("r", piece.end)
    (end,) = await store.stdin("r")
    assert end == Piece(3, b"", last=True)
    await store.delivered("r", end.end)
    assert await store.stdin("r") == []


async def test_stdin_of_a_queued_run_waits_until_it_runs_and_goes_with_its_end(
    store: Store,
) -> None:
    await store.create(a_run())
    await store.append(R, [tell_approval("q")], stdin=Stdin(b"x"))
    await store.claim(1, 2_000)
    assert await store.stdin("r") == [Piece(0, b"x")]
    await store.transition("r", "completed", 3_000)
    assert await store.stdin("r") == []
    assert await states_of(store) == {"q": "pending"}
    assert (await store.get("r")).stdin_bytes == 1


async def test_delete_takes_approvals_and_stdin_along(store: Store) -> None:
    for run_id in ("r", "other"):
        await store.create(a_run(run_id))
        await store.append(run_log(run_id), [tell_approval("q")], stdin=Stdin(b"x"))
    await store.delete(["r"], 4_000)
    assert (await store.approvals("r"), await store.stdin("r")) == ([], [])
    assert await states_of(store, "other") == {"q": "pending"}
    assert await store.stdin("other") == [Piece(0, b"x")]


@pytest.mark.parametrize("field", ["pending_approvals", "stdin_bytes", "stdin_ended"])
async def test_what_the_store_counts_cannot_be_updated(store: Store, field: str) -> None:
    await store.create(a_run())
    with pytest.raises(ValueError, match=field):
        await store.update("r", {field: 1})


async def test_update_beside_an_answer_keeps_both(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [tell_approval("q")])
    await asyncio.gather(
        store.update("r", {"cancel_requested": True}),
        store.append(R, [tell_approval("q", "allowed")], stdin=Stdin(b"y")),
        store.update("r", {"hung": True}),
    )
    run = await store.get("r")
    assert (run.cancel_requested, run.hung) == (True, True)
    assert (run.pending_approvals, run.stdin_bytes) == (0, 1)


async def test_answer_to_a_run_that_has_ended_is_refused(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.append(R, [tell_approval("q")])
    ended, answered = await asyncio.gather(
        store.transition("r", "failed", 9, entries=[tell_approval("q", "withdrawn")]),
        store.append(R, [tell_approval("q", "allowed")], stdin=Stdin(b"y")),
        return_exceptions=True,
    )
    assert not isinstance(ended, BaseException)
    assert isinstance(answered, Conflict)
    assert answered.code == "log_sealed"
    assert await states_of(store) == {"q": "withdrawn"}
