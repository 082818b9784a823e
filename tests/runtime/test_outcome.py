import re

import pytest

from runcast.core.runs import Process
from runcast.parsers import Account, Word
from runcast.runtime.outcome import Evidence, outcome_of


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
    got, fields = outcome_of(found, Evidence(cancel_requested=cancel_requested))

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
    _, fields = outcome_of(found, Evidence())

    assert re.search(text, fields["error"])


def test_what_had_to_be_killed_is_reported():
    found = record("cancelled", killed=[{"pid": 5, "command": "sleep 9"}], leftovers=[])

    _, fields = outcome_of(found, Evidence(cancel_requested=True))

    assert fields["killed"] == [Process(5, "sleep 9")]
    assert fields["leftovers"] is None


DONE = Word(True, "All done.")
FAILED = Word(False, "API Error: 400 no such model")


def agent(word=None, *, open_calls=(), complaint="", must_speak=True, **more):
    account = Account(word=word, open_calls=open_calls, complaint=complaint)
    return Evidence(account=account, must_speak=must_speak, **more)


@pytest.mark.parametrize(
    ("found", "evidence", "status", "reason", "says"),
    [
        # It said that it was done, and its exit code agrees.
        (record("exit", 0), agent(DONE), "completed", "exit", None),
        # It said that it was done, and its exit code does not agree.
        (record("exit", 2), agent(DONE), "failed", "exit", "exited with code 2"),
        # What it complained of on stderr is part of the reason.
        (record("exit", 2), agent(complaint="no key"), "failed", "exit", "code 2: no key"),
        # It said that it failed: an exit code of 0 is no excuse, another adds nothing.
        (record("exit", 0), agent(FAILED), "failed", "agent", "API Error: 400"),
        (record("exit", 1), agent(FAILED), "failed", "agent", "API Error: 400"),
        (record("exit", 1), agent(Word(False, "")), "failed", "agent", "not why"),
        # It exited as if all were well, without the line that its dialect ends with.
        (record("exit", 0), agent(), "failed", "agent", "without saying how it ended"),
        (record("exit", 0), agent(complaint="quota"), "failed", "agent", "ended: quota"),
        # Its dialect has no such line: only the exit code speaks.
        (record("exit", 0), agent(must_speak=False), "completed", "exit", None),
        (record("exit", 7), agent(must_speak=False), "failed", "exit", "code 7"),
        # It said that it was done while tools had not answered.
        (record("exit", 0), agent(DONE, open_calls=("Bash",)), "failed", "agent", "of Bash"),
        (
            record("exit", 0),
            agent(None, open_calls=("Bash", "Read", "Bash"), must_speak=False),
            *("failed", "agent", "of Bash, Read"),
        ),
        # A signal and the timeout end even those that had finished.
        (record("signal", signal="SIGKILL"), agent(), "failed", "signal", "SIGKILL"),
        (record("signal", signal="SIGSEGV"), agent(DONE), "failed", "signal", "SIGSEGV"),
        (record("timeout", signal="SIGTERM"), agent(DONE), "failed", "timeout", "timeout"),
        (record("lost"), agent(DONE), "failed", "lost", "no record"),
        (record("spawn", error="cannot run"), agent(), "failed", "spawn", "cannot run"),
        # It said its last word, did not exit, and was ended.
        (record("cancelled", signal="SIGTERM"), agent(DONE, hung=True), "failed", "agent", "exit"),
        (record("cancelled", 0), agent(FAILED, hung=True), "failed", "agent", "API Error"),
        (record("cancelled", 0), agent(Word(False, ""), hung=True), "failed", "agent", "not why"),
        # It was interrupted in its own way, and exited by itself because of it.
        (
            record("exit", 1),
            agent(FAILED, cancel_requested=True, interrupted=True),
            *("cancelled", "cancelled", None),
        ),
        (
            record("exit", 0),
            agent(cancel_requested=True, interrupted=True),
            *("cancelled", "cancelled", None),
        ),
        # The interrupt came when it had just finished.
        (
            record("exit", 0),
            agent(DONE, cancel_requested=True, interrupted=True),
            *("completed", "exit", None),
        ),
        # A person was faster than the watchdog's order.
        (
            record("cancelled", signal="SIGTERM"),
            agent(DONE, cancel_requested=True, hung=True),
            *("cancelled", "cancelled", None),
        ),
    ],
)
def test_an_agents_end_is_what_its_word_its_exit_and_its_stderr_make_of_it(
    found, evidence, status, reason, says
):
    got, fields = outcome_of(found, evidence)

    assert (got, fields["reason"]) == (status, reason)
    assert (fields["exit_code"], fields["signal"]) == (found["exit_code"], found["signal"])
    assert fields["error"] is None if says is None else says in fields["error"]


def test_what_an_agent_finished_with_is_the_result_of_its_run():
    _, fields = outcome_of(record("exit", 0), agent(DONE))
    assert fields["result"] == "All done."

    _, fields = outcome_of(record("exit", 0), agent(FAILED))
    assert fields["result"] is None
