"""One WebSocket: what its client says is answered in order, what it follows is read at its pace."""

import asyncio
from collections.abc import Iterable
from itertools import chain
from typing import Any, NoReturn, Protocol

import msgspec
from starlette.types import Message, Receive, Scope, Send

from runcast.core.errors import BadRequest, Gone, RuncastError, Unavailable
from runcast.runtime.runtime import Runtime
from runcast.stores import Selection
from runcast.web.sockets.frames import frame, texts_of
from runcast.web.sockets.page import Packing, Separate, Written, slices
from runcast.web.sockets.protocol import FRAMES
from runcast.web.sockets.singer import Singer
from runcast.web.sockets.subscriptions import Subscriptions, Target
from runcast.web.sockets.voices import Voice
from runcast.web.sse import SEND_BYTES, Streams
from runcast.web.throttle import Throttle
from runcast.wires.jsontext import dumps

INTERNAL_ERROR = 1011  # RFC 6455 section 7.4.1

_decode = msgspec.json.Decoder().decode


class Surface(Protocol):
    """What the clients of one path can say.

    `watches` is what a client counts as a follower of from the beginning, None for nothing.
    """

    watches: Selection | None

    async def open(self) -> None:
        """Do what comes before the client's first word; it has not been answered yet."""

    async def hear(self, message: dict[str, Any]) -> None:
        """Do what a message asks; raise BadRequest and others, which the client is told."""


class Connection:
    """A WebSocket with any number of subscriptions.

    One task hears the client, one reads the logs for it and speaks. Neither queues anything: a
    client that does not read is read for less often, and holds what one read gave at most.

    What one read gave is sent in the order of positions. A replay takes many reads, in which every
    subscription comes as far as it comes: positions then go up for each, not over all of them.
    """

    def __init__(self, runtime: Runtime, streams: Streams, written: Written) -> None:
        self._awake = asyncio.Event()
        self.throttle = Throttle(self._awake.set)
        self.packing: Packing = Separate()
        self.runtime = runtime
        self._written = written
        self._subscriptions = Subscriptions(runtime.logs, streams, self.throttle.wake)
        self._turn = asyncio.Lock()  # an answer never lands in the middle of what a read gave

    async def run(self, surface: Surface, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the client until it goes, or the server stops."""
        if self.runtime.draining:
            raise Unavailable("draining", "the server is stopping; connect again in a moment")
        self._send = send
        outlet = scope["extensions"].get(FRAMES)
        self._write = self._write_texts if outlet is None else self._write_frames
        self._singer = Singer(outlet, self._subscriptions, self.throttle, self._written)
        await receive()  # the handshake
        try:
            with self.runtime.logs.interested(surface.watches):
                await surface.open()
                await send({"type": "websocket.accept"})
                await self._converse(surface, receive)
        finally:
            self._singer.leave()
            self.throttle.stop()
            self._subscriptions.clear()

    async def subscribe(
        self, target: Target, voice: Voice, after: int | None, confirmation: dict[str, Any] | None
    ) -> None:
        """Send a target's events behind a position, or from now on; first the confirmation.

        Who is subscribed to it already goes on in this voice; with a position, from there. Raises
        Gone or TooMany.
        """
        head = (await self.runtime.store.positions()).head
        if after is not None and after > head:
            raise Gone("cursor_ahead", f"the newest event is {head}", {"last": head})
        subscription = self._subscriptions.get(target)
        if subscription is None:
            subscription = self._subscriptions.add(target, voice, head if after is None else after)
        else:
            subscription.speak(voice)
            if after is not None:
                self._subscriptions.resume(subscription, after)
        if confirmation is not None:
            await self.say(confirmation)
        self._subscriptions.start(subscription)

    def unsubscribe(self, target: Target) -> None:
        """Send nothing more of a target."""
        self._subscriptions.remove(target)

    async def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self._send({"type": "websocket.send", "text": dumps(message)})

    async def _converse(self, surface: Surface, receive: Receive) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                speaking = group.create_task(self._speak())
                while (message := await receive())["type"] == "websocket.receive":
                    async with self._turn:
                        await self._hear(surface, message)
                speaking.cancel()
        except* OSError:
            pass  # the client is gone
        except* RuncastError:
            await self._send({"type": "websocket.close", "code": INTERNAL_ERROR})

    async def _hear(self, surface: Surface, message: Message) -> None:
        self._singer.leave()  # what is heard may change what it wants
        try:
            await surface.hear(_read(message.get("text")))
        except RuncastError as error:
            told = {"type": "error", "code": error.code, "message": error.message}
            await self.say(told if error.details is None else told | {"details": error.details})

    async def _speak(self) -> NoReturn:
        while True:
            await self._awake.wait()
            self._awake.clear()
            self.throttle.begin()
            if not await self._send_pages():
                self.throttle.forgive()
            async with self._turn:
                self._singer.join(self.packing)

    async def _send_pages(self) -> bool:
        """Read until nothing is left and send what that gave; tell whether it was anything."""
        spoke, more = False, True
        while more:
            async with self._turn:
                spoke = await self._send_page() or spoke
            if more := self._subscriptions.more:
                await asyncio.sleep(0)  # everybody gets a page before anybody gets the next
        return spoke

    async def _send_page(self) -> bool:
        """Read once and send what that gave; tell whether it was anything."""
        taken = await self._subscriptions.take()
        gaps = [frame(dumps(one.gap)) for one in taken if one.gap is not None]
        found = slices(taken, self._subscriptions)
        spoke = await self._send_all(chain(gaps, self.packing.write(found, self._written)))
        for one in taken:
            one.subscription.advance()
        return spoke

    async def _send_all(self, written: Iterable[bytes]) -> bool:
        """Send parts as they are written, small ones together; each is whole messages."""
        parts: list[bytes] = []
        size = 0
        spoke = False
        for part in written:
            parts.append(part)
            size += len(part)
            if size >= SEND_BYTES:
                await self._write(parts)
                parts, size, spoke = [], 0, True
        if size:
            await self._write(parts)
        return spoke or bool(size)

    async def _write_frames(self, parts: list[bytes]) -> None:
        joined = parts[0] if len(parts) == 1 else b"".join(parts)
        await self._send({"type": FRAMES, "frames": joined})

    async def _write_texts(self, parts: list[bytes]) -> None:
        for part in parts:
            for text in texts_of(part):
                await self._send({"type": "websocket.send", "text": text})


def _read(text: str | None) -> dict[str, Any]:
    if text is None:
        raise BadRequest("bad_request", "messages are JSON texts, not binary")
    try:
        message = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("bad_request", f"this is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadRequest("bad_request", "a message is a JSON object")
    return message
