"""Clients of event streams that nobody here wrote, cut inside frames: every event once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.cutting import Cutter, cut_server, measure_event
from tests.clients.followers import Connect, follow, with_httpx2, with_httpx_sse
from tests.clients.odd_run import EVENTS, OddRun
from tests.clients.streams import Stream, streams_of
from tests.clients.wires_checker import fault, told_by
from tests.support.node import Script
from tests.support.server import Server
from tests.support.sse import Frame

EVERY = range(20, 61)  # frames
LATE_MS = 200  # many times what a client waits before it comes back

Follow = Callable[[list[Stream], Path], list[list[Frame]]]


class Client(NamedTuple):
    """How to read streams with a client, and what a cut must leave of a frame's end."""

    follow: Follow
    kept_back: int = 1


def by_script(name: str, streams: list[Stream], folder: Path) -> list[list[Frame]]:
    specs = [stream.spec for stream in streams]
    with Script(name, folder, streams=specs, longest_retry_ms=LATE_MS) as script:
        seen = script.result()
    assert seen["late"] == 0
    return [
        [Frame(event, text, int(number)) for event, text, number in one["frames"]]
        for one in seen["followed"]
    ]


def by_thread(connect: Connect, streams: list[Stream], _folder: Path) -> list[list[Frame]]:
    with ThreadPoolExecutor(len(streams)) as pool:
        return list(pool.map(partial(follow, connect), streams))


NPM = Client(partial(by_script, "follow_npm"))
# It takes an id for reached once it has read its line, not the event. In all that a server can
# write, there is one place where a cut then costs it an event: between these two newlines.
FETCH = Client(partial(by_script, "follow_fetch"), kept_back=2)
CHROMIUM = Client(partial(by_script, "follow_chromium"))
HTTPX2 = Client(partial(by_thread, with_httpx2))
HTTPX_SSE = Client(partial(by_thread, with_httpx_sse))

needs = pytest.mark.needs
CLIENTS = [
    pytest.param(NPM, id="eventsource", marks=needs("node", "eventsource")),
    pytest.param(FETCH, id="fetch-event-source", marks=needs("node", "fetch-event-source")),
    pytest.param(CHROMIUM, id="chromium", marks=needs("node", "playwright", "chromium")),
    pytest.param(HTTPX2, id="httpx2"),
    pytest.param(HTTPX_SSE, id="httpx-sse"),
]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Cutter]]:
    with cut_server(tmp_path_factory.mktemp("cut"), measure_event, EVERY) as (server, [cutter]):
        yield server, cutter


@pytest.mark.parametrize("reader", CLIENTS)
def test_a_client_that_is_cut_inside_frames_gets_every_event_once_on_every_wire(
    cut: tuple[Server, Cutter], tmp_path: Path, reader: Client
) -> None:
    server, cutter = cut
    cutter.cuts.clear()
    cutter.kept_back = reader.kept_back
    with server.client() as api:
        run = OddRun(api, tmp_path)
        streams = streams_of(run.id, cutter.port)
        followed = run.watch(lambda: reader.follow(streams, tmp_path), [cutter], len(streams))
        log = run.log()

    for stream, frames in zip(streams, followed, strict=True):
        assert fault(stream.wire, log, [told_by(frame) for frame in frames]) == "", stream.wire
    made = len(cutter.cuts)
    assert made >= len(streams) * EVENTS // EVERY.stop
    assert abs(sum(one.reset for one in cutter.cuts) - made / 2) <= made / 4
