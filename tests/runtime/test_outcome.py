import re

import pytest

from runcast.core.runs import Process
from runcast.runtime.outcome import outcome_of


def record(reason, exit_code=None, signal=None, **more):
    return {"reason": reason, "exit_code": exit_code, "signal": signal, "ended_at": 9} | more


@pytest.mark.parametrize(
    ("found", "cancel_requested", "status", "reason"),
    [
        (record("exit", 0), False, "completed", "exit"),
        (record("exit", 3), False, "failed", "exit"),
        (record("signal", signal="SIGKILL"), False, "failed", "signal"),
        (record("timeout", signal="SIGTERM"), False, "failed", "timeout"),
        (record("spawn", error="no such file"), False, "failed", "spawn"),
        (record("lost"), False, "failed", "lost"),
        (record("cancelled", signal="SIGTERM"), True, "cancelled", "cancelled"),
        # Asked to end, but it was done before the order came: what happened counts.
        (record("exit", 0), True, "completed", "exit"),
        # Its runner did not obey and had to be killed.
        (record("lost"), True, "cancelled", "cancelled"),
    ],
)
def test_each_end_has_its_status_and_reason(found, cancel_requested, status, reason):
    got, fields = outcome_of(found, cancel_requested=cancel_requested)

    assert (got, fields["reason"]) == (status, reason)
    assert (fields["exit_code"], fields["signal"]) == (found["exit_code"], found["signal"])


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (record("exit", 3), "exited with code 3"),
        (record("signal", signal="SIGSEGV"), r"SIGSEGV \(Segmentation fault\)"),
        (record("signal", signal="SIG99"), "SIG99"),
        (record("timeout"), "longer than its timeout"),
        (record("lost"), "left no record"),
        (record("spawn", error="cannot start 'nope'"), "cannot start 'nope'"),
    ],
)
def test_a_failure_says_why_in_words(found, text):
    _, fields = outcome_of(found, cancel_requested=False)

    assert re.search(text, fields["error"])


def test_what_had_to_be_killed_is_reported():
    found = record("cancelled", killed=[{"pid": 5, "command": "sleep 9"}], leftovers=[])

    _, fields = outcome_of(found, cancel_requested=True)

    assert fields["killed"] == [Process(5, "sleep 9")]
    assert fields["leftovers"] is None
