"""What real agents printed, printed again: the installed program gives the expected events."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.parsers.transcripts import TRANSCRIPTS, Found, dialect_of, expected, printed
from tests.support.runs import events, get
from tests.support.server import RUNCAST, Server, clean_environment

OWNER = {"status", "progress"}  # whose log it is adds these to what the agent says
COMPLETED = ("completed", "exit", None)
WAITING = ("failed", "agent", "the agent ended while it waited for an answer of sleep")
# How a run ends that prints the transcript and exits with 0; the others complete.
ENDS = {
    "claude-2.1.329_api-error": ("failed", "agent", "API Error: 400 mock says no"),
    "claude-2.1.329_sigterm": ("failed", "agent", "the agent exited without saying how it ended"),
    "codex-0.169.0_api-error": ("failed", "agent", "mock says no"),
    "opencode-1.18.33_api-error": ("failed", "agent", "mock says no"),
    "envelope": WAITING,
    "jsonl": WAITING,
}
assert set(ENDS) <= {transcript.stem for transcript in TRANSCRIPTS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("transcripts") / "data")
    server.start()
    yield server
    server.close()


def told(event: dict[str, Any]) -> Found:
    data = event["data"]
    data.pop("duration_ms", None)
    return event["type"], data


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_that_a_command_prints_becomes_the_expected_events(
    server: Server, client: httpx2.Client, tmp_path: Path, transcript: Path
) -> None:
    file = tmp_path / "said"
    file.write_bytes(b"".join(line + b"\n" for line in printed(transcript)))
    command = [RUNCAST, "run", "--server", server.url, "--dialect", dialect_of(transcript)]
    ran = subprocess.run(
        [*command, "--id", transcript.stem, "--", "cat", file],
        env=clean_environment(),
        capture_output=True,
        timeout=30,
    )

    status, reason, error = ENDS.get(transcript.stem, COMPLETED)
    run = get(client, transcript.stem)
    assert (run["status"], run["reason"], run["exit_code"]) == (status, reason, 0)
    assert run["error"] == error
    assert ran.returncode == (0 if status == "completed" else 1), ran.stderr.decode()
    found = [told(event) for event in events(client, transcript.stem)]
    said = [one for one in found if one[0] not in OWNER and one[1].get("state") != "withdrawn"]
    assert said == expected(transcript)
    # Nobody here can be asked: what the agent asked is withdrawn when it ends.
    asked = sum(kind == "approval" for kind, _ in said)
    assert sum(data.get("state") == "withdrawn" for _, data in found) == asked
    raw = client.get(f"/api/v1/runs/{transcript.stem}/output").content
    assert raw == file.read_bytes()


def test_a_call_that_nobody_answers_makes_its_run_a_failure(
    server: Server, client: httpx2.Client
) -> None:
    call = {"type": "tool_use", "id": "a", "name": "Bash", "input": {}}
    body = {"id": "open-call", "command": ["echo", json.dumps(call)], "dialect": "jsonl"}
    client.post("/api/v1/runs", json=body)
    run = client.get("/api/v1/runs/open-call", params={"wait_s": 20}).json()["run"]

    assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "agent", 0)
    kinds = [event["type"] for event in events(client, "open-call")]
    assert kinds == ["status", "status", "tool_call", "tool_result", "progress", "status"]
