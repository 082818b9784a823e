"""A client that does not read costs nobody anything, and the server little memory."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.runs import child, submit, wait_ended
from tests.support.server import Server
from tests.support.sse import Connection, Frame, stream_path

MEGABYTE = 1_000_000
PEAK_BYTES = 150 * 1024 * 1024
WIDTH = 500
SIZES = [40, pytest.param(200, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])]
BURSTING = 20

PACE = 20_000  # lines a second: 10 MB/s
PACED_LINES = 400_000
SAMPLE = 100  # every so manieth line is timed: the client must not be what is measured
ALLOWED_RATIO = 2.0


def peak_memory(server: Server) -> int:
    """Return the most memory that the server ever had, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def open_stream(server: Server, run_id: str) -> Connection:
    return Connection(server.port, stream_path(run_id))


def numbers(frames: Iterator[Frame]) -> Iterator[int]:
    """Yield the numbers of the lines, checking that no event is left out."""
    events = (frame for frame in frames if frame.id is not None)
    for expected, frame in enumerate(events, 1):
        assert frame.id == expected
        if frame.event == "log":
            yield int(frame.data["line"].split(" ", 1)[0])


def count_lines(connection: Connection) -> int:
    """Read a stream to its end and return how many lines it had, in order and without gap."""
    count = 0
    for number in numbers(connection.frames()):
        count += 1
        assert number == count
    return count


@pytest.mark.parametrize("megabytes", SIZES)
def test_a_client_that_does_not_read_costs_little_memory_and_can_read_everything_later(
    make_server: Callable[..., Server],
    megabytes: int,
) -> None:
    lines = megabytes * MEGABYTE // WIDTH
    server = make_server()
    with server.client() as client:
        run_id = submit(client, child("flood", lines, WIDTH))
        with open_stream(server, run_id) as silent, open_stream(server, run_id) as fast:
            assert count_lines(fast) == lines
            assert wait_ended(client, run_id)["exit_code"] == 0
            assert count_lines(silent) == lines
    print(f"peak memory {peak_memory(server) >> 20} MiB")
    assert peak_memory(server) < PEAK_BYTES


@pytest.mark.parametrize("megabytes", SIZES)
def test_twenty_bursting_runs_stay_within_the_same_memory(
    make_server: Callable[..., Server],
    megabytes: int,
) -> None:
    lines = megabytes * MEGABYTE // WIDTH // BURSTING
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS=str(BURSTING))
    with server.client() as client, ThreadPoolExecutor(BURSTING) as readers, ExitStack() as opened:
        ids = [submit(client, child("flood", lines, WIDTH)) for _ in range(BURSTING)]
        streams = [opened.enter_context(open_stream(server, run_id)) for run_id in ids]
        assert set(readers.map(count_lines, streams)) == {lines}
        assert all(wait_ended(client, run_id)["exit_code"] == 0 for run_id in ids)
    print(f"peak memory {peak_memory(server) >> 20} MiB")
    assert peak_memory(server) < PEAK_BYTES


def p99_of_write_to_read(server: Server, run_id: str) -> float:
    """Return how long after its print a line is read, in seconds: 99 of 100 take less."""
    delays = []
    with open_stream(server, run_id) as connection:
        for frame in connection.frames():
            if frame.event == "log" and frame.id is not None and frame.id % SAMPLE == 0:
                written = int(frame.data["line"].split(" ", 2)[1])
                delays.append(time.monotonic_ns() - written)
    return sorted(delays)[len(delays) * 99 // 100] / 1e9


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_client_that_never_reads_does_not_delay_one_that_does(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    command = child("flood", PACED_LINES, WIDTH, PACE)
    with server.client() as client:
        alone = p99_of_write_to_read(server, submit(client, command))
        run_id = submit(client, command)
        with open_stream(server, run_id):  # and never read
            beside = p99_of_write_to_read(server, run_id)
        wait_ended(client, run_id)
    print(f"p99 alone {alone * 1e3:.1f} ms, beside one that never reads {beside * 1e3:.1f} ms")
    assert beside < ALLOWED_RATIO * alone
