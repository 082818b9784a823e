"""Submitting: a request to run something becomes a folder on disk and a queued run."""

import asyncio
import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from runcast.core.errors import BadRequest, Unavailable
from runcast.core.ids import check_id, uuid7
from runcast.core.limits import METADATA_BYTES
from runcast.core.runs import Run
from runcast.parsers import PARSERS
from runcast.runtime.clock import now
from runcast.spool.folder import RunFolder
from runcast.stores import Store

DEFAULT_WORKSPACE = "default"


class RunSpec(msgspec.Struct, kw_only=True):
    """What to run and how; None leaves the choice to the settings."""

    command: list[str]
    id: str | None = None
    dialect: str = "lines"
    cwd: str | None = None
    env: dict[str, str] = {}
    workspace_id: str = DEFAULT_WORKSPACE
    task_id: str | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    keep_background: bool = False
    stdin: Literal["pipe", "text"] | None = None
    stdin_text: str | None = None
    metadata: dict[str, Any] = {}


class Defaults(msgspec.Struct, frozen=True):
    """What a run gets that its spec leaves open, and the limit of open files it starts with."""

    cwd: str
    grace_s: float
    open_files: int | None = None


def check(spec: RunSpec) -> None:
    """Raise BadRequest naming the field if the spec cannot be run at all."""
    for name, wrong in _faults(spec).items():
        if wrong:
            raise BadRequest("bad_request", f"{name}: {wrong}", {"field": name})
    if spec.id is not None:
        check_id(spec.id)
    if spec.task_id is not None:
        check_id(spec.task_id, "task_id")


def _faults(spec: RunSpec) -> Mapping[str, str]:
    positive = "must be more than 0 seconds"
    return {
        "command": _fault_of_command(spec.command),
        "env": _fault_of_env(spec.env),
        "cwd": "" if spec.cwd is None else _fault_of_path(spec.cwd),
        "dialect": "" if spec.dialect in PARSERS else f"must be one of {', '.join(PARSERS)}",
        "workspace_id": ""
        if spec.workspace_id == DEFAULT_WORKSPACE
        else f"there is no workspace {spec.workspace_id!r}",
        "timeout_s": positive if spec.timeout_s is not None and spec.timeout_s <= 0 else "",
        "metadata": _fault_of_metadata(spec.metadata),
        "grace_s": "must not be negative" if spec.grace_s is not None and spec.grace_s < 0 else "",
    }


def _fault_of_command(command: list[str]) -> str:
    if not command or not command[0]:
        return "must be a list of at least one word, the first of them not empty"
    if any("\0" in word or not _encodable(word) for word in command):
        return "a word has a character that no command line can carry"
    return ""


def _fault_of_env(env: dict[str, str]) -> str:
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value or not _encodable(name + value):
            return f"{name!r} is no name and value that an environment can carry"
    return ""


def _fault_of_path(path: str) -> str:
    if not path.startswith("/") or "\0" in path or not _encodable(path):
        return "must be an absolute path"
    return ""


def _fault_of_metadata(metadata: dict[str, Any]) -> str:
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        return f"must not be longer than {METADATA_BYTES} bytes of JSON"
    return ""


def _encodable(text: str) -> bool:
    try:
        codecs.encode(text, "utf-8")
    except UnicodeEncodeError:
        return False
    return True


async def submit(store: Store, folders: Path, spec: RunSpec, defaults: Defaults) -> Run:
    """Make the run's folder, then commit its row: a crash in between leaves only an orphan.

    Raises BadRequest, or Conflict `id_taken` or `id_deleted`; then nothing is left behind.
    """
    check(spec)
    key = uuid7()
    run_id = spec.id or uuid7()
    run = Run(
        id=run_id,
        key=key,
        task_id=spec.task_id or run_id,
        workspace_id=spec.workspace_id,
        command=spec.command,
        dialect=spec.dialect,
        cwd=spec.cwd or defaults.cwd,
        timeout_s=spec.timeout_s,
        grace_s=defaults.grace_s if spec.grace_s is None else spec.grace_s,
        keep_background=spec.keep_background,
        stdin=spec.stdin,
        metadata=spec.metadata,
        created_at=now(),
    )
    folder = await asyncio.to_thread(_make_folder, folders, run, spec, defaults)
    try:
        return await store.create(run)
    except Exception:
        await asyncio.to_thread(folder.remove)
        raise


def _make_folder(folders: Path, run: Run, spec: RunSpec, defaults: Defaults) -> RunFolder:
    record = {
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
    }
    text = os.fsencode(spec.stdin_text or "") if spec.stdin == "text" else None
    try:
        return RunFolder.create(folders, run.key, record, spec.env, text)
    except OSError as error:
        raise Unavailable("storage", f"cannot make the run's folder: {error.strerror}") from error
