"""One request to a server, as data: what is sent, and how its answer is read."""

from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from runcast.client.errors import not_runcast
from runcast.client.refusals import refusal

WORKSPACE_HEADER = "X-Workspace-Id"
KEY_HEADER = "Idempotency-Key"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Call(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """A request; a `json` of None is no body.

    `read` makes the result of the answer's body and status, if that is below 400 or one that the
    call `accepts`. `workspace` names the header or the field of the body that says in which
    workspace something is made; without it the call makes nothing that belongs to one. The server
    may take its time for `waits_s` longer than it usually does.
    """

    method: str
    path: str
    read: Callable[[bytes, int], T_co]
    params: Mapping[str, Any] = {}
    json: Any = None
    headers: Mapping[str, str] = {}
    accepts: frozenset[int] = frozenset()
    workspace: str = ""
    waits_s: float = 0

    @property
    def body(self) -> bytes:
        """The body, the same bytes each time: what an Idempotency-Key stands for."""
        return b"" if self.json is None else msgspec.json.encode(self.json)

    def under(self, key: str) -> "Call[T_co]":
        """Return the call under an `Idempotency-Key`: sent again within 24 h, it is done once."""
        return msgspec.structs.replace(self, headers={**self.headers, KEY_HEADER: key})

    def within(self, workspace_id: str) -> "Call[T_co]":
        """Return the call in a workspace, unless it says one or belongs to none."""
        if not self.workspace:
            return self
        if self.workspace == WORKSPACE_HEADER:
            headers = {WORKSPACE_HEADER: workspace_id, **self.headers}
            return msgspec.structs.replace(self, headers=headers)
        return msgspec.structs.replace(self, json={self.workspace: workspace_id, **self.json})

    def result(self, status: int, body: bytes) -> T_co:
        """Read an answer; raise ApiError if it refuses or is none that runcast gives."""
        if status >= 400 and status not in self.accepts:
            raise refusal(status, body)
        return self.read(body, status)


# An operation of several requests: yields each call, is sent its result, returns what it made.
Steps = Generator[Call[Any], Any, T_co]


def whole(kind: type[T]) -> Callable[[bytes, int], T]:
    """Read an answer that is a `kind`."""

    def read(body: bytes, status: int) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            raise not_runcast(status) from None

    return read


def one(name: str, kind: type[T]) -> Callable[[bytes, int], T]:
    """Read an answer that has a `kind` under this name, and perhaps others beside it."""

    def read(body: bytes, status: int) -> T:
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            return msgspec.json.decode(fields[name], type=kind)
        except (msgspec.DecodeError, KeyError):
            raise not_runcast(status) from None

    return read


def raw(body: bytes, _status: int) -> bytes:
    """Read an answer that is bytes."""
    return body


def nothing(_body: bytes, _status: int) -> None:
    """Read an answer that says nothing but that it is done."""
