"""The store contract: calls that happen once, with their answers kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from runcast.core.errors import Conflict, RuncastError
from runcast.core.events import MESSAGES, run_log
from runcast.core.once import Answered, Once
from runcast.core.workspaces import Workspace
from runcast.stores import RunFilter, Stdin, Store
from tests.stores.make import a_run, say, texts_of

R = run_log("r")


def a_once(key: str = "k", *, time: int = 1_000, fingerprint: bytes = b"f") -> Once:
    return Once(key=key, fingerprint=fingerprint, time=time, answer=answer)


def answer(value: Any) -> Answered:
    return Answered(201, {"location": "/x"}, msgspec.json.encode(value))


Call = Callable[[Store, Once], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "create": lambda store, once: store.create(a_run("new"), [say("x")], once=once),
    "transition": lambda store, once: store.transition("r", "running", 9, once=once),
    "transition to the same": lambda store, once: store.transition("r", "queued", 9, once=once),
    "update": lambda store, once: store.update("r", {"metadata": {"x": 1}}, 9, once=once),
    "append": lambda store, once: store.append(R, [say("a")], stdin=Stdin(b"x"), once=once),
    "message": lambda store, once: store.add_message({"msg_id": "m"}, 9, once=once),
    "workspace": lambda store, once: store.put_workspace(
        Workspace(id="w", name="n", root_path="/w"), 9, once=once
    ),
    "delete": lambda store, once: store.delete(["r"], 9, once=once),
    "delete of nothing": lambda store, once: store.delete(["nobody"], 9, once=once),
}


@pytest.mark.parametrize("case", CALLS)
async def test_answer_is_kept_with_what_was_done_and_it_is_not_done_again(
    store: Store, case: str
) -> None:
    call = CALLS[case]
    await store.create(a_run())
    assert await store.answered("k") is None
    value = await call(store, a_once())
    assert await store.answered("k") == (b"f", answer(value))
    before = [await store.positions(), await store.runs(RunFilter(), 9), await store.stdin("r")]
    with pytest.raises(Conflict) as refused:
        await call(store, a_once(fingerprint=b"other"))
    assert refused.value.code == "idempotency_conflict"
    after = [await store.positions(), await store.runs(RunFilter(), 9), await store.stdin("r")]
    assert after == before
    assert await store.answered("k") == (b"f", answer(value))


async def test_two_at_once_under_one_key_happen_once(store: Store) -> None:
    await store.create(a_run())
    calls = [store.append(R, [say(str(n))], once=a_once("same")) for n in range(5)]
    outcomes = await asyncio.gather(*calls, store.append(R, [say("x")]), return_exceptions=True)
    codes = [getattr(outcome, "code", None) for outcome in outcomes]
    assert codes == [None, *["idempotency_conflict"] * 4, None]
    assert await texts_of(store) == ["0", "x"]
    assert await store.answered("same") == (b"f", answer(outcomes[0]))


async def test_call_that_is_refused_keeps_no_answer(store: Store) -> None:
    await store.create(a_run(status="failed"))
    refused: dict[str, Awaitable[Any]] = {
        "log_sealed": store.append(R, [say("late")], once=a_once()),
        "id_taken": store.create(a_run(), once=a_once()),
        "bad_transition": store.transition("r", "running", 9, once=a_once()),
        "not_found": store.update("nobody", {}, once=a_once()),
        "bad_request": store.add_message({"msg_id": "m"}, 9, ["nobody"], once=a_once()),
    }
    for code, call in refused.items():
        with pytest.raises(RuncastError) as error:
            await call
        assert error.value.code == code
        assert await store.answered("k") is None
    await store.append(MESSAGES, [say("x")], once=a_once())
    assert await store.answered("k") is not None


async def test_old_answers_are_forgotten_and_their_keys_free_again(store: Store) -> None:
    for time in (10, 20, 30):
        await store.append(MESSAGES, [say("x")], once=a_once(str(time), time=time))
    assert await store.forget_answers(20) == 1
    assert await store.forget_answers(20) == 0
    assert [await store.answered(key) is None for key in ("10", "20", "30")] == [True, False, False]
    await store.append(MESSAGES, [say("again")], once=a_once("10", time=40))
    assert await store.forget_answers(99) == 3
