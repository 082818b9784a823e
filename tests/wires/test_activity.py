"""What the activity surface says of each event, for whom, and how output is joined."""

from typing import Any

import msgspec
import pytest

from runcast.core.events import (
    EVENT_TYPES,
    Batch,
    Draft,
    Entry,
    Lines,
    count_events,
    encode_entries,
)
from runcast.wires.activity import (
    JOINED_BYTES,
    PREVIEW_CHARS,
    Include,
    Message,
    joined,
    messages,
)

TIME = 1_795_251_450_123_456
ALL = Include(deltas=True)
BLOB = {"id": "b1", "size": 70_000}

STATUS = {"status": "failed", "reason": "exit", "exit_code": 3, "signal": None, "result": None}
PROGRESS = {"phase": "thinking", "tool_calls": 2, "elapsed_s": 30}
RESULT = {"tool_call_id": "t1", "ok": True, "content": "a", "size": 1, "duration_ms": 12}

CASES: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    (
        "output",
        {"stream": "stdout", "text": "hi"},
        {"type": "agent_output", "content": "hi"},
    ),
    (
        "output",
        {"stream": "stdout", "text": "h", "partial": True},
        {"type": "agent_output", "content": "h", "partial": True},
    ),
    (
        "output",
        {"stream": "stderr", "text": "oh"},
        {"type": "agent_error", "content": "oh", "source": "stderr"},
    ),
    (
        "message",
        {"role": "assistant", "text": "done"},
        {"type": "agent_output", "content": "done", "kind": "message", "role": "assistant"},
    ),
    (
        "message",
        {"role": "assistant", "text": "do", "text_blob": BLOB},
        {
            "type": "agent_output",
            "content": "do",
            "contentBlob": BLOB,
            "kind": "message",
            "role": "assistant",
        },
    ),
    (
        "thought",
        {"text": "hm"},
        {"type": "agent_output", "content": "hm", "kind": "thought"},
    ),
    (
        "delta",
        {"kind": "message", "message_id": "m1", "text": "do"},
        {
            "type": "agent_output",
            "content": "do",
            "kind": "delta",
            "delta": "message",
            "messageId": "m1",
        },
    ),
    (
        "tool_call",
        {"tool_call_id": "t1", "tool": "Bash", "input": {"command": "ls"}},
        {"type": "agent_tool_call", "toolUseId": "t1", "tool": "Bash", "input": {"command": "ls"}},
    ),
    (
        "tool_call",
        {"tool_call_id": "t1", "tool": "Write", "input": '{"te', "input_blob": BLOB},
        {
            "type": "agent_tool_call",
            "toolUseId": "t1",
            "tool": "Write",
            "input": '{"te',
            "inputBlob": BLOB,
        },
    ),
    (
        "tool_result",
        RESULT | {"ok": False, "content": "x" * 5000, "size": 5000, "content_blob": BLOB},
        {
            "type": "agent_tool_result",
            "toolUseId": "t1",
            "success": False,
            "contentPreview": "x" * PREVIEW_CHARS,
            "contentLength": 5000,
            "durationMs": 12,
            "contentBlob": BLOB,
        },
    ),
    (
        "tool_result",
        RESULT | {"content": [{"text": "é"}], "size": 16},
        {
            "type": "agent_tool_result",
            "toolUseId": "t1",
            "success": True,
            "contentPreview": '[{"text":"\\u00e9"}]',
            "contentLength": 16,
            "durationMs": 12,
        },
    ),
    (
        "file_changed",
        {"path": "/a", "action": "created", "size": 0},
        {"type": "file_changed", "path": "/a", "action": "created", "sizeBytes": 0},
    ),
    (
        "file_changed",
        {"path": "/a", "action": "deleted"},
        {"type": "file_changed", "path": "/a", "action": "deleted"},
    ),
    (
        "progress",
        PROGRESS,
        {
            "type": "progress_update",
            "percentage": None,
            "currentPhase": "thinking",
            "toolCallCount": 2,
            "elapsedSeconds": 30,
        },
    ),
    (
        "progress",
        PROGRESS | {"percentage": 75},
        {
            "type": "progress_update",
            "percentage": 75,
            "currentPhase": "thinking",
            "toolCallCount": 2,
            "elapsedSeconds": 30,
            "estimatedRemainingSeconds": 10.0,
        },
    ),
    (
        "error",
        {"message": "overloaded", "source": "agent"},
        {"type": "agent_error", "content": "overloaded", "source": "agent"},
    ),
    (
        "status",
        STATUS | {"error": "it broke"},
        {
            "type": "run_status",
            "status": "failed",
            "reason": "exit",
            "exitCode": 3,
            "error": "it broke",
        },
    ),
    (
        "status",
        STATUS | {"reason": "signal", "exit_code": None, "signal": "SIGKILL"},
        {
            "type": "run_status",
            "status": "failed",
            "reason": "signal",
            "exitCode": None,
            "signal": "SIGKILL",
        },
    ),
    (
        "gap",
        {"reason": "truncated", "bytes": 9},
        {"type": "gap", "reason": "truncated", "bytes": 9},
    ),
    ("approval", {"id": "a1", "tool": "Bash", "input": {}, "state": "pending"}, None),
    ("input", {"text": "yes"}, None),
    ("usage", {"input_tokens": 1, "output_tokens": 2}, None),
    ("custom", {"name": "x", "value": 1}, None),
]


def batch_of(*entries: Entry) -> Batch:
    return Batch("run:r1", 5, 17, count_events(entries), encode_entries(entries))


def told(*entries: Entry, include: Include = ALL, after: int = 0) -> list[Message]:
    return list(messages(batch_of(*entries), "wo-1", include, after))


def content(one: Message) -> dict[str, Any]:
    common = ("workOrderId", "runId", "timestamp", "seq", "position")
    return {name: value for name, value in one.items() if name not in common}


@pytest.mark.parametrize(("type_", "data", "expected"), CASES)
def test_every_event_becomes_its_message(
    type_: str, data: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    assert [content(one) for one in told(Draft(TIME, type_, data))] == (
        [expected] if expected else []
    )


def test_the_table_leaves_no_event_type_out() -> None:
    assert {type_ for type_, _, _ in CASES} == set(EVENT_TYPES)


def test_every_message_says_where_it_belongs() -> None:
    drafts = [Draft(TIME, type_, data) for type_, data, expected in CASES if expected]
    for number, one in enumerate(told(*drafts)):
        assert (one["workOrderId"], one["runId"]) == ("wo-1", "r1")
        assert one["timestamp"] == "2026-11-21T08:57:30.123Z"
        assert (one["seq"], one["position"]) == (5 + number, 17 + number)


def test_only_what_lies_after_the_cursor_is_told() -> None:
    assert [one["content"] for one in told(Lines(TIME, "stdout", ["a", "b", "c"]), after=5)] == [
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("option", "silenced"),
    [
        ("tool_calls", {"tool_call"}),
        ("tool_results", {"tool_result"}),
        ("output", {"stdout", "message", "thought"}),
        ("file_changes", {"file_changed"}),
        ("progress", {"progress"}),
        ("deltas", {"delta"}),
    ],
)
def test_an_option_turned_off_silences_its_events_and_no_others(
    option: str, silenced: set[str]
) -> None:
    include = msgspec.structs.replace(ALL, **{option: False})
    for type_, data, expected in CASES:
        name = data["stream"] if type_ == "output" else type_
        passes = expected is not None and name not in silenced
        assert bool(told(Draft(TIME, type_, data), include=include)) == passes, name


def test_everything_but_deltas_is_wanted_unless_said_otherwise() -> None:
    assert Include() == Include(True, True, True, True, True, False)


def test_options_are_read_by_the_names_that_clients_use() -> None:
    asked = {"type": "subscribe", "includeToolCalls": False, "includeDeltas": True}
    assert msgspec.convert(asked, Include) == Include(tool_calls=False, deltas=True)


def test_neighbouring_output_is_joined_as_it_was_printed() -> None:
    parts = told(
        Lines(TIME, "stdout", ["a", "b"]),
        Draft(TIME, "output", {"stream": "stdout", "text": "c", "partial": True}),
        Draft(TIME + 1_000_000, "output", {"stream": "stdout", "text": "d"}),
    )

    [one] = joined(parts)

    assert one["content"] == "a\nb\ncd"
    assert (one["firstSeq"], one["seq"], one["position"]) == (5, 8, 20)
    assert one["timestamp"] == "2026-11-21T08:57:31.123Z"
    assert "partial" not in one


def test_joined_output_that_ends_within_a_line_says_so() -> None:
    last = Draft(TIME, "output", {"stream": "stdout", "text": "b", "partial": True})
    [one] = joined(told(Lines(TIME, "stdout", ["a"]), last))
    assert (one["content"], one["partial"]) == ("a\nb", True)


def test_deltas_are_joined_seamlessly_per_message() -> None:
    parts = [("m1", "Hel"), ("m1", "lo"), ("m2", "!")]
    deltas = [
        Draft(TIME, "delta", {"kind": "message", "message_id": id_, "text": text})
        for id_, text in parts
    ]
    assert [one["content"] for one in joined(told(*deltas))] == ["Hello", "!"]


def test_different_voices_and_other_messages_are_not_joined() -> None:
    drafts = [
        Draft(TIME, "output", {"stream": "stdout", "text": "a"}),
        Draft(TIME, "message", {"role": "assistant", "text": "b"}),
        Draft(TIME, "message", {"role": "user", "text": "c"}),
        Draft(TIME, "thought", {"text": "d"}),
        Draft(TIME, "message", {"role": "assistant", "text": "e", "text_blob": BLOB}),
        Draft(TIME, "message", {"role": "assistant", "text": "f"}),
        Draft(TIME, "output", {"stream": "stderr", "text": "g"}),
        Draft(TIME, "output", {"stream": "stderr", "text": "h"}),
        Draft(TIME, "output", {"stream": "stdout", "text": "i"}),
    ]
    parts = told(*drafts)
    assert list(joined(parts)) == parts


def test_an_event_that_lacks_what_it_should_have_is_told_with_nulls() -> None:
    drafts = [Draft(TIME, type_, {}) for type_, _, expected in CASES if expected]
    assert len(list(joined(told(*drafts)))) == len(drafts)
    [one] = told(Draft(TIME, "tool_call", {"tool": "Bash"}))
    assert (one["toolUseId"], one["tool"], one["input"]) == (None, "Bash", None)


def test_output_of_two_runs_is_not_joined() -> None:
    one, other = told(Lines(TIME, "stdout", ["a", "b"]))
    assert len(list(joined([one, other | {"runId": "r2"}]))) == 2


def test_joined_text_is_never_longer_than_an_event_may_be() -> None:
    line = "é" * 500
    parts = told(Lines(TIME, "stdout", [line] * 200))

    together = list(joined(parts))

    assert len(together) == 4
    assert all(len(one["content"].encode()) <= JOINED_BYTES for one in together)
    assert "\n".join(one["content"] for one in together) == "\n".join([line] * 200)
    assert [one["firstSeq"] for one in together[1:]] == [one["seq"] + 1 for one in together[:-1]]
