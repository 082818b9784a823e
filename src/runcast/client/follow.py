"""Following a run: its events as they come, over as many connections as it takes."""

import random
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import httpx2
import msgspec

from runcast.client.errors import ApiError, NoServer
from runcast.client.http import Client, not_runcast, run_path
from runcast.client.sse import SseEvent, SseParser

_RETRY_S = 1.0  # until the server says otherwise
_LONGEST_RETRY_S = 15.0

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class StreamEvent(msgspec.Struct, frozen=True):
    """One frame of a run's stream; resuming after `id` gives exactly the later ones."""

    id: int
    event: str
    data: dict[str, Any]


def follow(
    client: Client, run_id: str, after: int = 0, types: Collection[str] = ()
) -> Iterator[StreamEvent]:
    """Yield the run's events after number `after`, each once, in order; return behind `end`.

    Reconnects for as long as it takes. `gap` is yielded where output was lost before it could
    be kept; a run that is removed meanwhile ends with `deleted` in the data of `end`. Raises
    ApiError if the server refuses (an unknown or removed run).
    """
    for events in follow_pieces(client, run_id, after, types):
        yield from events


def follow_pieces(
    client: Client,
    run_id: str,
    after: int = 0,
    types: Collection[str] = (),
    *,
    patience_s: float = float("inf"),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[list[StreamEvent]]:
    """Do as `follow` does, yielding together what arrived together.

    A reader that writes elsewhere can so flush once per piece: no more is at hand. Raises
    NoServer once the server was out of reach for `patience_s`.
    """
    attempts = _Attempts(patience_s, sleep)
    params: dict[str, Any] = {"after": after} | ({"types": ",".join(types)} if types else {})
    last_id = ""
    while True:
        parser = SseParser(last_id)
        try:
            with client.open_stream(f"{run_path(run_id)}/stream", params, last_id) as response:
                if response.status_code == 204:
                    return
                for events in _pieces(client, response, parser):
                    attempts.succeeded(parser.retry_ms)
                    if events:
                        yield events
                        if events[-1].event == "end":
                            return
            attempts.failed(NoServer(f"the server at {client.base_url} keeps hanging up"))
        except NoServer as problem:
            attempts.failed(problem)
        except ApiError as problem:
            if not problem.retryable:
                raise
            attempts.failed(problem)
        last_id = parser.last_id


def _pieces(
    client: Client, response: httpx2.Response, parser: SseParser
) -> Iterator[list[StreamEvent]]:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        raise not_runcast(client.base_url, 400)
    for chunk in response.iter_raw():
        frames = [frame for frame in parser.feed(chunk) if frame.event != "heartbeat"]
        try:
            events = [_event(frame) for frame in frames]
        except (ValueError, msgspec.DecodeError):
            raise not_runcast(client.base_url, 400) from None
        yield events


def _event(frame: SseEvent) -> StreamEvent:
    return StreamEvent(int(frame.id), frame.event, _decode(frame.data))


class _Attempts:
    """Paces reconnecting: doubling from what the server asked for, with jitter, up to a limit."""

    def __init__(self, patience_s: float, sleep: Callable[[float], None]) -> None:
        self._patience_s = patience_s
        self._sleep = sleep
        self._retry_s = _RETRY_S
        self._failures = 0
        self._deadline: float | None = None

    def succeeded(self, retry_ms: int | None) -> None:
        self._failures = 0
        self._deadline = None
        if retry_ms is not None:
            self._retry_s = retry_ms / 1000

    def failed(self, problem: NoServer | ApiError) -> None:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._patience_s
        if now >= self._deadline:
            raise problem
        delay = min(self._retry_s * 2**self._failures, _LONGEST_RETRY_S)
        self._failures = min(self._failures + 1, 16)
        # All clients of a restarted server would otherwise come back in the same instant.
        self._sleep(delay * random.uniform(0.75, 1.25))  # noqa: S311
