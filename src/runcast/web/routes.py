"""What the routes share: the runtime they work on, checked ids, and documented problems."""

from typing import Annotated, Any, cast

from fastapi import Depends, Path
from pydantic import AfterValidator
from starlette.requests import Request

from runcast.core.errors import Unavailable
from runcast.core.ids import check_id
from runcast.runtime.runtime import Runtime
from runcast.web.schemas import Answer, Problem
from runcast.web.shapes import Id

_MEANINGS = {
    400: "The request cannot be understood; the message names what is wrong.",
    404: "There is no such run, or no such part of it; or it was deleted.",
    409: "The run is not in a state that allows this, its id is taken, or somebody was first; or "
    "the `Idempotency-Key` belongs to another request.",
    410: "The cursor points where nothing is.",
    413: "A text is longer than it may be.",
    416: "The range lies beyond the end.",
}
_ANY_OTHER = "Any other problem: a request that the guard refuses, a server that is stopping."


async def runtime_of(request: Request) -> Runtime:
    """Return the runtime, draining or not."""
    return cast("Runtime", request.app.state.runtime)


async def working_runtime(request: Request) -> Runtime:
    """Return the runtime; raise Unavailable while it drains."""
    runtime = await runtime_of(request)
    if runtime.draining:
        raise Unavailable("draining", "the server is stopping; ask again in a moment")
    return runtime


AnyRuntime = Annotated[Runtime, Depends(runtime_of)]
WorkingRuntime = Annotated[Runtime, Depends(working_runtime)]
RunId = Annotated[Id, Path(description="The run's id."), AfterValidator(check_id)]


def problems(*statuses: int, model: type[Answer] = Problem) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route: these, and what any request may be answered."""
    named: dict[int | str, str] = {status: _MEANINGS[status] for status in statuses}
    return {
        status: {"model": model, "description": meaning}
        for status, meaning in (named | {"default": _ANY_OTHER}).items()
    }
