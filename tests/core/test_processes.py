"""A run as a process, and what is told when it changes."""

from typing import Any

import pytest

from runcast.core.events import Event
from runcast.core.processes import PREVIEW_CHARS, TOLD_BYTES, lifecycle_message, public_process
from runcast.core.runs import Run, kind_of, public_run

TIME = 1_795_251_450_123_456
STAMP = "2026-11-21T08:57:30.123Z"


def a_run(**fields: Any) -> Run:
    return Run(**({"id": "r", "key": "k", "task_id": "t", "created_at": TIME} | fields))


def told(run: Run, name: str = "run_updated") -> dict[str, Any]:
    data = {"name": name, "value": public_run(run)}
    message = lifecycle_message(Event(3, 17, TIME, "custom", data))
    assert message is not None
    return message


def test_an_external_run_is_shown_as_its_client_reported_it():
    run = a_run(
        source="external",
        workspace_id="w",
        kind="editor",
        prompt_preview="fix",
        full_prompt="fix it",
        status="completed",
        started_at=TIME + 1_000,
        ended_at=TIME + 2_000,
        result="done",
        structured_result={"a": 1},
        error="e",
        metadata={"m": [1]},
    )
    assert public_process(run) == {
        "id": "r",
        "type": "editor",
        "promptPreview": "fix",
        "fullPrompt": "fix it",
        "status": "completed",
        "startTime": "2026-11-21T08:57:30.124Z",
        "endTime": "2026-11-21T08:57:30.125Z",
        "error": "e",
        "result": "done",
        "structuredResult": {"a": 1},
        "metadata": {"m": [1]},
        "workspaceId": "w",
    }


def test_what_is_not_known_of_a_process_is_null_and_it_starts_when_it_was_made():
    shown = public_process(a_run(command=["true"]))
    unknown = ("fullPrompt", "endTime", "error", "result", "structuredResult")
    assert [shown[name] for name in unknown] == [None] * 5
    assert shown["startTime"] == STAMP


@pytest.mark.parametrize(
    ("fields", "preview"),
    [
        ({"command": ["sh", "-c", "echo 'a b'"]}, "sh -c 'echo '\"'\"'a b'\"'\"''"),
        ({"command": ["echo", "x" * 100]}, "echo " + "x" * 75),
        ({"command": ["claude", "-p"], "full_prompt": "é" * 100}, "é" * PREVIEW_CHARS),
        ({"command": ["claude"], "prompt_preview": "p" * 200}, "p" * 200),
        ({"prompt_preview": ""}, ""),
        ({}, ""),
    ],
)
def test_the_preview_is_what_a_client_gave_or_the_beginning_of_prompt_or_command(fields, preview):
    assert public_process(a_run(**fields))["promptPreview"] == preview


@pytest.mark.parametrize(
    "fields", [{}, {"kind": "editor"}, {"tool": "lint"}, {"agent": "claude", "kind": "x"}]
)
def test_the_type_of_a_process_is_what_its_run_is(fields):
    assert public_process(a_run(**fields))["type"] == kind_of(a_run(**fields))


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("run_added", "process-added"),
        ("run_updated", "process-updated"),
        ("run_removed", "process-removed"),
    ],
)
def test_a_change_of_a_run_is_told_with_the_process(name, type_):
    run = a_run(command=["true"], full_prompt="long", prompt_preview="long", result="r")
    process = public_process(run)
    del process["fullPrompt"]
    assert told(run, name) == {
        "type": type_,
        "process": process,
        "timestamp": STAMP,
        "position": 17,
    }


def test_what_else_the_log_says_is_not_told():
    assert lifecycle_message(Event(3, 17, TIME, "custom", {"name": "x", "value": {}})) is None
    assert lifecycle_message(Event(3, 17, TIME, "gap", {"reason": "retention"})) is None


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ("x" * TOLD_BYTES, True),
        ("x" * (TOLD_BYTES + 1), False),
        ("é" * (TOLD_BYTES // 2 + 1), False),
        ({"a": "x" * TOLD_BYTES}, False),
        ({"a": "x"}, True),
    ],
)
def test_a_change_leaves_out_results_that_are_long(result, kept):
    process = told(a_run(result=result, structured_result=result))["process"]
    assert ("result" in process, "structuredResult" in process) == (kept, kept)
