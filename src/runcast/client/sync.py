"""The client for threads: every operation of `calls`, sent and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

import httpx2

from runcast.client import calls, following, workspaces
from runcast.client.call import Call, Steps
from runcast.client.errors import ApiError, NoServer
from runcast.client.following import Following
from runcast.client.refusals import refusal
from runcast.client.transport import (
    DEFAULT_SERVER,
    like,
    reaching,
    request_of,
    settings,
    stream_of,
)
from runcast.client.types import StreamEvent

P = ParamSpec("P")
T = TypeVar("T")


class _Asking(Generic[P, T]):
    """A method that sends the call which a function makes, and has its parameters and text."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self._make = make

    def __get__(self, client: Client, owner: type) -> Callable[P, T]:
        def ask(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.request(self._make(*args, **kwargs))

        return like(self._make, ask)


class _Taking(Generic[P, T]):
    """A method that sends the calls of an operation."""

    def __init__(self, make: Callable[P, Steps[T]]) -> None:
        self._make = make

    def __get__(self, client: Client, owner: type) -> Callable[P, T]:
        def take(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.take(self._make(*args, **kwargs))

        return like(self._make, take)


class _Following(Generic[P]):
    """A method that yields the events of a stream."""

    def __init__(self, make: Callable[P, Following]) -> None:
        self._make = make

    def __get__(self, client: Client, owner: type) -> Callable[P, Generator[StreamEvent]]:
        def follow(*args: P.args, **kwargs: P.kwargs) -> Generator[StreamEvent]:
            for events in client.pieces(self._make(*args, **kwargs)):
                yield from events

        return like(self._make, follow)


class Client:
    """Talks to the server at `base_url`; its methods may be called by several threads.

    With a `workspace`, a folder, what it makes belongs there: the server is told of the folder
    once, before the first item. What is not an http address raises ClientError `bad_address`.
    Every method raises ApiError if the server refuses and NoServer if nobody answers.
    """

    def __init__(
        self, base_url: str = DEFAULT_SERVER, *, workspace: workspaces.AnyPath | None = None
    ) -> None:
        self._http = httpx2.Client(**settings(base_url))
        self.base_url = base_url.rstrip("/")
        self.place = None if workspace is None else workspaces.place_of(workspace)
        self._registered = False
        self._registering = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, call: Call[T]) -> T:
        """Send a call and return its result; every other method does it by this one."""
        if self.place is None or not call.workspace:
            return self._send(call)
        with self._registering:
            if not self._registered:
                self._send(self.place.registration())
                self._registered = True
        return self._send(call.within(self.place.id))

    def take(self, steps: Steps[T]) -> T:
        """Send the calls of an operation one after the other and return what it makes of them."""
        try:
            call = next(steps)
            while True:
                call = steps.send(self.request(call))
        except StopIteration as end:
            result: T = end.value
            return result

    def pieces(self, stream: Following) -> Generator[list[StreamEvent]]:
        """Follow a stream, yielding together what arrived together.

        The server is read only when the next piece is asked for: who pauses holds up nobody and
        has nothing buffered but what the network holds. A reader that writes elsewhere can flush
        once per piece: no more is at hand.
        """
        while not stream.over:
            problem: ApiError | NoServer | None = None
            try:
                with self._open(stream) as chunks:
                    for chunk in chunks:
                        yield from stream.feed(chunk)
                        if stream.over:
                            return
            except (ApiError, NoServer) as failure:
                problem = failure
            if not stream.over:
                time.sleep(stream.broke(problem, time.monotonic()))

    start = _Asking(calls.start)
    get = _Asking(calls.get)
    wait = _Taking(calls.wait)
    list = _Taking(calls.list_runs)
    cancel = _Asking(calls.cancel)
    delete = _Asking(calls.delete)
    send = _Asking(calls.send)
    approvals = _Asking(calls.approvals)
    approve = _Asking(calls.approve)
    events = _Asking(calls.events)
    append = _Asking(calls.append)
    output = _Asking(calls.output)
    blob = _Asking(calls.blob)
    prune = _Asking(calls.prune)
    agents = _Asking(calls.agents)
    tools = _Asking(calls.tools)
    status = _Asking(calls.status)
    search = _Asking(calls.search)

    put_workspace = _Asking(calls.put_workspace)
    workspaces = _Asking(calls.workspaces)
    submit = _Asking(calls.submit)
    update = _Asking(calls.update)
    remove = _Asking(calls.remove)
    get_process = _Asking(calls.get_process)
    list_processes = _Taking(calls.list_processes)
    clear = _Asking(calls.clear)
    emit_output = _Asking(calls.emit_output)
    cancel_process = _Asking(calls.cancel_process)
    stats = _Asking(calls.stats)

    post_message = _Asking(calls.post_message)
    messages = _Asking(calls.messages)
    post = _Asking(calls.post)

    follow = _Following(following.of_run)
    follow_all = _Following(following.of_all)
    follow_messages = _Following(following.of_messages)
    follow_process = _Following(following.of_process)

    def _send(self, call: Call[T]) -> T:
        with reaching(self.base_url):
            answer = self._http.request(**request_of(call))
        return call.result(answer.status_code, answer.content)

    @contextmanager
    def _open(self, stream: Following) -> Iterator[Iterator[bytes]]:
        with reaching(self.base_url), self._http.stream(**stream_of(stream)) as answer:
            if answer.is_error:
                raise refusal(answer.status_code, answer.read())
            stream.opened(answer.status_code, answer.headers.get("content-type", ""))
            yield answer.iter_raw()
