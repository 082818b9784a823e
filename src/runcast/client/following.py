"""Following a stream over as many connections as it takes: what to ask, what came, when to return.

Nothing here opens a connection, waits or looks at a clock, so both clients follow alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from runcast.client.backoff import Backoff
from runcast.client.call import Answer, Call, whole
from runcast.client.calls import MESSAGES, RUNS, process_path, run_path
from runcast.client.errors import ApiError, ClientError, Gap, NoServer, not_runcast
from runcast.client.sse import SseEvent, SseParser
from runcast.client.types import StreamEvent

if TYPE_CHECKING:
    from runcast.client import specs

MEDIA_TYPE = "text/event-stream"
SILENCE_S = 45.0  # a server says something every 15 s, so three times nothing is a dead connection
_MESSAGE_FILTERS = ("project_id", "task_id", "run_id")

# What stands between the fields of a frame, or two frames -> what would between those of JSON.
_BETWEEN = {
    b"\n\nevent: ": b'}\n{"event":"',
    b"\ndata: ": b'","data":',
    b"\nid: ": b',"id":',
}


class _Positions(msgspec.Struct):
    head: int


class _Standing(msgspec.Struct):
    positions: _Positions


class _Page(msgspec.Struct):
    next_after: int


def _head(answer: Answer) -> int:
    return whole(_Standing)(answer).positions.head


def _last_message(answer: Answer) -> int:
    return whole(_Page)(answer).next_after


# What asks where streams are that begin now.
_HEAD = Call(method="GET", path="/api/v1/status", read=_head)
_LAST_MESSAGE = Call(method="GET", path=MESSAGES, params={"after": "now"}, read=_last_message)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_lines = msgspec.json.Decoder(StreamEvent).decode_lines


class Following:
    """Where one reader of a stream is, and what to do next; it is `over` behind the last event.

    A driver asks `origin`, if there is one, and says it by `begin`. It connects with `path`,
    `params` and `headers`, tells what was answered by `opened`, gives every chunk to `feed`, and
    tells by `broke` that the connection is no more.
    """

    def __init__(
        self,
        path: str,
        params: Mapping[str, Any],
        ends: Collection[str],
        policy: specs.Policy,
        origin: Call[int] | None = None,
    ) -> None:
        """Follow a stream up to one of the events that end it; `origin` asks where it begins.

        A stream that begins now has no cursor until its first event. Cut before, it would begin
        anew at a later now, and nobody would know what it missed.
        """
        self.path = path
        self.params = params
        self.origin = origin
        self.over = False
        self.silence_s = policy.get("silence_s", SILENCE_S)
        self._ends = frozenset(ends)
        self._raises_gap = policy.get("gap") == "raise"
        self._patience_s = policy.get("patience_s", float("inf"))
        self._deadline: float | None = None
        self._backoff = Backoff()
        self._once_open = False
        self._parser = SseParser()

    @property
    def headers(self) -> dict[str, str]:
        """What the next request for the stream has to say."""
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "identity"}
        return headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})

    @property
    def last_id(self) -> str:
        """The cursor: the id of the last event that was given, or what the server said instead.

        It is empty as long as neither has come.
        """
        return self._parser.last_id

    def begin(self, cursor: int) -> None:
        """Begin behind a cursor, which is where `origin` says that the stream is now."""
        self.params = {**self.params, "after": cursor}
        self.origin = None

    def opened(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin a connection whose answer has not refused.

        Raises ApiError if it is no stream, and ClientError `compressed` if it is one that cannot
        be read as it arrives.
        """
        self._parser = SseParser(self.last_id)
        if status == HTTPStatus.NO_CONTENT:
            self.over = True
        elif not headers.get("content-type", "").startswith(MEDIA_TYPE):
            raise not_runcast(status)
        elif (coding := headers.get("content-encoding", "identity")) != "identity":
            raise ClientError(
                "compressed", f"something on the way to the server compresses streams: {coding}"
            )
        else:
            self._once_open = True

    def feed(self, chunk: bytes) -> Iterator[list[StreamEvent]]:
        """Take the next bytes; yield the events that they complete, together and in order.

        Behind the events that come before them, raises Gap for one, if that is the policy, and
        ApiError for what no runcast server sends. What follows the last event is passed over.
        """
        blocks = self._parser.complete(chunk)
        if not blocks:
            return
        events, problem = self._events(blocks)
        if self._parser.retry_ms is not None:
            self._backoff.first_s = self._parser.retry_ms / 1000
        if self._raises_gap:
            yield from _up_to_gap(events)
        elif events:
            yield events
        self.over = bool(events) and events[-1].event in self._ends
        if problem is not None and not self.over:
            raise problem

    def broke(self, problem: ClientError | None, now: float) -> float:
        """Return how many seconds to wait before the next connection, or raise the problem.

        None is a stream that ended before its last event. `now` is in seconds, from anywhere.
        """
        if problem is not None and not self._may_pass(problem):
            raise problem
        if self._deadline is None:
            self._deadline = now + self._patience_s
        if now >= self._deadline:
            raise problem or NoServer("the server keeps hanging up")
        return self._backoff.failed()

    def _may_pass(self, problem: ClientError) -> bool:
        if not self._once_open and isinstance(problem, ApiError):
            # What was never there may be at another address, and what is full may stay full.
            return problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return problem.retryable

    def _events(self, blocks: bytes) -> tuple[list[StreamEvent], ApiError | None]:
        """Read whole blocks; return their events, up to the first that cannot be one, and why."""
        if events := read_bulk(blocks):
            self._parser.last_id = str(events[-1].id)
            self._succeeded()
            return events, None
        events, last_id = [], self.last_id
        for frame in self._parser.dispatch(blocks):
            if frame.event != "heartbeat":
                try:
                    events.append(_event(frame))
                except ApiError as problem:
                    self._parser.last_id = last_id
                    return events, problem
            # A comment would not do: whatever it is that hangs up may say one.
            self._succeeded()
            last_id = frame.id
        return events, None

    def _succeeded(self) -> None:
        self._deadline = None
        self._backoff.succeeded()


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
    origin = _HEAD if after is None else None
    return Following(f"{RUNS}/stream/all", params | _filter(options), (), options, origin)


def of_messages(after: int | None = None, **options: Unpack[specs.MessageOptions]) -> Following:
    """Follow the messages after number `after`, or from now on; it never ends.

    An event `message` can be read as a Message.
    """
    where = {name: value for name, value in options.items() if name in _MESSAGE_FILTERS}
    origin = _LAST_MESSAGE if after is None else None
    return Following(f"{MESSAGES}/stream", _cursor(after) | where, (), options, origin)


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
    except ValueError:
        raise not_runcast(HTTPStatus.OK) from None


def _up_to_gap(events: list[StreamEvent]) -> Iterator[list[StreamEvent]]:
    at = next((index for index, event in enumerate(events) if event.event == "gap"), len(events))
    if at:
        yield events[:at]
    if at < len(events):
        raise Gap(events[at].id, events[at].data)


def _cursor(after: int | None) -> dict[str, Any]:
    return {} if after is None else {"after": after}


def _filter(options: specs.StreamFilter) -> dict[str, Any]:
    given = {name: options[name] for name in ("streams", "grep") if name in options}
    types = options.get("types")
    return given | ({"types": ",".join(types)} if types else {})
