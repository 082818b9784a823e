"""Births: sources that were found become runs, under ids that nobody else has."""

from collections.abc import Sequence
from typing import NamedTuple

from runcast.config_watch import WatchEntry
from runcast.core.errors import Conflict, NotFound
from runcast.core.ids import uuid7
from runcast.core.processes import prompt_preview
from runcast.core.runs import Run
from runcast.runtime.clock import now
from runcast.runtime.watching.source import States, Watched, encode_states
from runcast.stores import Addition, Advance, Checkpoint, Store
from runcast.tail.names import hash_of, run_id_of, task_id_of, with_suffix
from runcast.tail.scan import Source

TOGETHER = 500  # births in one commit: the appends of others wait for it


class Birth(NamedTuple):
    """A run that is to be: of which source, from where on, and the run that it goes on from."""

    source: Source
    states: States
    before: Run | None = None


async def give(store: Store, entry: WatchEntry, births: Sequence[Birth]) -> list[Watched]:
    """Add the runs of births in one commit, TOGETHER at most, and return them in order.

    Those are left out whose id belonged to a run that was deleted, or is taken in every form that
    it may have. Raises Unavailable.
    """
    taken: set[str] = set()
    named = [(_first(entry, birth, taken), birth) for birth in births]
    try:
        return await _commit(store, entry, named)
    except Conflict:
        # Some id is not free, which is seldom: only now is each of them asked for.
        taken.clear()
        named = [(await _first_free(store, entry, birth, taken), birth) for birth in births]
    return await _commit(store, entry, named)


async def _commit(
    store: Store, entry: WatchEntry, named: Sequence[tuple[str | None, Birth]]
) -> list[Watched]:
    born = [_born(entry, run_id, birth) for run_id, birth in named if run_id is not None]
    if born:
        additions = [Addition(one.run.id, (), Advance(0, one.kept)) for one in born]
        await store.append_all(additions, [one.run for one in born])
    return born


def _born(entry: WatchEntry, run_id: str, birth: Birth) -> Watched:
    source, before, time = birth.source, birth.before, now()
    task_id = task_id_of(entry, source.path) if before is None else before.task_id
    place = {"watch": entry.name, "path": source.path}
    run = Run(
        id=run_id,
        key=uuid7(),
        task_id=task_id,
        workspace_id=entry.workspace,
        source="watch",
        kind=entry.name,
        dialect=entry.dialect,
        prompt_preview=prompt_preview(source.path),
        metadata=place if before is None else {**place, "part": part_of(before) + 1},
        status="running",
        created_at=time,
        started_at=time,
    )
    kept = Checkpoint(offset=1, source=encode_states(birth.states))
    return Watched(entry, source, run, kept)


def _first(entry: WatchEntry, birth: Birth, taken: set[str]) -> str | None:
    """Return the first of the ids that are not taken already, and take it."""
    for run_id in _ids(entry, birth):
        if run_id not in taken:
            taken.add(run_id)
            return run_id
    return None


async def _first_free(store: Store, entry: WatchEntry, birth: Birth, taken: set[str]) -> str | None:
    """Return the first id that is free in the store as well, unless it is spent."""
    for run_id in _ids(entry, birth):
        if await store.is_deleted(run_id):
            return None
        if run_id not in taken and not await _exists(store, run_id):
            taken.add(run_id)
            return run_id
    return None


async def _exists(store: Store, run_id: str) -> bool:
    try:
        await store.get(run_id)
    except NotFound:
        return False
    return True


def _ids(entry: WatchEntry, birth: Birth) -> tuple[str, str]:
    """Return the id that a run should have, and the one for the case that this is taken."""
    path, before = birth.source.path, birth.before
    other = f"-{hash_of(path)}"
    if before is None:
        wanted = run_id_of(entry, path)
        return wanted, with_suffix(wanted, other)
    part = part_of(before)
    first = before.id.removesuffix(f".{part}") if part > 1 else before.id
    return with_suffix(first, f".{part + 1}"), with_suffix(first, f"{other}.{part + 1}")


def part_of(run: Run) -> int:
    """Return which of the runs of its source a run is, from 1."""
    part = run.metadata.get("part", 1)
    return part if isinstance(part, int) else 1
