"""SIGTERM: every stream ends cleanly within a second, the server exits 0, runs go on."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.support.runs import child, folder_of, output, runner_of, submit, wait_ended, wait_printed
from tests.support.server import Server
from tests.support.sse import BrokenOff, Connection, read_stream, stream_path

STREAMS = 50
DRAINED_S = 1.0
LINES = 60_000  # more than all buffers between server and client hold


def read_to_the_end(connection: Connection) -> tuple[list[str], float]:
    """Return the names of all frames, and when the answer ended cleanly."""
    names = [frame.event for frame in connection.frames()]
    return names, time.monotonic()


def test_fifty_readers_see_a_clean_end_within_a_second_and_the_run_goes_on(
    server: Server, client: httpx2.Client, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    run_id = submit(client, child("talker", tmp_path / "record", stop, 5, 200))
    path = stream_path(run_id)
    runner = runner_of(folder_of(server.data_dir, run_id))
    with ThreadPoolExecutor(STREAMS) as readers, ExitStack() as opened:
        opened.callback(server.kill9)  # or a failure would leave the readers reading for ever
        connections = [opened.enter_context(Connection(server.port, path)) for _ in range(STREAMS)]
        reading = [readers.submit(read_to_the_end, connection) for connection in connections]
        wait_printed(client, run_id, "100 ")
        begun = time.monotonic()
        assert server.terminate() == 0
        ends = [future.result() for future in reading]
    assert max(ended for _, ended in ends) - begun < DRAINED_S
    assert all("end" not in names for names, _ in ends)

    server.start()
    stop.touch()
    assert wait_ended(client, run_id)["exit_code"] == 5
    assert runner_of(folder_of(server.data_dir, run_id)) == runner
    assert output(client, run_id) == (tmp_path / "record.stdout").read_bytes()


def test_a_client_that_does_not_read_is_cut_and_keeps_nobody_waiting(
    server: Server, client: httpx2.Client
) -> None:
    flood = submit(client, child("flood", LINES, 500))
    waits = submit(client, ["sleep", "1000"])
    with (
        Connection(server.port, stream_path(flood)) as silent,
        Connection(server.port, stream_path(waits)) as reader,
    ):
        wait_ended(client, flood)
        begun = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begun < 2 * DRAINED_S
        read_to_the_end(reader)
        with pytest.raises(BrokenOff):
            read_to_the_end(silent)
    server.start()
    assert len(read_stream(server.port, flood)) == LINES + 4


def test_streams_over_all_runs_end_cleanly_too(server: Server, client: httpx2.Client) -> None:
    with Connection(server.port, "/api/v1/runs/stream/all") as every:
        run_id = submit(client, ["echo", "seen"])
        wait_ended(client, run_id)
        assert server.terminate() == 0
        names = [frame.event for frame in every.frames()]
    assert names == ["status", "status", "log", "status"]
