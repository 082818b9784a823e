"""What a program asks an executor for: the types of it, checked before anything is started."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Any, TypedDict, TypeVar

import msgspec

from runcast.config import Interval
from runcast.config_agents import AgentSettings
from runcast.config_words import located, worded
from runcast.core.errors import BadRequest

T = TypeVar("T")


class StreamingOptions(msgspec.Struct, frozen=True):
    """Which messages to give; errors, file changes, progress and statuses are always given."""

    emit_tool_calls: bool = True
    emit_tool_results: bool = True
    emit_output: bool = True
    progress_interval_ms: Interval = 5000  # between the `progress_update` messages of an agent


class AgentChoices(TypedDict, total=False):
    """How to start an agent: the settings that a server has under `agents.NAME`."""

    driver: str
    model: str
    permission_mode: str
    extra_args: list[str]
    command: list[str]


class Asked(msgspec.Struct, kw_only=True):
    """The arguments of an execution: a command with its words, or an agent with its prompt."""

    command: str = ""
    args: list[str] = []
    agent: str = ""
    prompt: str = ""
    cwd: str | None
    env: dict[str, str]
    timeout: Interval | None


def checked_options(options: StreamingOptions | None) -> StreamingOptions:
    """Return the options, or the default ones; raise BadRequest naming the one that is wrong."""
    given = options or StreamingOptions()
    return _checked(msgspec.structs.asdict(given), StreamingOptions)


def checked(**given: Any) -> Asked:
    """Return the arguments of an execution; raise BadRequest naming the one that is wrong."""
    cwd, env, args = given["cwd"], given["env"], given.get("args", ())
    plain = {
        "cwd": fspath(cwd) if isinstance(cwd, PathLike) else cwd,
        "env": dict(env) if isinstance(env, Mapping) else {} if env is None else env,
        "args": list(args) if _is_several(args) else args,
    }
    return _checked(given | plain, Asked)


def checked_agent(choices: AgentChoices) -> AgentSettings:
    """Return the settings of an agent; raise BadRequest naming the choice that is wrong."""
    for name in choices:
        if name not in AgentChoices.__annotations__:
            known = ", ".join(AgentChoices.__annotations__)
            raise BadRequest.of(name, f"is no choice that an agent has; it has {known}")
    return _checked(choices, AgentSettings)


def _checked(given: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        text, path = located(str(error))
        name = path.removeprefix("key in ").removeprefix("$.")
        hint = kind.__annotations__.get(name)
        raise BadRequest.of(name, worded(text, hint)) from None


def _is_several(args: object) -> bool:
    # A text is a list of its characters, which nobody means.
    return isinstance(args, Iterable) and not isinstance(args, str | bytes | Mapping)
