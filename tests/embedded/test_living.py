"""How a server inside a program starts, counts its clients, stops, and what it leaves."""

import json
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

import runcast
from runcast import Server, create_server
from runcast.core.errors import ConfigError
from tests.embedded.program import QUIET_TRIES, follow, receive, seconds
from tests.support import processes
from tests.support.envelopes import OTHER, TASK, thought
from tests.support.waiting import until


def seconds_to_stop_with_deaf_clients() -> float:
    """Return how long a stop takes while clients are sent what they do not read."""
    server = create_server(0)
    server.start()
    with ExitStack() as open_, httpx2.Client(base_url=server.url, timeout=10) as client:
        for _ in range(5):
            open_.enter_context(follow(server, TASK))  # and never reads
        with client.stream("GET", "/stream", params={"taskId": TASK}) as stream:
            assert stream.status_code == 200
            for number in range(500):
                server.emit(thought("x" * 10_000, number=number))
            server.flush()
            server.emit(thought("the last"))
            took = seconds(server.stop)
        with pytest.raises(httpx2.ConnectError):
            client.get("/healthz")
    assert server.connection_count == 0
    return took


class TestLiving:
    def test_each_open_connection_is_counted_once(self, server: Server) -> None:
        assert server.connection_count == 0
        with follow(server, TASK) as one:
            one.send(json.dumps({"subscribe": OTHER}))
            with follow(server, TASK):
                assert server.connection_count == 2
            until(lambda: server.connection_count == 1, "the count to fall")
        until(lambda: server.connection_count == 0, "the count to fall")

    def test_what_was_emitted_is_kept_by_a_stop_at_once(self, tmp_path: Path) -> None:
        server = create_server(0, tmp_path)
        server.start()
        for number in range(2_000):
            server.emit(thought(number=number))
        server.stop()
        with create_server(0, tmp_path) as again, follow(again, TASK, after=0) as socket:
            assert [receive(socket)["sequenceNumber"] for _ in range(2_000)] == list(range(2_000))

    def test_it_stops_within_a_second_whoever_is_connected(self) -> None:
        assert any(seconds_to_stop_with_deaf_clients() < 1 for _ in range(QUIET_TRIES))

    def test_nothing_is_left_of_it(self) -> None:
        before = {thread.name for thread in threading.enumerate()}
        server = create_server(0)
        server.start()
        with httpx2.Client(base_url=server.url, timeout=10) as client:
            folder = Path(client.get("/api/v1/status").json()["data_dir"])
            started = client.post("/api/v1/runs", json={"command": ["sleep", "60"]})
            run = started.json()["run"]["id"]
            until(
                lambda: client.get(f"/api/v1/runs/{run}").json()["run"]["status"] == "running",
                "the run to start",
            )
        assert folder.is_dir()
        server.stop()
        assert not folder.exists()
        assert {thread.name for thread in threading.enumerate()} == before
        until(lambda: not processes.of_folder(folder), "the command to be gone")

    def test_a_second_stop_does_nothing_and_a_second_start_is_refused(self) -> None:
        server = create_server(0)
        server.stop()
        with server:
            with pytest.raises(RuntimeError, match="started before"):
                server.start()
            server.stop()
        with pytest.raises(RuntimeError, match="stopped"):
            server.emit(thought())

    def test_a_port_that_is_taken_is_said_and_leaves_nothing(self, server: Server) -> None:
        other = create_server(server.port)
        with pytest.raises(ConfigError, match=f"{server.port}"):
            other.start()
        other.stop()

    def test_a_folder_keeps_what_it_has(self, tmp_path: Path) -> None:
        with create_server(0, tmp_path) as server:
            server.emit(thought("first"))
        with create_server(0, tmp_path) as server:
            server.emit(thought("second"))
            with follow(server, TASK, after=0) as socket:
                assert [receive(socket)["payload"]["content"] for _ in range(2)] == [
                    "first",
                    "second",
                ]

    def test_it_leaves_the_signals_of_its_program_alone(self) -> None:
        import signal

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        before = [signal.getsignal(number) for number in numbers]
        with create_server(0):
            assert [signal.getsignal(number) for number in numbers] == before

    def test_it_is_what_the_package_exports(self) -> None:
        assert isinstance(runcast.create_server(7890), runcast.Server)
