"""Reading the answers that refuse: every status and body becomes an exception."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

from runcast.client.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
)

# How an error looks that is one text: `not_found: there is no run build`.
_TEXT = re.compile(r"([a-z]+(?:_[a-z]+)*): (.*)", re.DOTALL)
# Every other status is a plain ApiError.
_KINDS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    429: TooMany,
}


def refusal(status: int, body: bytes) -> ApiError:
    """Make the error for an answer that refuses, whatever its body is."""
    code, message, details = _said(status, body)
    kind = Unavailable if status >= 500 else _KINDS.get(status, ApiError)
    return kind(code, message, status, details)


def _said(status: int, body: bytes) -> tuple[str, str, dict[str, Any] | None]:
    try:
        match msgspec.json.decode(body):
            case {"error": {"code": str(code), "message": str(message), **rest}}:
                details = rest.get("details")
                return code, message, details if isinstance(details, dict) else None
            case {"error": str(text)} if found := _TEXT.fullmatch(text):
                return found[1], found[2], None
    except msgspec.DecodeError:
        pass
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "refused"
    return f"http_{status}", f"the server answered {status} {phrase}", None
