import pytest

from runcast.core.envelopes import event_of, read_envelope
from runcast.core.errors import BadRequest

VALID = {
    "type": "thought",
    "taskId": "5f0c1c9e-58a1-4d6c-9d37-0d4a1b9f6a11",
    "agentId": "planner",
    "sequenceNumber": 0,
    "timestamp": "2026-11-20T23:38:40.133Z",
    "payload": {"content": "hm"},
}
ACTION = VALID | {"type": "action", "payload": {"tool": "ls", "args": {}, "status": "invoking"}}
OBSERVATION = VALID | {"type": "observation", "payload": {"content": "x", "source": "ls"}}


def with_payload(envelope, **fields):
    return envelope | {"payload": envelope["payload"] | fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "deed"),
        ("type", ["thought"]),
        ("taskId", 5),
        ("taskId", "*"),
        ("taskId", "a..b"),
        ("agentId", ""),
        ("sequenceNumber", -1),
        ("sequenceNumber", "1"),
        ("sequenceNumber", True),
        ("sequenceNumber", 2**63),
        ("timestamp", "2026-11-20T23:38:40"),
        ("timestamp", "yesterday"),
        ("timestamp", 5),
        ("payload", "hm"),
    ],
)
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(BadRequest, match=field):
        read_envelope(VALID | {field: value})


@pytest.mark.parametrize("field", VALID)
def test_a_missing_field_is_named(field):
    rest = {name: value for name, value in VALID.items() if name != field}
    with pytest.raises(BadRequest, match=field):
        read_envelope(rest)


@pytest.mark.parametrize(
    ("envelope", "field", "value"),
    [
        (VALID, "content", None),
        (VALID, "reasoning_chain", 5),
        (ACTION, "tool", ""),
        (ACTION, "args", []),
        (ACTION, "status", "done"),
        (OBSERVATION, "content", {}),
        (OBSERVATION, "source", ""),
    ],
)
def test_a_wrong_field_of_the_payload_is_named(envelope, field, value):
    with pytest.raises(BadRequest, match=rf"payload\.{field}"):
        read_envelope(with_payload(envelope, **{field: value}))


@pytest.mark.parametrize("value", [None, 5, "x", [], [VALID], {}])
def test_what_is_no_envelope_at_all_is_refused(value):
    with pytest.raises(BadRequest):
        read_envelope(value)


@pytest.mark.parametrize(
    ("envelope", "event"),
    [
        (with_payload(VALID, reasoning_chain=["a"]), ("thought", {"text": "hm"})),
        (ACTION, ("tool_call", {"tool": "ls", "input": {}})),
        (
            with_payload(ACTION, status="success"),
            ("tool_result", {"tool": "ls", "ok": True, "content": ""}),
        ),
        (
            with_payload(ACTION, status="error"),
            ("tool_result", {"tool": "ls", "ok": False, "content": ""}),
        ),
        (OBSERVATION, ("tool_result", {"tool": "ls", "ok": True, "content": "x"})),
        (
            with_payload(OBSERVATION, ok=False),
            ("tool_result", {"tool": "ls", "ok": False, "content": "x"}),
        ),
        (
            with_payload(OBSERVATION, source="stderr"),
            ("output", {"stream": "stderr", "text": "x"}),
        ),
        (
            with_payload(OBSERVATION, source="error"),
            ("error", {"message": "x", "source": "planner"}),
        ),
    ],
)
def test_an_envelope_says_what_event_it_is(envelope, event):
    assert event_of(read_envelope(envelope)) == event
