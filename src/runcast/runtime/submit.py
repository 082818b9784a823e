"""Submitting: a request to run something becomes a folder on disk and a queued run."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from runcast.agents import Launch, driver, known_agents
from runcast.agents.tools import fill
from runcast.agents.words import is_carried, is_encodable
from runcast.config_agents import AgentSettings, Fault, ToolSettings, faults
from runcast.core.errors import BadRequest, Unavailable
from runcast.core.ids import check_id, folded, uuid7
from runcast.core.limits import METADATA_BYTES
from runcast.core.once import Once
from runcast.core.processes import prompt_preview
from runcast.core.runs import Run
from runcast.parsers import PARSERS
from runcast.runtime.clock import now
from runcast.runtime.workspaces import DEFAULT
from runcast.spool.folder import RunFolder
from runcast.stores import Store

PROMPT_CHARS = 64 * 1024  # of a prompt, kept with its run

T = TypeVar("T")


class RunSpec(msgspec.Struct, kw_only=True):
    """What to run and how; None leaves the choice to the settings.

    Exactly one of `command`, `tool` (with `args`) and `agent` (with `prompt`) says what. Only a
    command has a `dialect` to choose, and only it and a tool a `stdin_text`; an agent with stdin
    `pipe` takes prompts until its input is ended.
    """

    command: list[str] | None = None
    tool: str | None = None
    args: dict[str, str] = {}
    agent: str | None = None
    prompt: str | None = None
    id: str | None = None
    dialect: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}
    workspace_id: str = DEFAULT
    task_id: str | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    keep_background: bool = False
    stdin: Literal["pipe", "text"] | None = None
    stdin_text: str | None = None
    metadata: dict[str, Any] = {}


class Defaults(msgspec.Struct, frozen=True):
    """What a run gets that its spec leaves open, and what the names in a spec stand for.

    `open_files` is the limit of open files that its command starts with.
    """

    cwd: str
    grace_s: float
    open_files: int | None = None
    agents: Mapping[str, AgentSettings] = {}
    tools: Mapping[str, ToolSettings] = {}


def check(spec: RunSpec) -> None:
    """Raise BadRequest naming the field if the spec cannot be run at all."""
    for name, wrong in _faults(spec).items():
        if wrong:
            raise BadRequest.of(name, wrong)
    if spec.id is not None:
        check_id(spec.id)
    if spec.task_id is not None:
        check_id(spec.task_id, "task_id")


def resolve(spec: RunSpec, defaults: Defaults) -> Launch:
    """Return the command that a spec stands for, its environment without the request's part.

    Raises BadRequest naming the field if it stands for none, or for several.
    """
    given = [name for name in _LAUNCHES if getattr(spec, name) is not None]
    if len(given) != 1:
        names = ", ".join(_LAUNCHES)
        raise BadRequest.of((given or ["command"])[-1], f"give exactly one of {names}")
    for field, goes_with in _GOES_WITH.items():
        if getattr(spec, field) not in (None, {}) and given[0] != goes_with:
            raise BadRequest.of(field, f"goes with {goes_with}, not with {given[0]}")
    return _LAUNCHES[given[0]](spec, defaults)


def _launch_command(spec: RunSpec, _defaults: Defaults) -> Launch:
    assert spec.command is not None
    return Launch(spec.command, spec.dialect or "lines", spec.stdin, spec.stdin_text or "")


def _launch_tool(spec: RunSpec, defaults: Defaults) -> Launch:
    tool = _named("tool", spec.tool, defaults.tools)
    _check_sound("tool", faults({}, {str(spec.tool): tool}))
    launch = fill(str(spec.tool), tool, spec.args)
    return msgspec.structs.replace(launch, stdin=spec.stdin, stdin_text=spec.stdin_text or "")


def _launch_agent(spec: RunSpec, defaults: Defaults) -> Launch:
    agent = _named("agent", spec.agent, known_agents(defaults.agents))
    _check_sound("agent", faults({str(spec.agent): agent}, {}))
    if spec.stdin == "text" or spec.stdin_text is not None:
        raise BadRequest.of("stdin", "an agent is told what to do by its prompt")
    by = driver(agent.driver or str(spec.agent))
    return by.launch(spec.prompt or "", agent, interactive=spec.stdin == "pipe")


def _named(field: str, name: str | None, table: Mapping[str, T]) -> T:
    if name is None or name not in table:
        known = ", ".join(table) or "none"
        raise BadRequest.of(field, f"there is no {field} {name!r}; known are: {known}")
    return table[name]


def _check_sound(field: str, found: Iterable[Fault]) -> None:
    """Refuse what a settings file would have been refused for: an embedding program has none."""
    for fault in found:
        raise BadRequest.of(field, f"{fault.name}: {fault.field}: {fault.text}")


_LAUNCHES: dict[str, Callable[[RunSpec, Defaults], Launch]] = {
    "command": _launch_command,
    "tool": _launch_tool,
    "agent": _launch_agent,
}
_GOES_WITH = {"args": "tool", "prompt": "agent", "dialect": "command"}


def _faults(spec: RunSpec) -> Mapping[str, str]:
    positive = "must be more than 0 seconds"
    known = spec.dialect is None or spec.dialect in PARSERS
    return {
        "command": "" if spec.command is None else _fault_of_command(spec.command),
        "env": _fault_of_env(spec.env),
        "cwd": "" if spec.cwd is None else _fault_of_path(spec.cwd),
        "dialect": "" if known else f"must be one of {', '.join(PARSERS)}",
        "stdin": _fault_of_stdin(spec),
        "timeout_s": positive if spec.timeout_s is not None and spec.timeout_s <= 0 else "",
        "metadata": fault_of_metadata(spec.metadata),
        "grace_s": "must not be negative" if spec.grace_s is not None and spec.grace_s < 0 else "",
    }


def _fault_of_command(command: list[str]) -> str:
    if not command or not command[0]:
        return "must be a list of at least one word, the first of them not empty"
    if not all(map(is_carried, command)):
        return "a word has a character that no command line can carry"
    return ""


def _fault_of_env(env: dict[str, str]) -> str:
    for name, value in env.items():
        if not name or "=" in name or not is_carried(name + value):
            return f"{name!r} is no name and value that an environment can carry"
    return ""


def _fault_of_path(path: str) -> str:
    if not path.startswith("/") or not is_carried(path):
        return "must be an absolute path"
    return ""


def _fault_of_stdin(spec: RunSpec) -> str:
    if spec.stdin is None and spec.stdin_text is not None:
        return "must be text or pipe for a text to be read"
    return "" if is_encodable(spec.stdin_text or "") else "cannot be written as UTF-8"


def fault_of_metadata(metadata: Mapping[str, Any]) -> str:
    """Say what is wrong with a run's metadata; an empty text if nothing is."""
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        return f"must not be longer than {METADATA_BYTES} bytes of JSON"
    return ""


async def submit(
    store: Store, folders: Path, spec: RunSpec, defaults: Defaults, once: Once | None = None
) -> Run:
    """Make the run's folder, then commit its row: a crash in between leaves only an orphan.

    The workspace must exist, and `defaults.cwd` be its folder. Raises BadRequest, or Conflict
    `id_taken` or `id_deleted`; then nothing is left behind.
    """
    check(spec)
    launch = resolve(spec, defaults)
    run = _queued(spec, launch, defaults)
    folder = await asyncio.to_thread(
        _make_folder, folders, _record(run, launch, defaults), launch, spec.env
    )
    try:
        return await store.create(run, once=once)
    except Exception:
        await asyncio.to_thread(folder.remove)
        raise


def _queued(spec: RunSpec, launch: Launch, defaults: Defaults) -> Run:
    run_id = folded(spec.id) if spec.id else uuid7()
    return Run(
        id=run_id,
        key=uuid7(),
        task_id=folded(spec.task_id or run_id),
        workspace_id=spec.workspace_id,
        command=launch.command,
        tool=spec.tool,
        agent=spec.agent,
        prompt_preview=None if spec.prompt is None else prompt_preview(spec.prompt),
        full_prompt=None if spec.prompt is None else spec.prompt[:PROMPT_CHARS],
        dialect=launch.dialect,
        cwd=spec.cwd or defaults.cwd,
        timeout_s=launch.timeout_s if spec.timeout_s is None else spec.timeout_s,
        grace_s=defaults.grace_s if spec.grace_s is None else spec.grace_s,
        keep_background=spec.keep_background,
        stdin=launch.stdin,
        stdin_bytes=len(launch.stdin_text.encode()),
        stdin_ended=launch.stdin == "text",
        metadata=spec.metadata,
        created_at=now(),
    )


def _record(run: Run, launch: Launch, defaults: Defaults) -> dict[str, Any]:
    """Say what the runner has to know of a run."""
    return {
        "key": run.key,
        "run_id": run.id,
        "task_id": run.task_id,
        "argv": run.command,
        "cwd": run.cwd,
        "timeout_s": run.timeout_s,
        "grace_s": run.grace_s,
        "keep_background": run.keep_background,
        "stdin": run.stdin,
        "open_files": defaults.open_files,
        "unset": list(launch.unset),
    }


def _make_folder(
    folders: Path, record: Mapping[str, Any], launch: Launch, env: Mapping[str, str]
) -> RunFolder:
    text = None if launch.stdin is None else launch.stdin_text.encode()
    try:
        return RunFolder.create(folders, record["key"], record, {**launch.env, **env}, text)
    except OSError as error:
        raise Unavailable("storage", f"cannot make the run's folder: {error.strerror}") from error
