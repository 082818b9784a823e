"""Clients of Python packages, with the loops around them that their documentation shows."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple

import httpx2
from websockets.exceptions import ConnectionClosed, InvalidMessage
from websockets.sync.client import ClientConnection, connect

from tests.clients.streams import Socket, Stream
from tests.support.sse import Frame

# httpx-sse asks for httpx; this is how an application that has httpx2 gives it that instead.
httpx2.alias_httpx()
import httpx_sse  # noqa: E402

CONFIRMED = "subscription_confirmed"
WAIT_S = 20

ServerSentEvent = httpx2.ServerSentEvent | httpx_sse.ServerSentEvent
# Reads one connection: its client, the address, the headers.
Connect = Callable[[httpx2.Client, str, dict[str, str]], Generator[ServerSentEvent]]


class Ended(Exception):
    """The server has answered that there is nothing more."""


def with_httpx2(
    client: httpx2.Client, url: str, headers: dict[str, str]
) -> Generator[ServerSentEvent]:
    """Read with what httpx2 has itself."""
    with client.sse(url, headers=headers) as source:
        _check(source.response)
        yield from source


def with_httpx_sse(
    client: httpx2.Client, url: str, headers: dict[str, str]
) -> Generator[ServerSentEvent]:
    """Read with httpx-sse."""
    with httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
        _check(source.response)
        yield from source.iter_sse()


def _check(response: httpx2.Response) -> None:
    if response.status_code == 204:
        raise Ended


def follow(connect: Connect, stream: Stream) -> list[Frame]:
    """Read a stream to its end, coming back with the last id as often as it breaks."""
    frames: list[Frame] = []
    last_id, delay_s = "", 0.0
    with httpx2.Client(trust_env=False, timeout=WAIT_S) as client:
        while stream.closes or not (frames and stream.last in frames[-1].text):
            headers = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with closing(connect(client, stream.url, headers)) as events:
                    for event in events:
                        last_id = event.id
                        delay_s = delay_s if event.retry is None else event.retry / 1000
                        frames.append(Frame(event.event, event.data, int(last_id)))
                        if stream.last in event.data and not stream.closes:
                            break
            except Ended:
                break
            except httpx2.TransportError:
                time.sleep(delay_s)
    return frames


class Heard(NamedTuple):
    """What a socket told in all its connections, and how often it was cut."""

    messages: list[Any]
    cuts: int


def follow_socket(socket: Socket, position_of: Callable[[int], int]) -> Heard:
    """Read a socket to its last message with websockets, subscribing anew after each cut."""
    messages: list[Any] = []
    cuts = 0
    while True:
        after = _behind(messages[-1], position_of) if messages else 0
        try:
            with connect(socket.url, proxy=None) as connection:
                connection.send(json.dumps({**socket.subscribe, "after": after}))
                _read(connection, socket.last, messages)
                return Heard(messages, cuts)
        except (ConnectionClosed, InvalidMessage, OSError):
            cuts += 1


def _read(connection: ClientConnection, last: str, messages: list[Any]) -> None:
    text = ""
    while last not in text:
        text = str(connection.recv(WAIT_S))
        message = json.loads(text)
        if message["type"] != CONFIRMED:
            messages.append(message)


def _behind(message: Any, position_of: Callable[[int], int]) -> int:
    position = message.get("position")
    return position_of(message["sequenceNumber"]) if position is None else int(position)
