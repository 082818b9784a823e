"""Where emissions go: envelopes to the runs of their tasks, all else to a run by its id."""

from collections.abc import Sequence
from typing import Any

import msgspec

from runcast.core.errors import BadRequest, NotFound
from runcast.core.ids import check_id
from runcast.runtime.clock import now
from runcast.runtime.envelopes import Checked, read_json
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.runtime import Runtime
from runcast.runtime.workspaces import DEFAULT
from runcast.server.backlog import Emission


class EnvelopeTarget(msgspec.Struct, frozen=True):
    """The runs that hold envelopes."""

    async def take(self, runtime: Runtime, values: Sequence[Checked]) -> None:
        """Commit envelopes."""
        await runtime.envelopes.append(values)


class RunTarget(msgspec.Struct, frozen=True):
    """An external run, made as this describes it when something is emitted that it lacks."""

    run_id: str
    kind: str
    task_id: str | None = None
    workspace_id: str = DEFAULT

    async def take(self, runtime: Runtime, values: Sequence[Report]) -> None:
        """Commit events."""
        try:
            await runtime.external.append(self.run_id, values)
        except NotFound:
            await self.make(runtime)
            await runtime.external.append(self.run_id, values)

    async def make(self, runtime: Runtime) -> None:
        """Make the run."""
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

    async def take(self, runtime: Runtime, values: Sequence[dict[str, Any]]) -> None:
        """End the run; the status that it has already changes nothing."""
        for outcome in values:
            report = Report("status", outcome)
            await self.run.take(runtime, [report])


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
