"""Envelopes that come in: each goes into the one run that holds the envelopes of its task."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from runcast.core.envelopes import ENVELOPE_KIND, Envelope, read_envelope
from runcast.core.errors import BadRequest, RuncastError, TooLarge
from runcast.core.events import Draft, Entry
from runcast.core.ids import folded, uuid7
from runcast.core.limits import BODY_BYTES
from runcast.core.once import Once, mapped
from runcast.core.runs import Run
from runcast.parsers import Saved
from runcast.parsers.envelope import EnvelopeParser
from runcast.parsers.values import Json, decode
from runcast.runtime.blobs import keep_blobs
from runcast.runtime.clock import now
from runcast.runtime.spill import spill
from runcast.runtime.workspaces import DEFAULT, Workspaces
from runcast.stores import Addition, Advance, Checkpoint, RunFilter, Store

REMEMBERED = 1_000  # tasks whose run need not be looked up
_ENVELOPE = "envelope"  # the field of an event that has it, and the dialect of the runs
_MOVED_ON = frozenset({"not_found", "log_sealed", "stale_checkpoint"})

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

Task = tuple[str, str]  # workspace, task


class Checked(NamedTuple):
    """An envelope that can be taken, and the value as it came."""

    envelope: Envelope
    value: Json
    size: int  # of its JSON, in characters


Stretch = tuple[Task, list[Checked]]  # neighbours of one task


class _Place:
    """Where a task's envelopes go: what is known of its run, commits under way included."""

    def __init__(self, run: Run, checkpoint: Checkpoint) -> None:
        self.run_id = run.id
        self.key = run.key
        self.offset = checkpoint.offset  # how many envelopes it has
        self.under_way = 0
        self.parser = EnvelopeParser()
        if checkpoint.state_version == self.parser.version:
            self.parser.restore(Saved({}, checkpoint.state), ())


class _Plan(NamedTuple):
    """What one call commits."""

    additions: list[Addition]
    births: list[Run]
    places: dict[Task, _Place]


class Envelopes:
    """Keeps the envelopes of each task in a run of their own, as many lists as come at a time.

    There is one such run per task and workspace, made when first needed; once it has ended, the
    next envelope begins another. Which tool call a result answers, their checkpoint remembers.
    """

    def __init__(self, store: Store, folders: Path, workspaces: Workspaces) -> None:
        self._store = store
        self._folders = folders
        self._workspaces = workspaces
        self._turn = asyncio.Lock()
        self._places: dict[Task, _Place] = {}  # the one that was used last is last

    async def record(
        self, values: Sequence[object], workspace_id: str = DEFAULT, once: Once | None = None
    ) -> int:
        """Keep decoded envelopes, in order and in one commit; return how many.

        They are durable when this returns, and outside in the order of the calls. All are checked
        first: BadRequest names the first field that is wrong, and none is taken.
        """
        if not values:
            raise BadRequest("bad_request", "give at least one envelope")
        return await self.append(_check_all(values), workspace_id, once)

    async def append(
        self, checked: Sequence[Checked], workspace_id: str = DEFAULT, once: Once | None = None
    ) -> int:
        """Keep envelopes as `record` does; raise BadRequest if there is no such workspace."""
        keyed = groupby(checked, lambda one: (workspace_id, folded(one.envelope.task_id)))
        stretches = [(task, list(some)) for task, some in keyed]
        count = len(checked)
        once = mapped(once, lambda _: count)
        while not await self._commit(stretches, once):
            pass  # the run was ended or deleted in between: the next turn finds or makes another
        return count

    async def _commit(self, stretches: Sequence[Stretch], once: Once | None) -> bool:
        """Commit envelopes; False if that has to be planned anew."""
        # The next in turn plans with what this one leaves, before that is durable: commits come
        # in the order in which they were asked for, and the checkpoint guards against any other.
        async with self._turn:
            plan = await self._plan(stretches)
        for place in plan.places.values():
            place.under_way += 1
        try:
            await self._store.append_all(plan.additions, plan.births, once=once)
        except RuncastError as error:
            self._forget(plan.places)
            if error.code in _MOVED_ON:
                return False
            raise
        finally:
            # Who is cancelled leaves the places be: the commit may still come.
            for place in plan.places.values():
                place.under_way -= 1
        self._forget_some()
        return True

    async def _plan(self, stretches: Sequence[Stretch]) -> _Plan:
        tasks = list(dict.fromkeys(task for task, _ in stretches))
        plan = _Plan([], [], {})
        for task, known in zip(tasks, await self._known(tasks), strict=True):
            plan.places[task] = known or self._begin(task, plan.births)
        try:
            for task, checked in stretches:
                plan.additions.append(await self._addition(plan.places[task], checked))
        except BaseException:
            self._forget(plan.places)
            raise
        self._forget(tasks)
        self._places.update(plan.places)
        return plan

    def _begin(self, task: Task, births: list[Run]) -> _Place:
        births.append(_new_run(*task))
        return _Place(births[-1], Checkpoint())

    async def _known(self, tasks: Sequence[Task]) -> list[_Place | None]:
        """Return each task's place, None if it has none; BadRequest if its workspace is unknown."""
        places = {task: self._places.get(task) for task in tasks}
        unknown = [task for task, place in places.items() if place is None]
        for workspace_id in {workspace_id for workspace_id, _ in unknown}:
            await self._workspaces.folder(workspace_id)
        found = await asyncio.gather(*[self._find(task) for task in unknown])
        places.update(zip(unknown, found, strict=True))
        return list(places.values())

    async def _find(self, task: Task) -> _Place | None:
        """Return the place that a task has in the store."""
        workspace_id, task_id = task
        where = RunFilter(
            statuses=("queued", "running"),
            workspace_id=workspace_id,
            task_id=task_id,
            source="external",
            kind=ENVELOPE_KIND,
        )
        for run in await self._store.runs(where, 1):
            return _Place(run, await self._store.checkpoint(run.id))
        return None

    async def _addition(self, place: _Place, checked: Sequence[Checked]) -> Addition:
        time = now()
        drafts = [place.parser.draft(time, one.envelope, one.value) for one in checked]
        entries = await self._kept(place, drafts)
        before = place.offset
        place.offset += len(drafts)
        state, version = place.parser.save().state, place.parser.version
        checkpoint = Checkpoint(offset=place.offset, state=state, state_version=version)
        return Addition(place.run_id, entries, Advance(before, checkpoint))

    async def _kept(self, place: _Place, drafts: Sequence[Draft]) -> list[Entry]:
        """Spill what is long, but not the envelopes: they go out as they came in."""
        bare = [Draft(one.time, one.type, _without_envelope(one)) for one in drafts]
        entries, blobs = spill(bare)
        if not blobs:
            return list(drafts)
        await keep_blobs(self._folders / place.key, blobs)
        return [
            Draft(kept.time, kept.type, kept.data | {_ENVELOPE: one.data[_ENVELOPE]})
            for kept, one in zip(entries, drafts, strict=True)
            if isinstance(kept, Draft)
        ]

    def _forget(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._places.pop(task, None)

    def _forget_some(self) -> None:
        excess = len(self._places) - REMEMBERED
        if excess > 0:
            idle = [task for task, place in self._places.items() if not place.under_way]
            self._forget(idle[:excess])


def check(value: object) -> Checked:
    """Return an envelope as JSON has it, apart from what it came in; raise BadRequest."""
    kept, size = read_json(value)
    return Checked(read_envelope(kept), kept, size)


def read_json(value: object) -> tuple[Any, int]:
    """Return a copy of a value as JSON has it, and its size; BadRequest if it cannot be kept."""
    try:
        text = _encode(value)
        kept = decode(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest("bad_request", f"this cannot be kept as JSON: {error}") from None
    if len(text) > BODY_BYTES:
        raise TooLarge("body_too_large", f"one envelope may have at most {BODY_BYTES} characters")
    return kept, len(text)


def _check_all(values: Sequence[object]) -> list[Checked]:
    checked: list[Checked] = []
    for number, value in enumerate(values):
        try:
            checked.append(check(value))
        except BadRequest as error:
            place = f"envelopes[{number}]: " if len(values) > 1 else ""
            message = place + error.message
            raise BadRequest(error.code, message, error.details) from None
    return checked


def _new_run(workspace_id: str, task_id: str) -> Run:
    time = now()
    return Run(
        id=uuid7(),
        key=uuid7(),
        task_id=task_id,
        workspace_id=workspace_id,
        source="external",
        kind=ENVELOPE_KIND,
        dialect=_ENVELOPE,
        status="running",
        created_at=time,
        started_at=time,
    )


def _without_envelope(draft: Draft) -> dict[str, object]:
    return {name: value for name, value in draft.data.items() if name != _ENVELOPE}
