"""Start a server, send it one envelope of each type, and see that a WebSocket client gets all.

Exits 0 if it does, 1 if not.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import httpx2
from websockets.sync.client import connect

LISTENING = re.compile(r"runcast is listening on (http://\S+)")
PATIENCE_S = 10
PAYLOADS: dict[str, dict[str, Any]] = {
    "thought": {"content": "look around first", "reasoning_chain": ["where am I?"]},
    "action": {"tool": "ls", "args": {"path": "."}, "status": "invoking"},
    "observation": {"content": "README.md", "source": "ls"},
}


def main() -> int:
    """Return the exit code."""
    sent = envelopes(str(uuid.uuid4()))
    try:
        with serving() as url:
            got = send_and_receive(url, sent)
    except (OSError, TimeoutError, httpx2.HTTPError) as error:
        print(f"smoke: {error!r}", file=sys.stderr)
        return 1
    if got != sent:
        print(f"smoke: sent {sent}\nsmoke: got {got}", file=sys.stderr)
        return 1
    print(f"smoke: all {len(got)} envelopes arrived as they were sent")
    return 0


def envelopes(task_id: str) -> list[dict[str, Any]]:
    """Make one envelope of each type."""
    return [
        {
            "type": kind,
            "taskId": task_id,
            "agentId": "smoke",
            "sequenceNumber": number,
            "timestamp": datetime.now(UTC).isoformat(),
            "payload": payload,
        }
        for number, (kind, payload) in enumerate(PAYLOADS.items(), 1)
    ]


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run a server on a folder of its own, and give its address."""
    with tempfile.TemporaryDirectory() as folder:
        runcast = str(Path(sys.executable).with_name("runcast"))
        command = [runcast, "serve", "--port", "0", "--data-dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                yield _address(server.stdout)
            finally:
                server.terminate()


def _address(output: IO[str]) -> str:
    for line in output:
        if found := LISTENING.search(line):
            return found[1]
    raise OSError("the server did not start")


def send_and_receive(url: str, sent: list[dict[str, Any]]) -> list[Any]:
    """Subscribe to the task, post its envelopes, and return what the socket gets."""
    with connect(url.replace("http", "ws") + "/", open_timeout=PATIENCE_S) as socket:
        # From the first event on: it makes no difference which of the two comes first.
        socket.send(json.dumps({"subscribe": sent[0]["taskId"], "after": 0}))
        for envelope in sent:
            answer = httpx2.post(f"{url}/api/v1/envelopes", json=envelope, timeout=PATIENCE_S)
            answer.raise_for_status()
        return [json.loads(socket.recv(timeout=PATIENCE_S)) for _ in sent]


if __name__ == "__main__":
    sys.exit(main())
