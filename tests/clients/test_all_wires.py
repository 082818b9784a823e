"""One run, watched on every wire at once: each tells all that its wire carries of the same log."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from runcast.core.events import EVENT_TYPES
from tests.clients.followers import follow, follow_socket, with_httpx2
from tests.clients.streams import (
    Socket,
    Stream,
    activity_socket,
    envelope_socket,
    native_socket,
    read_log,
    streams_of,
)
from tests.clients.wires_checker import Told, fault, told_by
from tests.support.runs import submit
from tests.support.server import Server
from tests.support.waiting import until

PRINTED = [
    {"type": "text", "text": "two\nlines of € and 😀"},
    {"type": "thinking", "text": "hm"},
    {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls\n", "é": [1, None]}},
    {"type": "tool_result", "tool_use_id": "t1", "content": "a" * 5_000 + "€"},
    {"type": "tool_use", "id": "t2", "name": "Read", "input": {}},
    {"type": "tool_result", "tool_use_id": "t2", "content": [{"x": "é"}], "is_error": True},
    {"type": "error", "message": "it went wrong"},
    {"type": "something else", "value": 1.5},
    'data: {"no": "JSON object"',
    "",
]
PRINT = """
until [ -e "$0" ]; do sleep 0.02; done
cat "$1"; echo 'oops on stderr' >&2; cat "$1"; printf 'no newline'
"""

REPORTED: list[tuple[str, dict[str, Any]]] = [
    ("output", {"stream": "stdout", "text": "cut any"}),
    ("output", {"stream": "stdout", "text": "where\n", "partial": True}),
    ("output", {"stream": "stderr", "text": "oops"}),
    ("thought", {"text": "hm"}),
    ("message", {"role": "assistant", "text": "two\nlines"}),
    ("message", {"role": "assistant", "text": "and € more"}),
    ("delta", {"kind": "message", "message_id": "m", "text": "a piece"}),
    ("tool_call", {"tool_call_id": "t", "tool": "Bash", "input": {"command": "ls"}}),
    (
        "tool_result",
        {
            "tool_call_id": "t",
            "tool": "Bash",
            "ok": True,
            "content": "a\nb",
            "size": 3,
            "duration_ms": 7,
        },
    ),
    ("file_changed", {"path": "/x", "action": "created", "size": 1}),
    ("progress", {"percentage": 50, "phase": "half", "tool_calls": 1, "elapsed_s": 1.5}),
    ("usage", {"input_tokens": 1, "output_tokens": 2, "cost_usd": 0.5}),
    ("approval", {"id": "p", "tool": "Bash", "input": {}, "state": "pending"}),
    ("approval", {"id": "p", "tool": "Bash", "input": {}, "state": "denied"}),
    ("input", {"text": "go on"}),
    ("custom", {"name": "n", "value": [None]}),
    ("gap", {"reason": "rotated", "bytes": 9}),
    ("error", {"message": "it went wrong", "source": "agent"}),
    ("status", {"status": "completed", "exit_code": 0}),
]

LAST_WORD = "the last envelope"
PAYLOADS: list[tuple[str, dict[str, Any]]] = [
    ("thought", {"content": "hm", "reasoning_chain": ["a", {"b": None}]}),
    ("action", {"tool": "Bash", "args": {"é": 1.50}, "status": "success", "mine": True}),
    ("observation", {"content": LAST_WORD, "source": "stderr"}),
]


class Scene(NamedTuple):
    """A run, what makes it say everything, and what the last envelope about it contains."""

    run_id: str
    task_id: str
    play: Callable[[], None]
    last: str = '"source":"status"'


def executed(api: httpx2.Client, folder: Path) -> Scene:
    lines, begin = folder / "lines", folder / "begin"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in PRINTED]
    lines.write_text("".join(text + "\n" for text in texts))
    run_id = submit(api, ["bash", "-c", PRINT, str(begin), str(lines)], dialect="jsonl")
    return Scene(run_id, run_id, begin.touch)


def reported(api: httpx2.Client, _folder: Path) -> Scene:
    run_id = api.post("/api/v1/runs", json={"external": True}).json()["run"]["id"]

    def play() -> None:
        for name, data in REPORTED:
            report(api, run_id, name, data)

    return Scene(run_id, run_id, play)


def report(api: httpx2.Client, run_id: str, type: str, data: dict[str, Any]) -> None:
    answer = api.post(f"/api/v1/runs/{run_id}/events", json=[{"type": type, "data": data}])
    assert answer.status_code == 202, answer.text


def enveloped(api: httpx2.Client, _folder: Path) -> Scene:
    task_id = str(uuid.uuid4())
    envelopes = [
        {
            "type": type,
            "taskId": task_id,
            "agentId": "somebody",
            "sequenceNumber": 100 - number,
            "timestamp": "2026-11-21T08:57:30.1234567+01:00",
            "payload": payload,
        }
        for number, (type, payload) in enumerate(PAYLOADS)
    ]
    assert api.post("/api/v1/envelopes", json=envelopes[0]).status_code == 202
    [run] = api.get("/api/v1/runs", params={"task_id": task_id}).json()["runs"]

    def play() -> None:
        assert api.post("/api/v1/envelopes", json=envelopes[1:]).status_code == 202
        report(api, run["id"], "status", {"status": "completed"})

    return Scene(run["id"], task_id, play, LAST_WORD)


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


def read_stream(stream: Stream) -> list[Told]:
    return [told_by(frame) for frame in follow(with_httpx2, stream)]


def read_socket(socket: Socket) -> list[Told]:
    # Nobody cuts it, so no position is ever looked up.
    heard = follow_socket(socket, position_of=int)
    return [Told("message", message) for message in heard.messages]


def watch(server: Server, api: httpx2.Client, scene: Scene) -> dict[str, list[Told]]:
    """Return what every wire told of a scene."""
    envelopes, *others = streams_of(scene.run_id, server.port, scene.task_id)
    streams = [envelopes._replace(last=scene.last), *others]
    sockets = [
        envelope_socket(scene.task_id, server.port)._replace(last=scene.last),
        activity_socket(scene.run_id, server.port),
        native_socket(scene.run_id, server.port),
    ]
    readers = [partial(read_stream, stream) for stream in streams]
    readers += [partial(read_socket, socket) for socket in sockets]
    with ThreadPoolExecutor(len(readers)) as pool:
        reading: list[Future[list[Told]]] = [pool.submit(read) for read in readers]
        until(lambda: is_watched(api, len(streams)), "all streams to be open")
        scene.play()
        wires = [stream.wire for stream in streams] + [socket.wire for socket in sockets]
        return dict(zip(wires, [one.result() for one in reading], strict=True))


def is_watched(api: httpx2.Client, streams: int) -> bool:
    return bool(api.get("/api/v1/status").json()["streams"] == streams)


@pytest.mark.parametrize("start", [executed, reported, enveloped])
def test_every_wire_tells_of_the_same_log(
    server: Server, client: httpx2.Client, tmp_path: Path, start: Callable[..., Scene]
) -> None:
    scene = start(client, tmp_path)
    told = watch(server, client, scene)
    log = read_log(client, scene.run_id)
    assert {wire: fault(wire, log, messages) for wire, messages in told.items()} == dict.fromkeys(
        told, ""
    )


def test_the_reported_run_has_an_event_of_every_type() -> None:
    assert {type for type, _ in REPORTED} == EVENT_TYPES.keys()
