"""Clients that are cut anywhere end up with every event once, in order, and learn the end."""

import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.net import Cut, Proxy
from tests.support.runs import child, submit, wait_ended
from tests.support.server import RUNCAST, Server, clean_environment
from tests.support.sse import Connection, EventSource, Frame, printed, read_stream, stream_path

CUTS = 50
SCRIPT = """
for i in $(seq 300); do echo "line $i with € and 😀"; done
printf 'an unfinished line'; sleep 0.2; echo ' and its end'; echo oops >&2; printf 'no newline'
"""

Resume = Literal["header", "query"]
anywhere = st.builds(Cut, after=st.integers(0, 4_000), reset=st.booleans())


class Finished(NamedTuple):
    """A run that has ended, its stream, and a proxy before the server."""

    frames: list[Frame]
    path: str
    proxy: Proxy


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def finished(server: Server, client: httpx2.Client) -> Iterator[Finished]:
    run_id = submit(client, ["bash", "-c", SCRIPT])
    wait_ended(client, run_id)
    with Proxy(server.port) as proxy:
        yield Finished(read_stream(server.port, run_id), stream_path(run_id), proxy)


def is_gapless(frames: list[Frame]) -> bool:
    return [frame.id for frame in frames] == list(range(1, len(frames) + 1))


def raw_answer(port: int, path: str) -> bytes:
    """Return all bytes that a stream of an ended run is answered with."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            piece = connection.recv(65_536)
            assert piece, answer
            answer += piece
    return answer


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(anywhere, min_size=CUTS, max_size=CUTS),
    resume=st.sampled_from(["header", "query"]),
)
def test_a_client_cut_fifty_times_gets_every_event_once(
    finished: Finished, cuts: list[Cut], resume: Resume
) -> None:
    finished.proxy.cut_next(cuts)
    reader = EventSource(finished.proxy.port, finished.path, resume)
    while finished.proxy.cuts_left:
        reader.connect()
        reader.ended = False  # a client that is told the end and asks again all the same
    assert reader.read_all() == finished.frames
    assert is_gapless(reader.frames)


@pytest.mark.parametrize("resume", ["header", "query"])
def test_a_client_cut_after_any_byte_of_the_last_three_frames_learns_the_end(
    finished: Finished, resume: Resume
) -> None:
    last_three = finished.frames[-3:]
    assert [frame.event for frame in last_three] == ["log", "status", "end"]
    before = len(finished.frames) - len(last_three)
    answer = raw_answer(finished.proxy.port, f"{finished.path}?after={before}")
    for after in range(len(answer)):
        finished.proxy.cut_next([Cut(after)])
        reader = EventSource(finished.proxy.port, finished.path, resume, after=before)
        reader.connect()
        assert reader.read_all() == last_three
    assert not finished.proxy.cuts_left


def test_the_end_is_told_to_whom_it_may_be_news(finished: Finished) -> None:
    end = len(finished.frames)
    has_all = EventSource(finished.proxy.port, finished.path, after=end - 1)
    assert has_all.read_all() == finished.frames[-1:]
    with Connection(finished.proxy.port, f"{finished.path}?after={end}") as has_even_the_end:
        assert has_even_the_end.status == 204
    with Connection(finished.proxy.port, f"{finished.path}?after={end + 1}") as from_nowhere:
        assert from_nowhere.status == 410


@pytest.mark.parametrize("resume", ["header", "query"])
def test_a_client_cut_while_the_run_goes_on_gets_every_event_once(
    server: Server, client: httpx2.Client, tmp_path: Path, resume: Resume
) -> None:
    stop = tmp_path / "stop"
    run_id = submit(client, child("talker", tmp_path / "record", stop, 0, 2_000))
    chance = random.Random(resume)
    cuts = [Cut(chance.randrange(60_000), chance.random() < 0.5) for _ in range(CUTS)]
    with Proxy(server.port, cuts) as proxy:
        reader = EventSource(proxy.port, stream_path(run_id), resume)
        while proxy.cuts_left:
            assert not reader.connect()
        stop.touch()
        reader.read_all()
    assert is_gapless(reader.frames)
    assert reader.frames == read_stream(server.port, run_id)
    assert printed(reader.frames) == (tmp_path / "record.stdout").read_bytes()
    assert printed(reader.frames, "stderr") == (tmp_path / "record.stderr").read_bytes()


def test_the_command_line_prints_exactly_the_output_over_cut_connections(
    make_server: Callable[..., Server],
) -> None:
    expected = "".join(f"line {i} of many\n" for i in range(1, 20_001)).encode()
    command = ["bash", "-c", "for i in $(seq 20000); do echo line $i of many; done; exit 4"]
    server = make_server()
    with Proxy(server.port, [Cut(100_000, reset=True), Cut(500_000)]) as proxy:
        server.terminate()
        server.env["RUNCAST__AUTH__ALLOWED_HOSTS"] = f"['127.0.0.1:{proxy.port}']"
        server.start()
        done = subprocess.run(
            [RUNCAST, "run", "--server", f"http://127.0.0.1:{proxy.port}", "--", *command],
            stdout=subprocess.PIPE,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (4, expected)
    assert not proxy.cuts_left
