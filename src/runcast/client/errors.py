"""What can go wrong between a client and its server.

    ClientError
    ├── NoServer           nothing answers, or it stopped answering
    ├── Gap                events that were asked for are no longer kept
    └── ApiError           the server refused; its code, message and details
        ├── BadRequest         400; what was asked cannot be understood, or not even be sent
        ├── Forbidden          401, 403
        ├── NotFound           404
        ├── Conflict           409; understood, but not in this state
        ├── Gone               410; a cursor points where nothing is
        ├── TooLarge           413
        ├── TooMany            429; a limit is reached, try again later
        └── Unavailable        every 5xx; try again later

`code` is what programs compare: the server's codes are in the reference.
"""

import copyreg
from typing import Any

# Of what a server says, what may be otherwise a moment later.
_PASSING = frozenset({408, 425, 429})


class ClientError(Exception):
    """The root: a stable `code` and a message that says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def retryable(self) -> bool:
        """Whether the same may go well later, with nothing changed here."""
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are otherwise made again out of `args`, and the classes take more than that.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class NoServer(ClientError):
    """Nothing answers at the address, or it stopped answering."""

    def __init__(self, message: str) -> None:
        super().__init__("no_server", message)

    @property
    def retryable(self) -> bool:
        """Whether the same may go well later: the server may come back."""
        return True


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
        """Whether the same request may be taken later.

        That a server is stopping or busy passes, and what runcast did not say was said by
        something in between, which will not always be there.
        """
        by_runcast = not self.code.startswith("http_") and self.code != "not_runcast"
        return not by_runcast or self.status >= 500 or self.status in _PASSING


class BadRequest(ApiError):
    """What was asked cannot be understood; asking again the same way cannot help.

    What cannot be an id, a key or UTF-8 at all is refused so before anything is sent.
    """


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


def unsendable(why: str) -> BadRequest:
    """Make the error for what no server would understand, so that it is not even sent."""
    return BadRequest("bad_request", f"this cannot be sent: {why}", 400)


def not_utf8(error: UnicodeEncodeError) -> BadRequest:
    """Make the error for a text that UTF-8 cannot carry, as names of files may be."""
    wrong = error.object[error.start : error.end]
    return unsendable(f"all of it must be UTF-8 text, and {wrong!r} is none")


def closed() -> ClientError:
    """Make the error for what is asked of a client that has been closed."""
    return ClientError("closed", "the client is closed")
