"""JSON in and out: answers encoded by msgspec, bodies read as strict JSON."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.events import Event
from runcast.core.runs import Run, public_run
from runcast.core.times import format_time
from runcast.web.once import answer_once

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class JsonAnswer(Response):
    """An answer of plain values, encoded to compact JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return _encode(content)


class _StrictRequest(Request):
    """A request whose body is JSON by the letter: no NaN, no half surrogates, valid UTF-8.

    What is stored has to be readable again by every client, and Python's own reader lets
    through values that have no JSON form.
    """

    async def json(self) -> Any:
        try:
            return _decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPException(400, f"the body is not JSON: {error}") from None


class JsonRoute(APIRoute):
    """A route that reads its body as strict JSON; anything else is answered 400.

    A request under an `Idempotency-Key` that was answered before gets that answer again.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler so that it meets a strict request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await answer_once(_StrictRequest(request.scope, request.receive), handle)

        return strictly


def show_run(run: Run, status: int = 200, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Answer with a run."""
    return JsonAnswer({"run": public_run(run)}, status, headers)


def accepted(run: Run) -> JsonAnswer:
    """Answer with a run to which what was asked will happen."""
    return show_run(run, 202)


def public_event(event: Event) -> dict[str, Any]:
    """Show an event as the API gives it: its time as text."""
    return {
        "seq": event.seq,
        "position": event.position,
        "time": format_time(event.time),
        "type": event.type,
        "data": event.data,
    }
