"""Event streams over HTTP: one pump per client, shared bytes, one heartbeat timer for all."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runcast.config import Sse
from runcast.core.errors import TooMany
from runcast.core.events import Batch
from runcast.runtime.follow import Follower
from runcast.runtime.runtime import Runtime
from runcast.web.guard import LASTING
from runcast.web.live import Chorus, Part
from runcast.web.protocol import DIRECT, Direct, chunk
from runcast.wires import Wire

SEND_BYTES = 65_536  # what one client can have in flight beside its socket buffer
SHARED_ENCODINGS = 4  # per batch; every different filter would be one more in memory
TICKS = 8  # looks at the idle streams per interval of the most talkative

_HEADERS = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class Pace(NamedTuple):
    """Seconds after which an idle stream says that it lives: by a heartbeat, by a comment."""

    heartbeat_s: float
    comment_s: float = inf


class Streams:
    """The open streams of a server: counted per run, and kept alive by one timer."""

    def __init__(self, settings: Sse) -> None:
        self._settings = settings
        self._open: set[EventStream] = set()
        self._per_run: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count the open streams."""
        return len(self._open)

    def __iter__(self) -> Iterator["EventStream"]:
        """Yield the open streams."""
        return iter(self._open)

    def reserve(self, run_id: str) -> None:
        """Take one of the run's places, to be given back by `release`; raise TooMany."""
        limit = self._settings.max_clients_per_run
        if self._per_run[run_id] >= limit:
            raise TooMany("too_many_clients", f"run {run_id} already has {limit} streams")
        self._per_run[run_id] += 1

    @contextmanager
    def reserved(self, run_id: str) -> Iterator[None]:
        """Reserve a place for what is opened inside; give it back if that fails."""
        self.reserve(run_id)
        try:
            yield
        except BaseException:
            self.release(run_id)
            raise

    def release(self, run_id: str) -> None:
        """Give a place back."""
        self._per_run[run_id] -= 1
        if not self._per_run[run_id]:
            del self._per_run[run_id]

    def enter(self, stream: "EventStream") -> None:
        """Count a stream and begin to keep it alive."""
        self._open.add(stream)
        if self._timer is None:
            self._tick()

    def leave(self, stream: "EventStream") -> None:
        """Forget a stream."""
        self._open.discard(stream)
        if stream.run_id is not None:
            self.release(stream.run_id)

    def _tick(self) -> None:
        self._timer = None
        if not self._open:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for stream in self._open:
            stream.keep_alive(now)
        pause = min(min(stream.pace) for stream in self._open)
        self._timer = loop.call_later(pause / TICKS, self._tick)


class EventStream(Response):
    """Sends what a follower reads, as a wire writes it, until the log or the client ends.

    Ends at a frame boundary when the server drains, without the closing frame, so that the
    client comes back. A client that does not read holds up nobody: the pump waits with at most
    SEND_BYTES of its own.
    """

    def __init__(
        self,
        runtime: Runtime,
        streams: Streams,
        follower: Follower,
        wire: Wire,
        run_id: str | None,
        opening: tuple[bytes, int] = (b"", 0),
        pace: Pace | None = None,
    ) -> None:
        """Take a first frame, if any, with the floor that it tells of.

        Without a pace of its own the stream keeps that of `api.sse`.
        """
        sse = runtime.settings.api.sse
        self.run_id = run_id
        self.pace = pace or Pace(sse.heartbeat_interval_s, sse.comment_interval_s)
        self.background = None
        self._runtime = runtime
        self._streams = streams
        self._follower = follower
        self._wire = wire
        self._opening, self._told = opening
        self._gone = False
        self._fresh = True
        self._comment_at = 0.0
        self._heartbeat_at = 0.0
        self._due = b""
        self._direct: Direct | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream to its end, from outside of all layers if that can be."""
        lasting = scope.get(LASTING)
        if lasting is None:
            await self.last(scope, receive, send)
        else:
            lasting.append(self)

    async def last(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream to its end."""
        self._direct = scope.get("extensions", {}).get(DIRECT)
        self._heartbeat_at = self._comment_at = asyncio.get_running_loop().time()
        self._streams.enter(self)
        try:
            if self._direct is None:
                await self._run_watched(receive, send)
            else:
                self._direct.when_lost(self._lost)
                await self._run(send)
        finally:
            self._streams.leave(self)
            self._follower.close()

    async def _run_watched(self, receive: Receive, send: Send) -> None:
        """Run beside a task that waits for the client to leave, even while nothing is sent."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(send))
            while (await receive())["type"] != "http.disconnect":
                pass  # it also comes once all is sent
            self._lost()

    def _lost(self) -> None:
        self._gone = True
        self._follower.nudge()

    def keep_alive(self, now: float) -> None:
        """Have a heartbeat sent if one is due; what is sent anyway counts as a comment."""
        if now - self._heartbeat_at >= self.pace.heartbeat_s:
            self._heartbeat_at = self._comment_at = now
            self._due = self._wire.heartbeat()
        elif now - self._comment_at >= self.pace.comment_s:
            self._comment_at = now
            self._due = self._wire.comment()
        else:
            return
        self._follower.nudge()

    @property
    def _over(self) -> bool:
        return self._gone or self._runtime.draining

    def _turn_to(self, follower: Follower) -> None:
        """Read by another follower from now on."""
        self._follower.close()
        self._follower = follower

    async def _run(self, send: Send) -> None:
        headers = [(b"content-type", self._wire.media_type.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # An empty body makes the server flush the headers now.
        await self._send(send, [self._opening])
        await self._pump(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        while not self._over:
            if (chorus := self._chorus()) is not None:
                await chorus.sing(self._follower)
            elif not await self._send_next(send):
                return
            await self._send_due(send)

    def _chorus(self) -> Chorus | None:
        """Join those to whom what comes is sent together, if that can be."""
        if self._direct is None or self._fresh:
            return None
        # Bound to no stream: a part may be sung on when the one that began it has gone.
        encode = partial(_chunk, self._wire, self._follower.first)
        chorus = Chorus.of(self._follower.track, Part(self._wire.key, SEND_BYTES, encode))
        if not chorus.takes(self._follower, self._direct):
            return None
        chorus.join(self._follower, self._direct, self._follower.nudge)
        return chorus

    async def _send_next(self, send: Send) -> bool:
        """Send what comes next; tell whether more may come."""
        follower = self._follower
        after = follower.cursor
        batches = await follower.take()
        if batches:
            parts = _encode(self._wire, follower.first, batches, after)
            if after < follower.floor and follower.floor > self._told:
                parts.insert(0, self._gap(after, batches[0]))
            await self._send(send, parts)
        elif follower.at_end:
            await self._close(send)
            return False
        return True

    def _gap(self, after: int, batch: Batch) -> bytes:
        """Say once of each removal that it took something the client had not seen yet."""
        self._told = self._follower.floor
        first = max(self._follower.first(batch), after + 1)
        return self._wire.gap(after, first, "retention")

    async def _close(self, send: Send) -> None:
        if self.run_id is not None:
            track = self._follower.track
            frame = self._wire.closing(self.run_id, track.head, deleted=track.deleted)
            await self._send(send, [frame])

    async def _send_due(self, send: Send) -> None:
        if self._due and not self._follower.at_end:
            due, self._due = self._due, b""
            await send({"type": "http.response.body", "body": due, "more_body": True})

    async def _send(self, send: Send, parts: list[bytes]) -> None:
        if self._fresh and any(parts):
            self._fresh = False
            retry_ms = self._runtime.settings.api.sse.retry_ms
            # Up to as much again, so that clients do not return as one.
            parts[0] = self._wire.first(parts[0], retry_ms + secrets.randbelow(retry_ms + 1))
        for piece in _pieces(parts):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


def _encode(
    wire: Wire, first: Callable[[Batch], int], batches: Iterable[Batch], after: int
) -> list[bytes]:
    """Encode what is new; a batch wanted whole is encoded once for all its followers.

    `first` tells the number of a batch's first event, as `after` counts them.
    """
    parts = []
    for batch in batches:
        if first(batch) <= after:
            parts.append(wire.events(batch, after))
            continue
        encoded = batch.memo.get(wire.key)
        if encoded is None:
            encoded = wire.events(batch, after)
            if wire.key is not None and len(batch.memo) < SHARED_ENCODINGS:
                batch.memo[wire.key] = encoded
        parts.append(encoded)
    return parts


def _chunk(
    wire: Wire, first: Callable[[Batch], int], batches: Iterable[Batch], after: int
) -> bytes:
    return chunk(b"".join(_encode(wire, first, batches, after)))


def _pieces(parts: list[bytes]) -> Iterator[bytes | memoryview]:
    """Cut and join parts into pieces of SEND_BYTES at most.

    What a client that does not read holds back is then one piece of its own; the rest it shares.
    """
    small: list[bytes] = []
    size = 0
    for part in parts:
        if small and size + len(part) > SEND_BYTES:
            yield b"".join(small)
            small, size = [], 0
        if len(part) <= SEND_BYTES:
            small.append(part)
            size += len(part)
        else:
            view = memoryview(part)
            yield from (view[at : at + SEND_BYTES] for at in range(0, len(view), SEND_BYTES))
    if small:
        yield small[0] if len(small) == 1 else b"".join(small)


class DrainingNotice(Response):
    """What a client gets that asks for a stream while the server stops: it will come back."""

    def __init__(self, media_type: str) -> None:
        super().__init__(b": draining\n", headers={"Cache-Control": "no-cache, no-transform"})
        self.headers["Content-Type"] = media_type
