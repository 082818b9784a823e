"""Clients of jobs and processes that come late, or back after the server was killed."""

import threading
import uuid

import httpx2

from tests.support.runs import submit, wait_printed
from tests.support.server import Server
from tests.support.sse import EventSource

LINES = 150
COMMAND = ["bash", "-c", f"for i in $(seq 1 {LINES}); do echo line $i; sleep 0.01; done"]
EXPECTED = [f"line {n}" for n in range(1, LINES + 1)]


def jobs(server: Server, run_id: str) -> EventSource:
    return EventSource(server.port, f"/api/stream/{run_id}", ends=["complete", "error"])


def processes(server: Server, run_id: str) -> EventSource:
    return EventSource(server.port, f"/api/processes/{run_id}/stream", ends=["done"])


def told(source: EventSource) -> list[str]:
    fields = {"output": "line", "chunk": "content"}
    frames = (frame for frame in source.frames if frame.event in fields)
    return [str(frame.data[fields[frame.event]]).removesuffix("\n") for frame in frames]


def test_clients_that_come_back_after_a_kill_lose_nothing(
    server: Server, client: httpx2.Client
) -> None:
    run_id = submit(client, COMMAND, id=str(uuid.uuid4()))
    early = [jobs(server, run_id), processes(server, run_id)]
    threads = [threading.Thread(target=source.read_all, daemon=True) for source in early]
    for thread in threads:
        thread.start()
    for line in (20, 80):
        wait_printed(client, run_id, f"line {line}\n")
        server.kill9()
        server.start()
    for thread in threads:
        thread.join(60)

    for source, late in zip(early, [jobs(server, run_id), processes(server, run_id)], strict=True):
        late.read_all()
        assert told(source) == told(late) == EXPECTED
        assert source.frames == late.frames
