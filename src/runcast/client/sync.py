"""The client for threads: every operation of `calls`, sent and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Concatenate, ParamSpec, TypeVar

from runcast.client import calls, following
from runcast.client.call import Call, Pause, Steps
from runcast.client.contexts import Closing
from runcast.client.errors import BadRequest, ClientError
from runcast.client.following import Following
from runcast.client.sync_connections import Connections
from runcast.client.transport import DEFAULT_SERVER, as_method
from runcast.client.types import StreamEvent
from runcast.client.workspaces import UNKNOWN, AnyPath, Place, place_of

P = ParamSpec("P")
T = TypeVar("T")


def _asking(make: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """Make the method that sends the call which a function makes."""

    def ask(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.request(make(*args, **kwargs))

    return as_method(make, ask)


def _taking(make: Callable[P, Steps[T]]) -> Callable[Concatenate[Client, P], T]:
    """Make the method that sends the calls of an operation."""

    def take(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.take(make(*args, **kwargs))

    return as_method(make, take)


def _following(
    make: Callable[P, Following],
) -> Callable[Concatenate[Client, P], Generator[StreamEvent]]:
    """Make the method that yields the events of a stream."""

    def follow(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Generator[StreamEvent]:
        for events in self.pieces(make(*args, **kwargs)):
            yield from events

    return as_method(make, follow)


class Client(Closing):
    """Talks to the server at `base_url`; its methods may be called by several threads.

    With a `workspace`, a folder, what it makes belongs there: a server that does not know the
    folder is told of it, before the first item. What is not an http address raises ClientError
    `bad_address`. Every method raises ApiError if the server refuses and NoServer if nobody
    answers; ClientError `closed` once the client is closed. A forked process may go on with it.
    """

    def __init__(self, base_url: str = DEFAULT_SERVER, *, workspace: AnyPath | None = None) -> None:
        self._connections = Connections(base_url)
        self.base_url = base_url.rstrip("/")
        self.place = None if workspace is None else place_of(workspace)
        self._introduced = False

    def close(self) -> None:
        """Close the connections; threads that follow something get ClientError `closed`."""
        self._connections.close()

    def request(self, call: Call[T]) -> T:
        """Send a call and return its result; every other method does it by this one."""
        if self.place is None or not call.workspace:
            return self._send(call)
        self._introduce(self.place)
        try:
            return self._send(call.within(self.place.id))
        except BadRequest as error:
            if error.code != UNKNOWN:
                raise
        # It has lost what it was told, or is another server by now.
        self._introduced = False
        self._introduce(self.place)
        return self._send(call.within(self.place.id))

    def take(self, steps: Steps[T]) -> T:
        """Do the steps of an operation one after the other and return what it makes of them."""
        try:
            step = next(steps)
            while True:
                try:
                    result = self._do(step)
                except ClientError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            made: T = end.value
            return made

    def pieces(self, stream: Following) -> Generator[list[StreamEvent]]:
        """Follow a stream, yielding together what arrived together.

        The server is read only when the next piece is asked for: who pauses holds up nobody and
        has nothing buffered but what the network holds. A reader that writes elsewhere can flush
        once per piece: no more is at hand.
        """
        with closing(self._chunks(stream)) as chunks:
            for chunk in chunks:
                yield from stream.feed(chunk)
                if stream.over:
                    return

    start = _asking(calls.start)
    get = _asking(calls.get)
    wait = _taking(calls.wait)
    list = _taking(calls.list_runs)
    cancel = _asking(calls.cancel)
    delete = _asking(calls.delete)
    send = _asking(calls.send)
    approvals = _asking(calls.approvals)
    approve = _asking(calls.approve)
    events = _asking(calls.events)
    append = _asking(calls.append)
    output = _asking(calls.output)
    blob = _asking(calls.blob)
    prune = _asking(calls.prune)
    agents = _asking(calls.agents)
    tools = _asking(calls.tools)
    status = _asking(calls.status)
    search = _asking(calls.search)

    put_workspace = _asking(calls.put_workspace)
    workspaces = _asking(calls.workspaces)
    submit = _asking(calls.submit)
    update = _asking(calls.update)
    remove = _asking(calls.remove)
    get_process = _asking(calls.get_process)
    list_processes = _taking(calls.list_processes)
    clear = _asking(calls.clear)
    emit_output = _asking(calls.emit_output)
    cancel_process = _asking(calls.cancel_process)
    stats = _asking(calls.stats)

    post_message = _asking(calls.post_message)
    messages = _asking(calls.messages)
    post_envelopes = _asking(calls.post_envelopes)

    follow = _following(following.of_run)
    follow_all = _following(following.of_all)
    follow_messages = _following(following.of_messages)
    follow_process = _following(following.of_process)

    def _send(self, call: Call[T]) -> T:
        return call.result(self._connections.send(call))

    def _do(self, step: Call[T] | Pause) -> T | None:
        if isinstance(step, Pause):
            self._connections.pause(step.seconds)
            return None
        return self.request(step)

    def _introduce(self, place: Place) -> None:
        with self._connections.turn:
            if not self._introduced:
                self.take(place.introduction())
                self._introduced = True

    def _chunks(self, stream: Following) -> Generator[bytes]:
        """Yield the bytes of one connection after the other, until the stream is over."""
        while not stream.over:
            problem: ClientError | None = None
            try:
                if stream.origin is not None:
                    stream.begin(self._send(stream.origin))
                with self._connections.open(stream) as chunks:
                    yield from chunks
            except ClientError as failure:
                problem = failure
            if not stream.over:
                self._connections.pause(stream.broke(problem, time.monotonic()))
