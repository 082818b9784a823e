"""What the native wire says of each event."""

import json

import pytest

from runcast.core.events import Batch, Draft, Lines, count_events, encode_entries
from runcast.wires import Keep, new_wire

TIME = 1_795_251_450_123_456
STAMP = "2026-11-21T08:57:30.123Z"
WIRE = new_wire("runs", Keep(), "seq")

STATUS = {"status": "failed", "reason": "spawn", "exit_code": None, "signal": None, "result": None}

CASES = [
    (
        Draft(TIME, "output", {"stream": "stdout", "text": "x", "partial": True, "raw": "eA=="}),
        "log",
        {"stream": "stdout", "line": "x", "timestamp": STAMP, "partial": True, "raw": "eA=="},
    ),
    (
        Lines(TIME, "stderr", ["é"]),
        "log",
        {"stream": "stderr", "line": "é", "timestamp": STAMP},
    ),
    (
        Draft(TIME, "status", STATUS | {"error": "no such file"}),
        "status",
        STATUS | {"error": "no such file", "timestamp": STAMP},
    ),
    (Draft(TIME, "thought", {"text": "hm"}), "thought", {"text": "hm", "timestamp": STAMP}),
    (
        Draft(TIME, "gap", {"reason": "truncated"}),
        "gap",
        {"reason": "truncated", "timestamp": STAMP},
    ),
]


@pytest.mark.parametrize(("entry", "name", "data"), CASES)
def test_an_event_is_one_frame_with_its_id_last(entry, name, data):
    batch = Batch("run:r", 7, 7, count_events([entry]), encode_entries([entry]))

    event, data_line, number, *rest = WIRE.events(batch, 0).decode("ascii").split("\n")

    assert (event, number, rest) == (f"event: {name}", "id: 7", ["", ""])
    assert json.loads(data_line.removeprefix("data: ")) == {"run_id": "r"} | data


def test_the_closing_frame_takes_an_id_that_no_event_has():
    assert WIRE.closing("r", 9, deleted=False) == (
        b'event: end\ndata: {"run_id":"r","last_seq":9}\nid: 10\n\n'
    )
    assert b'"deleted":true' in WIRE.closing("r", 9, deleted=True)


def test_a_gap_leaves_the_cursor_before_the_first_kept_event():
    assert WIRE.gap(3, 9, "retention") == (
        b'event: gap\ndata: {"after":3,"first":9,"reason":"retention"}\nid: 8\n\n'
    )


def test_heartbeats_move_no_cursor_and_comments_are_no_events():
    assert WIRE.heartbeat() == b"event: heartbeat\ndata: {}\n\n"
    assert WIRE.comment() == b": hb\n"


def test_the_reconnection_delay_rides_in_the_first_frame():
    assert WIRE.first(b"event: x\n", 1500) == b"retry: 1500\nevent: x\n"
