"""WebSocket clients that nobody here wrote, cut inside frames and resumed: everything once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.clients.cutting import Cutter, cut_server, measure_message
from tests.clients.followers import Heard, follow_socket
from tests.clients.odd_run import EVENTS, OddRun
from tests.clients.streams import Socket, activity_socket, envelope_socket, native_socket
from tests.clients.wires_checker import Told, fault
from tests.support.node import Script
from tests.support.server import Server

EVERY = range(20, 61)  # messages
JOINED_EVERY = range(2, 5)  # where one is of many events

# Takes the sockets, the address of the run's events, and a folder.
Follow = Callable[[list[Socket], str, Path], list[Heard]]


def by_script(name: str, sockets: list[Socket], events_url: str, folder: Path) -> list[Heard]:
    specs = [socket.spec for socket in sockets]
    with Script(name, folder, sockets=specs, events_url=events_url) as script:
        return [Heard(**heard) for heard in script.result()]


def by_thread(sockets: list[Socket], events_url: str, _folder: Path) -> list[Heard]:
    position_of = partial(look_up_position, events_url)
    with ThreadPoolExecutor(len(sockets)) as pool:
        return list(pool.map(partial(follow_socket, position_of=position_of), sockets))


def look_up_position(events_url: str, seq: int) -> int:
    answer = httpx2.get(events_url, params={"after": seq - 1, "limit": 1}, trust_env=False)
    return int(answer.json()["events"][0]["position"])


needs = pytest.mark.needs
CLIENTS = [
    pytest.param(partial(by_script, "sockets_ws"), id="ws", marks=needs("node", "ws")),
    pytest.param(
        partial(by_script, "sockets_chromium"),
        id="chromium",
        marks=needs("node", "playwright", "chromium"),
    ),
    pytest.param(by_thread, id="websockets"),
]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[Cutter]]]:
    folder = tmp_path_factory.mktemp("cut")
    with cut_server(folder, measure_message, EVERY, JOINED_EVERY) as both:
        yield both


@pytest.mark.parametrize("follow", CLIENTS)
def test_a_socket_that_is_cut_inside_frames_and_resumed_gets_everything_once(
    cut: tuple[Server, list[Cutter]], tmp_path: Path, follow: Follow
) -> None:
    server, cutters = cut
    each_alone, joined = cutters
    with server.client() as api:
        run = OddRun(api, tmp_path)
        sockets = [
            envelope_socket(run.id, each_alone.port),
            native_socket(run.id, each_alone.port),
            activity_socket(run.id, joined.port),
        ]
        events_url = f"{server.url}/api/v1/runs/{run.id}/events"
        followed = run.watch(lambda: follow(sockets, events_url, tmp_path), cutters, len(sockets))
        log = run.log()

    for socket, heard in zip(sockets, followed, strict=True):
        told = [Told("message", message) for message in heard.messages]
        assert fault(socket.wire, log, told) == "", socket.wire
    assert min(heard.cuts for heard in followed[:-1]) >= EVENTS // EVERY.stop
    assert followed[-1].cuts >= 1
