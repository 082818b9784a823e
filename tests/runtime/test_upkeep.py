"""Upkeep: what a runtime does once a minute."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runcast.core.once import Answered, Once
from runcast.core.runs import Run
from runcast.runtime import upkeep
from runcast.runtime.clock import now
from runcast.runtime.upkeep import ANSWERS_KEPT_S, forget_answers, keep_up
from runcast.stores import open_store


async def test_each_work_is_done_again_also_after_another_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "PAUSE_S", 0.001)
    done: list[str] = []
    enough = asyncio.Event()

    def doing(name: str) -> Callable[[], Awaitable[int]]:
        async def do() -> int:
            done.append(name)
            if len(done) >= 6:
                enough.set()
            if name == "a":
                raise OSError("the disk is full")
            return 1

        return do

    task = asyncio.create_task(keep_up({"a": doing("a"), "b": doing("b")}))
    async with asyncio.timeout(5):
        await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert done[:6] == ["a", "b"] * 3


async def test_answers_are_kept_for_a_day() -> None:
    store = await open_store("memory:")
    ages = {"old": ANSWERS_KEPT_S + 60, "young": ANSWERS_KEPT_S - 60}
    for key, age in ages.items():
        once = Once(
            key=key,
            fingerprint=b"",
            time=now() - age * 1_000_000,
            answer=lambda _run: Answered(200, {}, b""),
        )
        await store.create(Run(id=key, key=key, task_id=key), once=once)
    assert await forget_answers(store) == 1
    assert await store.answered("old") is None
    assert await store.answered("young") is not None
    await store.close()
