"""What bodies and answers in camelCase share: those of jobs, processes and workspaces."""

from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from runcast.core.errors import BadRequest
from runcast.core.times import parse_time
from runcast.web.schemas import Answer
from runcast.web.submission import fault_of_json


class OpenBody(BaseModel):
    """A request body whose clients send all they have: fields that nobody reads are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, alias_generator=to_camel)


class CamelAnswer(Answer):
    """An answer in camelCase."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


def _micros(value: object) -> int:
    with suppress(BadRequest):
        if isinstance(value, str):
            return parse_time(value)
    raise PydanticCustomError("time", "must be an RFC 3339 time such as 2026-11-21T08:57:30Z")


def _storable(value: Any) -> Any:
    if fault := fault_of_json(value):
        raise PydanticCustomError("json", "{fault}", {"fault": fault})
    return value


# A time as µs since the epoch, and any JSON that can be stored.
Moment = Annotated[
    int, BeforeValidator(_micros), WithJsonSchema({"type": "string", "format": "date-time"})
]
Json = Annotated[Any, AfterValidator(_storable)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
