"""The store contract: appending, reading, heads, positions and checkpoints."""

import asyncio
from collections.abc import Sequence

import pytest

from runcast.core.errors import Conflict, NotFound, StaleCheckpoint, Unavailable
from runcast.core.events import LIFECYCLE, MESSAGES, Batch, run_log
from runcast.core.limits import MAX_POSITION
from runcast.stores import Advance, Checkpoint, LogHead, Positions, RunFilter, Span, Store
from tests.stores.make import PLENTY, a_run, events_in, events_of, facts, lines, move, say, texts_of

R = run_log("r")


async def test_seqs_of_a_log_start_at_one_and_have_no_gap(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [say("a"), lines("b", "c"), say("d")])
    await store.append(R, [say("e")])
    events = await events_of(store, R)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert await texts_of(store) == ["a", "b", "c", "d", "e"]


async def test_append_returns_the_numbers_its_events_were_given(store: Store) -> None:
    await store.create(a_run())
    span = await store.append(R, [say("a"), lines("b", "c")])
    assert (span.first, span.last) == (2, 4)
    assert span.position == (await store.positions()).head
    last = (await events_of(store, R))[-1]
    assert (last.seq, last.position) == (span.last, span.position)


async def test_positions_grow_over_all_logs_and_are_consecutive_in_a_batch(store: Store) -> None:
    await store.create(a_run("a"))
    await store.create(a_run("b"))
    for log in (run_log("a"), MESSAGES, run_log("b"), LIFECYCLE):
        await store.append(log, [say("x"), lines("y", "z")])
    batches = [
        batch
        for log in (run_log("a"), run_log("b"), MESSAGES, LIFECYCLE)
        for batch in await store.read(log, 0, PLENTY)
    ]
    positions = sorted(event.position for event in events_in(batches))
    assert positions == list(range(1, (await store.positions()).head + 1))


async def test_shared_logs_exist_from_the_start(store: Store) -> None:
    assert await store.head(LIFECYCLE) == LogHead(1, 0, sealed=False, bytes=0)
    assert await store.append(MESSAGES, [say("hello")]) == Span(1, 1, 1)


@pytest.mark.parametrize("log", ["run:nobody", "nothing"])
async def test_unknown_log_is_not_found_and_reads_as_nothing(store: Store, log: str) -> None:
    with pytest.raises(NotFound):
        await store.append(log, [say("x")])
    with pytest.raises(NotFound):
        await store.head(log)
    assert await store.read(log, 0, PLENTY) == []


@pytest.mark.parametrize("entries", [[], [lines()]])
async def test_append_of_nothing_is_refused(store: Store, entries: list[object]) -> None:
    await store.create(a_run())
    with pytest.raises(ValueError, match="at least one event"):
        await store.append(R, entries)  # type: ignore[arg-type]


async def test_append_behind_the_terminal_status_is_refused(store: Store) -> None:
    await store.create(a_run(status="running"))
    await store.transition("r", "failed", 9)
    before = await store.head(R)
    with pytest.raises(Conflict) as refused:
        await store.append(R, [say("late")])
    assert refused.value.code == "log_sealed"
    assert await store.head(R) == before
    assert before.sealed


async def test_append_after_a_seq_that_is_not_the_last_writes_nothing(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [say("a")], after=1)
    with pytest.raises(Conflict) as refused:
        await store.append(R, [say("b")], after=1)
    assert refused.value.code == "stale_after"
    assert await texts_of(store) == ["a"]


async def test_checkpoint_is_empty_until_one_is_committed(store: Store) -> None:
    await store.create(a_run())
    assert await store.checkpoint("r") == Checkpoint()
    assert await store.checkpoint("nobody") == Checkpoint()


async def test_checkpoint_is_committed_with_its_events(store: Store) -> None:
    await store.create(a_run())
    checkpoint = Checkpoint(
        offset=10, open={"stdout": (10, 3)}, state=b"\0s", state_version=2, finished=True
    )
    await store.append(R, [say("a")], advance=Advance(0, checkpoint))
    assert await store.checkpoint("r") == checkpoint
    assert await texts_of(store) == ["a"]


async def test_stale_checkpoint_writes_neither_events_nor_checkpoint(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [say("a")], advance=move(0, 10))
    with pytest.raises(StaleCheckpoint):
        await store.append(R, [say("again")], advance=move(0, 12))
    assert (await store.checkpoint("r")).offset == 10
    assert await texts_of(store) == ["a"]


async def test_checkpoint_can_move_without_events(store: Store) -> None:
    await store.create(a_run())
    span = await store.append(R, [], advance=move(0, 7))
    assert (span.first, span.last) == (2, 1)
    assert (await store.checkpoint("r")).offset == 7
    assert (await store.head(R)).last == 1


async def test_checkpoint_of_a_log_without_run_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        await store.append(MESSAGES, [say("x")], advance=move(0, 1))


async def test_read_begins_with_the_whole_batch_that_holds_the_next_seq(store: Store) -> None:
    await store.create(a_run())  # seq 1
    await store.append(R, [lines("a", "b", "c")])  # 2..4
    await store.append(R, [say("d")])  # 5
    firsts = {
        after: [batch.first_seq for batch in await store.read(R, after, PLENTY)]
        for after in (0, 1, 2, 3, 4, 5, 99, MAX_POSITION)
    }
    assert firsts == {
        0: [1, 2, 5],
        1: [2, 5],
        2: [2, 5],
        3: [2, 5],
        4: [5],
        5: [],
        99: [],
        MAX_POSITION: [],
    }


async def test_read_stops_at_its_limit_but_never_before_one_batch(store: Store) -> None:
    await store.create(a_run())
    for number in range(10):
        await store.append(R, [say(str(number) * 100)])
    size = len((await store.read(R, 1, 1))[0].body)
    assert [len(await store.read(R, 1, limit)) for limit in (1, size, size + 1, 3 * size)] == [
        *(1, 1, 2, 3)
    ]


async def test_read_all_gives_every_run_log_by_position(store: Store) -> None:
    await store.create(a_run("a"))
    await store.create(a_run("b"))
    for number in range(3):
        await store.append(run_log("a"), [lines(f"a{number}", "x")])
        await store.append(MESSAGES, [say("not shown")])
        await store.append(run_log("b"), [say(f"b{number}")])
    everything = await store.read_all(0, PLENTY)
    assert {batch.log for batch in everything} == {run_log("a"), run_log("b")}
    expected = [
        *await store.read(run_log("a"), 0, PLENTY),
        *await store.read(run_log("b"), 0, PLENTY),
    ]
    assert facts(everything) == sorted(facts(expected), key=lambda fact: fact[2])


async def test_read_all_resumes_anywhere_without_loss(store: Store) -> None:
    await store.create(a_run("a"))
    await store.create(a_run("b"))
    for number in range(5):
        await store.append(run_log("ab"[number % 2]), [lines("x", "y", "z")])
    everything = events_in(await store.read_all(0, PLENTY))
    for after in range((await store.positions()).head + 2):
        batches = await store.read_all(after, PLENTY)
        later = [event for event in events_in(batches) if event.position > after]
        assert later == [event for event in everything if event.position > after]
        assert all(batch.last_position > after for batch in batches)
    assert await store.read_all(MAX_POSITION, PLENTY) == []
    assert len(await store.read_all(0, 1)) == 1


async def test_head_counts_the_bytes_of_the_bodies(store: Store) -> None:
    await store.create(a_run())
    await store.append(R, [lines("a", "b")])
    size = sum(len(batch.body) for batch in await store.read(R, 0, PLENTY))
    assert await store.head(R) == LogHead(1, 3, sealed=False, bytes=size)
    assert (await store.get("r")).bytes == size


async def test_new_store_stands_at_zero(store: Store) -> None:
    assert await store.positions() == Positions(0, 0)
    assert await store.read_all(0, PLENTY) == []


async def test_listeners_hear_every_batch_in_order_before_the_call_returns(store: Store) -> None:
    heard: list[Batch] = []
    store.listen(heard.extend)
    await store.create(a_run())
    assert [batch.log for batch in heard] == [R, LIFECYCLE]
    await store.append(R, [lines("a", "b")])
    await store.append(MESSAGES, [say("m")])
    await store.transition("r", "failed", 9, entries=[say("last")])
    await store.delete(["r"], 10)
    assert [batch.log for batch in heard[2:]] == [R, MESSAGES, R, R, LIFECYCLE, LIFECYCLE]
    positions = [event.position for event in events_in(heard)]
    assert positions == list(range(1, (await store.positions()).head + 1))
    stored = await store.read(LIFECYCLE, 0, PLENTY)
    assert facts(stored) == facts([batch for batch in heard if batch.log == LIFECYCLE])


async def test_every_listener_is_told_even_if_one_fails(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Batch] = []

    def fail(batches: Sequence[Batch]) -> None:
        raise ZeroDivisionError

    store.listen(fail)
    store.listen(heard.extend)
    assert (await store.append(MESSAGES, [say("m")])).last == 1
    assert len(heard) == 1
    assert "listener failed" in caplog.text


async def test_callers_at_once_are_numbered_in_the_order_of_their_calls(store: Store) -> None:
    await store.create(a_run())
    calls = [store.append(R, [lines(*(str(n),) * (n % 3 + 1))]) for n in range(50)]
    spans = await asyncio.gather(*calls)
    assert [span.first for span in spans] == [2, *(span.last + 1 for span in spans[:-1])]
    assert len(await texts_of(store)) == sum(n % 3 + 1 for n in range(50))


async def test_one_refused_call_does_not_spoil_those_beside_it(store: Store) -> None:
    await store.create(a_run())
    outcomes = await asyncio.gather(
        store.append(R, [say("a")]),
        store.create(a_run()),
        store.append(R, [say("b")], after=99),
        store.append(R, [say("c")]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Span, Conflict, Conflict, Span]
    assert await texts_of(store) == ["a", "c"]
    assert [event.seq for event in await events_of(store, R)] == [1, 2, 3]


async def test_closed_store_refuses_every_call(store: Store) -> None:
    await store.create(a_run())
    await store.close()
    await store.close()
    for call in (
        store.create(a_run("other")),
        store.append(R, [say("x")]),
        store.read(R, 0, PLENTY),
        store.get("r"),
        store.count(RunFilter()),
    ):
        with pytest.raises(Unavailable) as refused:
            await call
        assert refused.value.code == "draining"


async def test_close_finishes_what_is_under_way(store: Store) -> None:
    calls = [asyncio.ensure_future(store.append(MESSAGES, [say(str(n))])) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    assert [(await call).last for call in calls] == list(range(1, 21))
