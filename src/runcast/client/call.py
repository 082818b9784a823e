"""One request to a server, as data: what is sent, and how its answer is read."""

import re
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from runcast.client.errors import not_runcast, not_utf8, unsendable
from runcast.client.refusals import refusal

WORKSPACE_HEADER = "X-Workspace-Id"
KEY_HEADER = "Idempotency-Key"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_KEY = re.compile("[!-~]{1,128}", re.ASCII)  # as servers take it


class Answer(NamedTuple):
    """What was answered to a request."""

    status: int
    body: bytes
    media_type: str = ""


class Call(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """A request; a `json` of None is no body.

    `read` makes the result of an answer that does not refuse; `instead` has results that stand for
    refusals, by their codes. `workspace` names the header or the field of the body that says in
    which workspace something is made; without it the call makes nothing that belongs to one. The
    server may take its time for `waits_s` longer than it usually does.
    """

    method: str
    path: str
    read: Callable[[Answer], T_co]
    params: Mapping[str, Any] = {}
    json: Any = None
    headers: Mapping[str, str] = {}
    instead: Mapping[str, Any] = {}
    workspace: str = ""
    waits_s: float = 0

    @property
    def body(self) -> bytes:
        """The body, the same bytes each time: what an Idempotency-Key stands for.

        Raises BadRequest for a text that UTF-8 cannot carry.
        """
        try:
            return b"" if self.json is None else msgspec.json.encode(self.json)
        except UnicodeEncodeError as error:
            raise not_utf8(error) from None

    def under(self, key: str) -> "Call[T_co]":
        """Return the call under an `Idempotency-Key`: sent again within 24 h, it is done once.

        Raises BadRequest for what is no key.
        """
        if _KEY.fullmatch(key) is None:
            raise unsendable(f"{KEY_HEADER} must be 1 to 128 visible ASCII characters")
        return msgspec.structs.replace(self, headers={**self.headers, KEY_HEADER: key})

    def within(self, workspace_id: str) -> "Call[T_co]":
        """Return the call in a workspace, unless it says one or belongs to none."""
        if not self.workspace:
            return self
        if self.workspace == WORKSPACE_HEADER:
            headers = {WORKSPACE_HEADER: workspace_id, **self.headers}
            return msgspec.structs.replace(self, headers=headers)
        return msgspec.structs.replace(self, json={self.workspace: workspace_id, **self.json})

    def result(self, answer: Answer) -> T_co:
        """Read an answer; raise ApiError if it refuses or is none that runcast gives."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return self.read(answer)
        error = refusal(answer.status, answer.body)
        if error.code not in self.instead:
            raise error
        result: T_co = self.instead[error.code]
        return result


class Pause(NamedTuple):
    """Something to do between two calls: to wait."""

    seconds: float


# An operation of several requests: yields each call, is sent its result or has its error raised,
# and returns what it made.
Steps = Generator[Call[Any] | Pause, Any, T_co]


def whole(kind: type[T]) -> Callable[[Answer], T]:
    """Read an answer that is a `kind`."""

    def read(answer: Answer) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except ValueError:
            raise not_runcast(answer.status) from None

    return read


def one(name: str, kind: type[T]) -> Callable[[Answer], T]:
    """Read an answer that has a `kind` under this name, and perhaps others beside it."""

    def read(answer: Answer) -> T:
        try:
            fields = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
            return msgspec.json.decode(fields[name], type=kind)
        except (ValueError, KeyError):
            raise not_runcast(answer.status) from None

    return read


def raw(answer: Answer) -> bytes:
    """Read an answer that is the bytes of a text."""
    if answer.status != HTTPStatus.OK or not answer.media_type.startswith("text/plain"):
        raise not_runcast(answer.status)
    return answer.body


def nothing(answer: Answer) -> None:
    """Read an answer that says nothing but that it is done."""
    # Any other success, a login page say, was not said by the server that was to do it.
    if answer.status != HTTPStatus.NO_CONTENT:
        raise not_runcast(answer.status)
