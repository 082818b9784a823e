"""Voices: what is written for many lines at once is what each would be alone."""

import json

import pytest

from runcast.core.events import Batch, Draft, Lines, encode_entries, run_log
from runcast.core.runs import RunRef
from runcast.core.times import format_time
from runcast.web.sockets.voices import NativeVoice
from runcast.wires import Keep

ENTRIES = [
    Lines(5, "stderr", ['\u00fc\u2028"', ""]),
    Draft(7, "status", {"status": "running"}),
    Draft(8, "output", {"stream": "stdout", "text": "part", "partial": True}),
    Lines(9, "stdout", ["}", "\\n"]),
]
BATCH = Batch(
    run_log("r"), 3, 33, 6, encode_entries(ENTRIES), RunRef("r", "t", "w", "command", "run")
)


@pytest.mark.parametrize("types", [(), ("output",), ("status",), ("status", "output"), ("error",)])
@pytest.mark.parametrize("after", range(31, 40))
def test_the_native_voice_writes_every_chosen_event_behind_a_position(types, after):
    keep = Keep(frozenset(types))
    told = [json.loads(text) for text in NativeVoice(keep).texts([BATCH], after)]

    assert told == [
        {
            "runId": "r",
            "seq": event.seq,
            "position": event.position,
            "time": format_time(event.time),
            "type": event.type,
            "data": event.data,
        }
        for event in BATCH.events()
        if event.position > after and keep(event)
    ]
    assert NativeVoice(keep).key == NativeVoice(Keep(frozenset(types))).key
