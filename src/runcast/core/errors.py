"""Every error runcast raises on purpose.

    RuncastError
    ├── BadRequest         what was asked cannot be understood
    │   └── TooLarge
    ├── Forbidden          the caller's host or origin is not let in
    ├── UnsupportedMedia   the body is not JSON
    ├── NotFound
    ├── Conflict           understood, but not in this state
    │   └── StaleCheckpoint    another writer moved the run's checkpoint
    ├── Gone               the cursor points where nothing is
    ├── TooMany            a limit is reached; try again later
    ├── Unavailable        draining, or the disk or database refuses
    └── ConfigError        the program cannot start as configured

The class says whose fault it is and how a transport should answer; `code` is the stable name
that programs compare; the message says what to do.
"""

from typing import Any

_FIELD_CHARACTERS = 100  # of a name that a client may have made up

# Every code a client can meet, and what it means. The reference page is made from this table.
CODES: dict[str, str] = {
    "bad_request": "The body, a field or a query parameter is wrong; the message names it.",
    "bad_id": "An id has a character or a length that ids may not have.",
    "unknown_workspace": "There is no such workspace; the message names the field that says it.",
    "bad_cursor": "`after`, `tail` or `Last-Event-ID` is not a cursor.",
    "body_too_large": "The request body is over the limit.",
    "forbidden_host": "The `Host` header is not one this server answers to.",
    "forbidden_origin": "A web page of another origin made this request.",
    "not_json": "The body must be sent as `application/json`.",
    "not_found": "No such path, run or record; or it was deleted.",
    "method_not_allowed": "The path exists, but not with this method.",
    "range_not_satisfiable": "The `Range` header asks for bytes that do not exist.",
    "id_taken": "A run or message with this id exists.",
    "id_deleted": "A run with this id existed and was deleted; ids are never used again.",
    "bad_transition": "A run in this status cannot change to that status.",
    "run_ended": "The run has ended, so this can no longer be done to it.",
    "run_active": "The run is running; cancel it first.",
    "log_sealed": "The log ended with the terminal status; nothing can be appended.",
    "approval_settled": "This approval was settled before, and the first answer counts.",
    "input_closed": "The command takes no (more) input.",
    "not_external": "runcast executes this run or reads its log file; no client can report on it.",
    "workspace_taken": "A workspace with this id exists, and its `rootPath` is another.",
    "idempotency_conflict": "This `Idempotency-Key` belongs to another request.",
    "stale_after": "`after` is not the log's last seq; somebody else appended.",
    "stale_checkpoint": "Another writer has moved this run's checkpoint.",
    "cursor_ahead": "The cursor lies beyond the newest event.",
    "gap": "Events after this cursor have been removed by retention.",
    "too_many_clients": "This run already has `max_clients_per_run` streams.",
    "draining": "The server is stopping; connect again in a moment.",
    "storage": "The disk or database refused the write; nothing was stored.",
    "config": "A setting is wrong, or the data folder or address cannot be used.",
    "internal": "A defect in runcast; the server's log has the details.",
}


class RuncastError(Exception):
    """The root: a stable `code`, a message that says what to do, optional `details`."""

    retryable = False

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        assert code in CODES, code
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class BadRequest(RuncastError):
    """What was asked cannot be understood; asking again the same way cannot help."""

    @classmethod
    def of(cls, field: str, problem: str) -> "BadRequest":
        """Make the error of one field; its details are `{"field": field}`."""
        field = field[:_FIELD_CHARACTERS]
        return cls("bad_request", f"{field}: {problem}", {"field": field})


class TooLarge(BadRequest):
    """The body is over the limit."""


class Forbidden(RuncastError):
    """The caller's host or origin is not let in."""


class UnsupportedMedia(RuncastError):
    """The body is not JSON."""


class NotFound(RuncastError):
    """No such thing here, or no longer."""


class Conflict(RuncastError):
    """Understood, but the run or log is not in a state that allows it."""


class StaleCheckpoint(Conflict):
    """The checkpoint is not where the writer believed: another one moved it."""


class Gone(RuncastError):
    """The cursor points before what is kept or beyond what exists."""


class TooMany(RuncastError):
    """A limit is reached."""

    retryable = True


class Unavailable(RuncastError):
    """Draining, or storage refuses; nothing was done."""

    retryable = True


class ConfigError(RuncastError):
    """The program cannot start as configured; one line says why."""

    def __init__(self, message: str) -> None:
        super().__init__("config", message)
