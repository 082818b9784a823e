"""Births: sources that were found become runs, under ids that nobody else has."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from runcast.config_watch import WatchEntry
from runcast.core.errors import Conflict, NotFound, StaleCheckpoint
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
    """A run that is to be: of which source, from where on, and the run that it goes on from.

    What was `there` when the server looked first may be what a run was deleted for.
    """

    source: Source
    states: States
    before: Run | None = None
    there: bool = False


class _Name(NamedTuple):
    """The id of a run, and which of the runs of its source it is, from 1."""

    run_id: str
    part: int


async def give(
    store: Store, entry: WatchEntry, births: Sequence[Birth], also: Sequence[Addition] = ()
) -> list[Watched]:
    """Add the runs of births in one commit, TOGETHER at most, and return them in order.

    What is to be added `also` is in the same commit. Those are left out that were there already
    and whose id belonged to a run that was deleted, or whose id is taken in every form that it may
    have. Raises StaleCheckpoint if a run has moved on of which something is to be added, and
    Unavailable.
    """
    taken: set[str] = set()
    named = [(_first(entry, birth, taken), birth) for birth in births]
    try:
        return await _commit(store, entry, named, also)
    except StaleCheckpoint:
        raise
    except Conflict:
        # Some id is not free, which is seldom: only now is each of them asked for.
        taken.clear()
        named = [(await _first_free(store, entry, birth, taken), birth) for birth in births]
    return await _commit(store, entry, named, also)


async def _commit(
    store: Store,
    entry: WatchEntry,
    named: Sequence[tuple[_Name | None, Birth]],
    also: Sequence[Addition],
) -> list[Watched]:
    born = [_born(entry, name, birth) for name, birth in named if name is not None]
    if born or also:
        additions = [Addition(one.run.id, (), Advance(0, one.kept)) for one in born]
        await store.append_all([*additions, *also], [one.run for one in born])
    return born


def _born(entry: WatchEntry, name: _Name, birth: Birth) -> Watched:
    source, before, time = birth.source, birth.before, now()
    task_id = task_id_of(entry, source.path) if before is None else before.task_id
    place = {"watch": entry.name, "path": source.path}
    run = Run(
        id=name.run_id,
        key=uuid7(),
        task_id=task_id,
        workspace_id=entry.workspace,
        source="watch",
        kind=entry.name,
        dialect=entry.dialect,
        prompt_preview=prompt_preview(source.path),
        metadata=place if name.part == 1 else {**place, "part": name.part},
        status="running",
        created_at=time,
        started_at=time,
    )
    # What another run's log tells of trouble with the files, this one has not told yet.
    states = {stream: replace(state, trouble=None) for stream, state in birth.states.items()}
    kept = Checkpoint(offset=1, source=encode_states(states))
    return Watched(entry, source, run, kept)


def _first(entry: WatchEntry, birth: Birth, taken: set[str]) -> _Name | None:
    """Return the first of the ids that are not taken already, and take it."""
    part = _first_part(birth)
    for form in _forms(entry, birth):
        run_id = _numbered(form, part)
        if run_id not in taken:
            taken.add(run_id)
            return _Name(run_id, part)
    return None


async def _first_free(
    store: Store, entry: WatchEntry, birth: Birth, taken: set[str]
) -> _Name | None:
    """Return the first id that is free in the store as well, and take it."""
    for form in _forms(entry, birth):
        part = _first_part(birth)
        while await store.is_deleted(run_id := _numbered(form, part)):
            if birth.there:
                return None
            part += 1
        if run_id not in taken and not await _exists(store, run_id):
            taken.add(run_id)
            return _Name(run_id, part)
    return None


async def _exists(store: Store, run_id: str) -> bool:
    try:
        await store.get(run_id)
    except NotFound:
        return False
    return True


def _forms(entry: WatchEntry, birth: Birth) -> tuple[str, str]:
    """Return the id that the first run of the source should have, and one if this is taken."""
    path, before = birth.source.path, birth.before
    if before is None:
        wanted = run_id_of(entry, path)
    else:
        part = part_of(before)
        wanted = before.id.removesuffix(f".{part}") if part > 1 else before.id
    return wanted, with_suffix(wanted, f"-{hash_of(path)}")


def _first_part(birth: Birth) -> int:
    return 1 if birth.before is None else part_of(birth.before) + 1


def _numbered(run_id: str, part: int) -> str:
    return run_id if part == 1 else with_suffix(run_id, f".{part}")


def part_of(run: Run) -> int:
    """Return which of the runs of its source a run is, from 1."""
    part = run.metadata.get("part", 1)
    return part if isinstance(part, int) else 1
