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
