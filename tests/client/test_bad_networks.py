"""Following a real run through networks that fail, servers that are killed, and a real nginx."""

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runcast.client import AsyncClient, Client
from runcast.client.following import of_run
from runcast.client.types import StreamEvent
from tests.client.bad_network import BadNetwork, Trouble
from tests.client.both import Make, either
from tests.support.runs import child, submit, wait_ended
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("quick_retries")

SOON = {"RUNCAST__API__SSE__RETRY_MS": "1"}
LINES = 300
# Behind the head of the answer and the frame that tells when to come back: before it is heard,
# a client waits for a second.
HEAD_BYTES = 800

troubles = st.lists(
    st.builds(
        Trouble,
        st.integers(HEAD_BYTES, 30_000),
        st.sampled_from(["cut", "reset", "stall", "trickle"]),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadNetwork]:
    server = Server(tmp_path_factory.mktemp("shared") / "data", SOON)
    with BadNetwork(server) as network:
        server.env["RUNCAST__AUTH__ALLOWED_HOSTS"] = f'["127.0.0.1:{network.port}"]'
        server.start()
        yield network
        server.close()


@pytest.fixture(scope="module")
def shared(network: BadNetwork) -> Server:
    return network.server


@pytest.fixture(scope="module")
def finished(shared: Server) -> str:
    with shared.client() as client:
        run_id = submit(client, child("flood", LINES, 80))
        wait_ended(client, run_id)
    return run_id


def lines_of(events: list[StreamEvent]) -> list[int]:
    """Check that nothing is missing or twice, and return the numbers that the lines begin with."""
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert events[-1].event == "end"
    return [int(event.data["line"].split()[0]) for event in events if event.event == "log"]


@either
def test_whatever_the_network_does_every_event_comes_once_in_order(
    make: Make, network: BadNetwork, finished: str
) -> None:
    with make(f"http://127.0.0.1:{network.port}") as client:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(troubles)
        def follow(ahead: list[Trouble]) -> None:
            network.trouble_next(ahead)
            events = list(client.follow(finished, silence_s=0.2))
            assert lines_of(events) == list(range(1, LINES + 1))

        follow()


@either
def test_a_server_that_is_killed_is_followed_when_it_is_back(
    make: Make, make_server: Callable[..., Server], data_dir: Path
) -> None:
    server = make_server(data_dir, **SOON)
    with server.client() as client:
        run_id = submit(client, child("flood", 400, 80, 400))
    events: list[StreamEvent] = []

    def follow() -> None:
        with make(server.url) as client:
            events.extend(client.follow(run_id))

    thread = threading.Thread(target=follow)
    thread.start()
    for count in (50, 250):
        until(lambda count=count: len(events) > count, f"{count} events")
        server.kill9()
        server.restart()
    thread.join(30)
    assert lines_of(events) == list(range(1, 401))


LONG = 100_000  # lines; as events they take some 60 MB
BOUND_BYTES = 2_000_000  # a piece, what it was made of, and the client itself


@pytest.fixture(scope="module")
def long_run(shared: Server) -> str:
    with shared.client() as client:
        run_id = submit(client, child("flood", LONG, 100))
        wait_ended(client, run_id)
    return run_id


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak_since(start: int) -> int:
    return tracemalloc.get_traced_memory()[1] - start


@pytest.mark.usefixtures("traced")
def test_who_reads_slowly_holds_one_piece_in_memory(shared: Server, long_run: str) -> None:
    start, _ = tracemalloc.get_traced_memory()
    count = 0
    with Client(shared.url) as client:
        for events in client.pieces(of_run(long_run)):
            if not count:
                time.sleep(0.3)  # all that is to come could have come
            count += len(events)
            assert peak_since(start) < BOUND_BYTES
    assert count > LONG


@pytest.mark.usefixtures("traced")
async def test_who_awaits_something_else_holds_one_piece_in_memory(
    shared: Server, long_run: str
) -> None:
    start, _ = tracemalloc.get_traced_memory()
    count = 0
    async with AsyncClient(shared.url) as client:
        async for events in client.pieces(of_run(long_run)):
            if not count:
                await asyncio.sleep(0.3)  # the loop runs, and could read on
            count += len(events)
            assert peak_since(start) < BOUND_BYTES
    assert count > LONG
