"""Processes that a program reports and looks at: runs, as the endpoints of processes show them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from runcast.config import Settings
from runcast.core.errors import BadRequest, Conflict, NotFound
from runcast.core.processes import public_process
from runcast.core.runs import TERMINAL, Status
from runcast.core.times import parse_duration
from runcast.runtime.retention import PruneLimits
from runcast.runtime.runtime import Runtime
from runcast.runtime.workspaces import DEFAULT
from runcast.server.host import Folder, Host, nothing_more
from runcast.server.watch import OnOutput, Watch
from runcast.stores import RunFilter
from runcast.web.process_schemas import ProcessChange, ProcessFilters, ProcessReport
from runcast.web.processes import output_reports

REMOVALS = 100  # under way at a time; they share commits

Process = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class Processes:
    """The processes of a runtime: what is written is durable when a call returns.

    Every method may be called from any thread and waits; coroutines call it by
    `asyncio.to_thread`. Processes go in and out as JSON has them over HTTP. ValueError says what is
    wrong with what was given, KeyError that there is no such process; what the state of a
    process forbids raises `runcast.core.errors.Conflict`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def add(self, process: Mapping[str, Any]) -> Process:
        """Add a process: its `promptPreview`, `status`, `startTime`, and what else is known.

        Returns it whole. Conflict if its `id` is taken.
        """
        report = _read(ProcessReport, process)

        async def add(runtime: Runtime) -> Process:
            workspace_id = report.workspace_id or DEFAULT
            await runtime.workspaces.folder(workspace_id, "workspaceId")
            return public_process(await runtime.external.start(report.spec(workspace_id)))

        with _plain_errors():
            return self._host.call(add)

    def update(self, process_id: str, changes: Mapping[str, Any]) -> Process:
        """Change any of `status, result, error, endTime, structuredResult, metadata`.

        Returns the process as it is then. Conflict for a status that cannot follow.
        """
        change = _read(ProcessChange, changes)

        async def update(runtime: Runtime) -> Process:
            fields, status = change.fields(), change.status
            return public_process(await runtime.external.update(process_id, fields, status))

        with _plain_errors():
            return self._host.call(update)

    def get(self, process_id: str) -> Process | None:
        """Return a process, None if there is none of this id."""

        async def get(runtime: Runtime) -> Process | None:
            try:
                return public_process(await runtime.get(process_id))
            except NotFound:
                return None

        return self._host.call(get)

    def list(
        self,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - there is no better word
        limit: int | None = None,
        offset: int = 0,
    ) -> Sequence[Process]:
        """List the processes that match, newest first; all of them without a limit.

        A filter has any of `workspace`, `status` (one or several), `type` and `since`.
        """
        where = _where(filter)

        async def find(runtime: Runtime) -> Sequence[Process]:
            most = _ALL if limit is None else limit
            runs = await runtime.store.runs(where, most, offset=offset)
            return [public_process(run) for run in runs]

        return self._host.call(find)

    def remove(self, process_id: str) -> bool:
        """Remove a process with its output; False if there is none. Its id is never used again.

        Conflict if it is a command that is running here.
        """

        async def remove(runtime: Runtime) -> bool:
            try:
                await runtime.delete(process_id)
            except NotFound:
                return False
            return True

        return self._host.call(remove)

    def clear(self, filter: Mapping[str, Any] | None = None) -> int:  # noqa: A002 - as above
        """Remove the processes that match, but no command that is running here; count them."""
        where = _where(filter)

        async def clear(runtime: Runtime) -> int:
            runs = await runtime.store.runs(where, _ALL)
            found = [run.id for run in runs if run.source != "run" or run.status != "running"]
            gone = 0
            for start in range(0, len(found), REMOVALS):
                some = found[start : start + REMOVALS]
                gone += sum(await asyncio.gather(*[_removed(runtime, one) for one in some]))
            return gone

        return self._host.call(clear)

    def prune(self, max_age: str | float | None = None, max_count: int | None = None) -> int:
        """Remove ended processes that ended longer ago than `max_age`, and all but the newest.

        `max_age` is in seconds, or a text such as `12h`; `max_count` ended ones are kept. Those
        that have not ended stay. Returns how many went.
        """
        with _plain_errors():
            age = None if max_age is None else parse_duration(max_age, "max_age")
        if max_count is not None and max_count < 0:
            raise ValueError("max_count must not be negative")
        limits = PruneLimits(age, max_count)
        return self._host.call(lambda runtime: runtime.prune(limits))

    def on_process_output(self, process_id: str, callback: OnOutput) -> Callable[[], None]:
        """Call back with all that a process prints from now on, in order, then how it ended.

        The callback gets `{"type": "chunk", "content"}` for each output, and at the end
        `{"type": "status", "status", …}` and `{"type": "done", "processId"}`; a process that was
        removed is done, too, and that has `"deleted": true`. It is called in a thread of its own,
        holds up nothing but itself, and its exceptions are logged. The process need not exist
        yet. Returns a function that ends this: after it, no further call begins.
        """
        watch = Watch(self._host, process_id, callback)
        watch.start()
        return watch.end

    def emit_process_output(self, process_id: str, content: str) -> None:
        """Tell what a process has printed; it may be cut anywhere. Conflict after its end."""
        if not isinstance(content, str):
            raise ValueError(f"content must be a text, not {content!r}")

        async def emit(runtime: Runtime) -> None:
            await runtime.external.append(process_id, output_reports(content))

        with _plain_errors():
            self._host.call(emit)

    def emit_process_complete(
        self,
        process_id: str,
        status: Status | None = None,
        result: Any = None,
        error: str | None = None,
    ) -> Process:
        """Tell that a process has ended, and return it: `completed` unless a status is given.

        One that has ended already stays as it is, unless the status is another: Conflict.
        """
        given = {"result": result, "error": error}
        told = {name: value for name, value in given.items() if value is not None}
        process = self.get(process_id)
        if process is not None and process["status"] in TERMINAL and status is None:
            return process
        return self.update(process_id, {"status": status or "completed", **told})


class ProcessStore(Processes):
    """Processes kept by this program alone, without a server; `Server.processes` are the other.

    Without a data folder they are in a temporary one, which `close` removes.
    """

    def __init__(self, data_dir: Folder | None = None) -> None:
        super().__init__(Host(Settings(), data_dir, nothing_more))
        self._host.start()

    def close(self) -> None:
        """Leave nothing open."""
        self._host.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_ALL = 2**31
_FILTERS = {"workspace": "workspace", "workspaceId": "workspace", "type": "type", "since": "since"}


def _where(wanted: Mapping[str, Any] | None) -> RunFilter:
    """Return what the store is asked for; raise ValueError."""
    given = dict(wanted or {})
    status = given.pop("status", None)
    if unknown := given.keys() - _FILTERS.keys():
        raise ValueError(f"a filter has no {', '.join(sorted(unknown))}")
    asked = {_FILTERS[name]: value for name, value in given.items()}
    if status is not None:
        asked["status"] = status if isinstance(status, str) else ",".join(status)
    with _plain_errors():
        return _read(ProcessFilters, asked).where()


def _read(model: type[Model], given: Mapping[str, Any]) -> Model:
    with _plain_errors():
        try:
            return model.model_validate(dict(given))
        except ValidationError as error:
            raise ValueError("; ".join(_faults(error))) from None


def _faults(error: ValidationError) -> Iterable[str]:
    for fault in error.errors():
        place = ".".join(str(step) for step in fault["loc"])
        yield f"{place}: {fault['msg']}"


async def _removed(runtime: Runtime, run_id: str) -> bool:
    try:
        await runtime.delete(run_id)
    except (Conflict, NotFound):
        return False  # it was started, or removed, in between
    return True


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what is the caller's mistake as Python's own errors."""
    try:
        yield
    except BadRequest as error:
        raise ValueError(error.message) from None
    except NotFound as error:
        raise KeyError(error.message) from None
