"""What can go wrong between a client and its server.

    ClientError
    ├── NoServer           nothing answers, or it stopped answering
    ├── Gap                events that were asked for are no longer kept
    └── ApiError           the server refused; its code, message and details
        ├── BadRequest         400; what was asked cannot be understood
        ├── Forbidden          401, 403
        ├── NotFound           404
        ├── Conflict           409; understood, but not in this state
        ├── Gone               410; a cursor points where nothing is
        ├── TooLarge           413
        ├── TooMany            429; a limit is reached, try again later
        └── Unavailable        every 5xx; try again later

`code` is what programs compare: the server's codes are in the reference.
"""

from typing import Any


class ClientError(Exception):
    """The root: a stable `code` and a message that says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NoServer(ClientError):
    """Nothing answers at the address, or it stopped answering."""

    def __init__(self, message: str) -> None:
        super().__init__("no_server", message)


class Gap(ClientError):
    """Events that come next are no longer kept; `data` says which, as far as it is known.

    Following again after `id` gives what is left.
    """

    def __init__(self, number: int, data: dict[str, Any]) -> None:
        why = data.get("reason", "unknown")
        super().__init__("gap", f"events are missing before number {number + 1}: {why}")
        self.id = number
        self.data = data


class ApiError(ClientError):
    """The server refused; `status` is the HTTP status, the rest is its own."""

    def __init__(
        self, code: str, message: str, status: int, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.details = details

    @property
    def retryable(self) -> bool:
        """Whether the same request may be taken later."""
        return self.status >= 500 or self.status == 429


class BadRequest(ApiError):
    """What was asked cannot be understood; asking again the same way cannot help."""


class Forbidden(ApiError):
    """The caller is not let in."""


class NotFound(ApiError):
    """No such thing there, or no longer."""


class Conflict(ApiError):
    """Understood, but the run or log is not in a state that allows it."""


class Gone(ApiError):
    """The cursor points before what is kept or beyond what exists."""


class TooLarge(ApiError):
    """The body is over the limit."""


class TooMany(ApiError):
    """A limit is reached."""


class Unavailable(ApiError):
    """Stopping, or its storage refuses, or it is defective; nothing was done."""


def not_runcast(status: int) -> ApiError:
    """Make the error for an answer that no runcast server would give."""
    return ApiError("not_runcast", "what answers there is not a runcast server", status)
