import itertools

import pytest

from runcast.core.errors import Conflict
from runcast.core.runs import (
    STATUSES,
    TERMINAL,
    Process,
    Run,
    check_transition,
    public_run,
    status_data,
)

ALLOWED = {
    ("queued", "running"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
}


def run_in(status, source="run"):
    return Run(id="r", key="k", task_id="t", status=status, source=source)


@pytest.mark.parametrize("source", ["run", "external", "watch"])
@pytest.mark.parametrize(("old", "new"), [*itertools.product(STATUSES, STATUSES)])
def test_only_the_table_s_transitions_happen(old, new, source):
    allowed = ALLOWED | ({("queued", "completed")} if source == "external" else set())

    if old == new:
        assert check_transition(run_in(old, source), new) is False
    elif (old, new) in allowed:
        assert check_transition(run_in(old, source), new) is True
    else:
        with pytest.raises(Conflict, match=f"is {old} and cannot become {new}"):
            check_transition(run_in(old, source), new)


@pytest.mark.parametrize("status", STATUSES)
def test_a_run_has_ended_when_its_status_is_terminal(status):
    assert run_in(status).ended is (status in TERMINAL)


def test_the_status_event_always_has_its_five_fields_and_the_rest_when_known():
    run = run_in("failed")
    assert set(status_data(run)) == {"status", "reason", "exit_code", "signal", "result"}

    run.killed = [Process(7, "sleep 9")]
    run.lost_bytes = 3
    run.error = "why"
    data = status_data(run)

    assert data["killed"] == [{"pid": 7, "command": "sleep 9"}]
    assert data["lost_bytes"] == 3
    assert data["error"] == "why"
    assert "leftovers" not in data


def test_the_status_event_says_when_the_run_started_and_ended_once_it_has():
    run = run_in("running")
    run.started_at = 1_795_251_450_123_456
    assert status_data(run)["started_at"] == "2026-11-21T08:57:30.123Z"
    assert "ended_at" not in status_data(run)

    run.ended_at = run.started_at + 1_000
    assert status_data(run)["ended_at"] == "2026-11-21T08:57:30.124Z"


def test_a_run_is_shown_without_its_folder_and_with_times_as_text():
    run = run_in("running")
    run.created_at = 1_795_251_450_123_456

    shown = public_run(run)

    assert shown["created_at"] == "2026-11-21T08:57:30.123Z"
    assert shown["started_at"] is None
    assert not {"key", "order", "cwd", "cancel_requested"} & set(shown)
