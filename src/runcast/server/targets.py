"""Where emissions go: envelopes to the runs of their tasks, all else to a run by its id."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import msgspec

from runcast.core.errors import BadRequest, Conflict, NotFound
from runcast.core.ids import check_id
from runcast.runtime.clock import now
from runcast.runtime.envelopes import Checked, read_json
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.runtime import Runtime
from runcast.runtime.workspaces import DEFAULT
from runcast.server.backlog import Emission


class EnvelopeTarget(msgspec.Struct, frozen=True):
    """The runs that hold envelopes."""

    lane: ClassVar = ""
    together: ClassVar = ""

    @classmethod
    async def take(cls, runtime: Runtime, stretches: Sequence[tuple[Self, list[Checked]]]) -> None:
        """Commit envelopes."""
        await runtime.envelopes.append([one for _, checked in stretches for one in checked])


class RunTarget(msgspec.Struct, frozen=True):
    """An external run, made as this describes it when something is emitted that it lacks."""

    run_id: str
    kind: str
    task_id: str | None = None
    workspace_id: str = DEFAULT

    together: ClassVar = ""

    @property
    def lane(self) -> str:
        """The task, which may be followed as a whole."""
        return self.task_id or self.run_id

    @classmethod
    async def take(cls, runtime: Runtime, stretches: Sequence[tuple[Self, list[Report]]]) -> None:
        """Commit events."""
        for target in dict.fromkeys(target for target, _ in stretches):
            await target.ensure(runtime)
        await runtime.external.append_all(
            [(target.run_id, reports) for target, reports in stretches]
        )

    async def ensure(self, runtime: Runtime) -> None:
        """Make the run unless there is one."""
        try:
            await runtime.get(self.run_id)
        except NotFound:
            try:
                await self._make(runtime)
            except Conflict as error:
                if error.code != "id_taken":  # a client was faster
                    raise

    async def _make(self, runtime: Runtime) -> None:
        spec = ExternalSpec(
            id=self.run_id,
            kind=self.kind,
            task_id=self.task_id,
            workspace_id=self.workspace_id,
        )
        await runtime.external.start(spec)


class EndTarget(msgspec.Struct, frozen=True):
    """The end of an external run: a terminal status, with its outcome."""

    run: RunTarget

    @property
    def lane(self) -> str:
        """That of the run."""
        return self.run.lane

    @property
    def together(self) -> str:
        """The run: each ends by itself."""
        return self.run.run_id

    @classmethod
    async def take(
        cls, runtime: Runtime, stretches: Sequence[tuple[Self, list[dict[str, Any]]]]
    ) -> None:
        """End the run; the status that it has already changes nothing."""
        for target, outcomes in stretches:
            await target.run.ensure(runtime)
            for outcome in outcomes:
                await runtime.external.append(target.run.run_id, [Report("status", outcome)])


def report(target: RunTarget, kind: str, data: dict[str, Any]) -> Emission:
    """Make the emission of an event; raise ValueError for what cannot be kept."""
    kept, size = checked_data(data)
    return Emission(target, Report(kind, kept, now()), size)


def ending(target: RunTarget, outcome: dict[str, Any]) -> Emission:
    """Make the emission of an end; raise ValueError for what cannot be kept."""
    kept, size = checked_data(outcome)
    return Emission(EndTarget(target), kept, size)


def checked_id(value: str, what: str) -> str:
    """Return what may serve as an id, else raise ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, not {value!r}")
    try:
        return check_id(value, what)
    except BadRequest as error:
        raise ValueError(error.message) from None


def checked_data(data: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return data as JSON has it, apart from what was given, and its size; raise ValueError."""
    try:
        return read_json(data)
    except BadRequest as error:
        raise ValueError(error.message) from None
