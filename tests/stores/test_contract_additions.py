"""The store contract: runs that are added, and logs that grow, together."""

from collections.abc import Sequence

import pytest

from runcast.core.errors import RuncastError
from runcast.core.events import Batch, run_log
from runcast.core.once import Answered, Once
from runcast.core.runs import Run
from runcast.stores import Addition, RunFilter, Span, Store
from tests.stores.make import a_run, move, news_of, say, tell_approval, texts_of


def external(run_id: str) -> Run:
    return a_run(run_id, source="external", status="running")


async def test_runs_and_events_are_added_in_one_commit(store: Store) -> None:
    await store.create(a_run("old"))
    heard: list[list[str]] = []

    def listen(batches: Sequence[Batch]) -> None:
        heard.append([batch.log for batch in batches])

    store.listen(listen)
    spans = await store.append_all(
        [
            Addition("new", [say("a"), say("b")], move(0, 2, state=b"s")),
            Addition("old", [say("c")]),
        ],
        [external("new"), external("empty")],
    )
    logs = ["run:new", "lifecycle", "run:empty", "lifecycle", "run:new", "run:old"]
    assert heard == [logs]
    head = (await store.positions()).head
    assert spans == [Span(2, 3, head - 1), Span(2, 2, head)]
    assert await texts_of(store, "new") == ["a", "b"]
    assert await texts_of(store, "old") == ["c"]
    assert (await store.checkpoint("new")).state == b"s"
    assert (await store.get("empty")).last_seq == 1
    assert [run.id for run in await store.runs(RunFilter(), 9)] == ["empty", "new", "old"]
    assert (await news_of(store))[1:] == [("run_added", "new"), ("run_added", "empty")]


async def test_one_run_may_be_added_to_by_turns_with_others(store: Store) -> None:
    await store.create(a_run("old"))
    additions = [
        Addition("old", [say("a")], move(0, 1)),
        Addition("new", [say("b")], move(0, 1)),
        Addition("old", [say("c")], move(1, 2)),
        Addition("new", [say("d")], move(1, 2)),
    ]
    spans = await store.append_all(additions, [external("new")])
    assert [span.position for span in spans] == list(
        range(spans[0].position, spans[0].position + 4)
    )
    assert [await texts_of(store, run_id) for run_id in ("old", "new")] == [["a", "c"], ["b", "d"]]
    assert (await store.checkpoint("old")).offset == 2
    stale = [Addition("old", [say("x")], move(2, 3)), Addition("old", [say("y")], move(2, 4))]
    with pytest.raises(RuncastError, match="checkpoint"):
        await store.append_all(stale)
    assert await texts_of(store, "old") == ["a", "c"]


async def test_approvals_move_with_what_is_added(store: Store) -> None:
    await store.append_all([Addition("r", [tell_approval("a")])], [external("r")])
    assert (await store.get("r")).pending_approvals == 1
    assert (await news_of(store))[-1] == ("run_asked", "r")
    await store.append_all([Addition("r", [tell_approval("a", "allowed")])])
    assert (await store.get("r")).pending_approvals == 0


REFUSED: dict[str, tuple[Addition, Run, str]] = {
    "an unknown run": (Addition("nobody", [say("x")]), external("other"), "not_found"),
    "a run that has ended": (Addition("ended", [say("x")]), external("other"), "log_sealed"),
    "a checkpoint elsewhere": (
        *(Addition("good2", [say("x")], move(7, 9)), external("other"), "stale_checkpoint"),
    ),
    "a settled approval": (
        *(Addition("good2", [tell_approval("a")]), external("other"), "approval_settled"),
    ),
    "an id that is taken": (Addition("good2", [say("x")]), external("good"), "id_taken"),
    "an id that was deleted": (Addition("good2", [say("x")]), external("gone"), "id_deleted"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_one_run_refuses_is_refused_of_all(store: Store, case: str) -> None:
    addition, birth, code = REFUSED[case]
    for run_id in ("good", "good2", "gone"):
        await store.create(external(run_id))
    await store.create(a_run("ended", source="external", status="failed"))
    await store.append(run_log("good2"), [tell_approval("a"), tell_approval("a", "denied")])
    await store.delete(["gone"], 9)
    before = await store.positions(), await store.runs(RunFilter(), 9)
    additions = [Addition("good", [say("a")], move(0, 1)), Addition("new", [say("b")]), addition]
    with pytest.raises(RuncastError) as refused:
        await store.append_all(additions, [external("new"), birth])
    assert refused.value.code == code
    assert (await store.positions(), await store.runs(RunFilter(), 9)) == before
    assert (await store.checkpoint("good")).offset == 0


async def test_nothing_cannot_be_added(store: Store) -> None:
    await store.create(a_run())
    with pytest.raises(ValueError, match="at least one"):
        await store.append_all([Addition("r", [])])


async def test_a_run_begins_with_its_checkpoint_although_nothing_was_said(store: Store) -> None:
    begin = move(0, 1, source=b"s")
    spans = await store.append_all([Addition("r", [], begin)], [external("r")])
    assert [(span.first, span.last) for span in spans] == [(2, 1)]
    assert await store.checkpoint("r") == begin.checkpoint
    with pytest.raises(RuncastError, match="checkpoint"):
        await store.append_all([Addition("r", [], begin)])


async def test_the_answer_is_kept_and_it_happens_once(store: Store) -> None:
    once = Once(key="k", fingerprint=b"f", time=1, answer=lambda spans: answer(len(spans)))
    await store.append_all([Addition("r", [say("a")])], [external("r")], once=once)
    with pytest.raises(RuncastError, match="used already"):
        await store.append_all([Addition("r", [say("b")])], once=once)
    assert await store.answered("k") == (b"f", answer(1))
    assert await texts_of(store) == ["a"]


def answer(count: int) -> Answered:
    return Answered(202, {}, str(count).encode())
