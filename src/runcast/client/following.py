"""Following a stream over as many connections as it takes: what to ask, what came, when to return.

Nothing here opens a connection, waits or looks at a clock, so both clients follow alike.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from runcast.client.calls import MESSAGES, RUNS, process_path, run_path
from runcast.client.errors import ApiError, Gap, NoServer, not_runcast
from runcast.client.sse import SseEvent, SseParser
from runcast.client.types import StreamEvent

if TYPE_CHECKING:
    from runcast.client import specs

MEDIA_TYPE = "text/event-stream"
SILENCE_S = 45.0  # a server says something every 15 s, so three times nothing is a dead connection
_RETRY_S = 1.0  # until the server says otherwise
_LONGEST_RETRY_S = 15.0
_MESSAGE_FILTERS = ("project_id", "task_id", "run_id")
_DOUBLINGS = 16  # enough for any delay to reach the longest

# What stands between the fields of a frame, or two frames -> what would between those of JSON.
_BETWEEN = {
    b"\n\nevent: ": b'}\n{"event":"',
    b"\ndata: ": b'","data":',
    b"\nid: ": b',"id":',
}

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_lines = msgspec.json.Decoder(StreamEvent).decode_lines


class Following:
    """Where one reader of a stream is, and what to do next; it is `over` behind the last event.

    A driver connects with `path`, `params` and `headers`, tells what was answered by `opened`,
    gives every chunk to `feed`, and tells by `broke` that the connection is no more.
    """

    def __init__(
        self, path: str, params: Mapping[str, Any], ends: Collection[str], policy: specs.Policy
    ) -> None:
        self.path = path
        self.params = params
        self.over = False
        self.silence_s = policy.get("silence_s", SILENCE_S)
        self._ends = frozenset(ends)
        self._raises_gap = policy.get("gap") == "raise"
        self._attempts = _Attempts(policy.get("patience_s", float("inf")))
        self._parser = SseParser()

    @property
    def headers(self) -> dict[str, str]:
        """What the next request for the stream has to say."""
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        return headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})

    @property
    def last_id(self) -> str:
        """The cursor: the id of the last event that was given, an empty text before the first."""
        return self._parser.last_id

    def opened(self, status: int, media_type: str) -> None:
        """Begin a connection whose answer has not refused; raise ApiError if it is no stream."""
        self._parser = SseParser(self.last_id)
        if status == 204:
            self.over = True
        elif not media_type.startswith(MEDIA_TYPE):
            raise not_runcast(400)

    def feed(self, chunk: bytes) -> Iterator[list[StreamEvent]]:
        """Take the next bytes; yield the events that they complete, together and in order.

        Raises Gap behind the events that come before one, if that is the policy, and ApiError
        for what no runcast server sends. Bytes behind the last event are passed over.
        """
        events = self._events(chunk)
        self._attempts.succeeded(self._parser.retry_ms)
        if self._raises_gap:
            yield from _up_to_gap(events)
        elif events:
            yield events
        self.over = bool(events) and events[-1].event in self._ends

    def broke(self, problem: NoServer | ApiError | None, now: float) -> float:
        """Return how many seconds to wait before the next connection, or raise the problem.

        None is a stream that ended before its last event. `now` is in seconds, from anywhere.
        """
        if isinstance(problem, ApiError) and problem.status < 500:
            raise problem
        return self._attempts.failed(problem or NoServer("the server keeps hanging up"), now)

    def _events(self, chunk: bytes) -> list[StreamEvent]:
        blocks = self._parser.complete(chunk)
        if not blocks:
            return []
        events = read_bulk(blocks)
        if events:
            self._parser.last_id = str(events[-1].id)
            return events
        frames = self._parser.dispatch(blocks)
        return [_event(frame) for frame in frames if frame.event != "heartbeat"]


def of_run(
    run_id: str, after: int = 0, *, tail: int | None = None, **options: Unpack[specs.Options]
) -> Following:
    """Follow a run: its events after number `after`, or its last `tail`, each once, in order.

    Ends behind `end`, whose data has `deleted` if the run was removed meanwhile.
    """
    params = {"after": after} | ({} if tail is None else {"tail": tail}) | _filter(options)
    return Following(f"{run_path(run_id)}/stream", params, {"end"}, options)


def of_all(
    after: int | None = None, *, workspace: str | None = None, **options: Unpack[specs.Options]
) -> Following:
    """Follow every run, of one workspace or all: the events after position `after`, or from now on.

    It never ends. The ids are positions; `run_id` in the data tells the runs apart.
    """
    params = _cursor(after) | ({} if workspace is None else {"workspace": workspace})
    return Following(f"{RUNS}/stream/all", params | _filter(options), (), options)


def of_messages(after: int | None = None, **options: Unpack[specs.MessageOptions]) -> Following:
    """Follow the messages after number `after`, or from now on; it never ends.

    An event `message` can be read as a Message.
    """
    where = {name: value for name, value in options.items() if name in _MESSAGE_FILTERS}
    return Following(f"{MESSAGES}/stream", _cursor(after) | where, (), options)


def of_process(process_id: str, after: int = 0, **policy: Unpack[specs.Policy]) -> Following:
    """Follow a process: each `chunk` it has printed, its `status` at the end, then `done`."""
    return Following(f"{process_path(process_id)}/stream", {"after": after}, {"done"}, policy)


def read_bulk(blocks: bytes) -> list[StreamEvent] | None:
    """Read whole blocks at once, if all are such as our server writes them; else None.

    Within their data there is no line end, so what stands between two fields can be replaced:
    they become lines of JSON, which are decoded in one go, some times faster than one by one.
    """
    if not blocks.startswith(b"event: "):
        return None
    lines = blocks.removeprefix(b"event: ")
    for between, instead in _BETWEEN.items():
        # Twice as fast as `replace`, which counts first.
        lines = instead.join(lines.split(between))
    try:
        return _decode_lines(b'{"event":"' + lines + b"}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _event(frame: SseEvent) -> StreamEvent:
    try:
        return StreamEvent(frame.event, _decode(frame.data), int(frame.id))
    except (ValueError, msgspec.DecodeError):
        raise not_runcast(400) from None


def _up_to_gap(events: list[StreamEvent]) -> Iterator[list[StreamEvent]]:
    at = next((index for index, event in enumerate(events) if event.event == "gap"), len(events))
    if at:
        yield events[:at]
    if at < len(events):
        raise Gap(events[at].id, events[at].data)


def _cursor(after: int | None) -> dict[str, Any]:
    return {"after": "now" if after is None else after}


def _filter(options: specs.StreamFilter) -> dict[str, Any]:
    given = {name: options[name] for name in ("streams", "grep") if name in options}
    types = options.get("types")
    return given | ({"types": ",".join(types)} if types else {})


class _Attempts:
    """Paces reconnecting: doubling from what the server asked for, with jitter, up to a limit."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._retry_s = _RETRY_S
        self._failures = 0
        self._deadline: float | None = None

    def succeeded(self, retry_ms: int | None) -> None:
        self._failures = 0
        self._deadline = None
        if retry_ms is not None:
            self._retry_s = retry_ms / 1000

    def failed(self, problem: NoServer | ApiError, now: float) -> float:
        if self._deadline is None:
            self._deadline = now + self._patience_s
        if now >= self._deadline:
            raise problem
        delay: float = min(self._retry_s * 2**self._failures, _LONGEST_RETRY_S)
        self._failures = min(self._failures + 1, _DOUBLINGS)
        # All clients of a restarted server would otherwise come back in the same instant.
        return delay * random.uniform(0.75, 1.25)  # noqa: S311
