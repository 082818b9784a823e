"""What an envelope of each event holds, and which events go out as they came in."""

import pytest

from runcast.core.envelopes import ENVELOPE_KIND, read_envelope
from runcast.core.runs import RunRef
from tests.wires.said import STAMP, draft, status, written

BLOB = {"id": "b1", "size": 70_000}
CASES = [
    (
        draft("output", stream="stdout", text="h", partial=True),
        "observation",
        {"content": "h", "source": "stdout", "partial": True},
    ),
    (
        draft("output", stream="stderr", text="oh"),
        "observation",
        {"content": "oh", "source": "stderr"},
    ),
    (draft("message", role="assistant", text="done"), "thought", {"content": "done"}),
    (
        draft("thought", text="h", text_blob=BLOB),
        "thought",
        {"content": "h", "content_blob": BLOB},
    ),
    (
        draft("tool_call", tool_call_id="t1", tool="Bash", input={"command": "ls"}),
        "action",
        {"tool": "Bash", "args": {"command": "ls"}, "status": "invoking"},
    ),
    (
        draft("tool_call", tool="Write", input='{"te', input_blob=BLOB),
        "action",
        {"tool": "Write", "args": {"input": '{"te'}, "status": "invoking", "args_blob": BLOB},
    ),
    (draft("tool_call"), "action", {"tool": "tool", "args": {}, "status": "invoking"}),
    (
        draft("tool_result", tool="Bash", ok=False, content="é", size=2),
        "observation",
        {"content": "é", "source": "Bash", "ok": False},
    ),
    (
        draft("tool_result", ok=True, content=[{"é": 1}], content_blob=BLOB),
        "observation",
        {"content": '[{"é":1}]', "source": "tool", "ok": True, "content_blob": BLOB},
    ),
    (
        draft("file_changed", path="/a", action="modified", size=0),
        "observation",
        {
            "content": "modified /a",
            "source": "file_changed",
            "path": "/a",
            "action": "modified",
            "size": 0,
        },
    ),
    (
        draft("error", message="overloaded", source="agent"),
        "observation",
        {"content": "overloaded", "source": "error"},
    ),
    (
        status("failed", "exit", exit_code=3, error="it exited with 3"),
        "observation",
        {
            "content": "failed",
            "source": "status",
            "reason": "exit",
            "exit_code": 3,
            "signal": None,
            "error": "it exited with 3",
        },
    ),
]


@pytest.mark.parametrize(("entry", "kind", "payload"), CASES)
def test_an_event_becomes_an_envelope(entry, kind, payload):
    [frame] = written("envelopes", entry)

    assert frame.data == {
        "type": kind,
        "taskId": "t",
        "agentId": "claude",
        "sequenceNumber": 7,
        "timestamp": STAMP,
        "payload": payload,
    }
    read_envelope(frame.data)  # it could come in again


def test_a_gap_in_a_log_is_told_like_an_envelope():
    [frame] = written("envelopes", draft("gap", reason="truncated", bytes=9))
    assert frame.event == ""
    assert (frame.data["type"], frame.data["payload"]) == (
        "gap",
        {"reason": "truncated", "bytes": 9},
    )


CAME_IN = {
    "type": "observation",
    "taskId": "elsewhere",
    "agentId": "a",
    "sequenceNumber": 99,
    "timestamp": "2026-01-01T00:00:00.123456789+02:00",
    "payload": {"content": "x\n\ndata: {}", "source": "stdout", "more": [1.5, None, "é"]},
    "unheard": {"of": True},
}


@pytest.mark.parametrize("type_", ["output", "custom"])
def test_what_came_in_as_an_envelope_goes_out_value_for_value(type_):
    entry = draft(type_, stream="stdout", text="x", envelope=CAME_IN)
    assert [frame.data for frame in written("envelopes", entry)] == [CAME_IN]


def test_a_field_that_is_called_envelope_and_is_none_changes_nothing():
    [frame] = written("envelopes", draft("thought", text="hm", envelope="x"))
    assert frame.data["payload"] == {"content": "hm"}


@pytest.mark.parametrize(
    ("source", "actor", "told"),
    [
        ("external", ENVELOPE_KIND, 0),
        ("external", "editor", 1),
        ("run", ENVELOPE_KIND, 1),
    ],
)
def test_only_runs_that_envelopes_made_end_without_an_observation(source, actor, told):
    ref = RunRef("r", "t", "w", actor, source)
    assert len(written("envelopes", status("completed"), ref=ref)) == told
