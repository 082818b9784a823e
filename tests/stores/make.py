"""Runs, entries and readings for the store tests."""

from collections.abc import Sequence
from typing import Any

from runcast.core.events import LIFECYCLE, Batch, Draft, Event, Lines, run_log
from runcast.core.runs import Run, RunRef
from runcast.stores import Advance, Checkpoint, Store

PLENTY = 1 << 30  # bytes


def a_run(run_id: str = "r", **fields: Any) -> Run:
    usual: dict[str, Any] = {"key": f"key-of-{run_id}", "task_id": run_id, "created_at": 1_000}
    return Run(id=run_id, **usual | fields)


def say(text: str, time: int = 2_000) -> Draft:
    return Draft(time, "output", {"stream": "stdout", "text": text})


def lines(*texts: str, time: int = 2_000) -> Lines:
    return Lines(time, "stdout", list(texts))


def tell_approval(
    approval_id: str, state: str = "pending", *, time: int = 2_000, **data: Any
) -> Draft:
    return Draft(time, "approval", {"id": approval_id, "state": state} | data)


def move(expected: int, offset: int, **fields: Any) -> Advance:
    return Advance(expected, Checkpoint(offset=offset, **fields))


def events_in(batches: Sequence[Batch]) -> list[Event]:
    return [event for batch in batches for event in batch.events()]


async def events_of(store: Store, log: str) -> list[Event]:
    return events_in(await store.read(log, 0, PLENTY))


async def texts_of(store: Store, run_id: str = "r") -> list[str]:
    events = await events_of(store, run_log(run_id))
    return [event.data["text"] for event in events if event.type == "output"]


async def news_of(store: Store) -> list[tuple[str, str]]:
    """Return the names and run ids that `lifecycle` tells of."""
    events = await events_of(store, LIFECYCLE)
    return [(event.data["name"], event.data["value"]["id"]) for event in events]


def facts(batches: Sequence[Batch]) -> list[tuple[str, int, int, int, bytes, RunRef | None]]:
    """Return everything that makes up the batches once they are stored, for comparing."""
    return [(b.log, b.first_seq, b.first_position, b.count, b.body, b.ref) for b in batches]
