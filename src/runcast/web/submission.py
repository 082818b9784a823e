"""What clients send: the bodies of requests, and what only the edge can check of them.

Types, durations and what JSON can hold but the store cannot are looked at here; what a run may
be is the runtime's to say.
"""

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
from runcast.core.limits import MAX_POSITION
from runcast.core.times import parse_duration
from runcast.runtime.retention import PruneLimits
from runcast.runtime.submit import RunSpec

MAX_SECONDS = 10 * 366 * 86_400  # ten years: beyond it, clocks and timers overflow
MAX_NESTING = 64  # of metadata; every reader of it has a recursion limit somewhere
ID_PATTERN = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"  # for readers; the runtime checks
_NUMBER_SCHEMA = {"type": "number", "minimum": 0, "maximum": MAX_SECONDS}
_DURATION_SCHEMA = {"type": "string", "pattern": r"^[0-9]{1,6}[smhd]?$", "examples": ["90s", "15m"]}
_NOT_YET = frozenset({"tool", "args", "agent", "prompt", "external"})


def _named(info: ValidationInfo, message: str) -> BadRequest:
    return BadRequest("bad_request", f"{info.field_name}: {message}", {"field": info.field_name})


def _seconds(value: object, info: ValidationInfo) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _named(info, "must be seconds or a duration such as 90s, 15m, 12h or 7d")
    seconds = parse_duration(value, info.field_name or "") if isinstance(value, str) else value
    if not 0 <= seconds <= MAX_SECONDS:
        raise _named(info, f"must be between 0 and {MAX_SECONDS} seconds")
    return float(seconds)


def _metadata(metadata: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    if _is_deeper(metadata, MAX_NESTING):
        raise _named(info, f"must not be nested deeper than {MAX_NESTING} levels")
    try:
        msgspec.msgpack.encode(metadata)
    except OverflowError:
        raise _named(info, "whole numbers must fit 64 bits") from None
    return metadata


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


Id = Annotated[str, Field(json_schema_extra={"pattern": ID_PATTERN})]
Seconds = Annotated[
    float | None,
    BeforeValidator(_seconds),
    WithJsonSchema({"anyOf": [_NUMBER_SCHEMA, _DURATION_SCHEMA, {"type": "null"}]}),
]


class Body(BaseModel):
    """A request body: types as they are, and no field that nobody reads."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StdinText(Body):
    """What the command reads on its stdin, followed by its end."""

    text: str


class Submission(Body):
    """A command to run."""

    command: list[str] = Field(
        description="The program and its arguments; no shell is involved.",
        json_schema_extra={"minItems": 1, "prefixItems": [{"type": "string", "minLength": 1}]},
    )
    id: Id | None = Field(None, description="The run's id; made by the server if absent.")
    dialect: str = Field("lines", description="How the output is understood.")
    cwd: str | None = Field(
        None, description="An absolute path; the folder the server was started in if absent."
    )
    env: dict[str, str] = Field(
        {}, description="Added to the server's environment; never stored in the database or shown."
    )
    workspace_id: str = "default"
    task_id: Id | None = Field(None, description="Groups runs; the run's id if absent.")
    timeout_s: Seconds = Field(None, description="When to end the run; never if absent.")
    grace_s: Seconds = Field(None, description="From asking the processes to end to killing them.")
    keep_background: bool = Field(
        False, description="Let processes live that the command left behind."
    )
    stdin: Literal["pipe"] | StdinText | None = Field(
        None, description="`pipe`: input can be sent later; `{text}`: this and no more."
    )
    metadata: Annotated[dict[str, Any], AfterValidator(_metadata)] = Field(
        {}, description="Kept with the run and given back."
    )

    @model_validator(mode="before")
    @classmethod
    def _say_what_is_missing(cls, body: Any) -> Any:
        for name in sorted(_NOT_YET.intersection(body if isinstance(body, dict) else ())):
            raise BadRequest("bad_request", f"{name}: not available yet; give a command")
        return body

    def spec(self) -> RunSpec:
        """Return what the runtime is asked for."""
        fields = self.model_dump(exclude={"stdin"})
        if isinstance(self.stdin, StdinText):
            return RunSpec(**fields, stdin="text", stdin_text=self.stdin.text)
        return RunSpec(**fields, stdin=self.stdin)


class Prune(Body):
    """Which ended runs to remove: those beyond any of the limits given."""

    max_age: Seconds = Field(None, description="Keep runs that ended less than this long ago.")
    max_count: int | None = Field(None, ge=0, le=MAX_POSITION, description="Keep so many runs.")
    max_bytes: int | None = Field(None, ge=0, le=MAX_POSITION, description="Keep so many bytes.")

    def limits(self) -> PruneLimits:
        """Return what the runtime is asked for."""
        if self.max_age is None and self.max_count is None and self.max_bytes is None:
            raise BadRequest("bad_request", "give max_age, max_count or max_bytes")
        return PruneLimits(max_age=self.max_age, max_count=self.max_count, max_bytes=self.max_bytes)
