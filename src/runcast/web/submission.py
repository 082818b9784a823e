"""What clients send: the bodies of requests, and what only the edge can check of them.

Types, durations and what JSON can hold but the store cannot are looked at here; what a run may
be is the runtime's to say.
"""

import difflib
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from runcast.core.errors import BadRequest
from runcast.core.times import parse_duration
from runcast.runtime.approvals import Answer
from runcast.runtime.external import ExternalSpec
from runcast.runtime.retention import PruneLimits
from runcast.runtime.submit import RunSpec
from runcast.web.shapes import AbsolutePath, Count, Id

MAX_SECONDS = 10 * 366 * 86_400  # ten years: beyond it, clocks and timers overflow
MAX_NESTING = 64  # of free JSON; every reader of it has a recursion limit somewhere
_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?[smhd]?$",
    "examples": ["90s", "1.5h"],
}


def _named(info: ValidationInfo, message: str) -> BadRequest:
    return BadRequest.of(info.field_name or "", message)


def _words(value: object, info: ValidationInfo) -> object:
    if value is None or (isinstance(value, list) and all(isinstance(word, str) for word in value)):
        return value
    raise _named(info, 'must be a list of words, such as ["ls", "-l"]')


def _stdin(value: object, info: ValidationInfo) -> object:
    match value:
        case None | "pipe":
            return value
        case {"text": str(), **rest} if not rest:
            return value
    raise _named(info, 'must be "pipe" or {"text": "what the command reads"}')


def _seconds(value: object, info: ValidationInfo) -> float | None:
    seconds = _duration(value, info)
    if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
        raise _named(info, f"must be between 0 and {MAX_SECONDS} seconds")
    return seconds


def _some_seconds(value: object, info: ValidationInfo) -> float | None:
    seconds = _duration(value, info)
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        raise _named(info, f"must be more than 0 and at most {MAX_SECONDS} seconds")
    return seconds


def _duration(value: object, info: ValidationInfo) -> float | None:
    if isinstance(value, str):
        with suppress(BadRequest):
            return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise _named(info, "must be seconds or a duration such as 90s, 15m, 12h or 7d")
    return value


def _storable(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    if fault := fault_of_json(value):
        raise _named(info, fault)
    return value


def fault_of_json(value: object) -> str:
    """Say why free JSON cannot be stored; an empty text if it can."""
    if _is_deeper(value, MAX_NESTING):
        return f"must not be nested deeper than {MAX_NESTING} levels"
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        return "whole numbers must fit 64 bits"
    return ""


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


def _schema_of_seconds(least: str) -> WithJsonSchema:
    number = {"type": "number", least: 0, "maximum": MAX_SECONDS}
    return WithJsonSchema({"anyOf": [number, _DURATION_SCHEMA, {"type": "null"}]})


Words = Annotated[
    list[str],
    Field(json_schema_extra={"minItems": 1, "prefixItems": [{"type": "string", "minLength": 1}]}),
]
Free = Annotated[dict[str, Any], AfterValidator(_storable)]
Seconds = Annotated[float | None, BeforeValidator(_seconds), _schema_of_seconds("minimum")]
SomeSeconds = Annotated[
    float | None, BeforeValidator(_some_seconds), _schema_of_seconds("exclusiveMinimum")
]
_STRICT = ConfigDict(extra="forbid", strict=True)


class Body(BaseModel):
    """A request body: types as they are, and no field that nobody reads."""

    model_config = _STRICT

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, body: Any) -> Any:
        for name in body if isinstance(body, dict) else ():
            if name not in cls.model_fields:
                meant = difflib.get_close_matches(name, cls.model_fields, 1)
                hint = f"; did you mean {meant[0]}?" if meant else ""
                raise BadRequest.of(name, f"unknown field{hint}")
        return body


class StdinText(BaseModel):
    """What the command reads on its stdin, followed by its end."""

    model_config = _STRICT

    text: str


_OF_EXTERNAL = {"id", "task_id", "workspace_id", "metadata"}


class Submission(Body):
    """What to run: a command, a tool or an agent; or an external run, which its client reports."""

    command: Annotated[Words | None, BeforeValidator(_words)] = Field(
        None, description="The program and its arguments; no shell is involved."
    )
    tool: str | None = Field(None, description="Instead of `command`: a tool of `/api/v1/tools`.")
    args: dict[str, str] = Field({}, description="The tool's arguments, by name.")
    agent: str | None = Field(
        None, description="Instead of `command`: an agent of `/api/v1/agents`."
    )
    prompt: str | None = Field(None, description="What the agent is asked to do.")
    external: bool = Field(
        False,
        description="Instead of `command`: nothing is executed; what happens is posted to the "
        "run's `events`. Only `id`, `task_id`, `workspace_id` and `metadata` go with it.",
    )
    id: Id | None = Field(None, description="The run's id; made by the server if absent.")
    dialect: str | None = Field(
        None,
        description="How a command's output is understood, `lines` if absent; tools and agents "
        "have their own.",
    )
    cwd: AbsolutePath | None = Field(
        None, description="An absolute path; the workspace's `rootPath` if absent."
    )
    env: dict[str, str] = Field(
        {}, description="Added to the server's environment; never stored in the database or shown."
    )
    workspace_id: str = Field("default", description="The workspace that it belongs to.")
    task_id: Id | None = Field(None, description="Groups runs; the run's id if absent.")
    timeout_s: SomeSeconds = Field(None, description="When to end the run; never if absent.")
    grace_s: Seconds = Field(None, description="From asking the processes to end to killing them.")
    keep_background: bool = Field(
        False, description="Let processes live that the command left behind."
    )
    stdin: Annotated[Literal["pipe"] | StdinText | None, BeforeValidator(_stdin)] = Field(
        None,
        description="`{text}`: this and no more; `pipe`: what is sent to the run's `input`, for an "
        "agent as further prompts.",
    )
    metadata: Free = Field({}, description="Kept with the run and given back.")

    def spec(self) -> RunSpec:
        """Return what the runtime is asked to execute."""
        fields = self.model_dump(exclude={"stdin", "external"})
        if isinstance(self.stdin, StdinText):
            return RunSpec(**fields, stdin="text", stdin_text=self.stdin.text)
        return RunSpec(**fields, stdin=self.stdin)

    def external_spec(self) -> ExternalSpec:
        """Return what the runtime is asked to keep for a client; raise BadRequest."""
        for name, field in type(self).model_fields.items():
            if name not in {"external", *_OF_EXTERNAL} and getattr(self, name) != field.default:
                raise BadRequest.of(name, "goes with what is executed, not with external: true")
        return ExternalSpec(**self.model_dump(include=_OF_EXTERNAL))


class InputText(Body):
    """Text for a run, or the end of its input, or both."""

    text: str = Field("", description="May be empty only with `eof`.")
    newline: bool = Field(True, description="Put a newline behind the text, if there is one.")
    eof: bool = Field(False, description="Nothing comes after this.")


class Decision(Body):
    """What a person says to an agent that asks for leave."""

    decision: Literal["allow", "deny"]
    message: str | None = Field(None, description="Why; the agent is told.")
    input: Free | None = Field(
        None, description="With `allow`: what the tool is to be given instead of what was asked."
    )

    def answer(self) -> Answer:
        """Return what the runtime is told."""
        if self.input is not None and self.decision == "deny":
            raise BadRequest.of("input", "goes with allow: what is denied takes no input")
        return Answer(decision=self.decision, message=self.message, input=self.input)


class Prune(Body):
    """Which ended runs to remove: those beyond any of the limits given."""

    max_age: Seconds = Field(None, description="Keep runs that ended less than this long ago.")
    max_count: Count | None = Field(None, description="Keep so many runs.")
    max_bytes: Count | None = Field(None, description="Keep so many bytes.")

    def limits(self) -> PruneLimits:
        """Return what the runtime is asked for."""
        if self.max_age is None and self.max_count is None and self.max_bytes is None:
            raise BadRequest("bad_request", "give max_age, max_count or max_bytes")
        return PruneLimits(max_age=self.max_age, max_count=self.max_count, max_bytes=self.max_bytes)
