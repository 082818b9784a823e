"""Errors as answers: the one table from what went wrong to an HTTP status and a JSON body."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from runcast.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    RuncastError,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from runcast.web.answers import JsonAnswer

# The class decides the status, its nearest ancestor in this table if it has no row of its own.
STATUSES: dict[type[RuncastError], int] = {
    BadRequest: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    UnsupportedMedia: 415,
    TooMany: 429,
    RuncastError: 500,
    Unavailable: 503,
}
_RETRY_AFTER = {"retry-after": "1"}  # seconds; what is retryable here is over in moments
_NAMED_FIELDS = 5  # a body of a thousand wrong fields is answered by the first few
_NAME_CHARACTERS = 100  # field names in messages may be of the client's making
# Below these paths clients know an error as one text: it begins with the code.
_TEXT_PATHS = re.compile(r"/api/(processes|workspaces|stats)(/|$)")


class _Problem(JsonAnswer):
    """Says what went wrong, in the shape that clients of the path know."""

    def __init__(
        self, fault: Mapping[str, Any], status: int, headers: Mapping[str, str] | None
    ) -> None:
        super().__init__({"error": fault}, status, headers)
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _TEXT_PATHS.match(scope["path"]):
            text = f"{self._fault['code']}: {self._fault['message']}"
            self.body = self.render({"error": text})
            self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def problem(error: RuncastError, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Make the answer to an error: its status, code, message and details."""
    status = next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
    if error.retryable:
        headers = {**_RETRY_AFTER, **(headers or {})}
    return answer_problem(status, error.code, error.message, error.details, headers)


def answer_problem(
    status: int,
    code: str,
    message: str,
    details: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonAnswer:
    """Make an answer that says what went wrong."""
    body: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        body["details"] = details
    return _Problem(body, status, headers)


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RuncastError)
    return problem(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if tuple(faults[0]["loc"]) == ("body",):
        return problem(BadRequest("bad_request", "the body must be a JSON object"))
    said = [f"{_field(fault['loc'])}: {_said(fault['msg'])}" for fault in faults[:_NAMED_FIELDS]]
    details = {"field": _field(faults[0]["loc"])}
    return problem(BadRequest("bad_request", "; ".join(said), details))


def _field(place: Sequence[int | str]) -> str:
    """Name a field as a client writes it: without the word that tells body from query."""
    return ".".join(str(step) for step in place[1:])[:_NAME_CHARACTERS]


def _said(message: str) -> str:
    """Make a rule of what the framework reports: `must be a valid integer`."""
    return message.replace("Input should", "must").replace("Field required", "is missing")


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = ", ".join(_methods(request))
        headers = {"allow": allow}
        return answer_problem(
            405, "method_not_allowed", f"this path takes {allow}", headers=headers
        )
    return problem(BadRequest("bad_request", error.detail))


def _methods(request: Request) -> list[str]:
    """List every method of this path: the framework names those of its first route only."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return sorted(methods)


async def _on_defect(_request: Request, _error: Exception) -> Response:
    # The framework raises the error on after this answer, and the server logs it there.
    return answer_problem(500, "internal", "a defect in runcast; the server's log has the details")


HANDLERS: dict[int | type[Exception], Any] = {
    RuncastError: _on_error,
    RequestValidationError: _on_invalid,
    HTTPException: _on_refusal,
    Exception: _on_defect,
}
