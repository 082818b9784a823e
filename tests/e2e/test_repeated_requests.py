"""The server is killed between a commit and its answer: who asks again gets it, done once."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.runs import events, output, submit, wait_ended, wait_printed
from tests.support.server import Server

ROUNDS = [1, pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])]


class Request(NamedTuple):
    """What a client wants to happen once; `effects` counts how often it has happened."""

    method: str
    path: str
    body: Any
    effects: Callable[[], int]

    def send(self, client: httpx2.Client, key: str) -> httpx2.Response:
        content = {} if self.body is None else {"json": self.body}
        return client.request(self.method, self.path, headers={"Idempotency-Key": key}, **content)


def requests(client: httpx2.Client, folder: Path, name: str) -> Iterator[Request]:
    """Yield a request of each kind, each once the one before is through."""
    traces = folder / name

    def started() -> int:
        for run in client.get("/api/v1/runs", params={"task_id": name}).json()["runs"]:
            wait_ended(client, run["id"])
        return traces.read_text().count("once")

    command = ["sh", "-c", f"echo once >> {traces}"]
    yield Request("POST", "/api/v1/runs", {"command": command, "task_id": name}, started)

    cat = submit(client, ["cat"], stdin="pipe")

    def heard() -> int:
        wait_printed(client, cat, "once\n")
        client.post(f"/api/v1/runs/{cat}/input", json={"eof": True})
        wait_ended(client, cat)
        return output(client, cat).count(b"once\n")

    yield Request("POST", f"/api/v1/runs/{cat}/input", {"text": "once"}, heard)

    created = client.post("/api/v1/runs", json={"external": True})
    run_id = created.json()["run"]["id"]
    said = {"type": "output", "data": {"stream": "stdout", "text": "once"}}

    def reported() -> int:
        return sum(event["type"] == "output" for event in events(client, run_id))

    yield Request("POST", f"/api/v1/runs/{run_id}/events", [said], reported)

    def posted() -> int:
        page = client.get("/api/v1/messages", params={"task_id": name}).json()
        return len(page["messages"])

    yield Request("POST", "/api/v1/messages", {"body": "once", "task_id": name}, posted)

    def removed() -> int:
        return int(client.get(f"/api/v1/runs/{run_id}").status_code == 404)

    yield Request("DELETE", f"/api/v1/runs/{run_id}", None, removed)


def kill_once_committed(server: Server, key: str) -> None:
    """Kill the server as soon as the answer under this key is in its database."""
    database = f"file:{server.data_dir / 'runcast.db'}?mode=ro"
    deadline = time.monotonic() + 10
    with contextlib.closing(sqlite3.connect(database, uri=True)) as store:
        # Without a pause: the answer follows within a fraction of a millisecond.
        while not store.execute("SELECT 1 FROM answers WHERE key LIKE ?", [f"% {key}"]).fetchone():
            assert time.monotonic() < deadline, "the request was never committed"
    server.kill9()


def send_into_the_kill(server: Server, request: Request, key: str) -> httpx2.Response | None:
    """Send a request that the server does not survive; return its answer if it still came."""
    answers: list[httpx2.Response] = []

    def send() -> None:
        with server.client() as client, contextlib.suppress(httpx2.TransportError):
            answers.append(request.send(client, key))

    sending = threading.Thread(target=send)
    sending.start()
    kill_once_committed(server, key)
    sending.join()
    server.start()
    return answers[0] if answers else None


@pytest.mark.parametrize("rounds", ROUNDS)
def test_request_that_lost_its_answer_is_done_once_and_answered_when_repeated(
    server: Server, client: httpx2.Client, tmp_path: Path, rounds: int
) -> None:
    lost = 0
    for number in range(rounds):
        for step, request in enumerate(requests(client, tmp_path, f"task-{number}")):
            key = f"key-{number}-{step}"
            first = send_into_the_kill(server, request, key)
            again = request.send(client, key)
            assert again.is_success, again.text
            assert again.headers["idempotency-replayed"] == "true"
            assert first is None or first.content == again.content
            assert request.effects() == 1
            assert request.send(client, key).content == again.content
            lost += first is None
    print(f"{lost} answers lost")
