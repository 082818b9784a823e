"""What a job prints, and the one event that ends it."""

import pytest

from runcast.core.events import Lines
from runcast.wires import Keep, new_wire
from tests.wires.said import STAMP, TIME, Frame, draft, sse_frames, status, written

WIRE = new_wire("jobs", Keep(), "seq")
MS = 1_795_251_450_123
BLOB = {"id": "b1", "size": 70_000}
LONG = "é" * 3000
TIMES = {"started_at": "2026-11-21T08:54:56.000Z", "ended_at": STAMP}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Lines(TIME, "stderr", ["oh"]), {"line": "oh"}),
        (draft("output", stream="stdout", text="h", partial=True), {"line": "h", "partial": True}),
        (draft("message", role="user", text="a\nb"), {"line": "a\nb"}),
        (draft("thought", text="h", text_blob=BLOB), {"line": "h", "lineBlob": BLOB}),
        (
            draft("tool_call", tool="Bash", input={"command": "é", "n": [1, 2]}),
            {"line": '▶ Bash {"command":"é","n":[1,2]}'},
        ),
        (draft("tool_call", tool="Bash", input="ls"), {"line": '▶ Bash "ls"'}),
        (draft("tool_call", tool="Bash", input=None), {"line": "▶ Bash"}),
        (
            draft("tool_call", tool="Write", input='{"te', input_blob=BLOB),
            {"line": '▶ Write {"te', "lineBlob": BLOB},
        ),
        (draft("tool_result", content="a"), {"line": "a"}),
        (draft("tool_result", content=LONG), {"line": "é" * 2048}),
        (draft("tool_result", content="a" + LONG), {"line": "a" + "é" * 2047}),
        (draft("tool_result", content="x" * 4096), {"line": "x" * 4096}),
        (draft("tool_result", content={"a": None}), {"line": '{"a":null}'}),
        (draft("tool_result"), {"line": ""}),
    ],
)
def test_what_is_said_is_a_line_of_output(entry, expected):
    assert written("jobs", entry) == [Frame("output", expected | {"timestamp": MS}, 7)]


COMPLETE = {
    "jobId": "r",
    "toolId": "claude",
    "projectId": "w",
    "exitCode": None,
    "durationMs": 154_123,
    "startedAt": TIMES["started_at"],
    "finishedAt": STAMP,
    "signal": None,
}


@pytest.mark.parametrize(
    ("name", "reason", "more", "expected"),
    [
        ("completed", "exit", {"exit_code": 0}, {"exitCode": 0}),
        ("failed", "exit", {"exit_code": 3, "error": "exited"}, {"exitCode": 3}),
        ("failed", "signal", {"signal": "SIGKILL", "error": "x"}, {"signal": "SIGKILL"}),
        ("failed", "timeout", {"error": "too long"}, {}),
        ("failed", "agent", {"exit_code": 0, "error": "no word"}, {"exitCode": 0}),
        ("cancelled", "cancelled", {}, {}),
        ("completed", None, {}, {}),
        ("failed", None, {}, {}),
        ("failed", None, {"exit_code": 1, "error": "e"}, {"exitCode": 1}),
        ("cancelled", None, {}, {}),
    ],
)
def test_a_job_that_ran_completes(name, reason, more, expected):
    frames = written("jobs", status(name, reason, **TIMES, **more))
    assert frames == [
        Frame("complete", COMPLETE | expected | {"status": name, "reason": reason}, 7)
    ]


@pytest.mark.parametrize(
    ("name", "reason", "more", "message"),
    [
        ("failed", "spawn", {"error": "no such file"} | TIMES, "no such file"),
        ("failed", "spawn", {}, "the job could not be started"),
        ("failed", "lost", TIMES, "the job was lost: nobody knows how it ended"),
        ("cancelled", "cancelled", {}, "the job was cancelled before it started"),
        ("cancelled", None, {}, "the job was cancelled before it started"),
        ("failed", None, {"error": "it broke"} | TIMES, "it broke"),
    ],
)
def test_a_job_that_never_ran_or_was_lost_ends_with_an_error(name, reason, more, message):
    frames = written("jobs", status(name, reason, **more))
    assert frames == [Frame("error", {"message": message}, 7)]


def test_an_end_without_times_is_told_with_what_is_known():
    [frame] = written("jobs", status("completed", "exit"))
    shown = {name: frame.data[name] for name in ("startedAt", "finishedAt", "durationMs")}
    assert shown == {"startedAt": None, "finishedAt": STAMP, "durationMs": None}


def test_a_clock_that_went_back_gives_no_negative_duration():
    times = {"started_at": STAMP, "ended_at": TIMES["started_at"]}
    [frame] = written("jobs", status("completed", "exit", **times))
    assert frame.data["durationMs"] == 0


def test_a_job_that_was_deleted_ends_with_an_error_and_any_other_has_ended_already():
    assert WIRE.closing("r", 9, deleted=False) == b""
    assert sse_frames(WIRE.closing("r", 9, deleted=True)) == [
        Frame("error", {"message": "the job was deleted"}, 10)
    ]
