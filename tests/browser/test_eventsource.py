"""EventSource as others wrote it, cut again and again: every event once, in order, then the end."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast.core.events import EVENT_TYPES
from tests.support.net import Cut, Proxy
from tests.support.node import Script
from tests.support.runs import child, submit
from tests.support.server import Server
from tests.support.sse import Frame, printed, read_stream, stream_path

CUTS = 24
HEADERS_BYTES = 600  # more than the headers of an answer take
# In the first frames; behind the head as a client returns, and beyond it.
CUT_BELOW = (2_000, 120_000)
RETRY_MS = 50
NAMES = [
    "message",
    "log",
    "end",
    *(name for name in EVENT_TYPES if name not in ("message", "error")),
]

# Script -> how many clients it runs; a browser opens no more than six connections to one host.
CLIENTS = [
    pytest.param("follow_npm", 10, marks=pytest.mark.needs("node", "eventsource"), id="npm"),
    pytest.param(
        "follow_chromium",
        5,
        marks=pytest.mark.needs("node", "playwright", "chromium"),
        id="chromium",
    ),
]


@pytest.fixture
def proxy(data_dir: Path) -> Iterator[tuple[Server, Proxy]]:
    """A server, and the proxy before it that it knows by name."""
    server = Server(data_dir)
    with Proxy(server.port) as proxy, contextlib.closing(server):
        server.env["RUNCAST__AUTH__ALLOWED_HOSTS"] = f"['127.0.0.1:{proxy.port}']"
        server.env["RUNCAST__API__SSE__RETRY_MS"] = str(RETRY_MS)
        server.start()
        yield server, proxy


def random_cuts(chance: random.Random) -> list[Cut]:
    resets = [number % 2 == 0 for number in range(CUTS)]
    chance.shuffle(resets)
    return [random_cut(chance, reset) for reset in resets]


def random_cut(chance: random.Random, reset: bool) -> Cut:
    # Never before the first byte: Node's fetch may then wait for ever. Nor by FIN within the
    # headers: Chromium takes them for whole and gives up, for they name no event stream.
    first = 1 if reset else HEADERS_BYTES
    return Cut(chance.randrange(first, chance.choice(CUT_BELOW)), reset)


def frames_of(client: dict[str, Any]) -> list[Frame]:
    return [Frame(event, text, int(number)) for event, text, number in client["frames"]]


@pytest.mark.parametrize(("script", "clients"), CLIENTS)
def test_an_event_source_cut_anywhere_gets_every_event_once_and_stops_at_the_end(
    proxy: tuple[Server, Proxy], tmp_path: Path, script: str, clients: int
) -> None:
    server, between = proxy
    record, stop = tmp_path / "record", tmp_path / "stop"
    with server.client() as client:
        run_id = submit(client, child("oddities", record, stop))
    between.cut_next(random_cuts(random.Random(script)))
    url = f"http://127.0.0.1:{between.port}{stream_path(run_id)}"
    streams = [{"url": url, "names": NAMES, "closes": True}] * clients
    with Script(script, tmp_path, streams=streams, longest_retry_ms=2 * RETRY_MS) as following:
        following.until(lambda: not between.cuts_left, "all cuts to be made")
        stop.touch()
        seen = following.result()

    expected = read_stream(server.port, run_id)
    assert [frame.id for frame in expected] == list(range(1, len(expected) + 1))
    assert printed(expected) == record.read_bytes()
    for followed in seen["followed"]:
        assert frames_of(followed) == expected
    # Each client ends with two connections that nobody cuts: one says the end, one answers 204.
    assert sum(followed["errors"] for followed in seen["followed"]) - 2 * clients > CUTS // 2
    assert seen["answers"].count(204) == clients
    assert seen["late"] == 0
